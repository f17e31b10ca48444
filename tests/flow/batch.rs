//! Many sessions in one request: all of them, or none. And a service at several addresses.

use std::collections::BTreeSet;
use std::net::TcpListener;
use std::sync::Arc;

use http::Method;
use serde_json::{Value, json};
use sidekey_client::{Client, Error, KeyStore as _, MemoryKeyStore};
use sidekey_protocol::session::Audience;
use sidekey_tests::mail::agree;
use sidekey_tests::{ANN, Asking, BOB, MAIL, Office, SHOP, user};

const ONCE: &str = "0123456789abcdef";

fn batch(office: &Office, once: &str, body: &Value) -> Asking {
    office.system.post("/v1/sessions/batch", &office.mail.keys.token(), body).once(once)
}

fn for_ann_and(other: &Value) -> Value {
    json!({"audiences": [{"user": ANN}, other], "capabilities": ["A256GCM"]})
}

#[tokio::test]
async fn many_sessions_are_one_commit_and_each_user_finds_her_own() {
    let office = Office::open().await;
    let bob = office.system.pair_client(MAIL, BOB).await;
    office.system.get("/v1/pairings/self", &bob.keys.token()).send().await.is(200);
    let before = office.system.records().len();
    let audiences = [
        Audience::User(user(BOB)),
        Audience::Pairing(office.phone.client.pairing()),
        Audience::Pairing(office.tablet.client.pairing()),
        Audience::User(user(ANN)),
    ];
    let keys = office.mail.server.issue_batch(&audiences, Some(600), &Office::capabilities()).await.unwrap();
    assert_eq!(office.system.records().len(), before + 1);
    for (key, device) in keys.iter().zip([&bob, &office.phone, &office.tablet, &office.phone]) {
        let fetched = device.client.session_key(key.session()).await.unwrap();
        agree(&office.mail, key, device, &fetched).await;
        assert_eq!(key.not_after(), office.system.clock.now().after_s(600));
    }
    assert_eq!(keys.iter().map(|key| key.session()).collect::<BTreeSet<_>>().len(), 4);
    // Kept as single ones are.
    assert!(Arc::ptr_eq(&office.mail.server.session_key(keys[0].session()).await.unwrap(), &keys[0]));
}

#[tokio::test]
async fn a_batch_survives_a_restart() {
    let mut office = Office::open().await;
    let audiences = [Audience::Pairing(office.phone.client.pairing()), Audience::User(user(ANN))];
    let keys = office.mail.server.issue_batch(&audiences, None, &Office::capabilities()).await.unwrap();
    office.system.restart().await;
    for key in &keys {
        let fetched = office.phone.client.session_key(key.session()).await.unwrap();
        agree(&office.mail, key, &office.phone, &fetched).await;
    }
}

#[tokio::test]
async fn the_largest_batch_is_answered_whole() {
    let office = Office::open().await;
    let mut audiences = vec![json!({"user": ANN}), json!({"pairing": office.phone.client.pairing()})];
    audiences.extend((0..255).map(|n| json!({"user": format!("nobody-{n}@example.org")})));
    let body = json!({"audiences": audiences, "capabilities": ["A256GCM"]});
    batch(&office, ONCE, &body).send().await.refused(422, "batch_size");
    let body = json!({"audiences": audiences[..256], "capabilities": ["A256GCM"]});
    let refused = batch(&office, ONCE, &body).send().await.refused(404, "not_found");
    assert_eq!(refused["errors"][0]["field"], "audiences[2]");
}

