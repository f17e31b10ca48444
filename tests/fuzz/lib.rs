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
