//! One side of a connection: its stream, and what waits to be sent there.

use std::io;
use std::mem::MaybeUninit;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// TCP, or TLS over it.
pub(crate) trait Duplex: AsyncRead + AsyncWrite + Send + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin> Duplex for T {}

/// Whichever of them.
pub(crate) type Stream = Box<dyn Duplex>;

/// A stream with what waits to be sent. While nothing moves it holds no buffer: what is read goes through the stack.
pub(crate) struct Side<S = Stream> {
    stream: S,
    waiting: Vec<u8>,
    sent: usize,
    unflushed: bool,
    ended: bool,
    closed: bool,
    moved: u64,
}

impl Side {
    pub(crate) fn boxed(stream: impl Duplex + 'static) -> Self {
        Self::new(Box::new(stream))
    }
}

impl<S: Duplex> Side<S> {
    pub(crate) fn new(stream: S) -> Self {
        let (waiting, sent, moved) = (Vec::new(), 0, 0);
        Self { stream, waiting, sent, unflushed: false, ended: false, closed: false, moved }
    }

    /// The stream, without what was still to be sent.
    pub(crate) fn into_stream(self) -> S {
        self.stream
    }

    /// Whether its peer has said its last.
    pub(crate) const fn has_ended(&self) -> bool {
        self.ended
    }

    /// Octets that came from its peer and went to him, so far.
    pub(crate) const fn moved(&self) -> u64 {
        self.moved
    }

    /// Whether both directions are over.
    pub(crate) const fn is_over(&self) -> bool {
        self.ended && self.closed
    }

    /// Whether so much waits that nothing more should be added.
    pub(crate) const fn is_full(&self) -> bool {
        self.waiting.len() - self.sent >= WAITING_MAX
    }

    /// Adds to what is to be sent.
    pub(crate) fn push(&mut self, octets: &[u8]) {
        self.waiting.extend_from_slice(octets);
    }

    /// Whether nothing waits to be sent. What was taken by the stream, and could not leave it yet, waits too.
    pub(crate) const fn is_drained(&self) -> bool {
        self.waiting.is_empty() && !self.unflushed
    }

    /// What is to be sent next, once nothing waits.
    pub(crate) fn hand(&mut self, octets: Vec<u8>) {
        if self.is_drained() {
            self.waiting = octets;
        } else {
            self.push(&octets);
        }
    }

    /// Hands what came, up to 64 KiB, to `take`; `false` when its peer has said its last.
    pub(crate) fn poll_read(
        &mut self,
        cx: &mut Context<'_>,
        take: &mut dyn FnMut(&[u8]),
    ) -> Poll<io::Result<bool>> {
        if self.ended {
            return Poll::Ready(Ok(false));
        }
        let mut space = [MaybeUninit::uninit(); READ_SIZE];
        let mut read = ReadBuf::uninit(&mut space);
        match ready!(Pin::new(&mut self.stream).poll_read(cx, &mut read)) {
            Ok(()) => {}
            // TLS that ends without saying so: whoever counts octets finds what is missing.
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => {}
            Err(error) => return Poll::Ready(Err(error)),
        }
        self.ended = read.filled().is_empty();
        self.moved += read.filled().len() as u64;
        take(read.filled());
        Poll::Ready(Ok(!self.ended))
    }

    /// Sends what waits; ready when all is on its way.
    pub(crate) fn poll_send(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        while self.sent < self.waiting.len() {
            let sent = ready!(Pin::new(&mut self.stream).poll_write(cx, &self.waiting[self.sent..]))?;
            if sent == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
            self.sent += sent;
            self.moved += sent as u64;
            self.unflushed = true;
        }
        (self.waiting, self.sent) = (Vec::new(), 0);
        if self.unflushed {
            ready!(Pin::new(&mut self.stream).poll_flush(cx))?;
            self.unflushed = false;
        }
        Poll::Ready(Ok(()))
    }

    /// Says that nothing more comes, once.
    pub(crate) fn poll_close(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if !self.closed {
            // Whoever has gone needs not be told that we go.
            let _ = ready!(Pin::new(&mut self.stream).poll_shutdown(cx));
            self.closed = true;
        }
        Poll::Ready(Ok(()))
    }

    /// Reads until `take` has had something; `false` when there is no more.
    pub(crate) async fn read(&mut self, into: &mut Vec<u8>) -> io::Result<bool> {
        std::future::poll_fn(|cx| self.poll_read(cx, &mut |octets| into.extend_from_slice(octets))).await
    }

    /// Sends these, and all that waited before them.
    pub(crate) async fn send(&mut self, octets: &[u8]) -> io::Result<()> {
        self.push(octets);
        std::future::poll_fn(|cx| self.poll_send(cx)).await
    }

    /// Says that nothing more comes.
    pub(crate) async fn close(&mut self) -> io::Result<()> {
        std::future::poll_fn(|cx| self.poll_close(cx)).await
    }
}

/// Octets of one read: four TLS records, or what comes at once where there is none.
const READ_SIZE: usize = 64 * 1024;
/// Octets that may wait to be sent before nothing more is taken from the other side.
const WAITING_MAX: usize = 64 * 1024;

#[cfg(test)]
mod tests {
    use std::task::Waker;

    use super::*;

    /// Takes octets, as TLS does, while the socket under it takes none.
    struct Full;

    impl AsyncRead for Full {
        fn poll_read(self: Pin<&mut Self>, _: &mut Context<'_>, _: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
            Poll::Pending
        }
    }

    impl AsyncWrite for Full {
        fn poll_write(self: Pin<&mut Self>, _: &mut Context<'_>, octets: &[u8]) -> Poll<io::Result<usize>> {
            Poll::Ready(Ok(octets.len()))
        }

        fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
            Poll::Pending
        }

        fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
            Poll::Pending
        }
    }

    #[test]
    fn nothing_more_is_handed_over_while_the_socket_is_full() {
        let mut side = Side::new(Full);
        side.hand(b"once".to_vec());
        assert!(side.poll_send(&mut Context::from_waker(Waker::noop())).is_pending());
        // Whoever asked again at once, would ask for ever: only the socket says when to go on.
        assert!(!side.is_drained());
    }
}
