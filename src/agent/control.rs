//! What the user asks of the agent that runs: a line of JSON each way, through a Unix socket in the agent's own folder,
//! which nobody else may enter.

use std::collections::BTreeMap;
use std::io::{self, BufRead as _, BufReader, Write as _};
use std::os::unix::net::UnixStream as Blocking;
use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{UnixListener, UnixStream};
use tokio::time::timeout;

use crate::state::Folder;
use crate::tally::Held;
use crate::work::Agent;

/// Where the agent is asked.
#[derive(Debug)]
pub struct Control(UnixListener);

/// What is asked.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Ask {
    /// How it is.
    Status,
    /// Whether messages that are held may vanish.
    Say {
        /// Which of those held.
        id: u64,
        /// Whether they may.
        confirmed: bool,
    },
}

/// How an agent is.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Status {
    /// Its process.
    pub pid: u32,
    /// Connections of mail programs that are open.
    pub connections: u64,
    /// What was noticed since it started, by name.
    pub alerts: BTreeMap<String, u64>,
    /// What waits for its user's word.
    pub held: Vec<Held>,
}

/// What is answered.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Answer {
    /// How it is.
    Status(Status),
    /// It is said of this.
    Said(Held),
    /// Nothing is held by that id.
    NotHeld,
    /// That is nothing that one can ask.
    Malformed,
}

impl Control {
    /// Listens in the folder, which this process holds: what was there is dead.
    ///
    /// # Errors
    /// The system does not let us.
    pub fn bind(folder: &Folder) -> io::Result<Self> {
        let path = folder.file(SOCKET);
        match std::fs::remove_file(&path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        UnixListener::bind(path).map(Self)
    }

    pub(crate) async fn serve(self, agent: Arc<Agent>) {
        loop {
            match self.0.accept().await {
                Ok((stream, _)) => drop(tokio::spawn(timeout(PATIENCE, answer(Arc::clone(&agent), stream)))),
                Err(error) => {
                    tracing::warn!(%error, "nobody can ask");
                    tokio::time::sleep(PATIENCE).await;
                }
            }
        }
    }
}

async fn answer(agent: Arc<Agent>, mut stream: UnixStream) -> io::Result<()> {
    let mut line = Vec::new();
    tokio::io::BufReader::new((&mut stream).take(LINE_MAX)).read_until(b'\n', &mut line).await?;
    let answer = match serde_json::from_slice(&line) {
        Err(_) => Answer::Malformed,
        Ok(Ask::Status) => Answer::Status(Status {
            pid: std::process::id(),
            connections: agent.live(),
            alerts: agent.tally().alerts(),
            held: agent.tally().held(),
        }),
        Ok(Ask::Say { id, confirmed }) => {
            agent.tally().say(id, confirmed).map_or(Answer::NotHeld, Answer::Said)
        }
    };
    stream.write_all(&line_of(&answer)).await
}

/// Asks the agent of this folder; `None` when none runs.
///
/// # Errors
/// It does not answer as an agent does.
pub fn ask(folder: &Folder, ask: Ask) -> io::Result<Option<Answer>> {
    let mut stream = match Blocking::connect(folder.file(SOCKET)) {
        Ok(stream) => stream,
        Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::ConnectionRefused) => {
            return Ok(None);
        }
        Err(error) => return Err(error),
    };
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.write_all(&line_of(&ask))?;
    let mut line = String::new();
    BufReader::new(stream).read_line(&mut line)?;
    serde_json::from_str(&line)
        .map(Some)
        .map_err(|_| io::Error::new(io::ErrorKind::InvalidData, "it is another version's agent"))
}

fn line_of(value: &impl Serialize) -> Vec<u8> {
    let mut line = serde_json::to_vec(value).expect("it is representable as JSON");
    line.push(b'\n');
    line
}

/// The socket's name.
const SOCKET: &str = "control.sock";
const PATIENCE: Duration = Duration::from_secs(5);
/// Octets of what is asked.
const LINE_MAX: u64 = 4096;
