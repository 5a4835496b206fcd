//! What the line does between records: takes in what couriers said, makes ranges out, puts batches together, carries
//! out commands, and hands out what is due.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use super::Notify;
use super::courier::{End, Job, News, Settled};
use super::endpoint::Endpoint;
use super::sheets::{Found, Sheet, Tenure, Wish};
use super::state::Parked;
use crate::domain::delivery::{DeliveryId, EndpointName};
use crate::notice::control::{Command, Replay};
use crate::notice::ledger::Handed;
use crate::notice::record::Member;
use crate::notice::standing::Allowance;

/// Records of a range read at once.
const RANGE_READ: usize = 500;
/// How often metrics are brought up to date, in milliseconds.
const SHOW_EVERY_MS: i64 = 1_000;
/// How long a delivery waits whose schedule is over, while its endpoint takes nothing at all, in milliseconds.
const DAY_MS: i64 = 86_400_000;
/// What couriers said is written down this often, in milliseconds, unless a transaction is made anyhow …
const BOOKS_EVERY_MS: u64 = 200;
/// … or so much was said.
const SAID_MANY: usize = 500;

impl Notify {
    /// The endpoint of a name, as it is configured.
    pub(super) fn endpoint(&self, name: &EndpointName) -> Option<Arc<Endpoint>> {
        self.endpoints.0.iter().find(|endpoint| endpoint.name == *name).cloned()
    }

    /// Takes what couriers and readers have said, without a change to any ledger.
    pub(super) fn collect(&mut self) {
        let settled: Vec<Settled> = self.settled.1.try_iter().collect();
        for settled in settled {
            self.judge_endpoint(&settled);
            if settled.raised_at.is_none() {
                self.heartbeat_settled(&settled);
                continue;
            }
            let place = (settled.tenure, settled.id.clone());
            if let Some(under_way) = self.state.under_way.get_mut(&settled.endpoint) {
                under_way.remove(&place);
            }
            if self.state.is_current(settled.tenure) {
                self.state.queue.push(settled);
            }
        }
        let found: Vec<_> = self.sheets.found().collect();
        for (tenure, found) in found {
            if !self.state.is_current(tenure) {
                continue;
            }
            match found {
                Found::Alerts { sheets, gone } => {
                    self.state.asking.remove(&tenure);
                    self.unpark(tenure, &sheets, &gone);
                }
                Found::From(offset) => {
                    if let Some(held) = self.state.held.get_mut(&tenure.0) {
                        held.stays_from = offset;
                    }
                }
                // It is asked again soon.
                Found::Failed(Wish::From(_)) => {}
                Found::Failed(Wish::Alerts(offsets)) => self.sheets.ask(tenure, Wish::Alerts(offsets)),
                Found::Failed(Wish::Range { endpoint, .. }) => {
                    if let Some(held) = self.state.held.get_mut(&tenure.0) {
                        held.openings.remove(&endpoint);
                    }
                }
                range @ Found::Range { .. } => self.state.ranges.push((tenure, range)),
            }
        }
    }

    /// Whether what has come in is worth a transaction by itself. Each costs some milliseconds, in which no alert is
    /// taken in; and nobody waits for what this one would say but a restart.
    pub(super) fn is_time_for_books(&mut self) -> bool {
        let state = &mut self.state;
        let waited = state.now.millis().abs_diff(state.books_at.millis());
        let is_time = waited >= BOOKS_EVERY_MS || state.queue.len() >= SAID_MANY || !state.ranges.is_empty();
        if is_time {
            state.books_at = state.now;
        }
        is_time
    }

    /// Changes the ledgers of these partitions by what has come in.
    pub(super) fn keep_books(&mut self, partitions: &[i32]) {
        self.settle(partitions);
        self.open_ranges(partitions);
        self.command(partitions);
        for endpoint in &self.endpoints.0 {
            let Some(batch) = endpoint.batch else { continue };
            for partition in partitions {
                if let Some(held) = self.state.held.get_mut(partition) {
                    held.ledger.gather(&endpoint.name, self.state.now, batch);
                }
            }
        }
    }

    fn settle(&mut self, partitions: &[i32]) {
        let (mine, later): (Vec<Settled>, Vec<Settled>) = std::mem::take(&mut self.state.queue)
            .into_iter()
            .partition(|settled| partitions.contains(&settled.tenure.0));
        self.state.queue = later;
        for settled in mine {
            self.settle_one(&settled);
            self.state.applied.push(settled);
        }
    }

