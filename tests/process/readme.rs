//! README.md's walk, run as a newcomer would: every line of it, as it stands, in one shell.

use std::fmt::Write as _;
use std::net::TcpListener;
use std::path::Path;
use std::process::{Command, Stdio};

const README: &str = include_str!("../../README.md");

/// The lines of the `sh` blocks under one heading.
fn walk() -> Vec<&'static str> {
    let (_, section) = README.split_once("## Five minutes").expect("the README has its walk");
    let section = section.split("\n## ").next().expect("a split has a first part");
    let blocks = section.split("```sh\n").skip(1);
    blocks.flat_map(|block| block.split("```").next().expect("a split has a first part").lines()).collect()
}

/// The shell that a newcomer types the walk into: it stops at the first line that fails, and ends what it started.
fn script(lines: &[&str]) -> String {
    let mut script = String::from("set -eu -o pipefail\ntrap 'kill $(jobs -p) 2>/dev/null' EXIT\n");
    for line in lines {
        if line.trim_end().ends_with('&') {
            // A newcomer reads the ready line before typing on.
            let start = line.trim_end().trim_end_matches('&');
            // `exec`: what is ended then is the service itself, not a shell that waits for it.
            writeln!(script, "coproc ready {{ exec {start}2>&1; }}").unwrap();
            writeln!(script, "while read -r said <&\"${{ready[0]}}\"; do echo \"$said\"; case \"$said\" in")
                .unwrap();
            writeln!(script, "*ready*) break;; esac; done; [[ $said == *ready* ]]").unwrap();
        } else if let Some(refused) = line.strip_prefix("! ") {
            // `set -e` does not look at what `!` inverts.
            writeln!(script, "if {refused}; then echo 'not refused' >&2; exit 1; fi").unwrap();
        } else {
            writeln!(script, "{line}").unwrap();
        }
    }
    script
}

#[test]
fn the_readme_s_walk_runs_as_it_stands() {
    let lines = walk();
    assert!(lines.len() > 10, "the walk was found: {lines:?}");
    let folder = tempfile::tempdir().unwrap();
    // The walk names the release build; here it is the one under test.
    let release = folder.path().join("target/release");
    std::fs::create_dir_all(&release).unwrap();
    let binary = Path::new(env!("CARGO_BIN_EXE_sidekey"));
    std::os::unix::fs::symlink(binary, release.join("sidekey")).unwrap();

    let mut shell = Command::new("bash");
    shell.arg("-c").arg(script(&lines)).current_dir(folder.path()).stdin(Stdio::null());
    for (name, _) in std::env::vars_os().filter(|(name, _)| name.to_string_lossy().starts_with("SIDEKEY")) {
        shell.env_remove(name);
    }
    // The walk takes the default URL; another service may have its port on this machine.
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    shell.env("SIDEKEY_URL", format!("https://localhost:{port}"));
    let ran = shell.output().unwrap();
    let (out, err) = (String::from_utf8_lossy(&ran.stdout), String::from_utf8_lossy(&ran.stderr));
    assert!(ran.status.success(), "{out}\n{err}");
    assert!(err.contains("revoked") && err.contains("left in a taxi"), "the phone is told why: {err}");
    assert_eq!(out.matches("Paired this machine").count(), 3, "{out}");
}
