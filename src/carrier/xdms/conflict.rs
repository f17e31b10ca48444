//! What an XDMS says with a 409 (RFC 4825, section 11).

use quick_xml::Reader;
use quick_xml::events::{BytesStart, Event};

use crate::outcome::{Conflict, Refusal};

/// The conflict that the body names; where it names none, the status alone.
pub(super) fn refusal(body: &[u8]) -> Refusal {
    read(body).map_or(Refusal::Status(409), Refusal::Conflict)
}

/// The first error within `xcap-error`. Entities are not expanded, a document type ends the reading, and so does
/// whatever is deeper or longer than such a body ever is.
fn read(body: &[u8]) -> Option<Conflict> {
    let body = std::str::from_utf8(body).ok().filter(|body| body.len() <= BODY_MAX)?;
    let mut reader = Reader::from_str(body);
    let mut inside = false;
    for _ in 0..EVENTS_MAX {
        match reader.read_event().ok()? {
            Event::Start(element) | Event::Empty(element) if inside => return conflict(&element),
            Event::Start(element) => {
                inside = element.local_name().as_ref() == "xcap-error";
                if !inside {
                    return None;
                }
            }
            Event::DocType(_) | Event::Empty(_) | Event::End(_) | Event::Eof => return None,
            _ => {}
        }
    }
    None
}

fn conflict(element: &BytesStart<'_>) -> Option<Conflict> {
    let name = element.local_name();
    let error = ERRORS.into_iter().find(|error| *error == name.as_ref())?;
    let said = element.try_get_attribute("phrase").ok().flatten();
    let phrase = said.map(|attribute| attribute.value.to_string()).unwrap_or_default();
    let printable = |letter: &char| letter.is_ascii_graphic() || *letter == ' ';
    Some(Conflict { error, phrase: phrase.chars().filter(printable).take(PHRASE_MAX).collect() })
}

/// All that the RFC has.
const ERRORS: [&str; 11] = [
    "cannot-delete",
    "cannot-insert",
    "constraint-failure",
    "extension",
    "no-parent",
    "not-utf-8",
    "not-well-formed",
    "not-xml-att-value",
    "not-xml-frag",
    "schema-validation-error",
    "uniqueness-failure",
];
const BODY_MAX: usize = 16 * 1024;
const EVENTS_MAX: usize = 16;
const PHRASE_MAX: usize = 120;

#[cfg(test)]
mod tests {
    use super::*;

    const HEAD: &str =
        r#"<?xml version="1.0" encoding="UTF-8"?><xcap-error xmlns="urn:ietf:params:xml:ns:xcap-error">"#;

    fn said(inner: &str) -> String {
        refusal(format!("{HEAD}{inner}</xcap-error>").as_bytes()).to_string()
    }

    #[test]
    fn a_conflict_says_what_it_is() {
        let schema = said(r#"<schema-validation-error phrase="no such element"/>"#);
        assert_eq!(schema, "the XDMS has a conflict: schema-validation-error (no such element)");
        let parent = said("<no-parent><ancestor>http://x/y</ancestor></no-parent>");
        assert_eq!(parent, "the XDMS has a conflict: no-parent");
        let prefixed =
            br#"<e:xcap-error xmlns:e="urn:ietf:params:xml:ns:xcap-error"><e:not-utf-8/></e:xcap-error>"#;
        assert!(matches!(refusal(prefixed), Refusal::Conflict(Conflict { error: "not-utf-8", .. })));
    }

    #[test]
    fn a_body_that_is_none_leaves_the_status() {
        let bomb = r#"<!DOCTYPE l [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;&a;&a;&a;&a;&a;&a;&a;">]>"#;
        let bomb = format!("{bomb}<xcap-error><not-well-formed phrase=\"&b;\"/></xcap-error>");
        let deep = "<a>".repeat(5000);
        let long = format!("{HEAD}{}<not-utf-8/></xcap-error>", " ".repeat(20_000));
        let html = "<html><body><h1>409 Conflict</h1></body></html>";
        for body in [
            "",
            "\u{0}",
            "<",
            "<xcap-error>",
            "<xcap-error/>",
            "<x><not-utf-8/></x>",
            html,
            &bomb,
            &deep,
            &long,
        ] {
            assert_eq!(refusal(body.as_bytes()), Refusal::Status(409), "{body:.60}");
        }
        assert_eq!(refusal(&[0xff, 0xfe]), Refusal::Status(409));
    }

    #[test]
    fn a_phrase_is_short_and_cannot_write_into_a_terminal() {
        let refusal = said(&format!("<extension phrase=\"\u{1b}[2J\n&lol;{}\"/>", "x".repeat(500)));
        assert!(refusal.len() < 200 && !refusal.contains(['\u{1b}', '\n']), "{refusal}");
    }
}
