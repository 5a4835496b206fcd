//! Claims about the ledger: each operation by example here, any sequence of them against a naive model in `model`.

use std::collections::BTreeMap;

use super::*;

mod model;
mod ops;

const ROOM: Intake = Intake { room: 4, closed: false, batch: None };
const BATCH: Batch = Batch { max: 3, wait_ms: 1_000 };
const GATHER: Intake = Intake { room: 100, closed: false, batch: Some(BATCH) };

fn desk() -> EndpointName {
    "desk".parse().unwrap()
}

fn at(millis: i64) -> Timestamp {
    Timestamp(1_000_000 + millis)
}

fn member(offset: i64) -> Member {
    Member { offset, id: id(&format!("alr_{offset}-1")) }
}

/// As it is read of a range: raised when its offset says.
fn raised(offset: i64) -> (Member, Timestamp) {
    (member(offset), at(offset))
}

fn id(text: &str) -> DeliveryId {
    DeliveryId::written(text)
}

fn range(from: i64, to: i64, count: u64) -> Range {
    Range { from, to, count, asked: false, since: Some(at(0)) }
}

/// A ledger that tells the desk from offset 0 on.
fn begun() -> Ledger {
    let mut ledger = Ledger::default();
    ledger.begin(&desk(), 0, None);
    ledger.merge();
    ledger
}

/// One that owes these alerts since 0, each due at once.
fn owing(offsets: std::ops::Range<i64>, intake: Intake) -> Ledger {
    let mut ledger = begun();
    for offset in offsets {
        ledger.owe(&desk(), member(offset), at(0), intake);
    }
    ledger.merge();
    ledger
}

fn ids(handed: &[Handed]) -> Vec<&str> {
    handed.iter().map(|handed| handed.id.as_str()).collect()
}

fn owed_ids(ledger: &Ledger) -> Vec<String> {
    ledger.owed(&desk()).map(|(id, _)| id.to_string()).collect()
}

fn ranges(ledger: &Ledger) -> Vec<Range> {
    ledger.account(&desk()).unwrap().ranges.clone()
}

/// The topic's newest record of each key.
type Topic = BTreeMap<String, Vec<u8>>;

fn write(topic: &mut Topic, ledger: &Ledger) {
    for (key, value) in ledger.changes() {
        match value {
            Some(value) => drop(topic.insert(key.to_string(), value)),
            None => drop(topic.remove(&key.to_string())),
        }
    }
}

fn restored(topic: &Topic) -> Ledger {
    let mut ledger = Ledger::default();
    for (key, value) in topic {
        ledger.restore(key.as_bytes(), Some(value)).unwrap();
    }
    ledger
}

#[test]
fn an_alert_is_owed_handed_out_once_and_done() {
    let mut ledger = begun();
    ledger.owe(&desk(), member(0), at(0), ROOM);
    assert!(ledger.hand_out(&desk(), at(9), 9).is_empty(), "what is proposed is not handed out");
    assert_eq!(ledger.next_due(&desk()), None);
    ledger.merge();
    assert_eq!(ledger.next_due(&desk()), Some(at(0)));
    let handed = ledger.hand_out(&desk(), at(7), 9);
    let want =
        Handed { id: id("alr_0-1"), members: vec![member(0)], attempts: 0, early: false, since: at(0) };
    assert_eq!(handed, [want]);
    assert!(ledger.hand_out(&desk(), at(9), 9).is_empty());
    assert_eq!(ledger.next_due(&desk()), None);
    ledger.delivered(&desk(), &id("alr_0-1"));
    assert_eq!(ledger.changes(), [(Key::Owed(desk(), id("alr_0-1")), None)]);
    ledger.merge();
    assert_eq!(ledger.debt(&desk()), Debt::default());
    assert!(!ledger.is_changed());
}

