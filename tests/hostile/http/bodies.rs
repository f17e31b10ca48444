//! Bodies.

use http::Method;
use http::header::{CONTENT_ENCODING, CONTENT_TYPE};
use serde_json::{Map, Value, json};

use super::{Body, Scene};

const MALFORMED: (u16, &str) = (400, "body_malformed");
const INVALID: (u16, &str) = (400, "body_invalid");
const FOREIGN: (u16, &str) = (415, "media_type_unsupported");
const TOO_LARGE: (u16, &str) = (413, "body_too_large");

#[tokio::test]
async fn bodies_that_are_no_object_of_json() {
    let scene = Scene::open().await;
    for (operation, body) in scene.with_bodies() {
        let whole = body.example.to_string();
        let cut = &whole[..whole.len() - 1];
        let deep = "[".repeat(body.size_max_bytes - 2);
        let deep_member = format!("{{\"a\":{}", "{\"a\":".repeat(300));
        let bodies: [(&str, Vec<u8>); 13] = [
            ("empty", Vec::new()),
            ("blank", b" \r\n\t".to_vec()),
            ("a form", b"name=mail&role=admin".to_vec()),
            ("a list", b"[]".to_vec()),
            ("a number", b"7".to_vec()),
            ("nothing", b"null".to_vec()),
            ("cut short", cut.into()),
            ("followed by another", format!("{whole} {{}}").into()),
            ("followed by NUL", format!("{whole}\0").into()),
            ("a deep nest", deep.into()),
            ("a deep nest of members", deep_member.into()),
            ("not UTF-8", [b"{\"a\":\"", &[0xff, 0xfe][..], b"\"}"].concat()),
            ("UTF-16", whole.encode_utf16().flat_map(u16::to_be_bytes).collect()),
        ];
        for (what, octets) in bodies {
            if octets.len() > body.size_max_bytes || octets.is_empty() && !body.required {
                continue;
            }
            let what = format!("{}: {what}", operation.name());
            let asking = scene.ask(operation, &scene.path(operation));
            let asking = asking.header(CONTENT_TYPE, "application/json").body(octets);
            scene.refused(&what, asking, &[MALFORMED, INVALID]).await;
        }
    }
    scene.serves_others().await;
}

#[tokio::test]
async fn members_that_are_missing_repeated_unknown_or_of_another_type() {
    let scene = Scene::open().await;
    for (operation, body) in scene.with_bodies() {
        let mut wrong = of_another_type(&body.example, "");
        wrong.push(("x_unknown".to_owned(), with(&body.example, "x_unknown", json!(1)).to_string()));
        for name in scene.resolved(&body.schema)["required"].as_array().into_iter().flatten() {
            let name = name.as_str().unwrap();
            let mut without = body.example.clone();
            without.as_object_mut().unwrap().remove(name);
            wrong.push((name.to_owned(), without.to_string()));
        }
        for (name, value) in body.example.as_object().unwrap() {
            let again = format!("{{{}:{value},{}", json!(name), &body.example.to_string()[1..]);
            wrong.push((name.clone(), again));
        }
        for (member, text) in wrong {
            let what = format!("{}: {text}", operation.name());
            let asking = scene.ask(operation, &scene.path(operation));
            let asking = asking.header(CONTENT_TYPE, "application/json").body(text);
            let problem = scene.refused(&what, asking, &[INVALID]).await;
            let field = problem["errors"][0]["field"].as_str().unwrap();
            let root = member.split(['.', '[']).next().unwrap();
            assert!(field.starts_with(root), "{what}: {problem}");
        }
    }
}

