//! The operations listener: metrics and health, for those who keep the service running.

use std::sync::Arc;

use axum::Router;
use axum::extract::State;
use axum::response::{IntoResponse as _, Response};
use axum::routing::get;
use http::{HeaderValue, header};

use crate::health::{self, Health};
use crate::http::layer::Standing;
use crate::http::limits::Edge;
use crate::http::problem::{Code, Problem};
use crate::metrics::{Figures, Metrics};

/// What its handlers reach.
#[derive(Clone, Debug)]
pub(crate) struct Operations {
    pub(crate) metrics: Arc<Metrics>,
    pub(crate) health: Arc<Health>,
}

impl axum::extract::FromRef<Operations> for Arc<Health> {
    fn from_ref(operations: &Operations) -> Self {
        operations.health.clone()
    }
}

/// Its routes. The edge is the service's own, which counts nothing here.
pub(crate) fn router(operations: Operations, edge_parts: Arc<Edge>) -> Router {
    Router::new()
        .route("/metrics", get(metrics))
        .route("/livez", get(health::alive))
        .route("/readyz", get(health::ready))
        .route("/healthz", get(health::ready))
        .method_not_allowed_fallback(async || Problem::from(Code::MethodNotAllowed))
        .fallback(async || Problem::from(Code::NotFound))
        .with_state(operations)
        .layer(Standing(edge_parts))
}

/// `GET /metrics`: Prometheus' text format. Counting pairings and sizing files is no work for a thread that answers
/// others.
async fn metrics(State(operations): State<Operations>) -> Response {
    let render = move || {
        let Operations { metrics, health } = operations;
        let store = health.store();
        metrics.render(&Figures {
            pairings_active: store.pairings_active(),
            store_size_bytes: store.size_bytes(),
            store_free_bytes: store.free_bytes(),
            open: store.ready().is_ok(),
            certificate_not_after: health.certificate().not_after(),
            signing_key_age_s: store.signing_key_age_s(),
        })
    };
    match tokio::task::spawn_blocking(render).await {
        Ok(text) => {
            let kind = HeaderValue::from_static("text/plain; version=0.0.4; charset=utf-8");
            ([(header::CONTENT_TYPE, kind)], text).into_response()
        }
        Err(_) => Problem::from(Code::Internal).into_response(),
    }
}
