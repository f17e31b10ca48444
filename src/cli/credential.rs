//! `sidekey credential`: what an operator's proxy logs in with at a gateway, as one user.

use clap::Subcommand;
use serde_json::json;
use sidekey_client::credential::{Credential as Seen, CredentialFilter, CredentialState};
use sidekey_protocol::ids::{CredentialId, ServerName, UserName};
use sidekey_protocol::pairing::PartyLabel;
use sidekey_protocol::revocation::Target;

use crate::exit::{Exit, Stop};
use crate::output::{List, Report, Screen, count, shell, word};
use crate::remote::Admin;
use crate::revoke::Reasoned;
use crate::server;
use crate::since::Since;
use crate::time::{duration_s, rfc3339};

/// The verbs.
#[derive(Debug, Subcommand)]
pub enum Credential {
    /// Issue a credential, with which a proxy logs in at the gateway as one user
    ///
    /// Prints its secret, once: the proxy's password for that user. It opens no mail and gets no key; whoever has it sees
    /// sealed mail alone. It is typed in either case, with hyphens or without.
    #[command(after_help = ISSUE_EXAMPLES)]
    Issue {
        /// The user, as the mail server names them
        user: UserName,
        /// Whom it is for: the operator or the app; no two live ones of a user have the same
        #[arg(long = "for", value_name = "LABEL")]
        label: PartyLabel,
        /// The mail server [default: the only one there is]
        #[arg(long, value_name = "NAME")]
        server: Option<ServerName>,
        /// How long it lasts, as 90d [default: until it is revoked]
        #[arg(long, value_name = "DURATION", value_parser = duration_s)]
        ttl: Option<u32>,
        #[command(flatten)]
        admin: Admin,
    },
    /// List credentials, and on which day each was used last; their secrets are shown nowhere
    #[command(after_help = LIST_EXAMPLES)]
    List {
        /// Of this user only
        #[arg(long)]
        user: Option<UserName>,
        /// At this mail server only
        #[arg(long, value_name = "NAME")]
        server: Option<ServerName>,
        /// In this state only
        #[arg(long, value_enum)]
        state: Option<State>,
        #[command(flatten)]
        since: Since,
        #[command(flatten)]
        admin: Admin,
    },
    /// Revoke a credential: the gateway sends away whoever is logged in with it
    ///
    /// It never comes back. By its id instead: sidekey revoke credential ID.
    #[command(after_help = REVOKE_EXAMPLES)]
    Revoke {
        /// The user, as the mail server names them
        user: UserName,
        /// Whom it is for, as `credential list` shows it
        #[arg(long = "for", value_name = "LABEL")]
        label: PartyLabel,
        /// The mail server [default: the only one there is]
        #[arg(long, value_name = "NAME")]
        server: Option<ServerName>,
        #[command(flatten)]
        act: Reasoned,
    },
}

impl Credential {
    /// Does it.
    ///
    /// # Errors
    /// What the service refuses; the user does not confirm.
    pub async fn run(self, screen: Screen) -> Result<Report, Stop> {
        match self {
            Self::Issue { user, label, server, ttl, admin } => {
                let server = server::meant(server, &admin).await?;
                issue(&server, &user, &label, ttl, &admin).await
            }
            Self::List { user, server, state, since, admin } => {
                let (state, created_after) = (state.map(CredentialState::from), since.after());
                list(&CredentialFilter { server, user, state, created_after }, &admin).await
            }
            Self::Revoke { user, label, server, act } => {
                let server = server::meant(server, act.admin()).await?;
                let credential = labelled(&label, user, server, act.admin()).await?;
                act.run(&Target::Credential { credential }, screen).await
            }
        }
    }
}

/// Whether a credential lets anybody in.
#[derive(Clone, Copy, Debug, clap::ValueEnum)]
pub enum State {
    /// It does
    Active,
    /// Its time is over
    Expired,
    /// Never again
    Revoked,
}

impl From<State> for CredentialState {
    fn from(state: State) -> Self {
        match state {
            State::Active => Self::Active,
            State::Expired => Self::Expired,
            State::Revoked => Self::Revoked,
        }
    }
}

