//! What somebody who is not `notify` sees of the ledgers, and what they may ask for: for the command line and for HTTP.
//! Everything is read from the topics as they are, and asked for by a record on the control topic, so any process
//! and any machine will do.

use std::sync::Arc;
use std::time::Duration;

pub use super::ledgers::{Entry, Ledgers, Standing};
use super::sheets::Sheet;
use crate::clock::Clock;
use crate::domain::delivery::{DeliveryId, EndpointName};
use crate::domain::time::Timestamp;
use crate::kafka::native::Message;
use crate::kafka::probe::Probe;
use crate::lines::control::Control;
use crate::lines::snapshot::Snapshots;
use crate::lines::start::Stopped;
use crate::notice::control::{
    Board, Command, Disabled, EndpointState, Replay, Why, command_key, endpoint_key,
};
use crate::notice::record::{Key, Member};
use crate::stop::exit;

/// How long a record may take to be written.
const WITHIN: Duration = Duration::from_secs(15);
/// Deliveries in one command.
const COMMAND_MAX: usize = 500;
/// How long a tombstone stays where Kafka is told nothing else is a day: ledgers that old may miss some.
const READ_ANEW_AFTER: Duration = Duration::from_secs(3_600);

/// The office: reads ledgers and takes requests.
#[derive(Debug, Clone)]
pub struct Office {
    /// Reads topics to their end.
    pub snapshots: Snapshots,
    /// The topic of the ledgers.
    pub deliveries: String,
    /// The topic of the alerts.
    pub alerts: String,
    /// The control topic.
    pub control: Control,
    /// Asks for watermarks and times.
    pub probe: Probe,
    /// Tells the time.
    pub clock: Arc<dyn Clock>,
}

impl Office {
    /// The ledgers as they are at this moment.
    ///
    /// # Errors
    /// When a topic cannot be read.
    pub fn read(&self) -> Result<Ledgers, Stopped> {
        let mut ledgers = Ledgers::default();
        self.refresh(&mut ledgers)?;
        Ok(ledgers)
    }