#[test]
fn what_is_discarded_was_never_owed_and_never_done() {
    let mut ledger = begun();
    ledger.owe(&desk(), member(0), at(0), ROOM);
    ledger.discard();
    assert_eq!(ledger.debt(&desk()), Debt::default());
    let mut ledger = owing(0..1, ROOM);
    ledger.hand_out(&desk(), at(0), 1);
    ledger.delivered(&desk(), &id("alr_0-1"));
    ledger.discard();
    assert_eq!(owed_ids(&ledger), ["alr_0-1"]);
    assert!(ledger.hand_out(&desk(), at(9), 1).is_empty(), "it is under way still");
    ledger.give_back(&desk(), &id("alr_0-1"));
    assert_eq!(ids(&ledger.hand_out(&desk(), at(9), 1)), ["alr_0-1"]);
    ledger.merge();
    ledger.replay(&desk(), member(0), at(9));
    ledger.merge();
    assert!(ledger.hand_out(&desk(), at(9), 1).is_empty(), "nor does what was discarded settle it later");
    let mut new = Ledger::default();
    new.begin(&desk(), 5, Some(2));
    new.discard();
    assert!(!new.knows(&desk()) && new.endpoints().next().is_none());
}

#[test]
fn the_earliest_is_handed_out_first_and_no_more_than_asked() {
    let mut ledger = begun();
    for (offset, due) in [(0, 30), (1, 10), (2, 20), (3, 99)] {
        ledger.owe(&desk(), member(offset), at(due), ROOM);
    }
    ledger.merge();
    assert_eq!(ids(&ledger.hand_out(&desk(), at(30), 2)), ["alr_1-1", "alr_2-1"]);
    assert_eq!(ids(&ledger.hand_out(&desk(), at(30), 2)), ["alr_0-1"]);
    assert_eq!(ledger.next_due(&desk()), Some(at(99)));
    let early = ledger.hand_out_next(&desk(), at(98)).unwrap();
    assert_eq!((early.id.as_str(), early.early), ("alr_3-1", true));
    ledger.give_back(&desk(), &early.id);
    assert!(!ledger.hand_out_next(&desk(), at(99)).unwrap().early, "its turn has come");
    assert_eq!(ledger.hand_out_next(&desk(), at(99)), None);
}

#[test]
fn an_attempt_that_failed_is_made_again_at_its_time_until_it_has_failed_for_good() {
    let mut ledger = owing(0..1, ROOM);
    let one = id("alr_0-1");
    for (attempt, counted, attempts) in [(0, true, 1), (1, false, 1), (2, true, 2)] {
        let now = at(attempt * 100);
        assert_eq!(ids(&ledger.hand_out(&desk(), now, 1)), ["alr_0-1"]);
        ledger.failed(&desk(), &one, Some(now.plus_millis(100)), "timeout", counted);
        ledger.merge();
        assert_eq!(ledger.attempts(&desk(), &one), Some(attempts));
        assert!(ledger.hand_out(&desk(), now.plus_millis(99), 1).is_empty());
    }
    ledger.hand_out(&desk(), at(300), 1);
    ledger.failed(&desk(), &one, None, "redirect", true);
    let changes = ledger.changes();
    let [(key, Some(value))] = &changes[..] else { panic!("{changes:?}") };
    let owed: Owed = serde_json::from_slice(value).unwrap();
    assert_eq!(*key, Key::Owed(desk(), one.clone()));
    assert_eq!((owed.stage, owed.attempts, owed.since), (Stage::Failed, 3, at(0)));
    assert_eq!(owed.last.as_deref(), Some("redirect"));
    let mut again = Ledger::default();
    again.begin(&desk(), 0, None);
    again.merge();
    again.restore(key.to_string().as_bytes(), Some(value)).unwrap();
    ledger.merge();
    for ledger in [&mut ledger, &mut again] {
        assert_eq!(ledger.debt(&desk()), Debt::default(), "it stays on the topic alone");
        ledger.replay_failed(&desk(), &one, owed.members.clone(), at(400));
        ledger.merge();
        assert_eq!(ledger.hand_out(&desk(), at(400), 1)[0].attempts, 0);
    }
}

