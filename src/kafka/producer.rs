//! A transactional producer on the worker's own thread.
//!
//! What a failed commit means is decided in one place, [`Outcome`]. librdkafka's transaction protocol
//! has a known hole (no KIP-890 on the client side): a commit request delayed in the network may reach
//! the coordinator during a *later* transaction of the same producer epoch. The defence is suspicion:
//! after any transaction during which a request can have been lost, the producer is thrown away and a
//! new one with the same id is initialised, which bumps the epoch and fences every stray request.

use std::sync::Arc;
use std::time::{Duration, Instant};

use rdkafka::client::ClientContext;
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::{DeliveryResult, Header, OwnedHeaders};
use rdkafka::producer::{BaseProducer, BaseRecord, Producer, ProducerContext};
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};

use super::client::{Cluster, Context, Notes, SOCKET_TIMEOUT_MS, TRANSACTION_TIMEOUT_MS};
use super::consumer::GroupConsumer;
use super::deadline;
use super::native::{self, GroupMetadata, TransactionError};
pub use super::outcome::{Outcome, Outgoing, Progress, SendError};
use crate::clock::Clock;
use crate::fault;
use crate::stop::Stop;

/// How long a producer is used: brokers forget an id that was idle for seven days.
const LIFE: Duration = Duration::from_secs(24 * 3600);
/// How long `init_transactions` may take: it waits for a predecessor's transaction to end.
const INIT_TIMEOUT: Duration = Duration::from_secs(60);
/// How long offsets may be on their way: the cluster gives a transaction up after this time.
const OFFSETS_TIMEOUT: Duration = Duration::from_millis(TRANSACTION_TIMEOUT_MS);
/// How often a call that librdkafka declares retriable is tried again.
const RETRIES_MAX: u32 = 10;

/// How long to wait for delivery reports between two looks: a commit waits for some milliseconds of them.
const BETWEEN_POLLS: Duration = Duration::from_micros(200);

/// The line of a producer that changes the exposure list.
pub const IMPORT: &str = "import";

pub(super) struct Deliveries {
    pub(super) base: Context,
}

impl ClientContext for Deliveries {
    fn log(&self, level: RDKafkaLogLevel, facility: &str, message: &str) {
        self.base.log(level, facility, message);
    }

    fn error(&self, error: KafkaError, reason: &str) {
        self.base.error(error, reason);
    }
}

impl ProducerContext for Deliveries {
    type DeliveryOpaque = ();

    fn delivery(&self, result: &DeliveryResult<'_>, _: ()) {
        if let Err((error, _)) = result {
            let code = error.rdkafka_error_code().unwrap_or(RDKafkaErrorCode::Unknown);
            self.base.notes.note_delivery_error(code);
        }
    }
}

/// A producer with a transactional id, and at most one open transaction.
pub struct TransactionalProducer {
    cluster: Cluster,
    id: String,
    line: &'static str,
    clock: Arc<dyn Clock>,
    producer: Arc<BaseProducer<Deliveries>>,
    notes: Arc<Notes>,
    open: bool,
    opened: Instant,
    pending: usize,
    made: Instant,
    pause: Stop,
    cached_group: Option<Arc<GroupMetadata>>,
}

impl std::fmt::Debug for TransactionalProducer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "TransactionalProducer({})", self.id)
    }
}

impl TransactionalProducer {
    /// Makes the producer and takes the id over: an earlier holder is fenced and its open transaction
    /// aborted. `line` names the faults' points.
    ///
    /// # Errors
    /// When the client refuses its configuration or the coordinator does not answer.
    pub fn start(
        cluster: &Cluster,
        id: &str,
        line: &'static str,
        clock: Arc<dyn Clock>,
    ) -> Result<TransactionalProducer, KafkaError> {
        let (producer, notes) = make(cluster, id)?;
        Ok(TransactionalProducer {
            cluster: cluster.clone(),
            id: id.to_owned(),
            line,
            opened: clock.instant(),
            made: clock.instant(),
            clock,
            producer,
            notes,
            open: false,
            pending: 0,
            pause: Stop::new(),
            cached_group: None,
        })
    }

    /// Whether a transaction is open.
    pub fn is_open(&self) -> bool {
        self.open
    }

