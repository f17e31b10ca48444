//! What a user can say to his agent: one file, unknown options refused.

use std::fmt;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize};

/// The shipped file: every option, explained.
pub const SHIPPED: &str = include_str!("../../config/agent.toml");

/// Everything a user can say to his agent. `config/agent.toml` explains each option to him.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// Where mail programs connect.
    #[serde(default)]
    pub listen: Listen,
    /// TLS for mail programs; without it only this machine's own are heard.
    pub tls: Option<Tls>,
    /// What a mail program is given in place of mail that does not open.
    #[serde(default)]
    pub failing: Failing,
    /// Messages that may vanish at once, on one connection, without a question.
    #[serde(default = "twenty")]
    pub deletions_max: u64,
    /// The operator's proxy.
    pub proxy: Proxy,
    /// A limit on everything that waits.
    #[serde(default)]
    pub limits: Limits,
    /// What is said on standard error.
    #[serde(default)]
    pub log: Log,
}

/// The operator's proxy, or whatever else stands on the path to the mail server.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq)]
#[serde(deny_unknown_fields)]
pub struct Proxy {
    /// Its name, which its certificate must bear, or its address.
    pub host: String,
    /// Its port: 993, or 143 without implicit TLS, unless said.
    pub port: Option<u16>,
    /// How TLS begins.
    #[serde(default)]
    pub tls: Security,
    /// Whose certificates count (PEM); unless said, those of the system.
    pub ca_file: Option<PathBuf>,
    /// The user's name there, and here.
    pub user: String,
    /// Holds his password there, in one line.
    #[serde(default = "proxy_password")]
    pub password_file: PathBuf,
    /// Whether frames are asked for as octets.
    #[serde(default)]
    pub octets: bool,
}

/// How TLS begins.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, PartialEq)]
#[serde(rename_all = "lowercase")]
pub enum Security {
    /// With the connection.
    #[default]
    Implicit,
    /// At the command STARTTLS, before anything else is said.
    StartTls,
    /// Never: only to this machine itself.
    None,
}

/// What a mail program is given in place of mail that does not open.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, PartialEq)]
#[serde(rename_all = "lowercase")]
pub enum Failing {
    /// Nothing: it is told that it failed.
    #[default]
    Omit,
    /// A message that says what happened.
    Stub,
}

/// The certificate for mail programs.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq)]
#[serde(deny_unknown_fields)]
pub struct Tls {
    /// The chain, PEM.
    pub certificate_file: PathBuf,
    /// Its private key, PEM.
    pub key_file: PathBuf,
}

/// A limit on everything that waits.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq)]
#[serde(default, deny_unknown_fields)]
pub struct Limits {
    /// Connections of mail programs at a time.
    pub connections: u32,
    /// For how long one may say nothing before it has logged in.
    pub login_s: u32,
    /// For how long the proxy may take until we are logged in there.
    pub proxy_s: u32,
    /// For how long neither side of a connection may say anything.
    pub idle_s: u32,
    /// For how long a mass deletion is held.
    pub confirm_s: u32,
    /// For how long connections may go on when the agent is told to stop.
    pub drain_s: u32,
}

/// What is said on standard error.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct Log {
    /// The least serious level that is shown.
    pub level: Level,
    /// For people or for machines.
    pub format: Format,
}

/// How serious an event is.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "lowercase")]
#[expect(missing_docs, reason = "they are called what everybody calls them")]
pub enum Level {
    Error,
    Warn,
    #[default]
    Info,
    Debug,
    Trace,
}

/// How log lines are written.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Format {
    /// For people.
    #[default]
    Text,
    /// One object a line.
    Json,
}

/// Where mail programs connect.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Listen {
    /// An address of this machine, and a port.
    Address(SocketAddr),
    /// A Unix socket.
    Unix(PathBuf),
}

