//! The journal: what was written is read, or that it is not is told; nothing else ever is.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use sidekey_protocol::crypto::sha256;
use sidekey_service::fault::Fault;
use sidekey_service::store::fuzz::{Position, go_on, look_on, record, verify, write};

/// Octets of a segment.
const SIZE: u64 = 2048;
/// Records of several batches, all in one segment.
const BATCHES: [&[&[u8]]; 4] =
    [&[b"the first"], &[b"a", b"second"], &[b"third"], &[b"the last", b"of", b"all"]];
const HEADER: usize = 64;

/// A journal as it was written.
struct Written {
    segment: Vec<u8>,
    records: Vec<(Position, Vec<u8>)>,
    /// Where its last batch begins, and where it ends.
    last_batch: [usize; 2],
}

/// A body that is read is written so that it is read as the same; what the audit log says of it has a bound.
pub fn records(octets: &[u8]) {
    let Some(said) = record(octets, 7) else { return };
    let again = record(&said.body, 7).expect("what was written is read");
    assert_eq!(again.body, said.body);
    assert_eq!(again.lines, said.lines);
    assert_eq!(again.bound, said.bound);
    assert!(said.lines.len() <= octets.len(), "each line is of something that the record says");
    for (item, line) in said.lines.iter().enumerate() {
        assert_eq!((line.seq, usize::from(line.item)), (7, item));
        let text = line.text();
        assert!(serde_json::from_str::<serde_json::Value>(&text).is_ok_and(|line| line.is_object()));
    }
}

/// Edits a segment. What is read of it then is a beginning of what was written; where a later batch stands whole, all.
pub fn segments(octets: &[u8]) {
    let written = written();
    let mut segment = written.segment.clone();
    let mut name = 1_u64;
    for edit in octets.chunks_exact(4) {
        edited(&mut segment, &mut name, edit);
    }
    let folder = scratch();
    let file = folder.join(format!("{name:020}.journal"));
    fs::write(&file, &segment).expect("there is room");
    let seen = verify(&folder);
    holds(written, (name == 1).then_some(&segment), &seen);
    if let (1, Ok(records)) = (name, &seen) {
        goes_on(&folder, records);
    }
    fs::remove_dir_all(&folder).expect("it is there");
}

/// Of a journal that begins elsewhere than at its first record, others say whether it may: a record, and its signature.
fn holds(written: &Written, whole: Option<&Vec<u8>>, seen: &Result<Vec<(Position, Vec<u8>)>, Fault>) {
    match seen {
        Ok(records) => {
            assert!(written.records.starts_with(records), "something that was never written");
            let [start, end] = written.last_batch;
            let stands = |segment: &Vec<u8>| segment.get(start..end) == Some(&written.segment[start..end]);
            if whole.is_some_and(stands) {
                assert_eq!(
                    records.len(),
                    written.records.len(),
                    "a later batch stands, and nothing is missed"
                );
            }
        }
        Err(Fault::Corrupt { .. } | Fault::Missing) => {}
        Err(other) => panic!("{other}: it says nothing of the journal"),
    }
}

/// What was read whole is read by whoever looks on, and by a start, which cuts off the rest and goes on.
fn goes_on(folder: &Path, records: &[(Position, Vec<u8>)]) {
    let last = records.last().map_or(0, |(end, _)| end.seq);
    assert_eq!(look_on(folder, last).expect("it was read before"), records);
    let next: &[&[&[u8]]] = &[&[b"next"]];
    let (bodies, end) = go_on(folder, SIZE, next).expect("it was read before");
    assert!(bodies.iter().eq(records.iter().map(|(_, body)| body)));
    let after = verify(folder).expect("nothing of the rest comes back");
    assert_eq!(after.len(), records.len() + 1);
    assert_eq!(after[records.len()], (end[0], b"next".to_vec()));
    assert!(after.starts_with(records));
}

/// An edit in four octets: what, where (two), and with what.
fn edited(segment: &mut Vec<u8>, name: &mut u64, edit: &[u8]) {
    let at = usize::from(u16::from_be_bytes([edit[1], edit[2]])) % segment.len().max(1);
    let (size, with) = (segment.len(), edit[3]);
    let run = usize::from(with).min(size - at);
    match edit[0] % 8 {
        0 => segment.iter_mut().skip(at).take(1).for_each(|octet| *octet ^= with),
        1 => segment[at..at + run].fill(0),
        2 => segment[at..].fill(0),
        3 => segment.truncate(at.max(1)),
        4 => segment.copy_within(at..at + run, size - run),
        // From elsewhere, to where records stand.
        5 => segment.copy_within(at..at + run, (HEADER + usize::from(with)).min(size - run)),
        6 => segment.iter_mut().skip(at).take(1).for_each(|octet| *octet = with),
        _ => *name = [0, 1, 2, 7, u64::MAX - 1, u64::MAX][usize::from(with) % 6],
    }
    if edit[0] >= 128 {
        forge(segment, *name);
    }
}

/// A header that holds together, of whoever can write to the disk.
fn forge(segment: &mut [u8], first: u64) {
    let size = (segment.len() as u64).to_be_bytes();
    let Some(header) = segment.first_chunk_mut::<HEADER>() else { return };
    header[8..16].copy_from_slice(&first.to_be_bytes());
    header[16..24].copy_from_slice(&size);
    header[24..32].fill(0);
    let check = sha256(header);
    header[24..32].copy_from_slice(&check[..8]);
}

fn written() -> &'static Written {
    static WRITTEN: OnceLock<Written> = OnceLock::new();
    WRITTEN.get_or_init(|| {
        let folder = scratch();
        let positions = write(&folder, SIZE, &BATCHES).expect("there is room");
        let segment = fs::read(folder.join(format!("{:020}.journal", 1))).expect("it was written");
        let records = positions.into_iter().zip(BATCHES.concat()).map(|(end, body)| (end, body.to_vec()));
        let of =
            |batches: &[&[&[u8]]]| batches.concat().iter().map(|body| 46 + body.len() + 32).sum::<usize>();
        let last_batch = [HEADER + of(&BATCHES[..3]), HEADER + of(&BATCHES)];
        fs::remove_dir_all(&folder).expect("it is there");
        Written { segment, records: records.collect(), last_batch }
    })
}

/// An empty folder, in memory where there is one.
fn scratch() -> PathBuf {
    let memory = Path::new("/dev/shm");
    let place = if memory.is_dir() { memory.to_owned() } else { std::env::temp_dir() };
    let folder = place.join(format!("sidekey-fuzz-{}", std::process::id()));
    let _ = fs::remove_dir_all(&folder);
    fs::create_dir(&folder).expect("there is room");
    folder
}
