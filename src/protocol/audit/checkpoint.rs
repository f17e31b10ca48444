//! Signed checkpoints: the service's word for where its chain stood (proto/audit/spec.md, section 4).

use serde::{Deserialize, Serialize};

use super::Position;
use crate::crypto::{SigningKey, VerifyingKey};
use crate::encoding::{Bytes, Octets, base64url, from_base64url};
use crate::ids::{ServiceId, Timestamp};
use crate::jose::{Flaw, Jws, signed_part, strict};
use crate::policy::key_id;

/// Where the chain of a service stood.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Checkpoint {
    /// Whose chain.
    pub service: ServiceId,
    /// After which record.
    pub position: Position,
    /// When it was signed.
    pub at: Timestamp,
    /// Who signed it: the service's key of that time, to be compared with one that is known.
    pub key: VerifyingKey,
}

/// Why a checkpoint is none.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum Reject {
    /// The header names another key than the payload.
    #[error("its header names another key than its payload")]
    KeyForeign,
    /// It is no JWS of this type.
    #[error("not a checkpoint")]
    Malformed,
    /// The payload does not say what a checkpoint says.
    #[error("malformed payload")]
    PayloadMalformed,
    /// The signature is not the key's.
    #[error("wrong signature")]
    SignatureWrong,
}

#[derive(Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
struct Payload {
    service: ServiceId,
    seq: u64,
    hash: Octets<32>,
    at: Timestamp,
    key: Bytes,
}

impl Checkpoint {
    /// Signs that the chain of `service` stands at `position`.
    ///
    /// # Panics
    /// Never: ids and numbers always serialise.
    #[must_use]
    pub fn sign(service: ServiceId, position: Position, at: Timestamp, key: &SigningKey) -> String {
        let public = key.verifying_key();
        let (hash, spki) = (Octets(position.hash), Bytes(public.spki().to_vec()));
        let payload = Payload { service, seq: position.seq, hash, at, key: spki };
        let payload = serde_json::to_vec(&payload).expect("ids and numbers serialise");
        let mut jws = signed_part(TYPE, &key_id(&public), &payload);
        let signature = base64url(&key.sign(jws.as_bytes()));
        jws.push('.');
        jws.push_str(&signature);
        jws
    }

    /// Reads one, and checks that the key which it names signed it. Whether that is a service's key is for the caller to
    /// know: [`Self::kid`].
    ///
    /// # Errors
    /// [`Reject`].
    pub fn read(jws: &str) -> Result<Self, Reject> {
        let jws = Jws::read(jws, TYPE, SIZE_MAX).map_err(|flaw| match flaw {
            Flaw::Signature => Reject::SignatureWrong,
            _ => Reject::Malformed,
        })?;
        let payload = from_base64url(jws.payload).map_err(|_| Reject::PayloadMalformed)?;
        let Payload { service, seq, hash, at, key } =
            strict(&payload).map_err(|_| Reject::PayloadMalformed)?;
        let key = VerifyingKey::from_spki(&key.0).map_err(|_| Reject::PayloadMalformed)?;
        if jws.kid != key_id(&key) {
            return Err(Reject::KeyForeign);
        }
        key.verify(jws.signed.as_bytes(), &jws.signature).map_err(|_| Reject::SignatureWrong)?;
        Ok(Self { service, position: Position { seq, hash: hash.0 }, at, key })
    }

    /// The key's name: that of the service's signing key, and the pin of its links.
    #[must_use]
    pub fn kid(&self) -> String {
        key_id(&self.key)
    }
}

/// The `typ` of a checkpoint.
pub const TYPE: &str = "sidekey-checkpoint+jws";
/// Octets of the longest checkpoint.
const SIZE_MAX: usize = 1024;
