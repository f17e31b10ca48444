//! Bearer tokens: what they say, and whether it holds (proto/session/spec.md, section 6).
//!
//! A party signs its own, so the service holds nothing that could make one.

use serde::{Deserialize, Serialize};

use crate::crypto::{SigningKey, VerifyingKey};
use crate::encoding::{Octets, base64url, from_base64url};
use crate::ids::{PartyId, ServiceId, Timestamp};
use crate::jose::{Jws, signed_part, strict};

/// `typ` of a bearer token.
pub const TYPE: &str = "sidekey+jwt";
/// Seconds between `iat` and `exp`, at most.
pub const LIFETIME_MAX_S: u32 = 600;
/// Seconds by which two clocks may differ.
pub const LEEWAY_S: u32 = 60;
/// Octets of the longest token that is read.
pub const SIZE_MAX: usize = 2048;

/// Why a token is refused.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum Reject {
    /// `alg` is not ES256.
    #[error("alg must be ES256")]
    AlgorithmForeign,
    /// `aud` is another service.
    #[error("token is for another service")]
    AudienceForeign,
    /// The claims are not exactly `{aud, iat, exp, kek?}`, each of its type.
    #[error("malformed claims")]
    ClaimsMalformed,
    /// `exp` is before `iat`.
    #[error("token expires before it was issued")]
    ExpiresBeforeIssued,
    /// Its time is over.
    #[error("token has expired")]
    Expired,
    /// The header is not base64url of JSON.
    #[error("malformed token header")]
    HeaderMalformed,
    /// The header is not exactly `{alg, kid, typ}`.
    #[error("token header must be alg, kid and typ")]
    HeaderMembers,
    /// `iat` is in the future.
    #[error("token was issued in the future")]
    IssuedInFuture,
    /// More than 600 s between `iat` and `exp`.
    #[error("token lives too long")]
    LifetimeTooLong,
    /// Not three parts.
    #[error("not a token")]
    NotThreeParts,
    /// `kid` is not a party's id.
    #[error("kid is not a party id")]
    PartyMalformed,
    /// The signature is not 64 octets of base64url.
    #[error("malformed token signature")]
    SignatureMalformed,
    /// The key of that party did not sign this.
    #[error("token signature does not verify")]
    SignatureWrong,
    /// More than 2 KiB.
    #[error("token is too long")]
    TooLong,
    /// `typ` is not `sidekey+jwt`.
    #[error("token type is not sidekey+jwt")]
    TypeForeign,
}

/// A token that was read, not yet verified.
#[derive(Debug)]
pub struct Presented<'a> {
    jws: Jws<'a>,
    party: PartyId,
}

/// What a verified token says.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Verified {
    /// Who signed it.
    pub party: PartyId,
    /// The key-encryption key that its holder uses; the first one unless said.
    pub kek: Option<[u8; 8]>,
    /// The first second in which it no longer holds, leeway included.
    pub until: Timestamp,
}

#[derive(Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
struct Claims {
    aud: ServiceId,
    iat: Timestamp,
    exp: Timestamp,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    kek: Option<Octets<8>>,
}

/// Signs a token of `party` that holds from `now` for 600 s.
///
/// # Panics
/// Never: the claims always serialise.
#[must_use]
pub fn sign(
    key: &SigningKey,
    party: PartyId,
    service: ServiceId,
    kek: Option<[u8; 8]>,
    now: Timestamp,
) -> String {
    let claims = Claims { aud: service, iat: now, exp: now.after_s(LIFETIME_MAX_S), kek: kek.map(Octets) };
    let payload = serde_json::to_vec(&claims).expect("ids and numbers serialise");
    let mut token = signed_part(TYPE, &party.to_string(), &payload);
    let signature = base64url(&key.sign(token.as_bytes()));
    token.push('.');
    token.push_str(&signature);
    token
}

impl<'a> Presented<'a> {
    /// Reads everything that can be read before the party's key is known.
    ///
    /// # Errors
    /// Every [`Reject`] that is not about the claims or the signature's truth.
    pub fn read(token: &'a str) -> Result<Self, Reject> {
        let jws = Jws::read(token, TYPE, SIZE_MAX)?;
        let party = jws.kid.parse().map_err(|_| Reject::PartyMalformed)?;
        Ok(Self { jws, party })
    }

    /// Whose token it claims to be.
    #[must_use]
    pub const fn party(&self) -> PartyId {
        self.party
    }

