//! Who works in the data folder: its owner, also when root types the command.

use std::os::unix::fs::MetadataExt as _;
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::Command;

use crate::exit::{Exit, Stop};

/// Goes on as the owner of `folder`, where root runs us and the folder is somebody else's: files that root makes there
/// are files that the service cannot read. The process becomes the same command under the other user.
///
/// # Errors
/// It could not become that user.
pub fn act_as_owner_of(folder: &Path) -> Result<(), Stop> {
    let Ok(there) = folder.metadata() else { return Ok(()) };
    let root = rustix::process::geteuid().is_root();
    if !root || there.uid() == 0 {
        return Ok(());
    }
    let mut line = std::env::args_os();
    let name = line.next().unwrap_or_else(|| "sidekey".into());
    let error = Command::new("/proc/self/exe").arg0(name).args(line).uid(there.uid()).gid(there.gid()).exec();
    let what = format!("cannot go on as the owner of {} (uid {}): {error}", folder.display(), there.uid());
    Err(Stop::new(Exit::Failed, "owner", what).next("run it as that user"))
}
