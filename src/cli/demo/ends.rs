//! The stand-ins at the ends of the path: a mail server that seals what it sends, and a mail app that opens it.
//! What seals and opens is the real thing; the wire between them is in `path.rs`.

use std::collections::HashMap;
use std::io::{self, BufReader, Read, Write as _};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::num::NonZeroU32;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{self, Receiver, Sender};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;

use sidekey_client::object::{Context, Item, Kind, Mailbox, Partial, Reject, ServerToClient};
use sidekey_client::{Client, Server, SessionKey};
use sidekey_protocol::object::{self, Stopped};

use super::base64::{Decoder, Encoder, NOT_BASE64, encoded_len};
use super::glance::{Glance, Looking, Reader};
use super::mail::Letter;
use super::path::{self, Announcement, DONE, PATIENCE, Request, read_line};

/// A mail server that runs until it is dropped.
#[derive(Debug)]
pub struct MailServer {
    address: SocketAddr,
    shared: Arc<Shared>,
    sent: Receiver<Glance>,
}

struct Shared {
    mailboxes: HashMap<&'static str, Vec<Letter>>,
    key: Mutex<Option<(Server, Arc<SessionKey>)>>,
    sent: Sender<Glance>,
    over: AtomicBool,
}

impl MailServer {
    /// Serves these mailboxes: in the clear until it has a key.
    ///
    /// # Errors
    /// When loopback has no port to offer.
    pub fn start(mailboxes: HashMap<&'static str, Vec<Letter>>) -> io::Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
        let (address, (sender, sent)) = (listener.local_addr()?, mpsc::channel());
        let shared = Shared { mailboxes, key: Mutex::new(None), sent: sender, over: AtomicBool::new(false) };
        let shared = Arc::new(shared);
        let serving = shared.clone();
        thread::spawn(move || {
            for proxy in listener.incoming() {
                if serving.over.load(Ordering::Relaxed) {
                    return;
                }
                let shared = serving.clone();
                thread::spawn(move || proxy.and_then(|proxy| shared.serve(&proxy)));
            }
        });
        Ok(Self { address, shared, sent })
    }

    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Seals all that it sends from now on.
    pub fn seal_with(&self, server: &Server, key: &Arc<SessionKey>) {
        let key = Some((server.clone(), key.clone()));
        *self.shared.key.lock().unwrap_or_else(PoisonError::into_inner) = key;
    }

    /// The letters of a mailbox.
    #[must_use]
    pub fn letters(&self, mailbox: &str) -> &[Letter] {
        self.shared.mailboxes.get(mailbox).map_or(&[], Vec::as_slice)
    }

    /// What it sent last.
    ///
    /// # Errors
    /// When it sends nothing.
    pub fn sent(&self) -> io::Result<Glance> {
        self.sent.recv_timeout(PATIENCE).map_err(|_| io::ErrorKind::TimedOut.into())
    }
}

impl Drop for MailServer {
    fn drop(&mut self) {
        self.shared.over.store(true, Ordering::Relaxed);
        // Wakes the listener, which then ends; when that fails it ends with the process.
        let _ = TcpStream::connect(self.address);
    }
}

impl std::fmt::Debug for Shared {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Shared")
    }
}

impl Shared {
    /// One request, answered; what was sent is told to the demo.
    fn serve(&self, proxy: &TcpStream) -> io::Result<()> {
        path::limit(proxy)?;
        let request: Request = read_line(&mut BufReader::new(proxy))?.parse()?;
        let Some((value, len)) = self.value(&request)? else {
            let no = Announcement::No("there is no such message".into());
            return (&*proxy).write_all(no.line(&request).as_bytes());
        };
        let mut reader = Reader::default();
        let sent = self.send(&request, Looking::new(value, &mut reader), len, proxy);
        // Nobody asks when the demo is over.
        let _ = self.sent.send(reader.glance());
        sent
    }

    /// The octets asked for, and how many.
    fn value(&self, request: &Request) -> io::Result<Option<(Box<dyn Read + Send>, u64)>> {
        let letters = self.mailboxes.get(request.mailbox.as_str());
        let Some(letter) = letters.and_then(|letters| letters.get(request.uid.checked_sub(1)? as usize))
        else {
            return Ok(None);
        };
        let (mut value, mut len) = (letter.open()?, letter.size_bytes);
        if request.item == "BODY[TEXT]" {
            len -= skip_header(&mut value)?;
        }
        if let Some((origin, count)) = request.partial {
            let skipped = io::copy(&mut value.by_ref().take(origin.into()), &mut io::sink())?;
            len = (len - skipped).min(count.into());
            value = Box::new(value.take(len));
        }
        Ok(Some((value, len)))
    }

