//! What an administrator does around the service: what a revocation would end, sessions of everybody, profiles for
//! several services.

use serde_json::Value;

use crate::binary::{Serving, Sidekey, mode};

const USER: &str = "ann@example.org";
const SERVER: &str = "mail.example.org";

/// A service with a mail server, two devices of one user, and an open session.
fn enterprise(sidekey: &Sidekey) -> (Serving, String, String) {
    let port = sidekey.init();
    let serving = sidekey.serve(port);
    pair(sidekey, &format!("server add {SERVER}"), "mail");
    let phone = pair(sidekey, &format!("client invite {USER} --server {SERVER}"), "phone");
    pair(sidekey, &format!("client invite {USER} --server {SERVER}"), "tablet");
    let session =
        sidekey.json(&format!("session open {USER} --profile mail"))["session"].as_str().unwrap().to_owned();
    (serving, phone, session)
}

fn pair(sidekey: &Sidekey, invite: &str, profile: &str) -> String {
    sidekey.pair(invite, profile)["pairing"].as_str().unwrap().to_owned()
}

fn numbers(report: &Value) -> [u64; 4] {
    ["pairings", "invitations", "sessions_ended", "sessions_rotated"]
        .map(|name| report[name].as_u64().unwrap())
}

/// Every form of a revocation says first what it would end, and nothing has changed until it is done.
#[test]
fn a_dry_run_shows_what_each_revocation_would_end() {
    let sidekey = Sidekey::new();
    let (_serving, phone, session) = enterprise(&sidekey);
    let invited = sidekey.json(&format!("client invite {USER} --server {SERVER}"));
    let invitation = invited["invitation"].as_str().unwrap();
    let user = format!("{USER} --server {SERVER}");
    for (line, struck) in [
        (format!("revoke session {session}"), [0, 0, 1, 0]),
        (format!("revoke invitation {invitation}"), [0, 1, 0, 0]),
        (format!("revoke pairing {phone}"), [1, 0, 0, 1]),
        (format!("client revoke {phone}"), [1, 0, 0, 1]),
        (format!("client revoke --user {user} --label phone"), [1, 0, 0, 1]),
        (format!("client revoke --user {user}"), [2, 1, 1, 0]),
        (format!("revoke user {user}"), [2, 1, 1, 0]),
        (format!("revoke server {SERVER}"), [3, 1, 1, 0]),
        (format!("server revoke {SERVER}"), [3, 1, 1, 0]),
    ] {
        let would = sidekey.json(&format!("{line} --reason lost --dry-run"));
        assert_eq!((numbers(&would), would["dry_run"].as_bool()), (struck, Some(true)), "{line}");
    }
    let seen = sidekey.run(&format!("revoke user {user} --reason lost --dry-run")).succeeded().out;
    for word in ["Would revoke", "Nothing was changed", "phone", "tablet", "sessions ended"] {
        assert!(seen.contains(word), "{word}: {seen}");
    }
    sidekey.json(&format!("session key {session} --profile phone"));

    let done = sidekey.json(&format!("client revoke {phone} --reason lost --yes"));
    assert_eq!((numbers(&done), done["dry_run"].as_bool()), ([1, 0, 0, 1], Some(false)));
    let again = sidekey.json(&format!("client revoke {phone} --reason lost --dry-run"));
    assert_eq!(again["already_revoked"], true);
    sidekey.run(&format!("client revoke {phone} --reason lost --dry-run --yes")).failed(2);
}

/// Five wrong codes: the invitation is dead, and its user is not turned away for what a stranger did.
#[test]
fn an_invitation_is_issued_again_and_the_old_link_is_dead() {
    let sidekey = Sidekey::new();
    let port = sidekey.init();
    let _serving = sidekey.serve(port);
    sidekey.run(&format!("server add {SERVER}")).succeeded();
    let first = sidekey.json(&format!("client invite {USER} --server {SERVER}"));
    let named = |invited: &Value, name: &str| invited[name].as_str().unwrap().to_owned();
    let old = named(&first, "invitation");
    let again = sidekey.json(&format!("client reissue {old} --ttl 10m"));
    assert_eq!((named(&again, "user"), named(&again, "server")), (USER.to_owned(), SERVER.to_owned()));
    for name in ["invitation", "code", "link"] {
        assert_ne!(again[name], first[name], "{name}");
    }
    let join = "join --profile phone --label phone --ca data/ca.pem -o json";
    let dead = sidekey.run_with_input(join, &named(&first, "link")).failed(5).problem();
    assert_eq!(dead["code"], "invitation_over");
    assert_eq!(sidekey.run_with_input(join, &named(&again, "link")).succeeded().json()["user"], USER);
    let new = named(&again, "invitation");
    let refused = sidekey.run(&format!("client reissue {new} -o json")).failed(5).problem();
    assert_eq!(refused["code"], "invitation_over");
    assert!(refused["next"].as_str().unwrap().contains("sidekey client invite"), "{refused}");
    let nobody = "00".repeat(16);
    assert_eq!(
        sidekey.run(&format!("client reissue {nobody} -o json")).failed(3).problem()["code"],
        "not_found"
    );
}

