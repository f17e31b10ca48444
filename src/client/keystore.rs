//! Where a profile is kept.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read as _, Write as _};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use zeroize::Zeroizing;

use crate::profile::{Profile, SIZE_MAX};

/// Keeps one profile. An app may bring its own, over a platform's keychain say: [`Profile::expose_json`] and
/// [`Profile::from_json`] are all it needs.
///
/// The calls may block; this crate makes them off the async threads.
pub trait KeyStore: Send + Sync {
    /// What was saved last; `None` when there is nothing.
    ///
    /// # Errors
    /// What is there cannot be read, or is no profile.
    fn load(&self) -> io::Result<Option<Profile>>;

    /// Keeps `profile` in place of what was there. When it returns, a crash of the machine no longer undoes it; when
    /// the machine crashes before, the earlier profile is still whole.
    ///
    /// # Errors
    /// It could not be written; the earlier one is untouched.
    fn save(&self, profile: &Profile) -> io::Result<()>;

    /// Forgets the profile: after a revocation, or before pairing again.
    ///
    /// # Errors
    /// It could not be removed.
    fn erase(&self) -> io::Result<()>;
}

/// One JSON file that its user alone may read (0600), replaced whole. For one process at a time: of two that save, the
/// later wins.
///
/// The secrets in it are not sealed: whoever can read the user's files, or a backup of them, has this pairing, until
/// it is revoked. On a phone, prefer a store over the platform's keychain. An erased file may be recoverable from
/// the disk.
#[derive(Debug)]
pub struct FileKeyStore {
    path: PathBuf,
}

impl FileKeyStore {
    /// In this file, which need not exist; its folder must.
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self { path: path.into() }
    }

    fn folder(&self) -> &Path {
        match self.path.parent() {
            Some(folder) if !folder.as_os_str().is_empty() => folder,
            _ => Path::new("."),
        }
    }
}

impl KeyStore for FileKeyStore {
    fn load(&self) -> io::Result<Option<Profile>> {
        let file = match File::open(&self.path) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error),
        };
        refuse_readable_by_others(&file)?;
        let mut json = Zeroizing::new(Vec::with_capacity(SIZE_MAX + 1));
        file.take(SIZE_MAX as u64 + 1).read_to_end(&mut json)?;
        Profile::from_json(&json).map(Some)
    }

    fn save(&self, profile: &Profile) -> io::Result<()> {
        replace(&self.path, &profile.expose_json())?;
        sync_folder(self.folder())
    }

    fn erase(&self) -> io::Result<()> {
        match fs::remove_file(&self.path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            _ => sync_folder(self.folder()),
        }
    }
}

/// In memory: for tests, and for processes whose pairing need not outlive them.
#[derive(Default)]
pub struct MemoryKeyStore {
    json: Mutex<Option<Zeroizing<Vec<u8>>>>,
}

impl KeyStore for MemoryKeyStore {
    fn load(&self) -> io::Result<Option<Profile>> {
        let json = self.json.lock().unwrap_or_else(PoisonError::into_inner);
        json.as_ref().map(|json| Profile::from_json(json)).transpose()
    }

    fn save(&self, profile: &Profile) -> io::Result<()> {
        *self.json.lock().unwrap_or_else(PoisonError::into_inner) = Some(profile.expose_json());
        Ok(())
    }

    fn erase(&self) -> io::Result<()> {
        *self.json.lock().unwrap_or_else(PoisonError::into_inner) = None;
        Ok(())
    }
}

impl std::fmt::Debug for MemoryKeyStore {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("MemoryKeyStore")
    }
}

/// Leaves the old content or the new one, whole; its user alone may read it.
pub(crate) fn replace(path: &Path, content: &[u8]) -> io::Result<()> {
    let mut temporary = path.to_owned().into_os_string();
    temporary.push(".new");
    let temporary = PathBuf::from(temporary);
    // What a crash left behind; never opened, since others may have made it.
    match fs::remove_file(&temporary) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let mut file = private(&temporary)?;
    file.write_all(content)?;
    file.sync_all()?;
    fs::rename(&temporary, path)
}

/// A new file that its user alone may read.
fn private(path: &Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(path)
}

/// Refuses a file with a secret that others than its user may read or write; where there is no such thing, none.
///
/// # Errors
/// [`io::ErrorKind::PermissionDenied`]; its permissions cannot be seen.
#[cfg(unix)]
pub fn refuse_readable_by_others(file: &File) -> io::Result<()> {
    use std::os::unix::fs::PermissionsExt as _;

    if file.metadata()?.permissions().mode() & 0o077 == 0 {
        return Ok(());
    }
    Err(io::Error::new(io::ErrorKind::PermissionDenied, "others may read it: chmod 600"))
}

/// As on Unix, where files have such permissions.
///
/// # Errors
/// None.
#[cfg(not(unix))]
pub fn refuse_readable_by_others(_: &File) -> io::Result<()> {
    Ok(())
}

/// Makes a rename or a removal in `folder` outlive a crash of the machine.
#[cfg(unix)]
fn sync_folder(folder: &Path) -> io::Result<()> {
    File::open(folder)?.sync_all()
}

#[cfg(not(unix))]
fn sync_folder(_: &Path) -> io::Result<()> {
    Ok(())
}

#[cfg(test)]
mod tests {
    use sidekey_protocol::ids::Role;

    use super::*;
    use crate::profile::tests::profile;

    fn in_a_folder(test: impl FnOnce(&Path, FileKeyStore)) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("profile.json");
        test(&path, FileKeyStore::new(&path));
    }

    #[test]
    fn both_stores_keep_replace_and_forget() {
        let check = |store: &dyn KeyStore| {
            assert!(store.load().unwrap().is_none());
            store.erase().unwrap();
            store.save(&profile(Role::Client)).unwrap();
            store.save(&profile(Role::Server)).unwrap();
            assert_eq!(store.load().unwrap().unwrap().role, Role::Server);
            store.erase().unwrap();
            assert!(store.load().unwrap().is_none());
        };
        check(&MemoryKeyStore::default());
        in_a_folder(|_, store| check(&store));
    }

    #[test]
    fn what_is_no_profile_is_an_error_not_an_absence() {
        in_a_folder(|path, store| {
            store.save(&profile(Role::Client)).unwrap();
            fs::write(path, b"{}").unwrap();
            assert_eq!(store.load().unwrap_err().kind(), io::ErrorKind::InvalidData);
        });
    }

    #[test]
    fn a_save_that_fails_leaves_the_earlier_profile() {
        in_a_folder(|path, store| {
            store.save(&profile(Role::Client)).unwrap();
            // A folder stands where the temporary file goes: neither removed nor opened.
            fs::create_dir(path.with_extension("json.new")).unwrap();
            store.save(&profile(Role::Server)).unwrap_err();
            assert_eq!(store.load().unwrap().unwrap().role, Role::Client);
        });
    }

    #[cfg(unix)]
    #[test]
    fn its_user_alone_may_read_it() {
        use std::os::unix::fs::PermissionsExt as _;

        in_a_folder(|path, store| {
            fs::write(path.with_extension("json.new"), b"left behind by a crash").unwrap();
            store.save(&profile(Role::Client)).unwrap();
            assert_eq!(fs::metadata(path).unwrap().permissions().mode() & 0o777, 0o600);
            assert!(!path.with_extension("json.new").exists());
            fs::set_permissions(path, fs::Permissions::from_mode(0o640)).unwrap();
            assert_eq!(store.load().unwrap_err().kind(), io::ErrorKind::PermissionDenied);
        });
    }
}
