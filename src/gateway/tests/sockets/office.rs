//! An enterprise on loopback: its authority, its mail server by script, its gateway.

use std::fs::Permissions;
use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::{ClientConfig, RootCertStore, ServerConfig};
use sidekey_gateway::{Config, Running, Stop};
use tempfile::TempDir;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::oneshot;
use tokio::time::timeout;
use tokio_rustls::{TlsAcceptor, TlsConnector};

/// An authority, with certificates that it has signed, as files of a folder.
pub(crate) struct Authority {
    pub(crate) folder: TempDir,
    issuer: Issuer<'static, KeyPair>,
}

impl Authority {
    pub(crate) fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        std::fs::write(folder.path().join("ca.pem"), params.self_signed(&key).unwrap().pem()).unwrap();
        let authority = Self { folder, issuer: Issuer::new(params, key) };
        authority.sign("tls");
        authority.sign("device");
        authority
    }

    /// `NAME.pem` and `NAME.key`, for localhost.
    pub(crate) fn sign(&self, name: &str) {
        let key = KeyPair::generate().unwrap();
        let params = CertificateParams::new(["localhost".to_owned()]).unwrap();
        let signed = params.signed_by(&key, &self.issuer).unwrap();
        std::fs::write(self.path(&format!("{name}.pem")), signed.pem()).unwrap();
        let file = self.path(&format!("{name}.key"));
        std::fs::write(&file, key.serialize_pem()).unwrap();
        std::fs::set_permissions(&file, Permissions::from_mode(0o600)).unwrap();
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn certified(&self, name: &str) -> (Vec<CertificateDer<'static>>, PrivateKeyDer<'static>) {
        let chain = vec![CertificateDer::from_pem_file(self.path(&format!("{name}.pem"))).unwrap()];
        (chain, PrivateKeyDer::from_pem_file(self.path(&format!("{name}.key"))).unwrap())
    }

    pub(crate) fn acceptor(&self) -> TlsAcceptor {
        let (chain, key) = self.certified("tls");
        let builder =
            ServerConfig::builder_with_provider(provider()).with_safe_default_protocol_versions().unwrap();
        TlsAcceptor::from(Arc::new(builder.with_no_client_auth().with_single_cert(chain, key).unwrap()))
    }

    /// Who trusts this authority, and shows a certificate of that one, if any.
    pub(crate) fn connector(&self, shown: Option<&Self>) -> TlsConnector {
        let mut roots = RootCertStore::empty();
        roots.add(CertificateDer::from_pem_file(self.path("ca.pem")).unwrap()).unwrap();
        let builder =
            ClientConfig::builder_with_provider(provider()).with_safe_default_protocol_versions().unwrap();
        let builder = builder.with_root_certificates(roots);
        let config = match shown {
            None => builder.with_no_client_auth(),
            Some(of) => {
                let (chain, key) = of.certified("device");
                builder.with_client_auth_cert(chain, key).unwrap()
            }
        };
        TlsConnector::from(Arc::new(config))
    }
}

fn provider() -> Arc<rustls::crypto::CryptoProvider> {
    Arc::new(rustls::crypto::aws_lc_rs::default_provider())
}

/// A stream, whatever it goes through.
pub(crate) trait Both: AsyncRead + AsyncWrite + Send + Unpin {}
impl<T: AsyncRead + AsyncWrite + Send + Unpin> Both for T {}
pub(crate) type Line = Box<dyn Both>;

/// A mail server that says what a test has it say, one connection at a time.
pub(crate) struct MailServer {
    listener: TcpListener,
    acceptor: Option<TlsAcceptor>,
}

impl MailServer {
    pub(crate) async fn listen(tls: Option<&Authority>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        Self { listener, acceptor: tls.map(Authority::acceptor) }
    }

    pub(crate) fn port(&self) -> u16 {
        self.listener.local_addr().unwrap().port()
    }

