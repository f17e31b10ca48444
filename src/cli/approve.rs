//! Approving and refusing devices and mail servers that wait for it. Shared by `client` and `server`.

use std::io::{self, IsTerminal as _};

use sidekey_client::Client;
use sidekey_client::admin::{Pairing, PairingFilter, Standing};
use sidekey_protocol::ids::{PartyId, Role, ServerName, UserName};
use sidekey_protocol::pairing::registry::PairingWaiting;
use sidekey_protocol::pairing::{Approval, Digits, Need, PartyLabel};
use sidekey_protocol::revocation::Reason;

use crate::client::pairing_facts;
use crate::exit::{Exit, Stop};
use crate::output::{Report, Screen, shell};
use crate::profile::Party;
use crate::remote::{Admin, Timeout, refusal};
use crate::time::rfc3339;

/// Whose word a new pairing needs.
#[derive(Clone, Copy, Debug, clap::ValueEnum)]
pub enum Word {
    /// Nobody's
    None,
    /// An administrator's
    Admin,
    /// An administrator's, or that of another of the user's devices
    Device,
}

impl From<Word> for Approval {
    fn from(word: Word) -> Self {
        match word {
            Word::None => Self::None,
            Word::Admin => Self::Admin,
            Word::Device => Self::Device,
        }
    }
}

/// A user's device that waits.
#[derive(Debug, clap::Args)]
pub struct Device {
    /// The device's pairing, as `client list --state confirmed` shows it
    #[arg(required_unless_present = "user", conflicts_with = "user")]
    pairing: Option<PartyId>,
    /// The one device of this user that waits
    #[arg(long, requires = "server")]
    user: Option<UserName>,
    /// The mail server that names the user
    #[arg(long, value_name = "NAME", requires = "user")]
    server: Option<ServerName>,
    /// Of this label, where several wait
    #[arg(long, value_name = "TEXT", requires = "user")]
    label: Option<PartyLabel>,
}

/// A mail server's machine that waits.
#[derive(Debug, clap::Args)]
pub struct Machine {
    /// The machine's pairing, as `server list NAME` shows it
    #[arg(required_unless_present = "server", conflicts_with = "server")]
    pairing: Option<PartyId>,
    /// The one machine of this mail server that waits
    #[arg(long, value_name = "NAME")]
    server: Option<ServerName>,
    /// Of this label, where several wait
    #[arg(long, value_name = "TEXT", requires = "server")]
    label: Option<PartyLabel>,
}

/// One that waits, however it is named.
#[derive(Debug)]
pub struct Which {
    role: Role,
    pairing: Option<PartyId>,
    user: Option<UserName>,
    server: Option<ServerName>,
    label: Option<PartyLabel>,
}

impl From<Device> for Which {
    fn from(device: Device) -> Self {
        let Device { pairing, user, server, label } = device;
        Self { role: Role::Client, pairing, user, server, label }
    }
}

impl From<Machine> for Which {
    fn from(machine: Machine) -> Self {
        let Machine { pairing, server, label } = machine;
        Self { role: Role::Server, pairing, user: None, server, label }
    }
}

/// What approving takes.
#[derive(Debug, clap::Args)]
pub struct Approving {
    /// The digits that you were told [default: asked for, or read from standard input]
    #[arg(long, value_name = "DIGITS", value_parser = digits)]
    digits: Option<Digits>,
    #[command(flatten)]
    admin: Admin,
}

/// What refusing takes.
#[derive(Debug, clap::Args)]
pub struct Refusing {
    /// Why, in up to 200 characters: the device is told, and the journal keeps it
    #[arg(long, value_name = "TEXT")]
    reason: Option<Reason>,
    #[command(flatten)]
    admin: Admin,
}

impl Approving {
    /// Approves, if the digits are the device's.
    ///
    /// # Errors
    /// Nothing that waits, several that do, other digits.
    pub async fn run(self, which: Which, screen: Screen) -> Result<Report, Stop> {
        let by = Approver::of(&self.admin).await?;
        let pairing = which.find(&by).await?;
        let digits = match self.digits {
            Some(digits) => digits,
            None => asked(screen)?,
        };
        let approved = match &by {
            Approver::Admin(admin) => admin.run(async |service| service.approve(pairing, digits).await).await,
            Approver::Device(device, timeout) => {
                timeout.bound(async { device.approve(pairing, digits).await.map_err(refusal) }).await
            }
        }?;
        let json = serde_json::to_value(&approved).expect("a pairing is representable as JSON");
        let unmatched = approved.waiting.as_ref().is_some_and(|waiting| waiting.needs.contains(&Need::Match));
        let (did, next) = if unmatched {
            (
                "Approved: the digits are the device's. It was paired without a pin, so it waits for its user.",
                "tell its user that the digits were taken; there: sidekey profile match NAME".to_owned(),
            )
        } else {
            ("Approved: the digits are the device's. It may act from now on.", which.list(Standing::Active))
        };
        Ok(Report::new(did, json).facts(pairing_facts(&approved)).next(next))
    }
}

