//! Many sessions at once: what is said over HTTPS (proto/session/spec.md, section 7).

use std::collections::HashSet;

use serde::{Deserialize, Serialize};

use super::{Audience, Capabilities, Reject, ttl_s};
use crate::ids::{PartyId, UserName};

/// Sessions of the largest batch.
pub const BATCH_MAX: usize = 256;

/// `POST /v1/sessions/batch`, as it comes; [`OpenBatch::parse`] says what it means.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[cfg_attr(
    feature = "openapi",
    derive(schemars::JsonSchema),
    schemars(
        description = "For each a session, all of them or none.",
        example = serde_json::json!({"audiences": [{"user": "ann@example.org"}], "capabilities": ["XENCRYPTED", "A256GCM"]}),
    )
)]
#[serde(deny_unknown_fields)]
pub struct OpenBatch {
    /// Whom the sessions are for, one each.
    #[cfg_attr(feature = "openapi", schemars(length(min = 1, max = 256)))]
    pub audiences: Vec<Named>,
    /// How long the sessions shall last; one hour unless said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", schemars(range(min = 60, max = 86400)))]
    pub ttl: Option<u32>,
    /// What the server told its clients it can do, its suites among it.
    #[cfg_attr(
        feature = "openapi",
        schemars(length(max = 64), inner(regex(pattern = "^[!-~]{1,64}$")), example = super::wire::shown::CAPABILITIES)
    )]
    pub capabilities: Vec<String>,
    /// Names of configured carriers that shall take the keys too, in the order in which they are tried.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[cfg_attr(feature = "openapi", schemars(length(max = 8), example = super::wire::shown::DELIVER))]
    pub deliver: Vec<String>,
}

/// An audience as it comes: a user, or a pairing.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[cfg_attr(
    feature = "openapi",
    derive(schemars::JsonSchema),
    schemars(extend("oneOf" = [
        {"required": ["user"], "properties": {"user": {"type": "string"}, "pairing": {"type": "null"}}},
        {"required": ["pairing"], "properties": {"pairing": {"type": "string"}, "user": {"type": "null"}}},
    ]))
)]
#[serde(deny_unknown_fields)]
pub struct Named {
    /// All of this user's pairings …
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user: Option<UserName>,
    /// … or one pairing alone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pairing: Option<PartyId>,
}

/// What a well-formed [`OpenBatch`] asks for.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Batch {
    /// Whom the sessions are for, in order.
    pub audiences: Vec<Audience>,
    /// How long they last, if it was asked for.
    pub ttl_s: Option<u32>,
    /// In canonical form.
    pub capabilities: Capabilities,
}

/// Answer to [`OpenBatch`].
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[cfg_attr(feature = "openapi", derive(schemars::JsonSchema))]
pub struct BatchAnswer {
    /// The envelope: a JWE in compact form around a JWK Set, whose keys stand as their audiences do.
    pub keys: String,
}

/// A refusal of a batch, and which of its audiences it is about.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Refusal {
    /// Which, from 0; `None`: the batch as a whole.
    pub index: Option<usize>,
    /// Why.
    pub reject: Reject,
}

impl From<Reject> for Refusal {
    fn from(reject: Reject) -> Self {
        Self { index: None, reject }
    }
}

impl OpenBatch {
    /// Checks everything that needs no knowledge of parties.
    ///
    /// # Errors
    /// [`Reject::BatchSize`], [`Reject::AudienceAmbiguous`], [`Reject::AudienceRepeated`], [`Reject::TtlOutOfRange`],
    /// or as [`Capabilities::parse`].
    pub fn parse(&self) -> Result<Batch, Refusal> {
        if !(1..=BATCH_MAX).contains(&self.audiences.len()) {
            return Err(Reject::BatchSize.into());
        }
        let mut audiences = Vec::with_capacity(self.audiences.len());
        let mut seen = HashSet::new();
        for (index, named) in self.audiences.iter().enumerate() {
            let at = |reject| Refusal { index: Some(index), reject };
            let audience = Audience::named(named.user.as_ref(), named.pairing).map_err(at)?;
            if !seen.insert(named.user.as_ref().ok_or(named.pairing)) {
                return Err(at(Reject::AudienceRepeated));
            }
            audiences.push(audience);
        }
        ttl_s(self.ttl)?;
        let capabilities = Capabilities::parse(&self.capabilities)?;
        Ok(Batch { audiences, ttl_s: self.ttl, capabilities })
    }
}

impl From<&Audience> for Named {
    fn from(audience: &Audience) -> Self {
        match audience {
            Audience::User(user) => Self { user: Some(user.clone()), pairing: None },
            Audience::Pairing(pairing) => Self { user: None, pairing: Some(*pairing) },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(json: &str) -> (Option<usize>, Reject) {
        let refusal = serde_json::from_str::<OpenBatch>(json).unwrap().parse().unwrap_err();
        (refusal.index, refusal.reject)
    }

    #[test]
    fn a_batch_names_whom_each_session_is_for() {
        let json = r#"{"audiences":[{"user":"ann"},{"pairing":"00000000000000000000000000000000"}],"capabilities":["c20p"]}"#;
        let batch = serde_json::from_str::<OpenBatch>(json).unwrap().parse().unwrap();
        let pairing = PartyId::from_bytes([0; 16]);
        assert_eq!(batch.audiences, [Audience::User("ann".parse().unwrap()), Audience::Pairing(pairing)]);
        assert_eq!(batch.ttl_s, None);
    }

    #[test]
    fn each_flaw_has_its_name_and_its_place() {
        let many = format!(
            r#"{{"audiences":[{}],"capabilities":[]}}"#,
            vec![r#"{"user":"ann"}"#; BATCH_MAX + 1].join(",")
        );
        for (json, index, reject) in [
            (r#"{"audiences":[],"capabilities":[]}"#, None, Reject::BatchSize),
            (&many, None, Reject::BatchSize),
            (r#"{"audiences":[{"user":"a"},{}],"capabilities":[]}"#, Some(1), Reject::AudienceAmbiguous),
            (
                r#"{"audiences":[{"user":"a"},{"user":"b"},{"user":"a"}],"capabilities":[]}"#,
                Some(2),
                Reject::AudienceRepeated,
            ),
            (r#"{"audiences":[{"user":"a"}],"ttl":1,"capabilities":[]}"#, None, Reject::TtlOutOfRange),
            (r#"{"audiences":[{"user":"a"}],"capabilities":["AES"]}"#, None, Reject::SuiteLegacy),
        ] {
            assert_eq!(refused(json), (index, reject), "{json}");
        }
    }

    #[test]
    fn unknown_members_are_refused_at_every_depth() {
        for json in [
            r#"{"audiences":[{"user":"a","ttl":60}],"capabilities":[]}"#,
            r#"{"audiences":[{"user":"a","deliver":[]}],"capabilities":[]}"#,
            r#"{"audiences":[{"user":"a"}]}"#,
        ] {
            assert!(serde_json::from_str::<OpenBatch>(json).is_err(), "{json}");
        }
    }
}
