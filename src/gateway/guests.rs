//! Who is in on an untrusted connection, and what sends him away.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, PoisonError};

use sidekey_client::credential::{CredentialSecret, CredentialVerified};
use sidekey_protocol::ids::{CredentialId, SessionId, Timestamp, UserName};
use tokio_util::sync::CancellationToken;

/// All who are in.
#[derive(Debug, Default)]
pub(crate) struct Guests(Mutex<Kept>);

#[derive(Debug, Default)]
struct Kept {
    next: u64,
    guests: HashMap<u64, Arc<Guest>>,
}

/// One of them.
#[derive(Debug)]
pub(crate) struct Guest {
    pub(crate) user: UserName,
    pub(crate) credential: CredentialId,
    /// Whose key what he is sent is sealed with.
    session: Mutex<Option<SessionId>>,
    /// Kept to ask again whether it counts, when it is not known what happened meanwhile.
    pub(crate) secret: Arc<CredentialSecret>,
    /// When it counts no more.
    pub(crate) expires: Option<Timestamp>,
    /// It counts no more.
    pub(crate) cut: CancellationToken,
}

/// A guest, until this is dropped.
#[derive(Debug)]
pub(crate) struct Present {
    guests: Arc<Guests>,
    number: u64,
    guest: Arc<Guest>,
}

impl Guests {
    /// He is in.
    pub(crate) fn enter(self: &Arc<Self>, verified: CredentialVerified, secret: CredentialSecret) -> Present {
        let guest = Arc::new(Guest {
            user: verified.user,
            credential: verified.credential,
            session: Mutex::default(),
            secret: Arc::new(secret),
            expires: verified.expires,
            cut: CancellationToken::new(),
        });
        let mut kept = self.kept();
        let number = kept.next;
        kept.next += 1;
        kept.guests.insert(number, Arc::clone(&guest));
        Present { guests: Arc::clone(self), number, guest }
    }

    /// Sends away all of whom this is so; how many they are.
    pub(crate) fn cut(&self, whom: impl Fn(&Guest) -> bool) -> usize {
        let kept = self.kept();
        let cut = kept.guests.values().filter(|guest| whom(guest));
        cut.inspect(|guest| guest.cut.cancel()).count()
    }

    /// One who is in by each of the credentials that somebody is in by.
    pub(crate) fn by_credential(&self) -> Vec<Arc<Guest>> {
        let mut seen = HashSet::new();
        let kept = self.kept();
        kept.guests.values().filter(|guest| seen.insert(guest.credential)).cloned().collect()
    }

    fn kept(&self) -> std::sync::MutexGuard<'_, Kept> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Guest {
    /// Notes whose key he gets.
    pub(crate) fn is_sealed_for(&self, session: SessionId) {
        *self.session.lock().unwrap_or_else(PoisonError::into_inner) = Some(session);
    }

    /// Whether his credential's time is over.
    pub(crate) fn is_over(&self, now: Timestamp) -> bool {
        self.expires.is_some_and(|at| at <= now)
    }

    /// Whether it is this session's.
    pub(crate) fn has(&self, session: SessionId) -> bool {
        *self.session.lock().unwrap_or_else(PoisonError::into_inner) == Some(session)
    }
}

impl std::ops::Deref for Present {
    type Target = Guest;

    fn deref(&self) -> &Guest {
        &self.guest
    }
}

impl Drop for Present {
    fn drop(&mut self) {
        self.guests.kept().guests.remove(&self.number);
    }
}
