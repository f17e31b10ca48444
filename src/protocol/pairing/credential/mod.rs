//! Proxy credentials: what an operator's proxy logs in with at a gateway, as one user, and nothing else
//! (proto/pairing/spec.md, section 12).
//!
//! The service makes the secret, shows it once, and keeps its [`CredentialDigest`] under a key of its own. A gateway asks
//! whether what it was shown is one of the user's.

pub mod wire;

use std::fmt;
use std::str::FromStr;

use rand_core::CryptoRng;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use zeroize::Zeroizing;

use super::symbols;
use crate::crypto::{Context, Secret, Unverified, equal, labels, mac};
use crate::encoding::Octets;
use crate::ids::{Malformed, ServerName, Timestamp, UserName};

/// Live credentials of one user at one server.
pub const LIVE_MAX: usize = 32;
/// Credentials of one user that are kept, those that are over among them: the one that was issued first makes room.
pub const KEPT_MAX: usize = 64;
/// Seconds for which one that is over is still known: whoever shows it is told of to administrators.
pub const KEPT_S: u32 = 90 * 86_400;
/// Seconds that an administrator may say that one lasts; without a word it lasts until it is revoked.
pub const TTL_RANGE_S: std::ops::RangeInclusive<u32> = 60..=315_360_000;
/// Wrong secrets of one user that one server may ask about in a minute.
pub const WRONG_PER_MIN: u32 = 5;

/// Symbols of a secret.
const SYMBOLS: usize = 20;
const DAY_S: u32 = 86_400;

/// Why the service refuses what is asked of credentials.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum Reject {
    /// A live credential of the user has this label.
    #[error("a live credential of this user has this label: revoke it first, or choose another")]
    LabelTaken,
    /// The user has as many as anybody may.
    #[error("a user has at most 32 live credentials")]
    Limit,
    /// The time asked for is too short or too long.
    #[error("a credential lasts 60 to 315360000 seconds, or until it is revoked")]
    TtlOutOfRange,
    /// It is none of the user's that are live.
    #[error("this is no live credential of this user")]
    Wrong,
}

/// Twenty symbols, 100 bits, shown once. A secret: mute in logs, wiped on drop, never compared with `==`.
#[derive(Debug)]
pub struct CredentialSecret(Secret<SYMBOLS>);

impl CredentialSecret {
    /// A new one from `rng`.
    pub fn random(rng: &mut impl CryptoRng) -> Self {
        Self(symbols::random(rng))
    }

    /// Reads what was typed, or sent as a password: either case, I and L for 1, O for 0, hyphens and spaces ignored.
    ///
    /// # Errors
    /// [`Malformed`]: it is nobody's, and nobody need be asked.
    pub fn from_typed(typed: &[u8]) -> Result<Self, Malformed> {
        symbols::read(typed).map(Self)
    }

    /// The twenty symbols.
    #[must_use]
    pub fn expose(&self) -> &[u8; SYMBOLS] {
        self.0.expose()
    }

    /// The secret as it is shown: `XXXX-XXXX-XXXX-XXXX-XXXX`.
    #[must_use]
    pub fn expose_printed(&self) -> Zeroizing<String> {
        symbols::printed(self.0.expose())
    }

    /// `HMAC(K_cred, lp("credential", server, user, symbols))`.
    #[must_use]
    pub fn digest(&self, key: &Secret<32>, server: &ServerName, user: &UserName) -> CredentialDigest {
        let whose = Context::of(labels::CREDENTIAL, &[server.as_str().as_bytes(), user.as_str().as_bytes()]);
        // The last field of lp where it stands: no copy of it is left behind.
        let size = (SYMBOLS as u32).to_be_bytes();
        CredentialDigest(Octets(mac(key, &[whose.as_ref(), &size, self.expose()])))
    }
}

impl FromStr for CredentialSecret {
    type Err = Malformed;

    fn from_str(text: &str) -> Result<Self, Malformed> {
        Self::from_typed(text.as_bytes())
    }
}

impl Serialize for CredentialSecret {
    /// As it is shown: to its owner once, and from a gateway to the service.
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.expose_printed())
    }
}

impl<'de> Deserialize<'de> for CredentialSecret {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Zeroizing::new(String::deserialize(deserializer)?).parse().map_err(de::Error::custom)
    }
}

/// What the service keeps of a secret. It belongs to a server and a user: moved to others it is nobody's.
#[derive(Clone, Deserialize, Serialize)]
pub struct CredentialDigest(Octets<32>);

impl CredentialDigest {
    /// The octets.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0.0
    }

    /// That both are of the same secret, in constant time.
    ///
    /// # Errors
    /// [`Unverified`]: they are not.
    pub fn verify(&self, other: &Self) -> Result<(), Unverified> {
        equal(self.as_bytes(), other.as_bytes())
    }
}

impl fmt::Debug for CredentialDigest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("CredentialDigest")
    }
}

/// The one of `kept` that `shown` is a digest of. Each is looked at, whichever it is: the time it takes tells how many
/// there are, and no more.
pub fn find<'a, T>(
    shown: &CredentialDigest,
    kept: impl Iterator<Item = (T, &'a CredentialDigest)>,
) -> Option<T> {
    let mut found = None;
    for (which, digest) in kept {
        if digest.verify(shown).is_ok() {
            found = Some(which);
        }
    }
    found
}

/// When a credential is over that is issued at `now` for `ttl_s`.
///
/// # Errors
/// [`Reject::TtlOutOfRange`].
pub fn expires(ttl_s: Option<u32>, now: Timestamp) -> Result<Option<Timestamp>, Reject> {
    match ttl_s {
        Some(ttl_s) if !TTL_RANGE_S.contains(&ttl_s) => Err(Reject::TtlOutOfRange),
        ttl_s => Ok(ttl_s.map(|ttl_s| now.after_s(ttl_s))),
    }
}

/// Whether a user whose live credentials have `labels` may have another, called `label`.
///
/// # Errors
/// [`Reject::LabelTaken`], [`Reject::Limit`].
pub fn admits<'a>(labels: impl Iterator<Item = &'a str>, label: &str) -> Result<(), Reject> {
    let mut live = 0;
    for other in labels {
        if other == label {
            return Err(Reject::LabelTaken);
        }
        live += 1;
    }
    if live < LIVE_MAX { Ok(()) } else { Err(Reject::Limit) }
}

/// The first second, UTC, of a time's day: no more is told of when a credential was used.
#[must_use]
pub const fn day(at: Timestamp) -> Timestamp {
    Timestamp(at.0 - at.0 % DAY_S)
}

#[cfg(test)]
mod tests;
