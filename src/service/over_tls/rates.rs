//! Who asks too often.

use std::net::{Ipv4Addr, SocketAddr, TcpListener};

use rustls_pki_types::ServerName;
use serde_json::{Value, json};
use sidekey_protocol::crypto::SigningKey;
use sidekey_protocol::ids::PartyId;
use tokio::io::AsyncWriteExt as _;
use tokio::net::TcpSocket;
use tokio_rustls::TlsConnector;

use super::{Answer, NOW, Party, Service, read_answer};
use crate::Given;
use crate::config::{Config, Limits};
use crate::http::ROUTES;

impl Service {
    async fn limited(adjust: impl FnOnce(&mut Limits)) -> Self {
        Self::start_with(|config| adjust(&mut config.limits)).await
    }

    /// A request from another address of this machine.
    async fn from(&self, host: u8, path: &str, headers: &str) -> Answer {
        let socket = TcpSocket::new_v4().unwrap();
        socket.bind(SocketAddr::from((Ipv4Addr::new(127, 0, 0, host), 0))).unwrap();
        let stream = socket.connect(self.addr).await.unwrap();
        let name = ServerName::try_from("localhost").unwrap();
        let mut stream = TlsConnector::from(self.tls.clone()).connect(name, stream).await.unwrap();
        let head = format!("GET {path} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n{headers}\r\n");
        stream.write_all(head.as_bytes()).await.unwrap();
        read_answer(&mut stream).await
    }

    async fn servers(&self) -> Answer {
        self.call(&self.admin, "GET", "/v1/servers", Value::Null).await
    }
}

#[track_caller]
fn too_many(answer: &Answer, scope: &str, wait_s: u32) {
    assert_eq!((answer.status, answer.problem().as_str()), (429, "rate_limited"));
    let wait = wait_s.to_string();
    assert_eq!(answer.header("retry-after"), Some(wait.as_str()));
    assert_eq!(answer.json()["retry_after"], wait_s);
    let standing = format!("\"{scope}\";r=0;t={wait_s}");
    assert_eq!(answer.header("ratelimit"), Some(standing.as_str()));
}

#[tokio::test]
async fn a_party_that_asks_too_often_is_told_when_to_come_back() {
    let service = Service::limited(|limits| limits.admin_reads_per_min = 6).await;
    for left in (0..6).rev() {
        let answer = service.servers().await;
        assert_eq!(answer.status, 200);
        assert_eq!(answer.header("ratelimit-policy"), Some("\"read\";q=6;w=60"));
        assert!(answer.header("ratelimit").unwrap().starts_with(&format!("\"read\";r={left};t=")));
    }
    too_many(&service.servers().await, "read", 10);
    let added = service.call(&service.admin, "POST", "/v1/servers", json!({"name": "mail"})).await;
    assert_eq!(added.status, 201, "what it changes is counted apart");
    service.clock.advance_s(10);
    assert_eq!(service.servers().await.json()["items"][0]["name"], "mail");
    too_many(&service.servers().await, "read", 10);
}

#[tokio::test]
async fn a_refused_change_changes_nothing() {
    let service = Service::limited(|limits| limits.admin_changes_per_min = 1).await;
    let add = |name| service.call(&service.admin, "POST", "/v1/servers", json!({"name": name}));
    assert_eq!(add("one").await.status, 201);
    too_many(&add("two").await, "change", 60);
    assert_eq!(service.servers().await.json()["items"].as_array().unwrap().len(), 1);
}

#[tokio::test]
async fn a_flood_from_one_address_leaves_the_others_alone() {
    let service = Service::limited(|limits| {
        (limits.address_open_per_min, limits.address_pairing_per_min) = (2, 1);
    })
    .await;
    for _ in 0..2 {
        assert_eq!(service.from(2, "/v1/keys", "").await.status, 200);
    }
    too_many(&service.from(2, "/v1/keys", "").await, "open", 30);
    assert_eq!(service.from(3, "/v1/keys", "").await.status, 200);
    let begin = format!("/v1/pairings/{}/begin", "0".repeat(32));
    let begin = || service.send("POST", &begin, "content-type: application/json\r\n", b"{}");
    assert_eq!(begin().await.problem(), "body_invalid");
    too_many(&begin().await, "pairing", 60);
}

