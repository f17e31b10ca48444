//! An operator's proxy that lies: TLS at both its ends, and between them every command and every response in a test's hands.
//!
//! ```text
//!   agent ──▶ commands(lie) ──▶ gateway
//!         ◀── answers(lie)  ◀──          both honest until a test says otherwise
//!         ◀── say()
//! ```
//! A lie is given one command or response, its literals within, and gives what goes on in its place.

use std::collections::VecDeque;
use std::fmt;
use std::net::Ipv4Addr;
use std::ops::Range;
use std::sync::{Arc, Mutex, MutexGuard};

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use rustls_pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _, ReadHalf, split};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};

use super::session::announced;
use crate::others::authority::Authority;

/// Listens on loopback, for as long as its runtime lives.
#[derive(Clone, Debug)]
pub struct Liar {
    /// Where.
    pub port: u16,
    notes: Arc<Mutex<Notes>>,
}

/// What goes on in place of a command or a response.
pub trait Lie: FnMut(Vec<u8>) -> Vec<u8> + Send {}

impl<F: FnMut(Vec<u8>) -> Vec<u8> + Send> Lie for F {}

struct Notes {
    commands: Box<dyn Lie>,
    answers: Box<dyn Lie>,
    asked: Vec<Vec<u8>>,
    heard: Vec<Vec<u8>>,
    /// The last words of a connection.
    last: Option<Vec<u8>>,
    /// To the agent, on the connection that came last.
    ear: Option<UnboundedSender<Vec<u8>>>,
}

impl Liar {
    /// In front of the gateway's listener at this port; both have the authority's certificate.
    pub async fn start(gateway: u16, authority: &Authority) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let (commands, answers) = (Box::new(honest), Box::new(honest));
        let notes = Notes { commands, answers, asked: Vec::new(), heard: Vec::new(), last: None, ear: None };
        let liar = Self { port, notes: Arc::new(Mutex::new(notes)) };
        let (acceptor, connector, this) = (authority.acceptor(), authority.connector(), liar.clone());
        tokio::spawn(async move {
            while let Ok((agent, _)) = listener.accept().await {
                let (acceptor, connector, this) = (acceptor.clone(), connector.clone(), this.clone());
                tokio::spawn(async move {
                    agent.set_nodelay(true).unwrap();
                    let Ok(agent) = acceptor.accept(agent).await else { return };
                    let gateway = TcpStream::connect((Ipv4Addr::LOCALHOST, gateway)).await.unwrap();
                    gateway.set_nodelay(true).unwrap();
                    let name = ServerName::try_from("localhost").unwrap();
                    let gateway = connector.connect(name, gateway).await.unwrap();
                    this.stand_between(agent, gateway).await;
                });
            }
        });
        liar
    }

    /// From now on, what the gateway says goes on so.
    pub fn answers(&self, lie: impl Lie + 'static) {
        self.notes().answers = Box::new(lie);
    }

    /// From now on, what the agent says goes on so.
    pub fn commands(&self, lie: impl Lie + 'static) {
        self.notes().commands = Box::new(lie);
    }

    /// From now on nothing is altered, and what came before is forgotten.
    pub fn repent(&self) {
        let mut notes = self.notes();
        (notes.commands, notes.answers) = (Box::new(honest), Box::new(honest));
        (notes.asked, notes.heard, notes.last) = (Vec::new(), Vec::new(), None);
    }

    /// Hangs up behind the first response with these words, or what goes on in its place.
    pub fn hang_up_behind(&self, words: &str) {
        self.notes().last = Some(words.as_bytes().to_vec());
    }

    /// Says this to the agent, unasked.
    pub fn say(&self, words: impl AsRef<[u8]>) {
        let notes = self.notes();
        notes.ear.as_ref().expect("an agent is connected").send(words.as_ref().to_vec()).unwrap();
    }

    /// What agents have said so far.
    #[must_use]
    pub fn asked(&self) -> Vec<Vec<u8>> {
        self.notes().asked.clone()
    }

    /// What the gateway has said so far.
    #[must_use]
    pub fn heard(&self) -> Vec<Vec<u8>> {
        self.notes().heard.clone()
    }

    fn notes(&self) -> MutexGuard<'_, Notes> {
        self.notes.lock().unwrap()
    }

    async fn stand_between(&self, agent: impl AsyncRead + AsyncWrite, gateway: impl AsyncRead + AsyncWrite) {
        let (ear, mut words) = unbounded_channel();
        self.notes().ear = Some(ear);
        let ((from_agent, mut to_agent), (from_gateway, mut to_gateway)) = (split(agent), split(gateway));
        let (mut from_agent, mut from_gateway) =
            (Units::new(from_agent, at_once), Units::new(from_gateway, announced));
        loop {
            tokio::select! {
                command = from_agent.next() => {
                    let Some(command) = command else { break };
                    let said = {
                        let mut notes = self.notes();
                        notes.asked.push(command.clone());
                        (notes.commands)(command)
                    };
                    if send(&mut to_gateway, &said).await.is_err() {
                        break;
                    }
                }
                answer = from_gateway.next() => {
                    let Some(answer) = answer else { break };
                    let (said, last) = {
                        let mut notes = self.notes();
                        notes.heard.push(answer.clone());
                        let last = notes.last.as_ref().is_some_and(|last| contains(&answer, last));
                        ((notes.answers)(answer), last)
                    };
                    if send(&mut to_agent, &said).await.is_err() || last {
                        break;
                    }
                }
                said = heard(&mut words) => {
                    if send(&mut to_agent, &said).await.is_err() {
                        break;
                    }
                }
            }
        }
        let _ = tokio::join!(to_agent.shutdown(), to_gateway.shutdown());
    }
}

