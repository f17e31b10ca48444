//! What the service says that it has, held against the model.

use std::collections::BTreeMap;

use sidekey_protocol::ids::Timestamp;
use sidekey_protocol::pairing::ATTEMPTS;
use sidekey_protocol::pairing::credential::wire::{self, CredentialState};
use sidekey_protocol::pairing::registry::{self, InvitationState, Standing};
use sidekey_protocol::policy::wire::PolicyRow;
use sidekey_protocol::session::registry::{SessionSeen, SessionState};

use crate::model::{Known, Model};

/// Nothing that was acknowledged is lost, and nothing that is over is back.
impl Model {
    pub(crate) fn has_sessions(&self, listed: &[SessionSeen], now: Timestamp) {
        let listed: BTreeMap<_, _> = listed.iter().map(|seen| (seen.session, seen)).collect();
        for (id, session) in self.sessions.iter().filter(|(_, session)| now < session.not_after) {
            let seen = listed.get(id).unwrap_or_else(|| panic!("session {id} is lost"));
            assert!(seen.generation >= session.generation, "generation {} is lost", session.generation);
            match session.over {
                Known::No => assert_eq!(seen.state, SessionState::Open, "session {id} has ended"),
                Known::Perhaps => {}
                Known::Yes => assert_eq!(seen.state, SessionState::Ended, "session {id} is back"),
            }
        }
    }

    pub(crate) fn has_pairings(&self, listed: &[registry::Pairing]) {
        let listed: BTreeMap<_, _> = listed.iter().map(|seen| (seen.pairing, seen.state)).collect();
        for (id, pairing) in &self.pairings {
            let state = *listed.get(id).unwrap_or_else(|| panic!("pairing {id} is lost"));
            match (pairing.over, pairing.approved) {
                (Known::No, Known::Yes) => assert_eq!(state, Standing::Active, "pairing {id}"),
                // Or it has waited for too long.
                (Known::No, Known::No) => assert_ne!(state, Standing::Active, "pairing {id}"),
                (Known::No | Known::Perhaps, _) => {}
                (Known::Yes, _) => assert_eq!(state, Standing::Revoked, "pairing {id} is back"),
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
            } else if invitation.over == Known::Yes {
                assert_ne!(seen.state, InvitationState::Paired, "invitation {id} was cancelled");
            }
        }
    }

    pub(crate) fn has_credentials(&self, listed: &[wire::Credential]) {
        let listed: BTreeMap<_, _> = listed.iter().map(|seen| (seen.credential, seen.state)).collect();
        for (id, credential) in &self.credentials {
            let state = *listed.get(id).unwrap_or_else(|| panic!("credential {id} is lost"));
            match credential.over {
                Known::No => assert_eq!(state, CredentialState::Active, "credential {id}"),
                Known::Perhaps => {}
                Known::Yes => assert_eq!(state, CredentialState::Revoked, "credential {id} is back"),
            }
        }
    }

    pub(crate) fn has_policies(&self, listed: &[PolicyRow]) {
        for (server, policy) in &self.policies {
            let of_it = |row: &&PolicyRow| row.server.as_ref() == Some(server) && row.user.is_none();
            let seen = listed.iter().find(of_it);
            assert!(seen.map_or(0, |seen| seen.revision) >= policy.revision, "a change of policy is lost");
        }
    }
}
