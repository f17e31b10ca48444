//! Every command as a user meets it: what it prints, what it changes, how it ends.

use serde_json::Value;

use crate::binary::{Serving, Sidekey, mode};

const USER: &str = "ann@example.org";
const SERVER: &str = "mail.example.org";
const STRANGER: &str = "000102030405060708090a0b0c0d0e0f";

#[test]
fn every_command_explains_itself_with_examples() {
    let sidekey = Sidekey::new();
    let mut lines = vec![String::new()];
    let mut seen = 0;
    while let Some(line) = lines.pop() {
        let help = sidekey.run(&format!("{line} --help")).succeeded();
        assert!(help.out.contains("  sidekey "), "{line}: no example in\n{}", help.out);
        assert_eq!(help.err, "");
        lines.extend(subcommands(&help.out).map(|verb| format!("{line} {verb}")));
        seen += 1;
    }
    assert!(seen >= 24, "{seen} commands");
}

/// The names in the list under `Commands:`.
fn subcommands(help: &str) -> impl Iterator<Item = &str> {
    let list = help.split("\nCommands:\n").nth(1).unwrap_or("").split("\n\n").next().unwrap_or("");
    list.lines()
        .filter(|line| line.starts_with("  ") && !line.starts_with("   "))
        .filter_map(|line| line.split_whitespace().next())
}

#[test]
fn the_exit_codes_are_in_the_help() {
    let help = Sidekey::new().run("--help").succeeded().out;
    for code in [0, 1, 2, 3, 4, 5, 6, 7, 8, 130] {
        assert!(help.lines().any(|line| line.starts_with(&format!("{code:5}  "))), "{code}");
    }
}

#[test]
fn init_asks_nothing_and_changes_nothing_twice() {
    let sidekey = Sidekey::new();
    let first = sidekey.run("init").succeeded();
    assert!(first.out.contains("Next: sidekey serve"), "{}", first.out);
    let files = contents(&sidekey);
    for (path, _) in &files {
        let private = !path.ends_with(".pem") && !path.ends_with(".toml");
        assert!(!private || mode(&sidekey.data().join(path)) == 0o600, "{path}");
    }
    let second = sidekey.json("init");
    assert!(second["items"].as_array().unwrap().iter().all(|item| item["outcome"] == "there"), "{second}");
    assert_eq!(contents(&sidekey), files);
    let moved = sidekey.run("init --url https://keys.example.org -o json").failed(5).problem();
    assert_eq!(moved["code"], "public_url_changed");
}

fn contents(sidekey: &Sidekey) -> Vec<(String, Vec<u8>)> {
    let entries = std::fs::read_dir(sidekey.data()).unwrap().map(|entry| entry.unwrap());
    let files = entries.filter(|entry| entry.file_type().unwrap().is_file());
    let read = |path: std::path::PathBuf| std::fs::read(path).unwrap();
    let mut files: Vec<_> =
        files.map(|entry| (entry.file_name().into_string().unwrap(), read(entry.path()))).collect();
    files.sort();
    files
}

#[test]
fn serve_says_where_it_really_listens_and_drains_when_told_to_stop() {
    let sidekey = Sidekey::new();
    sidekey.init();
    for signal in ["TERM", "INT"] {
        let serving = Serving::start(&mut sidekey.command("serve --listen 127.0.0.1:0"));
        let port: u16 = serving
            .ready
            .rsplit_once("127.0.0.1:")
            .unwrap()
            .1
            .chars()
            .take_while(char::is_ascii_digit)
            .collect::<String>()
            .parse()
            .unwrap();
        assert!(std::net::TcpStream::connect(("127.0.0.1", port)).is_ok(), "{}", serving.ready);
        assert_eq!(serving.stop(signal), 0, "{signal}");
    }
}

#[test]
fn serve_explains_what_stands_in_its_way() {
    let sidekey = Sidekey::new();
    let missing = sidekey.run("serve").failed(3);
    assert!(missing.err.contains("Next: sidekey init"), "{}", missing.err);

    let port = sidekey.init();
    let _serving = sidekey.serve(port);
    let twice = sidekey.run("serve --listen 127.0.0.1:0 -o json").failed(5).problem();
    assert_eq!(twice["code"], "folder_locked", "{twice}");

    let other = Sidekey::new();
    other.init();
    let taken = other.run(&format!("serve --listen 127.0.0.1:{port} -o json")).failed(5).problem();
    assert_eq!(taken["code"], "address_in_use", "{taken}");

    let key = other.data().join("root.key");
    std::fs::set_permissions(&key, std::os::unix::fs::PermissionsExt::from_mode(0o644)).unwrap();
    let exposed = other.run("serve").failed(1);
    assert!(exposed.err.contains("chmod 600"), "{}", exposed.err);
}

