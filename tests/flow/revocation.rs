//! Revocation: effective on the very next request, for ever, and told at once to those whom it concerns.

mod events;
mod races;

use std::time::{Duration, Instant};

use http::Method;
use serde_json::{Value, json};
use sidekey_client::admin::PairingFilter;
use sidekey_client::{Error, Notice, Watch};
use sidekey_protocol::ids::{InvitationId, PartyId, SessionId};
use sidekey_protocol::revocation::Target;
use sidekey_protocol::revocation::wire::Event;
use sidekey_protocol::session::{Audience, Cause};
use sidekey_tests::mail::agree;
use sidekey_tests::{ANN, BOB, EventStream, MAIL, Office, Phone, SHOP, user};

/// A promise, not a measurement: events come within a second.
const PROMPT: Duration = Duration::from_secs(1);

fn pairing(phone: &Phone) -> Value {
    json!({"kind": "pairing", "pairing": phone.client.pairing()})
}

fn ann() -> Value {
    json!({"kind": "user", "server": MAIL, "user": ANN})
}

#[tokio::test]
async fn a_revoked_device_is_refused_at_its_next_request_and_told_why() {
    let office = Office::open().await;
    let key = office.session().await;
    office.phone.client.session_key(key.session()).await.unwrap();
    let token = office.phone.keys.token();
    office.fetch(key.session(), "", &token).send().await.is(200);

    let answer = office.revoke(&pairing(&office.phone)).send().await.is(200).json();
    let expected = json!({
        "revocations": 1, "invitations": 0, "pairings": 1, "credentials": 0, "sessions_rotated": 1, "sessions_ended": 0,
    });
    assert_eq!(answer, expected);

    // The very token that was taken a moment ago.
    let now = office.system.clock.now();
    for path in
        [&format!("/v1/sessions/{}/key", key.session()), "/v1/sessions/current", "/v1/policy", "/v1/events"]
    {
        let problem = office.system.get(path, &token).send().await.refused(410, "revoked");
        assert_eq!(
            (&problem["reason"], &problem["revoked_at"]),
            (&json!("phone lost"), &json!(now)),
            "{path}"
        );
    }
    let fresh = office.phone.keys.client(office.system.ambient()).await;
    let refused = fresh.session_key(key.session()).await;
    assert!(matches!(refused, Err(Error::Revoked { reason, at }) if reason == "phone lost" && at == now));
    let listed = office.system.admin.pairings(&PairingFilter::default()).await.unwrap();
    let listed = listed.iter().find(|pairing| pairing.pairing == office.phone.client.pairing()).unwrap();
    assert_eq!(listed.revoked.as_ref().unwrap().reason.as_str(), "phone lost");
}

#[tokio::test]
async fn the_other_device_and_the_server_go_on_with_a_rotated_key() {
    let office = Office::open().await;
    let old = office.session().await;
    let session = old.session();
    office.tablet.client.session_key(session).await.unwrap();
    office.revoke_the_phone().await;

    let mail = office.mail.keys.server(office.system.ambient()).await.session_key(session).await.unwrap();
    let tablet = office.tablet.keys.client(office.system.ambient()).await.session_key(session).await.unwrap();
    assert_eq!((mail.generation(), tablet.generation()), (1, 1));
    agree(&office.mail, &mail, &office.tablet, &tablet).await;
    // What the phone still holds opens nothing of it: not even the same key under another number.
    let frame = {
        use sidekey_tests::mail::{Fetch, sealed};
        sealed(&office.mail, &mail, &Fetch::default(), sidekey_client::object::Kind::Literal, b"x").await
    };
    let opened =
        sidekey_tests::mail::opened(&office.tablet, &old, &sidekey_tests::mail::Fetch::default(), &frame)
            .await;
    assert!(matches!(opened, Err(Error::WrongPlace(_))));
}

