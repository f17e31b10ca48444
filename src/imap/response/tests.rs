use std::borrow::Cow;

use proptest::prelude::*;

use super::*;
use crate::command::{Part, Section, SectionText};
use crate::scanner::Limits;

/// Verdicts by name.
struct Rules(&'static [(&'static str, Verdict)], Verdict);

impl Rules {
    fn of(&self, name: &str) -> Verdict {
        self.0.iter().find(|(known, _)| *known == name).map_or(self.1, |(_, verdict)| *verdict)
    }
}

impl Policy for Rules {
    fn data(&mut self, _: Option<u32>, name: &str) -> Verdict {
        self.of(name)
    }

    fn item(&mut self, _: &Message, attribute: &Attribute) -> Verdict {
        match attribute {
            Attribute::Known(item, _) => self.of(&item.canonical()),
            Attribute::Unknown(name) => self.of(name),
        }
    }
}

const PASS: Rules = Rules(&[], Verdict::Pass);

/// The pieces as text, those that follow each other put together.
fn pieces(mut rules: Rules, inputs: &[&[u8]]) -> (Vec<String>, Option<Unreadable>) {
    let mut responses = Responses::new(Limits::SERVER);
    let mut found: Vec<String> = Vec::new();
    for mut input in inputs.iter().copied() {
        loop {
            let text = match responses.next(&mut input, &mut rules) {
                Ok(None) => break,
                Err(unreadable) => return (found, Some(unreadable)),
                Ok(Some(Piece::Wire(octets))) => format!("wire {}", String::from_utf8_lossy(&octets)),
                Ok(Some(Piece::Octets(octets))) => format!("octets {}", String::from_utf8_lossy(&octets)),
                Ok(Some(Piece::Status(status))) => {
                    format!("status {}", String::from_utf8_lossy(status.octets()))
                }
                Ok(Some(Piece::Continuation(text))) => format!("go on {}", String::from_utf8_lossy(&text)),
                Ok(Some(Piece::Data(data))) => format!("data {}", String::from_utf8_lossy(data.octets())),
                Ok(Some(Piece::Take(Taken { message, attribute, kind, size }))) => {
                    let uid = message.uid.map_or(0, NonZeroU32::get);
                    format!("take {} {uid} {attribute:?} {kind:?} {size}", message.number)
                }
                Ok(Some(Piece::Taken)) => "taken".to_owned(),
            };
            match (found.last_mut(), text.split_once(' ')) {
                (Some(last), Some((kind @ ("wire" | "octets"), more)))
                    if last.starts_with(&format!("{kind} ")) =>
                {
                    last.push_str(more);
                }
                _ => found.push(text),
            }
        }
        assert!(input.is_empty());
        assert!(responses.kept() < 64 * 1024);
    }
    (found, None)
}

fn passed(octets: &[u8]) -> String {
    let (found, unreadable) = pieces(PASS, &[octets]);
    assert_eq!(unreadable, None);
    found.into_iter().fold(String::new(), |text, piece| match piece.split_once(' ') {
        Some(("wire", octets)) => text + octets,
        Some(("status", octets)) => text + octets + "\r\n",
        Some(("go", octets)) => text + "+ " + octets.strip_prefix("on ").unwrap() + "\r\n",
        _ => panic!("{piece}"),
    })
}

const LINES: &str = "* OK [CAPABILITY IMAP4rev1] ready\r\n\
    * CAPABILITY IMAP4rev1 IDLE\r\n* 5 EXISTS\r\n* SEARCH 1 2 3\r\n* LIST () \"/\" {3}\r\nx\"y\r\n\
    * 1 FETCH (UID 7 FLAGS (\\Seen $x) BODY[HEADER.FIELDS (\"A]\" B)]<0> {6}\r\na: b\r\n ENVELOPE (\"x\" NIL ((\"{1}\" {1}\r\n( NIL \
    ) X-GM \"q\\\"\") NIL) X-NEW (1 (2)) RFC822.SIZE 77)\r\n\
    * 2 FETCH (BINARY[1] ~{3}\r\n\0\r\n BODY[] NIL BODY[1] \"\" BODY[2] {0}\r\n)\r\n\
    + go\r\na1 OK [UIDNEXT 5] Fetch (done\r\n* BYE\r\n* ESEARCH (TAG \"a\") UID ALL 1:3\r\n";

