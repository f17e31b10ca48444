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