#[tokio::test]
async fn numbers_at_their_limits() {
    let scene = Scene::open().await;
    let mut tried = 0;
    for (operation, body) in scene.with_bodies() {
        for (name, value) in body.example.as_object().unwrap() {
            if !value.is_number() {
                continue;
            }
            for number in ["-1", "1.5", "18446744073709551616", "1e400", "-0.0e-400", "0x7", "Infinity", "01"]
            {
                let text = with(&body.example, name, json!("here")).to_string().replace("\"here\"", number);
                let what = format!("{}: {text}", operation.name());
                let asking = scene.ask(operation, &scene.path(operation));
                let asking = asking.header(CONTENT_TYPE, "application/json").body(text);
                scene.refused(&what, asking, &[MALFORMED, INVALID]).await;
                tried += 1;
            }
        }
    }
    assert!(tried >= 50, "{tried}");
}

#[tokio::test]
async fn base64_of_another_alphabet_or_with_padding() {
    let scene = Scene::open().await;
    let mut tried = 0;
    for (operation, body) in scene.with_bodies() {
        let schema = scene.resolved(&body.schema);
        for (name, schema) in schema["properties"].as_object().into_iter().flatten() {
            if scene.resolved(schema)["contentEncoding"] != "base64url" {
                continue;
            }
            let good = body.example[name].as_str().unwrap();
            let standard = format!("{}+/", &good[..good.len() - 2]);
            let spare = format!("{}B", &good[..good.len() - 1]);
            let mut bad = vec![format!("{good}="), format!("{good}A=="), standard, format!("{good}\n")];
            bad.extend([format!(" {good}"), good.replace('A', "é"), "A".to_owned()]);
            // Whether bits are left over depends on the length.
            bad.extend((good.len() % 4 != 0).then_some(spare));
            for text in bad {
                let what = format!("{}: {name} = {text:?}", operation.name());
                let body = with(&body.example, name, json!(text));
                let asking = scene.ask(operation, &scene.path(operation)).json(&body);
                scene.refused(&what, asking, &[INVALID]).await;
                tried += 1;
            }
        }
    }
    assert!(tried >= 50, "{tried}");
}

#[tokio::test]
async fn names_with_what_nobody_sees() {
    let scene = Scene::open().await;
    let mut tried = 0;
    let long = "a".repeat(256);
    for (operation, body) in scene.with_bodies() {
        for (name, schema) in scene.resolved(&body.schema)["properties"].as_object().into_iter().flatten() {
            let named = schema["$ref"].as_str().or_else(|| schema["anyOf"][0]["$ref"].as_str());
            if !named.is_some_and(|to| to.ends_with("Name") || to.ends_with("Reason")) {
                continue;
            }
            for text in ["", "a\t", "a\0b", "a\nb", "\u{7f}", "\u{85}", &long] {
                let what = format!("{}: {name} = {text:?}", operation.name());
                let body = with(&body.example, name, json!(text));
                let asking = scene.ask(operation, &scene.path(operation)).json(&body);
                scene.refused(&what, asking, &[INVALID]).await;
                tried += 1;
            }
        }
    }
    assert!(tried >= 30, "{tried}");
}

#[tokio::test]
async fn bodies_that_are_not_announced_as_json() {
    let scene = Scene::open().await;
    for (operation, body) in scene.with_bodies() {
        let ask = || scene.ask(operation, &scene.path(operation)).body(body.example.to_string());
        let json = "application/json";
        for (what, asking) in [
            ("unannounced", ask()),
            ("a form", ask().header(CONTENT_TYPE, "application/x-www-form-urlencoded")),
            ("another charset", ask().header(CONTENT_TYPE, "application/json; charset=utf-16")),
            ("two types", ask().header(CONTENT_TYPE, json).header(CONTENT_TYPE, json)),
            ("compressed", ask().header(CONTENT_TYPE, json).header(CONTENT_ENCODING, "gzip")),
        ] {
            scene.refused(&format!("{}: {what}", operation.name()), asking, &[FOREIGN]).await;
        }
    }
}

