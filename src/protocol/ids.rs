//! Who and what: typed ids and names, one spelling each (proto/README.md, "Ids and names").

use std::fmt;
use std::str::FromStr;

use rand_core::CryptoRng;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

/// The text is not the one spelling of what it should name.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("malformed id or name")]
pub struct Malformed;

/// Octets of the longest server or user name.
pub const NAME_MAX: usize = 255;

macro_rules! id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        /// Sixteen random octets, written as 32 lower-case hex digits.
        #[derive(Clone, Copy, Eq, Hash, Ord, PartialEq, PartialOrd)]
        pub struct $name([u8; 16]);

        impl $name {
            /// A new one from `rng`.
            pub fn random(rng: &mut impl CryptoRng) -> Self {
                let mut id = [0; 16];
                rng.fill_bytes(&mut id);
                Self(id)
            }

            /// From its raw octets.
            #[must_use]
            pub const fn from_bytes(bytes: [u8; 16]) -> Self {
                Self(bytes)
            }

            /// The raw octets, as they stand in `lp`.
            #[must_use]
            pub const fn as_bytes(&self) -> &[u8; 16] {
                &self.0
            }
        }

        impl FromStr for $name {
            type Err = Malformed;

            fn from_str(text: &str) -> Result<Self, Malformed> {
                let mut id = [0; 16];
                match base16ct::lower::decode(text, &mut id) {
                    Ok(bytes) if bytes.len() == 16 => Ok(Self(id)),
                    _ => Err(Malformed),
                }
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&base16ct::lower::encode_string(&self.0))
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(self, f)
            }
        }

        impl Serialize for $name {
            /// JSON carries the text; the store's own format the raw octets.
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                if serializer.is_human_readable() { serializer.collect_str(self) } else { self.0.serialize(serializer) }
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                if deserializer.is_human_readable() {
                    String::deserialize(deserializer)?.parse().map_err(de::Error::custom)
                } else {
                    <[u8; 16]>::deserialize(deserializer).map(Self)
                }
            }
        }
    };
}

macro_rules! text_serde {
    ($name:ident) => {
        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(self)
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                String::deserialize(deserializer)?.parse().map_err(de::Error::custom)
            }
        }
    };
}

id! {
    /// Names one proxy credential.
    CredentialId
}
id! {
    /// Names one invitation: an offer to pair, made by an administrator.
    InvitationId
}
id! {
    /// Names one party: a pairing (of a client or of a server) or an administrator.
    PartyId
}
id! {
    /// Names the key service itself, under all its URLs: the audience of every token.
    ServiceId
}
id! {
    /// Names one session.
    SessionId
}

macro_rules! name {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        /// 1 to 255 octets of UTF-8 without control characters or white space at its ends; compared bytewise.
        #[derive(Clone, Eq, Hash, Ord, PartialEq, PartialOrd)]
        pub struct $name(std::sync::Arc<str>);

        impl $name {
            /// The name as it stands in `lp`.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl FromStr for $name {
            type Err = Malformed;

            fn from_str(text: &str) -> Result<Self, Malformed> {
                let plain = !text.is_empty() && text.len() <= NAME_MAX && text.trim() == text;
                if plain && !text.chars().any(char::is_control) { Ok(Self(text.into())) } else { Err(Malformed) }
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(self, f)
            }
        }

        text_serde!($name);
    };
}

name! {
    /// Names an enterprise mail server, as the enterprise calls it.
    ServerName
}
name! {
    /// Names a user of a server.
    UserName
}

/// What a party may be.
#[derive(Clone, Copy, Debug, Deserialize, Eq, Hash, Ord, PartialEq, PartialOrd, Serialize)]
#[cfg_attr(feature = "openapi", derive(schemars::JsonSchema))]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// A mail app: sees its own user's sessions.
    Client,
    /// An enterprise mail server or a gateway before it: sees its own users' sessions.
    Server,
}

impl Role {
    /// The role as it stands in `lp`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Client => "client",
            Self::Server => "server",
        }
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Unix seconds.
#[derive(Clone, Copy, Debug, Deserialize, Eq, Hash, Ord, PartialEq, PartialOrd, Serialize)]
#[serde(transparent)]
pub struct Timestamp(pub u32);

impl Timestamp {
    /// This many seconds later, or the end of time.
    #[must_use]
    pub const fn after_s(self, seconds: u32) -> Self {
        Self(self.0.saturating_add(seconds))
    }

    /// Seconds from `earlier` to here; 0 when it is not earlier.
    #[must_use]
    pub const fn since_s(self, earlier: Self) -> u32 {
        self.0.saturating_sub(earlier.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_has_one_spelling() {
        let text = "000102030405060708090a0b0c0d0e0f";
        assert_eq!(text.parse::<SessionId>().unwrap().to_string(), text);
        for other in [
            "000102030405060708090A0B0C0D0E0F",
            "+00102030405060708090a0b0c0d0e0f",
            "00",
            "",
            &format!("{text}00"),
        ] {
            assert_eq!(other.parse::<SessionId>(), Err(Malformed), "{other}");
        }
    }

    #[test]
    fn a_name_is_bounded_and_plain() {
        for good in ["ann@example.org", "mail.example.org", "Жанна", &"a".repeat(255)] {
            assert_eq!(good.parse::<UserName>().unwrap().as_str(), good);
        }
        for bad in ["", " ann", "ann\n", "a\0b", "\u{7f}", &"a".repeat(256)] {
            assert_eq!(bad.parse::<UserName>(), Err(Malformed), "{bad:?}");
        }
    }
}
