//! What is said wrongly: tokens, bodies, queries.

use serde_json::json;
use sidekey_protocol::crypto::SigningKey;
use sidekey_protocol::ids::{PartyId, ServiceId};

use super::{Answer, NOW, Party, Service};

async fn servers(service: &Service, headers: &str) -> Answer {
    service.send("GET", "/v1/servers", headers, b"").await
}

#[tokio::test]
async fn a_token_is_one_of_a_party_that_we_know() {
    let mut service = Service::start().await;
    let good = service.admin.bearer(NOW);
    assert_eq!(servers(&service, &good).await.status, 200);
    let key = SigningKey::generate(&mut service.rng);
    let stranger =
        Party { id: PartyId::random(&mut service.rng), service: service.admin.service, key, root: None };
    let key = SigningKey::generate(&mut service.rng);
    let impostor = Party { id: service.admin.id, service: service.admin.service, key, root: None };
    let elsewhere = Party { service: ServiceId::random(&mut service.rng), ..copy(&service.admin) };
    for party in [&stranger, &impostor, &elsewhere] {
        let answer = servers(&service, &party.bearer(NOW)).await;
        assert_eq!((answer.status, answer.problem().as_str()), (401, "token_invalid"));
        assert_eq!(answer.header("www-authenticate"), Some("Bearer error=\"invalid_token\""));
    }
    let twin = good.trim_end().to_owned() + "A\r\n";
    assert_eq!(servers(&service, &twin).await.problem(), "token_invalid");
    assert_eq!(servers(&service, &format!("{good}{good}")).await.problem(), "header_repeated");
    assert_eq!(servers(&service, "authorization: Basic YTpi\r\n").await.problem(), "token_missing");
}

fn copy(party: &Party) -> Party {
    let key = SigningKey::from_pkcs8(&party.key.expose_pkcs8()).unwrap();
    Party { id: party.id, service: party.service, key, root: None }
}

#[tokio::test]
async fn a_token_holds_for_a_while_and_the_date_says_when() {
    let service = Service::start().await;
    let token = service.admin.bearer(NOW);
    for (seconds, status) in [(0, 200), (659, 200), (660, 401)] {
        service.clock.set(NOW.after_s(seconds));
        let answer = servers(&service, &token).await;
        assert_eq!(answer.status, status, "after {seconds} s");
        let date = std::time::UNIX_EPOCH + std::time::Duration::from_secs((NOW.0 + seconds).into());
        assert_eq!(answer.header("date").unwrap(), httpdate::fmt_http_date(date));
    }
    let early = service.admin.bearer(NOW.after_s(660 + 61));
    assert_eq!(servers(&service, &early).await.problem(), "token_expired");
}

#[tokio::test]
async fn a_body_is_one_json_object_with_the_members_of_its_route() {
    let service = Service::start().await;
    let admin = service.admin.bearer(NOW);
    let json = format!("{admin}content-type: application/json\r\n");
    let deep = format!("{{\"name\":{}", "[".repeat(1500));
    for (body, status, code) in [
        ("", 400, "body_malformed"),
        ("name=a", 400, "body_malformed"),
        ("{\"name\":\"a\"} {}", 400, "body_malformed"),
        ("{\"name\":\"a\"}\0", 400, "body_malformed"),
        (&deep, 400, "body_invalid"),
        ("[\"a\"]", 400, "body_invalid"),
        ("{\"name\":7}", 400, "body_invalid"),
        ("{\"name\":\"\"}", 400, "body_invalid"),
        ("{\"name\":\"a\",\"name\":\"b\"}", 400, "body_invalid"),
        ("{\"name\":\"a\",\"more\":1}", 400, "body_invalid"),
        ("{}", 400, "body_invalid"),
    ] {
        let answer = service.send("POST", "/v1/servers", &json, body.as_bytes()).await;
        assert_eq!((answer.status, answer.problem().as_str()), (status, code), "{body}");
    }
    let answer = service.send("POST", "/v1/servers", &json, b"{\"name\":\"\xff\"}").await;
    assert_eq!(answer.problem(), "body_malformed");
    let answer = service.send("POST", "/v1/servers", &json, b"{\"nome\":\"a\"}").await;
    assert_eq!(answer.json()["errors"], json!([{"field": "nome", "fault": "unknown"}]));
    for kind in
        ["", "content-type: text/plain\r\n", "content-type: application/json\r\ncontent-encoding: gzip\r\n"]
    {
        let answer =
            service.send("POST", "/v1/servers", &format!("{admin}{kind}"), b"{\"name\":\"a\"}").await;
        assert_eq!((answer.status, answer.problem().as_str()), (415, "media_type_unsupported"), "{kind}");
    }
    assert_eq!(servers(&service, &admin).await.json(), json!({"items": []}), "nothing changed");
}

