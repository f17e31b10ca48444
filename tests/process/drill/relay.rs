//! What ends TLS in front of a service, and meddles.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;
use std::sync::Arc;

use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::{ClientConfig, RootCertStore, ServerConfig};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::Runtime;
use tokio_rustls::{TlsAcceptor, TlsConnector};

/// What is made of what passes.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Meddling {
    /// Of a request.
    pub(crate) asks: fn(String) -> String,
    /// Of the answer to this request.
    pub(crate) answers: fn(&str, String) -> String,
}

/// Between the drill and the service, until it is dropped.
pub(crate) struct Relay {
    _runtime: Runtime,
}

impl Relay {
    /// At `port` of this machine, with the service's own certificate, in front of a service at `behind`.
    pub(crate) fn start(
        data: &Path,
        port: u16,
        behind: SocketAddr,
        meddle: impl FnOnce(&mut Meddling),
    ) -> Self {
        let mut meddling = Meddling { asks: |asked| asked, answers: |_, answer| answer };
        meddle(&mut meddling);
        let (server, client) = (acceptor(data), connector(data));
        let runtime =
            tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let listener = runtime.block_on(TcpListener::bind((Ipv4Addr::LOCALHOST, port))).unwrap();
        runtime.spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (server, client) = (server.clone(), client.clone());
                tokio::spawn(async move {
                    // Whoever speaks no TLS, or hangs up, is somebody of whom the drill tells.
                    let _ = relay(stream, behind, &server, &client, meddling).await;
                });
            }
        });
        Self { _runtime: runtime }
    }
}

/// A request and its answer each come in one piece here: both are short.
async fn relay(
    stream: TcpStream,
    behind: SocketAddr,
    server: &TlsAcceptor,
    client: &TlsConnector,
    meddling: Meddling,
) -> std::io::Result<()> {
    let mut there = server.accept(stream).await?;
    let name = ServerName::try_from("localhost").unwrap();
    let mut here = client.connect(name, TcpStream::connect(behind).await?).await?;
    let (mut asked, mut some, mut more) = (String::new(), vec![0; 64 * 1024], vec![0; 64 * 1024]);
    loop {
        tokio::select! {
            n = there.read(&mut some) => {
                let n = n?;
                if n == 0 {
                    return here.shutdown().await;
                }
                asked = String::from_utf8_lossy(&some[..n]).into_owned();
                here.write_all((meddling.asks)(asked.clone()).as_bytes()).await?;
                here.flush().await?;
            }
            n = here.read(&mut more) => {
                let n = n?;
                if n == 0 {
                    return there.shutdown().await;
                }
                let answer = String::from_utf8_lossy(&more[..n]).into_owned();
                there.write_all((meddling.answers)(&asked, answer).as_bytes()).await?;
                there.flush().await?;
            }
        }
    }
}

fn acceptor(data: &Path) -> TlsAcceptor {
    let certificates = CertificateDer::pem_file_iter(data.join("tls.pem")).unwrap();
    let certificates = certificates.collect::<Result<Vec<_>, _>>().unwrap();
    let key = PrivateKeyDer::from_pem_file(data.join("tls.key")).unwrap();
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
    let mut config = config.with_no_client_auth().with_single_cert(certificates, key).unwrap();
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Arc::new(config).into()
}

fn connector(data: &Path) -> TlsConnector {
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_file_iter(data.join("ca.pem")).unwrap() {
        roots.add(certificate.unwrap()).unwrap();
    }
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
    let mut config = config.with_root_certificates(roots).with_no_client_auth();
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Arc::new(config).into()
}
