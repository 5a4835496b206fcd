//! What is owed to one endpoint, for one partition of alerts.

use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, BTreeSet, HashSet};

use sha2::{Digest, Sha256};

use crate::domain::delivery::{DeliveryId, EndpointName};
use crate::domain::time::Timestamp;

use super::super::record::{Account, Key, Member, Owed, Range, Stage};
use super::ranges::bound;
use super::{Batch, Intake};

/// The first pause before a delivery is hastened again, in milliseconds; it doubles.
const HASTEN_FIRST_MS: i64 = 1_000;

/// A delivery that is handed out to be tried.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Handed {
    /// Its id.
    pub id: DeliveryId,
    /// What it consists of.
    pub members: Vec<Member>,
    /// Attempts that were made before this one.
    pub attempts: u32,
    /// Whether it was not its turn.
    pub early: bool,
    /// Since when it is owed.
    pub since: Timestamp,
}

/// What is owed to an endpoint.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Debt {
    /// Alerts in deliveries that are made out.
    pub made_out: u64,
    /// Alerts in ranges, at most.
    pub in_ranges: u64,
    /// Since when the oldest is owed, made out or in a range; what lies before an endpoint began has no age.
    pub oldest: Option<Timestamp>,
    /// The first offset that is owed.
    pub first: Option<i64>,
}

/// A delivery that is made out.
#[derive(Debug, Clone)]
struct Made {
    owed: Owed,
    /// When it is its turn: when it is due, or earlier where [`Book::hasten`] says so.
    turn: Timestamp,
    /// How often it was hastened since its last attempt that counted.
    hastened: u32,
}

impl Made {
    fn new(owed: Owed) -> Made {
        Made { turn: owed.due, owed, hastened: 0 }
    }

    fn hasten(&mut self, now: Timestamp) {
        let pause = match self.hastened {
            0 => 0,
            times => HASTEN_FIRST_MS << (times - 1).min(20),
        };
        let turn = now.plus_millis(pause);
        if turn < self.turn {
            self.turn = turn;
            self.hastened += 1;
        }
    }
}

/// One endpoint's part of a ledger.
#[derive(Debug, Default)]
pub(super) struct Book {
    account: Option<Account>,
    made: BTreeMap<DeliveryId, Made>,
    /// Alerts in what is made out.
    alerts: usize,
    /// What may be handed out, by its turn: what waits, is not handed out already and holds. Nothing else stands here,
    /// so that handing out looks at nothing that it does not take.
    queue: BTreeSet<(Timestamp, DeliveryId)>,
    handed: HashSet<DeliveryId>,
    /// What was handed out and is settled once the open transaction holds.
    settled: HashSet<DeliveryId>,
    /// What was before the open transaction, by what it changes.
    account_before: Option<Option<Account>>,
    made_before: BTreeMap<DeliveryId, Option<Made>>,
}

impl Book {
    pub(super) fn account(&self) -> Option<&Account> {
        self.account.as_ref()
    }

    /// Alerts in deliveries that are made out.
    pub(super) fn alerts(&self) -> usize {
        self.alerts
    }

    pub(super) fn restore_account(&mut self, account: Option<Account>) {
        self.account = account;
    }

    pub(super) fn restore_owed(&mut self, id: DeliveryId, owed: Option<Owed>) {
        let owed = owed.filter(|owed| owed.stage != Stage::Failed);
        self.put(id, owed.map(Made::new));
    }

    pub(super) fn set_account(&mut self, account: Account) {
        if self.account_before.is_none() {
            self.account_before = Some(self.account.clone());
        }
        self.account = Some(account);
    }

    pub(super) fn owed(&self, id: &DeliveryId) -> Option<&Owed> {
        self.made.get(id).map(|made| &made.owed)
    }

    /// Every delivery that is made out, by id.
    pub(super) fn all_owed(&self) -> impl Iterator<Item = (&DeliveryId, &Owed)> {
        self.made.iter().map(|(id, made)| (id, &made.owed))
    }

