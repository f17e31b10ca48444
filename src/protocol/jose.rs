//! What tokens and policies share: JWS in compact form, read strictly (RFC 7515, profile in proto/session/spec.md).

use std::fmt;
use std::marker::PhantomData;

use serde::de::value::MapAccessDeserializer;
use serde::de::{MapAccess, Visitor};
use serde::{Deserialize, Deserializer};

use crate::encoding::{array_from_base64url, base64url, from_base64url};
use crate::{keys, policy, token};

/// What is wrong with a JWS before its signature is even looked at.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Flaw {
    /// `alg` is not ES256.
    Algorithm,
    /// Not base64url, or not JSON.
    Encoding,
    /// Not exactly the members that it must have, each once and of its type.
    Members,
    /// Not three parts.
    Parts,
    /// The signature is not 64 octets of base64url.
    Signature,
    /// Longer than anything that we would read.
    Size,
    /// `typ` is another.
    Type,
}

macro_rules! named_by {
    ($($reject:path)*) => {
        $(impl From<Flaw> for $reject {
            fn from(flaw: Flaw) -> Self {
                match flaw {
                    Flaw::Algorithm => Self::AlgorithmForeign,
                    Flaw::Encoding => Self::HeaderMalformed,
                    Flaw::Members => Self::HeaderMembers,
                    Flaw::Parts => Self::NotThreeParts,
                    Flaw::Signature => Self::SignatureMalformed,
                    Flaw::Size => Self::TooLong,
                    Flaw::Type => Self::TypeForeign,
                }
            }
        })*
    };
}

// Who refuses a JWS says so in words of its own, which have the same names.
named_by! { keys::Reject policy::Reject token::Reject }

/// A JWS whose header is exactly `{alg: ES256, kid, typ}`, not yet verified.
#[derive(Debug)]
pub(crate) struct Jws<'a> {
    pub(crate) kid: String,
    /// Header and payload with the dot between them: what is signed.
    pub(crate) signed: &'a str,
    pub(crate) payload: &'a str,
    pub(crate) signature: [u8; 64],
}

/// A JSON object inside another: an array of its members' values, which serde would take for it, is refused.
#[derive(Debug)]
pub(crate) struct Object<T>(pub(crate) T);

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Object<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Members<T>(PhantomData<T>);

        impl<'de, T: Deserialize<'de>> Visitor<'de> for Members<T> {
            type Value = Object<T>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Object<T>, A::Error> {
                T::deserialize(MapAccessDeserializer::new(map)).map(Object)
            }
        }

        deserializer.deserialize_map(Members(PhantomData))
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Header {
    alg: String,
    kid: String,
    typ: String,
}

impl<'a> Jws<'a> {
    pub(crate) fn read(compact: &'a str, typ: &str, size_max: usize) -> Result<Self, Flaw> {
        if compact.len() > size_max {
            return Err(Flaw::Size);
        }
        let (signed, signature) = compact.rsplit_once('.').ok_or(Flaw::Parts)?;
        let (header, payload) = signed.split_once('.').ok_or(Flaw::Parts)?;
        if payload.contains('.') {
            return Err(Flaw::Parts);
        }
        let Header { alg, kid, typ: theirs } = strict(&from_base64url(header).map_err(|_| Flaw::Encoding)?)?;
        if alg != "ES256" {
            return Err(Flaw::Algorithm);
        }
        if theirs != typ {
            return Err(Flaw::Type);
        }
        let signature = array_from_base64url(signature).map_err(|_| Flaw::Signature)?;
        Ok(Self { kid, signed, payload, signature })
    }
}

/// The signed part of a JWS: its header and payload.
pub(crate) fn signed_part(typ: &str, kid: &str, payload: &[u8]) -> String {
    let header = format!(r#"{{"alg":"ES256","kid":"{kid}","typ":"{typ}"}}"#);
    format!("{}.{}", base64url(header.as_bytes()), base64url(payload))
}

/// Reads a JSON object whose type denies unknown members: duplicates, other types and trailing text are refused as well.
/// So is an array of the members' values, which serde would take for the object.
pub(crate) fn strict<'de, T: Deserialize<'de>>(json: &'de [u8]) -> Result<T, Flaw> {
    let first = json.iter().find(|octet| !octet.is_ascii_whitespace());
    match serde_json::from_slice(json) {
        Ok(value) if first == Some(&b'{') => Ok(value),
        Ok(_) => Err(Flaw::Members),
        Err(error) => Err(if error.is_data() { Flaw::Members } else { Flaw::Encoding }),
    }
}
