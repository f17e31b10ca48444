//! The second step, replayed, redirected or altered; and what an honest device says to an altered answer.

use sidekey_client::admin::InvitationState;
use sidekey_protocol::crypto::SigningKey;
use sidekey_protocol::encoding::{Bytes, base64url};
use sidekey_protocol::ids::Role;
use sidekey_protocol::pairing::wire::{BeginAnswer, FinishAnswer};
use sidekey_protocol::pairing::{Kek, Pin};
use sidekey_protocol::token;
use sidekey_service::problem::Code;

use super::{finish_of, finishing, pairs, stands, step};
use crate::drill::ask::Ask;
use crate::drill::attack::{Attack, Bout, Group, Side, Went, bouts};
use crate::drill::ground::rng;
use crate::drill::promises::{BETWEEN, ONE, RECORDED};

pub(super) fn attacks() -> Vec<Attack> {
    bouts! { Pairing:
        "finish-replayed", "a recorded finish, sent again", RECORDED => replayed;
        "finish-altered-again", "another finish for an exchange that has paired", ONE => again_with_another_body;
        "state-of-another", "a finish with the state of another exchange", RECORDED => state_of_another;
        "offer-altered", "a device's offer, altered on its way", BETWEEN => altered;
        "answer-altered", "the service's share, altered on its way", BETWEEN => answer_altered;
        "another-service", "an answer by a service with another key", BETWEEN => another_service;
    }
}

/// The twin has lost the answer, and asks for it again before the pairing is used.
async fn replayed(bout: &mut Bout) -> Went {
    let invited = bout.ground.invited().await?;
    let finishing = finishing(bout, &invited).await?;
    let ask = finish_of(&invited, &finishing);
    let first = bout.twin("finish", ask.clone(), 200).await?;
    let second = bout.twin("the same, since its answer was lost", ask.clone(), 200).await?;
    bout.holds(Side::Twin, "both answers are the same", first.body == second.body, "they differ");
    let paired = bout.taken_here("what it is given", finishing.done(&first.json::<FinishAnswer>()?))?;
    let now = bout.ground.admin().transport().now();
    let kek = Some(Kek::of(&paired.root).id);
    let token = token::sign(&paired.key, paired.pairing, paired.service, kek, now);
    bout.twin("its first request", Ask::get("/v1/pairings/self").bearer(&token), 200).await?;
    bout.attack("the recorded finish, sent again", ask, Code::ExchangeOver).await?;
    Ok(())
}

/// It is refused, and recorded: somebody else knows the code.
async fn again_with_another_body(bout: &mut Bout) -> Went {
    let invited = bout.ground.invited().await?;
    let finishing = finishing(bout, &invited).await?;
    let mut other = finishing.request().clone();
    other.sealed.0[0] ^= 1;
    pairs(bout, "finish", &invited, finishing).await?;
    bout.ground.changes().await?;
    let ask = Ask::post(step(invited.invitation, "finish"), &other);
    bout.recorded("finish with another box", ask, Code::FinishConflict).await;
    let changes = bout.ground.changes().await?;
    let told = changes == ["pairing_finish_conflict"];
    bout.holds(
        Side::Attack,
        "the audit log tells of it, and of nothing else",
        told,
        format!("it tells of {changes:?}"),
    );
    stands(bout, &invited, InvitationState::Paired, 4).await
}

async fn state_of_another(bout: &mut Bout) -> Went {
    let (one, other) = (bout.ground.invited().await?, bout.ground.invited().await?);
    let (ones, others) = (finishing(bout, &one).await?, finishing(bout, &other).await?);
    let mut mixed = ones.request().clone();
    mixed.state = others.request().state.clone();
    let ask = Ask::post(step(one.invitation, "finish"), &mixed);
    bout.attack("finish with the other's state", ask, Code::ExchangeOver).await?;
    let whole = Ask::post(step(one.invitation, "finish"), others.request());
    bout.attack("finish with all that the other has", whole, Code::ExchangeOver).await?;
    pairs(bout, "finish with its own", &one, ones).await?;
    pairs(bout, "and the other one, undisturbed", &other, others).await
}

/// The offer stands in the box.
async fn altered(bout: &mut Bout) -> Went {
    for place in ["the first", "the middle", "the last"] {
        let invited = bout.ground.invited().await?;
        let finishing = finishing(bout, &invited).await?;
        let mut changed = finishing.request().clone();
        let size = changed.sealed.0.len();
        let at = match place {
            "the first" => 0,
            "the middle" => size / 2,
            _ => size - 1,
        };
        changed.sealed.0[at] ^= 1;
        let ask = Ask::post(step(invited.invitation, "finish"), &changed);
        bout.attack(format!("a bit of {place} octet"), ask, Code::BoxInvalid).await?;
        stands(bout, &invited, InvitationState::Begun, 4).await?;
    }
    let invited = bout.ground.invited().await?;
    let finishing = finishing(bout, &invited).await?;
    pairs(bout, "unaltered", &invited, finishing).await
}

/// What is altered, and how.
type Alteration = (&'static str, fn(&mut BeginAnswer));

async fn answer_altered(bout: &mut Bout) -> Went {
    let invited = bout.ground.invited().await?;
    let honest = begin(bout, &invited, |_| {}).await?;
    bout.taken_here("the answer as it came", honest)?;
    let alterations: [Alteration; 4] = [
        ("its ciphertext", |answer| answer.kem_ct.0[7] ^= 1),
        ("its confirmation", |answer| answer.confirm_v.0[0] ^= 1),
        ("the mail server's name", |answer| answer.server = "elsewhere".parse().expect("it is a name")),
        ("the user's name", |answer| answer.user = "somebody".parse().ok()),
    ];
    for (what, alter) in alterations {
        let checked = begin(bout, &invited, alter).await?;
        bout.refused_here(what, "does not know this pairing code, or somebody between", checked);
    }
    Ok(())
}

async fn another_service(bout: &mut Bout) -> Went {
    let invited = bout.ground.invited().await?;
    let honest = begin(bout, &invited, |_| {}).await?;
    bout.taken_here("the answer as it came", honest)?;
    let impostor = SigningKey::generate(&mut rng()).verifying_key();
    let told = begin(bout, &invited, |answer| answer.service_key = Bytes(impostor.spki().to_vec())).await?;
    let what = format!("the key {} in the place of the service's", base64url(&impostor.fingerprint()[..6]));
    bout.refused_here(what, "its key does not match the pin", told);
    let named = invited.link.proof.as_ref().map(|(_, pin)| *pin);
    bout.holds(
        Side::Attack,
        "the link names the service's own key",
        named != Some(Pin::of(&impostor)),
        "the impostor's",
    );
    Ok(())
}

/// What a device makes of the answer to its `begin`, when it comes altered so.
async fn begin(
    bout: &mut Bout,
    invited: &sidekey_client::admin::Invited,
    alter: impl FnOnce(&mut BeginAnswer),
) -> Went<Result<(), sidekey_protocol::pairing::Refusal>> {
    let prover = bout.ground.prover(invited, &invited.code, Role::Client);
    let begin = Ask::post(step(invited.invitation, "begin"), prover.request());
    let mut answer: BeginAnswer = bout.twin("begin with the right code", begin, 200).await?.json()?;
    alter(&mut answer);
    Ok(prover.check(&answer).map(drop))
}
