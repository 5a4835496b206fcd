//! The books of incidents: how many of the exposed cards were seen, suspected and confirmed, and the money.
//!
//! Three things are folded, each the newest record of its key: the exposure list (which cards), card histories (what
//! happened with each, see [`crate::scoring::history::account`]) and outcomes (what a person decided). All three are
//! compacted topics, so the books are right as long as these records stay, whatever has expired since.
//!
//! *Suspected* is a card on which an alert was raised, *confirmed* one where a person found fraud. Neither follows
//! from the other.

mod book;

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use jiff::tz::TimeZone;

use crate::domain::card::Fingerprint;
use crate::domain::incident::IncidentId;
use crate::domain::money::Money;
use crate::domain::time::Timestamp;
use crate::exposure::record::{IncidentRecord, RevisionState};
use crate::scoring::history::{Account, History, IncidentHash};

pub use book::{Book, MoneyBook, Tally, Verdicts, Week};

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
    /// Neither: known under another key, taken off with the revision that added it, or deleted since.
    Other,
}

/// What the topics say, the newest of each key: the state that books are made from. Memory: every card of the list,
/// and every card that was seen.
#[derive(Debug, Clone, Default)]
pub struct Ledger {
    incidents: BTreeMap<IncidentId, IncidentRecord>,
    /// By incident: the events of each card.
    cards: HashMap<IncidentId, HashMap<Fingerprint, Box<[i32]>>>,
    histories: HashMap<Fingerprint, Kept>,
    outcomes: HashMap<String, Decided>,
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
        for (fingerprint, kept) in &self.histories {
            for (incident, account) in &kept.accounts {
                if let Some(shelf) = shelves.get_mut(incident) {
                    shelf.enter(fingerprint, account);
                }
            }
            if kept.has_unaccounted {
                let has_account = |incident| kept.accounts.iter().any(|account| account.0 == incident);
                let others = shelves.iter_mut().filter(|(incident, _)| !has_account(**incident));
                others.for_each(|(_, shelf)| shelf.untold(fingerprint));
            }
        }
        for decided in self.outcomes.values() {
            for incident in &decided.incidents {
                if let Some(shelf) = shelves.get_mut(&IncidentHash::of(incident)) {
                    shelf.decide(decided);
                }
            }
        }
        shelves.into_values().map(|shelf| (shelf.record.id.clone(), shelf.book)).collect()
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
        let mut gone: BTreeMap<u32, u64> = BTreeMap::new();
        for events in cards.iter().flat_map(|cards| cards.values()) {
            match last_event(record, events) {
                Some(event) if event > 0 => book.listed.cards += 1,
                Some(event) => *gone.entry(event.unsigned_abs()).or_default() += 1,
                None => {}
            }
        }
        let mut moving = BTreeSet::new();
        for (number, names) in gone {
            let cards = record.revision(number).map_or(names, |revision| revision.counts.withdrawn);
            book.withdrawn.cards += names.min(cards);
            if names > cards {
                moving.insert(number);
            }
        }
        let zone = record.details().and_then(|details| TimeZone::get(&details.time_zone).ok());
        let zone = zone.unwrap_or(TimeZone::UTC);
        Shelf { record, cards, moving, zone, confirmed: HashSet::new(), book }
    }

    fn enter(&mut self, fingerprint: &Fingerprint, account: &Account) {
        let standing = self.standing(fingerprint).unwrap_or(Standing::Other);
        self.book.enter(standing, account, &self.zone);
    }

    /// The card may have been seen for this incident, and nobody knows.
    fn untold(&mut self, fingerprint: &Fingerprint) {
        if let Some(standing) = self.standing(fingerprint) {
            self.book.tally(standing).untold += 1;
        }
    }

    fn decide(&mut self, decided: &Decided) {
        let standing = self.standing(&decided.fingerprint).unwrap_or(Standing::Other);
        self.book.decide(standing, decided);
        if decided.finding == Finding::Fraud && self.confirmed.insert(decided.fingerprint) {
            self.book.tally(standing).confirmed += 1;
        }
    }

    /// Where a card stands; `None` where the incident's list has never had it.
    fn standing(&self, fingerprint: &Fingerprint) -> Option<Standing> {
        let events = self.cards?.get(fingerprint)?;
        Some(match last_event(self.record, events) {
            Some(event) if event > 0 => Standing::Listed,
            Some(event) if !self.moving.contains(&event.unsigned_abs()) => Standing::Withdrawn,
            _ => Standing::Other,
        })
    }
}

/// The last event of a card that counts: its revision is done and not undone.
fn last_event(record: &IncidentRecord, events: &[i32]) -> Option<i32> {
    let done =
        |number: u32| record.revision(number).is_some_and(|revision| revision.state == RevisionState::Done);
    events.iter().copied().rev().find(|event| done(event.unsigned_abs()))
}

#[cfg(test)]
mod tests;
