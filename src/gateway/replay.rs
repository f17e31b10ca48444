//! Which of the clients' frames were taken, so that none is taken twice (proto/object/spec.md, section 6.4).

use std::cmp::Ordering;
use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use sidekey_protocol::crypto::sha256;
use sidekey_protocol::ids::{SessionId, Timestamp};
use sidekey_protocol::object::{Header, PREFIX_SIZE, Sender};

/// What was taken from all clients of this process; the clones of one are one. It need not outlive the process, whose
/// sessions do not either.
#[derive(Clone, Default)]
pub struct Replays(Arc<Mutex<HashMap<Key, Window>>>);

/// The frames of one command, in their order.
#[derive(Default)]
pub(crate) struct Frames {
    numbered: Vec<(Key, u64)>,
    prefixes: Vec<u8>,
}

/// Why a command is not done.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) enum Known {
    /// It was done; this was the answer, if there was one.
    Done(Option<Arc<str>>),
    /// Its frames do not come in the order in which they were sealed.
    Disordered,
    /// A number was another frame's, or is older than what is remembered.
    Spent,
}

impl fmt::Display for Known {
    /// As a client is told it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Done(_) => "this was done before",
            Self::Disordered => "its frames do not come in the order in which they were sealed",
            Self::Spent => "a number was used before: number it anew",
        })
    }
}

/// Whose numbers: from 1 in each generation of a session, for each sender.
type Key = (SessionId, u32, [u8; 8]);

struct Window {
    highest: u64,
    /// The last of them, and the commands that they came in.
    taken: BTreeMap<u64, Command>,
    /// When the session is over, and with it all that this is for.
    not_after: Timestamp,
}

struct Command {
    /// Of all its frames' headers and contexts: each has a salt of its own.
    hash: [u8; 32],
    answer: Option<Arc<str>>,
}

impl Frames {
    pub(crate) fn push(&mut self, header: &Header, sender: Sender, prefix: &[u8; PREFIX_SIZE]) {
        self.numbered.push(((header.session, header.generation, sender.id()), sender.number().get()));
        self.prefixes.extend_from_slice(prefix);
    }

    /// How many they are.
    pub(crate) const fn len(&self) -> u64 {
        self.numbered.len() as u64
    }

    fn hash(&self) -> [u8; 32] {
        sha256(&self.prefixes)
    }
}

impl Replays {
    /// Takes all frames of a command that has been verified, or none. `not_after` is when their session is over.
    pub(crate) fn take(&self, frames: &Frames, not_after: Timestamp, now: Timestamp) -> Result<(), Known> {
        let (mut windows, hash) = (self.lock(), frames.hash());
        windows.retain(|_, window| now < window.not_after);
        let known: Vec<_> =
            frames.numbered.iter().map(|(key, number)| windows.get(key)?.find(*number)).collect();
        if known.iter().any(Option::is_some) {
            let same = |found: &Option<Found<'_>>| matches!(found, Some(Found::Taken(by)) if by.hash == hash);
            let answer = match known.first() {
                Some(Some(Found::Taken(by))) if known.iter().all(same) => by.answer.clone(),
                _ => return Err(Known::Spent),
            };
            return Err(Known::Done(answer));
        }
        let mut last = HashMap::new();
        for (key, number) in &frames.numbered {
            match last.insert(key, number).map(|before| before.cmp(number)) {
                None | Some(Ordering::Less) => {}
                Some(Ordering::Equal) => return Err(Known::Spent),
                Some(Ordering::Greater) => return Err(Known::Disordered),
            }
        }
        for (key, number) in &frames.numbered {
            let window = windows.entry(*key).or_insert_with(|| Window {
                highest: 0,
                taken: BTreeMap::new(),
                not_after,
            });
            window.put(*number, Command { hash, answer: None });
        }
        Ok(())
    }

