//! SMS through an SMSC that speaks SMPP 3.4.
//!
//! ```text
//!   Smpp ──submissions (bounded)──▶ the driver ──one connection──▶ SMSC
//!   Reports ◀──────(bounded)────────   │  bind_transceiver, a window, enquire_link, back-off
//! ```
//! The driver is a future that the caller runs. It ends, with an unbind, once its [`Smpp`] is dropped.
//!
//! PDUs are read and written by `rusmpp`; connection and window are ours, so that everything that an SMSC can make grow
//! has a bound, and no PDU with a password or a payload in it is ever logged.

#[cfg(feature = "fuzz")]
pub mod fuzz;
mod link;
mod report;
mod wire;

use std::fmt;
use std::future::Future;
use std::time::Duration;

use futures_util::future::BoxFuture;
use rusmpp::pdus::{BindTransceiver, SubmitSm};
use rusmpp::types::{COctetString, EmptyOrFullCOctetString, OctetString};
use rusmpp::values::{DataCoding, EsmClass, InterfaceVersion, Npi, RegisteredDelivery, Ton};
use tokio::sync::{mpsc, oneshot};
use tokio::time::timeout;
use zeroize::Zeroizing;

use self::link::{Driver, Submission, Target};
use super::{Coding, Message, Ports, messages};
use crate::ambient::Ambient;
use crate::outcome::{REPORTS_MAX, Receipt, ReceiptId, Refusal, Reports, Trouble, Undelivered};
use crate::web::{Roots, tls_config};
use crate::{Address, Carrier, Payload, Phone};

/// How to reach and to please an SMSC.
#[derive(Debug)]
pub struct Settings {
    /// Its name or address.
    pub host: String,
    /// Its port.
    pub port: u16,
    /// Whose certificates count; `None` is SMPP in the clear, for a network that is trusted with what it carries.
    pub tls: Option<Roots>,
    /// Our name there, of at most 15 characters.
    pub system_id: String,
    /// Our password there, of at most 8.
    pub password: Password,
    /// What kind of system we are there, of at most 12 characters; mostly empty.
    pub system_type: String,
    /// Whom messages are from: a number (`+49…`), a short code (digits) or up to 11 letters and digits.
    pub sender: String,
    /// Which app of the phone gets envelopes.
    pub ports: Ports,
    /// How many messages may wait for their answer at once.
    pub window: u16,
    /// How long the SMSC keeps a message for a phone that is off: a day at most, since no key lives longer.
    pub validity: Duration,
    /// How long an answer may take.
    pub answer: Duration,
    /// After how long a silence we ask whether somebody is there.
    pub enquire_link: Duration,
}

/// A password, wiped on drop and silent in logs.
pub struct Password(Zeroizing<String>);

impl From<String> for Password {
    fn from(password: String) -> Self {
        Self(Zeroizing::new(password))
    }
}

impl fmt::Debug for Password {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Password")
    }
}

/// What is wrong with settings.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum Misconfigured {
    /// Longer than the protocol has room for.
    #[error("the password has at most 8 ASCII characters")]
    Password,
    /// Ports that phones ignore.
    #[error(
        "ports from 49152 on are reserved, and phones ignore them: of applications' own are 16000 to 16999"
    )]
    Ports,
    /// Nobody to send as.
    #[error("the sender is a number (+49…), a short code (up to 8 digits) or up to 11 letters and digits")]
    Sender,
    /// Longer than the protocol has room for.
    #[error("the system id has 1 to 15 ASCII characters, the system type at most 12")]
    System,
    /// Not a time that means something.
    #[error("validity is from a minute to a day; answer and enquire_link are from a second to ten minutes")]
    Time,
    /// Nothing to trust.
    #[error("no usable certificate (PEM) to trust")]
    Tls,
    /// None, or too many.
    #[error("the window is from 1 to 1000")]
    Window,
}

/// A carrier to an SMSC.
pub struct Smpp {
    submissions: mpsc::Sender<Submission>,
    sender: Sender,
    ports: Ports,
    validity: EmptyOrFullCOctetString<17>,
    patience: Duration,
    ambient: Ambient,
}

