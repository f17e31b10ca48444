//! What must be true, in maps and sets: what was acknowledged, and what may be besides because its answer never came.

use std::collections::{BTreeMap, BTreeSet};

use sidekey_protocol::crypto::sha256;
use sidekey_protocol::ids::{InvitationId, PartyId, Role, ServerName, SessionId, Timestamp, UserName};
use sidekey_protocol::pairing::ATTEMPTS;
use sidekey_protocol::pairing::registry::{self, InvitationCreated, InvitationState, Standing};
use sidekey_protocol::revocation::{SealedHead, Target};
use sidekey_protocol::session::Audience;
use sidekey_protocol::session::envelope::{Bindings, Opened};
use sidekey_protocol::session::registry::{SessionSeen, SessionState};

use crate::network::{Answer, Ask, Request};

/// Whether something is over.
#[derive(Clone, Copy, Debug, Default, Eq, Ord, PartialEq, PartialOrd)]
pub(crate) enum Fate {
    #[default]
    Lives,
    /// It was asked for, or may follow from something else.
    Perhaps,
    /// That was acknowledged.
    Over,
}

#[derive(Clone, Debug)]
pub(crate) struct Invitation {
    pub(crate) server: ServerName,
    pub(crate) user: Option<UserName>,
    expires: Timestamp,
    /// Different requests that were answered: each told whether one code was right.
    answered: BTreeSet<[u8; 32]>,
    /// The answer that made a pairing of it.
    used: Option<[u8; 32]>,
    fate: Fate,
    /// Of the pairing that came of it.
    struck: Fate,
}

#[derive(Clone, Debug)]
pub(crate) struct Pairing {
    pub(crate) role: Role,
    pub(crate) server: ServerName,
    pub(crate) user: Option<UserName>,
    pub(crate) fate: Fate,
}

#[derive(Clone, Debug)]
pub(crate) struct Session {
    pub(crate) server: ServerName,
    pub(crate) user: UserName,
    only: Option<PartyId>,
    pub(crate) not_after: Timestamp,
    /// The highest that anybody was given.
    pub(crate) generation: u32,
    pub(crate) fate: Fate,
}

impl Session {
    /// One whose opening was never answered is found by its own parties.
    fn found(bindings: &Bindings) -> Self {
        let (server, user) = (bindings.server.clone(), bindings.user.clone());
        let (not_after, generation) = (bindings.not_after, bindings.generation);
        Self { server, user, only: None, not_after, generation, fate: Fate::Lives }
    }
}

#[derive(Clone, Debug, Default)]
pub(crate) struct Model {
    pub(crate) invitations: BTreeMap<InvitationId, Invitation>,
    pub(crate) pairings: BTreeMap<PartyId, Pairing>,
    pub(crate) sessions: BTreeMap<SessionId, Session>,
    once: BTreeMap<(PartyId, String), SessionId>,
    keys: BTreeMap<(SessionId, u32), [u8; 32]>,
    whose: BTreeMap<[u8; 32], (SessionId, u32)>,
    heads: BTreeMap<u64, SealedHead>,
    /// When: the latest thing that was acknowledged.
    pub(crate) last_s: u32,
}

