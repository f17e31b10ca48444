//! The data folder: what is in it, who can read it, whether it holds together, whether there is room.

use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use getrandom::SysRng;
use rand_core::UnwrapErr;
use sidekey_protocol::ids::Timestamp;
use sidekey_service::Config;
use sidekey_service::config::RootKey;
use sidekey_service::fault::Fault;
use sidekey_service::root::{self, BadRootKey};
use sidekey_service::store::Store;

use super::Check;
use crate::output::shell;
use crate::serve::chain;

/// Options that parse, and could not be meant.
#[must_use]
pub fn options(config: &Config, file: &Path) -> Check {
    let limits = &config.limits;
    let mut nothing = Vec::new();
    for (option, value) in [
        ("connections", limits.connections),
        ("address_connections", limits.address_connections),
        ("streams", limits.streams as usize),
        ("handshake_s", limits.handshake_s as usize),
        ("first_request_s", limits.first_request_s as usize),
        ("keep_alive_s", limits.keep_alive_s as usize),
        ("body_s", limits.body_s as usize),
        ("answer_s", limits.answer_s as usize),
        ("stalled_s", limits.stalled_s as usize),
        ("tokens", limits.tokens),
    ] {
        if value == 0 {
            nothing.push(option);
        }
    }
    if limits.headers_size_bytes < HEADERS_MIN {
        nothing.push("headers_size_bytes");
    }
    if nothing.is_empty() {
        return Check::fine("options", "each has a value that can be meant");
    }
    let named = nothing.join(", ");
    Check::finding(
        "options",
        format!("nobody could be served with so little: {named} under [limits]"),
        format!("remove {named} from {}: the defaults serve", file.display()),
    )
}

/// Whether the carriers of the configuration can be used: their files are there, and say what they should.
#[must_use]
pub fn carriers(config: &Config) -> Check {
    match sidekey_service::check_carriers(config, UnwrapErr(SysRng)) {
        Ok(0) => Check::fine(CARRIERS, "none: keys go over HTTPS"),
        Ok(count) => {
            Check::fine(CARRIERS, format!("{count} can be used, so far as their bearers are not asked"))
        }
        Err(bad) => Check::finding(
            CARRIERS,
            chain(&bad),
            format!("mend [delivery.carriers.{}] of sidekey.toml, or what it names", bad.carrier),
        ),
    }
}

/// Whether what must be there is, and what is secret is its owner's alone.
#[must_use]
pub fn permissions(config: &Config) -> Check {
    let data = &config.data;
    let folder = match fs::metadata(data) {
        Ok(folder) if folder.is_dir() => folder,
        Ok(_) => {
            return Check::finding(
                PERMISSIONS,
                format!("{} is no folder", data.display()),
                "name a folder under `data` in the configuration",
            );
        }
        Err(error) => return missing(data, &error),
    };
    let mut commands = Vec::new();
    let mut faults = Vec::new();
    if folder.mode() & 0o077 != 0 {
        faults.push(format!("others can look into {}", data.display()));
        commands.push(format!("chmod 700 {}", quoted(data)));
    }
    let mut seen = 0;
    for (path, secret) in expected(config) {
        match fs::metadata(&path) {
            Ok(file) => {
                seen += 1;
                if secret && file.mode() & 0o077 != 0 {
                    faults.push(format!("others can read {}", path.display()));
                    commands.push(format!("chmod 600 {}", quoted(&path)));
                }
                if file.uid() != folder.uid() {
                    faults.push(format!("{} belongs to another user than its folder", path.display()));
                    commands.push(format!("chown {} {}", folder.uid(), quoted(&path)));
                }
            }
            Err(error) => return missing(&path, &error),
        }
    }
    for path in secrets(data) {
        seen += 1;
        if fs::metadata(&path).is_ok_and(|file| file.mode() & 0o077 != 0) {
            faults.push(format!("others can read {}", path.display()));
            commands.push(format!("chmod 600 {}", quoted(&path)));
        }
    }
    if faults.is_empty() {
        return Check::fine(PERMISSIONS, format!("{seen} files are there, and keys are their owner's alone"));
    }
    Check::finding(PERMISSIONS, faults.join("; "), commands.join(" && "))
}

fn missing(path: &Path, error: &io::Error) -> Check {
    let shown = path.display();
    match error.kind() {
        io::ErrorKind::PermissionDenied => Check::unknown(
            PERMISSIONS,
            format!("{shown} cannot be looked at: run this as the service's user"),
        ),
        io::ErrorKind::NotFound => Check::finding(
            PERMISSIONS,
            format!("{shown} is not there"),
            format!("put {shown} back, or `sidekey init` for a new folder"),
        ),
        _ => Check::finding(PERMISSIONS, format!("{shown}: {error}"), "mend the disk that it is on"),
    }
}

/// Files that the service cannot start without, and whether they are secret.
fn expected(config: &Config) -> Vec<(PathBuf, bool)> {
    let mut files = vec![(config.certificate_path(), false), (config.tls_key_path(), true)];
    if let RootKey::File(path) | RootKey::PassphraseFile(path) = &config.root_key {
        files.push((config.data.join(path), true));
    }
    files
}

