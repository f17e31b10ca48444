//! Keys and invitations beside HTTPS, by carriers that are handed in.

mod real;

use http::Method;
use serde_json::{Value, json};
use sidekey_client::admin::{CarrierAddress, DeliveryFilter, DeliverySeen, DeliveryState, Invite};
use sidekey_protocol::delivery::wire::CarrierKind;
use sidekey_protocol::delivery::{CarrierName, Dead, Fate};
use sidekey_protocol::ids::{Role, SessionId};
use sidekey_protocol::pairing::Link;
use sidekey_service::config::Delivery;
use sidekey_tests::{ANN, Answer, BOB, MAIL, Office, Phone, Post, System, server, user};

const NUMBER: &str = "+491700000000";

fn name(name: &str) -> CarrierName {
    name.parse().unwrap()
}

/// An office with a carrier to phones and one to an XDMS, both handed in; Ann's phone has a number.
async fn office() -> (Office, Post, Post) {
    let (sms, xdms) = (Post::default(), Post::default());
    let handed = (sms.clone(), xdms.clone());
    let carriers =
        move || vec![handed.0.handed("sms", CarrierKind::Smpp), handed.1.handed("xdms", CarrierKind::Xdms)];
    let office = Office::open_on(System::start_delivering(Delivery::default(), carriers).await).await;
    number(&office, &office.phone).await;
    (office, sms, xdms)
}

async fn number(office: &Office, phone: &Phone) {
    let set = office.system.admin.set_address(phone.client.pairing(), &name("sms"), Some(NUMBER)).await;
    assert_eq!(set.unwrap().addresses, [CarrierAddress { carrier: name("sms"), to: NUMBER.to_owned() }]);
}

/// A session for Ann's phone alone that goes by these carriers.
async fn open(office: &Office, once: &str, ttl: u32, deliver: &[&str]) -> SessionId {
    let body = json!({
        "pairing": office.phone.client.pairing(), "capabilities": ["XENCRYPTED", "A256GCM", "C20P"],
        "ttl": ttl, "deliver": deliver,
    });
    session(office.open_session(once, &body).send().await)
}

fn session(answer: Answer) -> SessionId {
    answer.is(201).json()["session"].as_str().unwrap().parse().unwrap()
}

async fn deliveries(office: &Office) -> Vec<DeliverySeen> {
    office.system.admin.deliveries(&DeliveryFilter::default()).await.unwrap()
}

/// The one delivery, once it stands so.
async fn settled(office: &Office, state: DeliveryState) -> DeliverySeen {
    for _ in 0..3000 {
        let seen = deliveries(office).await.remove(0);
        if seen.state == state {
            return seen;
        }
        tokio::time::sleep(std::time::Duration::from_millis(10)).await;
    }
    panic!("{:?} does not become {state:?}", deliveries(office).await);
}

const ONCE: &str = "0123456789abcdef";

#[tokio::test]
async fn a_key_comes_by_sms_and_opens_on_the_phone_alone() {
    let (office, sms, _) = office().await;
    let id = open(&office, ONCE, 3600, &["sms"]).await;
    let sent = sms.taken(1).await.remove(0);
    let envelope = sent.envelope.unwrap();
    assert_eq!((sent.to.as_str(), envelope.len()), (NUMBER, 127));
    let carried = office.phone.client.accept(&envelope).await.unwrap();
    assert_eq!((carried.session(), carried.generation()), (id, 0));
    assert!(office.tablet.client.accept(&envelope).await.is_err());
    let seen = settled(&office, DeliveryState::Sent).await;
    assert_eq!((seen.to.as_deref(), &seen.receipts[..]), (Some(NUMBER), &["post-1".to_owned()][..]));
    // The same request again opens nothing, and sends nothing.
    open(&office, ONCE, 3600, &["sms"]).await;
    assert_eq!(deliveries(&office).await.len(), 1);
}

