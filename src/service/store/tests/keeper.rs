//! What the keeper does, a round at a time: whoever has the store makes them.

use std::collections::BTreeSet;
use std::fs;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use sidekey_protocol::ids::{Role, SessionId};
use sidekey_protocol::pairing::rekey::IDLE_S;
use sidekey_protocol::revocation::Target;

use super::super::keeper::Keeper;
use super::super::state::sessions::KEPT_S;
use super::super::{Store, Tended, Terms};
use super::engine::reopened;
use super::{ADMIN, DAY_S, Data, SEGMENT_SIZE, START, root_key, server, user};
use crate::fault::Fault;
use crate::telemetry::book::logged;

const PAGES: &str = "state";

/// With one pairing for each of so many users, tended when a test says so, and with nothing behind the journal.
async fn tended_here(users: u8) -> Data {
    let mut data = Data::with_users(users).await;
    reopened(&mut data, |data| {
        fs::remove_dir_all(data.folder.path().join(PAGES)).unwrap();
        let on_fence = Box::new(|_: &Fault| {});
        let terms = Terms { segment_size_bytes: SEGMENT_SIZE, on_fence, tended: Tended::ByCaller };
        Store::open_with(data.folder.path(), root_key(), data.clock.clone(), super::rng(), terms, |_| {})
    })
    .await;
    data
}

/// One round, and what was logged in it.
async fn tend(data: &Data) -> String {
    let store = data.store.clone();
    tokio::task::spawn_blocking(move || logged(|| store.tend())).await.unwrap()
}

/// As if it tended itself, on a disk that could not be written until a moment ago.
fn writes_behind(data: &Data, mending: Option<Instant>) {
    match &mut *data.store.keeper.lock().unwrap() {
        Some(Keeper::Caller(work)) => (work.written, work.mending) = (true, mending),
        other => panic!("{other:?}"),
    }
}

fn is_live(data: &Data, n: u8) -> bool {
    !data.store.live_pairings(&server(), &user(n)).is_empty()
}

async fn revoke_user(data: &Data, n: u8) {
    let target = Target::User { server: server(), user: user(n) };
    data.store.revoke(ADMIN, target, "left us".parse().unwrap()).await.unwrap();
}

fn sealing_keys(data: &Data) -> BTreeSet<u32> {
    data.store.shared.at_rest.numbers()
}

#[tokio::test]
async fn what_its_caller_tends_is_swept_when_he_says_so() {
    let data = tended_here(1).await;
    let session = data.open(user(0), 1).await.unwrap();
    data.clock.set(session.not_after.after_s(KEPT_S));
    assert_eq!(data.store.shared.read().sessions.len(), 1);
    tend(&data).await;
    assert_eq!(data.store.shared.read().sessions.len(), 0);
}

#[tokio::test]
async fn pages_that_could_not_be_written_are_begun_anew_after_a_rest_and_hold_everything() {
    let mut data = tended_here(2).await;
    data.open(user(0), 1).await.unwrap();
    let (before, pages) = (data.dump(), data.folder.path().join(PAGES));
    tend(&data).await;
    assert!(!pages.exists(), "its caller wants none");
    writes_behind(&data, Some(Instant::now() + Duration::from_secs(3600)));
    tend(&data).await;
    assert!(!pages.exists(), "it was tried a moment ago");
    writes_behind(&data, None);
    tend(&data).await;
    assert!(pages.exists());
    data.swap(|_| {});
    assert!(data.store.shared.read().dirty.opened.is_empty(), "the journal had nothing to add");
    assert_eq!(data.dump(), before);
}

#[tokio::test]
async fn sessions_share_a_page_until_one_of_them_is_gone() {
    let mut data = tended_here(1).await;
    writes_behind(&data, None);
    let place = |data: &Data, session: SessionId| {
        let state = data.store.shared.read();
        let slot = state.find_session(session).unwrap();
        (slot.page, slot.index)
    };
    let first = data.open(user(0), 1).await.unwrap();
    tend(&data).await;
    data.clock.advance_s(1000);
    let second = data.open(user(0), 2).await.unwrap().id;
    tend(&data).await;
    assert_eq!([place(&data, first.id), place(&data, second)], [(1, 0), (1, 1)]);
    data.clock.set(first.not_after.after_s(KEPT_S));
    tend(&data).await;
    // In the first one's place.
    let third = data.open(user(0), 3).await.unwrap().id;
    tend(&data).await;
    assert_eq!([place(&data, second), place(&data, third)], [(1, 1), (2, 0)]);
    let before = data.dump();
    data.swap(|_| {});
    assert!(data.store.shared.read().dirty.opened.is_empty(), "the journal had nothing to add");
    assert_eq!(data.dump(), before);
}

#[tokio::test]
async fn whoever_may_lapse_a_minute_after_a_look_does() {
    let data = tended_here(1).await;
    data.clock.set(START.after_s(IDLE_S - 60));
    tend(&data).await;
    assert!(is_live(&data, 0));
    data.clock.advance_s(60);
    tend(&data).await;
    assert!(!is_live(&data, 0));
}

#[tokio::test]
async fn many_revocations_one_after_another_are_not_as_many_passes_over_many_secrets() {
    let mut data = tended_here(5).await;
    revoke_user(&data, 0).await;
    revoke_user(&data, 1).await;
    assert_eq!(sealing_keys(&data), [1, 2, 3].into());
    tend(&data).await;
    assert_eq!(sealing_keys(&data), [3].into());
    revoke_user(&data, 2).await;
    tend(&data).await;
    assert_eq!(sealing_keys(&data), [4].into(), "of a few, at once");
    for _ in 0..1000 {
        data.invite(Role::Server, None).await;
    }
    revoke_user(&data, 3).await;
    tend(&data).await;
    assert_eq!(sealing_keys(&data), [5].into());
    revoke_user(&data, 4).await;
    tend(&data).await;
    assert_eq!(sealing_keys(&data), [5, 6].into(), "a second of rest");
    data.clock.advance_s(1);
    tend(&data).await;
    assert_eq!(sealing_keys(&data), [6].into());
}

#[tokio::test]
async fn a_state_that_cannot_be_tended_is_spoken_of_once_until_it_could_be() {
    let data = tended_here(0).await;
    for _ in 0..2 {
        data.clock.advance_s(DAY_S);
        for (no_room, said) in [(true, true), (true, false), (false, false)] {
            data.store.shared.at_rest.no_room.store(no_room, Ordering::SeqCst);
            let log = tend(&data).await;
            assert_eq!(log.contains("the state is not tended"), said, "{log}");
        }
    }
}
