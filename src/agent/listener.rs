//! Where mail programs connect, and until they are logged in.

use std::fs;
use std::io;
use std::net::SocketAddr;
use std::os::unix::fs::{FileTypeExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use rustls::ServerConfig;
use sidekey_imap::command::Reader;
use sidekey_imap::login::{Credentials, Login, Outcome, Step, Tls, Verified};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, UnixListener, UnixStream};
use tokio::time::{sleep, timeout};
use tokio_rustls::TlsAcceptor;

use crate::config::Listen;
use crate::password::Source;
use crate::session::Session;
use crate::upstream::{Io, Upstream};
use crate::work::Agent;

/// Where mail programs connect.
pub struct Listener {
    door: Door,
    tls: Option<TlsAcceptor>,
}

enum Door {
    Address(TcpListener),
    Unix(UnixListener, PathBuf),
}

/// A connection that somebody has made, TLS not yet begun.
pub(crate) struct Arrived {
    stream: Box<dyn Io>,
    source: Source,
    tls: Option<TlsAcceptor>,
}

/// A mail program that is logged in, here and at the proxy.
pub(crate) struct LoggedIn {
    pub(crate) program: Box<dyn Io>,
    pub(crate) reader: Reader,
    /// What it said after its login.
    pub(crate) input: Vec<u8>,
    pub(crate) upstream: Upstream,
}

impl Listener {
    /// Listens there. A Unix socket that nobody listens at any more is replaced; only this user may connect to it.
    ///
    /// # Errors
    /// The system does not let us.
    pub async fn bind(listen: &Listen, tls: Option<Arc<ServerConfig>>) -> io::Result<Self> {
        let door = match listen {
            Listen::Address(at) => Door::Address(TcpListener::bind(at).await?),
            Listen::Unix(path) => {
                remove_dead(path).await?;
                let listener = UnixListener::bind(path)?;
                fs::set_permissions(path, fs::Permissions::from_mode(0o600))?;
                Door::Unix(listener, path.clone())
            }
        };
        Ok(Self { door, tls: tls.map(TlsAcceptor::from) })
    }

    /// Where that is; of port 0, which it became.
    ///
    /// # Errors
    /// The system does not say.
    pub fn at(&self) -> io::Result<Listen> {
        match &self.door {
            Door::Address(listener) => listener.local_addr().map(Listen::Address),
            Door::Unix(_, path) => Ok(Listen::Unix(path.clone())),
        }
    }

    /// The next connection.
    pub(crate) async fn accept(&self) -> Arrived {
        loop {
            match self.arrived().await {
                Ok((stream, source)) => return Arrived { stream, source, tls: self.tls.clone() },
                Err(error) => {
                    // Out of files, say: others must end first.
                    tracing::warn!(%error, "no connection is taken");
                    sleep(BREATH).await;
                }
            }
        }
    }

    async fn arrived(&self) -> io::Result<(Box<dyn Io>, Source)> {
        match &self.door {
            Door::Address(listener) => {
                let (tcp, peer) = listener.accept().await?;
                tcp.set_nodelay(true)?;
                Ok((Box::new(tcp), Source::Address(SocketAddr::ip(&peer))))
            }
            Door::Unix(listener, _) => {
                let (stream, _) = listener.accept().await?;
                let user = stream.peer_cred()?.uid();
                Ok((Box::new(stream), Source::User(user)))
            }
        }
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        if let Door::Unix(_, path) = &self.door {
            // Gone already, at worst.
            let _ = fs::remove_file(path);
        }
    }
}

/// Removes a socket that nobody listens at.
async fn remove_dead(path: &Path) -> io::Result<()> {
    match fs::symlink_metadata(path) {
        Ok(found) if found.file_type().is_socket() => {}
        Ok(_) => return Err(io::Error::new(io::ErrorKind::AlreadyExists, "a file stands there")),
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(error),
    }
    if UnixStream::connect(path).await.is_ok() {
        return Err(io::ErrorKind::AddrInUse.into());
    }
    fs::remove_file(path)
}

impl Arrived {
    /// Tells it that there is no room.
    pub(crate) async fn turn_away(mut self) {
        if self.tls.is_none() {
            let _ = timeout(BREATH, self.stream.write_all(b"* BYE too many connections\r\n")).await;
        }
    }

