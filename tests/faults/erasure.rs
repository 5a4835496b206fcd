use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};

use crate::broken::{Scene, drain};
use crate::support::program::{Ended, Program};
use crate::support::records::{self, Message, found_fraud};
use crate::support::{Isolation, Outgoing, Revision, wait};
use crate::{PATIENCE, beside_others};

/// Removes what is due at once.
const AT_ONCE: &str =
    "[retention]\nwithdrawn = \"0s\"\nended = \"0s\"\noutcome_grace = \"0s\"\nsweep_every = \"1s\"\n";

/// What the keys begin with under which the books keep outcomes that were removed.
const REMOVED: &str = "cardwatch/removed";

/// A list, and sweeps over it that may be broken.
struct Erasure {
    scene: Scene,
    broken: String,
}

impl Erasure {
    fn new(area: &str, broken: Option<&str>) -> Option<Erasure> {
        let scene = Scene::new(area, None)?;
        let broken = broken.map(|name| format!("break:{name}")).unwrap_or_default();
        Some(Erasure { scene, broken })
    }

    fn start(&self, arguments: &[&str], faults: &str) -> Program {
        let config = self.scene.deployment.config("sweep") + AT_ONCE;
        let faults = format!("{};{faults}", self.broken);
        Program::with(arguments).config(&config).env("USER", "anna").env("CARDWATCH_FAULTS", &faults).start()
    }

    #[track_caller]
    fn command(&self, arguments: &[&str]) -> Program {
        let mut program = self.start(arguments, "");
        assert_eq!(program.await_end(PATIENCE), Ended::Code(0), "{}", program.transcript());
        program
    }

    /// An outcome about a card of this fingerprint.
    fn decide(&self, key: &str, fingerprint: &str) {
        self.decide_all([(key, fingerprint)]);
    }

    fn decide_all<'a>(&self, decisions: impl IntoIterator<Item = (&'a str, &'a str)>) {
        let topic = self.scene.deployment.kafka.name("outcomes");
        let record =
            |(key, fingerprint): (&str, &str)| Outgoing::to(&topic).key(key).value(found_fraud(fingerprint));
        let records: Vec<Outgoing> = decisions.into_iter().map(record).collect();
        self.scene.deployment.kafka.produce(&records);
    }

    /// What a topic keeps, as somebody sees it who does not wait for transactions to end.
    fn seen(&self, topic: &str) -> Kept {
        let kafka = &self.scene.deployment.kafka;
        kept(kafka.read_stable(&kafka.name(topic)))
    }

    /// The same once every transaction in it has ended: a commit is answered before all can see it.
    fn settled(&self, topic: &str) -> Kept {
        let kafka = &self.scene.deployment.kafka;
        kept(kafka.read(&kafka.name(topic), Isolation::Committed))
    }
}

/// Keys of a topic whose newest record is no tombstone, with that record.
type Kept = BTreeMap<String, Value>;

fn kept(records: Vec<Message>) -> Kept {
    let json = |value: &[u8]| serde_json::from_slice(value).unwrap_or(Value::Null);
    records::kept(records).into_iter().map(|(key, value)| (key, json(&value))).collect()
}

/// The fingerprints of the records that the list has.
fn listed(exposures: &Kept) -> BTreeSet<String> {
    let card = |key: &String| Some(key.strip_prefix("card/")?.split('/').nth(1)?.to_owned());
    exposures.keys().filter_map(card).collect()
}

/// How many records the incident says were removed.
fn removed(exposures: &Kept) -> u64 {
    let removals = exposures["incident/shop"]["removals"].as_array().cloned().unwrap_or_default();
    removals.iter().map(|removal| removal["cards"].as_u64().expect("a count")).sum()
}

/// Keys of the outcomes that are left, without the sums of those that were removed.
fn left(outcomes: &Kept) -> BTreeSet<&str> {
    outcomes.keys().map(String::as_str).filter(|key| !key.starts_with(REMOVED)).collect()
}

/// How many outcomes of the incident were removed, as it is kept for the books.
fn outcomes_removed(outcomes: &Kept) -> u64 {
    let sums = outcomes.iter().filter(|(key, _)| key.starts_with(REMOVED));
    sums.filter_map(|(_, sum)| sum["incidents"]["shop"]["verdicts"]["fraud"].as_u64()).sum()
}

