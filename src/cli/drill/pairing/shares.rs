//! Shares and encapsulation keys that are none. Each costs no attempt; the twin is the same client with its own.

use serde_json::Value;
use sidekey_client::admin::InvitationState;
use sidekey_protocol::encoding::{base64url, from_base64url};
use sidekey_protocol::ids::Role;
use sidekey_service::problem::Code;

use super::{stands, step};
use crate::drill::ask::Ask;
use crate::drill::attack::{Attack, Bout, Group, Went};
use crate::drill::promises;

/// A `begin` that is spoiled so.
type Spoil = fn(&mut Value);

/// What stands in the place of the honest one.
const SPOILED: [(&str, &str, Spoil); 8] = [
    ("share-identity", "the identity as a share", |begin| share(begin, |_| vec![0])),
    ("share-zeros", "65 zeros as a share", |begin| share(begin, |_| vec![0; 65])),
    ("share-off-curve", "a share that is on no curve", |begin| {
        share(begin, |mut point| {
            point[64] ^= 1;
            point
        });
    }),
    ("share-beyond-field", "a coordinate beyond the field", |begin| {
        share(begin, |mut point| {
            point[1..33].fill(0xff);
            point
        });
    }),
    ("share-compressed", "a share in compressed form", |begin| {
        share(begin, |point| [&[2 + (point[64] & 1)], &point[1..33]].concat());
    }),
    ("share-64", "a share of 64 octets", |begin| share(begin, |point| point[..64].to_vec())),
    ("share-66", "a share of 66 octets", |begin| share(begin, |point| [&point[..], &[0]].concat())),
    ("kem-beyond-modulus", "an encapsulation key beyond its modulus", |begin| {
        begin["kem_ek"] = base64url(&[0xff; 1184]).into();
    }),
];

pub(super) fn attacks() -> Vec<Attack> {
    let attack = |(name, does, spoil): (_, _, Spoil)| {
        Attack::new(Group::Pairing, name, does, promises::SHARES, move |bout| Box::pin(spoiled(bout, spoil)))
    };
    SPOILED.into_iter().map(attack).collect()
}

async fn spoiled(bout: &mut Bout, spoil: Spoil) -> Went {
    let invited = bout.ground.invited().await?;
    let prover = bout.ground.prover(&invited, &invited.code, Role::Client);
    let path = step(invited.invitation, "begin");
    let mut begin = serde_json::to_value(prover.request())?;
    spoil(&mut begin);
    bout.attack("begin with it", Ask::post(&path, &begin), Code::ShareInvalid).await?;
    stands(bout, &invited, InvitationState::Invited, 5).await?;

    let answer = bout.twin("begin with an honest one", Ask::post(path, prover.request()), 200).await?;
    bout.taken_here("its answer", prover.check(&answer.json()?))?;
    Ok(())
}

fn share(begin: &mut Value, make: impl FnOnce(Vec<u8>) -> Vec<u8>) {
    let honest = begin["share_p"].as_str().and_then(|text| from_base64url(text).ok()).unwrap_or_default();
    begin["share_p"] = base64url(&make(honest)).into();
}
