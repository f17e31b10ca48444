//! Bearers that lie: an SMSC and an XDMS are the operator's, like the proxy. What they bring is believed for what is sealed
//! in it alone.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use http::HeaderName;
use serde_json::json;
use sidekey_carrier::{Document, Entry, xdms};
use sidekey_client::error::{Downgrade, Tampered, XdmsTrouble};
use sidekey_client::xdms::{Delivered, Xdms};
use sidekey_client::{Client, Error, Roots, SessionKey};
use sidekey_protocol::ids::SessionId;
use sidekey_protocol::session::Audience;
use sidekey_protocol::session::envelope::{Reject, cose};
use sidekey_service::config::Carrier;
use sidekey_tests::others::authority::Authority;
use sidekey_tests::others::server::{Say, Server};
use sidekey_tests::others::xcap::Xcap;
use sidekey_tests::{BOB, Keys, MAIL, Office, System, configured};

/// What the service would send to these keys' device by SMS.
async fn by_sms(office: &Office, session: SessionId, keys: &Keys) -> Vec<u8> {
    let asked = office.fetch(session, "", &keys.token());
    let answer = asked.header(HeaderName::from_static("accept"), cose::MEDIA_TYPE).send().await;
    answer.is(200).body.to_vec()
}

/// What the service would lay on an XDMS for these devices.
async fn on_xdms(office: &Office, session: SessionId, devices: &[&Keys]) -> String {
    let mut entries = Vec::new();
    for keys in devices {
        let answer = office.fetch(session, "", &keys.token()).send().await.is(200).json();
        let envelope = answer["key"].as_str().unwrap().to_owned();
        entries.push(Entry { session, generation: 0, envelope });
    }
    xdms::written(&Document::new(entries).unwrap())
}

/// Another process of Ann's app: it has her phone's profile, and has fetched nothing.
async fn started_again(office: &Office) -> Client {
    office.phone.keys.client(office.system.ambient()).await
}

/// The tablet is lost; its keys are somebody's who may share the bearer.
async fn revoke_the_tablet(office: &Office) {
    let target = json!({"kind": "pairing", "pairing": office.tablet.client.pairing()});
    office.revoke(&target).send().await.is(200);
}

async fn an_honest_xdms(document: String) -> (Xdms, Server) {
    an_xdms(move || Say::Answer(200, Vec::new(), document.clone().into_bytes())).await
}

async fn an_xdms(say: impl Fn() -> Say + Send + Sync + 'static) -> (Xdms, Server) {
    let authority = Authority::new();
    let server = Server::start_tls(&authority, move |_| say()).await;
    let url =
        format!("https://localhost:{}/root/org.example.keys/users/sip:ann@example.org/index", server.port);
    (Xdms::new(&url, &Roots::Pem(authority.pem().to_owned())).unwrap(), server)
}

fn trouble(outcome: Result<Delivered, Error>) -> XdmsTrouble {
    match outcome {
        Err(Error::Xdms(trouble)) => trouble,
        other => panic!("{other:?}"),
    }
}

/// Whatever the bearer did: over HTTPS the key is there.
async fn https_is_open(office: &Office, key: &SessionKey) {
    let fetched = office.phone.client.session_key(key.session()).await.unwrap();
    assert_eq!(fetched.session(), key.session());
}

#[tokio::test]
async fn an_smsc_that_duplicates_brings_one_key() {
    let office = Office::open().await;
    let key = office.session().await;
    let sms = by_sms(&office, key.session(), &office.phone.keys).await;
    let first = office.phone.client.accept(&sms).await.unwrap();
    let again = by_sms(&office, key.session(), &office.phone.keys).await;
    assert_ne!(again, sms, "sealed anew");
    for copy in [&sms, &again, &sms] {
        let key = office.phone.client.accept(copy).await.unwrap();
        assert!(Arc::ptr_eq(&key, &first), "the very key that is in use");
    }
}

#[tokio::test]
async fn an_smsc_that_reorders_does_not_bring_back_the_key_before() {
    let office = Office::open().await;
    let key = office.session().await;
    let before = by_sms(&office, key.session(), &office.phone.keys).await;
    office.mail.server.rotate(key.session()).await.unwrap();
    let after = by_sms(&office, key.session(), &office.phone.keys).await;
    assert_eq!(office.phone.client.accept(&after).await.unwrap().generation(), 1);
    let refused = office.phone.client.accept(&before).await.unwrap_err();
    assert!(matches!(refused, Error::Downgrade(Downgrade::Envelope(Reject::GenerationOlder))), "{refused:?}");
    assert_eq!(office.phone.client.session_key(key.session()).await.unwrap().generation(), 1);
}

