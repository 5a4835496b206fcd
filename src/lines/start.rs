//! Where a partition is taken up: the committed offset, or what the user said for the very first time,
//! and whether the log still has what lies between.
//!
//! The questions block (an open transaction of a predecessor holds the committed offset back until it
//! ends), so they are asked on a thread of their own while the worker goes on with its other partitions.

use std::sync::mpsc::{Receiver, sync_channel};
use std::time::Duration;

use rdkafka::error::KafkaError;

use super::audit::{Audit, Deed};
use super::mark::{Began, Gap, Mark};
use crate::backoff::Backoff;
use crate::clock::{Clock, SystemClock};
use crate::domain::audit::{Act, LostRange};
use crate::domain::time::Timestamp;
use crate::kafka::consumer::{Committed, Lookup};
use crate::kafka::group::{Group, GroupError};
use crate::kafka::probe::{AskError, Probe, Watermarks};
use crate::kafka::producer::Progress;
use crate::stop::{Stop, exit};

/// How long a predecessor's transaction, or a broker that went, may hold an answer back before this is a
/// failure. Well above the transaction time-out plus the coordinator's clean-up interval.
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

impl First {
    fn offset(
        self,
        probe: &Probe,
        topic: &str,
        group: &str,
        partition: i32,
        marks: Watermarks,
    ) -> Result<i64, Stopped> {
        match self {
            First::Earliest => Ok(marks.low),
            First::Latest => Ok(marks.high),
            First::At(at) => Ok(probe.offset_at(topic, partition, at)?),
            First::Unsaid => Err(Stopped::new(
                exit::CONFIG,
                format!(
                    "group {group} has read nothing of {topic} yet and input.start is not set; \
                     write start = \"earliest\", \"latest\" or a time under [input]"
                ),
            )),
        }
    }
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
    /// Who answers for going on although records are lost, and where that is written down; `None` stops there.
    pub accept_gap: Option<Audit>,
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
        let first = self.first_of(&committed)?;
        let mut starts = Vec::with_capacity(committed.len());
        for (partition, committed) in committed {
            let what = format!("watermarks of {}/{partition}", self.topic);
            let ask = || self.probe.watermarks(&self.topic, partition);
            let marks = until_answered(&SystemClock, &self.stop, &what, ask)?;
            starts.push(self.start(partition, committed, marks, first, topic_id.as_deref())?);
        }
        Ok(starts)
    }

    /// Where a partition without an offset begins. A group that has one anywhere in the topic has begun
    /// already: the partition was added later, and all of it is new.
    fn first_of(&self, committed: &[(i32, Option<Committed>)]) -> Result<First, Stopped> {
        if self.first == First::Earliest || committed.iter().all(|(_, committed)| committed.is_some()) {
            return Ok(self.first);
        }
        let partitions = self.probe.partitions(&self.topic)?.unwrap_or(0);
        let everywhere: Vec<i32> = (0..partitions).collect();
        let begun = self.committed(&everywhere)?.iter().any(|(_, committed)| committed.is_some());
        Ok(if begun { First::Earliest } else { self.first })
    }

    fn committed(&self, partitions: &[i32]) -> Result<Vec<(i32, Option<Committed>)>, Stopped> {
        patiently(&self.stop, &self.topic, &self.group, || self.lookup.committed(partitions))
    }

    fn start(
        &self,
        partition: i32,
        committed: Option<Committed>,
        marks: Watermarks,
        first: First,
        topic_id: Option<&str>,
    ) -> Result<Start, Stopped> {
        let Some(committed) = committed else {
            let offset = first.offset(&self.probe, &self.topic, &self.group, partition, marks)?;
            let mark = Mark { topic_id: topic_id.map(str::to_owned), ..Mark::default() };
            return Ok(Start { partition, offset, committed: None, mark });
        };
        let mut mark = Mark::parse(&committed.metadata);
        let fit = check_topic_id(&self.topic, mark.topic_id.as_deref(), topic_id)
            .and_then(|()| self.check_range(partition, committed.offset, marks));
        mark.topic_id = topic_id.map(str::to_owned).or(mark.topic_id);
        let mut offset = committed.offset;
        if let Err(stopped) = fit {
            let Some(audit) = &self.accept_gap else { return Err(stopped) };
            // Of a topic that was made again nothing is known to be lost: the range is empty.
            let last = marks.low.max(committed.offset) - 1;
            let by = audit.by().claimed.as_deref().unwrap_or_default();
            let gap = Gap::new(committed.offset, last, by);
            self.accept(audit, partition, &gap, marks, &stopped)?;
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

    /// Writes down that a range is given up, before anything behind it is read. Should the process end before
    /// the offset behind it is committed, the same range is accepted, and written down, once more.
    fn accept(
        &self,
        audit: &Audit,
        partition: i32,
        gap: &Gap,
        marks: Watermarks,
        stopped: &Stopped,
    ) -> Result<(), Stopped> {
        let lost = LostRange {
            topic: self.topic.clone(),
            partition,
            group: self.group.clone(),
            first: gap.first,
            last: gap.last,
            from: None,
            until: self.time_at(partition, marks.low, marks),
        };
        let deed = Deed::new(Act::AcceptGap, lost.subject())
            .before(serde_json::json!({ "next": gap.first }))
            .after(serde_json::json!({ "next": marks.low, "lost": lost }))
            .because(Some(&stopped.message));
        audit.record(deed).map(drop)
    }

    /// The time of the record at `offset`; `None` where there is none, or the cluster does not tell.
    fn time_at(&self, partition: i32, offset: i64, marks: Watermarks) -> Option<Timestamp> {
        let there = (marks.low..marks.high).contains(&offset);
        there.then(|| self.probe.time_at(&self.topic, partition, offset).ok()).flatten()
    }

    /// Why a line stops whose next record is gone while it reads.
    pub(super) fn lost(&self, partition: i32, next: i64) -> Stopped {
        let marks = self.probe.watermarks(&self.topic, partition);
        match marks.map_err(Stopped::from).and_then(|marks| self.check_range(partition, next, marks)) {
            Err(stopped) => stopped,
            // Within the range again: a replica that lagged behind was asked.
            Ok(()) => Stopped::new(
                exit::UNAVAILABLE,
                format!(
                    "{}/{partition} did not give its records from offset {next} on; start again",
                    self.topic
                ),
            ),
        }
    }

    fn check_range(&self, partition: i32, next: i64, marks: Watermarks) -> Result<(), Stopped> {
        if next < marks.low {
            // Where nothing is left, nothing would tell.
            let time = self.time_at(partition, marks.low, marks);
            let time = time.map_or_else(String::new, |time| format!("all from before {time}, "));
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
                exit::DATA,
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

/// Commits where a group begins that has read nothing yet, before anybody joins it.
///
/// Without that, a process that ends before its first commit would begin at another "latest" the next time, and
/// nobody could tell a partition that was added later, which is read from its first record, from one that was
/// not come to yet. Nothing is committed for `earliest`: there both are the same.
///
/// `now` is noted as the beginning of the watch.
///
/// # Errors
/// When nobody said where to begin, or the cluster does not answer.
pub fn pin(group: &Group, probe: &Probe, topic: &str, first: First, now: Timestamp) -> Result<(), Stopped> {
    if first == First::Earliest {
        return Ok(());
    }
    let asked = |error: &dyn std::fmt::Display| {
        Stopped::new(exit::UNAVAILABLE, format!("the offsets of group {}: {error}; {CLUSTER}", group.name()))
    };
    let partitions = probe.partitions(topic)?.unwrap_or(0);
    let committed = patiently(&Stop::new(), topic, group.name(), || group.committed(topic, partitions))?;
    if committed.iter().any(|(_, committed)| committed.is_some()) {
        return Ok(());
    }
    let topic_id = probe.topic_id(topic);
    let mut progress = Vec::new();
    for partition in 0..partitions {
        let marks = probe.watermarks(topic, partition)?;
        let next = first.offset(probe, topic, group.name(), partition, marks)?;
        let began = Some(Began { offset: next, at: now });
        let metadata = Mark { topic_id: topic_id.clone(), began, ..Mark::default() }.to_string();
        progress.push(Progress { partition, next, metadata });
    }
    match group.set(topic, &progress) {
        Ok(()) => {
            tracing::info!(topic, group = group.name(), "the group begins here");
            Ok(())
        }
        // Another process was first, and has said where.
        Err(GroupError::Active(_)) => Ok(()),
        Err(error) => Err(asked(&error)),
    }
}

/// Asks for committed offsets until they are told: an open transaction of a predecessor holds them back.
///
/// # Errors
/// When they are not told for longer than such a transaction lasts, or `stop` is asked.
pub(super) fn patiently<T>(
    stop: &Stop,
    topic: &str,
    group: &str,
    ask: impl FnMut() -> Result<T, KafkaError>,
) -> Result<T, Stopped> {
    let what = format!("committed offsets of group {group} on {topic}");
    until_answered(&SystemClock, stop, &what, ask).map_err(|error| {
        Stopped::new(
            exit::UNAVAILABLE,
            format!("group {group} does not tell its offsets of {topic}: {error}; {CLUSTER}"),
        )
    })
}

/// Asks for `what` until there is an answer, as long as a cluster in motion may take for one.
///
/// # Errors
/// The last one, when there was no answer in all that time or `stop` is asked.
pub(super) fn until_answered<T, E: std::fmt::Display>(
    clock: &dyn Clock,
    stop: &Stop,
    what: &str,
    mut ask: impl FnMut() -> Result<T, E>,
) -> Result<T, E> {
    let mut backoff = Backoff::new(Duration::from_millis(100), Duration::from_secs(1));
    let started = clock.instant();
    loop {
        match ask() {
            Err(error) if clock.instant() - started < PATIENCE && !stop.is_asked() => {
                tracing::info!(what, %error, "no answer yet, asking again");
                stop.wait(backoff.next_wait());
            }
            answer => return answer,
        }
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::ManualClock;
    use crate::stop::Reason;

    /// Asks somebody who answers the n-th question, if at all, and lets `passes` pass at each.
    fn asked(answers_at: u32, passes: Duration, stop: &Stop) -> (Result<u32, u32>, u32) {
        let clock = ManualClock::at(Timestamp(0));
        let mut questions = 0;
        let answer = until_answered(&clock, stop, "something", || {
            questions += 1;
            let now = Timestamp(clock.now().millis() + i64::try_from(passes.as_millis()).unwrap());
            clock.set(now);
            if questions == answers_at { Ok(questions) } else { Err(questions) }
        });
        (answer, questions)
    }

    #[test]
    fn a_cluster_in_motion_is_asked_again_and_not_for_ever() {
        assert_eq!(asked(3, Duration::from_secs(1), &Stop::new()), (Ok(3), 3));
        assert_eq!(asked(9, PATIENCE / 2, &Stop::new()), (Err(2), 2));
    }

    #[test]
    fn whoever_is_to_stop_asks_no_more() {
        let stop = Stop::new();
        stop.ask(Reason::Asked);
        assert_eq!(asked(2, Duration::ZERO, &stop), (Err(1), 1));
    }
}
