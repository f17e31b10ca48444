//! What is said about sessions over HTTPS (proto/session/spec.md, section 7).

use serde::{Deserialize, Serialize};

use super::{Audience, Capabilities, Reject, Suite, ttl_s};
use crate::ids::{PartyId, ServerName, SessionId, Timestamp, UserName};

/// `POST /v1/sessions`, as it comes; [`OpenSession::parse`] says what it means.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[cfg_attr(
    feature = "openapi",
    derive(schemars::JsonSchema),
    schemars(
        description = "For all pairings of a user, or for one pairing.",
        example = serde_json::json!({"user": "ann@example.org", "capabilities": ["XENCRYPTED", "A256GCM"], "ttl": 3600}),
        extend("oneOf" = [
            {"required": ["user"], "properties": {"user": {"type": "string"}, "pairing": {"type": "null"}}},
            {"required": ["pairing"], "properties": {"pairing": {"type": "string"}, "user": {"type": "null"}}},
        ])
    )
)]
#[serde(deny_unknown_fields)]
pub struct OpenSession {
    /// For all of this user's pairings …
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user: Option<UserName>,
    /// … or for one pairing alone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pairing: Option<PartyId>,
    /// How long the session shall last; one hour unless said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", schemars(range(min = 60, max = 86400)))]
    pub ttl: Option<u32>,
    /// What the server told the client it can do, its suites among it.
    #[cfg_attr(
        feature = "openapi",
        schemars(length(max = 64), inner(regex(pattern = "^[!-~]{1,64}$")), example = shown::CAPABILITIES)
    )]
    pub capabilities: Vec<String>,
    /// Names of configured carriers that shall take the key too, in the order in which they are tried.
    #[serde(default)]
    #[cfg_attr(feature = "openapi", schemars(length(max = 8), example = shown::DELIVER))]
    pub deliver: Vec<String>,
}

/// What a well-formed [`OpenSession`] asks for.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Opening {
    /// Whom the session is for.
    pub audience: Audience,
    /// How long it shall last, if that is said.
    pub ttl_s: Option<u32>,
    /// In canonical form.
    pub capabilities: Capabilities,
}

impl OpenSession {
    /// Checks everything that needs no knowledge of parties or carriers.
    ///
    /// # Errors
    /// [`Reject::AudienceAmbiguous`], [`Reject::TtlOutOfRange`], or as [`Capabilities::parse`].
    pub fn parse(&self) -> Result<Opening, Reject> {
        let audience = Audience::named(self.user.as_ref(), self.pairing)?;
        ttl_s(self.ttl)?;
        let capabilities = Capabilities::parse(&self.capabilities)?;
        Ok(Opening { audience, ttl_s: self.ttl, capabilities })
    }
}

/// `POST /v1/sessions/{id}/rotate`: nothing to say.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
#[cfg_attr(feature = "openapi", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Rotate {}

/// A session's key, wrapped for whoever asked.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[cfg_attr(feature = "openapi", derive(schemars::JsonSchema))]
pub struct SessionKey {
    /// Which session.
    pub session: SessionId,
    /// Which of its keys.
    pub generation: u32,
    /// What it is for.
    pub suite: Suite,
    /// When this generation began.
    pub not_before: Timestamp,
    /// When the session ends.
    pub not_after: Timestamp,
    /// The envelope, a JWE in compact form.
    pub key: String,
}

/// One live session, without its key.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[cfg_attr(feature = "openapi", derive(schemars::JsonSchema))]
pub struct Session {
    /// Which session.
    pub session: SessionId,
    /// At which server.
    pub server: ServerName,
    /// Whose.
    pub user: UserName,
    /// Its newest generation.
    pub generation: u32,
    /// What its key is for.
    pub suite: Suite,
    /// When this generation began.
    pub not_before: Timestamp,
    /// When the session ends.
    pub not_after: Timestamp,
}

/// Answer to `GET /v1/sessions/current`.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[cfg_attr(feature = "openapi", derive(schemars::JsonSchema))]
pub struct Sessions {
    /// Newest first.
    pub items: Vec<Session>,
}

/// Query of `GET /v1/sessions/{id}/key`.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
#[cfg_attr(feature = "openapi", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct KeyQuery {
    /// The newest unless said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub generation: Option<u32>,
}

/// Query of `GET /v1/sessions/current` and `GET /v1/policy`: a server must name the user, a client may not name another.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
#[cfg_attr(feature = "openapi", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct UserQuery {
    /// Whose.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user: Option<UserName>,
}

/// As the description of the interface shows them.
#[cfg(feature = "openapi")]
pub(super) mod shown {
    pub(crate) const CAPABILITIES: [&str; 2] = ["XENCRYPTED", "A256GCM"];
    pub(crate) const DELIVER: [&str; 1] = ["sms"];
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(json: &str) -> Result<Opening, Reject> {
        serde_json::from_str::<OpenSession>(json).unwrap().parse()
    }

    #[test]
    fn a_session_is_for_a_user_or_for_a_pairing() {
        let pairing = "00".repeat(16);
        let opening = parse(r#"{"user":"ann","capabilities":["c20p"]}"#).unwrap();
        assert_eq!(opening.audience, Audience::User("ann".parse().unwrap()));
        assert_eq!(opening.ttl_s, None);
        assert!(opening.capabilities.contains(Suite::C20p));
        let opening = parse(&format!(r#"{{"pairing":"{pairing}","capabilities":[],"ttl":60}}"#)).unwrap();
        assert_eq!(opening.audience, Audience::Pairing(pairing.parse().unwrap()));
        let both = format!(r#"{{"user":"ann","pairing":"{pairing}","capabilities":[]}}"#);
        assert_eq!(parse(&both), Err(Reject::AudienceAmbiguous));
        assert_eq!(parse(r#"{"capabilities":[]}"#), Err(Reject::AudienceAmbiguous));
    }

    #[test]
    fn each_flaw_has_its_name() {
        let refused = [
            (r#"{"user":"ann","capabilities":["3DES"]}"#, Reject::SuiteLegacy),
            (r#"{"user":"ann","capabilities":[""]}"#, Reject::CapabilitiesMalformed),
            (r#"{"user":"ann","capabilities":[],"ttl":59}"#, Reject::TtlOutOfRange),
        ];
        for (json, reject) in refused {
            assert_eq!(parse(json), Err(reject), "{json}");
        }
    }

    #[test]
    fn unknown_repeated_and_mistyped_members_are_refused() {
        for json in [
            r#"{"user":"ann"}"#,
            r#"{"user":"ann","capabilities":[],"suite":"C20P"}"#,
            r#"{"user":"ann","user":"bob","capabilities":[]}"#,
            r#"{"user":"ann","capabilities":[],"ttl":-1}"#,
            r#"{"user":"ann","capabilities":[],"ttl":4294967296}"#,
            r#"{"user":"ann","capabilities":[],"ttl":60.0}"#,
            r#"{"user":"ann","capabilities":"C20P"}"#,
        ] {
            assert!(serde_json::from_str::<OpenSession>(json).is_err(), "{json}");
        }
        assert!(serde_json::from_str::<Rotate>("{}").is_ok());
        assert!(serde_json::from_str::<Rotate>(r#"{"to":3}"#).is_err());
    }
}
