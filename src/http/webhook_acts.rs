//! What is done by `POST /v1/webhooks/{endpoint}/…`.

use std::time::Duration;

use axum::body::Bytes;
use axum::extract::rejection::{BytesRejection, PathRejection};
use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Deserializer};

use super::alerts::{answer, blocking, moment};
use super::auth::Caller;
use super::problem::Problem;
use super::webhooks::{BODY_BYTES_MAX, Claimant, SharedOffice, endpoint, open, problem};
use crate::domain::outcome::{By, Via};
use crate::domain::reconcile::Again;

/// The longest id of an alert or a delivery, in bytes.
const ID_BYTES_MAX: usize = 64;
/// For how long an old key may sign beside a new one, in seconds: a minute to 90 days.
const KEEP_SECONDS: std::ops::RangeInclusive<u64> = 60..=90 * 86_400;
/// For how long it does where nobody says.
const KEEP_DEFAULT: u64 = 86_400;

type Name = Result<Path<String>, PathRejection>;
type Body = Result<Bytes, BytesRejection>;

/// What an act that needs nothing else may say.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct Said {
    #[serde(default)]
    r#as: Option<String>,
}

/// What is to be told again. What is not asked for is left out, and not null.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct Wanted {
    #[serde(default, deserialize_with = "there")]
    id: Option<String>,
    #[serde(default, deserialize_with = "there")]
    failed: Option<bool>,
    #[serde(default, deserialize_with = "there")]
    since: Option<String>,
    #[serde(default, deserialize_with = "there")]
    until: Option<String>,
    #[serde(default)]
    r#as: Option<String>,
}

/// How a key is replaced.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct Kept {
    #[serde(default, deserialize_with = "there")]
    keep_seconds: Option<u64>,
    #[serde(default)]
    r#as: Option<String>,
}

fn there<'de, T: Deserialize<'de>, D: Deserializer<'de>>(deserializer: D) -> Result<Option<T>, D::Error> {
    T::deserialize(deserializer).map(Some)
}

