//! Opening an envelope, whoever made it: members may come in any order and with white space, as other libraries write
//! them, but exactly these, each once.

use serde::Deserialize;
use zeroize::Zeroizing;

use super::{Bindings, CONTENT_TYPE, LEEWAY_S, Reject, SIZE_MAX, TYPE};
use crate::crypto::{Aead, Secret, unwrap};
use crate::encoding::{Octets, array_from_base64url, base64url, from_base64url};
use crate::ids::{PartyId, ServerName, ServiceId, SessionId, Timestamp, UserName};
use crate::jose::{Flaw, strict};
use crate::pairing::Kek;
use crate::revocation::SealedHead;
use crate::session::{self, Capabilities, Suite, TTL_MAX_S};

/// What the one who opens an envelope expects of it.
#[derive(Clone, Copy, Debug)]
pub struct Expected<'a> {
    /// The service that we paired with.
    pub service: ServiceId,
    /// The server that we paired for.
    pub server: &'a ServerName,
    /// Whose session; `None` for a server that opened it for a pairing.
    pub user: Option<&'a UserName>,
    /// We ourselves.
    pub pairing: PartyId,
    /// The session asked for; `None` when it was opened by this very request.
    pub session: Option<SessionId>,
    /// The generation asked for; `None` for the newest.
    pub generation: Option<u32>,
    /// Where no generation was asked for, the highest one seen: nobody goes back.
    pub generation_seen: u32,
}

/// A session key and what it is bound to.
#[derive(Debug)]
pub struct Opened {
    /// The session key.
    pub key: Secret<32>,
    /// What it is bound to.
    pub bindings: Bindings,
}

/// Opens an envelope and holds it against what is expected. Whether its suite is the right one is asked afterwards:
/// [`Bindings::agree`].
///
/// # Errors
/// [`Reject`].
pub fn open(kek: &Kek, jwe: &str, expected: &Expected<'_>, now: Timestamp) -> Result<Opened, Reject> {
    let content = decrypt(kek, jwe, CONTENT_TYPE, SIZE_MAX)?;
    let payload = strict(&content).map_err(|flaw| match flaw {
        Flaw::Members => Reject::PayloadMembers,
        _ => Reject::PayloadMalformed,
    })?;
    let opened = parse(payload)?;
    check(&opened.bindings, expected, now)?;
    Ok(opened)
}

/// Holds bindings against what is expected of them, as [`open`] does.
///
/// # Errors
/// [`Reject`].
pub fn check(bindings: &Bindings, expected: &Expected<'_>, now: Timestamp) -> Result<(), Reject> {
    check_bindings(bindings, expected)?;
    check_times(bindings.not_before, bindings.not_after, now)
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Header {
    alg: String,
    enc: String,
    kid: String,
    typ: String,
    cty: String,
}

/// The JWK. `k` is borrowed from the buffer, which is wiped.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Payload<'a> {
    kty: String,
    k: &'a str,
    sk_service: ServiceId,
    sk_server: ServerName,
    sk_user: UserName,
    sk_pairing: PartyId,
    sk_session: SessionId,
    sk_generation: u32,
    sk_suite: String,
    sk_nbf: Timestamp,
    sk_exp: Timestamp,
    sk_policy: Octets<32>,
    sk_caps: Vec<String>,
    sk_offer: Octets<32>,
    sk_head: SealedHead,
}

/// The content of a JWE of ours whose `cty` is this one.
pub(super) fn decrypt(
    kek: &Kek,
    jwe: &str,
    content_type: &str,
    size_max: usize,
) -> Result<Zeroizing<Vec<u8>>, Reject> {
    if jwe.len() > size_max {
        return Err(Reject::TooLong);
    }
    let mut parts = jwe.split('.');
    let mut part = || parts.next().ok_or(Reject::NotFiveParts);
    let (header, wrapped, nonce, text, tag) = (part()?, part()?, part()?, part()?, part()?);
    if parts.next().is_some() {
        return Err(Reject::NotFiveParts);
    }
    check_header(header, content_type, kek.id)?;
    let wrapped = array_from_base64url(wrapped).map_err(|_| Reject::WrapMalformed)?;
    let nonce = array_from_base64url(nonce).map_err(|_| Reject::NonceMalformed)?;
    let mut text = Zeroizing::new(from_base64url(text).map_err(|_| Reject::CiphertextMalformed)?);
    let tag = array_from_base64url::<16>(tag).map_err(|_| Reject::TagMalformed)?;
    text.extend_from_slice(&tag);

    let cek = unwrap(&kek.kw, &wrapped).map_err(|_| Reject::WrapWrong)?;
    let size = Aead::aes_256_gcm(&cek)
        .open(nonce, header.as_bytes(), &mut text)
        .map_err(|_| Reject::ContentWrong)?
        .len();
    text.truncate(size);
    Ok(text)
}

