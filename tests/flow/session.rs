//! Sessions: opened by a server, fetched by devices, rotated, ended; and everything that is refused on the way.

use std::collections::BTreeSet;

use http::{HeaderName, Method};
use serde_json::{Value, json};
use sidekey_client::error::Usage;
use sidekey_client::{Client, Error, Roots, Server};
use sidekey_protocol::ids::{PartyId, SessionId, Timestamp};
use sidekey_protocol::pairing::Kek;
use sidekey_protocol::session::envelope::{self, Expected};
use sidekey_protocol::session::wire::SessionKey;
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
fn unwrapped(answer: &Answer, keys: &Keys, now: Timestamp) -> (SessionId, u32, [u8; 32]) {
    let told: SessionKey = serde_json::from_slice(&answer.body).expect("it is a session key");
    let profile = keys.profile();
    let expected = Expected {
        service: profile.service,
        server: &profile.server,
        user: profile.user.as_ref(),
        pairing: profile.pairing,
        session: Some(told.session),
        generation: Some(told.generation),
        generation_seen: 0,
    };
    let opened = envelope::open(&Kek::of(&profile.root), &told.key, &expected, now).expect("it opens");
    let bindings = &opened.bindings;
    assert_eq!(
        (bindings.suite, bindings.not_before, bindings.not_after),
        (told.suite, told.not_before, told.not_after)
    );
    (told.session, told.generation, *opened.key.expose())
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
    let now = office.system.clock.now();
    let mut envelopes = BTreeSet::new();
    let mut keys = BTreeSet::new();
    for device in [&office.phone.keys, &office.phone.keys, &office.tablet.keys, &office.mail.keys] {
        let answer = office.fetch(key.session(), "", &device.token()).send().await;
        assert_eq!(answer.is(200).headers["cache-control"], "no-store");
        envelopes.insert(answer.json()["key"].as_str().unwrap().to_owned());
        keys.insert(unwrapped(&answer, device, now).2);
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

mod late;
mod policy;

mod suites {
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
        let now = office.system.clock.now();
        for (key, offer) in [
            (office.session().await, OFFER_OF_SEVERAL),
            (office.session_of_the_phone().await, SuiteList::ours().offer_hash()),
        ] {
            let answer = office.fetch(key.session(), "", &office.phone.keys.token()).send().await;
            let told: SessionKey = serde_json::from_slice(&answer.is(200).body).unwrap();
            let profile = office.phone.keys.profile();
            let expected = Expected {
                service: profile.service,
                server: &profile.server,
                user: profile.user.as_ref(),
                pairing: profile.pairing,
                session: None,
                generation: None,
                generation_seen: 0,
            };
            let opened = envelope::open(&Kek::of(&profile.root), &told.key, &expected, now).unwrap();
            assert_eq!(opened.bindings.offer, offer);
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
}

mod opening {
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
            let key =
                office.mail.server.issue(&audience, Some(ttl_s), &Office::capabilities()).await.unwrap();
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
}

mod opening_once {
    use super::*;

    #[tokio::test]
    async fn the_same_request_opens_one_session_and_gets_its_key_again() {
        let office = Office::open().await;
        let now = office.system.clock.now();
        let first = office.open_session(ONCE, &for_ann()).send().await;
        let before = office.system.records();
        let second = office.open_session(ONCE, &for_ann()).send().await;
        assert_eq!(
            unwrapped(first.is(201), &office.mail.keys, now),
            unwrapped(second.is(201), &office.mail.keys, now)
        );
        assert_ne!(first.json()["key"], second.json()["key"]);
        assert_eq!(office.system.records(), before);
        let other = office.open_session("fedcba9876543210", &for_ann()).send().await;
        assert_ne!(first.json()["session"], other.is(201).json()["session"]);
    }

    #[tokio::test]
    async fn also_across_a_restart() {
        let mut office = Office::open().await;
        let first = office.open_session(ONCE, &for_ann()).send().await.is(201).json();
        office.system.restart().await;
        let second = office.open_session(ONCE, &for_ann()).send().await.is(201).json();
        assert_eq!(first["session"], second["session"]);
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn also_when_it_comes_twice_at_once() {
        let office = Office::open().await;
        let asked: Vec<_> =
            (0..8).map(|_| tokio::spawn(office.open_session(ONCE, &for_ann()).send())).collect();
        let mut sessions = BTreeSet::new();
        for answer in asked {
            sessions.insert(answer.await.unwrap().is(201).json()["session"].to_string());
        }
        assert_eq!(sessions.len(), 1);
        assert_eq!(office.phone.client.current().await.unwrap().len(), 1);
    }

    /// A key is its sender's own: what another gateway calls its request does not matter.
    #[tokio::test]
    async fn the_same_key_of_another_gateway_is_another_request() {
        let office = Office::open().await;
        let second = office.system.pair_server(MAIL).await;
        let mine = office.open_session(ONCE, &for_ann()).send().await.is(201).json();
        let asked = office.system.post("/v1/sessions", &second.keys.token(), &for_ann()).once(ONCE);
        assert_ne!(mine["session"], asked.send().await.is(201).json()["session"]);
    }

    #[tokio::test]
    async fn the_key_with_another_body_is_refused() {
        let office = Office::open().await;
        office.open_session(ONCE, &for_ann()).send().await.is(201);
        let before = office.system.records();
        let other = json!({"user": ANN, "capabilities": ["C20P", "A256GCM"]});
        office.open_session(ONCE, &other).send().await.refused(422, "idempotency_key_reused");
        assert_eq!(office.system.records(), before);
    }

    #[tokio::test]
    async fn a_request_without_key_is_refused() {
        let office = Office::open().await;
        let before = office.system.records();
        let asked = office.system.post("/v1/sessions", &office.mail.keys.token(), &for_ann());
        asked.send().await.refused(400, "idempotency_key_missing");
        assert_eq!(office.system.records(), before);
    }

    #[tokio::test]
    async fn a_key_that_is_too_short_too_long_or_not_plain_is_refused() {
        let office = Office::open().await;
        let before = office.system.records();
        for key in ["a".repeat(15), "a".repeat(65), "a b".repeat(6)] {
            let asked = office.open_session(&key, &for_ann()).send().await;
            asked.refused(400, "idempotency_key_malformed");
        }
        assert_eq!(office.system.records(), before);
    }

    #[tokio::test]
    async fn two_keys_on_one_request_are_refused() {
        let office = Office::open().await;
        let before = office.system.records();
        let asked = office.open_session(ONCE, &for_ann()).once("fedcba9876543210").send().await;
        asked.refused(400, "header_repeated");
        assert_eq!(office.system.records(), before);
    }

    #[tokio::test]
    async fn a_repeat_after_the_session_was_ended_or_revoked_is_gone() {
        let office = Office::open().await;
        for by_admin in [true, false] {
            let once = if by_admin { ONCE } else { "fedcba9876543210" };
            let session =
                office.open_session(once, &for_ann()).send().await.is(201).json()["session"].clone();
            if by_admin {
                office.revoke(&json!({"kind": "session", "session": session})).send().await.is(200);
            } else {
                let path = format!("/v1/sessions/{}", session.as_str().unwrap());
                let asked = office.system.ask(Method::DELETE, &path).bearer(&office.mail.keys.token());
                asked.send().await.is(204);
            }
            let before = office.system.records();
            office.open_session(once, &for_ann()).send().await.refused(410, "session_ended");
            assert_eq!(office.system.records(), before);
        }
    }

    #[tokio::test]
    async fn a_repeat_after_its_pairing_was_revoked_is_gone() {
        let office = Office::open().await;
        let body = json!({"pairing": office.phone.client.pairing(), "capabilities": ["A256GCM"]});
        office.open_session(ONCE, &body).send().await.is(201);
        office.revoke_the_phone().await;
        let before = office.system.records();
        office.open_session(ONCE, &body).send().await.refused(410, "session_ended");
        assert_eq!(office.system.records(), before);
    }

    #[tokio::test]
    async fn a_repeat_after_its_user_was_revoked_is_gone() {
        let office = Office::open().await;
        office.open_session(ONCE, &for_ann()).send().await.is(201);
        office.revoke(&json!({"kind": "user", "server": MAIL, "user": ANN})).send().await.is(200);
        let before = office.system.records();
        office.open_session(ONCE, &for_ann()).send().await.refused(410, "session_ended");
        assert_eq!(office.system.records(), before);
    }

    #[tokio::test]
    async fn a_repeat_after_the_session_has_expired_is_gone() {
        let office = Office::open().await;
        office.open_session(ONCE, &for_ann()).send().await.is(201);
        office.system.clock.advance_s(3600);
        let before = office.system.records();
        office.open_session(ONCE, &for_ann()).send().await.refused(410, "session_expired");
        assert_eq!(office.system.records(), before);
    }
}

mod fetching {
    use super::*;

    #[tokio::test]
    async fn a_session_of_one_pairing_is_not_there_for_the_users_other_device() {
        let office = Office::open().await;
        let key = office.session_of_the_phone().await;
        let fetched = office.phone.client.session_key(key.session()).await.unwrap();
        agree(&office.mail, &key, &office.phone, &fetched).await;
        let unknown = SessionId::from_bytes([7; 16]);
        let token = office.tablet.keys.token();
        let foreign = office.fetch(key.session(), "", &token).send().await.refused(404, "not_found");
        let unknown = office.fetch(unknown, "", &token).send().await.refused(404, "not_found");
        assert_eq!(foreign, unknown);
    }

    /// Another user, another server, another enterprise's device: each sees what it would see of an id that nobody has.
    #[tokio::test]
    async fn strangers_cannot_tell_a_session_from_none() {
        let office = Office::open().await;
        office.system.add_server(SHOP).await;
        let key = office.session().await;
        let bob = office.system.pair_client(MAIL, BOB).await;
        let shop = office.system.pair_server(SHOP).await;
        let namesake = office.system.pair_client(SHOP, ANN).await;
        let nowhere = SessionId::from_bytes([7; 16]);
        for keys in [&bob.keys, &shop.keys, &namesake.keys] {
            let token = keys.token();
            for query in ["", "?generation=0", "?generation=9"] {
                let foreign = office.fetch(key.session(), query, &token).send().await;
                let unknown = office.fetch(nowhere, query, &token).send().await;
                assert_eq!(foreign.refused(404, "not_found"), unknown.refused(404, "not_found"));
                assert_eq!(names(&foreign), names(&unknown));
            }
        }
        let before = office.system.records();
        let token = shop.keys.token();
        for (method, rest) in [(Method::POST, "/rotate"), (Method::DELETE, "")] {
            let ask = |id| {
                office.system.ask(method.clone(), &format!("/v1/sessions/{id}{rest}")).bearer(&token).send()
            };
            let foreign = ask(key.session()).await.refused(404, "not_found");
            assert_eq!(foreign, ask(nowhere).await.refused(404, "not_found"));
        }
        assert_eq!(office.system.records(), before);
        assert!(bob.client.current().await.unwrap().is_empty());
    }

    fn names(answer: &Answer) -> Vec<String> {
        answer.headers.keys().map(ToString::to_string).collect()
    }

    #[tokio::test]
    async fn an_administrator_fetches_no_key() {
        let office = Office::open().await;
        let key = office.session().await;
        let token = office.system.admin_token();
        office.fetch(key.session(), "", &token).send().await.refused(403, "role_forbidden");
        office.system.get("/v1/sessions/current", &token).send().await.refused(403, "role_forbidden");
    }

    #[tokio::test]
    async fn an_expired_session_gives_no_key() {
        let office = Office::open().await;
        let key = office.session().await;
        let (phone, session) = (&office.phone, key.session());
        office.system.clock.set(Timestamp(key.not_after().0 - 1));
        phone.client.session_key(session).await.unwrap();
        office.system.clock.set(key.not_after());
        office.fetch(session, "", &phone.keys.token()).send().await.refused(410, "session_expired");
        assert!(matches!(phone.client.session_key(session).await, Err(Error::Expired)));
        let rotate = format!("/v1/sessions/{session}/rotate");
        let before = office.system.records();
        let asked = office.system.post(&rotate, &office.mail.keys.token(), &json!({})).send().await;
        asked.refused(410, "session_expired");
        assert!(matches!(office.mail.server.end(session).await, Err(Error::Expired)));
        assert_eq!(office.system.records(), before);
    }

    #[tokio::test]
    async fn an_ended_session_gives_no_key() {
        let office = Office::open().await;
        let key = office.session().await;
        let session = key.session();
        office.phone.client.session_key(session).await.unwrap();
        office.mail.server.end(session).await.unwrap();
        for keys in [&office.phone.keys, &office.mail.keys] {
            office.fetch(session, "", &keys.token()).send().await.refused(410, "session_ended");
        }
        let fresh = office.phone.keys.client(office.system.ambient()).await;
        assert!(matches!(fresh.session_key(session).await, Err(Error::Expired)));
        assert!(fresh.current().await.unwrap().is_empty());
        let before = office.system.records();
        assert!(matches!(office.mail.server.end(session).await, Err(Error::Expired)));
        assert!(matches!(office.mail.server.rotate(session).await, Err(Error::Expired)));
        assert_eq!(office.system.records(), before);
    }

    #[tokio::test]
    async fn a_query_that_is_none_of_this_route_is_refused() {
        let office = Office::open().await;
        let key = office.session().await;
        for query in [
            "?generation=-1",
            "?generation=4294967296",
            "?generation=x",
            "?epoch=0",
            "?generation=0&generation=0",
        ] {
            let asked = office.fetch(key.session(), query, &office.phone.keys.token()).send().await;
            asked.refused(400, "query_invalid");
        }
    }

    #[tokio::test]
    async fn a_path_that_is_no_id_names_nothing() {
        let office = Office::open().await;
        let key = office.session().await;
        let upper = key.session().to_string().to_uppercase();
        for id in ["7", &upper, "..%2f..", &"0".repeat(33), &"a".repeat(1000)] {
            let asked = office.system.get(&format!("/v1/sessions/{id}/key"), &office.phone.keys.token());
            let answer = asked.send().await;
            if id == upper && id == key.session().to_string() {
                answer.is(200);
            } else {
                answer.refused(404, "not_found");
            }
        }
    }

    /// A root that is over serves a rekey alone, which the client crate makes by itself.
    #[tokio::test]
    async fn a_pairing_that_is_older_than_its_first_epoch_still_gets_keys() {
        let office = Office::open().await;
        office.system.clock.set(office.phone.keys.profile().not_after.after_s(1));
        let key = office.session().await;
        let fetched = office.phone.client.session_key(key.session()).await.unwrap();
        agree(&office.mail, &key, &office.phone, &fetched).await;
    }

    #[tokio::test]
    async fn a_token_of_another_key_epoch_gets_no_key() {
        let office = Office::open().await;
        let key = office.session().await;
        let profile = office.phone.keys.profile();
        let now = office.system.clock.now();
        let foreign = token::sign(&profile.signing_key, profile.pairing, profile.service, Some([7; 8]), now);
        office.fetch(key.session(), "", &foreign).send().await.refused(409, "kek_unknown");
        let silent = token::sign(&profile.signing_key, profile.pairing, profile.service, None, now);
        office.fetch(key.session(), "", &silent).send().await.is(200);
    }
}

mod rotating {
    use super::*;

    #[tokio::test]
    async fn the_generation_before_opens_for_two_minutes_and_no_longer() {
        let office = Office::open().await;
        let old = office.session().await;
        let session = old.session();
        let new = office.mail.server.rotate(session).await.unwrap();
        assert_eq!(new.generation(), 1);
        let fetched = office.phone.client.session_key(session).await.unwrap();
        agree(&office.mail, &new, &office.phone, &fetched).await;

        let token = office.tablet.keys.token();
        for (seconds, opens) in [(0, true), (119, true), (120, false), (121, false)] {
            office.system.clock.set(new.not_before().after_s(seconds));
            let answer = office.fetch(session, "?generation=0", &token).send().await;
            let fresh = office.tablet.keys.client(office.system.ambient()).await;
            let through_the_crate = fresh.session_key_of(session, 0).await;
            if opens {
                assert_eq!(answer.is(200).json()["generation"], 0);
                agree(&office.mail, &old, &office.tablet, &through_the_crate.unwrap()).await;
            } else {
                answer.refused(410, "generation_passed");
                assert!(matches!(through_the_crate, Err(Error::Expired)));
            }
            let newest = office.fetch(session, "", &token).send().await.is(200).json();
            assert_eq!((&newest["generation"], &newest["not_before"]), (&json!(1), &json!(new.not_before())));
        }
    }

    #[tokio::test]
    async fn two_rotations_back_nothing_opens() {
        let office = Office::open().await;
        let session = office.session().await.session();
        office.mail.server.rotate(session).await.unwrap();
        office.mail.server.rotate(session).await.unwrap();
        let token = office.phone.keys.token();
        office.fetch(session, "?generation=0", &token).send().await.refused(410, "generation_passed");
        office.fetch(session, "?generation=1", &token).send().await.is(200);
        office.fetch(session, "?generation=2", &token).send().await.is(200);
        office.fetch(session, "?generation=3", &token).send().await.refused(404, "generation_unknown");
    }

    #[tokio::test]
    async fn each_generation_has_a_key_of_its_own() {
        let office = Office::open().await;
        let session = office.session().await.session();
        let (keys, now) = (&office.phone.keys, office.system.clock.now());
        let mut seen = BTreeSet::new();
        for generation in 0..4 {
            let answer = office.fetch(session, "", &keys.token()).send().await;
            let (_, told, key) = unwrapped(answer.is(200), keys, now);
            assert_eq!(told, generation);
            assert!(seen.insert(key));
            office.mail.server.rotate(session).await.unwrap();
        }
    }

    #[tokio::test]
    async fn a_rotation_does_not_lengthen_a_session() {
        let office = Office::open().await;
        let key = office.session().await;
        office.system.clock.advance_s(1000);
        let new = office.mail.server.rotate(key.session()).await.unwrap();
        assert_eq!(new.not_after(), key.not_after());
        assert_eq!(new.not_before(), office.system.clock.now());
    }

    #[tokio::test]
    async fn an_empty_body_rotates_and_one_with_members_does_not() {
        let office = Office::open().await;
        let session = office.session().await.session();
        let path = format!("/v1/sessions/{session}/rotate");
        let ask = || office.system.ask(Method::POST, &path).bearer(&office.mail.keys.token());
        ask().send().await.is(200);
        ask().json(&json!({})).send().await.is(200);
        let before = office.system.records();
        ask().json(&json!({"generation": 9})).send().await.refused(400, "body_invalid");
        ask().body("{}").send().await.refused(415, "media_type_unsupported");
        assert_eq!(office.system.records(), before);
    }

    #[tokio::test]
    async fn a_client_neither_rotates_nor_ends() {
        let office = Office::open().await;
        let session = office.session().await.session();
        let token = office.phone.keys.token();
        let before = office.system.records();
        let rotate = format!("/v1/sessions/{session}/rotate");
        office.system.post(&rotate, &token, &json!({})).send().await.refused(403, "role_forbidden");
        let end = office.system.ask(Method::DELETE, &format!("/v1/sessions/{session}")).bearer(&token);
        end.send().await.refused(403, "role_forbidden");
        assert_eq!(office.system.records(), before);
    }
}

mod tokens {
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
        let token =
            token::sign(&profile.signing_key, office.tablet.client.pairing(), profile.service, None, now);
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
