//! Gateway and agent in small: what one seals the other opens, and a mail program sees what the server said. In place
//! of a cipher, hexadecimal.

use std::collections::VecDeque;

use sidekey_imap::command::{Item, Literals};
use sidekey_imap::response::{
    Attribute, Form, Message, Piece, Policy, Responses, StandIn, Taken, ValueKind, Verdict, frame_within,
};
use sidekey_imap::scanner::Limits;

use crate::server::Dovecot;
use crate::{command, corpus};

/// What is sealed is taken.
struct Sealed;

impl Policy for Sealed {
    fn data(&mut self, _: Option<u32>, _: &str) -> Verdict {
        Verdict::Pass
    }

    fn item(&mut self, message: &Message, attribute: &Attribute) -> Verdict {
        match attribute {
            Attribute::Known(Item::Uid | Item::Flags, _) => Verdict::Pass,
            Attribute::Known(..) => {
                assert!(message.uid.is_some(), "the UID comes first where it is asked for first");
                Verdict::Take
            }
            Attribute::Unknown(name) => panic!("{name}"),
        }
    }
}

#[test]
fn a_mail_program_sees_what_the_server_said() {
    let mut server = Dovecot::start(&corpus::messages(), 8192);
    server.ask(&command("SELECT INBOX"), Literals::Plus);
    for items in [
        "UID FLAGS ENVELOPE BODYSTRUCTURE BODY",
        "UID BODY.PEEK[] FLAGS",
        "UID BODY.PEEK[]<0.16384> BODY.PEEK[HEADER] BODY.PEEK[2.MIME] BODY.PEEK[HEADER.FIELDS (FROM \"A]B\")]",
        "UID BODY.PEEK[TEXT] PREVIEW",
    ] {
        let said = server.ask(&command(&format!("FETCH 1:* ({items})")), Literals::Plus).octets;
        for piece in [1, 11, 4096, usize::MAX] {
            let sealed = rewrite(&said, piece, seal);
            assert!(!contains(&sealed, b"bob@partner.example"), "nothing of what is sealed goes on");
            assert!(rewrite(&sealed, piece, open) == said, "{items} in pieces of {piece}");
        }
    }
}

/// Puts something in the place of each item that is taken.
fn rewrite(octets: &[u8], piece: usize, replace: impl Fn(&Taken, &[u8]) -> Vec<u8>) -> Vec<u8> {
    let mut responses = Responses::new(Limits::SERVER);
    let (mut out, mut taken, mut value) = (Vec::new(), VecDeque::new(), Vec::new());
    for mut input in octets.chunks(piece.min(octets.len())) {
        while let Some(piece) = responses.next(&mut input, &mut Sealed).unwrap() {
            match piece {
                Piece::Wire(octets) => out.extend_from_slice(&octets),
                Piece::Status(status) => {
                    out.extend_from_slice(status.octets());
                    out.extend_from_slice(b"\r\n");
                }
                Piece::Take(announced) => taken.push_back(announced),
                Piece::Octets(octets) => value.extend_from_slice(&octets),
                Piece::Taken => {
                    let announced = taken.pop_front().unwrap();
                    assert_eq!(announced.size, Some(value.len() as u64), "the size was known before");
                    out.extend(replace(&announced, &std::mem::take(&mut value)));
                }
                other => panic!("{other:?}"),
            }
        }
    }
    out
}

/// A gateway: kind and octets as text.
fn seal(taken: &Taken, value: &[u8]) -> Vec<u8> {
    let Attribute::Known(item, origin) = &taken.attribute else { panic!("{taken:?}") };
    let kind = match taken.kind {
        ValueKind::Nil => 0,
        ValueKind::Quoted => 1,
        ValueKind::Literal => 2,
        ValueKind::Literal8 => 3,
        ValueKind::List => 4,
        ValueKind::Atom => panic!("{taken:?}"),
    };
    let frame: String = std::iter::once(&kind).chain(value).map(|octet| format!("{octet:02x}")).collect();
    let StandIn { before, after } = StandIn::new(item, *origin, Form::Text, frame.len() as u64);
    format!("{before}{frame}{after}").into_bytes()
}

/// An agent: what the text says.
fn open(taken: &Taken, value: &[u8]) -> Vec<u8> {
    let Attribute::Known(item, origin) = &taken.attribute else { panic!("{taken:?}") };
    let frame = match taken.kind {
        ValueKind::List => frame_within(item, value).map(|(form, frame)| (form, frame.to_vec())).unwrap(),
        kind => {
            assert_eq!(kind, ValueKind::Literal);
            (Form::Text, value.to_vec())
        }
    };
    assert_eq!(frame.0, Form::Text);
    let digits = String::from_utf8(frame.1).unwrap();
    let octets: Vec<u8> =
        (0..digits.len()).step_by(2).map(|at| u8::from_str_radix(&digits[at..at + 2], 16).unwrap()).collect();
    let (kind, value) = octets.split_first().unwrap();
    let origin = origin.map_or_else(String::new, |origin| format!("<{origin}>"));
    let mut out = format!("{item}{origin} ").into_bytes();
    match kind {
        0 => out.extend_from_slice(b"NIL"),
        1 => {
            out.push(b'"');
            for octet in value {
                if matches!(octet, b'"' | b'\\') {
                    out.push(b'\\');
                }
                out.push(*octet);
            }
            out.push(b'"');
        }
        4 => out.extend_from_slice(value),
        kind => {
            let tilde = if *kind == 3 { "~" } else { "" };
            out.extend_from_slice(format!("{tilde}{{{}}}\r\n", value.len()).as_bytes());
            out.extend_from_slice(value);
        }
    }
    out
}

fn contains(octets: &[u8], wanted: &[u8]) -> bool {
    octets.windows(wanted.len()).any(|window| window == wanted)
}