    /// Brings ledgers that were read before to this moment: what was written since is read alone. What was read long
    /// ago is read anew, for a record may have come and gone since without a trace.
    ///
    /// # Errors
    /// When a topic cannot be read: then they are read anew the next time.
    pub fn refresh(&self, ledgers: &mut Ledgers) -> Result<(), Stopped> {
        let now = self.clock.instant();
        // Whatever goes wrong leaves nothing half read behind.
        let mut known = std::mem::take(ledgers);
        if known.read_at.is_none_or(|at| now - at > READ_ANEW_AFTER) {
            known = Ledgers::default();
        }
        known.read_at = Some(now);
        let partitions = self.probe.partitions(&self.deliveries)?.unwrap_or(0);
        for partition in 0..partitions {
            let mut from = known.next.get(&partition).copied().unwrap_or(0);
            if from > self.probe.stable_watermarks(&self.deliveries, partition)?.high {
                // The topic was made again.
                known.forget(partition);
                from = 0;
            }
            let read = |message: &Message<'_>| {
                let key = message.key().and_then(|key| std::str::from_utf8(key).ok()).and_then(Key::parse);
                let Some(key) = key else { return Ok(()) };
                known.apply(partition, key, message.value()).map_err(|error| {
                    let place = format!("{}/{partition}", self.deliveries);
                    Stopped::new(exit::DATA, format!("{place} offset {}: {error}", message.offset()))
                })
            };
            let next = self.snapshots.stable("the ledger", &self.deliveries, partition, from, read)?;
            known.next.insert(partition, next);
        }
        known.board = self.board()?;
        *ledgers = known;
        Ok(())
    }

    /// What all processes share, as it is at this moment.
    ///
    /// # Errors
    /// When the topic cannot be read.
    pub fn board(&self) -> Result<Board, Stopped> {
        let mut board = Board::default();
        let mut place = 0;
        self.control.read(|key, value| {
            // The order is what counts here; offsets are for those that carry commands out.
            place += 1;
            board
                .apply(place, key, value)
                .map_err(|error| Stopped::new(exit::DATA, format!("{}: {error}", self.control.topic)))
        })?;
        Ok(board)
    }

    /// Switches an endpoint on or off. False where it is so already.
    ///
    /// # Errors
    /// When the control topic cannot be read or written.
    pub fn switch(&self, endpoint: &EndpointName, on: bool, by: &str) -> Result<bool, Stopped> {
        let mut state = self.board()?.state(endpoint);
        if state.disabled.is_none() == on {
            return Ok(false);
        }
        state.failing_since = None;
        state.disabled =
            (!on).then(|| Disabled { at: self.clock.now(), why: Why::Asked, by: Some(by.to_owned()) });
        self.put_state(endpoint, &state)?;
        Ok(true)
    }

    /// Says that an endpoint signs with a newer key.
    ///
    /// # Errors
    /// When the control topic cannot be read or written.
    pub fn rotated(&self, endpoint: &EndpointName, generation: &str) -> Result<(), Stopped> {
        let mut state = self.board()?.state(endpoint);
        state.generation = Some(generation.to_owned());
        self.put_state(endpoint, &state)
    }

    fn put_state(&self, endpoint: &EndpointName, state: &EndpointState) -> Result<(), Stopped> {
        let value =
            serde_json::to_vec(state).map_err(|error| Stopped::new(exit::INTERNAL, error.to_string()))?;
        self.control.put(&[(endpoint_key(endpoint), value)], WITHIN)
    }

    /// Asks for what failed for good to be tried again; how many deliveries.
    ///
    /// # Errors
    /// When a topic cannot be read or written.
    pub fn replay_failed(&self, endpoint: &EndpointName, by: &str) -> Result<u64, Stopped> {
        let ledgers = self.read()?;
        let failed = ledgers.failed(Some(endpoint));
        let failed: Vec<(i32, DeliveryId, Vec<Member>)> = failed
            .into_iter()
            .map(|entry| (entry.partition, entry.id.clone(), entry.owed.members.clone()))
            .collect();
        for part in failed.chunks(COMMAND_MAX) {
            self.ask(endpoint, Replay::Failed(part.to_vec()), by)?;
        }
        Ok(failed.len() as u64)
    }

    /// Asks for every alert that was written in a time to be told again; of how many offsets.
    ///
    /// # Errors
    /// When a topic cannot be read or written.
    pub fn replay_time(
        &self,
        endpoint: &EndpointName,
        since: Timestamp,
        until: Option<Timestamp>,
        by: &str,
    ) -> Result<u64, Stopped> {
        let partitions = self.probe.partitions(&self.alerts)?.unwrap_or(0);
        let mut ranges = Vec::new();
        for partition in 0..partitions {
            let from = self.probe.offset_at(&self.alerts, partition, since)?;
            let to = match until {
                Some(until) => self.probe.offset_at(&self.alerts, partition, until)?,
                None => self.probe.watermarks(&self.alerts, partition)?.high,
            };
            if from < to {
                ranges.push((partition, from, to));
            }
        }
        let count = ranges.iter().map(|(_, from, to)| u64::try_from(to - from).unwrap_or(0)).sum();
        if !ranges.is_empty() {
            self.ask(endpoint, Replay::Ranges(ranges), by)?;
        }
        Ok(count)
    }

    /// Asks for one alert to be told again, by its id or by that of a delivery of it. False where there is none.
    ///
    /// # Errors
    /// When a topic cannot be read or written.
    pub fn replay_one(&self, endpoint: &EndpointName, id: &str, by: &str) -> Result<bool, Stopped> {
        let ledgers = self.read()?;
        if let Some(entry) = ledgers.failed(Some(endpoint)).into_iter().find(|entry| entry.id.as_str() == id)
        {
            let failed = (entry.partition, entry.id.clone(), entry.owed.members.clone());
            self.ask(endpoint, Replay::Failed(vec![failed]), by)?;
            return Ok(true);
        }
        let mut found: Option<(i32, Member)> = None;
        self.snapshots.topic("the alerts", &self.alerts, |message: &Message<'_>| {
            if let Some(sheet) = Sheet::of(message) {
                let delivery = DeliveryId::of_alert(&sheet.alert);
                if sheet.alert.id == id || delivery.as_str() == id {
                    // Of several revisions the newest.
                    found = Some((message.partition(), Member { offset: sheet.offset, id: delivery }));
                }
            }
            Ok(())
        })?;
        let Some(found) = found else { return Ok(false) };
        self.ask(endpoint, Replay::Alerts(vec![found]), by)?;
        Ok(true)
    }

    fn ask(&self, endpoint: &EndpointName, replay: Replay, by: &str) -> Result<(), Stopped> {
        let command = Command { endpoint: endpoint.clone(), replay, by: by.to_owned(), at: self.clock.now() };
        let value =
            serde_json::to_vec(&command).map_err(|error| Stopped::new(exit::INTERNAL, error.to_string()))?;
        let id = format!("{:013}-{:016x}", command.at.millis(), rand::random::<u64>());
        self.control.put(&[(command_key(&id), value)], WITHIN)
    }
}
