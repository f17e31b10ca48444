//! What waits for the program: octets, and values that are spooled.

use std::collections::VecDeque;
use std::io::{self, Read as _};

use sidekey_client::spool::Spooled;

/// In the order in which it is sent.
#[derive(Default)]
pub(super) struct Outbox {
    /// What the caller takes.
    pub(super) ready: Vec<u8>,
    queue: VecDeque<Queued>,
}

enum Queued {
    Octets(Vec<u8>),
    Value(Spooled),
}

impl Outbox {
    pub(super) fn put(&mut self, octets: &[u8]) {
        match self.queue.back_mut() {
            None => self.ready.extend_from_slice(octets),
            Some(Queued::Octets(last)) => last.extend_from_slice(octets),
            Some(Queued::Value(_)) => self.queue.push_back(Queued::Octets(octets.to_vec())),
        }
    }

    pub(super) fn put_value(&mut self, value: Spooled) {
        self.queue.push_back(Queued::Value(value));
    }

    /// Whether nothing more is to be put in.
    pub(super) fn is_full(&self) -> bool {
        !self.queue.is_empty() || self.ready.len() >= ROOM
    }

    /// Whether more follows what the caller can take.
    pub(super) fn has_more(&self) -> bool {
        !self.queue.is_empty()
    }

    /// Moves what there is room for to where the caller takes it.
    pub(super) fn pump(&mut self) -> io::Result<()> {
        while self.ready.len() < ROOM
            && let Some(first) = self.queue.front_mut()
        {
            match first {
                Queued::Octets(octets) => self.ready.append(octets),
                Queued::Value(value) => {
                    let at = self.ready.len();
                    self.ready.resize(at + PIECE, 0);
                    let read = value.read(&mut self.ready[at..])?;
                    self.ready.truncate(at + read);
                    if read > 0 {
                        continue;
                    }
                }
            }
            self.queue.pop_front();
        }
        Ok(())
    }
}

/// Octets that wait at most, but for one piece.
pub(super) const ROOM: usize = 64 * 1024;
/// Octets that are read at once.
const PIECE: usize = 16 * 1024;
