//! The description as a whole: it is the contract's, and says what is so.

use std::collections::BTreeSet;

use super::*;

fn document() -> Value {
    serde_json::from_str(&text()).unwrap()
}

#[test]
fn the_contract_holds_the_document_as_it_is() {
    let fresh = text();
    let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let kept = std::fs::read_to_string(root.join("proto/openapi.json")).unwrap_or_default();
    if kept != fresh {
        std::fs::create_dir_all(root.join("target")).unwrap();
        std::fs::write(root.join("target/openapi.json"), fresh).unwrap();
        panic!("proto/openapi.json is stale: cp target/openapi.json proto/openapi.json");
    }
}

#[test]
fn every_row_of_the_route_table_is_in_the_document() {
    let document = document();
    let described: usize =
        document["paths"].as_object().unwrap().values().map(|path| path.as_object().unwrap().len()).sum();
    assert_eq!(described, ROUTES.len());
    for route in ROUTES {
        let operation = &document["paths"][route.path][route.method_name.to_lowercase()];
        assert!(operation["summary"].as_str().is_some_and(|text| !text.is_empty()), "{}", route.path);
        assert_eq!(operation["requestBody"].is_object(), route.body_size_bytes > 0, "{}", route.path);
        assert_eq!(operation["security"] == json!([]), route.who.is_anybody());
        let parameters = operation["parameters"].as_array().cloned().unwrap_or_default();
        let of_path: Vec<_> = parameters.iter().filter(|parameter| parameter["in"] == "path").collect();
        let names: Vec<_> = of_path.iter().map(|parameter| parameter["name"].as_str().unwrap()).collect();
        assert_eq!(names, route.parameters().collect::<Vec<_>>(), "{}", route.path);
        assert!(parameters.iter().all(|parameter| parameter["schema"].is_object()), "{}", route.path);
    }
}

#[test]
fn operations_have_names_of_their_own() {
    let mut names: Vec<_> = ROUTES.iter().map(operation_id).collect();
    names.sort_unstable();
    names.dedup();
    assert_eq!(names.len(), ROUTES.len());
}

/// Where all references in it lead.
fn references(value: &Value) -> Vec<&str> {
    match value {
        Value::Object(members) => {
            let own = members.get("$ref").and_then(Value::as_str);
            own.into_iter().chain(members.values().flat_map(references)).collect()
        }
        Value::Array(items) => items.iter().flat_map(references).collect(),
        _ => Vec::new(),
    }
}

#[test]
fn every_reference_leads_somewhere() {
    let document = document();
    for to in references(&document) {
        assert!(document.pointer(to.strip_prefix('#').unwrap()).is_some(), "{to}");
    }
}

/// The names of all schemas that this leads to.
fn led_to<'d>(document: &'d Value, from: impl Iterator<Item = &'d Value>) -> BTreeSet<&'d str> {
    let mut left: Vec<_> = from.flat_map(references).collect();
    let mut found = BTreeSet::new();
    while let Some(to) = left.pop() {
        if let Some(name) = to.strip_prefix("#/components/schemas/")
            && found.insert(name)
        {
            left.extend(references(&document["components"]["schemas"][name]));
        }
    }
    found
}

/// What is read strictly on either side (proto/README.md, `later_member`).
#[test]
fn answers_may_gain_a_later_member_and_requests_may_not() {
    let document = document();
    let schemas = &document["components"]["schemas"];
    let paths = document["paths"].as_object().unwrap().values();
    let operations: Vec<_> = paths.flat_map(|path| path.as_object().unwrap().values()).collect();
    let part = |part| operations.iter().map(move |operation| &operation[part]);
    let asked = led_to(&document, part("requestBody"));
    let answered = led_to(&document, part("responses").chain([&schemas["Event"]]));
    assert!(answered.contains("Opened"), "an event");
    let is_strict = |name: &&&str| schemas[**name]["additionalProperties"] == json!(false);
    let strict: Vec<_> = answered.iter().filter(is_strict).copied().collect();
    let hashed = ["AuditRecord", "Entry", "Proof", "ProofRecord"];
    let pairs = ["BeginAnswer", "FinishAnswer", "RekeyAnswer"];
    let both_ways = ["CarrierAddress", "PolicySetting"];
    assert_eq!(BTreeSet::from_iter(strict), [&hashed[..], &pairs, &both_ways].concat().into_iter().collect());
    let objects = asked.iter().filter(|name| schemas[**name]["properties"].is_object());
    let lax: Vec<_> = objects.filter(|name| !is_strict(name)).copied().collect();
    // Told by an event, and handed on as it was told.
    assert_eq!(lax, ["Revoked"]);
}
