mod strategy;

use proptest::prelude::*;

use super::*;
use crate::scanner::{Limits, Reason};

/// What came of these octets, messages put together.
fn events<'i>(pieces: &[&'i [u8]]) -> (Vec<Event<'i>>, Vec<u8>, Option<Broken>) {
    let mut reader = Reader::new(Limits::CLIENT);
    let (mut events, mut messages) = (Vec::new(), Vec::new());
    for mut input in pieces.iter().copied() {
        loop {
            match reader.next(&mut input) {
                Ok(None) => break,
                Err(broken) => return (events, messages, Some(broken)),
                Ok(Some(Event::Octets { octets, .. })) => messages.extend_from_slice(octets),
                Ok(Some(event)) => events.push(event),
            }
        }
        assert!(reader.kept() < 128 * 1024);
    }
    (events, messages, None)
}

fn tag(text: &str) -> Tag {
    Tag::new(text).unwrap()
}

/// The one spelling of a command.
fn respelled(text: &str) -> Result<String, Refusal> {
    let line = format!("a {text}\r\n");
    let (mut events, _, broken) = events(&[line.as_bytes()]);
    assert_eq!(broken, None, "{text}");
    events.retain(|event| *event != Event::Continue);
    assert_eq!(events.len(), 1, "{text}: {events:?}");
    match events.remove(0) {
        Event::Command(command) => {
            let sent = command.write(Literals::Plus).concat();
            Ok(String::from_utf8(sent).unwrap()[2..].trim_end_matches("\r\n").to_owned())
        }
        Event::Refused(Some(_), refusal) => Err(refusal),
        event => panic!("{text}: {event:?}"),
    }
}

#[test]
fn a_command_has_one_spelling() {
    for (text, spelled) in [
        ("noop", "NOOP"),
        ("login \"ann\" {3}\r\np\"w", "LOGIN ann \"p\\\"w\""),
        ("LOGIN {3+}\r\nann nil", "LOGIN ann \"nil\""),
        ("login a \"\"", "LOGIN a \"\""),
        ("login a {2}\r\n\u{e9}", "LOGIN a {2+}\r\n\u{e9}"),
        ("authenticate plain AGEAYg==", "AUTHENTICATE PLAIN AGEAYg=="),
        ("authenticate plain =", "AUTHENTICATE PLAIN ="),
        ("select inbox", "SELECT INBOX"),
        ("SELECT \"[Gmail]/All Mail\" (condstore)", "SELECT \"[Gmail]/All Mail\" (CONDSTORE)"),
        ("SELECT [Gmail]/Sent", "SELECT [Gmail]/Sent"),
        ("examine {5}\r\ninBoX (QRESYNC (1 2 1:* (1 2)))", "EXAMINE INBOX (QRESYNC (1 2 1:* (1 2)))"),
        ("select x (qresync (1 2 (1 2)))", "SELECT x (QRESYNC (1 2 (1 2)))"),
        ("list \"\" *", "LIST \"\" \"*\""),
        (
            "list (subscribed remote) \"\" (% x/*) return (children status (messages size))",
            "LIST (SUBSCRIBED REMOTE) \"\" (\"%\" \"x/*\") RETURN (CHILDREN STATUS (MESSAGES SIZE))",
        ),
        ("lsub {0}\r\n %", "LSUB \"\" \"%\""),
        ("status x (uidnext UNSEEN)", "STATUS x (UIDNEXT UNSEEN)"),
        ("id nil", "ID NIL"),
        ("id ()", "ID NIL"),
        ("id (\"name\" \"x\" \"os\" nil)", "ID (\"name\" \"x\" \"os\" NIL)"),
        ("enable condstore", "ENABLE CONDSTORE"),
        ("fetch 1 flags", "FETCH 1 (FLAGS)"),
        ("uid fetch 3:1,* full", "UID FETCH 1:3,* (FLAGS INTERNALDATE RFC822.SIZE ENVELOPE BODY)"),
        (
            "fetch 1 (preview (lazy) body[]<0.16384>) (changedsince 5 xencrypted)",
            "FETCH 1 (PREVIEW (LAZY) BODY[]<0.16384>) (CHANGEDSINCE 5 XENCRYPTED)",
        ),
        (
            "fetch 1 (body.peek[1.2.header.fields (\"to\" From from)] binary.size[1] binary.peek[2.1]<5.6>)",
            "FETCH 1 (BODY.PEEK[1.2.HEADER.FIELDS (TO FROM)] BINARY.SIZE[1] BINARY.PEEK[2.1]<5.6>)",
        ),
        (
            "fetch 1 body[header.fields.not (\"x\\\"y\" a]b nil)]",
            "FETCH 1 (BODY[HEADER.FIELDS.NOT (\"X\\\"Y\" \"A]B\" \"NIL\")])",
        ),
        ("search charset utf-8 text {2}\r\n\u{e9}", "SEARCH CHARSET UTF-8 TEXT {2+}\r\n\u{e9}"),
        (
            "uid search return (min all) or (unseen 1:*) not header subject \"a b\" since 01-feb-2026 uid 7:4294967295",
            "UID SEARCH RETURN (MIN ALL) OR (UNSEEN 1:*) NOT HEADER SUBJECT \"a b\" SINCE 1-Feb-2026 UID 7:4294967295",
        ),
        ("search modseq \"/flags/\\\\draft\" all 5", "SEARCH MODSEQ \"/flags/\\\\draft\" all 5"),
        ("store 1 +flags \\seen $x", "STORE 1 +FLAGS (\\Seen $x)"),
        ("uid store 1 (unchangedsince 5) flags.silent ()", "UID STORE 1 (UNCHANGEDSINCE 5) FLAGS.SILENT ()"),
        ("uid expunge 1:2", "UID EXPUNGE 1:2"),
        ("uid move 1 &AOk-", "UID MOVE 1 &AOk-"),
        ("rename a \"b c\"", "RENAME a \"b c\""),
    ] {
        assert_eq!(respelled(text).as_deref(), Ok(spelled), "{text}");
    }
}

