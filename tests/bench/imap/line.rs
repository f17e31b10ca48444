//! A client of few words, which spends next to nothing: it opens nothing, and looks for the end alone.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;

use rustls::pki_types::ServerName;
use rustls::{ClientConfig, ClientConnection, StreamOwned};

/// One connection.
pub(crate) struct Line {
    stream: Box<dyn Stream>,
    buffer: Vec<u8>,
    tags: u32,
}

trait Stream: Read + Write {}

impl<T: Read + Write> Stream for T {}

impl Line {
    /// Connects, over TLS where it is told whom to trust, and hears the greeting.
    pub(crate) fn connect(at: SocketAddr, tls: Option<&Arc<ClientConfig>>) -> Self {
        let tcp = TcpStream::connect(at).unwrap();
        tcp.set_nodelay(true).unwrap();
        let stream: Box<dyn Stream> = match tls {
            None => Box::new(tcp),
            Some(tls) => {
                let name = ServerName::try_from("localhost").unwrap();
                Box::new(StreamOwned::new(ClientConnection::new(Arc::clone(tls), name).unwrap(), tcp))
            }
        };
        let mut line = Self { stream, buffer: vec![0; BUFFER], tags: 0 };
        line.until("*");
        line
    }

    /// Says a command, and hears all of its answer.
    pub(crate) fn ask(&mut self, command: &str) {
        self.tags += 1;
        let tag = format!("a{:05}", self.tags);
        self.stream.write_all(format!("{tag} {command}\r\n").as_bytes()).unwrap();
        self.stream.flush().unwrap();
        self.until(&tag);
    }

    /// Until a line has this tag; what the gateway says by itself may follow it.
    fn until(&mut self, tag: &str) {
        let mut kept = 0;
        loop {
            let read = self.stream.read(&mut self.buffer[kept..]).unwrap();
            assert!(read > 0, "the connection ends before {tag}");
            let all = kept + read;
            let from = all.saturating_sub(LAST_LINES);
            let mut lines = self.buffer[from..all].split_inclusive(|octet| *octet == b'\n');
            let tagged = lines.find(|line| line.starts_with(tag.as_bytes()) && line.ends_with(b"\r\n"));
            if let Some(line) = tagged {
                assert!(line[tag.len()..].starts_with(b" OK"), "{}", line.escape_ascii());
                return;
            }
            // Of what came before nothing is kept.
            self.buffer.copy_within(from..all, 0);
            kept = all - from;
        }
    }
}

const BUFFER: usize = 256 * 1024;
/// Octets that the last lines may have.
const LAST_LINES: usize = 2048;
