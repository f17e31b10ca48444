//! The sealed boxes of `finish`, and what a client says of itself in one (proto/pairing/spec.md section 5).

use std::fmt;
use std::str::FromStr;

use rand_core::CryptoRng;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

use crate::crypto::{self, Aead, Context, Label, Secret, TAG_SIZE};
use crate::encoding::Bytes;
use crate::ids::Malformed;

/// Octets of the longest box.
const BOX_MAX: usize = 65_536;
const NONCE_SIZE: usize = 12;
const LABEL_MAX: usize = 64;

/// Why a box is refused.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Unopened {
    /// It does not open, or cannot be a box.
    Altered,
    /// It holds something else.
    Malformed,
}

/// `nonce ‖ ciphertext ‖ tag` of the JSON, AES-256-GCM under `Derive(root_0, label)`, AAD `th`.
pub(super) fn seal(
    root: &Secret<32>,
    label: Label,
    th: &[u8; 32],
    content: &impl Serialize,
    rng: &mut impl CryptoRng,
) -> Bytes {
    let mut nonce = [0; NONCE_SIZE];
    rng.fill_bytes(&mut nonce);
    let mut sealed = nonce.to_vec();
    serde_json::to_writer(&mut sealed, content).expect("a box is JSON of plain members");
    let key = Aead::aes_256_gcm(&crypto::derive(root, label, &[]));
    let tag = key.seal(nonce, th, &mut sealed[NONCE_SIZE..]);
    sealed.extend_from_slice(&tag);
    Bytes(sealed)
}

/// The inverse of [`seal`].
pub(super) fn open<T: DeserializeOwned>(
    root: &Secret<32>,
    label: Label,
    th: &[u8; 32],
    sealed: &Bytes,
) -> Result<T, Unopened> {
    if !(NONCE_SIZE + TAG_SIZE..=BOX_MAX).contains(&sealed.0.len()) {
        return Err(Unopened::Altered);
    }
    let (nonce, body) = sealed.0.split_at(NONCE_SIZE);
    let nonce = nonce.try_into().expect("split there");
    let mut body = body.to_vec();
    let key = Aead::aes_256_gcm(&crypto::derive(root, label, &[]));
    let content = key.open(nonce, th, &mut body).map_err(|_| Unopened::Altered)?;
    serde_json::from_slice(content).map_err(|_| Unopened::Malformed)
}

/// What a box's signature is over: `lp(box label, th)`.
pub(super) fn signed(label: Label, th: &[u8; 32]) -> Context {
    Context::of(label, &[th])
}

/// What a party calls itself, for the people who list parties: 1 to 64 characters, none of them a control or a direction
/// character, no white space at its ends.
#[derive(Clone, Eq, PartialEq)]
pub struct PartyLabel(String);

impl PartyLabel {
    /// The label.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for PartyLabel {
    type Err = Malformed;

    fn from_str(text: &str) -> Result<Self, Malformed> {
        // Direction characters make a list show another label than the one that is stored.
        let misleads = |c: char| {
            c.is_control()
                || matches!(c, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
        };
        let plain = (1..=LABEL_MAX).contains(&text.chars().count()) && text.trim() == text;
        if plain && !text.contains(misleads) { Ok(Self(text.to_owned())) } else { Err(Malformed) }
    }
}

impl fmt::Display for PartyLabel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for PartyLabel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", self.0)
    }
}

impl Serialize for PartyLabel {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for PartyLabel {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(de::Error::custom)
    }
}