    /// How many records are in the open transaction.
    pub fn pending(&self) -> usize {
        if self.open { self.pending } else { 0 }
    }

    /// Puts a record into the transaction, opening one if there is none.
    ///
    /// # Errors
    /// [`SendError`]; on anything but [`SendError::TooLarge`] the transaction must be aborted.
    pub fn send(&mut self, record: Outgoing<'_>) -> Result<(), SendError> {
        let refused = |cause| SendError::Refused { topic: record.topic.to_owned(), cause };
        self.open_if_needed().map_err(refused)?;
        let deadline = self.clock.instant() + Duration::from_millis(TRANSACTION_TIMEOUT_MS);
        loop {
            let error = match self.producer.send(to_base(&record)) {
                Ok(()) => {
                    self.pending += 1;
                    return Ok(());
                }
                Err((error, _)) => error,
            };
            match error.rdkafka_error_code() {
                Some(RDKafkaErrorCode::MessageSizeTooLarge) => {
                    return Err(SendError::TooLarge { topic: record.topic.to_owned() });
                }
                Some(RDKafkaErrorCode::QueueFull) if self.clock.instant() < deadline => {
                    self.producer.poll(Duration::ZERO);
                    self.pause.wait_more(BETWEEN_POLLS);
                }
                _ => return Err(refused(error)),
            }
        }
    }

    /// Commits the open transaction together with `progress` of `consumer`'s group. Without an open
    /// one, opens one for the offsets alone.
    pub fn commit(&mut self, consumer: &GroupConsumer, progress: &[Progress]) -> Outcome {
        let started = self.clock.instant();
        if let Err(error) = self.open_if_needed() {
            return self.after(&error, "begin");
        }
        if let Some(code) = self.drain() {
            return self.undelivered(code);
        }
        fault::point(self.line, "after-produce");
        if fault::broken("offsets-outside-transaction") {
            let outcome = consumer.commit_outside(progress);
            fault::point(self.line, "after-send-offsets");
            if let Err(error) = outcome {
                return self.abort(&error.to_string());
            }
        } else {
            if let Err(outcome) = self.send_offsets(consumer, progress) {
                return outcome;
            }
            fault::point(self.line, "after-send-offsets");
        }
        if fault::aborts(self.line) {
            return self.abort("as the fault plan says");
        }
        let outcome = self.end();
        if self.clock.instant() - started >= Duration::from_millis(SOCKET_TIMEOUT_MS) {
            return self.settle_suspect(outcome);
        }
        outcome
    }

    /// Commits a transaction without offsets: the import's and the commands'.
    pub fn commit_alone(&mut self) -> Outcome {
        if !self.open {
            return Outcome::Committed;
        }
        match self.drain() {
            Some(code) => self.undelivered(code),
            None => self.end(),
        }
    }

    fn undelivered(&mut self, code: RDKafkaErrorCode) -> Outcome {
        if is_fenced(code) || self.fatal_code().is_some_and(is_fenced) {
            return self.fenced(&code.to_string());
        }
        let by_record = matches!(
            code,
            RDKafkaErrorCode::MessageSizeTooLarge
                | RDKafkaErrorCode::InvalidMessage
                | RDKafkaErrorCode::InvalidRecord
                | RDKafkaErrorCode::InvalidMessageSize
        );
        match self.abort(&format!("a record was not delivered: {code}")) {
            Outcome::Aborted { reason, .. } => Outcome::Aborted { reason, by_record },
            outcome => outcome,
        }
    }

    /// Throws the open transaction away.
    pub fn abort(&mut self, reason: &str) -> Outcome {
        let aborted = || Outcome::Aborted { reason: reason.to_owned(), by_record: false };
        if !self.open {
            return aborted();
        }
        // Nothing may be in flight: librdkafka's abort waits for reports that only `poll` serves.
        self.drain();
        match self.producer.abort_transaction(Duration::from_millis(TRANSACTION_TIMEOUT_MS)) {
            Ok(()) => {
                self.open = false;
                aborted()
            }
            Err(error) => match self.after(&error, "abort") {
                // A new producer's initialisation aborts whatever the old one had open.
                Outcome::Unknown(_) => aborted(),
                outcome => outcome,
            },
        }
    }

