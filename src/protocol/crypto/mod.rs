//! The primitives, on one page. Nothing outside this folder imports `p256`, `hkdf`, `hmac`, `aes_kw`, `ml_kem` or an AEAD.

mod aead;
mod context;
mod kem;
pub mod labels;
mod secret;
mod sign;
pub mod spake2plus;

use aes_kw::{KeyInit as _, KwAes256};
use hkdf::{Hkdf, HkdfExtract};
use hmac::{Hmac, Mac as _};
use sha2::{Digest as _, Sha256};
use subtle::ConstantTimeEq as _;

pub use aead::{Aead, TAG_SIZE};
pub use context::Context;
pub use kem::{KEM_CT_SIZE, KEM_EK_SIZE, KemSecret, encapsulate};
pub use labels::Label;
pub use secret::Secret;
pub use sign::{BadKey, Signature, SigningKey, VerifyingKey};

/// The check did not hold. Says no more: the caller knows what it checked.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("does not verify")]
pub struct Unverified;

/// `SHA-256(bytes)`, FIPS 180-4.
#[must_use]
pub fn sha256(bytes: &[u8]) -> [u8; 32] {
    Sha256::digest(bytes).into()
}

/// `SHA-256(lp(label, fields…))`.
#[must_use]
pub fn hash(label: Label, fields: &[&[u8]]) -> [u8; 32] {
    sha256(Context::of(label, fields).as_ref())
}

/// `HKDF-Extract(salt, ikm₁ ‖ ikm₂ ‖ …)` over SHA-256, RFC 5869 section 2.2.
#[must_use]
pub fn extract(salt: &[u8], ikm: &[&[u8]]) -> Secret<32> {
    let mut hkdf = HkdfExtract::<Sha256>::new(Some(salt));
    for part in ikm {
        hkdf.input_ikm(part);
    }
    Secret::fill_with(|prk| prk.copy_from_slice(&hkdf.finalize().0))
}

/// `HKDF-Expand(key, lp(label, fields…), 32)` over SHA-256, RFC 5869 section 2.3.
#[must_use]
pub fn derive(key: &Secret<32>, label: Label, fields: &[&[u8]]) -> Secret<32> {
    expand(key, Context::of(label, fields).as_ref())
}

/// `HKDF-Expand(key, info, 32)`: the form of [`derive`] for an info that is not ours to choose (RFC 9383).
fn expand<const N: usize>(key: &Secret<32>, info: &[u8]) -> Secret<N> {
    Secret::fill(|okm| {
        Hkdf::<Sha256>::from_prk(key.expose()).expect("32 octets are one SHA-256 output").expand(info, okm)
    })
    .expect("at most 64 octets are within HKDF's limit")
}

/// `HMAC-SHA-256(key, part₁ ‖ part₂ ‖ …)`, RFC 2104.
#[must_use]
pub fn mac(key: &Secret<32>, parts: &[&[u8]]) -> [u8; 32] {
    let mut mac = Hmac::<Sha256>::new_from_slice(key.expose()).expect("HMAC takes a key of any length");
    for part in parts {
        mac.update(part);
    }
    mac.finalize().into_bytes().into()
}

/// `AES-KW(kek, key)`, RFC 3394: 32 octets in, 40 out.
#[must_use]
pub fn wrap(kek: &Secret<32>, key: &Secret<32>) -> [u8; 40] {
    let mut wrapped = [0; 40];
    KwAes256::new(kek.expose().into())
        .wrap_key(key.expose(), &mut wrapped)
        .expect("32 octets are four blocks");
    wrapped
}

/// The inverse of [`wrap`]: exactly 40 octets in, 32 out (RFC 3394 alone would open shorter blobs too).
///
/// # Errors
/// [`Unverified`] when the blob was not wrapped under `kek`.
pub fn unwrap(kek: &Secret<32>, wrapped: &[u8; 40]) -> Result<Secret<32>, Unverified> {
    let kw = KwAes256::new(kek.expose().into());
    Secret::fill(|key| kw.unwrap_key(wrapped, key).map(drop)).map_err(|_| Unverified)
}

/// Equality in constant time.
///
/// # Errors
/// [`Unverified`] when they differ, in length or content.
pub fn equal(a: &[u8], b: &[u8]) -> Result<(), Unverified> {
    if bool::from(a.ct_eq(b)) { Ok(()) } else { Err(Unverified) }
}
