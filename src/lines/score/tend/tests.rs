use super::*;
use crate::exposure::set::{ExposureSet, SetWriter};

const DAY: i64 = 86_400_000;
const NOW: Timestamp = Timestamp(1_000 * DAY);

fn card(n: u8) -> Fingerprint {
    Fingerprint([n; 32])
}

/// A list with card 1 listed, card 2 withdrawn on day 800, card 3 listed in an incident that is held and closed.
fn list(writer: &mut SetWriter) {
    let revision = |number: u32, day: i64| {
        serde_json::json!({
            "number": number, "state": "done", "at": Timestamp(day * DAY), "by": "ana", "host": "h1",
            "details": {"name": "", "party": "", "time_zone": "UTC", "elements": [],
                "exposure": {"from": "1970-01-01", "until": "1970-01-02"}, "watch": {"from": null, "until": null}},
        })
    };
    let mark = serde_json::json!({"at": Timestamp(810 * DAY), "by": "ana", "host": "h1"});
    let incident = |id: &str, state: &str, holds: serde_json::Value| {
        let mut record = serde_json::json!({
            "schema": "cardwatch.incident/1", "id": id, "state": state, "holds": holds,
            "revisions": [revision(1, 700), revision(2, 800)],
        });
        if state == "closed" {
            record["closed"] = mark.clone();
        }
        record.to_string().into_bytes()
    };
    let mut held = mark.clone();
    held["why"] = "case 7".into();
    for (offset, (key, value)) in [
        (format!("card/k1/{}/shop", card(1)), br#"{"events":[1]}"#.to_vec()),
        (format!("card/k1/{}/shop", card(2)), br#"{"events":[1,-2]}"#.to_vec()),
        (format!("card/k1/{}/case", card(3)), br#"{"events":[1]}"#.to_vec()),
        ("incident/shop".to_owned(), incident("shop", "open", serde_json::json!([]))),
        ("incident/case".to_owned(), incident("case", "closed", serde_json::json!([held]))),
    ]
    .into_iter()
    .enumerate()
    {
        writer.apply(offset as i64, key.as_bytes(), Some(&value)).unwrap();
    }
    writer.publish();
}

fn known(written_day: i64, names: &[u8]) -> Known {
    let others = names.iter().map(|name| card(*name)).collect();
    Known { written: Timestamp(written_day * DAY), names: super::super::Names { others }, ..Known::default() }
}

struct Bench {
    exposed: Arc<Exposed>,
    writer: SetWriter,
    tender: Tender,
    cards: HashMap<i32, HashMap<Fingerprint, Known>>,
    start: Instant,
}

impl Bench {
    fn new(cards: &[(u8, Known)]) -> Bench {
        let (set, writer) = ExposureSet::new(&[]);
        let exposed = Arc::new(Exposed::new(set));
        let rules = Forgetting {
            retention: Retention { withdrawn_ms: 90 * DAY, ended_ms: DAY },
            max_idle_ms: 400 * DAY,
            every: Duration::from_secs(3_600),
        };
        let mut tender = Tender::new(Arc::clone(&exposed), rules);
        let start = crate::clock::Clock::instant(&crate::clock::SystemClock);
        tender.take(0, None, true, start);
        let cards = cards.iter().map(|(n, known)| (card(*n), known.clone())).collect();
        Bench { exposed, writer, tender, cards: HashMap::from([(0, cards)]), start }
    }

    fn turn(&mut self, after: u64) -> Option<Forgotten> {
        let clock = (self.start + Duration::from_secs(after), NOW);
        let mut forgotten = self.tender.turn(&self.cards, clock)?;
        forgotten.cards.sort();
        forgotten.idle.sort();
        Some(forgotten)
    }
}

#[test]
fn what_nothing_keeps_is_forgotten_and_what_was_idle_for_long() {
    let mut bench = Bench::new(&[
        (1, known(999, &[])),
        (2, known(700, &[])),
        (3, known(500, &[])),
        (4, known(999, &[])),
        // Listed under another key: by its other name.
        (5, known(999, &[1])),
        (6, known(599, &[1])),
        // Idle for 400 days to the day, and for one less.
        (7, known(600, &[1])),
        (8, known(601, &[1])),
    ]);
    list(&mut bench.writer);
    assert_eq!(bench.turn(0), None, "a pass begins");
    assert_eq!(bench.turn(1), None, "the list was not confirmed since");
    bench.exposed.confirm(bench.start + Duration::from_secs(2));
    let forgotten = bench.turn(3).unwrap();
    // 2 was withdrawn 200 days ago, 4 is on no list, 6 was not seen for 401 days; 3 is held, idle as it is.
    assert_eq!(forgotten.cards, [card(2), card(4)]);
    assert_eq!(forgotten.idle, [card(6), card(7)]);
    assert_eq!(bench.tender.note(0), Some(Tended { frontier: 4, at: NOW }));
    assert_eq!(bench.tender.merge(), Some((0, Tended { frontier: 4, at: NOW })));
    assert_eq!(bench.turn(4), None);
    assert!(bench.tender.pass.is_none(), "nothing has changed since");
    bench.turn(3 + 3_600);
    assert!(bench.tender.pass.is_some(), "an hour later it is gone over again");
}

#[test]
fn what_is_left_of_an_idle_history_stays_until_its_card_goes() {
    let mut history = crate::scoring::history::History::default();
    let sighting = crate::scoring::fixtures::sighting(1, 0, 500);
    history.count_judgement(&sighting);
    history.enter(&sighting, crate::scoring::history::event_of(&sighting), false, false);
    let with =
        |history: &crate::scoring::history::History| Known { history: history.clone(), ..known(500, &[]) };
    let mut bench = Bench::new(&[(1, with(&history)), (2, with(&history.bare()))]);
    let both = |bench: &mut Bench, at: u64| {
        bench.turn(at);
        bench.exposed.confirm(bench.start + Duration::from_secs(at + 1));
        let forgotten = bench.turn(at + 2).unwrap();
        bench.tender.merge();
        (forgotten.cards, forgotten.idle)
    };
    list(&mut bench.writer);
    assert_eq!(both(&mut bench, 0), (vec![card(2)], vec![card(1)]));
    bench.cards.get_mut(&0).unwrap().insert(card(1), with(&history.bare()));
    assert_eq!(both(&mut bench, 9_000), (vec![card(2)], vec![]), "once is enough");
}

#[test]
fn a_list_that_lags_behind_or_is_empty_forgets_nothing() {
    let mut bench = Bench::new(&[(1, known(999, &[])), (4, known(999, &[]))]);
    // An empty list, confirmed: it may be lost, or not there yet.
    bench.turn(0);
    bench.exposed.confirm(bench.start + Duration::from_secs(1));
    assert_eq!(bench.turn(2), Some(Forgotten::default()));
    // A list that was confirmed before the pass began may not know of a card that was judged since.
    list(&mut bench.writer);
    assert_eq!(bench.turn(4), None);
    assert_eq!(bench.turn(5), None);
    // A card that is judged during the pass is left, and so is the note that all are gone.
    bench.tender.judged(0, card(4));
    bench.exposed.confirm(bench.start + Duration::from_secs(6));
    bench.tender.merge();
    assert_eq!(bench.turn(7), Some(Forgotten::default()));
    assert_eq!(bench.tender.note(0), None);
    // The next pass finds it.
    bench.turn(9);
    bench.exposed.confirm(bench.start + Duration::from_secs(10));
    assert_eq!(bench.turn(11).unwrap().cards, [card(4)]);
}

#[test]
fn an_aborted_transaction_is_proposed_again() {
    let mut bench = Bench::new(&[(4, known(999, &[]))]);
    list(&mut bench.writer);
    bench.turn(0);
    bench.exposed.confirm(bench.start + Duration::from_secs(1));
    assert_eq!(bench.turn(2).unwrap().cards, [card(4)]);
    bench.tender.discard();
    assert_eq!((bench.tender.note(0), bench.tender.merge()), (None, None));
    bench.turn(4);
    bench.exposed.confirm(bench.start + Duration::from_secs(5));
    assert_eq!(bench.turn(6).unwrap().cards, [card(4)]);
    // A partition that is given up takes its pass along.
    bench.tender.release(0);
    assert_eq!((bench.tender.note(0), bench.turn(9_999)), (None, None));
}

#[test]
fn a_long_pass_goes_by_parts_and_notes_only_at_its_end() {
    let mut bench = Bench::new(&[]);
    let many = (0..FORGOTTEN_MAX + 1).map(|n| {
        let mut print = [9; 32];
        print[..8].copy_from_slice(&n.to_be_bytes());
        (Fingerprint(print), known(999, &[]))
    });
    bench.cards.insert(0, many.collect());
    list(&mut bench.writer);
    bench.turn(0);
    bench.exposed.confirm(bench.start + Duration::from_secs(1));
    let first = bench.turn(2).unwrap().cards;
    assert_eq!((first.len(), bench.tender.note(0)), (FORGOTTEN_MAX, None));
    let last = bench.turn(3).unwrap().cards;
    assert!(last.len() == 1 && !first.contains(&last[0]));
    assert_eq!(bench.tender.note(0), Some(Tended { frontier: 4, at: NOW }));
}
