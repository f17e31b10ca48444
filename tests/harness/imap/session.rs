//! A connection of few words: says what a test tells it to, and keeps what is answered as it came.

use std::net::Ipv4Addr;

use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufStream};
use tokio::net::TcpStream;
use tokio::time::timeout;

use super::Account;
use crate::others::process::PATIENCE;

/// One connection.
#[derive(Debug)]
pub struct Session {
    stream: BufStream<TcpStream>,
    tags: u32,
    /// The last of what was said.
    said: Vec<u8>,
}

impl Session {
    /// Connects, and hears the greeting.
    pub async fn connect(port: u16) -> Self {
        let stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port)).await.unwrap();
        stream.set_nodelay(true).unwrap();
        let mut session = Self { stream: BufStream::new(stream), tags: 0, said: Vec::new() };
        let greeting = session.response().await;
        assert!(greeting.starts_with(b"* OK"), "{}", greeting.escape_ascii());
        session
    }

    /// Connects, and logs in as this user with [`super::PASSWORD`].
    pub async fn login(port: u16, user: &str) -> Self {
        Self::of(&Account { user: user.to_owned(), ..Account::at(port) }).await
    }

    /// Connects, and logs in.
    pub async fn of(Account { port, user, password }: &Account) -> Self {
        let mut session = Self::connect(*port).await;
        let answer = session.ask(&format!("LOGIN \"{user}\" \"{password}\"")).await;
        assert!(answer.contains(" OK "), "{answer}");
        session
    }

    /// As [`Self::say`], for eyes.
    pub async fn ask(&mut self, command: &str) -> String {
        String::from_utf8_lossy(&self.say(command.as_bytes()).await).into_owned()
    }

    /// All that is answered to a command, which has no tag yet. Waits before each literal, where it has to.
    pub async fn say(&mut self, command: &[u8]) -> Vec<u8> {
        let tag = self.tag();
        let mut answer = Vec::new();
        let command = [&tag, command].concat();
        let mut rest = command.as_slice();
        while let Some(end) = literal(rest) {
            self.send(&rest[..end]).await;
            rest = &rest[end..];
            let before = self.until(&tag, Some(b"+ ")).await;
            answer.extend_from_slice(&before);
            if !before.starts_with(b"+ ") && !contains(&before, b"\r\n+ ") {
                return answer;
            }
        }
        self.send(&[rest, b"\r\n"].concat()).await;
        answer.extend_from_slice(&self.until(&tag, None).await);
        answer
    }

    /// All that is answered to IDLE, which ends once a response has these words.
    pub async fn idle(&mut self, meanwhile: impl Future<Output = ()>, words: &str) -> Vec<u8> {
        let tag = self.tag();
        self.send(&[&tag, &b"IDLE\r\n"[..]].concat()).await;
        let mut answer = self.until(&tag, Some(b"+ ")).await;
        meanwhile.await;
        while !contains(&answer, words.as_bytes()) {
            let next = self.response().await;
            if next.is_empty() {
                return answer;
            }
            answer.extend_from_slice(&next);
        }
        self.send(b"DONE\r\n").await;
        answer.extend_from_slice(&self.until(&tag, None).await);
        answer
    }

    /// All that comes until the connection ends.
    pub async fn rest(&mut self) -> Vec<u8> {
        let mut rest = Vec::new();
        let reading = self.stream.read_to_end(&mut rest);
        // However it ends: what came is what counts.
        let _ = timeout(PATIENCE, reading).await.expect("the connection ends");
        rest
    }

    fn tag(&mut self) -> Vec<u8> {
        self.tags += 1;
        format!("a{} ", self.tags).into_bytes()
    }

    async fn send(&mut self, octets: &[u8]) {
        self.said = octets.to_vec();
        // Where nobody takes it, nothing will be answered.
        let _ = self.stream.write_all(octets).await;
        let _ = self.stream.flush().await;
    }

    /// Responses up to the tagged one, or to one that begins like this, or to the end of the connection.
    async fn until(&mut self, tag: &[u8], begins: Option<&[u8]>) -> Vec<u8> {
        let mut all = Vec::new();
        loop {
            let response = self.response().await;
            all.extend_from_slice(&response);
            let last = |begin: &[u8]| response.starts_with(begin);
            if response.is_empty() || last(tag) || begins.is_some_and(last) {
                return all;
            }
        }
    }

    /// One response, its literals within. None of it where the connection ended.
    async fn response(&mut self) -> Vec<u8> {
        let reading = async {
            let mut response = Vec::new();
            loop {
                if self.stream.read_until(b'\n', &mut response).await.unwrap_or(0) == 0 {
                    return Vec::new();
                }
                let Some(size) = announced(&response) else { return response };
                let begin = response.len();
                response.resize(begin + size, 0);
                if self.stream.read_exact(&mut response[begin..]).await.is_err() {
                    return Vec::new();
                }
            }
        };
        let read = timeout(PATIENCE, reading).await;
        read.unwrap_or_else(|_| panic!("nothing more is answered to {}", self.said.escape_ascii()))
    }
}

/// Where the first literal begins that is waited for.
fn literal(command: &[u8]) -> Option<usize> {
    let mut line = 0;
    for piece in command.split_inclusive(|octet| *octet == b'\n') {
        line += piece.len();
        if piece.ends_with(b"}\r\n") && !piece.ends_with(b"+}\r\n") {
            return Some(line);
        }
    }
    None
}

/// The size of the literal that a line announces.
pub(super) fn announced(line: &[u8]) -> Option<usize> {
    let size = line.strip_suffix(b"}\r\n")?.rsplit(|octet| *octet == b'{').next()?;
    std::str::from_utf8(size).ok()?.parse().ok()
}

fn contains(octets: &[u8], part: &[u8]) -> bool {
    octets.windows(part.len()).any(|window| window == part)
}
