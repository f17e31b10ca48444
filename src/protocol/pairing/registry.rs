//! What administrators say and see of servers, invitations and pairings (proto/pairing/spec.md).

use serde::{Deserialize, Serialize};

use crate::delivery::wire::CarrierAddress;
use crate::ids::{InvitationId, PartyId, Role, ServerName, Timestamp, UserName};
#[cfg(feature = "openapi")]
use crate::pairing::APPROVED_TTL_MAX_S;
use crate::pairing::{Approval, Digits, Need, PartyLabel};
use crate::revocation::Reason;

/// Items on a page unless said.
pub const PAGE_SIZE_DEFAULT: u32 = 50;
/// Items on the longest page.
pub const PAGE_SIZE_MAX: u32 = 1000;

/// Part of a list.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[cfg_attr(feature = "openapi", derive(schemars::JsonSchema), schemars(rename = "PageOf{T}"))]
pub struct Page<T> {
    /// The items, in an order that does not change.
    pub items: Vec<T>,
    /// Where to go on; absent on the last page.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next_page_token: Option<String>,
}

/// Which part of a list is wanted: parameters of every list's query.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
#[cfg_attr(feature = "openapi", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Paging {
    /// Items wanted; 50 unless said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", schemars(range(min = 1, max = PAGE_SIZE_MAX)))]
    pub page_size: Option<u32>,
    /// Where to go on: the last page's `next_page_token`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub page_token: Option<String>,
}

/// `POST /v1/servers`.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[cfg_attr(feature = "openapi", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct CreateServer {
    /// What it is called from then on.
    pub name: ServerName,
}

/// Answer to [`CreateServer`].
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[cfg_attr(feature = "openapi", derive(schemars::JsonSchema))]
pub struct ServerCreated {
    /// What it is called.
    pub name: ServerName,
    /// When it was made.
    pub created: Timestamp,
}

/// Whether a server or a pairing may still act.
#[derive(Clone, Copy, Debug, Deserialize, Eq, Hash, PartialEq, Serialize)]
#[cfg_attr(feature = "openapi", derive(schemars::JsonSchema))]
#[serde(rename_all = "lowercase")]
pub enum Standing {
    /// It may.
    Active,
    /// Not yet: it waits to be approved.
    Confirmed,
    /// Never again: nobody has used it for 90 days, or approved it within 7.
    Lapsed,
    /// Never: whoever may approve it has refused.
    Refused,
    /// Never again.
    Revoked,
}

impl Standing {
    /// As it stands on the wire.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Active => "active",
            Self::Confirmed => "confirmed",
            Self::Lapsed => "lapsed",
            Self::Refused => "refused",
            Self::Revoked => "revoked",
        }
    }
}

/// A row of `GET /v1/servers`, and the answer to `GET /v1/servers/{name}`.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[cfg_attr(feature = "openapi", derive(schemars::JsonSchema))]
pub struct Server {
    /// What it is called.
    pub name: ServerName,
    /// When it was made.
    pub created: Timestamp,
    /// Whether it may act.
    pub state: Standing,
    /// Live pairings of the server itself: its gateways.
    pub pairings: u64,
    /// Users with a live pairing.
    pub users: u64,
    /// When and why it was revoked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub revoked: Option<PairingRevoked>,
}

/// `POST /v1/invitations`.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[cfg_attr(feature = "openapi", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct CreateInvitation {
    /// What the invited shall be.
    pub role: Role,
    /// At which server.
    pub server: ServerName,
    /// Whose client; a server has none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user: Option<UserName>,
    /// Seconds for which it is open: what the policy says, unless said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", schemars(range(min = 60, max = APPROVED_TTL_MAX_S)))]
    pub ttl: Option<u32>,
    /// Whose word the pairing needs: what the policy says, unless said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub approval: Option<Approval>,
    /// By which carrier it is sent, without its code, and where to: a client's. The address stays with the pairing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deliver: Option<CarrierAddress>,
}

/// `POST /v1/invitations/{id}/reissue`.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
#[cfg_attr(feature = "openapi", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Reissue {
    /// Seconds for which the new one is open: what the policy says, unless said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", schemars(range(min = 60, max = APPROVED_TTL_MAX_S)))]
    pub ttl: Option<u32>,
}

/// Answer to [`CreateInvitation`] and to [`Reissue`]: the only time that the code is shown.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[cfg_attr(feature = "openapi", derive(schemars::JsonSchema))]
pub struct InvitationCreated {
    /// Which.
    pub invitation: InvitationId,
    /// The pairing code, `XXXX-XXXX`.
    pub code: String,
    /// The link, which holds the code too.
    pub link: String,
    /// What the invited shall be.
    pub role: Role,
    /// At which server.
    pub server: ServerName,
    /// Whose client.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user: Option<UserName>,
    /// When it is over.
    pub expires: Timestamp,
    /// Whose word the pairing will need.
    pub approval: Approval,
}

