//! `/v1/alerts`: the alerts by their newest revisions, one of them, its revisions.

use std::fmt::Debug;
use std::sync::Arc;

use axum::extract::{Path, RawQuery, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Json, Router};
use serde::Serialize;

use super::auth::Caller;
use super::parameters::Parameters;
use super::problem::Problem;
use crate::domain::alert::{Alert, Severity, State as AlertState};
use crate::domain::desk::{AlertKey, Order, Page, Place, Query, Summary};
use crate::domain::outcome::{Decision, Outcome, Subject};
use crate::domain::time::{TimeError, Timestamp};

/// Entries on a page where nobody says.
pub(super) const LIMIT_DEFAULT: usize = 50;
/// Entries on a page at most.
pub(super) const LIMIT_MAX: usize = 500;

/// The longest name of a rule that is looked for, in characters.
const RULE_CHARS_MAX: usize = 256;

/// Why the desk does not answer.
#[derive(Debug, Clone, PartialEq)]
pub enum DeskFault {
    /// There is no such alert.
    NoSuchAlert,
    /// Several alerts have this transaction id.
    Ambiguous(Vec<Summary>),
    /// Not just now: what went wrong.
    Unavailable(String),
}

/// The alerts and who decides about them, as the handlers need them. Its methods may block.
pub trait AlertDesk: Send + Sync + Debug {
    /// Whether the alerts were read to their end yet.
    fn is_loaded(&self) -> bool;

    /// The alerts asked for, behind the place `after`, at most `limit` of them.
    fn list(&self, query: &Query, order: Order, after: Option<&Place>, limit: usize) -> Page<Summary>;

    /// Every revision of an alert that is still there, the oldest first; none where there is no such alert.
    ///
    /// # Errors
    /// [`DeskFault::Unavailable`].
    fn revisions(&self, key: AlertKey) -> Result<Vec<Alert>, DeskFault>;

    /// An alert by its newest revision.
    ///
    /// # Errors
    /// [`DeskFault`].
    fn alert(&self, key: AlertKey) -> Result<Alert, DeskFault>;

    /// The outcomes, the newest first, about `subject` where one is given, written before the offset `before`.
    fn outcomes(&self, subject: Option<&Subject>, before: Option<i64>, limit: usize) -> Page<Outcome>;

    /// Writes a decision of `caller` down; what was written.
    ///
    /// # Errors
    /// [`DeskFault`].
    fn decide(&self, caller: &Caller, subject: Subject, decision: Decision) -> Result<Outcome, DeskFault>;
}

/// The desk of this process, if it keeps one.
pub type SharedDesk = Option<Arc<dyn AlertDesk>>;

/// The routes of alerts and outcomes.
pub fn routes(desk: SharedDesk) -> Router {
    let alerts = Router::new()
        .route("/v1/alerts", get(list))
        .route("/v1/alerts/{id}", get(show))
        .route("/v1/alerts/{id}/revisions", get(revisions))
        .with_state(desk.clone());
    alerts.merge(super::outcomes::routes(desk))
}

async fn list(
    State(desk): State<SharedDesk>,
    _: Caller,
    RawQuery(query): RawQuery,
) -> Result<Response, Problem> {
    let mut parameters = Parameters::read(query.as_deref())?;
    let order = parameters.one("order", Order::from_word, "newest or costliest")?.unwrap_or_default();
    let query = Query {
        incident: parameters.parsed("incident", "an incident's id")?,
        severity: parameters.one("severity", Severity::from_word, "low, medium or high")?,
        since: parameters.one("since", moment, "an RFC 3339 time with its offset")?,
        until: parameters.one("until", moment, "an RFC 3339 time with its offset")?,
        states: parameters.many("state", AlertState::from_word, "open, escalated, withdrawn or closed")?,
        rule: parameters.one("rule", rule, "a rule's name, of at most 256 characters")?,
        card: parameters.parsed("card", "a fingerprint: 64 hexadecimal digits")?,
    };
    let after = |cursor: &str| Place::of_cursor(cursor, order).ok();
    let after = parameters.one("cursor", after, "`next` of the page before, with the same order")?;
    let limit = parameters.limit(LIMIT_DEFAULT, LIMIT_MAX)?;
    parameters.finish()?;
    let desk = open(&desk)?;
    answer(blocking(move || Ok(desk.list(&query, order, after.as_ref(), limit))).await?)
}

