//! The bearer of `demo --via`: what the service's carrier leads to, and what whoever runs it sees.

pub mod smsc;
pub mod xcap;

use std::fmt;
use std::fs::OpenOptions;
use std::io::{self, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use sidekey_client::Roots;
use sidekey_client::xdms::Xdms;
use sidekey_protocol::delivery::CarrierName;
use sidekey_service::Config;
use zeroize::Zeroizing;

use self::smsc::Smsc;
use super::world::Trouble;

/// What a key travels by, beside HTTPS.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize, clap::ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum Via {
    /// Short messages, through an SMSC
    Sms,
    /// A document on an XDMS
    Xdms,
}

/// Through whose programs, by which bearer, and whose.
#[derive(Clone, Debug, Default, clap::Args)]
pub struct By {
    /// Send the mail through Dovecot, nginx and curl too, with our gateway and agent at the ends
    #[arg(long)]
    pub imap: bool,
    /// Send the phone's key by this bearer too, and let the bearer lie
    #[arg(long, value_enum, value_name = "BEARER")]
    pub via: Option<Via>,
    /// With --via sms: somebody's SMSC (SMPP 3.4) in place of the demo's own
    #[arg(long, value_name = "[NAME:PASSWORD@]HOST:PORT", requires = "via", conflicts_with = "xcap")]
    pub smsc: Option<String>,
    /// With --via xdms: somebody's XDMS (https) in place of the demo's own, its XCAP root and an application usage
    #[arg(long, value_name = "URL", requires = "via")]
    pub xcap: Option<String>,
    /// Our name and password at that XDMS
    #[arg(long, value_name = "NAME:PASSWORD", requires = "xcap")]
    pub xcap_login: Option<Login>,
    /// Its certificate authority, a PEM file; those of the system unless said
    #[arg(long, value_name = "FILE", requires = "xcap")]
    pub xcap_ca: Option<PathBuf>,
    /// To this phone number, or this XCAP user identifier
    #[arg(long, value_name = "ADDRESS", requires = "via", allow_hyphen_values = true)]
    pub to: Option<String>,
}

/// A name and a password.
#[derive(Clone)]
pub struct Login {
    name: String,
    password: Zeroizing<String>,
}

impl FromStr for Login {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (name, password) = text.split_once(':').ok_or("a name, a colon and a password")?;
        Ok(Self { name: name.to_owned(), password: Zeroizing::new(password.to_owned()) })
    }
}

impl fmt::Debug for Login {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Login({})", self.name)
    }
}

/// A bearer at work.
#[derive(Debug)]
pub struct Bearer {
    /// Where the phone is reached.
    pub to: String,
    /// For eyes: whose it is.
    pub whose: String,
    /// What becomes of what it takes.
    pub end: End,
}

/// Where the phone gets what the bearer has.
#[derive(Debug)]
pub enum End {
    /// From the SMSC, as a phone would.
    Sms(Smsc),
    /// From its document.
    Xdms(Box<Xdms>),
}

impl Bearer {
    /// Starts it, or finds somebody else's, and puts a carrier to it into the service's configuration.
    ///
    /// # Errors
    /// What cannot be reached, or is no address of such a thing.
    pub async fn start(by: &By, via: Via, config: &mut Config) -> Result<Self, Trouble> {
        let (bearer, carrier) = match via {
            Via::Sms => Self::sms(by, &config.data).await?,
            Via::Xdms => Self::xdms(by, &config.data).await?,
        };
        config.delivery.carriers.insert(name(), serde_json::from_value(carrier).map_err(io::Error::other)?);
        Ok(bearer)
    }

    async fn sms(by: &By, data: &Path) -> Result<(Self, Value), Trouble> {
        let given = by.smsc.as_deref().unwrap_or_default();
        let (login, place) = given.rsplit_once('@').unwrap_or(("sidekey:sidekey", given));
        let login: Login = login.parse().map_err(io::Error::other)?;
        let upstream = (!place.is_empty()).then(|| place.to_owned());
        let whose = upstream.clone().unwrap_or_else(|| "the demo's own".to_owned());
        let smsc = Smsc::start(upstream).await?;
        secret(&data.join(PASSWORD), &login.password)?;
        let carrier = json!({
            "kind": "smpp", "domain": "operator", "host": "127.0.0.1", "port": smsc.port, "tls": false,
            "system_id": login.name, "password_file": PASSWORD, "sender": "Sidekey",
        });
        let to = by.to.clone().unwrap_or_else(|| "+491700000000".to_owned());
        Ok((Self { to, whose, end: End::Sms(smsc) }, carrier))
    }

    async fn xdms(by: &By, data: &Path) -> Result<(Self, Value), Trouble> {
        let own = data.join("ca.pem");
        let (place, ca, whose) = match &by.xcap {
            Some(url) => (url.trim_end_matches('/').to_owned(), by.xcap_ca.clone(), url.clone()),
            None => (xcap::start(data).await?, Some(own), "the demo's own".to_owned()),
        };
        let (root, auid) = place.rsplit_once('/').unwrap_or((&place, ""));
        let roots = match &ca {
            Some(file) => Roots::Pem(std::fs::read_to_string(file)?),
            None => Roots::Native,
        };
        let to = by.to.clone().unwrap_or_else(|| "sip:ann@example.org".to_owned());
        let mut document = Xdms::new(&format!("{place}/users/{to}/index"), &roots)?;
        let mut carrier = json!({ "kind": "xdms", "domain": "operator", "root": root, "auid": auid });
        if let Some(ca) = ca {
            carrier["ca_file"] = json!(std::fs::canonicalize(ca)?);
        }
        if let Some(Login { name, password }) = &by.xcap_login {
            secret(&data.join(PASSWORD), password)?;
            carrier["user"] = json!(name);
            carrier["password_file"] = json!(PASSWORD);
            document = document.signed_in(name.clone(), password.to_string());
        }
        Ok((Self { to, whose, end: End::Xdms(Box::new(document)) }, carrier))
    }
}

/// How the service calls its carrier.
///
/// # Panics
/// Never.
#[must_use]
pub fn name() -> CarrierName {
    "bearer".parse().expect("a few letters")
}

/// Writes a file that its owner alone reads.
pub(super) fn secret(file: &Path, text: &str) -> io::Result<()> {
    OpenOptions::new().write(true).create_new(true).mode(0o600).open(file)?.write_all(text.as_bytes())
}

const PASSWORD: &str = "bearer.password";
