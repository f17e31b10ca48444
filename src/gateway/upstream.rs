//! The mail server: how it is reached, and what is said to it before anybody else speaks.

use std::io;

use rustls::pki_types::ServerName;
use sidekey_imap::command::{Atom, Body, Command, Literals, Password, Tag};
use sidekey_imap::response::{
    Attribute, Capabilities, Code, Condition, Message, Piece, Policy, Responses, Status, Verdict,
};
use sidekey_imap::scanner::Limits;
use sidekey_protocol::ids::UserName;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use zeroize::Zeroizing;

use crate::accounts::{Account, Accounts};
use crate::config::{self, Tls};
use crate::files::BadFile;
use crate::side::{Duplex, Side, Stream};
use crate::tls;

/// How the mail server is reached.
pub(crate) struct Upstream {
    host: String,
    port: u16,
    tls: Tls,
    connector: TlsConnector,
    name: Option<ServerName<'static>>,
    accounts: Accounts,
    login: config::Login,
}

/// Why the mail server is of no use.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Unreached {
    /// No connection, or it broke.
    #[error("the mail server is not reached")]
    Io(#[from] io::Error),
    /// Not in time.
    #[error("the mail server does not answer within limits.connect_s")]
    Late,
    /// It says so.
    #[error("the mail server is busy, or will not speak with us")]
    Declined,
    /// It does not take the account that is configured.
    #[error("the mail server refuses the login: see upstream.master and upstream.accounts")]
    Refused,
    /// It takes no password there.
    #[error(
        "the mail server takes no password on this connection (LOGINDISABLED): see upstream.tls and upstream.login"
    )]
    LoginDisabled,
    /// It does not know the way of logging in that is configured.
    #[error("the mail server does not offer AUTH=PLAIN, and upstream.login is \"plain\"")]
    NoPlain,
    /// It does not begin TLS.
    #[error("the mail server has no STARTTLS")]
    NoStartTls,
    /// What it says is no IMAP.
    #[error("the mail server does not speak IMAP")]
    NoImap,
}

impl Unreached {
    /// Its name, for what is counted.
    pub(crate) const fn name(&self) -> &'static str {
        match self {
            Self::Io(_) => "connection",
            Self::Late => "late",
            Self::Declined => "declined",
            Self::Refused => "refused",
            Self::LoginDisabled => "login_disabled",
            Self::NoPlain => "no_plain",
            Self::NoStartTls => "no_starttls",
            Self::NoImap => "no_imap",
        }
    }
}

/// A connection on which nobody is logged in.
pub(crate) struct Reached {
    pub(crate) side: Side,
    /// What is to be said to whoever speaks next, where the mail server's greeting has been used up.
    pub(crate) greeting: Option<Vec<u8>>,
    /// What it can, where it was asked.
    capabilities: Option<Capabilities>,
}

impl Upstream {
    /// As the configuration says, its files read.
    pub(crate) fn read(config: &config::Upstream) -> Result<Self, BadFile> {
        let (client, name) = tls::of_upstream(config)?;
        let (host, port) = config.host_and_port().unwrap_or_default();
        let accounts = Accounts::read(config)?;
        let (host, connector) = (host.to_owned(), client.into());
        Ok(Self { host, port, tls: config.tls, connector, name, accounts, login: config.login })
    }

    /// As whom the gateway logs in for a user; `None` where it cannot.
    pub(crate) fn account(&self, user: &UserName) -> Option<Account> {
        self.accounts.of(user)
    }

