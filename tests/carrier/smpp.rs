//! SMPP against npm's smpp.

use std::time::Duration;

use serde_json::Value;
use sidekey_carrier::sms::Ports;
use sidekey_carrier::sms::smpp::{Misconfigured, Settings, Smpp};
use sidekey_carrier::{Carrier as _, Fate, Payload, Refusal, Reports, Roots, Sealed, Trouble, Undelivered};
use tokio::task::JoinHandle;
use tokio::time::{sleep, timeout};

use crate::{ambient, envelope, invitation, phone, pinned};
use sidekey_tests::others::authority::Authority;
use sidekey_tests::others::process::{PATIENCE, Process, counterparts, free_port};

pub(crate) struct Sms {
    pub(crate) smsc: Process,
    pub(crate) carrier: Smpp,
    reports: Reports,
    driving: JoinHandle<()>,
}

pub(crate) async fn smsc(port: u16, authority: Option<&Authority>) -> Process {
    let port = port.to_string();
    let mut arguments = vec!["smsc.js".to_owned(), port, "kms".to_owned(), "secret".to_owned()];
    let files = authority.map(|authority| [authority.key(), authority.certificate()]);
    arguments.extend(files.into_iter().flatten().map(|path| path.to_str().unwrap().to_owned()));
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let mut smsc = Process::start("node", &arguments, &counterparts());
    smsc.event("listening").await;
    smsc
}

pub(crate) fn settings(port: u16, password: &str, tls: Option<Roots>) -> Settings {
    Settings {
        host: "localhost".into(),
        port,
        tls,
        system_id: "kms".into(),
        password: password.to_owned().into(),
        system_type: String::new(),
        sender: "Example".into(),
        ports: Ports { to: 2948, from: 9200 },
        window: 10,
        validity: Duration::from_secs(3600),
        answer: Duration::from_secs(2),
        enquire_link: Duration::from_secs(30),
    }
}

pub(crate) fn carrier(settings: &Settings) -> (Smpp, Reports, JoinHandle<()>) {
    let (carrier, reports, driver) = Smpp::new(settings, ambient()).unwrap();
    (carrier, reports, tokio::spawn(driver))
}

pub(crate) async fn start() -> Sms {
    let port = free_port();
    let smsc = smsc(port, None).await;
    let (carrier, reports, driving) = carrier(&settings(port, "secret", None));
    Sms { smsc, carrier, reports, driving }
}

pub(crate) fn hex(octets: &[u8]) -> String {
    octets.iter().map(|octet| format!("{octet:02x}")).collect()
}

pub(crate) async fn report(reports: &mut Reports) -> sidekey_carrier::Report {
    timeout(PATIENCE, reports.recv()).await.expect("a report comes").unwrap()
}

#[tokio::test]
async fn an_envelope_arrives_byte_for_byte_on_its_port_and_its_receipt_comes_back() {
    let mut sms = start().await;
    let receipt =
        sms.carrier.send(&phone("+491700000000"), &Payload::Sealed(envelope().into())).await.unwrap();
    let arrived = sms.smsc.event("submit").await;
    assert_eq!(arrived["message"], hex(&envelope()));
    assert_eq!(arrived["udh"], serde_json::json!(["05040b8423f0"]));
    assert_eq!((&arrived["to"], &arrived["from"]), (&Value::from("491700000000"), &Value::from("Example")));
    assert_eq!((&arrived["data_coding"], &arrived["esm_class"]), (&Value::from(4), &Value::from(0x40)));
    assert!(!arrived["validity"].is_null() && arrived["validity"] != "", "a dead key is not delivered");
    assert_eq!(receipt.ids()[0].as_str(), arrived["id"]);
    let report = report(&mut sms.reports).await;
    assert!(report.id.names_the_same(&receipt.ids()[0]));
    assert_eq!(report.fate, Fate::Delivered);
}

