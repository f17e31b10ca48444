//! What pairing says over HTTPS, and inside its boxes (proto/pairing/spec.md sections 3 and 5). Unknown members are refused.

use serde::{Deserialize, Serialize};

use crate::encoding::{Bytes, Octets};
use crate::ids::{PartyId, Role, ServerName, ServiceId, Timestamp, UserName};

/// Body of `POST /v1/pairings/{invitation}/begin`.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Begin {
    /// The client's SPAKE2+ share, 65 octets.
    pub share_p: Bytes,
    /// An ML-KEM-768 encapsulation key made for this exchange, 1184 octets.
    pub kem_ek: Bytes,
    /// SHA-256 of the SPKI of the signing key that the client will show in `finish`.
    pub key_hash: Octets<32>,
}

/// Answer to [`Begin`].
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
pub struct BeginAnswer {
    /// The service's SPAKE2+ share, 65 octets.
    pub share_v: Bytes,
    /// The service's confirmation: it tells whether one code was right.
    pub confirm_v: Octets<32>,
    /// The ML-KEM-768 ciphertext, 1088 octets.
    pub kem_ct: Bytes,
    /// The service's signing key, SPKI.
    pub service_key: Bytes,
    /// What the invitation makes of whoever accepts it.
    pub role: Role,
    /// The enterprise mail server that the pairing belongs to.
    pub server: ServerName,
    /// The user that it belongs to; a server's invitation has none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user: Option<UserName>,
    /// Names this exchange to `finish`. Opaque to the client.
    pub state: String,
}

/// Body of `POST /v1/pairings/{invitation}/finish`.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Finish {
    /// The client's confirmation.
    pub confirm_p: Octets<32>,
    /// What the answer to `begin` said.
    pub state: String,
    /// A [`ClientBox`], sealed.
    #[serde(rename = "box")]
    pub sealed: Bytes,
}

/// Answer to [`Finish`].
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
pub struct FinishAnswer {
    /// A [`ServiceBox`], sealed.
    #[serde(rename = "box")]
    pub sealed: Bytes,
}

/// What the client shows of itself, once both sides have confirmed.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
pub struct ClientBox {
    /// Its signing key, SPKI: the one that `begin` committed to.
    pub key: Bytes,
    /// What it calls itself: see [`super::PartyLabel`].
    pub label: String,
    /// The suites that it can do, best first: see [`crate::session::SuiteList`].
    pub offer: Vec<String>,
    /// Whether it compared the service's key with a pin.
    pub pinned: bool,
    /// ES256 by `key` over `lp("box client", th)`.
    pub signature: Octets<64>,
}

/// What the service gives the new party.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
pub struct ServiceBox {
    /// The new party's id.
    pub pairing: PartyId,
    /// The service's id: the audience of the party's tokens.
    pub service: ServiceId,
    /// Where the pairing stands.
    pub state: PairingState,
    /// The user's policy, a JWS; a server's pairing has none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub policy: Option<String>,
    /// The epoch of `root_0`: 0.
    pub epoch: u32,
    /// When `root_0` ends unless it is replaced.
    pub not_after: Timestamp,
    /// ES256 by the service's key over `lp("box service", th)`.
    pub signature: Octets<64>,
}

/// Where a pairing stands when `finish` is answered.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum PairingState {
    /// It may do everything that its role may.
    Active,
}
