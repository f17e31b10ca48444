//! Deliveries: claimed with a lease that is durable before anything is sent, and settled once.

mod claim;
mod seen;

use std::collections::BTreeSet;
use std::sync::Arc;

use sidekey_protocol::delivery::wire::DeliverySeen;
use sidekey_protocol::delivery::{CarrierName, Dead, Fate, LEASE_S, Outcome, State as Standing};
use sidekey_protocol::ids::{InvitationId, PartyId, ServerName, SessionId, Timestamp, UserName};
use tokio::sync::watch;

use super::engine::{About, Desk, Verdict, key};
use super::record::{Change, Record, Turn};
use super::state::State;
use super::state::outbox::{Entry, What};
use super::view::{Page, Paged, Party};
use super::{Error, Refused, Store, page};

pub use self::claim::Daily;
use self::claim::claims;
pub use self::seen::DeliveryFilter;

/// A delivery that is ours to send, until its claim lapses.
#[derive(Clone, Debug)]
pub struct Claimed {
    /// Its number.
    pub delivery: u32,
    /// What to send.
    pub parcel: Parcel,
    /// At which server.
    pub server: ServerName,
    /// Whose; absent for an invitation.
    pub user: Option<UserName>,
    /// Where to.
    pub to: String,
    /// When the claim lapses: it names the claim.
    pub until: Timestamp,
    /// How often this carrier has tried, this time among them.
    pub attempts: u16,
}

/// What a delivery refers to.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Parcel {
    /// The newest key of a session, for one pairing.
    Session {
        /// Which session.
        session: SessionId,
        /// Which pairing.
        pairing: PartyId,
    },
    /// An invitation.
    Invitation(InvitationId),
    /// What an XDMS keeps of a user.
    Document,
}

/// What came of a claim.
#[derive(Clone, Debug)]
pub struct Settled {
    /// Which delivery.
    pub delivery: u32,
    /// Which claim.
    pub claim: Timestamp,
    /// What came of it.
    pub outcome: Outcome,
}

/// What a carrier asks for when it can take more.
#[derive(Clone)]
pub struct Wanted {
    /// Which carrier.
    pub carrier: CarrierName,
    /// For how many addresses, at most.
    pub most: usize,
    /// For none of these.
    pub busy: BTreeSet<String>,
    /// Where users are reached.
    pub resolve: Resolve,
    /// What it may send in a day.
    pub daily: Option<Arc<Daily>>,
}

impl std::fmt::Debug for Wanted {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Wanted")
            .field("carrier", &self.carrier)
            .field("most", &self.most)
            .finish_non_exhaustive()
    }
}

/// What came of that.
#[derive(Clone, Debug, Default)]
pub struct Claims {
    /// Ours to send.
    pub claimed: Vec<Claimed>,
    /// Given up by the carrier, unsent: which, and why.
    pub given_up: Vec<(u32, Dead)>,
}

/// Where a user is reached by a carrier, where no pairing's address says so.
pub type Resolve = Arc<dyn Fn(&ServerName, &UserName) -> Option<String> + Send + Sync>;

/// What a carrier's worker does.
impl Store {
    /// Moves when something is due for a carrier that was not before.
    #[must_use]
    pub fn deliveries_stirred(&self) -> watch::Receiver<u64> {
        self.shared.outbox.subscribe()
    }

    /// When `carrier` has something to do next.
    #[must_use]
    pub fn next_delivery(&self, carrier: &CarrierName) -> Option<Timestamp> {
        self.shared.read().outbox.next(carrier)
    }

