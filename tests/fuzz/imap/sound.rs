//! What may stand on IMAP's wire, said in a way of its own.

use imap_proto::{AttributeValue, Response};
use sidekey_imap::response::{Attribute, Message, Policy, Responses, Verdict};
use sidekey_imap::scanner::{Limits, Side};

/// That outside literals there is no CR, LF or NUL but the ends of lines.
pub(super) fn is_clean(side: Side, octets: &[u8]) -> bool {
    let (mut rest, mut begins) = (octets, true);
    while let Some(end) = rest.windows(2).position(|pair| pair == b"\r\n") {
        let line = &rest[..end];
        if line.iter().any(|octet| matches!(octet, b'\r' | b'\n' | 0)) {
            return false;
        }
        rest = &rest[end + 2..];
        let is_text = begins && side == Side::Server && is_text(line);
        let size = announced(line).filter(|_| !is_text);
        begins = size.is_none();
        rest = &rest[size.unwrap_or(0).min(rest.len())..];
    }
    !rest.iter().any(|octet| matches!(octet, b'\r' | b'\n' | 0))
}

/// Whether a response's line is for people: whatever it ends with announces nothing.
fn is_text(line: &[u8]) -> bool {
    let mut words = line.split(|octet| *octet == b' ');
    let (tag, name) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
    let statuses: [&[u8]; 5] = [b"OK", b"NO", b"BAD", b"BYE", b"PREAUTH"];
    tag == b"+" || statuses.iter().any(|status| name.eq_ignore_ascii_case(status))
}

/// Octets of the literal that a line ends with.
fn announced(line: &[u8]) -> Option<usize> {
    let inner = line.strip_suffix(b"}")?;
    let digits = &inner[inner.iter().rposition(|octet| *octet == b'{')? + 1..];
    let digits = digits.strip_suffix(b"+").unwrap_or(digits);
    std::str::from_utf8(digits).ok().filter(|digits| digits.bytes().all(|c| c.is_ascii_digit()))?.parse().ok()
}

/// What another parser reads in these octets; `None` when it cannot read them all.
pub(super) fn theirs(octets: &[u8]) -> Option<Vec<Response<'_>>> {
    // It calls itself for each list within a list, and splits text that is not ASCII in the midst of a letter.
    let is_foreign = |line: &[u8]| is_text(line) && !line.is_ascii();
    if count(octets, b"(") > 100 || octets.split(|octet| *octet == b'\n').any(is_foreign) {
        return None;
    }
    let (mut rest, mut responses) = (octets, Vec::new());
    while !rest.is_empty() {
        let (after, response) = Response::parse(rest).ok()?;
        rest = after;
        responses.push(response);
    }
    Some(responses)
}

/// The octets of messages that another parser finds in these, and what it calls the section.
pub(super) fn contents(octets: &[u8]) -> Vec<(String, Vec<u8>)> {
    let responses = theirs(octets).unwrap_or_default();
    let attributes = responses.iter().filter_map(|response| match response {
        Response::Fetch(_, attributes) => Some(attributes),
        _ => None,
    });
    attributes.flatten().flat_map(content).collect()
}

fn content(attribute: &AttributeValue<'_>) -> Vec<(String, Vec<u8>)> {
    let of = |name: &str, data: Option<&[u8]>| {
        data.map(|data| (name.to_owned(), data.to_vec())).into_iter().collect()
    };
    match attribute {
        AttributeValue::BodySection { section, data, .. } => of(&format!("{section:?}"), data.as_deref()),
        AttributeValue::Rfc822(data) => of("None", data.as_deref()),
        AttributeValue::Rfc822Header(data) => of("Some(Full(Header))", data.as_deref()),
        AttributeValue::Rfc822Text(data) => of("Some(Full(Text))", data.as_deref()),
        AttributeValue::Envelope(envelope) => of("ENVELOPE", envelope.subject.as_deref()),
        _ => Vec::new(),
    }
}

/// That our own reader reads them, as far as they came.
pub(super) fn reads_as_responses(octets: &[u8]) {
    let (mut responses, mut input) = (Responses::new(Limits::SERVER), octets);
    loop {
        match responses.next(&mut input, &mut Everything) {
            Ok(Some(_)) => {}
            Ok(None) => return,
            Err(unreadable) => panic!("{unreadable}: {}", octets.escape_ascii()),
        }
    }
}

/// All passes.
struct Everything;

impl Policy for Everything {
    fn data(&mut self, _: Option<u32>, _: &str) -> Verdict {
        Verdict::Pass
    }

    fn item(&mut self, _: &Message, _: &Attribute) -> Verdict {
        Verdict::Pass
    }
}

/// How often some octets stand in others.
pub(super) fn count(octets: &[u8], wanted: &[u8]) -> usize {
    octets.windows(wanted.len()).filter(|window| *window == wanted).count()
}
