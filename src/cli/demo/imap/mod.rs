//! `demo --imap`: the mail path as an enterprise and an operator have it. Ours are the gateway and the agent; the rest is
//! what others wrote.
//!
//! ```text
//!   curl ─▶ agent ─▶ nginx ─(tap)─▶ gateway ─(tap)─▶ Dovecot
//! ```

mod programs;
mod tap;

use std::fs;
use std::io::{self, Read as _};
use std::net::Ipv4Addr;
use std::path::Path;
use std::process::Stdio;
use std::sync::Arc;
use std::time::Duration;

use getrandom::SysRng;
use rand_core::UnwrapErr;
use sidekey_agent::control::Control;
use sidekey_agent::listener::Listener;
use sidekey_agent::numbers::Numbers;
use sidekey_agent::password;
use sidekey_agent::state::Folder;
use sidekey_agent::work::{Agent, PASSWORD};
use sidekey_client::SystemClock;
use sidekey_gateway::Identity;
use sidekey_protocol::ids::SessionId;
use sidekey_protocol::revocation::Target;
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::process::Command;
use tokio::sync::oneshot;
use tokio::time::{Instant, timeout};
use zeroize::Zeroizing;

use self::programs::{MASTER, MASTER_PASSWORD, OWN_PASSWORD, Program, Programs};
use self::tap::Tap;
use super::bearer::secret;
use super::evidence::{Hop, Imap};
use super::glance::Reader;
use super::mail::Letter;
use super::watch::Needles;
use super::world::{Parties, Service, Trouble, USER, server, user};

/// All of it, at work.
struct Chain {
    programs: Programs,
    /// To Dovecot.
    inside: Tap,
    /// The proxy's wire.
    outside: Tap,
    nginx: Program,
    _dovecot: Program,
    /// Where Ann's mail program connects, and what it says there.
    agent: u16,
    password: Zeroizing<String>,
    credential: sidekey_protocol::ids::CredentialId,
    _stop: [oneshot::Sender<()>; 2],
    _folder: tempfile::TempDir,
}

/// Ann's mail, read by curl through all of it; then the proxy's credential is revoked. `but` is left open of the sessions
/// that there are then.
///
/// # Errors
/// [`Trouble`]: a program is missing, or does not run.
pub async fn tell(
    letters: &[Letter],
    service: &Service,
    parties: &Parties,
    but: SessionId,
) -> Result<Imap, Trouble> {
    let programs = Programs::find().await?;
    let letters: Vec<_> =
        letters.iter().filter(|letter| letter.size_bytes < SIZE_MAX).take(LETTERS_MAX).collect();
    let messages = letters.into_iter().map(whole).collect::<io::Result<Vec<_>>>()?;
    let chain = Chain::start(programs, &messages, service, parties).await?;
    let mut seen = Imap { programs: chain.programs.versions.to_vec(), ..Imap::default() };
    let mut last = Vec::new();
    for (at, message) in messages.iter().enumerate() {
        last = chain.curl(at + 1).await?;
        seen.letters += 1;
        seen.whole += u64::from(last == *message);
    }
    (seen.sought, seen.found_outside) = chain.outside.found();
    (_, seen.found_inside) = chain.inside.found();
    let read = Reader::of(&last).glance();
    seen.hops = vec![
        Hop { who: "curl reads".into(), sees: [read.head(), read.text.clone()] },
        Hop { who: "nginx sees".into(), sees: chain.outside.glimpse() },
        Hop { who: "Dovecot sends".into(), sees: chain.inside.glimpse() },
    ];
    seen.own_password = login(chain.outside.port, OWN_PASSWORD).await?.1;
    seen.cut_ms = chain.cut(service).await?;
    // What follows in the story knows of one session.
    for session in parties.server.sessions(&user()).await? {
        if session.session != but {
            parties.server.end(session.session).await?;
        }
    }
    Ok(seen)
}

