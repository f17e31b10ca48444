//! SMS through a gateway's HTTP interface, as configuration describes it.
//!
//! Values go into a request where its templates say `${…}`:
//!
//! | name | what |
//! |---|---|
//! | `to`, `to_digits` | the phone, with and without its plus sign |
//! | `text` | an invitation's words |
//! | `octets`, `octets_hex`, `octets_base64` | what an envelope's message holds, without its header |
//! | `udh_hex`, `udh_percent` | the header (ports, concatenation), its length octet included |
//! | `ref` | a random name for this message, for the gateway to call back with |
//! | `var.NAME` | one of the variables: names, passwords, senders |

mod callback;
#[cfg(feature = "fuzz")]
pub mod fuzz;
mod request;
mod template;

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use futures_util::future::BoxFuture;
use serde::Deserialize;
use zeroize::Zeroizing;

use self::request::{Filling, NAMES, Prepared};
use super::{Coding, Message, Ports, messages};
use crate::ambient::Ambient;
use crate::outcome::{Fate, Receipt, ReceiptId, Refusal, Trouble, Undelivered};
use crate::web::{Answer, Client, Roots};
use crate::{Address, BadUrl, Carrier, Payload, Phone};

pub use self::callback::Callback;
pub use self::template::Escape;

/// A gateway's interface.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Settings {
    /// The request for a message in octets; without it, no envelopes.
    pub octets: Option<Call>,
    /// The request for a text; without it, no invitations. The gateway splits long ones.
    pub text: Option<Call>,
    /// Which answers say that the gateway took it.
    pub accepted: Accepted,
    /// Where the answer says what it calls the message.
    pub id: IdFrom,
    /// Statuses that say never: not this number, not this message. (Others of 4xx do too; 401, 403 and 429 do not.)
    #[serde(default)]
    pub refused: Vec<u16>,
    /// Words in the body of an answer that is no success, which say never.
    #[serde(default)]
    pub refused_words: Vec<String>,
    /// How to read its reports.
    pub callback: Option<Callback>,
    /// Which app of the phone gets envelopes.
    #[serde(default)]
    pub ports: Ports,
    /// How long a request may take, in seconds.
    #[serde(default = "ten")]
    pub deadline_s: u64,
    /// The gateway is reached by http in the clear, on a network that is trusted with what it carries.
    #[serde(default)]
    pub unprotected: bool,
}

/// One request, as templates.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Call {
    /// `GET`, `POST` or `PUT`.
    pub method: String,
    /// Where to, query included. Values are escaped as a query wants them.
    pub url: String,
    /// Headers.
    #[serde(default)]
    pub headers: BTreeMap<String, String>,
    /// The body.
    #[serde(default)]
    pub body: String,
    /// How values are written in the body.
    #[serde(default)]
    pub escape: Escape,
}

/// Which answers say that a message was taken.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Accepted {
    /// One of these statuses,
    pub statuses: Vec<u16>,
    /// and a body that begins so. What is of such a status and begins otherwise is refused.
    #[serde(default)]
    pub body_begins: String,
}

/// Where a message's id comes from.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq)]
#[serde(rename_all = "kebab-case")]
pub enum IdFrom {
    /// After these words in the body, up to the next white space or quote.
    After(String),
    /// A header of the answer.
    Header(String),
    /// A JSON pointer into the answer's body.
    Json(String),
    /// Our own `${ref}`, which the gateway calls back with.
    Ref,
}

/// What is wrong with settings.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum Misconfigured {
    /// A header that HTTP does not allow.
    #[error("no header may be called {0}")]
    Header(String),
    /// A hole that nothing fills.
    #[error("nothing is called ${{{0}}}; write $$ for a dollar sign")]
    Hole(String),
    /// Not one of ours.
    #[error("the method is GET, POST or PUT")]
    Method,
    /// Ports that phones ignore.
    #[error(
        "ports from 49152 on are reserved, and phones ignore them: of applications' own are 16000 to 16999"
    )]
    Ports,
    /// A place that values could choose, or none at all.
    #[error("{0}")]
    Url(#[from] BadUrl),
}

