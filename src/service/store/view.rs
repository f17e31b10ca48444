//! What the store shows of its state: cheap to make, safe to keep.

mod event;
mod party;
mod session;

use serde::{Deserialize, Serialize};
use sidekey_protocol::ids::{CredentialId, InvitationId, Role, ServerName, Timestamp, UserName};
use sidekey_protocol::pairing::credential::wire::CredentialState;
use sidekey_protocol::pairing::{Approval, PartyLabel};
use sidekey_protocol::revocation::Reason;

pub use self::event::{Event, Happened};
pub use self::party::{Party, Refusal, Rights};
pub use self::session::{EndReason, Session, SessionState};
pub use super::record::Posted;

/// That something was revoked, when and why.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct Revocation {
    /// When.
    pub at: Timestamp,
    /// Why, as the administrator said.
    pub reason: Reason,
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
