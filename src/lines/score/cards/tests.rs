//! Claims about what a worker remembers, beside a naive model that keeps every judgement there ever was.

use std::collections::BTreeSet;

use proptest::prelude::*;

use super::*;
use crate::books::{Ledger, Tally};
use crate::domain::incident::IncidentId;
use crate::domain::vocabulary::{Kind, Outcome};
use crate::judge::JudgeSettings;
use crate::lines::books::enter_history;
use crate::scoring::fixtures::{DAY, START, incident, sighting_with};
use crate::scoring::rules::RuleSet;

const CARDS: u8 = 5;
/// What an alert is raised from, in yen.
const DEAR: i64 = 1_000;

#[derive(Debug, Clone)]
enum Step {
    /// A card, days after the start, yen, whether it was declined, whether both incidents expose the card.
    Use(u8, i64, i64, bool, bool),
    /// These cards go, those were idle.
    Forget(BTreeSet<u8>, BTreeSet<u8>),
    /// The open transaction is committed, or it is aborted.
    End(bool),
    /// The worker dies with its open transaction, and another one restores.
    Restore,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let cards = || prop::collection::btree_set(0..CARDS, 0..4);
    let step = prop_oneof![
        6 => (0..CARDS, 0..60_i64, 1..2 * DEAR, any::<bool>(), any::<bool>())
            .prop_map(|(card, day, yen, declined, both)| Step::Use(card, day, yen, declined, both)),
        2 => (cards(), cards()).prop_map(|(gone, idle)| Step::Forget(gone, idle)),
        3 => prop::bool::weighted(0.7).prop_map(Step::End),
        1 => Just(Step::Restore),
    ];
    prop::collection::vec(step, 0..60)
}

fn card(n: u8) -> Fingerprint {
    Fingerprint([n; 32])
}

fn partition(n: u8) -> i32 {
    i32::from(n % 2)
}

fn judge() -> Judge {
    let rules = format!(
        "[[rule]]\nname = \"dear\"\nwhen = \"amount >= {DEAR}\"\nscore = 100\ntext = \"{{amount}}\"\n"
    );
    Judge::new(
        RuleSet::parse(&rules, "rules.toml").unwrap(),
        JudgeSettings { threshold: Some(50), ..Default::default() },
        "test",
    )
}

/// A judgement as the naive model keeps it: which card it was, and as which of its lives.
#[derive(Debug, Clone)]
struct Judged {
    life: (u8, usize),
    day: i64,
    yen: i64,
    declined: bool,
    both: bool,
}

/// The topic, the worker, and everything that was ever committed.
struct World {
    log: Vec<State>,
    worker: Cards,
    judge: Judge,
    number: i64,
    lives: [usize; CARDS as usize],
    open: Vec<Judged>,
    dying: BTreeSet<u8>,
    ever: Vec<Judged>,
}

impl World {
    fn new() -> World {
        let mut world = World {
            log: Vec::new(),
            worker: Cards::default(),
            judge: judge(),
            number: 0,
            lives: [0; CARDS as usize],
            open: Vec::new(),
            dying: BTreeSet::new(),
            ever: Vec::new(),
        };
        world.restore();
        world
    }

    fn take(&mut self, step: &Step) {
        match step {
            Step::Use(n, day, yen, declined, both) => self.use_card(*n, *day, *yen, *declined, *both),
            Step::Forget(gone, idle) => {
                // The loop tends between two transactions.
                self.end(true);
                for at in 0..2 {
                    let of = |cards: &BTreeSet<u8>| {
                        cards.iter().filter(|n| partition(**n) == at).map(|n| card(*n)).collect()
                    };
                    let idle = idle.difference(gone).copied().collect();
                    let forgotten = Forgotten { partition: at, cards: of(gone), idle: of(&idle) };
                    self.worker.forget(&forgotten, &Zones::default());
                }
                self.dying = gone.clone();
            }
            Step::End(committed) => self.end(*committed),
            Step::Restore => {
                self.end(false);
                self.restore();
            }
        }
    }

    fn use_card(&mut self, n: u8, day: i64, yen: i64, declined: bool, both: bool) {
        if !self.dying.is_empty() {
            self.end(true);
        }
        self.number += 1;
        let mut sighting = sighting_with(self.number, START + day * DAY, yen, |transaction| {
            transaction.kind = Kind::Authorization;
            transaction.outcome = if declined { Outcome::Declined } else { Outcome::Approved };
        });
        sighting.card.fingerprint = card(n);
        sighting.incidents =
            if both { vec![incident("mall"), incident("shop")] } else { vec![incident("shop")] };
        self.worker.judge(partition(n), &sighting, &self.judge, Timestamp(START)).unwrap();
        self.open.push(Judged { life: (n, self.lives[n as usize]), day, yen, declined, both });
    }

