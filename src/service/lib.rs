//! The HTTPS key service, as a library: [`run`] builds it and serves; [`init()`] makes its data folder.
//!
//! A step loads, asks the protocol, commits, replies. What it refuses, `http/problem.rs` alone turns into a status.

mod app;
mod audit;
mod built;
mod certificate;
pub mod clock;
pub mod config;
mod credential;
mod delivery;
mod events;
pub mod fault;
mod files;
pub mod health;
mod housekeeping;
mod http;
pub mod init;
mod keys;
mod listener;
mod live;
mod metrics;
mod operations;
#[cfg(test)]
mod over_tls;
mod pairing;
mod policies;
mod policy;
pub mod reload;
mod restore;
mod revocation;
pub mod root;
mod session;
pub mod store;
pub mod telemetry;

use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::time::Duration;

use axum_server::Handle;
use rand_core::CryptoRng;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

pub use crate::built::Service;
pub use crate::certificate::BadTls;
pub use crate::config::Config;
pub use crate::delivery::{BadCarrier, Callback, Handed, Misfit, check_carriers};
pub use crate::files::BadFile;
#[cfg(feature = "fuzz")]
pub use crate::http::fuzz as requests;
pub use crate::http::{Instead, openapi, problem};
pub use crate::init::init;

use crate::app::{App, SharedRng};
use crate::certificate::Certificate;
use crate::clock::Clock;
use crate::config::Limits;
use crate::delivery::Outbox;
use crate::fault::Fault;
use crate::http::limits::Edge;
use crate::live::Live;
use crate::reload::Reloader;
use crate::root::{BadRootKey, Typed};
use crate::store::Store;

pub use crate::store::{ClockAccepted, Daily};
use crate::telemetry::Logs;

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
    /// A carrier of the configuration.
    #[error(transparent)]
    Carrier(#[from] BadCarrier),
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
    /// For those who keep the service running; without one nobody asks.
    pub operations: Option<TcpListener>,
    /// What is logged, for a reload to change.
    pub logs: Option<Logs>,
    /// The root key's passphrase, where the configuration says that it is typed.
    pub passphrase: Typed,
    /// Carriers beside those of the configuration.
    pub carriers: Vec<Handed>,
    /// Handlers in place of the service's own.
    pub instead: Vec<Instead>,
}

impl From<TcpListener> for Given {
    fn from(listener: TcpListener) -> Self {
        Self {
            listener,
            operations: None,
            logs: None,
            passphrase: None,
            carriers: Vec::new(),
            instead: Vec::new(),
        }
    }
}

/// A service that runs.
#[derive(Debug)]
pub struct Running {
    local_addr: SocketAddr,
    serving: JoinHandle<std::io::Result<()>>,
    operations: Option<Watched>,
    keeping: JoinHandle<()>,
    reloader: Reloader,
    store: Arc<Store>,
    outbox: Arc<Outbox>,
    drain: Duration,
}

/// The operations listener: it tells until the end.
#[derive(Debug)]
struct Watched {
    local_addr: SocketAddr,
    handle: Handle<SocketAddr>,
    serving: JoinHandle<std::io::Result<()>>,
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
    let Given { listener, operations, logs, passphrase, mut carriers, instead } = given.into();
    let rng = SharedRng::new(rng);
    let certificate = Arc::new(Certificate::read(&config, clock.now())?);
    let store = open_store(&config, passphrase, clock.clone(), rng.clone()).await?;
    carriers.extend(delivery::configured(&config, &clock, &rng)?);
    let Service { app, edge, router } = Service::build(
        &config,
        store.clone(),
        certificate.clone(),
        (carriers, &instead),
        (clock.clone(), rng),
    );
    let outbox = app.outbox.clone();
    outbox.start();
    let local_addr = listener.local_addr().map_err(Stop::Listen)?;
    let operations = match operations {
        Some(listener) => Some(watched(&config, listener, &app, &certificate, &edge).map_err(Stop::Listen)?),
        None => None,
    };
    let reloader =
        Reloader::new(config.clone(), app.limits.clone(), certificate.clone(), logs, clock.clone());
    let keeping = housekeeping::Keeping {
        reloader: reloader.clone(),
        metrics: app.metrics.clone(),
        certificate,
        clock,
        store: store.clone(),
        keep_days: config.audit.keep_days,
    };
    let keeping = tokio::spawn(keeping.run(app.stopping.clone()));
    let handle = Handle::new();
    tokio::spawn(stop_on(shutdown, app.stopping.clone(), handle.clone(), app.limits.clone()));
    say_serving(&config, local_addr, operations.as_ref());
    let limits = config.limits.clone();
    let serving = tokio::spawn(async move {
        let tls = app.health.certificate().tls();
        listener::serve(listener, tls, &limits, router, handle).await
    });
    let drain = Duration::from_secs(config.limits.drain_s.into());
    Ok(Running { local_addr, serving, operations, keeping, reloader, store, outbox, drain })
}

