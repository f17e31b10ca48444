//! How a wait ends without an approval: refused, lapsed, struck.

use super::*;

#[tokio::test]
async fn other_digits_approve_nothing_and_the_fifth_refuse() {
    let waits = Waits::new().await;
    let other = json!({"digits": "0000 0000 0000 0000"});
    for n in 1..=5 {
        let problem = waits.says("approve", &other).await.refused(403, "digits_mismatch");
        assert_eq!(problem["cause"].as_str().unwrap().contains("fifth time"), n == 5, "{problem}");
        let expected = if n < 5 { Standing::Confirmed } else { Standing::Refused };
        assert_eq!(waits.standing().await, expected);
    }
    let before = waits.system.records();
    waits.says("approve", &json!({"digits": waits.digits})).await.refused(409, "approval_over");
    waits.own("/v1/pairings/self").await.refused(410, "pairing_refused");
    assert_eq!(waits.system.records(), before);
}

#[tokio::test]
async fn a_refused_device_is_told_why_and_pairs_again() {
    let waits = Waits::new().await;
    let confirmed = waits.confirmed().await;
    waits.says("refuse", &json!({"reason": "not today"})).await.is(200);
    let before = waits.system.records();
    waits.says("refuse", &json!({})).await.is(200);
    assert_eq!(waits.system.records(), before, "refused once");
    let refused = confirmed.approved().await.unwrap_err();
    assert!(
        matches!(&refused, Error::PairAgain { code, detail } if code == "pairing_refused" && detail.contains("not today")),
        "{refused:?}"
    );
    let target = json!({"target": {"kind": "pairing", "pairing": waits.pairing}, "reason": "again"});
    let revoke = waits.system.post("/v1/revocations", &waits.system.admin_token(), &target).send().await;
    revoke.is(204);
    waits.system.pair_client(MAIL, ANN).await.client.current().await.unwrap();
}

#[tokio::test]
async fn what_nobody_approves_within_seven_days_lapses_at_the_very_second() {
    let mut waits = Waits::new().await;
    let paired = waits.system.clock.now();
    waits.system.clock.set(Timestamp(paired.0 + WAITING_S - 1));
    waits.own("/v1/pairings/self").await.is(200);
    waits.system.clock.set(paired.after_s(WAITING_S));
    waits.says("approve", &json!({"digits": waits.digits})).await.refused(409, "approval_over");
    waits.own("/v1/sessions/current").await.refused(410, "lapsed");
    waits.own("/v1/pairings/self").await.refused(410, "lapsed");
    assert_eq!(waits.standing().await, Standing::Lapsed);
    waits.system.restart().await;
    waits.says("refuse", &json!({})).await.refused(409, "approval_over");
    assert_eq!(waits.standing().await, Standing::Lapsed);
}

/// Of a user, and of a server: what waits goes too.
#[tokio::test]
async fn what_waits_is_struck_with_its_user_and_with_its_server() {
    for target in
        [json!({"kind": "user", "server": MAIL, "user": ANN}), json!({"kind": "server", "server": MAIL})]
    {
        let waits = Waits::new().await;
        let revoke = json!({"target": target, "reason": "left us"});
        let struck = waits.system.post("/v1/revocations", &waits.system.admin_token(), &revoke).send().await;
        assert_eq!(struck.is(200).json()["pairings"], 1);
        waits.says("approve", &json!({"digits": waits.digits})).await.refused(409, "approval_over");
        waits.own("/v1/pairings/self").await.refused(410, "revoked");
    }
}
