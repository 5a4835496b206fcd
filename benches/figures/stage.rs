//! What every figure stands on: a broker, topics, a key, an exposure list, a configuration.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use cardwatch::clock::{Clock, SystemClock};
use cardwatch::domain::card::CardNumber;
use cardwatch::domain::incident::{Details, Element, Period, WatchPeriod};
use cardwatch::exposure::fingerprint::{Fingerprinter, Keyring};
use cardwatch::exposure::record::{CardRecord, IncidentRecord, ListKey, Mark};
use cardwatch::exposure::revision::Finish;
use cardwatch::files::keys::KeyDirectory;
use cardwatch::simulation::Load;
use tempfile::TempDir;

use crate::support::ports::free_port;
use crate::support::program::{Program, get};
use crate::support::{Broker, BrokerOptions, Kafka, Outgoing, own_broker};

/// Partitions of sightings, histories and alerts, and of the input but for the memory figure.
pub(crate) const PARTITIONS: i32 = 4;

/// A rules file that alerts on every sighting, and its name.
const EVERY_SIGHTING: (&str, &str) = (
    "every-sighting.toml",
    "[[rule]]\nname = \"every-sighting\"\nwhen = 'pan_exposed'\nscore = 100\ntext = \"a card of the list was used\"\n",
);

/// A broker with one exposure list on it.
pub(crate) struct Stage {
    broker: Broker,
    exposures: String,
    /// Keys and rules.
    files: TempDir,
}

/// One deployment: its topics and groups meet those of no other.
pub(crate) struct Deployment<'a> {
    stage: &'a Stage,
    pub(crate) kafka: Kafka,
    input: String,
}

/// A running instance and where its metrics are.
pub(crate) struct Instance {
    pub(crate) program: Program,
    metrics: String,
}

impl Stage {
    /// Boots a broker; `properties` are added to its own.
    pub(crate) fn new(properties: Vec<(&'static str, String)>) -> Stage {
        Stage::on(BrokerOptions { properties, compiled_well: true, ..BrokerOptions::default() })
    }

    /// Boots a broker that is as fast after a second as it will ever be: for figures of some seconds, which a compiler at
    /// work beside them would be a good part of.
    pub(crate) fn brief() -> Stage {
        Stage::on(BrokerOptions::default())
    }

    fn on(options: BrokerOptions) -> Stage {
        let options = BrokerOptions { heap_mib: 768, ..options };
        let broker = own_broker("figures", options).expect("asked before");
        let files = TempDir::new().expect("a place for keys and rules");
        std::fs::write(files.path().join(EVERY_SIGHTING.0), EVERY_SIGHTING.1).expect("writable");
        Stage { broker, exposures: String::new(), files }
    }

    /// The broker as one figure sees it.
    pub(crate) fn kafka(&self) -> Kafka {
        self.broker.kafka("figures")
    }

    /// Makes a key and the topic of a list that holds nothing yet.
    pub(crate) fn make_key(&mut self) -> Keyring {
        let kafka = self.kafka();
        self.exposures = kafka.name("exposures");
        kafka.create(&self.exposures, 1, &[("cleanup.policy", "compact")]);
        let directory = KeyDirectory::new(&self.files.path().join("keys"));
        directory.create("k1".parse().unwrap(), true, SystemClock.now()).expect("a key is made");
        directory.load().expect("the key just made")
    }

    /// Makes a key and writes the exposed cards of `load` to a list of their own, in force from here on.
    pub(crate) fn expose(&mut self, load: &Load) {
        let keyring = self.make_key();
        let (kafka, clock) = (self.kafka(), SystemClock);
        let fingerprinter = Fingerprinter::new(&keyring);
        let incident: cardwatch::domain::incident::IncidentId = "figures".parse().unwrap();
        let mut records: Vec<Outgoing> = Vec::with_capacity(load.exposed_numbers().len() + 1);
        let card = CardRecord { events: vec![1], ..CardRecord::default() }.to_json();
        for number in load.exposed_numbers() {
            let number = CardNumber::parse(number.as_str().as_bytes()).expect("a card number");
            let key = ListKey::Card {
                key: "k1".parse().unwrap(),
                fingerprint: fingerprinter.of_number(0, &number),
                incident: incident.clone(),
            };
            records.push(Outgoing::to(&self.exposures).key(key.to_string()).value(card.clone()));
        }
        let mut record = IncidentRecord::new(incident.clone());
        let mark = Mark { at: clock.now(), by: "bench".to_owned(), host: "here".to_owned() };
        let number = record.claim(details(), mark).expect("a first revision");
        let checks = BTreeMap::from([("k1".parse().unwrap(), keyring.primary().check_value())]);
        let finish = Finish { at: clock.now(), counts: Default::default(), cards: None, checks };
        record.finish(number, finish).expect("just claimed");
        let key = ListKey::Incident(incident).to_string();
        records.push(Outgoing::to(&self.exposures).key(key).value(record.to_json()));
        kafka.produce(&records);
    }

    /// A file beside the keys.
    pub(crate) fn file(&self, name: &str, text: &str) -> PathBuf {
        let path = self.files.path().join(name);
        std::fs::write(&path, text).expect("writable");
        path
    }

    /// A deployment of its own on `input`, with its topics made.
    pub(crate) fn deploy(&self, input: &str) -> Deployment<'_> {
        let kafka = self.kafka();
        kafka.create(&kafka.name("sightings"), PARTITIONS, &[]);
        kafka.create(&kafka.name("card-history"), PARTITIONS, &[("cleanup.policy", "compact")]);
        kafka.create(&kafka.name("alerts"), PARTITIONS, &[("retention.ms", "-1")]);
        kafka.create(&kafka.name("outcomes"), 1, &[("cleanup.policy", "compact")]);
        kafka.create(&kafka.name("control"), 1, &[("cleanup.policy", "compact")]);
        kafka.create(&kafka.name("audit"), 1, &[("retention.ms", "-1")]);
        kafka.create(&kafka.name("dead-letters"), 1, &[]);
        Deployment { stage: self, kafka, input: input.to_owned() }
    }
}

