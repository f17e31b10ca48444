//! What an administrator finds among many deliveries.

use sidekey_protocol::delivery::wire::DeliveryState;

use super::super::{Data, EVERYTHING, START, elsewhere, server, user};
use super::{ADMIN, DeliveryFilter, name};

#[tokio::test]
async fn those_are_found_that_are_all_that_was_asked_for() {
    let data = Data::with_users(2).await;
    for (number, n, carrier) in [(1, 0, "sms"), (2, 1, "xdms"), (3, 0, "xdms")] {
        data.clock.set(START.after_s(number * 10));
        data.deliver_to(n, number.into(), &[carrier]).await;
    }
    data.store.cancel_delivery(ADMIN, 1).await.unwrap();
    let second = data.phone(1);
    let any = DeliveryFilter::default;
    let dead = || DeliveryFilter { state: Some(DeliveryState::Dead), ..any() };
    let by_xdms = || DeliveryFilter { carrier: Some(name("xdms")), ..any() };
    let cases: [(DeliveryFilter, &[u32]); 10] = [
        (any(), &[1, 2, 3]),
        (dead(), &[1]),
        (by_xdms(), &[2, 3]),
        (DeliveryFilter { server: Some(server()), ..any() }, &[1, 2, 3]),
        (DeliveryFilter { server: Some(elsewhere()), ..any() }, &[]),
        (DeliveryFilter { user: Some(user(0)), ..any() }, &[1, 3]),
        (DeliveryFilter { pairing: Some(second), ..any() }, &[2]),
        (DeliveryFilter { created_after: Some(START.after_s(20)), ..any() }, &[3]),
        (DeliveryFilter { user: Some(user(0)), ..by_xdms() }, &[3]),
        (DeliveryFilter { user: Some(user(1)), ..dead() }, &[]),
    ];
    for (filter, expected) in cases {
        let found = data.store.deliveries(EVERYTHING, &filter).items;
        let numbers: Vec<u32> = found.iter().map(|seen| seen.delivery).collect();
        assert_eq!(numbers, expected, "{filter:?}");
    }
}
