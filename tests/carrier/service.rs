//! The whole way: the service's outbox, its real carriers, other people's servers, and the phone.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};
use sidekey_client::Roots;
use sidekey_client::admin::{CarrierSeen, DeliveryFilter, DeliverySeen};
use sidekey_client::xdms::Xdms;
use sidekey_protocol::delivery::Fate;
use sidekey_protocol::delivery::wire::DeliveryState;
use sidekey_protocol::ids::SessionId;
use sidekey_service::config::{Carrier, Delivery};
use sidekey_tests::others::process::free_port;
use sidekey_tests::{ANN, Office, Phone, System, configured};
use tempfile::TempDir;
use tokio::time::sleep;

use crate::smpp::smsc;
use crate::xdms::Kamailio;

/// A configuration whose one carrier is an SMSC.
fn to_smsc(port: u16) -> (Delivery, TempDir) {
    configured("bearer", "secret", |secret| {
        let text = format!(
            "domain = 'operator'\nhost = '127.0.0.1'\nport = {port}\ntls = false\nsystem_id = 'kms'\n\
             password_file = '{}'\nsender = 'Example'\nat_once = 1",
            secret.display()
        );
        Carrier::Smpp(toml::from_str(&text).unwrap())
    })
}

/// A session for Ann's phone, or for all of her devices, that goes by the one carrier.
async fn open(office: &Office, once: usize, audience: Value) -> SessionId {
    let mut body = json!({"capabilities": ["XENCRYPTED", "A256GCM", "C20P"], "deliver": ["bearer"]});
    body.as_object_mut().unwrap().extend(audience.as_object().unwrap().clone());
    let answer = office.open_session(&format!("session-number-{once:04}"), &body).send().await;
    answer.is(201).json()["session"].as_str().unwrap().parse().unwrap()
}

async fn reached(office: &Office, phone: &Phone, to: &str) {
    let (pairing, carrier) = (phone.client.pairing(), "bearer".parse().unwrap());
    office.system.admin.set_address(pairing, &carrier, Some(to)).await.unwrap();
}

async fn deliveries(office: &Office) -> Vec<DeliverySeen> {
    office.system.admin.deliveries(&DeliveryFilter::default()).await.unwrap()
}

/// What was submitted, as a phone's app gets it.
fn octets(event: &Value) -> Vec<u8> {
    let hex = event["message"].as_str().unwrap();
    (0..hex.len()).step_by(2).map(|at| u8::from_str_radix(&hex[at..at + 2], 16).unwrap()).collect()
}

#[tokio::test]
async fn an_smsc_that_is_killed_mid_stream_and_comes_back_costs_no_key_and_what_comes_twice_is_one_key() {
    let port = free_port();
    let mut running = smsc(port, None).await;
    let (delivery, _folder) = to_smsc(port);
    let office = Office::open_on(System::start_delivering(delivery, Vec::new).await).await;
    // Of this number it takes what comes, and does not answer.
    reached(&office, &office.phone, "+491700000011").await;
    let for_the_phone = json!({"pairing": office.phone.client.pairing()});
    let mut opened = BTreeSet::from([open(&office, 0, for_the_phone.clone()).await]);
    let mut accepted = Vec::new();
    let taken = octets(&running.event("submit").await);
    accepted.push(office.phone.client.accept(&taken).await.unwrap());
    running.kill().await;
    reached(&office, &office.phone, "+491700000000").await;
    for once in 1..=20 {
        opened.insert(open(&office, once, for_the_phone.clone()).await);
    }
    running = smsc(port, None).await;
    while accepted.len() <= opened.len() {
        // What was on its way, and the bearer that is left alone, have their time.
        let event = tokio::select! {
            event = running.event("submit") => event,
            () = sleep(Duration::from_millis(200)) => {
                office.system.clock.advance_s(5);
                continue;
            }
        };
        accepted.push(office.phone.client.accept(&octets(&event)).await.unwrap());
    }
    let sessions: BTreeSet<_> = accepted.iter().map(|key| key.session()).collect();
    assert_eq!(sessions, opened, "none is lost");
    let again = accepted[1..].iter().find(|key| key.session() == accepted[0].session()).unwrap();
    assert!(Arc::ptr_eq(again, &accepted[0]), "what came twice is the very key that came first");
    // Receipts are matched; they decide nothing.
    let mut told = Vec::new();
    for _ in 0..300 {
        told = deliveries(&office).await;
        let sent = told.iter().all(|delivery| delivery.state == DeliveryState::Sent);
        let delivered = told.iter().filter(|delivery| delivery.fate == Some(Fate::Delivered)).count();
        if sent && delivered == opened.len() {
            return;
        }
        office.system.clock.advance_s(1);
        sleep(Duration::from_millis(50)).await;
    }
    panic!("{told:#?}");
}

