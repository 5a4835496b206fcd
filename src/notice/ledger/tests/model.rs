//! Any sequence of operations, against a ledger written as plainly as can be: a transaction is a copy of everything.

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;

use super::super::*;
use super::ops::{Op, op};
use super::{Topic, member, restored, write};

/// Alerts come in at the offsets from 0; every third is not wanted.
fn is_wanted(offset: i64) -> bool {
    offset % 3 != 1
}

const ROOM: usize = 7;
const BEGUN: i64 = 5;
const SINCE: i64 = 2;

/// What holds, or would hold.
#[derive(Debug, Clone, Default, PartialEq)]
struct State {
    next: i64,
    left: Option<i64>,
    overflow: Option<(i64, i64)>,
    /// Since when the oldest of the overflow is owed.
    since: Option<Timestamp>,
    /// When each alert came in.
    raised: BTreeMap<i64, Timestamp>,
    asked: BTreeSet<i64>,
    owed: BTreeMap<DeliveryId, Owed>,
    failed: BTreeMap<DeliveryId, Vec<Member>>,
    done: BTreeSet<i64>,
    /// Turns that a success moved to the front.
    turn: BTreeMap<DeliveryId, Timestamp>,
    /// How often one did, since an attempt counted.
    hastened: BTreeMap<DeliveryId, u32>,
}

impl State {
    /// At once the first time, and then after 1, 2, 4, … seconds, unless it is its turn sooner.
    fn hasten(&mut self, id: &DeliveryId, now: Timestamp) {
        let Some(owed) = self.owed.get(id) else { return };
        let times = self.hastened.get(id).copied().unwrap_or(0);
        let pause = if times == 0 { 0 } else { 1_000 * 2i64.pow(times - 1) };
        let turn = self.turn.get(id).copied().unwrap_or(owed.due);
        if now.plus_millis(pause) < turn {
            self.turn.insert(id.clone(), now.plus_millis(pause));
            self.hastened.insert(id.clone(), times + 1);
        }
    }

    fn alerts(&self) -> usize {
        self.owed.values().map(|owed| owed.members.len()).sum()
    }
}

struct World {
    batch: Option<Batch>,
    name: EndpointName,
    ledger: Ledger,
    topic: Topic,
    now: Timestamp,
    disabled: bool,
    holds: State,
    proposed: State,
    touched: BTreeSet<DeliveryId>,
    /// What is under way; what the open transaction settles of it is told anew when that is discarded.
    under_way: Vec<DeliveryId>,
    settled: Vec<DeliveryId>,
    /// Members by id, of all that was ever seen.
    seen: BTreeMap<DeliveryId, Vec<Member>>,
}

impl World {
    fn new(batch: Option<Batch>) -> World {
        let name: EndpointName = "desk".parse().unwrap();
        let holds = State { next: BEGUN, asked: (SINCE..BEGUN).collect(), ..State::default() };
        let mut world = World {
            batch,
            name: name.clone(),
            ledger: Ledger::default(),
            topic: Topic::new(),
            now: Timestamp(1_000_000),
            disabled: false,
            proposed: holds.clone(),
            holds,
            touched: BTreeSet::new(),
            under_way: Vec::new(),
            settled: Vec::new(),
            seen: BTreeMap::new(),
        };
        world.ledger.begin(&name, BEGUN, Some(SINCE));
        write(&mut world.topic, &world.ledger);
        world.ledger.merge();
        world
    }

    fn intake(&self) -> Intake {
        Intake { room: ROOM, closed: self.disabled, batch: self.batch }
    }

    fn propose(&mut self, id: DeliveryId, owed: Option<Owed>) {
        self.touched.insert(id.clone());
        self.proposed.turn.remove(&id);
        let attempts = |owed: &Owed| owed.attempts;
        if self.proposed.owed.get(&id).map(attempts) != owed.as_ref().map(attempts) {
            self.proposed.hastened.remove(&id);
        }
        match owed {
            Some(owed) => {
                self.proposed.failed.remove(&id);
                self.proposed.owed.insert(id, owed);
            }
            None => drop(self.proposed.owed.remove(&id)),
        }
    }

    fn make_out(&mut self, member: Member) {
        if self.proposed.owed.get(&member.id).is_some_and(|owed| owed.stage != Stage::Failed) {
            return;
        }
        let (stage, wait) = self.batch.map_or((Stage::Waiting, 0), |batch| (Stage::Gathering, batch.wait_ms));
        let due = self.now.plus_millis(wait);
        let id = member.id.clone();
        let owed = Owed { stage, members: vec![member], attempts: 0, due, since: self.now, last: None };
        self.propose(id, Some(owed));
    }