#[test]
fn a_broken_command_line_ends_with_2_and_can_be_read_by_scripts() {
    let sidekey = Sidekey::new();
    for line in
        ["", "serv", "init --nosuch", "client invite", "session key nothex", "client revoke", "server"]
    {
        let ran = sidekey.run(line);
        assert_eq!(ran.code, 2, "{line}: {ran:?}");
        assert!(ran.out.is_empty() && ran.err.contains("--help"), "{line}: {ran:?}");
    }
    let problem = sidekey.run("client invite -o json").failed(2).problem();
    assert_eq!((problem["code"].as_str(), problem["exit"].as_u64()), (Some("usage"), Some(2)));
}

#[test]
fn without_a_credential_a_service_or_a_profile_the_next_step_is_named() {
    let sidekey = Sidekey::new();
    let missing = sidekey.run("server list").failed(4);
    assert!(missing.err.contains("Next: sidekey init"), "{}", missing.err);
    let profile = sidekey.run("session list").failed(3);
    assert!(profile.err.contains("Next: sidekey join"), "{}", profile.err);
    sidekey.init();
    let down = sidekey.run("server list --timeout 2s").failed(6);
    assert!(down.err.contains("Next: sidekey serve"), "{}", down.err);
}

/// Where there is one mail server, it is meant; where there are none or several, the command says so and does nothing.
#[test]
fn the_only_mail_server_is_meant_and_of_several_one_must_be_named() {
    let sidekey = Sidekey::new();
    let port = sidekey.init();
    let _serving = sidekey.serve(port);
    let none = sidekey.run("client invite ann@example.org").failed(3);
    assert!(none.err.contains("Next: sidekey server add NAME"), "{}", none.err);
    sidekey.run("server add mail.example.org").succeeded();
    assert_eq!(sidekey.json("client invite ann@example.org")["server"], "mail.example.org");
    let revoked = sidekey.json("client revoke --user ann@example.org --reason mistaken --yes");
    assert_eq!(revoked["invitations"], 1);
    sidekey.run("server add other.example.org").succeeded();
    let several = sidekey.run("client invite ann@example.org").failed(2);
    for named in ["mail.example.org", "other.example.org", "--server"] {
        assert!(several.err.contains(named), "{}", several.err);
    }
}

/// The whole walk, by what scripts read.
#[test]
fn from_nothing_to_a_revoked_phone() {
    let sidekey = Sidekey::new();
    let port = sidekey.init();
    let _serving = sidekey.serve(port);

    pair_server(&sidekey);
    let pairing = pair_phone(&sidekey, "phone");
    let session = share_a_key(&sidekey);
    refuse_the_wrong(&sidekey, &session);
    refuse_a_wrong_link(&sidekey);
    refuse_a_code_that_was_sent(&sidekey);
    revoke_phone(&sidekey, &pairing, &session);
}

fn pair_server(sidekey: &Sidekey) {
    let added = sidekey.json(&format!("server add {SERVER}"));
    let again = sidekey.run(&format!("server add {SERVER} -o json")).failed(5).problem();
    assert_eq!(again["code"], "server_exists");
    assert_eq!(again["next"], format!("sidekey server invite {SERVER}"));

    let joined = join(sidekey, &added, "mail");
    assert_eq!((joined["role"].as_str(), joined["server"].as_str()), (Some("server"), Some(SERVER)));
    assert_eq!(sidekey.json("server list")["items"][0]["pairings"], 1);
    assert_eq!(sidekey.json(&format!("server list {SERVER}"))["items"][0]["pairing"], joined["pairing"]);
}

fn pair_phone(sidekey: &Sidekey, profile: &str) -> String {
    let invited = sidekey.json(&format!("client invite {USER} --server {SERVER}"));
    let pairing = join(sidekey, &invited, profile);
    assert_eq!((pairing["role"].as_str(), pairing["user"].as_str()), (Some("client"), Some(USER)));
    assert_eq!(mode(&sidekey.path(&format!("home/profiles/{profile}.json"))), 0o600);

    let listed = sidekey.json("client list --state active");
    let listed = listed["items"]
        .as_array()
        .unwrap()
        .iter()
        .find(|item| item["pairing"] == pairing["pairing"])
        .unwrap();
    assert_eq!(listed["label"], profile);
    pairing["pairing"].as_str().unwrap().to_owned()
}

