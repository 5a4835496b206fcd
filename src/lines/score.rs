//! Judges sightings with each card's history and writes alerts, histories and a checkpoint, exactly once.
//!
//! Judging sees the committed history overlaid with this transaction's own pending changes. A commit merges
//! the overlay, an abort drops it: the same sightings in any batching, with any aborts, give the same alerts
//! and histories.

mod cards;
mod memory;
mod tend;

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::Receiver;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use super::dead::Undertaker;
use super::mark::Mark;
use super::patience::{NO_RESTORE, come};
use super::pulse::Pulse;
use super::pump::{Line, LineError};
use super::restore::{Checkpoint, Restorer};
use super::start::{Start, Stopped};
use super::tally::Tallies;
use crate::clock::Clock;
use crate::codec::cloudevents::{self, TRACEPARENT};
use crate::codec::dead::{DeadReason, FIELD_VALUE, Unreadable};
use crate::codec::wire;
use crate::domain::alert::Alert;
use crate::domain::position::Record;
use crate::domain::sighting::Sighting;
use crate::domain::time::Timestamp;
use crate::judge::{Judge, Judgement};
use crate::kafka::native::Message;
use crate::kafka::producer::{Outgoing, Progress, TransactionalProducer};
use crate::metrics::{LoopMetrics, ScoreMetrics};
use crate::stop::exit;

use cards::{Cards, State, Zones};

pub use memory::{Known, Memory, NAMES_PREFIX, Names};
pub use tend::{Forgetting, Tender, is_forgotten};

/// The judge in force; SIGHUP replaces it.
pub type SharedJudge = Arc<Mutex<Arc<Judge>>>;

/// Topics that `score` writes.
#[derive(Debug, Clone)]
pub struct ScoreTopics {
    /// Its input.
    pub sightings: String,
    /// Alerts.
    pub alerts: String,
    /// Histories and checkpoints.
    pub card_history: String,
}

/// One worker's `score`.
pub struct Score {
    /// The judge in force.
    pub judge: SharedJudge,
    /// Topics.
    pub topics: ScoreTopics,
    /// Restores histories.
    pub restorer: Restorer,
    /// Writes dead letters.
    pub undertaker: Undertaker,
    /// Loop metrics.
    pub loop_metrics: LoopMetrics,
    /// Own metrics.
    pub metrics: ScoreMetrics,
    /// Signs of life.
    pub pulse: Pulse,
    /// Tells the time.
    pub clock: Arc<dyn Clock>,
    /// Forgets histories.
    pub tender: Tender,
    /// Set while this process judges partition 0: of all processes, the one that sweeps the list.
    pub leads: Arc<AtomicBool>,
    /// What this worker remembers.
    pub state: ScoreState,
}

/// An alert in the open transaction, for the metrics.
struct Raised {
    severity: &'static str,
    rules: Vec<String>,
    took_ms: i64,
}

/// What a worker of `score` keeps between records.
#[derive(Default)]
pub struct ScoreState {
    judge: Option<Arc<Judge>>,
    cards: Cards,
    restoring: HashMap<i32, Receiver<Result<Memory, Stopped>>>,
    marks: HashMap<i32, Mark>,
    tallies: Tallies,
    raised: Vec<Raised>,
    unknown: Vec<&'static str>,
    judgements: u64,
    duplicates: u64,
    now: Timestamp,
    newest: Timestamp,
}

impl std::fmt::Debug for Score {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Score({})", self.topics.sightings)
    }
}

impl std::fmt::Debug for ScoreState {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "ScoreState({} partitions)", self.cards.committed().len())
    }
}

impl Score {
    fn judge(&mut self, partition: i32, sighting: &Sighting) -> Result<Judgement, LineError> {
        let Some(judge) = &self.state.judge else {
            return Err(Stopped::new(exit::INTERNAL, "a sighting came before its batch began").into());
        };
        let judgement = self.state.cards.judge(partition, sighting, judge, self.state.now);
        let judgement = judgement.ok_or_else(|| {
            Stopped::new(exit::INTERNAL, format!("partition {partition} flows without its histories"))
        })?;
        self.tender.judged(partition, sighting.card.fingerprint);
        Ok(judgement)
    }

