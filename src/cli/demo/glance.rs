//! What a reader of a message sees of it at a glance.

use std::io::{self, Read, Write};

use mail_parser::{Address, Message, MessageParser, MimeHeaders as _};
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

/// A whole message, summed up.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
pub struct Glance {
    /// How long it is.
    pub octets: u64,
    /// Its SHA-256, in hex: equal for two messages that agree in every octet.
    pub sha256: String,
    /// Who says that he wrote it.
    pub from: String,
    /// What about.
    pub subject: String,
    /// How its text begins.
    pub text: String,
    /// What is attached.
    pub attached: Vec<String>,
}

impl Glance {
    /// Author, subject and attachments in one line.
    #[must_use]
    pub fn head(&self) -> String {
        let subject = if self.subject.is_empty() { "(no subject)" } else { &self.subject };
        let attached: Vec<_> = self.attached.iter().map(|name| format!(" + {name}")).collect();
        format!("{}: {subject}{}", self.from, attached.concat())
    }
}

/// Takes a message as a stream, and keeps no more than its beginning.
#[derive(Debug, Default)]
pub struct Reader {
    hash: Sha256,
    octets: u64,
    begins: Vec<u8>,
}

/// Enough for the header and the first text of a message.
const BEGINS_MAX: usize = 64 * 1024;
const TEXT_CHARS: usize = 200;

impl Reader {
    /// Has read this much.
    #[must_use]
    pub fn of(octets: &[u8]) -> Self {
        let begins = octets[..octets.len().min(BEGINS_MAX)].to_vec();
        Self { hash: Sha256::new_with_prefix(octets), octets: octets.len() as u64, begins }
    }

    /// Sums up a message that is whole.
    #[must_use]
    pub fn glance(self) -> Glance {
        let message = MessageParser::default().parse(&self.begins);
        let message = message.as_ref();
        Glance {
            octets: self.octets,
            sha256: hex(&self.hash.finalize()),
            from: message.and_then(Message::from).and_then(author).unwrap_or_default(),
            subject: message.and_then(Message::subject).unwrap_or_default().to_owned(),
            text: message
                .and_then(|message| message.body_preview(TEXT_CHARS))
                .unwrap_or_default()
                .into_owned(),
            attached: message.map(attached).unwrap_or_default(),
        }
    }
}

impl Write for Reader {
    fn write(&mut self, octets: &[u8]) -> io::Result<usize> {
        self.hash.update(octets);
        self.octets += octets.len() as u64;
        self.begins.extend(octets.iter().take(BEGINS_MAX - self.begins.len()));
        Ok(octets.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Reads on behalf of another, and looks at what is read.
#[derive(Debug)]
pub struct Looking<'a, R> {
    inner: R,
    reader: &'a mut Reader,
}

impl<'a, R> Looking<'a, R> {
    /// Looks at all that is read from `inner`.
    pub fn new(inner: R, reader: &'a mut Reader) -> Self {
        Self { inner, reader }
    }
}

impl<R: Read> Read for Looking<'_, R> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let count = self.inner.read(into)?;
        self.reader.write_all(&into[..count])?;
        Ok(count)
    }
}

fn author(from: &Address<'_>) -> Option<String> {
    let first = from.first()?;
    first.name().or_else(|| first.address()).map(str::to_owned)
}

/// An attached message is named by its subject.
fn attached(message: &Message<'_>) -> Vec<String> {
    let attachments = message.attachments().map(|part| {
        let subject =
            || part.message().and_then(Message::subject).map(|subject| format!("\u{201c}{subject}\u{201d}"));
        part.attachment_name().map(str::to_owned).or_else(subject).unwrap_or_else(|| "unnamed".into())
    });
    attachments.collect()
}

/// Lower-case hex.
#[must_use]
pub fn hex(octets: &[u8]) -> String {
    octets.iter().map(|octet| format!("{octet:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::demo::mail;

    #[test]
    fn our_own_letters_show_who_what_and_what_is_attached() {
        let glances: Vec<_> = mail::own()
            .iter()
            .map(|letter| {
                let mut reader = Reader::default();
                io::copy(&mut letter.open().unwrap(), &mut reader).unwrap();
                assert!(reader.begins.len() <= BEGINS_MAX);
                reader.glance()
            })
            .collect();
        let shown: Vec<_> =
            glances.iter().map(|g| (g.from.as_str(), g.subject.as_str(), &g.attached[..])).collect();
        assert_eq!(
            shown,
            [
                ("Ben Okafor", "Lunch on Thursday?", &[][..]),
                ("Carla Weiss", "Our last offer, in confidence", &[]),
                ("Payroll", "Salaries 2026, for your approval", &["salaries-2026.csv".to_owned()]),
                ("Jörg Müller", "Grüße aus Köln", &[]),
                ("Dr. Mina Patel", "Fwd: Your results", &["\u{201c}Marsh, Ann: results\u{201d}".to_owned()]),
                ("Ines Duarte", "The site from above, all of it", &["site.raw".to_owned()]),
            ]
        );
        assert!(glances[3].text.contains("schöne Grüße aus Köln"), "{}", glances[3].text);
        assert_eq!(glances[5].octets >> 20, 20);
    }

    #[test]
    fn what_is_no_message_shows_nothing_and_breaks_nothing() {
        for octets in [&b""[..], b"\0\xff\r\r\n", b"no header at all", &[b'('; 70_000]] {
            let mut reader = Reader::default();
            reader.write_all(octets).unwrap();
            assert_eq!(reader.glance(), Reader::of(octets).glance());
        }
    }
}