    fn settle_one(&mut self, settled: &Settled) {
        let Some(endpoint) = self.endpoint(&settled.endpoint) else { return };
        // This process may know of a part alone: it may have been started since.
        let noted = self.shared.seen().board.failing_since(&endpoint.name);
        let standing = self.state.standing(&endpoint);
        let failing_since = [standing.failing_since(), noted].into_iter().flatten().min();
        let taken_at = standing.taken_at();
        let Some(held) = self.state.held.get_mut(&settled.tenure.0) else { return };
        let (name, id) = (&endpoint.name, &settled.id);
        let missed = match settled.end {
            End::Taken => return held.ledger.delivered(name, id),
            End::Expired => return held.ledger.failed(name, id, None, "expired", false),
            End::Missed(missed) => missed,
        };
        let Some(owed) = held.ledger.delivery(name, id) else { return };
        let (made, due, since) = (owed.attempts, owed.due, owed.since);
        let class = missed.failure.class();
        let next = if settled.early {
            // It was only asked whether the endpoint is back: the place in the schedule is as before.
            Some(due)
        } else {
            let next = endpoint.schedule.next(made + 1, settled.at, rand::random());
            let next = match (next, missed.retry_after) {
                (Some(next), Some(asked)) => Some(next.max(asked)),
                (next, _) => next,
            };
            // Where nothing at all was taken meanwhile it is the endpoint that fails and not this delivery.
            let endpoint_fails = failing_since.is_some_and(|failing| failing <= since.plus_millis(60_000));
            next.or_else(|| endpoint_fails.then(|| settled.at.plus_millis(DAY_MS)))
        };
        if next.is_none() {
            if let Some(metrics) = self.metrics.get(name) {
                metrics.failed();
            }
            tracing::warn!(endpoint = %name, delivery = %id, reason = %missed.failure, "a delivery has failed for good");
        }
        held.ledger.failed(name, id, next, class, !settled.early);
        held.hasten_if_back(name, settled, taken_at);
    }

    fn open_ranges(&mut self, partitions: &[i32]) {
        let (mine, later): (Vec<_>, Vec<_>) = std::mem::take(&mut self.state.ranges)
            .into_iter()
            .partition(|(tenure, _)| partitions.contains(&tenure.0));
        self.state.ranges = later;
        for (tenure, found) in mine {
            let Found::Range { endpoint: name, range, upto, expired, sheets } = found else { continue };
            let Some(endpoint) = self.endpoint(&name) else { continue };
            let intake = self.state.intake(&endpoint, &self.bounds);
            if expired > 0 && !range.asked {
                let count = u64::try_from(expired).unwrap_or(0);
                if let Some(metrics) = self.metrics.get(&name) {
                    metrics.expired(count);
                }
                tracing::error!(endpoint = %name, partition = tenure.0, first = range.from, count = expired,
                    "alerts that were owed have expired on their topic");
            }
            let mut members = Vec::new();
            for sheet in sheets {
                if endpoint.filter.wants(&sheet.alert) {
                    let member = Member { offset: sheet.offset, id: DeliveryId::of_alert(&sheet.alert) };
                    members.push((member, sheet.alert.raised_at));
                    self.state.shelf.put(tenure.0, sheet);
                }
            }
            if let Some(held) = self.state.held.get_mut(&tenure.0) {
                held.ledger.open(&name, range, upto, members, self.state.now, intake);
                held.openings.remove(&name);
            }
        }
    }

    fn command(&mut self, partitions: &[i32]) {
        let seen = self.shared.seen();
        let (reached, board) = (seen.reached, &seen.board);
        for partition in partitions {
            let Some(held) = self.state.held.get_mut(partition) else { continue };
            for (_, command) in board.commands.range(held.control..).map(|(_, command)| command) {
                replay(&mut held.ledger, *partition, command, self.state.now);
            }
            held.control = reached;
        }
    }

    /// Hands out what is due, as far as each endpoint takes it.
    pub(super) fn dispatch(&mut self) {
        // Not always the same partition first. Which one is it must not depend on what others are told.
        self.state.turns = self.state.turns.wrapping_add(1);
        let endpoints = self.endpoints.clone();
        for endpoint in &endpoints.0 {
            if !self.state.disabled.contains(&endpoint.name) {
                self.wish_for_ranges(endpoint);
                for (partition, handed) in self.due(endpoint) {
                    self.hand_over(endpoint, partition, handed);
                }
            }
        }
        self.ask_for_missing();
    }

