//! Makes of what somebody decided the next revision of the alert, exactly once.
//!
//! Outcomes come in on a topic of one partition, so one worker at a time writes revisions, and in one order. It knows
//! an alert's newest revision from the [`Desk`], overlaid with what it has written itself and the desk has not read
//! yet. A partition flows only when the desk was read up to the high watermarks that the alerts had when it was taken
//! up: behind the last stable offset a predecessor's revision may wait, and a second one would get its number.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::dead::Undertaker;
use super::desk::{Desk, FetchError, Resolved, Stored};
use super::mark::Mark;
use super::pulse::Pulse;
use super::pump::{Line, LineError};
use super::start::{Start, Stopped};
use crate::books::Removed;
use crate::clock::Clock;
use crate::codec::cloudevents::{self, TRACEPARENT};
use crate::codec::dead::{DeadReason, FIELD_VALUE, Unreadable};
use crate::codec::outcome::decode_outcome;
use crate::codec::wire;
use crate::domain::alert::Alert;
use crate::domain::desk::AlertKey;
use crate::domain::outcome::{Effect, Outcome, Subject};
use crate::domain::position::Record;
use crate::domain::time::Timestamp;
use crate::fault;
use crate::kafka::client::Cluster;
use crate::kafka::feed::Feed;
use crate::kafka::native::Message;
use crate::kafka::producer::{Outgoing, Progress, TransactionalProducer};
use crate::metrics::{BooksMetrics, LoopMetrics};
use crate::stop::exit;

/// One worker that takes decisions in, as a part of the line `books`.
pub struct Decisions {
    /// Its input: outcomes.
    pub topic: String,
    /// Its output.
    pub alerts: String,
    /// What alerts there are.
    pub desk: Arc<Desk>,
    /// The cluster, for the broken variant alone that writes outside the transaction.
    pub cluster: Cluster,
    /// Writes dead letters.
    pub undertaker: Undertaker,
    /// Loop metrics.
    pub loop_metrics: LoopMetrics,
    /// Own metrics.
    pub metrics: BooksMetrics,
    /// Signs of life.
    pub pulse: Pulse,
    /// Tells the time.
    pub clock: Arc<dyn Clock>,
    /// What this worker remembers.
    pub state: DecisionsState,
}

/// What a worker of `books` keeps between records.
#[derive(Debug, Default)]
pub struct DecisionsState {
    /// Partitions that wait for the desk, and since when.
    waiting: HashMap<i32, Instant>,
    marks: HashMap<i32, Mark>,
    /// Revisions in the open transaction.
    pending: HashMap<AlertKey, Stored>,
    /// Revisions that are committed and that the desk may not have read yet.
    unseen: HashMap<AlertKey, Stored>,
    /// Verdict and effect of each outcome in the open transaction, for the metrics.
    counted: Vec<(&'static str, &'static str)>,
    /// The record whose alert is not known, and when it was first looked for.
    unmatched: Option<(i64, Instant)>,
    records: u64,
    newest: Timestamp,
}

impl std::fmt::Debug for Decisions {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Decisions({})", self.topic)
    }
}

impl From<FetchError> for LineError {
    fn from(error: FetchError) -> LineError {
        LineError::Later(error.to_string())
    }
}

impl Decisions {
    /// What an outcome is about, by its newest revision.
    fn find(&self, subject: &Subject) -> Result<Resolved, LineError> {
        let named = match subject {
            Subject::Alert(id) => AlertKey::of_alert(id),
            Subject::Sighting(id) => AlertKey::of_sighting(id),
            Subject::Transaction(_) => None,
        };
        if let Some(own) = named.and_then(|key| self.own(key)) {
            return Ok(Resolved::One(Box::new(own.clone())));
        }
        let found = self.desk.resolve(subject)?;
        if let Resolved::One(stored) = &found
            && let Some(own) = AlertKey::of_alert(&stored.alert.id).and_then(|key| self.own(key))
        {
            return Ok(Resolved::One(Box::new(own.clone())));
        }
        Ok(found)
    }

    fn own(&self, key: AlertKey) -> Option<&Stored> {
        self.state.pending.get(&key).or_else(|| self.state.unseen.get(&key))
    }

    /// No alert is known. It may be on its way here: somebody who reads the topic may be quicker than the desk.
    fn await_alert(&mut self, offset: i64) -> Result<(), LineError> {
        let since = match self.state.unmatched {
            Some((at, since)) if at == offset => since,
            _ => self.clock.instant(),
        };
        self.state.unmatched = Some((offset, since));
        if self.desk.is_confirmed_since(since) {
            return Ok(());
        }
        Err(LineError::Later(format!("the alert of the outcome at offset {offset} is not known yet")))
    }

