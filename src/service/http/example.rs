//! Examples for the OpenAPI document, put together from those of the members: none can go stale.

use serde_json::{Map, Value, json};

/// Gives every body that is JSON an example.
pub(super) fn add_to(document: &mut Value) {
    let whole = document.clone();
    let paths = document["paths"].as_object_mut().into_iter().flat_map(|paths| paths.values_mut());
    let operations = paths.filter_map(Value::as_object_mut).flat_map(|path| path.values_mut());
    for operation in operations {
        if let Some(media) = operation.pointer_mut("/requestBody/content/application~1json") {
            add(media, &whole);
        }
        for answer in operation["responses"].as_object_mut().into_iter().flat_map(Map::values_mut) {
            if let Some(media) = answer.pointer_mut("/content/application~1json") {
                add(media, &whole);
            }
        }
    }
}

fn add(media: &mut Value, document: &Value) {
    let example = of(&media["schema"], document);
    media["example"] = example;
}

/// The schema's own example, or one of what it is made of.
fn of(schema: &Value, document: &Value) -> Value {
    if let Some(to) = schema["$ref"].as_str() {
        return document
            .pointer(to.trim_start_matches('#'))
            .map_or(Value::Null, |schema| of(schema, document));
    }
    let first = |name: &str| schema[name].as_array().and_then(|all| all.first());
    if let Some(own) = first("examples").or_else(|| first("enum")).or_else(|| schema.get("const")) {
        return own.clone();
    }
    if let Some(one) = first("oneOf").or_else(|| first("anyOf")).or_else(|| first("allOf")) {
        return of(one, document);
    }
    let kind = schema["type"].as_str().or_else(|| schema["type"].as_array()?.first()?.as_str());
    match kind {
        Some("object") => {
            let members = schema["properties"].as_object().into_iter().flatten();
            Value::Object(members.map(|(name, schema)| (name.clone(), of(schema, document))).collect())
        }
        Some("array") => match &schema["items"] {
            Value::Null => json!([]),
            items => json!([of(items, document)]),
        },
        Some("string") => json!("text"),
        Some("integer" | "number") => schema.get("minimum").cloned().unwrap_or(json!(0)),
        Some("boolean") => json!(true),
        _ => Value::Null,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_example_is_made_of_its_members() {
        let document =
            json!({ "components": { "schemas": { "Name": { "type": "string", "examples": ["ann"] } } } });
        let schema = json!({
            "type": "object",
            "properties": {
                "name": { "$ref": "#/components/schemas/Name" },
                "ttl": { "type": ["integer", "null"], "minimum": 60 },
                "list": { "type": "array", "items": { "enum": ["a", "b"] } },
            },
        });
        assert_eq!(of(&schema, &document), json!({ "name": "ann", "ttl": 60, "list": ["a"] }));
    }
}
