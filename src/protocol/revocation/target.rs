//! What can be revoked.

use std::fmt;

use serde::de::value::MapAccessDeserializer;
use serde::de::{MapAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::ids::{CredentialId, InvitationId, PartyId, ServerName, SessionId, UserName};

/// What can be revoked.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub enum Target {
    /// One proxy credential.
    Credential {
        /// Which.
        credential: CredentialId,
    },
    /// An invitation that nobody has completed.
    Invitation {
        /// Which.
        invitation: InvitationId,
    },
    /// One pairing, of a client or of a server.
    Pairing {
        /// Which.
        pairing: PartyId,
    },
    /// A server, its users, and all their pairings and sessions.
    Server {
        /// Which.
        server: ServerName,
    },
    /// One session.
    Session {
        /// Which.
        session: SessionId,
    },
    /// All pairings and sessions of a user at a server.
    User {
        /// At which server.
        server: ServerName,
        /// Who.
        user: UserName,
    },
}

/// What can be revoked: `{"kind": "pairing", "pairing": …}`.
#[derive(Deserialize, Serialize)]
#[cfg_attr(feature = "openapi", derive(schemars::JsonSchema), schemars(rename = "Target"))]
#[serde(remote = "Target", tag = "kind", rename_all = "lowercase", deny_unknown_fields)]
enum Tagged {
    Credential { credential: CredentialId },
    Invitation { invitation: InvitationId },
    Pairing { pairing: PartyId },
    Server { server: ServerName },
    Session { session: SessionId },
    User { server: ServerName, user: UserName },
}

/// In the store's own format, which describes nothing and so cannot look for a tag. Never reorder.
#[derive(Deserialize, Serialize)]
#[serde(remote = "Target")]
enum Stored {
    Invitation { invitation: InvitationId },
    Pairing { pairing: PartyId },
    Server { server: ServerName },
    Session { session: SessionId },
    User { server: ServerName, user: UserName },
    Credential { credential: CredentialId },
}

impl Serialize for Target {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if serializer.is_human_readable() {
            Tagged::serialize(self, serializer)
        } else {
            Stored::serialize(self, serializer)
        }
    }
}

impl<'de> Deserialize<'de> for Target {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        if deserializer.is_human_readable() {
            deserializer.deserialize_map(Object)
        } else {
            Stored::deserialize(deserializer)
        }
    }
}

#[cfg(feature = "openapi")]
impl schemars::JsonSchema for Target {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        Tagged::schema_name()
    }

    fn json_schema(generator: &mut schemars::SchemaGenerator) -> schemars::Schema {
        Tagged::json_schema(generator)
    }
}

/// Takes an object alone: serde would take an array of a tag and values as well.
struct Object;

impl<'de> Visitor<'de> for Object {
    type Value = Target;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object with a member kind")
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Target, A::Error> {
        Tagged::deserialize(MapAccessDeserializer::new(map))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all() -> [(Target, &'static str); 6] {
        let (server, user): (ServerName, UserName) = ("mail".parse().unwrap(), "ann".parse().unwrap());
        [
            (
                Target::Credential { credential: CredentialId::from_bytes([4; 16]) },
                r#"{"kind":"credential","credential":"04040404040404040404040404040404"}"#,
            ),
            (
                Target::Invitation { invitation: InvitationId::from_bytes([1; 16]) },
                r#"{"kind":"invitation","invitation":"01010101010101010101010101010101"}"#,
            ),
            (
                Target::Pairing { pairing: PartyId::from_bytes([2; 16]) },
                r#"{"kind":"pairing","pairing":"02020202020202020202020202020202"}"#,
            ),
            (Target::Server { server: server.clone() }, r#"{"kind":"server","server":"mail"}"#),
            (
                Target::Session { session: SessionId::from_bytes([3; 16]) },
                r#"{"kind":"session","session":"03030303030303030303030303030303"}"#,
            ),
            (Target::User { server, user }, r#"{"kind":"user","server":"mail","user":"ann"}"#),
        ]
    }

    #[test]
    fn a_target_has_one_spelling_in_json_and_one_in_the_store() {
        for (target, json) in all() {
            assert_eq!(serde_json::to_string(&target).unwrap(), json);
            assert_eq!(serde_json::from_str::<Target>(json).unwrap(), target);
            let stored = postcard::to_allocvec(&target).unwrap();
            assert_eq!(postcard::from_bytes::<Target>(&stored).unwrap(), target);
        }
    }

    #[test]
    fn unknown_repeated_and_missing_members_are_refused() {
        for json in [
            r#"{"kind":"server","server":"mail","user":"ann"}"#,
            r#"{"kind":"server","server":"mail","server":"mail"}"#,
            r#"{"kind":"server","kind":"user","server":"mail"}"#,
            r#"{"kind":"user","server":"mail"}"#,
            r#"{"kind":"admin","server":"mail"}"#,
            r#"{"server":"mail"}"#,
            r#"{"Server":{"server":"mail"}}"#,
            r#"["server","mail"]"#,
            r#"["server",{"server":"mail"}]"#,
            r#"{"kind":"server","server":"mail"}{}"#,
        ] {
            assert!(serde_json::from_str::<Target>(json).is_err(), "{json}");
        }
    }
}
