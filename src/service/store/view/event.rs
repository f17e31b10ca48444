//! What parties and administrators are told.

use sidekey_protocol::ids::{InvitationId, PartyId, Role, ServerName, SessionId, Timestamp, UserName};
use sidekey_protocol::pairing::registry::Standing;
use sidekey_protocol::revocation::{Reason, Target};
use sidekey_protocol::session::Cause;

use super::EndReason;

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
        cause: Cause,
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
