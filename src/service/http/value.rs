//! Values of headers that every answer has: written where they stand, and copied once.

use std::fmt::Arguments;
use std::io::Write as _;

use http::HeaderValue;

/// Octets of the longest.
const SIZE_MAX: usize = 96;

/// The header value that `text` says: visible ASCII, of at most [`SIZE_MAX`] octets.
pub(super) fn value(text: Arguments<'_>) -> HeaderValue {
    let mut buffer = [0; SIZE_MAX];
    let mut rest = &mut buffer[..];
    rest.write_fmt(text).expect("what our headers say is short");
    let size = SIZE_MAX - rest.len();
    HeaderValue::from_bytes(&buffer[..size]).expect("what our headers say is visible ASCII")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_says_what_it_was_told_to() {
        assert_eq!(value(format_args!("\"{}\";q={}", "read", 7)), "\"read\";q=7");
        let longest = "x".repeat(SIZE_MAX);
        assert_eq!(value(format_args!("{longest}")), *longest);
    }
}