    fn send(&self, request: &Request, mut value: impl Read, len: u64, proxy: &TcpStream) -> io::Result<()> {
        let mut to = io::BufWriter::with_capacity(WRITE_BYTES, proxy);
        let key = self.key.lock().unwrap_or_else(PoisonError::into_inner).clone();
        match key {
            None => {
                to.write_all(Announcement::Literal(len).line(request).as_bytes())?;
                io::copy(&mut value, &mut to)?;
            }
            Some((server, key)) => {
                let place = place(request).map_err(io::Error::other)?;
                let sealer = server.sealer(&key, &place, Kind::Literal, len).map_err(io::Error::other)?;
                let announced = Announcement::Literal(encoded_len(sealer.frame_len()));
                to.write_all(announced.line(request).as_bytes())?;
                let mut encoder = Encoder::new(&mut to);
                object::seal(sealer, value, &mut encoder).map_err(io::Error::other)?;
                encoder.finish()?;
            }
        }
        to.write_all(DONE.as_bytes())?;
        to.flush()
    }
}

const WRITE_BYTES: usize = 64 * 1024;

/// Reads up to the empty line that ends the header; says how many octets that were.
fn skip_header(message: &mut impl Read) -> io::Result<u64> {
    let (mut octet, mut last, mut count) = ([0], [0; 4], 0);
    while last != *b"\r\n\r\n" && message.read(&mut octet)? == 1 {
        last.rotate_left(1);
        last[3] = octet[0];
        count += 1;
    }
    Ok(count)
}

/// What the frame of an answer is bound to. Both ends say it for themselves: the server of what it sends, the client of
/// what it asked for.
fn place(request: &Request) -> Result<Context<ServerToClient>, Reject> {
    let mailbox = Mailbox::new(&request.mailbox, None)?;
    let uid = NonZeroU32::new(request.uid).ok_or(Reject::OtherSubject)?;
    let partial = request.partial.map(|(origin, count)| Partial::new(origin.into(), count)).transpose()?;
    Context::fetch(&mailbox, UID_VALIDITY, uid, &Item::parse(&request.item)?, partial)
}

/// A mailbox keeps it for as long as its messages keep their numbers.
const UID_VALIDITY: NonZeroU32 = NonZeroU32::new(1_772_438_400).expect("not zero");

/// Why the mail app shows nothing.
#[derive(Debug, thiserror::Error)]
pub enum Unread {
    /// The path broke, or the mail server has no such message.
    #[error("nothing arrived: {0}")]
    Io(#[from] io::Error),
    /// What arrived is not what the mail server sealed for this request.
    #[error(transparent)]
    Refused(sidekey_client::Error),
}

/// Fetches and reads one item: in the clear when there is no key, else sealed and nothing else.
///
/// # Errors
/// [`Unread`]; nothing that arrived was acted on.
pub fn fetch(
    proxy: SocketAddr,
    request: &Request,
    key: Option<(&Client, &SessionKey)>,
) -> Result<Glance, Unread> {
    let connection = TcpStream::connect(proxy)?;
    path::limit(&connection)?;
    (&connection).write_all(format!("{request}\r\n").as_bytes())?;
    let mut from = BufReader::with_capacity(WRITE_BYTES, connection);
    let mut literal = match Announcement::read(&mut from)? {
        Announcement::Literal(octets) => from.take(octets),
        Announcement::No(why) => return Err(io::Error::other(why).into()),
    };
    let mut reader = Reader::default();
    match key {
        None => drop(io::copy(&mut literal, &mut reader)?),
        Some((client, key)) => {
            let place = place(request).map_err(|reject| Unread::Refused(reject.into()))?;
            let opener = client.opener(key, &place).map_err(Unread::Refused)?;
            object::open(opener, Decoder::new(&mut literal), &mut reader).map_err(unread)?;
        }
    }
    // A value is whole only now: nothing is looked at before.
    Ok(reader.glance())
}

fn unread(stopped: Stopped<Reject>) -> Unread {
    match stopped {
        Stopped::Refused(reject) => Unread::Refused(reject.into()),
        // What is no text of a frame is no frame.
        Stopped::Io(error) if error.to_string() == NOT_BASE64 => Unread::Refused(Reject::NotAFrame.into()),
        Stopped::Io(error) => Unread::Io(error),
    }
}
