//! `sidekey session`: session keys, as the mail server or the client that a profile is paired as; sessions, as an
//! administrator too.

mod seen;

use clap::Subcommand;
use serde_json::json;
use sidekey_client::SessionKey;
use sidekey_protocol::ids::{PartyId, SessionId, UserName};
use sidekey_protocol::session::{Audience, Capabilities, SUITES};

use self::seen::Among;
use crate::actor::{Acting, Actor};
use crate::exit::Stop;
use crate::output::{List, Report, count, shell};
use crate::profile::{Party, Profile};
use crate::remote::{self, Timeout};
use crate::time::{duration_s, rfc3339};

/// The verbs.
#[derive(Debug, Subcommand)]
pub enum Session {
    /// Open a session for a user's devices, as a mail server
    ///
    /// Issues a session key for all of the user's paired devices at this server, or for one pairing alone.
    #[command(after_help = OPEN_EXAMPLES)]
    Open {
        /// All devices of this user
        #[arg(required_unless_present = "pairing", conflicts_with = "pairing")]
        user: Option<UserName>,
        /// This device alone
        #[arg(long, value_name = "ID")]
        pairing: Option<PartyId>,
        /// How long the session lasts, up to 24h [default: what the policy says, else 1h]
        #[arg(long, value_name = "DURATION", value_parser = duration_s)]
        ttl: Option<u32>,
        #[command(flatten)]
        profile: Profile,
        #[command(flatten)]
        timeout: Timeout,
    },
    /// List sessions: a client's own, a user's at a mail server, or for an administrator all of them
    #[command(after_help = LIST_EXAMPLES)]
    List {
        /// Whose; a client's are its own
        user: Option<UserName>,
        #[command(flatten)]
        among: Among,
        #[command(flatten)]
        actor: Actor,
    },
    /// Show one session, as an administrator or as one of its parties
    #[command(after_help = SHOW_EXAMPLES)]
    Show {
        /// As `session list` shows it
        session: SessionId,
        #[command(flatten)]
        actor: Actor,
    },
    /// Fetch a session's key, as either side, and check it
    ///
    /// Opens the sealed key and holds it against what this pairing agreed on. Says what the key is for; the key itself
    /// is shown to nobody.
    #[command(after_help = KEY_EXAMPLES)]
    Key {
        /// As `session open` or `session list` shows it
        session: SessionId,
        /// An older key, within the two minutes after a rotation
        #[arg(long, value_name = "N")]
        generation: Option<u32>,
        #[command(flatten)]
        profile: Profile,
        #[command(flatten)]
        timeout: Timeout,
    },
    /// Give a session a new key, as its mail server or as an administrator
    ///
    /// The new key goes to the session's parties alone. What was sealed under the key before opens for another two minutes.
    #[command(after_help = ROTATE_EXAMPLES)]
    Rotate {
        /// As `session open` or `session list` shows it
        session: SessionId,
        #[command(flatten)]
        actor: Actor,
    },
    /// End a session, as its mail server or as an administrator
    #[command(after_help = END_EXAMPLES)]
    End {
        /// As `session open` or `session list` shows it
        session: SessionId,
        #[command(flatten)]
        actor: Actor,
    },
}

impl Session {
    /// Does it.
    ///
    /// # Errors
    /// What the service refuses, and what does not verify.
    pub async fn run(self) -> Result<Report, Stop> {
        match self {
            Self::Open { user, pairing, ttl, profile, timeout } => {
                let audience = match (user, pairing) {
                    (Some(user), None) => Audience::User(user),
                    (None, Some(pairing)) => Audience::Pairing(pairing),
                    _ => unreachable!("clap takes a user or a pairing"),
                };
                timeout.bound(open(&audience, ttl, &profile, timeout)).await
            }
            Self::List { user, among, actor } => actor.timeout().bound(list(user, among, &actor)).await,
            Self::Show { session, actor } => actor.timeout().bound(seen::show(session, &actor)).await,
            Self::Key { session, generation, profile, timeout } => {
                timeout.bound(key(session, generation, &profile, timeout)).await
            }
            Self::Rotate { session, actor } => actor.timeout().bound(rotate(session, &actor)).await,
            Self::End { session, actor } => actor.timeout().bound(end(session, &actor)).await,
        }
    }
}

async fn open(
    audience: &Audience,
    ttl_s: Option<u32>,
    profile: &Profile,
    timeout: Timeout,
) -> Result<Report, Stop> {
    let server = profile.server(timeout).await?;
    let suites: Vec<_> = SUITES.iter().map(|suite| suite.name()).collect();
    let capabilities = Capabilities::parse(&suites).expect("our own suites are capabilities");
    let key = server.issue(audience, ttl_s, &capabilities).await.map_err(remote::refusal);
    let key = key.map_err(|stop| match (stop.code(), audience) {
        ("not_found" | "no_pairing", Audience::User(user)) => {
            let what = format!("{user} has no paired device at {}", server.server());
            let (user, at) = (shell(user.as_str()), shell(server.server().as_str()));
            Stop::new(stop.exit(), stop.code(), what)
                .next(format!("sidekey client invite {user} --server {at}"))
        }
        _ => stop,
    })?;
    let report = facts(format!("Opened a session for {}.", key.user()), &key);
    Ok(report.next(format!("sidekey session key {} --profile NAME, on the user's device", key.session())))
}