#[test]
fn an_administrator_shows_rotates_and_ends_what_there_is() {
    let sidekey = Sidekey::new();
    let (_serving, phone, session) = enterprise(&sidekey);
    // Nothing is named, and this machine is not paired as `default`: the credential in the data folder acts.
    let listed = sidekey.json(&format!("session list --server {SERVER} --state open"));
    assert_eq!(listed["items"][0]["session"], session.as_str());
    let shown = sidekey.json(&format!("session show {session}"));
    assert_eq!(shown, listed["items"][0]);
    assert_eq!(sidekey.json(&format!("session show {session} --profile phone")), shown);
    assert_eq!(sidekey.json(&format!("session rotate {session}"))["generation"], 1);
    assert_eq!(sidekey.json(&format!("session key {session} --profile phone"))["generation"], 1);

    let device = sidekey.json(&format!("client show {phone}"));
    assert_eq!((device["label"].as_str(), device["sessions"].as_u64()), (Some("phone"), Some(1)));
    let server = sidekey.json(&format!("server show {SERVER}"));
    assert_eq!((server["users"].as_u64(), server["machines"][0]["label"].as_str()), (Some(1), Some("mail")));
    assert!(sidekey.run(&format!("server show {SERVER}")).succeeded().out.contains("machine"));

    sidekey.json(&format!("session end {session} --admin data/admin.json"));
    let over = sidekey.run(&format!("session key {session} --profile phone -o json")).failed(5).problem();
    assert_eq!(over["code"], "session_over");
    assert_eq!(sidekey.json("session list --state ended")["items"][0]["session"], session.as_str());
    for line in ["server show nowhere", "client show 000102030405060708090a0b0c0d0e0f"] {
        sidekey.run(line).failed(3);
    }
    // What an administrator alone can say is no client's to say.
    sidekey.run("session list --state open --profile phone").failed(2);
}

/// One administrator, two services: each under a name, chosen or named.
#[test]
fn profiles_keep_several_services_apart() {
    let (here, there) = (Sidekey::new(), Sidekey::new());
    let ports = [&here, &there].map(|sidekey| (sidekey.init(), sidekey));
    let _serving = ports.map(|(port, sidekey)| sidekey.serve(port));
    here.json("server add here.example");
    there.json("server add there.example");

    let credential = there.data().join("admin.json");
    here.json(&format!("profile add work --admin {}", credential.display()));
    assert_eq!(mode(&here.path("home/admins/work.json")), 0o600);
    let first = |line: &str| here.json(line)["items"][0]["name"].as_str().unwrap().to_owned();
    assert_eq!(first("server list"), "here.example");
    assert_eq!(first("server list --profile work"), "there.example");

    here.json("profile use work");
    assert_eq!(first("server list"), "there.example");
    assert_eq!(first("server list --admin data/admin.json"), "here.example");
    let listed = here.json("profile list");
    assert_eq!(
        (listed["items"][0]["kind"].as_str(), listed["items"][0]["chosen"].as_bool()),
        (Some("administrator"), Some(true))
    );
    let shown = here.run("profile show work").succeeded().out;
    let key = serde_json::from_slice::<Value>(&std::fs::read(&credential).unwrap()).unwrap();
    assert!(!shown.contains(key["key"].as_str().unwrap()), "a profile is shown without its key");

    for (line, code) in [
        (format!("profile add work --admin {}", credential.display()), 5),
        ("profile show nothing".into(), 3),
        ("profile use nothing".into(), 3),
        ("server list --profile nothing".into(), 3),
        ("profile remove work".into(), 2),
        ("server list --profile work --admin data/admin.json".into(), 2),
    ] {
        here.run(&line).failed(code);
    }
    std::fs::set_permissions(&credential, std::os::unix::fs::PermissionsExt::from_mode(0o644)).unwrap();
    let exposed = here.run(&format!("profile add more --admin {}", credential.display())).failed(4);
    assert!(exposed.err.contains("chmod 600"), "{}", exposed.err);
    here.json("profile remove work --yes");
    assert!(!here.path("home/admins/work.json").exists());
    assert_eq!(first("server list"), "here.example");
}

#[test]
fn a_list_shows_what_is_new() {
    let sidekey = Sidekey::new();
    let (_serving, ..) = enterprise(&sidekey);
    sidekey.json("policy set --suites A256GCM --yes");
    let lists = [
        "server list",
        &format!("server list {SERVER}"),
        "client list",
        "client list --invitations",
        "policy list",
    ];
    for list in lists.into_iter().chain(["session list --admin data/admin.json"]) {
        let items =
            |since: &str| sidekey.json(&format!("{list} --since {since}"))["items"].as_array().unwrap().len();
        assert!(items("1h") > 0 && items("1970-01-01") > 0, "{list}");
        assert_eq!(items("2100-01-01T00:00:00Z"), 0, "{list}");
    }
    let wrong = sidekey.run("client list --since yesterday").failed(2);
    assert!(wrong.err.contains("2026-11-29"), "{}", wrong.err);
}
