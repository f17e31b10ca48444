//! `sidekey config`: what holds and who said so, and whether it can be used.

use std::fs;
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt as _;

use serde_json::Value;

use crate::binary::{Serving, Sidekey};

fn option<'a>(dump: &'a Value, name: &str) -> &'a Value {
    dump["items"].as_array().unwrap().iter().find(|item| item["option"] == name).unwrap()
}

#[test]
fn config_dump_says_what_holds_and_who_said_so() {
    let sidekey = Sidekey::new();
    let port = sidekey.init();
    let path = sidekey.data().join("sidekey.toml");
    let mut command = sidekey.command("config dump --listen 127.0.0.1:9 -o json");
    let output = command.env("SIDEKEY__LIMITS__DRAIN_S", "7").env("SIDEKEY__LISTEN", "127.0.0.1:8").output();
    let dump: Value = serde_json::from_slice(&output.unwrap().stdout).unwrap();
    let said = |name: &str| {
        let item = option(&dump, name);
        (item["value"].clone(), item["origin"].as_str().unwrap().to_owned(), item["from"].clone())
    };
    assert_eq!(said("listen"), ("127.0.0.1:9".into(), "flag".into(), "--listen".into()));
    let drain = (7.into(), "environment".into(), "SIDEKEY__LIMITS__DRAIN_S".into());
    assert_eq!(said("limits.drain_s"), drain);
    let url = format!("https://localhost:{port}");
    assert_eq!(said("public_url"), (url.as_str().into(), "file".into(), path.display().to_string().into()));
    fs::write(&path, format!("public_url = \"{url}\"\n")).unwrap();
    let dump = sidekey.json("config dump");
    assert_eq!(option(&dump, "limits.body_s")["origin"], "default");

    let redacted = sidekey.run("config dump --redacted -o json").succeeded().out;
    for hidden in ["localhost", "127.0.0.1", "tls.pem", "root.key", sidekey.path("").to_str().unwrap()] {
        assert!(!redacted.contains(hidden), "{hidden}: {redacted}");
    }
    assert_eq!(option(&serde_json::from_str(&redacted).unwrap(), "limits.body_s")["value"], 10);
    sidekey.run("config dump nowhere.toml").failed(3);
    let wrong = sidekey.command("config dump").env("SIDEKEY__LISTN", "x").output().unwrap();
    let said = String::from_utf8(wrong.stderr).unwrap();
    assert!(wrong.status.code() == Some(1) && said.contains("SIDEKEY__LISTN"), "{said}");
}

#[test]
fn serve_does_what_config_dump_says() {
    let sidekey = Sidekey::new();
    sidekey.init();
    let free = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let serving = Serving::start(sidekey.command("serve").env("SIDEKEY__LISTEN", free.to_string()));
    assert!(serving.ready.contains(&format!("listening on {free}")), "{}", serving.ready);
}

#[test]
fn config_check_finds_what_would_stop_the_service_and_changes_nothing() {
    let sidekey = Sidekey::new();
    let port = sidekey.init();
    let data = sidekey.data();
    let names = || {
        let mut names: Vec<_> =
            fs::read_dir(&data).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        names.sort();
        names
    };
    let before = names();
    let fine = sidekey.json("config check");
    assert_eq!((fine["findings"].as_u64(), fine["unknown"].as_u64()), (Some(0), Some(0)), "{fine:#}");
    assert_eq!(names(), before);

    let fault = |check: &str| {
        let ran = sidekey.run("config check -o json");
        assert_eq!(ran.code, 2, "{ran:?}");
        let report = ran.json();
        let item =
            report["items"].as_array().unwrap().iter().find(|item| item["check"] == check).unwrap().clone();
        assert_eq!(item["outcome"], "finding", "{report:#}");
        assert!(item["mend"].is_string(), "{item}");
    };
    let taken = TcpListener::bind(("127.0.0.1", port)).unwrap();
    fault("ports");
    drop(taken);
    let key = data.join("root.key");
    fs::set_permissions(&key, fs::Permissions::from_mode(0o644)).unwrap();
    fault("permissions");
    fs::set_permissions(&key, fs::Permissions::from_mode(0o600)).unwrap();
    let pem = fs::read(data.join("tls.pem")).unwrap();
    fs::copy(data.join("ca.pem"), data.join("tls.pem")).unwrap();
    fault("certificate");
    fs::write(data.join("tls.pem"), pem).unwrap();
    let text = fs::read_to_string(data.join("sidekey.toml")).unwrap();
    fs::write(data.join("sidekey.toml"), text.replace("streams = 100", "streams = 0")).unwrap();
    fault("options");
    fs::write(data.join("sidekey.toml"), text.replace("streams = 100", "streems = 100")).unwrap();
    fault("configuration");
    let named = data.join("other.toml");
    fs::write(&named, text).unwrap();
    let fine = sidekey.json(&format!("config check {}", named.display()));
    assert_eq!(fine["findings"], 0, "{fine:#}");
}
