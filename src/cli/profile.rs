//! Profiles: what this machine is paired as. One file each, readable by its user alone.

use std::env;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use sidekey_client::{Ambient, Client, FileKeyStore, KeyStore as _, Server};
use sidekey_protocol::ids::Role;

use crate::exit::{Exit, Stop};
use crate::remote::refusal;

/// Which profile a command acts under.
#[derive(Clone, Debug, clap::Args)]
pub struct Profile {
    /// The pairing to act as, by the name that join gave it
    #[arg(long, env = "SIDEKEY_PROFILE", value_name = "NAME", default_value = DEFAULT, value_parser = name)]
    profile: String,
}

impl Profile {
    /// Its name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.profile
    }

    /// The option that names it in a command, empty for the default.
    #[must_use]
    pub fn option(&self) -> String {
        if self.profile == DEFAULT { String::new() } else { format!(" --profile {}", self.profile) }
    }

    /// Its file, which need not exist; its folder does, from now on.
    ///
    /// # Errors
    /// No folder for profiles is known, or it cannot be made.
    pub fn new_file(&self) -> Result<PathBuf, Stop> {
        let folder = folder()?;
        make_private(&folder).map_err(|error| {
            Stop::new(
                Exit::Failed,
                "profiles",
                format!("cannot make the folder {}: {error}", folder.display()),
            )
        })?;
        Ok(self.path(&folder))
    }

    /// Its file, which must exist.
    ///
    /// # Errors
    /// It does not: names those that do.
    pub fn file(&self) -> Result<PathBuf, Stop> {
        let path = self.path(&folder()?);
        if path.exists() {
            return Ok(path);
        }
        let stop = |what, next| Stop::new(Exit::NotFound, "profile_not_found", what).next(next);
        let others = names()?;
        Err(match others.as_slice() {
            [] => stop(
                "this machine is not paired as anything yet".to_owned(),
                format!("sidekey join --profile {}", self.profile),
            ),
            [one] => stop(
                format!("there is no profile {}", self.profile),
                format!("the same command with --profile {one}"),
            ),
            many => stop(
                format!("there is no profile {}", self.profile),
                format!("the same command with --profile and one of: {}", many.join(", ")),
            ),
        })
    }

    /// The pairing, ready to work.
    ///
    /// # Errors
    /// There is no such profile, or it cannot be read.
    pub async fn party(&self) -> Result<Party, Stop> {
        let store = Arc::new(FileKeyStore::new(self.file()?));
        let role = store.load().map_err(|error| self.unreadable(&error))?.map(|profile| profile.role);
        match role {
            Some(Role::Client) => Client::open(store, Ambient::system()).await.map(Party::Client),
            // Open explains a file that is gone since.
            Some(Role::Server) | None => Server::open(store, Ambient::system()).await.map(Party::Server),
        }
        .map_err(refusal)
    }

    /// The pairing, which must be a mail server's.
    ///
    /// # Errors
    /// As [`Self::party`]; it is a client's.
    pub async fn server(&self) -> Result<Server, Stop> {
        match self.party().await? {
            Party::Server(server) => Ok(server),
            Party::Client(_) => {
                let what =
                    format!("the profile {} is a client's: only a mail server does this", self.profile);
                Err(Stop::new(Exit::Denied, "wrong_role", what)
                    .next("the same command with --profile and a mail server's"))
            }
        }
    }

    fn unreadable(&self, error: &io::Error) -> Stop {
        let what = format!("cannot read the profile {}: {error}", self.profile);
        Stop::new(Exit::Failed, "profile_unreadable", what)
    }

    fn path(&self, folder: &Path) -> PathBuf {
        folder.join(format!("{}{SUFFIX}", self.profile))
    }
}

/// What a profile is a pairing of.
#[derive(Debug)]
pub enum Party {
    /// A user's device.
    Client(Client),
    /// A mail server.
    Server(Server),
}

const DEFAULT: &str = "default";
const SUFFIX: &str = ".json";

/// The option that names a profile after `suggested`, where that can be one.
#[must_use]
pub fn option_like(suggested: &str) -> String {
    name(suggested).map(|name| format!(" --profile {name}")).unwrap_or_default()
}

/// The profiles that exist, in order.
fn names() -> Result<Vec<String>, Stop> {
    let Ok(entries) = folder()?.read_dir() else { return Ok(Vec::new()) };
    let mut names: Vec<_> = entries
        .filter_map(|entry| name(entry.ok()?.file_name().to_str()?.strip_suffix(SUFFIX)?).ok())
        .collect();
    names.sort();
    Ok(names)
}

/// Where profiles live: `SIDEKEY_HOME`, or `sidekey` in the user's configuration folder.
fn folder() -> Result<PathBuf, Stop> {
    let set = |name: &str| env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    let home = set("SIDEKEY_HOME")
        .or_else(|| set("XDG_CONFIG_HOME").map(|config| config.join("sidekey")))
        .or_else(|| set("HOME").map(|home| home.join(".config/sidekey")))
        .or_else(|| set("APPDATA").map(|config| config.join("sidekey")));
    let home = home.map(|home| home.join("profiles"));
    home.ok_or_else(|| {
        Stop::new(Exit::Failed, "no_home", "no folder is known to keep profiles in")
            .next("set SIDEKEY_HOME to one")
    })
}

#[cfg(unix)]
fn make_private(folder: &Path) -> io::Result<()> {
    use std::os::unix::fs::DirBuilderExt as _;

    fs::DirBuilder::new().recursive(true).mode(0o700).create(folder)
}

#[cfg(not(unix))]
fn make_private(folder: &Path) -> io::Result<()> {
    fs::create_dir_all(folder)
}

/// A name that is a folder's name everywhere, and hides nothing.
fn name(text: &str) -> Result<String, String> {
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_' | '@' | '+');
    let fine = (1..=64).contains(&text.len()) && text.chars().all(plain) && !text.starts_with(['.', '-']);
    if fine {
        Ok(text.to_owned())
    } else {
        Err("1 to 64 of a-z A-Z 0-9 . - _ @ +, not starting with . or -".into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_profile_name_stays_in_its_folder() {
        for good in ["default", "mail.example.org", "ann@example.org"] {
            assert!(name(good).is_ok(), "{good}");
        }
        for bad in ["", ".", "..", "../x", "a/b", ".hidden", "-x", "a b", &"a".repeat(65)] {
            assert!(name(bad).is_err(), "{bad}");
        }
    }
}
