//! Words that nobody writes by chance, each in one place of the mail, and the search for them in what a wire carried.

use std::collections::BTreeSet;

use aho_corasick::AhoCorasick;
use rand_chacha::ChaCha20Rng;
use rand_core::{Rng as _, SeedableRng as _};

use super::encode::{base64_within, quoted};

/// The words.
#[derive(Debug)]
pub struct Markers {
    words: Vec<String>,
    automaton: AhoCorasick,
}

/// As it stands, quoted-printable, and base64 in three alignments.
const FORMS: usize = 5;

impl Markers {
    /// This many. Each has a letter that is no ASCII: quoted-printable shows.
    #[must_use]
    pub fn new(seed: u64, count: usize) -> Self {
        let mut rng = ChaCha20Rng::seed_from_u64(seed);
        let mut letters =
            || -> String { (0..9).map(|_| char::from(b'a' + (rng.next_u32() % 26) as u8)).collect() };
        let words: Vec<_> = (0..count).map(|_| format!("{}\u{e9}{}", letters(), letters())).collect();
        let automaton = AhoCorasick::new(words.iter().flat_map(|word| forms(word))).unwrap();
        Self { words, automaton }
    }

    /// The words themselves.
    #[must_use]
    pub fn words(&self) -> &[String] {
        &self.words
    }

    /// Which of them are in there, in any form. Lines that were broken for transport are put together.
    #[must_use]
    pub fn found_in(&self, octets: &[u8]) -> BTreeSet<&str> {
        let joined = joined(octets);
        let places = self.automaton.find_iter(octets).chain(self.automaton.find_iter(&joined));
        places.map(|place| self.words[place.pattern().as_usize() / FORMS].as_str()).collect()
    }
}

fn forms(word: &str) -> [String; FORMS] {
    let within = |shift| base64_within(word.as_bytes(), shift);
    [word.to_owned(), word.bytes().map(quoted).collect(), within(0), within(1), within(2)]
}

/// Without the ends of lines, and without the signs that a line of quoted-printable text goes on.
fn joined(octets: &[u8]) -> Vec<u8> {
    let mut joined = Vec::with_capacity(octets.len());
    for line in octets.split(|octet| *octet == b'\n') {
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        joined.extend_from_slice(line.strip_suffix(b"=").unwrap_or(line));
    }
    joined
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::imap::encode::{base64, quoted_printable, word_b, word_q};

    #[test]
    fn a_marker_is_found_in_every_form_and_place() {
        let markers = Markers::new(1, 500);
        let word = markers.words()[499].as_str();
        let only = BTreeSet::from([word]);
        for indent in 0..80 {
            let text = format!("{}{word} and more", "x".repeat(indent));
            let forms = [
                text.clone(),
                base64(text.as_bytes()),
                quoted_printable(&text),
                word_b(&text),
                word_q(&text),
            ];
            for form in forms {
                assert_eq!(markers.found_in(form.as_bytes()), only, "{form}");
                assert_eq!(markers.found_in(form.replace('\n', "\r\n").as_bytes()), only, "{form}");
            }
        }
        assert!(markers.found_in(&base64(&[7; 100_000]).into_bytes()).is_empty());
    }

    #[test]
    fn no_marker_is_another() {
        let markers = Markers::new(1, 500);
        assert_eq!(markers.words().iter().collect::<BTreeSet<_>>().len(), 500);
        for word in markers.words() {
            assert_eq!(markers.found_in(word.as_bytes()).len(), 1);
        }
    }
}