#[test]
fn what_does_not_fit_is_a_range_and_is_made_out_once_there_is_room() {
    let mut ledger = owing(0..9, ROOM);
    assert_eq!(owed_ids(&ledger).len(), 4);
    assert_eq!(ranges(&ledger), [range(4, 9, 5)]);
    let debt = Debt { made_out: 4, in_ranges: 5, oldest: Some(at(0)), first: Some(0) };
    assert_eq!(ledger.debt(&desk()), debt);
    assert_eq!(ledger.to_open(&desk(), ROOM), None, "too little room to be worth a look");
    for handed in ledger.hand_out(&desk(), at(0), 2) {
        ledger.delivered(&desk(), &handed.id);
    }
    ledger.merge();
    let open = ledger.to_open(&desk(), ROOM).unwrap();
    assert_eq!(ledger.to_open(&desk(), Intake { closed: true, ..ROOM }), None);
    let found = || [4, 6, 7].map(raised).to_vec();
    ledger.open(&desk(), open, 8, found(), at(50), Intake { closed: true, ..ROOM });
    assert_eq!(ranges(&ledger), [range(4, 9, 5)], "disabled while it was read");
    ledger.open(&desk(), open, 8, found(), at(50), ROOM);
    assert_eq!(owed_ids(&ledger), ["alr_2-1", "alr_3-1", "alr_4-1", "alr_6-1"], "two had room");
    // The first that is left came in no sooner than the last that is not.
    let left = Range { since: Some(at(6)), ..range(7, 9, 2) };
    assert_eq!(ranges(&ledger), [left], "what had none stays owed, and is not more than there is");
    ledger.owe(&desk(), member(9), at(60), Intake { room: 100, ..ROOM });
    assert_eq!(ranges(&ledger), [Range { to: 10, count: 3, ..left }], "nobody overtakes the range");
    ledger.open(&desk(), left, 99, vec![(member(9), at(60))], at(60), Intake { room: 100, ..ROOM });
    assert_eq!(ranges(&ledger), []);
    assert_eq!(ledger.debt(&desk()).made_out, 5);
}

#[test]
fn a_disabled_endpoint_is_owed_a_range_that_grows_old() {
    let closed = Intake { closed: true, ..ROOM };
    let mut ledger = owing(3..6, closed);
    ledger.owe(&desk(), member(6), at(90), closed);
    assert_eq!(ranges(&ledger), [range(3, 7, 4)]);
    assert_eq!(ledger.debt(&desk()).oldest, Some(at(0)));
}

#[test]
fn room_is_counted_in_alerts_also_of_batches() {
    let intake = Intake { room: 4, ..GATHER };
    let mut ledger = owing(0..3, intake);
    ledger.gather(&desk(), at(0), BATCH);
    ledger.merge();
    let is_made_out = [3, 4, 5].map(|offset| ledger.owe(&desk(), member(offset), at(0), intake));
    assert_eq!(is_made_out, [true, false, false]);
    assert_eq!(ledger.debt(&desk()).made_out, 4);
    assert_eq!(ranges(&ledger), [range(4, 6, 2)]);
}

#[test]
fn what_gathers_goes_together_once_it_is_enough_or_the_first_has_waited() {
    let mut ledger = owing(0..7, GATHER);
    assert!(ledger.hand_out(&desk(), at(9_999), 9).is_empty(), "what gathers is not handed out");
    ledger.gather(&desk(), at(999), BATCH);
    ledger.merge();
    let batches = ledger.hand_out(&desk(), at(999), 9);
    let mut members: Vec<Vec<i64>> =
        batches.iter().map(|batch| batch.members.iter().map(|member| member.offset).collect()).collect();
    members.sort();
    assert_eq!(members, [[0, 1, 2], [3, 4, 5]]);
    assert!(batches.iter().all(|batch| batch.id.as_str().starts_with("bat_") && batch.since == at(0)));
    ledger.gather(&desk(), at(1_000), BATCH);
    ledger.merge();
    let last = ledger.hand_out(&desk(), at(1_000), 9);
    assert_eq!(last[0].members, [member(6)], "alone, and a batch");
    assert!(last[0].id.as_str().starts_with("bat_"));
    // The id says whose it is and what is in it, and nothing else.
    let id_of = |endpoint: &str, offsets: &[i64]| {
        let members: Vec<Member> = offsets.iter().copied().map(member).collect();
        book::batch_id(&endpoint.parse().unwrap(), &members)
    };
    assert_eq!(id_of("desk", &[6]), last[0].id);
    assert_ne!(id_of("other", &[6]), last[0].id);
    assert_ne!(id_of("desk", &[5, 6]), id_of("desk", &[6, 5]));
}

