//! HTTP: the router is built from the rows of the route table alone, so a route without limits, or without a
//! description, cannot exist.

pub(crate) mod auth;
mod code;
pub(crate) mod described;
pub(crate) mod etag;
mod example;
pub(crate) mod extract;
#[cfg(feature = "fuzz")]
pub mod fuzz;
pub(crate) mod layer;
pub(crate) mod limits;
pub(crate) mod list;
pub mod openapi;
pub mod problem;
pub(crate) mod rates;
mod routes;
pub(crate) mod stamp;
pub(crate) mod tokens;
mod trace;
mod value;

use std::sync::Arc;

use axum::Router;
use axum::routing::MethodRouter;

use self::layer::Standing;
use self::limits::{Edge, Guard};
use self::problem::{Code, Problem};
pub(crate) use self::routes::{ROUTES, Route, Time};
use crate::app::App;

/// A handler of whoever builds the service in, for a route of the table: it answers in the place of the service's own,
/// behind the same guard and the same edge.
#[derive(Clone, Debug)]
pub struct Instead {
    /// `GET`, say.
    pub method: &'static str,
    /// The route, as it stands in the table.
    pub path: &'static str,
    /// What answers.
    pub handler: MethodRouter,
}

impl Instead {
    fn is_for(&self, route: &Route) -> bool {
        (self.method, self.path) == (route.method_name, route.path)
    }
}

/// The whole interface: the table's routes, each behind its guard, all behind the edge.
pub(crate) fn router(app: &App, edge_parts: Arc<Edge>, instead: &[Instead]) -> Router {
    with_rows(ROUTES, app, edge_parts, instead)
}

fn with_rows(rows: &'static [Route], app: &App, edge_parts: Arc<Edge>, instead: &[Instead]) -> Router {
    let known = |other: &Instead| rows.iter().any(|route| other.is_for(route));
    assert!(instead.iter().all(known), "a handler for a route that is not in the table");
    let mut router = Router::new();
    for route in rows {
        let meter = app.metrics.of_route(route.path, route.method_name);
        let guarded = Arc::new(Guard { app: app.clone(), route, meter });
        let others =
            instead.iter().find(|other| (other.method, other.path) == (route.method_name, route.path));
        let handler = match others {
            Some(other) => other.handler.clone().with_state(()),
            None => (route.serve)(route.method),
        };
        let serve = handler.route_layer(Standing(guarded));
        router = router.route(route.path, serve);
    }
    let router = router.method_not_allowed_fallback(async || Problem::from(Code::MethodNotAllowed));
    let router = match app.public_url.path() {
        "" => router,
        prefix => Router::new().nest(prefix, router),
    };
    router
        .fallback(async || Problem::from(Code::NotFound))
        .with_state(app.clone())
        .layer(Standing(edge_parts))
}
