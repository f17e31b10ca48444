//! Every command, in the one spelling, as Dovecot understands it.

use sidekey_imap::command::{Append, Body, Date, DateTime, Flag, Literals};
use sidekey_imap::mailbox::Mailbox;
use sidekey_imap::response::{Code, Condition};
use sidekey_imap::scanner::Literal;

use crate::server::Dovecot;
use crate::{command, corpus};

const COMMANDS: &[&str] = &[
    "CAPABILITY",
    "NOOP",
    "ID NIL",
    "ID (\"name\" \"x\\\"y\" \"os\" NIL)",
    "NAMESPACE",
    "CREATE \"a b\"",
    "CREATE &AOk-&-.x",
    "CREATE {3}\r\nq)q",
    "CREATE gone",
    "SUBSCRIBE &AOk-&-.x",
    "RENAME gone \"moved here\"",
    "LIST \"\" *",
    "LIST \"\" %",
    "LIST (SUBSCRIBED RECURSIVEMATCH) \"\" (% \"a b\") RETURN (CHILDREN SUBSCRIBED STATUS (MESSAGES UIDNEXT))",
    "LIST \"\" \"\"",
    "LSUB \"\" *",
    "UNSUBSCRIBE &AOk-&-.x",
    "STATUS INBOX (MESSAGES RECENT UIDNEXT UIDVALIDITY UNSEEN SIZE HIGHESTMODSEQ)",
    "ENABLE CONDSTORE QRESYNC",
    "EXAMINE INBOX",
    "UNSELECT",
    "SELECT INBOX (CONDSTORE)",
    "SELECT INBOX (QRESYNC (1 1 1:5 (1 1)))",
    "SELECT inbox",
    "FETCH 1:* ALL",
    "FETCH 1:* FULL",
    "UID FETCH 1:* (FLAGS UID MODSEQ INTERNALDATE RFC822.SIZE ENVELOPE BODYSTRUCTURE BODY)",
    "FETCH 1:* (BODY.PEEK[] UID)",
    "FETCH 1:* (BODY.PEEK[HEADER] BODY.PEEK[TEXT] BODY.PEEK[1] BODY.PEEK[1.MIME] BODY.PEEK[2.1.HEADER])",
    "FETCH 1:* (BODY.PEEK[]<0.16384> BODY.PEEK[]<16384.16384> BODY.PEEK[TEXT]<3.1>)",
    "FETCH 1:* (BODY.PEEK[HEADER.FIELDS (Subject FROM \"X-Raw\" nil)] BODY.PEEK[1.HEADER.FIELDS.NOT (To)])",
    "FETCH 1:* (RFC822.HEADER RFC822.TEXT RFC822)",
    "FETCH 1:* (PREVIEW)",
    "FETCH 1:* (PREVIEW (LAZY))",
    "FETCH 1:9 (SNIPPET)",
    "FETCH 18 (BINARY.PEEK[1] BINARY.SIZE[1] BINARY.PEEK[1]<2.3>)",
    "UID FETCH 1:* (FLAGS) (CHANGEDSINCE 1)",
    "UID FETCH 1:* (FLAGS) (CHANGEDSINCE 1 VANISHED)",
    "UID SEARCH UID 7:4294967295",
    "SEARCH CHARSET UTF-8 OR SUBJECT {6}\r\nGr\u{fc}\u{df} (TEXT \"a\\\"b\" NOT HEADER X-Raw \"\")",
    "SEARCH RETURN (MIN MAX ALL COUNT) UNDELETED 1:*",
    "SEARCH RETURN () SINCE 1-Jan-2026 BEFORE 1-Feb-2027 SENTON 1-Jan-2026",
    "UID SEARCH LARGER 100 SMALLER 2000000 YOUNGER 99999999 MODSEQ 1 KEYWORD $x UNKEYWORD y",
    "UID STORE 1:3 +FLAGS (\\Seen $x)",
    "STORE 1 (UNCHANGEDSINCE 99999999) -FLAGS.SILENT (\\Flagged)",
    "STORE 2 FLAGS (\\Deleted)",
    "UID COPY 1,3:4 \"a b\"",
    "UID MOVE 5 \"a b\"",
    "UID EXPUNGE 2",
    "EXPUNGE",
    "CHECK",
    "CLOSE",
    "DELETE \"moved here\"",
    "LOGOUT",
];

