//! What passes of responses is what came, wherever the pieces end.

use sidekey_imap::response::{Attribute, Message, Piece, Policy, Responses, Verdict};
use sidekey_imap::scanner::Limits;

use crate::{choice, pieces};

/// More than a line, a list and a token may have in all.
const KEPT_MAX: usize = 5 * 1024 * 1024;

/// One verdict for all items, one for all other data.
#[derive(Clone, Copy)]
struct All(Verdict, Verdict);

impl Policy for All {
    fn data(&mut self, _: Option<u32>, _: &str) -> Verdict {
        self.1
    }

    fn item(&mut self, _: &Message, _: &Attribute) -> Verdict {
        self.0
    }
}

/// What came, octets put together, and whether it was refused.
type Came = (Vec<Piece<'static>>, bool);

pub fn responses(octets: &[u8]) {
    let (seed, octets) = choice(octets);
    for items in [Verdict::Pass, Verdict::Take, Verdict::Drop] {
        for data in [Verdict::Pass, Verdict::Take, Verdict::Drop] {
            let policy = All(items, data);
            let (whole, refused) = read(policy, std::iter::once(octets));
            let (cut, cut_refused) = read(policy, pieces(seed, octets));
            assert_eq!(refused, cut_refused, "wherever the pieces end");
            // What is refused is noticed at once; what went before it may not have gone on yet.
            assert!(refused || whole == cut, "wherever the pieces end: {whole:?} {cut:?}");
            if (items, data) == (Verdict::Pass, Verdict::Pass) {
                all_passes(&whole, octets, refused);
            }
        }
    }
}

fn read<'o>(mut policy: All, pieces: impl Iterator<Item = &'o [u8]>) -> Came {
    let mut responses = Responses::new(Limits::SERVER);
    let mut came = Vec::new();
    for mut input in pieces {
        loop {
            match responses.next(&mut input, &mut policy) {
                Ok(None) => break,
                Ok(Some(piece)) => join(&mut came, piece),
                Err(_) => return (came, true),
            }
        }
        assert!(input.is_empty() && responses.kept() < KEPT_MAX, "what is kept has a bound");
    }
    (came, false)
}

fn join(came: &mut Vec<Piece<'static>>, piece: Piece<'_>) {
    let piece = match (came.last_mut(), piece) {
        (Some(Piece::Wire(before)), Piece::Wire(octets))
        | (Some(Piece::Octets(before)), Piece::Octets(octets)) => {
            return before.to_mut().extend_from_slice(&octets);
        }
        (_, Piece::Wire(octets)) => Piece::Wire(octets.into_owned().into()),
        (_, Piece::Octets(octets)) => Piece::Octets(octets.into_owned().into()),
        (_, Piece::Status(status)) => Piece::Status(status),
        (_, Piece::Continuation(text)) => Piece::Continuation(text),
        (_, Piece::Data(data)) => Piece::Data(data),
        (_, Piece::Take(taken)) => Piece::Take(taken),
        (_, Piece::Taken) => Piece::Taken,
    };
    came.push(piece);
}

/// Nothing is lost, nothing is made up.
fn all_passes(came: &[Piece<'_>], octets: &[u8], refused: bool) {
    let mut rest = octets;
    for piece in came {
        let passed = match piece {
            Piece::Wire(octets) => rest.strip_prefix(&**octets),
            Piece::Status(status) => {
                rest.strip_prefix(status.octets()).and_then(|rest| rest.strip_prefix(b"\r\n"))
            }
            Piece::Continuation(text) => rest
                .strip_prefix(b"+")
                .map(|rest| rest.strip_prefix(b" ").unwrap_or(rest))
                .and_then(|rest| rest.strip_prefix(text.as_slice())?.strip_prefix(b"\r\n")),
            other => panic!("{other:?} was not taken"),
        };
        rest = passed.unwrap_or_else(|| panic!("{piece:?} did not come"));
    }
    assert!(
        refused || !rest.windows(2).any(|pair| pair == b"\r\n") || rest.contains(&b'{'),
        "a line is lost"
    );
}
