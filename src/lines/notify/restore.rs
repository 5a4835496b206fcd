//! Brings a partition's ledger back before anything of it is told.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, sync_channel};
use std::time::Duration;

use super::endpoint::{Endpoints, Since};
use crate::clock::Clock;
use crate::domain::delivery::EndpointName;
use crate::kafka::client::Cluster;
use crate::kafka::probe::Probe;
use crate::lines::patience::until_answered;
use crate::lines::read::Source;
use crate::lines::start::{Checkpoints, Start, Stopped};
use crate::notice::ledger::Ledger;
use crate::stop::{Stop, exit};

/// For each endpoint: from which offset it is told by itself, and from which what lies before it.
pub type Begins = HashMap<EndpointName, (i64, Option<i64>)>;

/// A ledger as it stands, and where endpoints begin that it does not know.
#[derive(Debug)]
pub struct Restored {
    /// The ledger.
    pub ledger: Ledger,
    /// Where those begin.
    pub begins: Begins,
}

/// Restores ledgers on threads of their own.
#[derive(Clone)]
pub struct Restorer {
    /// The cluster.
    pub cluster: Cluster,
    /// Asks for watermarks and times.
    pub probe: Probe,
    /// The name the readers give; the group is not joined.
    pub group: String,
    /// The topic of the ledgers.
    pub deliveries: String,
    /// The topic of the alerts.
    pub alerts: String,
    /// How many partitions both have.
    pub partitions: i32,
    /// How long it may stand still.
    pub stall: Duration,
    /// Who is told.
    pub endpoints: Endpoints,
    /// Tells the time.
    pub clock: Arc<dyn Clock>,
    /// Ends the waiting.
    pub stop: Stop,
}

impl std::fmt::Debug for Restorer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Restorer({})", self.deliveries)
    }
}

impl Checkpoints for Restorer {
    fn place(&self, partition: i32) -> Result<Option<(i64, Option<String>)>, Stopped> {
        Ok(self.read(partition)?.taken().map(|taken| (taken.next, taken.topic_id.clone())))
    }
}

impl Restorer {
    /// Begins to restore the partition that `start` takes up; the result comes through the channel.
    pub fn begin(&self, start: &Start) -> Receiver<Result<Restored, Stopped>> {
        let (sender, receiver) = sync_channel(1);
        let (restorer, start) = (self.clone(), start.clone());
        std::thread::spawn(move || {
            // The worker may have lost the partition by now; then nobody needs the result.
            let _ = sender.send(restorer.restore(&start));
        });
        receiver
    }

    fn restore(&self, start: &Start) -> Result<Restored, Stopped> {
        let ledger = self.read(start.partition)?;
        self.verify(start, &ledger)?;
        let begins = self.begins(start, &ledger)?;
        Ok(Restored { ledger, begins })
    }

    fn read(&self, partition: i32) -> Result<Ledger, Stopped> {
        let what = format!("watermarks of {}/{partition}", self.deliveries);
        let ask = || self.probe.watermarks(&self.deliveries, partition);
        // Not the stable end: behind it a predecessor's transaction may wait for its own.
        let marks = until_answered(&*self.clock, &self.stop, &what, ask)?;
        let mut ledger = Ledger::default();
        let (cluster, group, topic) = (&self.cluster, self.group.as_str(), self.deliveries.as_str());
        let source = Source { cluster, group, topic, partition, what: "the ledger", clock: &*self.clock };
        source.read_within(self.stall, marks.low, marks.high, |message| {
            let key = message.key().unwrap_or_default();
            ledger.restore(key, message.value()).map_err(|error| {
                let place = format!("{topic}/{partition} offset {}", message.offset());
                let hint = "something else wrote to this topic, or a newer version did";
                Stopped::new(exit::DATA, format!("{place}: {error}; {hint}"))
            })
        })?;
        Ok(ledger)
    }

    fn begins(&self, start: &Start, ledger: &Ledger) -> Result<Begins, Stopped> {
        let partition = start.partition;
        let mut begins = HashMap::new();
        for endpoint in self.endpoints.0.iter().filter(|endpoint| !ledger.knows(&endpoint.name)) {
            let begin = match endpoint.since {
                // What was worked off before this endpoint was there is not for it, and on the very first
                // start nothing that is there already.
                Since::Now if start.committed.is_some() => (start.offset, None),
                Since::Now => (self.probe.watermarks(&self.alerts, partition)?.high, None),
                Since::At(at) => {
                    let from = self.probe.offset_at(&self.alerts, partition, at)?;
                    (start.offset.max(from), (from < start.offset).then_some(from))
                }
            };
            begins.insert(endpoint.name.clone(), begin);
        }
        Ok(begins)
    }

    /// The ledger and the group must agree, or alerts would be owed to nobody, or twice.
    fn verify(&self, start: &Start, ledger: &Ledger) -> Result<(), Stopped> {
        let partition = start.partition;
        if let Some(taken) = ledger.taken()
            && taken.partitions != self.partitions
        {
            return Err(Stopped::new(
                exit::CONFIG,
                format!(
                    "the ledger of partition {partition} was written for {} partitions of alerts, there are {}; the \
                     number is fixed for life",
                    taken.partitions, self.partitions
                ),
            ));
        }
        let next = ledger.taken().map(|taken| taken.next);
        if next != start.committed {
            let say = |offset: Option<i64>| offset.map_or("nothing".to_owned(), |offset| offset.to_string());
            return Err(Stopped::new(
                exit::DATA,
                format!(
                    "partition {partition}: the group has committed {} but the ledger on {} stands at {}; offsets were \
                     reset, or the topic was cut. What is owed cannot be told: delete the group's offsets and the topic \
                     together, start with endpoints that have a `since`, and what came after it is told again",
                    say(start.committed),
                    self.deliveries,
                    say(next)
                ),
            ));
        }
        Ok(())
    }
}
