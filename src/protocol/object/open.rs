//! Opening, a record at a time.

use std::fmt;
use std::ops::Range;

use super::context::Context;
use super::frame::{
    Buffer, Class, Kind, LEAD_SIZE, LENGTH_SIZE, PREFIX_SIZE, RecordSize, VALUE_MAX, nonce, part, read_prefix,
};
use super::{Direction, ObjectKey, Reject};
use crate::crypto::{Aead, TAG_SIZE};

/// Turns one frame back into the value that was asked for. Its memory is one record, whatever the value's length.
///
/// ```text
///   while !piece.is_empty() { keep(opener.feed(&mut piece)?) }
///   let ending = opener.finish()?;
///   keep(ending.octets());
/// ```
///
/// What it returns is verified, but **only [`Opener::finish`] says that it is the whole value**: nothing may act on
/// it before.
pub struct Opener<'k, D> {
    /// Until it has made the frame's own.
    key: Option<&'k ObjectKey<D>>,
    expected: Context<D>,
    prefix: [u8; PREFIX_SIZE],
    prefix_len: usize,
    records: Option<Records>,
    failed: Option<Reject>,
}

impl<'k, D: Direction> Opener<'k, D> {
    /// Waits for the frame of what was asked for.
    #[must_use]
    pub fn new(key: &'k ObjectKey<D>, expected: &Context<D>) -> Self {
        let (prefix, expected) = ([0; PREFIX_SIZE], expected.clone());
        Self { key: Some(key), expected, prefix, prefix_len: 0, records: None, failed: None }
    }

    /// Goes on behind header and context, which the caller has read to find the key. That is not needed any longer.
    ///
    /// # Errors
    /// Any [`Reject`] that header and context give.
    pub fn behind(
        prefix: &[u8; PREFIX_SIZE],
        key: &ObjectKey<D>,
        expected: &Context<D>,
    ) -> Result<Self, Reject> {
        let records = Some(Records::begin(prefix, key, expected)?);
        let (prefix, expected) = (*prefix, expected.clone());
        Ok(Self { key: None, expected, prefix, prefix_len: PREFIX_SIZE, records, failed: None })
    }

    /// Takes octets of the frame, at most to the end of a record, and returns the octets of the value that they
    /// verified: none, or those of one record. Another place is refused as soon as header and context are there.
    ///
    /// # Errors
    /// Any [`Reject`]; the same again if it is fed further.
    pub fn feed(&mut self, frame: &mut &[u8]) -> Result<&[u8], Reject> {
        if let Some(reject) = self.failed {
            return Err(reject);
        }
        match self.advance(frame) {
            Ok(value) => Ok(self.records.as_ref().map_or(&[], |records| &records.buffer.octets[value])),
            Err(reject) => {
                self.failed = Some(reject);
                Err(reject)
            }
        }
    }

    /// The frame has ended: opens its final record and says that the value is whole.
    ///
    /// # Errors
    /// Any [`Reject`]; all that was returned before is then worthless.
    pub fn finish(self) -> Result<Ending, Reject> {
        match (self.failed, self.records) {
            (Some(reject), _) => Err(reject),
            (None, None) => Err(Reject::Truncated),
            (None, Some(records)) => records.finish(),
        }
    }

    fn advance(&mut self, frame: &mut &[u8]) -> Result<Range<usize>, Reject> {
        if let (None, Some(key)) = (&self.records, self.key) {
            let free = &mut self.prefix[self.prefix_len..];
            self.prefix_len += take(frame, free);
            if self.prefix_len < PREFIX_SIZE {
                return Ok(0..0);
            }
            self.records = Some(Records::begin(&self.prefix, key, &self.expected)?);
        }
        self.records.as_mut().map_or(Ok(0..0), |records| records.feed(frame))
    }
}

impl<D> fmt::Debug for Opener<'_, D> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Opener({:?})", self.expected)
    }
}

/// The last octets of a value that is whole.
pub struct Ending {
    records: Records,
    value: Range<usize>,
    kind: Kind,
}

impl Ending {
    /// What [`Opener::feed`] had not returned yet.
    #[must_use]
    pub fn octets(&self) -> &[u8] {
        &self.records.buffer.octets[self.value.clone()]
    }

    /// The kind of the value.
    #[must_use]
    pub const fn kind(&self) -> Kind {
        self.kind
    }
}

impl fmt::Debug for Ending {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Ending({:?})", self.kind)
    }
}

/// The frame past its context. A full record waits in the buffer until an octet after it, or the end, has shown
/// whether it is the last.
struct Records {
    aead: Aead,
    buffer: Buffer,
    filled: usize,
    record_size: RecordSize,
    class: Class,
    count: u64,
    number: u64,
    /// Octets of all records so far.
    received: u64,
    /// Octets that all records must have: of a partial at once, of others once the first record is open.
    sealed_len: Option<u64>,
    /// The kind, once the first record is open.
    kind: Option<Kind>,
    /// Octets of the value in the records that are not open yet.
    value_left: u64,
}

impl Records {
    fn begin<D: Direction>(
        prefix: &[u8; PREFIX_SIZE],
        key: &ObjectKey<D>,
        expected: &Context<D>,
    ) -> Result<Self, Reject> {
        let header = read_prefix(prefix, key, expected)?;
        Ok(Self::new(key.frame_key(&header.salt, prefix), header.record_size, expected))
    }