/// Names and passwords that templates use. Silent in logs, wiped on drop.
pub struct Variables(BTreeMap<String, Zeroizing<String>>);

impl FromIterator<(String, String)> for Variables {
    fn from_iter<T: IntoIterator<Item = (String, String)>>(variables: T) -> Self {
        Self(variables.into_iter().map(|(name, value)| (name, Zeroizing::new(value))).collect())
    }
}

impl fmt::Debug for Variables {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Variables({})", self.0.len())
    }
}

/// A carrier to an SMS gateway.
#[derive(Debug)]
pub struct Gateway {
    client: Client,
    octets: Option<Prepared>,
    text: Option<Prepared>,
    accepted: Accepted,
    id: IdFrom,
    refused: Vec<u16>,
    refused_words: Vec<String>,
    ports: Ports,
    variables: Variables,
    ambient: Ambient,
}

impl Gateway {
    /// A carrier to the gateway that these settings describe.
    ///
    /// # Errors
    /// [`Misconfigured`].
    pub fn new(
        settings: Settings,
        variables: Variables,
        roots: &Roots,
        ambient: Ambient,
    ) -> Result<Self, Misconfigured> {
        if settings.ports.are_reserved() {
            return Err(Misconfigured::Ports);
        }
        let known = |name: &str| {
            NAMES.contains(&name)
                || name.strip_prefix("var.").is_some_and(|name| variables.0.contains_key(name))
        };
        let prepare = |call: &Call| Prepared::new(call, settings.unprotected, known);
        Ok(Self {
            client: Client::new(roots, Duration::from_secs(settings.deadline_s.clamp(1, 120)))?,
            octets: settings.octets.as_ref().map(prepare).transpose()?,
            text: settings.text.as_ref().map(prepare).transpose()?,
            accepted: settings.accepted,
            id: settings.id,
            refused: settings.refused,
            refused_words: settings.refused_words,
            ports: settings.ports,
            variables,
            ambient,
        })
    }

    async fn take(&self, to: &Phone, payload: &Payload) -> Result<Receipt, Undelivered> {
        let (call, sent) = match payload {
            Payload::Sealed(_) => {
                let [reference] = self.ambient.random();
                (&self.octets, messages(payload, self.ports, reference)?)
            }
            Payload::Invitation(invitation) => {
                let data = invitation.text().as_bytes().to_vec();
                (&self.text, vec![Message { coding: Coding::Text, udh: Vec::new(), data }])
            }
            Payload::Document(_) => return Err(Refusal::PayloadKind.into()),
        };
        let call = call.as_ref().ok_or(Refusal::PayloadKind)?;
        let mut ids = Vec::new();
        for message in sent {
            let name = self.ambient.random::<8>().map(|octet| format!("{octet:02x}")).concat();
            let filling = Filling { to, message: &message, name: &name, variables: &self.variables };
            // Every hole was known at the start; what is left is a value that no header can hold.
            let request = call.request(&filling).ok_or(Refusal::PayloadKind)?;
            ids.push(self.outcome(&self.client.send(request).await?, &name)?);
        }
        Ok(ids.into_iter().filter(|id: &ReceiptId| !id.as_str().is_empty()).collect())
    }

    fn outcome(&self, answer: &Answer, name: &str) -> Result<ReceiptId, Undelivered> {
        let status = answer.status.as_u16();
        let body = String::from_utf8_lossy(&answer.body);
        let never = Err(Refusal::Status(status.into()).into());
        if !self.accepted.statuses.contains(&status) {
            let worded = self.refused_words.iter().any(|words| body.contains(words.as_str()));
            return match answer.status.is_success() {
                _ if worded || self.refused.contains(&status) => never,
                true => Err(Trouble::Unintelligible.into()),
                false => Err(answer.undelivered(self.ambient.now())),
            };
        }
        if !body.starts_with(&self.accepted.body_begins) {
            return never;
        }
        let id = self.id(answer, &body, name);
        // It took the message: that it does not say as what is no reason to send it again.
        Ok(ReceiptId::new(&id.unwrap_or_default()))
    }

