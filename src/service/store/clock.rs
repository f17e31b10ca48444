//! The clock, when it has gone back: what was recorded ahead of time is told apart from what is.

use super::engine::{About, Desk, Verdict};
use super::record::Record;
use super::state::State;
use super::{Error, Store};

/// What believing the clock again ended.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct ClockAccepted {
    /// How far it had been ahead, at least.
    pub behind_s: u32,
    /// Sessions that ended.
    pub sessions: usize,
    /// Invitations that are over.
    pub invitations: usize,
}

impl Store {
    /// Believes the clock, which is behind the last record: sessions end, invitations are over, pairings stay. `None` where
    /// it is not behind.
    ///
    /// # Errors
    /// [`Fault`](crate::fault::Fault).
    pub async fn accept_clock(&self) -> Result<Option<ClockAccepted>, Error> {
        let shared = self.shared.clone();
        let decide = move |state: &State, desk: &mut Desk<'_>| {
            let Some(behind_s) = shared.behind_s() else { return Ok(Verdict::Already(None)) };
            // The one in use may say that it was made in days to come, and would then serve until those are over.
            desk.rotate_sealing_key()?;
            let (sessions, invitations) = (state.unended().len(), state.invited().len());
            let accepted = ClockAccepted { behind_s, sessions, invitations };
            Ok(Verdict::Commit(Record::ClockAccepted { behind_s }, Box::new(move |_| Some(accepted))))
        };
        self.engine.commit(About::Clock, None, decide).await
    }
}
