//! Forgets histories: those of cards that the list does not keep any more, and those that were idle for long. Of an
//! idle one whose card is listed the accounts stay, for the card's incidents count it as seen.
//!
//! A *pass* goes over the histories of one partition. It begins by noting which there are, then waits until the
//! list was confirmed after that moment, so that it knows of every revision that a sighting judged so far was
//! recognised under: a history is never taken for unlisted because the list lags behind. Cards judged
//! meanwhile are left alone. The tombstones go into transactions of their own, with the checkpoint of the
//! partition and its offset, which fences a worker that has lost the partition. The last of a pass notes beside
//! the offset the frontier and the time it was made under: whoever removes card records waits for that, so that
//! a history always goes before the record that would be missed, and a card that is listed again begins anew.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::Known;
use crate::domain::card::Fingerprint;
use crate::domain::time::Timestamp;
use crate::exposure::retention::Retention;
use crate::exposure::set::{FRONTIER_NONE, Keep, Retained, View};
use crate::lines::mark::Tended;
use crate::lines::refresh::Exposed;

/// Histories looked at in one turn of the loop: a few milliseconds.
const LOOKS_MAX: usize = 20_000;
/// Histories forgotten in one transaction.
const FORGOTTEN_MAX: usize = 1_000;
/// The shortest time between two passes over a partition.
const PAUSE: Duration = Duration::from_secs(1);

/// When histories are forgotten.
#[derive(Debug, Clone, Copy)]
pub struct Forgetting {
    /// How long records of cards are kept.
    pub retention: Retention,
    /// How long a history is kept without a sighting, in milliseconds (`history.max_idle`).
    pub max_idle_ms: i64,
    /// How often a partition is gone over when the list does not change (`retention.sweep_every`).
    pub every: Duration,
}

/// Goes over the partitions of one worker.
#[derive(Debug)]
pub struct Tender {
    exposed: Arc<Exposed>,
    rules: Forgetting,
    turns: HashMap<i32, Turn>,
    pass: Option<Pass>,
    /// What the last transaction of a pass notes once it is committed.
    done: Option<(i32, Tended)>,
}

/// When a partition was gone over last.
#[derive(Debug)]
struct Turn {
    last: Option<Instant>,
    frontier: Option<i64>,
    /// Whether the partition has ever had anything to forget.
    ever: bool,
}

#[derive(Debug)]
struct Pass {
    partition: i32,
    since: Instant,
    cards: Vec<Fingerprint>,
    next: usize,
    /// Judged since the pass began.
    judged: HashSet<Fingerprint>,
    list: Option<Retained>,
    now: Timestamp,
    /// Whether something that was due is left, because it was judged meanwhile.
    left: bool,
}

/// What a turn of a pass came to.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Forgotten {
    /// The partition.
    pub partition: i32,
    /// Cards to forget.
    pub cards: Vec<Fingerprint>,
    /// Cards of which nothing but their accounts is to stay.
    pub idle: Vec<Fingerprint>,
}

/// What is to become of a history.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Due {
    /// Nothing keeps it.
    Gone,
    /// Its card is listed, and was not seen for long.
    Idle,
}

impl Forgotten {
    /// How many cards it is about.
    pub(super) fn count(&self) -> usize {
        self.cards.len() + self.idle.len()
    }
}

impl Tender {
    /// Tends nothing yet.
    pub fn new(exposed: Arc<Exposed>, rules: Forgetting) -> Tender {
        Tender { exposed, rules, turns: HashMap::new(), pass: None, done: None }
    }

    /// The list as this process knows it.
    pub(super) fn list(&self) -> Arc<View> {
        self.exposed.set.view()
    }

    /// A partition is taken up. `tended` is what the last pass noted, `committed` whether anything was ever
    /// committed for it.
    pub fn take(&mut self, partition: i32, tended: Option<Tended>, committed: bool, now: Instant) {
        let frontier = tended.map(|tended| tended.frontier);
        // Without histories there is nothing to make up for.
        let last = if committed { None } else { Some(now) };
        self.turns.insert(partition, Turn { last, frontier, ever: committed });
    }

    /// A partition was given up.
    pub fn release(&mut self, partition: i32) {
        self.turns.remove(&partition);
        self.pass.take_if(|pass| pass.partition == partition);
        self.done.take_if(|done| done.0 == partition);
    }

    /// A card of a partition was judged.
    pub fn judged(&mut self, partition: i32, card: Fingerprint) {
        if let Some(pass) = self.pass.as_mut().filter(|pass| pass.partition == partition) {
            pass.judged.insert(card);
        }
    }

    /// What is noted beside the offset of a partition in the transaction that is about to be committed.
    pub fn note(&self, partition: i32) -> Option<Tended> {
        self.done.filter(|done| done.0 == partition).map(|done| done.1)
    }

