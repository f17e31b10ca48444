//! Revocation: one record, which cannot be undone unnoticed.

use sidekey_protocol::ids::{PartyId, Timestamp};
use sidekey_protocol::revocation::{self, Reason, Reject, SealedHead, Target};

use super::engine::{About, Desk, Verdict};
use super::record::Record;
use super::session::fresh_root;
use super::state::{Effect, State};
use super::view::Revoked;
use super::{Error, Refused, Store};

impl Store {
    /// Revokes. Effective, and gone from the keys that are given, when it returns.
    ///
    /// Revoking a server or a user, or any pairing, takes the session roots concerned along; the sealing key is rotated
    /// at once, and the old one destroyed as soon as what is left is sealed anew.
    ///
    /// # Errors
    /// [`Refused::Absent`], [`Refused::AlreadyRevoked`].
    pub async fn revoke(&self, by: PartyId, target: Target, reason: Reason) -> Result<Revoked, Error> {
        let decide = move |state: &State, desk: &mut Desk<'_>| decide(state, desk, target, reason);
        self.engine.commit(About::Everything, Some(by), decide).await
    }

    /// What [`Self::revoke`] would answer at this moment; changes nothing.
    ///
    /// # Errors
    /// As [`Self::revoke`].
    pub fn would_revoke(&self, target: &Target) -> Result<Revoked, Error> {
        let now = self.now();
        let state = self.shared.read();
        let effect = struck(&state, target, now)?;
        Ok(Revoked { revocations: state.global.head.n.saturating_add(1), ..counts(&effect) })
    }

    /// Where the chain of revocations stands, as parties are shown it.
    #[must_use]
    pub fn head(&self) -> SealedHead {
        self.shared.head()
    }

    /// Whether this service made that head.
    #[must_use]
    pub fn is_genuine(&self, head: &SealedHead) -> bool {
        head.genuine(self.shared.at_rest.head_key()).is_ok()
    }
}

fn decide(
    state: &State,
    desk: &mut Desk<'_>,
    target: Target,
    reason: Reason,
) -> Result<Verdict<Revoked>, Error> {
    let effect = struck(state, &target, desk.now)?;
    if matches!(target, Target::Pairing { .. } | Target::Server { .. } | Target::User { .. }) {
        // The fresh roots are under the new key already, so the old one is needed only by what is resealed next.
        desk.rotate_sealing_key_soon()?;
    }
    let fresh = |&user: &u32, desk: &mut Desk<'_>| {
        let user = &state.users[user as usize];
        (state.servers[user.server as usize].name.clone(), user.name.clone(), fresh_root(desk))
    };
    let roots = effect.users.iter().map(|user| fresh(user, desk)).collect();
    let mut revoked = counts(&effect);
    let answer = move |state: &State| {
        revoked.revocations = state.global.head.n;
        revoked
    };
    Ok(Verdict::Commit(Record::Revoked { target, reason, roots }, Box::new(answer)))
}

/// What it strikes, or why it strikes nothing.
fn struck(state: &State, target: &Target, now: Timestamp) -> Result<Effect, Refused> {
    state.effect(target, now).map_err(|reject| match reject {
        Reject::AlreadyRevoked => Refused::AlreadyRevoked,
        Reject::TargetForeign | Reject::TargetUnknown => Refused::Absent,
    })
}

fn counts(effect: &Effect) -> Revoked {
    let count = |handles: &[u32]| u32::try_from(handles.len()).unwrap_or(u32::MAX);
    Revoked {
        revocations: revocation::Head::START.n,
        invitations: count(&effect.invitations),
        pairings: count(&effect.pairings),
        credentials: count(&effect.credentials),
        sessions_rotated: count(&effect.rotate),
        sessions_ended: count(&effect.end),
    }
}
