//! What a token has to be, and what is said of one that is not.

use super::*;

/// Whatever is wrong with a token, the answer is the same.
async fn refused(office: &Office, token: &str, code: &str) {
    let nowhere = SessionId::from_bytes([7; 16]);
    let problem = office.fetch(nowhere, "", token).send().await.refused(401, code);
    assert_eq!(problem.as_object().unwrap().len(), 6, "it says more than its code: {problem}");
    assert!(problem.get("cause").is_none());
}

/// A token with these header and claims, signed by Ann's phone.
fn signed(office: &Office, header: &Value, claims: &Value) -> String {
    use sidekey_protocol::encoding::base64url;
    let part = |json: &Value| base64url(json.to_string().as_bytes());
    let text = format!("{}.{}", part(header), part(claims));
    let signature = office.phone.keys.profile().signing_key.sign(text.as_bytes());
    format!("{text}.{}", base64url(&signature))
}

fn header(office: &Office) -> Value {
    json!({"alg": "ES256", "kid": office.phone.client.pairing(), "typ": "sidekey+jwt"})
}

fn claims(office: &Office) -> Value {
    let now = office.system.clock.now().0;
    json!({"aud": office.system.admin_credential().service, "iat": now, "exp": now + 600})
}

#[tokio::test]
async fn one_made_by_hand_from_the_contract_is_taken() {
    let office = Office::open().await;
    let key = office.session().await;
    let token = signed(&office, &header(&office), &claims(&office));
    office.fetch(key.session(), "", &token).send().await.is(200);
}

async fn bad_header(office: &Office, change: impl Fn(&mut Value)) {
    let mut header = header(office);
    change(&mut header);
    refused(office, &signed(office, &header, &claims(office)), "token_invalid").await;
}

async fn bad_claims(office: &Office, change: impl Fn(&mut Value, u32), code: &str) {
    let mut claims = claims(office);
    change(&mut claims, office.system.clock.now().0);
    refused(office, &signed(office, &header(office), &claims), code).await;
}

#[tokio::test]
async fn another_algorithm_is_refused() {
    let office = Office::open().await;
    for alg in ["none", "HS256", "RS256", "ES384"] {
        bad_header(&office, |header| header["alg"] = alg.into()).await;
    }
}

#[tokio::test]
async fn another_type_is_refused() {
    let office = Office::open().await;
    bad_header(&office, |header| header["typ"] = "JWT".into()).await;
}

#[tokio::test]
async fn a_header_that_brings_its_own_key_is_refused() {
    let office = Office::open().await;
    bad_header(&office, |header| header["jku"] = "https://evil.example/keys".into()).await;
    bad_header(&office, |header| header["jwk"] = json!({})).await;
}

#[tokio::test]
async fn a_kid_that_is_no_party_is_refused() {
    let office = Office::open().await;
    bad_header(&office, |header| header["kid"] = "../../etc/passwd".into()).await;
    let nobody = PartyId::from_bytes([7; 16]).to_string();
    bad_header(&office, |header| header["kid"] = nobody.clone().into()).await;
}

#[tokio::test]
async fn one_partys_key_under_another_partys_name_is_refused() {
    let office = Office::open().await;
    let profile = office.phone.keys.profile();
    let now = office.system.clock.now();
    let token = token::sign(&profile.signing_key, office.tablet.client.pairing(), profile.service, None, now);
    refused(&office, &token, "token_invalid").await;
}

#[tokio::test]
async fn one_for_another_service_is_refused() {
    let office = Office::open().await;
    bad_claims(&office, |claims, _| claims["aud"] = "07".repeat(16).into(), "token_invalid").await;
}

#[tokio::test]
async fn one_that_has_expired_is_refused() {
    let office = Office::open().await;
    let expired = |claims: &mut Value, now: u32| {
        claims["iat"] = (now - 660).into();
        claims["exp"] = (now - 60).into();
    };
    bad_claims(&office, expired, "token_expired").await;
}

#[tokio::test]
async fn one_from_the_future_is_refused() {
    let office = Office::open().await;
    let early = |claims: &mut Value, now: u32| {
        claims["iat"] = (now + 61).into();
        claims["exp"] = (now + 600).into();
    };
    bad_claims(&office, early, "token_expired").await;
}

#[tokio::test]
async fn one_that_lives_longer_than_ten_minutes_or_not_at_all_is_refused() {
    let office = Office::open().await;
    bad_claims(&office, |claims, now| claims["exp"] = (now + 601).into(), "token_invalid").await;
    bad_claims(&office, |claims, now| claims["exp"] = (now - 1).into(), "token_invalid").await;
}

