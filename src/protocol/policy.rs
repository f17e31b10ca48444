//! The signed policy of one user at one server (proto/session/spec.md, section 3).

mod asked;
pub mod setting;
pub mod wire;

use serde::{Deserialize, Serialize};

use crate::crypto::{SigningKey, VerifyingKey, sha256};
use crate::encoding::{base64url, from_base64url};
use crate::ids::{ServerName, ServiceId, UserName};
use crate::jose::{Jws, signed_part, strict};
use crate::session::{self, SuiteList};

/// `typ` of a policy.
pub const TYPE: &str = "sidekey-policy+jws";
/// Octets of the longest policy that is read.
pub const SIZE_MAX: usize = 16 * 1024;

/// FETCH items whose values are sealed, in the order of the alphabet.
pub const SEALED_ITEMS: [&str; 8] =
    ["BINARY", "BODY", "BODYSTRUCTURE", "ENVELOPE", "PREVIEW", "RFC822", "SNIPPET", "THREADID"];

/// Items of the longest policy, and octets of each.
const ITEMS_MAX: usize = 64;

/// Why a policy is refused.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum Reject {
    /// `alg` is not ES256.
    #[error("alg must be ES256")]
    AlgorithmForeign,
    /// One version with two contents.
    #[error("this version of the policy had another content")]
    ContentChanged,
    /// The header is not base64url of JSON.
    #[error("malformed policy header")]
    HeaderMalformed,
    /// The header is not exactly `{alg, kid, typ}`.
    #[error("policy header must be alg, kid and typ")]
    HeaderMembers,
    /// The items are not 1 to 64 names, upper-case, sorted, each once.
    #[error("malformed items")]
    ItemsMalformed,
    /// `kid` is not that of the service's key.
    #[error("policy names another key")]
    KeyForeign,
    /// Not three parts.
    #[error("not a policy")]
    NotThreeParts,
    /// A newer one was seen.
    #[error("an older policy than the one seen")]
    Older,
    /// The payload is not exactly the members of a policy, each of its type.
    #[error("malformed policy")]
    PayloadMalformed,
    /// For another server.
    #[error("policy is for another server")]
    ServerForeign,
    /// Of another service.
    #[error("policy is of another service")]
    ServiceForeign,
    /// The signature is not 64 octets of base64url.
    #[error("malformed policy signature")]
    SignatureMalformed,
    /// The service's key did not sign this.
    #[error("policy signature does not verify")]
    SignatureWrong,
    /// It allows 3DES, RC4 or bare AES.
    #[error("policy names a legacy suite")]
    SuiteLegacy,
    /// It allows no suite that this client has.
    #[error("policy requires a suite that this client lacks")]
    SuiteUnsupported,
    /// An empty or oversized list of suites, or a malformed name.
    #[error("malformed list of suites")]
    SuitesMalformed,
    /// More than 16 KiB.
    #[error("policy is too long")]
    TooLong,
    /// `typ` is not `sidekey-policy+jws`.
    #[error("type is not sidekey-policy+jws")]
    TypeForeign,
    /// For another user.
    #[error("policy is for another user")]
    UserForeign,
}

/// How a client takes plaintext where it expected a sealed value.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[cfg_attr(feature = "openapi", derive(schemars::JsonSchema))]
#[serde(rename_all = "lowercase")]
pub enum Mode {
    /// As an attack.
    Require,
}

/// What one user's clients must insist on at one server.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
pub struct Policy {
    /// The service that signs it.
    pub service: ServiceId,
    /// At which server.
    pub server: ServerName,
    /// Whose.
    pub user: UserName,
    /// Only grows.
    pub version: u32,
    /// What may be used, best first.
    pub suites: SuiteList,
    /// How plaintext is taken.
    pub mode: Mode,
    /// FETCH items whose values are sealed.
    pub items: Vec<String>,
}

/// Who a policy must be for, and by whom.
#[derive(Clone, Copy, Debug)]
pub struct Scope<'a> {
    /// The service.
    pub service: ServiceId,
    /// The server.
    pub server: &'a ServerName,
    /// The user.
    pub user: &'a UserName,
}

/// The newest policy that a client accepted.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct SeenPolicy {
    /// Its version.
    pub version: u32,
    /// Its hash.
    pub hash: [u8; 32],
}

/// A policy that holds, and its hash.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Held {
    /// What it says.
    pub policy: Policy,
    /// `SHA-256(payload octets)`.
    pub hash: [u8; 32],
    /// Names the key that signed it.
    pub kid: String,
}

impl Held {
    /// What to remember of it.
    #[must_use]
    pub const fn seen(&self) -> SeenPolicy {
        SeenPolicy { version: self.policy.version, hash: self.hash }
    }
}

