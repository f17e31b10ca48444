//! Proxy credentials: what a proxy logs in with is one user's at one server, until it is over, and tells a guesser nothing.

use std::time::{Duration, Instant};

use http::Method;
use serde_json::{Value, json};
use sidekey_client::credential::{CredentialFilter, CredentialIssued, CredentialSecret, CredentialState};
use sidekey_client::{Error, Notice};
use sidekey_protocol::revocation::restore::Accept;
use sidekey_protocol::revocation::wire::Event;
use sidekey_protocol::revocation::{Reason, Target};
use sidekey_tests::{ANN, Answer, BOB, MAIL, MailServer, Office, SHOP, server, user};

async fn issue(office: &Office, at: &str, whom: &str, label: &str, ttl_s: Option<u32>) -> CredentialIssued {
    let (at, whom, label) = (server(at), user(whom), label.parse().unwrap());
    office.system.admin.issue_credential(&at, &whom, &label, ttl_s).await.unwrap()
}

/// What the service answers to a server that asks whose this is.
async fn shown(office: &Office, by: &MailServer, whom: &str, secret: &str) -> Answer {
    let body = json!({"user": whom, "secret": secret});
    office.system.post("/v1/credentials/verify", &by.keys.token(), &body).send().await
}

async fn revoke(office: &Office, target: Target) {
    let reason: Reason = "another operator".parse().unwrap();
    office.system.admin.revoke(&target, &reason).await.unwrap().expect("it was live");
}

/// One that nobody was given.
const WRONG: &str = "0000-1111-2222-3333-4444";

#[tokio::test]
async fn a_proxy_logs_in_until_its_credential_is_revoked_and_the_gateway_hears_of_that_at_once() {
    let office = Office::open().await;
    let issued = issue(&office, MAIL, ANN, "push", None).await;
    let gateway = &office.mail.server;
    let mut watch = gateway.watch();
    assert_eq!(watch.next().await.unwrap().unwrap(), Notice::Gap);

    let verified = gateway.verify_credential(&user(ANN), &issued.secret).await.unwrap().unwrap();
    assert_eq!((verified.credential, verified.user, verified.expires), (issued.credential, user(ANN), None));
    assert_eq!(verified.label.as_str(), "push");

    let began = Instant::now();
    let target = Target::Credential { credential: issued.credential };
    revoke(&office, target.clone()).await;
    assert_eq!(gateway.verify_credential(&user(ANN), &issued.secret).await.unwrap(), None);
    let told = watch.next().await.unwrap().unwrap();
    assert!(began.elapsed() < Duration::from_secs(1), "{:?}", began.elapsed());
    let Notice::Event(Event::Revoked(revoked)) = told else { panic!("{told:?}") };
    assert_eq!((revoked.target, revoked.reason.as_str()), (target, "another operator"));
}

#[tokio::test]
async fn revoking_a_user_ends_their_credentials_and_the_gateway_hears_of_it() {
    let office = Office::open().await;
    let issued = issue(&office, MAIL, ANN, "push", None).await;
    let bobs = issue(&office, MAIL, BOB, "push", None).await;
    let mut watch = office.mail.server.watch();
    watch.next().await.unwrap().unwrap();
    let answer =
        office.revoke(&json!({"kind": "user", "server": MAIL, "user": ANN})).send().await.is(200).json();
    assert_eq!((&answer["credentials"], &answer["pairings"]), (&json!(1), &json!(2)));
    let told = watch.next().await.unwrap().unwrap();
    let target = Target::User { server: server(MAIL), user: user(ANN) };
    assert!(matches!(&told, Notice::Event(Event::Revoked(revoked)) if revoked.target == target), "{told:?}");
    let gateway = &office.mail.server;
    assert_eq!(gateway.verify_credential(&user(ANN), &issued.secret).await.unwrap(), None);
    assert!(gateway.verify_credential(&user(BOB), &bobs.secret).await.unwrap().is_some());
}

