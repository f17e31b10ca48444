//! The writer's thread: decide, append, sync, apply, answer.

use std::collections::{HashSet, VecDeque};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Instant;

use rand_core::Rng as _;
use tokio::sync::{mpsc, oneshot};

use super::{About, Decision, Desk, Done, Order, QUEUE_MAX, Shared};
use crate::fault::{Damage, Fault};
use crate::store::journal::{BATCH_MAX, Journal, Text, Unwritten};
use crate::store::policy::AT_ONCE;
use crate::store::record::{Entry, Record};

/// The thread's own.
pub(super) struct Writer {
    journal: Journal,
    shared: Arc<Shared>,
    queue: mpsc::Receiver<Order>,
    /// Decisions that a batch could not take, in order.
    waiting: VecDeque<Decision>,
}

/// Records that are decided, and whom to tell.
#[derive(Default)]
struct Batch {
    entries: Vec<Entry>,
    texts: Vec<Text>,
    done: Vec<Done>,
    about: HashSet<u64>,
    everything: bool,
    /// May use the space that is kept for what ends things, and for what makes room.
    urgent: bool,
}

impl Batch {
    fn admits(&self, about: &About) -> bool {
        match about {
            _ if self.everything || self.texts.len() >= BATCH_MAX => false,
            About::Clock | About::Everything => self.texts.is_empty(),
            About::These(keys) => !keys.iter().any(|key| self.about.contains(key)),
        }
    }

    fn push(&mut self, entry: Entry, after: u64, about: About, done: Done) {
        self.texts.push(entry.text(after + self.texts.len() as u64 + 1));
        self.urgent =
            matches!(entry.record, Record::Revoked { .. } | Record::HeadShown { .. } | Record::Pruned(_));
        self.entries.push(entry);
        self.done.push(done);
        match about {
            About::Clock | About::Everything => self.everything = true,
            About::These(keys) => self.about.extend(keys),
        }
    }
}

impl Writer {
    pub(super) const fn new(journal: Journal, shared: Arc<Shared>, queue: mpsc::Receiver<Order>) -> Self {
        Self { journal, shared, queue, waiting: VecDeque::new() }
    }

    pub(super) fn run(mut self) {
        let mut closing = None;
        while self.fill(&mut closing) {
            let batch = self.decide();
            if !batch.texts.is_empty() && self.commit(batch).is_err() {
                break;
            }
        }
        // Whoever still waits is told by its dropped sender.
        drop(self.journal);
        if let Some(done) = closing {
            let _: Result<(), ()> = done.send(());
        }
    }

    /// Takes what is queued, and waits for something if nothing is; false when there will be no more.
    fn fill(&mut self, closing: &mut Option<oneshot::Sender<()>>) -> bool {
        if self.waiting.is_empty() {
            let order = if closing.is_some() { None } else { self.queue.blocking_recv() };
            let Some(order) = order else { return false };
            self.take(order, closing);
        }
        while closing.is_none() && self.waiting.len() < QUEUE_MAX {
            let Ok(order) = self.queue.try_recv() else { break };
            self.take(order, closing);
        }
        !self.shared.fenced.load(Ordering::Acquire)
    }

    fn take(&mut self, order: Order, closing: &mut Option<oneshot::Sender<()>>) {
        match order {
            Order::Decide(decision) => self.waiting.push_back(decision),
            Order::Roll => self.roll(),
            Order::Sweep(count) => {
                let now = self.shared.time();
                let mut state = self.shared.write();
                state.sweep(count, now);
                self.shared.last_at.store(state.last_at.0, Ordering::Release);
            }
            Order::Close(done) => *closing = Some(done),
        }
    }

    /// Goes on in a new segment; where the disk has no room for one, in the old one as before.
    fn roll(&mut self) {
        match self.journal.roll_on() {
            Ok(()) if self.shared.is_full() => tracing::info!("the disk has room again: the journal goes on"),
            Ok(()) | Err(Unwritten::Refused(_)) => {}
            // Nobody waits for an answer: the next one is refused.
            Err(Unwritten::Broken(fault)) => drop(self.fence(&fault)),
        }
        self.shared.full.store(self.journal.is_full(), Ordering::Release);
    }

