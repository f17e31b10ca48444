use super::*;

const NOW: Timestamp = Timestamp(1_000_000);
const END: Timestamp = NOW.after_s(3600);

fn legs(names: &[&str]) -> Vec<Leg> {
    names.iter().map(|name| Leg { carrier: name.parse().unwrap(), keeps: *name == "xdms" }).collect()
}

fn queued(names: &[&str]) -> Progress {
    Progress::begin(legs(names), NOW, END).unwrap()
}

fn claimed(progress: Progress, now: Timestamp) -> (Progress, Timestamp) {
    let until = now.after_s(LEASE_S);
    (progress.claimed(now, until).unwrap(), until)
}

fn given_up(why: Dead) -> Outcome {
    Outcome::GivenUp { why, detail: None }
}

#[test]
fn a_name_has_one_spelling() {
    assert!("sms-de_2".parse::<CarrierName>().is_ok());
    for wrong in ["", "SMS", "2sms", "-sms", "sms.de", "s ms", &"a".repeat(33)] {
        assert_eq!(wrong.parse::<CarrierName>(), Err(Malformed), "{wrong}");
    }
}

#[test]
fn a_claim_is_one_s_alone_until_its_lease_is_over() {
    let (sending, until) = claimed(queued(&["sms"]), NOW);
    assert!(sending.clone().claimed(NOW, until).is_none());
    assert!(
        sending.clone().claimed(until, until.after_s(LEASE_S)).is_some(),
        "past the lease it is sent again"
    );
    let (again, newer) = claimed(sending, until);
    let late = again.clone().settled(until, Outcome::Sent { receipts: vec![] }, until);
    assert_eq!(late, again, "who lost the claim settles nothing");
    assert!(again.settled(newer, Outcome::Sent { receipts: vec![] }, newer).is_settled());
}

#[test]
fn a_dead_key_is_never_claimed() {
    assert!(queued(&["sms"]).claimed(END, END.after_s(1)).is_none());
    assert!(queued(&["sms"]).claimed(Timestamp(END.0 - 1), END.after_s(1)).is_some());
}

#[test]
fn the_next_carrier_s_turn_comes_when_the_one_before_gave_up_for_good() {
    let (sending, until) = claimed(queued(&["sms", "xdms"]), NOW);
    let trouble = Outcome::PutOff { at: NOW.after_s(9), trouble: "busy".into() };
    let put_off = sending.clone().settled(until, trouble, NOW);
    assert_eq!((put_off.leg().carrier.as_str(), put_off.due()), ("sms", Some(NOW.after_s(9))));
    let next = sending.settled(until, given_up(Dead::Refused), NOW);
    assert_eq!((next.leg().carrier.as_str(), next.due(), next.attempts()), ("xdms", Some(NOW), 0));
    let (sending, until) = claimed(next, NOW);
    let dead = sending.settled(until, given_up(Dead::Refused), NOW);
    assert!(matches!(dead.state(), State::Dead { why: Dead::Refused, .. }));
}

#[test]
fn what_no_carrier_could_mend_ends_it() {
    for why in [Dead::Cancelled, Dead::Expired, Dead::EpochOver] {
        let (sending, until) = claimed(queued(&["sms", "xdms"]), NOW);
        assert!(matches!(sending.settled(until, given_up(why), NOW).state(), State::Dead { .. }), "{why:?}");
    }
}

#[test]
fn a_newer_key_goes_out_once_more_also_when_the_older_one_is_on_its_way() {
    let (sending, until) = claimed(queued(&["sms"]), NOW);
    let sent = sending.clone().settled(until, Outcome::Sent { receipts: vec!["1".into()] }, NOW);
    assert_eq!(sent.renewed(NOW, END).due(), Some(NOW));
    let overtaken = sending.renewed(NOW, END).settled(until, Outcome::Sent { receipts: vec![] }, NOW);
    assert_eq!(overtaken.due(), Some(NOW));
}

#[test]
fn a_carrier_has_a_share_of_the_time_and_the_last_one_all_of_it() {
    assert_eq!(queued(&["sms", "xdms"]).patience_ends(), NOW.after_s(PATIENCE_S));
    assert_eq!(queued(&["sms"]).patience_ends(), END);
    let short = Progress::begin(legs(&["sms", "xdms"]), NOW, NOW.after_s(60)).unwrap();
    assert_eq!(short.patience_ends(), NOW.after_s(30));
}

#[test]
fn tries_grow_apart_up_to_a_cap_and_never_before_the_bearer_asked() {
    assert_eq!(retry_after_s(1, 0, 0), 5);
    assert_eq!(retry_after_s(3, 0, 0), 20);
    assert_eq!(retry_after_s(u16::MAX, 0, 0), 300);
    assert_eq!(retry_after_s(1, 90, 7), 90);
    assert_eq!(pause_s(u32::MAX, 0, 0), 60);
    for jitter in 0..1000 {
        assert!((10..=20).contains(&retry_after_s(3, 0, jitter)));
        assert!((1..=60).contains(&pause_s(jitter, 0, jitter)));
    }
}

#[test]
fn a_report_is_shown_and_changes_nothing() {
    let (sending, until) = claimed(queued(&["sms"]), NOW);
    let told = sending.settled(until, Outcome::Sent { receipts: vec![] }, NOW).reported(Fate::Undeliverable);
    assert!(told.is_settled() && told.due().is_none());
    assert_eq!(queued(&["sms"]).reported(Fate::Delivered), queued(&["sms"]), "of what was not sent");
}
