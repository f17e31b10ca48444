//! Finds secrets in text, in whatever encoding they got there.
//!
//! Text is decoded wherever it could be an encoding, and eight octets of a secret that stand together in the outcome are
//! a find: nobody writes eight octets of a key by chance.

use std::collections::HashMap;

/// Octets of a secret that are enough.
pub const WINDOW: usize = 8;

/// The secrets that are looked for.
#[derive(Debug, Default)]
pub struct Secrets {
    windows: HashMap<[u8; WINDOW], String>,
    /// Which first three octets occur at all: most places are done with here.
    begins: Vec<u64>,
}

impl Secrets {
    /// None.
    #[must_use]
    pub fn none() -> Self {
        Self { windows: HashMap::new(), begins: vec![0; (1 << 24) / 64] }
    }

    /// Looks for this one too.
    ///
    /// # Panics
    /// When it is too short to be told from chance.
    pub fn add(&mut self, name: &str, secret: &[u8]) {
        assert!(secret.len() >= WINDOW, "{name} is too short to be found");
        for window in secret.windows(WINDOW) {
            let window: [u8; WINDOW] = window.try_into().expect("windows have their size");
            let at = begin(&window);
            self.begins[at / 64] |= 1 << (at % 64);
            self.windows.insert(window, name.to_owned());
        }
    }

    /// How many pieces are looked for.
    #[must_use]
    pub fn len(&self) -> usize {
        self.windows.len()
    }

    /// Whether nothing is looked for.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.windows.is_empty()
    }

    /// What was found in `text`, and in which encoding.
    #[must_use]
    pub fn found_in(&self, text: &[u8]) -> Vec<String> {
        let mut found = Vec::new();
        self.look("as it is", text, &mut found);
        self.look("with escapes", &unescaped(text), &mut found);
        self.look("in decimal numbers", &numbers(text), &mut found);
        for phase in 0..2 {
            self.look("in hex", &hex(text, phase), &mut found);
        }
        for phase in 0..4 {
            self.look("in base64", &base64(text, phase), &mut found);
        }
        found.sort();
        found.dedup();
        found
    }

    fn look(&self, encoding: &str, octets: &[u8], found: &mut Vec<String>) {
        for window in octets.windows(WINDOW) {
            let at = begin(window);
            if self.begins[at / 64] & 1 << (at % 64) == 0 {
                continue;
            }
            if let Some(name) = self.windows.get(window) {
                found.push(format!("{name} {encoding}"));
            }
        }
    }
}

fn begin(window: &[u8]) -> usize {
    usize::from(window[0]) << 16 | usize::from(window[1]) << 8 | usize::from(window[2])
}

/// Stands where nothing decodes, so that what was apart does not come together. Part of no secret that is looked for
/// eight times over.
const GAP: [u8; WINDOW] = [0; WINDOW];

/// Hex digits of either case, in pairs from every run's first or second digit on.
fn hex(text: &[u8], phase: usize) -> Vec<u8> {
    let digit = |octet: u8| char::from(octet).to_digit(16).map(|digit| digit as u8);
    decoded(
        text,
        |octet| digit(octet).is_some(),
        |run, out| {
            for pair in run.get(phase..).unwrap_or_default().chunks_exact(2) {
                out.push(digit(pair[0]).unwrap_or_default() << 4 | digit(pair[1]).unwrap_or_default());
            }
        },
    )
}

/// Base64 of either alphabet, in fours from one of every run's first four symbols on.
fn base64(text: &[u8], phase: usize) -> Vec<u8> {
    let symbol = |octet: u8| match octet {
        b'A'..=b'Z' => Some(octet - b'A'),
        b'a'..=b'z' => Some(octet - b'a' + 26),
        b'0'..=b'9' => Some(octet - b'0' + 52),
        b'+' | b'-' => Some(62),
        b'/' | b'_' => Some(63),
        _ => None,
    };
    decoded(
        text,
        |octet| symbol(octet).is_some(),
        |run, out| {
            for four in run.get(phase..).unwrap_or_default().chunks(4) {
                let bits = (0..4).fold(0_u32, |bits, n| {
                    bits << 6 | u32::from(four.get(n).copied().and_then(symbol).unwrap_or_default())
                });
                // Of a last piece that is not whole, as many octets as it has.
                out.extend_from_slice(&bits.to_be_bytes()[1..][..four.len() * 6 / 8]);
            }
        },
    )
}

/// Every run of octets that belong to an encoding, decoded, with gaps between.
fn decoded(text: &[u8], belongs: impl Fn(u8) -> bool, decode: impl Fn(&[u8], &mut Vec<u8>)) -> Vec<u8> {
    let mut out = Vec::with_capacity(text.len());
    for run in text.split(|octet| !belongs(*octet)).filter(|run| run.len() >= WINDOW) {
        decode(run, &mut out);
        out.extend_from_slice(&GAP);
    }
    out
}

/// Lists of decimal numbers, as `Debug` prints them, on one line or one a line.
fn numbers(text: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    let mut number: Option<u32> = None;
    for &octet in text.iter().chain([&b']']) {
        match octet {
            b'0'..=b'9' => {
                number = Some(number.unwrap_or(0).saturating_mul(10).saturating_add(u32::from(octet - b'0')))
            }
            b',' | b' ' | b'\n' | b'\t' => {
                if let Some(number) = number.take() {
                    out.push(u8::try_from(number).unwrap_or_default());
                }
            }
            _ => {
                out.extend(number.take().map(|number| u8::try_from(number).unwrap_or_default()));
                out.extend_from_slice(&GAP);
            }
        }
    }
    out
}

/// Text with `\n`, `\x1f`, `\u{1f}` and `\u001f` for the octets that they stand for.
fn unescaped(text: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(text.len());
    let mut rest = text;
    while let Some((&octet, after)) = rest.split_first() {
        rest = after;
        let Some((&escape, after)) = after.split_first().filter(|_| octet == b'\\') else {
            out.push(octet);
            continue;
        };
        let digits = |digits: &[u8]| {
            std::str::from_utf8(digits).ok().and_then(|digits| u8::from_str_radix(digits, 16).ok())
        };
        let (octet, taken) = match escape {
            b'x' => (after.get(..2).and_then(digits), 3),
            b'u' if after.first() == Some(&b'{') => {
                let end = after.iter().position(|octet| *octet == b'}').unwrap_or(1);
                (digits(&after[1..end.max(1)]), end + 2)
            }
            b'u' => (after.get(..4).and_then(digits), 5),
            b'n' => (Some(b'\n'), 1),
            b'r' => (Some(b'\r'), 1),
            b't' => (Some(b'\t'), 1),
            b'0' => (Some(0), 1),
            other => (Some(other), 1),
        };
        if let Some(octet) = octet {
            out.push(octet);
            rest = rest.get(taken..).unwrap_or_default();
        }
    }
    out
}
