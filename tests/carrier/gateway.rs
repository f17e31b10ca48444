//! SMS by HTTP: through Kannel to an SMSC, and through gateways of other habits.

use std::time::Duration;

use serde_json::Value;
use sidekey_carrier::sms::http::{Gateway, Settings, Variables};
use sidekey_carrier::{Carrier as _, Fate, Payload, Refusal, Roots, Trouble, Undelivered};
use tempfile::TempDir;

use crate::{ambient, document, envelope, invitation, phone};
use sidekey_tests::others::process::{PATIENCE, Process, counterparts, free_port, listening};
use sidekey_tests::others::server::{Say, Server};

/// Kannel, and the SMSC behind it. Dropped in the order of the fields.
struct Kannel {
    http: u16,
    smsc: Process,
    _smsbox: Process,
    _bearerbox: Process,
    _folder: TempDir,
}

impl Kannel {
    async fn start() -> Self {
        let [smsc_port, admin, sms_box, http] = [(); 4].map(|()| free_port());
        let arguments = ["smsc.js", &smsc_port.to_string(), "kms", "secret"];
        let mut smsc = Process::start("node", &arguments, &counterparts());
        smsc.event("listening").await;
        let folder = tempfile::tempdir().unwrap();
        let mut config = std::fs::read_to_string(counterparts().join("kannel.conf")).unwrap();
        for (hole, port) in [("@ADMIN@", admin), ("@BOX@", sms_box), ("@HTTP@", http), ("@SMSC@", smsc_port)]
        {
            config = config.replace(hole, &port.to_string());
        }
        let config = config.replace("@DIR@", folder.path().to_str().unwrap());
        std::fs::write(folder.path().join("kannel.conf"), config).unwrap();
        let bearerbox = Process::start("/usr/sbin/bearerbox", &["kannel.conf"], folder.path());
        listening(sms_box).await;
        let smsbox = Process::start("/usr/sbin/smsbox", &["kannel.conf"], folder.path());
        listening(http).await;
        smsc.event("bind").await;
        Self { http, smsc, _smsbox: smsbox, _bearerbox: bearerbox, _folder: folder }
    }

    fn settings(&self, reports: &str, smsc: &str) -> Settings {
        Settings::kannel(&format!("http://127.0.0.1:{}/cgi-bin/sendsms", self.http), reports, Some(smsc))
    }
}

fn gateway(settings: Settings, password: &str) -> Gateway {
    let variables = [("username", "sidekey"), ("password", password), ("sender", "Example")];
    let variables = Variables::from_iter(variables.map(|(name, value)| (name.to_owned(), value.to_owned())));
    Gateway::new(settings, variables, &Roots::Native, ambient()).unwrap()
}

fn hex(octets: &[u8]) -> String {
    octets.iter().map(|octet| format!("{octet:02x}")).collect()
}

