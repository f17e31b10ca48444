//! What listeners hear, and from where on.

use super::*;

async fn listen(office: &Office, token: &str) -> EventStream {
    office.system.get("/v1/events", token).listen().await
}

#[track_caller]
fn within<T>(began: Instant, what: T) -> T {
    assert!(began.elapsed() < PROMPT, "{:?}", began.elapsed());
    what
}

#[tokio::test]
async fn a_revoked_device_hears_it_and_is_then_cut_off() {
    let office = Office::open().await;
    office.session().await;
    let mut stream = listen(&office, &office.phone.keys.token()).await;
    let began = Instant::now();
    office.revoke_the_phone().await;
    let (name, data) = within(began, stream.next().await.unwrap());
    assert_eq!(name, "revoked");
    let expected =
        json!({"target": pairing(&office.phone), "reason": "phone lost", "at": office.system.clock.now()});
    assert_eq!(data, expected);
    assert_eq!(within(began, stream.next().await), None);
}

#[tokio::test]
async fn the_server_and_the_other_device_hear_it_within_a_second() {
    let office = Office::open().await;
    let session = office.session().await.session();
    let mut streams = Vec::new();
    for keys in [&office.mail.keys, &office.tablet.keys] {
        streams.push(listen(&office, &keys.token()).await);
    }
    let began = Instant::now();
    office.revoke_the_phone().await;
    for stream in &mut streams {
        let mut names = Vec::new();
        for _ in 0..2 {
            let (name, data) = within(began, stream.next().await.unwrap());
            match name.as_str() {
                "revoked" => assert_eq!(data["target"], pairing(&office.phone)),
                "rotated" => {
                    let told = (&data["session"], &data["generation"], &data["reason"]);
                    assert_eq!(told, (&json!(session), &json!(1), &json!("revocation")));
                }
                other => panic!("{other}"),
            }
            names.push(name);
        }
        names.sort();
        assert_eq!(names, ["revoked", "rotated"]);
    }
}

#[tokio::test]
async fn what_a_server_does_is_told_to_its_devices() {
    let office = Office::open().await;
    let mut phone = listen(&office, &office.phone.keys.token()).await;
    let mut tablet = listen(&office, &office.tablet.keys.token()).await;
    let now = office.system.clock.now();
    let own = office.session_of_the_phone().await;
    let key = office.session().await;
    let session = key.session();
    office.mail.server.rotate(session).await.unwrap();
    office.mail.server.end(session).await.unwrap();
    let opened = |key: &sidekey_client::SessionKey| {
        json!({
            "session": key.session(), "server": MAIL, "user": ANN, "generation": 0,
            "not_after": key.not_after(), "at": now,
        })
    };
    let expected = [
        ("opened", opened(&own)),
        ("opened", opened(&key)),
        ("rotated", json!({"session": session, "generation": 1, "reason": "asked", "at": now})),
        ("ended", json!({"session": session, "reason": "asked", "at": now})),
    ];
    for (name, data) in &expected {
        assert_eq!(phone.next().await.unwrap(), ((*name).to_owned(), data.clone()));
    }
    // A session of the phone alone is none of the tablet's business.
    for (name, data) in &expected[1..] {
        assert_eq!(tablet.next().await.unwrap(), ((*name).to_owned(), data.clone()));
    }
}

#[tokio::test]
async fn strangers_hear_nothing_of_it() {
    let office = Office::open().await;
    office.system.add_server(SHOP).await;
    let shop = office.system.pair_server(SHOP).await;
    let bob = office.system.pair_client(MAIL, BOB).await;
    let mut streams = [listen(&office, &shop.keys.token()).await, listen(&office, &bob.keys.token()).await];
    office.session().await;
    office.revoke_the_phone().await;
    office.revoke(&ann()).send().await.is(200);
    // Their own is the first that they hear.
    let session = office.mail.server.issue(&Audience::User(user(BOB)), None, &Office::capabilities()).await;
    let session = session.unwrap().session();
    office.revoke(&json!({"kind": "server", "server": SHOP})).send().await.is(200);
    let (name, data) = streams[1].next().await.unwrap();
    assert_eq!((name.as_str(), &data["session"]), ("opened", &json!(session)));
    let (name, data) = streams[0].next().await.unwrap();
    assert_eq!((name.as_str(), &data["target"]["server"]), ("revoked", &json!(SHOP)));
}

#[tokio::test]
async fn whoever_is_revoked_with_a_user_or_a_server_hears_that() {
    for target in [ann(), json!({"kind": "server", "server": MAIL})] {
        let office = Office::open().await;
        let mut stream = listen(&office, &office.phone.keys.token()).await;
        office.revoke(&target).send().await.is(200);
        let (name, data) = stream.next().await.unwrap();
        assert_eq!((name.as_str(), &data["target"]), ("revoked", &target));
        assert_eq!(stream.next().await, None);
    }
}

#[tokio::test]
async fn streams_end_when_the_service_stops() {
    let mut office = Office::open().await;
    let mut stream = listen(&office, &office.phone.keys.token()).await;
    office.system.stop().await;
    assert_eq!(stream.next().await, Some(("stopping".to_owned(), json!({}))));
    assert_eq!(stream.next().await, None);
}

async fn event(watch: &mut Watch) -> Result<Event, Error> {
    loop {
        match watch.next().await.expect("the stream goes on") {
            Ok(Notice::Gap) => {}
            Ok(Notice::Event(event)) => return Ok(event),
            Err(error) => return Err(error),
        }
    }
}

/// Begun: the stream's first notice.
async fn begun(watch: &mut Watch) {
    assert_eq!(watch.next().await.unwrap().unwrap(), Notice::Gap);
}

#[tokio::test]
async fn the_client_crate_drops_what_it_cached_before_it_tells_the_app() {
    let office = Office::open().await;
    let session = office.session().await.session();
    let (mut phone, mut tablet) = (office.phone.client.watch(), office.tablet.client.watch());
    begun(&mut phone).await;
    begun(&mut tablet).await;
    for device in [&office.phone, &office.tablet] {
        assert_eq!(device.client.session_key(session).await.unwrap().generation(), 0);
    }
    office.revoke_the_phone().await;
    let own = Target::Pairing { pairing: office.phone.client.pairing() };
    assert!(matches!(event(&mut phone).await, Ok(Event::Revoked(told)) if told.target == own));
    assert!(matches!(event(&mut phone).await, Err(Error::Revoked { reason, .. }) if reason == "phone lost"));
    assert!(phone.next().await.is_none());
    assert!(matches!(office.phone.client.session_key(session).await, Err(Error::Revoked { .. })));
    loop {
        if let Event::Rotated(rotated) = event(&mut tablet).await.unwrap() {
            assert_eq!((rotated.session, rotated.reason), (session, Cause::Revocation));
            break;
        }
    }
    assert_eq!(office.tablet.client.session_key(session).await.unwrap().generation(), 1);
}
