//! The outbox in memory: deliveries by number, in order of when each is due, and by whom they are for.
//!
//! Looking for what is due, or over, never walks the whole of it: each carrier's deliveries stand in the order of their
//! times, so ten thousand that wait cost nobody anything.

use std::collections::hash_map::Entry as Found;
use std::collections::{BTreeMap, BTreeSet, HashMap};

use serde::{Deserialize, Serialize};
use sidekey_protocol::delivery::{CarrierName, Progress, State as Standing};
use sidekey_protocol::ids::{InvitationId, PartyId, SessionId, Timestamp, UserName};

/// A delivery: a reference to what it carries, never the thing itself.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub(in crate::store) struct Entry {
    pub(in crate::store) what: What,
    /// Handles; a user that has no state yet is named alone.
    pub(in crate::store) server: u32,
    pub(in crate::store) user: Option<u32>,
    pub(in crate::store) name: Option<UserName>,
    /// Where it goes: an invitation's from the beginning, others' since a carrier had them.
    pub(in crate::store) to: Option<String>,
    pub(in crate::store) progress: Progress,
}

/// What a delivery carries.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub(in crate::store) enum What {
    /// The newest key of a session, for one pairing.
    Session { session: SessionId, pairing: PartyId },
    /// An invitation.
    Invitation(InvitationId),
    /// What an XDMS keeps of a user: without what is over.
    Document,
}

/// Every delivery that is not forgotten.
#[derive(Debug, Default)]
pub(in crate::store) struct Outbox {
    entries: BTreeMap<u32, Entry>,
    carriers: BTreeMap<CarrierName, Pending>,
    /// When each that is not settled is to be given up by its carrier.
    ends: BTreeSet<(Timestamp, u32)>,
    /// When each that is settled may be forgotten.
    settled: BTreeSet<(Timestamp, u32)>,
    by_user: BTreeSet<(u32, u32)>,
    by_receipt: HashMap<(CarrierName, String), u32>,
    /// Something is due that was not before.
    stirred: bool,
}

/// What waits for a carrier, or is with it.
#[derive(Debug, Default)]
struct Pending {
    due: BTreeSet<(Timestamp, u32)>,
    numbers: BTreeSet<u32>,
}

impl Entry {
    /// When it may be forgotten, once it is settled. What was sent is kept for as long as a newer key may follow it.
    fn kept_until(&self) -> Timestamp {
        let kept_s =
            if matches!(self.progress.state(), Standing::Dead { .. }) { DEAD_KEPT_S } else { SENT_KEPT_S };
        self.progress.not_after().after_s(kept_s)
    }
}

impl Outbox {
    pub(in crate::store) fn get(&self, number: u32) -> Option<&Entry> {
        self.entries.get(&number)
    }

    /// From `number` on, oldest first.
    pub(in crate::store) fn beginning_at(&self, number: u32) -> impl Iterator<Item = (u32, &Entry)> {
        self.entries.range(number..).map(|(&number, entry)| (number, entry))
    }

    /// What is for a user, oldest first.
    pub(in crate::store) fn of_user(&self, user: u32) -> Vec<u32> {
        self.by_user.range((user, 0)..=(user, u32::MAX)).map(|&(_, number)| number).collect()
    }

    /// What a carrier may try now, longest due first.
    pub(in crate::store) fn due(
        &self,
        carrier: &CarrierName,
        now: Timestamp,
    ) -> impl Iterator<Item = (u32, &Entry)> {
        let due = self.carriers.get(carrier).into_iter().flat_map(|pending| &pending.due);
        due.take_while(move |(at, _)| *at <= now).filter_map(|&(_, number)| Some((number, self.get(number)?)))
    }

    /// When a carrier has something to do next.
    pub(in crate::store) fn next(&self, carrier: &CarrierName) -> Option<Timestamp> {
        self.carriers.get(carrier)?.due.first().map(|&(at, _)| at)
    }

    /// How many wait for a carrier, or are with it, and when the oldest was made.
    pub(in crate::store) fn pending(&self, carrier: &CarrierName) -> (usize, Option<Timestamp>) {
        let Some(pending) = self.carriers.get(carrier) else { return (0, None) };
        let oldest = pending.numbers.first().and_then(|&number| self.get(number));
        (pending.numbers.len(), oldest.map(|entry| entry.progress.created()))
    }

