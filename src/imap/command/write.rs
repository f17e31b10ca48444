//! Commands in the one spelling that is sent.

use std::fmt;

use super::cursor::is_astring_char;
use super::{
    Append, Asked, Atom, Body, By, Change, Command, FetchModifier, List, ListReturn, ListSelect, Password,
    Pattern, Reference, SelectParameter, Set, StatusItem,
};
use crate::mailbox::Mailbox;

/// How this end's literals are announced.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Literals {
    /// `{n}`: each waits for a continuation.
    Waiting,
    /// `{n+}` (LITERAL+): none waits.
    Plus,
    /// `{n+}` up to 4,096 octets (LITERAL-), `{n}` beyond.
    Minus,
}

impl Literals {
    /// Whether a literal of so many octets waits for a continuation.
    #[must_use]
    pub const fn waits(self, size: u64) -> bool {
        match self {
            Self::Waiting => true,
            Self::Plus => false,
            Self::Minus => size > 4096,
        }
    }

    /// What announces a literal, its end of line included.
    #[must_use]
    pub fn announce(self, size: u64, binary: bool) -> String {
        let tilde = if binary { "~" } else { "" };
        let plus = if self.waits(size) { "" } else { "+" };
        format!("{tilde}{{{size}{plus}}}\r\n")
    }
}

/// A command as it is sent, in segments: after each but the last, the sender waits for a continuation.
pub(super) struct Writer {
    literals: Literals,
    segments: Vec<Vec<u8>>,
    present: Vec<u8>,
}

impl Writer {
    pub(super) const fn new(literals: Literals) -> Self {
        Self { literals, segments: Vec::new(), present: Vec::new() }
    }

    pub(super) fn text(&mut self, text: &str) {
        self.present.extend_from_slice(text.as_bytes());
    }

    /// In the shortest of its forms: as it is, quoted, or a literal.
    pub(super) fn astring(&mut self, octets: &[u8]) {
        let bare = (1..=QUOTED_MAX).contains(&octets.len()) && octets.iter().copied().all(is_astring_char);
        if bare && !octets.eq_ignore_ascii_case(b"NIL") {
            self.present.extend_from_slice(octets);
        } else {
            self.string(octets);
        }
    }

    /// Quoted, or a literal.
    pub(super) fn string(&mut self, octets: &[u8]) {
        if octets.len() <= QUOTED_MAX && octets.iter().all(|octet| matches!(octet, b' '..=b'~')) {
            self.quoted(octets);
        } else {
            self.literal(octets);
        }
    }

    /// Quoted; the caller knows that it can be.
    pub(super) fn quoted(&mut self, octets: &[u8]) {
        self.present.push(b'"');
        for octet in octets {
            if matches!(octet, b'"' | b'\\') {
                self.present.push(b'\\');
            }
            self.present.push(*octet);
        }
        self.present.push(b'"');
    }

    fn literal(&mut self, octets: &[u8]) {
        let size = octets.len() as u64;
        self.text(&self.literals.announce(size, false));
        if self.literals.waits(size) {
            self.segments.push(std::mem::take(&mut self.present));
        }
        self.present.extend_from_slice(octets);
    }

    /// One after the other, a space between.
    pub(super) fn joined<T>(&mut self, items: &[T], write: impl Fn(&T, &mut Self)) {
        for (at, item) in items.iter().enumerate() {
            if at > 0 {
                self.text(" ");
            }
            write(item, self);
        }
    }

    /// In parentheses.
    pub(super) fn list<T: ToString>(&mut self, items: &[T]) {
        self.text("(");
        self.joined(items, |item, out| out.text(&item.to_string()));
        self.text(")");
    }

    pub(super) fn finish(mut self) -> Vec<Vec<u8>> {
        self.segments.push(self.present);
        self.segments
    }
}

pub(super) fn command(command: &Command, literals: Literals) -> Vec<Vec<u8>> {
    let mut out = Writer::new(literals);
    out.text(command.tag.as_str());
    out.text(" ");
    out.body(&command.body);
    out.text("\r\n");
    out.finish()
}

