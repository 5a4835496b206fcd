//! A key is rotated while transactions stream by: nothing is lost, nothing doubled, and what changes is said first.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use cardwatch::domain::card::{CardNumber, KeyId};
use cardwatch::exposure::fingerprint::Fingerprinter;
use cardwatch::files::keys::KeyDirectory;

use crate::deployment::{Deployment, INPUT_PARTITIONS, column, fails, json, lines, ok};
use crate::support::load::{Load, card_number};
use crate::support::program::Ended;
use crate::support::{Isolation, Message, Program, wait};

const WITHIN: Duration = Duration::from_secs(90);
const DRAIN: Duration = Duration::from_secs(5);

/// The service, ready, once it has made this many sightings more under `key`.
fn run(deployment: &Deployment, key: &str, more: usize) -> Program {
    let count = || {
        let sightings = deployment.kafka.read_stable(&deployment.topic("sightings"));
        sightings.iter().filter(|one| one.json()["card"]["key"] == key).count()
    };
    let before = count();
    let mut program = deployment.command(&["run"]).start();
    program.await_http(&deployment.url("health/ready"), WITHIN, |status, _| status == 200);
    wait::until("sightings under the primary", WITHIN, || (count() >= before + more).then_some(()));
    program
}

fn end(mut program: Program) {
    assert_eq!(program.terminate(DRAIN), Ended::Code(0), "{}", program.transcript());
}

/// The place of the transaction that a sighting is about.
fn source(sighting: &serde_json::Value) -> (i64, i64) {
    let source = &sighting["source"];
    (source["partition"].as_i64().unwrap(), source["offset"].as_i64().unwrap())
}

#[test]
fn keys_rotate_under_load_without_a_sighting_lost_or_doubled() {
    let Some(deployment) = Deployment::new("rotation") else { return };
    let partitions = INPUT_PARTITIONS;
    let load = Load { seed: 7, rate: 200, seconds: 600, cards: 100, exposed_percent: 40, partitions };
    let exposed: BTreeSet<usize> = load.exposed().collect();
    let list = deployment.file("list", lines(exposed.iter().copied()));
    ok(deployment.open("shop", &["--list", &list]));
    let (stop, producer) = (AtomicBool::new(false), deployment.kafka.producer());
    let input = deployment.topic("transactions");
    let offered = std::thread::scope(|scope| {
        let loading =
            scope.spawn(|| load.offer_while(&producer, &input, || !stop.load(Ordering::Relaxed)).inputs);
        rotate(&deployment, &list, exposed.len() as u64);
        stop.store(true, Ordering::Relaxed);
        loading.join().unwrap()
    });

    // The last process works off what is left.
    let program = run(&deployment, "k2", 0);
    wait::until("everything is committed", WITHIN, || {
        let committed = deployment.kafka.committed(&deployment.group("sight"), &input);
        let ends = (0..INPUT_PARTITIONS).map(|number| deployment.kafka.watermarks(&input, number).high);
        ends.zip(&committed).all(|(end, committed)| committed.offset == Some(end)).then_some(())
    });
    wait::until("everything is judged", WITHIN, || {
        let sightings = deployment.topic("sightings");
        let committed = deployment.kafka.committed(&deployment.group("score"), &sightings);
        let records = deployment.kafka.read(&sightings, Isolation::Committed);
        let judged = |partition: usize| committed[partition].offset.unwrap_or(0);
        records.iter().all(|one| one.offset < judged(one.partition as usize)).then_some(())
    });
    end(program);

    let expected: BTreeMap<(i64, i64), usize> = offered
        .iter()
        .filter(|one| exposed.contains(&one.card))
        .map(|one| ((i64::from(one.partition), one.offset), one.card))
        .collect();
    let sightings = deployment.kafka.read(&deployment.topic("sightings"), Isolation::Committed);
    check(&deployment, &sightings, &expected);
}

