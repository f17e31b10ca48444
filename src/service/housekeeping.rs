//! What is done now and then while the service runs.

use std::sync::Arc;
use std::time::Duration;

use tokio_util::sync::CancellationToken;

use crate::certificate::{Certificate, WARN_DAYS};
use crate::clock::Clock;
use crate::metrics::Metrics;
use crate::reload::Reloader;
use crate::store::Store;

/// What it takes.
#[derive(Debug)]
pub(crate) struct Keeping {
    pub(crate) reloader: Reloader,
    pub(crate) metrics: Arc<Metrics>,
    pub(crate) certificate: Arc<Certificate>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) store: Arc<Store>,
}

impl Keeping {
    /// Looks after the certificate and the histograms, until the service stops.
    pub(crate) async fn run(self, stopping: CancellationToken) {
        let mut tick = tokio::time::interval(TICK);
        let mut warned = None;
        loop {
            tokio::select! {
                () = stopping.cancelled() => return,
                _ = tick.tick() => {}
            }
            self.reloader.watch();
            self.metrics.upkeep();
            self.warn(&mut warned);
            self.checkpoint().await;
        }
    }

    /// Signs where the audit log's chain stands, now and then.
    async fn checkpoint(&self) {
        let store = self.store.clone();
        let kept = tokio::task::spawn_blocking(move || store.checkpoint_if_due()).await;
        if let Ok(Err(error)) = kept {
            tracing::warn!(error = &error as &dyn std::error::Error, "a checkpoint is not kept");
        }
    }

    /// Once a day when the certificate ends soon.
    fn warn(&self, warned: &mut Option<i64>) {
        let days = self.certificate.days_left(self.clock.now());
        if days < WARN_DAYS && *warned != Some(days) {
            tracing::warn!(days, "the certificate ends soon: renew it in its file");
            *warned = Some(days);
        }
    }
}

const TICK: Duration = Duration::from_secs(2);
