//! Revocation: on the very next request, once, by nobody else; and the head that nobody can invent.

use http::HeaderName;
use serde_json::{Value, json};
use sidekey_client::admin::Standing;
use sidekey_protocol::encoding::base64url;
use sidekey_protocol::ids::{InvitationId, PartyId, SessionId};
use sidekey_protocol::revocation::wire::HEAD;
use sidekey_protocol::session::wire::SessionKey;
use sidekey_service::problem::Code;

use super::ask::Ask;
use super::attack::{Attack, Bout, Group, Side, Went, bouts};
use super::ground::{Device, Ground, rng};
use super::promises::{self, LIVE, NEVER, NEXT, OTHERS};
use super::sessions::{key, key_of, once};

/// All of them.
pub(super) fn attacks() -> Vec<Attack> {
    bouts! { Revocation:
        "next-request", "a revoked device asks with the token of before", NEXT => next_request;
        "key-of-before", "the key of before the revocation", OTHERS => key_of_before;
        "repeat-of-before", "an opening of before, repeated after it", NEVER => repeat_of_before;
        "twice", "a revocation said twice", NEVER => twice;
        "unknown", "a revocation of what there is not", NEVER => unknown;
        "by-a-stranger", "a device revokes what is not its own", LIVE => by_a_stranger;
        "without-a-token", "a revocation by nobody", LIVE => by_nobody;
        "forged-head", "a head of later revocations, made up", promises::HEAD => forged_head;
    }
}

/// The twin is the user's other device.
async fn next_request(bout: &mut Bout) -> Went {
    let (gone, stays) = two_devices(bout).await?;
    let ground = bout.ground.clone();
    let session = ground.session(&gone.user).await?;
    let (token, others) = (ground.token(&gone.keys), ground.token(&stays.keys));
    let asked = [format!("/v1/sessions/{session}/key"), "/v1/sessions/current".into(), "/v1/policy".into()];
    for path in &asked {
        bout.twin(format!("before: {path}"), Ask::get(path).bearer(&token), 200).await?;
    }
    bout.twin("it is revoked", revoke(&ground, &pairing(gone.keys.pairing)), 200).await?;
    for path in asked.iter().map(String::as_str).chain(["/v1/events", "/v1/pairings/self"]) {
        let refused = bout.attack(path, Ask::get(path).bearer(&token), Code::Revoked).await?;
        let problem: Value = refused.and_then(|answer| answer.json().ok()).unwrap_or_default();
        let told = problem["reason"] == REASON;
        bout.holds(Side::Attack, "it is told why", told, format!("it is told {}", problem["reason"]));
    }
    bout.twin("the user's other device goes on", key(session).bearer(&others), 200).await?;
    Ok(())
}

async fn key_of_before(bout: &mut Bout) -> Went {
    let (gone, stays) = two_devices(bout).await?;
    let ground = bout.ground.clone();
    let session = ground.session(&gone.user).await?;
    bout.twin("one is revoked", revoke(&ground, &pairing(gone.keys.pairing)), 200).await?;
    let token = ground.token(&stays.keys);
    let before = key_of(session, 0).bearer(&token);
    bout.attack("the other asks for the key of before", before, Code::GenerationRevoked).await?;
    let newest: SessionKey =
        bout.twin("and for the newest", key(session).bearer(&token), 200).await?.json()?;
    bout.holds(
        Side::Twin,
        "that is another one",
        newest.generation == 1,
        format!("it is {}", newest.generation),
    );
    Ok(())
}

async fn repeat_of_before(bout: &mut Bout) -> Went {
    let user = bout.ground.fresh_user();
    let gone = bout.ground.device(&user).await?;
    let ground = bout.ground.clone();
    let body = json!({"pairing": gone.keys.pairing, "capabilities": ["A256GCM"], "ttl": 600});
    let ask = Ask::post("/v1/sessions", &body).once(&once()).bearer(&ground.token(&ground.mail.keys));
    let first: SessionKey = bout.twin("open", ask.clone(), 201).await?.json()?;
    let again: SessionKey = bout.twin("the same again", ask.clone(), 201).await?.json()?;
    let same = first.session == again.session;
    bout.holds(Side::Twin, "it is the same session", same, "it is another one");
    bout.twin("its device is revoked", revoke(&ground, &pairing(gone.keys.pairing)), 200).await?;
    bout.attack("the same, once more", ask, Code::SessionEnded).await?;
    Ok(())
}

/// What is revoked is revoked: the second time is no mistake, and changes nothing.
async fn twice(bout: &mut Bout) -> Went {
    let user = bout.ground.fresh_user();
    let gone = bout.ground.device(&user).await?;
    let ground = bout.ground.clone();
    let target = pairing(gone.keys.pairing);
    bout.twin("once", revoke(&ground, &target), 200).await?;
    ground.changes().await?;
    let again = bout.twin("twice", revoke(&ground, &target), 204).await?;
    bout.holds(Side::Attack, "nothing is struck by it", again.body.is_empty(), "something is");
    bout.unchanged().await?;
    let state = ground.admin().pairing(gone.keys.pairing).await?.state;
    bout.holds(
        Side::Attack,
        "the device stays revoked",
        state == Standing::Revoked,
        format!("it is {}", state.as_str()),
    );
    Ok(())
}

