//! The route table. Who may call, how long a body may be and how long an answer may take stand in each route's row,
//! and the router is built from the rows alone: a route without limits cannot exist.

pub(crate) mod auth;
mod code;
pub(crate) mod etag;
pub(crate) mod extract;
pub(crate) mod limits;
pub(crate) mod list;
pub mod problem;
pub(crate) mod tokens;

use axum::Router;
use axum::middleware::from_fn_with_state;
use axum::routing::{MethodFilter, MethodRouter, on};

use self::auth::{ADMIN, ANYBODY, EVERY_PARTY, PAIRED, SERVER, Who};
use self::limits::{Edge, Guard, edge, guard};
use self::problem::{Code, Problem};
use crate::app::App;
use crate::{config, events, health, pairing, policies, policy, revocation, session};

/// One row of the table.
#[derive(Debug)]
pub(crate) struct Route {
    method: MethodFilter,
    pub(crate) method_name: &'static str,
    pub(crate) path: &'static str,
    pub(crate) who: Who,
    pub(crate) body_size_bytes: usize,
    pub(crate) time: Time,
    serve: fn(MethodFilter) -> MethodRouter<App>,
}

/// How long an answer may take.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Time {
    /// `limits.answer_s`.
    Answer,
    /// It is a stream, and ends when the caller or the service does.
    Stream,
}

const GET: MethodFilter = MethodFilter::GET;
const POST: MethodFilter = MethodFilter::POST;
const PUT: MethodFilter = MethodFilter::PUT;
const DELETE: MethodFilter = MethodFilter::DELETE;

/// No body.
const NONE: usize = 0;
/// A few short members.
const SMALL: usize = 2 * 1024;
/// A share and an encapsulation key; a box; a list of capabilities.
const MEDIUM: usize = 8 * 1024;

macro_rules! routes {
    ($($method:ident $path:literal $who:ident $body:ident $time:ident $handler:path;)*) => {
        /// Every route there is.
        pub(crate) static ROUTES: &[Route] = &[$(Route {
            method: $method,
            method_name: stringify!($method),
            path: $path,
            who: $who,
            body_size_bytes: $body,
            time: Time::$time,
            serve: |method| on(method, $handler),
        }),*];
    };
}

routes! {
    POST   "/v1/servers"                       ADMIN       SMALL  Answer pairing::add_server;
    GET    "/v1/servers"                       ADMIN       NONE   Answer pairing::servers;
    POST   "/v1/invitations"                   ADMIN       SMALL  Answer pairing::invite;
    GET    "/v1/invitations"                   ADMIN       NONE   Answer pairing::invitations;
    POST   "/v1/pairings/{invitation}/begin"   ANYBODY     MEDIUM Answer pairing::begin;
    POST   "/v1/pairings/{invitation}/finish"  ANYBODY     MEDIUM Answer pairing::finish;
    GET    "/v1/pairings"                      ADMIN       NONE   Answer pairing::pairings;
    GET    "/v1/pairings/self"                 PAIRED      NONE   Answer pairing::own;
    POST   "/v1/pairings/self/rekey"           PAIRED      MEDIUM Answer pairing::rekey;
    POST   "/v1/sessions"                      SERVER      MEDIUM Answer session::open;
    GET    "/v1/sessions/current"              PAIRED      NONE   Answer session::current;
    GET    "/v1/sessions/{session}/key"        PAIRED      NONE   Answer session::key;
    POST   "/v1/sessions/{session}/rotate"     SERVER      SMALL  Answer session::rotate;
    DELETE "/v1/sessions/{session}"            SERVER      NONE   Answer session::end;
    POST   "/v1/revocations"                   EVERY_PARTY SMALL  Answer revocation::revoke;
    GET    "/v1/policy"                        PAIRED      NONE   Answer policy::policy;
    GET    "/v1/policies"                      ADMIN       NONE   Answer policies::policies;
    GET    "/v1/policies/service"              ADMIN       NONE   Answer policies::of_service;
    PUT    "/v1/policies/service"              ADMIN       SMALL  Answer policies::set_service;
    DELETE "/v1/policies/service"              ADMIN       NONE   Answer policies::unset_service;
    GET    "/v1/policies/servers/{server}"     ADMIN       NONE   Answer policies::of_server;
    PUT    "/v1/policies/servers/{server}"     ADMIN       SMALL  Answer policies::set_server;
    DELETE "/v1/policies/servers/{server}"     ADMIN       NONE   Answer policies::unset_server;
    GET    "/v1/policies/servers/{server}/users/{user}" ADMIN NONE Answer policies::of_user;
    PUT    "/v1/policies/servers/{server}/users/{user}" ADMIN SMALL Answer policies::set_user;
    DELETE "/v1/policies/servers/{server}/users/{user}" ADMIN NONE Answer policies::unset_user;
    GET    "/v1/keys"                          ANYBODY     NONE   Answer policy::keys;
    GET    "/v1/events"                        PAIRED      NONE   Stream events::events;
    GET    "/p/{invitation}"                   ANYBODY     NONE   Answer pairing::page;
    GET    "/livez"                            ANYBODY     NONE   Answer health::alive;
    GET    "/readyz"                           ANYBODY     NONE   Answer health::ready;
    GET    "/healthz"                          ANYBODY     NONE   Answer health::ready;
}

/// The whole interface: the table's routes, each behind its guard, all behind the edge.
pub(crate) fn router(app: &App, edge_parts: Edge) -> Router {
    with_rows(ROUTES, app, edge_parts)
}

fn with_rows(rows: &'static [Route], app: &App, edge_parts: Edge) -> Router {
    let mut router = Router::new();
    for route in rows {
        let meter = app.metrics.of_route(route.path, route.method_name);
        let guarded = Guard { app: app.clone(), route, meter };
        let serve = (route.serve)(route.method).route_layer(from_fn_with_state(guarded, guard));
        router = router.route(route.path, serve);
    }
    let router = router.method_not_allowed_fallback(async || Problem::from(Code::MethodNotAllowed));
    let router = match config::path(&app.public_url) {
        "" => router,
        prefix => Router::new().nest(prefix, router),
    };
    router
        .fallback(async || Problem::from(Code::NotFound))
        .with_state(app.clone())
        .layer(from_fn_with_state(edge_parts, edge))
}
