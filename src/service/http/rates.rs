//! How often: requests in a minute, of one address and of one party.
//!
//! Each has a bucket that it may empty at once and that fills again within a minute: the generic cell rate algorithm,
//! which keeps one moment a bucket. The few lines are our own, since no maintained crate gives together what is asked
//! here: rates that differ by role and that a reload changes, a clock that is handed in and may step back, and a
//! store that ends somewhere and then denies.

use std::collections::HashMap;
use std::hash::Hash;
use std::net::IpAddr;
use std::sync::{Mutex, PoisonError};

use http::{HeaderMap, HeaderName};
use sidekey_protocol::ids::{PartyId, Role, ServerName, Timestamp, UserName};
use sidekey_protocol::pairing::credential::WRONG_PER_MIN;

use super::value::value;
use crate::config::Limits;
use crate::store::{Party, Rights};

const RATE_LIMIT: HeaderName = HeaderName::from_static("ratelimit");
const RATE_LIMIT_POLICY: HeaderName = HeaderName::from_static("ratelimit-policy");

/// As it stands in the metrics, for who was refused since there was no room to count him.
pub(crate) const NO_ROOM: &str = "no_room";

const SECOND_NS: u64 = 1_000_000_000;
/// In which an empty bucket is full again.
const WINDOW_S: u32 = 60;
const WINDOW_NS: u64 = WINDOW_S as u64 * SECOND_NS;

/// What is counted, each for itself.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub(crate) enum Scope {
    /// Requests of an address for what is open to everybody.
    Open,
    /// Steps of pairing, by address.
    Pairing,
    /// Tokens of an address that are not remembered, and cost a signature's verification.
    Token,
    /// Requests of a party that change nothing.
    Read,
    /// Requests of a party that may change something.
    Change,
    /// Wrong secrets that somebody showed to a server as one user's.
    Guess,
}

impl Scope {
    /// All of them.
    pub(crate) const ALL: [Self; 6] =
        [Self::Open, Self::Pairing, Self::Token, Self::Read, Self::Change, Self::Guess];

    /// As it stands in `RateLimit-Policy` and in the metrics.
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::Pairing => "pairing",
            Self::Token => "token",
            Self::Read => "read",
            Self::Change => "change",
            Self::Guess => "guess",
        }
    }

    /// Requests in a minute of one address.
    const fn of_address(self, limits: &Limits) -> u32 {
        match self {
            Self::Pairing => limits.address_pairing_per_min,
            Self::Token => limits.address_tokens_per_min,
            Self::Open | Self::Read | Self::Change | Self::Guess => limits.address_open_per_min,
        }
    }

    /// Requests in a minute of one party.
    const fn of_party(self, rights: &Rights, limits: &Limits) -> u32 {
        let reads = matches!(self, Self::Read);
        match rights {
            Rights::Admin if reads => limits.admin_reads_per_min,
            Rights::Admin => limits.admin_changes_per_min,
            Rights::Pairing { role: Role::Server, .. } if reads => limits.server_reads_per_min,
            Rights::Pairing { role: Role::Server, .. } => limits.server_changes_per_min,
            Rights::Pairing { role: Role::Client, .. } if reads => limits.client_reads_per_min,
            Rights::Pairing { role: Role::Client, .. } => limits.client_changes_per_min,
        }
    }
}

/// How a caller stands with one of its buckets: two headers of the answer (draft-ietf-httpapi-ratelimit-headers-11).
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct Standing {
    pub(crate) scope: Scope,
    per_min: u32,
    left: u32,
    /// Until the bucket is full, or, when it was empty, until there is one in it.
    pub(crate) wait_s: u32,
}

impl Standing {
    pub(super) fn write(self, headers: &mut HeaderMap) {
        let Self { scope, per_min, left, wait_s } = self;
        let name = scope.as_str();
        headers.insert(RATE_LIMIT_POLICY, value(format_args!("\"{name}\";q={per_min};w={WINDOW_S}")));
        headers.insert(RATE_LIMIT, value(format_args!("\"{name}\";r={left};t={wait_s}")));
    }
}

