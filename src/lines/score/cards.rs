//! The cards that a worker of `score` knows: committed, overlaid with what the open transaction changes.

use std::collections::{BTreeMap, HashMap};

use jiff::tz::TimeZone;

use super::memory::{Known, Memory, Names};
use super::tend::Forgotten;
use crate::books;
use crate::domain::card::Fingerprint;
use crate::domain::sighting::Sighting;
use crate::domain::time::Timestamp;
use crate::exposure::record::IncidentRecord;
use crate::judge::{Judge, Judgement};
use crate::scoring::history::{Departed, History, IncidentHash};

/// By card.
pub(super) type Histories = HashMap<Fingerprint, Known>;

/// What the open transaction makes of a card.
#[derive(Debug)]
enum Pending {
    /// It was judged; whether the names are new.
    Judged { known: Box<Known>, names_are_new: bool },
    /// Nothing but its accounts is left.
    Bare(Box<Known>),
    /// It is forgotten; whether it has names to forget with it.
    Forgotten { has_names: bool },
}

/// A record for the topic of the histories; without a value, a tombstone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct State {
    pub(super) partition: i32,
    pub(super) key: String,
    pub(super) value: Option<Vec<u8>>,
}

/// What a committed transaction made of the cards.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Kept {
    /// Histories begun.
    pub(super) begun: i64,
    /// Histories that are gone.
    pub(super) gone: i64,
    /// Histories that were forgotten, wholly or but for their accounts.
    pub(super) forgotten: u64,
}

/// The time zones that incidents tell their weeks in, as a list has them.
#[derive(Debug, Default)]
pub(super) struct Zones(HashMap<IncidentHash, TimeZone>);

impl Zones {
    pub(super) fn new<'a>(incidents: impl IntoIterator<Item = &'a IncidentRecord>) -> Zones {
        let zone = |record: &IncidentRecord| (IncidentHash::of(&record.id), books::zone(record));
        Zones(incidents.into_iter().map(zone).collect())
    }

    fn week(&self, incident: IncidentHash, at: Option<Timestamp>) -> Option<i32> {
        books::week(at?, self.0.get(&incident).unwrap_or(&TimeZone::UTC))
    }
}

/// What a worker of `score` remembers of cards.
#[derive(Debug, Default)]
pub(super) struct Cards {
    committed: HashMap<i32, Histories>,
    /// What stays of cards that were forgotten.
    departed: HashMap<i32, BTreeMap<IncidentHash, Departed>>,
    /// The overlay: what the open transaction changes. Ordered, so that it is written in one order.
    pending: BTreeMap<(i32, Fingerprint), Pending>,
    pending_departed: BTreeMap<(i32, IncidentHash), Departed>,
}

impl Cards {
    /// A partition was restored; how many histories it has.
    pub(super) fn take_up(&mut self, partition: i32, memory: Memory) -> usize {
        let histories = memory.histories.len();
        self.committed.insert(partition, memory.histories);
        self.departed.insert(partition, memory.departed);
        histories
    }

    /// A partition is given up; how many histories it had.
    pub(super) fn release(&mut self, partition: i32) -> usize {
        self.departed.remove(&partition);
        self.committed.remove(&partition).map_or(0, |histories| histories.len())
    }

    /// What is committed, by partition.
    pub(super) fn committed(&self) -> &HashMap<i32, Histories> {
        &self.committed
    }

    /// Judges a sighting of a partition, and keeps what comes of it for the open transaction. `None` where the
    /// partition was not restored.
    pub(super) fn judge(
        &mut self,
        partition: i32,
        sighting: &Sighting,
        judge: &Judge,
        now: Timestamp,
    ) -> Option<Judgement> {
        let card = sighting.card.fingerprint;
        let committed = self.committed.get(&partition)?;
        let unseen = History::default();
        let (history, mut names, mut names_are_new) = match self.pending.get(&(partition, card)) {
            Some(Pending::Judged { known, names_are_new }) => {
                (&known.history, known.names.clone(), *names_are_new)
            }
            Some(Pending::Bare(known)) => (&known.history, known.names.clone(), false),
            Some(Pending::Forgotten { .. }) => (&unseen, Names::default(), false),
            None => match committed.get(&card) {
                Some(known) => (&known.history, known.names.clone(), false),
                None => (&unseen, Names::default(), false),
            },
        };
        let mut judgement = judge.judge(sighting, history, now);
        names_are_new |= names.learn(&sighting.card);
        let history = std::mem::take(&mut judgement.history);
        let known = Box::new(Known { history, written: now, names });
        self.pending.insert((partition, card), Pending::Judged { known, names_are_new });
        Some(judgement)
    }

