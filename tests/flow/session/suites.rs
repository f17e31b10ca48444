//! Which suite a session gets: what all its readers have, in the order of the policy.

use super::*;

async fn suite(office: &Office, audience: &Audience, capabilities: &[&str]) -> Suite {
    let capabilities = Capabilities::parse(capabilities).unwrap();
    office.mail.server.issue(audience, None, &capabilities).await.unwrap().suite()
}

#[tokio::test]
async fn the_first_of_the_policys_that_capabilities_and_all_offers_contain() {
    let office = Office::open().await;
    let ann = Audience::User(user(ANN));
    assert_eq!(suite(&office, &ann, &["C20P", "A256GCM"]).await, Suite::A256gcm);
    assert_eq!(suite(&office, &ann, &["c20p", "X-LATER"]).await, Suite::C20p);
}

#[tokio::test]
async fn a_session_of_one_binds_its_offer_and_one_of_several_binds_none() {
    let office = Office::open().await;
    for (key, offer) in [
        (office.session().await, OFFER_OF_SEVERAL),
        (office.session_of_the_phone().await, SuiteList::ours().offer_hash()),
    ] {
        let answer = office.fetch(key.session(), "", &office.phone.keys.token()).send().await;
        assert_eq!(office.phone.keys.opened(answer.is(200)).bindings.offer, offer);
        let fetched = office.phone.client.session_key(key.session()).await.unwrap();
        agree(&office.mail, &key, &office.phone, &fetched).await;
    }
}

#[tokio::test]
async fn capabilities_without_any_suite_are_refused() {
    let office = Office::open().await;
    let before = office.system.records();
    for audience in [json!({"user": ANN}), json!({"pairing": office.phone.client.pairing()})] {
        let mut body = audience.clone();
        body["capabilities"] = json!(["XENCRYPTED"]);
        office.open_session(ONCE, &body).send().await.refused(409, "no_common_suite");
    }
    assert_eq!(office.system.records(), before);
}

#[tokio::test]
async fn legacy_suites_among_the_capabilities_are_refused_by_name() {
    let office = Office::open().await;
    let before = office.system.records();
    for name in ["3DES", "RC4", "AES", "aes"] {
        let body = json!({"user": ANN, "capabilities": ["A256GCM", name]});
        office.open_session(ONCE, &body).send().await.refused(403, "suite_forbidden");
    }
    assert_eq!(office.system.records(), before);
}

#[tokio::test]
async fn capabilities_that_are_no_list_of_names_are_refused() {
    let office = Office::open().await;
    let before = office.system.records();
    for list in
        [json!(vec!["A256GCM"; 65]), json!([""]), json!(["a b"]), json!(["x".repeat(65)]), json!(["é"])]
    {
        let body = json!({"user": ANN, "capabilities": list});
        office.open_session(ONCE, &body).send().await.refused(422, "capabilities_malformed");
    }
    assert_eq!(office.system.records(), before);
}