/// Why a request is not looked at.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Denied {
    /// The bucket is empty.
    Empty(Standing),
    /// There is no room for one more bucket: who is not counted is not served.
    Full,
}

/// All buckets. Addresses and parties have theirs apart: a flood from many addresses takes no room from who is known.
#[derive(Debug, Default)]
pub(crate) struct Rates {
    addresses: Buckets<(Network, Scope)>,
    parties: Buckets<(PartyId, Scope)>,
    guesses: Buckets<(ServerName, UserName)>,
}

impl Rates {
    /// One request from `address`.
    pub(crate) fn of_address(
        &self,
        address: IpAddr,
        scope: Scope,
        limits: &Limits,
        now: Timestamp,
    ) -> Result<Standing, Denied> {
        let rate = Rate { scope, per_min: scope.of_address(limits) };
        self.addresses.take((Network::of(address), scope), rate, limits.rate_entries, now)
    }

    /// One request of `party`.
    pub(crate) fn of_party(
        &self,
        party: &Party,
        scope: Scope,
        limits: &Limits,
        now: Timestamp,
    ) -> Result<Standing, Denied> {
        let rate = Rate { scope, per_min: scope.of_party(&party.rights, limits) };
        self.parties.take((party.id, scope), rate, limits.rate_entries, now)
    }
}

impl Rates {
    /// What `look` finds of a secret that somebody shows as this user's at this server, whichever of its gateways asks:
    /// nothing is a guess, and is counted. One after another, so that nobody guesses more by guessing at the same time.
    pub(crate) fn of_guess<T>(
        &self,
        whose: (ServerName, UserName),
        limits: &Limits,
        now: Timestamp,
        look: impl FnOnce() -> Option<T>,
    ) -> Result<Option<T>, Denied> {
        let rate = Rate { scope: Scope::Guess, per_min: WRONG_PER_MIN };
        let mut kept = self.guesses.0.lock().unwrap_or_else(PoisonError::into_inner);
        let before = kept.full_at_ns.get(&whose).copied();
        kept.take(whose.clone(), rate, limits.rate_entries, now)?;
        let found = look();
        if found.is_some() {
            // As if nobody had asked.
            match before {
                Some(full_at_ns) => kept.full_at_ns.insert(whose, full_at_ns),
                None => kept.full_at_ns.remove(&whose),
            };
        }
        Ok(found)
    }
}

/// Whom an address stands for: who has one of IPv6 has its whole /64.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub(crate) enum Network {
    V4([u8; 4]),
    V6([u16; 4]),
}

impl Network {
    pub(crate) fn of(address: IpAddr) -> Self {
        match address.to_canonical() {
            IpAddr::V4(address) => Self::V4(address.octets()),
            IpAddr::V6(address) => {
                let [a, b, c, d, ..] = address.segments();
                Self::V6([a, b, c, d])
            }
        }
    }
}

#[derive(Clone, Copy, Debug)]
struct Rate {
    scope: Scope,
    per_min: u32,
}

/// Up to so many buckets, each known by the moment at which it is full again.
#[derive(Debug)]
struct Buckets<K>(Mutex<Kept<K>>);

#[derive(Debug)]
struct Kept<K> {
    full_at_ns: HashMap<K, u64>,
    swept: Option<Timestamp>,
}

impl<K> Default for Buckets<K> {
    fn default() -> Self {
        Self(Mutex::new(Kept { full_at_ns: HashMap::new(), swept: None }))
    }
}

impl<K: Eq + Hash> Buckets<K> {
    fn take(&self, key: K, rate: Rate, entries: usize, now: Timestamp) -> Result<Standing, Denied> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).take(key, rate, entries, now)
    }
}