async fn issue(
    server: &ServerName,
    user: &UserName,
    label: &PartyLabel,
    ttl_s: Option<u32>,
    admin: &Admin,
) -> Result<Report, Stop> {
    let issued =
        admin.run(async |service| service.issue_credential(server, user, label, ttl_s).await).await?;
    let json = serde_json::to_value(&issued).expect("what was issued is representable as JSON");
    let facts = [
        ("credential", issued.credential.to_string()),
        ("log in as", issued.user.to_string()),
        ("password", issued.secret.expose_printed().to_string()),
        ("at", issued.server.to_string()),
        ("expires", issued.expires.map_or_else(|| "when it is revoked".to_owned(), rfc3339)),
    ];
    let did = format!("Issued a credential of {user} for {label}. The password is not shown again.");
    Ok(Report::new(did, json).facts(facts).next(format!(
        "give the password to {label} alone; if that loses it: sidekey credential revoke {} --for {} --server {} --reason TEXT",
        shell(user.as_str()),
        shell(label.as_str()),
        shell(server.as_str()),
    )))
}

async fn list(wanted: &CredentialFilter, admin: &Admin) -> Result<Report, Stop> {
    let found = admin.run(async |service| service.credentials(wanted).await).await?;
    let mut list =
        List::new(&["credential", "user", "server", "for", "state", "created", "last used", "expires"]);
    for seen in &found {
        list.row(&[
            seen.credential.to_string(),
            seen.user.to_string(),
            seen.server.to_string(),
            seen.label.to_string(),
            state(seen),
            rfc3339(seen.created),
            day(seen),
            seen.expires.map(rfc3339).unwrap_or_default(),
        ]);
    }
    let report = Report::new(count(found.len(), "credential"), json!({ "items": found })).list(list);
    Ok(match found.iter().find(|seen| seen.state == CredentialState::Active) {
        None => report.next("sidekey credential issue USER --for LABEL"),
        Some(live) => report.next(format!(
            "sidekey revoke credential {} --reason TEXT, if nobody should use it any more",
            live.credential
        )),
    })
}

/// The live one of a user that has this label: there is one at most.
async fn labelled(
    label: &PartyLabel,
    user: UserName,
    server: ServerName,
    admin: &Admin,
) -> Result<CredentialId, Stop> {
    let list = format!(
        "sidekey credential list --user {} --server {}",
        shell(user.as_str()),
        shell(server.as_str())
    );
    let what = format!("{user} has no live credential for {label}");
    let (server, user, state) = (Some(server), Some(user), Some(CredentialState::Active));
    let wanted = CredentialFilter { server, user, state, created_after: None };
    let found = admin.run(async |service| service.credentials(&wanted).await).await?;
    let named = found.into_iter().find(|seen| seen.label == *label);
    named.map(|seen| seen.credential).ok_or_else(|| Stop::new(Exit::NotFound, "not_found", what).next(list))
}

/// A credential, name by name.
pub(crate) fn facts(seen: &Seen) -> Vec<(&'static str, String)> {
    vec![
        ("user", seen.user.to_string()),
        ("server", seen.server.to_string()),
        ("for", seen.label.to_string()),
        ("state", state(seen)),
        ("last used", Some(day(seen)).filter(|day| !day.is_empty()).unwrap_or_else(|| "never".to_owned())),
    ]
}

fn state(seen: &Seen) -> String {
    let revoked = seen.revoked.as_ref().map(|revoked| format!("revoked: {}", revoked.reason));
    revoked.unwrap_or_else(|| word(seen.state))
}

/// The day on which it was used last.
fn day(seen: &Seen) -> String {
    seen.last_used.map(rfc3339).and_then(|at| Some(at.split_once('T')?.0.to_owned())).unwrap_or_default()
}

pub(crate) const EXAMPLES: &str = "\
Examples:
  sidekey credential issue ann@example.org --for \"operator's push\"
  sidekey credential list --user ann@example.org
  sidekey credential revoke ann@example.org --for \"operator's push\" --reason \"another operator\"";
const ISSUE_EXAMPLES: &str = "\
Examples:
  sidekey credential issue ann@example.org --for \"operator's push\"
  sidekey credential issue ann@example.org --for k9 --server mail.example.org --ttl 90d
  sidekey credential issue ann@example.org --for k9 -o json";
const LIST_EXAMPLES: &str = "\
Examples:
  sidekey credential list
  sidekey credential list --user ann@example.org --state active
  sidekey credential list --server mail.example.org --since 1d -o json";
const REVOKE_EXAMPLES: &str = "\
Examples:
  sidekey credential revoke ann@example.org --for k9 --reason \"app removed\" --dry-run
  sidekey credential revoke ann@example.org --for k9 --reason \"app removed\" --yes";
