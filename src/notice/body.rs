//! What a request says: the shapes of bodies.
//!
//! `alert` and `cloudevents` carry the alert as its topic has it, byte for byte. Chat shapes (`slack`, `alertmanager`,
//! `template`) are read where more people look: by default they carry severity, state, incidents, the alert's id, the
//! names of the rules and a link; [`Show`] adds to that. No shape for chats ever carries the card's fingerprint.
//!
//! Standard Webhooks advises bodies under 20 kB. One alert stays far below; a batch may not, and nothing is ever
//! left out for size: `alert` and `cloudevents` go as they are, chats name every alert, those after the first in a line each.

use serde::Serialize;
use serde_json::value::RawValue;

use crate::codec::cloudevents;
use crate::domain::alert::Alert;
use crate::domain::delivery::EndpointName;
use crate::domain::time::Timestamp;

mod alertmanager;
mod link;
mod slack;
mod template;
mod view;

pub use link::{Link, LinkError};
pub use template::{Template, TemplateError};
pub use view::Show;

/// The name and version of a batch of alerts.
pub const ALERTS_SCHEMA: &str = "cardwatch.alerts/1";
/// The name and version of a heartbeat.
pub const HEARTBEAT_SCHEMA: &str = "cardwatch.heartbeat/1";
/// The JSON Schema (draft 2020-12) of a batch of alerts.
pub const ALERTS_SCHEMA_JSON: &str = include_str!("../../config/schema/alerts-1.json");
/// The JSON Schema (draft 2020-12) of a heartbeat.
pub const HEARTBEAT_SCHEMA_JSON: &str = include_str!("../../config/schema/heartbeat-1.json");
/// The most alerts of a batch: more would not fit into one message of Slack.
pub const BATCH_ALERTS_MAX: usize = 500;

const JSON: &str = "application/json";

/// The form of the bodies that an endpoint gets.
#[derive(Debug)]
pub enum Shape {
    /// The alert itself; a batch is `{"schema": "cardwatch.alerts/1", "alerts": […]}`.
    Alert,
    /// CloudEvents 1.0, structured; a batch is their JSON batch format.
    CloudEvents,
    /// A message of Slack (Block Kit).
    Slack,
    /// What Alertmanager sends to webhooks, version 4.
    Alertmanager,
    /// A template of the user's own.
    Template(Box<Template>),
}

/// What the bodies of one endpoint have in common.
#[derive(Debug, Clone, Copy)]
pub struct Context<'a> {
    /// The endpoint.
    pub endpoint: &'a EndpointName,
    /// What chat shapes carry beyond the default.
    pub show: Show,
    /// Where chat shapes lead to.
    pub link: Option<&'a Link>,
}

/// An alert to tell.
#[derive(Debug, Clone, Copy)]
pub struct Told<'a> {
    /// The alert.
    pub alert: &'a Alert,
    /// The bytes of its record.
    pub json: &'a [u8],
}

/// What one request tells.
#[derive(Debug, Clone, Copy)]
pub enum Message<'a> {
    /// One alert, to an endpoint without batches.
    One(Told<'a>),
    /// A batch, also of one: an endpoint that asks for batches gets nothing else. At most [`BATCH_ALERTS_MAX`].
    Batch(&'a [Told<'a>]),
    /// A sign of life.
    Heartbeat(&'a Heartbeat),
}

/// A body and its `content-type`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Body {
    /// The media type.
    pub content_type: String,
    /// The bytes.
    pub bytes: Vec<u8>,
}

/// Why a body cannot be made.
#[derive(Debug, thiserror::Error)]
pub enum RenderError {
    /// The bytes of an alert are not JSON.
    #[error("the record of the alert is not JSON")]
    Record,
    /// The template fails for this alert.
    #[error(transparent)]
    Template(#[from] TemplateError),
    /// A template is of alerts.
    #[error("a template has no words for a heartbeat")]
    Heartbeat,
}

/// A sign of life: silence differs from death. Counts are over all processes, since the last heartbeat that was taken.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Heartbeat {
    /// The endpoint that is told.
    pub endpoint: EndpointName,
    /// When.
    pub at: Timestamp,
    /// The timestamp of the newest transaction's record; `None` before the first.
    pub newest_transaction: Option<Timestamp>,
    /// Transactions looked at.
    pub transactions: u64,
    /// Sightings among them.
    pub sightings: u64,
    /// Alerts raised.
    pub alerts: u64,
    /// Alerts owed to the endpoint now, at most.
    pub owed: u64,
}

