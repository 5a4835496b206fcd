//! One deployment of the program on a broker: its topics, its keys, its exposure list and its processes.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use cardwatch::app::settings;
use cardwatch::books::Book;
use cardwatch::clock::{Clock, SystemClock};
use cardwatch::config::Settings;
use cardwatch::domain::card::CardNumber;
use cardwatch::domain::incident::{Details, Element, IncidentId, Period, WatchPeriod};
use cardwatch::exposure::fingerprint::{Fingerprinter, Keyring};
use cardwatch::exposure::plan::{Action, CardName, ImportPlan, PlanEntry};
use cardwatch::exposure::record::{IncidentRecord, Mark, RevisionState};
use cardwatch::exposure::revision::Finish;
use cardwatch::files::keys::KeyDirectory;
use cardwatch::judge::JudgeSettings;
use cardwatch::kafka::probe::Probe;
use cardwatch::lines::books::BookReader;
use cardwatch::lines::import::{Known, ListTopic, Writer};
use tempfile::TempDir;

use super::check::{Input, Listing, Run};
use super::kafka::Kafka;
use super::load::{Planned, card_number};
use super::observe::{Names, observe};
use super::program::{Invocation, Program};
use super::records::{Isolation, Outgoing, Place};
use super::wire::Naive;

/// The incident that every list of a deployment belongs to.
const INCIDENT: &str = "shop";

/// A rule that looks at nothing but the card's past, so that a minute's load raises alerts and each of them
/// depends on what was judged before it.
pub const RULES: &str = r#"
[[rule]]
name = "third-use"
when = "uses_1h >= 3"
score = 50
text = "{uses_1h} uses in an hour"
"#;

/// Topics, keys and configuration; the same for every process of the deployment.
#[derive(Debug)]
pub struct Deployment {
    /// Where it runs.
    pub kafka: Kafka,
    /// What it is called.
    pub names: Names,
    /// The topic of the exposure list.
    pub exposures: String,
    keys: TempDir,
    keyring: Keyring,
    sent: AtomicU64,
}

/// What one revision of the list changes.
#[derive(Debug, Clone, Default)]
pub struct Revision {
    /// Cards from now on exposed.
    pub added: Vec<usize>,
    /// Cards no longer exposed.
    pub withdrawn: Vec<usize>,
}

impl Revision {
    /// A revision that only adds.
    pub fn adding(cards: impl IntoIterator<Item = usize>) -> Revision {
        Revision { added: cards.into_iter().collect(), withdrawn: Vec::new() }
    }
}

impl Deployment {
    /// Makes topics (`input` partitions for the input, `internal` for what `score` keeps) and a key.
    pub fn new(kafka: Kafka, input: i32, internal: i32) -> Deployment {
        let names = Names {
            input: kafka.name("transactions"),
            sightings: kafka.name("sightings"),
            history: kafka.name("card-history"),
            alerts: kafka.name("alerts"),
            sight: kafka.name("group-sight"),
            score: kafka.name("group-score"),
        };
        let exposures = kafka.name("exposures");
        kafka.create(&names.input, input, &[]);
        kafka.create(&exposures, 1, &[("cleanup.policy", "compact")]);
        kafka.create(&names.sightings, internal, &[]);
        kafka.create(&names.history, internal, &[("cleanup.policy", "compact")]);
        kafka.create(&names.alerts, internal, &[("retention.ms", "-1")]);
        kafka.create(&kafka.name("outcomes"), 1, &[("cleanup.policy", "compact")]);
        kafka.create(&kafka.name("control"), 1, &[("cleanup.policy", "compact")]);
        kafka.create(&kafka.name("dead-letters"), 1, &[]);
        kafka.create(&kafka.name("audit"), 1, &[("retention.ms", "-1")]);
        let keys = TempDir::new_in(env!("CARGO_TARGET_TMPDIR")).expect("target/ is writable");
        let directory = KeyDirectory::new(&keys.path().join("keys"));
        directory.create("k1".parse().expect("a key id"), true, SystemClock.now()).expect("a key");
        let keyring = directory.load().expect("the key just made");
        std::fs::write(keys.path().join("rules.toml"), RULES).expect("target/ is writable");
        Deployment { kafka, names, exposures, keys, keyring, sent: AtomicU64::new(0) }
    }

    /// The configuration of the process `id`.
    pub fn config(&self, id: &str) -> String {
        format!(
            "[kafka]\nbootstrap_servers = \"{}\"\n[topics]\nprefix = \"{}\"\n\
             [input]\ntopic = \"{}\"\nstart = \"earliest\"\n[keys]\ndirectory = \"{}\"\n\
             [instance]\nid = \"{id}\"\ntransactional_prefix = \"{}\"\ngroup_prefix = \"{}\"\n\
             [sight]\nworkers_max = 1\n[score]\nworkers_max = 1\n[http]\nlisten = \"\"\n\
             [alerts]\nthreshold = 50\nrules = \"{}\"\n",
            self.kafka.bootstrap(),
            self.kafka.prefix(),
            self.names.input,
            self.keys.path().join("keys").display(),
            self.kafka.name("tx"),
            self.kafka.name("group"),
            self.keys.path().join("rules.toml").display(),
        )
    }

