//! What happens to a transaction that did not simply commit.

use std::time::{Duration, Instant};

use super::reasons::producer_stopped;
use super::{Line, Pump};
use crate::kafka::consumer::Change;
use crate::kafka::producer::{Outcome, Progress};
use crate::lines::start::Stopped;
use crate::stop::exit;

/// How long a record waits that has to.
const LATER: Duration = Duration::from_millis(20);

impl<L: Line> Pump<L> {
    pub(super) fn abort(&mut self, reason: &str) -> Result<(), Stopped> {
        match self.producer.abort(reason) {
            Outcome::Aborted { reason, .. } => self.aborted(&reason, true),
            outcome => Err(producer_stopped(outcome)),
        }
    }

    /// Commits what came before a record that must wait, and goes back to it.
    pub(super) fn put_off(&mut self, reason: &str) -> Result<(), Stopped> {
        tracing::debug!(line = L::NAME, reason, "a record has to wait");
        self.commit_now()?;
        self.stop.wait(LATER);
        self.rewind()
    }

    /// Throws the open transaction away without reading again: the partitions are going.
    pub(super) fn drop_transaction(&mut self, reason: &str) -> Result<(), Stopped> {
        self.line.discard();
        self.reset(self.clock.instant());
        self.consumer.clear();
        for owned in self.owned.values_mut() {
            owned.next = owned.base;
        }
        match self.producer.abort(reason) {
            Outcome::Aborted { .. } => self.rewind(),
            outcome => Err(producer_stopped(outcome)),
        }
    }

    pub(super) fn aborted(&mut self, reason: &str, by_record: bool) -> Result<(), Stopped> {
        tracing::warn!(line = L::NAME, reason, "transaction aborted, reading again");
        self.line.discard();
        let starts = self.owned.iter().map(|(&partition, owned)| (partition, owned.base)).collect();
        // Only what a record caused is a reason to look for that record.
        let verdict = if by_record { self.aborts.count(starts, self.records + 1, reason) } else { Ok(()) };
        self.reset(self.clock.instant());
        if let Err(cause) = verdict {
            return Err(Stopped::new(exit::DATA, format!("{} of topic {}", cause, self.starts.topic)));
        }
        if !by_record {
            // The group or the cluster is in motion: give it a moment instead of spinning.
            self.stop.wait(Duration::from_millis(50));
        }
        self.rewind()
    }

    /// Goes back to where the next transaction begins; records fetched ahead are read again.
    pub(super) fn rewind(&mut self) -> Result<(), Stopped> {
        self.consumer.clear();
        for owned in self.owned.values_mut() {
            owned.next = owned.base;
        }
        let starts: Vec<(i32, i64)> =
            self.owned.iter().map(|(&partition, owned)| (partition, owned.base)).collect();
        if starts.is_empty() || self.consumer.is_lost() {
            return Ok(());
        }
        match self.consumer.rewind(&starts) {
            Ok(()) => Ok(()),
            // The group is in motion: whoever owns the partition next starts at the committed offset.
            // Until then nothing may flow, or records would be passed over.
            Err(error) => {
                tracing::warn!(line = L::NAME, %error, "could not go back, taking the partitions up anew");
                self.retake()
            }
        }
    }

    /// Takes every owned partition up anew, as if just assigned.
    pub(super) fn retake(&mut self) -> Result<(), Stopped> {
        let partitions: Vec<i32> = self.owned.keys().copied().collect();
        if let Err(error) = self.consumer.unassign(&partitions) {
            tracing::warn!(line = L::NAME, %error, "partitions were gone already");
        }
        for partition in &partitions {
            self.forget(*partition);
        }
        self.changes.push_front(Change::Assigned(partitions));
        Ok(())
    }

    /// Nobody knows whether the transaction was committed. The producer was made anew, so it is
    /// settled; the committed offsets say which way.
    pub(super) fn resolve(
        &mut self,
        progress: &[Progress],
        reason: &str,
        started: Instant,
    ) -> Result<(), Stopped> {
        if !self.tended.is_empty() {
            // The offsets are the same either way: only what stands on the topics can tell.
            tracing::warn!(line = L::NAME, reason, "the outcome of a transaction is unknown, restoring");
            self.line.discard();
            self.reset(self.clock.instant());
            return self.retake();
        }
        tracing::warn!(line = L::NAME, reason, "the outcome of a transaction is unknown, asking");
        let partitions: Vec<i32> = progress.iter().map(|progress| progress.partition).collect();
        let found = match self.starts.lookup.committed(&partitions) {
            Ok(found) => found,
            Err(error) => {
                tracing::warn!(line = L::NAME, %error, "no answer, taking the partitions up anew");
                self.line.discard();
                self.reset(self.clock.instant());
                return self.retake();
            }
        };
        let at = |partition: i32| {
            let entry = found.iter().find(|(found, _)| *found == partition);
            entry.and_then(|(_, committed)| committed.as_ref()).map(|committed| committed.offset)
        };
        if progress.iter().all(|progress| at(progress.partition) == Some(progress.next)) {
            self.committed(progress, started);
            // The producer's view of the input did not move: the batch goes on where it was.
            return Ok(());
        }
        let unmoved = progress.iter().all(|progress| {
            let base = self.owned.get(&progress.partition).map(|owned| owned.base);
            at(progress.partition).is_none() || at(progress.partition) == base
        });
        if unmoved {
            return self.aborted(reason, false);
        }
        tracing::warn!(line = L::NAME, "committed offsets are neither start nor end of the transaction");
        self.line.discard();
        self.reset(self.clock.instant());
        self.retake()
    }
}
