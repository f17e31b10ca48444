//! What goes to the gateway sealed: messages that are appended, strings that are searched for.
//!
//! ```text
//!   SEARCH, APPEND ──▶ key in force ──▶ numbers ──▶ sent            nothing is sent before both are there
//! ```

use std::num::NonZeroU64;
use std::sync::Arc;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use sidekey_imap::command::{Append, Body, By, Key, Search, Tag};
use sidekey_protocol::ids::SessionId;
use sidekey_protocol::object::{ClientToServer, Context, Kind, RecordSize, SALT_SIZE, Sealer, Sender};

use super::appending::text_len;
use super::{Ended, Keys, Running, Session, Unavailable, What, Wish, Wished};
use crate::alert::Alert;
use crate::told::Expected;

/// What waits until it can be sealed.
pub(super) struct Unsealed {
    what: Plaintext,
    keys: Option<Arc<dyn Keys>>,
}

enum Plaintext {
    Search { tag: Tag, by: By, search: Search },
    Append(Append),
}

/// What is wished for.
impl Session {
    /// A SEARCH whose strings go as frames.
    pub(super) fn search(&mut self, tag: Tag, by: By, search: Search) {
        if self.mailbox.as_ref().is_none_or(|mailbox| mailbox.uid_validity.is_none()) {
            return self.answer(Some(&tag), "NO", "no mailbox is selected");
        }
        if strings(&search.keys).iter().any(|string| std::str::from_utf8(string).is_err()) {
            return self.answer(Some(&tag), "NO", "[BADCHARSET (UTF-8)] strings are in UTF-8");
        }
        self.wish_for(Plaintext::Search { tag, by, search });
    }

    /// A message is to be appended.
    pub(super) fn append(&mut self, append: Append) -> Result<(), Ended> {
        let answered = match &mut self.running {
            Some(Running { what: What::Append(appending), .. }) => appending.answered.take(),
            _ => None,
        };
        if let Some(status) = answered {
            // It was refused after the message before; the line is to be ended all the same.
            self.reader.decline(&append);
            self.to_server.extend_from_slice(b"\r\n");
            self.running = None;
            self.tell(&status, append.tag.as_str(), Expected::Append);
            return Ok(());
        }
        if text_len(append.literal.size) > u64::from(u32::MAX) {
            return self.unsealed(&append, "[LIMIT] the message is too long");
        }
        self.wish_for(Plaintext::Append(append));
        Ok(())
    }

    fn wish_for(&mut self, what: Plaintext) {
        self.unsealed = Some(Unsealed { what, keys: None });
        self.wish = Wished::Untold(Wish::Current { near: self.near });
    }

    /// The key in force is there, or not.
    pub(super) fn current(&mut self, answer: Result<Arc<dyn Keys>, Unavailable>) {
        let Some(unsealed) = &mut self.unsealed else { return };
        match answer {
            Ok(keys) if self.now < keys.not_after() => {
                let count = match &unsealed.what {
                    Plaintext::Append(_) => 1,
                    Plaintext::Search { search, .. } => strings(&search.keys).len() as u64,
                };
                let count = NonZeroU64::new(count).unwrap_or(NonZeroU64::MIN);
                let (session, generation) = (keys.session(), keys.generation());
                self.wish = Wished::Untold(Wish::Numbers { session, generation, count });
                unsealed.keys = Some(keys);
            }
            Ok(_) => self.unavailable(Unavailable::Unreachable),
            Err(why) => self.unavailable(why),
        }
    }

    /// The answer to [`Wish::Numbers`]: the first of them.
    pub fn numbers(&mut self, answer: Result<NonZeroU64, Unavailable>) {
        if !matches!(self.wish, Wished::Unanswered(Wish::Numbers { .. })) {
            return;
        }
        self.wish = Wished::Nothing;
        match (self.unsealed.take(), answer) {
            (Some(Unsealed { what: Plaintext::Search { tag, by, search }, keys: Some(keys) }), Ok(first)) => {
                self.seal_search(tag, by, search, keys.as_ref(), first);
            }
            (Some(Unsealed { what: Plaintext::Append(append), keys: Some(keys) }), Ok(number)) => {
                self.seal_append(append, keys.as_ref(), number);
            }
            (unsealed, answer) => {
                self.unsealed = unsealed;
                self.unavailable(answer.err().unwrap_or(Unavailable::Unreachable));
            }
        }
    }

