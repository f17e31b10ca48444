//! How much went where today: what a carrier may send is bounded for each address, prefix and day.

use std::collections::{BTreeMap, HashMap};

use serde::{Deserialize, Serialize};
use sidekey_protocol::delivery::CarrierName;
use sidekey_protocol::ids::Timestamp;

/// What was counted under one name on one day of UTC.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub(in crate::store) struct Tally {
    carrier: CarrierName,
    /// An address, a prefix of phones, or nothing for all.
    of: String,
    day: u32,
    count: u32,
}

/// Today's.
#[derive(Debug, Default)]
pub(in crate::store) struct Tallies {
    kept: BTreeMap<u32, Tally>,
    by_name: HashMap<(CarrierName, String), u32>,
    /// The day up to which it was swept.
    swept: u32,
}

impl Tallies {
    /// How often `of` was counted today.
    pub(in crate::store) fn today(&self, carrier: &CarrierName, of: &str, now: Timestamp) -> u32 {
        let number = self.by_name.get(&(carrier.clone(), of.to_owned()));
        let tally = number.and_then(|number| self.kept.get(number));
        tally.filter(|tally| tally.day == day(now)).map_or(0, |tally| tally.count)
    }

    pub(in crate::store) fn get(&self, number: u32) -> Option<&Tally> {
        self.kept.get(&number)
    }

    /// Counts once more, under a number that is `next` where there was none; says which.
    pub(super) fn add(&mut self, carrier: &CarrierName, of: String, at: Timestamp, next: &mut u32) -> u32 {
        let name = (carrier.clone(), of);
        let number = *self.by_name.entry(name.clone()).or_insert_with(|| {
            *next += 1;
            *next - 1
        });
        let (carrier, of) = name;
        let tally = self.kept.entry(number).or_insert(Tally { carrier, of, day: day(at), count: 0 });
        if tally.day != day(at) {
            (tally.day, tally.count) = (day(at), 0);
        }
        tally.count = tally.count.saturating_add(1);
        number
    }

    pub(super) fn load(&mut self, number: u32, tally: Tally) {
        self.by_name.insert((tally.carrier.clone(), tally.of.clone()), number);
        self.kept.insert(number, tally);
    }

    /// Forgets what was counted on other days, and says which.
    pub(super) fn sweep(&mut self, now: Timestamp) -> Vec<u32> {
        let today = day(now);
        if today <= self.swept {
            return Vec::new();
        }
        self.swept = today;
        let over: Vec<u32> =
            self.kept.iter().filter(|(_, tally)| tally.day < today).map(|(&number, _)| number).collect();
        for number in &over {
            if let Some(tally) = self.kept.remove(number) {
                self.by_name.remove(&(tally.carrier, tally.of));
            }
        }
        over
    }

    /// Numbers of all of them.
    pub(in crate::store) fn numbers(&self) -> impl Iterator<Item = u32> {
        self.kept.keys().copied()
    }
}

const fn day(at: Timestamp) -> u32 {
    at.0 / 86_400
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_counted_counts_on_its_day_alone_and_is_forgotten_on_the_next() {
        let (mut tallies, mut next) = (Tallies::default(), 1);
        let (sms, today, tomorrow) = ("sms".parse().unwrap(), Timestamp(86_400), Timestamp(2 * 86_400));
        let mut add = |tallies: &mut Tallies, of: &str, at| tallies.add(&sms, of.to_owned(), at, &mut next);
        assert_eq!([add(&mut tallies, "+49", today), add(&mut tallies, "+33", today)], [1, 2]);
        assert_eq!(add(&mut tallies, "+49", today), 1);
        let counted = |tallies: &Tallies, at| ["+49", "+33", "+1"].map(|of| tallies.today(&sms, of, at));
        assert_eq!(counted(&tallies, today), [2, 1, 0]);
        assert_eq!(counted(&tallies, tomorrow), [0, 0, 0]);
        assert!(tallies.sweep(today).is_empty());

        assert_eq!(add(&mut tallies, "+49", tomorrow), 1);
        assert_eq!(counted(&tallies, tomorrow), [1, 0, 0]);
        assert_eq!(tallies.sweep(tomorrow), [2]);
        assert_eq!(tallies.numbers().collect::<Vec<_>>(), [1]);
        assert_eq!(add(&mut tallies, "+33", tomorrow), 3, "it is another one");
        assert_eq!(tallies.numbers().collect::<Vec<_>>(), [1, 3]);
        assert_eq!(next, 4);
    }
}
