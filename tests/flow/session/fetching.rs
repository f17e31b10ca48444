//! Who gets a key, and which.

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
        let ask =
            |id| office.system.ask(method.clone(), &format!("/v1/sessions/{id}{rest}")).bearer(&token).send();
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
