//! Records go, and nothing else does.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use sidekey_protocol::audit::Action;
use sidekey_protocol::audit::proof::Asker;
use sidekey_protocol::audit::wire::{AuditQuery, Pruned};
use sidekey_protocol::ids::{Role, Timestamp};

use super::super::{Error, Refused, Store, base};
use super::{ADMIN, DAY_S, Data, EVERYTHING, START, assert_refused, user};
use crate::fault::{Damage, Fault};

/// When the log is pruned of what happened on the first day.
const LATER: Timestamp = START.after_s(40 * DAY_S);

/// Some segments of the first day, at whose end hundreds of sessions are open and keys wait for carriers, and some of the
/// 40th.
async fn forty_days() -> Data {
    let mut data = Data::with_users(2).await;
    let mut opened = 0;
    for at in [START, START.after_s(7_200)] {
        data.clock.set(at);
        for _ in 0..700 {
            data.open(user((opened % 2) as u8), opened).await.unwrap();
            opened += 1;
        }
        data.deliver(10_000 + opened, &["sms", "xdms"]).await;
        data.pair(Role::Client, Some(user(0))).await;
    }
    data.clock.set(LATER);
    settled(&data).await;
    for _ in 0..300 {
        data.open(user(1), opened).await.unwrap();
        opened += 1;
    }
    data
}

