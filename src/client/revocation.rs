//! Following a service's events: what they say of cached keys takes effect before the app hears of it.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use http_body_util::BodyExt as _;
use hyper::body::Incoming;
use sidekey_protocol::revocation::Target;
use sidekey_protocol::revocation::wire::Event;
use tokio::sync::broadcast::error::RecvError;
use tokio::sync::broadcast::{self, Receiver, Sender};
use tokio::task::AbortHandle;
use tokio::time::{sleep, timeout};

use crate::error::Error;
use crate::party::Party;
use crate::session::SessionKey;
use crate::sse::{Message, Parser};

/// What [`Watch::next`] tells.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Notice {
    /// What happened before is not known: the stream has begun, has begun again after too long a break, or the app has
    /// not listened for too long. Keys that were cached by then are fetched again when they are asked for.
    Gap,
    /// Something happened.
    Event(Event),
}

/// The events of one pairing. They are followed in the background, with reconnects, until this is dropped.
pub struct Watch {
    notices: Receiver<Result<Notice, Error>>,
    task: AbortHandle,
}

impl Watch {
    pub(crate) fn start(party: &Arc<Party>) -> Self {
        let (sender, notices) = broadcast::channel(BACKLOG);
        let task = tokio::spawn(follow(Arc::clone(party), sender)).abort_handle();
        Self { notices, task }
    }

    /// The next notice. `None` after the error that ends the stream: the pairing is over. Dropping the future loses
    /// nothing.
    ///
    /// # Errors
    /// [`Error::Revoked`], [`Error::PairAgain`], [`Error::Refused`]: there will be no more events.
    pub async fn next(&mut self) -> Option<Result<Notice, Error>> {
        match self.notices.recv().await {
            Ok(notice) => Some(notice),
            Err(RecvError::Lagged(_)) => Some(Ok(Notice::Gap)),
            Err(RecvError::Closed) => None,
        }
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl fmt::Debug for Watch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Watch")
    }
}

/// Why one connection came to its end.
enum End {
    /// The pairing is over.
    Over(Error),
    /// The connection is.
    Broken,
    /// The service says that it stops.
    Stopping,
}

async fn follow(party: Arc<Party>, notices: Sender<Result<Notice, Error>>) {
    let mut failures: u32 = 0;
    // The last event of which everything before has been heard.
    let mut after: Option<String> = None;
    loop {
        let wait = match party.transport.events("/v1/events", after.as_deref()).await {
            Ok(body) => {
                failures = 0;
                match listen(&party, body, &mut after, &notices).await {
                    End::Over(error) => return over(&party, &notices, error),
                    End::Broken | End::Stopping => Duration::ZERO,
                }
            }
            Err(error @ (Error::Revoked { .. } | Error::PairAgain { .. })) => {
                return over(&party, &notices, error);
            }
            // The first may be about our clock, which has been mended by its very answer.
            Err(error @ Error::Refused { .. }) if failures > 0 => return over(&party, &notices, error),
            Err(Error::Retry { after, .. }) => after,
            Err(error) => {
                tracing::warn!(pairing = %party.pairing, %error, "no events");
                Duration::ZERO
            }
        };
        let bound_ms = RECONNECT_MS.saturating_mul(1 << failures.min(10)).min(RECONNECT_MAX_MS);
        sleep(wait + Duration::from_millis(party.transport.ambient().up_to(bound_ms))).await;
        failures = failures.saturating_add(1);
    }
}

fn over(party: &Party, notices: &Sender<Result<Notice, Error>>, error: Error) {
    party.cache.drop_keys_if(|_| true);
    tell(notices, Err(error));
}

/// Reads one connection to its end.
async fn listen(
    party: &Arc<Party>,
    mut body: Incoming,
    after: &mut Option<String>,
    notices: &Sender<Result<Notice, Error>>,
) -> End {
    if after.is_none() {
        // Nobody vouches for what was fetched before the service began to tell us.
        gap(party, notices);
    }
    let mut parser = Parser::default();
    loop {
        // A heartbeat comes every 5 s: after three times that, the connection is dead, whatever TCP thinks.
        let Ok(Some(Ok(frame))) = timeout(SILENCE, body.frame()).await else { return End::Broken };
        let Ok(bytes) = frame.into_data() else { continue };
        let Ok(messages) = parser.push(&bytes) else { return End::Broken };
        for message in messages {
            if let Some(end) = heard(party, &message, notices).await {
                return end;
            }
        }
        if let Some(id) = parser.last_id() {
            *after = Some(id.to_owned());
        }
    }
}

