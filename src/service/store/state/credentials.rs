//! Proxy credentials: whose they are, and what is kept of their secrets.

use std::collections::{BTreeMap, HashMap};

use serde::{Deserialize, Serialize};
use sidekey_protocol::ids::{CredentialId, Timestamp};
use sidekey_protocol::pairing::PartyLabel;
use sidekey_protocol::pairing::credential::wire::CredentialState;
use sidekey_protocol::pairing::credential::{CredentialDigest, KEPT_MAX, KEPT_S, day};

use super::State;
use super::apply::Misfit;
use crate::store::last_seen::LastSeen;
use crate::store::record::CredentialIssued;
use crate::store::view::{Credential, Revocation};

/// One of them, live or over.
#[derive(Debug, Deserialize, Serialize)]
pub(in crate::store) struct Kept {
    pub(in crate::store) id: CredentialId,
    /// The user's handle.
    pub(in crate::store) user: u32,
    pub(in crate::store) label: PartyLabel,
    pub(in crate::store) digest: CredentialDigest,
    created: Timestamp,
    expires: Option<Timestamp>,
    pub(super) revoked: Option<Revocation>,
    last_used: LastSeen,
}

/// All of them.
#[derive(Debug, Default)]
pub(in crate::store) struct Credentials {
    kept: BTreeMap<u32, Kept>,
    by_id: HashMap<CredentialId, u32>,
    /// When those that have long been over were forgotten last.
    swept: Option<Timestamp>,
}

impl Kept {
    pub(in crate::store) fn state(&self, now: Timestamp) -> CredentialState {
        match self {
            Self { revoked: Some(_), .. } => CredentialState::Revoked,
            Self { expires: Some(expires), .. } if now >= *expires => CredentialState::Expired,
            _ => CredentialState::Active,
        }
    }

    pub(in crate::store) fn is_live(&self, now: Timestamp) -> bool {
        self.state(now) == CredentialState::Active
    }

    pub(in crate::store) const fn created(&self) -> Timestamp {
        self.created
    }

    /// Keeps that it was right at `now`, and says whether nothing told so before.
    pub(in crate::store) fn used(&self, now: Timestamp) -> bool {
        self.last_used.keep(day(now)) < day(now)
    }

    /// Since when it is over, if it is.
    fn over(&self) -> Option<Timestamp> {
        self.revoked.as_ref().map(|revocation| revocation.at).or(self.expires)
    }
}

impl Credentials {
    pub(in crate::store) fn find(&self, id: CredentialId) -> Option<(u32, &Kept)> {
        let &number = self.by_id.get(&id)?;
        Some((number, self.kept.get(&number)?))
    }

    pub(in crate::store) fn get(&self, number: u32) -> Option<&Kept> {
        self.kept.get(&number)
    }

    /// From this number on, in the order in which they were issued.
    pub(in crate::store) fn beginning_at(&self, number: u32) -> impl Iterator<Item = (u32, &Kept)> {
        self.kept.range(number..).map(|(&number, kept)| (number, kept))
    }

    pub(in crate::store) fn live(&self, now: Timestamp) -> impl Iterator<Item = (u32, &Kept)> {
        self.beginning_at(0).filter(move |(_, kept)| kept.is_live(now))
    }

    pub(in crate::store) fn numbers(&self) -> impl Iterator<Item = u32> {
        self.kept.keys().copied()
    }

    pub(super) fn put(&mut self, number: u32, kept: Kept) {
        self.by_id.insert(kept.id, number);
        self.kept.insert(number, kept);
    }
}

impl State {
    /// Those of a user, live and over.
    pub(in crate::store) fn credentials_of(&self, user: u32) -> impl Iterator<Item = (u32, &Kept)> {
        let numbers = self.users[user as usize].credentials.iter();
        numbers.filter_map(|&number| Some((number, self.credentials.get(number)?)))
    }

    pub(super) fn live_credentials(&self, user: u32, now: Timestamp) -> impl Iterator<Item = u32> {
        self.credentials_of(user).filter(move |(_, kept)| kept.is_live(now)).map(|(number, _)| number)
    }

    pub(in crate::store) fn view_credential(&self, kept: &Kept, now: Timestamp) -> Credential {
        let (server, user) = self.whose(kept.user);
        Credential {
            id: kept.id,
            server: server.clone(),
            user: user.clone(),
            label: kept.label.clone(),
            created: kept.created,
            last_used: kept.last_used.get(),
            expires: kept.expires,
            revoked: kept.revoked.clone(),
            state: kept.state(now),
        }
    }

    pub(super) fn issue_credential(&mut self, issued: CredentialIssued, at: Timestamp) -> Result<(), Misfit> {
        let CredentialIssued { credential: id, server, user, label, digest, expires } = issued;
        if self.credentials.find(id).is_some() {
            return Err(Misfit);
        }
        let user = self.user_or_new(&server, &user)?;
        self.make_room(user, at);
        let number = self.global.next_credential;
        self.global.next_credential += 1;
        let last_used = LastSeen::default();
        let kept = Kept { id, user, label, digest, created: at, expires, revoked: None, last_used };
        self.load_credential(number, kept)?;
        self.dirty.credential(number);
        Ok(())
    }

    /// Forgets those that have long been over.
    pub(super) fn sweep_credentials(&mut self, now: Timestamp) {
        if self.credentials.swept.is_some_and(|swept| now.since_s(swept) < SWEEP_EVERY_S) {
            return;
        }
        self.credentials.swept = Some(now);
        let over = |kept: &Kept| kept.over().is_some_and(|over| over.after_s(KEPT_S) <= now);
        let gone = self.credentials.beginning_at(0).filter(|(_, kept)| over(kept));
        for number in gone.map(|(number, _)| number).collect::<Vec<_>>() {
            self.forget_credential(number);
        }
    }

    /// One to change.
    pub(super) fn credential_mut(&mut self, number: u32) -> Result<&mut Kept, Misfit> {
        self.dirty.credential(number);
        self.credentials.kept.get_mut(&number).ok_or(Misfit)
    }

    /// A clock that was ahead has said when they were made, and when they were used.
    pub(super) fn credentials_by_clock(&mut self, now: Timestamp) {
        self.credentials.swept = None;
        for (&number, kept) in &mut self.credentials.kept {
            kept.last_used.forget_after(day(now));
            let ttl_s = kept.expires.map(|expires| expires.since_s(kept.created));
            kept.created = kept.created.min(now);
            kept.expires = ttl_s.map(|ttl_s| kept.created.after_s(ttl_s));
            self.dirty.credential(number);
        }
    }

    /// Of so many that a user has had, the first that is over is forgotten.
    fn make_room(&mut self, user: u32, now: Timestamp) {
        if self.users[user as usize].credentials.len() < KEPT_MAX {
            return;
        }
        let over = self.credentials_of(user).find(|(_, kept)| !kept.is_live(now)).map(|(number, _)| number);
        over.into_iter().for_each(|number| self.forget_credential(number));
    }

    fn forget_credential(&mut self, number: u32) {
        let Some(kept) = self.credentials.kept.remove(&number) else { return };
        self.credentials.by_id.remove(&kept.id);
        self.users[kept.user as usize].credentials.retain(|&other| other != number);
        self.dirty.credential(number);
    }
}

/// Seconds between two looks for those that have long been over.
const SWEEP_EVERY_S: u32 = 3600;
