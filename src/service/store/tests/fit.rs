use sidekey_protocol::ids::Role;
use sidekey_protocol::pairing::{Approval, Digits};
use sidekey_protocol::session::{self, Audience, Cause, Suite};

use super::super::view::{Event, Happened};
use super::super::{Refused, SessionFilter};
use super::{ADMIN, Data, EVERYTHING, asked, assert_refused, server, user};

/// What devices of a user were told since.
fn told(listening: &mut super::super::Listening) -> Vec<Happened> {
    let commits = std::iter::from_fn(|| listening.waiting());
    commits.flat_map(|commit| commit.events.clone()).map(|Event { what, .. }| what).collect()
}

#[tokio::test]
async fn what_was_open_before_a_device_goes_on_in_a_suite_that_it_has() {
    let mut data = Data::with_users(2).await;
    let sessions = [data.open(user(0), 1).await.unwrap(), data.open(user(0), 2).await.unwrap()];
    let elsewhere = data.open(user(1), 3).await.unwrap();
    let root = data.store.shared.read().find_session(sessions[0].id).unwrap().root;
    let (mail, ann) = (server(), user(0));
    let mut begun = data.store.listen(Some((Role::Client, &mail, Some(&ann))), None);

    data.clock.advance_s(10);
    data.pair_with(0, "C20P").await.unwrap();
    for session in &sessions {
        let now = data.store.session(session.id).unwrap();
        assert_eq!((now.suite, now.generations.current), (Suite::C20p, 1));
        assert_eq!((now.generations.cause, now.policy_hash), (Cause::Pairing, session.policy_hash));
        assert_refused(data.key(session.id, 0), &Refused::Session(session::Reject::GenerationPassed));
        data.key(session.id, 1).unwrap();
    }
    assert_eq!(
        data.store.shared.read().find_session(sessions[0].id).unwrap().root,
        root,
        "no secret is written"
    );
    assert_eq!(data.store.session(elsewhere.id).unwrap(), elsewhere);
    let told = told(&mut begun.listening);
    assert!(matches!(told[0], Happened::Paired { .. }));
    for session in &sessions {
        let rotated = Happened::Rotated { session: session.id, generation: 1, cause: Cause::Pairing };
        assert!(told.contains(&rotated), "{told:?}");
    }
    // One that has the suite changes nothing; and all of it is in the journal and on the pages.
    data.pair_with(0, "C20P").await.unwrap();
    let before = sessions.each_ref().map(|session| data.store.session(session.id).unwrap());
    data.reopen().await;
    assert_eq!(sessions.each_ref().map(|session| data.store.session(session.id).unwrap()), before);
    assert_eq!(before[0].generations.current, 1);
}

#[tokio::test]
async fn where_no_suite_is_left_a_session_goes_on_without_the_device() {
    let mut data = Data::with_users(1).await;
    let old = data.pair_with(0, "A256GCM").await.unwrap();
    let shared = data.open(user(0), 1).await.unwrap();
    let own = data.store.open_session(asked(data.gateway(), Audience::Pairing(old), 2)).await.unwrap();
    let unfit = data.pair_with(0, "C20P").await.unwrap();
    assert_eq!(data.store.session(shared.id).unwrap(), shared);
    assert_eq!(data.store.session(own.id).unwrap(), own);
    let (old, unfit) = (data.store.party(old).unwrap(), data.store.party(unfit).unwrap());
    let first = &data.store.live_pairings(&server(), &user(0))[0];
    assert!(shared.is_for(&old) && shared.is_for(first) && !shared.is_for(&unfit));
    assert!(own.is_for(&old) && !own.is_for(first));
    for (device, count) in [(&old, 2), (&unfit, 0)] {
        let filter = SessionFilter { pairing: Some(device.id), ..SessionFilter::default() };
        assert_eq!(data.store.sessions(EVERYTHING, &filter).items.len(), count);
    }
}

#[tokio::test]
async fn a_device_that_waits_changes_nothing_until_it_is_approved() {
    let mut data = Data::with_users(1).await;
    let session = data.open(user(0), 1).await.unwrap();
    data.approval = Approval::Admin;
    let device = data.pair_with(0, "C20P").await.unwrap();
    assert_eq!(data.store.session(session.id).unwrap(), session);
    let digits = Digits::of(&[7; 32], &data.store.party(device).unwrap().key);
    data.store.approve(ADMIN, device, digits).await.unwrap();
    assert_eq!(data.store.session(session.id).unwrap().suite, Suite::C20p);
}
