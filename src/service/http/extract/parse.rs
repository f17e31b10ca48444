//! Bodies and queries, read: of one that is wrong, the faulty member is named.

use http::header::{CONTENT_ENCODING, CONTENT_TYPE};
use http::{HeaderMap, HeaderValue, Uri};
use serde::de::{DeserializeOwned, IgnoredAny};

use crate::http::problem::{Code, FieldFault, Problem};

pub(in crate::http) fn announced_as_json(headers: &HeaderMap) -> Result<(), Problem> {
    let mut types = headers.get_all(CONTENT_TYPE).iter();
    let json = matches!((types.next(), types.next()), (Some(one), None) if names_json(one));
    if json && !headers.contains_key(CONTENT_ENCODING) {
        Ok(())
    } else {
        Err(Code::MediaTypeUnsupported.into())
    }
}

/// `application/json`, with no parameter but `charset=utf-8`.
fn names_json(value: &HeaderValue) -> bool {
    let Ok(text) = value.to_str() else { return false };
    let mut parts = text.split(';').map(str::trim);
    let json = parts.next().is_some_and(|essence| essence.eq_ignore_ascii_case("application/json"));
    json && parts.all(|parameter| parameter.eq_ignore_ascii_case("charset=utf-8"))
}

/// One JSON object and nothing after it. A list would do for serde in an object's place.
pub(in crate::http) fn parse<T: DeserializeOwned>(body: &[u8]) -> Result<T, Problem> {
    if body.trim_ascii_start().first() == Some(&b'[') {
        return Err(Problem::field(Code::BodyInvalid, ".", FieldFault::Invalid));
    }
    let mut json = serde_json::Deserializer::from_slice(body);
    let value = serde_path_to_error::deserialize(&mut json).map_err(|error| {
        // Of a number where a word of a list should stand, serde_json says that it is no JSON. It is.
        if error.inner().is_data() || is_json(body) {
            let path = error.path().to_string();
            fault(Code::BodyInvalid, &path, &error.into_inner().to_string())
        } else {
            Code::BodyMalformed.into()
        }
    })?;
    json.end().map_err(|_| Problem::from(Code::BodyMalformed))?;
    Ok(value)
}

fn is_json(body: &[u8]) -> bool {
    std::str::from_utf8(body).is_ok_and(|text| serde_json::from_str::<IgnoredAny>(text).is_ok())
}

/// Tells from serde's message which member is meant and in what way. The message itself stays inside: it may quote
/// what the caller sent.
fn fault(code: Code, path: &str, message: &str) -> Problem {
    let kinds = [
        ("unknown field `", FieldFault::Unknown),
        ("missing field `", FieldFault::Missing),
        ("duplicate field `", FieldFault::Duplicate),
    ];
    let parent = if path == "." { "" } else { path };
    for (prefix, fault) in kinds {
        let Some(name) = message.strip_prefix(prefix).and_then(|rest| rest.split('`').next()) else {
            continue;
        };
        // For an unknown or a repeated member the path ends with it already; for a missing one it does not.
        let last = parent.rsplit('.').next().unwrap_or_default();
        let field = match parent {
            "" => name.to_owned(),
            _ if last == name && fault != FieldFault::Missing => parent.to_owned(),
            _ => format!("{parent}.{name}"),
        };
        return Problem::field(code, shortened(&field), fault);
    }
    Problem::field(code, shortened(path), FieldFault::Invalid)
}

/// A caller's own name for a member, so far as it helps; where it is none, the whole.
fn shortened(field: &str) -> String {
    let plain: String = field.chars().filter(|c| !c.is_control()).take(64).collect();
    if plain.is_empty() { ".".to_owned() } else { plain }
}

/// The parameters of a query, as it stands in a URI.
pub(in crate::http) fn query<T: DeserializeOwned>(text: &str) -> Result<T, Problem> {
    if !is_text(text) {
        return Err(Code::QueryInvalid.into());
    }
    let uri = Uri::try_from(format!("/?{text}")).map_err(|_| Code::QueryInvalid)?;
    let query = axum::extract::Query::<T>::try_from_uri(&uri);
    query.map(|query| query.0).map_err(|rejection| {
        let source = std::error::Error::source(&rejection).map(ToString::to_string).unwrap_or_default();
        // serde_path_to_error prints `name: message`, or the message alone.
        let (path, message) = match source.split_once(": ") {
            Some((path, message)) if !path.contains(' ') => (path, message),
            _ => (".", source.as_str()),
        };
        fault(Code::QueryInvalid, path, message)
    })
}