    /// Replaces the producer when it has been used for a day. Only between transactions.
    ///
    /// # Errors
    /// When the new one cannot be made.
    pub fn refresh(&mut self) -> Result<(), KafkaError> {
        if !self.open && self.clock.instant() - self.made > LIFE {
            self.remake()?;
        }
        Ok(())
    }

    fn open_if_needed(&mut self) -> Result<(), KafkaError> {
        if !self.open {
            self.producer.begin_transaction()?;
            self.open = true;
            self.opened = self.clock.instant();
            self.pending = 0;
        }
        Ok(())
    }

    /// Waits until nothing is in flight; the first delivery error, if there was one.
    fn drain(&mut self) -> Option<RDKafkaErrorCode> {
        // `flush` would wait in steps of 100 ms whenever something is in flight, and `poll` with a wait of
        // less than a few milliseconds spins for all of it: a commit would cost its wait in CPU time.
        let mut in_flight = self.producer.in_flight_count();
        while in_flight > 0 {
            self.producer.poll(Duration::ZERO);
            let left = self.producer.in_flight_count();
            if left == in_flight {
                self.pause.wait_more(BETWEEN_POLLS);
            }
            in_flight = left;
        }
        self.notes.take_delivery_error()
    }

    fn send_offsets(&mut self, consumer: &GroupConsumer, progress: &[Progress]) -> Result<(), Outcome> {
        let offsets = match to_list(consumer.topic(), progress) {
            Ok(offsets) => Arc::new(offsets),
            Err(error) => return Err(self.abort(&error.to_string())),
        };
        for _ in 0..RETRIES_MAX {
            // Read live each time: a rebalance changes the generation without telling this member.
            let mut group = consumer.group_metadata().map(Arc::new);
            if fault::broken("group-metadata-cached") {
                group = self.cached_group.take().or(group);
                self.cached_group.clone_from(&group);
            }
            let Some(group) = group.filter(|group| group.generation() >= 0) else {
                return Err(self.abort("not a member of the group at present"));
            };
            let (producer, offsets) = (Arc::clone(&self.producer), Arc::clone(&offsets));
            let send = move || native::send_offsets(producer.client(), &offsets, &group);
            match deadline::call(OFFSETS_TIMEOUT, send) {
                Some(Ok(())) => return Ok(()),
                Some(Err(error)) if error.retriable => continue,
                Some(Err(error)) => return Err(self.after_transaction(&error, "send offsets")),
                None => return Err(self.left_behind()),
            }
        }
        Err(self.abort("offsets were not taken after several tries"))
    }

    /// The offsets are stuck in the client. Nobody has asked for the end of the transaction, so a new producer's
    /// initialisation aborts it.
    fn left_behind(&mut self) -> Outcome {
        match self.unknown("sending offsets did not return") {
            Outcome::Unknown(reason) => Outcome::Aborted { reason, by_record: false },
            outcome => outcome,
        }
    }

    fn end(&mut self) -> Outcome {
        if fault::is_planned(self.line, "after-end-txn") {
            // Returns before the coordinator has answered; the commit goes on in the background.
            let _ = self.producer.commit_transaction(Duration::from_millis(1));
            fault::point(self.line, "after-end-txn");
        }
        for _ in 0..RETRIES_MAX {
            match self.producer.commit_transaction(None) {
                Ok(()) => {
                    self.open = false;
                    fault::point(self.line, "after-commit");
                    return Outcome::Committed;
                }
                Err(KafkaError::Transaction(error)) if error.is_retriable() => continue,
                Err(error) => return self.after(&error, "commit"),
            }
        }
        self.unknown("commit was not answered after several tries")
    }

    /// A commit that took so long that a request may have been lost on the way: a stray one must not
    /// reach a later transaction.
    fn settle_suspect(&mut self, outcome: Outcome) -> Outcome {
        tracing::warn!(id = self.id, "a commit took longer than a request may; renewing the producer");
        match (self.remake(), outcome) {
            (Ok(()), outcome) => outcome,
            (Err(error), Outcome::Committed) => {
                tracing::error!(%error, "the producer could not be renewed");
                Outcome::Committed
            }
            (Err(error), _) => failed(&error),
        }
    }

