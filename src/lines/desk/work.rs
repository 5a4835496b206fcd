//! Writing down what somebody decided.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use serde_json::json;

use super::{Desk, FetchError, Resolved};
use crate::clock::Clock;
use crate::codec::outcome::encode_outcome;
use crate::domain::audit::Act;
use crate::domain::desk::Summary;
use crate::domain::outcome::{About, Decision, Outcome, Subject, Verdict};
use crate::kafka::client::Cluster;
use crate::kafka::feed::Feed;
use crate::kafka::producer::Outgoing;
use crate::lines::audit::{Audit, Deed};
use crate::lines::start::Stopped;
use crate::stop::{Stop, exit};

/// How long an outcome may take to be on the cluster.
const WRITE_WITHIN: Duration = Duration::from_secs(10);
/// How long an alert that is not known may take to be seen.
const SEEN_WITHIN: Duration = Duration::from_secs(3);
/// How often it is looked for.
const LOOK_EVERY: Duration = Duration::from_millis(20);

/// Writes outcomes; shared by threads, one at a time.
#[derive(Debug)]
pub struct Writer {
    feed: Mutex<Feed>,
    topic: String,
}

/// Why a decision was not written down.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum OutcomeError {
    /// There is no such alert.
    #[error("there is no such alert here: it may have expired, or never was")]
    NoSuchAlert,
    /// Several alerts have this transaction id.
    #[error("{} alerts have this transaction id; name one of them", .0.len())]
    Ambiguous(Vec<Summary>),
    /// The alert could not be looked at just now.
    #[error(transparent)]
    Fetch(#[from] FetchError),
    /// What was decided could not be written into the audit log, so it was not done.
    #[error("{0}")]
    Unaudited(Stopped),
    /// The cluster did not take it.
    #[error("the outcome could not be written: {0}")]
    Unwritten(String),
}

/// A decision that is on its topic.
#[derive(Debug, Clone, PartialEq)]
pub struct Decided {
    /// What was written.
    pub outcome: Outcome,
    /// The alert as it was when it was decided; `None` for a sighting without one.
    pub alert: Option<Summary>,
}

impl Writer {
    /// A writer for the topic of outcomes.
    ///
    /// # Errors
    /// When the client refuses its configuration.
    pub fn new(cluster: &Cluster, topic: &str, clock: Arc<dyn Clock>) -> Result<Writer, Stopped> {
        let feed = Feed::new(cluster, clock).map_err(|error| {
            Stopped::new(exit::CONFIG, format!("the Kafka client refuses its settings: {error}"))
        })?;
        Ok(Writer { feed: Mutex::new(feed), topic: topic.to_owned() })
    }

    fn write(&self, outcome: &Outcome) -> Result<(), Stopped> {
        let unwritten = |error: &dyn std::fmt::Display| Stopped::new(exit::UNAVAILABLE, error.to_string());
        let value = encode_outcome(outcome).map_err(|error| unwritten(&error))?;
        let record = Outgoing {
            topic: &self.topic,
            partition: None,
            key: Some(outcome.subject.id().as_bytes()),
            value: Some(&value),
            headers: &[("content-type".to_owned(), Some(b"application/json".to_vec()))],
        };
        let mut feed = self.feed.lock().unwrap_or_else(PoisonError::into_inner);
        feed.send(record).map_err(|error| unwritten(&error))?;
        feed.finish(WRITE_WITHIN).map_err(|error| unwritten(&error))
    }
}

impl Desk {
    /// Writes a decision down, under the alert it is about. The same decision may be written twice: it changes the
    /// alert once. A sighting without an alert is taken as it is.
    ///
    /// # Errors
    /// [`OutcomeError`]; nothing was written then, or in the case of [`OutcomeError::Unwritten`] it may have been.
    pub fn decide(
        &self,
        writer: &Writer,
        audit: &Audit,
        subject: Subject,
        decision: Decision,
    ) -> Result<Decided, OutcomeError> {
        let (outcome, alert) = match (self.resolve(&subject)?, subject) {
            (Resolved::One(stored), _) => {
                let subject = Subject::Alert(stored.alert.id.clone());
                let outcome = Outcome { subject, decision, about: Some(About::of(&stored.alert)) };
                (outcome, Summary::of(&stored.alert))
            }
            (Resolved::Several(alerts), _) => return Err(OutcomeError::Ambiguous(alerts)),
            (Resolved::Nothing, subject @ Subject::Sighting(_)) => {
                (Outcome { subject, decision, about: None }, None)
            }
            (Resolved::Nothing, _) => return Err(OutcomeError::NoSuchAlert),
        };
        let verdict = |verdict: Option<Verdict>| json!({ "verdict": verdict });
        let before = alert.as_ref().and_then(|alert| alert.verdict);
        let kind = if alert.is_some() { "alert" } else { "sighting" };
        let deed = Deed::new(Act::Outcome, format!("{kind}/{}", outcome.subject.id()))
            .before(verdict(before))
            .after(verdict(Some(outcome.decision.verdict)));
        let begun = audit.begin(deed).map_err(OutcomeError::Unaudited)?;
        let written = writer.write(&outcome);
        begun.end_with(written).map_err(|stopped| OutcomeError::Unwritten(stopped.message))?;
        Ok(Decided { outcome, alert })
    }

    /// Waits until `subject` is known, or surely not: an alert that somebody has in hand may be newer than what was
    /// read so far.
    pub fn await_subject(&self, subject: &Subject) {
        let started = self.clock.instant();
        while self.index().candidates(subject).is_empty()
            && !self.is_confirmed_since(started)
            && self.clock.instant() - started < SEEN_WITHIN
        {
            Stop::new().wait(LOOK_EVERY);
        }
    }
}