    fn take(&mut self, count: i64) {
        for offset in self.proposed.next..self.proposed.next + count {
            self.proposed.next = offset + 1;
            self.proposed.raised.insert(offset, self.now);
            if !is_wanted(offset) {
                continue;
            }
            self.ledger.owe(&self.name, member(offset), self.now, self.intake());
            if self.proposed.left.is_some() {
                continue;
            }
            match self.proposed.overflow {
                Some((from, _)) => self.proposed.overflow = Some((from, offset + 1)),
                None if self.disabled || self.proposed.alerts() >= ROOM => {
                    self.proposed.overflow = Some((offset, offset + 1));
                    self.proposed.since = Some(self.now);
                }
                None => self.make_out(member(offset)),
            }
        }
    }

    fn open(&mut self, count: i64) {
        let range = self.ledger.to_open(&self.name, self.intake());
        let run = |asked: &BTreeSet<i64>| {
            let from = *asked.first()?;
            Some((from, (from..).find(|offset| !asked.contains(offset))?, true))
        };
        let new = self.proposed.overflow.map(|(from, to)| (from, to, false));
        let want = new.or_else(|| run(&self.proposed.asked));
        let want = want.filter(|_| !self.disabled && self.proposed.alerts() <= ROOM / 2);
        assert_eq!(range.map(|range| (range.from, range.to, range.asked)), want);
        let Some(range) = range else { return };
        let upto = range.to.min(range.from + count);
        let found: Vec<i64> = (range.from..upto).filter(|offset| is_wanted(*offset)).collect();
        let raised = |offset: i64| self.proposed.raised.get(&offset).copied().unwrap_or(Timestamp(0));
        let members = found.iter().map(|offset| (member(*offset), raised(*offset))).collect();
        self.ledger.open(&self.name, range, upto, members, self.now, self.intake());
        let room = ROOM - self.proposed.alerts();
        let upto = found.get(room).copied().unwrap_or(upto);
        if range.asked {
            self.proposed.asked.retain(|offset| !(range.from..upto).contains(offset));
        } else {
            let passed = found.iter().take(room).next_back().map(|offset| raised(*offset));
            self.proposed.overflow = (upto < range.to).then_some((upto, range.to));
            self.proposed.since = self.proposed.overflow.and(self.proposed.since.max(passed));
        }
        found.into_iter().take(room).for_each(|offset| self.make_out(member(offset)));
    }

    fn gather(&mut self) {
        let Some(batch) = self.batch else { return };
        self.ledger.gather(&self.name, self.now, batch);
        loop {
            let gathering = self.proposed.owed.values().filter(|owed| owed.stage == Stage::Gathering);
            let mut gathering: Vec<Owed> = gathering.cloned().collect();
            gathering.sort_by_key(|owed| owed.members[0].offset);
            let is_due = gathering.iter().any(|owed| owed.due <= self.now);
            if gathering.len() < batch.max && !is_due {
                return;
            }
            gathering.truncate(batch.max);
            let since = gathering.iter().map(|owed| owed.since).min().unwrap();
            let members: Vec<Member> = gathering.into_iter().flat_map(|owed| owed.members).collect();
            members.iter().for_each(|member| self.propose(member.id.clone(), None));
            let id = book::batch_id(&self.name, &members);
            let due = self.now;
            let owed = Owed { stage: Stage::Waiting, members, attempts: 0, due, since, last: None };
            self.propose(id, Some(owed));
        }
    }

    fn turn_of(&self, id: &DeliveryId, owed: &Owed) -> Timestamp {
        self.holds.turn.get(id).map_or(owed.due, |turn| owed.due.min(*turn))
    }

    /// What may be handed out, in its order.
    fn free(&self) -> Vec<(Timestamp, DeliveryId)> {
        let waiting = self.holds.owed.iter().filter(|(_, owed)| owed.stage == Stage::Waiting);
        let free = waiting.filter(|(id, _)| {
            !self.touched.contains(*id) && !self.under_way.contains(id) && !self.settled.contains(id)
        });
        let mut free: Vec<_> = free.map(|(id, owed)| (self.turn_of(id, owed), id.clone())).collect();
        free.sort();
        free
    }

    fn handed(&mut self, handed: Vec<Handed>, want: Vec<DeliveryId>) {
        assert_eq!(handed.iter().map(|handed| handed.id.clone()).collect::<Vec<_>>(), want);
        for handed in handed {
            let owed = &self.holds.owed[&handed.id];
            assert_eq!((&handed.members, handed.attempts), (&owed.members, owed.attempts));
            assert_eq!((handed.since, handed.early), (owed.since, owed.due > self.now));
            self.under_way.push(handed.id);
        }
    }

    fn settle(&mut self, which: usize, settle: impl FnOnce(&mut World, &DeliveryId, Owed)) {
        if self.under_way.is_empty() {
            return;
        }
        let id = self.under_way.remove(which % self.under_way.len());
        let owed = self.proposed.owed[&id].clone();
        settle(self, &id, owed);
        self.settled.push(id);
    }

