//! schemathesis (Python) reads the service's own description of itself, sends what comes to its mind, right and wrong, as
//! each of the three roles, and holds every answer against the description.

use std::collections::BTreeMap;
use std::process::Command;

use http::Method;
use serde::Deserialize;
use serde_json::{Value, json};
use sidekey_client::admin::Invite;
use sidekey_protocol::crypto::{EcdhSecret, KemSecret};
use sidekey_protocol::delivery::wire::CarrierKind;
use sidekey_protocol::encoding::Bytes;
use sidekey_protocol::ids::{PartyId, Role};
use sidekey_protocol::pairing::Approval;
use sidekey_tests::stranger::Stranger;
use sidekey_tests::{ANN, MAIL, Office, Post, REPORTS, System, kannel, server, user};
use tempfile::TempDir;

use crate::envelope::{here, installed};

/// Requests for each operation, unless it takes nothing and all are the same.
const EXAMPLES: u32 = 200;
/// A server that nothing happens at.
const QUIET: &str = "quiet.example.org";
/// Pairings that wait to be approved.
const WAITING: usize = 16;
/// Pairings that may go.
const SPARES: usize = 8;

#[tokio::test(flavor = "multi_thread")]
async fn schemathesis_finds_nothing_as_a_server() {
    let (office, _folder) = office().await;
    let own = (office.mail.server.pairing(), office.mail.keys.token());
    drive("server", &office, own).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn schemathesis_finds_nothing_as_a_client() {
    let (office, _folder) = office().await;
    let own = (office.phone.client.pairing(), office.phone.keys.token());
    drive("client", &office, own).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn schemathesis_finds_nothing_as_an_administrator() {
    let (office, _folder) = office().await;
    let own = (office.phone.client.pairing(), office.system.admin_token());
    drive("admin", &office, own).await;
}

/// Restored from an older copy, it answers nothing but what is asked about that.
#[tokio::test(flavor = "multi_thread")]
async fn schemathesis_finds_nothing_at_a_restored_service() {
    let (mut office, _folder) = office().await;
    let description = description(&office.system).await;
    let copy = office.system.copy().await;
    let target = json!({"kind": "pairing", "pairing": office.tablet.client.pairing()});
    office.revoke(&target).send().await.is(200);
    // The phone is shown the head of that revocation, and shows it.
    office.phone.client.policy().await.unwrap();
    office.system.put_back(&copy).await;
    office.phone.client.current().await.unwrap_err();
    let missing = office.system.admin.restore_status().await.unwrap().missing;
    for (role, token) in [
        ("admin", office.system.admin_token()),
        ("client", office.phone.keys.token()),
        ("server", office.mail.keys.token()),
    ] {
        let mut operations = operations(role, &description);
        operations.retain(|name, _| name.starts_with("restore_"));
        let pool = json!({
            "role": role, "url": office.system.url.as_str(), "missing": missing,
            "tokens": {"admin": office.system.admin_token()},
        });
        run(&office.system, &token, &description, &operations, pool).await;
    }
}

/// With a carrier to phones whose bearer is down, so that what it is to deliver waits, and a gateway that reports.
async fn office() -> (Office, TempDir) {
    let sms = Post::default();
    sms.fail();
    let (delivery, folder) = kannel("gateway", "http://127.0.0.1:9/");
    let carriers = move || vec![sms.handed("sms", CarrierKind::Smpp)];
    let office = Office::open_on(System::start_delivering(delivery, carriers).await).await;
    let sms = "sms".parse().unwrap();
    for (phone, number) in [(&office.phone, "+491700000000"), (&office.tablet, "+491700000001")] {
        office.system.admin.set_address(phone.client.pairing(), &sms, Some(number)).await.unwrap();
    }
    (office, folder)
}

/// What the hooks tell at the end.
#[derive(Deserialize)]
struct Told {
    /// By operation and status.
    answers: BTreeMap<String, BTreeMap<u16, u32>>,
    /// Operations that cannot succeed here, and why.
    without_success: BTreeMap<String, String>,
}

/// As one role, with the operations that are open to it.
async fn drive(role: &str, office: &Office, (pairing, token): (PartyId, String)) {
    let description = description(&office.system).await;
    let pool = pool(role, office, pairing).await;
    run(&office.system, &token, &description, &operations(role, &description), pool).await;
}

/// As the service gives it.
async fn description(system: &System) -> Value {
    system.ask(Method::GET, "/openapi.json").send().await.is(200).json()
}

async fn run(
    system: &System,
    token: &str,
    description: &Value,
    operations: &BTreeMap<String, bool>,
    mut pool: Value,
) {
    let folder = tempfile::tempdir().unwrap();
    let file = |name: &str| folder.path().join(name);
    pool["ca"] = json!(file("ca.pem"));
    std::fs::write(file("ca.pem"), &system.ca).unwrap();
    std::fs::write(file("openapi.json"), description.to_string()).unwrap();
    std::fs::write(file("pool.json"), pool.to_string()).unwrap();

    let mut command = Command::new(installed(here().join(".venv/bin/schemathesis")));
    command
        .arg("--config-file")
        .arg(here().join("schemathesis/schemathesis.toml"))
        .args(["run", "openapi.json", "--url", system.url.as_str(), "--tls-verify", "ca.pem"])
        .args(["--header", &format!("Authorization: Bearer {token}")])
        .args(["--max-examples", &EXAMPLES.to_string()])
        .args(operations.keys().flat_map(|name| ["--include-operation-id", name]))
        .current_dir(&folder)
        .env("SCHEMATHESIS_HOOKS", here().join("schemathesis/hooks.py"))
        .env("SIDEKEY_POOL", file("pool.json"))
        .env("SIDEKEY_ANSWERS", file("answers.json"));
    let status = tokio::task::spawn_blocking(move || command.status()).await.unwrap().unwrap();

    let told: Told = serde_json::from_slice(&std::fs::read(file("answers.json")).unwrap()).unwrap();
    let missing = report(operations, &told);
    assert!(status.success(), "schemathesis has found something: {status}");
    assert!(missing.is_empty(), "{missing:#?}");
}

/// The operations that a role may call, and whether each takes anything. What is open to everybody is the client's.
fn operations(role: &str, description: &Value) -> BTreeMap<String, bool> {
    let paths = description["paths"].as_object().unwrap().values();
    let all = paths.flat_map(|path| path.as_object().unwrap().values());
    let open_to = |operation: &&Value| {
        let roles = operation["x-roles"].as_array().unwrap();
        roles.contains(&json!(role)) || (roles.is_empty() && role == "client")
    };
    let named = |operation: &Value| {
        let takes = operation.get("parameters").is_some() || operation.get("requestBody").is_some();
        (operation["operationId"].as_str().unwrap().to_owned(), takes)
    };
    all.filter(open_to).map(named).collect()
}

/// What the hooks cannot make by themselves.
async fn pool(role: &str, office: &Office, pairing: PartyId) -> Value {
    let system = &office.system;
    system.add_server(QUIET).await;
    let approval = if role == "client" { Approval::Device } else { Approval::Admin };
    let mut waiting = Vec::new();
    for _ in 0..WAITING {
        let (paired, _) = paired(system, ANN, Some(approval)).await;
        waiting.push(json!({"pairing": paired.pairing, "digits": paired.digits}));
    }
    let refuse = waiting.split_off(WAITING / 2);
    let mut spares = Vec::new();
    for n in 0..SPARES {
        let whose = format!("spare-{n}@example.org");
        let (paired, keys) = paired(system, &whose, None).await;
        spares.push(json!({"pairing": paired.pairing, "user": whose, "token": keys.token()}));
    }
    let (begin, finish) = (system.invite(MAIL, Some(ANN)).await, system.invite(MAIL, Some(ANN)).await);
    let stranger = Stranger::with(system, begin.invitation, &begin.code);
    let mut begun = system.begun(finish.invitation, &finish.code).await;
    let mut rng = system.rng();
    let point = Bytes(EcdhSecret::generate(&mut rng).point().to_vec());
    let kem_ek = Bytes(KemSecret::generate(&mut rng).encapsulation_key());
    json!({
        "role": role,
        "url": system.url.as_str(),
        "tokens": {"server": office.mail.keys.token(), "admin": system.admin_token()},
        "server": MAIL, "user": ANN,
        "pairing": pairing, "device": office.phone.client.pairing(), "other": office.tablet.client.pairing(),
        "quiet": {"server": QUIET, "user": ANN},
        "approve": waiting, "refuse": refuse, "spares": spares,
        "begin": {"invitation": begin.invitation, "body": stranger.begin},
        "finish": {"invitation": finish.invitation, "body": begun.honest_finish()},
        "gateway": {"carrier": "gateway", "token": REPORTS},
        "rekey": {"from": 0, "point": point, "kem_ek": kem_ek},
    })
}

async fn paired(
    system: &System,
    whom: &str,
    approval: Option<Approval>,
) -> (sidekey_client::Paired, sidekey_tests::Keys) {
    let invite =
        Invite { role: Role::Client, server: server(MAIL), user: Some(user(whom)), ttl_s: None, approval };
    let invited = system.admin.invite(&invite).await.unwrap();
    system.pair(system.accept(&invited, Role::Client)).await.unwrap()
}

/// Prints how often each operation succeeded; gives those of which too little was seen.
#[expect(clippy::print_stdout, reason = "the shares are for whoever reads what the run says")]
fn report(operations: &BTreeMap<String, bool>, told: &Told) -> Vec<String> {
    let mut missing = Vec::new();
    for (name, takes) in operations {
        let answers = told.answers.get(name).cloned().unwrap_or_default();
        let all: u32 = answers.values().sum();
        let well: u32 = answers.range(200..300).map(|(_, count)| count).sum();
        println!("{name:<28} {all:>5} requests, {:>3} % of them 2xx", 100 * well / all.max(1));
        if *takes && all < EXAMPLES {
            missing.push(format!("{name}: {all} requests"));
        }
        match told.without_success.get(name) {
            None if well == 0 => missing.push(format!("{name} never succeeded: {answers:?}")),
            Some(reason) if well > 0 => missing.push(format!("{name} succeeds, though {reason}")),
            _ => {}
        }
    }
    missing
}
