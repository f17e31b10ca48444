//! What a connection holds on which nothing happens.

use std::sync::Arc;
use std::time::Duration;

use futures_util::{StreamExt as _, stream};
use rustls::pki_types::ServerName;
use sidekey_client::Roots;
use sidekey_tests::others::authority::Authority;
use tokio::io::{AsyncBufRead, AsyncBufReadExt as _, AsyncWrite, AsyncWriteExt as _, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::client::TlsStream;
use tokio_rustls::{TlsAcceptor, TlsConnector};

use super::office::{ANN, Office};
use crate::measure::tell;
use crate::target::enough_files;

/// Connections at a time.
const CONNECTIONS: usize = 5000;
/// Of which so many begin at a time.
const AT_ONCE: usize = 32;
/// Octets of the message that each has fetched before.
const MESSAGE: usize = 100_000;

#[tokio::test(flavor = "multi_thread")]
async fn five_thousand_connections() {
    enough_files(CONNECTIONS as u64 * 2 + 500);
    let authority = Authority::new();
    let upstream = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = upstream.local_addr().unwrap().port();
    tokio::spawn(accept(upstream, authority.acceptor()));
    let office = Office::open();
    let gateway = office.gateway(port, Some(&authority));
    let trust = Arc::new(Roots::Pem(authority.pem().to_owned()).client_config().unwrap());
    let (at, connector) = (gateway.at("sealed"), TlsConnector::from(trust));
    let before = gateway.memory("VmRSS");
    let idle = async |_| {
        let tcp = TcpStream::connect(at).await.unwrap();
        let stream = connector.connect(ServerName::try_from("localhost").unwrap(), tcp).await.unwrap();
        idling(stream, &office.credential).await
    };
    let lines: Vec<_> = stream::iter(0..CONNECTIONS).map(idle).buffer_unordered(AT_ONCE).collect().await;
    tokio::time::sleep(Duration::from_secs(2)).await;
    let (after, most) = (gateway.memory("VmRSS"), gateway.memory("VmHWM"));
    let each = |memory: u64| (memory - before) as f64 / CONNECTIONS as f64;
    tell(&format!(
        "{} connections in IDLE, each after a FETCH of {MESSAGE} octets, TLS on both sides:",
        lines.len()
    ));
    tell(&format!("  memory of each  {:.1} KiB, at the most {:.1}   (goal: 64)", each(after), each(most)));
}

/// Logs in, fetches a message, and idles.
async fn idling(stream: TlsStream<TcpStream>, credential: &str) -> impl Sized {
    let mut stream = BufReader::new(stream);
    until(&mut stream, "* OK").await;
    for (command, answer) in [
        (&*format!("a1 LOGIN \"{ANN}\" \"{credential}\""), "a1 OK"),
        ("a2 SELECT INBOX", "a2 OK"),
        ("a3 FETCH 1 BODY.PEEK[]", "a3 OK"),
        ("a4 IDLE", "+ "),
    ] {
        stream.write_all(format!("{command}\r\n").as_bytes()).await.unwrap();
        stream.flush().await.unwrap();
        until(&mut stream, answer).await;
    }
    stream
}

/// Until a line begins so.
async fn until(stream: &mut (impl AsyncBufRead + Unpin), beginning: &str) {
    let mut line = Vec::new();
    while !line.starts_with(beginning.as_bytes()) {
        line.clear();
        let read = stream.read_until(b'\n', &mut line).await.unwrap();
        assert!(read > 0, "the connection ends before {beginning}");
        let refused = line.windows(4).any(|octets| matches!(octets, b" NO " | b" BAD"));
        assert!(!refused, "{}", line.escape_ascii());
    }
}

/// A mail server of few words, within TLS.
async fn accept(listener: TcpListener, tls: TlsAcceptor) {
    while let Ok((tcp, _)) = listener.accept().await {
        let tls = tls.clone();
        tokio::spawn(async move { serve(BufReader::new(tls.accept(tcp).await?)).await });
    }
}

async fn serve(mut stream: impl AsyncBufRead + AsyncWrite + Unpin) -> std::io::Result<()> {
    stream.write_all(b"* OK [CAPABILITY IMAP4rev1] ready\r\n").await?;
    stream.flush().await?;
    let message = "x".repeat(MESSAGE);
    let mut line = String::new();
    while stream.read_line(&mut line).await? > 0 {
        let (tag, command) = line.trim_end().split_once(' ').unwrap_or((&line, ""));
        let done = format!("{tag} OK done\r\n");
        let said = match command.split(' ').next().unwrap_or_default() {
            "LOGIN" => format!("{tag} OK [CAPABILITY IMAP4rev1 IDLE LITERAL+ UNSELECT] in\r\n"),
            "SELECT" => format!("* 1 EXISTS\r\n* OK [UIDVALIDITY 3] valid\r\n{done}"),
            "FETCH" => format!("* 1 FETCH (UID 7 BODY[] {{{MESSAGE}}}\r\n{message})\r\n{done}"),
            "IDLE" => "+ idling\r\n".to_owned(),
            _ => done,
        };
        stream.write_all(said.as_bytes()).await?;
        stream.flush().await?;
        line.clear();
    }
    Ok(())
}
