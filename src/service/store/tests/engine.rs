use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use sidekey_protocol::ids::Role;
use sidekey_protocol::revocation::Target;

use super::super::engine::key;
use super::super::{Error, Store};
use super::{ADMIN, Data, open, root_key, server, user};
use crate::fault::Fault;

#[tokio::test]
async fn a_second_process_is_refused() {
    let data = Data::new();
    let second = open(data.folder.path(), &data.clock, &data.fenced, |_| {});
    let pid = Some(std::process::id());
    assert!(matches!(second, Err(Fault::Locked { pid: named }) if named == pid), "{second:?}");
}

#[tokio::test]
async fn a_wrong_root_key_is_refused_in_one_line() {
    let mut data = Data::new();
    data.store.close().await;
    let clock = data.clock.clone();
    let refused = data.try_swap(|folder| {
        let wrong = sidekey_protocol::crypto::Secret::fill_with(|octets| octets.fill(6));
        let refused = Store::open(folder, wrong, clock, super::rng()).unwrap_err();
        assert_eq!(refused.to_string(), "the root key is not the one that this folder was made with");
        Store::open(folder, root_key(), data_clock(), super::rng()).unwrap();
    });
    refused.unwrap();
}

fn data_clock() -> std::sync::Arc<crate::clock::TestClock> {
    std::sync::Arc::new(crate::clock::TestClock::at(super::START))
}

#[tokio::test(flavor = "multi_thread")]
async fn after_a_failed_sync_nothing_is_answered() {
    for syncs in 0..8 {
        let mut data = Data::with_users(0).await;
        data.store.close().await;
        let adjusted = |journal: &mut super::Journal| journal.syncs_until_failure = Some(syncs);
        let (clock, fenced) = (data.clock.clone(), data.fenced.clone());
        let mut store = None;
        data.swap(|folder| {
            store = Some(open(folder, &clock, &fenced, adjusted).unwrap());
            // Let go of the lock before the folder is opened again.
            let runtime = tokio::runtime::Handle::current();
            let store = store.take().unwrap();
            tokio::task::block_in_place(|| {
                runtime.block_on(async {
                    for n in 0..10 {
                        let name = format!("mail{n}.example.org").parse().unwrap();
                        let added = store.add_server(ADMIN, name).await;
                        assert_eq!(added.is_ok(), n < syncs, "{n} of {syncs}: {added:?}");
                        if let Err(error) = added {
                            assert!(matches!(error, Error::Fault(Fault::Fenced)), "{error:?}");
                        }
                    }
                    assert!(matches!(store.ready(), Err(Fault::Fenced)));
                });
            });
        });
        assert!(data.fenced.load(Ordering::SeqCst));
        assert!(
            data.store.servers(super::EVERYTHING).items.len() > syncs as usize,
            "what was answered is there"
        );
    }
}

#[tokio::test]
async fn a_full_disk_refuses_everything_but_revocations() {
    let mut data = Data::with_users(2).await;
    let no_room = full(&mut data).await;
    let mut opened = 0;
    let refused = loop {
        match data.open(user(0), opened).await {
            Ok(_) => opened += 1,
            Err(error) => break error,
        }
    };
    assert!(opened > 100 && matches!(refused, Error::Fault(Fault::Full)), "{opened}: {refused:?}");
    assert!(matches!(data.store.ready(), Err(Fault::Full)));
    let target = Target::User { server: server(), user: user(0) };
    data.store.revoke(ADMIN, target, "lost".parse().unwrap()).await.unwrap();
    no_room.store(false, Ordering::SeqCst);
    data.open(user(1), opened).await.unwrap();
    data.store.ready().unwrap();
    assert!(!data.fenced.load(Ordering::SeqCst));
    let before = data.dump();
    data.reopen().await;
    assert_eq!(before, data.dump());
}

