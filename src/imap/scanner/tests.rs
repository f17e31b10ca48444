use proptest::prelude::*;

use super::*;

const SMALL: Limits = Limits { token: 40, literal: 1000, depth: 3 };

/// All tokens as kind and octets, chunks of one literal put together; and where it went wrong.
fn tokens(side: Side, limits: Limits, pieces: &[&[u8]]) -> (Vec<(Kind, Vec<u8>)>, Option<Malformed>) {
    let mut scanner = Scanner::new(side, limits);
    let mut tokens: Vec<(Kind, Vec<u8>)> = Vec::new();
    let mut position = 0;
    for piece in pieces {
        let mut input = *piece;
        loop {
            match scanner.next(&mut input) {
                Err(malformed) => return (tokens, Some(malformed)),
                Ok(None) => break,
                Ok(Some(token)) => {
                    assert_eq!(token.at, position);
                    position += token.octets.len() as u64;
                    match (tokens.last_mut(), token.kind) {
                        (Some((Kind::Chunk { left }, octets)), Kind::Chunk { left: now }) if *left > 0 => {
                            *left = now;
                            octets.extend(token.octets);
                        }
                        _ => tokens.push((token.kind, token.octets.to_vec())),
                    }
                }
            }
        }
        assert!(input.is_empty(), "all input is taken");
        assert!(scanner.kept() <= limits.token, "no more is kept than a token may have");
    }
    (tokens, None)
}

fn server(text: &str) -> String {
    let (tokens, malformed) = tokens(Side::Server, Limits::SERVER, &[text.as_bytes()]);
    assert_eq!(malformed, None, "{text}");
    let word = |(kind, octets): &(Kind, Vec<u8>)| {
        let name = match kind {
            Kind::Literal(Literal { size, plus, binary }) => format!("Literal:{size}:{plus}:{binary}"),
            Kind::Chunk { left } => format!("Chunk:{left}"),
            Kind::Space => return " ".to_owned(),
            kind => format!("{kind:?}"),
        };
        format!("{name}<{}>", String::from_utf8_lossy(octets).replace("\r\n", "⏎"))
    };
    tokens.iter().map(word).collect()
}

#[test]
fn a_line_is_cut_into_its_tokens() {
    assert_eq!(
        server("* 1 FETCH (UID 7 X nil BODY[1] {5}\r\nhello)\r\n"),
        "Atom<*> Atom<1> Atom<FETCH> Open<(>Atom<UID> Atom<7> Atom<X> Nil<nil> Atom<BODY>BracketOpen<[>Atom<1>\
         BracketClose<]> Literal:5:false:false<{5}⏎>Chunk:0<hello>Close<)>Line<⏎>"
    );
    assert_eq!(
        server("* LIST (\\Noselect) \"/\" ~peter\r\n* X ~{0}\r\n {3+}\r\n\r\n\n\r\n"),
        "Atom<*> Atom<LIST> Open<(>Atom<\\Noselect>Close<)> Quoted<\"/\"> Atom<~peter>Line<⏎>\
         Atom<*> Atom<X> Literal:0:false:true<~{0}⏎>Chunk:0<> Literal:3:true:false<{3+}⏎>Chunk:0<⏎\n>Line<⏎>"
    );
}

#[test]
fn the_text_of_a_status_is_one_token() {
    assert_eq!(
        server("* ok [ALERT] It's \"done) {5}\r\na1 NO\r\n+ go (\r\n+\r\n* BYE  \r\n* 1 OK\r\n"),
        "Atom<*> Atom<ok> Text<[ALERT] It's \"done) {5}>Line<⏎>Atom<a1> Atom<NO>Line<⏎>Atom<+> Text<go (>Line<⏎>\
         Atom<+>Line<⏎>Atom<*> Atom<BYE> Text< >Line<⏎>Atom<*> Atom<1> Atom<OK>Line<⏎>"
    );
    let client = tokens(Side::Client, Limits::CLIENT, &[b"a OK (x)\r\n"]).0;
    assert!(client.iter().all(|(kind, _)| *kind != Kind::Text), "a client's line has no text");
}

