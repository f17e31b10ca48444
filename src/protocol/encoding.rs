//! Binary in JSON: base64url, unpadded, spare bits zero, anything else refused (proto/README.md).

use std::fmt;

use base64ct::{Base64UrlUnpadded, Encoding as _};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

use crate::ids::Malformed;

/// Encodes as base64url without padding.
#[must_use]
pub fn base64url(bytes: &[u8]) -> String {
    Base64UrlUnpadded::encode_string(bytes)
}

/// Decodes the one spelling that [`base64url`] writes.
///
/// # Errors
/// [`Malformed`]: other alphabet, padding, spare bits set.
pub fn from_base64url(text: &str) -> Result<Vec<u8>, Malformed> {
    Base64UrlUnpadded::decode_vec(text).map_err(|_| Malformed)
}

/// Decodes exactly `N` octets.
///
/// # Errors
/// [`Malformed`]: as [`from_base64url`], or another length.
pub fn array_from_base64url<const N: usize>(text: &str) -> Result<[u8; N], Malformed> {
    from_base64url(text)?.try_into().map_err(|_| Malformed)
}

/// Octets of any length that travel as base64url. Never key material: it prints and compares.
#[derive(Clone, Eq, PartialEq)]
pub struct Bytes(pub Vec<u8>);

/// Exactly `N` octets that travel as base64url. Never key material: it prints and compares.
#[derive(Clone, Copy, Eq, Hash, PartialEq)]
pub struct Octets<const N: usize>(pub [u8; N]);

impl Serialize for Bytes {
    /// JSON carries base64url; the store's own format the raw octets.
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if serializer.is_human_readable() {
            serializer.serialize_str(&base64url(&self.0))
        } else {
            self.0.serialize(serializer)
        }
    }
}

impl<'de> Deserialize<'de> for Bytes {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        if deserializer.is_human_readable() {
            from_base64url(&String::deserialize(deserializer)?).map(Self).map_err(de::Error::custom)
        } else {
            Vec::deserialize(deserializer).map(Self)
        }
    }
}

impl<const N: usize> Serialize for Octets<N> {
    /// JSON carries base64url; the store's own format the raw octets, preceded by their number.
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if serializer.is_human_readable() {
            serializer.serialize_str(&base64url(&self.0))
        } else {
            self.0.as_slice().serialize(serializer)
        }
    }
}

impl<'de, const N: usize> Deserialize<'de> for Octets<N> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        if deserializer.is_human_readable() {
            array_from_base64url(&String::deserialize(deserializer)?).map(Self).map_err(de::Error::custom)
        } else {
            let octets = Vec::deserialize(deserializer)?;
            octets.try_into().map(Self).map_err(|_| de::Error::custom(Malformed))
        }
    }
}

impl fmt::Debug for Bytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&base64url(&self.0))
    }
}

impl<const N: usize> fmt::Debug for Octets<N> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&base64url(&self.0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn base64url_has_one_spelling() {
        assert_eq!(array_from_base64url::<2>("__8").unwrap(), [0xff, 0xff]);
        for other in ["__9", "__8=", "//8", "__8\n", "_"] {
            assert_eq!(from_base64url(other), Err(Malformed), "{other:?}");
        }
    }
}
