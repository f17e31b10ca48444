//! Sessions: who may share a key, how it is derived, how long it lives.
//!
//! ```text
//!   opened (generation 0) ──rotate──▶ generation 1 ──rotate──▶ … ──end, revoke, expire──▶ over
//!                            (1)
//! ```
//! (1) A plain rotation keeps the session root, and generation n still opens for 120 s; one that a policy makes keeps
//! it too, but generation n is given no more; one that a revocation makes takes a fresh root, and generation n is gone
//! at once.

pub mod batch;
pub mod envelope;
mod generation;
pub mod registry;
mod suite;
pub mod wire;

use std::fmt;
use std::str::FromStr;

use rand_core::CryptoRng;

use crate::crypto::{Secret, derive, labels, sha256};
use crate::ids::{PartyId, SessionId, UserName};

pub use generation::{Cause, Generations, OVERLAP_S};
pub use suite::{
    Capabilities, Choice, OFFER_OF_SEVERAL, SUITES, Suite, SuiteList, choose_of_one, choose_of_several,
};

/// Why a request about a session is refused.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum Reject {
    /// Both a user and a pairing were named, or neither.
    #[error("name either a user or a pairing")]
    AudienceAmbiguous,
    /// A batch names it twice.
    #[error("named twice in one batch")]
    AudienceRepeated,
    /// The server has no such user or pairing.
    #[error("no such user or pairing")]
    AudienceUnknown,
    /// An empty batch, or one of more than 256 sessions.
    #[error("a batch has 1 to 256 sessions")]
    BatchSize,
    /// More than 64 capabilities, or one that is not 1 to 64 visible ASCII characters.
    #[error("malformed capabilities")]
    CapabilitiesMalformed,
    /// No carrier of that name is configured.
    #[error("no such carrier")]
    CarrierUnknown,
    /// Older than what a rotation left open.
    #[error("that generation is over")]
    GenerationPassed,
    /// A revocation replaced that generation.
    #[error("that generation was replaced by a revocation")]
    GenerationRevoked,
    /// Not made yet.
    #[error("no such generation yet")]
    GenerationUnknown,
    /// All 2³² are used.
    #[error("no generations left")]
    GenerationsSpent,
    /// Not 16 to 64 visible ASCII characters.
    #[error("malformed Idempotency-Key")]
    IdempotencyKeyMalformed,
    /// No `Idempotency-Key`.
    #[error("an Idempotency-Key is required")]
    IdempotencyKeyMissing,
    /// The key was used for another request.
    #[error("this Idempotency-Key was used with another body")]
    IdempotencyKeyReused,
    /// Ended by its server, by a revocation or by a policy.
    #[error("session has ended")]
    SessionEnded,
    /// Its time is over.
    #[error("session has expired")]
    SessionExpired,
    /// The user has as many as the policy allows.
    #[error("the user has as many sessions as the policy allows")]
    SessionLimit,
    /// Does not exist, or is not the caller's: the same to the caller.
    #[error("no such session")]
    SessionUnknown,
    /// A list names 3DES, RC4 or bare AES.
    #[error("a legacy suite is named")]
    SuiteLegacy,
    /// Nothing is left that everybody allows.
    #[error("no suite in common")]
    SuiteNone,
    /// An empty or oversized list of suites, or a name that is not 1 to 64 visible ASCII characters.
    #[error("malformed list of suites")]
    SuitesMalformed,
    /// Longer than the policy allows.
    #[error("ttl is longer than the policy allows")]
    TtlBeyondPolicy,
    /// Below a minute or beyond a day.
    #[error("ttl must be between 60 and 86400 seconds")]
    TtlOutOfRange,
}

/// Whom a session is for.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Audience {
    /// One pairing of a client.
    Pairing(PartyId),
    /// All of a user's pairings.
    User(UserName),
}

impl Audience {
    /// As it is named on the wire: by a user, or by a pairing.
    ///
    /// # Errors
    /// [`Reject::AudienceAmbiguous`]: by both, or by neither.
    pub fn named(user: Option<&UserName>, pairing: Option<PartyId>) -> Result<Self, Reject> {
        match (user, pairing) {
            (Some(user), None) => Ok(Self::User(user.clone())),
            (None, Some(pairing)) => Ok(Self::Pairing(pairing)),
            (None, None) | (Some(_), Some(_)) => Err(Reject::AudienceAmbiguous),
        }
    }
}

