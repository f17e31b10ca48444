//! deploy/runbook.md on a machine that has what it is about: every block as it stands.

use std::fs;

use crate::machine::{Machine, package};

const RUNBOOK: &str = include_str!("../../deploy/runbook.md");

/// The lines of a section's blocks.
fn section(heading: &str) -> Vec<&'static str> {
    let (_, section) = RUNBOOK.split_once(&format!("\n## {heading}\n")).expect("the runbook has the section");
    let section = section.split("\n## ").next().expect("a split has a first part");
    let blocks = section.split("```sh\n").skip(1);
    blocks.flat_map(|block| block.split("```").next().expect("a split has a first part").lines()).collect()
}

/// The section, where its first look finds the fault that it is about.
fn faulty(heading: &str) -> String {
    section(heading).join("\n").replacen("sidekey doctor", "not sidekey doctor", 1)
}

#[test]
fn the_runbook_s_steps_do_what_they_say() {
    let machine = Machine::new();
    package(machine.folder(), "0.1.0");
    fs::copy(faketime(), machine.folder().join("libfaketime.so.1")).unwrap();
    let part = |name: &str, lines: &str, after: &str| format!("\necho '== {name}'\n{lines}\n{after}\n");
    let join = |heading: &str| section(heading).join("\n");
    let script = [
        SETUP.to_owned(),
        part("lost", &join("A phone is lost"), LOST),
        part("stolen", &format!("{STOLEN}{}", join("A mail server's machine is stolen")), REPLACED),
        part("password", &format!("{PUSH}{}", join("A proxy's password leaked")), ""),
        part("leaked", &join("The root key leaked"), LEAKED),
        part("clock", &format!("{AHEAD}{}", faulty("The clock jumped")), BELIEVED),
        part("restore", &join("Restore a copy"), RESTORED),
        part("full", &format!("{SMALL}{}", faulty("The disk is full")), ROOM),
    ]
    .concat();
    let said = machine.run(&script);
    let about = |name: &str| {
        let (_, rest) = said.split_once(&format!("\n== {name}\n")).expect("the section ran");
        rest.split("\n== ").next().expect("a split has a first part").to_owned()
    };
    assert!(about("lost").contains("Would revoke"), "a dry run comes first: {said}");
    assert!(about("password").contains("Revoked credential"), "{said}");
    assert!(about("clock").contains("its clock went back"), "doctor names it: {said}");
    assert!(about("clock").contains("The clock is believed again"), "{said}");
    assert!(about("full").contains("when none are, nothing is issued"), "doctor names it: {said}");
}

/// A library that moves the clock of one process.
fn faketime() -> std::path::PathBuf {
    let mut found = fs::read_dir("/usr/lib").unwrap().filter_map(|entry| {
        let library = entry.ok()?.path().join("faketime/libfaketime.so.1");
        library.exists().then_some(library)
    });
    found.next().expect("./tests/run installs faketime")
}

/// A proxy that logs in as Ann.
const PUSH: &str = "sidekey credential issue ann@example.org --for push\n";
/// A service, a mail server, and Ann's phone and laptop.
const SETUP: &str = r#"
dpkg -i /walk/sidekey_0.1.0_*.deb
sidekey init --server mail.example.org
systemctl start sidekey
export SIDEKEY_CA=/var/lib/sidekey/ca.pem
pair() { sidekey join --profile "$1" --label "$2"; }
sidekey server invite mail.example.org | pair mail gateway
sidekey client invite ann@example.org | pair phone "Ann's phone"
sidekey client invite ann@example.org | pair laptop "Ann's laptop"
sidekey session open ann@example.org --profile mail
"#;

const LOST: &str = r#"
not sidekey session list --profile phone
sidekey session list --profile laptop | grep ann@example.org
"#;

const STOLEN: &str = r#"
pairing=$(sidekey -o json server list mail.example.org | grep '"pairing"' | cut -d'"' -f4)
"#;

const REPLACED: &str = r#"
not sidekey session open ann@example.org --profile mail
sidekey server invite mail.example.org | pair mail2 "new gateway"
sidekey session open ann@example.org --profile mail2
"#;

const LEAKED: &str = r#"
sidekey session open ann@example.org --profile mail2
sidekey session list --profile laptop | grep ann@example.org
"#;

/// The service's clock is a day ahead while a session is opened, and then right again.
const AHEAD: &str = r#"
mkdir -p /etc/systemd/system/sidekey.service.d
printf '[Service]\nEnvironment=LD_PRELOAD=/walk/libfaketime.so.1 FAKETIME=+1d\n' >/etc/systemd/system/sidekey.service.d/ahead.conf
systemctl daemon-reload
systemctl restart sidekey
sidekey session open ann@example.org --profile mail2
rm /etc/systemd/system/sidekey.service.d/ahead.conf
systemctl daemon-reload
systemctl restart sidekey
not sidekey session open ann@example.org --profile mail2
"#;

const BELIEVED: &str = r#"
sidekey session open ann@example.org --profile mail2
sidekey session list --profile laptop | grep ann@example.org
"#;

const RESTORED: &str = r#"
sidekey session open ann@example.org --profile mail2
"#;

/// The folder moves to a disk that somebody else fills.
const SMALL: &str = r#"
sidekey client invite ann@example.org | pair phone2 "Ann's phone"
systemctl stop sidekey
cp -a /var/lib/sidekey /root/sidekey-moves
mount -t tmpfs -o size=600M,mode=700 tmpfs /var/lib/sidekey
chown sidekey: /var/lib/sidekey
cp -a /root/sidekey-moves/. /var/lib/sidekey
systemctl start sidekey
dd if=/dev/zero of=/var/lib/sidekey/ballast bs=1M status=none || true
"#;

const ROOM: &str = r#"
not sidekey session list --profile phone2
rm /var/lib/sidekey/ballast
sidekey doctor
sidekey session open ann@example.org --profile mail2
"#;
