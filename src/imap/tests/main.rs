//! The wire against a real server, an independent parser, and chance.
//!
//! ```text
//! tests/counterparts/imap/install && cargo nextest run -p sidekey-imap
//! ```

#![expect(clippy::unwrap_used, reason = "what fails here fails its test")]

mod both_ends;
mod chance;
mod chance_source;
mod commands;
mod contract;
mod corpus;
mod differ;
mod ends;
mod server;

use chance_source::Chance;
use server::All;
use sidekey_imap::command::{Command, Event, Reader};
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
