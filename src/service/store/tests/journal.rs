use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::Ordering;

use sidekey_protocol::audit::Frame;

use super::super::journal::{Journal, Position, Text, Unwritten};
use crate::fault::{Damage, Fault};
use crate::telemetry::book::logged;

const SIZE: u64 = 4096;

fn text(body: &[u8]) -> Text {
    Text { entries: sidekey_protocol::crypto::sha256(body), body: body.to_vec() }
}

/// A journal of batches of so many records each, and what they say.
fn written(folder: &Path, batches: &[usize]) -> Vec<Vec<u8>> {
    let mut journal = Journal::create(folder, SIZE).unwrap();
    let mut bodies = Vec::new();
    for &count in batches {
        let batch: Vec<Vec<u8>> =
            (0..count).map(|n| format!("record {} of a batch", bodies.len() + n).into_bytes()).collect();
        let texts: Vec<_> = batch.iter().map(|body| text(body)).collect();
        journal.append(&texts, false).unwrap();
        bodies.extend(batch);
    }
    bodies
}

fn read(folder: &Path) -> Result<Vec<Vec<u8>>, Fault> {
    let mut bodies = Vec::new();
    Journal::open(folder, SIZE, Position::START, |_, body| {
        bodies.push(body.to_vec());
        Ok(())
    })?;
    Ok(bodies)
}

fn segments(folder: &Path) -> Vec<PathBuf> {
    let mut files: Vec<_> = fs::read_dir(folder).unwrap().map(|file| file.unwrap().path()).collect();
    files.sort();
    files
}

fn used(segment: &Path) -> usize {
    fs::read(segment).unwrap().iter().rposition(|&octet| octet != 0).unwrap() + 1
}

#[test]
fn what_was_appended_is_read_across_segments() {
    let folder = super::scratch();
    let bodies = written(folder.path(), &[1, 3, 10, 1, 1, 20, 5, 9]);
    assert!(segments(folder.path()).len() > 1);
    assert_eq!(read(folder.path()).unwrap(), bodies);
}

#[test]
fn a_journal_that_is_full_takes_nothing_but_what_is_urgent() {
    let folder = super::scratch();
    let mut journal = Journal::create(folder.path(), SIZE).unwrap();
    let (large, small) = ([text(&[b'l'; SIZE as usize])], [text(b"small")]);
    journal.no_room.store(true, Ordering::SeqCst);
    assert!(matches!(journal.append(&large, false), Err(Unwritten::Refused(Fault::Full))));
    assert!(
        matches!(journal.append(&small, false), Err(Unwritten::Refused(Fault::Full))),
        "there is room for it"
    );
    journal.append(&small, true).unwrap();
    assert!(journal.is_full());
    journal.no_room.store(false, Ordering::SeqCst);
    journal.append(&small, false).unwrap();
    assert!(!journal.is_full());
    drop(journal);
    assert_eq!(read(folder.path()).unwrap(), [b"small", b"small"]);
}

#[test]
fn a_segment_is_filled_to_the_octet_and_its_last_part_with_what_is_urgent() {
    const SIZE: u64 = 16 << 10;
    const HEADER_SIZE: u64 = 64;
    let folder = super::scratch();
    let mut journal = Journal::create(folder.path(), SIZE).unwrap();
    let record = |octets: u64| [text(&vec![b'r'; octets as usize - Frame::SIZE - 32])];
    let kept = SIZE / 64;
    journal.append(&record(1000), false).unwrap();
    journal.append(&record(SIZE - HEADER_SIZE - kept - 1000), false).unwrap();
    assert_eq!(segments(folder.path()).len(), 1);
    journal.no_room.store(true, Ordering::SeqCst);
    for (octets, urgent) in [(kept, false), (kept + 1, true)] {
        let refused = journal.append(&record(octets), urgent);
        assert!(matches!(refused, Err(Unwritten::Refused(Fault::Full))), "{octets}: {refused:?}");
    }
    journal.append(&record(kept), true).unwrap();
    drop(journal);
    assert_eq!((read(folder.path()).unwrap().len(), segments(folder.path()).len()), (3, 1));
}

