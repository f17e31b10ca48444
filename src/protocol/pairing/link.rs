//! Where an invitation leads: `https://host[:port][/path]/p/<invitation>#<code>.<pin>`.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use zeroize::Zeroizing;

use super::{PairingCode, Pin};
use crate::ids::{InvitationId, Malformed};

const SCHEME: &str = "https://";
/// The port that a URL does not name.
const HTTPS_PORT: u16 = 443;
/// Octets of the longest public URL.
const URL_MAX: usize = 255;

/// Where the service is reached, as its links say it: SPAKE2+'s idVerifier, so that a relay at another origin fails.
///
/// One spelling: `https`, host in lower case, no user, query, fragment or default port, no slash at the end, ASCII.
#[derive(Clone, Eq, Hash, PartialEq)]
pub struct PublicUrl(Arc<str>);

impl PublicUrl {
    /// The URL.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// `host[:port]`: what a request's `Host` says.
    #[must_use]
    pub fn authority(&self) -> &str {
        self.authority_and_path().0
    }

    /// The host: a name, an IPv4 address, or an IPv6 address without its brackets.
    #[must_use]
    pub fn host(&self) -> &str {
        let (host, _) = host_and_port(self.authority());
        bare_address(host).unwrap_or(host)
    }

    /// The port, which is 443 where the URL names none.
    #[must_use]
    pub fn port(&self) -> u16 {
        host_and_port(self.authority()).1.and_then(|port| port.parse().ok()).unwrap_or(HTTPS_PORT)
    }

    /// Whether the URL names its port, which is another than 443 then.
    #[must_use]
    pub fn names_its_port(&self) -> bool {
        self.port() != HTTPS_PORT
    }

    /// The path before every route, empty or `/…`.
    #[must_use]
    pub fn path(&self) -> &str {
        self.authority_and_path().1
    }

    fn authority_and_path(&self) -> (&str, &str) {
        split_path(&self.0[SCHEME.len()..])
    }
}

impl FromStr for PublicUrl {
    type Err = Malformed;

    fn from_str(text: &str) -> Result<Self, Malformed> {
        let (authority, path) = split_path(text.strip_prefix(SCHEME).ok_or(Malformed)?);
        let plain = text.len() <= URL_MAX && authority_is_plain(authority) && path_is_plain(path);
        if plain { Ok(Self(text.into())) } else { Err(Malformed) }
    }
}

fn split_path(after_scheme: &str) -> (&str, &str) {
    let path = after_scheme.find('/').unwrap_or(after_scheme.len());
    after_scheme.split_at(path)
}

fn host_and_port(authority: &str) -> (&str, Option<&str>) {
    // The port's colon is the last one that no bracket of an IPv6 address follows.
    match authority.rsplit_once(':') {
        Some((host, port)) if !port.ends_with(']') => (host, Some(port)),
        _ => (authority, None),
    }
}

fn bare_address(host: &str) -> Option<&str> {
    host.strip_prefix('[')?.strip_suffix(']')
}

fn authority_is_plain(authority: &str) -> bool {
    let (host, port) = host_and_port(authority);
    let name = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || matches!(byte, b'.' | b'-');
    let address = |byte: u8| byte.is_ascii_digit() || matches!(byte, b'a'..=b'f' | b':' | b'.');
    let host_is_plain = match bare_address(host) {
        Some(inner) => !inner.is_empty() && inner.bytes().all(address),
        None => !host.is_empty() && host.bytes().all(name),
    };
    host_is_plain && port.is_none_or(port_is_plain)
}

fn port_is_plain(port: &str) -> bool {
    port.parse::<u16>().is_ok_and(|number| number != 0 && number != HTTPS_PORT && number.to_string() == port)
}

fn path_is_plain(path: &str) -> bool {
    let segment = |segment: &str| {
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~');
        !matches!(segment, "" | "." | "..") && segment.bytes().all(plain)
    };
    path.is_empty() || path.strip_prefix('/').is_some_and(|path| path.split('/').all(segment))
}

impl fmt::Display for PublicUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for PublicUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl Serialize for PublicUrl {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for PublicUrl {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(de::Error::custom)
    }
}

/// What a QR code or a link carries. A link sent by SMS or XDMS has no `proof`: the code never travels on the proxy's path.
#[derive(Debug)]
pub struct Link {
    /// The service.
    pub public_url: PublicUrl,
    /// The invitation.
    pub invitation: InvitationId,
    /// The fragment, which never leaves the device.
    pub proof: Option<(PairingCode, Pin)>,
}

