use super::endpoints::{Kind, batching, plain};
use super::house::House;
use crate::broken::drain;
use crate::support::balance::{Alerts, Rule, Run, Violation, assert_balanced, judge};
use crate::support::program::Program;
use crate::support::receiver::Behaviour;
use crate::support::{Isolation, shared_cluster, wait};
use crate::{PATIENCE, beside_others};

use std::time::Duration;

/// One endpoint, and the processes around it.
struct Scene {
    house: House,
    raises: Program,
    tells: Program,
    sent: usize,
}

impl Scene {
    /// The process that tells has these faults, and is there before the first alert.
    fn new(area: &str, kind: Kind, faults: &str) -> Option<Scene> {
        let house = House::new(shared_cluster()?, area, 1, vec![kind]);
        let mut tells = house.tells(0, faults).start();
        tells.await_line("partition flows", PATIENCE);
        let raises = house.raises().start();
        Some(Scene { house, raises, tells, sent: 0 })
    }

    /// So many transactions, and their alerts, until the group that tells has committed them.
    fn alerts(&mut self, count: usize) {
        let (kafka, topic) = (&self.house.deployment.kafka, &self.house.deployment.names.alerts);
        self.house.deployment.send(0..count);
        self.sent += count;
        let last = wait::until("the alerts", PATIENCE, || {
            assert_eq!(self.raises.poll_end(), None, "{}", self.raises.transcript());
            let alerts = kafka.read_stable(topic);
            alerts.last().filter(|_| alerts.len() == self.sent).map(|last| last.offset)
        });
        wait::until("the alerts are committed", PATIENCE, || {
            let committed = kafka.committed(&kafka.name("group-notify"), topic);
            committed[0].offset.is_some_and(|offset| offset > last).then_some(())
        });
    }

    fn await_requests(&self, count: u64) {
        wait::until("requests", PATIENCE, || {
            (self.house.hooks[0].log().answers.values().sum::<u64>() >= count).then_some(())
        });
    }

    /// Everything is well: the endpoint takes what it is told, and this process has no faults. Waits until nothing is
    /// owed, or nobody is there who could tell it.
    fn mend(&mut self) {
        self.house.hooks[0].behave(Behaviour::status(200));
        wait::until("nothing is owed", PATIENCE, || {
            self.house.clock.forward(Duration::from_secs(3600));
            let owed = self.house.measured(1).and_then(|owed| owed.into_values().max());
            let gone = self.tells.poll_end().is_some();
            (gone || owed == Some(0) && self.house.command(&["list"])[0]["owed"] == 0).then_some(())
        });
    }

    fn judge(mut self) -> Vec<Violation> {
        if self.tells.poll_end().is_none() {
            drain(self.tells);
        }
        drain(self.raises);
        let mut endpoints = self.house.endpoints();
        endpoints[0].healthy = true;
        let mut alerts = Alerts::default();
        for record in
            self.house.deployment.kafka.read(&self.house.deployment.names.alerts, Isolation::Committed)
        {
            alerts.take(&record, &endpoints);
        }
        let (ledger, logs) = (self.house.ledger(), self.house.logs());
        judge(&Run { endpoints, alerts, ledger, logs, said: Default::default() }).1
    }
}

/// An alert is being told when the process is killed; the next one is sound.
fn killed_while_it_tells(area: &str, faults: &str) -> Option<Vec<Violation>> {
    let mut scene = Scene::new(area, plain().hanging(), faults)?;
    scene.alerts(5);
    scene.await_requests(1);
    scene.tells.kill();
    scene.tells = scene.house.tells(0, "").start();
    scene.mend();
    Some(scene.judge())
}

/// A batch is refused and told again.
fn refused_batch(area: &str, faults: &str) -> Option<Vec<Violation>> {
    let mut scene = Scene::new(area, batching().refusing(), faults)?;
    scene.alerts(3);
    scene.house.clock.forward(Duration::from_secs(600));
    scene.await_requests(1);
    scene.alerts(2);
    scene.mend();
    Some(scene.judge())
}

#[track_caller]
fn assert_caught(rule: Rule, found: &[Violation]) {
    let texts: Vec<String> = found.iter().map(ToString::to_string).collect();
    assert!(found.iter().any(|one| one.rule == rule), "{rule:?} was not found:\n{}", texts.join("\n"));
    println!("caught: {}", texts.join("; "));
}

#[test]
fn a_request_before_its_ledger_is_caught() {
    let _turn = beside_others();
    let Some(found) = killed_while_it_tells("early-none", "") else { return };
    assert_balanced(&found);
    let found = killed_while_it_tells("early", "break:request-before-ledger").unwrap();
    assert_caught(Rule::Unwritten, &found);
    assert_caught(Rule::Lost, &found);
}

#[test]
fn offsets_before_their_ledger_are_caught() {
    let _turn = beside_others();
    let Some(found) = killed_while_it_tells("late", "break:offsets-before-ledger") else { return };
    assert_caught(Rule::Lost, &found);
}

#[test]
fn a_batch_under_a_new_id_is_caught() {
    let _turn = beside_others();
    let Some(found) = refused_batch("batch-none", "") else { return };
    assert_balanced(&found);
    let found = refused_batch("batch", "break:batch-formed-anew").unwrap();
    assert_caught(Rule::BatchFormedAnew, &found);
}
