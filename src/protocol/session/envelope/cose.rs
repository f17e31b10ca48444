//! The COSE form of an envelope, for bearers that carry few octets (proto/session/spec.md, section 5): a tagged
//! COSE_Encrypt0 (RFC 9052) in its one deterministic form (RFC 8949, section 4.2.1), always 127 octets.
//!
//! Written by hand: all its lengths are fixed, so the form is a few constant octets around five holes, and whatever
//! else CBOR can spell the same with is refused by comparing them. A library for COSE reads all those spellings.

use rand_core::CryptoRng;
use zeroize::Zeroizing;

use super::open::check_times;
use super::{Bindings, Known, Reject, bindings};
use crate::crypto::{Aead, Context, Secret, TAG_SIZE, hash, labels};
use crate::ids::{PartyId, ServerName, ServiceId, SessionId, Timestamp, UserName};
use crate::pairing::Kek;
use crate::session::{Capabilities, OFFER_OF_SEVERAL, Suite};

/// Octets of an envelope in COSE: all of them.
pub const SIZE: usize = 127;
/// Its media type.
pub const MEDIA_TYPE: &str = r#"application/cose; cose-type="cose-encrypt0""#;

/// For whom an envelope is. Not in it: its tag holds for these alone.
#[derive(Clone, Copy, Debug)]
pub struct Scope<'a> {
    /// The service that we paired with.
    pub service: ServiceId,
    /// The server that we paired for.
    pub server: &'a ServerName,
    /// Whose session.
    pub user: &'a UserName,
    /// We ourselves.
    pub pairing: PartyId,
}

/// What an envelope in COSE holds. Of policy, capabilities and offer it holds a hash alone: see [`Carried::lists`].
#[derive(Debug)]
pub struct Carried {
    /// The session key.
    pub key: Secret<32>,
    /// What the object keys are for.
    pub suite: Suite,
    /// Which session.
    pub session: SessionId,
    /// Which of its keys.
    pub generation: u32,
    /// How many revocations the service had seen: its head's n.
    pub revocations: u64,
    /// When this generation began.
    pub not_before: Timestamp,
    /// When the session ends.
    pub not_after: Timestamp,
    /// The first octets of a hash over policy, capabilities and offer.
    pub(in crate::session) ctx: [u8; 8],
}

/// The lists behind an envelope, found by trying those that its holder knows.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Lists {
    /// Hash of the policy.
    pub policy: [u8; 32],
    /// What the server said it can do.
    pub capabilities: Capabilities,
    /// Hash of the client's own offer, or zeros.
    pub offer: [u8; 32],
}

/// Wraps `key` with its bindings under `kek`, whose every nonce is random: far fewer than 2³² of them in an epoch.
#[must_use]
pub fn seal(kek: &Kek, bindings: &Bindings, key: &Secret<32>, rng: &mut impl CryptoRng) -> [u8; SIZE] {
    let Bindings { service, server, user, pairing, .. } = bindings;
    let scope = Scope { service: *service, server, user, pairing: *pairing };
    let mut envelope = [0; SIZE];
    envelope[..IV].copy_from_slice(&head(ALGORITHM, kek.id));
    let mut iv = [0; 12];
    rng.fill_bytes(&mut iv);
    envelope[IV..CIPHERTEXT_HEAD].copy_from_slice(&iv);
    envelope[CIPHERTEXT_HEAD..CIPHERTEXT].copy_from_slice(&[0x58, CIPHERTEXT_SIZE]);
    write(&mut envelope[CIPHERTEXT..TAG], bindings, key);
    let aad = enc_structure(kek.id, &scope);
    let tag = Aead::aes_256_gcm(&kek.gcm).seal(iv, &aad, &mut envelope[CIPHERTEXT..TAG]);
    envelope[TAG..].copy_from_slice(&tag);
    envelope
}

