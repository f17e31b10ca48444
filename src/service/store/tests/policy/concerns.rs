//! Whom a change would concern, and whom it reaches.

use sidekey_protocol::policy::wire::{Concerns, UNFIT_MAX, Whose};
use sidekey_protocol::session::Suite;

use super::super::super::record::Record;
use super::super::super::state::policy::Reach;
use super::super::{ADMIN, Data, server, user};
use super::{apply, set, setting};

#[tokio::test]
async fn a_user_s_own_policy_reaches_that_user_s_sessions_and_no_other_s() {
    let data = Data::with_users(2).await;
    let [own, other] = [data.open(user(0), 1).await.unwrap().id, data.open(user(1), 2).await.unwrap().id];
    // Answered by the writer, which has done by then what comes after the last commit's answers.
    data.open(user(1), 2).await.unwrap();
    let change = Box::new(setting(r#"{"suites":["C20P"]}"#));
    apply(&data, ADMIN, Record::PolicySet { server: Some(server()), user: Some(user(0)), setting: change });
    let mut state = data.store.shared.write();
    let (neighbour, _) = state.user(&server(), &user(1)).unwrap();
    assert_eq!(state.carry_user(neighbour), 0, "nothing is looked at that it does not reach");
    assert!(!state.carry(usize::MAX));
    let suites = [own, other].map(|id| state.find_session(id).unwrap().suite);
    assert_eq!(suites, [Suite::C20p, Suite::A256gcm]);
}

#[tokio::test]
async fn a_change_concerns_live_devices_and_the_sessions_whose_policy_it_signs_anew() {
    let mut data = Data::with_users(1).await;
    data.open(user(0), 1).await.unwrap();
    // Has no device.
    data.issue(user(5), "push", None).await.unwrap();
    set(&data, &Whose::Service, r#"{"suites":["C20P"]}"#).await;
    let concerns = |whose: &Whose, json| {
        let concerns = data.store.policy_concerns(whose, &setting(json)).unwrap();
        (concerns.users, concerns.devices, concerns.sessions_rotated)
    };
    let (everybody, own) = (Whose::Service, Whose::User(server(), user(0)));
    assert_eq!(concerns(&everybody, r#"{"suites":["A256GCM"]}"#), (1, 1, 1));
    assert_eq!(
        concerns(&everybody, r#"{"suites":["C20P"],"session_ttl":60}"#),
        (1, 1, 0),
        "no rule is signed"
    );
    assert_eq!(concerns(&own, r#"{"suites":["A256GCM"]}"#), (1, 1, 1));
}

#[tokio::test]
async fn many_users_and_sessions_are_looked_at_in_parts() {
    let data = Data::with_users(8).await;
    for n in 0..8 {
        data.open(user(n), u64::from(n)).await.unwrap();
    }
    let (change, mut concerns) = (setting(r#"{"suites":["C20P"]}"#), Concerns::default());
    let state = data.store.shared.read();
    let mut look = |from, count| state.concerns(Reach::Service, &change, from, count, &mut concerns);
    assert_eq!(look(0, 6), Some(3), "a user and a session each");
    assert_eq!(look(3, usize::MAX), None);
    assert_eq!((concerns.users, concerns.sessions_rotated), (8, 8));
}

#[tokio::test]
async fn of_many_devices_that_do_not_fit_all_are_counted_and_the_first_are_named() {
    let mut data = Data::with_users(1).await;
    data.pair_with(0, "A256GCM").await.unwrap();
    let (change, mut concerns) = (setting(r#"{"suites":["C20P"]}"#), Concerns::default());
    let state = data.store.shared.read();
    for _ in 0..=UNFIT_MAX {
        state.concerns(Reach::Service, &change, 0, usize::MAX, &mut concerns);
    }
    assert_eq!((concerns.devices_unfit, concerns.unfit.len()), (UNFIT_MAX as u64 + 1, UNFIT_MAX));
}
