//! The system itself: a service on a port of its own, and who talks to it.

use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use http::Method;
use rand_chacha::ChaCha20Rng;
use rand_core::SeedableRng as _;
use sidekey_client::admin::{Admin, AdminCredential, Invite, Invited};
use sidekey_client::{Ambient, Error, Invitation, MemoryKeyStore, Paired, Roots, pair};
use sidekey_protocol::ids::{Role, ServerName, UserName};
use sidekey_protocol::pairing::PublicUrl;
use sidekey_protocol::token;
use sidekey_service::config::{Delivery, Limits};
use sidekey_service::init::Options;
use sidekey_service::{Config, Given, Handed, Running};
use tempfile::TempDir;
use tokio::sync::oneshot;

use crate::clock::Hands;
use crate::journal;
use crate::keys::{Keys, MailServer, Phone};
use crate::raw::{Asking, Http};

/// A name of a mail server.
///
/// # Panics
/// When it is none.
#[must_use]
pub fn server(name: &str) -> ServerName {
    name.parse().expect("a name of a server")
}

/// A name of a user.
///
/// # Panics
/// When it is none.
#[must_use]
pub fn user(name: &str) -> UserName {
    name.parse().expect("a name of a user")
}

/// As many requests as anybody likes: the clock that gives new ones stands still.
#[must_use]
pub fn unhurried(limits: Limits) -> Limits {
    Limits {
        address_open_per_min: u32::MAX,
        address_pairing_per_min: u32::MAX,
        address_tokens_per_min: u32::MAX,
        client_reads_per_min: u32::MAX,
        client_changes_per_min: u32::MAX,
        server_reads_per_min: u32::MAX,
        server_changes_per_min: u32::MAX,
        admin_reads_per_min: u32::MAX,
        admin_changes_per_min: u32::MAX,
        ..limits
    }
}

/// Makes the carriers that a service is given.
#[derive(Clone)]
struct Handing(Arc<dyn Fn() -> Vec<Handed> + Send + Sync>);

impl Default for Handing {
    fn default() -> Self {
        Self(Arc::new(Vec::new))
    }
}

impl std::fmt::Debug for Handing {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Handing")
    }
}

/// The whole system.
#[derive(Debug)]
pub struct System {
    /// The service's clock, and everybody's unless said.
    pub clock: Hands,
    /// Under which URL the service is reached.
    pub url: PublicUrl,
    /// The authority that its certificate is signed by (PEM).
    pub ca: String,
    /// The enterprise's administrator.
    pub admin: Admin,
    /// For how long its log is kept, from its next start on; 0 for ever.
    pub keep_days: u32,
    admin_credential: AdminCredential,
    http: Http,
    seed: AtomicU64,
    listener: TcpListener,
    limits: Limits,
    delivery: Delivery,
    handing: Handing,
    running: Option<(Running, oneshot::Sender<()>)>,
    folder: TempDir,
}

impl System {
    /// A new data folder, and the service on it.
    ///
    /// # Panics
    /// When it does not start.
    pub async fn start() -> Self {
        Self::start_with(|_| {}).await
    }

    /// The same, with other limits.
    ///
    /// # Panics
    /// As [`System::start`].
    pub async fn start_with(adjust: impl FnOnce(&mut Limits)) -> Self {
        let mut limits = unhurried(Limits::default());
        adjust(&mut limits);
        Self::start_as(limits, Delivery::default(), Handing::default()).await
    }

    /// The same, with carriers: those of a configuration, and those that are handed to each service that is started.
    ///
    /// # Panics
    /// As [`System::start`].
    pub async fn start_delivering(
        delivery: Delivery,
        handed: impl Fn() -> Vec<Handed> + Send + Sync + 'static,
    ) -> Self {
        Self::start_as(unhurried(Limits::default()), delivery, Handing(Arc::new(handed))).await
    }

