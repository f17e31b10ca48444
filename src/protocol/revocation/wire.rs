//! What is said about revocations over HTTPS, and the events that tell of them (proto/revocation/spec.md, section 3).

use serde::{Deserialize, Serialize};

use super::{Reason, SealedHead, Target};
use crate::ids::{InvitationId, PartyId, Role, ServerName, SessionId, Timestamp, UserName};
use crate::pairing::PartyLabel;
use crate::pairing::registry::Standing;
use crate::session::Cause;

/// The header of requests and answers that carries a head, in base64url.
pub const HEAD: &str = "sidekey-head";

/// `POST /v1/revocations`.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[cfg_attr(feature = "openapi", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Revoke {
    /// What shall never work again.
    pub target: Target,
    /// Why, for people and for the audit log.
    pub reason: Reason,
}

/// Query of `POST /v1/revocations`.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
#[cfg_attr(feature = "openapi", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct RevokeQuery {
    /// Say what it would strike, and strike nothing.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub dry_run: bool,
}

/// What a revocation struck, or would strike.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
#[cfg_attr(feature = "openapi", derive(schemars::JsonSchema))]
pub struct RevokeAnswer {
    /// The service's count of revocations, this one among them.
    pub revocations: u64,
    /// Invitations cancelled.
    pub invitations: u64,
    /// Pairings revoked.
    pub pairings: u64,
    /// Proxy credentials revoked.
    pub credentials: u64,
    /// Sessions that go on for others, under a new key.
    pub sessions_rotated: u64,
    /// Sessions ended.
    pub sessions_ended: u64,
}

/// One message of `GET /v1/events`.
#[derive(Clone, Debug, Eq, PartialEq)]
#[cfg_attr(
    feature = "openapi",
    derive(schemars::JsonSchema),
    schemars(tag = "event", content = "data", rename_all = "snake_case")
)]
pub enum Event {
    /// A session was opened.
    Opened(Opened),
    /// A session has a new generation.
    Rotated(Rotated),
    /// A session is over.
    Ended(Ended),
    /// Something was revoked.
    Revoked(Revoked),
    /// A policy has changed.
    Policy(PolicyChanged),
    /// A device or a mail server was paired.
    Paired(Paired),
    /// Whoever may approve it has approved it.
    Approved(Approved),
    /// They have refused it.
    Refused(Refused),
    /// The last attempt at a pairing code was used.
    Spent(Spent),
    /// The service signs with another key.
    Keys(KeysChanged),
    /// The head of all revocations has moved.
    Head(HeadMoved),
    /// What happened since the `Last-Event-ID` is not known any more.
    Reset(Reset),
    /// The service stops.
    Stopping(Stopping),
}

/// A session was opened.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[cfg_attr(feature = "openapi", derive(schemars::JsonSchema))]
pub struct Opened {
    /// Which.
    pub session: SessionId,
    /// At which server.
    pub server: ServerName,
    /// Whose.
    pub user: UserName,
    /// Its generation.
    pub generation: u32,
    /// When it ends.
    pub not_after: Timestamp,
    /// When it was opened.
    pub at: Timestamp,
}

/// A session has a new generation.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[cfg_attr(feature = "openapi", derive(schemars::JsonSchema))]
pub struct Rotated {
    /// Which.
    pub session: SessionId,
    /// The new generation.
    pub generation: u32,
    /// Whether the one before it still opens.
    pub reason: Cause,
    /// When.
    pub at: Timestamp,
}

/// A session is over.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[cfg_attr(feature = "openapi", derive(schemars::JsonSchema))]
pub struct Ended {
    /// Which.
    pub session: SessionId,
    /// Why.
    pub reason: Cause,
    /// When.
    pub at: Timestamp,
}

/// Something was revoked.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[cfg_attr(feature = "openapi", derive(schemars::JsonSchema))]
pub struct Revoked {
    /// What.
    pub target: Target,
    /// Why.
    pub reason: Reason,
    /// When.
    pub at: Timestamp,
}

/// A policy has changed: sessions that it concerns have their next generation under it, or are over. No event tells of
/// each of them.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[cfg_attr(feature = "openapi", derive(schemars::JsonSchema))]
pub struct PolicyChanged {
    /// At which server.
    pub server: ServerName,
    /// Whose; absent when it concerns all of the server's users.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user: Option<UserName>,
    /// The user's version from now on; without a user, that of those for whom nothing else is set.
    pub version: u32,
    /// When.
    pub at: Timestamp,
}

