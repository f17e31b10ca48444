//! What the program says.

use std::sync::Arc;

use sidekey_imap::command::{
    Asked, Body, By, Command, Event, FetchModifier, List, Pattern, Reference, Set, Tag,
};
use sidekey_protocol::ids::Timestamp;

use super::fetching::Fetching;
use super::sealing::has_strings;
use super::{Ended, Selected, Session, What};
use crate::fetch::{Plan, Refused};
use crate::uids;

impl Session {
    /// Takes of what the program sent what can be taken now, and leaves the rest.
    ///
    /// # Errors
    /// The session is over.
    pub fn program(&mut self, input: &mut &[u8], now: Timestamp) -> Result<(), Ended> {
        self.now = now;
        self.over()?;
        self.pad();
        while self.reads_program() {
            match self.reader.next(input) {
                Ok(None) => break,
                Ok(Some(event)) => self.event(event)?,
                Err(broken) => {
                    self.answer(broken.tag.as_ref(), "BAD", &broken.to_string());
                    self.out.put(b"* BYE no IMAP\r\n");
                    return Err(Ended::Program(broken));
                }
            }
        }
        Ok(())
    }

    fn event(&mut self, event: Event<'_>) -> Result<(), Ended> {
        match event {
            Event::Continue => self.out.put(b"+ go on\r\n"),
            Event::Command(Command { tag, body }) => self.command(tag, body),
            Event::Refused(tag, refusal) => {
                self.answer(tag.as_ref(), "BAD", &refusal.to_string());
                if self.running.is_some() {
                    return Err(self.broken_off());
                }
            }
            Event::Append(append) => self.append(append)?,
            Event::Octets { octets, .. } => self.message(octets),
            Event::Appended => self.appended(),
            Event::Raw(line) => self.raw(line.expose()),
        }
        Ok(())
    }

    /// A tagged answer of the agent's own.
    pub(super) fn answer(&mut self, tag: Option<&Tag>, condition: &str, text: &str) {
        let tag = tag.map_or("*", Tag::as_str);
        self.out.put(format!("{tag} {condition} {text}\r\n").as_bytes());
    }

    fn command(&mut self, tag: Tag, body: Body) {
        let what = match &body {
            Body::Capability => return self.capability(&tag),
            Body::Id(_) => return self.id(&tag),
            Body::StartTls | Body::Authenticate { .. } | Body::Login { .. } => {
                return self.answer(Some(&tag), "BAD", "logged in already");
            }
            Body::Select(name, parameters) | Body::Examine(name, parameters) => {
                // Also a SELECT that fails leaves the mailbox that was selected.
                self.mailbox = None;
                let shown = Arc::clone(&self.settings.seen);
                What::Select(Box::new(Selected::new(self.canonical(name), parameters, shown)))
            }
            Body::Fetch { .. } => return self.fetch(tag, body),
            Body::Search(_, search) if has_strings(&search.keys) => {
                let Body::Search(by, search) = body else { return };
                return self.search(tag, by, search);
            }
            Body::Search(..) => What::Search,
            Body::Close | Body::Unselect => What::Leave,
            Body::Expunge => What::Expunge { copies: false, named: u64::MAX },
            Body::UidExpunge(set) => What::Expunge { copies: false, named: uids::at_most(set) },
            Body::Move(_, set, _) => What::Expunge { copies: true, named: uids::at_most(set) },
            Body::Copy(..) => What::Copy,
            Body::Idle => What::Idle { begun: false },
            Body::Logout => What::Logout,
            Body::Enable(_) => What::Data(&["ENABLED"]),
            Body::List(_) => What::Data(&["LIST", "STATUS"]),
            Body::Lsub(..) => What::Data(&["LSUB"]),
            Body::Namespace => What::Data(&["NAMESPACE"]),
            Body::Status(..) => What::Data(&["STATUS"]),
            _ => What::Plain,
        };
        self.start(Some(tag), what, body);
    }

    fn capability(&mut self, tag: &Tag) {
        self.out.put(format!("* {}\r\n", self.capabilities).as_bytes());
        self.answer(Some(tag), "OK", "that is all");
    }

    /// Who stands behind is for the gateway to say, to whom it likes; who stands before, for nobody.
    fn id(&mut self, tag: &Tag) {
        self.out.put(b"* ID (\"name\" \"Sidekey agent\")\r\n");
        self.answer(Some(tag), "OK", "and you");
    }

    fn fetch(&mut self, tag: Tag, body: Body) {
        let Body::Fetch { by, set, items, modifiers } = body else { return };
        match self.plan(by, set, items, modifiers) {
            Err(text) => self.answer(Some(&tag), "NO", text),
            Ok(plan) => {
                self.ring.retry();
                let body = plan.body();
                self.start(Some(tag), What::Fetch(Box::new(Fetching::new(plan))), body);
            }
        }
    }

    fn plan(
        &self,
        by: By,
        set: Set,
        items: Vec<Asked>,
        modifiers: Vec<FetchModifier>,
    ) -> Result<Plan, &'static str> {
        let mailbox = self.mailbox.as_ref().ok_or("no mailbox is selected")?;
        if mailbox.uid_validity.is_none() {
            return Err("this mailbox is not numbered, and nothing in it can be opened");
        }
        Plan::new(by, set, items, modifiers, self.settings.octets).map_err(|refused| match refused {
            Refused::ExactSize => "sizes of parts are not told here",
            Refused::Item => "no such item here",
        })
    }

    /// A line that is no command: what ends an IDLE.
    fn raw(&mut self, line: &[u8]) {
        if line.eq_ignore_ascii_case(b"DONE") {
            self.to_server.extend_from_slice(b"DONE\r\n");
            if let Some(running) = &mut self.running {
                running.what = What::Plain;
            }
        } else {
            self.reader.expect_raw();
        }
    }
}

/// What tells which separator the names have.
pub(super) fn list_inbox() -> Body {
    let empty = Reference::new("").expect("nothing is printable");
    let inbox = Pattern::new("INBOX").expect("it is printable");
    Body::List(List { select: Vec::new(), reference: empty, patterns: vec![inbox], returns: Vec::new() })
}

pub(super) const fn noop() -> Body {
    Body::Noop
}
