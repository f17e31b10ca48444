//! Sessions: who may have their keys, who may end them, and what may be asked for.

use http::Method;
use serde_json::{Value, json};
use sidekey_client::admin::SessionState;
use sidekey_protocol::ids::{PartyId, SessionId};
use sidekey_protocol::session::wire::{Rotate, SessionKey};
use sidekey_protocol::token;
use sidekey_service::problem::Code;

use super::ask::{Answer, Ask};
use super::attack::{Attack, Bout, Group, Side, Went, bouts};
use super::ground::{Gateway, Ground, Keys, rng};
use super::promises::{DOOR, LIVE, SUITES};

/// All of them.
pub(super) fn attacks() -> Vec<Attack> {
    bouts! { Sessions:
        "stranger-s-key", "another user's device fetches a key", LIVE => strangers;
        "other-server", "another mail server fetches, rotates and ends", LIVE => other_server;
        "administrator-s-key", "an administrator fetches a key", LIVE => administrators;
        "device-opens", "a device opens a session", LIVE => device_opens;
        "other-server-s-user", "a mail server opens one for another's user", LIVE => other_servers_user;
        "after-its-end", "a fetch after the session was ended", LIVE => after_its_end;
        "other-epoch", "a fetch under a key epoch of another", LIVE => other_epoch;
        "no-such-generation", "a generation that there is not", LIVE => generation;
        "legacy-suite", "a session with 3DES among its suites", SUITES => legacy_suite;
        "no-suite", "a session without a suite", SUITES => no_suite;
        "too-long", "a session of more than a day", LIVE => too_long;
        "key-reused", "an Idempotency-Key with another body", DOOR => key_reused;
        "key-missing", "a session without an Idempotency-Key", DOOR => key_missing;
    }
}

/// A stranger must not even learn that there is something.
async fn strangers(bout: &mut Bout) -> Went {
    let session = bout.ground.session(&bout.ground.phone.user).await?;
    let ground = bout.ground.clone();
    let stranger = ground.token(&ground.stranger.keys);
    let none = SessionId::random(&mut rng());
    let mut refusals = Vec::new();
    for (what, id) in [("of a session that is another user's", session), ("of none", none)] {
        refusals.extend(bout.attack(what, key(id).bearer(&stranger), Code::NotFound).await?);
        refusals.extend(bout.attack(what, shown(id).bearer(&stranger), Code::NotFound).await?);
    }
    let told: Vec<Value> = refusals.iter().map(without_instance).collect();
    let alike = told.windows(2).all(|pair| pair[0] == pair[1]);
    bout.holds(Side::Attack, "both are refused in the same words", alike, "the words differ");
    bout.twin("the user's own device", key(session).bearer(&ground.token(&ground.phone.keys)), 200).await?;
    Ok(())
}

async fn other_server(bout: &mut Bout) -> Went {
    let session = bout.ground.session(&bout.ground.phone.user).await?;
    let ground = bout.ground.clone();
    let (other, own) = (ground.token(&ground.other.keys), ground.token(&ground.mail.keys));
    bout.attack("fetch its key", key(session).bearer(&other), Code::NotFound).await?;
    bout.attack("rotate it", rotate(session).bearer(&other), Code::NotFound).await?;
    bout.attack("end it", end(session).bearer(&other), Code::NotFound).await?;
    let seen = ground.admin().session(session).await?;
    let untouched = seen.state == SessionState::Open && seen.generation == 0;
    bout.holds(Side::Attack, "the session goes on", untouched, "it does not");
    bout.twin("fetch by its own server", key(session).bearer(&own), 200).await?;
    bout.twin("rotate by its own server", rotate(session).bearer(&own), 200).await?;
    bout.twin("end by its own server", end(session).bearer(&own), 204).await?;
    Ok(())
}

async fn administrators(bout: &mut Bout) -> Went {
    let session = bout.ground.session(&bout.ground.phone.user).await?;
    let ground = bout.ground.clone();
    let admin = ground.admin_token();
    bout.attack("fetch its key", key(session).bearer(&admin), Code::RoleForbidden).await?;
    bout.twin("look at it, without its key", shown(session).bearer(&admin), 200).await?;
    bout.twin("fetch by its device", key(session).bearer(&ground.token(&ground.phone.keys)), 200).await?;
    Ok(())
}

async fn device_opens(bout: &mut Bout) -> Went {
    let ground = bout.ground.clone();
    let ask = open(&honest(&ground)).once(&once());
    bout.attack("open", ask.clone().bearer(&ground.token(&ground.phone.keys)), Code::RoleForbidden).await?;
    bout.twin("open by the mail server", ask.bearer(&ground.token(&ground.mail.keys)), 201).await?;
    Ok(())
}

async fn other_servers_user(bout: &mut Bout) -> Went {
    let ground = bout.ground.clone();
    let opening =
        |gateway: &Gateway, body: &Value| open(body).once(&once()).bearer(&ground.token(&gateway.keys));
    bout.attack("by name", opening(&ground.other, &honest(&ground)), Code::NotFound).await?;
    let pairing = json!({"pairing": ground.phone.keys.pairing, "capabilities": ["A256GCM"]});
    bout.attack("by pairing", opening(&ground.other, &pairing), Code::NotFound).await?;
    let nobody = json!({"pairing": PartyId::random(&mut rng()), "capabilities": ["A256GCM"]});
    bout.attack("of nobody", opening(&ground.mail, &nobody), Code::NotFound).await?;
    bout.twin("by its own server", opening(&ground.mail, &honest(&ground)), 201).await?;
    Ok(())
}

