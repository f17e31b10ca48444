//! What one agent keeps: a folder that its user alone may enter, held by one process at a time.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use sidekey_client::refuse_readable_by_others;
use zeroize::Zeroizing;

/// The folder.
#[derive(Clone, Debug)]
pub struct Folder(PathBuf);

/// That no other process is this folder's agent, for as long as it lives.
#[derive(Debug)]
pub struct Held(#[expect(dead_code, reason = "what holds is that it is open")] File);

impl Folder {
    /// Made, if need be, for its user alone.
    ///
    /// # Errors
    /// It cannot be.
    pub fn make(path: impl Into<PathBuf>) -> io::Result<Self> {
        let path = path.into();
        fs::DirBuilder::new().recursive(true).mode(0o700).create(&path)?;
        Ok(Self(path))
    }

    /// A file in it, by its name.
    #[must_use]
    pub fn file(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }

    /// Takes it; `None` while another process has it.
    ///
    /// # Errors
    /// It cannot be known.
    pub fn hold(&self) -> io::Result<Option<Held>> {
        let file = OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600)
            .open(self.file("lock"))?;
        match file.try_lock() {
            Ok(()) => Ok(Some(Held(file))),
            Err(TryLockError::WouldBlock) => Ok(None),
            Err(TryLockError::Error(error)) => Err(error),
        }
    }

    /// What a file holds; `None` when there is none.
    ///
    /// # Errors
    /// It cannot be read.
    pub fn read(&self, name: &str) -> io::Result<Option<Zeroizing<Vec<u8>>>> {
        match File::open(self.file(name)) {
            Ok(file) => read_to_end(file).map(Some),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Puts this in place of what a file held. When it returns, a crash of the machine no longer undoes it.
    ///
    /// # Errors
    /// It could not be written; what was there is untouched.
    pub fn replace(&self, name: &str, content: &[u8]) -> io::Result<()> {
        let new = self.file(&format!("{name}.new"));
        match fs::remove_file(&new) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&new)?;
        file.write_all(content)?;
        file.sync_all()?;
        fs::rename(&new, self.file(name))?;
        File::open(&self.0)?.sync_all()
    }
}

/// A secret of one line, in a file that its user alone may read.
///
/// # Errors
/// It cannot be read, others may read it, or it is no line.
pub fn secret(path: &Path) -> io::Result<Zeroizing<Vec<u8>>> {
    let mut content = read_to_end(open_private(path)?)?;
    while matches!(content.last(), Some(b'\n' | b'\r')) {
        content.pop();
    }
    if content.is_empty() || content.iter().any(|octet| matches!(octet, 0 | b'\n' | b'\r')) {
        return Err(io::Error::new(io::ErrorKind::InvalidData, "it is not one line of text"));
    }
    Ok(content)
}

/// Opens what its user alone may read.
pub(crate) fn open_private(path: &Path) -> io::Result<File> {
    let file = File::open(path)?;
    refuse_readable_by_others(&file)?;
    Ok(file)
}

fn read_to_end(file: File) -> io::Result<Zeroizing<Vec<u8>>> {
    let mut content = Zeroizing::new(Vec::with_capacity(SIZE_MAX));
    file.take(SIZE_MAX as u64 + 1).read_to_end(&mut content)?;
    if content.len() > SIZE_MAX {
        return Err(io::Error::new(io::ErrorKind::InvalidData, "it is too long"));
    }
    Ok(content)
}

/// Octets of the longest file.
const SIZE_MAX: usize = 64 * 1024;

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    #[test]
    fn one_process_at_a_time_holds_it() {
        let temporary = tempfile::tempdir().unwrap();
        let folder = Folder::make(temporary.path().join("a/b")).unwrap();
        assert_eq!(fs::metadata(temporary.path().join("a/b")).unwrap().permissions().mode() & 0o777, 0o700);
        let held = folder.hold().unwrap();
        assert!(held.is_some() && folder.hold().unwrap().is_none());
        drop(held);
        assert!(folder.hold().unwrap().is_some());
    }

    #[test]
    fn what_is_replaced_is_its_user_s_alone() {
        let temporary = tempfile::tempdir().unwrap();
        let folder = Folder::make(temporary.path()).unwrap();
        assert!(folder.read("x").unwrap().is_none());
        for content in [&b"one"[..], b"two"] {
            folder.replace("x", content).unwrap();
            assert_eq!(**folder.read("x").unwrap().unwrap(), *content);
        }
        assert_eq!(fs::metadata(folder.file("x")).unwrap().permissions().mode() & 0o777, 0o600);
        fs::write(folder.file("x"), vec![b'x'; SIZE_MAX + 1]).unwrap();
        assert_eq!(folder.read("x").unwrap_err().kind(), io::ErrorKind::InvalidData);
    }

    #[test]
    fn a_secret_is_one_line_that_others_cannot_read() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("secret");
        for (content, read) in
            [("s3cret\r\n", Some("s3cret")), ("a b", Some("a b")), ("", None), ("\n", None), ("a\nb", None)]
        {
            fs::write(&path, content).unwrap();
            fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
            let found = secret(&path).ok();
            assert_eq!(
                found.as_ref().map(|secret| secret.as_slice()),
                read.map(str::as_bytes),
                "{content:?}"
            );
        }
        fs::set_permissions(&path, fs::Permissions::from_mode(0o640)).unwrap();
        assert_eq!(secret(&path).unwrap_err().kind(), io::ErrorKind::PermissionDenied);
    }
}