    fn apply(&mut self, op: Op) {
        match op {
            Op::Take(count) => self.take(count),
            Op::Open(count) => self.open(count),
            Op::Gather => self.gather(),
            Op::Pass(millis) => self.now = self.now.plus_millis(millis),
            Op::Disable(disabled) => self.disabled = disabled,
            Op::HandOut(limit) => {
                let handed = self.ledger.hand_out(&self.name, self.now, limit);
                let due = self.free().into_iter().filter(|(turn, _)| *turn <= self.now);
                let want = due.take(limit).map(|(_, id)| id).collect();
                self.handed(handed, want);
            }
            Op::HandOutNext => {
                let handed = self.ledger.hand_out_next(&self.name, self.now).into_iter().collect();
                let want = self.free().into_iter().take(1).map(|(_, id)| id).collect();
                self.handed(handed, want);
            }
            Op::GiveBack(which) if !self.under_way.is_empty() => {
                let id = self.under_way.remove(which % self.under_way.len());
                self.ledger.give_back(&self.name, &id);
            }
            Op::GiveBack(_) => {}
            Op::Delivered(which) => self.settle(which, |world, id, owed| {
                world.ledger.delivered(&world.name, id);
                world.proposed.done.extend(owed.members.iter().map(|member| member.offset));
                world.propose(id.clone(), None);
            }),
            Op::Failed(which, next, counted) => self.settle(which, |world, id, mut owed| {
                let next = next.map(|wait| world.now.plus_millis(wait));
                world.ledger.failed(&world.name, id, next, "timeout", counted);
                owed.attempts += u32::from(counted);
                owed.last = Some("timeout".to_owned());
                match next {
                    Some(due) => owed.due = due,
                    None => owed.stage = Stage::Failed,
                }
                world.propose(id.clone(), Some(owed));
            }),
            other => self.apply_rare(other),
        }
    }

    fn apply_rare(&mut self, op: Op) {
        match op {
            Op::Hasten => {
                let before = (self.ledger.changes(), self.owed());
                self.ledger.hasten(&self.name, self.now);
                assert_eq!((self.ledger.changes(), self.owed()), before, "a record changed");
                for state in [&mut self.holds, &mut self.proposed] {
                    let ids: Vec<DeliveryId> = state.owed.keys().cloned().collect();
                    ids.iter().for_each(|id| state.hasten(id, self.now));
                }
            }
            Op::HastenOne(which) if !self.proposed.owed.is_empty() => {
                let which = which % self.proposed.owed.len();
                let id = self.proposed.owed.keys().nth(which).unwrap().clone();
                self.ledger.hasten_one(&self.name, &id, self.now);
                self.proposed.hasten(&id, self.now);
                if !self.touched.contains(&id) {
                    self.holds.hasten(&id, self.now);
                }
            }
            Op::Leave => {
                self.ledger.leave(&self.name, self.proposed.next);
                if self.proposed.left.is_none() {
                    self.proposed.left = Some(self.proposed.next);
                    let overflow = self.proposed.overflow.take();
                    self.proposed.since = None;
                    self.proposed.asked.extend(overflow.into_iter().flat_map(|(from, to)| from..to));
                }
            }
            Op::Rejoin => {
                let left = self.ledger.rejoin(&self.name);
                assert_eq!(left, self.proposed.left.take());
                if let Some(left) = left {
                    self.ask(left, self.proposed.next);
                }
            }
            Op::Replay(offset) if offset < self.proposed.next && is_wanted(offset) => {
                let member = member(offset);
                self.ledger.replay(&self.name, member.clone(), self.now);
                self.replay(member.id.clone(), vec![member]);
            }
            Op::ReplayFailed(which) if !self.holds.failed.is_empty() => {
                let which = which % self.holds.failed.len();
                let (id, members) = self.holds.failed.iter().nth(which).unwrap();
                let (id, members) = (id.clone(), members.clone());
                self.ledger.replay_failed(&self.name, &id, members.clone(), self.now);
                self.replay(id, members);
            }
            Op::ReplayRange(from, to) => self.ask(from, to.min(self.proposed.next)),
            Op::Merge => self.merge(),
            Op::Discard => {
                self.ledger.discard();
                self.proposed = self.holds.clone();
                self.touched.clear();
                self.under_way.append(&mut self.settled);
            }
            Op::Restart => {
                self.ledger = restored(&self.topic);
                self.holds.turn.clear();
                self.holds.hastened.clear();
                self.proposed = self.holds.clone();
                self.touched.clear();
                self.under_way.clear();
                self.settled.clear();
            }
            _ => {}
        }
    }

    fn ask(&mut self, from: i64, to: i64) {
        self.ledger.replay_range(&self.name, from, to, self.now);
        self.proposed.asked.extend(from..to);
    }

