//! The examples of the client crate, one for each side, as a newcomer runs them.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::path::PathBuf;
use std::process::{Command, Stdio};

use crate::binary::Sidekey;

const MAIL: &str = "From: bob@example.org\r\nTo: ann@example.org\r\nSubject: lunch\r\n\r\nAt one?\r\n";

#[test]
fn what_the_example_server_seals_the_example_phone_opens() {
    let sidekey = Sidekey::new();
    let port = sidekey.init();
    let _serving = sidekey.serve(port);
    sidekey.run("server add mail.example.org").succeeded();
    let link = |line: &str| sidekey.json(line)["link"].as_str().unwrap().to_owned();
    let ca = sidekey.data().join("ca.pem");

    // The phone pairs first: a session is for the devices that a user has.
    let phone_link = link("client invite ann@example.org --server mail.example.org");
    let mut phone = example("phone").arg(phone_link).arg(&ca).spawn().unwrap();
    let mut said = BufReader::new(phone.stderr.take().unwrap());
    let mut paired = String::new();
    said.read_line(&mut paired).unwrap();
    assert!(paired.starts_with("paired as "), "{paired}");

    let server_link = link("server invite mail.example.org");
    let mut server = example("server").arg(server_link).arg(&ca).arg("ann@example.org").spawn().unwrap();
    server.stdin.take().unwrap().write_all(MAIL.as_bytes()).unwrap();
    let server = server.wait_with_output().unwrap();
    let told = String::from_utf8(server.stderr).unwrap();
    assert!(server.status.success(), "{told}");
    assert!(server.stdout.starts_with(b"XE"), "no frame");
    assert!(!server.stdout.windows(5).any(|octets| octets == b"lunch"), "the frame shows the mail");

    phone.stdin.take().unwrap().write_all(&server.stdout).unwrap();
    let phone = phone.wait_with_output().unwrap();
    let mut session = String::new();
    said.read_to_string(&mut session).unwrap();
    assert!(phone.status.success(), "{session}");
    assert_eq!(phone.stdout, MAIL.as_bytes());
    // Both name the same session, in a line of their own.
    assert_eq!(told.lines().last(), session.lines().last());
}

/// Cargo builds the examples of a package with its tests, and of no other: built here if need be, and never stale. With
/// the whole workspace's features, as its tests are, so that nothing is built twice.
fn example(name: &str) -> Command {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    // <target>/<profile>/deps/process-…
    let profile = std::env::current_exe().unwrap().ancestors().nth(2).unwrap().to_owned();
    let target: PathBuf = profile.parent().unwrap().to_owned();
    let build = ["build", "--quiet", "--locked", "--workspace", "--example", name, "--target-dir"];
    let root = concat!(env!("CARGO_MANIFEST_DIR"), "/../..");
    let built = Command::new(cargo).current_dir(root).args(build).arg(&target).status().unwrap();
    assert!(built.success());
    let mut command = Command::new(target.join("debug/examples").join(name));
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}
