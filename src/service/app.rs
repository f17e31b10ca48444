//! What handlers can reach, built once; each takes the parts that its signature names.

use std::any::Any;
use std::ops::Deref;
use std::sync::{Arc, Mutex, PoisonError};

use axum::extract::FromRef;
use getrandom::SysRng;
use rand_core::{CryptoRng, TryCryptoRng, TryRng, UnwrapErr};
use sidekey_protocol::ids::ServiceId;
use sidekey_protocol::pairing::PublicUrl;
use tokio_util::sync::CancellationToken;

use crate::audit::Readers;
use crate::config::Limits;
use crate::delivery::Outbox;
use crate::health::Health;
use crate::http::rates::Rates;
use crate::http::tokens::Tokens;
use crate::live::Live;
use crate::metrics::Metrics;
use crate::pairing::Exchanges;
use crate::store::Store;

/// Everything that outlives a request. Cheap to clone: the layers before a handler do so with each request.
#[derive(Clone, Debug)]
pub(crate) struct App(Arc<Parts>);

impl App {
    pub(crate) fn new(parts: Parts) -> Self {
        Self(Arc::new(parts))
    }
}

impl Deref for App {
    type Target = Parts;

    fn deref(&self) -> &Parts {
        &self.0
    }
}

/// What it consists of.
#[derive(Debug)]
pub(crate) struct Parts {
    pub(crate) store: Arc<Store>,
    pub(crate) service: ServiceId,
    pub(crate) rng: SharedRng,
    pub(crate) limits: Live<Limits>,
    pub(crate) metrics: Arc<Metrics>,
    pub(crate) health: Arc<Health>,
    pub(crate) public_url: PublicUrl,
    pub(crate) key_overlap: KeyOverlap,
    pub(crate) tokens: Arc<Tokens>,
    pub(crate) rates: Arc<Rates>,
    pub(crate) exchanges: Arc<Exchanges>,
    pub(crate) audit_readers: Readers,
    pub(crate) outbox: Arc<Outbox>,
    pub(crate) listeners: Arc<tokio::sync::Semaphore>,
    pub(crate) stopping: CancellationToken,
}

macro_rules! parts {
    ($($field:ident: $part:ty),* $(,)?) => {
        $(impl FromRef<App> for $part {
            fn from_ref(app: &App) -> Self {
                app.$field.clone()
            }
        })*
    };
}

parts! {
    store: Arc<Store>,
    rng: SharedRng,
    public_url: PublicUrl,
    key_overlap: KeyOverlap,
    exchanges: Arc<Exchanges>,
    health: Arc<Health>,
    audit_readers: Readers,
    outbox: Arc<Outbox>,
}

/// Seconds for which what a replaced signing key signed still counts, unless said.
#[derive(Clone, Copy, Debug)]
pub(crate) struct KeyOverlap(pub(crate) u32);

/// One source of randomness for all requests.
#[derive(Clone)]
pub(crate) enum SharedRng {
    /// The system's, which keeps nothing here: nobody waits for anybody.
    System,
    /// Another, which each draw locks.
    Given(Arc<Mutex<dyn CryptoRng + Send>>),
}

impl SharedRng {
    pub(crate) fn new(rng: impl CryptoRng + Send + 'static) -> Self {
        let given: &dyn Any = &rng;
        if given.is::<UnwrapErr<SysRng>>() { Self::System } else { Self::Given(Arc::new(Mutex::new(rng))) }
    }

    fn draw<T>(&self, draw: impl FnOnce(&mut (dyn CryptoRng + Send)) -> T) -> T {
        match self {
            Self::System => draw(&mut UnwrapErr(SysRng)),
            Self::Given(rng) => draw(&mut *rng.lock().unwrap_or_else(PoisonError::into_inner)),
        }
    }
}

impl TryRng for SharedRng {
    type Error = std::convert::Infallible;

    fn try_next_u32(&mut self) -> Result<u32, Self::Error> {
        Ok(self.draw(|rng| rng.next_u32()))
    }

    fn try_next_u64(&mut self) -> Result<u64, Self::Error> {
        Ok(self.draw(|rng| rng.next_u64()))
    }

    fn try_fill_bytes(&mut self, bytes: &mut [u8]) -> Result<(), Self::Error> {
        self.draw(|rng| rng.fill_bytes(bytes));
        Ok(())
    }
}

impl TryCryptoRng for SharedRng {}

impl std::fmt::Debug for SharedRng {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("SharedRng")
    }
}
