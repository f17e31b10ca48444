//! What was logged, for a test to read.

use std::io;
use std::sync::{Arc, Mutex};

use super::subscriber;
use crate::config::{Format, Level, Log};

/// What was logged.
#[derive(Clone, Default)]
pub(crate) struct Book(Arc<Mutex<Vec<u8>>>);

impl Book {
    pub(crate) fn text(&self) -> String {
        String::from_utf8(self.0.lock().unwrap().clone()).unwrap()
    }
}

impl io::Write for Book {
    fn write(&mut self, octets: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(octets);
        Ok(octets.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// What this thread logs meanwhile.
pub(crate) fn logged(act: impl FnOnce()) -> String {
    let book = Book::default();
    let writer = book.clone();
    let log = Log { level: Level::Info, format: Format::Text };
    tracing::subscriber::with_default(subscriber(&log, move || writer.clone()), act);
    book.text()
}
