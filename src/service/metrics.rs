//! What the service counts, for Prometheus: `GET /metrics` of the operations listener.
//!
//! Names and labels are a contract with dashboards. A label is one of a closed list: a route's template, a problem code,
//! a kind of thing; never a user, a path or an id. Whatever is counted while a request waits has its handle made before
//! or is made once: counting it is one atomic addition.

mod process;

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use metrics::{Counter, Gauge, Histogram, Key, Label, Level, Metadata, Recorder as _};
use metrics_exporter_prometheus::{PrometheusBuilder, PrometheusHandle, PrometheusRecorder};

use self::process::Process;
use crate::http::problem::Code;
use crate::http::rates::{NO_ROOM, Scope};

/// The registry of one service: two in one process count apart.
#[derive(Debug)]
pub(crate) struct Metrics {
    registry: Registry,
    handle: PrometheusHandle,
    in_flight: Gauge,
    /// Requests that are for no route.
    unrouted: Arc<RouteMeter>,
    auth_failures: Outcomes,
    heads_forged: Counter,
    /// Proxy credentials that were shown to servers, by what they were found to be.
    credentials_shown: [(&'static str, Counter); 3],
    /// Requests that were too many, by what they were counted as.
    rate_limited: Vec<(&'static str, Counter)>,
    /// The gauges that are looked up when somebody asks.
    asked: Asked,
}

/// Makes handles.
#[derive(Clone, Debug)]
pub(crate) struct Registry(Arc<PrometheusRecorder>);

/// The labels of one handle.
pub(crate) type Labels<'a> = &'a [(&'static str, &'static str)];

impl Registry {
    /// A counter, from nought.
    pub(crate) fn counter(&self, name: &'static str, labels: Labels<'_>) -> Counter {
        self.0.register_counter(&key(name, labels), &METADATA)
    }

    /// A gauge.
    pub(crate) fn gauge(&self, name: &'static str, labels: Labels<'_>) -> Gauge {
        self.0.register_gauge(&key(name, labels), &METADATA)
    }

    /// A histogram of seconds.
    pub(crate) fn histogram(&self, name: &'static str, labels: Labels<'_>) -> Histogram {
        self.0.register_histogram(&key(name, labels), &METADATA)
    }
}

fn key(name: &'static str, labels: Labels<'_>) -> Key {
    let labels: Vec<Label> =
        labels.iter().map(|&(name, value)| Label::from_static_parts(name, value)).collect();
    Key::from_parts(name, labels)
}

/// What is counted of one route.
#[derive(Debug)]
pub(crate) struct RouteMeter {
    registry: Registry,
    route: &'static str,
    method: &'static str,
    statuses: [OnceLock<Counter>; STATUSES.len()],
    duration: Histogram,
    /// How it ended, where that is told apart.
    outcomes: Option<Outcomes>,
}

impl RouteMeter {
    fn new(registry: &Registry, route: &'static str, method: &'static str, fetches: bool) -> Self {
        let labels = [("route", route), ("method", method)];
        Self {
            registry: registry.clone(),
            route,
            method,
            statuses: [const { OnceLock::new() }; STATUSES.len()],
            duration: registry.histogram("sidekey_http_request_duration_seconds", &labels),
            outcomes: fetches.then(|| Outcomes::new(registry, "sidekey_key_fetches_total", "outcome")),
        }
    }

    /// One request was answered.
    pub(crate) fn answered(&self, status: u16, refused: Option<Code>, took: Duration) {
        // What is not in the list is counted as its class: the list is tested to hold every status that we answer.
        let place = STATUSES.iter().position(|(number, _)| *number == status);
        let place = place.unwrap_or(STATUSES.len() - 1);
        let counter = self.statuses[place].get_or_init(|| {
            let labels = [("route", self.route), ("method", self.method), ("status", STATUSES[place].1)];
            self.registry.counter("sidekey_http_requests_total", &labels)
        });
        counter.increment(1);
        self.duration.record(took.as_secs_f64());
        if let Some(outcomes) = &self.outcomes {
            outcomes.count(refused);
        }
    }
}

/// Counters by problem code, and one for what went well.
#[derive(Debug)]
struct Outcomes {
    registry: Registry,
    name: &'static str,
    label: &'static str,
    counters: Vec<OnceLock<Counter>>,
}

impl Outcomes {
    fn new(registry: &Registry, name: &'static str, label: &'static str) -> Self {
        let counters = std::iter::repeat_with(OnceLock::new).take(Code::ALL.len() + 1).collect();
        Self { registry: registry.clone(), name, label, counters }
    }

    fn count(&self, refused: Option<Code>) {
        let (place, outcome) = match refused {
            Some(code) => (code as usize + 1, code.as_str()),
            None => (0, "ok"),
        };
        let register = || self.registry.counter(self.name, &[(self.label, outcome)]);
        self.counters[place].get_or_init(register).increment(1);
    }
}

/// What is looked up when somebody asks.
#[derive(Debug)]
struct Asked {
    pairings_active: Gauge,
    store_size_bytes: Gauge,
    store_free_bytes: Gauge,
    seal_state: Gauge,
    certificate: Gauge,
    signing_key_age: Gauge,
    cpu: Counter,
    resident: Gauge,
    virtual_size: Gauge,
    start: Gauge,
    threads: Gauge,
    open_fds: Gauge,
    max_fds: Gauge,
}

/// What the service itself knows, for [`Metrics::render`].
#[derive(Clone, Copy, Debug)]
pub(crate) struct Figures {
    /// Pairings that are live.
    pub(crate) pairings_active: usize,
    /// Octets of journal and state on the disk.
    pub(crate) store_size_bytes: u64,
    /// Octets that are free on that disk, where the system says.
    pub(crate) store_free_bytes: Option<u64>,
    /// Whether keys are issued.
    pub(crate) open: bool,
    /// When the certificate ends, in Unix seconds.
    pub(crate) certificate_not_after: i64,
    /// How long the active signing key has been one.
    pub(crate) signing_key_age_s: u32,
}

/// A request is on its way until this is dropped.
pub(crate) struct InFlight<'a>(&'a Gauge);

impl Drop for InFlight<'_> {
    fn drop(&mut self) {
        self.0.decrement(1.0);
    }
}

impl Metrics {
    pub(crate) fn new() -> Self {
        let builder = PrometheusBuilder::new().set_buckets(&BUCKETS_S).expect("there are buckets");
        let recorder = builder.build_recorder();
        let handle = recorder.handle();
        let registry = Registry(Arc::new(recorder));
        let build =
            [("version", env!("CARGO_PKG_VERSION")), ("git", option_env!("SIDEKEY_GIT").unwrap_or(""))];
        registry.gauge("sidekey_build_info", &build).set(1.0);
        Self {
            in_flight: registry.gauge("sidekey_http_in_flight_requests", &[]),
            unrouted: Arc::new(RouteMeter::new(&registry, "none", "any", false)),
            auth_failures: Outcomes::new(&registry, "sidekey_auth_failures_total", "reason"),
            heads_forged: registry.counter("sidekey_heads_forged_total", &[]),
            credentials_shown: ["live", "over", "wrong"].map(|outcome| {
                (outcome, registry.counter("sidekey_credentials_shown_total", &[("outcome", outcome)]))
            }),
            rate_limited: rate_limited(&registry),
            asked: Asked::new(&registry),
            registry,
            handle,
        }
    }

