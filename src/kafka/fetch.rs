//! Fetches single records by their place: what an index in memory only points at.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::{Headers, Message};
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};

use super::client::{Cluster, Context};
use super::reader::is_passing;
use crate::clock::Clock;

/// How long one poll of the client waits.
const TURN: Duration = Duration::from_millis(50);

/// A record as it stands on its topic.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fetched {
    /// The value; empty for a tombstone.
    pub value: Vec<u8>,
    /// The headers, in their order.
    pub headers: Vec<(String, Vec<u8>)>,
}

/// Fetches committed records of one topic; shared by threads, one at a time.
pub struct Fetcher {
    consumer: Mutex<Arc<BaseConsumer<Context>>>,
    topic: String,
}

impl std::fmt::Debug for Fetcher {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Fetcher({})", self.topic)
    }
}

impl Fetcher {
    /// Makes the client; it connects when the first record is asked for. `group` is not joined.
    ///
    /// # Errors
    /// When the client refuses its configuration.
    pub fn new(cluster: &Cluster, group: &str, topic: &str) -> Result<Fetcher, KafkaError> {
        let mut config = cluster.reader(group);
        // One record is wanted, not what stands behind it. The first batch comes whole, however large.
        config.set("queued.min.messages", "1");
        config.set("fetch.message.max.bytes", "16384");
        let consumer = cluster.open(&config, Context::default())?;
        Ok(Fetcher { consumer: Mutex::new(consumer), topic: topic.to_owned() })
    }

    /// The record at a place; `None` where it has expired.
    ///
    /// # Errors
    /// When it does not come `within`, or the client gives up.
    pub fn get(
        &self,
        partition: i32,
        offset: i64,
        within: Duration,
        clock: &dyn Clock,
    ) -> Result<Option<Fetched>, KafkaError> {
        let consumer = self.consumer.lock().unwrap_or_else(PoisonError::into_inner);
        let mut place = TopicPartitionList::new();
        place.add_partition_offset(&self.topic, partition, Offset::Offset(offset))?;
        consumer.assign(&place)?;
        let deadline = clock.instant() + within;
        let found = loop {
            match consumer.poll(TURN) {
                Some(Ok(message)) if message.offset() == offset => break Ok(Some(fetched(&message))),
                Some(Ok(_)) => break Ok(None),
                Some(Err(KafkaError::PartitionEOF(_))) => break Ok(None),
                Some(Err(error)) => match error.rdkafka_error_code() {
                    Some(RDKafkaErrorCode::OffsetOutOfRange | RDKafkaErrorCode::AutoOffsetReset) => {
                        break Ok(None);
                    }
                    Some(code) if is_passing(code) => {}
                    _ => break Err(error),
                },
                None => {}
            }
            if clock.instant() >= deadline {
                break Err(KafkaError::MessageConsumption(RDKafkaErrorCode::OperationTimedOut));
            }
        };
        // Otherwise it would go on reading what nobody asked for.
        consumer.unassign()?;
        found
    }
}

fn fetched(message: &rdkafka::message::BorrowedMessage<'_>) -> Fetched {
    let headers = message.headers().map(|headers| {
        let named = headers.iter();
        named.map(|header| (header.key.to_owned(), header.value.unwrap_or_default().to_vec())).collect()
    });
    Fetched { value: message.payload().unwrap_or_default().to_vec(), headers: headers.unwrap_or_default() }
}
