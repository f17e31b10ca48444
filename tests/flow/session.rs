//! Sessions: opened by a server, fetched by devices, rotated, ended; and everything that is refused on the way.

mod fetching;
mod late;
mod opening;
mod opening_once;
mod policy;
mod rotating;
mod suites;
mod tokens;

use std::collections::BTreeSet;

use http::{HeaderName, Method};
use serde_json::{Value, json};
use sidekey_client::error::Usage;
use sidekey_client::{Client, Error, Roots, Server};
use sidekey_protocol::ids::{PartyId, SessionId, Timestamp};
use sidekey_protocol::session::envelope::{self, Opened};
use sidekey_protocol::session::{Audience, Capabilities, OFFER_OF_SEVERAL, Suite, SuiteList};
use sidekey_protocol::token;
use sidekey_tests::mail::agree;
use sidekey_tests::stranger::Begun;
use sidekey_tests::{ANN, Answer, BOB, Keys, MAIL, Office, SHOP, user};

const ONCE: &str = "0123456789abcdef";

fn for_ann() -> Value {
    json!({"user": ANN, "capabilities": ["A256GCM", "C20P"]})
}

/// The session and generation of an answer, and the key in its envelope.
#[track_caller]
fn unwrapped(answer: &Answer, keys: &Keys) -> (SessionId, u32, [u8; 32]) {
    let Opened { key, bindings } = keys.opened(answer);
    (bindings.session, bindings.generation, *key.expose())
}

#[tokio::test]
async fn both_devices_of_a_user_and_her_server_hold_the_same_key() {
    let office = Office::open().await;
    let key = office.session().await;
    for device in [&office.phone, &office.tablet] {
        let fetched = device.client.session_key(key.session()).await.unwrap();
        assert_eq!((fetched.generation(), fetched.suite()), (0, Suite::A256gcm));
        assert_eq!((fetched.not_before(), fetched.not_after()), (key.not_before(), key.not_after()));
        agree(&office.mail, &key, device, &fetched).await;
    }
    assert_eq!(key.not_after(), office.system.clock.now().after_s(3600));
}

#[tokio::test]
async fn a_device_that_pairs_later_finds_the_session_and_reads_too() {
    let office = Office::open().await;
    let key = office.session().await;
    let later = office.system.pair_client(MAIL, ANN).await;
    let current = later.client.current().await.unwrap();
    assert_eq!(current.iter().map(|session| session.session).collect::<Vec<_>>(), [key.session()]);
    let fetched = later.client.session_key(key.session()).await.unwrap();
    agree(&office.mail, &key, &later, &fetched).await;
}

#[tokio::test]
async fn a_second_gateway_of_the_same_server_fetches_the_key_too() {
    let office = Office::open().await;
    let key = office.session().await;
    let second = office.system.pair_server(MAIL).await;
    let fetched = second.server.session_key(key.session()).await.unwrap();
    let phones = office.phone.client.session_key(key.session()).await.unwrap();
    agree(&second, &fetched, &office.phone, &phones).await;
}

#[tokio::test]
async fn a_session_survives_a_restart_with_its_key() {
    let mut office = Office::open().await;
    let key = office.session().await;
    office.system.restart().await;
    let fetched = office.phone.client.session_key(key.session()).await.unwrap();
    agree(&office.mail, &key, &office.phone, &fetched).await;
}

#[tokio::test]
async fn fetching_leaves_no_record() {
    let office = Office::open().await;
    let key = office.session().await;
    let before = office.system.records();
    for _ in 0..3 {
        office.fetch(key.session(), "", &office.phone.keys.token()).send().await.is(200);
        office.fetch(key.session(), "?generation=0", &office.phone.keys.token()).send().await.is(200);
    }
    assert_eq!(office.system.records(), before);
}

#[tokio::test]
async fn each_fetch_is_wrapped_anew_and_shown_to_nobody_else() {
    let office = Office::open().await;
    let key = office.session().await;
    let mut envelopes = BTreeSet::new();
    let mut keys = BTreeSet::new();
    for device in [&office.phone.keys, &office.phone.keys, &office.tablet.keys, &office.mail.keys] {
        let answer = office.fetch(key.session(), "", &device.token()).send().await;
        assert_eq!(answer.is(200).headers["cache-control"], "no-store");
        envelopes.insert(answer.json()["key"].as_str().unwrap().to_owned());
        keys.insert(unwrapped(&answer, device).2);
    }
    assert_eq!((envelopes.len(), keys.len()), (4, 1));
}