impl Smpp {
    /// A carrier, the reports of its SMSC, and the driver, without which nothing is sent.
    ///
    /// # Errors
    /// [`Misconfigured`].
    pub fn new(
        settings: &Settings,
        ambient: Ambient,
    ) -> Result<(Self, Reports, impl Future<Output = ()> + Send + 'static), Misconfigured> {
        let times = [settings.answer, settings.enquire_link];
        if !times.iter().all(|time| (1..=600).contains(&time.as_secs())) {
            return Err(Misconfigured::Time);
        }
        if settings.ports.are_reserved() {
            return Err(Misconfigured::Ports);
        }
        if !(1..=1000).contains(&settings.window) {
            return Err(Misconfigured::Window);
        }
        let window = usize::from(settings.window);
        let (submissions, queue) = mpsc::channel(window);
        let (reports, reader) = mpsc::channel(REPORTS_MAX);
        let tls = settings.tls.as_ref().map(tls_config).transpose().map_err(|_| Misconfigured::Tls)?;
        let driver = Driver {
            target: Target { host: settings.host.clone(), port: settings.port, tls },
            bind: bind(settings)?,
            queue,
            reports,
            window,
            answer: settings.answer,
            enquire_link: settings.enquire_link,
            ambient: ambient.clone(),
        };
        let carrier = Self {
            submissions,
            sender: Sender::new(&settings.sender)?,
            ports: settings.ports,
            validity: validity(settings.validity)?,
            // A place in the window, a connection, a bind, an answer.
            patience: settings.answer * 3 + crate::web::CONNECT,
            ambient,
        };
        Ok((carrier, reader, driver.run()))
    }

    async fn submit(&self, to: &Phone, payload: &Payload) -> Result<Receipt, Undelivered> {
        let [reference] = self.ambient.random();
        let mut ids = Vec::new();
        for message in messages(payload, self.ports, reference)? {
            let (answer, answered) = oneshot::channel();
            let submission = Submission { message: self.submit_sm(to, &message), answer };
            let exchange = async {
                self.submissions.send(submission).await.map_err(|_| Trouble::Connection)?;
                answered.await.map_err(|_| Trouble::Interrupted)?
            };
            // A part that fails fails the payload: the phone puts parts of one reference together, or none.
            ids.push(timeout(self.patience, exchange).await.map_err(|_| Trouble::Deadline)??);
        }
        Ok(ids.into_iter().filter(|id: &ReceiptId| !id.as_str().is_empty()).collect())
    }

    fn submit_sm(&self, to: &Phone, message: &Message) -> SubmitSm {
        let Message { coding, udh, data } = message;
        let octets = [&udh[..], data].concat();
        let (indicator, coding) = match coding {
            Coding::Octets => (UDH_INDICATOR, DataCoding::from(EIGHT_BIT)),
            Coding::Text if udh.is_empty() => (0, DataCoding::from(DEFAULT_ALPHABET)),
            Coding::Text => (UDH_INDICATOR, DataCoding::from(DEFAULT_ALPHABET)),
        };
        SubmitSm::builder()
            .source_addr_ton(self.sender.ton)
            .source_addr_npi(self.sender.npi)
            .source_addr(self.sender.address.clone())
            .dest_addr_ton(Ton::International)
            .dest_addr_npi(Npi::Isdn)
            .destination_addr(text(to.digits()).expect("a number has at most 15 digits"))
            // The crate's own default has a bit of another network's in it.
            .esm_class(EsmClass::from(indicator))
            .data_coding(coding)
            .validity_period(self.validity.clone())
            .registered_delivery(RegisteredDelivery::from(REPORT_WANTED))
            .short_message(OctetString::from_slice(&octets).expect("a message has at most 159 octets"))
            .build()
    }
}

