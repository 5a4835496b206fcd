//! Claims about accounts, beside naive models that keep every sighting.

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;

use super::*;
use crate::domain::sighting::Sighting;
use crate::domain::vocabulary::{Kind, Outcome};
use crate::scoring::fixtures::{DAY, HOUR, MINUTE, START, incident, sighting, sighting_with};
use crate::scoring::history::totals::find;
use crate::scoring::history::{History, event_of};

impl Account {
    /// The flow of a currency.
    pub(crate) fn flow(&self, code: &str) -> Flow {
        let code: [u8; 3] = code.as_bytes().try_into().unwrap();
        find(&self.money, code).unwrap_or_default()
    }
}

fn shop() -> IncidentHash {
    IncidentHash::of(&"shop".parse().unwrap())
}

/// Enters sightings, each with whether it raised an alert.
fn entered<'s>(sightings: impl IntoIterator<Item = (&'s Sighting, bool)>) -> History {
    let mut history = History::default();
    for (sighting, alerted) in sightings {
        history.enter(sighting, event_of(sighting), false, alerted);
        history.absorb(event_of(sighting));
    }
    history
}

fn shuffled<T: Clone>(items: &[T], seed: u64) -> Vec<T> {
    let mut items: Vec<(usize, T)> = items.iter().cloned().enumerate().collect();
    items.sort_by_key(|(place, _)| hash64(format!("{seed} {place}").as_bytes()));
    items.into_iter().map(|(_, item)| item).collect()
}

/// What happens with a card, but for clearings of what was authorized: role, yen, currency, incidents, alerted.
type Row = ((Kind, Outcome), i64, bool, BTreeSet<usize>, bool);

fn rows() -> impl Strategy<Value = Vec<Row>> {
    let kinds = prop_oneof![
        4 => Just((Kind::Authorization, Outcome::Approved)),
        2 => Just((Kind::Authorization, Outcome::Declined)),
        1 => Just((Kind::Refund, Outcome::Unknown)),
        1 => Just((Kind::Reversal, Outcome::Approved)),
        1 => Just((Kind::AccountCheck, Outcome::Approved)),
    ];
    let incidents = prop::collection::btree_set(0..24_usize, 1..6);
    prop::collection::vec((kinds, 0..90_000_i64, any::<bool>(), incidents, any::<bool>()), 0..120)
}

fn built(rows: &[Row]) -> Vec<(Sighting, bool)> {
    let build = |(number, row): (i64, &Row)| {
        let ((kind, outcome), yen, dollars, incidents, alerted) = row;
        let mut sighting = sighting_with(number, START + number * MINUTE, *yen, |transaction| {
            (transaction.kind, transaction.outcome) = (*kind, *outcome);
            if *dollars && let Some(amount) = &mut transaction.amount {
                amount.currency = "USD".parse().unwrap();
            }
        });
        sighting.incidents = incidents.iter().map(|n| incident(&format!("incident-{n}"))).collect();
        (sighting, *alerted)
    };
    (0..).zip(rows).map(build).collect()
}

