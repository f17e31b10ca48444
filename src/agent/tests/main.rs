//! A program, an agent, a gateway and a real mail server, connected in memory: what the program reads is what the mail
//! server says by itself.
//!
//! ```text
//! tests/counterparts/imap/install && cargo nextest run -p sidekey-agent
//! ```

#![expect(clippy::unwrap_used, reason = "what fails here fails its test")]

#[path = "../../imap/tests/chance_source.rs"]
mod chance_source;
#[path = "../../imap/tests/corpus.rs"]
mod corpus;
mod forms;
mod held;
mod path;
mod sealing;
#[path = "../../imap/tests/server.rs"]
mod server;

use chance_source::Chance;
use path::Path;
use sidekey_imap::command::{Event, Literals, Reader};
use sidekey_imap::scanner::Limits;

/// What the mail server says by itself to a command in the program's own words.
fn directly(server: &mut server::Dovecot, text: &str) -> Vec<u8> {
    server.send(format!("a {text}\r\n").as_bytes());
    server.answer(|status| status.tag.is_some()).octets
}

/// Has the mail server do something that is not compared.
fn prepare(server: &mut server::Dovecot, text: &str) {
    let line = format!("a {text}\r\n");
    match Reader::new(Limits::CLIENT).next(&mut line.as_bytes()) {
        Ok(Some(Event::Command(command))) => drop(server.ask(&command, Literals::Plus)),
        other => panic!("{text}: {other:?}"),
    }
}