#[tokio::test]
async fn the_generation_before_a_revocation_opens_not_even_for_a_second() {
    let office = Office::open().await;
    let session = office.session().await.session();
    office.mail.server.rotate(session).await.unwrap();
    office.revoke_the_phone().await;
    for keys in [&office.tablet.keys, &office.mail.keys] {
        let token = keys.token();
        office.fetch(session, "?generation=1", &token).send().await.refused(410, "generation_revoked");
        office.fetch(session, "?generation=0", &token).send().await.refused(410, "generation_passed");
        office.fetch(session, "?generation=2", &token).send().await.is(200);
    }
    let fresh = office.tablet.keys.client(office.system.ambient()).await;
    assert!(matches!(fresh.session_key_of(session, 1).await, Err(Error::Expired)));
}

#[tokio::test]
async fn a_session_of_the_revoked_device_alone_ends() {
    let office = Office::open().await;
    let key = office.session_of_the_phone().await;
    let answer = office.revoke(&pairing(&office.phone)).send().await.is(200).json();
    assert_eq!((&answer["sessions_ended"], &answer["sessions_rotated"]), (&json!(1), &json!(0)));
    office.fetch(key.session(), "", &office.mail.keys.token()).send().await.refused(410, "session_ended");
}

#[tokio::test]
async fn when_the_last_device_goes_its_sessions_end() {
    let office = Office::open().await;
    let session = office.session().await.session();
    office.revoke(&pairing(&office.tablet)).send().await.is(200);
    let answer = office.revoke(&pairing(&office.phone)).send().await.is(200).json();
    assert_eq!((&answer["sessions_ended"], &answer["sessions_rotated"]), (&json!(1), &json!(0)));
    office.fetch(session, "", &office.mail.keys.token()).send().await.refused(410, "session_ended");
}

#[tokio::test]
async fn what_was_revoked_never_comes_back() {
    let mut office = Office::open().await;
    let session = office.session().await.session();
    office.revoke_the_phone().await;
    for _ in 0..2 {
        office.system.restart().await;
        office.system.clock.advance_s(60);
        office.fetch(session, "", &office.phone.keys.token()).send().await.refused(410, "revoked");
        let answer = office.fetch(session, "", &office.tablet.keys.token()).send().await.is(200).json();
        assert_eq!(answer["generation"], 1);
        let again = office.revoke(&pairing(&office.phone)).send().await;
        assert!(again.is(204).body.is_empty());
    }
}

#[tokio::test]
async fn a_new_pairing_of_the_same_person_is_another_one() {
    let office = Office::open().await;
    let session = office.session().await.session();
    office.revoke_the_phone().await;
    let again = office.system.pair_client(MAIL, ANN).await;
    let key = again.client.session_key(session).await.unwrap();
    assert_eq!(key.generation(), 1);
    office.fetch(session, "", &office.phone.keys.token()).send().await.refused(410, "revoked");
}

#[tokio::test]
async fn a_user_is_revoked_with_all_devices_sessions_and_invitations() {
    let office = Office::open().await;
    let bob = office.system.pair_client(MAIL, BOB).await;
    let (one, two) = (office.session().await, office.session_of_the_phone().await);
    let bobs =
        office.mail.server.issue(&Audience::User(user(BOB)), None, &Office::capabilities()).await.unwrap();
    let invited = office.system.invite(MAIL, Some(ANN)).await;
    let answer = office.revoke(&ann()).send().await.is(200).json();
    let expected = json!({
        "revocations": 1, "invitations": 1, "pairings": 2, "credentials": 0, "sessions_rotated": 0, "sessions_ended": 2,
    });
    assert_eq!(answer, expected);
    for phone in [&office.phone, &office.tablet] {
        office.fetch(one.session(), "", &phone.keys.token()).send().await.refused(410, "revoked");
    }
    for session in [one.session(), two.session()] {
        office.fetch(session, "", &office.mail.keys.token()).send().await.refused(410, "session_ended");
    }
    let refused =
        office.system.pair(office.system.accept(&invited, sidekey_protocol::ids::Role::Client)).await;
    assert!(matches!(refused, Err(Error::PairAgain { code, .. }) if code == "invitation_over"));
    let key = bob.client.session_key(bobs.session()).await.unwrap();
    assert_eq!(key.generation(), 0);
    office.revoke(&ann()).send().await.is(204);
}

