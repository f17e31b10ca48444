//! What parties do, what time does, what breaks, and how everything comes right once nothing breaks any more.

use serde_json::json;
use sidekey_protocol::ids::{Role, ServerName, SessionId, UserName};
use sidekey_protocol::revocation::Target;
use sidekey_protocol::session::Audience;

use crate::model::Known;
use crate::network::Ask;
use crate::parties::Party;
use crate::world::World;

/// One of these, by dice.
fn one_of<T>(world: &mut World, mut all: Vec<T>) -> Option<T> {
    if all.is_empty() { None } else { Some(all.swap_remove(world.dice.roll(all.len() as u64) as usize)) }
}

/// What parties do.
impl World {
    pub(crate) fn somebody_acts(&mut self) {
        let whose = self.dice.roll(self.parties.len() as u64) as usize;
        let waiting = self.parties[whose].calls.len();
        if self.parties[whose].over {
            return;
        }
        if waiting == CALLS_MAX || waiting > 0 && self.chance(2) {
            let which = self.dice.roll(waiting as u64) as usize;
            return self.sends(whose, which);
        }
        match self.parties[whose].place().map(|place| place.role) {
            Some(Role::Server) => self.gateway_acts(whose),
            Some(_) => self.device_acts(whose),
            None if whose == 0 => self.administrator_acts(),
            None if waiting == 0 => {
                let (wrong, now) = (self.chance(4), self.now());
                self.parties[whose].begins(wrong, now, &mut self.rng);
            }
            None => {}
        }
        if self.parties[whose].calls.len() > waiting {
            self.sends(whose, waiting);
        }
    }

    pub(crate) fn asks(&mut self, whose: usize, ask: Ask, body: Option<serde_json::Value>) {
        let now = self.now();
        self.parties[whose].asks(ask, body, now);
    }

    fn renews(&mut self, whose: usize) {
        let now = self.now();
        self.parties[whose].renews(now, &mut self.rng);
    }

    /// A session, of those at this server mostly.
    fn some_session(&mut self, server: &ServerName) -> Option<SessionId> {
        let anywhere = self.chance(8);
        let sessions = self.model.sessions.iter();
        let here = sessions.filter(|(_, session)| anywhere || session.server == *server);
        let all = here.map(|(id, _)| *id).collect();
        one_of(self, all)
    }

    pub(crate) fn opens(&mut self, whose: usize, audience: Audience) -> String {
        let once = format!("open-{:032x}", u128::from(self.dice.roll(u64::MAX)));
        let capabilities = ["XENCRYPTED", "A256GCM", "C20P"];
        let body = match &audience {
            Audience::User(user) => json!({"user": user, "capabilities": capabilities}),
            Audience::Pairing(pairing) => json!({"pairing": pairing, "capabilities": capabilities}),
        };
        self.asks(whose, Ask::Open { audience, once: once.clone() }, Some(body));
        once
    }

    fn gateway_acts(&mut self, whose: usize) {
        let Some(server) = self.parties[whose].place().map(|place| place.server.clone()) else { return };
        match self.dice.roll(100) {
            0..40 => {
                let anywhere = self.chance(10);
                let clients = self.model.pairings.iter().filter(|(_, p)| anywhere || p.server == server);
                let users: Vec<_> = clients.filter_map(|(id, p)| Some((*id, p.user.clone()?))).collect();
                let Some((id, user)) = one_of(self, users) else { return };
                let of_one = self.chance(4);
                self.opens(whose, if of_one { Audience::Pairing(id) } else { Audience::User(user) });
            }
            40..48 => self.renews(whose),
            48..51 => {
                let secrets = self.secrets.iter().map(|(id, secret)| (*id, secret.clone())).collect();
                let Some((id, secret)) = one_of(self, secrets) else { return };
                let Some(credential) = self.model.credentials.get(&id) else { return };
                let body = json!({"user": credential.user, "secret": secret});
                self.asks(whose, Ask::Verify(id), Some(body));
            }
            51..54 => {
                let users = self.model.pairings.values().filter_map(|pairing| pairing.user.clone());
                let Some(user) = one_of(self, users.collect()) else { return };
                self.asks(whose, Ask::Current(Some(user)), None);
            }
            roll => {
                let Some(session) = self.some_session(&server) else { return };
                let ask = match roll {
                    54..75 => Ask::Rotate(session),
                    75..82 => Ask::End(session),
                    _ => Ask::Fetch(session, None),
                };
                let body = matches!(ask, Ask::Rotate(_)).then(|| json!({}));
                self.asks(whose, ask, body);
            }
        }
    }

