//! Revocation: what can be struck, and the head that makes it impossible to undo unnoticed.
//!
//! Every revocation of a service extends one hash chain. Its head, MAC'd so that nobody else can invent one, goes out
//! in every envelope; parties keep the highest.

pub mod restore;
mod target;
pub mod wire;

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

use crate::crypto::{Secret, Unverified, equal, mac, sha256};
use crate::encoding::{array_from_base64url, base64url};
use crate::ids::Malformed;

pub use target::Target;

/// Why a request about a revocation is refused.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum Reject {
    /// Revoked before: nothing to do.
    #[error("already revoked")]
    AlreadyRevoked,
    /// A party may revoke nothing but itself: to it, everything else does not exist.
    #[error("not the caller's to revoke")]
    TargetForeign,
    /// Does not exist.
    #[error("nothing there to revoke")]
    TargetUnknown,
}

/// Where the chain of all revocations of a service stands.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct Head {
    /// How many revocations there were.
    pub n: u64,
    /// `r_n = SHA-256(r_{n-1} ‖ record)`; `r_0` = 32 zero octets.
    pub r: [u8; 32],
}

impl Head {
    /// Before the first revocation.
    pub const START: Self = Self { n: 0, r: [0; 32] };

    /// After one more, whose journal record is `record`.
    ///
    /// # Panics
    /// After 2⁶⁴ revocations.
    #[must_use]
    pub fn next(&self, record: &[u8]) -> Self {
        let mut bytes = Vec::with_capacity(32 + record.len());
        bytes.extend_from_slice(&self.r);
        bytes.extend_from_slice(record);
        let n = self.n.checked_add(1).expect("2^64 revocations are out of reach");
        Self { n, r: sha256(&bytes) }
    }

    /// `n ‖ r_n[..8] ‖ HMAC(K_head, n ‖ r_n[..8])[..16]`: what parties see.
    #[must_use]
    pub fn sealed(&self, key: &Secret<32>) -> SealedHead {
        let mut head = [0; 32];
        head[..8].copy_from_slice(&self.n.to_be_bytes());
        head[8..16].copy_from_slice(&self.r[..8]);
        let tag = mac(key, &[&head[..16]]);
        head[16..].copy_from_slice(&tag[..16]);
        SealedHead(head)
    }
}

/// A head as parties see it: 32 octets that only the service can make.
#[derive(Clone, Copy, Eq, Hash, PartialEq)]
pub struct SealedHead([u8; 32]);

impl SealedHead {
    /// From its octets; says nothing of whether it is genuine.
    #[must_use]
    pub const fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// The octets.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// The number of revocations that it claims.
    #[must_use]
    pub fn n(&self) -> u64 {
        u64::from_be_bytes(self.prefix())
    }

    fn prefix(&self) -> [u8; 8] {
        let mut n = [0; 8];
        n.copy_from_slice(&self.0[..8]);
        n
    }

    /// Checks that the service that holds `key` made it.
    ///
    /// # Errors
    /// [`Unverified`].
    pub fn genuine(&self, key: &Secret<32>) -> Result<(), Unverified> {
        equal(&mac(key, &[&self.0[..16]])[..16], &self.0[16..])
    }
}

impl fmt::Display for SealedHead {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&base64url(&self.0))
    }
}

impl fmt::Debug for SealedHead {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for SealedHead {
    type Err = Malformed;

    fn from_str(text: &str) -> Result<Self, Malformed> {
        array_from_base64url(text).map(Self)
    }
}

impl Serialize for SealedHead {
    /// JSON carries base64url; the store's own format the raw octets.
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if serializer.is_human_readable() {
            serializer.collect_str(self)
        } else {
            self.0.serialize(serializer)
        }
    }
}

impl<'de> Deserialize<'de> for SealedHead {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        if deserializer.is_human_readable() {
            String::deserialize(deserializer)?.parse().map_err(de::Error::custom)
        } else {
            <[u8; 32]>::deserialize(deserializer).map(Self)
        }
    }
}

/// What a party was shown of a service's revocations: the highest head, and the highest n, which may have come alone
/// (in an SMS, which has no room for the rest).
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Seen {
    head: Option<SealedHead>,
    n: u64,
}

