//! Authenticated encryption in place: AES-256-GCM (NIST SP 800-38D) and ChaCha20-Poly1305 (RFC 8439).

use aws_lc_rs::aead::{AES_256_GCM, Aad, Algorithm, CHACHA20_POLY1305, LessSafeKey, Nonce, UnboundKey};

use super::{Secret, Unverified};

/// Octets of an authentication tag, in both.
pub const TAG_SIZE: usize = 16;

/// One key, one algorithm. The caller owns the nonces: none is ever used twice under one key.
pub struct Aead(LessSafeKey);

impl Aead {
    /// AES-256-GCM.
    #[must_use]
    pub fn aes_256_gcm(key: &Secret<32>) -> Self {
        Self::new(&AES_256_GCM, key)
    }

    /// ChaCha20-Poly1305.
    #[must_use]
    pub fn chacha20_poly1305(key: &Secret<32>) -> Self {
        Self::new(&CHACHA20_POLY1305, key)
    }

    fn new(algorithm: &'static Algorithm, key: &Secret<32>) -> Self {
        Self(LessSafeKey::new(UnboundKey::new(algorithm, key.expose()).expect("both take 32 octets")))
    }

    /// Encrypts `text` where it stands and returns its tag.
    ///
    /// # Panics
    /// When `text` is longer than the algorithm allows (64 GiB), which no caller's limits allow.
    pub fn seal(&self, nonce: [u8; 12], aad: &[u8], text: &mut [u8]) -> [u8; TAG_SIZE] {
        let nonce = Nonce::assume_unique_for_key(nonce);
        let tag = self
            .0
            .seal_in_place_separate_tag(nonce, Aad::from(aad), text)
            .expect("texts are bounded far below 64 GiB");
        tag.as_ref().try_into().expect("both tags are 16 octets")
    }

    /// The same of a text of which only the first `filled` octets stand in `sealed`, and `rest` is the rest: `sealed` is
    /// then `ciphertext ‖ tag`, for which it has just the room. `rest` is not copied first.
    ///
    /// # Panics
    /// As [`Aead::seal`]; when `sealed` has another length.
    pub fn seal_into(&self, nonce: [u8; 12], sealed: &mut [u8], filled: usize, rest: &[u8]) {
        assert_eq!(sealed.len(), filled + rest.len() + TAG_SIZE, "room for the text and its tag");
        let (text, room) = sealed.split_at_mut(filled);
        let nonce = Nonce::assume_unique_for_key(nonce);
        // Of aws-lc-rs's builds, all but the FIPS one may call this.
        self.0
            .seal_in_place_scatter(nonce, Aad::empty(), text, rest, room)
            .expect("texts are bounded far below 64 GiB");
    }

    /// Decrypts `ciphertext ‖ tag` where it stands and returns the text.
    ///
    /// # Errors
    /// [`Unverified`]; the buffer then holds nothing of use.
    pub fn open<'a>(
        &self,
        nonce: [u8; 12],
        aad: &[u8],
        sealed: &'a mut [u8],
    ) -> Result<&'a mut [u8], Unverified> {
        let nonce = Nonce::assume_unique_for_key(nonce);
        self.0.open_in_place(nonce, Aad::from(aad), sealed).map_err(|_| Unverified)
    }

    /// Decrypts `ciphertext ‖ tag` into `text`, which is as long as the ciphertext.
    ///
    /// # Errors
    /// [`Unverified`]; `text` then holds nothing of use.
    pub fn open_into(&self, nonce: [u8; 12], sealed: &[u8], text: &mut [u8]) -> Result<(), Unverified> {
        let (ciphertext, tag) = sealed.split_last_chunk::<TAG_SIZE>().ok_or(Unverified)?;
        let nonce = Nonce::assume_unique_for_key(nonce);
        self.0.open_separate_gather(nonce, Aad::empty(), ciphertext, tag, text).map_err(|_| Unverified)
    }
}

impl std::fmt::Debug for Aead {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Aead")
    }
}