#[test]
fn the_largest_record_has_a_segment_that_has_room_for_a_revocation_after_it() {
    const RECORD_MAX: usize = 4 << 20;
    let folder = super::scratch();
    let mut journal = Journal::create(folder.path(), SIZE).unwrap();
    let refused = journal.append(&[text(&vec![b'l'; RECORD_MAX + 1])], false);
    assert!(matches!(refused, Err(Unwritten::Refused(Fault::RecordTooLarge))), "{refused:?}");
    journal.append(&[text(&vec![b'l'; RECORD_MAX])], false).unwrap();
    journal.no_room.store(true, Ordering::SeqCst);
    journal.append(&[text(b"revoked")], true).unwrap();
    drop(journal);
    let sizes: Vec<usize> = read(folder.path()).unwrap().iter().map(Vec::len).collect();
    assert_eq!(sizes, [RECORD_MAX, 7]);
}

/// As every program reads it that knows this format.
#[test]
fn a_segment_says_its_format_its_first_record_and_its_size() {
    let folder = super::scratch();
    written(folder.path(), &[10; 10]);
    for segment in segments(folder.path()) {
        let first: u64 = segment.file_stem().unwrap().to_str().unwrap().parse().unwrap();
        let head = [*b"SKJRNL02", first.to_be_bytes(), SIZE.to_be_bytes()].concat();
        assert_eq!(fs::read(segment).unwrap()[..24], head);
    }
}

#[test]
fn a_segment_that_was_not_finished_is_removed_or_the_journal_is_not_opened() {
    let folder = super::scratch();
    let bodies = written(folder.path(), &[2]);
    let unfinished = folder.path().join("new.segment");
    fs::write(&unfinished, b"half").unwrap();
    assert_eq!(read(folder.path()).unwrap(), bodies);
    assert!(!unfinished.exists());
    fs::create_dir(&unfinished).unwrap();
    let refused = read(folder.path()).unwrap_err();
    assert_eq!(refused.to_string(), "remove an unfinished segment");
}

#[test]
fn what_is_torn_is_wiped_and_spoken_of_and_what_is_whole_is_not() {
    let folder = super::scratch();
    let bodies = written(folder.path(), &[2]);
    let segment = &segments(folder.path())[0];
    let whole = fs::read(segment).unwrap();
    let opened = || logged(|| assert_eq!(read(folder.path()).unwrap(), bodies));
    assert_eq!(opened(), "");
    let mut torn = whole.clone();
    let end = used(segment);
    torn[end..end + 50].fill(1);
    fs::write(segment, torn).unwrap();
    assert!(opened().contains("cut off a torn tail"));
    assert_eq!(fs::read(segment).unwrap(), whole);
}

#[test]
fn a_tail_torn_at_any_octet_is_cut_off_cleanly() {
    for batch in [1, 3] {
        let whole = super::scratch();
        let bodies = written(whole.path(), &[2, 2]);
        let segment = &segments(whole.path())[0];
        let before = used(segment);
        fs::remove_file(segment).unwrap();
        let all = written(whole.path(), &[2, 2, batch]);
        let bytes = fs::read(segment).unwrap();
        for end in before..used(segment) {
            let folder = super::scratch();
            let mut torn = bytes.clone();
            torn[end..].fill(0);
            fs::write(folder.path().join(segment.file_name().unwrap()), torn).unwrap();
            let kept = read(folder.path()).unwrap();
            assert!(kept.len() >= bodies.len() && kept.len() < all.len(), "torn at {end}");
            assert_eq!(kept, all[..kept.len()]);
            // And on it goes: nothing of the torn record comes back.
            let mut journal = Journal::open(folder.path(), SIZE, Position::START, |_, _| Ok(())).unwrap();
            journal.append(&[text(b"next")], false).unwrap();
            drop(journal);
            assert_eq!(read(folder.path()).unwrap().len(), kept.len() + 1);
        }
    }
}

