//! What administrators say and see of deliveries and addresses (proto/delivery/spec.md, section 8).

use serde::{Deserialize, Serialize};

use super::CarrierName;
use crate::ids::{InvitationId, PartyId, ServerName, SessionId, Timestamp, UserName};

/// Why nobody tries a delivery any more.
#[derive(Clone, Copy, Debug, Deserialize, Eq, Hash, PartialEq, Serialize)]
#[cfg_attr(feature = "openapi", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum Dead {
    /// The pairing has no address for the carrier.
    AddressMissing,
    /// It was cancelled, or what it carries is over: a session that ended, a pairing or an invitation that was revoked.
    Cancelled,
    /// No carrier of that name is configured any more.
    CarrierGone,
    /// Its time was over before a bearer took it.
    Expired,
    /// Its receiver has not renewed its keys for too long: it has to ask over HTTPS.
    EpochOver,
    /// Too many went to this address today.
    LimitAddress,
    /// Too many went to addresses of this prefix today.
    LimitPrefix,
    /// Too many went by this carrier today.
    LimitTotal,
    /// The bearer will never take it.
    Refused,
    /// The carrier did not get through in its time.
    TookTooLong,
    /// It cannot be put into a form that the bearer takes.
    Unfit,
}

impl Dead {
    /// Whether another carrier may do better.
    #[must_use]
    pub const fn is_the_carriers(self) -> bool {
        !matches!(self, Self::Cancelled | Self::Expired | Self::EpochOver)
    }

    /// As it stands on the wire.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::AddressMissing => "address_missing",
            Self::Cancelled => "cancelled",
            Self::CarrierGone => "carrier_gone",
            Self::Expired => "expired",
            Self::EpochOver => "epoch_over",
            Self::LimitAddress => "limit_address",
            Self::LimitPrefix => "limit_prefix",
            Self::LimitTotal => "limit_total",
            Self::Refused => "refused",
            Self::TookTooLong => "took_too_long",
            Self::Unfit => "unfit",
        }
    }
}

/// What a bearer says became of what it took. Anybody may have made it up.
#[derive(Clone, Copy, Debug, Deserialize, Eq, Hash, PartialEq, Serialize)]
#[cfg_attr(feature = "openapi", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum Fate {
    /// It arrived.
    Delivered,
    /// Its time was over before it arrived.
    Expired,
    /// It is on its way.
    Underway,
    /// It did not arrive, and will not.
    Undeliverable,
    /// Something that the service does not know.
    Unknown,
}

impl Fate {
    /// Whether nothing more is to be said.
    #[must_use]
    pub const fn is_final(self) -> bool {
        matches!(self, Self::Delivered | Self::Expired | Self::Undeliverable)
    }

    /// As it stands on the wire.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Delivered => "delivered",
            Self::Expired => "expired",
            Self::Underway => "underway",
            Self::Undeliverable => "undeliverable",
            Self::Unknown => "unknown",
        }
    }
}

/// Where a delivery stands.
#[derive(Clone, Copy, Debug, Deserialize, Eq, Hash, PartialEq, Serialize)]
#[cfg_attr(feature = "openapi", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum DeliveryState {
    /// It waits.
    Queued,
    /// A carrier has it.
    Sending,
    /// A bearer took it over.
    Sent,
    /// Nobody tries it any more.
    Dead,
}

/// What a delivery carries.
#[derive(Clone, Copy, Debug, Deserialize, Eq, Hash, PartialEq, Serialize)]
#[cfg_attr(feature = "openapi", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum DeliveryKind {
    /// The newest key of a session, for one pairing.
    Session,
    /// An invitation, without its code.
    Invitation,
    /// A user's document on an XDMS: to be written anew without what was revoked, or taken away.
    Document,
}