    fn write_alert(
        &mut self,
        alert: &Alert,
        message: &Message<'_>,
        out: &mut TransactionalProducer,
    ) -> Result<(), LineError> {
        let value = wire::encode_alert(alert)
            .map_err(|error| Stopped::new(exit::INTERNAL, format!("alert {}: {error}", alert.id)))?;
        // `sight` has already checked it; a foreign one that is not well-formed is not passed on.
        let headers = message.headers();
        let traceparent = headers
            .iter()
            .find(|(name, _)| *name == TRACEPARENT)
            .and_then(|(_, header)| std::str::from_utf8((*header)?).ok())
            .filter(|text| cloudevents::is_traceparent(text));
        let headers = cloudevents::of_alert(alert, traceparent);
        let headers: Vec<_> = headers.into_iter().map(|(name, value)| (name, Some(value))).collect();
        let key = alert.card.fingerprint.to_string();
        out.send(Outgoing {
            topic: &self.topics.alerts,
            partition: Some(message.partition()),
            key: Some(key.as_bytes()),
            value: Some(&value),
            headers: &headers,
        })?;
        self.state.raised.push(Raised {
            severity: alert.severity.as_str(),
            rules: alert.reasons.iter().map(|reason| reason.rule.clone()).collect(),
            took_ms: alert.timing.transaction_to_alert_ms,
        });
        Ok(())
    }

    fn send_state(
        &self,
        partition: i32,
        key: &str,
        value: Option<&[u8]>,
        out: &mut TransactionalProducer,
    ) -> Result<(), LineError> {
        Ok(out.send(Outgoing {
            topic: &self.topics.card_history,
            partition: Some(partition),
            key: Some(key.as_bytes()),
            value,
            headers: &[],
        })?)
    }

    /// Keeps what the committed transaction made of its cards.
    fn keep(&mut self) {
        let kept = self.state.cards.merge();
        self.state.tallies.merge();
        self.metrics.histories.add(kept.begun - kept.gone);
        self.metrics.forgotten.inc_by(kept.forgotten);
        if let Some((partition, tended)) = self.tender.merge()
            && let Some(mark) = self.state.marks.get_mut(&partition)
        {
            mark.tended = Some(tended);
        }
    }
}

impl Line for Score {
    const NAME: &'static str = "score";

    fn hold(&mut self, start: &Start) -> Result<(), Stopped> {
        self.state.restoring.insert(start.partition, self.restorer.begin(start));
        self.state.marks.insert(start.partition, start.mark.clone());
        self.state.tallies.take_up(start.partition, start.mark.tally.unwrap_or_default());
        let committed = start.committed.is_some();
        self.tender.take(start.partition, start.mark.tended, committed, self.clock.instant());
        Ok(())
    }

    fn ready(&mut self, partition: i32) -> Result<bool, Stopped> {
        let Some(restoring) = self.state.restoring.get(&partition) else { return Ok(true) };
        let Some(memory) = come(restoring, NO_RESTORE)? else { return Ok(false) };
        let histories = self.state.cards.take_up(partition, memory);
        self.metrics.restored.inc_by(histories as u64);
        self.metrics.histories.add(histories as i64);
        self.state.restoring.remove(&partition);
        if partition == 0 {
            self.leads.store(true, Ordering::Relaxed);
        }
        Ok(true)
    }

    fn release(&mut self, partition: i32) {
        self.state.restoring.remove(&partition);
        self.state.marks.remove(&partition);
        self.state.tallies.release(partition);
        self.tender.release(partition);
        if partition == 0 {
            self.leads.store(false, Ordering::Relaxed);
        }
        self.metrics.histories.sub(self.state.cards.release(partition) as i64);
        self.loop_metrics.forget(&self.topics.sightings, partition);
    }

    fn begin_batch(&mut self) {
        self.state.judge = Some(Arc::clone(&self.judge.lock().unwrap_or_else(PoisonError::into_inner)));
        self.state.now = self.clock.now();
    }

