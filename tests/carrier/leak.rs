//! What the carriers log, at the most talkative level.

use std::io;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use sidekey_carrier::sms::Ports;
use sidekey_carrier::sms::http::{Gateway, Settings, Variables};
use sidekey_carrier::sms::smpp::{self, Smpp};
use sidekey_carrier::webhook::Webhook;
use sidekey_carrier::{Carrier, Payload, Roots};
use tracing_subscriber::fmt::MakeWriter;

use crate::{ambient, envelope, phone};
use sidekey_tests::others::process::{Process, counterparts, free_port};
use sidekey_tests::others::server::{Say, Server};

#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl io::Write for Log {
    fn write(&mut self, octets: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(octets);
        Ok(octets.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl<'a> MakeWriter<'a> for Log {
    type Writer = Self;

    fn make_writer(&'a self) -> Self {
        self.clone()
    }
}

/// The log of this process: whatever other tests do meanwhile may not leak either.
#[tokio::test]
async fn no_password_no_payload_and_no_number_reaches_the_log() {
    let log = Log::default();
    let subscriber = tracing_subscriber::fmt().with_max_level(tracing::Level::TRACE).with_writer(log.clone());
    tracing::subscriber::set_global_default(subscriber.finish()).unwrap();
    let server = Server::start(|_| Say::status(202)).await;
    let variables =
        Variables::from_iter(["username", "password", "sender"].map(|name| (name.into(), "pa55word".into())));
    let kannel = Settings::kannel(&server.url("/sendsms"), "https://keys.example.com/r", None);
    let gateway = Gateway::new(kannel, variables, &Roots::Native, ambient()).unwrap();
    let webhook = Webhook::new(
        server.url("/hook").parse().unwrap(),
        b"pa55word, and enough more of it",
        &Roots::Native,
        ambient(),
    )
    .unwrap();
    let port = free_port();
    let mut smsc =
        Process::start("node", &["smsc.js", &port.to_string(), "kms", "pa55word"], &counterparts());
    smsc.event("listening").await;
    let (smpp, _reports, driver) = Smpp::new(&settings(port), ambient()).unwrap();
    tokio::spawn(driver);
    for carrier in [&gateway as &dyn Carrier, &webhook, &smpp] {
        carrier.send(&phone("+491700000000"), &Payload::Sealed(envelope().into())).await.unwrap();
        tracing::info!(?carrier, "sent");
    }
    let log = String::from_utf8(log.0.lock().unwrap().clone()).unwrap();
    assert!(log.contains("bound to the SMSC") && log.contains("sent"), "the log was captured");
    for secret in [
        "pa55word",
        "cGE1NXdvcmQ",
        "491700000000",
        "20406080a0c0e1012",
        "AgQGCAoMDhASFBYYGhwe",
        "2, 4, 6, 8, 10, 12",
    ] {
        assert!(!log.contains(secret), "{secret} in the log");
    }
}

fn settings(port: u16) -> smpp::Settings {
    smpp::Settings {
        host: "127.0.0.1".into(),
        port,
        tls: None,
        system_id: "kms".into(),
        password: "pa55word".to_owned().into(),
        system_type: String::new(),
        sender: "Example".into(),
        ports: Ports::default(),
        window: 1,
        validity: Duration::from_secs(3600),
        answer: Duration::from_secs(5),
        enquire_link: Duration::from_secs(30),
    }
}
