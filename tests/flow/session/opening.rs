//! What opens no session, and changes nothing.

use super::*;

async fn refused(office: &Office, body: &Value, status: u16, code: &str) {
    let before = office.system.records();
    office.open_session(ONCE, body).send().await.refused(status, code);
    assert_eq!(office.system.records(), before);
    assert!(office.phone.client.current().await.unwrap().is_empty());
}

#[tokio::test]
async fn a_user_without_device_is_refused() {
    let office = Office::open().await;
    refused(&office, &json!({"user": BOB, "capabilities": ["A256GCM"]}), 404, "not_found").await;
}

#[tokio::test]
async fn an_unknown_pairing_is_refused() {
    let office = Office::open().await;
    let nobody = PartyId::from_bytes([7; 16]);
    refused(&office, &json!({"pairing": nobody, "capabilities": ["A256GCM"]}), 404, "not_found").await;
}

#[tokio::test]
async fn both_a_user_and_a_pairing_or_neither_are_refused() {
    let office = Office::open().await;
    let nobody = PartyId::from_bytes([7; 16]);
    let both = json!({"user": ANN, "pairing": nobody, "capabilities": ["A256GCM"]});
    refused(&office, &both, 422, "audience_ambiguous").await;
    refused(&office, &json!({"capabilities": ["A256GCM"]}), 422, "audience_ambiguous").await;
}

#[tokio::test]
async fn a_carrier_that_is_not_configured_is_refused() {
    let office = Office::open().await;
    let body = json!({"user": ANN, "capabilities": ["A256GCM"], "deliver": ["sms"]});
    refused(&office, &body, 422, "carrier_unknown").await;
}

#[tokio::test]
async fn a_life_below_a_minute_or_beyond_a_day_is_refused_never_clipped() {
    let office = Office::open().await;
    for ttl in [0, 59, 86_401, u32::MAX] {
        refused(
            &office,
            &json!({"user": ANN, "capabilities": ["A256GCM"], "ttl": ttl}),
            422,
            "ttl_out_of_range",
        )
        .await;
    }
}

#[tokio::test]
async fn a_life_of_a_minute_and_one_of_a_day_are_granted() {
    let office = Office::open().await;
    for ttl_s in [60, 86_400] {
        let audience = Audience::User(user(ANN));
        let key = office.mail.server.issue(&audience, Some(ttl_s), &Office::capabilities()).await.unwrap();
        assert_eq!(key.not_after(), office.system.clock.now().after_s(ttl_s));
    }
}

#[tokio::test]
async fn a_body_that_does_not_say_what_to_open_is_refused_by_member() {
    let office = Office::open().await;
    let before = office.system.records();
    for (body, field, fault) in [
        (json!({"user": ANN}), "capabilities", "missing"),
        (json!({"user": ANN, "capabilities": [], "suite": "C20P"}), "suite", "unknown"),
        (json!({"user": 7, "capabilities": []}), "user", "invalid"),
        (json!({"user": "a\u{0}b", "capabilities": []}), "user", "invalid"),
        (json!({"pairing": "xyz", "capabilities": []}), "pairing", "invalid"),
        (json!({"user": ANN, "capabilities": ["C20P", 7]}), "capabilities[1]", "invalid"),
        (json!({"user": ANN, "capabilities": [], "ttl": -1}), "ttl", "invalid"),
        (json!({"user": ANN, "capabilities": [], "ttl": 60.5}), "ttl", "invalid"),
    ] {
        let problem = office.open_session(ONCE, &body).send().await.refused(400, "body_invalid");
        assert_eq!(problem["errors"], json!([{"field": field, "fault": fault}]), "{body}");
    }
    assert_eq!(office.system.records(), before);
}

#[tokio::test]
async fn a_client_opens_no_session() {
    let office = Office::open().await;
    let before = office.system.records();
    for token in [office.phone.keys.token(), office.system.admin_token()] {
        let asked = office.system.post("/v1/sessions", &token, &for_ann()).once(ONCE).send().await;
        asked.refused(403, "role_forbidden");
    }
    assert_eq!(office.system.records(), before);
}

#[tokio::test]
async fn a_foreign_servers_user_and_pairing_are_as_if_they_were_not_there() {
    let office = Office::open().await;
    office.system.add_server(SHOP).await;
    let shop = office.system.pair_server(SHOP).await;
    let token = shop.keys.token();
    office.system.get("/v1/pairings/self", &token).send().await.is(200);
    let before = office.system.records();
    let ask = |body: Value| office.system.post("/v1/sessions", &token, &body).once(ONCE).send();
    let list = json!(["A256GCM"]);
    let nobody = ask(json!({"user": "nobody@example.org", "capabilities": list})).await;
    let nobody = nobody.refused(404, "not_found");
    for body in [
        json!({"user": ANN, "capabilities": list}),
        json!({"pairing": office.phone.client.pairing(), "capabilities": list}),
        json!({"pairing": office.mail.server.pairing(), "capabilities": list}),
        json!({"pairing": shop.server.pairing(), "capabilities": list}),
    ] {
        assert_eq!(ask(body).await.refused(404, "not_found"), nobody);
    }
    assert_eq!(office.system.records(), before);
}