    fn process(&mut self, message: &Message<'_>, out: &mut TransactionalProducer) -> Result<(), LineError> {
        let partition = message.partition();
        let value = message.value().unwrap_or_default();
        let Ok(sighting) = wire::decode_sighting(value) else {
            // Somebody else wrote to the topic. The letter keeps nothing of it.
            let record = Record {
                value: message.value(),
                key: message.key(),
                topic: &self.topics.sightings,
                partition,
                offset: message.offset(),
                timestamp: message.timestamp(),
            };
            let unreadable = Unreadable { reason: DeadReason::NotASighting, field: FIELD_VALUE };
            return self.undertaker.bury(&record, &[], unreadable, self.state.now, out);
        };
        self.undertaker.readable();
        let judgement = self.judge(partition, &sighting)?;
        if let Some(alert) = &judgement.alert {
            self.write_alert(alert, message, out)?;
            self.state.tallies.made(partition);
        }
        self.state.tallies.read(partition, message.timestamp());
        self.state.judgements += 1;
        self.state.duplicates += u64::from(judgement.duplicate_of.is_some());
        self.state.unknown.extend(&judgement.unknown_signals);
        self.state.newest = message.timestamp();
        Ok(())
    }

    fn metadata(&self, partition: i32) -> String {
        let taken_up = self.state.marks.get(&partition).cloned().unwrap_or_default();
        let tended = self.tender.note(partition).or(taken_up.tended);
        Mark { frontier: None, tended, tally: self.state.tallies.of(partition), ..taken_up }.to_string()
    }

    fn tend(&mut self) -> Vec<i32> {
        let clock = (self.clock.instant(), self.clock.now());
        let Some(forgotten) = self.tender.turn(self.state.cards.committed(), clock) else {
            return Vec::new();
        };
        if forgotten.count() > 0 {
            let zones = Zones::new(self.tender.list().incidents());
            self.state.cards.forget(&forgotten, &zones);
        }
        vec![forgotten.partition]
    }

    fn close_batch(
        &mut self,
        progress: &[Progress],
        out: &mut TransactionalProducer,
    ) -> Result<(), LineError> {
        self.undertaker.check()?;
        let records = self.state.cards.records();
        for State { partition, key, value } in
            records.map_err(|error| Stopped::new(exit::INTERNAL, error.to_string()))?
        {
            self.send_state(partition, &key, value.as_deref(), out)?;
        }
        for progress in progress {
            let topic_id = self.state.marks.get(&progress.partition).and_then(|mark| mark.topic_id.clone());
            let (next_offset, partitions) = (progress.next, self.restorer.partitions);
            let checkpoint = Checkpoint { next_offset, partitions, topic_id };
            let value = serde_json::to_vec(&checkpoint)
                .map_err(|error| Stopped::new(exit::INTERNAL, error.to_string()))?;
            self.send_state(progress.partition, &Checkpoint::key(progress.partition), Some(&value), out)?;
        }
        Ok(())
    }

    fn merge(&mut self, took: Duration) -> Timestamp {
        let judgements = std::mem::take(&mut self.state.judgements);
        self.keep();
        self.loop_metrics.committed(took);
        self.loop_metrics.worked_off(judgements, self.state.newest);
        self.metrics.judgements.inc_by(judgements);
        self.metrics.duplicates.inc_by(std::mem::take(&mut self.state.duplicates));
        for raised in self.state.raised.drain(..) {
            self.metrics.alert(raised.severity, raised.rules.iter().map(String::as_str), raised.took_ms);
        }
        for signal in self.state.unknown.drain(..) {
            self.metrics.unknown(signal);
        }
        self.undertaker.merge();
        self.state.newest
    }

    fn discard(&mut self) {
        self.state.cards.discard();
        self.state.tallies.discard();
        self.tender.discard();
        self.state.raised.clear();
        self.state.unknown.clear();
        self.state.judgements = 0;
        self.state.duplicates = 0;
        self.loop_metrics.aborted();
        self.undertaker.discard();
    }

    fn beat(&mut self, owned: usize, held: usize) {
        self.pulse.beat(owned, held);
    }
}
