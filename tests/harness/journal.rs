//! What a data folder's journal holds. Every change of the state is a record in it, so a request that left none changed
//! nothing.

use std::fs::File;
use std::io::{BufReader, Read as _};
use std::path::Path;

const HEADER_SIZE: usize = 64;
/// Before a record's body: length u32, sequence u64, nth u16, entries 32 octets; behind it its hash.
const BEFORE: usize = 46;
const HASH_SIZE: usize = 32;
/// Where the time stands in a body.
const TIME: usize = 17;
/// The record by which the service seals secrets anew, at a time of its own: the one that nobody asked for.
const RESEALED: u8 = 10;

/// The bodies of all records but those that the service makes by itself, in order.
pub(crate) fn records(data: &Path) -> Vec<Vec<u8>> {
    all(data).into_iter().filter(|body| kind(body) != RESEALED).collect()
}

/// The bodies of all records, in order.
pub(crate) fn all(data: &Path) -> Vec<Vec<u8>> {
    let mut segments: Vec<_> = std::fs::read_dir(data.join("journal"))
        .expect("a data folder has a journal")
        .map(|entry| entry.expect("the folder lists").path())
        .collect();
    segments.sort();
    segments.iter().flat_map(|path| segment(File::open(path).expect("a segment opens"))).collect()
}

/// A segment is zeros behind its last record.
fn segment(file: File) -> Vec<Vec<u8>> {
    let mut file = BufReader::new(file);
    file.read_exact(&mut [0; HEADER_SIZE]).expect("a segment has a header");
    let mut bodies = Vec::new();
    loop {
        let mut before = [0; BEFORE];
        file.read_exact(&mut before).expect("no test fills a segment");
        let length = u32::from_be_bytes([before[0], before[1], before[2], before[3]]);
        if length == 0 {
            return bodies;
        }
        let mut body = vec![0; length as usize + HASH_SIZE];
        file.read_exact(&mut body).expect("a record is whole");
        body.truncate(length as usize);
        bodies.push(body);
    }
}

/// A body is `version u8 · salt 16 octets · time varint · by option(16 octets) · kind varint · …` (postcard).
fn kind(body: &[u8]) -> u8 {
    let by = 1 + TIME + body[TIME..].iter().position(|octet| octet & 0x80 == 0).expect("a varint ends");
    let kind = if body[by] == 0 { by + 1 } else { by + 17 };
    body[kind]
}
