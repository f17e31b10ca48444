//! What each kind of answer is.

use std::marker::PhantomData;

use axum::response::sse::Sse;
use axum::response::{Html, IntoResponse, Response};
use schemars::JsonSchema;
use serde_json::{Map, Value, json};

use super::{Answered, Operation};
use crate::http::etag::Tagged;
use crate::http::extract::{Created, Json, JsonOrNoContent, NoContent};
use crate::http::openapi::Document;
use crate::http::problem::Problem;

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
impl Answered for Document {
    fn describe(operation: &mut Operation<'_>) {
        operation.answer_json::<Map<String, Value>>(200, "The document.");
        operation.answer(304, "The caller has it.", None);
    }
}
