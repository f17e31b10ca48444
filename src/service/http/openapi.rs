//! `GET /openapi.json`: the interface in the words of OpenAPI 3.1, put together from the route table, the handlers'
//! signatures and the wire types. `proto/openapi.json` is its copy.

use std::collections::BTreeMap;
use std::sync::OnceLock;

use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use schemars::SchemaGenerator;
use schemars::generate::SchemaSettings;
use serde_json::{Map, Value, json};
use sidekey_protocol::revocation::wire::Event;

use super::described::{Operation, schema_of};
use super::etag::{IfNoneMatch, tagged};
use super::example;
use super::problem::{Code, Problem};
use super::routes::{ROUTES, Route, Time};

/// The document, under its ETag.
#[derive(Debug)]
pub(crate) struct Document(IfNoneMatch);

/// `GET /openapi.json`.
pub(crate) async fn document(unless: IfNoneMatch) -> Document {
    Document(unless)
}

impl IntoResponse for Document {
    fn into_response(self) -> Response {
        static TEXT: OnceLock<Bytes> = OnceLock::new();
        tagged(TEXT.get_or_init(|| text().into()).clone(), &self.0)
    }
}

/// The whole document, as it stands in `proto/openapi.json`.
///
/// # Panics
/// Never: it is made of texts and numbers.
#[must_use]
pub fn text() -> String {
    let mut generator = generator();
    let mut paths: BTreeMap<&str, Map<String, Value>> = BTreeMap::new();
    for route in ROUTES {
        let operation = Operation::of(route, &mut generator);
        let described = operation_object(route, operation);
        paths.entry(route.path).or_default().insert(route.method_name.to_lowercase(), described);
    }
    let events = schema_of::<Event>(&mut generator);
    let mut schemas = generator.take_definitions(true);
    schemas.insert("Problem".into(), problem_schema());
    let mut document = json!({
        "openapi": "3.1.1",
        "info": {
            "title": "Sidekey",
            "summary": "Session keys that travel beside the mail path, never through it.",
            "description": "What the parts mean together is said in the specifications of proto/. Paths under /v1 only gain.",
            "version": env!("CARGO_PKG_VERSION"),
            "license": { "name": "Apache-2.0 OR MIT", "identifier": "Apache-2.0 OR MIT" },
        },
        "servers": [{ "url": "/", "description": "The service's public_url." }],
        "paths": paths,
        "components": {
            "schemas": schemas,
            "examples": examples(),
            "securitySchemes": { "party": {
                "type": "http", "scheme": "bearer", "bearerFormat": "JWT",
                "description": "A JWT of typ sidekey+jwt that the party signs itself with the key it paired with (ES256): proto/session/spec.md.",
            } },
            "headers": headers(),
        },
        "x-events": events,
    });
    tell_widths(&mut document);
    example::add_to(&mut document);
    let mut text = serde_json::to_string_pretty(&document).expect("texts and numbers serialise");
    text.push('\n');
    text
}

/// What no number of its width exceeds: to a reader of schemas `format` is no limit.
fn tell_widths(value: &mut Value) {
    match value {
        Value::Object(members) => {
            let width =
                members.get("format").and_then(Value::as_str).and_then(|format| format.strip_prefix("uint"));
            if let Some(bits) = width.and_then(|width| width.parse::<u32>().ok()) {
                members.entry("maximum").or_insert_with(|| json!(u64::MAX >> (64 - bits)));
            }
            members.values_mut().for_each(tell_widths);
        }
        Value::Array(items) => items.iter_mut().for_each(tell_widths),
        _ => {}
    }
}

/// Whether the route's row announces what it answers: every refusal is in the contract.
pub(super) fn announces(route: &'static Route, response: &Response) -> bool {
    static CODES: OnceLock<Vec<std::collections::BTreeSet<Code>>> = OnceLock::new();
    let Some(problem) = response.extensions().get::<Problem>() else { return true };
    let all = CODES.get_or_init(|| {
        let mut generator = generator();
        ROUTES.iter().map(|route| Operation::of(route, &mut generator).codes).collect()
    });
    let row = ROUTES.iter().position(|row| std::ptr::eq(row, route));
    let announced = row.is_none_or(|row| all[row].contains(&problem.code));
    if !announced {
        tracing::error!(method = route.method_name, route = route.path, code = ?problem.code, "not in its row");
    }
    announced
}

