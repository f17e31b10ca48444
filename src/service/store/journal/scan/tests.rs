//! Segments made by hand: what no service writes, and what is said of it.

use super::super::read::Reader;
use super::*;

/// A segment of records of these numbers, places in their batches and bodies, each of which continues the chain.
fn laid(records: &[(u64, u16, &[u8])]) -> Vec<u8> {
    let (mut laid, mut end) = (Vec::new(), Position::START);
    for &(seq, nth, body) in records {
        let frame = Frame { size_bytes: body.len() as u32, seq, nth, entries: sha256(body) };
        end = end.next(&frame.leaf(&sha256(body)));
        laid.extend([&frame.octets(), body, &end.hash].concat());
    }
    let size = (HEADER_SIZE + laid.len()).next_multiple_of(4096);
    let mut segment = [&header(size as u64, Position::START), laid.as_slice()].concat();
    segment.resize(size, 0);
    segment
}

/// The last record that stands, or the first that does not and what is wrong with it; `next`: where another segment
/// begins.
fn judged(segment: &[u8], next: Option<u64>) -> Result<u64, (u64, Damage)> {
    let mut segment = Segment::open(1, segment, None).unwrap();
    while segment.next().is_some() {}
    match segment.close(next) {
        Ok(tail) => Ok(tail.end.seq),
        Err(Fault::Corrupt { record, damage, .. }) => Err((record, damage)),
        Err(other) => panic!("{other}"),
    }
}

#[test]
fn what_is_written_ends_with_its_last_octet_wherever_that_stands() {
    for size in [1, 4095, 4096, 4097, 10_000] {
        let mut rest = vec![0; size];
        assert_eq!(written(&rest), 0);
        for last in [0, size / 2, size - 1] {
            rest[last] = 1;
            assert_eq!(written(&rest), last + 1, "of {size}");
        }
    }
}

#[test]
fn a_record_has_octets_and_not_too_many() {
    let folder = tempfile::tempdir().unwrap();
    for (size, is_one) in [(0, false), (1, true), (RECORD_MAX, true), (RECORD_MAX + 1, false)] {
        let segment = laid(&[(1, 0, &vec![7; size])]);
        assert_eq!(Segment::open(1, &segment, None).unwrap().next().is_some(), is_one, "{size}");
        fs::write(folder.path().join(name(1)), segment).unwrap();
        match Reader::new(folder.path(), 0, 1).unwrap().next() {
            Ok(found) => assert!(is_one && found.is_some(), "{size}"),
            Err(fault) => {
                assert!(matches!(fault, Fault::Corrupt { damage: Damage::Chain, .. }), "{fault}");
                assert!(!is_one, "{size}");
            }
        }
    }
}

#[test]
fn nothing_stands_behind_the_last_record_of_a_segment_that_another_follows() {
    let mut segment = laid(&[(1, 0, b"a")]);
    assert_eq!(judged(&segment, Some(2)), Ok(1));
    *segment.last_mut().unwrap() = 1;
    assert_eq!(judged(&segment, Some(2)), Err((2, Damage::Chain)));
    assert_eq!(judged(&segment, None), Ok(1), "in the last one a write was cut short");
}

#[test]
fn where_a_hash_alone_is_bent_what_follows_tells_whether_it_was_durable() {
    let bent = |nth| {
        let mut segment = laid(&[(1, 0, b"a"), (2, 0, b"b"), (3, nth, b"c")]);
        segment[HEADER_SIZE + 2 * (Frame::SIZE + 1 + HASH_SIZE) - 1] ^= 1;
        judged(&segment, None)
    };
    assert_eq!(bent(1), Ok(1), "the same write");
    assert_eq!(bent(0), Err((2, Damage::Chain)), "a later one");
}

#[test]
fn a_record_out_of_turn_proves_that_others_are_missing_if_there_can_be_so_many() {
    let out_of_turn = |seq, next| judged(&laid(&[(seq, 0, b"a")]), next);
    for seq in [2, FAR] {
        assert_eq!(out_of_turn(seq, None), Err((1, Damage::Missing)), "{seq}");
    }
    assert_eq!(out_of_turn(FAR + 1, None), Ok(0), "no number of this segment's");
    assert_eq!(out_of_turn(FAR + 1, Some(2)), Err((1, Damage::Chain)));
}