fn say_serving(config: &Config, local_addr: SocketAddr, operations: Option<&Watched>) {
    let version = env!("CARGO_PKG_VERSION");
    let operations = operations.map(|watched| tracing::field::display(watched.local_addr));
    let (data, root_key) = (config.data.display(), &config.root_key);
    tracing::info!(version, %local_addr, operations, %data, %root_key, "serving");
}

/// Serves those who keep the service running.
fn watched(
    config: &Config,
    listener: TcpListener,
    app: &App,
    certificate: &Certificate,
    edge: &Edge,
) -> std::io::Result<Watched> {
    let local_addr = listener.local_addr()?;
    let parts = operations::Operations { metrics: app.metrics.clone(), health: app.health.clone() };
    let router = operations::router(parts, Arc::new(Edge { metrics: None, ..edge.clone() }));
    let (handle, tls) = (Handle::new(), config.operations.tls.then(|| certificate.tls()));
    let (limits, serving) = (config.limits.clone(), handle.clone());
    let serving = tokio::spawn(async move {
        match tls {
            Some(tls) => listener::serve(listener, tls, &limits, router, serving).await,
            None => listener::serve_plain(listener, &limits, router, serving).await,
        }
    });
    Ok(Watched { local_addr, handle, serving })
}

impl Running {
    /// Where it listens.
    #[must_use]
    pub const fn local_addr(&self) -> SocketAddr {
        self.local_addr
    }

    /// Where those who keep it running ask.
    #[must_use]
    pub fn operations_addr(&self) -> Option<SocketAddr> {
        self.operations.as_ref().map(|watched| watched.local_addr)
    }

    /// What puts another configuration into force.
    #[must_use]
    pub fn reloader(&self) -> Reloader {
        self.reloader.clone()
    }

    /// Waits until it has stopped and its store is closed.
    ///
    /// # Errors
    /// [`Stop::Listen`] when serving failed.
    pub async fn finished(self) -> Result<(), Stop> {
        let served = self.serving.await.unwrap_or_else(|panic| Err(std::io::Error::other(panic)));
        // They were told to stop when the listener was: what requests took, these do not take again.
        let most = self.drain.min(BEHIND_DRAIN);
        let (_, kept) = tokio::join!(self.outbox.finished(most), tokio::time::timeout(most, self.keeping));
        if kept.is_err() {
            tracing::warn!("the log is being pruned still: that goes on after the next start");
        }
        self.store.close().await;
        if let Some(watched) = self.operations {
            watched.handle.shutdown();
            // It ends because it was told to.
            let _ = watched.serving.await;
        }
        tracing::info!("stopped");
        served.map_err(Stop::Listen)
    }
}

/// Believes the clock again, which had been ahead when something was recorded: for a folder that nobody serves. `None`
/// where the clock is not behind what is recorded.
///
/// # Errors
/// [`Stop`], [`Fault::Locked`] among them.
pub async fn accept_clock(
    config: &Config,
    typed: Typed,
    clock: Arc<dyn Clock>,
    rng: impl CryptoRng + Send + 'static,
) -> Result<Option<ClockAccepted>, Stop> {
    let store = open_store(config, typed, clock, SharedRng::new(rng)).await?;
    let accepted = store.accept_clock().await;
    store.close().await;
    accepted.map_err(|error| match error {
        store::Error::Fault(fault) => Stop::Store(fault),
        store::Error::Refused(_) => unreachable!("a clock is not refused"),
    })
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

/// For deliveries that are on their way when the service stops, and for what housekeeping has begun: with the listener's
/// drain it ends within 30 seconds.
const BEHIND_DRAIN: Duration = Duration::from_secs(4);

/// Event streams end at once; what else is in flight has until the deadline.
async fn stop_on(
    shutdown: impl Future<Output = ()>,
    stopping: CancellationToken,
    handle: Handle<SocketAddr>,
    limits: Live<Limits>,
) {
    shutdown.await;
    tracing::info!("stopping");
    stopping.cancel();
    handle.graceful_shutdown(Some(Duration::from_secs(limits.get().drain_s.into())));
}