/// Opens an envelope. What it was made under is asked afterwards: [`Carried::lists`]; and whether its generation is
/// older than one seen, which is known once its session is.
///
/// # Errors
/// [`Reject::SizeForeign`], [`Reject::FormForeign`], [`Reject::AlgorithmForeign`], [`Reject::KekForeign`],
/// [`Reject::ContentWrong`] (also for somebody else), [`Reject::VersionUnknown`], [`Reject::SuiteUnknown`], and those
/// of its times.
pub fn open(kek: &Kek, envelope: &[u8], scope: &Scope<'_>, now: Timestamp) -> Result<Carried, Reject> {
    let envelope: &[u8; SIZE] = envelope.try_into().map_err(|_| Reject::SizeForeign)?;
    let (algorithm, kid) = (envelope[ALGORITHM_AT], array(&envelope[KID..KID + 8]));
    let formed = envelope[..IV] == head(algorithm, kid)
        && envelope[CIPHERTEXT_HEAD..CIPHERTEXT] == [0x58, CIPHERTEXT_SIZE];
    if !formed {
        return Err(Reject::FormForeign);
    }
    if algorithm != ALGORITHM {
        return Err(Reject::AlgorithmForeign);
    }
    if kid != kek.id {
        return Err(Reject::KekForeign);
    }
    let iv = array(&envelope[IV..CIPHERTEXT_HEAD]);
    let mut sealed = Zeroizing::new(envelope[CIPHERTEXT..].to_vec());
    let content = Aead::aes_256_gcm(&kek.gcm)
        .open(iv, &enc_structure(kid, scope), &mut sealed)
        .map_err(|_| Reject::ContentWrong)?;
    let carried = read(content)?;
    check_times(carried.not_before, carried.not_after, now)?;
    Ok(carried)
}

impl Carried {
    /// Finds the lists that this envelope was made under among those that are known, and checks that its suite follows
    /// from them.
    ///
    /// # Errors
    /// [`Reject::ContextForeign`]: none of them (fetch policy and list over HTTPS, then try again);
    /// [`Reject::SuiteDowngraded`].
    pub fn lists(&self, known: &Known<'_>) -> Result<Lists, Reject> {
        let own = known.offer.map(crate::session::SuiteList::offer_hash);
        let capabilities = known.capabilities.ok_or(Reject::ContextForeign)?;
        let policy = known.policy.hash;
        let offer = [Some(OFFER_OF_SEVERAL), own]
            .into_iter()
            .flatten()
            .find(|offer| self.ctx == ctx(&policy, capabilities, offer))
            .ok_or(Reject::ContextForeign)?;
        bindings::follows(self.suite, capabilities, &offer, known)?;
        Ok(Lists { policy, capabilities: capabilities.clone(), offer })
    }
}

/// `SHA-256(lp("ctx", policy hash, capabilities hash, offer hash))[..8]`.
fn ctx(policy: &[u8; 32], capabilities: &Capabilities, offer: &[u8; 32]) -> [u8; 8] {
    array(&hash(labels::CTX, &[policy, &capabilities.hash(), offer])[..8])
}

/// Everything before the IV: the tag 16, an array of three, the protected header as a byte string, and the one member
/// of the unprotected header.
fn head(algorithm: u8, kid: [u8; 8]) -> [u8; IV] {
    let mut head = [0; IV];
    head[..2].copy_from_slice(&[0xd0, 0x83]);
    head[2] = 0x40 | PROTECTED_SIZE;
    head[3..IV - 3].copy_from_slice(&protected(algorithm, kid));
    head[IV - 3..].copy_from_slice(&[0xa1, 0x05, 0x4c]);
    head
}

/// `{1: algorithm, 4: kid}`.
fn protected(algorithm: u8, kid: [u8; 8]) -> [u8; PROTECTED_SIZE as usize] {
    let mut header = [0; PROTECTED_SIZE as usize];
    header[..5].copy_from_slice(&[0xa2, 0x01, algorithm, 0x04, 0x48]);
    header[5..].copy_from_slice(&kid);
    header
}