    /// Where others make their handles.
    pub(crate) const fn registry(&self) -> &Registry {
        &self.registry
    }

    /// What is counted of one route.
    pub(crate) fn of_route(&self, route: &'static str, method: &'static str) -> Arc<RouteMeter> {
        Arc::new(RouteMeter::new(&self.registry, route, method, route == FETCH))
    }

    /// What is counted of requests that are for no route.
    pub(crate) fn unrouted(&self) -> &RouteMeter {
        &self.unrouted
    }

    /// A request has come.
    pub(crate) fn begun(&self) -> InFlight<'_> {
        self.in_flight.increment(1.0);
        InFlight(&self.in_flight)
    }

    /// Somebody was not let in.
    pub(crate) fn not_admitted(&self, code: Code) {
        if code.status() == 401 || matches!(code, Code::RoleForbidden | Code::Revoked) {
            self.auth_failures.count(Some(code));
        }
    }

    /// Somebody showed a head of revocations that this service never made.
    pub(crate) fn head_forged(&self) {
        self.heads_forged.increment(1);
    }

    /// Somebody showed a secret to a server: of a credential that is live or over, or of none.
    pub(crate) fn credential_shown(&self, outcome: &str) {
        let counter = self.credentials_shown.iter().find(|(name, _)| *name == outcome);
        counter.inspect(|(_, counter)| counter.increment(1));
    }

    /// Somebody asked too often.
    pub(crate) fn rate_limited(&self, scope: &str) {
        let counter = self.rate_limited.iter().find(|(name, _)| *name == scope);
        counter.inspect(|(_, counter)| counter.increment(1));
    }

    /// Everything, in Prometheus' text format.
    pub(crate) fn render(&self, figures: &Figures) -> String {
        self.asked.set(figures);
        self.handle.render()
    }

    /// Moves what histograms have gathered into their buckets; without it they grow until somebody asks.
    pub(crate) fn upkeep(&self) {
        self.handle.run_upkeep();
    }
}

