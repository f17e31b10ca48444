//! One idempotency key, one session, however often it is asked for.

use super::*;

#[tokio::test]
async fn the_same_request_opens_one_session_and_gets_its_key_again() {
    let office = Office::open().await;
    let first = office.open_session(ONCE, &for_ann()).send().await;
    let before = office.system.records();
    let second = office.open_session(ONCE, &for_ann()).send().await;
    assert_eq!(unwrapped(first.is(201), &office.mail.keys), unwrapped(second.is(201), &office.mail.keys));
    assert_ne!(first.json()["key"], second.json()["key"]);
    assert_eq!(office.system.records(), before);
    let other = office.open_session("fedcba9876543210", &for_ann()).send().await;
    assert_ne!(first.json()["session"], other.is(201).json()["session"]);
}

#[tokio::test]
async fn also_across_a_restart() {
    let mut office = Office::open().await;
    let first = office.open_session(ONCE, &for_ann()).send().await.is(201).json();
    office.system.restart().await;
    let second = office.open_session(ONCE, &for_ann()).send().await.is(201).json();
    assert_eq!(first["session"], second["session"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn also_when_it_comes_twice_at_once() {
    let office = Office::open().await;
    let asked: Vec<_> = (0..8).map(|_| tokio::spawn(office.open_session(ONCE, &for_ann()).send())).collect();
    let mut sessions = BTreeSet::new();
    for answer in asked {
        sessions.insert(answer.await.unwrap().is(201).json()["session"].to_string());
    }
    assert_eq!(sessions.len(), 1);
    assert_eq!(office.phone.client.current().await.unwrap().len(), 1);
}

/// A key is its sender's own: what another gateway calls its request does not matter.
#[tokio::test]
async fn the_same_key_of_another_gateway_is_another_request() {
    let office = Office::open().await;
    let second = office.system.pair_server(MAIL).await;
    let mine = office.open_session(ONCE, &for_ann()).send().await.is(201).json();
    let asked = office.system.post("/v1/sessions", &second.keys.token(), &for_ann()).once(ONCE);
    assert_ne!(mine["session"], asked.send().await.is(201).json()["session"]);
}

#[tokio::test]
async fn the_key_with_another_body_is_refused() {
    let office = Office::open().await;
    office.open_session(ONCE, &for_ann()).send().await.is(201);
    let before = office.system.records();
    let other = json!({"user": ANN, "capabilities": ["C20P", "A256GCM"]});
    office.open_session(ONCE, &other).send().await.refused(422, "idempotency_key_reused");
    assert_eq!(office.system.records(), before);
}

#[tokio::test]
async fn a_request_without_key_is_refused() {
    let office = Office::open().await;
    let before = office.system.records();
    let asked = office.system.post("/v1/sessions", &office.mail.keys.token(), &for_ann());
    asked.send().await.refused(400, "idempotency_key_missing");
    assert_eq!(office.system.records(), before);
}

#[tokio::test]
async fn a_key_that_is_too_short_too_long_or_not_plain_is_refused() {
    let office = Office::open().await;
    let before = office.system.records();
    for key in ["a".repeat(15), "a".repeat(65), "a b".repeat(6)] {
        let asked = office.open_session(&key, &for_ann()).send().await;
        asked.refused(400, "idempotency_key_malformed");
    }
    assert_eq!(office.system.records(), before);
}

#[tokio::test]
async fn two_keys_on_one_request_are_refused() {
    let office = Office::open().await;
    let before = office.system.records();
    let asked = office.open_session(ONCE, &for_ann()).once("fedcba9876543210").send().await;
    asked.refused(400, "header_repeated");
    assert_eq!(office.system.records(), before);
}

#[tokio::test]
async fn a_repeat_after_the_session_was_ended_or_revoked_is_gone() {
    let office = Office::open().await;
    for by_admin in [true, false] {
        let once = if by_admin { ONCE } else { "fedcba9876543210" };
        let session = office.open_session(once, &for_ann()).send().await.is(201).json()["session"].clone();
        if by_admin {
            office.revoke(&json!({"kind": "session", "session": session})).send().await.is(200);
        } else {
            let path = format!("/v1/sessions/{}", session.as_str().unwrap());
            let asked = office.system.ask(Method::DELETE, &path).bearer(&office.mail.keys.token());
            asked.send().await.is(204);
        }
        let before = office.system.records();
        office.open_session(once, &for_ann()).send().await.refused(410, "session_ended");
        assert_eq!(office.system.records(), before);
    }
}

#[tokio::test]
async fn a_repeat_after_its_pairing_was_revoked_is_gone() {
    let office = Office::open().await;
    let body = json!({"pairing": office.phone.client.pairing(), "capabilities": ["A256GCM"]});
    office.open_session(ONCE, &body).send().await.is(201);
    office.revoke_the_phone().await;
    let before = office.system.records();
    office.open_session(ONCE, &body).send().await.refused(410, "session_ended");
    assert_eq!(office.system.records(), before);
}

#[tokio::test]
async fn a_repeat_after_its_user_was_revoked_is_gone() {
    let office = Office::open().await;
    office.open_session(ONCE, &for_ann()).send().await.is(201);
    office.revoke(&json!({"kind": "user", "server": MAIL, "user": ANN})).send().await.is(200);
    let before = office.system.records();
    office.open_session(ONCE, &for_ann()).send().await.refused(410, "session_ended");
    assert_eq!(office.system.records(), before);
}

#[tokio::test]
async fn a_repeat_after_the_session_has_expired_is_gone() {
    let office = Office::open().await;
    office.open_session(ONCE, &for_ann()).send().await.is(201);
    office.system.clock.advance_s(3600);
    let before = office.system.records();
    office.open_session(ONCE, &for_ann()).send().await.refused(410, "session_expired");
    assert_eq!(office.system.records(), before);
}
