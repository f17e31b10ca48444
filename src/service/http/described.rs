//! What a route takes and answers, read from its handler's signature: a description cannot differ from the code, and a
//! handler that cannot be described does not compile.

mod answered;
mod asked;

use std::collections::{BTreeMap, BTreeSet};

use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde_json::{Map, Value, json};

pub(crate) use self::answered::As;
use super::problem::Code;
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

/// A schema as JSON, for those who put documents together.
pub(super) fn schema_of<T: JsonSchema>(generator: &mut SchemaGenerator) -> Value {
    Schema::to_value(generator.subschema_for::<T>())
}
