use std::time::Duration;

use crate::support::load::{Load, card_number};
use crate::support::{BrokerOptions, Isolation, Message, Outgoing, own_broker, shared_kafka, wait};

fn values(messages: &[Message]) -> Vec<&str> {
    messages.iter().map(|message| message.text()).collect()
}

#[test]
fn a_record_comes_back_as_it_was_written() {
    let Some(kafka) = shared_kafka("round-trip") else { return };
    let topic = kafka.name("records");
    kafka.create(&topic, 3, &[("retention.ms", "-1")]);
    let places = kafka.produce(&[
        Outgoing::to(&topic)
            .key("k")
            .value("v")
            .header("h", "1")
            .header("h", "2")
            .timestamp(1_700_000_000_123),
        Outgoing::to(&topic).key("k").partition(2),
        Outgoing::to(&topic).value("").partition(0),
    ]);
    let read = kafka.read(&topic, Isolation::Committed);
    assert_eq!(read.len(), 3);
    let first = read.iter().find(|message| message.value.as_deref() == Some(b"v")).unwrap();
    assert_eq!((first.partition, first.offset), (places[0].partition, places[0].offset));
    assert_eq!((first.timestamp, first.key_text()), (1_700_000_000_123, "k"));
    assert_eq!(first.headers, [("h".to_owned(), b"1".to_vec()), ("h".to_owned(), b"2".to_vec())]);
    let tombstone = read.iter().find(|message| message.value.is_none()).unwrap();
    assert_eq!((tombstone.partition, tombstone.offset), (2, places[1].offset));
    assert!(read.iter().any(|message| message.partition == 0 && message.value.as_deref() == Some(b"")));
}

#[test]
fn an_aborted_transaction_is_invisible_to_committed_readers() {
    let Some(kafka) = shared_kafka("aborted") else { return };
    let topic = kafka.name("records");
    kafka.create(&topic, 1, &[]);
    let producer = kafka.transactional(&kafka.name("writer"));
    for (value, kept) in [("a", true), ("b", false), ("c", true)] {
        producer.begin();
        producer.send(&Outgoing::to(&topic).value(value));
        if kept { producer.commit() } else { producer.abort() }
    }
    assert_eq!(values(&kafka.read(&topic, Isolation::Committed)), ["a", "c"]);
    assert_eq!(values(&kafka.read(&topic, Isolation::Uncommitted)), ["a", "b", "c"]);

    // One left open: what follows it is out of a committed reader's sight until it ends.
    producer.begin();
    producer.send(&Outgoing::to(&topic).value("d"));
    producer.places();
    kafka.produce(&[Outgoing::to(&topic).value("e")]);
    let marks = kafka.watermarks(&topic, 0);
    assert_eq!((marks.low, marks.high - marks.stable), (0, 2));
    assert_eq!(values(&kafka.read_stable(&topic)), ["a", "c"]);
    producer.commit();
    assert_eq!(values(&kafka.read(&topic, Isolation::Committed)), ["a", "c", "d", "e"]);
}

#[test]
fn a_reader_follows_what_is_written_later() {
    let Some(kafka) = shared_kafka("follow") else { return };
    let topic = kafka.name("records");
    kafka.create(&topic, 2, &[]);
    let mut reader = kafka.reader(&topic, Isolation::Committed);
    reader.turn(Duration::from_millis(100));
    assert!(reader.messages.is_empty());
    kafka.produce(&[
        Outgoing::to(&topic).value("x").partition(0),
        Outgoing::to(&topic).value("y").partition(1),
    ]);
    reader.until("both records", Duration::from_secs(30), |messages| messages.len() == 2);
}

#[test]
fn a_load_stands_where_it_says() {
    let Some(kafka) = shared_kafka("load") else { return };
    let topic = kafka.name("transactions");
    kafka.create(&topic, 3, &[]);
    let load = Load { seed: 1, rate: 2_000, seconds: 2, cards: 50, exposed_percent: 20, partitions: 3 };
    let start = wait::now();
    let offered = load.offer(&kafka.producer(), &topic);
    assert!(wait::now() - start > Duration::from_millis(1_900), "it must not run ahead of its pace");
    let read = kafka.read(&topic, Isolation::Committed);
    assert_eq!((offered.inputs.len(), read.len()), (4_000, 4_000));
    for input in &offered.inputs {
        let place =
            |message: &&Message| (message.partition, message.offset) == (input.partition, input.offset);
        let message = read.iter().find(place).unwrap();
        assert_eq!(message.json()["card"], card_number(input.card));
    }
}

#[test]
fn committed_offsets_carry_their_metadata() {
    let Some(kafka) = shared_kafka("committed") else { return };
    let (topic, group) = (kafka.name("records"), kafka.name("group"));
    kafka.create(&topic, 2, &[]);
    kafka.commit(&group, &topic, 1, 42, "frontier=7");
    let committed = kafka.committed(&group, &topic);
    let told: Vec<_> =
        committed.iter().map(|one| (one.partition, one.offset, one.metadata.as_str())).collect();
    assert_eq!(told, [(0, None, ""), (1, Some(42), "frontier=7")]);
    kafka.forget_group(&group);
    assert_eq!(kafka.committed(&group, &topic)[1].offset, None);
}

#[test]
fn settings_partitions_and_records_change_and_go() {
    let Some(kafka) = shared_kafka("admin") else { return };
    let topic = kafka.name("records");
    kafka.create(&topic, 1, &[("cleanup.policy", "compact")]);
    kafka.set(&topic, &[("min.cleanable.dirty.ratio", "0.01")]);
    let settings = kafka.settings(&topic);
    assert_eq!(settings["cleanup.policy"], "compact", "a setting made before must stay");
    assert_eq!(settings["min.cleanable.dirty.ratio"], "0.01");
    kafka.grow(&topic, 3);
    assert_eq!(kafka.partitions(&topic), 3);

    kafka.set(&topic, &[("cleanup.policy", "delete")]);
    kafka.produce(&["a", "b", "c"].map(|value| Outgoing::to(&topic).value(value).partition(0)));
    assert_eq!(kafka.segments(&topic, 0).len(), 1);
    let on_disk = std::fs::read(&kafka.segments(&topic, 0)[0]).unwrap();
    assert!(!on_disk.is_empty());
    kafka.expire(&topic, 0, 2);
    assert_eq!(values(&kafka.read(&topic, Isolation::Uncommitted)), ["c"]);

    kafka.delete(&topic);
    assert_eq!(kafka.partitions(&topic), 0);
    kafka.create(&topic, 1, &[]);
    assert!(kafka.read(&topic, Isolation::Uncommitted).is_empty());
}

#[test]
fn a_killed_broker_comes_back_with_its_data() {
    let Some(broker) = own_broker("restarted", BrokerOptions::default()) else { return };
    let kafka = broker.kafka("restarted");
    let topic = kafka.name("records");
    kafka.create(&topic, 1, &[]);
    kafka.produce(&[Outgoing::to(&topic).value("before")]);
    broker.kill();
    broker.restart();
    kafka.produce(&[Outgoing::to(&topic).value("between")]);
    broker.terminate();
    broker.restart();
    assert_eq!(values(&kafka.read(&topic, Isolation::Committed)), ["before", "between"]);
}
