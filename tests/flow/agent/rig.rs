//! An agent over real sockets: a mail program in front of it, and behind it somebody who says what a gateway says.

use std::collections::VecDeque;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex};

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use rand_core::SeedableRng as _;
use sidekey_agent::config::{Config, Listen};
use sidekey_agent::control::Control;
use sidekey_agent::listener::Listener;
use sidekey_agent::numbers::Numbers;
use sidekey_agent::password::{self, Hash};
use sidekey_agent::serve::{Stopped, serve};
use sidekey_agent::state::Folder;
use sidekey_agent::work::{Agent, PASSWORD};
use sidekey_client::SessionKey;
use sidekey_client::object::Kind;
use sidekey_tests::mail::{Fetch, sealed};
use sidekey_tests::{ANN, Office};
use tokio::io::{
    AsyncBufReadExt as _, AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _, BufReader,
};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinHandle;

/// An office, its agent for Ann's phone, and who answers behind it.
pub(super) struct Rig {
    pub(super) office: Office,
    pub(super) agent: Arc<Agent>,
    pub(super) folder: Folder,
    pub(super) password: String,
    pub(super) gateway: Gateway,
    pub(super) listen: Listen,
    stop: Option<oneshot::Sender<()>>,
    stopped: JoinHandle<Stopped>,
    _temporary: tempfile::TempDir,
}

impl Rig {
    /// With these options besides those that it needs.
    pub(super) async fn start(options: &str) -> Self {
        let office = Office::open().await;
        let gateway = Gateway::start().await;
        let temporary = tempfile::tempdir().unwrap();
        let folder = Folder::make(temporary.path().join("agent")).unwrap();
        let mut rng = office.system.rng();
        let password = password::make(&mut rng).to_string();
        folder.replace(PASSWORD, &Hash::of(&password, &mut rng).expose()).unwrap();
        folder.replace("proxy.password", b"of the proxy\n").unwrap();
        let file = temporary.path().join("agent.toml");
        let text = format!(
            "listen = '127.0.0.1:0'\n{options}\n[proxy]\nhost = '127.0.0.1'\nport = {}\ntls = 'none'\nuser = '{ANN}'\n\
             password_file = 'agent/proxy.password'\n",
            gateway.port
        );
        std::fs::write(&file, text).unwrap();
        let config = Config::read(&file).unwrap();
        config.check().unwrap();
        let listener = Listener::bind(&config.listen, None).await.unwrap();
        let (listen, control) = (listener.at().unwrap(), Control::bind(&folder).unwrap());
        let client = office.phone.keys.client(office.system.ambient()).await;
        let numbers = Numbers::open(&folder).unwrap();
        let randomness = Arc::new(|| Box::new(rand_chacha::ChaCha20Rng::seed_from_u64(7)) as _);
        let agent = Arc::new(Agent::new(config, folder.clone(), numbers, client, randomness).unwrap());
        let (stop, told) = oneshot::channel();
        let told = async { drop(told.await) };
        let stopped = tokio::spawn(serve(Arc::clone(&agent), listener, control, told));
        let stop = Some(stop);
        Self { office, agent, folder, password, gateway, listen, stop, stopped, _temporary: temporary }
    }

    /// A mail program that has connected.
    pub(super) async fn program(&self) -> Program {
        let stream: Box<dyn Stream> = match &self.listen {
            Listen::Address(at) => Box::new(TcpStream::connect(at).await.unwrap()),
            Listen::Unix(path) => Box::new(tokio::net::UnixStream::connect(path).await.unwrap()),
        };
        let mut program = Program { stream: BufReader::new(stream), tags: 0 };
        let greeting = program.line().await;
        assert!(greeting.starts_with("* OK [CAPABILITY IMAP4rev1 "), "{greeting}");
        program
    }

    /// One that has logged in, and selected INBOX.
    pub(super) async fn reading(&self) -> Program {
        let mut program = self.program().await;
        let said = program.ask(&format!("LOGIN {ANN} {}", self.password)).await;
        assert!(said.starts_with("OK [CAPABILITY IMAP4rev1 "), "{said}");
        let said = program.ask("SELECT INBOX").await;
        assert!(said.ends_with("OK [READ-WRITE] selected\r\n"), "{said}");
        program
    }

    /// Tells the agent to stop.
    pub(super) fn stop(&mut self) {
        drop(self.stop.take());
    }

    /// How it ended.
    pub(super) async fn stopped(self) -> (Stopped, Office) {
        (self.stopped.await.unwrap(), self.office)
    }

    /// What a gateway seals for a letter, as it travels.
    pub(super) async fn letter(&self, key: &SessionKey, text: &[u8]) -> Vec<u8> {
        sealed(&self.office.mail, key, &Fetch::default(), Kind::Literal, text).await
    }
}

pub(super) trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin> Stream for T {}

/// A mail program.
pub(super) struct Program {
    stream: BufReader<Box<dyn Stream>>,
    tags: u32,
}

impl Program {
    pub(super) async fn line(&mut self) -> String {
        let mut line = Vec::new();
        self.stream.read_until(b'\n', &mut line).await.unwrap();
        String::from_utf8_lossy(&line).into_owned()
    }

