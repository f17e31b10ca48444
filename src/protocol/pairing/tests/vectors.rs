//! proto/pairing/vectors.json, which another implementation made: every value reproduced, every refusal met, and every
//! octet of every message shown to matter.

use serde::de::DeserializeOwned;
use serde_json::Value;

use super::super::wire::{Begin, BeginAnswer, Finish, FinishAnswer};
use super::super::{
    Begun, Checked, Confirmed, Finishing, Grant, Invited, Kek, Link, PairingCode, Pin, Prover, PublicUrl,
    Refusal, Reject, Target, exchange,
};
use crate::crypto::spake2plus::{Registration, Verifier};
use crate::crypto::testing::{Script, hex};
use crate::crypto::{self, Secret, SigningKey, labels};
use crate::encoding::{Bytes, Octets};
use crate::ids::{Role, Timestamp};
use crate::session::SuiteList;

/// Who refuses, and why.
#[derive(Debug, Eq, PartialEq)]
enum Outcome {
    Client(Refusal),
    Paired,
    Service(Reject),
    /// A decoder refuses it before either side sees it.
    Undecoded,
}

/// One case of the file.
struct Case(Value);

fn vectors() -> Value {
    serde_json::from_str(include_str!("../../../../proto/pairing/vectors.json")).unwrap()
}

fn cases() -> Vec<Case> {
    vectors()["cases"].as_array().unwrap().iter().cloned().map(Case).collect()
}

fn first() -> Case {
    Case(vectors()["cases"][0].clone())
}

impl Case {
    fn given<T: DeserializeOwned>(&self, name: &str) -> T {
        serde_json::from_value(self.0["given"][name].clone()).unwrap()
    }

    fn message<T: DeserializeOwned>(&self, name: &str) -> T {
        serde_json::from_value(self.0[name].clone()).unwrap()
    }

    fn random(&self, names: &[&str]) -> Script {
        Script::of(names.iter().map(|name| hex(&self.0["random"][name])))
    }

    fn key(&self, name: &str) -> SigningKey {
        SigningKey::generate(&mut self.random(&[name]))
    }

    fn code(&self) -> PairingCode {
        self.given::<String>("code").parse().unwrap()
    }

    fn now(&self) -> Timestamp {
        self.given("finish_time")
    }

    fn invited(&self) -> Invited {
        Invited {
            invitation: self.given("invitation"),
            role: self.given("role"),
            server: self.given("server"),
            user: self.given("user"),
            expires: self.now().after_s(1),
            attempts_left: 1,
            // Of the cases that say nothing of it: nobody's.
            approval: serde_json::from_value(self.0["given"]["approval"].clone()).unwrap_or_default(),
        }
    }

    fn target(&self) -> Target {
        let pin = self.given::<bool>("pinned").then(|| Pin::of(&self.key("service_key").verifying_key()));
        Target {
            public_url: self.given("public_url"),
            invitation: self.given("invitation"),
            pin,
            role: Some(self.given("role")),
        }
    }

    /// The code's registration without Argon2id, which the reproduction of the whole case covers.
    fn registration(&self) -> Registration {
        Registration::from_wide(&Secret::copy_of(&hex(&self.0["stretch"]["w0s_w1s"])).unwrap())
    }

    fn prover(&self) -> Prover {
        let mut rng = self.random(&["x", "kem_seed"]);
        Prover::start(self.target(), self.registration(), self.key("client_key"), &mut rng)
    }

    fn answer(&self, verifier: &Verifier, request: Begin) -> Result<(Begun, BeginAnswer), Reject> {
        let attempt = self.invited().begin(request, self.now(), &mut self.random(&["kem_m"]))?;
        let service_key = self.key("service_key").verifying_key();
        attempt.answer(verifier, &self.given("public_url"), &service_key, &mut self.random(&["y", "state"]))
    }

    fn finish(&self, checked: Checked) -> Finishing {
        let offer = SuiteList::parse(&self.given::<Vec<String>>("offer")).unwrap();
        checked.finish(&self.given("label"), &offer, &mut self.random(&["client_nonce"]))
    }

