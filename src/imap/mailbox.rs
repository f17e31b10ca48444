//! Names of mailboxes: modified UTF-7 both ways (RFC 3501 section 5.1.3), INBOX, and the one spelling that a frame is
//! bound to (proto/object/spec.md, section 3.1).

use std::fmt;

/// Octets of the longest name, in UTF-8.
pub const MAILBOX_MAX: usize = 4096;

/// A mailbox's name, in UTF-8. INBOX in any case is `INBOX`.
#[derive(Clone, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct Mailbox(String);

/// Why it is no name of a mailbox. One variant per check.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum Reason {
    /// An octet that is not printable ASCII.
    Unprintable,
    /// After `&`, an octet that is no modified base64.
    Base64Malformed,
    /// `&` without the `-` that ends it.
    ShiftUnclosed,
    /// `-&` where the characters could have stayed together.
    ShiftSuperfluous,
    /// Printable ASCII that is not written as itself.
    Disguised,
    /// Bits beyond the last character, or not of one.
    BitsLeft,
    /// Half a surrogate pair.
    SurrogateUnpaired,
    /// No name at all.
    Empty,
    /// More than [`MAILBOX_MAX`] octets.
    TooLong,
    /// NUL, CR or LF.
    ControlWithin,
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Unprintable => "an octet that is not printable ASCII",
            Self::Base64Malformed => "after '&', an octet that is no modified base64",
            Self::ShiftUnclosed => "'&' without the '-' that ends it",
            Self::ShiftSuperfluous => "'-&' where the characters could have stayed together",
            Self::Disguised => "printable ASCII that is not written as itself",
            Self::BitsLeft => "bits that are no character",
            Self::SurrogateUnpaired => "half a surrogate pair",
            Self::Empty => "no name",
            Self::TooLong => "a name that is too long",
            Self::ControlWithin => "NUL, CR or LF in a name",
        })
    }
}

impl std::error::Error for Reason {}

impl Mailbox {
    /// From its name in UTF-8.
    ///
    /// # Errors
    /// [`Reason::Empty`], [`Reason::TooLong`], [`Reason::ControlWithin`].
    pub fn new(name: &str) -> Result<Self, Reason> {
        if name.is_empty() {
            Err(Reason::Empty)
        } else if name.len() > MAILBOX_MAX {
            Err(Reason::TooLong)
        } else if name.contains(['\0', '\r', '\n']) {
            Err(Reason::ControlWithin)
        } else if name.eq_ignore_ascii_case(INBOX) {
            Ok(Self(INBOX.to_owned()))
        } else {
            Ok(Self(name.to_owned()))
        }
    }

    /// From the octets of an astring on the wire, in modified UTF-7. A name has one spelling there, and no other is
    /// taken: two spellings of one mailbox would be two mailboxes to whoever compares them.
    ///
    /// # Errors
    /// Any [`Reason`].
    pub fn from_wire(octets: &[u8]) -> Result<Self, Reason> {
        // Modified UTF-7 is at most three and a half times as long as UTF-8.
        if octets.len() > 4 * MAILBOX_MAX {
            return Err(Reason::TooLong);
        }
        Self::new(&decode(octets)?)
    }

    /// The name in UTF-8.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The name in modified UTF-7.
    #[must_use]
    pub fn wire(&self) -> String {
        encode(&self.0)
    }

    /// The name that a frame is bound to: INBOX in upper case also as the first level, the separator as NUL.
    #[must_use]
    pub fn canonical(&self, separator: Option<char>) -> String {
        let first = separator.and_then(|separator| self.0.split(separator).next()).unwrap_or(&self.0);
        let rest = &self.0[first.len()..];
        let first = if first.eq_ignore_ascii_case(INBOX) { INBOX } else { first };
        let rest = separator.map_or_else(|| rest.to_owned(), |separator| rest.replace(separator, "\0"));
        format!("{first}{rest}")
    }
}

impl fmt::Debug for Mailbox {
    /// That there is one; a name may say much.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Mailbox({} octets)", self.0.len())
    }
}

fn decode(mut octets: &[u8]) -> Result<String, Reason> {
    let mut name = String::with_capacity(octets.len());
    let mut after_shift = false;
    while let [first, rest @ ..] = octets {
        octets = rest;
        match first {
            b'&' => {
                let end = rest.iter().position(|octet| *octet == b'-').ok_or(Reason::ShiftUnclosed)?;
                octets = &rest[end + 1..];
                if end == 0 {
                    name.push('&');
                } else if after_shift {
                    return Err(Reason::ShiftSuperfluous);
                } else {
                    decode_shifted(&rest[..end], &mut name)?;
                }
                after_shift = end > 0;
            }
            b' '..=b'~' => {
                name.push(char::from(*first));
                after_shift = false;
            }
            _ => return Err(Reason::Unprintable),
        }
    }
    Ok(name)
}