impl Shape {
    /// The names of the shapes, as configuration writes them.
    pub const NAMES: [&'static str; 5] = ["alert", "cloudevents", "slack", "alertmanager", "template"];

    /// The name of this shape, one of [`Shape::NAMES`].
    pub fn name(&self) -> &'static str {
        match self {
            Shape::Alert => "alert",
            Shape::CloudEvents => "cloudevents",
            Shape::Slack => "slack",
            Shape::Alertmanager => "alertmanager",
            Shape::Template(_) => "template",
        }
    }

    /// Whether the shape is for chats: carries little, and what [`Show`] adds.
    pub fn is_chat(&self) -> bool {
        !matches!(self, Shape::Alert | Shape::CloudEvents)
    }

    /// Whether the shape has a form for a heartbeat. A template has none.
    pub fn takes_heartbeats(&self) -> bool {
        !matches!(self, Shape::Template(_))
    }

    /// The body of a request: a function of what it tells, so that every attempt has the same.
    ///
    /// # Errors
    /// [`RenderError`]; of the shapes other than `template` only for what is no record of ours.
    pub fn render(&self, message: Message<'_>, context: &Context<'_>) -> Result<Body, RenderError> {
        let (told, is_batch) = match &message {
            Message::One(told) => (std::slice::from_ref(told), false),
            Message::Batch(told) => (*told, true),
            Message::Heartbeat(heartbeat) => return self.heartbeat(heartbeat, context),
        };
        match self {
            Shape::Alert if is_batch => json(JSON, &Batch { schema: ALERTS_SCHEMA, alerts: raw(told)? }),
            Shape::Alert => {
                let bytes = told.first().map(|told| told.json.to_vec()).unwrap_or_default();
                Ok(Body { content_type: JSON.to_owned(), bytes })
            }
            Shape::CloudEvents => {
                let raw = raw(told)?;
                let events =
                    told.iter().zip(raw).map(|(told, json)| cloudevents::structured(told.alert, json));
                let events: Vec<_> = events.collect();
                match events.as_slice() {
                    [event] if !is_batch => json(cloudevents::STRUCTURED, event),
                    events => json(cloudevents::BATCH, events),
                }
            }
            Shape::Slack => json(JSON, &slack::message(told, context)),
            Shape::Alertmanager => json(JSON, &alertmanager::message(told, is_batch, context)),
            Shape::Template(template) => Ok(template.render(told, context)?),
        }
    }

    fn heartbeat(&self, heartbeat: &Heartbeat, context: &Context<'_>) -> Result<Body, RenderError> {
        let form = HeartbeatForm { schema: HEARTBEAT_SCHEMA, heartbeat };
        match self {
            Shape::Alert => json(JSON, &form),
            Shape::CloudEvents => {
                json(cloudevents::STRUCTURED, &cloudevents::heartbeat(HEARTBEAT_SCHEMA, heartbeat.at, &form))
            }
            Shape::Slack => json(JSON, &slack::heartbeat(heartbeat)),
            Shape::Alertmanager => json(JSON, &alertmanager::heartbeat(heartbeat, context)),
            Shape::Template(_) => Err(RenderError::Heartbeat),
        }
    }
}

#[derive(Serialize)]
struct Batch<'a> {
    schema: &'static str,
    alerts: Vec<&'a RawValue>,
}

#[derive(Serialize)]
struct HeartbeatForm<'a> {
    schema: &'static str,
    #[serde(flatten)]
    heartbeat: &'a Heartbeat,
}

fn raw<'a>(told: &[Told<'a>]) -> Result<Vec<&'a RawValue>, RenderError> {
    told.iter().map(|told| serde_json::from_slice(told.json).map_err(|_| RenderError::Record)).collect()
}

fn json(content_type: &str, value: &(impl Serialize + ?Sized)) -> Result<Body, RenderError> {
    let bytes = serde_json::to_vec(value).map_err(|_| RenderError::Record)?;
    Ok(Body { content_type: content_type.to_owned(), bytes })
}

#[cfg(test)]
mod tests;
