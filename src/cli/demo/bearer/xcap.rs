//! The little of an XDMS that keeps documents (RFC 4825): whole ones, under entity tags.

use std::collections::HashMap;
use std::io;
use std::net::Ipv4Addr;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use rustls::ServerConfig;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;

/// Documents by path, each with its tag.
type Documents = Mutex<HashMap<String, (u64, Vec<u8>)>>;

/// Starts one on this machine, with the certificate of the service in `data`, until the runtime ends; says its XCAP root
/// with the application usage.
///
/// # Errors
/// No port, no certificate.
pub async fn start(data: &Path) -> io::Result<String> {
    let tls = tls(data)?;
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
    let port = listener.local_addr()?.port();
    let documents = Arc::new(Documents::default());
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let (tls, documents) = (tls.clone(), Arc::clone(&documents));
            tokio::spawn(async move { serve(tls, stream, &documents).await });
        }
    });
    Ok(format!("https://127.0.0.1:{port}/xcap-root/org.example.keys"))
}

fn tls(data: &Path) -> io::Result<TlsAcceptor> {
    let certificate = CertificateDer::from_pem_file(data.join("tls.pem")).map_err(io::Error::other)?;
    let key = PrivateKeyDer::from_pem_file(data.join("tls.key")).map_err(io::Error::other)?;
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(io::Error::other)?
        .with_no_client_auth()
        .with_single_cert(vec![certificate], key)
        .map_err(io::Error::other)?;
    Ok(Arc::new(config).into())
}

async fn serve(tls: TlsAcceptor, stream: TcpStream, documents: &Documents) -> io::Result<()> {
    let mut stream = tls.accept(stream).await?;
    let mut read = Vec::new();
    loop {
        let request = Request::read(&mut stream, &mut read).await?;
        let (status, tag, body) = answer(&request, documents);
        let tag = tag.map(|tag| format!("ETag: \"{tag}\"\r\n")).unwrap_or_default();
        let head = format!("HTTP/1.1 {status}\r\n{tag}Content-Length: {}\r\n\r\n", body.len());
        stream.write_all(&[head.as_bytes(), &body].concat()).await?;
    }
}

fn answer(request: &Request, documents: &Documents) -> (&'static str, Option<u64>, Vec<u8>) {
    let mut documents = documents.lock().unwrap_or_else(PoisonError::into_inner);
    let there = documents.get(&request.path).map(|(tag, _)| *tag);
    let matches = |condition: &str| match condition {
        "*" => there.is_some(),
        tag => there.is_some_and(|there| tag == format!("\"{there}\"")),
    };
    let failed = request.header("if-match").is_some_and(|condition| !matches(condition))
        || request.header("if-none-match").is_some_and(matches);
    match (request.method.as_str(), there) {
        _ if failed => ("412 Precondition Failed", None, Vec::new()),
        ("GET", Some(tag)) => ("200 OK", Some(tag), documents[&request.path].1.clone()),
        ("PUT", there) => {
            let tag = there.unwrap_or(0) + 1;
            documents.insert(request.path.clone(), (tag, request.body.clone()));
            (if there.is_some() { "200 OK" } else { "201 Created" }, Some(tag), Vec::new())
        }
        ("DELETE", Some(_)) => {
            documents.remove(&request.path);
            ("200 OK", None, Vec::new())
        }
        ("GET" | "DELETE", None) => ("404 Not Found", None, Vec::new()),
        _ => ("405 Method Not Allowed", None, Vec::new()),
    }
}

struct Request {
    method: String,
    path: String,
    headers: Vec<(String, String)>,
    body: Vec<u8>,
}

impl Request {
    /// The next one; `read` keeps what came of the one after it.
    async fn read(stream: &mut (impl AsyncRead + Unpin), read: &mut Vec<u8>) -> io::Result<Self> {
        let end = loop {
            match read.windows(4).position(|four| four == b"\r\n\r\n") {
                Some(end) => break end + 4,
                None => more(stream, read).await?,
            }
        };
        let head: Vec<u8> = read.drain(..end).collect();
        let head = String::from_utf8(head).map_err(io::Error::other)?;
        let mut lines = head.lines();
        let mut words = lines.next().unwrap_or_default().split(' ').map(str::to_owned);
        let (method, path) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
        let header = |line: &str| {
            let (name, value) = line.split_once(':')?;
            Some((name.to_ascii_lowercase(), value.trim().to_owned()))
        };
        let mut request =
            Self { method, path, headers: lines.filter_map(header).collect(), body: Vec::new() };
        let length = request.header("content-length").map_or(Ok(0), str::parse).map_err(io::Error::other)?;
        while read.len() < length {
            more(stream, read).await?;
        }
        request.body = read.drain(..length).collect();
        Ok(request)
    }

    fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(own, _)| own == name).map(|(_, value)| value.as_str())
    }
}

async fn more(stream: &mut (impl AsyncRead + Unpin), read: &mut Vec<u8>) -> io::Result<()> {
    if read.len() > SIZE_MAX {
        return Err(io::ErrorKind::InvalidData.into());
    }
    if stream.read_buf(read).await? == 0 { Err(io::ErrorKind::UnexpectedEof.into()) } else { Ok(()) }
}

const SIZE_MAX: usize = 1024 * 1024;
