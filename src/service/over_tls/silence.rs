//! What the log may hold: ids and outcomes, never what opens anything.

use serde_json::json;
use tracing::Level;

use super::{NOW, Service};
use crate::config::{Format, Log};
use crate::telemetry::book::keep;

#[tokio::test]
async fn no_code_token_or_key_reaches_the_log() {
    let (book, _kept) = keep(&Log { level: crate::config::Level::Trace, format: Format::Json });
    assert!(tracing::enabled!(target: "sidekey_service", Level::TRACE));

    let service = Service::start().await;
    let call = |path, body| service.call(&service.admin, "POST", path, body);
    assert_eq!(call("/v1/servers", json!({"name": "mail"})).await.status, 201);
    let made = call("/v1/invitations", json!({"role": "server", "server": "mail"})).await.json();
    assert_eq!(call("/v1/servers", json!({"name": "mail"})).await.problem(), "server_exists");
    let traced = "traceparent: 00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01\r\n\
                  x-request-id: of-mine\r\nauthorization: Bearer a.b.c\r\n";
    assert_eq!(service.send("GET", "/v1/servers", traced, b"").await.status, 401);

    let log = book.text();
    assert!(log.contains("server_exists") && log.contains("/v1/invitations"), "the log was captured: {log}");
    // The request's own line, and what was said of its token meanwhile.
    let traced: Vec<_> =
        log.lines().filter(|line| line.contains("4bf92f3577b34da6a3ce929d0e0e4736")).collect();
    assert_eq!(traced.len(), 2, "{log}");
    assert!(traced.iter().all(|line| line.contains("of-mine")), "{traced:?}");
    let (code, link) = (made["code"].as_str().unwrap(), made["link"].as_str().unwrap());
    let token = service.admin.token(NOW);
    for secret in [
        code,
        &code.replace('-', ""),
        link.split_once('#').unwrap().1,
        &token,
        token.split('.').nth(2).unwrap(),
    ] {
        assert!(!log.contains(secret), "{secret} is in the log");
    }
}
