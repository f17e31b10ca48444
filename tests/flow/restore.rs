//! A data folder that is put back from an older copy: whoever has seen more says so by its next request, and nothing is
//! issued until the administrator accepts what is lost.

use std::collections::BTreeSet;
use std::time::Duration;

use http::{HeaderName, Method};
use serde_json::{Value, json};
use sidekey_client::error::Unavailable;
use sidekey_client::{Error, Notice};
use sidekey_protocol::encoding::base64url;
use sidekey_protocol::ids::Role;
use sidekey_protocol::revocation::SealedHead;
use sidekey_protocol::revocation::restore::Accept;
use sidekey_tests::{ANN, Answer, BOB, Keys, MAIL, Office, System};
use tempfile::TempDir;

const HEAD: HeaderName = HeaderName::from_static("sidekey-head");

/// The phone watches; a copy is made; the tablet is revoked, which the phone hears; the copy is put back.
async fn put_back() -> (Office, TempDir) {
    let mut office = Office::open().await;
    let copy = office.system.copy().await;
    let mut watch = office.phone.client.watch();
    assert_eq!(watch.next().await.unwrap().unwrap(), Notice::Gap);
    revoke_the_tablet(&office).await;
    kept(&office.phone.keys).await;
    drop(watch);
    office.system.put_back(&copy).await;
    (office, copy)
}

async fn revoke_the_tablet(office: &Office) {
    let target = json!({"kind": "pairing", "pairing": office.tablet.client.pairing()});
    office.revoke(&target).send().await.is(200);
}

