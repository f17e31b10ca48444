//! The mail server's side: responses, of which items are sealed.

use std::io::{Read as _, Write as _};

use sidekey_client::spool::{Spool, Spooled};
use sidekey_imap::command::Item;
use sidekey_imap::response::{
    Attribute, Code, Condition, Data, Message, Piece, Policy, Status, Taken, Verdict,
};
use sidekey_protocol::object::{Kind, SALT_SIZE, Unsealable};

use super::command::{Doing, Idle};
use super::fetch::Plan;
use super::place::Places;
use super::{Ended, NO_KEY, PART_MAX, Sealing, Sent, Session, State, Unfit};
use crate::allow::{Answers, advertised, shown};
use crate::object::{Frame, Wanted, descriptor, kind, sealed_size};

/// What was taken and is on its way.
pub(super) enum Value {
    None,
    /// The size of a message, until all its digits are there.
    Size(Message, String),
    Frame(Box<Frame>),
    /// A list whose length is not known before its end.
    Spooling(Box<Spooling>),
    /// It is whole, and is sealed as there is room.
    Unspooling(Box<Frame>, Box<Spooled>),
    /// The frame's value is whole; the rest of it is made as there is room.
    Ending(Box<Frame>),
}

/// What it is to become, and what there is of it.
pub(super) struct Spooling {
    wanted: Wanted,
    message: Message,
    spool: Spool,
}

/// What becomes of responses while something is done.
struct Shown<'a> {
    sealing: Sealing,
    doing: Option<&'a mut Doing>,
    places: &'a Places,
    in_force: bool,
}

impl Policy for Shown<'_> {
    fn data(&mut self, number: Option<u32>, name: &str) -> Verdict {
        if matches!(self.doing, Some(Doing::Locate(..))) && name == "LIST" {
            return Verdict::Take;
        }
        let asked = self.doing.as_ref().is_some_and(|doing| doing.asks_for(name));
        if ASKED_FOR.contains(&name) && !asked { Verdict::Drop } else { Answers.data(number, name) }
    }

    /// Of what is sealed, only what was asked for: what nobody asked for has no place that both ends know.
    fn item(&mut self, message: &Message, attribute: &Attribute) -> Verdict {
        let verdict = Answers.item(message, attribute);
        if verdict != Verdict::Take {
            return verdict;
        }
        let Some(Doing::Fetch(plan)) = &mut self.doing else { return Verdict::Drop };
        if self.sealing == Sealing::Off {
            return Verdict::Pass;
        }
        let sized = matches!(attribute, Attribute::Known(Item::Rfc822Size, _));
        if sized && plan.size {
            return Verdict::Take;
        }
        let asked = if sized { plan.descriptor.is_some() } else { plan.wanted(attribute).is_some() };
        if !asked {
            return Verdict::Drop;
        }
        let placed = self.places.of(message).is_some();
        plan.left_out |= placed && !self.in_force;
        if placed && self.in_force { Verdict::Take } else { Verdict::Drop }
    }
}

impl Session {
    pub(super) fn take(&mut self, input: &mut &[u8]) -> Result<(), Ended> {
        while self.reads_server() {
            if self.go_on()? {
                continue;
            }
            let (mut part, rest) = input.split_at(input.len().min(PART_MAX));
            let in_force = self.is_in_force();
            let doing = match &mut self.state {
                State::Sent(sent) => Some(&mut sent.doing),
                _ => None,
            };
            let mut shown = Shown { sealing: self.settings.sealing, doing, places: &self.places, in_force };
            let len = part.len();
            let piece = self.responses.next(&mut part, &mut shown);
            *input = &input[len - part.len()..];
            match piece.map_err(|unreadable| Ended::Server(Unfit::Unreadable(unreadable)))? {
                Some(piece) => self.piece(piece)?,
                None if rest.is_empty() => break,
                None => {}
            }
            self.let_speak();
        }
        self.let_speak();
        self.send_octets()
    }

