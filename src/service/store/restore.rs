//! Finding out that this is an older copy, and going on from it.

use std::sync::atomic::Ordering;

use sidekey_protocol::crypto::equal;
use sidekey_protocol::ids::PartyId;
use sidekey_protocol::revocation::restore::{self, Accept, Accepted, RestoreStatus, ShownHead};
use sidekey_protocol::revocation::wire::Revoked;
use sidekey_protocol::revocation::{SealedHead, Target};

use super::engine::{About, Desk, Verdict};
use super::record::{Record, RestoreAccepted};
use super::state::{RolledBack, State, Struck};
use super::view::Party;
use super::{Error, Refused, Rights, Store};

/// What a head says that somebody has shown.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Compared {
    /// Somebody invented it.
    Forged,
    /// This service made it, and has lost what it stands for.
    Later,
    /// It is of this history, as far as anybody can tell.
    Ours,
}

/// Finding out.
impl Store {
    /// Whether this service knows that it has lost revocations: it answers nothing else until that is accepted.
    #[must_use]
    pub fn is_rolled_back(&self) -> bool {
        self.shared.is_rolled_back()
    }

    /// Holds a head that somebody has shown against ours.
    #[must_use]
    pub fn compare(&self, shown: &SealedHead) -> Compared {
        let ours = self.shared.head();
        // What nearly everybody shows is the head that everybody is shown.
        if equal(shown.as_bytes(), ours.as_bytes()).is_ok() {
            return Compared::Ours;
        }
        match shown.genuine(self.shared.at_rest.head_key()) {
            Err(_) => Compared::Forged,
            Ok(()) if shown.n() < ours.n() => Compared::Ours,
            Ok(()) => Compared::Later,
        }
    }

    /// Records a head that [`Self::compare`] found to be [`Compared::Later`]: from here on, across restarts, nothing is
    /// issued. Does nothing for a head that is not higher than the one recorded before.
    ///
    /// # Errors
    /// It could not be recorded; nothing is issued all the same, until this process ends.
    pub async fn roll_back(&self, shown: SealedHead, by: Option<PartyId>) -> Result<(), Error> {
        self.shared.rolling_back.store(true, Ordering::Release);
        let decide = move |state: &State, _: &mut Desk<'_>| {
            let known = state.global.rolled_back.as_ref().map(|known| known.shown.n());
            if known.is_some_and(|n| n >= shown.n()) || shown.n() < state.global.head.n {
                return Ok(Verdict::Already(()));
            }
            Ok(Verdict::Commit(Record::HeadShown { head: shown, by }, Box::new(|_| ())))
        };
        self.engine.commit(About::Everything, by, decide).await?;
        // From here on the state says it.
        self.shared.rolling_back.store(false, Ordering::Release);
        Ok(())
    }
}

/// Going on.
impl Store {
    /// How it stands.
    #[must_use]
    pub fn restore_status(&self) -> RestoreStatus {
        let state = self.shared.read();
        let own = state.global.head.n;
        let Some(known) = &state.global.rolled_back else {
            let rolled_back = self.shared.rolling_back.load(Ordering::Acquire);
            return RestoreStatus {
                rolled_back,
                revocations: own,
                shown: None,
                missing: 0,
                reports: Vec::new(),
            };
        };
        let shown = ShownHead { revocations: known.shown.n(), by: known.by, at: known.at };
        let reports = known.reports.iter().map(|report| {
            let Revoked { target, reason, at } = report.revoked.clone();
            restore::Report { target, reason, at, by: report.by }
        });
        RestoreStatus {
            rolled_back: true,
            revocations: own,
            shown: Some(shown),
            missing: restore::missing(own, known.shown.n(), known.reports.len()),
            reports: reports.collect(),
        }
    }

