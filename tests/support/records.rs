//! Writing and reading records from outside the program.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use rdkafka::client::ClientContext;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::{DeliveryResult, Header, Headers, Message as _, OwnedHeaders};
use rdkafka::producer::{BaseProducer, BaseRecord, Producer as _, ProducerContext};
use rdkafka::{Offset, TopicPartitionList};

use super::kafka::{ANSWER, Kafka, client};
use super::wait;

/// Which records a reader sees.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Isolation {
    /// Records of committed transactions and of none.
    Committed,
    /// All of them, of open and aborted transactions too.
    Uncommitted,
}

impl Isolation {
    /// The value of `isolation.level`.
    pub fn name(self) -> &'static str {
        match self {
            Isolation::Committed => "read_committed",
            Isolation::Uncommitted => "read_uncommitted",
        }
    }
}

/// A record as it was read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Message {
    /// The topic.
    pub topic: String,
    /// The partition.
    pub partition: i32,
    /// The offset.
    pub offset: i64,
    /// The record's timestamp, epoch milliseconds.
    pub timestamp: i64,
    /// The key.
    pub key: Option<Vec<u8>>,
    /// The value; `None` is a tombstone.
    pub value: Option<Vec<u8>>,
    /// The headers, in order.
    pub headers: Vec<(String, Vec<u8>)>,
}

impl Message {
    /// The value as JSON.
    #[track_caller]
    pub fn json(&self) -> serde_json::Value {
        serde_json::from_slice(self.value.as_deref().expect("a value")).expect("JSON")
    }

    /// The value as text.
    #[track_caller]
    pub fn text(&self) -> &str {
        std::str::from_utf8(self.value.as_deref().expect("a value")).expect("UTF-8")
    }

    /// The key as text.
    #[track_caller]
    pub fn key_text(&self) -> &str {
        std::str::from_utf8(self.key.as_deref().expect("a key")).expect("UTF-8")
    }

    /// The first header of that name, as text.
    pub fn header(&self, name: &str) -> Option<&str> {
        let (_, value) = self.headers.iter().find(|(known, _)| known == name)?;
        std::str::from_utf8(value).ok()
    }
}

/// A record to write.
#[derive(Debug, Clone, Default)]
pub struct Outgoing {
    topic: String,
    partition: Option<i32>,
    timestamp: Option<i64>,
    key: Option<Vec<u8>>,
    value: Option<Vec<u8>>,
    headers: Vec<(String, Vec<u8>)>,
}

impl Outgoing {
    /// A record for `topic`; a tombstone until it is given a value.
    pub fn to(topic: &str) -> Outgoing {
        Outgoing { topic: topic.to_owned(), ..Outgoing::default() }
    }

    /// With this key.
    pub fn key(mut self, key: impl Into<Vec<u8>>) -> Outgoing {
        self.key = Some(key.into());
        self
    }

    /// With this value.
    pub fn value(mut self, value: impl Into<Vec<u8>>) -> Outgoing {
        self.value = Some(value.into());
        self
    }

    /// With one more header.
    pub fn header(mut self, name: &str, value: impl Into<Vec<u8>>) -> Outgoing {
        self.headers.push((name.to_owned(), value.into()));
        self
    }

    /// With this timestamp, epoch milliseconds. The broker refuses more than an hour ahead.
    pub fn timestamp(mut self, timestamp: i64) -> Outgoing {
        self.timestamp = Some(timestamp);
        self
    }

    /// To this partition; otherwise as Java clients place the key.
    pub fn partition(mut self, partition: i32) -> Outgoing {
        self.partition = Some(partition);
        self
    }
}

/// Where a record came to stand.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Place {
    /// The partition.
    pub partition: i32,
    /// The offset.
    pub offset: i64,
}

/// Collects where each record of a producer came to stand, by its number.
#[derive(Default)]
struct Deliveries {
    places: Mutex<Vec<Option<Result<Place, String>>>>,
}

impl ClientContext for Deliveries {}

impl ProducerContext for Deliveries {
    type DeliveryOpaque = Box<usize>;

