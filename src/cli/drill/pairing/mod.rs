//! Pairing: shares that are none, codes that are guessed, exchanges that are replayed or altered, digits that differ.

mod approving;
mod finishing;
mod guessing;
mod shares;

use sidekey_client::admin::{InvitationState, Invited};
use sidekey_protocol::ids::Role;
use sidekey_protocol::pairing::wire::FinishAnswer;
use sidekey_protocol::pairing::{Checked, Finishing, PairingCode};
use sidekey_protocol::session::SuiteList;

use super::ask::Ask;
use super::attack::{Attack, Bout, Over, Side, Went};
use super::ground::{rng, step};

/// All of them.
pub(super) fn attacks() -> Vec<Attack> {
    let groups = [shares::attacks(), guessing::attacks(), finishing::attacks(), approving::attacks()];
    groups.into_iter().flatten().collect()
}

/// Those that need a minute to be over.
pub(super) fn slow() -> Vec<Attack> {
    guessing::slow()
}

/// An honest client whose `begin` was answered, and which has checked the answer.
async fn begun(bout: &mut Bout, invited: &Invited, code: &PairingCode) -> Went<Checked> {
    let prover = bout.ground.prover(invited, code, Role::Client);
    let begin = Ask::post(step(invited.invitation, "begin"), prover.request());
    let answer = bout.twin("begin with the right code", begin, 200).await?;
    prover.check(&answer.json()?).map_err(|refusal| Over::Failed(refusal.to_string()))
}

/// The same, about to show itself.
async fn finishing(bout: &mut Bout, invited: &Invited) -> Went<Finishing> {
    Ok(finish(begun(bout, invited, &invited.code).await?))
}

fn finish(checked: Checked) -> Finishing {
    let label = "drill".parse().expect("it is a label");
    checked.finish(&label, &SuiteList::ours(), &mut rng())
}

fn finish_of(invited: &Invited, finishing: &Finishing) -> Ask {
    Ask::post(step(invited.invitation, "finish"), finishing.request())
}

/// An honest client that goes all the way with this invitation.
async fn pairs(bout: &mut Bout, what: &str, invited: &Invited, finishing: Finishing) -> Went {
    let answer = bout.twin(what, finish_of(invited, &finishing), 200).await?;
    let paired = bout.taken_here("what it is given", finishing.done(&answer.json::<FinishAnswer>()?))?;
    let listed = bout.ground.admin().pairing(paired.pairing).await?;
    bout.holds(Side::Twin, "the pairing is there", listed.pairing == paired.pairing, "another one is");
    Ok(())
}

/// That an invitation stands so, with so many attempts left.
async fn stands(bout: &mut Bout, invited: &Invited, state: InvitationState, attempts: u8) -> Went {
    let seen = bout.ground.admin().invitation(invited.invitation).await?;
    let otherwise = format!("it is {:?}, with {}", seen.state, seen.attempts);
    let holds = seen.state == state && u64::from(seen.attempts) == u64::from(attempts);
    bout.holds(
        Side::Attack,
        format!("the invitation is {state:?}, with {attempts} attempts left"),
        holds,
        otherwise,
    );
    Ok(())
}
