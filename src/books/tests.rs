//! Claims about the books, beside a naive model that keeps every transaction and every decision.

use std::collections::BTreeSet;

use proptest::prelude::*;

use super::*;
use crate::domain::incident::{Details, Element, Period, WatchPeriod};
use crate::domain::vocabulary::{Kind, Outcome};
use crate::exposure::record::{Counts, Mark};
use crate::exposure::revision::Finish;
use crate::scoring::fixtures::{DAY, START, incident, sighting_with};
use crate::scoring::history::{Money as Sum, event_of};

const CARDS: usize = 7;
const INCIDENTS: usize = 3;

fn id(n: usize) -> IncidentId {
    format!("incident-{n}").parse().unwrap()
}

fn card(n: usize) -> Fingerprint {
    Fingerprint([n as u8; 32])
}

fn mark() -> Mark {
    Mark { at: Timestamp(START), by: "ana".to_owned(), host: "h".to_owned() }
}

fn details() -> Details {
    Details {
        name: "Shop".to_owned(),
        party: "Shop KK".to_owned(),
        time_zone: "Asia/Tokyo".to_owned(),
        exposure: Period { from: "2018-01-01".parse().unwrap(), until: "2018-02-01".parse().unwrap() },
        watch: WatchPeriod { from: None, until: None },
        elements: vec![Element::Pan],
    }
}

/// What a revision adds and withdraws, and whether it is undone in the end.
type Change = (BTreeSet<usize>, BTreeSet<usize>, bool);
/// A card, its incidents, days after the start, yen, declined, alerted.
type Use = (usize, BTreeSet<usize>, i64, i64, bool, bool);
/// A card, its incidents, yen, declined, what was found.
type Found = (usize, BTreeSet<usize>, i64, bool, Finding);

fn changes() -> impl Strategy<Value = Vec<Change>> {
    let cards = || prop::collection::btree_set(0..CARDS, 0..4);
    prop::collection::vec((cards(), cards(), any::<bool>()), 0..5)
}

fn uses() -> impl Strategy<Value = Vec<Use>> {
    let one =
        (0..CARDS, some_incidents(), 0..60_i64, 1..90_000_i64, any::<bool>(), prop::bool::weighted(0.3));
    prop::collection::vec(one, 0..40)
}

fn found() -> impl Strategy<Value = Vec<Found>> {
    let finding = prop_oneof![Just(Finding::Fraud), Just(Finding::Genuine), Just(Finding::Unknown)];
    prop::collection::vec((0..CARDS, some_incidents(), 1..90_000_i64, any::<bool>(), finding), 0..12)
}

fn some_incidents() -> impl Strategy<Value = BTreeSet<usize>> {
    prop::collection::btree_set(0..INCIDENTS, 1..=INCIDENTS)
}

/// Writes an incident's revisions into the ledger and returns where each card stands, by the naive model.
fn write_list(ledger: &mut Ledger, n: usize, changes: &[Change]) -> BTreeMap<usize, Standing> {
    let mut record = IncidentRecord::new(id(n));
    let mut events: BTreeMap<usize, Vec<i32>> = BTreeMap::new();
    for (add, withdraw, _) in changes {
        let number = record.claim(details(), mark()).unwrap();
        let signed = number as i32;
        let listed = |events: &BTreeMap<usize, Vec<i32>>, card: &usize| {
            events.get(card).is_some_and(|events| record.lists(events))
        };
        let added: Vec<usize> = add.iter().filter(|card| !listed(&events, card)).copied().collect();
        let gone: Vec<usize> =
            withdraw.difference(add).filter(|card| listed(&events, card)).copied().collect();
        added.iter().for_each(|card| events.entry(*card).or_default().push(signed));
        gone.iter().for_each(|card| events.entry(*card).or_default().push(-signed));
        let counts = Counts { withdrawn: gone.len() as u64, ..Counts::default() };
        record.finish(number, Finish { counts, ..Finish::default() }).unwrap();
    }
    for (number, _) in (1..).zip(changes).filter(|(_, change)| change.2) {
        record.undo(number, mark()).unwrap();
    }
    let mut standings = BTreeMap::new();
    for (number, events) in &events {
        let kept = events.iter().rev().find(|event| !changes[event.unsigned_abs() as usize - 1].2);
        let standing = match kept {
            Some(event) if *event > 0 => Standing::Listed,
            Some(_) => Standing::Withdrawn,
            None => Standing::Other,
        };
        standings.insert(*number, standing);
    }
    for (number, events) in events {
        ledger.card(&id(n), card(number), Some(events));
    }
    ledger.incident(&id(n), Some(record));
    standings
}

