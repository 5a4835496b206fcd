//! Where a partition is taken up: the committed offset, or what the user said for the very first time,
//! and whether the log still has what lies between.
//!
//! The questions block (an open transaction of a predecessor holds the committed offset back until it
//! ends), so they are asked on a thread of their own while the worker goes on with its other partitions.

use std::sync::mpsc::{Receiver, sync_channel};
use std::time::Duration;

use super::mark::{Gap, Mark};
use crate::backoff::Backoff;
use crate::domain::time::Timestamp;
use crate::kafka::consumer::{Committed, Lookup};
use crate::kafka::probe::{AskError, Probe, Watermarks};
use crate::stop::{Stop, exit};

/// How long a predecessor's transaction may hold the answer back before this is a failure. Well above
/// the transaction time-out plus the coordinator's clean-up interval.
const PATIENCE: Duration = Duration::from_secs(180);

/// What to do where the cluster does not answer.
pub const CLUSTER: &str = "is the cluster running and reachable, and kafka.bootstrap_servers right?";

/// What to do about lost records.
const ACCEPT: &str = "To go on with the first record there is, start once with `cardwatch run --accept-gap WHO`, which notes who \
     answers for it";

/// Where a group without a committed offset begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum First {
    /// At the first record that is there.
    Earliest,
    /// Behind the last record that is there.
    Latest,
    /// At the first record of this time or later.
    At(Timestamp),
    /// Nobody said: that is an error where it is needed.
    Unsaid,
}

/// Where one partition is taken up.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Start {
    /// The partition.
    pub partition: i32,
    /// The offset to read first.
    pub offset: i64,
    /// What was committed; `None` where nothing ever was.
    pub committed: Option<i64>,
    /// What the committing worker wrote beside it.
    pub mark: Mark,
}

/// A line stops for good: the exit code and what a person should know.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct Stopped {
    /// The exit code, of sysexits.
    pub code: u8,
    /// What, where, what to do.
    pub message: String,
}

impl Stopped {
    /// Stops with `code` and `message`.
    pub fn new(code: u8, message: impl Into<String>) -> Stopped {
        Stopped { code, message: message.into() }
    }
}

impl From<AskError> for Stopped {
    fn from(error: AskError) -> Stopped {
        Stopped::new(exit::UNAVAILABLE, format!("{error}; {CLUSTER}"))
    }
}

/// Finds where partitions are taken up.
#[derive(Debug, Clone)]
pub struct Starts {
    /// Asks for committed offsets.
    pub lookup: Lookup,
    /// Asks for watermarks.
    pub probe: Probe,
    /// The topic.
    pub topic: String,
    /// The group, for messages.
    pub group: String,
    /// Where to begin without a committed offset.
    pub first: First,
    /// Who answers for going on although records are lost; `None` stops there.
    pub accept_gap: Option<String>,
    /// Ends the waiting.
    pub stop: Stop,
}

impl Starts {
    /// Asks on a thread of its own; the answer comes through the channel.
    pub fn find(&self, partitions: Vec<i32>) -> Receiver<Result<Vec<Start>, Stopped>> {
        let (sender, receiver) = sync_channel(1);
        let asking = self.clone();
        std::thread::spawn(move || {
            // The worker may be gone by now; then nobody needs the answer.
            let _ = sender.send(asking.ask(&partitions));
        });
        receiver
    }

    fn ask(&self, partitions: &[i32]) -> Result<Vec<Start>, Stopped> {
        let topic_id = self.probe.topic_id(&self.topic);
        let committed = self.committed(partitions)?;
        let mut starts = Vec::with_capacity(committed.len());
        for (partition, committed) in committed {
            let marks = self.probe.watermarks(&self.topic, partition)?;
            starts.push(self.start(partition, committed, marks, topic_id.as_deref())?);
        }
        Ok(starts)
    }