/// Whoever guesses is told the same, octet for octet, of everything that lets nobody in.
#[tokio::test]
async fn a_refusal_does_not_tell_what_is_wrong() {
    let office = Office::open().await;
    office.system.add_server(SHOP).await;
    let shop = office.system.pair_server(SHOP).await;
    let live = issue(&office, MAIL, ANN, "push", None).await;
    let gone = issue(&office, MAIL, ANN, "gone", None).await;
    let expired = issue(&office, MAIL, ANN, "expired", Some(60)).await;
    let bobs = issue(&office, MAIL, BOB, "push", None).await;
    revoke(&office, Target::Credential { credential: gone.credential }).await;
    office.system.clock.advance_s(60);
    let secret = |issued: &CredentialIssued| issued.secret.expose_printed().to_string();
    let mut told = Vec::new();
    for (by, whom, secret) in [
        (&office.mail, ANN, WRONG.to_owned()),
        (&office.mail, ANN, secret(&gone)),
        (&office.mail, ANN, secret(&expired)),
        (&office.mail, ANN, secret(&bobs)),
        (&office.mail, BOB, secret(&live)),
        (&office.mail, "nobody@example.org", secret(&live)),
        (&shop, ANN, secret(&live)),
    ] {
        told.push(shown(&office, by, whom, &secret).await.refused(403, "credential_wrong"));
    }
    assert!(told.iter().all(|problem| *problem == told[0]), "{told:?}");
    // What administrators are told instead.
    let metrics = office.system.metrics().await;
    for line in [
        "sidekey_credentials_shown_total{outcome=\"over\"} 2",
        "sidekey_credentials_shown_total{outcome=\"wrong\"} 5",
    ] {
        assert!(metrics.lines().any(|told| told == line), "{line}\n{metrics}");
    }
}

#[tokio::test]
async fn a_secret_is_taken_as_people_type_it() {
    let office = Office::open().await;
    let issued = issue(&office, MAIL, ANN, "push", None).await;
    let printed = issued.secret.expose_printed().to_string();
    for typed in [
        printed.to_lowercase(),
        printed.replace('-', ""),
        printed.replace('-', " "),
        printed.replace('0', "o").replace('1', "l"),
    ] {
        let answer = shown(&office, &office.mail, ANN, &typed).await.is(200).json();
        assert_eq!(answer, json!({"credential": issued.credential, "user": ANN, "label": "push"}), "{typed}");
    }
}

#[tokio::test]
async fn after_five_wrong_ones_a_user_waits_and_others_do_not() {
    let office = Office::open().await;
    let issued = issue(&office, MAIL, ANN, "push", None).await;
    let bobs = issue(&office, MAIL, BOB, "push", None).await;
    let second = office.system.pair_server(MAIL).await;
    let right = issued.secret.expose_printed().to_string();
    // A pairing's first request leaves a record.
    shown(&office, &second, ANN, &right).await.is(200);
    let before = office.system.records().len();
    for n in 0..5 {
        // Right ones between them are not counted; the gateways of one server are.
        shown(&office, &second, ANN, &right).await.is(200);
        let by = if n % 2 == 0 { &office.mail } else { &second };
        shown(&office, by, ANN, WRONG).await.refused(403, "credential_wrong");
    }
    for secret in [WRONG, &right] {
        let refused = shown(&office, &office.mail, ANN, secret).await;
        let problem = refused.refused(429, "rate_limited");
        assert_eq!(
            (&problem["retry_after"], &refused.headers["retry-after"]),
            (&json!(12), &"12".parse().unwrap())
        );
    }
    let later = office.mail.server.verify_credential(&user(ANN), &issued.secret).await;
    assert!(
        matches!(later, Err(Error::Retry { after, .. }) if after == Duration::from_secs(12)),
        "{later:?}"
    );
    shown(&office, &office.mail, BOB, &bobs.secret.expose_printed()).await.is(200);
    office.system.clock.advance_s(12);
    shown(&office, &office.mail, ANN, &right).await.is(200);
    shown(&office, &second, ANN, WRONG).await.refused(403, "credential_wrong");
    shown(&office, &office.mail, ANN, WRONG).await.refused(429, "rate_limited");
    assert_eq!(office.system.records().len(), before, "nothing of it was written");
    let metrics = office.system.metrics().await;
    assert!(metrics.contains("sidekey_ratelimit_rejected_total{scope=\"guess\"} "), "{metrics}");
}

/// All at the same time, by many connections.
#[tokio::test(flavor = "multi_thread")]
async fn guesses_that_come_at_once_are_counted_one_by_one() {
    let office = Office::open().await;
    issue(&office, MAIL, ANN, "push", None).await;
    let token = office.mail.keys.token();
    let guesses = (0..40).map(|n| {
        let body = json!({"user": ANN, "secret": format!("{n:020}")});
        tokio::spawn(office.system.post("/v1/credentials/verify", &token, &body).send())
    });
    let mut looked = 0;
    for guess in guesses.collect::<Vec<_>>() {
        let answer = guess.await.unwrap();
        looked += u32::from(answer.status == 403);
        assert!([403, 429].contains(&answer.status), "{answer:?}");
    }
    assert_eq!(looked, 5);
}