#[tokio::test]
async fn an_smsc_that_truncates_or_pads_brings_nothing() {
    let office = Office::open().await;
    let key = office.session().await;
    let sms = by_sms(&office, key.session(), &office.phone.keys).await;
    for wrong in [&sms[..126], &sms[1..], &[], &[&sms[..], &[0]].concat()] {
        let refused = office.phone.client.accept(wrong).await.unwrap_err();
        assert!(matches!(refused, Error::Tampered(Tampered::Envelope(Reject::SizeForeign))), "{refused:?}");
    }
    https_is_open(&office, &key).await;
}

#[tokio::test]
async fn an_smsc_that_replays_last_weeks_message_brings_an_expired_key() {
    let office = Office::open().await;
    let key = office.session().await;
    let sms = by_sms(&office, key.session(), &office.phone.keys).await;
    office.phone.client.accept(&sms).await.unwrap();
    office.system.clock.advance_s(7 * 86_400 - 60);
    for client in [started_again(&office).await, office.phone.client.clone()] {
        assert!(matches!(client.accept(&sms).await, Err(Error::Expired)));
    }
}

#[tokio::test]
async fn an_smsc_that_swaps_two_users_messages_gives_neither_a_key() {
    let office = Office::open().await;
    let bob = office.system.pair_client(MAIL, BOB).await;
    let key = office.session().await;
    let sms = by_sms(&office, key.session(), &office.phone.keys).await;
    let refused = bob.client.accept(&sms).await.unwrap_err();
    assert!(matches!(refused, Error::Tampered(Tampered::Envelope(Reject::KekForeign))), "{refused:?}");
    https_is_open(&office, &key).await;
}

/// Who holds the key of before is revoked and bears a grudge: sealed under it, a mail of his making would open.
#[tokio::test]
async fn an_smsc_that_replays_a_key_of_before_a_revocation_brings_the_key_of_after_it() {
    let office = Office::open().await;
    let key = office.session().await;
    let sms = by_sms(&office, key.session(), &office.phone.keys).await;
    revoke_the_tablet(&office).await;
    // All that the phone hears of it is the count, in the answer to something else.
    office.phone.client.policy().await.unwrap();
    let accepted = started_again(&office).await.accept(&sms).await.unwrap();
    assert_eq!((accepted.session(), accepted.generation()), (key.session(), 1));
}

#[tokio::test]
async fn a_key_of_a_session_that_has_ended_since_is_not_taken_from_a_bearer() {
    let office = Office::open().await;
    let key = office.session().await;
    let sms = by_sms(&office, key.session(), &office.phone.keys).await;
    let document = on_xdms(&office, key.session(), &[&office.phone.keys]).await;
    office.mail.server.end(key.session()).await.unwrap();
    revoke_the_tablet(&office).await;
    office.phone.client.policy().await.unwrap();
    let client = started_again(&office).await;
    assert!(matches!(client.accept(&sms).await, Err(Error::Expired)));
    let delivered = client.accept_document(document.as_bytes()).await.unwrap();
    assert!(delivered.keys.is_empty());
    assert!(matches!(delivered.refused[..], [Error::Expired]), "{delivered:?}");
}

#[tokio::test]
async fn a_document_brings_the_key_that_its_server_holds_to_the_device_that_it_is_for() {
    let office = Office::open().await;
    let key = office.session().await;
    let devices = [&office.tablet.keys, &office.phone.keys];
    let (xdms, _server) = an_honest_xdms(on_xdms(&office, key.session(), &devices).await).await;
    let delivered = office.phone.client.fetch_xdms(&xdms).await.unwrap();
    assert!(delivered.refused.is_empty(), "{delivered:?}");
    let [brought] = &delivered.keys[..] else { panic!("{delivered:?}") };
    sidekey_tests::mail::agree(&office.mail, &key, &office.phone, brought).await;
    let again = office.phone.client.fetch_xdms(&xdms).await.unwrap();
    assert!(Arc::ptr_eq(&again.keys[0], brought), "the very key that is in use");
}

#[tokio::test]
async fn an_xdms_that_rolls_a_document_back_does_not_bring_back_the_key_before() {
    let office = Office::open().await;
    let key = office.session().await;
    let (xdms, _server) = an_honest_xdms(on_xdms(&office, key.session(), &[&office.phone.keys]).await).await;
    office.mail.server.rotate(key.session()).await.unwrap();
    office.phone.client.session_key(key.session()).await.unwrap();
    let delivered = office.phone.client.fetch_xdms(&xdms).await.unwrap();
    assert!(delivered.keys.is_empty());
    let refused = &delivered.refused[..];
    assert!(
        matches!(refused, [Error::Downgrade(Downgrade::Envelope(Reject::GenerationOlder))]),
        "{refused:?}"
    );
}

