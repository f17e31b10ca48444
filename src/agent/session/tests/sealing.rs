//! What a program says reaches the gateway as frames, and nothing of it in the clear.

use std::num::NonZeroU64;

use sidekey_imap::command::Key as SearchKey;
use sidekey_imap::command::{Body, Command, Event};
use sidekey_protocol::object::{ClientToServer, Opener, Sender, open};

use super::*;

const PAIRING: PartyId = PartyId::from_bytes([5; 16]);

fn sender(number: u64) -> Sender {
    Sender::new(PAIRING, NonZeroU64::new(number).unwrap())
}

fn mailbox(name: &str) -> object::Mailbox {
    object::Mailbox::new(name, Some('/')).unwrap()
}

/// What a gateway reads of a frame that it expects to be this.
fn opened(text: &[u8], expected: &Context<ClientToServer>) -> (Kind, Vec<u8>) {
    let (key, mut value) = (Key::new(SESSION, 2), Vec::new());
    let frame = BASE64_STANDARD.decode(text).unwrap();
    let kind = open(Opener::new(&key.0.c2s, expected), frame.as_slice(), &mut value).unwrap();
    (kind, value)
}

impl Rig {
    /// Answers what is wished for to seal something: this number is the first.
    fn answer(&mut self, first: u64, count: u64) {
        self.drain(None);
        assert!(matches!(self.wishes.pop(), Some(Wish::Current { .. })));
        self.session.key(Ok(Arc::new(Key::new(SESSION, 2))));
        let Some(wish) = self.session.wish() else { panic!("numbers are wished for") };
        let count = NonZeroU64::new(count).unwrap();
        assert_eq!(wish, Wish::Numbers { session: SESSION, generation: 2, count });
        self.session.numbers(Ok(NonZeroU64::new(first).unwrap()));
        self.drain(None);
    }

    /// As much as there is, with nothing said to it.
    fn send_all(&mut self) {
        while self.session.server(&mut &b""[..], NOW).is_ok() && self.drain(None) {}
    }

    /// Of a rig that answers by hand.
    fn said_to(&mut self, text: &str) {
        let mut input = text.as_bytes();
        while !input.is_empty() {
            let before = input.len();
            self.session.program(&mut input, NOW).unwrap();
            self.sent.append(self.session.to_server());
            if input.len() == before {
                break;
            }
        }
        assert_eq!(input, b"", "all of it is taken");
    }
}

#[test]
fn strings_that_are_searched_for_are_sealed_each() {
    let mut rig = Rig::new();
    let search = "p UID SEARCH CHARSET UTF-8 UNSEEN OR SUBJECT \"secret one\" NOT (HEADER X-Y {9+}\r\nZ\u{fc}rich 2)\r\n";
    rig.said_to(search);
    assert_eq!(rig.sent(), "", "nothing is sent before it is sealed");
    rig.answer(41, 2);
    let sent = rig.sent();
    assert!(!sent.contains("secret") && !sent.contains("rich"));
    let mut reader = Reader::new(Limits::CLIENT);
    let Ok(Some(Event::Command(Command { body: Body::Search(by, search), .. }))) =
        reader.next(&mut sent.as_bytes())
    else {
        panic!("{sent}");
    };
    assert_eq!((by, search.charset), (sidekey_imap::command::By::Uid, None));
    let SearchKey::Or(keys) = &search.keys[1] else { panic!("{search:?}") };
    let SearchKey::Has(_, subject) = &keys[0] else { panic!("{search:?}") };
    let of = |number, key, field| {
        Context::search(&mailbox("INBOX"), NonZeroU32::new(44).unwrap(), sender(number), key, field)
    };
    assert_eq!(opened(subject, &of(41, "SUBJECT", None)), (Kind::Literal, b"secret one".to_vec()));
    let SearchKey::Not(key) = &keys[1] else { panic!("{search:?}") };
    let SearchKey::And(keys) = &**key else { panic!("{search:?}") };
    let SearchKey::Header(_, string) = &keys[0] else { panic!("{search:?}") };
    let (_, string) = opened(string, &of(42, "HEADER", Some("X-Y")));
    assert_eq!(string, "Z\u{fc}rich 2".as_bytes());
    rig.server(b"* SEARCH 7\r\ns3 OK found\r\n");
    assert_eq!(rig.said(), "* SEARCH 7\r\np OK found\r\n");
}

