//! One HTTPS request with nothing of Sidekey in it: what anybody's HTTP client would see of the service.

use std::io::{self, Read as _, Write as _};
use std::net::TcpStream;
use std::sync::Arc;

use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};
use sidekey_protocol::pairing::PublicUrl;

use super::path;

/// What came back.
#[derive(Debug)]
pub struct Answer {
    /// The TLS version.
    pub tls: String,
    /// How the keys of the connection were agreed on.
    pub key_exchange: String,
    /// The HTTP status.
    pub status: u16,
}

/// `GET path`, trusting the authorities of `roots` alone, as whoever `token` names.
///
/// # Errors
/// No connection, a certificate that is not trusted, an answer that is no HTTP.
pub fn get(url: &PublicUrl, roots: &str, path: &str, token: Option<&str>) -> io::Result<Answer> {
    let authority = url.authority();
    let mut connection =
        connect(roots, url.host().to_owned(), TcpStream::connect((url.host(), url.port()))?)?;
    let token = token.map(|token| format!("Authorization: Bearer {token}\r\n")).unwrap_or_default();
    let request = format!("GET {path} HTTP/1.1\r\nHost: {authority}\r\n{token}Connection: close\r\n\r\n");
    connection.write_all(request.as_bytes())?;
    let mut head = [0; "HTTP/1.1 200".len()];
    connection.read_exact(&mut head)?;
    let status = std::str::from_utf8(&head[head.len() - 3..]).ok().and_then(|status| status.parse().ok());
    let connection = &connection.conn;
    Ok(Answer {
        tls: connection.protocol_version().map_or_else(String::new, |version| format!("{version:?}")),
        key_exchange: connection
            .negotiated_key_exchange_group()
            .map_or_else(String::new, |group| format!("{:?}", group.name())),
        status: status.ok_or(io::ErrorKind::InvalidData)?,
    })
}

fn connect(
    roots: &str,
    host: String,
    tcp: TcpStream,
) -> io::Result<StreamOwned<ClientConnection, TcpStream>> {
    path::limit(&tcp)?;
    let mut store = RootCertStore::empty();
    for root in CertificateDer::pem_slice_iter(roots.as_bytes()) {
        store.add(root.map_err(io::Error::other)?).map_err(io::Error::other)?;
    }
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(io::Error::other)?
        .with_root_certificates(store)
        .with_no_client_auth();
    let name = ServerName::try_from(host).map_err(io::Error::other)?;
    let connection = ClientConnection::new(Arc::new(config), name).map_err(io::Error::other)?;
    Ok(StreamOwned::new(connection, tcp))
}
