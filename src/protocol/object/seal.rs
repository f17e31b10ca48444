//! Sealing, a record at a time.

use std::fmt;

use super::context::Context;
use super::frame::{
    Buffer, Class, Kind, LEAD_SIZE, LENGTH_SIZE, PREFIX_SIZE, RecordSize, SALT_SIZE, VALUE_MAX, nonce, prefix,
};
use super::{Direction, ObjectKey, Unsealable};
use crate::crypto::{Aead, TAG_SIZE};

/// Turns one value into one frame. Its memory is one record, whatever the value's length.
///
/// Feed the value in pieces of any size, then take what is left of the frame:
///
/// ```text
///   while !piece.is_empty() { send(sealer.feed(&mut piece)?) }
///   while let Some(octets) = sealer.pad()? { send(octets) }
/// ```
pub struct Sealer {
    aead: Aead,
    /// Header and context (until they are sent), one record, one tag.
    buffer: Buffer,
    /// Where the next octets to send begin: 0 before header and context are sent.
    start: usize,
    /// Plaintext octets in the record so far.
    filled: usize,
    record_size: RecordSize,
    number: u64,
    /// Octets of the value still to come.
    value_left: u64,
    /// Octets of padded plaintext not yet sealed, those in the record included.
    padded_left: u64,
    frame_len: u64,
}

impl Sealer {
    /// Begins a frame around a value of `value_len` octets. The salt is random, never used twice under one key.
    ///
    /// # Errors
    /// [`Unsealable::ValueTooLong`], [`Unsealable::CountExceeded`], [`Unsealable::NilWithValue`].
    pub fn new<D: Direction>(
        key: &ObjectKey<D>,
        context: &Context<D>,
        kind: Kind,
        value_len: u64,
        record_size: RecordSize,
        salt: [u8; SALT_SIZE],
    ) -> Result<Self, Unsealable> {
        if value_len > VALUE_MAX {
            return Err(Unsealable::ValueTooLong);
        }
        if kind == Kind::Nil && value_len > 0 {
            return Err(Unsealable::NilWithValue);
        }
        if context.class() == Class::Partial && value_len > context.extent() {
            return Err(Unsealable::CountExceeded);
        }
        let prefix = prefix(key, context, record_size, salt);
        let padded_left = context.class().padded_len(value_len, context.extent());
        let record = usize::try_from(padded_left).unwrap_or(usize::MAX).min(record_size.octets());
        let mut buffer = Buffer::new(PREFIX_SIZE + record + TAG_SIZE);
        let (lead, plaintext) = buffer.octets.split_at_mut(PREFIX_SIZE);
        lead.copy_from_slice(&prefix);
        plaintext[..LENGTH_SIZE].copy_from_slice(&(1 + value_len).to_be_bytes());
        plaintext[LENGTH_SIZE] = kind.octet();
        Ok(Self {
            aead: key.frame_key(&salt, &prefix),
            buffer,
            start: 0,
            filled: LEAD_SIZE,
            record_size,
            number: 0,
            value_left: value_len,
            padded_left,
            frame_len: PREFIX_SIZE as u64 + record_size.sealed_len(padded_left),
        })
    }

    /// Octets of the whole frame, known before the first is made.
    #[must_use]
    pub const fn frame_len(&self) -> u64 {
        self.frame_len
    }

    /// Octets of the value that are still to come.
    #[must_use]
    pub const fn value_left(&self) -> u64 {
        self.value_left
    }

    /// Takes octets of the value, at most to the end of a record, and returns the octets of the frame that they
    /// completed: none, or one record.
    ///
    /// # Errors
    /// [`Unsealable::ValueLonger`]; nothing of `value` is then taken.
    pub fn feed(&mut self, value: &mut &[u8]) -> Result<&[u8], Unsealable> {
        if value.len() as u64 > self.value_left {
            return Err(Unsealable::ValueLonger);
        }
        let lacks = self.target() - self.filled;
        let (taken, rest) = value.split_at(value.len().min(lacks));
        self.value_left -= taken.len() as u64;
        *value = rest;
        if taken.len() == lacks && !taken.is_empty() {
            return Ok(self.seal_record(taken));
        }
        let at = PREFIX_SIZE + self.filled;
        self.buffer.octets[at..at + taken.len()].copy_from_slice(taken);
        self.filled += taken.len();
        self.buffer.used = self.buffer.used.max(at + taken.len());
        Ok(&[])
    }

    /// The next octets of the frame once the whole value has been fed: what is left of it, then padding. `None`
    /// after the last.
    ///
    /// # Errors
    /// [`Unsealable::ValueShorter`] while octets of the value are missing.
    pub fn pad(&mut self) -> Result<Option<&[u8]>, Unsealable> {
        if self.value_left > 0 {
            return Err(Unsealable::ValueShorter);
        }
        if self.padded_left == 0 {
            return Ok(None);
        }
        let target = self.target();
        self.buffer.octets[PREFIX_SIZE + self.filled..PREFIX_SIZE + target].fill(0);
        self.filled = target;
        Ok(Some(self.seal_record(&[])))
    }

    /// Octets of plaintext in the present record.
    fn target(&self) -> usize {
        let record = self.record_size.octets();
        usize::try_from(self.padded_left).map_or(record, |left| left.min(record))
    }

    /// What the buffer holds, and this, is a record.
    fn seal_record(&mut self, rest: &[u8]) -> &[u8] {
        let len = self.filled + rest.len();
        self.padded_left -= len as u64;
        let end = PREFIX_SIZE + len + TAG_SIZE;
        let nonce = nonce(self.number, self.padded_left == 0);
        self.aead.seal_into(nonce, &mut self.buffer.octets[PREFIX_SIZE..end], self.filled, rest);
        self.number += 1;
        self.filled = 0;
        let start = std::mem::replace(&mut self.start, PREFIX_SIZE);
        &self.buffer.octets[start..end]
    }
}

impl fmt::Debug for Sealer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Sealer({} octets to come)", self.value_left)
    }
}
