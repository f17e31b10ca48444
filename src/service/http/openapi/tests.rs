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

#[test]
fn every_reference_leads_somewhere() {
    fn check(value: &Value, document: &Value) {
        match value {
            Value::Object(members) => {
                if let Some(Value::String(to)) = members.get("$ref") {
                    assert!(document.pointer(to.strip_prefix('#').unwrap()).is_some(), "{to}");
                }
                members.values().for_each(|value| check(value, document));
            }
            Value::Array(items) => items.iter().for_each(|value| check(value, document)),
            _ => {}
        }
    }
    let document = document();
    check(&document, &document);
}

/// The names of all schemas that these parts of the operations lead to.
fn led_to(document: &Value, part: &str) -> BTreeSet<String> {
    fn names(value: &Value, into: &mut BTreeSet<String>, document: &Value) {
        match value {
            Value::Object(members) => {
                let name = members.get("$ref").and_then(|to| to.as_str()?.strip_prefix(SCHEMAS));
                if let Some(name) = name
                    && into.insert(name.to_owned())
                {
                    names(&document["components"]["schemas"][name], into, document);
                }
                members.values().for_each(|value| names(value, into, document));
            }
            Value::Array(items) => items.iter().for_each(|value| names(value, into, document)),
            _ => {}
        }
    }
    let mut found = BTreeSet::new();
    let paths = document["paths"].as_object().unwrap().values();
    for operation in paths.flat_map(|path| path.as_object().unwrap().values()) {
        names(&operation[part], &mut found, document);
    }
    found
}

/// What is read strictly on either side (proto/README.md, `later_member`).
#[test]
fn answers_may_gain_a_later_member_and_requests_may_not() {
    let document = document();
    let (asked, answered) = (led_to(&document, "requestBody"), led_to(&document, "responses"));
    let is_strict = |name: &&String| {
        let schema = &document["components"]["schemas"][name.as_str()];
        schema["additionalProperties"] == json!(false)
    };
    let strict: Vec<_> = answered.difference(&asked).filter(is_strict).map(String::as_str).collect();
    // What is hashed as it stands, and what two who pair derive their keys from.
    let hashed =
        ["AuditRecord", "BeginAnswer", "Entry", "FinishAnswer", "Proof", "ProofRecord", "RekeyAnswer"];
    assert_eq!(strict, hashed);
    let objects = asked
        .iter()
        .filter(|name| document["components"]["schemas"][name.as_str()]["properties"].is_object());
    let lax: Vec<_> = objects.filter(|name| !is_strict(name)).collect();
    // Told by an event, and handed on as it was told.
    assert_eq!(lax, ["Revoked"]);
}

/// Where a reference to a schema leads.
const SCHEMAS: &str = "#/components/schemas/";
