//! Couriers: for each endpoint a queue of its own and a few that carry, each over a connection of its own.
//!
//! Nothing here knows of Kafka, nothing waits for anybody else: an endpoint that hangs holds its own couriers and no
//! others, and its queue is bounded by what the line hands out.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::mpsc::Sender;
use std::time::Duration;

use tokio::runtime::Runtime;
use tokio::sync::Mutex;
use tokio::sync::mpsc::{Receiver, Sender as Queue, channel};

use super::endpoint::{Endpoint, Endpoints};
use super::sheets::{Sheet, Tenure};
use crate::clock::Clock;
use crate::codec::wire;
use crate::domain::alert::Alert;
use crate::domain::delivery::{DeliveryId, EndpointName, Failure};
use crate::domain::time::Timestamp;
use crate::fault;
use crate::notice::body::{Context, Heartbeat, Message, Told};
use crate::notice::schedule::retry_after;
use crate::webhook::post::{Bytes, Post, Request};

/// A delivery to be tried.
#[derive(Debug)]
pub struct Job {
    /// For which partition, held since when.
    pub tenure: Tenure,
    /// Its id.
    pub id: DeliveryId,
    /// The number of this attempt, from 1.
    pub attempt: u32,
    /// Whether it is made before its turn.
    pub early: bool,
    /// What it tells.
    pub news: News,
    /// Who wants to know.
    pub answer: Sender<Settled>,
}

/// What a job tells.
#[derive(Debug)]
pub enum News {
    /// Alerts, by offset; never empty.
    Alerts(Vec<Arc<Sheet>>),
    /// That cardwatch lives.
    Heartbeat(Box<Heartbeat>),
}

impl News {
    /// Since when the newest alert in it is raised.
    fn raised_at(&self) -> Option<Timestamp> {
        match self {
            News::Alerts(sheets) => sheets.last().map(|sheet| sheet.alert.raised_at),
            News::Heartbeat(_) => None,
        }
    }
}

/// What came of a delivery that was handed out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settled {
    /// As in the job.
    pub tenure: Tenure,
    /// To whom.
    pub endpoint: EndpointName,
    /// As in the job.
    pub id: DeliveryId,
    /// As in the job.
    pub early: bool,
    /// When it ended.
    pub at: Timestamp,
    /// Since when the newest alert in it is raised; `None` of a heartbeat, which tells none.
    pub raised_at: Option<Timestamp>,
    /// What it came to.
    pub end: End,
}

/// What a delivery that was handed out came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    /// The endpoint took it.
    Taken,
    /// The attempt failed.
    Missed(Missed),
    /// It was not tried: nothing of it is left on the alerts' topic.
    Expired,
}

/// How an attempt failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Missed {
    /// Why.
    pub failure: Failure,
    /// When the endpoint wants to be asked again.
    pub retry_after: Option<Timestamp>,
}

/// Makes what posts to an endpoint.
pub type Posts = dyn Fn(&Endpoint) -> Box<dyn Post> + Send + Sync;

/// Takes jobs for every endpoint.
#[derive(Debug)]
pub struct Couriers {
    queues: HashMap<EndpointName, Queue<Job>>,
}

impl Couriers {
    /// Puts couriers to work for every endpoint. Jobs wait in a queue of `window` for each courier.
    pub fn start(
        runtime: &Runtime,
        endpoints: &Endpoints,
        window: usize,
        posts: &Posts,
        clock: &Arc<dyn Clock>,
    ) -> Couriers {
        let mut queues = HashMap::new();
        let of_all = fault::broken("pace-of-all-endpoints").then(|| Arc::new(Pace::new(100)));
        for endpoint in &endpoints.0 {
            let (sender, receiver) = channel(endpoint.concurrency.max(1) * window.max(1));
            queues.insert(endpoint.name.clone(), sender);
            let shared = Arc::new(Mutex::new(receiver));
            let pace = of_all.clone().unwrap_or_else(|| Arc::new(Pace::new(endpoint.rate)));
            for _ in 0..endpoint.concurrency.max(1) {
                let courier = Courier {
                    endpoint: Arc::clone(endpoint),
                    queue: Arc::clone(&shared),
                    pace: Arc::clone(&pace),
                    post: posts(endpoint),
                    clock: Arc::clone(clock),
                };
                runtime.spawn(courier.run());
            }
        }
        Couriers { queues }
    }

    /// Hands a job over. False where nobody works for this endpoint, or its queue is full.
    pub fn send(&self, endpoint: &EndpointName, job: Job) -> bool {
        self.queues.get(endpoint).is_some_and(|queue| queue.try_send(job).is_ok())
    }
}

/// How late a request may be without those behind it being later too. A timer is late by a millisecond or two, and an
/// endpoint that takes thousands a second would lose half of them to that.
const CATCH_UP: Duration = Duration::from_millis(10);

/// Spreads requests evenly over time: in any stretch so many as its rate allows, and those of [`CATCH_UP`] beside.
#[derive(Debug)]
struct Pace {
    every: Duration,
    next: Mutex<Option<tokio::time::Instant>>,
}

impl Pace {
    fn new(rate: u32) -> Pace {
        Pace { every: Duration::from_secs(1) / rate.max(1), next: Mutex::new(None) }
    }

    async fn turn(&self) {
        let (at, now) = {
            let mut next = self.next.lock().await;
            let now = tokio::time::Instant::now();
            let earliest = now.checked_sub(CATCH_UP).unwrap_or(now);
            let at = next.map_or(now, |next| next.max(earliest));
            *next = Some(at + self.every);
            (at, now)
        };
        // A timer rounds up to a millisecond, also one that is due.
        if at > now {
            tokio::time::sleep_until(at).await;
        }
    }
}

