//! What a service, or somebody in its place, may answer, and what then happens.

use std::time::Duration;

use http::Method;
use rand_chacha::ChaCha20Rng;
use rand_chacha::rand_core::SeedableRng as _;
use serde_json::{Value, json};
use sidekey_protocol::crypto::SigningKey;
use sidekey_protocol::encoding::from_base64url;
use sidekey_protocol::ids::{PartyId, ServiceId};

use super::*;
use crate::tests::{Answer, NOON, Script, ambient, answer};

fn transport(script: &Script) -> Transport {
    Transport::new(&script.url.parse().unwrap(), &script.roots, ambient()).unwrap()
}

fn signed(script: &Script) -> Transport {
    let mut rng = ChaCha20Rng::seed_from_u64(4);
    transport(script).signed(Identity {
        party: PartyId::random(&mut rng),
        service: ServiceId::random(&mut rng),
        key: SigningKey::generate(&mut rng),
        kek: None,
    })
}

fn problem(status: u16, code: &str, head: &str) -> Answer {
    Answer::Octets(answer(status, head, &json!({ "code": code, "detail": "because" }).to_string()))
}

fn fine() -> Answer {
    Answer::Octets(answer(200, "", "{\"status\":\"ok\"}"))
}

/// One answer before, another from then on.
fn once(first: impl Fn() -> Answer, then: impl Fn() -> Answer) -> impl Fn(usize, &str) -> Answer {
    move |n, _| if n == 1 { first() } else { then() }
}

async fn get(transport: &Transport) -> Result<Value, Error> {
    transport.call(Method::GET, "/v1/keys").send().await
}

async fn post(transport: &Transport) -> Result<Value, Error> {
    transport.call(Method::POST, "/v1/servers").json(&json!({ "name": "a" })).send().await
}

#[tokio::test]
async fn a_busy_service_is_asked_again() {
    let script = Script::start(once(|| problem(503, "sealed", ""), fine)).await;
    assert_eq!(get(&transport(&script)).await.unwrap(), json!({ "status": "ok" }));
    assert_eq!(script.requests().len(), 2);
}

#[tokio::test]
async fn what_may_not_be_said_twice_is_said_once() {
    let script = Script::start(once(|| problem(503, "sealed", ""), fine)).await;
    assert!(matches!(post(&transport(&script)).await, Err(Error::Retry { why: Unavailable::Busy, .. })));
    assert_eq!(script.requests().len(), 1);
}

#[tokio::test]
async fn an_idempotency_key_stays_the_same_when_it_is_said_again() {
    let script = Script::start(once(|| problem(429, "too_many", ""), fine)).await;
    let call = transport(&script);
    let call = call
        .call(Method::POST, "/v1/sessions")
        .json(&json!({ "user": "ann" }))
        .idempotency_key("0123456789abcdef");
    call.send::<Value>().await.unwrap();
    let requests = script.requests();
    assert_eq!(requests.len(), 2);
    assert_eq!(requests[0], requests[1]);
    assert!(
        requests[0].contains("idempotency-key: 0123456789abcdef\r\n")
            && requests[0].ends_with("{\"user\":\"ann\"}")
    );
}

#[tokio::test]
async fn a_retry_after_beyond_the_deadline_is_told_at_once() {
    let script = Script::start(|_, _| problem(503, "sealed", "retry-after: 30\r\n")).await;
    let asked = std::time::Instant::now();
    let busy = get(&transport(&script)).await;
    assert!(
        matches!(busy, Err(Error::Retry { after, why: Unavailable::Busy }) if after == Duration::from_secs(30))
    );
    assert!(asked.elapsed() < Duration::from_secs(5));
    assert_eq!(script.requests().len(), 1);
}

#[tokio::test]
async fn a_retry_after_within_the_deadline_is_kept() {
    let script = Script::start(once(|| problem(503, "sealed", "retry-after: 1\r\n"), fine)).await;
    let asked = std::time::Instant::now();
    get(&transport(&script)).await.unwrap();
    assert!(asked.elapsed() >= Duration::from_secs(1));
}

#[tokio::test]
async fn what_was_refused_undone_is_said_again_when_it_may_be() {
    let limited = || problem(429, "rate_limited", "retry-after: 1\r\n");
    let script = Script::start(once(limited, fine)).await;
    let asked = std::time::Instant::now();
    post(&transport(&script)).await.unwrap();
    assert!(asked.elapsed() >= Duration::from_secs(1));
    assert_eq!(script.requests().len(), 2);
    // Another 429 may have taken effect for all that is known.
    let script = Script::start(once(|| problem(429, "session_limit", ""), fine)).await;
    assert!(matches!(post(&transport(&script)).await, Err(Error::Retry { why: Unavailable::Busy, .. })));
    assert_eq!(script.requests().len(), 1);
}

#[tokio::test]
async fn attempts_end() {
    let script = Script::start(|_, _| problem(503, "sealed", "")).await;
    assert!(matches!(get(&transport(&script)).await, Err(Error::Retry { .. })));
    assert_eq!(script.requests().len(), 4);
}