    fn delivery(&self, result: &DeliveryResult<'_>, number: Box<usize>) {
        let outcome = match result {
            Ok(message) => Ok(Place { partition: message.partition(), offset: message.offset() }),
            Err((error, _)) => Err(error.to_string()),
        };
        self.places.lock().unwrap_or_else(PoisonError::into_inner)[*number] = Some(outcome);
    }
}

/// Writes records; idempotent, or in transactions when made by [`Kafka::transactional`].
pub struct Producer {
    inner: BaseProducer<Deliveries>,
}

impl Producer {
    /// Hands a record to the client, waiting while its queue is full.
    pub fn send(&self, outgoing: &Outgoing) {
        let number = {
            let mut places = self.inner.context().places.lock().unwrap_or_else(PoisonError::into_inner);
            places.push(None);
            places.len() - 1
        };
        let mut record =
            BaseRecord::<[u8], [u8], Box<usize>>::with_opaque_to(&outgoing.topic, Box::new(number));
        if let Some(partition) = outgoing.partition {
            record = record.partition(partition);
        }
        if let Some(timestamp) = outgoing.timestamp {
            record = record.timestamp(timestamp);
        }
        if let Some(key) = &outgoing.key {
            record = record.key(key);
        }
        if let Some(value) = &outgoing.value {
            record = record.payload(value);
        }
        if !outgoing.headers.is_empty() {
            let headers = OwnedHeaders::new_with_capacity(outgoing.headers.len());
            record =
                record.headers(outgoing.headers.iter().fold(headers, |headers, (key, value)| {
                    headers.insert(Header { key, value: Some(value) })
                }));
        }
        loop {
            match self.inner.send(record) {
                Ok(()) => break,
                Err((KafkaError::MessageProduction(RDKafkaErrorCode::QueueFull), refused)) => {
                    record = refused;
                    self.inner.poll(Duration::from_millis(5));
                }
                Err((error, _)) => panic!("a record was refused by the client: {error}"),
            }
        }
    }

    /// Serves delivery reports without waiting. Call now and then between sends.
    pub fn poll(&self) {
        self.inner.poll(Duration::ZERO);
    }

    /// Waits until every record was acknowledged, and says where each of them stands, in the order sent
    /// since this producer was made.
    pub fn places(&self) -> Vec<Place> {
        wait::until("every record is acknowledged", ANSWER * 4, || {
            self.inner.poll(Duration::from_millis(5));
            (self.inner.in_flight_count() == 0).then_some(())
        });
        let places = self.inner.context().places.lock().unwrap_or_else(PoisonError::into_inner);
        let known = places.iter().map(|place| {
            place
                .clone()
                .expect("nothing is in flight")
                .unwrap_or_else(|error| panic!("not written: {error}"))
        });
        known.collect()
    }

    /// Begins a transaction.
    pub fn begin(&self) {
        self.inner.begin_transaction().expect("a transaction begins");
    }

    /// Ends a transaction, its records visible to all.
    pub fn commit(&self) {
        self.places();
        self.inner.commit_transaction(ANSWER).expect("a transaction commits");
    }

    /// Ends a transaction, its records visible to none who read committed records.
    pub fn abort(&self) {
        self.places();
        self.inner.abort_transaction(ANSWER).expect("a transaction aborts");
    }
}

impl std::fmt::Debug for Producer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Producer({} in flight)", self.inner.in_flight_count())
    }
}

/// Reads a topic from its start and keeps what it read.
pub struct Reader {
    consumer: BaseConsumer,
    at_end: Vec<bool>,
    /// Everything read so far, per partition in order of offsets.
    pub messages: Vec<Message>,
}

impl Reader {
    /// Reads on until `enough` says so; panics after `within`.
    #[track_caller]
    pub fn until(&mut self, what: &str, within: Duration, mut enough: impl FnMut(&[Message]) -> bool) {
        let deadline = wait::now() + within;
        while !enough(&self.messages) {
            let count = self.messages.len();
            assert!(wait::now() < deadline, "{what}: not within {within:?}, {count} records read");
            self.turn(Duration::from_millis(50));
        }
    }

