//! Approvals: digits that differ, and what a device may do before it is approved.

use sidekey_client::admin::Standing;
use sidekey_protocol::ids::PartyId;
use sidekey_protocol::pairing::Digits;
use sidekey_protocol::pairing::registry::Approve;
use sidekey_service::problem::Code;

use crate::drill::ask::Ask;
use crate::drill::attack::{Attack, Bout, Group, Side, Went, bouts};
use crate::drill::promises::DIGITS;

pub(super) fn attacks() -> Vec<Attack> {
    bouts! { Pairing:
        "digits-differ", "approval with digits that differ", DIGITS => differ;
        "digits-guessed", "five wrong digits, and then the right ones", DIGITS => guessed;
        "not-yet-approved", "a device that does not wait for its approval", DIGITS => impatient;
    }
}

async fn differ(bout: &mut Bout) -> Went {
    let (paired, _) = bout.ground.waiting().await?;
    let wrong = approve(bout, paired.pairing, other_than(paired.digits));
    bout.recorded("approve with other digits", wrong, Code::DigitsMismatch).await;
    stands(bout, Side::Attack, paired.pairing, Standing::Confirmed).await?;
    bout.twin("approve with its own", approve(bout, paired.pairing, paired.digits), 200).await?;
    stands(bout, Side::Twin, paired.pairing, Standing::Active).await
}

/// The twin's administrator mishears four times.
async fn guessed(bout: &mut Bout) -> Went {
    let ((gone, _), (misheard, _)) = (bout.ground.waiting().await?, bout.ground.waiting().await?);
    for (paired, mistakes) in [(&gone, 5), (&misheard, 4)] {
        for _ in 0..mistakes {
            let wrong = approve(bout, paired.pairing, other_than(paired.digits));
            bout.recorded("approve with other digits", wrong, Code::DigitsMismatch).await;
        }
    }
    stands(bout, Side::Attack, gone.pairing, Standing::Refused).await?;
    let right = approve(bout, gone.pairing, gone.digits);
    bout.attack("approve with its own, too late", right, Code::ApprovalOver).await?;
    bout.twin("approve with its own", approve(bout, misheard.pairing, misheard.digits), 200).await?;
    stands(bout, Side::Twin, misheard.pairing, Standing::Active).await
}

async fn impatient(bout: &mut Bout) -> Went {
    let (paired, keys) = bout.ground.waiting().await?;
    let token = bout.ground.token(&keys);
    bout.twin("look at itself", Ask::get("/v1/pairings/self").bearer(&token), 200).await?;
    for path in ["/v1/sessions/current", "/v1/policy", "/v1/events"] {
        bout.attack(path, Ask::get(path).bearer(&token), Code::ApprovalPending).await?;
    }
    let itself =
        Ask::post(format!("/v1/pairings/{}/approve", paired.pairing), &Approve { digits: paired.digits });
    bout.attack("approve itself", itself.bearer(&token), Code::ApprovalPending).await?;
    bout.twin("be approved", approve(bout, paired.pairing, paired.digits), 200).await?;
    bout.twin("ask for sessions then", Ask::get("/v1/sessions/current").bearer(&token), 200).await?;
    Ok(())
}

fn approve(bout: &Bout, pairing: PartyId, digits: Digits) -> Ask {
    let ask = Ask::post(format!("/v1/pairings/{pairing}/approve"), &Approve { digits });
    ask.bearer(&bout.ground.admin_token())
}

fn other_than(digits: Digits) -> Digits {
    let [zeros, ones] = ["0000 0000 0000 0000", "0000 0000 0000 0001"];
    let zeros = zeros.parse().expect("they are digits");
    if digits == zeros { ones.parse().expect("they are digits") } else { zeros }
}

async fn stands(bout: &mut Bout, side: Side, pairing: PartyId, state: Standing) -> Went {
    let seen = bout.ground.admin().pairing(pairing).await?.state;
    let otherwise = format!("it is {}", seen.as_str());
    bout.holds(side, format!("the device is {}", state.as_str()), seen == state, otherwise);
    Ok(())
}
