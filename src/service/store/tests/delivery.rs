mod claim;
mod outbox;
mod seen;

use std::collections::BTreeSet;
use std::sync::Arc;

use sidekey_protocol::delivery::wire::{DeliverySeen, DeliveryState};
use sidekey_protocol::delivery::{CarrierName, Dead, Fate, LEASE_S, Leg, Outcome};
use sidekey_protocol::ids::{PartyId, Role};
use sidekey_protocol::revocation::Target;
use sidekey_protocol::session::Audience;

use super::super::{
    Claimed, Daily, DeliveryFilter, NewSession, Page, Parcel, Resolve, Session, Settled, Wanted,
};
use super::{ADMIN, Data, START, asked, user};

fn name(name: &str) -> CarrierName {
    name.parse().unwrap()
}

fn legs(names: &[&str]) -> Vec<Leg> {
    names.iter().map(|carrier| Leg { carrier: name(carrier), keeps: *carrier == "xdms" }).collect()
}

fn nowhere() -> Resolve {
    Arc::new(|_, _| None)
}

fn everybody() -> Resolve {
    Arc::new(|_, user| Some(format!("sip:{user}")))
}

impl Data {
    /// A session of the first user that goes by these carriers.
    pub(super) async fn deliver(&self, key: u64, carriers: &[&str]) -> Session {
        self.deliver_to(0, key, carriers).await
    }

    async fn deliver_to(&self, n: u8, key: u64, carriers: &[&str]) -> Session {
        let new = asked(self.gateway(), Audience::User(user(n)), key);
        self.store.open_session(NewSession { deliver: legs(carriers), ..new }).await.unwrap()
    }

    async fn claim(&self, carrier: &str, most: usize) -> Vec<Claimed> {
        let resolve = if carrier == "xdms" { everybody() } else { nowhere() };
        let (carrier, busy) = (name(carrier), BTreeSet::new());
        let wanted = Wanted { carrier, most, busy, resolve, daily: None };
        self.store.claim_deliveries(wanted).await.unwrap().claimed
    }

    async fn settle(&self, claimed: &Claimed, outcome: Outcome) {
        let settled = Settled { delivery: claimed.delivery, claim: claimed.until, outcome };
        self.store.settle_deliveries(vec![settled]).await.unwrap();
    }

    pub(super) async fn address(&self, pairing: PartyId, carrier: &str, to: &str) {
        self.store.set_address(ADMIN, pairing, name(carrier), Some(to.to_owned())).await.unwrap();
    }

    async fn tend(&self) {
        self.store.tend_deliveries(["sms", "xdms"].map(name).into()).await.unwrap();
    }

    fn all(&self) -> Vec<DeliverySeen> {
        self.store.deliveries(Page { size: 1000, after: 0 }, &DeliveryFilter::default()).items
    }
}

fn sent() -> Outcome {
    Outcome::Sent { receipts: vec!["0042A".into()] }
}

#[tokio::test]
async fn a_delivery_is_made_in_the_commit_of_its_session_and_for_whom_it_names_alone() {
    let data = Data::with_users(1).await;
    data.address(data.phone(0), "sms", "+491700000000").await;
    let before = data.store.position().seq;
    let session = data.deliver(1, &["sms"]).await;
    assert_eq!(data.store.position().seq, before + 1, "one commit");
    let [claimed] = &data.claim("sms", 9).await[..] else { panic!("one delivery") };
    assert_eq!(claimed.parcel, Parcel::Session { session: session.id, pairing: data.phone(0) });
    assert_eq!(claimed.to, "+491700000000");
    let without = asked(data.gateway(), Audience::User(user(0)), 2);
    data.store.open_session(without).await.unwrap();
    assert_eq!(data.all().len(), 1, "who names no carrier has no delivery");
}

