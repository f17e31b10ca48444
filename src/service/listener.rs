//! The door: TCP and TLS 1.3, HTTP/1.1 and HTTP/2, each with its limits.

mod connection;
mod door;
mod exchange;

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use axum::Router;
use axum_server::Handle;
use axum_server::tls_rustls::{RustlsAcceptor, RustlsConfig};

use self::door::Door;
pub(crate) use self::exchange::Exchanges;
use crate::config::Limits;

/// Octets that hyper buffers of an HTTP/1.1 request's head; ours is refused first, with a document.
const HTTP1_BUFFER_SIZE: usize = 64 * 1024;
/// Octets of an HTTP/2 request's body on the way at one time.
const HTTP2_WINDOW_SIZE: u32 = 64 * 1024;
/// How often a quiet HTTP/2 peer is asked whether it lives, and how long it may take to say so.
const HTTP2_PING: (Duration, Duration) = (Duration::from_secs(20), Duration::from_secs(10));
/// Connections that wait to be taken in. std asks for 128: with so many at once, everybody else would not get in before
/// his system's next try, a second later and then ever less often.
const QUEUE: i32 = 4096;
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
    rustix::net::listen(&listener, QUEUE)?;
    let acceptor = RustlsAcceptor::new(tls)
        .handshake_timeout(seconds(limits.handshake_s))
        .acceptor(Door::with(limits.connections, limits.address_connections, limits));
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
        .acceptor(Door::with(PLAIN_CONNECTIONS, PLAIN_CONNECTIONS, limits))
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