    fn id(&self, answer: &Answer, body: &str, name: &str) -> Option<String> {
        match &self.id {
            IdFrom::Ref => Some(name.to_owned()),
            IdFrom::Header(header) => {
                answer.headers.get(header).and_then(|value| value.to_str().ok()).map(str::to_owned)
            }
            IdFrom::Json(pointer) => {
                serde_json::from_slice(&answer.body).ok().and_then(|json| callback::pointed(&json, pointer))
            }
            IdFrom::After(words) => body.split_once(words.as_str()).and_then(|(_, rest)| {
                let end = |letter: char| letter.is_whitespace() || matches!(letter, '"' | '\'' | '<' | ',');
                rest.split(end).next().map(str::to_owned)
            }),
        }
    }
}

impl Carrier for Gateway {
    fn send<'a>(
        &'a self,
        to: &'a Address,
        payload: &'a Payload,
    ) -> BoxFuture<'a, Result<Receipt, Undelivered>> {
        Box::pin(async move {
            let Address::Phone(phone) = to else { return Err(Refusal::AddressKind.into()) };
            self.take(phone, payload).await
        })
    }
}

impl Settings {
    /// Kannel's `sendsms` at `url`, as `http://127.0.0.1:13013/cgi-bin/sendsms`, in its POST form, which keeps names and
    /// passwords out of URLs and so out of access logs. Variables: `username`, `password`, `sender`. Its reports go to
    /// `reports`, a URL of ours; `smsc` names the route to take, if not any.
    #[must_use]
    pub fn kannel(url: &str, reports: &str, smsc: Option<&str>) -> Self {
        let call = |kind: &str, coding: &str, body: &str| {
            let mut headers = BTreeMap::from([
                ("Content-Type", kind.to_owned()),
                ("X-Kannel-Username", "${var.username}".to_owned()),
                ("X-Kannel-Password", "${var.password}".to_owned()),
                ("X-Kannel-From", "${var.sender}".to_owned()),
                ("X-Kannel-To", "${to}".to_owned()),
                ("X-Kannel-Coding", coding.to_owned()),
                // Delivered, failed, refused by the SMSC.
                ("X-Kannel-DLR-Mask", "19".to_owned()),
                ("X-Kannel-DLR-Url", format!("{}?ref=${{ref}}&d=%d", reports.replace('$', "$$"))),
            ]);
            headers.extend(smsc.map(|smsc| ("X-Kannel-SMSC", smsc.replace('$', "$$"))));
            Call {
                method: "POST".to_owned(),
                url: url.replace('$', "$$"),
                headers: headers.into_iter().map(|(name, value)| (name.to_owned(), value)).collect(),
                body: body.to_owned(),
                escape: Escape::None,
            }
        };
        let mut octets = call("application/octet-stream", "1", "${octets}");
        octets.headers.insert("X-Kannel-UDH".to_owned(), "${udh_percent}".to_owned());
        let states = [("1", Fate::Delivered), ("2", Fate::Undeliverable), ("16", Fate::Undeliverable)];
        Self {
            octets: Some(octets),
            text: Some(call("text/plain", "0", "${text}")),
            // 202 with "3: Queued for later delivery" is as good.
            accepted: Accepted { statuses: vec![200, 202], body_begins: String::new() },
            id: IdFrom::Ref,
            refused: Vec::new(),
            refused_words: vec!["Do not try again".to_owned()],
            callback: Some(Callback {
                id: "ref".to_owned(),
                state: "d".to_owned(),
                states: states.into_iter().map(|(word, fate)| (word.to_owned(), fate)).collect(),
            }),
            ports: Ports::default(),
            deadline_s: ten(),
            unprotected: false,
        }
    }
}

const fn ten() -> u64 {
    10
}
