//! The envelope: one session key, wrapped for one party, with everything that it is bound to (proto/session/spec.md,
//! section 5), in two standard encodings: JWE in compact form (RFC 7516) over AES-KW and AES-256-GCM, and [`cose`].

mod bindings;
pub mod cose;
mod open;
pub mod set;

use std::io::Write as _;

use base64ct::{Base64UrlUnpadded, Encoding as _};
use rand_core::CryptoRng;

use crate::crypto::{Aead, Secret, wrap};
use crate::pairing::Kek;

pub use bindings::{Bindings, Known};
pub use open::{Expected, Opened, check, open};

/// `typ` of an envelope.
pub const TYPE: &str = "sidekey-key+jwe";
/// `cty` of an envelope.
const CONTENT_TYPE: &str = "jwk+json";
/// Octets of the longest envelope that is read.
pub const SIZE_MAX: usize = 64 * 1024;
/// Seconds by which two clocks may differ.
pub const LEEWAY_S: u32 = 60;

/// Why an envelope is refused.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum Reject {
    /// `alg` is not A256KW; in COSE not AES-256-GCM.
    #[error("alg must be A256KW, in COSE A256GCM")]
    AlgorithmForeign,
    /// Other capabilities than the server named.
    #[error("envelope carries other capabilities")]
    CapabilitiesForeign,
    /// The capabilities are not in canonical form.
    #[error("malformed capabilities in envelope")]
    CapabilitiesMalformed,
    /// The ciphertext is not base64url.
    #[error("malformed ciphertext")]
    CiphertextMalformed,
    /// `cty` is not `jwk+json`; of a set `jwk-set+json`.
    #[error("content type is not that of a session key")]
    ContentTypeForeign,
    /// Header, nonce, ciphertext or tag was altered; in COSE also: it is for somebody else.
    #[error("envelope does not open")]
    ContentWrong,
    /// A COSE envelope made under another policy, list of capabilities or offer than those known.
    #[error("envelope was made under another policy, list of capabilities or offer")]
    ContextForeign,
    /// `enc` is not A256GCM.
    #[error("enc must be A256GCM")]
    EncryptionForeign,
    /// Its time is over.
    #[error("envelope has expired")]
    Expired,
    /// `sk_exp` is before `sk_nbf`.
    #[error("envelope ends before it begins")]
    ExpiresBeforeValid,
    /// Not a tagged COSE_Encrypt0 in its one deterministic form.
    #[error("not the deterministic form of a COSE envelope")]
    FormForeign,
    /// Another generation than the one asked for.
    #[error("envelope is of another generation")]
    GenerationForeign,
    /// An older generation than one seen.
    #[error("envelope is of an older generation than one seen")]
    GenerationOlder,
    /// The header is not base64url of JSON.
    #[error("malformed envelope header")]
    HeaderMalformed,
    /// The header is not exactly `{alg, enc, kid, typ, cty}`.
    #[error("envelope header must be alg, enc, kid, typ and cty")]
    HeaderMembers,
    /// `kid` names another key-encryption key.
    #[error("envelope is wrapped under another key")]
    KekForeign,
    /// Not an `oct` JWK.
    #[error("not an oct key")]
    KeyTypeForeign,
    /// More than a day between `sk_nbf` and `sk_exp`.
    #[error("envelope lives too long")]
    LifetimeTooLong,
    /// The nonce is not 12 octets of base64url.
    #[error("malformed nonce")]
    NonceMalformed,
    /// Not five parts.
    #[error("not an envelope")]
    NotFiveParts,
    /// Its time has not come.
    #[error("envelope is not yet valid")]
    NotYetValid,
    /// Another offer than the client made, nor of several.
    #[error("envelope was made for another offer")]
    OfferForeign,
    /// For another pairing.
    #[error("envelope is for another pairing")]
    PairingForeign,
    /// The content is not JSON.
    #[error("malformed envelope content")]
    PayloadMalformed,
    /// The content is not exactly the members of an envelope, each once and of its type.
    #[error("envelope content has missing, unknown or repeated members")]
    PayloadMembers,
    /// Made under another policy than the one held.
    #[error("envelope was made under another policy")]
    PolicyForeign,
    /// For another server.
    #[error("envelope is for another server")]
    ServerForeign,
    /// Of another service.
    #[error("envelope is of another service")]
    ServiceForeign,
    /// Of another session.
    #[error("envelope is of another session")]
    SessionForeign,
    /// The session key is not 32 octets of base64url.
    #[error("malformed session key")]
    SessionKeyMalformed,
    /// A set with more keys, or fewer, than were asked for.
    #[error("another number of keys than asked for")]
    SetForeign,
    /// Not the 127 octets of a COSE envelope.
    #[error("a COSE envelope has 127 octets")]
    SizeForeign,
    /// The suite does not follow from policy, capabilities and offer.
    #[error("envelope names a suite that does not follow from policy, capabilities and offer")]
    SuiteDowngraded,
    /// 3DES, RC4 or bare AES.
    #[error("envelope names a legacy suite")]
    SuiteLegacy,
    /// A suite that we do not know.
    #[error("envelope names an unknown suite")]
    SuiteUnknown,
    /// The tag is not 16 octets of base64url.
    #[error("malformed tag")]
    TagMalformed,
    /// More than 64 KiB.
    #[error("envelope is too long")]
    TooLong,
    /// `typ` is not `sidekey-key+jwe`.
    #[error("type is not sidekey-key+jwe")]
    TypeForeign,
    /// For another user.
    #[error("envelope is for another user")]
    UserForeign,
    /// A version of the content of a COSE envelope that we do not know.
    #[error("envelope is of an unknown version")]
    VersionUnknown,
    /// The encrypted key is not 40 octets of base64url.
    #[error("malformed encrypted key")]
    WrapMalformed,
    /// The encrypted key was not wrapped under this key.
    #[error("encrypted key does not unwrap")]
    WrapWrong,
}

