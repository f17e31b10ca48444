//! Where the client is: which mailbox is selected, and what both ends call it.

use std::num::NonZeroU32;

use sidekey_imap::mailbox;
use sidekey_imap::response::{Listed, Message};
use sidekey_protocol::object::Mailbox;

use crate::object::Place;

/// What a connection knows of mailboxes.
#[derive(Default)]
pub(super) struct Places {
    /// What separates the levels of a name, once LIST has told; a mail server may have none.
    separator: Option<Option<char>>,
    selected: Option<Selected>,
}

/// The mailbox that is selected.
pub(super) struct Selected {
    pub(super) mailbox: Mailbox,
    /// `None` where the mail server numbers nothing.
    pub(super) uid_validity: Option<NonZeroU32>,
}

impl Places {
    /// What both ends call a mailbox; `None` until LIST has told what separates levels. INBOX has none.
    pub(super) fn name(&self, mailbox: &mailbox::Mailbox) -> Option<Mailbox> {
        let separator = if mailbox.as_str() == INBOX { None } else { self.separator? };
        Mailbox::new(mailbox.as_str(), separator).ok()
    }

    /// What LIST told of INBOX.
    pub(super) fn learn(&mut self, listed: &Listed) {
        if listed.mailbox.as_str() == INBOX {
            self.separator = Some(listed.separator);
        }
    }

    /// LIST is over: what it has not told there is not.
    pub(super) fn learned(&mut self) {
        self.separator.get_or_insert(None);
    }

    pub(super) fn select(&mut self, selected: Option<Selected>) {
        self.selected = selected;
    }

    pub(super) const fn selected(&self) -> Option<&Selected> {
        self.selected.as_ref()
    }

    /// The mailbox that is selected, where its messages are numbered.
    pub(super) fn numbered(&self) -> Option<(&Mailbox, NonZeroU32)> {
        let Selected { mailbox, uid_validity } = self.selected.as_ref()?;
        Some((mailbox, (*uid_validity)?))
    }

    /// Where a message is, once both ends can know: without a UID there is no place.
    pub(super) fn of(&self, message: &Message) -> Option<Place<'_>> {
        let (mailbox, uid_validity) = self.numbered()?;
        Some(Place { mailbox, uid_validity, uid: message.uid? })
    }

    /// It has been numbered anew.
    pub(super) fn renumber(&mut self, uid_validity: NonZeroU32) {
        if let Some(selected) = &mut self.selected {
            selected.uid_validity = Some(uid_validity);
        }
    }
}

pub(super) const INBOX: &str = "INBOX";
