//! What a verdict takes, and that the tables are whole.

use std::collections::BTreeSet;
use std::time::Duration;

use super::attack::{Fought, Group, Side, Step, Verdict};
use super::made::{Cleared, Left};
use super::told::Told;
use super::{all, pairing, promises};
use crate::exit::Exit;

#[test]
fn every_promise_stands_in_security_md() {
    let promised = include_str!("../../../SECURITY.md");
    for promise in promises::ALL {
        assert!(promised.contains(&format!("| {promise} |")), "{promise}");
    }
    for attack in all() {
        assert!(promises::ALL.contains(&attack.promise), "{attack:?}");
    }
}

#[test]
fn attacks_have_names_of_their_own_and_every_group_has_some() {
    let attacks: Vec<_> = all().into_iter().chain(pairing::slow()).collect();
    let names: BTreeSet<_> = attacks.iter().map(|attack| attack.name).collect();
    assert_eq!(names.len(), attacks.len());
    let groups: BTreeSet<_> = attacks.iter().map(|attack| attack.group).collect();
    assert_eq!(groups.len(), <Group as clap::ValueEnum>::value_variants().len());
    assert!(attacks.len() > 80, "{}", attacks.len());
}

fn fought(verdict: Verdict) -> Fought {
    let step = |side, held| Step {
        side,
        what: "ask".to_owned(),
        expected: "401 token_invalid".to_owned(),
        came: "200".to_owned(),
        held,
    };
    let steps = vec![
        step(Side::Attack, verdict != Verdict::NotRefused),
        step(Side::Twin, verdict != Verdict::TwinRefused),
    ];
    Fought {
        group: Group::Tokens,
        attack: "alg-none",
        does: "alg none",
        verdict,
        promise: promises::SPEAKS,
        steps,
    }
}

fn told(fought: Vec<Fought>, cleared: Result<Cleared, Left>) -> Told {
    let url = "https://localhost:8443".parse().unwrap();
    Told { url, name: "drill-0".to_owned(), fought, took: Duration::from_secs(1), cleared, slow: false }
}

#[test]
fn it_ends_well_only_if_everything_was_refused_accepted_and_cleared() {
    let clear = || Ok(Cleared::default());
    let left = || Err(Left { servers: vec!["drill-0.invalid".parse().unwrap()], why: "gone".to_owned() });
    let one = |verdict| vec![fought(Verdict::Refused), fought(verdict)];
    assert_eq!(told(one(Verdict::Refused), clear()).exit(), None);
    assert_eq!(told(one(Verdict::Refused), left()).exit(), Some(Exit::Failed));
    for verdict in [Verdict::NotRefused, Verdict::TwinRefused] {
        assert_eq!(told(one(verdict), clear()).exit(), Some(Exit::Unrefused));
        assert_eq!(told(one(verdict), left()).exit(), Some(Exit::Unrefused));
    }
}

#[test]
fn a_lesson_names_the_attack_what_came_and_what_it_breaks() {
    let lesson = super::told::lesson(&fought(Verdict::NotRefused));
    for piece in ["NOT REFUSED", "tokens/alg-none", "expected 401 token_invalid, came 200", promises::SPEAKS]
    {
        assert!(lesson.contains(piece), "{lesson}");
    }
}
