//! Reads partitions from a given offset without a group: the exposure list, a history being restored.

use std::sync::Arc;
use std::time::Duration;

use rdkafka::ClientConfig;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};

use super::client::{Cluster, Context};
use super::native::{Batch, Message, Queue};

/// Records taken at once.
const BATCH_RECORDS: usize = 1_000;

/// What a [`Reader`] comes upon.
#[derive(Debug)]
pub enum Read<'a> {
    /// A committed record.
    Record(Message<'a>),
    /// The partition has nothing more at present; the next record will have this offset or a later one.
    End {
        /// The partition.
        partition: i32,
        /// The offset reached.
        offset: i64,
    },
    /// Something that reading on cannot mend.
    Failed {
        /// The partition.
        partition: i32,
        /// What the client said.
        code: RDKafkaErrorCode,
    },
}

/// A reader of some partitions of one topic.
pub struct Reader {
    // The order matters: the batch's records and the queue go before the client they belong to.
    batch: Batch,
    queue: Queue<Context>,
    consumer: Arc<BaseConsumer<Context>>,
}

impl std::fmt::Debug for Reader {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Reader")
    }
}

impl Reader {
    /// Starts to read `topic` at the given offset of each partition. `group` is not joined.
    ///
    /// # Errors
    /// When the client refuses its configuration or the assignment.
    pub fn new(
        cluster: &Cluster,
        group: &str,
        topic: &str,
        starts: &[(i32, i64)],
    ) -> Result<Reader, KafkaError> {
        Reader::with(cluster, &cluster.reader(group), topic, starts)
    }

    /// The same, keeping little ready: for small parts of a topic.
    ///
    /// # Errors
    /// As [`Reader::new`].
    pub fn modest(
        cluster: &Cluster,
        group: &str,
        topic: &str,
        starts: &[(i32, i64)],
    ) -> Result<Reader, KafkaError> {
        let mut config = cluster.reader(group);
        config.set("queued.min.messages", "1000");
        config.set("queued.max.messages.kbytes", "2048");
        Reader::with(cluster, &config, topic, starts)
    }

    fn with(
        cluster: &Cluster,
        config: &ClientConfig,
        topic: &str,
        starts: &[(i32, i64)],
    ) -> Result<Reader, KafkaError> {
        let consumer: Arc<BaseConsumer<Context>> = cluster.open(config, Context::default())?;
        let queue = Queue::new(Arc::clone(&consumer))
            .ok_or_else(|| KafkaError::ClientCreation("no queue".to_owned()))?;
        let mut assignment = TopicPartitionList::new();
        for &(partition, offset) in starts {
            queue.forward(topic, partition, true);
            assignment.add_partition_offset(topic, partition, Offset::Offset(offset))?;
        }
        consumer.assign(&assignment)?;
        Ok(Reader { batch: Batch::with_capacity(BATCH_RECORDS), queue, consumer })
    }

    /// What comes next, in order per partition; waits up to `wait` for the first.
    pub fn read(&mut self, wait: Duration) -> impl Iterator<Item = Read<'_>> {
        // Serves errors and log lines; records never arrive here, they are forwarded.
        while self.consumer.poll(Duration::ZERO).is_some() {}
        self.queue.take(&mut self.batch, wait);
        self.batch.iter().filter_map(|message| match message.error() {
            None => Some(Read::Record(message)),
            Some(RDKafkaErrorCode::PartitionEOF) => {
                Some(Read::End { partition: message.partition(), offset: message.offset() })
            }
            Some(code) if is_passing(code) => None,
            Some(code) => Some(Read::Failed { partition: message.partition(), code }),
        })
    }

    /// The newest error of the client as a whole since the last call.
    pub fn take_error(&self) -> Option<(RDKafkaErrorCode, String)> {
        self.consumer.context().notes.take_error()
    }
}

/// Whether the client itself goes on trying after this error.
pub(super) fn is_passing(code: RDKafkaErrorCode) -> bool {
    matches!(
        code,
        RDKafkaErrorCode::BrokerTransportFailure
            | RDKafkaErrorCode::AllBrokersDown
            | RDKafkaErrorCode::OperationTimedOut
            | RDKafkaErrorCode::RequestTimedOut
            | RDKafkaErrorCode::NotLeaderForPartition
            | RDKafkaErrorCode::LeaderNotAvailable
            | RDKafkaErrorCode::Resolve
            | RDKafkaErrorCode::NotCoordinator
            | RDKafkaErrorCode::CoordinatorNotAvailable
            | RDKafkaErrorCode::CoordinatorLoadInProgress
            | RDKafkaErrorCode::NetworkException
            | RDKafkaErrorCode::OffsetNotAvailable
            // Of a client that was let in before: a broker that starts may not know its users yet, and who looks after
            // tokens and certificates may be late.
            | RDKafkaErrorCode::Authentication
            | RDKafkaErrorCode::SSL
    )
}
