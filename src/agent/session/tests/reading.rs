//! What a program reads is what the mail server said.

use super::*;

const MESSAGE: &[u8] = b"Subject: x\r\n\r\nhello \xff\0)\r\n* 1 FETCH (BODY[] {5}\r\n";

fn envelope(uid: u32, envelope: &[u8]) -> String {
    format!("(NIL {} NIL NIL NIL NIL NIL NIL NIL NIL)", of(uid, "ENVELOPE").text(Kind::List, envelope))
}

fn octets(parts: &[&[u8]]) -> Vec<u8> {
    parts.concat()
}

#[test]
fn what_is_sealed_is_presented_as_it_was_in_pieces_of_any_size() {
    for piece in [1, 2, 3, 7, 100, 4096, usize::MAX] {
        let mut rig = Rig::in_pieces(piece)
            .asked("FETCH 1:2 (BODY.PEEK[] ENVELOPE FLAGS)", "FETCH 1:2 (UID BODY.PEEK[] ENVELOPE FLAGS)");
        let list = b"(\"date\" {3}\r\na\"b NIL NIL NIL NIL NIL NIL NIL NIL)";
        rig.server(
            format!(
                "* 1 FETCH (UID 7 ENVELOPE {} FLAGS (\\Seen) BODY[] {})\r\n* 10 EXISTS\r\n* 2 FETCH (UID 9 ENVELOPE \
                 {} FLAGS () BODY[] {})\r\ns3 OK done\r\n",
                envelope(7, list),
                of(7, "BODY[]").text(Kind::Literal, MESSAGE),
                envelope(9, list),
                of(9, "BODY[]").text(Kind::Quoted, b"a\"b\\"),
            )
            .as_bytes(),
        );
        let literal = format!("{{{}}}\r\n", MESSAGE.len());
        let expected = octets(&[
            b"* 1 FETCH (FLAGS (\\Seen) BODY[] ",
            literal.as_bytes(),
            MESSAGE,
            b" ENVELOPE ",
            list,
            b")\r\n* 10 EXISTS\r\n* 2 FETCH (FLAGS () BODY[] \"a\\\"b\\\\\" ENVELOPE ",
            list,
            b")\r\nq OK done\r\n",
        ]);
        assert_eq!(rig.said.escape_ascii().to_string(), expected.escape_ascii().to_string());
        assert_eq!(rig.wishes, [Wish::Key { session: SESSION, generation: 0 }], "a key is asked for once");
        assert_eq!((&rig.alerts, &rig.ended), (&vec![], &None));
    }
}

/// As one of 60,000 recipients has.
#[test]
fn an_envelope_of_megabytes_is_read_too() {
    let list = format!(
        "(NIL \"x\" NIL NIL NIL ({}) NIL NIL NIL NIL)",
        "(NIL NIL \"recipient\" \"corp.example\")".repeat(60_000)
    );
    let mut rig = Rig::in_pieces(4096).asked("FETCH 1 ENVELOPE", "FETCH 1 (UID ENVELOPE)");
    rig.server(
        format!("* 1 FETCH (UID 7 ENVELOPE {})\r\ns3 OK done\r\n", envelope(7, list.as_bytes())).as_bytes(),
    );
    assert_eq!((&rig.alerts, &rig.ended), (&vec![], &None));
    let expected = octets(&[b"* 1 FETCH (ENVELOPE ", list.as_bytes(), b")\r\nq OK done\r\n"]);
    assert!(rig.said == expected, "{:.200?}", rig.said.escape_ascii().to_string());
}

