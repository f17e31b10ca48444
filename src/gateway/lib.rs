//! The enterprise's end of the mail path, in front of any IMAP4rev1 server.
//!
//! ```text
//!   start ──▶ Running ── Reloader
//!     listener ─▶ visit ┬▶ relay        a trusted connection: octets as they come
//!                       └▶ untrusted    login ─▶ session, with keys and credentials from the key service
//!                            ▲
//!     revocation ────────────┘          what the key service tells: whoever lost what let him in is cut
//! ```
//! How an untrusted connection logs in ([`login`]), what it may ask, what of the server's answers it is shown ([`allow`]),
//! and what of that is sealed ([`session`]) are decisions and octets alone, without sockets.

mod accounts;
pub mod allow;
pub mod config;
mod credentials;
pub mod doors;
mod drive;
mod files;
mod guests;
mod keys;
mod listener;
mod metrics;
mod object;
mod operations;
mod relay;
pub mod replay;
mod revocation;
mod seats;
pub mod session;
mod side;
mod tls;
mod untrusted;
mod upstream;
mod visit;

use std::collections::BTreeMap;
use std::fmt;
use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, PoisonError, RwLock};

use rand_core::CryptoRng;
use rustls::ServerConfig;
use sidekey_client::{Clock, Server};
use tokio::task::JoinHandle;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::config::Limits;
use crate::listener::Door;
use crate::metrics::Metrics;
use crate::seats::Seats;
use crate::untrusted::Desk;
use crate::upstream::Upstream;

pub use crate::config::Config;
pub use crate::files::BadFile;
/// How a connection logs in: as at the agent.
pub use sidekey_imap::login;

/// Why the gateway does not start.
#[derive(Debug, thiserror::Error)]
pub enum Stop {
    /// A file that the configuration names.
    #[error(transparent)]
    File(#[from] BadFile),
    /// Proxies are to come, and there are no keys to seal for them with.
    #[error("listeners.{listener} is for operators' proxies, and this gateway is not paired")]
    Unpaired {
        /// Which listener.
        listener: String,
    },
    /// The address where metrics are to be told cannot be had.
    #[error("cannot tell metrics on {at}")]
    Operations {
        /// Where.
        at: SocketAddr,
        /// Why.
        source: io::Error,
    },
    /// A listener's address cannot be had.
    #[error("cannot listen on {at}")]
    Bind {
        /// Which listener.
        listener: String,
        /// Where.
        at: SocketAddr,
        /// Why.
        source: io::Error,
    },
}

/// Who the gateway is to the key service, and what it is given.
pub struct Identity {
    /// Its pairing, as a mail server.
    pub server: Server,
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// Randomness: one source for each connection.
    pub rng: fn() -> Box<dyn CryptoRng + Send>,
}

/// A gateway that serves.
#[derive(Debug)]
pub struct Running {
    addresses: BTreeMap<String, SocketAddr>,
    operations: Option<SocketAddr>,
    reloader: Reloader,
    serving: JoinHandle<()>,
}

/// Reads again what may be replaced while a gateway serves.
#[derive(Clone)]
pub struct Reloader {
    shared: Arc<Shared>,
    config: Arc<Config>,
}

/// What all connections share.
pub(crate) struct Shared {
    live: RwLock<Arc<Live>>,
    pub(crate) limits: Limits,
    pub(crate) metrics: Arc<Metrics>,
    /// For proxies, where they may come.
    pub(crate) desk: Option<Arc<Desk>>,
    pub(crate) seats: Arc<Seats>,
    pub(crate) visits: TaskTracker,
    /// Nobody else comes in, and those who are in finish.
    pub(crate) stop: CancellationToken,
    /// Those who have not finished are cut.
    pub(crate) kill: CancellationToken,
}

/// What a reload replaces. A connection goes on with what it began with.
pub(crate) struct Live {
    pub(crate) upstream: Upstream,
    pub(crate) doors: BTreeMap<String, Option<Arc<ServerConfig>>>,
}

/// Starts a gateway, which serves until `shutdown` resolves and then drains.
///
/// # Errors
/// [`Stop`] says what stands in the way: nothing is served then.
pub fn start(
    config: Config,
    identity: Option<Identity>,
    shutdown: impl Future<Output = ()> + Send + 'static,
) -> Result<Running, Stop> {
    let untrusted = config.listeners.iter().find(|(_, listener)| !listener.trusted);
    let metrics = Arc::new(Metrics::new(config.listeners.keys()));
    let desk = match (untrusted, identity) {
        (None, _) => None,
        (Some(_), Some(identity)) => Some(Arc::new(Desk::new(identity, Arc::clone(&metrics)))),
        (Some((listener, _)), None) => return Err(Stop::Unpaired { listener: listener.clone() }),
    };
    let live = RwLock::new(Arc::new(Live::read(&config)?));
    let limits = config.limits;
    let shared = Arc::new(Shared {
        live,
        limits,
        metrics,
        desk,
        seats: Seats::new(limits.connections, limits.connections_per_address),
        visits: TaskTracker::new(),
        stop: CancellationToken::new(),
        kill: CancellationToken::new(),
    });
    let mut bound = Vec::new();
    for (name, listener) in &config.listeners {
        let failed = |source| Stop::Bind { listener: name.clone(), at: listener.listen, source };
        let socket = listener::bind(listener.listen).map_err(failed)?;
        let address = socket.local_addr().map_err(failed)?;
        bound.push((Door { name: name.clone(), listener: listener.clone() }, socket, address));
    }
    let mut operations = None;
    if let Some(config::Operations { listen }) = config.operations {
        let failed = |source| Stop::Operations { at: listen, source };
        let socket = listener::bind(listen).map_err(failed)?;
        operations = Some(socket.local_addr().map_err(failed)?);
        tokio::spawn(operations::serve(Arc::clone(&shared), socket));
    }
    let mut addresses = BTreeMap::new();
    for (door, socket, address) in bound {
        tracing::info!(listener = door.name, %address, trusted = door.listener.trusted, "listening");
        addresses.insert(door.name.clone(), address);
        shared.visits.spawn(listener::accept(Arc::clone(&shared), Arc::new(door), socket));
    }
    if let Some(desk) = &shared.desk {
        let (desk, kill) = (Arc::clone(desk), shared.kill.clone());
        tokio::spawn(async move { kill.run_until_cancelled(revocation::follow(desk)).await });
    }
    let serving = tokio::spawn(serve(Arc::clone(&shared), shutdown));
    Ok(Running { addresses, operations, reloader: Reloader { shared, config: Arc::new(config) }, serving })
}

async fn serve(shared: Arc<Shared>, shutdown: impl Future<Output = ()>) {
    shutdown.await;
    tracing::info!("stopping");
    shared.stop.cancel();
    shared.visits.close();
    if timeout(shared.limits.drain(), shared.visits.wait()).await.is_err() {
        tracing::warn!(connections = shared.visits.len(), "cut: not done by limits.drain_s");
    }
    shared.kill.cancel();
    shared.visits.wait().await;
    tracing::info!("stopped");
}

impl Running {
    /// Where a listener is; a port that was 0 is the one that it got.
    #[must_use]
    pub fn address(&self, listener: &str) -> Option<SocketAddr> {
        self.addresses.get(listener).copied()
    }

