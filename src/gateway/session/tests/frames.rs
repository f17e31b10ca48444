//! What clients seal: opened, held, and done once.

use std::num::NonZeroU32;

use sidekey_protocol::object::{ClientToServer, Context, Kind, Mailbox};

use super::held::{Held, sealed, sender};
use super::*;

const FLAGS: [&str; 2] = ["\\Seen", "\\Draft"];
const DATE: &str = " 1-Feb-2026 08:00:00 +0100";
const DATE_S: u64 = 1_769_929_200;

fn mailbox(name: &str) -> Mailbox {
    Mailbox::new(name, Some('/')).unwrap()
}

fn searched(key: &str, field: Option<&str>, number: u64, string: &str) -> String {
    let uid_validity = NonZeroU32::new(5).unwrap();
    let place = Context::search(&mailbox("INBOX"), uid_validity, sender(number), key, field);
    sealed(&Held::new(0, END), &place, Kind::Literal, string.as_bytes(), number as u8)
}

fn place(name: &str, number: u64) -> Context<ClientToServer> {
    Context::append(&mailbox(name), sender(number), &FLAGS, Some(DATE_S))
}

/// A message as a frame, and what announces it.
fn message(frame: &str) -> String {
    format!(" (\\Seen \\Draft) \"{DATE}\" {{{}+}}\r\n{frame}", frame.len())
}

fn appended(number: u64, value: &[u8]) -> String {
    message(&sealed(&Held::new(0, END), &place("INBOX", number), Kind::Literal, value, 7))
}

#[test]
fn strings_are_opened_and_searched_for_once() {
    for piece in PIECES {
        let mut talk = Talk::selected(piece);
        let (subject, field) =
            (searched("SUBJECT", None, 1, "secret"), searched("HEADER", Some("X-ID"), 2, "gr\u{fc}n"));
        let command = format!(
            "UID SEARCH UNSEEN SUBJECT {{{}+}}\r\n{subject} NOT HEADER x-id {{{}+}}\r\n{field}\r\n",
            subject.len(),
            field.len()
        );
        assert_eq!(
            talk.client(&format!("q {command}")),
            "q UID SEARCH CHARSET UTF-8 UNSEEN SUBJECT secret NOT HEADER X-ID {5+}\r\ngr\u{fc}n\r\n"
        );
        assert_eq!(talk.shown("* SEARCH 1 2\r\nq OK done\r\n"), "* SEARCH 1 2\r\nq OK done\r\n");
        assert_eq!(
            talk.told(&format!("r {command}")),
            "r NO this was searched for before: number it anew\r\n"
        );
    }
}

#[test]
fn a_string_of_another_key_or_place_is_refused() {
    let mut talk = Talk::selected(usize::MAX);
    let string = searched("SUBJECT", None, 1, "secret");
    for (key, reason) in [
        ("FROM", "a frame does not hold: the frame is of another item"),
        ("HEADER SUBJECT", "a frame does not hold: the frame is of another item"),
    ] {
        let told = talk.told(&format!("q SEARCH {key} {{{}+}}\r\n{string}\r\n", string.len()));
        assert_eq!(told, format!("q NO {reason}\r\n"));
    }
    let mut other = Talk::new(usize::MAX);
    other.client("s SELECT INBOX\r\n");
    other.server("* OK [UIDVALIDITY 6] x\r\ns OK done\r\n");
    other.to_client.clear();
    let command = format!("q SEARCH SUBJECT {{{}+}}\r\n{string}\r\n", string.len());
    assert_eq!(other.told(&command), "q NO a frame does not hold: the frame is of another UIDVALIDITY\r\n");
    assert_eq!(talk.client(&command), "q SEARCH SUBJECT secret\r\n", "what was refused took no number");
}

#[test]
fn a_message_is_stored_once_and_a_repeat_is_given_the_answer_of_then() {
    let value = "From: ann\r\n\r\nsecret\r\n".repeat(5000);
    for piece in PIECES {
        let mut talk = Talk::selected(piece);
        let command = format!("APPEND INBOX{}\r\n", appended(1, value.as_bytes()));
        assert_eq!(
            talk.client(&format!("a {command}")),
            format!("a APPEND INBOX (\\Seen \\Draft) \"{DATE}\" {{{}}}\r\n", value.len())
        );
        let mut got = String::new();
        assert_eq!(talk.shown("+ go\r\n"), "");
        while !talk.session.rests() {
            talk.server(" ");
        }
        got.push_str(&talk.client(""));
        assert!(got == format!("{value}\r\n"), "as it was sealed, and ended");
        let answer = "OK [APPENDUID 5 77] done";
        assert_eq!(
            talk.shown(&format!("* 10 EXISTS\r\na {answer}\r\n")),
            format!("* 10 EXISTS\r\na {answer}\r\n")
        );
        assert_eq!(talk.told(&format!("b {command}")), format!("b {answer}\r\n"));
        let another = sealed(&Held::new(0, END), &place("INBOX", 1), Kind::Literal, b"x", 9);
        let told = talk.told(&format!("c APPEND INBOX{}\r\n", message(&another)));
        assert_eq!(told, "c NO a number was used before: number it anew\r\n");
    }
}

