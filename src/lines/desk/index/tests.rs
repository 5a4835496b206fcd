use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;
use proptest::sample::Index as Pick;

use super::*;

/// An alert of a small world, so that things coincide.
fn alert(number: u8) -> Alert {
    let mut alert = crate::report::live::samples::alert("", number % 5);
    alert.source.offset = i64::from(number);
    alert.id = alert.source.derived_id("alr");
    alert.covers = vec![alert.source.derived_id("sgt")];
    alert.transaction.id = Some(format!("t{}", number % 7));
    alert.raised_at = Timestamp(i64::from(number % 11));
    alert.severity = [Severity::Low, Severity::Medium, Severity::High][usize::from(number % 3)];
    if let Some(amount) = &mut alert.transaction.amount {
        amount.minor = i64::from(number % 4) * 100;
    }
    alert.transaction.billing = None;
    alert
}

fn key(number: u8) -> AlertKey {
    AlertKey::of_alert(&alert(number).id).unwrap()
}

proptest! {
    #[test]
    fn the_newest_revision_counts_in_whatever_order_they_come(
        records in proptest::collection::vec((0u8..20, 1u32..5), 1..80),
    ) {
        let mut index = Index::new(1_000);
        let mut newest: BTreeMap<u8, (u32, i64)> = BTreeMap::new();
        for (offset, (number, revision)) in (0i64..).zip(&records) {
            let mut alert = alert(*number);
            alert.revision = *revision;
            index.apply(&alert, 3, offset);
            let known = newest.entry(*number).or_insert((*revision, offset));
            if *revision > known.0 {
                *known = (*revision, offset);
            }
        }
        prop_assert_eq!(index.count(), newest.len());
        for (number, (revision, offset)) in newest {
            prop_assert_eq!(index.summary(key(number)).unwrap().revision, revision);
            let places = index.places(key(number)).unwrap();
            prop_assert_eq!((places.partition, places.newest), (3, offset));
        }
    }

    #[test]
    fn pages_together_are_the_whole_list_in_order(
        numbers in proptest::collection::btree_set(any::<u8>(), 0..60),
        limit in 1usize..9,
        costliest in any::<bool>(),
        late in proptest::collection::vec(any::<Pick>(), 0..3),
    ) {
        let order = if costliest { Order::Costliest } else { Order::Newest };
        let mut index = Index::new(1_000);
        numbers.iter().for_each(|number| index.apply(&alert(*number), 0, i64::from(*number)));
        let query = Query { severity: Some(Severity::Medium), ..Query::default() };
        let mut naive: Vec<Summary> = numbers.iter().filter_map(|number| index.summary(key(*number))).collect();
        naive.retain(|summary| query.fits(summary));
        naive.sort_by_key(|summary| order.place(summary));
        let (mut found, mut after, mut late) = (Vec::new(), None, late.into_iter());
        loop {
            let page = index.list(&query, order, after.as_ref(), limit);
            prop_assert!(page.items.len() <= limit);
            found.extend(page.items);
            // A revision that comes in between moves nothing.
            if let (Some(pick), false) = (late.next(), numbers.is_empty()) {
                let numbers: Vec<u8> = numbers.iter().copied().collect();
                let mut again = alert(*pick.get(&numbers));
                again.revision = 1;
                index.apply(&again, 0, 1_000);
            }
            let Some(next) = page.next else { break };
            prop_assert_eq!(Place::of_cursor(&next, Order::Newest).is_ok(), !costliest);
            after = Some(Place::of_cursor(&next, order).unwrap());
        }
        prop_assert_eq!(found, naive);
    }
}

#[test]
fn the_orders_are_those_that_are_documented() {
    let mut index = Index::new(100);
    (0..40).for_each(|number| index.apply(&alert(number), 0, i64::from(number)));
    let all = |order| index.list(&Query::default(), order, None, 100).items;
    let newest = all(Order::Newest);
    assert!(newest.windows(2).all(|pair| pair[0].raised_at >= pair[1].raised_at));
    let costliest = all(Order::Costliest);
    let cost = |summary: &Summary| summary.cost.map_or(0, |money| money.minor);
    assert!(costliest.windows(2).all(|pair| cost(&pair[0]) >= cost(&pair[1])));
    assert_eq!(newest.len(), 40);
}

#[test]
fn an_alert_is_found_by_each_of_its_names() {
    let mut index = Index::new(100);
    (0..10).for_each(|number| index.apply(&alert(number), 0, i64::from(number)));
    let mut speaker = alert(50);
    speaker.covers.push(alert(60).source.derived_id("sgt"));
    index.apply(&speaker, 0, 50);
    let found = |subject: Subject| index.candidates(&subject);
    assert_eq!(found(Subject::Alert(alert(3).id)), [key(3)]);
    assert_eq!(found(Subject::Sighting(alert(3).covers[0].clone())), [key(3)]);
    assert_eq!(found(Subject::Sighting(alert(60).source.derived_id("sgt"))), [key(50)]);
    assert_eq!(found(Subject::Alert(alert(60).id)), []);
    let twins: BTreeSet<AlertKey> = [0, 7].map(key).into();
    assert_eq!(found(Subject::Transaction("t0".to_owned())), twins.into_iter().collect::<Vec<_>>());
    assert_eq!(found(Subject::Transaction("other".to_owned())), []);
}

#[test]
fn what_has_expired_is_forgotten_and_a_full_desk_leaves_out_the_oldest() {
    let mut index = Index::new(16);
    (0..10).for_each(|number| index.apply(&alert(number), i32::from(number % 2), i64::from(number)));
    let mut decided = alert(1);
    decided.revision = 2;
    decided.state = State::Closed;
    index.apply(&decided, 1, 20);
    let waiting = index.waiting(Timestamp(3_600_003));
    assert_eq!(waiting.open.values().sum::<u64>(), 9);
    assert_eq!(waiting.oldest, Some(Timestamp(0)));
    // Raised a millisecond after each other: those that have waited for an hour are the oldest three, of which one
    // is decided.
    assert_eq!(waiting.ages, [6, 3, 0, 0, 0]);
    // Each of these has two reasons, and counts under both.
    assert_eq!(waiting.rules.values().copied().collect::<Vec<_>>(), [9, 9]);
    index.expire(&BTreeMap::from([(0, 4), (1, 8)]));
    let left: Vec<u8> = (0..10).filter(|number| index.summary(key(*number)).is_some()).collect();
    assert_eq!(left, [1, 4, 6, 8, 9]);
    assert_eq!(index.places(key(1)), Some(Places { partition: 1, newest: 20, earlier: Vec::new() }));

    (10..40).for_each(|number| index.apply(&alert(number), 0, i64::from(number)));
    assert!(index.count() <= 16 && index.evicted() > 0);
    assert_eq!(index.evicted() as usize, 35 - index.count());
}
