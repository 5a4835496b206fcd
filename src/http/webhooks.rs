//! `/v1/webhooks`: the endpoints, what is owed to each, and what may be done about it.

use std::fmt::Debug;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::rejection::PathRejection;
use axum::extract::{DefaultBodyLimit, Path, RawQuery, State};
use axum::http::StatusCode;
use axum::response::Response;
use axum::routing::{get, post};
use serde::Serialize;
use serde_json::Value;

use super::alerts::{LIMIT_DEFAULT, LIMIT_MAX, answer, blocking};
use super::auth::{Caller, Role, needs};
use super::parameters::Parameters;
use super::problem::Problem;
use super::webhook_acts as acts;
use crate::domain::delivery::EndpointName;
use crate::domain::desk::Page;
use crate::domain::reconcile::{Again, DeliveryPlace, WalkPlace};
use crate::domain::time::Timestamp;

/// The largest request that is read, in bytes.
pub(super) const BODY_BYTES_MAX: usize = 8 * 1024;

/// Why the office does not answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum WebhookFault {
    /// There is no such endpoint in the configuration.
    NoSuchEndpoint,
    /// There is no such alert or failed delivery.
    NoSuchAlert,
    /// It cannot be done as things are: a word that stays, and what to do.
    Refused(&'static str, String),
    /// This process cannot read the endpoint's files.
    Elsewhere,
    /// Not just now: what went wrong.
    Unavailable(String),
}

/// Who acts, and who they say they are.
#[derive(Debug, Clone, Copy)]
pub struct Claimant<'a> {
    /// Whose token it is.
    pub caller: &'a Caller,
    /// Who they say they are.
    pub claimed: Option<&'a str>,
}

/// Webhooks, as the handlers need them. None of the answers holds a secret, or of a URL more than its host. The methods
/// may block.
pub trait WebhookOffice: Send + Sync + Debug {
    /// Every endpoint, and how things stand with it.
    ///
    /// # Errors
    /// [`WebhookFault::Unavailable`].
    fn list(&self) -> Result<Vec<Value>, WebhookFault>;

    /// One endpoint.
    ///
    /// # Errors
    /// [`WebhookFault`].
    fn show(&self, endpoint: &EndpointName) -> Result<Value, WebhookFault>;

    /// Deliveries that wait, or that failed for good, behind the place `after`, at most `limit` of them.
    ///
    /// # Errors
    /// [`WebhookFault`].
    fn entries(
        &self,
        endpoint: &EndpointName,
        failed: bool,
        after: Option<&DeliveryPlace>,
        limit: usize,
    ) -> Result<Page<Value>, WebhookFault>;

    /// Has something told again.
    ///
    /// # Errors
    /// [`WebhookFault`].
    fn replay(
        &self,
        who: &Claimant<'_>,
        endpoint: &EndpointName,
        again: &Again,
    ) -> Result<Value, WebhookFault>;