/// Wraps `key` with its bindings under `kek`: one AES-KW, one AES-256-GCM under a key used this once.
///
/// # Panics
/// Never: everything written is ASCII or was UTF-8 before.
#[must_use]
pub fn seal(kek: &Kek, bindings: &Bindings, key: &Secret<32>, rng: &mut impl CryptoRng) -> String {
    encrypt(kek, CONTENT_TYPE, bindings.payload(key), rng)
}

/// A JWE around `text`, which is encrypted where it stands.
fn encrypt(kek: &Kek, content_type: &str, mut text: Vec<u8>, rng: &mut impl CryptoRng) -> String {
    let cek = Secret::<32>::random(rng);
    let mut nonce = [0; 12];
    rng.fill_bytes(&mut nonce);

    let mut jwe = Vec::with_capacity(256 + text.len() * 4 / 3);
    push_base64url(&mut jwe, &header(kek.id, content_type));
    let tag = Aead::aes_256_gcm(&cek).seal(nonce, &jwe, &mut text);
    for part in [&wrap(&kek.kw, &cek)[..], &nonce, &text, &tag] {
        jwe.push(b'.');
        push_base64url(&mut jwe, part);
    }
    String::from_utf8(jwe).expect("base64url and dots are ASCII")
}

fn header(kid: [u8; 8], content_type: &str) -> Vec<u8> {
    let mut header = Vec::with_capacity(128);
    header.extend_from_slice(br#"{"alg":"A256KW","enc":"A256GCM","kid":""#);
    push_base64url(&mut header, &kid);
    write!(header, r#"","typ":"{TYPE}","cty":"{content_type}"}}"#).expect("a Vec takes every write");
    header
}

/// Encodes in place: no copy of what may be a key is left anywhere.
fn push_base64url(out: &mut Vec<u8>, bytes: &[u8]) {
    let start = out.len();
    out.resize(start + Base64UrlUnpadded::encoded_len(bytes), 0);
    Base64UrlUnpadded::encode(bytes, &mut out[start..]).expect("the room is exactly the encoded length");
}
