//! Servers, invitations, parties.

use std::sync::{Arc, PoisonError};

use sidekey_protocol::crypto::{Secret, VerifyingKey};
use sidekey_protocol::encoding::Octets;
use sidekey_protocol::ids::{InvitationId, PartyId, Role, ServerName, Timestamp, UserName};
use sidekey_protocol::pairing::registry::Standing;
use sidekey_protocol::pairing::{Approval, Kek, Reject};
use sidekey_protocol::policy::Policy;
use sidekey_protocol::session::SuiteList;
use zeroize::Zeroizing;

use super::engine::{About, Desk, Verdict, key};
use super::record::{self, Confirmed, Record};
use super::state::{Invited, State};
use super::view::{Filter, Invitation, InvitationState, Page, Paged, Party, Posted, Repeat, Server};
use super::{Error, Refused, Store, page};
use crate::fault::Fault;

/// An invitation to be made.
#[derive(Debug)]
pub struct NewInvitation {
    /// Its id.
    pub id: InvitationId,
    /// What the invited party will be.
    pub role: Role,
    /// At which server.
    pub server: ServerName,
    /// Which user; absent for a server.
    pub user: Option<UserName>,
    /// From when on it is over.
    pub expires: Timestamp,
    /// The secret half, which is sealed.
    pub verifier: Zeroizing<Vec<u8>>,
    /// Whose word its pairing will need.
    pub approval: Approval,
    /// By which carrier it is sent, and where to.
    pub deliver: Option<Posted>,
}

/// A pairing to be made: its party proved the code.
#[derive(Debug)]
pub struct NewPairing {
    /// The party's id.
    pub id: PartyId,
    /// What it signs its tokens with.
    pub key: VerifyingKey,
    /// What its owner calls it.
    pub label: String,
    /// The suites it offers; a server offers none.
    pub offer: Option<SuiteList>,
    /// Whether it checked a pin.
    pub pinned: bool,
    /// root_0.
    pub root: Secret<32>,
    /// When epoch 0 ends.
    pub epoch_not_after: Timestamp,
    /// Hash of the request, for its repeat.
    pub finish: [u8; 32],
    /// The answer, for its repeat.
    pub answer: Box<[u8]>,
    /// Names the exchange.
    pub th: [u8; 32],
}

/// Servers.
impl Store {
    /// Adds a server.
    ///
    /// # Errors
    /// [`Refused::Exists`].
    pub async fn add_server(&self, by: PartyId, name: ServerName) -> Result<Server, Error> {
        let about = About::one(&name);
        let decide = move |state: &State, _: &mut Desk<'_>| {
            if state.server(&name).is_some() {
                return Err(Refused::Exists.into());
            }
            let record = Record::ServerAdded { server: name.clone() };
            Ok(Verdict::Commit(
                record,
                Box::new(move |state| {
                    let (_, server) = state.server(&name).expect("it was just added");
                    state.view_server(server)
                }),
            ))
        };
        self.engine.commit(about, Some(by), decide).await
    }

    /// A server, live or revoked.
    #[must_use]
    pub fn server(&self, name: &ServerName) -> Option<Server> {
        let state = self.shared.read();
        state.server(name).map(|(_, server)| state.view_server(server))
    }

    /// The servers, in order of creation.
    #[must_use]
    pub fn servers(&self, wanted: Page) -> Paged<Server> {
        let state = self.shared.read();
        page((1..).zip(state.servers.iter().map(|server| state.view_server(server))), wanted)
    }
}

