//! Attempts, times and repeats: what the service decides without looking at a key.

mod vectors;

use rand_chacha::ChaCha20Rng;
use rand_chacha::rand_core::SeedableRng as _;

use super::wire::{Begin, BeginAnswer, Finish};
use super::{
    ATTEMPTS, Approval, Ask, Begun, Confirmed, EXCHANGE_S, Finishing, Grant, Invited, PairingCode, Pin,
    Prover, PublicUrl, Reject, Target,
};
use crate::crypto::SigningKey;
use crate::crypto::spake2plus::Verifier;
use crate::encoding::{Bytes, Octets};
use crate::ids::{PartyId, Role, ServiceId, Timestamp};
use crate::session::SuiteList;

const NOW: Timestamp = Timestamp(1_800_000_000);

/// A service with one invitation, and whoever holds its code.
struct Scene {
    rng: ChaCha20Rng,
    service_key: SigningKey,
    public_url: PublicUrl,
    invited: Invited,
    code: PairingCode,
    verifier: Verifier,
}

fn ask(role: Role) -> Ask {
    let user = (role == Role::Client).then(|| "ann@example.org".parse().unwrap());
    Ask { role, server: "mail.example.org".parse().unwrap(), user, ttl_s: None, approval: Approval::None }
}

impl Scene {
    fn new(role: Role) -> Self {
        let mut rng = ChaCha20Rng::seed_from_u64(7);
        let service_key = SigningKey::generate(&mut rng);
        let public_url: PublicUrl = "https://keys.example.org".parse().unwrap();
        let (invited, code) = Invited::invite(ask(role), NOW, &mut rng).unwrap();
        let verifier = invited.verifier(&code, &public_url);
        Self { rng, service_key, public_url, invited, code, verifier }
    }

    fn prover(&mut self) -> Prover {
        let target = Target {
            public_url: self.public_url.clone(),
            invitation: self.invited.invitation,
            pin: Some(Pin::of(&self.service_key.verifying_key())),
            role: Some(self.invited.role),
        };
        let key = SigningKey::generate(&mut self.rng);
        Prover::begin(target, &self.code, key, &mut self.rng)
    }

    fn begin(&mut self, request: &Begin, now: Timestamp) -> Result<(Begun, BeginAnswer), Reject> {
        let attempt = self.invited.begin(request.clone(), now, &mut self.rng)?;
        self.invited.spend(now)?;
        attempt.answer(&self.verifier, &self.public_url, &self.service_key.verifying_key(), &mut self.rng)
    }

    /// Both sides, up to the client's `finish`.
    fn begun(&mut self) -> (Begun, Finishing) {
        let prover = self.prover();
        let (begun, answer) = self.begin(&prover.request().clone(), NOW).unwrap();
        let checked = prover.check(&answer).unwrap();
        let finishing = checked.finish(&"phone".parse().unwrap(), &SuiteList::ours(), &mut self.rng);
        (begun, finishing)
    }

    fn finish(&mut self, begun: Begun, request: &Finish, now: Timestamp) -> Result<Confirmed, Reject> {
        let grant = Grant {
            pairing: PartyId::from_bytes([1; 16]),
            service: ServiceId::from_bytes([2; 16]),
            key: &self.service_key,
            policy: (self.invited.role == Role::Client).then_some("e30.e30.e30"),
            suites: &SuiteList::ours(),
        };
        begun.finish(request, grant, now, &mut self.rng)
    }
}

#[test]
fn a_client_and_a_server_pair() {
    for role in [Role::Client, Role::Server] {
        let mut scene = Scene::new(role);
        let (begun, finishing) = scene.begun();
        let confirmed = scene.finish(begun, finishing.request(), NOW).unwrap();
        let paired = finishing.done(&confirmed.finished.answer).unwrap();
        assert_eq!(paired.root.expose(), confirmed.root.expose());
        assert_eq!(paired.policy.is_some(), role == Role::Client);
    }
}

