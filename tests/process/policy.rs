//! `sidekey policy` as an administrator meets it.

use serde_json::{Value, json};

use crate::binary::Sidekey;

const AT: &str = "--server mail.example.org";
const ANN: &str = "ann@example.org";

#[test]
fn a_policy_is_tried_set_member_by_member_shown_and_unset() {
    let sidekey = Sidekey::new();
    let port = sidekey.init();
    let _serving = sidekey.serve(port);
    sidekey.run("server add mail.example.org").succeeded();

    let set = format!("policy set {AT} --suites C20P --session-ttl-max 8h");
    let tried = sidekey.json(&format!("{set} --dry-run"));
    assert_eq!((&tried["dry_run"], &tried["policy"]["version"]), (&json!(true), &json!(2)));
    assert_eq!(sidekey.json("policy list")["items"], json!([]), "nothing was changed");

    assert_eq!(sidekey.json(&set)["policy"]["revision"], 1);
    let said = sidekey.run(&format!("policy set {AT} --devices-max 2")).succeeded().out;
    assert!(said.contains("sessions rotated") && said.contains("Next: sidekey policy show"), "{said}");
    let shown = sidekey.json(&format!("policy show {AT} --user {ANN}"));
    let member = |name: &str| shown["effective"][name].clone();
    assert_eq!(member("suites"), json!({"value": ["C20P"], "from": "server"}));
    assert_eq!(member("session_ttl_max"), json!({"value": 28_800, "from": "server"}));
    assert_eq!(member("devices_max"), json!({"value": 2, "from": "server"}));
    let table = sidekey.run(&format!("policy show {AT}")).succeeded().out;
    assert!(table.contains("8h") && table.contains("at the server") && table.contains("built in"), "{table}");

    sidekey.run(&format!("policy unset suites {AT}")).succeeded();
    let rows = sidekey.json("policy list");
    assert_eq!(rows["items"][0]["setting"], json!({"session_ttl_max": 28_800, "devices_max": 2}));
    sidekey.run(&format!("policy unset {AT}")).succeeded();
    assert_eq!(sidekey.json("policy list")["items"], json!([]));
}

#[test]
fn a_policy_that_cannot_be_is_refused_and_changes_nothing() {
    let sidekey = Sidekey::new();
    let port = sidekey.init();
    let _serving = sidekey.serve(port);
    let code = |line: &str, exit: i32| -> Value {
        sidekey.run(&format!("{line} -o json")).failed(exit).problem()["code"].clone()
    };
    assert_eq!(code("policy set --suites A265GCM", 1), "policy_invalid");
    assert_eq!(code("policy set --suites RC4", 4), "suite_forbidden");
    assert_eq!(code("policy set --server nowhere --suites C20P", 3), "not_found");
    for line in ["policy set", "policy set --user ann --suites C20P", "policy unset nothing"] {
        assert_eq!(sidekey.run(line).failed(2).code, 2, "{line}");
    }
    assert_eq!(sidekey.json("policy list")["items"], json!([]));
}

#[test]
fn a_change_reaches_the_session_and_the_times_that_commands_ask_for() {
    let sidekey = Sidekey::new();
    let port = sidekey.init();
    let _serving = sidekey.serve(port);
    sidekey.pair("server add mail.example.org", "mail");
    sidekey.pair(&format!("client invite {ANN} {AT}"), "phone");
    let opened = sidekey.json(&format!("session open {ANN} --profile mail"));
    let session = opened["session"].as_str().unwrap();

    let done = sidekey.json("policy set --suites C20P --session-ttl-max 10m");
    assert_eq!((&done["concerns"]["sessions_rotated"], &done["concerns"]["devices"]), (&json!(1), &json!(1)));
    let key = sidekey.json(&format!("session key {session} --profile phone"));
    assert_eq!((&key["generation"], &key["suite"]), (&json!(1), &json!("C20P")));
    let next = sidekey.json(&format!("session open {ANN} --profile mail"));
    let lasts = next["not_after"].as_u64().unwrap() - next["not_before"].as_u64().unwrap();
    assert_eq!(lasts, 600);
    let longer =
        sidekey.run(&format!("session open {ANN} --ttl 1h --profile mail -o json")).failed(1).problem();
    assert_eq!(longer["code"], "ttl_out_of_range");
}
