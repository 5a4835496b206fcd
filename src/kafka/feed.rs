//! Writes records as a user's own system would: without transactions, never twice, in order by key.

use std::sync::Arc;
use std::time::Duration;

use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::producer::{BaseProducer, Producer};

use super::client::{Cluster, Context, Notes};
use super::producer::{Deliveries, Outgoing, SendError, to_base};
use crate::clock::Clock;

/// How long a record may wait for room in the client's queue.
const ROOM_TIMEOUT: Duration = Duration::from_secs(60);
/// Reports of deliveries are fetched every so many records.
const POLL_EVERY: u64 = 256;

/// Writes records.
pub struct Feed {
    producer: Arc<BaseProducer<Deliveries>>,
    notes: Arc<Notes>,
    clock: Arc<dyn Clock>,
    sent: u64,
}

impl std::fmt::Debug for Feed {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Feed({} sent)", self.sent)
    }
}

impl Feed {
    /// Makes the client; it connects when the first record is sent.
    ///
    /// # Errors
    /// When the client refuses its configuration.
    pub fn new(cluster: &Cluster, clock: Arc<dyn Clock>) -> Result<Feed, KafkaError> {
        let context = Context::default();
        let notes = Arc::clone(&context.notes);
        let producer = cluster.open(&cluster.feed(), Deliveries { base: context })?;
        Ok(Feed { producer, notes, clock, sent: 0 })
    }

    /// Puts a record into the client's queue, and waits where that is full.
    ///
    /// # Errors
    /// When the record is refused, or there is no room for a minute.
    pub fn send(&mut self, record: Outgoing<'_>) -> Result<(), SendError> {
        let deadline = self.clock.instant() + ROOM_TIMEOUT;
        if self.sent.is_multiple_of(POLL_EVERY) {
            self.producer.poll(Duration::ZERO);
        }
        loop {
            let cause = match self.producer.send(to_base(&record)) {
                Ok(()) => {
                    self.sent += 1;
                    return Ok(());
                }
                Err((cause, _)) => cause,
            };
            match cause.rdkafka_error_code() {
                Some(RDKafkaErrorCode::QueueFull) if self.clock.instant() < deadline => {
                    self.producer.poll(Duration::from_millis(5));
                }
                Some(RDKafkaErrorCode::MessageSizeTooLarge) => {
                    return Err(SendError::TooLarge { topic: record.topic.to_owned() });
                }
                _ => return Err(SendError::Refused { topic: record.topic.to_owned(), cause }),
            }
        }
    }

    /// Waits until everything sent is on the cluster.
    ///
    /// # Errors
    /// When that takes longer than `within`, or a record could not be delivered.
    pub fn finish(&mut self, within: Duration) -> Result<(), KafkaError> {
        self.producer.flush(within)?;
        match self.notes.take_delivery_error() {
            None => Ok(()),
            Some(code) => Err(KafkaError::MessageProduction(code)),
        }
    }
}
