use std::collections::BTreeMap;

use serde_json::{Value, json};

use crate::broken::{Scene, assert_caught, await_true, drain};
use crate::support::check::{Rule, Violation, assert_none};
use crate::support::program::Program;
use crate::support::records::Message;
use crate::support::{Isolation, Outgoing, Revision};
use crate::{PATIENCE, beside_others};

/// What runs in these scenes.
const LINES: &str = "sight,score,books";

/// The alert's revisions, by number and verdict, and what is wrong with the run.
type Outcome = (Vec<(u64, Value)>, Vec<Violation>);

/// Alerts, and a process that takes decisions about them.
struct Desk {
    scene: Scene,
    /// An alert's id and its partition.
    alert: (String, i32),
    decided: i64,
}

impl Desk {
    fn new(area: &str, broken: Option<&str>) -> Option<(Desk, Program)> {
        let mut scene = Scene::new(area, broken)?;
        scene.import(Revision::adding(0..10));
        scene.send((0..20).cycle().take(60));
        let mut program = scene.start("one", LINES, "");
        scene.await_score(&mut program);
        let alerts = scene.deployment.kafka.read(&scene.deployment.names.alerts, Isolation::Committed);
        let first = alerts.first().expect("the third use of a card is an alert");
        let alert = (first.json()["id"].as_str().expect("an id").to_owned(), first.partition);
        Some((Desk { scene, alert, decided: 0 }, program))
    }

    fn topic(&self) -> String {
        self.scene.deployment.kafka.name("outcomes")
    }

    /// Somebody else's system says what the alert was.
    fn decide(&mut self, verdict: &str) {
        let value = json!({"alert": self.alert.0, "verdict": verdict}).to_string();
        let record = Outgoing::to(&self.topic()).key(self.alert.0.as_str()).value(value);
        self.scene.deployment.kafka.produce(&[record]);
        self.decided += 1;
    }

    /// Whether every decision was committed.
    fn is_through(&self) -> bool {
        let group = self.scene.deployment.kafka.name("group-books");
        let offsets = self.scene.deployment.kafka.offsets(&group, &self.topic());
        offsets.values().all(|offset| *offset == self.decided)
    }

    fn await_books(&self, program: &mut Program) {
        await_true("books is through", program, || self.is_through());
    }

    /// The alert's revisions, number and verdict, among these records of its topic.
    fn revisions(&self, alerts: &[Message]) -> Vec<(u64, Value)> {
        let own = alerts.iter().map(Message::json).filter(|alert| alert["id"] == *self.alert.0);
        own.map(|alert| (alert["revision"].as_u64().expect("a number"), alert["outcome"]["verdict"].clone()))
            .collect()
    }

    fn judge(self) -> Outcome {
        let deployment = &self.scene.deployment;
        // A commit is answered before its last partition shows it.
        let alerts = deployment.kafka.read(&deployment.names.alerts, Isolation::Committed);
        (self.revisions(&alerts), self.scene.judge())
    }
}

/// A revision is committed behind a foreign transaction that stays open, and then the process starts anew.
fn started_behind_an_open_transaction(broken: Option<&str>) -> Option<Outcome> {
    let (mut desk, mut program) = Desk::new("books-restart", broken)?;
    let kafka = desk.scene.deployment.kafka.clone();
    desk.decide("fraud");
    desk.await_books(&mut program);
    let foreign = kafka.transactional(&kafka.name("foreign"));
    foreign.begin();
    let alerts = desk.scene.deployment.names.alerts.clone();
    foreign.send(&Outgoing::to(&alerts).partition(desk.alert.1).key("x").value("y"));
    foreign.places();
    desk.decide("genuine");
    desk.await_books(&mut program);
    drain(program);

    let mut program = desk.scene.start("one", LINES, "");
    program.await_line("partitions assigned", PATIENCE);
    desk.decide("unknown");
    if broken.is_some() {
        desk.await_books(&mut program);
    }
    foreign.abort();
    desk.await_books(&mut program);
    drain(program);
    Some(desk.judge())
}

#[test]
fn alerts_not_awaited_are_caught() {
    let _turn = beside_others();
    let Some((revisions, found)) = started_behind_an_open_transaction(None) else { return };
    assert_none(&found);
    let verdicts = [(1, Value::Null), (2, json!("fraud")), (3, json!("genuine")), (4, json!("unknown"))];
    assert_eq!(revisions, verdicts);
    let (_, found) = started_behind_an_open_transaction(Some("alerts-not-awaited")).unwrap();
    assert_caught(Rule::AlertUnfounded, &found);
}

/// The same decision again and again, with the process killed in the middle of one and its transactions aborted.
fn decided_again_and_again(broken: Option<&str>) -> Option<Outcome> {
    let (mut desk, mut program) = Desk::new("books-again", broken)?;
    desk.decide("fraud");
    desk.await_books(&mut program);
    drain(program);
    for faults in [
        "abort:books",
        "stop:books/after-send-offsets",
        "stop:books/after-end-txn",
        "stop:books/after-commit",
    ] {
        let mut program = desk.scene.start("one", LINES, faults);
        desk.decide("fraud");
        desk.decide(if faults.starts_with("abort") { "fraud" } else { "genuine" });
        desk.decide("fraud");
        if faults.starts_with("stop") {
            program.await_line("stopping here, as the fault plan says", PATIENCE);
            program.await_end(PATIENCE);
            program = desk.scene.start("one", LINES, "");
        }
        desk.await_books(&mut program);
        drain(program);
    }
    Some(desk.judge())
}

#[test]
fn a_decision_that_comes_again_makes_no_revision_through_kills_and_aborts() {
    let _turn = beside_others();
    let Some((revisions, found)) = decided_again_and_again(None) else { return };
    assert_none(&found);
    let numbers: BTreeMap<u64, Value> = revisions.iter().cloned().collect();
    // Once fraud, and three times genuine and back again.
    assert_eq!(numbers.len(), 2 + 3 * 2, "{revisions:?}");
    assert!(revisions.windows(2).all(|pair| pair[0].1 != pair[1].1), "{revisions:?}");
    let (revisions, _) = decided_again_and_again(Some("outcome-not-compared")).unwrap();
    assert!(revisions.windows(2).any(|pair| pair[0].1 == pair[1].1), "{revisions:?}");
}

/// The process is killed when a revision is written and its transaction is not committed: is it to be seen?
fn killed_before_the_commit(broken: Option<&str>) -> Option<bool> {
    let (mut desk, program) = Desk::new("books-outside", broken)?;
    drain(program);
    let mut program = desk.scene.start("one", LINES, "stop:books/after-produce");
    desk.decide("fraud");
    program.await_line("stopping here, as the fault plan says", PATIENCE);
    program.await_end(PATIENCE);
    let deployment = &desk.scene.deployment;
    // As somebody sees them who does not wait.
    let seen = desk.revisions(&deployment.kafka.read_stable(&deployment.names.alerts)).len() > 1;
    let mut program = desk.scene.start("one", LINES, "");
    desk.await_books(&mut program);
    drain(program);
    if broken.is_none() {
        let (revisions, found) = desk.judge();
        assert_none(&found);
        assert_eq!(revisions, [(1, Value::Null), (2, json!("fraud"))]);
    }
    Some(seen)
}

#[test]
fn a_revision_outside_the_transaction_is_caught() {
    let _turn = beside_others();
    let Some(seen) = killed_before_the_commit(None) else { return };
    assert!(!seen, "what is not committed was seen");
    assert!(killed_before_the_commit(Some("revision-outside-transaction")).unwrap());
}
