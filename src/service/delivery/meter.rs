//! What is counted of each carrier.

use std::time::Duration;

use metrics::{Counter, Gauge, Histogram};
use sidekey_protocol::delivery::{CarrierName, Dead, Outcome};
use sidekey_protocol::ids::Timestamp;

use crate::metrics::Registry;

/// The handles of one carrier.
#[derive(Clone, Debug)]
pub(super) struct Meter {
    sent: Counter,
    put_off: Counter,
    given_up: Counter,
    limited: Counter,
    reports: Counter,
    duration: Histogram,
    pending: Gauge,
    oldest_age: Gauge,
    paused: Gauge,
}

impl Meter {
    /// Makes them. The label is one of a closed list, the configuration's: it is kept for as long as the process lives.
    pub(super) fn new(registry: &Registry, carrier: &CarrierName) -> Self {
        let carrier: &'static str = Box::leak(carrier.as_str().into());
        let labels = [("carrier", carrier)];
        let attempts = |outcome| {
            let labels = [("carrier", carrier), ("outcome", outcome)];
            registry.counter("sidekey_delivery_attempts_total", &labels)
        };
        let gauge = |name| registry.gauge(name, &labels);
        Self {
            sent: attempts("sent"),
            put_off: attempts("put_off"),
            given_up: attempts("given_up"),
            limited: registry.counter("sidekey_delivery_limited_total", &labels),
            reports: registry.counter("sidekey_delivery_reports_total", &labels),
            duration: registry.histogram("sidekey_delivery_duration_seconds", &labels),
            pending: gauge("sidekey_delivery_pending"),
            oldest_age: gauge("sidekey_delivery_oldest_age_seconds"),
            paused: gauge("sidekey_delivery_paused"),
        }
    }

    /// What came of a sending.
    pub(super) fn attempted(&self, outcome: &Outcome, took: Duration) {
        self.duration.record(took.as_secs_f64());
        match outcome {
            Outcome::Sent { .. } => self.sent.increment(1),
            Outcome::PutOff { .. } => self.put_off.increment(1),
            Outcome::GivenUp { .. } => self.given_up.increment(1),
        }
    }

    /// Something is not sent at all.
    pub(super) fn not_sent(&self, why: Dead) {
        match why {
            Dead::LimitAddress | Dead::LimitPrefix | Dead::LimitTotal => self.limited.increment(1),
            _ => self.given_up.increment(1),
        }
    }

    /// A bearer said something about what was sent.
    pub(super) fn reported(&self) {
        self.reports.increment(1);
    }

    /// How much waits, since when, and whether the carrier is left alone.
    pub(super) fn waiting(
        &self,
        (pending, oldest): (usize, Option<Timestamp>),
        paused: bool,
        now: Timestamp,
    ) {
        self.pending.set(pending as f64);
        self.oldest_age.set(oldest.map_or(0.0, |oldest| f64::from(now.since_s(oldest))));
        self.paused.set(if paused { 1.0 } else { 0.0 });
    }
}
