//! Conditional requests (RFC 9110, section 13), by strong entity tags alone.

use http::header::{IF_MATCH, IF_NONE_MATCH};
use http::{HeaderMap, HeaderName, HeaderValue};

use super::problem::{Code, Problem};

/// The entity tag of what is named `text`: visible ASCII without double quotes.
pub(crate) fn tag(text: &str) -> HeaderValue {
    HeaderValue::try_from(format!("\"{text}\"")).expect("a tag is visible ASCII")
}

/// Whether the caller has what `tag` names already.
pub(crate) fn is_known(headers: &HeaderMap, tag: &HeaderValue) -> bool {
    // Weakly compared, as the RFC says of this header.
    tags(headers, &IF_NONE_MATCH).any(|known| known == "*" || known.trim_start_matches("W/") == *tag)
}

/// That the caller means what `tag` names, and no other state of it.
///
/// # Errors
/// 412; 428 when the caller does not say what it means.
pub(crate) fn is_meant(headers: &HeaderMap, tag: &HeaderValue) -> Result<(), Problem> {
    if !headers.contains_key(IF_MATCH) {
        return Err(Code::PreconditionRequired.into());
    }
    if tags(headers, &IF_MATCH).any(|meant| meant == "*" || meant == *tag) {
        Ok(())
    } else {
        Err(Code::PreconditionFailed.into())
    }
}

/// The members of a list of tags. (None of ours holds a comma.)
fn tags<'a>(headers: &'a HeaderMap, name: &'a HeaderName) -> impl Iterator<Item = &'a str> {
    let values = headers.get_all(name).iter().filter_map(|value| value.to_str().ok());
    values.flat_map(|value| value.split(',')).map(str::trim)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with(name: HeaderName, value: &'static str) -> HeaderMap {
        HeaderMap::from_iter([(name, HeaderValue::from_static(value))])
    }

    #[test]
    fn what_is_known_need_not_be_said_again() {
        for known in ["\"a\"", "\"x\", \"a\"", "W/\"a\"", "*"] {
            assert!(is_known(&with(IF_NONE_MATCH, known), &tag("a")), "{known}");
        }
        assert!(!is_known(&with(IF_NONE_MATCH, "a"), &tag("a")));
        assert!(!is_known(&HeaderMap::new(), &tag("a")));
    }

    #[test]
    fn a_change_says_what_it_changes() {
        let code = |headers: &HeaderMap| is_meant(headers, &tag("7")).map_err(|problem| problem.code);
        assert_eq!(code(&with(IF_MATCH, "\"7\"")), Ok(()));
        assert_eq!(code(&with(IF_MATCH, "*")), Ok(()));
        assert_eq!(code(&with(IF_MATCH, "W/\"7\"")), Err(Code::PreconditionFailed));
        assert_eq!(code(&with(IF_MATCH, "\"6\"")), Err(Code::PreconditionFailed));
        assert_eq!(code(&HeaderMap::new()), Err(Code::PreconditionRequired));
    }
}
