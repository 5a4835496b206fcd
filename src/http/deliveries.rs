//! `/v1/deliveries`: by which a receiver finds what it missed.

use axum::Router;
use axum::extract::{RawQuery, State};
use axum::http::StatusCode;
use axum::response::Response;
use axum::routing::get;

use super::alerts::{LIMIT_DEFAULT, LIMIT_MAX, answer, blocking, moment};
use super::auth::Caller;
use super::parameters::Parameters;
use super::problem::Problem;
use super::webhooks::{SharedOffice, open, problem};
use crate::domain::delivery::EndpointName;
use crate::domain::reconcile::WalkPlace;

pub(super) fn routes(office: SharedOffice) -> Router {
    Router::new().route("/v1/deliveries", get(list)).with_state(office)
}

async fn list(
    State(office): State<SharedOffice>,
    caller: Caller,
    RawQuery(query): RawQuery,
) -> Result<Response, Problem> {
    let time = "an RFC 3339 time with its offset";
    let mut parameters = Parameters::read(query.as_deref())?;
    let endpoint: Option<EndpointName> = parameters.parsed("endpoint", "the name of an endpoint")?;
    let since = parameters.one("since", moment, time)?;
    let until = parameters.one("until", moment, time)?;
    let after: Option<WalkPlace> = parameters.parsed("cursor", "`next` of the page before")?;
    let limit = parameters.limit(LIMIT_DEFAULT, LIMIT_MAX)?;
    parameters.finish()?;
    let (Some(endpoint), Some(since)) = (endpoint, since) else {
        let detail = "name the endpoint, and say since when: endpoint=NAME&since=TIME";
        return Err(Problem::new(StatusCode::BAD_REQUEST, "parameter", detail));
    };
    caller.must_see(&endpoint)?;
    let office = open(&office)?;
    let work = move || office.missed(&endpoint, since, until, after, limit).map_err(problem);
    answer(blocking(work).await?)
}
