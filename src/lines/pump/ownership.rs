//! Taking partitions up and giving them back.

use super::reasons::consumer_stopped;
use super::{Finding, Line, Owned, Pump};
use crate::fault;
use crate::kafka::consumer::Change;
use crate::lines::patience::come;
use crate::lines::start::Stopped;

impl<L: Line> Pump<L> {
    pub(super) fn serve_changes(&mut self) -> Result<(), Stopped> {
        match self.consumer.serve() {
            Ok(Some(change)) => self.changes.push_back(change),
            Ok(None) => {}
            Err(error) => return Err(consumer_stopped(&self.starts.topic, &self.starts.group, &error)),
        }
        self.finish_finding()?;
        // A change waits until the one before it is answered.
        while self.finding.is_none()
            && let Some(change) = self.changes.pop_front()
        {
            match change {
                Change::Assigned(partitions) => {
                    tracing::info!(line = L::NAME, ?partitions, "partitions assigned");
                    let count = partitions.len();
                    self.finding = Some(Finding { partitions: count, answer: self.starts.find(partitions) });
                }
                Change::Revoked { partitions, lost } => self.give_up(&partitions, lost)?,
            }
        }
        Ok(())
    }

    pub(super) fn finish_finding(&mut self) -> Result<(), Stopped> {
        let Some(finding) = &self.finding else { return Ok(()) };
        let found = come(&finding.answer, "the search for start offsets ended without an answer")?;
        let Some(starts) = found else { return Ok(()) };
        self.finding = None;
        let offsets: Vec<(i32, i64)> = starts.iter().map(|start| (start.partition, start.offset)).collect();
        // Held back first, assigned second, and let flow when ready: never paused.
        if let Err(error) = self.consumer.assign(&offsets) {
            tracing::warn!(line = L::NAME, %error, "the assignment was gone before it was taken");
            return Ok(());
        }
        for start in starts {
            self.line.hold(&start)?;
            let owned = Owned { base: start.offset, next: start.offset, flowing: false };
            let committed = start.committed == Some(start.offset) && !start.anew;
            self.standings.taken_up(start.partition, start.offset, committed);
            self.owned.insert(start.partition, owned);
        }
        Ok(())
    }

    pub(super) fn let_flow(&mut self) -> Result<(), Stopped> {
        for (&partition, owned) in &mut self.owned {
            if !owned.flowing && self.line.ready(partition)? {
                self.consumer.flow(partition);
                owned.flowing = true;
                tracing::info!(line = L::NAME, partition, offset = owned.next, "partition flows");
            }
        }
        Ok(())
    }

    pub(super) fn give_up(&mut self, partitions: &[i32], lost: bool) -> Result<(), Stopped> {
        tracing::info!(line = L::NAME, ?partitions, lost, "partitions revoked");
        fault::point(L::NAME, "in-revoke");
        if lost || self.consumer.is_lost() {
            self.drop_transaction("the partitions belong to another member already")?;
        } else {
            self.commit_now()?;
        }
        if let Err(error) = self.consumer.unassign(partitions) {
            tracing::warn!(line = L::NAME, %error, "partitions could not be given back");
        }
        for partition in partitions {
            self.forget(*partition);
        }
        self.forget_retaken(partitions);
        Ok(())
    }

    /// What could not be rewound above waits to be taken up anew; given up, it is somebody else's.
    fn forget_retaken(&mut self, partitions: &[i32]) {
        for change in &mut self.changes {
            if let Change::Assigned(waiting) = change {
                waiting.retain(|partition| !partitions.contains(partition));
            }
        }
    }

    pub(super) fn forget(&mut self, partition: i32) {
        self.owned.remove(&partition);
        self.standings.remove(partition);
        self.line.release(partition);
    }
}
