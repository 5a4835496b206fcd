//! `/v1/incidents`: the books of incidents, one of them, and the report on it.

use std::fmt::Debug;
use std::sync::Arc;

use axum::Router;
use axum::extract::rejection::PathRejection;
use axum::extract::{Path, RawQuery, State};
use axum::http::StatusCode;
use axum::response::Response;
use axum::routing::get;
use serde_json::Value;

use super::alerts::{answer, blocking};
use super::auth::Caller;
use super::parameters::Parameters;
use super::problem::Problem;
use crate::domain::incident::IncidentId;

/// Why the books do not answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum BooksFault {
    /// There is no such incident.
    NoSuchIncident,
    /// Not just now: what went wrong.
    Unavailable(String),
}

/// The books of incidents, as the handlers need them: what the commands of the same name print as JSON. Its methods may
/// block.
pub trait IncidentBooks: Send + Sync + Debug {
    /// Whether the books were made up yet.
    fn is_loaded(&self) -> bool;

    /// Every incident in one line; of the open ones alone, or the closed ones, where `open` says.
    fn list(&self, open: Option<bool>) -> Value;

    /// What is known of an incident.
    ///
    /// # Errors
    /// [`BooksFault::NoSuchIncident`].
    fn show(&self, id: &IncidentId) -> Result<Value, BooksFault>;

    /// The report on an incident.
    ///
    /// # Errors
    /// [`BooksFault`].
    fn report(&self, id: &IncidentId) -> Result<Value, BooksFault>;
}

/// The books of this process, if it keeps any.
pub type SharedBooks = Option<Arc<dyn IncidentBooks>>;

/// The routes of incidents.
pub fn routes(books: SharedBooks) -> Router {
    Router::new()
        .route("/v1/incidents", get(list))
        .route("/v1/incidents/{id}", get(show))
        .route("/v1/incidents/{id}/report", get(report))
        .with_state(books)
}

async fn list(
    State(books): State<SharedBooks>,
    _: Caller,
    RawQuery(query): RawQuery,
) -> Result<Response, Problem> {
    let mut parameters = Parameters::read(query.as_deref())?;
    let open = |word: &str| match word {
        "open" => Some(true),
        "closed" => Some(false),
        _ => None,
    };
    let open = parameters.one("state", open, "open or closed")?;
    parameters.finish()?;
    let books = opened(&books)?;
    answer(blocking(move || Ok(books.list(open))).await?)
}

async fn show(
    State(books): State<SharedBooks>,
    _: Caller,
    id: Result<Path<String>, PathRejection>,
) -> Result<Response, Problem> {
    let (id, books) = (incident(id)?, opened(&books)?);
    answer(blocking(move || books.show(&id).map_err(problem)).await?)
}

async fn report(
    State(books): State<SharedBooks>,
    _: Caller,
    id: Result<Path<String>, PathRejection>,
) -> Result<Response, Problem> {
    let (id, books) = (incident(id)?, opened(&books)?);
    answer(blocking(move || books.report(&id).map_err(problem)).await?)
}

/// The incident that a path names. What is no id at all names none either.
fn incident(id: Result<Path<String>, PathRejection>) -> Result<IncidentId, Problem> {
    let id = id.ok().and_then(|Path(id)| id.parse().ok());
    id.ok_or_else(|| problem(BooksFault::NoSuchIncident))
}

/// The books, once they were made up.
fn opened(books: &SharedBooks) -> Result<Arc<dyn IncidentBooks>, Problem> {
    let unavailable = |detail: &str| Problem::new(StatusCode::SERVICE_UNAVAILABLE, "unavailable", detail);
    let Some(books) = books else {
        return Err(unavailable(
            "this process does not run the line `books`, which keeps the books of incidents; ask one that does",
        ));
    };
    match books.is_loaded() {
        true => Ok(Arc::clone(books)),
        false => Err(unavailable("the books are still being made up; try again in a moment")),
    }
}

fn problem(fault: BooksFault) -> Problem {
    match fault {
        BooksFault::NoSuchIncident => Problem::new(
            StatusCode::NOT_FOUND,
            "no_such_incident",
            "there is no such incident; /v1/incidents names those there are",
        ),
        BooksFault::Unavailable(cause) => {
            tracing::warn!(cause, "a report could not be made");
            let detail = "the cluster does not answer just now; try again in a moment";
            Problem::new(StatusCode::SERVICE_UNAVAILABLE, "unavailable", detail)
        }
    }
}
