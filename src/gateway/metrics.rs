//! What a gateway counts, for Prometheus: `GET /metrics` of the operations listener, where there is one.
//!
//! Names and labels are a contract with dashboards. A label is one of a closed list, or the name of a listener: never a user,
//! an address or an id.

use std::collections::BTreeMap;

use metrics::{Counter, Gauge, Key, Label, Level, Metadata, Recorder as _};
use metrics_exporter_prometheus::{PrometheusBuilder, PrometheusHandle, PrometheusRecorder};

use crate::allow::Denied;
use crate::session::Noted;

/// The registry of one gateway.
pub(crate) struct Metrics {
    handle: PrometheusHandle,
    doors: BTreeMap<String, OfDoor>,
    logins: Outcomes,
    commands_refused: Outcomes,
    items_sealed: Counter,
    frames: Outcomes,
    cuts: Outcomes,
    upstream_failures: Outcomes,
    key_service_failures: Outcomes,
    keys: Gauge,
    key_age: Gauge,
}

/// What is counted of one listener.
pub(crate) struct OfDoor {
    connected: Counter,
    open: Gauge,
    turned_away: Outcomes,
}

/// A connection, until it is dropped.
pub(crate) struct Open<'m>(&'m Gauge);

/// Counters by the value of one label.
struct Outcomes(Vec<(&'static str, Counter)>);

impl Metrics {
    /// Of a gateway with these listeners.
    pub(crate) fn new<'a>(listeners: impl Iterator<Item = &'a String>) -> Self {
        let recorder = PrometheusBuilder::new().build_recorder();
        let labels =
            [("version", env!("CARGO_PKG_VERSION")), ("git", option_env!("SIDEKEY_GIT").unwrap_or(""))];
        gauge(&recorder, "sidekey_build_info", labels.map(|(name, value)| Label::new(name, value)).into())
            .set(1.0);
        let outcomes =
            |name, label, values: &[&'static str]| Outcomes::new(&recorder, name, label, values, None);
        Self {
            handle: recorder.handle(),
            doors: listeners.map(|name| (name.clone(), OfDoor::new(&recorder, name))).collect(),
            logins: outcomes("sidekey_gateway_logins_total", "outcome", &LOGINS),
            commands_refused: outcomes("sidekey_gateway_commands_refused_total", "reason", &REFUSALS),
            items_sealed: counter(&recorder, "sidekey_gateway_items_sealed_total", Vec::new()),
            frames: outcomes("sidekey_gateway_frames_total", "outcome", &["accepted", "refused", "replayed"]),
            cuts: outcomes("sidekey_gateway_cuts_total", "reason", &CUTS),
            upstream_failures: outcomes("sidekey_gateway_upstream_failures_total", "reason", &UPSTREAM),
            key_service_failures: outcomes(
                "sidekey_gateway_key_service_failures_total",
                "asked",
                &["credential", "session_key"],
            ),
            keys: gauge(&recorder, "sidekey_gateway_session_keys", Vec::new()),
            key_age: gauge(&recorder, "sidekey_gateway_session_key_age_seconds", Vec::new()),
        }
    }

    /// Somebody has connected; `None`: to no listener of this gateway.
    pub(crate) fn connected(&self, listener: &str) -> Option<Open<'_>> {
        let door = self.doors.get(listener)?;
        door.connected.increment(1);
        door.open.increment(1.0);
        Some(Open(&door.open))
    }

    /// Somebody was turned away.
    pub(crate) fn turned_away(&self, listener: &str, reason: &'static str) {
        if let Some(door) = self.doors.get(listener) {
            door.turned_away.count(reason, 1);
        }
    }

    /// A login has ended so.
    pub(crate) fn login(&self, outcome: &'static str) {
        self.logins.count(outcome, 1);
    }

    /// What was noted in a session.
    pub(crate) fn note(&self, noted: &Noted) {
        if *noted == Noted::default() {
            return;
        }
        self.items_sealed.increment(noted.sealed);
        self.frames.count("accepted", noted.accepted);
        self.frames.count("refused", noted.unsound);
        self.frames.count("replayed", noted.replayed);
        noted.refused.iter().for_each(|reason| self.commands_refused.count(reason, 1));
    }

    /// So many connections were cut.
    pub(crate) fn cut(&self, reason: &'static str, connections: usize) {
        self.cuts.count(reason, connections as u64);
    }

    /// The mail server was of no use.
    pub(crate) fn upstream_failed(&self, reason: &'static str) {
        self.upstream_failures.count(reason, 1);
    }

    /// The key service did not say.
    pub(crate) fn key_service_failed(&self, asked: &'static str) {
        self.key_service_failures.count(asked, 1);
    }

    /// Everything, in Prometheus' text format: with so many keys held, the oldest of which is so old.
    pub(crate) fn render(&self, keys: usize, oldest_s: u32) -> String {
        self.keys.set(keys as f64);
        self.key_age.set(f64::from(oldest_s));
        self.handle.render()
    }
}

impl OfDoor {
    fn new(recorder: &PrometheusRecorder, listener: &str) -> Self {
        let label = || Label::new("listener", listener.to_owned());
        Self {
            connected: counter(recorder, "sidekey_gateway_connections_total", vec![label()]),
            open: gauge(recorder, "sidekey_gateway_connections", vec![label()]),
            turned_away: Outcomes::new(
                recorder,
                "sidekey_gateway_turned_away_total",
                "reason",
                &["limit", "network"],
                Some(label()),
            ),
        }
    }
}

impl Drop for Open<'_> {
    fn drop(&mut self) {
        self.0.decrement(1.0);
    }
}

