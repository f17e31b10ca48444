//! What a proxy can do to an answer, one attack each. It knows the frame's public layout (proto/object/spec.md) as
//! well as anybody, so it cuts and swaps where that is hardest to notice: between whole records.

use std::io::{self, Read, Write};

use sidekey_protocol::object::{HEADER_SIZE, Header, PREFIX_SIZE, RecordSize};

use super::base64::encoded_len;
use super::path::Request;

/// One lie, told to one request.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Lie {
    /// None: passes on what it gets.
    None,
    /// Asks the server for something else, and passes the answer off as what the client asked for.
    Ask(Request),
    /// Leaves out the last record, and announces the shorter length.
    CutLastRecord,
    /// Flips these bits of this octet of the frame.
    Flip {
        /// Counted from the frame's first.
        octet: usize,
        /// One for each bit to flip.
        mask: u8,
    },
    /// Answers with a message of its own, in the clear.
    Plain(String),
    /// Answers with what it once passed for this request.
    Replay(Request),
    /// Exchanges the first two records.
    SwapRecords,
}

impl Lie {
    /// What it asks the server for when the client asks for `asked`.
    #[must_use]
    pub fn request(&self, asked: &Request) -> Request {
        if let Self::Ask(instead) = self { instead.clone() } else { asked.clone() }
    }

    /// Octets of the literal that it gives for one of `octets`.
    #[must_use]
    pub fn length(&self, octets: u64, kept: Option<&[u8]>) -> u64 {
        match self {
            Self::None | Self::Ask(_) | Self::Flip { .. } | Self::SwapRecords => octets,
            Self::CutLastRecord => encoded_len(without_last_record(octets)),
            Self::Plain(text) => text.len() as u64,
            Self::Replay(_) => kept.map_or(0, <[u8]>::len) as u64,
        }
    }
}

/// Octets of a frame without its last record, from the length of its text. That hides up to two octets of padding; a
/// last record, being a tag and more, is longer.
fn without_last_record(text_octets: u64) -> u64 {
    let least = (text_octets / 4 * 3).saturating_sub(2 + PREFIX_SIZE as u64);
    let record = record_octets(RecordSize::default()) as u64;
    PREFIX_SIZE as u64 + least.saturating_sub(1) / record * record
}

fn record_octets(size: RecordSize) -> usize {
    size.octets() + TAG_SIZE
}

const TAG_SIZE: usize = 16;

/// Forges a frame, record by record.
///
/// # Errors
/// Those of either end; what comes is no frame.
pub fn forge(lie: &Lie, from: &mut impl Read, to: &mut impl Write, text_octets: u64) -> io::Result<()> {
    let mut piece = vec![0; PREFIX_SIZE];
    from.read_exact(&mut piece)?;
    let header = piece.first_chunk::<HEADER_SIZE>().expect("a prefix begins with a header");
    let header = Header::read(header).map_err(io::Error::other)?;
    let (mut at, mut first) = (0, None);
    let keep = if *lie == Lie::CutLastRecord { without_last_record(text_octets) } else { u64::MAX };
    while !piece.is_empty() && (at as u64) < keep {
        if let Lie::Flip { octet, mask } = lie
            && let Some(octet) = octet.checked_sub(at).and_then(|offset| piece.get_mut(offset))
        {
            *octet ^= mask;
        }
        let len = piece.len();
        if *lie == Lie::SwapRecords && at == PREFIX_SIZE {
            first = Some(std::mem::take(&mut piece));
        } else {
            to.write_all(&piece)?;
            to.write_all(&first.take().unwrap_or_default())?;
        }
        at += len;
        piece.clear();
        from.take(record_octets(header.record_size) as u64).read_to_end(&mut piece)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Header and context, two whole records and a last one of `last` octets.
    fn frame(last: usize) -> Vec<u8> {
        let mut frame = b"XE\x01\x02\x01\x10".to_vec();
        frame.resize(PREFIX_SIZE, 0);
        for (name, len) in [(1, 65_552), (2, 65_552), (3, last)] {
            frame.resize(frame.len() + len, name);
        }
        frame
    }

    fn forged(lie: &Lie, frame: &[u8]) -> Vec<u8> {
        let mut out = Vec::new();
        forge(lie, &mut &frame[..], &mut out, encoded_len(frame.len() as u64)).unwrap();
        out
    }

    #[test]
    fn a_lie_changes_what_it_says_and_nothing_else() {
        let genuine = frame(100);
        let flipped = forged(&Lie::Flip { octet: 70_000, mask: 1 }, &genuine);
        let differ: Vec<_> = (0..genuine.len()).filter(|&at| flipped[at] != genuine[at]).collect();
        assert_eq!((differ, flipped[70_000] ^ genuine[70_000]), (vec![70_000], 1));

        let swapped = forged(&Lie::SwapRecords, &genuine);
        assert_eq!(swapped.len(), genuine.len());
        let names = [PREFIX_SIZE, PREFIX_SIZE + 65_552, PREFIX_SIZE + 2 * 65_552].map(|at| swapped[at]);
        assert_eq!(names, [2, 1, 3]);
    }

    #[test]
    fn a_cut_is_at_the_last_record_and_announced() {
        for last in [17, 18, 19, 20, 65_551, 65_552] {
            let genuine = frame(last);
            let cut = forged(&Lie::CutLastRecord, &genuine);
            assert_eq!(cut, genuine[..genuine.len() - last], "{last}");
            let announced = Lie::CutLastRecord.length(encoded_len(genuine.len() as u64), None);
            assert_eq!(announced, encoded_len(cut.len() as u64));
        }
    }
}
