//! Several pairings of one mail server: each of its gateways has one of its own, and goes on without the others.

use sidekey_client::admin::Standing;
use sidekey_protocol::ids::ServerName;
use sidekey_protocol::session::Audience;
use sidekey_tests::{MailServer, Office, user};

use super::*;

/// The office, and a second gateway of its mail server.
async fn two() -> (Office, MailServer) {
    let office = Office::open().await;
    let other = office.system.pair_server(MAIL).await;
    office.system.get("/v1/pairings/self", &other.keys.token()).send().await.is(200);
    (office, other)
}

async fn revoke(office: &Office, gateway: &MailServer) -> Value {
    let target = json!({"kind": "pairing", "pairing": gateway.server.pairing()});
    office.revoke(&target).send().await.is(200).json()
}

#[tokio::test]
async fn each_gateway_fetches_rotates_and_ends_what_another_opened() {
    let (office, other) = two().await;
    let opened = office.session().await;
    let session = opened.session();
    let (here, there) =
        (office.mail.server.session_key(session).await, other.server.session_key(session).await);
    let (here, there) = (here.unwrap(), there.unwrap());
    assert_eq!((here.session(), here.generation()), (there.session(), there.generation()));
    let rotated = other.server.rotate(session).await.unwrap();
    assert_eq!(rotated.generation(), 1);
    assert_eq!(office.phone.client.session_key(session).await.unwrap().generation(), 1);
    let listed = other.server.sessions(&user(ANN)).await.unwrap();
    assert_eq!(listed.len(), 1);
    other.server.end(session).await.unwrap();
    assert!(office.mail.server.sessions(&user(ANN)).await.unwrap().is_empty());
}

#[tokio::test]
async fn revoking_one_gateway_leaves_the_other_with_keys_that_the_first_never_sees() {
    let (office, other) = two().await;
    let session = office.session().await.session();
    let struck = revoke(&office, &office.mail).await;
    assert_eq!(
        (&struck["pairings"], &struck["sessions_rotated"], &struck["sessions_ended"]),
        (&json!(1), &json!(1), &json!(0))
    );
    office.fetch(session, "", &office.mail.keys.token()).send().await.refused(410, "revoked");
    assert_eq!(other.server.session_key(session).await.unwrap().generation(), 1);
    assert_eq!(office.phone.client.session_key(session).await.unwrap().generation(), 1);
    let audience = Audience::User(user(ANN));
    other.server.issue(&audience, None, &Office::capabilities()).await.unwrap();
    let name: ServerName = MAIL.parse().unwrap();
    let server = office.system.admin.server(&name).await.unwrap();
    assert_eq!((server.state, server.pairings), (Standing::Active, 1));
}

#[tokio::test]
async fn with_the_last_gateway_the_sessions_end_and_a_new_one_begins_anew() {
    let (office, other) = two().await;
    let session = office.session().await.session();
    revoke(&office, &office.mail).await;
    let last = revoke(&office, &other).await;
    assert_eq!((&last["sessions_rotated"], &last["sessions_ended"]), (&json!(0), &json!(1)));
    office.fetch(session, "", &office.phone.keys.token()).send().await.refused(410, "session_ended");
    let third = office.system.pair_server(MAIL).await;
    assert!(third.server.sessions(&user(ANN)).await.unwrap().is_empty());
    let audience = Audience::User(user(ANN));
    third.server.issue(&audience, None, &Office::capabilities()).await.unwrap();
}

/// An idempotency key is its gateway's own.
#[tokio::test]
async fn two_gateways_that_choose_the_same_key_open_two_sessions() {
    let (office, other) = two().await;
    let body = json!({"user": ANN, "capabilities": ["A256GCM"]});
    let open = async |gateway: &MailServer| {
        let asked = office.system.post("/v1/sessions", &gateway.keys.token(), &body);
        asked.once("0123456789abcdef").send().await.is(201).json()["session"].clone()
    };
    let (first, second) = (open(&office.mail).await, open(&other).await);
    assert_ne!(first, second);
    assert_eq!(open(&other).await, second);
}
