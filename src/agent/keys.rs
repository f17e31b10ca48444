//! Session keys for the connections of one device, and the word that there will be no more of them.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use sidekey_client::protocol::ids::SessionId;
use sidekey_client::protocol::revocation::Target;
use sidekey_client::protocol::revocation::wire::Event;
use sidekey_client::{Client, Error, Notice, SessionKey};
use tokio::sync::watch;
use tokio::task::AbortHandle;

use crate::alert::Distrust;

/// The keys of one pairing, followed for as long as this lives.
pub struct Keys {
    client: Client,
    strangers: Mutex<Strangers>,
    over: watch::Receiver<Option<Arc<str>>>,
    events: watch::Receiver<u64>,
    task: AbortHandle,
}

/// Why there is no key.
#[derive(Clone, Debug, thiserror::Error)]
pub enum NoKey {
    /// There is no such session, it is over, or it is not this user's.
    #[error("there is no such session")]
    Unknown,
    /// The service cannot be asked now, or was asked about strangers too often.
    #[error("the key service cannot be asked now")]
    Unreachable,
    /// What came in place of a key is an attack, or a service that cannot be believed.
    #[error(transparent)]
    Refused(Distrust),
}

impl Keys {
    /// Those of this pairing.
    #[must_use]
    pub fn of(client: Client) -> Self {
        let (told, over) = watch::channel(None);
        let (count, events) = watch::channel(0);
        let task = tokio::spawn(follow(client.clone(), told, count)).abort_handle();
        Self { client, strangers: Mutex::default(), over, events, task }
    }

    /// The pairing's own side.
    #[must_use]
    pub const fn client(&self) -> &Client {
        &self.client
    }

    /// Counts what is heard of the key service: with each, what is known of keys may be out of date.
    pub fn events(&self) -> watch::Receiver<u64> {
        self.events.clone()
    }

    /// Resolves, with the reason, when the pairing is over.
    pub async fn over(&self) -> Arc<str> {
        let mut over = self.over.clone();
        let reason = over.wait_for(Option::is_some).await.map(|reason| reason.clone());
        match reason {
            Ok(Some(reason)) => reason,
            // Whoever follows is gone with us.
            _ => std::future::pending().await,
        }
    }

    /// The key of the generation that a frame names. What is no session's of ours is asked about once a while, and seldom:
    /// whoever stands on the path can name as many as he likes.
    ///
    /// # Errors
    /// [`NoKey`].
    pub async fn named(&self, session: SessionId, generation: u32) -> Result<Arc<SessionKey>, NoKey> {
        self.strangers().admit(session, generation, Instant::now())?;
        match self.client.session_key_of(session, generation).await {
            Ok(key) => {
                self.strangers().known(session, generation);
                Ok(key)
            }
            Err(error) => Err(self.refused(session, generation, error)),
        }
    }

    /// The key to seal with: the newest of the session that the other end uses, else of the newest session.
    ///
    /// # Errors
    /// [`NoKey`].
    pub async fn newest(&self, near: Option<SessionId>) -> Result<Arc<SessionKey>, NoKey> {
        if let Some(session) = near
            && self.strangers().admit(session, ANY, Instant::now()).is_ok()
        {
            match self.client.session_key(session).await {
                Ok(key) => {
                    self.strangers().known(session, ANY);
                    return Ok(key);
                }
                Err(error) => match self.refused(session, ANY, error) {
                    NoKey::Unknown => {}
                    other => return Err(other),
                },
            }
        }
        let sessions = self.client.current().await.map_err(why)?;
        let newest = sessions.first().ok_or(NoKey::Unknown)?.session;
        let key = self.client.session_key(newest).await.map_err(why)?;
        self.strangers().known(newest, ANY);
        Ok(key)
    }

    fn refused(&self, session: SessionId, generation: u32, error: Error) -> NoKey {
        let why = why(error);
        if matches!(why, NoKey::Unknown) {
            self.strangers().unknown(session, generation, Instant::now());
        }
        why
    }

    fn strangers(&self) -> MutexGuard<'_, Strangers> {
        self.strangers.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Keys {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl fmt::Debug for Keys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Keys").field(&self.client).finish()
    }
}

fn why(error: Error) -> NoKey {
    match error {
        Error::Expired => NoKey::Unknown,
        Error::Refused { ref code, .. } if code == "not_found" => NoKey::Unknown,
        error => {
            tracing::warn!(%error, "no session key");
            Distrust::of(&error).map_or(NoKey::Unreachable, NoKey::Refused)
        }
    }
}

/// Listens until the pairing is over. (The client has dropped what an event outdates before we hear of it.)
async fn follow(client: Client, told: watch::Sender<Option<Arc<str>>>, count: watch::Sender<u64>) {
    let mut notices = client.watch();
    while let Some(notice) = notices.next().await {
        count.send_modify(|count| *count += 1);
        let reason = match notice {
            Ok(Notice::Event(Event::Revoked(revoked))) => match revoked.target {
                Target::Server { .. } | Target::User { .. } => revoked.reason.to_string(),
                Target::Pairing { pairing } if pairing == client.pairing() => revoked.reason.to_string(),
                _ => continue,
            },
            Ok(_) => continue,
            Err(Error::Revoked { reason, .. }) => reason,
            Err(error) => error.to_string(),
        };
        told.send_replace(Some(reason.into()));
        return;
    }
}

