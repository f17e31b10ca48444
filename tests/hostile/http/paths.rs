//! Paths and queries.

use super::Scene;

const NOT_FOUND: (u16, &str) = (404, "not_found");

/// What is no id names nothing, whatever else it may be taken for.
#[tokio::test]
async fn ids_that_climb_or_are_spelled_otherwise() {
    let scene = Scene::open().await;
    let mut tried = 0;
    for operation in &scene.operations {
        for parameter in operation.parameters.iter().filter(|parameter| parameter["in"] == "path") {
            let name = parameter["name"].as_str().unwrap();
            if !["invitation", "pairing", "session"].contains(&name) || operation.path.starts_with("/p/") {
                continue;
            }
            let real = scene.path_with(operation, |_| None);
            let id = real.split('/').find(|part| part.len() == 32).unwrap();
            let escaped = format!("%{:02x}{}", id.as_bytes()[0], &id[1..]);
            for other in [
                "%2e%2e".to_owned(),
                "%2e%2e%2fself".to_owned(),
                format!("{id}%2f"),
                format!("{id}%00"),
                format!("{id}%20"),
                format!("{id}0"),
                "0".repeat(1000),
                id[1..].to_owned(),
                id.to_uppercase().replace(|c: char| c.is_ascii_digit(), "A"),
                format!("0x{}", &id[2..]),
                "%ff%fe".to_owned(),
                "-1".to_owned(),
                "'%20or%201=1--".to_owned(),
            ] {
                let path = scene.path_with(operation, |place| (place == name).then(|| other.clone()));
                let what = format!("{} at {path}", operation.name());
                scene.refused(&what, scene.ask(operation, &path), &[NOT_FOUND]).await;
                tried += 1;
            }
            // One id, percent-encoded: RFC 3986 has it name the same thing.
            assert_ne!(escaped, id);
        }
    }
    assert!(tried >= 50, "{tried}");
    scene.serves_others().await;
}

#[tokio::test]
async fn names_that_are_none() {
    let scene = Scene::open().await;
    for operation in &scene.operations {
        for name in ["server", "user"] {
            if !operation.path.contains(&format!("{{{name}}}")) {
                continue;
            }
            for other in ["%00", "a%0ab", "%20a", &"a".repeat(256), "%ff", "%c0%af"] {
                let path = scene.path_with(operation, |place| (place == name).then(|| other.to_owned()));
                let what = format!("{} at {path}", operation.name());
                scene.refused(&what, scene.ask(operation, &path), &[NOT_FOUND]).await;
            }
        }
    }
}

#[tokio::test]
async fn parameters_that_are_unknown_repeated_or_absurd() {
    let scene = Scene::open().await;
    for operation in &scene.operations {
        let taken = operation.parameters.iter().filter(|parameter| parameter["in"] == "query");
        let taken: Vec<_> = taken.map(|parameter| parameter["name"].as_str().unwrap()).collect();
        if operation.method != http::Method::GET || taken.is_empty() || operation.path.ends_with('z') {
            continue;
        }
        let mut queries = vec!["x=1".to_owned(), "%00=1".to_owned(), "a[]=1".to_owned()];
        for name in taken {
            queries.push(format!("{name}=%ff"));
            queries.push(format!("{name}=1&{name}=1"));
            queries.push(format!("{name}=%00"));
        }
        for query in queries {
            let path = format!("{}?{query}", scene.path(operation));
            let invalid = [(400, "query_invalid"), NOT_FOUND];
            scene.refused(&path, scene.ask(operation, &path), &invalid).await;
        }
    }
}

#[tokio::test]
async fn addresses_longer_than_any() {
    let scene = Scene::open().await;
    for operation in &scene.operations {
        let path = format!("{}?x={}", scene.path(operation), "a".repeat(3000));
        scene.refused(&operation.name(), scene.ask(operation, &path), &[(414, "uri_too_long")]).await;
    }
}
