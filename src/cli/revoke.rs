//! `sidekey revoke`: for ever, of whatever there is.

use clap::Subcommand;
use serde_json::json;
use sidekey_client::admin::{Pairing, PairingFilter, Standing};
use sidekey_protocol::ids::{CredentialId, InvitationId, PartyId, ServerName, SessionId, UserName};
use sidekey_protocol::revocation::wire::RevokeAnswer;
use sidekey_protocol::revocation::{Reason, Target};

use crate::act::{self, Foreseen};
use crate::client::pairing_facts;
use crate::credential;
use crate::exit::Stop;
use crate::output::{Report, Screen};
use crate::remote::Admin;
use crate::time::rfc3339;

/// What to revoke.
#[derive(Debug, Subcommand)]
pub enum Revoke {
    /// One device or one gateway
    #[command(after_help = PAIRING_EXAMPLES)]
    Pairing {
        /// As `client list` or `server list NAME` shows it
        pairing: PartyId,
        #[command(flatten)]
        act: Reasoned,
    },
    /// All devices of a user, their sessions, proxies' credentials and invitations
    #[command(after_help = USER_EXAMPLES)]
    User {
        /// The user, as the mail server names them
        user: UserName,
        /// The mail server
        #[arg(long, value_name = "NAME")]
        server: ServerName,
        #[command(flatten)]
        act: Reasoned,
    },
    /// A mail server: its own pairings, and those of all its users
    #[command(after_help = SERVER_EXAMPLES)]
    Server {
        /// As `server list` shows it
        server: ServerName,
        #[command(flatten)]
        act: Reasoned,
    },
    /// One session: its key is refused from the next request on
    #[command(after_help = SESSION_EXAMPLES)]
    Session {
        /// As `session open` or `session list` shows it
        session: SessionId,
        #[command(flatten)]
        act: Reasoned,
    },
    /// A proxy's credential: the gateway sends away whoever is logged in with it
    #[command(after_help = CREDENTIAL_EXAMPLES)]
    Credential {
        /// As `credential list` shows it
        credential: CredentialId,
        #[command(flatten)]
        act: Reasoned,
    },
    /// An invitation that nobody should use any more
    #[command(after_help = INVITATION_EXAMPLES)]
    Invitation {
        /// As `client list --invitations` shows it
        invitation: InvitationId,
        #[command(flatten)]
        act: Reasoned,
    },
}

/// What every revocation takes.
#[derive(Debug, clap::Args)]
pub struct Reasoned {
    /// Why, in up to 200 characters: the revoked party is told, and the journal keeps it
    #[arg(long, value_name = "TEXT")]
    reason: Reason,
    #[command(flatten)]
    act: act::Act,
}

impl Revoke {
    /// Does it.
    ///
    /// # Errors
    /// What the service refuses; the user does not confirm.
    pub async fn run(self, screen: Screen) -> Result<Report, Stop> {
        let (target, act) = match self {
            Self::Pairing { pairing, act } => (Target::Pairing { pairing }, act),
            Self::User { user, server, act } => (Target::User { server, user }, act),
            Self::Server { server, act } => (Target::Server { server }, act),
            Self::Session { session, act } => (Target::Session { session }, act),
            Self::Credential { credential, act } => (Target::Credential { credential }, act),
            Self::Invitation { invitation, act } => (Target::Invitation { invitation }, act),
        };
        act.run(&target, screen).await
    }
}

impl Reasoned {
    /// Who acts, and where.
    pub(crate) const fn admin(&self) -> &Admin {
        &self.act.admin
    }

    /// Shows what it ends, asks, revokes, and says what that struck.
    ///
    /// # Errors
    /// What the service refuses; the user does not confirm.
    pub(crate) async fn run(&self, target: &Target, screen: Screen) -> Result<Report, Stop> {
        let (admin, reason) = (self.admin(), &self.reason);
        let foresee = async || {
            let Some(would) = admin.run(async |service| service.would_revoke(target, reason).await).await?
            else {
                return Ok(Foreseen::Nothing(nothing_to_do(target, self.act.is_dry()).into()));
            };
            let mut facts = acts_on(target, admin).await?;
            facts.extend(numbers(&would));
            facts.push(("reason", reason.to_string()));
            let did = format!("Would revoke {}.", name(target));
            Ok(Foreseen::Change { did, json: json(target, &would, true), facts })
        };
        if let Some(report) = self.act.first(screen, foresee).await? {
            return Ok(report);
        }
        let answer = admin.run(async |service| service.revoke(target, reason).await).await?;
        Ok(answer.map_or_else(|| nothing_to_do(target, false), |answer| struck(target, &answer)))
    }
}

fn nothing_to_do(target: &Target, dry_run: bool) -> Report {
    let json = json!({ "target": target, "already_revoked": true, "dry_run": dry_run });
    Report::new(format!("{} was revoked before, or is over: there is nothing to change.", name(target)), json)
}

