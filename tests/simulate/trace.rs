//! What happened: in words, and all of it in one hash.

use sidekey_protocol::crypto::sha256;

#[derive(Default)]
pub(crate) struct Trace {
    hash: [u8; 32],
    pub(crate) steps: u64,
    lines: Vec<String>,
}

impl Trace {
    pub(crate) fn note(&mut self, line: &str) {
        self.weigh(line.as_bytes());
        self.steps += 1;
        self.lines.push(format!("{:5} {line}", self.steps));
    }

    /// What counts, and is not for reading.
    pub(crate) fn weigh(&mut self, octets: &[u8]) {
        self.hash = sha256(&[&self.hash, octets].concat());
    }

    /// Names the whole of it.
    pub(crate) fn name(&self) -> String {
        self.hash[..8].iter().map(|octet| format!("{octet:02x}")).collect()
    }

    /// Its last lines.
    pub(crate) fn last(&self, lines: usize) -> String {
        let from = self.lines.len().saturating_sub(lines);
        self.lines[from..].iter().map(|line| format!("{line}\n")).collect()
    }
}
