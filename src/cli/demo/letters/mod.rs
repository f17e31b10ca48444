//! The demo's own letters to Ann: plain, in two forms, with an attachment, in 8 bits, one within another, and a large
//! one that is made while it is read.

use std::io::{self, Read};

/// All but the large one.
pub(super) const SMALL: [&[u8]; 5] = [
    include_bytes!("lunch.eml"),
    include_bytes!("offer.eml"),
    include_bytes!("salaries.eml"),
    include_bytes!("greetings.eml"),
    include_bytes!("forward.eml"),
];

/// A letter of 20 MiB that nobody stores: its attachment is noise, the same in every run.
pub(super) struct Survey {
    lines_left: u32,
    noise: u64,
    ready: Vec<u8>,
    taken: usize,
}

const HEAD: &str = "From: Ines Duarte <ines@surveys.example>\r\n\
    To: Ann Marsh <ann@example.org>\r\n\
    Subject: The site from above, all of it\r\n\
    Date: Tue, 3 Mar 2026 15:32:09 +0100\r\n\
    Message-ID: <20260303143209.6@surveys.example>\r\n\
    MIME-Version: 1.0\r\n\
    Content-Type: multipart/mixed; boundary=\"=_survey\"\r\n\
    \r\n\
    --=_survey\r\n\
    Content-Type: text/plain; charset=us-ascii\r\n\
    \r\n\
    The pictures show where the pipe runs. Not for the neighbours.\r\n\
    --=_survey\r\n\
    Content-Type: application/octet-stream; name=\"site.raw\"\r\n\
    Content-Disposition: attachment; filename=\"site.raw\"\r\n\
    Content-Transfer-Encoding: base64\r\n\
    \r\n";
const TAIL: &str = "--=_survey--\r\n";
/// 76 characters and a line's end: 20 MiB and a little.
const LINES: u32 = 20 * 1024 * 1024 / 78 + 1;
const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

impl Survey {
    pub(super) fn new() -> Self {
        Self { lines_left: LINES, noise: 0x9e37_79b9_7f4a_7c15, ready: HEAD.into(), taken: 0 }
    }

    fn refill(&mut self) {
        self.ready.clear();
        self.taken = 0;
        let lines = self.lines_left.min(256);
        if lines == 0 {
            return;
        }
        for _ in 0..lines {
            for _ in 0..8 {
                // Eight times ten of the characters make 80; four are cut off below.
                let mut noise = self.next_noise();
                for _ in 0..10 {
                    self.ready.push(ALPHABET[(noise & 63) as usize]);
                    noise >>= 6;
                }
            }
            self.ready.truncate(self.ready.len() - 4);
            self.ready.extend_from_slice(b"\r\n");
        }
        self.lines_left -= lines;
        if self.lines_left == 0 {
            self.ready.extend_from_slice(TAIL.as_bytes());
        }
    }

    /// Xorshift (Marsaglia 2003): fast, and not random.
    fn next_noise(&mut self) -> u64 {
        self.noise ^= self.noise << 13;
        self.noise ^= self.noise >> 7;
        self.noise ^= self.noise << 17;
        self.noise
    }
}

impl Read for Survey {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        if self.taken == self.ready.len() {
            self.refill();
        }
        let count = (&self.ready[self.taken..]).read(into)?;
        self.taken += count;
        Ok(count)
    }
}
