//! What an import writes: a list's entries against the cards that the incident has already.
//!
//! A revision is what it *changes*: an entry whose card is on the list already leaves no event, so undoing
//! the revision that added the card takes it off again, even if a later list named it too. Expiry, tier and
//! references describe a card and are no part of what can be undone: newer ones replace older ones by name.
//!
//! A card has one name under each active key. A list of numbers knows them all, so a card that is listed under
//! another key than the primary *moves*: its events are copied to the primary's name, and the revision withdraws
//! the old one. The card shows before, between and after, and undoing any revision still means the same; when
//! every list has been imported again, nothing is listed under the old key and it can be retired.

use std::collections::{HashMap, HashSet};

use crate::domain::card::{Fingerprint, KeyId};
use crate::domain::expiry::ExpiryDate;
use crate::domain::incident::{IncidentId, References};
use crate::exposure::record::{CardRecord, CardTotals, Counts, IncidentRecord, ListKey, RevisionState};

/// What becomes of an entry's card. One revision may do both: its lists of cards added and cards withdrawn
/// are entries of one plan.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Action {
    /// It is put on the list.
    Add,
    /// It is taken off.
    Withdraw,
}

/// A card as the list names it: under one key.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct CardName {
    /// The key.
    pub key: KeyId,
    /// The card under that key.
    pub fingerprint: Fingerprint,
}

/// A card that the incident has a record of, shown or not.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ListedCard {
    /// The key that the record is under.
    pub key: KeyId,
    /// The record.
    pub record: CardRecord,
}

/// One entry of a list, fingerprinted.
#[derive(Debug, Clone)]
pub struct PlanEntry<'a> {
    /// What becomes of the card. Of several entries for one card the first counts.
    pub action: Action,
    /// The name to write the card under: the primary key's, or the only one that is known.
    pub name: CardName,
    /// The same card under other active keys: it may be on the list under one of them, and withdrawing it
    /// under the primary alone would leave it watched.
    pub others: &'a [CardName],
    /// The card's expiry date.
    pub expiry: Option<ExpiryDate>,
    /// The user's own class of exposure.
    pub tier: Option<String>,
    /// What leads to the card's owner.
    pub references: References,
}

/// A record to write.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CardWrite {
    /// The card.
    pub name: CardName,
    /// Its record.
    pub record: CardRecord,
}

impl CardWrite {
    /// The record's key on the topic.
    pub fn list_key(&self, incident: &IncidentId) -> ListKey {
        ListKey::Card {
            key: self.name.key.clone(),
            fingerprint: self.name.fingerprint,
            incident: incident.clone(),
        }
    }
}

/// What an entry came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// The card is new.
    Added,
    /// The card is on the list; nothing is written.
    AlreadyThere,
    /// The card is on the list; a new expiry date, tier, reference or name is written.
    Updated,
    /// The card is taken off.
    Withdrawn,
    /// The card to be taken off is not on the list.
    NotThere,
    /// The list named the card before.
    Repeated,
}

/// What a finished plan came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PlanTotals {
    /// By entry.
    pub counts: Counts,
    /// By card.
    pub cards: CardTotals,
}

/// Decides entry by entry what a claimed revision writes. Memory: the incident's cards and one
/// fingerprint for each of the list's.
#[derive(Debug)]
pub struct ImportPlan<'a> {
    incident: &'a IncidentRecord,
    number: u32,
    existing: HashMap<Fingerprint, ListedCard>,
    named: HashSet<Fingerprint>,
    counts: Counts,
    cards: CardTotals,
}

