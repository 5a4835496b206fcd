//! What is owed to one endpoint, for one partition of alerts.

use std::collections::{BTreeMap, BTreeSet, HashSet};

use sha2::{Digest, Sha256};

use crate::domain::delivery::{DeliveryId, EndpointName};
use crate::domain::time::Timestamp;

use super::super::record::{Account, Key, Member, Owed, Range, Stage};
use super::{Batch, Intake};

/// Ranges kept apart; further ones are joined to the nearest, and what lies between is told once more.
const RANGES_MAX: usize = 32;

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
    /// Since when the oldest delivery that is made out is owed.
    pub oldest: Option<Timestamp>,
    /// The first offset that is owed.
    pub first: Option<i64>,
}

/// One endpoint's part of a ledger.
#[derive(Debug, Default)]
pub(super) struct Book {
    account: Option<Account>,
    owed: BTreeMap<DeliveryId, Owed>,
    /// When each delivery that waits is due, by due time: what [`Book::hasten`] moved is here alone.
    queue: BTreeSet<(Timestamp, DeliveryId)>,
    /// When each is due, as it stands in the queue.
    queued: BTreeMap<DeliveryId, Timestamp>,
    handed: HashSet<DeliveryId>,
    /// What was before the open transaction, by what it changes.
    account_before: Option<Option<Account>>,
    owed_before: BTreeMap<DeliveryId, Option<Owed>>,
}

impl Book {
    pub(super) fn account(&self) -> Option<&Account> {
        self.account.as_ref()
    }

    /// Deliveries that are made out.
    pub(super) fn len(&self) -> usize {
        self.owed.len()
    }

    pub(super) fn restore_account(&mut self, account: Option<Account>) {
        self.account = account;
    }

    pub(super) fn restore_owed(&mut self, id: DeliveryId, owed: Option<Owed>) {
        self.put(id, owed.filter(|owed| owed.stage != Stage::Failed));
    }

    pub(super) fn set_account(&mut self, account: Account) {
        if self.account_before.is_none() {
            self.account_before = Some(self.account.clone());
        }
        self.account = Some(account);
    }

    pub(super) fn owed(&self, id: &DeliveryId) -> Option<&Owed> {
        self.owed.get(id)
    }

    pub(super) fn attempts(&self, id: &DeliveryId) -> Option<u32> {
        self.owed.get(id).map(|owed| owed.attempts)
    }

    /// Keeps the queue in step with what is owed.
    fn put(&mut self, id: DeliveryId, owed: Option<Owed>) {
        if let Some(due) = self.queued.remove(&id) {
            self.queue.remove(&(due, id.clone()));
        }
        match owed {
            Some(owed) => {
                if owed.stage == Stage::Waiting {
                    self.queue.insert((owed.due, id.clone()));
                    self.queued.insert(id.clone(), owed.due);
                }
                self.owed.insert(id, owed);
            }
            None => drop(self.owed.remove(&id)),
        }
    }

    fn propose(&mut self, id: DeliveryId, owed: Option<Owed>) {
        let before = self.owed.get(&id).cloned();
        self.owed_before.entry(id.clone()).or_insert(before);
        self.put(id, owed);
    }