    /// `cardwatch run` as instance `id`, with these lines and these faults.
    pub fn process(&self, id: &str, lines: &str, faults: &str) -> Invocation {
        Program::with(&["run", "--lines", lines]).config(&self.config(id)).env("CARDWATCH_FAULTS", faults)
    }

    /// Produces one transaction on each of these cards, over all partitions in turn.
    pub fn send(&self, cards: impl IntoIterator<Item = usize>) -> Vec<Input> {
        let partitions = u64::try_from(self.kafka.partitions(&self.names.input)).expect("a count");
        let cards: Vec<usize> = cards.into_iter().collect();
        let now = SystemClock.now().millis();
        let outgoing = cards.iter().map(|card| {
            let number = self.sent.fetch_add(1, Ordering::Relaxed);
            let partition = i32::try_from(number % partitions).expect("a partition");
            let (at, amount, merchant) = (Default::default(), 1_250, 7);
            let planned = Planned { at, number, card: *card, partition, amount, merchant };
            Outgoing::to(&self.names.input).partition(partition).timestamp(now).value(planned.json(now))
        });
        let places = self.kafka.produce(&outgoing.collect::<Vec<_>>());
        let input = |(place, card): (&Place, usize)| Input {
            topic: self.names.input.clone(),
            partition: place.partition,
            offset: place.offset,
            card,
        };
        places.iter().zip(cards).map(input).collect()
    }

    /// Where the list is, for changing it.
    pub fn list(&self) -> ListTopic {
        let config = self.config("import");
        let config = Settings::read(Some((Path::new("test.toml"), &config)), std::iter::empty());
        let config = config.expect("a configuration that reads");
        let cluster = settings::cluster(&config);
        ListTopic {
            probe: Probe::new(&cluster).expect("a client"),
            cluster,
            topic: config.topics.exposures.clone(),
            prefix: config.instance.transactional_prefix.clone(),
            clock: Arc::new(SystemClock),
        }
    }

    /// The incident's book, as `incident show` makes it up.
    pub fn book(&self) -> Book {
        let config = self.config("books");
        let config = Settings::read(Some((Path::new("test.toml"), &config)), std::iter::empty());
        let topics = settings::book_topics(&config.expect("a configuration that reads"));
        let ledger = BookReader { list: &self.list(), topics }.ledger().expect("books that read");
        ledger.book(&incident()).expect("an incident")
    }

    /// Imports a revision from its claim to its finishing mark.
    pub fn import(&self, revision: &Revision) -> u32 {
        let list = self.list();
        let import = self.take_over(&list).write(revision);
        import.finish()
    }

    /// Becomes the writer of the list.
    pub fn take_over<'a>(&'a self, list: &'a ListTopic) -> Import<'a> {
        let (writer, known) = list.take_over(&incident()).expect("the list is taken over");
        Import { deployment: self, writer, known, number: 0, finish: Finish::default() }
    }

    /// Takes a revision back.
    pub fn undo(&self, number: u32) {
        let list = self.list();
        let (mut writer, known) = list.take_over(&incident()).expect("the list is taken over");
        let mut record = known.incident.expect("an incident");
        record.undo(number, mark()).expect("a revision that is done");
        writer.put(&record).expect("the mark is written");
    }

    /// Which cards were exposed under which frontier, read from the marks on the topic itself; `revisions`
    /// says what revision 1, 2, … changed. What revision 1 lists counts as listed from the start.
    pub fn listing(&self, revisions: &[Revision]) -> Listing {
        let mut listing = Listing::fixed(revisions.first().iter().flat_map(|first| first.added.clone()));
        let mut first_is_done = false;
        for message in self.kafka.read(&self.exposures, Isolation::Committed) {
            let key = message.key_text();
            let Some(id) = key.strip_prefix("incident/") else { continue };
            let id: IncidentId = id.parse().expect("an incident id");
            let record = IncidentRecord::from_json(&id, message.value.as_deref().expect("a record"));
            let record = record.expect("an incident record");
            let done =
                |number: u32| record.revision(number).is_some_and(|found| found.state == RevisionState::Done);
            first_is_done |= done(1);
            if !first_is_done {
                continue;
            }
            let mut cards: BTreeSet<usize> = BTreeSet::new();
            for (number, revision) in (1..).zip(revisions).filter(|(number, _)| done(*number)) {
                assert!(number > 0);
                cards.extend(&revision.added);
                revision.withdrawn.iter().for_each(|card| {
                    cards.remove(card);
                });
            }
            listing = listing.then(message.offset, cards);
        }
        listing
    }

