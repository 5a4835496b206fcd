//! A file of real transactions through a real Kafka: what goes in, what comes out, and what `backtest` makes of
//! the same file.

use std::collections::HashSet;
use std::path::{Path, PathBuf};
use std::time::Duration;

use cardwatch::app::settings::mapping;
use cardwatch::config::Settings;
use cardwatch::exposure::fingerprint::{Fingerprinter, Key, Keyring};
use cardwatch::files::input::LineText;
use cardwatch::files::transactions::TransactionFile;
use cardwatch::lines::feed::card_of;
use cardwatch::secret::Secret;
use rdkafka::consumer::BaseConsumer;
use rdkafka::producer::{BaseRecord, Producer};
use rdkafka::{ClientConfig, Message};

use crate::feed;
use crate::latency::{await_owned, reader};
use crate::list;
use crate::stage::{Deployment, PARTITIONS, Stage};
use crate::support::program::{Ended, Program};
use crate::support::{kafka, wait};
use crate::table::{Table, Target};

/// How long the whole file may take on its way.
const PATIENCE: Duration = Duration::from_secs(900);

/// The user's own files.
#[derive(Debug, Clone, Default)]
pub(crate) struct Files {
    /// Transactions, one JSON object a line, plain, gzip or zstd.
    pub(crate) transactions: Option<PathBuf>,
    /// The exposed cards, in any form that `incident open` takes by itself.
    pub(crate) list: Option<PathBuf>,
    /// Configuration that says how the transactions read: `[mapping]`, `[input.card]`.
    pub(crate) mapping: Option<PathBuf>,
}

/// Sends the file through both lines with the rules that ship.
///
/// # Panics
/// When a transaction has no sighting, or two, or two alerts.
pub(crate) fn measure(binary: &Path, files: &Files, table: &mut Table) {
    let file = files.transactions.as_deref().expect("real needs --transactions FILE");
    let cards = files.list.as_deref().expect("real needs --list FILE");
    let mapping = files.mapping.as_deref().map_or_else(String::new, |path| {
        std::fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
    });
    let backtest = backtest(binary, file, cards, &mapping);
    let mut stage = Stage::new(Vec::new());
    stage.make_key();
    let kafka = stage.kafka();
    let input = kafka.name("transactions");
    kafka.create(&input, PARTITIONS, &[("retention.ms", "-1")]);
    let deployment = stage.deploy(&input);
    let import = list::open(&deployment, binary, cards, &mapping);
    let sent = fill(&deployment, &input, file, &mapping);

    let mut instance = deployment.start(binary, "one", "sight,score", &mapping);
    await_owned(&mut [&mut instance], PARTITIONS);
    let mut sightings = Output::new(&deployment, "sightings");
    let mut alerts = Output::new(&deployment, "alerts");
    let start = wait::now();
    wait::until("everything is worked off", PATIENCE, || {
        sightings.read();
        alerts.read();
        let sighted = instance.metric("cardwatch_records_total", "sight")?;
        let judged = instance.metric("cardwatch_records_total", "score")?;
        (sighted >= sent && judged >= sightings.count && sightings.count >= sent).then_some(())
    });
    let took = wait::now() - start;
    let ended = instance.program.terminate(Duration::from_secs(10));
    assert_eq!(ended, Ended::Code(0), "{}", instance.program.transcript());
    // What was committed last may still be on its way to the readers.
    wait::pause(Duration::from_secs(1));
    sightings.read();
    alerts.read();

    table.figure("real input: transactions in", sent as f64, "", Target::None);
    table.figure("real input: sightings out", sightings.count as f64, "", Target::Exactly(sent as f64));
    table.figure("real input: alerts out", alerts.count as f64, "", Target::Exactly(backtest.alerts as f64));
    table.note(format!(
        "real input: {} transactions keyed by card over {PARTITIONS} partitions, {} cards opened as an incident in {:.1} s; \
         {} different sightings and {} different alerts from both lines in one process in {:.0} s with the rules that ship, \
         default settings; `backtest` of the same files: {} sighted, {} alerts, precision {:.1} %, recall {:.1} % by transaction",
        sent,
        backtest.cards,
        import.seconds,
        sightings.ids.len(),
        alerts.ids.len(),
        took.as_secs_f64(),
        backtest.sighted,
        backtest.alerts,
        backtest.precision * 100.0,
        backtest.recall * 100.0,
    ));
    assert_eq!(sightings.ids.len() as u64, sightings.count, "a transaction was sighted twice");
    assert_eq!(alerts.ids.len() as u64, alerts.count, "a transaction was alerted twice");
}

