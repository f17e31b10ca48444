use std::fs;

use sidekey_protocol::audit::Action;
use sidekey_protocol::audit::wire::AuditQuery;
use sidekey_protocol::ids::Timestamp;
use sidekey_protocol::session::{Audience, Capabilities};

use super::super::{Idempotency, NewBatch, Page};
use super::{Data, START, server, user};
use crate::fault::{Damage, Fault};

/// All entries that are wanted, by pages of `size`.
fn read(data: &Data, size: usize, wanted: &AuditQuery) -> Vec<(u64, u16, Action)> {
    let (mut all, mut after) = (Vec::new(), 0);
    loop {
        let page = data.store.audit(Page { size, after }, wanted).unwrap();
        assert!(page.entries.len() <= size);
        all.extend(page.entries.iter().map(|entry| (entry.seq, entry.item, entry.action)));
        match page.next {
            Some(next) => after = next,
            None => return all,
        }
    }
}

async fn batch(data: &Data, users: u8) {
    let audiences = (0..users).map(|n| Audience::User(user(n))).collect();
    let capabilities = Capabilities::parse(&["A256GCM"]).unwrap();
    let idempotency = Idempotency { key: [3; 16], body: [4; 16] };
    let deliver = Vec::new();
    let new = NewBatch { by: data.gateway(), audiences, ttl_s: None, capabilities, deliver, idempotency };
    data.store.open_batch(new).await.unwrap().unwrap();
}

#[tokio::test]
async fn the_log_is_the_same_by_pages_of_any_size() {
    let data = Data::with_users(4).await;
    batch(&data, 4).await;
    let session = data.open(user(1), 1).await.unwrap();
    data.store.end(super::ADMIN, session.id).await.unwrap();
    let all = read(&data, 1000, &AuditQuery::default());
    assert_eq!(all.first(), Some(&(1, 0, Action::ServiceCreated)));
    assert_eq!(all.last().map(|last| last.2), Some(Action::SessionEnded));
    assert_eq!(all.iter().filter(|(.., action)| *action == Action::SessionOpened).count(), 5);
    for size in [1, 2, 3, 7] {
        assert_eq!(read(&data, size, &AuditQuery::default()), all, "by {size}");
    }
    let opened = AuditQuery { action: Some(Action::SessionOpened), ..AuditQuery::default() };
    for size in [1, 3, 5] {
        assert_eq!(read(&data, size, &opened).len(), 5, "by {size}");
    }
}

#[tokio::test]
async fn what_is_asked_for_is_found_across_segments() {
    let data = Data::with_users(2).await;
    for n in 0..400 {
        data.clock.set(START.after_s(n as u32 * 10));
        data.open(user((n % 2) as u8), n).await.unwrap();
    }
    assert!(fs::read_dir(data.folder.path().join("journal")).unwrap().count() > 1);
    let of = |wanted: AuditQuery| read(&data, 100, &wanted);
    let opened = AuditQuery { action: Some(Action::SessionOpened), ..AuditQuery::default() };
    assert_eq!(of(opened.clone()).len(), 400);
    assert_eq!(of(AuditQuery { user: Some(user(1)), ..opened.clone() }).len(), 200);
    let late = AuditQuery {
        since: Some(START.after_s(3000)),
        until: Some(START.after_s(3050)),
        server: Some(server()),
        ..opened.clone()
    };
    assert_eq!(of(late).len(), 5);
    assert_eq!(of(AuditQuery { since: Some(Timestamp(u32::MAX)), ..opened.clone() }), []);
    assert_eq!(of(AuditQuery { pairing: Some(data.gateway()), ..opened.clone() }).len(), 400);
    let last = data.store.position().seq;
    assert_eq!(of(AuditQuery { from: Some(last), ..AuditQuery::default() }).len(), 1);
    assert_eq!(of(AuditQuery { from: Some(last + 1), ..AuditQuery::default() }), []);
}

#[tokio::test]
async fn a_record_shows_how_the_chain_binds_it() {
    let data = Data::with_users(1).await;
    let last = data.store.position();
    let record = data.store.audit_record(last.seq).unwrap().unwrap();
    assert_eq!(record.hash.0, last.hash);
    let before = data.store.audit_record(last.seq - 1).unwrap().unwrap();
    assert_eq!(record.previous, before.hash);
    for absent in [0, last.seq + 1, u64::MAX] {
        assert!(data.store.audit_record(absent).unwrap().is_none(), "{absent}");
    }
}

#[tokio::test]
async fn a_record_that_was_edited_under_a_running_service_is_not_shown() {
    let data = Data::with_users(1).await;
    let segment = data.folder.path().join("journal/00000000000000000001.journal");
    let mut bytes = fs::read(&segment).unwrap();
    let at = bytes.windows(5).position(|part| part == b"user0").unwrap();
    bytes[at + 4] = b'1';
    fs::write(&segment, bytes).unwrap();
    let refused = data.store.audit(Page { size: 100, after: 0 }, &AuditQuery::default()).unwrap_err();
    assert!(matches!(refused, Fault::Corrupt { damage: Damage::Chain, .. }), "{refused}");
}
