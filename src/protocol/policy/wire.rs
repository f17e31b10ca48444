//! What administrators say and see of policies (proto/session/spec.md, section 3).

use std::fmt::Write as _;

use serde::{Deserialize, Serialize};

use super::setting::{Asked, Effective};
use crate::ids::{PartyId, ServerName, Timestamp, UserName};
use crate::pairing::PartyLabel;

/// Devices that no longer fit of which an answer tells more than their number.
pub const UNFIT_MAX: usize = 100;

/// Where a setting applies.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub enum Whose {
    /// Everywhere.
    Service,
    /// At one server.
    Server(ServerName),
    /// For one user at one server.
    User(ServerName, UserName),
}

impl Whose {
    /// The server, if it is about one.
    #[must_use]
    pub const fn server(&self) -> Option<&ServerName> {
        match self {
            Self::Service => None,
            Self::Server(server) | Self::User(server, _) => Some(server),
        }
    }

    /// The user, if it is about one.
    #[must_use]
    pub const fn user(&self) -> Option<&UserName> {
        match self {
            Self::Service | Self::Server(_) => None,
            Self::User(_, user) => Some(user),
        }
    }

    /// Its path on the wire.
    #[must_use]
    pub fn path(&self) -> String {
        let mut path = "/v1/policies/service".to_owned();
        if let Some(server) = self.server() {
            path = format!("/v1/policies/servers/{}", segment(server.as_str()));
        }
        if let Some(user) = self.user() {
            write!(path, "/users/{}", segment(user.as_str())).expect("a String takes every write");
        }
        path
    }
}

/// A name as one segment of a path.
fn segment(name: &str) -> String {
    let mut text = String::with_capacity(name.len());
    for octet in name.bytes() {
        if octet.is_ascii_alphanumeric() || b"-_~@".contains(&octet) || (octet == b'.' && name.len() > 2) {
            text.push(octet.into());
        } else {
            write!(text, "%{octet:02X}").expect("a String takes every write");
        }
    }
    text
}

/// Answer to `GET /v1/policies/…`: what is set there, and what holds.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[cfg_attr(feature = "openapi", derive(schemars::JsonSchema))]
pub struct PolicyView {
    /// At which server; absent for the service's own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub server: Option<ServerName>,
    /// For which user.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user: Option<UserName>,
    /// How often it was changed; the `ETag`, in double quotes.
    pub revision: u32,
    /// When it was changed last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub changed: Option<Timestamp>,
    /// What is set here.
    pub setting: Asked,
    /// What holds here, and which level says so.
    pub effective: Effective,
    /// The version of the signed policy that this comes to.
    pub version: u32,
}

/// A row of `GET /v1/policies`.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[cfg_attr(feature = "openapi", derive(schemars::JsonSchema))]
pub struct PolicyRow {
    /// At which server; absent for the service's own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub server: Option<ServerName>,
    /// For which user.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user: Option<UserName>,
    /// How often it was changed.
    pub revision: u32,
    /// When it was changed last.
    pub changed: Timestamp,
    /// What is set here.
    pub setting: Asked,
}

/// Answer to `PUT` and `DELETE /v1/policies/…`: what holds afterwards, and whom the change concerns.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[cfg_attr(feature = "openapi", derive(schemars::JsonSchema))]
pub struct PolicyChange {
    /// Whether it was only asked what would be.
    pub dry_run: bool,
    /// What holds afterwards.
    pub policy: PolicyView,
    /// Whom it concerns.
    pub concerns: Concerns,
}

/// Whom a change concerns.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
#[cfg_attr(feature = "openapi", derive(schemars::JsonSchema))]
pub struct Concerns {
    /// Users with a live device.
    pub users: u64,
    /// Their live devices.
    pub devices: u64,
    /// Sessions that go on under a new key.
    pub sessions_rotated: u64,
    /// Sessions that end, since no suite is left for all of their devices.
    pub sessions_ended: u64,
    /// Devices that lack what the policy then requires.
    pub devices_unfit: u64,
    /// The first hundred of them.
    pub unfit: Vec<UnfitDevice>,
}

/// A live device that lacks what the policy requires.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[cfg_attr(feature = "openapi", derive(schemars::JsonSchema))]
pub struct UnfitDevice {
    /// Its pairing.
    pub pairing: PartyId,
    /// At which server.
    pub server: ServerName,
    /// Whose.
    pub user: UserName,
    /// What its owner calls it.
    pub label: PartyLabel,
}

/// Query of `GET /v1/policies`.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
#[cfg_attr(feature = "openapi", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct PoliciesQuery {
    /// Only those that were changed later than this.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub changed_after: Option<Timestamp>,
    /// Only this server's and its users'.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub server: Option<ServerName>,
    /// Only this user's, at whichever server.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user: Option<UserName>,
}

/// Query of `PUT` and `DELETE /v1/policies/…`.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
#[cfg_attr(feature = "openapi", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct ChangeQuery {
    /// Says whom it would concern, and changes nothing.
    #[serde(default)]
    pub dry_run: bool,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_one_segment_whatever_it_holds() {
        let path =
            |server: &str, user: &str| Whose::User(server.parse().unwrap(), user.parse().unwrap()).path();
        assert_eq!(
            path("mail.example.org", "ann@example.org"),
            "/v1/policies/servers/mail.example.org/users/ann@example.org"
        );
        assert_eq!(path("..", "a/b?c#d é"), "/v1/policies/servers/%2E%2E/users/a%2Fb%3Fc%23d%20%C3%A9");
        assert_eq!(Whose::Service.path(), "/v1/policies/service");
    }
}
