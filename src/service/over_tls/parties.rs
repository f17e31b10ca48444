//! Pairing, sessions, revocation and events, as their parties meet them.

use std::time::Duration;

use serde_json::{Value, json};
use sidekey_protocol::crypto::SigningKey;
use sidekey_protocol::pairing::wire::{BeginAnswer, FinishAnswer};
use sidekey_protocol::pairing::{Finishing, Link, Prover, Target};
use sidekey_protocol::session::SuiteList;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use super::{Answer, NOW, Party, Service};

const KEY: &str = "idempotency-key: 0123456789abcdef\r\n";

impl Service {
    async fn invite(&self, body: Value) -> Link {
        let made = self.call(&self.admin, "POST", "/v1/invitations", body).await;
        assert_eq!(made.status, 201, "{made:?}");
        made.json()["link"].as_str().unwrap().parse().unwrap()
    }

    fn prover(&mut self, link: Link) -> (String, Prover) {
        let (code, pin) = link.proof.unwrap();
        let key = SigningKey::generate(&mut self.rng);
        let (public_url, invitation) = (link.public_url, link.invitation);
        let target = Target { public_url, invitation, pin: Some(pin), role: None };
        (format!("/v1/pairings/{invitation}"), Prover::begin(target, &code, key, &mut self.rng))
    }

    async fn begin(&mut self, path: &str, prover: Prover) -> Finishing {
        let answer = self.post(&format!("{path}/begin"), prover.request()).await;
        assert_eq!(answer.status, 200, "{answer:?}");
        let answer: BeginAnswer = serde_json::from_slice(&answer.body).unwrap();
        let checked = prover.check(&answer).unwrap();
        checked.finish(&"a phone".parse().unwrap(), &SuiteList::ours(), &mut self.rng)
    }

    async fn post(&self, path: &str, body: &impl serde::Serialize) -> Answer {
        let body = serde_json::to_vec(body).unwrap();
        self.send("POST", path, "content-type: application/json\r\n", &body).await
    }

    pub(super) async fn pair(&mut self, invitation: Value) -> Party {
        let link = self.invite(invitation).await;
        let (path, prover) = self.prover(link);
        let finishing = self.begin(&path, prover).await;
        let answer = self.post(&format!("{path}/finish"), finishing.request()).await;
        assert_eq!(answer.status, 200, "{answer:?}");
        let paired = finishing.done(&serde_json::from_slice::<FinishAnswer>(&answer.body).unwrap()).unwrap();
        Party { id: paired.pairing, service: paired.service, key: paired.key, root: Some(paired.root) }
    }

    /// A server, its own pairing, and ann's phone.
    pub(super) async fn enterprise(&mut self) -> (Party, Party) {
        let added = self.call(&self.admin, "POST", "/v1/servers", json!({"name": "mail"})).await;
        assert_eq!(added.status, 201);
        let server = self.pair(json!({"role": "server", "server": "mail"})).await;
        let phone = self.pair(json!({"role": "client", "server": "mail", "user": "ann"})).await;
        (server, phone)
    }

    pub(super) async fn open(&self, server: &Party) -> String {
        let body = json!({"user": "ann", "capabilities": ["A256GCM"], "deliver": []});
        let opened = self.call_with(server, "POST", "/v1/sessions", KEY, body).await;
        assert_eq!(opened.status, 201, "{opened:?}");
        opened.json()["session"].as_str().unwrap().to_owned()
    }
}

#[tokio::test]
async fn a_phone_pairs_and_both_ends_get_one_session_s_key() {
    let mut service = Service::start().await;
    let (server, phone) = service.enterprise().await;
    let own = service.call(&phone, "GET", "/v1/pairings/self", Value::Null).await.json();
    assert_eq!(
        (&own["role"], &own["user"], &own["label"]),
        (&json!("client"), &json!("ann"), &json!("a phone"))
    );
    let session = service.open(&server).await;
    assert_eq!(service.open(&server).await, session, "the same request, the same session");
    let current = service.call(&phone, "GET", "/v1/sessions/current", Value::Null).await.json();
    assert_eq!(current["items"][0]["session"], json!(session));
    let path = format!("/v1/sessions/{session}/key");
    let key = service.call(&phone, "GET", &path, Value::Null).await.json();
    assert_eq!(key["key"].as_str().unwrap().split('.').count(), 5);
    let rotated = service.call(&server, "POST", &format!("/v1/sessions/{session}/rotate"), Value::Null).await;
    assert_eq!(rotated.json()["generation"], 1);
    for (query, status) in [("0", 200), ("1", 200), ("2", 404)] {
        let answer = service.call(&phone, "GET", &format!("{path}?generation={query}"), Value::Null).await;
        assert_eq!(answer.status, status);
    }
    let ended = service.call(&server, "DELETE", &format!("/v1/sessions/{session}"), Value::Null).await;
    assert_eq!(ended.status, 204);
    let gone = service.call(&phone, "GET", &path, Value::Null).await;
    assert_eq!((gone.status, gone.problem().as_str()), (410, "session_ended"));
    let policy = service.call(&phone, "GET", "/v1/policy", Value::Null).await;
    assert_eq!(policy.json()["policy"].as_str().unwrap().split('.').count(), 3);
}

