//! The service under attack, in a process of its own, and an honest mail server at it.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use serde_json::json;
use sidekey_client::admin::{Admin, AdminCredential};
use sidekey_client::protocol::ids::{PartyId, Role};
use sidekey_client::protocol::session::wire::SessionKey;
use sidekey_client::{Ambient, Client, Server};

use crate::attack::Attacker;
use crate::binary::{Serving, Sidekey};
use crate::load::{paired, server};

/// A service of the built binary, who is honest at it, and whoever else.
pub(crate) struct Target {
    pub(crate) serving: Serving,
    sidekey: Sidekey,
    mail: Server,
    /// Whose sessions the mail server opens.
    user: PartyId,
    address: SocketAddr,
    asked: AtomicU64,
}

impl Target {
    /// With these limits.
    pub(crate) async fn start(limits: &[(&str, u32)]) -> Self {
        enough_files(8192);
        let sidekey = Sidekey::new();
        let port = sidekey.init();
        let config = sidekey.data().join("sidekey.toml");
        let mut said = std::fs::read_to_string(&config).unwrap();
        for (option, value) in limits {
            let (before, rest) = said.split_once(&format!("\n{option} = ")).expect("the option is there");
            let after = rest.split_once('\n').unwrap().1;
            said = format!("{before}\n{option} = {value}\n{after}");
        }
        std::fs::write(&config, said).unwrap();
        let serving = sidekey.serve(port);
        sidekey.run("policy set --sessions-max 100000 --yes").succeeded();
        let credential = || AdminCredential::read(&sidekey.data().join("admin.json")).unwrap();
        let admin = Admin::new(credential(), Ambient::system()).unwrap();
        admin.add_server(&server()).await.unwrap();
        let gateway = paired(&admin, credential().roots, Role::Server, None).await.unwrap();
        let ann = Some("ann@example.org".parse().unwrap());
        let phone = paired(&admin, credential().roots, Role::Client, ann).await.unwrap();
        Self {
            mail: Server::open(gateway, Ambient::system()).await.unwrap(),
            user: Client::open(phone, Ambient::system()).await.unwrap().pairing(),
            address: (Ipv4Addr::LOCALHOST, port).into(),
            asked: AtomicU64::new(0),
            serving,
            sidekey,
        }
    }

    /// An honest request, which is answered as it should be: how long that took.
    pub(crate) async fn ask(&self) -> Duration {
        let n = self.asked.fetch_add(1, Ordering::Relaxed);
        let body = json!({ "pairing": self.user, "capabilities": ["A256GCM"], "ttl": 60 });
        let call = self.mail.transport().call(http::Method::POST, "/v1/sessions").json(&body);
        let since = Instant::now();
        let issued = call.idempotency_key(format!("honest-{n:09}")).send::<SessionKey>().await;
        issued.expect("an honest request is answered");
        since.elapsed()
    }

    /// Somebody at one of loopback's other addresses.
    pub(crate) fn attacker(&self, address: u8) -> Attacker {
        let ca = std::fs::read_to_string(self.sidekey.data().join("ca.pem")).unwrap();
        Attacker { from: Ipv4Addr::new(127, 0, 0, address), at: self.address, ca: Arc::from(ca) }
    }

    /// From here on, `VmHWM` is the most that it has had since.
    pub(crate) fn forget_the_most(&self) {
        std::fs::write(format!("/proc/{}/clear_refs", self.serving.pid()), "5").unwrap();
    }

    /// Descriptors that it has open.
    pub(crate) fn descriptors(&self) -> usize {
        std::fs::read_dir(format!("/proc/{}/fd", self.serving.pid())).unwrap().count()
    }
}

/// Lets this process, and what it starts, have at least so many files open.
pub(crate) fn enough_files(least: u64) {
    let may = getrlimit(Resource::Nofile);
    setrlimit(Resource::Nofile, Rlimit { current: may.maximum, ..may }).unwrap();
    assert!(may.maximum.is_none_or(|most| most >= least), "ulimit -Hn: at least {least}");
}