/// Seconds that a session lasts unless said.
pub const TTL_DEFAULT_S: u32 = 3600;
/// Seconds of the shortest session.
pub const TTL_MIN_S: u32 = 60;
/// Seconds of the longest session.
pub const TTL_MAX_S: u32 = 86_400;

/// How long a session lasts when `asked` was asked.
///
/// # Errors
/// [`Reject::TtlOutOfRange`]: refused, never clipped.
pub fn ttl_s(asked: Option<u32>) -> Result<u32, Reject> {
    let ttl_s = asked.unwrap_or(TTL_DEFAULT_S);
    if (TTL_MIN_S..=TTL_MAX_S).contains(&ttl_s) { Ok(ttl_s) } else { Err(Reject::TtlOutOfRange) }
}

/// What all session keys of one user at one server derive from, for an epoch of at most 24 h.
#[derive(Debug)]
pub struct SessionRoot(Secret<32>);

impl SessionRoot {
    /// A fresh one.
    pub fn random(rng: &mut impl CryptoRng) -> Self {
        Self(Secret::random(rng))
    }

    /// One that the store had sealed.
    #[must_use]
    pub const fn from_secret(secret: Secret<32>) -> Self {
        Self(secret)
    }

    /// For the store to seal.
    #[must_use]
    pub const fn secret(&self) -> &Secret<32> {
        &self.0
    }

    /// `Derive(root, "session", session id, generation)`.
    #[must_use]
    pub fn key(&self, session: SessionId, generation: u32) -> Secret<32> {
        derive(&self.0, labels::SESSION, &[session.as_bytes(), &generation.to_be_bytes()])
    }
}

/// What a server calls one attempt to open a session: 16 to 64 visible ASCII characters.
#[derive(Clone, Eq, Hash, PartialEq)]
pub struct IdempotencyKey(Box<str>);

impl IdempotencyKey {
    /// The text as it was sent.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for IdempotencyKey {
    type Err = Reject;

    fn from_str(text: &str) -> Result<Self, Reject> {
        let plain = (16..=64).contains(&text.len()) && text.bytes().all(|octet| octet.is_ascii_graphic());
        if plain { Ok(Self(text.into())) } else { Err(Reject::IdempotencyKeyMalformed) }
    }
}

impl fmt::Debug for IdempotencyKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// What is kept of a request under its idempotency key: `SHA-256(body)[..16]`. A repeat is the same octets.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct BodyHash(pub [u8; 16]);

impl BodyHash {
    /// Of a body as it came.
    #[must_use]
    pub fn of(body: &[u8]) -> Self {
        let mut kept = [0; 16];
        kept.copy_from_slice(&sha256(body)[..16]);
        Self(kept)
    }

    /// Whether `body` is the same request again.
    ///
    /// # Errors
    /// [`Reject::IdempotencyKeyReused`].
    pub fn verify_repeat(self, body: &[u8]) -> Result<(), Reject> {
        if self == Self::of(body) { Ok(()) } else { Err(Reject::IdempotencyKeyReused) }
    }
}

#[cfg(test)]
mod tests {
    mod cose;
    mod vectors;

    use super::*;

    #[test]
    fn an_idempotency_key_is_bounded_and_visible() {
        for good in ["a".repeat(16), "~".repeat(64)] {
            assert_eq!(good.parse::<IdempotencyKey>().unwrap().as_str(), good);
        }
        for bad in ["a".repeat(15), "a".repeat(65), "a b".repeat(6), "é".repeat(16), String::new()] {
            assert_eq!(bad.parse::<IdempotencyKey>(), Err(Reject::IdempotencyKeyMalformed), "{bad}");
        }
    }

    #[test]
    fn a_repeat_is_the_same_octets() {
        let kept = BodyHash::of(b"{}");
        assert_eq!(kept.verify_repeat(b"{}"), Ok(()));
        assert_eq!(kept.verify_repeat(b"{ }"), Err(Reject::IdempotencyKeyReused));
    }
}