impl Chain {
    async fn start(
        programs: Programs,
        messages: &[Vec<u8>],
        service: &Service,
        parties: &Parties,
    ) -> Result<Self, Trouble> {
        let folder = programs::folder()?;
        let [mail, proxy, ours] = ["dovecot", "nginx", "sidekey"].map(|name| folder.path().join(name));
        [&mail, &proxy, &ours].into_iter().try_for_each(fs::create_dir)?;
        let label = "the operator's proxy".parse().expect("a label of a few words");
        let issued = service.admin.issue_credential(&server(), &user(), &label, None).await?;
        let credential = Zeroizing::new(issued.secret.expose_printed().to_string());
        let needles = Needles::of(&messages.concat());

        let dovecot = programs.dovecot(&mail, &unix(messages)).await?;
        let inside = Tap::start(dovecot.port, &needles).await?;
        let (gateway, stop_gateway) = gateway(&ours, inside.port, parties).await?;
        let outside = Tap::start(gateway, &needles).await?;
        let nginx = programs.nginx(&proxy, let_in(outside.port, credential.clone()).await?).await?;
        let (agent, password, stop_agent) = agent(&ours, nginx.port, parties).await?;
        Ok(Self {
            programs,
            inside,
            outside,
            nginx,
            _dovecot: dovecot,
            agent,
            password,
            credential: issued.credential,
            _stop: [stop_gateway, stop_agent],
            _folder: folder,
        })
    }

    /// A message, as curl reads it from the agent.
    async fn curl(&self, uid: usize) -> Result<Vec<u8>, Trouble> {
        let mut command = Command::new(&self.programs.curl);
        command.args(["--disable", "--silent", "--show-error", "--max-time", "60", "--config", "-"]);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true);
        let mut curl = command.spawn()?;
        // Of its arguments, everybody on this machine can read.
        let settings = format!(
            "url = \"imap://127.0.0.1:{}/INBOX;UID={uid}\"\nuser = \"{USER}:{}\"\n",
            self.agent, *self.password
        );
        if let Some(mut stdin) = curl.stdin.take() {
            stdin.write_all(settings.as_bytes()).await?;
        }
        let output = curl.wait_with_output().await?;
        if !output.status.success() {
            let said = String::from_utf8_lossy(&output.stderr).trim().to_owned();
            return Err(io::Error::other(said).into());
        }
        Ok(output.stdout)
    }

    /// Milliseconds from the revocation of the proxy's credential to the end of a connection that it had; none when that
    /// does not end.
    async fn cut(&self, service: &Service) -> Result<Option<u64>, Trouble> {
        // nginx puts the credential in place of whatever its user shows it.
        let (mut connection, answer) = login(self.nginx.port, "operator").await?;
        if !answer.as_deref().is_some_and(|answer| answer.starts_with("a OK")) {
            return Ok(None);
        }
        let revoked = Instant::now();
        let target = Target::Credential { credential: self.credential };
        service.admin.revoke(&target, &"the operator was changed".parse().expect("a short reason")).await?;
        let ended = timeout(CUT_MAX, connection.read_to_end(&mut Vec::new())).await;
        Ok(ended.is_ok().then(|| revoked.elapsed().as_millis() as u64))
    }
}

/// The enterprise's end, in front of `upstream`.
async fn gateway(
    folder: &Path,
    upstream: u16,
    parties: &Parties,
) -> Result<(u16, oneshot::Sender<()>), Trouble> {
    secret(&folder.join("master.password"), MASTER_PASSWORD)?;
    let settings = format!(
        "[upstream]\naddress = '127.0.0.1:{upstream}'\ntls = 'none'\nstrip_domain = 'example.org'\n\
         [upstream.master]\nuser = '{MASTER}'\npassword_file = 'master.password'\n\
         [listeners.operator]\nlisten = '127.0.0.1:0'\ntls = 'none'\n"
    );
    fs::write(folder.join("gateway.toml"), settings)?;
    let config = sidekey_gateway::Config::read(&folder.join("gateway.toml")).map_err(io::Error::other)?;
    let identity = Identity {
        server: parties.server.clone(),
        clock: Arc::new(SystemClock),
        rng: || Box::new(UnwrapErr(SysRng)),
    };
    let (stop, stopped) = oneshot::channel::<()>();
    let running = sidekey_gateway::start(config, Some(identity), async { drop(stopped.await) });
    let running = running.map_err(io::Error::other)?;
    let address = running.address("operator").ok_or_else(|| io::Error::from(io::ErrorKind::NotFound))?;
    Ok((address.port(), stop))
}