#[test]
fn an_invitation_is_of_a_user_or_of_a_server() {
    let mut rng = ChaCha20Rng::seed_from_u64(1);
    let user = ask(Role::Client).user;
    for wrong in [Ask { user: None, ..ask(Role::Client) }, Ask { user, ..ask(Role::Server) }] {
        assert_eq!(Invited::invite(wrong, NOW, &mut rng).unwrap_err(), Reject::UserMismatch);
    }
}

#[test]
fn an_invitation_lasts_1_to_15_minutes() {
    let mut rng = ChaCha20Rng::seed_from_u64(1);
    for (ttl_s, lasts) in [(None, 900), (Some(60), 60), (Some(900), 900)] {
        let (invited, _) = Invited::invite(Ask { ttl_s, ..ask(Role::Client) }, NOW, &mut rng).unwrap();
        assert_eq!((invited.expires.since_s(NOW), invited.attempts_left), (lasts, ATTEMPTS));
    }
    for ttl_s in [0, 59, 901, u32::MAX] {
        let wrong = Ask { ttl_s: Some(ttl_s), ..ask(Role::Client) };
        assert_eq!(Invited::invite(wrong, NOW, &mut rng).unwrap_err(), Reject::TtlOutOfRange);
    }
}

#[test]
fn five_attempts_are_answered_and_the_fifth_may_still_finish() {
    let mut scene = Scene::new(Role::Client);
    for _ in 1..ATTEMPTS {
        let prover = scene.prover();
        scene.begin(&prover.request().clone(), NOW).unwrap();
    }
    let (begun, finishing) = scene.begun();
    let prover = scene.prover();
    assert_eq!(scene.begin(&prover.request().clone(), NOW).unwrap_err(), Reject::AttemptsSpent);
    assert_eq!(scene.invited.spend(NOW).unwrap_err(), Reject::AttemptsSpent);
    scene.finish(begun, finishing.request(), NOW).unwrap();
}

#[test]
fn a_malformed_begin_costs_no_attempt() {
    let mut scene = Scene::new(Role::Client);
    let prover = scene.prover();
    let good = prover.request().clone();
    let bad_share = Begin { share_p: Bytes(vec![0]), ..good.clone() };
    let bad_kem = Begin { kem_ek: Bytes(vec![0xff; 1184]), ..good.clone() };
    assert_eq!(scene.begin(&bad_share, NOW).unwrap_err(), Reject::BadShare);
    assert_eq!(scene.begin(&bad_kem, NOW).unwrap_err(), Reject::BadKemKey);
    assert_eq!(scene.invited.attempts_left, ATTEMPTS);
    scene.begin(&good, NOW).unwrap();
    assert_eq!(scene.invited.attempts_left, ATTEMPTS - 1);
}

#[test]
fn an_expired_invitation_answers_nothing() {
    let mut scene = Scene::new(Role::Client);
    let request = scene.prover().request().clone();
    let end = scene.invited.expires;
    scene.begin(&request, Timestamp(end.0 - 1)).unwrap();
    assert_eq!(scene.begin(&request, end).unwrap_err(), Reject::InvitationExpired);
    assert_eq!(scene.invited.spend(end).unwrap_err(), Reject::InvitationExpired);
}

#[test]
fn a_finish_after_the_invitation_s_end_is_refused() {
    let mut scene = Scene::new(Role::Client);
    let prover = scene.prover();
    let end = scene.invited.expires;
    let (begun, answer) = scene.begin(&prover.request().clone(), Timestamp(end.0 - 1)).unwrap();
    let checked = prover.check(&answer).unwrap();
    let finishing = checked.finish(&"phone".parse().unwrap(), &SuiteList::ours(), &mut scene.rng);
    assert_eq!(scene.finish(begun, finishing.request(), end).unwrap_err(), Reject::InvitationExpired);
}

