//! Bodies.

use http::header::CONTENT_ENCODING;
use serde_json::{Value, json};
use sidekey_service::problem::Code;

use super::{INVITATIONS, honest};
use crate::drill::ask::{Ask, JSON};
use crate::drill::attack::{Attack, Bout, Group, Went};
use crate::drill::promises::DOOR;

/// What is sent in the place of this honest body.
type Spoil = fn(&Value) -> Vec<u8>;

/// A spoiled body, as what it is announced, and what it must be refused with.
struct Row(&'static str, &'static str, Spoil, &'static str, Code);

const ROWS: [Row; 16] = [
    Row("body-twice", "a member that stands there twice", twice, JSON, Code::BodyInvalid),
    Row("body-more", "a member that nobody knows", more, JSON, Code::BodyInvalid),
    Row("body-less", "a member that is missing", less, JSON, Code::BodyInvalid),
    Row("body-type", "a member of another type", mistyped, JSON, Code::BodyInvalid),
    Row("body-list", "a list in the place of an object", list, JSON, Code::BodyInvalid),
    Row("body-followed", "something after the object", followed, JSON, Code::BodyMalformed),
    Row("body-nul", "NUL after the object", nul, JSON, Code::BodyMalformed),
    Row("body-cut", "a body cut short", cut, JSON, Code::BodyMalformed),
    Row("body-empty", "no body", |_| Vec::new(), JSON, Code::BodyMalformed),
    Row("body-not-utf-8", "a body that is not UTF-8", not_utf_8, JSON, Code::BodyMalformed),
    Row("body-utf-16", "a body in UTF-16", utf_16, JSON, Code::BodyMalformed),
    Row("body-deep", "a nest of a thousand lists", deep, JSON, Code::BodyInvalid),
    Row("body-large", "a body longer than any", large, JSON, Code::BodyTooLarge),
    Row("body-form", "a body announced as a form", plain, "application/x-www-form-urlencoded", MEDIA),
    Row("body-charset", "a body announced in UTF-16", plain, "application/json; charset=utf-16", MEDIA),
    Row("body-text", "a body announced as text", plain, "text/plain", MEDIA),
];

const MEDIA: Code = Code::MediaTypeUnsupported;

pub(super) fn attacks() -> Vec<Attack> {
    let attack = |Row(name, does, spoil, kind, code)| {
        Attack::new(Group::Http, name, does, DOOR, move |bout| Box::pin(spoiled(bout, spoil, kind, code)))
    };
    let compressed =
        Attack::new(Group::Http, "body-compressed", "a body announced as compressed", DOOR, |bout| {
            Box::pin(compressed(bout))
        });
    ROWS.into_iter().map(attack).chain([compressed]).collect()
}

async fn spoiled(bout: &mut Bout, spoil: Spoil, kind: &str, code: Code) -> Went {
    let (honest, admin) = (honest(&bout.ground), bout.ground.admin_token());
    let ask = Ask::post(INVITATIONS, &honest).bearer(&admin);
    bout.attack("invite so", ask.clone().octets(spoil(&honest)).announced(kind), code).await?;
    bout.twin("invite as it should be", ask, 201).await?;
    Ok(())
}

async fn compressed(bout: &mut Bout) -> Went {
    let ask = Ask::post(INVITATIONS, &honest(&bout.ground)).bearer(&bout.ground.admin_token());
    bout.attack("invite so", ask.clone().header(CONTENT_ENCODING, "gzip"), MEDIA).await?;
    bout.twin("invite as it should be", ask, 201).await?;
    Ok(())
}

fn plain(body: &Value) -> Vec<u8> {
    body.to_string().into_bytes()
}

fn twice(body: &Value) -> Vec<u8> {
    let text = body.to_string();
    format!("{{\"role\":\"server\",{}", &text[1..]).into_bytes()
}

fn more(body: &Value) -> Vec<u8> {
    let mut body = body.clone();
    body["admin"] = json!(true);
    plain(&body)
}

fn less(body: &Value) -> Vec<u8> {
    let mut body = body.clone();
    body.as_object_mut().map(|members| members.remove("role"));
    plain(&body)
}

fn mistyped(body: &Value) -> Vec<u8> {
    let mut body = body.clone();
    body["ttl"] = json!("600");
    plain(&body)
}

fn list(body: &Value) -> Vec<u8> {
    plain(&json!([body["role"], body["server"], body["user"]]))
}

fn followed(body: &Value) -> Vec<u8> {
    format!("{body} {{}}").into_bytes()
}

fn nul(body: &Value) -> Vec<u8> {
    format!("{body}\0").into_bytes()
}

fn cut(body: &Value) -> Vec<u8> {
    let mut octets = plain(body);
    octets.pop();
    octets
}

fn not_utf_8(body: &Value) -> Vec<u8> {
    [b"{\"role\":\"", &[0xff, 0xfe][..], b"\",", &less(body)[1..]].concat()
}

fn utf_16(body: &Value) -> Vec<u8> {
    body.to_string().encode_utf16().flat_map(u16::to_be_bytes).collect()
}

fn deep(_: &Value) -> Vec<u8> {
    b"[".repeat(1_000)
}

fn large(body: &Value) -> Vec<u8> {
    format!("{body}{}", " ".repeat(8_192)).into_bytes()
}
