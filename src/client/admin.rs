//! The administrator's side: servers, invitations, pairings, sessions, revocations.

mod audit;
mod credential;
mod delivery;
mod registry;

use std::path::Path;

use http::Method;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use sidekey_protocol::ids::{InvitationId, Role, ServerName, ServiceId, Timestamp, UserName};
use sidekey_protocol::pairing::registry::{CreateServer, Page, Reissue};
use sidekey_protocol::pairing::{Approval, Link, PairingCode, Pin};
use sidekey_protocol::revocation::wire::{Revoke, RevokeAnswer};
use sidekey_protocol::revocation::{Reason, Target};
use zeroize::Zeroizing;

use crate::ambient::Ambient;
use crate::error::{Error, Unintelligible};
use crate::heads::Heads;
use crate::transport::{Identity, Transport, with_query};

pub use self::audit::{AuditFilter, AuditPage, AuditRecord, Paging, Prune, Pruned};
pub use self::credential::AdminCredential;
pub use self::delivery::{
    CarrierAddress, CarrierKind, CarrierSeen, DeliveryFilter, DeliveryKind, DeliverySeen, DeliveryState,
};
pub use self::registry::{SessionFilter, SessionSeen, SessionState};
pub(crate) use self::registry::{approve, refuse};
pub use sidekey_protocol::pairing::registry::{
    Invitation, InvitationState, Pairing, PairingRefused, PairingRevoked, PairingWaiting, Server,
    ServerCreated, Standing,
};

/// An administrator at a service.
#[derive(Clone, Debug)]
pub struct Admin {
    transport: Transport,
    service: ServiceId,
    service_key: Pin,
}

impl Admin {
    /// Signs with `credential`. Sends nothing.
    ///
    /// # Errors
    /// [`Error::Usage`]: the credential's authority is no certificate.
    pub fn new(credential: AdminCredential, ambient: Ambient) -> Result<Self, Error> {
        let AdminCredential { url, other_urls, roots, service, service_key, party, key } = credential;
        let transport = Transport::at_several(&url, &other_urls, &roots, ambient)?;
        let transport = transport.signed(Identity { party, service, key, kek: None });
        let transport = transport.showing(Heads::forgotten());
        Ok(Self { transport, service, service_key })
    }

    /// The same, and the highest head of the service's revocations is kept in the file at `path`.
    #[must_use]
    pub fn remembering(self, path: &Path) -> Self {
        let heads = Heads::in_file(path, self.service);
        Self { transport: self.transport.showing(heads), ..self }
    }

    /// For requests that this has no method for.
    #[must_use]
    pub fn transport(&self) -> &Transport {
        &self.transport
    }

    /// The service's id.
    pub(crate) const fn service(&self) -> ServiceId {
        self.service
    }

    /// Names the signing key that the service had when the credential was made.
    pub(crate) const fn service_key(&self) -> Pin {
        self.service_key
    }

    /// Adds a mail server.
    ///
    /// # Errors
    /// [`Error::Refused`] with `server_exists`: also when an earlier call's answer was lost.
    pub async fn add_server(&self, name: &ServerName) -> Result<ServerCreated, Error> {
        self.transport
            .call(Method::POST, "/v1/servers")
            .json(&CreateServer { name: name.clone() })
            .send()
            .await
    }

    /// All mail servers.
    ///
    /// # Errors
    /// As [`Error`] says.
    pub async fn servers(&self) -> Result<Vec<Server>, Error> {
        self.servers_among(&ServerFilter::default()).await
    }

    /// The mail servers that are asked for.
    ///
    /// # Errors
    /// As [`Error`] says.
    pub async fn servers_among(&self, filter: &ServerFilter) -> Result<Vec<Server>, Error> {
        self.all("/v1/servers", filter).await
    }

    /// Invites a client or a server. When the answer is lost, so is the code: invite again, the other one expires.
    ///
    /// # Errors
    /// [`Error::Refused`]: no such server, a user where there must be none, a time out of range …
    pub async fn invite(&self, invite: &Invite) -> Result<Invited, Error> {
        self.transport.call(Method::POST, "/v1/invitations").json(invite).send::<Made>().await?.invited()
    }

    /// Issues an invitation again, with another id and code: the old ones are dead from then on. For one that was lost,
    /// mistyped too often, or read by somebody. When the answer is lost, do it again.
    ///
    /// # Errors
    /// [`Error::PairAgain`] with `invitation_over`: a pairing came of it. [`Error::Refused`] with `not_found` …
    pub async fn reissue(&self, id: InvitationId, ttl_s: Option<u32>) -> Result<Invited, Error> {
        let call = self.transport.call(Method::POST, format!("/v1/invitations/{id}/reissue"));
        call.json(&Reissue { ttl: ttl_s }).send::<Made>().await?.invited()
    }

    /// Invitations.
    ///
    /// # Errors
    /// As [`Error`] says.
    pub async fn invitations(&self, filter: &InvitationFilter) -> Result<Vec<Invitation>, Error> {
        self.all("/v1/invitations", filter).await
    }

    /// Pairings, of clients and of servers.
    ///
    /// # Errors
    /// As [`Error`] says.
    pub async fn pairings(&self, filter: &PairingFilter) -> Result<Vec<Pairing>, Error> {
        self.all("/v1/pairings", filter).await
    }

    /// Revokes, for ever. `None` when it was revoked before.
    ///
    /// # Errors
    /// [`Error::Refused`] with `not_found`: there is nothing of that name.
    pub async fn revoke(&self, target: &Target, reason: &Reason) -> Result<Option<RevokeAnswer>, Error> {
        let request = Revoke { target: target.clone(), reason: reason.clone() };
        // What was revoked by the first of two requests is revoked: the second changes nothing.
        self.transport.call(Method::POST, "/v1/revocations").json(&request).repeatable().send_optional().await
    }

