//! The frame: header, record sizes, padding, and so its length (proto/object/spec.md, sections 2 to 4).

use zeroize::Zeroize as _;

use super::context::{CONTEXT_SIZE, Context};
use super::{Direction, ObjectKey, Reject};
use crate::crypto::TAG_SIZE;
use crate::ids::SessionId;
use crate::session::Suite;

/// Octets of the header.
pub const HEADER_SIZE: usize = 42;
/// Octets before the first record: header and context.
pub const PREFIX_SIZE: usize = HEADER_SIZE + CONTEXT_SIZE;
/// Octets of a frame's salt.
pub const SALT_SIZE: usize = 16;
/// Octets of the longest value: what an IMAP4rev1 literal can announce.
pub const VALUE_MAX: u64 = u32::MAX as u64;

/// Octets of the length field, at the beginning of the first record.
pub(super) const LENGTH_SIZE: usize = 8;
/// Octets before the value in the first record: its length and its kind.
pub(super) const LEAD_SIZE: usize = LENGTH_SIZE + 1;

const MAGIC: [u8; 2] = *b"XE";
const VERSION: u8 = 1;

/// How a frame is padded: its type octet.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum Class {
    /// What describes a message: to at least 1,024 octets.
    HeaderLike,
    /// What a message holds: to at least 4,096 octets.
    Body,
    /// A range of an item: to the count asked.
    Partial,
}

impl Class {
    /// The type octet.
    #[must_use]
    pub const fn octet(self) -> u8 {
        match self {
            Self::HeaderLike => 1,
            Self::Body => 2,
            Self::Partial => 3,
        }
    }

    const fn from_octet(octet: u8) -> Option<Self> {
        match octet {
            1 => Some(Self::HeaderLike),
            2 => Some(Self::Body),
            3 => Some(Self::Partial),
            _ => None,
        }
    }

    /// Octets of the padded plaintext around a value of `value_len` octets; `count` counts in a partial alone.
    pub(super) fn padded_len(self, value_len: u64, count: u64) -> u64 {
        let len = LEAD_SIZE as u64 + value_len;
        match self {
            Self::HeaderLike => padme(len).max(1024),
            Self::Body => padme(len).max(4096),
            Self::Partial => LEAD_SIZE as u64 + count,
        }
    }
}

/// Padmé (Nikitin et al., PoPETs 2019): leaks O(log log len) bits, costs at most 12 %.
const fn padme(len: u64) -> u64 {
    let exponent = len.ilog2();
    let kept = exponent.ilog2() + 1;
    let mask = (1 << (exponent - kept)) - 1;
    (len + mask) & !mask
}

/// Octets of plaintext in every record but the last, a power of two.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct RecordSize(u8);

impl RecordSize {
    /// From its logarithm to base 2: 12 (4 KiB) to 20 (1 MiB).
    ///
    /// # Errors
    /// [`Reject::RecordSizeOutOfBounds`].
    pub const fn from_log2(log2: u8) -> Result<Self, Reject> {
        if log2 >= 12 && log2 <= 20 { Ok(Self(log2)) } else { Err(Reject::RecordSizeOutOfBounds) }
    }

    /// Its logarithm to base 2.
    #[must_use]
    pub const fn log2(self) -> u8 {
        self.0
    }

    /// In octets.
    #[must_use]
    pub const fn octets(self) -> usize {
        1 << self.0
    }

    /// Octets of all records around this much padded plaintext.
    pub(super) const fn sealed_len(self, padded_len: u64) -> u64 {
        padded_len + padded_len.div_ceil(self.octets() as u64) * TAG_SIZE as u64
    }
}

impl Default for RecordSize {
    /// 64 KiB.
    fn default() -> Self {
        Self(16)
    }
}

/// Octets of a whole frame. Nothing else decides it, so IMAP can announce it before the value has been read.
#[must_use]
pub fn frame_len(class: Class, value_len: u64, count: u64, record_size: RecordSize) -> u64 {
    PREFIX_SIZE as u64 + record_size.sealed_len(class.padded_len(value_len, count))
}

/// What kind of IMAP value was sealed.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum Kind {
    /// `NIL`: there is no value.
    Nil,
    /// A quoted string, without its quotes and escapes.
    Quoted,
    /// A literal.
    Literal,
    /// A literal that may hold NUL (RFC 3516).
    Literal8,
    /// A parenthesised list, with its parentheses.
    List,
}

impl Kind {
    /// The kind octet.
    #[must_use]
    pub const fn octet(self) -> u8 {
        match self {
            Self::Nil => 0,
            Self::Quoted => 1,
            Self::Literal => 2,
            Self::Literal8 => 3,
            Self::List => 4,
        }
    }

    pub(super) const fn from_octet(octet: u8) -> Option<Self> {
        match octet {
            0 => Some(Self::Nil),
            1 => Some(Self::Quoted),
            2 => Some(Self::Literal),
            3 => Some(Self::Literal8),
            4 => Some(Self::List),
            _ => None,
        }
    }
}

/// A frame's first 42 octets: which key opens it, and how. Not yet verified.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Header {
    /// The padding class.
    pub class: Class,
    /// The suite.
    pub suite: Suite,
    /// Octets of plaintext in every record but the last.
    pub record_size: RecordSize,
    /// The session whose key sealed it.
    pub session: SessionId,
    /// The session's generation.
    pub generation: u32,
    /// Makes the frame's key its own.
    pub salt: [u8; SALT_SIZE],
}

