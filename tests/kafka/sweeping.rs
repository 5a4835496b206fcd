//! The sweep beyond one card: idle histories, several sweeps at once, outcomes that come late or under another key.

use std::collections::BTreeSet;
use std::time::Duration;

use cardwatch::domain::card::CardNumber;
use cardwatch::exposure::fingerprint::Fingerprinter;
use cardwatch::files::keys::KeyDirectory;
use serde_json::{Value, json};

use crate::deployment::{COMMAND, json, lines, ok};
use crate::erasure::Erasing;
use crate::support::load::card_number;
use crate::support::program::Ended;
use crate::support::records;
use crate::support::{Outgoing, wait};

const WITHIN: Duration = Duration::from_secs(90);

impl Erasing {
    fn sweep(&self, more: &[&str]) -> Value {
        let arguments: Vec<&str> =
            ["--format", "json", "sweep"].into_iter().chain(more.iter().copied()).collect();
        json(&ok(self.command(&arguments)))
    }

    /// The card's fingerprint under one of the keys.
    fn name(&self, key: &str, card: usize) -> String {
        let keyring = KeyDirectory::new(&self.deployment.path("keys")).load().unwrap();
        let index = keyring.ids().iter().position(|known| known.as_str() == key).unwrap();
        let number = CardNumber::parse(card_number(card).as_bytes()).unwrap();
        Fingerprinter::new(&keyring).of_number(index, &number).to_string()
    }

    /// An outcome under this record key about a card of this fingerprint.
    fn decided(&self, key: &str, fingerprint: &str) {
        let about = json!({"fingerprint": fingerprint, "incidents": ["shop"]});
        let body = json!({"schema": "cardwatch.outcome/1", "verdict": "fraud", "about": about});
        let record = Outgoing::to(&self.deployment.topic("outcomes")).key(key).value(body.to_string());
        self.deployment.kafka.produce(&[record]);
    }

    /// The keys of a topic's records whose newest value is none of a tombstone, without the sums of what was removed.
    fn kept(&self, topic: &str) -> BTreeSet<String> {
        let records = self.deployment.kafka.read_stable(&self.deployment.topic(topic));
        records::kept(records).into_keys().filter(|key| !key.starts_with("cardwatch/removed")).collect()
    }

    fn is_on_disk_as(&self, topic: &str, fingerprint: &str) -> bool {
        let kafka = &self.deployment.kafka;
        let topic = self.deployment.topic(topic);
        (0..kafka.partitions(&topic)).flat_map(|partition| kafka.segments(&topic, partition)).any(|file| {
            let bytes = std::fs::read(file).unwrap_or_default();
            bytes.windows(fingerprint.len()).any(|window| window == fingerprint.as_bytes())
        })
    }
}

#[test]
fn an_idle_history_goes_and_that_of_a_card_in_use_stays() {
    let Some(mut erasing) = Erasing::new("idle") else { return };
    erasing.config += "[history]\nmax_idle = \"8s\"\n";
    let list = erasing.deployment.file("list", lines(0..2));
    ok(erasing.deployment.open("shop", &["--list", &list]));
    let mut service = erasing.command(&["run"]).start();
    erasing.send(&[0, 1]);
    wait::until("histories", WITHIN, || (0..2).all(|card| erasing.history(card).is_some()).then_some(()));
    let mut in_use = 1;
    // Its accounts stay, for the card is listed and counts as seen.
    wait::until("the idle one goes", WITHIN, || {
        erasing.send(&[1]);
        in_use += 1;
        erasing.history(0).is_some_and(|history| history.is_bare()).then_some(())
    });
    wait::until("all uses of the other are in its history", WITHIN, || {
        (erasing.history(1).map_or(0, |history| history.judgements()) == in_use).then_some(())
    });
    assert_eq!(service.terminate(COMMAND), Ended::Code(0), "{}", service.transcript());
    assert!((0..2).all(|card| erasing.record(card).is_some()), "it is listed all the same");
    while erasing.history(1).is_some_and(|history| history.is_bare()) {
        // It took so long to look and to end that the other went idle as well.
        let mut service = erasing.command(&["run"]).start();
        erasing.send(&[1]);
        wait::until("it is used again", WITHIN, || {
            erasing.history(1).is_some_and(|history| !history.is_bare()).then_some(())
        });
        assert_eq!(service.terminate(COMMAND), Ended::Code(0), "{}", service.transcript());
    }
    // Nobody uses it any more: a dry run counts it when its time has come, and removes nothing.
    wait::until("a dry run counts the other", WITHIN, || {
        (erasing.sweep(&["--dry-run"])["besides"][0]["histories"] == 1).then_some(())
    });
    assert!(erasing.history(1).is_some());
}