#[tokio::test]
async fn an_xdms_that_gives_out_a_document_of_before_a_revocation_brings_the_key_of_after_it() {
    let office = Office::open().await;
    let key = office.session().await;
    let (xdms, _server) = an_honest_xdms(on_xdms(&office, key.session(), &[&office.phone.keys]).await).await;
    revoke_the_tablet(&office).await;
    office.phone.client.policy().await.unwrap();
    let delivered = started_again(&office).await.fetch_xdms(&xdms).await.unwrap();
    assert_eq!(delivered.keys[0].generation(), 1);
}

#[tokio::test]
async fn an_xdms_that_gives_out_another_users_document_brings_nothing() {
    let office = Office::open().await;
    let key = office.session().await;
    let (xdms, _server) = an_honest_xdms(on_xdms(&office, key.session(), &[&office.tablet.keys]).await).await;
    let bob = office.system.pair_client(MAIL, BOB).await;
    let delivered = bob.client.fetch_xdms(&xdms).await.unwrap();
    assert!(delivered.keys.is_empty() && delivered.refused.is_empty(), "{delivered:?}");
}

#[tokio::test]
async fn an_xdms_that_alters_one_envelope_spoils_that_one_and_it_is_told() {
    let office = Office::open().await;
    let (one, other) = (office.session().await, office.session().await);
    let keys = [&office.phone.keys];
    let sound = on_xdms(&office, one.session(), &keys).await;
    let spoiled = on_xdms(&office, other.session(), &keys).await;
    let sealed =
        |document: &str| document.lines().find(|line| line.contains("<envelope")).unwrap().to_owned();
    let line = sealed(&spoiled);
    // The last symbol but one of the tag.
    let at = line.find("</envelope>").unwrap() - 2;
    let flipped = if &line[at..=at] == "A" { "B" } else { "A" };
    let altered = format!("{}{flipped}{}", &line[..at], &line[at + 1..]);
    let document = sound.replace("</keys>", &format!("{altered}\n</keys>"));
    let delivered = office.phone.client.accept_document(document.as_bytes()).await.unwrap();
    assert_eq!(delivered.keys[0].session(), one.session());
    let refused = &delivered.refused[..];
    assert!(matches!(refused, [Error::Tampered(Tampered::Envelope(Reject::ContentWrong))]), "{refused:?}");
}

#[tokio::test]
async fn what_an_xdms_makes_up_costs_no_more_than_reading_it() {
    let office = Office::open().await;
    let key = office.session().await;
    let bomb = r#"<!DOCTYPE keys [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;&a;&a;&a;&a;&a;&a;">]>
        <keys xmlns="urn:sidekey:params:xml:ns:keys"><envelope>&b;</envelope></keys>"#;
    let body = |body: &[u8]| Say::Answer(200, Vec::new(), body.to_vec());
    let cases = [
        ("an entity bomb", body(bomb.as_bytes()), XdmsTrouble::Document),
        ("another kind of document", body(b"<html></html>"), XdmsTrouble::Document),
        ("100 MB", Say::Flood, XdmsTrouble::TooLarge),
        ("trouble of its own", Say::status(503), XdmsTrouble::Status(503)),
        ("no answer", Say::HangUp, XdmsTrouble::Unreachable),
        ("no HTTP", Say::Octets(b"SSH-2.0-x\r\n"), XdmsTrouble::Unreachable),
    ];
    for (what, say, expected) in cases {
        let (xdms, _server) = an_xdms(move || say.clone()).await;
        assert_eq!(trouble(office.phone.client.fetch_xdms(&xdms).await), expected, "{what}");
    }
    https_is_open(&office, &key).await;
}

#[tokio::test]
async fn an_xdms_that_stalls_is_left_in_time() {
    let office = Office::open().await;
    let (xdms, _server) = an_xdms(|| Say::Stall).await;
    let begun = std::time::Instant::now();
    assert_eq!(trouble(office.phone.client.fetch_xdms(&xdms).await), XdmsTrouble::Unreachable);
    assert!(begun.elapsed().as_secs() < 15);
}

#[tokio::test]
async fn an_xdms_that_redirects_is_not_followed() {
    let office = Office::open().await;
    let (_, elsewhere) = an_xdms(|| Say::status(200)).await;
    let location = format!("https://localhost:{}/", elsewhere.port);
    let (xdms, _server) =
        an_xdms(move || Say::Answer(302, vec![("location", location.clone())], Vec::new())).await;
    assert_eq!(trouble(office.phone.client.fetch_xdms(&xdms).await), XdmsTrouble::Redirect);
    assert!(elsewhere.seen().is_empty());
}

