//! What the journal says: one record per commit, which is also the audit log's line.
//!
//! A record names servers and users as people do, so that the log can be read without the state beside it. A variant
//! or a member is never reordered or edited: a new version octet is the only way.

use serde::{Deserialize, Serialize};
use sidekey_protocol::audit::Salt;
use sidekey_protocol::crypto::labels;
use sidekey_protocol::delivery::{CarrierName, Dead, Fate, Leg, Outcome};
use sidekey_protocol::encoding::Octets;
use sidekey_protocol::ids::{
    CredentialId, InvitationId, PartyId, Role, ServerName, ServiceId, SessionId, Timestamp, UserName,
};
use sidekey_protocol::pairing::credential::CredentialDigest;
use sidekey_protocol::pairing::wire::RekeyAnswer;
use sidekey_protocol::pairing::{Approval, PartyLabel};
use sidekey_protocol::policy::setting::Setting;
use sidekey_protocol::revocation::wire::Revoked;
use sidekey_protocol::revocation::{Reason, SealedHead, Target};
use sidekey_protocol::session::{Capabilities, Suite, SuiteList};

use super::at_rest::{Place, Sealed};
use super::journal::Text;

/// A commit: what happened, when, and who asked for it.
#[derive(Debug, Deserialize, Serialize)]
pub(super) struct Entry {
    /// Hides what the record says from who is shown its leaf alone.
    pub(super) salt: Salt,
    pub(super) at: Timestamp,
    /// The acting party; absent for what the service does by itself, and for a pairing that has no party yet.
    pub(super) by: Option<PartyId>,
    pub(super) record: Record,
    /// Whom it concerns, where the record names a pairing, a session or an invitation alone: one for each of its lines.
    pub(super) whom: Vec<Whom>,
}

/// Whom a line of the audit log concerns. Nothing is looked up when the log is read: a session is soon forgotten.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub(super) struct Whom {
    pub(super) role: Option<Role>,
    pub(super) server: ServerName,
    pub(super) user: Option<UserName>,
    /// The one pairing that it is about.
    pub(super) pairing: Option<PartyId>,
}

/// Everything that changes the state.
#[derive(Debug, Deserialize, Serialize)]
pub(super) enum Record {
    /// The first record: the service itself and its first administrator.
    Created {
        service: ServiceId,
        public_url: String,
        key: Sealed,
        key_public: Box<Spki>,
        admin: PartyId,
        admin_key: Spki,
        label: String,
    },
    ServerAdded {
        server: ServerName,
    },
    Invited {
        invitation: InvitationId,
        role: Role,
        server: ServerName,
        user: Option<UserName>,
        expires: Timestamp,
        verifier: Sealed,
        /// Whose word its pairing will need.
        approval: Approval,
        /// By which carrier it is sent, and where to.
        deliver: Option<Posted>,
    },
    AttemptSpent {
        invitation: InvitationId,
    },
    Confirmed(Box<Confirmed>),
    /// A pairing was used for the first time: its finish answer is not repeated any more.
    Used {
        pairing: PartyId,
    },
    Opened(Box<Opened>),
    Rotated {
        session: SessionId,
    },
    Ended {
        session: SessionId,
    },
    Revoked {
        target: Target,
        reason: Reason,
        /// The fresh roots onto which the open sessions of these users rotate. Sessions it concerns of other users end.
        roots: Vec<(ServerName, UserName, NewRoot)>,
    },
    /// The same secrets under a newer sealing key.
    Resealed {
        secrets: Vec<(Secret, Sealed)>,
    },
    /// A pairing asked for its next epoch, which takes the place of one that was not used yet.
    Rekeyed(Box<Rekeyed>),
    /// A pairing's next epoch was used for the first time: the one before is erased.
    EpochUsed {
        pairing: PartyId,
        epoch: u32,
    },
    /// Nobody has used these pairings for 90 days.
    Lapsed {
        pairings: Vec<PartyId>,
    },
    /// What a level of the policy says from now on: the service's without a server, a server's without a user.
    PolicySet {
        server: Option<ServerName>,
        user: Option<UserName>,
        setting: Box<Setting>,
    },
    /// Sessions that were opened together.
    BatchOpened(Vec<Opened>),
    /// The clock had been ahead, and an administrator says that it is right now: it goes back, once.
    ClockAccepted {
        behind_s: u32,
    },
    /// The service signs with another key.
    KeyRotated(Box<KeyRotated>),
    /// Something was said about a pairing that waits to be approved.
    Approval {
        pairing: PartyId,
        word: Word,
    },
    /// Somebody has seen a head of revocations that this history does not have.
    HeadShown {
        head: SealedHead,
        by: Option<PartyId>,
    },
    /// Revocations that a party was told of and that this history does not have.
    RevocationsReported(Vec<Revoked>),
    /// An administrator lets the service go on from an older copy.
    RestoreAccepted(Box<RestoreAccepted>),
    /// The exchange that made a pairing was finished again, with another body. Told once.
    FinishConflict {
        pairing: PartyId,
    },
    /// Where a pairing is reached by a carrier, or no longer is.
    Addressed {
        pairing: PartyId,
        carrier: CarrierName,
        to: Option<String>,
    },
    /// What became of deliveries.
    Deliveries {
        turns: Vec<Turn>,
    },
    /// The oldest records were deleted: the log begins later.
    Pruned(Box<Pruned>),
    /// As `AttemptSpent`, of the last attempt.
    InvitationSpent {
        invitation: InvitationId,
    },
    CredentialIssued(Box<CredentialIssued>),
}