/// What `backtest` says of the files.
struct Backtest {
    cards: u64,
    sighted: u64,
    alerts: u64,
    precision: f64,
    recall: f64,
}

fn backtest(binary: &Path, file: &Path, cards: &Path, mapping: &str) -> Backtest {
    let binary = binary.to_str().expect("a path in UTF-8");
    let path = |path: &Path| std::path::absolute(path).expect("a path").display().to_string();
    let (list, file) = (path(cards), path(file));
    let arguments = ["--format", "json", "backtest", "--list", &list, &file];
    let (ended, program) = Program::other(binary, &arguments).config(mapping).run(PATIENCE);
    assert_eq!(ended, Ended::Code(0), "{}", program.transcript());
    let all: serde_json::Value = serde_json::from_str(&program.stdout().join("\n")).expect("JSON");
    let about = |what: &str| {
        let rows = all["backtest"].as_array().expect("rows");
        let row = rows.iter().find(|row| row["what"] == what).expect("a row of that name");
        row["value"].as_u64().expect("a number")
    };
    let rows = all["evaluation"].as_array().expect("rows");
    let rules = rows.iter().find(|row| row["counted"] == "transaction" && row["alerting"] == "rules");
    let rules = rules.expect("the rules by transaction");
    Backtest {
        cards: about("exposed cards"),
        sighted: about("on exposed cards"),
        alerts: rules["alerts"].as_u64().expect("a number"),
        precision: rules["precision"].as_f64().unwrap_or(0.0),
        recall: rules["recall"].as_f64().unwrap_or(0.0),
    }
}

/// Writes the file to `topic`, each card's transactions to one partition in their order.
fn fill(deployment: &Deployment<'_>, topic: &str, file: &Path, config: &str) -> u64 {
    let path = deployment.file("mapping.toml", config);
    let settings =
        Settings::load(Some(&path), std::iter::empty()).expect("the mapping's configuration reads");
    let mapping = mapping(&settings).expect("the mapping is right");
    // A key of this run's own: it only spreads the cards.
    let key = Key::new("k1".parse().unwrap(), Secret::new(vec![7; 32])).unwrap();
    let fingerprinter = Fingerprinter::new(&Keyring::new(key, Vec::new()).unwrap());
    let mut config: ClientConfig = kafka::client(deployment.kafka.bootstrap());
    config.set("acks", "all").set("compression.type", "lz4").set("linger.ms", "20");
    config.set("partitioner", "murmur2_random").set("enable.idempotence", "true");
    let producer: rdkafka::producer::BaseProducer = config.create().expect("a producer");
    let mut transactions = TransactionFile::open(file).unwrap_or_else(|error| panic!("{error}"));
    let mut sent = 0u64;
    while let Some(line) = transactions.next_line().unwrap_or_else(|error| panic!("{error}")) {
        let LineText::Whole(text) = line.text else {
            panic!("line {} is too long for a record", line.number)
        };
        if text.is_empty() {
            continue;
        }
        let print = card_of(&mapping, &fingerprinter, text).ok();
        let key = print.map_or_else(String::new, |print| print.to_string());
        feed::send(&producer, BaseRecord::to(topic).key(key.as_bytes()).payload(text));
        sent += 1;
        if sent.is_multiple_of(1_000) {
            producer.poll(Duration::ZERO);
        }
    }
    producer.flush(Duration::from_secs(60)).expect("everything is acknowledged");
    sent
}

/// A topic as a receiver sees it.
struct Output {
    consumer: BaseConsumer,
    count: u64,
    ids: HashSet<String>,
}

impl Output {
    fn new(deployment: &Deployment<'_>, name: &str) -> Output {
        let consumer = reader(&deployment.kafka, &deployment.topic(name));
        Output { consumer, count: 0, ids: HashSet::new() }
    }

    fn read(&mut self) {
        #[derive(serde::Deserialize)]
        struct Identified {
            id: String,
        }
        while let Some(polled) = self.consumer.poll(Duration::ZERO) {
            let Ok(message) = polled else { continue };
            let value = message.payload().expect("a value");
            let Identified { id } = serde_json::from_slice(value).expect("a record with an id");
            self.count += 1;
            self.ids.insert(id);
        }
    }
}
