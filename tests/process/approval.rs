//! A device and a mail server that wait to be approved, as their users and the administrator meet it.

use serde_json::{Value, json};

use crate::binary::{Ran, Serving, Sidekey};

const USER: &str = "ann@example.org";
const SERVER: &str = "mail.example.org";

fn join(sidekey: &Sidekey, invite: &str, profile: &str, options: &str) -> Ran {
    let invited = sidekey.json(invite);
    let (address, proof) = invited["link"].as_str().unwrap().split_once('#').unwrap();
    std::fs::write(sidekey.path("code.txt"), proof.split('.').next().unwrap()).unwrap();
    let typed = options.contains("--code-file");
    let link = if typed { address.to_owned() } else { format!("{address}#{proof}") };
    let line = format!("join --profile {profile} --label {profile} --ca data/ca.pem {options}");
    sidekey.run_with_input(&line, &link).succeeded()
}

#[test]
fn from_an_invitation_to_an_approved_phone() {
    let sidekey = Sidekey::new();
    let port = sidekey.init();
    let _serving = sidekey.serve(port);
    sidekey.run(&format!("policy set --approval admin --server {SERVER}")).failed(3);
    let machine = join(&sidekey, &format!("server add {SERVER} --approval admin"), "mail", "-o json").json();
    approve_the_server(&sidekey, &machine);
    sidekey.run(&format!("policy set --approval admin --server {SERVER}")).succeeded();

    let invite = format!("client invite {USER} --server {SERVER} --ttl 3d");
    let joined = join(&sidekey, &invite, "phone", "");
    assert!(joined.out.contains("It waits to be approved") && joined.out.contains("Next: read the digits"));
    let shown = sidekey.json("profile show phone");
    let digits = shown["digits"].as_str().unwrap();
    assert!(joined.out.contains(digits), "{joined:?}");
    let waits = sidekey.run("session list --profile phone").failed(4);
    assert!(waits.err.contains("waits to be approved") && waits.err.contains("Next:"), "{waits:?}");

    let listed = sidekey.run("client list --state confirmed").succeeded().out;
    assert!(listed.contains("Next: sidekey client approve") && !listed.contains(digits), "{listed}");
    let approve = format!("client approve --user {USER} --server {SERVER}");
    let wrong =
        sidekey.run(&format!("{approve} --digits \"1111 1111 1111 1111\" -o json")).failed(4).problem();
    assert_eq!(wrong["code"], "digits_mismatch");
    let none = sidekey.run_with_input(&format!("{approve} -o json"), "12 34\n").failed(2).problem();
    assert_eq!(none["code"], "digits_malformed");
    // Read from whoever types them.
    let approved = sidekey.run_with_input(&format!("{approve} -o json"), &format!("{digits}\n")).succeeded();
    assert_eq!(approved.json()["state"], "active");
    sidekey.run("session list --profile phone").succeeded();
    assert_eq!(sidekey.run(&format!("{approve} -o json")).failed(3).problem()["code"], "nothing_waits");

    approve_a_typed_code(&sidekey, &invite);
    approve_by_the_phone(&sidekey, &format!("{invite} --approval device"));
    refuse_another(&sidekey, &invite);
}

/// Whoever waits is told the digits at once, and the rest when somebody has said that word.
#[test]
fn a_device_that_waits_goes_on_when_it_is_approved() {
    let sidekey = Sidekey::new();
    let port = sidekey.init();
    let _serving = sidekey.serve(port);
    sidekey.run(&format!("server add {SERVER}")).succeeded();
    let invited = sidekey.json(&format!("client invite {USER} --server {SERVER} --approval admin"));
    let line = "join --profile phone --label phone --ca data/ca.pem --wait 5m -o json";
    let link = invited["link"].as_str().unwrap();
    let mut waiting = Serving::with_input(&mut sidekey.command(line), link);
    let told: Value = serde_json::from_str(&waiting.line_with("digits")).unwrap();
    let digits = told["digits"].as_str().unwrap();
    sidekey.run("session list --profile phone").failed(4);
    sidekey.run(&format!("client approve --user {USER} --server {SERVER} --digits \"{digits}\"")).succeeded();
    let (code, said) = waiting.ends();
    let said: Value = serde_json::from_str(&said).unwrap();
    assert_eq!((code, &said["state"], said.get("digits")), (0, &json!("active"), None));
    sidekey.run("session list --profile phone").succeeded();
}

/// Another of the user's devices has a word where the invitation says so.
fn approve_by_the_phone(sidekey: &Sidekey, invite: &str) {
    let joined = join(sidekey, invite, "watch", "-o json").json();
    let approve = format!("client approve --user {USER} --server {SERVER} --profile");
    let server = sidekey.run(&format!("{approve} mail --digits \"1111 1111 1111 1111\" -o json")).failed(4);
    assert_eq!(server.problem()["code"], "wrong_role");
    let digits = joined["digits"].as_str().unwrap();
    assert_eq!(sidekey.json(&format!("{approve} phone --digits \"{digits}\""))["state"], "active");
    sidekey.run("session list --profile watch").succeeded();
}

fn approve_the_server(sidekey: &Sidekey, machine: &Value) {
    assert_eq!((&machine["state"], &machine["approval"]), (&json!("confirmed"), &json!("admin")));
    let early = sidekey.run(&format!("session open {USER} --profile mail -o json")).failed(4).problem();
    assert_eq!(early["code"], "approval_pending");
    let digits = machine["digits"].as_str().unwrap();
    let line = format!("server approve --server {SERVER} --digits \"{digits}\"");
    assert_eq!(sidekey.json(&line)["state"], "active");
}

/// Without a pin the user has a word too, and the profile is of no use before it.
fn approve_a_typed_code(sidekey: &Sidekey, invite: &str) {
    let joined = join(sidekey, invite, "tablet", "--code-file code.txt -o json").json();
    assert_eq!(joined["pinned"], false);
    let (pairing, digits) = (joined["pairing"].as_str().unwrap(), joined["digits"].as_str().unwrap());
    let approved = sidekey.run(&format!("client approve {pairing} --digits \"{digits}\"")).succeeded().out;
    assert!(approved.contains("sidekey profile match"), "{approved}");
    sidekey.run("session list --profile tablet").failed(4);
    assert_eq!(sidekey.json("profile match tablet")["state"], "active");
    sidekey.run("session list --profile tablet").succeeded();
    assert!(sidekey.json("profile show tablet").get("digits").is_none());
    assert_eq!(sidekey.json("profile match tablet")["state"], "active", "said again");
}

fn refuse_another(sidekey: &Sidekey, invite: &str) {
    let joined = join(sidekey, invite, "stolen", "--wait 1s -o json");
    assert!(joined.err.contains("\"digits\""), "told before it waits: {joined:?}");
    let pairing = joined.json()["pairing"].as_str().unwrap().to_owned();
    let refused = sidekey.json(&format!("client refuse {pairing} --reason \"not hers\""));
    assert_eq!((&refused["state"], &refused["refused"]["reason"]), (&json!("refused"), &json!("not hers")));
    let told = sidekey.run("session list --profile stolen").failed(4);
    assert!(told.err.contains("not hers"), "{told:?}");
    let late = sidekey.run(&format!("client approve {pairing} --digits \"1111 1111 1111 1111\" -o json"));
    assert_eq!(late.failed(5).problem()["code"], "approval_over");
}
