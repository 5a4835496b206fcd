//! From a transaction's due time to a `read_committed` reader of alerts, through both lines in one process.

use std::collections::HashMap;
use std::path::Path;
use std::time::{Duration, Instant};

use cardwatch::stop::{Reason, Stop};
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::{Message, Offset, TopicPartitionList};

use crate::Scale;
use crate::feed;
use crate::stage::{Deployment, Instance, PARTITIONS, Stage};
use crate::support::program::Ended;
use crate::support::{Kafka, kafka, wait};
use crate::table::{Table, Target, percentile};

/// Transactions offered each second.
const RATE: u32 = 50_000;
/// Offered before anything counts: the broker's JVM compiles its hot paths.
const WARM_UP: Duration = Duration::from_secs(30);
/// The share of exposed cards.
const EXPOSED: f64 = 0.001;

/// Measures it.
pub(crate) fn measure(binary: &Path, scale: Scale, table: &mut Table) {
    let warm_up = WARM_UP.as_secs() * u64::from(RATE);
    let mut load = feed::load(warm_up + scale.seconds * u64::from(RATE), EXPOSED);
    let mut stage = Stage::new(Vec::new());
    stage.expose(&load);
    let kafka = stage.kafka();
    let input = kafka.name("transactions");
    kafka.create(&input, PARTITIONS, &[]);
    let deployment = stage.deploy(&input);
    let mut instance = start(&deployment, binary, "one");
    await_owned(&mut [&mut instance], PARTITIONS);

    let stop = Stop::new();
    let reader = {
        let (stop, kafka, topic) = (stop.clone(), kafka.clone(), deployment.topic("alerts"));
        std::thread::spawn(move || read_alerts(&kafka, &topic, &stop))
    };
    let start = wait::now();
    let offered = feed::offer(&kafka, &input, PARTITIONS, &mut load, RATE, || false);
    // The last alerts are on their way; what comes later than this is missed and said to be.
    wait::pause(Duration::from_secs(3));
    stop.ask(Reason::Asked);
    let (alerts, read) = reader.join().expect("the reader reads");
    assert_eq!(instance.program.terminate(Duration::from_secs(10)), Ended::Code(0));

    assert_eq!(read, alerts.len(), "a transaction was alerted twice");
    let measured = offered.exposed.iter().filter(|(_, due)| **due >= start + WARM_UP);
    let took = measured.map(|(id, due)| {
        let at = alerts.get(id).unwrap_or_else(|| panic!("no alert of {id} was read"));
        (*at - *due).as_secs_f64() * 1000.0
    });
    let mut took: Vec<f64> = took.collect();
    took.sort_by(f64::total_cmp);
    let shares = [
        ("p50", 0.5, Target::Below(30.0)),
        ("p90", 0.9, Target::None),
        ("p99", 0.99, Target::Below(120.0)),
        ("p99.9", 0.999, Target::None),
    ];
    for (name, share, target) in shares {
        table.figure(&format!("alert latency: {name}"), percentile(&took, share), "ms", target);
    }
    table.note(format!(
        "latency: {RATE} tx/s offered open loop for {} s after {} s of warm-up, 0.1 % exposed, a rule that alerts on \
         every sighting, both lines in one process, default settings; from the time a record was due (its timestamp) to a \
         read_committed reader, {} alerts, each exposed transaction exactly one; the producer (linger 1 ms) itself was at \
         worst {:.1} ms late, which is counted",
        scale.seconds,
        WARM_UP.as_secs(),
        took.len(),
        offered.latest.as_secs_f64() * 1000.0,
    ));
}

/// Starts an instance with both lines that alerts on every sighting.
pub(crate) fn start(deployment: &Deployment<'_>, binary: &Path, instance: &str) -> Instance {
    let more = format!("[alerts]\nrules = \"{}\"\n", deployment.every_sighting().display());
    deployment.start(binary, instance, "sight,score", &more)
}

/// Waits until the instances together own all partitions of both lines, each some of both, and all flow.
pub(crate) fn await_owned(instances: &mut [&mut Instance], partitions: i32) {
    let wanted = u64::from(partitions.unsigned_abs());
    wait::until("all partitions flow", Duration::from_secs(60), || {
        let mut all = true;
        for line in ["sight", "score"] {
            let mut sum = 0;
            for instance in instances.iter_mut() {
                let owned = instance.metric("cardwatch_partitions_owned", line)?;
                all &= owned > 0 && instance.metric("cardwatch_partitions_held", line)? == 0;
                sum += owned;
            }
            all &= sum == wanted;
        }
        all.then_some(())
    });
}

/// A consumer of everything committed in `topic`, as a receiver of alerts would have it.
pub(crate) fn reader(kafka: &Kafka, topic: &str) -> BaseConsumer {
    let mut config = kafka::client(kafka.bootstrap());
    config.set("group.id", "reader").set("enable.auto.commit", "false");
    config.set("isolation.level", "read_committed").set("auto.offset.reset", "earliest");
    config.set("fetch.wait.max.ms", "5").set("fetch.queue.backoff.ms", "5");
    let consumer: BaseConsumer = config.create().expect("a consumer");
    let mut assigned = TopicPartitionList::new();
    for partition in 0..PARTITIONS {
        assigned.add_partition_offset(topic, partition, Offset::Beginning).expect("an offset");
    }
    consumer.assign(&assigned).expect("assigned");
    consumer
}

/// When each transaction's alert was read, and how many were read.
pub(crate) fn read_alerts(kafka: &Kafka, topic: &str, stop: &Stop) -> (HashMap<String, Instant>, usize) {
    let consumer = reader(kafka, topic);
    let (mut alerts, mut read) = (HashMap::new(), 0);
    while !stop.is_asked() {
        let Some(Ok(message)) = consumer.poll(Duration::from_millis(100)) else { continue };
        let now = wait::now();
        let alert: serde_json::Value =
            serde_json::from_slice(message.payload().expect("a value")).expect("JSON");
        read += 1;
        alerts.insert(alert["transaction"]["id"].as_str().expect("an id").to_owned(), now);
    }
    (alerts, read)
}
