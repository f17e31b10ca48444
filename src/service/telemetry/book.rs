//! What was logged, for a test to read.

use std::io;
use std::sync::{Arc, Mutex};

use tracing::Dispatch;
use tracing::subscriber::DefaultGuard;
use tracing_subscriber::Registry;

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

/// For as long as it lives, this thread's lines go to a book.
pub(crate) struct Kept {
    _thread: DefaultGuard,
    /// Where there is one subscriber alone, tracing asks the thread that comes to a line first whether anybody wants it, and
    /// keeps the answer for all: that of a test that has none would be no.
    _other: Dispatch,
}

/// What this thread logs from now on.
pub(crate) fn keep(log: &Log) -> (Book, Kept) {
    let book = Book::default();
    let writer = book.clone();
    let _other = Dispatch::new(Registry::default());
    let _thread = tracing::subscriber::set_default(subscriber(log, move || writer.clone()));
    (book, Kept { _thread, _other })
}

/// What this thread logs meanwhile.
pub(crate) fn logged(act: impl FnOnce()) -> String {
    let (book, _kept) = keep(&Log { level: Level::Info, format: Format::Text });
    act();
    book.text()
}