    /// A connection on which the gateway is logged in.
    pub(crate) async fn log_in(&self, account: Account) -> Result<LoggedIn, Unreached> {
        let Reached { side, greeting, capabilities } = self.reach().await?;
        let mut talk = Talk::new(side);
        let mut offered = capabilities;
        if greeting.is_none()
            && let Some(Code::Capability(told)) = talk.greeting().await?.code
        {
            offered = Some(told);
        }
        let offered = match offered {
            Some(told) => told,
            None => talk.capabilities("l0").await?,
        };
        let answer = if plain(self.login, &offered)? {
            talk.authenticate("l1", account.plain(), offered.has("SASL-IR")).await?
        } else {
            talk.ask("l1", account.login()).await?
        };
        if answer.status.condition != Condition::Ok {
            return Err(Unreached::Refused);
        }
        let capabilities = match answer.capabilities {
            Some(told) => told,
            None => talk.capabilities("l2").await?,
        };
        Ok(LoggedIn { side: talk.side, rest: talk.input, capabilities })
    }

    /// A connection, in TLS where that is said; the mail server's greeting waits in it, or is given.
    pub(crate) async fn reach(&self) -> Result<Reached, Unreached> {
        let tcp = TcpStream::connect((self.host.as_str(), self.port)).await?;
        tcp.set_nodelay(true)?;
        match self.tls {
            Tls::None => Ok(Reached { side: Side::boxed(tcp), greeting: None, capabilities: None }),
            Tls::Implicit => {
                Ok(Reached { side: self.secure(tcp).await?, greeting: None, capabilities: None })
            }
            Tls::StartTls => self.start_tls(tcp).await,
        }
    }

    /// STARTTLS; then the greeting that the mail server would have given had TLS begun with the first octet.
    async fn start_tls(&self, tcp: TcpStream) -> Result<Reached, Unreached> {
        let mut talk = Talk::new(Side::new(tcp));
        let greeting = talk.greeting().await?;
        if talk.ask("t0", Body::StartTls).await?.status.condition != Condition::Ok {
            return Err(Unreached::NoStartTls);
        }
        // What came behind the answer is thrown away: whoever stands between could have put it there.
        let mut talk = Talk::new(self.secure(talk.side.into_stream()).await?);
        let capabilities = talk.capabilities("t1").await?;
        let greeting = greeting.with_code(Some(&capabilities.to_string())).into_bytes();
        Ok(Reached { side: talk.side, greeting: Some(greeting), capabilities: Some(capabilities) })
    }

    async fn secure(&self, tcp: TcpStream) -> Result<Side, Unreached> {
        let name = self.name.clone().ok_or(io::ErrorKind::InvalidInput).map_err(io::Error::from)?;
        Ok(Side::boxed(self.connector.connect(name, tcp).await?))
    }
}

/// Whether the gateway logs in by AUTHENTICATE PLAIN, and not by LOGIN, at a mail server that offers these.
fn plain(login: config::Login, offered: &Capabilities) -> Result<bool, Unreached> {
    use config::Login;

    match (login, offered.has("AUTH=PLAIN"), offered.has("LOGINDISABLED")) {
        (Login::Auto | Login::Plain, true, _) => Ok(true),
        (Login::Auto | Login::Login, _, false) => Ok(false),
        (Login::Auto | Login::Login, _, true) | (Login::Plain, false, true) => Err(Unreached::LoginDisabled),
        (Login::Plain, false, false) => Err(Unreached::NoPlain),
    }
}

/// One on which the gateway is logged in for a user.
pub(crate) struct LoggedIn {
    pub(crate) side: Side,
    /// What came behind its last answer.
    pub(crate) rest: Vec<u8>,
    /// What the mail server can do for him.
    pub(crate) capabilities: Capabilities,
}

impl Reached {
    /// The connection once its greeting has been heard, and what came behind that.
    pub(crate) async fn greeted(self) -> Result<(Side, Vec<u8>), Unreached> {
        if self.greeting.is_some() {
            return Ok((self.side, Vec::new()));
        }
        let mut talk = Talk::new(self.side);
        talk.greeting().await?;
        Ok((talk.side, talk.input))
    }
}

/// The gateway's own words with the mail server.
struct Talk<S = Stream> {
    side: Side<S>,
    responses: Responses,
    input: Vec<u8>,
}

