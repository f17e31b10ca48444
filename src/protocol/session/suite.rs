//! Suites: what is offered, what is allowed, what is chosen (proto/session/spec.md, section 2).

use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

use super::Reject;
use crate::crypto::{hash, labels};

/// How object keys are used.
#[derive(Clone, Copy, Debug, Deserialize, Eq, Hash, PartialEq, Serialize)]
#[cfg_attr(feature = "openapi", derive(schemars::JsonSchema))]
pub enum Suite {
    /// AES-256-GCM.
    #[serde(rename = "A256GCM")]
    A256gcm,
    /// ChaCha20-Poly1305.
    #[serde(rename = "C20P")]
    C20p,
}

/// Every suite that we know, in our own order of preference.
pub const SUITES: [Suite; 2] = [Suite::A256gcm, Suite::C20p];

/// Suites that were once used for this and never again: a list that names one is refused whole.
const LEGACY: [&str; 3] = ["3DES", "AES", "RC4"];

/// Strings in a list of capabilities or suites, and octets of each.
const LIST_MAX: usize = 64;

impl Suite {
    /// The name on the wire.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::A256gcm => "A256GCM",
            Self::C20p => "C20P",
        }
    }

    /// The octet in `lp`, frames and COSE.
    #[must_use]
    pub const fn octet(self) -> u8 {
        match self {
            Self::A256gcm => 1,
            Self::C20p => 2,
        }
    }

    /// The suite of that name, if we know it.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        SUITES.into_iter().find(|suite| suite.name() == name)
    }

    /// The suite of that octet, if we know it.
    #[must_use]
    pub fn from_octet(octet: u8) -> Option<Self> {
        SUITES.into_iter().find(|suite| suite.octet() == octet)
    }
}

impl fmt::Display for Suite {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// Names of suites, best first, as one side gave them: a client's offer, or what a policy allows.
///
/// Names that we do not know stay in it: they are skipped in a choice, and hashed.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct SuiteList(Arc<[Box<str>]>);

impl SuiteList {
    /// Reads a list.
    ///
    /// # Errors
    /// [`Reject::SuiteLegacy`]; [`Reject::SuitesMalformed`] when the list is empty or has more than 64 names, or a
    /// name is not 1 to 64 visible ASCII characters.
    pub fn parse(names: &[impl AsRef<str>]) -> Result<Self, Reject> {
        if names.is_empty() || names.len() > LIST_MAX || !names.iter().all(|name| plain(name.as_ref())) {
            return Err(Reject::SuitesMalformed);
        }
        refuse_legacy(names)?;
        Ok(Self(names.iter().map(|name| name.as_ref().into()).collect()))
    }

    /// Everything we know, in our own order: the offer of our client, the suites of the built-in policy.
    #[must_use]
    pub fn ours() -> Self {
        Self(SUITES.into_iter().map(|suite| suite.name().into()).collect())
    }

    /// The names as they were given.
    pub fn names(&self) -> impl ExactSizeIterator<Item = &str> {
        self.0.iter().map(AsRef::as_ref)
    }

    /// The suites that we know, in the order given.
    pub fn suites(&self) -> impl Iterator<Item = Suite> {
        self.names().filter_map(Suite::from_name)
    }

    /// Whether the list names `suite`.
    #[must_use]
    pub fn contains(&self, suite: Suite) -> bool {
        self.names().any(|name| name == suite.name())
    }

