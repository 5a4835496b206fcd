//! What everybody who reaches the address may see: `/metrics`, `/health/live`, `/health/ready`.

use std::sync::Arc;

use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Json, Router};
use prometheus::{Registry, TextEncoder};

use crate::health::{Health, Report};

/// What the Prometheus text format is called in HTTP.
const METRICS_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";

/// What the handlers show.
#[derive(Debug)]
struct Shown {
    registry: Registry,
    health: Health,
}

pub(super) fn routes(registry: Registry, health: Health) -> Router {
    Router::new()
        .route("/metrics", get(metrics))
        .route("/health/live", get(async |State(shown): State<Arc<Shown>>| report(shown.health.live())))
        .route("/health/ready", get(async |State(shown): State<Arc<Shown>>| report(shown.health.ready())))
        .with_state(Arc::new(Shown { registry, health }))
}

async fn metrics(State(shown): State<Arc<Shown>>) -> Response {
    match TextEncoder::new().encode_to_string(&shown.registry.gather()) {
        Ok(text) => ([(header::CONTENT_TYPE, METRICS_TYPE)], text).into_response(),
        Err(error) => {
            tracing::error!(%error, "metrics cannot be written");
            StatusCode::INTERNAL_SERVER_ERROR.into_response()
        }
    }
}

fn report(report: Report) -> Response {
    let status = if report.ok { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    (status, [(header::CACHE_CONTROL, "no-store")], Json(report)).into_response()
}
