//! What has to be whole before anybody is told of it: in memory while it is small, past that in a temporary file that
//! nobody can read.
//!
//! The file has no name, and holds records of 64 KiB of text, each sealed with AES-256-GCM under a key that is made for
//! this spool and dies with it; the nonce is the record's number. How long it is, is known here alone, so neither end
//! nor order can change unseen.

use std::fmt;
use std::fs::File;
use std::io::{self, Read, Seek as _, Write};

use rand_core::CryptoRng;
use sidekey_protocol::crypto::{Aead, Secret, TAG_SIZE};
use zeroize::{Zeroize as _, Zeroizing};

/// Octets that are being collected.
pub struct Spool {
    aead: Aead,
    /// The record that is not full yet.
    record: Zeroizing<Vec<u8>>,
    file: Option<File>,
    len: u64,
    broken: bool,
}

/// Octets that are whole, to be read from their beginning.
pub struct Spooled {
    aead: Aead,
    record: Zeroizing<Vec<u8>>,
    /// How much of the record has been read.
    read: usize,
    file: Option<File>,
    /// How many octets are in the file still.
    left: u64,
    len: u64,
}

impl Spool {
    /// An empty one. Nothing touches the disk before there is more than 64 KiB.
    pub fn new(rng: &mut impl CryptoRng) -> Self {
        let aead = Aead::aes_256_gcm(&Secret::random(rng));
        let record = Zeroizing::new(Vec::with_capacity(RECORD + TAG_SIZE));
        Self { aead, record, file: None, len: 0, broken: false }
    }

    /// Octets so far.
    #[must_use]
    pub const fn len(&self) -> u64 {
        self.len
    }

    /// Whether there are none.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// All of them, to be read.
    ///
    /// # Errors
    /// The temporary file cannot be written or read, now or before.
    pub fn finish(mut self) -> io::Result<Spooled> {
        if self.broken {
            return Err(broken());
        }
        if self.file.is_some() {
            self.put()?;
        }
        let Self { aead, record, file, len, .. } = self;
        let mut spooled = Spooled { aead, record, read: 0, file, left: 0, len };
        spooled.rewind()?;
        Ok(spooled)
    }

    /// Seals what is held, and writes it to the file.
    fn put(&mut self) -> io::Result<()> {
        self.broken = true;
        let file = match &mut self.file {
            Some(file) => file,
            none => none.insert(tempfile::tempfile()?),
        };
        let number = (self.len - 1) / RECORD as u64;
        let tag = self.aead.seal(nonce(number), &[], &mut self.record);
        self.record.extend_from_slice(&tag);
        file.write_all(&self.record)?;
        self.record.clear();
        self.broken = false;
        Ok(())
    }
}

impl Write for Spool {
    fn write(&mut self, octets: &[u8]) -> io::Result<usize> {
        if self.broken {
            return Err(broken());
        }
        if self.record.len() == RECORD && !octets.is_empty() {
            self.put()?;
        }
        let taken = octets.len().min(RECORD - self.record.len());
        self.record.extend_from_slice(&octets[..taken]);
        self.len += taken as u64;
        Ok(taken)
    }

    /// Nothing waits that could be written: a record goes when it is full.
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Spooled {
    /// Octets in all.
    #[must_use]
    pub const fn len(&self) -> u64 {
        self.len
    }

    /// Whether there are none.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// To be read from the beginning again.
    ///
    /// # Errors
    /// The temporary file cannot be read.
    pub fn rewind(&mut self) -> io::Result<()> {
        self.read = 0;
        if let Some(file) = &mut self.file {
            file.rewind()?;
            self.record.zeroize();
            self.left = self.len;
        }
        Ok(())
    }

    /// Opens the next record; whether there was one.
    fn take(&mut self) -> io::Result<bool> {
        let Some(file) = self.file.as_mut().filter(|_| self.left > 0) else { return Ok(false) };
        let number = (self.len - self.left) / RECORD as u64;
        let size = usize::try_from(self.left).map_or(RECORD, |left| left.min(RECORD));
        self.record.resize(size + TAG_SIZE, 0);
        file.read_exact(&mut self.record)?;
        let opened = self.aead.open(nonce(number), &[], &mut self.record).map(|text| text.len());
        self.record.truncate(opened.map_err(|_| io::Error::other("a temporary file was changed"))?);
        self.left -= size as u64;
        self.read = 0;
        Ok(true)
    }
}

impl Read for Spooled {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.read == self.record.len() && (buffer.is_empty() || !self.take()?) {
            return Ok(0);
        }
        let ready = &self.record[self.read..];
        let given = ready.len().min(buffer.len());
        buffer[..given].copy_from_slice(&ready[..given]);
        self.read += given;
        Ok(given)
    }
}

