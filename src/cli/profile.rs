//! Profiles: what this machine is paired as, and the administrators that it can act as. One file each, readable by its
//! user alone.

pub mod admins;
pub mod noun;

use std::env;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use sidekey_client::{Client, FileKeyStore, KeyStore as _, Server};
use sidekey_protocol::ids::Role;

use crate::exit::{Exit, Stop};
use crate::remote::{Timeout, refusal};
use crate::urls;

/// Which profile a command acts under.
#[derive(Clone, Debug, clap::Args)]
pub struct Profile {
    /// The pairing to act as, by the name that join gave it [env: SIDEKEY_PROFILE=] [default: the one that `profile use` chose, or default]
    #[arg(long, value_name = "NAME", value_parser = name)]
    profile: Option<String>,
}

impl Profile {
    /// As named; else the one that `profile use` chose, or the default.
    ///
    /// # Errors
    /// No folder for profiles is known.
    pub fn chosen(named: Option<String>) -> Result<Self, Stop> {
        let name = match named {
            Some(name) => name,
            None => Chosen::read()?.pairing().to_owned(),
        };
        Ok(Self { profile: Some(name) })
    }

    /// Its name: for a new pairing, and for messages.
    #[must_use]
    pub fn name(&self) -> String {
        self.profile.clone().or_else(in_environment).unwrap_or_else(|| DEFAULT.to_owned())
    }

    /// The option that names it in a command, empty where the command finds it without.
    #[must_use]
    pub fn option(&self) -> String {
        match &self.profile {
            Some(name) if name != DEFAULT => format!(" --profile {name}"),
            _ => String::new(),
        }
    }

    /// Its file, which need not exist; its folder does, from now on.
    ///
    /// # Errors
    /// No folder for profiles is known, or it cannot be made.
    pub fn new_file(&self) -> Result<PathBuf, Stop> {
        let folder = folder(FOLDER)?;
        make_private(&folder).map_err(|error| unmade(&folder, &error))?;
        Ok(folder.join(format!("{}{SUFFIX}", self.name())))
    }

    /// A file beside the profiles.
    ///
    /// # Errors
    /// No folder for profiles is known.
    pub fn home_file(file: &str) -> Result<PathBuf, Stop> {
        folder(file)
    }

    /// The folder in which this pairing's agent keeps what is its own.
    ///
    /// # Errors
    /// No folder for profiles is known.
    pub fn agent_folder(&self) -> Result<PathBuf, Stop> {
        Ok(folder("agent")?.join(self.path()?.0))
    }

    /// Whether it is there.
    ///
    /// # Errors
    /// No folder for profiles is known.
    pub fn exists(&self) -> Result<bool, Stop> {
        Ok(self.path()?.1.exists())
    }

    /// Its file, which must exist.
    ///
    /// # Errors
    /// It does not: names those that do.
    pub fn file(&self) -> Result<PathBuf, Stop> {
        let (name, path) = self.path()?;
        if path.exists() {
            return Ok(path);
        }
        let stop = |what, next| Stop::new(Exit::NotFound, "profile_not_found", what).next(next);
        let others = names()?;
        Err(match others.as_slice() {
            [] => stop(
                "this machine is not paired as anything yet".to_owned(),
                format!("sidekey join --profile {name}"),
            ),
            [one] => stop(
                format!("there is no pairing's profile {name}"),
                format!("the same command with --profile {one}"),
            ),
            many => stop(
                format!("there is no pairing's profile {name}"),
                format!("the same command with --profile and one of: {}", many.join(", ")),
            ),
        })
    }

    /// The pairing, ready to work.
    ///
    /// # Errors
    /// There is no such profile, or it cannot be read.
    pub async fn party(&self, timeout: Timeout) -> Result<Party, Stop> {
        let store = Arc::new(FileKeyStore::new(self.file()?));
        let others = urls::of_the_environment()?;
        let role = store.load().map_err(|error| self.unreadable(&error))?.map(|profile| profile.role);
        match role {
            Some(Role::Client) => Client::open_at(store, timeout.ambient(), &others).await.map(Party::Client),
            // Open explains a file that is gone since.
            Some(Role::Server) | None => {
                Server::open_at(store, timeout.ambient(), &others).await.map(Party::Server)
            }
        }
        .map_err(refusal)
    }

    /// The pairing, which must be a mail server's.
    ///
    /// # Errors
    /// As [`Self::party`]; it is a client's.
    pub async fn server(&self, timeout: Timeout) -> Result<Server, Stop> {
        self.party(timeout).await?.server()
    }

