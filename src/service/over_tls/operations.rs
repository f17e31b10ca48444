//! The operations listener: metrics that move, health that tells, in the clear on this machine alone.

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};

use serde_json::json;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use super::Service;
use crate::Given;

/// An answer of the operations listener: status and body.
pub(super) async fn ask(at: SocketAddr, method: &str, path: &str) -> (u16, String) {
    let mut stream = TcpStream::connect(at).await.unwrap();
    let request = format!("{method} {path} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    (head.split(' ').nth(1).unwrap().parse().unwrap(), body.to_owned())
}

async fn started() -> (Service, SocketAddr) {
    let operations = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let service = Service::start_given(|_| {}, |given| Given { operations: Some(operations), ..given }).await;
    let at = service.running().operations_addr().unwrap();
    (service, at)
}

/// Every sample of an exposition, read by the grammar of Prometheus' text format 0.0.4 and refused where it departs.
fn samples(text: &str) -> BTreeMap<String, f64> {
    assert!(text.ends_with('\n'), "the last line ends");
    let mut types: BTreeMap<&str, &str> = BTreeMap::new();
    let mut found = BTreeMap::new();
    for line in text.lines().filter(|line| !line.is_empty()) {
        if let Some(comment) = line.strip_prefix("# ") {
            let mut words = comment.splitn(3, ' ');
            let (kind, name, rest) = (words.next().unwrap(), words.next().unwrap(), words.next().unwrap());
            assert!(kind == "TYPE" || kind == "HELP", "{line}");
            if kind == "TYPE" {
                assert!(["counter", "gauge", "histogram", "summary"].contains(&rest), "{line}");
                assert_eq!(types.insert(name, rest), None, "{line}: told twice");
            }
            continue;
        }
        let (series, value) = line.rsplit_once(' ').expect(line);
        let (name, labels) =
            series.split_once('{').map_or((series, None), |(name, labels)| (name, Some(labels)));
        assert!(is_name(name), "{line}");
        if let Some(labels) = labels {
            assert_labels(labels.strip_suffix('}').expect(line), line);
        }
        let family = ["_bucket", "_sum", "_count"]
            .iter()
            .find_map(|end| name.strip_suffix(end).filter(|family| types.get(family) == Some(&"histogram")));
        assert!(types.contains_key(family.unwrap_or(name)), "{line}: of no type");
        let value = if value == "+Inf" { f64::INFINITY } else { value.parse().expect(line) };
        assert_eq!(found.insert(series.to_owned(), value), None, "{line}: stands there twice");
    }
    found
}

fn is_name(name: &str) -> bool {
    let first = |c: char| c.is_ascii_alphabetic() || c == '_' || c == ':';
    name.starts_with(first) && name.chars().all(|c| first(c) || c.is_ascii_digit())
}

/// `name="value"`, separated by commas; `\\`, `\"` and `\n` escaped.
fn assert_labels(mut labels: &str, line: &str) {
    while !labels.is_empty() {
        let (name, rest) = labels.split_once("=\"").expect(line);
        assert!(is_name(name) && !name.contains(':'), "{line}");
        let mut escaped = false;
        let end = rest.find(|c| {
            let closes = c == '"' && !escaped;
            escaped = c == '\\' && !escaped;
            closes
        });
        labels = &rest[end.expect(line) + 1..];
        labels = labels.strip_prefix(',').unwrap_or(labels);
    }
}

#[tokio::test]
async fn metrics_move_with_what_happens_and_name_nobody() {
    let (service, at) = started().await;
    let before = samples(&ask(at, "GET", "/metrics").await.1);
    for (name, value) in [("sidekey_seal_state", 1.0), ("sidekey_pairings_active", 0.0)] {
        assert_eq!(before[name], value, "{name}");
    }
    let call = |path, body| service.call(&service.admin, "POST", path, body);
    assert_eq!(call("/v1/servers", json!({"name": "mail.secret.example"})).await.status, 201);
    assert_eq!(call("/v1/servers", json!({"name": "mail.secret.example"})).await.status, 409);
    assert_eq!(service.send("GET", "/v1/servers", "", b"").await.status, 401);
    assert_eq!(service.send("GET", "/no/such/secret/path", "", b"").await.status, 404);

    let (status, text) = ask(at, "GET", "/metrics").await;
    assert_eq!(status, 200);
    let after = samples(&text);
    let counted = |route: &str, method: &str, status: u16| {
        let labels = format!("route=\"{route}\",method=\"{method}\",status=\"{status}\"");
        after.get(&format!("sidekey_http_requests_total{{{labels}}}")).copied()
    };
    assert_eq!(counted("/v1/servers", "POST", 201), Some(1.0), "{text}");
    assert_eq!(counted("/v1/servers", "POST", 409), Some(1.0));
    assert_eq!(counted("/v1/servers", "GET", 401), Some(1.0));
    assert_eq!(counted("none", "any", 404), Some(1.0));
    assert_eq!(after["sidekey_auth_failures_total{reason=\"token_missing\"}"], 1.0);
    assert_eq!(after["sidekey_audit_records_total"] - before["sidekey_audit_records_total"], 1.0);
    assert_eq!(after["sidekey_http_in_flight_requests"], 0.0);
    assert!(after["sidekey_tls_cert_not_after_timestamp_seconds"] > f64::from(super::NOW.0), "{text}");
    assert!(after["sidekey_store_size_bytes"] > 1e6 && after["process_resident_memory_bytes"] > 1e6);
    let durations = "sidekey_http_request_duration_seconds_count{route=\"/v1/servers\",method=\"POST\"}";
    assert_eq!(after[durations], 2.0, "{text}");
    assert_eq!(after["sidekey_audit_fsync_duration_seconds_count"], 1.0, "{text}");
    assert!(after.keys().any(|series| series.starts_with("sidekey_build_info{version=")), "{text}");
    assert!(!text.contains("secret"), "names and paths of callers are no labels: {text}");
}

#[tokio::test]
async fn readiness_tells_each_check_on_both_listeners() {
    let (service, at) = started().await;
    assert_eq!(ask(at, "GET", "/livez").await, (200, r#"{"status":"ok"}"#.to_owned()));
    assert_eq!(ask(at, "GET", "/readyz").await, (200, r#"{"status":"ok"}"#.to_owned()));
    let (status, told) = ask(at, "GET", "/readyz?verbose").await;
    let told: serde_json::Value = serde_json::from_str(&told).unwrap();
    let names: Vec<_> = told["checks"].as_array().unwrap().iter().map(|check| &check["name"]).collect();
    assert_eq!((status, json!(names)), (200, json!(["store", "clock", "keys", "disk", "certificate"])));
    assert_eq!(service.send("GET", "/readyz?verbose", "", b"").await.json()["checks"][0], told["checks"][0]);
    assert_eq!(ask(at, "GET", "/readyz?all").await.0, 400);

    service.clock.set(super::NOW);
    service.clock.advance_s(810 * 86_400);
    let told = service.send("GET", "/readyz?verbose", "", b"").await.json();
    assert_eq!((&told["status"], &told["checks"][4]["status"]), (&json!("warn"), &json!("warn")), "{told}");

    service.clock.set(sidekey_protocol::ids::Timestamp(super::NOW.0 - 3600));
    let (status, told) = ask(at, "GET", "/readyz?verbose").await;
    let told: serde_json::Value = serde_json::from_str(&told).unwrap();
    assert_eq!((status, &told["code"]), (503, &json!("clock_stepped")), "{told}");
    assert_eq!(told["checks"][1]["status"], "fail", "{told}");
    let metrics = samples(&ask(at, "GET", "/metrics").await.1);
    assert_eq!(metrics["sidekey_seal_state"], 0.0);
}

#[tokio::test]
async fn the_operations_listener_has_nothing_else() {
    let (_service, at) = started().await;
    assert_eq!(ask(at, "GET", "/v1/keys").await.0, 404);
    assert_eq!(ask(at, "POST", "/metrics").await.0, 405);
}
