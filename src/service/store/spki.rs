//! How a public key stands in the state: its SPKI.

use serde::{Deserialize as _, Deserializer, Serialize as _, Serializer, de};
use sidekey_protocol::crypto::VerifyingKey;
use sidekey_protocol::encoding::Bytes;

pub(super) fn serialize<S: Serializer>(key: &VerifyingKey, serializer: S) -> Result<S::Ok, S::Error> {
    Bytes(key.spki().to_vec()).serialize(serializer)
}

pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<VerifyingKey, D::Error> {
    VerifyingKey::from_spki(&Bytes::deserialize(deserializer)?.0).map_err(de::Error::custom)
}
