//! Transactions into the input topic: all at once, or open loop at a rate.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use cardwatch::clock::{Clock, SystemClock};
use cardwatch::simulation::load::RECORD_BYTES;
use cardwatch::simulation::{Load, LoadSpec};
use rdkafka::config::ClientConfig;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::ToBytes;
use rdkafka::producer::{BaseProducer, BaseRecord, Producer};

use crate::support::{Kafka, kafka, wait};

/// Where the id stands in a record of a load.
const ID: std::ops::Range<usize> = 7..26;

/// A load whose records carry the present time; one card in a thousand is exposed, one in `1 / share`.
pub(crate) fn load(records: u64, share: f64) -> Load {
    Load::new(LoadSpec {
        seed: 20_260_401,
        records,
        cards: 1_000_000,
        exposed_share: share,
        start: SystemClock.now(),
        step_micros: 20,
    })
}

/// A producer as an upstream system would have it: lz4, acknowledged by all replicas.
pub(crate) fn producer(kafka: &Kafka, linger_ms: &str) -> BaseProducer {
    let mut config: ClientConfig = kafka::client(kafka.bootstrap());
    config.set("acks", "all").set("compression.type", "lz4").set("linger.ms", linger_ms);
    config.set("queue.buffering.max.messages", "200000").create().expect("a producer")
}

/// Hands a record over, waiting while the client's queue is full.
pub(crate) fn send<K: ToBytes + ?Sized>(producer: &BaseProducer, mut record: BaseRecord<'_, K, [u8]>) {
    loop {
        match producer.send(record) {
            Ok(()) => return,
            Err((KafkaError::MessageProduction(RDKafkaErrorCode::QueueFull), refused)) => {
                record = refused;
                producer.poll(Duration::from_millis(1));
            }
            Err((error, _)) => panic!("a record was refused by the client: {error}"),
        }
    }
}

/// A record of one partition with the time it carries.
pub(crate) fn record<'a>(
    topic: &'a str,
    partition: i32,
    value: &'a [u8],
    timestamp: i64,
) -> BaseRecord<'a, (), [u8]> {
    BaseRecord::to(topic).partition(partition).payload(value).timestamp(timestamp)
}

/// Writes the whole load as fast as the broker takes it, and gives the ids of the exposed transactions.
pub(crate) fn fill(kafka: &Kafka, topic: &str, partitions: i32, load: &mut Load) -> Vec<String> {
    let producer = producer(kafka, "20");
    let now = SystemClock.now().millis();
    let (mut exposed, mut number) = (Vec::new(), 0i64);
    while let Some((value, is_exposed)) = load.next_record() {
        assert_eq!(value.len(), RECORD_BYTES);
        let partition = i32::try_from(number % i64::from(partitions)).expect("a partition");
        send(&producer, record(topic, partition, value, now));
        if is_exposed {
            exposed.push(id(value));
        }
        number += 1;
        if number % 1_000 == 0 {
            producer.poll(Duration::ZERO);
        }
    }
    producer.flush(Duration::from_secs(60)).expect("everything is acknowledged");
    exposed
}

fn id(record: &[u8]) -> String {
    let id = std::str::from_utf8(&record[ID]).expect("ASCII");
    assert!(id.starts_with("tx-"), "the id stands elsewhere");
    id.to_owned()
}

/// What was offered.
#[derive(Debug, Default)]
pub(crate) struct Offered {
    /// The exposed transactions: when each was due.
    pub(crate) exposed: HashMap<String, Instant>,
    /// All transactions.
    pub(crate) records: u64,
    /// How late the latest was handed to the client.
    pub(crate) latest: Duration,
}

/// Offers `load` open loop: each record is handed over when it is due, whatever became of those before, and
/// carries the time it was *due* at. Ends with the load, or when `enough` says so.
pub(crate) fn offer(
    kafka: &Kafka,
    topic: &str,
    partitions: i32,
    load: &mut Load,
    rate: u32,
    enough: impl Fn() -> bool,
) -> Offered {
    let producer = producer(kafka, "1");
    let (start, wall) = (wait::now(), SystemClock.now().millis());
    let mut offered = Offered::default();
    let due_at = |number: u64| Duration::from_nanos(number * 1_000_000_000 / u64::from(rate));
    'load: while !enough() {
        let elapsed = wait::now() - start;
        while due_at(offered.records) <= elapsed {
            let due = due_at(offered.records);
            let Some((value, is_exposed)) = load.next_record() else { break 'load };
            let partition = (offered.records % partitions.unsigned_abs() as u64) as i32;
            let at = wall + i64::try_from(due.as_millis()).expect("hours at most");
            send(&producer, record(topic, partition, value, at));
            if is_exposed {
                offered.exposed.insert(id(value), start + due);
            }
            offered.latest = offered.latest.max((wait::now() - start).saturating_sub(due));
            offered.records += 1;
        }
        producer.poll(Duration::ZERO);
        wait::pause(Duration::from_millis(1));
    }
    producer.flush(Duration::from_secs(60)).expect("everything is acknowledged");
    offered
}
