//! Removing cards for good: from the list, from the histories, and from the broker's disks.

use std::time::Duration;

use cardwatch::domain::card::CardNumber;
use cardwatch::exposure::fingerprint::Fingerprinter;
use cardwatch::files::keys::KeyDirectory;
use serde_json::json;

use crate::deployment::{COMMAND, Deployment, INPUT_PARTITIONS, column, fails, json, leaks, lines, ok};
use crate::support::load::card_number;
use crate::support::program::{Ended, Invocation};
use crate::support::records::found_fraud;
use crate::support::{Isolation, Outgoing, Program, wait};

const WITHIN: Duration = Duration::from_secs(90);

/// A deployment whose brokers clean at once, and what to run it with.
pub struct Erasing {
    pub deployment: Deployment,
    pub config: String,
}

impl Erasing {
    pub fn new(area: &str) -> Option<Erasing> {
        let deployment = Deployment::bare(area)?;
        deployment.kafka.create(&deployment.topic("transactions"), INPUT_PARTITIONS, &[]);
        ok(deployment.command(&["topics", "--create"]));
        for topic in ["exposures", "card-history", "outcomes"] {
            deployment.kafka.set(
                &deployment.topic(topic),
                &[
                    ("segment.ms", "500"),
                    ("max.compaction.lag.ms", "500"),
                    ("delete.retention.ms", "500"),
                    ("min.cleanable.dirty.ratio", "0.01"),
                    // So that what is searched for would be found.
                    ("compression.type", "uncompressed"),
                ],
            );
        }
        let retention = "[retention]\nwithdrawn = \"0s\"\nended = \"0s\"\noutcome_grace = \"0s\"\n\
                         sweep_every = \"1s\"\n";
        let config = deployment.config() + retention;
        Some(Erasing { deployment, config })
    }

    pub fn command(&self, arguments: &[&str]) -> Invocation {
        Program::with(arguments).config(&self.config).env("USER", "anna")
    }

    pub fn fingerprint(&self, card: usize) -> String {
        let keyring = KeyDirectory::new(&self.deployment.path("keys")).load().unwrap();
        let number = CardNumber::parse(card_number(card).as_bytes()).unwrap();
        Fingerprinter::new(&keyring).of_number(0, &number).to_string()
    }

    /// Uses these cards once each.
    pub fn send(&self, cards: &[usize]) {
        let records: Vec<Outgoing> = cards
            .iter()
            .map(|card| {
                let body = json!({"card": card_number(*card), "amount": "12.50", "currency": "USD"});
                Outgoing::to(&self.deployment.topic("transactions")).value(body.to_string())
            })
            .collect();
        self.deployment.kafka.produce(&records);
    }

    /// The last record of a key on a topic: its value, or `None` for a tombstone and where there is none.
    pub fn last(&self, topic: &str, key: &str) -> Option<Vec<u8>> {
        // A commit is answered before every reader sees it.
        let records = self.deployment.kafka.read(&self.deployment.topic(topic), Isolation::Committed);
        let last = records.into_iter().rfind(|record| record.key_text() == key);
        last.and_then(|record| record.value)
    }

    pub fn record(&self, card: usize) -> Option<Vec<u8>> {
        self.last("exposures", &format!("card/k1/{}/shop", self.fingerprint(card)))
    }

    pub fn history(&self, card: usize) -> Option<cardwatch::scoring::history::History> {
        let value = self.last("card-history", &self.fingerprint(card))?;
        Some(cardwatch::scoring::history::History::decode(&value).unwrap())
    }

    /// Whether a card's fingerprint is in any file of the compacted topics.
    fn is_on_disk(&self, card: usize) -> bool {
        ["exposures", "card-history", "outcomes"].iter().any(|topic| self.is_in(topic, card))
    }

    /// Whether it is in any file of one of them.
    pub fn is_in(&self, topic: &str, card: usize) -> bool {
        let fingerprint = self.fingerprint(card);
        let kafka = &self.deployment.kafka;
        let topic = self.deployment.topic(topic);
        (0..kafka.partitions(&topic)).flat_map(|partition| kafka.segments(&topic, partition)).any(|file| {
            // A file that is cleaned away meanwhile is read as empty.
            let bytes = std::fs::read(file).unwrap_or_default();
            bytes.windows(fingerprint.len()).any(|window| window == fingerprint.as_bytes())
        })
    }

