//! Two hundred messages as they come: 48 forms that mail takes, many of them wrong, and others by chance. Always the same
//! for the same seed.

use rand_chacha::ChaCha20Rng;
use rand_core::{Rng as _, SeedableRng as _};

use super::encode::{base64, quoted_printable, word_b, word_q};
use super::markers::Markers;

/// The messages, and the words that are in one place of them each.
#[derive(Debug)]
pub struct Corpus {
    /// As a Maildir has them: lines end in LF.
    pub messages: Vec<Vec<u8>>,
    /// In the messages.
    pub markers: Markers,
}

/// How many messages there are.
pub const MESSAGES: usize = 200;
/// How many words are looked for.
pub const MARKERS: usize = 500;
/// One message on each side of a megabyte.
const LARGE_BYTES: usize = 1_100_000;

impl Corpus {
    /// Of this seed.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        let markers = Markers::new(seed, MARKERS);
        let mut writer = Writer { rng: ChaCha20Rng::seed_from_u64(seed), markers: markers.words() };
        let mut messages: Vec<_> = FORMS.split("%%%%\n").map(|form| writer.form(form)).collect();
        while messages.len() < MESSAGES - 1 {
            let at = messages.len();
            messages.push(writer.message(at));
        }
        messages.push(writer.the_rest());
        Self { messages, markers }
    }
}

/// One after another, `%%%%` between. `¤` is a marker; `\xNN`, `\0`, `\r` and `\\` are octets.
const FORMS: &str = include_str!("forms.txt");

struct Writer<'a> {
    rng: ChaCha20Rng,
    /// Those that are not used yet.
    markers: &'a [String],
}