/// What became of a delivery.
#[derive(Debug, Deserialize, Serialize)]
pub(super) struct Turn {
    pub(super) delivery: u32,
    /// The carrier that had it then.
    pub(super) carrier: CarrierName,
    pub(super) change: Change,
}

/// The same, without which.
#[derive(Debug, Deserialize, Serialize)]
pub(super) enum Change {
    /// It is handed to the carrier, to be sent there, and counted under these names where that is bounded.
    Claimed { until: Timestamp, to: String, counted: Vec<String> },
    /// What came of that.
    Settled { claim: Timestamp, outcome: Outcome },
    /// The carrier's time is over, or it cannot do anything.
    GivenUp { why: Dead },
    /// The bearer says what became of it.
    Reported { fate: Fate },
    /// An administrator wants another try.
    Retried,
    /// An administrator wants none.
    Cancelled,
}

/// By which carrier something is sent, and where to.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct Posted {
    /// The carrier.
    pub leg: Leg,
    /// The address there.
    pub to: String,
}

/// What is said about a pairing that waits to be approved.
#[derive(Debug, Deserialize, Serialize)]
pub(super) enum Word {
    /// Whoever may approve it has named its digits.
    Approved,
    /// They have named others. The fifth time the pairing is refused.
    Mistaken,
    /// They have refused it.
    Refused { reason: Option<Reason> },
    /// Its user says that the enterprise took their digits.
    Matched,
}

/// A pairing that proved its code.
#[derive(Debug, Deserialize, Serialize)]
pub(super) struct Confirmed {
    pub(super) invitation: InvitationId,
    pub(super) pairing: PartyId,
    pub(super) key: Spki,
    pub(super) label: String,
    pub(super) offer: Option<SuiteList>,
    pub(super) pinned: bool,
    pub(super) root: Sealed,
    /// Names the key-encryption key of epoch 0.
    pub(super) kek: Octets<8>,
    pub(super) epoch_not_after: Timestamp,
    /// Hash of the finish request, for its repeat.
    pub(super) finish: Octets<32>,
    pub(super) answer: Box<[u8]>,
    /// Names the exchange: its digits come of it.
    pub(super) th: Octets<32>,
}

/// A proxy credential.
#[derive(Debug, Deserialize, Serialize)]
pub(super) struct CredentialIssued {
    pub(super) credential: CredentialId,
    pub(super) server: ServerName,
    pub(super) user: UserName,
    pub(super) label: PartyLabel,
    /// All that is kept of the secret: nobody can guess 100 bits, with K_cred or without.
    pub(super) digest: CredentialDigest,
    pub(super) expires: Option<Timestamp>,
}

/// A signing key that takes over from the one before.
#[derive(Debug, Deserialize, Serialize)]
pub(super) struct KeyRotated {
    /// The service's first key has number 0.
    pub(super) number: u32,
    pub(super) public: Spki,
    pub(super) key: Sealed,
    /// From when on what the key before signed counts no more.
    pub(super) until: Timestamp,
    /// The statement of the key before, a JWS.
    pub(super) statement: String,
}

