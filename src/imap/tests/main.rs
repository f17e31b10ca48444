//! The wire against a real server, an independent parser, and chance.
//!
//! ```text
//! src/imap/tests/install && cargo test --manifest-path src/imap/Cargo.toml
//! ```

#![expect(clippy::unwrap_used, reason = "what fails here fails its test")]

mod both_ends;
mod chance;
mod commands;
mod contract;
mod corpus;
mod differ;
mod server;

use sidekey_imap::command::{Command, Event, Reader};
use sidekey_imap::response::{Attribute, Message, Policy, Verdict};
use sidekey_imap::scanner::Limits;

/// A command from its text, as a gateway reads it.
fn command(text: &str) -> Command {
    let line = format!("a {text}\r\n");
    let mut input = line.as_bytes();
    let mut reader = Reader::new(Limits::CLIENT);
    loop {
        match reader.next(&mut input).unwrap() {
            Some(Event::Command(command)) => return command,
            Some(Event::Continue) => {}
            other => panic!("{text}: {other:?}"),
        }
    }
}

/// One verdict for all items, one for all other data.
struct All(Verdict, Verdict);

impl Policy for All {
    fn data(&mut self, _: Option<u32>, _: &str) -> Verdict {
        self.1
    }

    fn item(&mut self, _: &Message, _: &Attribute) -> Verdict {
        self.0
    }
}

/// Marsaglia's xorshift: chance that is the same every time.
struct Chance(u64);

impl Chance {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    fn below(&mut self, bound: usize) -> usize {
        usize::try_from(self.next() % bound as u64).unwrap()
    }
}