    /// Keeps the queue and the number of alerts in step with what is made out.
    fn put(&mut self, id: DeliveryId, made: Option<Made>) {
        self.unqueue(&id);
        let before = match made {
            Some(made) => {
                self.alerts += made.owed.members.len();
                self.made.insert(id.clone(), made)
            }
            None => self.made.remove(&id),
        };
        self.alerts -= before.map_or(0, |made| made.owed.members.len());
        self.enqueue(id);
    }

    fn unqueue(&mut self, id: &DeliveryId) {
        if let Some(made) = self.made.get(id) {
            self.queue.remove(&(made.turn, id.clone()));
        }
    }

    /// Queues a delivery if it may be handed out.
    fn enqueue(&mut self, id: DeliveryId) {
        if let Some(made) = self.made.get(&id)
            && made.owed.stage == Stage::Waiting
            && !self.handed.contains(&id)
            && !self.made_before.contains_key(&id)
        {
            self.queue.insert((made.turn, id));
        }
    }

    fn propose(&mut self, id: DeliveryId, owed: Option<Owed>) {
        if let Entry::Vacant(before) = self.made_before.entry(id.clone()) {
            before.insert(self.made.get(&id).cloned());
        }
        let before = self.made.get(&id);
        let made = owed.map(|owed| {
            let same = before.filter(|before| before.owed.attempts == owed.attempts);
            Made { hastened: same.map_or(0, |before| before.hastened), ..Made::new(owed) }
        });
        self.put(id, made);
    }

    pub(super) fn owe(&mut self, member: Member, now: Timestamp, intake: Intake) -> bool {
        let Some(account) = &self.account else { return false };
        let overflow = account.ranges.iter().position(|range| !range.asked);
        if overflow.is_none() && !intake.closed && self.alerts < intake.room {
            self.make_out(member, now, intake);
            return true;
        }
        let mut account = account.clone();
        let to = member.offset + 1;
        match overflow {
            Some(place) => {
                let range = &mut account.ranges[place];
                range.to = range.to.max(to);
                range.count += 1;
            }
            None => {
                account.ranges.push(Range {
                    from: member.offset,
                    to,
                    count: 1,
                    asked: false,
                    since: Some(now),
                });
                bound(&mut account.ranges);
            }
        }
        self.set_account(account);
        false
    }

    fn make_out(&mut self, member: Member, now: Timestamp, intake: Intake) {
        if self.owed(&member.id).is_some_and(|owed| owed.stage != Stage::Failed) {
            return;
        }
        let (stage, due) = match intake.batch {
            Some(batch) => (Stage::Gathering, now.plus_millis(batch.wait_ms)),
            None => (Stage::Waiting, now),
        };
        let id = member.id.clone();
        let owed = Owed { stage, members: vec![member], attempts: 0, due, since: now, last: None };
        self.propose(id, Some(owed));
    }

    pub(super) fn open(
        &mut self,
        range: Range,
        upto: i64,
        mut found: Vec<(Member, Timestamp)>,
        now: Timestamp,
        intake: Intake,
    ) {
        let Some(account) = self.account.as_ref().filter(|_| !intake.closed) else { return };
        let mut account = account.clone();
        let same = |known: &Range| known.from == range.from && known.asked == range.asked;
        let Some(place) = account.ranges.iter().position(same) else { return };
        // What came in since there was room may have taken it.
        let room = intake.room.saturating_sub(self.alerts);
        let upto = found.get(room).map_or(upto, |(first_left, _)| first_left.offset);
        found.truncate(room);
        let open = &mut account.ranges[place];
        open.from = upto.clamp(open.from, open.to);
        open.count = open.count.saturating_sub(found.len() as u64).min(open.span());
        if let (Some(since), Some((_, passed))) = (&mut open.since, found.last()) {
            // What is left came in after the last of these.
            *since = (*since).max(*passed);
        }
        if open.from >= open.to {
            account.ranges.remove(place);
        }
        self.set_account(account);
        for (member, _) in found {
            self.make_out(member, now, intake);
        }
    }

