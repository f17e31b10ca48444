//! A new key for an open session, and how long the one before it opens.

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
    let keys = &office.phone.keys;
    let mut seen = BTreeSet::new();
    for generation in 0..4 {
        let answer = office.fetch(session, "", &keys.token()).send().await;
        let (_, told, key) = unwrapped(answer.is(200), keys);
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