#[tokio::test]
async fn an_exchange_repeats_itself_and_costs_one_attempt() {
    let mut service = Service::start().await;
    service.call(&service.admin, "POST", "/v1/servers", json!({"name": "mail"})).await;
    let link = service.invite(json!({"role": "server", "server": "mail"})).await;
    let (path, prover) = service.prover(link);
    let first = service.post(&format!("{path}/begin"), prover.request()).await;
    let again = service.post(&format!("{path}/begin"), prover.request()).await;
    assert_eq!(first.body, again.body);
    let invitations = service.call(&service.admin, "GET", "/v1/invitations", Value::Null).await.json();
    assert_eq!(
        (&invitations["items"][0]["attempts"], &invitations["items"][0]["state"]),
        (&json!(4), &json!("begun"))
    );
    let finishing = service.begin(&path, prover).await;
    let finished = service.post(&format!("{path}/finish"), finishing.request()).await;
    assert_eq!(finished.status, 200);
    assert_eq!(service.post(&format!("{path}/finish"), finishing.request()).await.body, finished.body);
    let mut other = finishing.request().clone();
    other.confirm_p.0[0] ^= 1;
    let answer = service.post(&format!("{path}/finish"), &other).await;
    assert_eq!((answer.status, answer.problem().as_str()), (409, "finish_conflict"));
}

#[tokio::test]
async fn a_wrong_confirmation_ends_the_exchange_and_five_end_the_invitation() {
    let mut service = Service::start().await;
    service.call(&service.admin, "POST", "/v1/servers", json!({"name": "mail"})).await;
    let invited = json!({"role": "server", "server": "mail"});
    let invitation = service.invite(invited).await;
    let (url, id, (code, pin)) = (invitation.public_url, invitation.invitation, invitation.proof.unwrap());
    for _ in 0..5 {
        let key = SigningKey::generate(&mut service.rng);
        let target = Target { public_url: url.clone(), invitation: id, pin: Some(pin), role: None };
        let prover = Prover::begin(target, &code, key, &mut service.rng);
        let path = format!("/v1/pairings/{id}");
        let mut request = service.begin(&path, prover).await.request().clone();
        request.confirm_p.0[0] ^= 1;
        let wrong = service.post(&format!("{path}/finish"), &request).await;
        assert_eq!((wrong.status, wrong.problem().as_str()), (403, "code_mismatch"));
        let over = service.post(&format!("{path}/finish"), &request).await;
        assert_eq!((over.status, over.problem().as_str()), (409, "exchange_over"));
    }
    let key = SigningKey::generate(&mut service.rng);
    let target = Target { public_url: url, invitation: id, pin: Some(pin), role: None };
    let prover = Prover::begin(target, &code, key, &mut service.rng);
    let spent = service.post(&format!("/v1/pairings/{id}/begin"), prover.request()).await;
    assert_eq!((spent.status, spent.problem().as_str()), (410, "invitation_over"));
}

#[tokio::test]
async fn a_role_does_what_its_rows_say_and_sees_what_is_its_own() {
    let mut service = Service::start().await;
    let (server, phone) = service.enterprise().await;
    let bob = service.pair(json!({"role": "client", "server": "mail", "user": "bob"})).await;
    let session = service.open(&server).await;
    for (party, method, path) in [
        (&phone, "GET", "/v1/servers"),
        (&server, "GET", "/v1/invitations"),
        (&phone, "POST", "/v1/sessions"),
    ] {
        let answer = service.call(party, method, path, Value::Null).await;
        assert_eq!((answer.status, answer.problem().as_str()), (403, "role_forbidden"), "{path}");
    }
    let admin = service.call(&service.admin, "GET", "/v1/sessions/current", Value::Null).await;
    assert_eq!(admin.problem(), "role_forbidden");
    let key = format!("/v1/sessions/{session}/key");
    let unknown = format!("/v1/sessions/{}/key", "0".repeat(32));
    for path in [key.as_str(), &unknown, "/v1/sessions/current?user=ann", "/v1/policy?user=ann"] {
        let answer = service.call(&bob, "GET", path, Value::Null).await;
        assert_eq!((answer.status, answer.problem().as_str()), (404, "not_found"), "{path}");
    }
    let body = json!({"target": {"kind": "pairing", "pairing": phone.id}, "reason": "malice"});
    assert_eq!(service.call(&bob, "POST", "/v1/revocations", body).await.problem(), "not_found");
}