impl Header {
    /// Reads the header, so that its reader can find the keys.
    ///
    /// # Errors
    /// [`Reject::NotAFrame`], [`Reject::VersionUnknown`], [`Reject::TypeUnknown`], [`Reject::SuiteUnknown`],
    /// [`Reject::RecordSizeOutOfBounds`].
    pub fn read(octets: &[u8; HEADER_SIZE]) -> Result<Self, Reject> {
        let [m0, m1, version, class, suite, record_size, rest @ ..] = octets;
        if [*m0, *m1] != MAGIC {
            return Err(Reject::NotAFrame);
        }
        if *version != VERSION {
            return Err(Reject::VersionUnknown);
        }
        Ok(Self {
            class: Class::from_octet(*class).ok_or(Reject::TypeUnknown)?,
            suite: Suite::from_octet(*suite).ok_or(Reject::SuiteUnknown)?,
            record_size: RecordSize::from_log2(*record_size)?,
            session: SessionId::from_bytes(part(rest, 0)),
            generation: u32::from_be_bytes(part(rest, 16)),
            salt: part(rest, 20),
        })
    }

    fn write(&self) -> [u8; HEADER_SIZE] {
        let mut octets = [0; HEADER_SIZE];
        octets[..2].copy_from_slice(&MAGIC);
        octets[2..6].copy_from_slice(&[
            VERSION,
            self.class.octet(),
            self.suite.octet(),
            self.record_size.log2(),
        ]);
        octets[6..22].copy_from_slice(self.session.as_bytes());
        octets[22..26].copy_from_slice(&self.generation.to_be_bytes());
        octets[26..].copy_from_slice(&self.salt);
        octets
    }

    /// That the frame was sealed under this very key, and of this class.
    fn check<D: Direction>(&self, key: &ObjectKey<D>, class: Class) -> Result<(), Reject> {
        if self.session != key.session {
            Err(Reject::OtherSession)
        } else if self.generation != key.generation {
            Err(Reject::OtherGeneration)
        } else if self.suite != key.suite {
            Err(Reject::OtherSuite)
        } else if self.class != class {
            Err(Reject::OtherType)
        } else {
            Ok(())
        }
    }
}

/// Header and context of a new frame.
pub(super) fn prefix<D: Direction>(
    key: &ObjectKey<D>,
    context: &Context<D>,
    record_size: RecordSize,
    salt: [u8; SALT_SIZE],
) -> [u8; PREFIX_SIZE] {
    let (class, suite) = (context.class(), key.suite);
    let header = Header { class, suite, record_size, session: key.session, generation: key.generation, salt };
    let mut octets = [0; PREFIX_SIZE];
    octets[..HEADER_SIZE].copy_from_slice(&header.write());
    octets[HEADER_SIZE..].copy_from_slice(&context.write());
    octets
}

/// Reads header and context, and holds them against the key and what was asked for.
///
/// # Errors
/// Those of [`Header::read`] and [`Context::compare`]; [`Reject::OtherSession`], [`Reject::OtherGeneration`],
/// [`Reject::OtherSuite`], [`Reject::OtherType`].
pub fn read_prefix<D: Direction>(
    octets: &[u8; PREFIX_SIZE],
    key: &ObjectKey<D>,
    expected: &Context<D>,
) -> Result<Header, Reject> {
    let header = Header::read(&part(octets, 0))?;
    header.check(key, expected.class())?;
    expected.compare(&part(octets, HEADER_SIZE))?;
    Ok(header)
}

/// STREAM (Hoang, Reyhanitabar, Rogaway, Vizár, CRYPTO 2015): the record's number, and whether it is the last.
pub(super) fn nonce(number: u64, last: bool) -> [u8; 12] {
    let mut nonce = [0; 12];
    nonce[3..11].copy_from_slice(&number.to_be_bytes());
    nonce[11] = u8::from(last);
    nonce
}

/// `N` octets from `at`.
pub(super) fn part<const N: usize>(octets: &[u8], at: usize) -> [u8; N] {
    octets[at..at + N].try_into().expect("callers stay within the octets")
}

/// The one buffer of a sealer or an opener. What held plaintext is wiped on drop.
pub(super) struct Buffer {
    pub(super) octets: Vec<u8>,
    /// How far plaintext may have reached.
    pub(super) used: usize,
}

impl Buffer {
    pub(super) fn new(size: usize) -> Self {
        Self { octets: vec![0; size], used: 0 }
    }
}

impl Drop for Buffer {
    fn drop(&mut self) {
        self.octets[..self.used].zeroize();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_are_those_of_the_contract() {
        let of = |class, value, count| frame_len(class, value, count, RecordSize::default());
        assert_eq!(of(Class::HeaderLike, 0, 0), 1178);
        assert_eq!(of(Class::HeaderLike, 1024, 0), 1242);
        assert_eq!(of(Class::Body, 0, 0), 4250);
        assert_eq!(of(Class::Body, 1 << 20, 0), 1_081_754);
        assert_eq!(of(Class::Partial, 0, 1 << 20), 1_048_995);
        assert_eq!(of(Class::Partial, 1 << 20, 1 << 20), 1_048_995);
    }

    #[test]
    fn padding_costs_at_most_an_eighth() {
        for len in (9..5000).chain([1 << 32, VALUE_MAX + 9]) {
            let padded = padme(len);
            assert!(padded >= len && (padded - len) * 8 < len, "{len} becomes {padded}");
            assert_eq!(padme(padded), padded);
        }
    }

    #[test]
    fn record_sizes_are_bounded() {
        for log2 in 0..=u8::MAX {
            let read = RecordSize::from_log2(log2).map(RecordSize::log2);
            let expected =
                if (12..=20).contains(&log2) { Ok(log2) } else { Err(Reject::RecordSizeOutOfBounds) };
            assert_eq!(read, expected);
        }
    }
}
