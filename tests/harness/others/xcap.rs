//! An XCAP server that keeps strictly to RFC 4825, in what Kamailio's never says: 201, 409 with its bodies, `If-Match: *`.

use std::collections::BTreeMap;
use std::sync::Mutex;

use super::server::{Say, Seen};

/// Documents, kept in memory.
#[derive(Debug, Default)]
pub struct Xcap {
    kept: Mutex<Kept>,
    /// Its schema allows one envelope.
    of_one: bool,
}

/// Documents by path, each with its entity tag.
#[derive(Debug, Default)]
struct Kept {
    tags: u32,
    documents: BTreeMap<String, (String, Vec<u8>)>,
}

impl Kept {
    fn keep(&mut self, path: &str, body: &[u8]) -> String {
        self.tags += 1;
        let tag = format!("\"{}\"", self.tags);
        self.documents.insert(path.to_owned(), (tag.clone(), body.to_vec()));
        tag
    }
}

impl Xcap {
    /// That takes documents of one envelope alone.
    #[must_use]
    pub fn of_one() -> Self {
        Self { of_one: true, ..Self::default() }
    }

    /// What it answers.
    pub fn answer(&self, seen: &Seen) -> Say {
        let mut kept = self.kept.lock().unwrap();
        let there = kept.documents.get(&seen.path).cloned();
        if let Some(refused) = precondition(seen, there.as_ref().map(|(tag, _)| tag.as_str())) {
            return refused;
        }
        match (seen.method.as_str(), there) {
            ("GET", Some((tag, body))) => Say::Answer(200, vec![("etag", tag)], body),
            ("GET" | "DELETE", None) => Say::status(404),
            ("DELETE", Some(_)) => {
                kept.documents.remove(&seen.path);
                Say::status(200)
            }
            ("PUT", there) => {
                if let Some(conflict) = conflict(seen, self.of_one) {
                    return conflict;
                }
                let tag = kept.keep(&seen.path, &seen.body);
                Say::Answer(if there.is_some() { 200 } else { 201 }, vec![("etag", tag)], Vec::new())
            }
            _ => Say::Answer(405, vec![("allow", "GET, PUT, DELETE".to_owned())], Vec::new()),
        }
    }

    /// Somebody else writes.
    pub fn overwrite(&self, path: &str) {
        self.kept.lock().unwrap().keep(path, b"<other/>");
    }

    /// What is kept there.
    #[must_use]
    pub fn document(&self, path: &str) -> Option<String> {
        let kept = self.kept.lock().unwrap();
        kept.documents.get(path).map(|(_, body)| String::from_utf8(body.clone()).unwrap())
    }
}

/// RFC 4825, section 7.11, and RFC 9110, section 13.
fn precondition(seen: &Seen, there: Option<&str>) -> Option<Say> {
    let holds = |condition: &str| there.is_some_and(|tag| condition == "*" || condition == tag);
    let failed = seen.headers.get("if-match").is_some_and(|condition| !holds(condition))
        || seen.headers.get("if-none-match").is_some_and(|condition| holds(condition));
    failed.then(|| Say::status(412))
}

/// RFC 4825, sections 8.2.1 and 11.
fn conflict(seen: &Seen, of_one: bool) -> Option<Say> {
    if seen.headers.get("content-type").map(String::as_str) != Some("application/vnd.sidekey.keys+xml") {
        return Some(Say::status(415));
    }
    let body = String::from_utf8_lossy(&seen.body);
    let error = match body.matches("<envelope").count() {
        _ if !body.starts_with("<?xml") => "<not-well-formed/>",
        2.. if of_one => r#"<schema-validation-error phrase="one envelope at most"/>"#,
        _ => return None,
    };
    let body = format!(
        r#"<?xml version="1.0" encoding="UTF-8"?><xcap-error xmlns="urn:ietf:params:xml:ns:xcap-error">{error}</xcap-error>"#
    );
    Some(Say::Answer(409, vec![("content-type", "application/xcap-error+xml".to_owned())], body.into_bytes()))
}
