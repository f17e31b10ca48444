//! What goes on from an older copy, and what does not: whatever the copy shows may have been ended since.

use sidekey_protocol::ids::Role;
use sidekey_protocol::pairing::credential::wire::CredentialState;
use sidekey_protocol::pairing::registry::Standing;
use sidekey_protocol::revocation::Head;
use sidekey_protocol::revocation::restore::Accept;

use super::super::super::view::{EndReason, SessionState};
use super::super::super::{InvitationState, Refused};
use super::super::{ADMIN, Data, assert_refused, user};

impl Data {
    /// Somebody shows a head that this history does not have.
    async fn roll_back(&self) {
        let later = Head { n: 1, r: [7; 32] }.sealed(self.store.shared.at_rest.head_key());
        self.store.roll_back(later, None).await.unwrap();
    }
}

#[tokio::test]
async fn sessions_invitations_and_what_waits_do_not_go_on() {
    let mut data = Data::with_users(2).await;
    let sessions = [data.open(user(0), 1).await.unwrap().id, data.open(user(1), 2).await.unwrap().id];
    let invitation = data.invite(Role::Client, Some(user(0))).await;
    let (waiting, _) = data.waits_of(1, true).await;
    let phones = [0, 1].map(|n| data.phone(n));
    let (issued, _) = data.issue(user(0), "push", None).await.unwrap();

    data.roll_back().await;
    let accept = Accept { missing: 1, ..Accept::default() };
    let would = data.store.would_accept(accept.clone()).await.unwrap();
    let did = data.store.accept(ADMIN, accept, (1, 0)).await.unwrap();
    for counted in [would, did] {
        let (pairings, sessions) = (counted.pairings, counted.sessions_ended);
        assert_eq!((pairings, sessions, counted.invitations, counted.credentials), (1, 2, 1, 0));
    }
    for session in sessions {
        let ended = SessionState::Ended(EndReason::Revocation);
        assert_eq!(data.store.session(session).unwrap().state, ended);
    }
    assert!(data.store.shared.read().roots.is_empty(), "nothing derives a key of theirs");
    assert_eq!(data.store.invitation(invitation).unwrap().state, InvitationState::Cancelled);
    assert_refused(data.store.verifier(invitation), &Refused::Absent);
    assert_eq!(data.store.party(waiting).unwrap().standing(), Standing::Revoked, "it may have been refused");
    assert!(phones.iter().all(|&phone| data.store.party(phone).unwrap().is_live()));
    assert_eq!(data.store.credential(issued.id).unwrap().state, CredentialState::Active);
}

#[tokio::test]
async fn where_all_are_revoked_but_some_those_stay_and_nobody_else() {
    let mut data = Data::with_users(2).await;
    let [phone, other] = [0, 1].map(|n| data.phone(n));
    let (issued, _) = data.issue(user(0), "push", None).await.unwrap();
    let gateway = data.gateway();
    data.roll_back().await;
    let accept = Accept { missing: 0, revoke_all: true, except: vec![gateway, phone] };
    let accepted = data.store.accept(ADMIN, accept, (1, 0)).await.unwrap();
    assert_eq!((accepted.pairings, accepted.credentials), (1, 1));
    let live = [gateway, phone, other, ADMIN].map(|id| data.store.party(id).unwrap().is_live());
    assert_eq!(live, [true, true, false, true]);
    assert_eq!(data.store.credential(issued.id).unwrap().state, CredentialState::Revoked);
}
