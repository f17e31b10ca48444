//! What a server says that it can.

use std::fmt;

/// Octets of a list of capabilities.
const OCTETS_MAX: usize = 16 * 1024;

/// Capabilities in their order, each once in any case.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Capabilities(Vec<String>);

impl Capabilities {
    /// Names apart by spaces. `None` when one is no capability, or there are too many.
    #[must_use]
    pub fn read(text: &str) -> Option<Self> {
        let mut list = Self::default();
        if text.len() > OCTETS_MAX {
            return None;
        }
        for name in text.split(' ').filter(|name| !name.is_empty()) {
            if !name.bytes().all(|octet| octet.is_ascii_graphic() && !b"(){%*\"\\]".contains(&octet)) {
                return None;
            }
            list.add(name);
        }
        Some(list)
    }

    /// Whether it is among them.
    #[must_use]
    pub fn has(&self, name: &str) -> bool {
        self.0.iter().any(|known| known.eq_ignore_ascii_case(name))
    }

    /// Adds one, unless it is among them.
    pub fn add(&mut self, name: &str) {
        if !self.has(name) {
            self.0.push(name.to_owned());
        }
    }

    /// Leaves those of which this is so.
    pub fn retain(&mut self, keep: impl Fn(&str) -> bool) {
        self.0.retain(|name| keep(name));
    }

    /// All of them.
    pub fn iter(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(String::as_str)
    }
}

impl fmt::Display for Capabilities {
    /// `CAPABILITY` and the names, as a response and a response code have them.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("CAPABILITY")?;
        self.0.iter().try_for_each(|name| write!(f, " {name}"))
    }
}