#[test]
fn what_is_no_imap_is_named_with_its_place() {
    use Reason::*;
    for (text, at, reason) in [
        ("a NOOP\rb", 6, BareCr),
        ("a NOOP\nb NOOP\r\n", 6, BareLf),
        ("a \"x\nb\"\r\n", 4, BareLf),
        ("a \"x\r\nb\"\r\n", 4, QuotedUnclosed),
        ("a \"x\\y\"\r\n", 5, EscapeUnknown),
        ("a x\0\r\n", 3, Nul),
        ("a \"\0\"\r\n", 3, Nul),
        ("((((", 3, ListTooDeep),
        ("a (x\r\n", 4, ListUnclosed),
        ("a x)\r\n", 3, ListUnopened),
        ("a {}\r\n", 2, LiteralMalformed),
        ("a {5\r\n", 2, LiteralMalformed),
        ("a {-1}\r\n", 2, LiteralMalformed),
        ("a {+5}\r\n", 2, LiteralMalformed),
        ("a {5}\n", 2, LiteralMalformed),
        ("a {5} \r\n", 2, LiteralMalformed),
        ("a ~{x}\r\n", 2, LiteralMalformed),
        ("a {99999999999999999999}\r\n", 2, LiteralMalformed),
        ("a {00000000000000000000000005}\r\n", 2, LiteralMalformed),
        ("a {1001}\r\n", 2, LiteralTooLong),
        ("a 12345678901234567890123456789012345678901", 42, TokenTooLong),
        ("a \"1234567890123456789012345678901234567890\\", 42, TokenTooLong),
    ] {
        let found = tokens(Side::Client, SMALL, &[text.as_bytes()]).1;
        assert_eq!(found, Some(Malformed { at, reason }), "{text:?}");
    }
    for (text, at, reason) in [("* OK a\rb", 6, BareCr), ("* OK a\nb", 6, BareLf), ("* OK a\0b", 6, Nul)] {
        assert_eq!(tokens(Side::Server, SMALL, &[text.as_bytes()]).1, Some(Malformed { at, reason }));
    }
}

#[test]
fn a_limit_may_be_reached() {
    for text in
        ["{1000}\r\n", "(((", "1234567890123456789012345678901234567890 ", "{0000000000000000000001}\r\n"]
    {
        assert_eq!(tokens(Side::Client, SMALL, &[text.as_bytes()]).1, None, "{text}");
    }
}

#[test]
fn nothing_is_read_after_what_is_no_imap() {
    let mut scanner = Scanner::new(Side::Client, Limits::CLIENT);
    let malformed = scanner.next(&mut &b"\na NOOP\r\n"[..]).unwrap_err();
    assert_eq!(scanner.next(&mut &b"a NOOP\r\n"[..]), Err(malformed));
}

#[test]
fn a_literal_is_never_kept() {
    let mut scanner = Scanner::new(Side::Server, Limits::SERVER);
    let mut input = &b"* {4000000000}\r\n"[..];
    while scanner.next(&mut input).unwrap().is_some() {}
    let piece = [0x80; 65536];
    for n in 1..100 {
        let mut input = &piece[..];
        let token = scanner.next(&mut input).unwrap().unwrap();
        assert_eq!(token.kind, Kind::Chunk { left: 4_000_000_000 - n * 65536 });
        assert_eq!(token.octets.as_ptr(), piece.as_ptr(), "it is handed through, not copied");
        assert_eq!((input.len(), scanner.kept()), (0, 0));
    }
}

#[test]
fn a_refused_literal_is_followed_by_a_line() {
    let mut scanner = Scanner::new(Side::Client, Limits::CLIENT);
    let mut input = &b"a (x {5}\r\n"[..];
    while !matches!(scanner.next(&mut input).unwrap().unwrap().kind, Kind::Literal(_)) {}
    scanner.refuse_literal();
    let mut input = &b"b\r\n"[..];
    assert_eq!(scanner.next(&mut input).unwrap().unwrap().octets, b"b");
    assert_eq!(scanner.next(&mut input).unwrap().unwrap().kind, Kind::Line);
}

