//! A service under load, and what it acknowledged.

use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use sidekey_client::admin::{Admin, AdminCredential, Invite};
use sidekey_client::protocol::ids::{PartyId, Role, ServerName, SessionId, UserName};
use sidekey_client::protocol::revocation::Target;
use sidekey_client::protocol::session::{Audience, Capabilities};
use sidekey_client::{Ambient, Invitation, MemoryKeyStore, Roots, Server, pair};
use tokio::runtime::Runtime;

/// What the service has acknowledged, each with what `mark` said just after.
#[derive(Debug)]
pub(crate) enum Acknowledged {
    Ended(SessionId),
    Opened(SessionId),
    Revoked(PartyId),
    Rotated(SessionId),
    ServerAdded(ServerName),
}

/// Everyone who writes.
pub(crate) struct Load {
    runtime: Runtime,
    admin: Admin,
    gateway: Server,
    user: UserName,
    credential: AdminCredential,
    next: AtomicU64,
}

impl Load {
    /// Pairs a gateway and a phone at the service of `data`.
    pub(crate) fn prepare(data: &Path) -> Self {
        let runtime =
            tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
        let read = || AdminCredential::read(&data.join("admin.json")).unwrap();
        let (admin, gateway) = runtime.block_on(async {
            let admin = Admin::new(read(), Ambient::system()).unwrap();
            admin.add_server(&server()).await.unwrap();
            let store = paired(&admin, read().roots, Role::Server, None).await.unwrap();
            paired(&admin, read().roots, Role::Client, Some(user())).await.unwrap();
            let gateway = Server::open(store, Ambient::system()).await.unwrap();
            (admin, gateway)
        });
        Self { runtime, admin, gateway, user: user(), credential: read(), next: AtomicU64::new(0) }
    }

    /// Writes from many sides for a while, or until the service is gone, and returns what was acknowledged.
    pub(crate) fn run(
        self: &Arc<Self>,
        time: Duration,
        mark: impl Fn() -> u64 + Clone + Send + 'static,
    ) -> Vec<(u64, Acknowledged)> {
        let told = Arc::new(Mutex::new(Vec::new()));
        self.runtime.block_on(async {
            let writers: Vec<_> = (0..WRITERS)
                .map(|_| {
                    let (load, told, mark) = (self.clone(), told.clone(), mark.clone());
                    tokio::spawn(async move {
                        while let Some(acknowledged) = load.step().await {
                            let mark = mark();
                            told.lock().unwrap().extend(acknowledged.into_iter().map(|what| (mark, what)));
                        }
                    })
                })
                .collect();
            tokio::time::sleep(time).await;
            writers.iter().for_each(tokio::task::JoinHandle::abort);
            for writer in writers {
                let _ = writer.await;
            }
        });
        std::mem::take(&mut told.lock().unwrap())
    }

    /// One thing, and what was acknowledged of it; `None` when the service does not answer.
    async fn step(&self) -> Option<Vec<Acknowledged>> {
        let n = self.next.fetch_add(1, Ordering::Relaxed);
        if n.is_multiple_of(4) {
            let name: ServerName = format!("mail{n}.example.org").parse().unwrap();
            self.admin.add_server(&name).await.ok()?;
            return Some(vec![Acknowledged::ServerAdded(name)]);
        }
        if n.is_multiple_of(31) {
            let store = paired(&self.admin, self.roots(), Role::Client, Some(self.user.clone())).await?;
            let phone = sidekey_client::Client::open(store, Ambient::system()).await.ok()?.pairing();
            let reason = "lost".parse().unwrap();
            self.admin.revoke(&Target::Pairing { pairing: phone }, &reason).await.ok()?;
            return Some(vec![Acknowledged::Revoked(phone)]);
        }
        let capabilities = Capabilities::parse(&["A256GCM", "C20P"]).unwrap();
        let key = self.gateway.issue(&Audience::User(self.user.clone()), None, &capabilities).await.ok()?;
        let mut told = vec![Acknowledged::Opened(key.session())];
        if n.is_multiple_of(3) && self.gateway.rotate(key.session()).await.is_ok() {
            told.push(Acknowledged::Rotated(key.session()));
        }
        if n.is_multiple_of(5) && self.gateway.end(key.session()).await.is_ok() {
            told.push(Acknowledged::Ended(key.session()));
        }
        Some(told)
    }

    fn roots(&self) -> Roots {
        self.credential.roots.clone()
    }
}

/// Pairs at [`server`]; `None` when the service does not answer.
pub(crate) async fn paired(
    admin: &Admin,
    roots: Roots,
    role: Role,
    user: Option<UserName>,
) -> Option<Arc<MemoryKeyStore>> {
    let invite = Invite { role, server: server(), user, ttl_s: None, approval: None };
    let link = admin.invite(&invite).await.ok()?.link;
    let invitation = Invitation::from_link(link, roots, Some(role), "load".parse().unwrap()).unwrap();
    let store = Arc::new(MemoryKeyStore::default());
    pair(invitation, store.clone(), Ambient::system()).await.ok()?;
    Some(store)
}

pub(crate) fn server() -> ServerName {
    "mail.example.org".parse().unwrap()
}

fn user() -> UserName {
    "ann@example.org".parse().unwrap()
}

const WRITERS: usize = 8;
