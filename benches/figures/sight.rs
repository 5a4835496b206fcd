//! `sight` exactly once on one worker, from the first record of a topic to its last.

use std::collections::HashSet;
use std::path::Path;
use std::time::{Duration, Instant};

use crate::Scale;
use crate::bare::{self, Pace};
use crate::feed;
use crate::process::cpu;
use crate::stage::{Deployment, Instance, PARTITIONS, Stage};
use crate::support::program::Ended;
use crate::support::{Isolation, wait};
use crate::table::{Table, Target, median};

/// How often progress is looked at where it is soon to be there.
const LOOK: Duration = Duration::from_millis(10);
/// How long a round may take.
const PATIENCE: Duration = Duration::from_secs(300);
/// Partitions of the memory figure.
const MANY_PARTITIONS: i32 = 64;
/// The share of exposed cards.
const EXPOSED: f64 = 0.001;
const MIB: f64 = 1024.0;

/// Throughput, CPU time and memory beside the bare consumer, in turns.
pub(crate) fn measure(binary: &Path, scale: Scale, table: &mut Table) {
    let filled = Filled::new(PARTITIONS, scale.records);
    let (mut bare, mut sight) = (Vec::new(), Vec::new());
    for round in 1..=scale.rounds {
        bare.push(filled.bare());
        sight.push(filled.sight(binary));
        eprintln!("sight, round {round}: alone {:?}, cardwatch {:?}", bare.last(), sight.last());
    }
    let of = |paces: &[Pace], field: fn(&Pace) -> f64| median(paces.iter().map(field));
    let rate = |pace: &Pace| pace.rate;
    let cpu_ns = |pace: &Pace| pace.cpu_ns;
    table.beside("sight: events/s", of(&sight, rate), of(&bare, rate), Target::AtLeast(0.35));
    table.beside("sight: CPU per event, ns", of(&sight, cpu_ns), of(&bare, cpu_ns), Target::AtMost(2.2));
    let peak = |paces: &[Pace]| paces.iter().map(|pace| pace.peak_kib).max().unwrap_or(0) as f64 / MIB;
    table.figure("sight: peak memory, 4 partitions", peak(&sight), "MiB", Target::Below(200.0));
    table.note(format!(
        "sight: {} JSON records of 245 bytes, lz4, {PARTITIONS} partitions, 0.1 % exposed, one key, one worker, \
         exactly once; medians of {} rounds in turn with the client alone (peak {:.0} MiB); every round's {} sightings \
         were compared with the input",
        scale.records,
        scale.rounds,
        peak(&bare),
        filled.exposed.len(),
    ));
}

/// Memory with many partitions.
pub(crate) fn measure_memory(binary: &Path, scale: Scale, table: &mut Table) {
    let filled = Filled::new(MANY_PARTITIONS, scale.records);
    let pace = filled.sight(binary);
    eprintln!("memory: {pace:?}");
    table.figure(
        "sight: peak memory, 64 partitions",
        pace.peak_kib as f64 / MIB,
        "MiB",
        Target::Below(200.0),
    );
    table.note(format!(
        "memory: {} records over {MANY_PARTITIONS} partitions at {:.0} events/s",
        scale.records, pace.rate
    ));
}

/// A broker with an input topic full of transactions.
struct Filled {
    stage: Stage,
    input: String,
    partitions: i32,
    records: u64,
    exposed: HashSet<String>,
}

impl Filled {
    fn new(partitions: i32, records: u64) -> Filled {
        let mut stage = Stage::new(Vec::new());
        let mut load = feed::load(records, EXPOSED);
        stage.expose(&load);
        let kafka = stage.kafka();
        let input = kafka.name("transactions");
        kafka.create(&input, partitions, &[]);
        let exposed = feed::fill(&kafka, &input, partitions, &mut load);
        let count = exposed.len();
        let exposed: HashSet<String> = exposed.into_iter().collect();
        assert_eq!(exposed.len(), count, "ids are unique");
        Filled { stage, input, partitions, records, exposed }
    }

    fn bare(&self) -> Pace {
        bare::run(self.stage.kafka().bootstrap(), &self.input, self.partitions, self.records)
    }

    fn sight(&self, binary: &Path) -> Pace {
        let deployment = self.stage.deploy(&self.input);
        let mut instance = deployment.start(binary, "one", "sight", "");
        let first = self.await_records(&mut instance, 1);
        let last = self.await_records(&mut instance, self.records);
        let peak_kib = instance.program.peak_memory_kib().expect("it is running");
        let ended = instance.program.terminate(Duration::from_secs(10));
        assert_eq!(ended, Ended::Code(0), "{}", instance.program.transcript());
        self.check(&deployment);
        let counted = (last.records - first.records) as f64;
        assert!(counted > 0.0, "all was committed at once: give it more records");
        Pace {
            rate: counted / (last.at - first.at).as_secs_f64(),
            cpu_ns: (last.cpu - first.cpu).as_nanos() as f64 / counted,
            peak_kib,
        }
    }

    /// Waits until so many records are committed.
    fn await_records(&self, instance: &mut Instance, records: u64) -> Sample {
        let start = wait::now();
        let mut before = 0;
        loop {
            let found = instance.metric("cardwatch_records_total", "sight").unwrap_or(0);
            let now = wait::now();
            if found >= records {
                assert!(found <= self.records, "{found} records of {} were committed", self.records);
                return Sample { at: now, cpu: cpu(instance.program.pid()), records: found };
            }
            assert!(now < start + PATIENCE, "no end in sight\n{}", instance.program.transcript());
            // Looking costs the process too: half of what is left to wait, as far as that is known.
            let rate = found.saturating_sub(before) as f64 / (now - start).as_secs_f64();
            let left = Duration::from_secs_f64(((records - found) as f64 / rate.max(1.0) / 2.0).min(0.5));
            let known = before > 0 && found > before;
            wait::pause(if known { left.max(LOOK) } else { LOOK });
            before = if before == 0 { found } else { before };
        }
    }

    /// Every exposed transaction has exactly one sighting, and nothing else has one.
    fn check(&self, deployment: &Deployment<'_>) {
        let sightings = deployment.kafka.read(&deployment.topic("sightings"), Isolation::Committed);
        let ids: HashSet<String> = sightings
            .iter()
            .map(|sighting| sighting.json()["transaction"]["id"].as_str().expect("an id").to_owned())
            .collect();
        assert_eq!(sightings.len(), ids.len(), "a transaction was sighted twice");
        assert!(ids == self.exposed, "{} sightings, {} exposed", ids.len(), self.exposed.len());
    }
}

/// How far it was, and what it had cost.
struct Sample {
    at: Instant,
    cpu: Duration,
    records: u64,
}
