//! `[delivery]`: the carriers that take keys and invitations, and who runs what they lead to.

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};
use sidekey_protocol::delivery::CarrierName;

/// The carriers, and the operator proxy's domain.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct Delivery {
    /// Who runs the proxy on the mail's path.
    pub proxy_domain: String,
    /// By name.
    pub carriers: BTreeMap<CarrierName, Carrier>,
}

impl Default for Delivery {
    fn default() -> Self {
        Self { proxy_domain: "operator".to_owned(), carriers: BTreeMap::new() }
    }
}

/// A carrier.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
pub enum Carrier {
    /// SMS, through an SMSC that speaks SMPP 3.4.
    Smpp(Smpp),
    /// SMS, through a gateway's HTTP interface.
    HttpSms(HttpSms),
    /// Documents on an XDMS, by XCAP.
    Xdms(Xdms),
    /// A URL of the enterprise.
    Webhook(Webhook),
    /// Recognised to be refused: mail to the mailbox that is paired is the proxy's to read.
    Email(Mail),
}

/// Whatever is said about it.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct Mail {}

/// Why no carrier of that kind, or with that option, can be.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum Unmeant {
    /// Mail.
    #[error(
        "delivery.carriers.{0} is e-mail: mail to a mailbox that is paired passes the proxy, so nothing travels there; hand codes over in person, or let the device scan them"
    )]
    Mail(CarrierName),
    /// Codes, where the proxy would read them.
    #[error(
        "delivery.carriers.{carrier} is to carry pairing codes (codes = true) and is of the domain {domain:?}, which is the proxy's (delivery.proxy_domain): whoever runs the proxy would read the code"
    )]
    CodesToTheProxy {
        /// Which carrier.
        carrier: CarrierName,
        /// Whose.
        domain: String,
    },
    /// Codes, anywhere.
    #[error(
        "delivery.carriers.{0} is to carry pairing codes (codes = true): no form of a delivery has a place for one; leave the option out"
    )]
    Codes(CarrierName),
    /// Nobody would know whose it is.
    #[error("delivery.carriers.{0} has an empty domain: say who runs it")]
    Domain(CarrierName),
    /// One user after another would write the same document.
    #[error("delivery.carriers.{0}.user_xui has no {{user}} in it: every user would be the same")]
    UserXui(CarrierName),
    /// It could take nothing.
    #[error("delivery.carriers.{carrier}.{option} is 0: it could take nothing")]
    Nothing {
        /// Which carrier.
        carrier: CarrierName,
        /// Which option.
        option: &'static str,
    },
    /// No prefix of phones.
    #[error(
        "delivery.carriers.{carrier}.limits.prefixes names {prefix:?}, which no phone begins with: + and 1 to 15 digits"
    )]
    Prefix {
        /// Which carrier.
        carrier: CarrierName,
        /// What it names.
        prefix: String,
    },
}

/// What a carrier may send in a day of UTC: each sending is money, and numbers may be somebody's business.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct Daily {
    /// To one address.
    pub per_address: u32,
    /// In all.
    pub total: u32,
    /// To phones of each prefix, as `+49`; where any is named, nothing goes to others.
    pub prefixes: BTreeMap<String, u32>,
}

impl Default for Daily {
    fn default() -> Self {
        Self { per_address: 100, total: 10_000, prefixes: BTreeMap::new() }
    }
}

/// An SMSC.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Smpp {
    /// Who runs it.
    pub domain: String,
    /// Recognised to be refused.
    #[serde(default)]
    pub codes: bool,
    /// Its name or address.
    pub host: String,
    /// Its port.
    pub port: u16,
    /// Whether it speaks TLS.
    #[serde(default = "yes")]
    pub tls: bool,
    /// Whose certificates count (PEM); those of the system unless said.
    #[serde(default)]
    pub ca_file: Option<PathBuf>,
    /// Our name there.
    pub system_id: String,
    /// Our password there.
    pub password_file: PathBuf,
    /// What kind of system we are there.
    #[serde(default)]
    pub system_type: String,
    /// Whom messages are from.
    pub sender: String,
    /// The port of the app that gets envelopes.
    #[serde(default = "port")]
    pub app_port: u16,
    /// How many messages may wait for their answer at once.
    #[serde(default = "ten")]
    pub at_once: u16,
    /// How long the SMSC keeps a message for a phone that is off.
    #[serde(default = "hour")]
    pub validity_s: u32,
    /// How long an answer may take.
    #[serde(default = "ten_s")]
    pub answer_s: u32,
    /// After how long a silence we ask whether somebody is there.
    #[serde(default = "half_a_minute")]
    pub enquire_link_s: u32,
    /// What it may send in a day.
    #[serde(default)]
    pub limits: Daily,
}

/// An SMS gateway.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
pub struct HttpSms {
    /// Who runs it.
    pub domain: String,
    /// Recognised to be refused.
    #[serde(default)]
    pub codes: bool,
    /// Its interface, as `kannel.toml` describes Kannel's.
    pub interface_file: PathBuf,
    /// Whose certificates count (PEM); those of the system unless said.
    #[serde(default)]
    pub ca_file: Option<PathBuf>,
    /// What the interface's `${var.NAME}` mean that are no secrets.
    #[serde(default)]
    pub variables: BTreeMap<String, String>,
    /// Files with those that are.
    #[serde(default)]
    pub variable_files: BTreeMap<String, PathBuf>,
    /// A file with a word that only the gateway knows, for its reports: `${var.reports}` is then the URL that takes them.
    #[serde(default)]
    pub report_token_file: Option<PathBuf>,
    /// How many requests may be on their way at once.
    #[serde(default = "ten")]
    pub at_once: u16,
    /// What it may send in a day.
    #[serde(default)]
    pub limits: Daily,
}

