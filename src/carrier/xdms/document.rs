//! The document (`proto/delivery/keys.xsd`).

use crate::payload::Document;

/// The namespace of its elements.
pub const NAMESPACE: &str = "urn:sidekey:params:xml:ns:keys";
/// Its media type, unless an XDMS wants another.
pub const MEDIA_TYPE: &str = "application/vnd.sidekey.keys+xml";

/// A document as it is sent. Nothing in it needs escaping: ids, numbers, and symbols of base64url.
#[must_use]
pub fn written(document: &Document) -> String {
    let mut xml = format!("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<keys xmlns=\"{NAMESPACE}\">\n");
    for entry in document.entries() {
        let (session, generation) = (entry.session, entry.generation);
        xml += &format!(
            "<envelope session=\"{session}\" generation=\"{generation}\">{}</envelope>\n",
            entry.envelope
        );
    }
    xml + "</keys>\n"
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;
    use crate::payload::Entry;

    #[test]
    fn documents_are_those_of_the_vectors() {
        let vectors: Value =
            serde_json::from_str(include_str!("../../../proto/delivery/vectors.json")).unwrap();
        for case in vectors["documents"].as_array().unwrap() {
            let entry = |entry: &Value| Entry {
                session: entry["session"].as_str().unwrap().parse().unwrap(),
                generation: entry["generation"].as_u64().unwrap().try_into().unwrap(),
                envelope: entry["envelope"].as_str().unwrap().to_owned(),
            };
            let entries = case["entries"].as_array().unwrap().iter().map(entry).collect();
            assert_eq!(written(&Document::new(entries).unwrap()), case["xml"], "{}", case["name"]);
        }
    }
}
