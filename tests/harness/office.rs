//! The scene of most tests: one enterprise, its mail server, one user with two devices.

use std::sync::Arc;

use http::Method;
use serde_json::json;
use sidekey_client::SessionKey;
use sidekey_protocol::ids::SessionId;
use sidekey_protocol::session::{Audience, Capabilities};

use crate::keys::{MailServer, Phone};
use crate::raw::Asking;
use crate::system::{System, user};

/// The user.
pub const ANN: &str = "ann@example.org";
/// Another one.
pub const BOB: &str = "bob@example.org";
/// The mail server.
pub const MAIL: &str = "mail.example.org";
/// Another enterprise's, at the same service.
pub const SHOP: &str = "mail.shop.example";

/// An enterprise at work.
#[derive(Debug)]
pub struct Office {
    /// Everything else.
    pub system: System,
    /// The mail server, paired.
    pub mail: MailServer,
    /// Ann's phone, paired.
    pub phone: Phone,
    /// Ann's tablet, paired.
    pub tablet: Phone,
}

impl Office {
    /// Opens.
    ///
    /// # Panics
    /// When anything is refused.
    pub async fn open() -> Self {
        Self::open_on(System::start().await).await
    }

    /// Opens, on a system that has just been started.
    ///
    /// # Panics
    /// As [`Office::open`].
    pub async fn open_on(system: System) -> Self {
        system.add_server(MAIL).await;
        let mail = system.pair_server(MAIL).await;
        let phone = system.pair_client(MAIL, ANN).await;
        let tablet = system.pair_client(MAIL, ANN).await;
        let office = Self { system, mail, phone, tablet };
        // A pairing's first request leaves a record: from here on, only what takes effect does.
        for keys in [&office.mail.keys, &office.phone.keys, &office.tablet.keys] {
            office.system.get("/v1/pairings/self", &keys.token()).send().await.is(200);
        }
        office
    }

    /// What the mail server says it can do.
    ///
    /// # Panics
    /// Never.
    #[must_use]
    pub fn capabilities() -> Capabilities {
        Capabilities::parse(&["XENCRYPTED", "A256GCM", "C20P"]).expect("they are well-formed")
    }

    /// A session for all of Ann's devices, an hour long.
    ///
    /// # Panics
    /// When it is refused.
    pub async fn session(&self) -> Arc<SessionKey> {
        let audience = Audience::User(user(ANN));
        let opened = self.mail.server.issue(&audience, None, &Self::capabilities()).await;
        opened.expect("a session opens")
    }

    /// A session for her phone alone.
    ///
    /// # Panics
    /// When it is refused.
    pub async fn session_of_the_phone(&self) -> Arc<SessionKey> {
        let audience = Audience::Pairing(self.phone.client.pairing());
        let opened = self.mail.server.issue(&audience, None, &Self::capabilities()).await;
        opened.expect("a session opens")
    }

    /// `POST /v1/sessions` with this body.
    pub fn open_session(&self, once: &str, body: &impl serde::Serialize) -> Asking {
        self.system.post("/v1/sessions", &self.mail.keys.token(), body).once(once)
    }

    /// `GET /v1/sessions/{session}/key`, signed so; `query` with its question mark.
    pub fn fetch(&self, session: SessionId, query: &str, token: &str) -> Asking {
        self.system.get(&format!("/v1/sessions/{session}/key{query}"), token)
    }

    /// `POST /v1/revocations` by the administrator.
    pub fn revoke(&self, target: &serde_json::Value) -> Asking {
        let body = json!({"target": target, "reason": "phone lost"});
        self.system.ask(Method::POST, "/v1/revocations").bearer(&self.system.admin_token()).json(&body)
    }

    /// Revokes Ann's phone.
    ///
    /// # Panics
    /// When it is refused.
    pub async fn revoke_the_phone(&self) {
        let target = json!({"kind": "pairing", "pairing": self.phone.client.pairing()});
        self.revoke(&target).send().await.is(200);
    }
}
