//! Signing keys that follow one another.

use std::sync::Arc;

use sidekey_protocol::ids::Role;
use sidekey_protocol::keys::wire::ServiceKeyState as State;
use sidekey_protocol::keys::{STATEMENTS_MAX, ServiceKeys};

use super::{ADMIN, DAY_S, Data, assert_refused, user};
use crate::store::{Refused, Store};

async fn rotate(store: &Store, overlap_s: u32) {
    let from = store.keys().keys[0].kid.clone();
    store.rotate_key(ADMIN, from, overlap_s).await.unwrap();
}

fn states(store: &Store) -> Vec<(u32, State)> {
    store.keys().keys.iter().map(|key| (key.number, key.state)).collect()
}

#[tokio::test]
async fn another_key_takes_over_and_stays_across_a_restart() {
    let mut data = Data::new();
    let first = data.store.signer().unwrap();
    data.clock.advance_s(10);
    assert_eq!(data.store.signing_key_age_s(), 10);
    rotate(&data.store, DAY_S).await;
    assert_eq!(data.store.signing_key_age_s(), 0);
    let (signer, shown) = (data.store.signer().unwrap(), data.store.keys());
    assert_eq!((signer.number, states(&data.store)), (1, vec![(1, State::Active), (0, State::Previous)]));
    let known = ServiceKeys::new(first.public.clone());
    let followed = known.follow(data.store.identity().service, &shown).unwrap().unwrap();
    assert_eq!(*followed.key(), signer.public);
    // From the journal, and from the pages behind it.
    data.swap(|folder| std::fs::remove_dir_all(folder.join("state")).unwrap());
    assert_eq!(data.store.keys(), shown);
    data.reopen().await;
    assert_eq!(data.store.keys(), shown);
    assert_eq!(data.store.signer().unwrap().public, signer.public);
    assert_eq!(data.store.signer_of(0).unwrap().unwrap().public, first.public);
}

#[tokio::test]
async fn a_replaced_key_signs_until_its_time_is_over_and_then_is_gone() {
    let data = Data::new();
    let first = data.store.signer().unwrap();
    rotate(&data.store, DAY_S).await;
    data.clock.advance_s(DAY_S - 1);
    assert!(data.store.signer_of(0).unwrap().is_some());
    data.clock.advance_s(1);
    assert!(data.store.signer_of(0).unwrap().is_none());
    assert_eq!(states(&data.store)[1], (0, State::Retired));
    data.dump();
    let state = data.store.shared.read();
    let kept: Vec<_> = state.global.keys.iter().map(|key| key.sealed.is_some()).collect();
    assert_eq!(kept, [false, true], "its secret half is forgotten");
    assert_eq!(Arc::strong_count(&first), 1, "nobody else has it open");
}

#[tokio::test]
async fn of_two_that_replace_one_key_one_does() {
    let data = Data::new();
    let from = data.store.keys().keys[0].kid.clone();
    let (one, other) = tokio::join!(
        data.store.rotate_key(ADMIN, from.clone(), 0),
        data.store.rotate_key(ADMIN, from.clone(), 0)
    );
    assert_refused(one.and(other), &Refused::Stale);
    assert_eq!(data.store.signer().unwrap().number, 1);
    assert_refused(data.store.would_rotate_key(&from, 0), &Refused::Stale);
}

#[tokio::test]
async fn what_would_be_is_what_is_and_changes_nothing() {
    let mut data = Data::with_users(0).await;
    data.invite(Role::Client, Some(user(0))).await;
    let (before, from) = (data.dump(), data.store.keys().keys[0].kid.clone());
    for (overlap_s, cut) in [(899, 1), (900, 0)] {
        let would = data.store.would_rotate_key(&from, overlap_s).unwrap();
        assert_eq!((would.invitations_cut, would.active), (cut, None), "{overlap_s}");
    }
    assert_eq!(data.dump(), before);
    let would = data.store.would_rotate_key(&from, 899).unwrap();
    let did = data.store.rotate_key(ADMIN, from, 899).await.unwrap();
    assert_eq!((did.previous, did.invitations_cut), (would.previous, would.invitations_cut));
    assert_eq!(did.active, data.store.keys().keys.into_iter().next(), "the new one is named");
}

#[tokio::test]
async fn the_latest_sixty_four_are_shown_and_whoever_knows_one_of_them_follows() {
    let data = Data::new();
    let mut known = Vec::new();
    for _ in 0..STATEMENTS_MAX + 2 {
        known.push(data.store.signer().unwrap().public.clone());
        rotate(&data.store, 0).await;
    }
    let (shown, service) = (data.store.keys(), data.store.identity().service);
    assert_eq!((shown.keys.len(), shown.statements.len()), (STATEMENTS_MAX, STATEMENTS_MAX));
    let follows = known.iter().map(|key| ServiceKeys::new(key.clone()).follow(service, &shown).is_ok());
    assert_eq!(follows.filter(|follows| !follows).count(), 2, "the two that are no longer named");
    let size = serde_json::to_vec(&shown).unwrap().len();
    assert!(size < 128 * 1024, "{size} octets: more than a party reads");
}