    /// Everything as it stands now, for the checker.
    pub fn observe(&self, inputs: Vec<Input>, revisions: &[Revision]) -> Run {
        observe(&self.kafka, &self.names, inputs, self.listing(revisions))
    }

    /// Judges as this deployment's configuration does, in one piece.
    pub fn naive(&self) -> Naive {
        let config = self.config("naive");
        let config = Settings::read(Some((Path::new("test.toml"), &config)), std::iter::empty());
        let config = config.expect("a configuration that reads");
        let settings = JudgeSettings {
            min_uses: u64::from(config.history.min_uses),
            threshold: Some(config.alerts.threshold.expect("set above")),
            live_for_ms: i64::try_from(config.alerts.live_for.as_millis()).expect("days"),
        };
        Naive::new(RULES, settings, env!("CARGO_PKG_VERSION"))
    }

    /// Whether `sight` has committed every transaction there is.
    pub fn sight_is_through(&self) -> bool {
        let committed = self.kafka.offsets(&self.names.sight, &self.names.input);
        let ends = committed.keys().map(|(topic, partition)| self.kafka.watermarks(topic, *partition).high);
        committed.values().copied().eq(ends)
    }

    /// Whether `score` has committed every sighting that a committed reader sees, and none is in doubt.
    pub fn score_is_through(&self) -> bool {
        let sightings = &self.names.sightings;
        let stable = (0..self.kafka.partitions(sightings)).all(|partition| {
            let marks = self.kafka.watermarks(sightings, partition);
            marks.stable == marks.high
        });
        let mut last: BTreeMap<i32, i64> = BTreeMap::new();
        for message in self.kafka.read_stable(sightings) {
            last.insert(message.partition, message.offset);
        }
        let committed = self.kafka.offsets(&self.names.score, sightings);
        stable
            && committed
                .iter()
                .all(|((_, partition), next)| last.get(partition).is_none_or(|last| last < next))
    }
}

/// A change of the list on its way.
pub struct Import<'a> {
    deployment: &'a Deployment,
    writer: Writer<'a>,
    known: Known,
    number: u32,
    finish: Finish,
}

impl std::fmt::Debug for Import<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Import({})", self.number)
    }
}

impl Import<'_> {
    /// Claims the next number and writes the cards of `revision`; nothing of it counts yet.
    pub fn write(mut self, revision: &Revision) -> Self {
        let mut incident = self.known.incident.take().unwrap_or_else(|| IncidentRecord::new(incident()));
        self.number = self.writer.claim(&mut incident, details(), mark()).expect("a claim");
        let keyring = &self.deployment.keyring;
        let fingerprinter = Fingerprinter::new(keyring);
        let snapshot = incident.clone();
        let mut plan = ImportPlan::new(&snapshot, self.number, std::mem::take(&mut self.known.cards));
        let added = revision.added.iter().map(|card| (Action::Add, *card));
        let withdrawn = revision.withdrawn.iter().map(|card| (Action::Withdraw, *card));
        for (action, card) in added.chain(withdrawn) {
            let number = CardNumber::parse(card_number(card).as_bytes()).expect("a card number");
            let key = keyring.primary().id().clone();
            let name = CardName { key, fingerprint: fingerprinter.of_number(0, &number) };
            let references = Default::default();
            let entry = PlanEntry { action, name, others: &[], expiry: None, tier: None, references };
            for write in plan.entry(&entry).1 {
                self.writer.card(&write).expect("a card is written");
            }
        }
        let totals = plan.totals();
        let checks = BTreeMap::from([(keyring.primary().id().clone(), keyring.primary().check_value())]);
        self.finish = Finish { at: mark().at, counts: totals.counts, cards: Some(totals.cards), checks };
        self.writer.put(&incident).expect("the cards are committed");
        self.known.incident = Some(incident);
        self
    }

    /// Writes the finishing mark; the number of the revision.
    pub fn finish(mut self) -> u32 {
        let mut incident = self.known.incident.take().expect("written before");
        self.writer.finish(&mut incident, self.number, self.finish).expect("the revision is finished");
        self.number
    }
}

fn incident() -> IncidentId {
    INCIDENT.parse().expect("an incident id")
}

fn mark() -> Mark {
    Mark { at: SystemClock.now(), by: "test".to_owned(), host: "here".to_owned() }
}

fn details() -> Details {
    Details {
        name: "Shop".to_owned(),
        party: "Shop KK".to_owned(),
        time_zone: "UTC".to_owned(),
        exposure: Period {
            from: "2020-01-01".parse().expect("a date"),
            until: "2020-12-31".parse().expect("a date"),
        },
        watch: WatchPeriod { from: None, until: None },
        elements: vec![Element::Pan, Element::Expiry],
    }
}
