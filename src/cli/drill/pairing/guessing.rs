//! Invitations: guessed at, over, cancelled, used twice, used as something else.

use std::time::Duration;

use sidekey_client::Notice;
use sidekey_client::admin::{InvitationState, Invited};
use sidekey_protocol::ids::{InvitationId, Role};
use sidekey_protocol::revocation::wire::Event;
use sidekey_protocol::revocation::{Reason, Target};
use sidekey_service::problem::Code;
use tokio::time::{sleep, timeout};

use super::{begun, finish, finish_of, finishing, pairs, stands, step};
use crate::drill::ask::Ask;
use crate::drill::attack::{Attack, Bout, Group, Side, Went, bouts};
use crate::drill::ground::{another_code, rng};
use crate::drill::promises::{BETWEEN, GUESSES, LIVE, ONE};

pub(super) fn attacks() -> Vec<Attack> {
    bouts! { Pairing:
        "five-wrong-codes", "five wrong codes, and then the right one", GUESSES => five_wrong_codes;
        "wrong-code-finish", "a finish without the code", GUESSES => finish_without;
        "unknown-invitation", "a begin for an invitation that is none", LIVE => unknown;
        "cancelled-invitation", "a begin for one that was cancelled", ONE => cancelled;
        "cancelled-in-between", "a finish after it was cancelled", ONE => cancelled_in_between;
        "used-twice", "an invitation that has paired a device", ONE => used_twice;
        "two-places", "an invitation used in two places at once", ONE => two_places;
        "client-as-server", "a client's invitation used by a server", BETWEEN => client_as_server;
    }
}

pub(super) fn slow() -> Vec<Attack> {
    bouts! { Pairing:
        "expired", "a finish after a minute, and an invitation after its time", ONE => expired;
    }
}

/// The twin makes four mistakes, and then none.
async fn five_wrong_codes(bout: &mut Bout) -> Went {
    let (guessed, mistyped) = (bout.ground.invited().await?, bout.ground.invited().await?);
    let mut told = bout.ground.mail.server.watch();
    // The stream has begun: what is told from now on is heard.
    let _ = timeout(PROMPT, told.next()).await;
    for left in (0..5).rev() {
        guess(bout, &guessed).await?;
        let state = if left == 0 { InvitationState::Spent } else { InvitationState::Begun };
        stands(bout, &guessed, state, left).await?;
    }
    let right = bout.ground.prover(&guessed, &guessed.code, Role::Client);
    let begin = Ask::post(step(guessed.invitation, "begin"), right.request());
    bout.attack("begin with the right code", begin, Code::InvitationOver).await?;
    let spent = async {
        while let Some(Ok(notice)) = told.next().await {
            if matches!(notice, Notice::Event(Event::Spent(spent)) if spent.invitation == guessed.invitation)
            {
                return true;
            }
        }
        false
    };
    let heard = timeout(PROMPT, spent).await.unwrap_or(false);
    bout.holds(Side::Attack, "the mail server is told that it was guessed at", heard, "no event came");

    for _ in 0..4 {
        guess(bout, &mistyped).await?;
    }
    let last = finishing(bout, &mistyped).await?;
    pairs(bout, "finish at the fifth attempt", &mistyped, last).await
}

/// A `begin` with a wrong code: it is answered, and only a look at the answer tells that the code is wrong.
async fn guess(bout: &mut Bout, invited: &Invited) -> Went {
    let wrong = bout.ground.prover(invited, &another_code(&invited.code), Role::Client);
    let begin = Ask::post(step(invited.invitation, "begin"), wrong.request());
    let answer = bout.twin("begin with a wrong code", begin, 200).await?;
    bout.refused_here("its answer", "does not know this pairing code", wrong.check(&answer.json()?));
    Ok(())
}

async fn finish_without(bout: &mut Bout) -> Went {
    let (attacked, honest) = (bout.ground.invited().await?, bout.ground.invited().await?);
    let checked = finishing(bout, &attacked).await?;
    let mut guess = checked.request().clone();
    guess.confirm_p.0[31] ^= 1;
    let ask = Ask::post(step(attacked.invitation, "finish"), &guess);
    bout.attack("finish with another confirmation", ask, Code::CodeMismatch).await?;
    let again = finish_of(&attacked, &checked);
    bout.attack("finish again, with the right one", again, Code::ExchangeOver).await?;
    stands(bout, &attacked, InvitationState::Begun, 4).await?;

    let finishing = finishing(bout, &honest).await?;
    pairs(bout, "finish with what the code gives", &honest, finishing).await
}

