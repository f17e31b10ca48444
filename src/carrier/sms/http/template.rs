//! Text with holes: `${name}`, and `$$` for a dollar sign.

use std::fmt;

use super::Misconfigured;
use crate::web::percent_encoded;

/// How values are written where a template stands, so that none of them can end its place.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Escape {
    /// As they are: for a body that is a value and nothing else.
    #[default]
    None,
    /// As `application/x-www-form-urlencoded`, and as a URL's query.
    Form,
    /// Within a string of JSON.
    Json,
}

/// What stands in a hole.
pub(super) trait Values {
    fn value(&self, name: &str) -> Option<Vec<u8>>;
}

/// A template whose holes are known.
pub(super) struct Template {
    pieces: Vec<Piece>,
}

enum Piece {
    Text(String),
    Hole(String),
}

impl Template {
    /// Reads a template; `known` says which holes there are.
    pub(super) fn new(text: &str, known: impl Fn(&str) -> bool) -> Result<Self, Misconfigured> {
        let mut pieces = Vec::new();
        let mut rest = text;
        while let Some((before, after)) = rest.split_once('$') {
            pieces.push(Piece::Text(before.to_owned()));
            if let Some(after) = after.strip_prefix('$') {
                pieces.push(Piece::Text("$".to_owned()));
                rest = after;
                continue;
            }
            let hole = after.strip_prefix('{').and_then(|hole| hole.split_once('}'));
            let (name, after) = hole.ok_or_else(|| Misconfigured::Hole(after.chars().take(20).collect()))?;
            if !known(name) {
                return Err(Misconfigured::Hole(name.to_owned()));
            }
            pieces.push(Piece::Hole(name.to_owned()));
            rest = after;
        }
        pieces.push(Piece::Text(rest.to_owned()));
        Ok(Self { pieces })
    }

    /// Whether its first piece of text begins with an origin and a slash, so that no value can choose where it goes.
    pub(super) fn origin_is_fixed(&self) -> bool {
        let Some(Piece::Text(first)) = self.pieces.first() else { return false };
        first.split_once("://").is_some_and(|(_, rest)| rest.contains('/'))
    }

    /// With its holes filled; `None` where a value is missing.
    pub(super) fn fill(&self, values: &dyn Values, escape: Escape) -> Option<Vec<u8>> {
        let mut filled = Vec::new();
        for piece in &self.pieces {
            match piece {
                Piece::Text(text) => filled.extend_from_slice(text.as_bytes()),
                Piece::Hole(name) => filled.extend(escape.escaped(values.value(name)?)),
            }
        }
        Some(filled)
    }
}

impl Escape {
    fn escaped(self, value: Vec<u8>) -> Vec<u8> {
        match self {
            Self::None => value,
            Self::Form => percent_encoded(&value, &[]).into_bytes(),
            Self::Json => {
                let quoted = serde_json::Value::from(String::from_utf8_lossy(&value)).to_string();
                quoted.as_bytes()[1..quoted.len() - 1].to_vec()
            }
        }
    }
}

impl fmt::Debug for Template {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Template({} pieces)", self.pieces.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct One(&'static str);

    impl Values for One {
        fn value(&self, name: &str) -> Option<Vec<u8>> {
            (name == "text").then(|| self.0.as_bytes().to_vec())
        }
    }

    fn filled(template: &str, value: &'static str, escape: Escape) -> String {
        let template = Template::new(template, |name| name == "text").unwrap();
        String::from_utf8(template.fill(&One(value), escape).unwrap()).unwrap()
    }

    #[test]
    fn a_value_cannot_end_its_place() {
        assert_eq!(filled("a=${text}&b=1", "x&b=2 +%", Escape::Form), "a=x%26b%3D2%20%2B%25&b=1");
        assert_eq!(filled(r#"{"a":"${text}"}"#, "x\",\"b\":\"\n", Escape::Json), r#"{"a":"x\",\"b\":\"\n"}"#);
        assert_eq!(filled("cost: 1 $$", "", Escape::None), "cost: 1 $");
    }

    #[test]
    fn a_hole_that_nobody_fills_is_found_at_the_start() {
        for wrong in ["${pin}", "${text", "$text", "${}", "$"] {
            assert!(Template::new(wrong, |name| name == "text").is_err(), "{wrong}");
        }
    }

    #[test]
    fn no_value_chooses_where_a_request_goes() {
        let fixed = |text| Template::new(text, |_| true).unwrap().origin_is_fixed();
        assert!(fixed("https://sms.example.com/send?to=${to}"));
        for wrong in ["https://${to}/", "https://a${to}/", "${url}", "https://a"] {
            assert!(!fixed(wrong), "{wrong}");
        }
    }
}
