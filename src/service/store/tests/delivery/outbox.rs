//! What is taken out of the outbox, and what is not.

use std::collections::BTreeSet;

use sidekey_protocol::audit::Action;
use sidekey_protocol::audit::wire::AuditQuery;
use sidekey_protocol::delivery::wire::DeliveryState;
use sidekey_protocol::delivery::{Dead, Fate};
use sidekey_protocol::ids::{InvitationId, Role};
use sidekey_protocol::revocation::Target;

use super::super::super::{NewInvitation, Parcel, Posted};
use super::super::{ADMIN, Data, EVERYTHING, START, server, user};
use super::{legs, name, sent};

/// An invitation of the first user that goes by text message.
async fn post(data: &mut Data, to: &str) -> InvitationId {
    let deliver = Posted { leg: legs(&["sms"]).remove(0), to: to.to_owned() };
    let new = NewInvitation { deliver: Some(deliver), ..data.invitation(Role::Client, Some(user(0))) };
    data.store.invite(ADMIN, new).await.unwrap().id
}

#[tokio::test]
async fn an_invitation_that_is_over_is_not_sent() {
    let mut data = Data::with_users(1).await;
    let [used, revoked] = [post(&mut data, "+491").await, post(&mut data, "+492").await];
    let third = post(&mut data, "+493").await;
    let new = data.pairing();
    let paired = data.store.confirm(used, new).await.unwrap().id;
    assert_eq!(data.store.party(paired).unwrap().addresses[0].to, "+491", "there it is reached");
    let target = Target::Invitation { invitation: revoked };
    data.store.revoke(ADMIN, target, "mistaken".parse().unwrap()).await.unwrap();
    let [claimed] = &data.claim("sms", 9).await[..] else { panic!("one is open") };
    assert_eq!(claimed.parcel, Parcel::Invitation(third));
    assert!(data.all().iter().take(2).all(|seen| seen.reason == Some(Dead::Cancelled)));
}

#[tokio::test]
async fn a_session_that_ends_takes_back_what_was_its_own() {
    let data = Data::with_users(1).await;
    data.address(data.phone(0), "sms", "+491700000000").await;
    let [first, second] = [data.deliver(1, &["sms"]).await, data.deliver(2, &["sms"]).await];
    data.store.end(data.gateway(), second.id).await.unwrap();
    let [claimed] = &data.claim("sms", 9).await[..] else { panic!("one is open") };
    assert_eq!(claimed.parcel, Parcel::Session { session: first.id, pairing: data.phone(0) });
}

#[tokio::test]
async fn another_address_is_one_carrier_s_and_only_what_is_kept_there_moves() {
    let data = Data::with_users(1).await;
    let phone = data.phone(0);
    data.address(phone, "sms", "+491700000000").await;
    data.address(phone, "xdms", "sip:old").await;
    let carriers = ["sms", "xdms"];
    for (key, carrier) in (0..).zip(carriers) {
        data.deliver(key, &[carrier]).await;
        let claimed = data.claim(carrier, 9).await.remove(0);
        data.settle(&claimed, sent()).await;
    }
    data.address(phone, "sms", "+491700000001").await;
    let addresses = &data.store.party(phone).unwrap().addresses;
    let known: Vec<_> = addresses.iter().map(|known| (known.carrier.as_str(), known.to.as_str())).collect();
    assert_eq!(known, [("sms", "+491700000001"), ("xdms", "sip:old")]);
    for carrier in carriers {
        assert!(data.claim(carrier, 9).await.is_empty(), "what was sent was sent: {carrier}");
    }
    data.address(phone, "xdms", "sip:new").await;
    assert!(data.claim("sms", 9).await.is_empty());
    let claimed = data.claim("xdms", 9).await;
    let written: BTreeSet<_> =
        claimed.iter().map(|one| (one.to.as_str(), one.parcel == Parcel::Document)).collect();
    assert_eq!(written, [("sip:old", true), ("sip:new", false)].into(), "the old document is emptied");
}

#[tokio::test]
async fn what_is_settled_waits_for_nobody_and_is_forgotten_in_its_time() {
    let mut data = Data::with_users(1).await;
    data.address(data.phone(0), "sms", "+491700000000").await;
    let not_after = data.deliver(1, &["sms"]).await.not_after;
    let claimed = data.claim("sms", 9).await.remove(0);
    data.settle(&claimed, sent()).await;
    data.deliver(2, &["sms"]).await;
    data.store.cancel_delivery(ADMIN, claimed.delivery + 1).await.unwrap();
    assert_eq!(data.store.pending_deliveries(&name("sms")), (0, None));
    assert_eq!(data.store.next_delivery(&name("sms")), None);
    // What was sent is shown for ten minutes after its key is over, what is dead for a day.
    let (was_sent, dead) = (DeliveryState::Sent, DeliveryState::Dead);
    for (after_s, left) in
        [(599, vec![was_sent, dead]), (600, vec![dead]), (86_399, vec![dead]), (86_400, vec![])]
    {
        data.clock.set(not_after.after_s(after_s));
        data.sweep();
        assert_eq!(data.all().iter().map(|seen| seen.state).collect::<Vec<_>>(), left, "{after_s}");
    }
    assert!(!data.store.report_delivery(name("sms"), "42A".into(), Fate::Delivered).await.unwrap());
    data.reopen().await;
    assert!(data.all().is_empty());
}

#[tokio::test]
async fn carriers_are_woken_when_something_is_due_that_was_not_and_not_before() {
    let data = Data::with_users(1).await;
    data.address(data.phone(0), "sms", "+491700000000").await;
    // Answered by the writer, which has done by then what comes after the last commit's answers.
    let repeat = async || drop(data.open(user(0), 1).await.unwrap());
    repeat().await;
    repeat().await;
    let woken = data.store.deliveries_stirred();
    let before = *woken.borrow();
    data.open(user(0), 2).await.unwrap();
    repeat().await;
    assert_eq!(*woken.borrow(), before, "nobody is to hear of it");
    data.deliver(3, &["sms"]).await;
    repeat().await;
    assert_eq!(*woken.borrow(), before + 1);
    data.claim("sms", 9).await;
    repeat().await;
    data.store.set_address(ADMIN, data.phone(0), name("sms"), None).await.unwrap();
    repeat().await;
    assert_eq!(*woken.borrow(), before + 1, "it is on its way");
}

#[tokio::test]
async fn the_log_says_whose_delivery_it_was() {
    let data = Data::with_users(2).await;
    let phone = data.phone(0);
    data.address(phone, "sms", "+491700000000").await;
    data.deliver(1, &["sms"]).await;
    data.claim("sms", 9).await;
    let tried = AuditQuery { action: Some(Action::DeliveryTried), ..AuditQuery::default() };
    let [entry] = &data.store.audit(EVERYTHING, &tried).unwrap().entries[..] else { panic!("one try") };
    assert_eq!((entry.at, entry.pairing), (START, Some(phone)));
    assert_eq!((entry.server.as_ref(), entry.user.as_ref()), (Some(&server()), Some(&user(0))));
}
