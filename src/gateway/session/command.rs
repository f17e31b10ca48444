//! The client's side: commands, ruled and written again.

use std::collections::VecDeque;

use sidekey_imap::command::{Append, Body, Command, Event, List, Password, Pattern, Reference, Tag};

use super::append::Outgoing;
use super::fetch::Plan;
use super::place::{INBOX, Selected};
use super::{Sealing, Sent, Session, State, Waits, Wish};
use crate::allow::{Own, Ruling};

/// What the mail server is doing.
pub(super) enum Doing {
    /// Whatever gives no data but these.
    Answer(&'static [&'static str]),
    Fetch(Box<Plan>),
    /// A LIST of the gateway's own, and the command that waits for what it tells.
    Locate(Box<Then>),
    Select(Selected),
    /// Messages that a client sealed.
    Append(Box<Outgoing>),
    /// The mailbox is being left.
    Leave,
    Idle(Idle),
    Logout,
}

/// What waits for a LIST.
pub(super) enum Then {
    Command(Command),
    Append(Append),
}

/// How far an IDLE has come.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Idle {
    /// The mail server has not said that it idles.
    Asked,
    /// It does.
    Going,
    /// The client has ended it.
    Done,
    /// The client has ended it with another word.
    Botched,
}

impl Doing {
    /// Whether the client's next line ends it.
    pub(super) const fn awaits_done(&self) -> bool {
        matches!(self, Self::Idle(Idle::Going))
    }

    /// Whether it was asked for data of this name, which is given to nobody unasked.
    pub(super) fn asks_for(&self, name: &str) -> bool {
        matches!(self, Self::Answer(names) if names.contains(&name))
    }
}

impl Session {
    pub(super) fn event(&mut self, event: Event<'_>) {
        match event {
            Event::Continue => self.say("+ go on\r\n"),
            Event::Command(command) => self.command(command),
            Event::Refused(..) if self.idles() => self.done(&Password::new(Vec::new())),
            Event::Refused(tag, refusal) => {
                // What had come of an APPEND was not all of it.
                self.state = State::Ready;
                self.noted.refused.push("malformed");
                self.say(&format!("{} BAD {refusal}\r\n", tag.as_ref().map_or("*", Tag::as_str)));
            }
            Event::Append(append) => self.announced(append),
            Event::Octets { octets, left } => self.octets(octets, left == 0),
            Event::Appended => self.appended(),
            Event::Raw(line) => self.done(&line),
        }
    }

    fn command(&mut self, Command { tag, body }: Command) {
        match self.settings.profile.rule(body) {
            Ruling::Forward(body) => self.forward(tag, body),
            Ruling::Fetch(fetch) if self.settings.sealing == Sealing::Off => {
                self.fetch(tag, Box::new(Plan::clear(fetch)));
            }
            Ruling::Fetch(fetch) => match Plan::new(fetch) {
                Ok(plan) => self.plan(tag, Box::new(plan)),
                Err(refused) => {
                    self.noted.refused.push("item");
                    self.say(&format!("{tag} BAD {refused}\r\n"));
                }
            },
            Ruling::Search(body) if self.settings.sealing == Sealing::Off => self.forward(tag, body),
            Ruling::Search(body) => self.search(tag, body),
            Ruling::Unselect if self.unselects => self.send(tag, Body::Unselect, Doing::Leave),
            Ruling::Unselect => self.say(&format!("{tag} NO what is deleted is not expunged here\r\n")),
            Ruling::Own(Own::Id) => {
                self.say(&format!("* ID (\"name\" \"Sidekey\")\r\n{tag} OK done\r\n"));
            }
            Ruling::Own(Own::NothingEnabled) => self.say(&format!("* ENABLED\r\n{tag} OK done\r\n")),
            Ruling::Refuse(denied) => {
                self.noted.refused.push(denied.name());
                self.say(&format!("{tag} {} {denied}\r\n", denied.condition()));
            }
        }
    }