    /// Claims what is due for a carrier. Durable when it returns: whoever dies with a claim leaves it to whoever comes after
    /// its lease.
    ///
    /// # Errors
    /// None but a fault's.
    pub async fn claim_deliveries(&self, wanted: Wanted) -> Result<Claims, Error> {
        let about = About::one(("claims", &wanted.carrier));
        let decide = move |state: &State, desk: &mut Desk<'_>| {
            let (now, until) = (desk.now, desk.now.after_s(LEASE_S));
            let turns = claims(state, &wanted, now, until);
            if turns.is_empty() {
                return Ok(Verdict::Already(Claims::default()));
            }
            let numbers: Vec<u32> = turns.iter().map(|turn| turn.delivery).collect();
            let why = |turn: &Turn| match turn.change {
                Change::GivenUp { why } => Some((turn.delivery, why)),
                _ => None,
            };
            let given_up = turns.iter().filter_map(why).collect();
            let answer = move |state: &State| {
                let claimed = numbers.into_iter().filter_map(|number| state.claimed(number, until)).collect();
                Claims { claimed, given_up }
            };
            Ok(Verdict::Commit(Record::Deliveries { turns }, Box::new(answer)))
        };
        self.engine.commit(about, None, decide).await
    }

    /// Settles claims; of those that have lapsed, and that somebody else has now, nothing.
    ///
    /// # Errors
    /// None but a fault's.
    pub async fn settle_deliveries(&self, settled: Vec<Settled>) -> Result<(), Error> {
        let about = About::These(settled.iter().map(|one| key(("delivery", one.delivery))).collect());
        let decide = move |state: &State, _: &mut Desk<'_>| {
            let turn = |Settled { delivery, claim, outcome }| {
                let entry = state.outbox.get(delivery)?;
                let holds =
                    matches!(entry.progress.state(), Standing::Claimed { until, .. } if *until == claim);
                holds.then(|| turn(delivery, entry, Change::Settled { claim, outcome }))
            };
            Ok(committed(settled.into_iter().filter_map(turn).collect()))
        };
        self.engine.commit(about, None, decide).await.map(drop)
    }

    /// Gives up what a carrier has not brought in its time, and what waits for carriers that are not among `known`; says
    /// whether there may be more.
    ///
    /// # Errors
    /// None but a fault's.
    pub async fn tend_deliveries(&self, known: BTreeSet<CarrierName>) -> Result<bool, Error> {
        let over = {
            let (now, state) = (self.now(), self.shared.read());
            let gone = state.outbox.awaited().any(|name| !known.contains(name));
            let next = state.outbox.next_end();
            if !gone && next.is_none_or(|next| next > now) {
                return Ok(false);
            }
            drop(state);
            move |state: &State, desk: &mut Desk<'_>| Ok(committed(overdue(state, desk.now, &known)))
        };
        let written = self.engine.commit(About::one("deliveries that are over"), None, over).await?;
        Ok(written == TENDED_MAX)
    }

    /// Keeps what a bearer says became of what it took. Whether it means any delivery at all.
    ///
    /// # Errors
    /// None but a fault's.
    pub async fn report_delivery(&self, carrier: CarrierName, id: String, fate: Fate) -> Result<bool, Error> {
        if self.shared.read().outbox.by_receipt(&carrier, &id).is_none() {
            return Ok(false);
        }
        let about = About::one(("report", &carrier, &id));
        let decide = move |state: &State, _: &mut Desk<'_>| {
            let Some(number) = state.outbox.by_receipt(&carrier, &id) else { return Ok(Verdict::Already(0)) };
            let entry = state.outbox.get(number).ok_or(Refused::Absent)?;
            // Said twice, it is written once: anybody may say it, as often as they like.
            let known = matches!(entry.progress.state(), Standing::Sent { fate: Some(known), .. } if known.is_final() || *known == fate);
            let turns = if known { Vec::new() } else { vec![turn(number, entry, Change::Reported { fate })] };
            Ok(committed(turns))
        };
        self.engine.commit(about, None, decide).await.map(|_| true)
    }
}

/// What an administrator does.
impl Store {
    /// Sets where a pairing is reached by a carrier, or that it is not.
    ///
    /// # Errors
    /// [`Refused::Absent`], [`Refused::Lapsed`], [`Refused::Revoked`]: the pairing is no client's, or is over.
    pub async fn set_address(
        &self,
        by: PartyId,
        pairing: PartyId,
        carrier: CarrierName,
        to: Option<String>,
    ) -> Result<Arc<Party>, Error> {
        let decide = move |state: &State, _: &mut Desk<'_>| {
            let (_, found) = state.party(pairing).ok_or(Refused::Absent)?;
            let party = &found.party;
            party.place().and_then(|(_, _, user)| user).ok_or(Refused::Absent)?;
            if party.is_over() {
                party.still_live()?;
            }
            let known = party.addresses.iter().find(|known| known.carrier == carrier).map(|known| &known.to);
            if known == to.as_ref() {
                return Ok(Verdict::Already(party.clone()));
            }
            let seen = move |state: &State| {
                state.party(pairing).map(|(_, state)| state.party.clone()).expect("pairings are kept")
            };
            Ok(Verdict::Commit(Record::Addressed { pairing, carrier, to }, Box::new(seen)))
        };
        self.engine.commit(About::one(pairing), Some(by), decide).await
    }

    /// Has a delivery tried at once, from its first carrier on where it was settled.
    ///
    /// # Errors
    /// [`Refused::Absent`]; [`Refused::Expired`]: what it carries is over.
    pub async fn retry_delivery(&self, by: PartyId, number: u32) -> Result<DeliverySeen, Error> {
        let decide = move |state: &State, desk: &mut Desk<'_>| {
            let entry = state.outbox.get(number).ok_or(Refused::Absent)?;
            if desk.now >= entry.progress.not_after() || !state.is_needed(entry, desk.now) {
                return Err(Refused::Expired.into());
            }
            Ok(shown(turn(number, entry, Change::Retried)))
        };
        self.engine.commit(About::one(("delivery", number)), Some(by), decide).await
    }

    /// Has a delivery tried no more.
    ///
    /// # Errors
    /// [`Refused::Absent`]; [`Refused::Ended`]: it is settled.
    pub async fn cancel_delivery(&self, by: PartyId, number: u32) -> Result<DeliverySeen, Error> {
        let decide = move |state: &State, _: &mut Desk<'_>| {
            let entry = state.outbox.get(number).ok_or(Refused::Absent)?;
            if entry.progress.is_settled() {
                return Err(Refused::Ended.into());
            }
            Ok(shown(turn(number, entry, Change::Cancelled)))
        };
        self.engine.commit(About::one(("delivery", number)), Some(by), decide).await
    }

    /// One delivery.
    #[must_use]
    pub fn delivery(&self, number: u32) -> Option<DeliverySeen> {
        self.shared.read().delivery_seen(number)
    }

    /// The deliveries that are wanted, oldest first.
    #[must_use]
    pub fn deliveries(&self, wanted: Page, filter: &DeliveryFilter) -> Paged<DeliverySeen> {
        let state = self.shared.read();
        let first = u32::try_from(wanted.after).unwrap_or(u32::MAX);
        let seen = |(number, _)| Some((u64::from(number), state.delivery_seen(number)?));
        let items = state.outbox.beginning_at(first).filter_map(seen);
        page(items.filter(|(_, seen)| filter.wants(seen)), wanted)
    }

    /// How many wait for a carrier, or are with it, and when the oldest was made.
    #[must_use]
    pub fn pending_deliveries(&self, carrier: &CarrierName) -> (usize, Option<Timestamp>) {
        self.shared.read().outbox.pending(carrier)
    }
}

