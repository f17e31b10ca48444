mod concerns;

use sidekey_protocol::ids::{PartyId, Role};
use sidekey_protocol::policy::setting::{Asked, Setting};
use sidekey_protocol::policy::wire::{PoliciesQuery, Whose};
use sidekey_protocol::revocation::Target;
use sidekey_protocol::session::{self, Audience, Cause, Suite};
use sidekey_protocol::{pairing, revocation};

use super::super::journal::Position;
use super::super::record::{Entry, Record};
use super::super::view::{EndReason, Event, Happened, Revocation, SessionState};
use super::super::{NewSession, Page, Refused};
use super::{ADMIN, Data, EVERYTHING, START, asked, assert_refused, elsewhere, server, user};

fn setting(json: &str) -> Setting {
    serde_json::from_str::<Asked>(json).unwrap().parse().unwrap()
}

async fn set(data: &Data, whose: &Whose, json: &str) {
    let revision = data.store.policy_view(whose, None).unwrap().revision;
    data.store.set_policy(ADMIN, whose.clone(), setting(json), revision).await.unwrap();
}

fn version(data: &Data, n: u8) -> u32 {
    data.store.policy(&server(), &user(n)).version
}

#[tokio::test]
async fn a_version_grows_with_each_change_that_concerns_its_user() {
    let data = Data::with_users(2).await;
    let (whole, at, whom) = (Whose::Service, Whose::Server(server()), Whose::User(server(), user(0)));
    let mail = server();
    let mut begun = data.store.listen(Some((Role::Server, &mail, None)), None);
    assert_eq!((version(&data, 0), version(&data, 1)), (1, 1));
    set(&data, &whole, r#"{"suites":["C20P"]}"#).await;
    set(&data, &at, r#"{"suites":["C20P","A256GCM"]}"#).await;
    set(&data, &whom, r#"{"suites":["A256GCM"]}"#).await;
    assert_eq!((version(&data, 0), version(&data, 1)), (4, 3));
    let found = |n: Option<u8>| data.store.policy_version(&server(), n.map(user).as_ref());
    assert_eq!((found(Some(0)), found(Some(1)), found(None)), (4, 3, 3));
    let hash = data.store.policy(&server(), &user(0)).hash();
    // Unset, and set as before: what held before holds again, under a version of its own.
    set(&data, &whom, "{}").await;
    set(&data, &whom, r#"{"suites":["A256GCM"]}"#).await;
    assert_eq!(version(&data, 0), 6);
    assert_ne!(data.store.policy(&server(), &user(0)).hash(), hash);
    // Nobody signs the rules.
    set(&data, &whole, r#"{"suites":["C20P"],"session_ttl":60}"#).await;
    assert_eq!((version(&data, 0), version(&data, 1)), (6, 3));
    let told: Vec<Event> =
        std::iter::from_fn(|| begun.listening.waiting()).flat_map(|commit| commit.events.clone()).collect();
    assert_eq!(told.len(), 5, "{told:?}");
    assert!(told.iter().all(|event| event.what == Happened::Policy));
    let places: Vec<_> =
        told.iter().take(3).map(|event| (event.server.clone(), event.user.clone())).collect();
    assert_eq!(places, [(None, None), (Some(server()), None), (Some(server()), Some(user(0)))]);
}

#[tokio::test]
async fn a_change_that_was_read_before_another_is_refused() {
    let data = Data::with_users(1).await;
    let at = Whose::Server(server());
    set(&data, &at, r#"{"devices_max":3}"#).await;
    let stale = data.store.set_policy(ADMIN, at.clone(), setting("{}"), 0).await;
    assert_refused(stale, &Refused::Stale);
    let seq = data.store.shared.read().position.seq;
    data.store.set_policy(ADMIN, at, setting(r#"{"devices_max":3}"#), 1).await.unwrap();
    assert_eq!(data.store.shared.read().position.seq, seq, "nothing changes: nothing is written");
    let nowhere = Whose::Server("elsewhere".parse().unwrap());
    let absent = data.store.set_policy(ADMIN, nowhere.clone(), setting("{}"), 0).await;
    assert_refused(absent, &Refused::Absent);
    assert_refused(data.store.policy_view(&nowhere, None), &Refused::Absent);
    let reason: revocation::Reason = "sold".parse().unwrap();
    data.store.revoke(ADMIN, Target::Server { server: server() }, reason.clone()).await.unwrap();
    let gone = data.store.set_policy(ADMIN, Whose::Server(server()), setting("{}"), 1).await;
    assert_refused(gone, &Refused::Revoked(Revocation { at: START, reason }));
}

#[tokio::test]
async fn a_change_rotates_open_sessions_and_ends_those_without_a_suite() {
    let mut data = Data::with_users(2).await;
    let old = data.pair_with(1, "A256GCM").await.unwrap();
    let rotated = data.open(user(0), 1).await.unwrap();
    let ended = data.open(user(1), 2).await.unwrap();
    let over = data.open(user(0), 3).await.unwrap();
    data.store.end(data.gateway(), over.id).await.unwrap();
    let root = data.store.shared.read().find_session(rotated.id).unwrap().root;

    let change = setting(r#"{"suites":["C20P"]}"#);
    let concerns = data.store.policy_concerns(&Whose::Service, &change).unwrap();
    assert_eq!((concerns.users, concerns.devices, concerns.devices_unfit), (2, 3, 1));
    assert_eq!((concerns.sessions_rotated, concerns.sessions_ended), (1, 1));
    assert_eq!((concerns.unfit[0].pairing, &concerns.unfit[0].user), (old, &user(1)));
    assert_eq!(data.store.session(rotated.id).unwrap().generations.current, 0, "only asked");

    data.clock.advance_s(10);
    data.store.set_policy(ADMIN, Whose::Service, change, 0).await.unwrap();
    let now = data.store.session(rotated.id).unwrap();
    assert_eq!((now.suite, now.policy_hash), (Suite::C20p, data.store.policy(&server(), &user(0)).hash()));
    let generations = session::Generations { current: 1, since: START.after_s(10), cause: Cause::Policy };
    assert_eq!(now.generations, generations);
    assert_eq!(data.store.shared.read().find_session(rotated.id).unwrap().root, root, "no secret is written");
    let passed = Refused::Session(session::Reject::GenerationPassed);
    assert_refused(data.key(rotated.id, 0), &passed);
    data.key(rotated.id, 1).unwrap();
    assert_eq!(data.store.session(ended.id).unwrap().state, SessionState::Ended(EndReason::Policy));
    assert_refused(data.key(ended.id, 0), &Refused::Ended);
    assert_eq!(data.store.session(over.id).unwrap().state, SessionState::Ended(EndReason::Asked));

    let none = Refused::Session(session::Reject::SuiteNone);
    assert_refused(data.open(user(1), 4).await, &none);
    data.store.revoke(ADMIN, Target::Pairing { pairing: old }, "old".parse().unwrap()).await.unwrap();
    assert_eq!(data.open(user(1), 5).await.unwrap().suite, Suite::C20p);
}

#[tokio::test]
async fn policies_and_what_they_did_survive_a_restart_with_pages_and_without() {
    let mut data = Data::with_users(2).await;
    data.open(user(0), 1).await.unwrap();
    // On a page, so that the change comes as a delta.
    data.reopen().await;
    set(&data, &Whose::Service, r#"{"suites":["C20P"],"sessions_max":7}"#).await;
    set(&data, &Whose::Server(server()), r#"{"approval":"admin"}"#).await;
    set(&data, &Whose::User(server(), user(1)), r#"{"items":["BODY"]}"#).await;
    data.open(user(1), 2).await.unwrap();
    set(&data, &Whose::User(server(), user(1)), "{}").await;
    let before = data.dump();
    let rows = data.store.policies(EVERYTHING, &PoliciesQuery::default()).items;
    assert_eq!(rows.len(), 2);
    data.reopen().await;
    assert_eq!(data.dump(), before, "from pages");
    data.swap(|folder| std::fs::remove_dir_all(folder.join("state")).unwrap());
    assert_eq!(data.dump(), before, "from the journal");
    assert_eq!(data.store.policies(EVERYTHING, &PoliciesQuery::default()).items, rows);
    assert_eq!((version(&data, 0), version(&data, 1)), (2, 4));
}

/// Applies a record as the writer does, and leaves what follows undone.
fn apply(data: &Data, by: PartyId, record: Record) {
    let mut state = data.store.shared.write();
    let position = Position { seq: state.position.seq + 1, ..state.position };
    state
        .apply(position, &[], Entry { salt: [0; 16], at: START, by: Some(by), record, whom: Vec::new() })
        .unwrap();
}

#[tokio::test]
async fn a_change_reaches_a_little_at_a_time_and_first_whoever_asks() {
    let data = Data::with_users(8).await;
    let mut sessions = Vec::new();
    for n in 0..8 {
        sessions.push(data.open(user(n), u64::from(n)).await.unwrap().id);
    }
    // Answered by the writer, which has done by then what comes after the last commit's answers.
    data.open(user(7), 7).await.unwrap();
    let change = Box::new(setting(r#"{"suites":["C20P"]}"#));
    apply(&data, ADMIN, Record::PolicySet { server: Some(server()), user: None, setting: change });
    let reached = |data: &Data| {
        let state = data.store.shared.read();
        state.sessions.iter().filter(|slot| slot.generations().current == 1).count()
    };
    assert_eq!(reached(&data), 0);
    assert!(data.store.shared.write().carry(6), "more are left");
    assert_eq!(reached(&data), 3, "a user and a session each");
    assert_eq!(data.store.session(sessions[7]).unwrap().suite, Suite::C20p);
    assert_eq!(data.store.sessions_of(&server(), &user(6))[0].generations.cause, Cause::Policy);
    data.key(sessions[5], 1).unwrap();
    assert_eq!(reached(&data), 6);
    while data.store.shared.write().carry(6) {}
    let state = data.store.shared.read();
    assert!(state.sessions.iter().all(|slot| slot.generations().current == 1 && slot.suite == Suite::C20p));
}

#[tokio::test]
async fn a_user_has_as_many_devices_as_the_policy_allows() {
    let mut data = Data::with_users(1).await;
    set(&data, &Whose::User(server(), user(0)), r#"{"devices_max":3}"#).await;
    let invitations = [
        data.invite(Role::Client, Some(user(0))).await,
        data.invite(Role::Client, Some(user(0))).await,
        data.invite(Role::Client, Some(user(0))).await,
    ];
    // At once: they do not overtake the count.
    let mut pairings = Vec::new();
    for invitation in invitations {
        let (store, new) = (data.store.clone(), data.pairing());
        pairings.push(tokio::spawn(async move { store.confirm(invitation, new).await }));
    }
    let mut refused = 0;
    for pairing in pairings {
        if let Err(error) = pairing.await.unwrap() {
            assert_refused::<()>(Err(error), &Refused::Pairing(pairing::Reject::DeviceLimit));
            refused += 1;
        }
    }
    assert_eq!((refused, data.store.live_pairings(&server(), &user(0)).len()), (1, 3));
}

#[tokio::test]
async fn a_device_that_no_longer_fits_when_it_finishes_is_refused() {
    let mut data = Data::with_users(1).await;
    set(&data, &Whose::Service, r#"{"suites":["C20P"]}"#).await;
    let unfit = data.pair_with(0, "A256GCM").await;
    assert_refused(unfit, &Refused::Pairing(pairing::Reject::NoCommonSuite));
    data.pair_with(0, "C20P").await.unwrap();
}

#[tokio::test]
async fn a_user_has_as_many_sessions_as_the_policy_allows() {
    let data = Data::with_users(2).await;
    set(&data, &Whose::Server(server()), r#"{"sessions_max":2}"#).await;
    let first = data.open(user(0), 1).await.unwrap();
    data.clock.advance_s(600);
    data.open(user(0), 2).await.unwrap();
    let full = Refused::SessionsFull { retry_after_s: 3000 };
    assert_refused(data.open(user(0), 3).await, &full);
    // Opening and ending in turns does not get around it; a repeat is none.
    data.store.end(data.gateway(), first.id).await.unwrap();
    assert_refused(data.open(user(0), 3).await, &full);
    data.open(user(0), 2).await.unwrap();
    data.open(user(1), 4).await.unwrap();
    data.clock.advance_s(3000);
    data.open(user(0), 5).await.unwrap();
}

#[tokio::test]
async fn a_session_lasts_as_the_policy_says() {
    let data = Data::with_users(1).await;
    set(&data, &Whose::Service, r#"{"session_ttl":600,"session_ttl_max":1200}"#).await;
    let ask = |key, ttl_s| {
        let new = asked(data.gateway(), Audience::User(user(0)), key);
        data.store.open_session(NewSession { ttl_s, ..new })
    };
    assert_eq!(ask(1, None).await.unwrap().not_after, START.after_s(600));
    assert_eq!(ask(2, Some(1200)).await.unwrap().not_after, START.after_s(1200));
    assert_refused(ask(3, Some(1201)).await, &Refused::Session(session::Reject::TtlBeyondPolicy));
}

#[tokio::test]
async fn a_view_tells_the_version_that_a_change_would_make() {
    let data = Data::with_users(1).await;
    let at = Whose::Server(server());
    set(&data, &at, r#"{"suites":["C20P"]}"#).await;
    let version =
        |instead: Option<&str>| data.store.policy_view(&at, instead.map(setting).as_ref()).unwrap().version;
    assert_eq!(version(None), 2);
    assert_eq!(version(Some(r#"{"suites":["A256GCM"]}"#)), 3);
    // Nobody signs the rules.
    assert_eq!(version(Some(r#"{"suites":["C20P"],"devices_max":3}"#)), 2);
}

#[tokio::test]
async fn what_is_set_is_listed_by_pages_of_any_size_and_by_whom_it_is_for() {
    let data = Data::with_users(2).await;
    let other = elsewhere();
    data.store.add_server(ADMIN, other.clone()).await.unwrap();
    let levels = [
        Whose::Service,
        Whose::Server(server()),
        Whose::Server(other),
        Whose::User(server(), user(0)),
        Whose::User(server(), user(1)),
    ];
    for whose in &levels {
        data.clock.advance_s(1);
        set(&data, whose, r#"{"devices_max":3}"#).await;
    }
    let places = levels.each_ref().map(|whose| (whose.server().cloned(), whose.user().cloned()));
    let listed = |size, wanted: &PoliciesQuery| {
        let (mut all, mut next) = (Vec::new(), Some(0));
        while let Some(after) = next {
            let page = data.store.policies(Page { size, after }, wanted);
            all.extend(page.items.into_iter().map(|row| (row.server, row.user)));
            next = page.next;
        }
        all
    };
    let all = PoliciesQuery::default();
    for size in [1, 2, 3, 5] {
        assert_eq!(listed(size, &all), places, "by {size}");
    }
    let [_, at, _, one, two] = places;
    let here = PoliciesQuery { server: Some(server()), ..all.clone() };
    assert_eq!(listed(1, &here), [at, one, two.clone()]);
    let theirs = PoliciesQuery { user: Some(user(1)), ..all.clone() };
    assert_eq!(listed(1, &theirs), std::slice::from_ref(&two));
    let late = PoliciesQuery { changed_after: Some(START.after_s(4)), ..all };
    assert_eq!(listed(1, &late), [two]);
}
