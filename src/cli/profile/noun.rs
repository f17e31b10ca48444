//! `sidekey profile`: the pairings and the administrators that this machine can act as.

use std::fs;
use std::path::PathBuf;
use std::sync::Arc;

use clap::Subcommand;
use serde_json::{Value, json};
use sidekey_client::admin::AdminCredential;
use sidekey_client::{Confirmed, FileKeyStore, KeyStore as _, Progress};

use super::{Chosen, Profile, admins, name};
use crate::confirm::Confirm;
use crate::exit::{Exit, Stop};
use crate::output::{List, Report, Screen, count, shell, word};
use crate::remote::{self, Timeout};

/// The verbs.
#[derive(Debug, Subcommand)]
pub enum Noun {
    /// List the profiles, and which one is acted as when none is named
    #[command(after_help = LIST_EXAMPLES)]
    List,
    /// Show what a profile is, without its keys
    #[command(after_help = SHOW_EXAMPLES)]
    Show {
        /// As `profile list` shows it
        #[arg(value_parser = name)]
        name: String,
    },
    /// Say that the enterprise took the digits of this device, where it was paired without a pin
    ///
    /// Say so only when you were told it by whoever approves devices, and not by this device or by a message: the digits
    /// alone tell that it talks to the enterprise's own service.
    #[command(after_help = MATCH_EXAMPLES)]
    Match {
        /// As `profile list` shows it
        #[arg(value_parser = name)]
        name: String,
        #[command(flatten)]
        timeout: Timeout,
    },
    /// Keep an administrator's credential under a name, one for each service
    ///
    /// Keeps a copy that this machine's user alone can read. (A pairing's profile is made by `sidekey join --profile`.)
    #[command(after_help = ADD_EXAMPLES)]
    Add {
        /// What to call it
        #[arg(value_parser = name)]
        name: String,
        /// The credential that `sidekey init` made
        #[arg(long, value_name = "FILE")]
        admin: PathBuf,
    },
    /// Act as this profile from now on, when none is named
    ///
    /// A pairing's and an administrator's are chosen apart: `session` and `join` act as the one, `server`, `client` and
    /// `revoke` as the other.
    #[command(after_help = USE_EXAMPLES)]
    Use {
        /// As `profile list` shows it
        #[arg(value_parser = name)]
        name: String,
    },
    /// Remove a profile, its keys and all
    ///
    /// The service is told nothing: a pairing that is over should be revoked there first.
    #[command(after_help = REMOVE_EXAMPLES)]
    Remove {
        /// As `profile list` shows it
        #[arg(value_parser = name)]
        name: String,
        #[command(flatten)]
        confirm: Confirm,
    },
}

/// A profile, as it is told. No secret among it.
struct Told {
    name: String,
    file: PathBuf,
    chosen: bool,
    what: What,
}

enum What {
    Admin(Box<AdminCredential>),
    Pairing(Box<sidekey_client::Profile>),
    /// Why it cannot be read.
    Unreadable(String),
}

impl Noun {
    /// Does it.
    ///
    /// # Errors
    /// There is no such profile, or it cannot be read or written.
    pub fn run(self, screen: Screen) -> Result<Report, Stop> {
        match self {
            Self::List => list(),
            Self::Show { name } => Ok(Told::of(&name)?.report()),
            Self::Match { name, timeout } => remote::block_on(timeout.bound(match_digits(&name, timeout))),
            Self::Add { name, admin } => add(&name, admin),
            Self::Use { name } => choose(&name),
            Self::Remove { name, confirm } => remove(&name, confirm, screen),
        }
    }
}