    /// A whole list, page by page.
    pub(crate) async fn all<T: DeserializeOwned>(
        &self,
        path: &str,
        filter: &impl Serialize,
    ) -> Result<Vec<T>, Error> {
        all(&self.transport, path, filter).await
    }
}

/// A whole list, page by page.
pub(crate) async fn all<T: DeserializeOwned>(
    transport: &Transport,
    path: &str,
    filter: &impl Serialize,
) -> Result<Vec<T>, Error> {
    let filter = query(filter);
    let mut items = Vec::new();
    let mut next = None;
    for _ in 0..PAGES_MAX {
        let mut query: Vec<(&str, &str)> =
            filter.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        query.push(("page_size", PAGE_SIZE));
        query.extend(next.as_deref().map(|token| ("page_token", token)));
        let page: Page<T> = transport.call(Method::GET, with_query(path, &query)).send().await?;
        items.extend(page.items);
        match page.next_page_token {
            Some(token) => next = Some(token),
            None => return Ok(items),
        }
    }
    Err(Unintelligible::TooLarge.into())
}

/// Whom to invite.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
pub struct Invite {
    /// As what.
    pub role: Role,
    /// To which mail server; it must have been added.
    pub server: ServerName,
    /// Which user: a client's invitation alone.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub user: Option<UserName>,
    /// For how long: what the policy says, unless said.
    #[serde(rename = "ttl", skip_serializing_if = "Option::is_none")]
    pub ttl_s: Option<u32>,
    /// Whose word the pairing needs: what the policy says, unless said.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub approval: Option<Approval>,
}

/// What to hand over, in person or on a screen. The code is not shown again.
#[derive(Debug)]
pub struct Invited {
    /// Which invitation.
    pub invitation: InvitationId,
    /// The pairing code.
    pub code: PairingCode,
    /// The link, code and pin in it.
    pub link: Link,
    /// When it ends.
    pub expires: Timestamp,
    /// Whose word the pairing will need.
    pub approval: Approval,
}

/// Which mail servers to list: all that are not said otherwise.
#[derive(Clone, Debug, Default, Serialize)]
pub struct ServerFilter {
    /// That stand so.
    pub state: Option<Standing>,
    /// That were added later than this.
    pub created_after: Option<Timestamp>,
}

/// Which invitations to list: all that are not said otherwise.
#[derive(Clone, Debug, Default, Serialize)]
pub struct InvitationFilter {
    /// Of this mail server.
    pub server: Option<ServerName>,
    /// Of this user.
    pub user: Option<UserName>,
    /// Of a client or of a server.
    pub role: Option<Role>,
    /// That stand so.
    pub state: Option<InvitationState>,
    /// That were made later than this.
    pub created_after: Option<Timestamp>,
}

/// Which pairings to list: all that are not said otherwise.
#[derive(Clone, Debug, Default, Serialize)]
pub struct PairingFilter {
    /// Of this mail server.
    pub server: Option<ServerName>,
    /// Of this user.
    pub user: Option<UserName>,
    /// As this.
    pub role: Option<Role>,
    /// That stand so.
    pub state: Option<Standing>,
    /// That were made later than this.
    pub created_after: Option<Timestamp>,
}

#[derive(Deserialize)]
struct Made {
    invitation: InvitationId,
    code: String,
    link: String,
    expires: Timestamp,
    approval: Approval,
}

impl Made {
    fn invited(self) -> Result<Invited, Error> {
        let (code, link) = (Zeroizing::new(self.code), Zeroizing::new(self.link));
        let malformed = |_| Error::Answer(Unintelligible::Malformed);
        Ok(Invited {
            invitation: self.invitation,
            code: code.parse().map_err(malformed)?,
            link: link.parse().map_err(malformed)?,
            expires: self.expires,
            approval: self.approval,
        })
    }
}

/// A filter's members, each as it stands on the wire.
fn query(filter: &impl Serialize) -> Vec<(String, String)> {
    let members = serde_json::to_value(filter).expect("filters are representable as JSON");
    let members = members.as_object().into_iter().flatten();
    let said = |value: &Value| match value {
        Value::String(text) => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        _ => None,
    };
    members.filter_map(|(name, value)| Some((name.clone(), said(value)?))).collect()
}

/// A page stays far below the largest answer.
const PAGE_SIZE: &str = "100";
/// A million of whatever it is.
const PAGES_MAX: u32 = 10_000;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_filter_says_what_was_asked_for_and_no_more() {
        let (server, user) = ("mail.example.org".parse().unwrap(), "ann@example.org".parse().unwrap());
        let state = Some(InvitationState::Paired);
        let (server, user, created_after) = (Some(server), Some(user), Some(Timestamp(7)));
        let filter = InvitationFilter { server, user, state, created_after, ..InvitationFilter::default() };
        let expected = [
            ("created_after", "7"),
            ("server", "mail.example.org"),
            ("state", "paired"),
            ("user", "ann@example.org"),
        ];
        assert_eq!(query(&filter), expected.map(|(name, value)| (name.to_owned(), value.to_owned())));
        assert!(query(&PairingFilter::default()).is_empty());
        for state in [Standing::Active, Standing::Revoked] {
            let filter = PairingFilter { state: Some(state), ..PairingFilter::default() };
            assert_eq!(query(&filter)[0].1, state.as_str());
        }
    }
}
