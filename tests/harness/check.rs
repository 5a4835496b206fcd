use cardwatch::domain::position::Position;
use cardwatch::domain::time::Timestamp;
use proptest::prelude::*;
use serde_json::json;

use crate::support::Message;
use crate::support::check::{
    Checkpoint, Input, Listing, Rule, Run, Wire, compare_alerts, compare_readers, violations,
};

/// Forms as simple as they can be: a history is `COUNT LAST-ID`, a checkpoint `NEXT PARTITIONS`.
struct Plain;

impl Wire for Plain {
    fn checkpoint(&self, value: &[u8]) -> Result<Checkpoint, String> {
        let text = std::str::from_utf8(value).map_err(|error| error.to_string())?;
        let (next, partitions) = text.split_once(' ').ok_or("two numbers are expected")?;
        let number = |text: &str| text.parse().map_err(|_| "not a number".to_owned());
        Ok(Checkpoint { next: number(next)?, partitions: i32::try_from(number(partitions)?).unwrap() })
    }

    fn history(&self, value: &[u8]) -> Result<(u64, Option<String>), String> {
        let text = std::str::from_utf8(value).map_err(|error| error.to_string())?;
        let (count, last) = text.split_once(' ').ok_or("a count and an id are expected")?;
        Ok((count.parse().map_err(|_| "not a count".to_owned())?, Some(last.to_owned())))
    }

    fn fold(&self, sightings: &[&Message]) -> Option<Vec<u8>> {
        let last = sightings.last()?.json()["id"].as_str()?.to_owned();
        Some(format!("{} {last}", sightings.len()).into_bytes())
    }
}

const OUTPUT_PARTITIONS: i32 = 2;

fn fingerprint(card: usize) -> String {
    format!("{card:064x}")
}

fn message(topic: &str, partition: i32, key: &str, value: Option<String>) -> Message {
    Message {
        topic: topic.to_owned(),
        partition,
        offset: 0,
        timestamp: 0,
        key: Some(key.as_bytes().to_vec()),
        value: value.map(String::into_bytes),
        headers: Vec::new(),
    }
}

fn source(input: &Input) -> Position {
    Position {
        topic: input.topic.clone(),
        partition: input.partition,
        offset: input.offset,
        timestamp: Timestamp(1_700_000_000_000 + input.offset),
    }
}

/// What a faultless program makes of `cards`, one transaction each over two input partitions. The frontier
/// is 10, and 20 from the transaction `revised` on; even cards are listed, and card 1 from 20 on.
fn sound(cards: &[usize], revised: usize) -> Run {
    let listing = Listing::fixed([0, 2, 4, 6]).then(20, [0, 1, 2, 4, 6]);
    let mut run = Run { listing, ..Run::default() };
    for (number, card) in cards.iter().enumerate() {
        let partition = i32::try_from(number % 2).unwrap();
        let next = run.sight.entry(("in".to_owned(), partition)).or_insert(0);
        let input = Input { topic: "in".to_owned(), partition, offset: *next, card: *card };
        *next += 1;
        let frontier = if number >= revised { 20 } else { 10 };
        if *card % 2 == 0 || (*card == 1 && frontier == 20) {
            sighted(&mut run, &input, frontier);
        }
        run.inputs.push(input);
    }
    for partition in 0..OUTPUT_PARTITIONS {
        let next = run.sightings.iter().filter(|message| message.partition == partition).count();
        run.score.insert(("sightings".to_owned(), partition), i64::try_from(next).unwrap());
        let (key, value) = (format!("checkpoint/{partition}"), format!("{next} {OUTPUT_PARTITIONS}"));
        run.history.push(message("history", partition, &key, Some(value)));
    }
    run
}

fn sighted(run: &mut Run, input: &Input, frontier: i64) {
    let (key, source) = (fingerprint(input.card), source(input));
    let partition = i32::try_from(input.card).unwrap() % OUTPUT_PARTITIONS;
    let id = source.derived_id("sgt");
    let value = json!({
        "id": id, "source": source, "card": {"fingerprint": key}, "judged_by": {"exposures": frontier},
    });
    let mut sighting = message("sightings", partition, &key, Some(value.to_string()));
    sighting.offset = count(&run.sightings, partition);
    run.sightings.push(sighting);
    let uses = run.sightings.iter().filter(|message| message.key_text() == key).count();
    let mut history = message("history", partition, &key, Some(format!("{uses} {id}")));
    history.offset = count(&run.history, partition);
    run.history.push(history);
    if uses.is_multiple_of(2) {
        let value = json!({"id": source.derived_id("alr"), "revision": 1, "source": source});
        let mut alert = message("alerts", partition, &key, Some(value.to_string()));
        alert.offset = count(&run.alerts, partition);
        run.alerts.push(alert);
    }
}