    fn ask_for_missing(&mut self) {
        let (sheets, asking) = (&self.sheets, &mut self.state.asking);
        self.state.missing.retain(|tenure, offsets| {
            let is_free = asking.insert(*tenure);
            if is_free {
                sheets.ask(*tenure, Wish::Alerts(std::mem::take(offsets).into_iter().collect()));
            }
            !is_free
        });
    }

    /// What the endpoint may be told now, over all partitions.
    fn due(&mut self, endpoint: &Endpoint) -> Vec<(i32, Handed)> {
        let window = endpoint.concurrency * self.bounds.window;
        let under_way = self.state.under_way.get(&endpoint.name).map_or(0, HashSet::len);
        let parked = self.state.parked.iter().filter(|parked| parked.endpoint == endpoint.name).count();
        let now = self.state.now;
        let allowance = self.state.standing(endpoint).allowance(now, under_way + parked, window);
        let mut due = Vec::new();
        match allowance {
            Allowance::Nothing => {}
            Allowance::Due(mut room) => {
                let mut partitions: Vec<i32> = self.state.held.keys().copied().collect();
                partitions.sort_unstable();
                let first = usize::try_from(self.state.turns).unwrap_or(0) % partitions.len().max(1);
                partitions.rotate_left(first);
                for partition in partitions {
                    let Some(held) = self.state.held.get_mut(&partition).filter(|_| room > 0) else {
                        continue;
                    };
                    let handed = held.ledger.hand_out(&endpoint.name, now, room);
                    room -= handed.len();
                    due.extend(handed.into_iter().map(|handed| (partition, handed)));
                }
            }
            Allowance::Probe => {
                let next = self.state.held.iter();
                let next =
                    next.filter_map(|(p, held)| Some((held.ledger.next_due(&endpoint.name)?, *p))).min();
                if let Some((_, partition)) = next
                    && let Some(held) = self.state.held.get_mut(&partition)
                {
                    due.extend(
                        held.ledger.hand_out_next(&endpoint.name, now).map(|handed| (partition, handed)),
                    );
                }
            }
        }
        due
    }

    fn hand_over(&mut self, endpoint: &Endpoint, partition: i32, handed: Handed) {
        let Some(epoch) = self.state.held.get(&partition).map(|held| held.epoch) else { return };
        let tenure = (partition, epoch);
        let mut sheets = HashMap::new();
        for member in &handed.members {
            match self.state.shelf.get(partition, member.offset) {
                Some(sheet) => drop(sheets.insert(member.offset, sheet)),
                None => drop(self.state.missing.entry(tenure).or_default().insert(member.offset)),
            }
        }
        let parked = Parked { tenure, endpoint: endpoint.name.clone(), handed, sheets };
        if let Some(incomplete) = self.send(parked) {
            self.state.parked.push(incomplete);
        }
    }

    /// Gives a delivery to the couriers, or back where alerts of it are missing.
    fn send(&mut self, parked: Parked) -> Option<Parked> {
        let offsets = parked.handed.members.iter().map(|member| member.offset);
        let sheets: Option<Vec<Arc<Sheet>>> =
            offsets.map(|offset| parked.sheets.get(&offset).cloned()).collect();
        let Some(sheets) = sheets else { return Some(parked) };
        let Parked { tenure, endpoint, handed, .. } = parked;
        let place = (tenure, handed.id.clone());
        let job = Job {
            tenure,
            id: handed.id,
            attempt: handed.attempts + 1,
            early: handed.early,
            news: News::Alerts(sheets),
            answer: self.settled.0.clone(),
        };
        if self.couriers.send(&endpoint, job) {
            self.state.under_way.entry(endpoint).or_default().insert(place);
        } else if let Some(held) = self.state.held.get_mut(&tenure.0) {
            held.ledger.give_back(&endpoint, &place.1);
        }
        None
    }