impl Link {
    /// The link as it is shown once, code and all.
    #[must_use]
    pub fn expose(&self) -> Zeroizing<String> {
        let head = format!("{}/p/{}", self.public_url, self.invitation);
        let Some((code, pin)) = &self.proof else {
            return Zeroizing::new(head);
        };
        // Its capacity is exact, so that no reallocation leaves a copy of the code behind.
        let mut link = Zeroizing::new(String::with_capacity(head.len() + 1 + 9 + 1 + 22));
        for part in [&head, "#", &code.expose_printed(), ".", &pin.to_string()] {
            link.push_str(part);
        }
        link
    }
}

impl FromStr for Link {
    type Err = Malformed;

    fn from_str(text: &str) -> Result<Self, Malformed> {
        let (address, fragment) = match text.split_once('#') {
            Some((address, fragment)) => (address, Some(fragment)),
            None => (text, None),
        };
        let (url, invitation) = address.rsplit_once("/p/").ok_or(Malformed)?;
        let proof = fragment.map(|fragment| {
            let (code, pin) = fragment.split_once('.').ok_or(Malformed)?;
            Ok((code.parse()?, pin.parse()?))
        });
        Ok(Self { public_url: url.parse()?, invitation: invitation.parse()?, proof: proof.transpose()? })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ID: &str = "000102030405060708090a0b0c0d0e0f";
    const PIN: &str = "AAECAwQFBgcICQoLDA0ODw";

    #[test]
    fn a_link_reads_back() {
        for url in ["https://keys.example.org", "https://[::1]:8443/mail", "https://10.0.0.1:1/a/p/b"] {
            let text = format!("{url}/p/{ID}#A1B0-9ZTV.{PIN}");
            let link: Link = text.parse().unwrap();
            assert_eq!(link.public_url.as_str(), url);
            assert_eq!(link.expose().as_str(), text);
            let bare: Link = format!("{url}/p/{ID}").parse().unwrap();
            assert!(bare.proof.is_none());
            assert_eq!(bare.expose().as_str(), format!("{url}/p/{ID}"));
        }
    }

    #[test]
    fn a_link_is_mute() {
        let link: Link = format!("https://a/p/{ID}#A1B0-9ZTV.{PIN}").parse().unwrap();
        assert!(!format!("{link:?}").contains("A1B0"));
    }

    #[test]
    fn other_links_are_refused() {
        for other in [
            "",
            "https://a/p/",
            "https://a/q/000102030405060708090a0b0c0d0e0f",
            "https://a/p/000102030405060708090A0B0C0D0E0F",
            "https://a/p/000102030405060708090a0b0c0d0e0f#",
            "https://a/p/000102030405060708090a0b0c0d0e0f#A1B0-9ZTV",
            "https://a/p/000102030405060708090a0b0c0d0e0f#A1B0-9ZTV.",
            "https://a/p/000102030405060708090a0b0c0d0e0f#A1B0-9ZTV.AAECAwQFBgcICQoLDA0ODx",
            "https://a/p/000102030405060708090a0b0c0d0e0f?x#A1B0-9ZTV.AAECAwQFBgcICQoLDA0ODw",
        ] {
            assert_eq!(other.parse::<Link>().unwrap_err(), Malformed, "{other}");
        }
    }

    #[test]
    fn a_public_url_falls_into_its_parts() {
        for (url, authority, host, port, path) in [
            ("https://keys.example.org", "keys.example.org", "keys.example.org", 443, ""),
            (
                "https://keys.example.org:8443/sidekey",
                "keys.example.org:8443",
                "keys.example.org",
                8443,
                "/sidekey",
            ),
            ("https://[::1]:9/sidekey", "[::1]:9", "::1", 9, "/sidekey"),
            ("https://[::1]", "[::1]", "::1", 443, ""),
            ("https://10.0.0.1:1/a/b", "10.0.0.1:1", "10.0.0.1", 1, "/a/b"),
        ] {
            let url: PublicUrl = url.parse().unwrap();
            assert_eq!((url.authority(), url.host(), url.port(), url.path()), (authority, host, port, path));
        }
    }

    #[test]
    fn a_public_url_has_one_spelling() {
        for other in [
            "http://a",
            "https://",
            "https://A.example",
            "https://a/",
            "https://a//b",
            "https://a/./b",
            "https://a/..",
            "https://a:443",
            "https://a:0",
            "https://a:080",
            "https://a:",
            "https://a:65536",
            "https://me@a",
            "https://a?b",
            "https://a#b",
            "https://ä.example",
            "https://[::1",
            "https://[]",
            "https://a b",
            "https://a/%70",
            "https://a\n",
            &format!("https://{}", "a".repeat(255)),
        ] {
            assert_eq!(other.parse::<PublicUrl>(), Err(Malformed), "{other:?}");
        }
    }
}