pub(super) async fn replay(
    State(office): State<SharedOffice>,
    caller: Caller,
    name: Name,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Problem> {
    let wanted: Wanted =
        read(&headers, body, "it has one of id, failed and since, and may have until and as")?;
    let again = again(&wanted)?;
    let claimed = claimed(&caller, wanted.r#as)?;
    let (name, office) = (endpoint(name)?, open(&office)?);
    let work = move || office.replay(&who(&caller, &claimed), &name, &again).map_err(problem);
    // It is done by whoever tells the endpoint, in a moment.
    Ok((StatusCode::ACCEPTED, answer(blocking(work).await?)?).into_response())
}

pub(super) async fn enable(
    state: State<SharedOffice>,
    caller: Caller,
    name: Name,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Problem> {
    switch(state, caller, name, headers, body, true).await
}

pub(super) async fn disable(
    state: State<SharedOffice>,
    caller: Caller,
    name: Name,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Problem> {
    switch(state, caller, name, headers, body, false).await
}

async fn switch(
    State(office): State<SharedOffice>,
    caller: Caller,
    name: Name,
    headers: HeaderMap,
    body: Body,
    on: bool,
) -> Result<Response, Problem> {
    let said: Said = read(&headers, body, "it may have `as`, and be left out")?;
    let claimed = claimed(&caller, said.r#as)?;
    let (name, office) = (endpoint(name)?, open(&office)?);
    let work = move || office.switch(&who(&caller, &claimed), &name, on).map_err(problem);
    answer(blocking(work).await?)
}

pub(super) async fn test(
    State(office): State<SharedOffice>,
    caller: Caller,
    name: Name,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Problem> {
    let said: Said = read(&headers, body, "it may have `as`, and be left out")?;
    claimed(&caller, said.r#as)?;
    let (name, office) = (endpoint(name)?, open(&office)?);
    answer(blocking(move || office.test(&caller, &name).map_err(problem)).await?)
}

pub(super) async fn rotate(
    State(office): State<SharedOffice>,
    caller: Caller,
    name: Name,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Problem> {
    let kept: Kept = read(&headers, body, "it may have keep_seconds and as, and be left out")?;
    let seconds = kept.keep_seconds.unwrap_or(KEEP_DEFAULT);
    if !KEEP_SECONDS.contains(&seconds) {
        return Err(malformed("keep_seconds must be from 60 to 7776000: a minute to 90 days"));
    }
    let claimed = claimed(&caller, kept.r#as)?;
    let (name, office) = (endpoint(name)?, open(&office)?);
    let keep = Duration::from_secs(seconds);
    let work = move || office.rotate(&who(&caller, &claimed), &name, keep).map_err(problem);
    answer(blocking(work).await?)
}

fn who<'a>(caller: &'a Caller, claimed: &'a Option<String>) -> Claimant<'a> {
    Claimant { caller, claimed: claimed.as_deref() }
}

/// Who they say they are, where that may be written down.
fn claimed(caller: &Caller, claimed: Option<String>) -> Result<Option<String>, Problem> {
    let by = By { name: Some(caller.name.clone()), claimed, via: Via::Api };
    match by.is_fit() {
        true => Ok(by.claimed),
        false => Err(malformed("`as` is longer than 200 characters, or holds a card number")),
    }
}

fn again(wanted: &Wanted) -> Result<Again, Problem> {
    let time = |name: &str, text: &str| {
        moment(text).ok_or_else(|| malformed(format!("{name} must be an RFC 3339 time with its offset")))
    };
    match (&wanted.id, wanted.failed, &wanted.since, &wanted.until) {
        (Some(id), None, None, None) if is_id(id) => Ok(Again::One(id.clone())),
        (Some(_), None, None, None) => {
            Err(malformed("id must be an alert's (alr_…) or the webhook-id of a delivery (alr_…-1, bat_…)"))
        }
        (None, Some(true), None, None) => Ok(Again::Failed),
        (None, None, Some(since), until) => {
            let until = until.as_deref().map(|until| time("until", until)).transpose()?;
            Ok(Again::Written { since: time("since", since)?, until })
        }
        _ => Err(malformed("name one of id, failed (true) and since, and until beside since alone")),
    }
}

/// What is written down must not be just any text.
fn is_id(id: &str) -> bool {
    let known = id.starts_with("alr_") || id.starts_with("bat_");
    known && id.len() <= ID_BYTES_MAX && id.bytes().all(|b| b.is_ascii_alphanumeric() || b"_-".contains(&b))
}

/// A body of JSON; one that is left out says nothing.
fn read<T: DeserializeOwned + Default>(headers: &HeaderMap, body: Body, form: &str) -> Result<T, Problem> {
    let body = body.map_err(|rejection| match rejection.status() {
        StatusCode::PAYLOAD_TOO_LARGE => {
            let detail = format!("a request has at most {BODY_BYTES_MAX} bytes");
            Problem::new(StatusCode::PAYLOAD_TOO_LARGE, "too_large", detail)
        }
        _ => malformed("the request ended in the middle"),
    })?;
    if body.is_empty() {
        return Ok(T::default());
    }
    let kind = headers.get(header::CONTENT_TYPE).and_then(|kind| kind.to_str().ok()).unwrap_or_default();
    if !kind.split(';').next().is_some_and(|kind| kind.trim().eq_ignore_ascii_case("application/json")) {
        let detail = "the body is JSON: send the header `Content-Type: application/json`";
        return Err(Problem::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, "media_type", detail));
    }
    serde_json::from_slice(&body).map_err(|error| {
        malformed(format!("line {}, column {}: not what is read here; {form}", error.line(), error.column()))
    })
}

fn malformed(detail: impl Into<String>) -> Problem {
    Problem::new(StatusCode::BAD_REQUEST, "malformed", detail)
}
