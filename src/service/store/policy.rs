//! Policies: set at three levels, each with a revision; the most specific wins, member by member.

use sidekey_protocol::ids::{PartyId, ServerName, UserName};
use sidekey_protocol::policy::Policy;
use sidekey_protocol::policy::setting::{Asked, Rules, Setting};
use sidekey_protocol::policy::wire::{Concerns, PoliciesQuery, PolicyRow, PolicyView, Whose};

use super::engine::{About, Desk, Verdict};
use super::record::Record;
use super::state::State;
use super::state::policy::{Reach, Set};
use super::view::{Page, Paged};
use super::{Error, Refused, Store, page};

/// What holds.
impl Store {
    /// The policy of a user at a server, to be signed.
    #[must_use]
    pub fn policy(&self, server: &ServerName, user: &UserName) -> Policy {
        self.shared.read().policy_of(server, user).0
    }

    /// What the service keeps to at a server, for a user or for the server itself.
    #[must_use]
    pub fn rules(&self, server: &ServerName, user: Option<&UserName>) -> Rules {
        let state = self.shared.read();
        let at = state.server(server).map(|(at, _)| at);
        let whom = user.and_then(|user| Some(state.user(server, user)?.0));
        state.levels(at, whom).effective().rules()
    }

    /// The version of the policy of a user at a server; without a user, of those for whom nothing else is set.
    #[must_use]
    pub fn policy_version(&self, server: &ServerName, user: Option<&UserName>) -> u32 {
        let state = self.shared.read();
        let at = state.server(server).map(|(at, _)| at);
        state.policy_version(at, user.and_then(|user| Some(state.user(server, user)?.0)))
    }

    /// What is set at a level, and what holds there; or what would hold, were `instead` set there.
    ///
    /// # Errors
    /// [`Refused::Absent`]: no such server.
    pub fn policy_view(&self, whose: &Whose, instead: Option<&Setting>) -> Result<PolicyView, Error> {
        let state = self.shared.read();
        let at = whose.server().map(|server| state.server(server).ok_or(Refused::Absent)).transpose()?;
        let at = at.map(|(at, _)| at);
        let whom =
            whose.server().zip(whose.user()).and_then(|(server, user)| Some(state.user(server, user)?.0));
        let set = reach(&state, whose)?.and_then(|reach| state.policies.get(&reach));
        let nothing = Setting::default();
        let now = set.map_or(&nothing, |set| &set.setting);
        let setting = instead.unwrap_or(now);
        let mut levels = state.levels(at, whom);
        *match whose {
            Whose::Service => &mut levels.service,
            Whose::Server(_) => &mut levels.server,
            Whose::User(..) => &mut levels.user,
        } = Some(setting);
        Ok(PolicyView {
            server: whose.server().cloned(),
            user: whose.user().cloned(),
            revision: set.map_or(0, |set| set.revision),
            changed: set.map(|set| set.at),
            setting: Asked::from(setting),
            effective: levels.effective(),
            version: state.policy_version(at, whom).saturating_add(u32::from(!setting.signs_as(now))),
        })
    }

    /// The levels at which something is set: the service's, then servers', then users', each as they were made.
    #[must_use]
    pub fn policies(&self, wanted: Page, filter: &PoliciesQuery) -> Paged<PolicyRow> {
        let state = self.shared.read();
        let place_of = |level: u64, number: u32| (level << 32) + u64::from(number);
        let row = |(reach, set): (&Reach, &Set)| {
            let (place, at, user) = match *reach {
                Reach::Service => (1, None, None),
                Reach::Server(number) => (place_of(2, number), Some(number), None),
                Reach::User(number) => {
                    let user = &state.users[number as usize];
                    (place_of(3, number), Some(user.server), Some(user.name.clone()))
                }
            };
            let name = at.map(|at| state.servers[at as usize].name.clone());
            let wanted = !set.setting.is_empty()
                && filter.server.as_ref().is_none_or(|server| name.as_ref() == Some(server))
                && filter.user.as_ref().is_none_or(|wanted| user.as_ref() == Some(wanted))
                && filter.changed_after.is_none_or(|after| set.at > after);
            let (revision, changed, setting) = (set.revision, set.at, Asked::from(&set.setting));
            wanted.then_some((place, PolicyRow { server: name, user, revision, changed, setting }))
        };
        page(state.policies.iter().filter_map(row), wanted)
    }

    /// Whom a change would concern, as things stand. Others get their turn while many users are looked at.
    ///
    /// # Errors
    /// [`Refused::Absent`]: no such server.
    pub fn policy_concerns(&self, whose: &Whose, setting: &Setting) -> Result<Concerns, Error> {
        let mut concerns = Concerns::default();
        let mut from = Some(0);
        while let Some(next) = from {
            let state = self.shared.read();
            // A user of whom nothing is known yet has neither devices nor sessions.
            let Some(reach) = reach(&state, whose)? else { break };
            from = state.concerns(reach, setting, next, AT_ONCE, &mut concerns);
        }
        Ok(concerns)
    }
}

/// A change.
impl Store {
    /// Sets what a level says, if it was changed `revision` times until now. In force for everything that is asked
    /// from then on: sessions that it concerns have their next generation under it, or are over.
    ///
    /// # Errors
    /// [`Refused::Absent`]: no such server; [`Refused::Revoked`]: the server is; [`Refused::Stale`]: it was changed by
    /// somebody else.
    pub async fn set_policy(
        &self,
        by: PartyId,
        whose: Whose,
        setting: Setting,
        revision: u32,
    ) -> Result<(), Error> {
        let decide = move |state: &State, _: &mut Desk<'_>| {
            let server =
                whose.server().map(|server| state.server(server).ok_or(Refused::Absent)).transpose()?;
            if let Some(revocation) = server.and_then(|(_, server)| server.revoked.as_ref()) {
                return Err(Refused::Revoked(revocation.clone()).into());
            }
            let set = reach(state, &whose)?.and_then(|reach| state.policies.get(&reach));
            if set.map_or(0, |set| set.revision) != revision {
                return Err(Refused::Stale.into());
            }
            if set.map_or_else(|| setting.is_empty(), |set| set.setting == setting) {
                return Ok(Verdict::Already(()));
            }
            let (server, user) = (whose.server().cloned(), whose.user().cloned());
            let record = Record::PolicySet { server, user, setting: Box::new(setting) };
            Ok(Verdict::Commit(record, Box::new(|_| ())))
        };
        self.engine.commit(About::Everything, Some(by), decide).await
    }

    /// While a change is carried on: to the sessions of this user first.
    pub(super) fn settle(&self, user: impl FnOnce(&State) -> Option<u32>) {
        let user = {
            let state = self.shared.read();
            state.global.carrying.and_then(|_| user(&state))
        };
        if let Some(user) = user {
            self.shared.write().carry_user(user);
        }
    }
}

/// `None` for a user of whom nothing is known yet.
fn reach(state: &State, whose: &Whose) -> Result<Option<Reach>, Refused> {
    match whose {
        Whose::Service => Ok(Some(Reach::Service)),
        Whose::Server(server) => Ok(Some(Reach::Server(state.server(server).ok_or(Refused::Absent)?.0))),
        Whose::User(server, user) => {
            state.server(server).ok_or(Refused::Absent)?;
            Ok(state.user(server, user).map(|(user, _)| Reach::User(user)))
        }
    }
}

/// Users and sessions that are looked at, or carried along, before others get their turn: about a millisecond.
pub(super) const AT_ONCE: usize = 1024;