    /// Switches an endpoint on or off.
    ///
    /// # Errors
    /// [`WebhookFault`].
    fn switch(&self, who: &Claimant<'_>, endpoint: &EndpointName, on: bool) -> Result<Value, WebhookFault>;

    /// Tells a test alert, once.
    ///
    /// # Errors
    /// [`WebhookFault`].
    fn test(&self, caller: &Caller, endpoint: &EndpointName) -> Result<Value, WebhookFault>;

    /// Puts a new key beside the old one, which signs on for `keep`.
    ///
    /// # Errors
    /// [`WebhookFault`].
    fn rotate(
        &self,
        who: &Claimant<'_>,
        endpoint: &EndpointName,
        keep: Duration,
    ) -> Result<Value, WebhookFault>;

    /// What became of the alerts for an endpoint that were written since a time.
    ///
    /// # Errors
    /// [`WebhookFault`].
    fn missed(
        &self,
        endpoint: &EndpointName,
        since: Timestamp,
        until: Option<Timestamp>,
        after: Option<WalkPlace>,
        limit: usize,
    ) -> Result<Value, WebhookFault>;
}

/// The office of this process.
pub type SharedOffice = Option<Arc<dyn WebhookOffice>>;

/// The routes of webhooks and deliveries.
pub fn routes(office: SharedOffice) -> Router {
    let admin = |methods| needs(Role::Admin, methods);
    let webhooks = Router::new()
        .route("/v1/webhooks", get(list))
        .route("/v1/webhooks/{endpoint}", get(show))
        .route("/v1/webhooks/{endpoint}/pending", get(pending))
        .route("/v1/webhooks/{endpoint}/failed", get(failed))
        .route("/v1/webhooks/{endpoint}/replay", admin(post(acts::replay)))
        .route("/v1/webhooks/{endpoint}/enable", admin(post(acts::enable)))
        .route("/v1/webhooks/{endpoint}/disable", admin(post(acts::disable)))
        .route("/v1/webhooks/{endpoint}/test", admin(post(acts::test)))
        .route("/v1/webhooks/{endpoint}/rotate", admin(post(acts::rotate)))
        .layer(DefaultBodyLimit::max(BODY_BYTES_MAX))
        .with_state(office.clone());
    webhooks.merge(super::deliveries::routes(office))
}

/// Every endpoint.
#[derive(Serialize)]
struct Endpoints {
    items: Vec<Value>,
}

async fn list(
    State(office): State<SharedOffice>,
    _: Caller,
    RawQuery(query): RawQuery,
) -> Result<Response, Problem> {
    Parameters::read(query.as_deref())?.finish()?;
    let office = open(&office)?;
    answer(Endpoints { items: blocking(move || office.list().map_err(problem)).await? })
}

async fn show(
    State(office): State<SharedOffice>,
    _: Caller,
    name: Result<Path<String>, PathRejection>,
) -> Result<Response, Problem> {
    let (name, office) = (endpoint(name)?, open(&office)?);
    answer(blocking(move || office.show(&name).map_err(problem)).await?)
}

async fn pending(
    state: State<SharedOffice>,
    _: Caller,
    name: Result<Path<String>, PathRejection>,
    query: RawQuery,
) -> Result<Response, Problem> {
    entries(state, name, query, false).await
}

async fn failed(
    state: State<SharedOffice>,
    _: Caller,
    name: Result<Path<String>, PathRejection>,
    query: RawQuery,
) -> Result<Response, Problem> {
    entries(state, name, query, true).await
}

async fn entries(
    State(office): State<SharedOffice>,
    name: Result<Path<String>, PathRejection>,
    RawQuery(query): RawQuery,
    failed: bool,
) -> Result<Response, Problem> {
    let mut parameters = Parameters::read(query.as_deref())?;
    let after: Option<DeliveryPlace> = parameters.parsed("cursor", "`next` of the page before")?;
    let limit = parameters.limit(LIMIT_DEFAULT, LIMIT_MAX)?;
    parameters.finish()?;
    let (name, office) = (endpoint(name)?, open(&office)?);
    let page = move || office.entries(&name, failed, after.as_ref(), limit).map_err(problem);
    answer(blocking(page).await?)
}

/// The endpoint that a path names. What is no name at all names none either.
pub(super) fn endpoint(name: Result<Path<String>, PathRejection>) -> Result<EndpointName, Problem> {
    let name = name.ok().and_then(|Path(name)| name.parse().ok());
    name.ok_or_else(|| problem(WebhookFault::NoSuchEndpoint))
}

/// The office, where there is one.
pub(super) fn open(office: &SharedOffice) -> Result<Arc<dyn WebhookOffice>, Problem> {
    office.clone().ok_or_else(|| {
        let detail = "this process knows nothing of webhooks; ask one that does";
        Problem::new(StatusCode::SERVICE_UNAVAILABLE, "unavailable", detail)
    })
}

pub(super) fn problem(fault: WebhookFault) -> Problem {
    match fault {
        WebhookFault::NoSuchEndpoint => Problem::new(
            StatusCode::NOT_FOUND,
            "no_such_endpoint",
            "there is no such endpoint in the configuration of this process; /v1/webhooks names those there are",
        ),
        WebhookFault::NoSuchAlert => Problem::new(
            StatusCode::NOT_FOUND,
            "no_such_alert",
            "there is no such alert or failed delivery: it may have expired, or never was",
        ),
        WebhookFault::Refused(code, detail) => Problem::new(StatusCode::CONFLICT, code, detail),
        WebhookFault::Elsewhere => Problem::new(
            StatusCode::CONFLICT,
            "elsewhere",
            "this process cannot read the files of the endpoint; ask one that runs the line `notify`",
        ),
        WebhookFault::Unavailable(cause) => {
            tracing::warn!(cause, "a request about webhooks could not be answered");
            let detail = "the cluster does not answer just now; try again in a moment";
            Problem::new(StatusCode::SERVICE_UNAVAILABLE, "unavailable", detail)
        }
    }
}
