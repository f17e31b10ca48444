//! `sidekey config`: what the service would do, and whether it can.

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::Subcommand;
use serde_json::{Value, json};
use sidekey_service::config::{Effective, Flag, Origin, Setting};

use crate::check::{self, Check};
use crate::exit::{Exit, Stop};
use crate::output::{List, Report};
use crate::serve::{Configured, Data};

/// The verbs.
#[derive(Debug, Subcommand)]
pub enum Noun {
    /// Check a configuration before it is used: what it says, and the files, ports and certificate that it names
    ///
    /// Changes nothing, and ends with 2 when something is wrong.
    #[command(after_help = CHECK_EXAMPLES)]
    Check(Which),
    /// Show every option that holds, and who said so: the command line, the environment, the file, or nobody
    ///
    /// Configurations hold no keys, only the names of their files.
    #[command(after_help = DUMP_EXAMPLES)]
    Dump {
        #[command(flatten)]
        which: Which,
        /// Leave out addresses, names and paths: fit to be shown to others
        #[arg(long)]
        redacted: bool,
    },
}

/// Which configuration.
#[derive(Clone, Debug, clap::Args)]
pub struct Which {
    /// The configuration [default: sidekey.toml in the data folder]
    #[arg(conflicts_with = "data")]
    file: Option<PathBuf>,
    #[command(flatten)]
    data: Data,
    /// As `serve --listen`
    #[arg(long, value_name = "ADDRESS:PORT")]
    listen: Option<SocketAddr>,
}

impl Noun {
    /// Does it.
    ///
    /// # Errors
    /// There is no configuration; what is in it cannot be shown.
    pub fn run(self) -> Result<Report, Stop> {
        match self {
            Self::Check(which) => Ok(which.check()),
            Self::Dump { which, redacted } => Ok(dump(&which.file(), &which.effective()?, redacted)),
        }
    }
}

impl Which {
    /// The file.
    #[must_use]
    pub fn file(&self) -> PathBuf {
        self.place().file()
    }

    /// What holds.
    ///
    /// # Errors
    /// There is no configuration, or it is not one.
    pub fn effective(&self) -> Result<Effective, Stop> {
        let flag =
            |listen: SocketAddr| Flag { flag: "--listen", option: "listen", value: listen.to_string() };
        self.place().effective(self.listen.map(flag)).map(|(effective, _)| effective)
    }

    fn place(&self) -> Configured {
        Configured::new(self.file.clone(), self.data.clone())
    }

    fn check(&self) -> Report {
        let checks = match self.effective() {
            Ok(Effective { config, .. }) => check::of_configuration(&config, &self.file()),
            Err(stop) => vec![Check::of_stop("configuration", &stop)],
        };
        let path = self.file();
        let did = match checks.iter().filter(|check| check.is_finding()).count() {
            0 => format!("{} can be used:", path.display()),
            1 => format!("{} has 1 fault:", path.display()),
            n => format!("{} has {n} faults:", path.display()),
        };
        let report = check::report(did, &checks, Exit::Usage);
        if checks.iter().any(Check::is_finding) { report } else { report.next("sidekey serve") }
    }
}

/// The environment, so far as it is text.
pub fn environment() -> impl Iterator<Item = (String, String)> {
    std::env::vars_os()
        .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
}

fn dump(file: &std::path::Path, effective: &Effective, redacted: bool) -> Report {
    let mut list = List::new(&["option", "value", "said by"]);
    let mut items = Vec::new();
    for Setting { option, value, origin } in &effective.settings {
        let hidden = is_secret(option) || redacted && tells(option);
        let shown = if hidden { REDACTED.to_owned() } else { value.to_string() };
        let (kind, from) = match origin {
            Origin::Default => ("default", None),
            Origin::File(path) => ("file", Some(path.display().to_string())),
            Origin::Environment(name) => ("environment", Some(name.clone())),
            Origin::Flag(flag) => ("flag", Some((*flag).to_owned())),
        };
        let from = if redacted && kind == "file" { Some(REDACTED.to_owned()) } else { from };
        let said = match (kind, &from) {
            ("file", _) => "file".to_owned(),
            (_, Some(from)) => from.clone(),
            (kind, None) => kind.to_owned(),
        };
        list.row(&[option.clone(), shown, said]);
        let value = if hidden { json!(REDACTED) } else { plain(value) };
        items.push(json!({ "option": option, "value": value, "origin": kind, "from": from }));
    }
    let named = if redacted { REDACTED.to_owned() } else { file.display().to_string() };
    Report::new(format!("What holds, with {named}:"), json!({ "file": named, "items": items })).list(list)
}

fn plain(value: &toml::Value) -> Value {
    serde_json::to_value(value).expect("a setting is representable as JSON")
}

/// What would be a secret, were there one: configurations name files instead, and yet.
fn is_secret(option: &str) -> bool {
    ["_secret", "_password", "_passphrase", "_token"].iter().any(|end| option.ends_with(end))
}

/// What names machines, people or places: everything that is text, but for words that are the same everywhere.
fn tells(option: &str) -> bool {
    let section = option.split('.').next().unwrap_or_default();
    !matches!(section, "limits" | "log") && !option.ends_with(".tls")
}

const REDACTED: &str = "(redacted)";

pub(crate) const EXAMPLES: &str = "\
An option may be said on the command line, in the environment as SIDEKEY__SECTION__OPTION, in the file, or not at all;
the first of them holds.

Examples:
  sidekey config check
  sidekey config dump";
const CHECK_EXAMPLES: &str = "\
Examples:
  sidekey config check
  sidekey config check /etc/sidekey/sidekey.toml
  sidekey config check -o json";
const DUMP_EXAMPLES: &str = "\
Examples:
  sidekey config dump
  sidekey config dump --redacted -o json";
