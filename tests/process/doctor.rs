//! `sidekey doctor` sees what is broken, says what mends it, and what it could not see.

use std::fs;
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::time::{Duration, SystemTime};

use serde_json::Value;

use crate::binary::{Serving, Sidekey};

/// One check of a report.
fn item<'a>(report: &'a Value, check: &str) -> &'a Value {
    let items = report["items"].as_array().unwrap();
    items.iter().find(|item| item["check"] == check).unwrap_or_else(|| panic!("{check}: {report:#}"))
}

fn outcome<'a>(report: &'a Value, check: &str) -> &'a str {
    item(report, check)["outcome"].as_str().unwrap()
}

/// Runs it with this set in the environment; it must end as its findings say.
fn doctor(sidekey: &Sidekey, options: &str, set: &[(&str, &str)]) -> Value {
    let mut command = sidekey.command(&format!("doctor {options} -o json"));
    for name in ["HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy"] {
        command.env_remove(name);
    }
    let output = command.envs(set.iter().copied()).output().unwrap();
    let report: Value = serde_json::from_slice(&output.stdout)
        .unwrap_or_else(|error| panic!("{error}: {}", String::from_utf8_lossy(&output.stderr)));
    let expected = i32::from(report["findings"].as_u64().unwrap() > 0);
    assert_eq!(output.status.code(), Some(expected), "{report:#}");
    report
}

/// That this is found, with its mend.
#[track_caller]
fn found(report: &Value, check: &str, said: &str) {
    let item = item(report, check);
    assert_eq!(item["outcome"], "finding", "{report:#}");
    assert!(item["said"].as_str().unwrap().contains(said), "{item:#}");
    assert!(item["mend"].as_str().is_some_and(|mend| mend.len() > 5), "{item:#}");
}

#[test]
fn doctor_finds_nothing_wrong_with_a_service_that_runs() {
    let sidekey = Sidekey::new();
    let port = sidekey.init();
    let _serving = sidekey.serve(port);
    let report = doctor(&sidekey, "", &[]);
    let items = report["items"].as_array().unwrap();
    assert!(items.len() >= 15, "{report:#}");
    assert!(items.iter().all(|item| item["outcome"] == "fine"), "{report:#}");

    // As an administrator elsewhere: no folder, a credential alone.
    let elsewhere = Sidekey::new();
    let credential = sidekey.data().join("admin.json");
    let report = doctor(&elsewhere, &format!("--admin {}", credential.display()), &[]);
    assert_eq!((outcome(&report, "admin credential"), outcome(&report, "TLS")), ("fine", "fine"));
    assert_eq!(outcome(&report, "root key"), "unknown");

    let text = sidekey.run("doctor").succeeded();
    assert!(text.out.contains("no fault") && text.out.contains("name resolution"), "{}", text.out);
}

#[test]
fn doctor_says_what_it_cannot_see_of_a_service_that_does_not_run() {
    let sidekey = Sidekey::new();
    sidekey.run("doctor").failed(3);
    sidekey.init();
    let report = doctor(&sidekey, "", &[]);
    assert_eq!(report["findings"], 0, "{report:#}");
    for check in ["reachability", "TLS", "admin credential"] {
        let item = item(&report, check);
        assert_eq!(item["outcome"], "unknown", "{report:#}");
        assert!(item["said"].as_str().unwrap().contains("sidekey serve"), "{item}");
    }
    for check in ["audit", "root key", "certificate", "permissions", "ports", "lag"] {
        assert_eq!(outcome(&report, check), "fine", "{report:#}");
    }
}

