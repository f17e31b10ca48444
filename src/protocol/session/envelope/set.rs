//! Many session keys in one envelope: a JWE around a JWK Set (RFC 7517, section 5), each key with its own bindings.

use rand_core::CryptoRng;
use serde::Deserialize;
use zeroize::Zeroizing;

use super::open::{Payload, decrypt, parse};
use super::{Bindings, Opened, Reject, encrypt};
use crate::crypto::Secret;
use crate::jose::{Flaw, Object, strict};
use crate::pairing::Kek;

/// `cty` of a set.
pub const CONTENT_TYPE: &str = "jwk-set+json";
/// Octets of the longest envelope around a set that is read: 256 keys, each as long as one can be.
pub const SIZE_MAX: usize = 4 << 20;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Set<'a> {
    #[serde(borrow)]
    keys: Vec<Object<Payload<'a>>>,
}

/// Wraps many keys with their bindings under `kek`, in order.
#[must_use]
pub fn seal_set(kek: &Kek, keys: &[(Bindings, Secret<32>)], rng: &mut impl CryptoRng) -> String {
    // As long as it can get from the start: a buffer that grows leaves copies of keys behind.
    let size = keys.iter().map(|(bindings, _)| bindings.size_max() + 1).sum::<usize>() + 16;
    let mut json = Vec::with_capacity(size);
    json.extend_from_slice(br#"{"keys":["#);
    for (i, (bindings, key)) in keys.iter().enumerate() {
        if i > 0 {
            json.push(b',');
        }
        json.extend_from_slice(&Zeroizing::new(bindings.payload(key)));
    }
    json.extend_from_slice(b"]}");
    encrypt(kek, CONTENT_TYPE, json, rng)
}

/// Opens a set of exactly `count` keys. Whether each is bound as is expected is asked afterwards: [`super::check`].
///
/// # Errors
/// As [`super::open`]; [`Reject::SetForeign`]: more keys, or fewer.
pub fn open_set(kek: &Kek, jwe: &str, count: usize) -> Result<Vec<Opened>, Reject> {
    let content = decrypt(kek, jwe, CONTENT_TYPE, SIZE_MAX)?;
    let set: Set<'_> = strict(&content).map_err(|flaw| match flaw {
        Flaw::Members => Reject::PayloadMembers,
        _ => Reject::PayloadMalformed,
    })?;
    if set.keys.len() != count {
        return Err(Reject::SetForeign);
    }
    set.keys.into_iter().map(|Object(payload)| parse(payload)).collect()
}
