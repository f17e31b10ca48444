//! The yardsticks: processes that this program starts of itself.

use std::fs::File;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::os::unix::fs::FileExt as _;
use std::path::Path;
use std::process::Command;
use std::sync::Arc;

use axum::Router;
use axum::body::Bytes;
use axum::routing::{get, post};
use axum_server::accept::NoDelayAcceptor;
use axum_server::tls_rustls::{RustlsAcceptor, RustlsConfig};
use getrandom::SysRng;
use http::header::CONTENT_TYPE;
use http::{HeaderMap, HeaderName, StatusCode};
use rand_core::UnwrapErr;
use rustls::ServerConfig;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use sidekey_service::clock::SystemClock;
use sidekey_service::{Config, Given, Instead, telemetry};
use tokio::sync::{mpsc, oneshot};

use crate::binary::{Serving, Sidekey};

/// Which one a process is, the data folder it takes, its port, and how many octets it answers.
const YARDSTICK: &str = "SIDEKEY_BENCH_YARDSTICK";
/// The head of its answers, a field a line.
const HEAD: &str = "SIDEKEY_BENCH_HEAD";

/// An empty handler on the same axum and rustls, with the certificate of this folder.
pub(crate) fn bare(sidekey: &Sidekey) -> (Serving, u16) {
    octets(sidekey, &HeaderMap::new(), 0)
}

/// The same, which answers with such a head and so many octets.
pub(crate) fn octets(sidekey: &Sidekey, head: &HeaderMap, answer_size: usize) -> (Serving, u16) {
    let port = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap().local_addr().unwrap().port();
    (start("bare", sidekey, port, answer_size, head), port)
}

/// The service of this folder, where nothing is looked up: a fetch is answered by so many octets, and so is an issue,
/// once three hundred are durable.
pub(crate) fn ours(sidekey: &Sidekey, port: u16, answer_size: usize) -> Serving {
    start("ours", sidekey, port, answer_size, &HeaderMap::new())
}

fn start(which: &str, sidekey: &Sidekey, port: u16, answer_size: usize, head: &HeaderMap) -> Serving {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args(["--exact", "service::yardstick::process", "--ignored", "--nocapture"]);
    let data = sidekey.data();
    command.env(YARDSTICK, format!("{which} {port} {answer_size} {}", data.display()));
    let head: Vec<_> =
        head.iter().map(|(name, value)| format!("{name}: {}", value.to_str().unwrap())).collect();
    command.env(HEAD, head.join("\n"));
    Serving::start(&mut command)
}

#[test]
#[ignore = "the others start it as a process of its own"]
fn process() {
    let Ok(said) = std::env::var(YARDSTICK) else { return };
    let [which, port, answer_size, data] = said.splitn(4, ' ').collect::<Vec<_>>()[..] else { return };
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port.parse().unwrap())).unwrap();
    let (data, answer_size) = (Path::new(data), answer_size.parse().unwrap());
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    match which {
        "bare" => runtime.block_on(serve_bare(listener, data, answer_size)),
        _ => runtime.block_on(serve_ours(listener, data, answer_size)),
    }
}

/// What `Serving` waits for.
#[expect(clippy::print_stderr, reason = "as `sidekey serve` says it")]
fn ready() {
    eprintln!("sidekey: ready");
}

async fn serve_bare(listener: TcpListener, data: &Path, answer_size: usize) {
    listener.set_nonblocking(true).unwrap();
    let tls = RustlsConfig::from_config(Arc::new(tls(data)));
    let server = axum_server::from_tcp(listener).unwrap();
    let server = server.acceptor(RustlsAcceptor::new(tls).acceptor(NoDelayAcceptor));
    ready();
    let (head, body) = (told_head(), Bytes::from(vec![b'0'; answer_size]));
    // Whoever answers before it has read a body resets its stream, and HTTP/2 takes a thousand resets to be an attack.
    let empty = Router::new().fallback(async move |_: Bytes| (head, body));
    server.serve(empty.into_make_service()).await.unwrap();
}

fn told_head() -> HeaderMap {
    let said = std::env::var(HEAD).unwrap();
    let fields = said.lines().map(|line| line.split_once(": ").unwrap());
    fields.map(|(name, value)| (name.parse::<HeaderName>().unwrap(), value.parse().unwrap())).collect()
}

/// As the service has it: TLS 1.3, the same provider, the same certificate.
fn tls(data: &Path) -> ServerConfig {
    let config = Config::read(&data.join("sidekey.toml")).unwrap();
    let chain = CertificateDer::pem_file_iter(config.certificate_path()).unwrap();
    let key = PrivateKeyDer::from_pem_file(config.tls_key_path()).unwrap();
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let mut tls = ServerConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&rustls::version::TLS13])
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(chain.map(Result::unwrap).collect(), key)
        .unwrap();
    tls.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    tls
}

/// As `sidekey serve` does, but for two handlers: whatever stands before a handler of the service's own stands before
/// these, since the service mounts them in their place.
async fn serve_ours(listener: TcpListener, data: &Path, answer_size: usize) {
    let config = Config::read(&data.join("sidekey.toml")).unwrap();
    let _logs = telemetry::init(&config.log).unwrap();
    let answer = Bytes::from(vec![b'0'; answer_size]);
    let (same, synced) = (answer.clone(), shared_sync(data));
    let fetch = async move || ([JSON], same);
    let issue = async move |_: Bytes| {
        let (done, durable) = oneshot::channel();
        synced.send(done).unwrap();
        durable.await.unwrap();
        (StatusCode::CREATED, [JSON], answer)
    };
    let instead = vec![
        Instead { method: "GET", path: "/v1/sessions/{session}/key", handler: get(fetch) },
        Instead { method: "POST", path: "/v1/sessions", handler: post(issue) },
    ];
    let operations = TcpListener::bind(SocketAddr::from((Ipv4Addr::LOCALHOST, 0))).unwrap();
    let given = Given { operations: Some(operations), instead, ..listener.into() };
    let (clock, rng) = (Arc::new(SystemClock), UnwrapErr(SysRng));
    let running = sidekey_service::start(config, given, clock, rng, std::future::pending()).await.unwrap();
    ready();
    running.finished().await.unwrap();
}

/// Appends to a file that is written out already, for all who wait, and syncs once for them.
fn shared_sync(data: &Path) -> mpsc::UnboundedSender<oneshot::Sender<()>> {
    let file = File::create(data.join("durable")).unwrap();
    file.write_all_at(&vec![0; FILE_SIZE as usize], 0).unwrap();
    file.sync_all().unwrap();
    let (sender, mut queue) = mpsc::unbounded_channel::<oneshot::Sender<()>>();
    std::thread::spawn(move || {
        let mut at = 0;
        while let Some(first) = queue.blocking_recv() {
            let mut waiting = vec![first];
            while let Ok(more) = queue.try_recv() {
                waiting.push(more);
            }
            let octets = vec![1; waiting.len() * APPENDED_SIZE];
            if at + octets.len() as u64 > FILE_SIZE {
                at = 0;
            }
            file.write_all_at(&octets, at).unwrap();
            at += octets.len() as u64;
            file.sync_data().unwrap();
            for done in waiting {
                // Whoever asked may be gone.
                let _ = done.send(());
            }
        }
    });
    sender
}

const JSON: (HeaderName, &str) = (CONTENT_TYPE, "application/json");
/// What a session's record has in the journal.
const APPENDED_SIZE: usize = 300;
const FILE_SIZE: u64 = 16 << 20;
