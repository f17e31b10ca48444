//! The HTTPS key service, as a library: [`run`] builds it and serves; [`init()`] makes its data folder.
//!
//! A step loads, asks the protocol, commits, replies. What it refuses, `http/problem.rs` alone turns into a status.

mod app;
pub mod clock;
pub mod config;
mod events;
pub mod fault;
mod files;
mod health;
mod http;
pub mod init;
mod listener;
#[cfg(test)]
mod over_tls;
mod pairing;
mod policies;
mod policy;
mod revocation;
pub mod root;
mod session;
pub mod store;
pub mod telemetry;

use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::time::Duration;

use axum_server::Handle;
use rand_core::{CryptoRng, Rng as _};
use tokio::sync::Semaphore;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

pub use crate::config::Config;
pub use crate::files::BadFile;
pub use crate::http::problem;
pub use crate::init::init;
pub use crate::listener::BadTls;

use crate::app::{App, SharedRng};
use crate::clock::Clock;
use crate::fault::Fault;
use crate::http::limits::{Edge, RequestIds};
use crate::http::tokens::Tokens;
use crate::root::{BadRootKey, Typed};
use crate::store::Store;

/// Why the service does not run.
#[derive(Debug, thiserror::Error)]
pub enum Stop {
    /// A file that it needs.
    #[error(transparent)]
    File(#[from] BadFile),
    /// The listener cannot be used.
    #[error("cannot listen")]
    Listen(#[source] std::io::Error),
    /// The configuration names another public URL than the data folder was made for: every invitation would fail.
    #[error("public_url is {configured}, but the data folder was made for {made_for}")]
    PublicUrl {
        /// What the configuration says.
        configured: String,
        /// What `init` was told.
        made_for: String,
    },
    /// The root key.
    #[error(transparent)]
    RootKey(BadRootKey),
    /// The data.
    #[error("the store cannot be used")]
    Store(#[from] Fault),
    /// The certificate.
    #[error(transparent)]
    Tls(#[from] BadTls),
}

impl From<BadRootKey> for Stop {
    fn from(bad: BadRootKey) -> Self {
        match bad {
            BadRootKey::Store(fault) => Self::Store(fault),
            other => Self::RootKey(other),
        }
    }
}

/// What the process gives the service: a listener is enough.
#[derive(Debug)]
pub struct Given {
    /// For clients and servers.
    pub listener: TcpListener,
    /// The root key's passphrase, where the configuration says that it is typed.
    pub passphrase: Typed,
}

impl From<TcpListener> for Given {
    fn from(listener: TcpListener) -> Self {
        Self { listener, passphrase: None }
    }
}

/// A service that runs.
#[derive(Debug)]
pub struct Running {
    local_addr: SocketAddr,
    serving: JoinHandle<std::io::Result<()>>,
    store: Arc<Store>,
}

/// Builds the service and serves until `shutdown` comes, then drains.
///
/// # Errors
/// [`Stop`].
pub async fn run(
    config: Config,
    given: impl Into<Given>,
    clock: Arc<dyn Clock>,
    rng: impl CryptoRng + Send + 'static,
    shutdown: impl Future<Output = ()> + Send + 'static,
) -> Result<(), Stop> {
    start(config, given, clock, rng, shutdown).await?.finished().await
}

/// Builds the service, and returns once it serves.
///
/// # Errors
/// [`Stop`].
pub async fn start(
    config: Config,
    given: impl Into<Given>,
    clock: Arc<dyn Clock>,
    rng: impl CryptoRng + Send + 'static,
    shutdown: impl Future<Output = ()> + Send + 'static,
) -> Result<Running, Stop> {
    let Given { listener, passphrase } = given.into();
    let rng = SharedRng::new(rng);
    let tls = listener::tls(&config)?;
    let store = open_store(&config, passphrase, clock.clone(), rng.clone()).await?;
    let app = App::new(&config, store.clone(), rng.clone());
    let edge = Edge {
        clock,
        ids: Arc::new(RequestIds::starting_at(rng.clone().next_u64())),
        headers_size_bytes: config.limits.headers_size_bytes,
    };
    let router = http::router(&app, edge);
    let local_addr = listener.local_addr().map_err(Stop::Listen)?;
    let handle = Handle::new();
    tokio::spawn(stop_on(shutdown, app.stopping, handle.clone(), config.limits.drain_s));
    let serving =
        tokio::spawn(async move { listener::serve(listener, tls, &config.limits, router, handle).await });
    tracing::info!(%local_addr, "serving");
    Ok(Running { local_addr, serving, store })
}

impl Running {
    /// Where it listens.
    #[must_use]
    pub const fn local_addr(&self) -> SocketAddr {
        self.local_addr
    }

    /// Waits until it has stopped and its store is closed.
    ///
    /// # Errors
    /// [`Stop::Listen`] when serving failed.
    pub async fn finished(self) -> Result<(), Stop> {
        let served = self.serving.await.unwrap_or_else(|panic| Err(std::io::Error::other(panic)));
        self.store.close().await;
        tracing::info!("stopped");
        served.map_err(Stop::Listen)
    }
}

impl App {
    fn new(config: &Config, store: Arc<Store>, rng: SharedRng) -> Self {
        Self {
            service: store.identity().service,
            store,
            rng,
            limits: Arc::new(config.limits.clone()),
            public_url: config.public_url.clone(),
            tokens: Arc::new(Tokens::up_to(config.limits.tokens)),
            exchanges: Arc::default(),
            listeners: Arc::new(Semaphore::new(config.limits.event_streams)),
            stopping: CancellationToken::new(),
        }
    }
}

/// Opening reads the whole state: not on a thread that answers others.
async fn open_store(
    config: &Config,
    typed: Typed,
    clock: Arc<dyn Clock>,
    rng: SharedRng,
) -> Result<Arc<Store>, Stop> {
    let from = config.clone();
    let open = move || {
        let root = root::read(&from, typed)?;
        Ok::<_, Stop>(Store::open(&from.data, root, clock, Box::new(rng))?)
    };
    let opened = tokio::task::spawn_blocking(open).await;
    let store = opened.map_err(|panic| Stop::Listen(std::io::Error::other(panic)))??;
    let made_for = store.identity().public_url.as_str();
    if made_for != config.public_url.as_str() {
        let (configured, made_for) = (config.public_url.to_string(), made_for.to_owned());
        return Err(Stop::PublicUrl { configured, made_for });
    }
    Ok(Arc::new(store))
}

/// Event streams end at once; what else is in flight has until the deadline.
async fn stop_on(
    shutdown: impl Future<Output = ()>,
    stopping: CancellationToken,
    handle: Handle<SocketAddr>,
    drain_s: u32,
) {
    shutdown.await;
    tracing::info!("stopping");
    stopping.cancel();
    handle.graceful_shutdown(Some(Duration::from_secs(drain_s.into())));
}
