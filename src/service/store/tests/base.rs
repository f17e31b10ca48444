//! The base: what cannot be read is not taken for nothing, and what was not written as it is, is not relied on.

use std::fs;
use std::io::ErrorKind;

use super::super::base;
use super::{Data, user};
use crate::fault::{Damage, Fault};

#[track_caller]
fn assert_damaged<T>(result: Result<T, Fault>, expected: u64) {
    match result.map(drop) {
        Err(Fault::Corrupt { record, damage: Damage::Base, .. }) => assert_eq!(record, expected),
        other => panic!("{other:?} instead of a damaged base before record {expected}"),
    }
}

#[tokio::test]
async fn a_base_that_cannot_be_read_is_not_taken_for_none() {
    let data = Data::with_users(1).await;
    let last = data.store.position().seq;
    fs::create_dir(data.folder.path().join("base")).unwrap();
    assert_damaged(base::advance(&data.store.shared.at_rest, last), last + 1);
}

#[tokio::test]
async fn a_base_that_comes_to_another_state_is_found_when_it_is_written() {
    let data = Data::with_users(1).await;
    let (at_rest, last) = (&data.store.shared.at_rest, data.store.position().seq);
    let mut state = base::advance(at_rest, last).unwrap();
    // A reader makes the user anew, for the pairing that names it.
    state.users.clear();
    assert_damaged(base::write(at_rest.folder(), &at_rest.state_key(), &state), last + 1);
}

#[tokio::test]
async fn a_base_that_cannot_be_written_says_why() {
    let data = Data::with_users(1).await;
    let folder = data.folder.path();
    // In the place of the file that is to become it.
    fs::create_dir(folder.join("base.half")).unwrap();
    match base::advance(&data.store.shared.at_rest, data.store.position().seq).map(drop) {
        Err(Fault::Io { doing, error }) => {
            assert_eq!((doing, error.kind()), ("write the base", ErrorKind::IsADirectory));
        }
        other => panic!("{other:?}"),
    }
    assert!(!folder.join("base").exists());
}

#[tokio::test]
async fn a_base_holds_whatever_waits_for_a_carrier_and_every_credential() {
    let mut data = Data::with_users(1).await;
    data.address(data.phone(0), "sms", "+491700000000").await;
    for (key, label) in [(1, "one"), (2, "other")] {
        data.deliver(key, &["sms"]).await;
        data.issue(user(0), label, None).await.unwrap();
    }
    let at_rest = &data.store.shared.at_rest;
    base::advance(at_rest, data.store.position().seq).unwrap();
    let state = base::open(at_rest.folder(), &at_rest.state_key()).unwrap().unwrap().state().unwrap();
    assert_eq!(state.outbox.beginning_at(0).count(), 2);
    assert_eq!(state.credentials.beginning_at(0).count(), 2);
}
