//! The parties of the demo: the real service in a temporary folder, its administrator, a mail server and two devices.

use std::net::{Ipv4Addr, TcpListener};
use std::path::PathBuf;
use std::sync::Arc;

use getrandom::SysRng;
use rand_core::UnwrapErr;
use sidekey_client::admin::{Admin, AdminCredential, Invite, Invited};
use sidekey_client::{Ambient, Client, Invitation, KeyStore, Roots, Server};
use sidekey_protocol::ids::{PartyId, Role, ServerName, UserName};
use sidekey_protocol::pairing::{PairingCode, PublicUrl};
use sidekey_protocol::token;
use sidekey_service::clock::SystemClock;
use sidekey_service::config::{BadConfig, Config};
use sidekey_service::init::{InitFault, Options};
use sidekey_service::{Running, Stop};
use tempfile::TempDir;
use tokio::sync::oneshot;

use super::bearer::{Bearer, By};
use super::evidence::Who;
use super::mail::Unreadable;

/// What keeps the demo from being told to its end. That a claim does not hold is not among it.
#[derive(Debug, thiserror::Error)]
pub enum Trouble {
    /// A call to the key service did not do what it must.
    #[error("{0}")]
    Client(#[from] sidekey_client::Error),
    /// The configuration that `init` wrote cannot be read.
    #[error("the configuration cannot be used: {0}")]
    Config(#[from] BadConfig),
    /// The data folder cannot be made.
    #[error("the data folder cannot be made: {0}")]
    Init(#[from] InitFault),
    /// Ctrl-C or SIGTERM.
    #[error("interrupted")]
    Interrupted,
    /// A file or a socket.
    #[error("{0}")]
    Io(#[from] std::io::Error),
    /// The mail that was asked for.
    #[error("{0}")]
    Mail(#[from] Unreadable),
    /// A program of others.
    #[error("{program} is not on this machine; install it: apt-get install {packages}")]
    Missing {
        /// Which.
        program: &'static str,
        /// Debian's names of what brings it.
        packages: &'static str,
    },
    /// The service does not run.
    #[error("the service does not run: {0}")]
    Service(#[from] Stop),
}

/// The key service, running, and its administrator.
#[derive(Debug)]
pub struct Service {
    /// Where it is.
    pub url: PublicUrl,
    /// Its certificate authority, PEM.
    pub ca: String,
    /// Its administrator.
    pub admin: Admin,
    /// What its carrier leads to, where one was asked for.
    pub bearer: Option<Bearer>,
    folder: TempDir,
    stop: oneshot::Sender<()>,
    running: Running,
}

/// The mail server of the demo.
pub const SERVER: &str = "mail.example.org";
/// Its user.
pub const USER: &str = "ann@example.org";

impl Service {
    /// Makes a data folder as `sidekey init` does, and serves it as `sidekey serve` does, on a port that is free.
    ///
    /// # Errors
    /// [`Trouble`].
    pub async fn start(by: &By) -> Result<Self, Trouble> {
        let folder = tempfile::Builder::new().prefix("sidekey-demo-").tempdir()?;
        let data = folder.path().join(DATA);
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
        let listen = listener.local_addr()?;
        let url: PublicUrl = format!("https://{listen}").parse().expect("an address with a port makes a URL");
        let options = Options { public_url: url.clone(), listen, ..Options::default() };
        sidekey_service::init(&data, &options, clock(), UnwrapErr(SysRng)).await?;

        let mut config = Config::read(&data.join("sidekey.toml"))?;
        let bearer = match by.via {
            Some(via) => Some(Bearer::start(by, via, &mut config).await?),
            None => None,
        };
        let (stop, stopped) = oneshot::channel();
        let stopped = async { drop(stopped.await) };
        let running = sidekey_service::start(config, listener, clock(), UnwrapErr(SysRng), stopped).await?;
        let ca = std::fs::read_to_string(data.join("ca.pem"))?;
        let admin = Admin::new(AdminCredential::read(&data.join("admin.json"))?, Ambient::system())?;
        Ok(Self { url, ca, admin, bearer, folder, stop, running })
    }

    /// Where all of the demo is kept.
    #[must_use]
    pub fn folder(&self) -> PathBuf {
        self.folder.path().to_owned()
    }

    /// The service's data folder.
    #[must_use]
    pub fn data(&self) -> PathBuf {
        self.folder.path().join(DATA)
    }

    /// Invites the mail server, or a device of the user.
    ///
    /// # Errors
    /// What the service refuses.
    pub async fn invite(&self, role: Role) -> Result<Invited, Trouble> {
        let user = (role == Role::Client).then(user);
        Ok(self.admin.invite(&Invite { role, server: server(), user, ttl_s: None, approval: None }).await?)
    }

    /// Pairs with what was handed over, and with `code` if that says another one.
    ///
    /// # Errors
    /// What the client crate or the service refuses.
    pub async fn pair(
        &self,
        who: Who,
        invited: &Invited,
        code: &str,
        store: &Arc<dyn KeyStore>,
    ) -> Result<PartyId, sidekey_client::Error> {
        let invitation = Invitation {
            url: invited.link.public_url.clone(),
            other_urls: Vec::new(),
            id: invited.invitation,
            code: code.parse::<PairingCode>().expect("eight symbols of the alphabet"),
            pin: invited.link.proof.as_ref().map(|(_, pin)| *pin),
            handed_over: false,
            roots: Roots::Pem(self.ca.clone()),
            role: None,
            label: who.to_string().parse().expect("a label of a few words"),
        };
        Ok(sidekey_client::pair(invitation, store.clone(), Ambient::system()).await?.pairing)
    }

    /// Stops it, and waits until it has.
    ///
    /// # Errors
    /// When it did not serve well to its end.
    pub async fn stop(self) -> Result<(), Trouble> {
        // It may have stopped by itself, which `finished` tells.
        let _ = self.stop.send(());
        Ok(self.running.finished().await?)
    }
}

const DATA: &str = "data";

/// All three, paired.
pub struct Parties {
    /// The mail server.
    pub server: Server,
    /// The phone.
    pub phone: Client,
    /// The laptop.
    pub laptop: Client,
    /// What the phone keeps.
    pub phone_store: Arc<dyn KeyStore>,
}

impl Parties {
    /// Opens what these stores keep.
    ///
    /// # Errors
    /// When one of them keeps no pairing of its kind.
    pub async fn open([server, phone, laptop]: [Arc<dyn KeyStore>; 3]) -> Result<Self, Trouble> {
        Ok(Self {
            server: Server::open(server, Ambient::system()).await?,
            phone: Client::open(phone.clone(), Ambient::system()).await?,
            laptop: Client::open(laptop, Ambient::system()).await?,
            phone_store: phone,
        })
    }

    /// A bearer token that the phone could send with any HTTP client.
    ///
    /// # Errors
    /// When its store keeps nothing.
    pub fn phone_token(&self) -> Result<String, Trouble> {
        let profile =
            self.phone_store.load()?.ok_or_else(|| std::io::Error::from(std::io::ErrorKind::NotFound))?;
        let now = self.phone.transport().now();
        Ok(token::sign(&profile.signing_key, profile.pairing, profile.service, None, now))
    }
}

impl std::fmt::Debug for Parties {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_list().entries([self.server.pairing(), self.phone.pairing(), self.laptop.pairing()]).finish()
    }
}

/// The mail server's name.
///
/// # Panics
/// Never.
#[must_use]
pub fn server() -> ServerName {
    SERVER.parse().expect("a host name is a name")
}

/// The user's name.
///
/// # Panics
/// Never.
#[must_use]
pub fn user() -> UserName {
    USER.parse().expect("an address is a name")
}

fn clock() -> Arc<SystemClock> {
    Arc::new(SystemClock)
}
