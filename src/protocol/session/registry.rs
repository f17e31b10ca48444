//! What is seen of sessions by whoever looks on: administrators, and the parties themselves (proto/session/spec.md,
//! section 8). Keys are not among it.

use serde::{Deserialize, Serialize};

use super::Suite;
use crate::ids::{PartyId, ServerName, SessionId, Timestamp, UserName};

/// Whether a session gives keys.
#[derive(Clone, Copy, Debug, Deserialize, Eq, Hash, PartialEq, Serialize)]
#[cfg_attr(feature = "openapi", derive(schemars::JsonSchema))]
#[serde(rename_all = "lowercase")]
pub enum SessionState {
    /// It does.
    Open,
    /// It was ended before its time.
    Ended,
    /// Its time is over.
    Expired,
}

/// A row of `GET /v1/sessions`, and the answer to `GET /v1/sessions/{id}`.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[cfg_attr(feature = "openapi", derive(schemars::JsonSchema))]
pub struct SessionSeen {
    /// Which.
    pub session: SessionId,
    /// At which server.
    pub server: ServerName,
    /// Whose.
    pub user: UserName,
    /// The one pairing that it is for; absent when it is for all of the user's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pairing: Option<PartyId>,
    /// The server's pairing that opened it.
    pub by: PartyId,
    /// Whether it gives keys.
    pub state: SessionState,
    /// Its newest generation.
    pub generation: u32,
    /// What its key is for.
    pub suite: Suite,
    /// When it was opened.
    pub opened: Timestamp,
    /// When this generation began.
    pub not_before: Timestamp,
    /// When the session ends.
    pub not_after: Timestamp,
}

/// Query of `GET /v1/sessions`.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
#[cfg_attr(feature = "openapi", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct SessionsQuery {
    /// Only those that were opened later than this.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub created_after: Option<Timestamp>,
    /// Only this server's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub server: Option<ServerName>,
    /// Only this user's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user: Option<UserName>,
    /// Only those whose key this pairing may fetch while it is live.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pairing: Option<PartyId>,
    /// Only those in this state.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub state: Option<SessionState>,
}