/// A point in time. All that is long past is before every alert.
pub(super) fn moment(text: &str) -> Option<Timestamp> {
    match Timestamp::parse_rfc3339(text) {
        Ok(at) => Some(at),
        Err(TimeError::OutOfRange) => Some(Timestamp(0)),
        Err(_) => None,
    }
}

fn rule(name: &str) -> Option<String> {
    (name.chars().count() <= RULE_CHARS_MAX).then(|| name.to_owned())
}

async fn show(
    State(desk): State<SharedDesk>,
    _: Caller,
    id: Result<Path<String>, axum::extract::rejection::PathRejection>,
) -> Result<Response, Problem> {
    let (key, desk) = (key(id)?, open(&desk)?);
    answer(blocking(move || desk.alert(key).map_err(problem)).await?)
}

/// Every revision that is still there.
#[derive(Serialize)]
struct Revisions {
    items: Vec<Alert>,
}

async fn revisions(
    State(desk): State<SharedDesk>,
    _: Caller,
    id: Result<Path<String>, axum::extract::rejection::PathRejection>,
) -> Result<Response, Problem> {
    let (key, desk) = (key(id)?, open(&desk)?);
    let items = blocking(move || desk.revisions(key).map_err(problem)).await?;
    if items.is_empty() {
        return Err(problem(DeskFault::NoSuchAlert));
    }
    answer(Revisions { items })
}

/// The alert that a path names. What is no id at all names none either.
fn key(id: Result<Path<String>, axum::extract::rejection::PathRejection>) -> Result<AlertKey, Problem> {
    let id = id.map_err(|_| problem(DeskFault::NoSuchAlert))?;
    AlertKey::of_alert(&id).ok_or_else(|| problem(DeskFault::NoSuchAlert))
}

/// The desk, once it knows the alerts.
pub(super) fn open(desk: &SharedDesk) -> Result<Arc<dyn AlertDesk>, Problem> {
    let unavailable = |detail: &str| Problem::new(StatusCode::SERVICE_UNAVAILABLE, "unavailable", detail);
    let Some(desk) = desk else {
        return Err(unavailable(
            "this process does not run the line `books`, which knows the alerts; ask one that does",
        ));
    };
    match desk.is_loaded() {
        true => Ok(Arc::clone(desk)),
        false => Err(unavailable("the alerts are still being read; try again in a moment")),
    }
}

/// Runs what may block away from the requests of others.
pub(super) async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, Problem> + Send + 'static,
) -> Result<T, Problem> {
    match tokio::task::spawn_blocking(work).await {
        Ok(done) => done,
        Err(error) => {
            tracing::error!(%error, "a request could not be worked on");
            Err(Problem::new(StatusCode::INTERNAL_SERVER_ERROR, "internal", "this is a fault of cardwatch"))
        }
    }
}

pub(super) fn problem(fault: DeskFault) -> Problem {
    match fault {
        DeskFault::NoSuchAlert => Problem::new(
            StatusCode::NOT_FOUND,
            "no_such_alert",
            "there is no such alert here: it may have expired, or never was",
        ),
        DeskFault::Ambiguous(_) => Problem::new(
            StatusCode::CONFLICT,
            "ambiguous",
            "several alerts have this transaction id; name one of the candidates by its id",
        ),
        DeskFault::Unavailable(cause) => {
            tracing::warn!(cause, "a request could not be answered");
            let detail = "the cluster does not answer just now; try again in a moment";
            Problem::new(StatusCode::SERVICE_UNAVAILABLE, "unavailable", detail)
        }
    }
}

pub(super) fn answer(body: impl Serialize) -> Result<Response, Problem> {
    Ok(([(header::CACHE_CONTROL, "no-store")], Json(body)).into_response())
}
