//! Both ends in small. In place of a cipher, hexadecimal.

use std::collections::VecDeque;

use sidekey_imap::response::{
    Attribute, Form, Piece, Policy, Responses, StandIn, Taken, Unreadable, ValueKind, frame_within,
};
use sidekey_imap::scanner::Limits;

/// Puts something in the place of each item that is taken.
pub(crate) fn rewrite(
    octets: &[u8],
    piece: usize,
    policy: &mut impl Policy,
    replace: impl Fn(&Taken, &[u8]) -> Vec<u8>,
) -> Result<Vec<u8>, Unreadable> {
    let mut responses = Responses::new(Limits::SERVER);
    let (mut out, mut taken, mut value) = (Vec::new(), VecDeque::new(), Vec::new());
    for mut input in octets.chunks(piece.min(octets.len()).max(1)) {
        while let Some(piece) = responses.next(&mut input, policy)? {
            match piece {
                Piece::Wire(octets) => out.extend_from_slice(&octets),
                Piece::Status(status) => {
                    out.extend_from_slice(status.octets());
                    out.extend_from_slice(b"\r\n");
                }
                Piece::Continuation(text) => out.extend([b"+ ", text.as_slice(), b"\r\n"].concat()),
                Piece::Take(announced) => taken.push_back(announced),
                Piece::Octets(octets) => value.extend_from_slice(&octets),
                Piece::Taken => {
                    let announced = taken.pop_front().unwrap();
                    out.extend(replace(&announced, &std::mem::take(&mut value)));
                }
                other => panic!("{other:?}"),
            }
        }
    }
    Ok(out)
}

/// A gateway: kind and octets as text.
pub(crate) fn seal(taken: &Taken, value: &[u8]) -> Vec<u8> {
    let Attribute::Known(item, origin) = &taken.attribute else { panic!("{taken:?}") };
    let kind = match taken.kind {
        ValueKind::Nil => 0,
        ValueKind::Quoted => 1,
        ValueKind::Literal => 2,
        ValueKind::Literal8 => 3,
        ValueKind::List => 4,
        ValueKind::Atom => 5,
    };
    let frame: String = std::iter::once(&kind).chain(value).map(|octet| format!("{octet:02x}")).collect();
    let StandIn { before, after } = StandIn::new(item, *origin, Form::Text, frame.len() as u64);
    format!("{before}{frame}{after}").into_bytes()
}

/// An agent: what the text says.
pub(crate) fn open(taken: &Taken, value: &[u8]) -> Vec<u8> {
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
        4 | 5 => out.extend_from_slice(value),
        kind => {
            let tilde = if *kind == 3 { "~" } else { "" };
            out.extend_from_slice(format!("{tilde}{{{}}}\r\n", value.len()).as_bytes());
            out.extend_from_slice(value);
        }
    }
    out
}
