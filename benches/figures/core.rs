//! The core of `sight` without Kafka: what one record costs, for profilers and for comparing changes.

use std::hint::black_box;
use std::time::Instant;

use cardwatch::codec::mapping::{Mapping, MappingSpec};
use cardwatch::domain::card::CardNumber;
use cardwatch::domain::position::Record;
use cardwatch::domain::time::Timestamp;
use cardwatch::exposure::fingerprint::{Fingerprinter, Key, Keyring};
use cardwatch::exposure::record::{CardRecord, ListKey};
use cardwatch::exposure::set::ExposureSet;
use cardwatch::secret::Secret;
use cardwatch::simulation::load::RECORD_BYTES;
use cardwatch::watch::{Seen, Watch};

use crate::feed;
use crate::support::wait;

/// Records gone over again and again: about what the client's queue holds.
const RECORDS: u64 = 20_000;

/// Goes over the records `rounds` times and prints the fastest round of each part, in nanoseconds a record.
pub(crate) fn run(rounds: usize) {
    let mut load = feed::load(RECORDS, 0.001);
    let keyring =
        Keyring::new(Key::new("k1".parse().unwrap(), Secret::new(vec![7; 32])).unwrap(), Vec::new());
    let keyring = keyring.expect("one key");
    let fingerprinter = Fingerprinter::new(&keyring);
    let (set, mut writer) = ExposureSet::new(&keyring.ids());
    for (offset, number) in load.exposed_numbers().enumerate() {
        let number = CardNumber::parse(number.as_str().as_bytes()).expect("a card number");
        let key = ListKey::Card {
            key: "k1".parse().unwrap(),
            fingerprint: fingerprinter.of_number(0, &number),
            incident: "figures".parse().unwrap(),
        };
        let record = CardRecord { events: vec![1], ..CardRecord::default() };
        let offset = i64::try_from(offset).expect("an offset");
        writer.apply(offset, key.to_string().as_bytes(), Some(&record.to_json())).expect("a card record");
    }
    // Without its incident's record no card shows: every record takes the way of a miss.
    let view = writer.publish();
    drop(set);
    let mapping = Mapping::new(&MappingSpec::default()).expect("the default mapping");
    let watch = Watch::new(mapping.clone(), fingerprinter.clone(), "0");
    let mut bytes = Vec::new();
    while let Some((record, _)) = load.next_record() {
        bytes.extend_from_slice(record);
    }
    let number = CardNumber::parse(b"4242424242424242").expect("a card number");
    part("scan", rounds, &bytes, |value| drop(black_box(mapping.scan(value))));
    part("fingerprint", rounds, &bytes, |_| {
        black_box(fingerprinter.of_number(0, black_box(&number)));
    });
    part("look (scan, fingerprint, look-up)", rounds, &bytes, |value| {
        let (topic, timestamp) = ("transactions", Timestamp(1));
        let record = Record { value: Some(value), key: None, topic, partition: 0, offset: 0, timestamp };
        let seen = watch.look(&view, &record, timestamp, Vec::new);
        assert!(matches!(black_box(seen), Seen::Miss));
    });
}

fn part(name: &str, rounds: usize, bytes: &[u8], mut once: impl FnMut(&[u8])) {
    let times = (0..rounds).map(|_| {
        let start: Instant = wait::now();
        bytes.chunks_exact(RECORD_BYTES).for_each(|value| once(black_box(value)));
        wait::now() - start
    });
    let fastest = times.min().expect("a round");
    println!("{name}: {:.0} ns", fastest.as_nanos() as f64 / RECORDS as f64);
}