impl Model {
    /// An answer has left the service, whether it arrives or not. `opened` is the key in it, `now` the service's clock.
    pub(crate) fn answered(
        &mut self,
        request: &Request,
        answer: &Answer,
        opened: Option<Opened>,
        now: Timestamp,
    ) {
        let code = answer.code();
        assert!(answer.status < 500 || answer.status == 503, "{} {code}", answer.status);
        self.heard_head(answer);
        if !answer.is_ok() {
            return;
        }
        if let Some(pairing) = request.by.and_then(|by| self.pairings.get(&by)) {
            assert!(pairing.fate < Fate::Over, "answered after its revocation was acknowledged");
        }
        // Whoever ends something is heard by any clock; so is who repeats a step of pairing.
        let any = request.by.is_none() || matches!(request.ask, Ask::Revoke(_) | Ask::End(_));
        assert!(any || now.0 + LEEWAY_S >= self.last_s, "answered by a clock that went back");
        match &request.ask {
            Ask::Begin(id) => self.begun(*id, sha256(&request.body), now),
            Ask::Current(_) => self.listed(request, answer),
            Ask::End(id) => self.end(*id, Fate::Over),
            Ask::Fetch(id, asked) => self.given(request, Some(*id), *asked, opened, now),
            Ask::Finish(id) => self.finished(*id, answer.hash()),
            Ask::Invite { server, user } => {
                self.invited(answer.json(), server, user.as_ref());
                self.last_s = self.last_s.max(now.0);
            }
            Ask::Open { once, .. } => self.opened(request, once, opened, now),
            Ask::AddServer | Ask::Own | Ask::Rekey => {}
            Ask::Revoke(target) => self.strike(target, Fate::Over),
            Ask::Rotate(id) => {
                let before = self.sessions.get(id).map(|session| session.generation);
                let given = opened.as_ref().map(|opened| opened.bindings.generation);
                assert!(before < given, "a rotation from {before:?} gave {given:?}");
                self.given(request, Some(*id), None, opened, now);
                self.last_s = self.last_s.max(now.0);
            }
        }
    }

    /// Nobody knows whether it happened.
    pub(crate) fn interrupted(&mut self, request: &Request) {
        match &request.ask {
            Ask::End(id) => self.end(*id, Fate::Perhaps),
            Ask::Finish(id) => self.invitation(*id).fate = self.invitation(*id).fate.max(Fate::Perhaps),
            Ask::Revoke(target) => self.strike(target, Fate::Perhaps),
            _ => {}
        }
    }

    /// The session that a server opened by this key.
    pub(crate) fn opened_by(&self, server: PartyId, once: &str) -> Option<SessionId> {
        self.once.get(&(server, once.to_owned())).copied()
    }

    /// Somebody is paired, by this answer to `finish`.
    pub(crate) fn paired(&mut self, id: PartyId, role: Role, made_by: [u8; 32]) {
        let by = self.invitations.values().find(|invitation| invitation.used == Some(made_by));
        let Invitation { server, user, struck, .. } = by.expect("that answer left the service").clone();
        self.pairings.entry(id).or_insert(Pairing { role, server, user, fate: struck });
    }

    fn heard_head(&mut self, answer: &Answer) {
        let Some(head) = answer.head else { return };
        let highest = self.heads.last_key_value().map_or(0, |(n, _)| *n);
        assert!(head.n() >= highest, "the head went back from {highest} to {}", head.n());
        assert_eq!(*self.heads.entry(head.n()).or_insert(head), head, "two heads of one n");
    }

    fn invited(&mut self, made: InvitationCreated, server: &ServerName, user: Option<&UserName>) {
        let (server, user) = (server.clone(), user.cloned());
        let (answered, used, [fate, struck]) = (BTreeSet::new(), None, [Fate::Lives; 2]);
        let invitation = Invitation { server, user, expires: made.expires, answered, used, fate, struck };
        let before = self.invitations.insert(made.invitation, invitation);
        assert!(before.is_none(), "an invitation's id twice");
    }

    fn invitation(&mut self, id: InvitationId) -> &mut Invitation {
        self.invitations.get_mut(&id).expect("it was invited")
    }

    fn begun(&mut self, id: InvitationId, body: [u8; 32], now: Timestamp) {
        let last_s = self.last_s;
        let invitation = self.invitation(id);
        assert!(invitation.fate < Fate::Over, "an invitation that was cancelled answers");
        assert!(invitation.used.is_none(), "an invitation that was used answers");
        if !invitation.answered.insert(body) {
            return;
        }
        assert!(invitation.answered.len() <= ATTEMPTS.into(), "a sixth guess is answered");
        assert!(now < invitation.expires, "an invitation answers that is over");
        assert!(now.0 + LEEWAY_S >= last_s, "a guess is answered by a clock that went back");
        self.last_s = last_s.max(now.0);
    }

