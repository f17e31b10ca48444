//! The Containerfile: built, started as nobody on a read-only root, stopped, started again.

use std::path::Path;
use std::process::{Child, Command, Output, Stdio};

/// Where `tests/run` put the image that ours starts from.
const IMAGES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/counterparts/.debian/images");
const FILE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../deploy/Containerfile");

fn podman(arguments: &[&str]) -> Command {
    let mut podman = Command::new("podman");
    podman
        .args(["--root", IMAGES, "--runroot", RUN, "--storage-driver", "overlay"])
        .args(["--cgroup-manager", "cgroupfs", "--events-backend", "none", "--runtime", "runc"])
        .args(arguments)
        .stdin(Stdio::null());
    podman
}

fn done(arguments: &[&str]) -> String {
    let Output { status, stdout, stderr } =
        podman(arguments).output().expect("podman: ./tests/run installs it");
    let (stdout, stderr) = (String::from_utf8_lossy(&stdout), String::from_utf8_lossy(&stderr));
    assert!(status.success(), "{arguments:?}: {stdout}\n{stderr}");
    stdout.into_owned()
}

/// What podman keeps while something runs: a path of at most 50 characters, it says.
const RUN: &str = "/tmp/sidekey-images.run";

/// The image, and what is left of a container and its volume; all gone at the end.
struct Container {
    name: String,
    running: Option<Child>,
}

impl Container {
    fn build() -> Self {
        let name = format!("sidekey-{}", std::process::id());
        let context = tempfile::tempdir().unwrap();
        let binary = context.path().join("sidekey");
        let stripped =
            Command::new("strip").args(["-o"]).arg(&binary).arg(env!("CARGO_BIN_EXE_sidekey")).status();
        assert!(stripped.unwrap().success());
        let folder = context.path().to_str().unwrap();
        done(&[
            "build",
            "--quiet",
            "--pull=never",
            "--isolation=chroot",
            "--file",
            FILE,
            "--tag",
            &name,
            folder,
        ]);
        Self { name, running: None }
    }

    /// As the file says to start it, but without a network; waits until it answers.
    fn start(&mut self) {
        let volume = format!("{}:/var/lib/sidekey", self.name);
        let limits = ["--ulimit", "nofile=1024:1024", "--ulimit", "nproc=1024:1024"];
        let mut run = podman(&["run", "--rm", "--read-only", "--cap-drop=all", "--network=none"]);
        run.args(limits)
            .args(["--name", &self.name, "--volume", &volume, &self.name])
            .stderr(Stdio::inherit());
        self.running = Some(run.spawn().unwrap());
        let ready = (0..100).any(|_| {
            let asked = podman(&["exec", &self.name, "sidekey", "server", "list"]).output().unwrap();
            asked.status.success() || {
                crate::machine::wait_a_little();
                false
            }
        });
        assert!(ready, "the service in the container answers");
    }

    fn stop(&mut self) {
        done(&["stop", "--time", "30", &self.name]);
        let ended = self.running.take().unwrap().wait().unwrap();
        assert!(ended.success(), "it drains and ends with 0: {ended}");
    }
}

impl Drop for Container {
    fn drop(&mut self) {
        for arguments in [["rm", "--force"], ["rmi", "--force"], ["volume", "rm"]] {
            let _ = podman(&arguments).arg(&self.name).output();
        }
        if let Some(mut running) = self.running.take() {
            let _ = running.wait();
        }
    }
}

#[test]
fn the_container_image_serves_as_nobody_on_a_read_only_root_and_keeps_what_it_knows() {
    assert!(Path::new(IMAGES).exists(), "./tests/run makes the image that ours starts from");
    let mut container = Container::build();
    container.start();
    assert_eq!(done(&["exec", &container.name, "id", "-u"]).trim(), "10001");
    let denied = podman(&["exec", &container.name, "touch", "/usr/bin/x"]).output().unwrap();
    assert!(!denied.status.success(), "the root file system is read-only");
    done(&["exec", &container.name, "sidekey", "server", "add", "mail.example.org"]);
    container.stop();
    container.start();
    assert!(done(&["exec", &container.name, "sidekey", "server", "list"]).contains("mail.example.org"));
    container.stop();
}