/// What a service that goes on from an older copy goes on with.
#[derive(Debug, Deserialize, Serialize)]
pub(super) struct RestoreAccepted {
    /// Its count of revocations from now on.
    pub(super) revocations: u64,
    /// What is revoked again.
    pub(super) reapplied: Vec<Revoked>,
    /// Every pairing but these is revoked too.
    pub(super) revoke_all_but: Option<Vec<PartyId>>,
}

/// Where the log begins from now on, and what its first record said that is gone.
#[derive(Debug, Deserialize, Serialize)]
pub(super) struct Pruned {
    pub(super) service: ServiceId,
    /// The service's signing keys until then, oldest first.
    pub(super) keys: Vec<Spki>,
    /// How many records were deleted.
    pub(super) records: u64,
    /// The first one that is kept.
    pub(super) first: u64,
    /// The hash of the one before it.
    pub(super) previous: Octets<32>,
}

/// A pairing's next epoch.
#[derive(Debug, Deserialize, Serialize)]
pub(super) struct Rekeyed {
    pub(super) pairing: PartyId,
    pub(super) epoch: u32,
    pub(super) root: Sealed,
    pub(super) kek: Octets<8>,
    /// Names the request, for its repeat.
    pub(super) request: Octets<32>,
    pub(super) answer: RekeyAnswer,
}

/// A session.
#[derive(Debug, Deserialize, Serialize)]
pub(super) struct Opened {
    pub(super) session: SessionId,
    pub(super) server: ServerName,
    pub(super) user: UserName,
    /// The one pairing it is for; absent when it is for all of the user's.
    pub(super) audience: Option<PartyId>,
    pub(super) root: RootOf,
    pub(super) suite: Suite,
    pub(super) capabilities: Capabilities,
    pub(super) policy: Octets<32>,
    pub(super) offer: Octets<32>,
    pub(super) not_after: Timestamp,
    /// Of the idempotency key and of the body.
    pub(super) idempotency: [[u8; 16]; 2],
    /// The carriers that take its keys, in order.
    pub(super) deliver: Vec<Leg>,
}

/// Which session root a session's keys derive from.
#[derive(Debug, Deserialize, Serialize)]
pub(super) enum RootOf {
    /// The one of this number.
    Epoch(u32),
    /// A fresh one, the user's root from now on.
    Fresh(NewRoot),
    /// The one that the same record made before.
    Newest,
}

/// A fresh session root.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub(super) struct NewRoot {
    pub(super) id: [u8; 16],
    pub(super) sealed: Sealed,
}

/// A public key as it stands in records.
pub(super) type Spki = Octets<91>;

/// Names one sealed secret of the state.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub(super) enum Secret {
    /// A verifier.
    Invitation(InvitationId),
    /// root_e, with its e.
    Pairing(PartyId, u32),
    /// A session root, by number and id.
    Root(u32, [u8; 16]),
    /// A signing key, by its number.
    Service(ServiceId, u32),
}

impl Secret {
    /// What its blob is bound to.
    pub(super) const fn place(&self) -> Place {
        let (kind, id, field, number) = match self {
            Self::Invitation(id) => (labels::REST_INVITATION, *id.as_bytes(), "verifier", 0),
            Self::Pairing(id, epoch) => (labels::REST_PAIRING, *id.as_bytes(), "root", *epoch),
            // Sealed before it has its number; its id is its own.
            Self::Root(_, id) => (labels::REST_ROOT, *id, "root", 0),
            Self::Service(id, number) => (labels::REST_SERVICE, *id.as_bytes(), "signing key", *number),
        };
        Place { kind, id, field, number }
    }
}

/// Not a record of any version that this program knows.
#[derive(Debug)]
pub(super) struct Undecodable;

impl Entry {
    /// As the record of this number.
    pub(super) fn text(&self, seq: u64) -> Text {
        Text { entries: self.bound(seq), body: self.encode() }
    }

    pub(super) fn encode(&self) -> Vec<u8> {
        postcard::to_extend(self, vec![VERSION]).expect("memory takes every octet")
    }

    pub(super) fn decode(bytes: &[u8]) -> Result<Self, Undecodable> {
        match bytes.split_first() {
            Some((&VERSION, rest)) => match postcard::take_from_bytes(rest) {
                Ok((entry, [])) => Ok(entry),
                _ => Err(Undecodable),
            },
            _ => Err(Undecodable),
        }
    }
}

const VERSION: u8 = 1;
