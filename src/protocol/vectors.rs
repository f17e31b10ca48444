//! What the tests of several steps need to hold their code against `proto/*/vectors.json`.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::fmt::Debug;

use rand_core::{TryCryptoRng, TryRng};
use serde_json::Value;

/// Randomness as it was recorded in a vector; more is a failure.
pub(crate) struct Recorded(VecDeque<u8>);

impl Recorded {
    pub(crate) fn new(parts: &[&[u8]]) -> Self {
        Self(parts.concat().into())
    }
}

impl TryRng for Recorded {
    type Error = Infallible;

    fn try_next_u32(&mut self) -> Result<u32, Infallible> {
        unreachable!("only octets were recorded")
    }

    fn try_next_u64(&mut self) -> Result<u64, Infallible> {
        unreachable!("only octets were recorded")
    }

    fn try_fill_bytes(&mut self, out: &mut [u8]) -> Result<(), Infallible> {
        out.fill_with(|| self.0.pop_front().expect("no more randomness was recorded"));
        Ok(())
    }
}

impl TryCryptoRng for Recorded {}

/// A session and its like, or a revocation and its: the file's content.
pub(crate) fn load(text: &str) -> Value {
    serde_json::from_str(text).unwrap()
}

pub(crate) fn cases<'a>(vectors: &'a Value, of: &str) -> &'a [Value] {
    let cases = vectors[of].as_array().unwrap();
    assert!(!cases.is_empty(), "{of}");
    cases
}

pub(crate) fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_else(|| panic!("a text, not {value}"))
}

pub(crate) fn texts(value: &Value) -> Vec<String> {
    serde_json::from_value(value.clone()).unwrap()
}

pub(crate) fn number(value: &Value) -> u32 {
    value.as_u64().unwrap().try_into().unwrap()
}

pub(crate) fn octets(value: &Value) -> Vec<u8> {
    base16ct::lower::decode_vec(text(value)).unwrap()
}

pub(crate) fn array<const N: usize>(value: &Value) -> [u8; N] {
    octets(value).try_into().unwrap()
}

/// Holds a result against a case: the same refusal by name, or none.
pub(crate) fn outcome<T: Debug, E: Debug>(case: &Value, result: Result<T, E>) -> Option<T> {
    match (case["refused"].as_str(), result) {
        (None, Ok(value)) => Some(value),
        (Some(reason), Err(reject)) => {
            assert_eq!(snake_case(&format!("{reject:?}")), reason, "{case}");
            None
        }
        (_, result) => panic!("{result:?} for {case}"),
    }
}

fn snake_case(name: &str) -> String {
    let mut snake = String::new();
    for (i, letter) in name.char_indices() {
        if letter.is_ascii_uppercase() && i > 0 {
            snake.push('_');
        }
        snake.push(letter.to_ascii_lowercase());
    }
    snake
}

/// Changes each octet of a compact serialisation in several ways, and holds each refusal against those that the
/// octet's part allows. A dot may become anything, and anything a dot: then the parts are wrong in number.
pub(crate) fn flip_each<E: Copy + Debug + PartialEq>(
    compact: &str,
    wrong_parts: E,
    allowed: &[&[E]],
    read: impl Fn(&str) -> Result<(), E>,
) {
    assert_eq!(compact.split('.').count(), allowed.len());
    let mut part = 0;
    for (i, octet) in compact.bytes().enumerate() {
        for other in [octet ^ 1, octet ^ 2, if octet == b'A' { b'B' } else { b'A' }, b'.', b'='] {
            if other == octet {
                continue;
            }
            let mut flipped = compact.to_owned().into_bytes();
            flipped[i] = other;
            let reject = read(std::str::from_utf8(&flipped).unwrap()).expect_err("a flip was accepted");
            let expected = if octet == b'.' || other == b'.' {
                reject == wrong_parts
            } else {
                allowed[part].contains(&reject)
            };
            assert!(expected, "octet {i} in part {part}, {octet} to {other}: {reject:?}");
        }
        part += usize::from(octet == b'.');
    }
}