fn check_header(header: &str, content_type: &str, kid: [u8; 8]) -> Result<(), Reject> {
    let header = from_base64url(header).map_err(|_| Reject::HeaderMalformed)?;
    let header: Header = strict(&header).map_err(|flaw| match flaw {
        Flaw::Members => Reject::HeaderMembers,
        _ => Reject::HeaderMalformed,
    })?;
    let checks = [
        (header.alg == "A256KW", Reject::AlgorithmForeign),
        (header.enc == "A256GCM", Reject::EncryptionForeign),
        (header.typ == TYPE, Reject::TypeForeign),
        (header.cty == content_type, Reject::ContentTypeForeign),
        (header.kid == base64url(&kid), Reject::KekForeign),
    ];
    first_failed(&checks)
}

pub(super) fn parse(payload: Payload<'_>) -> Result<Opened, Reject> {
    if payload.kty != "oct" {
        return Err(Reject::KeyTypeForeign);
    }
    let key = session_key(payload.k)?;
    let bindings = Bindings {
        service: payload.sk_service,
        server: payload.sk_server,
        user: payload.sk_user,
        pairing: payload.sk_pairing,
        session: payload.sk_session,
        generation: payload.sk_generation,
        suite: suite(&payload.sk_suite)?,
        not_before: payload.sk_nbf,
        not_after: payload.sk_exp,
        policy: payload.sk_policy.0,
        capabilities: capabilities(&payload.sk_caps)?,
        offer: payload.sk_offer.0,
        head: payload.sk_head,
    };
    Ok(Opened { key, bindings })
}

fn session_key(text: &str) -> Result<Secret<32>, Reject> {
    let key = Zeroizing::new(from_base64url(text).map_err(|_| Reject::SessionKeyMalformed)?);
    Secret::copy_of(&key).ok_or(Reject::SessionKeyMalformed)
}

fn suite(name: &str) -> Result<Suite, Reject> {
    match session::SuiteList::parse(&[name]) {
        Err(session::Reject::SuiteLegacy) => Err(Reject::SuiteLegacy),
        _ => Suite::from_name(name).ok_or(Reject::SuiteUnknown),
    }
}

fn capabilities(list: &[String]) -> Result<Capabilities, Reject> {
    let capabilities = Capabilities::parse(list).map_err(|reject| match reject {
        session::Reject::SuiteLegacy => Reject::SuiteLegacy,
        _ => Reject::CapabilitiesMalformed,
    })?;
    let canonical = capabilities.iter().eq(list.iter().map(String::as_str));
    if canonical { Ok(capabilities) } else { Err(Reject::CapabilitiesMalformed) }
}

fn check_bindings(bindings: &Bindings, expected: &Expected<'_>) -> Result<(), Reject> {
    let seen = expected.generation.is_some() || bindings.generation >= expected.generation_seen;
    let checks = [
        (bindings.service == expected.service, Reject::ServiceForeign),
        (bindings.server == *expected.server, Reject::ServerForeign),
        (expected.user.is_none_or(|user| bindings.user == *user), Reject::UserForeign),
        (bindings.pairing == expected.pairing, Reject::PairingForeign),
        (expected.session.is_none_or(|session| bindings.session == session), Reject::SessionForeign),
        (expected.generation.is_none_or(|asked| bindings.generation == asked), Reject::GenerationForeign),
        (seen, Reject::GenerationOlder),
    ];
    first_failed(&checks)
}

pub(super) fn check_times(not_before: Timestamp, not_after: Timestamp, now: Timestamp) -> Result<(), Reject> {
    let checks = [
        (not_before < not_after, Reject::ExpiresBeforeValid),
        (not_after.since_s(not_before) <= TTL_MAX_S, Reject::LifetimeTooLong),
        (not_before <= now.after_s(LEEWAY_S), Reject::NotYetValid),
        (now < not_after.after_s(LEEWAY_S), Reject::Expired),
    ];
    first_failed(&checks)
}

fn first_failed(checks: &[(bool, Reject)]) -> Result<(), Reject> {
    checks.iter().find(|(holds, _)| !holds).map_or(Ok(()), |(_, reject)| Err(*reject))
}
