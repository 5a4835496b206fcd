//! A healthy endpoint and detection beside four endpoints that misbehave, and without them, in turn.

use std::collections::HashMap;
use std::path::Path;
use std::time::{Duration, Instant};

use cardwatch::stop::{Reason, Stop};

use super::receiver::Receiver;
use super::{Endpoint, House};
use crate::feed;
use crate::latency::read_alerts;
use crate::stage::PARTITIONS;
use crate::support::program::Ended;
use crate::support::receiver::Behaviour;
use crate::support::wait;
use crate::table::{Table, Target, median, percentile};

/// Transactions a second, and the share on exposed cards: some 50 alerts a second.
const RATE: u32 = 1_000;
const EXPOSED: f64 = 0.05;
/// Not counted at the beginning of a run, and what is counted after it.
const WARM_UP: Duration = Duration::from_secs(4);
const COUNTED: Duration = Duration::from_secs(16);
/// Pairs of runs.
const PAIRS: usize = 10;
/// Pairs before them that do not count: the broker compiles itself while it works.
const WARM_PAIRS: usize = 2;

/// The 99th percentile of a run, in ms: from a transaction's due time.
#[derive(Debug, Clone, Copy)]
struct Run {
    /// To the alert, at a reader of committed records.
    detected: f64,
    /// To the first byte at the healthy endpoint.
    told: f64,
}

/// Measures it.
pub(crate) fn measure(binary: &Path, table: &mut Table) {
    let records = (WARM_UP + COUNTED).as_secs() * u64::from(RATE);
    let house = House::new(&feed::load(records, EXPOSED));
    let mut pairs = Vec::new();
    for number in 0..WARM_PAIRS + PAIRS {
        let alone_first = number.is_multiple_of(2);
        let first = run(&house, binary, !alone_first);
        let second = run(&house, binary, alone_first);
        let pair = if alone_first { (first, second) } else { (second, first) };
        eprintln!("webhook isolation, pair {number}: alone {:?}, beside {:?}", pair.0, pair.1);
        pairs.push(pair);
    }
    let pairs = &pairs[WARM_PAIRS..];
    for (name, of) in [("told", (|run| run.told) as fn(&Run) -> f64), ("detected", |run| run.detected)] {
        let alone = median(pairs.iter().map(|(alone, _)| of(alone)));
        let difference = median(pairs.iter().map(|(alone, beside)| of(beside) - of(alone)));
        table.figure(&format!("webhook isolation: {name}, p99 alone"), alone, "ms", Target::None);
        table.figure(
            &format!("webhook isolation: {name}, p99 more beside four that misbehave"),
            difference,
            "ms",
            Target::AtMost((alone * 0.1).max(5.0)),
        );
    }
    let listed = |of: fn(&Run) -> f64| {
        let pair = |(alone, beside): &(Run, Run)| format!("{:.1}/{:.1}", of(alone), of(beside));
        pairs.iter().map(pair).collect::<Vec<_>>().join(", ")
    };
    table.note(format!(
        "webhook isolation: {PAIRS} pairs of runs in alternating order, each of {} s after {} s, all lines in one process \
         at {RATE} tx/s with {:.0} alerts/s; beside it endpoints that hang, drip a byte a second, answer 500 and send a body \
         without end, all with rate 100000, else default settings, and owed every alert; from the time a transaction was due to its alert \
         at a read_committed reader and to the first byte at the healthy endpoint; medians of the p99 and of the ten paired \
         differences, the bound is the larger of 10 % and 5 ms. p99 alone/beside, told: {}; detected: {}",
        COUNTED.as_secs(),
        WARM_UP.as_secs(),
        f64::from(RATE) * EXPOSED,
        listed(|run| run.told),
        listed(|run| run.detected),
    ));
}

fn run(house: &House, binary: &Path, with_bad: bool) -> Run {
    let kafka = house.stage.kafka();
    let input = kafka.name("transactions");
    kafka.create(&input, PARTITIONS, &[]);
    let deployment = house.deploy_on(&input);
    let receiver = Receiver::start(transaction_id);
    let mut endpoints = vec![Endpoint { name: "good", url: receiver.url(), own: String::new() }];
    let behaviours = [
        ("hangs", Behaviour::Hang),
        ("drips", Behaviour::Drip),
        ("fails", Behaviour::status(500)),
        ("endless", Behaviour::Endless),
    ];
    let bad: Vec<_> = behaviours
        .into_iter()
        .filter(|_| with_bad)
        .map(|(name, behaviour)| {
            let (receiver, url) = house.misbehaving(behaviour);
            endpoints.push(Endpoint { name, url, own: String::new() });
            receiver
        })
        .collect();
    let rules = format!("[alerts]\nrules = \"{}\"\n", deployment.every_sighting().display());
    let more = rules + &house.config(&deployment, &endpoints);
    let mut instance = deployment.start(binary, "one", "sight,score,notify", &more);
    ["sight", "score", "notify"].iter().for_each(|line| super::await_line(&mut instance, line));

    let stop = Stop::new();
    let reader = {
        let (stop, kafka, topic) = (stop.clone(), kafka.clone(), deployment.topic("alerts"));
        std::thread::spawn(move || read_alerts(&kafka, &topic, &stop))
    };
    let start = wait::now();
    let mut load = feed::load((WARM_UP + COUNTED).as_secs() * u64::from(RATE), EXPOSED);
    let offered = feed::offer(&kafka, &input, PARTITIONS, &mut load, RATE, || false);
    wait::until("every alert is told", Duration::from_secs(30), || {
        (receiver.arrivals().len() >= offered.exposed.len()).then_some(())
    });
    wait::pause(Duration::from_millis(500));
    stop.ask(Reason::Asked);
    let (alerts, _) = reader.join().expect("the reader reads");
    let told: HashMap<String, Instant> =
        receiver.arrivals().iter().map(|arrival| (arrival.key.clone(), arrival.at)).collect();
    assert!(bad.iter().all(|receiver| !receiver.received().is_empty()), "one that misbehaves was not asked");
    assert_eq!(instance.program.terminate(Duration::from_secs(10)), Ended::Code(0));
    let p99 = |seen: &HashMap<String, Instant>| {
        let counted = offered.exposed.iter().filter(|(_, due)| **due >= start + WARM_UP);
        let took = counted.map(|(id, due)| {
            let at = seen.get(id).unwrap_or_else(|| panic!("{id} is missing"));
            (*at - *due).as_secs_f64() * 1000.0
        });
        let mut took: Vec<f64> = took.collect();
        took.sort_by(f64::total_cmp);
        percentile(&took, 0.99)
    };
    Run { detected: p99(&alerts), told: p99(&told) }
}

/// The id of the transaction that an alert is about.
fn transaction_id(_: &[u8], body: &[u8]) -> String {
    let mark = b"\"transaction\":{\"id\":\"";
    let start = memchr::memmem::find(body, mark).expect("an alert") + mark.len();
    let end = start + memchr::memchr(b'"', &body[start..]).expect("the end of the id");
    String::from_utf8_lossy(&body[start..end]).into_owned()
}