fn details() -> Details {
    Details {
        name: "Figures".to_owned(),
        party: "Nobody".to_owned(),
        time_zone: "UTC".to_owned(),
        exposure: Period { from: "2020-01-01".parse().unwrap(), until: "2020-12-31".parse().unwrap() },
        watch: WatchPeriod { from: None, until: None },
        elements: vec![Element::Pan, Element::Expiry],
    }
}

impl Deployment<'_> {
    /// Starts `cardwatch run` with default settings but for names and addresses. `more` is added to the
    /// configuration.
    pub(crate) fn start(&self, binary: &Path, instance: &str, lines: &str, more: &str) -> Instance {
        let port = free_port();
        let config = self.config(instance, &format!("[http]\nlisten = \"127.0.0.1:{port}\"\n{more}"));
        let binary = binary.to_str().expect("a path in UTF-8");
        let program = Program::other(binary, &["run", "--lines", lines]).config(&config).start();
        Instance { program, metrics: format!("http://127.0.0.1:{port}/metrics") }
    }

    /// The configuration of an instance, and `more`.
    pub(crate) fn config(&self, instance: &str, more: &str) -> String {
        format!(
            "[kafka]\nbootstrap_servers = \"{}\"\n\
             [topics]\nprefix = \"{}\"\nexposures = \"{}\"\n\
             [input]\ntopic = \"{}\"\nstart = \"earliest\"\n\
             [keys]\ndirectory = \"{}\"\n\
             [instance]\nid = \"{instance}\"\ntransactional_prefix = \"{}\"\ngroup_prefix = \"{}\"\n{more}",
            self.kafka.bootstrap(),
            self.kafka.name(""),
            self.stage.exposures,
            self.input,
            self.stage.files.path().join("keys").display(),
            self.kafka.name("tx"),
            self.kafka.name("group"),
        )
    }

    /// A file beside the keys.
    pub(crate) fn file(&self, name: &str, text: &str) -> PathBuf {
        self.stage.file(name, text)
    }

    /// A rules file that alerts on every sighting.
    pub(crate) fn every_sighting(&self) -> PathBuf {
        self.stage.files.path().join(EVERY_SIGHTING.0)
    }

    /// The full name of one of the deployment's topics.
    pub(crate) fn topic(&self, name: &str) -> String {
        self.kafka.name(name)
    }
}

impl Instance {
    /// The value of a metric of one line; `None` while it does not answer.
    pub(crate) fn metric(&mut self, name: &str, line: &str) -> Option<u64> {
        let body = self.all_metrics()?;
        let wanted = format!("{name}{{line=\"{line}\"}} ");
        body.lines().find_map(|row| row.strip_prefix(&wanted)?.parse::<f64>().ok()).map(|value| value as u64)
    }

    /// All metrics as text; `None` while it does not answer.
    pub(crate) fn all_metrics(&mut self) -> Option<String> {
        if let Some(ended) = self.program.poll_end() {
            panic!("cardwatch ended ({ended:?})\n{}", self.program.transcript());
        }
        get(&self.metrics).map(|(_, body)| body)
    }
}
