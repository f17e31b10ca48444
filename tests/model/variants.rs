//! Each variant holds, in every order that its steps can come in.

use std::time::Instant;

use stateright::{Checker, Expectation, Model};

use crate::properties;
use crate::rules::Rules;
use crate::steps::Sidekey;

#[test]
fn a_code_in_hand() {
    holds(Rules { replays: 0, ..Rules::PAIRING });
}

#[test]
fn a_code_that_is_typed_and_an_sms_that_is_read() {
    holds(Rules { name: "no pin, reads SMS", pinned: false, reads_sms: true, ..Rules::PAIRING });
}

#[test]
fn an_invitation_that_is_cancelled() {
    let rules = Rules { devices: 1, replays: 3, cancels: true, ..Rules::PAIRING };
    holds(Rules { name: "cancelled, reads SMS", pinned: false, reads_sms: true, ..rules });
}

#[test]
fn a_code_that_is_read_on_its_way() {
    holds(CODE_READ);
}

#[test]
fn a_code_that_is_read_on_its_way_to_a_device_without_a_pin() {
    holds(Rules { name: "reads the code, no pin", pinned: false, replays: 0, ..CODE_READ });
}

#[test]
fn everything_is_read_and_the_disk_is_taken_afterwards() {
    holds(Rules::SESSIONS);
}

#[test]
fn a_phone_that_is_stolen() {
    holds(Rules { name: "has the phone", renewals: 1, ..PHONE });
}

#[test]
fn a_copy_of_the_disk_from_before() {
    holds(BACKUP);
}

#[test]
fn the_whole_way_of_one_device() {
    let rules = Rules { paired: false, devices: 1, guesses: 1, replays: 1, ..Rules::SESSIONS };
    holds(Rules { name: "from invitation to revocation", ..rules });
}

/// The code is read: the pairing waits for an administrator's word.
pub(crate) const CODE_READ: Rules = Rules {
    name: "reads the code",
    reads_sms: true,
    reads_code: true,
    approval: true,
    guesses: 2,
    ..Rules::PAIRING
};

pub(crate) const PHONE: Rules = Rules { name: "has the phone", has_phone: true, ..Rules::SESSIONS };

pub(crate) const BACKUP: Rules =
    Rules { name: "has an old backup", has_backup: true, listens_only: true, ..Rules::SESSIONS };

/// Checks everything that can happen, and prints how much that is.
fn holds(rules: Rules) {
    let since = Instant::now();
    let checker = Sidekey { rules }.checker().spawn_bfs().join();
    println!(
        "{:<32} {:>9} states, {:>3} steps deep, {:>5.1} s: {}",
        rules.name,
        checker.unique_state_count(),
        checker.max_depth(),
        since.elapsed().as_secs_f32(),
        properties::promised(&rules).join(", "),
    );
    for property in properties::all(&rules) {
        let found = checker.discovery(property.name);
        match property.expectation {
            Expectation::Always => {
                let path = found.map(|path| path.into_actions());
                assert!(path.is_none(), "{}: {} breaks after {:#?}", rules.name, property.name, path);
            }
            _ => assert!(found.is_some(), "{}: {} does not come about", rules.name, property.name),
        }
    }
}
