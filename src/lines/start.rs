//! Where a partition is taken up: the committed offset, or what the user said for the very first time,
//! and whether the log still has what lies between.
//!
//! The questions block (an open transaction of a predecessor holds the committed offset back until it
//! ends), so they are asked on a thread of their own while the worker goes on with its other partitions.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, sync_channel};

mod first;
mod known;
mod lost;

pub use first::{First, pin};
pub use known::{Checkpoints, Remembers};
use known::{Known, Standing};
pub(super) use lost::check_topic_id;

use super::audit::Audit;
use super::mark::{Began, Gap, Mark};
use super::patience::{patiently, until_answered};
use crate::clock::Clock;
use crate::kafka::consumer::{Committed, Lookup};
use crate::kafka::probe::{AskError, Probe};
use crate::stop::{Stop, exit};

/// What to do where the cluster does not answer.
pub const CLUSTER: &str = "is the cluster running and reachable, and kafka.bootstrap_servers right?";

/// Where one partition is taken up.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Start {
    /// The partition.
    pub partition: i32,
    /// The offset to read first.
    pub offset: i64,
    /// What was committed, by whatever source still knows it; `None` where nothing ever was.
    pub committed: Option<i64>,
    /// Reading begins anew, behind a gap that somebody accepted: nothing is committed of it yet.
    pub anew: bool,
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
        match error.refusal {
            // Trying again would not help, and a service manager must not do it without end.
            Some(_) => Stopped::new(exit::CONFIG, error.to_string()),
            None => Stopped::new(exit::UNAVAILABLE, format!("{error}; {CLUSTER}")),
        }
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
    /// What remembers that the group has begun, should Kafka forget it.
    pub remembers: Remembers,
    /// Who answers for going on although records are lost, and where that is written down; `None` stops there.
    pub accept_gap: Option<Audit>,
    /// Tells when a partition was taken up.
    pub clock: Arc<dyn Clock>,
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
        let topic_id = topic_id.as_deref();
        let mut standings = Vec::with_capacity(partitions.len());
        for (partition, committed) in self.committed(partitions)? {
            let what = format!("watermarks of {}/{partition}", self.topic);
            let ask = || self.probe.watermarks(&self.topic, partition);
            let marks = until_answered(&*self.clock, &self.stop, &what, ask)?;
            let mut standing = Standing { partition, committed, marks, fits: false };
            standing.fits = standing.committed.is_some() && self.fits(&standing, topic_id).is_ok();
            standings.push(standing);
        }
        let known = self.known(&standings)?;
        let first = self.first_of(&standings, &known)?;
        let start = |standing| self.start(standing, &known, first, topic_id);
        let starts = standings.into_iter().map(start).collect::<Result<Vec<_>, _>>()?;
        self.note(&starts, topic_id)?;
        Ok(starts)
    }

    /// Where a partition without an offset begins. A group that has begun anywhere in the topic has begun
    /// already: the partition was added later, and all of it is new.
    fn first_of(&self, standings: &[Standing], known: &BTreeMap<i32, Known>) -> Result<First, Stopped> {
        if self.first == First::Earliest || standings.iter().all(|standing| standing.committed.is_some()) {
            return Ok(self.first);
        }
        let partitions = self.probe.partitions(&self.topic)?.unwrap_or(0);
        let everywhere: Vec<i32> = (0..partitions).collect();
        let begun = !known.is_empty()
            || self.committed(&everywhere)?.iter().any(|(_, committed)| committed.is_some());
        Ok(if begun { First::Earliest } else { self.first })
    }

    fn committed(&self, partitions: &[i32]) -> Result<Vec<(i32, Option<Committed>)>, Stopped> {
        patiently(&self.stop, &self.topic, &self.group, || self.lookup.committed(partitions))
    }

    /// Refuses a committed offset of another topic, or one that is not there any more.
    fn fits(&self, standing: &Standing, topic_id: Option<&str>) -> Result<(), Stopped> {
        let Some(committed) = &standing.committed else { return Ok(()) };
        let pinned = Mark::parse(&committed.metadata).topic_id;
        check_topic_id(&self.topic, pinned.as_deref(), topic_id)?;
        self.check_range(standing.partition, committed.offset, standing.marks)
    }

    fn start(
        &self,
        standing: Standing,
        known: &BTreeMap<i32, Known>,
        first: First,
        topic_id: Option<&str>,
    ) -> Result<Start, Stopped> {
        let (partition, known) = (standing.partition, known.get(&standing.partition));
        let mut mark = Mark::default();
        if let Some(committed) = &standing.committed {
            mark = Mark::parse(&committed.metadata);
        }
        mark.began = mark.began.or(known.and_then(|known| known.began));
        mark.topic_id = topic_id.map(str::to_owned).or(mark.topic_id);
        let at = standing.committed.as_ref().map(|committed| committed.offset);
        let stopped = match (at, known) {
            (None, None) => {
                let offset =
                    first.offset(&self.probe, &self.topic, &self.group, partition, standing.marks)?;
                mark.began = Some(Began { offset, at: self.clock.now() });
                return Ok(Start { partition, offset, committed: None, anew: false, mark });
            }
            (Some(offset), _) if standing.fits => {
                return Ok(Start { partition, offset, committed: at, anew: false, mark });
            }
            (_, Some(known)) if self.goes_on(&standing, known, topic_id) => {
                let committed = at.or(known.committed.then_some(known.next));
                // Behind a gap it is begun once, and remembered already.
                return Ok(Start { partition, offset: known.next, committed, anew: known.after_gap, mark });
            }
            (Some(_), _) => self.fits(&standing, topic_id).err(),
            (None, Some(known)) => Some(self.why_not(&standing, known, topic_id)),
        };
        let Some(stopped) = stopped else {
            return Err(Stopped::new(exit::INTERNAL, "an offset fits and does not"));
        };
        let Some(audit) = &self.accept_gap else { return Err(stopped) };
        let was_at = at.or(known.map(|known| known.next)).unwrap_or(standing.marks.low);
        let other_topic =
            at.is_some() || known.is_some_and(|known| is_other(known.topic_id.as_deref(), topic_id));
        // What is beyond the end, or of another topic, says nothing about this one.
        let offset = match other_topic || was_at > standing.marks.high {
            true => standing.marks.low,
            false => standing.marks.low.max(was_at),
        };
        // Of a topic that was made again nothing is known to be lost: the range is empty.
        let last = offset.max(was_at) - 1;
        let by = audit.by().claimed.as_deref().unwrap_or_default();
        let gap = Gap::new(was_at, last, by);
        self.accept(audit, &standing, known, (&gap, offset), &stopped)?;
        mark.gap = Some(gap);
        let committed = at.or(known.filter(|known| known.committed).map(|known| known.next));
        Ok(Start { partition, offset, committed, anew: true, mark })
    }

    /// Whether reading goes on where it is known to have been, without asking anybody.
    fn goes_on(&self, standing: &Standing, known: &Known, topic_id: Option<&str>) -> bool {
        let there = self.check_range(standing.partition, known.next, standing.marks).is_ok();
        if !there || is_other(known.topic_id.as_deref(), topic_id) {
            return false;
        }
        match &standing.committed {
            // Of the range up to here somebody has said already that nobody reads it.
            Some(_) => known.after_gap && !known.committed,
            // Begun, and nothing committed yet: there was nothing to read, or it ended before.
            None if !known.committed => true,
            None => {
                // By number alone another topic could pass for this one.
                let safe = known.safe && known.topic_id.is_some() && topic_id.is_some();
                if safe {
                    tracing::warn!(
                        topic = self.topic,
                        partition = standing.partition,
                        offset = known.next,
                        "the group's offset was forgotten; it goes on where it is known to have been"
                    );
                }
                safe
            }
        }
    }

    /// Why a group that Kafka has forgotten does not go on.
    fn why_not(&self, standing: &Standing, known: &Known, topic_id: Option<&str>) -> Stopped {
        let fit = check_topic_id(&self.topic, known.topic_id.as_deref(), topic_id);
        if let Err(stopped) = fit {
            return stopped;
        }
        match self.check_range(standing.partition, known.next, standing.marks) {
            Err(stopped) if known.next > standing.marks.high || !known.committed => stopped,
            _ => self.forgotten(standing, known),
        }
    }
}

/// Whether two ids are known and name different topics.
fn is_other(pinned: Option<&str>, found: Option<&str>) -> bool {
    matches!((pinned, found), (Some(pinned), Some(found)) if pinned != found)
}
