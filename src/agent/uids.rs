//! Numbers of messages, as ranges: most mailboxes are few of them.

use std::collections::BTreeMap;

use sidekey_imap::command::{Number, Set};

/// UIDs, or places in a mailbox.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub(crate) struct Uids {
    /// Ranges apart from each other: first, last.
    ranges: BTreeMap<u32, u32>,
}

impl Uids {
    pub(crate) const fn new() -> Self {
        Self { ranges: BTreeMap::new() }
    }

    /// Adds one; whether it was not there. In more pieces than any mailbox is in, nothing more is kept.
    pub(crate) fn insert(&mut self, uid: u32) -> bool {
        if self.contains(uid) {
            return false;
        }
        if self.ranges.len() >= RANGES_MAX {
            return true;
        }
        let before = self.ranges.range(..uid).next_back().filter(|(_, last)| **last == uid - 1);
        let first = before.map_or(uid, |(first, _)| *first);
        let last = uid.checked_add(1).and_then(|next| self.ranges.remove(&next)).unwrap_or(uid);
        self.ranges.insert(first, last);
        true
    }

    pub(crate) fn contains(&self, uid: u32) -> bool {
        self.ranges.range(..=uid).next_back().is_some_and(|(_, last)| uid <= *last)
    }

    pub(crate) fn remove(&mut self, uid: u32) {
        let Some((&first, &last)) = self.ranges.range(..=uid).next_back().filter(|(_, last)| uid <= **last)
        else {
            return;
        };
        self.ranges.remove(&first);
        if first < uid {
            self.ranges.insert(first, uid - 1);
        }
        if uid < last {
            self.ranges.insert(uid + 1, last);
        }
    }

    /// Removes those that a set names.
    pub(crate) fn remove_all(&mut self, set: &Set) {
        for (from, to) in closed(set) {
            self.remove_range(from, to);
        }
    }

    fn remove_range(&mut self, from: u32, to: u32) {
        let begins = self.ranges.range(..=from).next_back().map_or(from, |(first, _)| *first);
        let touched: Vec<_> = self.ranges.range(begins..=to).map(|(first, last)| (*first, *last)).collect();
        for (first, last) in touched.into_iter().filter(|(_, last)| *last >= from) {
            self.ranges.remove(&first);
            if first < from {
                self.ranges.insert(first, from - 1);
            }
            if last > to {
                self.ranges.insert(to + 1, last);
            }
        }
    }

    /// Adds those that a set names; of what is open at its end, nothing.
    pub(crate) fn add_all(&mut self, set: &Set) {
        for (from, to) in closed(set) {
            self.remove_range(from, to);
            self.ranges.insert(from, to);
        }
    }

    /// Adds others.
    pub(crate) fn append(&mut self, others: &Self) {
        for (from, to) in &others.ranges {
            self.remove_range(*from, *to);
            self.ranges.insert(*from, *to);
        }
    }

    /// How many of these a set names.
    pub(crate) fn within(&self, set: &Set) -> u64 {
        let mut named = self.clone();
        named.remove_all(set);
        self.len() - named.len()
    }

    fn len(&self) -> u64 {
        self.ranges.iter().map(|(first, last)| length((*first, *last))).sum()
    }

    /// Those from one to another.
    fn between(&self, from: u32, to: u32) -> impl Iterator<Item = (u32, u32)> + '_ {
        let begins = self.ranges.range(..=from).next_back().map_or(from, |(first, _)| *first);
        let cut = move |(first, last): (&u32, &u32)| ((*first).max(from), (*last).min(to));
        self.ranges.range(begins..=to).map(cut).filter(|(first, last)| first <= last)
    }

    /// Into how many ranges they fall.
    pub(crate) fn ranges(&self) -> usize {
        self.ranges.len()
    }

    /// From 1 to this one.
    pub(crate) fn up_to(last: u32) -> Self {
        Self { ranges: if last == 0 { BTreeMap::new() } else { BTreeMap::from([(1, last)]) } }
    }

    /// How many of these `set` names and are not among `others`. `*` is the last message, whichever that is: of it
    /// nothing is said.
    pub(crate) fn left_over(&self, set: &Set, others: &Self) -> u64 {
        let mut left_over = 0;
        for range in set.ranges() {
            let (from, to) = match (range.from(), range.to()) {
                (Number::At(from), Number::At(to)) => (from.get(), to.get()),
                (Number::At(from), Number::Last) => (from.get(), u32::MAX),
                (Number::Last, _) => continue,
            };
            for (first, last) in self.between(from, to) {
                let came: u64 = others.between(first, last).map(length).sum();
                left_over += length((first, last)) - came;
            }
        }
        left_over
    }
}

fn length((first, last): (u32, u32)) -> u64 {
    u64::from(last - first) + 1
}

