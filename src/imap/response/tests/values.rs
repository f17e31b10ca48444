//! What single responses say, and what stands in an item's place.

use super::*;
use crate::command::{Part, Section, SectionText};

#[test]
fn codes_are_read() {
    let of = |text: &str| {
        let mut responses = Responses::new(Limits::SERVER);
        let line = format!("{text}\r\n");
        match responses.next(&mut line.as_bytes(), &mut { PASS }) {
            Ok(Some(Piece::Status(status))) => (status.code, status.text),
            piece => panic!("{piece:?}"),
        }
    };
    let set = |text| crate::command::Set::parse(text).unwrap();
    let n = |n| NonZeroU32::new(n).unwrap();
    let other = |name: &str, rest: &str| Some(Code::Other(name.to_owned(), rest.to_owned()));
    for (text, code, human) in [
        ("* OK hello [x]", None, "hello [x]"),
        ("* OK", None, ""),
        ("* OK [alert]", other("ALERT", ""), ""),
        ("a OK [READ-WRITE] done", other("READ-WRITE", ""), "done"),
        ("* OK [UIDVALIDITY 5] x", Some(Code::UidValidity(n(5))), "x"),
        ("* OK [UIDVALIDITY 0] x", None, "[UIDVALIDITY 0] x"),
        ("* OK [UIDNEXT 4294967296] x", None, "[UIDNEXT 4294967296] x"),
        ("* OK [PERMANENTFLAGS (\\Seen \\*)] x", Some(Code::PermanentFlags("(\\Seen \\*)".to_owned())), "x"),
        ("a OK [APPENDUID 1 5:6] x", Some(Code::AppendUid { uid_validity: n(1), uids: set("5:6") }), "x"),
        (
            "a OK [COPYUID 1 5,7 1:2] x",
            Some(Code::CopyUid { uid_validity: n(1), from: set("5,7"), to: set("1:2") }),
            "x",
        ),
        ("a OK [HIGHESTMODSEQ 18446744073709551615] x", Some(Code::HighestModSeq(u64::MAX)), "x"),
        ("a OK [XENCRYPTED session=00] x", Some(Code::XEncrypted("session=00".to_owned())), "x"),
        ("a NO [REFERRAL imap://x/;a=b] x", other("REFERRAL", "imap://x/;a=b"), "x"),
        ("a NO [unclosed", None, "[unclosed"),
        ("a NO []", None, "[]"),
    ] {
        assert_eq!(of(text), (code, human.to_owned()), "{text}");
    }
}

#[test]
fn a_status_is_written_with_another_code_or_none() {
    let of = |text: &str, code| {
        let line = format!("{text}\r\n");
        match Responses::new(Limits::SERVER).next(&mut line.as_bytes(), &mut { PASS }) {
            Ok(Some(Piece::Status(status))) => status.with_code(code),
            piece => panic!("{piece:?}"),
        }
    };
    assert_eq!(of("a ok [ALERT] Pay [now]", None), "a OK Pay [now]\r\n");
    assert_eq!(
        of("a OK [CAPABILITY X] in", Some("CAPABILITY IMAP4rev1")),
        "a OK [CAPABILITY IMAP4rev1] in\r\n"
    );
    assert_eq!(of("* BYE", None), "* BYE -\r\n");
    for text in ["a NO [UIDVALIDITY 0] x", "a NO [ALERT x", "a NO [ALERT] [REFERRAL imap://x/] y"] {
        assert_eq!(of(text, None), "a NO -\r\n", "{text}: no code in disguise");
    }
}