#[test]
fn several_sweeps_at_once_remove_each_record_once() {
    const CARDS: usize = 40;
    let Some(erasing) = Erasing::new("crowd") else { return };
    let list = erasing.deployment.file("list", lines(0..CARDS));
    for id in ["bank", "shop"] {
        ok(erasing.deployment.open(id, &["--list", &list]));
    }
    erasing.decide(&(0..CARDS).collect::<Vec<_>>());
    erasing.decided("late", &"ab".repeat(32));
    for id in ["bank", "shop"] {
        ok(erasing.deployment.command(&["incident", "close", id]));
    }
    let planned = erasing.sweep(&["--dry-run"]);
    let counts = |swept: &Value, what: &str| -> Vec<u64> {
        swept["swept"].as_array().unwrap().iter().map(|row| row[what].as_u64().unwrap()).collect()
    };
    let cards = CARDS as u64;
    assert_eq!(
        (counts(&planned, "removed"), counts(&planned, "outcomes")),
        (vec![cards, cards], vec![0, cards])
    );
    assert_eq!(planned["besides"][0]["late_outcomes"], 1);
    assert_eq!(erasing.kept("outcomes").len(), CARDS + 1, "a dry run removed something");

    let mut sweeps: Vec<_> = (0..4).map(|_| erasing.command(&["sweep"]).start()).collect();
    for sweep in &mut sweeps {
        let ended = sweep.await_end(COMMAND);
        // One that another took over from says so and has done nothing of it.
        assert!(matches!(ended, Ended::Code(0 | 69)), "{}", sweep.transcript());
    }
    erasing.sweep(&[]);
    let left: Vec<String> =
        erasing.kept("exposures").into_iter().filter(|key| key.starts_with("card/")).collect();
    assert!(left.is_empty() && erasing.kept("outcomes").is_empty(), "{left:?}");
    for id in ["bank", "shop"] {
        let record: Value = serde_json::from_slice(
            &erasing.last("exposures", &format!("incident/{id}")).expect("the incident stays"),
        )
        .unwrap();
        let removed = record["removals"].as_array().unwrap().iter();
        assert_eq!(removed.map(|one| one["cards"].as_u64().unwrap()).sum::<u64>(), cards, "{record}");
    }
    let audit: Vec<Value> =
        erasing.deployment.committed("audit").iter().map(crate::support::Message::json).collect();
    let sum = |what: &str| -> u64 {
        let done = audit.iter().filter(|one| one["act"] == "forget" && one["outcome"] == "done");
        done.filter_map(|one| one["after"][what].as_u64()).sum()
    };
    assert_eq!((sum("records_removed"), sum("outcomes_removed")), (2 * cards, cards + 1));
}

#[test]
fn outcomes_that_come_late_or_under_a_former_key_leave_no_trace() {
    let Some(erasing) = Erasing::new("late") else { return };
    let deployment = &erasing.deployment;
    let list = deployment.file("list", lines(0..3));
    ok(deployment.open("shop", &["--list", &list]));
    let old: Vec<String> = (0..3).map(|card| erasing.name("k1", card)).collect();
    // The key is rotated; each card is used before its list is imported again, so its names are known.
    ok(deployment.command(&["key", "new", "k2"]));
    ok(deployment.command(&["key", "primary", "k2", "--yes"]));
    let mut service = erasing.command(&["run"]).start();
    erasing.send(&[0, 1, 2]);
    let new: Vec<String> = (0..3).map(|card| erasing.name("k2", card)).collect();
    let has_names =
        |names: &BTreeSet<String>| new.iter().all(|name| names.contains(&format!("names/{name}")));
    wait::until("names", WITHIN, || has_names(&erasing.kept("card-history")).then_some(()));
    (0..3).for_each(|card| erasing.decided(&format!("o{card}"), &old[card]));
    ok(deployment.command(&["incident", "revise", "shop", "--replace", &list]));
    wait::until("the records under the old key go", WITHIN, || {
        let list = erasing.kept("exposures");
        old.iter().all(|name| !list.contains(&format!("card/k1/{name}/shop"))).then_some(())
    });
    // Several rounds later: they are watched, under another name.
    // Each round writes a tombstone of no outcome, and what ends its transaction.
    let end = || deployment.kafka.watermarks(&deployment.topic("outcomes"), 0).high;
    let before = end();
    wait::until("rounds", WITHIN, || (end() >= before + 10).then_some(()));
    assert_eq!(erasing.kept("outcomes").len(), 3, "an outcome of a watched card was removed");
    let shown = json(&ok(erasing.command(&["--format", "json", "card", "show", "--fingerprint", &new[0]])));
    assert_eq!(shown["outcomes"][0]["about"], "o0", "{shown}");
    wait::until("the search", WITHIN, || erasing.is_on_disk_as("outcomes", &old[0]).then_some(()));

    let fewer = deployment.file("fewer", lines(0..2));
    ok(deployment.command(&["incident", "revise", "shop", "--withdraw", &fewer]));
    wait::until("records and outcomes go", WITHIN, || {
        let (list, outcomes) = (erasing.kept("exposures"), erasing.kept("outcomes"));
        let listed = (0..2).any(|card| list.contains(&format!("card/k2/{}/shop", new[card])));
        (!listed && outcomes == BTreeSet::from(["o2".to_owned()])).then_some(())
    });
    // Somebody decides about an alert of card 1 only now.
    erasing.decided("o1", &new[1]);
    wait::until("the late one goes", WITHIN, || (!erasing.kept("outcomes").contains("o1")).then_some(()));
    wait::until("the disk is clean", WITHIN, || {
        let topics = ["exposures", "card-history", "outcomes"];
        let clean = |name: &String| topics.iter().all(|topic| !erasing.is_on_disk_as(topic, name));
        [&old[0], &new[0], &old[1], &new[1]].into_iter().all(clean).then_some(())
    });
    // More than one look, for one may fall into the moment in which the cleaner renames its files.
    wait::until("what is watched stays", WITHIN, || erasing.is_on_disk_as("outcomes", &old[2]).then_some(()));
    assert_eq!(service.terminate(COMMAND), Ended::Code(0), "{}", service.transcript());
}