fn count(messages: &[Message], partition: i32) -> i64 {
    i64::try_from(messages.iter().filter(|message| message.partition == partition).count()).unwrap()
}

fn rules(run: &Run) -> Vec<Rule> {
    let mut rules: Vec<Rule> = violations(run, &Plain).into_iter().map(|one| one.rule).collect();
    rules.dedup();
    rules
}

proptest! {
    #[test]
    fn a_sound_run_has_no_violation(cards in prop::collection::vec(0_usize..8, 0..60), revised in 0_usize..60) {
        prop_assert_eq!(violations(&sound(&cards, revised), &Plain), []);
    }

    #[test]
    fn a_lost_sighting_is_found_wherever_it_was(cards in prop::collection::vec(0_usize..8, 1..40), at: prop::sample::Index) {
        // No revision, so that there is no doubt about any card.
        let mut run = sound(&cards, usize::MAX);
        prop_assume!(!run.sightings.is_empty());
        run.sightings.remove(at.index(run.sightings.len()));
        prop_assert!(rules(&run).contains(&Rule::SightingMissing));
    }

    #[test]
    fn a_doubled_sighting_is_found_wherever_it_is(cards in prop::collection::vec(0_usize..8, 1..40), at: prop::sample::Index) {
        let mut run = sound(&cards, 10);
        prop_assume!(!run.sightings.is_empty());
        let twice = run.sightings[at.index(run.sightings.len())].clone();
        run.sightings.push(twice);
        prop_assert!(rules(&run).contains(&Rule::SightingTwice));
    }
}

/// Twelve transactions: partition 0 sees cards 0 0 4 1 2 0, partition 1 sees 0 3 1 1 6 4; revised at 6.
const CARDS: [usize; 12] = [0, 0, 0, 3, 4, 1, 1, 1, 2, 6, 0, 4];

fn planted(change: impl FnOnce(&mut Run)) -> Vec<Rule> {
    let mut run = sound(&CARDS, 6);
    change(&mut run);
    rules(&run)
}

fn replace(message: &mut Message, from: &str, to: &str) {
    let text = message.text().to_owned();
    assert!(text.contains(from), "{text}");
    message.value = Some(text.replace(from, to).into_bytes());
}

#[test]
fn each_kind_of_fault_in_sight_is_named() {
    assert_eq!(planted(|_| {}), []);
    assert_eq!(
        planted(|run| *run.sight.get_mut(&("in".to_owned(), 0)).unwrap() -= 1),
        [Rule::SightingAhead],
        "offsets fell behind what was written: a replay would double it"
    );
    assert_eq!(
        planted(|run| run.inputs.retain(|input| (input.partition, input.offset) != (1, 0))),
        [Rule::SightingUnfounded],
        "nobody produced this"
    );
    assert_eq!(
        planted(|run| run.listing = Listing::fixed([2, 4, 6]).then(20, [0, 1, 2, 4, 6])),
        [Rule::SightingUnfounded],
        "not listed under the frontier it names"
    );
    assert_eq!(
        planted(|run| {
            let last =
                run.sightings.iter_mut().rfind(|message| message.text().contains("\"partition\":0")).unwrap();
            replace(last, "\"exposures\":20", "\"exposures\":10");
        }),
        [Rule::FrontierFell]
    );
    assert_eq!(planted(|run| replace(&mut run.sightings[0], "sgt_", "sgt_x")).first(), Some(&Rule::Identity));
    assert_eq!(planted(|run| run.sightings[0].value = Some(b"{}".to_vec())).first(), Some(&Rule::Unreadable));
}

#[test]
fn an_unlisted_card_may_become_listed_in_between_and_not_at_will() {
    // Card 1 is in partition 1 at offset 2, before any sighting under 20 there: either way is sound.
    let before = sound(&[0, 0, 0, 3, 4, 1, 0, 0], 6);
    assert_eq!(violations(&before, &Plain), []);
    // At offset 3, behind one under 20, it must have been seen.
    let mut behind = sound(&[0, 0, 0, 3, 4, 0, 1, 1, 2, 0], 5);
    let lost = behind.sightings.iter().rposition(|message| message.key_text() == fingerprint(1)).unwrap();
    behind.sightings.remove(lost);
    assert!(rules(&behind).contains(&Rule::SightingMissing));
}

