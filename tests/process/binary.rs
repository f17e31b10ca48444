//! The built binary with a data folder and profiles of its own, and services that end with their test.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::mpsc::{self, Receiver};
use std::time::{Duration, Instant};

use serde_json::Value;

/// How long anything may take on a busy machine.
const PATIENCE: Duration = Duration::from_secs(60);

/// One user's `sidekey`: commands find the data folder, the credential and the profiles in a temporary folder.
pub(crate) struct Sidekey {
    folder: tempfile::TempDir,
}

/// What a command did.
#[derive(Debug)]
pub(crate) struct Ran {
    pub(crate) code: i32,
    pub(crate) out: String,
    pub(crate) err: String,
}

impl Sidekey {
    pub(crate) fn new() -> Self {
        Self { folder: tempfile::tempdir().unwrap() }
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub(crate) fn data(&self) -> PathBuf {
        self.path("data")
    }

    /// The command of one line, words separated by spaces, `"` around words that hold some.
    pub(crate) fn command(&self, line: &str) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_sidekey"));
        command.args(words(line)).current_dir(self.folder.path());
        for (name, _) in std::env::vars_os().filter(|(name, _)| name.to_string_lossy().starts_with("SIDEKEY"))
        {
            command.env_remove(name);
        }
        command.env("SIDEKEY_DATA", self.data()).env("SIDEKEY_HOME", self.path("home"));
        command
    }

    pub(crate) fn run(&self, line: &str) -> Ran {
        self.run_with_input(line, "")
    }

    pub(crate) fn run_with_input(&self, line: &str, input: &str) -> Ran {
        let mut child = piped(&mut self.command(line));
        // A command that does not read its input may be gone already.
        let _ = child.stdin.take().expect("piped").write_all(input.as_bytes());
        child.wait_with_output().unwrap().into()
    }

    /// Runs a command that must succeed, with `-o json`, and reads its answer.
    pub(crate) fn json(&self, line: &str) -> Value {
        self.run(&format!("{line} -o json")).succeeded().json()
    }

    /// Makes a data folder whose service is reached at a port that was free a moment ago.
    pub(crate) fn init(&self) -> u16 {
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        self.run(&format!("init --url https://localhost:{port}")).succeeded();
        self.beside_any(port);
        port
    }

    /// Lets the operations listener of a folder for this port be at any: the one beside may be taken by another test.
    pub(crate) fn beside_any(&self, port: u16) {
        let path = self.data().join("sidekey.toml");
        let config = std::fs::read_to_string(&path).unwrap();
        let beside = format!("listen = \"127.0.0.1:{}\"", port.checked_add(1).unwrap_or(8444));
        std::fs::write(&path, config.replace(&beside, "listen = \"127.0.0.1:0\"")).unwrap();
    }

    /// What comes of it when a profile of this name joins by an invitation that this command makes.
    pub(crate) fn pair(&self, invite: &str, profile: &str) -> Value {
        let invited = self.json(invite);
        let line = format!("join --profile {profile} --label {profile} --ca data/ca.pem -o json");
        self.run_with_input(&line, invited["link"].as_str().unwrap()).succeeded().json()
    }

    pub(crate) fn serve(&self, port: u16) -> Serving {
        Serving::start(&mut self.command(&format!("serve --listen 127.0.0.1:{port}")))
    }
}

impl Ran {
    pub(crate) fn succeeded(self) -> Self {
        assert_eq!(self.code, 0, "{self:?}");
        self
    }

    pub(crate) fn failed(self, code: i32) -> Self {
        assert_eq!(self.code, code, "{self:?}");
        assert_eq!(self.out, "", "a refusal is no result");
        self
    }

    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.out).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }

    /// What a command that failed with `-o json` says.
    pub(crate) fn problem(&self) -> Value {
        serde_json::from_str(&self.err).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }
}

impl From<Output> for Ran {
    fn from(output: Output) -> Self {
        let text = |bytes| String::from_utf8(bytes).unwrap();
        // No code: ended by a signal.
        let code = output.status.code().unwrap_or(-1);
        Self { code, out: text(output.stdout), err: text(output.stderr) }
    }
}

/// A command that runs on, and is killed with its test.
pub(crate) struct Serving {
    child: Child,
    /// What it says that nobody has waited for yet.
    pub(crate) lines: Receiver<String>,
    /// The line that said so.
    pub(crate) ready: String,
    /// Lines that came before one that was waited for.
    pub(crate) seen: Vec<String>,
}

impl Serving {
    pub(crate) fn start(command: &mut Command) -> Self {
        let mut serving = Self::follow(piped(command));
        serving.ready = serving.line_with("sidekey: ready");
        serving
    }

    /// A command that was given this to read, and says on standard error what it waits for.
    pub(crate) fn with_input(command: &mut Command, input: &str) -> Self {
        let mut child = piped(command);
        child.stdin.take().expect("piped").write_all(input.as_bytes()).unwrap();
        Self::follow(child)
    }

    fn follow(mut child: Child) -> Self {
        let (send, lines) = mpsc::channel();
        let stderr = BufReader::new(child.stderr.take().expect("piped"));
        // Reads to the end whoever listens: a full pipe would stop the service.
        std::thread::spawn(move || {
            stderr.lines().map_while(Result::ok).for_each(|line| drop(send.send(line)))
        });
        Self { child, lines, ready: String::new(), seen: Vec::new() }
    }

    /// What it says at its end, which comes by itself.
    pub(crate) fn ends(&mut self) -> (i32, String) {
        let mut out = String::new();
        self.child.stdout.take().expect("piped").read_to_string(&mut out).unwrap();
        (self.child.wait().unwrap().code().unwrap_or(-1), out)
    }

    /// Waits for a line that contains `word`.
    pub(crate) fn line_with(&mut self, word: &str) -> String {
        let deadline = Instant::now() + PATIENCE;
        while let Ok(line) = self.lines.recv_timeout(deadline.saturating_duration_since(Instant::now())) {
            if line.contains(word) {
                return line;
            }
            self.seen.push(line);
        }
        panic!("it said no line with {word:?}: {:#?}", self.seen);
    }

    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// What the system says of its memory, in KiB: `VmRSS`, or `VmHWM`, the most so far.
    pub(crate) fn memory(&self, what: &str) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.pid())).unwrap();
        let line = status.lines().find(|line| line.starts_with(what)).unwrap();
        line.split_whitespace().nth(1).unwrap().parse().unwrap()
    }

    /// Sends it a signal by name.
    pub(crate) fn signal(&self, signal: &str) {
        let kill =
            Command::new("kill").args([format!("-{signal}"), self.pid().to_string()]).status().unwrap();
        assert!(kill.success());
    }

    /// Sends it a signal by name, and waits for its end.
    pub(crate) fn stop(mut self, signal: &str) -> i32 {
        self.signal(signal);
        self.child.wait().unwrap().code().unwrap_or(-1)
    }
}

impl Drop for Serving {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn piped(command: &mut Command) -> Child {
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
}

fn words(line: &str) -> Vec<String> {
    let part = |(n, part): (usize, &str)| match n % 2 {
        1 => vec![part.to_owned()],
        _ => part.split_whitespace().map(str::to_owned).collect(),
    };
    line.split('"').enumerate().flat_map(part).collect()
}

pub(crate) fn mode(path: &Path) -> u32 {
    use std::os::unix::fs::PermissionsExt as _;

    path.metadata().unwrap().permissions().mode() & 0o777
}