#[tokio::test]
async fn a_password_is_not_given_to_who_asks_for_it_in_clear_or_is_somebody_else() {
    let office = Office::open().await;
    let asks =
        |how: &'static str| move || Say::Answer(401, vec![("www-authenticate", how.to_owned())], vec![]);
    let signed_in = |xdms: Xdms| xdms.signed_in("ann".to_owned(), "wonder".to_owned());
    for (how, requests) in
        [(r#"Basic realm="x""#, 1), ("Digest", 1), (r#"Digest realm="x", nonce="n", qop="auth""#, 2)]
    {
        let (xdms, server) = an_xdms(asks(how)).await;
        let outcome = office.phone.client.fetch_xdms(&signed_in(xdms)).await;
        assert_eq!(trouble(outcome), XdmsTrouble::Credentials);
        let seen = server.seen();
        assert_eq!(seen.len(), requests, "{how}");
        let said = seen.iter().filter_map(|seen| seen.headers.get("authorization"));
        assert!(said.into_iter().all(|said| said.starts_with("Digest ") && !said.contains("wonder")));
    }
    let server = Server::start_tls(&Authority::new(), |_| Say::status(200)).await;
    let url = format!("https://localhost:{}/x", server.port);
    let xdms = Xdms::new(&url, &Roots::Pem(Authority::new().pem().to_owned())).unwrap();
    assert_eq!(trouble(office.phone.client.fetch_xdms(&signed_in(xdms)).await), XdmsTrouble::Untrusted);
    assert!(server.seen().is_empty());
    for url in ["http://localhost/x", "https://ann:wonder@localhost/x", "https://localhost/x#y", "/x", ""] {
        assert!(matches!(Xdms::new(url, &Roots::Native), Err(Error::Usage(_))), "{url}");
    }
}

/// An office whose service writes documents to this stand-in, for Ann's phone.
async fn office_with(xdms: &Server) -> (Office, tempfile::TempDir) {
    let (delivery, folder) = configured("xdms", "", |_| {
        let text = format!("domain = 'operator'\nroot = '{}'\nauid = 'keys'", xdms.url("/root"));
        Carrier::Xdms(toml::from_str(&text).unwrap())
    });
    let office = Office::open_on(System::start_delivering(delivery, Vec::new).await).await;
    let (pairing, carrier) = (office.phone.client.pairing(), "xdms".parse().unwrap());
    office.system.admin.set_address(pairing, &carrier, Some("sip:ann@example.org")).await.unwrap();
    (office, folder)
}

#[tokio::test]
async fn an_xdms_in_trouble_for_an_hour_delays_its_document_and_nothing_else() {
    let (store, trouble) = (Arc::new(Xcap::default()), Arc::new(AtomicBool::new(true)));
    let (kept, broken) = (Arc::clone(&store), Arc::clone(&trouble));
    let stand_in =
        Server::start(
            move |seen| {
                if broken.load(Ordering::Relaxed) { Say::status(503) } else { kept.answer(seen) }
            },
        )
        .await;
    let (office, _folder) = office_with(&stand_in).await;
    let body = json!({
        "pairing": office.phone.client.pairing(), "capabilities": ["XENCRYPTED", "A256GCM", "C20P"],
        "ttl": 14_400, "deliver": ["xdms"],
    });
    let opened = office.open_session("0123456789abcdef", &body).send().await.is(201).json();
    let session: SessionId = opened["session"].as_str().unwrap().parse().unwrap();
    for _ in 0..60 {
        office.system.clock.advance_s(60);
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let asked = stand_in.seen().len();
    assert!((2..30).contains(&asked), "asked {asked} times in an hour: again and again, and not without end");
    assert_eq!(office.phone.client.session_key(session).await.unwrap().session(), session, "by HTTPS");
    trouble.store(false, Ordering::Relaxed);
    let document = loop {
        office.system.clock.advance_s(30);
        tokio::time::sleep(Duration::from_millis(50)).await;
        if let Some(document) = store.document("/root/keys/users/sip:ann@example.org/index") {
            break document;
        }
    };
    let delivered = office.phone.client.accept_document(document.as_bytes()).await.unwrap();
    assert_eq!(delivered.keys[0].session(), session);
}

#[tokio::test]
async fn an_xdms_that_says_that_everything_is_well_and_keeps_nothing_is_a_phone_that_asks_over_https() {
    let stand_in = Server::start(|seen| match seen.method.as_str() {
        "GET" => Say::status(404),
        _ => Say::Answer(201, vec![("etag", "\"1\"".to_owned())], Vec::new()),
    })
    .await;
    let (office, _folder) = office_with(&stand_in).await;
    let (carrier, capabilities) = ("xdms".parse().unwrap(), Office::capabilities());
    let audience = Audience::Pairing(office.phone.client.pairing());
    let key = office.mail.server.issue_by(&audience, None, &capabilities, &[carrier]).await.unwrap();
    let (xdms, _server) = an_xdms(|| Say::status(404)).await;
    let delivered = office.phone.client.fetch_xdms(&xdms).await.unwrap();
    assert!(delivered.keys.is_empty() && delivered.refused.is_empty());
    https_is_open(&office, &key).await;
}
