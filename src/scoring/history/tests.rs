//! Claims about histories, most of them beside a naive model that keeps every event for ever.

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::windows::Windows;
use super::*;
use crate::domain::vocabulary::{Kind, Outcome};
use crate::scoring::fixtures::{DAY, HOUR, MINUTE, START, sighting, sighting_with};

fn history_of<'s>(sightings: impl IntoIterator<Item = &'s Sighting>) -> History {
    let mut history = History::default();
    for sighting in sightings {
        history.count_judgement(sighting);
        history.absorb(event_of(sighting));
    }
    history
}

/// What a use is made of: time, yen, merchant, category, country, kind and outcome.
type Row = (i64, i64, u32, u32, usize, (Kind, Outcome));

/// A card's life: several weeks, so that much of it settles; few merchants, or more than are remembered.
fn life() -> impl Strategy<Value = Vec<Sighting>> {
    let kinds = prop_oneof![
        6 => Just((Kind::Authorization, Outcome::Approved)),
        1 => Just((Kind::Authorization, Outcome::Declined)),
        2 => Just((Kind::Clearing, Outcome::Approved)),
        1 => Just((Kind::Refund, Outcome::Unknown)),
        1 => Just((Kind::AccountCheck, Outcome::Approved)),
        2 => Just((Kind::Unknown, Outcome::Unknown)),
    ];
    let one = (0..60 * DAY, 0..90_000_i64, 0..600_u32, 0..400_u32, 0..3_usize, kinds);
    // Half of the lives are crowded into few days, so that the newest 128 are not the whole week.
    (prop::collection::vec(one, 0..500), prop_oneof![Just(1), Just(12)]).prop_map(|(rows, squeeze)| {
        let build = |(number, row): (i64, Row)| {
            let (at, yen, merchant, mcc, country, (kind, outcome)) = row;
            sighting_with(number, START + at / squeeze, yen, |transaction| {
                transaction.merchant.id = Some(format!("M{merchant}"));
                transaction.merchant.mcc = Some(format!("{:04}", 5000 + mcc));
                transaction.merchant.country = Some(["JP", "US", "DE"][country].to_owned());
                (transaction.kind, transaction.outcome) = (kind, outcome);
            })
        };
        (0..).zip(rows).map(build).collect()
    })
}

/// The naive model: with every event at hand, sort, keep the newest, fold the rest in time order.
fn naive(sightings: &[Sighting]) -> History {
    let mut events: Vec<Event> = sightings.iter().map(event_of).collect();
    events.sort_by_key(Event::order);
    let newest = events.last().map_or(0, |event| event.at);
    let first = events.iter().position(|event| event.at >= newest - RECENT_MS).unwrap_or(0);
    let first = first.max(events.len().saturating_sub(RECENT_MAX));
    let recent = events.split_off(first);
    let mut settled = Totals::default();
    let mut merchants = BTreeMap::new();
    for event in &events {
        settled.add(&Event { merchant: None, ..*event });
        if let Some(merchant) = event.merchant.filter(|_| event.role.is_purchase()) {
            let day = merchants.entry(merchant).or_insert(0);
            *day = totals::day_of(event.at).max(*day);
        }
    }
    let mut by_day: Vec<_> = merchants.into_iter().map(|(merchant, day)| (day, merchant)).collect();
    by_day.sort_unstable();
    let forgotten = by_day.len().saturating_sub(totals::MERCHANTS_MAX);
    settled.set_merchants(by_day.split_off(forgotten));
    let purchases = events.iter().chain(&recent).filter(|event| event.role.is_purchase());
    History {
        judgements: sightings.len() as u64,
        last: sightings.last().map(SightingRef::of),
        since: purchases.map(|event| event.at).min(),
        recent,
        settled,
        accounts: Accounts::default(),
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn the_order_of_arrival_leaves_no_trace(life in life(), seed in any::<u64>()) {
        let mut shuffled = life.clone();
        // An order by hash is as good as random, and shrinks well.
        shuffled.sort_by_key(|sighting| event::hash64(format!("{seed}{}", sighting.id).as_bytes()));
        let (there, mut back) = (history_of(&life), history_of(&shuffled));
        prop_assert_eq!(&there, &naive(&life));
        back.last = there.last;
        prop_assert_eq!(there.encode(), back.encode());
    }

    #[test]
    fn a_history_survives_its_bytes(life in life()) {
        let history = history_of(&life);
        prop_assert_eq!(History::decode(&history.encode()), Ok(history));
    }

    #[test]
    fn damaged_bytes_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        let mut versioned = vec![ENCODING];
        versioned.extend(&bytes);
        let _ = History::decode(&bytes);
        let _ = History::decode(&versioned);
        versioned[0] = ENCODING_1;
        let _ = History::decode(&versioned);
    }

    #[test]
    fn a_window_is_the_fullest_that_the_sighting_falls_into(
        others in prop::collection::vec(0..5 * HOUR, 0..40), at in 0..5 * HOUR, length in 1..2 * HOUR,
    ) {
        let mut history = History::default();
        for (number, other) in (1..).zip(&others) {
            history.absorb(event_of(&sighting(number, START + other, 100)));
        }
        let own = event_of(&sighting(0, START + at, 100));
        // Every end of a window from the sighting on, millisecond ends being those of known events.
        let ends = others.iter().copied().filter(|end| (at..at + length).contains(end)).chain([at]);
        let full = |end: i64| 1 + others.iter().filter(|&&time| end - length < time && time <= end).count();
        let fullest = ends.map(full).max().unwrap();
        prop_assert_eq!(Windows::around(&history, &own).count(length, |_| true), fullest as i64);
    }
}

