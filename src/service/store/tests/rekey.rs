use std::sync::Arc;

use rand_core::Rng as _;
use sidekey_protocol::crypto::Secret;
use sidekey_protocol::encoding::{Bytes, Octets};
use sidekey_protocol::ids::{PartyId, Timestamp};
use sidekey_protocol::pairing::Kek;
use sidekey_protocol::pairing::registry::Standing;
use sidekey_protocol::pairing::rekey::{Epoch, IDLE_S};
use sidekey_protocol::pairing::wire::RekeyAnswer;
use sidekey_protocol::revocation::Target;

use super::super::record;
use super::super::{Error, NewEpoch, Refused};
use super::{ADMIN, Data, assert_refused, server, user};
use crate::fault::Fault;

impl Data {
    fn new_epoch(&mut self, number: u32) -> NewEpoch {
        let answer = RekeyAnswer {
            to: number,
            point: Bytes(vec![4; 65]),
            kem_ct: Bytes(vec![8; 1088]),
            not_after: self.store.now().after_s(600_000),
            confirm: Octets([6; 32]),
        };
        let mut request = [0; 32];
        self.rng.fill_bytes(&mut request);
        let (root, not_after) = (Secret::random(&mut self.rng), answer.not_after);
        NewEpoch { epoch: Epoch { number, root, not_after }, request, answer }
    }

    /// The next epoch of a pairing, waiting.
    pub(super) async fn rekey(&mut self, pairing: PartyId) -> Result<Epoch, Error> {
        let number = self.store.party(pairing).unwrap().epoch + 1;
        let new = self.new_epoch(number);
        let epoch = Epoch { number, root: copy(&new.epoch.root), not_after: new.epoch.not_after };
        self.store.rekey(pairing, new).await.map(|_| epoch)
    }

    fn root(&self, pairing: PartyId) -> [u8; 32] {
        *self.store.epoch(pairing).unwrap().root.expose()
    }
}

fn copy(secret: &Secret<32>) -> Secret<32> {
    Secret::copy_of(secret.expose()).unwrap()
}

#[tokio::test]
async fn the_next_epoch_waits_through_restarts_and_takes_over_when_it_is_used() {
    let mut data = Data::with_users(1).await;
    let phone = data.phone(0);
    let first = data.root(phone);
    let next = data.rekey(phone).await.unwrap();
    let kek = Kek::of(&next.root).id;
    for _ in 0..2 {
        assert_eq!(data.root(phone), first);
        assert_eq!(data.store.party(phone).unwrap().next_kek, Some(kek));
        // The journal alone; then the pages.
        data.swap(|_| {});
        data.reopen().await;
    }
    data.store.use_epoch(phone, kek).await.unwrap();
    data.store.use_epoch(phone, kek).await.unwrap();
    for _ in 0..2 {
        let party = data.store.party(phone).unwrap();
        assert_eq!((party.epoch, party.epoch_not_after, party.kek), (1, next.not_after, kek));
        assert_eq!((party.next_kek, data.root(phone)), (None, *next.root.expose()));
        data.swap(|folder| std::fs::remove_dir_all(folder.join("state")).unwrap());
    }
}

