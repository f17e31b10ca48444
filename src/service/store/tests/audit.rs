use std::fs;

use sidekey_protocol::audit::Action;
use sidekey_protocol::audit::proof::{Asker, Proof, ProofPart, Walk};
use sidekey_protocol::audit::wire::AuditQuery;
use sidekey_protocol::ids::Timestamp;
use sidekey_protocol::session::Audience;

use super::super::Page;
use super::super::audit::{PROOF_MAX, READ_MAX, TOLD_SIZE};
use super::super::journal::read::Reader;
use super::{Data, EVERYTHING, START, server, user};
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

async fn batch(data: &Data, audiences: impl Iterator<Item = u8>) {
    let new = data.batch(audiences.map(|n| Audience::User(user(n))).collect());
    data.store.open_batch(new).await.unwrap().unwrap();
}

/// Names another user, in the record that invited the first.
fn edit(data: &Data) {
    let segment = data.folder.path().join("journal/00000000000000000001.journal");
    let mut bytes = fs::read(&segment).unwrap();
    let at = bytes.windows(5).position(|part| part == b"user0").unwrap();
    bytes[at + 4] = b'1';
    fs::write(&segment, bytes).unwrap();
}

#[tokio::test]
async fn the_log_is_the_same_by_pages_of_any_size() {
    let data = Data::with_users(4).await;
    batch(&data, 0..4).await;
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
async fn of_what_is_asked_for_since_a_time_the_segments_before_it_are_not_read() {
    let data = Data::with_users(1).await;
    let mut opened = 0;
    let mut open = async || {
        data.clock.advance_s(10);
        opened += 1;
        data.open(user(0), opened).await.unwrap();
    };
    let starts = || Reader::starts(&data.store.journal()).unwrap();
    while starts().len() < 2 {
        open().await;
    }
    for _ in 0..3 {
        open().await;
    }
    edit(&data);
    let begun = data.store.audit_record(starts()[1]).unwrap().unwrap().entries[0].at;
    let since = |since| AuditQuery {
        since: Some(since),
        action: Some(Action::SessionOpened),
        ..AuditQuery::default()
    };
    assert_eq!(read(&data, 100, &since(begun.after_s(5))).len(), 3);
    assert!(data.store.audit(EVERYTHING, &since(START)).is_err(), "it was edited");
}

/// Whoever asks for what is rare has it looked for in parts.
#[tokio::test]
async fn a_page_looks_at_so_much_of_the_log_and_says_where_the_next_one_goes_on() {
    let data = Data::with_users(1).await;
    let set = async |to: &str| data.address(data.phone(0), "sms", to).await;
    let size = |seq| data.store.audit_record(seq).unwrap().unwrap().size as usize;
    let all = || (1..=data.store.position().seq).map(size).sum::<usize>();
    let page = |after| {
        let wanted = AuditQuery { action: Some(Action::AddressSet), ..AuditQuery::default() };
        let page = data.store.audit(Page { size: 100, after }, &wanted).unwrap();
        (page.entries.len(), page.next)
    };
    for to in ["0", "1", "2"] {
        set(&to.repeat(1 << 20)).await;
    }
    let around = size(data.store.position().seq) - (1 << 20);
    set(&"3".repeat(READ_MAX - all() - around)).await;
    assert_eq!(all(), READ_MAX);
    set("4").await;
    assert_eq!(page(0), (5, None), "nothing follows");
    for to in ["5", "6"] {
        set(to).await;
    }
    let (found, next) = page(0);
    assert_eq!(found, 5);
    assert_eq!(page(next.unwrap()), (2, None));
}

#[tokio::test]
async fn a_record_shows_how_the_chain_binds_it() {
    let data = Data::with_users(1).await;
    let last = data.store.position();
    let record = data.store.audit_record(last.seq).unwrap().unwrap();
    assert_eq!(record.hash.0, last.hash);
    let shown = data.store.audit(EVERYTHING, &AuditQuery::default()).unwrap().entries.pop().unwrap();
    assert_eq!((shown.seq, shown.hash), (last.seq, Some(record.hash)));
    let before = data.store.audit_record(last.seq - 1).unwrap().unwrap();
    assert_eq!(record.previous, before.hash);
    for absent in [0, last.seq + 1, u64::MAX] {
        assert!(data.store.audit_record(absent).unwrap().is_none(), "{absent}");
    }
}

#[tokio::test]
async fn a_record_that_was_edited_under_a_running_service_is_not_shown() {
    let data = Data::with_users(1).await;
    edit(&data);
    let refused = data.store.audit(Page { size: 100, after: 0 }, &AuditQuery::default()).unwrap_err();
    assert!(matches!(refused, Fault::Corrupt { damage: Damage::Chain, .. }), "{refused}");
}

/// What the first user's phone is told of the records after this one.
fn told(data: &Data, after: u64) -> Option<Proof> {
    let phone = data.store.party(data.phone(0)).unwrap();
    data.store.audit_proof(Some(after), &Asker { party: phone.id, place: phone.place() }).unwrap()
}

/// How many leaves or entries each part of a proof has.
fn parts(proof: &Proof) -> Vec<usize> {
    let len = |part: &ProofPart| match part {
        ProofPart::Leaves(leaves) => leaves.0.len() / 32,
        ProofPart::Record(record) => record.entries.len(),
    };
    proof.records.iter().map(len).collect()
}

#[tokio::test]
async fn a_proof_is_walked_by_pages_to_what_was_signed() {
    let data = Data::with_users(2).await;
    let begun = data.store.position();
    // As much as one page may have.
    let (others, own) = (17, 654);
    assert_eq!(others * 32 + own * TOLD_SIZE, PROOF_MAX);
    for key in 0..others {
        data.open(user(1), key as u64).await.unwrap();
    }
    batch(&data, std::iter::repeat_n(0, own)).await;
    let other = async |key| drop(data.open(user(1), key).await.unwrap());
    other(100).await;
    let page = told(&data, begun.seq).unwrap();
    assert_eq!((parts(&page), page.checkpoint.is_some()), (vec![others, own, 1], true));
    other(101).await;
    let page = told(&data, begun.seq).unwrap();
    assert_eq!((parts(&page), page.checkpoint), (vec![others, own, 1], None), "there is more");

    let (service, keys) = (data.store.identity().service, [data.store.signer().unwrap().public.clone()]);
    let mut walk = Walk::after(Some(begun));
    while !walk.take(&told(&data, walk.seq().unwrap()).unwrap(), service, &keys).unwrap() {}
    let end = data.store.position();
    assert_eq!(told(&data, end.seq + 1), None);
    let (entries, walked) = walk.clone().finish();
    assert_eq!((entries.len(), walked), (own, end));
    // Whoever has walked so far is shown that nothing was added.
    assert_eq!(walk.take(&told(&data, end.seq).unwrap(), service, &keys), Ok(true));
}
