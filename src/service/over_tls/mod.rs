//! The service over real TLS sockets, refusal by refusal.

mod doors;
mod operations;
mod parties;
mod rates;
mod refusals;
mod reload;
mod silence;
mod table;

use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::PathBuf;
use std::sync::Arc;

use rand_chacha::ChaCha20Rng;
use rand_chacha::rand_core::SeedableRng as _;
use rustls::ClientConfig;
use rustls_pki_types::pem::PemObject as _;
use rustls_pki_types::{CertificateDer, ServerName, UnixTime};
use serde_json::Value;
use sidekey_protocol::crypto::{Secret, SigningKey};
use sidekey_protocol::encoding::from_base64url;
use sidekey_protocol::ids::{PartyId, ServiceId, Timestamp};
use sidekey_protocol::pairing::Kek;
use sidekey_protocol::token;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tokio_util::sync::CancellationToken;

use crate::clock::{Clock, TestClock};
use crate::config::Config;
use crate::init::{Options, init};
use crate::{Given, Running, start};

pub(crate) const NOW: Timestamp = Timestamp(1_800_000_000);

/// A service on a data folder of its own.
pub(crate) struct Service {
    pub(crate) addr: SocketAddr,
    pub(crate) clock: Arc<TestClock>,
    pub(crate) admin: Party,
    pub(crate) rng: ChaCha20Rng,
    data: PathBuf,
    tls: Arc<ClientConfig>,
    running: Option<Running>,
    stop: CancellationToken,
    _folder: tempfile::TempDir,
}

/// Whoever has a token.
pub(crate) struct Party {
    pub(crate) id: PartyId,
    pub(crate) service: ServiceId,
    pub(crate) key: SigningKey,
    pub(crate) root: Option<Secret<32>>,
}

/// An answer, read to its end.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) head: String,
    pub(crate) body: Vec<u8>,
}

impl Service {
    pub(crate) async fn start() -> Self {
        Self::start_with(|_| {}).await
    }

    pub(crate) async fn start_with(adjust: impl FnOnce(&mut Config)) -> Self {
        Self::start_given(adjust, |given| given).await
    }

    pub(crate) async fn start_given(
        adjust: impl FnOnce(&mut Config),
        more: impl FnOnce(Given) -> Given,
    ) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let data = folder.path().join("data");
        let clock = Arc::new(TestClock::at(NOW));
        let rng = ChaCha20Rng::seed_from_u64(1);
        init(&data, &Options::default(), clock.clone(), rng).await.unwrap();
        let mut config = Config::read(&data.join("sidekey.toml")).unwrap();
        adjust(&mut config);
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let stop = CancellationToken::new();
        let rng = ChaCha20Rng::seed_from_u64(2);
        let shutdown = stop.clone().cancelled_owned();
        let given = more(listener.into());
        let running = start(config, given, clock.clone() as Arc<dyn Clock>, rng, shutdown).await.unwrap();
        Self {
            addr: running.local_addr(),
            clock,
            admin: Party::admin(&data),
            rng: ChaCha20Rng::seed_from_u64(3),
            tls: Arc::new(client_tls(&data, &[b"http/1.1"])),
            data,
            running: Some(running),
            stop,
            _folder: folder,
        }
    }

    pub(crate) async fn connect(&self) -> TlsStream<TcpStream> {
        self.connect_as(self.tls.clone()).await.unwrap()
    }

    pub(crate) async fn connect_as(&self, tls: Arc<ClientConfig>) -> std::io::Result<TlsStream<TcpStream>> {
        let stream = TcpStream::connect(self.addr).await?;
        TlsConnector::from(tls).connect(ServerName::try_from("localhost").unwrap(), stream).await
    }

    /// What rustls offers when it is asked for nothing special, with these protocols.
    pub(crate) fn tls(&self, alpn: &[&[u8]]) -> ClientConfig {
        client_tls(&self.data, alpn)
    }

    /// Sends octets as they are, and reads until the service closes.
    pub(crate) async fn raw(&self, request: &[u8]) -> Answer {
        let mut stream = self.connect().await;
        stream.write_all(request).await.unwrap();
        read_answer(&mut stream).await
    }

    /// A request with these header lines.
    pub(crate) async fn send(&self, method: &str, path: &str, headers: &str, body: &[u8]) -> Answer {
        let length = body.len();
        let head = format!(
            "{method} {path} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\ncontent-length: {length}\r\n{headers}\r\n"
        );
        self.raw(&[head.as_bytes(), body].concat()).await
    }

    /// A request of `party`, with a JSON body unless it is null.
    pub(crate) async fn call(&self, party: &Party, method: &str, path: &str, body: Value) -> Answer {
        self.call_with(party, method, path, "", body).await
    }

    pub(crate) async fn call_with(
        &self,
        party: &Party,
        method: &str,
        path: &str,
        more: &str,
        body: Value,
    ) -> Answer {
        let headers = format!("{}content-type: application/json\r\n{more}", party.bearer(self.clock.now()));
        let body = if body.is_null() { Vec::new() } else { serde_json::to_vec(&body).unwrap() };
        self.send(method, path, &headers, &body).await
    }

    pub(crate) fn running(&self) -> &Running {
        self.running.as_ref().unwrap()
    }

    pub(crate) async fn stop(mut self) {
        self.stop.cancel();
        self.running.take().unwrap().finished().await.unwrap();
    }
}

