//! What a carrier may have next: what is due, has an address, and is not too much for a day.

use std::collections::{BTreeMap, BTreeSet};

use sidekey_protocol::delivery::{CarrierName, Dead};
use sidekey_protocol::ids::Timestamp;

use super::super::record::{Change, Turn};
use super::super::state::State;
use super::{Wanted, turn};

/// The claims of one record: in the order in which they are due. Those for one address come together, where its bearer
/// keeps a document: one writing is enough for all of them.
pub(super) fn claims(state: &State, wanted: &Wanted, now: Timestamp, until: Timestamp) -> Vec<Turn> {
    let Wanted { carrier, most, busy, resolve, daily } = wanted;
    let mut count = Count { state, carrier, now, fresh: BTreeMap::new() };
    let (mut turns, mut addresses, mut alone) = (Vec::new(), BTreeSet::new(), 0);
    for (number, entry) in state.outbox.due(carrier, now).take(CLAIMS_MAX) {
        let give_up = |why| turn(number, entry, Change::GivenUp { why });
        if now >= entry.progress.not_after() {
            continue;
        }
        let Some(to) = state.address_of(entry, carrier, resolve) else {
            turns.push(give_up(Dead::AddressMissing));
            continue;
        };
        let keeps = entry.progress.leg().keeps;
        if keeps && busy.contains(&to) {
            continue;
        }
        if addresses.len() + alone >= *most && !(keeps && addresses.contains(&to)) {
            break;
        }
        let counted = match daily.as_ref().map(|daily| count.admit(daily, &to)).transpose() {
            Ok(counted) => counted.unwrap_or_default(),
            Err(why) => {
                turns.push(give_up(why));
                continue;
            }
        };
        if keeps {
            addresses.insert(to.clone());
        } else {
            alone += 1;
        }
        turns.push(turn(number, entry, Change::Claimed { until, to, counted }));
    }
    turns
}

/// What a carrier may send in a day of UTC.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Daily {
    /// To one address.
    pub per_address: u32,
    /// In all.
    pub total: u32,
    /// To phones of each prefix; where there is any, nothing goes to others.
    pub prefixes: BTreeMap<String, u32>,
}

/// What was counted today, and is about to be.
struct Count<'a> {
    state: &'a State,
    carrier: &'a CarrierName,
    now: Timestamp,
    fresh: BTreeMap<String, u32>,
}

impl Count<'_> {
    /// The names under which one more is counted, unless it would be too many.
    fn admit(&mut self, daily: &Daily, to: &str) -> Result<Vec<String>, Dead> {
        let mut names = vec![(String::new(), daily.total, Dead::LimitTotal)];
        if !daily.prefixes.is_empty() {
            // The longest that fits.
            let fits = daily.prefixes.iter().filter(|(prefix, _)| to.starts_with(prefix.as_str()));
            let (prefix, most) = fits.max_by_key(|(prefix, _)| prefix.len()).ok_or(Dead::LimitPrefix)?;
            names.push((prefix.clone(), *most, Dead::LimitPrefix));
        }
        names.push((to.to_owned(), daily.per_address, Dead::LimitAddress));
        for (name, most, why) in &names {
            let fresh = self.fresh.get(name).copied().unwrap_or(0);
            if self.state.tallies.today(self.carrier, name, self.now).saturating_add(fresh) >= *most {
                return Err(*why);
            }
        }
        let names: Vec<String> = names.into_iter().map(|(name, ..)| name).collect();
        names.iter().for_each(|name| *self.fresh.entry(name.clone()).or_default() += 1);
        Ok(names)
    }
}

/// Deliveries that one claim looks at.
const CLAIMS_MAX: usize = 256;