#[tokio::test]
async fn a_claim_outlives_whoever_dies_with_it_and_past_its_lease_somebody_else_sends() {
    let mut data = Data::with_users(1).await;
    data.address(data.phone(0), "sms", "+491700000000").await;
    data.deliver(1, &["sms"]).await;
    let first = data.claim("sms", 9).await.remove(0);
    data.swap(|_| {});
    assert!(data.claim("sms", 9).await.is_empty(), "the claim is durable");
    data.clock.advance_s(LEASE_S);
    let second = data.claim("sms", 9).await.remove(0);
    assert_eq!(second.delivery, first.delivery);
    data.settle(&first, sent()).await;
    assert_eq!(data.all()[0].state, DeliveryState::Sending, "who lost the claim settles nothing");
    data.settle(&second, sent()).await;
    assert_eq!(data.all()[0].state, DeliveryState::Sent);
    data.clock.advance_s(LEASE_S * 9);
    assert!(data.claim("sms", 9).await.is_empty(), "what is settled is settled");
}

#[tokio::test]
async fn the_outbox_is_the_same_after_a_restart_whether_from_pages_or_from_the_journal() {
    let mut data = Data::with_users(1).await;
    data.address(data.phone(0), "sms", "+491700000000").await;
    for key in 0..4 {
        data.deliver(key, &["sms", "xdms"]).await;
    }
    let claimed = data.claim("sms", 3).await;
    data.settle(&claimed[0], sent()).await;
    data.settle(&claimed[1], Outcome::GivenUp { why: Dead::Refused, detail: Some("no".into()) }).await;
    let before = data.all();
    data.reopen().await;
    assert_eq!(data.all(), before);
    data.store.close().await;
    data.swap(|folder| std::fs::remove_dir_all(folder.join("state")).unwrap());
    assert_eq!(data.all(), before);
    assert_eq!(data.claim("xdms", 9).await.len(), 1);
}

#[tokio::test]
async fn who_has_no_address_is_passed_over_and_the_next_carrier_has_its_turn() {
    let data = Data::with_users(1).await;
    data.deliver(1, &["sms", "xdms"]).await;
    assert!(data.claim("sms", 9).await.is_empty());
    let [claimed] = &data.claim("xdms", 9).await[..] else { panic!("the next carrier's") };
    assert_eq!(claimed.to, "sip:user0@example.org");
    data.deliver(2, &["sms"]).await;
    data.claim("sms", 9).await;
    assert_eq!(data.all()[1].reason, Some(Dead::AddressMissing));
}

#[tokio::test]
async fn a_carrier_that_does_not_get_through_loses_its_turn_and_a_dead_key_is_not_sent() {
    let data = Data::with_users(1).await;
    data.address(data.phone(0), "sms", "+491700000000").await;
    data.deliver(1, &["sms", "xdms"]).await;
    let claimed = data.claim("sms", 9).await.remove(0);
    let at = data.store.now().after_s(5000);
    data.settle(&claimed, Outcome::PutOff { at, trouble: "down".into() }).await;
    data.clock.advance_s(600);
    data.tend().await;
    assert_eq!(data.all()[0].carrier, name("xdms"));
    data.clock.advance_s(3001);
    assert!(data.claim("xdms", 9).await.is_empty(), "an hour is over");
    data.tend().await;
    assert_eq!(data.all()[0].reason, Some(Dead::Expired));
}

#[tokio::test]
async fn a_rotation_goes_out_by_the_carriers_that_the_session_was_opened_with() {
    let data = Data::with_users(1).await;
    data.address(data.phone(0), "sms", "+491700000000").await;
    let session = data.deliver(1, &["sms"]).await;
    let claimed = data.claim("sms", 9).await.remove(0);
    data.settle(&claimed, sent()).await;
    data.store.rotate(data.gateway(), session.id).await.unwrap();
    let claimed = data.claim("sms", 9).await.remove(0);
    // Overtaken while it was on its way: once more.
    data.store.rotate(data.gateway(), session.id).await.unwrap();
    data.settle(&claimed, sent()).await;
    assert_eq!(data.claim("sms", 9).await.len(), 1);
}

