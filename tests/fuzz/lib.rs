//! What must hold of whatever octets come: one function for each target, which panics where it does not hold.
//!
//! ```text
//! tests/run fuzz                    each target for a while, from the same seed
//! tests/run fuzz imap_commands 180  one of them for three minutes
//! ```
//! Where another implementation reads the same language, what we read is held against what it reads.

pub mod answers;
#[path = "../../src/imap/tests/chance_source.rs"]
mod chance_source;
pub mod device;
pub mod imap;
pub mod journal;
pub mod requests;
pub mod sealed;
pub mod wire;

use chance_source::Chance;

/// Judges octets of chance: panics where something does not hold.
pub type Judge = fn(&[u8]);

/// What is tried: a parser's name, how many inputs take it about five seconds, and what must hold of it.
pub const TARGETS: [(&str, u32, Judge); 25] = [
    ("bodies", 2000, requests::bodies),
    ("carried", 4000, sealed::carried),
    ("configurations", 2000, device::configurations),
    ("envelopes", 4000, sealed::envelopes),
    ("events", 4000, answers::events),
    ("frames", 4000, sealed::frames),
    ("gateways", 4000, answers::gateways),
    ("heads", 4000, requests::heads),
    ("imap_agent", 1000, imap::agent),
    ("imap_commands", 4000, imap::commands),
    ("imap_ends", 4000, imap::ends),
    ("imap_gateway", 1000, imap::gateway),
    ("imap_login", 4000, imap::login),
    ("imap_mailboxes", 8000, imap::mailboxes),
    ("imap_responses", 2000, imap::responses),
    ("imap_scanner", 4000, imap::scanner),
    ("messages", 1000, wire::messages),
    ("pdus", 4000, answers::pdus),
    ("policies", 2000, sealed::policies),
    ("profiles", 4000, device::profiles),
    ("records", 2000, journal::records),
    ("segments", 2000, journal::segments),
    ("tokens", 8000, sealed::tokens),
    ("words", 8000, wire::words),
    ("xcap", 4000, answers::xcap),
];

/// The first octet, which decides how the rest is handed in.
fn choice(octets: &[u8]) -> (u8, &[u8]) {
    octets.split_first().map_or((0, octets), |(first, rest)| (*first, rest))
}

/// The same octets in pieces that end where chance has it; whole for 0.
fn pieces(seed: u8, octets: &[u8]) -> impl Iterator<Item = &[u8]> {
    let mut chance = Chance(u64::from(seed));
    let mut rest = octets;
    std::iter::from_fn(move || {
        let len = if seed == 0 { rest.len() } else { 1 + chance.below(1 + usize::from(seed % 32)) };
        let (piece, left) = rest.split_at(len.min(rest.len()));
        rest = left;
        (!piece.is_empty()).then_some(piece)
    })
}
