mod values;

use std::borrow::Cow;

use proptest::prelude::*;

use super::*;
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
                    let size = size.map_or_else(|| "?".to_owned(), |size| size.to_string());
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
        assert!(responses.kept() < 272 * 1024, "a list is kept until it is long");
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
    * 03 Fetch (flags ())\r\n+ go\r\na1 OK [UIDNEXT 5] Fetch (done\r\n* BYE\r\n* ESEARCH (TAG \"a\") UID ALL 1:3\r\n";

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
        ("* [x]\r\n", 2, HeadMalformed),
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
    let long = "x ".repeat(512 * 1024);
    let begins = b"* 1 FETCH (ENVELOPE (".as_slice();
    let endless: Vec<_> = [begins].into_iter().chain([long.as_bytes(); 65]).collect();
    let taken = Rules(&[], Verdict::Take);
    assert_eq!(pieces(taken, &endless).1.unwrap().reason, TooLong);
}

#[test]
fn a_tag_may_hold_brackets() {
    for tag in ["a[1]", "[", "]b[OK", "nil["] {
        let line = format!("{tag} OK it's \"done {{5}}");
        let said = format!("{line}\r\n");
        for cut in 0..said.len() {
            let (before, after) = said.as_bytes().split_at(cut);
            assert_eq!(pieces(PASS, &[before, after]), (vec![format!("status {line}")], None));
        }
    }
}

/// As an ENVELOPE of tens of thousands of recipients is.
#[test]
fn a_list_that_is_too_long_to_be_kept_is_handed_over_as_it_comes() {
    let long = format!("(\"a\" {{6}}\r\nse)ret {})", "(NIL NIL \"b\" \"c\") ".repeat(60_000));
    let whole = format!("* 1 FETCH (UID 5 ENVELOPE {long} FLAGS (X))\r\n");
    for piece in [1000, 16_384, whole.len()] {
        let parts: Vec<_> = whole.as_bytes().chunks(piece).collect();
        let (found, unreadable) = pieces(Rules(&[("ENVELOPE", Verdict::Take)], Verdict::Pass), &parts);
        assert_eq!(unreadable, None);
        let expected = [
            "wire * 1 FETCH (UID 5 ",
            "take 1 5 Known(Envelope, None) List ?",
            &format!("octets {long}"),
            "taken",
            "wire  FLAGS (X))\r\n",
        ];
        assert!(found == expected, "{:.200?}", found);
    }
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