/// The service signs with another key: `GET /v1/keys` shows it, and the statement that vouches for it.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[cfg_attr(feature = "openapi", derive(schemars::JsonSchema))]
pub struct KeysChanged {
    /// How many keys there were before it.
    pub number: u32,
    /// Since when.
    pub at: Timestamp,
}

/// A device or a mail server was paired: a user's devices are told of every new one.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[cfg_attr(feature = "openapi", derive(schemars::JsonSchema), schemars(rename = "PairedEvent"))]
pub struct Paired {
    /// Which.
    pub pairing: PartyId,
    /// What it is.
    pub role: Role,
    /// At which server.
    pub server: ServerName,
    /// Whose.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user: Option<UserName>,
    /// What it calls itself.
    pub label: PartyLabel,
    /// Whether it may act, or waits to be approved.
    pub state: Standing,
    /// When.
    pub at: Timestamp,
}

/// A pairing that waited was approved. One that was paired without a pin waits for its user still.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[cfg_attr(feature = "openapi", derive(schemars::JsonSchema), schemars(rename = "ApprovedEvent"))]
pub struct Approved {
    /// Which.
    pub pairing: PartyId,
    /// Who has approved it: an administrator, or another device.
    pub by: PartyId,
    /// When.
    pub at: Timestamp,
}

/// A pairing that waited was refused.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[cfg_attr(feature = "openapi", derive(schemars::JsonSchema), schemars(rename = "RefusedEvent"))]
pub struct Refused {
    /// Which.
    pub pairing: PartyId,
    /// Who has refused it.
    pub by: PartyId,
    /// Why; absent when nobody said, and when wrong digits refused it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<Reason>,
    /// When.
    pub at: Timestamp,
}

/// The last attempt at an invitation's pairing code was used. If nobody pairs with it now, somebody has guessed: whoever
/// invites issues the invitation again.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[cfg_attr(feature = "openapi", derive(schemars::JsonSchema), schemars(rename = "SpentEvent"))]
pub struct Spent {
    /// Which.
    pub invitation: InvitationId,
    /// As what somebody was invited.
    pub role: Role,
    /// To which server.
    pub server: ServerName,
    /// Whose client.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user: Option<UserName>,
    /// When.
    pub at: Timestamp,
}

/// The head of all revocations has moved: the highest is kept.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[cfg_attr(feature = "openapi", derive(schemars::JsonSchema))]
pub struct HeadMoved {
    /// Where it stands.
    pub head: SealedHead,
}

/// What happened since the `Last-Event-ID` is not known any more: whatever was kept is looked at anew.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[cfg_attr(feature = "openapi", derive(schemars::JsonSchema))]
pub struct Reset {}

/// The service stops: come back, to another of its URLs if there is one.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[cfg_attr(feature = "openapi", derive(schemars::JsonSchema))]
pub struct Stopping {}

/// A message that is no event of ours, or not well formed.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("malformed event")]
pub struct MalformedEvent;

