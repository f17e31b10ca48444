//! What the store shows of its state: cheap to make, safe to keep.

use serde::{Deserialize, Serialize};
use sidekey_protocol::crypto::VerifyingKey;
use sidekey_protocol::delivery::wire::CarrierAddress;
use sidekey_protocol::ids::{
    CredentialId, InvitationId, PartyId, Role, ServerName, SessionId, Timestamp, UserName,
};
use sidekey_protocol::pairing::credential::wire::CredentialState;
use sidekey_protocol::pairing::registry::Standing;
use sidekey_protocol::pairing::{Approval, PartyLabel, Waiting};
use sidekey_protocol::revocation::{Reason, Target};
use sidekey_protocol::session::{Capabilities, Generations, Suite, SuiteList};

use super::last_seen::LastSeen;
pub use super::record::Posted;

/// That something was revoked, when and why.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct Revocation {
    /// When.
    pub at: Timestamp,
    /// Why, as the administrator said.
    pub reason: Reason,
}

/// That a pairing was refused, when and why.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct Refusal {
    /// When.
    pub at: Timestamp,
    /// Why, if anybody said.
    pub reason: Option<Reason>,
}

/// An enterprise mail server.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Server {
    /// As the enterprise calls it.
    pub name: ServerName,
    /// When it was added.
    pub created: Timestamp,
    /// Set once it is revoked.
    pub revoked: Option<Revocation>,
    /// Live pairings of the server itself.
    pub pairings: u32,
    /// Users with a live pairing.
    pub users: u32,
}

/// An invitation as an administrator sees it.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Invitation {
    /// Its id.
    pub id: InvitationId,
    /// What the invited party will be.
    pub role: Role,
    /// At which server.
    pub server: ServerName,
    /// Which user; absent for a server.
    pub user: Option<UserName>,
    /// When it was made.
    pub created: Timestamp,
    /// From when on it is over.
    pub expires: Timestamp,
    /// Attempts left.
    pub attempts: u8,
    /// The number of the signing key that its link names.
    pub key: u32,
    /// Whose word its pairing will need.
    pub approval: Approval,
    /// By which carrier it is sent, and where to.
    pub deliver: Option<Posted>,
    /// Where it stands.
    pub state: InvitationState,
}

/// Where an invitation stands.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum InvitationState {
    /// Revoked.
    Cancelled,
    /// Its time is over.
    Expired,
    /// Waits.
    Open,
    /// No attempts left; the last one may still finish.
    Spent,
    /// A pairing came of it.
    Used,
}

/// A proxy credential.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Credential {
    /// Its id.
    pub id: CredentialId,
    /// At which server.
    pub server: ServerName,
    /// As whom it logs in.
    pub user: UserName,
    /// Whom it is for.
    pub label: PartyLabel,
    /// When it was made.
    pub created: Timestamp,
    /// The day on which it was right for the last time.
    pub last_used: Option<Timestamp>,
    /// From when on it is over.
    pub expires: Option<Timestamp>,
    /// Set once it is revoked.
    pub revoked: Option<Revocation>,
    /// Whether it lets anybody in.
    pub state: CredentialState,
}

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
    #[serde(with = "super::spki")]
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
    pub(super) recorded: Timestamp,
    last_seen: LastSeen,
}

impl Party {
    pub(super) fn new(
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
    pub(super) fn seen(&self, now: Timestamp) -> Timestamp {
        self.last_seen.keep(now)
    }

    /// It cannot have been seen later than now: a clock that was ahead said so.
    pub(super) fn forget_seen_after(&self, now: Timestamp) {
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

/// A session.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Session {
    /// Its id.
    pub id: SessionId,
    /// At which server.
    pub server: ServerName,
    /// Whose.
    pub user: UserName,
    /// The server pairing that opened it.
    pub by: PartyId,
    /// The one pairing it is for; absent when it is for all of the user's.
    pub audience: Option<PartyId>,
    /// Where it stands in its rotations.
    pub generations: Generations,
    /// How object keys are used.
    pub suite: Suite,
    /// What the server said it can do.
    pub capabilities: Capabilities,
    /// Hash of the policy it was opened under.
    pub policy_hash: [u8; 32],
    /// Hash of the offer it was opened with.
    pub offer_hash: [u8; 32],
    /// When it was opened.
    pub not_before: Timestamp,
    /// From when on it is over.
    pub not_after: Timestamp,
    /// Whether it is.
    pub state: SessionState,
}

impl Session {
    /// Whether its keys are for that device of its user: of several, one that lacks the suite has no use for them.
    #[must_use]
    pub fn is_for(&self, device: &Party) -> bool {
        self.audience.is_none_or(|audience| audience == device.id) && device.has(self.suite)
    }
}

/// Whether a session still gives keys.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum SessionState {
    /// Ended before its time.
    Ended(EndReason),
    /// Its time is over.
    Expired,
    /// Gives keys.
    Open,
}

/// Why a session ended before its time.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum EndReason {
    /// Its server asked.
    Asked,
    /// A revocation, or a clock that had been ahead.
    Revocation,
    /// A change of policy, under which its devices have no suite in common.
    Policy,
}