    /// Until it has logged in; `None` when it leaves before, or is not let in.
    pub(crate) async fn log_in(self, agent: &Agent, number: u64) -> Option<LoggedIn> {
        let patience = Duration::from_secs(agent.config.limits.login_s.into());
        let stream = match self.tls {
            None => self.stream,
            Some(tls) => Box::new(timeout(patience, tls.accept(self.stream)).await.ok()?.ok()?),
        };
        let (login, greeting) = Login::begin(Tls::Established);
        let mut entrance =
            Entrance { stream, source: self.source, input: Vec::new(), agent, number, patience };
        entrance.say(&greeting).await?;
        entrance.run(login).await
    }
}

/// The last words to a mail program that has logged in and cannot go on.
pub(crate) async fn say_bye(program: &mut dyn Io, why: &str) {
    let bye = format!("* BYE {why}\r\n");
    let said = async {
        program.write_all(bye.as_bytes()).await?;
        program.shutdown().await
    };
    // Whoever does not hear it is gone.
    let _ = timeout(BREATH, said).await;
}

/// A mail program before it is logged in.
struct Entrance<'a> {
    stream: Box<dyn Io>,
    source: Source,
    input: Vec<u8>,
    agent: &'a Agent,
    number: u64,
    /// For how long it may say nothing.
    patience: Duration,
}

impl Entrance<'_> {
    async fn run(mut self, mut login: Login) -> Option<LoggedIn> {
        loop {
            let mut rest = self.input.as_slice();
            let step = login.next(&mut rest);
            let left = rest.len();
            self.input.drain(..self.input.len() - left);
            match step {
                None => self.hear().await?,
                Some(Step::Reply(octets)) => self.say(&octets).await?,
                // There is none to begin: what offers it has begun it already.
                Some(Step::End(octets) | Step::StartTls(octets)) => {
                    self.say(&octets).await;
                    return None;
                }
                Some(Step::Verify(credentials)) => {
                    let (outcome, upstream) =
                        verify(self.agent, self.number, self.source, &credentials).await;
                    match login.verified(&outcome) {
                        Verified::Again(octets, again) => {
                            self.say(&octets).await?;
                            login = again;
                        }
                        Verified::Over(octets) => {
                            self.say(&octets).await;
                            return None;
                        }
                        Verified::LoggedIn(octets, reader) => {
                            self.say(&octets).await?;
                            let Self { stream: program, input, .. } = self;
                            return Some(LoggedIn { program, reader, input, upstream: upstream? });
                        }
                    }
                }
            }
        }
    }

    async fn hear(&mut self) -> Option<()> {
        let came = timeout(self.patience, self.stream.read_buf(&mut self.input)).await.ok()?.ok()?;
        (came > 0).then_some(())
    }

    async fn say(&mut self, octets: &[u8]) -> Option<()> {
        let said = async {
            self.stream.write_all(octets).await?;
            self.stream.flush().await
        };
        timeout(self.patience, said).await.ok()?.ok()
    }
}

/// The agent's own password first; then the way to the proxy, and who answers there.
async fn verify(
    agent: &Agent,
    connection: u64,
    source: Source,
    Credentials { user, secret }: &Credentials,
) -> (Outcome, Option<Upstream>) {
    let holds = agent.admits(secret).await;
    if !holds || *user != agent.config.proxy.user {
        tracing::warn!(connection, password = holds, "a mail program is refused");
        sleep(agent.attempts.wrong(source, std::time::Instant::now())).await;
        return (Outcome::Refused, None);
    }
    match agent.way.connect().await {
        Ok(upstream) => {
            let capabilities = Session::capabilities(&upstream.capabilities);
            (Outcome::Accepted(capabilities), Some(upstream))
        }
        Err(why) => {
            let error = &why as &(dyn std::error::Error + 'static);
            tracing::warn!(connection, error, "no way to the mail server");
            (Outcome::NoWayOn(why.told()), None)
        }
    }
}

impl std::fmt::Debug for Listener {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Listener").field(&self.at().ok()).finish()
    }
}

const BREATH: Duration = Duration::from_millis(200);
