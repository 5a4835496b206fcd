//! Moves the input's group over records that nobody will read, when a person says so.

use crate::domain::audit::{Act, LostRange};
use crate::domain::begun::Begun;
use crate::domain::time::Timestamp;
use crate::kafka::group::{Group, GroupError};
use crate::kafka::probe::{Probe, Watermarks};
use crate::kafka::producer::Progress;
use crate::stop::{Stop, exit};

use super::audit::{Audit, Deed};
use super::beginnings::Beginnings;
use super::mark::{Began, Gap, Mark};
use super::patience::patiently;
use super::start::{CLUSTER, Stopped};

/// Where to go on reading.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Target {
    /// At this offset.
    Offset(i64),
    /// At the first record of this time or later.
    Time(Timestamp),
}

/// What is skipped.
#[derive(Debug)]
pub struct Skip<'a> {
    /// The group that reads the topic.
    pub group: &'a Group,
    /// Asks for watermarks.
    pub probe: &'a Probe,
    /// What is remembered of the group, should Kafka have forgotten it.
    pub beginnings: &'a Beginnings,
    /// The topic.
    pub topic: &'a str,
    /// The partition.
    pub partition: i32,
    /// Where to go on.
    pub target: Target,
    /// Why.
    pub reason: &'a str,
}

/// What was skipped.
#[derive(Debug, Clone, PartialEq)]
pub struct Skipped {
    /// The records that nobody will read.
    pub lost: LostRange,
    /// The next offset to read.
    pub next: i64,
}

/// Where the group stands, and where it is to stand.
struct Move {
    lost: LostRange,
    next: i64,
    mark: Mark,
}

impl Skip<'_> {
    /// Skips, as `audit`'s person.
    ///
    /// # Errors
    /// When the group is active, the place is behind what is read already or beyond the end, the act cannot be
    /// written down, or the cluster does not answer.
    pub fn run(&self, audit: &Audit) -> Result<Skipped, Stopped> {
        let members = self.group.members().map_err(|error| self.unavailable(&error))?;
        if !members.is_empty() {
            return Err(self.active(&members));
        }
        let Move { lost, next, mut mark } = self.plan()?;
        let by = audit.by();
        let who = by.claimed.clone().unwrap_or_else(|| by.login());
        mark.gap = Some(Gap::new(lost.first, lost.last, &who));
        let deed = Deed::new(Act::Skip, lost.subject())
            .before(serde_json::json!({ "next": lost.first }))
            .after(serde_json::json!({ "next": next, "lost": lost }))
            .because(Some(self.reason));
        let begun = audit.begin(deed)?;
        let progress = Progress { partition: self.partition, next, metadata: mark.to_string() };
        let moved = match self.group.set(self.topic, &[progress]) {
            Ok(()) => Ok(()),
            Err(GroupError::Active(_)) => Err(self.active(&[])),
            // Refused, or done and not answered: the group itself knows.
            Err(error) => match self.stands_at() {
                Ok(Some((found, _))) if found == next => Ok(()),
                Ok(_) => Err(self.unavailable(&error)),
                Err(_) => {
                    let message = format!(
                        "whether the skip took place is not known ({error}); the audit record has its intent. Run it \
                         again when the cluster answers"
                    );
                    return Err(Stopped::new(exit::UNAVAILABLE, message));
                }
            },
        };
        begun.end_with(moved)?;
        Ok(Skipped { lost, next })
    }

    fn plan(&self) -> Result<Move, Stopped> {
        let (topic, partition) = (self.topic, self.partition);
        let partitions = self.probe.partitions(topic)?.unwrap_or(0);
        if !(0..partitions).contains(&partition) {
            let message =
                format!("topic {topic} has no partition {partition}: it has {partitions}, from 0 on");
            return Err(Stopped::new(exit::DATA, message));
        }
        let marks = self.probe.watermarks(topic, partition)?;
        let next = match self.target {
            Target::Offset(offset) => offset,
            Target::Time(at) => self.probe.offset_at(topic, partition, at)?,
        };
        let committed = self.stands_at()?;
        // Where Kafka has forgotten the place, to say the same place again skips nothing and is what is needed.
        let may_stay = committed.is_none();
        let (first, mark) = match committed {
            Some(committed) => committed,
            None => self.remembered(marks)?,
        };
        if next == first && !may_stay {
            let message = format!(
                "group {} reads {topic}/{partition} from offset {first} on already: there is nothing to skip",
                self.group.name()
            );
            return Err(Stopped::new(exit::DATA, message));
        }
        if next < first {
            let message = format!(
                "group {} reads {topic}/{partition} from offset {first} on; going back to {next} would recognise the \
                 records in between twice, and skip none",
                self.group.name()
            );
            return Err(Stopped::new(exit::DATA, message));
        }
        if next > marks.high {
            let message = format!("{topic}/{partition} ends at offset {}; {next} is beyond it", marks.high);
            return Err(Stopped::new(exit::DATA, message));
        }
        let there = |offset: i64| (marks.low..marks.high).contains(&offset);
        let time = |offset: i64| match there(offset) {
            true => self.probe.time_at(topic, partition, offset).map(Some),
            false => Ok(None),
        };
        let lost = LostRange {
            topic: topic.to_owned(),
            partition,
            group: self.group.name().to_owned(),
            first,
            last: next - 1,
            from: time(first)?,
            until: time(next)?,
        };
        let mark = Mark { topic_id: mark.topic_id.clone().or_else(|| self.probe.topic_id(topic)), ..mark };
        Ok(Move { lost, next, mark })
    }

    /// Where the group is remembered to have been, if that is in the topic; its start where it is not.
    fn remembered(&self, marks: Watermarks) -> Result<(i64, Mark), Stopped> {
        let begun = self.beginnings.recall(self.group.name(), self.topic)?.remove(&self.partition);
        let topic_id = self.probe.topic_id(self.topic);
        let same =
            |begun: &Begun| topic_id.is_none() || begun.topic_id.is_none() || begun.topic_id == topic_id;
        match begun.filter(|begun| same(begun) && begun.stands_at() <= marks.high) {
            Some(begun) => {
                let began = Some(Began { offset: begun.first, at: begun.since });
                Ok((begun.stands_at(), Mark { began, ..Mark::default() }))
            }
            None => Ok((marks.low, Mark::default())),
        }
    }

    /// The committed offset with its mark; `None` where nothing was ever committed.
    fn stands_at(&self) -> Result<Option<(i64, Mark)>, Stopped> {
        let ask = || self.group.committed(self.topic, self.partition + 1);
        let committed = patiently(&Stop::new(), self.topic, self.group.name(), ask)?;
        let own = committed.into_iter().find(|(partition, _)| *partition == self.partition);
        let committed = own.and_then(|(_, committed)| committed);
        Ok(committed.map(|committed| (committed.offset, Mark::parse(&committed.metadata))))
    }

    fn active(&self, members: &[String]) -> Stopped {
        let members = if members.is_empty() { String::new() } else { format!(" ({})", members.join(", ")) };
        Stopped::new(
            exit::UNAVAILABLE,
            format!(
                "group {} is active{members}: stop every `cardwatch run` that reads {} and skip then; a process that was \
                 killed counts as active for 10 s",
                self.group.name(),
                self.topic
            ),
        )
    }

    fn unavailable(&self, error: &dyn std::fmt::Display) -> Stopped {
        Stopped::new(exit::UNAVAILABLE, format!("group {}: {error}; {CLUSTER}", self.group.name()))
    }
}
