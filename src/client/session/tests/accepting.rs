//! What carriers bring.

use sidekey_protocol::session::envelope::cose;

use super::watching::{event, eventful, is_gap, next};
use super::*;
use crate::revocation::Notice;

/// What an SMS brings, its lists but for what `change` changes.
fn carried(change: impl FnOnce(&mut Bindings)) -> [u8; cose::SIZE] {
    let mut bindings = bindings();
    bindings.head = Head { n: 5, ..Head::START }.sealed(&root());
    change(&mut bindings);
    cose::seal(&Kek::of(&root()), &bindings, &Secret::random(&mut rng()), &mut rng())
}

#[tokio::test]
async fn an_envelope_made_under_other_lists_than_the_service_shows_is_refused_by_name() {
    let script = Script::start(|_, request| {
        if request.starts_with("GET /v1/policy") { signed(&policy(1)) } else { sealed(|_| {}) }
    })
    .await;
    let client = client(&script).await;
    client.accept(&carried(|_| {})).await.unwrap();
    let fewer = || Capabilities::parse(&["A256GCM"]).unwrap();
    for change in [|b: &mut Bindings| b.policy = [7; 32], |b: &mut Bindings| b.offer = [7; 32]] {
        is_downgrade(&client.accept(&carried(change)).await.unwrap_err(), Reject::ContextForeign);
    }
    let other = client.accept(&carried(|b| b.capabilities = fewer())).await.unwrap_err();
    is_downgrade(&other, Reject::ContextForeign);
}

#[tokio::test]
async fn where_its_lists_cannot_be_asked_for_an_envelope_waits() {
    let script = Script::start(|_, _| Answer::Octets(answer(503, "", ""))).await;
    let waits = client(&script).await.accept(&carried(|_| {})).await.unwrap_err();
    assert!(matches!(waits, Error::Retry { .. }), "{waits:?}");
}

#[tokio::test]
async fn a_count_that_came_alone_is_kept_and_the_head_beside_it() {
    let head = || Head::START.next(b"revoked").sealed(&root());
    let script = Script::start(move |_, _| sealed(|b| b.head = head())).await;
    let store = store(&script, Role::Client);
    let client = Client::open(store.clone(), ambient()).await.unwrap();
    client.accept(&carried(|_| {})).await.unwrap();
    let kept = store.load().unwrap().unwrap().head;
    assert_eq!((kept.n(), kept.highest()), (5, Some(head())));
}

#[tokio::test]
async fn what_arrives_of_a_session_that_is_over_is_not_taken() {
    let ended = event("ended", &json!({ "session": SESSION, "reason": "asked", "at": 1 }));
    let script = eventful([ended]).await;
    let client = client(&script).await;
    let mut watch = client.watch();
    is_gap(&mut watch).await;
    assert!(matches!(next(&mut watch).await, Some(Ok(Notice::Event(_)))));
    assert!(matches!(client.accept(&carried(|_| {})).await, Err(Error::Expired)));
}