#[test]
fn a_batch_is_one_record_and_what_gathered_is_gone() {
    let mut topic = Topic::new();
    let mut ledger = begun();
    (0..2).for_each(|offset| assert!(ledger.owe(&desk(), member(offset), at(0), GATHER)));
    write(&mut topic, &ledger);
    ledger.merge();
    assert_eq!(topic.len(), 2);
    ledger.owe(&desk(), member(2), at(0), GATHER);
    ledger.gather(&desk(), at(0), BATCH);
    assert_eq!(ledger.changes().len(), 3, "the third never stood by itself");
    write(&mut topic, &ledger);
    assert_eq!(topic.len(), 1);
    ledger.discard();
    assert_eq!(owed_ids(&ledger), ["alr_0-1", "alr_1-1"]);
}

#[test]
fn an_endpoint_that_is_back_waits_for_nothing_and_keeps_its_place_in_the_schedule() {
    let mut ledger = owing(0..3, ROOM);
    ledger.hand_out(&desk(), at(0), 9);
    for offset in 0..3 {
        ledger.failed(&desk(), &member(offset).id, Some(at(90_000)), "connect", true);
    }
    ledger.merge();
    // One under way, one changed meanwhile, one that waits.
    assert_eq!(ids(&ledger.hand_out(&desk(), at(90_000), 1)), ["alr_0-1"]);
    ledger.replay(&desk(), member(1), at(95_000));
    let (records, changes) = (owed_ids(&ledger), ledger.changes());
    ledger.hasten(&desk(), at(5));
    assert_eq!((owed_ids(&ledger), ledger.changes()), (records, changes));
    assert_eq!(ledger.next_due(&desk()), Some(at(5)));
    ledger.discard();
    ledger.give_back(&desk(), &id("alr_0-1"));
    let handed = ledger.hand_out(&desk(), at(5), 9);
    assert_eq!(ids(&handed), ["alr_0-1", "alr_1-1", "alr_2-1"]);
    assert!(handed.iter().all(|handed| handed.early && handed.attempts == 1));
}

#[test]
fn what_fails_again_each_time_it_is_hastened_is_hastened_later_and_later() {
    let mut ledger = owing(0..1, ROOM);
    let (mut now, mut counted, mut asked) = (0, 0, Vec::new());
    // Something else is taken after each failure.
    while now < 40_000 {
        for handed in ledger.hand_out(&desk(), at(now), 9) {
            asked.push((now, handed.early));
            counted += i64::from(!handed.early);
            let due = at(if counted == 1 { 30_000 } else { 90_000 });
            ledger.failed(&desk(), &handed.id, Some(due), "500", !handed.early);
            ledger.hasten_one(&desk(), &handed.id, at(now));
            ledger.hasten(&desk(), at(now));
        }
        ledger.merge();
        now += 500;
    }
    let at_its_time: Vec<_> = asked.iter().filter(|(_, early)| !early).map(|(now, _)| *now).collect();
    assert_eq!(at_its_time, [0, 30_000]);
    let early: Vec<_> = asked.iter().filter(|(_, early)| *early).map(|(now, _)| *now).collect();
    assert_eq!(early, [500, 1_500, 3_500, 7_500, 15_500, 30_500, 31_500, 33_500, 37_500]);
}