/// More cards than one transaction removes; each fifth has an outcome, and one card is on no list.
#[test]
fn a_sweep_killed_anywhere_is_completed_by_the_next() {
    const CARDS: usize = 5_003;
    let _turn = beside_others();
    for point in ["after-close", "in-part", "after-part", "after-part@2", "before-late"] {
        let Some(mut erasure) = Erasure::new("sweep-killed", None) else { return };
        erasure.scene.import(Revision::adding(0..CARDS));
        let cards: Vec<String> = listed(&erasure.settled("exposures")).into_iter().collect();
        assert_eq!(cards.len(), CARDS);
        let outcomes = cards.iter().step_by(5);
        erasure.decide_all(outcomes.clone().map(|card| (card.as_str(), card.as_str())));
        erasure.decide("late", &"ab".repeat(32));
        let decided = outcomes.clone().count() as u64 + 1;
        if point != "after-close" {
            erasure.command(&["incident", "close", "shop"]);
        } else {
            erasure.command(&["incident", "revise", "shop", "--watch-until", "2021-01-31"]);
        }
        let mut killed = erasure.start(&["sweep"], &format!("stop:sweep/{point}"));
        assert_eq!(killed.await_end(PATIENCE), Ended::Signal(9), "{point}\n{}", killed.transcript());
        let remain = match point {
            "after-part" => 3,
            "after-part@2" | "before-late" => 0,
            _ => CARDS,
        };
        wait::until("what was committed", PATIENCE, || {
            let (exposures, decisions) = (erasure.seen("exposures"), erasure.seen("outcomes"));
            let (cards, kept) = (listed(&exposures), left(&decisions));
            // What is seen of a transaction in a partition is all of it or nothing, whenever one looks.
            assert_eq!(cards.len() as u64 + removed(&exposures), CARDS as u64, "{point}");
            assert_eq!(outcomes_removed(&decisions) + kept.len() as u64, decided, "{point}");
            assert!(kept.contains("late") && cards.len() >= remain, "{point}");
            let agree = outcomes.clone().all(|card| kept.contains(card.as_str()) == cards.contains(card));
            (cards.len() == remain && agree).then_some(())
        });

        erasure.command(&["sweep"]);
        let (exposures, decisions) = (erasure.settled("exposures"), erasure.settled("outcomes"));
        assert_eq!((listed(&exposures).len(), removed(&exposures)), (0, CARDS as u64), "{point}");
        assert_eq!((left(&decisions).len(), outcomes_removed(&decisions)), (0, decided), "{point}");
    }
}

/// Withdrawn cards have histories, and nobody is there to forget them while a sweep runs. Whether a record was
/// gone before its history.
fn swept_before_histories_are_forgotten(broken: Option<&str>) -> Option<bool> {
    let mut erasure = Erasure::new("sweep-early", broken)?;
    erasure.scene.import(Revision::adding(0..4));
    erasure.scene.send((0..4).cycle().take(8));
    let mut service = erasure.scene.start("one", "sight,score", "");
    erasure.scene.await_score(&mut service);
    drain(service);
    erasure.scene.import(Revision { added: Vec::new(), withdrawn: (0..2).collect() });
    let cards = listed(&erasure.settled("exposures"));
    let sweep = erasure.start(&["sweep"], "");
    // A broken sweep waits for nobody, so nobody comes to forget the histories first.
    let started = broken.is_none().then(|| erasure.start(&["run", "--lines", "score"], ""));
    let early = wait::until("records go", PATIENCE, || {
        let gone: Vec<String> = cards.difference(&listed(&erasure.seen("exposures"))).cloned().collect();
        let histories = erasure.settled("card-history");
        let early = gone.iter().any(|card| histories.contains_key(card));
        (early || gone.len() == 2).then_some(early)
    });
    drop((sweep, started));
    Some(early)
}

#[test]
fn a_record_that_goes_before_its_history_is_caught() {
    let _turn = beside_others();
    let Some(early) = swept_before_histories_are_forgotten(None) else { return };
    assert!(!early, "a record was gone before its history");
    assert!(swept_before_histories_are_forgotten(Some("record-before-history")).unwrap());
}

/// An incident is held, then closed, then swept: how many records and outcomes are left of two and three.
fn swept_under_a_hold(broken: Option<&str>) -> Option<(usize, usize)> {
    let mut erasure = Erasure::new("sweep-held", broken)?;
    erasure.scene.import(Revision::adding(0..2));
    for card in listed(&erasure.settled("exposures")) {
        erasure.decide(&card, &card);
    }
    // Its card has no record any more, but it is the incident's.
    erasure.decide("late", &"ab".repeat(32));
    erasure.command(&["incident", "hold", "shop", "--why", "case 7"]);
    erasure.command(&["incident", "close", "shop"]);
    erasure.command(&["sweep"]);
    Some((listed(&erasure.settled("exposures")).len(), left(&erasure.settled("outcomes")).len()))
}

#[test]
fn an_ignored_hold_is_caught() {
    let _turn = beside_others();
    let Some(left) = swept_under_a_hold(None) else { return };
    assert_eq!(left, (2, 3));
    assert_eq!(swept_under_a_hold(Some("hold-ignored")).unwrap(), (0, 0));
}

/// Two outcomes whose card no incident lists: one unknown to everybody, and one whose card is listed under the key
/// that replaced the one it names, as what lies beside a history tells. Which are left.
fn swept_after_decisions(broken: Option<&str>) -> Option<Vec<String>> {
    let mut erasure = Erasure::new("sweep-late", broken)?;
    erasure.scene.import(Revision::adding(0..2));
    let listed = listed(&erasure.settled("exposures")).pop_first().expect("a card");
    let former = "cd".repeat(32);
    let names = json!({"others": [former]}).to_string();
    let history = erasure.scene.deployment.names.history.clone();
    let record = Outgoing::to(&history).partition(0).key(format!("names/{listed}")).value(names);
    erasure.scene.deployment.kafka.produce(&[record]);
    erasure.decide("late", &"ab".repeat(32));
    erasure.decide("former", &former);
    erasure.command(&["sweep"]);
    Some(left(&erasure.settled("outcomes")).into_iter().map(str::to_owned).collect())
}

#[test]
fn a_late_outcome_that_is_kept_is_caught() {
    let _turn = beside_others();
    let Some(left) = swept_after_decisions(None) else { return };
    assert_eq!(left, ["former"]);
    assert_eq!(swept_after_decisions(Some("late-outcome-kept")).unwrap(), ["former", "late"]);
}

#[test]
fn names_that_are_not_looked_at_are_caught() {
    let _turn = beside_others();
    let Some(left) = swept_after_decisions(Some("other-names-ignored")) else { return };
    assert_eq!(left, [""; 0]);
}