    fn after(&mut self, error: &KafkaError, doing: &str) -> Outcome {
        let error = match error {
            KafkaError::Transaction(error) => TransactionError {
                code: error.code(),
                retriable: error.is_retriable(),
                abortable: error.txn_requires_abort(),
                text: error.string(),
            },
            // `commit_transaction` flushes first and reports that without flags.
            KafkaError::Flush(code) => {
                TransactionError { code: *code, retriable: false, abortable: true, text: error.to_string() }
            }
            error => TransactionError {
                code: error.rdkafka_error_code().unwrap_or(RDKafkaErrorCode::Unknown),
                retriable: false,
                abortable: false,
                text: error.to_string(),
            },
        };
        self.after_transaction(&error, doing)
    }

    /// The one table of what an error of a transaction means.
    fn after_transaction(&mut self, error: &TransactionError, doing: &str) -> Outcome {
        let text = format!("{doing}: {}", error.text);
        if is_fenced(error.code) || self.fatal_code().is_some_and(is_fenced) {
            return self.fenced(&text);
        }
        if error.abortable && doing != "abort" {
            return self.abort(&text);
        }
        self.unknown(&text)
    }

    /// Somebody else took the id over, or the cluster itself ended a transaction that was open for too long:
    /// to the producer both look the same. An import never comes back: whoever took over must not be fenced
    /// in turn. A worker does; of two with the same id the other one then stops.
    fn fenced(&mut self, text: &str) -> Outcome {
        let open_for = self.clock.instant() - self.opened;
        if !self.open || open_for < Duration::from_millis(TRANSACTION_TIMEOUT_MS) || self.line == IMPORT {
            return Outcome::Fenced(text.to_owned());
        }
        self.unknown(&format!("open for {} s and timed out by the cluster; {text}", open_for.as_secs()))
    }

    fn fatal_code(&self) -> Option<RDKafkaErrorCode> {
        self.producer.client().fatal_error().map(|(code, _)| code)
    }

    fn unknown(&mut self, reason: &str) -> Outcome {
        match self.remake() {
            Ok(()) => Outcome::Unknown(reason.to_owned()),
            Err(error) => failed(&error),
        }
    }

    fn remake(&mut self) -> Result<(), KafkaError> {
        let (producer, notes) = make(&self.cluster, &self.id)?;
        self.producer = producer;
        self.notes = notes;
        self.made = self.clock.instant();
        self.open = false;
        Ok(())
    }
}

fn failed(error: &KafkaError) -> Outcome {
    match error.rdkafka_error_code() {
        Some(code) if is_fenced(code) => Outcome::Fenced(error.to_string()),
        _ => Outcome::Failed(error.to_string()),
    }
}

fn is_fenced(code: RDKafkaErrorCode) -> bool {
    matches!(
        code,
        RDKafkaErrorCode::Fenced | RDKafkaErrorCode::InvalidProducerEpoch | RDKafkaErrorCode::ProducerFenced
    )
}

fn make(cluster: &Cluster, id: &str) -> Result<(Arc<BaseProducer<Deliveries>>, Arc<Notes>), KafkaError> {
    let context = Context::default();
    let notes = Arc::clone(&context.notes);
    let producer: Arc<BaseProducer<Deliveries>> =
        cluster.open(&cluster.producer(id), Deliveries { base: context })?;
    producer.init_transactions(INIT_TIMEOUT)?;
    Ok((producer, notes))
}

pub(super) fn to_base<'a>(record: &Outgoing<'a>) -> BaseRecord<'a, [u8], [u8], ()> {
    let mut base = BaseRecord::to(record.topic);
    base.partition = record.partition;
    base.key = record.key;
    base.payload = record.value;
    if !record.headers.is_empty() {
        let headers = OwnedHeaders::new_with_capacity(record.headers.len());
        base.headers =
            Some(record.headers.iter().fold(headers, |headers, (key, value)| {
                headers.insert(Header { key, value: value.as_ref() })
            }));
    }
    base
}

pub(super) fn to_list(topic: &str, progress: &[Progress]) -> Result<TopicPartitionList, KafkaError> {
    let mut list = TopicPartitionList::with_capacity(progress.len());
    for progress in progress {
        let mut element = list.add_partition(topic, progress.partition);
        element.set_offset(Offset::Offset(progress.next))?;
        element.set_metadata(&progress.metadata);
    }
    Ok(list)
}