#[test]
fn what_passes_is_what_came() {
    assert_eq!(passed(LINES.as_bytes()), LINES);
}

#[test]
fn pieces_are_the_same_wherever_the_input_ends() {
    let rules = || {
        Rules(
            &[
                ("LIST", Verdict::Take),
                ("ENVELOPE", Verdict::Take),
                ("BINARY[1]", Verdict::Take),
                ("UID", Verdict::Drop),
            ],
            Verdict::Pass,
        )
    };
    let octets = LINES.as_bytes();
    let whole = pieces(rules(), &[octets]);
    assert_eq!(whole.1, None);
    for at in 0..=octets.len() {
        assert_eq!(pieces(rules(), &[&octets[..at], &octets[at..]]), whole, "cut at {at}");
    }
    let single: Vec<_> = octets.chunks(1).collect();
    assert_eq!(pieces(rules(), &single), whole);
}

#[test]
fn an_item_is_taken_with_its_size_before_its_octets() {
    let rules =
        Rules(&[("UID", Verdict::Pass), ("FLAGS", Verdict::Pass), ("X-OTHER", Verdict::Drop)], Verdict::Take);
    let input = b"* 3 FETCH (X-OTHER (a {1}\r\n) b) UID 9 BODY[]<0> {5}\r\nhello BODY[1] NIL FLAGS () BODY[2] \"a\\\"b\" \
        ENVELOPE (NIL {2}\r\n() NIL) RFC822.SIZE 5 X-OTHER 7 BODY[3] {0}\r\n)\r\n";
    let (found, unreadable) = pieces(rules, &[input]);
    assert_eq!(unreadable, None);
    let name = |text: &str| {
        let text = text.replacen("Known(Section(Section { part: Part([", "BODY[", 1);
        text.replace("]), text: None }), ", " ")
    };
    assert_eq!(
        found.iter().map(|piece| name(piece)).collect::<Vec<_>>(),
        [
            "wire * 3 FETCH (UID 9 ",
            "take 3 9 BODY[ Some(0)) Literal 5",
            "octets hello",
            "taken",
            "wire  ",
            "take 3 9 BODY[1 None) Nil 0",
            "taken",
            "wire  FLAGS () ",
            "take 3 9 BODY[2 None) Quoted 3",
            "octets a\"b",
            "taken",
            "wire  ",
            "take 3 9 Known(Envelope, None) List 17",
            "octets (NIL {2}\r\n() NIL)",
            "taken",
            "wire  ",
            "take 3 9 Known(Rfc822Size, None) Atom 1",
            "octets 5",
            "taken",
            "wire  ",
            "take 3 9 BODY[3 None) Literal 0",
            "taken",
            "wire )\r\n",
        ]
    );
}

#[test]
fn a_response_without_an_item_left_is_no_response() {
    let rules = Rules(&[("5", Verdict::Pass)], Verdict::Drop);
    let (found, _) = pieces(
        rules,
        &[b"* 3 FETCH (FLAGS () BODY[] {2}\r\n)))\r\n* 5 EXISTS\r\n* X {1}\r\n\n y\r\na OK x\r\n"],
    );
    assert_eq!(found, ["status a OK x"]);
}

#[test]
fn what_is_no_response_is_named_with_its_place() {
    use Reason::*;
    for (text, at, reason) in [
        ("\r\n", 0, HeadMalformed),
        (" * OK x\r\n", 0, HeadMalformed),
        ("*  OK x\r\n", 2, HeadMalformed),
        ("*\r\n", 1, HeadMalformed),
        ("* 5\r\n", 3, HeadMalformed),
        ("a1 FETCH x\r\n", 8, HeadMalformed),
        ("a1 BYE x\r\n", 8, HeadMalformed),
        ("* (x)\r\n", 2, HeadMalformed),
        ("* 0 FETCH (UID 1)\r\n", 9, HeadMalformed),
        ("* 4294967296 EXISTS\r\n", 19, HeadMalformed),
        ("* 1 FETCH\r\n", 9, FetchMalformed),
        ("* 1 FETCH UID 5\r\n", 10, FetchMalformed),
        ("* 1 FETCH ()\r\n", 11, FetchMalformed),
        ("* 1 FETCH (UID)\r\n", 14, FetchMalformed),
        ("* 1 FETCH (UID )\r\n", 15, FetchMalformed),
        ("* 1 FETCH (UID  5)\r\n", 15, FetchMalformed),
        ("* 1 FETCH (UID x)\r\n", 15, UidMalformed),
        ("* 1 FETCH (UID 0)\r\n", 15, UidMalformed),
        ("* 1 FETCH (UID 5) x\r\n", 17, FetchMalformed),
        ("* 1 FETCH (X \"a\"\"b\")\r\n", 16, FetchMalformed),
        ("* 1 FETCH (X (a)(b))\r\n", 16, FetchMalformed),
        ("* 1 FETCH ({1}\r\nx y)\r\n", 11, FetchMalformed),
        ("* 1 FETCH (UID 5\r\n", 16, Wire(scanner::Reason::ListUnclosed)),
        ("* OK a\nb\r\n", 6, Wire(scanner::Reason::BareLf)),
    ] {
        assert_eq!(pieces(PASS, &[text.as_bytes()]).1, Some(Unreadable { at, reason }), "{text}");
    }
    let long = format!("* 1 FETCH (ENVELOPE ({}", "x ".repeat(2 * 1024 * 1024));
    let taken = Rules(&[], Verdict::Take);
    assert_eq!(pieces(taken, &[long.as_bytes()]).1.unwrap().reason, TooLong);
}

