//! What pairing says over HTTPS, and inside its boxes (proto/pairing/spec.md sections 3 and 5). Unknown members are refused.

use serde::{Deserialize, Serialize};

use super::Approval;
use crate::encoding::{Bytes, Octets};
use crate::ids::{PartyId, Role, ServerName, ServiceId, Timestamp, UserName};

/// Body of `POST /v1/pairings/{invitation}/begin`.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[cfg_attr(feature = "openapi", derive(schemars::JsonSchema))]
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
#[cfg_attr(feature = "openapi", derive(schemars::JsonSchema))]
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
#[cfg_attr(feature = "openapi", derive(schemars::JsonSchema))]
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
#[cfg_attr(feature = "openapi", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct FinishAnswer {
    /// A [`ServiceBox`], sealed.
    #[serde(rename = "box")]
    pub sealed: Bytes,
}

/// Body of `POST /v1/pairings/self/rekey`.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[cfg_attr(feature = "openapi", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Rekey {
    /// The epoch that the party is in.
    pub from: u32,
    /// An ephemeral P-256 point, 65 octets.
    pub point: Bytes,
    /// An ML-KEM-768 encapsulation key made for this request, 1184 octets.
    pub kem_ek: Bytes,
    /// Random.
    pub nonce: Octets<16>,
}

/// Answer to [`Rekey`].
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[cfg_attr(feature = "openapi", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct RekeyAnswer {
    /// The epoch that this makes: the one after `from`.
    pub to: u32,
    /// The service's ephemeral P-256 point, 65 octets.
    pub point: Bytes,
    /// The ML-KEM-768 ciphertext, 1088 octets.
    pub kem_ct: Bytes,
    /// When the new epoch's root ends unless it is replaced.
    pub not_after: Timestamp,
    /// That the service has the new root too.
    pub confirm: Octets<32>,
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
    /// Whose word it waits for: of a confirmed pairing, and only of one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub approval: Option<Approval>,
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
    /// It waits to be approved.
    Confirmed,
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde::de::DeserializeOwned;

    use super::*;

    /// Whatever decodes encodes to something that decodes to the same.
    fn round<T: std::fmt::Debug + DeserializeOwned + PartialEq + Serialize>(text: &[u8]) {
        if let Ok(first) = serde_json::from_slice::<T>(text) {
            let again = serde_json::to_vec(&first).unwrap();
            assert_eq!(serde_json::from_slice::<T>(&again).unwrap(), first);
        }
    }

    fn rounds(text: &[u8]) {
        round::<Begin>(text);
        round::<BeginAnswer>(text);
        round::<Finish>(text);
        round::<FinishAnswer>(text);
        round::<ClientBox>(text);
        round::<ServiceBox>(text);
        round::<Rekey>(text);
        round::<RekeyAnswer>(text);
    }

    /// The messages of the published cases, as texts to alter.
    fn published() -> Vec<String> {
        let vectors: serde_json::Value =
            serde_json::from_str(include_str!("../../../proto/pairing/vectors.json")).unwrap();
        let mut texts = Vec::new();
        for case in vectors["cases"].as_array().unwrap() {
            for name in ["begin", "begin_answer", "finish", "finish_answer"] {
                texts.push(case[name].to_string());
            }
            for name in ["box_client", "box_service"] {
                texts.push(case[name]["plaintext"].as_str().unwrap().to_owned());
            }
        }
        let rekeys: serde_json::Value =
            serde_json::from_str(include_str!("../../../proto/pairing/rekey.json")).unwrap();
        for case in rekeys["cases"].as_array().unwrap() {
            texts.extend(["request", "answer"].map(|name| case[name].to_string()));
        }
        texts
    }

    fn decodes(text: &str) -> bool {
        let text = text.as_bytes();
        serde_json::from_slice::<Begin>(text).is_ok()
            || serde_json::from_slice::<BeginAnswer>(text).is_ok()
            || serde_json::from_slice::<Finish>(text).is_ok()
            || serde_json::from_slice::<FinishAnswer>(text).is_ok()
            || serde_json::from_slice::<ClientBox>(text).is_ok()
            || serde_json::from_slice::<ServiceBox>(text).is_ok()
            || serde_json::from_slice::<Rekey>(text).is_ok()
            || serde_json::from_slice::<RekeyAnswer>(text).is_ok()
    }

    #[test]
    fn unknown_duplicate_and_missing_members_and_trailing_text_are_refused() {
        for text in published() {
            assert!(decodes(&text), "{text}");
            let open = text.strip_suffix('}').unwrap();
            let (first, _) = text[1..].split_once(',').unwrap_or((&text[1..text.len() - 1], ""));
            assert!(!decodes(&format!(r#"{open},"admin":true}}"#)));
            assert!(!decodes(&format!("{open},{first}}}")));
            assert!(!decodes(&text.replacen(first, "", 1).replacen("{,", "{", 1)));
            assert!(!decodes(&format!("{text} {{}}")));
            rounds(text.as_bytes());
        }
    }

    proptest! {
        #[test]
        fn an_altered_message_decodes_to_what_it_encodes(
            which in 0..22_usize,
            at in any::<prop::sample::Index>(),
            octet in any::<u8>(),
        ) {
            let mut text = published()[which].clone().into_bytes();
            let at = at.index(text.len());
            text[at] = octet;
            rounds(&text);
        }

        #[test]
        fn a_message_of_any_octets_round_trips(
            share in prop::collection::vec(any::<u8>(), 0..70),
            hash in any::<[u8; 32]>(),
            signature in prop::collection::vec(any::<u8>(), 64),
            label in ".{0,70}",
            offer in prop::collection::vec(".{0,8}", 0..4),
        ) {
            let begin = Begin { share_p: Bytes(share.clone()), kem_ek: Bytes(share.clone()), key_hash: Octets(hash) };
            rounds(&serde_json::to_vec(&begin).unwrap());
            let signature = Octets(signature.try_into().unwrap());
            let content = ClientBox { key: Bytes(share), label, offer, pinned: true, signature };
            let text = serde_json::to_vec(&content).unwrap();
            prop_assert_eq!(serde_json::from_slice::<ClientBox>(&text).unwrap(), content);
        }
    }
}
