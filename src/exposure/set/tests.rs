use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;

use super::*;
use crate::exposure::fingerprint::{Key, Keyring};
use crate::exposure::model::{CARDS, Mode, Model, Op, Shown, Step, fingerprint, incident_id, key, ops};
use crate::secret::Secret;

/// What a view shows, asked card by card under every key.
fn seen(view: &View) -> Shown {
    let mut shown: Shown = Default::default();
    for card in 0..CARDS {
        for key_index in 0..2 {
            let Some(hit) = view.lookup(key_index, &fingerprint(card, key_index)) else { continue };
            assert!(hit.incidents.is_sorted_by(|a, b| a.id < b.id) && !hit.incidents.is_empty());
            for incident in hit.incidents {
                shown.0.entry(card).or_default().insert(incident.id.clone());
                shown.1.insert(incident.id, incident.revision);
            }
        }
    }
    shown
}

/// Of the revisions in force, a view tells those of incidents that show a card.
fn tellable(shown: &Shown) -> Shown {
    let telling: BTreeSet<&IncidentId> = shown.0.values().flatten().collect();
    let revisions = shown.1.iter().filter(|(id, _)| telling.contains(id));
    (shown.0.clone(), revisions.map(|(id, revision)| (id.clone(), *revision)).collect())
}

/// Feeds a set step by step. Returns the first step after which some view, old or new, does not show what the list
/// showed when it was made.
fn run(
    steps: &[Step],
    load_until: usize,
    in_part: bool,
    publish: impl Fn(usize) -> bool,
) -> Result<(), String> {
    let (set, mut writer) = ExposureSet::new(&[key(0), key(1)]);
    writer.in_part = in_part;
    let mut views: Vec<(Arc<View>, Shown)> = vec![(set.view(), Shown::default())];
    for (offset, step) in steps.iter().enumerate() {
        let applied = writer.apply(offset as i64, step.key.to_string().as_bytes(), step.value.as_deref());
        let applied = applied.map_err(|error| format!("step {offset}: {error}"))?;
        let marks = applied != Applied::Card;
        if offset >= load_until && (offset == load_until || (marks && publish(offset))) {
            let view = writer.publish();
            assert!(Arc::ptr_eq(&view, &set.view()));
            assert_eq!(view.frontier(), writer.frontier());
            views.push((view, tellable(&step.shown)));
        }
        for (view, shown) in &views {
            let seen = seen(view);
            if seen != *shown {
                let frontier = view.frontier();
                return Err(format!(
                    "after step {offset} the view of {frontier} shows {seen:?}, not {shown:?}"
                ));
            }
        }
    }
    Ok(())
}

fn steps(ops: &[Op]) -> Vec<Step> {
    let mut model = Model::new();
    ops.iter().flat_map(|op| model.perform(op).0).collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn every_view_shows_for_ever_what_the_list_showed_at_its_frontier(
        ops in ops(16), load_until in 0usize..20, publishes in prop::collection::vec(any::<bool>(), 200),
    ) {
        // Old views show a card no more once its record is removed; the newest never did.
        let ops: Vec<Op> = ops.into_iter().filter(|op| !matches!(op, Op::Sweep { .. })).collect();
        let steps = steps(&ops);
        let result = run(&steps, load_until, false, |offset| publishes[offset % publishes.len()]);
        prop_assert_eq!(result, Ok(()), "{:#?}", ops);
    }

    /// A compacted topic keeps the last record of each key; whatever else it still keeps, the set is the same.
    #[test]
    fn a_compacted_list_loads_to_the_same_set(ops in ops(16), kept in prop::collection::vec(any::<bool>(), 300)) {
        let all = steps(&ops);
        let (_, mut writer) = ExposureSet::new(&[]);
        for (offset, step) in all.iter().enumerate() {
            let key = step.key.to_string();
            let is_last = !all[offset + 1..].iter().any(|later| later.key == step.key);
            if is_last || kept[offset % kept.len()] {
                writer.apply(offset as i64, key.as_bytes(), step.value.as_deref()).unwrap();
            }
        }
        let view = writer.publish();
        let by_key = |key_n: usize, card: usize| {
            view.lookup(view.key_index(&key(key_n))?, &fingerprint(card, key_n)).map(|hit| hit.incidents)
        };
        let mut got: BTreeMap<usize, BTreeSet<IncidentId>> = BTreeMap::new();
        for (card, key_n) in (0..CARDS).flat_map(|card| [(card, 0), (card, 1)]) {
            let ids = by_key(key_n, card).into_iter().flatten().map(|incident| incident.id);
            got.entry(card).or_default().extend(ids);
        }
        got.retain(|_, incidents| !incidents.is_empty());
        let want = all.last().map(|step| step.shown.0.clone()).unwrap_or_default();
        prop_assert_eq!(got, want);
    }
}