/// It says so of the number, and the whole carrier keeps still: an SMSC that is asked again at once throttles longer.
#[tokio::test]
async fn an_smsc_that_throttles_is_left_alone_and_then_takes_every_key_once() {
    let port = free_port();
    let mut running = smsc(port, None).await;
    let (delivery, _folder) = to_smsc(port);
    let office = Office::open_on(System::start_delivering(delivery, Vec::new).await).await;
    reached(&office, &office.phone, "+491700000008").await;
    let for_the_phone = json!({"pairing": office.phone.client.pairing()});
    let first = open(&office, 0, for_the_phone.clone()).await;
    let carrier = paused(&office).await;
    assert_eq!(carrier.trouble.as_deref(), Some("the bearer slows us down"), "{carrier:?}");
    // What is added meanwhile waits too.
    let second = open(&office, 1, for_the_phone).await;
    let told = deliveries(&office).await;
    assert!(told.iter().all(|delivery| delivery.state == DeliveryState::Queued), "{told:#?}");
    let mut accepted = BTreeSet::new();
    while accepted.len() < 2 {
        tokio::select! {
            event = running.event("submit") => {
                accepted.insert(office.phone.client.accept(&octets(&event)).await.unwrap().session());
            }
            () = sleep(Duration::from_millis(200)) => office.system.clock.advance_s(5),
        }
    }
    assert_eq!(accepted, BTreeSet::from([first, second]));
}

/// The carrier, once it is left alone.
async fn paused(office: &Office) -> CarrierSeen {
    for _ in 0..300 {
        let carrier = office.system.admin.carriers().await.unwrap().remove(0);
        if carrier.paused_until.is_some() {
            return carrier;
        }
        sleep(Duration::from_millis(50)).await;
    }
    panic!("it is not left alone");
}

#[tokio::test]
async fn a_document_on_kamailio_follows_the_user_s_live_keys_and_goes_with_the_last() {
    let kamailio = Kamailio::start(&["STRICT"]).await;
    let ca = kamailio.authority.pem().to_owned();
    let folder = tempfile::tempdir().unwrap();
    let ca_file = folder.path().join("ca.pem");
    std::fs::write(&ca_file, &ca).unwrap();
    let (delivery, _secret) = configured("bearer", "wonder", |secret| {
        let text = format!(
            "domain = 'operator'\nroot = '{}'\nauid = 'org.example.keys'\nuser = 'alice'\n\
             password_file = '{}'\nca_file = '{}'",
            kamailio.root(),
            secret.display(),
            ca_file.display()
        );
        Carrier::Xdms(toml::from_str(&text).unwrap())
    });
    let office = Office::open_on(System::start_delivering(delivery, Vec::new).await).await;
    for phone in [&office.phone, &office.tablet] {
        reached(&office, phone, "sip:alice@xcap.test").await;
    }
    let xdms = Xdms::new(&kamailio.document_of_alice(), &Roots::Pem(ca)).unwrap();
    let xdms = xdms.signed_in("alice".to_owned(), "wonder".to_owned());
    let keys = async |phone: &Phone, count: usize| {
        for _ in 0..300 {
            let delivered = phone.client.fetch_xdms(&xdms).await.unwrap();
            if delivered.keys.len() == count {
                return delivered.keys;
            }
            sleep(Duration::from_millis(50)).await;
        }
        panic!("the document has another number of keys: {:?}", kamailio.kept());
    };
    let one = open(&office, 1, json!({"user": ANN})).await;
    let brought = keys(&office.phone, 1).await;
    assert_eq!((brought[0].session(), brought[0].generation()), (one, 0));
    keys(&office.tablet, 1).await;
    let other = open(&office, 2, json!({"pairing": office.phone.client.pairing()})).await;
    let sessions: BTreeSet<_> = keys(&office.phone, 2).await.iter().map(|key| key.session()).collect();
    assert_eq!(sessions, BTreeSet::from([one, other]));
    assert_eq!(kamailio.kept()[0].matches("<envelope").count(), 3, "the tablet has one of the two");
    // The tablet is lost: nothing in the document is for it any more, and the phone's keys are new ones.
    let target = json!({"kind": "pairing", "pairing": office.tablet.client.pairing()});
    office.revoke(&target).send().await.is(200);
    for _ in 0..300 {
        if kamailio.kept()[0].matches("<envelope").count() == 2 {
            break;
        }
        sleep(Duration::from_millis(50)).await;
    }
    let brought = keys(&office.phone, 2).await;
    assert!(brought.iter().all(|key| key.generation() == 1), "{brought:?}");
    for session in [one, other] {
        office.mail.server.end(session).await.unwrap();
    }
    for _ in 0..300 {
        if kamailio.kept().is_empty() {
            return;
        }
        sleep(Duration::from_millis(50)).await;
    }
    panic!("{:?}", kamailio.kept());
}