#[tokio::test]
async fn an_idempotency_key_is_needed_and_belongs_to_one_body() {
    let mut service = Service::start().await;
    let (server, _) = service.enterprise().await;
    let body = json!({"user": "ann", "capabilities": ["A256GCM"]});
    let short = "idempotency-key: short\r\n";
    let twice = format!("{KEY}{KEY}");
    for (header, code) in
        [("", "idempotency_key_missing"), (short, "idempotency_key_malformed"), (&twice, "header_repeated")]
    {
        let answer = service.call_with(&server, "POST", "/v1/sessions", header, body.clone()).await;
        assert_eq!((answer.status, answer.problem().as_str()), (400, code));
    }
    service.open(&server).await;
    let answer = service.call_with(&server, "POST", "/v1/sessions", KEY, body).await;
    assert_eq!((answer.status, answer.problem().as_str()), (422, "idempotency_key_reused"));
}

#[tokio::test]
async fn what_cannot_be_opened_says_why() {
    let mut service = Service::start().await;
    let (server, _) = service.enterprise().await;
    for (body, status, code) in [
        (json!({"user": "ann", "capabilities": []}), 409, "no_common_suite"),
        (json!({"user": "ann", "capabilities": ["3des"]}), 403, "suite_forbidden"),
        (json!({"user": "eve", "capabilities": ["A256GCM"]}), 404, "not_found"),
        (json!({"capabilities": ["A256GCM"]}), 422, "audience_ambiguous"),
        (json!({"user": "ann", "ttl": 59, "capabilities": ["A256GCM"]}), 422, "ttl_out_of_range"),
        (json!({"user": "ann", "capabilities": ["A256GCM"], "deliver": ["sms"]}), 422, "carrier_unknown"),
    ] {
        let answer = service.call_with(&server, "POST", "/v1/sessions", KEY, body.clone()).await;
        assert_eq!((answer.status, answer.problem().as_str()), (status, code), "{body}");
    }
}

#[tokio::test]
async fn a_revoked_party_hears_of_it_and_is_gone_on_the_next_request() {
    let mut service = Service::start().await;
    let (server, phone) = service.enterprise().await;
    let mut events = service.connect().await;
    let bearer = phone.bearer(NOW);
    events
        .write_all(format!("GET /v1/events HTTP/1.1\r\nhost: localhost\r\n{bearer}\r\n").as_bytes())
        .await
        .unwrap();
    let mut heard = String::new();
    hear(&mut events, &mut heard, "text/event-stream").await;
    service.open(&server).await;
    hear(&mut events, &mut heard, "event: opened").await;
    let body = json!({"target": {"kind": "pairing", "pairing": phone.id}, "reason": "phone lost"});
    let struck = service.call(&service.admin, "POST", "/v1/revocations", body.clone()).await.json();
    assert_eq!((&struck["revocations"], &struck["pairings"]), (&json!(1), &json!(1)));
    let gone = service.call(&phone, "GET", "/v1/pairings/self", Value::Null).await;
    assert_eq!((gone.status, gone.problem().as_str()), (410, "revoked"));
    assert_eq!((&gone.json()["reason"], &gone.json()["revoked_at"]), (&json!("phone lost"), &json!(NOW.0)));
    hear(&mut events, &mut heard, "event: revoked").await;
    hear(&mut events, &mut heard, "\r\n0\r\n\r\n").await;
    let again = service.call(&service.admin, "POST", "/v1/revocations", body).await;
    assert_eq!(again.status, 204);
}

/// Reads on until `what` was heard.
async fn hear(
    stream: &mut tokio_rustls::client::TlsStream<tokio::net::TcpStream>,
    heard: &mut String,
    what: &str,
) {
    let listen = async {
        let mut octets = [0; 4096];
        while !heard.contains(what) {
            let n = stream.read(&mut octets).await.unwrap();
            assert_ne!(n, 0, "the stream ended: {heard}");
            heard.push_str(std::str::from_utf8(&octets[..n]).unwrap());
        }
    };
    tokio::time::timeout(Duration::from_secs(10), listen).await.unwrap();
}

#[tokio::test]
async fn an_event_stream_ends_when_the_service_stops() {
    let mut service = Service::start().await;
    let (_, phone) = service.enterprise().await;
    let mut events = service.connect().await;
    let bearer = phone.bearer(NOW);
    events
        .write_all(format!("GET /v1/events HTTP/1.1\r\nhost: localhost\r\n{bearer}\r\n").as_bytes())
        .await
        .unwrap();
    let mut heard = String::new();
    hear(&mut events, &mut heard, "text/event-stream").await;
    let stopped = tokio::spawn(service.stop());
    hear(&mut events, &mut heard, "\r\n0\r\n\r\n").await;
    tokio::time::timeout(Duration::from_secs(10), stopped).await.unwrap().unwrap();
}

#[tokio::test]
async fn a_pairing_link_s_page_runs_nothing_and_tells_nothing() {
    let service = Service::start().await;
    let page = service.send("GET", &format!("/p/{}", "0".repeat(32)), "", b"").await;
    assert_eq!(page.status, 200);
    assert!(page.header("content-security-policy").unwrap().starts_with("default-src 'none'"));
    let text = String::from_utf8(page.body).unwrap();
    assert!(text.contains("sidekey join") && !text.contains("<script"));
}