/// Something that is durable and that its parties want to know.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Event {
    /// The journal's sequence number of the commit that made it. Several events may share one.
    pub seq: u64,
    /// When.
    pub at: Timestamp,
    /// At which server; absent when it concerns nobody but administrators.
    pub server: Option<ServerName>,
    /// Which user; absent when it concerns the server itself.
    pub user: Option<UserName>,
    /// The one pairing it concerns, if it is not all of them.
    pub pairing: Option<PartyId>,
    /// What.
    pub what: Happened,
}

/// What happened.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Happened {
    /// A session ended.
    Ended {
        /// Which.
        session: SessionId,
        /// Why.
        reason: EndReason,
    },
    /// A session was opened.
    Opened {
        /// Which.
        session: SessionId,
        /// 0.
        generation: u32,
        /// From when on it is over.
        not_after: Timestamp,
    },
    /// Something was revoked.
    Revoked {
        /// What.
        target: Target,
        /// Why.
        reason: Reason,
    },
    /// What was told before counts for nothing.
    Forgotten,
    /// The service signs with another key.
    Keys {
        /// Its number.
        number: u32,
    },
    /// A pairing was approved.
    Approved {
        /// Which.
        pairing: PartyId,
        /// By whom.
        by: PartyId,
    },
    /// A pairing that waited was refused.
    Declined {
        /// Which.
        pairing: PartyId,
        /// By whom.
        by: PartyId,
        /// Why, if anybody said.
        reason: Option<Reason>,
    },
    /// A device or a mail server was paired.
    Paired {
        /// Which.
        pairing: PartyId,
        /// What it is.
        role: Role,
        /// What it calls itself.
        label: String,
        /// Whether it may act, or waits to be approved.
        state: Standing,
    },
    /// The last attempt at an invitation's code was used.
    Spent {
        /// Which.
        invitation: InvitationId,
        /// As what somebody was invited.
        role: Role,
    },
    /// A policy has changed: of the user that the event names, of all of the server's, or of everybody's.
    Policy,
    /// A session has a new generation.
    Rotated {
        /// Which.
        session: SessionId,
        /// The new one.
        generation: u32,
        /// Why.
        cause: sidekey_protocol::session::Cause,
    },
}

impl Happened {
    /// Whether administrators are told: of whatever people look at, not of each session.
    #[must_use]
    pub const fn is_for_administrators(&self) -> bool {
        match self {
            Self::Ended { .. } | Self::Opened { .. } | Self::Policy | Self::Rotated { .. } => false,
            Self::Approved { .. }
            | Self::Declined { .. }
            | Self::Forgotten
            | Self::Keys { .. }
            | Self::Paired { .. }
            | Self::Revoked { .. }
            | Self::Spent { .. } => true,
        }
    }
}

/// What a revocation did.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Revoked {
    /// How many revocations there are now.
    pub revocations: u64,
    /// Invitations that it cancelled.
    pub invitations: u32,
    /// Pairings that it ended.
    pub pairings: u32,
    /// Proxy credentials that it ended.
    pub credentials: u32,
    /// Sessions that go on with a fresh key for those who are left.
    pub sessions_rotated: u32,
    /// Sessions that it ended.
    pub sessions_ended: u32,
}

/// What the answer to a repeated `finish` is.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Repeat {
    /// There was none, or its pairing has been used since.
    None,
    /// Another request finished this invitation.
    Other,
    /// This one did: the same answer again.
    Same(Box<[u8]>),
}

/// Which part of a list is wanted.
#[derive(Clone, Copy, Debug)]
pub struct Page {
    /// At most this many.
    pub size: usize,
    /// After the place that the last page named; 0 from the start.
    pub after: u64,
}

/// Part of a list.
#[derive(Clone, Debug)]
pub struct Paged<T> {
    /// The items, in order of creation.
    pub items: Vec<T>,
    /// Where the next page begins, if there may be one.
    pub next: Option<u64>,
}

/// Which invitations or pairings are wanted: all that are unset are wanted.
#[derive(Clone, Debug)]
pub struct Filter<S> {
    /// Of this server.
    pub server: Option<ServerName>,
    /// Of this user.
    pub user: Option<UserName>,
    /// Of this role.
    pub role: Option<Role>,
    /// In this state.
    pub state: Option<S>,
    /// Made later than this.
    pub created_after: Option<Timestamp>,
}

impl<S> Default for Filter<S> {
    fn default() -> Self {
        Self { server: None, user: None, role: None, state: None, created_after: None }
    }
}
