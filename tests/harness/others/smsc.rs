//! An SMSC of few words: it binds whoever comes, and keeps what is submitted.

use std::net::Ipv4Addr;
use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

/// The SMSC.
#[derive(Debug)]
pub struct Smsc {
    /// Where it listens.
    pub port: u16,
    submitted: Arc<watch::Sender<Vec<Submitted>>>,
}

/// A message as it came.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Submitted {
    /// For whom: digits.
    pub to: String,
    /// 0x40: there is a user data header.
    pub esm_class: u8,
    /// 4: octets, 0: text.
    pub data_coding: u8,
    /// All of it, header included.
    pub octets: Vec<u8>,
}

impl Smsc {
    /// On a port of its own.
    pub async fn start() -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let submitted = Arc::new(watch::Sender::new(Vec::new()));
        let kept = Arc::clone(&submitted);
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let kept = Arc::clone(&kept);
                tokio::spawn(async move { serve(stream, &kept).await });
            }
        });
        Self { port, submitted }
    }

    /// What was submitted, once that is so much.
    pub async fn taken(&self, count: usize) -> Vec<Submitted> {
        let mut submitted = self.submitted.subscribe();
        let wait = submitted.wait_for(|all| all.len() >= count);
        tokio::time::timeout(Duration::from_secs(30), wait).await.expect("it comes").unwrap().clone()
    }
}

async fn serve(mut stream: TcpStream, kept: &watch::Sender<Vec<Submitted>>) -> Option<()> {
    loop {
        let mut head = [0; 16];
        stream.read_exact(&mut head).await.ok()?;
        let word = |at: usize| u32::from_be_bytes(head[at..at + 4].try_into().unwrap());
        let (size, command, sequence) = (word(0), word(4), word(12));
        let mut body = vec![0; size as usize - 16];
        stream.read_exact(&mut body).await.ok()?;
        let answer: Vec<u8> = match command {
            BIND_TRANSCEIVER => b"smsc\0".to_vec(),
            SUBMIT_SM => {
                let mut number = 0;
                kept.send_modify(|all| {
                    all.push(submitted(&body));
                    number = all.len();
                });
                format!("{number:08}\0").into_bytes()
            }
            _ => Vec::new(),
        };
        let mut frame = Vec::new();
        for word in [16 + answer.len() as u32, command | RESPONSE, 0, sequence] {
            frame.extend(word.to_be_bytes());
        }
        stream.write_all(&[frame, answer].concat()).await.ok()?;
    }
}

/// SMPP 3.4, section 4.4.1.
fn submitted(body: &[u8]) -> Submitted {
    let mut rest = body;
    let mut text = |fixed: usize| {
        rest = &rest[fixed..];
        let end = rest.iter().position(|octet| *octet == 0).unwrap();
        let text = String::from_utf8(rest[..end].to_vec()).unwrap();
        rest = &rest[end + 1..];
        text
    };
    let (_service, _from, to) = (text(0), text(2), text(2));
    let esm_class = rest[0];
    rest = &rest[3..];
    for _ in 0..2 {
        let end = rest.iter().position(|octet| *octet == 0).unwrap();
        rest = &rest[end + 1..];
    }
    let (data_coding, size) = (rest[2], usize::from(rest[4]));
    Submitted { to, esm_class, data_coding, octets: rest[5..5 + size].to_vec() }
}

const BIND_TRANSCEIVER: u32 = 0x09;
const SUBMIT_SM: u32 = 0x04;
const RESPONSE: u32 = 0x8000_0000;