    fn new<D: Direction>(aead: Aead, record_size: RecordSize, expected: &Context<D>) -> Self {
        let (class, count) = (expected.class(), expected.extent());
        Self {
            aead,
            buffer: Buffer::new(record_size.octets() + TAG_SIZE),
            filled: 0,
            record_size,
            class,
            count,
            number: 0,
            received: 0,
            sealed_len: (class == Class::Partial).then(|| record_size.sealed_len(class.padded_len(0, count))),
            kind: None,
            value_left: 0,
        }
    }

    fn feed(&mut self, frame: &mut &[u8]) -> Result<Range<usize>, Reject> {
        if frame.is_empty() {
            return Ok(0..0);
        }
        if self.sealed_len == Some(self.received) {
            return Err(Reject::Overlong);
        }
        if self.filled == self.buffer.octets.len() {
            return self.open_record(false);
        }
        let due = self.sealed_len.map_or(u64::MAX, |sealed_len| sealed_len - self.received);
        let full = self.buffer.octets.len();
        if self.filled == 0 && due > full as u64 && frame.len() > full {
            let (sealed, rest) = frame.split_at(full);
            *frame = rest;
            return self.open_at_once(sealed);
        }
        let free = &mut self.buffer.octets[self.filled..];
        let free_len = usize::try_from(due).map_or(free.len(), |due| due.min(free.len()));
        let taken = take(frame, &mut free[..free_len]);
        self.filled += taken;
        self.received += taken as u64;
        Ok(0..0)
    }

    fn finish(mut self) -> Result<Ending, Reject> {
        let least = self.sealed_len.unwrap_or(self.class.padded_len(0, 0) + TAG_SIZE as u64);
        if self.received < least {
            return Err(Reject::Truncated);
        }
        let value = self.open_record(true)?;
        let kind = self.kind.expect("the first record was opened, and it names the kind");
        Ok(Ending { records: self, value, kind })
    }

    /// Opens what the buffer holds and returns where the value's octets are in it.
    fn open_record(&mut self, last: bool) -> Result<Range<usize>, Reject> {
        let unverified = self.unverified();
        let sealed = &mut self.buffer.octets[..self.filled];
        let end = self.aead.open(nonce(self.number, last), &[], sealed).map_err(|_| unverified)?.len();
        self.filled = 0;
        self.opened(end, last)
    }

    /// Opens a full record that is not the last, without copying it first.
    fn open_at_once(&mut self, sealed: &[u8]) -> Result<Range<usize>, Reject> {
        let end = sealed.len() - TAG_SIZE;
        let text = &mut self.buffer.octets[..end];
        self.aead.open_into(nonce(self.number, false), sealed, text).map_err(|_| self.unverified())?;
        self.received += sealed.len() as u64;
        self.opened(end, false)
    }

    const fn unverified(&self) -> Reject {
        if self.number == 0 { Reject::FirstRecordUnverified } else { Reject::RecordUnverified }
    }

    /// Where the value's octets are in a record that was opened in the buffer, up to `end`.
    fn opened(&mut self, end: usize, last: bool) -> Result<Range<usize>, Reject> {
        let first = self.number == 0;
        let lead = if first { LEAD_SIZE } else { 0 };
        self.buffer.used = self.buffer.used.max(end);
        self.number += 1;
        if first {
            self.begin_value(last)?;
        }
        let value_len = usize::try_from(self.value_left).map_or(end - lead, |left| left.min(end - lead));
        self.value_left -= value_len as u64;
        let value = lead..lead + value_len;
        check_zeros(&self.buffer.octets[value.end..end])?;
        Ok(value)
    }

    /// Reads length and kind, which say how long the frame must be.
    fn begin_value(&mut self, last: bool) -> Result<(), Reject> {
        let length = u64::from_be_bytes(part::<LENGTH_SIZE>(&self.buffer.octets, 0));
        let value_len = length.checked_sub(1).ok_or(Reject::LengthZero)?;
        if value_len > VALUE_MAX {
            return Err(Reject::LengthExcessive);
        }
        if self.class == Class::Partial && value_len > self.count {
            return Err(Reject::CountExceeded);
        }
        let kind = Kind::from_octet(self.buffer.octets[LENGTH_SIZE]).ok_or(Reject::KindUnknown)?;
        if kind == Kind::Nil && value_len > 0 {
            return Err(Reject::NilWithValue);
        }
        let sealed_len = self.record_size.sealed_len(self.class.padded_len(value_len, self.count));
        // The first record was the last, or it was not: the length must say the same.
        if sealed_len < self.received || (sealed_len == self.received && !last) {
            return Err(Reject::Overlong);
        }
        if sealed_len > self.received && last {
            return Err(Reject::Truncated);
        }
        self.sealed_len = Some(sealed_len);
        self.kind = Some(kind);
        self.value_left = value_len;
        Ok(())
    }
}

/// Moves as much from the front of `from` as `to` has room for.
fn take(from: &mut &[u8], to: &mut [u8]) -> usize {
    let (taken, rest) = from.split_at(from.len().min(to.len()));
    to[..taken.len()].copy_from_slice(taken);
    *from = rest;
    taken.len()
}

/// By blocks, because most of the largest frames' last records is padding.
fn check_zeros(padding: &[u8]) -> Result<(), Reject> {
    const ZEROS: [u8; 4096] = [0; 4096];
    let zeros = padding.chunks(ZEROS.len()).all(|block| block == &ZEROS[..block.len()]);
    if zeros { Ok(()) } else { Err(Reject::PaddingAltered) }
}