impl<K: Eq + Hash> Kept<K> {
    fn take(&mut self, key: K, rate: Rate, entries: usize, now: Timestamp) -> Result<Standing, Denied> {
        let Rate { scope, per_min } = rate;
        let now_ns = u64::from(now.0) * SECOND_NS;
        let one_ns = WINDOW_NS / u64::from(per_min.max(1));
        if !self.full_at_ns.contains_key(&key)
            && self.full_at_ns.len() >= entries
            && !self.sweep(now, entries)
        {
            return Err(Denied::Full);
        }
        let kept = self.full_at_ns.entry(key).or_insert(now_ns);
        // No bucket is emptier than empty: the clock may have been another when it was last asked.
        *kept = (*kept).clamp(now_ns, now_ns + WINDOW_NS);
        let full_at_ns = *kept + one_ns;
        if let Some(missing_ns) = full_at_ns.checked_sub(now_ns + WINDOW_NS).filter(|missing| *missing > 0) {
            return Err(Denied::Empty(Standing { scope, per_min, left: 0, wait_s: seconds(missing_ns) }));
        }
        *kept = full_at_ns;
        let left = (now_ns + WINDOW_NS - full_at_ns) / one_ns;
        let left = u32::try_from(left).unwrap_or(u32::MAX).min(per_min.saturating_sub(1));
        Ok(Standing { scope, per_min, left, wait_s: seconds(full_at_ns - now_ns) })
    }

    /// Forgets full buckets, which are like new ones, at most once a second; says whether there is room then.
    fn sweep(&mut self, now: Timestamp, entries: usize) -> bool {
        if self.swept != Some(now) {
            self.swept = Some(now);
            let now_ns = u64::from(now.0) * SECOND_NS;
            // One that is full later than ever is of a clock that has stepped back.
            self.full_at_ns.retain(|_, full_at_ns| (now_ns + 1..=now_ns + WINDOW_NS).contains(full_at_ns));
        }
        self.full_at_ns.len() < entries
    }
}

