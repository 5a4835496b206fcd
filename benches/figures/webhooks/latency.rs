//! From the commit of an alert to the first byte of its request at the receiver.

use std::collections::HashMap;
use std::path::Path;
use std::time::{Duration, Instant};

use rdkafka::producer::{BaseProducer, BaseRecord, Producer};

use super::receiver::{Receiver, webhook_id};
use super::{Endpoint, House};
use crate::feed;
use crate::stage::PARTITIONS;
use crate::support::{Kafka, kafka, wait};
use crate::table::{Table, Target, percentile};

/// Alerts a second, each in a transaction of its own while the broker keeps up.
const RATE: u64 = 100;
/// Before anything counts: the broker's JVM compiles its hot paths.
const WARM_UP: Duration = Duration::from_secs(20);

/// Measures it.
pub(crate) fn measure(binary: &Path, seconds: u64, table: &mut Table) {
    let house = House::without_cards();
    let deployment = house.deploy();
    let receiver = Receiver::start(webhook_id);
    let endpoint = Endpoint { name: "good", url: receiver.url(), own: String::new() };
    let more = house.config(&deployment, &[endpoint]);
    let mut instance = deployment.start(binary, "one", "notify", &more);
    super::await_line(&mut instance, "notify");

    let start = wait::now();
    let count = (WARM_UP.as_secs() + seconds) * RATE;
    let committed = commit(&deployment.kafka, &deployment.topic("alerts"), count);
    wait::until("every alert is told", Duration::from_secs(60), || {
        (receiver.arrivals().len() as u64 >= count).then_some(())
    });
    let arrivals: HashMap<String, Instant> =
        receiver.arrivals().iter().map(|arrival| (arrival.key.clone(), arrival.at)).collect();
    assert_eq!(receiver.arrivals().len(), arrivals.len(), "an alert was told twice");
    let measured = committed.times.iter().filter(|(_, at)| *at >= start + WARM_UP);
    let took = measured.map(|(id, at)| {
        let arrived = arrivals.get(id).unwrap_or_else(|| panic!("{id} did not arrive"));
        // Readers may see an alert before its writer hears that it is committed.
        arrived.saturating_duration_since(*at).as_secs_f64() * 1000.0
    });
    let mut took: Vec<f64> = took.collect();
    took.sort_by(f64::total_cmp);
    let shares = [("p50", 0.5, Target::None), ("p90", 0.9, Target::None), ("p99", 0.99, Target::Below(50.0))];
    for (name, share, target) in shares {
        table.figure(&format!("webhook latency: {name}"), percentile(&took, share), "ms", target);
    }
    table.note(format!(
        "webhook latency: {RATE} alerts/s for {seconds} s after {} s of warm-up, {count} alerts in {} transactions over \
         {PARTITIONS} partitions; from the moment the producer's commit returned to the first byte of the request at \
         the receiver, {} alerts; rate 100000, else default settings (concurrency 4); the producer was at worst {:.1} ms late",
        WARM_UP.as_secs(),
        committed.transactions,
        took.len(),
        committed.latest.as_secs_f64() * 1000.0,
    ));
}

/// When each alert was committed, in how many transactions, and how late the latest was begun.
struct Committed {
    times: Vec<(String, Instant)>,
    latest: Duration,
    transactions: u64,
}

fn commit(kafka: &Kafka, topic: &str, count: u64) -> Committed {
    let mut config = kafka::client(kafka.bootstrap());
    config.set("transactional.id", kafka.name("alerts-writer")).set("linger.ms", "0");
    let producer: BaseProducer = config.create().expect("a producer");
    let within = Duration::from_secs(30);
    producer.init_transactions(within).expect("a transactional id of our own");
    let start = wait::now();
    let (mut times, mut latest, mut transactions) = (Vec::new(), Duration::ZERO, 0);
    let mut number = 0;
    while number < count {
        let due = |number: u64| Duration::from_micros(number * 1_000_000 / RATE);
        wait::pause(due(number).saturating_sub(wait::now() - start));
        producer.begin_transaction().expect("none is open");
        // Where a commit takes longer than the pause between two alerts, those that are due by then share the next.
        let mut ids = Vec::new();
        while number < count && due(number) <= wait::now() - start {
            latest = latest.max((wait::now() - start).saturating_sub(due(number)));
            let (id, json) = super::alert(number, super::now_ms());
            let partition = (number % u64::from(PARTITIONS.unsigned_abs())) as i32;
            let record = BaseRecord::<(), [u8]>::to(topic).partition(partition).payload(json.as_bytes());
            feed::send(&producer, record);
            ids.push(id);
            number += 1;
        }
        producer.commit_transaction(within).expect("committed");
        let at = wait::now();
        times.extend(ids.into_iter().map(|id| (id, at)));
        transactions += 1;
    }
    Committed { times, latest, transactions }
}