#[tokio::test]
async fn a_server_is_revoked_with_everybody_and_everything_at_it() {
    let office = Office::open().await;
    office.system.add_server(SHOP).await;
    let shop = office.system.pair_server(SHOP).await;
    let client = office.system.pair_client(SHOP, BOB).await;
    let shops = shop.server.issue(&Audience::User(user(BOB)), None, &Office::capabilities()).await.unwrap();
    let session = office.session().await.session();
    office.system.invite(MAIL, None).await;

    let mail = json!({"kind": "server", "server": MAIL});
    let answer = office.revoke(&mail).send().await.is(200).json();
    let expected = json!({
        "revocations": 1, "invitations": 1, "pairings": 3, "credentials": 0, "sessions_rotated": 0, "sessions_ended": 1,
    });
    assert_eq!(answer, expected);
    for keys in [&office.mail.keys, &office.phone.keys, &office.tablet.keys] {
        office.fetch(session, "", &keys.token()).send().await.refused(410, "revoked");
    }
    client.client.session_key(shops.session()).await.unwrap();
    let invite = json!({"role": "server", "server": MAIL});
    let token = office.system.admin_token();
    office.system.post("/v1/invitations", &token, &invite).send().await.refused(410, "revoked");
    let add = json!({"name": MAIL});
    office.system.post("/v1/servers", &token, &add).send().await.refused(409, "server_exists");
    office.revoke(&mail).send().await.is(204);
}

#[tokio::test]
async fn a_gateway_is_revoked_and_the_other_one_goes_on_with_rotated_keys() {
    let office = Office::open().await;
    let second = office.system.pair_server(MAIL).await;
    let session = office.session().await.session();
    let mail = json!({"kind": "pairing", "pairing": office.mail.server.pairing()});
    let answer = office.revoke(&mail).send().await.is(200).json();
    assert_eq!((&answer["pairings"], &answer["sessions_rotated"]), (&json!(1), &json!(1)));
    office.fetch(session, "", &office.mail.keys.token()).send().await.refused(410, "revoked");
    let sealing = second.server.session_key(session).await.unwrap();
    let opening = office.phone.client.session_key(session).await.unwrap();
    assert_eq!(sealing.generation(), 1);
    agree(&second, &sealing, &office.phone, &opening).await;
}

#[tokio::test]
async fn a_session_is_revoked_for_all_its_parties() {
    let office = Office::open().await;
    let (revoked, other) = (office.session().await.session(), office.session().await.session());
    let target = json!({"kind": "session", "session": revoked});
    let answer = office.revoke(&target).send().await.is(200).json();
    assert_eq!((&answer["sessions_ended"], &answer["pairings"]), (&json!(1), &json!(0)));
    for keys in [&office.mail.keys, &office.phone.keys, &office.tablet.keys] {
        office.fetch(revoked, "", &keys.token()).send().await.refused(410, "session_ended");
        office.fetch(other, "", &keys.token()).send().await.is(200);
    }
    office.revoke(&target).send().await.is(204);
}

