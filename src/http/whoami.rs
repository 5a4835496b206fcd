//! `GET /v1/whoami`: which token this is, to try one out.

use axum::http::header;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Json, Router};
use serde::Serialize;

use super::auth::Caller;

/// The answer.
#[derive(Debug, Serialize)]
struct WhoAmI<'a> {
    name: &'a str,
    role: &'static str,
}

pub(super) fn routes() -> Router {
    Router::new().route("/v1/whoami", get(whoami))
}

async fn whoami(caller: Caller) -> Response {
    let answer = WhoAmI { name: &caller.name, role: caller.role.as_str() };
    ([(header::CACHE_CONTROL, "no-store")], Json(answer)).into_response()
}
