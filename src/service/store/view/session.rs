//! Sessions.

use serde::{Deserialize, Serialize};
use sidekey_protocol::ids::{PartyId, ServerName, SessionId, Timestamp, UserName};
use sidekey_protocol::session::{Capabilities, Generations, Suite};

use super::Party;

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