/// What else may be there and is secret.
fn secrets(data: &Path) -> impl Iterator<Item = PathBuf> {
    ["seal.keys", "admin.json", "admin.pending", "ca.key"]
        .into_iter()
        .map(|name| data.join(name))
        .filter(|path| path.exists())
}

/// Whether there is room to write on for a while.
#[must_use]
pub fn disk(data: &Path, wanted: u64) -> Check {
    let disk = match rustix::fs::statvfs(data) {
        Ok(disk) => disk,
        Err(error) => return Check::unknown(DISK, format!("{}: {error}", data.display())),
    };
    let shown = data.display();
    if disk.f_flag.contains(rustix::fs::StatVfsMountFlags::RDONLY) {
        return Check::finding(
            DISK,
            format!("{shown} cannot be written: its disk is mounted for reading alone"),
            format!("mount -o remount,rw \"$(df --output=target {} | tail -1)\"", quoted(data)),
        );
    }
    let free = disk.f_bavail.saturating_mul(disk.f_frsize);
    let mib = free >> 20;
    if free < wanted {
        return Check::finding(
            DISK,
            format!("{mib} MiB are free for {shown}: when none are, nothing is issued"),
            format!(
                "make room, or move the folder to a larger disk: du -xh {} | sort -h | tail",
                quoted(data)
            ),
        );
    }
    Check::fine(DISK, format!("{mib} MiB are free for {shown}"))
}

/// Whether the root key that the configuration names opens the folder.
#[must_use]
pub fn root_key(config: &Config) -> Check {
    let from = &config.root_key;
    match root::status(config, None) {
        Ok(_) => Check::fine(ROOT_KEY, format!("the {from} opens the folder")),
        Err(BadRootKey::Untyped) => {
            Check::unknown(ROOT_KEY, "its passphrase is typed when the service starts")
        }
        Err(BadRootKey::Credential { .. } | BadRootKey::Unset { .. }) => {
            Check::unknown(ROOT_KEY, format!("the service's own process has it: {from}"))
        }
        Err(bad) => Check::of_stop(ROOT_KEY, &crate::root::explained(&bad, config)),
    }
}

/// Whether every record of the journal continues the chain.
#[must_use]
pub fn audit(data: &Path) -> Check {
    match Store::verify(data, &[]) {
        // The first record made the service: a journal without is not one that nothing happened in.
        Ok(verified) if verified.last == 0 => {
            Check::finding(AUDIT, format!("the journal of {} holds no whole record", data.display()), RESTORE)
        }
        Ok(verified) => Check::fine(
            AUDIT,
            format!(
                "records {} to {}, each continues the chain; {} checkpoints cover them up to {}",
                verified.first, verified.last, verified.checkpoints, verified.signed
            ),
        ),
        Err(Fault::Missing) => Check::finding(
            AUDIT,
            format!("{} holds no journal", data.display()),
            format!("sidekey init --data {}", quoted(data)),
        ),
        Err(Fault::Io { error, .. }) if error.kind() == io::ErrorKind::PermissionDenied => {
            Check::unknown(AUDIT, "the journal cannot be read: run this as the service's user")
        }
        Err(fault) => Check::finding(AUDIT, chain(&fault), RESTORE),
    }
}

/// Whether the state on disk keeps up with the journal: what is behind is replayed at the next start.
#[must_use]
pub fn lag(data: &Path) -> Check {
    let (journal, state) = (newest(&data.join("journal")), newest(&data.join("state")));
    match (journal, state) {
        (None, _) => Check::unknown(LAG, "there is no journal"),
        (Some(_), None) => {
            Check::fine(LAG, "no state is written yet: the next start reads the whole journal")
        }
        (Some(journal), Some(state)) => {
            let behind_s = journal.since_s(state);
            if behind_s > LAG_MAX_S {
                return Check::finding(
                    LAG,
                    format!("the state on disk is {behind_s} s behind the journal"),
                    "restart the service: it writes the state again; its log says why it did not",
                );
            }
            Check::fine(LAG, format!("the state on disk is {behind_s} s behind the journal"))
        }
    }
}

/// When anything in a folder was last written.
#[must_use]
pub fn newest(folder: &Path) -> Option<Timestamp> {
    let entries = folder.read_dir().ok()?;
    let times = entries.filter_map(|entry| entry.ok()?.metadata().ok()?.modified().ok());
    times.max().map(seconds)
}

fn seconds(at: SystemTime) -> Timestamp {
    let since = at.duration_since(UNIX_EPOCH).unwrap_or_default();
    Timestamp(u32::try_from(since.as_secs()).unwrap_or(u32::MAX))
}

fn quoted(path: &Path) -> String {
    shell(&path.display().to_string())
}

const PERMISSIONS: &str = "permissions";
const DISK: &str = "disk space";
const ROOT_KEY: &str = "root key";
const AUDIT: &str = "audit";
const LAG: &str = "lag";
const CARRIERS: &str = "carriers";
const RESTORE: &str = "keep this folder as evidence, and restore it from the newest backup that verifies";
/// Octets that a request of our own clients takes, and some.
const HEADERS_MIN: usize = 2048;
/// It is written every second or so.
const LAG_MAX_S: u32 = 60;
