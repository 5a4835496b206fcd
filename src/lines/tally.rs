//! What a line has worked off of each partition since the partition began, counted exactly: the counts are committed
//! beside the offset, in the transaction that works the records off, and so survive restarts and moves.

use std::fmt;

use crate::domain::time::Timestamp;

/// What was worked off of one partition.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Tally {
    /// Records read.
    pub read: u64,
    /// Records made of them: sightings of transactions, alerts of sightings.
    pub made: u64,
    /// The newest timestamp of a record read.
    pub newest: Timestamp,
}

impl Tally {
    /// This and `more` together.
    #[must_use]
    pub fn and(self, more: Tally) -> Tally {
        Tally {
            read: self.read.saturating_add(more.read),
            made: self.made.saturating_add(more.made),
            newest: self.newest.max(more.newest),
        }
    }

    /// Reads what `Display` writes.
    pub fn parse(text: &str) -> Option<Tally> {
        let (counts, newest) = text.split_once('@')?;
        let (read, made) = counts.split_once('/')?;
        Some(Tally {
            read: read.parse().ok()?,
            made: made.parse().ok()?,
            newest: Timestamp(newest.parse().ok()?),
        })
    }
}

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}@{}", self.read, self.made, self.newest.millis())
    }
}

/// The tallies of a worker's partitions: what is committed, and what the open transaction adds.
#[derive(Debug, Default)]
pub struct Tallies {
    entries: Vec<Entry>,
    /// Where the last record was counted: the next one is mostly of the same partition.
    last: usize,
}

#[derive(Debug)]
struct Entry {
    partition: i32,
    committed: Tally,
    open: Tally,
}

impl Tallies {
    /// A partition is taken up where somebody left it.
    pub fn take_up(&mut self, partition: i32, committed: Tally) {
        self.release(partition);
        self.entries.push(Entry { partition, committed, open: Tally::default() });
    }

    /// A partition is given up.
    pub fn release(&mut self, partition: i32) {
        self.entries.retain(|entry| entry.partition != partition);
    }

    /// A record was read.
    pub fn read(&mut self, partition: i32, at: Timestamp) {
        if let Some(entry) = self.entry(partition) {
            entry.open.read += 1;
            entry.open.newest = entry.open.newest.max(at);
        }
    }

    /// A record was made of one that was read.
    pub fn made(&mut self, partition: i32) {
        if let Some(entry) = self.entry(partition) {
            entry.open.made += 1;
        }
    }

    /// What stands for a partition once the open transaction is committed.
    pub fn of(&self, partition: i32) -> Option<Tally> {
        let entry = self.entries.iter().find(|entry| entry.partition == partition)?;
        Some(entry.committed.and(entry.open))
    }

    /// The open transaction is committed.
    pub fn merge(&mut self) {
        for entry in &mut self.entries {
            entry.committed = entry.committed.and(std::mem::take(&mut entry.open));
        }
    }

    /// The open transaction is gone.
    pub fn discard(&mut self) {
        self.entries.iter_mut().for_each(|entry| entry.open = Tally::default());
    }

    fn entry(&mut self, partition: i32) -> Option<&mut Entry> {
        if self.entries.get(self.last).is_none_or(|entry| entry.partition != partition) {
            self.last = self.entries.iter().position(|entry| entry.partition == partition)?;
        }
        self.entries.get_mut(self.last)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::HashMap;

    #[derive(Debug, Clone)]
    enum Step {
        TakeUp(i32, u64),
        Release(i32),
        Read(i32, i64),
        Made(i32),
        Merge,
        Discard,
    }

    fn steps() -> impl Strategy<Value = Vec<Step>> {
        let step = prop_oneof![
            (0..3i32, 0..5u64).prop_map(|(partition, read)| Step::TakeUp(partition, read)),
            (0..3i32).prop_map(Step::Release),
            (0..3i32, 0..100i64).prop_map(|(partition, at)| Step::Read(partition, at)),
            (0..3i32).prop_map(Step::Made),
            Just(Step::Merge),
            Just(Step::Discard),
        ];
        proptest::collection::vec(step, 0..60)
    }

    proptest! {
        #[test]
        fn what_is_committed_is_what_was_counted_between_merges(steps in steps()) {
            let mut tallies = Tallies::default();
            // The naive way: two maps, and a copy of one at every merge.
            let (mut open, mut committed) = (HashMap::<i32, Tally>::new(), HashMap::<i32, Tally>::new());
            for step in steps {
                match step {
                    Step::TakeUp(partition, read) => {
                        let tally = Tally { read, ..Tally::default() };
                        tallies.take_up(partition, tally);
                        open.insert(partition, tally);
                        committed.insert(partition, tally);
                    }
                    Step::Release(partition) => {
                        tallies.release(partition);
                        open.remove(&partition);
                        committed.remove(&partition);
                    }
                    Step::Read(partition, at) => {
                        tallies.read(partition, Timestamp(at));
                        if let Some(tally) = open.get_mut(&partition) {
                            tally.read += 1;
                            tally.newest = tally.newest.max(Timestamp(at));
                        }
                    }
                    Step::Made(partition) => {
                        tallies.made(partition);
                        if let Some(tally) = open.get_mut(&partition) {
                            tally.made += 1;
                        }
                    }
                    Step::Merge => {
                        tallies.merge();
                        committed.clone_from(&open);
                    }
                    Step::Discard => {
                        tallies.discard();
                        open.clone_from(&committed);
                    }
                }
                for partition in 0..3 {
                    prop_assert_eq!(tallies.of(partition), open.get(&partition).copied());
                }
            }
        }

        #[test]
        fn a_tally_survives_its_text(read: u64, made: u64, newest: i64) {
            let tally = Tally { read, made, newest: Timestamp(newest) };
            prop_assert_eq!(Tally::parse(&tally.to_string()), Some(tally));
        }
    }
}