    pub(super) async fn say(&mut self, text: &str) {
        self.stream.write_all(text.as_bytes()).await.unwrap();
    }

    /// Everything that is said up to how the command went, without its tag.
    pub(super) async fn ask(&mut self, command: &str) -> String {
        self.tags += 1;
        let tag = format!("p{} ", self.tags);
        self.say(&format!("{tag}{command}\r\n")).await;
        let mut said = String::new();
        loop {
            let line = self.line().await;
            assert!(!line.is_empty(), "{command}: it hung up after {said}");
            if let Some(went) = line.strip_prefix(&tag) {
                return said + went;
            }
            said += &line;
        }
    }

    /// All that is said until it hangs up.
    pub(super) async fn rest(&mut self) -> String {
        let mut rest = Vec::new();
        // Cut or closed: it is over.
        let _ = self.stream.read_to_end(&mut rest).await;
        String::from_utf8_lossy(&rest).into_owned()
    }
}

/// Who answers behind the agent: a login, LIST and SELECT as gateways do, and for other commands what a test says.
pub(super) struct Gateway {
    port: u16,
    /// The commands that came, without their tags.
    heard: Arc<Mutex<Vec<String>>>,
    answers: Arc<Mutex<VecDeque<Vec<u8>>>>,
    capabilities: Arc<Mutex<String>>,
    hang_up: mpsc::UnboundedSender<()>,
}

impl Gateway {
    async fn start() -> Self {
        let listener = TcpListener::bind(SocketAddr::from((Ipv4Addr::LOCALHOST, 0))).await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let (hang_up, hung_up) = mpsc::unbounded_channel();
        let gateway = Self {
            port,
            heard: Arc::default(),
            answers: Arc::default(),
            capabilities: Arc::new(Mutex::new("IMAP4rev1 LITERAL+ XENCRYPTED XENCRYPTED=A256GCM".into())),
            hang_up,
        };
        let (heard, answers) = (Arc::clone(&gateway.heard), Arc::clone(&gateway.answers));
        let capabilities = Arc::clone(&gateway.capabilities);
        tokio::spawn(async move {
            let hung_up = Arc::new(tokio::sync::Mutex::new(hung_up));
            while let Ok((stream, _)) = listener.accept().await {
                let (heard, answers, hung_up) =
                    (Arc::clone(&heard), Arc::clone(&answers), Arc::clone(&hung_up));
                let capabilities = capabilities.lock().unwrap().clone();
                tokio::spawn(async move {
                    let serving = serve_one(stream, &heard, &answers, &capabilities);
                    tokio::select! {
                        () = serving => {}
                        _ = async { hung_up.lock().await.recv().await } => {}
                    }
                });
            }
        });
        gateway
    }

    pub(super) fn heard(&self) -> Vec<String> {
        self.heard.lock().unwrap().clone()
    }

    /// What it says to the next command that it knows no answer to, before its OK.
    pub(super) fn answer(&self, octets: impl Into<Vec<u8>>) {
        self.answers.lock().unwrap().push_back(octets.into());
    }

    /// The same: this frame, as the whole of message 1.
    pub(super) fn answer_letter(&self, frame: &[u8]) {
        let text = BASE64_STANDARD.encode(frame);
        self.answer(format!("* 1 FETCH (UID 7 BODY[] {{{}}}\r\n{text})\r\n", text.len()));
    }

    /// What it says from the next connection on that it can.
    pub(super) fn offer(&self, capabilities: &str) {
        *self.capabilities.lock().unwrap() = capabilities.to_owned();
    }

    /// Ends a connection that it has.
    pub(super) fn hang_up(&self) {
        self.hang_up.send(()).unwrap();
    }
}

async fn serve_one(
    stream: TcpStream,
    heard: &Mutex<Vec<String>>,
    answers: &Mutex<VecDeque<Vec<u8>>>,
    capabilities: &str,
) {
    let mut stream = BufReader::new(stream);
    let _ = stream.write_all(b"* OK ready\r\n").await;
    let mut line = String::new();
    while stream.read_line(&mut line).await.is_ok_and(|read| read > 0) {
        let (tag, command) = line.trim_end().split_once(' ').unwrap();
        heard.lock().unwrap().push(command.to_owned());
        let mut said = match command.split(' ').next().unwrap() {
            "LOGIN" => format!("{tag} OK [CAPABILITY {capabilities}] in\r\n").into_bytes(),
            "LIST" => format!("* LIST () \"/\" INBOX\r\n{tag} OK listed\r\n").into_bytes(),
            "SELECT" => {
                let size = "* 100 EXISTS\r\n* OK [UIDVALIDITY 3] valid\r\n";
                format!("{size}{tag} OK [READ-WRITE] selected\r\n").into_bytes()
            }
            _ => {
                let answer = answers.lock().unwrap().pop_front().unwrap_or_default();
                [answer, format!("{tag} OK done\r\n").into_bytes()].concat()
            }
        };
        if stream.write_all(&std::mem::take(&mut said)).await.is_err() {
            return;
        }
        line.clear();
    }
}