#[tokio::test]
async fn a_key_that_waited_through_a_rekey_and_a_rotation_opens_when_it_comes() {
    let (office, sms, _) = office().await;
    office.system.clock.advance_s(23 * 3600 + 1800);
    sms.fail();
    let id = open(&office, ONCE, 7200, &["sms"]).await;
    sms.asked(1).await;
    office.mail.server.rotate(id).await.unwrap();
    // Beyond a day the phone renews its keys with its next requests.
    office.system.clock.advance_s(2700);
    let before = office.phone.keys.profile().epoch;
    for _ in 0..3 {
        office.phone.client.current().await.unwrap();
    }
    assert!(office.phone.keys.profile().epoch > before, "it has rekeyed");
    sms.mend();
    let envelope = sms.taken(1).await.remove(0).envelope.unwrap();
    let carried = office.phone.client.accept(&envelope).await.unwrap();
    assert_eq!((carried.session(), carried.generation()), (id, 1));
}

#[tokio::test]
async fn a_rotation_is_sent_too() {
    let (office, sms, _) = office().await;
    let id = open(&office, ONCE, 3600, &["sms"]).await;
    sms.taken(1).await;
    settled(&office, DeliveryState::Sent).await;
    office.mail.server.rotate(id).await.unwrap();
    let envelope = sms.taken(2).await.remove(1).envelope.unwrap();
    assert_eq!(office.phone.client.accept(&envelope).await.unwrap().generation(), 1);
}

#[tokio::test]
async fn a_carrier_that_is_not_configured_is_refused_by_its_place_and_nothing_is_opened() {
    let (office, ..) = office().await;
    let before = office.system.records();
    let body = |deliver: &[&str]| json!({"user": ANN, "capabilities": ["A256GCM"], "deliver": deliver});
    for (deliver, code) in [
        (&["sms", "pigeon"][..], "carrier_unknown"),
        (&["sms", "SMS"], "carrier_unknown"),
        (&["sms", "sms"], "carrier_unfit"),
    ] {
        let refused = office.open_session(ONCE, &body(deliver)).send().await.refused(422, code);
        assert_eq!(refused["errors"][0]["field"], "deliver[1]", "{deliver:?}");
    }
    let batch = json!({"audiences": [{"user": ANN}], "capabilities": ["A256GCM"], "deliver": ["pigeon"]});
    let asking = office.system.post("/v1/sessions/batch", &office.mail.keys.token(), &batch).once(ONCE);
    asking.send().await.refused(422, "carrier_unknown");
    assert_eq!(office.system.records(), before);
}

#[tokio::test]
async fn a_batch_goes_out_as_its_sessions_do() {
    let (office, sms, xdms) = office().await;
    let batch = json!({
        "audiences": [{"pairing": office.phone.client.pairing()}, {"pairing": office.tablet.client.pairing()}],
        "capabilities": ["A256GCM"], "deliver": ["sms", "xdms"],
    });
    office
        .system
        .post("/v1/sessions/batch", &office.mail.keys.token(), &batch)
        .once(ONCE)
        .send()
        .await
        .is(201);
    assert_eq!(sms.taken(1).await[0].to, NUMBER);
    // The tablet has no number: it has its turn with the next carrier.
    let document = xdms.taken(1).await.remove(0);
    assert_eq!((document.to.as_str(), document.document.len()), ("sip:ann@example.org", 2));
}

#[tokio::test]
async fn the_next_carrier_takes_over_when_the_one_before_refused_or_took_too_long() {
    let (office, sms, xdms) = office().await;
    sms.refuse();
    open(&office, ONCE, 3600, &["sms", "xdms"]).await;
    xdms.taken(1).await;
    sms.fail();
    open(&office, "another-request-", 3600, &["sms", "xdms"]).await;
    sms.asked(2).await;
    assert_eq!(xdms.sent().len(), 1);
    office.system.clock.advance_s(601);
    xdms.taken(2).await;
}

