//! Tells endpoints of alerts, at least once: what becomes owed is committed with the offsets of the alerts before any
//! request is made, what was taken is committed after, and whatever happens in between is tried again.
//!
//! The line owns the ledgers ([`crate::notice::ledger`]) and is driven by the loop that all lines share. Couriers
//! ([`courier`]) carry and know nothing of Kafka; alerts that are not in memory any more are read back by [`sheets`];
//! what all processes share is on the [`board`].

pub mod acts;
pub mod board;
pub mod census;
pub mod courier;
pub mod endpoint;
mod expiry;
mod heartbeat;
mod ledgers;
pub mod missed;
pub mod office;
mod reading;
pub mod restore;
mod rounds;
pub mod service;
pub mod sheets;
mod state;
mod trouble;

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender};
use std::time::Duration;

use super::dead::Undertaker;
use super::mark::Mark;
use super::patience::{NO_RESTORE, come};
use super::pulse::Pulse;
use super::pump::{Line, LineError};
use super::start::{Start, Stopped};
use crate::clock::Clock;
use crate::codec::dead::{DeadReason, FIELD_VALUE, Unreadable};
use crate::domain::delivery::{DeliveryId, EndpointName};
use crate::domain::position::Record;
use crate::domain::time::Timestamp;
use crate::fault;
use crate::kafka::native::Message;
use crate::kafka::producer::{Outgoing, Progress, TransactionalProducer};
use crate::metrics::{EndpointMetrics, LoopMetrics};
use crate::notice::record::{Key, Member, Taken};
use crate::stop::exit;

use board::Shared;
use census::Census;
use courier::{Couriers, Settled};
use endpoint::Endpoints;
use restore::{Restored, Restorer};
use sheets::{Sheet, Sheets};
use state::Held;

pub use state::{Bounds, NotifyState};

/// One worker of `notify`.
#[derive(Debug)]
pub struct Notify {
    /// Its name among the workers of this process.
    pub name: String,
    /// Its input.
    pub alerts: String,
    /// Where the ledgers stand.
    pub deliveries: String,
    /// Who is told.
    pub endpoints: Endpoints,
    /// What all processes share.
    pub shared: Shared,
    /// Who carries.
    pub couriers: Arc<Couriers>,
    /// Where couriers say what became of a job, and where that is read.
    pub settled: (Sender<Settled>, Receiver<Settled>),
    /// Reads alerts back.
    pub sheets: Sheets,
    /// Counts for heartbeats.
    pub census: Census,
    /// Restores ledgers.
    pub restorer: Restorer,
    /// Writes dead letters.
    pub undertaker: Undertaker,
    /// How much is kept at hand.
    pub bounds: Bounds,
    /// Loop metrics.
    pub loop_metrics: LoopMetrics,
    /// Own metrics, by endpoint.
    pub metrics: HashMap<EndpointName, EndpointMetrics>,
    /// Signs of life.
    pub pulse: Pulse,
    /// Tells the time.
    pub clock: Arc<dyn Clock>,
    /// What this worker remembers.
    pub state: NotifyState,
}

impl Notify {
    /// What becomes owed by an alert.
    fn owe(&mut self, partition: i32, sheet: Arc<Sheet>) {
        let now = self.state.now;
        let mut is_made_out = false;
        let member = Member { offset: sheet.offset, id: DeliveryId::of_alert(&sheet.alert) };
        for endpoint in &self.endpoints.0 {
            if !endpoint.filter.wants(&sheet.alert) {
                continue;
            }
            let intake = self.state.intake(endpoint, &self.bounds);
            if let Some(held) = self.state.held.get_mut(&partition) {
                is_made_out |= held.ledger.owe(&endpoint.name, member.clone(), now, intake);
            }
        }
        // What only became part of a range is read back when it is its turn; here it would push out what is told soon.
        if is_made_out {
            self.state.shelf.put(partition, sheet);
        }
    }

    /// The restored ledger of a partition, with what the configuration says of its endpoints.
    fn take_up(&mut self, partition: i32, restored: Restored) {
        let Restored { ledger, begins } = restored;
        let Some(opening) = self.state.opening.remove(&partition) else { return };
        let control = match ledger.taken() {
            Some(taken) => taken.control,
            // What was asked for before this partition was ever told of is not for it.
            None => self.shared.seen().reached,
        };
        self.state.epoch += 1;
        let held = Held {
            ledger,
            epoch: self.state.epoch,
            control,
            mark: opening.mark,
            openings: Default::default(),
            stays_from: i64::MIN,
            unwritten: Some((begins, opening.next)),
        };
        self.state.held.insert(partition, held);
        self.propose_endpoints(partition);
    }

    /// Which endpoints are told from where on, and which are not any more: proposed again until it is written, for an
    /// aborted transaction takes it away, and an endpoint that no ledger knows would never be told.
    fn propose_endpoints(&mut self, partition: i32) {
        let Some(held) = self.state.held.get_mut(&partition) else { return };
        let Some((begins, next)) = &held.unwritten else { return };
        for (name, (begun, since)) in begins {
            tracing::info!(endpoint = %name, partition, begun, "a new endpoint is told from here on");
            held.ledger.begin(name, *begun, *since);
        }
        let known: Vec<_> = held.ledger.endpoints().cloned().collect();
        for name in known {
            let configured = self.endpoints.0.iter().any(|endpoint| endpoint.name == name);
            if !configured {
                held.ledger.leave(&name, *next);
                tracing::warn!(endpoint = %name, partition, "not in the configuration any more: what is owed to it is kept");
            } else if let Some(left) = held.ledger.rejoin(&name) {
                tracing::warn!(
                    endpoint = %name, partition, first = left, last = next - 1,
                    "back in the configuration: alerts that came while it was not there are not owed to it"
                );
            }
        }
    }

