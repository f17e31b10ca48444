//! Parties: administrators and pairings.

use serde::{Deserialize, Serialize};
use sidekey_protocol::crypto::VerifyingKey;
use sidekey_protocol::delivery::wire::CarrierAddress;
use sidekey_protocol::ids::{PartyId, Role, ServerName, Timestamp, UserName};
use sidekey_protocol::pairing::Waiting;
use sidekey_protocol::revocation::Reason;
use sidekey_protocol::session::{Suite, SuiteList};

use super::Revocation;
use crate::store::last_seen::LastSeen;

/// What a party may do, and where.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub enum Rights {
    /// Administers the service.
    Admin,
    /// A pairing.
    Pairing {
        /// Client or server.
        role: Role,
        /// At which server.
        server: ServerName,
        /// Which user; absent for a server.
        user: Option<UserName>,
    },
}

/// An administrator or a pairing.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct Party {
    /// Its id, the `kid` of its tokens.
    pub id: PartyId,
    /// What it may do.
    pub rights: Rights,
    /// What it signs its tokens with.
    #[serde(with = "crate::store::spki")]
    pub key: VerifyingKey,
    /// What its owner calls it.
    pub label: String,
    /// The suites it offered, if it offered any.
    pub offer: Option<SuiteList>,
    /// Whether it checked a pin.
    pub pinned: bool,
    /// When it was paired.
    pub created: Timestamp,
    /// The epoch of its key-encryption keys.
    pub epoch: u32,
    /// When they end.
    pub epoch_not_after: Timestamp,
    /// Names the key-encryption key of that epoch.
    pub kek: [u8; 8],
    /// Names that of the epoch which waits for its first use.
    pub next_kek: Option<[u8; 8]>,
    /// Whether it was used since it was paired.
    pub used: bool,
    /// Where it is reached by carriers, in the order of their names.
    pub addresses: Vec<CarrierAddress>,
    /// Set once it is revoked.
    pub revoked: Option<Revocation>,
    /// Set once nobody has used it for too long, or approved it in time.
    pub lapsed: Option<Timestamp>,
    /// Its approval, if it needed one.
    pub waiting: Option<Waiting>,
    /// Set once whoever may approve it has refused.
    pub refused: Option<Refusal>,
    /// The last time that a record tells of it.
    pub(in crate::store) recorded: Timestamp,
    last_seen: LastSeen,
}

impl Party {
    pub(in crate::store) fn new(
        id: PartyId,
        rights: Rights,
        key: VerifyingKey,
        label: String,
        created: Timestamp,
    ) -> Self {
        Self {
            id,
            rights,
            key,
            label,
            offer: None,
            pinned: false,
            created,
            epoch: 0,
            epoch_not_after: Timestamp(u32::MAX),
            kek: [0; 8],
            next_kek: None,
            used: false,
            addresses: Vec::new(),
            revoked: None,
            lapsed: None,
            waiting: None,
            refused: None,
            recorded: created,
            last_seen: LastSeen::default(),
        }
    }

    /// When it was last seen, if ever. Kept in memory and written behind: a crash may forget the last second.
    #[must_use]
    pub fn last_seen(&self) -> Option<Timestamp> {
        self.last_seen.get()
    }

    /// Keeps `now`, and says what was known before.
    pub(in crate::store) fn seen(&self, now: Timestamp) -> Timestamp {
        self.last_seen.keep(now)
    }

    /// It cannot have been seen later than now: a clock that was ahead said so.
    pub(in crate::store) fn forget_seen_after(&self, now: Timestamp) {
        self.last_seen.forget_after(now);
    }

    /// Its role, server and user; `None` for an administrator.
    #[must_use]
    pub const fn place(&self) -> Option<(Role, &ServerName, Option<&UserName>)> {
        match &self.rights {
            Rights::Admin => None,
            Rights::Pairing { role, server, user } => Some((*role, server, user.as_ref())),
        }
    }

    /// Whether `suite` is in its offer; one that made none has them all.
    #[must_use]
    pub fn has(&self, suite: Suite) -> bool {
        self.offer.as_ref().is_none_or(|offer| offer.contains(suite))
    }
}

/// That a pairing was refused, when and why.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct Refusal {
    /// When.
    pub at: Timestamp,
    /// Why, if anybody said.
    pub reason: Option<Reason>,
}