#[test]
#[expect(clippy::too_many_lines, reason = "a table")]
fn what_is_not_understood_is_refused_by_name() {
    use Refusal::*;
    for (text, refusal) in [
        ("", ArgumentMissing),
        ("FROB", CommandUnknown),
        ("FROB x", CommandUnknown),
        ("GETQUOTA \"\"", CommandUnknown),
        ("UID NOOP 1", CommandUnknown),
        ("EXPUNGE 1", ArgumentSuperfluous),
        ("NOOP ", ArgumentSuperfluous),
        ("SELECT", ArgumentMissing),
        ("SELECT  x", ArgumentMalformed),
        ("SELECT x y", ArgumentMalformed),
        ("SELECT *", ArgumentMalformed),
        ("SELECT \"a&b\"", MailboxMalformed),
        ("SELECT \"caf\u{e9}\"", MailboxMalformed),
        ("SELECT x (FROB)", ModifierUnknown),
        ("FETCH 0 FLAGS", SetMalformed),
        ("FETCH $ FLAGS", SetMalformed),
        ("FETCH 1 ()", ArgumentMissing),
        ("FETCH 1 FROB", ItemUnknown),
        ("FETCH 1 (ALL)", ItemUnknown),
        ("FETCH 1 SAVEDATE", ItemUnknown),
        ("FETCH 1 BODY.PEEK", ItemUnknown),
        ("FETCH 1 RFC822.PEEK[]", ItemUnknown),
        ("FETCH 1 BODY[MIME]", SectionMalformed),
        ("FETCH 1 BODY[0]", SectionMalformed),
        ("FETCH 1 BODY[1.]", SectionMalformed),
        ("FETCH 1 BODY[01]", SectionMalformed),
        ("FETCH 1 BODY[1..2]", SectionMalformed),
        ("FETCH 1 BODY[HEADER.FIELDS]", SectionMalformed),
        ("FETCH 1 BODY[HEADER.FIELDS ()]", SectionMalformed),
        ("FETCH 1 BODY[HEADER.FIELDS (a:b)]", SectionMalformed),
        ("FETCH 1 BODY[HEADER.FIELDS ({4+}\r\nFrom)]", LiteralMisplaced),
        ("FETCH 1 BINARY[TEXT]", SectionMalformed),
        ("FETCH 1 BODY[]<0>", PartialMalformed),
        ("FETCH 1 BODY[]<0.0>", PartialMalformed),
        ("FETCH 1 BODY[]<1.2", PartialMalformed),
        ("FETCH 1 BINARY.SIZE[1]<0.5>", PartialMalformed),
        ("FETCH 1 FLAGS (FROB)", ModifierUnknown),
        ("SEARCH FROB", KeyUnknown),
        ("SEARCH ()", KeyUnknown),
        ("SEARCH RETURN (SAVE) ALL", ReturnUnknown),
        ("SEARCH CHARSET latin1 ALL", CharsetUnknown),
        ("SEARCH SINCE 30-Feb-2026", DateMalformed),
        ("SEARCH HEADER \"a b\" c", FieldMalformed),
        ("SEARCH HEADER \"\" c", FieldMalformed),
        ("SEARCH LARGER -1", NumberMalformed),
        ("SEARCH TEXT {1+}\r\n\0", ArgumentMalformed),
        ("SEARCH TEXT ~{1+}\r\nx", ArgumentMalformed),
        ("STORE 1 FROB \\Seen", ItemUnknown),
        ("STORE 1 FLAGS \\*", FlagMalformed),
        ("STATUS x ()", ArgumentMissing),
        ("STATUS x (FROB)", StatusItemUnknown),
        ("LIST \"\" ()", ArgumentMissing),
        ("APPEND x \"hello\"", ArgumentMalformed),
        ("APPEND x CATENATE (URL \"x\")", ArgumentMalformed),
        ("APPEND x \"hello\" {5+}\r\nhello", DateMalformed),
        ("APPEND x (\\*) {5+}\r\nhello", FlagMalformed),
        ("APPEND x UTF8 (~{5+}\r\nhello)", ArgumentSuperfluous),
    ] {
        assert_eq!(respelled(text), Err(refusal), "{text}");
    }
    let deep = format!("SEARCH {}ALL", "NOT ".repeat(40));
    assert_eq!(respelled(&deep), Err(KeysTooDeep));
    let wide = format!("SEARCH{}", " ALL".repeat(20_000));
    assert_eq!(respelled(&wide), Err(TooLong));
    assert!(respelled(&format!("SEARCH TEXT {{9000+}}\r\n{}", "x".repeat(9000))).is_ok());
    assert_eq!(respelled(&format!("SEARCH TEXT {{70000+}}\r\n{}", "x".repeat(70_000))), Err(TooLong));
}