#[tokio::test]
async fn an_envelope_goes_through_kannel_byte_for_byte_and_its_report_names_it() {
    let reports = Server::start(|_| Say::status(200)).await;
    let mut kannel = Kannel::start().await;
    let settings = kannel.settings(&reports.url("/report"), "node");
    let callback = settings.callback.clone().unwrap();
    let gateway = gateway(settings, "secret");
    let receipt = gateway.send(&phone("+491700000000"), &Payload::Sealed(envelope().into())).await.unwrap();
    let arrived = kannel.smsc.event("submit").await;
    assert_eq!(arrived["message"], hex(&envelope()));
    assert_eq!(arrived["udh"], serde_json::json!(["05043eff3eff"]));
    assert_eq!((&arrived["data_coding"], &arrived["from"]), (&Value::from(4), &Value::from("Example")));
    assert!(arrived["to"].as_str().unwrap().ends_with("491700000000"));
    let reported = async {
        loop {
            let seen = reports.seen();
            let read = |path: &str| callback.read(path.split_once('?')?.1, b"");
            if let Some(report) = seen.iter().find_map(|seen| read(&seen.path)) {
                return report;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    let report = tokio::time::timeout(PATIENCE, reported).await.expect("a report comes");
    assert_eq!((&report.id, report.fate), (&receipt.ids()[0], Fate::Delivered));
}

#[tokio::test]
async fn an_invitation_goes_through_kannel_as_words() {
    let mut kannel = Kannel::start().await;
    let gateway = gateway(kannel.settings("http://127.0.0.1:9/report", "node"), "secret");
    gateway.send(&phone("+491700000000"), &invitation()).await.unwrap();
    let arrived = kannel.smsc.event("submit").await;
    assert!(
        arrived["message"]
            .as_str()
            .unwrap()
            .starts_with("Pair your mail app: https://keys.example.com/p/0707")
    );
    assert_eq!(arrived["data_coding"], 0);
}

#[tokio::test]
async fn kannel_tells_a_wrong_password_from_a_route_that_is_none() {
    let kannel = Kannel::start().await;
    let payload = Payload::Sealed(envelope().into());
    let wrong = gateway(kannel.settings("http://127.0.0.1:9/", "node"), "wrong");
    let outcome = wrong.send(&phone("+491700000000"), &payload).await;
    assert!(matches!(outcome, Err(Undelivered::Retry { why: Trouble::Credentials, .. })), "{outcome:?}");
    let lost = gateway(kannel.settings("http://127.0.0.1:9/", "nowhere"), "secret");
    assert_eq!(lost.send(&phone("+491700000000"), &payload).await, Err(Refusal::Status(403).into()));
}

/// A gateway with JSON, as configuration describes it.
fn json(server: &Server) -> Settings {
    let settings = format!(
        r#"
        id = {{ json = "/messages/0/id" }}
        accepted = {{ statuses = [200] }}
        refused = [404]
        deadline_s = 2
        [octets]
        method = "POST"
        url = "{}?to=${{to}}"
        headers = {{ Authorization = "Bearer ${{var.password}}", Content-Type = "application/json" }}
        body = '{{"udh":"${{udh_hex}}","data":"${{octets_base64}}","from":"${{var.sender}}"}}'
        escape = "json"
        [callback]
        id = "/id"
        state = "/state"
        states = {{ DELIVERED = "delivered", FAILED = "undeliverable" }}
        "#,
        server.url("/send")
    );
    toml::from_str(&settings).unwrap()
}

#[tokio::test]
async fn a_gateway_is_what_its_configuration_says() {
    let answer = br#"{"messages":[{"id":"abc-1"}]}"#;
    let server = Server::start(|_| Say::Answer(200, vec![], answer.to_vec())).await;
    let settings = json(&server);
    let callback = settings.callback.clone().unwrap();
    let gateway = gateway(settings, "s3cret");
    let receipt = gateway.send(&phone("+491700000000"), &Payload::Sealed([0xff; 127].into())).await.unwrap();
    assert_eq!(receipt.ids()[0].as_str(), "abc-1");
    let seen = &server.seen()[0];
    assert_eq!((seen.method.as_str(), seen.path.as_str()), ("POST", "/send?to=%2B491700000000"));
    assert_eq!(seen.headers["authorization"], "Bearer s3cret");
    let body: Value = serde_json::from_slice(&seen.body).unwrap();
    assert_eq!((&body["udh"], &body["from"]), (&Value::from("0605043eff3eff"), &Value::from("Example")));
    assert!(body["data"].as_str().unwrap().starts_with("/////"));
    let report = callback.read("", br#"{"id":"abc-1","state":"DELIVERED"}"#).unwrap();
    assert_eq!((report.id, report.fate), (receipt.ids()[0].clone(), Fate::Delivered));
    assert!(!format!("{gateway:?}").contains("s3cret"));
    assert_eq!(gateway.send(&phone("+491700000000"), &invitation()).await, Err(Refusal::PayloadKind.into()));
    assert_eq!(gateway.send(&phone("+491700000000"), &document(&[])).await, Err(Refusal::PayloadKind.into()));
}

#[tokio::test]
async fn each_answer_of_a_gateway_says_whether_to_try_again() {
    let outcome = async |say: fn() -> Say| {
        let server = Server::start(move |_| say()).await;
        gateway(json(&server), "x").send(&phone("+491700000000"), &Payload::Sealed(envelope().into())).await
    };
    let why = async |say| match outcome(say).await {
        Err(Undelivered::Retry { why, .. }) => why,
        other => panic!("{other:?}"),
    };
    assert_eq!(outcome(|| Say::status(404)).await, Err(Refusal::Status(404).into()));
    assert_eq!(outcome(|| Say::status(422)).await, Err(Refusal::Status(422).into()));
    let slowed = outcome(|| Say::Answer(429, vec![("retry-after", "7".into())], vec![])).await;
    assert_eq!(slowed, Err(Undelivered::Retry { after: Duration::from_secs(7), why: Trouble::Throttled }));
    assert_eq!(why(|| Say::status(500)).await, Trouble::Bearer);
    assert_eq!(why(|| Say::status(401)).await, Trouble::Credentials);
    assert_eq!(why(|| Say::status(201)).await, Trouble::Unintelligible);
    assert_eq!(
        why(|| Say::Answer(307, vec![("location", "http://127.0.0.1:1/".into())], vec![])).await,
        Trouble::Redirected
    );
    assert_eq!(why(|| Say::Flood).await, Trouble::Oversized);
    assert_eq!(why(|| Say::Stall).await, Trouble::Deadline);
    assert_eq!(why(|| Say::HangUp).await, Trouble::Interrupted);
    let nameless = outcome(|| Say::Answer(200, vec![], b"<html>".to_vec())).await;
    assert!(nameless.unwrap().ids().is_empty(), "taken, without a name");
}

#[test]
fn a_configuration_that_cannot_work_is_refused_at_the_start() {
    use sidekey_carrier::sms::http::Misconfigured;
    let made = |change: fn(&mut Settings)| {
        let mut settings =
            Settings::kannel("https://sms.example.com/send", "https://keys.example.com/r", None);
        change(&mut settings);
        let variables = Variables::from_iter(
            ["username", "password", "sender"].map(|name| (name.to_owned(), String::new())),
        );
        Gateway::new(settings, variables, &Roots::Native, ambient()).err()
    };
    assert_eq!(made(|_| {}), None);
    let hole = made(|settings| settings.text.as_mut().unwrap().body = "${code}".into());
    assert_eq!(hole, Some(Misconfigured::Hole("code".into())));
    let method = made(|settings| settings.text.as_mut().unwrap().method = "DELETE".into());
    assert_eq!(method, Some(Misconfigured::Method));
    let clear = made(|settings| settings.text.as_mut().unwrap().url = "http://10.0.0.1/send".into());
    assert_eq!(clear, Some(sidekey_carrier::BadUrl::Unprotected.into()));
    let reserved = made(|settings| settings.ports.to = 49_152);
    assert_eq!(reserved, Some(Misconfigured::Ports));
    let anywhere = made(|settings| settings.text.as_mut().unwrap().url = "https://${to}/".into());
    assert_eq!(anywhere, Some(sidekey_carrier::BadUrl::Form.into()));
}