    fn device_acts(&mut self, whose: usize) {
        let (Some(id), Some(server)) =
            (self.parties[whose].id(), self.parties[whose].place().map(|place| place.server.clone()))
        else {
            return;
        };
        match self.dice.roll(100) {
            0..20 => self.asks(whose, Ask::Current(None), None),
            20..35 => self.renews(whose),
            35..38 => self.revokes(whose, Target::Pairing { pairing: id }),
            38..43 => self.asks(whose, Ask::Own, None),
            roll => {
                let Some(session) = self.some_session(&server) else { return };
                let newest = self.model.sessions[&session].generation;
                let generation = match roll {
                    43..55 => newest.checked_sub(1),
                    55..58 => Some(newest + 1),
                    _ => None,
                };
                self.asks(whose, Ask::Fetch(session, generation), None);
            }
        }
    }

    fn revokes(&mut self, whose: usize, target: Target) {
        let body = json!({"target": target, "reason": "lost"});
        self.asks(whose, Ask::Revoke(target), Some(body));
    }

    pub(crate) fn invites(&mut self, server: ServerName, user: Option<UserName>) {
        let role = if user.is_some() { "client" } else { "server" };
        let approval = if self.network.faulty && self.chance(3) { "admin" } else { "none" };
        let body = json!({"role": role, "server": server, "user": user, "approval": approval});
        self.asks(0, Ask::Invite { server, user }, Some(body));
    }

    /// Approves a pairing by the digits that its device shows, or by others.
    fn approves(&mut self, right: bool) {
        let waits = |party: &Party| {
            let id = party.id().filter(|_| !party.over)?;
            let approved = self.model.pairings.get(&id).is_none_or(|pairing| pairing.approved == Known::Yes);
            party.digits.filter(|_| !approved).map(|digits| (id, digits))
        };
        let waiting = self.parties.iter().filter_map(waits).collect();
        let Some((id, digits)) = one_of(self, waiting) else { return };
        let body = if right { json!({"digits": digits}) } else { json!({"digits": "0000 0000 0000 0000"}) };
        self.asks(0, Ask::Approve(id, right), Some(body));
    }

    fn issues_credential(&mut self, server: ServerName, user: UserName) {
        let label = format!("proxy {}", self.dice.roll(1000));
        let body = json!({"server": server, "user": user, "label": label});
        self.asks(0, Ask::IssueCredential { server, user }, Some(body));
    }

    /// Sets which suites may be used at a server.
    fn sets_policy(&mut self, server: ServerName) {
        let suites: [&[&str]; 3] = [&["A256GCM"], &["C20P"], &["C20P", "A256GCM"]];
        let suites = suites[self.dice.roll(3) as usize];
        let Some(revision) = self.policy_revision(&server) else { return };
        let body = json!({"suites": suites});
        self.asks(0, Ask::Policy { server, revision, suites }, Some(body));
    }

    fn administrator_acts(&mut self) {
        let roll = self.dice.roll(126);
        if roll >= 120 {
            let servers = self.model.pairings.values().map(|pairing| pairing.server.clone()).collect();
            let Some(server) = one_of(self, servers) else { return };
            return self.sets_policy(server);
        }
        if roll >= 108 {
            let right = !self.chance(4);
            return self.approves(right);
        }
        let pairings = self.model.pairings.iter().map(|(id, pairing)| (*id, pairing.clone())).collect();
        let Some((pairing, place)) = one_of(self, pairings) else { return };
        let target = match roll {
            0..25 if self.parties.len() < PARTIES_MAX => return self.invites(place.server, place.user),
            0..40 => Target::Pairing { pairing },
            40..48 => match place.user {
                Some(user) => Target::User { server: place.server, user },
                None => return,
            },
            48..50 => Target::Server { server: place.server },
            100..105 => match place.user {
                Some(user) => return self.issues_credential(place.server, user),
                None => return,
            },
            105..108 => {
                let credentials = self.model.credentials.keys().copied().collect();
                let Some(credential) = one_of(self, credentials) else { return };
                Target::Credential { credential }
            }
            50..65 => {
                let invitations = self.model.invitations.keys().copied().collect();
                let Some(invitation) = one_of(self, invitations) else { return };
                Target::Invitation { invitation }
            }
            roll => {
                let Some(session) = self.some_session(&place.server) else { return };
                if roll < 80 {
                    return self.asks(0, Ask::End(session), None);
                }
                Target::Session { session }
            }
        };
        self.revokes(0, target);
    }
}

/// What happens to everybody.
impl World {
    pub(crate) fn time_passes(&mut self) {
        self.start();
        if self.chance(3) {
            self.accepts();
        }
        if self.behind_s > 0 && self.chance(2) {
            let by_s = std::mem::take(&mut self.behind_s);
            self.clock.advance_s(by_s);
            return self.trace.note("the clock is right again");
        }
        let by_s = match self.dice.roll(100) {
            0..60 => 1 + self.dice.roll(30),
            60..78 => 121,
            78..86 => 700,
            86..92 => 3_700,
            92..95 => 86_500,
            95 => 8 * 86_400,
            _ => return self.clock_goes_back(),
        };
        self.clock.advance_s(by_s as u32);
        self.trace.note(&format!("{by_s} s pass"));
    }

