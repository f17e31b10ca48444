//! The way to the service, without the client crate: whole requests, octets over TLS, and octets in TLS's place.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use http::header::{HOST, USER_AGENT};
use http::{HeaderValue, Request};
use http_body_util::{BodyExt as _, Full, Limited};
use hyper_util::rt::TokioIo;
use rustls::ClientConfig;
use rustls::pki_types::ServerName;
use serde_json::Value;
use sidekey_client::{Error, Roots};
use sidekey_protocol::pairing::PublicUrl;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::{Instant, sleep, timeout, timeout_at};
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use super::ask::{Answer, Ask};

/// Where the service is, and whose certificates count there. A connection is made for each request, so that nothing of
/// one attack is left in the next.
#[derive(Clone, Debug)]
pub struct Wire {
    url: PublicUrl,
    tls: ClientConfig,
    patience: Duration,
}

/// What came back on a connection on which anything was said.
#[derive(Clone, Debug)]
pub struct Heard {
    /// The first answer; `None` when none came.
    pub answer: Option<Answer>,
    /// How many answers there were.
    pub answers: usize,
    /// Whether the service has ended the connection.
    pub ended: bool,
}

impl Wire {
    /// To the service at `url`, waiting so long for each answer.
    ///
    /// # Errors
    /// [`Error::Usage`]: no usable certificate in `roots`.
    pub fn to(url: &PublicUrl, roots: &Roots, patience: Duration) -> Result<Self, Error> {
        Ok(Self { url: url.clone(), tls: roots.client_config()?, patience })
    }

    /// Sends a request and reads its answer. One that the service has no time for now is sent again.
    ///
    /// # Errors
    /// No connection; no answer, or none in time.
    pub async fn ask(&self, ask: &Ask) -> io::Result<Answer> {
        let until = Instant::now() + PATIENCE_WITH_LIMITS;
        loop {
            let answer = timeout(self.patience, self.asked(ask)).await.map_err(|_| late())??;
            match busy_for(&answer).filter(|wait| Instant::now() + *wait < until) {
                Some(wait) => sleep(wait).await,
                None => return Ok(answer),
            }
        }
    }

    async fn asked(&self, ask: &Ask) -> io::Result<Answer> {
        let stream = TokioIo::new(self.connect(HTTP_1).await?);
        let (mut sender, connection) =
            hyper::client::conn::http1::handshake(stream).await.map_err(io::Error::other)?;
        let driven = tokio::spawn(connection);
        let answer = sender.send_request(self.request(ask)?).await.map_err(io::Error::other)?;
        let status = answer.status().as_u16();
        let body = Limited::new(answer.into_body(), ANSWER_MAX_BYTES).collect().await;
        driven.abort();
        Ok(Answer { status, body: body.map_err(io::Error::other)?.to_bytes() })
    }

    fn request(&self, ask: &Ask) -> io::Result<Request<Full<bytes::Bytes>>> {
        let request = Request::builder().method(&ask.method).uri(format!("{}{}", self.url.path(), ask.path));
        let mut request = request.body(Full::new(ask.body.clone())).map_err(io::Error::other)?;
        *request.headers_mut() = ask.headers.clone();
        request
            .headers_mut()
            .insert(HOST, HeaderValue::from_str(self.url.authority()).map_err(io::Error::other)?);
        request.headers_mut().insert(USER_AGENT, HeaderValue::from_static(AGENT));
        Ok(request)
    }

    /// The service's public URL.
    #[must_use]
    pub fn url(&self) -> &PublicUrl {
        &self.url
    }

    /// Says these octets and listens to the end of the connection, or until nothing more comes.
    ///
    /// # Errors
    /// No connection.
    pub async fn octets(&self, octets: &[u8]) -> io::Result<Heard> {
        let mut stream = self.connect(HTTP_1).await?;
        // A service that has heard enough may have closed already: what it said can be read all the same.
        let _ = stream.write_all(octets).await;
        let _ = stream.flush().await;
        let (heard, ended) = self.listen(&mut stream).await;
        Ok(Heard { answer: first(&heard), answers: answers(&heard), ended })
    }

