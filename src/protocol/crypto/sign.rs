//! ES256: ECDSA on P-256 with SHA-256 (FIPS 186-5), signatures as r ‖ s, deterministic (RFC 6979).

use jsonwebtoken::{Algorithm, DecodingKey};
use p256::ecdsa::signature::{Signer as _, Verifier as _};
use p256::pkcs8::{DecodePrivateKey as _, DecodePublicKey as _, EncodePrivateKey as _, EncodePublicKey as _};
use rand_core::CryptoRng;
use zeroize::Zeroizing;

use super::{Unverified, sha256};
use crate::encoding::base64url;

/// `r ‖ s`, 64 octets.
pub type Signature = [u8; 64];

/// Octets of a P-256 public key as SubjectPublicKeyInfo, DER.
const SPKI_SIZE: usize = 91;

/// These octets are not a key of the kind that was asked for.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("not a valid key")]
pub struct BadKey;

/// A private signing key. Wiped on drop, silent in logs.
pub struct SigningKey(p256::ecdsa::SigningKey);

impl SigningKey {
    /// A new key from `rng`.
    ///
    /// # Panics
    /// Never in practice: one draw in 2³² is refused, and the loop draws again.
    pub fn generate(rng: &mut impl CryptoRng) -> Self {
        loop {
            let scalar = super::Secret::<32>::random(rng);
            if let Ok(key) = p256::ecdsa::SigningKey::from_slice(scalar.expose()) {
                return Self(key);
            }
        }
    }

    /// Reads PKCS #8 DER (RFC 5958).
    ///
    /// # Errors
    /// [`BadKey`].
    pub fn from_pkcs8(der: &[u8]) -> Result<Self, BadKey> {
        p256::ecdsa::SigningKey::from_pkcs8_der(der).map(Self).map_err(|_| BadKey)
    }

    /// The key as PKCS #8 DER: for the key store, and for the token signer.
    ///
    /// # Panics
    /// Never: a P-256 key always encodes.
    #[must_use]
    pub fn expose_pkcs8(&self) -> Zeroizing<Vec<u8>> {
        self.0.to_pkcs8_der().expect("a P-256 key encodes").to_bytes()
    }

    /// `ECDSA(key, SHA-256(message))`.
    #[must_use]
    pub fn sign(&self, message: &[u8]) -> Signature {
        let signature: p256::ecdsa::Signature = self.0.sign(message);
        signature.to_bytes().into()
    }

    /// The public half.
    #[must_use]
    pub fn verifying_key(&self) -> VerifyingKey {
        VerifyingKey::new(*self.0.verifying_key())
    }
}

impl std::fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("SigningKey")
    }
}

/// A public signing key, with its one encoding: SubjectPublicKeyInfo, DER, 91 octets, point uncompressed.
#[derive(Clone, Eq, PartialEq)]
pub struct VerifyingKey {
    key: p256::ecdsa::VerifyingKey,
    spki: [u8; SPKI_SIZE],
}

impl VerifyingKey {
    fn new(key: p256::ecdsa::VerifyingKey) -> Self {
        let der = key.to_public_key_der().expect("a P-256 key encodes");
        Self { key, spki: der.as_bytes().try_into().expect("a P-256 SPKI is 91 octets") }
    }

    /// Reads an SPKI, and refuses every encoding but the one that we would write.
    ///
    /// # Errors
    /// [`BadKey`].
    pub fn from_spki(spki: &[u8]) -> Result<Self, BadKey> {
        let key = p256::ecdsa::VerifyingKey::from_public_key_der(spki).map_err(|_| BadKey)?;
        let key = Self::new(key);
        if key.spki.as_slice() == spki { Ok(key) } else { Err(BadKey) }
    }

    /// SubjectPublicKeyInfo, DER.
    #[must_use]
    pub fn spki(&self) -> &[u8] {
        &self.spki
    }

    /// The point, uncompressed, 65 octets: what token verifiers take.
    #[must_use]
    pub fn point(&self) -> &[u8] {
        &self.spki[SPKI_SIZE - 65..]
    }

    /// `SHA-256(SPKI)`.
    #[must_use]
    pub fn fingerprint(&self) -> [u8; 32] {
        sha256(&self.spki)
    }

    /// Checks `ECDSA(key, SHA-256(message))`.
    ///
    /// # Errors
    /// [`Unverified`].
    pub fn verify(&self, message: &[u8], signature: &Signature) -> Result<(), Unverified> {
        let signature = p256::ecdsa::Signature::from_slice(signature).map_err(|_| Unverified)?;
        self.key.verify(message, &signature).map_err(|_| Unverified)
    }

    /// The same for a token, of which every request has one: jsonwebtoken's primitive with the algorithm pinned, on
    /// aws-lc, which is several times as fast. (Its own reading of headers and claims is more generous than ours, and asks
    /// the system's clock.)
    ///
    /// # Errors
    /// [`Unverified`].
    pub fn verify_token(&self, message: &[u8], signature: &Signature) -> Result<(), Unverified> {
        let key = DecodingKey::from_ec_der(self.point());
        match jsonwebtoken::crypto::verify(&base64url(signature), message, &key, Algorithm::ES256) {
            Ok(true) => Ok(()),
            Ok(false) | Err(_) => Err(Unverified),
        }
    }
}

impl std::fmt::Debug for VerifyingKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "VerifyingKey({})", base16ct::lower::encode_string(&self.fingerprint()[..8]))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::crypto::testing::Script;

    #[test]
    fn rfc_6979_appendix_a_2_5() {
        let octets = |hex: &str| base16ct::upper::decode_vec(hex).unwrap();
        let x = octets("C9AFA9D845BA75166B5C215767B1D6934E50C3DB36E89B127B8A622B120F6721");
        let key = SigningKey::generate(&mut Script::of([x]));
        let cases = [
            (
                "sample",
                "EFD48B2AACB6A8FD1140DD9CD45E81D69D2C877B56AAF991C34D0EA84EAF3716",
                "F7CB1C942D657C41D436C7A1B6E29F65F3E900DBB9AFF4064DC4AB2F843ACDA8",
            ),
            (
                "test",
                "F1ABB023518351CD71D881567B1EA663ED3EFCF6C5132B354F28D3B0B7D38367",
                "019F4113742A2B14BD25926B49C649155F267E60D3814B4C0CC84250E46F0083",
            ),
        ];
        for (message, r, s) in cases {
            let signature = key.sign(message.as_bytes());
            assert_eq!(signature.to_vec(), octets(&[r, s].concat()));
            assert_eq!(key.verifying_key().verify(message.as_bytes(), &signature), Ok(()));
            assert_eq!(key.verifying_key().verify(b"another", &signature), Err(Unverified));
        }
    }

    #[test]
    fn a_signing_key_is_read_back_from_where_it_is_kept() {
        let key = SigningKey::generate(&mut Script::of([vec![7; 32]]));
        let again = SigningKey::from_pkcs8(&key.expose_pkcs8()).unwrap();
        assert_eq!(again.sign(b"statement"), key.sign(b"statement"));
        assert_eq!(SigningKey::from_pkcs8(&key.expose_pkcs8()[1..]).unwrap_err(), BadKey);
    }
}
