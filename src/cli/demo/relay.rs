//! The operator's proxy: a TCP relay between client and mail server that sees everything, and lies when it is told to.

use std::collections::{HashMap, VecDeque};
use std::io::{self, BufReader, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{self, Receiver, Sender};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;

use sha2::{Digest as _, Sha256};

use super::base64::{Decoder, Encoder};
use super::lie::{Lie, forge};
use super::path::{self, Announcement, DONE, PATIENCE, Request, read_line};
use super::watch::{Needles, Watch};

/// A relay that runs until it is dropped.
#[derive(Debug)]
pub struct Relay {
    address: SocketAddr,
    shared: Arc<Shared>,
    exchanges: Receiver<Exchange>,
}

#[derive(Debug)]
struct Shared {
    server: SocketAddr,
    script: Mutex<Script>,
    done: Sender<Exchange>,
    over: AtomicBool,
}

/// What it is to do, and what it has kept.
#[derive(Debug, Default)]
struct Script {
    lies: VecDeque<Lie>,
    needles: Needles,
    kept: HashMap<Request, Vec<u8>>,
}

/// What passed for one request.
#[derive(Clone, Debug, Default)]
pub struct Exchange {
    /// The client's line.
    pub asked: String,
    /// The line that reached the server; empty when none did.
    pub forwarded: String,
    /// Octets of the literal that reached the client.
    pub octets: u64,
    /// Its beginning.
    pub begins: Vec<u8>,
    /// What the server sent.
    pub sent: [u8; 32],
    /// What the client was given.
    pub given: [u8; 32],
    /// Pieces of the mail that were looked for.
    pub sought: u64,
    /// And seen.
    pub found: u64,
}

impl Relay {
    /// Relays to `server`.
    ///
    /// # Errors
    /// When loopback has no port to offer.
    pub fn start(server: SocketAddr) -> io::Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
        let address = listener.local_addr()?;
        let (done, exchanges) = mpsc::channel();
        let shared =
            Arc::new(Shared { server, script: Mutex::default(), done, over: AtomicBool::new(false) });
        let serving = shared.clone();
        thread::spawn(move || {
            for client in listener.incoming() {
                if serving.over.load(Ordering::Relaxed) {
                    return;
                }
                let shared = serving.clone();
                thread::spawn(move || client.and_then(|client| shared.serve(client)));
            }
        });
        Ok(Self { address, shared, exchanges })
    }

    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Looks for these from now on.
    pub fn look_for(&self, needles: Needles) {
        self.shared.script().needles = needles;
    }

    /// Tells this lie to the next request that has none yet.
    pub fn lie(&self, lie: Lie) {
        self.shared.script().lies.push_back(lie);
    }

    /// Waits for the next exchange to end.
    ///
    /// # Errors
    /// When none does.
    pub fn exchange(&self) -> io::Result<Exchange> {
        self.exchanges.recv_timeout(PATIENCE).map_err(|_| io::ErrorKind::TimedOut.into())
    }
}

impl Drop for Relay {
    fn drop(&mut self) {
        self.shared.over.store(true, Ordering::Relaxed);
        // Wakes the listener, which then ends; when that fails it ends with the process.
        let _ = TcpStream::connect(self.address);
    }
}

impl Shared {
    fn script(&self) -> MutexGuard<'_, Script> {
        self.script.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// One connection: one request. Either end may leave at any time: what was seen until then was seen.
    fn serve(&self, client: TcpStream) -> io::Result<()> {
        path::limit(&client)?;
        let mut exchange = Exchange::default();
        let passed = self.pass(&client, &mut exchange);
        // Nobody waits for it when the demo is over.
        let _ = self.done.send(exchange);
        passed
    }

