//! An SMSC as its operator sees it: it takes what is submitted, or passes it to a real one, and keeps a copy.

use std::io;
use std::net::Ipv4Addr;
use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

/// The SMSC, until the runtime ends.
#[derive(Debug)]
pub struct Smsc {
    /// Where it listens, on this machine.
    pub port: u16,
    submitted: Arc<watch::Sender<Vec<Vec<u8>>>>,
}

impl Smsc {
    /// One that takes everything; with `upstream` one that passes everything to the SMSC at that address.
    ///
    /// # Errors
    /// When loopback has no port to offer, or nobody listens there.
    pub async fn start(upstream: Option<String>) -> io::Result<Self> {
        if let Some(upstream) = &upstream {
            let nobody = |error| io::Error::other(format!("{upstream}: {error}"));
            drop(TcpStream::connect(upstream).await.map_err(nobody)?);
        }
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let port = listener.local_addr()?.port();
        let submitted = Arc::new(watch::Sender::new(Vec::new()));
        let kept = Arc::clone(&submitted);
        tokio::spawn(async move {
            while let Ok((service, _)) = listener.accept().await {
                let (kept, upstream) = (Arc::clone(&kept), upstream.clone());
                tokio::spawn(async move {
                    match upstream {
                        Some(upstream) => pass(service, &upstream, &kept).await,
                        None => answer(service, &kept).await,
                    }
                });
            }
        });
        Ok(Self { port, submitted })
    }

    /// The user data of the message that was submitted as the `number`th, without its header: what a phone's app gets.
    ///
    /// # Errors
    /// When it does not come in time.
    pub async fn data(&self, number: usize) -> io::Result<Vec<u8>> {
        let message = self.message(number).await?;
        let header = message.first().map_or(0, |length| usize::from(*length) + 1);
        Ok(message.get(header..).unwrap_or_default().to_vec())
    }

    /// All of it.
    ///
    /// # Errors
    /// As [`Smsc::data`].
    pub async fn message(&self, number: usize) -> io::Result<Vec<u8>> {
        let mut submitted = self.submitted.subscribe();
        let waited =
            tokio::time::timeout(PATIENCE, submitted.wait_for(|messages| messages.len() >= number)).await;
        match waited {
            Ok(Ok(messages)) => Ok(messages[number - 1].clone()),
            _ => Err(io::Error::new(io::ErrorKind::TimedOut, "no message was submitted in time")),
        }
    }
}

/// Both ways between the service and another SMSC.
async fn pass(service: TcpStream, upstream: &str, kept: &watch::Sender<Vec<Vec<u8>>>) -> io::Result<()> {
    let (mut service_in, mut service_out) = service.into_split();
    let (mut smsc_in, mut smsc_out) = TcpStream::connect(upstream).await?.into_split();
    let up = async {
        loop {
            let pdu = read(&mut service_in).await?;
            keep(&pdu, kept);
            smsc_out.write_all(&pdu).await?;
        }
    };
    tokio::select! {
        ended = up => ended,
        ended = tokio::io::copy(&mut smsc_in, &mut service_out) => ended.map(drop),
    }
}

/// As an SMSC that has nothing against anything.
async fn answer(mut service: TcpStream, kept: &watch::Sender<Vec<Vec<u8>>>) -> io::Result<()> {
    loop {
        let pdu = read(&mut service).await?;
        keep(&pdu, kept);
        let body: &[u8] = match command(&pdu) {
            BIND_TRANSCEIVER => b"SMSC\0",
            SUBMIT_SM => b"1\0",
            _ => b"",
        };
        let size = (HEADER + body.len()) as u32;
        let head = [size, command(&pdu) | RESPONSE, 0].map(u32::to_be_bytes).concat();
        service.write_all(&[&head, &pdu[12..HEADER], body].concat()).await?;
    }
}

async fn read(from: &mut (impl tokio::io::AsyncRead + Unpin)) -> io::Result<Vec<u8>> {
    let size = from.read_u32().await?;
    if !(HEADER as u32..=SIZE_MAX).contains(&size) {
        return Err(io::ErrorKind::InvalidData.into());
    }
    let mut pdu = size.to_be_bytes().to_vec();
    pdu.resize(size as usize, 0);
    from.read_exact(&mut pdu[4..]).await?;
    Ok(pdu)
}

fn command(pdu: &[u8]) -> u32 {
    pdu[4..8].iter().fold(0, |command, octet| command << 8 | u32::from(*octet))
}

fn keep(pdu: &[u8], kept: &watch::Sender<Vec<Vec<u8>>>) {
    if command(pdu) == SUBMIT_SM
        && let Some(message) = short_message(&pdu[HEADER..])
    {
        kept.send_modify(|messages| messages.push(message.to_vec()));
    }
}

/// SMPP 3.4, section 4.4.1: what is submitted, after texts that end with a zero and numbers of one octet.
fn short_message(body: &[u8]) -> Option<&[u8]> {
    let text = |rest: &[u8]| rest.iter().position(|octet| *octet == 0).map(|end| end + 1);
    let mut at = 0;
    // service_type; source and destination after their type and plan; two times after three flags.
    for fixed in [0, 2, 2, 3, 0] {
        at += fixed;
        at += text(body.get(at..)?)?;
    }
    let size = usize::from(*body.get(at + 4)?);
    body.get(at + 5..at + 5 + size)
}

const HEADER: usize = 16;
const SIZE_MAX: u32 = 64 * 1024;
const BIND_TRANSCEIVER: u32 = 0x0000_0009;
const SUBMIT_SM: u32 = 0x0000_0004;
const RESPONSE: u32 = 0x8000_0000;
const PATIENCE: Duration = Duration::from_secs(15);
