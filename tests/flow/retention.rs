//! A log that is kept for a time: what went is said to be gone, what is kept is still proven, and everybody goes on.

use std::time::Duration;

use sidekey_client::Error;
use sidekey_client::admin::{AuditFilter, AuditPage, Paging, Prune};
use sidekey_client::error::Tampered;
use sidekey_protocol::audit::proof::Reject;
use sidekey_protocol::audit::{Action, Checkpoint, Position};
use sidekey_protocol::ids::Timestamp;
use sidekey_service::store::Store;
use sidekey_tests::{Office, SHOP};

const DAY_S: u32 = 86_400;

async fn log(office: &Office) -> AuditPage {
    let all = Paging { page_size: Some(500), page_token: None };
    office.system.admin.audit(&AuditFilter::default(), &all).await.unwrap()
}

/// An office whose log was kept for 30 days on the 45th, and what it had signed on the first.
async fn pruned() -> (Office, Position, Checkpoint) {
    let mut office = Office::open().await;
    office.session().await;
    let seen = office.phone.client.audit(None).await.unwrap();
    office.session_of_the_phone().await;
    office.system.keep_days = 30;
    // The segment is closed after an eighth of that, and goes when the next one is as old.
    for days in [5, 40] {
        office.system.clock.advance_s(days * DAY_S);
        office.system.restart().await;
        office.session().await;
    }
    let gone = async {
        while log(&office).await.first == 1 {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(20), gone).await.expect("what is old goes by itself");
    let signed = Checkpoint::read(&seen.checkpoint).unwrap();
    (office, seen.position, signed)
}

#[tokio::test]
async fn what_is_older_than_it_is_kept_goes_by_itself_and_everybody_goes_on() {
    let (office, ..) = pruned().await;
    let page = log(&office).await;
    let said = page.items.iter().find(|entry| entry.action == Action::LogPruned).unwrap();
    assert_eq!((said.by, said.first, said.count), (None, Some(page.first), Some(page.first - 1)));
    assert_eq!((page.items[0].seq, page.items[0].hash.is_some()), (page.first, true));
    assert!(page.items[0].at > Timestamp(office.system.clock.now().0 - 41 * DAY_S));
    // Who was paired on the first day is paired; what was set is set.
    let key = office.session_of_the_phone().await;
    let phone = office.phone.client.current().await.unwrap();
    assert!(phone.iter().any(|session| session.session == key.session()));
    office.system.admin.add_server(&sidekey_tests::server(SHOP)).await.unwrap();
}

#[tokio::test]
async fn what_is_not_kept_is_told_apart_from_what_is_wrong() {
    let (office, before, signed) = pruned().await;
    let first = log(&office).await.first;
    let admin = &office.system.admin_token();
    office.system.get("/v1/audit/1", admin).send().await.refused(410, "log_pruned");
    office.system.get("/v1/audit/999999", admin).send().await.refused(404, "not_found");
    let refused = office.phone.client.audit(Some(before)).await.unwrap_err();
    assert!(matches!(refused, Error::Refused { code, .. } if code == "log_pruned"));
    // From where it begins it is proven, and says itself why it begins there.
    let seen = office.phone.client.audit(None).await.unwrap();
    assert!(seen.entries.iter().any(|entry| entry.first == Some(first)));
    assert!(seen.entries.iter().all(|entry| entry.seq >= first));
    let now = Checkpoint::read(&seen.checkpoint).unwrap();
    let walked = office.system.admin.audit_walk(&[signed.clone(), now.clone()]).await.unwrap();
    assert_eq!(walked.unseen, 1, "one is older than what is kept");
    let other = Checkpoint { position: Position { hash: [9; 32], ..now.position }, ..now };
    let refused = office.system.admin.audit_walk(&[other]).await.unwrap_err();
    assert!(matches!(refused, Error::Tampered(Tampered::Audit(Reject::ChainForeign))), "{refused}");
    let verified = Store::verify(&office.system.data(), &[signed]).unwrap();
    assert_eq!((verified.first, verified.unseen), (first, 1 + before_of(&office, first)));
}

/// Checkpoints in the folder of records before the log begins.
fn before_of(office: &Office, first: u64) -> usize {
    let kept = std::fs::read_to_string(office.system.data().join("checkpoints")).unwrap();
    let seq = |line: &str| Checkpoint::read(line).unwrap().position.seq;
    kept.lines().filter(|line| seq(line) + 1 < first).count()
}

#[tokio::test]
async fn an_administrator_deletes_what_is_old_and_nobody_what_is_young() {
    let (office, ..) = pruned().await;
    let admin = &office.system.admin_token();
    let now = office.system.clock.now();
    let page = log(&office).await;
    let ask = |before: u32, dry_run| Prune { before: Timestamp(before), dry_run };
    for dry_run in [true, false] {
        let young = ask(now.0 - 30 * DAY_S + 1, dry_run);
        office.system.post("/v1/audit/prune", admin, &young).send().await.refused(422, "log_young");
        let old = office.system.admin.prune_audit(&ask(now.0 - 31 * DAY_S, dry_run)).await.unwrap();
        assert_eq!((old.records, old.first, old.more), (0, page.first, false));
    }
    for keys in [&office.mail.keys, &office.phone.keys] {
        let old = ask(now.0 - 60 * DAY_S, false);
        office
            .system
            .post("/v1/audit/prune", &keys.token(), &old)
            .send()
            .await
            .refused(403, "role_forbidden");
    }
    assert_eq!(log(&office).await.first, page.first);
}

#[tokio::test]
async fn an_older_copy_from_before_it_was_pruned_is_found_out_all_the_same() {
    let mut office = Office::open().await;
    let copy = office.system.copy().await;
    office.revoke_the_phone().await;
    office.system.keep_days = 30;
    for days in [5, 40] {
        office.system.clock.advance_s(days * DAY_S);
        office.system.restart().await;
        office.session().await;
    }
    office.system.put_back(&copy).await;
    // The mail server has seen the revocation, and shows it.
    let mut refused = office.mail.server.audit(None).await;
    if refused.is_ok() {
        refused = office.mail.server.audit(None).await;
    }
    assert!(refused.unwrap_err().to_string().contains("restored from an older copy"));
}