/// An XDMS.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Xdms {
    /// Who runs it.
    pub domain: String,
    /// Recognised to be refused.
    #[serde(default)]
    pub codes: bool,
    /// The XCAP root.
    pub root: String,
    /// The root is reached by http in the clear, on a network that is trusted with what it carries.
    #[serde(default)]
    pub unprotected: bool,
    /// The application usage's id.
    pub auid: String,
    /// The document's name in a user's tree.
    #[serde(default = "index")]
    pub document: String,
    /// The document's media type there.
    #[serde(default = "media_type")]
    pub media_type: String,
    /// How a user is called there whose pairing has no address.
    #[serde(default)]
    pub user_xui: Option<String>,
    /// How a phone's user is called there.
    #[serde(default)]
    pub phone_xui: Option<String>,
    /// Our name there, where it asks with Digest.
    #[serde(default)]
    pub user: Option<String>,
    /// Our password there.
    #[serde(default)]
    pub password_file: Option<PathBuf>,
    /// The header that says on whose behalf we write.
    #[serde(default)]
    pub asserted_identity: Option<String>,
    /// Whose certificates count (PEM); those of the system unless said.
    #[serde(default)]
    pub ca_file: Option<PathBuf>,
    /// How long one request may take.
    #[serde(default = "ten_s")]
    pub answer_s: u32,
    /// How many documents may be written at once.
    #[serde(default = "ten")]
    pub at_once: u16,
}

/// A URL of the enterprise.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Webhook {
    /// Who runs it.
    pub domain: String,
    /// Recognised to be refused.
    #[serde(default)]
    pub codes: bool,
    /// Where to.
    pub url: String,
    /// The URL is reached by http in the clear, on a network that is trusted with what it carries.
    #[serde(default)]
    pub unprotected: bool,
    /// The secret that requests are signed with, 24 to 64 octets.
    pub secret_file: PathBuf,
    /// Whose certificates count (PEM); those of the system unless said.
    #[serde(default)]
    pub ca_file: Option<PathBuf>,
    /// How many requests may be on their way at once.
    #[serde(default = "ten")]
    pub at_once: u16,
    /// What it may send in a day.
    #[serde(default)]
    pub limits: Daily,
}

impl Delivery {
    /// Whether every carrier can be meant.
    pub(super) fn check(&self) -> Result<(), Unmeant> {
        self.carriers.iter().try_for_each(|(name, carrier)| self.check_one(name, carrier))
    }

    fn check_one(&self, name: &CarrierName, carrier: &Carrier) -> Result<(), Unmeant> {
        let name = || name.clone();
        let (domain, codes, at_once) = match carrier {
            Carrier::Smpp(Smpp { domain, codes, at_once, .. })
            | Carrier::HttpSms(HttpSms { domain, codes, at_once, .. })
            | Carrier::Xdms(Xdms { domain, codes, at_once, .. })
            | Carrier::Webhook(Webhook { domain, codes, at_once, .. }) => (domain, *codes, *at_once),
            Carrier::Email(_) => return Err(Unmeant::Mail(name())),
        };
        if codes && *domain == self.proxy_domain {
            return Err(Unmeant::CodesToTheProxy { carrier: name(), domain: domain.clone() });
        }
        if codes {
            return Err(Unmeant::Codes(name()));
        }
        if domain.is_empty() {
            return Err(Unmeant::Domain(name()));
        }
        let nothing = |option| Unmeant::Nothing { carrier: name(), option };
        if at_once == 0 {
            return Err(nothing("at_once"));
        }
        if let Some(limits) = carrier.limits() {
            for (option, most) in [("limits.per_address", limits.per_address), ("limits.total", limits.total)]
            {
                (most > 0).then_some(()).ok_or_else(|| nothing(option))?;
            }
            if let Some(prefix) = limits.prefixes.keys().find(|prefix| !is_prefix(prefix)) {
                return Err(Unmeant::Prefix { carrier: name(), prefix: prefix.clone() });
            }
        }
        match carrier {
            Carrier::Xdms(Xdms { user_xui: Some(xui), .. }) if !xui.contains("{user}") => {
                Err(Unmeant::UserXui(name()))
            }
            _ => Ok(()),
        }
    }
}

impl Carrier {
    /// What it may send in a day, where that costs anything.
    #[must_use]
    pub const fn limits(&self) -> Option<&Daily> {
        match self {
            Self::Smpp(Smpp { limits, .. })
            | Self::HttpSms(HttpSms { limits, .. })
            | Self::Webhook(Webhook { limits, .. }) => Some(limits),
            Self::Xdms(_) | Self::Email(_) => None,
        }
    }
}

fn is_prefix(text: &str) -> bool {
    text.strip_prefix('+').is_some_and(|digits| {
        (1..=15).contains(&digits.len()) && digits.bytes().all(|byte| byte.is_ascii_digit())
    })
}

const fn yes() -> bool {
    true
}

const fn port() -> u16 {
    16_127
}

const fn ten() -> u16 {
    10
}

const fn ten_s() -> u32 {
    10
}

const fn half_a_minute() -> u32 {
    30
}

const fn hour() -> u32 {
    3600
}

fn index() -> String {
    "index".to_owned()
}

fn media_type() -> String {
    sidekey_carrier::xdms::MEDIA_TYPE.to_owned()
}

#[cfg(test)]
mod tests;
