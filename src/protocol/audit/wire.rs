//! What is said about the audit log over HTTPS (proto/audit/spec.md, sections 2, 3 and 6).

use serde::{Deserialize, Serialize};

use crate::delivery::CarrierName;
use crate::encoding::Octets;
use crate::ids::{
    CredentialId, InvitationId, PartyId, Role, ServerName, ServiceId, SessionId, Timestamp, UserName,
};
use crate::revocation::Reason;
use crate::session::Suite;

macro_rules! actions {
    ($($name:ident = $text:literal, $doc:literal;)*) => {
        /// What happened. The names are a promise to whoever searches logs: none is ever renamed.
        #[derive(Clone, Copy, Debug, Deserialize, Eq, Hash, PartialEq, Serialize)]
        #[cfg_attr(feature = "openapi", derive(schemars::JsonSchema))]
        pub enum Action {
            $(#[doc = $doc] #[serde(rename = $text)] $name,)*
        }

        impl Action {
            /// All of them, as proto/audit/spec.md lists them.
            pub const ALL: &[Self] = &[$(Self::$name),*];

            /// As it stands in an entry.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$name => $text,)* }
            }

            /// What happened, for people.
            #[must_use]
            pub const fn title(self) -> &'static str {
                match self { $(Self::$name => $doc,)* }
            }
        }
    };
}

actions! {
    ServiceCreated = "service_created", "The service and its first administrator were made.";
    ServerAdded = "server_added", "A mail server was added.";
    InvitationCreated = "invitation_created", "A client or a server was invited.";
    InvitationAttemptSpent = "invitation_attempt_spent", "Somebody tried a pairing code.";
    InvitationSpent = "invitation_spent", "The last attempt at a pairing code was used: if nobody has paired with it, somebody guesses.";
    PairingConfirmed = "pairing_confirmed", "A pairing proved its code.";
    PairingFinishConflict = "pairing_finish_conflict", "Somebody came with another body for an exchange that had made a pairing.";
    PairingUsed = "pairing_used", "A pairing made its first request.";
    PairingRekeyed = "pairing_rekeyed", "A pairing asked for its next key epoch.";
    PairingEpochUsed = "pairing_epoch_used", "A pairing used its next key epoch; the one before is erased.";
    PairingApproved = "pairing_approved", "A pairing was approved, with the digits that it shows.";
    PairingDigitsMistaken = "pairing_digits_mistaken", "A pairing was to be approved with other digits than it shows; the fifth time it is refused.";
    PairingRefused = "pairing_refused", "A pairing that waited to be approved was refused.";
    PairingMatched = "pairing_matched", "A pairing's user said that its digits were taken.";
    PairingLapsed = "pairing_lapsed", "A pairing was not used for 90 days, or not approved within 7.";
    SessionOpened = "session_opened", "A session was opened, and its key issued.";
    SessionRotated = "session_rotated", "A session was given a new key on request.";
    SessionEnded = "session_ended", "A session was ended on request.";
    PolicySet = "policy_set", "A policy was set.";
    PairingRevoked = "pairing_revoked", "A pairing was revoked.";
    UserRevoked = "user_revoked", "All of a user's pairings at a server were revoked.";
    ServerRevoked = "server_revoked", "A mail server was revoked, with all of its pairings.";
    SessionRevoked = "session_revoked", "A session was revoked.";
    InvitationRevoked = "invitation_revoked", "An invitation was revoked.";
    CredentialIssued = "credential_issued", "A proxy credential was issued.";
    CredentialRevoked = "credential_revoked", "A proxy credential was revoked.";
    RollbackFound = "rollback_found", "Somebody has seen so many revocations, which the service does not have: it was restored from an older copy.";
    RevocationReported = "revocation_reported", "A party was told of a revocation that the service does not have.";
    RestoreAccepted = "restore_accepted", "The service goes on from an older copy, and counts so many revocations; all sessions end.";
    AllRevoked = "all_revoked", "Every pairing was revoked but so many, and every proxy credential.";
    SigningKeyRotated = "signing_key_rotated", "Another signing key of the service took over.";
    ClockAccepted = "clock_accepted", "A clock that had been ahead, by so many seconds, was set right and is believed again.";
    AddressSet = "address_set", "The address was set at which a carrier reaches a pairing.";
    AddressCleared = "address_cleared", "The address was taken away at which a carrier reached a pairing.";
    DeliveryTried = "delivery_tried", "A delivery was handed to its carrier.";
    DeliverySent = "delivery_sent", "A bearer took a delivery over.";
    DeliveryPutOff = "delivery_put_off", "A bearer did not take a delivery; it is tried again.";
    DeliveryGivenUp = "delivery_given_up", "A carrier gave a delivery up.";
    DeliveryReported = "delivery_reported", "A bearer said what became of a delivery.";
    DeliveryRetried = "delivery_retried", "A delivery was to be tried again on request.";
    DeliveryCancelled = "delivery_cancelled", "A delivery was cancelled on request.";
    SecretsResealed = "secrets_resealed", "Secrets at rest were sealed under a newer key.";
    LogPruned = "log_pruned", "So many of the oldest records were deleted: the log begins later.";
}

