//! What a user can say to his agent: one file, unknown options refused.

use std::fmt;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::str::FromStr;

use serde::{Deserialize, Deserializer};

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
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, PartialEq)]
#[serde(default, deny_unknown_fields)]
pub struct Log {
    /// The least serious level that is shown.
    pub level: Level,
    /// For people or for machines.
    pub format: Format,
}

/// How serious an event is.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, PartialEq)]
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
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, PartialEq)]
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
mod tests {
    use super::*;

    const LEAST: &str = "[proxy]\nhost = 'imap.example.org'\nuser = 'ann@example.org'\n";

    fn parsed(text: &str) -> Config {
        toml::from_str(text).unwrap()
    }

    #[test]
    fn the_shipped_file_states_the_defaults_and_names_every_option() {
        let least = parsed(LEAST);
        assert_eq!(parsed(SHIPPED), least);
        assert_eq!(least.check(), Ok(()));
        // What has no default stands there as an example.
        let uncommented: String = SHIPPED
            .lines()
            .map(|line| line.strip_prefix("#= ").unwrap_or(line))
            .fold(String::new(), |text, line| text + line + "\n");
        let whole: toml::Table = uncommented.parse().unwrap();
        let names = |table: &toml::Value| table.as_table().unwrap().keys().cloned().collect::<Vec<_>>();
        assert_eq!(
            whole.keys().collect::<Vec<_>>(),
            ["deletions_max", "limits", "listen", "log", "proxy", "tls"]
        );
        assert_eq!(
            names(&whole["proxy"]),
            ["ca_file", "host", "octets", "password_file", "port", "tls", "user"]
        );
        assert_eq!(names(&whole["tls"]), ["certificate_file", "key_file"]);
        assert_eq!(
            names(&whole["limits"]),
            ["confirm_s", "connections", "drain_s", "idle_s", "login_s", "proxy_s"]
        );
        assert_eq!(names(&whole["log"]), ["format", "level"]);
        toml::from_str::<Config>(&uncommented).unwrap();
    }

    #[test]
    fn what_would_tell_mail_to_others_is_refused() {
        let check = |text: &str| parsed(text).check();
        for exposed in ["0.0.0.0:1143", "[::]:1143", "192.0.2.1:1143"] {
            let text = format!("listen = '{exposed}'\n{LEAST}");
            assert_eq!(check(&text), Err(BadOption::Exposed), "{exposed}");
            let tls = "[tls]\ncertificate_file = 'a'\nkey_file = 'b'\n";
            assert_eq!(check(&format!("{text}{tls}")), Ok(()), "{exposed}");
        }
        for fine in ["[::1]:1", "127.0.0.2:1", "unix:imap.sock"] {
            assert_eq!(check(&format!("listen = '{fine}'\n{LEAST}")), Ok(()), "{fine}");
        }
        let proxy = |host: &str| format!("[proxy]\nhost = '{host}'\nuser = 'ann'\ntls = 'none'\n");
        for here in ["localhost", "127.0.0.1", "::1"] {
            assert_eq!(check(&proxy(here)), Ok(()), "{here}");
        }
        for there in ["imap.example.org", "192.0.2.1", "localhost.example.org"] {
            assert_eq!(check(&proxy(there)), Err(BadOption::ProxyInClear), "{there}");
        }
    }

    #[test]
    fn what_cannot_be_meant_is_refused_by_name() {
        for (text, said) in [
            ("listn = 1\n", "unknown"),
            ("listen = 'everywhere'\n", "neither ADDRESS:PORT nor unix:PATH"),
            ("listen = 'unix:'\n", "no path"),
            ("deletions_max = -1\n", "deletions_max"),
        ] {
            let error = toml::from_str::<Config>(&format!("{text}{LEAST}")).unwrap_err().to_string();
            assert!(error.contains(said), "{text}: {error}");
        }
        let error = toml::from_str::<Config>("").unwrap_err().to_string();
        assert!(error.contains("proxy"), "{error}");
        for (text, bad) in [
            ("connections = 0", BadOption::Zero("connections")),
            ("idle_s = 0", BadOption::Zero("idle_s")),
            ("drain_s = 26", BadOption::DrainTooLong),
        ] {
            assert_eq!(parsed(&format!("{LEAST}[limits]\n{text}\n")).check(), Err(bad), "{text}");
        }
        assert_eq!(parsed("[proxy]\nhost = ''\nuser = 'a'").check(), Err(BadOption::Empty("host")));
    }

    #[test]
    fn files_start_beside_the_file_and_ports_follow_from_tls() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("agent.toml");
        let text = format!("listen = 'unix:imap.sock'\n{LEAST}tls = 'starttls'\nca_file = '/etc/ca.pem'\n");
        std::fs::write(&path, text).unwrap();
        let config = Config::read(&path).unwrap();
        assert_eq!(config.listen, Listen::Unix(folder.path().join("imap.sock")));
        assert_eq!(config.proxy.password_file, folder.path().join("proxy.password"));
        assert_eq!(config.proxy.ca_file, Some("/etc/ca.pem".into()));
        assert_eq!((config.proxy.port(), parsed(LEAST).proxy.port()), (143, 993));
        assert!(matches!(Config::read(folder.path()), Err(BadConfig::Unreadable { .. })));
    }
}
