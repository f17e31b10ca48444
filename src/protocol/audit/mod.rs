//! The audit log: a chain of records, each with the entries that say in words what it did (proto/audit/spec.md).
//!
//! ```text
//!   entry ──┐
//!   entry ──┴▶ entries ─┐
//!   body ──────────────▶┴ leaf_n ──▶ h_n = SHA-256(h_{n-1} ‖ leaf_n)
//! ```
//! A leaf tells nothing: neither the entries nor the body of a record can be guessed from it, since each entry is hashed
//! with a salt of its own. So a party is shown its own entries, and of all others the leaves, and can check the chain.

pub mod checkpoint;
pub mod proof;
pub mod wire;

use crate::crypto::{hash, labels, sha256};

pub use self::checkpoint::Checkpoint;
pub use self::wire::{Action, Entry};

/// A place in the chain: after the record `seq`, whose hash is `hash`.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Position {
    /// The record's number; the first is 1.
    pub seq: u64,
    /// `h_seq`.
    pub hash: [u8; 32],
}

impl Position {
    /// Before the first record: `h_0` is 32 zero octets.
    pub const START: Self = Self { seq: 0, hash: [0; 32] };

    /// After the record that follows, whose leaf this is.
    #[must_use]
    pub fn next(self, leaf: &[u8; 32]) -> Self {
        let mut text = [0; 64];
        text[..32].copy_from_slice(&self.hash);
        text[32..].copy_from_slice(leaf);
        Self { seq: self.seq + 1, hash: sha256(&text) }
    }
}

/// What stands before a record's body.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Frame {
    /// Octets of the body.
    pub size_bytes: u32,
    /// The record's number.
    pub seq: u64,
    /// Its place among those that became durable together.
    pub nth: u16,
    /// What binds its entries: see [`entries`].
    pub entries: [u8; 32],
}

impl Frame {
    /// Octets of a frame.
    pub const SIZE: usize = 46;

    /// As it is written and hashed.
    #[must_use]
    pub fn octets(&self) -> [u8; Self::SIZE] {
        let mut octets = [0; Self::SIZE];
        octets[..4].copy_from_slice(&self.size_bytes.to_be_bytes());
        octets[4..12].copy_from_slice(&self.seq.to_be_bytes());
        octets[12..14].copy_from_slice(&self.nth.to_be_bytes());
        octets[14..].copy_from_slice(&self.entries);
        octets
    }

    /// Reads one.
    ///
    /// # Panics
    /// Never: the parts have their lengths.
    #[must_use]
    pub fn read(octets: &[u8; Self::SIZE]) -> Self {
        Self {
            size_bytes: u32::from_be_bytes(octets[..4].try_into().expect("4 octets")),
            seq: u64::from_be_bytes(octets[4..12].try_into().expect("8 octets")),
            nth: u16::from_be_bytes(octets[12..14].try_into().expect("2 octets")),
            entries: octets[14..].try_into().expect("32 octets"),
        }
    }

    /// `leaf = SHA-256(frame ‖ SHA-256(body))`: all that a stranger is shown of a record.
    #[must_use]
    pub fn leaf(&self, body_hash: &[u8; 32]) -> [u8; 32] {
        let mut text = [0; Self::SIZE + 32];
        text[..Self::SIZE].copy_from_slice(&self.octets());
        text[Self::SIZE..].copy_from_slice(body_hash);
        sha256(&text)
    }
}

/// What hides an entry, or all of a record, behind a hash: 16 random octets.
pub type Salt = [u8; 16];

/// The salt of one entry: `SHA-256(lp("audit salt", record's salt, item))[..16]`. Who has it can check that entry, and no
/// other of the record.
#[must_use]
pub fn entry_salt(record: &Salt, item: u16) -> Salt {
    let mut salt = [0; 16];
    salt.copy_from_slice(&hash(labels::AUDIT_SALT, &[record, &item.to_be_bytes()])[..16]);
    salt
}

/// `SHA-256(lp("audit entry", salt, text))`.
#[must_use]
pub fn entry_hash(salt: &Salt, text: &str) -> [u8; 32] {
    hash(labels::AUDIT_ENTRY, &[salt, text.as_bytes()])
}

/// `SHA-256(lp("audit record", entry hash, …))`: binds a record's entries, in their order.
#[must_use]
pub fn entries(hashes: &[[u8; 32]]) -> [u8; 32] {
    let fields: Vec<&[u8]> = hashes.iter().map(<[u8; 32]>::as_slice).collect();
    hash(labels::AUDIT_RECORD, &fields)
}

/// Days for which every record is kept, whoever asks: what an administrator did stays to be seen for as long.
pub const KEPT_DAYS_MIN: u32 = 30;

#[cfg(test)]
mod tests;
