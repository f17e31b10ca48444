//! Keys and values on disk: each is read as it was written, and nothing else is read.

use super::super::pages::{Key, decode, decode_head, encode};
use super::super::state::policy::Reach;

#[test]
fn a_key_is_read_as_it_was_written() {
    let number = 0x0102_0304;
    let keys = [
        Key::Credential(number),
        Key::Delta { page: number, seq: u64::MAX - 1 },
        Key::Delivery(number),
        Key::Global,
        Key::Invitation(number),
        Key::Page(number),
        Key::Party(number),
        Key::Policy(Reach::Service),
        Key::Policy(Reach::Server(number)),
        Key::Policy(Reach::User(number)),
        Key::Root(number),
        Key::Server(number),
        Key::Tally(number),
        Key::User(number),
    ];
    for key in keys {
        assert_eq!(Key::decode(&key.encode()), Some(key));
    }
}

#[test]
fn what_is_no_key_of_ours_is_not_read() {
    // The service has one policy; others are too short, too long, or of no kind.
    let none: [&[u8]; 8] =
        [b"", b"a\0\0\0\x01", b"b\0\0\0", b"d\0\0\0\x01", b"g\0", b"p\0\0\0\0\0", b"u", b"z\0\0\0\0"];
    for key in none {
        assert_eq!(Key::decode(key), None, "{}", key.escape_ascii());
    }
}

#[test]
fn a_value_of_another_version_or_with_more_behind_it_is_not_read() {
    let value = encode(&(7_u32, "rest"));
    assert_eq!(decode(&value), Some((7_u32, "rest".to_owned())));
    assert_eq!((decode_head(&value), decode::<u32>(&value)), (Some(7_u32), None));
    let mut later = value;
    later[0] += 1;
    assert_eq!((decode::<(u32, String)>(&later), decode_head::<u32>(&later)), (None, None));
}