/// As it comes: lists are checked afterwards, so that each flaw has its name.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Payload {
    service: ServiceId,
    server: ServerName,
    user: UserName,
    version: u32,
    suites: Vec<String>,
    mode: Mode,
    items: Vec<String>,
}

impl Policy {
    /// The policy that holds where the enterprise has said nothing: version 1, everything sealed.
    #[must_use]
    pub fn built_in(service: ServiceId, server: ServerName, user: UserName) -> Self {
        Self {
            service,
            server,
            user,
            version: 1,
            suites: SuiteList::ours(),
            mode: Mode::Require,
            items: SEALED_ITEMS.map(str::to_owned).to_vec(),
        }
    }

    /// The payload: JSON, members in the order of this type, no white space. Deterministic, so every node signs and
    /// hashes the same.
    ///
    /// # Panics
    /// Never: names and numbers always serialise.
    #[must_use]
    pub fn payload(&self) -> Vec<u8> {
        serde_json::to_vec(self).expect("names and numbers serialise")
    }

    /// `SHA-256(payload)`.
    #[must_use]
    pub fn hash(&self) -> [u8; 32] {
        sha256(&self.payload())
    }

    /// The JWS, by the service's key.
    #[must_use]
    pub fn sign(&self, key: &SigningKey) -> String {
        let mut jws = signed_part(TYPE, &key_id(&key.verifying_key()), &self.payload());
        let signature = base64url(&key.sign(jws.as_bytes()));
        jws.push('.');
        jws.push_str(&signature);
        jws
    }

    /// Checks that a device with these suites can live by this policy.
    ///
    /// # Errors
    /// [`Reject::SuiteUnsupported`].
    pub fn supported_by(&self, offer: &SuiteList) -> Result<(), Reject> {
        if self.suites.suites().any(|suite| offer.contains(suite)) {
            Ok(())
        } else {
            Err(Reject::SuiteUnsupported)
        }
    }
}

/// Reads and checks a policy: by whom, for whom, not older than the last one, and within what we can do.
///
/// # Errors
/// [`Reject`].
pub fn verify(
    jws: &str,
    key: &VerifyingKey,
    scope: &Scope<'_>,
    seen: Option<SeenPolicy>,
) -> Result<Held, Reject> {
    let jws = Jws::read(jws, TYPE, SIZE_MAX)?;
    if jws.kid != key_id(key) {
        return Err(Reject::KeyForeign);
    }
    key.verify(jws.signed.as_bytes(), &jws.signature).map_err(|_| Reject::SignatureWrong)?;
    let payload = from_base64url(jws.payload).map_err(|_| Reject::PayloadMalformed)?;
    let policy = parse(&payload)?;
    let hash = sha256(&payload);
    check_scope(&policy, scope)?;
    if let Some(seen) = seen {
        if policy.version < seen.version {
            return Err(Reject::Older);
        }
        if policy.version == seen.version && hash != seen.hash {
            return Err(Reject::ContentChanged);
        }
    }
    policy.supported_by(&SuiteList::ours())?;
    Ok(Held { policy, hash, kid: jws.kid })
}

fn parse(payload: &[u8]) -> Result<Policy, Reject> {
    let Payload { service, server, user, version, suites, mode, items } =
        strict(payload).map_err(|_| Reject::PayloadMalformed)?;
    let suites = SuiteList::parse(&suites).map_err(|reject| match reject {
        session::Reject::SuiteLegacy => Reject::SuiteLegacy,
        _ => Reject::SuitesMalformed,
    })?;
    let plain = |item: &String| {
        (1..=ITEMS_MAX).contains(&item.len())
            && item.bytes().all(|octet| octet.is_ascii_graphic() && !octet.is_ascii_lowercase())
    };
    let sorted = items.windows(2).all(|pair| pair[0] < pair[1]);
    if !(1..=ITEMS_MAX).contains(&items.len()) || !items.iter().all(plain) || !sorted {
        return Err(Reject::ItemsMalformed);
    }
    Ok(Policy { service, server, user, version, suites, mode, items })
}

fn check_scope(policy: &Policy, scope: &Scope<'_>) -> Result<(), Reject> {
    if policy.service != scope.service {
        return Err(Reject::ServiceForeign);
    }
    if policy.server != *scope.server {
        return Err(Reject::ServerForeign);
    }
    if policy.user != *scope.user {
        return Err(Reject::UserForeign);
    }
    Ok(())
}

/// The `kid` of the service's signing key, the same 22 characters as the pin of a link:
/// `base64url(SHA-256(SPKI)[..16])`.
#[must_use]
pub fn key_id(key: &VerifyingKey) -> String {
    base64url(&key.fingerprint()[..16])
}

