//! What runs beside the service: a worker for each carrier, and one that looks for what is over.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::{Duration, Instant};

use rand_core::Rng as _;
use sidekey_carrier::{Refusal, Trouble, Undelivered};
use sidekey_protocol::delivery::{CarrierName, Dead, LEASE_S, Outcome, retry_after_s};
use sidekey_protocol::ids::Timestamp;
use tokio::task::JoinSet;

use super::Outbox;
use super::bearer::Bearer;
use super::reports::keep_early;
use super::seal::{Made, made};
use crate::fault::Fault;
use crate::store::{Claimed, Claims, Settled, Wanted};

/// Sends what is due for one carrier until the service stops, then waits for what is on its way.
pub(super) async fn run(outbox: Arc<Outbox>, bearer: Arc<Bearer>) {
    let mut stirred = outbox.store.deliveries_stirred();
    let mut sending: JoinSet<String> = JoinSet::new();
    let mut busy: BTreeSet<String> = BTreeSet::new();
    while !outbox.stopping.is_cancelled() {
        let now = outbox.store.now();
        let room = bearer.room(sending.len(), now);
        let next = outbox.store.next_delivery(&bearer.name);
        // Marked as seen before it is looked for: what stirs meanwhile wakes us again.
        stirred.mark_unchanged();
        if room > 0 && next.is_some_and(|next| next <= now) {
            let claimed = claim(&outbox, &bearer, room, &busy).await;
            let any = !claimed.is_empty();
            for (to, group) in grouped(claimed, bearer.leg().keeps) {
                busy.insert(to.clone());
                sending.spawn(send(outbox.clone(), bearer.clone(), to, group));
            }
            if any {
                continue;
            }
        }
        let waits = next.is_some() || bearer.paused(now).0.is_some();
        tokio::select! {
            () = outbox.stopping.cancelled() => {}
            Some(sent) = sending.join_next() => drop(sent.map(|to| busy.remove(&to))),
            // While it is left alone, or has all that it may have, nobody is woken for what is added.
            moved = stirred.changed(), if room > 0 => drop(moved),
            () = tokio::time::sleep(TICK), if waits => {}
        }
    }
    while sending.join_next().await.is_some() {}
}

async fn claim(outbox: &Outbox, bearer: &Arc<Bearer>, room: usize, busy: &BTreeSet<String>) -> Vec<Claimed> {
    let store = &outbox.store;
    // A service whose clock went back, or that was restored from an older copy, gives no keys: by no way.
    if let Err(fault) = store.ready()
        && !matches!(fault, Fault::Full)
    {
        return Vec::new();
    }
    let (carrier, busy) = (bearer.name.clone(), busy.clone());
    let (resolve, daily) = (bearer.resolve(), bearer.daily.clone());
    match store.claim_deliveries(Wanted { carrier, most: room, busy, resolve, daily }).await {
        Ok(Claims { claimed, given_up }) => {
            for (delivery, why) in given_up {
                bearer.meter.not_sent(why);
                tracing::warn!(carrier = %bearer.name, delivery, why = why.as_str(), "a delivery is not sent");
            }
            claimed
        }
        Err(error) => {
            tracing::debug!(error = &error as &dyn std::error::Error, "nothing can be claimed");
            Vec::new()
        }
    }
}

/// What one sending is for: one delivery, or all for a document.
fn grouped(claimed: Vec<Claimed>, keeps: bool) -> Vec<(String, Vec<Claimed>)> {
    if !keeps {
        return claimed.into_iter().map(|claimed| (claimed.to.clone(), vec![claimed])).collect();
    }
    let mut groups: BTreeMap<String, Vec<Claimed>> = BTreeMap::new();
    for claimed in claimed {
        groups.entry(claimed.to.clone()).or_default().push(claimed);
    }
    groups.into_iter().collect()
}

/// Sends, settles, and says where it went.
async fn send(outbox: Arc<Outbox>, bearer: Arc<Bearer>, to: String, group: Vec<Claimed>) -> String {
    let since = Instant::now();
    let outcome = attempt(&outbox, &bearer, &group).await;
    bearer.meter.attempted(&outcome, since.elapsed());
    let settled = group.into_iter().map(|claimed| {
        let (delivery, claim, outcome) = (claimed.delivery, claimed.until, outcome.clone());
        Settled { delivery, claim, outcome }
    });
    if let Err(error) = outbox.store.settle_deliveries(settled.collect()).await {
        let error = &error as &dyn std::error::Error;
        tracing::warn!(error, carrier = %bearer.name, "what became of a delivery is not kept: it is sent again");
    }
    if let Outcome::Sent { receipts } = &outcome {
        keep_early(&outbox.store, &bearer, receipts).await;
    }
    to
}