/// Invitations.
impl Store {
    /// Makes an invitation.
    ///
    /// # Errors
    /// [`Refused::Absent`]: no such server; [`Refused::Exists`]; [`Refused::Revoked`]: the server is.
    pub async fn invite(&self, by: PartyId, new: NewInvitation) -> Result<Invitation, Error> {
        let about = About::These(vec![key(new.id), key(&new.server)]);
        let decide = move |state: &State, desk: &mut Desk<'_>| {
            let (_, server) = state.server(&new.server).ok_or(Refused::Absent)?;
            if let Some(revocation) = &server.revoked {
                return Err(Refused::Revoked(revocation.clone()).into());
            }
            if state.invitation(new.id).is_some() {
                return Err(Refused::Exists.into());
            }
            if let Some(user) = &new.user {
                room_for_device(state, &new.server, user).map_err(Refused::Pairing)?;
            }
            let NewInvitation { id, role, server, user, expires, verifier, approval, deliver } = new;
            let verifier = desk.seal(record::Secret::Invitation(id).place(), &verifier);
            let now = desk.now;
            Ok(Verdict::Commit(
                Record::Invited { invitation: id, role, server, user, expires, verifier, approval, deliver },
                Box::new(move |state| {
                    state.invitation(id).map(|(_, invited)| invited.view(now)).expect("it was just made")
                }),
            ))
        };
        self.engine.commit(about, Some(by), decide).await
    }

    /// An invitation, in whatever state.
    #[must_use]
    pub fn invitation(&self, id: InvitationId) -> Option<Invitation> {
        let now = self.now();
        self.shared.read().invitation(id).map(|(_, invited)| invited.view(now))
    }

    /// The secret half of an invitation from which a pairing may still come.
    ///
    /// # Errors
    /// [`Refused::Absent`] when there is none (any more); [`Fault::Unsealable`].
    pub fn verifier(&self, id: InvitationId) -> Result<Zeroizing<Vec<u8>>, Error> {
        let sealed = {
            let state = self.shared.read();
            let (_, invited) = state.invitation(id).ok_or(Refused::Absent)?;
            invited.verifier.clone().ok_or(Refused::Absent)?
        };
        Ok(self.shared.at_rest.open_sealed(record::Secret::Invitation(id).place(), &sealed)?)
    }

    /// The invitations that are wanted, in order of creation.
    #[must_use]
    pub fn invitations(&self, wanted: Page, filter: &Filter<InvitationState>) -> Paged<Invitation> {
        let now = self.now();
        let state = self.shared.read();
        let after = u32::try_from(wanted.after).unwrap_or(u32::MAX);
        let items = state.invitations.range(after..).map(|(&number, invited)| (number, invited));
        let items = items.filter(|(_, invited)| {
            fits(filter.server.as_ref(), Some(&invited.server))
                && fits(filter.user.as_ref(), invited.user.as_ref())
                && fits(filter.role.as_ref(), Some(&invited.role))
                && fits(filter.state.as_ref(), Some(&invited.state(now)))
                && filter.created_after.is_none_or(|after| invited.created > after)
        });
        page(items.map(|(number, invited)| (u64::from(number), invited.view(now))), wanted)
    }

    /// Spends one attempt, and says how many are left. Durable before it returns: a guesser's answer must cost him.
    ///
    /// # Errors
    /// [`Refused::Absent`], [`Refused::AttemptsSpent`], [`Refused::Expired`], [`Refused::Revoked`], [`Refused::Used`].
    pub async fn spend_attempt(&self, id: InvitationId) -> Result<u8, Error> {
        let decide = move |state: &State, desk: &mut Desk<'_>| {
            let (_, invited) = state.invitation(id).ok_or(Refused::Absent)?;
            still_open(invited, desk.now)?;
            let left = invited.attempts.checked_sub(1).ok_or(Refused::AttemptsSpent)?;
            let record = match left {
                0 => Record::InvitationSpent { invitation: id },
                _ => Record::AttemptSpent { invitation: id },
            };
            Ok(Verdict::Commit(record, Box::new(move |_| left)))
        };
        self.engine.commit(About::one(id), None, decide).await
    }

    /// Makes a pairing of an invitation. Exactly one wins, whoever else was confirmed at the same time.
    ///
    /// # Errors
    /// [`Refused::Absent`], [`Refused::Exists`], [`Refused::Expired`], [`Refused::Revoked`], [`Refused::Used`].
    pub async fn confirm(&self, invitation: InvitationId, new: NewPairing) -> Result<Arc<Party>, Error> {
        // Two of one user wait for one another: the policy counts devices.
        let user = self.invitation(invitation).and_then(|invited| Some(key((invited.server, invited.user?))));
        let about =
            About::These([Some(key(invitation)), Some(key(new.id)), user].into_iter().flatten().collect());
        let id = new.id;
        let decide = move |state: &State, desk: &mut Desk<'_>| {
            let (_, invited) = state.invitation(invitation).ok_or(Refused::Absent)?;
            still_open(invited, desk.now)?;
            if state.party(id).is_some() {
                return Err(Refused::Exists.into());
            }
            if let Some(user) = &invited.user {
                let policy = room_for_device(state, &invited.server, user).map_err(Refused::Pairing)?;
                // It may have changed since the exchange looked at it.
                let fits = new.offer.as_ref().is_none_or(|offer| policy.supported_by(offer).is_ok());
                fits.then_some(()).ok_or(Refused::Pairing(Reject::NoCommonSuite))?;
            }
            let confirmed = Confirmed {
                invitation,
                pairing: id,
                key: super::open::spki(&new.key),
                label: new.label,
                offer: new.offer,
                pinned: new.pinned,
                root: desk.seal(record::Secret::Pairing(id, 0).place(), new.root.expose()),
                kek: Octets(Kek::of(&new.root).id),
                epoch_not_after: new.epoch_not_after,
                finish: Octets(new.finish),
                answer: new.answer,
                th: Octets(new.th),
            };
            Ok(Verdict::Commit(
                Record::Confirmed(Box::new(confirmed)),
                Box::new(move |state| {
                    state.party(id).map(|(_, state)| state.party.clone()).expect("it was just made")
                }),
            ))
        };
        self.engine.commit(about, None, decide).await
    }

    /// Notes that the exchange which made a pairing was finished again, with another body: only its two sides know enough
    /// for that, and one of them is somebody else. Once for each pairing, whoever comes how often.
    ///
    /// # Errors
    /// None but a fault's.
    pub async fn finish_conflict(&self, invitation: InvitationId) -> Result<(), Error> {
        let decide = move |state: &State, _: &mut Desk<'_>| {
            let pairing = state.invitation(invitation).and_then(|(_, invited)| invited.used);
            let found = pairing.and_then(|id| Some((id, state.party(id)?.1.finish.as_ref()?)));
            match found {
                Some((pairing, finish)) if !finish.conflict => {
                    Ok(Verdict::Commit(Record::FinishConflict { pairing }, Box::new(|_| ())))
                }
                _ => Ok(Verdict::Already(())),
            }
        };
        self.engine.commit(About::one(invitation), None, decide).await
    }

    /// What the answer is to a `finish` of this invitation whose hash is `finish`.
    #[must_use]
    pub fn finish_repeat(&self, invitation: InvitationId, finish: &[u8; 32]) -> Repeat {
        let state = self.shared.read();
        let pairing = state.invitation(invitation).and_then(|(_, invited)| invited.used);
        let finished = pairing.and_then(|id| state.party(id)?.1.finish.as_ref());
        match finished {
            None => Repeat::None,
            Some(known) if known.request == *finish => Repeat::Same(known.answer.clone()),
            Some(_) => Repeat::Other,
        }
    }
}