#[test]
fn of_several_messages_all_hold_or_none_is_stored() {
    for piece in PIECES {
        let mut talk = Talk::selected(piece);
        let (one, two) = (appended(1, b"one\r\n"), appended(2, b"two\r\n"));
        let altered = two.replace("A", "B");
        let told = talk.told(&format!("a APPEND INBOX{one}{altered}{one}\r\n"));
        assert!(told.starts_with("a NO a frame does not hold: "), "{told}");
        let first = "a APPEND INBOX (\\Seen \\Draft) \" 1-Feb-2026 08:00:00 +0100\" {5}\r\n";
        assert_eq!(talk.client(&format!("a APPEND INBOX{one}{two}\r\n")), first);
        talk.server("+ go\r\n");
        assert_eq!(talk.client(""), "one\r\n (\\Seen \\Draft) \" 1-Feb-2026 08:00:00 +0100\" {5}\r\n");
        talk.server("+ go\r\n");
        assert_eq!(talk.client(""), "two\r\n\r\n");
        assert_eq!(talk.shown("a NO [TRYCREATE] none\r\n"), "a NO [TRYCREATE] none\r\n");
    }
}

#[test]
fn what_is_said_around_a_frame_is_what_it_is_bound_to() {
    let mut talk = Talk::selected(usize::MAX);
    assert_eq!(talk.client(&format!("a APPEND x/y{}\r\n", appended(1, b"x"))), "a LIST \"\" \"INBOX\"\r\n");
    let told = talk.shown("* LIST () \"/\" INBOX\r\na OK\r\n");
    assert_eq!(told, "a NO a frame does not hold: the frame is of another mailbox\r\n");
    let frame = sealed(&Held::new(0, END), &place("INBOX", 1), Kind::Literal, b"secret", 7);
    let len = frame.len();
    for (around, frame, reason) in [
        (format!("(\\Seen) \"{DATE}\""), &*frame, "a frame does not hold: the frame is of another item"),
        ("(\\Seen \\Draft)".to_owned(), &frame, "a frame does not hold: the frame is of another extent"),
        (
            "(\\Seen \\Draft) \" 1-Feb-1969 08:00:00 +0100\"".to_owned(),
            &frame,
            "a frame does not hold: the frame is of another extent",
        ),
        (format!("(\\Draft \\Seen) \"{DATE}\""), &frame[..len - 4], "a frame does not hold: "),
        (
            format!("(\\Draft \\Seen) \"{DATE}\""),
            &frame[..100],
            "a frame does not hold: the frame is cut short",
        ),
        (format!("(\\Draft \\Seen) \"{DATE}\""), "From: ann\r\n\r\nsecret", "a frame is base64 in one line"),
        (format!("(\\Draft \\Seen) \"{DATE}\""), "", "a frame does not hold: the frame is cut short"),
    ] {
        let told = talk.told(&format!("a APPEND INBOX {around} {{{}+}}\r\n{frame}\r\n", frame.len()));
        assert!(told.starts_with(&format!("a NO {reason}")), "{around}: {told}");
    }
    assert_eq!(
        talk.told("a APPEND INBOX ~{5}\r\n"),
        "a NO a frame comes as base64 in a plain literal\r\n",
        "and is not asked for"
    );
    assert!(talk.told("a APPEND INBOX {300000000}\r\n").starts_with("a NO [LIMIT]"));
    assert_eq!(talk.told("a APPEND INBOX {5}\r\n"), "+ go on\r\n");
    assert!(talk.told("short\r\n").starts_with("a NO a frame is base64"));
    assert_eq!(talk.client("n NOOP\r\n"), "n NOOP\r\n");
}

#[test]
fn the_key_that_a_frame_names_is_wished_for() {
    let place = place("INBOX", 1);
    let frame = sealed(&Held::new(1, END), &place, Kind::Literal, b"secret", 7);
    let named = Some(Wish::KeyOf(Held::new(1, END).session(), 1));
    let command = format!("a APPEND INBOX{}\r\n", message(&frame));
    for piece in PIECES {
        let mut talk = Talk::selected(piece);
        assert_eq!(talk.client(&command), "");
        assert_eq!(talk.session.wish(), named);
        assert!(!talk.session.reads_client());
        talk.session.key(Err(Unavailable::Refused));
        assert_eq!(talk.told(""), "a NO [NOPERM] this user has no such session\r\n");
        assert_eq!(talk.client(&command), "");
        talk.session.key(Ok(Arc::new(Held::new(2, END))));
        assert!(!talk.session.reads_client(), "a renewal is no answer");
        talk.session.key(Ok(Arc::new(Held::new(1, END))));
        assert!(talk.client("").starts_with("a APPEND INBOX (\\Seen \\Draft)"));
    }
    let mut talk = Talk::selected(usize::MAX);
    talk.now = END;
    let string = searched("TEXT", None, 1, "secret");
    let command = format!("q SEARCH TEXT {{{}+}}\r\n{string}\r\n", string.len());
    assert_eq!(talk.client(&command), "");
    assert_eq!(talk.session.wish(), Some(Wish::KeyOf(Held::new(0, END).session(), 0)), "its time is over");
    talk.session.key(Err(Unavailable::Later));
    assert_eq!(talk.told(""), "q NO [UNAVAILABLE] there is no key now\r\n");
}

#[test]
fn an_answer_that_never_came_is_not_made_up() {
    let mut talk = Talk::selected(usize::MAX);
    let replays = talk.session.settings.replays.clone();
    let command = format!("a APPEND INBOX{}\r\n", appended(1, b"secret"));
    talk.client(&command);
    talk.session.server_gone();
    let mut again = Talk::selected(usize::MAX);
    again.session.settings.replays = replays;
    assert_eq!(again.told(&command), "a NO [UNAVAILABLE] what became of it is not known\r\n");
    // Nor is one taken that came too early.
    let mut talk = Talk::selected(usize::MAX);
    talk.client(&format!("a APPEND INBOX{}\r\n", appended(1, &[b'x'; 200_000])));
    talk.server("+ go\r\na OK done\r\n");
    assert_eq!(talk.ended, Some(Ended::Server(Unfit::TooEarly)));
}
