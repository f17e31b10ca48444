//! `GET /livez`, `GET /readyz`: whether the process runs, and whether it can do its work.

use std::sync::Arc;

use axum::extract::State;
use serde::Serialize;

use crate::http::extract::Json;
use crate::http::problem::Problem;
use crate::store::Store;

/// All is well.
#[derive(Debug, Serialize)]
pub(crate) struct Health {
    status: &'static str,
}

const OK: Health = Health { status: "ok" };

/// `GET /livez`: the process answers.
pub(crate) async fn alive() -> Json<Health> {
    Json(OK)
}

/// `GET /readyz` and `GET /healthz`: the journal can be written, and the clock has not gone back.
pub(crate) async fn ready(State(store): State<Arc<Store>>) -> Result<Json<Health>, Problem> {
    store.ready()?;
    Ok(Json(OK))
}
