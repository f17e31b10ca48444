//! A client and a server in Python that know nothing but `proto/`, at our service: that the specification is enough.

use std::process::Stdio;

use serde_json::{Value, json};
use sidekey_client::admin::{PairingFilter, Standing};
use sidekey_client::object::Kind;
use sidekey_tests::mail::{Fetch, opened, sealed};
use sidekey_tests::{ANN, MAIL, Office, System};
use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::process::Command;

use crate::envelope::{here, installed};

const LETTER: &[u8] = "Subject: hello\r\n\r\nGrüße\r\n".as_bytes();
/// Where [`Fetch::default`] finds a letter.
const PLACE: [&str; 4] = ["--uid-validity", "3", "--uid", "7"];

#[tokio::test(flavor = "multi_thread")]
async fn a_client_from_the_specification_alone_reads_what_our_server_seals_across_a_rekey() {
    let office = Office::open().await;
    let (theirs, _) = Theirs::pair(&office.system, "client").await;
    let key = office.session().await;
    let session = theirs.only_session().await;
    let letter = sealed(&office.mail, &key, &Fetch::default(), Kind::Literal, LETTER).await;
    theirs.reads(&session, &letter).await;

    assert_eq!(theirs.told(&["rekey"]).await["epoch"], 1);
    theirs.reads(&session, &letter).await;
    assert_eq!(theirs.told(&["status"]).await["epoch"], 1, "the service went with it");
    let short = theirs.told(&["key", "--session", &session, "--cose"]).await;
    assert_eq!(short, theirs.told(&["key", "--session", &session]).await, "one key in two envelopes");

    let target = json!({"kind": "pairing", "pairing": office.tablet.client.pairing()});
    office.revoke(&target).send().await.is(200);
    let refused = theirs.open(&session, &letter).await;
    assert_eq!(
        refused,
        (3, json!("generation_revoked")),
        "a revocation took the key that it was sealed under"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_from_the_specification_alone_takes_no_code_that_was_sent_where_nobody_approves() {
    let office = Office::open().await;
    let invited = office.system.invite(MAIL, Some(ANN)).await;
    let theirs = Theirs { folder: tempfile::tempdir().unwrap() };
    let link = invited.link.expose();
    let (address, _) = link.split_once('#').unwrap();
    let typed = ["--link", address, "--code", &invited.code.expose_printed()];
    let refused = theirs.pairs(&office.system, &typed).await.json(1);
    assert_eq!(refused["refused"], "Unvouched", "{refused}");
    let filter = PairingFilter { state: Some(Standing::Revoked), ..PairingFilter::default() };
    assert_eq!(office.system.admin.pairings(&filter).await.unwrap().len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_from_the_specification_alone_seals_what_our_client_reads() {
    let office = Office::open().await;
    let (theirs, _) = Theirs::pair(&office.system, "server").await;
    let opened_for_ann = theirs.told(&["session", "--user", ANN]).await;
    let session = opened_for_ann["session"].as_str().unwrap();
    let place = [&["seal", "--session", session, "--octets"], &PLACE[..]].concat();
    let letter = theirs.run(&place, LETTER).await.done();

    let key = office.phone.client.session_key(session.parse().unwrap()).await.unwrap();
    let read = opened(&office.phone, &key, &Fetch::default(), &letter).await.unwrap();
    assert_eq!(read, (Kind::Literal, LETTER.to_vec()));
    let elsewhere = Fetch { uid: 8, ..Fetch::default() };
    opened(&office.phone, &key, &elsewhere, &letter).await.unwrap_err();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_from_the_specification_alone_is_told_of_its_revocation_and_refused_from_then_on() {
    let office = Office::open().await;
    let (theirs, pairing) = Theirs::pair(&office.system, "client").await;
    office.session().await;
    let session = theirs.only_session().await;
    let mut listening = theirs.command(&["events", "--until", "revoked"]).kill_on_drop(true).spawn().unwrap();
    let mut events = BufReader::new(listening.stdout.take().unwrap()).lines();
    // The stream says at once how far it has told everything: from here on it is open.
    events.next_line().await.unwrap().unwrap();

    let target = json!({"kind": "pairing", "pairing": pairing});
    office.revoke(&target).send().await.is(200);
    let mut last = Value::Null;
    while let Some(line) = events.next_line().await.unwrap() {
        last = serde_json::from_str(&line).unwrap();
    }
    assert_eq!((&last["event"], &last["data"]["target"]), (&json!("revoked"), &target));
    for asked in [&["key", "--session", &session][..], &["current"], &["rekey"], &["status"]] {
        let refused = theirs.run(asked, b"").await.json(3);
        let problem = &refused["problem"];
        assert_eq!((&problem["status"], &problem["code"]), (&json!(410), &json!("revoked")), "{asked:?}");
        assert_eq!(problem["reason"], "phone lost");
    }
}

/// One of theirs, with what it keeps.
struct Theirs {
    folder: TempDir,
}

/// What a run of it came to.
struct Ran {
    status: i32,
    stdout: Vec<u8>,
}

impl Theirs {
    /// Pairs at [`MAIL`], a client as [`ANN`]'s.
    async fn pair(system: &System, role: &str) -> (Self, String) {
        let theirs = Self { folder: tempfile::tempdir().unwrap() };
        let link = system.invite(MAIL, (role == "client").then_some(ANN)).await.link;
        let told = theirs.pairs(system, &["--role", role, "--link", &link.expose()]).await.json(0);
        assert_eq!((&told["state"], &told["server"]), (&json!("active"), &json!(MAIL)));
        (theirs, told["pairing"].as_str().unwrap().to_owned())
    }

    async fn pairs(&self, system: &System, options: &[&str]) -> Ran {
        let ca = self.folder.path().join("ca.pem");
        std::fs::write(&ca, &system.ca).unwrap();
        self.run(&[&["pair", "--ca", ca.to_str().unwrap()], options].concat(), b"").await
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(installed(here().join(".venv/bin/python")));
        let profile = self.folder.path().join("profile.json");
        command.args(["-B", "-m", "client", "--profile"]).arg(profile).args(arguments).current_dir(here());
        command.stdin(Stdio::piped()).stdout(Stdio::piped());
        command
    }

    async fn run(&self, arguments: &[&str], input: &[u8]) -> Ran {
        let mut child = self.command(arguments).spawn().unwrap();
        child.stdin.take().unwrap().write_all(input).await.unwrap();
        let output = child.wait_with_output().await.unwrap();
        Ran { status: output.status.code().unwrap(), stdout: output.stdout }
    }

    async fn told(&self, arguments: &[&str]) -> Value {
        self.run(arguments, b"").await.json(0)
    }

    async fn only_session(&self) -> String {
        let told = self.told(&["current"]).await;
        assert_eq!(told["items"].as_array().unwrap().len(), 1, "{told}");
        told["items"][0]["session"].as_str().unwrap().to_owned()
    }

    async fn open(&self, session: &str, letter: &[u8]) -> (i32, Value) {
        let arguments = [&["open", "--session", session, "--octets"], &PLACE[..]].concat();
        let ran = self.run(&arguments, letter).await;
        let told = ran.json(ran.status);
        (ran.status, if ran.status == 0 { told["text"].clone() } else { told["problem"]["code"].clone() })
    }

    async fn reads(&self, session: &str, letter: &[u8]) {
        let text = std::str::from_utf8(LETTER).unwrap();
        assert_eq!(self.open(session, letter).await, (0, json!(text)));
    }
}

impl Ran {
    /// What it said, ending with this status.
    #[track_caller]
    fn json(&self, status: i32) -> Value {
        let text = String::from_utf8_lossy(&self.stdout);
        assert_eq!(self.status, status, "{text}");
        serde_json::from_str(&text).unwrap()
    }

    #[track_caller]
    fn done(self) -> Vec<u8> {
        assert_eq!(self.status, 0, "{}", String::from_utf8_lossy(&self.stdout));
        self.stdout
    }
}