/// Why the configuration cannot be used. Each names the file or the option.
#[derive(Debug, thiserror::Error)]
pub enum BadConfig {
    /// The file cannot be read.
    #[error("cannot read {path}")]
    Unreadable {
        /// Which file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// The file does not say what a configuration says.
    #[error("{path} is not a valid configuration")]
    Invalid {
        /// Which file.
        path: PathBuf,
        /// Where in it, and why.
        source: Box<toml::de::Error>,
    },
}

/// An option whose value cannot be meant.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum BadOption {
    /// Passwords and mail would be told in the clear to other machines.
    #[error("listen is reached by other machines, and there is no [tls]: they would read passwords and mail")]
    Exposed,
    /// A Unix socket needs none.
    #[error("listen is a Unix socket, and [tls] is for addresses")]
    TlsOnUnix,
    /// The proxy's password would go in the clear to another machine.
    #[error("proxy.tls is \"none\", which is for a proxy on this machine, and proxy.host is another")]
    ProxyInClear,
    /// Nobody could connect, or nothing would ever be waited for.
    #[error("limits.{0} is 0: nothing could work")]
    Zero(&'static str),
    /// The agent must end within 30 seconds.
    #[error("limits.drain_s is at most {DRAIN_MAX_S}: the agent ends within 30 seconds")]
    DrainTooLong,
    /// No name.
    #[error("proxy.{0} is empty")]
    Empty(&'static str),
}

impl Config {
    /// Reads the file at `path`; relative paths in it start beside it.
    ///
    /// # Errors
    /// [`BadConfig`] names the file, the line and the option.
    pub fn read(path: &Path) -> Result<Self, BadConfig> {
        let text = std::fs::read_to_string(path)
            .map_err(|source| BadConfig::Unreadable { path: path.to_owned(), source })?;
        let mut config: Self = toml::from_str(&text)
            .map_err(|source| BadConfig::Invalid { path: path.to_owned(), source: Box::new(source) })?;
        let beside = path.parent().unwrap_or(Path::new(""));
        let place = |file: &mut PathBuf| *file = beside.join(&*file);
        place(&mut config.proxy.password_file);
        config.proxy.ca_file.iter_mut().for_each(place);
        if let Some(tls) = &mut config.tls {
            place(&mut tls.certificate_file);
            place(&mut tls.key_file);
        }
        if let Listen::Unix(socket) = &mut config.listen {
            place(socket);
        }
        Ok(config)
    }

    /// Whether every value can be meant.
    ///
    /// # Errors
    /// [`BadOption`] names the option.
    pub fn check(&self) -> Result<(), BadOption> {
        match (&self.listen, &self.tls) {
            (Listen::Address(at), None) if !at.ip().is_loopback() => return Err(BadOption::Exposed),
            (Listen::Unix(_), Some(_)) => return Err(BadOption::TlsOnUnix),
            _ => {}
        }
        for (name, text) in [("host", &self.proxy.host), ("user", &self.proxy.user)] {
            if text.is_empty() {
                return Err(BadOption::Empty(name));
            }
        }
        if self.proxy.tls == Security::None && !self.proxy.is_here() {
            return Err(BadOption::ProxyInClear);
        }
        let Limits { connections, login_s, proxy_s, idle_s, confirm_s, drain_s } = self.limits;
        for (name, value) in [
            ("connections", connections),
            ("login_s", login_s),
            ("proxy_s", proxy_s),
            ("idle_s", idle_s),
            ("confirm_s", confirm_s),
        ] {
            if value == 0 {
                return Err(BadOption::Zero(name));
            }
        }
        if drain_s > DRAIN_MAX_S { Err(BadOption::DrainTooLong) } else { Ok(()) }
    }
}

impl Proxy {
    /// Its port.
    #[must_use]
    pub fn port(&self) -> u16 {
        let usual = if self.tls == Security::Implicit { 993 } else { 143 };
        self.port.unwrap_or(usual)
    }

    /// Whether it is this machine by its very name. (What the name leads to is looked at again before anything is said.)
    fn is_here(&self) -> bool {
        self.host == "localhost" || self.host.parse().is_ok_and(|ip: std::net::IpAddr| ip.is_loopback())
    }
}

impl Default for Listen {
    fn default() -> Self {
        Self::Address(SocketAddr::from((Ipv4Addr::LOCALHOST, 1143)))
    }
}

impl FromStr for Listen {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text.strip_prefix("unix:") {
            Some("") => Err("no path follows unix:"),
            Some(path) => Ok(Self::Unix(path.into())),
            None => text.parse().map(Self::Address).map_err(|_| "neither ADDRESS:PORT nor unix:PATH"),
        }
    }
}

impl fmt::Display for Listen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Address(at) => at.fmt(f),
            Self::Unix(path) => write!(f, "unix:{}", path.display()),
        }
    }
}

impl<'de> Deserialize<'de> for Listen {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

impl Default for Limits {
    fn default() -> Self {
        Self { connections: 64, login_s: 60, proxy_s: 30, idle_s: 1860, confirm_s: 600, drain_s: 20 }
    }
}

fn twenty() -> u64 {
    20
}

fn proxy_password() -> PathBuf {
    "proxy.password".into()
}

/// Less than the 30 seconds that whoever stops the agent waits.
const DRAIN_MAX_S: u32 = 25;

#[cfg(test)]
mod tests;
