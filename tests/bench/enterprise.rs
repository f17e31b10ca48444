//! An enterprise of the built binary: its service, an administrator, its mail server, and whoever else pairs.

use std::sync::Arc;
use std::time::{Duration, Instant};

use sidekey_client::admin::{Admin, AdminCredential, Invite};
use sidekey_client::protocol::ids::{PartyId, Role, ServerName};
use sidekey_client::{Ambient, Client, Invitation, KeyStore, MemoryKeyStore, Roots, Server, pair};

use crate::binary::{Serving, Sidekey};

/// One service, as the README installs it, and who is at it.
pub(crate) struct Enterprise {
    pub(crate) sidekey: Sidekey,
    pub(crate) port: u16,
    pub(crate) serving: Serving,
    pub(crate) admin: Admin,
    pub(crate) mail: Server,
}

impl Enterprise {
    /// With this in its configuration.
    pub(crate) async fn start(more: &str) -> Self {
        Self::served(more, |sidekey, port| sidekey.serve(port)).await
    }

    /// Served by this. What an address or a party may ask in a minute, an address' connections and a user's sessions are so
    /// many that no measurement comes near.
    pub(crate) async fn served(more: &str, serve: impl FnOnce(&Sidekey, u16) -> Serving) -> Self {
        let sidekey = Sidekey::new();
        let port = sidekey.init();
        let config = sidekey.data().join("sidekey.toml");
        let said = std::fs::read_to_string(&config).unwrap();
        let ample = said.replace("_per_min = ", "_per_min = 1000");
        let ample = ample.replace("address_connections = 2500", "address_connections = 10000");
        std::fs::write(&config, ample + more).unwrap();
        let serving = serve(&sidekey, port);
        sidekey.run("policy set --sessions-max 100000 --yes").succeeded();
        let admin = Admin::new(credential(&sidekey), Ambient::system()).unwrap();
        admin.add_server(&at()).await.unwrap();
        let store = paired(&sidekey, &admin, None).await;
        let mail = Server::open(store, Ambient::system()).await.unwrap();
        Self { sidekey, port, serving, admin, mail }
    }

    /// Pairs one more device of this user.
    pub(crate) async fn device(&self, user: &str) -> PartyId {
        let store = paired(&self.sidekey, &self.admin, Some(user)).await;
        Client::open(store, Ambient::system()).await.unwrap().pairing()
    }

    /// Whose certificates its clients trust.
    pub(crate) fn roots(&self) -> Roots {
        credential(&self.sidekey).roots
    }

    /// The service's process.
    pub(crate) fn pid(&self) -> u32 {
        self.serving.pid()
    }

    /// Stops the service so, and starts it again; says how long that start took.
    pub(crate) fn restart(self, signal: &str) -> (Self, Duration) {
        let Self { sidekey, port, serving, admin, mail } = self;
        serving.stop(signal);
        let since = Instant::now();
        let serving = sidekey.serve(port);
        (Self { sidekey, port, serving, admin, mail }, since.elapsed())
    }
}

/// The one mail server.
fn at() -> ServerName {
    "mail.example.org".parse().unwrap()
}

fn credential(sidekey: &Sidekey) -> AdminCredential {
    AdminCredential::read(&sidekey.data().join("admin.json")).unwrap()
}

/// A device of this user, or the mail server.
async fn paired(sidekey: &Sidekey, admin: &Admin, user: Option<&str>) -> Arc<dyn KeyStore> {
    let role = if user.is_some() { Role::Client } else { Role::Server };
    let user = user.map(|user| format!("{user}@example.org").parse().unwrap());
    let invite = Invite { role, server: at(), user, ttl_s: None, approval: None };
    let link = admin.invite(&invite).await.unwrap().link;
    let roots = credential(sidekey).roots;
    let invitation = Invitation::from_link(link, roots, Some(role), "a device".parse().unwrap()).unwrap();
    let store = Arc::new(MemoryKeyStore::default());
    pair(invitation, store.clone(), Ambient::system()).await.unwrap();
    store
}
