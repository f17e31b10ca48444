//! What the fuzzer sees of what is read from the service and from an XDMS (feature `fuzz`, of nobody else).

use crate::error::XdmsTrouble;
use crate::sse::Parser;

/// Events of a stream: each one's name and data, and the id to come back with.
#[derive(Debug, Default, Eq, PartialEq)]
pub struct Heard {
    /// The messages.
    pub messages: Vec<(String, String)>,
    /// The id.
    pub last_id: Option<String>,
    /// Whether it was given up, for what it said at last.
    pub given_up: bool,
}

/// What a stream says that comes in these pieces.
pub fn events<'a>(pieces: impl Iterator<Item = &'a [u8]>) -> Heard {
    let (mut parser, mut heard) = (Parser::default(), Heard::default());
    for piece in pieces {
        let Ok(messages) = parser.push(piece) else {
            heard.given_up = true;
            break;
        };
        heard.messages.extend(messages.into_iter().map(|message| (message.event, message.data)));
        heard.last_id = parser.last_id().map(str::to_owned);
    }
    heard
}

/// The envelopes in a document.
///
/// # Errors
/// It is none of ours.
pub fn envelopes(document: &[u8]) -> Result<Vec<String>, XdmsTrouble> {
    crate::xdms::envelopes(document)
}