#[tokio::test]
async fn a_carrier_that_is_down_is_left_alone_and_tried_with_one_delivery_at_a_time() {
    let (office, sms, _) = office().await;
    sms.fail();
    for n in 0..20 {
        open(&office, &format!("request-number-{n:02}"), 3600, &["sms"]).await;
    }
    sms.asked(1).await;
    let carriers = office.system.admin.carriers().await.unwrap();
    assert_eq!((carriers[0].carrier.as_str(), carriers[0].pending), ("sms", 20));
    assert!(carriers[0].paused_until.is_some() && !carriers[0].needs_you);
    let tried = sms.tried();
    assert!(tried <= 4, "{tried}: as many as are sent at one time");
    office.system.clock.advance_s(2);
    sms.asked(tried + 1).await;
    sms.mend();
    office.system.clock.advance_s(600);
    sms.taken(20).await;
    let all = sms.sent();
    let envelopes: std::collections::BTreeSet<_> = all.iter().map(|sent| sent.envelope.clone()).collect();
    assert_eq!((all.len(), envelopes.len()), (20, 20));
    assert!(office.system.admin.carriers().await.unwrap()[0].trouble.is_none());
}

#[tokio::test]
async fn a_restart_loses_nothing_and_what_is_over_is_not_sent() {
    let (mut office, sms, _) = office().await;
    sms.fail();
    open(&office, ONCE, 3600, &["sms"]).await;
    open(&office, "short-lived-one-", 60, &["sms"]).await;
    sms.asked(1).await;
    office.system.restart().await;
    office.system.clock.advance_s(300);
    sms.mend();
    sms.taken(1).await;
    // One is taken before the other is seen to be over, or after.
    while deliveries(&office).await[1].reason.is_none() {
        tokio::time::sleep(std::time::Duration::from_millis(10)).await;
    }
    let seen = deliveries(&office).await;
    assert_eq!(seen[1].reason, Some(Dead::Expired), "{seen:?}");
    assert_eq!(sms.sent().len(), 1);
    let path = format!("/v1/deliveries/{}/retry", seen[1].delivery);
    let again = office.system.ask(Method::POST, &path).bearer(&office.system.admin_token());
    again.send().await.refused(409, "delivery_over");
}

#[tokio::test]
async fn an_invitation_comes_by_sms_without_its_code_and_its_address_stays() {
    let (office, sms, _) = office().await;
    let invite = Invite {
        role: Role::Client,
        server: server(MAIL),
        user: Some(user(BOB)),
        ttl_s: None,
        approval: None,
    };
    let address = CarrierAddress { carrier: name("sms"), to: "+491711111111".to_owned() };
    let invited = office.system.admin.invite_by(&invite, &address).await.unwrap();
    let words = sms.taken(1).await.remove(0).words.unwrap();
    let (code, link) = (invited.code.expose_printed().to_string(), invited.link.expose().to_string());
    assert!(words.contains(&format!("/p/{}", invited.invitation)), "{words}");
    assert!(
        !words.contains(&code) && !words.contains(&code.replace('-', "")) && !words.contains('#'),
        "{words}"
    );
    assert!(link.starts_with(words.split(' ').find(|word| word.starts_with("https:")).unwrap()));
    assert!(link.parse::<Link>().is_ok());
    let (_, keys) = office.system.pair(office.system.accept(&invited, Role::Client)).await.unwrap();
    let pairing = office.system.admin.pairing(keys.profile().pairing).await.unwrap();
    assert_eq!(pairing.addresses, [address]);
    // Who is reached there is the administrator's to know.
    let own = office.system.get("/v1/pairings/self", &keys.token()).send().await;
    own.is(200);
    assert_eq!(own.json().get("addresses"), None);
}

