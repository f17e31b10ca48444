//! The judge at the proxy: looks for pieces of the mail in all that passes, as it stands and decoded from base64.

use std::collections::HashSet;

use aho_corasick::{AhoCorasick, PatternID};

use super::base64;

/// Pieces of one message that a reader of it would recognise: the beginnings of its lines.
#[derive(Clone, Debug, Default)]
pub struct Needles(Vec<[u8; NEEDLE_BYTES]>);

/// Long enough that chance does not find one in 20 MiB of noise.
const NEEDLE_BYTES: usize = 12;
const NEEDLES_MAX: usize = 64;

impl Needles {
    /// Of the message that begins with `beginning`.
    #[must_use]
    pub fn of(beginning: &[u8]) -> Self {
        let lines = beginning.split(|&octet| octet == b'\n').filter_map(|line| line.first_chunk());
        let mut seen = HashSet::new();
        Self(lines.copied().filter(|needle| seen.insert(*needle)).take(NEEDLES_MAX).collect())
    }

    /// How many there are.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.0.len() as u64
    }
}

/// Watches one literal as it passes.
#[derive(Debug)]
pub struct Watch {
    plain: Search,
    /// Text not decoded yet: fewer than four characters; none any more once something was no base64.
    text: Option<Vec<u8>>,
    decoded: Search,
}

impl Watch {
    /// Looks for `needles`.
    ///
    /// # Panics
    /// Never: a few short texts make a small automaton.
    #[must_use]
    pub fn new(needles: &Needles) -> Self {
        let automaton = AhoCorasick::new(&needles.0).expect("a few short texts");
        let search = Search { automaton, tail: Vec::new(), found: HashSet::new() };
        Self { plain: search.clone(), text: Some(Vec::new()), decoded: search }
    }

    /// The next piece.
    pub fn see(&mut self, piece: &[u8]) {
        self.plain.see(piece);
        self.see_base64(piece);
    }

    /// The next piece of what is more than one literal: each run of base64 in it is decoded by itself.
    pub fn see_stream(&mut self, piece: &[u8]) {
        self.plain.see(piece);
        for (at, run) in piece.split(|&octet| !base64::is_symbol(octet)).enumerate() {
            if at > 0 {
                self.text = Some(Vec::new());
            }
            self.see_base64(run);
        }
    }

    fn see_base64(&mut self, piece: &[u8]) {
        let Some(mut text) = self.text.take() else { return };
        text.extend_from_slice(piece);
        let whole = text.len() / 4 * 4;
        if let Some(octets) = base64::decode(&text[..whole]) {
            self.decoded.see(&octets);
            text.drain(..whole);
            self.text = Some(text);
        }
    }

    /// How many needles are looked for.
    #[must_use]
    pub fn sought(&self) -> u64 {
        self.plain.automaton.patterns_len() as u64
    }

    /// How many needles were seen.
    #[must_use]
    pub fn found(&self) -> u64 {
        self.plain.found.union(&self.decoded.found).count() as u64
    }
}

#[derive(Clone, Debug)]
struct Search {
    automaton: AhoCorasick,
    /// The end of the last piece, in which a needle may have begun.
    tail: Vec<u8>,
    found: HashSet<PatternID>,
}

impl Search {
    fn see(&mut self, piece: &[u8]) {
        self.tail.extend_from_slice(piece);
        self.found.extend(self.automaton.find_overlapping_iter(&self.tail).map(|found| found.pattern()));
        let keep = self.tail.len().saturating_sub(NEEDLE_BYTES - 1);
        self.tail.drain(..keep);
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use super::*;

    const TEXT: &[u8] = b"Subject: Lunch on Thursday?\r\n\r\nThe lawyers are in town.\r\nshort\r\n";

    fn found_in(octets: &[u8], step: usize) -> u64 {
        let mut watch = Watch::new(&Needles::of(TEXT));
        octets.chunks(step).for_each(|piece| watch.see(piece));
        watch.found()
    }

    #[test]
    fn every_line_is_found_in_any_pieces_and_in_base64() {
        assert_eq!(Needles::of(TEXT).count(), 2);
        let mut encoder = base64::Encoder::new(Vec::new());
        encoder.write_all(TEXT).unwrap();
        let text = encoder.finish().unwrap();
        for step in 1..70 {
            assert_eq!(found_in(TEXT, step), 2, "{step}");
            assert_eq!(found_in(&text, step), 2, "{step}");
            assert_eq!(found_in(&[b"noise, then ", TEXT].concat(), step), 2, "{step}");
            let wire = [b"* 1 FETCH (BODY[] {94}\r\n", &text[..], b" FLAGS ())\r\n"].concat();
            let mut watch = Watch::new(&Needles::of(TEXT));
            wire.chunks(step).for_each(|piece| watch.see_stream(piece));
            assert_eq!(watch.found(), 2, "{step}");
        }
        assert_eq!(found_in(b"nothing of that kind here", 7), 0);
    }
}
