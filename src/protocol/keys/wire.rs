//! What is said about signing keys over HTTPS (proto/pairing/spec.md, section 10).

use serde::{Deserialize, Serialize};

use crate::crypto::VerifyingKey;
use crate::encoding::Bytes;
use crate::ids::{ServiceId, Timestamp};
#[cfg(feature = "openapi")]
use crate::keys::OVERLAP_MAX_S;
use crate::policy::key_id;

/// Answer to `GET /v1/keys`.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[cfg_attr(feature = "openapi", derive(schemars::JsonSchema))]
pub struct KeysAnswer {
    /// The service, whose id is every token's audience.
    pub service: ServiceId,
    /// Its signing keys, the active one first.
    pub keys: Vec<ServiceKey>,
    /// By which each key vouches for the next, the latest last: the JWS of each.
    pub statements: Vec<String>,
}

impl KeysAnswer {
    /// The one key that signs.
    pub(super) fn active(&self) -> Option<VerifyingKey> {
        let mut active = self.keys.iter().filter(|key| key.state == ServiceKeyState::Active);
        match (active.next(), active.next()) {
            (Some(key), None) => VerifyingKey::from_spki(&key.spki.0).ok(),
            _ => None,
        }
    }
}

/// One signing key of the service.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[cfg_attr(feature = "openapi", derive(schemars::JsonSchema))]
pub struct ServiceKey {
    /// Its name: as the pin of a link.
    pub kid: String,
    /// SubjectPublicKeyInfo, DER.
    pub spki: Bytes,
    /// How many keys there were before it.
    pub number: u32,
    /// What it is good for.
    pub state: ServiceKeyState,
    /// When it was made.
    pub since: Timestamp,
    /// From when on what it signed counts no more: of a key that was replaced.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until: Option<Timestamp>,
}

impl ServiceKey {
    /// A key as it stands at `now`.
    #[must_use]
    pub fn at(
        key: &VerifyingKey,
        number: u32,
        (since, until): (Timestamp, Option<Timestamp>),
        now: Timestamp,
    ) -> Self {
        let state = match until {
            None => ServiceKeyState::Active,
            Some(until) if now < until => ServiceKeyState::Previous,
            Some(_) => ServiceKeyState::Retired,
        };
        Self { kid: key_id(key), spki: Bytes(key.spki().to_vec()), number, state, since, until }
    }
}

/// What a signing key of the service is good for.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[cfg_attr(feature = "openapi", derive(schemars::JsonSchema))]
#[serde(rename_all = "lowercase")]
pub enum ServiceKeyState {
    /// It signs.
    Active,
    /// What it signed still counts, and it finishes what was begun under it.
    Previous,
    /// What it signed counts no more, its statement apart.
    Retired,
}

impl ServiceKeyState {
    /// As it stands in JSON.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Active => "active",
            Self::Previous => "previous",
            Self::Retired => "retired",
        }
    }
}

/// `POST /v1/keys/rotate`.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[cfg_attr(feature = "openapi", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Rotate {
    /// Names the key that shall be replaced: of two that ask, one replaces it.
    pub from: String,
    /// Seconds for which what it signed still counts; as configured unless said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", schemars(range(max = OVERLAP_MAX_S)))]
    pub overlap: Option<u32>,
}

/// Query of `POST /v1/keys/rotate`.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
#[cfg_attr(feature = "openapi", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct RotateQuery {
    /// Say what it would do, and do nothing.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub dry_run: bool,
}

/// Answer to `POST /v1/keys/rotate`.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[cfg_attr(feature = "openapi", derive(schemars::JsonSchema))]
pub struct Rotated {
    /// Whether it was only asked what would be.
    pub dry_run: bool,
    /// The new key; there is none when it was only asked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub active: Option<ServiceKey>,
    /// The key that it took over from.
    pub previous: ServiceKey,
    /// Open invitations whose links name a replaced key, and that outlast it: their time is cut short.
    pub invitations_cut: u64,
}