impl Refusing {
    /// Refuses, for good.
    ///
    /// # Errors
    /// Nothing that waits, or several that do.
    pub async fn run(self, which: Which) -> Result<Report, Stop> {
        let by = Approver::of(&self.admin).await?;
        let (pairing, reason) = (which.find(&by).await?, self.reason);
        let refused = match &by {
            Approver::Admin(admin) => admin.run(async |service| service.refuse(pairing, reason).await).await,
            Approver::Device(device, timeout) => {
                timeout.bound(async { device.refuse(pairing, reason).await.map_err(refusal) }).await
            }
        }?;
        let json = serde_json::to_value(&refused).expect("a pairing is representable as JSON");
        let did = "Refused. It never comes back: to use the device after all, invite and pair it again.";
        Ok(Report::new(did, json).facts(pairing_facts(&refused)).next(which.list(Standing::Confirmed)))
    }
}

/// Who approves: an administrator, or another of the user's devices, whose profile was named.
enum Approver<'a> {
    Admin(&'a Admin),
    Device(Client, Timeout),
}

impl<'a> Approver<'a> {
    async fn of(admin: &'a Admin) -> Result<Self, Stop> {
        let Some(profile) = admin.pairing()? else { return Ok(Self::Admin(admin)) };
        match profile.party(admin.timeout()).await? {
            Party::Client(device) => Ok(Self::Device(device, admin.timeout())),
            Party::Server(_) => {
                let what =
                    "a mail server approves nobody: an administrator does, or another of a user's devices";
                Err(Stop::new(Exit::Denied, "wrong_role", what))
            }
        }
    }

    async fn pairings(&self, wanted: &PairingFilter) -> Result<Vec<Pairing>, Stop> {
        match self {
            Self::Admin(admin) => admin.run(async |service| service.pairings(wanted).await).await,
            Self::Device(device, timeout) => {
                let mut found = timeout.bound(async { device.devices().await.map_err(refusal) }).await?;
                found.retain(|pairing| wanted.state.is_none_or(|state| state == pairing.state));
                Ok(found)
            }
        }
    }
}

impl Which {
    /// As it is named, or the one that waits.
    async fn find(&self, by: &Approver<'_>) -> Result<PartyId, Stop> {
        if let Some(pairing) = self.pairing {
            return Ok(pairing);
        }
        let wanted = PairingFilter {
            role: Some(self.role),
            user: self.user.clone(),
            server: self.server.clone(),
            state: Some(Standing::Confirmed),
            created_after: None,
        };
        let mut found = by.pairings(&wanted).await?;
        found.retain(|pairing| self.label.as_ref().is_none_or(|label| pairing.label == *label));
        let list = self.list(Standing::Confirmed);
        match found.as_slice() {
            [one] => Ok(one.pairing),
            [] => {
                Err(Stop::new(Exit::NotFound, "nothing_waits", "nothing of that name waits to be approved")
                    .next(list))
            }
            several => {
                let named = |pairing: &Pairing| format!("{} {}", pairing.pairing, pairing.label);
                let names: Vec<_> = several.iter().take(SHOWN).map(named).collect();
                let what = format!(
                    "{} wait to be approved, name one by its pairing: {}",
                    several.len(),
                    names.join(", ")
                );
                Err(Stop::new(Exit::Conflict, "several_wait", what).next(list))
            }
        }
    }

    /// The command that shows those that stand so.
    fn list(&self, state: Standing) -> String {
        match (self.role, &self.server) {
            (Role::Client, _) => format!("sidekey client list --state {}", state.as_str()),
            (Role::Server, Some(server)) => format!("sidekey server list {}", shell(server.as_str())),
            (Role::Server, None) => "sidekey server list".to_owned(),
        }
    }
}

/// What a pairing waits for, as one line.
#[must_use]
pub(crate) fn waits(waiting: &PairingWaiting) -> String {
    let who = match waiting.approval {
        Approval::Device => "an administrator or another of the user's devices",
        _ => "an administrator",
    };
    let need = |need: &Need| match need {
        Need::Approval => format!("the word of {who}"),
        Need::Match => "its user's word that the digits were taken".to_owned(),
    };
    let needs: Vec<_> = waiting.needs.iter().map(need).collect();
    format!("{}, until {}", needs.join(" and "), rfc3339(waiting.until))
}

fn asked(screen: Screen) -> Result<Digits, Stop> {
    if io::stdin().is_terminal() {
        screen.note("The 16 digits that the device's user reads to you, then Enter:");
    }
    let mut said = String::new();
    let read = io::stdin().read_line(&mut said);
    read.map_err(|error| Stop::new(Exit::Failed, "input", format!("cannot read the digits: {error}")))?;
    digits(said.trim()).map_err(|what| Stop::new(Exit::Usage, "digits_malformed", what))
}

/// Digits as people write them.
pub(crate) fn digits(text: &str) -> Result<Digits, String> {
    text.parse().map_err(|_| "16 digits are needed, as in 1234 5678 9012 3456".to_owned())
}

/// How many of several are named.
const SHOWN: usize = 10;