fn generator() -> SchemaGenerator {
    let settings = SchemaSettings::draft2020_12().with(|settings| {
        settings.definitions_path = "/components/schemas".into();
        settings.meta_schema = None;
    });
    settings.into_generator()
}

fn operation_object(route: &Route, operation: Operation<'_>) -> Value {
    let Operation { mut parameters, body, answers, codes, .. } = operation;
    let mut responses: BTreeMap<String, Value> = BTreeMap::new();
    for (status, mut answer) in answers {
        let mut with = json!({ "X-Request-Id": reference("headers/X-Request-Id") });
        if route.scope().is_some() {
            tell_rates(&mut with);
        }
        if !route.who.is_anybody() {
            with["Sidekey-Head"] = reference("headers/Sidekey-Head");
        }
        if let Some(own) = answer["headers"].as_object() {
            with.as_object_mut().expect("it is an object").extend(own.clone());
        }
        answer["headers"] = with;
        responses.insert(status.to_string(), answer);
    }
    responses.extend(refusals(codes));
    if !route.who.is_anybody() {
        parameters.push(json!({
            "name": "Sidekey-Head", "in": "header", "required": false, "schema": head_schema(),
            "description": "The highest head of revocations that the caller was shown.",
        }));
    }
    let tag = route.path.trim_start_matches("/v1").trim_start_matches('/').split(['/', '.']).next();
    let mut object = json!({
        "operationId": operation_id(route),
        "summary": route.summary,
        "tags": [match tag.unwrap_or_default() { "p" => "pairings", tag => tag }],
        "security": if route.who.is_anybody() { json!([]) } else { json!([{ "party": [] }]) },
        "x-roles": route.who.roles(),
        "responses": responses,
    });
    if !parameters.is_empty() {
        object["parameters"] = parameters.into();
    }
    if let Some(mut body) = body {
        body["x-size-max-bytes"] = route.body_size_bytes.into();
        object["requestBody"] = body;
    }
    if route.time == Time::Stream {
        object["x-stream"] = true.into();
    }
    object
}

/// The handler's name; of a route outside /v1, which may have its handler in common with another, the path's.
fn operation_id(route: &Route) -> String {
    if route.path.starts_with("/v1/") {
        return route.handler.replace(' ', "").replace("::", "_");
    }
    let words = route.path.split(|c: char| !c.is_ascii_alphanumeric()).filter(|word| !word.is_empty());
    words.collect::<Vec<_>>().join("_")
}

/// One answer for each status, with a document for each code.
fn refusals(codes: impl IntoIterator<Item = Code>) -> BTreeMap<String, Value> {
    let mut by_status: BTreeMap<u16, Vec<Code>> = BTreeMap::new();
    for code in codes {
        by_status.entry(code.status()).or_default().push(code);
    }
    by_status.into_iter().map(|(status, codes)| (status.to_string(), refusal(status, &codes))).collect()
}

fn refusal(status: u16, codes: &[Code]) -> Value {
    let said: Vec<_> = codes.iter().map(|code| format!("`{}`: {}", code.as_str(), code.title())).collect();
    let names: Vec<_> = codes.iter().map(|code| code.as_str()).collect();
    let examples: Map<String, Value> =
        names.iter().map(|name| ((*name).to_owned(), reference(&format!("examples/{name}")))).collect();
    let mut headers = json!({ "X-Request-Id": reference("headers/X-Request-Id") });
    if status == 401 {
        headers["WWW-Authenticate"] = reference("headers/WWW-Authenticate");
    }
    if status == 429 {
        tell_rates(&mut headers);
    }
    if matches!(status, 429 | 503) {
        headers["Retry-After"] = reference("headers/Retry-After");
    }
    let schema = json!({
        "allOf": [reference("schemas/Problem")],
        "properties": { "code": { "enum": names }, "status": { "const": status } },
    });
    json!({
        "description": said.join("\n"),
        "headers": headers,
        "content": { "application/problem+json": { "schema": schema, "examples": examples } },
    })
}

