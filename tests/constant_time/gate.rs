//! A test that runs itself again in valgrind, from the release build.
//!
//! That is what people run; in a development build overflow checks and debug assertions branch on whatever they look at.

use std::collections::BTreeSet;
use std::env::{current_exe, var_os};
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::thread;

/// Is set where valgrind runs the test.
const WATCHED: &str = "SIDEKEY_WATCHED";
const PUBLIC: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/public.supp");

/// Runs `watched` in valgrind, by running this test again in a process of its own. What a secret decides there and is `public`
/// is excused, by its name in `public.supp`: each just as often as it says here, and nothing else.
pub(crate) fn in_valgrind(public: &[(usize, &str)], watched: fn()) {
    if var_os(WATCHED).is_some() {
        return watched();
    }
    let this = thread::current();
    let ran = Command::new("valgrind")
        .args(["--quiet", "--show-error-list=yes", "--error-limit=no", "--num-callers=24"])
        .arg(format!("--suppressions={PUBLIC}"))
        .arg(if cfg!(debug_assertions) { release_build() } else { current_exe().unwrap() })
        .args(["--exact", this.name().expect("a test's thread has its name"), "--nocapture"])
        .env(WATCHED, "1")
        .output()
        .expect("valgrind: ./tests/run installs it");
    let [out, err] = [ran.stdout, ran.stderr].map(|said| String::from_utf8_lossy(&said).into_owned());
    assert!(ran.status.success() && out.contains("1 passed"), "{out}\n{err}");
    let excused: BTreeSet<_> = err.lines().filter_map(excused).collect();
    assert_eq!(excused, public.iter().copied().collect(), "what was excused, and what was to be");
}

/// These tests, as the release build has them: made here, unless `./tests/run` has made them already.
fn release_build() -> PathBuf {
    let built = Command::new(env!("CARGO"))
        .args(["test", "--release", "--locked", "--no-run", "--message-format=json", "--package"])
        .arg(env!("CARGO_PKG_NAME"))
        .stderr(Stdio::inherit())
        .output()
        .unwrap();
    assert!(built.status.success(), "the release build");
    let said = String::from_utf8(built.stdout).unwrap();
    let artifacts = said.lines().map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap());
    let executable =
        artifacts.filter_map(|artifact| artifact["executable"].as_str().map(PathBuf::from)).next_back();
    executable.expect("an executable")
}

/// How often something was excused, and its name, where valgrind says so in this line: ahead of where it stands.
fn excused(line: &str) -> Option<(usize, &str)> {
    let (_, used) = line.split_once("used_suppression:")?;
    let (times, name) = used.split_once(PUBLIC)?.0.trim().split_once(' ')?;
    Some((times.parse().ok()?, name))
}

#[test]
fn nothing_is_excused_that_no_test_needs() {
    let (entries, tests) = (include_str!("public.supp"), include_str!("secrets.rs"));
    for name in entries.split("\n{\n").skip(1).filter_map(|entry| entry.lines().next()) {
        assert!(tests.contains(&format!("\"{}\"", name.trim())), "{name}");
    }
}
