//! A member of a consumer group that takes records in batches and changes its partitions when told.
//!
//! Rebalances arrive as ordinary [`Change`]s in the worker's own loop: the callback only writes them
//! down, and the group waits until [`GroupConsumer::assign`] or [`GroupConsumer::unassign`] is called.
//! So a worker commits or aborts *before* it lets a partition go, on its own thread, without locks.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use rdkafka::client::ClientContext;
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::consumer::{BaseConsumer, CommitMode, Consumer, ConsumerContext};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};
use rdkafka::types::RDKafkaRespErr;

use super::client::{ASK_TIMEOUT, Cluster, Context};
use super::group::committed;
use super::native::{Batch, GroupMetadata, Message, Queue};
use super::producer::{Progress, to_list};

/// Records taken at once.
pub const BATCH_RECORDS: usize = 1_000;

/// A change of the partitions this member owns.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Change {
    /// These partitions are to be owned from now on: answer with [`GroupConsumer::assign`].
    Assigned(Vec<i32>),
    /// These are to be given up: finish what is open, then [`GroupConsumer::unassign`].
    Revoked {
        /// The partitions.
        partitions: Vec<i32>,
        /// They are somebody else's already: what is open must be aborted, not committed.
        lost: bool,
    },
}

/// What was committed for a partition.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Committed {
    /// The offset of the next record to read.
    pub offset: i64,
    /// What the committing worker wrote beside it.
    pub metadata: String,
}

/// Writes rebalances down for the worker.
pub(super) struct GroupContext {
    base: Context,
    changes: Mutex<VecDeque<Change>>,
    unanswered: Mutex<Option<Kind>>,
    closing: AtomicBool,
}

/// What the client waits for.
#[derive(Debug, Clone, Copy)]
enum Kind {
    Assigned,
    Revoked,
}

impl GroupContext {
    fn new() -> GroupContext {
        GroupContext {
            base: Context::default(),
            changes: Mutex::default(),
            unanswered: Mutex::default(),
            closing: AtomicBool::new(false),
        }
    }

    fn unanswered(&self) -> MutexGuard<'_, Option<Kind>> {
        self.unanswered.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl ClientContext for GroupContext {
    fn log(&self, level: RDKafkaLogLevel, facility: &str, message: &str) {
        self.base.log(level, facility, message);
    }

    fn error(&self, error: KafkaError, reason: &str) {
        self.base.error(error, reason);
    }
}

impl ConsumerContext for GroupContext {
    fn rebalance(&self, consumer: &BaseConsumer<Self>, error: RDKafkaRespErr, list: &mut TopicPartitionList) {
        if self.closing.load(Ordering::Relaxed) {
            // Nobody is left to answer, and the client waits for an answer.
            if let Err(error) = consumer.unassign() {
                tracing::debug!(%error, "partitions could not be given back while closing");
            }
            return;
        }
        let partitions = list.elements().iter().map(|element| element.partition()).collect();
        let (kind, change) = match error {
            RDKafkaRespErr::RD_KAFKA_RESP_ERR__ASSIGN_PARTITIONS => {
                (Kind::Assigned, Change::Assigned(partitions))
            }
            _ => (Kind::Revoked, Change::Revoked { partitions, lost: consumer.assignment_lost() }),
        };
        *self.unanswered() = Some(kind);
        self.changes.lock().unwrap_or_else(PoisonError::into_inner).push_back(change);
    }
}

/// A group member that reads one topic.
pub struct GroupConsumer {
    // The order matters: the batch's records and the queue go before the client they belong to.
    batch: Batch,
    queue: Queue<GroupContext>,
    consumer: Arc<BaseConsumer<GroupContext>>,
    topic: String,
}

impl std::fmt::Debug for GroupConsumer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "GroupConsumer({})", self.topic)
    }
}

impl GroupConsumer {
    /// Joins `group` to read `topic`. Nothing is owned before the first [`Change::Assigned`].
    ///
    /// # Errors
    /// When the client refuses its configuration.
    pub fn join(cluster: &Cluster, group: &str, topic: &str) -> Result<GroupConsumer, KafkaError> {
        let consumer: Arc<BaseConsumer<GroupContext>> =
            cluster.open(&cluster.group_consumer(group), GroupContext::new())?;
        let queue = Queue::new(Arc::clone(&consumer))
            .ok_or_else(|| KafkaError::ClientCreation("no queue".to_owned()))?;
        consumer.subscribe(&[topic])?;
        Ok(GroupConsumer {
            batch: Batch::with_capacity(BATCH_RECORDS),
            queue,
            consumer,
            topic: topic.to_owned(),
        })
    }

    /// Serves the client's events and gives the next change of ownership, if there is one. An error is
    /// one that the client does not mend by itself.
    ///
    /// # Errors
    /// What the client said.
    pub fn serve(&mut self) -> Result<Option<Change>, KafkaError> {
        loop {
            match self.consumer.poll(Duration::ZERO) {
                Some(Ok(_)) => continue,
                Some(Err(error)) => {
                    let passing = error.rdkafka_error_code().is_some_and(super::reader::is_passing);
                    if !passing && !is_group_churn(&error) {
                        return Err(error);
                    }
                }
                None => break,
            }
        }
        Ok(self.consumer.context().changes.lock().unwrap_or_else(PoisonError::into_inner).pop_front())
    }

    /// Owns `starts` from the given offsets. Every partition is held back until
    /// [`GroupConsumer::flow`]: its records gather in its own queue and reach nobody.
    ///
    /// # Errors
    /// When the client refuses the assignment.
    pub fn assign(&mut self, starts: &[(i32, i64)]) -> Result<(), KafkaError> {
        let mut list = TopicPartitionList::new();
        for &(partition, offset) in starts {
            self.queue.forward(&self.topic, partition, false);
            list.add_partition_offset(&self.topic, partition, Offset::Offset(offset))?;
        }
        *self.consumer.context().unanswered() = None;
        self.consumer.incremental_assign(&list)
    }