    /// Takes what is there, waiting at most `timeout` for the first record or the end of a partition.
    pub fn turn(&mut self, timeout: Duration) {
        let mut timeout = timeout;
        while let Some(polled) = self.consumer.poll(timeout) {
            timeout = Duration::ZERO;
            match polled {
                Ok(message) => {
                    self.at_end[usize::try_from(message.partition()).expect("a partition")] = false;
                    self.messages.push(owned(&message));
                }
                Err(KafkaError::PartitionEOF(partition)) => {
                    self.at_end[usize::try_from(partition).expect("a partition")] = true;
                }
                // A broker that is away comes back, or the deadline of the caller speaks.
                Err(_) => {}
            }
        }
    }
}

impl Kafka {
    /// Writes records outside any transaction and says where each came to stand.
    pub fn produce(&self, records: &[Outgoing]) -> Vec<Place> {
        let producer = self.producer();
        for record in records {
            producer.send(record);
        }
        producer.places()
    }

    /// A producer without transactions.
    pub fn producer(&self) -> Producer {
        self.made(&[("linger.ms", "2")])
    }

    /// A producer with a transactional id of this name, initialised: a predecessor is fenced from here on.
    pub fn transactional(&self, id: &str) -> Producer {
        // The most a broker allows by default: what is to be open until the test says so must not end before.
        let longest = ("transaction.timeout.ms", "900000");
        let producer = self.made(&[("transactional.id", id), ("linger.ms", "0"), longest]);
        producer.inner.init_transactions(ANSWER).expect("transactions initialised");
        producer
    }

    fn made(&self, settings: &[(&str, &str)]) -> Producer {
        let mut config = client(self.bootstrap());
        config.set("enable.idempotence", "true").set("partitioner", "murmur2_random");
        config.set("message.max.bytes", "8388608").set("queue.buffering.max.messages", "1000000");
        for (name, value) in settings {
            config.set(*name, *value);
        }
        Producer { inner: config.create_with_context(Deliveries::default()).expect("a producer") }
    }

    /// Reads a topic from its start for as long as the caller likes.
    pub fn reader(&self, topic: &str, isolation: Isolation) -> Reader {
        let mut config = client(self.bootstrap());
        config.set("group.id", self.name("reader")).set("enable.auto.commit", "false");
        config.set("isolation.level", isolation.name()).set("enable.partition.eof", "true");
        config.set("fetch.wait.max.ms", "10").set("fetch.queue.backoff.ms", "10");
        config.set("fetch.message.max.bytes", "8388608").set("auto.offset.reset", "earliest");
        let consumer: BaseConsumer = config.create().expect("a consumer");
        let partitions = self.partitions(topic);
        assert!(partitions > 0, "there is no topic {topic}");
        let mut assigned = TopicPartitionList::new();
        for partition in 0..partitions {
            assigned.add_partition_offset(topic, partition, Offset::Beginning).expect("an offset");
        }
        consumer.assign(&assigned).expect("assigned");
        let at_end = vec![false; usize::try_from(partitions).expect("a count")];
        Reader { consumer, at_end, messages: Vec::new() }
    }

    /// A topic from its start to its high watermark at this moment, by partition and offset.
    ///
    /// The bound is asked by a `read_uncommitted` client: a `read_committed` one would be told the start
    /// of the earliest open transaction and miss what was committed behind it. So an open transaction is
    /// waited for, [`ANSWER`] long.
    #[track_caller]
    pub fn read(&self, topic: &str, isolation: Isolation) -> Vec<Message> {
        let ends = self.settled_ends(topic, isolation);
        self.read_below(topic, isolation, &ends)
    }

