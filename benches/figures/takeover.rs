//! How long the partitions of an instance that is gone for good stand still.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::path::Path;
use std::time::Duration;

use cardwatch::clock::{Clock, SystemClock};
use cardwatch::stop::{Reason, Stop};
use rdkafka::Message;
use rdkafka::consumer::BaseConsumer;

use crate::Scale;
use crate::feed;
use crate::latency::{await_owned, reader, start};
use crate::stage::{Deployment, PARTITIONS, Stage};
use crate::support::wait;
use crate::table::{Table, Target, median};

/// Transactions offered each second.
const RATE: u32 = 5_000;
/// The share of exposed cards: enough that every partition has some each second.
const EXPOSED: f64 = 0.02;
/// How long a round may take.
const ROUND: u64 = 120;

/// Kills one of two instances, round after round.
pub(crate) fn measure(binary: &Path, scale: Scale, table: &mut Table) {
    // The harness hurries the coordinator; here it keeps the broker's default.
    let property = "transaction.abort.timed.out.transaction.cleanup.interval.ms";
    let mut stage = Stage::new(vec![(property, "10000".to_owned())]);
    stage.expose(&feed::load(1, EXPOSED));
    let rounds: Vec<Round> = (1..=scale.rounds)
        .map(|round| {
            let took = takeover(&stage, binary);
            eprintln!("takeover, round {round}: {took:?}");
            took
        })
        .collect();
    let worst = |field: fn(&Round) -> f64| rounds.iter().map(field).fold(0.0, f64::max);
    let whole = |round: &Round| round.sightings.max(round.alerts);
    table.figure("takeover after kill -9: worst", worst(whole), "s", Target::Below(25.0));
    table.figure("takeover after kill -9: median", median(rounds.iter().map(whole)), "s", Target::None);
    table.note(format!(
        "takeover: two instances with both lines at {RATE} tx/s, one killed with -9 and not started again, {} rounds; \
         from the kill until a read_committed reader had a sighting from every input partition (worst {:.1} s) and an alert \
         from every partition (worst {:.1} s) of transactions made after the kill; afterwards every exposed transaction had \
         exactly one sighting and one alert",
        scale.rounds,
        worst(|round| round.sightings),
        worst(|round| round.alerts),
    ));
}

/// Seconds from the kill until all partitions flowed again.
#[derive(Debug, Clone, Copy)]
struct Round {
    sightings: f64,
    alerts: f64,
}

fn takeover(stage: &Stage, binary: &Path) -> Round {
    let kafka = stage.kafka();
    let input = kafka.name("transactions");
    kafka.create(&input, PARTITIONS, &[]);
    let deployment = stage.deploy(&input);
    let mut doomed = start(&deployment, binary, "doomed");
    let mut heir = start(&deployment, binary, "heir");
    await_owned(&mut [&mut doomed, &mut heir], PARTITIONS);

    let stop = Stop::new();
    let feeding = {
        let (stop, kafka, input) = (stop.clone(), kafka.clone(), input.clone());
        std::thread::spawn(move || {
            let mut load = feed::load(u64::from(RATE) * ROUND, EXPOSED);
            feed::offer(&kafka, &input, PARTITIONS, &mut load, RATE, || stop.is_asked())
        })
    };
    let mut outputs = Outputs::new(&deployment);
    // Everything flows before the kill, histories included.
    wait::until("all partitions flow", Duration::from_secs(60), || {
        (outputs.read(0) == [true, true]).then_some(())
    });
    wait::pause(Duration::from_secs(2));
    doomed.program.kill();
    let (killed, wall) = (wait::now(), SystemClock.now().millis());
    let (mut sighted, mut alerted) = (None, None);
    wait::until("the heir takes over", Duration::from_secs(ROUND - 30), || {
        let [all_sighted, all_alerted] = outputs.read(wall);
        let now = (wait::now() - killed).as_secs_f64();
        sighted = sighted.or(all_sighted.then_some(now));
        alerted = alerted.or(all_alerted.then_some(now));
        sighted.and(alerted).map(|_| ())
    });
    stop.ask(Reason::Asked);
    let offered = feeding.join().expect("the feed ends");
    wait::until("everything is worked off", Duration::from_secs(60), || {
        outputs.read(wall);
        outputs.0.iter().all(|output| output.ids.len() >= offered.exposed.len()).then_some(())
    });
    for output in &outputs.0 {
        let ids: HashSet<&String> = output.ids.keys().collect();
        assert!(ids == offered.exposed.keys().collect(), "{} differ from the exposed", output.name);
        assert!(output.ids.values().all(|count| *count == 1), "{} twice", output.name);
    }
    drop(heir);
    Round { sightings: sighted.expect("awaited"), alerts: alerted.expect("awaited") }
}

/// Sightings and alerts.
struct Outputs([Output; 2]);

impl Outputs {
    fn new(deployment: &Deployment<'_>) -> Outputs {
        let of_input = |sighting: &serde_json::Value| sighting["source"]["partition"].as_i64();
        Outputs([Output::new(deployment, "sightings", of_input), Output::new(deployment, "alerts", |_| None)])
    }

    /// Reads what is there; whether each has all partitions with transactions made after `after`.
    fn read(&mut self, after: i64) -> [bool; 2] {
        self.0.each_mut().map(|output| {
            output.read(after);
            output.seen.len() == PARTITIONS.unsigned_abs() as usize
        })
    }
}

/// A topic as its receivers see it.
struct Output {
    name: &'static str,
    consumer: BaseConsumer,
    /// The partition that a record speaks for; its own where there is none.
    partition: fn(&serde_json::Value) -> Option<i64>,
    /// Partitions with a record of a transaction made after the last given time.
    seen: BTreeSet<i64>,
    after: i64,
    ids: HashMap<String, usize>,
}

impl Output {
    fn new(
        deployment: &Deployment<'_>,
        name: &'static str,
        partition: fn(&serde_json::Value) -> Option<i64>,
    ) -> Output {
        let consumer = reader(&deployment.kafka, &deployment.topic(name));
        Output { name, consumer, partition, seen: BTreeSet::new(), after: 0, ids: HashMap::new() }
    }

    fn read(&mut self, after: i64) {
        if after != self.after {
            self.seen.clear();
            self.after = after;
        }
        while let Some(polled) = self.consumer.poll(Duration::ZERO) {
            let Ok(message) = polled else { continue };
            let value: serde_json::Value =
                serde_json::from_slice(message.payload().expect("a value")).expect("JSON");
            let id = value["transaction"]["id"].as_str().expect("an id").to_owned();
            *self.ids.entry(id).or_default() += 1;
            let made = millis(&value["source"]["timestamp"]);
            if made > after {
                self.seen.insert((self.partition)(&value).unwrap_or(i64::from(message.partition())));
            }
        }
    }
}

fn millis(time: &serde_json::Value) -> i64 {
    let text = time.as_str().expect("RFC 3339");
    text.parse::<jiff::Timestamp>().expect("RFC 3339").as_millisecond()
}