    pub(super) fn forward(&mut self, tag: Tag, body: Body) {
        let doing = match &body {
            Body::Select(mailbox, _) | Body::Examine(mailbox, _) => {
                // Whatever comes of it, the one before is left.
                self.places.select(None);
                match self.places.name(mailbox) {
                    Some(mailbox) => Doing::Select(Selected { mailbox, uid_validity: None }),
                    None => return self.locate(tag.clone(), Then::Command(Command { tag, body })),
                }
            }
            Body::Close | Body::Unselect => Doing::Leave,
            Body::Idle => Doing::Idle(Idle::Asked),
            Body::Logout => Doing::Logout,
            Body::Capability => Doing::Answer(&["CAPABILITY"]),
            Body::Enable(_) => Doing::Answer(&["ENABLED"]),
            Body::List(_) => Doing::Answer(&["LIST", "STATUS"]),
            Body::Lsub(..) => Doing::Answer(&["LSUB"]),
            Body::Namespace => Doing::Answer(&["NAMESPACE"]),
            Body::Search(..) => Doing::Answer(&["ESEARCH", "SEARCH"]),
            Body::Status(..) => Doing::Answer(&["STATUS"]),
            _ => Doing::Answer(&[]),
        };
        self.send(tag, body, doing);
    }

    /// Asks what separates the levels of a name: a frame is bound to the name without it.
    pub(super) fn locate(&mut self, tag: Tag, then: Then) {
        let reference = Reference::new("").expect("nothing is printable");
        let inbox = Pattern::new(INBOX).expect("INBOX is printable");
        let list = List { select: Vec::new(), reference, patterns: vec![inbox], returns: Vec::new() };
        self.send(tag, Body::List(list), Doing::Locate(Box::new(then)));
    }

    /// What waited for it goes on.
    pub(super) fn located(&mut self, then: Then) {
        self.places.learned();
        match then {
            Then::Command(Command { tag, body }) => self.forward(tag, body),
            Then::Append(append) => self.announced(append),
        }
    }

    /// A FETCH that would be sealed, unless there is nothing to seal it with.
    fn plan(&mut self, tag: Tag, plan: Box<Plan>) {
        if !plan.seals() {
            return self.fetch(tag, plan);
        }
        match self.places.selected() {
            None => self.say(&format!("{tag} BAD no mailbox is selected\r\n")),
            Some(Selected { uid_validity: None, .. }) => {
                self.say(&format!("{tag} NO the mail server numbers nothing here that could be sealed\r\n"));
            }
            Some(_) if self.is_in_force() => self.fetch(tag, plan),
            Some(_) => {
                self.wish = Some(Wish::Key);
                self.state = State::Keyless(tag, Waits::Fetch(plan));
            }
        }
    }

    pub(super) fn is_in_force(&self) -> bool {
        self.keys.as_ref().is_some_and(|keys| self.now < keys.not_after())
    }

    pub(super) fn fetch(&mut self, tag: Tag, plan: Box<Plan>) {
        self.send(tag, plan.ask.clone(), Doing::Fetch(plan));
    }

    fn send(&mut self, tag: Tag, body: Body, doing: Doing) {
        let command = Command { tag, body };
        let mut segments: VecDeque<_> = command.write(self.literals).into();
        self.to_server.extend(segments.pop_front().unwrap_or_default());
        self.state = State::Sent(Sent { tag: command.tag, doing, segments });
    }

    fn idles(&self) -> bool {
        matches!(&self.state, State::Sent(sent) if sent.doing.awaits_done())
    }

    /// A line that ends an IDLE; one that comes too late ends nothing.
    fn done(&mut self, line: &Password) {
        let State::Sent(Sent { doing: Doing::Idle(idle @ Idle::Going), .. }) = &mut self.state else {
            return;
        };
        let done = line.expose().eq_ignore_ascii_case(b"DONE");
        *idle = if done { Idle::Done } else { Idle::Botched };
        self.to_server.extend_from_slice(b"DONE\r\n");
    }

    /// The mail server goes on.
    pub(super) fn continued(&mut self) {
        let State::Sent(sent) = &mut self.state else { return };
        if let Some(segment) = sent.segments.pop_front() {
            self.to_server.extend(segment);
        } else if let Doing::Append(outgoing) = &mut sent.doing {
            outgoing.goes = true;
        } else if let Doing::Idle(idle @ Idle::Asked) = &mut sent.doing {
            *idle = Idle::Going;
            self.reader.expect_raw();
            self.say("+ idling\r\n");
        }
    }
}