/// `Enc_structure` of RFC 9052, section 5.3: `["Encrypt0", protected, external_aad]`, external_aad = lp("envelope",
/// service id, server, user, pairing).
fn enc_structure(kid: [u8; 8], scope: &Scope<'_>) -> Vec<u8> {
    let Scope { service, server, user, pairing } = scope;
    let fields: [&[u8]; 4] =
        [service.as_bytes(), server.as_str().as_bytes(), user.as_str().as_bytes(), pairing.as_bytes()];
    let external = Context::of(labels::ENVELOPE, &fields);
    let external = external.as_ref();
    let mut structure = Vec::with_capacity(32 + external.len());
    structure.extend_from_slice(&[0x83, 0x68]);
    structure.extend_from_slice(b"Encrypt0");
    structure.push(0x40 | PROTECTED_SIZE);
    structure.extend_from_slice(&protected(ALGORITHM, kid));
    // Label, ids and their lengths alone are 79 octets; two names add at most 510.
    match u8::try_from(external.len()) {
        Ok(length) => structure.extend_from_slice(&[0x58, length]),
        Err(_) => {
            let length = u16::try_from(external.len()).expect("names have at most 255 octets");
            structure.push(0x59);
            structure.extend_from_slice(&length.to_be_bytes());
        }
    }
    structure.extend_from_slice(external);
    structure
}

/// The content, where it is encrypted next.
fn write(content: &mut [u8], bindings: &Bindings, key: &Secret<32>) {
    let ctx = ctx(&bindings.policy, &bindings.capabilities, &bindings.offer);
    let fields: [&[u8]; 8] = [
        &[VERSION, bindings.suite.octet()],
        bindings.session.as_bytes(),
        &bindings.generation.to_be_bytes(),
        &bindings.head.n().to_be_bytes(),
        &bindings.not_before.0.to_be_bytes(),
        &bindings.not_after.0.to_be_bytes(),
        key.expose(),
        &ctx,
    ];
    let mut rest = content;
    for field in fields {
        let (place, after) = rest.split_at_mut(field.len());
        place.copy_from_slice(field);
        rest = after;
    }
    debug_assert!(rest.is_empty(), "the fields fill the content");
}

fn read(content: &[u8]) -> Result<Carried, Reject> {
    if content[0] != VERSION {
        return Err(Reject::VersionUnknown);
    }
    Ok(Carried {
        suite: Suite::from_octet(content[1]).ok_or(Reject::SuiteUnknown)?,
        session: SessionId::from_bytes(array(&content[2..18])),
        generation: u32::from_be_bytes(array(&content[18..22])),
        revocations: u64::from_be_bytes(array(&content[22..30])),
        not_before: Timestamp(u32::from_be_bytes(array(&content[30..34]))),
        not_after: Timestamp(u32::from_be_bytes(array(&content[34..38]))),
        key: Secret::copy_of(&content[38..70]).expect("a key has 32 octets"),
        ctx: array(&content[70..]),
    })
}

fn array<const N: usize>(octets: &[u8]) -> [u8; N] {
    octets.try_into().expect("the offsets are the layout's own")
}

/// AES-256-GCM (RFC 9053, section 4.1).
const ALGORITHM: u8 = 3;
const VERSION: u8 = 1;
const PROTECTED_SIZE: u8 = 13;
const CONTENT_SIZE: usize = 78;
const CIPHERTEXT_SIZE: u8 = 94;
const ALGORITHM_AT: usize = 5;
const KID: usize = 8;
const IV: usize = 19;
const CIPHERTEXT_HEAD: usize = IV + 12;
const CIPHERTEXT: usize = CIPHERTEXT_HEAD + 2;
const TAG: usize = CIPHERTEXT + CONTENT_SIZE;
const _: () = assert!(SIZE == TAG + TAG_SIZE && CIPHERTEXT_SIZE as usize == CONTENT_SIZE + TAG_SIZE);