pub(super) fn append(append: &Append, size: u64, binary: bool, literals: Literals) -> Vec<Vec<u8>> {
    let mut out = Writer::new(literals);
    if append.first {
        out.text(&format!("{} APPEND ", append.tag));
        out.mailbox(&append.mailbox);
    }
    if !append.flags.is_empty() {
        out.text(" ");
        out.list(&append.flags);
    }
    if let Some(date) = append.date {
        out.text(&format!(" \"{date}\""));
    }
    out.text(&format!(" {}", literals.announce(size, binary)));
    out.finish()
}

impl Writer {
    fn body(&mut self, body: &Body) {
        match body {
            Body::Capability => self.text("CAPABILITY"),
            Body::Check => self.text("CHECK"),
            Body::Close => self.text("CLOSE"),
            Body::Expunge => self.text("EXPUNGE"),
            Body::Idle => self.text("IDLE"),
            Body::Logout => self.text("LOGOUT"),
            Body::Namespace => self.text("NAMESPACE"),
            Body::Noop => self.text("NOOP"),
            Body::StartTls => self.text("STARTTLS"),
            Body::Unselect => self.text("UNSELECT"),
            Body::Authenticate { mechanism, initial } => self.authenticate(mechanism, initial.as_ref()),
            Body::Login { user, password } => self.login(user, password),
            Body::Enable(names) => {
                self.text("ENABLE ");
                self.joined(names, |name, out| out.text(name.as_str()));
            }
            Body::Id(fields) => self.id(fields),
            Body::Select(mailbox, parameters) => self.select("SELECT", mailbox, parameters),
            Body::Examine(mailbox, parameters) => self.select("EXAMINE", mailbox, parameters),
            Body::Create(mailbox) => self.of("CREATE", mailbox),
            Body::Delete(mailbox) => self.of("DELETE", mailbox),
            Body::Subscribe(mailbox) => self.of("SUBSCRIBE", mailbox),
            Body::Unsubscribe(mailbox) => self.of("UNSUBSCRIBE", mailbox),
            Body::Rename(from, to) => {
                self.of("RENAME", from);
                self.text(" ");
                self.mailbox(to);
            }
            Body::List(list) => self.mailboxes(list),
            Body::Lsub(reference, pattern) => self.lsub(reference, pattern),
            Body::Status(mailbox, items) => {
                self.of("STATUS", mailbox);
                self.text(" ");
                self.list(items);
            }
            Body::Fetch { by, set, items, modifiers } => self.fetch(*by, set, items, modifiers),
            Body::Search(by, search) => {
                self.text(if *by == By::Uid { "UID SEARCH " } else { "SEARCH " });
                search.write(self);
            }
            Body::Store { by, set, unchanged_since, change, silent, flags } => {
                self.numbered(*by, "STORE", set);
                if let Some(unchanged_since) = unchanged_since {
                    self.text(&format!("(UNCHANGEDSINCE {unchanged_since}) "));
                }
                self.text(match change {
                    Change::Add => "+FLAGS",
                    Change::Remove => "-FLAGS",
                    Change::Replace => "FLAGS",
                });
                self.text(if *silent { ".SILENT " } else { " " });
                self.list(flags);
            }
            Body::Copy(by, set, mailbox) => self.transfer(*by, "COPY", set, mailbox),
            Body::Move(by, set, mailbox) => self.transfer(*by, "MOVE", set, mailbox),
            Body::UidExpunge(set) => self.text(&format!("UID EXPUNGE {set}")),
        }
    }

    fn mailbox(&mut self, mailbox: &Mailbox) {
        self.astring(mailbox.wire().as_bytes());
    }

    fn of(&mut self, name: &str, mailbox: &Mailbox) {
        self.text(name);
        self.text(" ");
        self.mailbox(mailbox);
    }

    fn numbered(&mut self, by: By, name: &str, set: &Set) {
        let uid = if by == By::Uid { "UID " } else { "" };
        self.text(&format!("{uid}{name} {set} "));
    }

    fn transfer(&mut self, by: By, name: &str, set: &Set, mailbox: &Mailbox) {
        self.numbered(by, name, set);
        self.mailbox(mailbox);
    }

    fn authenticate(&mut self, mechanism: &Atom, initial: Option<&Password>) {
        self.text(&format!("AUTHENTICATE {mechanism}"));
        if let Some(initial) = initial {
            self.text(" ");
            self.present.extend_from_slice(initial.expose());
        }
    }

