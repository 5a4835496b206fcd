//! `/v1/outcomes`: what was decided, and deciding.

use axum::Router;
use axum::body::Bytes;
use axum::extract::rejection::BytesRejection;
use axum::extract::{DefaultBodyLimit, RawQuery, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use serde::Deserialize;

use super::alerts::{DeskFault, LIMIT_DEFAULT, LIMIT_MAX, SharedDesk, answer, blocking, open, problem};
use super::auth::{Caller, Role, needs};
use super::parameters::Parameters;
use super::problem::{PROBLEM_TYPE, Problem};
use crate::clock::{Clock, SystemClock};
use crate::domain::outcome::{By, Decision, Note, Subject, TRANSACTION_BYTES_MAX, Verdict, Via};

/// The largest request that is read, in bytes: a note of 1,000 characters fits, however it is escaped.
const BODY_BYTES_MAX: usize = 32 * 1024;

pub(super) fn routes(desk: SharedDesk) -> Router {
    Router::new()
        .route("/v1/outcomes", get(list).merge(needs(Role::Decide, post(decide))))
        .layer(DefaultBodyLimit::max(BODY_BYTES_MAX))
        .with_state(desk)
}

async fn list(
    State(desk): State<SharedDesk>,
    _: Caller,
    RawQuery(query): RawQuery,
) -> Result<Response, Problem> {
    let mut parameters = Parameters::read(query.as_deref())?;
    let subject = parameters.one("subject", Subject::of_id, "the id of an alert or a sighting")?;
    let before = |cursor: &str| cursor.parse::<i64>().ok().filter(|offset| *offset >= 0);
    let before = parameters.one("cursor", before, "`next` of the page before")?;
    let limit = parameters.limit(LIMIT_DEFAULT, LIMIT_MAX)?;
    parameters.finish()?;
    let desk = open(&desk)?;
    let page = blocking(move || Ok(desk.outcomes(subject.as_ref(), before, limit))).await?;
    answer(page)
}

/// What is asked for.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Wanted {
    #[serde(default)]
    alert: Option<String>,
    #[serde(default)]
    sighting: Option<String>,
    #[serde(default)]
    transaction: Option<String>,
    verdict: Verdict,
    #[serde(default)]
    note: Option<String>,
    #[serde(default)]
    r#as: Option<String>,
}

async fn decide(
    State(desk): State<SharedDesk>,
    caller: Caller,
    headers: HeaderMap,
    body: Result<Bytes, BytesRejection>,
) -> Result<Response, Problem> {
    let (subject, decision) = read(&caller, &headers, body)?;
    let desk = open(&desk)?;
    let decided = blocking(move || Ok(desk.decide(&caller, subject, decision))).await?;
    match decided {
        Ok(outcome) => answer(outcome),
        Err(fault) => Ok(refused(fault)),
    }
}

fn read(
    caller: &Caller,
    headers: &HeaderMap,
    body: Result<Bytes, BytesRejection>,
) -> Result<(Subject, Decision), Problem> {
    let kind = headers.get(header::CONTENT_TYPE).and_then(|kind| kind.to_str().ok()).unwrap_or_default();
    if !kind.split(';').next().is_some_and(|kind| kind.trim().eq_ignore_ascii_case("application/json")) {
        let detail = "an outcome is JSON: send the header `Content-Type: application/json`";
        return Err(Problem::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, "media_type", detail));
    }
    let body = body.map_err(|rejection| match rejection.status() {
        StatusCode::PAYLOAD_TOO_LARGE => {
            let detail = format!("an outcome has at most {BODY_BYTES_MAX} bytes");
            Problem::new(StatusCode::PAYLOAD_TOO_LARGE, "too_large", detail)
        }
        _ => malformed("the request ended in the middle"),
    })?;
    let wanted: Wanted = serde_json::from_slice(&body).map_err(|error| {
        malformed(format!(
            "line {}, column {}: not an outcome; it has one of alert, sighting and transaction, a verdict (fraud, \
             genuine, unknown), and may have a note and an `as`",
            error.line(),
            error.column()
        ))
    })?;
    let subject = subject(wanted.alert, wanted.sighting, wanted.transaction)?;
    let note = Note::of(wanted.note.as_deref()).map_err(|error| malformed(error.to_string()))?;
    let by = By { name: Some(caller.name.clone()), claimed: wanted.r#as, via: Via::Api };
    if !by.is_fit() {
        return Err(malformed("`as` is longer than 200 characters, or holds a card number"));
    }
    Ok((subject, Decision { verdict: wanted.verdict, note, by, at: SystemClock.now() }))
}

fn subject(
    alert: Option<String>,
    sighting: Option<String>,
    transaction: Option<String>,
) -> Result<Subject, Problem> {
    let found = match (alert, sighting, transaction) {
        (Some(id), None, None) => Subject::of_id(&id).filter(|subject| matches!(subject, Subject::Alert(_))),
        (None, Some(id), None) => {
            Subject::of_id(&id).filter(|subject| matches!(subject, Subject::Sighting(_)))
        }
        (None, None, Some(id)) => {
            (1..=TRANSACTION_BYTES_MAX).contains(&id.len()).then_some(Subject::Transaction(id))
        }
        _ => return Err(malformed("name one of alert, sighting and transaction, and only one")),
    };
    found.ok_or_else(|| {
        malformed("an alert's id is alr_ and 26 letters and digits, a sighting's sgt_…, a transaction's has 1 to 256 bytes")
    })
}

fn malformed(detail: impl Into<String>) -> Problem {
    Problem::new(StatusCode::BAD_REQUEST, "malformed", detail)
}

/// A problem, with the alerts that may be meant where there are several.
fn refused(fault: DeskFault) -> Response {
    let candidates = match &fault {
        DeskFault::Ambiguous(candidates) => Some(candidates.clone()),
        DeskFault::NoSuchAlert | DeskFault::Unavailable(_) => None,
    };
    let problem = problem(fault);
    let (Some(candidates), Ok(mut body)) = (candidates, serde_json::to_value(&problem)) else {
        return problem.into_response();
    };
    body["candidates"] = serde_json::json!(candidates);
    let headers = [(header::CONTENT_TYPE, PROBLEM_TYPE), (header::CACHE_CONTROL, "no-store")];
    (StatusCode::CONFLICT, headers, body.to_string()).into_response()
}