#[test]
fn sectors_of_a_torn_batch_in_any_order_are_cut_off() {
    let whole = super::scratch();
    let bodies = written(whole.path(), &[2]);
    let segment = &segments(whole.path())[0];
    let before = fs::read(segment).unwrap();
    fs::remove_file(segment).unwrap();
    written(whole.path(), &[2, 20]);
    let after = fs::read(segment).unwrap();
    let sectors = used(segment).div_ceil(512);
    for kept in 0..1_u32 << sectors {
        let mut torn = before.clone();
        for sector in (0..sectors).filter(|sector| kept & (1 << sector) != 0) {
            let range = sector * 512..(sector + 1) * 512;
            torn[range.clone()].copy_from_slice(&after[range]);
        }
        let folder = super::scratch();
        fs::write(folder.path().join(segment.file_name().unwrap()), torn).unwrap();
        let read = read(folder.path()).unwrap();
        assert_eq!(read[..2], bodies, "sectors {kept:b}");
    }
}

#[test]
fn a_flipped_octet_anywhere_in_the_middle_is_named() {
    let folder = super::scratch();
    let bodies = written(folder.path(), &[1, 3, 10, 1, 2, 20, 1, 9, 1]);
    let files = segments(folder.path());
    assert!(files.len() > 1);
    // The last batch alone could as well be the tail of a write that the power cut short.
    let synced = bodies.len() as u64 - 1;
    for file in &files {
        let whole = fs::read(file).unwrap();
        let first: u64 = file.file_stem().unwrap().to_str().unwrap().parse().unwrap();
        for at in 0..used(file) {
            let mut bent = whole.clone();
            bent[at] ^= 0x10;
            fs::write(file, &bent).unwrap();
            match read(folder.path()) {
                Err(Fault::Corrupt { segment, record, .. }) => {
                    assert_eq!(segment, first, "octet {at}");
                    assert!((first..=synced).contains(&record), "octet {at}: record {record}");
                }
                Ok(read) => assert_eq!(read.len() as u64, synced, "only the last batch may be cut off: {at}"),
                Err(other) => panic!("octet {at}: {other}"),
            }
            fs::write(file, &whole).unwrap();
        }
    }
}

#[test]
fn a_missing_segment_or_a_short_one_is_named() {
    let folder = super::scratch();
    written(folder.path(), &[10; 10]);
    let files = segments(folder.path());
    assert!(files.len() > 2);
    let whole = fs::read(&files[1]).unwrap();
    fs::write(&files[1], &whole[..whole.len() - 1]).unwrap();
    assert!(matches!(read(folder.path()), Err(Fault::Corrupt { damage: Damage::Size, .. })));
    fs::remove_file(&files[1]).unwrap();
    assert!(matches!(read(folder.path()), Err(Fault::Corrupt { damage: Damage::Missing, .. })));
    fs::write(&files[1], &whole).unwrap();
    fs::remove_file(&files[0]).unwrap();
    assert!(matches!(read(folder.path()), Err(Fault::Corrupt { record: 1, damage: Damage::Missing, .. })));
}

#[test]
fn a_journal_that_ends_before_what_was_durable_is_refused() {
    let folder = super::scratch();
    written(folder.path(), &[1, 1]);
    let from = Position { seq: 3, hash: [0; 32] };
    let refused = Journal::open(folder.path(), SIZE, from, |_, _| Ok(()));
    assert!(matches!(refused, Err(Fault::Corrupt { record: 3, damage: Damage::Missing, .. })), "{refused:?}");
    let other = Position { seq: 2, hash: [0; 32] };
    let refused = Journal::open(folder.path(), SIZE, other, |_, _| Ok(()));
    assert!(matches!(refused, Err(Fault::Corrupt { record: 2, damage: Damage::Chain, .. })), "{refused:?}");
}

/// Whoever can write to the disk can rename a segment, and make a header that goes with it.
#[test]
fn a_segment_whose_number_is_none_is_not_one() {
    for number in [0, u64::MAX - 1, u64::MAX] {
        let folder = super::scratch();
        written(folder.path(), &[1, 2]);
        let segment = segments(folder.path()).remove(0);
        fs::rename(&segment, folder.path().join(format!("{number:020}.journal"))).unwrap();
        assert!(matches!(read(folder.path()), Err(Fault::Missing)), "{number}");
    }
    let folder = super::scratch();
    written(folder.path(), &[1, 2]);
    fs::write(folder.path().join("7.journal"), b"none of ours").unwrap();
    assert_eq!(read(folder.path()).unwrap().len(), 3);
}
