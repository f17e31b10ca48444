//! What was noticed and what waits for its user's word, over all connections of an agent.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};
use tokio::sync::oneshot;

use crate::alert::Alert;

/// Counts alerts, and holds what is to be confirmed.
#[derive(Debug, Default)]
pub struct Tally(Mutex<Told>);

#[derive(Debug, Default)]
struct Told {
    alerts: BTreeMap<&'static str, u64>,
    held: BTreeMap<u64, (u64, oneshot::Sender<bool>)>,
    /// When the present minute of the log began, and the lines in it.
    minute: Option<(Instant, u32)>,
    last: u64,
}

/// Messages that are said to be gone, and whose user has not said yet that they may be.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Held {
    /// What it is confirmed by.
    pub id: u64,
    /// How many messages at least.
    pub messages: u64,
}

impl Tally {
    /// Counts it, and logs it: not more in a minute than somebody reads, since whoever stands on the path can give cause for
    /// as many as he likes.
    pub fn raise(&self, connection: u64, alert: &Alert) {
        let line = {
            let mut told = self.told();
            *told.alerts.entry(alert.name()).or_default() += 1;
            told.line(Instant::now())
        };
        if line <= LINES_PER_MINUTE {
            tracing::warn!(connection, alert = alert.name(), reason = alert.reason(), "{alert}");
        }
        if line == LINES_PER_MINUTE {
            tracing::warn!(
                "what is noticed is only counted for the rest of this minute: see sidekey agent status"
            );
        }
    }

    /// How many there were of each.
    #[must_use]
    pub fn alerts(&self) -> BTreeMap<String, u64> {
        self.told().alerts.iter().map(|(name, count)| ((*name).to_owned(), *count)).collect()
    }

    /// Waits until its user says whether so many messages may vanish; not for longer than this.
    pub async fn hold(&self, connection: u64, messages: u64, patience: Duration) -> bool {
        let (say, said) = oneshot::channel();
        let id = {
            let mut told = self.told();
            told.last += 1;
            let id = told.last;
            told.held.insert(id, (messages, say));
            id
        };
        let holding = Holding { tally: self, id };
        tracing::warn!(
            connection,
            held = id,
            messages,
            "messages vanish: sidekey agent confirm {id}, or they stay"
        );
        let confirmed = tokio::time::timeout(patience, said).await;
        drop(holding);
        let confirmed = matches!(confirmed, Ok(Ok(true)));
        tracing::info!(connection, held = id, confirmed, "vanishing messages");
        confirmed
    }

    /// What is held.
    #[must_use]
    pub fn held(&self) -> Vec<Held> {
        self.told().held.iter().map(|(id, (messages, _))| Held { id: *id, messages: *messages }).collect()
    }

    /// Says of one that is held whether the messages may vanish; of which, or `None` when nothing is held by that id.
    pub fn say(&self, id: u64, confirmed: bool) -> Option<Held> {
        let (messages, say) = self.told().held.remove(&id)?;
        say.send(confirmed).ok().map(|()| Held { id, messages })
    }

    fn told(&self) -> MutexGuard<'_, Told> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Told {
    /// The next line's number in the present minute.
    fn line(&mut self, now: Instant) -> u32 {
        let present = self.minute.filter(|(began, _)| now.duration_since(*began) < MINUTE);
        let (began, lines) = present.unwrap_or((now, 0));
        self.minute = Some((began, lines.saturating_add(1)));
        lines.saturating_add(1)
    }
}

/// Takes it off the list, however the waiting ends.
struct Holding<'t> {
    tally: &'t Tally,
    id: u64,
}

impl Drop for Holding<'_> {
    fn drop(&mut self) {
        self.tally.told().held.remove(&self.id);
    }
}

const MINUTE: Duration = Duration::from_secs(60);
/// Of what is noticed, on all connections.
const LINES_PER_MINUTE: u32 = 250;

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;

    #[test]
    fn a_minute_of_the_log_has_an_end() {
        let (mut told, now) = (Told::default(), Instant::now());
        assert_eq!([told.line(now), told.line(now), told.line(now + MINUTE / 2)], [1, 2, 3]);
        assert_eq!([told.line(now + MINUTE), told.line(now + MINUTE)], [1, 2], "another one");
    }

    #[tokio::test]
    async fn what_is_held_waits_for_its_user_s_word_and_not_for_ever() {
        let tally = Arc::new(Tally::default());
        let waits = |messages, patience_s| {
            let (tally, patience) = (Arc::clone(&tally), Duration::from_secs(patience_s));
            tokio::spawn(async move { tally.hold(1, messages, patience).await })
        };
        assert!(!waits(300, 0).await.unwrap(), "its time was up");
        let (yes, no, gone) = (waits(100, 600), waits(200, 600), waits(400, 600));
        tokio::task::yield_now().await;
        let held = tally.held();
        assert_eq!(held.iter().map(|held| held.messages).collect::<Vec<_>>(), [100, 200, 400]);
        assert_eq!(tally.say(held[0].id, true), Some(held[0]));
        assert_eq!(tally.say(held[1].id, false), Some(held[1]));
        assert_eq!(tally.say(99, true), None);
        gone.abort();
        assert!(gone.await.is_err());
        assert_eq!((yes.await.unwrap(), no.await.unwrap()), (true, false));
        assert!(tally.held().is_empty());
    }
}