#[test]
fn a_replay_begins_anew_and_never_runs_beside_an_attempt_that_is_under_way() {
    let mut ledger = owing(0..1, ROOM);
    let one = id("alr_0-1");
    ledger.hand_out(&desk(), at(0), 1);
    ledger.failed(&desk(), &one, Some(at(10)), "timeout", true);
    ledger.merge();
    ledger.hand_out(&desk(), at(10), 1);
    ledger.replay(&desk(), member(0), at(11));
    ledger.merge();
    assert_eq!(ledger.attempts(&desk(), &one), Some(0));
    assert!(ledger.hand_out(&desk(), at(99), 1).is_empty(), "the attempt before is not over");
    ledger.failed(&desk(), &one, Some(at(20)), "timeout", true);
    ledger.merge();
    let handed = ledger.hand_out(&desk(), at(20), 1);
    assert_eq!((handed[0].attempts, handed[0].since), (1, at(0)));
    // Of an alert that was delivered long ago too, but of nobody's.
    ledger.replay(&desk(), member(77), at(30));
    ledger.replay(&"other".parse().unwrap(), member(77), at(30));
    ledger.merge();
    assert_eq!(ids(&ledger.hand_out(&desk(), at(30), 1)), ["alr_77-1"]);
    assert!(!ledger.knows(&"other".parse().unwrap()));
}

#[test]
fn a_range_asked_for_is_opened_after_what_is_new_and_skips_what_is_owed_anyhow() {
    let mut ledger = owing(0..6, ROOM);
    ledger.replay_range(&desk(), 0, 3, at(0));
    ledger.replay_range(&desk(), 3, 3, at(0));
    ledger.merge();
    let roomy = Intake { room: 100, ..ROOM };
    assert_eq!(ledger.to_open(&desk(), roomy), Some(range(4, 6, 2)));
    ledger.open(&desk(), range(4, 6, 2), 6, [4, 5].map(raised).to_vec(), at(1), roomy);
    let asked = Range { since: Some(at(0)), ..Range::asked(0, 3) };
    assert_eq!(ledger.to_open(&desk(), roomy), Some(asked));
    ledger.failed(&desk(), &id("alr_1-1"), None, "redirect", true);
    ledger.open(&desk(), asked, 3, (0..3).map(raised).collect(), at(7), roomy);
    ledger.merge();
    assert_eq!(ledger.to_open(&desk(), roomy), None);
    let owed: Vec<_> = ledger.owed(&desk()).map(|(_, owed)| owed.since).collect();
    assert_eq!(owed, [0, 7, 0, 0, 1, 1].map(at), "what failed in the same transaction is asked for");
}

#[test]
fn ranges_are_joined_where_they_are_near_and_none_is_lost() {
    let mut ledger = begun();
    for n in 0..40 {
        // The gap before the last is the smallest.
        let from = if n == 39 { 38 * 100 + 11 } else { n * 100 };
        ledger.replay_range(&desk(), from, from + 10, at(from));
    }
    (5_000..5_005).for_each(|offset| {
        ledger.owe(&desk(), member(offset), at(0), Intake { closed: true, ..ROOM });
    });
    let ranges = ranges(&ledger);
    assert_eq!(ranges.len(), 32);
    assert_eq!(ranges[0], range(5_000, 5_005, 5), "what is new is never joined with what was asked for");
    for n in 0..39 {
        assert!(ranges.iter().any(|range| range.from <= n * 100 && n * 100 + 10 <= range.to));
    }
    assert!(ranges.iter().any(|range| range.to == 38 * 100 + 21 && range.count <= range.span()));
    ledger.replay_range(&desk(), 0, 4_000, at(9_000));
    let all = Range { since: Some(at(0)), ..Range::asked(0, 4_000) };
    assert_eq!(ledger.account(&desk()).unwrap().ranges[1], all, "as old as the oldest of them");
}