impl Outcomes {
    /// All of them from nought, so that the first one is a change.
    fn new(
        recorder: &PrometheusRecorder,
        name: &'static str,
        label: &'static str,
        values: &[&'static str],
        besides: Option<Label>,
    ) -> Self {
        let labels = |value| besides.iter().cloned().chain([Label::new(label, value)]).collect();
        Self(values.iter().map(|value| (*value, counter(recorder, name, labels(*value)))).collect())
    }

    fn count(&self, value: &str, times: u64) {
        let counter = self.0.iter().find(|(name, _)| *name == value);
        debug_assert!(counter.is_some(), "{value} is in no list");
        counter.inspect(|(_, counter)| counter.increment(times));
    }
}

fn counter(recorder: &PrometheusRecorder, name: &'static str, labels: Vec<Label>) -> Counter {
    recorder.register_counter(&Key::from_parts(name, labels), &METADATA)
}

fn gauge(recorder: &PrometheusRecorder, name: &'static str, labels: Vec<Label>) -> Gauge {
    recorder.register_gauge(&Key::from_parts(name, labels), &METADATA)
}

impl std::fmt::Debug for Metrics {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Metrics")
    }
}

/// How a login ends: `accepted`, or as `untrusted::Refused` says.
const LOGINS: [&str; 7] = ["accepted", "closed", "key_service", "mail_server", "name", "no_device", "wrong"];

/// Why a command is refused.
const REFUSALS: [&str; 9] = [
    Denied::AlreadyLoggedIn.name(),
    Denied::ExactSize.name(),
    Denied::Flags.name(),
    Denied::MailboxChange.name(),
    Denied::NotListed.name(),
    Denied::SearchOracle.name(),
    "item",
    "malformed",
    "no_key",
];

/// What was revoked or ended, that connections are cut.
const CUTS: [&str; 7] = ["credential", "expired", "gateway", "pairing", "server", "session", "user"];

/// As `upstream::Unreached` says.
const UPSTREAM: [&str; 8] =
    ["connection", "declined", "late", "login_disabled", "no_imap", "no_plain", "no_starttls", "refused"];

static METADATA: Metadata<'static> = Metadata::new("sidekey", Level::INFO, None);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_counted_is_told_by_label_from_nought() {
        let metrics = Metrics::new(["operator".to_owned()].iter());
        let open = metrics.connected("operator");
        metrics.turned_away("operator", "limit");
        metrics.login("wrong");
        metrics.note(&Noted { sealed: 3, accepted: 2, refused: vec!["flags"], ..Noted::default() });
        metrics.cut("user", 4);
        let text = metrics.render(5, 60);
        for line in [
            r#"sidekey_gateway_connections{listener="operator"} 1"#,
            r#"sidekey_gateway_connections_total{listener="operator"} 1"#,
            r#"sidekey_gateway_turned_away_total{listener="operator",reason="limit"} 1"#,
            r#"sidekey_gateway_turned_away_total{listener="operator",reason="network"} 0"#,
            r#"sidekey_gateway_logins_total{outcome="wrong"} 1"#,
            r#"sidekey_gateway_logins_total{outcome="accepted"} 0"#,
            r#"sidekey_gateway_commands_refused_total{reason="flags"} 1"#,
            "sidekey_gateway_items_sealed_total 3",
            r#"sidekey_gateway_frames_total{outcome="accepted"} 2"#,
            r#"sidekey_gateway_cuts_total{reason="user"} 4"#,
            "sidekey_gateway_session_keys 5",
            "sidekey_gateway_session_key_age_seconds 60",
        ] {
            assert!(text.lines().any(|found| found == line), "{line} is not in\n{text}");
        }
        drop(open);
        assert!(metrics.render(0, 0).contains(r#"sidekey_gateway_connections{listener="operator"} 0"#));
    }
}