#[tokio::test]
async fn a_query_has_the_parameters_of_its_route() {
    let service = Service::start().await;
    let admin = service.admin.bearer(NOW);
    for (query, field) in [
        ("page=1", "page"),
        ("page_size=0", "page_size"),
        ("page_size=1001", "page_size"),
        ("page_size=x", "page_size"),
        ("page_size=1&page_size=2", "page_size"),
        ("page_token=x", "page_token"),
    ] {
        let answer = service.send("GET", &format!("/v1/servers?{query}"), &admin, b"").await;
        assert_eq!((answer.status, answer.problem().as_str()), (400, "query_invalid"), "{query}");
        assert_eq!(answer.json()["errors"][0]["field"], field, "{query}");
    }
}

#[tokio::test]
async fn a_list_shows_what_was_made_later_than_asked() {
    let mut service = Service::start().await;
    let (server, _) = service.enterprise().await;
    let setting = json!({"suites": ["A256GCM"]});
    let unset = "if-match: \"0\"\r\n";
    let set = |path| service.call_with(&service.admin, "PUT", path, unset, setting.clone());
    assert_eq!(set("/v1/policies/service").await.status, 200);
    service.open(&server).await;
    service.clock.advance_s(100);
    assert_eq!(set("/v1/policies/servers/mail/users/bob").await.status, 200);
    let added = service.call(&service.admin, "POST", "/v1/servers", json!({"name": "late"})).await;
    assert_eq!(added.status, 201);
    let bob = service.pair(json!({"role": "client", "server": "mail", "user": "bob"})).await;
    let body = json!({"user": "bob", "capabilities": ["A256GCM"]});
    let key = "idempotency-key: of-what-comes-later\r\n";
    let opened = service.call_with(&server, "POST", "/v1/sessions", key, body).await.json();
    for (list, query, member, late) in [
        ("servers", "created_after", "name", json!("late")),
        ("invitations", "created_after", "user", json!("bob")),
        ("pairings", "created_after", "pairing", json!(bob.id)),
        ("sessions", "created_after", "session", opened["session"].clone()),
        ("policies", "changed_after", "user", json!("bob")),
    ] {
        let items = async |query: String| {
            let answer =
                service.send("GET", &format!("/v1/{list}{query}"), &service.admin.bearer(NOW), b"").await;
            answer.json()["items"].as_array().unwrap().clone()
        };
        let after = async |s: u32| items(format!("?page_size=9&{query}={}", NOW.0 + s)).await;
        assert!(items(String::new()).await.len() > 1, "{list}");
        let later = after(0).await;
        assert_eq!((later.len(), &later[0][member]), (1, &late), "{list}: {later:?}");
        assert!(after(100).await.is_empty(), "{list}: later is not as late");
    }
    for (query, count) in
        [("servers?state=revoked", 0), ("servers?state=active", 2), ("policies?user=bob", 1)]
    {
        let answer = service.send("GET", &format!("/v1/{query}"), &service.admin.bearer(NOW), b"").await;
        assert_eq!(answer.json()["items"].as_array().unwrap().len(), count, "{query}");
    }
}

#[tokio::test]
async fn a_trace_goes_on_through_us_and_a_forged_one_does_not() {
    let service = Service::start().await;
    let traced = async |header: &str| {
        let answer = service.send("GET", "/no/such", header, b"").await;
        assert_eq!(answer.problem(), "not_found");
        answer.header("traceresponse").unwrap().to_owned()
    };
    let id = "4bf92f3577b34da6a3ce929d0e0e4736";
    let ours = traced(&format!("traceparent: 00-{id}-00f067aa0ba902b7-01\r\n")).await;
    assert!(ours.starts_with(&format!("00-{id}-")) && ours.ends_with("-01"), "{ours}");
    assert!(!ours.contains("00f067aa0ba902b7"), "each request has a place of its own: {ours}");
    for header in ["", "traceparent: 00-x\r\n", "traceparent: \r\n"] {
        let (one, other) = (traced(header).await, traced(header).await);
        assert!(one.len() == 55 && one != other && one[..36] != other[..36], "{one} {other}");
    }
}

#[tokio::test]
async fn a_request_is_named_by_its_caller_or_by_us() {
    let service = Service::start().await;
    let answer = service.send("GET", "/livez", "x-request-id: a-plain.name_1\r\n", b"").await;
    assert_eq!(answer.header("x-request-id"), Some("a-plain.name_1"));
    let forged = format!("x-request-id: {}\r\n", "a".repeat(65));
    for header in ["", "x-request-id: a b\r\n", &forged] {
        let answer = service.send("GET", "/livez", header, b"").await;
        assert_eq!(answer.header("x-request-id").unwrap().len(), 32);
    }
}