#[test]
fn a_message_of_any_size_passes_or_is_taken_in_little_memory() {
    for verdict in [Verdict::Pass, Verdict::Take] {
        let mut rules = Rules(&[], verdict);
        let mut responses = Responses::new(Limits::SERVER);
        let mut input = &b"* 1 FETCH (BODY[] {1000000000}\r\n"[..];
        while responses.next(&mut input, &mut rules).unwrap().is_some() {}
        let block = [b'x'; 100_000];
        for _ in 0..100 {
            let mut input = &block[..];
            let handed = match responses.next(&mut input, &mut rules).unwrap() {
                Some(Piece::Wire(Cow::Borrowed(octets)) | Piece::Octets(Cow::Borrowed(octets))) => {
                    octets.as_ptr()
                }
                piece => panic!("{piece:?}"),
            };
            assert_eq!((handed, input.len()), (block.as_ptr(), 0), "it is handed through, not copied");
            assert!(responses.kept() < 4096);
        }
    }
}

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

/// Octets that look like responses, and go wrong anywhere.
fn wire() -> impl Strategy<Value = Vec<u8>> {
    let word = prop::sample::select(
        &[
            "* ",
            "a1 ",
            "OK ",
            "BYE",
            "+ ",
            "12 ",
            "FETCH ",
            "FETCH (",
            "(",
            ")",
            ")\r\n",
            "UID 5",
            "BODY[] ",
            "ENVELOPE ",
            "[",
            "]",
            " ",
            "NIL",
            "\"x\"",
            "{3}\r\nabc",
            "~{2}\r\n",
            "{0}\r\n",
            "\r\n",
            "\r\n* 1 FETCH (UID 7 ",
            "LIST ",
            "X ",
            "\n",
            "\0",
            "FLAGS (\\Seen)",
            " BODY[HEADER.FIELDS (A)]<0> ",
            "RFC822.SIZE 9",
        ][..],
    );
    prop::collection::vec(word, 0..20).prop_map(|words| words.concat().into_bytes())
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn whatever_comes_is_read_alike_in_any_pieces(octets in wire(), cut in 0_usize..200) {
        let rules = || Rules(
            &[("ENVELOPE", Verdict::Take), ("BODY[]", Verdict::Take), ("LIST", Verdict::Take), ("UID", Verdict::Drop)],
            Verdict::Pass,
        );
        let cut = cut.min(octets.len());
        let whole = pieces(rules(), &[&octets]);
        let (mut found, unreadable) = pieces(rules(), &[&octets[..cut], &octets[cut..]]);
        // What goes on before an error goes on only where the input ended before it.
        if unreadable.is_some() && found.len() > whole.0.len() {
            found.truncate(whole.0.len());
        }
        if unreadable.is_none() {
            prop_assert_eq!(&found, &whole.0);
        }
        prop_assert_eq!(unreadable, whole.1);
    }

    #[test]
    fn whatever_passes_is_what_came(octets in wire()) {
        let text = String::from_utf8(octets).unwrap();
        // A continuation is handed over without its plus.
        if !text.contains('+') && pieces(PASS, &[text.as_bytes()]).1.is_none() {
            prop_assert!(text.starts_with(&passed(text.as_bytes())));
        }
    }
}
