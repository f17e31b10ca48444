//! Policies: what is set at each level, the version that comes of it, and the sessions that a change carries along.
//!
//! A change is one small record, whatever it concerns. What it does to open sessions follows from the state alone, so it
//! is no record of its own: [`State::carry`] does it a bounded number at a time, and whoever looks at a session
//! meanwhile does it for that session's user first. Before the next record it is done, so every replay comes to the same.

use serde::{Deserialize, Serialize};
use sidekey_protocol::ids::{ServerName, Timestamp, UserName};
use sidekey_protocol::policy::Policy;
use sidekey_protocol::policy::setting::{Levels, Rules, Setting};
use sidekey_protocol::policy::wire::{Concerns, UNFIT_MAX, UnfitDevice};
use sidekey_protocol::session::{Cause, Choice, Reject, SuiteList, choose_of_one, choose_of_several};

use super::State;
use super::apply::Misfit;
use super::sessions::{NONE, Slot};
use crate::store::view::{EndReason, Event, Happened};

/// Where a setting applies, by handle.
#[derive(Clone, Copy, Debug, Deserialize, Eq, Ord, PartialEq, PartialOrd, Serialize)]
pub(in crate::store) enum Reach {
    /// Everywhere.
    Service,
    /// At this server.
    Server(u32),
    /// For this user.
    User(u32),
}

/// What is set at one level. It stays when it is unset: versions only grow.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub(in crate::store) struct Set {
    pub(in crate::store) setting: Setting,
    /// How often it was changed.
    pub(in crate::store) revision: u32,
    /// How often that changed what is signed.
    pub(in crate::store) signed: u32,
    pub(in crate::store) at: Timestamp,
}

/// A change that has not reached all of its sessions yet.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub(in crate::store) struct Carrying {
    reach: Reach,
    at: Timestamp,
}

/// What holds.
impl State {
    /// What is set at a server, for a user.
    pub(in crate::store) fn levels(&self, server: Option<u32>, user: Option<u32>) -> Levels<'_> {
        let of = |reach| self.policies.get(&reach).map(|set| &set.setting);
        Levels {
            service: of(Reach::Service),
            server: server.and_then(|server| of(Reach::Server(server))),
            user: user.and_then(|user| of(Reach::User(user))),
        }
    }

    /// The version of the signed policy: 1, and one more for each change at any level that concerns it. So it only
    /// grows, and no version has two contents.
    pub(in crate::store) fn policy_version(&self, server: Option<u32>, user: Option<u32>) -> u32 {
        let levels = [Some(Reach::Service), server.map(Reach::Server), user.map(Reach::User)];
        let signed = |reach: Reach| self.policies.get(&reach).map_or(0, |set| set.signed);
        levels.into_iter().flatten().map(signed).fold(1, u32::saturating_add)
    }

    /// The signed policy of a user at a server, and the rules that the service keeps to.
    pub(in crate::store) fn policy_of(&self, server: &ServerName, user: &UserName) -> (Policy, Rules) {
        let (at, whom) =
            (self.server(server).map(|(at, _)| at), self.user(server, user).map(|(whom, _)| whom));
        let effective = self.levels(at, whom).effective();
        let version = self.policy_version(at, whom);
        let rules = effective.rules();
        (effective.policy(self.global.service, server.clone(), user.clone(), version), rules)
    }

    /// The suite of a session under these suites of a policy, as the devices are that are live.
    pub(super) fn choice(&self, slot: &Slot, suites: &SuiteList) -> Result<Choice, Reject> {
        let capabilities = self.capabilities(slot);
        if slot.audience != NONE {
            let offer = self.parties[slot.audience as usize].party.offer.as_ref();
            return choose_of_one(offer.ok_or(Reject::AudienceUnknown)?, suites, capabilities);
        }
        let live = self.live(&self.users[slot.user as usize].pairings);
        choose_of_several(live.filter_map(|party| party.offer.as_ref()), suites, capabilities)
    }

    /// The users that a setting reaches, by number.
    fn reached(&self, reach: Reach, n: u32) -> Option<u32> {
        match reach {
            Reach::Service => ((n as usize) < self.users.len()).then_some(n),
            Reach::Server(server) => self.servers[server as usize].users.get(n as usize).copied(),
            Reach::User(user) => (n == 0).then_some(user),
        }
    }
}

/// A change.
impl State {
    /// Sets what a level says. Sessions follow: see [`State::carry`].
    pub(super) fn set_policy(
        &mut self,
        server: Option<ServerName>,
        user: Option<UserName>,
        setting: Setting,
        at: Timestamp,
    ) -> Result<Vec<Event>, Misfit> {
        let reach = match (&server, &user) {
            (None, None) => Reach::Service,
            (Some(server), None) => Reach::Server(self.server(server).ok_or(Misfit)?.0),
            (Some(server), Some(user)) => Reach::User(self.user_or_new(server, user)?),
            (None, Some(_)) => return Err(Misfit),
        };
        let never = || Set { setting: Setting::default(), revision: 0, signed: 0, at };
        let set = self.policies.entry(reach).or_insert_with(never);
        let signs = !set.setting.signs_as(&setting);
        set.revision = set.revision.checked_add(1).ok_or(Misfit)?;
        set.signed += u32::from(signs);
        (set.setting, set.at) = (setting, at);
        self.dirty.policy(reach);
        if !signs {
            return Ok(Vec::new());
        }
        (self.global.carrying, self.carried) = (Some(Carrying { reach, at }), 0);
        Ok(vec![Event { seq: 0, at, server, user, pairing: None, what: Happened::Policy }])
    }

