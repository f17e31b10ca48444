//! The door: TCP and TLS 1.3, HTTP/1.1 and HTTP/2, each with its limits.

use std::future::Ready;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use axum::Router;
use axum_server::Handle;
use axum_server::accept::Accept;
use axum_server::tls_rustls::{RustlsAcceptor, RustlsConfig};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{Instant, Sleep};

use crate::config::Limits;

/// Octets that hyper buffers of an HTTP/1.1 request's head; ours is refused first, with a document.
const HTTP1_BUFFER_SIZE: usize = 64 * 1024;
/// Octets of an HTTP/2 request's body on the way at one time.
const HTTP2_WINDOW_SIZE: u32 = 64 * 1024;
/// How often a quiet HTTP/2 peer is asked whether it lives, and how long it may take to say so.
const HTTP2_PING: (Duration, Duration) = (Duration::from_secs(20), Duration::from_secs(10));
/// Connections of those who keep the service running.
const PLAIN_CONNECTIONS: usize = 64;

/// Serves clients and servers until `handle` says to stop, then drains.
///
/// # Errors
/// When the listener cannot be used.
pub(crate) async fn serve(
    listener: std::net::TcpListener,
    tls: RustlsConfig,
    limits: &Limits,
    app: Router,
    handle: Handle<SocketAddr>,
) -> io::Result<()> {
    let acceptor = RustlsAcceptor::new(tls)
        .handshake_timeout(seconds(limits.handshake_s))
        .acceptor(Door::with(limits.connections, limits));
    let mut server = axum_server::from_tcp(listener)?
        .acceptor(acceptor)
        .first_request_timeout(seconds(limits.first_request_s))
        .accept_error_handler(note_failed_accept)
        .handle(handle);
    tune(&mut server, limits);
    server.serve(app.into_make_service_with_connect_info::<SocketAddr>()).await
}

/// Serves this machine, in the clear.
///
/// # Errors
/// When the listener cannot be used.
pub(crate) async fn serve_plain(
    listener: std::net::TcpListener,
    limits: &Limits,
    app: Router,
    handle: Handle<SocketAddr>,
) -> io::Result<()> {
    let mut server = axum_server::from_tcp(listener)?
        .acceptor(Door::with(PLAIN_CONNECTIONS, limits))
        .first_request_timeout(seconds(limits.first_request_s))
        .accept_error_handler(note_failed_accept)
        .handle(handle);
    tune(&mut server, limits);
    server.serve(app.into_make_service()).await
}

fn tune<A>(server: &mut axum_server::Server<SocketAddr, A>, limits: &Limits) {
    let http = server.http_builder();
    http.http1().header_read_timeout(seconds(limits.keep_alive_s)).max_buf_size(HTTP1_BUFFER_SIZE);
    http.http2()
        .max_concurrent_streams(limits.streams)
        .max_header_list_size(HTTP1_BUFFER_SIZE.try_into().expect("64 KiB fit a u32"))
        .initial_stream_window_size(HTTP2_WINDOW_SIZE)
        .initial_connection_window_size(HTTP2_WINDOW_SIZE)
        .keep_alive_interval(HTTP2_PING.0)
        .keep_alive_timeout(HTTP2_PING.1);
}

/// A failed handshake is the peer's affair; a failed accept is ours (no file descriptors, for example).
fn note_failed_accept(peer: Option<&SocketAddr>, error: &io::Error) {
    match peer {
        Some(peer) => tracing::debug!(%peer, kind = ?error.kind(), "connection not made"),
        None => tracing::warn!(%error, "cannot accept connections; trying again"),
    }
}

fn seconds(seconds: u32) -> Duration {
    Duration::from_secs(seconds.into())
}

/// Lets a connection in while there is a seat.
#[derive(Clone, Debug)]
struct Door {
    seats: Arc<Semaphore>,
    stalled: Duration,
}

impl<S> Accept<TcpStream, S> for Door {
    type Stream = Connection;
    type Service = S;
    type Future = Ready<io::Result<(Connection, S)>>;

    fn accept(&self, stream: TcpStream, service: S) -> Self::Future {
        std::future::ready(self.seat(stream).map(|connection| (connection, service)))
    }
}

impl Door {
    fn with(connections: usize, limits: &Limits) -> Self {
        Self { seats: Arc::new(Semaphore::new(connections)), stalled: seconds(limits.stalled_s) }
    }

    fn seat(&self, stream: TcpStream) -> io::Result<Connection> {
        let seat = self.seats.clone().try_acquire_owned().map_err(|_| io::ErrorKind::QuotaExceeded)?;
        stream.set_nodelay(true)?;
        let moved = Instant::now();
        let watch = Box::pin(tokio::time::sleep(self.stalled));
        Ok(Connection { stream, moved, stalled: self.stalled, watch, _seat: seat })
    }
}

/// A TCP stream that holds its seat, and fails once nothing has moved in either direction for a while: the peer is
/// gone, or does not read what it asked for.
#[derive(Debug)]
struct Connection {
    stream: TcpStream,
    moved: Instant,
    stalled: Duration,
    watch: Pin<Box<Sleep>>,
    _seat: OwnedSemaphorePermit,
}

impl Connection {
    /// Notes progress, or asks whether it has been missing for too long. The timer is touched only when it fires.
    fn watched<T>(&mut self, cx: &mut Context<'_>, poll: Poll<io::Result<T>>) -> Poll<io::Result<T>> {
        if poll.is_ready() {
            self.moved = Instant::now();
            return poll;
        }
        while self.watch.as_mut().poll(cx).is_ready() {
            let deadline = self.moved + self.stalled;
            if deadline <= Instant::now() {
                return Poll::Ready(Err(io::ErrorKind::TimedOut.into()));
            }
            self.watch.as_mut().reset(deadline);
        }
        poll
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