    fn replay(&mut self, id: DeliveryId, members: Vec<Member>) {
        let since = self.proposed.owed.get(&id).map_or(self.now, |owed| owed.since);
        let due = self.now;
        let owed = Owed { stage: Stage::Waiting, members, attempts: 0, due, since, last: None };
        self.propose(id, Some(owed));
    }

    fn merge(&mut self) {
        write(&mut self.topic, &self.ledger);
        self.ledger.merge();
        let failed = |owed: &Owed| owed.stage == Stage::Failed;
        for (id, owed) in self.proposed.owed.extract_if(.., |_, owed| failed(owed)) {
            self.proposed.failed.insert(id, owed.members);
        }
        self.holds = self.proposed.clone();
        self.touched.clear();
        self.settled.clear();
        // The topic says what the ledger holds, and nothing else.
        let again = restored(&self.topic);
        assert_eq!(again.account(&self.name), self.ledger.account(&self.name));
        assert_eq!(
            again.owed(&self.name).collect::<Vec<_>>(),
            self.ledger.owed(&self.name).collect::<Vec<_>>()
        );
        assert_eq!(again.debt(&self.name), self.ledger.debt(&self.name));
    }

    fn owed(&self) -> BTreeMap<DeliveryId, Owed> {
        self.ledger.owed(&self.name).map(|(id, owed)| (id.clone(), owed.clone())).collect()
    }

    fn check(&mut self, with_replays: bool) {
        let owed = self.owed();
        assert_eq!(owed, self.proposed.owed);
        assert_eq!(self.ledger.next_due(&self.name), self.free().first().map(|(turn, _)| *turn));
        let account = self.ledger.account(&self.name).unwrap();
        assert_eq!(account.left, self.proposed.left);
        let (asked, new): (Vec<Range>, Vec<Range>) = account.ranges.iter().partition(|range| range.asked);
        let asked: Vec<i64> = asked.iter().flat_map(|range| range.from..range.to).collect();
        assert_eq!(asked, self.proposed.asked.iter().copied().collect::<Vec<_>>());
        assert_eq!(
            new.iter().map(|range| (range.from, range.to, range.since)).collect::<Vec<_>>(),
            self.proposed
                .overflow
                .map(|(from, to)| (from, to, self.proposed.since))
                .into_iter()
                .collect::<Vec<_>>()
        );
        let made_out = owed.values().map(|owed| owed.since);
        let oldest = made_out.chain(account.ranges.iter().filter_map(|range| range.since)).min();
        assert_eq!(self.ledger.debt(&self.name).oldest, oldest);
        for range in &account.ranges {
            let wanted = (range.from..range.to).filter(|offset| is_wanted(*offset)).count() as u64;
            assert!((wanted..=range.span()).contains(&range.count), "{range:?}");
        }
        for (id, owed) in owed {
            let members = self.seen.entry(id.clone()).or_insert_with(|| owed.members.clone());
            assert_eq!(*members, owed.members, "{id} changed");
        }
        if !with_replays {
            assert!(self.proposed.alerts() <= ROOM, "{}", self.proposed.alerts());
            assert_eq!(self.ledger.debt(&self.name).made_out, self.proposed.alerts() as u64);
        }
        for state in [&self.holds, &self.proposed] {
            everything_has_one_place(state, with_replays);
        }
    }
}

/// Each alert that is wanted is done, failed, made out or in a range; without replays in one of them.
fn everything_has_one_place(state: &State, with_replays: bool) {
    let gone = state.left.unwrap_or(i64::MAX);
    for offset in (SINCE..state.next.min(gone)).filter(|offset| is_wanted(*offset)) {
        let of = |members: &[Member]| members.iter().filter(|member| member.offset == offset).count();
        let made_out: usize = state.owed.values().map(|owed| of(&owed.members)).sum();
        let failed: usize = state.failed.values().map(|members| of(members)).sum();
        let in_range = state.overflow.is_some_and(|(from, to)| (from..to).contains(&offset));
        let asked = state.asked.contains(&offset);
        let places = made_out
            + failed
            + usize::from(in_range)
            + usize::from(asked)
            + usize::from(state.done.contains(&offset));
        assert!(places == 1 || (with_replays && places > 1), "{offset} has {places} places");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn whatever_happens_the_ledger_is_what_the_naive_one_is(
        (with_replays, ops) in any::<bool>().prop_flat_map(|with| (Just(with), prop::collection::vec(op(with), 1..120))),
        batch in prop::option::of((1usize..5, 0i64..200).prop_map(|(max, wait_ms)| Batch { max, wait_ms })),
    ) {
        let mut world = World::new(batch);
        for op in ops {
            world.apply(op);
            world.check(with_replays);
        }
    }
}