/// What names a signed policy in `ETag`, `If-None-Match`: its hash, and whose signature it carries.
#[must_use]
pub fn tag(hash: &[u8; 32], kid: &str) -> String {
    format!("{}.{kid}", base64url(hash))
}

/// Answer to `GET /v1/policy`.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[cfg_attr(feature = "openapi", derive(schemars::JsonSchema))]
pub struct PolicyAnswer {
    /// The JWS.
    pub policy: String,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::vectors::{array, cases, flip_each, load, number, octets, outcome, text, texts};

    struct Fixture {
        vectors: serde_json::Value,
        key: SigningKey,
        service: ServiceId,
        server: ServerName,
        user: UserName,
    }

    fn fixture() -> Fixture {
        let vectors = load(include_str!("../../proto/session/vectors.json"))["policies"].take();
        let scope = &vectors["scope"];
        let (service, server) =
            (text(&scope["service"]).parse().unwrap(), text(&scope["server"]).parse().unwrap());
        let user = text(&scope["user"]).parse().unwrap();
        let key = SigningKey::from_pkcs8(&octets(&vectors["key"]["pkcs8"])).unwrap();
        Fixture { vectors, key, service, server, user }
    }

    fn accept(jws: &str, seen: Option<SeenPolicy>, fixture: &Fixture) -> Result<Held, Reject> {
        let scope = Scope { service: fixture.service, server: &fixture.server, user: &fixture.user };
        verify(jws, &fixture.key.verifying_key(), &scope, seen)
    }

    #[test]
    fn vectors() {
        let fixture = fixture();
        for case in cases(&fixture.vectors, "cases") {
            let seen = case["seen"].is_object().then(|| SeenPolicy {
                version: number(&case["seen"]["version"]),
                hash: array(&case["seen"]["hash"]),
            });
            let Some(held) = outcome(case, accept(text(&case["jws"]), seen, &fixture)) else { continue };
            assert_eq!(held.hash, array(&case["hash"]), "{case}");
            assert_eq!(held.policy.version, number(&case["policy"]["version"]));
            assert!(held.policy.suites.names().eq(texts(&case["policy"]["suites"])), "{case}");
            assert_eq!(held.policy.items, texts(&case["policy"]["items"]));
            assert_eq!(held.seen(), SeenPolicy { version: held.policy.version, hash: held.hash });
        }
    }

    #[test]
    fn our_signer_writes_the_built_in_policy_to_the_octet() {
        let fixture = fixture();
        let case = &cases(&fixture.vectors, "cases")[0];
        let policy = Policy::built_in(fixture.service, fixture.server.clone(), fixture.user.clone());
        assert_eq!(policy.sign(&fixture.key), text(&case["jws"]));
        assert_eq!(policy.hash(), array(&case["hash"]), "without signing");
        let kid = key_id(&fixture.key.verifying_key());
        assert_eq!(kid, text(&fixture.vectors["key"]["kid"]));
        // What `ETag` says of it: who sees another hash or another signer fetches it again.
        assert_eq!(tag(&policy.hash(), &kid), format!("{}.{kid}", base64url(&policy.hash())));
    }

    #[test]
    fn every_flipped_octet_is_refused_for_its_part() {
        let fixture = fixture();
        let policy = Policy::built_in(fixture.service, fixture.server.clone(), fixture.user.clone());
        let header = [
            Reject::AlgorithmForeign,
            Reject::HeaderMalformed,
            Reject::HeaderMembers,
            Reject::KeyForeign,
            Reject::TypeForeign,
        ];
        let signature = [Reject::SignatureMalformed, Reject::SignatureWrong];
        let allowed: [&[Reject]; 3] = [&header, &[Reject::SignatureWrong], &signature];
        let jws = policy.sign(&fixture.key);
        flip_each(&jws, Reject::NotThreeParts, &allowed, |jws| accept(jws, None, &fixture).map(drop));
    }

    #[test]
    fn a_policy_beyond_16_kib_is_not_read() {
        let long = "A".repeat(16_385);
        assert_eq!(accept(&long, None, &fixture()), Err(Reject::TooLong));
        assert_eq!(accept(&long[1..], None, &fixture()), Err(Reject::NotThreeParts));
    }

    #[test]
    fn a_device_that_lacks_what_the_policy_requires_is_told() {
        let fixture = fixture();
        let policy = Policy::built_in(fixture.service, fixture.server, fixture.user);
        let offers = |name: &str| SuiteList::parse(&[name]).unwrap();
        assert_eq!(policy.supported_by(&offers("C20P")), Ok(()));
        assert_eq!(policy.supported_by(&offers("X-NEW")), Err(Reject::SuiteUnsupported));
    }
}