async fn heard(words: &mut UnboundedReceiver<Vec<u8>>) -> Vec<u8> {
    match words.recv().await {
        Some(words) => words,
        // Another connection has come since.
        None => std::future::pending().await,
    }
}

async fn send(to: &mut (impl AsyncWrite + Unpin), octets: &[u8]) -> std::io::Result<()> {
    to.write_all(octets).await?;
    to.flush().await
}

fn honest(said: Vec<u8>) -> Vec<u8> {
    said
}

/// One side's commands or responses.
struct Units<S> {
    from: ReadHalf<S>,
    came: Vec<u8>,
    /// The size of the literal that comes behind a line, without being waited for.
    literal: fn(&[u8]) -> Option<usize>,
}

impl<S: AsyncRead> Units<S> {
    fn new(from: ReadHalf<S>, literal: fn(&[u8]) -> Option<usize>) -> Self {
        Self { from, came: Vec::new(), literal }
    }

    /// The next one; what is cut off at the end is one too. (What has come stays here when this is dropped.)
    async fn next(&mut self) -> Option<Vec<u8>> {
        loop {
            if let Some(end) = self.end() {
                return Some(self.came.drain(..end).collect());
            }
            if self.from.read_buf(&mut self.came).await.unwrap_or(0) == 0 {
                let rest = std::mem::take(&mut self.came);
                return (!rest.is_empty()).then_some(rest);
            }
        }
    }

    fn end(&self) -> Option<usize> {
        let mut at = 0;
        loop {
            let line = self.came.get(at..)?.iter().position(|octet| *octet == b'\n')? + 1;
            match (self.literal)(&self.came[at..at + line]) {
                Some(size) => at += line + size,
                None => return Some(at + line),
            }
        }
    }
}

/// The size of the literal that a client sends at once.
fn at_once(line: &[u8]) -> Option<usize> {
    let announcement = line.strip_suffix(b"+}\r\n")?;
    announced(&[announcement, b"}\r\n"].concat())
}

/// Where the literals of a command or a response are.
#[must_use]
pub fn literals(said: &[u8]) -> Vec<Range<usize>> {
    let (mut found, mut at) = (Vec::new(), 0);
    while let Some(line) = said[at..].iter().position(|octet| *octet == b'\n').map(|end| at + end + 1) {
        let size = announced(&said[at..line]).or_else(|| at_once(&said[at..line]));
        let end = line + size.unwrap_or(0);
        if size.is_some() {
            found.push(line..end.min(said.len()));
        }
        at = end.min(said.len());
    }
    found
}

/// The frames in the literals of a command or a response, in their order: as base64 or as octets.
#[must_use]
pub fn frames(said: &[u8]) -> VecDeque<Vec<u8>> {
    let decoded = |at: Range<usize>| match &said[at] {
        octets if octets.starts_with(b"XE") => Some(octets.to_vec()),
        text => BASE64_STANDARD.decode(text).ok(),
    };
    literals(said).into_iter().filter_map(decoded).filter(|frame| frame.starts_with(b"XE")).collect()
}

/// The same with another text in the literal of this place, and its length.
#[must_use]
pub fn with_literal(said: &[u8], place: usize, text: &[u8]) -> Vec<u8> {
    let at = literals(said)[place].clone();
    let before = &said[..at.start];
    let opening = before.iter().rposition(|octet| *octet == b'{').unwrap();
    let plus = if before.ends_with(b"+}\r\n") { "+" } else { "" };
    let announcement = format!("{{{}{plus}}}\r\n", text.len());
    [&said[..opening], announcement.as_bytes(), text, &said[at.end..]].concat()
}

/// The same with another frame in the literal of this place, in the same form.
#[must_use]
pub fn with_frame(said: &[u8], place: usize, frame: &[u8]) -> Vec<u8> {
    let octets = said[literals(said)[place].clone()].starts_with(b"XE");
    if octets {
        with_literal(said, place, frame)
    } else {
        with_literal(said, place, BASE64_STANDARD.encode(frame).as_bytes())
    }
}

/// A lie that alters the first frame of whatever has one.
pub fn altering(mut alter: impl FnMut(&mut Vec<u8>) + Send) -> impl Lie {
    move |said| match frames(&said).pop_front() {
        None => said,
        Some(mut frame) => {
            alter(&mut frame);
            with_frame(&said, 0, &frame)
        }
    }
}

/// A lie that puts words in the place of others, wherever they are outside of literals and inside.
pub fn replacing(words: &[(&str, &str)]) -> impl Lie + use<> {
    let words: Vec<_> =
        words.iter().map(|(from, to)| (from.as_bytes().to_vec(), to.as_bytes().to_vec())).collect();
    move |said| words.iter().fold(said, |said, (from, to)| replaced(&said, from, to))
}

/// A lie about those responses alone that have these words.
pub fn where_it_says(words: &str, mut lie: impl Lie) -> impl Lie {
    let words = words.as_bytes().to_vec();
    move |said| if contains(&said, &words) { lie(said) } else { said }
}

/// Whether these octets are among them.
#[must_use]
pub fn contains(said: &[u8], part: &[u8]) -> bool {
    said.windows(part.len()).any(|window| window == part)
}

fn replaced(said: &[u8], from: &[u8], to: &[u8]) -> Vec<u8> {
    let mut rest = said;
    let mut all = Vec::new();
    while let Some(at) = rest.windows(from.len()).position(|window| window == from) {
        all.extend_from_slice(&rest[..at]);
        all.extend_from_slice(to);
        rest = &rest[at + from.len()..];
    }
    all.extend_from_slice(rest);
    all
}

impl fmt::Debug for Notes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Notes").field("asked", &self.asked.len()).finish_non_exhaustive()
    }
}
