//! Other people's programs, started on free ports and stopped with the test.

use std::net::{Ipv4Addr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::atomic::{AtomicU16, Ordering};
use std::time::Duration;

use serde_json::Value;
use tokio::io::{AsyncBufReadExt as _, BufReader, Lines};
use tokio::net::TcpStream;
use tokio::process::{Child, ChildStdout, Command};
use tokio::time::{sleep, timeout};

/// A program that is told to end, and waited for, when this is dropped.
#[derive(Debug)]
pub struct Process {
    child: Child,
    lines: Lines<BufReader<ChildStdout>>,
}

impl Process {
    /// Starts it in this folder.
    #[must_use]
    pub fn start(program: &str, arguments: &[&str], folder: &Path) -> Self {
        let mut child = Command::new(program)
            .args(arguments)
            .current_dir(folder)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .kill_on_drop(true)
            .spawn()
            .unwrap_or_else(|error| panic!("{program}: {error}; ./tests/run all installs it"));
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        Self { child, lines }
    }

    /// The next of its lines that is an event of this name.
    pub async fn event(&mut self, name: &str) -> Value {
        self.event_within(name, PATIENCE).await
    }

    /// As [`Self::event`], for what takes longer.
    pub async fn event_within(&mut self, name: &str, patience: Duration) -> Value {
        let mut last = Value::Null;
        let found = async {
            while let Some(line) = self.lines.next_line().await.unwrap() {
                last = serde_json::from_str(&line).unwrap();
                if last["event"] == name {
                    return;
                }
            }
            panic!("it ended before {name}, and said last: {last:#}")
        };
        timeout(patience, found).await.unwrap_or_else(|_| panic!("no {name}"));
        last
    }

    /// At once, as a power cut would.
    pub async fn kill(mut self) {
        self.child.kill().await.unwrap();
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // A program with children ends them when it is asked to end, and takes its time; killed, it would leave them.
        if let Some(id) = self.child.id() {
            let _ = std::process::Command::new("kill").arg(id.to_string()).status();
            for _ in 0..1000 {
                if matches!(self.child.try_wait(), Ok(Some(_)) | Err(_)) {
                    return;
                }
                std::thread::sleep(Duration::from_millis(20));
            }
        }
    }
}

/// A port that nobody listens on, and that none of the tests which run at this time will be given: each process has its
/// own, below those that the system gives to whoever connects.
#[must_use]
pub fn free_port() -> u16 {
    static GIVEN: AtomicU16 = AtomicU16::new(0);
    let own = u16::try_from(std::process::id() % 550).unwrap() * 40;
    loop {
        let port = 10_000 + (own + GIVEN.fetch_add(1, Ordering::Relaxed)) % 22_000;
        if TcpListener::bind((Ipv4Addr::LOCALHOST, port)).is_ok() {
            return port;
        }
    }
}

/// Until somebody listens there.
pub async fn listening(port: u16) {
    let connecting = async {
        while TcpStream::connect((Ipv4Addr::LOCALHOST, port)).await.is_err() {
            sleep(Duration::from_millis(50)).await;
        }
    };
    timeout(PATIENCE, connecting).await.unwrap_or_else(|_| panic!("nobody listens on {port}"));
}

/// Where their settings are.
#[must_use]
pub fn counterparts() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("counterparts/carrier")
}

/// For other people's programs to start, on a busy machine.
pub const PATIENCE: Duration = Duration::from_secs(30);
