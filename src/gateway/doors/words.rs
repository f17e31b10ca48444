//! What is said at a door until it opens or does not: IMAP, POP3 (RFC 1939), ManageSieve (RFC 5804), submission (RFC 6409).

use std::io;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;

use crate::config::DoorKind;
use crate::side::{Duplex, Side};

/// A conversation.
pub(super) struct Words<S> {
    kind: DoorKind,
    side: Side<S>,
    heard: Vec<u8>,
    greeted: bool,
}

impl<S: Duplex> Words<S> {
    pub(super) const fn new(kind: DoorKind, side: Side<S>) -> Self {
        Self { kind, side, heard: Vec::new(), greeted: false }
    }

    pub(super) fn into_stream(self) -> S {
        self.side.into_stream()
    }

    /// The greeting, and all that comes before TLS.
    pub(super) async fn start_tls(&mut self) -> io::Result<()> {
        self.greeting().await?;
        let command = match self.kind {
            DoorKind::Imap => "a STARTTLS",
            DoorKind::Pop3 => "STLS",
            DoorKind::Sieve | DoorKind::Submission => "STARTTLS",
        };
        if self.say(command).await? { Ok(()) } else { Err(io::Error::other("it does not begin TLS")) }
    }

    /// Whether this opens it.
    pub(super) async fn login(mut self, user: &str, secret: &str) -> io::Result<bool> {
        self.greeting().await?;
        self.credentials(user, secret).await
    }

    /// The same, where the greeting came before TLS.
    pub(super) async fn login_after_starttls(mut self, user: &str, secret: &str) -> io::Result<bool> {
        self.greeted = true;
        match self.kind {
            // It tells what it can again.
            DoorKind::Sieve => _ = self.answer().await?,
            DoorKind::Submission => _ = self.say(EHLO).await?,
            DoorKind::Imap | DoorKind::Pop3 => {}
        }
        self.credentials(user, secret).await
    }

    async fn greeting(&mut self) -> io::Result<()> {
        let yes = self.answer().await?;
        self.greeted = true;
        let greeted = yes && (self.kind != DoorKind::Submission || self.say(EHLO).await?);
        if greeted { Ok(()) } else { Err(io::Error::other("it greets nobody")) }
    }

    async fn credentials(&mut self, user: &str, secret: &str) -> io::Result<bool> {
        let plain = BASE64_STANDARD.encode(format!("\0{user}\0{secret}"));
        match self.kind {
            DoorKind::Imap => self.say(&format!("a LOGIN {} {}", quoted(user), quoted(secret))).await,
            DoorKind::Pop3 => {
                Ok(self.say(&format!("USER {user}")).await? && self.say(&format!("PASS {secret}")).await?)
            }
            DoorKind::Sieve => self.say(&format!("AUTHENTICATE \"PLAIN\" \"{plain}\"")).await,
            DoorKind::Submission => self.say(&format!("AUTH PLAIN {plain}")).await,
        }
    }

    /// Says it; whether the answer is yes.
    async fn say(&mut self, command: &str) -> io::Result<bool> {
        self.side.send(format!("{command}\r\n").as_bytes()).await?;
        self.answer().await
    }

    /// Whether the next answer is yes.
    async fn answer(&mut self) -> io::Result<bool> {
        loop {
            let line = self.line().await?;
            if let Some(yes) = verdict(self.kind, self.greeted, &line) {
                return Ok(yes);
            }
        }
    }

    async fn line(&mut self) -> io::Result<String> {
        loop {
            if let Some(end) = self.heard.iter().position(|octet| *octet == b'\n') {
                let line: Vec<u8> = self.heard.drain(..=end).collect();
                return Ok(String::from_utf8_lossy(&line).trim_end().to_owned());
            }
            if self.heard.len() > LINE_MAX {
                return Err(io::ErrorKind::InvalidData.into());
            }
            if !self.side.read(&mut self.heard).await? {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
        }
    }
}

/// Whether a line says yes or no; `None` when another follows that does.
fn verdict(kind: DoorKind, greeted: bool, line: &str) -> Option<bool> {
    let word = |line: &str| line.split([' ', '(']).next().unwrap_or_default().to_ascii_uppercase();
    match kind {
        DoorKind::Imap => match line.split_once(' ')? {
            // Of untagged ones the greeting alone is an answer.
            ("*", rest) if !greeted => Some(word(rest) == "OK"),
            ("*", _) => None,
            ("a", rest) => Some(word(rest) == "OK"),
            _ => Some(false),
        },
        DoorKind::Pop3 => Some(line.starts_with("+OK")),
        DoorKind::Sieve => match word(line).as_str() {
            "OK" => Some(true),
            "NO" | "BYE" => Some(false),
            _ => None,
        },
        DoorKind::Submission if line.as_bytes().get(3) == Some(&b'-') => None,
        DoorKind::Submission => Some(line.starts_with('2')),
    }
}

fn quoted(text: &str) -> String {
    format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\""))
}

const EHLO: &str = "EHLO sidekey.invalid";
/// Octets of a line.
const LINE_MAX: usize = 64 * 1024;
