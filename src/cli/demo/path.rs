//! The stand-in for the IMAP path: the little of its wire that carries one message, and nothing of IMAP's state.
//!
//! ```text
//! client: FETCH 3 BODY[] INBOX            uid, item, mailbox; one request per connection
//! server: * 3 BODY[] {5668}               then so many octets, CRLF, and OK
//!     or: NO there is no such message
//! ```
//! What it carries is what travels on a real path: base64 of one sealed frame in a plain literal, or the message in the
//! clear where there is no Sidekey.

use std::fmt;
use std::io::{self, BufRead, Read as _};
use std::net::TcpStream;
use std::str::FromStr;
use std::time::Duration;

/// What a client asks for.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub struct Request {
    /// Which message.
    pub uid: u32,
    /// What of it, without a partial.
    pub item: String,
    /// From which octet, and how many; all when absent.
    pub partial: Option<(u32, u32)>,
    /// Of which mailbox.
    pub mailbox: String,
}

impl Request {
    /// A whole message.
    #[must_use]
    pub fn whole(mailbox: &str, uid: u32) -> Self {
        Self { uid, item: "BODY[]".into(), partial: None, mailbox: mailbox.into() }
    }
}

impl fmt::Display for Request {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "FETCH {} {}", self.uid, self.item)?;
        if let Some((origin, count)) = self.partial {
            write!(f, "<{origin}.{count}>")?;
        }
        write!(f, " {}", self.mailbox)
    }
}

impl FromStr for Request {
    type Err = io::Error;

    fn from_str(line: &str) -> io::Result<Self> {
        let parse = || {
            let (uid, rest) = line.strip_prefix("FETCH ")?.split_once(' ')?;
            let (item, mailbox) = rest.split_once(' ')?;
            let (item, partial) = match item.strip_suffix('>').and_then(|item| item.split_once('<')) {
                Some((item, partial)) => {
                    let (origin, count) = partial.split_once('.')?;
                    (item, Some((origin.parse().ok()?, count.parse().ok()?)))
                }
                None => (item, None),
            };
            Some(Self { uid: uid.parse().ok()?, item: item.into(), partial, mailbox: mailbox.into() })
        };
        parse().ok_or_else(malformed)
    }
}

/// The line that announces a literal, or refuses one.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Announcement {
    /// So many octets follow.
    Literal(u64),
    /// None, and why.
    No(String),
}

impl Announcement {
    /// Reads the server's line.
    ///
    /// # Errors
    /// Those of the connection; a line that means nothing.
    pub fn read(from: &mut impl BufRead) -> io::Result<Self> {
        let line = read_line(from)?;
        if let Some(why) = line.strip_prefix("NO ") {
            return Ok(Self::No(why.into()));
        }
        let octets = line.strip_prefix("* ").and_then(|rest| rest.strip_suffix('}')?.rsplit_once('{'));
        octets.and_then(|(_, octets)| octets.parse().ok()).map(Self::Literal).ok_or_else(malformed)
    }

    /// The line, for what was asked.
    #[must_use]
    pub fn line(&self, request: &Request) -> String {
        match self {
            Self::Literal(octets) => format!("* {} {} {{{octets}}}\r\n", request.uid, request.item),
            Self::No(why) => format!("NO {why}\r\n"),
        }
    }
}

/// What follows a literal.
pub const DONE: &str = "\r\nOK\r\n";

/// One line without its end, of at most 1,000 octets.
///
/// # Errors
/// Those of the connection; a line that is longer, cut off or no UTF-8.
pub fn read_line(from: &mut impl BufRead) -> io::Result<String> {
    let mut line = String::new();
    from.take(LINE_MAX).read_line(&mut line)?;
    line.strip_suffix("\r\n").map(str::to_owned).ok_or_else(malformed)
}

const LINE_MAX: u64 = 1000;

/// No end of the path waits for ever for another.
///
/// # Errors
/// Those of the socket.
pub fn limit(connection: &TcpStream) -> io::Result<()> {
    connection.set_nodelay(true)?;
    connection.set_read_timeout(Some(PATIENCE))?;
    connection.set_write_timeout(Some(PATIENCE))
}

/// How long one end waits for another.
pub const PATIENCE: Duration = Duration::from_secs(20);

fn malformed() -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, "a line that means nothing on this path")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_reads_as_it_was_written() {
        let part = Request { partial: Some((65_536, 16_384)), ..Request::whole("Ann's other mail", 7) };
        assert_eq!(part.to_string(), "FETCH 7 BODY[]<65536.16384> Ann's other mail");
        for request in [part, Request::whole("INBOX", 1)] {
            assert_eq!(request.to_string().parse::<Request>().unwrap(), request);
        }
        for bad in ["", "FETCH", "FETCH x BODY[] INBOX", "FETCH 1 BODY[]<1> INBOX", "FETCH 1 BODY[]"] {
            assert!(bad.parse::<Request>().is_err(), "{bad}");
        }
    }

    #[test]
    fn an_announcement_reads_as_it_was_written() {
        for announcement in [Announcement::Literal(5668), Announcement::No("there is none".into())] {
            let line = announcement.line(&Request::whole("INBOX", 1));
            assert_eq!(Announcement::read(&mut line.as_bytes()).unwrap(), announcement);
        }
        assert!(read_line(&mut "x".repeat(2000).as_bytes()).is_err());
    }
}