    fn unreadable(&self, error: &io::Error) -> Stop {
        let what = format!("cannot read the profile {}: {error}", self.name());
        Stop::new(Exit::Failed, "profile_unreadable", what)
    }

    fn path(&self) -> Result<(String, PathBuf), Stop> {
        let name = match self.profile.clone().or_else(in_environment) {
            Some(name) => name,
            None => Chosen::read()?.pairing().to_owned(),
        };
        let path = folder(FOLDER)?.join(format!("{name}{SUFFIX}"));
        Ok((name, path))
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

impl Party {
    /// The mail server that it is.
    ///
    /// # Errors
    /// It is a client.
    pub fn server(self) -> Result<Server, Stop> {
        match self {
            Self::Server(server) => Ok(server),
            Self::Client(_) => {
                let what = "this profile is a client's: only a mail server does this";
                Err(Stop::new(Exit::Denied, "wrong_role", what)
                    .next("the same command with --profile and a mail server's"))
            }
        }
    }
}

/// What `profile use` chose.
#[derive(Debug, Default, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Chosen {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    admin: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pairing: Option<String>,
}

impl Chosen {
    pub(crate) fn read() -> Result<Self, Stop> {
        let path = folder(CHOSEN)?;
        match fs::read(&path) {
            Ok(json) => serde_json::from_slice(&json).map_err(|error| unread(&path, &error)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Self::default()),
            Err(error) => Err(unread(&path, &error)),
        }
    }

    pub(crate) fn admin(&self) -> Option<&str> {
        self.admin.as_deref()
    }

    fn pairing(&self) -> &str {
        self.pairing.as_deref().unwrap_or(DEFAULT)
    }

    /// Whether `name` was chosen until now.
    fn forget(&mut self, name: &str) -> bool {
        let named = |chosen: &mut Option<String>| chosen.take_if(|chosen| chosen == name).is_some();
        named(&mut self.admin) | named(&mut self.pairing)
    }

    fn write(&self) -> Result<(), Stop> {
        let path = folder(CHOSEN)?;
        let json = serde_json::to_vec_pretty(self).expect("names are representable as JSON");
        let new = path.with_extension("new");
        fs::write(&new, json).and_then(|()| fs::rename(&new, &path)).map_err(|error| unread(&path, &error))
    }
}

fn unread(path: &Path, error: &dyn std::fmt::Display) -> Stop {
    Stop::new(Exit::Failed, "profiles", format!("cannot use {}: {error}", path.display()))
}

const DEFAULT: &str = "default";
const SUFFIX: &str = ".json";
const FOLDER: &str = "profiles";
const CHOSEN: &str = "chosen.json";

/// The profile that the environment names.
pub(crate) fn in_environment() -> Option<String> {
    env::var("SIDEKEY_PROFILE").ok().and_then(|text| name(&text).ok())
}

pub(crate) fn unmade(folder: &Path, error: &io::Error) -> Stop {
    Stop::new(Exit::Failed, "profiles", format!("cannot make the folder {}: {error}", folder.display()))
}

/// The option that names a profile after `suggested`, where that can be one.
#[must_use]
pub fn option_like(suggested: &str) -> String {
    name(suggested).map(|name| format!(" --profile {name}")).unwrap_or_default()
}

/// The pairings' profiles that exist, in order.
fn names() -> Result<Vec<String>, Stop> {
    names_in(&folder(FOLDER)?)
}

fn names_in(folder: &Path) -> Result<Vec<String>, Stop> {
    let Ok(entries) = folder.read_dir() else { return Ok(Vec::new()) };
    let mut names: Vec<_> = entries
        .filter_map(|entry| name(entry.ok()?.file_name().to_str()?.strip_suffix(SUFFIX)?).ok())
        .collect();
    names.sort();
    Ok(names)
}

/// Where profiles live, `SIDEKEY_HOME` or `sidekey` in the user's configuration folder, and `part` of it.
fn folder(part: &str) -> Result<PathBuf, Stop> {
    let set = |name: &str| env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    let home = set("SIDEKEY_HOME")
        .or_else(|| set("XDG_CONFIG_HOME").map(|config| config.join("sidekey")))
        .or_else(|| set("HOME").map(|home| home.join(".config/sidekey")))
        .or_else(|| set("APPDATA").map(|config| config.join("sidekey")));
    home.map(|home| home.join(part)).ok_or_else(|| {
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
pub(crate) fn name(text: &str) -> Result<String, String> {
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
