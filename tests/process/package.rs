//! What an administrator installs: the Debian package and the unit in it.

use std::process::Command;

use crate::machine::{Machine, package};

#[test]
fn the_units_take_away_what_is_not_needed() {
    for unit in ["sidekey.service", "sidekey-gateway.service"] {
        let unit = format!("{}/../../deploy/systemd/{unit}", env!("CARGO_MANIFEST_DIR"));
        let judged = Command::new("systemd-analyze")
            .args(["security", "--offline=true", "--threshold=20", &unit])
            .output()
            .expect("systemd-analyze: ./tests/run installs it");
        let said = String::from_utf8_lossy(&judged.stdout);
        assert!(judged.status.success() && said.contains("Overall exposure level"), "{unit}: {said}");
    }
}

#[test]
fn the_package_is_installed_started_upgraded_and_purged() {
    let machine = Machine::new();
    package(machine.folder(), "0.1.0");
    package(machine.folder(), "0.1.1");
    let said = machine.run(SCRIPT);
    assert!(
        said.contains("sidekey: next, as root: sidekey init"),
        "the installation says what is next: {said}"
    );
    assert!(said.contains("holds the keys and stays"), "purging says what is left: {said}");
}

const SCRIPT: &str = r#"
# Installed: nothing runs yet, since there is nothing to serve, and that is no failure.
dpkg -i /walk/sidekey_0.1.0_*.deb
systemctl is-enabled sidekey
systemctl start sidekey
not systemctl is-active sidekey
not systemctl is-failed sidekey

# What it comes with: a manual, completion, the runbook that the unit names.
man -w sidekey-client-invite
test -s /usr/share/bash-completion/completions/sidekey
test -s "$(systemctl show -P Documentation sidekey | grep -o '/usr[^ ]*')"
XDG_RUNTIME_DIR=/run systemd-analyze verify --user /usr/lib/systemd/user/sidekey-agent.service

# Two commands to a running service, typed by root. What they make belongs to the service's user.
sidekey init
test -z "$(find /var/lib/sidekey ! -user sidekey)"
systemctl start sidekey
systemctl is-active sidekey
test "$(ps -o user= -p "$(systemctl show -P MainPID sidekey)")" = sidekey
soon sidekey server list
export SIDEKEY_CA=/var/lib/sidekey/ca.pem
sidekey -o json server add mail.example.org >/walk/invitation
sidekey join --profile mail --label gateway </walk/invitation
sidekey client invite ann@example.org --server mail.example.org | sidekey join --profile phone --label phone
sidekey session open ann@example.org --profile mail

# Killed, it comes back; upgraded, the new one runs; what was paired stays so.
before=$(systemctl show -P MainPID sidekey)
kill -KILL "$before"
anew() { systemctl -q is-active sidekey && [ "$(systemctl show -P MainPID sidekey)" != "$before" ]; }
soon anew
before=$(systemctl show -P MainPID sidekey)
dpkg -i /walk/sidekey_0.1.1_*.deb
soon anew
soon sidekey session list --profile phone
sidekey session list --profile phone | grep ann@example.org

# Removed, it stops; purged, the keys are left and nothing else.
dpkg -r sidekey
not systemctl -q is-active sidekey
test ! -e /usr/bin/sidekey
test -e /var/lib/sidekey/root.key
dpkg -P sidekey
test -e /var/lib/sidekey/root.key
not systemctl is-enabled sidekey
"#;