#[tokio::test]
async fn what_is_longer_arrives_in_parts_that_belong_together() {
    let mut sms = start().await;
    let octets: Vec<u8> = (0..=255).collect();
    let payload = Payload::Sealed(Sealed::other(&octets).unwrap());
    let receipt = sms.carrier.send(&phone("+491700000000"), &payload).await.unwrap();
    assert_eq!(receipt.ids().len(), 2);
    let (one, two) = (sms.smsc.event("submit").await, sms.smsc.event("submit").await);
    let text = |event: &Value| event["message"].as_str().unwrap().to_owned();
    assert_eq!(text(&one) + &text(&two), hex(&octets));
    let part = |event: &Value| event["udh"][1].as_str().unwrap().to_owned();
    assert!(part(&one).ends_with("0201") && part(&two).ends_with("0202"));
    assert_eq!(part(&one)[..6], part(&two)[..6], "one reference");
    assert_eq!(
        (&one["udh"][0], &two["udh"][0]),
        (&Value::from("05040b8423f0"), &Value::from("05040b8423f0"))
    );
}

#[tokio::test]
async fn an_invitation_arrives_as_words_without_a_code() {
    let mut sms = start().await;
    sms.carrier.send(&phone("+491700000000"), &invitation()).await.unwrap();
    let arrived = sms.smsc.event("submit").await;
    let words = "Pair your mail app: https://keys.example.com/p/07070707070707070707070707070707 - then enter the \
                 code that you were given.";
    assert_eq!(arrived["message"], words);
    assert_eq!((&arrived["data_coding"], &arrived["esm_class"]), (&Value::from(0), &Value::from(0)));
}

#[tokio::test]
async fn each_answer_of_the_smsc_says_whether_to_try_again() {
    let sms = start().await;
    let payload = Payload::Sealed(envelope().into());
    let outcome = |number: &'static str| {
        let (carrier, payload) = (&sms.carrier, &payload);
        async move { carrier.send(&phone(number), payload).await }
    };
    assert_eq!(outcome("+491700000009").await, Err(Refusal::Address.into()));
    let full = outcome("+491700000010").await;
    assert!(matches!(full, Err(Undelivered::Retry { why: Trouble::QueueFull, .. })), "{full:?}");
    let late = outcome("+491700000011").await;
    assert!(matches!(late, Err(Undelivered::Retry { why: Trouble::Deadline, .. })), "{late:?}");
    let Err(Undelivered::Retry { after, why: Trouble::Throttled }) = outcome("+491700000008").await else {
        panic!("not throttled")
    };
    assert!(after <= Duration::from_secs(1));
    sleep(after).await;
    assert!(outcome("+491700000008").await.is_ok(), "who waits as told is served");
}

#[tokio::test]
async fn a_message_that_does_not_arrive_is_reported_and_a_report_that_comes_twice_is_the_same() {
    let mut sms = start().await;
    let payload = Payload::Sealed(envelope().into());
    for (number, fate) in [("+491700000001", Fate::Undeliverable), ("+491700000002", Fate::Expired)] {
        sms.carrier.send(&phone(number), &payload).await.unwrap();
        assert_eq!(report(&mut sms.reports).await.fate, fate);
    }
    sms.carrier.send(&phone("+491700000012"), &payload).await.unwrap();
    assert_eq!(report(&mut sms.reports).await, report(&mut sms.reports).await);
}

#[tokio::test]
async fn a_wrong_password_is_said_to_who_sends() {
    let port = free_port();
    let mut smsc = smsc(port, None).await;
    let (carrier, _reports, _driving) = carrier(&settings(port, "wrong", None));
    let outcome = carrier.send(&phone("+491700000000"), &Payload::Sealed(envelope().into())).await;
    assert!(matches!(outcome, Err(Undelivered::Retry { why: Trouble::Credentials, .. })), "{outcome:?}");
    assert_eq!(smsc.event("bind").await["version"], 0x34);
}

#[test]
fn settings_that_cannot_work_are_refused_at_the_start() {
    let made = |change: fn(&mut Settings)| {
        let mut settings = settings(2775, "secret", None);
        change(&mut settings);
        Smpp::new(&settings, ambient()).err()
    };
    assert_eq!(made(|_| {}), None);
    assert_eq!(
        made(|settings| settings.password = "nine char".to_owned().into()),
        Some(Misconfigured::Password)
    );
    assert_eq!(made(|settings| settings.system_id = String::new()), Some(Misconfigured::System));
    assert_eq!(made(|settings| settings.ports.from = 65_535), Some(Misconfigured::Ports));
    assert_eq!(made(|settings| settings.window = 0), Some(Misconfigured::Window));
    assert_eq!(made(|settings| settings.answer = Duration::ZERO), Some(Misconfigured::Time));
    assert_eq!(made(|settings| settings.tls = Some(Roots::Pem(String::new()))), Some(Misconfigured::Tls));
}

