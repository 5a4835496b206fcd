use std::collections::BTreeSet;

use crate::support::check::{Input, Rule, Violation, assert_none, compare_alerts, violations};
use crate::support::program::{Ended, Program};
use crate::support::records::Message;
use crate::support::{Deployment, Isolation, Outgoing, Revision, shared_cluster, wait};
use crate::{PATIENCE, beside_others};

/// Short, so that nobody waits ten seconds for a process that was killed.
const SESSION: &str = "session:3000";

/// A deployment with two partitions everywhere, on which a scenario plays.
pub(crate) struct Scene {
    pub(crate) deployment: Deployment,
    faults: String,
    revisions: Vec<Revision>,
    inputs: Vec<Input>,
}

impl Scene {
    /// `None` where no broker can run. `broken` names the variant, or nothing for a sound build.
    pub(crate) fn new(area: &str, broken: Option<&str>) -> Option<Scene> {
        let deployment = Deployment::new(shared_cluster()?.kafka(area), 2, 2);
        let broken = broken.map(|name| format!(";break:{name}")).unwrap_or_default();
        Some(Scene {
            deployment,
            faults: format!("{SESSION}{broken}"),
            revisions: Vec::new(),
            inputs: Vec::new(),
        })
    }

    pub(crate) fn import(&mut self, revision: Revision) {
        self.deployment.import(&revision);
        self.revisions.push(revision);
    }

    pub(crate) fn send(&mut self, cards: impl IntoIterator<Item = usize>) {
        self.inputs.extend(self.deployment.send(cards));
    }

    pub(crate) fn start(&self, id: &str, lines: &str, faults: &str) -> Program {
        self.deployment.process(id, lines, &format!("{};{faults}", self.faults)).start()
    }

    /// The faults of every process.
    pub(crate) fn faults(&self) -> &str {
        &self.faults
    }

    fn await_sight(&self, program: &mut Program) {
        await_true("sight is through", program, || self.deployment.sight_is_through());
    }

    pub(crate) fn await_score(&self, program: &mut Program) {
        self.await_sight(program);
        await_true("score is through", program, || self.deployment.score_is_through());
    }

    /// What is wrong, once everybody has gone.
    pub(crate) fn judge(self) -> Vec<Violation> {
        let naive = self.deployment.naive();
        let run = self.deployment.observe(self.inputs, &self.revisions);
        let mut found = violations(&run, &naive);
        // A scenario without `score` has no alerts to compare.
        if run.score.values().any(|next| *next > 0) {
            let alerts: Vec<_> = run.alerts.iter().map(|message| message.json()).collect();
            found.extend(compare_alerts(&naive.alerts(&run.sightings), &alerts));
        }
        found
    }
}

#[track_caller]
pub(crate) fn await_true(what: &str, program: &mut Program, mut done: impl FnMut() -> bool) {
    let reached = wait::poll(PATIENCE, || {
        let ended = program.poll_end();
        assert_eq!(ended, None, "{what}: ended before\n{}", program.transcript());
        done().then_some(())
    });
    assert!(reached.is_some(), "{what}: not within {PATIENCE:?}\n{}", program.transcript());
}

#[track_caller]
pub(crate) fn drain(mut program: Program) {
    let ended = program.terminate(PATIENCE);
    assert_eq!(ended, Ended::Code(0), "{}", program.transcript());
}

#[track_caller]
pub(crate) fn assert_caught(rule: Rule, found: &[Violation]) {
    let texts: Vec<String> = found.iter().map(ToString::to_string).collect();
    assert!(found.iter().any(|one| one.rule == rule), "{rule:?} was not found:\n{}", texts.join("\n"));
}

/// A stop between the offsets and the end of the transaction: the offsets must go with the sightings.
fn stopped_behind_the_offsets(broken: Option<&str>) -> Option<Vec<Violation>> {
    let mut scene = Scene::new("offsets", broken)?;
    scene.import(Revision::adding(0..10));
    scene.send((0..20).cycle().take(60));
    let mut program = scene.start("one", "sight", "stop:sight/after-send-offsets");
    program.await_line("stopping here, as the fault plan says", PATIENCE);
    program.await_end(PATIENCE);
    let mut program = scene.start("one", "sight", "");
    scene.await_sight(&mut program);
    drain(program);
    Some(scene.judge())
}

#[test]
fn offsets_outside_the_transaction_are_caught() {
    let _turn = beside_others();
    let Some(found) = stopped_behind_the_offsets(None) else { return };
    assert_none(&found);
    let found = stopped_behind_the_offsets(Some("offsets-outside-transaction")).unwrap();
    assert_caught(Rule::SightingMissing, &found);
}