    fn unavailable(&mut self, why: Unavailable) {
        let text = match why {
            Unavailable::Unknown | Unavailable::Unreachable => {
                "[UNAVAILABLE] the keys cannot be had now".to_owned()
            }
            Unavailable::Refused(distrust) => Alert::Key(distrust).to_string(),
        };
        match self.unsealed.take().map(|unsealed| unsealed.what) {
            None => {}
            Some(Plaintext::Search { tag, .. }) => self.answer(Some(&tag), "NO", &text),
            Some(Plaintext::Append(append)) => {
                if let Err(ended) = self.unsealed(&append, &text) {
                    self.end = Some(ended);
                }
            }
        }
    }

    /// A message is not sent. Behind another one of its command, the whole command is cut off: nothing of it is stored.
    fn unsealed(&mut self, append: &Append, why: &str) -> Result<(), Ended> {
        if !append.first {
            return Err(self.broken_off());
        }
        self.reader.decline(append);
        self.answer(Some(&append.tag), "NO", why);
        Ok(())
    }

    pub(super) fn broken_off(&mut self) -> Ended {
        if let Some(tag) = self.running.take().and_then(|running| running.tag) {
            self.answer(Some(&tag), "NO", "nothing of it is stored");
        }
        self.answer(None, "BYE", "an APPEND broke off");
        Ended::AppendBroken
    }
}

/// What is sealed.
impl Session {
    pub(super) fn sender(&self, number: NonZeroU64) -> Sender {
        Sender::new(self.settings.pairing, number)
    }

    fn salt(&mut self) -> [u8; SALT_SIZE] {
        let mut salt = [0; SALT_SIZE];
        self.rng.fill_bytes(&mut salt);
        salt
    }

    fn seal_search(&mut self, tag: Tag, by: By, mut search: Search, keys: &dyn Keys, first: NonZeroU64) {
        let Some((name, Some(uid_validity))) =
            self.mailbox.as_ref().map(|mailbox| (mailbox.name.clone(), mailbox.uid_validity))
        else {
            return;
        };
        // What is sealed is UTF-8.
        search.charset = None;
        let mut number = first;
        for_each_string(&mut search.keys, &mut |key, field, string| {
            let context = Context::search(&name, uid_validity, self.sender(number), key, field);
            *string = BASE64_STANDARD.encode(self.frame(keys, &context, string)).into_bytes();
            number = number.saturating_add(1);
        });
        self.start(Some(tag), What::Search, Body::Search(by, search));
    }

    /// Of a string, which is short.
    fn frame(&mut self, keys: &dyn Keys, context: &Context<ClientToServer>, mut value: &[u8]) -> Vec<u8> {
        let mut sealer = self.sealer(keys, context, Kind::Literal, value.len() as u64);
        let mut frame = Vec::new();
        while !value.is_empty() {
            frame.extend_from_slice(sealer.feed(&mut value).expect("it is as long as was announced"));
        }
        while let Some(octets) = sealer.pad().expect("it is as long as was announced") {
            frame.extend_from_slice(octets);
        }
        frame
    }

    pub(super) fn sealer(
        &mut self,
        keys: &dyn Keys,
        context: &Context<ClientToServer>,
        kind: Kind,
        len: u64,
    ) -> Sealer {
        let salt = self.salt();
        Sealer::new(&keys.object().c2s, context, kind, len, RecordSize::default(), salt)
            .expect("a literal is no longer than a value may be")
    }
}

/// The strings that are searched for, in their order.
fn strings(keys: &[Key]) -> Vec<&[u8]> {
    let mut found = Vec::new();
    for key in keys {
        match key {
            Key::Has(_, string) | Key::Header(_, string) => found.push(string.as_slice()),
            Key::Not(key) => found.extend(strings(std::slice::from_ref(key))),
            Key::Or(keys) => found.extend(strings(&keys[..])),
            Key::And(keys) => found.extend(strings(keys)),
            _ => {}
        }
    }
    found
}

pub(super) fn has_strings(keys: &[Key]) -> bool {
    !strings(keys).is_empty()
}

/// Each string with its key and its field.
fn for_each_string(keys: &mut [Key], change: &mut impl FnMut(&str, Option<&str>, &mut Vec<u8>)) {
    for key in keys {
        match key {
            Key::Has(place, string) => change(place.as_str(), None, string),
            Key::Header(field, string) => change("HEADER", Some(field), string),
            Key::Not(key) => for_each_string(std::slice::from_mut(key), change),
            Key::Or(keys) => for_each_string(&mut keys[..], change),
            Key::And(keys) => for_each_string(keys, change),
            _ => {}
        }
    }
}

/// The session that the other end says it uses.
pub(super) fn read_near(words: &str) -> Option<SessionId> {
    words.split(' ').find_map(|word| word.strip_prefix("session=")).and_then(|id| id.parse().ok())
}