fn head_schema() -> Value {
    json!({ "type": "string", "pattern": "^[A-Za-z0-9_-]{42}[AEIMQUYcgkosw048]$" })
}

fn tell_rates(headers: &mut Value) {
    for name in ["RateLimit", "RateLimit-Policy"] {
        headers[name] = reference(&format!("headers/{name}"));
    }
}

/// A document for each code.
fn examples() -> Map<String, Value> {
    let example = |code: &Code| {
        let document = Problem::from(*code).document("5be1a0f3c2d94e870000000000000001");
        let document = serde_json::from_slice::<Value>(&document).expect("a document is JSON");
        (code.as_str().to_owned(), json!({ "value": document }))
    };
    Code::ALL.iter().map(example).collect()
}

fn reference(to: &str) -> Value {
    json!({ "$ref": format!("#/components/{to}") })
}

fn headers() -> Value {
    json!({
        "X-Request-Id": {
            "description": "Names the request in the service's log: the caller's own X-Request-Id where it is plain, else a new one.",
            "schema": { "type": "string", "pattern": "^[A-Za-z0-9._-]{1,64}$" },
        },
        "WWW-Authenticate": {
            "description": "RFC 6750.",
            "schema": { "type": "string", "examples": ["Bearer", "Bearer error=\"invalid_token\""] },
        },
        "RateLimit": {
            "description": "What is left of the minute's requests (draft-ietf-httpapi-ratelimit-headers-11). Refusals have it too, where they were counted.",
            "schema": { "type": "string", "examples": ["\"read\";r=599;t=1"] },
        },
        "RateLimit-Policy": {
            "description": "As what the request was counted, and how many of them a minute has (draft-ietf-httpapi-ratelimit-headers-11).",
            "schema": { "type": "string", "examples": ["\"read\";q=600;w=60"] },
        },
        "Sidekey-Head": {
            "description": "Where the service's revocations stand; the highest is kept, and sent with every request. Refusals have it too, where the caller's token held.",
            "schema": head_schema(),
        },
        "Retry-After": {
            "description": "Seconds to wait before the next try.",
            "schema": { "type": "integer", "minimum": 0, "examples": [1] },
        },
    })
}

/// RFC 9457, with our members (proto/README.md).
fn problem_schema() -> Value {
    let codes: Vec<_> = Code::ALL.iter().map(|code| code.as_str()).collect();
    json!({
        "description": "A refusal (RFC 9457): what happened, and what to do next.",
        "type": "object",
        "required": ["type", "title", "status", "detail", "instance", "code"],
        "properties": {
            "type": { "type": "string", "pattern": "^urn:sidekey:problem:[a-z0-9_]+$" },
            "title": { "type": "string", "description": "What happened, for people." },
            "status": { "type": "integer" },
            "detail": { "type": "string", "description": "What to do next, for people." },
            "instance": { "type": "string", "description": "The request's id." },
            "code": { "type": "string", "enum": codes, "description": "The closed list to rely on." },
            "errors": {
                "type": "array",
                "description": "Faulty members of the body or parameters of the query.",
                "items": {
                    "type": "object",
                    "required": ["field", "fault"],
                    "properties": {
                        "field": { "type": "string" },
                        "fault": { "type": "string", "enum": ["duplicate", "invalid", "missing", "unknown"] },
                    },
                },
            },
            "cause": { "type": "string", "description": "Which of the checks behind a code failed." },
            "reason": { "type": "string", "description": "Why the caller was revoked." },
            "revoked_at": { "type": "integer" },
            "retry_after": { "type": "integer", "description": "As in Retry-After." },
        },
    })
}

#[cfg(test)]
mod tests;