#[tokio::test]
async fn a_journal_that_was_full_goes_on_before_anybody_asks_again() {
    let mut data = Data::with_users(2).await;
    let no_room = full(&mut data).await;
    let mut key = 0;
    while data.open(user(0), key).await.is_ok() {
        key += 1;
    }
    let target = Target::User { server: server(), user: user(0) };
    data.store.revoke(ADMIN, target, "lost".parse().unwrap()).await.unwrap();
    assert!(matches!(data.store.ready(), Err(Fault::Full)), "a revocation makes no room");
    no_room.store(false, Ordering::SeqCst);
    let goes_on = async {
        while data.store.ready().is_err() {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(20), goes_on).await.expect("nobody has to ask");
    data.open(user(1), key).await.unwrap();
}

#[tokio::test]
async fn a_store_that_is_dropped_leaves_nobody_behind_who_writes_to_its_folder() {
    let data = Data::with_users(1).await;
    data.open(user(0), 1).await.unwrap();
    // The keeper holds it too.
    let holders = data.store.engine.holders();
    assert_eq!(holders(), 2);
    drop(data.store);
    assert_eq!(holders(), 0);
}

#[tokio::test]
async fn a_clock_may_go_back_a_minute() {
    let data = Data::with_users(1).await;
    data.clock.advance_s(60);
    data.open(user(0), 1).await.unwrap();
    data.clock.set(super::START);
    data.store.ready().unwrap();
    data.open(user(0), 2).await.unwrap();
    assert_eq!(data.store.now(), super::START.after_s(60));
    data.clock.set(super::Timestamp(super::START.0 - 1));
    assert!(matches!(data.store.ready(), Err(Fault::ClockBehind { by_s: 61 })));
}

#[test]
fn what_is_about_another_thing_waits_for_nothing() {
    assert_eq!(key((ADMIN, [1; 16])), key((ADMIN, [1; 16])));
    assert_ne!(key((ADMIN, [1; 16])), key((ADMIN, [2; 16])));
    assert_ne!(key(server()), key(user(0)));
}

#[tokio::test]
async fn a_store_that_is_printed_shows_its_parts_and_no_secret() {
    let data = Data::with_users(1).await;
    let printed = format!("{:?}", data.store);
    assert!(printed.contains("Shared {") && printed.contains("Some(Thread)"), "{printed}");
    assert!(!printed.contains("[5, 5, 5") && !printed.contains("a verifier"), "{printed}");
}

/// Closes it, and opens it in another way.
pub(super) async fn reopened(data: &mut Data, open: impl FnOnce(&Data) -> Result<Store, Fault>) {
    data.store.close().await;
    // The lock goes with the last holder; another folder's store takes its place meanwhile.
    let folder = super::scratch();
    super::create(folder.path(), &data.clock, super::SEGMENT_SIZE);
    let elsewhere = super::open(folder.path(), &data.clock, &data.fenced, |_| {}).unwrap();
    drop(std::mem::replace(&mut data.store, Arc::new(elsewhere)));
    data.store = Arc::new(open(data).unwrap());
}

/// With a journal that finds no room for a segment while this says so.
async fn full(data: &mut Data) -> Arc<AtomicBool> {
    let no_room = Arc::new(AtomicBool::new(true));
    let full = no_room.clone();
    reopened(data, |data| {
        open(data.folder.path(), &data.clock, &data.fenced, |journal| journal.no_room = full)
    })
    .await;
    no_room
}

/// Waits for the keeper.
async fn sealed_by_the_second_key_alone(data: &Data) {
    for _ in 0..100 {
        if data.store.shared.at_rest.numbers() == [2].into() {
            break;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    assert_eq!(data.store.shared.at_rest.numbers(), [2].into(), "the old key is destroyed");
}

#[tokio::test]
async fn on_a_full_disk_a_phone_is_revoked_and_the_sealing_key_goes_as_soon_as_there_is_room() {
    let mut data = Data::with_users(1).await;
    let phone = data.pair(Role::Client, Some(user(0))).await;
    let no_room = |full| data.store.shared.at_rest.no_room.store(full, Ordering::SeqCst);
    no_room(true);
    let reason = "lost".parse().unwrap();
    data.store.revoke(ADMIN, Target::Pairing { pairing: phone }, reason).await.unwrap();
    assert!(data.store.party(phone).unwrap().revoked.is_some());
    assert_eq!(data.store.shared.at_rest.numbers(), [1].into(), "there was no room for another");
    no_room(false);
    sealed_by_the_second_key_alone(&data).await;
}

#[tokio::test]
async fn a_revocation_destroys_the_sealing_key() {
    let mut data = Data::with_users(1).await;
    data.pair(Role::Client, Some(user(0))).await;
    let session = data.open(user(0), 1).await.unwrap();
    let phone = data.store.live_pairings(&server(), &user(0))[1].id;
    assert_eq!(data.store.shared.at_rest.numbers(), [1].into());
    let reason = "lost".parse().unwrap();
    data.store.revoke(ADMIN, Target::Pairing { pairing: phone }, reason).await.unwrap();
    sealed_by_the_second_key_alone(&data).await;
    let before = data.key(session.id, 1).unwrap();
    data.reopen().await;
    assert_eq!(data.key(session.id, 1).unwrap().expose(), before.expose());
    data.store.epoch(data.gateway()).unwrap();
}
