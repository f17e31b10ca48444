//! The webhook, as npm's standardwebhooks verifies it.

use std::io::Write as _;
use std::process::{Command, Stdio};
use std::time::{SystemTime, UNIX_EPOCH};

use rand_chacha::ChaCha20Rng;
use rand_core::SeedableRng as _;
use serde_json::{Value, json};
use sidekey_carrier::webhook::{Misconfigured, Webhook};
use sidekey_carrier::{Ambient, Carrier as _, Payload, Refusal, Roots, Trouble, Undelivered};
use sidekey_protocol::ids::Timestamp;

use crate::{envelope, invitation, phone};
use sidekey_tests::others::process::counterparts;
use sidekey_tests::others::server::{Say, Seen, Server};

const SECRET: &[u8] = b"a secret of 32 octets, as it is.";
const SECRET_BASE64: &str = "YSBzZWNyZXQgb2YgMzIgb2N0ZXRzLCBhcyBpdCBpcy4=";

/// By the clock on the wall, which the counterpart goes by.
#[expect(clippy::disallowed_methods, reason = "the counterpart takes no clock")]
fn carrier(server: &Server) -> Webhook {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
    let now = Timestamp(u32::try_from(now).unwrap());
    let ambient = Ambient::new(move || now, ChaCha20Rng::seed_from_u64(1));
    Webhook::new(server.url("/hook").parse().unwrap(), SECRET, &Roots::Native, ambient).unwrap()
}

fn verified(seen: &Seen, secret: &str) -> Value {
    let mut node = Command::new("node")
        .args(["webhook.js", secret])
        .current_dir(counterparts())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let request = json!({ "headers": seen.headers, "body": String::from_utf8_lossy(&seen.body) });
    node.stdin.take().unwrap().write_all(request.to_string().as_bytes()).unwrap();
    serde_json::from_slice(&node.wait_with_output().unwrap().stdout).unwrap()
}

#[tokio::test]
async fn what_is_posted_is_verified_by_others() {
    let server = Server::start(|_| Say::status(204)).await;
    let carrier = carrier(&server);
    let receipt = carrier.send(&phone("+491700000000"), &Payload::Sealed(envelope().into())).await.unwrap();
    carrier.send(&phone("+491700000000"), &invitation()).await.unwrap();
    let seen = server.seen();
    assert_eq!(receipt.ids()[0].as_str(), seen[0].headers["webhook-id"]);
    assert_ne!(seen[0].headers["webhook-id"], seen[1].headers["webhook-id"]);
    let body = verified(&seen[0], SECRET_BASE64);
    assert_eq!((&body["kind"], &body["to"]), (&json!("envelope"), &json!("+491700000000")));
    assert!(body["payload"].as_str().unwrap().starts_with("AAIEBggKDA4"));
    assert!(verified(&seen[0], "AAAA")["refused"].is_string(), "another secret");
    let mut altered = seen[0].clone();
    altered.body[10] ^= 1;
    assert!(verified(&altered, SECRET_BASE64)["refused"].is_string(), "another body");
    assert_eq!(verified(&seen[1], SECRET_BASE64)["kind"], "invitation");
}

#[tokio::test]
async fn a_receiver_that_is_gone_is_never_asked_again_and_one_in_trouble_is() {
    let gone = Server::start(|_| Say::status(410)).await;
    let outcome = carrier(&gone).send(&phone("+491700000000"), &invitation()).await;
    assert_eq!(outcome, Err(Refusal::Address.into()));
    let down = Server::start(|_| Say::status(500)).await;
    let outcome = carrier(&down).send(&phone("+491700000000"), &invitation()).await;
    assert!(matches!(outcome, Err(Undelivered::Retry { why: Trouble::Bearer, .. })), "{outcome:?}");
}

#[test]
fn a_secret_that_is_short_is_refused() {
    let url = || "https://hooks.example.com".parse().unwrap();
    let made = |secret: &[u8]| Webhook::new(url(), secret, &Roots::Native, crate::ambient()).err();
    assert_eq!(made(&[7; 23]), Some(Misconfigured::Secret));
    assert_eq!(made(&[7; 24]), None);
}