/// Count and sum of the amounts of one incident in one currency that `is_one` of.
fn sum(rows: &[Row], of: usize, dollars: bool, is_one: impl Fn(&Row) -> bool) -> Money {
    let mut money = Money::default();
    for row in rows.iter().filter(|row| row.3.contains(&of) && row.2 == dollars && is_one(row)) {
        money.add(row.1);
    }
    money
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn accounts_are_the_sums_of_their_sightings_in_any_order(rows in rows(), seed in any::<u64>()) {
        let sightings = built(&rows);
        let history = entered(shuffled(&sightings, seed).iter().map(|(sighting, alerted)| (sighting, *alerted)));
        let by_hash: BTreeMap<IncidentHash, usize> = rows
            .iter()
            .flat_map(|row| &row.3)
            .map(|n| (IncidentHash::of(&format!("incident-{n}").parse().unwrap()), *n))
            .collect();
        let kept: Vec<_> = by_hash.iter().take(ACCOUNTS_MAX).collect();
        prop_assert_eq!(history.accounts().count(), kept.len());
        let approved = |row: &Row| row.0 == (Kind::Authorization, Outcome::Approved) && row.1 > 0;
        let declined = |row: &Row| row.0 == (Kind::Authorization, Outcome::Declined) && row.1 > 0;
        let mut on_account = 0;
        for (hash, n) in kept {
            let account = history.account(*hash).unwrap();
            for (code, dollars) in [("JPY", false), ("USD", true)] {
                let flow = account.flow(code);
                prop_assert_eq!(flow.approved, sum(&rows, *n, dollars, approved));
                prop_assert_eq!(flow.declined, sum(&rows, *n, dollars, declined));
                prop_assert_eq!(flow.alerted_approved, sum(&rows, *n, dollars, |row| approved(row) && row.4));
                prop_assert_eq!(flow.alerted_declined, sum(&rows, *n, dollars, |row| declined(row) && row.4));
            }
            let own: Vec<usize> = (0..rows.len()).filter(|place| rows[*place].3.contains(n)).collect();
            let time = |place: Option<&usize>| place.map(|place| Timestamp(START + *place as i64 * MINUTE));
            let alerted: Vec<usize> = own.iter().copied().filter(|place| rows[*place].4).collect();
            prop_assert_eq!(account.sightings(), own.len() as u64);
            prop_assert_eq!(account.alerts, alerted.len() as u64);
            prop_assert_eq!((account.first(), account.last()), (time(own.first()), time(own.last())));
            prop_assert_eq!(account.first_alerted(), time(alerted.first()));
            on_account += own.len() as u64;
        }
        let entries: usize = rows.iter().map(|row| row.3.len()).sum();
        prop_assert_eq!(history.unaccounted(), entries as u64 - on_account);
    }

    /// Each purchase at a merchant of its own: authorized, cleared, or both, in any order.
    #[test]
    fn a_purchase_counts_once_whichever_of_its_records_comes_first(
        purchases in prop::collection::vec((1..90_000_i64, 0..3_usize), 0..40), seed in any::<u64>(),
    ) {
        let mut sightings = Vec::new();
        for (number, (yen, records)) in (0..).zip(&purchases) {
            for kind in [&[Kind::Authorization][..], &[Kind::Clearing], &[Kind::Authorization, Kind::Clearing]][*records] {
                let at = START + number * HOUR + if *kind == Kind::Clearing { DAY } else { 0 };
                sightings.push(sighting_with(sightings.len() as i64, at, *yen, |transaction| {
                    transaction.kind = *kind;
                    transaction.merchant.id = Some(format!("M{number}"));
                }));
            }
        }
        let sightings = shuffled(&sightings, seed);
        let history = entered(sightings.iter().map(|sighting| (sighting, false)));
        let account = history.account(shop()).cloned().unwrap_or_default();
        let paid: i64 = purchases.iter().map(|(yen, _)| yen).sum();
        prop_assert_eq!(account.purchases, purchases.len() as u64);
        prop_assert_eq!(account.repeated, (sightings.len() - purchases.len()) as u64);
        prop_assert_eq!(account.flow("JPY").approved, Money { count: account.purchases, sum: paid as u64 });
    }
}

#[test]
fn two_like_purchases_and_one_clearing_are_two_purchases_in_any_order() {
    let first = sighting_with(1, START, 900, |transaction| transaction.kind = Kind::Authorization);
    let second = sighting_with(2, START + HOUR, 900, |transaction| transaction.kind = Kind::Authorization);
    let clearing = sighting_with(3, START + DAY, 900, |transaction| transaction.kind = Kind::Clearing);
    let other = sighting_with(4, START + DAY, 900, |transaction| transaction.kind = Kind::Clearing);
    for order in [
        [&first, &second, &clearing, &other],
        [&clearing, &first, &second, &other],
        [&clearing, &other, &first, &second],
        [&first, &clearing, &second, &other],
    ] {
        let history = entered(order.map(|sighting| (sighting, false)));
        assert_eq!(history.account(shop()).unwrap().purchases, 2);
    }
}

#[test]
fn a_sighting_outside_the_watch_is_told_and_moves_nothing() {
    let mut early = sighting(1, START, 900);
    early.incidents[0].exposed_from = Timestamp(START + 1);
    let mut other = incident("other");
    other.watch_until = Some(Timestamp(START + DAY));
    early.incidents.push(other);
    let history = entered([(&early, true)]);
    let account = history.account(shop()).unwrap();
    assert_eq!((account.outside, account.sightings(), account.alerts, account.first()), (1, 0, 0, None));
    let account = history.account(IncidentHash::of(&"other".parse().unwrap())).unwrap();
    assert_eq!((account.outside, account.sightings(), account.alerts), (0, 1, 1));
}

#[test]
fn money_is_told_by_currency_and_without_it_only_the_number() {
    let nameless = sighting_with(1, START, 0, |transaction| transaction.amount = None);
    let history = entered([(&nameless, true), (&sighting(2, START + HOUR, 500), false)]);
    let account = history.account(shop()).unwrap();
    assert_eq!((account.purchases, account.alerts), (2, 1));
    let flows: Vec<_> = account.money().collect();
    assert_eq!(flows.len(), 1);
    assert_eq!((flows[0].0.code(), flows[0].1.approved), ("JPY", Money { count: 1, sum: 500 }));
}
