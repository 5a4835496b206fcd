use std::collections::BTreeSet;
use std::time::Duration;

use cardwatch::domain::card::CardNumber;

use crate::support::chaos::kills;
use crate::support::load::{Load, Planned, card_number};

const LOAD: Load = Load { seed: 7, rate: 500, seconds: 4, cards: 1_000, exposed_percent: 20, partitions: 3 };

#[test]
fn the_same_seed_makes_the_same_load() {
    let plan: Vec<Planned> = LOAD.plan().collect();
    assert_eq!(plan, LOAD.plan().collect::<Vec<_>>());
    assert_ne!(plan, Load { seed: 8, ..LOAD }.plan().collect::<Vec<_>>());
    assert_eq!(plan.len(), 2_000);
}

#[test]
fn a_load_keeps_its_pace_and_its_share() {
    let plan: Vec<Planned> = LOAD.plan().collect();
    assert!(plan.windows(2).all(|two| two[0].at <= two[1].at));
    for second in 0..4_u64 {
        let within = plan.iter().filter(|planned| planned.at.as_secs() == second).count();
        assert_eq!(within, 500, "in second {second}");
    }
    assert_eq!(LOAD.exposed().count(), 200);
    assert_eq!(
        plan.iter().map(|planned| planned.partition).collect::<BTreeSet<_>>(),
        BTreeSet::from([0, 1, 2])
    );
    let on_exposed = plan.iter().filter(|planned| LOAD.is_exposed(planned.card)).count();
    assert!((300..500).contains(&on_exposed), "{on_exposed} of 2,000");
}

#[test]
fn card_numbers_are_distinct_and_well_formed() {
    let numbers: BTreeSet<String> = (0..2_000).map(card_number).collect();
    assert_eq!(numbers.len(), 2_000);
    for number in &numbers {
        assert_eq!(number.len(), 16);
        assert!(CardNumber::parse(number.as_bytes()).unwrap().passes_luhn(), "{number}");
    }
}

#[test]
fn a_transaction_reads_as_json() {
    let planned = LOAD.plan().next().unwrap();
    let json: serde_json::Value = serde_json::from_str(&planned.json(1_700_000_000_123)).unwrap();
    assert_eq!(json["card"], card_number(planned.card));
    assert_eq!(json["at"], "2023-11-14T22:13:20.123Z");
    assert_eq!(json["merchant"]["id"], format!("m-{}", planned.merchant));
}

#[test]
fn kills_are_spread_over_the_run() {
    let over = Duration::from_secs(60);
    let schedule = kills(3, 10, 2, over, Duration::from_secs(5));
    assert_eq!(schedule, kills(3, 10, 2, over, Duration::from_secs(5)));
    assert_ne!(schedule, kills(4, 10, 2, over, Duration::from_secs(5)));
    for (number, kill) in (0_u64..).zip(&schedule) {
        assert_eq!(kill.at.as_secs() / 6, number, "one in each tenth: {schedule:?}");
        assert!(kill.target < 2 && kill.away <= Duration::from_secs(5));
    }
    assert_eq!(schedule.iter().map(|kill| kill.target).collect::<BTreeSet<_>>().len(), 2);
}
