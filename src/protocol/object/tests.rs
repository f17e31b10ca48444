//! What no single file of this folder can show by itself.

mod client;
mod memory;
mod properties;
mod vectors;

use std::num::NonZeroU32;

use super::*;

fn agreed() -> Agreed {
    Agreed {
        session: SessionId::from_bytes([7; 16]),
        generation: 3,
        suite: Suite::A256gcm,
        policy_hash: [1; 32],
        capabilities_hash: [2; 32],
        offer_hash: [3; 32],
    }
}

fn keys(suite: Suite) -> ObjectKeys {
    ObjectKeys::derive(&Secret::fill_with(|key| key.fill(9)), &Agreed { suite, ..agreed() })
}

fn place(item: &str, partial: Option<(u64, u32)>) -> Context<ServerToClient> {
    let (mailbox, item) = (Mailbox::new("INBOX", Some('/')).unwrap(), Item::parse(item).unwrap());
    let partial = partial.map(|(origin, count)| Partial::new(origin, count).unwrap());
    let number = |n| NonZeroU32::new(n).unwrap();
    Context::fetch(&mailbox, number(1), number(2), &item, partial).unwrap()
}

fn sealer(place: &Context<ServerToClient>, kind: Kind, value_len: u64) -> Result<Sealer, Unsealable> {
    Sealer::new(&keys(Suite::A256gcm).s2c, place, kind, value_len, RecordSize::default(), [5; 16])
}

fn opened<D: Direction>(opener: Opener<'_, D>, frame: &[u8]) -> Result<(Kind, Vec<u8>), Reject> {
    let mut value = Vec::new();
    match open(opener, frame, &mut value) {
        Ok(kind) => Ok((kind, value)),
        Err(Stopped::Refused(reject)) => Err(reject),
        Err(Stopped::Io(error)) => panic!("memory does not fail: {error}"),
    }
}

#[test]
fn every_agreed_field_is_in_the_key() {
    let secret = Secret::fill_with(|key| key.fill(9));
    let key_of = |agreed: &Agreed| *ObjectKeys::derive(&secret, agreed).s2c.secret.expose();
    let base = agreed();
    let others = [
        Agreed { session: SessionId::from_bytes([8; 16]), ..base },
        Agreed { generation: 4, ..base },
        Agreed { suite: Suite::C20p, ..base },
        Agreed { policy_hash: [0; 32], ..base },
        Agreed { capabilities_hash: [0; 32], ..base },
        Agreed { offer_hash: [0; 32], ..base },
    ];
    for other in others {
        assert_ne!(key_of(&base), key_of(&other), "{other:?}");
    }
    let keys = ObjectKeys::derive(&secret, &base);
    assert_ne!(keys.s2c.secret.expose(), keys.c2s.secret.expose(), "the directions differ");
}

#[test]
fn what_was_announced_is_what_is_sealed() {
    let whole = place("BODY[]", None);
    let range = place("BODY[]", Some((0, 16384)));
    assert_eq!(sealer(&whole, Kind::Nil, 1).unwrap_err(), Unsealable::NilWithValue);
    assert_eq!(sealer(&whole, Kind::Literal, VALUE_MAX + 1).unwrap_err(), Unsealable::ValueTooLong);
    assert_eq!(sealer(&range, Kind::Literal, 16385).unwrap_err(), Unsealable::CountExceeded);
    let mut short = sealer(&whole, Kind::Literal, 5).unwrap();
    assert_eq!(short.feed(&mut &b"four"[..]).unwrap(), b"");
    assert_eq!(short.pad(), Err(Unsealable::ValueShorter));
    assert_eq!(short.feed(&mut &b"56"[..]), Err(Unsealable::ValueLonger));
    assert_eq!(short.feed(&mut &b"5"[..]).unwrap(), b"");
    assert_eq!(short.pad().unwrap().map(<[u8]>::len), Some(4250));
    assert_eq!(short.pad(), Ok(None));
}

#[test]
fn what_has_failed_does_not_open_later() {
    let (keys, place) = (keys(Suite::A256gcm), place("ENVELOPE", None));
    let mut frame = Vec::new();
    seal(sealer(&place, Kind::List, 3).unwrap(), &b"(1)"[..], &mut frame).unwrap();
    let mut opener = Opener::new(&keys.s2c, &place);
    assert_eq!(opener.feed(&mut &[0; PREFIX_SIZE][..]), Err(Reject::NotAFrame));
    assert_eq!(opener.feed(&mut frame.as_slice()), Err(Reject::NotAFrame));
    assert_eq!(opener.finish().unwrap_err(), Reject::NotAFrame);
    assert_eq!(opened(Opener::new(&keys.s2c, &place), &frame), Ok((Kind::List, b"(1)".to_vec())));
}

#[test]
fn another_place_is_refused_before_any_record() {
    let (keys, asked) = (keys(Suite::A256gcm), place("BODY[]", None));
    let mut frame = Vec::new();
    seal(sealer(&place("BODY[TEXT]", None), Kind::Literal, 3).unwrap(), &b"abc"[..], &mut frame).unwrap();
    let mut opener = Opener::new(&keys.s2c, &asked);
    assert_eq!(opener.feed(&mut &frame[..PREFIX_SIZE - 1]), Ok(&[][..]));
    assert_eq!(opener.feed(&mut &frame[PREFIX_SIZE - 1..PREFIX_SIZE]), Err(Reject::OtherItem));
}

#[test]
fn nothing_prints_a_key_or_a_value() {
    let (keys, place) = (keys(Suite::A256gcm), place("ENVELOPE", None));
    let mut sealer = sealer(&place, Kind::Literal, 6).unwrap();
    sealer.feed(&mut &b"secret"[..]).unwrap();
    let text = format!("{keys:?} {place:?} {sealer:?} {:?}", Opener::new(&keys.s2c, &place));
    assert!(text.contains("ObjectKey(07070707070707070707070707070707, 3)"), "{text}");
    assert!(!text.contains("115, 101, 99") && !text.contains("secret"), "{text}");
    for octet in keys.s2c.secret.expose().windows(3) {
        assert!(!text.contains(&format!("{octet:?}")[1..8]), "{text}");
    }
}
