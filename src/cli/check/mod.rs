//! Checks of a service, of its files and of the way to it. Each says what it found, and when that is a fault, its mend.

pub mod certificate;
pub mod doors;
pub mod files;
pub mod instance;
pub mod network;
pub mod surroundings;

use std::path::Path;

use serde_json::json;
use sidekey_protocol::ids::Timestamp;
use sidekey_service::Config;
use sidekey_service::clock::{Clock as _, SystemClock};

use crate::exit::{Exit, Stop};
use crate::output::{List, Report};

/// One thing that was looked at.
#[derive(Clone, Debug)]
pub struct Check {
    name: &'static str,
    outcome: Outcome,
    said: String,
    mend: Option<String>,
}

/// How it came out.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Outcome {
    Fine,
    Finding,
    /// It could not be looked at.
    Unknown,
}

impl Check {
    /// It is as it should be.
    pub fn fine(name: &'static str, said: impl Into<String>) -> Self {
        Self { name, outcome: Outcome::Fine, said: said.into(), mend: None }
    }

    /// It is not, and this mends it: one command, or one sentence.
    pub fn finding(name: &'static str, said: impl Into<String>, mend: impl Into<String>) -> Self {
        Self { name, outcome: Outcome::Finding, said: said.into(), mend: Some(mend.into()) }
    }

    /// It could not be looked at, and why.
    pub fn unknown(name: &'static str, why: impl Into<String>) -> Self {
        Self { name, outcome: Outcome::Unknown, said: why.into(), mend: None }
    }

    /// What would stop a command is a finding.
    pub fn of_stop(name: &'static str, stop: &Stop) -> Self {
        let mend = stop.advice().unwrap_or("what is said is all that is known");
        Self::finding(name, stop.what(), mend)
    }

    /// Whether something is wrong.
    #[must_use]
    pub fn is_finding(&self) -> bool {
        self.outcome == Outcome::Finding
    }

    /// Whether it could be looked at, and nothing is wrong.
    #[must_use]
    pub fn is_fine(&self) -> bool {
        self.outcome == Outcome::Fine
    }
}

/// The checks as a table, a fault's mend below it; ends with `exit` when something is wrong.
pub fn report(did: impl Into<String>, checks: &[Check], exit: Exit) -> Report {
    let mut list = List::new(&["check", "result", "what"]);
    let mut items = Vec::new();
    for Check { name, outcome, said, mend } in checks {
        let (shown, word) = match outcome {
            Outcome::Fine => ("ok", "fine"),
            Outcome::Finding => ("FAULT", "finding"),
            Outcome::Unknown => ("not checked", "unknown"),
        };
        list.row(&[(*name).to_owned(), shown.to_owned(), said.clone()]);
        if let Some(mend) = mend {
            list.row(&[String::new(), "mend:".to_owned(), mend.clone()]);
        }
        items.push(json!({ "check": name, "outcome": word, "said": said, "mend": mend }));
    }
    let count = |outcome| checks.iter().filter(|check| check.outcome == outcome).count();
    let (findings, unknown) = (count(Outcome::Finding), count(Outcome::Unknown));
    let json = json!({ "items": items, "findings": findings, "unknown": unknown });
    Report::new(did, json).list(list).ending(if findings > 0 { Some(exit) } else { None })
}

/// What can be said of a configuration before it is used.
#[must_use]
pub fn of_configuration(config: &Config, file: &Path) -> Vec<Check> {
    let holder = instance::holder(&config.data);
    vec![
        Check::fine("configuration", format!("{} says what a configuration says", file.display())),
        files::options(config, file),
        files::permissions(config),
        certificate::check(config, now()),
        network::ports(config, holder),
        files::carriers(config),
    ]
}

/// The time by this machine's clock.
#[must_use]
pub fn now() -> Timestamp {
    SystemClock.now()
}