impl std::str::FromStr for Action {
    type Err = crate::ids::Malformed;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::ALL.iter().copied().find(|action| action.as_str() == text).ok_or(crate::ids::Malformed)
    }
}

/// One thing that happened. Without its `hash` this is the text that a record binds.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[cfg_attr(feature = "openapi", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Entry {
    /// The record's number in the journal.
    pub seq: u64,
    /// Which of the record's entries; absent for the first.
    #[serde(default, skip_serializing_if = "is_first")]
    pub item: u16,
    /// When.
    pub at: Timestamp,
    /// Who asked; absent for what the service does by itself, and for who has no pairing yet.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub by: Option<PartyId>,
    /// What.
    pub action: Action,
    /// The service.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub service: Option<ServiceId>,
    /// At which server.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub server: Option<ServerName>,
    /// Whose.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user: Option<UserName>,
    /// As what somebody was invited or paired.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub role: Option<Role>,
    /// Which invitation.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub invitation: Option<InvitationId>,
    /// Which pairing, or which administrator.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pairing: Option<PartyId>,
    /// Which session.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub session: Option<SessionId>,
    /// Which proxy credential.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub credential: Option<CredentialId>,
    /// What the party calls itself; whom the credential is for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub label: Option<String>,
    /// Whether it checked the service's pin.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pinned: Option<bool>,
    /// The pairing's key epoch; the number of the signing key.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub epoch: Option<u32>,
    /// Which signing key of the service.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kid: Option<String>,
    /// The session's suite.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub suite: Option<Suite>,
    /// When it ends by itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub not_after: Option<Timestamp>,
    /// Why, as the administrator said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<Reason>,
    /// How many.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub count: Option<u64>,
    /// Which carrier.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub carrier: Option<CarrierName>,
    /// Which delivery.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub delivery: Option<u32>,
    /// The first record that the log keeps.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub first: Option<u64>,
    /// The hash of the record before it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub previous: Option<Octets<32>>,
    /// `h_seq`: the chain up to this record.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hash: Option<Octets<32>>,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde hands a reference")]
const fn is_first(item: &u16) -> bool {
    *item == 0
}

impl Entry {
    /// Of a record that says no more than this.
    #[must_use]
    pub const fn new(seq: u64, at: Timestamp, by: Option<PartyId>, action: Action) -> Self {
        Self {
            seq,
            item: 0,
            at,
            by,
            action,
            service: None,
            server: None,
            user: None,
            role: None,
            invitation: None,
            pairing: None,
            session: None,
            credential: None,
            label: None,
            pinned: None,
            epoch: None,
            kid: None,
            suite: None,
            not_after: None,
            reason: None,
            count: None,
            carrier: None,
            delivery: None,
            first: None,
            previous: None,
            hash: None,
        }
    }

    /// The text that a record binds: JSON without white space, members in the order of the specification.
    ///
    /// # Panics
    /// Never: ids, names and numbers always serialise.
    #[must_use]
    pub fn text(&self) -> String {
        serde_json::to_string(self).expect("ids, names and numbers serialise")
    }
}

