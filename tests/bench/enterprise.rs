//! An enterprise of the built binary: its service, an administrator, its mail server, and whoever else pairs.

use std::time::{Duration, Instant};

use sidekey_client::admin::{Admin, AdminCredential};
use sidekey_client::protocol::ids::{PartyId, Role};
use sidekey_client::{Ambient, Client, Roots, Server};

use crate::binary::{Serving, Sidekey};
use crate::load::{paired, server};

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
        admin.add_server(&server()).await.unwrap();
        let store = paired(&admin, credential(&sidekey).roots, Role::Server, None).await.unwrap();
        let mail = Server::open(store, Ambient::system()).await.unwrap();
        Self { sidekey, port, serving, admin, mail }
    }

    /// Pairs one more device of this user.
    pub(crate) async fn device(&self, user: &str) -> PartyId {
        let user = format!("{user}@example.org").parse().unwrap();
        let store = paired(&self.admin, self.roots(), Role::Client, Some(user)).await.unwrap();
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

fn credential(sidekey: &Sidekey) -> AdminCredential {
    AdminCredential::read(&sidekey.data().join("admin.json")).unwrap()
}
