//! What carriers hear: an XDMS, an SMSC, SMS gateways; and what clients hear of the service's events.

use std::sync::OnceLock;

use bytes::{Bytes, BytesMut};
use eventsource_stream::Eventsource as _;
use futures_util::{FutureExt as _, StreamExt as _, stream};
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use rand_chacha::ChaCha20Rng;
use rand_chacha::rand_core::SeedableRng as _;
use sidekey_carrier::sms::http::{Accepted, Gateway, IdFrom, Settings, Variables};
use sidekey_carrier::sms::smpp::fuzz as smpp;
use sidekey_carrier::xdms::Credentials;
use sidekey_carrier::xdms::fuzz as xdms;
use sidekey_carrier::{Ambient, ReceiptId, Refusal, Report, Roots, Trouble, Undelivered};
use sidekey_client::fuzz as client;
use sidekey_protocol::ids::Timestamp;

use crate::{choice, pieces};

const PASSWORD: &str = "what-only-we-know";

/// A 409's body, challenges, or a document.
pub fn xcap(octets: &[u8]) {
    let (which, octets) = choice(octets);
    match which % 3 {
        0 => conflict(octets),
        1 => challenge(octets),
        _ => document(octets),
    }
}

fn conflict(octets: &[u8]) {
    match xdms::conflict(octets) {
        Refusal::Conflict(conflict) => {
            let body = std::str::from_utf8(octets).expect("what is not text names nothing");
            assert!(body.contains(conflict.error) && body.contains("xcap-error"), "{conflict}");
            let printable = |letter: char| letter.is_ascii_graphic() || letter == ' ';
            assert!(conflict.phrase.len() <= 120 && conflict.phrase.chars().all(printable), "{conflict}");
            // Where an independent parser reads it, it reads the same.
            let Ok(document) = roxmltree::Document::parse(body) else { return };
            let first = document.root_element().first_element_child().expect("an error is an element");
            assert_eq!(first.tag_name().name(), conflict.error);
        }
        other => assert_eq!(other, Refusal::Status(409)),
    }
}

fn challenge(octets: &[u8]) {
    let lines = octets.split(|octet| *octet == b'\n').filter_map(|line| HeaderValue::from_bytes(line).ok());
    let asked: HeaderMap = lines.map(|line| (http::header::WWW_AUTHENTICATE, line)).collect();
    let credentials = Credentials::new("ann".to_owned(), PASSWORD.to_owned());
    let ambient = Ambient::new(|| Timestamp(1_700_000_000), ChaCha20Rng::seed_from_u64(1));
    let said = xdms::authorizations(&asked, &credentials, "/root/users/ann/keys", &ambient);
    let Some([Some(first), Some(second)]) = said else { return };
    for (value, count) in [(&first, "00000001"), (&second, "00000002")] {
        let text = value.to_str().expect("what is said is visible");
        assert!(value.is_sensitive() && text.starts_with("Digest ") && !text.contains(PASSWORD), "{text}");
        if let Some((_, after)) = text.split_once(" nc=") {
            assert!(after.starts_with(count), "{text}");
        }
    }
}

const NAMESPACE: &str = "urn:sidekey:params:xml:ns:keys";

/// Where an independent parser reads the document too, both find the same envelopes in it.
fn document(octets: &[u8]) {
    let ours = client::envelopes(octets);
    let fit = |envelope: &String| {
        let symbol = |octet: u8| octet.is_ascii_alphanumeric() || b"-_.".contains(&octet);
        envelope.bytes().all(symbol) && envelope.matches('.').count() == 4
    };
    assert!(ours.iter().flatten().all(fit));
    let Ok(text) = std::str::from_utf8(octets) else { return };
    let Ok(document) = roxmltree::Document::parse(text) else { return };
    let theirs = plain(&document);
    let theirs = theirs.map(|all| all.into_iter().filter(fit).collect::<Vec<_>>());
    match (ours, theirs) {
        (Ok(ours), theirs) => assert_eq!(Some(ours), theirs),
        // What our schema allows and we leave to nobody: entities, CDATA, instructions, elements in one tag.
        (Err(_), Some(_)) => {
            let odd = ["&", "<!", "<?", "/>"].iter().any(|odd| text.contains(odd));
            assert!(odd || text.matches("envelope").count() > 64, "{text}");
        }
        (Err(_), None) => {}
    }
}