impl Writer<'_> {
    fn form(&mut self, form: &str) -> Vec<u8> {
        let mut octets = Vec::new();
        let mut rest = form.chars();
        while let Some(next) = rest.next() {
            match next {
                '\u{a4}' => octets.extend_from_slice(self.marker().as_bytes()),
                '\\' => match rest.next().unwrap() {
                    'x' => octets
                        .push(u8::from_str_radix(&rest.by_ref().take(2).collect::<String>(), 16).unwrap()),
                    '0' => octets.push(0),
                    'r' => octets.push(b'\r'),
                    other => octets.push(u8::try_from(other).unwrap()),
                },
                other => octets.extend_from_slice(other.encode_utf8(&mut [0; 4]).as_bytes()),
            }
        }
        octets
    }

    fn message(&mut self, at: usize) -> Vec<u8> {
        let head = self.head(at);
        let body = match at % 8 {
            0 => self.plain(),
            1 => self.in_quoted_printable(),
            2 => self.in_base64(),
            3 => self.alternatives(),
            4 | 5 => self.attachments(if at == 100 { LARGE_BYTES } else { 40_000 }),
            6 => self.forwarded(at),
            _ => self.one_line(),
        };
        format!("{head}MIME-Version: 1.0\n{body}").into_bytes()
    }

    /// All markers that are left, one in a line.
    fn the_rest(&mut self) -> Vec<u8> {
        assert!(!self.markers.is_empty(), "more was written than there are markers");
        let lines = std::mem::take(&mut self.markers).join("\n");
        format!("From: anna@corp.example\nSubject: a list\n\n{lines}\n").into_bytes()
    }

    fn head(&mut self, at: usize) -> String {
        let words = format!("{} {}", self.words(4), self.marker());
        let subject = match at % 3 {
            0 => words,
            1 => word_b(&words),
            _ => word_q(&words),
        };
        format!(
            "Received: from mx.partner.example by mail.corp.example; Thu, 1 Jan 2026 08:{:02}:00 +0100\nFrom: \
             {}\nTo: alice@corp.example,\n \"M\u{fc}ller, J\" <joerg@corp.example>\nDate: Thu, 1 Jan 2026 08:{:02}:00 \
             +0100\nMessage-ID: <{at}@corp.example>\nReferences: <{}@corp.example>\nSubject: {subject}\n",
            at % 60,
            FROM[at % FROM.len()],
            at % 60,
            at / 2,
        )
    }

    fn plain(&mut self) -> String {
        let text = self.text();
        format!("Content-Type: text/plain; charset=utf-8\nContent-Transfer-Encoding: 8bit\n\n{text}")
    }

    fn in_quoted_printable(&mut self) -> String {
        let text = quoted_printable(&self.text());
        format!(
            "Content-Type: text/plain; charset=utf-8\nContent-Transfer-Encoding: quoted-printable\n\n{text}"
        )
    }

    fn in_base64(&mut self) -> String {
        let text = base64(self.text().as_bytes());
        format!("Content-Type: text/plain; charset=\"UTF-8\"\nContent-Transfer-Encoding: base64\n\n{text}")
    }

    fn alternatives(&mut self) -> String {
        let (plain, html) = (self.in_quoted_printable(), self.text());
        let html = base64(format!("<html><body><p>{html}</p><img src=cid:x></body></html>").as_bytes());
        let image = base64(&self.octets(9000));
        format!(
            "Content-Type: multipart/alternative; boundary=alt\n\n--alt\n{plain}\n--alt\nContent-Type: \
             multipart/related; boundary=rel\n\n--rel\nContent-Type: text/html; charset=utf-8\n\
             Content-Transfer-Encoding: base64\n\n{html}\n--rel\nContent-Type: image/png\nContent-ID: <x>\n\
             Content-Disposition: inline; filename=\"x.png\"\nContent-Transfer-Encoding: base64\n\n{image}--rel--\n\n\
             --alt--\n",
        )
    }

    fn attachments(&mut self, size: usize) -> String {
        let text = self.plain();
        // A marker between octets, at any place of a group of three.
        let (before, after) = (self.octets(size), self.octets(size / 2));
        let file = base64(&[&before, self.marker().as_bytes(), &after].concat());
        format!(
            "Content-Type: multipart/mixed; boundary=\"----=_Part\"\n\npreamble\n------=_Part\n{text}\n------=_Part\n\
             Content-Type: application/pdf; name=\"a b;c\\\".bin\"\nContent-Disposition: attachment;\n \
             filename*=UTF-8''%C3%9Cbersicht%202026.pdf\nContent-Transfer-Encoding: base64\n\n{file}------=_Part--\n\
             epilogue\n",
        )
    }

    fn forwarded(&mut self, at: usize) -> String {
        let inner = self.message(at - at % 8 + 1);
        let inner = String::from_utf8(inner).unwrap();
        format!(
            "Content-Type: multipart/mixed; boundary=fwd\n\n--fwd\n\nsee below\n--fwd\nContent-Type: \
             message/rfc822\nContent-Disposition: inline\n\n{inner}\n--fwd--\n"
        )
    }

    fn one_line(&mut self) -> String {
        let (words, marker) = (self.words(500), self.marker());
        format!(
            "Content-Type: text/plain; charset=utf-8\nContent-Transfer-Encoding: 8bit\n\n{words} {marker} {words}"
        )
    }

    /// Some lines with a marker among them.
    fn text(&mut self) -> String {
        let count = 1 + self.below(40);
        let marked = self.below(count);
        let lines = (0..count).map(|line| match line == marked {
            true => format!("{} {} {}\n", self.words(3), self.marker(), self.words(3)),
            false => format!("{}\n", self.words(12)),
        });
        lines.collect()
    }

    fn words(&mut self, count: usize) -> String {
        (0..count).map(|_| WORDS[self.below(WORDS.len())]).collect::<Vec<_>>().join(" ")
    }

    fn octets(&mut self, below: usize) -> Vec<u8> {
        let mut octets = vec![0; below / 2 + self.below(below / 2)];
        self.rng.fill_bytes(&mut octets);
        octets
    }

    fn marker(&mut self) -> String {
        let (next, rest) = self.markers.split_first().expect("more was written than there are markers");
        self.markers = rest;
        next.clone()
    }

    fn below(&mut self, limit: usize) -> usize {
        self.rng.next_u32() as usize % limit
    }
}

const FROM: [&str; 4] = [
    "Anna Example <anna@corp.example>",
    "\"M\u{fc}ller, J\u{f6}rg\" <joerg@corp.example>",
    "\"O'Brien \\\"Bob\\\"\" <bob@partner.example>",
    "=?utf-8?b?5bGx55Sw5aSq6YOO?= <yamada@partner.example>",
];

const WORDS: [&str; 12] = [
    "quarter",
    "budget",
    "Z\u{fc}rich",
    "the",
    "invoice",
    "\u{1f680}",
    "review",
    "(draft)",
    "\"final\"",
    "{10}",
    "\u{3053}\u{3093}",
    "of",
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_marker_is_in_one_place() {
        let corpus = Corpus::new(1);
        assert_eq!(corpus.messages.len(), MESSAGES);
        let in_each = corpus.messages.iter().map(|message| corpus.markers.found_in(message).len());
        let in_each: Vec<_> = in_each.collect();
        assert_eq!(in_each.iter().sum::<usize>(), MARKERS, "no marker is missed, none is in two messages");
        assert!(in_each.iter().all(|count| *count > 0), "each message has one: {in_each:?}");
        assert_eq!(corpus.markers.found_in(&corpus.messages.concat()).len(), MARKERS);
    }

    #[test]
    fn a_seed_is_a_corpus() {
        assert_eq!(Corpus::new(1).messages, Corpus::new(1).messages);
        assert_ne!(Corpus::new(1).messages, Corpus::new(2).messages);
    }
}
