//! Everything that is logged, by whomever, at every level.

use std::io::{self, Write};
use std::sync::{Arc, Mutex, PoisonError};

use tracing::Level;
use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::util::SubscriberInitExt as _;

/// What was logged in this process since the capture began: events and spans of `tracing`, lines of `log`.
#[derive(Clone, Debug, Default)]
pub struct Captured(Arc<Mutex<Vec<u8>>>);

impl Captured {
    /// Begins, once in a process.
    ///
    /// # Panics
    /// When something else captures or writes the logs already.
    #[must_use]
    pub fn everything() -> Self {
        Self::from(Level::TRACE)
    }

    /// The same of what is as serious as this at least.
    ///
    /// # Panics
    /// As [`Captured::everything`].
    #[must_use]
    pub fn from(level: Level) -> Self {
        let captured = Self::default();
        tracing_subscriber::fmt()
            .with_max_level(level)
            .with_ansi(false)
            .with_writer(captured.clone())
            .finish()
            .init();
        captured
    }

    /// What was written so far.
    #[must_use]
    pub fn text(&self) -> Vec<u8> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl<'a> MakeWriter<'a> for Captured {
    type Writer = Self;

    fn make_writer(&'a self) -> Self {
        self.clone()
    }
}

impl Write for Captured {
    fn write(&mut self, octets: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).extend_from_slice(octets);
        Ok(octets.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