/// The text in each envelope of a document as the schema has it.
fn plain(document: &roxmltree::Document<'_>) -> Option<Vec<String>> {
    let is = |node: &roxmltree::Node<'_, '_>, name: &str| node.has_tag_name((NAMESPACE, name));
    let root = document.root_element();
    let blank = |node: roxmltree::Node<'_, '_>| node.text().is_none_or(|text| text.trim().is_empty());
    let mut words = root.children().filter(roxmltree::Node::is_text);
    if !is(&root, "keys") || !words.all(blank) {
        return None;
    }
    let envelope = |node: roxmltree::Node<'_, '_>| {
        let whole = is(&node, "envelope") && !node.children().any(|child| child.is_element());
        let words = node.children().filter(roxmltree::Node::is_text).filter_map(|text| text.text());
        whole.then(|| words.collect::<String>().trim().to_owned())
    };
    root.children().filter(roxmltree::Node::is_element).map(envelope).collect()
}

/// PDUs are the same however they are cut; what is read is written so that it is read as the same.
pub fn pdus(octets: &[u8]) {
    let (seed, octets) = choice(octets);
    let whole = taken(std::iter::once(octets));
    let cut = taken(pieces(seed, octets));
    assert_eq!(whole, cut);
}

/// What each PDU was, and whether the stream was given up.
fn taken<'a>(pieces: impl Iterator<Item = &'a [u8]>) -> (Vec<(u32, u32, u32, Option<Vec<u8>>)>, bool) {
    let (mut buffer, mut found) = (BytesMut::new(), Vec::new());
    for piece in pieces {
        buffer.extend_from_slice(piece);
        loop {
            match smpp::take(&mut buffer) {
                Ok(Some(taken)) => found.push(whole(taken)),
                Ok(None) => break,
                Err(trouble) => {
                    assert_eq!(trouble, Trouble::Unintelligible);
                    return (found, true);
                }
            }
        }
        assert!(buffer.capacity() <= 64 * 1024, "{} octets are held", buffer.capacity());
    }
    (found, false)
}

fn whole(taken: smpp::Taken) -> (u32, u32, u32, Option<Vec<u8>>) {
    if let Some(report) = &taken.report {
        named(report);
    }
    let head = (taken.id, taken.status, taken.sequence);
    if let Some(written) = &taken.written {
        let mut buffer = BytesMut::from(&written[..]);
        let again = smpp::take(&mut buffer).expect("what we write has a length").expect("it is whole");
        assert!(buffer.is_empty());
        assert_eq!((again.id, again.status, again.sequence), head);
        assert_eq!(again.written.as_ref(), Some(written));
        assert_eq!(again.report, taken.report);
    }
    (head.0, head.1, head.2, taken.written)
}

fn named(report: &Report) {
    visible(&report.id);
    assert!(!report.id.as_str().is_empty());
}

fn visible(id: &ReceiptId) {
    let text = id.as_str();
    assert!(text.len() <= 128 && text.bytes().all(|octet| octet.is_ascii_graphic()), "{text:?}");
}

/// An answer of an SMS gateway, or a report of one: a status, headers, and a body.
pub fn gateways(octets: &[u8]) {
    let (which, octets) = choice(octets);
    if which >= 128 {
        return report(octets);
    }
    let (settings, gateway) = &settings()[usize::from(which) % 4];
    let mut parts = octets.splitn(2, |octet| *octet == 0);
    let (head, body) = (parts.next().unwrap_or_default(), parts.next().unwrap_or_default());
    let mut lines = head.split(|octet| *octet == b'\n');
    let status = lines.next().and_then(|line| StatusCode::from_bytes(line).ok());
    let Some(status) = status else { return };
    let header = |line: &[u8]| {
        let at = line.iter().position(|octet| *octet == b':')?;
        let name = HeaderName::from_bytes(&line[..at]).ok()?;
        Some((name, HeaderValue::from_bytes(line[at + 1..].trim_ascii()).ok()?))
    };
    let headers = lines.filter_map(header).collect();
    let answer = (status, headers, Bytes::copy_from_slice(body));
    let outcome = sidekey_carrier::sms::http::fuzz::outcome(gateway, answer, "ours");
    let Accepted { statuses, body_begins } = &settings.accepted;
    let accepted = statuses.contains(&status.as_u16());
    match outcome {
        Ok(id) => {
            visible(&id);
            assert!(accepted && body.starts_with(body_begins.as_bytes()));
        }
        Err(Undelivered::Refused(refusal)) => assert_eq!(refusal, Refusal::Status(status.as_u16().into())),
        Err(Undelivered::Retry { after, .. }) => {
            assert!(!accepted && (1..=86_400).contains(&after.as_secs()) && after.subsec_nanos() == 0);
        }
    }
}

