//! SSE resume: whoever loses its stream of events and comes back hears what it missed, or that nobody knows it any more.

use std::sync::Arc;
use std::time::Duration;

use serde_json::json;
use sidekey_client::{Notice, Watch};
use sidekey_protocol::crypto::Secret;
use sidekey_protocol::encoding::from_base64url;
use sidekey_protocol::revocation::wire::Event;
use sidekey_protocol::session::Audience;
use sidekey_service::store::Store;
use sidekey_tests::{ANN, BOB, EventStream, MAIL, Office, SHOP, server, user};

async fn listen(office: &Office, after: Option<&str>) -> EventStream {
    let asking = office.system.get("/v1/events", &office.phone.keys.token());
    match after {
        Some(id) => asking.header(http::HeaderName::from_static("last-event-id"), id).listen().await,
        None => asking.listen().await,
    }
}

async fn next(stream: &mut EventStream) -> (String, serde_json::Value) {
    tokio::time::timeout(Duration::from_secs(10), stream.next()).await.unwrap().expect("the stream goes on")
}

#[tokio::test]
async fn sse_resume_tells_what_was_missed_and_no_more() {
    let office = Office::open().await;
    office.system.pair_client(MAIL, BOB).await;
    let mut stream = listen(&office, None).await;
    let first = office.session().await.session();
    assert_eq!(next(&mut stream).await.1["session"], json!(first));
    let heard = stream.last_id().unwrap().to_owned();
    drop(stream);

    // Missed: a rotation and a session of its own. A session of another user's is none of its business.
    office.mail.server.rotate(first).await.unwrap();
    let bobs = Audience::User(user(BOB));
    office.mail.server.issue(&bobs, None, &Office::capabilities()).await.unwrap();
    let second = office.session().await.session();

    let mut stream = listen(&office, Some(&heard)).await;
    let (name, data) = next(&mut stream).await;
    assert_eq!((name.as_str(), &data["session"], &data["generation"]), ("rotated", &json!(first), &json!(1)));
    let (name, data) = next(&mut stream).await;
    assert_eq!((name.as_str(), &data["session"], &data["user"]), ("opened", &json!(second), &json!(ANN)));
    // And from there on as it happens.
    office.mail.server.end(second).await.unwrap();
    assert_eq!(next(&mut stream).await.0, "ended");
}

#[tokio::test]
async fn sse_resume_repeats_a_revocation_whole_when_the_stream_broke_in_the_middle_of_it() {
    let office = Office::open().await;
    let sessions = [office.session().await.session(), office.session().await.session()];
    let tablet = office.tablet.keys.token();
    let mut stream = office.system.get("/v1/events", &tablet).listen().await;
    let before = stream.quiet().await;
    office.revoke_the_phone().await;
    let mut told = Vec::new();
    for n in 0..3 {
        told.push(next(&mut stream).await);
        assert_eq!(stream.last_id() == Some(before.as_str()), n < 2, "only the last of them has the id");
    }
    let mut again = office
        .system
        .get("/v1/events", &tablet)
        .header(http::HeaderName::from_static("last-event-id"), &before)
        .listen()
        .await;
    for event in told {
        assert_eq!(next(&mut again).await, event);
    }
    assert_eq!(sessions.len(), 2);
}

#[tokio::test]
async fn sse_resume_survives_a_restart_in_which_nothing_happened() {
    let mut office = Office::open().await;
    let mut stream = listen(&office, None).await;
    stream.quiet().await;
    office.session().await;
    next(&mut stream).await;
    office.system.stop().await;
    assert_eq!(next(&mut stream).await.0, "stopping");
    let heard = stream.last_id().unwrap().to_owned();
    assert_eq!(stream.next().await, None);
    office.system.start_again().await;
    let mut stream = listen(&office, Some(&heard)).await;
    stream.quiet().await;
}

#[tokio::test]
async fn sse_resume_of_what_is_not_known_any_more_says_so() {
    let mut office = Office::open().await;
    let heard = listen(&office, None).await.quiet().await;
    office.session().await;
    office.system.restart().await;
    let future = u64::MAX.to_string();
    for id in [heard.as_str(), "0", &future, "-1", "x"] {
        let mut stream = listen(&office, Some(id)).await;
        assert_eq!(next(&mut stream).await, ("reset".to_owned(), json!({})), "{id}");
        let known = stream.last_id().unwrap().to_owned();
        listen(&office, Some(&known)).await.quiet().await;
    }
    let twice = office.system.get("/v1/events", &office.phone.keys.token());
    let name = http::HeaderName::from_static("last-event-id");
    twice.header(name.clone(), "1").header(name, "2").send().await.refused(400, "header_repeated");
}

/// The stream's first notice.
async fn begun(watch: &mut Watch) {
    assert_eq!(watch.next().await.unwrap().unwrap(), Notice::Gap);
}

#[tokio::test]
async fn sse_resume_keeps_what_the_client_crate_has_cached_unless_something_was_missed() {
    let mut office = Office::open().await;
    let mut watch = office.phone.client.watch();
    begun(&mut watch).await;
    let key = office.session().await;
    assert!(matches!(watch.next().await, Some(Ok(Notice::Event(Event::Opened(_))))));
    office.phone.client.session_key(key.session()).await.unwrap();

    // Nothing was missed: what comes next is the next event.
    office.system.restart().await;
    office.mail.server.rotate(key.session()).await.unwrap();
    assert!(matches!(watch.next().await, Some(Ok(Notice::Event(Event::Rotated(_))))));

    // Something happened while nobody could hear it, and the service does not know it any more.
    office.system.stop().await;
    change_unheard(&office).await;
    office.system.start_again().await;
    begun(&mut watch).await;
    let next = office.session().await.session();
    assert!(
        matches!(watch.next().await, Some(Ok(Notice::Event(Event::Opened(opened)))) if opened.session == next)
    );
}

/// A commit by nobody's service, on the folder of one that has stopped.
async fn change_unheard(office: &Office) {
    let data = office.system.data();
    let root = std::fs::read_to_string(data.join("root.key")).unwrap();
    let root = Secret::copy_of(&from_base64url(root.trim()).unwrap()).unwrap();
    let store =
        Store::open(&data, root, Arc::new(office.system.clock.clone()), Box::new(office.system.rng()));
    let store = Arc::new(store.unwrap());
    store.add_server(office.system.admin_credential().party, server(SHOP)).await.unwrap();
    store.close().await;
}
