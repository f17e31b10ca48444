//! What each extractor takes from a request.

use axum::extract::State;
use http::HeaderMap;
use schemars::JsonSchema;
use serde_json::json;
use sidekey_protocol::delivery::CarrierName;
use sidekey_protocol::ids::{InvitationId, PartyId, ServerName, SessionId, UserName};
use sidekey_protocol::pairing::registry::Paging;

use super::{Asked, Operation};
use crate::http::auth::{Caller, Paired};
use crate::http::etag::IfNoneMatch;
use crate::http::extract::{Idempotency, Json, JsonOrNothing, LastEventId, Path, Query, RawJson, Said};
use crate::http::list::Listed;
use crate::http::problem::Code;

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