async fn after_its_end(bout: &mut Bout) -> Went {
    let session = bout.ground.session(&bout.ground.phone.user).await?;
    let ground = bout.ground.clone();
    let phone = ground.token(&ground.phone.keys);
    bout.twin("fetch before", key(session).bearer(&phone), 200).await?;
    bout.twin("the end", end(session).bearer(&ground.token(&ground.mail.keys)), 204).await?;
    bout.attack("fetch after", key(session).bearer(&phone), Code::SessionEnded).await?;
    let stranger = ground.token(&ground.stranger.keys);
    bout.attack("fetch after, by a stranger", key(session).bearer(&stranger), Code::NotFound).await?;
    Ok(())
}

async fn other_epoch(bout: &mut Bout) -> Went {
    let session = bout.ground.session(&bout.ground.phone.user).await?;
    let ground = bout.ground.clone();
    let under = |kek: [u8; 8]| {
        let Keys { key, pairing, service, .. } = &ground.phone.keys;
        token::sign(key, *pairing, *service, Some(kek), ground.admin().transport().now())
    };
    let (own, laptops) = (ground.phone.keys.kek, ground.laptop.keys.kek);
    bout.attack("under the laptop's", key(session).bearer(&under(laptops)), Code::KekUnknown).await?;
    bout.attack("under one of zeros", key(session).bearer(&under([0; 8])), Code::KekUnknown).await?;
    bout.twin("under its own", key(session).bearer(&under(own)), 200).await?;
    Ok(())
}

async fn generation(bout: &mut Bout) -> Went {
    let session = bout.ground.session(&bout.ground.phone.user).await?;
    let ground = bout.ground.clone();
    let token = ground.token(&ground.phone.keys);
    let ninety_ninth = key_of(session, 99).bearer(&token);
    bout.attack("the ninety-ninth", ninety_ninth, Code::GenerationUnknown).await?;
    bout.twin("the first", key_of(session, 0).bearer(&token), 200).await?;
    Ok(())
}

async fn legacy_suite(bout: &mut Bout) -> Went {
    opened_otherwise(bout, "capabilities", json!(["A256GCM", "3DES"]), Code::SuiteForbidden).await
}

async fn no_suite(bout: &mut Bout) -> Went {
    opened_otherwise(bout, "capabilities", json!(["XENCRYPTED"]), Code::NoCommonSuite).await
}

async fn too_long(bout: &mut Bout) -> Went {
    opened_otherwise(bout, "ttl", json!(86_401), Code::TtlOutOfRange).await
}

/// The honest opening, with something else in one member.
async fn opened_otherwise(bout: &mut Bout, member: &str, value: Value, code: Code) -> Went {
    let ground = bout.ground.clone();
    let mail = ground.token(&ground.mail.keys);
    let mut body = honest(&ground);
    body[member] = value;
    bout.attack("open so", open(&body).once(&once()).bearer(&mail), code).await?;
    bout.twin("open as it should be", open(&honest(&ground)).once(&once()).bearer(&mail), 201).await?;
    Ok(())
}

async fn key_reused(bout: &mut Bout) -> Went {
    let ground = bout.ground.clone();
    let (mail, once) = (ground.token(&ground.mail.keys), once());
    let opening = |body: &Value| open(body).once(&once).bearer(&mail);
    let first: SessionKey = bout.twin("open", opening(&honest(&ground)), 201).await?.json()?;
    let mut other = honest(&ground);
    other["ttl"] = json!(601);
    bout.attack("the key with another body", opening(&other), Code::IdempotencyKeyReused).await?;
    let again: SessionKey = bout.twin("the same again", opening(&honest(&ground)), 201).await?.json()?;
    let same = first.session == again.session;
    bout.holds(Side::Twin, "it is the same session", same, "it is another one");
    Ok(())
}

async fn key_missing(bout: &mut Bout) -> Went {
    let ground = bout.ground.clone();
    let mail = ground.token(&ground.mail.keys);
    let opening = || open(&honest(&ground)).bearer(&mail);
    bout.attack("without one", opening(), Code::IdempotencyKeyMissing).await?;
    bout.attack("with one of five letters", opening().once("short"), Code::IdempotencyKeyMalformed).await?;
    let twice = opening().once(&once()).once(&once());
    bout.attack("with two", twice, Code::HeaderRepeated).await?;
    bout.twin("with one", opening().once(&once()), 201).await?;
    Ok(())
}

/// A short session of the phone's user.
fn honest(ground: &Ground) -> Value {
    json!({"user": ground.phone.user, "capabilities": ["A256GCM", "C20P"], "ttl": 600})
}

fn open(body: &Value) -> Ask {
    Ask::post("/v1/sessions", body)
}

/// An `Idempotency-Key` that nobody has used.
pub(super) fn once() -> String {
    SessionId::random(&mut rng()).to_string()
}

pub(super) fn key(session: SessionId) -> Ask {
    Ask::get(format!("/v1/sessions/{session}/key"))
}

/// The key of one generation.
pub(super) fn key_of(session: SessionId, generation: u32) -> Ask {
    Ask::get(format!("/v1/sessions/{session}/key?generation={generation}"))
}

fn shown(session: SessionId) -> Ask {
    Ask::get(format!("/v1/sessions/{session}"))
}

fn rotate(session: SessionId) -> Ask {
    Ask::post(format!("/v1/sessions/{session}/rotate"), &Rotate {})
}

fn end(session: SessionId) -> Ask {
    Ask::new(Method::DELETE, format!("/v1/sessions/{session}"))
}

/// A problem document, without the name of its request.
fn without_instance(refusal: &Answer) -> Value {
    let mut problem: Value = refusal.json().unwrap_or_default();
    problem["instance"].take();
    problem
}
