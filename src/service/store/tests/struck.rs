//! What a revocation strikes, and what it leaves alone.

use sidekey_protocol::ids::{InvitationId, Role, ServerName, Timestamp, UserName};
use sidekey_protocol::revocation::Target;
use sidekey_protocol::session::{Cause, Generations};

use super::super::view::{EndReason, SessionState};
use super::super::{InvitationState, NewInvitation, Refused};
use super::{ADMIN, Data, assert_refused, elsewhere, server, user};

async fn invite_at(data: &mut Data, server: ServerName, user: UserName) -> InvitationId {
    let new = NewInvitation { server, ..data.invitation(Role::Client, Some(user)) };
    data.store.invite(ADMIN, new).await.unwrap().id
}

#[tokio::test]
async fn an_invitation_is_revoked_once_and_its_verifier_goes() {
    let mut data = Data::with_users(0).await;
    let invitation = data.invite(Role::Client, Some(user(0))).await;
    assert_eq!(data.strike(Target::Invitation { invitation }).await.unwrap().invitations, 1);
    assert_eq!(data.store.invitation(invitation).unwrap().state, InvitationState::Cancelled);
    assert_refused(data.store.verifier(invitation), &Refused::Absent);
    assert!(data.store.shared.read().invitation(invitation).unwrap().1.verifier.is_none());
    let again = data.strike(Target::Invitation { invitation }).await;
    assert_refused(again, &Refused::AlreadyRevoked);
}

#[tokio::test]
async fn a_session_is_revoked_once_and_gives_no_key() {
    let data = Data::with_users(1).await;
    let session = data.open(user(0), 1).await.unwrap().id;
    assert_eq!(data.strike(Target::Session { session }).await.unwrap().sessions_ended, 1);
    assert_eq!(data.store.session(session).unwrap().state, SessionState::Ended(EndReason::Revocation));
    assert_refused(data.key(session, 0), &Refused::Ended);
    assert_refused(data.strike(Target::Session { session }).await, &Refused::AlreadyRevoked);
}

#[tokio::test]
async fn the_invitations_of_a_user_go_along_and_nobody_else_s() {
    let mut data = Data::with_users(1).await;
    let elsewhere = elsewhere();
    data.store.add_server(ADMIN, elsewhere.clone()).await.unwrap();
    let own = data.invite(Role::Client, Some(user(0))).await;
    let namesake = invite_at(&mut data, elsewhere.clone(), user(0)).await;
    let other = data.invite(Role::Client, Some(user(1))).await;
    let gateway = data.invite(Role::Server, None).await;
    let target = Target::User { server: server(), user: user(0) };
    assert_eq!(data.strike(target).await.unwrap().invitations, 1);
    let states = [own, namesake, other, gateway].map(|id| data.store.invitation(id).unwrap().state);
    let open = InvitationState::Open;
    assert_eq!(states, [InvitationState::Cancelled, open, open, open]);
}

#[tokio::test]
async fn a_session_that_cannot_have_another_key_ends_with_a_device_that_had_it() {
    let mut data = Data::with_users(1).await;
    let second = data.pair(Role::Client, Some(user(0))).await;
    let session = data.open(user(0), 1).await.unwrap().id;
    let spent = Generations { current: u32::MAX, since: Timestamp(0), cause: Cause::Asked };
    {
        let mut state = data.store.shared.write();
        let (handle, _) = state.sessions.find(session).unwrap();
        state.sessions.get_mut(handle).unwrap().set_generations(spent);
    }
    let would = data.store.would_revoke(&Target::Pairing { pairing: second }).unwrap();
    assert_eq!((would.sessions_rotated, would.sessions_ended), (0, 1));
}
