//! The primitives, on one page. Nothing outside this folder imports `p256`, `hkdf`, `hmac`, `aes_kw`, `ml_kem`, an AEAD
//! or what verifies a signature.

mod aead;
mod context;
mod ecdh;
mod kem;
pub mod labels;
mod secret;
mod sign;
pub mod spake2plus;
mod stretch;
#[cfg(test)]
mod wycheproof;

use aes_kw::{KeyInit as _, KwAes256};
use hkdf::{Hkdf, HkdfExtract};
use hmac::{Hmac, Mac as _};
use sha2::{Digest as _, Sha256};
use subtle::ConstantTimeEq as _;

pub use aead::{Aead, TAG_SIZE};
pub use context::Context;
pub use ecdh::EcdhSecret;
pub use kem::{KEM_CT_SIZE, KEM_EK_SIZE, KemSecret, encapsulate};
pub use labels::Label;
pub use secret::Secret;
pub use sign::{BadKey, Signature, SigningKey, VerifyingKey};
pub use stretch::stretch;

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

/// What the tests of the primitives and of pairing share.
#[cfg(test)]
pub(crate) mod testing {
    use std::collections::VecDeque;
    use std::convert::Infallible;

    use rand_core::{TryCryptoRng, TryRng};

    /// Randomness as a vector file gives it: one entry for each draw, and each draw of its entry's length.
    pub(crate) struct Script(VecDeque<Vec<u8>>);

    impl Script {
        pub(crate) fn of(draws: impl IntoIterator<Item = Vec<u8>>) -> Self {
            Self(draws.into_iter().collect())
        }
    }

    impl TryRng for Script {
        type Error = Infallible;

        fn try_next_u32(&mut self) -> Result<u32, Infallible> {
            unreachable!("nothing here draws numbers")
        }

        fn try_next_u64(&mut self) -> Result<u64, Infallible> {
            unreachable!("nothing here draws numbers")
        }

        fn try_fill_bytes(&mut self, bytes: &mut [u8]) -> Result<(), Infallible> {
            bytes.copy_from_slice(&self.0.pop_front().expect("the script has another draw"));
            Ok(())
        }
    }

    impl TryCryptoRng for Script {}

    /// The octets of a member of a vector file.
    pub(crate) fn hex(value: &serde_json::Value) -> Vec<u8> {
        base16ct::lower::decode_vec(value.as_str().expect("a string")).expect("lower-case hex")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hex<const N: usize>(text: &str) -> [u8; N] {
        base16ct::mixed::decode_vec(text).unwrap().try_into().unwrap()
    }

    fn key(text: &str) -> Secret<32> {
        Secret::copy_of(&hex::<32>(text)).unwrap()
    }

    #[test]
    fn rfc_5869_appendix_a_1_and_a_3() {
        let cases = [
            (
                hex::<13>("000102030405060708090a0b0c").to_vec(),
                hex::<10>("f0f1f2f3f4f5f6f7f8f9").to_vec(),
                "077709362c2e32df0ddc3f0dc47bba6390b6c73bb50f9c3122ec844ad7c2b3e5",
                "3cb25f25faacd57a90434f64d0362f2a2d2d0a90cf1a5a4c5db02d56ecc4c5bf34007208d5b887185865",
            ),
            (
                vec![],
                vec![],
                "19ef24a32c717b167f33a91d6f648bdf96596776afdb6377ac434c1c293ccb04",
                "8da4e775a563c18f715f802a063c5a31b8a11f5c5ee1879ec3454e5f3c738d2d9d201395faa4b61a96c8",
            ),
        ];
        for (salt, info, prk, okm) in cases {
            // In two parts, since the parts are one input.
            let extracted = extract(&salt, &[&[0x0b; 9], &[0x0b; 13]]);
            assert_eq!(extracted.expose(), &hex(prk));
            assert_eq!(expand::<42>(&extracted, &info).expose(), &hex(okm));
        }
    }

    #[test]
    fn rfc_4231_test_case_1() {
        // HMAC pads a key with zeros, so the 20 octets of the vector are these 32.
        let key = key("0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b000000000000000000000000");
        let expected = hex("b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7");
        assert_eq!(mac(&key, &[b"Hi ", b"There"]), expected);
    }

    #[test]
    fn rfc_3394_section_4_6() {
        let kek = key("000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f");
        let data = key("00112233445566778899aabbccddeeff000102030405060708090a0b0c0d0e0f");
        let wrapped = hex("28c9f404c4b810f4cbccb35cfb87f8263f5786e2d80ed326cbc7f0e71a99f43bfb988b9b7a02dd21");
        assert_eq!(wrap(&kek, &data), wrapped);
        assert_eq!(unwrap(&kek, &wrapped).unwrap().expose(), data.expose());
        for bit in 0..320 {
            let mut altered = wrapped;
            altered[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(unwrap(&kek, &altered).unwrap_err(), Unverified, "bit {bit}");
        }
    }

    #[test]
    fn what_holds_a_key_prints_its_name_alone() {
        let key = Secret::fill_with(|octets: &mut [u8; 32]| octets.fill(0x5a));
        let seed = Secret::fill_with(|octets: &mut [u8; 64]| octets.fill(0x5a));
        let draw = || testing::Script::of([vec![0x5a; 32]]);
        let signing = SigningKey::generate(&mut draw());
        assert_eq!(format!("{:?}", Aead::aes_256_gcm(&key)), "Aead");
        assert_eq!(format!("{:?}", EcdhSecret::generate(&mut draw())), "EcdhSecret");
        assert_eq!(format!("{:?}", KemSecret::from_seed(&seed)), "KemSecret");
        assert_eq!(format!("{signing:?}"), "SigningKey");
        // A public key may be told from another.
        let named = format!("{:?}", signing.verifying_key());
        let fingerprint = base16ct::lower::encode_string(&signing.verifying_key().fingerprint());
        assert_eq!(named, format!("VerifyingKey({})", &fingerprint[..16]));
    }

    #[test]
    fn equality_is_of_length_and_content() {
        assert_eq!(equal(b"ab", b"ab"), Ok(()));
        assert_eq!(equal(b"ab", b"ac"), Err(Unverified));
        assert_eq!(equal(b"ab", b"a"), Err(Unverified));
    }
}
