//! Mail to read: an mbox file, a Maildir, or the demo's own letters. Every letter is a stream, and comes as mail
//! travels: lines end in CRLF, as a mail server makes them when it takes a file's.

use std::fs::{self, File};
use std::io::{self, BufRead, BufReader, Read, Seek as _, SeekFrom};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::letters::{self, Survey};

/// Letters of a mailbox of any size that the demo takes: the first ones.
pub const LETTERS_MAX: usize = 1000;

/// One message, not read yet.
#[derive(Clone, Debug)]
pub struct Letter {
    source: Source,
    /// Octets of the whole message as it travels.
    pub size_bytes: u64,
}

#[derive(Clone, Debug)]
enum Source {
    /// A file of a Maildir.
    File(PathBuf),
    /// Octets `start..end` of an mbox file, where `>From ` stands for `From ` (RFC 4155; qmail's mboxrd).
    Mbox { file: Arc<Path>, start: u64, end: u64 },
    /// One of the demo's own.
    Own(&'static [u8]),
    /// The demo's own large one, made while it is read.
    Survey,
}

/// The file holds no mail that we know how to read.
#[derive(Debug, thiserror::Error)]
pub enum Unreadable {
    /// It cannot be opened or read.
    #[error("cannot read it: {0}")]
    Io(#[from] io::Error),
    /// It holds no message.
    #[error("there is no message in it")]
    Empty,
    /// It is a folder of another kind.
    #[error("this folder is not a Maildir: it has neither cur/ nor new/")]
    NotMaildir,
    /// It is a file of another kind.
    #[error("this file is not an mbox: it does not begin with \"From \"")]
    NotMbox,
}

/// The letters at `path`: a Maildir when it is a folder, else an mbox file; at most [`LETTERS_MAX`].
///
/// # Errors
/// [`Unreadable`], when there is none.
pub fn read(path: &Path) -> Result<Vec<Letter>, Unreadable> {
    let sources = if path.is_dir() { maildir(path)? } else { mbox(path)? };
    if sources.is_empty() {
        return Err(Unreadable::Empty);
    }
    Ok(sources.into_iter().map(Letter::measured).collect::<io::Result<_>>()?)
}

/// The demo's own letters, the large one last.
///
/// # Panics
/// Never: they are part of the program.
#[must_use]
pub fn own() -> Vec<Letter> {
    let own = letters::SMALL.iter().map(|&text| Source::Own(text)).chain([Source::Survey]);
    own.map(|source| Letter::measured(source).expect("memory can be read")).collect()
}

impl Letter {
    /// Reads it once to know its size, which IMAP announces before the octets.
    fn measured(source: Source) -> io::Result<Self> {
        let mut letter = Self { source, size_bytes: 0 };
        letter.size_bytes = io::copy(&mut letter.open()?, &mut io::sink())?;
        Ok(letter)
    }

