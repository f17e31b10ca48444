//! `sidekey credential`: what an operator's proxy is given, and taken from it.

use crate::binary::{Serving, Sidekey};

const USER: &str = "ann@example.org";
const SERVER: &str = "mail.example.org";

fn service(sidekey: &Sidekey) -> Serving {
    let port = sidekey.init();
    let serving = sidekey.serve(port);
    sidekey.run(&format!("server add {SERVER}")).succeeded();
    serving
}

#[test]
fn a_credential_is_issued_listed_and_revoked_by_whom_it_is_for() {
    let sidekey = Sidekey::new();
    let _serving = service(&sidekey);
    // The only mail server there is need not be named.
    let issued = sidekey.json(&format!("credential issue {USER} --for push --ttl 90d"));
    let secret = issued["secret"].as_str().unwrap().to_owned();
    assert_eq!(
        (secret.len(), issued["user"].as_str(), issued["label"].as_str()),
        (24, Some(USER), Some("push"))
    );
    let lasts = issued["expires"].as_u64().unwrap() - issued["created"].as_u64().unwrap();
    assert_eq!(lasts, 90 * 86_400);
    let shown =
        sidekey.run(&format!("credential issue {USER} --for \"Ann's app\" --server {SERVER}")).succeeded();
    for word in
        ["password", "is not shown again", "log in as", "when it is revoked", "Next: give the password"]
    {
        assert!(shown.out.contains(word), "{word}: {}", shown.out);
    }
    let list = sidekey.run("credential list").succeeded().out;
    assert!(list.contains("2 credentials:") && list.contains("push") && !list.contains(&secret), "{list}");

    let id = issued["credential"].as_str().unwrap();
    let would = sidekey.json(&format!("credential revoke {USER} --for push --reason leaked --dry-run"));
    assert_eq!((would["credentials"].as_u64(), would["dry_run"].as_bool()), (Some(1), Some(true)));
    // Nobody can be asked.
    sidekey.run(&format!("credential revoke {USER} --for push --reason leaked")).failed(2);
    let live = sidekey.json("credential list --state active");
    assert_eq!(live["items"].as_array().unwrap().len(), 2);
    let done = sidekey.json(&format!("credential revoke {USER} --for push --reason leaked --yes"));
    assert_eq!(done["target"]["credential"].as_str(), Some(id));
    let gone = sidekey.json("credential list --state revoked");
    assert_eq!(gone["items"][0]["revoked"]["reason"], "leaked");
    let again = sidekey.json(&format!("revoke credential {id} --reason leaked --yes"));
    assert_eq!(again["already_revoked"], true);
}

#[test]
fn what_cannot_be_done_says_what_to_do_next() {
    let sidekey = Sidekey::new();
    let _serving = service(&sidekey);
    sidekey.json(&format!("credential issue {USER} --for push"));
    for (line, code, name) in [
        (format!("credential issue {USER} --for push"), 5, "credential_exists"),
        (format!("credential issue {USER} --for sync --server nowhere"), 3, "not_found"),
        (format!("credential issue {USER} --for sync --ttl 5s"), 1, "ttl_out_of_range"),
        (format!("credential revoke {USER} --for sync --reason leaked --yes"), 3, "not_found"),
        (format!("revoke credential {} --reason leaked --yes", "00".repeat(16)), 3, "not_found"),
    ] {
        let problem = sidekey.run(&format!("{line} -o json")).failed(code).problem();
        assert_eq!(problem["code"], name, "{line}");
        assert!(problem["next"].is_string(), "{problem}");
    }
    for line in [
        "credential issue",
        "credential issue ann",
        "credential revoke ann --reason x",
        "credential list --state gone",
    ] {
        sidekey.run(line).failed(2);
    }
}
