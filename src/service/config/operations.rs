//! `[operations]`: the listener for those who keep the service running.

use std::net::{Ipv4Addr, SocketAddr};

use serde::{Deserialize, Serialize};

/// Where metrics and health are told, apart from clients and servers.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct Operations {
    /// Where it listens: `/metrics`, `/livez`, `/readyz`.
    pub listen: SocketAddr,
    /// Whether it speaks TLS, with the service's certificate; it must where others than this machine reach it.
    pub tls: bool,
}

impl Operations {
    /// Where it listens beside a service that listens at `listen`: at the next port, where an ordinary user may.
    #[must_use]
    pub fn beside(listen: SocketAddr) -> SocketAddr {
        let default = Self::default().listen;
        match listen.port() {
            0 => SocketAddr::new(default.ip(), 0),
            port @ 1024..=65_534 => SocketAddr::new(default.ip(), port + 1),
            _ => default,
        }
    }

    /// Whether it would be told in the clear to other machines.
    #[must_use]
    pub fn exposed(&self) -> bool {
        !self.tls && !self.listen.ip().is_loopback()
    }
}

impl Default for Operations {
    fn default() -> Self {
        Self { listen: SocketAddr::from((Ipv4Addr::LOCALHOST, 8444)), tls: false }
    }
}