impl Asked {
    fn new(registry: &Registry) -> Self {
        let gauge = |name| registry.gauge(name, &[]);
        Self {
            pairings_active: gauge("sidekey_pairings_active"),
            store_size_bytes: gauge("sidekey_store_size_bytes"),
            store_free_bytes: gauge("sidekey_store_free_bytes"),
            seal_state: gauge("sidekey_seal_state"),
            certificate: gauge("sidekey_tls_cert_not_after_timestamp_seconds"),
            signing_key_age: gauge("sidekey_signing_key_age_seconds"),
            cpu: registry.counter("process_cpu_seconds_total", &[]),
            resident: gauge("process_resident_memory_bytes"),
            virtual_size: gauge("process_virtual_memory_bytes"),
            start: gauge("process_start_time_seconds"),
            threads: gauge("process_threads"),
            open_fds: gauge("process_open_fds"),
            max_fds: gauge("process_max_fds"),
        }
    }

    fn set(&self, figures: &Figures) {
        self.pairings_active.set(figures.pairings_active as f64);
        self.store_size_bytes.set(figures.store_size_bytes as f64);
        figures.store_free_bytes.inspect(|&free| self.store_free_bytes.set(free as f64));
        self.seal_state.set(if figures.open { 1.0 } else { 0.0 });
        self.certificate.set(figures.certificate_not_after as f64);
        self.signing_key_age.set(f64::from(figures.signing_key_age_s));
        let Some(process) = Process::read() else { return };
        // Whole ones: a counter of this registry has no others.
        self.cpu.absolute(process.cpu_s as u64);
        self.resident.set(process.resident_size_bytes);
        self.virtual_size.set(process.virtual_size_bytes);
        self.start.set(process.start_s);
        self.threads.set(process.threads);
        self.open_fds.set(process.open_fds);
        self.max_fds.set(process.max_fds);
    }
}

fn rate_limited(registry: &Registry) -> Vec<(&'static str, Counter)> {
    let scopes = Scope::ALL.iter().map(|scope| scope.as_str()).chain([NO_ROOM]);
    let counter = |scope| registry.counter("sidekey_ratelimit_rejected_total", &[("scope", scope)]);
    scopes.map(|scope| (scope, counter(scope))).collect()
}

/// The route by which keys are fetched.
const FETCH: &str = "/v1/sessions/{session}/key";

/// Where an answer usually falls, from a tenth of a millisecond to its limit.
const BUCKETS_S: [f64; 16] =
    [0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0];

/// Every status that the service answers; the last stands for all others.
const STATUSES: &[(u16, &str)] = &[
    (200, "200"),
    (201, "201"),
    (204, "204"),
    (304, "304"),
    (400, "400"),
    (401, "401"),
    (403, "403"),
    (404, "404"),
    (405, "405"),
    (408, "408"),
    (409, "409"),
    (410, "410"),
    (412, "412"),
    (413, "413"),
    (414, "414"),
    (415, "415"),
    (422, "422"),
    (428, "428"),
    (429, "429"),
    (431, "431"),
    (500, "500"),
    (503, "503"),
    (0, "other"),
];

static METADATA: Metadata<'static> = Metadata::new("sidekey", Level::INFO, None);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_status_of_a_refusal_has_its_counter() {
        for code in Code::ALL {
            let known = STATUSES.iter().any(|(status, _)| *status == code.status());
            assert!(known, "{} is not in the list", code.status());
        }
        assert!(STATUSES.iter().rev().skip(1).all(|(status, text)| status.to_string() == *text));
    }

    #[test]
    fn requests_are_counted_by_route_method_and_status() {
        let metrics = Metrics::new();
        let meter = metrics.of_route(FETCH, "GET");
        meter.answered(200, None, Duration::from_millis(3));
        meter.answered(410, Some(Code::Revoked), Duration::from_millis(3));
        meter.answered(299, None, Duration::from_millis(3));
        metrics.not_admitted(Code::TokenExpired);
        metrics.not_admitted(Code::BodyTooLarge);
        let figures = Figures {
            pairings_active: 2,
            store_size_bytes: 5,
            store_free_bytes: Some(6),
            open: true,
            certificate_not_after: 7,
            signing_key_age_s: 9,
        };
        let text = metrics.render(&figures);
        for line in [
            r#"sidekey_http_requests_total{route="/v1/sessions/{session}/key",method="GET",status="200"} 1"#,
            r#"sidekey_http_requests_total{route="/v1/sessions/{session}/key",method="GET",status="other"} 1"#,
            r#"sidekey_key_fetches_total{outcome="ok"} 2"#,
            r#"sidekey_key_fetches_total{outcome="revoked"} 1"#,
            r#"sidekey_auth_failures_total{reason="token_expired"} 1"#,
            "sidekey_pairings_active 2",
            "sidekey_seal_state 1",
            "sidekey_signing_key_age_seconds 9",
        ] {
            assert!(text.lines().any(|found| found == line), "{line} is not in\n{text}");
        }
        assert!(!text.contains("body_too_large"), "{text}");
        assert!(text.contains("sidekey_http_request_duration_seconds_bucket"), "{text}");
    }
}
