//! One thing at a time, and sessions: what an administrator looks up, and does to a session.

use http::Method;
use serde::Serialize;
use sidekey_protocol::ids::{InvitationId, PartyId, ServerName, SessionId, Timestamp, UserName};
use sidekey_protocol::pairing::Digits;
use sidekey_protocol::pairing::registry::{Approve, Refuse};
use sidekey_protocol::revocation::wire::{Revoke, RevokeAnswer};
use sidekey_protocol::revocation::{Reason, Target};
use sidekey_protocol::session::wire::Rotate;

use super::{Admin, Invitation, Pairing, Server};
use crate::error::Error;
use crate::transport::{Transport, percent_encoded};

pub use sidekey_protocol::session::registry::{SessionSeen, SessionState};

/// Which sessions to list: all that are not said otherwise, those too that were over a moment ago.
#[derive(Clone, Debug, Default, Serialize)]
pub struct SessionFilter {
    /// At this mail server.
    pub server: Option<ServerName>,
    /// Of this user.
    pub user: Option<UserName>,
    /// Whose key this pairing may fetch while it is live.
    pub pairing: Option<PartyId>,
    /// That stand so.
    pub state: Option<SessionState>,
    /// That were opened later than this.
    pub created_after: Option<Timestamp>,
}

impl Admin {
    /// One mail server.
    ///
    /// # Errors
    /// [`Error::Refused`] with `not_found`.
    pub async fn server(&self, name: &ServerName) -> Result<Server, Error> {
        let path = format!("/v1/servers/{}", percent_encoded(name.as_str()));
        self.transport().call(Method::GET, path).send().await
    }

    /// One invitation.
    ///
    /// # Errors
    /// [`Error::Refused`] with `not_found`.
    pub async fn invitation(&self, id: InvitationId) -> Result<Invitation, Error> {
        self.transport().call(Method::GET, format!("/v1/invitations/{id}")).send().await
    }

    /// One pairing.
    ///
    /// # Errors
    /// [`Error::Refused`] with `not_found`.
    pub async fn pairing(&self, id: PartyId) -> Result<Pairing, Error> {
        self.transport().call(Method::GET, format!("/v1/pairings/{id}")).send().await
    }

    /// Approves a pairing that waits, with the digits that the device's user has read out. `Ok` says that they are the
    /// device's own; where it was paired without a pin, tell its user so.
    ///
    /// # Errors
    /// [`Error::Refused`] with `digits_mismatch`: nothing is approved, and the fifth mistake refuses the pairing; with
    /// `approval_over`: it does not wait; with `not_found`.
    pub async fn approve(&self, id: PartyId, digits: Digits) -> Result<Pairing, Error> {
        approve(self.transport(), id, digits).await
    }

    /// Refuses a pairing that waits to be approved, for good.
    ///
    /// # Errors
    /// [`Error::Refused`] with `approval_over`: it does not wait; with `not_found`.
    pub async fn refuse(&self, id: PartyId, reason: Option<Reason>) -> Result<Pairing, Error> {
        refuse(self.transport(), id, reason).await
    }

    /// Sessions of everybody.
    ///
    /// # Errors
    /// As [`Error`] says.
    pub async fn sessions(&self, filter: &SessionFilter) -> Result<Vec<SessionSeen>, Error> {
        self.all("/v1/sessions", filter).await
    }

    /// One session.
    ///
    /// # Errors
    /// [`Error::Refused`] with `not_found`: it is not known (any more).
    pub async fn session(&self, id: SessionId) -> Result<SessionSeen, Error> {
        self.transport().call(Method::GET, format!("/v1/sessions/{id}")).send().await
    }

    /// Gives a session a new key, which goes to its parties alone. Not repeated of its own accord: each rotates once.
    ///
    /// # Errors
    /// [`Error::Expired`]: it is over; [`Error::Refused`] with `not_found`.
    pub async fn rotate(&self, id: SessionId) -> Result<SessionSeen, Error> {
        let path = format!("/v1/sessions/{id}/rotate");
        self.transport().call(Method::POST, path).json(&Rotate {}).send().await
    }

    /// Ends a session for everybody. One that is over already is as good as ended.
    ///
    /// # Errors
    /// [`Error::Refused`] with `not_found`.
    pub async fn end(&self, id: SessionId) -> Result<(), Error> {
        let call = self.transport().call(Method::DELETE, format!("/v1/sessions/{id}"));
        match call.send_optional::<serde_json::Value>().await {
            Ok(_) | Err(Error::Expired) => Ok(()),
            Err(error) => Err(error),
        }
    }

    /// What [`Admin::revoke`] would answer now; nothing is revoked.
    ///
    /// # Errors
    /// As [`Admin::revoke`].
    pub async fn would_revoke(
        &self,
        target: &Target,
        reason: &Reason,
    ) -> Result<Option<RevokeAnswer>, Error> {
        let request = Revoke { target: target.clone(), reason: reason.clone() };
        let path = "/v1/revocations?dry_run=true";
        self.transport().call(Method::POST, path).json(&request).repeatable().send_optional().await
    }
}

/// By an administrator, or by another device of the same user.
pub(crate) async fn approve(transport: &Transport, id: PartyId, digits: Digits) -> Result<Pairing, Error> {
    // Said once: wrong digits are counted each time.
    transport.call(Method::POST, format!("/v1/pairings/{id}/approve")).json(&Approve { digits }).send().await
}

/// The same.
pub(crate) async fn refuse(
    transport: &Transport,
    id: PartyId,
    reason: Option<Reason>,
) -> Result<Pairing, Error> {
    let call = transport.call(Method::POST, format!("/v1/pairings/{id}/refuse"));
    call.json(&Refuse { reason }).repeatable().send().await
}
