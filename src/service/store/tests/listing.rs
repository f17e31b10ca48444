//! Which sessions a list holds.

use sidekey_protocol::ids::SessionId;

use super::super::SessionFilter;
use super::{ADMIN, Data, EVERYTHING, START, elsewhere, server, user};

fn found(data: &Data, filter: &SessionFilter) -> Vec<SessionId> {
    data.store.sessions(EVERYTHING, filter).items.into_iter().map(|session| session.id).collect()
}

#[tokio::test]
async fn sessions_are_found_by_whether_they_give_keys_and_by_when_they_were_opened() {
    let data = Data::with_users(1).await;
    let first = data.open(user(0), 1).await.unwrap().id;
    data.clock.advance_s(10);
    let second = data.open(user(0), 2).await.unwrap().id;
    data.store.end(data.gateway(), first).await.unwrap();
    for (open, expected) in
        [(None, vec![first, second]), (Some(true), vec![second]), (Some(false), vec![first])]
    {
        let filter = SessionFilter { open, ..SessionFilter::default() };
        assert_eq!(found(&data, &filter), expected, "{open:?}");
    }
    for (after_s, expected) in [(0, vec![second]), (10, vec![])] {
        let created_after = Some(START.after_s(after_s));
        let filter = SessionFilter { created_after, ..SessionFilter::default() };
        assert_eq!(found(&data, &filter), expected, "{after_s}");
    }
}

#[tokio::test]
async fn what_is_wanted_of_a_pairing_elsewhere_or_of_another_user_is_nothing() {
    let data = Data::with_users(2).await;
    let other = elsewhere();
    data.store.add_server(ADMIN, other.clone()).await.unwrap();
    let [ann, bob] = [data.open(user(0), 1).await.unwrap().id, data.open(user(1), 2).await.unwrap().id];
    let phone = Some(data.phone(0));
    let gateway = Some(data.gateway());
    for (pairing, at, whose, expected) in [
        (phone, None, None, vec![ann]),
        (phone, Some(server()), None, vec![ann]),
        (phone, Some(other.clone()), None, vec![]),
        (phone, None, Some(user(0)), vec![ann]),
        (phone, None, Some(user(1)), vec![]),
        (gateway, None, None, vec![ann, bob]),
        (gateway, None, Some(user(1)), vec![bob]),
        (gateway, Some(other), Some(user(1)), vec![]),
        (None, None, Some(user(1)), vec![bob]),
    ] {
        let filter = SessionFilter { pairing, server: at, user: whose, ..SessionFilter::default() };
        assert_eq!(found(&data, &filter), expected, "{filter:?}");
    }
}
