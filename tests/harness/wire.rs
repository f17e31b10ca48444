//! Octets as they are, over TLS or under it: what no HTTP library would send.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use rustls::ClientConfig;
use rustls::pki_types::ServerName;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, ReadHalf, WriteHalf};
use tokio::net::{TcpSocket, TcpStream};
use tokio::time::timeout;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use crate::raw;
use crate::system::System;

/// How long a service may take to end what it does not want: longer than its own limits.
const PATIENCE: Duration = Duration::from_secs(20);

/// A connection on which anything may be said.
#[derive(Debug)]
pub struct Wire(TlsStream<TcpStream>);

impl System {
    /// Where the service listens.
    ///
    /// # Panics
    /// When it does not run.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.running().local_addr()
    }

    /// A connection that speaks `protocol`, to whoever calls himself `name`.
    ///
    /// # Errors
    /// The service ends the handshake.
    ///
    /// # Panics
    /// When there is no TCP connection.
    pub async fn wire(&self, protocol: &str, name: &str) -> std::io::Result<Wire> {
        self.wired(self.address(), protocol, name).await
    }

    /// The same by way of somebody at `address`.
    ///
    /// # Errors
    /// As [`System::wire`].
    ///
    /// # Panics
    /// As [`System::wire`].
    pub async fn wire_at(&self, address: SocketAddr) -> std::io::Result<Wire> {
        self.wired(address, "http/1.1", "localhost").await
    }

    async fn wired(&self, at: SocketAddr, protocol: &str, name: &str) -> std::io::Result<Wire> {
        let stream = TcpStream::connect(at).await.expect("somebody listens");
        Wire::over(stream, Arc::new(offering(&self.ca, protocol)), name).await
    }

    /// What the service makes of these octets of HTTP/1.1, up to the end of the connection.
    ///
    /// # Panics
    /// When there is no connection, or no end of it.
    pub async fn octets(&self, octets: &[u8]) -> Vec<u8> {
        let mut wire = self.wire("http/1.1", "localhost").await.expect("the handshake is one");
        wire.send(octets).await;
        wire.rest().await
    }
}

/// TLS that trusts the authority `ca` (PEM) alone, and speaks `protocol`.
///
/// # Panics
/// When the authority is none.
#[must_use]
pub fn offering(ca: &str, protocol: &str) -> ClientConfig {
    let mut tls = raw::tls(ca);
    tls.alpn_protocols = vec![protocol.as_bytes().to_vec()];
    tls
}

/// A TCP connection to `at` from this machine's address `from`, of which loopback has many.
///
/// # Errors
/// There is none.
pub async fn connected(from: Ipv4Addr, at: SocketAddr) -> std::io::Result<TcpStream> {
    let socket = TcpSocket::new_v4()?;
    socket.bind((IpAddr::V4(from), 0).into())?;
    let stream = socket.connect(at).await?;
    stream.set_nodelay(true)?;
    Ok(stream)
}

impl Wire {
    /// Over a connection that there is, to whoever calls himself `name`.
    ///
    /// # Errors
    /// The service ends the handshake.
    ///
    /// # Panics
    /// When it is no name.
    pub async fn over(stream: TcpStream, tls: Arc<ClientConfig>, name: &str) -> std::io::Result<Self> {
        let name = ServerName::try_from(name.to_owned()).expect("it is a name");
        TlsConnector::from(tls).connect(name, stream).await.map(Self)
    }

    /// For who reads and writes at the same time.
    #[must_use]
    pub fn into_halves(self) -> (ReadHalf<TlsStream<TcpStream>>, WriteHalf<TlsStream<TcpStream>>) {
        tokio::io::split(self.0)
    }

    /// Says it; false when the service has ended the connection.
    pub async fn send(&mut self, octets: &[u8]) -> bool {
        self.0.write_all(octets).await.is_ok() && self.0.flush().await.is_ok()
    }

    /// Reads up to the end of the connection.
    ///
    /// # Panics
    /// When it has none.
    pub async fn rest(&mut self) -> Vec<u8> {
        let mut octets = Vec::new();
        let read = timeout(PATIENCE, self.0.read_to_end(&mut octets)).await;
        // A service that closes without close_notify, or resets, has ended it too.
        let _ = read.unwrap_or_else(|_| panic!("no end: {:?}", String::from_utf8_lossy(&octets)));
        octets
    }

    /// Reads whatever comes next; nothing at the end of the connection.
    ///
    /// # Panics
    /// When nothing comes and the connection does not end.
    pub async fn some(&mut self) -> Vec<u8> {
        let mut octets = vec![0; 16 * 1024];
        let read = timeout(PATIENCE, self.0.read(&mut octets)).await.expect("something comes");
        octets.truncate(read.unwrap_or(0));
        octets
    }
}
