use std::collections::BTreeSet;

use crate::broken::{Scene, await_true, drain};
use crate::support::program::Program;
use crate::support::{Isolation, Revision};
use crate::{beside_others, support};

/// A withdrawn card's history goes at once.
const RETENTION: &str = "[retention]\nwithdrawn = \"0s\"\nsweep_every = \"1s\"\n";

/// What the key of a tombstone begins with that a sweep writes so that brokers clean up.
const NO_CARD: &str = "card/none/";

fn start(scene: &Scene) -> Program {
    let deployment = &scene.deployment;
    let config = deployment.config("one") + RETENTION;
    let run = support::Program::with(&["run", "--lines", "sight,score"]).config(&config);
    run.env("CARDWATCH_FAULTS", scene.faults()).start()
}

/// Takes cards off the list and waits until so many cards in all are deleted, history and record: a sweep that is still to
/// come would write under the id by which the next revision is written.
fn withdraw(scene: &mut Scene, program: &mut Program, cards: std::ops::Range<usize>, gone: usize) {
    scene.import(Revision { added: Vec::new(), withdrawn: cards.collect() });
    let deployment = &scene.deployment;
    let deleted = |topic: &str, is_card: fn(&str) -> bool| {
        let records = deployment.kafka.read(topic, Isolation::Committed);
        let tombstones = records.iter().filter(|record| record.value.is_none());
        let keys: BTreeSet<&str> = tombstones.map(|record| record.key_text()).collect();
        keys.iter().filter(|key| is_card(key)).count()
    };
    let list = deployment.kafka.name("exposures");
    await_true("cards are deleted", program, || {
        deleted(&deployment.names.history, |key| !key.contains('/')) == gone
            && deleted(&list, |key| key.starts_with("card/") && !key.starts_with(NO_CARD)) == gone
    });
}

/// Cards are deleted, the worker starts anew, and more are deleted: how many cards and alerts the books count before
/// and after.
fn deleted_before_and_after_a_restart(broken: Option<&str>) -> Option<[(u64, u64, u64); 2]> {
    let mut scene = Scene::new("departed", broken)?;
    scene.import(Revision::adding(0..10));
    scene.send((0..10).cycle().take(40));
    let mut program = start(&scene);
    scene.await_score(&mut program);
    let told = |scene: &Scene| {
        let total = scene.deployment.book().total();
        (total.seen, total.alerts, total.sightings)
    };
    let before = told(&scene);
    withdraw(&mut scene, &mut program, 0..4, 4);
    drain(program);
    let mut program = start(&scene);
    withdraw(&mut scene, &mut program, 4..8, 8);
    drain(program);
    Some([before, told(&scene)])
}

#[test]
fn books_that_lose_deleted_cards_are_caught() {
    let _turn = beside_others();
    let Some([before, after]) = deleted_before_and_after_a_restart(None) else { return };
    assert_eq!((before.0, before.2), (10, 40));
    assert_eq!(after, before);
    let [before, after] = deleted_before_and_after_a_restart(Some("departed-not-kept")).unwrap();
    assert!(after.0 < before.0 && after.2 < before.2, "{before:?} {after:?}");
}
