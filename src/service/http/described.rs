//! What a route takes and answers, read from its handler's signature: a description cannot differ from the code, and a
//! handler that cannot be described does not compile.

use std::collections::{BTreeMap, BTreeSet};
use std::marker::PhantomData;

use axum::extract::State;
use axum::response::sse::Sse;
use axum::response::{Html, IntoResponse, Response};
use http::HeaderMap;
use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde_json::{Map, Value, json};
use sidekey_protocol::delivery::CarrierName;
use sidekey_protocol::ids::{InvitationId, PartyId, ServerName, SessionId, UserName};
use sidekey_protocol::pairing::registry::Paging;

use super::auth::{Caller, Paired};
use super::etag::{IfNoneMatch, Tagged};
use super::extract::{
    Created, Idempotency, Json, JsonOrNoContent, JsonOrNothing, LastEventId, NoContent, Path, Query, RawJson,
    Said,
};
use super::list::Listed;
use super::problem::{Code, Problem};
use super::routes::Route;

/// A route's description in the making: the parts of an OpenAPI operation.
pub(crate) struct Operation<'a> {
    pub(super) generator: &'a mut SchemaGenerator,
    route: &'static Route,
    pub(super) parameters: Vec<Value>,
    pub(super) body: Option<Value>,
    pub(super) answers: BTreeMap<u16, Value>,
    pub(super) codes: BTreeSet<Code>,
}

impl<'a> Operation<'a> {
    /// Of `route`.
    pub(super) fn of(route: &'static Route, generator: &'a mut SchemaGenerator) -> Self {
        let (parameters, body, answers) = (Vec::new(), None, BTreeMap::new());
        let mut operation = Self { generator, route, parameters, body, answers, codes: route.codes() };
        (route.describe)(&mut operation);
        operation
    }

    fn answer(&mut self, status: u16, description: &str, media: Option<(&str, Value)>) {
        let mut answer = json!({ "description": description });
        if let Some((kind, content)) = media {
            answer["content"] = json!({ kind: content });
        }
        self.answers.insert(status, answer);
    }

    /// The answer of this status, in another form.
    pub(crate) fn or_media(&mut self, status: u16, kind: &str, content: Value) {
        if let Some(answer) = self.answers.get_mut(&status) {
            answer["content"][kind] = content;
        }
    }

    /// The answer of this status, of another type to another caller.
    pub(crate) fn or_json<T: JsonSchema>(&mut self, status: u16) {
        let other = self.generator.subschema_for::<T>();
        if let Some(answer) = self.answers.get_mut(&status) {
            let schema = &mut answer["content"]["application/json"]["schema"];
            *schema = json!({ "anyOf": [schema.take(), other] });
        }
    }

    fn answer_json<T: JsonSchema>(&mut self, status: u16, description: &str) {
        let schema = self.generator.subschema_for::<T>();
        self.answer(status, description, Some(("application/json", json!({ "schema": schema }))));
    }

    fn takes_json<T: JsonSchema>(&mut self, required: bool) {
        self.codes.extend([Code::BodyInvalid, Code::BodyMalformed, Code::MediaTypeUnsupported]);
        let schema = self.generator.subschema_for::<T>();
        self.body =
            Some(json!({ "required": required, "content": { "application/json": { "schema": schema } } }));
    }

    /// A parameter of the query that may be left out.
    pub(crate) fn query(&mut self, name: &str, description: &str, schema: Value) {
        self.codes.insert(Code::QueryInvalid);
        self.parameters.push(json!({
            "name": name, "in": "query", "required": false, "description": description, "schema": schema,
        }));
    }

    fn header(&mut self, name: &str, required: bool, description: &str, schema: Value) {
        self.parameters.push(json!({
            "name": name, "in": "header", "required": required, "description": description, "schema": schema,
        }));
    }

    /// The members of `T`, each a parameter of the query; it is left out rather than null.
    fn members<T: JsonSchema>(&mut self) {
        let schema = T::json_schema(self.generator).to_value();
        let required = schema["required"].as_array().cloned().unwrap_or_default();
        for (name, schema) in schema["properties"].as_object().unwrap_or(&Map::new()) {
            let mut schema = schema.clone();
            let description = schema.as_object_mut().and_then(|schema| schema.remove("description"));
            self.parameters.push(json!({
                "name": name, "in": "query", "required": required.contains(&json!(name)),
                "description": description.unwrap_or_default(),
                "schema": without_null(schema),
            }));
        }
    }
}