fn write_uses(ledger: &mut Ledger, uses: &[Use]) {
    let mut histories: BTreeMap<usize, History> = BTreeMap::new();
    for (number, (card, incidents, days, yen, declined, alerted)) in (0..).zip(uses) {
        let mut sighting = sighting_with(number, START + days * DAY, *yen, |transaction| {
            transaction.kind = Kind::Authorization;
            transaction.outcome = if *declined { Outcome::Declined } else { Outcome::Approved };
        });
        sighting.incidents = incidents.iter().map(|n| incident(id(*n).as_str())).collect();
        let history = histories.entry(*card).or_default();
        history.enter(&sighting, event_of(&sighting), false, *alerted);
        history.absorb(event_of(&sighting));
        // Every version of the record is read where the topic was not compacted yet.
        ledger.history(super::tests::card(*card), Some(history));
    }
}

fn write_found(ledger: &mut Ledger, found: &[Found]) {
    for (number, (card, incidents, yen, declined, finding)) in found.iter().enumerate() {
        let decided = Decided {
            finding: *finding,
            fingerprint: super::tests::card(*card),
            incidents: incidents.iter().map(|n| id(*n)).collect(),
            money: Some(Money { minor: *yen, currency: "JPY".parse().unwrap() }),
            declined: *declined,
            used_at: None,
        };
        ledger.outcome(&format!("alr_{number}"), Some(decided));
    }
}

fn sum(amounts: impl Iterator<Item = i64>) -> Sum {
    let amounts: Vec<u64> = amounts.map(i64::unsigned_abs).collect();
    Sum { count: amounts.len() as u64, sum: amounts.iter().sum() }
}

