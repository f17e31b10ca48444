//! What an administrator can say to a gateway: one file, unknown options refused. `config/gateway.toml` explains each.

mod bad;
mod limits;
mod log;
mod network;

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};

use serde::Deserialize;

use crate::allow::{Profile, ProfileUnknown};
use crate::session;

pub use self::bad::{BadConfig, BadOption};
pub use self::limits::Limits;
pub use self::log::{Format, Level, Log};
pub use self::network::Network;

/// The shipped file: every option, explained.
pub const SHIPPED: &str = include_str!("../../config/gateway.toml");

/// Everything an administrator can say to a gateway.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// The mail server behind it.
    pub upstream: Upstream,
    /// Where clients and operators' proxies reach it, by names of the administrator's.
    pub listeners: BTreeMap<String, Listener>,
    /// Other doors to the same mail, by names of the administrator's, which a proxy credential must not open.
    #[serde(default)]
    pub doors: BTreeMap<String, Door>,
    /// Where it is told how the gateway does; nowhere unless said.
    #[serde(default)]
    pub operations: Option<Operations>,
    /// A limit on everything that grows or waits.
    #[serde(default)]
    pub limits: Limits,
    /// What is said on standard error.
    #[serde(default)]
    pub log: Log,
}

/// Where metrics are told.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq)]
#[serde(deny_unknown_fields)]
pub struct Operations {
    /// An address of this machine: nobody is asked who he is.
    pub listen: SocketAddr,
}

/// The mail server.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq)]
#[serde(deny_unknown_fields)]
pub struct Upstream {
    /// `host:port`.
    pub address: String,
    /// How TLS begins there.
    #[serde(default)]
    pub tls: Tls,
    /// Whose certificates count (PEM); those of the system unless said.
    #[serde(default)]
    pub ca_file: Option<PathBuf>,
    /// The name that its certificate must bear; the host of the address unless said.
    #[serde(default)]
    pub name: Option<String>,
    /// What is left out of a user's name there, with its `@`: the domain of those whose accounts have none.
    #[serde(default)]
    pub strip_domain: Option<String>,
    /// How the gateway logs in there.
    #[serde(default)]
    pub login: Login,
    /// Who may log in there as every user.
    #[serde(default)]
    pub master: Option<Master>,
    /// How to log in there for these users, by the names that the key service has.
    #[serde(default)]
    pub accounts: BTreeMap<String, Account>,
}

/// How the gateway logs in.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, PartialEq)]
#[serde(rename_all = "lowercase")]
pub enum Login {
    /// By AUTHENTICATE PLAIN where that is offered, else by LOGIN.
    #[default]
    Auto,
    /// By AUTHENTICATE PLAIN alone.
    Plain,
    /// By LOGIN alone.
    Login,
}

/// A master user: logs in by PLAIN for another, by LOGIN as `user*master`.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq)]
#[serde(deny_unknown_fields)]
pub struct Master {
    /// His name.
    pub user: String,
    /// A file with his password, readable by the gateway's user alone.
    pub password_file: PathBuf,
    /// What stands between the two names.
    #[serde(default = "star")]
    pub separator: char,
}

/// An account.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq)]
#[serde(deny_unknown_fields)]
pub struct Account {
    /// Its name.
    pub user: String,
    /// A file with its password, readable by the gateway's user alone.
    pub password_file: PathBuf,
}

const fn star() -> char {
    '*'
}

/// A door.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq)]
#[serde(deny_unknown_fields)]
pub struct Listener {
    /// Where it is.
    pub listen: SocketAddr,
    /// How TLS begins there.
    #[serde(default)]
    pub tls: Tls,
    /// The certificate chain (PEM), the gateway's own first.
    #[serde(default)]
    pub certificate_file: Option<PathBuf>,
    /// Its private key (PEM), readable by the gateway's user alone.
    #[serde(default)]
    pub key_file: Option<PathBuf>,
    /// Whether those who come are the enterprise's own, and get the mail as it is.
    #[serde(default)]
    pub trusted: bool,
    /// Whoever comes must show a certificate of this authority (PEM).
    #[serde(default)]
    pub client_ca_file: Option<PathBuf>,
    /// Whoever comes must come from one of these; empty: from anywhere.
    #[serde(default)]
    pub networks: Vec<Network>,
    /// How much an untrusted connection may change: `strict`, unless said.
    #[serde(default)]
    pub profile: Option<ProfileName>,
    /// Whether what an untrusted connection is sent is sealed: it is, unless said.
    #[serde(default)]
    pub sealing: Option<Sealing>,
}

