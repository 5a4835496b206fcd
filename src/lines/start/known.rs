//! What is known of a group's place beside what Kafka has committed.

use std::collections::BTreeMap;
use std::fmt::Debug;
use std::sync::Arc;

use super::{Start, Starts, Stopped};
use crate::domain::begun::{Begun, BegunKey};
use crate::domain::time::Timestamp;
use crate::fault;
use crate::kafka::consumer::Committed;
use crate::kafka::probe::Watermarks;
use crate::lines::beginnings::Beginnings;
use crate::lines::mark::Began;

/// What remembers that a group has begun, should Kafka forget it.
#[derive(Debug, Clone)]
pub enum Remembers {
    /// Nothing: the cluster lives no longer than this process.
    Nothing,
    /// Records that are near the place: what was read since they were noted would be read twice.
    Near(Beginnings),
    /// The same, where reading twice changes nothing in the end.
    NearEnough(Beginnings),
    /// Checkpoints beside a line's own state, written in the transaction of the offsets: they are the place itself.
    Exactly(Arc<dyn Checkpoints>),
}

/// Where a line's own state says that its input stands.
pub trait Checkpoints: Debug + Send + Sync {
    /// The next offset of a partition and the id of the topic it is an offset of; `None` before the first transaction.
    ///
    /// # Errors
    /// When the state cannot be read.
    fn place(&self, partition: i32) -> Result<Option<(i64, Option<String>)>, Stopped>;
}

/// A group's place in a partition, from another source than its committed offset.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Known {
    /// The offset to go on with.
    pub(super) next: i64,
    /// Whether an offset was ever committed; otherwise `next` is where reading began.
    pub(super) committed: bool,
    /// The id of the topic it belongs to.
    pub(super) topic_id: Option<String>,
    /// Where and when reading began.
    pub(super) began: Option<Began>,
    /// When this was noted, where it may be past.
    pub(super) noted: Option<Timestamp>,
    /// The time of the newest record below `next`.
    pub(super) newest: Option<Timestamp>,
    /// Reading began anew at `next`, behind a gap that somebody accepted.
    pub(super) after_gap: bool,
    /// Going on at `next` loses nothing and changes nothing that was read before.
    pub(super) safe: bool,
}

impl Known {
    fn of(begun: &Begun, safe: bool) -> Known {
        Known {
            next: begun.stands_at(),
            committed: begun.next.is_some(),
            topic_id: begun.topic_id.clone(),
            began: Some(Began { offset: begun.first, at: begun.since }),
            noted: Some(begun.at),
            newest: begun.newest,
            after_gap: begun.after_gap,
            safe,
        }
    }
}

/// A partition that is to be taken up, as Kafka has it.
pub(super) struct Standing {
    pub(super) partition: i32,
    pub(super) committed: Option<Committed>,
    pub(super) marks: Watermarks,
    /// Whether the committed offset is one to go on with.
    pub(super) fits: bool,
}

impl Starts {
    /// What is known beside `standings`, by partition. Of a group that reads records, of every partition.
    pub(super) fn known(&self, standings: &[Standing]) -> Result<BTreeMap<i32, Known>, Stopped> {
        let (beginnings, safe) = match &self.remembers {
            _ if fault::broken("begun-not-remembered") => return Ok(BTreeMap::new()),
            Remembers::Nothing => return Ok(BTreeMap::new()),
            Remembers::Exactly(state) => return checkpoints(&**state, standings),
            Remembers::Near(beginnings) => (beginnings, false),
            Remembers::NearEnough(beginnings) => (beginnings, true),
        };
        let (group, topic) = (self.group.as_str(), self.topic.as_str());
        let mut begun = beginnings.recalled(group, topic);
        if !standings.iter().all(|standing| standing.fits && begun.contains_key(&standing.partition)) {
            begun = beginnings.recall(group, topic)?;
        }
        Ok(begun.iter().map(|(partition, begun)| (*partition, Known::of(begun, safe))).collect())
    }

    /// Writes down what is begun now, before anything of it is read.
    pub(super) fn note(&self, starts: &[Start], topic_id: Option<&str>) -> Result<(), Stopped> {
        let (Remembers::Near(beginnings) | Remembers::NearEnough(beginnings)) = &self.remembers else {
            return Ok(());
        };
        let now = self.clock.now();
        let known = beginnings.recalled(&self.group, &self.topic);
        let new = starts.iter().filter_map(|start| {
            let before = known.get(&start.partition);
            let same_topic = before.is_some_and(|before| {
                before.topic_id.is_none() || topic_id.is_none() || before.topic_id.as_deref() == topic_id
            });
            let is_noted = |before: &Begun| before.after_gap && before.stands_at() == start.offset;
            if same_topic && (!start.anew || before.is_some_and(is_noted)) {
                return None;
            }
            let began = start.mark.began.filter(|_| !start.anew);
            let (first, since) = began.map_or((start.offset, now), |began| (began.offset, began.at));
            let mut begun = beginnings.record(topic_id, first, since, now);
            begun.next = start.committed.filter(|_| !start.anew);
            begun.after_gap = start.anew;
            let (group, topic) = (self.group.clone(), self.topic.clone());
            Some((BegunKey { group, topic, partition: start.partition }, begun))
        });
        beginnings.note(new.collect())
    }
}

/// The checkpoints of those partitions of which Kafka knows nothing.
fn checkpoints(state: &dyn Checkpoints, standings: &[Standing]) -> Result<BTreeMap<i32, Known>, Stopped> {
    let mut known = BTreeMap::new();
    for standing in standings.iter().filter(|standing| standing.committed.is_none()) {
        let Some((next, topic_id)) = state.place(standing.partition)? else { continue };
        let place = Known { next, committed: true, topic_id, safe: true, ..Known::default() };
        known.insert(standing.partition, place);
    }
    Ok(known)
}
