//! What is owed to an endpoint that takes nothing costs the same whether it is ten thousand alerts or a million.

use super::town::{Behaviour, PARTITIONS, Resident, Town, runtime};
use crate::lines::notify::Bounds;
use crate::notice::ledger::Debt;

/// Everything that the line and its ledgers keep, counted.
#[derive(Debug, PartialEq, Eq)]
struct Kept {
    deliveries: usize,
    ranges: usize,
    alerts_at_hand: usize,
    bytes_at_hand: usize,
    under_way: usize,
    parked: usize,
    said: usize,
}

fn kept(town: &Town) -> Kept {
    let state = &town.notify.state;
    let names = town.notify.endpoints.names();
    let ledgers = || state.held.values().flat_map(|held| names.iter().map(move |name| (&held.ledger, name)));
    let (alerts_at_hand, bytes_at_hand) = state.shelf.size();
    Kept {
        deliveries: ledgers().map(|(ledger, name)| ledger.owed(name).count()).sum(),
        ranges: ledgers().filter_map(|(ledger, name)| Some(ledger.account(name)?.ranges.len())).sum(),
        alerts_at_hand,
        bytes_at_hand,
        under_way: state.under_way.values().map(|under_way| under_way.len()).sum(),
        parked: state.parked.len(),
        said: state.queue.len() + state.applied.len() + state.ranges.len(),
    }
}

fn owed(town: &Town) -> u64 {
    let name = &town.notify.endpoints.names()[0];
    let debts = town.notify.state.held.values().map(|held| held.ledger.debt(name));
    debts.map(|debt: Debt| debt.made_out + debt.in_ranges).sum()
}

#[test]
fn a_million_alerts_owed_take_no_more_room_than_ten_thousand() {
    let runtime = runtime();
    let hangs = Resident { behaviour: Behaviour::Hangs, concurrency: 4, rate: 100 };
    let bounds = Bounds { shelf_bytes: 3 * 1024 * 1024, ..Bounds::default() };
    let mut town = Town::new(&runtime, &[("hangs".to_owned(), hangs)], bounds);
    let mut at = Vec::new();
    runtime.block_on(async {
        for came in 0..1_000_000u32 {
            town.alert(
                i32::try_from(came).unwrap() % PARTITIONS,
                i64::from(came / PARTITIONS.unsigned_abs()),
            );
            if came % 500 == 499 {
                town.turn();
                tokio::task::yield_now().await;
            }
            if [9_999, 99_999, 999_999].contains(&came) {
                at.push((owed(&town), kept(&town)));
            }
        }
    });
    let owed: Vec<u64> = at.iter().map(|(owed, _)| *owed).collect();
    assert_eq!(owed, [10_000, 100_000, 1_000_000], "nothing is lost");
    assert_eq!((&at[0].1, &at[1].1), (&at[1].1, &at[2].1));
    let kept = &at[2].1;
    let partitions = PARTITIONS.unsigned_abs() as usize;
    assert_eq!((kept.deliveries, kept.ranges), (bounds.room * partitions, partitions));
    assert_eq!(kept.under_way, hangs.concurrency * bounds.window);
    assert!(kept.bytes_at_hand <= bounds.shelf_bytes && kept.alerts_at_hand > 100, "{kept:?}");
    assert_eq!((kept.parked, kept.said), (0, 0));
}