impl Told {
    fn of(name: &str) -> Result<Self, Stop> {
        let chosen = Chosen::read()?;
        let admin = admins::path(name)?;
        if admin.exists() {
            let what = match AdminCredential::read(&admin) {
                Ok(credential) => What::Admin(Box::new(credential)),
                Err(error) => What::Unreadable(error.to_string()),
            };
            return Ok(Self {
                chosen: chosen.admin.as_deref() == Some(name),
                name: name.into(),
                file: admin,
                what,
            });
        }
        let profile = Profile::chosen(Some(name.to_owned()))?;
        let file = profile.file()?;
        let what = match FileKeyStore::new(&file).load() {
            Ok(Some(profile)) => What::Pairing(Box::new(profile)),
            Ok(None) => What::Unreadable("it is gone".into()),
            Err(error) => What::Unreadable(error.to_string()),
        };
        Ok(Self { chosen: chosen.pairing() == name, name: name.into(), file, what })
    }

    fn facts(&self) -> Vec<(&'static str, String)> {
        let mut facts = vec![("profile", self.name.clone())];
        match &self.what {
            What::Admin(credential) => facts.extend([
                ("kind", "administrator".into()),
                ("service", credential.url.to_string()),
                ("party", credential.party.to_string()),
            ]),
            What::Pairing(profile) => {
                facts.extend([
                    ("kind", word(profile.role)),
                    ("service", profile.url.to_string()),
                    ("pairing", profile.pairing.to_string()),
                    ("server", profile.server.to_string()),
                ]);
                facts.extend(profile.user.iter().map(|user| ("user", user.to_string())));
                facts.push(("label", profile.label.clone()));
                facts.extend(profile.waiting.map(|waiting| ("digits", waiting.digits.to_string())));
            }
            What::Unreadable(why) => facts.extend([("kind", "unreadable".into()), ("why", why.clone())]),
        }
        facts.push(("chosen", if self.chosen { "yes".into() } else { "no".into() }));
        facts.push(("file", self.file.display().to_string()));
        facts
    }

    fn json(&self) -> Value {
        let mut json = json!({});
        for (name, value) in self.facts() {
            json[name] = if name == "chosen" { json!(self.chosen) } else { json!(value) };
        }
        json
    }

    fn report(&self) -> Report {
        let facts = self.facts();
        Report::new(format!("Profile {}:", self.name), self.json()).facts(facts)
    }

    fn row(&self) -> [String; 5] {
        let (kind, service, whose) = match &self.what {
            What::Admin(credential) => ("administrator".into(), credential.url.to_string(), String::new()),
            What::Pairing(profile) => {
                let whose = profile
                    .user
                    .as_ref()
                    .map_or(profile.server.to_string(), |user| format!("{user} at {}", profile.server));
                (word(profile.role), profile.url.to_string(), whose)
            }
            What::Unreadable(why) => ("unreadable".into(), String::new(), why.clone()),
        };
        let chosen = if self.chosen { "yes" } else { "" };
        [self.name.clone(), kind, service, whose, chosen.into()]
    }
}

fn list() -> Result<Report, Stop> {
    let names = admins::names()?.into_iter().chain(super::names()?);
    let profiles = names.map(|name| Told::of(&name)).collect::<Result<Vec<_>, _>>()?;
    let mut list = List::new(&["profile", "kind", "service", "of", "chosen"]);
    profiles.iter().for_each(|profile| list.row(&profile.row()));
    let items: Vec<_> = profiles.iter().map(Told::json).collect();
    let report = Report::new(count(profiles.len(), "profile"), json!({ "items": items })).list(list);
    Ok(if profiles.is_empty() {
        report.next("sidekey join, or sidekey profile add NAME --admin FILE")
    } else {
        report
    })
}

async fn match_digits(name: &str, timeout: Timeout) -> Result<Report, Stop> {
    let store = Arc::new(FileKeyStore::new(Profile::chosen(Some(name.to_owned()))?.file()?));
    let confirmed = Confirmed::open(store, timeout.ambient()).await.map_err(remote::refusal)?;
    let Some(confirmed) = confirmed else {
        let json = json!({ "profile": name, "state": "active" });
        return Ok(Report::new(format!("Profile {name} waits for nothing: it may act."), json));
    };
    let digits = confirmed.digits();
    let (state, did, next) = match confirmed.matches().await.map_err(remote::refusal)? {
        Progress::Active => {
            let did = format!("Profile {name} may act from now on.");
            ("active", did, format!("sidekey session list --profile {name}, on a user's device"))
        }
        Progress::Waits { .. } => {
            let did = format!("Kept that. Profile {name} still waits to be approved.");
            ("confirmed", did, "read the digits to your administrator".to_owned())
        }
    };
    let json = json!({ "profile": name, "state": state, "digits": digits });
    Ok(Report::new(did, json).facts([("digits", digits.to_string())]).next(next))
}

