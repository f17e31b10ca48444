//! A TLS server that answers as a test says, octet for octet.

use std::sync::{Arc, Mutex};

use rand_chacha::ChaCha20Rng;
use rand_chacha::rand_core::SeedableRng as _;
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use rustls::ServerConfig;
use rustls::pki_types::PrivateKeyDer;
use sidekey_protocol::ids::Timestamp;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;

use crate::ambient::{Ambient, Clock};
use crate::transport::Roots;

/// Sat, 25 Oct 2014 10:00:00 GMT, when all tests take place.
pub(crate) const NOON: Timestamp = Timestamp(1_414_231_200);

struct Fixed(Timestamp);

impl Clock for Fixed {
    fn now(&self) -> Timestamp {
        self.0
    }
}

pub(crate) fn ambient() -> Ambient {
    Ambient::new(Arc::new(Fixed(NOON)), ChaCha20Rng::seed_from_u64(3))
}

/// What the server does about one request.
pub(crate) enum Answer {
    /// These octets, and the connection stays open.
    Octets(String),
    /// These octets, and the connection is closed.
    Cut(String),
    /// Nothing at all.
    Silence,
}

/// A server, what it was asked, and where it is.
pub(crate) struct Script {
    pub(crate) url: String,
    pub(crate) roots: Roots,
    requests: Arc<Mutex<Vec<String>>>,
}

impl Script {
    /// Serves `answer(n, request)` to the nth request.
    pub(crate) async fn start(answer: impl Fn(usize, &str) -> Answer + Send + Sync + 'static) -> Self {
        let (roots, config) = identity();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("https://localhost:{}", listener.local_addr().unwrap().port());
        let requests = Arc::new(Mutex::new(Vec::new()));
        tokio::spawn(serve(
            listener,
            TlsAcceptor::from(Arc::new(config)),
            Arc::clone(&requests),
            Arc::new(answer),
        ));
        Self { url, roots, requests }
    }

    /// Everything that was asked, heads and bodies.
    pub(crate) fn requests(&self) -> Vec<String> {
        self.requests.lock().unwrap().clone()
    }
}

/// An answer with its length.
pub(crate) fn answer(status: u16, head: &str, body: &str) -> String {
    format!("HTTP/1.1 {status} Some Reason\r\n{head}content-length: {}\r\n\r\n{body}", body.len())
}

async fn serve(
    listener: TcpListener,
    acceptor: TlsAcceptor,
    requests: Arc<Mutex<Vec<String>>>,
    answer: Arc<impl Fn(usize, &str) -> Answer + Send + Sync + 'static>,
) {
    while let Ok((tcp, _)) = listener.accept().await {
        let (acceptor, requests, answer) = (acceptor.clone(), Arc::clone(&requests), Arc::clone(&answer));
        tokio::spawn(async move {
            let Ok(mut tls) = acceptor.accept(tcp).await else { return };
            while let Some(request) = read_request(&mut tls).await {
                let n = {
                    let mut requests = requests.lock().unwrap();
                    requests.push(request.clone());
                    requests.len()
                };
                let (octets, stays) = match answer(n, &request) {
                    Answer::Octets(octets) => (octets, true),
                    Answer::Cut(octets) => (octets, false),
                    Answer::Silence => std::future::pending().await,
                };
                let sent = tls.write_all(octets.as_bytes()).await.and(tls.flush().await);
                if sent.is_err() || !stays {
                    return drop(tls.shutdown().await);
                }
            }
        });
    }
}

async fn read_request(tls: &mut (impl tokio::io::AsyncRead + Unpin)) -> Option<String> {
    let mut request = String::new();
    let mut buffer = [0; 4096];
    loop {
        if let Some((head, body)) = request.split_once("\r\n\r\n") {
            let length = head.lines().find_map(|line| line.strip_prefix("content-length: "));
            if body.len() >= length.map_or(0, |length| length.parse().unwrap()) {
                return Some(request);
            }
        }
        match tls.read(&mut buffer).await {
            Ok(size) if size > 0 => request.push_str(std::str::from_utf8(&buffer[..size]).unwrap()),
            _ => return None,
        }
    }
}

/// An authority of its own, and a certificate for `localhost`.
fn identity() -> (Roots, ServerConfig) {
    let mut params = CertificateParams::new(Vec::new()).unwrap();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let authority = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
    let key = KeyPair::generate().unwrap();
    let leaf =
        CertificateParams::new(vec!["localhost".to_owned()]).unwrap().signed_by(&key, &authority).unwrap();
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = ServerConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&rustls::version::TLS13])
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![leaf.der().clone()], PrivateKeyDer::Pkcs8(key.serialize_der().into()))
        .unwrap();
    (Roots::Pem(authority.pem()), config)
}
