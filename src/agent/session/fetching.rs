//! The answers to a FETCH.

use std::mem;
use std::num::NonZeroU32;

use sidekey_client::spool::Spool;
use sidekey_imap::command::{By, Item, Set, Tag};
use sidekey_imap::response::{Attribute, Condition, Form, Status, Taken, ValueKind, frame_within};
use sidekey_protocol::object::{Context, Reject};

use super::answer::{Answer, Incoming, Omitted, Value, clear};
use super::{Ended, Failing, Running, Session, Unfit, What, Wish, Wished, program};
use crate::alert::{Alert, Changed, Forgery, Plain, Wrong};
use crate::fetch::{Plan, is_clear, read_descriptor};
use crate::object::{Failed, Missing, Opened, Opening, Share, Sink};
use crate::stub;
use crate::told::Expected;
use crate::uids::{Uids, may_name};

/// A FETCH that is upstream.
pub(super) struct Fetching {
    plan: Plan,
    /// The messages that have come, as the command names them.
    came: Uids,
    omitted: Omitted,
    /// The asks that the present response has answered.
    given: Vec<usize>,
}

/// What is to be known about messages that did not come.
pub(super) struct Recount {
    set: Set,
    by: By,
    came: Uids,
    /// Messages that had vanished when they were asked for.
    vanished: u64,
    /// What the program is told when all is in order.
    answer: String,
}

impl Fetching {
    pub(super) const fn new(plan: Plan) -> Self {
        Self { plan, came: Uids::new(), omitted: Omitted::NONE, given: Vec::new() }
    }

    /// The ask that an item answers, if it is one that comes sealed, of a message that was named, for the first time.
    fn due(&self, taken: &Taken) -> Option<usize> {
        let uid = taken.message.uid?;
        let number = if self.plan.by == By::Uid { uid } else { taken.message.number };
        let ask = self.plan.answered(&taken.attribute)?;
        let due = self.plan.asks[ask].sealed.is_some() && may_name(&self.plan.set, number.get());
        let due = due && !self.given.contains(&ask);
        due.then_some(ask)
    }

    /// Frames that every message gives.
    fn frames_due(&self) -> usize {
        self.plan.asks.iter().filter(|ask| ask.sealed.is_some()).count()
    }
}

/// Items of a response.
impl Session {
    pub(super) fn take(&mut self, taken: &Taken) {
        let incoming = self.incoming(taken);
        let answer = self.answer.get_or_insert_with(|| Answer::new(taken.message.number));
        answer.uid = taken.message.uid;
        answer.forged |= matches!(incoming, Incoming::Forged);
        answer.incoming = incoming;
    }

    fn incoming(&mut self, taken: &Taken) -> Incoming {
        let Attribute::Known(item, origin) = &taken.attribute else { return Incoming::Forged };
        if is_clear(item) && origin.is_none() {
            return Incoming::Clear { item: item.clone(), kind: taken.kind, octets: Vec::new() };
        }
        // What it says is the sealed length; the exact one comes in the descriptor.
        if *item == Item::Rfc822Size {
            return Incoming::Skipped;
        }
        let Some(Running { what: What::Fetch(fetching), .. }) = &mut self.running else {
            return Incoming::Forged;
        };
        let Some(ask) = fetching.due(taken) else { return Incoming::Forged };
        fetching.given.push(ask);
        match taken.kind {
            ValueKind::List => Incoming::List { ask, octets: Vec::new() },
            ValueKind::Literal => self.opening(ask, taken.message.uid, Form::Text, false),
            ValueKind::Literal8 => self.opening(ask, taken.message.uid, Form::Octets, false),
            ValueKind::Nil | ValueKind::Quoted | ValueKind::Atom => Incoming::Plain { ask },
        }
    }