/// Answer to `GET /v1/audit`: entries in the order in which they happened.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[cfg_attr(feature = "openapi", derive(schemars::JsonSchema))]
pub struct AuditPage {
    /// Those that were asked for. A page may hold few or none, and still not be the last.
    pub items: Vec<Entry>,
    /// Where to go on; absent at the end.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next_page_token: Option<String>,
    /// The oldest record that is kept.
    pub first: u64,
    /// The newest record there is.
    pub last: u64,
}

/// Answer to `GET /v1/audit/{record}`: one record, as the chain binds it.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[cfg_attr(feature = "openapi", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct AuditRecord {
    /// Its number.
    pub seq: u64,
    /// Its place among those that became durable together.
    pub nth: u16,
    /// Octets of its body.
    pub size: u32,
    /// `SHA-256(body)`.
    pub body: Octets<32>,
    /// Its leaf.
    pub leaf: Octets<32>,
    /// `h_{seq-1}`.
    pub previous: Octets<32>,
    /// `h_seq`.
    pub hash: Octets<32>,
    /// What it did.
    pub entries: Vec<Entry>,
}

/// Body of `POST /v1/audit/prune`.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[cfg_attr(feature = "openapi", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Prune {
    /// Records from before this time are deleted, so far as they fill whole segments.
    pub before: Timestamp,
    /// Whether only to say what would be deleted.
    #[serde(default)]
    pub dry_run: bool,
}

/// Answer to `POST /v1/audit/prune`.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[cfg_attr(feature = "openapi", derive(schemars::JsonSchema))]
pub struct Pruned {
    /// How many records were deleted, or would be.
    pub records: u64,
    /// In how many segments of the journal.
    pub segments: u64,
    /// The first record that is kept.
    pub first: u64,
    /// When that was made.
    pub since: Timestamp,
    /// Whether there is more of what was asked for: so much is deleted at once, and no more.
    pub more: bool,
}

/// An item of `GET /v1/audit/checkpoints`.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[cfg_attr(feature = "openapi", derive(schemars::JsonSchema))]
pub struct CheckpointKept {
    /// The record up to which it counts.
    pub seq: u64,
    /// `h_seq`.
    pub hash: Octets<32>,
    /// When it was signed.
    pub at: Timestamp,
    /// Names the key that signed it.
    pub kid: String,
    /// As it was signed.
    pub checkpoint: String,
}

/// Query of `GET /v1/audit/checkpoints`: no more than which part of the list.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
#[cfg_attr(feature = "openapi", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct CheckpointsQuery {}

/// Query of `GET /v1/audit`, besides which part of the list.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
#[cfg_attr(feature = "openapi", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct AuditQuery {
    /// Not before this record.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from: Option<u64>,
    /// Not before this time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub since: Option<Timestamp>,
    /// Before this time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until: Option<Timestamp>,
    /// Only this action.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub action: Option<Action>,
    /// Only what this party did, or what was done to it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pairing: Option<PartyId>,
    /// Only at this server.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub server: Option<ServerName>,
    /// Only this user's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user: Option<UserName>,
    /// Only about this session.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub session: Option<SessionId>,
}

impl AuditQuery {
    /// Whether an entry is among those that are wanted.
    #[must_use]
    pub fn wants(&self, entry: &Entry) -> bool {
        fn fits<T: PartialEq>(wanted: Option<&T>, is: Option<&T>) -> bool {
            wanted.is_none() || wanted == is
        }
        let party = self.pairing.as_ref();
        self.from.is_none_or(|from| entry.seq >= from)
            && self.since.is_none_or(|since| entry.at >= since)
            && self.until.is_none_or(|until| entry.at < until)
            && self.action.is_none_or(|action| entry.action == action)
            && (fits(party, entry.pairing.as_ref()) || fits(party, entry.by.as_ref()))
            && fits(self.server.as_ref(), entry.server.as_ref())
            && fits(self.user.as_ref(), entry.user.as_ref())
            && fits(self.session.as_ref(), entry.session.as_ref())
    }
}
