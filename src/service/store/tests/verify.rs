//! What an insider does to a real folder, and what `audit verify` says of it.

use std::fs;
use std::path::Path;

use sidekey_protocol::audit::{Checkpoint, Frame, Position};
use sidekey_protocol::crypto::{SigningKey, VerifyingKey, sha256};

use super::super::Store;
use super::{ADMIN, DAY_S, Data, START, server, user};
use crate::fault::{Damage, Fault};

const SEGMENT: &str = "journal/00000000000000000001.journal";
const HEADER_SIZE: usize = 64;

/// A folder with some history that was closed, and how many records it has.
async fn closed() -> (Data, u64) {
    let data = Data::with_users(2).await;
    for n in 0..5 {
        data.clock.set(START.after_s(n + 1));
        data.open(user(0), n.into()).await.unwrap();
    }
    data.store.close().await;
    let last = data.store.position().seq;
    (data, last)
}

/// Where each record begins, and the end of the last.
fn places(segment: &[u8]) -> Vec<usize> {
    let mut places = vec![HEADER_SIZE];
    loop {
        let at = *places.last().unwrap();
        let frame = Frame::read(segment[at..at + Frame::SIZE].try_into().unwrap());
        if frame.size_bytes == 0 {
            return places;
        }
        places.push(at + Frame::SIZE + frame.size_bytes as usize + 32);
    }
}

/// Changes the one segment of a folder; what is cut out is made up for by zeros.
fn edit(folder: &Path, change: impl FnOnce(&mut Vec<u8>, &[usize])) {
    let path = folder.join(SEGMENT);
    let mut bytes = fs::read(&path).unwrap();
    let (size, places) = (bytes.len(), places(&bytes));
    change(&mut bytes, &places);
    bytes.resize(size, 0);
    fs::write(path, bytes).unwrap();
}

#[track_caller]
fn found(folder: &Path, elsewhere: &[Checkpoint], record: u64, damage: Damage) {
    match Store::verify(folder, elsewhere) {
        Err(Fault::Corrupt { record: named, damage: said, .. }) => {
            assert_eq!((named, said), (record, damage));
        }
        other => panic!("{other:?} instead of record {record}: {damage}"),
    }
}

#[tokio::test]
async fn a_log_that_nobody_touched_is_what_was_written() {
    let (data, last) = closed().await;
    let verified = Store::verify(data.folder.path(), &[]).unwrap();
    assert_eq!((verified.last, verified.signed, verified.unseen), (last, last, 0));
    assert_eq!(verified.hash, data.store.position().hash);
    assert_eq!(verified.keys, [data.store.signer().unwrap().public.clone()]);
}

#[tokio::test]
async fn an_edited_record_is_named() {
    let (data, last) = closed().await;
    for record in [1, 4, last] {
        let path = data.folder.path().join(SEGMENT);
        let whole = fs::read(&path).unwrap();
        edit(data.folder.path(), |bytes, places| bytes[places[record as usize] - 40] ^= 1);
        // The last one could be a torn write, but for the checkpoint.
        let damage = if record == last { Damage::Missing } else { Damage::Chain };
        found(data.folder.path(), &[], record, damage);
        fs::write(path, whole).unwrap();
    }
    Store::verify(data.folder.path(), &[]).unwrap();
}

#[tokio::test]
async fn a_dropped_record_is_named() {
    let (data, _) = closed().await;
    edit(data.folder.path(), |bytes, places| drop(bytes.drain(places[6]..places[7])));
    found(data.folder.path(), &[], 7, Damage::Missing);
}

#[tokio::test]
async fn reordered_records_are_named() {
    let (data, _) = closed().await;
    edit(data.folder.path(), |bytes, places| {
        let (first, second) = (bytes[places[3]..places[4]].to_vec(), bytes[places[4]..places[5]].to_vec());
        bytes[places[3]..places[5]].copy_from_slice(&[second, first].concat());
    });
    found(data.folder.path(), &[], 4, Damage::Order);
}

#[tokio::test]
async fn a_truncated_log_is_found_by_its_checkpoint() {
    let (data, last) = closed().await;
    edit(data.folder.path(), |bytes, places| bytes.truncate(places[last as usize - 3]));
    found(data.folder.path(), &[], last - 2, Damage::Missing);
}

#[tokio::test]
async fn a_log_that_was_rewritten_and_mended_is_found_by_its_checkpoint() {
    let (data, _) = closed().await;
    edit(data.folder.path(), |bytes, places| {
        // The fifth record's octet is another, and the chain goes on from there as it must.
        bytes[places[4] + Frame::SIZE + 3] ^= 1;
        let mut end = Position::START;
        for place in places.windows(2) {
            let body = &bytes[place[0] + Frame::SIZE..place[1] - 32];
            let mut frame = Frame::read(bytes[place[0]..place[0] + Frame::SIZE].try_into().unwrap());
            let entry = super::super::record::Entry::decode(body).unwrap();
            frame.entries = entry.bound(frame.seq);
            end = end.next(&frame.leaf(&sha256(body)));
            bytes[place[0]..place[0] + Frame::SIZE].copy_from_slice(&frame.octets());
            bytes[place[1] - 32..place[1]].copy_from_slice(&end.hash);
        }
    });
    let last = data.store.position().seq;
    found(data.folder.path(), &[], last, Damage::Rewritten { from: 1 });
}