/// Sessions that frames name and the service has not told of.
#[derive(Default)]
struct Strangers {
    /// Those that were ours once, with the generations that there were.
    known: Vec<(SessionId, u32)>,
    /// Those that were not, and until when that is believed.
    unknown: HashMap<(SessionId, u32), Instant>,
    /// When questions about others were asked.
    asked: Vec<Instant>,
}

impl Strangers {
    /// Whether the service may be asked about it now; counts that it is.
    fn admit(&mut self, session: SessionId, generation: u32, now: Instant) -> Result<(), NoKey> {
        if self.unknown.get(&(session, generation)).is_some_and(|until| now < *until) {
            return Err(NoKey::Unknown);
        }
        if self.known.contains(&(session, generation)) {
            return Ok(());
        }
        self.asked.retain(|at| now.duration_since(*at) < MINUTE);
        if self.asked.len() >= QUESTIONS_PER_MINUTE {
            return Err(NoKey::Unreachable);
        }
        self.asked.push(now);
        Ok(())
    }

    fn known(&mut self, session: SessionId, generation: u32) {
        if !self.known.contains(&(session, generation)) {
            if self.known.len() >= KNOWN_MAX {
                self.known.remove(0);
            }
            self.known.push((session, generation));
        }
    }

    fn unknown(&mut self, session: SessionId, generation: u32, now: Instant) {
        self.unknown.retain(|_, until| now < *until);
        if self.unknown.len() < UNKNOWN_MAX {
            self.unknown.insert((session, generation), now + BELIEVED);
        }
    }
}

/// No generation is this one: of the newest, whichever that is.
const ANY: u32 = u32::MAX;
const MINUTE: Duration = Duration::from_secs(60);
/// About sessions and generations that were never ours.
const QUESTIONS_PER_MINUTE: usize = 20;
/// For how long the service's "there is none" is believed.
const BELIEVED: Duration = Duration::from_secs(30);
/// As many as a user's mail server has gateways, and the generations of some hours.
const KNOWN_MAX: usize = 64;
const UNKNOWN_MAX: usize = 1024;

#[cfg(test)]
mod tests {
    use sidekey_client::error::{Downgrade, Mismatch, Tampered, Unavailable};
    use sidekey_client::protocol::session::envelope::Reject;

    use super::*;

    fn session(n: u8) -> SessionId {
        SessionId::from_bytes([n; 16])
    }

    #[test]
    fn an_attack_is_told_from_a_service_that_is_away() {
        let downgrade = Downgrade::Envelope(Reject::SuiteDowngraded);
        assert!(matches!(
            why(Error::Downgrade(downgrade)),
            NoKey::Refused(Distrust::Downgrade(refused)) if refused == downgrade
        ));
        let tampered = Tampered::Envelope(Reject::KekForeign);
        assert!(matches!(why(Error::Tampered(tampered)), NoKey::Refused(Distrust::Tampered(_))));
        let foreign = Error::Mismatch(Mismatch::Policy);
        assert!(matches!(why(foreign), NoKey::Refused(Distrust::Mismatch(Mismatch::Policy))));
        let busy = Error::Retry { after: MINUTE, why: Unavailable::Busy };
        assert!(matches!(why(busy), NoKey::Unreachable));
        assert!(
            matches!(why(Error::Untrusted), NoKey::Unreachable),
            "a certificate that has ended, most likely"
        );
        assert!(matches!(why(Error::Expired), NoKey::Unknown));
    }

    #[test]
    fn strangers_are_asked_about_seldom_and_sessions_of_ours_always() {
        let (mut strangers, now) = (Strangers::default(), Instant::now());
        strangers.known(session(200), 7);
        for n in 0..20 {
            assert!(strangers.admit(session(n), 0, now).is_ok(), "{n}");
        }
        assert!(matches!(strangers.admit(session(21), 0, now), Err(NoKey::Unreachable)));
        assert!(strangers.admit(session(200), 7, now).is_ok());
        let other = strangers.admit(session(200), 8, now);
        assert!(matches!(other, Err(NoKey::Unreachable)), "generations can be invented too");
        assert!(strangers.admit(session(21), 0, now + MINUTE).is_ok());
    }

    #[test]
    fn an_unknown_one_is_believed_unknown_for_a_while_and_kept_in_bounds() {
        let (mut strangers, now) = (Strangers::default(), Instant::now());
        strangers.unknown(session(1), 0, now);
        assert!(matches!(strangers.admit(session(1), 0, now), Err(NoKey::Unknown)));
        assert!(strangers.admit(session(1), 1, now).is_ok(), "another generation is another question");
        assert!(strangers.admit(session(1), 0, now + BELIEVED).is_ok());
        for n in 0..5000_u32 {
            strangers.unknown(session(2), n, now);
            strangers.known(session(2), n);
        }
        assert_eq!((strangers.unknown.len(), strangers.known.len()), (UNKNOWN_MAX, KNOWN_MAX));
    }
}