fn join(sidekey: &Sidekey, invited: &Value, profile: &str) -> Value {
    let link = invited["link"].as_str().unwrap();
    let line = format!("join --profile {profile} --label {profile} --ca data/ca.pem -o json");
    let joined = sidekey.run_with_input(&line, &format!("{link}\n")).succeeded().json();

    let occupied = sidekey.run_with_input(&line, link).failed(5).problem();
    assert_eq!(occupied["code"], "profile_exists");
    let used = sidekey.run_with_input(&line.replace(profile, "second"), link).failed(5).problem();
    assert_eq!(used["code"], "invitation_over", "{used}");
    joined
}

/// Opens a session and has both sides hold the same key.
fn share_a_key(sidekey: &Sidekey) -> String {
    let opened = sidekey.json(&format!("session open {USER} --profile mail"));
    let session = opened["session"].as_str().unwrap().to_owned();
    let current = sidekey.json("session list --profile phone");
    assert_eq!(current["items"][0]["session"], opened["session"]);
    assert_eq!(sidekey.json(&format!("session list {USER} --profile mail"))["items"], current["items"]);

    let [mail, phone] =
        ["mail", "phone"].map(|profile| sidekey.json(&format!("session key {session} --profile {profile}")));
    assert_eq!((mail["generation"].as_u64(), mail["suite"].as_str()), (Some(0), Some("A256GCM")));
    assert_eq!(mail, phone, "both sides hold what was agreed");
    assert_eq!(opened, mail);
    let rotated = sidekey.json(&format!("session rotate {session} --profile mail"));
    assert_eq!(rotated["generation"], 1);
    sidekey.json(&format!("session key {session} --generation 0 --profile phone"));
    session
}

fn refuse_the_wrong(sidekey: &Sidekey, session: &str) {
    let role = sidekey.run(&format!("session open {USER} --profile phone -o json")).failed(4).problem();
    assert_eq!(role["code"], "wrong_role", "{role}");
    sidekey.run(&format!("session key {STRANGER} --profile phone")).failed(3);
    sidekey.run(&format!("revoke pairing {STRANGER} --reason x --yes")).failed(3);
    let nobody = sidekey.run("session open nobody@example.org --profile mail").failed(3);
    assert!(nobody.err.contains("Next: sidekey client invite nobody@example.org"), "{}", nobody.err);

    // No terminal, no --yes: refused before anything is asked of the service.
    let unasked = sidekey.run(&format!("revoke session {session} --reason x -o json")).failed(2).problem();
    assert_eq!(unasked["code"], "confirmation_needed");
    sidekey.json(&format!("session key {session} --profile phone"));

    let profile = sidekey.run("session list --profile fone").failed(3);
    assert!(profile.err.contains("mail, phone"), "{}", profile.err);
    let link = "https://localhost:1/p/nothex";
    assert_eq!(sidekey.run_with_input("join --profile third", link).failed(2).code, 2);
}