/// Whether what is percent-encoded is UTF-8: what reads queries puts a sign in the place of what is not, and would look for
/// that.
fn is_text(query: &str) -> bool {
    let mut rest = query.as_bytes();
    let mut octets = Vec::with_capacity(rest.len());
    while let Some((first, more)) = rest.split_first() {
        let digits = more.get(..2).filter(|_| *first == b'%').and_then(|two| std::str::from_utf8(two).ok());
        match digits.and_then(|digits| u8::from_str_radix(digits, 16).ok()) {
            Some(octet) => {
                octets.push(octet);
                rest = &more[2..];
            }
            None => {
                octets.push(*first);
                rest = more;
            }
        }
    }
    std::str::from_utf8(&octets).is_ok()
}

#[cfg(test)]
mod tests {
    use serde::Deserialize;

    use super::*;

    #[derive(Debug, Default, Deserialize, PartialEq)]
    #[serde(deny_unknown_fields)]
    struct Order {
        what: String,
        #[serde(default)]
        many: Option<u32>,
        #[serde(default)]
        kind: Option<Kind>,
        #[serde(default)]
        parts: Vec<Part>,
    }

    #[derive(Debug, Deserialize, PartialEq)]
    #[serde(rename_all = "lowercase")]
    enum Kind {
        One,
        Other,
    }

    #[derive(Debug, Default, Deserialize, PartialEq)]
    #[serde(deny_unknown_fields)]
    struct Part {
        id: u32,
    }

    fn refusal(body: &[u8]) -> Problem {
        parse::<Order>(body).unwrap_err()
    }

    #[test]
    fn a_member_that_is_wrong_is_named() {
        for (body, field, fault) in [
            (r#"{"what":"a","x":1}"#, "x", FieldFault::Unknown),
            (r#"{"what":"a","":1}"#, ".", FieldFault::Unknown),
            (r#"{"what":"a","\u0007":1}"#, ".", FieldFault::Unknown),
            (r#"{"many":1}"#, "what", FieldFault::Missing),
            (r#"{"what":"a","what":"b"}"#, "what", FieldFault::Duplicate),
            (r#"{"what":1}"#, "what", FieldFault::Invalid),
            (r#"{"what":"a","many":-1}"#, "many", FieldFault::Invalid),
            (r#"{"what":"a","many":1e400}"#, "many", FieldFault::Invalid),
            (r#"{"what":"a","kind":7}"#, "kind", FieldFault::Invalid),
            (r#"{"what":"a","kind":"both"}"#, "kind", FieldFault::Invalid),
            (r#"{"what":"a","many":9007199254740993}"#, "many", FieldFault::Invalid),
            (r#"{"what":"a","parts":[{"id":1},{"di":1}]}"#, "parts[1].di", FieldFault::Unknown),
            (r#"{"what":"a","parts":[{}]}"#, "parts[0].id", FieldFault::Missing),
            ("[]", ".", FieldFault::Invalid),
            (r#"["a",1,null,[]]"#, ".", FieldFault::Invalid),
            ("7", ".", FieldFault::Invalid),
        ] {
            assert_eq!(refusal(body.as_bytes()), Problem::field(Code::BodyInvalid, field, fault), "{body}");
        }
    }

    #[test]
    fn what_is_not_one_json_value_is_malformed() {
        let deep = "[".repeat(10_000);
        let deep_member = format!(r#"{{"what":"a","parts":{deep}"#);
        let bodies: [&[u8]; 8] = [
            b"",
            b"{",
            b"what=a",
            br#"{"what":"a"} {}"#,
            br#"{"what":"a"}]"#,
            b"{\"what\":\"\xff\"}",
            b"{\"what\":\"a\0\"}",
            b"{\"what\":1e400}",
        ];
        for body in bodies.into_iter().chain([deep.as_bytes(), deep_member.as_bytes()]) {
            let code = refusal(body).code;
            assert!(
                matches!(code, Code::BodyMalformed | Code::BodyInvalid),
                "{:?}",
                String::from_utf8_lossy(body)
            );
        }
        assert_eq!(refusal(b"").code, Code::BodyMalformed);
        assert_eq!(refusal(br#"{"what":"a"} {}"#).code, Code::BodyMalformed);
        assert_eq!(refusal(b"{\"what\":\"\xff\"}").code, Code::BodyMalformed);
    }

    #[test]
    fn a_query_is_text() {
        for (query, text) in
            [("", true), ("a=%c3%A9&b=%", true), ("a=é", true), ("a=%ff", false), ("%c3=%a9", false)]
        {
            assert_eq!(is_text(query), text, "{query}");
        }
    }

    #[test]
    fn json_is_announced_once_and_plainly() {
        for (value, json) in [
            ("application/json", true),
            ("Application/JSON; charset=UTF-8", true),
            ("application/json; profile=x", false),
            ("application/jsonx", false),
            ("text/plain", false),
            ("", false),
        ] {
            assert_eq!(names_json(&HeaderValue::from_static(value)), json, "{value}");
        }
    }
}
