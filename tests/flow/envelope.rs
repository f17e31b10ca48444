//! Envelopes that arrive by another way than the client crate's own requests: COSE's 127 octets.

use http::HeaderName;
use serde_json::json;
use sidekey_client::Error;
use sidekey_client::error::{Downgrade, Tampered};
use sidekey_protocol::ids::SessionId;
use sidekey_protocol::session::envelope::{Reject, cose};
use sidekey_tests::mail::agree;
use sidekey_tests::{ANN, Answer, Keys, Office, Phone};

async fn ask(office: &Office, session: SessionId, accept: &str, keys: &Keys) -> Answer {
    office.fetch(session, "", &keys.token()).header(HeaderName::from_static("accept"), accept).send().await
}

/// What a carrier would bring to this device.
async fn carried(office: &Office, session: SessionId, keys: &Keys) -> Vec<u8> {
    let answer = ask(office, session, cose::MEDIA_TYPE, keys).await;
    assert_eq!(answer.is(200).headers["content-type"], cose::MEDIA_TYPE);
    answer.body.to_vec()
}

/// Another process of the phone's app.
async fn again(office: &Office) -> Phone {
    let keys = office.phone.keys.clone();
    Phone { client: keys.client(office.system.ambient()).await, keys }
}

#[tokio::test]
async fn a_key_in_127_octets_is_the_key_that_its_server_holds() {
    let office = Office::open().await;
    let key = office.session().await;
    let envelope = carried(&office, key.session(), &office.phone.keys).await;
    assert_eq!(envelope.len(), 127);
    let accepted = office.phone.client.accept(&envelope).await.unwrap();
    assert_eq!((accepted.session(), accepted.generation()), (key.session(), 0));
    assert_eq!(accepted.capabilities(), key.capabilities());
    agree(&office.mail, &key, &office.phone, &accepted).await;
}

#[tokio::test]
async fn a_session_of_one_pairing_is_accepted_too() {
    let office = Office::open().await;
    let key = office.session_of_the_phone().await;
    let envelope = carried(&office, key.session(), &office.phone.keys).await;
    let accepted = office.phone.client.accept(&envelope).await.unwrap();
    agree(&office.mail, &key, &office.phone, &accepted).await;
}

#[tokio::test]
async fn who_has_seen_the_servers_list_needs_no_service() {
    let mut office = Office::open().await;
    let seen = office.session().await;
    office.phone.client.session_key(seen.session()).await.unwrap();
    let key = office.session().await;
    let envelope = carried(&office, key.session(), &office.phone.keys).await;
    office.system.stop().await;
    let phone = again(&office).await;
    let accepted = phone.client.accept(&envelope).await.unwrap();
    // Kept: asking for it needs no service either.
    assert_eq!(phone.client.session_key(key.session()).await.unwrap().generation(), accepted.generation());
}

#[tokio::test]
async fn a_server_that_names_another_list_is_asked_about_and_believed() {
    let office = Office::open().await;
    let seen = office.session().await;
    office.phone.client.session_key(seen.session()).await.unwrap();
    let body = json!({"user": ANN, "capabilities": ["XENCRYPTED", "A256GCM", "X-NEW"]});
    let opened = office.open_session("0123456789abcdef", &body).send().await.is(201).json();
    let session: SessionId = opened["session"].as_str().unwrap().parse().unwrap();
    let envelope = carried(&office, session, &office.phone.keys).await;
    let accepted = office.phone.client.accept(&envelope).await.unwrap();
    assert!(accepted.capabilities().iter().any(|name| name == "X-NEW"));
}

#[tokio::test]
async fn an_envelope_for_another_device_is_refused() {
    let office = Office::open().await;
    let key = office.session().await;
    let envelope = carried(&office, key.session(), &office.tablet.keys).await;
    let refused = office.phone.client.accept(&envelope).await.unwrap_err();
    assert!(matches!(refused, Error::Tampered(Tampered::Envelope(Reject::KekForeign))), "{refused:?}");
}

#[tokio::test]
async fn an_envelope_that_was_altered_on_the_way_is_refused() {
    let office = Office::open().await;
    let key = office.session().await;
    let mut envelope = carried(&office, key.session(), &office.phone.keys).await;
    envelope[100] ^= 1;
    let refused = office.phone.client.accept(&envelope).await.unwrap_err();
    assert!(matches!(refused, Error::Tampered(Tampered::Envelope(Reject::ContentWrong))), "{refused:?}");
}

#[tokio::test]
async fn an_envelope_that_is_late_does_not_bring_back_an_older_generation() {
    let office = Office::open().await;
    let key = office.session().await;
    let late = carried(&office, key.session(), &office.phone.keys).await;
    office.mail.server.rotate(key.session()).await.unwrap();
    office.phone.client.session_key(key.session()).await.unwrap();
    let refused = office.phone.client.accept(&late).await.unwrap_err();
    assert!(matches!(refused, Error::Downgrade(Downgrade::Envelope(Reject::GenerationOlder))), "{refused:?}");
}

#[tokio::test]
async fn an_envelope_past_its_time_is_expired() {
    let office = Office::open().await;
    let key = office.session().await;
    let envelope = carried(&office, key.session(), &office.phone.keys).await;
    office.system.clock.advance_s(3660);
    assert!(matches!(office.phone.client.accept(&envelope).await, Err(Error::Expired)));
}

#[tokio::test]
async fn the_count_of_revocations_in_it_is_kept() {
    let office = Office::open().await;
    let target = json!({"kind": "pairing", "pairing": office.tablet.client.pairing()});
    office.revoke(&target).send().await.is(200);
    let key = office.session().await;
    let envelope = carried(&office, key.session(), &office.phone.keys).await;
    assert_eq!(office.phone.keys.profile().head.n(), 0);
    office.phone.client.accept(&envelope).await.unwrap();
    assert_eq!(office.phone.keys.profile().head.n(), 1);
}

#[tokio::test]
async fn json_is_the_answer_to_whoever_does_not_name_cose() {
    let office = Office::open().await;
    let key = office.session().await;
    for accept in
        ["*/*", "application/json", "application/cose", r#"application/cose; cose-type="cose-sign1""#]
    {
        let answer = ask(&office, key.session(), accept, &office.phone.keys).await;
        assert_eq!(answer.is(200).headers["content-type"], "application/json", "{accept}");
    }
    // A refusal is a problem document, whatever was accepted.
    let unknown = SessionId::from_bytes([0; 16]);
    ask(&office, unknown, cose::MEDIA_TYPE, &office.phone.keys).await.refused(404, "not_found");
}
