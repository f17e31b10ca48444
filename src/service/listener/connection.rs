//! A connection, and when it is of no use any more.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::time::{Instant, Sleep};

use super::door::{Patience, Seat};
use super::exchange::Exchanges;

/// How long a peer may take to go that was told to.
const FAREWELL: Duration = Duration::from_secs(5);

/// A TCP stream that holds its seat, and fails once it is of no use: nothing has moved in either direction for a while,
/// an answer is not taken, or nothing is asked, whatever else the peer keeps saying. HTTP/2 has much to say that asks
/// for nothing: PING, SETTINGS, windows that open by an octet, headers without an end.
#[derive(Debug)]
pub(super) struct Connection {
    stream: TcpStream,
    moved: Instant,
    patience: Patience,
    exchanges: Arc<Exchanges>,
    /// Since when the peer knows that it is to go.
    dismissed: Option<Instant>,
    /// When to look next.
    watch: Pin<Box<Sleep>>,
    _seat: Seat,
}

impl Connection {
    pub(super) fn seated(
        stream: TcpStream,
        seat: Seat,
        exchanges: Arc<Exchanges>,
        patience: Patience,
    ) -> Self {
        let moved = Instant::now();
        let watch = Box::pin(tokio::time::sleep(patience.stalled.min(patience.idle)));
        Self { stream, moved, patience, exchanges, dismissed: None, watch, _seat: seat }
    }

    /// Notes progress, and looks whether it has been missing for too long. The timer is touched only when it fires.
    fn watched<T>(&mut self, cx: &mut Context<'_>, poll: Poll<io::Result<T>>) -> Poll<io::Result<T>> {
        let now = Instant::now();
        if poll.is_ready() {
            self.moved = now;
            // Who never stops talking is looked at too.
            if now < self.watch.deadline() {
                return poll;
            }
        }
        while self.watch.as_mut().poll(cx).is_ready() {
            match self.look(Instant::now()) {
                Some(next) => self.watch.as_mut().reset(next),
                None => return Poll::Ready(Err(io::ErrorKind::TimedOut.into())),
            }
        }
        poll
    }

    /// When to look again; `None` when this is the end. What begins later than a look is over no sooner than a whole
    /// patience after it, so that nothing is missed in between.
    fn look(&mut self, now: Instant) -> Option<Instant> {
        let Patience { stalled, idle } = self.patience;
        let mut next = (now + stalled.min(idle)).min(self.moved + stalled);
        if let Some(untaken) = self.exchanges.untaken_since() {
            next = next.min(untaken + stalled);
        }
        if next <= now {
            return None;
        }
        match self.exchanges.idle_since() {
            None => self.dismissed = None,
            Some(since) if since + idle > now => next = next.min(since + idle),
            Some(_) => {
                self.exchanges.dismiss();
                let end = *self.dismissed.get_or_insert(now) + FAREWELL;
                next = next.min(end);
            }
        }
        (next > now).then_some(next)
    }
}

impl AsyncRead for Connection {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let poll = Pin::new(&mut self.stream).poll_read(cx, buf);
        self.watched(cx, poll)
    }
}

impl AsyncWrite for Connection {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        let poll = Pin::new(&mut self.stream).poll_write(cx, buf);
        self.watched(cx, poll)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let poll = Pin::new(&mut self.stream).poll_write_vectored(cx, bufs);
        self.watched(cx, poll)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}