#[test]
fn messages_are_sealed_as_they_come_and_the_last_word_is_the_gateway_s() {
    let large = "x".repeat(300_000);
    let mut rig = Rig::new();
    rig.said_to("p APPEND a/b (\\Seen $x) \"01-Jan-2026 08:00:00 +0100\" {300000}\r\n");
    rig.answer(1, 1);
    let sent = rig.sent();
    let frame_len = 4
        * (sidekey_protocol::object::frame_len(
            sidekey_protocol::object::Class::Body,
            300_000,
            0,
            RecordSize::default(),
        ) as usize)
            .div_ceil(3);
    let head = format!("s3 APPEND a/b (\\Seen $x) \" 1-Jan-2026 08:00:00 +0100\" {{{frame_len}+}}\r\n");
    assert_eq!(sent, head);
    assert_eq!(rig.said(), "+ go on\r\n");
    for piece in [&large[..1], &large[1..100_000], &large[100_000..]] {
        rig.said_to(piece);
    }
    rig.said_to(" {5+}\r\n");
    let first = rig.sent();
    rig.answer(2, 1);
    rig.said_to("hello\r\n");
    let second = rig.sent();
    assert_eq!(rig.said(), "");
    rig.server(b"s3 OK [APPENDUID 3 8:9] stored\r\n");
    assert_eq!(rig.said(), "p OK [APPENDUID 3 8:9] stored\r\n");

    let date = Some(1_767_250_800);
    let expected = Context::append(&mailbox("a/b"), sender(1), &["\\SEEN", "$X"], date);
    assert!(opened(first.as_bytes(), &expected) == (Kind::Literal, large.into_bytes()));
    let (head, text) = second.split_once("\r\n").unwrap();
    assert!(head.starts_with(" {") && text.ends_with("\r\n"), "{head}");
    let expected = Context::append(&mailbox("a/b"), sender(2), &[], None);
    assert_eq!(opened(text.trim_end().as_bytes(), &expected), (Kind::Literal, b"hello".to_vec()));
}

#[test]
fn an_append_that_is_refused_is_refused_where_the_program_stands() {
    // At once: the program has not begun to send.
    let mut rig = Rig::new();
    rig.session.literals = Literals::Waiting;
    rig.said_to("p APPEND x {5}\r\n");
    rig.answer(1, 1);
    assert!(rig.sent().ends_with("}\r\n"));
    rig.server(b"s3 NO [TRYCREATE] no such mailbox\r\n");
    rig.said_to("q APPEND x {5}\r\n");
    rig.answer(2, 1);
    rig.server(b"+ go on\r\n");
    assert_eq!(rig.said(), "p NO [TRYCREATE] no such mailbox\r\n+ go on\r\n");
    // In the midst of it: what was announced is sent nevertheless.
    rig.server(b"s4 NO [OVERQUOTA] too much\r\n");
    assert_eq!(rig.said(), "");
    rig.said_to("hello\r\n");
    assert!(rig.sent().ends_with("\r\n"));
    rig.drain(None);
    assert_eq!(rig.said(), "q NO [OVERQUOTA] too much\r\n");
    rig.program("r NOOP\r\n");
    assert_eq!(rig.sent(), "s5 NOOP\r\n");
}

/// With an APPEND of two messages upstream, all of it sent, and what that was.
fn appended() -> (Rig, String) {
    let mut rig = Rig::new();
    rig.said_to("p APPEND x (\\Seen) {100000+}\r\n");
    rig.answer(1, 1);
    rig.said_to(&"x".repeat(100_000));
    rig.said_to(" {5+}\r\n");
    rig.answer(2, 1);
    rig.said_to("hello\r\n");
    let sent = rig.sent();
    (rig, sent)
}

#[test]
fn an_append_whose_connection_breaks_is_sent_once_more_frame_for_frame() {
    for said in ["", "* BYE shutting down\r\n"] {
        let (mut rig, sent) = appended();
        rig.server(said.as_bytes());
        if said.is_empty() {
            rig.session.server_gone();
            rig.drain(None);
        }
        assert_eq!((rig.wishes.pop(), rig.said().as_str()), (Some(Wish::Again), ""));
        let upstream = Capabilities::read("IMAP4rev1 LITERAL+ XENCRYPTED").unwrap();
        rig.session.again(Some(&upstream));
        rig.send_all();
        assert!(rig.sent() == sent, "the same, octet for octet");
        rig.server(b"s3 OK [APPENDUID 3 8:9] stored\r\n");
        let bye = "* BYE the connection to the mail server broke: connect again\r\n";
        assert_eq!(rig.said(), format!("p OK [APPENDUID 3 8:9] stored\r\n{bye}"));
        assert_eq!((rig.ended, rig.alerts), (Some(Ended::ServerGone), vec![]));
    }
}

#[test]
fn another_connection_may_take_literals_otherwise_and_break_too() {
    let (mut rig, sent) = appended();
    rig.session.server_gone();
    rig.drain(None);
    rig.session.again(Some(&Capabilities::read("IMAP4rev1 XENCRYPTED").unwrap()));
    let (mut again, mut asked) = (rig.sent(), 0);
    while again.ends_with("}\r\n") {
        rig.server(b"+ go on\r\n");
        rig.send_all();
        again.push_str(&rig.sent());
        asked += 1;
    }
    assert!(again.replace("}\r\n", "+}\r\n") == sent, "but for that the same");
    assert_eq!(asked, 2, "each message waits until it is asked for");
    rig.session.server_gone();
    assert_eq!(rig.session.server(&mut &b""[..], NOW), Err(Ended::ServerGone));
}