/// A profile, by its name.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq)]
#[serde(try_from = "String")]
pub struct ProfileName(Profile);

impl TryFrom<String> for ProfileName {
    type Error = ProfileUnknown;

    fn try_from(name: String) -> Result<Self, ProfileUnknown> {
        name.parse().map(Self)
    }
}

/// Whether anything is sealed.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq)]
#[serde(rename_all = "lowercase")]
pub enum Sealing {
    /// It is.
    On,
    /// Nothing is: on this machine alone, to measure and to show what sealing changes.
    Off,
}

/// Another door to the same mail.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq)]
#[serde(deny_unknown_fields)]
pub struct Door {
    /// What is spoken there.
    pub kind: DoorKind,
    /// `host:port`.
    pub address: String,
    /// How TLS begins there.
    #[serde(default)]
    pub tls: Tls,
}

/// What is spoken at a door.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq)]
#[serde(rename_all = "lowercase")]
pub enum DoorKind {
    /// IMAP.
    Imap,
    /// POP3.
    Pop3,
    /// ManageSieve.
    Sieve,
    /// Submission of mail.
    Submission,
}

/// How TLS begins.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, PartialEq)]
#[serde(rename_all = "lowercase")]
pub enum Tls {
    /// With the first octet.
    #[default]
    Implicit,
    /// After STARTTLS.
    StartTls,
    /// Not at all: on this machine alone.
    None,
}

impl Config {
    /// Reads the file at `path`. Relative paths in it start at its folder.
    ///
    /// # Errors
    /// [`BadConfig`] names the file, the line and the option.
    pub fn read(path: &Path) -> Result<Self, BadConfig> {
        let text = std::fs::read_to_string(path)
            .map_err(|source| BadConfig::Unreadable { path: path.to_owned(), source })?;
        let mut config: Self = toml::from_str(&text)
            .map_err(|source| BadConfig::Invalid { path: path.to_owned(), source: Box::new(source) })?;
        config.check().map_err(|source| BadConfig::Option { path: path.to_owned(), source })?;
        let folder = path.parent().unwrap_or(Path::new(""));
        config.files().for_each(|file| *file = folder.join(&*file));
        Ok(config)
    }

    /// Whether every value can be meant.
    ///
    /// # Errors
    /// [`BadOption`] names the option.
    pub fn check(&self) -> Result<(), BadOption> {
        self.upstream.check()?;
        if self.listeners.is_empty() {
            return Err(BadOption::NoListeners);
        }
        for (name, listener) in &self.listeners {
            listener.check(name)?;
            if !listener.trusted && self.upstream.master.is_none() && self.upstream.accounts.is_empty() {
                return Err(BadOption::NoAccounts(name.clone()));
            }
        }
        for (name, door) in &self.doors {
            if door.host_and_port().is_none() {
                let (name, address) = (name.clone(), door.address.clone());
                return Err(BadOption::DoorAddress { name, address });
            }
            if door.tls == Tls::None && !is_here(&door.address) {
                return Err(BadOption::DoorExposed(name.clone()));
            }
        }
        match self.operations {
            Some(Operations { listen }) if !listen.ip().is_loopback() => {
                Err(BadOption::OperationsExposed(listen))
            }
            _ => self.limits.check(),
        }
    }

    /// Whether operators' proxies may come, so that keys are needed.
    #[must_use]
    pub fn seals(&self) -> bool {
        self.listeners.values().any(|listener| !listener.trusted)
    }