    /// `SHA-256(lp("offer", names in order))`.
    #[must_use]
    pub fn offer_hash(&self) -> [u8; 32] {
        let names: Vec<&[u8]> = self.names().map(str::as_bytes).collect();
        hash(labels::OFFER, &names)
    }
}

/// What a server said it can do when it opened a session: upper-cased, deduplicated, sorted.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub struct Capabilities(Arc<[Box<str>]>);

impl Capabilities {
    /// Brings a list into its canonical form.
    ///
    /// # Errors
    /// [`Reject::SuiteLegacy`]; [`Reject::CapabilitiesMalformed`] for more than 64 strings, or one that is not 1 to
    /// 64 visible ASCII characters.
    pub fn parse(list: &[impl AsRef<str>]) -> Result<Self, Reject> {
        if list.len() > LIST_MAX || !list.iter().all(|text| plain(text.as_ref())) {
            return Err(Reject::CapabilitiesMalformed);
        }
        refuse_legacy(list)?;
        let mut list: Vec<Box<str>> =
            list.iter().map(|text| text.as_ref().to_ascii_uppercase().into_boxed_str()).collect();
        list.sort_unstable();
        list.dedup();
        Ok(Self(list.into()))
    }

    /// The strings, in canonical form and order.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = &str> {
        self.0.iter().map(AsRef::as_ref)
    }

    /// Whether `suite` is among them.
    #[must_use]
    pub fn contains(&self, suite: Suite) -> bool {
        self.iter().any(|text| text == suite.name())
    }

    /// `SHA-256(lp("capabilities", each in order))`.
    #[must_use]
    pub fn hash(&self) -> [u8; 32] {
        let list: Vec<&[u8]> = self.iter().map(str::as_bytes).collect();
        hash(labels::CAPABILITIES, &list)
    }
}

/// A suite, and the hash of the offer that it was chosen from.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Choice {
    /// What was chosen.
    pub suite: Suite,
    /// The one client's offer hash, or [`OFFER_OF_SEVERAL`].
    pub offer: [u8; 32],
}

/// Stands for the offer hash where a session is for several clients.
pub const OFFER_OF_SEVERAL: [u8; 32] = [0; 32];

/// The suite of a session for one pairing: the first of the client's order that policy and capabilities allow.
///
/// # Errors
/// [`Reject::SuiteNone`].
pub fn choose_of_one(
    offer: &SuiteList,
    policy: &SuiteList,
    capabilities: &Capabilities,
) -> Result<Choice, Reject> {
    let allowed = |suite: &Suite| policy.contains(*suite) && capabilities.contains(*suite);
    let suite = offer.suites().find(allowed).ok_or(Reject::SuiteNone)?;
    Ok(Choice { suite, offer: offer.offer_hash() })
}

/// The suite of a session for all pairings of a user, however many are live: the first of the policy's that the
/// capabilities and every offer contain.
///
/// # Errors
/// [`Reject::SuiteNone`].
pub fn choose_of_several<'a>(
    offers: impl Iterator<Item = &'a SuiteList> + Clone,
    policy: &SuiteList,
    capabilities: &Capabilities,
) -> Result<Choice, Reject> {
    let allowed =
        |suite: &Suite| capabilities.contains(*suite) && offers.clone().all(|offer| offer.contains(*suite));
    let suite = policy.suites().find(allowed).ok_or(Reject::SuiteNone)?;
    Ok(Choice { suite, offer: OFFER_OF_SEVERAL })
}

fn plain(text: &str) -> bool {
    (1..=LIST_MAX).contains(&text.len()) && text.bytes().all(|octet| octet.is_ascii_graphic())
}

fn refuse_legacy(list: &[impl AsRef<str>]) -> Result<(), Reject> {
    let legacy = |text: &str| LEGACY.iter().any(|name| name.eq_ignore_ascii_case(text));
    if list.iter().any(|text| legacy(text.as_ref())) { Err(Reject::SuiteLegacy) } else { Ok(()) }
}

impl Serialize for SuiteList {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(self.names())
    }
}

impl<'de> Deserialize<'de> for SuiteList {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Self::parse(&Vec::<String>::deserialize(deserializer)?).map_err(de::Error::custom)
    }
}

impl Serialize for Capabilities {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(self.iter())
    }
}

impl<'de> Deserialize<'de> for Capabilities {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Self::parse(&Vec::<String>::deserialize(deserializer)?).map_err(de::Error::custom)
    }
}
