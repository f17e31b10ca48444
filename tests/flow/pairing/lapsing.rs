//! A pairing that nobody uses: after 90 days it lapses, by itself and for good.

use http::Method;
use serde_json::json;
use sidekey_client::Error;
use sidekey_client::admin::{PairingFilter, Standing};
use sidekey_tests::{ANN, BOB, MAIL, Office};

const DAY_S: u32 = 86_400;

/// After 91 days of which only the mail server and Ann's tablet have been heard.
async fn later() -> Office {
    let office = Office::open().await;
    office.system.clock.advance_s(60 * DAY_S);
    office.mail.server.sessions(&sidekey_tests::user(ANN)).await.unwrap();
    office.tablet.client.current().await.unwrap();
    office.system.clock.advance_s(31 * DAY_S);
    office
}

#[tokio::test]
async fn an_idle_device_is_refused_with_a_code_of_its_own_and_must_pair_again() {
    let office = later().await;
    let refused = office.phone.client.current().await.unwrap_err();
    assert!(matches!(&refused, Error::PairAgain { code, .. } if code == "lapsed"), "{refused:?}");
    let token = office.phone.keys.token();
    for path in ["/v1/pairings/self", "/v1/sessions/current", "/v1/policy", "/v1/events"] {
        office.system.get(path, &token).send().await.refused(410, "lapsed");
    }
    office.tablet.client.current().await.unwrap();
}

#[tokio::test]
async fn a_second_less_is_no_lapse() {
    let office = Office::open().await;
    office.system.clock.advance_s(90 * DAY_S - 1);
    office.phone.client.current().await.unwrap();
    office.system.clock.advance_s(90 * DAY_S - 1);
    office.phone.client.current().await.unwrap();
}

#[tokio::test]
async fn lapsing_is_recorded_once_listed_and_outlives_a_restart() {
    let mut office = later().await;
    office.phone.client.current().await.unwrap_err();
    let before = office.system.records();
    office.system.restart().await;
    office.phone.client.current().await.unwrap_err();
    assert_eq!(office.system.records(), before);
    let listed = async |state| {
        let wanted = PairingFilter { state: Some(state), ..PairingFilter::default() };
        let found = office.system.admin.pairings(&wanted).await.unwrap();
        found.iter().map(|pairing| pairing.pairing).collect::<Vec<_>>()
    };
    assert_eq!(listed(Standing::Lapsed).await, [office.phone.client.pairing()]);
    assert_eq!(
        listed(Standing::Active).await,
        [office.mail.server.pairing(), office.tablet.client.pairing()]
    );
    assert!(listed(Standing::Revoked).await.is_empty());
}

#[tokio::test]
async fn the_service_finds_idle_pairings_by_itself() {
    let office = later().await;
    let wanted = PairingFilter { state: Some(Standing::Lapsed), ..PairingFilter::default() };
    while office.system.admin.pairings(&wanted).await.unwrap().is_empty() {}
    let target = json!({"kind": "pairing", "pairing": office.phone.client.pairing()});
    office.revoke(&target).send().await.is(204);
}

#[tokio::test]
async fn a_lapsed_device_is_no_audience() {
    let office = Office::open().await;
    let bob = office.system.pair_client(MAIL, BOB).await;
    bob.client.current().await.unwrap();
    office.system.clock.advance_s(60 * DAY_S);
    office.mail.server.sessions(&sidekey_tests::user(BOB)).await.unwrap();
    office.system.clock.advance_s(31 * DAY_S);
    bob.client.current().await.unwrap_err();
    for audience in [json!({"user": BOB}), json!({"pairing": bob.client.pairing()})] {
        let mut body = json!({"capabilities": ["A256GCM"]});
        body.as_object_mut().unwrap().extend(audience.as_object().unwrap().clone());
        office.mail.server.sessions(&sidekey_tests::user(BOB)).await.unwrap();
        office.open_session("0123456789abcdef", &body).send().await.refused(404, "not_found");
    }
    let policy = format!("/v1/policy?user={BOB}");
    let asked = office.system.ask(Method::GET, &policy).bearer(&office.mail.keys.token());
    asked.send().await.refused(404, "not_found");
    // Paired again, he is one.
    let again = office.system.pair_client(MAIL, BOB).await;
    again.client.current().await.unwrap();
    office
        .open_session("fedcba9876543210", &json!({"user": BOB, "capabilities": ["A256GCM"]}))
        .send()
        .await
        .is(201);
}
