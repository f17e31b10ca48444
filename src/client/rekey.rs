//! A pairing's key epochs on this side: the next one is kept before it is used, the one before until the next one's first
//! use is answered (proto/pairing/spec.md section 9). Calls need not know: whatever is sent renews what is due.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use http::Method;
use sidekey_protocol::crypto::Secret;
use sidekey_protocol::ids::Timestamp;
use sidekey_protocol::pairing::Kek;
use sidekey_protocol::pairing::rekey::{Epoch, Renewing, is_due};
use sidekey_protocol::pairing::wire::RekeyAnswer;

use crate::error::Error;
use crate::kept::Kept;
use crate::profile::Profile;
use crate::transport::Transport;

/// One epoch at work, and what its root wraps under.
#[derive(Debug)]
pub(crate) struct Key {
    epoch: Epoch,
    pub(crate) kek: Kek,
}

/// The epochs of one pairing.
pub(crate) struct Epochs {
    held: Mutex<Held>,
    kept: Kept,
    /// One rekey at a time; when the last one failed, no other before this.
    turn: tokio::sync::Mutex<Timestamp>,
}

/// What this side has. Whoever waits for an answer holds the keys that it may come under.
#[derive(Clone, Debug)]
struct Held {
    current: Arc<Key>,
    /// Kept, and used from now on; the service has not answered under it yet.
    next: Option<Arc<Key>>,
}

/// What the service refuses of an epoch.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Refused {
    /// Its key-encryption key is over: `rekey_first`.
    Over,
    /// The service does not have it: `kek_unknown`.
    Unknown,
}

impl Key {
    fn new(epoch: Epoch) -> Arc<Self> {
        Arc::new(Self { kek: Kek::of(&epoch.root), epoch })
    }
}

impl Held {
    fn of(profile: &Profile) -> Self {
        let Profile { root, epoch: number, not_after, next, .. } = profile;
        let current = Epoch { number: *number, root: copy(root), not_after: *not_after };
        Self { current: Key::new(current), next: next.as_ref().map(|next| Key::new(copy_of(next))) }
    }

    const fn in_use(&self) -> &Arc<Key> {
        match &self.next {
            Some(next) => next,
            None => &self.current,
        }
    }
}

impl Epochs {
    /// Those of the profile that is kept.
    pub(crate) fn new(kept: &Kept) -> Self {
        let held = Mutex::new(kept.read(Held::of));
        Self { held, kept: kept.clone(), turn: tokio::sync::Mutex::new(Timestamp(0)) }
    }

    /// What an answer may be wrapped under: of a request that is sent from now on, and of one that was.
    pub(crate) fn keys(&self) -> Vec<Arc<Key>> {
        let Held { current, next } = self.held();
        next.into_iter().chain([current]).collect()
    }

    /// Names the epoch that requests are sent under.
    pub(crate) fn in_use(&self) -> [u8; 8] {
        self.held().in_use().kek.id
    }