fn json(target: &Target, answer: &RevokeAnswer, dry_run: bool) -> serde_json::Value {
    json!({
        "target": target,
        "already_revoked": false,
        "dry_run": dry_run,
        "revocations": answer.revocations,
        "invitations": answer.invitations,
        "pairings": answer.pairings,
        "credentials": answer.credentials,
        "sessions_rotated": answer.sessions_rotated,
        "sessions_ended": answer.sessions_ended,
    })
}

/// What a revocation strikes, in numbers.
fn numbers(answer: &RevokeAnswer) -> [(&'static str, String); 5] {
    let rotated = format!("{} (they go on for others, under new keys)", answer.sessions_rotated);
    [
        ("pairings revoked", answer.pairings.to_string()),
        ("credentials revoked", answer.credentials.to_string()),
        ("invitations cancelled", answer.invitations.to_string()),
        ("sessions ended", answer.sessions_ended.to_string()),
        ("sessions rotated", rotated),
    ]
}

fn struck(target: &Target, answer: &RevokeAnswer) -> Report {
    let did = format!("Revoked {}. It is refused from the next request on.", name(target));
    let report = Report::new(did, json(target, answer, false)).facts(numbers(answer));
    match target {
        Target::Credential { .. } => report.next("sidekey credential list --state active"),
        Target::Server { .. } => report.next("sidekey server list"),
        Target::User { server, .. } => report.next(format!("sidekey client list --server {server}")),
        _ => report.next("sidekey client list --state active"),
    }
}

/// What it is about: the user sees names where scripts see numbers.
async fn acts_on(target: &Target, admin: &Admin) -> Result<Vec<(&'static str, String)>, Stop> {
    let mut facts = vec![("revoke", name(target))];
    match target {
        Target::Pairing { pairing } => {
            facts.extend(pairing_facts(&admin.run(async |service| service.pairing(*pairing).await).await?));
        }
        Target::User { server, user } => {
            let wanted = live(server, Some(user));
            let found = admin.run(async |service| service.pairings(&wanted).await).await?;
            let device = |pairing: &Pairing| ("device", format!("{} {}", pairing.pairing, pairing.label));
            facts.extend(found.iter().take(DEVICES_SHOWN).map(device));
        }
        Target::Credential { credential } => {
            let found = admin.run(async |service| service.credential(*credential).await).await?;
            facts.extend(credential::facts(&found));
        }
        // The numbers say it all.
        Target::Server { .. } => {}
        Target::Invitation { invitation } => {
            let found = admin.run(async |service| service.invitation(*invitation).await).await?;
            facts.push(("for", found.user.as_ref().map_or(found.server.to_string(), ToString::to_string)));
            facts.push(("expires", rfc3339(found.expires)));
        }
        Target::Session { session } => {
            let found = admin.run(async |service| service.session(*session).await).await?;
            facts.push(("user", found.user.to_string()));
            facts.push(("server", found.server.to_string()));
            facts.push(("until", rfc3339(found.not_after)));
        }
    }
    Ok(facts)
}

fn live(server: &ServerName, user: Option<&UserName>) -> PairingFilter {
    let state = Some(Standing::Active);
    PairingFilter { server: Some(server.clone()), user: user.cloned(), state, ..PairingFilter::default() }
}

/// What it is called in sentences.
pub(crate) fn name(target: &Target) -> String {
    match target {
        Target::Pairing { pairing } => format!("pairing {pairing}"),
        Target::User { server, user } => format!("user {user} at {server}, with all devices"),
        Target::Server { server } => format!("mail server {server}, with all its users"),
        Target::Session { session } => format!("session {session}"),
        Target::Invitation { invitation } => format!("invitation {invitation}"),
        Target::Credential { credential } => format!("credential {credential}"),
    }
}

/// A user with more has them counted.
const DEVICES_SHOWN: usize = 20;

pub(crate) const EXAMPLES: &str = "\
Examples:
  sidekey revoke pairing 5b0f3c2a9d8e4f718293a4b5c6d7e8f9 --reason \"phone lost\"
  sidekey revoke user ann@example.org --server mail.example.org --reason \"left us\" --dry-run
  sidekey revoke user ann@example.org --server mail.example.org --reason \"left us\" --yes";
const PAIRING_EXAMPLES: &str = "\
Examples:
  sidekey revoke pairing 5b0f3c2a9d8e4f718293a4b5c6d7e8f9 --reason \"phone lost\"";
const USER_EXAMPLES: &str = "\
Examples:
  sidekey revoke user ann@example.org --server mail.example.org --reason \"left us\"";
const SERVER_EXAMPLES: &str = "\
Examples:
  sidekey revoke server mail.example.org --reason \"moved to another service\" --dry-run -o json
  sidekey revoke server mail.example.org --reason \"moved to another service\"";
const SESSION_EXAMPLES: &str = "\
Examples:
  sidekey revoke session 000102030405060708090a0b0c0d0e0f --reason \"key copied by mistake\" --yes";
const CREDENTIAL_EXAMPLES: &str = "\
Examples:
  sidekey revoke credential 7d20c9a4be5f13860f92d7e4a1c3b658 --reason \"app removed\" --yes";
const INVITATION_EXAMPLES: &str = "\
Examples:
  sidekey revoke invitation 0f0e0d0c0b0a09080706050403020100 --reason \"sent to the wrong person\"";
