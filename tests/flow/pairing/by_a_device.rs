//! Approval by another device of the same user, who hears of every new one.

use sidekey_client::admin::Standing;
use sidekey_client::{Client, Notice, Watch};
use sidekey_protocol::ids::PartyId;
use sidekey_protocol::pairing::Approval;
use sidekey_protocol::revocation::wire::Event;
use sidekey_tests::{BOB, Office, user};

use super::approval::{invited_by, wrong_digits};
use super::*;

/// A new tablet of Ann's, which waits for these.
async fn new_device(office: &Office, approval: Approval) -> sidekey_client::Paired {
    let invited = invited_by(&office.system, Some(ANN), approval).await;
    office.system.pair(office.system.accept(&invited, Role::Client)).await.unwrap().0
}

/// The next thing that happened, gaps aside.
async fn next(watch: &mut Watch) -> Event {
    loop {
        match watch.next().await.expect("the stream goes on").unwrap() {
            Notice::Event(event) => return event,
            Notice::Gap => {}
        }
    }
}

async fn listening(client: &Client) -> Watch {
    let mut watch = client.watch();
    assert_eq!(watch.next().await.unwrap().unwrap(), Notice::Gap, "it has begun");
    watch
}

#[tokio::test]
async fn a_users_device_hears_of_a_new_one_and_approves_it() {
    let office = Office::open().await;
    let mut watch = listening(&office.phone.client).await;
    let new = new_device(&office, Approval::Device).await;
    let Event::Paired(paired) = next(&mut watch).await else { panic!("of the new one") };
    assert_eq!((paired.pairing, paired.state), (new.pairing, Standing::Confirmed));
    assert_eq!((paired.user.unwrap().as_str(), paired.label.as_str()), (ANN, "a device"));
    let waits: Vec<_> = office.phone.client.devices().await.unwrap();
    assert_eq!(waits.last().unwrap().pairing, new.pairing);
    let approved = office.phone.client.approve(new.pairing, new.digits).await.unwrap();
    assert_eq!(approved.state, Standing::Active);
    let Event::Approved(told) = next(&mut watch).await else { panic!("of the approval") };
    assert_eq!((told.pairing, told.by), (new.pairing, office.phone.client.pairing()));
}

/// A stranger's device, paired in the user's name, is seen by the user wherever approval is not asked for too.
#[tokio::test]
async fn every_new_device_and_machine_is_told_to_those_it_concerns() {
    let office = Office::open().await;
    let bob = office.system.pair_client(MAIL, BOB).await;
    bob.client.current().await.unwrap();
    let (mut ann, mut bob) = (listening(&office.phone.client).await, listening(&bob.client).await);
    let mut gateway = office.mail.server.watch();
    assert_eq!(gateway.next().await.unwrap().unwrap(), Notice::Gap);
    let new = office.system.pair_client(MAIL, ANN).await.client.pairing();
    let machine = office.system.pair_server(MAIL).await.server.pairing();
    let of_bob = office.system.pair_client(MAIL, BOB).await.client.pairing();
    let paired = |event: Event| match event {
        Event::Paired(paired) => (paired.pairing, paired.role, paired.state),
        other => panic!("{other:?}"),
    };
    let active = Standing::Active;
    assert_eq!(paired(next(&mut ann).await), (new, Role::Client, active));
    assert_eq!(paired(next(&mut bob).await), (of_bob, Role::Client, active), "and of nobody else's");
    for expected in [(new, Role::Client), (machine, Role::Server), (of_bob, Role::Client)] {
        let (pairing, role, _) = paired(next(&mut gateway).await);
        assert_eq!((pairing, role), expected);
    }
}

#[tokio::test]
async fn a_device_refuses_what_is_not_its_users() {
    let office = Office::open().await;
    let mut watch = listening(&office.tablet.client).await;
    let new = new_device(&office, Approval::Device).await;
    next(&mut watch).await;
    let reason = Some("that is not mine".parse().unwrap());
    let refused = office.phone.client.refuse(new.pairing, reason.clone()).await.unwrap();
    assert_eq!(refused.state, Standing::Refused);
    let Event::Refused(told) = next(&mut watch).await else { panic!("of the refusal") };
    assert_eq!((told.pairing, told.reason), (new.pairing, reason));
}