/// One message: the cache first, then the app. `Some` when it says that this is the end.
async fn heard(
    party: &Arc<Party>,
    message: &Message,
    notices: &Sender<Result<Notice, Error>>,
) -> Option<End> {
    let event = match Event::parse(&message.event, &message.data) {
        Ok(Some(event)) => event,
        Ok(None) => return None,
        // Whatever it said, we do not know it.
        Err(_) => {
            tracing::warn!(pairing = %party.pairing, "malformed event");
            gap(party, notices);
            return None;
        }
    };
    match event {
        Event::Reset(_) => {
            gap(party, notices);
            return None;
        }
        Event::Stopping(_) => return Some(End::Stopping),
        Event::Head(moved) => {
            party.heads.show(moved.head).await;
            return None;
        }
        _ => {}
    }
    apply(party, &event);
    match &event {
        Event::Keys(_) => follow_keys(party),
        Event::Revoked(revoked) => party.heads.told(revoked).await,
        Event::Policy(_) => fetch_policy(party),
        _ => {}
    }
    let ours = match &event {
        Event::Revoked(revoked) if revoked.target == (Target::Pairing { pairing: party.pairing }) => {
            Some(End::Over(Error::Revoked { reason: revoked.reason.to_string(), at: revoked.at }))
        }
        _ => None,
    };
    tell(notices, Ok(Notice::Event(event)));
    ours
}

fn apply(party: &Party, event: &Event) {
    match event {
        Event::Approved(_)
        | Event::Head(_)
        | Event::Keys(_)
        | Event::Opened(_)
        | Event::Paired(_)
        | Event::Refused(_)
        | Event::Reset(_)
        | Event::Spent(_)
        | Event::Stopping(_) => {}
        Event::Rotated(rotated) => {
            party.cache.rotated(rotated.session, rotated.generation, rotated.reason, rotated.at);
        }
        Event::Ended(ended) => party.cache.over(ended.session, ended.at),
        Event::Policy(changed) => {
            let stale = |key: &SessionKey| changed.user.as_ref().is_none_or(|user| key.user() == user);
            party.cache.supersede_if(changed.at, stale);
        }
        Event::Revoked(revoked) => match &revoked.target {
            Target::Session { session } => party.cache.over(*session, revoked.at),
            Target::User { user, .. } => party.cache.drop_keys_if(|key| key.user() == user),
            Target::Server { .. } => party.cache.drop_keys_if(|_| true),
            Target::Pairing { pairing } if *pairing == party.pairing => party.cache.drop_keys_if(|_| true),
            // Of another device: the sessions that it shared are rotated, and each says so itself.
            Target::Credential { .. } | Target::Invitation { .. } | Target::Pairing { .. } => {}
        },
    }
}

/// A client holds the policy that its next key is made under before it asks for one, and refuses every older from then
/// on. Not all clients at the same moment; whoever needs it earlier asks earlier.
fn fetch_policy(party: &Arc<Party>) {
    if party.user.is_none() {
        return;
    }
    let party = Arc::clone(party);
    tokio::spawn(async move {
        sleep(Duration::from_millis(party.transport.ambient().up_to(POLICY_SPREAD_MS))).await;
        if let Err(error) = party.refresh_policy().await {
            tracing::warn!(pairing = %party.pairing, %error, "the new policy was not fetched");
        }
    });
}

/// The next policy will be signed by another key. The one that is held is fetched again too, under its signature.
fn follow_keys(party: &Arc<Party>) {
    let party = Arc::clone(party);
    tokio::spawn(async move {
        sleep(Duration::from_millis(party.transport.ambient().up_to(POLICY_SPREAD_MS))).await;
        let followed = match (party.follow_keys().await, &party.user) {
            (Ok(()), Some(_)) => party.refresh_policy().await.map(drop),
            (followed, _) => followed,
        };
        if let Err(error) = followed {
            tracing::warn!(pairing = %party.pairing, %error, "the new signing key was not followed");
        }
    });
}

/// Whatever was kept is looked at anew.
fn gap(party: &Party, notices: &Sender<Result<Notice, Error>>) {
    party.cache.drop_keys_if(|_| true);
    tell(notices, Ok(Notice::Gap));
}

fn tell(notices: &Sender<Result<Notice, Error>>, notice: Result<Notice, Error>) {
    // Nobody listens only while the watch is being dropped.
    drop(notices.send(notice));
}

const SILENCE: Duration = Duration::from_secs(15);
/// Notices that an app may leave unread before it is told of a gap instead.
const BACKLOG: usize = 256;
/// Within which all clients fetch a policy that has changed.
const POLICY_SPREAD_MS: u64 = 1_000;
const RECONNECT_MS: u64 = 500;
const RECONNECT_MAX_MS: u64 = 30_000;