    /// Lets the records of an owned partition come.
    pub fn flow(&mut self, partition: i32) {
        self.queue.forward(&self.topic, partition, true);
    }

    /// Gives partitions up. Records of them still in the queue are dropped by the client.
    ///
    /// # Errors
    /// When the client refuses.
    pub fn unassign(&mut self, partitions: &[i32]) -> Result<(), KafkaError> {
        let mut list = TopicPartitionList::new();
        for &partition in partitions {
            self.queue.forward(&self.topic, partition, false);
            list.add_partition(&self.topic, partition);
        }
        self.batch.clear();
        *self.consumer.context().unanswered() = None;
        self.consumer.incremental_unassign(&list)
    }

    /// Takes a batch: at once what is there, otherwise what arrives within `wait`.
    pub fn take(&mut self, wait: Duration) {
        self.queue.take(&mut self.batch, wait);
    }

    /// The records of the last [`GroupConsumer::take`].
    pub fn batch(&self) -> impl Iterator<Item = Message<'_>> {
        self.batch.iter()
    }

    /// How many records the last [`GroupConsumer::take`] gave.
    pub fn batch_len(&self) -> usize {
        self.batch.len()
    }

    /// Whether the last batch was full, so that more is waiting.
    pub fn is_behind(&self) -> bool {
        self.batch.is_full()
    }

    /// Frees the records of the last batch.
    pub fn clear(&mut self) {
        self.batch.clear();
    }

    /// Goes back to `offset`; records fetched ahead are dropped by the client.
    ///
    /// # Errors
    /// When the partition is no longer owned or the client does not answer.
    pub fn rewind(&mut self, starts: &[(i32, i64)]) -> Result<(), KafkaError> {
        self.batch.clear();
        let mut list = TopicPartitionList::new();
        for &(partition, offset) in starts {
            list.add_partition_offset(&self.topic, partition, Offset::Offset(offset))?;
        }
        let result = self.consumer.seek_partitions(list, ASK_TIMEOUT)?;
        result.elements().iter().try_for_each(|element| element.error())
    }

    /// Whether what this member owned belongs to somebody else already.
    pub fn is_lost(&self) -> bool {
        self.consumer.assignment_lost()
    }

    /// A handle that asks for committed offsets from another thread.
    pub fn lookup(&self) -> Lookup {
        Lookup { consumer: Arc::clone(&self.consumer), topic: self.topic.clone() }
    }

    /// Commits offsets outside any transaction: the broken variant that the fault tests must catch.
    pub(super) fn commit_outside(&self, progress: &[Progress]) -> Result<(), KafkaError> {
        self.consumer.commit(&to_list(&self.topic, progress)?, CommitMode::Sync)
    }

    /// The membership as it is now.
    pub(super) fn group_metadata(&self) -> Option<GroupMetadata> {
        GroupMetadata::of(&self.consumer)
    }

    /// The topic this member reads.
    pub fn topic(&self) -> &str {
        &self.topic
    }

    /// Leaves the group: the owned partitions arrive as a last [`Change::Revoked`].
    pub fn leave(&mut self) {
        self.consumer.unsubscribe();
    }
}

impl Drop for GroupConsumer {
    /// Closing the client waits without end for the answer to a rebalance: to those to come, which
    /// [`GroupContext`] gives from here on, and to one that was handed out and not answered yet.
    fn drop(&mut self) {
        let context = self.consumer.context();
        context.closing.store(true, Ordering::Relaxed);
        let nothing = TopicPartitionList::new();
        let answered = match context.unanswered().take() {
            None => Ok(()),
            Some(Kind::Assigned) => self.consumer.incremental_assign(&nothing),
            Some(Kind::Revoked) => self.consumer.incremental_unassign(&nothing),
        };
        if let Err(error) = answered {
            tracing::debug!(%error, "a rebalance could not be answered while closing");
        }
    }
}

/// Asks for the committed offsets of a group.
#[derive(Clone)]
pub struct Lookup {
    consumer: Arc<BaseConsumer<GroupContext>>,
    topic: String,
}

impl std::fmt::Debug for Lookup {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Lookup({})", self.topic)
    }
}

impl Lookup {
    /// Asks for the offsets that `group` has committed for `topic`, without joining it.
    ///
    /// # Errors
    /// When the client refuses its configuration.
    pub fn new(cluster: &Cluster, group: &str, topic: &str) -> Result<Lookup, KafkaError> {
        let consumer = cluster.open(&cluster.group_consumer(group), GroupContext::new())?;
        Ok(Lookup { consumer, topic: topic.to_owned() })
    }

    /// The *stable* committed offset of each partition. While a transaction that commits offsets is
    /// open, the coordinator does not answer and this is an error: ask again.
    ///
    /// # Errors
    /// When the coordinator does not answer, or an open transaction holds the answer back.
    pub fn committed(&self, partitions: &[i32]) -> Result<Vec<(i32, Option<Committed>)>, KafkaError> {
        committed(&self.consumer, &self.topic, partitions)
    }
}

/// Errors that a group in motion reports and mends by itself.
fn is_group_churn(error: &KafkaError) -> bool {
    matches!(
        error.rdkafka_error_code(),
        Some(
            RDKafkaErrorCode::RebalanceInProgress
                | RDKafkaErrorCode::IllegalGeneration
                | RDKafkaErrorCode::UnknownMemberId
                | RDKafkaErrorCode::PollExceeded
                | RDKafkaErrorCode::AssignmentLost
        )
    )
}