async fn unknown(bout: &mut Bout) -> Went {
    let invited = bout.ground.invited().await?;
    let prover = bout.ground.prover(&invited, &invited.code, Role::Client);
    let nobody = InvitationId::random(&mut rng());
    for (what, id) in [("of a random id", nobody.to_string()), ("of an id that is none", "xyz".to_owned())] {
        let begin = Ask::post(format!("/v1/pairings/{id}/begin"), prover.request());
        bout.attack(what, begin, Code::NotFound).await?;
    }
    stands(bout, &invited, InvitationState::Invited, 5).await?;
    bout.twin("of the one that it has", Ask::post(step(invited.invitation, "begin"), prover.request()), 200)
        .await?;
    Ok(())
}

async fn cancelled(bout: &mut Bout) -> Went {
    let (gone, open) = (bout.ground.invited().await?, bout.ground.invited().await?);
    cancel(bout, &gone).await?;
    let prover = bout.ground.prover(&gone, &gone.code, Role::Client);
    let begin = Ask::post(step(gone.invitation, "begin"), prover.request());
    bout.attack("begin with the right code", begin, Code::InvitationOver).await?;
    begun(bout, &open, &open.code).await.map(drop)
}

async fn cancelled_in_between(bout: &mut Bout) -> Went {
    let (gone, open) = (bout.ground.invited().await?, bout.ground.invited().await?);
    let late = finishing(bout, &gone).await?;
    cancel(bout, &gone).await?;
    bout.attack("finish", finish_of(&gone, &late), Code::InvitationOver).await?;
    stands(bout, &gone, InvitationState::Cancelled, 4).await?;
    let finishing = finishing(bout, &open).await?;
    pairs(bout, "finish of one that was not cancelled", &open, finishing).await
}

async fn cancel(bout: &Bout, invited: &Invited) -> Went {
    let reason: Reason = "drill".parse().expect("it is a reason");
    let target = Target::Invitation { invitation: invited.invitation };
    bout.ground.admin().revoke(&target, &reason).await?;
    Ok(())
}

async fn used_twice(bout: &mut Bout) -> Went {
    let invited = bout.ground.invited().await?;
    let first = finishing(bout, &invited).await?;
    pairs(bout, "the first device", &invited, first).await?;
    let second = bout.ground.prover(&invited, &invited.code, Role::Client);
    let begin = Ask::post(step(invited.invitation, "begin"), second.request());
    bout.attack("begin of a second device", begin, Code::InvitationOver).await?;
    stands(bout, &invited, InvitationState::Paired, 4).await
}

/// Both know the code. Whoever began last goes on, and the other one learns that somebody did.
async fn two_places(bout: &mut Bout) -> Went {
    let invited = bout.ground.invited().await?;
    let (first, second) = (finishing(bout, &invited).await?, finishing(bout, &invited).await?);
    bout.attack("finish in the first place", finish_of(&invited, &first), Code::ExchangeOver).await?;
    pairs(bout, "finish in the second place", &invited, second).await?;
    // Recorded: two have known the code.
    let again = finish_of(&invited, &first);
    bout.recorded("finish in the first place, again", again, Code::FinishConflict).await;
    stands(bout, &invited, InvitationState::Paired, 3).await
}

async fn client_as_server(bout: &mut Bout) -> Went {
    let invited = bout.ground.invited().await?;
    let gateway = bout.ground.prover(&invited, &invited.code, Role::Server);
    let begin = Ask::post(step(invited.invitation, "begin"), gateway.request());
    let answer = bout.twin("begin, which says nothing of a role", begin, 200).await?;
    let checked = gateway.check(&answer.json()?);
    bout.refused_here("what it is answered, at a mail server", "another role", checked);
    stands(bout, &invited, InvitationState::Begun, 4).await?;
    let device = begun(bout, &invited, &invited.code).await?;
    pairs(bout, "finish of a device", &invited, finish(device)).await
}

/// The twin is as patient, and begins again.
async fn expired(bout: &mut Bout) -> Went {
    let (slow, short) = (bout.ground.invited().await?, bout.ground.invited_for(60).await?);
    let late = finishing(bout, &slow).await?;
    sleep(Duration::from_secs(61)).await;
    bout.attack("finish after 61 seconds", finish_of(&slow, &late), Code::ExchangeOver).await?;
    let prover = bout.ground.prover(&short, &short.code, Role::Client);
    let begin = Ask::post(step(short.invitation, "begin"), prover.request());
    bout.attack("begin after the invitation's time", begin, Code::InvitationOver).await?;
    stands(bout, &short, InvitationState::Expired, 5).await?;
    let again = finishing(bout, &slow).await?;
    pairs(bout, "begin again, and finish", &slow, again).await
}

/// How long an event may take.
const PROMPT: Duration = Duration::from_secs(5);