#[tokio::test]
async fn times_that_are_no_times_are_refused() {
    let office = Office::open().await;
    for time in [json!(-1), json!(9_007_199_254_740_992_u64), json!("1"), json!(1.5), json!(null)] {
        bad_claims(&office, |claims, _| claims["exp"] = time.clone(), "token_invalid").await;
    }
    bad_claims(&office, |claims, _| claims["admin"] = true.into(), "token_invalid").await;
}

#[tokio::test]
async fn one_that_was_altered_is_refused_also_when_it_was_seen_before() {
    let office = Office::open().await;
    let key = office.session().await;
    let token = office.phone.keys.token();
    office.fetch(key.session(), "", &token).send().await.is(200);
    let signature = token.rfind('.').unwrap();
    for at in [10, signature - 5, signature + 20] {
        let mut forged = token.clone().into_bytes();
        forged[at] = if forged[at] == b'A' { b'B' } else { b'A' };
        let forged = String::from_utf8(forged).unwrap();
        office.fetch(key.session(), "", &forged).send().await.refused(401, "token_invalid");
    }
}

#[tokio::test]
async fn a_remembered_token_expires_all_the_same() {
    let office = Office::open().await;
    let key = office.session().await;
    let token = office.phone.keys.token();
    for (seconds, holds) in [(0, true), (659, true), (660, false)] {
        office.system.clock.set(key.not_before().after_s(seconds));
        let answer = office.fetch(key.session(), "", &token).send().await;
        if holds {
            answer.is(200);
        } else {
            answer.refused(401, "token_expired");
        }
    }
}

#[tokio::test]
async fn no_token_two_headers_or_another_scheme_are_refused() {
    let office = Office::open().await;
    let path = format!("/v1/sessions/{}/key", office.session().await.session());
    let ask = || office.system.ask(Method::GET, &path);
    let token = office.phone.keys.token();
    ask().send().await.refused(401, "token_missing");
    ask().header(http::header::AUTHORIZATION, "Basic YTpi").send().await.refused(401, "token_missing");
    ask().header(http::header::AUTHORIZATION, "Bearer").send().await.refused(401, "token_missing");
    ask().bearer("x").send().await.refused(401, "token_invalid");
    ask().bearer(&"x".repeat(4000)).send().await.refused(401, "token_invalid");
    ask().bearer(&token).bearer(&token).send().await.refused(400, "header_repeated");
}

#[tokio::test]
async fn headers_and_addresses_beyond_their_limits_are_refused() {
    let office = Office::open().await;
    let path = format!("/v1/sessions/{}/key", office.session().await.session());
    let token = office.phone.keys.token();
    let long = format!("{path}?{}", "x".repeat(2048));
    office.system.get(&long, &token).send().await.refused(414, "uri_too_long");
    let header = HeaderName::from_static("x-more");
    let mut asking = office.system.get(&path, &token);
    for _ in 0..65 {
        asking = asking.header(header.clone(), "1");
    }
    asking.send().await.refused(431, "headers_too_large");
    let asking = office.system.get(&path, &token).header(header, &"x".repeat(40_000));
    asking.send().await.refused(431, "headers_too_large");
    let asking = office.system.get(&path, &token).body("{}");
    asking.send().await.refused(413, "body_too_large");
}

#[tokio::test]
async fn a_clock_of_the_service_that_goes_back_stops_it_from_issuing() {
    let office = Office::open().await;
    let key = office.session().await;
    let now = office.system.clock.now();
    office.system.clock.set(Timestamp(now.0 - 60));
    office.fetch(key.session(), "", &office.phone.keys.token()).send().await.is(200);
    office.system.clock.set(Timestamp(now.0 - 61));
    let before = office.system.records();
    let fetch = office.fetch(key.session(), "", &office.phone.keys.token()).send().await;
    fetch.refused(503, "clock_stepped");
    let open = office.system.post("/v1/sessions", &office.mail.keys.token(), &for_ann()).once(ONCE);
    open.send().await.refused(503, "clock_stepped");
    office.system.ask(Method::GET, "/readyz").send().await.refused(503, "clock_stepped");
    office.system.ask(Method::GET, "/livez").send().await.is(200);
    assert_eq!(office.system.records(), before);
    office.system.clock.set(now);
    office.system.ask(Method::GET, "/readyz").send().await.is(200);
    office.fetch(key.session(), "", &office.phone.keys.token()).send().await.is(200);
}
