//! The store: every state change is a record of the journal, and takes effect once it is durable.
//!
//! ```text
//!   verb ──decision──▶ writer: decide · append · one fdatasync · apply · answer      (engine, journal)
//!   read ──────────────────────────────────────▶ state in memory                     (state)
//!   keeper: pages on disk, behind · what is over is swept · sealing keys renewed     (keeper, sled, at_rest)
//!   what is old goes: the base takes its place                                       (retention, base)
//! ```
//! The public face speaks the protocol's verbs, one commit each. Single use is enforced by the commit itself: it decides
//! on durable state alone, one decision about one thing at a time.

mod approval;
mod at_rest;
mod audit;
mod base;
mod batch;
mod checkpoints;
mod clock;
mod credential;
mod delivery;
mod engine;
mod feed;
mod format;
#[cfg(feature = "fuzz")]
pub mod fuzz;
mod journal;
mod keeper;
mod keys;
mod last_seen;
mod line;
mod listing;
mod meter;
mod open;
mod pages;
mod pairing;
mod policy;
mod record;
mod rekey;
mod restore;
mod retention;
mod revocation;
mod room;
mod seal_keys;
mod session;
mod sled;
mod spki;
mod state;
mod verify;
mod view;

#[cfg(test)]
mod tests;

use std::fs::File;
use std::sync::{Arc, Mutex, PoisonError, RwLock};

use sidekey_protocol::ids::{ServiceId, Timestamp};

use self::checkpoints::Checkpoints;
use self::engine::{Engine, Shared};
use self::keeper::Keeper;
use self::keys::Signers;
use crate::fault::Fault;

pub use audit::Audited;
pub use batch::{NewBatch, OpenedBatch};
pub use checkpoints::Checkpointed;
pub use clock::ClockAccepted;
pub use credential::{NewCredential, Shown};
pub use delivery::{Claimed, Claims, Daily, DeliveryFilter, Parcel, Resolve, Settled, Wanted};
pub use engine::Rng;
pub use feed::{Begun, Commit, Deaf, Listening, Place};
pub(crate) use format::check_format;
pub use keys::{KeysRotated, Signer};
pub(crate) use meter::Meter;
pub(crate) use open::lock;
pub use open::{Genesis, Tended, Terms};
pub use pairing::{NewInvitation, NewPairing};
pub use rekey::NewEpoch;
pub use restore::Compared;
pub use seal_keys::{KeyId, SealKeys, Slot, Stretch};
pub use session::{Idempotency, Keyed, NewSession};
pub(crate) use state::outbox::bare_receipt;
pub use verify::Verified;
pub use view::{
    Credential, EndReason, Event, Filter, Happened, Invitation, InvitationState, Page, Paged, Party, Posted,
    Refusal, Repeat, Revocation, Revoked, Rights, Server, Session, SessionState,
};

// What lists take.
pub use listing::SessionFilter;

/// The store of one data folder.
#[derive(Debug)]
pub struct Store {
    identity: Identity,
    signers: Signers,
    shared: Arc<Shared>,
    engine: Engine,
    keeper: Mutex<Option<Keeper>>,
    checkpoints: Mutex<Checkpoints>,
    /// One at a time deletes what is old.
    pruning: Mutex<()>,
    /// Whoever reads the journal, and whoever deletes from it.
    reading: RwLock<()>,
    /// Held for as long as we live: one process per folder.
    _lock: File,
}

/// The service itself.
#[derive(Debug)]
pub struct Identity {
    /// The audience of every token.
    pub service: ServiceId,
    /// Where it is reached, without a slash at the end.
    pub public_url: String,
}