/// A bad signature costs the service more than its sender.
#[tokio::test]
async fn signatures_are_not_verified_for_whoever_sends_many() {
    let mut service = Service::limited(|limits| limits.address_tokens_per_min = 3).await;
    let known = service.admin.bearer(NOW);
    assert_eq!(service.from(1, "/v1/servers", &known).await.status, 200);
    let key = SigningKey::generate(&mut service.rng);
    let impostor = Party { id: service.admin.id, service: service.admin.service, key, root: None };
    let key = SigningKey::generate(&mut service.rng);
    let nobody =
        Party { id: PartyId::random(&mut service.rng), service: service.admin.service, key, root: None };
    // Whether there is such a party makes no difference.
    for forged in [&impostor, &nobody] {
        let answer = service.from(1, "/v1/servers", &forged.bearer(NOW)).await;
        assert_eq!(answer.problem(), "token_invalid");
    }
    for forged in [&impostor, &nobody] {
        too_many(&service.from(1, "/v1/servers", &forged.bearer(NOW)).await, "token", 20);
    }
    let fresh = service.admin.bearer(NOW.after_s(1));
    too_many(&service.from(1, "/v1/servers", &fresh).await, "token", 20);
    assert_eq!(service.from(1, "/v1/servers", &known).await.status, 200, "a remembered token costs nothing");
    assert_eq!(service.from(2, "/v1/servers", &fresh).await.status, 200, "nor does another's flood");
}

#[tokio::test]
async fn without_room_to_count_somebody_he_is_not_served() {
    let service = Service::limited(|limits| limits.rate_entries = 1).await;
    assert_eq!(service.from(2, "/v1/keys", "").await.status, 200);
    let denied = service.from(3, "/v1/keys", "").await;
    assert_eq!((denied.status, denied.problem().as_str()), (503, "overloaded"));
    assert_eq!(denied.header("retry-after"), Some("1"));
    assert_eq!(service.from(2, "/v1/keys", "").await.status, 200, "who is counted already is served");
    service.clock.advance_s(60);
    assert_eq!(service.from(3, "/v1/keys", "").await.status, 200, "the other has been idle");
}

#[tokio::test]
async fn health_is_told_as_often_as_it_is_asked() {
    let service = Service::limited(|limits| limits.address_open_per_min = 1).await;
    for _ in 0..3 {
        for path in ["/livez", "/readyz", "/healthz"] {
            let answer = service.send("GET", path, "", b"").await;
            assert_eq!((answer.status, answer.header("ratelimit")), (200, None), "{path}");
        }
    }
    let uncounted: Vec<_> =
        ROUTES.iter().filter(|route| route.scope().is_none()).map(|route| route.path).collect();
    assert_eq!(uncounted, ["/livez", "/readyz", "/healthz"]);
}

#[tokio::test]
async fn what_is_refused_is_counted_by_what_it_was() {
    let operations = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let adjust = |config: &mut Config| config.limits.admin_reads_per_min = 1;
    let service = Service::start_given(adjust, |given| Given { operations: Some(operations), ..given }).await;
    let at = service.running().operations_addr().unwrap();
    service.servers().await;
    too_many(&service.servers().await, "read", 60);
    let (_, metrics) = super::operations::ask(at, "GET", "/metrics").await;
    for (scope, count) in [("read", 1), ("change", 0), ("token", 0), ("no_room", 0)] {
        let line = format!("sidekey_ratelimit_rejected_total{{scope=\"{scope}\"}} {count}");
        assert!(metrics.lines().any(|found| found == line), "{line} is not in\n{metrics}");
    }
}

#[tokio::test]
async fn a_reload_gives_other_rates() {
    let service = Service::limited(|limits| limits.admin_reads_per_min = 1).await;
    service.servers().await;
    too_many(&service.servers().await, "read", 60);
    let mut config = Config::read(&service.data.join("sidekey.toml")).unwrap();
    config.limits.admin_reads_per_min = 600;
    let reloaded = service.running().reloader().reload(config);
    assert_eq!(reloaded.applied, ["limits.admin_reads_per_min"]);
    service.clock.advance_s(1);
    assert_eq!(service.servers().await.header("ratelimit-policy"), Some("\"read\";q=600;w=60"));
}
