//! What must be true, in maps and sets: what was acknowledged, and what may be besides because its answer never came.

mod strike;

use std::collections::{BTreeMap, BTreeSet};

use sidekey_protocol::crypto::sha256;
use sidekey_protocol::ids::{
    CredentialId, InvitationId, PartyId, Role, ServerName, SessionId, Timestamp, UserName,
};
use sidekey_protocol::pairing::credential::wire::{CredentialIssued, CredentialVerified};
use sidekey_protocol::pairing::registry::InvitationCreated;
use sidekey_protocol::pairing::{ATTEMPTS, Approval};
use sidekey_protocol::policy::wire::PolicyChange;
use sidekey_protocol::revocation::SealedHead;
use sidekey_protocol::session::Audience;
use sidekey_protocol::session::envelope::{Bindings, Opened};

use crate::network::{Answer, Ask, Request};

/// Whether something happened.
#[derive(Clone, Copy, Debug, Default, Eq, Ord, PartialEq, PartialOrd)]
pub(crate) enum Known {
    #[default]
    No,
    /// It was asked for, or may follow from something else.
    Perhaps,
    /// It was acknowledged.
    Yes,
}

#[derive(Clone, Debug)]
pub(crate) struct Invitation {
    pub(crate) server: ServerName,
    pub(crate) user: Option<UserName>,
    pub(crate) expires: Timestamp,
    /// Different requests that were answered: each told whether one code was right.
    pub(crate) answered: BTreeSet<[u8; 32]>,
    /// The answer that made a pairing of it.
    pub(crate) used: Option<[u8; 32]>,
    /// Its `finish` was cut off.
    perhaps_used: bool,
    pub(crate) over: Known,
    /// The pairing that came of it is over.
    struck: Known,
    /// Its pairing is to be approved.
    approval: Approval,
}

#[derive(Clone, Debug)]
pub(crate) struct Pairing {
    pub(crate) role: Role,
    pub(crate) server: ServerName,
    pub(crate) user: Option<UserName>,
    pub(crate) over: Known,
    pub(crate) approved: Known,
}

#[derive(Clone, Debug)]
pub(crate) struct Credential {
    pub(crate) server: ServerName,
    pub(crate) user: UserName,
    pub(crate) over: Known,
}

/// What a server's policy says.
#[derive(Clone, Debug)]
pub(crate) struct Policy {
    pub(crate) revision: u32,
    /// `None` where nobody knows whether it was changed.
    suites: Option<&'static [&'static str]>,
}

#[derive(Clone, Debug)]
pub(crate) struct Session {
    pub(crate) server: ServerName,
    pub(crate) user: UserName,
    only: Option<PartyId>,
    pub(crate) not_after: Timestamp,
    /// The highest that anybody was given.
    pub(crate) generation: u32,
    pub(crate) over: Known,
}

impl Session {
    /// One whose opening was never answered is found by its own parties.
    fn found(bindings: &Bindings) -> Self {
        let (server, user) = (bindings.server.clone(), bindings.user.clone());
        let (not_after, generation) = (bindings.not_after, bindings.generation);
        Self { server, user, only: None, not_after, generation, over: Known::No }
    }
}

