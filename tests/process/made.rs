//! A folder that a service of so many days ago made, with a journal as long as a test wants it.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rand_core::UnwrapErr;
use sidekey_client::admin::AdminCredential;
use sidekey_client::protocol::crypto::{Secret, SigningKey};
use sidekey_client::protocol::encoding::from_base64url;
use sidekey_client::protocol::ids::{InvitationId, PartyId, Role, ServerName, Timestamp};
use sidekey_client::protocol::pairing::Approval;
use sidekey_client::protocol::revocation::Target;
use sidekey_client::protocol::session::SuiteList;
use sidekey_service::clock::{Clock, SystemClock};
use sidekey_service::init::Options;
use sidekey_service::store::{NewInvitation, NewPairing, Page, Store};
use tokio::runtime::Runtime;
use zeroize::Zeroizing;

use crate::binary::Sidekey;
use crate::kept;

/// What time it was so many days ago.
#[derive(Debug)]
struct DaysAgo(u32);

impl Clock for DaysAgo {
    fn now(&self) -> Timestamp {
        Timestamp(SystemClock.now().0 - self.0 * 86_400)
    }
}

/// The folder, its service's port, and who was paired at it.
pub(crate) struct Made {
    pub(crate) sidekey: Sidekey,
    pub(crate) port: u16,
    pub(crate) live: Vec<PartyId>,
    pub(crate) revoked: Vec<PartyId>,
}

/// While it is made: the service of that day.
pub(crate) struct Making {
    runtime: Runtime,
    store: Arc<Store>,
    admin: PartyId,
    made: Made,
}

impl Making {
    /// A folder of so many days ago; one that is there already must be empty.
    pub(crate) fn begin(sidekey: Sidekey, days_ago: u32) -> Self {
        let then = Arc::new(DaysAgo(days_ago));
        let listen = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let public_url = format!("https://localhost:{}", listen.port()).parse().unwrap();
        let options = Options { public_url, listen, ..Options::default() };
        let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
        let data = sidekey.data();
        runtime.block_on(sidekey_service::init(&data, &options, then.clone(), rng())).unwrap();
        sidekey.beside_any(listen.port());
        let text = fs::read_to_string(data.join("root.key")).unwrap();
        let root = Secret::copy_of(&from_base64url(text.trim_end()).unwrap()).unwrap();
        let store = Arc::new(Store::open(&data, root, then, Box::new(rng())).unwrap());
        let admin = AdminCredential::read(&data.join("admin.json")).unwrap().party;
        runtime.block_on(store.add_server(admin, server())).unwrap();
        let made = Made { sidekey, port: listen.port(), live: Vec::new(), revoked: Vec::new() };
        Self { runtime, store, admin, made }
    }

    /// A phone that stays.
    pub(crate) fn pair(&mut self) {
        let paired = self.runtime.block_on(paired(&self.store, self.admin, 16));
        self.made.live.push(paired);
    }

    /// A phone that is revoked, whose record is of so many octets and a few hundred more.
    pub(crate) fn fill(&mut self, size: usize) {
        let gone = self.runtime.block_on(async {
            let gone = paired(&self.store, self.admin, size).await;
            let reason = "lost".parse().unwrap();
            self.store.revoke(self.admin, Target::Pairing { pairing: gone }, reason).await.unwrap();
            gone
        });
        self.made.revoked.push(gone);
    }

    pub(crate) fn data(&self) -> PathBuf {
        self.made.sidekey.data()
    }

    pub(crate) fn finish(self) -> Made {
        self.runtime.block_on(self.store.close());
        self.made
    }
}

impl Made {
    /// That whoever was paired is, and whoever was revoked is that.
    pub(crate) fn is_whole(&self) {
        let store = kept::open(&self.sidekey.data()).unwrap();
        let is_revoked = |id: &PartyId| store.party(*id).unwrap().revoked.is_some();
        assert!(!self.live.iter().any(is_revoked) && self.revoked.iter().all(is_revoked));
        let servers = store.servers(Page { size: usize::MAX, after: 0 }).items;
        assert!(servers.iter().any(|found| found.name == server()));
    }
}

async fn paired(store: &Store, admin: PartyId, size: usize) -> PartyId {
    let mut rng = rng();
    let id = InvitationId::random(&mut rng);
    let invitation = NewInvitation {
        id,
        role: Role::Client,
        server: server(),
        user: Some("bob@example.org".parse().unwrap()),
        expires: store.now().after_s(900),
        verifier: Zeroizing::new(vec![1; 64]),
        approval: Approval::None,
        deliver: None,
    };
    store.invite(admin, invitation).await.unwrap();
    let pairing = NewPairing {
        id: PartyId::random(&mut rng),
        key: SigningKey::generate(&mut rng).verifying_key(),
        label: "phone".into(),
        offer: Some(SuiteList::ours()),
        pinned: true,
        root: Secret::random(&mut rng),
        epoch_not_after: Timestamp(u32::MAX),
        finish: [1; 32],
        answer: vec![7; size].into(),
        th: [7; 32],
    };
    store.confirm(id, pairing).await.unwrap().id
}

fn rng() -> UnwrapErr<getrandom::SysRng> {
    UnwrapErr(getrandom::SysRng)
}

fn server() -> ServerName {
    "old.example.org".parse().unwrap()
}

/// The segments of a folder's journal, oldest first.
pub(crate) fn segments(data: &Path) -> Vec<PathBuf> {
    let mut files: Vec<_> =
        fs::read_dir(data.join("journal")).unwrap().map(|file| file.unwrap().path()).collect();
    files.retain(|file| file.extension().is_some_and(|ending| ending == "journal"));
    files.sort();
    files
}