    /// Makes more of a frame whose value is whole; whether there was one.
    fn go_on(&mut self) -> Result<bool, Ended> {
        match &mut self.value {
            Value::Unspooling(frame, spooled) => {
                let mut part = vec![0; SPOOLED_PART];
                let read = spooled.read(&mut part).map_err(|_| Ended::Spool)?;
                frame.feed(&part[..read], &mut self.to_client).map_err(unsealable)?;
                if read == 0
                    && let Value::Unspooling(frame, _) = std::mem::replace(&mut self.value, Value::None)
                {
                    self.value = Value::Ending(frame);
                }
            }
            Value::Ending(frame) => {
                if frame.end(&mut self.to_client).map_err(unsealable)? {
                    self.value = Value::None;
                }
            }
            _ => return Ok(false),
        }
        Ok(true)
    }

    fn piece(&mut self, piece: Piece<'_>) -> Result<(), Ended> {
        match piece {
            Piece::Wire(octets) => self.to_client.extend_from_slice(&octets),
            Piece::Status(status) => self.status(status)?,
            Piece::Continuation(_) => self.continued(),
            Piece::Data(data) => self.data(&data),
            Piece::Take(taken) => self.begin_value(&taken)?,
            Piece::Octets(octets) => match &mut self.value {
                Value::Frame(frame) => frame.feed(&octets, &mut self.to_client).map_err(unsealable)?,
                Value::Spooling(spooling) => spooling.spool.write_all(&octets).map_err(|_| Ended::Spool)?,
                Value::Size(_, digits) if digits.len() + octets.len() <= DIGITS_MAX => {
                    digits.push_str(&String::from_utf8_lossy(&octets));
                }
                _ => return Err(Ended::Server(Unfit::ValueMalformed)),
            },
            Piece::Taken => match std::mem::replace(&mut self.value, Value::None) {
                Value::Frame(frame) => self.value = Value::Ending(frame),
                Value::Size(message, digits) => self.size(message, &digits)?,
                Value::Spooling(spooling) => self.seal_spooled(*spooling)?,
                Value::None | Value::Unspooling(..) | Value::Ending(_) => {}
            },
        }
        Ok(())
    }

    fn data(&mut self, data: &Data) {
        if let Some(server) = data.capabilities() {
            let shown = advertised(self.settings.profile, &server, &self.offered());
            self.to_client.extend_from_slice(format!("* {shown}\r\n").as_bytes());
        } else if let Some(listed) = data.listed() {
            self.places.learn(&listed);
        }
    }

    fn offered(&self) -> Vec<&str> {
        match self.settings.sealing {
            Sealing::On => self.settings.capabilities.iter().map(String::as_str).collect(),
            Sealing::Off => Vec::new(),
        }
    }

    fn status(&mut self, status: Status) -> Result<(), Ended> {
        if let Some(Code::UidValidity(uid_validity)) = status.code {
            match &mut self.state {
                State::Sent(Sent { doing: Doing::Select(selected), .. }) => {
                    selected.uid_validity = Some(uid_validity);
                }
                _ => self.places.renumber(uid_validity),
            }
        }
        let Some(tag) = &status.tag else {
            if status.condition != Condition::PreAuth {
                self.show(&status);
            }
            return Ok(());
        };
        match std::mem::replace(&mut self.state, State::Ready) {
            State::Sent(sent) if sent.tag == *tag => self.completed(sent, &status),
            _ => Err(Ended::Server(Unfit::TagUnknown)),
        }
    }

    fn show(&mut self, status: &Status) {
        let shown = shown(self.settings.profile, &self.offered(), status);
        self.to_client.extend_from_slice(shown.as_bytes());
    }

    fn completed(&mut self, Sent { tag, doing, .. }: Sent, status: &Status) -> Result<(), Ended> {
        let ok = status.condition == Condition::Ok;
        match doing {
            Doing::Locate(then) => {
                self.located(*then);
                return Ok(());
            }
            Doing::Fetch(plan) if plan.left_out && ok => {
                self.noted.refused.push("no_key");
                self.say(&format!("{tag} NO [UNAVAILABLE] {NO_KEY}\r\n"));
                return Ok(());
            }
            Doing::Idle(Idle::Botched) => {
                self.say(&format!("{tag} BAD an IDLE ends with DONE\r\n"));
                return Ok(());
            }
            Doing::Select(selected) if ok => self.places.select(Some(selected)),
            Doing::Leave if ok => self.places.select(None),
            Doing::Append(outgoing) => {
                let shown = shown(self.settings.profile, &self.offered(), status);
                self.remember(&outgoing, &tag, &shown)?;
            }
            Doing::Logout => {
                self.show(status);
                return Err(Ended::LoggedOut);
            }
            _ => {}
        }
        self.show(status);
        Ok(())
    }

