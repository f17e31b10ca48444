use sidekey_protocol::ids::Role;
use sidekey_protocol::session::{Audience, Capabilities};

use super::super::{Idempotency, NewBatch, Refused};
use super::{Data, assert_refused, user};

impl Data {
    /// What the server asks for to open sessions for these.
    pub(super) fn batch(&self, audiences: Vec<Audience>) -> NewBatch {
        let capabilities = Capabilities::parse(&["A256GCM"]).unwrap();
        let idempotency = Idempotency { key: [3; 16], body: [4; 16] };
        NewBatch {
            by: self.gateway(),
            audiences,
            ttl_s: None,
            capabilities,
            deliver: Vec::new(),
            idempotency,
        }
    }
}

#[tokio::test]
async fn a_batch_that_is_asked_for_again_is_the_one_that_was_opened() {
    let data = Data::with_users(2).await;
    let new = || data.batch(vec![Audience::User(user(0)), Audience::User(user(1))]);
    let before = |new: &NewBatch| data.store.batch_before(new.by, &new.idempotency, new.audiences.len());
    assert!(before(&new()).unwrap().is_none());
    let opened = data.store.open_batch(new()).await.unwrap().unwrap();
    let records = data.store.position().seq;
    assert_eq!(before(&new()).unwrap().unwrap().unwrap(), opened);
    assert_eq!(data.store.open_batch(new()).await.unwrap().unwrap(), opened);
    assert_eq!(data.store.position().seq, records, "nothing is written");
    // The same key, with another body.
    let other = || NewBatch { idempotency: Idempotency { key: [3; 16], body: [5; 16] }, ..new() };
    assert_refused(before(&other()), &Refused::Conflict);
    assert_refused(data.store.open_batch(other()).await, &Refused::Conflict);
}

#[tokio::test]
async fn sessions_of_one_user_that_are_opened_together_share_a_root() {
    let mut data = Data::with_users(1).await;
    let second = data.pair(Role::Client, Some(user(0))).await;
    let new = data.batch(vec![Audience::User(user(0)), Audience::Pairing(second)]);
    assert_eq!(data.store.open_batch(new).await.unwrap().unwrap().len(), 2);
    assert_eq!(data.store.shared.read().roots.len(), 1);
}