#[tokio::test]
async fn what_there_is_not_cannot_be_revoked() {
    let office = Office::open().await;
    let before = office.system.records();
    let nobody =
        office.revoke(&json!({"kind": "pairing", "pairing": PartyId::from_bytes([7; 16])})).send().await;
    let nobody = nobody.refused(404, "not_found");
    for target in [
        json!({"kind": "invitation", "invitation": InvitationId::from_bytes([7; 16])}),
        json!({"kind": "session", "session": SessionId::from_bytes([7; 16])}),
        json!({"kind": "user", "server": MAIL, "user": BOB}),
        json!({"kind": "user", "server": SHOP, "user": ANN}),
        json!({"kind": "server", "server": SHOP}),
        // An administrator is no pairing.
        json!({"kind": "pairing", "pairing": office.system.admin_credential().party}),
    ] {
        assert_eq!(office.revoke(&target).send().await.refused(404, "not_found"), nobody, "{target}");
    }
    assert_eq!(office.system.records(), before);
}

#[tokio::test]
async fn a_party_revokes_itself_and_nothing_else() {
    let office = Office::open().await;
    let session = office.session().await.session();
    let before = office.system.records();
    let phone = office.phone.keys.token();
    let ask = |token: &str, target: &Value| {
        let body = json!({"target": target, "reason": "because"});
        office.system.post("/v1/revocations", token, &body).send()
    };
    let nobody = ask(&phone, &json!({"kind": "pairing", "pairing": PartyId::from_bytes([7; 16])})).await;
    let nobody = nobody.refused(404, "not_found");
    for token in [&phone, &office.mail.keys.token()] {
        for target in [
            pairing(&office.tablet),
            ann(),
            json!({"kind": "server", "server": MAIL}),
            json!({"kind": "session", "session": session}),
        ] {
            assert_eq!(ask(token, &target).await.refused(404, "not_found"), nobody, "{target}");
        }
    }
    assert_eq!(office.system.records(), before);
    ask(&phone, &pairing(&office.phone)).await.is(200);
    ask(&phone, &pairing(&office.phone)).await.refused(410, "revoked");
    office.fetch(session, "", &office.tablet.keys.token()).send().await.is(200);
}

#[tokio::test]
async fn nobody_revokes_without_a_token() {
    let office = Office::open().await;
    let before = office.system.records();
    let body = json!({"target": pairing(&office.phone), "reason": "because"});
    let asked = office.system.ask(Method::POST, "/v1/revocations").json(&body).send().await;
    asked.refused(401, "token_missing");
    assert_eq!(office.system.records(), before);
}

#[tokio::test]
async fn a_request_that_does_not_say_what_to_revoke_and_why_is_refused() {
    let office = Office::open().await;
    let before = office.system.records();
    let token = office.system.admin_token();
    for body in [
        json!({"target": pairing(&office.phone)}),
        json!({"target": pairing(&office.phone), "reason": ""}),
        json!({"target": pairing(&office.phone), "reason": "x".repeat(201)}),
        json!({"target": pairing(&office.phone), "reason": "a\u{1b}[2Jb"}),
        json!({"target": pairing(&office.phone), "reason": "lost", "silent": true}),
        json!({"target": {"kind": "everything"}, "reason": "lost"}),
        json!({"target": {"kind": "pairing", "user": ANN}, "reason": "lost"}),
        json!({"target": {"kind": "user", "user": ANN}, "reason": "lost"}),
        json!({"target": {"kind": "server", "server": MAIL, "user": ANN}, "reason": "lost"}),
        json!({"reason": "lost"}),
    ] {
        office.system.post("/v1/revocations", &token, &body).send().await.refused(400, "body_invalid");
    }
    assert_eq!(office.system.records(), before);
}

#[tokio::test]
async fn every_revocation_raises_the_head_that_parties_are_shown() {
    let office = Office::open().await;
    let session = office.session().await.session();
    let shown = |keys: &sidekey_tests::Keys| keys.profile().head.highest().map(|head| head.n());
    office.tablet.client.session_key(session).await.unwrap();
    assert_eq!(shown(&office.tablet.keys), Some(0));
    office.revoke_the_phone().await;
    office.tablet.keys.client(office.system.ambient()).await.session_key(session).await.unwrap();
    assert_eq!(shown(&office.tablet.keys), Some(1));
}