    /// What came in without room is closed with it: what comes in after a return must not stretch it over what
    /// the endpoint was not told of meanwhile.
    pub(super) fn leave(&mut self, at: i64) {
        let Some(mut account) = self.account.clone().filter(|account| account.left.is_none()) else { return };
        account.left = Some(at);
        account.ranges.iter_mut().for_each(|range| range.asked = true);
        bound(&mut account.ranges);
        self.set_account(account);
    }

    pub(super) fn ask_for(&mut self, from: i64, to: i64, now: Timestamp) {
        let Some(account) = self.account.clone().filter(|_| from < to) else { return };
        let mut account = account;
        account.ranges.push(Range { since: Some(now), ..Range::asked(from, to) });
        bound(&mut account.ranges);
        self.set_account(account);
    }

    /// Members that gather become a delivery of their own, whose id says which they are.
    pub(super) fn gather(&mut self, endpoint: &EndpointName, now: Timestamp, batch: Batch) {
        let gathering = self.made.iter().filter(|(_, made)| made.owed.stage == Stage::Gathering);
        let mut waiting: Vec<(i64, Timestamp, DeliveryId)> = gathering
            .filter_map(|(id, made)| Some((made.owed.members.first()?.offset, made.owed.due, id.clone())))
            .collect();
        waiting.sort_unstable();
        for together in waiting.chunks(batch.max.max(1)) {
            if together.len() < batch.max && !together.iter().any(|(_, due, _)| *due <= now) {
                return;
            }
            let mut members = Vec::with_capacity(together.len());
            let mut since = now;
            for (_, _, id) in together {
                if let Some(owed) = self.owed(id) {
                    since = since.min(owed.since);
                    members.extend(owed.members.iter().cloned());
                }
                self.propose(id.clone(), None);
            }
            let id = batch_id(endpoint, &members);
            let owed = Owed { stage: Stage::Waiting, members, attempts: 0, due: now, since, last: None };
            self.propose(id, Some(owed));
        }
    }

    /// At most `limit` whose turn it is at `now`, or with `whenever` the next ones even if it is not. What the open
    /// transaction changes is not handed out: it does not hold yet.
    pub(super) fn hand_out(&mut self, now: Timestamp, limit: usize, whenever: bool) -> Vec<Handed> {
        let mut handed = Vec::new();
        while handed.len() < limit
            && let Some(next) = self.queue.pop_first()
        {
            if next.0 > now && !whenever {
                self.queue.insert(next);
                break;
            }
            let Some(owed) = self.owed(&next.1) else { continue };
            handed.push(Handed {
                id: next.1.clone(),
                members: owed.members.clone(),
                attempts: owed.attempts,
                early: owed.due > now,
                since: owed.since,
            });
            self.handed.insert(next.1);
        }
        handed
    }

    pub(super) fn next_due(&self) -> Option<Timestamp> {
        self.queue.first().map(|(turn, _)| *turn)
    }

    pub(super) fn give_back(&mut self, id: &DeliveryId) {
        if self.handed.remove(id) {
            self.enqueue(id.clone());
        }
    }

    pub(super) fn settle(&mut self, id: &DeliveryId, owed: Option<Owed>) {
        if self.made.contains_key(id) {
            if self.handed.contains(id) {
                self.settled.insert(id.clone());
            }
            self.propose(id.clone(), owed);
        }
    }

    /// For a build that is broken on purpose: what is in a batch goes on under an id that nobody was told.
    pub(super) fn form_anew(&mut self, id: &DeliveryId, owed: Owed) {
        self.settle(id, None);
        self.propose(DeliveryId::written(&format!("{id}-{}", owed.attempts)), Some(owed));
    }