    fn finished(&mut self, id: InvitationId, answer: [u8; 32]) {
        let invitation = self.invitation(id);
        let cancelled = invitation.used.is_none() && invitation.fate == Fate::Over;
        assert!(!cancelled, "an invitation that was cancelled pairs");
        let used = *invitation.used.get_or_insert(answer);
        assert_eq!(used, answer, "an invitation pairs twice");
    }

    fn opened(&mut self, request: &Request, once: &str, opened: Option<Opened>, now: Timestamp) {
        let by = request.by.expect("a server asks");
        let bindings = &opened.as_ref().expect("a server opens the answer").bindings;
        let Ask::Open { audience, .. } = &request.ask else { unreachable!("it is opened") };
        let session = bindings.session;
        let before = *self.once.entry((by, once.to_owned())).or_insert(session);
        assert_eq!(before, session, "one idempotency key, two sessions");
        let only = match audience {
            Audience::Pairing(pairing) => Some(*pairing),
            Audience::User(_) => None,
        };
        if !self.sessions.contains_key(&session) {
            self.last_s = self.last_s.max(bindings.not_before.0);
        }
        let found = Session { only, ..Session::found(bindings) };
        self.sessions.entry(session).or_insert(found).only = only;
        self.given(request, Some(session), None, opened, now);
    }

    /// A key is given to whoever asks: it is a party of a session that lives, and all have the same.
    fn given(
        &mut self,
        request: &Request,
        id: Option<SessionId>,
        asked: Option<u32>,
        opened: Option<Opened>,
        now: Timestamp,
    ) {
        let Opened { key, bindings } = opened.expect("an answer opens for whoever asked");
        assert_eq!(Some(bindings.session), id, "another session's key");
        let by = &self.pairings[&request.by.expect("a pairing asks")];
        let session = self.sessions.entry(bindings.session).or_insert_with(|| Session::found(&bindings));
        let own = by.user.as_ref().is_none_or(|user| *user == session.user);
        let alone = session.only.is_none_or(|only| by.role == Role::Server || request.by == Some(only));
        assert!(by.server == session.server && own && alone, "a key for a stranger");
        assert!(session.fate < Fate::Over, "a key of a session that is over");
        assert!(now < session.not_after, "a key of a session that has expired");
        match asked {
            None => assert!(bindings.generation >= session.generation, "a generation came back"),
            Some(asked) => assert_eq!(bindings.generation, asked, "another generation"),
        }
        session.generation = session.generation.max(bindings.generation);
        let (name, hash) = ((bindings.session, bindings.generation), sha256(key.expose()));
        assert_eq!(*self.keys.entry(name).or_insert(hash), hash, "two keys of one generation");
        assert_eq!(*self.whose.entry(hash).or_insert(name), name, "one key for two generations");
    }

    fn listed(&self, request: &Request, answer: &Answer) {
        let by = &self.pairings[&request.by.expect("a pairing asks")];
        let sessions: sidekey_protocol::session::wire::Sessions = answer.json();
        for session in sessions.items {
            let own = by.user.as_ref().is_none_or(|user| *user == session.user);
            let only = self.sessions.get(&session.session).and_then(|session| session.only);
            let alone = only.is_none_or(|only| by.role == Role::Server || request.by == Some(only));
            assert!(by.server == session.server && own && alone, "a stranger's session is listed");
        }
    }

    fn end(&mut self, id: SessionId, fate: Fate) {
        if let Some(session) = self.sessions.get_mut(&id) {
            session.fate = session.fate.max(fate);
        }
    }