async fn attempt(outbox: &Outbox, bearer: &Bearer, group: &[Claimed]) -> Outcome {
    let Some(first) = group.first() else { return given_up(Dead::Unfit, None) };
    let (Some(address), Some(carrier)) = (bearer.address(&first.to), bearer.carrier()) else {
        return given_up(Dead::Unfit, None);
    };
    let mut rng = outbox.rng.clone();
    let attempts = group.iter().map(|claimed| claimed.attempts).max().unwrap_or(1);
    let made = match made(&outbox.store, &outbox.public_url, bearer, first, &mut rng) {
        Ok(made) => made,
        Err(fault) => {
            tracing::error!(error = &fault as &dyn std::error::Error, "a delivery cannot be made");
            let at = outbox.store.now().after_s(retry_after_s(attempts, 0, rng.next_u32()));
            return Outcome::PutOff { at, trouble: "the service has a fault".to_owned() };
        }
    };
    let sent = match made {
        Made::Over(why) => return given_up(why, None),
        Made::Payload(payload) => {
            let sending =
                async { carrier.send(&address, &payload).await.map(|receipt| receipt.ids().to_vec()) };
            tokio::time::timeout(DEADLINE, sending).await
        }
        Made::Nothing => {
            let taken_back = async { carrier.withdraw(&address).await.map(|()| Vec::new()) };
            tokio::time::timeout(DEADLINE, taken_back).await
        }
    };
    let jitter = rng.next_u32();
    let now = outbox.store.now();
    match sent.unwrap_or(Err(Undelivered::Retry { after: Duration::ZERO, why: Trouble::Deadline })) {
        Ok(ids) => {
            bearer.well();
            Outcome::Sent { receipts: ids.iter().map(|id| id.as_str().to_owned()).collect() }
        }
        Err(Undelivered::Refused(refusal)) => {
            bearer.well();
            refused(&refusal)
        }
        Err(Undelivered::Retry { after, why }) => put_off(bearer, why, after, attempts, now, jitter),
    }
}

fn refused(refusal: &Refusal) -> Outcome {
    let why = match refusal {
        Refusal::AddressKind | Refusal::PayloadKind => Dead::Unfit,
        Refusal::Address | Refusal::Conflict(_) | Refusal::Status(_) => Dead::Refused,
    };
    given_up(why, Some(refusal.to_string()))
}

fn put_off(
    bearer: &Bearer,
    why: Trouble,
    after: Duration,
    attempts: u16,
    now: Timestamp,
    jitter: u32,
) -> Outcome {
    let asked_s = u32::try_from(after.as_secs()).unwrap_or(u32::MAX);
    if why != Trouble::Changing {
        // Only what the bearer itself asked for is more than we would wait.
        let asked_s = if matches!(why, Trouble::Throttled | Trouble::QueueFull) { asked_s } else { 0 };
        bearer.ill(why, asked_s, now, jitter);
    }
    let at = now.after_s(retry_after_s(attempts, asked_s.min(RETRY_ASKED_MAX_S), jitter));
    Outcome::PutOff { at, trouble: why.to_string() }
}

const fn given_up(why: Dead, detail: Option<String>) -> Outcome {
    Outcome::GivenUp { why, detail }
}

/// Gives up what carriers have not brought in their time, as soon as that is over.
pub(super) async fn tend(outbox: Arc<Outbox>) {
    let known: BTreeSet<CarrierName> = outbox.bearers.keys().cloned().collect();
    let mut tick = tokio::time::interval(TENDING);
    loop {
        tokio::select! {
            () = outbox.stopping.cancelled() => return,
            _ = tick.tick() => {}
        }
        let now = outbox.store.now();
        for bearer in outbox.bearers.values() {
            let waiting = outbox.store.pending_deliveries(&bearer.name);
            bearer.meter.waiting(waiting, bearer.paused(now).0.is_some(), now);
        }
        let tended = loop {
            match outbox.store.tend_deliveries(known.clone()).await {
                Ok(true) => {}
                other => break other,
            }
        };
        if let Err(error) = tended {
            tracing::debug!(error = &error as &dyn std::error::Error, "deliveries are not tended");
        }
    }
}

/// How often a worker looks at the clock while something waits for a later time.
const TICK: Duration = Duration::from_millis(250);
/// Between two looks for what is over.
const TENDING: Duration = Duration::from_millis(500);
/// For one sending: it is over before its claim lapses.
const DEADLINE: Duration = Duration::from_secs(LEASE_S as u64 - 10);
/// Seconds that a bearer may ask for before the next try.
const RETRY_ASKED_MAX_S: u32 = 900;
