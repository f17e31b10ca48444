//! The load: one client for all, so many connections, one request at a time on each.

use std::cell::{Cell, RefCell};
use std::net::{Ipv4Addr, SocketAddr};
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use futures_util::future::join_all;
use http::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, HOST, USER_AGENT};
use http::{HeaderMap, HeaderValue, Method, Request, Response, Uri};
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use hyper::client::conn::{http1, http2};
use hyper_util::rt::{TokioExecutor, TokioIo};
use rustls::ClientConfig;
use rustls::client::Resumption;
use rustls::pki_types::ServerName;
use serde::de::DeserializeOwned;
use sidekey_client::protocol::revocation::wire::HEAD;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

use super::table::Protocol;
use crate::enterprise::Enterprise;
use crate::measure::{Processor, tell};

/// How to come to a server, and as whom.
#[derive(Clone)]
pub(crate) struct Door {
    port: u16,
    tls: Arc<ClientConfig>,
    headers: HeaderMap,
}

/// One request.
pub(crate) struct Asked {
    pub(crate) method: Method,
    pub(crate) path: String,
    /// Its `Idempotency-Key`.
    pub(crate) once: Option<String>,
    pub(crate) body: Bytes,
}

impl Asked {
    pub(crate) fn get(path: impl Into<String>) -> Self {
        Self { method: Method::GET, path: path.into(), once: None, body: Bytes::new() }
    }

    pub(crate) fn post(path: &str, once: String, body: &Bytes) -> Self {
        Self { method: Method::POST, path: path.to_owned(), once: Some(once), body: body.clone() }
    }
}

impl Door {
    /// To the service of this enterprise, as its mail server, with what such a one shows. Every handshake is a full one.
    pub(crate) async fn of(enterprise: &Enterprise) -> Self {
        let mut tls = enterprise.roots().client_config().unwrap();
        tls.resumption = Resumption::disabled();
        let token = enterprise.mail.transport().token().unwrap();
        let headers = HeaderMap::from_iter([
            (ACCEPT, HeaderValue::from_static("application/json")),
            (USER_AGENT, HeaderValue::from_static("sidekey-client/0.1.0")),
            (AUTHORIZATION, HeaderValue::try_from(format!("Bearer {}", token.expose())).unwrap()),
        ]);
        let mut door = Self { port: enterprise.port, tls: Arc::new(tls), headers };
        let seen = door.open(Protocol::Http1).await.ask(Asked::get("/v1/pairings/self")).await;
        door.headers.insert(HEAD, seen.headers()[HEAD].clone());
        door
    }

    /// The same requests, to another server with a certificate of the same authority.
    pub(crate) fn at(&self, port: u16) -> Self {
        Self { port, ..self.clone() }
    }

    pub(crate) async fn open(&self, protocol: Protocol) -> Connection {
        let tcp = TcpStream::connect(SocketAddr::from((Ipv4Addr::LOCALHOST, self.port))).await.unwrap();
        tcp.set_nodelay(true).unwrap();
        let mut tls = ClientConfig::clone(&self.tls);
        tls.alpn_protocols = vec![protocol.alpn().to_vec()];
        let name = ServerName::try_from("localhost").unwrap();
        let io = TokioIo::new(TlsConnector::from(Arc::new(tls)).connect(name, tcp).await.unwrap());
        let sender = match protocol {
            Protocol::Http1 => {
                let (sender, connection) = http1::handshake(io).await.unwrap();
                tokio::spawn(lives(connection));
                Sender::One(sender)
            }
            Protocol::Http2 => {
                let (sender, connection) = http2::handshake(TokioExecutor::new(), io).await.unwrap();
                tokio::spawn(lives(connection));
                Sender::Two(sender)
            }
        };
        Connection { sender, port: self.port, headers: self.headers.clone() }
    }
}

/// Drives a connection, and tells why it broke: whoever asks on it later learns only that it is gone.
async fn lives(connection: impl Future<Output = hyper::Result<()>>) {
    if let Err(error) = connection.await {
        tell(&format!("a connection broke: {error:?}"));
    }
}

/// One that is open. It ends when it is dropped.
pub(crate) struct Connection {
    sender: Sender,
    port: u16,
    headers: HeaderMap,
}

enum Sender {
    One(http1::SendRequest<Full<Bytes>>),
    Two(http2::SendRequest<Full<Bytes>>),
}

