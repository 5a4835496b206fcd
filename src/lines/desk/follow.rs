//! Reads all partitions of a topic to their ends, and on.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use crate::clock::Clock;
use crate::domain::time::Timestamp;
use crate::kafka::client::Cluster;
use crate::kafka::native::Message;
use crate::kafka::probe::{Probe, Watermarks};
use crate::kafka::reader::{Read, Reader};
use crate::lines::start::Stopped;
use crate::stop::{Stop, exit};

/// How long reading to the end may make no progress.
const STALL: Duration = Duration::from_secs(60);

/// Where a topic is begun.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Begin {
    /// At the first record that is there.
    Start,
    /// At the first record written at this time or later.
    Time(Timestamp),
    /// Behind the last record that is there.
    End,
}

/// A topic that is being read.
#[derive(Debug)]
pub struct Followed {
    topic: String,
    reader: Reader,
    /// By partition: the offset that comes next.
    reached: BTreeMap<i32, i64>,
}

impl Followed {
    /// Begins to read `topic`. `group` is not joined.
    ///
    /// # Errors
    /// When the topic does not exist or the cluster does not answer.
    pub fn begin(
        cluster: &Cluster,
        probe: &Probe,
        group: &str,
        topic: &str,
        from: Begin,
    ) -> Result<Followed, Stopped> {
        let mut reached = BTreeMap::new();
        for (partition, marks) in marks(probe, topic)? {
            let offset = match from {
                Begin::Start => marks.low,
                Begin::Time(at) => probe.offset_at(topic, partition, at)?,
                Begin::End => marks.high,
            };
            reached.insert(partition, offset);
        }
        let starts: Vec<(i32, i64)> =
            reached.iter().map(|(partition, offset)| (*partition, *offset)).collect();
        let reader =
            Reader::new(cluster, group, topic, &starts).map_err(|error| unreadable(topic, &error))?;
        Ok(Followed { topic: topic.to_owned(), reader, reached })
    }

    /// Takes what is there, waiting up to `wait` for the first record.
    ///
    /// # Errors
    /// When the topic cannot be read.
    pub fn turn(&mut self, wait: Duration, mut each: impl FnMut(&Message<'_>)) -> Result<(), Stopped> {
        for read in self.reader.read(wait) {
            match read {
                Read::Record(message) => {
                    each(&message);
                    self.reached.insert(message.partition(), message.offset() + 1);
                }
                Read::End { partition, offset } => {
                    let reached = self.reached.entry(partition).or_insert(offset);
                    *reached = offset.max(*reached);
                }
                Read::Failed { code, .. } => return Err(unreadable(&self.topic, &code)),
            }
        }
        Ok(())
    }

    /// Whether every partition was read up to where `marks` end.
    pub fn is_past(&self, marks: &BTreeMap<i32, Watermarks>) -> bool {
        let reached = |partition: &i32| self.reached.get(partition).copied().unwrap_or(0);
        marks.iter().all(|(partition, marks)| reached(partition) >= marks.high)
    }

    /// Reads to the end of this moment, as a client sees it that reads uncommitted: an open transaction is waited for.
    ///
    /// # Errors
    /// When the topic cannot be read or there is no progress.
    pub fn to_end(
        &mut self,
        probe: &Probe,
        clock: &dyn Clock,
        stop: &Stop,
        mut each: impl FnMut(&Message<'_>),
    ) -> Result<(), Stopped> {
        let ends = marks(probe, &self.topic)?;
        let mut last_progress: Instant = clock.instant();
        while !self.is_past(&ends) && !stop.is_asked() {
            let before = self.reached.clone();
            self.turn(Duration::from_millis(100), &mut each)?;
            if self.reached != before {
                last_progress = clock.instant();
            } else if clock.instant() - last_progress > STALL {
                let seconds = STALL.as_secs();
                let message = format!("no progress for {seconds} s; is a transaction left open?");
                return Err(unreadable(&self.topic, &message));
            }
        }
        Ok(())
    }
}

/// What every partition of a topic holds, open transactions included.
///
/// # Errors
/// When the topic does not exist or the cluster does not answer.
pub fn marks(probe: &Probe, topic: &str) -> Result<BTreeMap<i32, Watermarks>, Stopped> {
    let Some(partitions) = probe.partitions(topic)? else {
        let message = format!("topic {topic} does not exist; make it with `cardwatch topics --create`");
        return Err(Stopped::new(exit::CONFIG, message));
    };
    let each = (0..partitions).map(|partition| Ok((partition, probe.watermarks(topic, partition)?)));
    each.collect()
}

fn unreadable(topic: &str, error: &dyn std::fmt::Display) -> Stopped {
    Stopped::new(exit::UNAVAILABLE, format!("topic {topic} cannot be read: {error}"))
}