/// Another service's certificate, another code, another key than the link names.
fn refuse_a_wrong_link(sidekey: &Sidekey) {
    let invited = sidekey.json(&format!("client invite {USER} --server {SERVER}"));
    let link = invited["link"].as_str().unwrap();
    let (address, proof) = link.split_once('#').unwrap();
    let (code, pin) = proof.split_once('.').unwrap();
    let join = |link: &str, options: &str| {
        let line = format!("join {options} -o json");
        sidekey.run_with_input(&line, &format!("{link}\n"))
    };

    let other = Sidekey::new();
    other.init();
    let foreign = other.data().join("ca.pem");
    let untrusted = join(link, &format!("--ca {}", foreign.display())).failed(7).problem();
    assert_eq!(untrusted["code"], "untrusted");

    let ours = "--ca data/ca.pem";
    let wrong_code = if code.starts_with('7') { "8888-8888" } else { "7777-7777" };
    let mistyped = join(&format!("{address}#{wrong_code}.{pin}"), ours).failed(4).problem();
    assert_eq!(mistyped["code"], "code_mismatch", "{mistyped}");
    let other_pin = if pin.starts_with('A') { "B" } else { "A" };
    let pinned = join(&format!("{address}#{code}.{other_pin}{}", &pin[1..]), ours).failed(7).problem();
    assert_eq!(pinned["code"], "tampered", "{pinned}");

    assert_eq!(join(address, ours).failed(2).problem()["code"], "code_missing");
    std::fs::write(sidekey.path("code.txt"), code).unwrap();
    let listed = sidekey.json("client list --invitations");
    let seen = |item: &&Value| item["invitation"] == invited["invitation"];
    let listed = listed["items"].as_array().unwrap().iter().find(seen).unwrap();
    assert_eq!((listed["state"].as_str(), listed["attempts"].as_u64()), (Some("begun"), Some(3)));

    let typed = join(address, "--ca data/ca.pem --code-file code.txt --handed-over").succeeded().json();
    assert_eq!(typed["pinned"], false);
    let pairing = typed["pairing"].as_str().unwrap();
    sidekey.json(&format!("revoke pairing {pairing} --reason \"only a try\" --yes"));

    let unwanted = sidekey.json(&format!("client invite {USER} --server {SERVER}"));
    let invitation = unwanted["invitation"].as_str().unwrap();
    let revoked = sidekey.json(&format!("revoke invitation {invitation} --reason \"wrong person\" --yes"));
    assert_eq!(revoked["invitations"], 1);
    let over = join(unwanted["link"].as_str().unwrap(), "--ca data/ca.pem --profile late");
    let over = over.failed(5).problem();
    assert_eq!(over["code"], "invitation_over", "{over}");
}

/// Nobody is to approve it, and whoever read its code could answer as the service.
fn refuse_a_code_that_was_sent(sidekey: &Sidekey) {
    let invited = sidekey.json(&format!("client invite {USER} --server {SERVER}"));
    let (address, proof) = invited["link"].as_str().unwrap().split_once('#').unwrap();
    std::fs::write(sidekey.path("code.txt"), &proof[.."XXXX-XXXX".len()]).unwrap();
    let join = "join --profile sent --ca data/ca.pem --code-file code.txt -o json";
    let refused = sidekey.run_with_input(join, address).failed(7).problem();
    assert_eq!(refused["code"], "downgrade", "{refused}");
    assert!(refused["next"].as_str().unwrap().contains("--handed-over"), "{refused}");
    sidekey.run("profile show sent").failed(3);
    let listed = sidekey.json("client list --state revoked");
    let reasons = listed["items"].as_array().unwrap().iter().map(|item| &item["revoked"]["reason"]);
    assert_eq!(
        reasons.filter(|reason| reason.to_string().contains("its code was sent")).count(),
        1,
        "{listed}"
    );
}

fn revoke_phone(sidekey: &Sidekey, pairing: &str, session: &str) {
    let tablet = pair_phone(sidekey, "tablet");
    let revoked = sidekey.json(&format!("client revoke {pairing} --reason \"phone lost\" --yes"));
    assert_eq!((revoked["pairings"].as_u64(), revoked["already_revoked"].as_bool()), (Some(1), Some(false)));
    let again = sidekey.json(&format!("revoke pairing {pairing} --reason again --yes"));
    assert_eq!(again["already_revoked"], true);

    let refused = sidekey.run(&format!("session key {session} --profile phone -o json")).failed(4).problem();
    assert_eq!((refused["code"].as_str(), refused["reason"].as_str()), (Some("revoked"), Some("phone lost")));
    let eyes = sidekey.run(&format!("session key {session} --profile phone")).failed(4);
    assert!(eyes.err.contains("phone lost"), "{}", eyes.err);

    let listed = sidekey.json("client list --state revoked");
    let listed = listed["items"].as_array().unwrap().iter().find(|item| item["pairing"] == *pairing).unwrap();
    assert_eq!(listed["revoked"]["reason"], "phone lost");
    // The other device goes on with the next key.
    assert_eq!(sidekey.json(&format!("session key {session} --profile tablet"))["generation"], 4);

    let user = sidekey.json(&format!("revoke user {USER} --server {SERVER} --reason \"left us\" --yes"));
    assert_eq!(user["pairings"], 1, "{user}");
    sidekey.run(&format!("session key {session} --profile tablet")).failed(4);
    assert!(sidekey.run("client list").succeeded().out.contains(&tablet));
}
