//! A wire with somebody who listens: hands on what comes, and looks in all of it for pieces of letters.

use std::io;
use std::net::Ipv4Addr;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};

use crate::demo::watch::{Needles, Watch};

/// The wire; it lasts as long as the demo's runtime.
#[derive(Clone, Debug)]
pub(super) struct Tap {
    pub(super) port: u16,
    heard: Arc<Mutex<Heard>>,
}

#[derive(Debug)]
struct Heard {
    watch: Watch,
    /// What the server said last, from a message's beginning on.
    glimpse: Vec<u8>,
}

impl Tap {
    /// Between whoever comes and `upstream`.
    pub(super) async fn start(upstream: u16, needles: &Needles) -> io::Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let heard = Heard { watch: Watch::new(needles), glimpse: Vec::new() };
        let tap = Self { port: listener.local_addr()?.port(), heard: Arc::new(Mutex::new(heard)) };
        let own = tap.clone();
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                let tap = own.clone();
                tokio::spawn(async move { tap.pass(client, upstream).await });
            }
        });
        Ok(tap)
    }

    async fn pass(&self, client: TcpStream, upstream: u16) -> io::Result<()> {
        let server = TcpStream::connect((Ipv4Addr::LOCALHOST, upstream)).await?;
        client.set_nodelay(true)?;
        server.set_nodelay(true)?;
        let ((from_client, to_client), (from_server, to_server)) = (client.into_split(), server.into_split());
        let there = self.hand_on(from_client, to_server, false);
        tokio::try_join!(there, self.hand_on(from_server, to_client, true))?;
        Ok(())
    }

    async fn hand_on(
        &self,
        mut from: OwnedReadHalf,
        mut to: OwnedWriteHalf,
        answers: bool,
    ) -> io::Result<()> {
        let mut buffer = vec![0; 64 * 1024];
        loop {
            let read = from.read(&mut buffer).await?;
            if read == 0 {
                return to.shutdown().await;
            }
            self.hear(&buffer[..read], answers);
            to.write_all(&buffer[..read]).await?;
        }
    }

    fn hear(&self, piece: &[u8], answers: bool) {
        let mut heard = self.heard.lock().unwrap_or_else(PoisonError::into_inner);
        heard.watch.see_stream(piece);
        if answers && let Some(at) = piece.windows(FETCHED.len()).position(|window| window == FETCHED) {
            let end = piece.len().min(at + GLIMPSE);
            heard.glimpse = piece[at..end].to_vec();
        }
    }

    /// How many pieces were looked for, and found.
    pub(super) fn found(&self) -> (u64, u64) {
        let heard = self.heard.lock().unwrap_or_else(PoisonError::into_inner);
        (heard.watch.sought(), heard.watch.found())
    }

    /// The beginning of the message that passed last, as it stood on the wire: what announces it, and a line of it.
    pub(super) fn glimpse(&self) -> [String; 2] {
        let heard = self.heard.lock().unwrap_or_else(PoisonError::into_inner);
        let text = String::from_utf8_lossy(&heard.glimpse).into_owned();
        let mut lines = text.split("\r\n");
        let announced = lines.next().unwrap_or_default().to_owned();
        let subject = lines.clone().find(|line| line.starts_with("Subject: "));
        [announced, subject.or_else(|| lines.next()).unwrap_or_default().to_owned()]
    }
}

/// How a server begins to give a message.
const FETCHED: &[u8] = b" FETCH (";
const GLIMPSE: usize = 2048;
