//! A disk that runs full under the real process, and has room again. Needs root, for a disk of its own.

use std::fs;
use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::binary::{Serving, Sidekey};
use crate::kept;
use crate::load::Load;
use crate::machine::wait_a_little;
use crate::made::Making;

/// What the service refuses while it cannot record it.
const INVITE: &str = "client invite bob@example.org --server old.example.org";

/// A small disk in memory.
struct Disk(PathBuf);

impl Disk {
    fn at(folder: PathBuf) -> Self {
        fs::create_dir(&folder).unwrap();
        run(Command::new("mount").args(["-t", "tmpfs", "-o", "size=160M,mode=700", "tmpfs"]).arg(&folder));
        Self(folder)
    }

    /// Fills it to the last octet with what is none of the service's.
    fn fill(&self) -> PathBuf {
        let path = self.0.join("ballast");
        let mut ballast = fs::File::create(&path).unwrap();
        for size in [1 << 20, 4096] {
            while ballast.write_all(&vec![1; size]).is_ok() {}
        }
        path
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("--lazy").arg(&self.0).status();
    }
}

fn run(command: &mut Command) {
    assert!(command.status().unwrap().success());
}

/// What `/readyz` answers at the operations listener.
fn ready(serving: &Serving) -> String {
    let (_, rest) = serving.seen.iter().find_map(|line| line.split_once("operations=")).unwrap();
    let mut stream = TcpStream::connect(rest.split(' ').next().unwrap()).unwrap();
    stream
        .write_all(b"GET /readyz?verbose HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
        .unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer
}

#[test]
fn a_service_whose_disk_was_full_goes_on_without_hands() {
    let sidekey = Sidekey::new();
    let disk = Disk::at(sidekey.data());
    let mut making = Making::begin(sidekey, 0);
    making.pair();
    // All but the last of the one segment there is.
    (0..5).for_each(|_| making.fill(3 << 20));
    making.fill(300 << 10);
    let made = making.finish();
    let (sidekey, data) = (&made.sidekey, made.sidekey.data());
    let mut serving = sidekey.serve(made.port);
    let load = Arc::new(Load::prepare(&data));
    assert!(ready(&serving).contains("MiB free: when none are, nothing is issued"), "it is told before");
    let ballast = disk.fill();

    // Everybody is refused in the end, by name; reading and revoking go on.
    let mut acknowledged = Vec::new();
    while ready(&serving).starts_with("HTTP/1.1 200") {
        acknowledged.extend(load.run(Duration::from_secs(2), || 0));
    }
    let refused = sidekey.run(&format!("{INVITE} -o json")).failed(6).problem();
    assert_eq!(refused["code"], "unavailable", "{refused}");
    let unready = ready(&serving);
    assert!(unready.starts_with("HTTP/1.1 503") && unready.contains("store_unavailable"), "{unready}");
    sidekey.run("client list").succeeded();
    let gone = made.live[0];
    sidekey.run(&format!("revoke pairing {gone} --reason lost --yes")).succeeded();
    sidekey.run(INVITE).failed(6);
    assert!(ready(&serving).starts_with("HTTP/1.1 503"), "there is room for revocations alone");

    // Room, and nobody asks for anything.
    fs::remove_file(ballast).unwrap();
    let since = Instant::now();
    while !ready(&serving).starts_with("HTTP/1.1 200") {
        assert!(since.elapsed() < Duration::from_secs(20), "{}", ready(&serving));
        wait_a_little();
    }
    serving.line_with("ready again");
    // Where the state behind the journal met the full disk too, all of it is written anew.
    let said = |serving: &Serving, what| serving.seen.iter().any(|line| line.contains(what));
    if said(&serving, "sled: not written") && !said(&serving, "sled: written again") {
        serving.line_with("sled: written again");
    }
    let after = load.run(Duration::from_secs(1), || 0);
    assert!(!after.is_empty());
    acknowledged.extend(after);
    serving.signal("KILL");
    drop(serving);
    sidekey.run("audit verify").succeeded();
    let store = kept::open(&data).unwrap();
    let missing = kept::missing(&store, acknowledged.iter().map(|(_, what)| what));
    assert!(missing.is_empty(), "{missing:?}");
    assert!(store.party(gone).unwrap().revoked.is_some());
    drop(store);
    assert!(!Path::new(&data).join("state.damaged-1").exists(), "the state was written whole");
    drop(sidekey.serve(made.port));
    // Before the folder that it is in.
    drop(disk);
}