    /// Somebody decides about an alert of each of these cards.
    pub fn decide(&self, cards: &[usize]) {
        let topic = self.deployment.topic("outcomes");
        let decided = |card: &usize| {
            Outgoing::to(&topic).key(format!("a{card}")).value(found_fraud(&self.fingerprint(*card)))
        };
        let records: Vec<Outgoing> = cards.iter().map(decided).collect();
        self.deployment.kafka.produce(&records);
    }

    pub fn outcome(&self, card: usize) -> Option<Vec<u8>> {
        self.last("outcomes", &format!("a{card}"))
    }
}

#[test]
fn a_card_that_is_removed_leaves_no_trace_on_the_brokers_disk() {
    let Some(erasing) = Erasing::new("erasure") else { return };
    let deployment = &erasing.deployment;
    let list = deployment.file("list", lines(0..3));
    ok(deployment.open("shop", &["--list", &list]));
    let mut service = erasing.command(&["run"]).start();
    erasing.send(&[0, 0, 1, 2]);
    wait::until("histories", WITHIN, || (0..3).all(|card| erasing.history(card).is_some()).then_some(()));
    erasing.decide(&[0, 1, 2]);
    for topic in ["exposures", "card-history", "outcomes"] {
        wait::until("the search", WITHIN, || (0..3).all(|card| erasing.is_in(topic, card)).then_some(()));
    }

    // Somebody asks what is held about card 1, and has it forgotten; card 0 was listed by mistake.
    let held = ok(erasing.command(&["--format", "json", "card", "show"]).input(lines(1..2)));
    let told = json(&held);
    assert_eq!(
        (&told["incidents"][0]["incident"], &told["incidents"][0]["events"]),
        (&json!("shop"), &json!("+1"))
    );
    assert_eq!((&told["histories"][0]["judgements"], &told["histories"][0]["uses"]), (&json!(1), &json!(1)));
    assert_eq!(told["sightings"].as_array().unwrap().len(), 1);
    let outcomes = &told["outcomes"];
    assert_eq!((&outcomes[0]["about"], &outcomes[0]["verdict"]), (&json!("a1"), &json!("fraud")));
    let (ended, _) = erasing.command(&["card", "forget"]).input(lines(1..2)).run(COMMAND);
    assert_eq!(ended, Ended::Code(64), "without --yes");
    let dry = ok(erasing.command(&["card", "forget", "--dry-run"]).input(lines(1..2)));
    assert!(erasing.record(1).is_some() && erasing.outcome(1).is_some(), "a dry run removed something");
    let forgotten =
        ok(erasing.command(&["card", "forget", "--yes", "--as", "Privacy desk"]).input(lines(1..2)));
    assert!(erasing.record(1).is_none() && erasing.history(1).is_none(), "{}", forgotten.transcript());
    assert!(erasing.outcome(1).is_none(), "{}", forgotten.transcript());
    assert!(erasing.outcome(0).is_some() && erasing.outcome(2).is_some(), "those of other cards went too");
    // An outcome that comes after its card was forgotten goes by itself.
    erasing.decide(&[1]);
    wait::until("the late one goes", WITHIN, || erasing.outcome(1).is_none().then_some(()));
    for program in [&held, &dry, &forgotten] {
        assert_eq!(leaks(program.transcript().as_bytes(), &[1]), None);
    }
    let fewer = deployment.file("fewer", lines(0..1));
    ok(deployment.command(&["incident", "revise", "shop", "--withdraw", &fewer]));
    wait::until("the sweep", WITHIN, || {
        (erasing.record(0).is_none() && erasing.history(0).is_none()).then_some(())
    });
    assert!(erasing.outcome(0).is_none() && erasing.outcome(2).is_some());
    fails(
        erasing.command(&["incident", "revise", "shop", "--undo", "2"]),
        65,
        &["revision 2 of shop cannot be undone", "records of 1 cards", "removed at 20"],
    );

    // The books keep what the two cards came to, in numbers alone.
    let shown = json(&ok(erasing.command(&["--format", "json", "incident", "show", "shop"])));
    let counts = |standing| column(&shown["books"], "count", standing);
    let (departed, total) = (counts("departed"), counts("total"));
    for (count, wanted) in
        [("cards", (2, 3)), ("seen", (2, 3)), ("transactions", (3, 4)), ("confirmed", (3, 4))]
    {
        let told = (departed[count].as_u64().unwrap(), total[count].as_u64().unwrap());
        assert_eq!(told, wanted, "{count} in {shown}");
    }
    assert_eq!((&departed["alerts_confirmed"], &total["alerts_confirmed"]), (&json!(3), &json!(4)));

    // The brokers clean while the service runs, though nobody uses a card or changes the list.
    wait::until("the disk is clean", WITHIN, || {
        (!erasing.is_on_disk(0) && !erasing.is_on_disk(1)).then_some(())
    });
    assert!(erasing.is_on_disk(2), "what is watched must stay");
    assert!(erasing.record(2).is_some() && erasing.history(2).is_some() && erasing.outcome(2).is_some());
    let shown = json(&ok(erasing.command(&["--format", "json", "incident", "show", "shop"])));
    let removed: Vec<&str> = shown["incident"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|row| row["field"] == "Records removed")
        .map(|row| row["value"].as_str().unwrap())
        .collect();
    assert!(
        removed[0].starts_with("1 (forgotten), ") && removed[0].ends_with("by Privacy desk"),
        "{removed:?}"
    );
    assert!(removed[1].starts_with("1 (withdrawn), "), "{removed:?}");

    // Listed again, the card begins anew.
    ok(deployment.command(&["incident", "revise", "shop", "--add", &fewer]));
    let sightings = || deployment.kafka.read_stable(&deployment.topic("sightings")).len();
    wait::until("a new history", WITHIN, || {
        let seen = sightings() as u64 - 4;
        // Recognised only once the service knows the revision.
        if seen == 0 {
            erasing.send(&[0]);
        }
        (seen > 0 && erasing.history(0).is_some_and(|history| history.judgements() == seen)).then_some(())
    });
    assert_eq!(service.terminate(COMMAND), Ended::Code(0), "{}", service.transcript());
    let events: serde_json::Value = serde_json::from_slice(&erasing.record(0).unwrap()).unwrap();
    assert_eq!(events["events"], json!([3]));
}

