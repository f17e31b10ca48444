//! Words with a server, and whether they are answered the same at another place.

use std::fmt;

use futures_util::{StreamExt as _, stream};

use super::corpus::Corpus;
use super::dovecot::Dovecot;
use super::session::Session;

/// What is said on one connection to a mailbox that nobody has touched.
#[derive(Clone, Copy, Debug)]
pub struct Exchange {
    /// What it is about.
    pub name: &'static str,
    steps: &'static [Step],
}

#[derive(Clone, Copy, Debug)]
enum Step {
    /// A command.
    Say(&'static str),
    /// IDLE, while another program of the user's says this, until these words are heard.
    Idle(&'static [&'static str], &'static str),
}

/// One that was answered otherwise.
#[derive(Debug)]
pub struct Difference {
    name: &'static str,
    here: Vec<u8>,
    there: Vec<u8>,
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { name, here, there } = self;
        write!(f, "{name}:\n{}\nand not\n{}", here.escape_ascii(), there.escape_ascii())
    }
}

/// Which of these go otherwise at `door` than at the server behind it: each with users of its own, who have the same mail.
/// Times, and what is made of them, are left out.
pub async fn differences(door: u16, server: &Dovecot, exchanges: &[Exchange]) -> Vec<Difference> {
    let corpus = Corpus::new(1);
    let compare = async |(at, exchange): (usize, &Exchange)| {
        let users = ["here", "there"].map(|place| format!("{place}-{door}-{at}"));
        for user in &users {
            server.deliver(user, None, &corpus.messages[4..12]);
            server.deliver(user, Some("Archive"), &corpus.messages[..2]);
        }
        let here = exchange.held(door, server.port, &users[0]).await;
        let there = exchange.held(server.port, server.port, &users[1]).await;
        (here != there).then_some(Difference { name: exchange.name, here, there })
    };
    let compared: Vec<_> =
        stream::iter(exchanges.iter().enumerate()).map(compare).buffered(AT_ONCE).collect().await;
    compared.into_iter().flatten().collect()
}

impl Exchange {
    /// All that was answered, masked.
    async fn held(&self, door: u16, server: u16, user: &str) -> Vec<u8> {
        let mut session = Session::login(door, user).await;
        let mut answers = Vec::new();
        for step in self.steps {
            answers.extend(match step {
                Step::Say(command) => session.say(command.as_bytes()).await,
                Step::Idle(commands, words) => {
                    let other = async {
                        let mut other = Session::login(server, user).await;
                        for command in *commands {
                            other.ask(command).await;
                        }
                    };
                    session.idle(other, words).await
                }
            });
        }
        masked(&answers)
    }
}

/// Connections of each side at a time.
const AT_ONCE: usize = 4;

/// Without what differs by the time: how long it took, when it was, and UIDVALIDITY.
fn masked(answers: &[u8]) -> Vec<u8> {
    let mut masked = Vec::new();
    let mut rest = answers;
    while let Some(first) = rest.first() {
        let hidden = hidden(rest);
        if let Some((kept, skipped)) = hidden {
            masked.extend_from_slice(&rest[..kept]);
            masked.push(b'?');
            rest = &rest[kept + skipped..];
        } else {
            masked.push(*first);
            rest = &rest[1..];
        }
    }
    masked
}

/// How much of the beginning is a word, and how much behind it is hidden.
fn hidden(rest: &[u8]) -> Option<(usize, usize)> {
    let after = |word: &str| rest.strip_prefix(word.as_bytes()).map(|rest| (word.len(), rest));
    for word in ["UIDVALIDITY ", "APPENDUID ", "COPYUID "] {
        if let Some((kept, rest)) = after(word) {
            return Some((kept, rest.iter().take_while(|octet| octet.is_ascii_digit()).count()));
        }
    }
    for word in ["INTERNALDATE \"", "SAVEDATE \""] {
        if let Some((kept, rest)) = after(word) {
            let date = rest.iter().take_while(|octet| **octet != b'"').count();
            // When the mail was delivered is known.
            return (!rest[..date].windows(8).any(|part| part == b"Jan-2026")).then_some((kept, date));
        }
    }
    let (kept, rest) = after("(")?;
    let time = rest.iter().take_while(|octet| matches!(octet, b'0'..=b'9' | b'.' | b'+' | b' ')).count();
    rest[time..].starts_with(b"secs)").then_some((kept, time))
}

macro_rules! exchanges {
    ($($name:literal: $($step:expr),+;)*) => {
        &[$(Exchange { name: $name, steps: &[$($step),+] }),*]
    };
}

use Step::{Idle, Say};

const INBOX: Step = Say("SELECT INBOX");
const LIST_ALL: Step = Say("LIST \"\" *");
const FLAGS: Step = Say("FETCH 1:* (UID FLAGS)");