    fn end(&mut self, committed: bool) {
        let (open, dying) = (std::mem::take(&mut self.open), std::mem::take(&mut self.dying));
        if !committed {
            return self.worker.discard();
        }
        self.log.extend(self.worker.records().unwrap());
        self.worker.merge();
        self.ever.extend(open);
        dying.iter().for_each(|n| self.lives[*n as usize] += 1);
    }

    fn restore(&mut self) {
        self.worker = Cards::default();
        for at in 0..2 {
            let mut memory = Memory::default();
            for state in self.log.iter().filter(|state| state.partition == at) {
                memory.take(&state.key, state.value.as_deref(), Timestamp(START)).unwrap();
            }
            memory.join_names();
            self.worker.take_up(at, memory);
        }
    }

    /// What the books say, read from the topic as anybody reads it.
    fn total(&self, id: &IncidentId) -> (Tally, u64, u64) {
        let mut ledger = Ledger::default();
        ledger.incident(id, Some(IncidentRecord::new(id.clone())));
        for State { partition, key, value } in &self.log {
            enter_history(&mut ledger, *partition, key, value.as_deref()).unwrap();
        }
        let book = ledger.book(id).unwrap();
        let weeks = |of: fn(&crate::books::Week) -> u64| book.weeks.values().map(of).sum();
        (Tally { cards: 0, ..book.total() }, weeks(|week| week.seen), weeks(|week| week.suspected))
    }

    /// The same by counting every judgement that was ever committed.
    fn naive(&self, is_mall: bool) -> (Tally, u64, u64) {
        let own: Vec<&Judged> = self.ever.iter().filter(|one| one.both || !is_mall).collect();
        let lives = |of: &dyn Fn(&&&Judged) -> bool| {
            own.iter().filter(of).map(|one| one.life).collect::<BTreeSet<_>>().len() as u64
        };
        let money = |of: &dyn Fn(&&&Judged) -> bool| {
            let amounts: Vec<u64> = own.iter().filter(of).map(|one| one.yen.unsigned_abs()).collect();
            crate::scoring::history::Money { count: amounts.len() as u64, sum: amounts.iter().sum() }
        };
        let flow = crate::scoring::history::Flow {
            approved: money(&|one| !one.declined),
            declined: money(&|one| one.declined),
            alerted_approved: money(&|one| !one.declined && one.yen >= DEAR),
            alerted_declined: money(&|one| one.declined && one.yen >= DEAR),
        };
        let time = |day: Option<i64>| day.map(|day| Timestamp(START + day * DAY));
        let (seen, suspected) = (lives(&|_| true), lives(&|one| one.yen >= DEAR));
        let mut tally = Tally {
            seen,
            suspected,
            sightings: own.len() as u64,
            purchases: flow.approved.count,
            declined: flow.declined.count,
            alerts: flow.alerted_approved.count + flow.alerted_declined.count,
            first: time(own.iter().map(|one| one.day).min()),
            last: time(own.iter().map(|one| one.day).max()),
            ..Tally::default()
        };
        if !own.is_empty() {
            let book = crate::books::MoneyBook { flow, ..Default::default() };
            tally.money.insert("JPY".parse().unwrap(), book);
        }
        (tally, seen, suspected)
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    #[test]
    fn the_books_count_every_judgement_through_deletions_aborts_and_restores(steps in steps()) {
        let mut world = World::new();
        for step in &steps {
            world.take(step);
            for (name, is_mall) in [("shop", false), ("mall", true)] {
                let id: IncidentId = name.parse().unwrap();
                prop_assert_eq!(world.total(&id), world.naive(is_mall), "{} after {:?}", name, step);
            }
        }
    }
}

#[test]
fn a_deleted_card_leaves_counts_and_no_fingerprint() {
    let mut world = World::new();
    world.take(&Step::Use(3, 1, 5, false, true));
    world.take(&Step::End(true));
    world.take(&Step::Forget([3].into(), BTreeSet::new()));
    let before = world.log.len();
    world.take(&Step::End(true));
    let tombstones: Vec<&State> = world.log[before..].iter().filter(|state| state.value.is_none()).collect();
    assert_eq!(tombstones.iter().map(|state| state.key.clone()).collect::<Vec<_>>(), [card(3).to_string()]);
    let left: Vec<&State> = world.log[before..].iter().filter(|state| state.value.is_some()).collect();
    assert_eq!(left.len(), 2, "one for each incident: {left:?}");
    for state in left {
        assert!(state.key.starts_with("departed/"), "{state:?}");
        let value = state.value.as_deref().unwrap();
        assert!(!value.windows(4).any(|window| window == [3; 4]), "{state:?}");
    }
    // Forgotten once: a history that is not there any more adds nothing.
    world.take(&Step::Forget([3].into(), [3].into()));
    world.take(&Step::End(true));
    assert_eq!(world.total(&"shop".parse().unwrap()).0.seen, 1);
}
