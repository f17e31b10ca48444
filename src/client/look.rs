//! What a party looks up about itself and its own: no keys among it.

use http::Method;
use sidekey_protocol::ids::SessionId;
use sidekey_protocol::session::registry::SessionSeen;

use crate::error::Error;
use crate::party::Party;
use crate::session::{Client, Server};

impl Client {
    /// One session of this client, in whatever state.
    ///
    /// # Errors
    /// [`Error::Refused`] with `not_found`: there is none, or it is another's.
    pub async fn session(&self, session: SessionId) -> Result<SessionSeen, Error> {
        shown(&self.0, session).await
    }
}

impl Server {
    /// One session of this server, in whatever state.
    ///
    /// # Errors
    /// [`Error::Refused`] with `not_found`: there is none, or it is another's.
    pub async fn session(&self, session: SessionId) -> Result<SessionSeen, Error> {
        shown(&self.0, session).await
    }
}

async fn shown(party: &Party, session: SessionId) -> Result<SessionSeen, Error> {
    party.transport.call(Method::GET, format!("/v1/sessions/{session}")).send().await
}
