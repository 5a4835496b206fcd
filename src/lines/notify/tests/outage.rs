//! A receiver that was away for a minute has everything within three.

use std::time::Duration;

use proptest::prelude::*;

use super::town::{Behaviour, PARTITIONS, Resident, Town, runtime};
use crate::lines::notify::Bounds;

/// The pace of the loop.
const TURN: Duration = Duration::from_millis(50);
const AWAY_MS: u64 = 60_000;
/// Counted from when it went.
const WITHIN: Duration = Duration::from_mins(3);

/// When the last of the alerts that came before the receiver was back was taken: alerts `gaps` milliseconds apart, a
/// receiver that goes at `goes_ms`, and the default schedule.
fn last_taken(gaps: &[u64], goes_ms: u64) -> Duration {
    let away = Resident {
        behaviour: Behaviour::Away { from_ms: goes_ms, to_ms: goes_ms + AWAY_MS },
        concurrency: 4,
        rate: 100,
    };
    let runtime = runtime();
    let mut town = Town::new(&runtime, &[("away".to_owned(), away)], Bounds::default());
    runtime.block_on(async {
        let mut due = Vec::new();
        for gap in gaps {
            let at = due.last().copied().unwrap_or(0) + gap;
            if at < goes_ms + AWAY_MS {
                due.push(at);
            }
        }
        let mut came = 0;
        loop {
            tokio::time::sleep(TURN).await;
            while came < due.len() && Duration::from_millis(due[came]) <= town.start.elapsed() {
                let (number, partitions) = (i64::try_from(came).unwrap(), i64::from(PARTITIONS));
                town.alert(i32::try_from(number % partitions).unwrap(), number / partitions);
                came += 1;
            }
            town.turn();
            let log = town.log.lock().unwrap();
            let taken: Vec<Duration> = log
                .get("away")
                .into_iter()
                .flatten()
                .filter(|posted| posted.taken)
                .map(|posted| posted.ended)
                .collect();
            if taken.len() >= due.len() {
                return taken.into_iter().max().unwrap_or_default();
            }
            assert!(town.start.elapsed() < Duration::from_secs(3_600), "{} of {}", taken.len(), due.len());
        }
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 32, ..ProptestConfig::default() })]

    #[test]
    fn a_receiver_away_for_a_minute_has_everything_within_three(
        gaps in prop::collection::vec(prop_oneof![2 => 0..=500u64, 1 => 0..=20_000u64], 1..=150),
        goes_ms in 0..=30_000u64,
    ) {
        let last = last_taken(&gaps, goes_ms);
        prop_assert!(last <= Duration::from_millis(goes_ms) + WITHIN, "{last:?}, away from {goes_ms} ms on");
    }
}