#[tokio::test]
async fn what_is_revoked_is_sent_no_more_and_documents_are_written_without_it() {
    let mut data = Data::with_users(1).await;
    data.pair(Role::Client, Some(user(0))).await;
    let phone = data.phone(0);
    data.deliver(1, &["xdms"]).await;
    let claimed = data.claim("xdms", 9).await;
    assert_eq!(claimed.len(), 2, "one writing serves both devices");
    for claimed in &claimed {
        data.settle(claimed, sent()).await;
    }
    let target = Target::Pairing { pairing: phone };
    data.store.revoke(ADMIN, target, "lost".parse().unwrap()).await.unwrap();
    let again = data.claim("xdms", 9).await;
    let documents = again.iter().filter(|claimed| claimed.parcel == Parcel::Document).count();
    assert_eq!((documents, again.len()), (1, 2), "the document, and the other device's newer key");
    assert!(again.iter().all(|claimed| claimed.to == "sip:user0@example.org"));
    for claimed in &again {
        data.settle(claimed, sent()).await;
    }
    let whole = Target::User { server: super::server(), user: user(0) };
    data.store.revoke(ADMIN, whole, "left".parse().unwrap()).await.unwrap();
    let [last] = &data.claim("xdms", 9).await[..] else { panic!("the document alone") };
    assert_eq!(last.parcel, Parcel::Document);
}

#[tokio::test]
async fn a_session_that_ended_is_not_delivered() {
    let data = Data::with_users(1).await;
    data.address(data.phone(0), "sms", "+491700000000").await;
    let session = data.deliver(1, &["sms"]).await;
    data.store.end(data.gateway(), session.id).await.unwrap();
    assert!(data.claim("sms", 9).await.is_empty());
    assert_eq!(data.all()[0].reason, Some(Dead::Cancelled));
    assert!(data.store.retry_delivery(ADMIN, data.all()[0].delivery).await.is_err(), "nor on request");
}

#[tokio::test]
async fn an_administrator_has_it_tried_again_or_no_more() {
    let data = Data::with_users(1).await;
    data.address(data.phone(0), "sms", "+491700000000").await;
    data.deliver(1, &["sms"]).await;
    let number = data.all()[0].delivery;
    assert_eq!(data.store.cancel_delivery(ADMIN, number).await.unwrap().state, DeliveryState::Dead);
    assert!(data.store.cancel_delivery(ADMIN, number).await.is_err());
    assert_eq!(data.store.retry_delivery(ADMIN, number).await.unwrap().state, DeliveryState::Queued);
    assert_eq!(data.claim("sms", 9).await.len(), 1);
    assert!(data.store.delivery(number + 1).is_none());
}

#[tokio::test]
async fn a_report_is_matched_however_the_bearer_spells_its_id_and_kept_once() {
    let data = Data::with_users(1).await;
    data.address(data.phone(0), "sms", "+491700000000").await;
    data.deliver(1, &["sms"]).await;
    let claimed = data.claim("sms", 9).await.remove(0);
    data.settle(&claimed, sent()).await;
    let report = |id: &str| data.store.report_delivery(name("sms"), id.to_owned(), Fate::Delivered);
    assert!(!report("43").await.unwrap());
    assert!(report("42a").await.unwrap());
    let records = data.store.position().seq;
    assert!(report("42A").await.unwrap());
    assert_eq!(data.store.position().seq, records, "said again, nothing is written");
    assert_eq!(data.all()[0].fate, Some(Fate::Delivered));
}

#[tokio::test]
async fn a_carrier_sees_how_much_waits_for_it_since_when_and_when_to_look_again() {
    let data = Data::with_users(1).await;
    data.address(data.phone(0), "sms", "+491700000000").await;
    let waits = || (data.store.pending_deliveries(&name("sms")), data.store.next_delivery(&name("sms")));
    assert_eq!(waits(), ((0, None), None));
    data.deliver(1, &["sms"]).await;
    data.clock.advance_s(10);
    data.deliver(2, &["sms"]).await;
    assert_eq!(waits(), ((2, Some(START)), Some(START)));
    data.claim("sms", 9).await;
    assert_eq!(waits(), ((2, Some(START)), Some(START.after_s(10 + LEASE_S))), "when the claims lapse");
}

#[tokio::test]
async fn an_address_that_is_set_again_is_written_once() {
    let data = Data::with_users(1).await;
    let records = || data.store.position().seq;
    data.address(data.phone(0), "sms", "+491700000000").await;
    let before = records();
    data.address(data.phone(0), "sms", "+491700000000").await;
    assert_eq!(records(), before);
    data.address(data.phone(0), "other", "+491700000000").await;
    assert_eq!(records(), before + 1, "another carrier's is another address");
}

