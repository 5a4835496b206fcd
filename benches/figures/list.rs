//! A long list: how long `incident open` takes to import it, and how long a starting process to read it.

use std::fmt::Write as _;
use std::path::Path;
use std::time::Duration;

use cardwatch::clock::{Clock, SystemClock};
use cardwatch::simulation::{Load, LoadSpec};

use crate::Scale;
use crate::stage::{Deployment, PARTITIONS, Stage};
use crate::support::program::{Ended, Program};
use crate::support::wait;
use crate::table::{Table, Target};

/// How long an import or a start may take.
const PATIENCE: Duration = Duration::from_secs(900);
/// How often a process is looked at.
const LOOK: Duration = Duration::from_millis(20);
const MIB: f64 = 1024.0;

/// What a process took.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Took {
    /// From its start, in seconds.
    pub(crate) seconds: f64,
    /// The largest resident size, in KiB.
    pub(crate) peak_kib: u64,
}

/// Imports a list of card numbers and starts a process on it.
pub(crate) fn measure(binary: &Path, scale: Scale, table: &mut Table) {
    let mut stage = Stage::new(Vec::new());
    stage.make_key();
    let kafka = stage.kafka();
    let input = kafka.name("transactions");
    kafka.create(&input, PARTITIONS, &[]);
    let deployment = stage.deploy(&input);
    let path = deployment.file("cards.csv", &numbers(scale.cards));
    let import = open(&deployment, binary, &path, "");
    eprintln!("list, import: {import:?}");

    let start = wait::now();
    let mut instance = deployment.start(binary, "one", "sight", "");
    let listed = format!("cardwatch_exposed_cards {}", scale.cards);
    let cards = wait::until("the list is there", PATIENCE, || {
        instance.all_metrics().is_some_and(|body| body.lines().any(|line| line == listed)).then(wait::now)
    });
    let there = (cards - start).as_secs_f64();
    let peak_kib = instance.program.peak_memory_kib().expect("it is running");
    assert_eq!(instance.program.terminate(Duration::from_secs(10)), Ended::Code(0));
    eprintln!("list, start: {there} s, {peak_kib} KiB");

    table.figure("list: import", import.seconds, "s", Target::None);
    table.figure("list: import, peak memory", import.peak_kib as f64 / MIB, "MiB", Target::None);
    table.figure("list: start to list in memory", there, "s", Target::None);
    table.figure("list: process with the list, peak memory", peak_kib as f64 / MIB, "MiB", Target::None);
    table.note(format!(
        "list: {} card numbers in a CSV opened as one incident ({:.0} cards/s, hashed, written and committed); \
         then a process with `sight` was started and asked until it showed every one of them",
        scale.cards,
        scale.cards as f64 / import.seconds,
    ));
}

/// So many different card numbers under a header.
fn numbers(cards: u32) -> String {
    let spec = LoadSpec {
        seed: 20_260_401,
        records: 0,
        cards,
        exposed_share: 1.0,
        start: SystemClock.now(),
        step_micros: 20,
    };
    let mut text = "pan\n".to_owned();
    for number in Load::new(spec).exposed_numbers() {
        writeln!(text, "{}", number.as_str()).expect("memory takes it");
    }
    text
}

/// Opens an incident with a list of cards, as a user would.
pub(crate) fn open(deployment: &Deployment<'_>, binary: &Path, list: &Path, config: &str) -> Took {
    let list = std::path::absolute(list).expect("a path").display().to_string();
    let arguments = [
        "incident",
        "open",
        "figures",
        "--name",
        "Figures",
        "--party",
        "Nobody",
        "--time-zone",
        "UTC",
        "--exposed-from",
        "2010-01-01",
        "--exposed-until",
        "2010-12-31",
        "--until-closed",
        "--elements",
        "pan,name,expiry",
        "--list",
        &list,
    ];
    let binary = binary.to_str().expect("a path in UTF-8");
    let start = wait::now();
    let mut program = Program::other(binary, &arguments).config(&deployment.config("import", config)).start();
    let mut peak_kib = 0;
    let ended = loop {
        if let Some(ended) = program.poll_end() {
            break ended;
        }
        // The largest so far: the last look before the end is the one that counts.
        peak_kib = program.peak_memory_kib().unwrap_or(peak_kib);
        assert!(wait::now() < start + PATIENCE, "still importing\n{}", program.transcript());
        wait::pause(LOOK);
    };
    let seconds = (wait::now() - start).as_secs_f64();
    assert_eq!(ended, Ended::Code(0), "{}", program.transcript());
    Took { seconds, peak_kib }
}
