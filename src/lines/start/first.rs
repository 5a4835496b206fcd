//! Where a group begins that has read nothing yet.

use super::{CLUSTER, Stopped};
use crate::domain::time::Timestamp;
use crate::kafka::group::{Group, GroupError};
use crate::kafka::probe::{Probe, Watermarks};
use crate::kafka::producer::Progress;
use crate::lines::mark::{Began, Mark};
use crate::lines::patience::patiently;
use crate::stop::{Stop, exit};

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
    pub(super) fn offset(
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

/// Commits where a group begins that has read nothing yet, before anybody joins it.
///
/// Without that, a process that ends before its first commit would begin at another "latest" the next time, and
/// nobody could tell a partition that was added later, which is read from its first record, from one that was
/// not come to yet. Nothing is committed for `earliest`: there both are the same.
///
/// `now` is noted as the beginning of the watch. A group that is `remembered` has begun, whatever Kafka says.
///
/// # Errors
/// When nobody said where to begin, or the cluster does not answer.
pub fn pin(
    group: &Group,
    probe: &Probe,
    topic: &str,
    first: First,
    now: Timestamp,
    remembered: bool,
) -> Result<(), Stopped> {
    if first == First::Earliest || remembered {
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