    /// A frame that is to be of this very place.
    fn opening(&mut self, ask: usize, uid: Option<NonZeroU32>, form: Form, ended: bool) -> Incoming {
        let (Some(Running { what: What::Fetch(fetching), .. }), Some(mailbox)) =
            (&self.running, &self.mailbox)
        else {
            return Incoming::Plain { ask };
        };
        let (Some(sealed), Some(uid_validity), Some(uid)) =
            (&fetching.plan.asks[ask].sealed, mailbox.uid_validity, uid)
        else {
            return Incoming::Plain { ask };
        };
        let expected = Context::fetch(&mailbox.name, uid_validity, uid, &sealed.item, sealed.partial)
            .expect("a partial is asked of an item that has one");
        let shares = sealed.cuts.iter().map(|cut| {
            let spool = Spool::new(&mut self.rng);
            Share { from: cut.from, to: cut.to, spool }
        });
        let at = sealed.partial.map_or(0, |partial| partial.origin());
        let sink = Sink::new(at, shares.collect());
        Incoming::Frame { ask, opening: Box::new(Opening::new(expected, form, sink)), ended }
    }

    pub(super) fn octets(&mut self, octets: &[u8]) -> Result<(), Ended> {
        let Some(answer) = &mut self.answer else { return Ok(()) };
        match &mut answer.incoming {
            Incoming::Clear { octets: kept, .. } if kept.len() + octets.len() > CLEAR_MAX => {
                Err(self.unfit(Unfit::TooLong))
            }
            Incoming::List { octets: kept, .. } if kept.len() + octets.len() > LIST_MAX => {
                Err(self.unfit(Unfit::TooLong))
            }
            Incoming::Clear { octets: kept, .. } | Incoming::List { octets: kept, .. } => {
                kept.extend_from_slice(octets);
                Ok(())
            }
            Incoming::Frame { opening, .. } => {
                let missing = opening.feed(octets, &mut self.ring, self.now)?;
                self.stall(missing);
                Ok(())
            }
            Incoming::Nothing | Incoming::Skipped | Incoming::Forged | Incoming::Plain { .. } => Ok(()),
        }
    }

    fn stall(&mut self, missing: Option<Missing>) {
        if let Some((session, generation)) = missing {
            self.wish = Wished::Untold(Wish::Key { session, generation });
        }
    }

    /// Goes on with a frame whose key was asked for.
    pub(super) fn unstall(&mut self) -> Result<(), Ended> {
        if self.wish != Wished::Nothing {
            return Ok(());
        }
        let Some(answer) = &mut self.answer else { return Ok(()) };
        let Incoming::Frame { opening, ended, .. } = &mut answer.incoming else { return Ok(()) };
        let ended = *ended;
        let missing = opening.go_on(&mut self.ring, self.now)?;
        self.stall(missing);
        if ended && missing.is_none() { self.taken() } else { Ok(()) }
    }

    pub(super) fn taken(&mut self) -> Result<(), Ended> {
        let Some(answer) = &mut self.answer else { return Ok(()) };
        let uid = answer.uid;
        match mem::replace(&mut answer.incoming, Incoming::Nothing) {
            Incoming::Nothing | Incoming::Skipped | Incoming::Forged => Ok(()),
            Incoming::Clear { item, kind, octets } => {
                self.add_clear(&item, kind, &octets);
                Ok(())
            }
            Incoming::Plain { ask } => self.failed(ask, Failed::Plain),
            Incoming::List { ask, octets } => self.list(ask, uid, &octets),
            Incoming::Frame { ask, opening, .. } => match opening.finish()? {
                Err(failed) => self.failed(ask, failed),
                Ok(opened) => self.opened(ask, opened),
            },
        }
    }

    fn add_clear(&mut self, item: &Item, kind: ValueKind, octets: &[u8]) {
        let plan = match &self.running {
            Some(Running { what: What::Fetch(fetching), .. }) => Some(&fetching.plan),
            _ => None,
        };
        // The UID that we asked for is not what the program did.
        let ours = *item == Item::Uid
            && plan.is_some_and(|plan| plan.by == By::Sequence && plan.place(item).is_none());
        match (clear(item, kind, octets), &mut self.answer) {
            (Some(_), _) if ours => {}
            (Some(value), Some(answer)) => answer.add_clear(plan, item, value),
            (None, Some(answer)) => answer.forged = true,
            (_, None) => {}
        }
    }