    /// What the command was answered, without its tag.
    pub(crate) fn answered(&self, frames: &Frames, answer: &str) {
        let (mut windows, hash, answer) = (self.lock(), frames.hash(), Arc::<str>::from(answer));
        for (key, number) in &frames.numbered {
            let command = windows.get_mut(key).and_then(|window| window.taken.get_mut(number));
            if let Some(command) = command.filter(|command| command.hash == hash) {
                command.answer = Some(Arc::clone(&answer));
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Key, Window>> {
        // Whoever panicked has taken a number or has not; both are whole.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

enum Found<'w> {
    Taken(&'w Command),
    Older,
}

impl Window {
    fn find(&self, number: u64) -> Option<Found<'_>> {
        match self.taken.get(&number) {
            Some(command) => Some(Found::Taken(command)),
            None => (number <= self.highest.saturating_sub(WINDOW)).then_some(Found::Older),
        }
    }

    fn put(&mut self, number: u64, command: Command) {
        self.highest = self.highest.max(number);
        self.taken.insert(number, command);
        self.taken = self.taken.split_off(&(self.highest.saturating_sub(WINDOW) + 1));
    }
}

impl fmt::Debug for Replays {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Replays({})", self.lock().len())
    }
}

/// The highest number and the 63 below it.
const WINDOW: u64 = 64;

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp(1_000);
    const END: Timestamp = Timestamp(4_600);

    /// Frames of these numbers, by who has this octet, and all that makes them these frames.
    fn frames(numbers: &[u64], sender: u8, salt: u8) -> Frames {
        let of = |number| ((SessionId::from_bytes([7; 16]), 0, [sender; 8]), number);
        let prefixes = numbers.iter().flat_map(|number| number.to_be_bytes()).chain([sender, salt]);
        Frames { numbered: numbers.iter().copied().map(of).collect(), prefixes: prefixes.collect() }
    }

    #[test]
    fn a_number_is_taken_once_within_the_window_and_never_below() {
        let replays = Replays::default();
        let take = |number| replays.take(&frames(&[number], 1, 0), END, NOW);
        assert_eq!([take(1), take(100), take(37), take(38)], [Ok(()), Ok(()), Ok(()), Ok(())]);
        assert_eq!([take(36), take(1)], [Err(Known::Spent), Err(Known::Spent)], "below the 64");
        assert_eq!([take(100), take(38)], [Err(Known::Done(None)), Err(Known::Done(None))]);
        assert_eq!(replays.take(&frames(&[100], 1, 5), END, NOW), Err(Known::Spent), "another frame");
        assert_eq!(replays.take(&frames(&[100], 2, 0), END, NOW), Ok(()), "another sender");
        assert_eq!(take(u64::MAX), Ok(()));
    }

    #[test]
    fn a_repeat_is_given_the_answer_of_then() {
        let replays = Replays::default();
        let both = frames(&[1, 2], 1, 0);
        assert_eq!(replays.take(&both, END, NOW), Ok(()));
        assert_eq!(replays.take(&both, END, NOW), Err(Known::Done(None)), "not known yet");
        replays.answered(&frames(&[1, 2], 1, 9), "OK of another");
        replays.answered(&both, "OK done");
        assert_eq!(replays.clone().take(&both, END, NOW), Err(Known::Done(Some("OK done".into()))));
        for part in [&[1][..], &[2], &[2, 1], &[1, 2, 3], &[2, 3]] {
            assert_eq!(replays.take(&frames(part, 1, 0), END, NOW), Err(Known::Spent), "{part:?}");
        }
        assert_eq!(replays.take(&frames(&[3, 3], 1, 0), END, NOW), Err(Known::Spent), "twice in one");
        for disordered in [&[4, 3][..], &[3, 5, 4], &[3, 4, 3]] {
            assert_eq!(replays.take(&frames(disordered, 1, 0), END, NOW), Err(Known::Disordered));
        }
        assert_eq!(replays.take(&frames(&[3, 4], 1, 0), END, NOW), Ok(()), "what was refused took no number");
    }

    #[test]
    fn what_is_over_is_forgotten() {
        let replays = Replays::default();
        assert_eq!(replays.take(&frames(&[1], 1, 0), END, NOW), Ok(()));
        assert_eq!(replays.take(&frames(&[1], 2, 0), Timestamp(9_000), END), Ok(()));
        assert_eq!(format!("{replays:?}"), "Replays(1)");
    }
}