    fn begin_value(&mut self, taken: &Taken) -> Result<(), Ended> {
        if matches!(taken.attribute, Attribute::Known(Item::Rfc822Size, _)) {
            self.value = Value::Size(taken.message, String::new());
            return Ok(());
        }
        let wanted = fetching(&self.state).and_then(|plan| plan.wanted(&taken.attribute));
        let wanted = wanted.ok_or_else(malformed)?.clone();
        let kind = kind(taken.kind).ok_or_else(malformed)?;
        let Some(size) = taken.size else {
            let (message, spool) = (taken.message, Spool::new(&mut self.rng));
            self.value = Value::Spooling(Box::new(Spooling { wanted, message, spool }));
            return Ok(());
        };
        let frame = self.frame(&wanted, &taken.message, kind, size)?;
        self.value = Value::Frame(Box::new(frame));
        Ok(())
    }

    /// A list is whole, and its length known.
    fn seal_spooled(&mut self, Spooling { wanted, message, spool }: Spooling) -> Result<(), Ended> {
        let spooled = spool.finish().map_err(|_| Ended::Spool)?;
        let frame = self.frame(&wanted, &message, Kind::List, spooled.len())?;
        self.value = Value::Unspooling(Box::new(frame), Box::new(spooled));
        Ok(())
    }

    /// Begins a frame; that there is a place and a key for it was found out before.
    fn frame(
        &mut self,
        wanted: &Wanted,
        message: &Message,
        kind: Kind,
        value_len: u64,
    ) -> Result<Frame, Ended> {
        let (Some(plan), Some(keys), Some(place)) =
            (fetching(&self.state), &self.keys, self.places.of(message))
        else {
            return Err(malformed());
        };
        let mut salt = [0; SALT_SIZE];
        self.rng.fill_bytes(&mut salt);
        let (form, out) = (plan.form, &mut self.to_client);
        self.noted.sealed += 1;
        Frame::begin(keys.object(), (wanted, &place), (kind, value_len), form, salt, out).map_err(unsealable)
    }

    /// In place of a size: that of what is sealed, the exact one as a descriptor, or both.
    fn size(&mut self, message: Message, digits: &str) -> Result<(), Ended> {
        let size = digits.parse().map_err(|_| malformed())?;
        let in_force = self.is_in_force();
        let State::Sent(Sent { doing: Doing::Fetch(plan), .. }) = &mut self.state else {
            return Err(malformed());
        };
        if plan.size {
            self.to_client.extend_from_slice(format!("RFC822.SIZE {}", sealed_size(size)).as_bytes());
        }
        let Some(wanted) = plan.descriptor.clone() else { return Ok(()) };
        if plan.size {
            if self.places.of(&message).is_none() {
                return Ok(());
            }
            if !in_force {
                plan.left_out = true;
                return Ok(());
            }
            self.to_client.push(b' ');
        }
        let descriptor = descriptor(size);
        let mut frame = self.frame(&wanted, &message, Kind::Literal, descriptor.len() as u64)?;
        frame.feed(descriptor.as_bytes(), &mut self.to_client).map_err(unsealable)?;
        self.value = Value::Ending(Box::new(frame));
        Ok(())
    }
}

const fn fetching(state: &State) -> Option<&Plan> {
    match state {
        State::Sent(Sent { doing: Doing::Fetch(plan), .. }) => Some(&**plan),
        _ => None,
    }
}

const fn malformed() -> Ended {
    Ended::Server(Unfit::ValueMalformed)
}

const fn unsealable(unsealable: Unsealable) -> Ended {
    Ended::Server(Unfit::Unsealable(unsealable))
}

/// Data that answers a command, and is given to nobody who did not ask.
const ASKED_FOR: [&str; 7] = ["ENABLED", "ESEARCH", "LIST", "LSUB", "NAMESPACE", "SEARCH", "STATUS"];
/// Octets of a list that are sealed at once.
const SPOOLED_PART: usize = 16 * 1024;
/// Octets of a number.
const DIGITS_MAX: usize = 20;
