//! Proxy credentials: what a gateway asks about those who log in at it, and what an administrator does with them.

use http::Method;
use serde::Serialize;
use sidekey_protocol::ids::{CredentialId, ServerName, Timestamp, UserName};
use sidekey_protocol::pairing::PartyLabel;
use sidekey_protocol::pairing::credential::wire::IssueCredential;

use crate::admin::Admin;
use crate::error::Error;
use crate::session::Server;

pub use sidekey_protocol::pairing::credential::CredentialSecret;
pub use sidekey_protocol::pairing::credential::wire::{
    Credential, CredentialIssued, CredentialState, CredentialVerified,
};

impl Server {
    /// Which of a user's credentials `secret` is; `None` when it is none that is live, whatever may be wrong with it.
    ///
    /// What was let in by it is sent away when the credential is over: at its `expires`, and when [`Server::watch`] tells
    /// that it, its user or this server was revoked.
    ///
    /// # Errors
    /// [`Error::Retry`]: the service cannot be asked now; or somebody has shown too many wrong ones as this user's, and
    /// for so long none is looked at, a right one neither.
    pub async fn verify_credential(
        &self,
        user: &UserName,
        secret: &CredentialSecret,
    ) -> Result<Option<CredentialVerified>, Error> {
        let shown = Shown { user, secret };
        let call = self.transport().call(Method::POST, "/v1/credentials/verify").json(&shown).repeatable();
        match call.send().await {
            Ok(verified) => Ok(Some(verified)),
            Err(Error::Refused { code, .. }) if code == "credential_wrong" => Ok(None),
            Err(error) => Err(error),
        }
    }
}

impl Admin {
    /// Issues a proxy credential. `ttl_s`: until it is revoked, unless said. When the answer is lost, so is the secret:
    /// revoke it and issue another.
    ///
    /// # Errors
    /// [`Error::Refused`]: no such server; `credential_exists`: a live one of the user has this label;
    /// `credential_limit` …
    pub async fn issue_credential(
        &self,
        server: &ServerName,
        user: &UserName,
        label: &PartyLabel,
        ttl_s: Option<u32>,
    ) -> Result<CredentialIssued, Error> {
        let (server, user, label) = (server.clone(), user.clone(), label.clone());
        let request = IssueCredential { server, user, label, ttl: ttl_s };
        self.transport().call(Method::POST, "/v1/credentials").json(&request).send().await
    }

    /// Proxy credentials. Their secrets are shown nowhere.
    ///
    /// # Errors
    /// As [`Error`] says.
    pub async fn credentials(&self, filter: &CredentialFilter) -> Result<Vec<Credential>, Error> {
        self.all("/v1/credentials", filter).await
    }

    /// One proxy credential.
    ///
    /// # Errors
    /// [`Error::Refused`] with `not_found`: it is not known (any more).
    pub async fn credential(&self, id: CredentialId) -> Result<Credential, Error> {
        self.transport().call(Method::GET, format!("/v1/credentials/{id}")).send().await
    }
}

/// Which proxy credentials to list: all that are not said otherwise.
#[derive(Clone, Debug, Default, Serialize)]
pub struct CredentialFilter {
    /// At this mail server.
    pub server: Option<ServerName>,
    /// Of this user.
    pub user: Option<UserName>,
    /// That stand so.
    pub state: Option<CredentialState>,
    /// That were made later than this.
    pub created_after: Option<Timestamp>,
}

/// A `VerifyCredential`, of what the caller owns.
#[derive(Serialize)]
struct Shown<'a> {
    user: &'a UserName,
    secret: &'a CredentialSecret,
}