    fn clock_goes_back(&mut self) {
        let by_s = if self.chance(3) { 30 } else { 61 + self.dice.roll(400) } as u32;
        self.behind_s += by_s;
        self.clock.set(sidekey_protocol::ids::Timestamp(self.now().0 - by_s));
        self.trace.note(&format!("the clock goes back by {by_s} s"));
    }

    pub(crate) fn something_breaks(&mut self) {
        match self.dice.roll(100) {
            0..25 => self.power_cut(None),
            25..45 => self.killed(),
            45..55 => self.stopped(),
            55..67 => self.tends(),
            67..75 => self.order(true, false),
            75..85 => {
                let full = !self.is_full();
                self.order(false, full);
            }
            85..89 => self.copies(),
            89..91 => self.put_back(),
            _ => {
                let whose = self.dice.roll(self.parties.len() as u64) as usize;
                self.parties[whose].crash();
                self.trace.note(&format!("{} crashes", self.parties[whose].name));
            }
        }
        if self.chance(2) {
            self.start();
        }
    }
}

/// Nothing breaks any more.
impl World {
    /// Whoever waits for something has it, or knows that he never will; and everybody who lives can go on.
    pub(crate) fn comes_right(&mut self) {
        self.network.faulty = false;
        self.order(false, false);
        self.clock.advance_s(std::mem::take(&mut self.behind_s));
        self.start();
        self.trace.note("nothing breaks any more");
        for _ in 0..PARTIES_MAX {
            // The first request that shows what was lost is the last before it is accepted.
            self.settles();
            self.approves(true);
        }
        self.settles();
        // Whoever has a next epoch uses it; then everybody asks for one, and uses it.
        for all in [false, true, false] {
            for whose in 1..self.parties.len() {
                if all || self.parties[whose].has_next() {
                    self.renews(whose);
                }
            }
            self.settles();
        }
        for party in &self.parties {
            assert!(party.over || !party.has_next(), "{} cannot use its next epoch", party.name);
            let pairing = party.id().and_then(|id| self.model.pairings.get(&id));
            let lives = pairing.is_some_and(|p| p.over == Known::No && p.approved == Known::Yes);
            assert!(!party.over || !lives, "{} was told that it is over", party.name);
        }
        for whose in 1..self.parties.len() {
            if self.parties[whose].is(Role::Server) {
                self.serves_its_users(whose);
            }
        }
        self.tends();
        self.looks();
    }

    /// Every request is sent until it is answered for good.
    pub(crate) fn settles(&mut self) {
        for _ in 0..ROUNDS_MAX {
            let mut idle = true;
            for whose in 0..self.parties.len() {
                let party = &mut self.parties[whose];
                if party.over {
                    party.calls.clear();
                }
                if party.calls.is_empty() && party.kept.is_none() {
                    let now = self.now();
                    self.parties[whose].begins(false, now, &mut self.rng);
                }
                for which in 0..self.parties[whose].calls.len() {
                    self.sends(whose, which);
                    idle = false;
                }
            }
            if idle {
                return;
            }
            while !self.network.is_quiet() {
                self.network_moves();
            }
            self.accepts();
            self.clock.advance_s(1);
        }
        let waiting = self.parties.iter().flat_map(|party| &party.calls).map(|call| &call.request.ask);
        panic!("never answered: {:?}", waiting.collect::<Vec<_>>());
    }

    /// A new session for each user, and its key is the same for all of the user's devices.
    fn serves_its_users(&mut self, gateway: usize) {
        let Some(server) = self.parties[gateway].place().map(|place| place.server.clone()) else { return };
        let devices: Vec<_> = (1..self.parties.len()).filter(|&n| self.parties[n].is(Role::Client)).collect();
        for device in devices {
            let place = self.parties[device].place().filter(|place| place.server == server);
            let Some(user) = place.and_then(|place| place.user.clone()) else { continue };
            let once = self.opens(gateway, Audience::User(user));
            self.settles();
            let session = self.parties[gateway].id().and_then(|id| self.model.opened_by(id, &once));
            let Some(session) = session else { panic!("{} opens no session", self.parties[gateway].name) };
            self.asks(device, Ask::Fetch(session, None), None);
            self.settles();
            let [ours, theirs] = [gateway, device].map(|n| self.parties[n].keys.get(&session));
            let name = &self.parties[device].name;
            assert!(ours.is_some() && ours == theirs, "{name} has not the key that its server has");
        }
    }
}

/// Requests that a party has under way.
const CALLS_MAX: usize = 3;
const PARTIES_MAX: usize = 12;
/// After so many nobody waits any more.
const ROUNDS_MAX: u32 = 16;
