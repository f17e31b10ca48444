//! W3C Trace Context: the trace that a request is part of, beside the id that names the request itself.

use std::fmt;

use http::{HeaderMap, HeaderName, HeaderValue};

use super::value::value;

const TRACEPARENT: HeaderName = HeaderName::from_static("traceparent");
/// The answer's counterpart, of the same form.
pub(super) const TRACERESPONSE: HeaderName = HeaderName::from_static("traceresponse");

/// Characters of version 00, and of what later versions begin with.
const SIZE: usize = 55;
/// The flags that we know: that the trace is sampled, and that its id is random.
const KNOWN_FLAGS: u8 = 3;

/// A trace, and the place of one request in it.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct Trace {
    id: u128,
    span: u64,
    flags: u8,
}

impl Trace {
    /// The caller's trace, where one valid `traceparent` names it; else the trace `fresh`. `span` names the request.
    pub(super) fn of(headers: &HeaderMap, fresh: u128, span: u64) -> Self {
        let mut named = headers.get_all(TRACEPARENT).iter();
        let named = match (named.next(), named.next()) {
            (Some(one), None) => one.to_str().ok().and_then(parse),
            _ => None,
        };
        let (id, flags) = named.unwrap_or((fresh.max(1), 0));
        Self { id, span: span.max(1), flags }
    }

    pub(super) fn header(self) -> HeaderValue {
        let Self { id, span, flags } = self;
        value(format_args!("00-{id:032x}-{span:016x}-{flags:02x}"))
    }
}

/// The trace's id.
impl fmt::Display for Trace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:032x}", self.id)
    }
}

/// The trace's id and flags.
fn parse(text: &str) -> Option<(u128, u8)> {
    let (known, more) = text.split_at_checked(SIZE)?;
    let parts: Vec<_> = known.split('-').collect();
    let [version, id, parent, flags] = parts[..] else { return None };
    if [version, id, parent, flags].map(str::len) != [2, 32, 16, 2] {
        return None;
    }
    let hex = |text: &str| text.bytes().all(|octet| matches!(octet, b'0'..=b'9' | b'a'..=b'f'));
    let whole = more.is_empty() || version != "00" && more.starts_with('-');
    if version == "ff" || !whole || ![version, id, parent, flags].into_iter().all(hex) {
        return None;
    }
    let id = u128::from_str_radix(id, 16).ok().filter(|id| *id != 0)?;
    u64::from_str_radix(parent, 16).ok().filter(|parent| *parent != 0)?;
    Some((id, u8::from_str_radix(flags, 16).ok()? & KNOWN_FLAGS))
}

#[cfg(test)]
mod tests {
    use super::*;

    const ID: &str = "4bf92f3577b34da6a3ce929d0e0e4736";

    fn answered(values: &[&str]) -> String {
        let headers = values.iter().map(|value| (TRACEPARENT, HeaderValue::from_str(value).unwrap()));
        let trace = Trace::of(&headers.collect(), 7, 9);
        trace.header().to_str().unwrap().to_owned()
    }

    #[test]
    fn a_trace_that_a_caller_names_goes_on() {
        for (flags, kept) in [("01", "01"), ("00", "00"), ("03", "03"), ("fd", "01")] {
            let named = format!("00-{ID}-00f067aa0ba902b7-{flags}");
            assert_eq!(answered(&[&named]), format!("00-{ID}-0000000000000009-{kept}"));
        }
        let later = format!("01-{ID}-00f067aa0ba902b7-01-what-comes-later");
        assert_eq!(answered(&[&later]), format!("00-{ID}-0000000000000009-01"));
    }

    #[test]
    fn what_names_no_trace_begins_one() {
        let fine = format!("00-{ID}-00f067aa0ba902b7-01");
        let zeros = "0".repeat(32);
        for bad in [
            String::new(),
            fine.to_uppercase(),
            fine[..54].to_owned(),
            format!("{fine}-"),
            format!("{fine}0"),
            format!("01{}x", &fine[2..]),
            format!("ff{}", &fine[2..]),
            fine.replace(ID, &zeros),
            fine.replace("00f067aa0ba902b7", &zeros[..16]),
            fine.replace('-', "_"),
            fine.replace("00f067aa0ba902b7", "00f067aa0ba902b+"),
            format!("00-{}-{}-{}-01", &ID[..16], &ID[16..31], "00f067aa0ba902b7"),
        ] {
            assert_eq!(answered(&[&bad]), format!("00-{:032x}-0000000000000009-00", 7), "{bad}");
        }
        assert_eq!(answered(&[&fine, &fine]), answered(&[]), "two are none");
    }
}
