//! Requests that are wrong, over every route that the service's own description names: a new route is attacked as the
//! old ones are.

mod bodies;
mod frames;
mod lines;
mod paths;

use http::{HeaderName, Method};
use serde_json::Value;
use sidekey_protocol::ids::SessionId;
use sidekey_tests::{ANN, Asking, MAIL, Office};

/// An enterprise at work, and what its service takes.
pub(crate) struct Scene {
    pub(crate) office: Office,
    pub(crate) operations: Vec<Operation>,
    document: Value,
    session: SessionId,
    invitation: String,
}

/// One operation of the service's description.
pub(crate) struct Operation {
    pub(crate) method: Method,
    pub(crate) path: String,
    pub(crate) parameters: Vec<Value>,
    pub(crate) body: Option<Body>,
    /// Of a body of whatever form; 0 where none is taken.
    pub(crate) size_max_bytes: usize,
    roles: Vec<String>,
    stream: bool,
}

/// What it takes.
pub(crate) struct Body {
    pub(crate) example: Value,
    pub(crate) schema: Value,
    pub(crate) required: bool,
    pub(crate) size_max_bytes: usize,
}

impl Scene {
    pub(crate) async fn open() -> Self {
        let office = Office::open().await;
        let session = office.session().await.session();
        let invitation = office.system.invite(MAIL, Some(ANN)).await.invitation.to_string();
        let document = office.system.ask(Method::GET, "/openapi.json").send().await.json();
        let operations = operations(&document);
        Self { office, operations, document, session, invitation }
    }

    /// Operations that take a body.
    pub(crate) fn with_bodies(&self) -> impl Iterator<Item = (&Operation, &Body)> {
        self.operations.iter().filter_map(|operation| Some((operation, operation.body.as_ref()?)))
    }

    /// A path on which there is something.
    pub(crate) fn path(&self, operation: &Operation) -> String {
        self.path_with(operation, |_| None)
    }

    /// The same, with something else in some places.
    pub(crate) fn path_with(&self, operation: &Operation, other: impl Fn(&str) -> Option<String>) -> String {
        let part = |part: &str| {
            let Some(name) = part.strip_prefix('{').and_then(|part| part.strip_suffix('}')) else {
                return part.to_owned();
            };
            other(name).unwrap_or_else(|| match name {
                "invitation" => self.invitation.clone(),
                "pairing" => self.office.phone.client.pairing().to_string(),
                "carrier" => "sms".to_owned(),
                "server" => MAIL.to_owned(),
                "session" => self.session.to_string(),
                "user" => ANN.to_owned(),
                _ => "0".repeat(32),
            })
        };
        operation.path.split('/').map(part).collect::<Vec<_>>().join("/")
    }

    /// A request by somebody who may make it, with all the headers that it needs.
    pub(crate) fn ask(&self, operation: &Operation, path: &str) -> Asking {
        let asking = self.office.system.ask(operation.method.clone(), path);
        let asking = match self.token(operation) {
            Some(token) => asking.bearer(&token),
            None => asking,
        };
        let required = operation
            .parameters
            .iter()
            .filter(|parameter| parameter["in"] == "header" && parameter["required"] == true);
        required.fold(asking, |asking, parameter| {
            let name: HeaderName = parameter["name"].as_str().unwrap().parse().unwrap();
            asking.header(name, parameter["schema"]["examples"][0].as_str().unwrap())
        })
    }

    /// A token of one who may.
    pub(crate) fn token(&self, operation: &Operation) -> Option<String> {
        let may = |role: &str| operation.roles.iter().any(|may| may == role);
        match () {
            () if may("admin") => Some(self.office.system.admin_token()),
            () if may("server") => Some(self.office.mail.keys.token()),
            () if may("client") => Some(self.office.phone.keys.token()),
            () => None,
        }
    }

    /// That it is refused so, says what to do next, and has changed nothing.
    pub(crate) async fn refused(&self, what: &str, asking: Asking, allowed: &[(u16, &str)]) -> Value {
        let before = self.office.system.records().len();
        let answer = asking.send().await;
        let text = String::from_utf8_lossy(&answer.body);
        let problem: Value = serde_json::from_slice(&answer.body)
            .unwrap_or_else(|error| panic!("{what}: {error}: {} {text}", answer.status));
        let code = problem["code"].as_str().unwrap_or_default();
        assert!(allowed.contains(&(answer.status, code)), "{what}: {} {problem}", answer.status);
        assert_eq!(answer.headers["content-type"], "application/problem+json", "{what}");
        assert!(problem["detail"].as_str().is_some_and(|detail| detail.ends_with('.')), "{what}: {problem}");
        assert_eq!(self.office.system.records().len(), before, "{what}: something has changed");
        problem
    }

    /// That everybody else is served.
    pub(crate) async fn serves_others(&self) {
        let system = &self.office.system;
        system.get("/v1/servers", &system.admin_token()).send().await.is(200);
    }

    /// A schema, its reference followed.
    pub(crate) fn resolved<'a>(&'a self, schema: &'a Value) -> &'a Value {
        match schema["$ref"].as_str() {
            Some(to) => self.resolved(self.document.pointer(to.trim_start_matches('#')).unwrap()),
            None => schema,
        }
    }
}

impl Operation {
    pub(crate) fn name(&self) -> String {
        format!("{} {}", self.method, self.path)
    }
}

fn operations(document: &Value) -> Vec<Operation> {
    let mut operations = Vec::new();
    for (path, methods) in document["paths"].as_object().unwrap() {
        for (method, operation) in methods.as_object().unwrap() {
            let media = &operation["requestBody"]["content"]["application/json"];
            let body = media.is_object().then(|| Body {
                example: media["example"].clone(),
                schema: media["schema"].clone(),
                required: operation["requestBody"]["required"] == true,
                size_max_bytes: operation["requestBody"]["x-size-max-bytes"].as_u64().unwrap() as usize,
            });
            let roles = operation["x-roles"].as_array().unwrap().iter();
            operations.push(Operation {
                method: method.to_uppercase().parse().unwrap(),
                path: path.clone(),
                parameters: operation["parameters"].as_array().cloned().unwrap_or_default(),
                body,
                size_max_bytes: operation["requestBody"]["x-size-max-bytes"].as_u64().unwrap_or(0) as usize,
                roles: roles.map(|role| role.as_str().unwrap().to_owned()).collect(),
                stream: operation["x-stream"] == true,
            });
        }
    }
    assert!(operations.len() > 30, "the description was read");
    operations
}