#[tokio::test]
async fn an_invitation_goes_where_its_carrier_takes_it_and_nowhere_else() {
    let (office, ..) = office().await;
    let invite = |role: &str, deliver: Value| {
        let mut body = json!({"role": role, "server": MAIL, "deliver": deliver});
        if role == "client" {
            body["user"] = BOB.into();
        }
        office.system.post("/v1/invitations", &office.system.admin_token(), &body)
    };
    let to = |carrier: &str, to: &str| json!({"carrier": carrier, "to": to});
    invite("client", to("xdms", "sip:bob@example.org")).send().await.refused(422, "carrier_unfit");
    invite("server", to("sms", NUMBER)).send().await.refused(422, "carrier_unfit");
    invite("client", to("pigeon", NUMBER)).send().await.refused(422, "carrier_unknown");
    for wrong in ["01700000000", "sip:bob@example.org", "+49 170 0", ""] {
        invite("client", to("sms", wrong)).send().await.refused(422, "address_invalid");
    }
}

#[tokio::test]
async fn an_address_is_an_administrator_s_to_set_and_to_take_away() {
    let (office, sms, _) = office().await;
    let pairing = office.phone.client.pairing();
    let path = format!("/v1/pairings/{pairing}/addresses/sms");
    let put = |token: &str| office.system.ask(Method::PUT, &path).bearer(token).json(&json!({"to": NUMBER}));
    put(&office.phone.keys.token()).send().await.refused(403, "role_forbidden");
    put(&office.mail.keys.token()).send().await.refused(403, "role_forbidden");
    let gone = office.system.admin.set_address(pairing, &name("sms"), None).await.unwrap();
    assert!(gone.addresses.is_empty());
    open(&office, ONCE, 3600, &["sms"]).await;
    let seen = settled(&office, DeliveryState::Dead).await;
    assert_eq!(seen.reason, Some(Dead::AddressMissing));
    number(&office, &office.phone).await;
    assert_eq!(office.system.admin.retry_delivery(seen.delivery).await.unwrap().state, DeliveryState::Queued);
    sms.taken(1).await;
    let gateway = office.mail.keys.profile().pairing;
    let refused = office.system.admin.set_address(gateway, &name("sms"), Some(NUMBER)).await;
    assert!(refused.is_err(), "a mail server has no phone");
}

#[tokio::test]
async fn metrics_tell_of_each_carrier_what_it_sent_and_what_waits_for_it() {
    let (office, sms, _) = office().await;
    open(&office, ONCE, 3600, &["sms"]).await;
    settled(&office, DeliveryState::Sent).await;
    sms.fail();
    open(&office, "while-it-is-down", 3600, &["sms"]).await;
    sms.asked(2).await;
    let expected = [
        r#"sidekey_delivery_attempts_total{carrier="sms",outcome="sent"} 1"#,
        r#"sidekey_delivery_attempts_total{carrier="sms",outcome="put_off"} 1"#,
        r#"sidekey_delivery_attempts_total{carrier="xdms",outcome="sent"} 0"#,
        r#"sidekey_delivery_pending{carrier="sms"} 1"#,
        r#"sidekey_delivery_paused{carrier="sms"} 1"#,
    ];
    let mut told = String::new();
    for _ in 0..300 {
        told = office.system.metrics().await;
        if expected.iter().all(|line| told.lines().any(|said| said == *line)) {
            return;
        }
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
    let told: Vec<&str> = told.lines().filter(|line| line.starts_with("sidekey_delivery")).collect();
    panic!("{told:#?}");
}

#[tokio::test]
async fn a_report_that_overtakes_the_bearer_s_own_answer_is_shown_all_the_same() {
    let sms = Post::default();
    let handed = sms.clone();
    let carriers = move || vec![handed.hasty("sms", CarrierKind::Smpp)];
    let office = Office::open_on(System::start_delivering(Delivery::default(), carriers).await).await;
    number(&office, &office.phone).await;
    open(&office, ONCE, 3600, &["sms"]).await;
    settled(&office, DeliveryState::Sent).await;
    for _ in 0..3000 {
        if deliveries(&office).await[0].fate == Some(Fate::Delivered) {
            return;
        }
        tokio::time::sleep(std::time::Duration::from_millis(10)).await;
    }
    panic!("the report is lost: {:?}", deliveries(&office).await);
}