    /// Forgets cards in the open transaction, which judges nothing: what the accounts of those that go came to is
    /// folded into what stays of their incidents.
    pub(super) fn forget(&mut self, forgotten: &Forgotten, zones: &Zones) {
        let partition = forgotten.partition;
        let Some(histories) = self.committed.get(&partition) else { return };
        let mut gone: Vec<Fingerprint> = forgotten.cards.clone();
        for card in &forgotten.idle {
            let Some(known) = histories.get(card) else { continue };
            match known.history.bare() {
                bare if bare == History::default() => gone.push(*card),
                bare => {
                    let known = Box::new(Known { history: bare, ..known.clone() });
                    self.pending.insert((partition, *card), Pending::Bare(known));
                }
            }
        }
        for card in gone {
            let Some(known) = histories.get(&card) else { continue };
            let committed = self.departed.get(&partition);
            for (incident, account) in known.history.accounts() {
                let before = || committed.and_then(|all| all.get(&incident)).cloned().unwrap_or_default();
                let departed = self.pending_departed.entry((partition, incident)).or_insert_with(before);
                let week = |at| zones.week(incident, at);
                departed.fold(account, week(account.first()), week(account.first_alerted()));
            }
            let has_names = !known.names.others.is_empty();
            self.pending.insert((partition, card), Pending::Forgotten { has_names });
        }
    }

    /// The records of the open transaction.
    ///
    /// # Errors
    /// When names do not serialize.
    pub(super) fn records(&self) -> Result<Vec<State>, serde_json::Error> {
        let mut records = Vec::with_capacity(self.pending.len());
        for ((partition, card), pending) in &self.pending {
            let mut record = |key: String, value| records.push(State { partition: *partition, key, value });
            match pending {
                Pending::Judged { known, names_are_new } => {
                    record(card.to_string(), Some(known.history.encode()));
                    if *names_are_new {
                        record(Names::key(card), Some(serde_json::to_vec(&known.names)?));
                    }
                }
                Pending::Bare(known) => record(card.to_string(), Some(known.history.encode())),
                Pending::Forgotten { has_names } => {
                    record(card.to_string(), None);
                    if *has_names {
                        record(Names::key(card), None);
                    }
                }
            }
        }
        for ((partition, incident), departed) in &self.pending_departed {
            let (key, value) = (Departed::key(*incident), Some(departed.encode()));
            records.push(State { partition: *partition, key, value });
        }
        Ok(records)
    }

    /// Keeps what the committed transaction made of its cards.
    pub(super) fn merge(&mut self) -> Kept {
        let mut kept = Kept::default();
        for ((partition, card), pending) in std::mem::take(&mut self.pending) {
            let cards = self.committed.entry(partition).or_default();
            match pending {
                Pending::Judged { known, .. } => {
                    kept.begun += i64::from(cards.insert(card, *known).is_none());
                }
                Pending::Bare(known) => {
                    cards.insert(card, *known);
                    kept.forgotten += 1;
                }
                Pending::Forgotten { .. } => {
                    let was_there = cards.remove(&card).is_some();
                    kept.gone += i64::from(was_there);
                    kept.forgotten += u64::from(was_there);
                }
            }
        }
        for ((partition, incident), departed) in std::mem::take(&mut self.pending_departed) {
            self.departed.entry(partition).or_default().insert(incident, departed);
        }
        kept
    }

    /// Drops what the open transaction would have changed.
    pub(super) fn discard(&mut self) {
        self.pending.clear();
        self.pending_departed.clear();
    }
}

#[cfg(test)]
mod tests;