/// Gateways that say what they took in each of the ways that there are.
fn settings() -> &'static [(Settings, Gateway); 4] {
    static SETTINGS: OnceLock<[(Settings, Gateway); 4]> = OnceLock::new();
    SETTINGS.get_or_init(|| {
        let ids = [
            IdFrom::Ref,
            IdFrom::Header("X-Id".to_owned()),
            IdFrom::Json("/messages/0/id".to_owned()),
            IdFrom::After("id: ".to_owned()),
        ];
        ids.map(|id| {
            let mut settings = Settings::kannel("http://127.0.0.1:1/send", "http://127.0.0.1:2/r", None);
            if id != IdFrom::Ref {
                settings.accepted = Accepted { statuses: vec![200, 503], body_begins: "{".to_owned() };
                settings.refused = vec![500, 429];
            }
            settings.id = id;
            let named = ["username", "password", "sender"].map(|name| (name.to_owned(), name.to_owned()));
            let ambient = Ambient::new(|| Timestamp(1_700_000_000), ChaCha20Rng::seed_from_u64(1));
            let variables = Variables::from_iter(named);
            let gateway = Gateway::new(settings.clone(), variables, &Roots::Native, ambient);
            (settings, gateway.expect("Kannel's settings are right"))
        })
    })
}

/// A report in a query, in a form, or as JSON. Where we read it, everybody does.
fn report(octets: &[u8]) {
    let mut parts = octets.splitn(2, |octet| *octet == 0);
    let query = std::str::from_utf8(parts.next().unwrap_or_default()).unwrap_or_default();
    let body = parts.next().unwrap_or_default();
    let mut callback = settings()[0].0.callback.clone().expect("Kannel reports");
    if let Some(report) = callback.read(query, body) {
        named(&report);
        let form = std::str::from_utf8(body).unwrap_or_default();
        let pairs = [query, form].map(|text| form_urlencoded::parse(text.as_bytes()));
        let ids = pairs.into_iter().flatten().filter(|(name, _)| name == "ref");
        assert!(ids.into_iter().any(|(_, id)| ReceiptId::new(&id) == report.id));
    }
    callback.id = "/messages/0/id".to_owned();
    callback.state = "/messages/0/state".to_owned();
    if let Some(report) = callback.read(query, body) {
        named(&report);
        assert!(serde_json::from_slice::<serde_json::Value>(body).is_ok());
    }
}

/// Events are the same however they come, and the same as an independent parser hears.
pub fn events(octets: &[u8]) {
    let (seed, octets) = choice(octets);
    // Long streams too: several times the same.
    let stream = octets.repeat(1 + usize::from(seed >> 6) * 4);
    let whole = client::events(std::iter::once(&stream[..]));
    let cut = client::events(pieces(seed, &stream));
    assert_eq!(cut.given_up, whole.given_up);
    if !whole.given_up {
        assert_eq!(whole, cut);
        compare(&stream, &whole.messages);
    }
    for (event, data) in &cut.messages {
        assert!(event.len() <= 16 * 1024 && data.len() <= 16 * 1024 && !data.is_empty());
    }
    let plain = |id: &String| id.len() <= 64 && id.bytes().all(|octet| octet.is_ascii_graphic());
    assert!(cut.last_id.iter().all(plain));
}

/// Lines that end in CR alone, and lines of data that are empty, are none of our service's.
fn compare(stream: &[u8], ours: &[(String, String)]) {
    let Ok(text) = std::str::from_utf8(stream) else { return };
    let bare = text.replace("\r\n", "\n");
    let empty = |line: &str| matches!(line, "data" | "data:" | "data: ");
    if bare.contains('\r') || text.starts_with('\u{feff}') || bare.split('\n').any(empty) {
        return;
    }
    let octets = stream::iter([Ok::<_, std::convert::Infallible>(text.as_bytes())]);
    let heard = octets.eventsource().map(|event| event.expect("nothing breaks"));
    let theirs: Vec<_> = heard.collect().now_or_never().expect("it is all there");
    let theirs = theirs.into_iter().map(|event| (event.event, event.data));
    let named = |(event, data): &(String, String)| {
        let event = if event.is_empty() { "message" } else { event };
        (event.to_owned(), data.clone())
    };
    assert!(ours.iter().map(named).eq(theirs), "{text:?}: {ours:?}");
}
