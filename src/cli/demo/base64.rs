//! Base64 (RFC 4648 section 4, unbroken) as streams: the form in which a frame travels through anything that passes text.

use std::io::{self, Read, Write};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

/// Octets of text that stand for `octets` octets.
#[must_use]
pub fn encoded_len(octets: u64) -> u64 {
    octets.div_ceil(3) * 4
}

/// Writes octets as text to `inner`. Call [`Encoder::finish`], or the last two octets may be missing.
#[derive(Debug)]
pub struct Encoder<W> {
    inner: W,
    waiting: Vec<u8>,
    text: Vec<u8>,
}

/// Octets encoded at once: a multiple of three.
const AT_ONCE: usize = 12 * 1024;

impl<W: Write> Encoder<W> {
    /// Encodes to `inner`.
    pub fn new(inner: W) -> Self {
        Self { inner, waiting: Vec::new(), text: vec![0; AT_ONCE / 3 * 4] }
    }

    /// Writes what is left, with its padding.
    ///
    /// # Errors
    /// Those of `inner`.
    pub fn finish(mut self) -> io::Result<W> {
        self.put(self.waiting.len())?;
        Ok(self.inner)
    }

    fn put(&mut self, count: usize) -> io::Result<()> {
        let len = STANDARD.encode_slice(&self.waiting[..count], &mut self.text).map_err(io::Error::other)?;
        self.inner.write_all(&self.text[..len])?;
        self.waiting.drain(..count);
        Ok(())
    }
}

impl<W: Write> Write for Encoder<W> {
    fn write(&mut self, octets: &[u8]) -> io::Result<usize> {
        let taken = octets.len().min(AT_ONCE - self.waiting.len());
        self.waiting.extend_from_slice(&octets[..taken]);
        if self.waiting.len() == AT_ONCE {
            self.put(AT_ONCE)?;
        }
        Ok(taken)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.inner.flush()
    }
}

/// Reads the octets that the text of `inner` stands for.
#[derive(Debug)]
pub struct Decoder<R> {
    inner: R,
    text: Vec<u8>,
    octets: Vec<u8>,
    taken: usize,
}

impl<R: Read> Decoder<R> {
    /// Decodes `inner` to its end.
    pub fn new(inner: R) -> Self {
        Self { inner, text: Vec::new(), octets: Vec::new(), taken: 0 }
    }

    fn refill(&mut self) -> io::Result<()> {
        self.text.clear();
        self.taken = 0;
        (&mut self.inner).take(AT_ONCE as u64 / 3 * 4).read_to_end(&mut self.text)?;
        self.octets =
            decode(&self.text).ok_or_else(|| io::Error::new(io::ErrorKind::InvalidData, NOT_BASE64))?;
        Ok(())
    }
}

/// Said of text that is no base64.
pub const NOT_BASE64: &str = "not base64";

/// The octets of a whole text, or of a piece of one whose length is a multiple of four.
#[must_use]
pub fn decode(text: &[u8]) -> Option<Vec<u8>> {
    STANDARD.decode(text).ok()
}

/// Whether an octet may stand in such a text.
#[must_use]
pub const fn is_symbol(octet: u8) -> bool {
    octet.is_ascii_alphanumeric() || matches!(octet, b'+' | b'/' | b'=')
}

impl<R: Read> Read for Decoder<R> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        if self.taken == self.octets.len() {
            self.refill()?;
        }
        let count = (&self.octets[self.taken..]).read(into)?;
        self.taken += count;
        Ok(count)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn streams_say_what_one_piece_says() {
        for len in [0, 1, 2, 3, AT_ONCE - 1, AT_ONCE, AT_ONCE + 1, 3 * AT_ONCE + 2] {
            let octets: Vec<u8> = (0..len).map(|at| (at * 7 % 251) as u8).collect();
            let mut encoder = Encoder::new(Vec::new());
            for piece in octets.chunks(1000) {
                encoder.write_all(piece).unwrap();
            }
            let text = encoder.finish().unwrap();
            assert_eq!(text, STANDARD.encode(&octets).into_bytes());
            assert_eq!(text.len() as u64, encoded_len(len as u64));
            let mut back = Vec::new();
            Decoder::new(text.as_slice()).read_to_end(&mut back).unwrap();
            assert_eq!(back, octets);
        }
    }

    #[test]
    fn text_that_is_not_base64_is_an_error() {
        assert!(Decoder::new(&b"Subject: Lunch"[..]).read_to_end(&mut Vec::new()).is_err());
    }
}
