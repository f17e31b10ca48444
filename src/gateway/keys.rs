//! The sessions of this process: one for each user, opened when he first logs in, shared by all his connections, and
//! followed by another well before its end.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use sidekey_client::{Clock, Error, Server, SessionKey};
use sidekey_protocol::ids::{SessionId, Timestamp, UserName};
use sidekey_protocol::object::ObjectKeys;
use sidekey_protocol::session::{Audience, Capabilities};
use tokio::sync::watch;

use crate::metrics::Metrics;
use crate::session::{Keys, Unavailable};

/// Keys by user.
pub(crate) struct Keyring {
    server: Server,
    clock: Arc<dyn Clock>,
    capabilities: Capabilities,
    metrics: Arc<Metrics>,
    users: Mutex<HashMap<UserName, Arc<Slot>>>,
}

/// One user's.
struct Slot {
    user: UserName,
    /// Who holds it asks the service; the others wait for what he gets.
    asking: tokio::sync::Mutex<()>,
    newest: watch::Sender<Option<Arc<Held>>>,
    /// Those that were opened since this process began, the newest last.
    opened: Mutex<Vec<SessionId>>,
}

/// A session key, as the connections hold it.
pub(crate) struct Held(Arc<SessionKey>);

impl Keys for Held {
    fn object(&self) -> &ObjectKeys {
        self.0.keys()
    }

    fn session(&self) -> SessionId {
        self.0.session()
    }

    fn generation(&self) -> u32 {
        self.0.generation()
    }

    fn not_after(&self) -> Timestamp {
        self.0.not_after()
    }
}

impl fmt::Debug for Held {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl Held {
    /// When another one should be asked for, while this one still does: in the last quarter of its time, or of an hour.
    pub(crate) fn late_in_s(&self, now: Timestamp) -> u32 {
        let whole_s = self.0.not_after().0.saturating_sub(self.0.not_before().0);
        self.left_s(now).saturating_sub(whole_s.min(3600) / 4)
    }

    fn left_s(&self, now: Timestamp) -> u32 {
        self.0.not_after().0.saturating_sub(now.0)
    }
}

impl Keyring {
    /// Sessions of this server, opened with these capabilities.
    pub(crate) fn new(
        server: Server,
        clock: Arc<dyn Clock>,
        capabilities: Capabilities,
        metrics: Arc<Metrics>,
    ) -> Self {
        Self { server, clock, capabilities, metrics, users: Mutex::default() }
    }

    /// How many keys are held, and for how long the oldest is in force.
    pub(crate) fn held(&self) -> (usize, u32) {
        let now = self.clock.now();
        let users = self.users.lock().unwrap_or_else(PoisonError::into_inner);
        let ages = users.values().filter_map(|slot| {
            let held = slot.newest.borrow();
            held.as_ref().map(|held| now.0.saturating_sub(held.0.not_before().0))
        });
        ages.fold((0, 0), |(count, oldest_s), age_s| (count + 1, age_s.max(oldest_s)))
    }

    /// What sessions are opened with, as it is advertised.
    pub(crate) fn capabilities(&self) -> Arc<[String]> {
        self.capabilities.iter().map(str::to_owned).collect()
    }

    /// What a user's connections follow: the newest of his keys, `None` until there is one, and after it was revoked.
    pub(crate) fn follow(&self, user: &UserName) -> watch::Receiver<Option<Arc<Held>>> {
        self.slot(user).newest.subscribe()
    }

    /// The key in force for the user. With the service away the one that is held does, to its end.
    pub(crate) async fn current(&self, user: &UserName) -> Result<Arc<Held>, Unavailable> {
        let slot = self.slot(user);
        let _asking = slot.asking.lock().await;
        let held = slot.newest.borrow().clone();
        let held = held.filter(|held| held.left_s(self.clock.now()) > 0);
        let found = match &held {
            Some(held) if held.late_in_s(self.clock.now()) > 0 => {
                match self.server.session_key(held.session()).await {
                    // It has ended before its time.
                    Err(Error::Expired) => self.open(&slot).await,
                    found => found,
                }
            }
            _ => self.open(&slot).await,
        };
        match (found, held) {
            (Ok(key), held) => Ok(slot.put(key, held)),
            (Err(error @ Error::Retry { .. }), held) => {
                self.metrics.key_service_failed("session_key");
                tracing::warn!(%error, held = held.is_some(), "no session key from the key service");
                held.ok_or(Unavailable::Later)
            }
            (Err(error), _) => {
                self.metrics.key_service_failed("session_key");
                tracing::warn!(%error, "the key service gives no session key");
                slot.newest.send_replace(None);
                Err(Unavailable::Refused)
            }
        }
    }

