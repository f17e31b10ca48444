//! Sessions as an administrator sees them, and one as its parties do. No key is among it.

use serde_json::json;
use sidekey_client::admin::{self, SessionFilter, SessionSeen, SessionState};
use sidekey_protocol::ids::{PartyId, ServerName, SessionId, UserName};

use crate::actor::{Acting, Actor};
use crate::exit::Stop;
use crate::output::{List, Report, count, word};
use crate::profile::Party;
use crate::remote;
use crate::since::Since;
use crate::time::rfc3339;

/// Which sessions an administrator wants to see.
#[derive(Clone, Debug, clap::Args)]
pub struct Among {
    /// At this mail server only, as an administrator
    #[arg(long, value_name = "NAME")]
    server: Option<ServerName>,
    /// Whose key this pairing may fetch, as an administrator
    #[arg(long, value_name = "ID")]
    pairing: Option<PartyId>,
    /// In this state only, as an administrator; what is over is known for two more minutes
    #[arg(long, value_enum)]
    state: Option<State>,
    #[command(flatten)]
    since: Since,
}

/// Whether a session gives keys.
#[derive(Clone, Copy, Debug, clap::ValueEnum)]
enum State {
    /// It does
    Open,
    /// It was ended before its time
    Ended,
    /// Its time is over
    Expired,
}

impl From<State> for SessionState {
    fn from(state: State) -> Self {
        match state {
            State::Open => Self::Open,
            State::Ended => Self::Ended,
            State::Expired => Self::Expired,
        }
    }
}

impl Among {
    /// Nothing is left out.
    pub(super) const fn is_all(&self) -> bool {
        self.server.is_none() && self.pairing.is_none() && self.state.is_none() && self.since.is_all()
    }
}

pub(super) async fn list(admin: &admin::Admin, user: Option<UserName>, among: Among) -> Result<Report, Stop> {
    let Among { server, pairing, state, since } = among;
    let (state, created_after) = (state.map(Into::into), since.after());
    let filter = SessionFilter { server, user, pairing, state, created_after };
    let sessions = admin.sessions(&filter).await.map_err(remote::refusal)?;
    let mut list =
        List::new(&["session", "user", "server", "state", "generation", "suite", "opened", "until"]);
    for session in &sessions {
        list.row(&[
            session.session.to_string(),
            session.user.to_string(),
            session.server.to_string(),
            word(session.state),
            session.generation.to_string(),
            session.suite.name().into(),
            rfc3339(session.opened),
            rfc3339(session.not_after),
        ]);
    }
    let report = Report::new(count(sessions.len(), "session"), json!({ "items": sessions })).list(list);
    Ok(match sessions.first() {
        Some(first) => report.next(format!("sidekey session show {}", first.session)),
        None => report,
    })
}

pub(super) async fn show(session: SessionId, actor: &Actor) -> Result<Report, Stop> {
    let found = match actor.acting().await? {
        Acting::Admin(admin) => admin.session(session).await,
        Acting::Party(Party::Client(client)) => client.session(session).await,
        Acting::Party(Party::Server(server)) => server.session(session).await,
    };
    Ok(report("A session:", &found.map_err(remote::refusal)?))
}

pub(super) fn report(did: &str, session: &SessionSeen) -> Report {
    let json = serde_json::to_value(session).expect("a session is representable as JSON");
    let whose = session.pairing.map_or_else(|| "all of the user's devices".to_owned(), |id| id.to_string());
    Report::new(did, json).facts([
        ("session", session.session.to_string()),
        ("user", session.user.to_string()),
        ("server", session.server.to_string()),
        ("for", whose),
        ("opened by", session.by.to_string()),
        ("state", word(session.state)),
        ("generation", session.generation.to_string()),
        ("suite", session.suite.name().to_owned()),
        ("opened", rfc3339(session.opened)),
        ("this key since", rfc3339(session.not_before)),
        ("until", rfc3339(session.not_after)),
    ])
}