#[test]
fn the_same_transaction_within_72_hours_is_a_duplicate() {
    let first = sighting(1, START, 100);
    let history = history_of([&first]);
    let again = |hours: i64, kind: Kind, id: Option<&str>| {
        let sighting = sighting_with(2, START + hours * HOUR, 100, |transaction| {
            transaction.kind = kind;
            transaction.id = id.map(str::to_owned);
        });
        history.duplicate_of(&event_of(&sighting))
    };
    assert_eq!(again(0, Kind::Unknown, Some("t-1")), Some(first.id.clone()));
    assert_eq!(again(72, Kind::Unknown, Some("t-1")), Some(first.id.clone()));
    assert_eq!(again(-72, Kind::Unknown, Some("t-1")), Some(first.id.clone()));
    assert_eq!(again(73, Kind::Unknown, Some("t-1")), None);
    assert_eq!(again(0, Kind::Clearing, Some("t-1")), None);
    assert_eq!(again(0, Kind::Unknown, Some("t-2")), None);
    assert_eq!(again(0, Kind::Unknown, None), None);
}

#[test]
fn times_are_cut_to_five_minutes_after_the_sighting_and_missing_ones_taken_from_the_record() {
    let at = |change: fn(&mut crate::domain::transaction::Transaction)| {
        event_of(&sighting_with(1, START, 1, change)).at - START
    };
    assert_eq!(at(|transaction| transaction.at = Some(Timestamp(START + DAY))), 5 * MINUTE);
    assert_eq!(at(|transaction| transaction.at = Some(Timestamp(START - DAY))), -DAY);
    assert_eq!(at(|transaction| transaction.at = None), 0);
}

#[test]
fn what_a_transaction_means_follows_from_kind_outcome_and_amount() {
    for (kind, outcome, yen, role) in [
        (Kind::Unknown, Outcome::Unknown, 1, Role::Use),
        (Kind::Authorization, Outcome::Approved, 1, Role::Use),
        (Kind::Authorization, Outcome::Declined, 1, Role::Declined),
        (Kind::Authorization, Outcome::Approved, 0, Role::Check),
        (Kind::AccountCheck, Outcome::Declined, 5, Role::Check),
        (Kind::Clearing, Outcome::Unknown, 5, Role::Settlement),
        (Kind::Clearing, Outcome::Unknown, -5, Role::Return),
        (Kind::Unknown, Outcome::Unknown, -5, Role::Return),
        (Kind::Refund, Outcome::Approved, 5, Role::Return),
        (Kind::Reversal, Outcome::Approved, 5, Role::Return),
    ] {
        let sighting = sighting_with(1, START, yen, |transaction| {
            (transaction.kind, transaction.outcome) = (kind, outcome);
        });
        assert_eq!(event_of(&sighting).role, role, "{kind:?} {outcome:?} {yen}");
    }
}

#[test]
fn a_purchase_that_is_authorized_and_cleared_counts_once_in_either_order() {
    let authorization = sighting_with(1, START, 900, |transaction| transaction.kind = Kind::Authorization);
    let by_id = sighting_with(2, START + DAY, 850, |transaction| {
        transaction.kind = Kind::Clearing;
        transaction.id = Some("t-1".to_owned());
    });
    let by_amount = sighting_with(3, START + DAY, 900, |transaction| transaction.kind = Kind::Clearing);
    let stranger = sighting_with(4, START + DAY, 901, |transaction| transaction.kind = Kind::Clearing);
    for (clearing, uses) in [(&by_id, 1), (&by_amount, 1), (&stranger, 2)] {
        assert_eq!(history_of([&authorization, clearing]).uses(), uses);
        assert_eq!(history_of([clearing, &authorization]).uses(), uses);
    }
    // Long settled, both are in the totals: the fuller of the two counts.
    let later = sighting(9, START + 60 * DAY, 1);
    assert_eq!(history_of([&authorization, &by_id, &later]).uses(), 2);
}

