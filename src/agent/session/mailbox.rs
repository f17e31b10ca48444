//! What is known of the mailbox that is selected.

use std::num::NonZeroU32;
use std::sync::Arc;

use sidekey_imap::command::{By, SelectParameter, Set};
use sidekey_protocol::object;

use super::upstream::Gone;
use crate::seen::Seen;
use crate::uids::{self, Uids};

/// The mailbox that is selected.
pub(super) struct Selected {
    pub(super) name: object::Mailbox,
    pub(super) uid_validity: Option<NonZeroU32>,
    /// Messages in it.
    pub(super) exists: u32,
    /// UIDs that were seen in it.
    seen: Uids,
    /// The UIDs in the mailbox's order, as far as they are known; 0 where not.
    numbers: Vec<u32>,
    /// Whether a frame of it has opened.
    pub(super) opened: bool,
    /// Messages that have vanished.
    pub(super) vanished: u64,
    /// Those of them whose UID was not known.
    pub(super) unattributed: u64,
    /// Those of them that nobody here asked for; `None` once that was confirmed.
    pub(super) unasked: Option<u64>,
    /// What has been shown of it on all connections.
    shown: Arc<Seen>,
    /// What the program has said that it has of it.
    had: Uids,
}

impl Selected {
    /// As it is named by a SELECT with these parameters.
    pub(super) fn new(name: object::Mailbox, parameters: &[SelectParameter], shown: Arc<Seen>) -> Self {
        let mut had = Uids::new();
        for parameter in parameters {
            if let SelectParameter::QResync { known: Some(known), .. } = parameter {
                had.add_all(known);
            }
        }
        Self {
            name,
            uid_validity: None,
            exists: 0,
            seen: Uids::new(),
            numbers: Vec::new(),
            opened: false,
            vanished: 0,
            unattributed: 0,
            unasked: Some(0),
            shown,
            had,
        }
    }

    /// A message was named by its number, and perhaps its UID: whether that can be, by all that was said before.
    pub(super) fn see(&mut self, number: NonZeroU32, uid: Option<NonZeroU32>) -> bool {
        if number.get() > self.exists {
            return false;
        }
        let Some(uid) = uid else { return true };
        if !self.fits(number.get() as usize - 1, uid.get()) {
            return false;
        }
        self.seen.insert(uid.get());
        if let Some(uid_validity) = self.uid_validity {
            self.shown.insert(&self.name, uid_validity, uid);
        }
        let at = number.get() as usize;
        if at <= NUMBERS_MAX {
            if self.numbers.len() < at {
                self.numbers.resize(at, 0);
            }
            self.numbers[at - 1] = uid.get();
        }
        true
    }

    /// Whether the message in this place, counted from 0, may have this UID: it keeps the one that it had, and UIDs rise.
    fn fits(&self, at: usize, uid: u32) -> bool {
        let known = |at: usize| self.numbers.get(at).copied().filter(|known| *known != 0);
        known(at).is_none_or(|known| known == uid)
            && at.checked_sub(1).and_then(known).is_none_or(|before| before < uid)
            && known(at + 1).is_none_or(|behind| uid < behind)
    }

    /// Whether there is no such message.
    pub(super) const fn has_not(&self, gone: &Gone) -> bool {
        matches!(gone, Gone::Number(number) if *number > self.exists)
    }

    /// How many messages are gone that the program may have: of those that vanished earlier, which it was shown or has
    /// named; the others are numbers that are not in use.
    pub(super) fn lost(&self, gone: &Gone) -> u64 {
        match gone {
            Gone::Number(_) => 1,
            Gone::Uids { set, earlier: false } => uids::count(set),
            Gone::Uids { set, earlier: true } => {
                let mut had = self.shown.of(&self.name, self.uid_validity);
                had.append(&self.had);
                had.within(set)
            }
        }
    }

    /// Messages are gone.
    pub(super) fn forget(&mut self, gone: &Gone) {
        match gone {
            Gone::Number(number) => {
                self.vanished += 1;
                self.exists = self.exists.saturating_sub(1);
                let at = *number as usize - 1;
                match if at < self.numbers.len() { self.numbers.remove(at) } else { 0 } {
                    0 => self.unattributed += 1,
                    uid => {
                        self.seen.remove(uid);
                        self.shown.remove(&self.name, uid);
                    }
                }
            }
            Gone::Uids { set, earlier } => {
                let count = uids::count(set);
                self.seen.remove_all(set);
                self.had.remove_all(set);
                self.shown.remove_all(&self.name, set);
                self.numbers.clear();
                if !earlier {
                    self.vanished += count;
                    self.exists = self.exists.saturating_sub(u32::try_from(count).unwrap_or(u32::MAX));
                }
            }
        }
    }

    /// How many messages are named, were here before, and have not come.
    pub(super) fn missing(&self, set: &Set, by: By, came: &Uids) -> u64 {
        self.missing_of(self.exists, set, by, came)
    }

    pub(super) fn missing_of(&self, exists: u32, set: &Set, by: By, came: &Uids) -> u64 {
        match by {
            By::Uid => self.seen.left_over(set, came),
            By::Sequence => Uids::up_to(exists).left_over(set, came),
        }
    }
}

/// Messages whose UIDs are kept in order; of those behind them, in a mailbox of more, nothing is compared. Whoever stands on
/// the path can say that there are as many as he likes.
const NUMBERS_MAX: usize = 1 << 20;