    pub(super) fn owe(&mut self, member: Member, now: Timestamp, intake: Intake) {
        let Some(account) = &self.account else { return };
        let overflow = account.ranges.iter().position(|range| !range.asked);
        if overflow.is_none() && !intake.closed && self.owed.len() < intake.room {
            self.make_out(member, now, intake);
            return;
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
                account.ranges.push(Range { from: member.offset, to, count: 1, asked: false });
                bound(&mut account.ranges);
            }
        }
        self.set_account(account);
    }

    fn make_out(&mut self, member: Member, now: Timestamp, intake: Intake) {
        if self.owed.contains_key(&member.id) {
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
        found: Vec<Member>,
        now: Timestamp,
        intake: Intake,
    ) {
        let Some(account) = &self.account else { return };
        let mut account = account.clone();
        let same = |known: &Range| known.from == range.from && known.asked == range.asked;
        let Some(place) = account.ranges.iter().position(same) else { return };
        let open = &mut account.ranges[place];
        open.from = upto.min(open.to);
        open.count = open.count.saturating_sub(found.len() as u64);
        if open.from >= open.to {
            account.ranges.remove(place);
        }
        self.set_account(account);
        for member in found {
            self.make_out(member, now, intake);
        }
    }

    pub(super) fn ask_for(&mut self, from: i64, to: i64) {
        let Some(account) = self.account.clone().filter(|_| from < to) else { return };
        let mut account = account;
        let count = u64::try_from(to - from).unwrap_or(0);
        account.ranges.push(Range { from, to, count, asked: true });
        bound(&mut account.ranges);
        self.set_account(account);
    }

    /// Members that gather become a delivery of their own, whose id says which they are.
    pub(super) fn gather(&mut self, endpoint: &EndpointName, now: Timestamp, batch: Batch) {
        loop {
            let gathering = self.owed.iter().filter(|(_, owed)| owed.stage == Stage::Gathering);
            let mut waiting: Vec<(i64, Timestamp, DeliveryId)> = gathering
                .filter_map(|(id, owed)| Some((owed.members.first()?.offset, owed.due, id.clone())))
                .collect();
            let is_due = waiting.iter().any(|(_, due, _)| *due <= now);
            if waiting.is_empty() || (waiting.len() < batch.max && !is_due) {
                return;
            }
            waiting.sort_unstable();
            waiting.truncate(batch.max);
            let mut members = Vec::with_capacity(waiting.len());
            let mut since = now;
            for (_, _, id) in waiting {
                if let Some(owed) = self.owed.get(&id) {
                    since = since.min(owed.since);
                    members.extend(owed.members.iter().cloned());
                }
                self.propose(id, None);
            }
            let id = batch_id(endpoint, &members);
            let owed = Owed { stage: Stage::Waiting, members, attempts: 0, due: now, since, last: None };
            self.propose(id, Some(owed));
        }
    }

    /// Those due by `now`, or without that the next whenever it is due. What the open transaction changes is not
    /// handed out: it does not hold yet.
    pub(super) fn hand_out(&mut self, now: Option<Timestamp>, limit: usize) -> Vec<Handed> {
        let due = self.queue.iter().take_while(|(due, _)| now.is_none_or(|now| *due <= now));
        let free = due.filter(|(_, id)| !self.handed.contains(id) && !self.owed_before.contains_key(id));
        let ids: Vec<DeliveryId> = free.take(limit).map(|(_, id)| id.clone()).collect();
        let mut handed = Vec::with_capacity(ids.len());
        for id in ids {
            let Some(owed) = self.owed.get(&id) else { continue };
            handed.push(Handed {
                id: id.clone(),
                members: owed.members.clone(),
                attempts: owed.attempts,
                early: now.is_none_or(|now| owed.due > now),
                since: owed.since,
            });
            self.handed.insert(id);
        }
        handed
    }

    pub(super) fn next_due(&self) -> Option<Timestamp> {
        let mut free = self.queue.iter().filter(|(_, id)| !self.handed.contains(id));
        free.next().map(|(due, _)| *due)
    }

    pub(super) fn give_back(&mut self, id: &DeliveryId) {
        self.handed.remove(id);
    }

    pub(super) fn settle(&mut self, id: &DeliveryId, owed: Option<Owed>) {
        if self.owed.contains_key(id) {
            self.propose(id.clone(), owed);
        }
    }

    pub(super) fn hasten(&mut self, now: Timestamp) {
        let later: Vec<(Timestamp, DeliveryId)> =
            self.queue.iter().filter(|(due, _)| *due > now).cloned().collect();
        for (due, id) in later {
            self.queue.remove(&(due, id.clone()));
            self.queue.insert((now, id.clone()));
            self.queued.insert(id, now);
        }
    }

    pub(super) fn replay(&mut self, members: Vec<Member>, id: Option<DeliveryId>, now: Timestamp) {
        let Some(id) = id.or_else(|| members.first().map(|member| member.id.clone())) else { return };
        let since = self.owed.get(&id).map_or(now, |owed| owed.since);
        let owed = Owed { stage: Stage::Waiting, members, attempts: 0, due: now, since, last: None };
        self.propose(id, Some(owed));
    }

    pub(super) fn debt(&self) -> Debt {
        let ranges = self.account.iter().flat_map(|account| &account.ranges);
        let members = self.owed.values().flat_map(|owed| &owed.members);
        let first_made_out = members.map(|member| member.offset).min();
        Debt {
            made_out: self.owed.values().map(|owed| owed.members.len() as u64).sum(),
            in_ranges: ranges.clone().map(|range| range.count).sum(),
            oldest: self.owed.values().map(|owed| owed.since).min(),
            first: ranges.map(|range| range.from).chain(first_made_out).min(),
        }
    }

    pub(super) fn is_changed(&self) -> bool {
        self.account_before.is_some() || !self.owed_before.is_empty()
    }

    pub(super) fn changes(&self, name: &EndpointName, changes: &mut Vec<(Key, Option<Vec<u8>>)>) {
        // A structure of texts and numbers always becomes JSON.
        let account = |account: &Account| serde_json::to_vec(account).unwrap_or_default();
        let json = |owed: &Owed| serde_json::to_vec(owed).unwrap_or_default();
        if self.account_before.is_some() {
            changes.push((Key::Endpoint(name.clone()), self.account.as_ref().map(account)));
        }
        for (id, before) in &self.owed_before {
            let now = self.owed.get(id);
            if now.is_some() || before.is_some() {
                changes.push((Key::Owed(name.clone(), id.clone()), now.map(json)));
            }
        }
    }

    pub(super) fn merge(&mut self) {
        self.account_before = None;
        for id in std::mem::take(&mut self.owed_before).into_keys() {
            self.handed.remove(&id);
            if self.owed.get(&id).is_some_and(|owed| owed.stage == Stage::Failed) {
                self.put(id, None);
            }
        }
    }

    pub(super) fn discard(&mut self) {
        if let Some(before) = self.account_before.take() {
            self.account = before;
        }
        for (id, before) in std::mem::take(&mut self.owed_before) {
            self.put(id, before);
        }
    }
}