    fn committed(&self, partitions: &[i32]) -> Result<Vec<(i32, Option<Committed>)>, Stopped> {
        let mut backoff = Backoff::new(Duration::from_millis(100), Duration::from_secs(1));
        let mut waited = Duration::ZERO;
        loop {
            match self.lookup.committed(partitions) {
                Ok(committed) => return Ok(committed),
                Err(error) if waited < PATIENCE && !self.stop.is_asked() => {
                    tracing::info!(topic = self.topic, group = self.group, %error, "committed offsets are held back, asking again");
                    let wait = backoff.next_wait();
                    waited += wait;
                    self.stop.wait(wait);
                }
                Err(error) => {
                    return Err(Stopped::new(
                        exit::UNAVAILABLE,
                        format!("group {} does not tell its offsets of {}: {error}", self.group, self.topic),
                    ));
                }
            }
        }
    }

    fn start(
        &self,
        partition: i32,
        committed: Option<Committed>,
        marks: Watermarks,
        topic_id: Option<&str>,
    ) -> Result<Start, Stopped> {
        let Some(committed) = committed else {
            let offset = self.first_offset(partition, marks)?;
            let mark = Mark { topic_id: topic_id.map(str::to_owned), ..Mark::default() };
            return Ok(Start { partition, offset, committed: None, mark });
        };
        let mut mark = Mark::parse(&committed.metadata);
        let fit = check_topic_id(&self.topic, mark.topic_id.as_deref(), topic_id)
            .and_then(|()| self.check_range(partition, committed.offset, marks));
        mark.topic_id = topic_id.map(str::to_owned).or(mark.topic_id);
        let mut offset = committed.offset;
        if let Err(stopped) = fit {
            let Some(by) = &self.accept_gap else { return Err(stopped) };
            // Of a topic that was made again nothing is known to be lost: the range is empty.
            let gap = Gap::new(committed.offset, marks.low.max(committed.offset) - 1, by);
            tracing::warn!(
                topic = self.topic,
                partition,
                first = gap.first,
                last = gap.last,
                by = gap.by,
                reason = stopped.message,
                "a gap was accepted, reading goes on with the first record there is"
            );
            offset = marks.low;
            mark.gap = Some(gap);
        }
        Ok(Start { partition, offset, committed: Some(committed.offset), mark })
    }

    fn first_offset(&self, partition: i32, marks: Watermarks) -> Result<i64, Stopped> {
        match self.first {
            First::Earliest => Ok(marks.low),
            First::Latest => Ok(marks.high),
            First::At(at) => Ok(self.probe.offset_at(&self.topic, partition, at)?),
            First::Unsaid => Err(Stopped::new(
                exit::CONFIG,
                format!(
                    "group {} has read nothing of {} yet and input.start is not set; \
                     write start = \"earliest\", \"latest\" or a time under [input]",
                    self.group, self.topic
                ),
            )),
        }
    }

    fn check_range(&self, partition: i32, next: i64, marks: Watermarks) -> Result<(), Stopped> {
        if next < marks.low {
            let time = match self.probe.time_at(&self.topic, partition, marks.low) {
                Ok(time) if marks.low < marks.high => format!("all from before {time}, "),
                // Nothing is left that would tell.
                _ => String::new(),
            };
            return Err(Stopped::new(
                exit::DATA,
                format!(
                    "{} records of {}/{partition} are lost: offsets {next} to {}, {time}expired before group {} had \
                     read them; lengthen the topic's retention. {ACCEPT}",
                    marks.low - next,
                    self.topic,
                    marks.low - 1,
                    self.group,
                ),
            ));
        }
        if next > marks.high {
            return Err(Stopped::new(
                exit::CONFIG,
                format!(
                    "group {} had read {}/{partition} up to offset {next}, but the topic ends at {}: it was deleted and \
                     made again, or cut. {ACCEPT}",
                    self.group, self.topic, marks.high,
                ),
            ));
        }
        Ok(())
    }
}

/// Refuses a topic that is not the one whose offsets were committed.
pub(super) fn check_topic_id(topic: &str, pinned: Option<&str>, found: Option<&str>) -> Result<(), Stopped> {
    match (pinned, found) {
        (Some(pinned), Some(found)) if pinned != found => Err(Stopped::new(
            exit::CONFIG,
            format!(
                "topic {topic} was deleted and made again (its id was {pinned}, now {found}): committed offsets mean \
                 other records. {ACCEPT}"
            ),
        )),
        _ => Ok(()),
    }
}