impl Party {
    fn admin(data: &std::path::Path) -> Self {
        let credential: Value =
            serde_json::from_slice(&std::fs::read(data.join("admin.json")).unwrap()).unwrap();
        let text = |name: &str| credential[name].as_str().unwrap().to_owned();
        Self {
            id: text("party").parse().unwrap(),
            service: text("service").parse().unwrap(),
            key: SigningKey::from_pkcs8(&from_base64url(&text("key")).unwrap()).unwrap(),
            root: None,
        }
    }

    pub(crate) fn token(&self, now: Timestamp) -> String {
        let kek = self.root.as_ref().map(|root| Kek::of(root).id);
        token::sign(&self.key, self.id, self.service, kek, now)
    }

    /// The header line.
    pub(crate) fn bearer(&self, now: Timestamp) -> String {
        format!("authorization: Bearer {}\r\n", self.token(now))
    }
}

impl Answer {
    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|_| panic!("no JSON: {self:?}"))
    }

    /// The code of a problem document, which must be a whole one.
    pub(crate) fn problem(&self) -> String {
        let document = self.json();
        let code = document["code"].as_str().unwrap().to_owned();
        assert_eq!(document["status"], self.status, "{document}");
        assert_eq!(document["type"], format!("urn:sidekey:problem:{code}"));
        assert_eq!(self.header("content-type"), Some("application/problem+json"));
        assert_eq!(self.header("cache-control"), Some("no-store"));
        assert_eq!(self.header("x-request-id"), document["instance"].as_str());
        code
    }

    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        let mut lines = self.head.lines().filter_map(|line| line.split_once(": "));
        lines.find(|(found, _)| found.eq_ignore_ascii_case(name)).map(|(_, value)| value)
    }
}

pub(crate) async fn read_answer(stream: &mut TlsStream<TcpStream>) -> Answer {
    let mut octets = Vec::new();
    // A service that closes without close_notify has still answered.
    let _ = stream.read_to_end(&mut octets).await;
    let end = octets.windows(4).position(|four| four == b"\r\n\r\n").unwrap_or_else(|| {
        panic!("no answer: {:?}", String::from_utf8_lossy(&octets));
    });
    let head = String::from_utf8(octets[..end].to_vec()).unwrap();
    let status = head.split(' ').nth(1).unwrap().parse().unwrap();
    Answer { status, head, body: octets[end + 4..].to_vec() }
}

fn client_tls(data: &std::path::Path, alpn: &[&[u8]]) -> ClientConfig {
    let mut roots = rustls::RootCertStore::empty();
    roots.add(CertificateDer::from_pem_file(data.join("ca.pem")).unwrap()).unwrap();
    let mut provider = rustls::crypto::aws_lc_rs::default_provider();
    provider.kx_groups.retain(|group| group.name() == rustls::NamedGroup::X25519MLKEM768);
    let mut tls = ClientConfig::builder_with_details(Arc::new(provider), Arc::new(StandingStill))
        .with_protocol_versions(&[&rustls::version::TLS13])
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    tls.alpn_protocols = alpn.iter().map(|name| name.to_vec()).collect();
    tls
}

/// The time by which certificates are judged: that of the service's clock when its folder was made.
#[derive(Debug)]
struct StandingStill;

impl rustls::time_provider::TimeProvider for StandingStill {
    fn current_time(&self) -> Option<UnixTime> {
        Some(UnixTime::since_unix_epoch(std::time::Duration::from_secs(NOW.0.into())))
    }
}