/// How a head compares with the highest one seen.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Shown {
    /// The first, a higher one, or the same.
    Fine,
    /// As many revocations, but other ones: reported.
    Forked,
    /// Fewer revocations than the service once had: reported, not refused.
    Lower,
}

impl Seen {
    /// Keeps the higher of the two, and says how `head` compares.
    pub fn show(&mut self, head: SealedHead) -> Shown {
        let n = head.n();
        if self.head.is_some_and(|seen| seen.n() == n && seen != head) {
            return Shown::Forked;
        }
        if self.head.is_none_or(|seen| seen.n() < n) {
            self.head = Some(head);
        }
        self.show_n(n)
    }

    /// The same for an n that came alone.
    pub fn show_n(&mut self, n: u64) -> Shown {
        let shown = if n < self.n { Shown::Lower } else { Shown::Fine };
        self.n = self.n.max(n);
        shown
    }

    /// The highest head.
    #[must_use]
    pub const fn highest(&self) -> Option<SealedHead> {
        self.head
    }

    /// The highest n, with a head or alone.
    #[must_use]
    pub const fn n(&self) -> u64 {
        self.n
    }
}

/// Why something was revoked: 1 to 200 characters, none of them a control character.
#[derive(Clone, Eq, PartialEq)]
pub struct Reason(Box<str>);

impl Reason {
    /// Characters of the longest reason.
    pub const MAX: usize = 200;

    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for Reason {
    type Err = Malformed;

    fn from_str(text: &str) -> Result<Self, Malformed> {
        let plain = (1..=Self::MAX).contains(&text.chars().count()) && !text.chars().any(char::is_control);
        if plain { Ok(Self(text.into())) } else { Err(Malformed) }
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&*self.0, f)
    }
}

impl Serialize for Reason {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for Reason {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::vectors::{array, cases, load, octets, text};

    fn vectors() -> (serde_json::Value, Secret<32>) {
        let vectors = load(include_str!("../../../proto/revocation/vectors.json"));
        let key = Secret::copy_of(&octets(&vectors["key"])).unwrap();
        (vectors, key)
    }

    #[test]
    fn the_chain() {
        let (vectors, key) = vectors();
        let mut head = Head::START;
        for case in cases(&vectors, "chain") {
            if case["record"].is_string() {
                head = head.next(&octets(&case["record"]));
            }
            assert_eq!((head.n, head.r), (case["n"].as_u64().unwrap(), array(&case["r"])), "{case}");
            let sealed = head.sealed(&key);
            assert_eq!(*sealed.as_bytes(), array(&case["head"]), "{case}");
            assert_eq!(sealed.n(), head.n);
        }
    }

    #[test]
    fn nobody_else_can_invent_a_head() {
        let (vectors, key) = vectors();
        for case in cases(&vectors, "genuine") {
            let genuine = SealedHead::from_bytes(array(&case["head"])).genuine(&key).is_ok();
            assert_eq!(genuine, case["genuine"].as_bool().unwrap(), "{case}");
        }
    }

    #[test]
    fn a_lower_or_another_head_is_told_and_not_kept() {
        let (vectors, _) = vectors();
        let mut seen = Seen::default();
        for case in cases(&vectors, "shown") {
            let verdict = match case["n"].as_u64() {
                Some(n) => seen.show_n(n),
                None => seen.show(SealedHead::from_bytes(array(&case["head"]))),
            };
            assert_eq!(format!("{verdict:?}").to_lowercase(), text(&case["verdict"]), "{case}");
            assert_eq!(*seen.highest().unwrap().as_bytes(), array(&case["highest"]), "{case}");
            assert_eq!(seen.n(), case["highest_n"].as_u64().unwrap(), "{case}");
        }
    }

    #[test]
    fn a_reason_is_bounded_and_plain() {
        for good in ["lost", "Verloren: Gerät Ω", &"é".repeat(200)] {
            assert_eq!(good.parse::<Reason>().unwrap().as_str(), good);
        }
        for bad in ["", "a\nb", "\u{85}", &"é".repeat(201)] {
            assert_eq!(bad.parse::<Reason>(), Err(Malformed), "{bad:?}");
        }
    }
}