fn import(mode: Mode, list: &[usize]) -> Op {
    Op::Import { incident: 0, mode, second_key: false, list: list.to_vec(), dies_after: None }
}

#[test]
fn the_broken_variant_that_shows_a_revision_in_part_is_caught() {
    let steps =
        steps(&[import(Mode::Add, &[0, 1]), import(Mode::Add, &[2, 3]), import(Mode::Withdraw, &[0])]);
    assert_eq!(run(&steps, 0, false, |_| true), Ok(()));
    let caught = run(&steps, 0, true, |_| true).unwrap_err();
    assert!(caught.contains("shows"), "{caught}");
}

fn apply(writer: &mut SetWriter, offset: i64, key: &str, value: &str) -> Result<Applied, RecordError> {
    writer.apply(offset, key.as_bytes(), (!value.is_empty()).then_some(value.as_bytes()))
}

/// A set in which incidents 0 and 1 list card 0 under k1.
fn two_incidents() -> SetWriter {
    let (_, mut writer) = ExposureSet::new(&[key(0)]);
    let other =
        Op::Import { incident: 1, mode: Mode::Add, second_key: false, list: vec![0], dies_after: None };
    for (offset, step) in steps(&[import(Mode::Add, &[0, 1]), other]).iter().enumerate() {
        writer.apply(offset as i64, step.key.to_string().as_bytes(), step.value.as_deref()).unwrap();
    }
    writer
}

#[test]
fn a_hit_tells_the_latest_expiry_and_the_references_of_all_incidents_that_show() {
    let mut writer = two_incidents();
    let card = fingerprint(0, 0);
    let record = |incident| format!("card/k1/{card}/{}", incident_id(incident));
    let first = r#"{"events":[1],"expiry":"2027-09","references":{"account":"A-0","branch":"7"}}"#;
    let second = r#"{"events":[1],"expiry":"2029-01","references":{"account":"A-1"}}"#;
    apply(&mut writer, 10, &record(0), first).unwrap();
    apply(&mut writer, 11, &record(1), second).unwrap();
    let view = writer.publish();
    let hit = view.lookup(0, &card).unwrap();
    let ids: Vec<&IncidentId> = hit.incidents.iter().map(|incident| &incident.id).collect();
    assert_eq!(ids, [&incident_id(1), &incident_id(0)], "sorted by id");
    assert_eq!(hit.expiry, "01/29".parse().ok());
    assert_eq!(hit.references.iter().collect::<Vec<_>>(), [("account", "A-1"), ("branch", "7")]);
    assert_eq!(hit.incidents[0].watch_until, None);
    assert_eq!(hit.incidents[0].exposed_from.to_string(), "2017-04-08T15:00:00.000Z");

    // An erased card takes its references along.
    apply(&mut writer, 12, &record(1), "").unwrap();
    let hit = writer.publish().lookup(0, &card).unwrap();
    assert_eq!((hit.incidents.len(), hit.expiry), (1, "09/27".parse().ok()));
    apply(&mut writer, 13, &record(0), "").unwrap();
    assert_eq!(writer.publish().lookup(0, &card), None);
    assert!(writer.tables[0].extras.is_empty());
}

#[test]
fn counts_are_by_incident_and_by_key() {
    let mut writer = two_incidents();
    let view = writer.publish();
    assert_eq!(view.stats().cards, 2);
    assert_eq!(view.stats().by_incident, [(incident_id(1), 1), (incident_id(0), 2)]);
    assert_eq!(view.stats().by_key, [(key(0), 2)]);
    assert!(view.stats().memory_bytes > 0);
    assert_eq!(view.incidents().len(), 2);
}

