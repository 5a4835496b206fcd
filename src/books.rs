//! The books of incidents: how many of the exposed cards were seen, suspected and confirmed, and the money.
//!
//! Three things are folded, each the newest record of its key: the exposure list (which cards), card histories (what
//! happened with each, see [`crate::scoring::history::account`]) and outcomes (what a person decided). All three are
//! compacted topics, so the books are right as long as these records stay, whatever has expired since.
//!
//! *Suspected* is a card on which an alert was raised, *confirmed* one where a person found fraud. Neither follows
//! from the other.
//!
//! A card that moved to another key may have a history under each; the names beside the histories tell, and the card
//! counts once. Of cards that were deleted only sums are left: [`Departed`] of their histories, [`Removed`] of outcomes.

mod book;
mod decisions;
mod names;

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use jiff::tz::TimeZone;

use crate::domain::card::Fingerprint;
use crate::domain::incident::IncidentId;
use crate::domain::money::Money;
use crate::domain::time::Timestamp;
use crate::exposure::record::{IncidentRecord, RevisionState};
use crate::scoring::history::{Account, Departed, History, IncidentHash};

pub use book::{Book, MoneyBook, Tally, Verdicts, Week};
pub use decisions::Removed;
use names::Cards;

/// What a person found.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Finding {
    /// Somebody else used the card.
    Fraud,
    /// It was the cardholder.
    Genuine,
    /// Nobody can tell.
    Unknown,
}

/// An outcome, as the books take it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Decided {
    /// What was found.
    pub finding: Finding,
    /// The card.
    pub fingerprint: Fingerprint,
    /// The incidents of the alert.
    pub incidents: Vec<IncidentId>,
    /// The money of the transaction.
    pub money: Option<Money>,
    /// Whether the transaction was declined.
    pub declined: bool,
    /// When the card was used.
    pub used_at: Option<Timestamp>,
}

/// Which part of an incident's list a card belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Standing {
    /// On the list.
    Listed,
    /// Taken off by a revision.
    Withdrawn,
    /// Neither: known under another key that nothing joins with it, or taken off with the revision that added it.
    Other,
    /// Its record was removed: withdrawn for long enough, its watch over, or forgotten because somebody asked.
    Departed,
}

/// What the topics say, the newest of each key: the state that books are made from. Memory: every card of the list,
/// and every card that was seen.
#[derive(Debug, Clone, Default)]
pub struct Ledger {
    incidents: BTreeMap<IncidentId, IncidentRecord>,
    /// By incident: the events of each card.
    cards: HashMap<IncidentId, HashMap<Fingerprint, Box<[i32]>>>,
    histories: HashMap<Fingerprint, Kept>,
    names: HashMap<Fingerprint, Box<[Fingerprint]>>,
    /// By partition and incident.
    departed: HashMap<(i32, IncidentHash), Departed>,
    outcomes: HashMap<String, Decided>,
    removed: HashMap<String, Removed>,
}

/// What is kept of a history.
#[derive(Debug, Clone, Default)]
struct Kept {
    accounts: Box<[(IncidentHash, Account)]>,
    has_unaccounted: bool,
}

impl Ledger {
    /// An incident's record; `None` for a tombstone.
    pub fn incident(&mut self, id: &IncidentId, record: Option<IncidentRecord>) {
        match record {
            Some(record) => drop(self.incidents.insert(id.clone(), record)),
            None => drop(self.incidents.remove(id)),
        }
    }

    /// A card's events in an incident; `None` for a tombstone.
    pub fn card(&mut self, incident: &IncidentId, fingerprint: Fingerprint, events: Option<Vec<i32>>) {
        let cards = self.cards.entry(incident.clone()).or_default();
        match events {
            Some(events) => drop(cards.insert(fingerprint, events.into())),
            None => drop(cards.remove(&fingerprint)),
        }
    }

    /// A card's history; `None` for a tombstone.
    pub fn history(&mut self, fingerprint: Fingerprint, history: Option<&History>) {
        let Some(history) = history else {
            self.histories.remove(&fingerprint);
            return;
        };
        let accounts = history.accounts().map(|(incident, account)| (incident, account.clone())).collect();
        let kept = Kept { accounts, has_unaccounted: history.unaccounted() > 0 };
        self.histories.insert(fingerprint, kept);
    }

    /// A card's fingerprints under other keys; `None` for a tombstone.
    pub fn names(&mut self, fingerprint: Fingerprint, others: Option<Vec<Fingerprint>>) {
        match others {
            Some(others) => drop(self.names.insert(fingerprint, others.into())),
            None => drop(self.names.remove(&fingerprint)),
        }
    }

