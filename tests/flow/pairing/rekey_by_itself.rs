//! Rekeying as an app meets it: the client crate does it by itself, whatever was lost on the way.

use std::sync::Arc;

use serde_json::json;
use sidekey_client::{Client, Error, KeyStore as _, MemoryKeyStore};
use sidekey_protocol::pairing::rekey::{Epoch, Renewing};
use sidekey_tests::mail::agree;
use sidekey_tests::{Keys, Office};

use super::rekey::{ask, copy, epoch_of, rekeyed, token_of};

const DAY_S: u32 = 86_400;

/// That a profile holds this epoch, and no other.
#[track_caller]
fn holds(keys: &Keys, epoch: u32) {
    let profile = keys.profile();
    assert_eq!((profile.epoch, profile.next.is_none()), (epoch, true));
}

/// Keeps `next` in a profile, as the client crate does before it uses it.
fn keep(keys: &Keys, next: &Epoch) {
    let mut profile = keys.profile();
    profile.next = Some(Epoch { number: next.number, root: copy(&next.root), not_after: next.not_after });
    keys.store().save(&profile).unwrap();
}

#[tokio::test]
async fn an_epoch_older_than_a_day_is_renewed_before_a_call() {
    let office = Office::open().await;
    office.system.clock.advance_s(DAY_S - 1);
    office.phone.client.current().await.unwrap();
    holds(&office.phone.keys, 0);
    office.system.clock.advance_s(1);
    let key = office.session().await;
    let fetched = office.phone.client.session_key(key.session()).await.unwrap();
    holds(&office.phone.keys, 1);
    holds(&office.mail.keys, 1);
    agree(&office.mail, &key, &office.phone, &fetched).await;
    office.phone.client.current().await.unwrap();
    holds(&office.phone.keys, 1);
}

#[tokio::test]
async fn many_calls_at_once_rekey_once() {
    let office = Office::open().await;
    office.system.clock.advance_s(DAY_S);
    let before = office.system.records().len();
    let callers: Vec<_> = (0..16)
        .map(|_| {
            let client = office.phone.client.clone();
            tokio::spawn(async move { client.current().await })
        })
        .collect();
    for caller in callers {
        caller.await.unwrap().unwrap();
    }
    assert_eq!(office.system.records().len(), before + 2, "one rekey, one first use");
    holds(&office.phone.keys, 1);
}

#[tokio::test]
async fn a_phone_back_from_a_holiday_of_30_days_reads_mail() {
    let office = Office::open().await;
    office.system.clock.advance_s(30 * DAY_S);
    let key = office.session().await;
    let fetched = office.phone.client.session_key(key.session()).await.unwrap();
    agree(&office.mail, &key, &office.phone, &fetched).await;
    holds(&office.phone.keys, 1);
}

#[tokio::test]
async fn an_app_that_died_between_keeping_and_using_goes_on_with_what_it_kept() {
    let office = Office::open().await;
    let keys = &office.phone.keys;
    let next = rekeyed(&office.system, keys, &epoch_of(keys)).await;
    keep(keys, &next);
    keys.client(office.system.ambient()).await.current().await.unwrap();
    holds(keys, 1);
    assert_eq!(keys.profile().root.expose(), next.root.expose());
}

#[tokio::test]
async fn an_app_that_died_before_its_first_use_was_answered_goes_on() {
    let office = Office::open().await;
    let keys = &office.phone.keys;
    let next = rekeyed(&office.system, keys, &epoch_of(keys)).await;
    keep(keys, &next);
    let used = office.system.get("/v1/pairings/self", &token_of(&office.system, keys, &next));
    used.send().await.is(200);
    keys.client(office.system.ambient()).await.current().await.unwrap();
    holds(keys, 1);
}

#[tokio::test]
async fn a_phone_that_kept_an_epoch_and_went_on_holiday_reads_mail() {
    let office = Office::open().await;
    let keys = &office.phone.keys;
    let next = rekeyed(&office.system, keys, &epoch_of(keys)).await;
    keep(keys, &next);
    office.system.clock.advance_s(30 * DAY_S);
    let key = office.session().await;
    let client = keys.client(office.system.ambient()).await;
    client.session_key(key.session()).await.unwrap();
    holds(keys, 2);
}

#[tokio::test]
async fn an_epoch_that_the_service_lost_sends_the_app_back_to_the_one_before() {
    let office = Office::open().await;
    let (system, keys) = (&office.system, &office.phone.keys);
    let first = epoch_of(keys);
    let next = rekeyed(system, keys, &first).await;
    keep(keys, &next);
    // A replayed request takes its place before it is used.
    let replayed = Renewing::begin(0, &mut system.rng()).request().clone();
    ask(system, keys, &first, &replayed).send().await.is(200);
    let client = keys.client(system.ambient()).await;
    client.current().await.unwrap();
    holds(keys, 0);
    assert_eq!(keys.profile().root.expose(), first.root.expose());
    system.clock.advance_s(DAY_S);
    client.current().await.unwrap();
    holds(keys, 1);
}

#[tokio::test]
async fn two_processes_of_one_app_take_over_each_other_s_epochs() {
    let office = Office::open().await;
    let keys = &office.phone.keys;
    let other = keys.client(office.system.ambient()).await;
    for epoch in 1..4 {
        office.system.clock.advance_s(DAY_S);
        let key = office.session().await;
        office.phone.client.session_key(key.session()).await.unwrap();
        other.session_key(key.session()).await.unwrap();
        holds(keys, epoch);
    }
}

#[tokio::test]
async fn what_one_process_learns_is_kept_beside_the_epochs_that_another_made() {
    let office = Office::open().await;
    let keys = &office.phone.keys;
    let other = keys.client(office.system.ambient()).await;
    other.current().await.unwrap();
    let before = keys.profile().head;
    office.system.clock.advance_s(DAY_S);
    office.phone.client.current().await.unwrap();
    office
        .revoke(&json!({"kind": "pairing", "pairing": office.tablet.client.pairing()}))
        .send()
        .await
        .is(200);
    // It still has the epoch before, and is told of a revocation by the very answer that refuses that.
    other.current().await.unwrap();
    holds(keys, 1);
    assert_ne!(keys.profile().head, before, "the head is kept too");
}

#[tokio::test]
async fn a_watch_goes_on_under_the_next_epoch() {
    let office = Office::open().await;
    let mut watch = office.phone.client.watch();
    assert!(matches!(watch.next().await, Some(Ok(sidekey_client::Notice::Gap))));
    office.system.clock.advance_s(8 * DAY_S);
    office.phone.client.current().await.unwrap();
    let key = office.session().await;
    let told = watch.next().await.unwrap().unwrap();
    assert!(format!("{told:?}").contains(&format!("{:?}", key.session())), "{told:?}");
    // And begins under it.
    let mut late = office.phone.client.watch();
    assert!(matches!(late.next().await, Some(Ok(sidekey_client::Notice::Gap))));
}

#[tokio::test]
async fn a_copy_of_a_profile_whose_epoch_was_replaced_must_pair_again() {
    let office = Office::open().await;
    let copied = Arc::new(MemoryKeyStore::default());
    copied.save(&office.phone.keys.profile()).unwrap();
    office.system.clock.advance_s(DAY_S);
    office.phone.client.current().await.unwrap();
    let thief = Client::open(copied, office.system.ambient()).await.unwrap();
    let refused = thief.current().await.unwrap_err();
    assert!(matches!(&refused, Error::PairAgain { code, .. } if code == "epoch_passed"), "{refused:?}");
    office.phone.client.current().await.unwrap();
    holds(&office.phone.keys, 1);
}
