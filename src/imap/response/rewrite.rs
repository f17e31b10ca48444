//! A server's octets as pieces: what goes on, what was taken, what was said.

use std::borrow::Cow;
use std::fmt;

use super::walk::{Hand, Walk};
use super::{Data, Policy, Status, Taken, Unreadable};
use crate::scanner::{Limits, Scanner, Side};

/// Reads the responses of one connection.
///
/// ```text
///   * 7 EXISTS⏎                                      Wire, where it passes
///   a OK [READ-ONLY] done⏎                           Status
///   * 1 FETCH (UID 7 BODY[] {5}⏎hello FLAGS ())⏎     Wire "* 1 FETCH (UID 7 ", Take, Octets "hello", Taken,
///                                                    Wire " FLAGS ())⏎": the caller writes what stands for BODY[]
/// ```
pub struct Responses {
    scanner: Scanner,
    walk: Walk,
}

/// What comes next.
#[derive(Debug, Eq, PartialEq)]
pub enum Piece<'i> {
    /// Octets that go on as they are.
    Wire(Cow<'i, [u8]>),
    /// A status response, tagged or not, whole.
    Status(Status),
    /// A continuation, and its text.
    Continuation(Vec<u8>),
    /// A response that was taken, whole.
    Data(Data),
    /// An item was taken. Its separator has gone on; its octets follow, then [`Piece::Taken`]. In its place the caller
    /// writes an item's name, a space and a value, or the response has a gap.
    Take(Taken),
    /// Octets of the item that was taken.
    Octets(Cow<'i, [u8]>),
    /// The item that was taken is whole.
    Taken,
}

impl Responses {
    /// At the beginning of a connection.
    #[must_use]
    pub fn new(limits: Limits) -> Self {
        Self { scanner: Scanner::new(Side::Server, limits), walk: Walk::new() }
    }

    /// The next piece, taken from the input; `None` when more input is needed, and all of this was taken.
    ///
    /// # Errors
    /// [`Unreadable`]: the connection is to be closed.
    pub fn next<'i>(
        &mut self,
        input: &mut &'i [u8],
        policy: &mut impl Policy,
    ) -> Result<Option<Piece<'i>>, Unreadable> {
        loop {
            if !self.walk.queue.is_empty() {
                return Ok(self.walk.queue.pop_front());
            }
            let before = *input;
            let Some(token) = self.scanner.next(input)? else {
                self.walk.flush();
                return Ok(self.walk.queue.pop_front());
            };
            let at = token.at;
            let hand = self.walk.token(&token, policy).map_err(|reason| Unreadable { at, reason })?;
            let octets = Cow::Borrowed(&before[..before.len() - input.len()]);
            match hand {
                Hand::On if !octets.is_empty() => return Ok(Some(Piece::Wire(octets))),
                Hand::Over if !octets.is_empty() => return Ok(Some(Piece::Octets(octets))),
                _ => {}
            }
        }
    }

    /// Whether there is a next piece without more input.
    #[must_use]
    pub fn has_next(&self) -> bool {
        !self.walk.queue.is_empty()
    }

    /// Whether all that was handed out ends with a whole response: something else may be said in between.
    #[must_use]
    pub fn between(&self) -> bool {
        self.walk.between()
    }

    /// Octets kept for what is not whole yet.
    #[must_use]
    pub fn kept(&self) -> usize {
        self.scanner.kept() + self.walk.kept()
    }
}

impl fmt::Debug for Responses {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Responses").field("scanner", &self.scanner).finish_non_exhaustive()
    }
}