#[test]
fn a_list_under_a_missing_or_another_key_is_told() {
    let ring = |id: &str, byte| {
        let key = Key::new(id.parse().unwrap(), Secret::new(vec![byte; 32])).unwrap();
        Keyring::new(key, Vec::new()).unwrap()
    };
    let mut writer = two_incidents();
    let mut model = Model::new();
    model.perform(&import(Mode::Add, &[0, 1]));
    let mut record = model.incidents[0].record.clone();
    record.checks.insert(key(0), ring("k1", 1).primary().check_value());
    let incident = format!("incident/{}", incident_id(0));
    writer.apply(20, incident.as_bytes(), Some(&record.to_json())).unwrap();
    let view = writer.publish();
    assert_eq!(view.missing_keys(&ring("k1", 1)), []);
    assert_eq!(view.wrong_checks(&ring("k1", 1)), []);
    assert_eq!(view.missing_keys(&ring("k9", 1)), [(key(0), 2)]);
    assert_eq!(view.wrong_checks(&ring("k9", 1)), []);
    assert_eq!(view.wrong_checks(&ring("k1", 2)), [WrongCheck { key: key(0), incident: incident_id(0) }]);

    // What is not watched any more needs no key.
    for (n, offset) in [(0, 21), (1, 22)] {
        let mut record = if n == 0 { record.clone() } else { IncidentRecord::new(incident_id(n)) };
        let mark =
            crate::exposure::record::Mark { at: Default::default(), by: String::new(), host: String::new() };
        record.close(mark).unwrap();
        let incident = format!("incident/{}", incident_id(n));
        writer.apply(offset, incident.as_bytes(), Some(&record.to_json())).unwrap();
    }
    let view = writer.publish();
    assert_eq!((view.missing_keys(&ring("k9", 1)), view.wrong_checks(&ring("k1", 2))), (vec![], vec![]));
}

#[test]
fn a_record_that_cannot_be_read_changes_nothing() {
    let mut writer = two_incidents();
    let (before, frontier) = (seen(&writer.publish()), writer.frontier());
    let incident = format!("incident/{}", incident_id(0));
    let mut placeless = Model::new();
    placeless.perform(&import(Mode::Add, &[0]));
    let mut placeless = placeless.incidents[0].record.clone();
    placeless.revisions[0].details.time_zone = "Nowhere/Land".to_owned();
    let placeless = String::from_utf8(placeless.to_json()).unwrap();
    for (key, value) in [
        ("neither", "{}"),
        (&*incident, "{}"),
        (&*incident, "{"),
        (&*incident, &*placeless),
        (&*format!("card/k1/{}/shop", fingerprint(0, 0)), "{}"),
    ] {
        assert!(apply(&mut writer, 99, key, value).is_err(), "{key} {value}");
        assert_eq!(writer.frontier(), frontier);
        assert_eq!(seen(&writer.publish()), before);
    }
}

#[test]
fn an_incident_that_is_erased_shows_no_card() {
    let mut writer = two_incidents();
    apply(&mut writer, 30, &format!("incident/{}", incident_id(0)), "").unwrap();
    let view = writer.publish();
    assert_eq!(view.lookup(0, &fingerprint(1, 0)), None);
    assert_eq!(view.lookup(0, &fingerprint(0, 0)).unwrap().incidents.len(), 1);
    assert_eq!(view.frontier(), 30);
}

#[test]
fn readers_on_other_threads_see_each_revision_whole() {
    let (set, mut writer) = ExposureSet::new(&[key(0)]);
    let ops: Vec<Op> =
        (0..40).map(|n| import(if n % 2 == 0 { Mode::Add } else { Mode::Withdraw }, &[0, 1, 2, 3])).collect();
    let steps = steps(&ops);
    let done = std::sync::atomic::AtomicBool::new(false);
    let both = std::sync::Barrier::new(2);
    std::thread::scope(|scope| {
        let reader = scope.spawn(|| {
            both.wait();
            loop {
                let over = done.load(std::sync::atomic::Ordering::Acquire);
                let view = set.view();
                let hits: Vec<bool> =
                    (0..4).map(|card| view.lookup(0, &fingerprint(card, 0)).is_some()).collect();
                assert!(hits.iter().all(|hit| *hit == hits[0]), "{hits:?}");
                if over {
                    break;
                }
            }
        });
        both.wait();
        for (offset, step) in steps.iter().enumerate() {
            writer.apply(offset as i64, step.key.to_string().as_bytes(), step.value.as_deref()).unwrap();
            writer.publish();
        }
        done.store(true, std::sync::atomic::Ordering::Release);
        reader.join().unwrap();
    });
}
