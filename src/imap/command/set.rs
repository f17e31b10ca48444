//! Sets of messages: `1:5,7,9:*` (RFC 3501, sequence-set).

use std::fmt;
use std::num::NonZeroU32;

use super::Refusal;

/// A number of a message, or the last one.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub enum Number {
    /// This one. The highest number is not the last message: `4294967295` is no `*`.
    At(NonZeroU32),
    /// `*`.
    Last,
}

/// From one number to another, the lower first.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub struct Range {
    from: Number,
    to: Number,
}

impl Range {
    /// Both ends included, in either order.
    #[must_use]
    pub fn new(one: Number, other: Number) -> Self {
        Self { from: one.min(other), to: one.max(other) }
    }

    /// The lower end.
    #[must_use]
    pub const fn from(&self) -> Number {
        self.from
    }

    /// The higher end.
    #[must_use]
    pub const fn to(&self) -> Number {
        self.to
    }
}

/// At least one range, in the order in which they were named.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub struct Set(Vec<Range>);

impl Set {
    /// These ranges; `None` without any.
    #[must_use]
    pub fn new(ranges: Vec<Range>) -> Option<Self> {
        (!ranges.is_empty()).then_some(Self(ranges))
    }

    /// # Errors
    /// [`Refusal::SetMalformed`].
    pub fn parse(text: &str) -> Result<Self, Refusal> {
        let ranges: Option<Vec<_>> = text
            .split(',')
            .map(|range| match range.split_once(':') {
                None => number(range).map(|at| Range::new(at, at)),
                Some((one, other)) => Some(Range::new(number(one)?, number(other)?)),
            })
            .collect();
        ranges.map(Self).ok_or(Refusal::SetMalformed)
    }

    /// Its ranges.
    #[must_use]
    pub fn ranges(&self) -> &[Range] {
        &self.0
    }
}

fn number(text: &str) -> Option<Number> {
    if text == "*" {
        return Some(Number::Last);
    }
    if text.starts_with('0') || !text.bytes().all(|octet| octet.is_ascii_digit()) {
        return None;
    }
    text.parse().ok().map(Number::At)
}

impl fmt::Display for Number {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::At(number) => number.fmt(f),
            Self::Last => f.write_str("*"),
        }
    }
}

impl fmt::Display for Range {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.from == self.to { self.from.fmt(f) } else { write!(f, "{}:{}", self.from, self.to) }
    }
}

impl fmt::Display for Set {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, range) in self.0.iter().enumerate() {
            let comma = if at == 0 { "" } else { "," };
            write!(f, "{comma}{range}")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sets_keep_their_meaning() {
        for (text, written) in
            [("1", "1"), ("1,5,3:2", "1,5,2:3"), ("*:4,7:7,*", "4:*,7,*"), ("7:4294967295", "7:4294967295")]
        {
            assert_eq!(Set::parse(text).unwrap().to_string(), written);
        }
        for text in
            ["", "0", "01", "1,", ",1", "1:", "1:2:3", "+1", "1 ", "4294967296", "**", "$", "-1", "0:*"]
        {
            assert_eq!(Set::parse(text), Err(Refusal::SetMalformed), "{text}");
        }
    }
}