    fn pass(&self, client: &TcpStream, exchange: &mut Exchange) -> io::Result<()> {
        let asked: Request = read_line(&mut BufReader::new(client))?.parse()?;
        exchange.asked = asked.to_string();
        let lie = self.script().lies.pop_front().unwrap_or(Lie::None);

        let forwarded = lie.request(&asked);
        let server = TcpStream::connect(self.server)?;
        path::limit(&server)?;
        (&server).write_all(format!("{forwarded}\r\n").as_bytes())?;
        exchange.forwarded = forwarded.to_string();

        let mut server = BufReader::new(server);
        let octets = match Announcement::read(&mut server)? {
            Announcement::Literal(octets) => octets,
            no @ Announcement::No(_) => return (&*client).write_all(no.line(&asked).as_bytes()),
        };
        let mut from = Hashing::new(server.by_ref().take(octets));
        let given = self.answer(&lie, &asked, octets, &mut from, client, exchange);
        // What a lie left unread was sent all the same.
        let rest = io::copy(&mut from, &mut io::sink());
        exchange.sent = from.hash.finalize().into();
        given.and(rest).map(drop)
    }

    /// Gives the client what the lie makes of the server's literal.
    fn answer(
        &self,
        lie: &Lie,
        asked: &Request,
        octets: u64,
        from: &mut impl Read,
        mut client: &TcpStream,
        exchange: &mut Exchange,
    ) -> io::Result<()> {
        let (kept, needles) = {
            let script = self.script();
            (
                if let Lie::Replay(request) = lie { script.kept.get(request).cloned() } else { None },
                script.needles.clone(),
            )
        };
        let length = lie.length(octets, kept.as_deref());
        client.write_all(Announcement::Literal(length).line(asked).as_bytes())?;
        let mut to = Watching::new(client, &needles, octets <= KEEP_MAX);
        let given = match (lie, kept) {
            (Lie::None | Lie::Ask(_), _) => io::copy(from, &mut to).map(drop),
            (Lie::Replay(_), Some(kept)) => to.write_all(&kept),
            (Lie::Replay(_), None) => Err(io::Error::other("the proxy has not kept that answer")),
            (Lie::Plain(text), _) => to.write_all(text.as_bytes()),
            (Lie::Flip { .. } | Lie::CutLastRecord | Lie::SwapRecords, _) => {
                let mut encoder = Encoder::new(&mut to);
                forge(lie, &mut Decoder::new(from), &mut encoder, octets)
                    .and_then(|()| encoder.finish().map(drop))
            }
        };
        if let (Lie::None, Some(kept)) = (lie, to.kept.take()) {
            self.script().kept.insert(asked.clone(), kept);
        }
        to.report(exchange);
        given?;
        client.write_all(DONE.as_bytes())
    }
}

/// Answers up to this size are kept, for replays.
const KEEP_MAX: u64 = 64 * 1024;

struct Hashing<R> {
    inner: R,
    hash: Sha256,
}

impl<R> Hashing<R> {
    fn new(inner: R) -> Self {
        Self { inner, hash: Sha256::new() }
    }
}

impl<R: Read> Read for Hashing<R> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let count = self.inner.read(into)?;
        self.hash.update(&into[..count]);
        Ok(count)
    }
}

/// The way to the client: counts, hashes and watches what passes.
struct Watching<'a> {
    client: &'a TcpStream,
    hash: Sha256,
    octets: u64,
    begins: Vec<u8>,
    watch: Watch,
    kept: Option<Vec<u8>>,
}

impl<'a> Watching<'a> {
    fn new(client: &'a TcpStream, needles: &Needles, keep: bool) -> Self {
        let (hash, watch, kept) = (Sha256::new(), Watch::new(needles), keep.then(Vec::new));
        Self { client, hash, octets: 0, begins: Vec::new(), watch, kept }
    }

    fn report(self, exchange: &mut Exchange) {
        exchange.octets = self.octets;
        exchange.given = self.hash.finalize().into();
        exchange.sought = self.watch.sought();
        exchange.found = self.watch.found();
        exchange.begins = self.begins;
    }
}

/// Enough of a literal to show it.
const BEGINS_MAX: usize = 1024;

impl Write for Watching<'_> {
    fn write(&mut self, octets: &[u8]) -> io::Result<usize> {
        self.client.write_all(octets)?;
        self.hash.update(octets);
        self.octets += octets.len() as u64;
        self.begins.extend(octets.iter().take(BEGINS_MAX - self.begins.len()));
        self.watch.see(octets);
        if let Some(kept) = &mut self.kept {
            kept.extend_from_slice(octets);
        }
        Ok(octets.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