    fn held(&self) -> Held {
        self.held.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn hold(&self, held: Held) {
        *self.held.lock().unwrap_or_else(PoisonError::into_inner) = held;
    }

    /// Renews an epoch that is older than a day. That the service cannot be reached, or the profile not be saved, keeps
    /// nobody from what the epoch still serves.
    ///
    /// # Errors
    /// [`Error::PairAgain`], [`Error::Revoked`], [`Error::Tampered`] …: what the call itself would meet.
    pub(crate) async fn renew_if_due(&self, transport: &Transport) -> Result<(), Error> {
        let Held { current, next } = self.held();
        if next.is_some() || !is_due(current.epoch.not_after, transport.now()) {
            return Ok(());
        }
        let mut turn = self.turn.lock().await;
        let now = transport.now();
        if now < *turn {
            return Ok(());
        }
        match self.renew(transport, &current).await {
            Err(error @ (Error::Refused { .. } | Error::Retry { .. } | Error::Store(_))) => {
                tracing::warn!(%error, "not rekeyed");
                *turn = now.after_s(AGAIN_S);
                Ok(())
            }
            outcome => outcome,
        }
    }

    /// What to do about a refusal of the epoch that a request was sent under; whether to send it again.
    ///
    /// # Errors
    /// What stands in the way of it.
    pub(crate) async fn mend(
        &self,
        refused: Refused,
        sent: [u8; 8],
        transport: &Transport,
    ) -> Result<bool, Error> {
        let held = self.held();
        if held.in_use().kek.id != sent {
            // Meanwhile another call went on to a newer one, or back.
            return Ok(true);
        }
        match refused {
            Refused::Unknown => self.go_back(sent).await,
            Refused::Over => {
                // Only the epoch that a pairing is in can be over, so the service has this one.
                self.answered(sent).await;
                let _turn = self.turn.lock().await;
                self.renew(transport, &self.held().current).await.map(|()| true)
            }
        }
    }

    /// The service does not have the epoch that is in use: another process of this pairing has gone on, or another rekey
    /// took its place before it was used.
    async fn go_back(&self, sent: [u8; 8]) -> Result<bool, Error> {
        let _turn = self.turn.lock().await;
        let held = self.held();
        if held.in_use().kek.id != sent || self.adopt().await? {
            return Ok(true);
        }
        if held.next.is_none() {
            return Ok(false);
        }
        self.change(|profile| profile.next.take().is_some()).await?;
        tracing::info!("back to the key epoch before: the service does not have the next");
        Ok(true)
    }

    /// Takes what another process of this pairing has kept meanwhile, if that is something else.
    async fn adopt(&self) -> Result<bool, Error> {
        let adopted = self.kept.reload(|ours, found| names(ours) != names(found)).await?;
        if adopted {
            self.change(|_| false).await?;
        }
        Ok(adopted)
    }

    /// A request under this epoch was answered: the one before is erased.
    pub(crate) async fn answered(&self, sent: [u8; 8]) {
        if self.held().next.is_none_or(|next| next.kek.id != sent) {
            return;
        }
        let take = move |profile: &mut Profile| {
            let Some(next) = profile.next.take_if(|next| Kek::of(&next.root).id == sent) else {
                return false;
            };
            (profile.epoch, profile.root, profile.not_after) = (next.number, next.root, next.not_after);
            true
        };
        if let Err(error) = self.change(take).await {
            // It stays as it was kept: the epoch before is of no use to anybody but who takes this file.
            tracing::warn!(%error, "the epoch before was not erased");
        }
    }

    /// One rekey, from this epoch, unless another came first. What it brings is kept before it is used.
    async fn renew(&self, transport: &Transport, from: &Arc<Key>) -> Result<(), Error> {
        if self.in_use() != from.kek.id {
            return Ok(());
        }
        let Key { epoch, kek } = &**from;
        let renewing = transport.ambient().with_rng(|mut rng| Renewing::begin(epoch.number, &mut rng));
        let call = transport.call(Method::POST, "/v1/pairings/self/rekey").json(renewing.request());
        let answer: RekeyAnswer = match call.repeatable().deadline(DEADLINE).send_under(kek.id).await {
            Err(gone @ Error::PairAgain { .. }) => {
                return if self.adopt().await? { Ok(()) } else { Err(gone) };
            }
            answer => answer?,
        };
        let next = renewing.done(&epoch.root, &answer)?;
        tracing::debug!(epoch = next.number, "rekeyed");
        let (before, number) = (kek.id, epoch.number);
        self.change(move |profile| {
            let same = profile.epoch == number && Kek::of(&profile.root).id == before;
            if same {
                profile.next = Some(next);
            }
            same
        })
        .await
    }

    /// Changes what is kept, and then what is held.
    async fn change(&self, change: impl FnOnce(&mut Profile) -> bool + Send + 'static) -> Result<(), Error> {
        let (tell, told) = std::sync::mpsc::channel();
        let saved = self
            .kept
            .update_epochs(move |profile| {
                let changed = change(profile);
                // Nobody is told only when nobody waits any more.
                drop(tell.send(Held::of(profile)));
                changed
            })
            .await;
        match (saved, told.try_recv()) {
            (Ok(()), Ok(held)) => {
                self.hold(held);
                Ok(())
            }
            (saved, _) => saved,
        }
    }
}

impl std::fmt::Debug for Epochs {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Epochs({:?})", self.held())
    }
}

/// Which epochs a profile holds.
pub(crate) fn names(profile: &Profile) -> ([u8; 8], Option<[u8; 8]>) {
    (Kek::of(&profile.root).id, profile.next.as_ref().map(|next| Kek::of(&next.root).id))
}

fn copy_of(epoch: &Epoch) -> Epoch {
    Epoch { number: epoch.number, root: copy(&epoch.root), not_after: epoch.not_after }
}

fn copy(secret: &Secret<32>) -> Secret<32> {
    Secret::copy_of(secret.expose()).expect("it has as many octets")
}

/// For a rekey: the call that waits for it has its own after that.
const DEADLINE: Duration = Duration::from_secs(5);
/// Seconds from a rekey that failed to the next one, where the epoch still serves.
const AGAIN_S: u32 = 60;

#[cfg(test)]
mod tests;