#[test]
fn where_users_are_reached_is_not_shown_of_what_a_carrier_asks_for() {
    let (carrier, busy) = (name("sms"), ["+491700000000".to_owned()].into());
    let shown = format!("{:?}", Wanted { carrier, most: 9, busy, resolve: nowhere(), daily: None });
    assert!(shown.starts_with("Wanted") && shown.contains("sms"), "{shown}");
    assert!(!shown.contains("+49"), "{shown}");
}

/// Some count anew after a restart, and some call every message the same.
#[tokio::test]
async fn an_id_that_a_bearer_gives_twice_means_what_it_was_given_last() {
    let data = Data::with_users(1).await;
    data.address(data.phone(0), "sms", "+491700000000").await;
    for key in 0..2 {
        data.deliver(key, &["sms"]).await;
        let claimed = data.claim("sms", 9).await.remove(0);
        data.settle(&claimed, sent()).await;
    }
    let [first, last] = &data.all()[..] else { panic!("two deliveries") };
    // The first is tried again: its id is given back.
    data.store.retry_delivery(ADMIN, first.delivery).await.unwrap();
    assert!(data.store.report_delivery(name("sms"), "42A".into(), Fate::Delivered).await.unwrap());
    assert_eq!(data.store.delivery(last.delivery).unwrap().fate, Some(Fate::Delivered));
}

#[tokio::test]
async fn what_waits_for_a_carrier_that_is_gone_is_given_up() {
    let data = Data::with_users(1).await;
    data.deliver(1, &["pigeon", "xdms"]).await;
    data.tend().await;
    assert_eq!(data.all()[0].carrier, name("xdms"));
}

#[tokio::test]
async fn many_that_are_over_are_given_up_in_parts_until_none_is_left() {
    let data = Data::with_users(1).await;
    for key in 0..257 {
        data.deliver(key, &["pigeon"]).await;
    }
    let more = async || data.store.tend_deliveries([name("sms")].into()).await.unwrap();
    assert!(more().await, "one is left");
    assert!(!more().await);
    assert!(data.all().iter().all(|seen| seen.reason == Some(Dead::CarrierGone)));
}

#[tokio::test]
async fn no_more_is_sent_in_a_day_than_is_allowed_and_a_restart_forgets_nothing() {
    let mut data = Data::with_users(1).await;
    data.pair(Role::Client, Some(user(0))).await;
    let devices: Vec<PartyId> =
        data.store.live_pairings(&super::server(), &user(0)).iter().map(|party| party.id).collect();
    data.address(devices[0], "sms", "+491700000000").await;
    data.address(devices[1], "sms", "+331700000000").await;
    let prefixes = [("+49".to_owned(), 9), ("+4917".to_owned(), 3)].into();
    let daily = Arc::new(Daily { per_address: 2, total: 9, prefixes });
    let claim = async |data: &Data| {
        let (carrier, busy, daily) = (name("sms"), BTreeSet::new(), Some(daily.clone()));
        let wanted = Wanted { carrier, most: 9, busy, resolve: nowhere(), daily };
        data.store.claim_deliveries(wanted).await.unwrap()
    };
    let why = |given_up: &[(u32, Dead)]| given_up.iter().map(|(_, why)| *why).collect::<Vec<_>>();
    data.deliver(1, &["sms"]).await;
    let first = claim(&data).await;
    assert_eq!(
        (first.claimed.len(), why(&first.given_up)),
        (1, vec![Dead::LimitPrefix]),
        "nothing goes to France"
    );
    data.reopen().await;
    for key in 2..4 {
        data.deliver(key, &["sms"]).await;
    }
    let more = claim(&data).await;
    let limits = why(&more.given_up);
    assert_eq!((more.claimed.len(), limits.len()), (1, 3), "{limits:?}");
    assert_eq!(limits.iter().filter(|why| **why == Dead::LimitAddress).count(), 1);
    data.clock.advance_s(86_400);
    data.deliver(9, &["sms"]).await;
    assert_eq!(claim(&data).await.claimed.len(), 1, "another day");
}
