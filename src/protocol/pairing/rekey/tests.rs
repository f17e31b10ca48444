//! proto/pairing/rekey.json, which another implementation made, and what no vector can show.

use serde::de::DeserializeOwned;
use serde_json::Value;

use super::*;
use crate::crypto::testing::{Script, hex};

fn vectors() -> Value {
    serde_json::from_str(include_str!("../../../../proto/pairing/rekey.json")).unwrap()
}

/// One case of the file.
struct Case(Value);

fn cases() -> Vec<Case> {
    vectors()["cases"].as_array().unwrap().iter().cloned().map(Case).collect()
}

impl Case {
    fn read<T: DeserializeOwned>(&self, name: &str) -> T {
        serde_json::from_value(self.0[name].clone()).unwrap()
    }

    fn secret(&self, name: &str) -> Secret<32> {
        Secret::copy_of(&hex(&self.0[name])).unwrap()
    }

    fn random(&self, names: &[&str]) -> Script {
        Script::of(names.iter().map(|name| hex(&self.0["random"][name])))
    }

    fn now(&self) -> Timestamp {
        self.read("now")
    }

    fn epoch(&self) -> Epoch {
        let number = self.read::<Rekey>("request").from;
        Epoch { number, root: self.secret("root"), not_after: self.now() }
    }

    fn renewing(&self) -> Renewing {
        let number = self.read::<Rekey>("request").from;
        Renewing::begin(number, &mut self.random(&["party_scalar", "kem_seed", "nonce"]))
    }

    fn renew(&self, request: &Rekey) -> Result<(Epoch, RekeyAnswer), Reject> {
        self.epoch().renew(request, self.now(), &mut self.random(&["service_scalar", "kem_m"]))
    }

    /// How a rekey ends whose messages pass through these.
    fn run(&self, request: impl Fn(&mut Rekey), answer: impl Fn(&mut RekeyAnswer)) -> String {
        let renewing = self.renewing();
        let mut asked = renewing.request().clone();
        request(&mut asked);
        let mut answered = match self.renew(&asked) {
            Ok((_, answered)) => answered,
            Err(reject) => return format!("service {reject:?}"),
        };
        answer(&mut answered);
        match renewing.next(&self.secret("root"), &answered) {
            Ok(_) => "done".to_owned(),
            Err(refusal) => format!("party {refusal:?}"),
        }
    }
}

fn json(value: &impl serde::Serialize) -> Value {
    serde_json::to_value(value).unwrap()
}

#[test]
fn both_sides_of_every_case_are_reproduced() {
    for case in cases() {
        let renewing = case.renewing();
        assert_eq!(json(renewing.request()), case.0["request"]);
        let (theirs, answer) = case.renew(renewing.request()).unwrap();
        assert_eq!(json(&answer), case.0["answer"]);
        let ours = renewing.done(&case.secret("root"), &answer).unwrap();
        for epoch in [ours, theirs] {
            assert_eq!(epoch.root.expose(), case.secret("next_root").expose());
            assert_eq!((epoch.number, epoch.not_after), (answer.to, answer.not_after));
            let kek = epoch.kek(case.now()).unwrap();
            assert_eq!(kek.kw.expose().as_slice(), hex(&case.0["kek_kw"]));
            assert_eq!(kek.id.as_slice(), hex(&case.0["kid"]));
        }
    }
}

#[test]
fn every_refusal_names_its_reason() {
    let case = &cases()[0];
    assert_eq!(case.run(|_| {}, |_| {}), "done");
    for row in vectors()["refusals_of_the_first_case"].as_array().unwrap() {
        let change = row["change"].as_object().unwrap();
        let told = match row["message"].as_str().unwrap() {
            "request" => case.run(|request| *request = changed(request, change), |_| {}),
            _ => case.run(|_| {}, |answer| *answer = changed(answer, change)),
        };
        let [by, reason] = ["by", "reason"].map(|name| row[name].as_str().unwrap());
        assert_eq!(told, format!("{by} {reason}"), "{}", row["why"]);
    }
}