#[test]
fn doctor_finds_what_is_broken_in_a_folder() {
    let sidekey = Sidekey::new();
    sidekey.init();
    let data = sidekey.data();
    let hour = Duration::from_secs(3600);
    let touch = |folder: &str, at: SystemTime| {
        for entry in fs::read_dir(data.join(folder)).unwrap() {
            fs::File::open(entry.unwrap().path()).unwrap().set_modified(at).unwrap();
        }
    };
    #[expect(clippy::disallowed_methods, reason = "files are dated by the real clock")]
    let now = SystemTime::now();

    touch("journal", now + hour);
    found(&doctor(&sidekey, "", &[]), "clock", "went back");
    touch("journal", now);

    // Nothing has been written behind the journal yet: a service that ran has.
    Serving::start(&mut sidekey.command("serve --listen 127.0.0.1:0")).stop("TERM");
    touch("state", now - hour);
    touch("journal", now);
    found(&doctor(&sidekey, "", &[]), "lag", "behind the journal");
    touch("state", now);

    let private = data.join("tls.key");
    fs::set_permissions(&private, fs::Permissions::from_mode(0o640)).unwrap();
    let report = doctor(&sidekey, "", &[]);
    found(&report, "permissions", "others can read");
    // The mend is a command, and mends it.
    let mend = item(&report, "permissions")["mend"].as_str().unwrap();
    assert!(std::process::Command::new("sh").args(["-c", mend]).status().unwrap().success());
    assert_eq!(outcome(&doctor(&sidekey, "", &[]), "permissions"), "fine");

    found(&doctor(&sidekey, "--free 99999999999", &[]), "disk space", "MiB are free");

    let other = Sidekey::new();
    other.init();
    let swapped = |name: &str, check: &str, said: &str| {
        let (ours, theirs) = (data.join(name), other.data().join(name));
        let kept = fs::read(&ours).unwrap();
        fs::copy(&theirs, &ours).unwrap();
        found(&doctor(&sidekey, "", &[]), check, said);
        fs::write(&ours, kept).unwrap();
    };
    swapped("root.key", "root key", "wrong root key");
    swapped("tls.key", "certificate", "is not the certificate of");
    swapped("ca.pem", "certificate", "vouches");
    altered(&data.join("journal"), || found(&doctor(&sidekey, "", &[]), "audit", "record"));
    assert_eq!(doctor(&sidekey, "", &[])["findings"], 0, "all is as it was");

    fs::remove_file(data.join("tls.pem")).unwrap();
    let report = doctor(&sidekey, "", &[]);
    found(&report, "permissions", "is not there");
    found(&report, "certificate", "tls.pem");
    fs::write(data.join("sidekey.toml"), "listn = 1").unwrap();
    found(&doctor(&sidekey, "", &[]), "configuration", "listn");
}

/// With one octet of the first record of a journal changed.
fn altered(journal: &Path, look: impl FnOnce()) {
    let segment = fs::read_dir(journal).unwrap().map(|entry| entry.unwrap().path()).min().unwrap();
    let mut octets = fs::read(&segment).unwrap();
    octets[100] ^= 1;
    fs::write(&segment, &octets).unwrap();
    look();
    octets[100] ^= 1;
    fs::write(&segment, &octets).unwrap();
}

#[test]
fn doctor_finds_what_is_wrong_around_a_folder() {
    let sidekey = Sidekey::new();
    let port = sidekey.init();
    let nowhere = format!("https://nowhere.invalid:{port}");
    let report = doctor(&sidekey, "", &[("SIDEKEY__PUBLIC_URL", &nowhere)]);
    found(&report, "certificate", "does not name nowhere.invalid");
    fs::remove_file(sidekey.data().join("admin.json")).unwrap();
    let report = doctor(&sidekey, "", &[("SIDEKEY__PUBLIC_URL", &nowhere)]);
    found(&report, "name resolution", "nowhere.invalid");

    found(
        &doctor(&sidekey, "", &[("HTTPS_PROXY", "http://proxy.example:3128")]),
        "environment",
        "HTTPS_PROXY",
    );
    found(&doctor(&sidekey, "", &[("SIDEKEY_DTA", "x")]), "environment", "SIDEKEY_DTA");
    found(&doctor(&sidekey, "", &[("SIDEKEY__LIMITS__STREAMS", "0")]), "options", "streams");

    let _other = TcpListener::bind(("127.0.0.1", port)).unwrap();
    found(&doctor(&sidekey, "--timeout 2s", &[]), "other instance", "another program listens");
}

#[test]
fn doctor_finds_a_service_that_is_not_where_it_should_be_or_not_this_program() {
    let sidekey = Sidekey::new();
    sidekey.init();
    let program = sidekey.path("sidekey");
    fs::copy(env!("CARGO_BIN_EXE_sidekey"), &program).unwrap();
    let mut command = std::process::Command::new(&program);
    command.args(["serve", "--listen", "127.0.0.1:0"]).env("SIDEKEY_DATA", sidekey.data());
    let _serving = Serving::start(&mut command);
    let report = doctor(&sidekey, "--timeout 2s", &[]);
    found(&report, "other instance", "nothing listens");
    found(&report, "reachability", "does not answer");
    assert_eq!(outcome(&report, "versions"), "fine", "a copy is the same program: {report:#}");
    fs::remove_file(&program).unwrap();
    found(&doctor(&sidekey, "--timeout 2s", &[]), "versions", "replaced");
}

#[test]
fn doctor_finds_a_credential_that_the_service_does_not_take() {
    let sidekey = Sidekey::new();
    let port = sidekey.init();
    let _serving = sidekey.serve(port);
    let path = sidekey.data().join("admin.json");
    let mut credential: Value = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
    credential["party"] = "000102030405060708090a0b0c0d0e0f".into();
    fs::write(&path, credential.to_string()).unwrap();
    let report = doctor(&sidekey, "", &[]);
    found(&report, "admin credential", "does not take it");
    assert_eq!(report["findings"], 1, "{report:#}");
}