    /// The next connection.
    pub(crate) async fn next(&self) -> Line {
        let tcp = self.tcp().await;
        match &self.acceptor {
            Some(acceptor) => Box::new(acceptor.accept(tcp).await.unwrap()),
            None => Box::new(tcp),
        }
    }

    /// The next connection, whose peer does not believe our certificate.
    pub(crate) async fn refused(&self) {
        let tcp = self.tcp().await;
        assert!(self.acceptor.as_ref().unwrap().accept(tcp).await.is_err());
    }

    async fn tcp(&self) -> TcpStream {
        in_time(self.listener.accept()).await.unwrap().0
    }

    /// The next connection, which begins TLS after STARTTLS; who stands between adds `injected` to the answer in clear.
    pub(crate) async fn next_after_starttls(&self, authority: &Authority, injected: &str) -> Line {
        let mut tcp = self.tcp().await;
        tcp.write_all(b"* OK [CAPABILITY IMAP4rev1 STARTTLS LOGINDISABLED] clear\r\n").await.unwrap();
        hears(&mut tcp, "t0 STARTTLS\r\n").await;
        tcp.write_all(format!("t0 OK begin\r\n{injected}").as_bytes()).await.unwrap();
        let mut line = authority.acceptor().accept(tcp).await.unwrap();
        hears(&mut line, "t1 CAPABILITY\r\n").await;
        line.write_all(b"* CAPABILITY IMAP4rev1 AUTH=PLAIN\r\nt1 OK done\r\n").await.unwrap();
        Box::new(line)
    }
}

/// A gateway, until it is stopped.
pub(crate) struct Gateway {
    pub(crate) running: Running,
    stop: oneshot::Sender<()>,
}

impl Gateway {
    /// With this configuration; files start at the authority's folder.
    pub(crate) fn start(folder: &Path, config: &str) -> Result<Self, Stop> {
        let config = config_at(folder, config);
        let (stop, stopped) = oneshot::channel();
        let shutdown = async {
            // Dropped with the test: stopped all the same.
            let _ = stopped.await;
        };
        Ok(Self { running: sidekey_gateway::start(config, None, shutdown)?, stop })
    }

    pub(crate) fn at(&self) -> SocketAddr {
        self.running.address("office").unwrap()
    }

    pub(crate) async fn stop(self) {
        let _ = self.stop.send(());
        in_time(self.running.finished()).await;
    }
}

/// This configuration; files start at that folder.
pub(crate) fn config_at(folder: &Path, config: &str) -> Config {
    let path = folder.join("gateway.toml");
    std::fs::write(&path, config).unwrap();
    Config::read(&path).unwrap_or_else(|bad| panic!("{bad}: {:?}", std::error::Error::source(&bad)))
}

/// Implicit TLS to a listener.
pub(crate) async fn dial(at: SocketAddr, connector: &TlsConnector) -> std::io::Result<Line> {
    let tcp = TcpStream::connect(at).await?;
    secure(tcp, connector).await
}

/// TLS, from here on.
pub(crate) async fn secure(tcp: TcpStream, connector: &TlsConnector) -> std::io::Result<Line> {
    Ok(Box::new(connector.connect(ServerName::try_from("localhost").unwrap(), tcp).await?))
}

/// Reads exactly this.
pub(crate) async fn hears(line: &mut (impl Both + ?Sized), expected: &str) {
    let mut heard = vec![0; expected.len()];
    in_time(line.read_exact(&mut heard)).await.unwrap_or_else(|error| panic!("{error}; expected {expected}"));
    assert_eq!(String::from_utf8_lossy(&heard), expected);
}

/// Reads to the end.
pub(crate) async fn rest(line: &mut (impl Both + ?Sized)) -> Vec<u8> {
    let mut heard = Vec::new();
    // However it ends: what came is what counts.
    let _ = in_time(line.read_to_end(&mut heard)).await;
    heard
}

/// Nothing here takes long.
pub(crate) async fn in_time<T>(work: impl Future<Output = T>) -> T {
    timeout(Duration::from_secs(20), work).await.expect("it is answered in time")
}