/// A gigabyte is announced, or just comes: neither is waited for.
#[tokio::test]
async fn bodies_without_end() {
    let scene = Scene::open().await;
    for operation in scene.operations.iter().filter(|operation| !operation.stream) {
        let size = operation.size_max_bytes;
        let head = |length: &str| {
            let path = scene.path(operation);
            let token = scene.token(operation).map(|token| format!("authorization: Bearer {token}\r\n"));
            let token = token.unwrap_or_default();
            let head =
                format!("{} {path} HTTP/1.1\r\nhost: localhost\r\n{token}{length}\r\n", operation.method);
            head.into_bytes()
        };
        let before = scene.office.system.records().len();
        let announced = scene.office.system.octets(&head("content-length: 1073741824\r\n")).await;
        let chunk = [format!("{:x}\r\n", size + 1).into_bytes(), vec![b' '; size + 1]].concat();
        let chunked = [head("transfer-encoding: chunked\r\n"), chunk].concat();
        let streamed = scene.office.system.octets(&chunked).await;
        for answer in [announced, streamed] {
            let text = String::from_utf8_lossy(&answer);
            let (status, code) = TOO_LARGE;
            assert!(text.starts_with(&format!("HTTP/1.1 {status} ")), "{}: {text}", operation.name());
            assert!(text.contains(code), "{}: {text}", operation.name());
        }
        assert_eq!(scene.office.system.records().len(), before, "{}", operation.name());
    }
    scene.serves_others().await;
}

#[tokio::test]
async fn idempotency_keys_that_are_missing_malformed_or_repeated() {
    let scene = Scene::open().await;
    let mut tried = 0;
    for (operation, Body { example, .. }) in scene.with_bodies() {
        if !operation.parameters.iter().any(|parameter| parameter["name"] == "Idempotency-Key") {
            continue;
        }
        assert_eq!(operation.method, Method::POST);
        let token = scene.token(operation).unwrap();
        let ask = || scene.office.system.post(&operation.path, &token, example);
        let long = "k".repeat(65);
        for (what, asking, code) in [
            ("missing", ask(), "idempotency_key_missing"),
            ("short", ask().once("short"), "idempotency_key_malformed"),
            ("long", ask().once(&long), "idempotency_key_malformed"),
            ("with a space", ask().once("0123456789 abcdef"), "idempotency_key_malformed"),
            ("twice", ask().once("0123456789abcdef").once("0123456789abcdef"), "header_repeated"),
        ] {
            scene.refused(&format!("{}: {what}", operation.name()), asking, &[(400, code)]).await;
            tried += 1;
        }
        ask().once("0123456789abcdef").send().await.is(201);
        let other = scene.office.system.post(&operation.path, &token, &with(example, "ttl", json!(3601)));
        let reused = &[(422, "idempotency_key_reused")];
        scene.refused("reused with another body", other.once("0123456789abcdef"), reused).await;
    }
    assert!(tried >= 10, "{tried}");
}

fn with(body: &Value, member: &str, value: Value) -> Value {
    let mut body = body.clone();
    body[member] = value;
    body
}

/// The body with one member after another, however deep, of another type; and which member that is.
fn of_another_type(body: &Value, at: &str) -> Vec<(String, String)> {
    variants(body, at).into_iter().map(|(member, body)| (member, body.to_string())).collect()
}

fn variants(value: &Value, at: &str) -> Vec<(String, Value)> {
    let mut found = Vec::new();
    if !at.is_empty() {
        for other in [json!(7), json!("text"), json!(true), json!([[[]]]), json!({"a": 1})] {
            if std::mem::discriminant(&other) != std::mem::discriminant(value) {
                found.push((at.to_owned(), other));
            }
        }
    }
    match value {
        Value::Object(members) => {
            for (name, member) in members {
                let place = if at.is_empty() { name.clone() } else { format!("{at}.{name}") };
                found.extend(variants(member, &place).into_iter().map(|(place, other)| {
                    let mut whole: Map<String, Value> = members.clone();
                    whole.insert(name.clone(), other);
                    (place, Value::Object(whole))
                }));
            }
        }
        Value::Array(items) if !items.is_empty() => {
            found.extend(variants(&items[0], &format!("{at}[0]")).into_iter().map(|(place, other)| {
                let mut whole = items.clone();
                whole[0] = other;
                (place, Value::Array(whole))
            }));
        }
        _ => {}
    }
    found
}
