//! The service's clock went back: what had ended might hold again, so nothing is given; what is to end still ends.

use serde_json::json;
use sidekey_tests::{ANN, MAIL, Office};

const DAY_S: u32 = 86_400;

#[tokio::test]
async fn a_clock_that_went_back_gives_nothing_and_says_so_and_still_revokes() {
    let office = Office::open().await;
    let right = office.system.clock.now();
    office.system.clock.set(right.after_s(DAY_S));
    let session = office.session().await.session();
    office.system.clock.set(right);

    // Everybody's tokens are by the right time.
    let (phone, mail) = (office.phone.keys.token(), office.mail.keys.token());
    for path in ["/v1/pairings/self", "/v1/policy", "/v1/sessions/current"] {
        office.system.get(path, &phone).send().await.refused(503, "clock_stepped");
    }
    office.fetch(session, "", &phone).send().await.refused(503, "clock_stepped");
    let body = json!({"user": ANN, "capabilities": ["XENCRYPTED", "A256GCM", "C20P"]});
    office.system.post("/v1/sessions", &mail, &body).once("k").send().await.refused(503, "clock_stepped");
    office.system.get("/readyz", "").send().await.refused(503, "clock_stepped");

    let target = json!({"kind": "user", "server": MAIL, "user": ANN});
    let struck = office.revoke(&target).send().await.is(200).json();
    assert_eq!((&struck["pairings"], &struck["sessions_ended"]), (&json!(2), &json!(1)));

    // Right again by itself, once it has caught up: the revoked stay so.
    office.system.clock.advance_s(DAY_S);
    office.system.get("/v1/policy", &office.phone.keys.token()).send().await.refused(410, "revoked");
}