/// Parties.
impl Store {
    /// Notes that a pairing was used: its finish answer is not repeated any more. Does nothing the second time.
    ///
    /// # Errors
    /// [`Refused::Absent`].
    pub async fn mark_used(&self, pairing: PartyId) -> Result<(), Error> {
        let decide = move |state: &State, _: &mut Desk<'_>| {
            let (_, found) = state.party(pairing).ok_or(Refused::Absent)?;
            if found.party.used {
                return Ok(Verdict::Already(()));
            }
            Ok(Verdict::Commit(Record::Used { pairing }, Box::new(|_| ())))
        };
        self.engine.commit(About::one(pairing), Some(pairing), decide).await
    }

    /// A party, live or revoked.
    #[must_use]
    pub fn party(&self, id: PartyId) -> Option<Arc<Party>> {
        self.shared.read().party(id).map(|(_, state)| state.party.clone())
    }

    /// The pairings that are wanted, in order of creation. Administrators are none.
    #[must_use]
    pub fn pairings(&self, wanted: Page, filter: &Filter<Standing>) -> Paged<Arc<Party>> {
        let state = self.shared.read();
        let items = (1..).zip(&state.parties).filter(|(_, state)| {
            let party = &state.party;
            party.place().is_some_and(|(role, server, user)| {
                fits(filter.server.as_ref(), Some(server))
                    && fits(filter.user.as_ref(), user)
                    && fits(filter.role.as_ref(), Some(&role))
                    && fits(filter.state.as_ref(), Some(&party.standing()))
                    && filter.created_after.is_none_or(|after| party.created > after)
            })
        });
        page(items.map(|(place, state)| (place, state.party.clone())), wanted)
    }

    /// The live pairings of a user's clients: whom a session for the user is for.
    #[must_use]
    pub fn live_pairings(&self, server: &ServerName, user: &UserName) -> Vec<Arc<Party>> {
        let state = self.shared.read();
        let Some((_, user)) = state.user(server, user) else { return Vec::new() };
        state.live(&user.pairings).cloned().collect()
    }

    /// Keeps when a party was last seen: in memory, and written behind now and then.
    pub fn touch(&self, id: PartyId) {
        let now = self.now();
        let state = self.shared.read();
        let Some((handle, found)) = state.party(id) else { return };
        if now.since_s(found.party.seen(now)) >= TOUCHED_S {
            self.shared.touched.lock().unwrap_or_else(PoisonError::into_inner).insert(handle);
        }
    }
}

/// The policy of a user who may have one more device.
fn room_for_device(state: &State, server: &ServerName, user: &UserName) -> Result<Policy, Reject> {
    let (policy, rules) = state.policy_of(server, user);
    // Whoever waits to be approved has a place already.
    let standing = |&&handle: &&u32| !state.parties[handle as usize].party.is_over();
    let devices =
        state.user(server, user).map_or(0, |(_, user)| user.pairings.iter().filter(standing).count());
    rules.admits_device(devices).map(|()| policy)
}

fn still_open(invited: &Invited, now: Timestamp) -> Result<(), Error> {
    match invited.state(now) {
        InvitationState::Open | InvitationState::Spent => Ok(()),
        InvitationState::Used => Err(Refused::Used.into()),
        InvitationState::Expired => Err(Refused::Expired.into()),
        InvitationState::Cancelled => {
            let revocation = invited.revoked.clone().ok_or(Error::Fault(Fault::Unsealable))?;
            Err(Refused::Revoked(revocation).into())
        }
    }
}

/// Whether what is there is what is wanted, if anything is.
fn fits<T: PartialEq>(wanted: Option<&T>, found: Option<&T>) -> bool {
    wanted.is_none() || wanted == found
}

/// Seconds between two writings of when a party was last seen.
const TOUCHED_S: u32 = 60;