fn changed<T: serde::Serialize + DeserializeOwned>(
    message: &T,
    change: &serde_json::Map<String, Value>,
) -> T {
    let mut object = json(message);
    object.as_object_mut().unwrap().extend(change.clone());
    serde_json::from_value(object).unwrap()
}

#[test]
fn every_octet_of_both_messages_matters() {
    let case = &cases()[0];
    let refused = |told: String, reasons: &[&str], at: usize| {
        assert!(reasons.contains(&told.as_str()), "octet {at}: {told}");
    };
    let confirmed = "party NotConfirmed";
    for at in 0..65 {
        refused(case.run(|request| request.point.0[at] ^= 1, |_| {}), &["service BadPoint"], at);
        refused(case.run(|_| {}, |answer| answer.point.0[at] ^= 1), &["party BadPoint"], at);
    }
    for at in 0..1184 {
        let told = case.run(|request| request.kem_ek.0[at] ^= 1, |_| {});
        refused(told, &["service BadKemKey", confirmed], at);
    }
    for at in 0..1088 {
        refused(case.run(|_| {}, |answer| answer.kem_ct.0[at] ^= 1), &[confirmed], at);
    }
    for at in 0..16 {
        refused(case.run(|request| request.nonce.0[at] ^= 1, |_| {}), &[confirmed], at);
    }
    for at in 0..32 {
        refused(case.run(|_| {}, |answer| answer.confirm.0[at] ^= 1), &[confirmed], at);
        refused(case.run(|_| {}, |answer| answer.not_after.0 ^= 1 << at), &[confirmed], at);
        refused(case.run(|_| {}, |answer| answer.to ^= 1 << at), &["party EpochForeign"], at);
    }
}

#[test]
fn a_recorded_answer_is_of_no_use_to_another_request_or_root() {
    let [first, second] = &cases()[..] else { panic!("two cases") };
    let answer: RekeyAnswer = first.read("answer");
    let mut rng = second.random(&["party_scalar", "kem_seed", "nonce"]);
    let other = Renewing::begin(7, &mut rng);
    assert_eq!(other.next(&first.secret("root"), &answer).unwrap_err(), Refusal::NotConfirmed);
    let renewing = first.renewing();
    assert_eq!(renewing.next(&second.secret("root"), &answer).unwrap_err(), Refusal::NotConfirmed);
    renewing.done(&first.secret("root"), &answer).unwrap();
}

#[test]
fn an_epoch_is_renewed_after_a_day_and_wraps_nothing_after_a_week() {
    let epoch = cases()[0].epoch();
    let began = Timestamp(epoch.not_after.0 - EPOCH_S);
    assert!(!is_due(epoch.not_after, began.after_s(RENEW_S - 1)));
    assert!(is_due(epoch.not_after, began.after_s(RENEW_S)));
    assert!(epoch.kek(began.after_s(EPOCH_S - 1)).is_ok());
    assert_eq!(epoch.kek(began.after_s(EPOCH_S)).unwrap_err(), Reject::EpochOver);
}

#[test]
fn a_pairing_lapses_after_90_days() {
    let heard = Timestamp(1_800_000_000);
    assert!(!is_lapsed(heard, heard.after_s(IDLE_S - 1)));
    assert!(is_lapsed(heard, heard.after_s(IDLE_S)));
    assert!(!is_lapsed(heard, Timestamp(0)), "a clock that went back lapses nobody");
}

#[test]
fn the_same_request_has_one_fingerprint() {
    let (one, other) = (cases()[0].renewing(), cases()[1].renewing());
    assert_eq!(fingerprint(one.request()), fingerprint(&one.request().clone()));
    assert_ne!(fingerprint(one.request()), fingerprint(other.request()));
}
