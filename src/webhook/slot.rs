//! A slot: one kept connection to a target, and the exchanges on it.
//!
//! The rules of an exchange:
//!
//! - One deadline stands over all of it. When it passes the connection is closed, and the request may have arrived.
//! - The answer is there when its head is: from then on nothing turns a 2xx into a failure. The body is read and
//!   forgotten so that the connection can be used again, for at most a second and the target's cap; a body that
//!   takes longer or is larger costs its connection and nothing else.
//! - Nothing of the answer is kept but its status and `Retry-After`. Redirects are answers like others.
//! - A kept connection that the receiver had closed before the request was written is replaced by a fresh one.
//!   From the first byte written on, a broken connection is a failure: the schedule tries again, under the same id.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use http_body_util::{BodyExt as _, Full};
use hyper::body::{Body as _, Incoming};
use hyper::header::{HeaderValue, RETRY_AFTER, USER_AGENT};
use hyper::{Method, Response, StatusCode, header};
use tokio::time::{Instant, timeout_at};

use super::connect::{Connection, Stage, Trouble, Unanswered, connect};
use super::post::{Post, Posting, Request};
use super::resolve::Resolve;
use super::target::Target;
use crate::domain::delivery::{Answer, Failure};

/// A connection is used this long: then the name is looked up again, so that changes of DNS are followed.
const LONGEST_USE: Duration = Duration::from_mins(5);
/// How long the rest of an answer is waited for.
const DRAIN: Duration = Duration::from_secs(1);
/// What is kept of `Retry-After`.
const RETRY_AFTER_CHARACTERS: usize = 64;
/// What is kept of the words about a failure: a certificate may hold any number of names.
const DETAIL_CHARACTERS: usize = 200;

const AGENT: HeaderValue = HeaderValue::from_static(concat!("cardwatch/", env!("CARGO_PKG_VERSION")));

/// One kept connection to a target. As many slots as a target has, as many exchanges go on at once.
pub struct Slot {
    target: Arc<Target>,
    resolve: Arc<dyn Resolve>,
    kept: Option<Connection>,
    detail: Option<String>,
}

impl Slot {
    /// A slot without a connection: the first post makes one.
    pub fn new(target: Arc<Target>, resolve: Arc<dyn Resolve>) -> Slot {
        Slot { target, resolve, kept: None, detail: None }
    }

    /// Posts `request`, and tells what was answered whatever the status. Needs a tokio runtime with time and I/O.
    ///
    /// # Errors
    /// Why there is no answer: never [`Failure::Status`].
    pub async fn post(&mut self, request: Request) -> Result<Answer, Failure> {
        let deadline = Instant::now() + self.target.timeout;
        let mut stage = Stage::Answer;
        let kept = self.kept.take();
        let exchange = exchange(&self.target, &*self.resolve, kept, request, deadline, &mut stage);
        let done = timeout_at(deadline, exchange).await;
        let (connection, response) = match done {
            Ok(Ok(done)) => done,
            Ok(Err(trouble)) => return Err(self.note(trouble)),
            Err(_) => {
                let waited = format!("{} ms passed while {}", self.target.timeout.as_millis(), stage.text());
                return Err(self.note(Trouble::new(Failure::Timeout, waited)));
            }
        };
        self.detail = None;
        let answer = answer(&response);
        let until = deadline.min(Instant::now() + DRAIN);
        let drained = timeout_at(until, is_drained(response, self.target.max_response_bytes)).await;
        self.kept = Some(connection).filter(|_| drained == Ok(true));
        Ok(answer)
    }

    fn note(&mut self, trouble: Trouble) -> Failure {
        let words = trouble.detail.chars().filter(|character| !character.is_control());
        self.detail = Some(words.take(DETAIL_CHARACTERS).collect());
        trouble.failure
    }
}

impl Post for Slot {
    fn post(&mut self, request: Request) -> Posting<'_> {
        Box::pin(Slot::post(self, request))
    }

    fn detail(&self) -> Option<&str> {
        self.detail.as_deref()
    }
}

impl fmt::Debug for Slot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Slot({}, connected: {})", self.target, self.kept.is_some())
    }
}

async fn exchange(
    target: &Target,
    resolve: &dyn Resolve,
    kept: Option<Connection>,
    request: Request,
    deadline: Instant,
    stage: &mut Stage,
) -> Result<(Connection, Response<Incoming>), Trouble> {
    let mut request = message(target, request);
    if let Some(mut connection) = kept.filter(|kept| kept.is_usable(LONGEST_USE)) {
        match connection.send(request).await {
            Ok(response) => return Ok((connection, response)),
            Err(Unanswered::Unsent(again)) => request = *again,
            Err(Unanswered::Lost(trouble)) => return Err(trouble),
        }
    }
    let mut connection = connect(target, resolve, deadline, stage).await?;
    *stage = Stage::Answer;
    match connection.send(request).await {
        Ok(response) => Ok((connection, response)),
        Err(Unanswered::Unsent(_)) => {
            Err(Trouble::new(Failure::Protocol, "the connection was closed as soon as it was made"))
        }
        Err(Unanswered::Lost(trouble)) => Err(trouble),
    }
}

fn message(target: &Target, request: Request) -> hyper::Request<Full<super::post::Bytes>> {
    let mut message = hyper::Request::new(Full::new(request.body));
    *message.method_mut() = Method::POST;
    *message.uri_mut() = target.line.uri.clone();
    let headers = message.headers_mut();
    *headers = request.headers;
    headers.insert(header::HOST, target.line.host.clone());
    headers.insert(USER_AGENT, AGENT);
    // Over https the proxy was asked when the tunnel was made, and the receiver must not learn the password.
    if let (Some(proxy), None) = (&target.proxy, &target.tls)
        && let Some(authorization) = &proxy.authorization
    {
        headers.insert(header::PROXY_AUTHORIZATION, authorization.clone());
    }
    message
}

fn answer(response: &Response<Incoming>) -> Answer {
    let retry_after = response.headers().get(RETRY_AFTER).and_then(|value| value.to_str().ok());
    Answer {
        status: response.status().as_u16(),
        retry_after: retry_after.map(|text| text.chars().take(RETRY_AFTER_CHARACTERS).collect()),
    }
}

/// Reads the rest of an answer and forgets it; whether the connection is free for another request.
async fn is_drained(response: Response<Incoming>, cap: u64) -> bool {
    if response.status() == StatusCode::SWITCHING_PROTOCOLS {
        return false;
    }
    let mut body = response.into_body();
    // What says that it is too large need not be begun.
    if body.size_hint().lower() > cap {
        return false;
    }
    let mut seen: u64 = 0;
    while let Some(frame) = body.frame().await {
        let Ok(frame) = frame else { return false };
        seen += frame.data_ref().map_or(0, |data| data.len() as u64);
        if seen > cap {
            return false;
        }
    }
    true
}
