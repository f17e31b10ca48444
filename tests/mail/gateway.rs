//! The gateway between an operator's proxy, Dovecot and the real key service: who is let in, what he gets, what ends it.

use std::num::NonZeroU32;
use std::time::{Duration, Instant};

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use serde_json::json;
use sidekey_client::credential::CredentialIssued;
use sidekey_client::object::Kind;
use sidekey_protocol::ids::SessionId;
use sidekey_tests::imap::dovecot::Dovecot;
use sidekey_tests::imap::gateway::Gateway;
use sidekey_tests::imap::session::Session;
use sidekey_tests::mail::{Fetch, opened};
use sidekey_tests::others::authority::Authority;
use sidekey_tests::{ANN, BOB, MAIL, Office, server, user};

const MESSAGE: &[u8] = b"Subject: lunch\r\nFrom: cfo@example.org\r\n\r\nAt one, as agreed.\r\n";

/// An office with mail for Ann, and a gateway for her operator's proxy.
struct Scene {
    office: Office,
    gateway: Gateway,
    credential: CredentialIssued,
    _dovecot: Dovecot,
}

impl Scene {
    async fn open() -> Self {
        let dovecot = Dovecot::start(&Authority::new()).await;
        let stored = String::from_utf8(MESSAGE.to_vec()).unwrap().replace("\r\n", "\n").into_bytes();
        dovecot.deliver("ann", None, &[stored]);
        let office = Office::open().await;
        let credential = issue(&office, ANN, "push").await;
        let gateway = Gateway::sealing(&dovecot, &office);
        Self { office, gateway, credential, _dovecot: dovecot }
    }

    /// What a proxy is answered that logs in so, and its connection.
    async fn login(&self, whom: &str, secret: &str) -> (String, Session) {
        let mut session = Session::connect(self.gateway.port("strict")).await;
        let answer = session.ask(&format!("LOGIN \"{whom}\" \"{secret}\"")).await;
        (answer, session)
    }

    /// Ann's proxy, which has the credential.
    async fn proxy(&self) -> Session {
        self.enter(ANN, &self.credential).await.0
    }

    /// Whoever has that credential, and what he is told of his session.
    async fn enter(&self, whom: &str, credential: &CredentialIssued) -> (Session, (SessionId, u32)) {
        let (answer, mut session) = self.login(whom, &credential.secret.expose_printed()).await;
        assert!(answer.contains(" OK "), "{answer}");
        // The announcement comes behind the login's OK, and so before the next command's.
        let announced = told(&session.ask("NOOP").await);
        (session, announced)
    }

    /// That the connection is closed within two seconds.
    async fn is_cut(mut session: Session) {
        let began = Instant::now();
        let rest = session.rest().await;
        assert!(began.elapsed() < Duration::from_secs(2), "{:?}", began.elapsed());
        assert!(rest.is_empty(), "{}", rest.escape_ascii());
    }
}

async fn issue(office: &Office, whom: &str, label: &str) -> CredentialIssued {
    let (at, whom, label) = (server(MAIL), user(whom), label.parse().unwrap());
    office.system.admin.issue_credential(&at, &whom, &label, None).await.unwrap()
}

/// The session and the generation that a proxy is told of.
fn told(answer: &str) -> (SessionId, u32) {
    let (_, code) = answer.split_once("[XENCRYPTED session=").unwrap_or_else(|| panic!("{answer}"));
    let (session, rest) = code.split_once(' ').unwrap();
    let generation = rest.strip_prefix("generation=").unwrap().split(']').next().unwrap();
    (session.parse().unwrap(), generation.parse().unwrap())
}

/// The frame in the first literal of an answer.
fn frame(answer: &[u8]) -> Vec<u8> {
    let at = answer.windows(1).position(|octet| octet == b"{").unwrap();
    let end = at + answer[at..].windows(3).position(|octets| octets == b"}\r\n").unwrap();
    let size: usize = std::str::from_utf8(&answer[at + 1..end]).unwrap().parse().unwrap();
    BASE64_STANDARD.decode(&answer[end + 3..end + 3 + size]).unwrap()
}