#[tokio::test]
async fn a_redirect_is_not_followed() {
    let there = Script::start(|_, _| fine()).await;
    let head = format!("location: {}/v1/keys\r\n", there.url);
    let script = Script::start(move |_, _| Answer::Octets(answer(307, &head, ""))).await;
    assert!(matches!(get(&transport(&script)).await, Err(Error::Answer(Unintelligible::Redirect))));
    assert_eq!((script.requests().len(), there.requests().len()), (1, 0));
}

#[tokio::test]
async fn an_answer_has_a_largest_size() {
    let body = |size: usize| format!("\"{}\"", "a".repeat(size - 2));
    let fits = Script::start(move |_, _| Answer::Octets(answer(200, "", &body(65_536)))).await;
    assert_eq!(get(&transport(&fits)).await.unwrap().as_str().unwrap().len(), 65_534);
    let exceeds = Script::start(move |_, _| Answer::Octets(answer(200, "", &body(65_537)))).await;
    assert!(matches!(get(&transport(&exceeds)).await, Err(Error::Answer(Unintelligible::TooLarge))));
    let chunk = format!(
        "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n10001\r\n{}\r\n0\r\n\r\n",
        "1".repeat(65_537)
    );
    let unannounced = Script::start(move |_, _| Answer::Octets(chunk.clone())).await;
    assert!(matches!(get(&transport(&unannounced)).await, Err(Error::Answer(Unintelligible::TooLarge))));
}

#[tokio::test]
async fn another_authority_is_not_trusted() {
    let (script, other) = (Script::start(|_, _| fine()).await, Script::start(|_, _| fine()).await);
    let transport = Transport::new(&script.url.parse().unwrap(), &other.roots, ambient()).unwrap();
    assert!(matches!(get(&transport).await, Err(Error::Untrusted)));
    let native = Transport::new(&script.url.parse().unwrap(), &Roots::Native, ambient());
    // Where a system has no certificates at all, that is said before anything is sent.
    match native {
        Ok(native) => assert!(matches!(get(&native).await, Err(Error::Untrusted))),
        Err(error) => assert!(matches!(error, Error::Usage(Usage::Authority))),
    }
    assert!(script.requests().is_empty());
}

#[tokio::test]
async fn a_certificate_of_another_host_is_not_trusted() {
    let script = Script::start(|_, _| fine()).await;
    let url = script.url.replace("localhost", "127.0.0.1").parse().unwrap();
    let transport = Transport::new(&url, &script.roots, ambient()).unwrap();
    assert!(matches!(get(&transport).await, Err(Error::Untrusted)));
}

#[test]
fn authorities_that_do_not_parse_are_refused() {
    let url = "https://localhost".parse().unwrap();
    for pem in ["", "nothing", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"] {
        let refused = Transport::new(&url, &Roots::Pem(pem.to_owned()), ambient()).unwrap_err();
        assert!(matches!(refused, Error::Usage(Usage::Authority)), "{pem}");
    }
}

/// The deadline that an app asks for is every request's, and long ones give each attempt its share.
#[tokio::test]
async fn a_deadline_that_was_asked_for_is_every_request_s() {
    let script = Script::start(|_, _| Answer::Silence).await;
    let hasty = ambient().with_deadline(Duration::from_millis(300));
    let transport = Transport::new(&script.url.parse().unwrap(), &script.roots, hasty).unwrap();
    let begun = std::time::Instant::now();
    let late = get(&transport).await;
    assert!(matches!(late, Err(Error::Retry { why: Unavailable::Deadline, .. })), "{late:?}");
    assert!(begun.elapsed() < Duration::from_secs(5), "{:?}", begun.elapsed());
    assert_eq!(call::share(Duration::from_secs(10)), Duration::from_secs(5));
    assert_eq!(call::share(Duration::from_secs(60)), Duration::from_secs(15));
}

#[tokio::test]
async fn a_silent_service_is_left_at_the_deadline() {
    let script = Script::start(|_, _| Answer::Silence).await;
    let transport = transport(&script);
    let asked = std::time::Instant::now();
    let call = transport.call(Method::GET, "/v1/keys").deadline(Duration::from_millis(300));
    assert!(matches!(call.send::<Value>().await, Err(Error::Retry { why: Unavailable::Deadline, .. })));
    assert!(asked.elapsed() < Duration::from_secs(2));
}

#[tokio::test]
async fn a_peer_that_falls_silent_before_tls_is_left_after_two_seconds() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("https://localhost:{}", listener.local_addr().unwrap().port()).parse().unwrap();
    let script = Script::start(|_, _| fine()).await;
    let transport = Transport::new(&url, &script.roots, ambient()).unwrap();
    let asked = std::time::Instant::now();
    assert!(matches!(post(&transport).await, Err(Error::Retry { why: Unavailable::Connection, .. })));
    assert!((2..4).contains(&asked.elapsed().as_secs()));
}

#[tokio::test]
async fn nobody_there_is_a_reason_to_come_back() {
    let script = Script::start(|_, _| fine()).await;
    let url = "https://localhost:1".parse().unwrap();
    let transport = Transport::new(&url, &script.roots, ambient()).unwrap();
    assert!(matches!(get(&transport).await, Err(Error::Retry { why: Unavailable::Connection, .. })));
}

