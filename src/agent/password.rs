//! The agent's own password: what a mail program on this machine proves itself with. It is worth nothing anywhere else.
//!
//! It is made here and never chosen, 100 random bits: nobody finds it from its hash, however fast that is computed. So the
//! hash is one HMAC, and an Argon2id, which would hold as much memory as the whole agent, would protect nothing.

use std::collections::{HashMap, VecDeque};
use std::fmt;
use std::net::IpAddr;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use rand_core::CryptoRng;
use sidekey_client::protocol::crypto::{Secret, equal, mac};
use zeroize::Zeroizing;

/// Crockford's base32: no I, L, O (read as 1, 1, 0) and no U.
const ALPHABET: &[u8; 32] = b"0123456789ABCDEFGHJKMNPQRSTVWXYZ";
/// Symbols of a password, and of a group as it is shown.
const SYMBOLS: usize = 20;
const GROUP: usize = 4;
/// Octets of the key that a password is hashed under, and of what is kept: that key and the hash.
const KEY_SIZE: usize = 32;
const KEPT_SIZE: usize = KEY_SIZE + 32;

/// A new password, as it is shown once: five groups of four.
pub fn make(rng: &mut impl CryptoRng) -> Zeroizing<String> {
    let bits = Secret::<SYMBOLS>::random(rng);
    let mut shown = Zeroizing::new(String::with_capacity(SYMBOLS + SYMBOLS / GROUP));
    for (at, octet) in bits.expose().iter().enumerate() {
        if at > 0 && at % GROUP == 0 {
            shown.push('-');
        }
        shown.push(ALPHABET[usize::from(octet & 31)].into());
    }
    shown
}

/// What is kept of a password.
pub struct Hash {
    key: Secret<KEY_SIZE>,
    hash: [u8; 32],
}

impl Hash {
    /// Of a password that was just made.
    pub fn of(password: &str, rng: &mut impl CryptoRng) -> Self {
        let key = Secret::random(rng);
        let hash = mac(&key, &[&symbols(password.as_bytes())]);
        Self { key, hash }
    }

    /// From what was kept; `None` when that is none.
    #[must_use]
    pub fn read(kept: &[u8]) -> Option<Self> {
        if kept.len() != KEPT_SIZE {
            return None;
        }
        let (key, hash) = kept.split_at(KEY_SIZE);
        Some(Self { key: Secret::copy_of(key)?, hash: hash.try_into().ok()? })
    }

    /// What is to be kept.
    #[must_use]
    pub fn expose(&self) -> Zeroizing<Vec<u8>> {
        Zeroizing::new([&self.key.expose()[..], &self.hash].concat())
    }

    /// Whether this is the password: in either case, with or without its hyphens.
    #[must_use]
    pub fn holds(&self, password: &[u8]) -> bool {
        equal(&mac(&self.key, &[&symbols(password)]), &self.hash).is_ok()
    }
}

impl fmt::Debug for Hash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Hash")
    }
}

/// A password as it is hashed: what people read alike is alike.
fn symbols(password: &[u8]) -> Zeroizing<Vec<u8>> {
    let mut symbols = Zeroizing::new(Vec::with_capacity(password.len()));
    symbols.extend(password.iter().filter(|octet| !matches!(octet, b'-' | b' ')).map(|octet| {
        match octet.to_ascii_uppercase() {
            b'I' | b'L' => b'1',
            b'O' => b'0',
            other => other,
        }
    }));
    symbols
}

/// From where a connection comes.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum Source {
    /// This address.
    Address(IpAddr),
    /// A process of this user, through a Unix socket.
    User(u32),
}

/// Wrong passwords of the last minute.
#[derive(Debug, Default)]
pub struct Attempts(Mutex<HashMap<Source, VecDeque<Instant>>>);

impl Attempts {
    /// One more: how long its answer is kept back. A right password is never kept waiting, so nobody can lock out the
    /// program that knows it.
    pub fn wrong(&self, source: Source, now: Instant) -> Duration {
        let mut sources = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let recent = |at: &Instant| now.duration_since(*at) < MINUTE;
        sources.retain(|_, tries| tries.back().is_some_and(recent));
        if sources.len() >= SOURCES_MAX && !sources.contains_key(&source) {
            return DELAY;
        }
        let tries = sources.entry(source).or_default();
        tries.retain(recent);
        tries.push_back(now);
        if tries.len() <= TRIES_PER_MINUTE {
            return Duration::ZERO;
        }
        tries.pop_front();
        DELAY
    }
}

const MINUTE: Duration = Duration::from_secs(60);
/// Of one source, answered at once.
const TRIES_PER_MINUTE: usize = 5;
/// What each one more waits.
const DELAY: Duration = Duration::from_secs(5);
/// Sources that are told apart.
const SOURCES_MAX: usize = 1024;

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use rand_chacha::ChaCha20Rng;
    use rand_chacha::rand_core::SeedableRng as _;

    use super::*;

    #[test]
    fn a_password_holds_as_people_type_it_and_no_other_does() {
        let mut rng = ChaCha20Rng::seed_from_u64(1);
        let password = make(&mut rng);
        assert_eq!((password.len(), password.split('-').count()), (24, 5), "{}", *password);
        let hash = Hash::read(&Hash::of(&password, &mut rng).expose()).unwrap();
        for typed in [password.to_string(), password.to_lowercase(), password.replace('-', "")] {
            assert!(hash.holds(typed.as_bytes()), "{typed}");
        }
        for other in [&password[1..], "", &make(&mut rng), &format!("{}0", *password)] {
            assert!(!hash.holds(other.as_bytes()), "{other}");
        }
        assert_eq!(format!("{hash:?}"), "Hash");
    }

    #[test]
    fn what_is_kept_says_nothing_of_the_password_and_differs_each_time() {
        let mut rng = ChaCha20Rng::seed_from_u64(1);
        let password = make(&mut rng);
        let (one, other) = (Hash::of(&password, &mut rng).expose(), Hash::of(&password, &mut rng).expose());
        assert_ne!(*one, *other);
        assert!(Hash::read(&one[1..]).is_none());
    }

    #[test]
    fn five_wrong_ones_a_minute_are_answered_at_once() {
        let (attempts, start) = (Attempts::default(), Instant::now());
        let here = Source::Address(Ipv4Addr::LOCALHOST.into());
        let after = |seconds: u64| start + Duration::from_secs(seconds);
        for second in 0..5 {
            assert_eq!(attempts.wrong(here, after(second)), Duration::ZERO, "{second}");
        }
        for second in 5..9 {
            assert_eq!(attempts.wrong(here, after(second)), DELAY, "{second}");
        }
        assert_eq!(attempts.wrong(Source::User(1000), after(9)), Duration::ZERO, "another's are his own");
        assert_eq!(attempts.wrong(here, after(80)), Duration::ZERO, "a minute later they are forgotten");
    }

    #[test]
    fn a_flood_of_sources_is_no_flood_of_memory() {
        let (attempts, now) = (Attempts::default(), Instant::now());
        for user in 0..2000 {
            attempts.wrong(Source::User(user), now);
        }
        assert_eq!(attempts.0.lock().unwrap().len(), SOURCES_MAX);
        assert_eq!(attempts.wrong(Source::User(9999), now), DELAY);
    }
}