    /// What was signed. A cache of verified tokens is keyed by this, never by the whole token: an ECDSA signature has
    /// a twin that verifies as well.
    #[must_use]
    pub const fn signed_part(&self) -> &'a str {
        self.jws.signed
    }

    /// The signature. A cache that meets a known signed part with another signature verifies again.
    #[must_use]
    pub const fn signature(&self) -> &[u8; 64] {
        &self.jws.signature
    }

    /// Checks the signature, then the claims against our own clock.
    ///
    /// # Errors
    /// [`Reject`].
    pub fn verify(&self, key: &VerifyingKey, service: ServiceId, now: Timestamp) -> Result<Verified, Reject> {
        let signed = self.jws.signed.as_bytes();
        key.verify_token(signed, &self.jws.signature).map_err(|_| Reject::SignatureWrong)?;
        let claims = from_base64url(self.jws.payload).map_err(|_| Reject::ClaimsMalformed)?;
        let claims: Claims = strict(&claims).map_err(|_| Reject::ClaimsMalformed)?;
        if claims.aud != service {
            return Err(Reject::AudienceForeign);
        }
        if claims.exp < claims.iat {
            return Err(Reject::ExpiresBeforeIssued);
        }
        if claims.exp.since_s(claims.iat) > LIFETIME_MAX_S {
            return Err(Reject::LifetimeTooLong);
        }
        if claims.iat > now.after_s(LEEWAY_S) {
            return Err(Reject::IssuedInFuture);
        }
        let until = claims.exp.after_s(LEEWAY_S);
        if now >= until {
            return Err(Reject::Expired);
        }
        Ok(Verified { party: self.party, kek: claims.kek.map(|kek| kek.0), until })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::vectors::{array, cases, flip_each, load, number, octets, outcome, text};

    struct Fixture {
        vectors: serde_json::Value,
        key: SigningKey,
        party: PartyId,
        service: ServiceId,
    }

    fn fixture() -> Fixture {
        let vectors = load(include_str!("../../proto/session/vectors.json"))["tokens"].take();
        let key = SigningKey::from_pkcs8(&octets(&vectors["key"]["pkcs8"])).unwrap();
        let (party, service) =
            (text(&vectors["party"]).parse().unwrap(), text(&vectors["service"]).parse().unwrap());
        Fixture { vectors, key, party, service }
    }

    fn verify(token: &str, fixture: &Fixture, now: Timestamp) -> Result<Verified, Reject> {
        Presented::read(token)?.verify(&fixture.key.verifying_key(), fixture.service, now)
    }

    #[test]
    fn vectors() {
        let fixture = fixture();
        for case in cases(&fixture.vectors, "cases") {
            let result = verify(text(&case["token"]), &fixture, Timestamp(number(&case["now"])));
            let Some(verified) = outcome(case, result) else { continue };
            let kek = case["kek"].as_str().map(|kek| from_base64url(kek).unwrap().try_into().unwrap());
            let expected = Verified { party: fixture.party, kek, until: Timestamp(number(&case["until"])) };
            assert_eq!(verified, expected, "{case}");
        }
    }

    #[test]
    fn our_signer_writes_the_first_vectors_to_the_octet() {
        let fixture = fixture();
        for case in &cases(&fixture.vectors, "cases")[..2] {
            let kek = case["kek"].as_str().map(|kek| from_base64url(kek).unwrap().try_into().unwrap());
            let now = Timestamp(number(&case["now"]));
            let token = sign(&fixture.key, fixture.party, fixture.service, kek, now);
            assert_eq!(token, text(&case["token"]));
        }
        let public = VerifyingKey::from_spki(&octets(&fixture.vectors["key"]["spki"])).unwrap();
        assert_eq!(public, fixture.key.verifying_key());
    }

    #[test]
    fn every_flipped_octet_is_refused_for_its_part() {
        let fixture = fixture();
        let now = Timestamp(1_700_000_000);
        let token = sign(&fixture.key, fixture.party, fixture.service, Some(array_of_kek()), now);
        let header = [
            Reject::AlgorithmForeign,
            Reject::HeaderMalformed,
            Reject::HeaderMembers,
            Reject::PartyMalformed,
            Reject::SignatureWrong,
            Reject::TypeForeign,
        ];
        let signature = [Reject::SignatureMalformed, Reject::SignatureWrong];
        let allowed: [&[Reject]; 3] = [&header, &[Reject::SignatureWrong], &signature];
        flip_each(&token, Reject::NotThreeParts, &allowed, |token| verify(token, &fixture, now).map(drop));
    }

    fn array_of_kek() -> [u8; 8] {
        array(&serde_json::Value::from("0001020304050607"))
    }

    #[test]
    fn the_twin_signature_has_the_same_signed_part() {
        let fixture = fixture();
        let tokens = cases(&fixture.vectors, "cases");
        let (token, twin) = (text(&tokens[0]["token"]), text(&tokens[3]["token"]));
        assert_ne!(token, twin);
        let (token, twin) = (Presented::read(token).unwrap(), Presented::read(twin).unwrap());
        assert_eq!(token.signed_part(), twin.signed_part());
        assert_ne!(token.signature(), twin.signature());
        assert_eq!(token.party(), fixture.party);
    }
}