/// What Ann's phone makes of the whole of her first message, as the proxy got it.
async fn read(scene: &Scene, session: &mut Session) -> (Kind, Vec<u8>) {
    let selected = session.ask("SELECT INBOX").await;
    let (_, validity) = selected.split_once("[UIDVALIDITY ").unwrap();
    let uid_validity: NonZeroU32 = validity.split(']').next().unwrap().parse().unwrap();
    let answer = session.say(b"UID FETCH 1 (BODY.PEEK[])").await;
    assert!(!answer.windows(5).any(|octets| octets == b"lunch"), "{}", answer.escape_ascii());
    let sealed = frame(&answer);
    let named = SessionId::from_bytes(sealed[6..22].try_into().unwrap());
    let generation = u32::from_be_bytes(sealed[22..26].try_into().unwrap());
    let key = scene.office.phone.client.session_key_of(named, generation).await.unwrap();
    let asked = Fetch { uid_validity: uid_validity.get(), uid: 1, ..Fetch::default() };
    opened(&scene.office.phone, &key, &asked, &sealed).await.unwrap()
}

#[tokio::test]
async fn a_proxy_logs_in_by_its_credential_and_only_the_phone_reads_what_it_gets() {
    let scene = Scene::open().await;
    let (answer, mut session) = scene.login(ANN, &scene.credential.secret.expose_printed()).await;
    assert!(answer.contains("XENCRYPTED=A256GCM") && !answer.contains("SORT"), "{answer}");
    assert_eq!(read(&scene, &mut session).await, (Kind::Literal, MESSAGE.to_vec()));
}

#[tokio::test]
async fn the_session_is_announced_behind_the_login_and_is_one_for_all_of_a_user_s_connections() {
    let scene = Scene::open().await;
    scene.office.system.pair_client(MAIL, BOB).await;
    let bobs = issue(&scene.office, BOB, "push").await;
    let mut told_of = Vec::new();
    for (whom, credential) in [(ANN, &scene.credential), (ANN, &scene.credential), (BOB, &bobs)] {
        told_of.push(scene.enter(whom, credential).await.1);
    }
    assert_eq!(told_of[0], told_of[1]);
    assert_ne!(told_of[0].0, told_of[2].0);
}

#[tokio::test]
async fn nothing_but_a_live_credential_of_the_user_s_own_lets_anybody_in() {
    let scene = Scene::open().await;
    let right = scene.credential.secret.expose_printed();
    for (whom, secret) in [
        // Her own password, which the mail server would take.
        (ANN, "secret"),
        (ANN, "0000-1111-2222-3333-4444"),
        (BOB, right.as_str()),
        // A name that would say for itself as whom to log in.
        ("ann@example.org*gateway", right.as_str()),
        ("ann", right.as_str()),
    ] {
        let (answer, _) = scene.login(whom, secret).await;
        assert!(answer.contains("NO [AUTHENTICATIONFAILED]"), "{whom}: {answer}");
    }
    let nobody = issue(&scene.office, BOB, "push").await;
    let (answer, _) = scene.login(BOB, &nobody.secret.expose_printed()).await;
    assert!(answer.contains(" NO ") && answer.contains("no device of this user is paired"), "{answer}");
}

#[tokio::test]
async fn a_revocation_cuts_the_connections_that_it_concerns_and_no_others() {
    let scene = Scene::open().await;
    scene.office.system.pair_client(MAIL, BOB).await;
    let (other, bobs) = (issue(&scene.office, ANN, "other").await, issue(&scene.office, BOB, "push").await);
    let mut bob = scene.enter(BOB, &bobs).await.0;

    // The credential's connections alone.
    let (first, second) = (scene.proxy().await, scene.enter(ANN, &other).await.0);
    let target = json!({"kind": "credential", "credential": scene.credential.credential});
    scene.office.revoke(&target).send().await.is(200);
    Scene::is_cut(first).await;
    let (refused, _) = scene.login(ANN, &scene.credential.secret.expose_printed()).await;
    assert!(refused.contains("NO [AUTHENTICATIONFAILED]"), "{refused}");

    // All of whose device is revoked: which of them is that device's, nobody knows.
    scene.office.revoke_the_phone().await;
    Scene::is_cut(second).await;
    let third = scene.enter(ANN, &other).await.0;

    scene.office.revoke(&json!({"kind": "user", "server": MAIL, "user": ANN})).send().await.is(200);
    Scene::is_cut(third).await;
    assert!(bob.ask("NOOP").await.contains(" OK "));

    let target = json!({"kind": "pairing", "pairing": scene.office.mail.server.pairing()});
    scene.office.revoke(&target).send().await.is(200);
    Scene::is_cut(bob).await;
    let (closed, _) = scene.login(BOB, &bobs.secret.expose_printed()).await;
    assert!(closed.contains("NO [UNAVAILABLE]"), "{closed}");
}