/// What has become of an invitation.
#[derive(Clone, Copy, Debug, Deserialize, Eq, Hash, PartialEq, Serialize)]
#[cfg_attr(feature = "openapi", derive(schemars::JsonSchema))]
#[serde(rename_all = "lowercase")]
pub enum InvitationState {
    /// Nobody has tried.
    Invited,
    /// Somebody has begun.
    Begun,
    /// It made a pairing.
    Paired,
    /// All attempts are used.
    Spent,
    /// Its time is over.
    Expired,
    /// Withdrawn.
    Cancelled,
}

/// A row of `GET /v1/invitations`, and the answer to `GET /v1/invitations/{id}`.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[cfg_attr(feature = "openapi", derive(schemars::JsonSchema))]
pub struct Invitation {
    /// Which.
    pub invitation: InvitationId,
    /// What the invited shall be.
    pub role: Role,
    /// At which server.
    pub server: ServerName,
    /// Whose client.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user: Option<UserName>,
    /// When it was made.
    pub created: Timestamp,
    /// When it is over.
    pub expires: Timestamp,
    /// Attempts left.
    pub attempts: u8,
    /// Whose word the pairing will need.
    pub approval: Approval,
    /// By which carrier it is sent, and where to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deliver: Option<CarrierAddress>,
    /// What has become of it.
    pub state: InvitationState,
}

/// A row of `GET /v1/pairings`, and the answer to `GET /v1/pairings/{id}` and `GET /v1/pairings/self`.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[cfg_attr(feature = "openapi", derive(schemars::JsonSchema))]
pub struct Pairing {
    /// Which.
    pub pairing: PartyId,
    /// What it may be.
    pub role: Role,
    /// At which server.
    pub server: ServerName,
    /// Whose client.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user: Option<UserName>,
    /// What its owner calls it.
    pub label: PartyLabel,
    /// Whether it may act.
    pub state: Standing,
    /// What it waits for: while it is confirmed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub waiting: Option<PairingWaiting>,
    /// When it was made.
    pub created: Timestamp,
    /// When it last asked for anything.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_seen: Option<Timestamp>,
    /// Which of its roots is in use.
    pub epoch: u32,
    /// Where carriers reach it: told to administrators alone.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub addresses: Vec<CarrierAddress>,
    /// When and why it was revoked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub revoked: Option<PairingRevoked>,
    /// When and why it was refused.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub refused: Option<PairingRefused>,
}

/// What a confirmed pairing waits for.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[cfg_attr(feature = "openapi", derive(schemars::JsonSchema))]
pub struct PairingWaiting {
    /// What is missing.
    pub needs: Vec<Need>,
    /// Who may approve it.
    pub approval: Approval,
    /// When it lapses, unless it is active by then.
    pub until: Timestamp,
}

/// When and why a pairing was refused.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[cfg_attr(feature = "openapi", derive(schemars::JsonSchema))]
pub struct PairingRefused {
    /// When.
    pub at: Timestamp,
    /// Why; absent when nobody said, and when wrong digits refused it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<Reason>,
}

/// `POST /v1/pairings/{id}/approve`.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[cfg_attr(feature = "openapi", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Approve {
    /// What the device's user has read out.
    pub digits: Digits,
}

/// `POST /v1/pairings/{id}/refuse`.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
#[cfg_attr(feature = "openapi", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Refuse {
    /// Why, for whoever is refused and for the audit log.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<Reason>,
}

/// When and why a pairing or a server was revoked.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[cfg_attr(feature = "openapi", derive(schemars::JsonSchema))]
pub struct PairingRevoked {
    /// When.
    pub at: Timestamp,
    /// Why.
    pub reason: Reason,
}

/// Query of `GET /v1/servers`.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
#[cfg_attr(feature = "openapi", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct ServersQuery {
    /// Only those that may act, or may not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub state: Option<Standing>,
    /// Only what was made later than this.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub created_after: Option<Timestamp>,
}

/// Query of `GET /v1/invitations`.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
#[cfg_attr(feature = "openapi", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct InvitationsQuery {
    /// Only what was made later than this.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub created_after: Option<Timestamp>,
    /// Only this server's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub server: Option<ServerName>,
    /// Only this user's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user: Option<UserName>,
    /// Only those in this role.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub role: Option<Role>,
    /// Only those in this state.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub state: Option<InvitationState>,
}

/// Query of `GET /v1/pairings`.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
#[cfg_attr(feature = "openapi", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct PairingsQuery {
    /// Only what was made later than this.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub created_after: Option<Timestamp>,
    /// Only this server's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub server: Option<ServerName>,
    /// Only this user's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user: Option<UserName>,
    /// Only those in this role.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub role: Option<Role>,
    /// Only those that may act, or may not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub state: Option<Standing>,
}