#[tokio::test]
async fn over_tls_the_pinned_authority_alone_counts() {
    let (port, ours, other) = (free_port(), Authority::new(), Authority::new());
    let mut smsc = smsc(port, Some(&ours)).await;
    let payload = Payload::Sealed(envelope().into());
    let (trusting, _reports, _driving) = carrier(&settings(port, "secret", Some(pinned(&ours))));
    trusting.send(&phone("+491700000000"), &payload).await.unwrap();
    assert_eq!(smsc.event("submit").await["message"], hex(&envelope()));
    let (misled, _reports, _driving) = carrier(&settings(port, "secret", Some(pinned(&other))));
    let outcome = misled.send(&phone("+491700000000"), &payload).await;
    assert!(matches!(outcome, Err(Undelivered::Retry { why: Trouble::Untrusted, .. })), "{outcome:?}");
}

#[tokio::test]
async fn an_smsc_that_is_killed_and_comes_back_gets_everything_at_least_once() {
    let port = free_port();
    let (mut smsc, mut killed) = (Some(smsc(port, None).await), false);
    let (carrier, _reports, _driving) = carrier(&settings(port, "secret", None));
    let sent: Vec<[u8; 127]> = (0..40).map(|n| [n; 127]).collect();
    let mut arrived = std::collections::BTreeSet::new();
    for (n, octets) in sent.iter().enumerate() {
        if n == 20 {
            smsc.take().unwrap().kill().await;
            killed = true;
        }
        loop {
            match carrier.send(&phone("+491700000000"), &Payload::Sealed((*octets).into())).await {
                Ok(_) => break,
                Err(Undelivered::Retry { after, .. }) if killed => {
                    if smsc.is_none() {
                        smsc = Some(self::smsc(port, None).await);
                    }
                    sleep(after.min(Duration::from_secs(3))).await;
                }
                other => panic!("{other:?}"),
            }
        }
        let event = smsc.as_mut().unwrap().event("submit").await;
        arrived.insert(event["message"].as_str().unwrap().to_owned());
    }
    assert_eq!(arrived, sent.iter().map(|octets| hex(octets)).collect());
}

#[tokio::test]
async fn a_message_that_was_on_its_way_when_the_smsc_died_may_have_left_and_is_said_to() {
    let Sms { mut smsc, carrier, .. } = start().await;
    let sending = tokio::spawn(async move {
        carrier.send(&phone("+491700000011"), &Payload::Sealed(envelope().into())).await
    });
    smsc.event("submit").await;
    smsc.kill().await;
    let outcome = sending.await.unwrap();
    assert!(matches!(outcome, Err(Undelivered::Retry { why: Trouble::Interrupted, .. })), "{outcome:?}");
}

#[tokio::test]
async fn a_carrier_that_is_dropped_says_goodbye() {
    let Sms { mut smsc, carrier, driving, .. } = start().await;
    carrier.send(&phone("+491700000000"), &Payload::Sealed(envelope().into())).await.unwrap();
    drop(carrier);
    smsc.event("unbind").await;
    timeout(PATIENCE, driving).await.expect("the driver ends").unwrap();
}

#[tokio::test]
async fn an_smsc_that_talks_something_else_is_left_and_not_waited_for() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let _ =
                tokio::io::AsyncWriteExt::write_all(&mut stream, b"HTTP/1.1 400 Bad Request\r\n\r\n").await;
        }
    });
    let (carrier, _reports, _driving) = carrier(&settings(port, "secret", None));
    let outcome = carrier.send(&phone("+491700000000"), &Payload::Sealed(envelope().into())).await;
    assert!(matches!(outcome, Err(Undelivered::Retry { why: Trouble::Unintelligible, .. })), "{outcome:?}");
}
