//! `sidekey root`: the key under which every other key is sealed.

use std::path::PathBuf;

use getrandom::SysRng;
use rand_core::UnwrapErr;
use serde_json::json;
use sidekey_service::config::RootKey;
use sidekey_service::fault::Fault;
use sidekey_service::root::{self, BadRootKey, Fresh, Rotated, Stage, Typed};
use sidekey_service::{BadFile, Config};

use crate::exit::{Exit, Stop};
use crate::output::{List, Report};
use crate::serve::{Configured, chain};
use crate::terminal;

/// Commands about the root key.
#[derive(Debug, clap::Subcommand)]
pub enum Root {
    Status(Status),
    Rotate(Rotate),
}

impl Root {
    /// Does it.
    ///
    /// # Errors
    /// What stands in the way.
    pub fn run(self) -> Result<Report, Stop> {
        match self {
            Self::Status(status) => status.run(),
            Self::Rotate(rotate) => rotate.run(),
        }
    }
}

/// Say where the root key comes from, and whether it is the one that the data folder asks for
///
/// Changes nothing, and may be asked while the service runs.
#[derive(Debug, clap::Args)]
#[command(after_help = STATUS_EXAMPLES)]
pub struct Status {
    #[command(flatten)]
    place: Configured,
}

/// Replace the root key; the old one opens nothing afterwards
///
/// The service must be stopped. Where the key is a file it is replaced there. Otherwise say where the new one is: both
/// open the folder until the service is started with the new one, which forgets the old. Cut short at any moment, the
/// same command goes on.
#[derive(Debug, clap::Args)]
#[command(after_help = ROTATE_EXAMPLES)]
pub struct Rotate {
    #[command(flatten)]
    place: Configured,
    /// Take the new key from this file, or make it there when there is none
    #[arg(long, value_name = "FILE", conflicts_with = "new_passphrase_file")]
    new_key_file: Option<PathBuf>,
    /// Derive the new key from the passphrase in this file
    #[arg(long, value_name = "FILE")]
    new_passphrase_file: Option<PathBuf>,
}

impl Status {
    fn run(self) -> Result<Report, Stop> {
        let (config, _) = self.place.read()?;
        let status = root::status(&config, passphrase(&config)?).map_err(|bad| explained(&bad, &config))?;
        let mut list = List::new(&["key", "from", "in force"]);
        let mut keys = Vec::new();
        for (id, passphrase) in &status.expected {
            let kind = if *passphrase { "passphrase" } else { "key" };
            let offered = status.offered == Some(*id);
            list.row(&[id.to_string(), kind.to_owned(), if offered { "yes" } else { "no" }.to_owned()]);
            keys.push(json!({ "key": id.to_string(), "from": kind, "offered": offered }));
        }
        let under_way = status.expected.len() > 1;
        let said = if under_way {
            format!("The {} opens the data folder; a rotation is under way.", config.root_key)
        } else {
            format!("The {} opens the data folder.", config.root_key)
        };
        let json = json!({
            "source": config.root_key.to_string(), "keys": keys, "rotation_under_way": under_way
        });
        let report = Report::new(said, json).list(list);
        Ok(if under_way {
            report.next(
                "start the service with the new key, which forgets the old, or sidekey root rotate again",
            )
        } else {
            report
        })
    }
}

impl Rotate {
    fn run(self) -> Result<Report, Stop> {
        let (config, path) = self.place.read()?;
        let fresh = match (&self.new_key_file, &self.new_passphrase_file) {
            (Some(file), _) => Fresh::File(absolute(file)?),
            (None, Some(file)) => Fresh::PassphraseFile(absolute(file)?),
            (None, None) => Fresh::InPlace,
        };
        let typed = passphrase(&config)?;
        let mut rng = UnwrapErr(SysRng);
        let rotated =
            root::rotate(&config, typed, &fresh, &mut rng).map_err(|bad| explained(&bad, &config))?;
        let Rotated { id, stage, resumed } = rotated;
        let json =
            json!({ "key": id.to_string(), "forgotten": stage == Stage::Forgotten, "resumed": resumed });
        Ok(match (stage, fresh) {
            (Stage::Forgotten, _) => {
                Report::new(format!("Key {id} alone opens the data folder now."), json).next("sidekey serve")
            }
            (Stage::Admitted, Fresh::PassphraseFile(file)) => {
                let source = RootKey::PassphraseFile(file);
                admitted(&id.to_string(), &source, &path, json)
            }
            (Stage::Admitted, Fresh::File(file)) => {
                admitted(&id.to_string(), &RootKey::File(file), &path, json)
            }
            (Stage::Admitted, Fresh::InPlace) => {
                Report::new(format!("Key {id} opens the data folder too."), json)
            }
        })
    }
}

fn admitted(id: &str, source: &RootKey, config: &std::path::Path, json: serde_json::Value) -> Report {
    let option = match source {
        RootKey::PassphraseFile(file) => format!("passphrase_file = {file:?}"),
        RootKey::File(file) => format!("file = {file:?}"),
        other => other.to_string(),
    };
    let said = format!(
        "Key {id} opens the data folder too. The old key does as well, until the service starts with this one."
    );
    let next = format!("set root_key = {{ {option} }} in {}, and sidekey serve", config.display());
    Report::new(said, json).next(next)
}

fn absolute(path: &std::path::Path) -> Result<PathBuf, Stop> {
    std::path::absolute(path)
        .map_err(|error| Stop::new(Exit::Failed, "path", format!("{}: {error}", path.display())))
}

/// The passphrase, where the configuration says that it is typed.
///
/// # Errors
/// Nobody is there to type it.
pub fn passphrase(config: &Config) -> Result<Typed, Stop> {
    match config.root_key {
        RootKey::PassphrasePrompt => terminal::ask_secret("Passphrase of the root key: ").map(Some),
        _ => Ok(None),
    }
}

/// What is wrong with the root key, and what to do about it.
#[must_use]
pub fn explained(bad: &BadRootKey, config: &Config) -> Stop {
    let what = chain(bad);
    let data = config.data.display();
    match bad {
        BadRootKey::Wrong { .. } | BadRootKey::Store(Fault::RootKeyWrong) => {
            Stop::new(Exit::Denied, "root_key_wrong", what)
                .next("put back the key that is expected; without it nothing in the folder opens")
        }
        BadRootKey::File(BadFile::Exposed { .. }) => Stop::new(Exit::Failed, "root_key_exposed", what),
        BadRootKey::Store(fault) => crate::serve::store_fault(fault, what, &config.data),
        BadRootKey::TargetMissing { .. } => {
            Stop::new(Exit::Usage, "target_missing", what).next("--new-key-file or --new-passphrase-file")
        }
        BadRootKey::Same => Stop::new(Exit::Conflict, "root_key_same", what).next("name another file"),
        _ => Stop::new(Exit::Failed, "root_key", what)
            .next(format!("put it there, or change root_key in the configuration of {data}")),
    }
}

const STATUS_EXAMPLES: &str = "\
Examples:
  sidekey root status
  sidekey root status --data /var/lib/sidekey -o json";

const ROTATE_EXAMPLES: &str = "\
Examples:
  sidekey root rotate
  sidekey root rotate --data /var/lib/sidekey --new-passphrase-file /etc/sidekey/passphrase";

/// Examples of the noun.
pub const EXAMPLES: &str = "\
Examples:
  sidekey root status
  sidekey root rotate";