    /// Where all are, by name.
    #[must_use]
    pub const fn addresses(&self) -> &BTreeMap<String, SocketAddr> {
        &self.addresses
    }

    /// Where metrics are told, if they are.
    #[must_use]
    pub const fn operations(&self) -> Option<SocketAddr> {
        self.operations
    }

    /// What reads certificates again.
    #[must_use]
    pub fn reloader(&self) -> Reloader {
        self.reloader.clone()
    }

    /// Waits until it has stopped.
    ///
    /// # Panics
    /// When serving did.
    pub async fn finished(self) {
        if let Err(failed) = self.serving.await
            && failed.is_panic()
        {
            std::panic::resume_unwind(failed.into_panic());
        }
    }
}

impl Reloader {
    /// Certificates, keys, authorities and passwords from now on as their files are now. Connections go on as they began.
    ///
    /// # Errors
    /// A file cannot be used: what is in force stays, all of it.
    pub fn reload(&self) -> Result<(), BadFile> {
        let live = Arc::new(Live::read(&self.config)?);
        *self.shared.live.write().unwrap_or_else(PoisonError::into_inner) = live;
        tracing::info!("certificates, keys, authorities and passwords are read again");
        Ok(())
    }
}

impl Shared {
    /// What is in force now.
    pub(crate) fn live(&self) -> Arc<Live> {
        Arc::clone(&self.live.read().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Live {
    fn read(config: &Config) -> Result<Self, BadFile> {
        let tls = |(name, listener): (&String, _)| Ok((name.clone(), tls::of_listener(listener)?));
        let doors = config.listeners.iter().map(tls).collect::<Result<_, BadFile>>()?;
        Ok(Self { upstream: Upstream::read(&config.upstream)?, doors })
    }
}

impl fmt::Debug for Reloader {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Reloader")
    }
}

impl fmt::Debug for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Identity").field("server", &self.server).finish_non_exhaustive()
    }
}