    /// Decides what can be decided now; the rest waits, and nothing overtakes what it must not.
    fn decide(&mut self) -> Batch {
        let mut batch = Batch::default();
        let mut later = VecDeque::new();
        let (mut blocked, mut barrier) = (HashSet::new(), false);
        let shared = &self.shared;
        let state = shared.read();
        while let Some(decision) = self.waiting.pop_front() {
            let overtakes = match &decision.about {
                About::Clock | About::Everything => !later.is_empty(),
                About::These(keys) => keys.iter().any(|key| blocked.contains(key)),
            };
            if barrier || overtakes || !batch.admits(&decision.about) {
                match &decision.about {
                    About::Clock | About::Everything => barrier = true,
                    About::These(keys) => blocked.extend(keys.iter().copied()),
                }
                later.push_back(decision);
                continue;
            }
            let Decision { about, by, decide } = decision;
            // A clock that went back stops everything but what ends things.
            let at = match (shared.now(), &about) {
                (Err(_), About::Clock) => Ok(shared.clock.now()),
                (Err(_), About::Everything) => Ok(state.last_at),
                (now, _) => now,
            };
            let mut rng = shared.rng();
            let (at, desk) = match at {
                Ok(now) => (now, Ok(Desk { now, at_rest: &shared.at_rest, rng: &mut rng })),
                Err(fault) => (state.last_at, Err(fault)),
            };
            if let Some((record, done)) = decide(&state, desk) {
                let mut salt = [0; 16];
                rng.fill_bytes(&mut salt);
                let whom = state.whom(&record);
                batch.push(Entry { salt, at, by, record, whom }, self.journal.end().seq, about, done);
            }
        }
        drop(state);
        self.waiting = later;
        batch
    }

    /// Makes a batch durable, then effective, then known.
    fn commit(&mut self, batch: Batch) -> Result<(), ()> {
        let Batch { entries, texts, done, urgent, .. } = batch;
        let shared = self.shared.clone();
        let (meter, since) = (shared.meter.get(), Instant::now());
        let positions = match self.journal.append(&texts, urgent) {
            Ok(positions) => positions,
            Err(Unwritten::Refused(fault)) => {
                meter.inspect(|meter| meter.unwritten());
                self.shared.full.store(matches!(fault, Fault::Full), Ordering::Release);
                for done in done {
                    done(Err(again(&fault)));
                }
                return Ok(());
            }
            Err(Unwritten::Broken(fault)) => {
                meter.inspect(|meter| meter.unwritten());
                return self.fence(&fault);
            }
        };
        if let (Some(meter), Some(last)) = (meter, entries.last()) {
            meter.durable(entries.len(), self.journal.synced_in, last.at);
        }
        self.shared.full.store(self.journal.is_full(), Ordering::Release);
        for ((position, text), (entry, done)) in
            positions.into_iter().zip(texts).zip(entries.into_iter().zip(done))
        {
            meter.inspect(|meter| meter.took_effect(&entry.record));
            let mut state = self.shared.write();
            let Ok(events) = state.apply(position, &text.body, entry) else {
                drop(state);
                let (segment, record) = (0, position.seq);
                return self.fence(&Fault::Corrupt { segment, record, damage: Damage::Effect });
            };
            self.shared.last_at.store(state.last_at.0, Ordering::Release);
            self.shared.feed.publish(position.seq, events);
            // Whoever is answered finds that the others were told.
            done(Ok(&state));
        }
        if self.carry() {
            self.shared.outbox.send_modify(|moves| *moves += 1);
        }
        meter.inspect(|meter| meter.committed(since));
        Ok(())
    }

    /// Carries a change of policy on to its sessions, before anything else is decided; readers get their turn. Whether any
    /// of what was done since makes a delivery due.
    fn carry(&self) -> bool {
        loop {
            let mut state = self.shared.write();
            if !state.carry(AT_ONCE) {
                return state.outbox.take_stirred();
            }
            drop(state);
            std::thread::yield_now();
        }
    }

    /// After a failed write nothing may be trusted: no more answers.
    fn fence(&self, fault: &Fault) -> Result<(), ()> {
        self.shared.fenced.store(true, Ordering::Release);
        (self.shared.on_fence)(fault);
        Err(())
    }
}

/// The same refusal for everybody in a batch.
const fn again(fault: &Fault) -> Fault {
    match fault {
        Fault::RecordTooLarge => Fault::RecordTooLarge,
        _ => Fault::Full,
    }
}

#[cfg(test)]
mod tests;