#[test]
fn an_outcome_of_a_card_that_no_list_has_goes_on_request_where_no_service_sees_to_it() {
    let Some(erasing) = Erasing::new("on-request") else { return };
    let list = erasing.deployment.file("list", lines(0..1));
    ok(erasing.deployment.open("shop", &["--list", &list]));
    erasing.decide(&[0, 1]);
    let forgotten = ok(erasing.command(&["card", "forget", "--yes"]).input(lines(1..2)));
    assert!(erasing.outcome(1).is_none() && erasing.outcome(0).is_some(), "{}", forgotten.transcript());
}

#[test]
fn a_legal_hold_keeps_what_the_end_of_a_watch_would_remove() {
    let Some(erasing) = Erasing::new("hold") else { return };
    let deployment = &erasing.deployment;
    let list = deployment.file("list", lines(5..8));
    ok(deployment.open("shop", &["--list", &list]));
    ok(erasing.command(&["incident", "hold", "shop", "--why", "case 7", "--as", "Legal"]));
    fails(erasing.command(&["incident", "hold", "shop", "--why", "again"]), 65, &["legal hold", "case 7"]);
    ok(deployment.command(&["incident", "close", "shop"]));
    let sweep = |more: &[&str]| {
        let arguments: Vec<&str> =
            ["--format", "json", "sweep"].into_iter().chain(more.iter().copied()).collect();
        json(&ok(erasing.command(&arguments)))["swept"].clone()
    };
    assert_eq!(sweep(&[]), json!([]), "nothing is due under a hold");
    fails(
        erasing.command(&["card", "forget", "--yes"]).input(lines(5..6)),
        65,
        &["legal hold, set by Legal", "nothing was removed"],
    );
    assert!((5..8).all(|card| erasing.record(card).is_some()));
    ok(erasing.command(&["incident", "hold", "shop", "--release", "--as", "Legal"]));
    let holds =
        json(&ok(erasing.command(&["audit", "list", "--act", "hold", "--last", "1", "--format", "json"])));
    assert_eq!(holds["reason"], "released", "{holds}");
    let planned = sweep(&["--dry-run"]);
    assert!((5..8).all(|card| erasing.record(card).is_some()), "a dry run removed something");
    // `score` never ran, so there is no history to wait for.
    let swept = sweep(&[]);
    assert_eq!((&planned[0]["removed"], &swept[0]["removed"]), (&json!(3), &json!(3)));
    assert!((5..8).all(|card| erasing.record(card).is_none()));
    assert_eq!(sweep(&[]), json!([]));
    let shown = json(&ok(erasing.command(&["--format", "json", "incident", "show", "shop"])));
    let told = column(&shown["incident"], "field", "value");
    assert!(told["Legal hold"].as_str().unwrap().ends_with("by Legal, because: case 7"));
    assert!(told["Records removed"].as_str().unwrap().starts_with("3 (ended), "));
    assert!(erasing.deployment.kafka.read(&deployment.topic("exposures"), Isolation::Committed).len() > 3);
}