async fn unknown(bout: &mut Bout) -> Went {
    let ground = bout.ground.clone();
    let (user, server) = (ground.fresh_user(), &ground.mail.name);
    for (what, target) in [
        ("a pairing", pairing(PartyId::random(&mut rng()))),
        ("an invitation", json!({"kind": "invitation", "invitation": InvitationId::random(&mut rng())})),
        ("a session", session(SessionId::random(&mut rng()))),
        ("a user", json!({"kind": "user", "server": server, "user": user})),
        (
            "a user of another server",
            json!({"kind": "user", "server": ground.other.name, "user": ground.phone.user}),
        ),
    ] {
        bout.attack(what, revoke(&ground, &target), Code::NotFound).await?;
    }
    let gone = ground.device(&user).await?;
    bout.twin("a pairing that there is", revoke(&ground, &pairing(gone.keys.pairing)), 200).await?;
    Ok(())
}

/// The twin revokes itself, which everybody may.
async fn by_a_stranger(bout: &mut Bout) -> Went {
    let (own, other) = two_devices(bout).await?;
    let ground = bout.ground.clone();
    let opened = ground.session(&own.user).await?;
    let token = ground.token(&own.keys);
    let ask = |target: &Value| said(target).bearer(&token);
    for (what, target) in [
        ("the user's other device", pairing(other.keys.pairing)),
        ("another user's device", pairing(ground.stranger.keys.pairing)),
        ("the mail server", json!({"kind": "server", "server": ground.mail.name})),
        ("the user", json!({"kind": "user", "server": ground.mail.name, "user": own.user})),
        ("the session", session(opened)),
    ] {
        bout.attack(what, ask(&target), Code::NotFound).await?;
    }
    let goes_on = key(opened).bearer(&ground.token(&other.keys));
    bout.twin("the other device goes on", goes_on, 200).await?;
    bout.twin("itself", ask(&pairing(own.keys.pairing)), 200).await?;
    Ok(())
}

async fn by_nobody(bout: &mut Bout) -> Went {
    let user = bout.ground.fresh_user();
    let device = bout.ground.device(&user).await?;
    let ground = bout.ground.clone();
    let target = pairing(device.keys.pairing);
    bout.attack("without a token", said(&target), Code::TokenMissing).await?;
    let own = Ask::get("/v1/pairings/self").bearer(&ground.token(&device.keys));
    bout.twin("the device goes on", own, 200).await?;
    bout.twin("by the administrator", revoke(&ground, &target), 200).await?;
    Ok(())
}

/// A head that the service believed would shut it: it looks at what was lost, and waits for its administrator. None of
/// these is one that it could have made.
async fn forged_head(bout: &mut Bout) -> Went {
    let ground = bout.ground.clone();
    let own = || Ask::get("/v1/pairings/self").bearer(&ground.token(&ground.phone.keys));
    let name = HeaderName::from_static(HEAD);
    let mut later = [0xff; 32];
    later[..8].copy_from_slice(&1_000_000_u64.to_be_bytes());
    for (what, head) in [
        ("a million revocations later", base64url(&later)),
        ("of zeros", base64url(&[0; 32])),
        ("cut short", base64url(&later[..31])),
        ("that is none", "not a head".to_owned()),
    ] {
        ground.changes().await?;
        bout.twin(format!("a request that shows one {what}"), own().header(name.clone(), &head), 200).await?;
        bout.unchanged().await?;
        let shut = ground.admin().restore_status().await?.rolled_back;
        let holds = format!("a head {what} does nothing");
        bout.holds(Side::Attack, holds, !shut, "the service has shut itself: sidekey restore accept");
    }
    bout.twin("a request that shows none", own(), 200).await?;
    Ok(())
}

async fn two_devices(bout: &Bout) -> Went<(Device, Device)> {
    let user = bout.ground.fresh_user();
    Ok((bout.ground.device(&user).await?, bout.ground.device(&user).await?))
}

/// By the administrator.
fn revoke(ground: &Ground, target: &Value) -> Ask {
    said(target).bearer(&ground.admin_token())
}

fn said(target: &Value) -> Ask {
    Ask::post("/v1/revocations", &json!({"target": target, "reason": REASON}))
}

fn pairing(pairing: PartyId) -> Value {
    json!({"kind": "pairing", "pairing": pairing})
}

fn session(session: SessionId) -> Value {
    json!({"kind": "session", "session": session})
}

const REASON: &str = "drill";