    /// The key that a client's frame names, of a session of his that was opened since this process began.
    pub(crate) async fn of(
        &self,
        user: &UserName,
        session: SessionId,
        generation: u32,
    ) -> Result<Arc<Held>, Unavailable> {
        let slot = self.slot(user);
        if !slot.opened().contains(&session) {
            return Err(Unavailable::Refused);
        }
        match self.server.session_key_of(session, generation).await {
            Ok(key) => Ok(Arc::new(Held(key))),
            Err(Error::Retry { .. }) => {
                let newest = slot.newest.borrow().clone();
                let named = |held: &Arc<Held>| held.session() == session && held.generation() == generation;
                newest.filter(named).ok_or(Unavailable::Later)
            }
            Err(_) => Err(Unavailable::Refused),
        }
    }

    async fn open(&self, slot: &Slot) -> Result<Arc<SessionKey>, Error> {
        let key = self.server.issue(&Audience::User(slot.user.clone()), None, &self.capabilities).await?;
        tracing::info!(session = %key.session(), "session opened");
        let mut opened = slot.opened();
        if opened.len() >= OPENED_MAX {
            opened.remove(0);
        }
        opened.push(key.session());
        drop(opened);
        Ok(key)
    }

    /// Asks for the newest keys of those users of whom this is so, for those who are connected.
    pub(crate) async fn refresh(&self, whose: impl Fn(&UserName, Option<SessionId>) -> bool) {
        let slots: Vec<_> = {
            let users = self.users.lock().unwrap_or_else(PoisonError::into_inner);
            users.values().filter(|slot| slot.newest.receiver_count() > 0).cloned().collect()
        };
        for slot in slots {
            let session = slot.newest.borrow().as_ref().map(|held| held.session());
            if whose(&slot.user, session) {
                // Whoever waits for it asks again, and is told.
                let _ = self.current(&slot.user).await;
            }
        }
    }

    /// Keys that may not be used any more: of those of whom this is so.
    pub(crate) fn drop_keys(&self, whose: impl Fn(&UserName, SessionId) -> bool) {
        let mut users = self.users.lock().unwrap_or_else(PoisonError::into_inner);
        users.retain(|user, slot| {
            let gone =
                |held: &mut Option<Arc<Held>>| held.take_if(|held| whose(user, held.session())).is_some();
            slot.newest.send_if_modified(gone);
            slot.newest.receiver_count() > 0 || slot.newest.borrow().is_some()
        });
    }

    fn slot(&self, user: &UserName) -> Arc<Slot> {
        let mut users = self.users.lock().unwrap_or_else(PoisonError::into_inner);
        let new = || {
            let (asking, newest) = (tokio::sync::Mutex::new(()), watch::Sender::new(None));
            Arc::new(Slot { user: user.clone(), asking, newest, opened: Mutex::default() })
        };
        Arc::clone(users.entry(user.clone()).or_insert_with(new))
    }
}

impl Slot {
    fn opened(&self) -> MutexGuard<'_, Vec<SessionId>> {
        self.opened.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Keeps the key, and tells those who follow when it is another than before.
    fn put(&self, key: Arc<SessionKey>, before: Option<Arc<Held>>) -> Arc<Held> {
        let names = |key: &SessionKey| (key.session(), key.generation());
        match before {
            Some(before) if names(&before.0) == names(&key) => before,
            _ => {
                let held = Arc::new(Held(key));
                self.newest.send_replace(Some(Arc::clone(&held)));
                held
            }
        }
    }
}

/// Sessions of one user that are remembered: the one in force, and those before it that may not be over.
const OPENED_MAX: usize = 32;