    async fn start_as(limits: Limits, delivery: Delivery, handing: Handing) -> Self {
        // Held for as long as the system lives, across restarts: nobody else gets this port.
        let listener = TcpListener::bind("127.0.0.1:0").expect("there is a free port");
        listener.set_nonblocking(true).expect("a listener can wait");
        let listen = listener.local_addr().expect("it is bound");
        let url: PublicUrl = format!("https://localhost:{}", listen.port()).parse().expect("it is a URL");
        let folder = tempfile::tempdir().expect("there is room for a folder");
        let clock = Hands::at_the_real_time();
        let data = folder.path().join("data");
        let options = Options { public_url: url.clone(), listen, ..Options::default() };
        let rng = ChaCha20Rng::seed_from_u64(0);
        sidekey_service::init(&data, &options, Arc::new(clock.clone()), rng).await.expect("init works");

        let read = || AdminCredential::read(&data.join("admin.json")).expect("init made a credential");
        let ca = std::fs::read_to_string(data.join("ca.pem")).expect("init made an authority");
        let ambient = Ambient::new(Arc::new(clock.clone()), ChaCha20Rng::seed_from_u64(1));
        let mut system = Self {
            admin: Admin::new(read(), ambient).expect("the credential is one"),
            admin_credential: read(),
            http: Http::trusting(&ca),
            seed: AtomicU64::new(2),
            limits,
            delivery,
            handing,
            running: None,
            keep_days: 0,
            clock,
            url,
            ca,
            listener,
            folder,
        };
        system.serve().await;
        system
    }

    /// The data folder.
    #[must_use]
    pub fn data(&self) -> PathBuf {
        self.folder.path().join("data")
    }

    async fn serve(&mut self) {
        let mut config = Config::for_data(&self.data(), self.url.clone());
        config.limits = self.limits.clone();
        config.delivery = self.delivery.clone();
        config.audit.keep_days = self.keep_days;
        let listener = self.listener.try_clone().expect("a listener can be cloned");
        let operations = TcpListener::bind("127.0.0.1:0").expect("there is a free port");
        operations.set_nonblocking(true).expect("a listener can wait");
        let given = Given { operations: Some(operations), carriers: (self.handing.0)(), ..listener.into() };
        let (stop, stopped) = oneshot::channel();
        let clock = Arc::new(self.clock.clone());
        let shutdown = async {
            // Dropped with the system: stopped all the same.
            let _ = stopped.await;
        };
        let running = sidekey_service::start(config, given, clock, self.rng(), shutdown).await;
        self.running = Some((running.expect("the service starts"), stop));
    }

    pub(crate) fn running(&self) -> &Running {
        &self.running.as_ref().expect("it runs").0
    }

    /// Stops the service, which finishes what it is doing.
    ///
    /// # Panics
    /// When it does not run, or does not stop as it should.
    pub async fn stop(&mut self) {
        let (running, stop) = self.running.take().expect("it runs");
        stop.send(()).expect("it waits for this");
        running.finished().await.expect("it stops as it should");
    }

    /// Stops the service and starts it on the same folder, at the same address.
    ///
    /// # Panics
    /// As [`System::stop`].
    pub async fn restart(&mut self) {
        self.stop().await;
        self.start_again().await;
    }

    /// Starts the service that was stopped, on the same folder, at the same address.
    ///
    /// # Panics
    /// When it does not start.
    pub async fn start_again(&mut self) {
        self.serve().await;
    }

    /// A copy of the data folder, taken while the service is stopped.
    ///
    /// # Panics
    /// As [`System::stop`].
    pub async fn copy(&mut self) -> TempDir {
        let copy = tempfile::tempdir().expect("there is room for a folder");
        self.stop().await;
        copy_into(&self.data(), &copy.path().join("data"));
        self.start_again().await;
        copy
    }

    /// Puts a copy in the data folder's place, as somebody does who restores a backup.
    ///
    /// # Panics
    /// As [`System::stop`].
    pub async fn put_back(&mut self, copy: &TempDir) {
        self.stop().await;
        std::fs::remove_dir_all(self.data()).expect("nobody uses it");
        copy_into(&copy.path().join("data"), &self.data());
        self.start_again().await;
    }

    /// Randomness of its own for whoever asks: the same in every run.
    pub fn rng(&self) -> ChaCha20Rng {
        ChaCha20Rng::seed_from_u64(self.seed.fetch_add(1, Ordering::SeqCst))
    }

    /// The system's clock, and randomness of its own.
    pub fn ambient(&self) -> Ambient {
        self.ambient_at(&self.clock)
    }

    /// Another clock, and randomness of its own.
    pub fn ambient_at(&self, clock: &Hands) -> Ambient {
        Ambient::new(Arc::new(clock.clone()), self.rng())
    }

    /// Whose certificates its clients trust.
    #[must_use]
    pub fn roots(&self) -> Roots {
        Roots::Pem(self.ca.clone())
    }

