//! The operations listener: what is counted, for those who keep the gateway running.

use std::sync::Arc;

use axum::Router;
use axum::extract::State;
use axum::http::header::CONTENT_TYPE;
use axum::response::IntoResponse;
use axum::routing::get;
use tokio::net::TcpListener;

use crate::Shared;

/// Answers until the gateway has stopped: while it drains there is something to see.
pub(crate) async fn serve(shared: Arc<Shared>, listener: TcpListener) {
    let stopped = shared.kill.clone();
    let router = Router::new()
        .route("/metrics", get(metrics))
        .route("/livez", get(async || "ok\n"))
        .with_state(shared);
    let serving = axum::serve(listener, router).into_future();
    if let Some(Err(error)) = stopped.run_until_cancelled(serving).await {
        tracing::error!(%error, "metrics are told no more");
    }
}

/// `GET /metrics`: Prometheus' text format.
async fn metrics(State(shared): State<Arc<Shared>>) -> impl IntoResponse {
    let (keys, oldest_s) = shared.desk.as_ref().map_or((0, 0), |desk| desk.keyring.held());
    ([(CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")], shared.metrics.render(keys, oldest_s))
}
