//! The way to the operator's proxy, and the login there. Nothing of it is trusted with mail: TLS keeps others than the operator
//! away from a password that is worth something, and from the sight of when mail is read.

mod talk;

use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use rustls::ClientConfig;
use rustls::pki_types::ServerName;
use sidekey_imap::command::{Body, Password};
use sidekey_imap::response::{Capabilities, Code, Condition};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

use crate::config::{Proxy, Security};
use crate::state;
use crate::tls::{self, BadTls};
use talk::Talk;

/// Octets in both directions.
pub trait Io: AsyncRead + AsyncWrite + Send + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin> Io for T {}

/// How the proxy is reached, and as whom.
#[derive(Clone, Debug)]
pub struct Way {
    host: String,
    port: u16,
    security: Security,
    tls: Arc<ClientConfig>,
    user: String,
    password_file: PathBuf,
    patience: Duration,
}

/// A connection that is logged in there.
pub struct Upstream {
    /// The connection.
    pub stream: Box<dyn Io>,
    /// What the other end says that it can.
    pub capabilities: Capabilities,
    /// What came after the answer to the login.
    pub input: Vec<u8>,
}

/// Why there is no such connection. Holds nothing that the proxy said: it may be shown and logged.
#[derive(Debug, thiserror::Error)]
pub enum NoWay {
    /// The file of the password there.
    #[error("the file of the proxy's password cannot be used")]
    Password(#[source] io::Error),
    /// No connection.
    #[error("the proxy cannot be reached")]
    Unreached(#[source] io::Error),
    /// Not in time.
    #[error("the proxy does not answer in time")]
    Silent,
    /// Its name leads to another machine, and there is no TLS.
    #[error("the proxy is another machine, and TLS is off")]
    Elsewhere,
    /// Its certificate, or what it says of TLS.
    #[error("TLS with the proxy failed")]
    Tls(#[source] io::Error),
    /// It does not know STARTTLS, or will not have it.
    #[error("the proxy does not begin TLS")]
    NoStartTls,
    /// Something stood behind its consent to TLS, in the clear.
    #[error("somebody put words into the connection before TLS began")]
    Injected,
    /// It speaks no IMAP.
    #[error("the proxy speaks no IMAP")]
    NoImap,
    /// It logs in whom nobody named.
    #[error("the proxy logs us in as somebody before we have said who we are")]
    PreAuth,
    /// It closes the connection.
    #[error("the proxy closed the connection")]
    Closed,
    /// It does not take user and password.
    #[error("the proxy refuses user or password")]
    Refused,
    /// It would take them, and cannot now.
    #[error("the proxy has no mail server for us now")]
    Unavailable,
}

impl NoWay {
    /// What a mail program shows its user.
    #[must_use]
    pub const fn told(&self) -> &'static str {
        match self {
            Self::Password(_) => "Sidekey cannot read the file that proxy.password_file names in agent.toml",
            Self::Unreached(_) => "the operator's proxy cannot be reached: is there a network?",
            Self::Silent => "the operator's proxy does not answer",
            Self::Elsewhere => "proxy.tls is off in agent.toml, and the proxy is not on this machine",
            Self::Tls(_) => "the operator's proxy has no certificate that Sidekey trusts: see its log",
            Self::NoStartTls => "the operator's proxy does not begin TLS: see proxy.tls in agent.toml",
            Self::Injected => "somebody meddles with the connection to the operator's proxy",
            Self::NoImap => "what answers as the operator's proxy speaks no IMAP",
            Self::PreAuth => "the operator's proxy takes Sidekey for somebody else",
            Self::Closed => "the operator's proxy closed the connection",
            Self::Refused => "the operator's proxy refuses the user or password in Sidekey's agent.toml",
            Self::Unavailable => "the operator's proxy has no mail server now: try again later",
        }
    }
}

impl Way {
    /// As configured.
    ///
    /// # Errors
    /// The certificate authorities that it names are none.
    pub fn new(proxy: &Proxy, patience_s: u32) -> Result<Self, BadTls> {
        Ok(Self {
            host: proxy.host.clone(),
            port: proxy.port(),
            security: proxy.tls,
            tls: tls::client(proxy.ca_file.as_deref())?,
            user: proxy.user.clone(),
            password_file: proxy.password_file.clone(),
            patience: Duration::from_secs(patience_s.into()),
        })
    }

    /// Connects, and logs in.
    ///
    /// # Errors
    /// [`NoWay`].
    pub async fn connect(&self) -> Result<Upstream, NoWay> {
        let path = self.password_file.clone();
        // Read each time: it may have been replaced.
        let password = tokio::task::spawn_blocking(move || state::secret(&path));
        let password = password.await.map_err(|error| NoWay::Password(error.into()))?;
        let password = Password::new(password.map_err(NoWay::Password)?.to_vec());
        tokio::time::timeout(self.patience, self.enter(password)).await.unwrap_or(Err(NoWay::Silent))
    }

    async fn enter(&self, password: Password) -> Result<Upstream, NoWay> {
        let tcp = TcpStream::connect((self.host.as_str(), self.port)).await.map_err(NoWay::Unreached)?;
        tcp.set_nodelay(true).map_err(NoWay::Unreached)?;
        let stream: Box<dyn Io> = match self.security {
            Security::None if !tcp.peer_addr().is_ok_and(|at| at.ip().is_loopback()) => {
                return Err(NoWay::Elsewhere);
            }
            Security::None => Box::new(tcp),
            Security::Implicit => self.encrypted(tcp).await?,
            Security::StartTls => {
                let mut talk = Talk::new(tcp);
                talk.greeting().await?;
                if talk.ask(Body::StartTls).await?.condition != Condition::Ok {
                    return Err(NoWay::NoStartTls);
                }
                let (tcp, behind) = talk.into_parts();
                if !behind.is_empty() {
                    return Err(NoWay::Injected);
                }
                let mut talk = Talk::new(self.encrypted(tcp).await?);
                return self.log_in(&mut talk, password).await.map(|it| it.with(talk));
            }
        };
        let mut talk = Talk::new(stream);
        talk.greeting().await?;
        self.log_in(&mut talk, password).await.map(|it| it.with(talk))
    }

    async fn encrypted(&self, tcp: TcpStream) -> Result<Box<dyn Io>, NoWay> {
        let name = ServerName::try_from(self.host.clone())
            .map_err(|error| NoWay::Tls(io::Error::new(io::ErrorKind::InvalidInput, error)))?;
        let tls = TlsConnector::from(Arc::clone(&self.tls)).connect(name, tcp).await.map_err(NoWay::Tls)?;
        Ok(Box::new(tls))
    }

    async fn log_in(&self, talk: &mut Talk<Box<dyn Io>>, password: Password) -> Result<LoggedIn, NoWay> {
        let user = self.user.clone().into_bytes();
        let answer = talk.ask(Body::Login { user, password }).await?;
        match (answer.condition, answer.code) {
            (Condition::Ok, Some(Code::Capability(capabilities))) => Ok(LoggedIn(capabilities)),
            (Condition::Ok, _) => {
                talk.ask(Body::Capability).await?;
                talk.capabilities().map(LoggedIn).ok_or(NoWay::NoImap)
            }
            (_, Some(Code::Other(name, _))) if name == "UNAVAILABLE" => Err(NoWay::Unavailable),
            _ => Err(NoWay::Refused),
        }
    }
}

struct LoggedIn(Capabilities);

impl LoggedIn {
    fn with(self, talk: Talk<Box<dyn Io>>) -> Upstream {
        let (stream, input) = talk.into_parts();
        Upstream { stream, capabilities: self.0, input }
    }
}

impl std::fmt::Debug for Upstream {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Upstream").field("capabilities", &self.capabilities).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