/// Waits until the device has kept what it was told.
async fn kept(keys: &Keys) {
    for _ in 0..500 {
        if !keys.profile().revocations.is_empty() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    panic!("nothing is kept");
}

async fn head(system: &System, keys: &Keys) -> SealedHead {
    let answer = system.get("/v1/pairings/self", &keys.token()).send().await;
    answer.is(200).headers[HEAD].to_str().unwrap().parse().unwrap()
}

async fn show(system: &System, keys: &Keys, head: &str) -> Answer {
    system.get("/v1/pairings/self", &keys.token()).header(HEAD, head).send().await
}

#[track_caller]
fn is_rolled_back<T: std::fmt::Debug>(outcome: Result<T, Error>) {
    assert!(
        matches!(outcome, Err(Error::Retry { why: Unavailable::RolledBack, .. })),
        "{outcome:?} instead of a refusal"
    );
}

#[tokio::test]
async fn a_device_that_saw_a_later_head_seals_a_service_that_was_put_back() {
    let (mut office, _copy) = put_back().await;
    // Nobody has said anything yet: the tablet is back, and the service does not know better.
    office.tablet.client.current().await.unwrap();
    is_rolled_back(office.phone.client.current().await);
    let (admin, phone) = (office.system.admin_token(), office.phone.keys.token());
    for restarted in [false, true] {
        if restarted {
            office.system.restart().await;
        }
        is_rolled_back(office.tablet.client.current().await);
        for path in ["/v1/servers", "/v1/pairings", "/v1/policies/service"] {
            office.system.get(path, &admin).send().await.refused(503, "rolled_back");
        }
        for path in ["/v1/pairings/self", "/v1/policy", "/v1/events"] {
            office.system.get(path, &phone).send().await.refused(503, "rolled_back");
        }
        for path in ["/v1/keys", "/openapi.json", "/readyz"] {
            office.system.ask(Method::GET, path).send().await.refused(503, "rolled_back");
        }
        office.system.ask(Method::GET, "/livez").send().await.is(200);
        let status = office.system.admin.restore_status().await.unwrap();
        assert!(status.rolled_back);
        let shown = status.shown.unwrap();
        assert_eq!((shown.revocations, shown.by), (1, Some(office.phone.client.pairing())));
        assert_eq!((status.revocations, status.missing, status.reports.len()), (0, 0, 1));
    }
}

#[tokio::test]
async fn accepting_revokes_again_what_was_reported_and_the_service_goes_on() {
    let (mut office, _copy) = put_back().await;
    let before = office.session().await;
    is_rolled_back(office.phone.client.current().await);
    let status = office.system.admin.restore_status().await.unwrap();
    let accept = Accept::default();
    let would = office.system.admin.would_accept_restore(&accept).await.unwrap();
    let records = office.system.records().len();
    let did = office.system.admin.accept_restore(&accept, &status.tag()).await.unwrap();
    assert_eq!((did.reapplied, did.pairings, did.sessions_ended), (1, 1, 1));
    assert_eq!((would.dry_run, would.revocations, would.pairings), (true, did.revocations, 1));
    assert_eq!(office.system.records().len(), records + 1, "one record");
    for restarted in [false, true] {
        if restarted {
            office.system.restart().await;
        }
        assert_eq!(did.revocations, 2);
        assert_eq!(head(&office.system, &office.phone.keys).await.n(), 2);
        office.system.get("/v1/policy", &office.tablet.keys.token()).send().await.refused(410, "revoked");
        let ended = office.fetch(before.session(), "", &office.phone.keys.token()).send().await;
        ended.refused(410, "session_ended");
        let status = office.system.admin.restore_status().await.unwrap();
        assert!(!status.rolled_back && status.reports.is_empty());
    }
    let after = office.session().await;
    office.phone.client.session_key(after.session()).await.unwrap();
    office.phone.client.current().await.unwrap();
}

#[tokio::test]
async fn a_forged_head_is_counted_and_does_nothing() {
    let office = Office::open().await;
    revoke_the_tablet(&office).await;
    let genuine = head(&office.system, &office.phone.keys).await;
    show(&office.system, &office.phone.keys, &genuine.to_string()).await.is(200);
    let (before, told) = (office.system.records(), office.system.metrics().await);
    let mut forged: Vec<String> = (0..32)
        .map(|place| {
            let mut octets = *genuine.as_bytes();
            octets[place] ^= 1;
            base64url(&octets)
        })
        .collect();
    forged.extend(["", "AAAA", "not base64url!", &"A".repeat(43)].map(str::to_owned));
    for head in &forged {
        show(&office.system, &office.phone.keys, head).await.is(200);
    }
    assert_eq!(office.system.records(), before);
    let count = |text: &str| {
        let mut lines = text.lines().filter_map(|line| line.strip_prefix("sidekey_heads_forged_total "));
        lines.next().expect("it is told").parse::<usize>().expect("it is a number")
    };
    let now = office.system.metrics().await;
    assert_eq!((count(&told), count(&now)), (0, forged.len()), "a genuine one is not counted");
    assert_eq!(of_state(&now), of_state(&told));
    assert!(!office.system.admin.restore_status().await.unwrap().rolled_back);
}

/// What is told of pairings, keys, revocations and refusals. The service has work of its own, and times it.
fn of_state(metrics: &str) -> BTreeSet<&str> {
    let told =
        ["auth_failures", "keys_issued", "pairings", "ratelimit_rejected", "revocations", "seal_state"];
    let is_told = |line: &&str| told.iter().any(|name| line.starts_with(&format!("sidekey_{name}")));
    let told: BTreeSet<_> = metrics.lines().filter(is_told).collect();
    assert!(told.len() > 10, "{metrics}");
    told
}

#[tokio::test]
async fn as_many_revocations_of_another_history_are_found_too() {
    let mut office = Office::open().await;
    let copy = office.system.copy().await;
    revoke_the_tablet(&office).await;
    let theirs = head(&office.system, &office.mail.keys).await;
    office.system.put_back(&copy).await;
    let invited = office.system.invite(MAIL, Some(ANN)).await;
    let target = json!({"kind": "invitation", "invitation": invited.invitation});
    office.revoke(&target).send().await.is(200);
    let ours = head(&office.system, &office.mail.keys).await;
    assert_eq!((ours.n(), theirs.n()), (1, 1));
    show(&office.system, &office.mail.keys, &ours.to_string()).await.is(200);
    show(&office.system, &office.mail.keys, &theirs.to_string()).await.refused(503, "rolled_back");
    assert_eq!(office.system.admin.restore_status().await.unwrap().missing, 1);
}

#[tokio::test]
async fn a_device_that_was_paired_after_the_copy_was_made_is_believed() {
    let mut office = Office::open().await;
    let copy = office.system.copy().await;
    let late = office.system.pair_client(MAIL, BOB).await;
    revoke_the_tablet(&office).await;
    late.client.current().await.unwrap();
    office.system.put_back(&copy).await;
    is_rolled_back(late.client.current().await);
    let shown = office.system.admin.restore_status().await.unwrap().shown.unwrap();
    assert_eq!((shown.revocations, shown.by), (1, None), "nobody that is known here");
}

#[tokio::test]
async fn a_count_alone_as_an_sms_brings_it_does_nothing() {
    let mut office = Office::open().await;
    let session = office.session().await;
    office.phone.client.session_key(session.session()).await.unwrap();
    let copy = office.system.copy().await;
    revoke_the_tablet(&office).await;
    // What an SMS would carry: the key in 127 octets, with the count of revocations and no head.
    let asking = office.fetch(session.session(), "", &office.phone.keys.token());
    let carried = asking.header(http::header::ACCEPT, "application/cose; cose-type=\"cose-encrypt0\"");
    let carried = carried.send().await;
    assert_eq!(carried.is(200).body.len(), 127);
    office.system.put_back(&copy).await;
    let phone = office.phone.keys.client(office.system.ambient()).await;
    phone.accept(&carried.body).await.unwrap();
    assert_eq!(office.phone.keys.profile().head.n(), 1, "the count is kept");
    phone.current().await.unwrap();
    assert!(!office.system.admin.restore_status().await.unwrap().rolled_back);
}

#[tokio::test]
async fn every_answer_to_a_party_and_every_stream_carries_the_head() {
    let office = Office::open().await;
    let refused = office.system.get("/v1/sessions/current?user=x", &office.phone.keys.token()).send().await;
    assert!(refused.refused(404, "not_found").is_object() && refused.headers.contains_key(HEAD));
    let open = office.system.ask(Method::GET, "/v1/keys").send().await;
    assert!(!open.is(200).headers.contains_key(HEAD), "to nobody else");
    let before = head(&office.system, &office.phone.keys).await;
    // Of a revocation that is none of its business it hears the head.
    let bob = office.system.pair_client(MAIL, BOB).await;
    let mut watch = bob.client.watch();
    assert_eq!(watch.next().await.unwrap().unwrap(), Notice::Gap);
    revoke_the_tablet(&office).await;
    for _ in 0..500 {
        if bob.keys.profile().head.n() == before.n() + 1 {
            return;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    panic!("the stream does not tell the head");
}

mod accepting {
    use super::*;

    async fn accept(office: &Office, accept: &Accept) -> Result<u64, String> {
        let admin = &office.system.admin;
        let status = admin.restore_status().await.unwrap();
        match admin.accept_restore(accept, &status.tag()).await {
            Ok(accepted) => Ok(accepted.pairings),
            Err(Error::Refused { code, .. }) => Err(code.into_owned()),
            Err(other) => panic!("{other:?}"),
        }
    }

    /// Two revocations are lost, of which nobody says anything but that they were.
    async fn unreported() -> Office {
        let mut office = Office::open().await;
        let copy = office.system.copy().await;
        for _ in 0..2 {
            let invited = office.system.invite(MAIL, Some(BOB)).await;
            let target = json!({"kind": "invitation", "invitation": invited.invitation});
            office.revoke(&target).send().await.is(200);
        }
        office.mail.server.sessions(&sidekey_tests::user(ANN)).await.unwrap();
        office.system.put_back(&copy).await;
        is_rolled_back(office.mail.server.sessions(&sidekey_tests::user(ANN)).await);
        office
    }

    #[tokio::test]
    async fn asks_for_the_number_that_is_lost() {
        let office = unreported().await;
        let before = office.system.records();
        for missing in [0, 1] {
            let asked = Accept { missing, ..Accept::default() };
            assert_eq!(accept(&office, &asked).await, Err("revocations_missing".to_owned()));
        }
        assert_eq!(office.system.records(), before);
        assert_eq!(accept(&office, &Accept { missing: 2, ..Accept::default() }).await, Ok(0));
        office.phone.client.current().await.unwrap();
    }

    #[tokio::test]
    async fn or_revokes_every_pairing_but_those_that_are_named() {
        let office = unreported().await;
        let except = vec![office.mail.server.pairing(), office.phone.client.pairing()];
        let asked = Accept { revoke_all: true, except, ..Accept::default() };
        assert_eq!(accept(&office, &asked).await, Ok(1));
        office.phone.client.current().await.unwrap();
        office.system.get("/v1/policy", &office.tablet.keys.token()).send().await.refused(410, "revoked");
    }

    #[tokio::test]
    async fn is_refused_where_there_is_nothing_to_accept_or_it_was_not_seen() {
        let office = Office::open().await;
        assert_eq!(accept(&office, &Accept::default()).await, Err("not_rolled_back".to_owned()));
        let office = unreported().await;
        let before = office.system.records();
        let stranger = Accept {
            revoke_all: true,
            except: vec![sidekey_protocol::ids::PartyId::from_bytes([9; 16])],
            missing: 0,
        };
        assert_eq!(accept(&office, &stranger).await, Err("not_found".to_owned()));
        let (admin, body) = (office.system.admin_token(), json!({"missing": 2}));
        let post = || office.system.post("/v1/restore/accept", &admin, &body);
        post().send().await.refused(428, "precondition_required");
        let stale = post().header(http::header::IF_MATCH, "\"1.0\"").send().await;
        stale.refused(412, "precondition_failed");
        for keys in [&office.mail.keys, &office.phone.keys] {
            let asked = office.system.post("/v1/restore/accept", &keys.token(), &body).send().await;
            asked.refused(403, "role_forbidden");
            office.system.get("/v1/restore", &keys.token()).send().await.refused(403, "role_forbidden");
        }
        assert_eq!(office.system.records(), before);
    }

    #[tokio::test]
    async fn cancels_invitations_that_the_copy_holds_open() {
        let mut office = Office::open().await;
        let invited = office.system.invite(MAIL, Some(BOB)).await;
        let copy = office.system.copy().await;
        office.system.pair(office.system.accept(&invited, Role::Client)).await.unwrap();
        revoke_the_tablet(&office).await;
        office.phone.client.current().await.unwrap();
        office.system.put_back(&copy).await;
        is_rolled_back(office.phone.client.current().await);
        accept(&office, &Accept { missing: 1, ..Accept::default() }).await.unwrap();
        let again = office.system.pair(office.system.accept(&invited, Role::Client)).await;
        assert!(
            matches!(again, Err(Error::PairAgain { ref code, .. }) if code == "invitation_over"),
            "{again:?}"
        );
    }
}

mod reports {
    use super::*;

    fn told(target: &Value) -> Value {
        json!({"target": target, "reason": "phone lost", "at": 7})
    }

    async fn report(office: &Office, keys: &Keys, revocations: &[Value]) -> Answer {
        let body = json!({ "revocations": revocations });
        office.system.post("/v1/restore/reports", &keys.token(), &body).send().await
    }

    #[tokio::test]
    async fn are_taken_of_what_a_party_is_told_of_and_of_nothing_else() {
        let mut office = Office::open().await;
        let bob = office.system.pair_client(MAIL, BOB).await;
        let user = |user| told(&json!({"kind": "user", "server": MAIL, "user": user}));
        let pairing = |id| told(&json!({"kind": "pairing", "pairing": id}));
        report(&office, &bob.keys, &[user(BOB)]).await.refused(409, "not_rolled_back");
        let copy = office.system.copy().await;
        revoke_the_tablet(&office).await;
        office.phone.client.current().await.unwrap();
        office.system.put_back(&copy).await;
        is_rolled_back(office.phone.client.current().await);
        let (tablet, gateway) = (office.tablet.client.pairing(), office.mail.server.pairing());
        for (keys, revocations, taken) in [
            (&bob.keys, vec![user(ANN), pairing(tablet), pairing(gateway)], 0),
            (&office.phone.keys, vec![pairing(tablet), pairing(tablet), user(BOB)], 1),
            (
                &office.mail.keys,
                vec![pairing(tablet), user(BOB), told(&json!({"kind": "server", "server": "x"}))],
                1,
            ),
        ] {
            let answer = report(&office, keys, &revocations).await.is(200).json();
            assert_eq!(answer["taken"], taken, "{revocations:?}");
        }
        let many = vec![user(ANN); 65];
        report(&office, &office.phone.keys, &many).await.refused(400, "body_invalid");
        assert_eq!(office.system.admin.restore_status().await.unwrap().reports.len(), 2);
    }
}
