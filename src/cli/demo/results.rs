//! Reads sightings and alerts as any other consumer would, and compares them with the truth.

use std::collections::BTreeMap;
use std::time::Duration;

use super::ground::{Ground, PARTITIONS, fault};
use crate::app::settings::cluster;
use crate::codec::wire;
use crate::domain::alert::Alert;
use crate::kafka::native::Message;
use crate::kafka::probe::Probe;
use crate::kafka::reader::{Read, Reader};
use crate::lines::start::Stopped;
use crate::report::{DemoReport, DemoTally};
use crate::simulation::World;

/// The two topics of results.
#[derive(Debug)]
pub(super) struct Results {
    sightings: Followed,
    alerts: Followed,
    probe: Probe,
    tally: DemoTally,
}

impl Results {
    pub(super) fn new(ground: &Ground) -> Result<Results, Stopped> {
        let topics = &ground.plan.topics;
        Ok(Results {
            sightings: Followed::new(ground, &topics.sightings)?,
            alerts: Followed::new(ground, &topics.alerts)?,
            probe: Probe::new(&cluster(&ground.settings))
                .map_err(|error| fault("the mock cluster", &error))?,
            tally: DemoTally::default(),
        })
    }

    /// Takes what is there, waiting up to `wait` for an alert, and returns the new alerts.
    pub(super) fn take(&mut self, world: &World, wait: Duration) -> Result<Vec<Alert>, Stopped> {
        let tally = &mut self.tally;
        self.sightings.take(Duration::ZERO, |message| {
            let sighting = wire::decode_sighting(message.value().unwrap_or_default())
                .map_err(|error| fault("a sighting does not read", &error))?;
            let misuse = sighting.transaction.id.as_deref().is_some_and(|id| world.is_misuse(id));
            tally.sighting(&sighting, misuse);
            Ok(())
        })?;
        let mut alerts = Vec::new();
        self.alerts.take(wait, |message| {
            let alert = wire::decode_alert(message.value().unwrap_or_default())
                .map_err(|error| fault("an alert does not read", &error))?;
            let misuse = alert.transaction.id.as_deref().is_some_and(|id| world.is_misuse(id));
            tally.alert(&alert, misuse);
            alerts.push(alert);
            Ok(())
        })?;
        Ok(alerts)
    }

    /// Distinct sightings and alerts so far.
    pub(super) fn counts(&self) -> (u64, u64) {
        self.tally.counts()
    }

    /// Whether everything that the topics hold now was taken.
    pub(super) fn is_at_end(&self) -> Result<bool, Stopped> {
        Ok(self.sightings.is_at_end(&self.probe)? && self.alerts.is_at_end(&self.probe)?)
    }

    pub(super) fn report(&self, transactions: u64, exposed_cards: u64, misuse: u64) -> DemoReport {
        self.tally.report(transactions, exposed_cards, misuse)
    }
}

/// A topic that is read to its end again and again.
#[derive(Debug)]
struct Followed {
    topic: String,
    reader: Reader,
    /// By partition: the offset that comes next.
    next: BTreeMap<i32, i64>,
}

impl Followed {
    fn new(ground: &Ground, topic: &str) -> Result<Followed, Stopped> {
        let starts: Vec<(i32, i64)> = (0..PARTITIONS).map(|partition| (partition, 0)).collect();
        let reader = Reader::new(&cluster(&ground.settings), "cardwatch-demo", topic, &starts)
            .map_err(|error| fault("the reader of results", &error))?;
        Ok(Followed { topic: topic.to_owned(), reader, next: starts.into_iter().collect() })
    }

    fn take(
        &mut self,
        wait: Duration,
        mut each: impl FnMut(&Message<'_>) -> Result<(), Stopped>,
    ) -> Result<(), Stopped> {
        for read in self.reader.read(wait) {
            match read {
                Read::Record(message) => {
                    each(&message)?;
                    self.next.insert(message.partition(), message.offset() + 1);
                }
                Read::End { partition, offset } => {
                    self.next.insert(partition, offset);
                }
                Read::Failed { code, .. } => return Err(fault("results cannot be read", &code)),
            }
        }
        Ok(())
    }

    fn is_at_end(&self, probe: &Probe) -> Result<bool, Stopped> {
        for (&partition, &next) in &self.next {
            if next < probe.watermarks(&self.topic, partition)?.high {
                return Ok(false);
            }
        }
        Ok(true)
    }
}