#[test]
fn an_endpoint_begins_where_it_is_told_to_and_may_go_and_come_back() {
    let mut ledger = Ledger::default();
    ledger.owe(&desk(), member(9), at(0), ROOM);
    assert!(!ledger.is_changed(), "nobody is told of it");
    ledger.begin(&desk(), 10, Some(7));
    assert_eq!(ranges(&ledger), [Range::asked(7, 10)]);
    ledger.owe(&desk(), member(9), at(0), ROOM);
    assert_eq!(ledger.debt(&desk()).made_out, 0, "it lies in the range");
    ledger.merge();
    for since in [None, Some(10), Some(11)] {
        let mut ledger = Ledger::default();
        ledger.begin(&desk(), 10, since);
        assert_eq!(ranges(&ledger), []);
    }
    assert_eq!(ledger.rejoin(&desk()), None);
    assert!(!ledger.is_changed());
    ledger.leave(&desk(), 12);
    ledger.merge();
    ledger.leave(&desk(), 15);
    assert!(!ledger.is_changed(), "it is gone since 12");
    ledger.owe(&desk(), member(12), at(0), ROOM);
    assert_eq!(ledger.debt(&desk()).made_out, 0);
    assert_eq!(ledger.rejoin(&desk()), Some(12));
    ledger.owe(&desk(), member(13), at(0), ROOM);
    assert_eq!(ledger.debt(&desk()), Debt { made_out: 1, in_ranges: 3, oldest: Some(at(0)), first: Some(7) });
    assert_eq!(ledger.endpoints().collect::<Vec<_>>(), [&desk()]);
}

#[test]
fn records_are_read_back_and_what_is_none_is_refused() {
    let mut ledger = Ledger::default();
    let taken = Taken { next: 7, control: 3, partitions: 6, topic_id: None };
    ledger.restore(b"taken/2", Some(&serde_json::to_vec(&taken).unwrap())).unwrap();
    assert_eq!(ledger.taken(), Some(&taken));
    ledger.restore(b"endpoint/desk", Some(br#"{"begun":3}"#)).unwrap();
    assert!(ledger.knows(&desk()));
    ledger.restore(b"endpoint/desk", None).unwrap();
    assert!(!ledger.knows(&desk()));
    let owed = br#"{"stage":"waiting","members":[{"offset":1,"id":"a-1"}],"attempts":2,"due":"2026-01-01T00:00:00Z","since":"2026-01-01T00:00:00Z"}"#;
    ledger.restore(b"owed/desk/a-1", Some(owed)).unwrap();
    assert_eq!(ledger.attempts(&desk(), &id("a-1")), Some(2));
    ledger.restore(b"owed/desk/a-1", None).unwrap();
    assert_eq!(ledger.attempts(&desk(), &id("a-1")), None);
    assert!(!ledger.is_changed());
    for key in [&b"other/x"[..], b"owed/desk", b"\xff"] {
        assert_eq!(ledger.restore(key, Some(b"{}")), Err(LedgerError::Key));
    }
    for key in ["taken/2", "endpoint/desk", "owed/desk/a-1"] {
        let error = ledger.restore(key.as_bytes(), Some(b"{}")).unwrap_err().to_string();
        assert!(error.starts_with(&format!("the record of {key} does not read: missing field")), "{error}");
    }
}

/// A thousand under way, and ten thousand that the open transaction touches, cost the next hand-out nothing: it looks at
/// what it takes. (With a scan past them this takes minutes.)
#[test]
fn handing_out_looks_at_nothing_that_it_does_not_take() {
    const ALL: i64 = 40_000;
    let roomy = Intake { room: 100_000, ..ROOM };
    let mut ledger = owing(0..ALL, roomy);
    let mut count = 0;
    while let [handed] = &ledger.hand_out(&desk(), at(0), 1)[..] {
        count += 1;
        if count % 2 == 0 {
            ledger.delivered(&desk(), &handed.id);
        }
    }
    assert_eq!(count, ALL);
}