#[test]
fn dovecot_understands_every_command() {
    // Dovecot's buffer is larger than a piece: every kind of token is cut somewhere.
    for (literals, piece) in [(Literals::Waiting, 1021), (Literals::Plus, 65536), (Literals::Minus, 7919)] {
        let mut server = Dovecot::start(&corpus::messages(), piece);
        for text in COMMANDS {
            let answer = server.ask(&command(text), literals);
            let status = answer.status.unwrap();
            assert_eq!(status.condition, Condition::Ok, "{text}: {}", status.text);
        }
    }
}

#[test]
fn a_set_keeps_its_meaning() {
    let mut server = Dovecot::start(&corpus::messages(), 4096);
    server.ask(&command("SELECT INBOX"), Literals::Plus);
    let none = server.ask(&command("UID SEARCH UID 1000:4294967295"), Literals::Plus);
    assert!(none.octets.starts_with(b"* SEARCH\r\n"), "the highest number is no star: {none:?}");
    let last = server.ask(&command("UID SEARCH UID 1000:*"), Literals::Plus);
    assert!(
        last.octets.starts_with(format!("* SEARCH {}\r\n", corpus::messages().len()).as_bytes()),
        "{last:?}"
    );
}

#[test]
fn messages_are_appended_and_come_back() {
    let mut server = Dovecot::start(&[], 4096);
    let date = DateTime::new(Date::new(2024, 2, 29).unwrap(), [23, 59, 58], -210).unwrap();
    for literals in [Literals::Waiting, Literals::Plus] {
        let mut append = Append {
            tag: command("NOOP").tag,
            mailbox: Mailbox::new("inbox").unwrap(),
            first: true,
            flags: vec![Flag::new("\\seen").unwrap(), Flag::new("$x").unwrap()],
            date: Some(date),
            literal: Literal { size: 0, plus: false, binary: false },
        };
        for message in [&b"Subject: one\r\n\r\n{5}\r\n"[..], b"Subject: two\r\n\r\nx"] {
            for segment in append.write(message.len() as u64, false, literals) {
                server.send(&segment);
                if literals == Literals::Waiting {
                    server.until_continuation();
                }
            }
            server.send(message);
            append.first = false;
        }
        server.send(b"\r\n");
        let status = server.answer(|status| status.tag.is_some()).status.unwrap();
        assert_eq!(status.condition, Condition::Ok, "{}", status.text);
        assert!(matches!(status.code, Some(Code::AppendUid { .. })), "{status:?}");
    }
    server.ask(&command("SELECT INBOX"), Literals::Plus);
    let answer = server.ask(&command("FETCH 1:* (FLAGS INTERNALDATE BODY.PEEK[])"), Literals::Plus);
    let text = String::from_utf8(answer.octets).unwrap();
    assert_eq!(text.matches("Subject: one\r\n\r\n{5}\r\n").count(), 2, "{text}");
    assert_eq!(text.matches("INTERNALDATE \"01-Mar-2024 03:29:58 +0000\"").count(), 4, "{text}");
    assert_eq!(text.matches("\\Seen").count(), 4, "{text}");
}

#[test]
fn idle_ends_with_done() {
    let mut server = Dovecot::start(&corpus::messages()[..3], 4096);
    server.ask(&command("SELECT INBOX"), Literals::Plus);
    let idle = command("IDLE");
    assert_eq!(idle.body, Body::Idle);
    server.send(&idle.write(Literals::Plus).concat());
    server.until_continuation();
    server.send(b"DONE\r\n");
    let status = server.answer(|status| status.tag.is_some()).status.unwrap();
    assert_eq!(status.condition, Condition::Ok);
}

#[test]
fn a_server_that_hangs_up_in_a_response_is_an_end() {
    let mut server = Dovecot::start(&corpus::messages(), 4096);
    server.ask(&command("SELECT INBOX"), Literals::Plus);
    // Message 11 has base64 that is cut short: Dovecot ends the connection, or answers NO.
    let answer = server.ask(&command("FETCH 1:* BINARY.PEEK[1]"), Literals::Plus);
    assert!(answer.status.is_none_or(|status| status.condition == Condition::No));
}
