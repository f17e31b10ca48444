//! A SEARCH whose strings are a client's frames.

use std::sync::Arc;

use sidekey_imap::command::{Body, Charset, Key, Search, Tag};
use sidekey_protocol::object::{Context, Reject};

use super::inbound::{Prefix, Unsound, open_string, split};
use super::{Keys, Session, State, Waits, Wish};
use crate::allow::{replace_strings, sealed_strings};
use crate::replay::{Frames, Known};

/// Frames that are to be opened, and the command that they stand in.
pub(super) struct Opening {
    body: Body,
    frames: Vec<(Prefix, Vec<u8>)>,
}

impl Opening {
    fn read(body: Body) -> Result<Self, Unsound> {
        let frames = match &body {
            Body::Search(_, search) => sealed_strings(&search.keys).into_iter().map(frame).collect(),
            _ => Ok(Vec::new()),
        };
        Ok(Self { frames: frames?, body })
    }

    /// Which key it needs: all its frames are under one.
    pub(super) fn prefix(&self) -> Option<&Prefix> {
        self.frames.first().map(|(prefix, _)| prefix)
    }
}

fn frame(key: &Key) -> Result<(Prefix, Vec<u8>), Unsound> {
    match key {
        Key::Has(_, string) | Key::Header(_, string) => split(string),
        _ => Err(Unsound::Kind),
    }
}

impl Session {
    pub(super) fn search(&mut self, tag: Tag, body: Body) {
        if self.places.numbered().is_none() {
            return self.say(&format!("{tag} BAD no mailbox is selected that is numbered\r\n"));
        }
        let opening = match Opening::read(body) {
            Ok(opening) => opening,
            Err(unsound) => return self.unsound(&tag, unsound),
        };
        let Some(prefix) = opening.prefix() else { return };
        match self.key_of(prefix) {
            Some(keys) => self.searched(tag, opening, &*keys),
            None => {
                self.wish = Some(Wish::KeyOf(prefix.header.session, prefix.header.generation));
                self.state = State::Keyless(tag, Waits::Search(Box::new(opening)));
            }
        }
    }

    /// The key that a frame names, where it is the one in force.
    pub(super) fn key_of(&self, prefix: &Prefix) -> Option<Arc<dyn Keys>> {
        let keys = self.keys.as_ref().filter(|keys| self.now < keys.not_after() && prefix.is_under(&***keys));
        keys.map(Arc::clone)
    }

    /// Once the key is there: the strings go on in the place of their frames, all of them or none.
    pub(super) fn searched(&mut self, tag: Tag, opening: Opening, keys: &dyn Keys) {
        let (body, taken) = match self.opened(opening, keys) {
            Ok(opened) => opened,
            Err(unsound) => return self.unsound(&tag, unsound),
        };
        match self.settings.replays.take(&taken, keys.not_after(), self.now) {
            Ok(()) => {
                self.noted.accepted += taken.len();
                self.forward(tag, body);
            }
            Err(Known::Done(_)) => {
                self.noted.replayed += 1;
                self.say(&format!("{tag} NO this was searched for before: number it anew\r\n"));
            }
            Err(known @ (Known::Disordered | Known::Spent)) => {
                self.noted.unsound += 1;
                self.say(&format!("{tag} NO {known}\r\n"));
            }
        }
    }

    fn unsound(&mut self, tag: &Tag, unsound: Unsound) {
        self.noted.unsound += 1;
        self.say(&format!("{tag} NO {unsound}\r\n"));
    }

    fn opened(&self, opening: Opening, keys: &dyn Keys) -> Result<(Body, Frames), Unsound> {
        let (mailbox, uid_validity) = self.places.numbered().ok_or(Reject::OtherMailbox)?;
        let Body::Search(by, Search { returns, keys: mut tree, .. }) = opening.body else {
            return Err(Unsound::Kind);
        };
        let (mut frames, mut taken) = (opening.frames.into_iter(), Frames::default());
        let mut ascii = true;
        replace_strings(&mut tree, &mut |key, field, _| {
            let (prefix, records) = frames.next().ok_or(Unsound::Text)?;
            let expected = Context::search(mailbox, uid_validity, prefix.sender, key, field);
            let value = open_string(prefix.opener(keys, &expected)?, &records)?;
            taken.push(&prefix.header, prefix.sender, &prefix.octets);
            ascii &= value.is_ascii();
            Ok::<_, Unsound>(value)
        })?;
        let charset = (!ascii).then_some(Charset::Utf8);
        Ok((Body::Search(by, Search { returns, charset, keys: tree }), taken))
    }
}
