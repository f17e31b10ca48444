//! `sidekey revoke`: for ever, of whatever there is.

use clap::Subcommand;
use serde_json::json;
use sidekey_client::admin::{InvitationFilter, Pairing, PairingFilter, Standing};
use sidekey_protocol::ids::{InvitationId, PartyId, ServerName, SessionId, UserName};
use sidekey_protocol::revocation::wire::RevokeAnswer;
use sidekey_protocol::revocation::{Reason, Target};

use crate::confirm::Confirm;
use crate::exit::{Exit, Stop};
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
        act: Act,
    },
    /// All devices of a user, their sessions and invitations
    #[command(after_help = USER_EXAMPLES)]
    User {
        /// The user, as the mail server names them
        user: UserName,
        /// The mail server
        #[arg(long, value_name = "NAME")]
        server: ServerName,
        #[command(flatten)]
        act: Act,
    },
    /// A mail server: its own pairings, and those of all its users
    #[command(after_help = SERVER_EXAMPLES)]
    Server {
        /// As `server list` shows it
        server: ServerName,
        #[command(flatten)]
        act: Act,
    },
    /// One session: its key is refused from the next request on
    #[command(after_help = SESSION_EXAMPLES)]
    Session {
        /// As `session open` or `session list` shows it
        session: SessionId,
        #[command(flatten)]
        act: Act,
    },
    /// An invitation that nobody should use any more
    #[command(after_help = INVITATION_EXAMPLES)]
    Invitation {
        /// As `client list --invitations` shows it
        invitation: InvitationId,
        #[command(flatten)]
        act: Act,
    },
}

/// What every revocation takes.
#[derive(Debug, clap::Args)]
pub struct Act {
    #[command(flatten)]
    why: Why,
    #[command(flatten)]
    confirm: Confirm,
    #[command(flatten)]
    admin: Admin,
}

/// Why it is revoked.
#[derive(Clone, Debug, clap::Args)]
pub struct Why {
    /// Why, in up to 200 characters: the revoked party is told, and the journal keeps it
    #[arg(long, value_name = "TEXT")]
    reason: Reason,
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
            Self::Invitation { invitation, act } => (Target::Invitation { invitation }, act),
        };
        run(&target, &act.why, act.confirm, &act.admin, screen).await
    }
}

/// Shows what it acts on, asks, revokes, and says what that struck.
///
/// # Errors
/// What the service refuses; the user does not confirm.
pub(crate) async fn run(
    target: &Target,
    why: &Why,
    confirm: Confirm,
    admin: &Admin,
    screen: Screen,
) -> Result<Report, Stop> {
    if confirm.asks()? {
        let mut facts = acts_on(target, admin).await?;
        facts.push(("reason", why.reason.to_string()));
        confirm.ask(screen, &facts)?;
    }
    let answer = admin.run(async |service| service.revoke(target, &why.reason).await).await?;
    Ok(match answer {
        Some(answer) => struck(target, &answer),
        None => Report::new(
            format!("{} was revoked before: nothing was changed.", name(target)),
            json!({ "target": target, "already_revoked": true }),
        ),
    })
}

fn struck(target: &Target, answer: &RevokeAnswer) -> Report {
    let json = json!({
        "target": target,
        "already_revoked": false,
        "revocations": answer.revocations,
        "invitations": answer.invitations,
        "pairings": answer.pairings,
        "sessions_rotated": answer.sessions_rotated,
        "sessions_ended": answer.sessions_ended,
    });
    let report =
        Report::new(format!("Revoked {}. It is refused from the next request on.", name(target)), json)
            .facts([
                ("pairings revoked", answer.pairings.to_string()),
                ("invitations cancelled", answer.invitations.to_string()),
                ("sessions ended", answer.sessions_ended.to_string()),
                (
                    "sessions rotated",
                    format!("{} (they go on for others, under new keys)", answer.sessions_rotated),
                ),
            ]);
    match target {
        Target::Server { .. } => report.next("sidekey server list"),
        Target::User { server, .. } => report.next(format!("sidekey client list --server {server}")),
        _ => report.next("sidekey client list --state active"),
    }
}