#[tokio::test]
async fn an_older_copy_of_the_folder_is_found_by_a_checkpoint_kept_elsewhere() {
    let (mut data, last) = closed().await;
    let older = super::scratch();
    for file in [SEGMENT, "checkpoints"] {
        fs::create_dir_all(older.path().join("journal")).unwrap();
        fs::copy(data.folder.path().join(file), older.path().join(file)).unwrap();
    }
    data.swap(|_| {});
    data.store.add_server(ADMIN, "another.example.org".parse().unwrap()).await.unwrap();
    data.store.close().await;
    let newest = data.store.checkpoints(super::EVERYTHING).unwrap().items.pop().unwrap().checkpoint;
    Store::verify(data.folder.path(), std::slice::from_ref(&newest)).unwrap();
    Store::verify(older.path(), &[]).unwrap();
    found(older.path(), &[newest], last + 1, Damage::RolledBack);
}

#[tokio::test]
async fn a_checkpoint_by_another_key_or_none_is_found() {
    let (data, last) = closed().await;
    let path = data.folder.path().join("checkpoints");
    let service = data.store.identity().service;
    let forged =
        Checkpoint::sign(service, data.store.position(), START, &SigningKey::generate(&mut data.rng.clone()));
    fs::write(&path, forged + "\n").unwrap();
    found(data.folder.path(), &[], last, Damage::Signer);
    fs::write(&path, "not one\n").unwrap();
    found(data.folder.path(), &[], 1, Damage::Checkpoint);
}

#[tokio::test]
async fn a_segment_shorter_than_its_header_is_damage() {
    let (data, _) = closed().await;
    fs::write(data.folder.path().join(SEGMENT), [0; HEADER_SIZE - 1]).unwrap();
    found(data.folder.path(), &[], 1, Damage::Header);
}

/// A folder whose first segment was signed and then pruned, and whose key was replaced in between.
async fn pruned() -> (Data, [VerifyingKey; 2]) {
    let data = Data::new();
    let signer = || data.store.signer().unwrap().public.clone();
    let first = signer();
    data.store.checkpoint().unwrap();
    data.store.add_server(ADMIN, server()).await.unwrap();
    data.store.engine.roll();
    data.store.add_server(ADMIN, "another.example.org".parse().unwrap()).await.unwrap();
    data.clock.advance_s(40 * DAY_S);
    let from = data.store.keys().keys[0].kid.clone();
    data.store.rotate_key(ADMIN, from, 0).await.unwrap();
    let (store, before) = (data.store.clone(), START.after_s(DAY_S));
    tokio::task::spawn_blocking(move || store.prune(None, before, false)).await.unwrap().unwrap();
    data.store.close().await;
    let keys = [first, signer()];
    (data, keys)
}

#[tokio::test]
async fn of_a_pruned_log_every_key_is_named_once_and_what_was_signed_of_the_rest_is_unseen() {
    let (data, keys) = pruned().await;
    let verified = Store::verify(data.folder.path(), &[]).unwrap();
    assert_eq!((verified.keys, verified.unseen), (keys.to_vec(), 1));
}

#[tokio::test]
async fn a_pruned_log_begins_where_it_was_signed_to() {
    let (data, _) = pruned().await;
    let first = Store::verify(data.folder.path(), &[]).unwrap().first;
    assert!(first > 1);
    let (service, other) = (data.store.identity().service, Position { seq: first - 1, hash: [9; 32] });
    let signed = Checkpoint::sign(service, other, START, &SigningKey::generate(&mut data.rng.clone()));
    let elsewhere = [Checkpoint::read(&signed).unwrap()];
    found(data.folder.path(), &elsewhere, first, Damage::Rewritten { from: first });
}

#[tokio::test]
async fn checkpoints_that_are_gone_prove_nothing_and_those_that_cannot_be_read_are_not_gone() {
    let (data, last) = closed().await;
    let path = data.folder.path().join("checkpoints");
    fs::remove_file(&path).unwrap();
    let verified = Store::verify(data.folder.path(), &[]).unwrap();
    assert_eq!((verified.last, verified.checkpoints, verified.signed), (last, 0, 0));
    fs::create_dir(&path).unwrap();
    let unread = Store::verify(data.folder.path(), &[]).unwrap_err();
    assert!(matches!(unread, Fault::Io { .. }), "{unread}");
}

#[tokio::test]
async fn a_checkpoint_torn_by_a_power_cut_is_cut_off_and_another_is_made() {
    let (mut data, _) = closed().await;
    let path = data.folder.path().join("checkpoints");
    let whole = fs::read_to_string(&path).unwrap();
    fs::write(&path, format!("{whole}{}", &whole[..100])).unwrap();
    Store::verify(data.folder.path(), &[]).unwrap();
    data.swap(|_| {});
    data.store.add_server(ADMIN, "another.example.org".parse().unwrap()).await.unwrap();
    data.store.checkpoint().unwrap();
    data.store.checkpoint().unwrap();
    let kept = data.store.checkpoints(super::EVERYTHING).unwrap().items;
    assert_eq!(kept.last().unwrap().checkpoint.position, data.store.position());
    assert_eq!(fs::read_to_string(&path).unwrap().lines().count(), kept.len());
}

#[tokio::test]
async fn checkpoints_come_with_records_and_with_time() {
    let data = Data::with_users(1).await;
    let kept = || data.store.checkpoints(super::EVERYTHING).unwrap().items.len();
    data.store.checkpoint_if_due().unwrap();
    assert_eq!(kept(), 1, "the first, at once");
    data.open(user(0), 1).await.unwrap();
    data.store.checkpoint_if_due().unwrap();
    assert_eq!(kept(), 1, "too soon");
    data.clock.set(START.after_s(600));
    data.store.checkpoint_if_due().unwrap();
    assert_eq!(kept(), 2, "after ten minutes");
    data.clock.set(START.after_s(1200));
    data.store.checkpoint_if_due().unwrap();
    assert_eq!(kept(), 2, "nothing has happened since");
}
