//! A service at several addresses, the first of which is dead, silent or busy.

use std::time::Duration;

use http::Method;
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::time::Instant;

use super::*;
use crate::tests::{Answer, Script, ambient, answer};

fn fine() -> Answer {
    Answer::Octets(answer(200, "", "{}"))
}

async fn live() -> Script {
    Script::start(|_, _| fine()).await
}

/// To `first`, which `script` answers for or nobody, and then to the live one.
fn to(first: &str, script: Option<&Script>, second: &Script) -> Transport {
    let pem = |script: &Script| match &script.roots {
        Roots::Pem(pem) => pem.clone(),
        Roots::Native => String::new(),
    };
    let roots = Roots::Pem(script.map(pem).unwrap_or_default() + &pem(second));
    let urls = (first.parse().unwrap(), second.url.parse().unwrap());
    Transport::at_several(&urls.0, &[urls.1], &roots, ambient()).unwrap()
}

/// Where nobody listens.
async fn dead() -> String {
    let port = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap().port();
    format!("https://localhost:{port}")
}

/// Where TCP is all that one gets.
async fn mute() -> (String, TcpListener) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    (format!("https://localhost:{}", listener.local_addr().unwrap().port()), listener)
}

async fn get(transport: &Transport) -> Result<Value, Error> {
    transport.call(Method::GET, "/v1/keys").send().await
}

async fn post(transport: &Transport) -> Result<Value, Error> {
    let call = transport.call(Method::POST, "/v1/servers").json(&json!({ "name": "a" }));
    call.deadline(Duration::from_secs(4)).send().await
}

#[tokio::test]
async fn a_dead_first_address_costs_next_to_nothing() {
    let second = live().await;
    let transport = to(&dead().await, None, &second);
    let begun = Instant::now();
    get(&transport).await.unwrap();
    post(&transport).await.unwrap();
    assert!(begun.elapsed() < Duration::from_secs(2), "{:?}", begun.elapsed());
    assert_eq!(second.requests().len(), 2);
}

#[tokio::test]
async fn a_mute_first_address_is_not_waited_for() {
    let second = live().await;
    let (url, _listener) = mute().await;
    let transport = to(&url, None, &second);
    let begun = Instant::now();
    get(&transport).await.unwrap();
    assert!(begun.elapsed() < Duration::from_secs(2), "{:?}", begun.elapsed());
    assert_eq!(transport.url().as_str(), second.url, "it is asked first from now on");
}

#[tokio::test]
async fn a_first_address_that_never_answers_is_not_waited_for_either() {
    let (first, second) = (Script::start(|_, _| Answer::Silence).await, live().await);
    let transport = to(&first.url, Some(&first), &second);
    let begun = Instant::now();
    get(&transport).await.unwrap();
    get(&transport).await.unwrap();
    assert!(begun.elapsed() < Duration::from_secs(2), "{:?}", begun.elapsed());
    assert_eq!((first.requests().len(), second.requests().len()), (1, 2));
}

#[tokio::test]
async fn what_may_be_said_once_goes_on_when_there_was_no_connection() {
    let second = live().await;
    let (url, _listener) = mute().await;
    let begun = Instant::now();
    post(&to(&url, None, &second)).await.unwrap();
    assert!(begun.elapsed() >= Duration::from_secs(2), "it was no use before: {:?}", begun.elapsed());
    assert_eq!(second.requests().len(), 1);
}

#[tokio::test]
async fn what_may_have_taken_effect_is_not_said_elsewhere() {
    for first in [|_: usize, _: &str| Answer::Silence, |_: usize, _: &str| Answer::Cut(String::new())] {
        let (first, second) = (Script::start(first).await, live().await);
        let lost = post(&to(&first.url, Some(&first), &second)).await;
        assert!(matches!(lost, Err(Error::Retry { .. })), "{lost:?}");
        assert_eq!((first.requests().len(), second.requests().len()), (1, 0));
    }
}

#[tokio::test]
async fn what_is_said_at_two_addresses_is_the_same_request() {
    let (first, second) = (Script::start(|_, _| Answer::Silence).await, live().await);
    let transport = to(&first.url, Some(&first), &second);
    let call = transport.call(Method::POST, "/v1/sessions").json(&json!({ "user": "ann" }));
    call.idempotency_key("0123456789abcdef").send::<Value>().await.unwrap();
    let said = |script: &Script| {
        let request = script.requests().pop().unwrap();
        let lines = request.lines().filter(|line| !line.starts_with("host:")).map(str::to_owned);
        lines.collect::<Vec<_>>()
    };
    assert_eq!(said(&first), said(&second));
    assert!(said(&first).contains(&"idempotency-key: 0123456789abcdef".to_owned()));
}

#[tokio::test]
async fn an_end_is_not_said_at_two_addresses_at_once() {
    let (first, second) = (Script::start(|_, _| Answer::Silence).await, live().await);
    let transport = to(&first.url, Some(&first), &second);
    let call = transport.call(Method::DELETE, "/v1/sessions/x").deadline(Duration::from_secs(1));
    assert!(call.send_optional::<Value>().await.is_err());
    assert_eq!(second.requests().len(), 0);
    // It did not answer: the next request goes elsewhere.
    get(&transport).await.unwrap();
    assert_eq!((first.requests().len(), second.requests().len()), (1, 1));
}

#[tokio::test]
async fn where_the_first_is_busy_the_next_is_asked() {
    let first = Script::start(|_, _| Answer::Octets(answer(503, "", r#"{"code":"overloaded"}"#))).await;
    let second = live().await;
    get(&to(&first.url, Some(&first), &second)).await.unwrap();
    assert_eq!((first.requests().len(), second.requests().len()), (1, 1));
}

#[tokio::test]
async fn an_address_whose_certificate_is_not_trusted_is_told_where_no_other_helps() {
    let (foreign, second) = (live().await, live().await);
    get(&to(&foreign.url, None, &second)).await.unwrap();
    assert_eq!(foreign.requests().len(), 0);
    let roots = second.roots.clone();
    let dead = dead().await.parse().unwrap();
    let transport = Transport::at_several(&foreign.url.parse().unwrap(), &[dead], &roots, ambient()).unwrap();
    let refused = transport.call(Method::POST, "/v1/servers").send::<Value>().await;
    assert!(matches!(refused, Err(Error::Untrusted)), "{refused:?}");
}
