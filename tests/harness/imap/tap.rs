//! An ear on the wire: hands on what comes, and keeps it.

use std::net::Ipv4Addr;
use std::sync::{Arc, Mutex};

use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _, split};
use tokio::net::{TcpListener, TcpStream};

/// Listens on loopback, for as long as its runtime lives.
#[derive(Debug)]
pub struct Tap {
    /// Where.
    pub port: u16,
    carried: Arc<Mutex<Vec<Carried>>>,
}

/// What one connection carried.
#[derive(Clone, Debug, Default)]
pub struct Carried {
    /// What was said by the side that connected.
    pub asked: Vec<u8>,
    /// What was said by the side behind the tap.
    pub answered: Vec<u8>,
}

impl Tap {
    /// In front of `upstream`.
    pub async fn start(upstream: u16) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let carried = Arc::new(Mutex::new(Vec::new()));
        let kept = Arc::clone(&carried);
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                let at = {
                    let mut kept = kept.lock().unwrap();
                    kept.push(Carried::default());
                    kept.len() - 1
                };
                let kept = Arc::clone(&kept);
                tokio::spawn(async move {
                    let Ok(server) = TcpStream::connect((Ipv4Addr::LOCALHOST, upstream)).await else {
                        return;
                    };
                    client.set_nodelay(true).unwrap();
                    server.set_nodelay(true).unwrap();
                    relay(client, server, |of| of(&mut kept.lock().unwrap()[at])).await;
                });
            }
        });
        Self { port, carried }
    }

    /// All of each connection so far.
    #[must_use]
    pub fn connections(&self) -> Vec<Carried> {
        self.carried.lock().unwrap().clone()
    }

    /// All that was carried so far, either way.
    #[must_use]
    pub fn carried(&self) -> Vec<u8> {
        let connections = self.carried.lock().unwrap();
        connections.iter().flat_map(|one| [one.asked.as_slice(), &one.answered]).collect::<Vec<_>>().concat()
    }
}

async fn relay(
    client: impl AsyncRead + AsyncWrite,
    server: impl AsyncRead + AsyncWrite,
    keep: impl Fn(&mut dyn FnMut(&mut Carried)),
) {
    let ((from_client, to_client), (from_server, to_server)) = (split(client), split(server));
    let asked = copy(from_client, to_server, |piece| keep(&mut |kept| kept.asked.extend_from_slice(piece)));
    let answered =
        copy(from_server, to_client, |piece| keep(&mut |kept| kept.answered.extend_from_slice(piece)));
    tokio::join!(asked, answered);
}

/// Keeps each piece before it goes on: what has arrived was kept.
async fn copy(mut from: impl AsyncRead + Unpin, mut to: impl AsyncWrite + Unpin, keep: impl Fn(&[u8])) {
    let mut piece = vec![0; 1 << 16];
    while let Ok(read @ 1..) = from.read(&mut piece).await {
        keep(&piece[..read]);
        if to.write_all(&piece[..read]).await.is_err() || to.flush().await.is_err() {
            break;
        }
    }
    let _ = to.shutdown().await;
}