impl Carrier for Smpp {
    fn send<'a>(
        &'a self,
        to: &'a Address,
        payload: &'a Payload,
    ) -> BoxFuture<'a, Result<Receipt, Undelivered>> {
        Box::pin(async move {
            let Address::Phone(phone) = to else { return Err(Refusal::AddressKind.into()) };
            self.submit(phone, payload).await
        })
    }
}

impl fmt::Debug for Smpp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Smpp")
    }
}

/// Whom messages are from.
struct Sender {
    ton: Ton,
    npi: Npi,
    address: COctetString<1, 21>,
}

impl Sender {
    fn new(sender: &str) -> Result<Self, Misconfigured> {
        let digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
        let (ton, npi, address) = match sender.parse::<Phone>() {
            Ok(_) => (Ton::International, Npi::Isdn, &sender[1..]),
            Err(_) if digits(sender) && matches!(sender.len(), 1..=8) => {
                (Ton::NetworkSpecific, Npi::Unknown, sender)
            }
            Err(_)
                if sender.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b' ')
                    && matches!(sender.len(), 1..=11) =>
            {
                (Ton::Alphanumeric, Npi::Unknown, sender)
            }
            Err(_) => return Err(Misconfigured::Sender),
        };
        Ok(Self { ton, npi, address: text(address).ok_or(Misconfigured::Sender)? })
    }
}

fn bind(settings: &Settings) -> Result<BindTransceiver, Misconfigured> {
    let system_id = text(&settings.system_id).filter(|_| !settings.system_id.is_empty());
    Ok(BindTransceiver::builder()
        .system_id(system_id.ok_or(Misconfigured::System)?)
        .password(text(&settings.password.0).ok_or(Misconfigured::Password)?)
        .system_type(text(&settings.system_type).ok_or(Misconfigured::System)?)
        .interface_version(InterfaceVersion::Smpp3_4)
        .build())
}

/// A time from the SMSC's receiving on (SMPP 3.4, section 7.1.1.1): `YYMMDDhhmmsstnnR`.
fn validity(validity: Duration) -> Result<EmptyOrFullCOctetString<17>, Misconfigured> {
    let seconds = validity.as_secs();
    if !(60..=86_400).contains(&seconds) {
        return Err(Misconfigured::Time);
    }
    let (days, hours, minutes) = (seconds / 86_400, seconds / 3600 % 24, seconds / 60 % 60);
    let spelled = format!("0000{days:02}{hours:02}{minutes:02}{:02}000R\0", seconds % 60);
    EmptyOrFullCOctetString::from_slice(spelled.as_bytes()).map_err(|_| Misconfigured::Time)
}

/// ASCII with a NUL at its end, where there is room for both.
fn text<const MAX: usize>(text: &str) -> Option<COctetString<1, MAX>> {
    COctetString::from_slice(format!("{text}\0").as_bytes()).ok()
}

const UDH_INDICATOR: u8 = 0x40;
const EIGHT_BIT: u8 = 0x04;
const DEFAULT_ALPHABET: u8 = 0x00;
/// A report when the message has arrived, or will not.
const REPORT_WANTED: u8 = 0x01;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_is_kept_no_longer_than_its_key_lives() {
        let spelled =
            |seconds| validity(Duration::from_secs(seconds)).map(|period| period.as_str().to_owned());
        assert_eq!(spelled(3600).unwrap().trim_end_matches('\0'), "000000010000000R");
        assert_eq!(spelled(86_400).unwrap().trim_end_matches('\0'), "000001000000000R");
        assert_eq!(spelled(86_401), Err(Misconfigured::Time));
        assert_eq!(spelled(0), Err(Misconfigured::Time));
    }

    #[test]
    fn a_sender_is_a_number_a_short_code_or_a_name() {
        let ton = |sender| Sender::new(sender).map(|sender| u8::from(sender.ton));
        assert_eq!(ton("+15551000"), Ok(1));
        assert_eq!(ton("72345"), Ok(3));
        assert_eq!(ton("Example Co"), Ok(5));
        for wrong in ["", "Example Company", "+12", "a_b"] {
            assert_eq!(ton(wrong), Err(Misconfigured::Sender), "{wrong}");
        }
    }
}