#[tokio::test]
async fn with_the_key_service_away_what_is_known_holds_to_its_end_and_then_nothing_is_shown() {
    let mut scene = Scene::open().await;
    let mut session = scene.proxy().await;
    assert_eq!(read(&scene, &mut session).await.1, MESSAGE);
    scene.office.system.stop().await;
    let sealed = session.say(b"UID FETCH 1 (BODY.PEEK[])").await;
    assert!(!frame(&sealed).is_empty());
    scene.office.system.clock.advance_s(3601);
    let answer = session.ask("UID FETCH 1 (BODY.PEEK[])").await;
    assert!(answer.contains(" NO [UNAVAILABLE]") && !answer.contains("BODY"), "{answer}");
    assert!(session.ask("UID FETCH 1 (FLAGS)").await.contains(" OK "), "what is not sealed goes on");
}

#[tokio::test]
async fn what_was_revoked_while_the_gateway_heard_nothing_is_cut_once_it_hears_again() {
    let mut scene = Scene::open().await;
    let mut session = scene.proxy().await;
    scene.office.system.restart().await;
    let target = json!({"kind": "credential", "credential": scene.credential.credential});
    scene.office.revoke(&target).send().await.is(200);
    let rest = session.rest().await;
    assert!(rest.is_empty(), "{}", rest.escape_ascii());
}

#[tokio::test]
async fn another_session_follows_well_before_the_end_of_the_first() {
    let scene = Scene::open().await;
    let (mut session, first) = scene.enter(ANN, &scene.credential).await;
    scene.office.system.clock.advance_s(2800);
    // Whoever logs in now gets the next, and those who are in are told.
    let (_other, second) = scene.enter(ANN, &scene.credential).await;
    assert_ne!(first.0, second.0);
    assert_eq!(told(&session.ask("NOOP").await), second);
    assert_eq!(read(&scene, &mut session).await.1, MESSAGE);
}

#[tokio::test]
async fn a_gateway_that_stops_says_so() {
    let scene = Scene::open().await;
    let mut session = scene.proxy().await;
    let (rest, ()) = tokio::join!(session.rest(), scene.gateway.stop());
    assert_eq!(rest, b"* BYE the gateway stops\r\n");
}

#[tokio::test]
async fn what_happens_is_counted_and_names_nobody() {
    let scene = Scene::open().await;
    let mut session = scene.proxy().await;
    read(&scene, &mut session).await;
    scene.login(ANN, "0000-1111-2222-3333-4444").await;
    session.ask("STORE 1 +FLAGS (\\Deleted)").await;
    session.ask("SEARCH SUBJECT lunch").await;
    let metrics = scene.gateway.metrics().await;
    for line in [
        "sidekey_gateway_connections{listener=\"strict\"} 1",
        "sidekey_gateway_connections_total{listener=\"strict\"} 2",
        "sidekey_gateway_connections_total{listener=\"change\"} 0",
        "sidekey_gateway_logins_total{outcome=\"accepted\"} 1",
        "sidekey_gateway_logins_total{outcome=\"wrong\"} 1",
        "sidekey_gateway_commands_refused_total{reason=\"mailbox_change\"} 1",
        "sidekey_gateway_items_sealed_total 1",
        "sidekey_gateway_frames_total{outcome=\"refused\"} 1",
        "sidekey_gateway_frames_total{outcome=\"accepted\"} 0",
        "sidekey_gateway_session_keys 1",
        "sidekey_gateway_cuts_total{reason=\"credential\"} 0",
    ] {
        assert!(metrics.lines().any(|told| told == line), "{line} is not in\n{metrics}");
    }
    let target = json!({"kind": "credential", "credential": scene.credential.credential});
    scene.office.revoke(&target).send().await.is(200);
    Scene::is_cut(session).await;
    let metrics = scene.gateway.metrics().await;
    assert!(metrics.contains("sidekey_gateway_cuts_total{reason=\"credential\"} 1"), "{metrics}");
    assert!(!metrics.contains("ann") && !metrics.contains("127.0.0.1"), "{metrics}");
}