#[test]
fn after_a_refusal_comes_the_next_command() {
    let noop = Command { tag: tag("b"), body: Body::Noop };
    for (octets, refused) in [
        ("a FROB {5+}\r\nhello {1+}\r\n\n x\r\n", Some(tag("a"))),
        ("+ x\r\n", None),
        ("\r\n", None),
        ("a SEARCH TEXT {70000}\r\n", Some(tag("a"))),
        ("a APPEND x \"y\" {70000}\r\n", Some(tag("a"))),
    ] {
        let (events, messages, broken) = events(&[octets.as_bytes(), b"b NOOP\r\n"]);
        assert_eq!((broken, messages.len()), (None, 0), "{octets}");
        assert!(matches!(&events[..1], [Event::Refused(tag, _)] if *tag == refused), "{octets}: {events:?}");
        assert_eq!(events[1..], [Event::Command(noop.clone())], "{octets}");
    }
}

#[test]
fn a_message_is_handed_through() {
    let octets = b"a APPEND {3}\r\nx/y (\\seen) \" 1-Jan-2026 00:00:00 +0000\" {5}\r\nhello {3+}\r\n\r\n)\r\nb NOOP\r\n";
    for cut in 0..octets.len() {
        let (events, messages, broken) = events(&[&octets[..cut], &octets[cut..]]);
        assert_eq!((messages.as_slice(), broken), (&b"hello\r\n)"[..], None));
        let [
            Event::Continue,
            Event::Append(first),
            Event::Append(second),
            Event::Appended,
            Event::Command(noop),
        ] = &events[..]
        else {
            panic!("{events:?}")
        };
        assert_eq!((noop.tag.as_str(), second.mailbox.as_str(), second.tag.as_str()), ("b", "x/y", "a"));
        let sent = [
            first.write(7, false, Literals::Waiting).concat(),
            b"sealed1".to_vec(),
            second.write(9, true, Literals::Plus).concat(),
        ];
        assert_eq!(
            String::from_utf8(sent.concat()).unwrap(),
            "a APPEND x/y (\\Seen) \" 1-Jan-2026 00:00:00 +0000\" {7}\r\nsealed1 ~{9+}\r\n"
        );
    }
}

#[test]
fn a_message_is_declined_whether_it_comes_or_not() {
    for (octets, rest) in [("a APPEND x {9999999}\r\n", ""), ("a APPEND x {5+}\r\n", "hello {3+}\r\nxyz\r\n")]
    {
        let mut reader = Reader::new(Limits::CLIENT);
        let mut input = octets.as_bytes();
        let Ok(Some(Event::Append(append))) = reader.next(&mut input) else { panic!("no message") };
        reader.decline(&append);
        let rest = format!("{rest}b NOOP\r\n");
        let event = reader.next(&mut rest.as_bytes()).unwrap();
        assert_eq!(event, Some(Event::Command(Command { tag: tag("b"), body: Body::Noop })));
    }
}

#[test]
fn a_bare_end_of_line_is_no_second_command() {
    let (events, _, broken) = events(&[b"a NOOP\nb SEARCH TEXT x\r\nc NOOP\r\n"]);
    let broken = broken.unwrap();
    assert_eq!((events.len(), broken.tag, broken.malformed.reason), (0, Some(tag("a")), Reason::BareLf));
    assert_eq!(broken.malformed.at, 6);
}

