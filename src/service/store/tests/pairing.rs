//! Invitations and pairings: which of them a list holds, and what is noted of them.

use std::fmt::Debug;

use sidekey_protocol::audit::Action;
use sidekey_protocol::audit::wire::AuditQuery;
use sidekey_protocol::ids::Role;
use sidekey_protocol::pairing::registry::Standing;
use sidekey_protocol::revocation::Target;

use super::super::view::Happened;
use super::super::{Filter, InvitationState};
use super::{ADMIN, Data, EVERYTHING, START, elsewhere, server, user};

/// Of two users, one of whom came again later, and their server.
fn assert_fits<S: Debug>(count: impl Fn(&Filter<S>) -> usize, states: [(S, usize); 2]) {
    let wanted = Filter::default;
    let states = states.map(|(state, count)| (Filter { state: Some(state), ..wanted() }, count));
    let others = [
        (wanted(), 4),
        (Filter { server: Some(server()), ..wanted() }, 4),
        (Filter { server: Some(elsewhere()), ..wanted() }, 0),
        (Filter { user: Some(user(0)), ..wanted() }, 2),
        (Filter { user: Some(user(1)), ..wanted() }, 1),
        (Filter { server: Some(elsewhere()), user: Some(user(0)), ..wanted() }, 0),
        (Filter { role: Some(Role::Server), ..wanted() }, 1),
        (Filter { role: Some(Role::Client), ..wanted() }, 3),
        (Filter { created_after: Some(START), ..wanted() }, 1),
        (Filter { user: Some(user(1)), created_after: Some(START), ..wanted() }, 0),
    ];
    for (filter, expected) in others.into_iter().chain(states) {
        assert_eq!(count(&filter), expected, "{filter:?}");
    }
}

#[tokio::test]
async fn a_list_of_invitations_holds_those_that_fit_all_that_is_asked() {
    let mut data = Data::with_users(2).await;
    data.clock.advance_s(10);
    data.invite(Role::Client, Some(user(0))).await;
    let count = |filter: &_| data.store.invitations(EVERYTHING, filter).items.len();
    assert_fits(count, [(InvitationState::Open, 1), (InvitationState::Used, 3)]);
}

#[tokio::test]
async fn a_list_of_pairings_holds_those_that_fit_all_that_is_asked() {
    let mut data = Data::with_users(2).await;
    data.clock.advance_s(10);
    let pairing = data.pair(Role::Client, Some(user(0))).await;
    let lost = "lost".parse().unwrap();
    data.store.revoke(ADMIN, Target::Pairing { pairing }, lost).await.unwrap();
    let count = |filter: &_| data.store.pairings(EVERYTHING, filter).items.len();
    assert_fits(count, [(Standing::Revoked, 1), (Standing::Active, 3)]);
}

#[tokio::test]
async fn administrators_are_told_of_the_last_attempt_at_a_code_and_of_no_other() {
    let mut data = Data::with_users(0).await;
    let invitation = data.invite(Role::Client, Some(user(0))).await;
    let mut begun = data.store.listen(None, None);
    let mut told = || {
        let commits = std::iter::from_fn(|| begun.listening.waiting());
        commits.flat_map(|commit| commit.events.clone()).map(|event| event.what).collect::<Vec<_>>()
    };
    for left in [4, 3, 2, 1] {
        assert_eq!(data.store.spend_attempt(invitation).await.unwrap(), left);
    }
    assert_eq!(told(), []);
    assert_eq!(data.store.spend_attempt(invitation).await.unwrap(), 0);
    assert_eq!(told(), [Happened::Spent { invitation, role: Role::Client }]);
}

/// Whoever makes up a body must not fill the log.
#[tokio::test]
async fn a_finish_with_another_body_is_noted_once_for_each_pairing() {
    let mut data = Data::with_users(0).await;
    let invitation = data.invite(Role::Client, Some(user(0))).await;
    let noted = |data: &Data| {
        let wanted = AuditQuery { action: Some(Action::PairingFinishConflict), ..AuditQuery::default() };
        let found = data.store.audit(EVERYTHING, &wanted).unwrap().entries;
        found.into_iter().map(|entry| entry.pairing).collect::<Vec<_>>()
    };
    data.store.finish_conflict(invitation).await.unwrap();
    assert_eq!(noted(&data), [], "nothing came of the invitation yet");
    let new = data.pairing();
    let pairing = data.store.confirm(invitation, new).await.unwrap().id;
    for _ in 0..2 {
        for _ in 0..2 {
            data.store.finish_conflict(invitation).await.unwrap();
            assert_eq!(noted(&data), [Some(pairing)]);
        }
        data.reopen().await;
    }
}

#[tokio::test]
async fn when_a_device_was_seen_outlives_a_restart() {
    let mut data = Data::with_users(1).await;
    // Nothing else of it is still to be written.
    data.reopen().await;
    let phone = data.phone(0);
    data.clock.advance_s(100);
    data.store.touch(phone);
    data.reopen().await;
    assert_eq!(data.store.party(phone).unwrap().last_seen(), Some(START.after_s(100)));
}
