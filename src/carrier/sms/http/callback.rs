//! What a gateway says about a message later, by a request to us.

use std::collections::BTreeMap;

use serde::Deserialize;

use crate::outcome::{Fate, ReceiptId, Report};

/// How to read a gateway's reports.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Callback {
    /// Where it says which message: a parameter of the query or of a form, or a JSON pointer (`/messages/0/id`).
    pub id: String,
    /// Where it says what became of it, likewise.
    pub state: String,
    /// What its words for that mean. Others mean that we do not know.
    pub states: BTreeMap<String, Fate>,
}

impl Callback {
    /// The report in a request: in its query, or in its body as a form or as JSON. `None`: there is none in it.
    #[must_use]
    pub fn read(&self, query: &str, body: &[u8]) -> Option<Report> {
        if body.len() > BODY_MAX || query.len() > BODY_MAX {
            return None;
        }
        let (id, state) = if self.id.starts_with('/') {
            let body = serde_json::from_slice(body).ok()?;
            (pointed(&body, &self.id)?, pointed(&body, &self.state)?)
        } else {
            let form = std::str::from_utf8(body).unwrap_or_default();
            let named = |name: &str| parameter(query, name).or_else(|| parameter(form, name));
            (named(&self.id)?, named(&self.state)?)
        };
        let id = ReceiptId::new(&id);
        let fate = self.states.get(&state).copied().unwrap_or(Fate::Unknown);
        (!id.as_str().is_empty()).then_some(Report { id, fate })
    }
}

/// A word or a number in JSON.
pub(super) fn pointed(json: &serde_json::Value, pointer: &str) -> Option<String> {
    match json.pointer(pointer)? {
        serde_json::Value::String(text) => Some(text.clone()),
        serde_json::Value::Number(number) => Some(number.to_string()),
        _ => None,
    }
}

/// A parameter of a query or a form, decoded; the first of its name counts.
fn parameter(form: &str, name: &str) -> Option<String> {
    let value = form.split('&').filter_map(|pair| pair.split_once('=')).find(|pair| pair.0 == name)?.1;
    let mut octets = Vec::with_capacity(value.len());
    let mut rest = value.bytes();
    while let Some(byte) = rest.next() {
        octets.push(match byte {
            b'+' => b' ',
            b'%' => hex(rest.next()?)? << 4 | hex(rest.next()?)?,
            byte => byte,
        });
    }
    String::from_utf8(octets).ok()
}

fn hex(digit: u8) -> Option<u8> {
    char::from(digit).to_digit(16).and_then(|digit| u8::try_from(digit).ok())
}

const BODY_MAX: usize = 16 * 1024;

#[cfg(test)]
mod tests {
    use super::*;

    fn callback(id: &str, state: &str) -> Callback {
        let states = [("1".to_owned(), Fate::Delivered), ("2".to_owned(), Fate::Undeliverable)].into();
        Callback { id: id.to_owned(), state: state.to_owned(), states }
    }

    fn read(callback: &Callback, query: &str, body: &[u8]) -> Option<(String, Fate)> {
        callback.read(query, body).map(|report| (report.id.as_str().to_owned(), report.fate))
    }

    #[test]
    fn a_report_is_read_from_query_form_and_json() {
        let named = callback("ref", "d");
        assert_eq!(read(&named, "ref=a%2Db&d=1", b""), Some(("a-b".into(), Fate::Delivered)));
        assert_eq!(read(&named, "", b"d=2&ref=x"), Some(("x".into(), Fate::Undeliverable)));
        let pointed = callback("/m/0/id", "/m/0/s");
        assert_eq!(read(&pointed, "", br#"{"m":[{"id":7,"s":"1"}]}"#), Some(("7".into(), Fate::Delivered)));
    }

    #[test]
    fn what_makes_no_sense_reports_nothing() {
        let named = callback("ref", "d");
        for query in ["", "ref=&d=1", "ref=a", "d=1", "ref=%&d=1", "ref=%zz&d=1", "ref=%ff&d=1", "ref"] {
            assert_eq!(read(&named, query, b""), None, "{query}");
        }
        assert_eq!(read(&named, "ref=a&d=9", b""), Some(("a".into(), Fate::Unknown)));
        let pointed = callback("/id", "/s");
        for body in [&b""[..], b"[", b"{}", br#"{"id":{},"s":"1"}"#, &[b'['; 16_000]] {
            assert_eq!(read(&pointed, "", body), None);
        }
    }
}
