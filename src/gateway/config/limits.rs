//! `[limits]`: a limit on everything that grows or waits.

use std::time::Duration;

use serde::Deserialize;

use super::BadOption;

/// A limit on everything that grows or waits.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq)]
#[serde(default, deny_unknown_fields)]
pub struct Limits {
    /// Connections at one time.
    pub connections: u32,
    /// Of one address, on all listeners together.
    pub connections_per_address: u32,
    /// From the connection to the end of TLS, and of the login where the gateway sees it.
    pub login_s: u32,
    /// To reach the mail server, its TLS included.
    pub connect_s: u32,
    /// After which a connection on which nothing moves is closed.
    pub idle_s: u32,
    /// For what is being done when the gateway stops.
    pub drain_s: u32,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            connections: 10_000,
            connections_per_address: 2_000,
            login_s: 60,
            connect_s: 10,
            idle_s: IDLE_LEAST_S,
            drain_s: 20,
        }
    }
}

impl Limits {
    /// Whether each can be meant.
    pub(super) fn check(&self) -> Result<(), BadOption> {
        for (option, value, least, most) in [
            ("connections", self.connections, 1, CONNECTIONS_MOST),
            ("connections_per_address", self.connections_per_address, 1, CONNECTIONS_MOST),
            ("login_s", self.login_s, 1, 600),
            ("connect_s", self.connect_s, 1, 60),
            ("idle_s", self.idle_s, IDLE_LEAST_S, 86_400),
            ("drain_s", self.drain_s, 0, DRAIN_MOST_S),
        ] {
            if !(least..=most).contains(&value) {
                return Err(BadOption::Limit { option, value, least, most });
            }
        }
        Ok(())
    }

    pub(crate) const fn login(&self) -> Duration {
        Duration::from_secs(self.login_s as u64)
    }

    pub(crate) const fn connect(&self) -> Duration {
        Duration::from_secs(self.connect_s as u64)
    }

    pub(crate) const fn idle(&self) -> Duration {
        Duration::from_secs(self.idle_s as u64)
    }

    pub(crate) const fn drain(&self) -> Duration {
        Duration::from_secs(self.drain_s as u64)
    }
}

/// RFC 3501 section 5.4: a client may say nothing for so long.
const IDLE_LEAST_S: u32 = 1800;
/// The gateway ends within the 30 seconds that whoever stops it waits.
const DRAIN_MOST_S: u32 = 25;
const CONNECTIONS_MOST: u32 = 1_000_000;