    fn files(&mut self) -> impl Iterator<Item = &mut PathBuf> {
        let of_listeners = self.listeners.values_mut().flat_map(|listener| {
            [&mut listener.certificate_file, &mut listener.key_file, &mut listener.client_ca_file]
        });
        let Upstream { ca_file, master, accounts, .. } = &mut self.upstream;
        let master = master.iter_mut().map(|master| &mut master.password_file);
        let accounts = accounts.values_mut().map(|account| &mut account.password_file);
        of_listeners.chain([ca_file]).flatten().chain(master).chain(accounts)
    }
}

/// An address' host, without the brackets of an IPv6 address, and its port.
fn host_and_port(address: &str) -> Option<(&str, u16)> {
    let (host, port) = address.rsplit_once(':')?;
    let host = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host);
    let port = port.parse().ok().filter(|port| *port > 0)?;
    (!host.is_empty()).then_some((host, port))
}

/// Whether it is this machine's own: a name means whatever a resolver says.
fn is_here(address: &str) -> bool {
    let host = host_and_port(address).map(|(host, _)| host);
    host.is_some_and(|host| host.parse::<IpAddr>().is_ok_and(|address| address.is_loopback()))
}

impl Door {
    /// The address' host and port.
    pub(crate) fn host_and_port(&self) -> Option<(&str, u16)> {
        host_and_port(&self.address)
    }
}

impl Upstream {
    /// The address' host and port.
    pub(crate) fn host_and_port(&self) -> Option<(&str, u16)> {
        host_and_port(&self.address)
    }

    /// The names that a user may have at the mail server.
    #[must_use]
    pub fn names_of(&self, user: &str) -> Vec<String> {
        let stripped = self.strip_domain.as_ref().and_then(|domain| user.strip_suffix(&format!("@{domain}")));
        let own = self.accounts.get(user).map(|account| account.user.as_str());
        [Some(user), stripped, own].into_iter().flatten().map(str::to_owned).collect()
    }

    fn check(&self) -> Result<(), BadOption> {
        if self.host_and_port().is_none() {
            return Err(BadOption::Address(self.address.clone()));
        }
        if self.tls == Tls::None && !is_here(&self.address) {
            return Err(BadOption::UpstreamExposed(self.address.clone()));
        }
        match &self.master {
            Some(Master { separator, .. })
                if !separator.is_ascii_punctuation() || "@.-_+".contains(*separator) =>
            {
                Err(BadOption::Separator(*separator))
            }
            _ => Ok(()),
        }
    }
}

impl Listener {
    fn check(&self, name: &str) -> Result<(), BadOption> {
        let name = || name.to_owned();
        if self.tls == Tls::None {
            if !self.listen.ip().is_loopback() {
                return Err(BadOption::ListenerExposed(name()));
            }
            for (option, file) in [
                ("certificate_file", &self.certificate_file),
                ("key_file", &self.key_file),
                ("client_ca_file", &self.client_ca_file),
            ] {
                if file.is_some() {
                    return Err(BadOption::NoTls { listener: name(), option });
                }
            }
        } else if self.certificate_file.is_none() || self.key_file.is_none() {
            return Err(BadOption::Uncertified(name()));
        }
        if self.trusted && self.client_ca_file.is_none() && self.networks.is_empty() {
            return Err(BadOption::TrustsAnybody(name()));
        }
        for (option, said) in [("profile", self.profile.is_some()), ("sealing", self.sealing.is_some())] {
            if self.trusted && said {
                return Err(BadOption::Trusted { listener: name(), option });
            }
        }
        if self.sealing == Some(Sealing::Off) && !self.listen.ip().is_loopback() {
            return Err(BadOption::Unsealed(name()));
        }
        Ok(())
    }

    /// How much an untrusted connection may change.
    pub(crate) fn profile(&self) -> Profile {
        self.profile.map(|name| name.0).unwrap_or_default()
    }

    /// Whether what it is sent is sealed.
    pub(crate) fn sealing(&self) -> session::Sealing {
        match self.sealing {
            None | Some(Sealing::On) => session::Sealing::On,
            Some(Sealing::Off) => session::Sealing::Off,
        }
    }

    /// Whether somebody at this address may come.
    pub(crate) fn welcomes(&self, address: IpAddr) -> bool {
        self.networks.is_empty() || self.networks.iter().any(|network| network.contains(address))
    }
}

#[cfg(test)]
mod tests;