    fn enter(
        &mut self,
        outcome: &Outcome,
        stored: &Stored,
        out: &mut TransactionalProducer,
    ) -> Result<&'static str, LineError> {
        let mut effect = stored.alert.decided(&outcome.decision);
        if fault::broken("outcome-not-compared") && effect == Effect::Unchanged {
            let mut again = stored.alert.clone();
            again.revision += 1;
            effect = Effect::Closed(Box::new(again));
        }
        let (next, word) = match effect {
            Effect::Unchanged => return Ok("unchanged"),
            Effect::Closed(next) => (next, "closed"),
            Effect::Reopened(next) => (next, "reopened"),
        };
        self.write(&next, stored, out)?;
        if let Some(key) = AlertKey::of_alert(&next.id) {
            let revised = Stored { alert: *next, ..stored.clone() };
            self.state.pending.insert(key, revised);
        }
        Ok(word)
    }

    fn write(&self, next: &Alert, stored: &Stored, out: &mut TransactionalProducer) -> Result<(), LineError> {
        let value = wire::encode_alert(next)
            .map_err(|error| Stopped::new(exit::INTERNAL, format!("alert {}: {error}", next.id)))?;
        let traceparent = stored.headers.iter().find(|(name, _)| name == TRACEPARENT);
        let traceparent = traceparent
            .and_then(|(_, header)| std::str::from_utf8(header).ok())
            .filter(|text| cloudevents::is_traceparent(text));
        let headers = cloudevents::of_alert(next, traceparent);
        let headers: Vec<_> = headers.into_iter().map(|(name, value)| (name, Some(value))).collect();
        let key = next.card.fingerprint.to_string();
        let record = Outgoing {
            topic: &self.alerts,
            partition: Some(stored.partition),
            key: Some(key.as_bytes()),
            value: Some(&value),
            headers: &headers,
        };
        if fault::broken("revision-outside-transaction") {
            let fault = |error: &dyn std::fmt::Display| Stopped::new(exit::INTERNAL, error.to_string());
            let mut feed =
                Feed::new(&self.cluster, Arc::clone(&self.clock)).map_err(|error| fault(&error))?;
            feed.send(record)?;
            return feed.finish(Duration::from_secs(10)).map_err(|error| fault(&error).into());
        }
        Ok(out.send(record)?)
    }

    /// An outcome that nobody can act on. The letter keeps nothing of it.
    fn bury(
        &mut self,
        message: &Message<'_>,
        reason: DeadReason,
        out: &mut TransactionalProducer,
    ) -> Result<(), LineError> {
        let record = Record {
            value: message.value(),
            key: message.key(),
            topic: &self.topic,
            partition: message.partition(),
            offset: message.offset(),
            timestamp: message.timestamp(),
        };
        let unreadable = Unreadable { reason, field: FIELD_VALUE };
        self.undertaker.bury(&record, &[], unreadable, self.clock.now(), out)
    }
}

impl Line for Decisions {
    const NAME: &'static str = "books";

    fn hold(&mut self, start: &Start) -> Result<(), Stopped> {
        self.state.waiting.insert(start.partition, self.clock.instant());
        self.state.marks.insert(start.partition, start.mark.clone());
        Ok(())
    }

    fn ready(&mut self, partition: i32) -> Result<bool, Stopped> {
        let Some(since) = self.state.waiting.get(&partition) else { return Ok(true) };
        let ready = self.desk.is_confirmed_since(*since) || fault::broken("alerts-not-awaited");
        if ready {
            self.state.waiting.remove(&partition);
        }
        Ok(ready)
    }

    fn release(&mut self, partition: i32) {
        self.state.waiting.remove(&partition);
        self.state.marks.remove(&partition);
        // Whoever has the partition now writes further revisions.
        self.state.unseen.clear();
        self.state.unmatched = None;
        self.loop_metrics.forget(&self.topic, partition);
    }

    fn begin_batch(&mut self) {
        let desk = &self.desk;
        self.state
            .unseen
            .retain(|key, own| desk.summary(*key).is_none_or(|seen| seen.revision < own.alert.revision));
    }

    fn process(&mut self, message: &Message<'_>, out: &mut TransactionalProducer) -> Result<(), LineError> {
        let outcome = message.value().map(|value| decode_outcome(value, message.timestamp()));
        match outcome {
            // Ours, and no decision: what stays of those that were removed.
            Some(_) if Removed::is_key(message.key().unwrap_or_default()) => {}
            // It takes the record away, not what was decided; `unknown` opens an alert again.
            None => self.state.counted.push(("none", "tombstone")),
            Some(Err(_)) => self.bury(message, DeadReason::NotAnOutcome, out)?,
            Some(Ok(outcome)) => {
                let effect = match self.find(&outcome.subject)? {
                    Resolved::One(stored) => self.enter(&outcome, &stored, out)?,
                    Resolved::Several(_) => {
                        self.bury(message, DeadReason::OutcomeAmbiguous, out)?;
                        "ambiguous"
                    }
                    Resolved::Nothing => {
                        self.await_alert(message.offset())?;
                        "unmatched"
                    }
                };
                self.state.counted.push((outcome.decision.verdict.as_str(), effect));
            }
        }
        self.state.records += 1;
        self.state.newest = message.timestamp();
        Ok(())
    }

    fn metadata(&self, partition: i32) -> String {
        let taken_up = self.state.marks.get(&partition).cloned().unwrap_or_default();
        Mark { frontier: None, ..taken_up }.to_string()
    }

    fn close_batch(&mut self, _: &[Progress], _: &mut TransactionalProducer) -> Result<(), LineError> {
        Ok(())
    }

    fn merge(&mut self, took: Duration) -> Timestamp {
        self.loop_metrics.committed(took);
        self.loop_metrics.worked_off(std::mem::take(&mut self.state.records), self.state.newest);
        for (verdict, effect) in self.state.counted.drain(..) {
            self.metrics.outcome(verdict, effect);
        }
        self.state.unseen.extend(self.state.pending.drain());
        self.undertaker.merge();
        self.state.newest
    }

    fn discard(&mut self) {
        self.state.pending.clear();
        self.state.counted.clear();
        self.state.records = 0;
        self.loop_metrics.aborted();
        self.undertaker.discard();
    }

    fn beat(&mut self, owned: usize, held: usize) {
        self.pulse.beat(owned, held);
    }
}