    /// What is said to octets that are no TLS of ours, up to the end of the connection.
    ///
    /// # Errors
    /// No connection.
    pub async fn below_tls(&self, octets: &[u8]) -> io::Result<Vec<u8>> {
        let mut stream = self.tcp().await?;
        let _ = stream.write_all(octets).await;
        Ok(self.listen(&mut stream).await.0)
    }

    /// A connection that offers this protocol of the application.
    ///
    /// # Errors
    /// No connection; the service ends the handshake.
    pub async fn connect(&self, protocol: &[u8]) -> io::Result<TlsStream<TcpStream>> {
        let mut tls = self.tls.clone();
        tls.alpn_protocols = vec![protocol.to_vec()];
        let name = ServerName::try_from(self.url.host().to_owned()).map_err(io::Error::other)?;
        let connecting = TlsConnector::from(Arc::new(tls)).connect(name, self.tcp().await?);
        timeout(self.patience, connecting).await.map_err(|_| late())?
    }

    async fn tcp(&self) -> io::Result<TcpStream> {
        let connecting = TcpStream::connect((self.url.host(), self.url.port()));
        let stream = timeout(self.patience, connecting).await.map_err(|_| late())??;
        stream.set_nodelay(true)?;
        Ok(stream)
    }

    async fn listen(&self, stream: &mut (impl tokio::io::AsyncRead + Unpin)) -> (Vec<u8>, bool) {
        let (mut heard, mut some) = (Vec::new(), vec![0; 16 * 1024]);
        let end = Instant::now() + self.patience;
        while heard.len() < ANSWER_MAX_BYTES {
            // Once something was said, the rest comes at once.
            let until = if heard.is_empty() { end } else { (Instant::now() + QUIET).min(end) };
            match timeout_at(until, stream.read(&mut some)).await {
                // Whoever closes without a word of TLS, or resets, has ended it too.
                Ok(Ok(0) | Err(_)) => return (heard, true),
                Ok(Ok(n)) => heard.extend_from_slice(&some[..n]),
                Err(_) => break,
            }
        }
        (heard, false)
    }
}

/// How long to wait, when nothing was done since there was no time for it.
fn busy_for(answer: &Answer) -> Option<Duration> {
    let code = answer.code()?;
    let busy = matches!(code.as_str(), "rate_limited" | "overloaded" | "answer_timeout");
    let problem: Value = answer.json().ok().filter(|_| busy)?;
    Some(Duration::from_secs(problem["retry_after"].as_u64().unwrap_or(1).max(1)))
}

/// The first of the answers in these octets: its status, and the document that it holds.
fn first(heard: &[u8]) -> Option<Answer> {
    let text = String::from_utf8_lossy(heard);
    let status = text.strip_prefix("HTTP/1.1 ")?.get(..3)?.parse().ok()?;
    let document = text.find('{').zip(text.rfind('}')).and_then(|(from, to)| text.get(from..=to));
    Some(Answer { status, body: document.unwrap_or_default().to_owned().into() })
}

fn answers(heard: &[u8]) -> usize {
    String::from_utf8_lossy(heard).matches("HTTP/1.1 ").count()
}

fn late() -> io::Error {
    io::Error::new(io::ErrorKind::TimedOut, "no answer in time")
}

/// What the drill speaks.
pub(super) const HTTP_1: &[u8] = b"http/1.1";
pub(super) const AGENT: &str = concat!("sidekey-drill/", env!("CARGO_PKG_VERSION"));
/// As the service counts them, a minute's requests.
const PATIENCE_WITH_LIMITS: Duration = Duration::from_secs(150);
const QUIET: Duration = Duration::from_millis(500);
const ANSWER_MAX_BYTES: usize = 256 * 1024;