/// Why a verb did nothing.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// We are wrong.
    #[error(transparent)]
    Fault(#[from] Fault),
    /// The caller is.
    #[error(transparent)]
    Refused(#[from] Refused),
}

/// What a commit found when it looked at what is durable.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum Refused {
    /// There is no such thing.
    #[error("does not exist")]
    Absent,
    /// It is revoked already, or over.
    #[error("already revoked")]
    AlreadyRevoked,
    /// The invitation has no attempts left.
    #[error("no attempts left")]
    AttemptsSpent,
    /// The idempotency key came with another body before.
    #[error("idempotency key reused with another body")]
    Conflict,
    /// Whoever may approve the pairing has refused it.
    #[error("refused")]
    Declined(Refusal),
    /// The session was ended or revoked, or its generation is not given any more.
    #[error("ended")]
    Ended,
    /// There is one of that name.
    #[error("exists already")]
    Exists,
    /// Its time is over.
    #[error("expired")]
    Expired,
    /// Nobody has used it for too long.
    #[error("lapsed")]
    Lapsed,
    /// So many revocations are lost that nobody has reported.
    #[error("revocations are lost")]
    Missing(u64),
    /// The log does not keep it any more.
    #[error("not kept any more")]
    Pruned,
    /// The protocol refuses what is asked of the pairing.
    #[error(transparent)]
    Pairing(sidekey_protocol::pairing::Reject),
    /// The protocol refuses what is asked of proxy credentials.
    #[error(transparent)]
    Credential(sidekey_protocol::pairing::credential::Reject),
    /// It was revoked.
    #[error("revoked")]
    Revoked(Revocation),
    /// The protocol refuses what is asked of the session.
    #[error(transparent)]
    Session(sidekey_protocol::session::Reject),
    /// The user has as many sessions as the policy allows; one expires after so many seconds.
    #[error("no more sessions for this user")]
    SessionsFull {
        /// How many.
        retry_after_s: u32,
    },
    /// It was changed since it was looked at.
    #[error("changed meanwhile")]
    Stale,
    /// The invitation was used before.
    #[error("used before")]
    Used,
    /// It is too young to be deleted.
    #[error("too young to be deleted")]
    Young,
}

impl Store {
    /// The service itself.
    #[must_use]
    pub const fn identity(&self) -> &Identity {
        &self.identity
    }

    /// The time: never before the last record's.
    #[must_use]
    pub fn now(&self) -> Timestamp {
        self.shared.time()
    }

    /// The time by the machine's clock where that has gone back, and else as [`Self::now`].
    #[must_use]
    pub fn present(&self) -> Timestamp {
        self.shared.present()
    }

    /// That the clock has not gone back.
    ///
    /// # Errors
    /// [`Fault::ClockBehind`].
    pub fn clock_holds(&self) -> Result<(), Fault> {
        self.shared.now().map(drop)
    }

    /// Whether commits can succeed, as far as is known.
    ///
    /// # Errors
    /// [`Fault::ClockBehind`], [`Fault::Fenced`], [`Fault::Full`], [`Fault::RolledBack`].
    pub fn ready(&self) -> Result<(), Fault> {
        self.shared.ready()
    }

    /// What happens from now on, and since the commit `after`, so far as it may concern a pairing of this place.
    #[must_use]
    pub fn listen(&self, place: Place<'_>, after: Option<u64>) -> Begun {
        self.shared.feed.listen(place, after)
    }

    /// Sweeps what is over, lapses what nobody uses, renews the sealing keys: one round, for whoever opened it so
    /// ([`Tended::ByCaller`]). It waits for the writer: not for an async thread.
    pub fn tend(&self) {
        if let Some(keeper) = &mut *self.keeper.lock().unwrap_or_else(PoisonError::into_inner) {
            keeper.round();
        }
        // What was queued meanwhile is done before the next one looks.
        let _ = self.engine.commit_blocking(None, |_, _| Ok(engine::Verdict::Already(())));
    }

    /// Finishes what is queued, writes behind what is left, signs where the chain stands, and stops. Later commits fail.
    pub async fn close(self: &Arc<Self>) {
        self.engine.close().await;
        let keeper = self.keeper.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(keeper) = keeper {
            // It writes to disk: not on an async thread.
            let store = Arc::clone(self);
            let stop = move || {
                keeper.stop();
                if let Err(error) = store.checkpoint() {
                    tracing::warn!(
                        error = &error as &dyn std::error::Error,
                        "the last checkpoint is not kept"
                    );
                }
            };
            let _ = tokio::task::spawn_blocking(stop).await;
        }
    }
}

impl Drop for Store {
    /// Stops the keeper, which holds the folder open; what was not written behind is replayed.
    fn drop(&mut self) {
        let keeper = self.keeper.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(keeper) = keeper {
            keeper.stop();
        }
    }
}

/// Takes the part of a list that is wanted. `items` come in order, each with its place, from 1.
fn page<T>(items: impl Iterator<Item = (u64, T)>, page: Page) -> Paged<T> {
    let mut items = items.skip_while(|(place, _)| *place <= page.after);
    let mut wanted = Vec::new();
    let mut last = 0;
    for (place, item) in items.by_ref().take(page.size) {
        wanted.push(item);
        last = place;
    }
    let next = (!wanted.is_empty() && items.next().is_some()).then_some(last);
    Paged { items: wanted, next }
}
