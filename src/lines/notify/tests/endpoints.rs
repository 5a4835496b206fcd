//! Endpoints that begin, and that fail: what must not be forgotten, and what must be asked for all the same.

use std::collections::HashMap;
use std::sync::mpsc::sync_channel;
use std::time::Duration;

use super::town::{Behaviour, PARTITIONS, Resident, Town, runtime};
use crate::domain::delivery::{EndpointName, Failure};
use crate::domain::time::Timestamp;
use crate::lines::mark::Mark;
use crate::lines::notify::Bounds;
use crate::lines::notify::courier::{End, Missed, Settled};
use crate::lines::notify::restore::Restored;
use crate::lines::notify::state::Opening;
use crate::lines::pump::Line;
use crate::notice::ledger::Ledger;

const DESK: Resident = Resident { behaviour: Behaviour::Hangs, concurrency: 4, rate: 100 };

fn town(bounds: Bounds) -> (tokio::runtime::Runtime, Town, EndpointName) {
    let runtime = runtime();
    let town = Town::new(&runtime, &[("desk".to_owned(), DESK)], bounds);
    (runtime, town, "desk".parse().unwrap())
}

#[test]
fn an_aborted_transaction_does_not_take_away_that_an_endpoint_has_begun_or_is_back() {
    let (_runtime, mut town, desk) = town(Bounds::default());
    let mut left = Ledger::default();
    left.begin(&desk, 3, None);
    left.leave(&desk, 5);
    left.merge();
    let begins = HashMap::from([(desk.clone(), (7, None))]);
    for (ledger, begins, begun) in [(Ledger::default(), begins, 7), (left, HashMap::new(), 3)] {
        let opening = Opening { restoring: sync_channel(1).1, next: 9, mark: Mark::default() };
        town.notify.state.opening.insert(0, opening);
        town.notify.take_up(0, Restored { ledger, begins });
        for _ in 0..3 {
            town.notify.discard();
            let account = town.notify.state.held[&0].ledger.account(&desk).unwrap();
            assert_eq!((account.begun, account.left), (begun, None));
            assert!(town.notify.proposes(), "it is still to be written");
        }
        town.notify.state.closing = vec![0];
        town.notify.state.merge();
        town.notify.discard();
        assert!(!town.notify.proposes(), "what is written is not written again");
        assert!(town.notify.state.held[&0].ledger.knows(&desk));
    }
}

#[test]
fn a_failing_endpoint_that_has_room_is_asked_with_what_stands_in_its_range_too() {
    let (_runtime, mut town, desk) = town(Bounds { room: 10, ..Bounds::default() });
    let held = town.notify.state.held.get_mut(&0).unwrap();
    held.ledger.begin(&desk, 100, Some(0));
    held.ledger.merge();
    town.alert(0, 100);
    let endpoint = town.notify.endpoint(&desk).unwrap();
    town.turn();
    let standing = town.notify.state.standing(&endpoint);
    (0..5).for_each(|_| standing.failed(Timestamp(1), Failure::Status(500), None));
    assert!(standing.is_failing());
    let held = town.notify.state.held.get_mut(&0).unwrap();
    held.openings.clear();
    // Its turn has come and gone: it waits to be asked with again.
    let id = held.ledger.owed(&desk).next().unwrap().0.clone();
    held.ledger.give_back(&desk, &id);
    assert!(held.ledger.next_due(&desk).is_some());
    town.notify.dispatch();
    assert!(town.notify.state.held[&0].openings.contains(&desk));
}

#[test]
fn an_attempt_that_failed_before_the_endpoint_was_back_waits_no_longer_either() {
    for early in [false, true] {
        let (_runtime, mut town, desk) = town(Bounds::default());
        (0..2).for_each(|offset| town.alert(0, offset));
        town.turn();
        let held = &town.notify.state.held[&0];
        let ids: Vec<_> = held.ledger.owed(&desk).map(|(id, _)| id.clone()).collect();
        assert_eq!(ids.len(), 2);
        let now = town.notify.clock.now();
        let missed = End::Missed(Missed { failure: Failure::Connect, retry_after: None });
        let said = |id: usize, at, end| Settled {
            tenure: (0, 1),
            endpoint: desk.clone(),
            id: ids[id].clone(),
            early,
            at,
            raised_at: Some(now),
            end,
        };
        // Nothing of it is in the ledger before both have come.
        town.notify.settled.0.send(said(0, now, missed)).unwrap();
        town.notify.settled.0.send(said(1, now.plus_millis(1), End::Taken)).unwrap();
        town.notify.collect();
        town.notify.keep_books(&[0]);
        town.notify.state.closing = vec![0];
        town.notify.state.merge();
        let next = town.notify.state.held[&0].ledger.next_due(&desk);
        assert_eq!(next, Some(now.plus_millis(i64::from(!early))));
    }
}

#[test]
fn one_alert_that_is_refused_again_and_again_is_not_asked_with_each_time_another_is_taken() {
    let runtime = runtime();
    let picky = Resident { behaviour: Behaviour::Picks, ..DESK };
    let mut town = Town::new(&runtime, &[("desk".to_owned(), picky)], Bounds::default());
    runtime.block_on(async {
        for came in 0..6_000 {
            let partitions = i64::from(PARTITIONS);
            town.alert(i32::try_from(came % partitions).unwrap(), came / partitions);
            town.turn();
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    });
    let log = town.log.lock().unwrap();
    let refused = log["desk"].iter().filter(|posted| !posted.taken).count();
    let taken = log["desk"].iter().filter(|posted| posted.taken).count();
    assert!(taken > 5_900, "{taken} were taken");
    // Four places of the schedule in five minutes, and between them after 0, 1, 2, 4, … seconds.
    assert!((4..=32).contains(&refused), "{refused} times in five minutes");
}