/// A transaction of `score` is aborted after everything was sent: nothing of it may be remembered.
fn aborted_by_the_cluster(broken: Option<&str>) -> Option<Vec<Violation>> {
    let mut scene = Scene::new("aborted", broken)?;
    scene.import(Revision::adding(0..10));
    scene.send((0..20).cycle().take(60));
    let mut program = scene.start("one", "sight,score", "abort:score");
    scene.await_score(&mut program);
    program.await_line("as the fault plan says", PATIENCE);
    drain(program);
    Some(scene.judge())
}

#[test]
fn a_merge_before_the_commit_is_caught() {
    let _turn = beside_others();
    let Some(found) = aborted_by_the_cluster(None) else { return };
    assert_none(&found);
    let found = aborted_by_the_cluster(Some("merge-before-commit")).unwrap();
    assert_caught(Rule::JudgementCount, &found);
}

/// A foreign transaction on the histories' topic stays open, and committed snapshots lie behind it while
/// they are to be restored. Gives the ended program of a build that does not wait for it.
fn restored_behind_an_open_transaction(broken: Option<&str>) -> Option<Result<Vec<Violation>, Program>> {
    let mut scene = Scene::new("restore", broken)?;
    let (kafka, history) = (scene.deployment.kafka.clone(), scene.deployment.names.history.clone());
    scene.import(Revision::adding(0..10));
    scene.send((0..20).cycle().take(60));
    let mut program = scene.start("one", "sight,score", "");
    scene.await_score(&mut program);
    let foreign = kafka.transactional(&kafka.name("foreign"));
    foreign.begin();
    (0..2)
        .for_each(|partition| foreign.send(&Outgoing::to(&history).partition(partition).key("x").value("y")));
    foreign.places();
    scene.send((0..20).cycle().take(60));
    scene.await_score(&mut program);
    drain(program);

    scene.send((0..20).cycle().take(60));
    let mut program = scene.start("one", "sight,score", "");
    if broken.is_some() {
        program.await_end(PATIENCE);
        return Some(Err(program));
    }
    program.await_line("partitions assigned", PATIENCE);
    foreign.abort();
    scene.await_score(&mut program);
    drain(program);
    Some(Ok(scene.judge()))
}

/// The checker never gets to see this one: the comparison of checkpoint and committed offset, made before a
/// partition flows, catches it first. So that is what must happen.
#[test]
fn a_restore_to_the_stable_offset_is_caught() {
    let _turn = beside_others();
    let Some(found) = restored_behind_an_open_transaction(None) else { return };
    assert_none(&found.unwrap());
    let mut program =
        restored_behind_an_open_transaction(Some("restore-to-stable-offset")).unwrap().unwrap_err();
    assert_eq!(program.poll_end(), Some(Ended::Code(65)), "{}", program.transcript());
    assert!(program.transcript().contains("the histories on"), "{}", program.transcript());
}

/// A second member joins, so the first one's generation is another from then on. Gives what is wrong, and
/// whether the first one came through.
fn joined_by_another(broken: Option<&str>) -> Option<Result<Vec<Violation>, Program>> {
    let mut scene = Scene::new("generation", broken)?;
    scene.import(Revision::adding(0..10));
    scene.send((0..20).cycle().take(60));
    let mut one = scene.start("one", "sight", "");
    scene.await_sight(&mut one);
    let mut two = scene.start("two", "sight", "");
    two.await_line("partition flows", PATIENCE);
    scene.send((0..20).cycle().take(60));
    if broken.is_some() {
        let aborted = |line: &String| line.contains("transaction aborted") && line.contains("send offsets");
        let many = wait::poll(PATIENCE, || (count(&one, aborted) + count(&two, aborted) >= 20).then_some(()));
        assert!(many.is_some(), "it does not abort\n{}{}", one.transcript(), two.transcript());
        assert!(!scene.deployment.sight_is_through(), "it came through all the same\n{}", one.transcript());
        return Some(Err(one));
    }
    scene.await_sight(&mut one);
    drain(one);
    drain(two);
    Some(Ok(scene.judge()))
}

fn count(program: &Program, wanted: impl Fn(&String) -> bool) -> usize {
    program.stderr().iter().filter(|line| wanted(line)).count()
}

/// The broker refuses a generation that is past, so nothing is ever doubled by this; but nothing is ever
/// committed again either, and that is what must be seen.
#[test]
fn cached_group_metadata_is_caught() {
    let _turn = beside_others();
    let Some(found) = joined_by_another(None) else { return };
    assert_none(&found.unwrap());
    assert!(joined_by_another(Some("group-metadata-cached")).unwrap().is_err());
}