#[tokio::test]
async fn a_secret_is_shown_once_and_kept_nowhere() {
    let mut office = Office::open().await;
    let issued = issue(&office, MAIL, ANN, "push", Some(3600)).await;
    let (symbols, printed) = (issued.secret.expose().to_vec(), issued.secret.expose_printed().to_string());
    let found = |octets: &[u8]| {
        [&symbols[..], printed.as_bytes()]
            .iter()
            .any(|secret| octets.windows(secret.len()).any(|part| part == *secret))
    };
    assert!(found(format!("a {printed} b").as_bytes()), "the search finds it");
    let admin = office.system.admin_token();
    for path in ["/v1/credentials", &format!("/v1/credentials/{}", issued.credential), "/v1/audit"] {
        let answer = office.system.get(path, &admin).send().await;
        assert!(!found(&answer.is(200).body), "{path}");
    }
    office.system.stop().await;
    for name in ["journal", "state", "seal.keys", "format"] {
        let path = office.system.data().join(name);
        let files: Vec<_> = if path.is_dir() {
            std::fs::read_dir(path)
                .unwrap()
                .map(|file| file.unwrap().path())
                .filter(|path| path.is_file())
                .collect()
        } else {
            vec![path]
        };
        assert!(!files.is_empty(), "{name}");
        files.iter().for_each(|file| assert!(!found(&std::fs::read(file).unwrap()), "{file:?}"));
    }
    office.system.start_again().await;
    assert!(office.mail.server.verify_credential(&user(ANN), &issued.secret).await.unwrap().is_some());
}

#[tokio::test]
async fn administrators_see_whose_they_are_and_on_which_day_they_were_used() {
    let office = Office::open().await;
    let issued = issue(&office, MAIL, ANN, "push", Some(3600)).await;
    let gone = issue(&office, MAIL, BOB, "sync", None).await;
    let admin = &office.system.admin;
    let unused = admin.credential(issued.credential).await.unwrap();
    assert_eq!((unused.last_used, unused.state), (None, CredentialState::Active));
    assert_eq!(unused.expires, Some(unused.created.after_s(3600)));
    office.mail.server.verify_credential(&user(ANN), &issued.secret).await.unwrap().unwrap();
    let at = office.system.clock.now().0;
    let used = admin.credential(issued.credential).await.unwrap();
    assert_eq!(used.last_used.map(|day| day.0), Some(at - at % 86_400));

    let (token, path) = (office.system.admin_token(), format!("/v1/credentials/{}", gone.credential));
    let withdraw = |query: &str| office.system.ask(Method::DELETE, &format!("{path}{query}")).bearer(&token);
    withdraw("?reason=app%20removed").send().await.is(204);
    withdraw("").send().await.is(204);
    let all = admin.credentials(&CredentialFilter::default()).await.unwrap();
    let states: Vec<_> = all.iter().map(|seen| (seen.user.as_str(), seen.state)).collect();
    assert_eq!(states, [(ANN, CredentialState::Active), (BOB, CredentialState::Revoked)]);
    assert_eq!(all[1].revoked.as_ref().unwrap().reason.as_str(), "app removed");
    let live = CredentialFilter { state: Some(CredentialState::Active), ..CredentialFilter::default() };
    assert_eq!(admin.credentials(&live).await.unwrap().len(), 1);
    office.system.clock.advance_s(3600);
    assert_eq!(admin.credential(issued.credential).await.unwrap().state, CredentialState::Expired);
}

#[tokio::test]
async fn what_cannot_be_issued_says_why_and_changes_nothing() {
    let office = Office::open().await;
    issue(&office, MAIL, ANN, "push", None).await;
    office.system.add_server(SHOP).await;
    revoke(&office, Target::Server { server: server(SHOP) }).await;
    let before = office.system.records().len();
    let admin = office.system.admin_token();
    let ask = |body: Value| office.system.post("/v1/credentials", &admin, &body).send();
    let good = json!({"server": MAIL, "user": ANN, "label": "sync"});
    let with = |name: &str, value: Value| {
        let mut body = good.clone();
        body[name] = value;
        body
    };
    ask(with("label", json!("push"))).await.refused(409, "credential_exists");
    ask(with("server", json!("nowhere"))).await.refused(404, "not_found");
    ask(with("server", json!(SHOP))).await.refused(410, "revoked");
    for ttl in [json!(0), json!(59), json!(315_360_001)] {
        ask(with("ttl", ttl)).await.refused(422, "ttl_out_of_range");
    }
    for (name, value) in [
        ("label", json!("")),
        ("label", json!("a\u{202e}b")),
        ("label", json!("x".repeat(65))),
        ("user", json!(" ann")),
        ("ttl", json!(-1)),
        ("secret", json!(WRONG)),
    ] {
        let problem = ask(with(name, value)).await.refused(400, "body_invalid");
        assert_eq!(problem["errors"][0]["field"], name);
    }
    assert_eq!(office.system.records().len(), before);
    for n in 1..32 {
        issue(&office, MAIL, ANN, &format!("sync {n}"), None).await;
    }
    ask(good).await.refused(409, "credential_limit");
}