fn without_null(mut schema: Value) -> Value {
    if let Some(kinds) = schema["type"].as_array().cloned() {
        schema["type"] = kinds.into_iter().find(|kind| kind != "null").unwrap_or_default();
    }
    match schema["anyOf"].as_array().map(Vec::as_slice) {
        Some([some, null]) if null["type"] == "null" => some.clone(),
        _ => {
            let given = |(name, value): (String, Value)| {
                (name != "default" && !value.is_null()).then_some((name, value))
            };
            match schema {
                Value::Object(members) => Value::Object(members.into_iter().filter_map(given).collect()),
                other => other,
            }
        }
    }
}

/// What a handler takes from a request.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be described in the OpenAPI document",
    note = "handlers take the extractors of `http/extract.rs`; wire types derive `schemars::JsonSchema` (see `src/protocol/pairing/registry.rs`)"
)]
pub(crate) trait Asked {
    fn describe(operation: &mut Operation<'_>);
}

/// What a handler answers.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be described in the OpenAPI document",
    note = "answer `Json`, `Created` (201), `NoContent` (204), `JsonOrNoContent` or `Tagged` of a type that derives `schemars::JsonSchema`"
)]
pub(crate) trait Answered {
    fn describe(operation: &mut Operation<'_>);
}

/// A handler, by its signature.
pub(crate) trait Handler<Arguments> {
    fn describe(operation: &mut Operation<'_>);
}

/// Describes a handler.
pub(crate) fn described<H: Handler<Arguments>, Arguments>(_: H, operation: &mut Operation<'_>) {
    H::describe(operation);
}

macro_rules! handlers {
    ($(($($argument:ident)*))*) => {
        $(impl<H, A, F, $($argument),*> Handler<($($argument,)*)> for H
        where
            H: Fn($($argument),*) -> F,
            F: Future<Output = A>,
            A: Answered,
            $($argument: Asked,)*
        {
            fn describe(operation: &mut Operation<'_>) {
                $($argument::describe(operation);)*
                A::describe(operation);
            }
        })*
    };
}

handlers! { () (T1) (T1 T2) (T1 T2 T3) (T1 T2 T3 T4) (T1 T2 T3 T4 T5) (T1 T2 T3 T4 T5 T6) (T1 T2 T3 T4 T5 T6 T7) }

impl<T> Asked for State<T> {
    fn describe(_: &mut Operation<'_>) {}
}

impl Asked for Caller {
    fn describe(_: &mut Operation<'_>) {}
}

/// Its token names an epoch, which may be another than the one that the pairing is in.
impl Asked for Paired {
    fn describe(operation: &mut Operation<'_>) {
        operation.codes.insert(Code::KekUnknown);
    }
}

impl<T: JsonSchema> Asked for Json<T> {
    fn describe(operation: &mut Operation<'_>) {
        operation.takes_json::<T>(true);
    }
}

impl<T: JsonSchema> Asked for RawJson<T> {
    fn describe(operation: &mut Operation<'_>) {
        operation.takes_json::<T>(true);
    }
}

impl<T: JsonSchema> Asked for JsonOrNothing<T> {
    fn describe(operation: &mut Operation<'_>) {
        operation.takes_json::<T>(false);
    }
}

impl<T: JsonSchema> Asked for Query<T> {
    fn describe(operation: &mut Operation<'_>) {
        operation.codes.insert(Code::QueryInvalid);
        operation.members::<T>();
    }
}

impl<F: JsonSchema> Asked for Listed<F> {
    fn describe(operation: &mut Operation<'_>) {
        operation.codes.insert(Code::QueryInvalid);
        operation.members::<Paging>();
        operation.members::<F>();
    }
}

impl<T> Asked for Path<T> {
    /// A parameter's name says what it is.
    fn describe(operation: &mut Operation<'_>) {
        for name in operation.route.parameters() {
            operation.codes.insert(Code::NotFound);
            let generator = &mut operation.generator;
            let schema = match name {
                "invitation" => generator.subschema_for::<InvitationId>(),
                "pairing" => generator.subschema_for::<PartyId>(),
                "session" => generator.subschema_for::<SessionId>(),
                "server" => generator.subschema_for::<ServerName>(),
                "carrier" => generator.subschema_for::<CarrierName>(),
                "delivery" => generator.subschema_for::<u32>(),
                "record" => generator.subschema_for::<u64>(),
                "user" => generator.subschema_for::<UserName>(),
                _ => generator.subschema_for::<String>(),
            };
            let parameter = json!({ "name": name, "in": "path", "required": true, "schema": schema });
            operation.parameters.push(parameter);
        }
    }
}

/// Its form is the gateway's own.
impl Asked for Said {
    fn describe(operation: &mut Operation<'_>) {
        operation.codes.insert(Code::QueryInvalid);
        if operation.route.body_size_bytes > 0 {
            let content = json!({ "*/*": { "schema": { "description": "A form, or JSON." } } });
            operation.body = Some(json!({ "required": false, "content": content }));
        }
    }
}

/// Whoever takes all headers takes them for a condition.
impl Asked for HeaderMap {
    fn describe(operation: &mut Operation<'_>) {
        if operation.route.method_name == "GET" {
            IfNoneMatch::describe(operation);
        } else {
            operation.codes.extend([Code::PreconditionFailed, Code::PreconditionRequired]);
            let schema = json!({ "type": "string", "examples": ["\"1\""] });
            operation.header("If-Match", false, "The ETag of what shall be changed.", schema);
        }
    }
}

impl Asked for Idempotency {
    fn describe(operation: &mut Operation<'_>) {
        operation.codes.extend([
            Code::HeaderRepeated,
            Code::IdempotencyKeyMalformed,
            Code::IdempotencyKeyMissing,
            Code::IdempotencyKeyReused,
        ]);
        let schema = json!({ "type": "string", "pattern": "^[!-~]{16,64}$", "examples": ["7c9e6679-7425-40de-944b-e07fc1f90ae7"] });
        operation.header(
            "Idempotency-Key",
            true,
            "A fresh random key for each new request, the same for its repeat.",
            schema,
        );
    }
}

impl Asked for LastEventId {
    fn describe(operation: &mut Operation<'_>) {
        let schema = json!({ "type": "string", "examples": ["4711"] });
        let description = "The last id that the caller was told: the stream begins with what it missed.";
        operation.header("Last-Event-ID", false, description, schema);
    }
}

impl Asked for IfNoneMatch {
    fn describe(operation: &mut Operation<'_>) {
        let schema = json!({ "type": "string", "examples": ["\"pVx9fV3vA1O2wGf0cV4h5A\""] });
        operation.header(
            "If-None-Match",
            false,
            "The ETag of what the caller has: 304 while it is the same.",
            schema,
        );
    }
}

impl<T: JsonSchema> Answered for Json<T> {
    fn describe(operation: &mut Operation<'_>) {
        operation.answer_json::<T>(200, "Done.");
    }
}

impl<T: JsonSchema> Answered for Created<T> {
    fn describe(operation: &mut Operation<'_>) {
        operation.answer_json::<T>(201, "Made.");
    }
}

impl Answered for NoContent {
    fn describe(operation: &mut Operation<'_>) {
        operation.answer(204, "Done.", None);
    }
}

impl<T: JsonSchema> Answered for JsonOrNoContent<T> {
    fn describe(operation: &mut Operation<'_>) {
        operation.answer_json::<T>(200, "Done.");
        operation.answer(204, "It was so already: nothing is changed.", None);
    }
}

impl<T: JsonSchema> Answered for Tagged<T> {
    fn describe(operation: &mut Operation<'_>) {
        operation.answer_json::<T>(200, "As it stands, under an ETag.");
        operation.answers.entry(200).and_modify(|answer| {
            answer["headers"] = json!({ "ETag": { "description": "Names this very content.", "schema": { "type": "string" } } });
        });
        operation.answer(304, "The caller has it.", None);
    }
}

impl<S> Answered for Sse<S> {
    fn describe(operation: &mut Operation<'_>) {
        // Nothing in OpenAPI 3.1 describes the parts of a stream.
        let events = "Server-Sent Events without end: `x-events` says which.";
        operation.answer(200, events, Some(("text/event-stream", json!({}))));
    }
}

impl<T> Answered for Html<T> {
    fn describe(operation: &mut Operation<'_>) {
        operation.answer(200, "A page.", Some(("text/html", json!({ "schema": { "type": "string" } }))));
    }
}

/// A response that is put together by hand, and is what `A` would be.
#[derive(Debug)]
pub(crate) struct As<A>(Response, PhantomData<fn() -> A>);

impl<A> From<Response> for As<A> {
    fn from(response: Response) -> Self {
        Self(response, PhantomData)
    }
}

impl<A> IntoResponse for As<A> {
    fn into_response(self) -> Response {
        self.0
    }
}

impl<A: Answered> Answered for As<A> {
    fn describe(operation: &mut Operation<'_>) {
        A::describe(operation);
    }
}

/// With headers of its own.
impl<H, A: Answered> Answered for (H, A) {
    fn describe(operation: &mut Operation<'_>) {
        A::describe(operation);
    }
}

impl<A: Answered> Answered for Result<A, Problem> {
    fn describe(operation: &mut Operation<'_>) {
        A::describe(operation);
    }
}

/// The OpenAPI document describes itself as an object.
impl Answered for super::openapi::Document {
    fn describe(operation: &mut Operation<'_>) {
        operation.answer_json::<Map<String, Value>>(200, "The document.");
        operation.answer(304, "The caller has it.", None);
    }
}

/// A schema as JSON, for those who put documents together.
pub(super) fn schema_of<T: JsonSchema>(generator: &mut SchemaGenerator) -> Value {
    Schema::to_value(generator.subschema_for::<T>())
}