/// Between `&` and `-`: UTF-16 in base64 with a comma for the slash, spare bits zero.
fn decode_shifted(octets: &[u8], name: &mut String) -> Result<(), Reason> {
    let (mut bits, mut held) = (0_u32, 0);
    let mut units = Vec::with_capacity(octets.len());
    for octet in octets {
        let value = BASE64.iter().position(|letter| letter == octet).ok_or(Reason::Base64Malformed)?;
        bits = (bits << 6 | value as u32) & 0x3f_ffff;
        held += 6;
        if held >= 16 {
            held -= 16;
            units.push((bits >> held) as u16);
        }
    }
    if held >= 6 || bits & ((1 << held) - 1) != 0 {
        return Err(Reason::BitsLeft);
    }
    for character in char::decode_utf16(units) {
        match character.map_err(|_| Reason::SurrogateUnpaired)? {
            ' '..='~' => return Err(Reason::Disguised),
            character => name.push(character),
        }
    }
    Ok(())
}

fn encode(name: &str) -> String {
    let mut wire = String::with_capacity(name.len());
    let mut rest = name;
    while let Some(first) = rest.chars().next() {
        let plain = |c: char| matches!(c, ' '..='~');
        let run = rest.find(|c| plain(c) != plain(first)).unwrap_or(rest.len());
        let (run, after) = rest.split_at(run);
        rest = after;
        if plain(first) {
            wire.push_str(&run.replace('&', "&-"));
        } else {
            encode_shifted(run, &mut wire);
        }
    }
    wire
}

fn encode_shifted(run: &str, wire: &mut String) {
    wire.push('&');
    let (mut bits, mut held) = (0_u32, 0);
    for unit in run.encode_utf16() {
        bits = bits << 16 | u32::from(unit);
        held += 16;
        while held >= 6 {
            held -= 6;
            wire.push(letter(bits >> held));
        }
        bits &= (1 << held) - 1;
    }
    if held > 0 {
        wire.push(letter(bits << (6 - held)));
    }
    wire.push('-');
}

fn letter(bits: u32) -> char {
    char::from(BASE64[(bits & 63) as usize])
}

const INBOX: &str = "INBOX";
const BASE64: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+,";

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn names_read_and_write_alike() {
        for (wire, name) in [
            ("Sent Items", "Sent Items"),
            ("R&-D", "R&D"),
            ("Entw&APw-rfe", "Entwürfe"),
            ("~peter/mail/&U,BTFw-/&ZeVnLIqe-", "~peter/mail/台北/日本語"),
            ("&2D3eAA-", "😀"),
            ("&AOk--&-", "é-&"),
            ("iNbOx", "INBOX"),
            ("inbox/x", "inbox/x"),
        ] {
            let mailbox = Mailbox::from_wire(wire.as_bytes()).unwrap();
            assert_eq!(mailbox.as_str(), name);
            if name != "INBOX" {
                assert_eq!(mailbox.wire(), wire);
            }
        }
    }

    #[test]
    fn a_name_has_one_spelling() {
        use Reason::*;
        for (wire, reason) in [
            (&b"caf\xc3\xa9"[..], Unprintable),
            (b"a\tb", Unprintable),
            (b"&", ShiftUnclosed),
            (b"a&AOk", ShiftUnclosed),
            (b"&AO/-", Base64Malformed),
            (b"&AO k-", Base64Malformed),
            (b"&AOk=-", Base64Malformed),
            (b"&AGE-", Disguised),
            (b"&ACY-", Disguised),
            (b"&AOkAYQ-", Disguised),
            (b"&AOk-&AOk-", ShiftSuperfluous),
            (b"&AOl-", BitsLeft),
            (b"&AA-", BitsLeft),
            (b"&A-", BitsLeft),
            (b"&AOkA-", BitsLeft),
            (b"&2D0-", SurrogateUnpaired),
            (b"&3gA-", SurrogateUnpaired),
            (b"&AAA-", ControlWithin),
            (b"&AAo-", ControlWithin),
            (b"", Empty),
        ] {
            assert_eq!(Mailbox::from_wire(wire), Err(reason), "{}", wire.escape_ascii());
        }
        assert_eq!(Mailbox::new(&"x".repeat(MAILBOX_MAX + 1)), Err(TooLong));
        assert_eq!(Mailbox::from_wire(&b"x".repeat(4 * MAILBOX_MAX + 1)), Err(TooLong));
    }

    #[test]
    fn the_first_level_is_inbox_and_separators_are_nul() {
        let of = |name, separator| Mailbox::new(name).unwrap().canonical(separator);
        assert_eq!(of("inbox", Some('/')), "INBOX");
        assert_eq!(of("Inbox/Inbox/a.b", Some('/')), "INBOX\0Inbox\0a.b");
        assert_eq!(of("Inbox.a", None), "Inbox.a");
        assert_eq!(of("InboxA/b", Some('/')), "InboxA\0b");
        assert_eq!(of("a/b", Some('.')), "a/b");
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn every_name_goes_there_and_back(name in "[^\0\r\n]{1,40}") {
            let mailbox = Mailbox::new(&name).unwrap();
            let wire = mailbox.wire();
            prop_assert!(wire.bytes().all(|octet| matches!(octet, b' '..=b'~')));
            prop_assert_eq!(Mailbox::from_wire(wire.as_bytes()), Ok(mailbox));
        }

        #[test]
        fn whatever_reads_is_the_one_spelling(wire in "[&A-Fa,+0-9/ -]{1,24}") {
            if let Ok(mailbox) = Mailbox::from_wire(wire.as_bytes()) {
                prop_assert_eq!(mailbox.wire(), wire);
            }
        }
    }
}