#[test]
fn sizes_are_the_exact_ones_and_stand_where_they_were_asked_for() {
    let size = b"SIDEKEY-DESCRIPTOR: size=00000000000000012345\r\n\r\n";
    let item = "BODY[HEADER.FIELDS (SIDEKEY-DESCRIPTOR)]";
    let mut rig = Rig::new().asked(
        "UID FETCH 7 FAST",
        "UID FETCH 7 (UID FLAGS INTERNALDATE RFC822.SIZE BODY.PEEK[HEADER.FIELDS (SIDEKEY-DESCRIPTOR)])",
    );
    rig.server(
        format!(
            "* 1 FETCH (UID 7 RFC822.SIZE 5668 FLAGS () INTERNALDATE \"01-Jan-2026 08:00:00 +0100\" {item} \
             {})\r\ns3 OK done\r\n",
            of(7, item).text(Kind::Literal, size)
        )
        .as_bytes(),
    );
    assert_eq!(
        rig.said(),
        "* 1 FETCH (UID 7 FLAGS () INTERNALDATE \"01-Jan-2026 08:00:00 +0100\" RFC822.SIZE 12345)\r\nq OK done\r\n"
    );
}

#[test]
fn a_range_is_asked_for_in_steps_and_cut_out() {
    let mut rig = Rig::new().asked(
        "FETCH 1 (BODY[]<20000.100> BODY.PEEK[]<16384.3> BODY.PEEK[]<0.10>)",
        "FETCH 1 (UID BODY[]<16384.16384> BODY.PEEK[]<0.16384>)",
    );
    let value: Vec<u8> = (0..16384_u32).map(|at| b'a' + (at % 26) as u8).collect();
    let at = |origin| Place { partial: Some((origin, 16384)), ..of(7, "BODY[]") };
    rig.server(
        format!(
            "* 1 FETCH (UID 7 FLAGS (\\Seen) BODY[]<16384> {} BODY[]<0> {})\r\ns3 OK done\r\n",
            at(16384).text(Kind::Literal, &value),
            at(0).text(Kind::Literal, b"short"),
        )
        .as_bytes(),
    );
    let cut = std::str::from_utf8(&value[20000 - 16384..][..100]).unwrap();
    assert_eq!(
        rig.said(),
        format!(
            "* 1 FETCH (FLAGS (\\Seen) BODY[]<20000> {{100}}\r\n{cut} BODY[]<16384> {{3}}\r\nabc BODY[]<0> \
             {{5}}\r\nshort)\r\nq OK done\r\n"
        )
    );
}

#[test]
fn a_large_message_goes_through_in_bounded_memory() {
    let value: Vec<u8> = (0..3_000_000_u32).map(|at| (at / 251) as u8).collect();
    let mut rig = Rig::in_pieces(16 * 1024).asked("FETCH 1 RFC822", "FETCH 1 (UID RFC822)");
    let text = of(7, "RFC822").text(Kind::Literal, &value);
    rig.server(format!("* 1 FETCH (UID 7 RFC822 {text})\r\n").as_bytes());
    let lead = format!("* 1 FETCH (RFC822 {{{}}}\r\n", value.len()).into_bytes();
    assert!(rig.said == octets(&[&lead, &value, b")\r\n"]));
}

#[test]
fn a_program_asks_for_one_thing_after_the_other() {
    let mut rig = Rig::new();
    rig.program("a NOOP\r\n");
    let mut more = &b"b NOOP\r\nc CAPABILITY\r\n"[..];
    rig.session.program(&mut more, NOW).unwrap();
    assert_eq!((rig.sent(), more.len()), ("s3 NOOP\r\n".to_owned(), 22), "what is not taken stays");
    rig.server(b"* 1 FETCH (FLAGS (\\Seen))\r\ns3 OK nothing\r\n");
    rig.session.program(&mut more, NOW).unwrap();
    rig.server(b"s4 OK nothing\r\n");
    rig.session.program(&mut more, NOW).unwrap();
    rig.drain(None);
    assert_eq!(
        rig.said(),
        "* 1 FETCH (FLAGS (\\Seen))\r\na OK nothing\r\nb OK nothing\r\n* CAPABILITY IMAP4rev1 LITERAL+ UIDPLUS\r\nc \
         OK that is all\r\n"
    );
}

#[test]
fn a_program_that_idles_hears_what_happens() {
    let mut rig = Rig::new().asked("IDLE", "IDLE");
    rig.server(b"+ idling\r\n* 10 EXISTS\r\n* OK Still here\r\n");
    rig.program("DONE\r\n");
    assert_eq!(rig.sent(), "DONE\r\n");
    rig.server(b"s3 OK idled\r\n");
    rig.program("b NOOP\r\n");
    assert_eq!(rig.sent(), "s4 NOOP\r\n");
    assert_eq!(rig.said(), "+ idling\r\n* 10 EXISTS\r\n* OK Still here\r\nq OK idled\r\n");
}