#[tokio::test]
async fn nobody_asks_what_is_not_his_to_ask() {
    let office = Office::open().await;
    let issued = issue(&office, MAIL, ANN, "push", None).await;
    let (gateway, phone) = (office.mail.keys.token(), office.phone.keys.token());
    let body = json!({"user": ANN, "secret": issued.secret.expose_printed().as_str()});
    for token in [&office.system.admin_token(), &phone] {
        let asked = office.system.post("/v1/credentials/verify", token, &body).send().await;
        asked.refused(403, "role_forbidden");
    }
    office
        .system
        .ask(Method::POST, "/v1/credentials/verify")
        .json(&body)
        .send()
        .await
        .refused(401, "token_missing");
    let one = format!("/v1/credentials/{}", issued.credential);
    for token in [&gateway, &phone] {
        let new = json!({"server": MAIL, "user": ANN, "label": "sync"});
        office.system.post("/v1/credentials", token, &new).send().await.refused(403, "role_forbidden");
        for (method, path) in
            [(Method::GET, "/v1/credentials"), (Method::GET, &*one), (Method::DELETE, &*one)]
        {
            let asked = office.system.ask(method, path).bearer(token).send().await;
            asked.refused(403, "role_forbidden");
        }
        let target =
            json!({"target": {"kind": "credential", "credential": issued.credential}, "reason": "x"});
        office.system.post("/v1/revocations", token, &target).send().await.refused(404, "not_found");
    }
}

/// A secret is a credential of a proxy, and of no party: it opens nothing at the service itself.
#[tokio::test]
async fn a_credential_is_worth_nothing_at_the_service() {
    let office = Office::open().await;
    let issued = issue(&office, MAIL, ANN, "push", None).await;
    for token in [issued.secret.expose_printed().to_string(), issued.credential.to_string()] {
        for path in ["/v1/sessions/current", "/v1/policy", "/v1/events", "/v1/credentials"] {
            office.system.get(path, &token).send().await.refused(401, "token_invalid");
        }
    }
}

#[tokio::test]
async fn what_is_no_secret_is_refused_by_name_and_is_no_guess() {
    let office = Office::open().await;
    let issued = issue(&office, MAIL, ANN, "push", None).await;
    let long = "A".repeat(1500);
    for secret in [
        "",
        "-",
        "0000-1111-2222-3333-444",
        "0000-1111-2222-3333-4444-5",
        "0000-1111-2222-3333-444U",
        "é",
        "\0",
        &long,
    ] {
        let problem = shown(&office, &office.mail, ANN, secret).await.refused(400, "body_invalid");
        assert_eq!(problem["errors"], json!([{"field": "secret", "fault": "invalid"}]), "{secret}");
        assert!(secret.parse::<CredentialSecret>().is_err());
    }
    let token = office.mail.keys.token();
    for body in [
        json!({"user": ANN}),
        json!({"secret": WRONG}),
        json!([ANN, WRONG]),
        json!({"user": 1, "secret": 2}),
        json!({"user": ANN, "secret": WRONG, "server": MAIL}),
    ] {
        office.system.post("/v1/credentials/verify", &token, &body).send().await.refused(400, "body_invalid");
    }
    assert!(office.mail.server.verify_credential(&user(ANN), &issued.secret).await.unwrap().is_some());
}

/// A copy that was made before one was revoked knows nothing of that: its server, which was told, says so.
#[tokio::test]
async fn a_revocation_that_an_older_copy_has_lost_is_reported_and_in_force_again() {
    let mut office = Office::open().await;
    let issued = issue(&office, MAIL, ANN, "push", None).await;
    let kept = issue(&office, MAIL, ANN, "sync", None).await;
    let copy = office.system.copy().await;
    let mut watch = office.mail.server.watch();
    watch.next().await.unwrap().unwrap();
    revoke(&office, Target::Credential { credential: issued.credential }).await;
    while office.mail.keys.profile().revocations.is_empty() {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    drop(watch);
    office.system.put_back(&copy).await;
    let lost = office.mail.server.verify_credential(&user(ANN), &issued.secret).await;
    assert!(matches!(lost, Err(Error::Retry { .. })), "{lost:?}");
    let admin = &office.system.admin;
    let status = admin.restore_status().await.unwrap();
    assert_eq!((status.reports.len(), status.missing), (1, 0));
    let would = admin.would_accept_restore(&Accept { revoke_all: true, ..Accept::default() }).await.unwrap();
    assert_eq!(would.credentials, 2);
    let did = admin.accept_restore(&Accept::default(), &status.tag()).await.unwrap();
    assert_eq!((did.reapplied, did.credentials), (1, 1));
    let gateway = &office.mail.server;
    assert_eq!(gateway.verify_credential(&user(ANN), &issued.secret).await.unwrap(), None);
    assert!(gateway.verify_credential(&user(ANN), &kept.secret).await.unwrap().is_some());
}
