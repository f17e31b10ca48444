//! Text as mail carries it.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

/// RFC 2045, section 6.8: lines of 76 characters.
pub(super) fn base64(octets: &[u8]) -> String {
    let text = STANDARD.encode(octets);
    let lines = text.as_bytes().chunks(76).map(|line| std::str::from_utf8(line).unwrap());
    lines.flat_map(|line| [line, "\n"]).collect()
}

/// RFC 2045, section 6.7, in lines of 76 characters at most.
pub(super) fn quoted_printable(text: &str) -> String {
    let mut lines = String::new();
    for line in text.lines() {
        let mut length = 0;
        for octet in line.bytes() {
            let one = quoted(octet);
            if length + one.len() > 75 {
                lines += "=\n";
                length = 0;
            }
            length += one.len();
            lines += &one;
        }
        lines += "\n";
    }
    lines
}

/// An octet of quoted-printable text.
pub(super) fn quoted(octet: u8) -> String {
    match octet {
        b'=' | 0..b' ' | 0x7f.. => format!("={octet:02X}"),
        _ => char::from(octet).to_string(),
    }
}

/// RFC 2047, in `B`.
pub(super) fn word_b(text: &str) -> String {
    format!("=?UTF-8?B?{}?=", STANDARD.encode(text))
}

/// RFC 2047, in `Q`.
pub(super) fn word_q(text: &str) -> String {
    let quoted = text.bytes().map(|octet| match octet {
        b' ' => "_".to_owned(),
        b'?' | b'_' => format!("={octet:02X}"),
        _ => quoted(octet),
    });
    format!("=?utf-8?q?{}?=", quoted.collect::<String>())
}

/// The middle of what base64 makes of a text that begins `shift` octets into a group of three: what its neighbours in the
/// group have no part in.
pub(super) fn base64_within(text: &[u8], shift: usize) -> String {
    let encoded = STANDARD.encode([&[0; 3][..shift], text].concat());
    let (begin, end) = ((shift * 8).div_ceil(6), (shift + text.len()) * 8 / 6);
    encoded[begin..end].to_owned()
}