/// A row of `GET /v1/deliveries`, and the answer to `GET /v1/deliveries/{delivery}`.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[cfg_attr(feature = "openapi", derive(schemars::JsonSchema))]
pub struct DeliverySeen {
    /// Which: its number.
    pub delivery: u32,
    /// What it carries.
    pub kind: DeliveryKind,
    /// At which server.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub server: Option<ServerName>,
    /// Whose.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user: Option<UserName>,
    /// For which pairing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pairing: Option<PartyId>,
    /// Which session's key.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub session: Option<SessionId>,
    /// Which invitation.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub invitation: Option<InvitationId>,
    /// The carriers, in the order in which they are tried.
    pub carriers: Vec<CarrierName>,
    /// The present one.
    pub carrier: CarrierName,
    /// Where it goes, once a carrier had it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub to: Option<String>,
    /// Where it stands.
    pub state: DeliveryState,
    /// How often the present carrier has tried.
    pub attempts: u16,
    /// When it was made.
    pub created: Timestamp,
    /// From when on nothing is sent.
    pub not_after: Timestamp,
    /// When it is tried next, while it waits.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next: Option<Timestamp>,
    /// When it was settled.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub settled: Option<Timestamp>,
    /// Why nobody tries it any more.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<Dead>,
    /// The bearer's words, or what stood in the way of the last try: for eyes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub detail: Option<String>,
    /// The bearer's own ids of it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub receipts: Vec<String>,
    /// What the bearer said became of it. Anybody may have made it up.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fate: Option<Fate>,
}

/// Query of `GET /v1/deliveries`.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
#[cfg_attr(feature = "openapi", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct DeliveriesQuery {
    /// Only those that stand so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub state: Option<DeliveryState>,
    /// Only those that this carrier has.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub carrier: Option<CarrierName>,
    /// Only this server's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub server: Option<ServerName>,
    /// Only this user's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user: Option<UserName>,
    /// Only those for this pairing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pairing: Option<PartyId>,
    /// Only what was made later than this.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub created_after: Option<Timestamp>,
}

/// Where a pairing is reached by a carrier. The administrator sets it, never the party.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[cfg_attr(feature = "openapi", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct CarrierAddress {
    /// Which carrier.
    pub carrier: CarrierName,
    /// A phone as E.164 writes it, or an XCAP user identifier.
    pub to: String,
}

/// `PUT /v1/pairings/{pairing}/addresses/{carrier}`.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[cfg_attr(feature = "openapi", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct SetAddress {
    /// A phone as E.164 writes it, or an XCAP user identifier.
    pub to: String,
}

/// What kind of bearer a carrier leads to.
#[derive(Clone, Copy, Debug, Deserialize, Eq, Hash, PartialEq, Serialize)]
#[cfg_attr(feature = "openapi", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub enum CarrierKind {
    /// SMS, through an SMSC that speaks SMPP 3.4.
    Smpp,
    /// SMS, through a gateway's HTTP interface.
    HttpSms,
    /// Documents on an XDMS, by XCAP.
    Xdms,
    /// A URL of the enterprise.
    Webhook,
}

impl CarrierKind {
    /// As it stands in the configuration.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Smpp => "smpp",
            Self::HttpSms => "http-sms",
            Self::Xdms => "xdms",
            Self::Webhook => "webhook",
        }
    }
}

/// A row of `GET /v1/carriers`.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[cfg_attr(feature = "openapi", derive(schemars::JsonSchema))]
pub struct CarrierSeen {
    /// Which.
    pub carrier: CarrierName,
    /// What it leads to.
    pub kind: CarrierKind,
    /// Who runs it: carriers of one domain are one adversary.
    pub domain: String,
    /// Deliveries that wait for it, or that it has.
    pub pending: u64,
    /// When the oldest of them was made.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub oldest: Option<Timestamp>,
    /// Until when it is left alone, after its bearer failed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub paused_until: Option<Timestamp>,
    /// Why, for eyes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub trouble: Option<String>,
    /// Whether an administrator has to act: its credentials or its certificate are refused.
    pub needs_you: bool,
}

/// Answer to `GET /v1/carriers`.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[cfg_attr(feature = "openapi", derive(schemars::JsonSchema))]
pub struct Carriers {
    /// In the order of their names.
    pub items: Vec<CarrierSeen>,
}