#[test]
fn data_is_read() {
    let of = |text: &str| {
        let mut responses = Responses::new(Limits::SERVER);
        let line = format!("{text}\r\n");
        match responses.next(&mut line.as_bytes(), &mut Rules(&[], Verdict::Take)) {
            Ok(Some(Piece::Data(data))) => data,
            piece => panic!("{piece:?}"),
        }
    };
    for (text, attributes, separator, name) in [
        ("* LIST (\\HasNoChildren) \"/\" \"a b\"", &["\\HasNoChildren"][..], Some('/'), "a b"),
        ("* LIST () NIL inbox", &[], None, "INBOX"),
        ("* LSUB () \"\\\\\" {3}\r\nx\\y", &[], Some('\\'), "x\\y"),
        ("* list () \".\" [Gmail]/&AOk-", &[], Some('.'), "[Gmail]/é"),
        ("* LIST () \"/\" x (\"CHILDINFO\" (\"SUBSCRIBED\"))", &[], Some('/'), "x"),
    ] {
        let listed = of(text).listed().unwrap();
        assert_eq!((listed.separator, listed.mailbox.as_str()), (separator, name), "{text}");
        assert_eq!(listed.attributes, attributes);
    }
    for text in
        ["* LIST () \"/\"", "* LIST x", "* STATUS x (MESSAGES 1)", "* LIST () \"//\" x", "* LIST () \"/\" &"]
    {
        assert_eq!(of(text).listed(), None, "{text}");
    }
    let mut capabilities = of("* CAPABILITY IMAP4rev1 idle IDLE AUTH=PLAIN").capabilities().unwrap();
    assert!(capabilities.has("Idle") && !capabilities.has("ID"));
    capabilities.retain(|name| name != "idle");
    capabilities.add("XENCRYPTED");
    assert_eq!(capabilities.to_string(), "CAPABILITY IMAP4rev1 AUTH=PLAIN XENCRYPTED");
    let data = of("* 5 EXISTS");
    assert_eq!((data.number(), data.name().as_str(), data.octets()), (Some(5), "EXISTS", &b"* 5 EXISTS"[..]));
}

#[test]
fn a_stand_in_reads_as_the_items_own_kind() {
    let header = Item::Section(Section::new(Part::default(), Some(SectionText::Header)).unwrap());
    let of = |item, origin, form| {
        let stand_in = StandIn::new(item, origin, form, 4);
        format!("{}XEsa{}", stand_in.before, stand_in.after)
    };
    assert_eq!(of(&header, None, Form::Text), "BODY[HEADER] {4}\r\nXEsa");
    assert_eq!(of(&header, Some(16384), Form::Octets), "BODY[HEADER]<16384> ~{4}\r\nXEsa");
    let envelope = of(&Item::Envelope, None, Form::Text);
    assert_eq!(envelope, "ENVELOPE (NIL {4}\r\nXEsa NIL NIL NIL NIL NIL NIL NIL NIL)");
    let structure = of(&Item::BodyStructure, None, Form::Octets);
    assert_eq!(
        structure,
        "BODYSTRUCTURE (\"application\" \"vnd.sidekey.sealed\" (\"f\" ~{4}\r\nXEsa) NIL NIL \"base64\" 0)"
    );
    let list = |text: &'static str, item: &Item| frame_within(item, text.as_bytes());
    assert_eq!(
        frame_within(&Item::Envelope, &envelope.as_bytes()["ENVELOPE ".len()..]),
        Some((Form::Text, &b"XEsa"[..]))
    );
    assert_eq!(
        frame_within(&Item::BodyStructure, &structure.as_bytes()["BODYSTRUCTURE ".len()..]),
        Some((Form::Octets, &b"XEsa"[..]))
    );
    for text in [
        "(NIL \"x\" NIL NIL NIL NIL NIL NIL NIL NIL)",
        "(NIL {4}\r\nXE NIL NIL NIL NIL NIL NIL NIL NIL)",
        "(NIL {4}\r\nXEsa NIL NIL NIL NIL NIL NIL NIL NIL) ",
        "(NIL {99999999999999999999}\r\nXEsa",
        "(NIL {4+}\r\nXEsa NIL NIL NIL NIL NIL NIL NIL NIL)",
        "",
    ] {
        assert_eq!(list(text, &Item::Envelope), None, "{text}");
    }
    assert_eq!(list("(NIL {4}\r\nXEsa)", &Item::Flags), None);
}