    fn confirm(&self, begun: Begun, request: &Finish) -> Result<Confirmed, Reject> {
        let (policy, key): (Option<String>, _) = (self.given("policy"), self.key("service_key"));
        let grant = Grant {
            pairing: self.given("pairing"),
            service: self.given("service"),
            key: &key,
            policy: policy.as_deref(),
            suites: &SuiteList::ours(),
        };
        begun.finish(request, grant, self.now(), &mut self.random(&["service_nonce"]))
    }

    /// One exchange whose messages pass through `alter`, and how it ends.
    fn run(&self, alter: impl Fn(&mut Messages<'_>)) -> Outcome {
        match self.try_run(alter) {
            Ok(()) => Outcome::Paired,
            Err(outcome) => outcome,
        }
    }

    fn try_run(&self, alter: impl Fn(&mut Messages<'_>)) -> Result<(), Outcome> {
        let prover = self.prover();
        let mut begin = prover.request().clone();
        alter(&mut Messages::Begin(&mut begin));
        let (begun, mut answer) =
            self.answer(&self.registration().verifier(), begin).map_err(Outcome::Service)?;
        alter(&mut Messages::BeginAnswer(&mut answer));
        let finishing = self.finish(prover.check(&answer).map_err(Outcome::Client)?);
        let mut finish = finishing.request().clone();
        alter(&mut Messages::Finish(&mut finish));
        let mut answer = self.confirm(begun, &finish).map_err(Outcome::Service)?.finished.answer;
        alter(&mut Messages::FinishAnswer(&mut answer));
        finishing.done(&answer).map_err(Outcome::Client).map(drop)
    }
}

/// What passes between the two sides.
enum Messages<'a> {
    Begin(&'a mut Begin),
    BeginAnswer(&'a mut BeginAnswer),
    Finish(&'a mut Finish),
    FinishAnswer(&'a mut FinishAnswer),
}

fn json(message: &impl serde::Serialize) -> Value {
    serde_json::to_value(message).unwrap()
}

#[test]
fn every_case_is_reproduced() {
    let cases = cases();
    assert_eq!(cases.len(), 3);
    for case in cases {
        let (code, public_url): (_, PublicUrl) = (case.code(), case.given("public_url"));
        let link: Link = case.0["link"].as_str().unwrap().parse().unwrap();
        assert_eq!((&link.public_url, link.invitation), (&public_url, case.given("invitation")));
        let (code_of_link, pin_of_link) = link.proof.as_ref().unwrap();
        assert_eq!(code_of_link.expose(), code.expose());
        assert_eq!(link.expose().as_str(), case.0["link"]);

        let mut rng = case.random(&["x", "kem_seed"]);
        let prover = Prover::begin(case.target(), &code, case.key("client_key"), &mut rng);
        assert_eq!(json(prover.request()), case.0["begin"]);

        let verifier = case.invited().verifier(&code, &public_url);
        let (begun, answer) = case.answer(&verifier, prover.request().clone()).unwrap();
        assert_eq!(json(&answer), case.0["begin_answer"]);

        let checked = prover.check(&answer).unwrap();
        assert_eq!(checked.server(), &case.given("server"));
        assert_eq!(checked.user(), case.given::<Option<_>>("user").as_ref());
        let finishing = case.finish(checked);
        assert_eq!(json(finishing.request()), case.0["finish"]);

        let confirmed = case.confirm(begun, finishing.request()).unwrap();
        assert_eq!(json(&confirmed.finished.answer), case.0["finish_answer"]);
        let paired = finishing.done(&confirmed.finished.answer).unwrap();
        compare(&case, &confirmed, &paired);
        assert_eq!(pin_of_link, &Pin::of(&paired.service_key));
    }
}

fn compare(case: &Case, confirmed: &Confirmed, paired: &super::super::Paired) {
    for (root, th) in [(&confirmed.root, &confirmed.th), (&paired.root, &paired.th)] {
        assert_eq!(root.expose().as_slice(), hex(&case.0["root_0"]));
        assert_eq!(th.as_slice(), hex(&case.0["th"]));
        let kek = Kek::of(root);
        assert_eq!(kek.kw.expose().as_slice(), hex(&case.0["kek_kw"]));
        assert_eq!(kek.gcm.expose().as_slice(), hex(&case.0["kek_gcm"]));
        assert_eq!(kek.id.as_slice(), hex(&case.0["kid"]));
        for (label, name) in [(labels::BOX_CLIENT, "box_client"), (labels::BOX_SERVICE, "box_service")] {
            let key = crypto::derive(root, label, &[]);
            assert_eq!(key.expose().as_slice(), hex(&case.0[name]["key"]));
            assert_eq!(super::super::boxes::signed(label, th).as_ref(), hex(&case.0[name]["signed"]));
        }
    }
    assert_eq!(paired.pairing, case.given("pairing"));
    assert_eq!(paired.service, case.given("service"));
    assert_eq!(paired.policy, case.given::<Option<String>>("policy"));
    assert_eq!((paired.epoch, paired.not_after), (0, case.now().after_s(super::super::EPOCH_S)));
    assert_eq!(
        (paired.role, &paired.server, &paired.user),
        (confirmed.role, &confirmed.server, &confirmed.user)
    );
    assert_eq!((paired.pinned, confirmed.pinned), (case.given("pinned"), case.given("pinned")));
    assert_eq!((confirmed.invitation, confirmed.pairing), (case.given("invitation"), paired.pairing));
    assert_eq!(confirmed.key, paired.key.verifying_key());
    assert_eq!(confirmed.label, case.given("label"));
    assert_eq!(confirmed.offer.names().collect::<Vec<_>>(), case.given::<Vec<String>>("offer"));
    assert_eq!(confirmed.not_after, paired.not_after);
}

#[test]
fn the_parts_of_the_root_are_reproduced() {
    for case in cases() {
        let begin: Begin = case.message("begin");
        let answer: BeginAnswer = case.message("begin_answer");
        let (kem_ct, kem_ss) = crypto::encapsulate(&begin.kem_ek.0, &mut case.random(&["kem_m"])).unwrap();
        assert_eq!((&kem_ct, kem_ss.expose().to_vec()), (&answer.kem_ct.0, hex(&case.0["kem_ss"])));
        let (server, user) = (case.given("server"), case.given::<Option<_>>("user"));
        let subject = exchange::Subject { role: case.given("role"), server: &server, user: user.as_ref() };
        let spki = &answer.service_key.0;
        let context = exchange::context(&subject, &begin.key_hash.0, &begin.kem_ek.0, &kem_ct, spki);
        assert_eq!(context.as_ref(), hex(&case.0["spake2plus"]["Context"]));
        let shared = Secret::copy_of(&hex(&case.0["spake2plus"]["K_shared"])).unwrap();
        let th = hex(&case.0["th"]).try_into().unwrap();
        assert_eq!(exchange::root(&th, &shared, &kem_ss).expose().as_slice(), hex(&case.0["root_0"]));
    }
}

/// `message` with `change` put over it: null takes a member away.
fn changed<T: serde::Serialize + DeserializeOwned>(message: &T, change: &Value) -> T {
    let mut object = json(message);
    let members = object.as_object_mut().unwrap();
    for (name, value) in change.as_object().unwrap() {
        members.insert(name.clone(), value.clone());
    }
    members.retain(|_, value| !value.is_null());
    serde_json::from_value(object).unwrap()
}

#[test]
fn every_refusal_names_its_reason() {
    let (vectors, case) = (vectors(), first());
    for row in vectors["refusals_of_the_first_case"].as_array().unwrap() {
        let (name, change) = (row["message"].as_str().unwrap(), &row["change"]);
        let outcome = case.run(|message| match message {
            Messages::Begin(begin) if name == "begin" => **begin = changed(*begin, change),
            Messages::BeginAnswer(answer) if name == "begin_answer" => **answer = changed(*answer, change),
            Messages::Finish(finish) if name == "finish" => **finish = changed(*finish, change),
            Messages::FinishAnswer(answer) if name == "finish_answer" => **answer = changed(*answer, change),
            _ => {}
        });
        let told = match outcome {
            Outcome::Client(refusal) => format!("client {refusal:?}"),
            Outcome::Service(reject) => format!("service {reject:?}"),
            other => format!("{other:?}"),
        };
        let [by, reason] = ["by", "reason"].map(|name| row[name].as_str().unwrap());
        assert_eq!(told, format!("{by} {reason}"), "{}", row["why"]);
        if name == "begin" {
            let request = changed(case.prover().request(), change);
            let attempt = case.invited().begin(request, case.now(), &mut case.random(&["kem_m"]));
            assert_eq!(attempt.is_ok(), row["attempt"].as_bool().unwrap(), "{}", row["why"]);
        }
    }
}

#[test]
fn every_box_that_opens_and_is_refused_names_its_reason() {
    let (vectors, case) = (vectors(), first());
    for row in vectors["boxes_of_the_first_case"].as_array().unwrap() {
        let sealed: Bytes = serde_json::from_value(row["box"].clone()).unwrap();
        let outcome = case.run(|message| match (message, row["side"].as_str().unwrap()) {
            (Messages::Finish(finish), "client") => finish.sealed = sealed.clone(),
            (Messages::FinishAnswer(answer), "service") => answer.sealed = sealed.clone(),
            _ => {}
        });
        let told = match outcome {
            Outcome::Client(refusal) => format!("{refusal:?}"),
            Outcome::Service(reject) => format!("{reject:?}"),
            other => format!("{other:?}"),
        };
        assert_eq!(told, row["reason"].as_str().unwrap(), "{}", row["why"]);
    }
}

/// proto/pairing/approval.json: the first case again, as a pairing that waits to be approved.
#[test]
fn a_confirmed_pairing_is_told_whose_word_it_waits_for() {
    let vectors: Value =
        serde_json::from_str(include_str!("../../../../proto/pairing/approval.json")).unwrap();
    for row in vectors["boxes_of_the_first_case"].as_array().unwrap() {
        let mut case = first();
        let sealed: Bytes = serde_json::from_value(row["box"].clone()).unwrap();
        let told = case.run(|message| {
            if let Messages::FinishAnswer(answer) = message {
                answer.sealed = sealed.clone();
            }
        });
        if let Some(reason) = row["reason"].as_str() {
            assert!(matches!(told, Outcome::Client(refusal) if format!("{refusal:?}") == reason), "{row}");
            continue;
        }
        assert_eq!(told, Outcome::Paired, "{row}");
        case.0["given"]["approval"] = row["approval"].clone();
        case.0["random"]["service_nonce"] = row["nonce"].clone();
        let prover = case.prover();
        let (begun, answer) = case.answer(&case.registration().verifier(), prover.request().clone()).unwrap();
        let finishing = case.finish(prover.check(&answer).unwrap());
        let confirmed = case.confirm(begun, finishing.request()).unwrap();
        assert_eq!(confirmed.finished.answer.sealed, sealed, "{row}");
        let paired = finishing.done(&confirmed.finished.answer).unwrap();
        assert_eq!(paired.approval, confirmed.approval);
        assert_eq!(paired.digits, super::super::Digits::of(&confirmed.th, &confirmed.key));
        assert_eq!(paired.digits.to_string(), vectors["digits"][0]["digits"].as_str().unwrap());
    }
}

/// Flips every octet of a field in turn and expects one of `reasons` each time.
fn flip(size: usize, run: impl Fn(usize) -> Outcome, reasons: &[Outcome]) {
    assert!(size > 0);
    for i in 0..size {
        let outcome = run(i);
        assert!(reasons.contains(&outcome), "octet {i}: {outcome:?}, not one of {reasons:?}");
    }
}

/// A name with one octet flipped, if it is one still.
fn flipped<T: std::fmt::Display + std::str::FromStr>(name: &T, i: usize) -> Option<T> {
    let mut octets = name.to_string().into_bytes();
    octets[i] ^= 1;
    String::from_utf8(octets).ok()?.parse().ok()
}

#[test]
fn every_octet_of_begin_matters() {
    let case = first();
    let (prover, verifier) = (case.prover(), case.registration().verifier());
    let begin = |change: &dyn Fn(&mut Begin)| {
        let mut begin = prover.request().clone();
        change(&mut begin);
        match case.answer(&verifier, begin) {
            Ok((_, answer)) => prover.agree(&answer).map_or_else(Outcome::Client, |_| Outcome::Paired),
            Err(reject) => Outcome::Service(reject),
        }
    };
    let mismatch = || Outcome::Client(Refusal::CodeMismatch);
    assert_eq!(begin(&|_| {}), Outcome::Paired);
    flip(65, |i| begin(&|begin| begin.share_p.0[i] ^= 1), &[Outcome::Service(Reject::BadShare)]);
    let kem = [Outcome::Service(Reject::BadKemKey), mismatch()];
    flip(1184, |i| begin(&|begin| begin.kem_ek.0[i] ^= 1), &kem);
    flip(32, |i| begin(&|begin| begin.key_hash.0[i] ^= 1), &[mismatch()]);
}

#[test]
fn every_octet_of_begin_s_answer_matters() {
    let case = first();
    let (prover, good): (_, BeginAnswer) = (case.prover(), case.message("begin_answer"));
    let answer = |change: &dyn Fn(&mut BeginAnswer)| {
        let mut answer = good.clone();
        change(&mut answer);
        prover.agree(&answer).map_or_else(Outcome::Client, |_| Outcome::Paired)
    };
    let refused = Outcome::Client;
    assert_eq!(answer(&|_| {}), Outcome::Paired);
    flip(65, |i| answer(&|answer| answer.share_v.0[i] ^= 1), &[refused(Refusal::BadShare)]);
    flip(32, |i| answer(&|answer| answer.confirm_v.0[i] ^= 1), &[refused(Refusal::CodeMismatch)]);
    flip(1088, |i| answer(&|answer| answer.kem_ct.0[i] ^= 1), &[refused(Refusal::CodeMismatch)]);
    let key = [refused(Refusal::BadServiceKey), refused(Refusal::PinMismatch)];
    flip(91, |i| answer(&|answer| answer.service_key.0[i] ^= 1), &key);
    assert_eq!(answer(&|answer| answer.role = Role::Server), refused(Refusal::RoleMismatch));
    assert_eq!(answer(&|answer| answer.user = None), refused(Refusal::UserMismatch));

    let named = [refused(Refusal::CodeMismatch), Outcome::Undecoded];
    let run = |i| match flipped(&good.server, i) {
        Some(server) => answer(&|answer| answer.server = server.clone()),
        None => Outcome::Undecoded,
    };
    flip(good.server.as_str().len(), run, &named);
    let user = good.user.as_ref().unwrap();
    let run = |i| match flipped(user, i) {
        Some(user) => answer(&|answer| answer.user = Some(user.clone())),
        None => Outcome::Undecoded,
    };
    flip(user.as_str().len(), run, &named);

    // The client gives `state` back as it is: the service finds that it is another.
    let (begun, _) = case.answer(&case.registration().verifier(), prover.request().clone()).unwrap();
    let finish: Finish = case.message("finish");
    let run = |i| {
        let other = Finish { state: flipped(&good.state, i).unwrap(), ..finish.clone() };
        begun.admits(&other, case.now()).map_or_else(Outcome::Service, |()| Outcome::Paired)
    };
    flip(good.state.len(), run, &[Outcome::Service(Reject::StateUnknown)]);
}

#[test]
fn without_a_pin_every_octet_of_the_service_s_key_matters_too() {
    let case = Case(vectors()["cases"][1].clone());
    let (prover, good): (_, BeginAnswer) = (case.prover(), case.message("begin_answer"));
    let refused = [Outcome::Client(Refusal::BadServiceKey), Outcome::Client(Refusal::CodeMismatch)];
    let run = |i: usize| {
        let mut answer = good.clone();
        answer.service_key.0[i] ^= 1;
        prover.agree(&answer).map_or_else(Outcome::Client, |_| Outcome::Paired)
    };
    flip(91, run, &refused);
}

#[test]
fn every_octet_of_finish_matters() {
    let case = first();
    let (begun, _) = case.answer(&case.registration().verifier(), case.message("begin")).unwrap();
    let good: Finish = case.message("finish");
    let finish = |change: &dyn Fn(&mut Finish)| {
        let mut finish = good.clone();
        change(&mut finish);
        let enrolment = begun.enrolment(&finish, &SuiteList::ours(), case.now());
        enrolment.map_or_else(Outcome::Service, |_| Outcome::Paired)
    };
    let refused = Outcome::Service;
    assert_eq!(finish(&|_| {}), Outcome::Paired);
    flip(32, |i| finish(&|finish| finish.confirm_p.0[i] ^= 1), &[refused(Reject::CodeMismatch)]);
    flip(good.sealed.0.len(), |i| finish(&|finish| finish.sealed.0[i] ^= 1), &[refused(Reject::BadBox)]);
    let run = |i| finish(&|finish| finish.state = flipped(&finish.state, i).unwrap());
    flip(good.state.len(), run, &[refused(Reject::StateUnknown)]);
}

#[test]
fn every_octet_of_finish_s_answer_matters() {
    let case = first();
    let finishing = case.finish(case.prover().check(&case.message("begin_answer")).unwrap());
    let good: FinishAnswer = case.message("finish_answer");
    finishing.open(&good).unwrap();
    let run = |i: usize| {
        let mut answer = good.clone();
        answer.sealed.0[i] ^= 1;
        finishing.open(&answer).map_or_else(Outcome::Client, |_| Outcome::Paired)
    };
    flip(good.sealed.0.len(), run, &[Outcome::Client(Refusal::BadBox)]);
}

#[test]
fn an_unaltered_exchange_pairs() {
    for case in cases() {
        assert_eq!(case.run(|_| {}), Outcome::Paired);
    }
}

#[test]
fn a_recorded_exchange_replayed_is_of_no_use() {
    // The same begin and finish, to a service that draws anew.
    let case = first();
    let begin: Begin = case.message("begin");
    let attempt = case.invited().begin(begin, case.now(), &mut case.random(&["kem_m"])).unwrap();
    let mut rng = Script::of([vec![9; 32], hex(&case.0["random"]["state"])]);
    let service_key = case.key("service_key").verifying_key();
    let verifier = case.registration().verifier();
    let (begun, _) = attempt.answer(&verifier, &case.given("public_url"), &service_key, &mut rng).unwrap();
    let finish: Finish = case.message("finish");
    assert_eq!(case.confirm(begun, &finish).unwrap_err(), Reject::CodeMismatch);
}

#[test]
fn another_public_url_is_another_service() {
    // A relay at another origin, which the client takes for the service, and which passes everything on.
    let case = first();
    let relay: PublicUrl = "https://relay.example".parse().unwrap();
    let target = Target { public_url: relay, pin: None, ..case.target() };
    let mut rng = case.random(&["x", "kem_seed"]);
    let prover = Prover::begin(target, &case.code(), case.key("client_key"), &mut rng);
    let (_, answer) = case.answer(&case.registration().verifier(), prover.request().clone()).unwrap();
    assert_eq!(prover.check(&answer).unwrap_err(), Refusal::CodeMismatch);
}

#[test]
fn a_guess_is_told_apart_by_both_sides() {
    let case = first();
    let wrong = Registration::from_wide(&Secret::fill_with(|wide: &mut [u8; 80]| wide.fill(3)));
    let mut rng = case.random(&["x", "kem_seed"]);
    let prover = Prover::start(case.target(), wrong, case.key("client_key"), &mut rng);
    let (begun, answer) = case.answer(&case.registration().verifier(), prover.request().clone()).unwrap();
    assert_eq!(prover.check(&answer).unwrap_err(), Refusal::CodeMismatch);
    let guess = Finish { confirm_p: Octets([0; 32]), state: answer.state, sealed: Bytes(vec![0; 28]) };
    assert_eq!(case.confirm(begun, &guess).unwrap_err(), Reject::CodeMismatch);
}
