//! What a carrier is given.

use super::super::Data;

#[tokio::test]
async fn no_more_addresses_are_claimed_than_were_asked_for() {
    let data = Data::with_users(2).await;
    data.address(data.phone(0), "sms", "+491700000000").await;
    for key in 0..2 {
        data.deliver(key, &["sms"]).await;
    }
    let numbers = async || data.claim("sms", 1).await.iter().map(|one| one.delivery).collect::<Vec<_>>();
    assert_eq!((numbers().await, numbers().await, numbers().await), (vec![1], vec![2], vec![]));
    // One writing of a document is enough for all that is due at its address, up to another's turn.
    for (key, n) in [(2, 0), (3, 0), (4, 1), (5, 0)] {
        data.deliver_to(n, key, &["xdms"]).await;
    }
    let to = async || data.claim("xdms", 1).await.into_iter().map(|one| one.to).collect::<Vec<_>>();
    assert_eq!(to().await, ["sip:user0@example.org"; 2]);
    assert_eq!(to().await, ["sip:user1@example.org"]);
}