    /// The list that stands for an ENVELOPE, a BODYSTRUCTURE or a BODY.
    fn list(&mut self, ask: usize, uid: Option<NonZeroU32>, list: &[u8]) -> Result<(), Ended> {
        let item = match &self.running {
            Some(Running { what: What::Fetch(fetching), .. }) => fetching.plan.asks[ask].asked.item().clone(),
            _ => return Ok(()),
        };
        let Some((form, frame)) = frame_within(&item, list) else { return self.failed(ask, Failed::Plain) };
        let incoming = self.opening(ask, uid, form, true);
        if let Some(answer) = &mut self.answer {
            answer.incoming = incoming;
        }
        self.octets(frame)?;
        if self.wish == Wished::Nothing { self.taken() } else { Ok(()) }
    }

    fn opened(&mut self, ask: usize, opened: Opened) -> Result<(), Ended> {
        let (Some(Running { what: What::Fetch(fetching), .. }), Some(answer)) =
            (&self.running, &mut self.answer)
        else {
            return Ok(());
        };
        self.near = Some(opened.session);
        if let Some(mailbox) = &mut self.mailbox {
            mailbox.opened = true;
        }
        let plan = &fetching.plan;
        let cuts = plan.asks[ask].sealed.iter().flat_map(|sealed| &sealed.cuts);
        let mut malformed = false;
        for (cut, share) in cuts.zip(opened.shares) {
            let value = share.spool.finish()?;
            match (cut.shown, plan.place(&Item::Rfc822Size)) {
                (Some(at), _) => answer.add(plan, at, Value::Opened(opened.kind, value)),
                (None, Some(at)) => match read_size(value)? {
                    Some(size) => answer.add(plan, at, Value::Written(size.to_string().into())),
                    None => malformed = true,
                },
                (None, None) => {}
            }
        }
        if malformed { self.failed(ask, Failed::Wrong(Wrong::ValueMalformed)) } else { Ok(()) }
    }

    /// An item gives no value. What says that the whole connection is of no use ends it.
    fn failed(&mut self, ask: usize, failed: Failed) -> Result<(), Ended> {
        let opened = self.mailbox.as_ref().is_some_and(|mailbox| mailbox.opened);
        let alert = match failed {
            // Nothing is known to be wrong with the message; of a key, it was told when it came.
            Failed::Unreachable | Failed::Distrusted(_) => {
                self.omit(failed);
                return Ok(());
            }
            Failed::Plain => Alert::Downgrade(Plain::Value),
            Failed::Wrong(Wrong::Frame(Reject::OtherMailbox)) => Alert::Reterminated(Changed::Names),
            Failed::Wrong(Wrong::Frame(Reject::OtherUidValidity)) => Alert::Reterminated(Changed::Numbering),
            Failed::Wrong(Wrong::Frame(Reject::OtherSubject)) if !opened => {
                Alert::Reterminated(Changed::Uids)
            }
            Failed::Wrong(wrong) => Alert::Tampered(wrong),
        };
        if alert.ends() {
            return Err(self.refuse(alert));
        }
        self.alert(alert);
        match self.settings.failing {
            Failing::Omit => self.omit(failed),
            Failing::Stub => self.stand_in(ask),
        }
        Ok(())
    }

    fn omit(&mut self, failed: Failed) {
        if let Some(Running { what: What::Fetch(fetching), .. }) = &mut self.running {
            fetching.omitted.note(failed);
        }
    }

    /// Gives what stands for a message that does not hold.
    fn stand_in(&mut self, ask: usize) {
        let (Some(Running { what: What::Fetch(fetching), .. }), Some(answer)) =
            (&self.running, &mut self.answer)
        else {
            return;
        };
        let plan = &fetching.plan;
        for cut in plan.asks[ask].sealed.iter().flat_map(|sealed| &sealed.cuts) {
            match (cut.shown, plan.place(&Item::Rfc822Size)) {
                (Some(at), _) => answer.add(plan, at, Value::Written(stub::value(&plan.shown[at]))),
                (None, Some(at)) => answer.add(plan, at, Value::Written(stub::SIZE.to_string().into())),
                (None, None) => {}
            }
        }
    }
}

