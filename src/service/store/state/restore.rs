//! A state that was restored from an older copy: what is known of what it has lost, and how it goes on.

use std::sync::Arc;

use serde::{Deserialize, Serialize};
use sidekey_protocol::ids::{PartyId, Timestamp};
use sidekey_protocol::revocation::wire::Revoked;
use sidekey_protocol::revocation::{Head, Reason, SealedHead, Target};

use super::State;
use super::apply::Misfit;
use crate::store::record::RestoreAccepted;
use crate::store::view::{EndReason, Event, Happened, Party, Revocation};

/// What is known while nothing else is answered.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub(in crate::store) struct RolledBack {
    /// The highest head that was shown.
    pub(in crate::store) shown: SealedHead,
    pub(in crate::store) by: Option<PartyId>,
    pub(in crate::store) at: Timestamp,
    pub(in crate::store) reports: Vec<Report>,
}

/// A revocation that a party was told of.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub(in crate::store) struct Report {
    pub(in crate::store) revoked: Revoked,
    pub(in crate::store) by: PartyId,
}

/// What accepting does, in numbers.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(in crate::store) struct Struck {
    pub(in crate::store) reapplied: usize,
    pub(in crate::store) pairings: usize,
    pub(in crate::store) credentials: usize,
    pub(in crate::store) sessions: usize,
    pub(in crate::store) invitations: usize,
}

impl State {
    /// Somebody has seen a head that is not of this history.
    pub(super) fn roll_back(&mut self, shown: SealedHead, by: Option<PartyId>, at: Timestamp) {
        match &mut self.global.rolled_back {
            Some(known) => (known.shown, known.by, known.at) = (shown, by, at),
            none => *none = Some(RolledBack { shown, by, at, reports: Vec::new() }),
        }
    }

    pub(super) fn note_reports(&mut self, reports: Vec<Revoked>, by: PartyId) -> Result<(), Misfit> {
        let known = self.global.rolled_back.as_mut().ok_or(Misfit)?;
        known.reports.extend(reports.into_iter().map(|revoked| Report { revoked, by }));
        Ok(())
    }

    /// Goes on from here: every session ends, every open invitation is cancelled, what waits to be approved is revoked, since
    /// it may have been refused, and so is what was accepted as revoked.
    pub(super) fn accept(
        &mut self,
        accepted: RestoreAccepted,
        body: &[u8],
        at: Timestamp,
    ) -> Result<Vec<Event>, Misfit> {
        let RestoreAccepted { revocations, reapplied, revoke_all_but } = accepted;
        self.global.rolled_back.take().ok_or(Misfit)?;
        self.global.head = Head { n: revocations, r: self.global.head.next(body).r };
        self.end_everything(at)?;
        // Whoever was told anything by the history that is lost looks anew.
        let reset = Event { seq: 0, at, server: None, user: None, pairing: None, what: Happened::Forgotten };
        let mut events = vec![reset];
        for Revoked { target, reason, .. } in reapplied {
            // One report may have covered another.
            if self.effect(&target, at).is_ok() {
                events.extend(self.revoke(target, reason, Vec::new(), at)?);
            }
        }
        for pairing in self.pairings_lost(revoke_all_but.as_deref()) {
            let target = Target::Pairing { pairing };
            events.extend(self.revoke(target, lost(), Vec::new(), at)?);
        }
        let all = revoke_all_but.is_some();
        for credential in
            self.credentials.live(at).filter(|_| all).map(|(_, kept)| kept.id).collect::<Vec<_>>()
        {
            let target = Target::Credential { credential };
            events.extend(self.revoke(target, lost(), Vec::new(), at)?);
        }
        Ok(events)
    }

    /// What accepting would do now.
    pub(in crate::store) fn would_accept(
        &self,
        reapplied: &[Revoked],
        revoke_all_but: Option<&[PartyId]>,
        now: Timestamp,
    ) -> Struck {
        let effects: Vec<_> =
            reapplied.iter().filter_map(|report| self.effect(&report.target, now).ok()).collect();
        let mut pairings: Vec<u32> = effects.iter().flat_map(|effect| effect.pairings.clone()).collect();
        let more = self.pairings_lost(revoke_all_but).into_iter();
        pairings.extend(more.filter_map(|id| Some(self.party(id)?.0)));
        pairings.sort_unstable();
        pairings.dedup();
        let mut credentials: Vec<u32> =
            effects.iter().flat_map(|effect| effect.credentials.clone()).collect();
        let all = revoke_all_but.is_some();
        credentials.extend(self.credentials.live(now).filter(|_| all).map(|(number, _)| number));
        credentials.sort_unstable();
        credentials.dedup();
        Struck {
            reapplied: effects.len(),
            pairings: pairings.len(),
            credentials: credentials.len(),
            sessions: self.open_sessions(now).len(),
            invitations: self.invitations.values().filter(|invited| invited.is_open(now)).count(),
        }
    }

    fn end_everything(&mut self, at: Timestamp) -> Result<(), Misfit> {
        for handle in self.open_sessions(at) {
            self.end_session(handle, EndReason::Revocation, at)?;
        }
        let roots: Vec<u32> = self.roots.keys().copied().collect();
        roots.into_iter().for_each(|number| self.drop_root(number));
        let open = self.invitations.iter().filter(|(_, invited)| invited.is_open(at));
        let open: Vec<u32> = open.map(|(&handle, _)| handle).collect();
        for handle in open {
            let invited = self.invited_mut(handle)?;
            (invited.revoked, invited.verifier) = (Some(Revocation { at, reason: lost() }), None);
        }
        Ok(())
    }

    fn open_sessions(&self, now: Timestamp) -> Vec<u32> {
        let lists = self.users.iter().flat_map(|user| self.sessions.list(user.sessions));
        lists.filter(|&handle| self.sessions.get(handle).is_some_and(|slot| slot.is_open(now))).collect()
    }

    /// Those that wait to be approved; all but these, where all are to go.
    fn pairings_lost(&self, revoke_all_but: Option<&[PartyId]>) -> Vec<PartyId> {
        let standing = self.parties.iter().map(|state| &state.party);
        let standing = standing.filter(|party| !party.is_over() && party.place().is_some());
        let goes = |party: &&Arc<Party>| {
            !party.is_live() || revoke_all_but.is_some_and(|except| !except.contains(&party.id))
        };
        standing.filter(goes).map(|party| party.id).collect()
    }
}

/// Why what nobody reported is revoked.
fn lost() -> Reason {
    "the service was restored from an older copy".parse().expect("it is short and plain")
}