#[tokio::test]
async fn another_rekey_replaces_the_one_that_waits_and_the_same_one_does_not() {
    let mut data = Data::with_users(1).await;
    let phone = data.phone(0);
    let first = data.new_epoch(1);
    let (request, answer, kek) = (first.request, first.answer.clone(), Kek::of(&first.epoch.root).id);
    data.store.rekey(phone, first).await.unwrap();
    assert_eq!(data.store.rekey_repeat(phone, &request), Some(answer.clone()));
    // The same request, answered twice at once: the first answer stands.
    let mut twin = data.new_epoch(1);
    (twin.request, twin.answer.not_after) = (request, Timestamp(1));
    assert_eq!(data.store.rekey(phone, twin).await.unwrap(), answer);
    let other = data.rekey(phone).await.unwrap();
    assert_eq!(data.store.rekey_repeat(phone, &request), None);
    assert_refused(data.store.use_epoch(phone, kek).await, &Refused::Absent);
    data.store.use_epoch(phone, Kek::of(&other.root).id).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn of_two_rekeys_at_once_one_waits_and_neither_is_lost_half_way() {
    let mut data = Data::with_users(1).await;
    let phone = data.phone(0);
    let (a, b) = (data.new_epoch(1), data.new_epoch(1));
    let keks = [&a, &b].map(|new| Kek::of(&new.epoch.root).id);
    let (first, second) = tokio::join!(data.store.rekey(phone, a), data.store.rekey(phone, b));
    first.unwrap();
    second.unwrap();
    let next = data.store.party(phone).unwrap().next_kek.unwrap();
    assert!(keks.contains(&next));
    data.store.use_epoch(phone, next).await.unwrap();
}

#[tokio::test]
async fn an_epoch_that_comes_from_a_replaced_one_is_refused() {
    let mut data = Data::with_users(1).await;
    let phone = data.phone(0);
    let late = data.new_epoch(1);
    let next = data.rekey(phone).await.unwrap();
    data.store.use_epoch(phone, Kek::of(&next.root).id).await.unwrap();
    assert_refused(data.store.rekey(phone, late).await, &Refused::Ended);
    let ahead = data.new_epoch(3);
    assert_refused(data.store.rekey(phone, ahead).await, &Refused::Ended);
}

#[tokio::test]
async fn a_replaced_root_is_unreadable_once_its_sealing_key_is_gone() {
    let mut data = Data::with_users(1).await;
    let phone = data.phone(0);
    let old = {
        let state = data.store.shared.read();
        state.party(phone).unwrap().1.root.clone().unwrap()
    };
    let next = data.rekey(phone).await.unwrap();
    data.store.use_epoch(phone, Kek::of(&next.root).id).await.unwrap();
    let place = record::Secret::Pairing(phone, 0).place();
    data.store.shared.at_rest.open_sealed(place, &old).unwrap();
    // A day later the service renews its sealing key, and destroys the one before.
    data.clock.advance_s(86_400);
    let gone = || data.store.shared.at_rest.open_sealed(place, &old);
    while !matches!(gone(), Err(Fault::Unsealable)) {
        tokio::task::yield_now().await;
    }
    assert_eq!(data.root(phone), *next.root.expose());
}

#[tokio::test]
async fn a_pairing_that_nobody_uses_lapses_by_itself_and_stays_so() {
    let mut data = Data::with_users(2).await;
    let (phone, gateway) = (data.phone(0), data.gateway());
    data.clock.advance_s(IDLE_S - 1);
    data.store.touch(gateway);
    assert!(!data.store.lapse(phone).await.unwrap());
    data.clock.advance_s(1);
    while data.store.party(phone).unwrap().is_live() {
        tokio::task::yield_now().await;
    }
    for _ in 0..2 {
        assert_eq!(data.store.party(phone).unwrap().standing(), Standing::Lapsed);
        assert!(data.store.party(gateway).unwrap().is_live(), "it was seen a second ago");
        assert_refused(data.store.epoch(phone), &Refused::Lapsed);
        assert_refused(data.rekey(phone).await, &Refused::Lapsed);
        assert_refused(data.store.use_epoch(phone, [0; 8]).await, &Refused::Lapsed);
        assert!(data.store.live_pairings(&server(), &user(0)).is_empty());
        let target = Target::Pairing { pairing: phone };
        let revoked = data.store.revoke(ADMIN, target, "lost".parse().unwrap()).await;
        assert_refused(revoked, &Refused::AlreadyRevoked);
        data.reopen().await;
    }
}

#[tokio::test]
async fn a_pairing_that_rekeyed_lately_does_not_lapse_where_nothing_else_is_known_of_it() {
    let mut data = Data::with_users(1).await;
    let phone = data.phone(0);
    data.clock.advance_s(IDLE_S - 1);
    data.rekey(phone).await.unwrap();
    data.store.close().await;
    // When it was last seen stands in the pages alone.
    data.swap(|folder| std::fs::remove_dir_all(folder.join("state")).unwrap());
    data.clock.advance_s(IDLE_S - 1);
    assert!(!data.store.lapse(phone).await.unwrap());
    data.clock.advance_s(1);
    assert!(data.store.lapse(phone).await.unwrap());
    assert!(Arc::clone(&data.store).lapse(phone).await.unwrap(), "once and for all");
}

#[tokio::test]
async fn an_administrator_does_not_lapse() {
    let data = Data::with_users(0).await;
    data.clock.advance_s(IDLE_S);
    assert!(!data.store.lapse(ADMIN).await.unwrap());
    assert!(data.store.party(ADMIN).unwrap().is_live());
}
