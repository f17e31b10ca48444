//! The service's signing keys: each vouches for the next, and a party goes from the one that it knows to the one in force
//! (proto/pairing/spec.md, section 10).
//!
//! ```text
//!   key 0 ──statement 1──▶ key 1 ──statement 2──▶ key 2        signed by the key on the left
//!   retired                previous until …       active
//! ```

#[cfg(test)]
mod tests;
pub mod wire;

use serde::{Deserialize, Serialize};

use self::wire::KeysAnswer;
use crate::crypto::{SigningKey, VerifyingKey};
use crate::encoding::{Bytes, Octets, base64url, from_base64url};
use crate::ids::{ServiceId, Timestamp};
use crate::jose::{Jws, signed_part, strict};
use crate::pairing::Pin;
use crate::policy::key_id;

/// `typ` of a statement.
pub const TYPE: &str = "sidekey-keys+jws";
/// Seconds for which what a replaced key signed still counts, unless the enterprise says otherwise.
pub const OVERLAP_DEFAULT_S: u32 = 7 * 24 * 3600;
/// The longest that it may say.
pub const OVERLAP_MAX_S: u32 = 30 * 24 * 3600;
/// Statements that a service shows: the latest.
pub const STATEMENTS_MAX: usize = 64;

/// Octets of the longest statement that is read.
const SIZE_MAX: usize = 2 * 1024;
/// Replaced keys that a party keeps.
const PREVIOUS_MAX: usize = 8;

/// Why a party stays with the key that it knows.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum Reject {
    /// `alg` is not ES256.
    #[error("alg must be ES256")]
    AlgorithmForeign,
    /// A statement is missing in between, or they are in disorder.
    #[error("the statements do not follow one another")]
    Gap,
    /// The header is not base64url of JSON.
    #[error("malformed header of a statement")]
    HeaderMalformed,
    /// The header is not exactly `{alg, kid, typ}`.
    #[error("a statement's header must be alg, kid and typ")]
    HeaderMembers,
    /// `kid` is not that of the key before.
    #[error("a statement names another key than the one before")]
    KeyForeign,
    /// Not three parts.
    #[error("not a statement")]
    NotThreeParts,
    /// The statements end before the key that is known.
    #[error("the service goes back to an older key than the one known")]
    Older,
    /// The payload is not exactly the members of a statement, each of its type, or its times are in disorder.
    #[error("malformed statement")]
    PayloadMalformed,
    /// Of another service.
    #[error("the keys are of another service")]
    ServiceForeign,
    /// The signature is not 64 octets of base64url.
    #[error("malformed signature of a statement")]
    SignatureMalformed,
    /// The key before did not sign this.
    #[error("a statement's signature does not verify")]
    SignatureWrong,
    /// More than 2 KiB.
    #[error("a statement is too long")]
    TooLong,
    /// More than 64.
    #[error("too many statements")]
    TooMany,
    /// `typ` is not `sidekey-keys+jws`.
    #[error("type is not sidekey-keys+jws")]
    TypeForeign,
    /// No statements lead from the key that is known to the active one.
    #[error("no statements lead from the known key to the active one")]
    Unreached,
}

/// What one key says of the next.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Statement {
    /// Whose keys they are.
    pub service: ServiceId,
    /// Which key this makes; the service's first has number 0.
    pub number: u32,
    /// The new key.
    pub key: VerifyingKey,
    /// When the new key took over.
    pub at: Timestamp,
    /// From when on what the key before signed, statements apart, counts no more.
    pub until: Timestamp,
}

/// As it stands in the payload.
#[derive(Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
struct Payload {
    service: ServiceId,
    number: u32,
    key: Bytes,
    previous: Octets<32>,
    at: Timestamp,
    until: Timestamp,
}

impl Statement {
    /// As `old` says it, the key that the new one takes over from.
    ///
    /// # Panics
    /// Never: ids, numbers and octets always serialise.
    #[must_use]
    pub fn signed_by(&self, old: &SigningKey) -> String {
        let public = old.verifying_key();
        let payload = Payload {
            service: self.service,
            number: self.number,
            key: Bytes(self.key.spki().to_vec()),
            previous: Octets(public.fingerprint()),
            at: self.at,
            until: self.until,
        };
        let payload = serde_json::to_vec(&payload).expect("ids, numbers and octets serialise");
        let mut jws = signed_part(TYPE, &key_id(&public), &payload);
        let signature = base64url(&old.sign(jws.as_bytes()));
        jws.push('.');
        jws.push_str(&signature);
        jws
    }
}

/// A statement as it came, its signature not verified yet.
struct Read<'a> {
    jws: Jws<'a>,
    /// SHA-256 of the key before, SPKI.
    previous: [u8; 32],
    says: Statement,
}

impl<'a> Read<'a> {
    fn of(text: &'a str, service: ServiceId) -> Result<Self, Reject> {
        let jws = Jws::read(text, TYPE, SIZE_MAX)?;
        let payload = from_base64url(jws.payload).map_err(|_| Reject::PayloadMalformed)?;
        let Payload { service: whose, number, key, previous, at, until } =
            strict(&payload).map_err(|_| Reject::PayloadMalformed)?;
        let key = VerifyingKey::from_spki(&key.0).map_err(|_| Reject::PayloadMalformed)?;
        if number == 0 || until < at {
            return Err(Reject::PayloadMalformed);
        }
        if whose != service {
            return Err(Reject::ServiceForeign);
        }
        let Octets(previous) = previous;
        if jws.kid != base64url(&previous[..16]) {
            return Err(Reject::KeyForeign);
        }
        Ok(Self { jws, previous, says: Statement { service, number, key, at, until } })
    }