/// What the user is asked about.
async fn acts_on(target: &Target, admin: &Admin) -> Result<Vec<(&'static str, String)>, Stop> {
    let mut facts = vec![("revoke", name(target))];
    match target {
        Target::Pairing { pairing } => {
            let all = admin.run(async |service| service.pairings(&PairingFilter::default()).await).await?;
            let found = all.iter().find(|candidate| candidate.pairing == *pairing);
            facts.extend(known(found.ok_or_else(|| unknown(target))?));
        }
        Target::User { server, user } => {
            let wanted = live(server, Some(user));
            let found = admin.run(async |service| service.pairings(&wanted).await).await?;
            facts.extend(
                found.iter().map(|pairing| ("device", format!("{} {}", pairing.pairing, pairing.label))),
            );
        }
        Target::Server { server } => {
            let found = admin.run(async |service| service.pairings(&live(server, None)).await).await?;
            facts.push(("active pairings", found.len().to_string()));
        }
        Target::Invitation { invitation } => {
            let all =
                admin.run(async |service| service.invitations(&InvitationFilter::default()).await).await?;
            let found = all.iter().find(|candidate| candidate.invitation == *invitation);
            let found = found.ok_or_else(|| unknown(target))?;
            facts.push(("for", found.user.as_ref().map_or(found.server.to_string(), ToString::to_string)));
            facts.push(("expires", rfc3339(found.expires)));
        }
        // An administrator sees no sessions: only their parties do.
        Target::Session { .. } => {}
    }
    Ok(facts)
}

fn live(server: &ServerName, user: Option<&UserName>) -> PairingFilter {
    let state = Some(Standing::Active);
    PairingFilter { server: Some(server.clone()), user: user.cloned(), state, role: None }
}

fn known(pairing: &Pairing) -> Vec<(&'static str, String)> {
    let user = pairing.user.as_ref().map(|user| ("user", user.to_string()));
    let facts = [
        ("server", pairing.server.to_string()),
        ("label", pairing.label.to_string()),
        ("paired", rfc3339(pairing.created)),
        ("last seen", pairing.last_seen.map_or_else(|| "never".to_owned(), rfc3339)),
    ];
    user.into_iter().chain(facts).collect()
}

fn unknown(target: &Target) -> Stop {
    Stop::new(Exit::NotFound, "not_found", format!("there is no {}", name(target)))
        .next("sidekey client list")
}

fn name(target: &Target) -> String {
    match target {
        Target::Pairing { pairing } => format!("pairing {pairing}"),
        Target::User { server, user } => format!("user {user} at {server}, with all devices"),
        Target::Server { server } => format!("mail server {server}, with all its users"),
        Target::Session { session } => format!("session {session}"),
        Target::Invitation { invitation } => format!("invitation {invitation}"),
    }
}

pub(crate) const EXAMPLES: &str = "\
Examples:
  sidekey revoke pairing 5b0f3c2a9d8e4f718293a4b5c6d7e8f9 --reason \"phone lost\"
  sidekey revoke user ann@example.org --server mail.example.org --reason \"left us\" --yes";
const PAIRING_EXAMPLES: &str = "\
Examples:
  sidekey revoke pairing 5b0f3c2a9d8e4f718293a4b5c6d7e8f9 --reason \"phone lost\"";
const USER_EXAMPLES: &str = "\
Examples:
  sidekey revoke user ann@example.org --server mail.example.org --reason \"left us\"";
const SERVER_EXAMPLES: &str = "\
Examples:
  sidekey revoke server mail.example.org --reason \"moved to another service\"";
const SESSION_EXAMPLES: &str = "\
Examples:
  sidekey revoke session 000102030405060708090a0b0c0d0e0f --reason \"key copied by mistake\" --yes";
const INVITATION_EXAMPLES: &str = "\
Examples:
  sidekey revoke invitation 0f0e0d0c0b0a09080706050403020100 --reason \"sent to the wrong person\"";
