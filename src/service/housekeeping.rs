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
    /// For how long the audit log is kept; 0 for ever.
    pub(crate) keep_days: u32,
}

impl Keeping {
    /// Looks after the certificate, the histograms and the audit log, until the service stops.
    pub(crate) async fn run(self, stopping: CancellationToken) {
        let mut tick = tokio::time::interval(TICK);
        let (mut warned, mut ticks) = (None, 0_u32);
        loop {
            tokio::select! {
                () = stopping.cancelled() => return,
                _ = tick.tick() => {}
            }
            self.reloader.watch();
            self.metrics.upkeep();
            self.warn(&mut warned);
            self.checkpoint().await;
            if ticks.is_multiple_of(RETAIN_EVERY) && self.keep_days > 0 {
                self.retain().await;
            }
            ticks = ticks.wrapping_add(1);
        }
    }

    /// Deletes what the audit log keeps no longer.
    async fn retain(&self) {
        let (store, days) = (self.store.clone(), self.keep_days);
        let retained = tokio::task::spawn_blocking(move || store.retain(days)).await;
        if let Ok(Err(error)) = retained {
            tracing::warn!(error = &error as &dyn std::error::Error, "what is old stays in the log");
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
/// Ticks between two looks for what the log keeps no longer: an hour.
const RETAIN_EVERY: u32 = 1800;