/// From k1 to k2, step by step, with what each step says.
fn rotate(deployment: &Deployment, list: &str, cards: u64) {
    let program = run(deployment, "k1", 200);
    let said = ["its history starts anew", "5 uses", "Import each again", "--yes"];
    fails(deployment.command(&["key", "new", "k2", "--primary"]), 64, &said);
    ok(deployment.command(&["key", "new", "k2"]));
    fails(deployment.command(&["key", "primary", "k2"]), 64, &said);
    ok(deployment.command(&["key", "primary", "k2", "--yes"]));
    end(program);

    // The list is still under k1, and sightings are keyed by k2.
    let program = run(deployment, "k2", 200);
    let counts = |deployment: &Deployment| -> BTreeMap<String, u64> {
        let table = deployment.json(&["key", "list", "--cards"]);
        let rows = table.as_array().or(table["keys"].as_array()).unwrap().clone();
        rows.iter()
            .map(|row| (row["key"].as_str().unwrap().to_owned(), row["cards"].as_u64().unwrap()))
            .collect()
    };
    assert_eq!(counts(deployment), BTreeMap::from([("k1".to_owned(), cards), ("k2".to_owned(), 0)]));
    let left = format!("{cards} cards are listed under key k1");
    fails(
        deployment.command(&["key", "retire", "k1"]),
        64,
        &[&left, "incident revise ID --replace", "--yes"],
    );
    ok(deployment.command(&["incident", "revise", "shop", "--replace", list]));
    assert_eq!(counts(deployment), BTreeMap::from([("k1".to_owned(), 0), ("k2".to_owned(), cards)]));
    end(run_more(deployment, program));

    // Nothing is left under k1.
    ok(deployment.command(&["key", "retire", "k1"]));
    end(run(deployment, "k2", 200));
}

/// Lets a running process make some sightings more.
fn run_more(deployment: &Deployment, program: Program) -> Program {
    let count = || deployment.kafka.read_stable(&deployment.topic("sightings")).len();
    let before = count();
    wait::until("more sightings", WITHIN, || (count() >= before + 100).then_some(()));
    program
}

fn check(deployment: &Deployment, sightings: &[Message], expected: &BTreeMap<(i64, i64), usize>) {
    // Both keys, whatever the keyring says now.
    let text = std::fs::read_to_string(deployment.path("keys/keyring.json")).unwrap();
    let both = text.replace("retired\"", "active\"");
    std::fs::write(deployment.path("keys/keyring.json"), both).unwrap();
    let keyring = KeyDirectory::new(&deployment.path("keys")).load().unwrap();
    let fingerprinter = Fingerprinter::new(&keyring);
    let print = |key: &str, card: usize| {
        let id: KeyId = key.parse().unwrap();
        let index = keyring.ids().iter().position(|known| *known == id).unwrap();
        let number = CardNumber::parse(card_number(card).as_bytes()).unwrap();
        fingerprinter.of_number(index, &number).to_string()
    };

    let mut seen: BTreeMap<(i64, i64), String> = BTreeMap::new();
    let mut keys: BTreeMap<usize, BTreeSet<String>> = BTreeMap::new();
    let mut told = BTreeSet::new();
    let mut old_list_new_key = 0;
    let last_frontier =
        sightings.iter().map(|one| one.json()["judged_by"]["exposures"].as_i64().unwrap()).max();
    for message in sightings {
        let sighting = message.json();
        let place = source(&sighting);
        let card = *expected.get(&place).unwrap_or_else(|| panic!("unfounded: {sighting}"));
        let key = sighting["card"]["key"].as_str().unwrap().to_owned();
        assert_eq!(sighting["card"]["fingerprint"], print(&key, card).as_str(), "{sighting}");
        assert_eq!(message.key_text(), print(&key, card));
        keys.entry(card).or_default().insert(key.clone());
        for other in sighting["card"]["others"].as_array().into_iter().flatten() {
            told.insert(card);
            let named = other["key"].as_str().unwrap();
            assert_ne!(named, key);
            assert_eq!(other["fingerprint"], print(named, card).as_str());
        }
        if key == "k2" && sighting["judged_by"]["exposures"].as_i64() < last_frontier {
            old_list_new_key += 1;
        }
        assert_eq!(seen.insert(place, key), None, "twice: {sighting}");
    }
    assert_eq!(seen.keys().collect::<Vec<_>>(), expected.keys().collect::<Vec<_>>());
    assert!(old_list_new_key >= 100, "{old_list_new_key} matched under k1 and are keyed by k2");
    // The books count a card once for which a sighting told both names, whatever it was seen under.
    let cards = |(card, keys): (&usize, &BTreeSet<String>)| if told.contains(card) { 1 } else { keys.len() };
    let cards: usize = keys.iter().map(cards).sum();
    assert!(
        cards < keys.values().map(BTreeSet::len).sum(),
        "no card has two histories that are told to be one"
    );
    let shown = deployment.json(&["incident", "show", "shop"]);
    let total = column(&shown["books"], "count", "total");
    assert_eq!((&total["seen"], &total["transactions"]), (&cards.into(), &seen.len().into()), "{shown}");
    // Along a partition the key changes once.
    for partition in 0..i64::from(INPUT_PARTITIONS) {
        let keys: Vec<&str> =
            seen.iter().filter(|((at, _), _)| *at == partition).map(|(_, key)| key.as_str()).collect();
        assert!(keys.is_sorted() && keys.first() == Some(&"k1") && keys.last() == Some(&"k2"), "{keys:?}");
    }
    // And histories are kept under both, each for its own time.
    let histories = deployment.kafka.read(&deployment.topic("card-history"), Isolation::Committed);
    let known: BTreeSet<&str> = histories.iter().map(|one| one.key_text()).collect();
    let card = expected.values().next().unwrap();
    assert!(["k1", "k2"].iter().all(|key| known.contains(print(key, *card).as_str())));
}