    /// All changes of the state so far. A refused request leaves no other one.
    #[must_use]
    pub fn records(&self) -> Vec<Vec<u8>> {
        journal::records(&self.data())
    }

    /// All changes of the state, those too that the service made by itself.
    #[must_use]
    pub fn all_records(&self) -> Vec<Vec<u8>> {
        journal::all(&self.data())
    }
}

fn copy_into(from: &Path, to: &Path) {
    std::fs::create_dir(to).expect("a folder is made");
    let permissions = std::fs::metadata(from).expect("it is there").permissions();
    std::fs::set_permissions(to, permissions).expect("it is ours");
    for entry in std::fs::read_dir(from).expect("it is a folder") {
        let (here, name) = entry.map(|entry| (entry.path(), entry.file_name())).expect("it is read");
        let there = to.join(name);
        if here.is_dir() {
            copy_into(&here, &there);
        } else {
            std::fs::copy(here, there).expect("a file is copied");
        }
    }
}

/// What the administrator does.
impl System {
    /// Adds a mail server.
    ///
    /// # Panics
    /// When it is refused.
    pub async fn add_server(&self, name: &str) {
        self.admin.add_server(&server(name)).await.expect("a new server is added");
    }

    /// Invites: a client when a user is named, else a server.
    ///
    /// # Panics
    /// When it is refused.
    pub async fn invite(&self, at: &str, whom: Option<&str>) -> Invited {
        let role = if whom.is_some() { Role::Client } else { Role::Server };
        let invite = Invite { role, server: server(at), user: whom.map(user), ttl_s: None, approval: None };
        self.admin.invite(&invite).await.expect("the invitation is made")
    }

    /// The administrator's bearer token.
    #[must_use]
    pub fn admin_token(&self) -> String {
        let AdminCredential { key, party, service, .. } = &self.admin_credential;
        token::sign(key, *party, *service, None, self.clock.now())
    }

    /// What the administrator signs with.
    #[must_use]
    pub const fn admin_credential(&self) -> &AdminCredential {
        &self.admin_credential
    }
}

/// Who is invited.
impl System {
    /// What an app makes of an invitation that was handed over as a link.
    ///
    /// # Panics
    /// When the link is none.
    #[must_use]
    pub fn accept(&self, invited: &Invited, role: Role) -> Invitation {
        let link = invited.link.expose().parse().expect("the link is one");
        let label = "a device".parse().expect("a label");
        Invitation::from_link(link, self.roots(), Some(role), label).expect("the link carries the code")
    }

    /// Pairs, into a key store of its own.
    ///
    /// # Errors
    /// Those of [`pair`].
    pub async fn pair(&self, invitation: Invitation) -> Result<(Paired, Keys), Error> {
        let store = Arc::new(MemoryKeyStore::default());
        let paired = pair(invitation, store.clone(), self.ambient()).await?;
        Ok((paired, Keys::new(store, self.clock.clone())))
    }

    /// Pairs the mail server `at`.
    ///
    /// # Panics
    /// When that fails.
    pub async fn pair_server(&self, at: &str) -> MailServer {
        let invitation = self.accept(&self.invite(at, None).await, Role::Server);
        let (_, keys) = self.pair(invitation).await.expect("the server pairs");
        MailServer { server: keys.server(self.ambient()).await, keys }
    }

    /// Pairs a device of `whom` at the mail server `at`.
    ///
    /// # Panics
    /// When that fails.
    pub async fn pair_client(&self, at: &str, whom: &str) -> Phone {
        let invitation = self.accept(&self.invite(at, Some(whom)).await, Role::Client);
        let (_, keys) = self.pair(invitation).await.expect("the client pairs");
        Phone { client: keys.client(self.ambient()).await, keys }
    }

    /// A request of whatever kind.
    pub fn ask(&self, method: Method, path: &str) -> Asking {
        Asking::new(self.http.clone(), method, &format!("{}{path}", self.url))
    }

    /// `POST` of a JSON body, signed so.
    pub fn post(&self, path: &str, token: &str, body: &impl serde::Serialize) -> Asking {
        self.ask(Method::POST, path).bearer(token).json(body)
    }

    /// `GET`, signed so.
    pub fn get(&self, path: &str, token: &str) -> Asking {
        self.ask(Method::GET, path).bearer(token)
    }
}