    /// What a partition has of an incident's cards whose histories are gone; `None` for a tombstone.
    pub fn departed(&mut self, partition: i32, incident: IncidentHash, departed: Option<Departed>) {
        match departed {
            Some(departed) => drop(self.departed.insert((partition, incident), departed)),
            None => drop(self.departed.remove(&(partition, incident))),
        }
    }

    /// What stays of outcomes that are gone, by the record's key; `None` for a tombstone.
    pub fn removed(&mut self, key: &str, removed: Option<Removed>) {
        match removed {
            Some(removed) => drop(self.removed.insert(key.to_owned(), removed)),
            None => drop(self.removed.remove(key)),
        }
    }

    /// What was decided under an id; `None` for a tombstone, or where nothing is known of what it is about.
    pub fn outcome(&mut self, id: &str, decided: Option<Decided>) {
        match decided {
            Some(decided) => drop(self.outcomes.insert(id.to_owned(), decided)),
            None => drop(self.outcomes.remove(id)),
        }
    }

    /// The incidents there are.
    pub fn incidents(&self) -> impl Iterator<Item = &IncidentRecord> {
        self.incidents.values()
    }

    /// The record of an incident.
    pub fn record(&self, id: &IncidentId) -> Option<&IncidentRecord> {
        self.incidents.get(id)
    }

    /// The book of an incident; `None` where there is no such.
    pub fn book(&self, id: &IncidentId) -> Option<Book> {
        let record = self.incidents.get(id)?;
        self.close([record]).into_values().next()
    }

    /// The books of all incidents.
    pub fn books(&self) -> BTreeMap<IncidentId, Book> {
        self.close(self.incidents.values())
    }

    fn close<'a>(
        &'a self,
        records: impl IntoIterator<Item = &'a IncidentRecord>,
    ) -> BTreeMap<IncidentId, Book> {
        let mut shelves: BTreeMap<IncidentHash, Shelf<'a>> = BTreeMap::new();
        for record in records {
            let shelf = Shelf::new(record, self.cards.get(&record.id));
            shelves.insert(IncidentHash::of(&record.id), shelf);
        }
        let names = self.names.iter().map(|(name, others)| (name, &**others));
        let cards = Cards::new(names);
        self.enter_histories(&cards, &mut shelves);
        for ((_, incident), departed) in &self.departed {
            if let Some(shelf) = shelves.get_mut(incident) {
                shelf.book.depart(departed);
            }
        }
        for decided in self.outcomes.values() {
            for incident in &decided.incidents {
                if let Some(shelf) = shelves.get_mut(&IncidentHash::of(incident)) {
                    shelf.decide(&cards, decided);
                }
            }
        }
        for (incident, tally) in self.removed.values().flat_map(Removed::tallies) {
            if let Some(shelf) = shelves.get_mut(&IncidentHash::of(incident)) {
                shelf.book.departed.merge(&tally);
            }
        }
        shelves.into_values().map(|shelf| (shelf.record.id.clone(), shelf.closed())).collect()
    }

    fn enter_histories(&self, cards: &Cards, shelves: &mut BTreeMap<IncidentHash, Shelf<'_>>) {
        let mut joined: HashMap<Fingerprint, Kept> = HashMap::new();
        for (fingerprint, kept) in &self.histories {
            let card = cards.of(fingerprint);
            if cards.names(&card).is_empty() {
                enter(&[card], kept, shelves);
            } else {
                joined.entry(card).or_default().merge(kept);
            }
        }
        for (card, kept) in &joined {
            enter(cards.names(card), kept, shelves);
        }
    }
}

impl Kept {
    /// Adds what is kept of another history of the same card.
    fn merge(&mut self, other: &Kept) {
        self.has_unaccounted |= other.has_unaccounted;
        let mut accounts = std::mem::take(&mut self.accounts).into_vec();
        for (incident, account) in &other.accounts {
            match accounts.iter_mut().find(|own| own.0 == *incident) {
                Some((_, own)) => own.merge(account),
                None => accounts.push((*incident, account.clone())),
            }
        }
        self.accounts = accounts.into();
    }
}

/// Enters what is kept of a card into the books of its incidents.
fn enter(names: &[Fingerprint], kept: &Kept, shelves: &mut BTreeMap<IncidentHash, Shelf<'_>>) {
    for (incident, account) in &kept.accounts {
        if let Some(shelf) = shelves.get_mut(incident) {
            shelf.enter(names, account);
        }
    }
    if kept.has_unaccounted {
        let has_account = |incident| kept.accounts.iter().any(|account| account.0 == incident);
        let others = shelves.iter_mut().filter(|(incident, _)| !has_account(**incident));
        others.for_each(|(_, shelf)| shelf.untold(names));
    }
}