    /// The message from its first octet.
    ///
    /// # Errors
    /// When its file cannot be read any more.
    pub fn open(&self) -> io::Result<Box<dyn Read + Send>> {
        Ok(match &self.source {
            Source::File(path) => Box::new(Travelling::new(BufReader::new(File::open(path)?), false)),
            Source::Mbox { file, start, end } => {
                let mut file = File::open(file)?;
                file.seek(SeekFrom::Start(*start))?;
                Box::new(Travelling::new(BufReader::new(file.take(end - start)), true))
            }
            Source::Own(text) => Box::new(Travelling::new(*text, false)),
            Source::Survey => Box::new(Survey::new()),
        })
    }
}

/// Names in a Maildir begin with the time of delivery: sorted by name is sorted by age.
fn maildir(path: &Path) -> Result<Vec<Source>, Unreadable> {
    let folders: Vec<_> =
        ["new", "cur"].map(|name| path.join(name)).into_iter().filter(|f| f.is_dir()).collect();
    if folders.is_empty() {
        return Err(Unreadable::NotMaildir);
    }
    let mut files = Vec::new();
    for folder in folders {
        for entry in fs::read_dir(folder)? {
            let entry = entry?;
            if entry.file_type()?.is_file() && !entry.file_name().as_encoded_bytes().starts_with(b".") {
                files.push((entry.file_name(), entry.path()));
            }
        }
    }
    files.sort();
    files.truncate(LETTERS_MAX);
    Ok(files.into_iter().map(|(_, path)| Source::File(path)).collect())
}

/// Finds where each message begins and ends. The blank line before the next `From ` belongs to the mbox.
fn mbox(path: &Path) -> Result<Vec<Source>, Unreadable> {
    let file: Arc<Path> = path.into();
    let mut lines = Lines::new(BufReader::new(File::open(path)?));
    let (mut found, mut at, mut start, mut blank) = (Vec::new(), 0, None, None);
    while let Some(line) = lines.next()? {
        let first = at == 0;
        if line.starts
            && line.octets.starts_with(b"From ")
            && (first || (blank.is_some() && has_time(line.octets)))
        {
            if let Some(start) = start {
                found.push(Source::Mbox { file: file.clone(), start, end: blank.unwrap_or(at) });
            }
            start = Some(at + line.octets.len() as u64);
            if found.len() == LETTERS_MAX {
                return Ok(found);
            }
        } else if first {
            return Err(Unreadable::NotMbox);
        }
        blank = (line.starts && matches!(line.octets, b"\n" | b"\r\n")).then_some(at);
        at += line.octets.len() as u64;
    }
    found.extend(start.map(|start| Source::Mbox { file, start, end: blank.unwrap_or(at) }));
    Ok(found)
}

/// Whether a `From ` line ends in a date: some programs leave a sentence that begins so unquoted.
fn has_time(line: &[u8]) -> bool {
    line.windows(5).any(|five| {
        five[2] == b':' && [0, 1, 3, 4].iter().all(|&at| five[at].is_ascii_digit() || five[at] == b' ')
    })
}

/// A piece of a line: all of it, unless it is very long.
struct Piece<'a> {
    octets: &'a [u8],
    starts: bool,
}

/// Lines in bounded memory.
struct Lines<R> {
    inner: R,
    piece: Vec<u8>,
    starts: bool,
}

impl<R: BufRead> Lines<R> {
    fn new(inner: R) -> Self {
        Self { inner, piece: Vec::new(), starts: true }
    }

    fn next(&mut self) -> io::Result<Option<Piece<'_>>> {
        self.piece.clear();
        (&mut self.inner).take(PIECE_BYTES).read_until(b'\n', &mut self.piece)?;
        let starts = std::mem::replace(&mut self.starts, self.piece.ends_with(b"\n"));
        Ok((!self.piece.is_empty()).then_some(Piece { octets: &self.piece, starts }))
    }
}

const PIECE_BYTES: u64 = 16 * 1024;

/// A stored message as it travels.
struct Travelling<R> {
    lines: Lines<R>,
    quoted: bool,
    after_cr: bool,
    ready: Vec<u8>,
    taken: usize,
}

impl<R: BufRead> Travelling<R> {
    fn new(inner: R, quoted: bool) -> Self {
        Self { lines: Lines::new(inner), quoted, after_cr: false, ready: Vec::new(), taken: 0 }
    }

    fn refill(&mut self) -> io::Result<()> {
        self.ready.clear();
        self.taken = 0;
        let Some(Piece { octets, starts }) = self.lines.next()? else { return Ok(()) };
        let octets = if self.quoted && starts && is_quoted(octets) { &octets[1..] } else { octets };
        match octets.split_last() {
            Some((b'\n', line)) if !(line.ends_with(b"\r") || (line.is_empty() && self.after_cr)) => {
                self.ready.extend_from_slice(line);
                self.ready.extend_from_slice(b"\r\n");
            }
            _ => self.ready.extend_from_slice(octets),
        }
        self.after_cr = self.ready.ends_with(b"\r");
        Ok(())
    }
}