/// Responses, and the command's end.
impl Session {
    /// A response is whole.
    pub(super) fn answered(&mut self) -> Result<(), Ended> {
        let Some(answer) = self.answer.take() else { return Ok(()) };
        let fits = self.present().is_some_and(|mailbox| mailbox.see(answer.number, answer.uid));
        let mut forged = answer.forged;
        if let Some(Running { what: What::Fetch(fetching), .. }) = &mut self.running {
            let (frames, due) = (mem::take(&mut fetching.given).len(), fetching.frames_due());
            fetching.omitted.refused |= frames > 0 && !fits;
            let named = if fetching.plan.by == By::Uid { answer.uid } else { Some(answer.number) };
            // Without frames, where there should be some, it is news of flags.
            let comes = fits && answer.uid.is_some() && (frames > 0 || due == 0);
            if let Some(named) = named.filter(|_| comes) {
                let first = fetching.came.insert(named.get());
                forged |= frames > 0 && !first;
                fetching.omitted.refused |= frames < due;
            }
        }
        if forged || !fits {
            self.alert(Alert::Forged(if forged { Forgery::Content } else { Forgery::Number }));
            return Ok(());
        }
        Ok(answer.render(&mut self.out)?)
    }

    /// The FETCH is answered.
    pub(super) fn fetched(&mut self, tag: Option<Tag>, fetching: Fetching, status: &Status) {
        let Some(name) = tag.as_ref().map(|tag| tag.as_str().to_owned()) else { return };
        let Fetching { plan, came, omitted, .. } = fetching;
        if status.condition != Condition::Ok {
            return self.tell(status, &name, Expected::Usual);
        }
        if let Some(text) = omitted.text() {
            return self.answer(tag.as_ref(), "NO", &text);
        }
        let Some(mailbox) = &self.mailbox else { return self.tell(status, &name, Expected::Usual) };
        let missing = mailbox.missing(&plan.set, plan.by, &came);
        if missing == 0 || !plan.answers_all() {
            return self.tell(status, &name, Expected::Usual);
        }
        // Perhaps they are gone, and the mail server had no occasion to say so.
        let vanished = mailbox.vanished;
        let answer = status.text.clone();
        let recount = Recount { set: plan.set, by: plan.by, came, vanished, answer };
        self.start(tag, What::Recount(Box::new(recount)), program::noop());
    }

    /// Whether messages that did not come are gone.
    pub(super) fn recounted(&mut self, tag: Option<&Tag>, recount: &Recount) {
        let Recount { set, by, came, vanished, answer } = recount;
        let messages = self.mailbox.as_ref().map_or(0, |mailbox| {
            let explained = match by {
                By::Uid => mailbox.unattributed,
                By::Sequence => mailbox.vanished - vanished,
            };
            let exists = mailbox.exists.saturating_add(u32::try_from(explained).unwrap_or(u32::MAX));
            mailbox.missing_of(exists, set, *by, came).saturating_sub(explained)
        });
        if messages == 0 {
            return self.answer(tag, "OK", answer);
        }
        let alert = Alert::Missing { messages };
        self.alert(alert);
        self.answer(tag, "NO", &alert.to_string());
    }
}

fn read_size(mut value: impl std::io::Read) -> Result<Option<u64>, Ended> {
    let mut octets = Vec::new();
    value.read_to_end(&mut octets)?;
    Ok(read_descriptor(&octets))
}

/// Octets of the longest value in the clear: flags.
const CLEAR_MAX: usize = 64 * 1024;
/// Octets of a list with a frame in it: an ENVELOPE of 60,000 recipients has 2.6 million, and half as many more in base64.
const LIST_MAX: usize = 8 * 1024 * 1024;
