//! A whole cluster that comes back as it was at an earlier moment: docs/runbooks/restored-from-backup.md, carried out.

use std::fs;
use std::path::Path;

use crate::support::chaos::Crew;
use crate::support::check::{assert_none, compare_alerts, violations};
use crate::support::program::Ended;
use crate::support::{Broker, BrokerOptions, Deployment, Isolation, Message, Outgoing, Revision, own_broker};
use crate::{PATIENCE, beside_others};

/// Cards on the list, and beside it; each is used several times, so that rules look at what came before.
const LISTED: usize = 20;
const CARDS: usize = 30;

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap().flatten() {
        let to = to.join(entry.file_name());
        match entry.file_type().unwrap().is_dir() {
            true => copy(&entry.path(), &to),
            false => drop(fs::copy(entry.path(), to).unwrap()),
        }
    }
}

/// The broker's disk, from one moment, while everybody is at work.
fn snapshot(broker: &Broker, to: &Path) {
    broker.freeze();
    copy(&broker.data(), to);
    broker.thaw();
}

/// The broker's machine is lost; another one starts on what was kept.
fn restore(broker: &Broker, from: &Path) {
    broker.kill();
    fs::remove_dir_all(broker.data()).unwrap();
    copy(from, &broker.data());
    broker.restart();
}

/// Each card is used `times` times.
fn uses(times: usize) -> impl Iterator<Item = usize> {
    (0..times).flat_map(|_| 0..CARDS)
}

fn alert_ids(deployment: &Deployment) -> Vec<String> {
    let alerts = deployment.kafka.read(&deployment.names.alerts, Isolation::Committed);
    let mut ids: Vec<String> =
        alerts.iter().map(|alert| alert.json()["id"].as_str().unwrap().to_owned()).collect();
    ids.sort_unstable();
    ids
}

/// Puts back an earlier state of one topic alone.
fn restore_topic(broker: &Broker, topic: &str, from: &Path) {
    broker.kill();
    for partition in 0..2 {
        let name = format!("{topic}-{partition}");
        fs::remove_dir_all(broker.data().join(&name)).unwrap();
        copy(&from.join(&name), &broker.data().join(&name));
    }
    broker.restart();
}

/// Upstream writes again what of `written` the input does not have any more; how much that was.
fn write_again(deployment: &Deployment, written: &[Message]) -> usize {
    let input = &deployment.names.input;
    let ends = [0, 1].map(|partition| deployment.kafka.watermarks(input, partition).high);
    let is_lost = |message: &&Message| message.offset >= ends[usize::try_from(message.partition).unwrap()];
    let again = written.iter().filter(is_lost).map(|message| {
        let value = message.value.clone().unwrap();
        Outgoing::to(input).partition(message.partition).timestamp(message.timestamp).value(value)
    });
    let again: Vec<Outgoing> = again.collect();
    deployment.kafka.produce(&again);
    again.len()
}

#[test]
fn a_cluster_restored_in_part_is_refused_and_one_restored_whole_makes_what_was_lost_again() {
    let _turn = beside_others();
    let Some(broker) = own_broker("restored", BrokerOptions::default()) else { return };
    let deployment = Deployment::new(broker.kafka("restored"), 2, 2);
    let revision = Revision::adding(0..LISTED);
    deployment.import(&revision);
    let start = || {
        let mut crew = Crew::new();
        crew.hire(deployment.process("one", "sight,score", "session:3000"));
        crew
    };
    let mut crew = start();
    let mut inputs = deployment.send(uses(4));
    crew.tend_until("the first alerts", PATIENCE, |_| !alert_ids(&deployment).is_empty());
    let kept = tempfile::TempDir::new_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    snapshot(&broker, kept.path());
    inputs.extend(deployment.send(uses(4)));
    crew.drain(&deployment, PATIENCE);
    let written = deployment.kafka.read(&deployment.names.input, Isolation::Committed);
    let alerts = alert_ids(&deployment);

    // Histories of another moment than the offsets: nobody can say which uses they miss.
    restore_topic(&broker, &deployment.names.history, kept.path());
    let (ended, program) = deployment.process("one", "sight,score", "session:3000").run(PATIENCE);
    let said = program.transcript();
    assert!(ended == Ended::Code(65) && said.contains(&deployment.names.history), "{ended:?}\n{said}");

    restore(&broker, kept.path());
    let again = write_again(&deployment, &written);
    assert!((1..written.len()).contains(&again), "{again} of {} were lost", written.len());
    start().drain(&deployment, PATIENCE);
    assert_eq!(alert_ids(&deployment), alerts, "the same alerts under the same ids, each once");
    let (run, naive) = (deployment.observe(inputs, &[revision]), deployment.naive());
    assert_none(&violations(&run, &naive));
    let found: Vec<_> = run.alerts.iter().map(Message::json).collect();
    assert_none(&compare_alerts(&naive.alerts(&run.sightings), &found));
}
