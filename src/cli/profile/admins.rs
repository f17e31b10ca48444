//! Administrators' profiles: credentials under names of their own, one for each service.

use std::fs::{self, OpenOptions};
use std::io::{self, Read as _, Write as _};
use std::path::{Path, PathBuf};

use sidekey_client::admin::AdminCredential;
use zeroize::Zeroizing;

use super::{folder, make_private, names_in, unmade};
use crate::exit::{Exit, Stop};
use crate::output::shell;

/// The credential of the profile `name`.
///
/// # Errors
/// No folder for profiles is known.
pub fn path(name: &str) -> Result<PathBuf, Stop> {
    Ok(folder(FOLDER)?.join(format!("{name}{}", super::SUFFIX)))
}

/// Whether there is one of that name.
///
/// # Errors
/// No folder for profiles is known.
pub fn exists(name: &str) -> Result<bool, Stop> {
    Ok(path(name)?.exists())
}

/// Those that exist, in order.
///
/// # Errors
/// No folder for profiles is known.
pub fn names() -> Result<Vec<String>, Stop> {
    names_in(&folder(FOLDER)?)
}

/// Keeps a copy of `credential`, which its user alone may read, under a name.
///
/// # Errors
/// The file is no credential, or others can read it; the copy cannot be written.
pub fn keep(name: &str, credential: &Path) -> Result<AdminCredential, Stop> {
    let read = AdminCredential::read(credential).map_err(|error| {
        let path = credential.display();
        Stop::new(Exit::Denied, "credential_unusable", format!("{path} cannot be used: {error}"))
            .next(format!("chmod 600 {}, if it is a credential", shell(&path.to_string())))
    })?;
    let folder = folder(FOLDER)?;
    make_private(&folder).map_err(|error| unmade(&folder, &error))?;
    copied(credential, &path(name)?).map_err(|error| {
        Stop::new(Exit::Failed, "profiles", format!("cannot keep the profile {name}: {error}"))
    })?;
    Ok(read)
}

fn copied(from: &Path, to: &Path) -> io::Result<()> {
    let mut content = Zeroizing::new(Vec::with_capacity(SIZE_MAX));
    fs::File::open(from)?.take(SIZE_MAX as u64).read_to_end(&mut content)?;
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let mut file = options.open(to)?;
    file.write_all(&content)?;
    file.sync_all()
}

const FOLDER: &str = "admins";
/// A credential was read as one before: it is not longer.
const SIZE_MAX: usize = 192 * 1024;