impl<'a> ImportPlan<'a> {
    /// A plan for the claimed revision `number` of an incident with these cards.
    pub fn new(
        incident: &'a IncidentRecord,
        number: u32,
        existing: HashMap<Fingerprint, ListedCard>,
    ) -> ImportPlan<'a> {
        let shown = existing.values().filter(|card| incident.lists(&card.record.events)).count() as u64;
        ImportPlan {
            incident,
            number,
            existing,
            named: HashSet::new(),
            counts: Counts::default(),
            cards: CardTotals { before: shown, after: shown },
        }
    }

    /// Takes an entry, and returns what it came to and the records to write.
    pub fn entry(&mut self, entry: &PlanEntry<'_>) -> (Outcome, Vec<CardWrite>) {
        self.counts.read += 1;
        let names = || std::iter::once(&entry.name).chain(entry.others);
        if names().any(|name| self.named.contains(&name.fingerprint)) {
            self.counts.repeated += 1;
            return (Outcome::Repeated, Vec::new());
        }
        self.named.extend(names().map(|name| name.fingerprint));
        let recorded: Vec<&CardName> =
            names().filter(|name| self.existing.contains_key(&name.fingerprint)).collect();
        let listed = recorded.iter().filter(|name| self.lists(name)).count() as u64;
        match (entry.action, listed) {
            (Action::Add, 0) => (Outcome::Added, self.add(entry, &recorded)),
            (Action::Add, _) => self.update(entry, &recorded),
            (Action::Withdraw, 0) => {
                self.counts.not_there += 1;
                (Outcome::NotThere, Vec::new())
            }
            (Action::Withdraw, _) => {
                self.counts.withdrawn += 1;
                self.cards.after -= listed;
                (Outcome::Withdrawn, recorded.into_iter().filter_map(|name| self.without(name)).collect())
            }
        }
    }

    /// Counts an entry that could not be read.
    pub fn rejected(&mut self) {
        self.counts.read += 1;
        self.counts.rejected += 1;
    }

    /// What the plan has come to so far.
    pub fn totals(&self) -> PlanTotals {
        PlanTotals { counts: self.counts, cards: self.cards }
    }

    /// Withdraws every card that no entry named: the last step where a list is all there is.
    ///
    /// # Errors
    /// The first error of `write`.
    pub fn withdraw_unnamed<E>(
        &mut self,
        mut write: impl FnMut(CardWrite) -> Result<(), E>,
    ) -> Result<(), E> {
        let unnamed = self.existing.iter().filter(|(fingerprint, card)| {
            !self.named.contains(*fingerprint) && self.incident.lists(&card.record.events)
        });
        let mut rest: Vec<CardName> = unnamed
            .map(|(fingerprint, card)| CardName { key: card.key.clone(), fingerprint: *fingerprint })
            .collect();
        // In order, so that the same list writes the same records in the same order.
        rest.sort_unstable_by_key(|name| name.fingerprint);
        for name in &rest {
            self.named.insert(name.fingerprint);
            self.counts.withdrawn += 1;
            self.cards.after -= 1;
            self.without(name).map_or(Ok(()), &mut write)?;
        }
        Ok(())
    }

    fn lists(&self, name: &CardName) -> bool {
        self.existing.get(&name.fingerprint).is_some_and(|card| self.incident.lists(&card.record.events))
    }

    fn add(&mut self, entry: &PlanEntry<'_>, recorded: &[&CardName]) -> Vec<CardWrite> {
        self.counts.added += 1;
        self.cards.after += 1;
        let earlier = self.existing.get(&entry.name.fingerprint).map(|card| card.record.clone());
        let mut record = described(earlier.unwrap_or_default(), entry);
        record.events = self.with_event(&record.events, 1);
        // Every other name gets this revision's event too: undoing the revision that withdrew it long ago
        // must not bring it back alone.
        let others = recorded.iter().filter(|name| ***name != entry.name);
        let withdrawn = others.filter_map(|name| self.without(name));
        std::iter::once(CardWrite { name: entry.name.clone(), record }).chain(withdrawn).collect()
    }

    fn update(&mut self, entry: &PlanEntry<'_>, recorded: &[&CardName]) -> (Outcome, Vec<CardWrite>) {
        self.counts.already_there += 1;
        let listed: Vec<&CardName> = recorded.iter().copied().filter(|name| self.lists(name)).collect();
        let own = self.existing.get(&entry.name.fingerprint).map(|card| &card.record);
        let (writes, names_left) = match own {
            None => (self.moved(entry, &listed), 0),
            Some(own) => self.refreshed(entry, own, &listed),
        };
        self.cards.after -= names_left;
        if writes.is_empty() {
            return (Outcome::AlreadyThere, writes);
        }
        self.counts.updated += 1;
        (Outcome::Updated, writes)
    }

    /// The card under the primary's name, which has no record yet, and no longer under another.
    fn moved(&self, entry: &PlanEntry<'_>, listed: &[&CardName]) -> Vec<CardWrite> {
        let from = listed.iter().find_map(|name| Some((*name, self.existing.get(&name.fingerprint)?)));
        let Some((name, card)) = from else { return Vec::new() };
        let own = self.rewritten(entry.name.clone(), described(card.record.clone(), entry));
        std::iter::once(own).chain(self.without(name)).collect()
    }

    /// The card's descriptions brought up to date, and how many names it leaves.
    fn refreshed(
        &self,
        entry: &PlanEntry<'_>,
        own: &CardRecord,
        listed: &[&CardName],
    ) -> (Vec<CardWrite>, u64) {
        let (mut writes, mut names_left) = (Vec::new(), 0);
        for name in listed {
            let Some(card) = self.existing.get(&name.fingerprint) else { continue };
            let record = described(card.record.clone(), entry);
            if **name != entry.name && self.kept(&card.record.events).eq(self.kept(&own.events)) {
                // An import died in the middle of moving the card; this one finishes it.
                names_left += 1;
                writes.extend(self.without(name));
            } else if record != card.record {
                writes.push(self.rewritten((*name).clone(), record));
            }
        }
        (writes, names_left)
    }

    /// The withdrawal of a card from under a name that has a record.
    fn without(&self, name: &CardName) -> Option<CardWrite> {
        let mut record = self.existing.get(&name.fingerprint)?.record.clone();
        record.events = self.with_event(&record.events, -1);
        Some(CardWrite { name: name.clone(), record })
    }

    fn rewritten(&self, name: CardName, mut record: CardRecord) -> CardWrite {
        record.events.retain(|event| self.keeps(*event));
        CardWrite { name, record }
    }

    fn kept(&self, events: &[i32]) -> impl Iterator<Item = i32> {
        events.iter().copied().filter(|event| self.keeps(*event))
    }

    fn with_event(&self, events: &[i32], sign: i32) -> Vec<i32> {
        self.kept(events).chain([sign * self.number as i32]).collect()
    }

    /// Dead attempts leave no trace; undone revisions do, because the log still tells of them.
    fn keeps(&self, event: i32) -> bool {
        let number = event.unsigned_abs();
        self.incident.has(number, RevisionState::Done) || self.incident.has(number, RevisionState::Undone)
    }
}

fn described(mut record: CardRecord, entry: &PlanEntry<'_>) -> CardRecord {
    record.expiry = entry.expiry.or(record.expiry);
    record.tier = entry.tier.clone().or(record.tier);
    let mut references = entry.references.clone();
    references.merge(&record.references);
    record.references = references;
    record
}

#[cfg(test)]
mod tests;
