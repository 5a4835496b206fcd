//! The main line once through, in this process: a list goes in, transactions stream by, sightings and
//! alerts come out, and a second start goes on where the first ended.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use cardwatch::app::{Service, settings};
use cardwatch::clock::{Clock, SystemClock};
use cardwatch::config::Settings;
use cardwatch::domain::card::CardNumber;
use cardwatch::domain::incident::{Details, Element, Period, WatchPeriod};
use cardwatch::exposure::fingerprint::{Fingerprinter, Key, Keyring};
use cardwatch::exposure::plan::{Action, CardName, ImportPlan, PlanEntry};
use cardwatch::exposure::record::{IncidentRecord, Mark};
use cardwatch::exposure::revision::Finish;
use cardwatch::health::Health;
use cardwatch::kafka::probe::Probe;
use cardwatch::lines::import::ListTopic;
use cardwatch::secret::Secret;
use cardwatch::stop::Stop;

use crate::support::load::card_number;
use crate::support::{Isolation, Kafka, Outgoing, shared_kafka, wait};

fn keyring() -> Keyring {
    Keyring::new(Key::new("k1".parse().unwrap(), Secret::new(vec![7; 32])).unwrap(), Vec::new()).unwrap()
}

fn topics(kafka: &Kafka) -> String {
    kafka.create(&kafka.name("transactions"), 3, &[]);
    kafka.create(&kafka.name("exposures"), 1, &[("cleanup.policy", "compact")]);
    kafka.create(&kafka.name("sightings"), 2, &[]);
    kafka.create(&kafka.name("card-history"), 2, &[("cleanup.policy", "compact")]);
    kafka.create(&kafka.name("alerts"), 2, &[("retention.ms", "-1")]);
    kafka.create(&kafka.name("outcomes"), 1, &[("cleanup.policy", "compact")]);
    kafka.create(&kafka.name("control"), 1, &[("cleanup.policy", "compact")]);
    kafka.create(&kafka.name("dead-letters"), 1, &[]);
    kafka.create(&kafka.name("audit"), 1, &[("retention.ms", "-1")]);
    format!(
        "[kafka]\nbootstrap_servers = \"{}\"\n[topics]\nprefix = \"{}\"\n[input]\ntopic = \"{}\"\nstart = \"earliest\"\n\
         [instance]\nid = \"one\"\ntransactional_prefix = \"{}\"\ngroup_prefix = \"{}\"\n",
        kafka.bootstrap(),
        kafka.name(""),
        kafka.name("transactions"),
        kafka.name("tx"),
        kafka.name("group"),
    )
}

fn import(config: &Settings, cards: &[usize]) {
    let clock: Arc<dyn Clock> = Arc::new(SystemClock);
    let cluster = settings::cluster(config);
    let list = ListTopic {
        probe: Probe::new(&cluster).unwrap(),
        cluster,
        topic: config.topics.exposures.clone(),
        prefix: config.instance.transactional_prefix.clone(),
        clock: Arc::clone(&clock),
    };
    let keys = Fingerprinter::new(&keyring());
    let id = "shop".parse().unwrap();
    let (mut writer, known) = list.take_over(&id).unwrap();
    let mut incident = known.incident.unwrap_or_else(|| IncidentRecord::new(id.clone()));
    let details = Details {
        name: "Shop".to_owned(),
        party: "Shop KK".to_owned(),
        time_zone: "UTC".to_owned(),
        exposure: Period { from: "2020-01-01".parse().unwrap(), until: "2020-12-31".parse().unwrap() },
        watch: WatchPeriod { from: None, until: None },
        elements: vec![Element::Pan, Element::Expiry],
    };
    let mark = Mark { at: clock.now(), by: "test".to_owned(), host: "here".to_owned() };
    let number = writer.claim(&mut incident, details, mark).unwrap();
    let snapshot = incident.clone();
    let mut plan = ImportPlan::new(&snapshot, number, known.cards);
    for card in cards {
        let pan = CardNumber::parse(card_number(*card).as_bytes()).unwrap();
        let name = CardName { key: "k1".parse().unwrap(), fingerprint: keys.of_number(0, &pan) };
        let references = Default::default();
        let entry =
            PlanEntry { action: Action::Add, name, others: &[], expiry: None, tier: None, references };
        for write in plan.entry(&entry).1 {
            writer.card(&write).unwrap();
        }
    }
    let totals = plan.totals();
    let finish = Finish {
        at: clock.now(),
        counts: totals.counts,
        cards: Some(totals.cards),
        checks: BTreeMap::from([("k1".parse().unwrap(), keyring().primary().check_value())]),
    };
    writer.finish(&mut incident, number, finish).unwrap();
}

fn start(config: &Settings) -> (Service, Stop, Arc<dyn Clock>) {
    let clock: Arc<dyn Clock> = Arc::new(SystemClock);
    let stop = Stop::new();
    let plan = settings::plan(config, Some(keyring())).unwrap();
    let health = Health::new(Arc::clone(&clock));
    let registry = prometheus::Registry::new();
    let service = Service::start(plan, Arc::clone(&clock), stop.clone(), health, registry).unwrap();
    (service, stop, clock)
}

#[test]
fn listed_cards_are_sighted_once_across_a_restart() {
    let Some(kafka) = shared_kafka("first-light") else { return };
    let text = topics(&kafka);
    let config =
        Settings::read(Some((std::path::Path::new("test.toml"), &text)), std::iter::empty()).unwrap();
    import(&config, &(0..50).collect::<Vec<_>>());
    let send = |from: usize, to: usize| {
        let records: Vec<Outgoing> = (from..to)
            .map(|n| {
                let json = format!(
                    "{{\"id\":\"t{n}\",\"at\":\"2026-01-01T00:{:02}:{:02}Z\",\"card\":\"{}\",\"amount\":\"12.50\",\"currency\":\"USD\",\"channel\":\"ecom\"}}",
                    n / 60 % 60,
                    n % 60,
                    card_number(n % 100)
                );
                Outgoing::to(&kafka.name("transactions")).key(format!("{n}")).value(json)
            })
            .collect();
        kafka.produce(&records);
    };
    let sightings = || kafka.read(&kafka.name("sightings"), Isolation::Committed).len();
    for round in 0..2 {
        send(round * 1000, (round + 1) * 1000);
        let (service, stop, clock) = start(&config);
        wait::until("sightings", Duration::from_secs(40), || {
            (stop.is_asked() || sightings() >= (round + 1) * 500).then_some(())
        });
        assert!(stop.reason().is_none(), "{:?}", stop.reason());
        assert!(service.finish(clock.as_ref()), "the service did not stop in time");
        assert!(matches!(stop.reason(), Some(cardwatch::stop::Reason::Asked)), "{:?}", stop.reason());
    }
    assert_eq!(sightings(), 1000);
    let histories = kafka.read(&kafka.name("card-history"), Isolation::Committed);
    assert!(histories.iter().any(|record| record.key_text().starts_with("checkpoint/")));
}