fn nonce(number: u64) -> [u8; 12] {
    let mut nonce = [0; 12];
    nonce[4..].copy_from_slice(&number.to_be_bytes());
    nonce
}

fn broken() -> io::Error {
    io::Error::other("a temporary file could not be written")
}

impl fmt::Debug for Spool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Spool({} octets)", self.len)
    }
}

impl fmt::Debug for Spooled {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Spooled({} octets)", self.len)
    }
}

/// Octets of text in a record.
const RECORD: usize = 64 * 1024;

#[cfg(test)]
mod tests {
    use rand_chacha::ChaCha20Rng;
    use rand_core::SeedableRng as _;

    use super::*;

    fn octets(len: usize) -> Vec<u8> {
        (0..len).map(|at| (at * 7 + at / 251) as u8).collect()
    }

    fn spooled(octets: &[u8], piece: usize) -> Spooled {
        let mut spool = Spool::new(&mut ChaCha20Rng::seed_from_u64(7));
        octets.chunks(piece).for_each(|piece| spool.write_all(piece).unwrap());
        assert_eq!(spool.len(), octets.len() as u64);
        spool.finish().unwrap()
    }

    #[test]
    fn what_went_in_comes_out_and_once_more_at_every_length_around_a_record() {
        for len in [0, 1, RECORD - 1, RECORD, RECORD + 1, 2 * RECORD, 2 * RECORD + 1, 300_000] {
            for piece in [1000, RECORD, 100_000] {
                let all = octets(len);
                let mut whole = spooled(&all, piece);
                assert_eq!(whole.file.is_some(), len > RECORD, "{len}");
                for _ in 0..2 {
                    let mut out = Vec::new();
                    whole.read_to_end(&mut out).unwrap();
                    assert!(out == all, "{len} in pieces of {piece}");
                    whole.rewind().unwrap();
                }
            }
        }
    }

    #[test]
    fn the_file_shows_nothing_and_a_change_to_it_is_seen() {
        let text = b"a word that nobody may read. ".repeat(10_000);
        let mut whole = spooled(&text, 4096);
        let file = whole.file.as_mut().unwrap();
        let mut kept = Vec::new();
        file.read_to_end(&mut kept).unwrap();
        assert_eq!(kept.len(), text.len() + text.len().div_ceil(RECORD) * TAG_SIZE);
        assert!(!kept.windows(9).any(|window| window == b"a word th"));
        // Two records change places.
        let (first, second) = kept[..2 * (RECORD + TAG_SIZE)].split_at(RECORD + TAG_SIZE);
        file.rewind().unwrap();
        file.write_all(&[second, first].concat()).unwrap();
        whole.rewind().unwrap();
        assert_eq!(
            whole.read_to_end(&mut Vec::new()).unwrap_err().to_string(),
            "a temporary file was changed"
        );
    }

    #[test]
    fn a_file_that_became_shorter_is_no_end() {
        let mut whole = spooled(&octets(3 * RECORD), RECORD);
        whole.file.as_mut().unwrap().set_len(2 * (RECORD + TAG_SIZE) as u64).unwrap();
        let error = whole.read_to_end(&mut Vec::new()).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::UnexpectedEof);
    }
}
