//! Invitations: which key they name, what is kept of them, and for how long.

use sidekey_protocol::ids::Role;

use super::super::InvitationState;
use super::{ADMIN, Data, START, user};

const WEEK_S: u32 = 7 * 86_400;

#[tokio::test]
async fn one_that_is_over_keeps_no_verifier_and_is_shown_for_a_week() {
    let mut data = Data::with_users(0).await;
    let id = data.invite(Role::Client, Some(user(0))).await;
    let has_verifier = |data: &Data| {
        let state = data.store.shared.read();
        state.invitation(id).map(|(_, invited)| invited.verifier.is_some())
    };
    let sweep_at = |after_s| {
        data.clock.set(START.after_s(after_s));
        data.sweep();
        has_verifier(&data)
    };
    assert_eq!(sweep_at(899), Some(true));
    assert_eq!(sweep_at(900), Some(false));
    assert_eq!(sweep_at(900 + WEEK_S - 1), Some(false));
    assert_eq!(data.store.invitation(id).unwrap().state, InvitationState::Expired);
    assert_eq!(sweep_at(900 + WEEK_S), None);
    assert!(data.store.shared.read().invitations.is_empty(), "nor is the gateway's, which was used");
    data.reopen().await;
    assert_eq!(has_verifier(&data), None);
}

#[tokio::test]
async fn one_names_the_key_that_signed_when_it_was_made() {
    let mut data = Data::with_users(0).await;
    let before = data.invite(Role::Client, Some(user(0))).await;
    let from = data.store.keys().keys[0].kid.clone();
    data.store.rotate_key(ADMIN, from, 900).await.unwrap();
    let after = data.invite(Role::Client, Some(user(0))).await;
    let keys = [before, after].map(|id| data.store.invitation(id).unwrap().key);
    assert_eq!(keys, [0, 1]);
}
