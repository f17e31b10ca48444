//! What reading costs, as a ratio to copying the same octets in the same run.
//!
//! ```text
//! cargo bench --manifest-path src/imap/Cargo.toml
//! ```

#![expect(clippy::print_stdout, reason = "a benchmark's result")]

use std::fs;
use std::hint::black_box;
use std::time::Duration;

use sidekey_imap::response::{Attribute, Message, Piece, Policy, Responses, Verdict};
use sidekey_imap::scanner::{Limits, Scanner, Side};

const PIECE: usize = 64 * 1024;
const LONG_ENOUGH: Duration = Duration::from_millis(500);

fn main() {
    for (name, octets) in [("bodies of 29 KiB", bodies()), ("envelopes", envelopes())] {
        let rate = |run: fn(&[u8]) -> usize| {
            let (start, mut rounds) = (on_processor(), 0.0);
            loop {
                black_box(run(&octets));
                rounds += 1.0;
                let spent = on_processor() - start;
                if spent >= LONG_ENOUGH {
                    return rounds * octets.len() as f64 / 1_048_576.0 / spent.as_secs_f64();
                }
            }
        };
        let copied = rate(copy);
        println!("{name}, MiB/s and as a ratio to a copy:");
        for (what, run) in [
            ("copy", copy as fn(&[u8]) -> usize),
            ("memchr", ends_of_lines),
            ("tokens", scan),
            ("pieces", walk),
        ] {
            let rate = rate(run);
            println!("  {what:8} {rate:8.0}  {:.3}", rate / copied);
        }
    }
}

/// Time on a processor, which others may want too. It is counted in ticks of some milliseconds.
fn on_processor() -> Duration {
    let spent = fs::read_to_string("/proc/self/schedstat").expect("a Linux that counts");
    Duration::from_nanos(spent.split(' ').next().and_then(|ns| ns.parse().ok()).expect("nanoseconds first"))
}

/// Pieces into another buffer: what a relay that looks at nothing does.
fn copy(octets: &[u8]) -> usize {
    let mut out = Vec::with_capacity(PIECE);
    octets.chunks(PIECE).fold(0, |sum, piece| {
        out.clear();
        out.extend_from_slice(black_box(piece));
        sum + black_box(&out).len()
    })
}

fn ends_of_lines(octets: &[u8]) -> usize {
    octets.chunks(PIECE).map(|piece| memchr::memchr_iter(b'\n', piece).count()).sum()
}

/// Tokens into another buffer: what a relay that reads everything and changes nothing does.
fn scan(octets: &[u8]) -> usize {
    let mut scanner = Scanner::new(Side::Server, Limits::SERVER);
    let mut out = Vec::with_capacity(PIECE * 2);
    let mut sum = 0;
    for mut piece in octets.chunks(PIECE) {
        out.clear();
        while let Ok(Some(token)) = scanner.next(&mut piece) {
            out.extend_from_slice(token.octets);
        }
        sum += black_box(&out).len();
    }
    sum
}

/// Pieces into another buffer: what a gateway that seals nothing does.
fn walk(octets: &[u8]) -> usize {
    let mut responses = Responses::new(Limits::SERVER);
    let mut out = Vec::with_capacity(PIECE * 2);
    let mut sum = 0;
    for mut piece in octets.chunks(PIECE) {
        out.clear();
        while let Ok(Some(Piece::Wire(octets))) = responses.next(&mut piece, &mut Pass) {
            out.extend_from_slice(&octets);
        }
        sum += black_box(&out).len();
    }
    sum
}

struct Pass;

impl Policy for Pass {
    fn data(&mut self, _: Option<u32>, _: &str) -> Verdict {
        Verdict::Pass
    }

    fn item(&mut self, _: &Message, _: &Attribute) -> Verdict {
        Verdict::Pass
    }
}

fn bodies() -> Vec<u8> {
    let mail = "Quarter budget contract review the of and to server report meeting invoice.\r\n".repeat(376);
    let response =
        |n| format!("* {n} FETCH (UID {n} FLAGS (\\Seen) BODY[] {{{}}}\r\n{mail})\r\n", mail.len());
    (1..500).map(response).collect::<String>().into_bytes()
}

fn envelopes() -> Vec<u8> {
    let person = "((\"Anna Example\" NIL \"anna\" \"corp.example\"))";
    let response = |n| {
        format!(
            "* {n} FETCH (UID {n} ENVELOPE (\"Thu, 1 Jan 2026 08:00:00 +0100\" \"Quarter budget contract review\" \
             {person} {person} {person} {person} NIL NIL NIL \"<0123456789abcdef@corp.example>\"))\r\n"
        )
    };
    (1..20_000).map(response).collect::<String>().into_bytes()
}
