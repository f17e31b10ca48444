//! Which process serves from a data folder, where it listens, and which program it is.

use std::fs::{self, File, TryLockError};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpStream};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use sidekey_service::Config;

use super::Check;
use crate::output::shell;

/// Whoever has a data folder.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Holder {
    /// Nobody.
    Nobody,
    /// This process.
    Process(u32),
    /// Some process, on a system that does not say which.
    Somebody,
}

/// Who has the folder, without taking it.
#[must_use]
pub fn holder(data: &Path) -> Holder {
    let path = data.join("lock");
    let Ok(metadata) = fs::metadata(&path) else { return Holder::Nobody };
    if let Ok(locks) = fs::read_to_string("/proc/locks") {
        let inode = metadata.ino().to_string();
        let of_ours = |line: &str| {
            let words: Vec<_> = line.split_whitespace().collect();
            let [_, "FLOCK", _, _, pid, place, ..] = words[..] else { return None };
            (place.rsplit(':').next() == Some(inode.as_str())).then(|| pid.parse().ok()).flatten()
        };
        if let Some(pid) = locks.lines().find_map(of_ours) {
            return Holder::Process(pid);
        }
    }
    // Containers hide each other's locks, and other systems all of them: a shared lock for a moment tells.
    let locked =
        File::open(&path).is_ok_and(|file| matches!(file.try_lock_shared(), Err(TryLockError::WouldBlock)));
    if !locked {
        return Holder::Nobody;
    }
    let said = fs::read_to_string(&path).ok().and_then(|text| text.trim().parse().ok());
    said.map_or(Holder::Somebody, Holder::Process)
}

/// Whether anything takes connections there.
#[must_use]
pub fn answers(listen: SocketAddr) -> bool {
    TcpStream::connect_timeout(&reachable(listen), PATIENCE).is_ok()
}

/// Where this machine reaches what listens on `listen`.
fn reachable(listen: SocketAddr) -> SocketAddr {
    let ip = match listen.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(ip) if ip.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
        ip => ip,
    };
    SocketAddr::new(ip, listen.port())
}

/// Whether one process, and ours, has the folder and the port.
#[must_use]
pub fn other(config: &Config, holder: Holder, answers: bool) -> Check {
    let (data, listen) = (config.data.display(), config.listen);
    match (holder, answers) {
        (Holder::Nobody, false) => {
            Check::fine(OTHER, format!("no process has {data}, and nothing listens on {listen}"))
        }
        (Holder::Nobody, true) => Check::finding(
            OTHER,
            format!("another program listens on {listen}: no process has {data}"),
            format!("stop it (ss -ltnp 'sport = {}' names it), or set another `listen`", listen.port()),
        ),
        (Holder::Process(pid), true) => Check::fine(OTHER, format!("process {pid} has {data}, and listens")),
        (Holder::Somebody, true) => Check::fine(OTHER, format!("a process has {data}, and listens")),
        (Holder::Process(pid), false) => Check::finding(
            OTHER,
            format!("process {pid} has {data}, and nothing listens on {listen}"),
            format!("kill {pid}, then sidekey serve --data {}", shell(&data.to_string())),
        ),
        (Holder::Somebody, false) => Check::finding(
            OTHER,
            format!("a process has {data}, and nothing listens on {listen}"),
            format!("stop it: fuser {}", shell(&format!("{data}/lock"))),
        ),
    }
}

/// Whether the service runs this program, and the folder is of a format that it knows.
#[must_use]
pub fn versions(config: &Config, holder: Holder) -> Check {
    let own = env!("CARGO_PKG_VERSION");
    let format = fs::read_to_string(config.data.join("format")).ok();
    let format = format.as_deref().map_or("a data folder without a format", str::trim);
    let pid = match holder {
        Holder::Process(pid) => pid,
        Holder::Nobody => return Check::fine(VERSIONS, format!("this is {own}; {format}; no service runs")),
        Holder::Somebody => return Check::unknown(VERSIONS, "which process is the service is not known"),
    };
    let Ok(exe) = fs::read_link(format!("/proc/{pid}/exe")) else {
        return Check::unknown(
            VERSIONS,
            format!("process {pid} does not show us its program: run this as its user"),
        );
    };
    let restart =
        format!("kill {pid}, then sidekey serve --data {}", shell(&config.data.display().to_string()));
    if exe.to_string_lossy().ends_with(" (deleted)") {
        return Check::finding(
            VERSIONS,
            format!("process {pid} runs a program that has been replaced since"),
            restart,
        );
    }
    match std::env::current_exe() {
        Ok(ours) if same(&ours, &exe) => {
            Check::fine(VERSIONS, format!("process {pid} runs this program, {own}; {format}"))
        }
        Ok(_) => {
            let what =
                format!("process {pid} runs {}, which is another program than this, {own}", exe.display());
            Check::finding(VERSIONS, what, restart)
        }
        Err(error) => Check::unknown(VERSIONS, format!("which program this is: {error}")),
    }
}

fn same(one: &PathBuf, other: &PathBuf) -> bool {
    let (Ok(a), Ok(b)) = (fs::metadata(one), fs::metadata(other)) else { return false };
    let one_file = (a.dev(), a.ino()) == (b.dev(), b.ino());
    one_file || a.len() == b.len() && matches!((fs::read(one), fs::read(other)), (Ok(a), Ok(b)) if a == b)
}

const OTHER: &str = "other instance";
const VERSIONS: &str = "versions";
const PATIENCE: Duration = Duration::from_secs(1);
