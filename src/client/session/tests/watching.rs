//! What an event, or a break in their stream, does to the keys that are kept.

use std::collections::VecDeque;
use std::sync::Mutex;
use std::time::Duration;

use super::*;
use crate::revocation::Notice;

/// A service whose event streams say what is put into `streams`, one each, and are then cut.
pub(super) async fn eventful(streams: impl IntoIterator<Item = String>) -> Script {
    let streams = Mutex::new(streams.into_iter().collect::<VecDeque<_>>());
    Script::start(move |_, request| {
        if !request.starts_with("GET /v1/events") {
            return sealed(|_| {});
        }
        let head = "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n\r\n";
        streams
            .lock()
            .unwrap()
            .pop_front()
            .map_or(Answer::Silence, |events| Answer::Cut(format!("{head}{events}")))
    })
    .await
}

pub(super) async fn next(watch: &mut Watch) -> Option<Result<Notice, Error>> {
    tokio::time::timeout(Duration::from_secs(10), watch.next()).await.unwrap()
}

pub(super) async fn is_gap(watch: &mut Watch) {
    assert!(matches!(next(watch).await, Some(Ok(Notice::Gap))));
}

pub(super) fn event(name: &str, data: &serde_json::Value) -> String {
    format!(": beat\n\nevent: {name}\nid: 1\ndata: {data}\n\n")
}

#[tokio::test]
async fn an_event_takes_a_key_out_of_the_cache_before_it_is_told() {
    let ended = event("ended", &json!({ "session": SESSION, "reason": "asked", "at": 1 }));
    let script = eventful([ended]).await;
    let client = client(&script).await;
    client.session_key(SESSION).await.unwrap();
    let slot = client.0.cache.slot(SESSION, NOON);
    assert!(slot.newest(NOON).is_some());
    let mut watch = client.watch();
    is_gap(&mut watch).await;
    assert!(matches!(next(&mut watch).await, Some(Ok(Notice::Event(_)))));
    assert!(slot.newest(NOON).is_none());
}

#[tokio::test]
async fn after_a_break_nothing_is_vouched_for() {
    let script = eventful([String::new(), String::new()]).await;
    let client = client(&script).await;
    let mut watch = client.watch();
    is_gap(&mut watch).await;
    let slot = client.0.cache.slot(SESSION, NOON);
    client.session_key(SESSION).await.unwrap();
    is_gap(&mut watch).await;
    // Fetched before or after the second stream began: what is here now was fetched after.
    drop(client.session_key(SESSION).await.unwrap());
    assert!(slot.drops() >= 1);
}

#[tokio::test]
async fn an_event_that_cannot_be_read_leaves_nothing_in_the_cache() {
    let malformed = event("rotated", &json!({ "session": SESSION }));
    let unknown = event("promoted", &json!({ "x": 1 }));
    let script = eventful([format!("{unknown}{malformed}")]).await;
    let client = client(&script).await;
    let mut watch = client.watch();
    is_gap(&mut watch).await;
    is_gap(&mut watch).await;
}

#[tokio::test]
async fn the_end_of_the_pairing_is_the_end_of_the_watch() {
    let target = json!({ "kind": "pairing", "pairing": PAIRING });
    let script = eventful([event("revoked", &json!({ "target": target, "reason": "lost", "at": 7 }))]).await;
    let client = client(&script).await;
    client.session_key(SESSION).await.unwrap();
    let mut watch = client.watch();
    is_gap(&mut watch).await;
    assert!(matches!(next(&mut watch).await, Some(Ok(Notice::Event(_)))));
    assert!(matches!(next(&mut watch).await, Some(Err(Error::Revoked { at: Timestamp(7), .. }))));
    assert!(next(&mut watch).await.is_none());
    assert!(client.0.cache.slot(SESSION, NOON).newest(NOON).is_none());
}

#[tokio::test]
async fn a_watch_that_is_dropped_asks_no_more() {
    let script = eventful([]).await;
    let client = client(&script).await;
    let watch = client.watch();
    drop(watch);
    tokio::task::yield_now().await;
    assert_eq!(Arc::strong_count(&client.0), 1);
}
