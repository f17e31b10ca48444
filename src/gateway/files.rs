//! Files that the configuration names. What is secret must be its owner's alone.

use std::fs::File;
use std::io::{self, Read as _};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use zeroize::Zeroizing;

/// A file that the gateway needs and cannot use.
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
    /// It cannot be read.
    #[error("cannot read {path}", path = path.display())]
    Io {
        /// Which.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// TLS does not take what it holds.
    #[error("{path} cannot be used", path = path.display())]
    Tls {
        /// Which.
        path: PathBuf,
        /// Why.
        source: rustls::Error,
    },
    /// It cannot be said whose certificates count.
    #[error("the system trusts no certificate authority: say upstream.ca_file")]
    NoAuthority,
}

/// Reads a file that holds a secret.
pub(crate) fn read_private(path: &Path) -> Result<Zeroizing<Vec<u8>>, BadFile> {
    let fault = |source| BadFile::Io { path: path.to_owned(), source };
    let file = File::open(path).map_err(fault)?;
    // The open file is asked, not the path: nobody can swap it in between.
    let mode = file.metadata().map_err(fault)?.mode() & 0o777;
    if mode & 0o077 != 0 {
        return Err(BadFile::Exposed { path: path.to_owned(), mode });
    }
    let mut content = Zeroizing::new(Vec::new());
    file.take(SIZE_MAX).read_to_end(&mut content).map_err(fault)?;
    Ok(content)
}

/// Reads a file that anybody may read.
pub(crate) fn read(path: &Path) -> Result<Vec<u8>, BadFile> {
    let fault = |source| BadFile::Io { path: path.to_owned(), source };
    let mut content = Vec::new();
    File::open(path).map_err(fault)?.take(SIZE_MAX).read_to_end(&mut content).map_err(fault)?;
    Ok(content)
}

/// Octets of the longest file that is read whole.
const SIZE_MAX: u64 = 1 << 20;
