//! What stands in a configuration's way.

use std::net::SocketAddr;
use std::path::PathBuf;

/// Why a configuration cannot be used. Each names the file or the option.
#[derive(Debug, thiserror::Error)]
pub enum BadConfig {
    /// The file cannot be read.
    #[error("cannot read {path}", path = path.display())]
    Unreadable {
        /// Which file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// The file does not say what a configuration says.
    #[error("{path} is not a valid configuration", path = path.display())]
    Invalid {
        /// Which file.
        path: PathBuf,
        /// Where in it, and why.
        source: Box<toml::de::Error>,
    },
    /// An option's value cannot be meant.
    #[error("{path} is not a valid configuration", path = path.display())]
    Option {
        /// Which file.
        path: PathBuf,
        /// Which option, and why.
        source: BadOption,
    },
}

/// An option whose value cannot be meant.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum BadOption {
    /// It names no host, or no port.
    #[error("upstream.address is {0:?}: a host, a colon and a port, as mail.example.org:993")]
    Address(String),
    /// The same, of a door.
    #[error("doors.{name}.address is {address:?}: a host, a colon and a port, as mail.example.org:4190")]
    DoorAddress {
        /// Which door.
        name: String,
        /// What it says.
        address: String,
    },
    /// A credential would cross a network in the clear.
    #[error(
        "doors.{0}.tls is \"none\" and its address is not this machine: only a loopback address is tried in the clear"
    )]
    DoorExposed(String),
    /// Anybody could ask.
    #[error("operations.listen is {0}, which other machines reach: only a loopback address tells metrics")]
    OperationsExposed(SocketAddr),
    /// Mail and passwords would cross a network in the clear.
    #[error(
        "upstream.tls is \"none\" and {0} is not this machine: only a loopback address is reached in the clear"
    )]
    UpstreamExposed(String),
    /// The same, on the other side.
    #[error(
        "listeners.{0}.tls is \"none\" and other machines reach it: only a loopback address listens in the clear"
    )]
    ListenerExposed(String),
    /// TLS cannot be had without them.
    #[error("listeners.{0} needs certificate_file and key_file for its TLS")]
    Uncertified(String),
    /// A certificate for nothing, or asked for where none can be shown.
    #[error("listeners.{listener}.{option} means nothing there: tls is \"none\"")]
    NoTls {
        /// Which listener.
        listener: String,
        /// Which option.
        option: &'static str,
    },
    /// Whoever knows a password would be trusted, the operator among them.
    #[error(
        "listeners.{0} is trusted and demands nothing that an operator's proxy cannot have: say client_ca_file, or networks of the enterprise"
    )]
    TrustsAnybody(String),
    /// It means something to proxies alone.
    #[error(
        "listeners.{listener}.{option} means nothing there: it is trusted, and every octet passes as it is"
    )]
    Trusted {
        /// Which listener.
        listener: String,
        /// Which option.
        option: &'static str,
    },
    /// An operator would read everything.
    #[error(
        "listeners.{0}.sealing is \"off\" and other machines reach it: only a loopback address goes without"
    )]
    Unsealed(String),
    /// Nobody could be let in.
    #[error(
        "listeners.{0} is not trusted, and the gateway cannot log in for its users: say upstream.master, or upstream.accounts"
    )]
    NoAccounts(String),
    /// A user's name would run into it.
    #[error(
        "upstream.master.separator is {0:?}: one character that is no letter, digit or @, and in no user's name"
    )]
    Separator(char),
    /// Nobody could come.
    #[error("there are no listeners: say where the gateway is reached, as [listeners.office]")]
    NoListeners,
    /// A limit.
    #[error("limits.{option} is {value}: at least {least}, at most {most}")]
    Limit {
        /// Which.
        option: &'static str,
        /// What it says.
        value: u32,
        /// The least that can be meant.
        least: u32,
        /// The most.
        most: u32,
    },
}
