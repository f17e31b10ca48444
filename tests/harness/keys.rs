//! Who is paired, and what a pairing left with them.

use std::sync::Arc;

use sidekey_client::{Ambient, Client, KeyStore as _, MemoryKeyStore, Profile, Server};
use sidekey_protocol::crypto::Secret;
use sidekey_protocol::pairing::Kek;
use sidekey_protocol::session::envelope::{self, Expected, Opened};
use sidekey_protocol::session::wire::SessionKey;
use sidekey_protocol::token;

use crate::clock::Hands;
use crate::raw::Answer;

/// What a pairing left on a device.
#[derive(Clone, Debug)]
pub struct Keys {
    store: Arc<MemoryKeyStore>,
    clock: Hands,
}

impl Keys {
    pub(crate) const fn new(store: Arc<MemoryKeyStore>, clock: Hands) -> Self {
        Self { store, clock }
    }

    /// Where the profile is kept.
    #[must_use]
    pub fn store(&self) -> Arc<MemoryKeyStore> {
        self.store.clone()
    }

    /// The profile.
    ///
    /// # Panics
    /// When there is none.
    #[must_use]
    pub fn profile(&self) -> Profile {
        self.store.load().expect("memory reads").expect("it was paired")
    }

    /// A bearer token, signed just now.
    #[must_use]
    pub fn token(&self) -> String {
        let Profile { signing_key, pairing, service, root, .. } = self.profile();
        token::sign(&signing_key, pairing, service, Some(Kek::of(&root).id), self.clock.now())
    }

    /// The key that came with an answer, and what it is bound to: what the answer says beside it.
    ///
    /// # Panics
    /// When the answer carries no key, or not one that this pairing can open.
    #[must_use]
    #[track_caller]
    pub fn opened(&self, answer: &Answer) -> Opened {
        let opened = self.opened_under(&self.profile().root, answer).expect("it opens");
        let (told, bound) = (told(answer), &opened.bindings);
        assert_eq!(
            (bound.suite, bound.not_before, bound.not_after),
            (told.suite, told.not_before, told.not_after)
        );
        opened
    }

    /// The same, under the root of whichever epoch.
    ///
    /// # Errors
    /// Why it does not open.
    ///
    /// # Panics
    /// When the answer carries no key.
    #[track_caller]
    pub fn opened_under(&self, root: &Secret<32>, answer: &Answer) -> Result<Opened, envelope::Reject> {
        let (told, profile) = (told(answer), self.profile());
        let expected = Expected {
            service: profile.service,
            server: &profile.server,
            user: profile.user.as_ref(),
            pairing: profile.pairing,
            session: Some(told.session),
            generation: Some(told.generation),
            generation_seen: 0,
        };
        envelope::open(&Kek::of(root), &told.key, &expected, self.clock.now())
    }

    /// Another process of the same mail app: it shares the profile, and has fetched nothing.
    ///
    /// # Panics
    /// When the profile is a server's.
    pub async fn client(&self, ambient: Ambient) -> Client {
        Client::open(self.store.clone(), ambient).await.expect("the profile is a client's")
    }

    /// Another process of the same mail server.
    ///
    /// # Panics
    /// When the profile is a client's.
    pub async fn server(&self, ambient: Ambient) -> Server {
        Server::open(self.store.clone(), ambient).await.expect("the profile is a server's")
    }
}

/// A mail server that is paired.
#[derive(Clone, Debug)]
pub struct MailServer {
    /// The client crate's side of it.
    pub server: Server,
    /// What it holds.
    pub keys: Keys,
}

/// A user's device that is paired.
#[derive(Clone, Debug)]
pub struct Phone {
    /// The client crate's side of it.
    pub client: Client,
    /// What it holds.
    pub keys: Keys,
}

#[track_caller]
fn told(answer: &Answer) -> SessionKey {
    serde_json::from_slice(&answer.body).expect("it is a session key")
}