/// What a command was answered.
struct Answer {
    status: Status,
    capabilities: Option<Capabilities>,
}

impl<S: Duplex> Talk<S> {
    fn new(side: Side<S>) -> Self {
        let limits = Limits { literal: INPUT_MAX as u64, ..Limits::SERVER };
        Self { side, responses: Responses::new(limits), input: Vec::new() }
    }

    /// What the mail server says first.
    async fn greeting(&mut self) -> Result<Status, Unreached> {
        let mut capabilities = None;
        match self.reaction(None, &mut capabilities).await? {
            Some(greeting) if greeting.condition == Condition::Ok => Ok(greeting),
            _ => Err(Unreached::Declined),
        }
    }

    /// What it can do now, asked for.
    async fn capabilities(&mut self, tag: &str) -> Result<Capabilities, Unreached> {
        self.ask(tag, Body::Capability).await?.capabilities.ok_or(Unreached::NoImap)
    }

    /// AUTHENTICATE PLAIN. What proves it goes at once where the mail server takes it so (SASL-IR), else when it is asked for.
    async fn authenticate(&mut self, tag: &str, proof: Password, at_once: bool) -> Result<Answer, Unreached> {
        let mechanism = Atom::new("PLAIN").expect("it is an atom");
        if at_once {
            return self.ask(tag, Body::Authenticate { mechanism, initial: Some(proof) }).await;
        }
        let line = Zeroizing::new([proof.expose(), b"\r\n"].concat());
        self.say(tag, Body::Authenticate { mechanism, initial: None }, Some(&line)).await
    }

    async fn ask(&mut self, tag: &str, body: Body) -> Result<Answer, Unreached> {
        self.say(tag, body, None).await
    }

    /// A command, and what follows it when it is asked for.
    async fn say(&mut self, tag: &str, body: Body, last: Option<&[u8]>) -> Result<Answer, Unreached> {
        let tag = Tag::new(tag).expect("a tag of our own");
        let command = Command { tag: tag.clone(), body };
        let mut capabilities = None;
        let mut answer = None;
        let segments = command.write(Literals::Waiting);
        for segment in segments.iter().map(Vec::as_slice).chain(last) {
            self.side.send(segment).await?;
            // It asks for what follows an announcement, or says at once how the command went.
            answer = self.reaction(Some(&tag), &mut capabilities).await?;
            if answer.is_some() {
                break;
            }
        }
        let status = answer.ok_or(Unreached::NoImap)?;
        if let Some(Code::Capability(told)) = &status.code {
            capabilities = Some(told.clone());
        }
        Ok(Answer { status, capabilities })
    }

    /// The next status with this tag, or `None` where the mail server asks for more; what is told of capabilities on the
    /// way is kept.
    async fn reaction(
        &mut self,
        tag: Option<&Tag>,
        capabilities: &mut Option<Capabilities>,
    ) -> Result<Option<Status>, Unreached> {
        let mut heard = 0;
        loop {
            let mut input = self.input.as_slice();
            let mut found = None;
            while found.is_none() {
                match self.responses.next(&mut input, &mut Capability).map_err(|_| Unreached::NoImap)? {
                    Some(Piece::Status(status)) if status.condition == Condition::Bye => {
                        return Err(Unreached::Declined);
                    }
                    Some(Piece::Status(status)) if status.tag.as_ref() == tag => found = Some(Some(status)),
                    Some(Piece::Continuation(_)) => found = Some(None),
                    Some(Piece::Data(data)) => *capabilities = data.capabilities().or(capabilities.take()),
                    Some(_) => {}
                    None => break,
                }
            }
            let taken = self.input.len() - input.len();
            self.input.drain(..taken);
            if let Some(found) = found {
                return Ok(found);
            }
            let more = self.side.read(&mut self.input).await?;
            heard += self.input.len();
            if !more || heard > INPUT_MAX {
                return Err(Unreached::NoImap);
            }
        }
    }
}

