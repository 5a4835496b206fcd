//! Reads whole topics as they are at one moment: to the end that each partition had when its turn came.

use std::sync::Arc;

use super::read::Source;
use super::start::Stopped;
use crate::clock::Clock;
use crate::kafka::client::Cluster;
use crate::kafka::native::Message;
use crate::kafka::probe::Probe;

/// Reads committed records of whole topics, without a group. Somebody's open transaction is waited for.
#[derive(Clone)]
pub struct Snapshots {
    /// The cluster.
    pub cluster: Cluster,
    /// Asks for watermarks.
    pub probe: Probe,
    /// The name the readers give; the group is not joined.
    pub group: String,
    /// Tells the time.
    pub clock: Arc<dyn Clock>,
}

impl std::fmt::Debug for Snapshots {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Snapshots({})", self.group)
    }
}

impl Snapshots {
    /// Hands every record of every partition of `topic` to `visit`, each partition in order. Whether there is
    /// such a topic. `what` it is stands in messages.
    ///
    /// # Errors
    /// When the topic cannot be read, does not come to its end, or `visit` refuses a record.
    pub fn topic(
        &self,
        what: &str,
        topic: &str,
        mut visit: impl FnMut(&Message<'_>) -> Result<(), Stopped>,
    ) -> Result<bool, Stopped> {
        let Some(partitions) = self.probe.partitions(topic)? else { return Ok(false) };
        for partition in 0..partitions {
            self.partition(what, topic, partition, 0, &mut visit)?;
        }
        Ok(true)
    }

    /// Hands every record of a partition from an offset on to `visit`.
    ///
    /// # Errors
    /// As [`Snapshots::topic`].
    pub fn partition(
        &self,
        what: &str,
        topic: &str,
        partition: i32,
        from: i64,
        visit: impl FnMut(&Message<'_>) -> Result<(), Stopped>,
    ) -> Result<(), Stopped> {
        let marks = self.probe.watermarks(topic, partition)?;
        self.source(what, topic, partition).read(marks.low.max(from), marks.high, visit)
    }

    /// Hands every record of a partition from an offset on to `visit` that lies before the first open transaction. So no
    /// transaction of the partition's one writer is seen in part, and none is waited for. Gives the offset behind the last.
    ///
    /// # Errors
    /// As [`Snapshots::topic`].
    pub fn stable(
        &self,
        what: &str,
        topic: &str,
        partition: i32,
        from: i64,
        mut visit: impl FnMut(&Message<'_>) -> Result<(), Stopped>,
    ) -> Result<i64, Stopped> {
        let marks = self.probe.stable_watermarks(topic, partition)?;
        let source = self.source(what, topic, partition);
        source.read(marks.low.max(from), marks.high, |message| {
            if message.offset() < marks.high { visit(message) } else { Ok(()) }
        })?;
        Ok(marks.high)
    }

    fn source<'a>(&'a self, what: &'a str, topic: &'a str, partition: i32) -> Source<'a> {
        let (cluster, group, clock) = (&self.cluster, self.group.as_str(), self.clock.as_ref());
        Source { cluster, group, topic, partition, what, clock }
    }
}