async fn list(user: Option<UserName>, among: Among, actor: &Actor) -> Result<Report, Stop> {
    let party = match actor.acting().await? {
        Acting::Admin(admin) => return seen::list(&admin, user, among).await,
        Acting::Party(party) => party,
    };
    if !among.is_all() {
        return Err(Stop::usage("--server, --pairing and --state are an administrator's to say"));
    }
    let sessions = match (party, user) {
        (Party::Client(client), None) => client.current().await,
        (Party::Server(server), Some(user)) => server.sessions(&user).await,
        (Party::Client(_), Some(_)) => {
            return Err(Stop::usage("a client lists its own sessions: name no user"));
        }
        (Party::Server(_), None) => {
            return Err(Stop::usage("a mail server has many users: name the one whose sessions to list"));
        }
    };
    let sessions = sessions.map_err(remote::refusal)?;
    let mut list = List::new(&["session", "user", "generation", "suite", "since", "until"]);
    for session in &sessions {
        list.row(&[
            session.session.to_string(),
            session.user.to_string(),
            session.generation.to_string(),
            session.suite.name().into(),
            rfc3339(session.not_before),
            rfc3339(session.not_after),
        ]);
    }
    let report = Report::new(count(sessions.len(), "live session"), json!({ "items": sessions })).list(list);
    Ok(match sessions.first() {
        Some(first) => report.next(format!("sidekey session key {}{}", first.session, actor.option())),
        None => report,
    })
}

async fn key(
    session: SessionId,
    generation: Option<u32>,
    profile: &Profile,
    timeout: Timeout,
) -> Result<Report, Stop> {
    let key = match (profile.party(timeout).await?, generation) {
        (Party::Client(client), None) => client.session_key(session).await,
        (Party::Client(client), Some(generation)) => client.session_key_of(session, generation).await,
        (Party::Server(server), None) => server.session_key(session).await,
        (Party::Server(server), Some(generation)) => server.session_key_of(session, generation).await,
    };
    Ok(facts(
        "Fetched the session key, opened it, and found it as agreed.".into(),
        &*key.map_err(remote::refusal)?,
    ))
}

async fn rotate(session: SessionId, actor: &Actor) -> Result<Report, Stop> {
    let did = "Gave the session a new key.";
    match actor.acting().await? {
        Acting::Admin(admin) => Ok(seen::report(did, &admin.rotate(session).await.map_err(remote::refusal)?)),
        Acting::Party(party) => {
            let key = party.server()?.rotate(session).await.map_err(remote::refusal)?;
            Ok(facts(did.into(), &key))
        }
    }
}

async fn end(session: SessionId, actor: &Actor) -> Result<Report, Stop> {
    match actor.acting().await? {
        Acting::Admin(admin) => admin.end(session).await,
        Acting::Party(party) => party.server()?.end(session).await,
    }
    .map_err(remote::refusal)?;
    Ok(Report::new(format!("Ended session {session}."), json!({ "session": session, "ended": true })))
}

fn facts(did: String, key: &SessionKey) -> Report {
    let capabilities: Vec<_> = key.capabilities().iter().collect();
    let json = json!({
        "session": key.session(),
        "user": key.user(),
        "generation": key.generation(),
        "suite": key.suite().name(),
        "capabilities": capabilities,
        "not_before": key.not_before(),
        "not_after": key.not_after(),
    });
    Report::new(did, json).facts([
        ("session", key.session().to_string()),
        ("user", key.user().to_string()),
        ("generation", key.generation().to_string()),
        ("suite", key.suite().name().to_owned()),
        ("since", rfc3339(key.not_before())),
        ("until", rfc3339(key.not_after())),
    ])
}

pub(crate) const EXAMPLES: &str = "\
Examples:
  sidekey session open ann@example.org --profile mail
  sidekey session list --profile phone
  sidekey session key 000102030405060708090a0b0c0d0e0f --profile phone";
const OPEN_EXAMPLES: &str = "\
Examples:
  sidekey session open ann@example.org --profile mail
  sidekey session open --pairing 5b0f3c2a9d8e4f718293a4b5c6d7e8f9 --ttl 15m --profile mail";
const LIST_EXAMPLES: &str = "\
Examples:
  sidekey session list --profile phone
  sidekey session list ann@example.org --profile mail -o json
  sidekey session list --admin admin.json --server mail.example.org --state open";
const KEY_EXAMPLES: &str = "\
Examples:
  sidekey session key 000102030405060708090a0b0c0d0e0f --profile phone
  sidekey session key 000102030405060708090a0b0c0d0e0f --generation 0 --profile mail -o json";
const SHOW_EXAMPLES: &str = "\
Examples:
  sidekey session show 000102030405060708090a0b0c0d0e0f";
const ROTATE_EXAMPLES: &str = "\
Examples:
  sidekey session rotate 000102030405060708090a0b0c0d0e0f --profile mail
  sidekey session rotate 000102030405060708090a0b0c0d0e0f --admin admin.json";
const END_EXAMPLES: &str = "\
Examples:
  sidekey session end 000102030405060708090a0b0c0d0e0f --profile mail";
