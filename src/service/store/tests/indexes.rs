//! What no page says, since it follows from what they say: it is the same for who has made it and for who has read it.

use std::fmt::Debug;

use sidekey_protocol::ids::Role;
use sidekey_protocol::revocation::Target;
use sidekey_protocol::session::{Audience, OFFER_OF_SEVERAL};

use super::super::pages::{Altered, Loader};
use super::super::state::State;
use super::super::state::sessions::NONE;
use super::{Data, START, asked, server, user};

/// The state that is read from what is written of this one.
fn read_again(state: &State) -> Result<State, Altered> {
    let mut loader = Loader::default();
    for (key, value) in &state.values() {
        loader.take(key, value)?;
    }
    Ok(loader.finish(state.position, state.last_at)?.0)
}

/// Who belongs to whom, and how many.
fn indexes(state: &State) -> impl Debug + PartialEq + use<> {
    let sessions = |head| {
        let slots = state.sessions.list(head).filter_map(|handle| state.sessions.get(handle));
        slots.map(|slot| slot.id).collect::<Vec<_>>()
    };
    let users = state.users.iter().map(|user| {
        let (pairings, credentials) = (user.pairings.clone(), user.credentials.clone());
        (pairings, credentials, user.sessions_len, sessions(user.sessions))
    });
    let servers = state.servers.iter().map(|server| (server.pairings.clone(), server.users.clone()));
    let roots = state.roots.iter().map(|(&number, root)| (number, root.sessions));
    (servers.collect::<Vec<_>>(), users.collect::<Vec<_>>(), roots.collect::<Vec<_>>())
}

#[tokio::test]
async fn sessions_that_move_and_go_are_counted_as_they_are_when_they_are_read() {
    let mut data = Data::with_users(2).await;
    let second = data.pair(Role::Client, Some(user(0))).await;
    data.issue(user(1), "push", None).await.unwrap();
    for key in 0..3 {
        data.open(user(0), key).await.unwrap();
    }
    data.clock.set(START.after_s(3000));
    data.open(user(0), 3).await.unwrap();
    data.open(user(1), 4).await.unwrap();
    // All of the first user's move onto a fresh root; then three go.
    data.strike(Target::Pairing { pairing: second }).await.unwrap();
    for after_s in [3000, 3720] {
        data.clock.set(START.after_s(after_s));
        data.sweep();
        let state = data.store.shared.read();
        assert_eq!(indexes(&state), indexes(&read_again(&state).unwrap()), "{after_s}");
    }
    assert_eq!(data.store.shared.read().users[0].sessions_len, 1);
}

#[tokio::test]
async fn of_sessions_that_are_read_those_that_ended_alone_may_lack_their_root() {
    let data = Data::with_users(2).await;
    let [ended, open] = [data.open(user(0), 1).await.unwrap().id, data.open(user(1), 2).await.unwrap().id];
    data.strike(Target::User { server: server(), user: user(0) }).await.unwrap();
    let mut state = data.store.shared.write();
    let read = read_again(&state).unwrap();
    let seen =
        |state: &State| [ended, open].map(|id| state.view_session(state.find_session(id).unwrap(), START));
    assert_eq!(seen(&read), seen(&state));
    state.roots.clear();
    assert!(read_again(&state).is_err(), "its keys derive from nothing");
}

/// Its place is the next one's, which would be written twice.
#[tokio::test]
async fn a_session_that_is_gone_before_it_was_written_is_not_written() {
    let data = Data::with_users(1).await;
    data.open(user(0), 1).await.unwrap();
    let mut state = data.store.shared.write();
    state.touch_all();
    let [handle] = state.dirty.opened[..] else { panic!("one session") };
    state.dirty.changed(handle);
    state.sweep(usize::MAX, START.after_s(3720));
    assert!(state.dirty.opened.is_empty() && state.dirty.changed.is_empty(), "{:?}", state.dirty);
}

#[tokio::test]
async fn a_session_for_one_device_keeps_what_that_offered_and_one_for_several_nothing() {
    let mut data = Data::with_users(1).await;
    let device = data.pair(Role::Client, Some(user(0))).await;
    let several = data.open(user(0), 1).await.unwrap();
    let one = data.store.open_session(asked(data.gateway(), Audience::Pairing(device), 2)).await.unwrap();
    for _ in 0..2 {
        let shown = [several.id, one.id].map(|id| data.store.session(id).unwrap().offer_hash);
        assert_eq!(shown[0], OFFER_OF_SEVERAL);
        assert_ne!(shown[1], OFFER_OF_SEVERAL);
        let kept = |id| data.store.shared.read().find_session(id).unwrap().offer;
        assert_eq!((kept(several.id), kept(one.id) == NONE), (NONE, false));
        data.reopen().await;
    }
}
