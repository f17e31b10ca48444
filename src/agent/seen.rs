//! Which messages a mail program has been shown here, mailbox by mailbox, over all connections of an agent.
//!
//! A server that tells what vanished while a program was away (`VANISHED (EARLIER)`, RFC 7162) may name every number that
//! is not in use, of which most were nobody's. Of those count toward a mass deletion what this agent has shown its program
//! since it started, and what the program says itself that it has (the known UIDs of its QRESYNC). What a program has from
//! before, and does not name, is not known here, and not counted.

use std::collections::HashMap;
use std::num::NonZeroU32;
use std::sync::{Mutex, MutexGuard, PoisonError};

use sidekey_imap::command::Set;
use sidekey_protocol::object::Mailbox;

use crate::uids::Uids;

/// What has been shown since the agent started.
#[derive(Debug, Default)]
pub struct Seen(Mutex<HashMap<Mailbox, Numbered>>);

/// The messages of one mailbox, as it was numbered then.
#[derive(Debug)]
struct Numbered {
    uid_validity: NonZeroU32,
    uids: Uids,
}

impl Seen {
    /// A message was shown.
    pub(crate) fn insert(&self, mailbox: &Mailbox, uid_validity: NonZeroU32, uid: NonZeroU32) {
        let mut mailboxes = self.mailboxes();
        let known = mailboxes.get(mailbox).is_some_and(|numbered| numbered.uid_validity == uid_validity);
        if !known {
            if mailboxes.len() >= MAILBOXES_MAX {
                return;
            }
            mailboxes.insert(mailbox.clone(), Numbered { uid_validity, uids: Uids::new() });
        }
        if let Some(Numbered { uids, .. }) = mailboxes.get_mut(mailbox)
            && uids.ranges() < RANGES_MAX
        {
            uids.insert(uid.get());
        }
    }

    /// Messages are gone.
    pub(crate) fn remove(&self, mailbox: &Mailbox, uid: u32) {
        if let Some(Numbered { uids, .. }) = self.mailboxes().get_mut(mailbox) {
            uids.remove(uid);
        }
    }

    /// Messages are gone.
    pub(crate) fn remove_all(&self, mailbox: &Mailbox, set: &Set) {
        if let Some(Numbered { uids, .. }) = self.mailboxes().get_mut(mailbox) {
            uids.remove_all(set);
        }
    }

    /// What was shown of a mailbox; where its numbering has not been told yet, under any.
    pub(crate) fn of(&self, mailbox: &Mailbox, uid_validity: Option<NonZeroU32>) -> Uids {
        let of_it = |numbered: &&Numbered| uid_validity.is_none_or(|told| told == numbered.uid_validity);
        let mailboxes = self.mailboxes();
        mailboxes.get(mailbox).filter(of_it).map(|numbered| numbered.uids.clone()).unwrap_or_default()
    }

    fn mailboxes(&self) -> MutexGuard<'_, HashMap<Mailbox, Numbered>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Mailboxes of one user; what is shown of others is not remembered.
const MAILBOXES_MAX: usize = 1024;
/// Ranges of numbers in one of them, of which there are as many as gaps.
const RANGES_MAX: usize = 16 * 1024;