#[test]
fn a_finish_has_60_seconds() {
    let mut scene = Scene::new(Role::Client);
    let (begun, finishing) = scene.begun();
    assert_eq!(begun.open(NOW.after_s(EXCHANGE_S - 1)), Ok(()));
    assert_eq!(begun.open(NOW.after_s(EXCHANGE_S)), Err(Reject::ExchangeExpired));
    let late = scene.finish(begun, finishing.request(), NOW.after_s(EXCHANGE_S));
    assert_eq!(late.unwrap_err(), Reject::ExchangeExpired);
    let (begun, finishing) = scene.begun();
    scene.finish(begun, finishing.request(), NOW.after_s(EXCHANGE_S - 1)).unwrap();
}

#[test]
fn an_identical_begin_gets_the_stored_answer_for_60_seconds() {
    let mut scene = Scene::new(Role::Client);
    let request = scene.prover().request().clone();
    let (begun, answer) = scene.begin(&request, NOW).unwrap();
    assert_eq!(begun.repeat(&request, NOW.after_s(EXCHANGE_S - 1)), Some(answer));
    assert_eq!(begun.repeat(&request, NOW.after_s(EXCHANGE_S)), None);
    let other = Begin { key_hash: Octets([0; 32]), ..request };
    assert_eq!(begun.repeat(&other, NOW), None);
}

#[test]
fn the_state_of_another_or_older_begin_is_unknown_and_ends_nothing() {
    let mut scene = Scene::new(Role::Client);
    let (_, older) = scene.begun();
    let (begun, finishing) = scene.begun();
    assert_eq!(begun.admits(older.request(), NOW), Err(Reject::StateUnknown));
    assert_eq!(begun.admits(finishing.request(), NOW), Ok(()));
    scene.finish(begun, finishing.request(), NOW).unwrap();
}

#[test]
fn an_identical_finish_gets_the_same_answer_and_another_none() {
    let mut scene = Scene::new(Role::Client);
    let (begun, finishing) = scene.begun();
    let finished = scene.finish(begun, finishing.request(), NOW).unwrap().finished;
    // As the store keeps it.
    let stored: super::Finished = serde_json::from_slice(&serde_json::to_vec(&finished).unwrap()).unwrap();
    assert_eq!(stored.repeat(finishing.request()).unwrap(), finished.answer);
    let other = Finish { sealed: Bytes(vec![]), ..finishing.request().clone() };
    assert_eq!(stored.repeat(&other).unwrap_err(), Reject::FinishDiffers);
}

#[test]
fn an_offer_needs_a_suite_of_the_policy_from_a_client_alone() {
    let future = SuiteList::parse(&["FUTURE"]).unwrap();
    for (role, expected) in [(Role::Client, Err(Reject::NoCommonSuite)), (Role::Server, Ok(()))] {
        let mut scene = Scene::new(role);
        let prover = scene.prover();
        let (begun, answer) = scene.begin(&prover.request().clone(), NOW).unwrap();
        let checked = prover.check(&answer).unwrap();
        let finishing = checked.finish(&"gateway".parse().unwrap(), &future, &mut scene.rng);
        assert_eq!(scene.finish(begun, finishing.request(), NOW).map(drop), expected);
    }
}

#[test]
fn every_state_is_mute() {
    let mut scene = Scene::new(Role::Client);
    let prover = scene.prover();
    let (begun, answer) = scene.begin(&prover.request().clone(), NOW).unwrap();
    let mut text = format!("{:?} {:?} {prover:?} {begun:?}", scene.code, scene.invited);
    let finishing =
        prover.check(&answer).unwrap().finish(&"phone".parse().unwrap(), &SuiteList::ours(), &mut scene.rng);
    let confirmed = scene.finish(begun, finishing.request(), NOW).unwrap();
    text += &format!("{finishing:?} {confirmed:?}");
    let paired = finishing.done(&confirmed.finished.answer).unwrap();
    text += &format!("{paired:?}");
    assert!(text.contains("Secret<32>"), "the text was captured");
    let root = paired.root.expose();
    let code = scene.code.expose_printed();
    for secret in
        [format!("{root:?}"), base16ct::lower::encode_string(root), code.to_string(), code.replace('-', "")]
    {
        assert!(!text.contains(&secret), "a secret prints");
    }
}
