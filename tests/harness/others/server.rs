//! An HTTP server of few words, which says what a test tells it to, sense or nonsense.

use std::collections::BTreeMap;
use std::net::Ipv4Addr;
use std::sync::{Arc, Mutex};

use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;

use super::authority::Authority;

/// A request, as it came.
#[derive(Clone, Debug)]
pub struct Seen {
    pub method: String,
    pub path: String,
    pub headers: BTreeMap<String, String>,
    pub body: Vec<u8>,
}

/// What to answer.
#[derive(Clone, Debug)]
pub enum Say {
    /// A status, headers, a body.
    Answer(u16, Vec<(&'static str, String)>, Vec<u8>),
    /// A head, and then a body that does not end.
    Flood,
    /// Nothing, and the connection ends.
    HangUp,
    /// These octets, whatever they are.
    Octets(&'static [u8]),
    /// Nothing, for ever.
    Stall,
}

impl Say {
    /// A status alone.
    #[must_use]
    pub fn status(status: u16) -> Self {
        Self::Answer(status, Vec::new(), Vec::new())
    }
}

/// Listens on loopback, for as long as its runtime lives.
#[derive(Debug)]
pub struct Server {
    /// Where.
    pub port: u16,
    seen: Arc<Mutex<Vec<Seen>>>,
}

impl Server {
    /// Over plain TCP.
    pub async fn start(answer: impl Fn(&Seen) -> Say + Send + Sync + 'static) -> Self {
        Self::listen(None, answer).await
    }

    /// Over TLS, with this authority's certificate.
    pub async fn start_tls(
        authority: &Authority,
        answer: impl Fn(&Seen) -> Say + Send + Sync + 'static,
    ) -> Self {
        Self::listen(Some(authority.acceptor()), answer).await
    }

    async fn listen(tls: Option<TlsAcceptor>, answer: impl Fn(&Seen) -> Say + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let (answer, seen) = (Arc::new(answer), Arc::new(Mutex::new(Vec::new())));
        let noted = Arc::clone(&seen);
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (answer, noted, tls) = (Arc::clone(&answer), Arc::clone(&noted), tls.clone());
                tokio::spawn(async move {
                    let Some(tls) = tls else { return serve(stream, &*answer, &noted).await };
                    if let Ok(stream) = tls.accept(stream).await {
                        serve(stream, &*answer, &noted).await;
                    }
                });
            }
        });
        Self { port, seen }
    }

    /// The URL of a path here.
    #[must_use]
    pub fn url(&self, path: &str) -> String {
        format!("http://127.0.0.1:{}{path}", self.port)
    }

    /// All requests so far.
    #[must_use]
    pub fn seen(&self) -> Vec<Seen> {
        self.seen.lock().unwrap().clone()
    }
}

async fn serve(
    mut stream: impl AsyncRead + AsyncWrite + Unpin,
    answer: &(dyn Fn(&Seen) -> Say + Send + Sync),
    noted: &Mutex<Vec<Seen>>,
) {
    while let Some(seen) = read(&mut stream).await {
        noted.lock().unwrap().push(seen.clone());
        let octets = match answer(&seen) {
            Say::Answer(status, headers, body) => {
                let mut head = format!("HTTP/1.1 {status} x\r\ncontent-length: {}\r\n", body.len());
                for (name, value) in headers {
                    head += &format!("{name}: {value}\r\n");
                }
                [head.as_bytes(), b"\r\n", &body].concat()
            }
            Say::Flood => {
                let _ = stream.write_all(b"HTTP/1.1 200 x\r\ntransfer-encoding: chunked\r\n\r\n").await;
                let chunk = [&b"100000\r\n"[..], &vec![b'x'; 0x10_0000], b"\r\n"].concat();
                for _ in 0..100 {
                    if stream.write_all(&chunk).await.is_err() {
                        return;
                    }
                }
                return;
            }
            Say::HangUp => return,
            Say::Octets(octets) => octets.to_vec(),
            Say::Stall => return std::future::pending().await,
        };
        if stream.write_all(&octets).await.is_err() {
            return;
        }
    }
}

async fn read(stream: &mut (impl AsyncRead + Unpin)) -> Option<Seen> {
    let mut octets = Vec::new();
    let end = loop {
        if let Some(end) = octets.windows(4).position(|four| four == b"\r\n\r\n") {
            break end;
        }
        if stream.read_buf(&mut octets).await.ok()? == 0 {
            return None;
        }
    };
    let head = String::from_utf8(octets[..end].to_vec()).unwrap();
    let mut lines = head.split("\r\n");
    let mut request = lines.next().unwrap().split(' ').map(str::to_owned);
    let header =
        |line: &str| line.split_once(": ").map(|(name, value)| (name.to_ascii_lowercase(), value.to_owned()));
    let headers: BTreeMap<_, _> = lines.filter_map(header).collect();
    let mut body = octets.split_off(end + 4);
    let length = headers.get("content-length").map_or(0, |length| length.parse().unwrap());
    while body.len() < length {
        if stream.read_buf(&mut body).await.ok()? == 0 {
            return None;
        }
    }
    Some(Seen { method: request.next().unwrap(), path: request.next().unwrap(), headers, body })
}