/// The id of a batch: a function of the endpoint and of what is in it.
fn batch_id(endpoint: &EndpointName, members: &[Member]) -> DeliveryId {
    let mut hash = Sha256::new();
    hash.update(endpoint.as_str());
    for member in members {
        hash.update([b'/']);
        hash.update(member.id.as_str());
    }
    let digest = data_encoding::HEXLOWER.encode(&hash.finalize()[..16]);
    DeliveryId::written(&format!("bat_{digest}"))
}

/// Joins ranges of one kind until they are few enough.
fn bound(ranges: &mut Vec<Range>) {
    ranges.sort_unstable_by_key(|range| (range.asked, range.from));
    let mut joined: Vec<Range> = Vec::with_capacity(ranges.len());
    for range in ranges.drain(..) {
        match joined.last_mut() {
            Some(last) if last.asked == range.asked && range.from <= last.to => join(last, range),
            _ => joined.push(range),
        }
    }
    while joined.len() > RANGES_MAX {
        let gaps = joined.windows(2).enumerate();
        let near = gaps.filter(|(_, pair)| pair[0].asked == pair[1].asked);
        let Some((place, _)) = near.min_by_key(|(_, pair)| pair[1].from - pair[0].to) else { break };
        let next = joined.remove(place + 1);
        join(&mut joined[place], next);
    }
    *ranges = joined;
}

fn join(range: &mut Range, other: Range) {
    range.to = range.to.max(other.to);
    range.count =
        range.count.saturating_add(other.count).min(u64::try_from(range.to - range.from).unwrap_or(0));
}
