//! What is said of proxy credentials over HTTPS (proto/pairing/spec.md, section 12).

use serde::{Deserialize, Serialize};

use super::CredentialSecret;
#[cfg(feature = "openapi")]
use super::TTL_RANGE_S;
use crate::ids::{CredentialId, ServerName, Timestamp, UserName};
use crate::pairing::PartyLabel;
use crate::pairing::registry::PairingRevoked;
use crate::revocation::Reason;

/// `POST /v1/credentials`.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[cfg_attr(feature = "openapi", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct IssueCredential {
    /// At which server.
    pub server: ServerName,
    /// As whom it logs in.
    pub user: UserName,
    /// Whom it is for: no two live ones of a user have the same.
    pub label: PartyLabel,
    /// Seconds for which it lasts: until it is revoked, unless said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", schemars(range(min = *TTL_RANGE_S.start(), max = *TTL_RANGE_S.end())))]
    pub ttl: Option<u32>,
}

/// Answer to [`IssueCredential`]: the only time that the secret is shown.
#[derive(Debug, Deserialize, Serialize)]
#[cfg_attr(feature = "openapi", derive(schemars::JsonSchema))]
pub struct CredentialIssued {
    /// Which.
    pub credential: CredentialId,
    /// The secret, `XXXX-XXXX-XXXX-XXXX-XXXX`: a password.
    pub secret: CredentialSecret,
    /// At which server.
    pub server: ServerName,
    /// As whom it logs in.
    pub user: UserName,
    /// Whom it is for.
    pub label: PartyLabel,
    /// When it was made.
    pub created: Timestamp,
    /// When it is over.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires: Option<Timestamp>,
}

/// Whether a credential still lets anybody in.
#[derive(Clone, Copy, Debug, Deserialize, Eq, Hash, PartialEq, Serialize)]
#[cfg_attr(feature = "openapi", derive(schemars::JsonSchema))]
#[serde(rename_all = "lowercase")]
pub enum CredentialState {
    /// It does.
    Active,
    /// Its time is over.
    Expired,
    /// Never again.
    Revoked,
}

/// A row of `GET /v1/credentials`, and the answer to `GET /v1/credentials/{id}`.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[cfg_attr(feature = "openapi", derive(schemars::JsonSchema))]
pub struct Credential {
    /// Which.
    pub credential: CredentialId,
    /// At which server.
    pub server: ServerName,
    /// As whom it logs in.
    pub user: UserName,
    /// Whom it is for.
    pub label: PartyLabel,
    /// Whether it lets anybody in.
    pub state: CredentialState,
    /// When it was made.
    pub created: Timestamp,
    /// The first second, UTC, of the day on which it was right for the last time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_used: Option<Timestamp>,
    /// When it is over.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires: Option<Timestamp>,
    /// When and why it was revoked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub revoked: Option<PairingRevoked>,
}

/// Query of `GET /v1/credentials`.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
#[cfg_attr(feature = "openapi", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct CredentialsQuery {
    /// Only what was made later than this.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub created_after: Option<Timestamp>,
    /// Only at this server.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub server: Option<ServerName>,
    /// Only this user's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user: Option<UserName>,
    /// Only those in this state.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub state: Option<CredentialState>,
}

/// Query of `DELETE /v1/credentials/{id}`.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
#[cfg_attr(feature = "openapi", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct WithdrawQuery {
    /// Why, for people and for the audit log.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<Reason>,
}

/// `POST /v1/credentials/verify`.
#[derive(Debug, Deserialize, Serialize)]
#[cfg_attr(feature = "openapi", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct VerifyCredential {
    /// As whom somebody logs in at the caller.
    pub user: UserName,
    /// What he shows.
    pub secret: CredentialSecret,
}

/// Answer to [`VerifyCredential`]: which one it is. What is not live is refused.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[cfg_attr(feature = "openapi", derive(schemars::JsonSchema))]
pub struct CredentialVerified {
    /// Which.
    pub credential: CredentialId,
    /// As whom it logs in.
    pub user: UserName,
    /// Whom it is for.
    pub label: PartyLabel,
    /// When it is over: whoever was let in is then sent away.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires: Option<Timestamp>,
}