#[test]
fn searching_and_the_rest_goes_through() {
    let mut rig = Rig::new().asked("UID SEARCH UNSEEN 2:*", "UID SEARCH UNSEEN 2:*");
    rig.server(b"* SEARCH 7 9 (MODSEQ 5)\r\n* SEARCH\r\n* THREAD (1)\r\ns3 OK found\r\n");
    assert_eq!(rig.said(), "* SEARCH 7 9 (MODSEQ 5)\r\n* SEARCH\r\nq OK found\r\n");
    rig.program("a LIST \"\" *\r\n");
    rig.server(b"* LIST () \"/\" {3}\r\na b\r\n* STATUS x (MESSAGES 1)\r\ns4 OK listed\r\n");
    assert_eq!(rig.said(), "* LIST () \"/\" {3}\r\na b\r\n* STATUS x (MESSAGES 1)\r\na OK listed\r\n");
    rig.program("a LOGOUT\r\n");
    rig.server(b"* BYE see you\r\ns5 OK\r\n");
    assert_eq!(rig.said(), "* BYE logging out\r\na OK logged out\r\n");
    assert_eq!(rig.ended, Some(Ended::LoggedOut));
}

#[test]
fn the_end_of_the_other_end_comes_behind_what_it_had_said() {
    let value = vec![b'x'; 500_000];
    let mut rig = Rig::new().asked("FETCH 1 BODY.PEEK[]", "FETCH 1 (UID BODY.PEEK[])");
    let text = of(7, "BODY[]").text(Kind::Literal, &value);
    let response = format!("* 1 FETCH (UID 7 BODY[] {text})\r\n");
    let mut input = response.as_bytes();
    rig.session.server(&mut input, NOW).unwrap();
    rig.drain(None);
    rig.session.server(&mut input, NOW).unwrap();
    rig.session.server_gone();
    rig.server(b"");
    rig.server(b"x");
    assert_eq!(rig.ended, Some(Ended::ServerGone));
    assert!(rig.said.ends_with(b"x)\r\n* BYE the mail server has closed the connection\r\n"));
    assert!(rig.said.len() > value.len());
}

#[test]
fn without_keys_nothing_is_given_and_it_is_said_why() {
    let mut rig = Rig::new().asked("FETCH 1 (FLAGS PREVIEW)", "FETCH 1 (UID FLAGS PREVIEW)");
    rig.no_key = Some(Unavailable::Unreachable);
    let text = of(7, "PREVIEW").text(Kind::Quoted, b"hello");
    rig.server(format!("* 1 FETCH (UID 7 FLAGS () PREVIEW {text})\r\ns3 OK done\r\n").as_bytes());
    assert_eq!(rig.said(), "* 1 FETCH (FLAGS ())\r\nq NO [UNAVAILABLE] its keys cannot be had now\r\n");
    assert_eq!(rig.alerts, []);
}

#[test]
fn what_is_closed_from_outside_is_told_why_where_a_response_can_begin() {
    let mut rig = Rig::new();
    assert!(rig.session.is_idle());
    rig.session.close("revoked");
    rig.drain(None);
    assert_eq!(rig.said(), "* BYE revoked\r\n");
    let mut rig = Rig::new().asked("FETCH 1 BODY.PEEK[]", "FETCH 1 (UID BODY.PEEK[])");
    assert!(!rig.session.is_idle());
    let text = of(7, "BODY[]").text(Kind::Literal, &[b'x'; 200_000]);
    let response = format!("* 1 FETCH (UID 7 BODY[] {text})\r\n");
    let mut input = response.as_bytes();
    rig.session.server(&mut input, NOW).unwrap();
    rig.drain(None);
    rig.session.server(&mut input, NOW).unwrap();
    rig.session.close("revoked");
    rig.drain(None);
    assert!(!rig.said().contains("BYE"));
}
