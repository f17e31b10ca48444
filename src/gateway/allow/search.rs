//! What may be searched for.

use sidekey_imap::command::{Key, Measure, When};

use super::Denied;

/// Flags, UIDs, days of arrival and mod-sequences tell what the proxy sees anyway. Strings come sealed. The rest would
/// tell it what it must not know: the exact size of a message by halves, the date in its header.
pub(super) fn rule(keys: &[Key]) -> Result<(), Denied> {
    keys.iter().try_for_each(|key| match key {
        Key::Is(_)
        | Key::Keyword(_)
        | Key::Unkeyword(_)
        | Key::Numbers(_)
        | Key::Uids(_)
        | Key::ModSeq(..) => Ok(()),
        Key::Has(..) | Key::Header(..) => Ok(()),
        Key::Dated(When::Before | When::On | When::Since, _) => Ok(()),
        Key::Dated(When::SentBefore | When::SentOn | When::SentSince, _) => Err(Denied::SearchOracle),
        Key::Measured(Measure::Larger | Measure::Smaller, _) => Err(Denied::SearchOracle),
        // Not advertised: the server's clock is nobody's business.
        Key::Measured(Measure::Older | Measure::Younger, _) => Err(Denied::NotListed),
        Key::Not(key) => rule(std::slice::from_ref(key)),
        Key::Or(keys) => rule(&keys[..]),
        Key::And(keys) => rule(keys),
    })
}

/// The keys whose strings must be frames, in their order: the order of the frames' numbers.
#[must_use]
pub fn sealed_strings(keys: &[Key]) -> Vec<&Key> {
    let mut found = Vec::new();
    collect(keys, &mut found);
    found
}

/// Puts something in the place of each of these strings, in the same order.
pub(crate) fn replace_strings<E>(
    keys: &mut [Key],
    replace: &mut impl FnMut(&str, Option<&str>, &[u8]) -> Result<Vec<u8>, E>,
) -> Result<(), E> {
    for key in keys {
        match key {
            Key::Has(place, string) => *string = replace(place.as_str(), None, string)?,
            Key::Header(field, string) => *string = replace("HEADER", Some(field), string)?,
            Key::Not(key) => replace_strings(std::slice::from_mut(key), replace)?,
            Key::Or(keys) => replace_strings(&mut keys[..], replace)?,
            Key::And(keys) => replace_strings(keys, replace)?,
            _ => {}
        }
    }
    Ok(())
}

fn collect<'k>(keys: &'k [Key], found: &mut Vec<&'k Key>) {
    for key in keys {
        match key {
            Key::Has(..) | Key::Header(..) => found.push(key),
            Key::Not(key) => collect(std::slice::from_ref(key), found),
            Key::Or(keys) => collect(&keys[..], found),
            Key::And(keys) => collect(keys, found),
            _ => {}
        }
    }
}
