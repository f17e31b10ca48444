//! SMPP and HTTP against Jasmin, a gateway with an SMSC behind it.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use serde_json::json;
use sidekey_carrier::sms::http::{Gateway, Settings, Variables};
use sidekey_carrier::{Carrier as _, Fate, Payload, Report, Roots, Sealed, Trouble, Undelivered};
use sidekey_tests::others::process::{PATIENCE, Process, counterparts, free_port};
use sidekey_tests::others::server::{Say, Server};
use tokio::time::{sleep, timeout};

use crate::keys::octets;
use crate::sealed::Key;
use crate::smpp::{carrier, hex, report, settings, smsc};
use crate::{ambient, invitation, phone};

/// Jasmin, and the SMSC behind it. Dropped in the order of the fields.
struct Jasmin {
    smpp: u16,
    http: u16,
    _jasmin: Process,
    smsc: Process,
}

impl Jasmin {
    async fn start() -> Self {
        let port = free_port();
        let mut smsc = smsc(port, None).await;
        let arguments = ["-m", "jasmin.start", &port.to_string()];
        let mut jasmin = Process::start("python3", &arguments, &counterparts());
        let listening = jasmin.event_within("listening", TO_START).await;
        let port = |name: &str| u16::try_from(listening[name].as_u64().unwrap()).unwrap();
        smsc.event("bind").await;
        Self { smpp: port("smpp"), http: port("http"), _jasmin: jasmin, smsc }
    }

    /// Its HTTP API, as configuration describes it: text alone, since it has no place for a header.
    fn gateway(&self, password: &str, reports: &Server) -> (Gateway, Settings) {
        let settings = format!(
            r#"
            id = {{ after = "Success \"" }}
            accepted = {{ statuses = [200], body_begins = "Success" }}
            [text]
            method = "POST"
            url = "http://127.0.0.1:{}/send"
            headers = {{ Content-Type = "application/x-www-form-urlencoded" }}
            body = "username=kms&password=${{var.password}}&to=${{to_digits}}&from=Example&content=${{text}}&dlr=yes&dlr-level=3&dlr-method=GET&dlr-url={}"
            escape = "form"
            [callback]
            id = "id"
            state = "message_status"
            states = {{ ESME_ROK = "underway", DELIVRD = "delivered", UNDELIV = "undeliverable" }}
            "#,
            self.http,
            reports.url("/report"),
        );
        let settings: Settings = toml::from_str(&settings).unwrap();
        let variables = Variables::from_iter([("password".to_owned(), password.to_owned())]);
        let gateway = Gateway::new(settings.clone(), variables, &Roots::Native, ambient()).unwrap();
        (gateway, settings)
    }
}

#[tokio::test]
async fn an_envelope_goes_through_jasmin_byte_for_byte_and_its_receipt_names_it() {
    let key = Key::issued().await;
    let mut jasmin = Jasmin::start().await;
    let (carrier, mut reports, _) = carrier(&settings(jasmin.smpp, "secret", None));
    let receipt = carrier.send(&phone("+491700000000"), &key.payload()).await.unwrap();
    let arrived = jasmin.smsc.event("submit").await;
    assert_eq!(arrived["udh"], json!(["05040b8423f0"]));
    assert_eq!((&arrived["data_coding"], &arrived["esm_class"]), (&json!(4), &json!(0x40)));
    assert_eq!((&arrived["to"], &arrived["from"]), (&json!("491700000000"), &json!("Example")));
    let arrived = octets(arrived["message"].as_str().unwrap());
    assert_eq!(hex(&arrived), hex(&key.envelope));
    key.opens_from(&arrived).await;
    let [id] = receipt.ids() else { panic!("{receipt:?}") };
    assert_eq!(id.as_str().len(), 36, "a UUID of Jasmin's, and not the SMSC's own id");
    let report = report(&mut reports).await;
    assert!(report.id.names_the_same(id));
    assert_eq!(report.fate, Fate::Delivered);
}

