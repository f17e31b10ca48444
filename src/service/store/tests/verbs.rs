use std::sync::Arc;

use sidekey_protocol::ids::{InvitationId, Role, SessionId};
use sidekey_protocol::pairing::Approval;
use sidekey_protocol::revocation::{Reason, Target};
use sidekey_protocol::session::{self, Audience, Capabilities, Cause, Suite};
use zeroize::Zeroizing;

use super::super::view::{EndReason, Happened, Repeat, Revocation, SessionState};
use super::super::{Error, InvitationState, NewInvitation, NewSession, Refused};
use super::{ADMIN, Data, EVERYTHING, asked, assert_refused, elsewhere, server, user};
use crate::fault::Fault;

fn lost() -> Reason {
    "lost on a train".parse().unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hundred_attempts_at_once_are_five() {
    let mut data = Data::with_users(0).await;
    let invitation = data.invite(Role::Client, Some(user(0))).await;
    let attempts: Vec<_> = (0..100)
        .map(|_| {
            let store = data.store.clone();
            tokio::spawn(async move { store.spend_attempt(invitation).await })
        })
        .collect();
    let mut left = Vec::new();
    for attempt in attempts {
        match attempt.await.unwrap() {
            Ok(count) => left.push(count),
            other => assert_refused(other, &Refused::AttemptsSpent),
        }
    }
    left.sort_unstable();
    assert_eq!(left, [0, 1, 2, 3, 4]);
    assert_eq!(data.store.invitation(invitation).unwrap().state, InvitationState::Spent);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_invitation_makes_one_pairing() {
    let mut data = Data::with_users(0).await;
    let invitation = data.invite(Role::Client, Some(user(0))).await;
    assert_eq!(data.store.verifier(invitation).unwrap().as_slice(), b"a verifier");
    let (a, b) = (data.pairing(), data.pairing());
    let roots = [a.root.expose().to_owned(), b.root.expose().to_owned()];
    let (a, b) = tokio::join!(data.store.confirm(invitation, a), data.store.confirm(invitation, b));
    let (won, root) = if a.is_ok() { (a, roots[0]) } else { (b, roots[1]) };
    let party = won.unwrap();
    assert_eq!(data.store.epoch(party.id).unwrap().root.expose(), &root);
    let again = data.pairing();
    assert_refused(data.store.confirm(invitation, again).await, &Refused::Used);
    assert_refused(data.store.spend_attempt(invitation).await, &Refused::Used);
    assert_refused(data.store.verifier(invitation), &Refused::Absent);
    assert_eq!(data.store.live_pairings(&server(), &user(0)).len(), 1);
}

#[tokio::test]
async fn a_finish_is_repeated_until_its_pairing_is_used() {
    let mut data = Data::with_users(0).await;
    let invitation = data.invite(Role::Client, Some(user(0))).await;
    assert_eq!(data.store.finish_repeat(invitation, &[1; 32]), Repeat::None);
    let new = data.pairing();
    let party = data.store.confirm(invitation, new).await.unwrap();
    let same = Repeat::Same(b"an answer".as_slice().into());
    assert_eq!(data.store.finish_repeat(invitation, &[1; 32]), same);
    assert_eq!(data.store.finish_repeat(invitation, &[2; 32]), Repeat::Other);
    data.store.mark_used(party.id).await.unwrap();
    data.store.mark_used(party.id).await.unwrap();
    assert_eq!(data.store.finish_repeat(invitation, &[1; 32]), Repeat::None);
    assert!(data.store.party(party.id).unwrap().used);
}

#[tokio::test]
async fn an_invitation_is_over_when_its_time_is() {
    let mut data = Data::with_users(0).await;
    let invitation = data.invite(Role::Client, Some(user(0))).await;
    data.clock.advance_s(900);
    assert_refused(data.store.spend_attempt(invitation).await, &Refused::Expired);
    let new = data.pairing();
    assert_refused(data.store.confirm(invitation, new).await, &Refused::Expired);
}

#[tokio::test]
async fn a_clock_that_goes_back_brings_nothing_back() {
    let mut data = Data::with_users(1).await;
    let invitation = data.invite(Role::Client, Some(user(0))).await;
    data.clock.advance_s(901);
    data.open(user(0), 1).await.unwrap();
    data.clock.set(super::START);
    assert_eq!(data.store.invitation(invitation).unwrap().state, InvitationState::Expired);
    let refused = data.store.spend_attempt(invitation).await;
    assert!(matches!(refused, Err(Error::Fault(Fault::ClockBehind { by_s: 901 }))), "{refused:?}");
    assert!(matches!(data.store.ready(), Err(Fault::ClockBehind { by_s: 901 })));
    assert!(matches!(data.store.clock_holds(), Err(Fault::ClockBehind { by_s: 901 })));
    // What ends things still ends them.
    let target = Target::User { server: server(), user: user(0) };
    data.store.revoke(ADMIN, target, lost()).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn an_idempotency_key_opens_one_session() {
    let data = Arc::new(Data::with_users(1).await);
    let opens: Vec<_> = (0..20)
        .map(|_| {
            let data = data.clone();
            tokio::spawn(async move { data.open(user(0), 1).await.unwrap().id })
        })
        .collect();
    let mut ids = std::collections::BTreeSet::new();
    for open in opens {
        ids.insert(open.await.unwrap());
    }
    assert_eq!(ids.len(), 1);
    let mut other = asked(data.gateway(), Audience::User(user(0)), 1);
    other.idempotency.body = [8; 16];
    assert_refused(data.store.open_session(other).await, &Refused::Conflict);
    let known = idempotency(1);
    let before = data.store.opened_before(data.gateway(), &known).unwrap().unwrap();
    assert_eq!(Some(&before.id), ids.first());
    assert!(data.store.opened_before(data.gateway(), &idempotency(2)).unwrap().is_none());
    data.store.end(data.gateway(), *ids.first().unwrap()).await.unwrap();
    assert_refused(data.store.opened_before(data.gateway(), &known), &Refused::Ended);
    assert_refused(data.open(user(0), 1).await, &Refused::Ended);
}

fn idempotency(key: u64) -> super::super::Idempotency {
    asked(ADMIN, Audience::User(user(0)), key).idempotency
}

#[tokio::test]
async fn a_key_is_derived_and_its_predecessor_opens_two_minutes_more() {
    let data = Data::with_users(1).await;
    let session = data.open(user(0), 1).await.unwrap();
    let key = |generation| data.key(session.id, generation);
    let first = key(0).unwrap();
    assert_refused(key(1), &Refused::Session(session::Reject::GenerationUnknown));
    let rotated = data.store.rotate(data.gateway(), session.id).await.unwrap();
    assert_eq!(rotated.generations.current, 1);
    assert_ne!(key(1).unwrap().expose(), first.expose());
    data.clock.advance_s(119);
    assert_eq!(key(0).unwrap().expose(), first.expose());
    data.clock.advance_s(1);
    assert_refused(key(0), &Refused::Session(session::Reject::GenerationPassed));
    data.clock.advance_s(3600);
    assert_refused(key(1), &Refused::Expired);
    assert_eq!(data.store.session(session.id).unwrap().state, SessionState::Expired);
    assert_refused(data.key(SessionId::from_bytes([0; 16]), 0), &Refused::Absent);
    let foreign = data.store.session_key(ADMIN, session.id, None, |_, _| false);
    assert_refused(foreign.map(drop), &Refused::Absent);
}

#[tokio::test]
async fn sessions_of_a_user_share_a_root_until_the_epoch_ends() {
    let data = Data::with_users(1).await;
    for key in 0..3 {
        data.open(user(0), key).await.unwrap();
    }
    assert_eq!(data.store.shared.read().roots.len(), 1);
    data.clock.advance_s(86_400);
    data.open(user(0), 3).await.unwrap();
    data.dump();
    assert_eq!(data.store.shared.read().roots.len(), 1, "the old one went with its sessions");
}

#[tokio::test]
async fn the_suite_is_that_of_the_devices_at_the_commit() {
    let mut data = Data::with_users(1).await;
    let invitation = data.invite(Role::Client, Some(user(0))).await;
    let mut second = data.pairing();
    second.offer = Some(session::SuiteList::parse(&["C20P"]).unwrap());
    data.store.confirm(invitation, second).await.unwrap();
    assert_eq!(data.open(user(0), 1).await.unwrap().suite, Suite::C20p);
    let none =
        NewSession { capabilities: Capabilities::parse(&["A256GCM"]).unwrap(), ..asked_for_first(&data, 2) };
    assert_refused(data.store.open_session(none).await, &Refused::Session(session::Reject::SuiteNone));
    let nobody = asked(data.gateway(), Audience::User(user(7)), 3);
    assert_refused(
        data.store.open_session(nobody).await,
        &Refused::Session(session::Reject::AudienceUnknown),
    );
}

fn asked_for_first(data: &Data, key: u64) -> NewSession {
    asked(data.gateway(), Audience::User(user(0)), key)
}

#[tokio::test]
async fn revoking_a_pairing_rotates_the_sessions_for_the_others() {
    let mut data = Data::with_users(1).await;
    let second = data.pair(Role::Client, Some(user(0))).await;
    let shared = data.open(user(0), 1).await.unwrap();
    let own = data.store.open_session(asked(data.gateway(), Audience::Pairing(second), 2)).await.unwrap();
    data.store.rotate(data.gateway(), shared.id).await.unwrap();
    let before = data.key(shared.id, 1).unwrap();
    let (mail, nobody) = (server(), None);
    let mut begun = data.store.listen(Some((Role::Server, &mail, nobody)), None);

    let target = Target::Pairing { pairing: second };
    let revoked = data.store.revoke(ADMIN, target.clone(), lost()).await.unwrap();
    assert_eq!((revoked.revocations, revoked.pairings), (1, 1));
    assert_eq!((revoked.sessions_rotated, revoked.sessions_ended), (1, 1));
    let revocation = Revocation { at: super::START, reason: lost() };
    assert_refused(data.store.epoch(second), &Refused::Revoked(revocation.clone()));
    assert_eq!(data.store.party(second).unwrap().revoked, Some(revocation));
    let revoked = Refused::Session(session::Reject::GenerationRevoked);
    assert_refused(data.key(shared.id, 0), &Refused::Session(session::Reject::GenerationPassed));
    assert_refused(data.key(shared.id, 1), &revoked);
    assert_ne!(data.key(shared.id, 2).unwrap().expose(), before.expose());
    assert_refused(data.key(own.id, 0), &Refused::Ended);
    assert_refused(data.store.revoke(ADMIN, target, lost()).await, &Refused::AlreadyRevoked);

    let commit = begun.listening.next().await.unwrap();
    let told: Vec<_> = commit.events.iter().map(|event| event.what.clone()).collect();
    assert!(matches!(told[0], Happened::Revoked { .. }));
    assert!(told.contains(&Happened::Ended { session: own.id, reason: EndReason::Revocation }));
    let rotated = Happened::Rotated { session: shared.id, generation: 2, cause: Cause::Revocation };
    assert!(told.contains(&rotated));
}

#[tokio::test]
async fn revoking_a_gateway_rotates_only_if_another_is_left() {
    let mut data = Data::with_users(2).await;
    let other = data.pair(Role::Server, None).await;
    let sessions = [data.open(user(0), 1).await.unwrap(), data.open(user(1), 2).await.unwrap()];
    let first = data.gateway();
    let revoked = data.store.revoke(ADMIN, Target::Pairing { pairing: first }, lost()).await.unwrap();
    assert_eq!((revoked.sessions_rotated, revoked.sessions_ended), (2, 0));
    assert_eq!(data.store.session(sessions[0].id).unwrap().generations.current, 1);
    let revoked = data.store.revoke(ADMIN, Target::Pairing { pairing: other }, lost()).await.unwrap();
    assert_eq!((revoked.sessions_rotated, revoked.sessions_ended), (0, 2));
    assert!(data.store.sessions_of(&server(), &user(0)).is_empty());
}

#[tokio::test]
async fn revoking_a_server_takes_everything_along() {
    let mut data = Data::with_users(2).await;
    let pending = data.invite(Role::Client, Some(user(5))).await;
    let session = data.open(user(0), 1).await.unwrap();
    let gateway = data.gateway();
    let revoked = data.store.revoke(ADMIN, Target::Server { server: server() }, lost()).await.unwrap();
    assert_eq!((revoked.pairings, revoked.invitations, revoked.sessions_ended), (3, 1, 1));
    let revocation = Revocation { at: super::START, reason: lost() };
    assert_refused(data.store.spend_attempt(pending).await, &Refused::Revoked(revocation.clone()));
    assert_refused(data.key(session.id, 0), &Refused::Ended);
    let again = data.store.open_session(asked(gateway, Audience::User(user(0)), 9)).await;
    assert_refused(again, &Refused::Revoked(revocation.clone()));
    assert_eq!(data.store.servers(EVERYTHING).items[0].revoked, Some(revocation));
}

#[tokio::test]
async fn revoking_a_user_leaves_the_others_alone() {
    let data = Data::with_users(2).await;
    let sessions = [data.open(user(0), 1).await.unwrap(), data.open(user(1), 2).await.unwrap()];
    let target = Target::User { server: server(), user: user(0) };
    data.store.revoke(ADMIN, target.clone(), lost()).await.unwrap();
    assert_refused(data.key(sessions[0].id, 0), &Refused::Ended);
    data.key(sessions[1].id, 0).unwrap();
    assert_refused(data.store.revoke(ADMIN, target, lost()).await, &Refused::AlreadyRevoked);
    let unknown = Target::User { server: server(), user: user(9) };
    assert_refused(data.store.revoke(ADMIN, unknown, lost()).await, &Refused::Absent);
}

#[tokio::test]
async fn a_head_is_ours_and_counts() {
    let data = Data::with_users(1).await;
    let before = data.store.head();
    assert_eq!(before.n(), 0);
    let target = Target::User { server: server(), user: user(0) };
    data.store.revoke(ADMIN, target, lost()).await.unwrap();
    let after = data.store.head();
    assert_eq!(after.n(), 1);
    assert!(data.store.is_genuine(&after) && data.store.is_genuine(&before));
    let mut forged = *after.as_bytes();
    forged[7] = 2;
    assert!(!data.store.is_genuine(&sidekey_protocol::revocation::SealedHead::from_bytes(forged)));
}

#[tokio::test]
async fn a_list_comes_in_pages() {
    let data = Data::with_users(7).await;
    let filter = super::super::Filter { role: Some(Role::Client), ..Default::default() };
    let (mut after, mut seen) = (0, Vec::new());
    loop {
        let page = data.store.pairings(super::super::Page { size: 3, after }, &filter);
        assert!(page.items.len() <= 3);
        seen.extend(page.items.into_iter().map(|party| party.id));
        match page.next {
            Some(next) => after = next,
            None => break,
        }
    }
    assert_eq!(seen.len(), 7);
    assert_eq!(data.store.servers(EVERYTHING).items[0].users, 7);
}

/// A clock that was a year ahead must not leave a service that issues nothing for a year, nor anything that holds so long.
#[tokio::test]
async fn a_clock_that_was_ahead_is_believed_again_and_what_it_dated_is_over() {
    const YEAR_S: u32 = 365 * 86_400;
    let mut data = Data::with_users(1).await;
    data.clock.set(super::START.after_s(YEAR_S));
    let invitation = data.invite(Role::Client, Some(user(0))).await;
    let session = data.open(user(0), 1).await.unwrap().id;
    let phone = data.phone(0);
    data.store.touch(phone);
    data.clock.set(super::START.after_s(10));
    assert!(matches!(data.open(user(0), 2).await, Err(Error::Fault(Fault::ClockBehind { .. }))));

    let accepted = data.store.accept_clock().await.unwrap().unwrap();
    assert_eq!((accepted.behind_s, accepted.sessions, accepted.invitations), (YEAR_S - 10, 1, 1));
    assert_eq!(data.store.accept_clock().await.unwrap(), None, "once is enough");
    for restarted in [false, true] {
        if restarted {
            data.reopen().await;
        }
        assert_eq!(data.store.now(), super::START.after_s(10));
        assert_ne!(data.store.session(session).unwrap().state, SessionState::Open);
        assert_eq!(data.store.invitation(invitation).unwrap().state, InvitationState::Expired);
        assert_eq!(data.store.party(phone).unwrap().last_seen(), Some(super::START.after_s(10)));
        data.store.ready().unwrap();
    }
    // The user's devices are as they were, and have a session that ends when it should.
    let again = data.open(user(0), 3).await.unwrap();
    assert!(again.not_after <= super::START.after_s(10 + 86_400));
    let parties = data.store.live_pairings(&server(), &user(0));
    assert!(!parties.is_empty());
    for party in parties {
        assert!(party.epoch_not_after <= super::START.after_s(10 + 7 * 86_400), "no epoch outlives its week");
    }
}

#[tokio::test]
async fn what_a_revocation_would_do_is_what_it_does() {
    let data = Data::with_users(1).await;
    data.open(user(0), 1).await.unwrap();
    let target = Target::User { server: server(), user: user(0) };
    let would = data.store.would_revoke(&target).unwrap();
    assert_eq!((would.revocations, would.pairings, would.sessions_ended), (1, 1, 1));
    assert_eq!(data.store.head().n(), 0, "nothing was to be done");
    assert_eq!(data.store.revoke(ADMIN, target, lost()).await.unwrap(), would);
}

#[tokio::test]
async fn no_server_opens_a_session_for_another_s_device() {
    let mut data = Data::with_users(1).await;
    let phone = data.phone(0);
    let other = elsewhere();
    data.store.add_server(ADMIN, other.clone()).await.unwrap();
    let invited = NewInvitation {
        id: InvitationId::random(&mut data.rng),
        role: Role::Server,
        server: other,
        user: None,
        expires: data.store.now().after_s(900),
        verifier: Zeroizing::new(b"a verifier".to_vec()),
        approval: Approval::None,
        deliver: None,
    };
    let invitation = data.store.invite(ADMIN, invited).await.unwrap().id;
    let new = data.pairing();
    let elsewhere = data.store.confirm(invitation, new).await.unwrap().id;
    let foreign = asked(elsewhere, Audience::Pairing(phone), 1);
    assert_refused(data.store.open_session(foreign).await, &Refused::Absent);
    data.store.open_session(asked(data.gateway(), Audience::Pairing(phone), 1)).await.unwrap();
}