#[tokio::test]
async fn an_answer_that_is_cut_off_is_asked_for_again_where_that_does_no_harm() {
    let cut = || Answer::Cut("HTTP/1.1 200 OK\r\ncontent-length: 15\r\n\r\n{\"status\"".to_owned());
    let script = Script::start(once(cut, fine)).await;
    assert_eq!(get(&transport(&script)).await.unwrap(), json!({ "status": "ok" }));
    let script = Script::start(once(cut, fine)).await;
    assert!(matches!(
        post(&transport(&script)).await,
        Err(Error::Retry { why: Unavailable::Interrupted, .. })
    ));
    assert_eq!(script.requests().len(), 1);
}

#[tokio::test]
async fn what_is_not_json_is_not_an_answer() {
    for body in ["<html>", "{", "{} {}"] {
        let script = Script::start(move |_, _| Answer::Octets(answer(200, "", body))).await;
        assert!(
            matches!(get(&transport(&script)).await, Err(Error::Answer(Unintelligible::Malformed))),
            "{body}"
        );
    }
    let script = Script::start(|_, _| Answer::Octets(answer(403, "", "<html>no</html>"))).await;
    assert!(matches!(get(&transport(&script)).await, Err(Error::Answer(Unintelligible::Malformed))));
}

#[tokio::test]
async fn no_content_is_an_answer_only_where_it_may_be() {
    let script = Script::start(|_, _| Answer::Octets("HTTP/1.1 204 No Content\r\n\r\n".to_owned())).await;
    let transport = transport(&script);
    assert!(matches!(get(&transport).await, Err(Error::Answer(Unintelligible::Malformed))));
    assert_eq!(
        transport.call(Method::DELETE, "/v1/sessions/x").send_optional::<Value>().await.unwrap(),
        None
    );
}

fn issued(request: &str) -> u64 {
    let token = request.split_once("authorization: Bearer ").unwrap().1.split_once("\r\n").unwrap().0;
    let claims = from_base64url(token.split('.').nth(1).unwrap()).unwrap();
    serde_json::from_slice::<Value>(&claims).unwrap()["iat"].as_u64().unwrap()
}

#[tokio::test]
async fn a_wrong_clock_is_mended_once_and_any_request_said_again() {
    let head = "date: Sat, 25 Oct 2014 11:00:00 GMT\r\n";
    let script = Script::start(once(|| problem(401, "token_expired", head), fine)).await;
    let transport = signed(&script);
    post(&transport).await.unwrap();
    let requests = script.requests();
    assert_eq!(requests.len(), 2);
    assert_eq!((issued(&requests[0]), issued(&requests[1])), (NOON.0.into(), u64::from(NOON.0) + 3600));
    assert_eq!(transport.now(), NOON.after_s(3600));
}

#[tokio::test]
async fn a_clock_that_cannot_be_mended_is_not_tried_for_ever() {
    for head in ["", "date: yesterday\r\n", "date: Sat, 25 Oct 2014 10:00:02 GMT\r\n"] {
        let script = Script::start(move |_, _| problem(401, "token_expired", head)).await;
        assert!(matches!(get(&signed(&script)).await, Err(Error::Refused { .. })), "{head}");
        assert_eq!(script.requests().len(), 1, "{head}");
    }
    let runaway =
        |n, _: &str| problem(401, "token_expired", &format!("date: Sat, 25 Oct 2014 11:0{n}:00 GMT\r\n"));
    let script = Script::start(runaway).await;
    assert!(matches!(get(&signed(&script)).await, Err(Error::Refused { .. })));
    assert_eq!(script.requests().len(), 2);
}

#[tokio::test]
async fn a_token_is_used_again() {
    let script = Script::start(|_, _| fine()).await;
    let transport = signed(&script);
    get(&transport).await.unwrap();
    get(&transport).await.unwrap();
    let requests = script.requests();
    assert_eq!(requests[0], requests[1]);
}

#[tokio::test]
async fn events_are_an_event_stream_or_an_error() {
    let stream = "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream; charset=utf-8\r\n\r\n: beat\n\n";
    let script = Script::start(move |_, _| Answer::Octets(stream.to_owned())).await;
    drop(transport(&script).events("/v1/events", None).await.unwrap());
    let script = Script::start(|_, _| fine()).await;
    assert!(matches!(
        transport(&script).events("/v1/events", None).await,
        Err(Error::Answer(Unintelligible::Malformed))
    ));
    let script = Script::start(|_, _| {
        Answer::Octets(answer(410, "", r#"{"code":"revoked","reason":"lost","revoked_at":1}"#))
    })
    .await;
    assert!(matches!(transport(&script).events("/v1/events", None).await, Err(Error::Revoked { .. })));
}

#[test]
fn a_query_has_no_way_out_of_its_value() {
    assert_eq!(with_query("/a", &[]), "/a");
    assert_eq!(with_query("/a", &[("user", "a&b=c d/é"), ("n", "1")]), "/a?user=a%26b%3Dc%20d%2F%C3%A9&n=1");
}