    fn follows(&self, before: &Self) -> bool {
        before.says.number.checked_add(1) == Some(self.says.number)
            && self.previous == before.says.key.fingerprint()
    }
}

/// The service's keys as one party knows them.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct ServiceKeys {
    key: VerifyingKey,
    number: Option<u32>,
    previous: Vec<Previous>,
}

/// A key that was replaced.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Previous {
    /// The key.
    pub key: VerifyingKey,
    /// From when on what it signed counts no more.
    pub until: Timestamp,
}

impl ServiceKeys {
    /// From a pairing: this key, and nothing of those before it.
    #[must_use]
    pub const fn new(key: VerifyingKey) -> Self {
        Self { key, number: None, previous: Vec::new() }
    }

    /// What was kept.
    #[must_use]
    pub const fn kept(key: VerifyingKey, number: Option<u32>, previous: Vec<Previous>) -> Self {
        Self { key, number, previous }
    }

    /// The newest key.
    #[must_use]
    pub const fn key(&self) -> &VerifyingKey {
        &self.key
    }

    /// Its number, once the service has told it.
    #[must_use]
    pub const fn number(&self) -> Option<u32> {
        self.number
    }

    /// The keys that it took over from, the latest first.
    #[must_use]
    pub fn previous(&self) -> &[Previous] {
        &self.previous
    }

    /// The keys whose signatures count at `now`.
    pub fn in_force(&self, now: Timestamp) -> impl Iterator<Item = &VerifyingKey> {
        let previous = self.previous.iter().filter(move |previous| now < previous.until);
        std::iter::once(&self.key).chain(previous.map(|previous| &previous.key))
    }

    /// All keys: for what was verified in its time and kept since.
    pub fn all(&self) -> impl Iterator<Item = &VerifyingKey> {
        std::iter::once(&self.key).chain(self.previous.iter().map(|previous| &previous.key))
    }

    /// Goes from the known key to the active one, by statements alone. `None` when there is nothing new.
    ///
    /// # Errors
    /// [`Reject`]: the known key stays.
    pub fn follow(&self, service: ServiceId, answer: &KeysAnswer) -> Result<Option<Self>, Reject> {
        if answer.service != service {
            return Err(Reject::ServiceForeign);
        }
        let statements = read(service, &answer.statements)?;
        let last = statements.last().map_or(0, |last| last.says.number);
        let active = answer.active().ok_or(Reject::Unreached)?;
        if statements.last().is_some_and(|last| last.says.key != active) {
            return Err(Reject::Unreached);
        }
        if active == self.key {
            let known = Self { number: Some(last), ..self.clone() };
            return Ok((known != *self).then_some(known));
        }
        let held = self.key.fingerprint();
        let Some(from) = statements.iter().position(|statement| statement.previous == held) else {
            let back = self.number.is_some_and(|number| last < number);
            return Err(if back { Reject::Older } else { Reject::Unreached });
        };
        let number = statements[from].says.number;
        if self.number.is_some_and(|held| held.checked_add(1) != Some(number)) {
            return Err(Reject::Gap);
        }
        self.walk(&statements[from..]).map(Some)
    }

    /// Each statement must be of the key before.
    fn walk(&self, statements: &[Read<'_>]) -> Result<Self, Reject> {
        let mut known = self.clone();
        for Read { jws, says, .. } in statements {
            let signed = known.key.verify(jws.signed.as_bytes(), &jws.signature);
            signed.map_err(|_| Reject::SignatureWrong)?;
            let key = std::mem::replace(&mut known.key, says.key.clone());
            known.previous.insert(0, Previous { key, until: says.until });
            known.number = Some(says.number);
        }
        known.previous.truncate(PREVIOUS_MAX);
        Ok(known)
    }
}

/// Goes from the key that a pin names to the active one.
///
/// # Errors
/// [`Reject`]; [`Reject::Unreached`] when the service shows no key of that name.
pub fn reach(pin: Pin, service: ServiceId, answer: &KeysAnswer) -> Result<ServiceKeys, Reject> {
    let named = answer.keys.iter().filter_map(|key| VerifyingKey::from_spki(&key.spki.0).ok());
    let named = named.into_iter().find(|key| Pin::of(key) == pin).ok_or(Reject::Unreached)?;
    let known = ServiceKeys::new(named);
    Ok(known.follow(service, answer)?.unwrap_or(known))
}

/// Reads statements, each of which must follow the one before.
fn read(service: ServiceId, statements: &[String]) -> Result<Vec<Read<'_>>, Reject> {
    if statements.len() > STATEMENTS_MAX {
        return Err(Reject::TooMany);
    }
    let read: Vec<_> = statements.iter().map(|text| Read::of(text, service)).collect::<Result<_, _>>()?;
    let in_order = read.windows(2).all(|pair| pair[1].follows(&pair[0]));
    if in_order { Ok(read) } else { Err(Reject::Gap) }
}