    fn write(
        &self,
        partition: i32,
        key: &Key,
        value: Option<&[u8]>,
        out: &mut TransactionalProducer,
    ) -> Result<(), LineError> {
        let key = key.to_string();
        let record = Outgoing {
            topic: &self.deliveries,
            partition: Some(partition),
            key: Some(key.as_bytes()),
            value,
            headers: &[],
        };
        Ok(out.send(record)?)
    }
}

impl Line for Notify {
    const NAME: &'static str = "notify";

    fn hold(&mut self, start: &Start) -> Result<(), Stopped> {
        let opening = state::Opening {
            restoring: self.restorer.begin(start),
            next: start.offset,
            mark: start.mark.clone(),
        };
        self.state.opening.insert(start.partition, opening);
        Ok(())
    }

    fn ready(&mut self, partition: i32) -> Result<bool, Stopped> {
        let Some(opening) = self.state.opening.get(&partition) else { return Ok(true) };
        if !self.shared.seen().loaded {
            return Ok(false);
        }
        let Some(restored) = come(&opening.restoring, NO_RESTORE)? else { return Ok(false) };
        self.take_up(partition, restored);
        Ok(true)
    }

    fn release(&mut self, partition: i32) {
        self.state.opening.remove(&partition);
        self.state.release(partition);
        self.loop_metrics.forget(&self.alerts, partition);
    }

    fn begin_batch(&mut self) {
        self.state.now = self.clock.now();
        self.state.disabled = self.disabled();
    }

    fn process(&mut self, message: &Message<'_>, out: &mut TransactionalProducer) -> Result<(), LineError> {
        let partition = message.partition();
        match Sheet::of(message) {
            Some(sheet) => {
                self.undertaker.readable();
                self.owe(partition, Arc::new(sheet));
                if fault::broken("request-before-ledger") {
                    self.state.held.get_mut(&partition).into_iter().for_each(|held| held.ledger.merge());
                    self.dispatch();
                }
            }
            None if message.value().is_none() => {}
            None => {
                // Somebody else wrote to the topic. The letter keeps nothing of it.
                let record = Record {
                    value: message.value(),
                    key: message.key(),
                    topic: &self.alerts,
                    partition,
                    offset: message.offset(),
                    timestamp: message.timestamp(),
                };
                let unreadable = Unreadable { reason: DeadReason::NotAnAlert, field: FIELD_VALUE };
                self.undertaker.bury(&record, &[], unreadable, self.state.now, out)?;
            }
        }
        self.state.records += 1;
        self.state.newest = message.timestamp();
        Ok(())
    }

    fn metadata(&self, partition: i32) -> String {
        let taken_up = self.state.held.get(&partition).map(|held| held.mark.clone()).unwrap_or_default();
        Mark { frontier: None, ..taken_up }.to_string()
    }

    fn tend(&mut self) -> Vec<i32> {
        self.state.now = self.clock.now();
        self.state.disabled = self.disabled();
        let partitions: Vec<i32> = self.state.held.keys().copied().collect();
        self.collect();
        if self.is_time_for_books() {
            self.keep_books(&partitions);
        }
        let held = self.state.held.iter();
        held.filter(|(_, held)| held.ledger.is_changed()).map(|(partition, _)| *partition).collect()
    }

    /// What is owed is told when it is committed, and the receiver waits for that.
    fn proposes(&self) -> bool {
        self.state.held.values().any(|held| held.ledger.is_changed())
    }

    fn expects(&self) -> bool {
        let state = &self.state;
        !state.parked.is_empty()
            || state.under_way.values().any(|under_way| !under_way.is_empty())
            || state.held.values().any(|held| !held.openings.is_empty())
    }

    fn close_batch(
        &mut self,
        progress: &[Progress],
        out: &mut TransactionalProducer,
    ) -> Result<(), LineError> {
        self.undertaker.check()?;
        let partitions: Vec<i32> = progress.iter().map(|progress| progress.partition).collect();
        self.collect();
        self.keep_books(&partitions);
        self.state.closing = partitions;
        if fault::broken("offsets-before-ledger") {
            return Ok(());
        }
        for progress in progress {
            let Some(held) = self.state.held.get(&progress.partition) else { continue };
            for (key, value) in held.ledger.changes() {
                self.write(progress.partition, &key, value.as_deref(), out)?;
            }
            let (partitions, topic_id) = (self.restorer.partitions, held.mark.topic_id.clone());
            let taken = Taken { next: progress.next, control: held.control, partitions, topic_id };
            let value = serde_json::to_vec(&taken)
                .map_err(|error| Stopped::new(exit::INTERNAL, error.to_string()))?;
            self.write(progress.partition, &Key::Taken(progress.partition), Some(&value), out)?;
        }
        Ok(())
    }

    fn merge(&mut self, took: Duration) -> Timestamp {
        self.loop_metrics.committed(took);
        self.loop_metrics.worked_off(std::mem::take(&mut self.state.records), self.state.newest);
        self.undertaker.merge();
        self.state.merge();
        self.dispatch();
        self.state.newest
    }

    fn discard(&mut self) {
        self.state.records = 0;
        self.loop_metrics.aborted();
        self.undertaker.discard();
        self.state.discard();
        if fault::broken("begins-proposed-once") {
            return;
        }
        let held: Vec<i32> = self.state.held.keys().copied().collect();
        held.into_iter().for_each(|partition| self.propose_endpoints(partition));
    }

    fn beat(&mut self, owned: usize, held: usize) {
        self.pulse.beat(owned, held);
        self.state.now = self.clock.now();
        self.dispatch();
        self.beat_hearts();
        self.show();
    }
}

#[cfg(test)]
mod tests;