#[derive(Clone, Debug, Default)]
pub(crate) struct Model {
    pub(crate) invitations: BTreeMap<InvitationId, Invitation>,
    pub(crate) pairings: BTreeMap<PartyId, Pairing>,
    pub(crate) sessions: BTreeMap<SessionId, Session>,
    pub(crate) credentials: BTreeMap<CredentialId, Credential>,
    pub(crate) policies: BTreeMap<ServerName, Policy>,
    once: BTreeMap<(PartyId, String), SessionId>,
    keys: BTreeMap<(SessionId, u32), [u8; 32]>,
    whose: BTreeMap<[u8; 32], (SessionId, u32)>,
    heads: BTreeMap<u64, SealedHead>,
    /// Revocations that the service had when it was put back from a copy, or accepted that.
    restored_n: u64,
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
            return self.guessed(request);
        }
        self.may_ask(request, now);
        match &request.ask {
            Ask::Begin(id) => self.begun(*id, sha256(&request.body), now),
            Ask::Current(_) => self.listed(request, answer),
            Ask::End(id) => self.end(*id, Known::Yes),
            Ask::Fetch(id, asked) => self.given(request, Some(*id), *asked, opened, now),
            Ask::Finish(id) => self.finished(*id, answer.hash()),
            Ask::Invite { server, user } => {
                self.invited(answer.json(), server, user.as_ref());
                self.last_s = self.last_s.max(now.0);
            }
            Ask::Open { once, .. } => self.opened(request, once, opened, now),
            Ask::AddServer | Ask::Own | Ask::Rekey => {}
            Ask::Approve(pairing, right) => {
                assert!(right, "approved by wrong digits");
                self.pairings.entry(*pairing).and_modify(|pairing| pairing.approved = Known::Yes);
            }
            Ask::IssueCredential { server, user } => {
                let CredentialIssued { credential, .. } = answer.json();
                let (server, user) = (server.clone(), user.clone());
                self.credentials.insert(credential, Credential { server, user, over: Known::No });
                self.last_s = self.last_s.max(now.0);
            }
            Ask::Policy { server, suites, .. } => {
                let PolicyChange { policy, .. } = answer.json();
                let policy = Policy { revision: policy.revision, suites: Some(suites) };
                self.policies.insert(server.clone(), policy);
                self.last_s = self.last_s.max(now.0);
            }
            Ask::Revoke(target) => self.strike(target, Known::Yes),
            Ask::Verify(id) => {
                let CredentialVerified { credential, .. } = answer.json();
                let (found, by) =
                    (&self.credentials[id], &self.pairings[&request.by.expect("a server asks")]);
                assert!(credential == *id && found.server == by.server, "another credential");
                assert!(found.over < Known::Yes, "a credential lets in that was revoked");
            }
            Ask::Rotate(id) => {
                let before = self.sessions.get(id).map(|session| session.generation);
                let given = opened.as_ref().map(|opened| opened.bindings.generation);
                assert!(before < given, "a rotation from {before:?} gave {given:?}");
                self.given(request, Some(*id), None, opened, now);
                self.last_s = self.last_s.max(now.0);
            }
        }
    }

    /// Whoever was answered may ask, now.
    fn may_ask(&self, request: &Request, now: Timestamp) {
        if let Some(pairing) = request.by.and_then(|by| self.pairings.get(&by)) {
            assert!(pairing.over < Known::Yes, "answered after its revocation was acknowledged");
            let itself = matches!(request.ask, Ask::Own | Ask::Revoke(_));
            assert!(itself || pairing.approved > Known::No, "answered before it was approved");
        }
        let shown = request.head.map_or(0, |head| head.n());
        assert!(shown <= self.highest().max(self.restored_n), "revocations are lost, and nobody says so");
        // Whoever ends something is heard by any clock; so is who repeats a step of pairing.
        let any = request.by.is_none() || matches!(request.ask, Ask::Revoke(_) | Ask::End(_));
        assert!(any || now.0 + LEEWAY_S >= self.last_s, "answered by a clock that went back");
    }

    /// The fifth wrong digits refuse a pairing.
    fn guessed(&mut self, request: &Request) {
        if let Ask::Approve(pairing, false) = request.ask {
            let perhaps = |pairing: &mut Pairing| pairing.over = pairing.over.max(Known::Perhaps);
            self.pairings.entry(pairing).and_modify(perhaps);
        }
    }

    /// Nobody knows whether it happened.
    pub(crate) fn interrupted(&mut self, request: &Request) {
        self.guessed(request);
        match &request.ask {
            Ask::End(id) => self.end(*id, Known::Perhaps),
            Ask::Finish(id) => {
                self.invitations.entry(*id).and_modify(|invitation| invitation.perhaps_used = true);
            }
            Ask::Approve(pairing, true) => {
                let perhaps = |pairing: &mut Pairing| pairing.approved = pairing.approved.max(Known::Perhaps);
                self.pairings.entry(*pairing).and_modify(perhaps);
            }
            Ask::Policy { server, .. } => {
                let unknown = Policy { revision: 0, suites: None };
                self.policies.entry(server.clone()).or_insert(unknown).suites = None;
            }
            Ask::Revoke(target) => self.strike(target, Known::Perhaps),
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
        // Of a history that is lost.
        let Some(found) = by.cloned() else { return };
        let Invitation { server, user, struck: over, approval, .. } = found;
        let approved = if approval.is_needed() { Known::No } else { Known::Yes };
        self.pairings.entry(id).or_insert(Pairing { role, server, user, over, approved });
    }

    /// The service was put back from a copy, made when this was the model, and has so many revocations.
    pub(crate) fn put_back(&mut self, n: u64) {
        self.restored_n = n;
    }

    /// An administrator has accepted that, and the service goes on from so many revocations: every session has ended, every
    /// open invitation is cancelled, and what waited to be approved is revoked.
    pub(crate) fn accepted(&mut self, n: u64, now: Timestamp) {
        self.restored_n = n;
        self.last_s = self.last_s.max(now.0);
        self.sessions.values_mut().for_each(|session| session.over = Known::Yes);
        for invitation in self.invitations.values_mut().filter(|i| i.used.is_none() && !i.perhaps_used) {
            invitation.over = Known::Yes;
        }
        for pairing in self.pairings.values_mut().filter(|pairing| pairing.approved < Known::Yes) {
            pairing.over = pairing.over.max(Known::Perhaps);
        }
    }

    fn highest(&self) -> u64 {
        self.heads.last_key_value().map_or(0, |(n, _)| *n)
    }

    fn heard_head(&mut self, answer: &Answer) {
        let Some(head) = answer.head else { return };
        let highest = self.highest();
        assert!(head.n() >= highest, "the head went back from {highest} to {}", head.n());
        assert_eq!(*self.heads.entry(head.n()).or_insert(head), head, "two heads of one n");
    }

    fn invited(&mut self, made: InvitationCreated, server: &ServerName, user: Option<&UserName>) {
        let (server, user) = (server.clone(), user.cloned());
        let invitation = Invitation {
            server,
            user,
            expires: made.expires,
            answered: BTreeSet::new(),
            used: None,
            perhaps_used: false,
            over: Known::No,
            struck: Known::No,
            approval: made.approval,
        };
        let before = self.invitations.insert(made.invitation, invitation);
        assert!(before.is_none(), "an invitation's id twice");
    }

    fn invitation(&mut self, id: InvitationId) -> &mut Invitation {
        self.invitations.get_mut(&id).expect("it was invited")
    }

    fn begun(&mut self, id: InvitationId, body: [u8; 32], now: Timestamp) {
        let last_s = self.last_s;
        let invitation = self.invitation(id);
        assert!(invitation.over < Known::Yes, "an invitation that was cancelled answers");
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
        let cancelled = invitation.used.is_none() && invitation.over == Known::Yes;
        assert!(!cancelled, "an invitation that was cancelled pairs");
        let used = *invitation.used.get_or_insert(answer);
        assert_eq!(used, answer, "an invitation pairs twice");
    }

    fn opened(&mut self, request: &Request, once: &str, opened: Option<Opened>, now: Timestamp) {
        let by = request.by.expect("a server asks");
        let bindings = &opened.as_ref().expect("a server opens the answer").bindings;
        let Ask::Open { audience, .. } = &request.ask else { unreachable!("it is opened") };
        let session = bindings.session;
        // A key is known for as long as its session lives.
        let before = self.once.insert((by, once.to_owned()), session).unwrap_or(session);
        let over = self.sessions.get(&before).is_none_or(|before| before.not_after <= now);
        assert!(before == session || over, "one idempotency key, two sessions");
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
        assert!(session.over < Known::Yes, "a key of a session that is over");
        assert!(now < session.not_after, "a key of a session that has expired");
        match asked {
            None => {
                assert!(bindings.generation >= session.generation, "a generation came back");
                let suites = self.policies.get(&bindings.server).and_then(|policy| policy.suites);
                let allowed = suites.is_none_or(|suites| suites.contains(&&*bindings.suite.to_string()));
                assert!(allowed, "a key for {}, which the policy forbids", bindings.suite);
            }
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

    fn end(&mut self, id: SessionId, over: Known) {
        if let Some(session) = self.sessions.get_mut(&id) {
            session.over = session.over.max(over);
        }
    }
}

/// Seconds by which the service's clock may go back.
const LEEWAY_S: u32 = 60;