    /// Takes what a party was told of revocations that are not here, and says how many are news. A party is believed
    /// about what it is told of: itself, its user, its server.
    ///
    /// # Errors
    /// [`Refused::Stale`]: the service is not rolled back (any more).
    pub async fn report(&self, by: PartyId, told: Vec<Revoked>) -> Result<usize, Error> {
        let decide = move |state: &State, desk: &mut Desk<'_>| {
            let known = state.global.rolled_back.as_ref().ok_or(Refused::Stale)?;
            let (_, reporter) = state.party(by).ok_or(Refused::Absent)?;
            let mut news: Vec<Revoked> = Vec::new();
            for revoked in told {
                let target = &revoked.target;
                let reported = known.reports.iter().map(|report| &report.revoked).chain(&news);
                let is_known = reported.into_iter().any(|other| other.target == *target);
                let room = known.reports.len() + news.len() < REPORTS_MAX;
                let struck = state.effect(target, desk.now).is_ok();
                if struck && room && !is_known && may_report(state, &reporter.party, target) {
                    news.push(revoked);
                }
            }
            match news.len() {
                0 => Ok(Verdict::Already(0)),
                taken => Ok(Verdict::Commit(Record::RevocationsReported(news), Box::new(move |_| taken))),
            }
        };
        self.engine.commit(About::Everything, Some(by), decide).await
    }

    /// Goes on from here, if what is known is still what the administrator has seen: what was reported is revoked again,
    /// all sessions end, all open invitations are cancelled. `seen` = the shown count and the number of reports.
    ///
    /// # Errors
    /// [`Refused::Absent`]: `except` names what is no live pairing; [`Refused::Missing`]: revocations are lost that
    /// nobody has reported; [`Refused::Stale`]: somebody has shown or reported more, or it is accepted already.
    pub async fn accept(&self, by: PartyId, accept: Accept, seen: (u64, usize)) -> Result<Accepted, Error> {
        let decide = move |state: &State, desk: &mut Desk<'_>| {
            let known = state.global.rolled_back.as_ref().ok_or(Refused::Stale)?;
            if (known.shown.n(), known.reports.len()) != seen {
                return Err(Refused::Stale.into());
            }
            let (accepted, struck) = going_on(state, known, &accept, desk)?;
            // What is gone shall not be opened by an old copy either.
            desk.rotate_sealing_key()?;
            let answer = told(false, accepted.revocations, struck);
            Ok(Verdict::Commit(Record::RestoreAccepted(Box::new(accepted)), Box::new(move |_| answer)))
        };
        self.engine.commit(About::Everything, Some(by), decide).await
    }

    /// What [`Self::accept`] would do at this moment; changes nothing.
    ///
    /// # Errors
    /// As [`Self::accept`].
    pub async fn would_accept(&self, accept: Accept) -> Result<Accepted, Error> {
        let decide = move |state: &State, desk: &mut Desk<'_>| {
            let known = state.global.rolled_back.as_ref().ok_or(Refused::Stale)?;
            let (accepted, struck) = going_on(state, known, &accept, desk)?;
            Ok(Verdict::Already(told(true, accepted.revocations, struck)))
        };
        self.engine.commit(About::Everything, None, decide).await
    }
}

fn going_on(
    state: &State,
    known: &RolledBack,
    accept: &Accept,
    desk: &Desk<'_>,
) -> Result<(RestoreAccepted, Struck), Refused> {
    let own = state.global.head.n;
    let missing = restore::missing(own, known.shown.n(), known.reports.len());
    if !accept.revoke_all && accept.missing < missing {
        return Err(Refused::Missing(missing));
    }
    let live = |id: &PartyId| {
        state.party(*id).is_some_and(|(_, state)| state.party.is_live() && state.party.place().is_some())
    };
    if !accept.except.iter().all(live) {
        return Err(Refused::Absent);
    }
    // Sessions end and invitations are cancelled anyhow.
    let again = |revoked: &&Revoked| {
        let over = matches!(revoked.target, Target::Invitation { .. } | Target::Session { .. });
        !over && state.effect(&revoked.target, desk.now).is_ok()
    };
    let reported = known.reports.iter().map(|report| &report.revoked);
    let reapplied: Vec<_> = reported.filter(again).cloned().collect();
    let revoke_all_but = accept.revoke_all.then(|| accept.except.clone());
    let struck = state.would_accept(&reapplied, revoke_all_but.as_deref(), desk.now);
    let revocations = known.shown.n().max(own).saturating_add(1);
    Ok((RestoreAccepted { revocations, reapplied, revoke_all_but }, struck))
}

fn told(dry_run: bool, revocations: u64, struck: Struck) -> Accepted {
    let Struck { reapplied, pairings, credentials, sessions, invitations } = struck;
    Accepted {
        dry_run,
        revocations,
        reapplied: reapplied as u64,
        pairings: pairings as u64,
        credentials: credentials as u64,
        sessions_ended: sessions as u64,
        invitations: invitations as u64,
    }
}

/// A server is told of what happens at it, a client of its user, and both of their server.
fn may_report(state: &State, reporter: &Party, target: &Target) -> bool {
    let Rights::Pairing { server: own, user: whose, .. } = &reporter.rights else { return true };
    let concerns = |server: &_, user: Option<&_>| {
        server == own && (whose.is_none() || user.is_none() || whose.as_ref() == user)
    };
    match target {
        Target::Server { server } => concerns(server, None),
        Target::User { server, user } => concerns(server, Some(user)),
        Target::Pairing { pairing } => state.party(*pairing).is_some_and(|(_, struck)| {
            struck.party.place().is_some_and(|(_, server, user)| {
                concerns(server, user) && (whose.is_none() || user.is_some())
            })
        }),
        Target::Session { session } => state.find_session(*session).is_some_and(|slot| {
            let user = &state.users[slot.user as usize];
            concerns(&state.servers[user.server as usize].name, Some(&user.name))
        }),
        Target::Credential { credential } => state.credentials.find(*credential).is_some_and(|(_, kept)| {
            let (server, user) = state.whose(kept.user);
            concerns(server, Some(user))
        }),
        Target::Invitation { invitation } => state
            .invitation(*invitation)
            .is_some_and(|(_, invited)| concerns(&invited.server, invited.user.as_ref())),
    }
}

/// Reports that are kept.
const REPORTS_MAX: usize = 256;