struct Courier {
    endpoint: Arc<Endpoint>,
    queue: Arc<Mutex<Receiver<Job>>>,
    pace: Arc<Pace>,
    post: Box<dyn Post>,
    clock: Arc<dyn Clock>,
}

impl Courier {
    async fn run(mut self) {
        loop {
            let next = self.queue.lock().await.recv().await;
            let Some(job) = next else { return };
            self.pace.turn().await;
            let end = self.carry(&job).await.map_or(End::Taken, End::Missed);
            let settled = Settled {
                tenure: job.tenure,
                endpoint: self.endpoint.name.clone(),
                id: job.id,
                early: job.early,
                at: self.clock.now(),
                raised_at: job.news.raised_at(),
                end,
            };
            // The worker may be gone: then whoever has the partition now tries again.
            let _ = job.answer.send(settled);
        }
    }

    async fn carry(&mut self, job: &Job) -> Option<Missed> {
        let request = match request(&self.endpoint, job, self.clock.now()) {
            Ok(request) => request,
            Err(reason) => {
                tracing::error!(endpoint = %self.endpoint.name, delivery = %job.id, reason, "no body could be made");
                return Some(Missed { failure: Failure::Body, retry_after: None });
            }
        };
        match self.post.post(request).await {
            Ok(answer) if (200..300).contains(&answer.status) => None,
            Ok(answer) => {
                let now = self.clock.now();
                let asked = answer.retry_after.as_deref();
                let retry_after = asked.and_then(|text| retry_after(text, now, self.endpoint.retry_after));
                Some(Missed { failure: Failure::Status(answer.status), retry_after })
            }
            Err(failure) => Some(Missed { failure, retry_after: None }),
        }
    }
}

/// The request that a job is made of, signed at `now`.
fn request(endpoint: &Endpoint, job: &Job, now: Timestamp) -> Result<Request, String> {
    let sheets = match &job.news {
        News::Alerts(sheets) => sheets,
        News::Heartbeat(heartbeat) => {
            return make(endpoint, Message::Heartbeat(heartbeat), job.id.as_str(), job.attempt, None, now);
        }
    };
    let told: Vec<Told<'_>> =
        sheets.iter().map(|sheet| Told { alert: &sheet.alert, json: &sheet.json }).collect();
    let message = match (endpoint.batch, told.as_slice()) {
        (None, [one]) => Message::One(*one),
        (_, all) => Message::Batch(all),
    };
    make(endpoint, message, job.id.as_str(), job.attempt, job.news.raised_at(), now)
}

/// A request to an endpoint: body, signature and headers.
fn make(
    endpoint: &Endpoint,
    message: Message<'_>,
    id: &str,
    attempt: u32,
    raised: Option<Timestamp>,
    now: Timestamp,
) -> Result<Request, String> {
    let context = Context { endpoint: &endpoint.name, show: endpoint.show, link: endpoint.link.as_ref() };
    let body = endpoint.shape.render(message, &context).map_err(|error| error.to_string())?;
    let mut headers = sign(endpoint, id, &body.bytes, now);
    headers.push(("cardwatch-attempt".to_owned(), attempt.to_string()));
    headers.extend(raised.map(|raised| ("cardwatch-raised-at".to_owned(), raised.to_string())));
    for (name, value) in &endpoint.headers {
        let value = std::str::from_utf8(value.expose()).map_err(|_| "a header is not text".to_owned())?;
        headers.push((name.clone(), value.to_owned()));
    }
    Request::new(&body.content_type, headers, Bytes::from(body.bytes)).map_err(|error| error.to_string())
}

/// What one attempt outside the ledger came to.
#[derive(Debug)]
pub struct Tried {
    /// The id it went under.
    pub id: String,
    /// The status of the answer, or why there was none.
    pub outcome: Result<u16, Failure>,
    /// What else is known of a failure.
    pub detail: Option<String>,
}

/// Tells an endpoint of one alert, once, beside the ledger: for somebody who tries the connection.
///
/// # Errors
/// When no body can be made of the alert.
pub async fn try_once(
    endpoint: &Endpoint,
    post: &mut dyn Post,
    alert: &Alert,
    clock: &dyn Clock,
) -> Result<Tried, String> {
    let json = wire::encode_alert(alert).map_err(|error| error.to_string())?;
    let told = [Told { alert, json: &json }];
    let message = match endpoint.batch {
        None => Message::One(told[0]),
        Some(_) => Message::Batch(&told),
    };
    let id = DeliveryId::of_alert(alert).to_string();
    let request = make(endpoint, message, &id, 1, Some(alert.raised_at), clock.now())?;
    let outcome = post.post(request).await.map(|answer| answer.status);
    let detail = post.detail().map(str::to_owned);
    Ok(Tried { id, outcome, detail })
}

/// The headers of Standard Webhooks for a body, signed at `now`.
pub fn sign(endpoint: &Endpoint, id: &str, body: &[u8], now: Timestamp) -> Vec<(String, String)> {
    let at = now.millis().div_euclid(1_000);
    let mut headers =
        vec![("webhook-id".to_owned(), id.to_owned()), ("webhook-timestamp".to_owned(), at.to_string())];
    if let Some(signer) = &**endpoint.signer.load() {
        headers.push(("webhook-signature".to_owned(), signer.header(id, at, body, now)));
    }
    headers
}