/// The list is on its topic, but a foreign open transaction hides it from readers while a process starts.
fn started_while_the_list_is_hidden(broken: Option<&str>) -> Option<Vec<Violation>> {
    let mut scene = Scene::new("frontier", broken)?;
    let (kafka, exposures) = (scene.deployment.kafka.clone(), scene.deployment.exposures.clone());
    let revision = Revision::adding(0..10);
    let list = scene.deployment.list();
    let import = scene.deployment.take_over(&list);
    let foreign = kafka.transactional(&kafka.name("foreign"));
    foreign.begin();
    foreign.send(&Outgoing::to(&exposures).partition(0).key("x").value("y"));
    foreign.places();
    import.write(&revision).finish();
    scene.revisions.push(revision);
    scene.send((0..20).cycle().take(60));
    let mut program = scene.start("one", "sight", "");
    program.await_line("partitions assigned", PATIENCE);
    if broken.is_some() {
        scene.await_sight(&mut program);
    }
    foreign.abort();
    scene.await_sight(&mut program);
    drain(program);
    Some(scene.judge())
}

#[test]
fn a_frontier_not_awaited_is_caught() {
    let _turn = beside_others();
    let Some(found) = started_while_the_list_is_hidden(None) else { return };
    assert_none(&found);
    let found = started_while_the_list_is_hidden(Some("frontier-not-awaited")).unwrap();
    assert_caught(Rule::SightingMissing, &found);
}

/// Cards of a revision are written and its finishing mark is not, while they are used.
fn used_before_the_revision_is_finished(broken: Option<&str>) -> Option<Vec<Violation>> {
    let mut scene = Scene::new("revision", broken)?;
    scene.import(Revision::adding(0..10));
    let mut program = scene.start("one", "sight", "");
    program.await_line("partition flows", PATIENCE);
    let revision = Revision { added: (10..20).collect(), withdrawn: (0..3).collect() };
    let list = scene.deployment.list();
    let import = scene.deployment.take_over(&list).write(&revision);
    // Not from the watermark: what ends a transaction is written after its commit was answered.
    let written = scene.deployment.kafka.read(&scene.deployment.exposures, Isolation::Committed);
    let mark = written.iter().map(|record| record.offset).max().expect("the list was written");
    program.await_line(&format!("frontier={mark}"), PATIENCE);
    let early = scene.deployment.send((0..30).cycle().take(90));
    scene.await_sight(&mut program);
    import.finish();
    scene.inputs.extend(early);
    scene.revisions.push(revision);
    scene.send((0..30).cycle().take(90));
    scene.await_sight(&mut program);
    drain(program);
    Some(scene.judge())
}

#[test]
fn a_revision_visible_in_part_is_caught() {
    let _turn = beside_others();
    let Some(found) = used_before_the_revision_is_finished(None) else { return };
    assert_none(&found);
    let found = used_before_the_revision_is_finished(Some("revision-visible-in-part")).unwrap();
    assert_caught(Rule::SightingUnfounded, &found);
}

/// Kafka forgets how far `sight` had read while nobody runs. Gives how the next start ended, or what is wrong where
/// it did not end.
fn forgotten_by_kafka(broken: Option<&str>) -> Option<Result<Vec<Violation>, Program>> {
    let mut scene = Scene::new("forgotten", broken)?;
    scene.import(Revision::adding(0..10));
    scene.send((0..20).cycle().take(60));
    let mut program = scene.start("one", "sight", "");
    scene.await_sight(&mut program);
    if broken.is_none() {
        // It is noted once a second, and a stop does not wait for it for long.
        let control = scene.deployment.kafka.name("control");
        await_true("how far was read is noted", &mut program, || {
            let notes = scene.deployment.kafka.read(&control, Isolation::Committed);
            let read =
                |note: &&Message| note.key_text().starts_with("begun/") && !note.json()["next"].is_null();
            notes.iter().filter(read).map(Message::key_text).collect::<BTreeSet<_>>().len() == 2
        });
    }
    drain(program);
    scene.deployment.kafka.forget_group(&scene.deployment.names.sight);
    scene.send((0..20).cycle().take(60));
    let mut program = scene.start("one", "sight", "");
    if broken.is_none() {
        program.await_end(PATIENCE);
        return Some(Err(program));
    }
    scene.await_sight(&mut program);
    drain(program);
    Some(Ok(scene.judge()))
}

#[test]
fn a_beginning_not_remembered_is_caught() {
    let _turn = beside_others();
    let Some(ended) = forgotten_by_kafka(None) else { return };
    let mut program = ended.unwrap_err();
    assert_eq!(program.poll_end(), Some(Ended::Code(65)), "{}", program.transcript());
    assert!(program.transcript().contains("--accept-gap"), "{}", program.transcript());
    let found = forgotten_by_kafka(Some("begun-not-remembered")).unwrap().unwrap();
    assert_caught(Rule::SightingTwice, &found);
}