#[tokio::test]
async fn parts_go_through_jasmin_in_order_and_whole_and_one_that_fails_is_reported() {
    let mut jasmin = Jasmin::start().await;
    let (carrier, mut reports, _) = carrier(&settings(jasmin.smpp, "secret", None));
    let octets: Vec<u8> = (0..=255).cycle().take(400).collect();
    let payload = Payload::Sealed(Sealed::other(&octets).unwrap());
    let receipt = carrier.send(&phone("+491700000001"), &payload).await.unwrap();
    let mut whole = String::new();
    for part in 1..=4 {
        let arrived = jasmin.smsc.event("submit").await;
        assert!(arrived["udh"][1].as_str().unwrap().ends_with(&format!("04{part:02}")), "{arrived}");
        whole += arrived["message"].as_str().unwrap();
    }
    assert_eq!(whole, hex(&octets));
    let mut reported = Vec::new();
    for _ in receipt.ids() {
        let report = report(&mut reports).await;
        assert_eq!(report.fate, Fate::Undeliverable);
        reported.push(report.id);
    }
    reported.sort();
    let mut sent = receipt.ids().to_vec();
    sent.sort();
    assert_eq!(reported, sent);
}

/// Jasmin repeats a report until it is answered in its own word: the same report is read twice.
#[tokio::test]
async fn an_invitation_goes_through_jasmins_http_and_its_reports_come_until_they_are_acknowledged() {
    let mut jasmin = Jasmin::start().await;
    let deaf = AtomicBool::new(true);
    let reports = Server::start(move |_| {
        let word = if deaf.swap(false, Ordering::Relaxed) { "" } else { "ACK/Jasmin" };
        Say::Answer(200, vec![], word.as_bytes().to_vec())
    })
    .await;
    let (gateway, settings) = jasmin.gateway("secret", &reports);
    let receipt = gateway.send(&phone("+491700000000"), &invitation()).await.unwrap();
    let arrived = jasmin.smsc.event("submit").await;
    let words = arrived["message"].as_str().unwrap();
    assert!(words.starts_with("Pair your mail app: https://keys.example.com/p/0707"), "{words}");
    assert!(words.ends_with("enter the code that you were given."), "{words}");
    let callback = settings.callback.unwrap();
    let read = || -> Vec<Report> {
        let seen = reports.seen();
        seen.iter().filter_map(|seen| callback.read(seen.path.split_once('?')?.1, b"")).collect()
    };
    let three = async {
        while read().len() < 3 {
            sleep(Duration::from_millis(50)).await;
        }
    };
    timeout(PATIENCE, three).await.unwrap_or_else(|_| panic!("{:?}", reports.seen()));
    let read = read();
    assert!(read.iter().all(|report| report.id == receipt.ids()[0]), "{read:?}");
    let count = |fate| read.iter().filter(|report| report.fate == fate).count();
    assert_eq!((count(Fate::Underway), count(Fate::Delivered)), (2, 1), "{read:?}");
}

#[tokio::test]
async fn jasmin_tells_a_wrong_password_by_either_way() {
    let jasmin = Jasmin::start().await;
    let (carrier, _reports, _) = carrier(&settings(jasmin.smpp, "wrong", None));
    let outcome = carrier.send(&phone("+491700000000"), &Payload::Sealed([7; 127].into())).await;
    assert!(matches!(outcome, Err(Undelivered::Retry { why: Trouble::Credentials, .. })), "{outcome:?}");
    let reports = Server::start(|_| Say::status(200)).await;
    let (gateway, _) = jasmin.gateway("wrong", &reports);
    let outcome = gateway.send(&phone("+491700000000"), &invitation()).await;
    assert!(matches!(outcome, Err(Undelivered::Retry { why: Trouble::Credentials, .. })), "{outcome:?}");
}

/// Four programs, one after another, on a busy machine.
const TO_START: Duration = Duration::from_secs(180);