#[tokio::test]
async fn a_client_whose_clock_is_a_quarter_of_an_hour_wrong_goes_on() {
    let office = Office::open().await;
    let key = office.session().await;
    for wrong_s in [900, -900] {
        let clock = office.system.clock.ahead_by_s(wrong_s);
        let client = office.phone.keys.client(office.system.ambient_at(&clock)).await;
        let fetched = client.session_key(key.session()).await.unwrap();
        assert_eq!(fetched.generation(), 0);
        assert_eq!(client.transport().now(), office.system.clock.now());
        let server = office.mail.keys.server(office.system.ambient_at(&clock)).await;
        server.issue(&Audience::User(user(ANN)), None, &Office::capabilities()).await.unwrap();
    }
}

#[tokio::test]
async fn the_lists_of_a_user_and_of_her_server_show_what_is_live_newest_first() {
    let office = Office::open().await;
    let first = office.session().await;
    office.system.clock.advance_s(10);
    let second = office.session_of_the_phone().await;
    let ids = |list: Vec<sidekey_protocol::session::wire::Session>| {
        list.into_iter().map(|session| session.session).collect::<Vec<_>>()
    };
    assert_eq!(ids(office.phone.client.current().await.unwrap()), [second.session(), first.session()]);
    assert_eq!(ids(office.tablet.client.current().await.unwrap()), [first.session()]);
    assert_eq!(
        ids(office.mail.server.sessions(&user(ANN)).await.unwrap()),
        [second.session(), first.session()]
    );
    assert_eq!(ids(office.mail.server.sessions(&user(BOB)).await.unwrap()), []);
    office.system.clock.set(first.not_after());
    assert_eq!(ids(office.phone.client.current().await.unwrap()), [second.session()]);
}

#[tokio::test]
async fn a_client_asks_about_itself_and_a_server_about_somebody() {
    let office = Office::open().await;
    let (phone, mail) = (office.phone.keys.token(), office.mail.keys.token());
    for path in ["/v1/sessions/current", "/v1/policy"] {
        office.system.get(path, &phone).send().await.is(200);
        office.system.get(&format!("{path}?user={ANN}"), &phone).send().await.is(200);
        office.system.get(&format!("{path}?user={BOB}"), &phone).send().await.refused(404, "not_found");
        office.system.get(&format!("{path}?user={ANN}"), &mail).send().await.is(200);
        let problem = office.system.get(path, &mail).send().await.refused(400, "query_invalid");
        assert_eq!(problem["errors"], json!([{"field": "user", "fault": "missing"}]));
        let twice = format!("{path}?user={ANN}&user={BOB}");
        office.system.get(&twice, &mail).send().await.refused(400, "query_invalid");
        office.system.get(&format!("{path}?who={ANN}"), &mail).send().await.refused(400, "query_invalid");
    }
}

#[tokio::test]
async fn the_policy_is_the_one_that_came_with_the_pairing_and_the_services_own() {
    let office = Office::open().await;
    let held = office.phone.client.policy().await.unwrap();
    assert_eq!(held.seen(), office.phone.keys.profile().policy.unwrap().seen);
    assert_eq!((held.policy.version, held.policy.user.as_str()), (1, ANN));
    let keys = office.system.ask(Method::GET, "/v1/keys").send().await.is(200).json();
    assert_eq!(keys["keys"][0]["state"], "active");
    assert_eq!(keys["keys"][0]["kid"], office.system.admin_credential().service_key.to_string());
    assert_eq!(keys["service"], office.system.admin_credential().service.to_string());
}

#[tokio::test]
async fn nobody_has_a_policy_without_a_live_pairing() {
    let office = Office::open().await;
    let path = format!("/v1/policy?user={BOB}");
    office.system.get(&path, &office.mail.keys.token()).send().await.refused(404, "not_found");
}

/// One more device of Ann's, that has this suite alone: what its `finish` is answered, and what it has of the exchange.
async fn pair_with(office: &Office, suite: &str) -> (Answer, Begun) {
    let invited = office.system.invite(MAIL, Some(ANN)).await;
    let mut begun = office.system.begun(invited.invitation, &invited.code).await;
    let mut content = begun.content();
    content.offer = vec![suite.to_owned()];
    let finish = begun.finish(&content);
    (office.system.finish(invited.invitation, &finish).send().await, begun)
}

#[tokio::test]
async fn a_profile_is_of_one_role_and_one_authority() {
    let office = Office::open().await;
    let (phone, mail) = (office.phone.keys.store(), office.mail.keys.store());
    let ambient = office.system.ambient();
    assert!(matches!(Server::open(phone, ambient.clone()).await, Err(Error::Usage(Usage::WrongRole))));
    assert!(matches!(Client::open(mail, ambient).await, Err(Error::Usage(Usage::WrongRole))));
    assert!(matches!(office.phone.keys.profile().roots, Roots::Pem(ca) if ca == office.system.ca));
}