impl Connection {
    /// Asks, and gives the answer's head and the stream of its body.
    pub(crate) async fn ask(&mut self, asked: Asked) -> Response<Incoming> {
        let Asked { method, path, once, body } = asked;
        let mut request = Request::new(Full::new(body));
        *request.method_mut() = method;
        *request.headers_mut() = self.headers.clone();
        let headers = request.headers_mut();
        if let Some(once) = once {
            headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
            headers.insert("idempotency-key", HeaderValue::try_from(once).unwrap());
        }
        let host = format!("localhost:{}", self.port);
        let answer = match &mut self.sender {
            Sender::One(sender) => {
                headers.insert(HOST, HeaderValue::try_from(host).unwrap());
                *request.uri_mut() = path.parse().unwrap();
                sender.ready().await.unwrap();
                sender.send_request(request).await.unwrap()
            }
            Sender::Two(sender) => {
                *request.uri_mut() = format!("https://{host}{path}").parse::<Uri>().unwrap();
                sender.ready().await.unwrap();
                sender.send_request(request).await.unwrap()
            }
        };
        assert!(answer.status().is_success(), "{answer:?}");
        answer
    }

    /// Asks, and reads the whole answer.
    pub(crate) async fn read(&mut self, asked: Asked) -> Bytes {
        self.ask(asked).await.into_body().collect().await.unwrap().to_bytes()
    }

    /// Asks, and reads the answer as what it says.
    pub(crate) async fn json<T: DeserializeOwned>(&mut self, path: &str) -> T {
        serde_json::from_slice(&self.read(Asked::get(path)).await).unwrap()
    }
}

/// A server's process, and the processor time that is told already: what it does after an answer is counted with its
/// next turn.
#[derive(Clone)]
pub(crate) struct Process(Rc<RefCell<Processor>>);

impl Process {
    pub(crate) fn of(pid: u32) -> Self {
        Self(Rc::new(RefCell::new(Processor::of(pid))))
    }

    pub(crate) fn since(&self) -> Duration {
        let mut told = self.0.borrow_mut();
        let since = told.since();
        *told = told.again();
        since
    }
}

/// One way to ask one server: its connections, its requests, and what each cost.
pub(crate) struct Way {
    pub(crate) name: &'static str,
    process: Process,
    connections: Vec<Connection>,
    request: Box<dyn Fn(usize) -> Asked>,
    /// Of one connection in one turn.
    turn: usize,
    /// What one request is divided by: keys of a batch.
    share: u32,
    asked: Cell<usize>,
    /// Processor time of each round.
    pub(crate) costs: Vec<Duration>,
    /// How long each round's took.
    pub(crate) times: Vec<Duration>,
}

impl Way {
    /// Through so many connections.
    pub(crate) async fn open(
        (name, door, process): (&'static str, &Door, &Process),
        (protocol, connections): (Protocol, usize),
        request: impl Fn(usize) -> Asked + 'static,
    ) -> Self {
        // Asked at once, for something that costs nothing: whoever asks nothing for ten seconds is sent away, and others come first.
        let connections = join_all((0..connections).map(async |_| {
            let mut connection = door.open(protocol).await;
            connection.read(Asked::get("/v1/pairings/self")).await;
            connection
        }));
        let connections = connections.await;
        Self {
            name,
            process: process.clone(),
            turn: TURN.max(TURN_MIN / connections.len()),
            connections,
            request: Box::new(request),
            share: 1,
            asked: Cell::new(0),
            costs: Vec::new(),
            times: Vec::new(),
        }
    }

    /// Of batches of so many keys: fewer of them, and told by the key.
    pub(crate) fn by_the_key(self, keys: u32) -> Self {
        Self { share: keys, turn: (self.turn / 8).max(1), ..self }
    }

    /// One turn of a round.
    async fn turn(&mut self) {
        let requests = self.turn * self.connections.len();
        let (until, asked, request) = (self.asked.get() + requests, &self.asked, &self.request);
        let since = Instant::now();
        let side = async |connection: &mut Connection| {
            while asked.get() < until {
                connection.read(request(asked.replace(asked.get() + 1))).await;
            }
        };
        join_all(self.connections.iter_mut().map(side)).await;
        let share = u32::try_from(requests).unwrap() * self.share;
        self.times.push(since.elapsed() / share);
        self.costs.push(self.process.since() / share);
    }
}

/// All in turn, round by round. The first counts nothing.
pub(crate) async fn compare(ways: impl IntoIterator<Item = &mut Way>, rounds: usize) {
    let mut ways: Vec<&mut Way> = ways.into_iter().collect();
    for round in 0..=rounds {
        for way in &mut ways {
            way.turn().await;
            if round == 0 {
                (way.costs, way.times) = Default::default();
            }
        }
    }
}

/// Requests of one connection in one turn, and of all in a turn of few.
const TURN: usize = 60;
const TURN_MIN: usize = 600;