/// Rounded up.
fn seconds(ns: u64) -> u32 {
    u32::try_from(ns.div_ceil(SECOND_NS)).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp(1_800_000_000);

    fn take(buckets: &Buckets<u8>, key: u8, per_min: u32, now: Timestamp) -> Result<Standing, Denied> {
        buckets.take(key, Rate { scope: Scope::Read, per_min }, 2, now)
    }

    fn empty(per_min: u32, wait_s: u32) -> Result<Standing, Denied> {
        Err(Denied::Empty(Standing { scope: Scope::Read, per_min, left: 0, wait_s }))
    }

    #[test]
    fn a_minute_s_requests_may_come_at_once_and_no_more() {
        let buckets = Buckets::default();
        for left in (0..30).rev() {
            let standing = take(&buckets, 1, 30, NOW).unwrap();
            assert_eq!((standing.left, standing.wait_s), (left, 60 - 2 * left));
        }
        assert_eq!(take(&buckets, 1, 30, NOW), empty(30, 2));
        assert_eq!(take(&buckets, 1, 30, NOW.after_s(1)), empty(30, 1));
        assert_eq!(take(&buckets, 1, 30, NOW.after_s(2)).unwrap().left, 0);
        assert_eq!(take(&buckets, 1, 30, NOW.after_s(2)), empty(30, 2));
        assert_eq!(take(&buckets, 2, 30, NOW).unwrap().left, 29, "another's bucket is its own");
        assert_eq!(take(&buckets, 1, 30, NOW.after_s(200)).unwrap().left, 29, "it is full again");
    }

    #[test]
    fn a_wait_that_was_told_is_long_enough() {
        for per_min in [1, 7, 59, 61, 1000, 60_000, u32::MAX] {
            let buckets = Buckets::default();
            let full = take(&buckets, 1, per_min, NOW).unwrap();
            assert!(full.left < per_min && full.wait_s >= 1, "{full:?}");
            buckets.0.lock().unwrap().full_at_ns.insert(1, u64::MAX);
            let Err(Denied::Empty(Standing { wait_s, .. })) = take(&buckets, 1, per_min, NOW) else {
                panic!("{per_min}: the bucket is empty");
            };
            assert!(take(&buckets, 1, per_min, NOW.after_s(wait_s)).is_ok(), "{per_min}: {wait_s} s");
        }
    }

    #[test]
    fn a_clock_that_steps_back_locks_nobody_out() {
        let buckets = Buckets::default();
        take(&buckets, 1, 60, NOW.after_s(86_400)).unwrap();
        assert_eq!(take(&buckets, 1, 60, NOW), empty(60, 1));
        assert!(take(&buckets, 1, 60, NOW.after_s(1)).is_ok());
    }

    #[test]
    fn a_rate_that_changes_holds_from_then_on() {
        let buckets = Buckets::default();
        assert!((0..6).all(|_| take(&buckets, 1, 6, NOW).is_ok()));
        assert_eq!(take(&buckets, 1, 6, NOW), empty(6, 10));
        assert_eq!(take(&buckets, 1, 600, NOW), empty(600, 1));
        assert_eq!(take(&buckets, 1, 600, NOW.after_s(1)).unwrap().left, 9);
    }

    #[test]
    fn a_full_store_denies_whom_it_does_not_know_until_somebody_is_idle() {
        let buckets = Buckets::default();
        take(&buckets, 1, 60, NOW).unwrap();
        take(&buckets, 2, 1, NOW).unwrap();
        assert_eq!(take(&buckets, 3, 60, NOW), Err(Denied::Full));
        assert!(take(&buckets, 1, 60, NOW).is_ok(), "who is known goes on");
        assert!(take(&buckets, 3, 60, NOW.after_s(2)).is_ok(), "1 has been idle");
        assert_eq!(take(&buckets, 4, 60, NOW.after_s(2)), Err(Denied::Full));
        let back = Timestamp(NOW.0 - 3600);
        assert!(take(&buckets, 4, 60, back).is_ok(), "a clock that steps back does not fill it for ever");
    }

    #[test]
    fn what_is_right_is_no_guess_and_the_sixth_wrong_one_in_a_minute_waits() {
        let (rates, limits) = (Rates::default(), Limits::default());
        let whose = |user: &str| ("mail".parse().unwrap(), user.parse().unwrap());
        let look = |user, at, found: Option<u8>| rates.of_guess(whose(user), &limits, at, || found);
        for _ in 0..20 {
            assert_eq!(look("ann", NOW, Some(1)), Ok(Some(1)));
        }
        for _ in 0..5 {
            assert_eq!(look("ann", NOW, None), Ok(None));
        }
        let looked = rates.of_guess(whose("ann"), &limits, NOW, || -> Option<u8> { panic!("looked") });
        assert!(matches!(looked, Err(Denied::Empty(standing)) if standing.wait_s == 12), "{looked:?}");
        assert_eq!(look("bob", NOW, None), Ok(None), "another user is another");
        let later = NOW.after_s(12);
        assert_eq!(look("ann", later, Some(1)), Ok(Some(1)));
        assert_eq!(look("ann", later, None), Ok(None));
        assert!(look("ann", later, Some(1)).is_err(), "nor is a right one looked at");
    }

    #[test]
    fn who_has_an_address_of_ipv6_has_its_64() {
        let of = |address: &str| Network::of(address.parse().unwrap());
        assert_eq!(of("2001:db8:1:2::1"), of("2001:db8:1:2:ffff::9"));
        assert_ne!(of("2001:db8:1:2::1"), of("2001:db8:1:3::1"));
        assert_ne!(of("192.0.2.1"), of("192.0.2.2"));
        assert_eq!(of("::ffff:192.0.2.1"), of("192.0.2.1"));
    }

    #[test]
    fn an_answer_says_how_its_caller_stands() {
        let mut headers = HeaderMap::new();
        take(&Buckets::default(), 1, 600, NOW).unwrap().write(&mut headers);
        assert_eq!(headers[RATE_LIMIT_POLICY], "\"read\";q=600;w=60");
        assert_eq!(headers[RATE_LIMIT], "\"read\";r=599;t=1");
    }
}
