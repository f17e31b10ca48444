//! The service's signing keys: the newest signs; each that was replaced finishes what was begun under it, until its time
//! is over.

use serde::{Deserialize, Serialize};
use sidekey_protocol::ids::Timestamp;
use sidekey_protocol::keys::STATEMENTS_MAX;

use super::apply::Misfit;
use crate::store::at_rest::Sealed;
use crate::store::record::{KeyRotated, Spki};
use crate::store::view::{Event, Happened};

/// All that are still shown, oldest first.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
pub(in crate::store) struct SigningKeys(Vec<SigningKey>);

/// One of them.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub(in crate::store) struct SigningKey {
    pub(in crate::store) number: u32,
    pub(in crate::store) public: Spki,
    /// The secret half, while anything is signed with it.
    pub(in crate::store) sealed: Option<Sealed>,
    pub(in crate::store) since: Timestamp,
    /// Of one that was replaced: when its time is over.
    pub(in crate::store) until: Option<Timestamp>,
    /// By which the key before vouches for it.
    pub(in crate::store) statement: Option<String>,
}

impl SigningKeys {
    pub(super) fn begin(&mut self, public: Spki, sealed: Sealed, since: Timestamp) {
        let sealed = Some(sealed);
        self.0 = vec![SigningKey { number: 0, public, sealed, since, until: None, statement: None }];
    }

    pub(super) fn rotate(&mut self, rotated: KeyRotated, at: Timestamp) -> Result<Event, Misfit> {
        let KeyRotated { number, public, key, until, statement } = rotated;
        let before = self.0.last_mut().ok_or(Misfit)?;
        if before.number.checked_add(1) != Some(number) {
            return Err(Misfit);
        }
        before.until = Some(until);
        let (sealed, statement) = (Some(key), Some(statement));
        self.0.push(SigningKey { number, public, sealed, since: at, until: None, statement });
        if self.0.len() > STATEMENTS_MAX {
            self.0.remove(0);
        }
        let what = Happened::Keys { number };
        Ok(Event { seq: 0, at, server: None, user: None, pairing: None, what })
    }

    /// Forgets the secret half of those whose time is over.
    pub(super) fn sweep(&mut self, now: Timestamp) {
        for key in self.0.iter_mut().filter(|key| key.is_over(now)) {
            key.sealed = None;
        }
    }

    pub(super) fn reseal(&mut self, number: u32, sealed: Sealed) {
        let found = self.0.iter_mut().find(|key| key.number == number);
        if let Some(key) = found.filter(|key| key.sealed.is_some()) {
            key.sealed = Some(sealed);
        }
    }

    /// The newest one's number.
    pub(super) fn newest(&self) -> u32 {
        self.active().map_or(0, |key| key.number)
    }

    /// The one that signs.
    pub(in crate::store) fn active(&self) -> Option<&SigningKey> {
        self.0.last()
    }

    /// One that may still sign at `now`.
    pub(in crate::store) fn in_force(&self, number: u32, now: Timestamp) -> Option<&SigningKey> {
        self.0.iter().find(|key| key.number == number && !key.is_over(now))
    }

    /// All that are shown, oldest first.
    pub(in crate::store) fn iter(&self) -> impl DoubleEndedIterator<Item = &SigningKey> {
        self.0.iter()
    }

    pub(super) fn secrets(&self) -> impl Iterator<Item = (u32, &Sealed)> {
        self.0.iter().filter_map(|key| Some((key.number, key.sealed.as_ref()?)))
    }
}

impl SigningKey {
    fn is_over(&self, now: Timestamp) -> bool {
        self.until.is_some_and(|until| until <= now)
    }
}