/// Waits until the keeper has nothing to do.
async fn settled(data: &Data) {
    let at_rest = &data.store.shared.at_rest;
    let idle = || at_rest.numbers().len() == 1 && at_rest.newest().1 == data.store.now();
    while !idle() {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// Two segments of the first day, of which the older may go.
async fn two_segments() -> Data {
    let mut data = Data::with_users(1).await;
    data.store.engine.roll();
    data.pair(Role::Client, Some(user(0))).await;
    data.clock.set(LATER);
    data
}

async fn prune(data: &Data) -> Pruned {
    try_prune(data).await.unwrap()
}

async fn try_prune(data: &Data) -> Result<Pruned, Error> {
    let (store, before) = (data.store.clone(), START.after_s(DAY_S));
    tokio::task::spawn_blocking(move || store.prune(Some(ADMIN), before, false)).await.unwrap()
}

async fn retain(data: &Data) {
    let store = data.store.clone();
    tokio::task::spawn_blocking(move || store.retain(30)).await.unwrap().unwrap();
}

fn segments(folder: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let files = fs::read_dir(folder.join("journal")).unwrap().map(|file| file.unwrap().path());
    files.map(|file| (file.clone(), fs::read(file).unwrap())).collect()
}

fn first(folder: &Path) -> u64 {
    let first = segments(folder).into_keys().next().unwrap();
    first.file_stem().unwrap().to_str().unwrap().parse().unwrap()
}

#[tokio::test]
async fn the_oldest_records_go_and_everything_live_stays() {
    let mut data = forty_days().await;
    let folder = data.folder.path().to_owned();
    let before = segments(&folder);
    let would = data.store.prune(Some(ADMIN), START.after_s(DAY_S), true).unwrap();
    assert_eq!(segments(&folder), before, "nothing was to be done");
    let did = prune(&data).await;
    assert_eq!((did.records, did.first, did.segments), (would.records, would.first, would.segments));
    assert!(did.segments > 2 && did.records > 1000 && did.first == did.records + 1, "{did:?}");
    assert_eq!(segments(&folder).len() as u64, before.len() as u64 - did.segments);
    assert_eq!(first(&folder), did.first);
    let state = data.dump();

    // The log says so, and is what was signed.
    let last = data.store.audit(EVERYTHING, &AuditQuery::default()).unwrap();
    assert_eq!((last.first, last.entries[0].seq, last.entries[0].at), (did.first, did.first, did.since));
    let pruned = last.entries.iter().find(|entry| entry.action == Action::LogPruned).unwrap();
    assert_eq!((pruned.by, pruned.count, pruned.first), (Some(ADMIN), Some(did.records), Some(did.first)));
    let verified = Store::verify(&folder, &[]).unwrap();
    assert_eq!((verified.first, verified.signed), (did.first, pruned.seq));
    assert_eq!(verified.keys, [data.store.signer().unwrap().public.clone()]);

    // The state is there again, from its pages and without them.
    data.store.close().await;
    data.swap(|_| {});
    assert_eq!(data.dump(), state);
    data.store.close().await;
    data.swap(|folder| fs::remove_dir_all(folder.join("state")).unwrap());
    assert_eq!(data.dump(), state);
    data.store.close().await;
    data.swap(|_| {});
    assert_eq!(data.dump(), state, "the pages were written again");
    Store::verify(&folder, &[]).unwrap();
    assert_eq!(prune(&data).await.records, 0, "nothing is left to prune");
}

#[tokio::test]
async fn what_is_not_kept_is_said_to_be_gone_and_what_is_young_stays() {
    let data = forty_days().await;
    let days = |days| LATER.after_s(0).0 - days * DAY_S;
    let young = data.store.prune(Some(ADMIN), Timestamp(days(30) + 1), true);
    assert_refused(young, &Refused::Young);
    data.store.prune(Some(ADMIN), Timestamp(days(30)), true).unwrap();
    let did = prune(&data).await;
    let who = Asker { party: ADMIN, place: None };
    assert_refused(data.store.audit_record(did.first - 1), &Refused::Pruned);
    assert_refused(data.store.audit_proof(Some(did.first - 2), &who), &Refused::Pruned);
    assert_eq!(data.store.audit_record(did.first).unwrap().unwrap().seq, did.first);
    for after in [None, Some(did.first - 1)] {
        assert_eq!(data.store.audit_proof(after, &who).unwrap().unwrap().after, did.first - 1);
    }
}

#[tokio::test]
async fn what_is_older_than_it_is_kept_goes_by_itself_however_little_happens() {
    let mut data = Data::with_users(1).await;
    for day in [0, 5, 10, 33, 35, 39] {
        data.clock.set(START.after_s(day * DAY_S));
        settled(&data).await;
        retain(&data).await;
        data.pair(Role::Client, Some(user(0))).await;
    }
    // A segment that has been open for an eighth of the time is closed, and goes when all in it is old.
    retain(&data).await;
    let oldest = data.store.audit(EVERYTHING, &AuditQuery::default()).unwrap().entries.remove(0);
    assert!(oldest.at >= START.after_s(5 * DAY_S), "{oldest:?}");
    let folder = data.folder.path().to_owned();
    assert!(Store::verify(&folder, &[]).unwrap().first > 1);
}

#[tokio::test]
async fn a_crash_between_two_steps_loses_nothing_and_is_finished_at_the_next_start() {
    let mut data = forty_days().await;
    let folder = data.folder.path().to_owned();
    let signed = fs::read(folder.join("checkpoints")).unwrap();
    let whole = segments(&folder);
    settled(&data).await;
    // The base is there, and no record says anything yet.
    let cut = data.store.prune(Some(ADMIN), START.after_s(DAY_S), true).unwrap().first;
    base::advance(&data.store.shared.at_rest, cut - 1).unwrap();
    let state = data.dump();
    data.swap(|_| {});
    assert_eq!((data.dump(), first(&folder)), (state.clone(), 1));
    Store::verify(&folder, &[]).unwrap();
    // The record is there; of what it says is gone, all or some is left.
    let did = prune(&data).await;
    let state = data.dump();
    data.store.close().await;
    for gone in 0..did.segments as usize {
        data.swap(|folder| {
            for (path, bytes) in whole.iter().take(did.segments as usize).skip(gone) {
                fs::write(path, bytes).unwrap();
            }
            fs::write(folder.join("checkpoints"), &signed).unwrap();
            let pages = fs::remove_dir_all(folder.join("state"));
            assert!(pages.is_ok() || gone > 0);
        });
        assert_eq!((first(&folder), data.dump()), (did.first, state.clone()), "{gone} were deleted");
        Store::verify(&folder, &[]).unwrap();
        data.store.close().await;
    }
}

#[tokio::test]
async fn a_second_pruning_that_was_cut_short_is_still_proven_by_the_first() {
    let data = forty_days().await;
    let folder = data.folder.path().to_owned();
    prune(&data).await;
    data.clock.set(LATER.after_s(40 * DAY_S));
    settled(&data).await;
    data.open(user(1), 9_999).await.unwrap();
    let (signed, whole) = (fs::read(folder.join("checkpoints")).unwrap(), segments(&folder));
    let (store, before) = (data.store.clone(), LATER.after_s(DAY_S));
    let again = tokio::task::spawn_blocking(move || store.prune(None, before, false)).await.unwrap().unwrap();
    assert!(again.records > 0, "{again:?}");
    data.store.close().await;
    // The record is durable, and nothing was signed or deleted since.
    whole.iter().filter(|(path, _)| !path.exists()).for_each(|(path, bytes)| fs::write(path, bytes).unwrap());
    fs::write(folder.join("checkpoints"), &signed).unwrap();
    Store::verify(&folder, &[]).unwrap();
}

#[tokio::test]
async fn a_log_whose_beginning_was_cut_off_by_hand_is_found_and_refused() {
    let mut data = forty_days().await;
    let folder = data.folder.path().to_owned();
    let cut = |folder: &Path| {
        let first = segments(folder).into_keys().next().unwrap();
        fs::remove_file(&first).unwrap();
    };
    let found = |expected: u64, damage| match Store::verify(&folder, &[]) {
        Err(Fault::Corrupt { record, damage: said, .. }) => assert_eq!((record, said), (expected, damage)),
        other => panic!("{other:?} instead of record {expected}: {damage}"),
    };
    let whole = segments(&folder);
    // Before anything was pruned, and after.
    data.store.close().await;
    let refused = data.try_swap(cut);
    assert!(matches!(refused, Err(Fault::Corrupt { record: 1, damage: Damage::Missing, .. })), "{refused:?}");
    found(1, Damage::Missing);
    whole.iter().for_each(|(path, bytes)| fs::write(path, bytes).unwrap());
    data.swap(|_| {});
    let did = prune(&data).await;
    data.store.close().await;
    let refused = data.try_swap(cut);
    let first = did.first;
    assert!(
        matches!(refused, Err(Fault::Corrupt { record, damage: Damage::Missing, .. }) if record == first)
    );
    found(first, Damage::Missing);
    // And an edit, in what is kept.
    for (path, bytes) in whole.iter().skip(did.segments as usize) {
        if !path.exists() {
            fs::write(path, bytes).unwrap();
        }
    }
    Store::verify(&folder, &[]).unwrap();
    let path = segments(&folder).into_keys().next().unwrap();
    let mut bent = fs::read(&path).unwrap();
    bent[400] ^= 1;
    fs::write(&path, &bent).unwrap();
    assert!(matches!(Store::verify(&folder, &[]), Err(Fault::Corrupt { damage: Damage::Chain, .. })));
    bent[400] ^= 1;
    fs::write(&path, &bent).unwrap();
    // Whatever says so must be signed.
    fs::write(folder.join("checkpoints"), "").unwrap();
    found(first, Damage::Unsigned);
}

#[tokio::test]
async fn of_the_two_states_on_disk_either_may_be_damaged() {
    let mut data = forty_days().await;
    prune(&data).await;
    settled(&data).await;
    let (folder, state) = (data.folder.path().to_owned(), data.dump());
    data.store.close().await;
    let bend = |path: &Path| {
        let mut bytes = fs::read(path).unwrap();
        let middle = bytes.len() / 2;
        bytes[middle] ^= 1;
        fs::write(path, bytes).unwrap();
    };
    data.swap(|folder| bend(&folder.join("base")));
    assert_eq!(data.dump(), state, "from the pages; the base is made anew");
    data.store.close().await;
    data.swap(|folder| fs::write(folder.join("state/db"), b"").unwrap());
    assert_eq!(data.dump(), state, "from the base");
    data.store.close().await;
    data.swap(|folder| fs::remove_file(folder.join("base")).unwrap());
    assert_eq!(data.dump(), state);
    data.store.close().await;
    // Without either there is no state, and nothing is made up.
    let refused = data.try_swap(|folder| {
        bend(&folder.join("base"));
        fs::remove_dir_all(folder.join("state")).unwrap();
    });
    assert!(
        matches!(refused, Err(Fault::Corrupt { damage: Damage::Missing | Damage::Base, .. })),
        "{refused:?}"
    );
    assert!(folder.join("journal").exists());
}

#[tokio::test]
async fn a_segment_stays_open_for_an_eighth_of_the_time_that_records_are_kept() {
    let data = Data::with_users(1).await;
    for (days, expected) in [(3, 1), (4, 2)] {
        data.clock.set(START.after_s(days * DAY_S));
        retain(&data).await;
        // Answered by the writer, which has gone on in a new segment by then, or has not.
        data.open(user(0), days.into()).await.unwrap();
        assert_eq!(segments(data.folder.path()).len(), expected, "{days} days");
    }
}

#[tokio::test]
async fn nothing_goes_that_the_base_does_not_stand_for() {
    let data = two_segments().await;
    let at_rest = &data.store.shared.at_rest;
    let would = data.store.prune(None, START.after_s(DAY_S), true).unwrap();
    assert_eq!(would.segments, 1);
    // A base of another log stands where this one is to be cut.
    let mut state = base::advance(at_rest, would.first - 1).unwrap();
    state.position.hash[0] ^= 1;
    base::write(at_rest.folder(), &at_rest.state_key(), &state).unwrap();
    match try_prune(&data).await {
        Err(Error::Fault(Fault::Corrupt { record, damage: Damage::Chain, .. })) => {
            assert_eq!(record, would.first);
        }
        other => panic!("{other:?}"),
    }
    assert_eq!(first(at_rest.folder()), 1);
    // One that had to be made anew stands later.
    fs::remove_file(at_rest.folder().join("base")).unwrap();
    base::advance(at_rest, data.store.position().seq).unwrap();
    assert_eq!(prune(&data).await.records, would.records);
    assert_eq!(first(at_rest.folder()), would.first);
}

#[tokio::test]
async fn a_base_that_is_of_use_is_not_made_anew() {
    let mut data = two_segments().await;
    assert!(prune(&data).await.first > 1);
    let base = data.folder.path().join("base");
    let before = fs::read(&base).unwrap();
    data.reopen().await;
    assert_eq!(fs::read(&base).unwrap(), before, "the pages are further");
    data.store.close().await;
    data.swap(|folder| fs::remove_dir_all(folder.join("state")).unwrap());
    assert_eq!(fs::read(&base).unwrap(), before, "there are no pages");
}