#[test]
fn what_was_not_sent_whole_or_finds_no_gateway_is_not_sent_again() {
    let gone = "* BYE the mail server has closed the connection\r\n";
    let mut rig = Rig::new();
    rig.said_to("p APPEND x {5+}\r\n");
    rig.answer(1, 1);
    rig.said_to("hell");
    rig.session.server_gone();
    rig.drain(None);
    assert_eq!((rig.wishes.len(), rig.said().as_str()), (0, gone));
    let (mut rig, _) = appended();
    rig.session.server_gone();
    rig.drain(None);
    rig.session.again(None);
    rig.drain(None);
    assert_eq!((rig.said().as_str(), rig.sent().as_str()), (gone, ""));
    let (mut rig, _) = appended();
    rig.session.server_gone();
    rig.drain(None);
    rig.session.again(Some(&Capabilities::read("IMAP4rev1").unwrap()));
    rig.drain(None);
    let sent = rig.sent();
    assert_eq!((rig.alerts.as_slice(), sent.as_str()), (&[Alert::Downgrade(Plain::NotOffered)][..], ""));
}

#[test]
fn without_keys_nothing_is_sent() {
    for (said, rest) in [("p APPEND x {5+}\r\nhello\r\n", ""), ("p SEARCH TEXT hello\r\n", "")] {
        let mut rig = Rig::new();
        let mut input = said.as_bytes();
        rig.session.program(&mut input, NOW).unwrap();
        assert!(matches!(rig.session.wish(), Some(Wish::Current { near: None })));
        rig.session.key(Err(Unavailable::Unreachable));
        rig.session.program(&mut input, NOW).unwrap();
        rig.drain(None);
        assert_eq!(rig.said(), "p NO [UNAVAILABLE] the keys cannot be had now\r\n");
        assert_eq!((rig.sent().as_str(), input), (rest, &b""[..]));
        rig.program("q NOOP\r\n");
        assert_eq!(rig.sent(), "s3 NOOP\r\n");
    }
    // Behind a message that was sent, the whole command is cut off.
    let mut rig = Rig::new();
    rig.said_to("p APPEND x {5+}\r\n");
    rig.answer(1, 1);
    rig.said_to("hello {5+}\r\n");
    assert!(matches!(rig.session.wish(), Some(Wish::Current { .. })));
    rig.session.key(Err(Unavailable::Unknown));
    assert_eq!(rig.session.program(&mut &b"hello\r\n"[..], NOW), Err(Ended::AppendBroken));
    rig.drain(None);
    assert_eq!(rig.said(), "p NO nothing of it is stored\r\n* BYE an APPEND broke off\r\n");
}

#[test]
fn the_session_that_the_gateway_shows_is_the_one_to_seal_with() {
    let mut rig = Rig::new();
    rig.server(b"* OK [XENCRYPTED session=07070707070707070707070707070707 generation=0] x\r\n");
    assert_eq!(rig.said(), "");
    rig.said_to("p SEARCH BODY x\r\n");
    assert_eq!(rig.session.wish(), Some(Wish::Current { near: Some(SESSION) }));
    rig.session.key(Ok(Arc::new(Key::new(SESSION, 2))));
    assert!(rig.session.wish().is_some());
    rig.session.numbers(Err(Unavailable::Unreachable));
    rig.drain(None);
    assert_eq!(rig.said(), "p NO [UNAVAILABLE] the keys cannot be had now\r\n");
}

#[test]
fn padding_goes_as_there_is_room() {
    let value = vec![b'x'; 5_000_000];
    let mut rig = Rig::new();
    rig.said_to("p APPEND x {5000000+}\r\n");
    rig.answer(1, 1);
    for mut piece in value.chunks(16 * 1024) {
        rig.session.program(&mut piece, NOW).unwrap();
        assert!(piece.is_empty() && rig.session.to_server().len() < 4 * 64 * 1024);
        rig.sent.append(rig.session.to_server());
    }
    let mut end = &b"\r\n"[..];
    while !end.is_empty() {
        rig.session.program(&mut end, NOW).unwrap();
        assert!(rig.session.to_server().len() < 4 * 64 * 1024);
        rig.sent.append(rig.session.to_server());
    }
    let sent = rig.sent();
    let (_, text) = sent.split_once("\r\n").unwrap();
    let expected = Context::append(&mailbox("x"), sender(1), &[], None);
    assert!(opened(text.trim_end().as_bytes(), &expected).1 == value);
}