impl Event {
    /// The SSE field `event:`.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Opened(_) => "opened",
            Self::Rotated(_) => "rotated",
            Self::Ended(_) => "ended",
            Self::Revoked(_) => "revoked",
            Self::Policy(_) => "policy",
            Self::Paired(_) => "paired",
            Self::Approved(_) => "approved",
            Self::Refused(_) => "refused",
            Self::Spent(_) => "spent",
            Self::Keys(_) => "keys",
            Self::Head(_) => "head",
            Self::Reset(_) => "reset",
            Self::Stopping(_) => "stopping",
        }
    }

    /// The SSE field `data:`, one line of JSON.
    ///
    /// # Panics
    /// Never: ids, names and numbers always serialise.
    #[must_use]
    pub fn data(&self) -> String {
        match self {
            Self::Opened(event) => serde_json::to_string(event),
            Self::Rotated(event) => serde_json::to_string(event),
            Self::Ended(event) => serde_json::to_string(event),
            Self::Revoked(event) => serde_json::to_string(event),
            Self::Policy(event) => serde_json::to_string(event),
            Self::Paired(event) => serde_json::to_string(event),
            Self::Approved(event) => serde_json::to_string(event),
            Self::Refused(event) => serde_json::to_string(event),
            Self::Spent(event) => serde_json::to_string(event),
            Self::Keys(event) => serde_json::to_string(event),
            Self::Head(event) => serde_json::to_string(event),
            Self::Reset(event) => serde_json::to_string(event),
            Self::Stopping(event) => serde_json::to_string(event),
        }
        .expect("ids, names and numbers serialise")
    }

    /// Reads one message. `None` for a name that we do not know: a newer service may have more.
    ///
    /// # Errors
    /// [`MalformedEvent`].
    pub fn parse(name: &str, data: &str) -> Result<Option<Self>, MalformedEvent> {
        let event = match name {
            "opened" => serde_json::from_str(data).map(Self::Opened),
            "rotated" => serde_json::from_str(data).map(Self::Rotated),
            "ended" => serde_json::from_str(data).map(Self::Ended),
            "revoked" => serde_json::from_str(data).map(Self::Revoked),
            "policy" => serde_json::from_str(data).map(Self::Policy),
            "paired" => serde_json::from_str(data).map(Self::Paired),
            "approved" => serde_json::from_str(data).map(Self::Approved),
            "refused" => serde_json::from_str(data).map(Self::Refused),
            "spent" => serde_json::from_str(data).map(Self::Spent),
            "keys" => serde_json::from_str(data).map(Self::Keys),
            "head" => serde_json::from_str(data).map(Self::Head),
            "reset" => serde_json::from_str(data).map(Self::Reset),
            "stopping" => serde_json::from_str(data).map(Self::Stopping),
            _ => return Ok(None),
        };
        event.map(Some).map_err(|_| MalformedEvent)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_event_survives_the_stream_on_one_line() {
        let (session, pairing) = (SessionId::from_bytes([1; 16]), PartyId::from_bytes([2; 16]));
        let (server, user) = ("mail".parse().unwrap(), "ann".parse().unwrap());
        let (at, not_after) = (Timestamp(1), Timestamp(2));
        let target = Target::Session { session };
        for event in [
            Event::Opened(Opened { session, server, user, generation: 0, not_after, at }),
            Event::Rotated(Rotated { session, generation: 1, reason: Cause::Asked, at }),
            Event::Ended(Ended { session, reason: Cause::Revocation, at }),
            Event::Revoked(Revoked { target, reason: "lost".parse().unwrap(), at }),
            Event::Policy(PolicyChanged { server: "mail".parse().unwrap(), user: None, version: 2, at }),
            Event::Keys(KeysChanged { number: 1, at }),
            Event::Paired(Paired {
                pairing,
                role: Role::Client,
                server: "mail".parse().unwrap(),
                user: Some("ann".parse().unwrap()),
                label: "phone".parse().unwrap(),
                state: Standing::Confirmed,
                at,
            }),
            Event::Approved(Approved { pairing, by: pairing, at }),
            Event::Refused(Refused { pairing, by: pairing, reason: None, at }),
            Event::Spent(Spent {
                invitation: InvitationId::from_bytes([3; 16]),
                role: Role::Server,
                server: "mail".parse().unwrap(),
                user: None,
                at,
            }),
            Event::Head(HeadMoved { head: SealedHead::from_bytes([7; 32]) }),
            Event::Reset(Reset {}),
            Event::Stopping(Stopping {}),
        ] {
            assert!(!event.data().contains('\n'));
            assert_eq!(Event::parse(event.name(), &event.data()), Ok(Some(event)));
        }
    }

    #[test]
    fn unknown_events_are_skipped_and_malformed_ones_refused() {
        assert_eq!(Event::parse("promoted", "{}"), Ok(None));
        for data in ["", "{}", r#"{"session":"00","reason":"asked","at":1}"#] {
            assert_eq!(Event::parse("ended", data), Err(MalformedEvent), "{data}");
        }
        let data = format!(r#"{{"session":"{}","reason":"asked","at":1}}"#, "00".repeat(16));
        assert!(matches!(Event::parse("ended", &data), Ok(Some(Event::Ended(_)))));
        assert_eq!(Event::parse("ended", &data.replace("asked", "bored")), Err(MalformedEvent));
    }
}