    /// Carriers for which something waits.
    pub(in crate::store) fn awaited(&self) -> impl Iterator<Item = &CarrierName> {
        self.carriers.iter().filter(|(_, pending)| !pending.numbers.is_empty()).map(|(name, _)| name)
    }

    /// Those whose carrier's time is over, longest first.
    pub(in crate::store) fn overdue(&self, now: Timestamp) -> impl Iterator<Item = (u32, &Entry)> {
        let over = self.ends.iter().take_while(move |(end, _)| *end <= now);
        over.filter_map(|&(_, number)| Some((number, self.get(number)?)))
    }

    /// When the next carrier's time is over.
    pub(in crate::store) fn next_end(&self) -> Option<Timestamp> {
        self.ends.first().map(|&(end, _)| end)
    }

    /// Which one a bearer means.
    pub(in crate::store) fn by_receipt(&self, carrier: &CarrierName, id: &str) -> Option<u32> {
        self.by_receipt.get(&(carrier.clone(), bare_receipt(id))).copied()
    }

    /// Whether something has become due since this was asked last.
    pub(in crate::store) fn take_stirred(&mut self) -> bool {
        std::mem::take(&mut self.stirred)
    }

    pub(super) fn put(&mut self, number: u32, entry: Entry) {
        self.take(number);
        let carrier = entry.progress.leg().carrier.clone();
        match entry.progress.due() {
            Some(due) => {
                self.stirred |= matches!(entry.progress.state(), Standing::Queued { .. });
                let pending = self.carriers.entry(carrier).or_default();
                pending.due.insert((due, number));
                pending.numbers.insert(number);
                self.ends.insert((entry.progress.patience_ends(), number));
            }
            None => {
                self.settled.insert((entry.kept_until(), number));
                for id in receipts(&entry) {
                    self.by_receipt.insert((carrier.clone(), bare_receipt(id)), number);
                }
            }
        }
        self.by_user.extend(entry.user.map(|user| (user, number)));
        self.entries.insert(number, entry);
    }

    pub(super) fn take(&mut self, number: u32) -> Option<Entry> {
        let entry = self.entries.remove(&number)?;
        let carrier = &entry.progress.leg().carrier;
        match entry.progress.due() {
            Some(due) => {
                if let Some(pending) = self.carriers.get_mut(carrier) {
                    pending.due.remove(&(due, number));
                    pending.numbers.remove(&number);
                }
                self.ends.remove(&(entry.progress.patience_ends(), number));
            }
            None => {
                self.settled.remove(&(entry.kept_until(), number));
                for id in receipts(&entry) {
                    // A bearer may have called another one so since: it means that one now.
                    if let Found::Occupied(named) = self.by_receipt.entry((carrier.clone(), bare_receipt(id)))
                        && *named.get() == number
                    {
                        named.remove();
                    }
                }
            }
        }
        if let Some(user) = entry.user {
            self.by_user.remove(&(user, number));
        }
        Some(entry)
    }

    /// Forgets what was settled long enough ago, and says which.
    pub(super) fn sweep(&mut self, now: Timestamp) -> Vec<u32> {
        let over: Vec<u32> =
            self.settled.iter().take_while(|(kept, _)| *kept <= now).map(|&(_, number)| number).collect();
        for &number in &over {
            self.take(number);
        }
        over
    }

    /// Numbers of all of them.
    pub(in crate::store) fn numbers(&self) -> impl Iterator<Item = u32> {
        self.entries.keys().copied()
    }
}

fn receipts(entry: &Entry) -> &[String] {
    match entry.progress.state() {
        Standing::Sent { receipts, .. } => receipts,
        _ => &[],
    }
}

/// As bearers may spell an id again: they change its case, and lose its zeros.
pub(crate) fn bare_receipt(id: &str) -> String {
    id.trim_start_matches('0').to_ascii_lowercase()
}

/// Seconds for which a delivery that was sent is shown after its key is over.
const SENT_KEPT_S: u32 = 600;
/// Seconds for which a dead one is shown after its key is over.
const DEAD_KEPT_S: u32 = 86_400;