#[test]
fn a_typical_record_is_small_and_the_worst_is_bounded() {
    let mut year = History::default();
    for number in 0..365 {
        year.absorb(event_of(&sighting_with(number, START + number * DAY, 1_234, |transaction| {
            transaction.merchant.id = Some(format!("M{}", number % 60));
            transaction.merchant.mcc = Some(format!("{}", 5000 + number % 40));
        })));
    }
    assert!(year.encode().len() < 2048, "{}", year.encode().len());

    let codes: Vec<String> = (b'A'..=b'Z')
        .flat_map(|a| (b'A'..=b'Z').flat_map(move |b| (b'A'..=b'Z').map(move |c| [a, b, c])))
        .filter_map(|code| String::from_utf8(code.to_vec()).ok())
        .filter(|code| code.parse::<crate::domain::money::Currency>().is_ok())
        .collect();
    let mut worst = History::default();
    for number in 0..20_000 {
        let place = number as usize;
        worst.absorb(event_of(&sighting_with(
            number,
            START + number * MINUTE,
            1_000_000_000_000,
            |transaction| {
                transaction.kind = if number % 2 == 0 { Kind::Authorization } else { Kind::Clearing };
                let currency = codes[place % codes.len()].parse().unwrap();
                transaction.amount = Some(crate::domain::money::Money { minor: 1_000_000_000_000, currency });
                transaction.merchant.id = Some(format!("M{number}"));
                transaction.merchant.mcc = Some(format!("{:04}", place % 10_000));
                transaction.merchant.country = Some(codes[place % codes.len()][..2].to_owned());
            },
        )));
    }
    assert!(worst.encode().len() < 16 * 1024, "{}", worst.encode().len());
}

/// Each version's bytes, for good: a change of layout needs a new version byte.
#[test]
fn the_encodings_of_both_versions_do_not_change() {
    let lives: Vec<Sighting> = (0..40).map(|n| sighting(n, START + n * DAY / 2, 100 + n)).collect();
    let history = history_of(&lives);
    let first = encode_first(&history);
    assert_eq!(format!("{:016x} {}", event::hash64(&first), first.len()), "324261df1e1e579e 814");
    let mut entered = History::default();
    for (number, sighting) in lives.iter().enumerate() {
        entered.count_judgement(sighting);
        entered.enter(sighting, event_of(sighting), number == 3, number % 9 == 0);
        entered.absorb(event_of(sighting));
    }
    let second = entered.encode();
    assert_eq!((first[0], second[0]), (1, 2));
    assert_eq!(format!("{:016x} {}", event::hash64(&second), second.len()), "63d08d674ba09044 867");
    for bytes in [&first, &second] {
        assert_eq!(History::decode(&bytes[..bytes.len() - 1]), Err(HistoryError::Damaged));
        assert_eq!(History::decode(&[&bytes[..], &[0]].concat()), Err(HistoryError::Damaged));
    }
    assert_eq!(History::decode(&[]), Err(HistoryError::Version));
    assert_eq!(History::decode(&[3, 0]), Err(HistoryError::Version));
}

/// As the version before wrote it.
fn encode_first(history: &History) -> Vec<u8> {
    let History { judgements, last, since, recent, settled, accounts: _ } = history.clone();
    let old = HistoryV1 { judgements, last, since, recent, settled };
    postcard::to_extend(&old, vec![ENCODING_1]).unwrap()
}

#[test]
fn a_history_of_the_first_version_reads_and_says_that_its_past_is_on_no_account() {
    let lives: Vec<Sighting> = (0..40).map(|n| sighting(n, START + n * DAY / 2, 100 + n)).collect();
    let history = history_of(&lives);
    let read = History::decode(&encode_first(&history)).unwrap();
    assert_eq!((read.unaccounted(), read.accounts().count()), (40, 0));
    assert_eq!(History { accounts: Accounts::default(), ..read }, history);
}

#[test]
fn a_history_names_its_judgements_and_the_last_of_them() {
    let lives = [sighting(1, START + DAY, 1), sighting(2, START, 1)];
    let history = history_of(&lives);
    assert_eq!(history.judgements(), 2);
    assert_eq!(history.last_sighting(), Some(lives[1].id.clone()));
    assert_eq!(history.since(), Some(Timestamp(START)));
    assert_eq!((History::default().last_sighting(), History::default().judgements()), (None, 0));
}