#[test]
fn a_key_from_a_command_watches_as_one_from_a_file_does() {
    let Some(deployment) = Deployment::new("unwrap") else { return };
    // Stands in for a KMS: answers as long as it is up.
    let (wrapped, up) = (deployment.path("k2.wrapped"), deployment.path("up"));
    std::fs::write(&wrapped, "0123456789abcdef".repeat(4)).unwrap();
    let script = format!(
        "test -e {} || {{ echo 'no route to the key service' >&2; exit 7; }}; cat {}",
        up.display(),
        wrapped.display()
    );
    let config =
        format!("{}[keys.commands]\nk2 = [\"/bin/sh\", \"-c\", \"{script}\"]\n", deployment.config());
    let command = |arguments: &[&str]| Program::with(arguments).config(&config).env("USER", "anna");
    let down = ["key k2", "/bin/sh failed", "exit status: 7", "no route to the key service"];
    fails(command(&["key", "import", "k2", "--primary", "--yes"]), 69, &down);
    std::fs::write(&up, "").unwrap();
    ok(command(&["key", "import", "k2", "--primary", "--yes"]));
    assert!(!deployment.path("keys/k2.key").exists());
    ok(command(&["key", "retire", "k1"]));
    let checked = ok(command(&["check"]));
    assert!(!checked.transcript().contains("3.6.1.2"), "{}", checked.transcript());

    let list = deployment.file("list", lines(0..3));
    let arguments: Vec<&str> =
        ["incident", "open", "shop", "--list", &list].into_iter().chain(crate::deployment::DETAILS).collect();
    ok(command(&arguments));
    let listed = json(&ok(command(&["--format", "json", "key", "list", "--cards"])));
    let rows = listed.as_array().or(listed["keys"].as_array()).unwrap();
    assert_eq!((&rows[1]["source"], &rows[1]["cards"]), (&"command".into(), &3.into()), "{listed}");

    std::fs::remove_file(&up).unwrap();
    fails(command(&["run"]), 69, &down);
    std::fs::write(&up, "").unwrap();
    let mut program = command(&["run"]).start();
    program.await_http(&deployment.url("health/ready"), WITHIN, |status, _| status == 200);
    end(program);
}
