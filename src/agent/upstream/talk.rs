//! A client's few commands until it is logged in, one at a time.

use sidekey_imap::command::{Body, Command, Literals, Tag};
use sidekey_imap::response::{
    Attribute, Capabilities, Condition, Message, Piece, Policy, Responses, Status, Verdict,
};
use sidekey_imap::scanner::Limits;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};

use super::NoWay;

/// A connection to a server, and what has come of its answers.
pub(super) struct Talk<S> {
    stream: S,
    responses: Responses,
    input: Vec<u8>,
    /// How much of it was read.
    read: usize,
    /// Octets that may still come before the login is answered.
    left: usize,
    asked: u32,
    capabilities: Option<Capabilities>,
}

/// What a server says that matters here.
enum Said {
    Continuation,
    Status(Status),
}

impl<S: AsyncRead + AsyncWrite + Unpin> Talk<S> {
    pub(super) fn new(stream: S) -> Self {
        let responses = Responses::new(LIMITS);
        Self { stream, responses, input: Vec::new(), read: 0, left: LEFT, asked: 0, capabilities: None }
    }

    /// Waits for it.
    pub(super) async fn greeting(&mut self) -> Result<(), NoWay> {
        match self.next().await? {
            Said::Status(Status { tag: None, condition: Condition::Ok, .. }) => Ok(()),
            Said::Status(Status { tag: None, condition: Condition::PreAuth, .. }) => Err(NoWay::PreAuth),
            _ => Err(NoWay::NoImap),
        }
    }

    /// Sends a command, and waits for how it went.
    pub(super) async fn ask(&mut self, body: Body) -> Result<Status, NoWay> {
        self.asked += 1;
        let tag = Tag::new(&format!("s{}", self.asked)).expect("a letter and digits are a tag");
        let command = Command { tag: tag.clone(), body };
        for (n, segment) in command.write(Literals::Waiting).into_iter().enumerate() {
            // The server asks for what follows an announcement, or says at once how it went.
            if n > 0
                && let Some(status) = self.reaction(&tag).await?
            {
                return Ok(status);
            }
            self.send(&segment).await?;
        }
        self.reaction(&tag).await?.ok_or(NoWay::NoImap)
    }

    /// How the command went; `None` when it is to go on.
    async fn reaction(&mut self, tag: &Tag) -> Result<Option<Status>, NoWay> {
        loop {
            match self.next().await? {
                Said::Continuation => return Ok(None),
                Said::Status(status) if status.tag.as_ref() == Some(tag) => return Ok(Some(status)),
                Said::Status(status) => untagged(&status)?,
            }
        }
    }

    /// What it said last that it can.
    pub(super) fn capabilities(&mut self) -> Option<Capabilities> {
        self.capabilities.take()
    }

    /// The connection, and what came that was not read.
    pub(super) fn into_parts(mut self) -> (S, Vec<u8>) {
        self.input.drain(..self.read);
        (self.stream, self.input)
    }

    async fn send(&mut self, octets: &[u8]) -> Result<(), NoWay> {
        let sent = async {
            self.stream.write_all(octets).await?;
            self.stream.flush().await
        };
        sent.await.map_err(|_| NoWay::Closed)
    }

    async fn next(&mut self) -> Result<Said, NoWay> {
        loop {
            let mut rest = &self.input[self.read..];
            let piece = self.responses.next(&mut rest, &mut Deaf).map_err(|_| NoWay::NoImap)?;
            let read = self.input.len() - rest.len();
            let said = match piece {
                Some(Piece::Status(status)) => Some(Said::Status(status)),
                Some(Piece::Continuation(_)) => Some(Said::Continuation),
                Some(Piece::Data(data)) => {
                    self.capabilities = data.capabilities();
                    None
                }
                Some(_) => None,
                None => {
                    self.more().await?;
                    continue;
                }
            };
            self.read = read;
            if let Some(said) = said {
                return Ok(said);
            }
        }
    }

    /// All that came was read: more of it.
    async fn more(&mut self) -> Result<(), NoWay> {
        self.input.clear();
        self.read = 0;
        let came = self.stream.read_buf(&mut self.input).await.map_err(|_| NoWay::Closed)?;
        if came == 0 {
            return Err(NoWay::Closed);
        }
        self.left = self.left.checked_sub(came).ok_or(NoWay::NoImap)?;
        Ok(())
    }
}

/// What was said of no command.
fn untagged(status: &Status) -> Result<(), NoWay> {
    match (&status.tag, status.condition) {
        (None, Condition::Bye) => Err(NoWay::Closed),
        (None, _) => Ok(()),
        (Some(_), _) => Err(NoWay::NoImap),
    }
}

/// Hears what the server can, and nothing else that it says.
struct Deaf;

impl Policy for Deaf {
    fn data(&mut self, _: Option<u32>, name: &str) -> Verdict {
        if name == "CAPABILITY" { Verdict::Take } else { Verdict::Drop }
    }

    fn item(&mut self, _: &Message, _: &Attribute) -> Verdict {
        Verdict::Drop
    }
}

/// Of somebody who is not trusted with anything.
const LIMITS: Limits = Limits { token: 32 * 1024, literal: 4096, depth: 4 };
/// Octets of all answers together.
const LEFT: usize = 256 * 1024;
