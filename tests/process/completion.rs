//! What shells and manuals are told of the command line.

use std::fs;
use std::process::Command;

use crate::binary::Sidekey;

#[test]
fn completion_completes_a_noun_and_its_verb_in_bash() {
    let sidekey = Sidekey::new();
    let script = sidekey.run("completion bash").succeeded().out;
    fs::write(sidekey.path("completion.bash"), script).unwrap();
    let completed = |words: &str, at: usize| {
        let last = words.split(' ').next_back().unwrap();
        let line = format!(
            "source completion.bash && COMP_WORDS=({words}) COMP_CWORD={at} && _sidekey sidekey {last} x; echo \"${{COMPREPLY[@]}}\""
        );
        let ran = Command::new("bash")
            .args(["--norc", "-c", &line])
            .current_dir(sidekey.path(""))
            .output()
            .unwrap();
        assert!(ran.status.success(), "{}", String::from_utf8_lossy(&ran.stderr));
        String::from_utf8(ran.stdout).unwrap()
    };
    let nouns = completed("sidekey se", 1);
    assert!(["serve", "server", "session"].iter().all(|noun| nouns.contains(noun)), "{nouns}");
    let verbs = completed("sidekey session l", 2);
    assert_eq!(verbs.trim(), "list");
}

#[test]
fn completion_knows_other_shells_and_no_others() {
    let sidekey = Sidekey::new();
    for (shell, begins) in
        [("zsh", "#compdef sidekey"), ("fish", "# Print"), ("elvish", ""), ("powershell", "")]
    {
        let script = sidekey.run(&format!("completion {shell}")).succeeded().out;
        assert!(script.starts_with(begins), "{shell}: {script:.60}");
        assert!(script.contains("revoke") && script.len() > 1000, "{shell}");
    }
    sidekey.run("completion cobol").failed(2);
}

/// Every command has a page, which formats without a complaint.
#[test]
fn every_command_has_a_manual_page() {
    let sidekey = Sidekey::new();
    let written = sidekey.json("man --dir pages");
    let pages = written["pages"].as_array().unwrap();
    assert!(pages.len() > 30, "{pages:?}");
    for page in pages {
        let text = fs::read_to_string(sidekey.path("pages").join(page.as_str().unwrap())).unwrap();
        for part in [".TH", ".SH NAME", ".SH SYNOPSIS", ".SH EXTRA"] {
            assert!(text.contains(part), "{page} has no {part}");
        }
    }
    assert!(pages.iter().any(|page| page == "sidekey-client-invite.1"));
    let page = sidekey.run("man client invite").succeeded().out;
    assert_eq!(page, fs::read_to_string(sidekey.path("pages/sidekey-client-invite.1")).unwrap());
    sidekey.run("man client invent").failed(2);
    let formatted = Command::new("mandoc")
        .args(["-T", "lint", "-W", "error"])
        .arg(sidekey.path("pages/sidekey.1"))
        .output();
    if let Ok(formatted) = formatted {
        assert!(formatted.status.success(), "{}", String::from_utf8_lossy(&formatted.stdout));
    }
}