#[tokio::test]
async fn wrong_digits_from_a_device_count_and_the_fifth_is_told() {
    let office = Office::open().await;
    let new = new_device(&office, Approval::Device).await;
    for _ in 0..4 {
        let wrong = office.phone.client.approve(new.pairing, wrong_digits()).await.unwrap_err();
        assert!(matches!(wrong, Error::Refused { code, .. } if code == "digits_mismatch"));
    }
    let mut watch = listening(&office.tablet.client).await;
    office.system.admin.approve(new.pairing, wrong_digits()).await.unwrap_err();
    let Event::Refused(told) = next(&mut watch).await else { panic!("of the refusal") };
    assert_eq!((told.pairing, told.reason), (new.pairing, None));
}

#[tokio::test]
async fn what_waits_for_an_administrator_no_device_approves() {
    let office = Office::open().await;
    let new = new_device(&office, Approval::Admin).await;
    let before = office.system.records();
    let digits = json!({"digits": new.digits});
    for (verb, body) in [("approve", &digits), ("refuse", &json!({}))] {
        let path = format!("/v1/pairings/{}/{verb}", new.pairing);
        let asked = office.system.post(&path, &office.phone.keys.token(), body).send().await;
        let problem = asked.refused(403, "role_forbidden");
        assert!(problem["cause"].as_str().unwrap().contains("administrator"), "{problem}");
        office
            .system
            .post(&path, &office.mail.keys.token(), body)
            .send()
            .await
            .refused(403, "role_forbidden");
        office.system.ask(Method::POST, &path).json(body).send().await.refused(401, "token_missing");
    }
    assert_eq!(office.system.records(), before);
}

/// The same to whoever it is not for, as if it were not there.
#[tokio::test]
async fn another_users_device_finds_nothing_to_approve() {
    let office = Office::open().await;
    let bob = office.system.pair_client(MAIL, BOB).await;
    bob.client.current().await.unwrap();
    let new = new_device(&office, Approval::Device).await;
    let before = office.system.records();
    let approve = async |pairing: PartyId| {
        let path = format!("/v1/pairings/{pairing}/approve");
        let body = json!({"digits": new.digits});
        office.system.post(&path, &bob.keys.token(), &body).send().await.refused(404, "not_found")
    };
    assert_eq!(approve(new.pairing).await, approve(PartyId::random(&mut office.system.rng())).await);
    assert_eq!(office.system.records(), before);
}

#[tokio::test]
async fn a_device_that_waits_or_is_over_approves_nobody() {
    let office = Office::open().await;
    let (first, keys) = {
        let invited = invited_by(&office.system, Some(ANN), Approval::Device).await;
        office.system.pair(office.system.accept(&invited, Role::Client)).await.unwrap()
    };
    let second = new_device(&office, Approval::Device).await;
    for (pairing, digits) in [(second.pairing, second.digits), (first.pairing, first.digits)] {
        let path = format!("/v1/pairings/{pairing}/approve");
        let body = json!({"digits": digits});
        office.system.post(&path, &keys.token(), &body).send().await.refused(403, "approval_pending");
    }
    office.revoke_the_phone().await;
    let path = format!("/v1/pairings/{}/approve", second.pairing);
    let body = json!({"digits": second.digits});
    office.system.post(&path, &office.phone.keys.token(), &body).send().await.refused(410, "revoked");
    office.tablet.client.approve(second.pairing, second.digits).await.unwrap();
}

#[tokio::test]
async fn a_device_lists_its_users_devices_and_a_server_those_at_it() {
    let office = Office::open().await;
    office.system.pair_client(MAIL, BOB).await;
    let of = |pairings: &[sidekey_client::admin::Pairing]| {
        pairings.iter().map(|pairing| pairing.pairing).collect::<Vec<_>>()
    };
    let own = of(&office.phone.client.devices().await.unwrap());
    assert_eq!(own, [office.phone.client.pairing(), office.tablet.client.pairing()]);
    let seen = async |token: &str, query: &str| {
        let path = format!("/v1/pairings{query}");
        let answer = office.system.get(&path, token).send().await.is(200).json();
        answer["items"].as_array().unwrap().len()
    };
    let (phone, mail) = (office.phone.keys.token(), office.mail.keys.token());
    assert_eq!(seen(&phone, &format!("?user={BOB}")).await, 0);
    assert_eq!(seen(&phone, "?server=other.example").await, 0);
    assert_eq!(seen(&phone, "?role=server").await, 0);
    assert_eq!(seen(&mail, "").await, 4);
    assert_eq!(seen(&mail, &format!("?user={ANN}")).await, 2);
    assert_eq!(seen(&mail, "?server=other.example").await, 0);
    assert_eq!(user(ANN), office.system.admin.pairing(own[0]).await.unwrap().user.unwrap());
}