#[test]
fn a_raw_line_is_what_was_expected() {
    let mut reader = Reader::new(Limits::CLIENT);
    let mut input = &b"a AUTHENTICATE PLAIN\r\nAGEAYg==\r\nb IDLE\r\nDONE\r\nc NOOP\r\n"[..];
    assert!(matches!(reader.next(&mut input), Ok(Some(Event::Command(_)))));
    reader.expect_raw();
    assert_eq!(reader.next(&mut input), Ok(Some(Event::Raw(Password::new(b"AGEAYg==".to_vec())))));
    assert!(matches!(reader.next(&mut input), Ok(Some(Event::Command(Command { body: Body::Idle, .. })))));
    reader.expect_raw();
    assert_eq!(reader.next(&mut input), Ok(Some(Event::Raw(Password::new(b"DONE".to_vec())))));
    assert!(matches!(reader.next(&mut input), Ok(Some(Event::Command(Command { body: Body::Noop, .. })))));
}

#[test]
fn a_literal_waits_by_its_size() {
    for (literals, size, announced) in [
        (Literals::Waiting, 0, "{0}\r\n"),
        (Literals::Plus, 1 << 40, "{1099511627776+}\r\n"),
        (Literals::Minus, 4096, "{4096+}\r\n"),
        (Literals::Minus, 4097, "{4097}\r\n"),
    ] {
        assert_eq!(literals.announce(size, false), announced);
        assert_eq!(literals.announce(size, true), format!("~{announced}"));
        assert_eq!(literals.waits(size), !announced.contains('+'));
    }
}

#[test]
fn a_raw_line_has_no_literal() {
    let mut reader = Reader::new(Limits::CLIENT);
    reader.expect_raw();
    let mut input = &b"DONE {5}\r\nb NOOP\r\n"[..];
    let refused = reader.next(&mut input).unwrap().unwrap();
    assert!(matches!(refused, Event::Refused(_, Refusal::LiteralMisplaced)), "{refused:?}");
    assert!(matches!(reader.next(&mut input), Ok(Some(Event::Command(Command { body: Body::Noop, .. })))));
}

#[test]
fn a_password_is_mute() {
    let (events, ..) = events(&[b"a LOGIN ann opensesame\r\n"]);
    assert_eq!(events.len(), 1);
    assert!(!format!("{events:?}").contains("opensesame"));
    assert_ne!(Password::new(b"a".to_vec()), Password::new(b"ab".to_vec()));
    assert_ne!(Password::new(b"a".to_vec()), Password::new(b"b".to_vec()));
}

#[test]
fn a_frame_is_bound_to_the_canonical_item() {
    for (asked, canonical, sets_seen) in [
        ("RFC822", "BODY[]", true),
        ("rfc822.header", "BODY[HEADER]", false),
        ("RFC822.TEXT", "BODY[TEXT]", true),
        ("BODY[]", "BODY[]", true),
        ("body.peek[1.mime]<0.5>", "BODY[1.MIME]", false),
        ("BODY.PEEK[HEADER.FIELDS (\"x\\\"\" b A a)]", "BODY[HEADER.FIELDS (A B X\")]", false),
        ("BINARY.PEEK[]", "BINARY[]", false),
        ("BINARY[1.2]", "BINARY[1.2]", true),
        ("PREVIEW (LAZY)", "PREVIEW (LAZY)", false),
        ("BODY", "BODY", false),
    ] {
        let line = format!("a FETCH 1 {asked}\r\n");
        let (found, ..) = events(&[line.as_bytes()]);
        let [Event::Command(Command { body: Body::Fetch { items, .. }, .. })] = &found[..] else {
            panic!("{asked}: {found:?}")
        };
        assert_eq!((items[0].item().canonical().as_str(), items[0].sets_seen()), (canonical, sets_seen));
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn what_is_written_reads_the_same(command in strategy::command(), literals in strategy::literals()) {
        let segments = command.write(literals);
        let waits = segments.len() - 1;
        let octets = segments.concat();
        let (mut found, messages, broken) = events(&[&octets]);
        prop_assert_eq!((broken, messages.len()), (None, 0));
        let continued = found.iter().filter(|event| **event == Event::Continue).count();
        prop_assert_eq!(continued, waits, "a continuation for each segment but the last");
        prop_assert_eq!(found.pop(), Some(Event::Command(command)));
    }

    #[test]
    fn what_reads_is_written_once(octets in strategy::wire()) {
        let (found, ..) = events(&[&octets]);
        for event in found {
            if let Event::Command(command) = event {
                let once = command.write(Literals::Plus).concat();
                let (again, ..) = events(&[&once]);
                prop_assert_eq!(&again[..], &[Event::Command(command)]);
            }
        }
    }

    #[test]
    fn commands_are_the_same_wherever_the_pieces_end(octets in strategy::wire(), cut in 0_usize..200) {
        let cut = cut.min(octets.len());
        prop_assert_eq!(events(&[&octets[..cut], &octets[cut..]]), events(&[&octets]));
    }
}