    /// Something was revoked, and what belongs to it.
    fn strike(&mut self, target: &Target, fate: Fate) {
        // What is not the target itself may end with it.
        let follows = fate.min(Fate::Perhaps);
        match target {
            Target::Invitation { invitation } => {
                let invitation = self.invitation(*invitation);
                invitation.fate = invitation.fate.max(fate);
            }
            Target::Pairing { pairing } => {
                let Some(struck) = self.pairings.get_mut(pairing) else { return };
                struck.fate = struck.fate.max(fate);
                let Pairing { role, server, user, .. } = struck.clone();
                let is_live = |other: &Pairing| other.user == user && other.fate == Fate::Lives;
                let others = self.pairings.values().any(|other| other.server == server && is_live(other));
                for session in self.sessions.values_mut().filter(|session| session.server == server) {
                    // The others go on, where there are any.
                    let its =
                        session.only == Some(*pairing) || user.as_ref() == Some(&session.user) && !others;
                    if role == Role::Server || its {
                        session.fate = session.fate.max(follows);
                    }
                }
            }
            Target::Session { session } => self.end(*session, fate),
            Target::Server { server } => self.strike_where(|at, _| at == server, fate),
            Target::User { server, user } => {
                self.strike_where(|at, whose| at == server && whose == Some(user), fate);
            }
            Target::Credential { .. } => {}
        }
    }

    fn strike_where(&mut self, is_in: impl Fn(&ServerName, Option<&UserName>) -> bool, fate: Fate) {
        for pairing in self.pairings.values_mut().filter(|p| is_in(&p.server, p.user.as_ref())) {
            pairing.fate = pairing.fate.max(fate);
        }
        for session in self.sessions.values_mut().filter(|s| is_in(&s.server, Some(&s.user))) {
            session.fate = session.fate.max(fate);
        }
        for invitation in self.invitations.values_mut().filter(|i| is_in(&i.server, i.user.as_ref())) {
            invitation.fate = invitation.fate.max(fate.min(Fate::Perhaps));
            if invitation.used.is_some() {
                invitation.struck = invitation.struck.max(fate);
            }
        }
    }
}

/// What the service says that it has, against what was acknowledged.
impl Model {
    pub(crate) fn has_sessions(&self, listed: &[SessionSeen], now: Timestamp) {
        let listed: BTreeMap<_, _> = listed.iter().map(|seen| (seen.session, seen)).collect();
        for (id, session) in self.sessions.iter().filter(|(_, session)| now < session.not_after) {
            let seen = listed.get(id).unwrap_or_else(|| panic!("session {id} is lost"));
            assert!(seen.generation >= session.generation, "generation {} is lost", session.generation);
            match session.fate {
                Fate::Lives => assert_eq!(seen.state, SessionState::Open, "session {id} has ended"),
                Fate::Perhaps => {}
                Fate::Over => assert_eq!(seen.state, SessionState::Ended, "session {id} is back"),
            }
        }
    }

    pub(crate) fn has_pairings(&self, listed: &[registry::Pairing]) {
        let listed: BTreeMap<_, _> = listed.iter().map(|seen| (seen.pairing, seen.state)).collect();
        for (id, pairing) in &self.pairings {
            let state = *listed.get(id).unwrap_or_else(|| panic!("pairing {id} is lost"));
            match pairing.fate {
                Fate::Lives => assert_eq!(state, Standing::Active, "pairing {id}"),
                Fate::Perhaps => {}
                Fate::Over => assert_eq!(state, Standing::Revoked, "pairing {id} is back"),
            }
        }
    }

    pub(crate) fn has_invitations(&self, listed: &[registry::Invitation], now: Timestamp) {
        let listed: BTreeMap<_, _> = listed.iter().map(|seen| (seen.invitation, seen)).collect();
        for (id, invitation) in self.invitations.iter().filter(|(_, invitation)| now < invitation.expires) {
            let seen = listed.get(id).unwrap_or_else(|| panic!("invitation {id} is lost"));
            let left = usize::from(seen.attempts);
            assert!(left + invitation.answered.len() <= ATTEMPTS.into(), "attempts came back");
            if invitation.used.is_some() {
                assert_eq!(seen.state, InvitationState::Paired, "invitation {id} was used");
            } else if invitation.fate == Fate::Over {
                assert_ne!(seen.state, InvitationState::Paired, "invitation {id} was cancelled");
            }
        }
    }
}

/// Seconds by which the service's clock may go back.
const LEEWAY_S: u32 = 60;
