//! Commands mean the same when they are written anew, and to another parser.

use imap_codec::CommandCodec;
use imap_codec::decode::Decoder as _;
use imap_codec::encode::Encoder as _;
use sidekey_imap::command::{Append, Body, Command, Event, Literals, Password, Reader, Refusal, Tag};
use sidekey_imap::scanner::{Limits, Side};

use super::sound::is_clean;
use crate::{choice, pieces};

/// More than a command may have.
const KEPT_MAX: usize = 64 * 1024 + 16 * 1024;

/// What came, messages put together.
#[derive(Debug, Eq, PartialEq)]
enum Came {
    Continue,
    Command(Command),
    Refused(Option<Tag>, Refusal),
    Append(Append),
    Octets(Vec<u8>),
    Appended,
    Raw(Password),
}

#[derive(Debug, Eq, PartialEq)]
struct Read {
    /// And how many octets had been taken by then.
    came: Vec<(Came, usize)>,
    broken: bool,
}

pub fn commands(octets: &[u8]) {
    let (seed, octets) = choice(octets);
    let read = read(seed, std::iter::once(octets));
    assert_eq!(self::read(seed, pieces(seed, octets)), read, "wherever the pieces end");
    let (mut begin, mut at) = (0, 0);
    for (index, (came, end)) in read.came.iter().enumerate() {
        match came {
            Came::Command(command) => {
                written_anew(command);
                same_to_another(&octets[begin..*end], &read.came[at..=index]);
            }
            Came::Appended => same_to_another(&octets[begin..*end], &read.came[at..=index]),
            Came::Refused(..) | Came::Raw(_) => {}
            Came::Continue | Came::Append(_) | Came::Octets(_) => continue,
        }
        (begin, at) = (*end, index + 1);
    }
}

fn read<'o>(seed: u8, pieces: impl Iterator<Item = &'o [u8]>) -> Read {
    let mut reader = Reader::new(Limits::CLIENT);
    let (mut came, mut appends, mut taken) = (Vec::new(), 0, 0);
    for piece in pieces {
        let mut input = piece;
        loop {
            let event = reader.next(&mut input);
            let end = taken + piece.len() - input.len();
            let event = match event {
                Ok(None) => break,
                Err(_) => return Read { came, broken: true },
                Ok(Some(Event::Octets { octets, .. })) => {
                    match came.last_mut() {
                        Some((Came::Octets(before), at)) => {
                            before.extend_from_slice(octets);
                            *at = end;
                        }
                        _ => came.push((Came::Octets(octets.to_vec()), end)),
                    }
                    continue;
                }
                Ok(Some(Event::Continue)) => Came::Continue,
                Ok(Some(Event::Command(command))) => {
                    if matches!(command.body, Body::Idle | Body::Authenticate { initial: None, .. }) {
                        reader.expect_raw();
                    }
                    Came::Command(command)
                }
                Ok(Some(Event::Refused(tag, refusal))) => Came::Refused(tag, refusal),
                Ok(Some(Event::Append(append))) => {
                    appends += 1;
                    if seed >= 128 && appends % 2 == 0 {
                        reader.decline(&append);
                    }
                    Came::Append(append)
                }
                Ok(Some(Event::Appended)) => Came::Appended,
                Ok(Some(Event::Raw(line))) => Came::Raw(line),
            };
            came.push((event, end));
        }
        assert!(reader.kept() < KEPT_MAX, "what is kept has a bound");
        taken += piece.len();
    }
    Read { came, broken: false }
}

fn written_anew(command: &Command) {
    for literals in [Literals::Plus, Literals::Minus, Literals::Waiting] {
        let segments = command.write(literals);
        let written = segments.concat();
        assert!(is_clean(Side::Client, &written), "{}", written.escape_ascii());
        let again = read(0, std::iter::once(written.as_slice()));
        let (last, waits) = again.came.split_last().expect("something comes");
        assert_eq!(last.0, Came::Command(command.clone()), "{}", written.escape_ascii());
        assert!(waits.iter().all(|(came, _)| *came == Came::Continue), "{}", written.escape_ascii());
        assert_eq!(waits.len() + 1, segments.len(), "each segment but the last ends where one waits");
    }
}

/// What another parser reads, and writes again in its own way, we read as the same.
fn same_to_another(octets: &[u8], came: &[(Came, usize)]) {
    let codec = CommandCodec::new();
    let Ok((&[], theirs)) = codec.decode(octets) else { return };
    let theirs = codec.encode(&theirs).dump();
    let again = read(0, std::iter::once(theirs.as_slice()));
    let said = |came: &[(Came, usize)]| came.iter().filter_map(|(came, _)| settled(came)).collect::<Vec<_>>();
    assert_eq!(
        said(&again.came),
        said(came),
        "{} is to others {}",
        octets.escape_ascii(),
        theirs.escape_ascii()
    );
}

/// Without what is a matter of spelling: whether somebody waits.
fn settled(came: &Came) -> Option<Came> {
    Some(match came {
        Came::Continue => return None,
        Came::Command(command) => Came::Command(command.clone()),
        Came::Refused(tag, refusal) => Came::Refused(tag.clone(), *refusal),
        Came::Append(append) => {
            let mut append = append.clone();
            append.literal.plus = false;
            Came::Append(append)
        }
        Came::Octets(octets) => Came::Octets(octets.clone()),
        Came::Appended => Came::Appended,
        Came::Raw(_) => return None,
    })
}
