//! Real IMAP on loopback, by programs that others wrote.
//!
//! ```text
//!   client ─▶ Tap ─▶ proxy ─▶ Tap ─▶ dovecot
//!      │       (what an operator sees)   │
//!      └── exchange: said to two servers, and compared
//! ```
//!
//! `liar` is a proxy that says what a test tells it to. `corpus` is the mail, and `markers` the words in it that nobody else writes.

#![expect(clippy::unwrap_used, reason = "helpers of tests are tests")]
#![expect(clippy::missing_panics_doc, reason = "what fails here fails its test")]

pub mod agent;
pub mod client;
pub mod corpus;
pub mod dovecot;
mod encode;
pub mod exchange;
pub mod gateway;
pub mod liar;
pub mod markers;
pub mod proxy;
pub mod session;
pub mod tap;

use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use tokio::io::AsyncReadExt as _;
use tokio::net::TcpStream;
use tokio::time::{sleep, timeout};

use crate::others::process::PATIENCE;

/// Whose mail it is, mostly.
pub const USER: &str = "alice";
/// Every user's.
pub const PASSWORD: &str = "secret";

/// How a mail program reaches its user's mail.
#[derive(Clone, Debug)]
pub struct Account {
    /// On this machine, without TLS.
    pub port: u16,
    /// His name there.
    pub user: String,
    /// His password there.
    pub password: String,
}

impl Account {
    /// [`USER`]'s, with [`PASSWORD`].
    #[must_use]
    pub fn at(port: u16) -> Self {
        Self { port, user: USER.to_owned(), password: PASSWORD.to_owned() }
    }
}

/// What mail programs are told.
fn counterparts() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("counterparts/imap")
}

/// Until a server greets who connects: one that only listens may not be able to let anybody in yet, and hang up.
async fn greets(port: u16) {
    let greeted = async || -> std::io::Result<bool> {
        let mut greeting = [0; 4];
        TcpStream::connect((Ipv4Addr::LOCALHOST, port)).await?.read_exact(&mut greeting).await?;
        Ok(greeting == *b"* OK")
    };
    let greeting = async {
        while !greeted().await.unwrap_or(false) {
            sleep(Duration::from_millis(50)).await;
        }
    };
    timeout(PATIENCE, greeting).await.unwrap_or_else(|_| panic!("nobody greets on {port}"));
}