#[tokio::test]
async fn one_that_is_refused_is_named_and_nothing_is_opened() {
    let office = Office::open().await;
    office.revoke_the_phone().await;
    office.system.add_server(SHOP).await;
    let stranger = office.system.pair_client(SHOP, BOB).await;
    let before = office.system.records();
    let cases = [
        (json!({"user": BOB}), 404, "not_found"),
        (json!({"pairing": stranger.client.pairing()}), 404, "not_found"),
        (json!({"pairing": office.phone.client.pairing()}), 410, "revoked"),
        (json!({"user": ANN}), 422, "audience_repeated"),
        (json!({}), 422, "audience_ambiguous"),
    ];
    for (other, status, code) in cases {
        let refused = batch(&office, ONCE, &for_ann_and(&other)).send().await.refused(status, code);
        assert_eq!(refused["errors"][0]["field"], "audiences[1]", "{refused}");
    }
    let none = json!({"audiences": [], "capabilities": ["A256GCM"]});
    batch(&office, ONCE, &none).send().await.refused(422, "batch_size");
    let no_suite = json!({"audiences": [{"user": ANN}], "capabilities": []});
    let refused = batch(&office, ONCE, &no_suite).send().await.refused(409, "no_common_suite");
    assert_eq!(refused["errors"][0]["field"], "audiences[0]");
    assert_eq!(office.system.records(), before);
    assert!(office.tablet.client.current().await.unwrap().is_empty());
}

#[tokio::test]
async fn the_client_crate_says_which_one_is_refused() {
    let office = Office::open().await;
    let audiences = [Audience::User(user(ANN)), Audience::User(user(BOB))];
    let refused =
        office.mail.server.issue_batch(&audiences, None, &Office::capabilities()).await.unwrap_err();
    assert!(
        matches!(&refused, Error::Refused { code, detail } if code == "not_found" && detail.starts_with("audiences[1]")),
        "{refused:?}"
    );
    // That a device was revoked is not taken for the server's own end.
    office.revoke_the_phone().await;
    let audiences = [Audience::Pairing(office.phone.client.pairing())];
    let refused =
        office.mail.server.issue_batch(&audiences, None, &Office::capabilities()).await.unwrap_err();
    assert!(matches!(&refused, Error::Refused { code, .. } if code == "pairing_revoked"), "{refused:?}");
}

#[tokio::test]
async fn a_repeat_opens_nothing_and_another_body_is_refused() {
    let office = Office::open().await;
    let body = for_ann_and(&json!({"pairing": office.phone.client.pairing()}));
    batch(&office, ONCE, &body).send().await.is(201);
    let before = office.system.records();
    let current = office.phone.client.current().await.unwrap();
    batch(&office, ONCE, &body).send().await.is(201);
    assert_eq!(office.phone.client.current().await.unwrap(), current);
    let other = for_ann_and(&json!({"pairing": office.tablet.client.pairing()}));
    batch(&office, ONCE, &other).send().await.refused(422, "idempotency_key_reused");
    assert_eq!(office.system.records(), before);
    // A single session under the same key is another request.
    let single = json!({"user": ANN, "capabilities": ["A256GCM"]});
    office.open_session(ONCE, &single).send().await.is(201);
}

#[tokio::test]
async fn a_repeat_of_a_batch_of_which_one_has_ended_names_it() {
    let office = Office::open().await;
    let body = for_ann_and(&json!({"pairing": office.phone.client.pairing()}));
    batch(&office, ONCE, &body).send().await.is(201);
    office.revoke_the_phone().await;
    let refused = batch(&office, ONCE, &body).send().await.refused(410, "session_ended");
    assert_eq!(refused["errors"][0]["field"], "audiences[1]");
}

#[tokio::test]
async fn a_batch_needs_a_key_and_a_server() {
    let office = Office::open().await;
    let body = for_ann_and(&json!({"user": BOB}));
    let ask = |token: &str| office.system.post("/v1/sessions/batch", token, &body);
    ask(&office.mail.keys.token()).send().await.refused(400, "idempotency_key_missing");
    ask(&office.phone.keys.token()).once(ONCE).send().await.refused(403, "role_forbidden");
    let path = "/v1/sessions/batch";
    office.system.ask(Method::POST, path).json(&body).once(ONCE).send().await.refused(401, "token_missing");
}

#[tokio::test]
async fn a_pairing_works_at_another_address_when_its_own_is_dead() {
    let office = Office::open().await;
    let key = office.session().await;
    let mut profile = office.phone.keys.profile();
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    profile.other_urls =
        vec![std::mem::replace(&mut profile.url, format!("https://localhost:{port}").parse().unwrap())];
    let store = Arc::new(MemoryKeyStore::default());
    store.save(&profile).unwrap();
    let client = Client::open(store, office.system.ambient()).await.unwrap();
    assert_eq!(client.session_key(key.session()).await.unwrap().generation(), 0);
}