fn add(name: &str, credential: PathBuf) -> Result<Report, Stop> {
    if admins::exists(name)? || Profile::chosen(Some(name.to_owned()))?.exists()? {
        return Err(Stop::new(
            Exit::Conflict,
            "profile_exists",
            format!("there is a profile {name} already"),
        )
        .next("the same command with another name"));
    }
    let kept = admins::keep(name, &credential)?;
    let told = Told::of(name)?;
    let did = format!("Kept the administrator's credential for {} as profile {name}.", kept.url);
    Ok(Report::new(did, told.json()).facts(told.facts()).next(format!("sidekey profile use {name}")))
}

fn choose(name: &str) -> Result<Report, Stop> {
    let mut told = Told::of(name)?;
    let mut chosen = Chosen::read()?;
    let acts = match told.what {
        What::Admin(_) => {
            chosen.admin = Some(name.to_owned());
            "administrators' commands act as it"
        }
        _ => {
            chosen.pairing = Some(name.to_owned());
            "commands about sessions act as it"
        }
    };
    chosen.write()?;
    told.chosen = true;
    let did = format!("Chose profile {name}: where none is named, {acts}.");
    Ok(Report::new(did, told.json()).facts(told.facts()))
}

fn remove(name: &str, confirm: Confirm, screen: Screen) -> Result<Report, Stop> {
    let told = Told::of(name)?;
    confirm.ask(screen, &told.facts())?;
    fs::remove_file(&told.file).map_err(|error| {
        Stop::new(Exit::Failed, "profiles", format!("cannot remove {}: {error}", told.file.display()))
    })?;
    // An administrator's has one beside it, of what he saw.
    let _ = fs::remove_file(told.file.with_extension("head"));
    let mut chosen = Chosen::read()?;
    if chosen.forget(name) {
        chosen.write()?;
    }
    let report = Report::new(format!("Removed profile {name}."), json!({ "profile": name, "removed": true }));
    Ok(match &told.what {
        What::Pairing(profile) => report.next(format!(
            "sidekey revoke pairing {} --reason TEXT, as the administrator, if it is not revoked yet",
            profile.pairing
        )),
        _ => {
            report.next(format!("sidekey profile list; {} is gone", shell(&told.file.display().to_string())))
        }
    })
}

pub(crate) const EXAMPLES: &str = "\
Who a command acts as, the first that is there:
  1. --admin FILE, or --profile NAME: an administrator's or a pairing's, as the command needs
  2. SIDEKEY_ADMIN, or SIDEKEY_PROFILE
  3. the profile that `sidekey profile use` chose, one of each kind
  4. the pairing named default; admin.json in the data folder

Examples:
  sidekey profile add work --admin /var/lib/sidekey/admin.json
  sidekey profile use work
  sidekey server list --profile work";
const LIST_EXAMPLES: &str = "\
Examples:
  sidekey profile list
  sidekey profile list -o json";
const SHOW_EXAMPLES: &str = "\
Examples:
  sidekey profile show work";
const MATCH_EXAMPLES: &str = "\
Examples:
  sidekey profile match phone";
const ADD_EXAMPLES: &str = "\
Examples:
  sidekey profile add work --admin /var/lib/sidekey/admin.json";
const USE_EXAMPLES: &str = "\
Examples:
  sidekey profile use work";
const REMOVE_EXAMPLES: &str = "\
Examples:
  sidekey profile remove work
  sidekey profile remove phone --yes";