const LINES: &str = "* OK [CAPABILITY IMAP4rev1 LITERAL+] \"ready) {3}\r\n\
    * 12 FETCH (FLAGS (\\Seen) UID 7 BODY[HEADER.FIELDS (\"From\" TO)]<0> {7}\r\n\"()\r\n~{ ENVELOPE (nil \"a\\\"b\" \
    (((\"x\"))) {0}\r\n) BINARY[1] ~{4}\r\n\0\r\n~)\r\n+ cHJvb2Y=\r\n+\r\n* LIST () NIL {3}\r\n~/x\r\na.1 bad {9}\r\n";

#[test]
fn pieces_may_end_anywhere() {
    let octets = LINES.as_bytes();
    let whole = tokens(Side::Server, Limits::SERVER, &[octets]);
    assert_eq!(whole.1, None);
    assert_eq!(whole.0.concat_octets(), octets);
    for at in 0..=octets.len() {
        let (head, rest) = octets.split_at(at);
        assert_eq!(tokens(Side::Server, Limits::SERVER, &[head, rest]), whole, "cut at {at}");
        for more in 0..rest.len() {
            let (middle, tail) = rest.split_at(more);
            assert_eq!(
                tokens(Side::Server, Limits::SERVER, &[head, middle, tail]),
                whole,
                "cut at {at}, {more}"
            );
        }
    }
    let single: Vec<_> = octets.chunks(1).collect();
    assert_eq!(tokens(Side::Server, Limits::SERVER, &single), whole);
}

trait ConcatOctets {
    fn concat_octets(&self) -> Vec<u8>;
}

impl ConcatOctets for Vec<(Kind, Vec<u8>)> {
    fn concat_octets(&self) -> Vec<u8> {
        self.iter().flat_map(|(_, octets)| octets.clone()).collect()
    }
}

/// Octets that look like IMAP, and go wrong anywhere.
fn wire() -> impl Strategy<Value = Vec<u8>> {
    let word = prop_oneof![
        Just("* "),
        Just("OK "),
        Just("+"),
        Just(" "),
        Just("("),
        Just(")"),
        Just("["),
        Just("]"),
        Just("nil"),
        Just("\""),
        Just("\\"),
        Just("\r\n"),
        Just("\r"),
        Just("\n"),
        Just("\0"),
        Just("{3}\r\n"),
        Just("~{2}\r\n"),
        Just("{"),
        Just("}"),
        Just("~"),
        Just("{9+}\r\n"),
        Just("FETCH"),
        Just("\u{e9}"),
        Just("\"a b\"")
    ];
    prop::collection::vec(word, 0..24).prop_map(|words| words.concat().into_bytes())
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn the_same_tokens_wherever_the_pieces_end(octets in wire(), cuts in prop::collection::vec(0_usize..80, 0..5)) {
        for side in [Side::Client, Side::Server] {
            let whole = tokens(side, SMALL, &[&octets]);
            let mut cuts: Vec<_> = cuts.iter().map(|cut| (*cut).min(octets.len())).collect();
            cuts.extend([0, octets.len()]);
            cuts.sort_unstable();
            let pieces: Vec<_> = cuts.windows(2).map(|cut| &octets[cut[0]..cut[1]]).collect();
            let mut cut = tokens(side, SMALL, &pieces);
            // An error is found as soon as its octet is there; tokens before it are the same.
            if let (Some((Kind::Chunk { .. }, _)), Some((Kind::Chunk { .. }, _))) = (whole.0.last(), cut.0.last()) {
                prop_assert_eq!(whole.0.concat_octets(), cut.0.concat_octets());
                cut.0.clone_from(&whole.0);
            }
            prop_assert_eq!(&cut, &whole);
            prop_assert!(octets.starts_with(&whole.0.concat_octets()));
        }
    }
}
