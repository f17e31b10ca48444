//! A request as configuration describes it, filled for one message.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use http::{HeaderName, HeaderValue, Method, Request};
use http_body_util::Full;

use super::template::{Template, Values};
use super::{Call, Escape, Misconfigured, Variables};
use crate::sms::Message;
use crate::web::{Url, percent_encoded};
use crate::{BadUrl, Phone};

/// A call whose templates are read.
#[derive(Debug)]
pub(super) struct Prepared {
    method: Method,
    url: Template,
    headers: Vec<(HeaderName, Template)>,
    body: Template,
    escape: Escape,
}

impl Prepared {
    pub(super) fn new(
        call: &Call,
        unprotected: bool,
        known: impl Fn(&str) -> bool,
    ) -> Result<Self, Misconfigured> {
        let method = match call.method.as_str() {
            "GET" => Method::GET,
            "POST" => Method::POST,
            "PUT" => Method::PUT,
            _ => return Err(Misconfigured::Method),
        };
        let url = Template::new(&call.url, &known)?;
        if !url.origin_is_fixed() {
            return Err(BadUrl::Form.into());
        }
        let origin = call.url.split(['?', '$']).next().unwrap_or_default();
        let _ = if unprotected { Url::unprotected(origin)? } else { origin.parse::<Url>()? };
        let header = |(name, value): (&String, &String)| {
            let parsed = name.parse().map_err(|_| Misconfigured::Header(name.clone()))?;
            Ok((parsed, Template::new(value, &known)?))
        };
        Ok(Self {
            method,
            url,
            headers: call.headers.iter().map(header).collect::<Result<_, Misconfigured>>()?,
            body: Template::new(&call.body, &known)?,
            escape: call.escape,
        })
    }

    /// `None`: a value that does not go where it should.
    pub(super) fn request(&self, filling: &Filling<'_>) -> Option<Request<Full<Bytes>>> {
        let url = String::from_utf8(self.url.fill(filling, Escape::Form)?).ok()?;
        let mut request = Request::builder().method(&self.method).uri(url);
        for (name, value) in &self.headers {
            let mut value = HeaderValue::from_bytes(&value.fill(filling, Escape::None)?).ok()?;
            value.set_sensitive(true);
            request = request.header(name, value);
        }
        request.body(Full::new(self.body.fill(filling, self.escape)?.into())).ok()
    }
}

/// What stands in the holes for one message.
pub(super) struct Filling<'a> {
    pub(super) to: &'a Phone,
    pub(super) message: &'a Message,
    pub(super) name: &'a str,
    pub(super) variables: &'a Variables,
}

impl Values for Filling<'_> {
    fn value(&self, name: &str) -> Option<Vec<u8>> {
        let Message { udh, data, .. } = self.message;
        let hex = |octets: &[u8]| octets.iter().map(|octet| format!("{octet:02x}")).collect::<String>();
        Some(match name {
            "to" => self.to.as_str().as_bytes().to_vec(),
            "to_digits" => self.to.digits().as_bytes().to_vec(),
            "text" | "octets" => data.clone(),
            "octets_hex" => hex(data).into_bytes(),
            "octets_base64" => STANDARD.encode(data).into_bytes(),
            "udh_hex" => hex(udh).into_bytes(),
            "udh_percent" => percent_encoded(udh, &[]).into_bytes(),
            "ref" => self.name.as_bytes().to_vec(),
            name => self.variables.0.get(name.strip_prefix("var.")?)?.as_bytes().to_vec(),
        })
    }
}

/// The holes that are filled for every message, beside the variables.
pub(super) const NAMES: [&str; 9] =
    ["to", "to_digits", "text", "octets", "octets_hex", "octets_base64", "udh_hex", "udh_percent", "ref"];
