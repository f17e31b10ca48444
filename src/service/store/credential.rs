//! Proxy credentials: issued, shown, and held against what somebody shows.

use std::sync::PoisonError;

use sidekey_protocol::ids::{CredentialId, PartyId, ServerName, Timestamp, UserName};
use sidekey_protocol::pairing::PartyLabel;
use sidekey_protocol::pairing::credential::wire::{CredentialState, CredentialsQuery};
use sidekey_protocol::pairing::credential::{self, CredentialSecret};

use super::engine::{About, Desk, Verdict, key};
use super::record::{CredentialIssued, Record};
use super::state::State;
use super::view::{Credential, Page, Paged};
use super::{Error, Refused, Store, page};

/// A credential to be made.
#[derive(Debug)]
pub struct NewCredential {
    /// Its id.
    pub id: CredentialId,
    /// At which server.
    pub server: ServerName,
    /// As whom it logs in.
    pub user: UserName,
    /// Whom it is for.
    pub label: PartyLabel,
    /// From when on it is over.
    pub expires: Option<Timestamp>,
}

/// What a secret is that somebody shows as a user's.
#[derive(Debug)]
pub enum Shown {
    /// This one's.
    Live(Credential),
    /// That of one which was revoked, or has expired.
    Over(Credential),
    /// None of theirs.
    Wrong,
}

impl Store {
    /// Makes a credential of which `secret` is the secret; of that only a hash under a key of the service is kept.
    ///
    /// # Errors
    /// [`Refused::Absent`]: no such server; [`Refused::Credential`]; [`Refused::Exists`]; [`Refused::Revoked`]: the server is.
    pub async fn issue_credential(
        &self,
        by: PartyId,
        new: NewCredential,
        secret: &CredentialSecret,
    ) -> Result<Credential, Error> {
        let digest = secret.digest(self.shared.at_rest.credential_key(), &new.server, &new.user);
        // Two of one user wait for one another: they are counted.
        let about = About::These(vec![key(new.id), key((&new.server, &new.user))]);
        let decide = move |state: &State, desk: &mut Desk<'_>| {
            let (_, server) = state.server(&new.server).ok_or(Refused::Absent)?;
            if let Some(revocation) = &server.revoked {
                return Err(Refused::Revoked(revocation.clone()).into());
            }
            if state.credentials.find(new.id).is_some() {
                return Err(Refused::Exists.into());
            }
            let now = desk.now;
            if let Some((user, _)) = state.user(&new.server, &new.user) {
                let live = state.credentials_of(user).filter(|(_, kept)| kept.is_live(now));
                credential::admits(live.map(|(_, kept)| kept.label.as_str()), new.label.as_str())
                    .map_err(Refused::Credential)?;
            }
            let NewCredential { id, server, user, label, expires } = new;
            let issued = CredentialIssued { credential: id, server, user, label, digest, expires };
            Ok(Verdict::Commit(
                Record::CredentialIssued(Box::new(issued)),
                Box::new(move |state| {
                    let (_, kept) = state.credentials.find(id).expect("it was just made");
                    state.view_credential(kept, now)
                }),
            ))
        };
        self.engine.commit(about, Some(by), decide).await
    }

    /// A credential, live or over.
    #[must_use]
    pub fn credential(&self, id: CredentialId) -> Option<Credential> {
        let now = self.now();
        let state = self.shared.read();
        state.credentials.find(id).map(|(_, kept)| state.view_credential(kept, now))
    }

    /// The credentials that are wanted, in order of creation.
    #[must_use]
    pub fn credentials(&self, wanted: Page, filter: &CredentialsQuery) -> Paged<Credential> {
        let now = self.now();
        let state = self.shared.read();
        let after = u32::try_from(wanted.after).unwrap_or(u32::MAX);
        let items = state.credentials.beginning_at(after).filter(|(_, kept)| {
            let (server, user) = state.whose(kept.user);
            filter.server.as_ref().is_none_or(|wanted| wanted == server)
                && filter.user.as_ref().is_none_or(|wanted| wanted == user)
                && filter.state.is_none_or(|wanted| wanted == kept.state(now))
                && filter.created_after.is_none_or(|after| kept.created() > after)
        });
        page(items.map(|(number, kept)| (u64::from(number), state.view_credential(kept, now))), wanted)
    }

    /// What `secret` is that somebody shows to `server` as that of `user`. Writes nothing: the day on which a live one
    /// was right is kept in memory, and written behind.
    #[must_use]
    pub fn show_credential(&self, server: &ServerName, user: &UserName, secret: &CredentialSecret) -> Shown {
        // First, whoever it is: a user who is not there takes as long as one who is.
        let shown = secret.digest(self.shared.at_rest.credential_key(), server, user);
        let now = self.now();
        let state = self.shared.read();
        let Some((user, _)) = state.user(server, user) else { return Shown::Wrong };
        let kept = state.credentials_of(user).map(|(number, kept)| ((number, kept), &kept.digest));
        let Some((number, kept)) = credential::find(&shown, kept) else { return Shown::Wrong };
        let seen = state.view_credential(kept, now);
        if seen.state != CredentialState::Active {
            return Shown::Over(seen);
        }
        if kept.used(now) {
            self.shared.used.lock().unwrap_or_else(PoisonError::into_inner).insert(number);
        }
        Shown::Live(seen)
    }
}
