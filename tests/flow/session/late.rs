//! A device that pairs while sessions are open which it could not read.

use serde_json::json;
use sidekey_client::Notice;
use sidekey_client::admin::PairingFilter;
use sidekey_protocol::revocation::wire::Event;
use sidekey_protocol::session::wire::Sessions;
use sidekey_protocol::session::{Audience, Capabilities, Cause, Suite};
use sidekey_tests::mail::agree;
use sidekey_tests::{ANN, Office, user};

use super::pair_with;

/// The token of one more device of Ann's, that has C20P alone.
async fn late(office: &Office) -> String {
    let (answer, begun) = pair_with(office, "C20P").await;
    answer.is(200);
    let all = office.system.admin.pairings(&PairingFilter::default()).await.unwrap();
    begun.token(&office.system, all.last().unwrap().pairing)
}

#[tokio::test]
async fn gets_their_keys_in_a_suite_that_it_has_and_the_others_go_on() {
    let office = Office::open().await;
    let before = office.session().await;
    assert_eq!(before.suite(), Suite::A256gcm);
    let old = office.phone.client.session_key(before.session()).await.unwrap();
    let mut watches = [office.mail.server.watch(), office.phone.client.watch()];
    for watch in &mut watches {
        assert_eq!(watch.next().await.unwrap().unwrap(), Notice::Gap);
    }

    let late = late(&office).await;
    let key = office.fetch(before.session(), "", &late).send().await.is(200).json();
    assert_eq!((&key["generation"], &key["suite"]), (&json!(1), &json!("C20P")));
    office.fetch(before.session(), "?generation=0", &late).send().await.refused(410, "generation_passed");

    for watch in &mut watches {
        let rotated = loop {
            if let Notice::Event(Event::Rotated(rotated)) = watch.next().await.unwrap().unwrap() {
                break rotated;
            }
        };
        assert_eq!((rotated.session, rotated.generation), (before.session(), 1));
        assert_eq!(rotated.reason, Cause::Pairing);
    }
    let (there, here) = (
        office.mail.server.session_key(before.session()).await.unwrap(),
        office.phone.client.session_key(before.session()).await.unwrap(),
    );
    assert_eq!((here.generation(), here.suite(), here.not_after()), (1, Suite::C20p, old.not_after()));
    agree(&office.mail, &there, &office.phone, &here).await;
}

#[tokio::test]
async fn does_not_exist_for_a_session_that_cannot_be_in_a_suite_that_it_has() {
    let office = Office::open().await;
    let capabilities = Capabilities::parse(&["A256GCM"]).unwrap();
    let ann = Audience::User(user(ANN));
    let key = office.mail.server.issue(&ann, None, &capabilities).await.unwrap();
    let late = late(&office).await;
    office.fetch(key.session(), "", &late).send().await.refused(404, "not_found");
    let current = office.system.get("/v1/sessions/current", &late).send().await;
    let current: Sessions = serde_json::from_slice(&current.is(200).body).unwrap();
    assert!(current.items.is_empty());
    let phone = office.phone.client.session_key(key.session()).await.unwrap();
    assert_eq!((phone.generation(), phone.suite()), (0, Suite::A256gcm));
}