    /// Also what is handed out, or changed by the open transaction: it may come back to its place.
    pub(super) fn hasten(&mut self, now: Timestamp) {
        for made in self.made.values_mut().chain(self.made_before.values_mut().flatten()) {
            made.hasten(now);
        }
        let queue = std::mem::take(&mut self.queue);
        let turn = |id: &DeliveryId, turn| self.made.get(id).map_or(turn, |made| made.turn);
        self.queue = queue.into_iter().map(|(before, id)| (turn(&id, before), id)).collect();
    }

    pub(super) fn hasten_one(&mut self, id: &DeliveryId, now: Timestamp) {
        self.unqueue(id);
        if let Some(made) = self.made.get_mut(id) {
            made.hasten(now);
            self.enqueue(id.clone());
        }
    }

    pub(super) fn replay(&mut self, members: Vec<Member>, id: Option<DeliveryId>, now: Timestamp) {
        let Some(id) = id.or_else(|| members.first().map(|member| member.id.clone())) else { return };
        let since = self.owed(&id).map_or(now, |owed| owed.since);
        let owed = Owed { stage: Stage::Waiting, members, attempts: 0, due: now, since, last: None };
        self.propose(id, Some(owed));
    }

    pub(super) fn debt(&self) -> Debt {
        let account = self.account.as_ref();
        let first_in_ranges = account.into_iter().flat_map(|account| &account.ranges).map(|range| range.from);
        let made_out = self.made.values().map(|made| made.owed.since);
        let members = self.made.values().flat_map(|made| &made.owed.members);
        let first_made_out = members.map(|member| member.offset).min();
        Debt {
            made_out: self.alerts as u64,
            in_ranges: account.map_or(0, Account::in_ranges),
            oldest: account.and_then(Account::oldest).into_iter().chain(made_out).min(),
            first: first_in_ranges.chain(first_made_out).min(),
        }
    }

    pub(super) fn is_changed(&self) -> bool {
        self.account_before.is_some() || !self.made_before.is_empty()
    }

    pub(super) fn changes(&self, name: &EndpointName, changes: &mut Vec<(Key, Option<Vec<u8>>)>) {
        // A structure of texts and numbers always becomes JSON.
        let account = |account: &Account| serde_json::to_vec(account).unwrap_or_default();
        let json = |owed: &Owed| serde_json::to_vec(owed).unwrap_or_default();
        if self.account_before.is_some() {
            changes.push((Key::Endpoint(name.clone()), self.account.as_ref().map(account)));
        }
        for (id, before) in &self.made_before {
            let now = self.owed(id);
            if now.is_some() || before.is_some() {
                changes.push((Key::Owed(name.clone(), id.clone()), now.map(json)));
            }
        }
    }

    pub(super) fn merge(&mut self) {
        self.account_before = None;
        for id in self.settled.drain() {
            self.handed.remove(&id);
        }
        for id in std::mem::take(&mut self.made_before).into_keys() {
            if self.owed(&id).is_some_and(|owed| owed.stage == Stage::Failed) {
                self.put(id, None);
            } else {
                self.enqueue(id);
            }
        }
    }

    pub(super) fn discard(&mut self) {
        if let Some(before) = self.account_before.take() {
            self.account = before;
        }
        self.settled.clear();
        for (id, before) in std::mem::take(&mut self.made_before) {
            self.put(id, before);
        }
    }
}

/// The id of a batch: a function of the endpoint and of what is in it.
pub(super) fn batch_id(endpoint: &EndpointName, members: &[Member]) -> DeliveryId {
    let mut hash = Sha256::new();
    hash.update(endpoint.as_str());
    for member in members {
        hash.update([b'/']);
        hash.update(member.id.as_str());
    }
    let digest = data_encoding::HEXLOWER.encode(&hash.finalize()[..16]);
    DeliveryId::written(&format!("bat_{digest}"))
}
