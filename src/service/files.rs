//! Files that hold keys: made for the service's user alone, and refused when anybody else can read them.

use std::fs::{File, OpenOptions};
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use sidekey_protocol::crypto::Secret;
use sidekey_protocol::encoding::from_base64url;
use zeroize::Zeroizing;

/// Octets of the longest file that is read whole.
const FILE_SIZE_MAX: u64 = 1 << 20;

/// A file that the service needs and cannot use.
#[derive(Debug, thiserror::Error)]
pub enum BadFile {
    /// Others than its owner can read or write it.
    #[error("{path} can be read or written by others (mode {mode:03o}): run `chmod 600 {path}`", path = path.display())]
    Exposed {
        /// Which.
        path: PathBuf,
        /// Its permission bits.
        mode: u32,
    },
    /// It is not what it should be.
    #[error("{path} does not hold {what}", path = path.display())]
    Malformed {
        /// Which.
        path: PathBuf,
        /// What it should hold.
        what: &'static str,
    },
    /// It cannot be read or written.
    #[error("{path}", path = path.display())]
    Io {
        /// Which.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
}

impl From<BadFile> for io::Error {
    fn from(bad: BadFile) -> Self {
        match bad {
            BadFile::Io { source, .. } => source,
            other => Self::other(other),
        }
    }
}

/// Reads a file that holds a key.
///
/// # Errors
/// [`BadFile::Exposed`] when its mode lets anybody but its owner in; [`BadFile::Io`].
pub(crate) fn read_private(path: &Path) -> Result<Zeroizing<Vec<u8>>, BadFile> {
    read_guarded(path, 0o077)
}

/// Reads one of systemd's credentials: its access list for the service's user shows as the group's right to read.
///
/// # Errors
/// As [`read_private`].
pub(crate) fn read_credential(path: &Path) -> Result<Zeroizing<Vec<u8>>, BadFile> {
    read_guarded(path, 0o037)
}

fn read_guarded(path: &Path, forbidden: u32) -> Result<Zeroizing<Vec<u8>>, BadFile> {
    let fault = |source| BadFile::Io { path: path.to_owned(), source };
    let file = File::open(path).map_err(fault)?;
    // The open file is asked, not the path: nobody can swap it in between.
    let mode = file.metadata().map_err(fault)?.mode() & 0o777;
    if mode & forbidden != 0 {
        return Err(BadFile::Exposed { path: path.to_owned(), mode });
    }
    let mut content = Zeroizing::new(Vec::new());
    file.take(FILE_SIZE_MAX).read_to_end(&mut content).map_err(fault)?;
    Ok(content)
}

/// Reads the root key: one line of base64url, 32 octets.
///
/// # Errors
/// As [`read_private`]; [`BadFile::Malformed`].
pub(crate) fn read_root_key(path: &Path) -> Result<Secret<32>, BadFile> {
    let content = read_private(path)?;
    let line = content.strip_suffix(b"\n").unwrap_or(&content);
    root_key(line).ok_or_else(|| BadFile::Malformed { path: path.to_owned(), what: A_ROOT_KEY })
}

/// What a root key looks like.
pub(crate) const A_ROOT_KEY: &str = "32 octets as one line of base64url";

/// A root key from its line.
pub(crate) fn root_key(line: &[u8]) -> Option<Secret<32>> {
    let octets = Zeroizing::new(from_base64url(std::str::from_utf8(line).ok()?).ok()?);
    Secret::copy_of(&octets)
}

/// Reads a file that anybody may read.
///
/// # Errors
/// [`BadFile::Io`].
pub(crate) fn read(path: &Path) -> Result<Vec<u8>, BadFile> {
    let fault = |source| BadFile::Io { path: path.to_owned(), source };
    let mut content = Vec::new();
    File::open(path).map_err(fault)?.take(FILE_SIZE_MAX).read_to_end(&mut content).map_err(fault)?;
    Ok(content)
}

/// Writes a file whole or not at all, durably: beside its place, synced, then moved there.
///
/// # Errors
/// [`BadFile::Io`].
pub(crate) fn write(path: &Path, content: &[u8], mode: u32) -> Result<(), BadFile> {
    let fault = |source| BadFile::Io { path: path.to_owned(), source };
    let half = path.with_extension("half");
    match std::fs::remove_file(&half) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(fault(error)),
        _ => {}
    }
    let mut file = OpenOptions::new().write(true).create_new(true).mode(mode).open(&half).map_err(fault)?;
    file.write_all(content).and_then(|()| file.sync_all()).map_err(fault)?;
    rename(&half, path)
}

/// Moves a file within its folder, durably.
///
/// # Errors
/// [`BadFile::Io`].
pub(crate) fn rename(from: &Path, to: &Path) -> Result<(), BadFile> {
    let fault = |source| BadFile::Io { path: to.to_owned(), source };
    std::fs::rename(from, to).and_then(|()| sync_folder(to.parent().unwrap_or(Path::new(".")))).map_err(fault)
}

/// Makes a folder's entries durable.
pub(crate) fn sync_folder(folder: &Path) -> io::Result<()> {
    File::open(folder)?.sync_all()
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    #[test]
    fn a_key_that_others_can_read_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("root.key");
        write(&path, b"secret", 0o600).unwrap();
        assert_eq!(read_private(&path).unwrap().as_slice(), b"secret");
        for mode in [0o640, 0o604, 0o620, 0o601] {
            std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).unwrap();
            let error = read_private(&path).unwrap_err();
            assert!(matches!(error, BadFile::Exposed { mode: found, .. } if found == mode));
            assert!(error.to_string().contains("chmod 600"), "{error}");
        }
    }

    #[test]
    fn a_root_key_is_32_octets_in_one_line() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("root.key");
        let line = "A".repeat(43);
        for good in [line.clone(), format!("{line}\n")] {
            write(&path, good.as_bytes(), 0o600).unwrap();
            assert_eq!(read_root_key(&path).unwrap().expose(), &[0; 32]);
        }
        for bad in
            ["", "AAAA", &line[1..], &format!("{line}\n\n"), &format!("{}B", &line[1..]), &format!("{line}=")]
        {
            write(&path, bad.as_bytes(), 0o600).unwrap();
            assert!(matches!(read_root_key(&path), Err(BadFile::Malformed { .. })), "{bad:?}");
        }
    }

    #[test]
    fn a_file_appears_whole_even_after_a_crash_half_way() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("tls.pem");
        std::fs::write(folder.path().join("tls.half"), "left by a crash").unwrap();
        write(&path, b"whole", 0o644).unwrap();
        assert_eq!(read(&path).unwrap(), b"whole");
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);
    }
}