/// At least forty of FETCH, SEARCH, LIST, STATUS, APPEND, STORE, MOVE and IDLE.
pub const EXCHANGES: &[Exchange] = exchanges! {
    "capabilities": Say("CAPABILITY");
    "select": INBOX, Say("CHECK"), Say("UNSELECT"), Say("EXAMINE Archive"), Say("SELECT nowhere");
    "fetch flags": INBOX, FLAGS;
    "fetch macros": INBOX, Say("FETCH 1:2 ALL"), Say("FETCH 3 FULL"), Say("FETCH 4:* FAST");
    "fetch messages": INBOX, Say("FETCH 1:* BODY.PEEK[]");
    "fetch seen": INBOX, Say("STORE 1 -FLAGS (\\Seen)"), Say("FETCH 1 BODY[]"), Say("FETCH 1 FLAGS");
    "fetch headers": INBOX, Say("FETCH 1:* BODY.PEEK[HEADER]"), Say("FETCH 1:* BODY.PEEK[HEADER.FIELDS (Subject FROM)]"),
        Say("FETCH 1 BODY.PEEK[HEADER.FIELDS.NOT (SUBJECT)]");
    "fetch parts": INBOX, Say("FETCH 3:5 (BODY.PEEK[1] BODY.PEEK[1.MIME] BODY.PEEK[2] BODY.PEEK[3.HEADER] BODY.PEEK[TEXT])");
    "fetch ranges": INBOX, Say("FETCH 3 (BODY.PEEK[]<0.100> BODY.PEEK[]<100.200> BODY.PEEK[TEXT]<7.1> BODY.PEEK[]<99999.5>)");
    "fetch binary": INBOX, Say("FETCH 3 (BINARY.PEEK[1] BINARY.SIZE[1] BINARY.PEEK[1]<3.5>)");
    "fetch as RFC 822": INBOX, Say("FETCH 2 (RFC822 RFC822.HEADER RFC822.TEXT RFC822.SIZE)");
    "fetch envelopes": INBOX, Say("FETCH 1:* (ENVELOPE)");
    "fetch structures": INBOX, Say("FETCH 1:* (BODYSTRUCTURE BODY)");
    "fetch dates": INBOX, Say("FETCH 1:* (INTERNALDATE SAVEDATE)");
    "fetch previews": INBOX, Say("FETCH 1:* (PREVIEW)"), Say("FETCH 1 (SNIPPET (FUZZY))");
    "fetch by UID": INBOX, Say("UID FETCH 2,4:6,* (FLAGS)"), Say("UID FETCH 999:1000 FLAGS");
    "fetch what changed": Say("ENABLE CONDSTORE"), INBOX, Say("STORE 2 +FLAGS (\\Flagged)"), Say("FETCH 1:* (MODSEQ) (CHANGEDSINCE 1)");
    "fetch nothing there is": INBOX, Say("FETCH 99 FLAGS"), Say("FETCH 1 NOTHING"), Say("FETCH 1 BODY.PEEK[");
    "search all": INBOX, Say("SEARCH ALL"), Say("UID SEARCH 2:4"), Say("SEARCH UNSEEN"), Say("SEARCH FLAGGED NOT ANSWERED");
    "search words": INBOX, Say("SEARCH SUBJECT \"minutes\""), Say("SEARCH BODY mailbox"), Say("SEARCH OR FROM list TEXT first");
    "search a literal": INBOX, Say("SEARCH SUBJECT {7}\r\nminutes"), Say("SEARCH TEXT {5+}\r\nfirst FROM {4+}\r\nlist");
    "search in UTF-8": INBOX, Say("SEARCH CHARSET UTF-8 TEXT {3}\r\n\u{e9}x"), Say("SEARCH CHARSET NOWHERE TEXT x");
    "search sizes": INBOX, Say("SEARCH LARGER 500"), Say("SEARCH SMALLER 500");
    "search dates": INBOX, Say("SEARCH SINCE 1-Jan-2026"), Say("SEARCH SENTBEFORE 1-Jan-2026"), Say("SEARCH HEADER Received mx");
    "search and return": INBOX, Say("SEARCH RETURN (MIN MAX COUNT) ALL"), Say("SEARCH RETURN (SAVE) 2:3"), Say("FETCH $ UID");
    "sort": INBOX, Say("SORT (SUBJECT) UTF-8 ALL"), Say("UID SORT (REVERSE SIZE) UTF-8 ALL");
    "thread": INBOX, Say("THREAD REFERENCES UTF-8 ALL");
    "list": LIST_ALL, Say("LIST \"\" \"\""), Say("LIST \"\" Arch%"), Say("LSUB \"\" *"), Say("NAMESPACE");
    "list and return": Say("LIST \"\" % RETURN (CHILDREN SUBSCRIBED STATUS (MESSAGES UNSEEN))"), Say("LIST (SUBSCRIBED) \"\" *");
    "mailboxes": Say("CREATE a/b"), Say("CREATE &ZeVnLIqe-"), Say("SUBSCRIBE a/b"), LIST_ALL, Say("RENAME a z"), LIST_ALL,
        Say("DELETE z/b"), Say("LSUB \"\" *"), Say("DELETE nowhere");
    "status": Say("STATUS INBOX (MESSAGES RECENT UIDNEXT UIDVALIDITY UNSEEN)"), Say("STATUS Archive (MESSAGES)");
    "status of sizes": Say("STATUS INBOX (SIZE HIGHESTMODSEQ)");
    "status of nothing": Say("STATUS nowhere (MESSAGES)"), Say("STATUS INBOX (NOTHING)");
    "append": Say("APPEND INBOX {21}\r\nSubject: new\r\n\r\nnew\r\n"), INBOX, Say("FETCH * (FLAGS RFC822)");
    "append without waiting": Say("APPEND INBOX (\\Seen $Mark) \"01-Jan-2026 08:00:00 +0100\" {21+}\r\nSubject: new\r\n\r\nnew\r\n"),
        INBOX, Say("FETCH * (FLAGS INTERNALDATE RFC822.SIZE)");
    "append two": Say("APPEND INBOX (\\Draft) {15}\r\nSubject: a\r\n\r\nx {15+}\r\nSubject: b\r\n\r\ny"), INBOX, Say("FETCH 9:* (FLAGS RFC822)");
    "append octets": Say("APPEND INBOX ~{16+}\r\nSubject: a\r\n\r\n\0\u{1}"), INBOX, Say("FETCH * BINARY[1]");
    "append where nothing is": Say("APPEND nowhere {21+}\r\nSubject: new\r\n\r\nnew\r\n");
    "append by parts": Say("APPEND Archive CATENATE (TEXT {18}\r\nSubject: c\r\n\r\nabc\r TEXT {4+}\r\n\ndef)"), Say("STATUS Archive (MESSAGES)");
    "store": INBOX, Say("STORE 1:3 +FLAGS (\\Flagged $Work)"), Say("STORE 2 -FLAGS (\\Flagged)"), Say("STORE 3 FLAGS (\\Draft)"), FLAGS;
    "store silently": INBOX, Say("UID STORE 1:* +FLAGS.SILENT (\\Answered)"), Say("NOOP"), FLAGS;
    "store unless it changed": INBOX, Say("STORE 1 (UNCHANGEDSINCE 1) +FLAGS (\\Deleted)"), Say("STORE 1 (UNCHANGEDSINCE 0) +FLAGS (a)"), FLAGS;
    "store what cannot be": INBOX, Say("STORE 1 +FLAGS (\\Recent)"), Say("STORE 99 FLAGS ()"), Say("EXAMINE INBOX"), Say("STORE 1 FLAGS ()");
    "move": INBOX, Say("MOVE 2:3 Archive"), Say("UID MOVE 8 Archive"), FLAGS, Say("STATUS Archive (MESSAGES UIDNEXT)");
    "move where nothing is": INBOX, Say("MOVE 1 nowhere"), Say("COPY 1 nowhere");
    "copy": INBOX, Say("COPY 1:2 Archive"), Say("UID COPY 5 Archive"), Say("SELECT Archive"), FLAGS;
    "expunge": INBOX, Say("STORE 2,4 +FLAGS.SILENT (\\Deleted)"), Say("UID EXPUNGE 2"), Say("EXPUNGE"), FLAGS;
    "close": INBOX, Say("STORE 1 +FLAGS.SILENT (\\Deleted)"), Say("CLOSE"), Say("STATUS INBOX (MESSAGES)");
    "idle, and mail comes": INBOX, Idle(&["APPEND INBOX {21}\r\nSubject: new\r\n\r\nnew\r\n"], " EXISTS\r\n"), Say("FETCH * UID");
    "idle, and flags change": INBOX, Idle(&["SELECT INBOX", "STORE 2 +FLAGS (\\Flagged)"], " FETCH ("), FLAGS;
    "idle, and mail goes": INBOX, Idle(&["SELECT INBOX", "MOVE 3 Archive"], " EXPUNGE\r\n"), FLAGS;
    "idle, and nothing": INBOX, Idle(&[], "idling");
    "what nobody knows": Say("XYZZY"), Say("GETQUOTAROOT INBOX"), INBOX, Say("FETCH"), Say("SEARCH"), Say("ID NIL"), Say("NOOP");
};

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_masked_and_nothing_else() {
        let said = b"* OK [UIDVALIDITY 17] UIDs valid\r\n* 1 FETCH (UID 17 INTERNALDATE \"29-Nov-2026 10:00:00 +0000\" \
            FLAGS ())\r\n* 2 FETCH (INTERNALDATE \" 1-Jan-2026 00:01:00 +0000\")\r\na OK [COPYUID 17 1:2 3:4] (0.001 + 0.000 \
            secs).\r\n(12 secs left)\r\n";
        let kept = b"* OK [UIDVALIDITY ?] UIDs valid\r\n* 1 FETCH (UID 17 INTERNALDATE \"?\" FLAGS ())\r\n* 2 FETCH \
            (INTERNALDATE \" 1-Jan-2026 00:01:00 +0000\")\r\na OK [COPYUID ? 1:2 3:4] (?secs).\r\n(12 secs left)\r\n";
        assert_eq!(masked(said).escape_ascii().to_string(), kept.escape_ascii().to_string());
    }
}