/// An incident's list, and its book as it is written.
struct Shelf<'a> {
    record: &'a IncidentRecord,
    cards: Option<&'a HashMap<Fingerprint, Box<[i32]>>>,
    /// Revisions that took away more names than cards: the others moved to another key.
    moving: BTreeSet<u32>,
    zone: TimeZone,
    confirmed: HashSet<Fingerprint>,
    book: Book,
}

impl<'a> Shelf<'a> {
    fn new(record: &'a IncidentRecord, cards: Option<&'a HashMap<Fingerprint, Box<[i32]>>>) -> Shelf<'a> {
        let mut book = Book::default();
        let (mut gone, mut moved): (BTreeMap<u32, u64>, u64) = (BTreeMap::new(), 0);
        for events in cards.iter().flat_map(|cards| cards.values()) {
            match last_event(record, events) {
                Some(event) if event > 0 => book.listed.cards += 1,
                Some(event) => *gone.entry(event.unsigned_abs()).or_default() += 1,
                None => {}
            }
        }
        let mut moving = BTreeSet::new();
        for revision in &record.revisions {
            let there = gone.get(&revision.number).copied().unwrap_or(0);
            let removed = revision.gone.map_or(0, |gone| gone.cards);
            let cards = revision.counts.withdrawn;
            book.withdrawn.cards += there.min(cards);
            if there + removed > cards {
                moving.insert(revision.number);
            }
            // Of the names that were removed, those of cards that moved are no cards.
            moved += removed.saturating_sub(cards.saturating_sub(there));
        }
        let removed: u64 = record.removals.iter().map(|removal| removal.cards).sum();
        book.departed.cards = removed.saturating_sub(moved);
        Shelf { record, cards, moving, zone: zone(record), confirmed: HashSet::new(), book }
    }

    /// The book. A card may be seen once more while it is removed, and its history then goes by itself.
    fn closed(mut self) -> Book {
        let departed = &mut self.book.departed;
        departed.cards = departed.cards.max(departed.seen);
        self.book
    }

    fn enter(&mut self, names: &[Fingerprint], account: &Account) {
        let standing = self.standing(names).unwrap_or_else(|| self.unlisted());
        self.book.enter(standing, account, &self.zone);
    }

    /// The card may have been seen for this incident, and nobody knows.
    fn untold(&mut self, names: &[Fingerprint]) {
        if let Some(standing) = self.standing(names) {
            self.book.tally(standing).untold += 1;
        }
    }

    fn decide(&mut self, cards: &Cards, decided: &Decided) {
        let card = cards.of(&decided.fingerprint);
        let names = cards.names(&card);
        let names = if names.is_empty() { &[card] } else { names };
        let standing = self.standing(names).unwrap_or_else(|| self.unlisted());
        self.book.decide(standing, decided);
        if decided.finding == Finding::Fraud && self.confirmed.insert(card) {
            self.book.tally(standing).confirmed += 1;
        }
    }

    /// Where a card stands that the incident's list does not have.
    fn unlisted(&self) -> Standing {
        if self.record.removals.is_empty() { Standing::Other } else { Standing::Departed }
    }

    /// Where a card stands, by the name that says most for it; `None` where the incident's list has none of them.
    fn standing(&self, names: &[Fingerprint]) -> Option<Standing> {
        let cards = self.cards?;
        let of = |events: &[i32]| match last_event(self.record, events) {
            Some(event) if event > 0 => Standing::Listed,
            Some(event) if !self.moving.contains(&event.unsigned_abs()) => Standing::Withdrawn,
            _ => Standing::Other,
        };
        names.iter().filter_map(|name| cards.get(name)).map(|events| of(events)).min()
    }
}

/// The zone in which an incident tells its weeks.
pub fn zone(record: &IncidentRecord) -> TimeZone {
    let zone = record.details().and_then(|details| TimeZone::get(&details.time_zone).ok());
    zone.unwrap_or(TimeZone::UTC)
}

/// The Monday of the week of a moment, as a count of days from 1970.
pub fn week(at: Timestamp, zone: &TimeZone) -> Option<i32> {
    book::monday(at, zone).map(book::day_of)
}

/// The last event of a card that counts: its revision is done and not undone.
fn last_event(record: &IncidentRecord, events: &[i32]) -> Option<i32> {
    let done =
        |number: u32| record.revision(number).is_some_and(|revision| revision.state == RevisionState::Done);
    events.iter().copied().rev().find(|event| done(event.unsigned_abs()))
}

#[cfg(test)]
mod tests;
