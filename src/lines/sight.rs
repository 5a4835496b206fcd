//! Recognises exposed cards in the input and writes sightings, exactly once.
//!
//! Stateless but for the set that [`super::refresh`] keeps. A batch is judged under one view of it; the
//! frontier of that view is committed beside the offset, and a worker that takes a partition up waits until
//! its own list is at least as new.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::dead::Undertaker;
use super::mark::Mark;
use super::pulse::Pulse;
use super::pump::{Line, LineError};
use super::refresh::Exposed;
use super::start::{Start, Stopped};
use super::tally::Tallies;
use crate::clock::Clock;
use crate::codec::cloudevents;
use crate::codec::wire;
use crate::domain::position::Record;
use crate::domain::time::Timestamp;
use crate::exposure::set::View;
use crate::fault;
use crate::kafka::client::MESSAGE_BYTES_MAX;
use crate::kafka::native::Message;
use crate::kafka::producer::{Outgoing, Progress, TransactionalProducer};
use crate::metrics::{LoopMetrics, SightMetrics};
use crate::stop::exit;
use crate::watch::{Found, Seen, Watch};

/// What a sighting leaves free of the largest record, for key and headers, in bytes.
const ENVELOPE_BYTES: usize = 4096;

struct Held {
    since: Instant,
    frontier: i64,
}

/// One worker's `sight`.
pub struct Sight {
    /// Recognises cards.
    pub watch: Watch,
    /// The exposure list.
    pub exposed: Arc<Exposed>,
    /// The input topic.
    pub topic: String,
    /// The topic of sightings.
    pub sightings: String,
    /// Writes dead letters.
    pub undertaker: Undertaker,
    /// Loop metrics.
    pub loop_metrics: LoopMetrics,
    /// Own metrics.
    pub metrics: SightMetrics,
    /// Signs of life.
    pub pulse: Pulse,
    /// Tells the time.
    pub clock: Arc<dyn Clock>,
    /// What this batch is judged under.
    pub state: SightState,
}

/// What a worker of `sight` keeps between records.
#[derive(Default)]
pub struct SightState {
    view: Option<Arc<View>>,
    now: Timestamp,
    held: HashMap<i32, Held>,
    marks: HashMap<i32, Mark>,
    tallies: Tallies,
    sightings: u64,
    tombstones: u64,
    records: u64,
    newest: Timestamp,
}

impl std::fmt::Debug for Sight {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Sight({})", self.topic)
    }
}

impl std::fmt::Debug for SightState {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "SightState({} held)", self.held.len())
    }
}

impl Sight {
    fn write(
        &mut self,
        partition: i32,
        found: &Found,
        out: &mut TransactionalProducer,
    ) -> Result<(), LineError> {
        let sighting = &found.sighting;
        let limit = MESSAGE_BYTES_MAX - ENVELOPE_BYTES;
        let value = wire::encode_sighting(sighting, limit)
            .map_err(|error| Stopped::new(exit::INTERNAL, format!("sighting {}: {error}", sighting.id)))?;
        let headers = cloudevents::of_sighting(sighting, found.traceparent.as_deref());
        let headers: Vec<_> = headers.into_iter().map(|(name, value)| (name, Some(value))).collect();
        let key = sighting.card.fingerprint.to_string();
        out.send(Outgoing {
            topic: &self.sightings,
            partition: None,
            key: Some(key.as_bytes()),
            value: Some(&value),
            headers: &headers,
        })?;
        sighting.unreadable.iter().for_each(|field| self.metrics.unreadable(field));
        sighting.withheld.iter().for_each(|field| self.metrics.withheld(field));
        self.state.sightings += 1;
        self.state.tallies.made(partition);
        Ok(())
    }
}

impl Line for Sight {
    const NAME: &'static str = "sight";

    fn hold(&mut self, start: &Start) -> Result<(), Stopped> {
        let held = Held { since: self.clock.instant(), frontier: start.mark.frontier.unwrap_or(i64::MIN) };
        self.state.held.insert(start.partition, held);
        self.state.marks.insert(start.partition, start.mark.clone());
        self.state.tallies.take_up(start.partition, start.mark.tally.unwrap_or_default());
        fault::point("sight", "in-restore");
        Ok(())
    }

    fn ready(&mut self, partition: i32) -> Result<bool, Stopped> {
        let Some(held) = self.state.held.get(&partition) else { return Ok(true) };
        let ready = fault::broken("frontier-not-awaited")
            || (self.exposed.is_confirmed_since(held.since)
                && self.exposed.set.view().frontier() >= held.frontier);
        if ready {
            self.state.held.remove(&partition);
        }
        Ok(ready)
    }

    fn release(&mut self, partition: i32) {
        self.state.held.remove(&partition);
        self.state.marks.remove(&partition);
        self.state.tallies.release(partition);
        self.loop_metrics.forget(&self.topic, partition);
    }

    fn begin_batch(&mut self) {
        self.state.view = Some(self.exposed.set.view());
        self.state.now = self.clock.now();
    }

    fn process(&mut self, message: &Message<'_>, out: &mut TransactionalProducer) -> Result<(), LineError> {
        let record = Record {
            value: message.value(),
            key: message.key(),
            topic: &self.topic,
            partition: message.partition(),
            offset: message.offset(),
            timestamp: message.timestamp(),
        };
        self.state.records += 1;
        self.state.newest = record.timestamp;
        self.state.tallies.read(record.partition, record.timestamp);
        let Some(view) = &self.state.view else {
            return Err(Stopped::new(exit::INTERNAL, "a record came before its batch began").into());
        };
        match self.watch.look(view, &record, self.state.now, || message.headers()) {
            Seen::Miss => {
                self.undertaker.readable();
                Ok(())
            }
            Seen::Tombstone => {
                self.state.tombstones += 1;
                Ok(())
            }
            Seen::Sighting(found) => {
                self.undertaker.readable();
                self.write(record.partition, &found, out)
            }
            Seen::Unreadable(unreadable) => {
                self.undertaker.bury(&record, &message.headers(), unreadable, self.state.now, out)
            }
        }
    }

    fn metadata(&self, partition: i32) -> String {
        let frontier = self.state.view.as_ref().map(|view| view.frontier());
        let taken_up = self.state.marks.get(&partition).cloned().unwrap_or_default();
        Mark { frontier, tally: self.state.tallies.of(partition), ..taken_up }.to_string()
    }

    fn close_batch(&mut self, _: &[Progress], _: &mut TransactionalProducer) -> Result<(), LineError> {
        Ok(self.undertaker.check()?)
    }

    fn merge(&mut self, took: Duration) -> Timestamp {
        self.loop_metrics.committed(took);
        self.loop_metrics.worked_off(self.state.records, self.state.newest);
        self.metrics.sightings.inc_by(self.state.sightings);
        self.metrics.tombstones.inc_by(self.state.tombstones);
        self.undertaker.merge();
        self.state.tallies.merge();
        self.reset();
        self.state.newest
    }

    fn discard(&mut self) {
        self.loop_metrics.aborted();
        self.undertaker.discard();
        self.state.tallies.discard();
        self.reset();
    }

    fn beat(&mut self, owned: usize, held: usize) {
        self.pulse.beat(owned, held);
    }
}

impl Sight {
    fn reset(&mut self) {
        self.state.records = 0;
        self.state.sightings = 0;
        self.state.tombstones = 0;
    }
}