    /// Carries a change on through some `count` more users and sessions; whether more are left.
    pub(in crate::store) fn carry(&mut self, count: usize) -> bool {
        let Some(Carrying { reach, .. }) = self.global.carrying else { return false };
        let mut left = count;
        while let Some(user) = self.reached(reach, self.carried) {
            if left == 0 {
                return true;
            }
            self.carried += 1;
            left = left.saturating_sub(1 + self.carry_user(user));
        }
        self.global.carrying = None;
        false
    }

    /// Carries the change on to one user's sessions, wherever it has come elsewhere; how many there were.
    pub(in crate::store) fn carry_user(&mut self, user: u32) -> usize {
        let Some(Carrying { reach, at }) = self.global.carrying else { return 0 };
        let (server, sessions) = (self.users[user as usize].server, self.users[user as usize].sessions);
        let reached = match reach {
            Reach::Service => true,
            Reach::Server(struck) => struck == server,
            Reach::User(struck) => struck == user,
        };
        if !reached || sessions == NONE {
            return 0;
        }
        let names = (self.servers[server as usize].name.clone(), self.users[user as usize].name.clone());
        let (policy, _) = self.policy_of(&names.0, &names.1);
        let hash = policy.hash();
        let handles: Vec<u32> = self.sessions.list(sessions).collect();
        for &handle in &handles {
            self.carry_session(handle, &policy.suites, hash, at);
        }
        handles.len()
    }

    /// The next generation, under the policy that holds now; the end where no suite is left. Nothing the second time.
    fn carry_session(&mut self, handle: u32, suites: &SuiteList, hash: [u8; 32], at: Timestamp) {
        let Some(slot) = self.sessions.get(handle) else { return };
        if !slot.is_open(at) || self.policy(slot) == hash {
            return;
        }
        let next = slot.generations().rotate(Cause::Policy, at);
        let next = self.choice(slot, suites).and_then(|choice| Ok((choice.suite, next?)));
        let policy = self.hashes.hold(hash);
        let Ok(slot) = self.slot_mut(handle) else { return };
        let spare = match next {
            Ok((suite, generations)) => {
                slot.suite = suite;
                slot.set_generations(generations);
                std::mem::replace(&mut slot.policy, policy)
            }
            Err(_) => {
                slot.ended = Some(EndReason::Policy);
                policy
            }
        };
        let ended = slot.ended.is_some();
        self.hashes.release(spare);
        if ended { self.undeliver(handle, at) } else { self.redeliver(handle, at) }
    }
}

/// Whom a change would concern.
impl State {
    /// Adds to `concerns` what `setting` would do to some `count` users and sessions, and says where to go on.
    pub(in crate::store) fn concerns(
        &self,
        reach: Reach,
        setting: &Setting,
        from: u32,
        count: usize,
        concerns: &mut Concerns,
    ) -> Option<u32> {
        let signs = self
            .policies
            .get(&reach)
            .map_or_else(|| !setting.signs_as(&Setting::default()), |set| !set.setting.signs_as(setting));
        let (mut left, mut n) = (count, from);
        while let Some(user) = self.reached(reach, n) {
            if left == 0 {
                return Some(n);
            }
            n += 1;
            let server = self.users[user as usize].server;
            let mut levels = self.levels(Some(server), Some(user));
            *match reach {
                Reach::Service => &mut levels.service,
                Reach::Server(_) => &mut levels.server,
                Reach::User(_) => &mut levels.user,
            } = Some(setting);
            let suites = levels.effective().suites.value;
            self.concerns_devices(user, &suites, concerns);
            let sessions = if signs { self.concerns_sessions(user, &suites, concerns) } else { 0 };
            left = left.saturating_sub(1 + sessions);
        }
        None
    }

    fn concerns_devices(&self, user: u32, suites: &SuiteList, concerns: &mut Concerns) {
        let state = &self.users[user as usize];
        let before = concerns.devices;
        for party in self.live(&state.pairings) {
            concerns.devices += 1;
            let fits = |offer: &SuiteList| suites.suites().any(|suite| offer.contains(suite));
            if party.offer.as_ref().is_none_or(fits) {
                continue;
            }
            concerns.devices_unfit += 1;
            if concerns.unfit.len() < UNFIT_MAX
                && let Ok(label) = party.label.parse()
            {
                let server = self.servers[state.server as usize].name.clone();
                concerns.unfit.push(UnfitDevice {
                    pairing: party.id,
                    server,
                    user: state.name.clone(),
                    label,
                });
            }
        }
        concerns.users += u64::from(concerns.devices > before);
    }

    fn concerns_sessions(&self, user: u32, suites: &SuiteList, concerns: &mut Concerns) -> usize {
        let mut sessions = 0;
        for handle in self.sessions.list(self.users[user as usize].sessions) {
            sessions += 1;
            let Some(slot) = self.sessions.get(handle).filter(|slot| slot.is_open(self.last_at)) else {
                continue;
            };
            let spent = slot.generations().current == u32::MAX;
            if self.choice(slot, suites).is_ok() && !spent {
                concerns.sessions_rotated += 1;
            } else {
                concerns.sessions_ended += 1;
            }
        }
        sessions
    }
}