/// The user's end, behind the proxy at `proxy`; and the password that it has for mail programs.
async fn agent(
    folder: &Path,
    proxy: u16,
    parties: &Parties,
) -> Result<(u16, Zeroizing<String>, oneshot::Sender<()>), Trouble> {
    secret(&folder.join("proxy.password"), "operator")?;
    let settings = format!(
        "listen = '127.0.0.1:0'\n[proxy]\nhost = '127.0.0.1'\nport = {proxy}\ntls = 'none'\nuser = '{USER}'\n\
         password_file = 'proxy.password'\n"
    );
    fs::write(folder.join("agent.toml"), settings)?;
    let config = sidekey_agent::config::Config::read(&folder.join("agent.toml")).map_err(io::Error::other)?;
    let kept = Folder::make(folder.join("agent"))?;
    let password = password::make(&mut UnwrapErr(SysRng));
    let hash = password::Hash::of(&password, &mut UnwrapErr(SysRng));
    kept.replace(PASSWORD, &hash.expose())?;
    let listener = Listener::bind(&config.listen, None).await?;
    let port = match listener.at()? {
        sidekey_agent::config::Listen::Address(address) => address.port(),
        sidekey_agent::config::Listen::Unix(_) => {
            return Err(io::Error::from(io::ErrorKind::AddrNotAvailable).into());
        }
    };
    let control = Control::bind(&kept)?;
    let numbers = Numbers::open(&kept)?;
    let randomness = Arc::new(|| Box::new(UnwrapErr(SysRng)) as _);
    let agent =
        Agent::new(config, kept, numbers, parties.phone.clone(), randomness).map_err(io::Error::other)?;
    let (stop, stopped) = oneshot::channel::<()>();
    let stopped = async { drop(stopped.await) };
    tokio::spawn(sidekey_agent::serve::serve(Arc::new(agent), listener, control, stopped));
    Ok((port, password, stop))
}

/// What nginx asks who may come: everybody, with the operator's credential, to the gateway at `gateway`.
async fn let_in(gateway: u16, credential: Zeroizing<String>) -> io::Result<u16> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
    let port = listener.local_addr()?.port();
    tokio::spawn(async move {
        while let Ok((connection, _)) = listener.accept().await {
            let mut connection = BufReader::new(connection);
            let mut line = String::new();
            while connection.read_line(&mut line).await.is_ok_and(|read| read > 2) {
                line.clear();
            }
            let answer = Zeroizing::new(format!(
                "HTTP/1.0 200 OK\r\nAuth-Status: OK\r\nAuth-Server: 127.0.0.1\r\nAuth-Port: {gateway}\r\n\
                 Auth-Pass: {}\r\n\r\n",
                *credential
            ));
            // Whoever does not wait for it asks again.
            let _ = connection.write_all(answer.as_bytes()).await;
        }
    });
    Ok(port)
}

/// Logs in as Ann, and says what that is answered.
async fn login(port: u16, password: &str) -> Result<(BufReader<TcpStream>, Option<String>), Trouble> {
    let mut connection = BufReader::new(TcpStream::connect((Ipv4Addr::LOCALHOST, port)).await?);
    connection.write_all(format!("a LOGIN {USER} {password}\r\n").as_bytes()).await?;
    let answered = async {
        let mut line = String::new();
        while connection.read_line(&mut line).await? > 0 {
            if line.starts_with("a ") {
                return Ok(Some(line.trim_end().to_owned()));
            }
            line.clear();
        }
        Ok::<_, io::Error>(None)
    };
    let answer = timeout(CUT_MAX, answered).await.map_err(|_| io::Error::from(io::ErrorKind::TimedOut))??;
    Ok((connection, answer))
}

fn whole(letter: &Letter) -> io::Result<Vec<u8>> {
    let mut octets = Vec::new();
    letter.open()?.read_to_end(&mut octets)?;
    Ok(octets)
}

/// As a Maildir keeps them: Dovecot gives each line its CR.
fn unix(messages: &[Vec<u8>]) -> Vec<Vec<u8>> {
    let lines = |message: &Vec<u8>| message.iter().copied().filter(|octet| *octet != b'\r').collect();
    messages.iter().map(lines).collect()
}

/// Letters that go this way, and how large.
const LETTERS_MAX: usize = 20;
const SIZE_MAX: u64 = 1 << 20;
/// A connection whose credential is revoked is cut within two seconds; longer than this nobody waits.
const CUT_MAX: Duration = Duration::from_secs(10);
