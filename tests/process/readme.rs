//! README.md's commands, run as a newcomer would: every line as it stands.

use std::fmt::Write as _;
use std::net::TcpListener;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use crate::machine::{Machine, package};

const README: &str = include_str!("../../README.md");

/// The lines of the blocks of a language under one heading.
fn lines(language: &str, heading: &str) -> Vec<&'static str> {
    let (_, section) = README.split_once(heading).expect("the README has its heading");
    let section = section.split("\n#").next().expect("a split has a first part");
    let fence = format!("```{language}\n");
    let blocks = section.split(&fence).skip(1);
    let lines = blocks.flat_map(|block| block.split("```").next().expect("a split has a first part").lines());
    let lines: Vec<_> = lines.collect();
    assert!(!lines.is_empty(), "{heading} has its lines");
    lines
}

/// The shell that a newcomer types the lines into: it stops at the first that fails, and ends what it started.
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

/// Runs the lines in a folder that has what the README says was built, with a port of their own.
fn typed(folder: &Path, lines: &[&str]) -> Output {
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let url = format!("https://localhost:{port}");
    // The lines name the default URL; another service may have its port on this machine.
    let script = script(lines).replace("https://localhost:8443", &url);
    let mut shell = Command::new("bash");
    shell.arg("-c").arg(script).current_dir(folder).stdin(Stdio::null());
    for (name, _) in std::env::vars_os().filter(|(name, _)| name.to_string_lossy().starts_with("SIDEKEY")) {
        shell.env_remove(name);
    }
    shell.env("SIDEKEY_URL", url).output().unwrap()
}

/// The release build that the README names is here the one under test; so are the examples that it has cargo run.
fn built(folder: &Path) {
    let release = folder.join("target/release");
    std::fs::create_dir_all(&release).unwrap();
    symlink(env!("CARGO_BIN_EXE_sidekey"), release.join("sidekey")).unwrap();
    let cargo = release.join("cargo");
    let mut shim = String::from("#!/bin/sh\nexample=$6\nshift 7\ncase $example in\n");
    for name in ["phone", "server"] {
        writeln!(shim, "{name}) exec {} \"$@\";;", example(name).display()).unwrap();
    }
    shim.push_str("esac\nexit 9\n");
    std::fs::write(&cargo, shim).unwrap();
    std::fs::set_permissions(&cargo, std::fs::Permissions::from_mode(0o755)).unwrap();
}

/// Cargo builds the examples of a package with its tests, and of no other: built here if need be, and never stale. With
/// the whole workspace's features, as its tests are, so that nothing is built twice.
fn example(name: &str) -> PathBuf {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    // <target>/<profile>/deps/process-…
    let profile = std::env::current_exe().unwrap().ancestors().nth(2).unwrap().to_owned();
    let target: PathBuf = profile.parent().unwrap().to_owned();
    let build = ["build", "--quiet", "--locked", "--workspace", "--example", name, "--target-dir"];
    let root = concat!(env!("CARGO_MANIFEST_DIR"), "/../..");
    let built = Command::new(cargo).current_dir(root).args(build).arg(&target).status().unwrap();
    assert!(built.success());
    target.join("debug/examples").join(name)
}

const WALK: &str = "## Five minutes";
const SERVER: &str = "### You run the mail server";
const APP: &str = "### You build a mail app";

#[test]
fn the_readme_s_walk_runs_as_it_stands_and_so_do_the_mail_server_s_and_the_app_s() {
    let walk = lines("sh", WALK);
    assert!(walk.len() > 10, "the walk was found: {walk:?}");
    let folder = tempfile::tempdir().unwrap();
    built(folder.path());
    let all = [walk, lines("sh", SERVER), lines("sh", APP)].concat();
    let ran = typed(folder.path(), &all);
    let (out, err) = (String::from_utf8_lossy(&ran.stdout), String::from_utf8_lossy(&ran.stderr));
    assert!(ran.status.success(), "{out}\n{err}");
    assert!(err.contains("revoked") && err.contains("left in a taxi"), "the phone is told why: {err}");
    assert_eq!(out.matches("Paired this machine").count(), 3, "{out}");
    assert!(out.contains("\"role\":\"server\""), "curl sees who it is: {out}");
    assert!(out.contains("\"key\":\"ey"), "curl gets a wrapped key: {out}");
    let frame = std::fs::read(folder.path().join("frame")).unwrap();
    assert!(frame.starts_with(b"XE"), "the server sealed it");
    assert!(!frame.windows(5).any(|octets| octets == b"lunch"), "the frame shows the mail");
    assert!(out.contains("At one?"), "the app prints the mail: {out}");
    assert_eq!(out.matches("At one?").count(), 1, "and nothing of what the relay changed: {out}");
    for named in ["refused: tampered with", "refused: not what was asked for"] {
        assert!(err.contains(named), "the lie has a name: {err}");
    }
}

#[test]
fn the_readme_s_three_lines_are_those_of_the_example() {
    let example = include_str!("../../src/client/examples/phone.rs");
    for line in lines("rust", APP) {
        let line =
            line.trim_start_matches("let client = ").trim_start_matches("let mail = ").trim_end_matches("?;");
        assert!(example.contains(line), "{line}");
    }
}

#[test]
fn a_package_is_an_administrator_s_six_commands_to_a_revoked_phone() {
    let machine = Machine::new();
    package(machine.folder(), "0.1.0");
    let six = lines("sh", "### You run the service");
    assert_eq!(six.len(), 6, "{six:?}");
    let mut script = String::from("cd /walk\nexport COLUMNS=200\n");
    for line in six {
        // What people do between the commands: wait until it answers, scan the code.
        match line {
            "sidekey doctor" => script.push_str("soon sidekey server list\nsidekey doctor\n"),
            invite if invite.contains(" invite ") => {
                writeln!(script, "{invite} --qr always | tee invitation").unwrap();
                script.push_str("sidekey join --ca /var/lib/sidekey/ca.pem --profile phone <invitation\n");
            }
            line => writeln!(script, "{line}").unwrap(),
        }
    }
    script.push_str("not sidekey session list --profile phone\n");
    let said = machine.run(&script);
    assert!(said.contains("checks, no fault"), "{said}");
    assert!(said.contains('█') || said.contains('▀'), "a QR code to scan: {said}");
    assert!(said.contains("left in a taxi"), "the phone is told why: {said}");
}