    fn login(&mut self, user: &[u8], password: &Password) {
        self.text("LOGIN ");
        self.astring(user);
        self.text(" ");
        self.astring(password.expose());
    }

    fn id(&mut self, fields: &[(Vec<u8>, Option<Vec<u8>>)]) {
        if fields.is_empty() {
            return self.text("ID NIL");
        }
        self.text("ID (");
        self.joined(fields, |(field, value), out| {
            out.string(field);
            out.text(" ");
            match value {
                None => out.text("NIL"),
                Some(value) => out.string(value),
            }
        });
        self.text(")");
    }

    fn select(&mut self, name: &str, mailbox: &Mailbox, parameters: &[SelectParameter]) {
        self.of(name, mailbox);
        if !parameters.is_empty() {
            self.text(" ");
            self.list(parameters);
        }
    }

    fn mailboxes(&mut self, list: &List) {
        self.text("LIST ");
        if !list.select.is_empty() {
            self.list(&list.select);
            self.text(" ");
        }
        self.string(list.reference.as_str().as_bytes());
        self.text(" ");
        match list.patterns.as_slice() {
            [pattern] => self.string(pattern.as_str().as_bytes()),
            patterns => {
                self.text("(");
                self.joined(patterns, |pattern, out| out.string(pattern.as_str().as_bytes()));
                self.text(")");
            }
        }
        if !list.returns.is_empty() {
            self.text(" RETURN ");
            self.list(&list.returns);
        }
    }

    fn lsub(&mut self, reference: &Reference, pattern: &Pattern) {
        self.text("LSUB ");
        self.string(reference.as_str().as_bytes());
        self.text(" ");
        self.string(pattern.as_str().as_bytes());
    }

    fn fetch(&mut self, by: By, set: &Set, items: &[Asked], modifiers: &[FetchModifier]) {
        self.numbered(by, "FETCH", set);
        self.list(items);
        if !modifiers.is_empty() {
            self.text(" ");
            self.list(modifiers);
        }
    }
}

impl fmt::Display for SelectParameter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::CondStore => f.write_str("CONDSTORE"),
            Self::QResync { uid_validity, mod_seq, known, matched } => {
                write!(f, "QRESYNC ({uid_validity} {mod_seq}")?;
                if let Some(known) = known {
                    write!(f, " {known}")?;
                }
                if let Some((numbers, uids)) = matched {
                    write!(f, " ({numbers} {uids})")?;
                }
                f.write_str(")")
            }
        }
    }
}

impl fmt::Display for FetchModifier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::ChangedSince(mod_seq) => write!(f, "CHANGEDSINCE {mod_seq}"),
            Self::Vanished => f.write_str("VANISHED"),
            Self::XEncrypted => f.write_str("XENCRYPTED"),
        }
    }
}

impl fmt::Display for ListSelect {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Subscribed => "SUBSCRIBED",
            Self::Remote => "REMOTE",
            Self::RecursiveMatch => "RECURSIVEMATCH",
            Self::SpecialUse => "SPECIAL-USE",
        })
    }
}

impl fmt::Display for ListReturn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Subscribed => f.write_str("SUBSCRIBED"),
            Self::Children => f.write_str("CHILDREN"),
            Self::SpecialUse => f.write_str("SPECIAL-USE"),
            Self::Status(items) => {
                let names: Vec<_> = items.iter().map(ToString::to_string).collect();
                write!(f, "STATUS ({})", names.join(" "))
            }
        }
    }
}

impl StatusItem {
    /// All of them, as IMAP writes them.
    pub(super) const NAMES: [(&str, Self); 9] = [
        ("MESSAGES", Self::Messages),
        ("RECENT", Self::Recent),
        ("UIDNEXT", Self::UidNext),
        ("UIDVALIDITY", Self::UidValidity),
        ("UNSEEN", Self::Unseen),
        ("DELETED", Self::Deleted),
        ("SIZE", Self::Size),
        ("HIGHESTMODSEQ", Self::HighestModSeq),
        ("MAILBOXID", Self::MailboxId),
    ];
}

impl fmt::Display for StatusItem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match Self::NAMES.iter().find(|(_, item)| item == self) {
            Some((name, _)) => f.write_str(name),
            None => Err(fmt::Error),
        }
    }
}

/// Octets of the longest string that is no literal: lines stay short, whoever reads them.
const QUOTED_MAX: usize = 1000;
