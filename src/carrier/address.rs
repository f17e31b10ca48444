//! Where a payload goes. The administrator sets addresses; a party never does.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

/// Not an address of this kind.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum Malformed {
    /// Not `+`, then 7 to 15 digits of which the first is not 0.
    #[error("not a phone number as E.164 writes it: + and 7 to 15 digits, nothing else")]
    Phone,
    /// Not an XCAP user identifier.
    #[error(
        "not an XCAP user identifier: 1 to 255 visible ASCII characters without / ? # % \" \\ and not . or .."
    )]
    Xui,
}

/// Where a payload goes.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub enum Address {
    /// A phone.
    Phone(Phone),
    /// A user of an XDMS.
    Xui(Xui),
}

impl From<Phone> for Address {
    fn from(phone: Phone) -> Self {
        Self::Phone(phone)
    }
}

impl From<Xui> for Address {
    fn from(xui: Xui) -> Self {
        Self::Xui(xui)
    }
}

/// A phone number as E.164 writes it, in its one spelling: `+` and 7 to 15 digits.
#[derive(Clone, Eq, Hash, PartialEq)]
pub struct Phone(Arc<str>);

impl Phone {
    /// With the plus sign.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Without it.
    #[must_use]
    pub fn digits(&self) -> &str {
        &self.0[1..]
    }
}

impl FromStr for Phone {
    type Err = Malformed;

    fn from_str(text: &str) -> Result<Self, Malformed> {
        let digits = text.strip_prefix('+').ok_or(Malformed::Phone)?;
        let formed = matches!(digits.len(), 7..=15)
            && digits.bytes().all(|byte| byte.is_ascii_digit())
            && !digits.starts_with('0');
        if formed { Ok(Self(text.into())) } else { Err(Malformed::Phone) }
    }
}

/// The last two digits: enough to tell two apart in a log, too little to call.
impl fmt::Debug for Phone {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Phone(…{})", &self.0[self.0.len() - 2..])
    }
}

/// An XCAP user identifier (RFC 4825, section 6.2): one segment of a path, such as `sip:ann@example.com`.
#[derive(Clone, Eq, Hash, PartialEq)]
pub struct Xui(Arc<str>);

impl Xui {
    /// As it stands in the document's tree, before any escaping.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for Xui {
    type Err = Malformed;

    fn from_str(text: &str) -> Result<Self, Malformed> {
        // What would end a segment, a quoted string or a header, or could be read twice, is nobody's name.
        let plain =
            |byte: u8| byte.is_ascii_graphic() && !matches!(byte, b'/' | b'?' | b'#' | b'%' | b'"' | b'\\');
        let formed = matches!(text.len(), 1..=255) && text.bytes().all(plain) && !matches!(text, "." | "..");
        if formed { Ok(Self(text.into())) } else { Err(Malformed::Xui) }
    }
}

impl fmt::Debug for Xui {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Xui({} octets)", self.0.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_has_one_spelling() {
        assert_eq!("+491700000000".parse::<Phone>().unwrap().digits(), "491700000000");
        for wrong in [
            "491700000000",
            "+49 170 0000000",
            "+0491700000",
            "+49170",
            "+1234567890123456",
            "+49170x000000",
            "++491700000000",
            "",
            "+",
            "+٤٩١٧٠٠٠٠٠٠٠٠",
            "00491700000000",
        ] {
            assert_eq!(wrong.parse::<Phone>(), Err(Malformed::Phone), "{wrong}");
        }
    }

    #[test]
    fn an_identifier_stays_within_its_segment() {
        assert!("sip:ann@example.com".parse::<Xui>().is_ok());
        for wrong in ["", ".", "..", "a/b", "sip:ann?x", "a#b", "a%2fb", "a b", "a\"b", "a\r\nb", "ä"] {
            assert_eq!(wrong.parse::<Xui>(), Err(Malformed::Xui), "{wrong}");
        }
        assert_eq!("a".repeat(256).parse::<Xui>(), Err(Malformed::Xui));
    }

    #[test]
    fn a_log_cannot_call_anybody() {
        let phone: Address = "+491701234567".parse::<Phone>().unwrap().into();
        let xui: Address = "sip:ann@example.com".parse::<Xui>().unwrap().into();
        assert_eq!(format!("{phone:?} {xui:?}"), "Phone(Phone(…67)) Xui(Xui(19 octets))");
    }
}