#[test]
fn each_kind_of_fault_in_score_is_named() {
    let history = |run: &mut Run, card: usize| {
        run.history.iter().rposition(|message| message.key_text() == fingerprint(card)).unwrap()
    };
    assert_eq!(
        planted(|run| {
            let at = history(run, 0);
            replace(&mut run.history[at], "4 ", "5 ");
        }),
        [Rule::JudgementCount, Rule::HistoryContent],
        "judged twice"
    );
    assert_eq!(
        planted(|run| run.history.retain(|message| message.key_text() != fingerprint(6))),
        [Rule::JudgementCount]
    );
    assert_eq!(
        planted(|run| {
            let at = history(run, 0);
            run.history[at].value = None;
        }),
        [Rule::JudgementCount],
        "a tombstone"
    );
    assert_eq!(
        planted(|run| run.history.push(message("history", 0, &fingerprint(8), Some("1 sgt_x".to_owned())))),
        [Rule::JudgementCount],
        "of a card nobody saw"
    );
    assert_eq!(
        planted(|run| {
            let at = history(run, 2);
            replace(&mut run.history[at], "sgt_", "sgt_other");
        }),
        [Rule::HistoryContent]
    );
    assert_eq!(
        planted(|run| {
            let at = run.history.iter().rposition(|message| message.key_text() == "checkpoint/1").unwrap();
            run.history.remove(at);
        }),
        [Rule::Checkpoint]
    );
    assert_eq!(
        planted(|run| *run.score.get_mut(&("sightings".to_owned(), 1)).unwrap() += 1),
        [Rule::Checkpoint]
    );
}

#[test]
fn each_kind_of_fault_in_alerts_is_named() {
    assert_eq!(
        planted(|run| {
            let again = run.alerts[0].clone();
            run.alerts.push(again);
        }),
        [Rule::AlertUnfounded]
    );
    assert_eq!(
        planted(|run| {
            let mut revised = run.alerts[0].clone();
            replace(&mut revised, "\"revision\":1", "\"revision\":2");
            run.alerts.push(revised);
        }),
        [],
        "a later revision of the same alert is no double"
    );
    assert_eq!(planted(|run| replace(&mut run.alerts[0], "alr_", "alr_x")), [Rule::AlertUnfounded]);
    assert_eq!(planted(|run| run.alerts[0].partition = 1), [Rule::Identity]);
}

#[test]
fn alerts_are_compared_whatever_the_time_they_took() {
    let alert = |id: &str, score: u32, at: &str| json!({"id": id, "revision": 1, "score": score, "raised_at": at, "timing": {"ms": 1}});
    let expected = [alert("alr_a", 40, "x"), alert("alr_b", 60, "x")];
    assert_eq!(compare_alerts(&expected, &[alert("alr_b", 60, "y"), alert("alr_a", 40, "z")]), []);
    for found in [
        vec![alert("alr_a", 40, "x")],
        vec![alert("alr_a", 40, "x"), alert("alr_b", 61, "x")],
        vec![alert("alr_a", 40, "x"), alert("alr_b", 60, "x"), alert("alr_b", 60, "x")],
        vec![alert("alr_a", 40, "x"), alert("alr_b", 60, "x"), alert("alr_c", 60, "x")],
    ] {
        let differing = compare_alerts(&expected, &found);
        assert_eq!(differing.len(), 1, "{found:?}");
        assert_eq!(differing[0].rule, Rule::AlertsDiffer);
    }
}

#[test]
fn what_a_reader_saw_stays() {
    let run = sound(&CARDS, 6);
    let after = &run.sightings;
    assert_eq!(compare_readers(&after[..3], after, false), []);
    assert_eq!(compare_readers(after, &after[1..], false).len(), 1);
    assert_eq!(compare_readers(after, &after[1..], true), []);
    let mut changed = after.clone();
    replace(&mut changed[1], "sgt_", "sgt_x");
    assert_eq!(compare_readers(after, &changed, true).len(), 1);
    let back = [after[1].clone(), after[0].clone()];
    assert_eq!(compare_readers(&back, after, false).len(), 1, "the same partition, out of order");
}