    /// The transaction was committed; what it noted.
    pub fn merge(&mut self) -> Option<(i32, Tended)> {
        self.done.take()
    }

    /// The transaction is gone: whatever the pass proposed in it is to be found again.
    pub fn discard(&mut self) {
        let open = self.pass.take().map(|pass| pass.partition);
        for partition in open.into_iter().chain(self.done.take().map(|done| done.0)) {
            if let Some(turn) = self.turns.get_mut(&partition) {
                turn.frontier = None;
            }
        }
    }

    /// The next part of a pass, if there is anything to commit for it.
    pub fn turn(
        &mut self,
        known: &HashMap<i32, HashMap<Fingerprint, Known>>,
        clock: (Instant, Timestamp),
    ) -> Option<Forgotten> {
        let (instant, now) = clock;
        let Some(pass) = &mut self.pass else {
            self.pass = self.begin(known, instant);
            return None;
        };
        if pass.list.is_none() {
            if !self.exposed.is_confirmed_since(pass.since) {
                return None;
            }
            pass.now = now;
            pass.list = Some(Retained::new(self.exposed.set.view(), self.rules.retention, now));
        }
        let partition = pass.partition;
        let mut forgotten = Forgotten { partition, ..Forgotten::default() };
        if let Some(known) = known.get(&partition) {
            pass.look(known, &self.rules, &mut forgotten);
        }
        let is_over = pass.next == pass.cards.len();
        if is_over {
            self.end(instant);
        }
        (is_over || forgotten.count() > 0).then_some(forgotten)
    }

    fn begin(&mut self, known: &HashMap<i32, HashMap<Fingerprint, Known>>, instant: Instant) -> Option<Pass> {
        let frontier = self.exposed.set.view().frontier();
        let due = known.iter().find(|(partition, known)| {
            let Some(turn) = self.turns.get_mut(*partition) else { return false };
            turn.ever |= !known.is_empty();
            let age = turn.last.map(|last| instant - last);
            let changed = turn.frontier != Some(frontier) && age.is_none_or(|age| age >= PAUSE);
            (turn.ever && changed) || age.is_some_and(|age| age >= self.rules.every)
        });
        let (partition, known) = due?;
        Some(Pass {
            partition: *partition,
            since: instant,
            cards: known.keys().copied().collect(),
            next: 0,
            judged: HashSet::new(),
            list: None,
            now: Timestamp::default(),
            left: false,
        })
    }

    fn end(&mut self, instant: Instant) {
        let Some(pass) = self.pass.take() else { return };
        let frontier = pass.list.as_ref().map_or(FRONTIER_NONE, Retained::frontier);
        if let Some(turn) = self.turns.get_mut(&pass.partition) {
            turn.last = Some(instant);
            turn.frontier = (!pass.left).then_some(frontier);
        }
        if !pass.left {
            self.done = Some((pass.partition, Tended { frontier, at: pass.now }));
        }
    }
}

impl Pass {
    fn look(&mut self, known: &HashMap<Fingerprint, Known>, rules: &Forgetting, forgotten: &mut Forgotten) {
        let Some(list) = &self.list else { return };
        let end = self.cards.len().min(self.next + LOOKS_MAX);
        while self.next < end && forgotten.count() < FORGOTTEN_MAX {
            let card = self.cards[self.next];
            self.next += 1;
            let Some(entry) = known.get(&card) else { continue };
            let Some(due) = due(&card, entry, list, rules, self.now) else { continue };
            match (self.judged.contains(&card), due) {
                (true, _) => self.left = true,
                (false, Due::Gone) => forgotten.cards.push(card),
                (false, Due::Idle) => forgotten.idle.push(card),
            }
        }
    }
}

/// Whether a pass would forget a history now, or all of it but its accounts.
pub fn is_forgotten(
    card: &Fingerprint,
    known: &Known,
    list: &Retained,
    rules: &Forgetting,
    now: Timestamp,
) -> bool {
    due(card, known, list, rules, now).is_some()
}

/// What is to become of a history; `None` while it stays as it is.
fn due(
    card: &Fingerprint,
    known: &Known,
    list: &Retained,
    rules: &Forgetting,
    now: Timestamp,
) -> Option<Due> {
    // A list without any incident is one that was lost, or is not there yet: it says nothing of any card.
    if list.frontier() == FRONTIER_NONE {
        return None;
    }
    let names = std::iter::once(card).chain(&known.names.others);
    match names.map(|name| list.keep(name)).max().unwrap_or(Keep::No) {
        Keep::No => Some(Due::Gone),
        Keep::Listed => {
            let idle = known.written.plus_millis(rules.max_idle_ms) <= now;
            (idle && !known.history.is_bare()).then_some(Due::Idle)
        }
        Keep::Held => None,
    }
}

#[cfg(test)]
mod tests;