fn overdue(state: &State, now: Timestamp, known: &BTreeSet<CarrierName>) -> Vec<Turn> {
    // What is on its way is left to whoever sends it.
    let ours = |(_, entry): &(u32, &Entry)| !matches!(entry.progress.state(), Standing::Claimed { until, .. } if *until > now);
    let over = state.outbox.overdue(now).filter(ours).take(TENDED_MAX).map(|(number, entry)| {
        let why = if now >= entry.progress.not_after() { Dead::Expired } else { Dead::TookTooLong };
        turn(number, entry, Change::GivenUp { why })
    });
    let gone = state.outbox.awaited().filter(|name| !known.contains(*name)).flat_map(|name| {
        let waiting = state.outbox.due(name, Timestamp(u32::MAX)).take(TENDED_MAX);
        waiting.map(|(number, entry)| turn(number, entry, Change::GivenUp { why: Dead::CarrierGone }))
    });
    let mut turns: Vec<Turn> = over.chain(gone).collect();
    turns.sort_by_key(|turn| turn.delivery);
    turns.dedup_by_key(|turn| turn.delivery);
    turns.truncate(TENDED_MAX);
    turns
}

fn turn(delivery: u32, entry: &Entry, change: Change) -> Turn {
    Turn { delivery, carrier: entry.progress.leg().carrier.clone(), change }
}

/// How many turns were written.
fn committed(turns: Vec<Turn>) -> Verdict<usize> {
    match turns.len() {
        0 => Verdict::Already(0),
        count => Verdict::Commit(Record::Deliveries { turns }, Box::new(move |_| count)),
    }
}

fn shown(turn: Turn) -> Verdict<DeliverySeen> {
    let number = turn.delivery;
    let seen = move |state: &State| state.delivery_seen(number).expect("it was there");
    Verdict::Commit(Record::Deliveries { turns: vec![turn] }, Box::new(seen))
}

impl State {
    /// Whether what a delivery carries is of any use still.
    fn is_needed(&self, entry: &Entry, now: Timestamp) -> bool {
        match entry.what {
            What::Session { session, pairing } => {
                self.find_session(session).is_some_and(|slot| slot.is_open(now))
                    && self.party(pairing).is_some_and(|(_, state)| state.party.is_live())
            }
            What::Invitation(id) => self.invitation(id).is_some_and(|(_, invited)| invited.is_open(now)),
            What::Document => true,
        }
    }

    fn address_of(&self, entry: &Entry, carrier: &CarrierName, resolve: &Resolve) -> Option<String> {
        let What::Session { pairing, .. } = entry.what else { return entry.to.clone() };
        let (_, state) = self.party(pairing)?;
        let own = state.party.addresses.iter().find(|known| known.carrier == *carrier);
        let server = &self.servers.get(entry.server as usize)?.name;
        own.map(|own| own.to.clone()).or_else(|| resolve(server, entry.name.as_ref()?))
    }

    fn claimed(&self, number: u32, until: Timestamp) -> Option<Claimed> {
        let Entry { what, server, name, to, progress, .. } = self.outbox.get(number)?;
        let ours = matches!(progress.state(), Standing::Claimed { until: claim, .. } if *claim == until);
        let parcel = match *what {
            What::Session { session, pairing } => Parcel::Session { session, pairing },
            What::Invitation(id) => Parcel::Invitation(id),
            What::Document => Parcel::Document,
        };
        let server = self.servers.get(*server as usize)?.name.clone();
        let (user, to, attempts) = (name.clone(), to.clone()?, progress.attempts());
        ours.then_some(Claimed { delivery: number, parcel, server, user, to, until, attempts })
    }
}

/// Deliveries that one record gives up.
const TENDED_MAX: usize = 256;