/// The tally of one standing by the naive model.
fn naive(
    standings: &BTreeMap<usize, Standing>,
    standing: Standing,
    n: usize,
    uses: &[Use],
    found: &[Found],
) -> Tally {
    let stands = |card: &usize| standings.get(card).copied().unwrap_or(Standing::Other) == standing;
    let uses: Vec<&Use> = uses.iter().filter(|one| stands(&one.0) && one.1.contains(&n)).collect();
    let found: Vec<&Found> = found.iter().filter(|one| stands(&one.0) && one.1.contains(&n)).collect();
    let cards = |cards: &mut dyn Iterator<Item = usize>| cards.collect::<BTreeSet<usize>>().len() as u64;
    let seen = cards(&mut uses.iter().map(|one| one.0));
    let on_list = standings.values().filter(|own| **own == standing).count() as u64;
    let verdict = |finding| found.iter().filter(|one| one.4 == finding).count() as u64;
    let is_fraud = |one: &&&Found| one.4 == Finding::Fraud;
    let flow = crate::scoring::history::Flow {
        approved: sum(uses.iter().filter(|one| !one.4).map(|one| one.3)),
        declined: sum(uses.iter().filter(|one| one.4).map(|one| one.3)),
        alerted_approved: sum(uses.iter().filter(|one| !one.4 && one.5).map(|one| one.3)),
        alerted_declined: sum(uses.iter().filter(|one| one.4 && one.5).map(|one| one.3)),
    };
    let money = MoneyBook {
        flow,
        confirmed_approved: sum(found.iter().filter(is_fraud).filter(|one| !one.3).map(|one| one.2)),
        confirmed_declined: sum(found.iter().filter(is_fraud).filter(|one| one.3).map(|one| one.2)),
    };
    let time = |days: Option<i64>| days.map(|days| Timestamp(START + days * DAY));
    Tally {
        cards: if standing == Standing::Other { seen } else { on_list },
        seen,
        suspected: cards(&mut uses.iter().filter(|one| one.5).map(|one| one.0)),
        confirmed: cards(&mut found.iter().filter(is_fraud).map(|one| one.0)),
        sightings: uses.len() as u64,
        purchases: flow.approved.count,
        declined: flow.declined.count,
        alerts: uses.iter().filter(|one| one.5).count() as u64,
        verdicts: Verdicts {
            fraud: verdict(Finding::Fraud),
            genuine: verdict(Finding::Genuine),
            unknown: verdict(Finding::Unknown),
        },
        money: Some(("JPY".parse().unwrap(), money))
            .filter(|(_, money)| *money != MoneyBook::default())
            .into_iter()
            .collect(),
        first: time(uses.iter().map(|one| one.2).min()),
        last: time(uses.iter().map(|one| one.2).max()),
        ..Tally::default()
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    #[test]
    fn the_books_are_what_a_naive_count_of_everything_gives(
        lists in prop::collection::vec(changes(), INCIDENTS), uses in uses(), found in found(),
    ) {
        let mut ledger = Ledger::default();
        let standings: Vec<_> =
            lists.iter().enumerate().map(|(n, changes)| write_list(&mut ledger, n, changes)).collect();
        write_uses(&mut ledger, &uses);
        write_found(&mut ledger, &found);
        let books = ledger.books();
        for (n, standings) in standings.iter().enumerate() {
            let book = &books[&id(n)];
            prop_assert_eq!(&ledger.book(&id(n)).unwrap(), book);
            for (standing, tally) in
                [(Standing::Listed, &book.listed), (Standing::Withdrawn, &book.withdrawn), (Standing::Other, &book.other)]
            {
                prop_assert_eq!(tally, &naive(standings, standing, n, &uses, &found), "{:?}", standing);
                prop_assert_eq!(tally.never_seen() + tally.seen, tally.cards);
            }
            let total = book.total();
            prop_assert_eq!(book.weeks.values().map(|week| week.seen).sum::<u64>(), total.seen);
            prop_assert_eq!(book.weeks.values().map(|week| week.suspected).sum::<u64>(), total.suspected);
        }
    }
}

/// An incident with two revisions that are done.
fn revised_twice() -> IncidentRecord {
    let mut record = IncidentRecord::new(id(0));
    for _ in 0..2 {
        let number = record.claim(details(), mark()).unwrap();
        record.finish(number, Finish::default()).unwrap();
    }
    record
}

#[test]
fn a_card_that_moved_to_another_key_is_one_card_on_the_list_and_none_withdrawn() {
    let mut ledger = Ledger::default();
    ledger.incident(&id(0), Some(revised_twice()));
    ledger.card(&id(0), card(1), Some(vec![1, -2]));
    ledger.card(&id(0), card(2), Some(vec![1]));
    write_uses(&mut ledger, &[(1, [0].into(), 0, 500, false, false)]);
    let book = ledger.book(&id(0)).unwrap();
    assert_eq!((book.listed.cards, book.withdrawn.cards, book.other.cards), (1, 0, 1));
    assert_eq!((book.listed.never_seen(), book.other.seen), (1, 1));
}

#[test]
fn a_card_with_two_histories_counts_once_under_its_incident() {
    let mut ledger = Ledger::default();
    ledger.incident(&id(0), Some(revised_twice()));
    // Card 1 is card 2 under the key before, card 3 the same before that; card 4 is another.
    ledger.card(&id(0), card(1), Some(vec![1, -2]));
    ledger.card(&id(0), card(2), Some(vec![1]));
    ledger.card(&id(0), card(4), Some(vec![1]));
    let used = [1, 2, 3, 4].map(|n| (n, [0].into(), n as i64, 500, false, n < 3));
    write_uses(&mut ledger, &used);
    let fraud = |n| (n, [0].into(), 500, false, Finding::Fraud);
    write_found(&mut ledger, &[fraud(1), fraud(2)]);
    ledger.names(card(1), Some(vec![card(2)]));
    ledger.names(card(3), Some(vec![card(1)]));
    let book = ledger.book(&id(0)).unwrap();
    let Tally { cards, seen, suspected, confirmed, sightings, alerts, .. } = book.listed;
    assert_eq!((cards, seen, suspected, confirmed, sightings, alerts), (2, 2, 1, 1, 4, 2));
    assert_eq!((&book.other, book.listed.never_seen()), (&Tally::default(), 0));
    assert_eq!(book.weeks.values().map(|week| week.seen).sum::<u64>(), 2);
    // What nobody tells any more stands for itself again.
    ledger.names(card(1), None);
    ledger.names(card(3), None);
    assert_eq!(ledger.book(&id(0)).unwrap().other.seen, 2);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn what_is_deleted_stays_in_the_totals(
        uses in uses(), found in found(), gone in prop::collection::btree_set(0..CARDS, 0..CARDS),
    ) {
        let mut ledger = Ledger::default();
        (0..INCIDENTS).for_each(|n| ledger.incident(&id(n), Some(IncidentRecord::new(id(n)))));
        write_uses(&mut ledger, &uses);
        write_found(&mut ledger, &found);
        let before = ledger.books();
        let mut departed: BTreeMap<IncidentHash, Departed> = BTreeMap::new();
        for card in gone.iter().map(|n| card(*n)) {
            for (incident, account) in &ledger.histories.get(&card).cloned().unwrap_or_default().accounts {
                let day = |at: Option<Timestamp>| week(at?, &TimeZone::UTC);
                let (first, alerted) = (day(account.first()), day(account.first_alerted()));
                departed.entry(*incident).or_default().fold(account, first, alerted);
            }
            ledger.history(card, None);
        }
        for (incident, departed) in departed {
            let read = Departed::decode(&departed.encode()).unwrap();
            ledger.departed(7, incident, Some(read));
        }
        let names = |outcome: &Decided| gone.iter().any(|n| card(*n) == outcome.fingerprint);
        let mut removed = Removed::default();
        removed.fold(ledger.outcomes.values().filter(|outcome| names(outcome)));
        ledger.outcomes.retain(|_, outcome| !names(outcome));
        ledger.removed(&Removed::key(None), Some(Removed::from_json(&removed.to_json().unwrap()).unwrap()));
        let after = ledger.books();
        for (id, book) in &before {
            let comparable = |book: &Book| Tally { cards: 0, ..book.total() };
            prop_assert_eq!(comparable(book), comparable(&after[id]));
            prop_assert_eq!(&book.weeks, &after[id].weeks);
        }
    }
}

#[test]
fn removed_cards_stay_on_the_books_and_moved_names_are_no_cards() {
    let mut ledger = Ledger::default();
    write_list(
        &mut ledger,
        0,
        &[([0, 1, 2, 3].into(), BTreeSet::new(), false), (BTreeSet::new(), [0, 1].into(), false)],
    );
    let mut record = ledger.record(&id(0)).unwrap().clone();
    // Card 0 was withdrawn, a fifth name moved with the same revision; card 2 is forgotten.
    record.note_removal(
        [[1, -2].as_slice(), &[1, -2]],
        crate::exposure::retention::Reason::Withdrawn,
        &mark(),
    );
    record.note_removal([[1].as_slice()], crate::exposure::retention::Reason::Forgotten, &mark());
    ledger.card(&id(0), card(0), None);
    ledger.card(&id(0), card(2), None);
    ledger.incident(&id(0), Some(record));
    let book = ledger.book(&id(0)).unwrap();
    assert_eq!((book.listed.cards, book.withdrawn.cards, book.departed.cards), (1, 1, 2));
    assert_eq!(book.total().cards, 4);
    // A card whose history outlives its record in this incident, for another one keeps it.
    write_uses(&mut ledger, &[(2, [0, 1].into(), 0, 500, false, false)]);
    let book = ledger.book(&id(0)).unwrap();
    assert_eq!((book.departed.cards, book.departed.seen, book.departed.never_seen()), (2, 1, 1));
}

#[test]
fn a_record_of_removed_outcomes_is_told_by_its_key_and_its_schema() {
    for (key, is) in [
        ("cardwatch/removed", true),
        ("cardwatch/removed/shop", true),
        ("cardwatch/removedx", false),
        ("cardwatch/none", false),
        ("alr_a", false),
    ] {
        assert_eq!(Removed::is_key(key.as_bytes()), is, "{key}");
    }
    assert_eq!(Removed::key(Some(&id(1))), "cardwatch/removed/incident-1");
    let json = String::from_utf8(Removed::default().to_json().unwrap()).unwrap();
    assert!(Removed::from_json(json.replace("/1", "/2").as_bytes()).is_err());
}

#[test]
fn a_closed_incident_keeps_its_books() {
    let mut ledger = Ledger::default();
    write_list(&mut ledger, 0, &[([1, 2].into(), BTreeSet::new(), false)]);
    write_uses(&mut ledger, &[(1, [0].into(), 0, 500, false, true)]);
    let open = ledger.book(&id(0)).unwrap();
    let mut record = ledger.record(&id(0)).unwrap().clone();
    record.close(mark()).unwrap();
    ledger.incident(&id(0), Some(record));
    assert_eq!(ledger.book(&id(0)), Some(open));
}

#[test]
fn what_nobody_knows_of_a_card_is_neither_seen_nor_never_seen() {
    let mut ledger = Ledger::default();
    write_list(&mut ledger, 0, &[([1, 2].into(), BTreeSet::new(), false)]);
    let mut crowded = History::default();
    let mut sighting = sighting_with(1, START, 5, |_| {});
    sighting.incidents = (10..40).map(|n| incident(id(n).as_str())).collect();
    crowded.enter(&sighting, event_of(&sighting), false, false);
    ledger.history(card(1), Some(&crowded));
    // Not on this list: of no interest to this book.
    ledger.history(card(3), Some(&crowded));
    let listed = ledger.book(&id(0)).unwrap().listed;
    assert_eq!((listed.cards, listed.seen, listed.untold, listed.never_seen()), (2, 0, 1, 1));
}

#[test]
fn tombstones_take_away_what_they_name() {
    let mut ledger = Ledger::default();
    write_list(&mut ledger, 0, &[([1, 2].into(), BTreeSet::new(), false)]);
    write_uses(&mut ledger, &[(1, [0].into(), 0, 500, false, true)]);
    write_found(&mut ledger, &[(1, [0].into(), 500, false, Finding::Fraud)]);
    ledger.outcome("alr_0", None);
    ledger.history(card(1), None);
    ledger.card(&id(0), card(2), None);
    let book = ledger.book(&id(0)).unwrap();
    assert_eq!(book.total(), Tally { cards: 1, ..Tally::default() });
    ledger.incident(&id(0), None);
    assert_eq!(ledger.book(&id(0)), None);
}

#[test]
fn weeks_begin_on_monday_in_the_incidents_zone() {
    // Noon of Monday, 4 June 2018 in UTC; Sunday, 15:00 UTC is Monday in Tokyo.
    let mut ledger = Ledger::default();
    write_list(&mut ledger, 0, &[([1, 2].into(), BTreeSet::new(), false)]);
    write_uses(&mut ledger, &[(1, [0].into(), 6, 500, false, false), (2, [0].into(), 0, 500, false, true)]);
    let weeks = ledger.book(&id(0)).unwrap().weeks;
    let week = |text: &str| weeks[&text.parse::<jiff::civil::Date>().unwrap()];
    assert_eq!(week("2018-06-04"), Week { seen: 2, suspected: 1 });
    assert_eq!(monday_of(START + 6 * DAY + 3 * 3_600_000), "2018-06-11");
}

fn monday_of(millis: i64) -> String {
    let zone = jiff::tz::TimeZone::get("Asia/Tokyo").unwrap();
    book::monday(Timestamp(millis), &zone).unwrap().to_string()
}