    /// As [`Kafka::read`], committed records, each handed on as it comes and in order within its partition: of a long
    /// topic nobody wants to keep all. Nobody writes to it any more.
    #[track_caller]
    pub fn fold(&self, topic: &str, mut take: impl FnMut(&Message)) {
        self.settled_ends(topic, Isolation::Committed);
        let mut reader = self.reader(topic, Isolation::Committed);
        wait::until("the topic is read to its end", ANSWER * 20, || {
            reader.turn(Duration::from_millis(50));
            reader.messages.drain(..).for_each(|message| take(&message));
            reader.at_end.iter().all(|end| *end).then_some(())
        });
    }

    /// The high watermarks at this moment, once what is open below them has ended where that matters.
    #[track_caller]
    fn settled_ends(&self, topic: &str, isolation: Isolation) -> Vec<i64> {
        let partitions = self.partitions(topic);
        let ends: Vec<i64> = (0..partitions).map(|number| self.watermarks(topic, number).high).collect();
        if isolation == Isolation::Committed {
            for (partition, end) in (0..partitions).zip(&ends) {
                wait::until("open transactions end", ANSWER, || {
                    (self.watermarks(topic, partition).stable >= *end).then_some(())
                });
            }
        }
        ends
    }

    /// What a `read_committed` reader sees now, open transactions left aside.
    #[track_caller]
    pub fn read_stable(&self, topic: &str) -> Vec<Message> {
        let partitions = self.partitions(topic);
        let ends: Vec<i64> = (0..partitions).map(|number| self.watermarks(topic, number).stable).collect();
        self.read_below(topic, Isolation::Committed, &ends)
    }

    /// The end of a partition reported by the client lies at or behind `ends`, because those are already
    /// readable; counting offsets instead would wait for ever for control records and compacted ones.
    #[track_caller]
    fn read_below(&self, topic: &str, isolation: Isolation, ends: &[i64]) -> Vec<Message> {
        let mut reader = self.reader(topic, isolation);
        wait::until("the topic is read to its end", ANSWER * 4, || {
            reader.turn(Duration::from_millis(50));
            reader.at_end.iter().all(|end| *end).then_some(())
        });
        let mut messages = std::mem::take(&mut reader.messages);
        messages.retain(|message| {
            message.offset < ends[usize::try_from(message.partition).expect("a partition")]
        });
        messages.sort_by_key(|message| (message.partition, message.offset));
        messages
    }
}

fn owned(message: &rdkafka::message::BorrowedMessage<'_>) -> Message {
    let headers = message.headers().map(|headers| {
        let named = headers
            .iter()
            .map(|header| (header.key.to_owned(), header.value.map(<[u8]>::to_vec).unwrap_or_default()));
        named.collect()
    });
    Message {
        topic: message.topic().to_owned(),
        partition: message.partition(),
        offset: message.offset(),
        timestamp: message.timestamp().to_millis().unwrap_or(-1),
        key: message.key().map(<[u8]>::to_vec),
        value: message.payload().map(<[u8]>::to_vec),
        headers: headers.unwrap_or_default(),
    }
}

/// What is left of a topic: of each key the newest record's value, unless that is a tombstone.
pub fn kept(records: Vec<Message>) -> BTreeMap<String, Vec<u8>> {
    let mut kept = BTreeMap::new();
    for record in records {
        let key = record.key_text().to_owned();
        match record.value {
            Some(value) => drop(kept.insert(key, value)),
            None => drop(kept.remove(&key)),
        }
    }
    kept
}

/// An outcome's value: fraud, found on an approved use of the card with this fingerprint.
pub fn found_fraud(fingerprint: &str) -> String {
    let about = serde_json::json!({
        "fingerprint": fingerprint, "key": "k1", "incidents": ["shop"], "raised_at": "2026-03-01T00:00:00Z",
        "severity": "high", "score": 90, "rules": ["dear"], "transaction": "t1",
        "transaction_at": "2026-03-01T00:00:00Z", "transaction_outcome": "approved", "amount": "1250",
        "currency": "USD",
    });
    let alert = format!("alr_{}", "a".repeat(26));
    serde_json::json!({"schema": "cardwatch.outcome/1", "alert": alert, "verdict": "fraud", "about": about})
        .to_string()
}
