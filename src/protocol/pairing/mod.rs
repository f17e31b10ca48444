//! Pairing: a party that holds a code becomes one that holds keys (proto/pairing/spec.md).
//!
//! ```text
//!   service   Invited ──begin──▶ Attempt ──answer──▶ Begun ──finish──▶ Confirmed ──▶ active, or Waiting
//!                │ (1)              (2)               │ (3)
//!                ▼                                    ▼
//!             expired                              ended: a new begin, until five attempts are spent
//!
//!   client    Prover ──check──▶ Checked ──finish──▶ Finishing ──done──▶ Paired
//! ```
//! What comes of it is epoch 0; [`rekey`] makes the later ones. Who waits to be approved: [`Waiting`]. What a proxy logs in with
//! at a gateway, which is no party: [`credential`].
//!
//! (1) 15 minutes. (2) One of five attempts is spent here, durably, before anything that depends on the code leaves.
//! (3) 60 seconds, or a wrong confirmation.

mod approval;
mod boxes;
mod client;
mod code;
pub mod credential;
mod exchange;
mod link;
pub mod registry;
pub mod rekey;
mod service;
mod symbols;
#[cfg(test)]
mod tests;
pub mod wire;

pub use approval::{APPROVED_TTL_MAX_S, Approval, Digits, Need, WAITING_S, WRONG_MAX, Waiting};
pub use boxes::PartyLabel;
pub use client::{Checked, Finishing, Paired, Prover, Refusal, Target};
pub use code::{PairingCode, Pin};
pub use link::{Link, PublicUrl};
pub use service::{Ask, Attempt, Begun, Confirmed, Finished, Grant, Invited};

use crate::crypto::{self, Secret, labels};

/// Attempts that an invitation begins with.
pub const ATTEMPTS: u8 = 5;
/// Seconds that an invitation stays open unless its admin says otherwise.
pub const TTL_DEFAULT_S: u32 = 900;
/// What an admin may say, where the code alone pairs: see [`Approval::ttl_max_s`].
pub const TTL_RANGE_S: std::ops::RangeInclusive<u32> = 60..=900;
/// Seconds from the answer to `begin` until `finish` is too late; an identical `begin` gets the same answer for as long.
pub const EXCHANGE_S: u32 = 60;
/// Seconds that an epoch's root lasts unless it is replaced.
pub const EPOCH_S: u32 = 7 * 24 * 3600;

/// Why the service refuses a step of pairing. The client's reasons are [`Refusal`].
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum Reject {
    /// Another device asks, and the pairing waits for an administrator.
    #[error("this pairing waits for an administrator's word, not for another device's")]
    ApprovalForeign,
    /// The pairing is active already, or over.
    #[error("the pairing does not wait to be approved: it is active, refused, revoked or lapsed")]
    ApprovalOver,
    /// Nobody has approved the pairing yet.
    #[error("nobody has approved this pairing yet")]
    ApprovalPending,
    /// Five `begin`s were answered.
    #[error("no attempts are left on this invitation; ask for a new one")]
    AttemptsSpent,
    /// The client's box does not open under the exchange's key.
    #[error("the box does not open: it is not from this exchange, or was altered")]
    BadBox,
    /// `kem_ek` is not 1184 octets, or has a coefficient beyond the modulus.
    #[error("kem_ek is not an ML-KEM-768 encapsulation key (FIPS 203, 1184 octets)")]
    BadKemKey,
    /// The label is not one.
    #[error("a label has 1 to 64 characters, no control or direction characters, no space at its ends")]
    BadLabel,
    /// The offer is not a list of suites.
    #[error("an offer has 1 to 64 names of 1 to 64 visible ASCII characters")]
    BadOffer,
    /// `share_p` is not one that may be used.
    #[error("share_p is not an uncompressed P-256 point other than the identity (65 octets, 04 first)")]
    BadShare,
    /// `confirm_p` is wrong: the client had another code, or saw another exchange.
    #[error("the pairing code does not match; this exchange is over, begin again")]
    CodeMismatch,
    /// The digits are not those of the pairing.
    #[error("these are not the digits that the device shows; nothing was approved")]
    DigitsDiffer,
    /// The same, for the fifth time.
    #[error("these are not the digits that the device shows, for the fifth time: the pairing is refused")]
    DigitsSpent,
    /// More than 60 seconds since the answer to `begin`.
    #[error("finish came more than 60 seconds after begin; begin again")]
    ExchangeExpired,
    /// This exchange was finished, with another body.
    #[error("this exchange was finished before, with another body")]
    FinishDiffers,
    /// The admin took the invitation back.
    #[error("the invitation was cancelled; ask for a new one")]
    InvitationCancelled,
    /// The invitation's time is over.
    #[error("the invitation has expired; ask for a new one")]
    InvitationExpired,
    /// There is none, or it was used.
    #[error("no such invitation")]
    InvitationUnknown,
    /// The key in the box is not the one that `begin` committed to.
    #[error("the key in the box is not the one that key_hash committed to")]
    KeyMismatch,
    /// The signing key that the invitation's link names was replaced, and its time is over.
    #[error("the service's signing key that the invitation names has been replaced; ask for a new one")]
    KeyRetired,
    /// The offer names a suite that is known to be weak: the whole list is refused.
    #[error("the offer names 3DES, RC4 or AES: such a list is refused whole")]
    LegacySuite,
    /// The box opens, and holds something else than a client's box.
    #[error("the box holds something else than the members of a client's box")]
    MalformedBox,
    /// It is approved, and its user has not said that the digits match.
    #[error("its user has not said yet that the enterprise took the digits of this device")]
    MatchPending,
    /// The policy requires a suite that the client lacks.
    #[error("the client offers no suite that its user's policy allows")]
    NoCommonSuite,
    /// `state` names no open exchange of this invitation.
    #[error("state names no open exchange of this invitation; begin again")]
    StateUnknown,
    /// The time asked for an invitation is too short or too long.
    #[error("an invitation lasts 60 to 900 seconds, up to 604800 where the pairing is to be approved")]
    TtlOutOfRange,
    /// The user has as many devices as the policy allows.
    #[error("the user has as many devices as the policy allows")]
    DeviceLimit,
    /// The client's signature does not verify.
    #[error("the signature in the box was not made by the key in the box for this exchange")]
    Unsigned,
    /// A client's invitation without user, or a server's with one.
    #[error("an invitation of a client names its user, one of a server does not")]
    UserMismatch,
}

/// What an epoch's root wraps session keys under: one key, one algorithm.
#[derive(Debug)]
pub struct Kek {
    /// `KEK_kw`, for AES-KW (the JOSE envelope).
    pub kw: Secret<32>,
    /// `KEK_gcm`, for AES-256-GCM (the COSE envelope): one key, one algorithm.
    pub gcm: Secret<32>,
    /// `kid`, which names both.
    pub id: [u8; 8],
}

impl Kek {
    /// `KEK_kw = Derive(root, "kek kw")`, `KEK_gcm = Derive(root, "kek gcm")`, `kid = Derive(root, "kek id")[..8]`.
    #[must_use]
    pub fn of(root: &Secret<32>) -> Self {
        let [id @ .., _, _, _, _, _, _, _, _, _, _, _, _, _, _, _, _, _, _, _, _, _, _, _, _] =
            *crypto::derive(root, labels::KEK_ID, &[]).expose();
        Self {
            kw: crypto::derive(root, labels::KEK_KW, &[]),
            gcm: crypto::derive(root, labels::KEK_GCM, &[]),
            id,
        }
    }
}
