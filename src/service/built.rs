//! The service itself, built and without a listener.

use std::sync::Arc;

use rand_core::{CryptoRng, Rng as _};
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;

use crate::Stop;
use crate::app::{App, KeyOverlap, Parts, SharedRng};
use crate::audit::Readers;
use crate::certificate::Certificate;
use crate::clock::Clock;
use crate::config::Config;
use crate::delivery::{self, Handed, Outbox};
use crate::health::Health;
use crate::http::limits::Edge;
use crate::http::stamp::RequestIds;
use crate::http::tokens::Tokens;
use crate::http::{self, Instead};
use crate::live::Live;
use crate::metrics::Metrics;
use crate::store::{Meter, Store};

/// A service that is built, and for which nobody listens: whoever has it may ask it.
#[derive(Clone, Debug)]
pub struct Service {
    pub(crate) app: App,
    pub(crate) edge: Arc<Edge>,
    pub(crate) router: axum::Router,
}

impl Service {
    /// On a store that is open. Nothing of it runs by itself: no listener, no deliveries, no housekeeping.
    ///
    /// # Errors
    /// [`Stop::Tls`], [`Stop::Carrier`].
    pub fn on(
        store: Arc<Store>,
        config: &Config,
        clock: Arc<dyn Clock>,
        rng: impl CryptoRng + Send + 'static,
    ) -> Result<Self, Stop> {
        let (certificate, rng) = (Arc::new(Certificate::read(config, clock.now())?), SharedRng::new(rng));
        let carriers = delivery::configured(config, &clock, &rng)?;
        Ok(Self::build(config, store, certificate, (carriers, &[]), (clock, rng)))
    }

    pub(crate) fn build(
        config: &Config,
        store: Arc<Store>,
        certificate: Arc<Certificate>,
        (carriers, instead): (Vec<Handed>, &[Instead]),
        (clock, rng): (Arc<dyn Clock>, SharedRng),
    ) -> Self {
        let app = App::new(Parts::of(config, store, rng.clone(), certificate, carriers));
        let edge = Arc::new(Edge {
            clock,
            ids: Arc::new(RequestIds::starting_at(rng.clone().next_u64())),
            dates: Arc::default(),
            limits: app.limits.clone(),
            metrics: Some(app.metrics.clone()),
        });
        let router = http::router(&app, edge.clone(), instead);
        Self { app, edge, router }
    }

    /// What answers requests, as a listener has it.
    pub fn router(&self) -> axum::Router {
        self.router.clone()
    }
}

impl Parts {
    fn of(
        config: &Config,
        store: Arc<Store>,
        rng: SharedRng,
        certificate: Arc<Certificate>,
        carriers: Vec<Handed>,
    ) -> Self {
        let metrics = Arc::new(Metrics::new());
        store.measure(Meter::new(metrics.registry()));
        let stopping = CancellationToken::new();
        let (url, handed) = (config.public_url.clone(), carriers);
        let registry = metrics.registry();
        let outbox = Outbox::new(store.clone(), rng.clone(), url, handed, stopping.clone(), registry);
        let health = Health::new(store.clone(), certificate);
        Self {
            service: store.identity().service,
            store,
            rng,
            limits: Live::new(config.limits.clone()),
            metrics,
            health: Arc::new(health),
            public_url: config.public_url.clone(),
            key_overlap: KeyOverlap(config.key_overlap_s),
            tokens: Arc::new(Tokens::up_to(config.limits.tokens)),
            rates: Arc::default(),
            exchanges: Arc::default(),
            audit_readers: Readers::default(),
            listeners: Arc::new(Semaphore::new(config.limits.event_streams)),
            outbox: Arc::new(outbox),
            stopping,
        }
    }
}