/// Of all that a server may say before login, its capabilities alone count.
struct Capability;

impl Policy for Capability {
    fn data(&mut self, _: Option<u32>, name: &str) -> Verdict {
        if name == "CAPABILITY" { Verdict::Take } else { Verdict::Drop }
    }

    fn item(&mut self, _: &Message, _: &Attribute) -> Verdict {
        Verdict::Drop
    }
}

/// Octets of one answer, before login.
const INPUT_MAX: usize = 64 * 1024;

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, duplex};

    use super::*;

    /// How a login with a password that is no quoted string goes with a server that has said this, and all that it is sent.
    async fn logged_in(said: &str) -> (Option<Condition>, String) {
        let (near, mut far) = duplex(4096);
        far.write_all(said.as_bytes()).await.unwrap();
        let login = Body::Login { user: b"ann*gw".to_vec(), password: Password::new("pässword".into()) };
        let answer = Talk::new(Side::new(near)).ask("l0", login).await;
        let mut sent = String::new();
        far.read_to_string(&mut sent).await.unwrap();
        (answer.ok().map(|answer| answer.status.condition), sent)
    }

    #[test]
    fn the_way_in_is_the_configured_one_that_is_offered() {
        use config::Login::{Auto, Login, Plain};

        for (login, offered, way) in [
            (Auto, "AUTH=PLAIN", Ok(true)),
            (Auto, "AUTH=PLAIN LOGINDISABLED", Ok(true)),
            (Auto, "AUTH=CRAM-MD5", Ok(false)),
            (Auto, "LOGINDISABLED", Err("login_disabled")),
            (Login, "AUTH=PLAIN", Ok(false)),
            (Login, "AUTH=PLAIN LOGINDISABLED", Err("login_disabled")),
            (Plain, "IDLE", Err("no_plain")),
            (Plain, "LOGINDISABLED", Err("login_disabled")),
        ] {
            let offered = Capabilities::read(&format!("IMAP4rev1 {offered}")).unwrap();
            assert_eq!(
                plain(login, &offered).map_err(|unreached| unreached.name()),
                way,
                "{login:?} {offered}"
            );
        }
    }

    #[tokio::test]
    async fn plain_goes_at_once_or_when_it_is_asked_for() {
        for (at_once, said, sent) in [
            (true, "l1 OK done\r\n", "l1 AUTHENTICATE PLAIN AGEAYg==\r\n"),
            (false, "+ \r\nl1 OK done\r\n", "l1 AUTHENTICATE PLAIN\r\nAGEAYg==\r\n"),
            (false, "l1 NO not here\r\n", "l1 AUTHENTICATE PLAIN\r\n"),
        ] {
            let (near, mut far) = duplex(4096);
            far.write_all(said.as_bytes()).await.unwrap();
            let proof = Password::new(b"AGEAYg==".to_vec());
            let answer = Talk::new(Side::new(near)).authenticate("l1", proof, at_once).await;
            assert_eq!(
                answer.is_ok_and(|answer| answer.status.condition == Condition::Ok),
                said.contains("OK")
            );
            let mut told = String::new();
            far.read_to_string(&mut told).await.unwrap();
            assert_eq!(told, sent);
        }
    }

    #[tokio::test]
    async fn what_follows_an_announcement_is_sent_when_it_is_asked_for() {
        let announced = "l0 LOGIN \"ann*gw\" {9}\r\n";
        let refused = logged_in("l0 NO not here\r\n").await;
        assert_eq!(refused, (Some(Condition::No), announced.to_owned()), "it is not sent");
        let taken = logged_in("+ go on\r\nl0 OK done\r\n").await;
        assert_eq!(taken, (Some(Condition::Ok), format!("{announced}pässword\r\n")));
        let endless = logged_in("+ go on\r\n+ and on\r\n").await;
        assert_eq!(endless.0, None);
    }
}
