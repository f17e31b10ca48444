//! One of the two connections: what came and was not taken, what is to be sent and was not.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead as _, AsyncWrite as _, AsyncWriteExt as _, ReadBuf};

use crate::upstream::Io;

/// A connection and its buffers.
pub(crate) struct Side {
    stream: Box<dyn Io>,
    /// What came and was not taken.
    input: Vec<u8>,
    output: Vec<u8>,
    /// How much of the output was sent.
    sent: usize,
    unflushed: bool,
}

impl Side {
    pub(crate) fn new(stream: Box<dyn Io>, input: Vec<u8>) -> Self {
        Self { stream, input, output: Vec::new(), sent: 0, unflushed: false }
    }

    /// Octets that came and were not taken.
    pub(crate) fn waiting(&self) -> usize {
        self.input.len()
    }

    /// Lets somebody take from what came.
    pub(crate) fn feed<E>(&mut self, take: impl FnOnce(&mut &[u8]) -> Result<(), E>) -> Result<(), E> {
        let mut rest = self.input.as_slice();
        let done = take(&mut rest);
        let left = rest.len();
        self.input.drain(..self.input.len() - left);
        done
    }

    /// Takes what is to be sent, once what was taken before is; whether it took any.
    pub(crate) fn send(&mut self, octets: &mut Vec<u8>) -> bool {
        if octets.is_empty() || self.sent < self.output.len() {
            return false;
        }
        self.output = std::mem::take(octets);
        self.sent = 0;
        true
    }

    /// Ready when octets moved; an error when there will be no more.
    pub(crate) fn poll(&mut self, context: &mut Context<'_>, reads: bool) -> Poll<io::Result<()>> {
        let mut moved = false;
        while self.sent < self.output.len() {
            match Pin::new(&mut self.stream).poll_write(context, &self.output[self.sent..])? {
                Poll::Ready(0) => return Poll::Ready(Err(io::ErrorKind::WriteZero.into())),
                Poll::Ready(sent) => {
                    self.sent += sent;
                    (moved, self.unflushed) = (true, true);
                }
                Poll::Pending => break,
            }
        }
        if self.sent == self.output.len() {
            self.output = Vec::new();
            self.sent = 0;
            if self.unflushed && Pin::new(&mut self.stream).poll_flush(context)?.is_ready() {
                self.unflushed = false;
            }
        }
        // With something left of what came before, an end would come too early.
        if reads && self.input.is_empty() && self.poll_read(context)?.is_ready() {
            moved = true;
        }
        if moved { Poll::Ready(Ok(())) } else { Poll::Pending }
    }

    fn poll_read(&mut self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let mut piece = [0; PIECE];
        let mut buffer = ReadBuf::new(&mut piece);
        ready!(Pin::new(&mut self.stream).poll_read(context, &mut buffer))?;
        if buffer.filled().is_empty() {
            return Poll::Ready(Err(io::ErrorKind::UnexpectedEof.into()));
        }
        self.input.extend_from_slice(buffer.filled());
        Poll::Ready(Ok(()))
    }

    /// Sends what waits and then these, and says that no more follows.
    pub(crate) async fn finish(&mut self, last: &[u8]) -> io::Result<()> {
        self.stream.write_all(&self.output[self.sent..]).await?;
        self.stream.write_all(last).await?;
        self.stream.shutdown().await
    }
}

/// Octets that are read at once.
const PIECE: usize = 16 * 1024;