/// `>From `, `>>From `, …
fn is_quoted(line: &[u8]) -> bool {
    let unquoted = line.iter().position(|&octet| octet != b'>').unwrap_or(line.len());
    unquoted > 0 && line[unquoted..].starts_with(b"From ")
}

impl<R: BufRead> Read for Travelling<R> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        if self.taken == self.ready.len() {
            self.refill()?;
        }
        let count = (&self.ready[self.taken..]).read(into)?;
        self.taken += count;
        Ok(count)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(letters: &[Letter]) -> Vec<String> {
        letters
            .iter()
            .map(|letter| {
                let mut text = String::new();
                letter.open().unwrap().read_to_string(&mut text).unwrap();
                assert_eq!(text.len() as u64, letter.size_bytes);
                text
            })
            .collect()
    }

    fn mbox_of(text: &str) -> Result<Vec<String>, Unreadable> {
        let file = tempfile::NamedTempFile::new().unwrap();
        fs::write(file.path(), text).unwrap();
        read(file.path()).map(|letters| texts(&letters))
    }

    #[test]
    fn an_mbox_is_read_as_it_was_delivered() {
        let text = "From ann Mon Mar  2 09:14:05 2026\nSubject: 1\n\n>From here\n>>From there\n\nFrom now on\n\n\
                    From ben Mon Mar  2 9:14:05 2026\nSubject: 2\n\nbody\n";
        let expected = [
            "Subject: 1\r\n\r\nFrom here\r\n>From there\r\n\r\nFrom now on\r\n",
            "Subject: 2\r\n\r\nbody\r\n",
        ];
        assert_eq!(mbox_of(text).unwrap(), expected);
        assert_eq!(mbox_of(&text.replace('\n', "\r\n")).unwrap(), expected);
        assert_eq!(mbox_of(&format!("{text}\n")).unwrap(), expected);
    }

    #[test]
    fn what_holds_no_mail_says_so() {
        assert!(matches!(mbox_of("Subject: one\n\nbody\n"), Err(Unreadable::NotMbox)));
        assert!(matches!(mbox_of(""), Err(Unreadable::Empty)));
        let folder = tempfile::tempdir().unwrap();
        assert!(matches!(read(folder.path()), Err(Unreadable::NotMaildir)));
        fs::create_dir(folder.path().join("cur")).unwrap();
        assert!(matches!(read(folder.path()), Err(Unreadable::Empty)));
        assert!(matches!(read(&folder.path().join("none")), Err(Unreadable::Io(_))));
    }

    #[test]
    fn a_maildir_is_read_in_order_of_delivery() {
        let folder = tempfile::tempdir().unwrap();
        for (name, text) in [
            ("cur/1.a:2,S", "first\n>From\n"),
            ("new/2.b", "second\r\n"),
            ("tmp/3.c", "half"),
            ("cur/.hidden", "no"),
        ] {
            let path = folder.path().join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }
        assert_eq!(texts(&read(folder.path()).unwrap()), ["first\r\n>From\r\n", "second\r\n"]);
    }

    #[test]
    fn a_long_line_is_not_torn() {
        for at in PIECE_BYTES as usize - 2..PIECE_BYTES as usize + 2 {
            let line = "x".repeat(at);
            let text = format!("From a Mon Mar  2 09:14:05 2026\n{line}\r\n{line}\n");
            assert_eq!(mbox_of(&text).unwrap(), [format!("{line}\r\n{line}\r\n")]);
        }
    }

    #[test]
    fn our_own_letters_parse_and_the_last_has_20_mib() {
        let own = own();
        assert_eq!(own.last().unwrap().size_bytes >> 20, 20);
        for letter in &own[..own.len() - 1] {
            let mut raw = Vec::new();
            letter.open().unwrap().read_to_end(&mut raw).unwrap();
            let message = mail_parser::MessageParser::default().parse(&raw).unwrap();
            assert!(message.subject().is_some() && message.body_text(0).is_some());
        }
    }
}
