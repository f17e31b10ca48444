//! The document (`proto/delivery/keys.xsd`), as something that anybody may have written.

use quick_xml::events::Event;
use quick_xml::name::ResolveResult;
use quick_xml::reader::NsReader;

use crate::error::XdmsTrouble;

/// The envelopes in a document, in its order. What is not in its schema makes it no document at all; what is in an
/// envelope's place and cannot be one is left out.
pub(crate) fn envelopes(document: &[u8]) -> Result<Vec<String>, XdmsTrouble> {
    if document.len() > SIZE_MAX {
        return Err(XdmsTrouble::TooLarge);
    }
    let text = std::str::from_utf8(document).map_err(|_| XdmsTrouble::Document)?;
    let mut reader = NsReader::from_str(text);
    let (mut envelopes, mut within) = (Vec::new(), Vec::with_capacity(2));
    let mut current = String::new();
    let mut roots = 0;
    loop {
        let (namespace, event) = reader.read_resolved_event().map_err(|_| XdmsTrouble::Document)?;
        match event {
            Event::Start(element) => {
                let ours = matches!(namespace, ResolveResult::Bound(ref name) if name.as_ref() == NAMESPACE);
                let place = match (within.as_slice(), element.local_name().as_ref()) {
                    ([], "keys") => Place::Keys,
                    ([Place::Keys], "envelope") => Place::Envelope,
                    _ => return Err(XdmsTrouble::Document),
                };
                if !ours {
                    return Err(XdmsTrouble::Document);
                }
                roots += u8::from(place == Place::Keys);
                within.push(place);
            }
            Event::End(_) => {
                if within.pop() == Some(Place::Envelope) {
                    envelopes.push(std::mem::take(&mut current));
                }
            }
            Event::Text(octets) if within.last() == Some(&Place::Envelope) => current.push_str(&octets),
            Event::Text(octets) if octets.trim().is_empty() => {}
            Event::Comment(_) | Event::Decl(_) => {}
            Event::Eof => break,
            // A document type, an entity, CDATA, an instruction, an element without content: none of ours has one.
            _ => return Err(XdmsTrouble::Document),
        }
        if roots > 1 || envelopes.len() > ENVELOPES_MAX {
            return Err(XdmsTrouble::Document);
        }
    }
    if roots == 0 || !within.is_empty() {
        return Err(XdmsTrouble::Document);
    }
    envelopes.retain(|envelope| is_jwe(envelope.trim()));
    Ok(envelopes.into_iter().map(|envelope| envelope.trim().to_owned()).collect())
}

#[derive(Clone, Copy, Eq, PartialEq)]
enum Place {
    Keys,
    Envelope,
}

fn is_jwe(text: &str) -> bool {
    let symbol = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
    text.len() <= ENVELOPE_MAX && text.bytes().all(symbol) && text.matches('.').count() == 4
}

const NAMESPACE: &str = "urn:sidekey:params:xml:ns:keys";
/// Octets of the longest document.
pub(super) const SIZE_MAX: usize = 1024 * 1024;
const ENVELOPES_MAX: usize = 64;
const ENVELOPE_MAX: usize = 8192;

#[cfg(test)]
mod tests {
    use super::*;

    const OPEN: &str = r#"<keys xmlns="urn:sidekey:params:xml:ns:keys">"#;

    fn read(text: &str) -> Result<Vec<String>, XdmsTrouble> {
        envelopes(text.as_bytes())
    }

    #[test]
    fn envelopes_are_found_whatever_the_prefix_and_the_attributes_say() {
        let document = r#"<?xml version="1.0" encoding="UTF-8"?>
            <k:keys xmlns:k="urn:sidekey:params:xml:ns:keys"><!-- two -->
            <k:envelope session="0" generation="x">a.b.c.d.e</k:envelope>
            <k:envelope>
                f.g.h.i.j
            </k:envelope></k:keys>"#;
        assert_eq!(read(document).unwrap(), ["a.b.c.d.e", "f.g.h.i.j"]);
        assert_eq!(read(&format!("{OPEN}</keys>")).unwrap(), Vec::<String>::new());
    }

    #[test]
    fn what_cannot_be_an_envelope_is_left_out_and_the_others_stand() {
        for wrong in ["", "a.b.c", "a.b.c.d.ü", "a.b.c.d e", &"a.".repeat(5000)] {
            let document = format!("{OPEN}<envelope>{wrong}</envelope><envelope>a.b.c.d.e</envelope></keys>");
            assert_eq!(read(&document).unwrap(), ["a.b.c.d.e"], "{wrong:.20}");
        }
    }

    #[test]
    fn what_its_schema_does_not_have_is_no_document() {
        for wrong in [
            "",
            "not XML",
            "<keys></keys>",
            r#"<keys xmlns="urn:other"></keys>"#,
            r#"<list xmlns="urn:sidekey:params:xml:ns:keys"></list>"#,
            &format!("{OPEN}<envelope>a.b.c.d.e</envelope>"),
            &format!("{OPEN}<envelope><envelope>a.b.c.d.e</envelope></envelope></keys>"),
            &format!(r#"{OPEN}<envelope xmlns="urn:other">a.b.c.d.e</envelope></keys>"#),
            &format!("{OPEN}<envelope/></keys>"),
            &format!("{OPEN}<envelope><![CDATA[a.b.c.d.e]]></envelope></keys>"),
            &format!("{OPEN}words</keys>"),
            &format!("{OPEN}</keys>{OPEN}</keys>"),
            &format!("{OPEN}{}</keys>", "<envelope>a.b.c.d.e</envelope>".repeat(65)),
        ] {
            assert_eq!(read(wrong), Err(XdmsTrouble::Document), "{wrong:.80}");
        }
        assert_eq!(envelopes(&[0xff, 0xfe]), Err(XdmsTrouble::Document));
    }

    #[test]
    fn no_entity_is_expanded_and_no_document_type_read() {
        let bomb = r#"<!DOCTYPE keys [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;&a;&a;&a;&a;&a;">]>"#;
        assert_eq!(read(&format!("{bomb}{OPEN}<envelope>&b;</envelope></keys>")), Err(XdmsTrouble::Document));
        assert_eq!(read(&format!("{OPEN}<envelope>a&amp;b</envelope></keys>")), Err(XdmsTrouble::Document));
    }

    #[test]
    fn more_than_a_mebibyte_is_not_looked_at() {
        assert_eq!(envelopes(&vec![b' '; SIZE_MAX + 1]), Err(XdmsTrouble::TooLarge));
    }
}
