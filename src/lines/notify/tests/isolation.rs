//! What an endpoint is told, and when, does not depend on how others behave.

use std::time::Duration;

use proptest::prelude::*;

use super::town::{Behaviour, PARTITIONS, Posted, Resident, Town, runtime};
use crate::lines::notify::Bounds;

/// The pace of the loop. It has no common measure with the times that receivers take.
const TURN: Duration = Duration::from_millis(7);

/// Every way to misbehave.
const BAD: [Behaviour; 7] = [
    Behaviour::Hangs,
    Behaviour::DripsHead,
    Behaviour::DripsBody,
    Behaviour::Fails,
    Behaviour::TooMuch,
    Behaviour::Endless,
    Behaviour::Refuses,
];

/// Endpoints, and when alerts come: milliseconds after the one before.
#[derive(Debug, Clone)]
struct Plan {
    healthy: Vec<Resident>,
    /// Those that misbehave, and before which of the healthy they stand in the configuration.
    bad: Vec<(usize, Resident)>,
    gaps: Vec<u64>,
}

impl Plan {
    /// Everybody by name, in the order of the configuration.
    fn everybody(&self) -> Vec<(String, Resident)> {
        let mut all: Vec<(String, Resident)> = Vec::new();
        for place in 0..=self.healthy.len() {
            let bad = self.bad.iter().enumerate().filter(|(_, (before, _))| *before == place);
            all.extend(bad.map(|(number, (_, who))| (format!("bad-{number}"), *who)));
            all.extend(self.healthy.get(place).map(|who| (format!("well-{place}"), *who)));
        }
        all
    }

    fn alone(&self) -> Plan {
        Plan { bad: Vec::new(), ..self.clone() }
    }
}

/// What came to each of the healthy, by id and time, until all of them have everything.
fn told(plan: &Plan) -> Vec<Vec<Posted>> {
    let runtime = runtime();
    let mut town = Town::new(&runtime, &plan.everybody(), Bounds::default());
    runtime.block_on(async {
        let mut due = plan.gaps.iter().scan(0, |at, gap| {
            *at += gap;
            Some(Duration::from_millis(*at))
        });
        let (mut next, mut came) = (due.next(), 0i64);
        loop {
            tokio::time::sleep(TURN).await;
            while next.is_some_and(|at| at <= town.start.elapsed()) {
                let partitions = i64::from(PARTITIONS);
                town.alert(i32::try_from(came % partitions).unwrap(), came / partitions);
                came += 1;
                next = due.next();
            }
            town.turn();
            let log = town.log.lock().unwrap();
            let told = |name: usize| log.get(&format!("well-{name}")).cloned().unwrap_or_default();
            let all: Vec<Vec<Posted>> = (0..plan.healthy.len()).map(told).collect();
            if all.iter().all(|told| told.len() >= plan.gaps.len()) {
                return all;
            }
            assert!(town.start.elapsed() < Duration::from_secs(3_600), "somebody is kept waiting: {all:?}");
        }
    })
}

fn resident(behaviour: impl Strategy<Value = Behaviour>) -> impl Strategy<Value = Resident> {
    (behaviour, 1..=4usize, prop_oneof![1..=20u32, 20..=1_000u32])
        .prop_map(|(behaviour, concurrency, rate)| Resident { behaviour, concurrency, rate })
}

fn bad() -> impl Strategy<Value = Behaviour> {
    prop::sample::select(&BAD[..])
}

fn plan() -> impl Strategy<Value = Plan> {
    let healthy = prop::collection::vec(resident((0..=300u64).prop_map(Behaviour::Well)), 1..=3);
    let bad = prop::collection::vec((0..=3usize, resident(bad())), 1..=6);
    let gap = prop_oneof![3 => Just(0u64), 3 => 1..=20u64, 1 => 20..=2_000u64];
    (healthy, bad, prop::collection::vec(gap, 1..=150)).prop_map(|(healthy, mut bad, gaps)| {
        bad.iter_mut().for_each(|(place, _)| *place = (*place).min(healthy.len()));
        Plan { healthy, bad, gaps }
    })
}

/// That an endpoint never had more at once than its concurrency, nor more in any time than its rate.
fn keeps_its_bounds(who: &Resident, told: &[Posted]) -> Result<(), TestCaseError> {
    let mut began: Vec<Duration> = told.iter().map(|posted| posted.began).collect();
    began.sort_unstable();
    for posted in told {
        let at = posted.began;
        let under_way = told.iter().filter(|other| other.began <= at && at < other.ended).count();
        prop_assert!(under_way <= who.concurrency, "{under_way} at once for {who:?}");
    }
    let every = Duration::from_secs(1) / who.rate;
    for (first, from) in began.iter().enumerate() {
        for (between, to) in began[first..].iter().enumerate() {
            // What was late by up to ten milliseconds is made up for, and a timer is late by one.
            let least = every * u32::try_from(between).unwrap();
            prop_assert!(*to - *from + Duration::from_millis(11) >= least, "too many for {who:?}");
        }
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, ..ProptestConfig::default() })]

    /// The very same requests at the very same times, to the nanosecond.
    #[test]
    fn who_behaves_is_told_when_it_would_be_told_alone(plan in plan()) {
        let beside = told(&plan);
        prop_assert_eq!(&told(&plan.alone()), &beside);
        for (who, told) in plan.healthy.iter().zip(&beside) {
            prop_assert_eq!(told.len(), plan.gaps.len(), "each alert once");
            keeps_its_bounds(who, told)?;
        }
    }
}

#[test]
fn who_misbehaves_is_held_to_its_bounds_too_and_all_of_them_were_asked() {
    let bad = BAD.map(|behaviour| (0, Resident { behaviour, concurrency: 2, rate: 50 }));
    let slow = Resident { behaviour: Behaviour::Well(500), concurrency: 1, rate: 100 };
    let plan = Plan { healthy: vec![slow], bad: bad.to_vec(), gaps: vec![0; 120] };
    let runtime = runtime();
    let mut town = Town::new(&runtime, &plan.everybody(), Bounds::default());
    runtime.block_on(async {
        (0..120).for_each(|came| town.alert(0, came));
        while town.start.elapsed() < Duration::from_secs(61) {
            town.turn();
            tokio::time::sleep(TURN).await;
        }
    });
    let log = town.log.lock().unwrap();
    assert_eq!(log["well-0"].len(), 120);
    for (number, (_, who)) in plan.bad.iter().enumerate() {
        let told = &log[&format!("bad-{number}")];
        keeps_its_bounds(who, told).unwrap();
        assert!(told.len() > 2, "{who:?} was asked {} times", told.len());
    }
}
