//! `--since`: of a list, what is new.

use sidekey_protocol::ids::Timestamp;

use crate::check::now;
use crate::time::moment;

/// How new what is listed must be.
#[derive(Clone, Copy, Debug, Default, clap::Args)]
pub struct Since {
    /// Not before this only: a time as 2026-11-29 or 2026-11-29T15:00:00Z, or so long ago as 2h
    #[arg(long, value_name = "WHEN", value_parser = when)]
    since: Option<Timestamp>,
}

impl Since {
    /// As the service is asked: for what came after this.
    #[must_use]
    pub fn after(self) -> Option<Timestamp> {
        self.since.map(|Timestamp(at)| Timestamp(at.saturating_sub(1)))
    }

    /// Nothing is left out.
    #[must_use]
    pub const fn is_all(&self) -> bool {
        self.since.is_none()
    }
}

fn when(text: &str) -> Result<Timestamp, String> {
    moment(text, now())
}