    /// Alerts have come that deliveries wait for.
    fn unpark(&mut self, tenure: Tenure, sheets: &[Arc<Sheet>], gone: &[i64]) {
        for sheet in sheets {
            self.state.shelf.put(tenure.0, Arc::clone(sheet));
        }
        for mut parked in std::mem::take(&mut self.state.parked) {
            if parked.tenure == tenure {
                let wanted = |offset: i64| parked.handed.members.iter().any(|member| member.offset == offset);
                let mine: Vec<_> = sheets.iter().filter(|sheet| wanted(sheet.offset)).cloned().collect();
                parked.sheets.extend(mine.into_iter().map(|sheet| (sheet.offset, sheet)));
                parked.handed.members.retain(|member| !gone.contains(&member.offset));
                if parked.handed.members.is_empty() {
                    self.expired(parked);
                    continue;
                }
            }
            if let Some(incomplete) = self.send(parked) {
                self.state.parked.push(incomplete);
            }
        }
    }

    /// Nothing of a delivery is left on the alerts' topic.
    fn expired(&mut self, parked: Parked) {
        if let Some(metrics) = self.metrics.get(&parked.endpoint) {
            metrics.expired(1);
        }
        tracing::error!(endpoint = %parked.endpoint, delivery = %parked.handed.id,
            "an alert that was owed has expired on its topic");
        self.state.queue.push(Settled {
            tenure: parked.tenure,
            endpoint: parked.endpoint,
            id: parked.handed.id,
            early: parked.handed.early,
            at: self.state.now,
            raised_at: Some(parked.handed.since),
            end: End::Expired,
        });
    }

    fn wish_for_ranges(&mut self, endpoint: &Endpoint) {
        let intake = self.state.intake(endpoint, &self.bounds);
        for (partition, held) in &mut self.state.held {
            if held.openings.contains(&endpoint.name) || held.ledger.is_changed() {
                continue;
            }
            // Also of an endpoint that fails: what is made out may be what it refuses whatever happens, and what it would
            // take stand in the range. Room bounds what is read for one that takes nothing.
            if let Some(range) = held.ledger.to_open(&endpoint.name, intake) {
                held.openings.insert(endpoint.name.clone());
                let most = RANGE_READ.min((intake.room / 2).max(1));
                let wish = Wish::Range { endpoint: endpoint.name.clone(), range, most };
                self.sheets.ask((*partition, held.epoch), wish);
            }
        }
    }

    /// Brings the metrics up to date, now and then.
    pub(super) fn show(&mut self) {
        let now = self.state.now;
        if now.millis() - self.state.shown_at.millis() < SHOW_EVERY_MS {
            return;
        }
        self.state.shown_at = now;
        self.ask_what_expires();
        let say = self.is_time_to_warn();
        for endpoint in &self.endpoints.0 {
            let (mut owed, mut oldest, mut expiring) = (0, None, false);
            for (partition, held) in &self.state.held {
                let debt = held.ledger.debt(&endpoint.name);
                owed += debt.made_out + debt.in_ranges;
                oldest = [oldest, debt.oldest].into_iter().flatten().min();
                expiring |= held.is_expiring(&endpoint.name, *partition, debt.first, say);
            }
            if expiring && say {
                self.state.expiry.said_at = now;
            }
            self.shared.owes(&self.name, &endpoint.name, owed);
            let age = oldest.map_or(0, |oldest| (now.millis() - oldest.millis()).max(0));
            let disabled = self.state.disabled.contains(&endpoint.name);
            let seconds = age as f64 / 1_000.0;
            if let Some(metrics) = self.metrics.get(&endpoint.name) {
                metrics.stand(owed, seconds, disabled);
                metrics.expires(expiring);
            }
        }
    }
}

/// Carries out the part of a command that is about one partition.
fn replay(
    ledger: &mut crate::notice::ledger::Ledger,
    partition: i32,
    command: &Command,
    now: crate::domain::time::Timestamp,
) {
    let endpoint = &command.endpoint;
    match &command.replay {
        Replay::Alerts(alerts) => {
            for (_, member) in alerts.iter().filter(|(of, _)| *of == partition) {
                ledger.replay(endpoint, member.clone(), now);
            }
        }
        Replay::Failed(failed) => {
            for (_, id, members) in failed.iter().filter(|(of, ..)| *of == partition) {
                ledger.replay_failed(endpoint, id, members.clone(), now);
            }
        }
        Replay::Ranges(ranges) => {
            for (_, from, to) in ranges.iter().filter(|(of, ..)| *of == partition) {
                ledger.replay_range(endpoint, *from, *to, now);
            }
        }
    }
}
