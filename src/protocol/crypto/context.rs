//! `lp`: fields that cannot run into one another.

use super::labels::Label;

/// `lp(label, a, b, …)`: each field preceded by its length as u32 big-endian, the label first (proto/README.md).
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Context(Vec<u8>);

impl Context {
    /// The label and its fields.
    ///
    /// # Panics
    /// When a field is longer than `u32::MAX` octets, which no caller's limits allow.
    #[must_use]
    pub fn of(label: Label, fields: &[&[u8]]) -> Self {
        let size = 4 + label.text().len() + fields.iter().map(|field| 4 + field.len()).sum::<usize>();
        let mut bytes = Vec::with_capacity(size);
        push(&mut bytes, label.text().as_bytes());
        for field in fields {
            push(&mut bytes, field);
        }
        Self(bytes)
    }
}

impl AsRef<[u8]> for Context {
    fn as_ref(&self) -> &[u8] {
        &self.0
    }
}

fn push(bytes: &mut Vec<u8>, field: &[u8]) {
    let length = u32::try_from(field.len()).expect("fields are bounded far below 4 GiB");
    bytes.extend_from_slice(&length.to_be_bytes());
    bytes.extend_from_slice(field);
}

#[cfg(test)]
mod tests {
    use super::super::labels;
    use super::*;

    #[test]
    fn fields_cannot_run_into_one_another() {
        let a = Context::of(labels::SESSION, &[b"ab", b"c"]);
        let b = Context::of(labels::SESSION, &[b"a", b"bc"]);
        assert_ne!(a, b);
        assert_eq!(a.as_ref(), b"\x00\x00\x00\x11sidekey/1 session\x00\x00\x00\x02ab\x00\x00\x00\x01c");
        assert_eq!(a.0.capacity(), a.0.len(), "made at once");
    }
}
