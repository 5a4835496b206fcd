//! What a refused request is answered: problem details as JSON (RFC 9457).

use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Serialize;

/// The media type of a [`Problem`].
pub const PROBLEM_TYPE: &str = "application/problem+json";

/// Why a request is not answered. It repeats nothing of the request: that may hold a card number.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Problem {
    /// Always `about:blank`: the status and [`Problem::code`] tell the kinds apart.
    r#type: &'static str,
    /// What the status means, for people.
    title: String,
    /// The status of the answer.
    status: u16,
    /// What is wrong with this request and what to do, for people.
    detail: String,
    /// What is wrong, for programs: a word that stays.
    code: &'static str,
    /// The challenge of RFC 6750, where a token is what is missing.
    #[serde(skip)]
    challenge: Option<String>,
}

impl Problem {
    /// A problem: `code` for programs, `detail` for people.
    pub fn new(status: StatusCode, code: &'static str, detail: impl Into<String>) -> Problem {
        Problem {
            r#type: "about:blank",
            title: status.canonical_reason().unwrap_or("Problem").to_owned(),
            status: status.as_u16(),
            detail: detail.into(),
            code,
            challenge: None,
        }
    }

    /// Says in `WWW-Authenticate` which token would do.
    #[must_use]
    pub(super) fn challenging(mut self, challenge: impl Into<String>) -> Problem {
        self.challenge = Some(challenge.into());
        self
    }

    /// What is wrong, for programs.
    pub fn code(&self) -> &'static str {
        self.code
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let status = StatusCode::from_u16(self.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let body = serde_json::to_vec(&self).unwrap_or_default();
        let mut response = (status, body).into_response();
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(PROBLEM_TYPE));
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
        if let Some(challenge) = self.challenge.and_then(|challenge| HeaderValue::try_from(challenge).ok()) {
            headers.insert(header::WWW_AUTHENTICATE, challenge);
        }
        response
    }
}