/// The ranges of a set that are not open at their end.
fn closed(set: &Set) -> impl Iterator<Item = (u32, u32)> + '_ {
    set.ranges().iter().filter_map(|range| match (range.from(), range.to()) {
        (Number::At(from), Number::At(to)) => Some((from.get(), to.get())),
        _ => None,
    })
}

/// Whether the set names it for certain: `*` is the last message, whichever that is.
fn named(set: &Set, number: u32) -> bool {
    let at_most = |end: Number, number| match end {
        Number::At(at) => at.get() <= number,
        Number::Last => false,
    };
    set.ranges().iter().any(|range| match range.to() {
        Number::At(to) => at_most(range.from(), number) && number <= to.get(),
        Number::Last => at_most(range.from(), number),
    })
}

/// Whether the set may name it.
pub(crate) fn may_name(set: &Set, number: u32) -> bool {
    named(set, number) || set.ranges().iter().any(|range| range.to() == Number::Last)
}

/// How many numbers a set names; `*` is one.
pub(crate) fn count(set: &Set) -> u64 {
    let length = |range: &sidekey_imap::command::Range| match (range.from(), range.to()) {
        (Number::At(from), Number::At(to)) => u64::from(to.get() - from.get()) + 1,
        _ => 1,
    };
    set.ranges().iter().map(length).sum()
}

/// Whoever stands on the path can name as many as he likes.
const RANGES_MAX: usize = 1 << 18;

/// How many messages a set names; one that is open at its end may name any number.
pub(crate) fn at_most(set: &Set) -> u64 {
    if may_name(set, u32::MAX) { u64::MAX } else { count(set) }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    fn set(text: &str) -> Set {
        Set::parse(text).unwrap()
    }

    #[test]
    fn ranges_are_what_a_set_of_numbers_is() {
        let (mut uids, mut plain, mut state) = (Uids::default(), BTreeSet::new(), 1_u32);
        for _ in 0..2000 {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            let uid = 1 + (state >> 8) % 50;
            if state & 1 == 0 {
                assert_eq!(uids.insert(uid), plain.insert(uid));
            } else {
                uids.remove(uid);
                plain.remove(&uid);
            }
            assert!((0..60).all(|uid| uids.contains(uid) == plain.contains(&uid)));
        }
        assert!(uids.insert(u32::MAX) && uids.contains(u32::MAX));
    }

    #[test]
    fn what_was_asked_for_and_did_not_come_is_left_over() {
        let (mut seen, mut came) = (Uids::default(), Uids::default());
        assert!((1..=10).all(|uid| seen.insert(uid)));
        assert!([2, 3].into_iter().all(|uid| came.insert(uid)));
        assert_eq!(seen.left_over(&set("1:4"), &came), 2);
        assert_eq!(seen.left_over(&set("9:*"), &came), 2);
        assert_eq!(seen.left_over(&set("*"), &came), 0);
        assert_eq!(seen.left_over(&set("11:4294967295"), &came), 0);
        // As many as there can be are counted at once.
        assert_eq!(Uids::up_to(u32::MAX).left_over(&set("1:*"), &came), u64::from(u32::MAX) - 2);
    }

    #[test]
    fn nobody_makes_them_grow_without_end() {
        let mut uids = Uids::default();
        assert!((0..RANGES_MAX as u32 + 1000).all(|n| uids.insert(1 + 2 * n)));
        assert_eq!(uids.ranges(), RANGES_MAX);
        assert!(!uids.insert(1), "what is kept is kept");
    }

    #[test]
    fn a_set_of_them_is_removed() {
        let numbers = |uids: &Uids| (1..30).filter(|uid| uids.contains(*uid)).collect::<Vec<_>>();
        let mut uids = Uids::up_to(10);
        assert!(uids.insert(20) && uids.insert(21));
        uids.remove_all(&set("3:4,10:20,25"));
        assert_eq!(numbers(&uids), [1, 2, 5, 6, 7, 8, 9, 21]);
        uids.remove_all(&set("1:4294967295"));
        assert_eq!(uids, Uids::default());
    }

    #[test]
    fn a_set_of_them_is_added_once_and_counted() {
        let mut uids = Uids::default();
        uids.add_all(&set("1:10,5:6,9:12,20,30:*"));
        assert_eq!((uids.len(), uids.within(&set("1:4294967295"))), (13, 13));
        assert_eq!((uids.within(&set("10:20")), uids.within(&set("13:19,21:40"))), (4, 0));
        assert!(!uids.insert(12) && uids.insert(13) && uids.contains(5));
    }

    #[test]
    fn the_last_message_may_be_any() {
        assert!(may_name(&set("5:*"), 3) && may_name(&set("*"), 9) && !may_name(&set("1:3,7"), 5));
        assert_eq!((count(&set("1:3,7")), count(&set("5:*"))), (4, 1));
    }
}
