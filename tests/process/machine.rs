//! A Debian machine of our own: a real systemd, booted in a container on a copy that is thrown away. Needs root.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// Between two looks at something outside that nobody announces.
pub(crate) fn wait_a_little() {
    std::thread::sleep(std::time::Duration::from_millis(100));
}

/// What `tests/run` installs: Debian's own packages and nothing else.
const ROOT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/counterparts/.debian/root");

/// A machine that is switched off, and the folder that it will find at `/walk`.
pub(crate) struct Machine {
    folder: tempfile::TempDir,
}

impl Machine {
    pub(crate) fn new() -> Self {
        assert!(Path::new(ROOT).exists(), "./tests/run makes the machine's root folder");
        Self { folder: tempfile::tempdir().unwrap() }
    }

    /// The folder that the machine finds at `/walk`.
    pub(crate) fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// Boots it, runs the script as root, and switches it off. Returns what the script said; fails when it failed.
    pub(crate) fn run(&self, script: &str) -> String {
        fs::write(self.folder().join("script"), format!("{PREAMBLE}{script}")).unwrap();
        fs::write(self.folder().join("walk.service"), UNIT).unwrap();
        let bind = |from: &str, to: &str| format!("{}:{to}", self.folder().join(from).display());
        let booted = Command::new("systemd-nspawn")
            .args(["--quiet", "--register=no", "--keep-unit", "--private-network", "--console=pipe"])
            .args(["--volatile=overlay", "--directory", ROOT])
            .args(["--bind", &bind("", "/walk")])
            .args(["--bind-ro", &bind("walk.service", "/etc/systemd/system/walk.service")])
            .args(["--boot", "systemd.wants=walk.service"])
            .stdin(Stdio::null())
            .output()
            .expect("systemd-nspawn: ./tests/run installs it");
        let said = fs::read_to_string(self.folder().join("said")).unwrap_or_default();
        assert!(
            booted.status.success(),
            "{said}\n{}\n{}",
            String::from_utf8_lossy(&booted.stdout),
            String::from_utf8_lossy(&booted.stderr)
        );
        said
    }
}

/// `not` since `! command` would not stop the script when the command succeeds; `soon` waits for a condition.
const PREAMBLE: &str = r#"set -eux -o pipefail
trap 'journalctl --no-pager --unit sidekey | tail -n 40' ERR
not() { if "$@"; then echo "should have failed: $*"; return 1; fi; }
soon() { for _ in $(seq 100); do "$@" >/dev/null 2>&1 && return; sleep 0.2; done; "$@"; }
"#;

/// Ends the machine with the script's own exit code.
const UNIT: &str = "\
[Unit]
Description=The script under test
After=multi-user.target
SuccessAction=exit
FailureAction=exit
[Service]
Type=oneshot
Environment=HOME=/root
ExecStart=/bin/bash /walk/script
StandardOutput=append:/walk/said
StandardError=append:/walk/said
TimeoutStartSec=180
";

/// Builds the Debian package of the binary under test into `folder`.
pub(crate) fn package(folder: &Path, version: &str) -> PathBuf {
    let build = concat!(env!("CARGO_MANIFEST_DIR"), "/../../deploy/debian/build");
    let built = Command::new(build)
        .arg(env!("CARGO_BIN_EXE_sidekey"))
        .args([folder.as_os_str(), version.as_ref()])
        .stderr(Stdio::inherit())
        .output()
        .unwrap();
    assert!(built.status.success(), "the package is built");
    PathBuf::from(String::from_utf8(built.stdout).unwrap().trim_end())
}
