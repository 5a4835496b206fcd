//! The outcomes that name a card, and what keeps them.

use std::collections::{BTreeMap, HashMap, HashSet};

use crate::codec::outcome::{NamedCard, named_card};
use crate::domain::card::Fingerprint;
use crate::domain::incident::IncidentId;
use crate::domain::time::Timestamp;
use crate::exposure::record::IncidentRecord;
use crate::exposure::set::View;
use crate::kafka::native::Message;
use crate::lines::import::ListTopic;
use crate::lines::start::Stopped;

/// The key of an outcome's record.
pub(super) type Key = Vec<u8>;

/// What an outcome says that decides how long it is kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Naming {
    card: NamedCard,
    /// When its record was written, by the clock of whoever wrote it.
    written: Timestamp,
}

impl Naming {
    /// Whether it was written `grace_ms` before `now`. A time that far ahead is none, and protects nothing: it would
    /// for ever.
    pub(super) fn is_past(&self, grace_ms: i64, now: Timestamp) -> bool {
        let age = now.millis().saturating_sub(self.written.millis());
        age >= grace_ms || age < -grace_ms
    }
}

/// The card that each outcome names, by the newest record of its key.
#[derive(Debug, Default)]
pub(super) struct Named(BTreeMap<Key, Naming>);

impl Named {
    /// Reads the topic to its end; nothing where there is no such topic.
    ///
    /// # Errors
    /// When it cannot be read.
    pub(super) fn read(list: &ListTopic, topic: &str) -> Result<Named, Stopped> {
        let mut named = Named::default();
        list.snapshots().topic("the outcomes", topic, |message: &Message<'_>| {
            named.apply(message.key().unwrap_or_default(), message.value(), message.timestamp());
            Ok(())
        })?;
        Ok(named)
    }

    fn apply(&mut self, key: &[u8], value: Option<&[u8]>, written: Timestamp) {
        match value.and_then(named_card) {
            Some(card) => drop(self.0.insert(key.to_owned(), Naming { card, written })),
            // What names no card takes the place of what did.
            None => drop(self.0.remove(key)),
        }
    }

    /// Whether no outcome names a card.
    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Every outcome that names a card.
    pub(super) fn all(&self) -> impl Iterator<Item = (&Key, &Naming)> {
        self.0.iter()
    }

    /// The cards that are named.
    pub(super) fn cards(&self) -> impl Iterator<Item = Fingerprint> {
        self.0.values().map(|naming| naming.card.fingerprint)
    }

    /// The outcomes of these cards.
    pub(super) fn of(&self, cards: &HashSet<Fingerprint>) -> Vec<Key> {
        let of_cards = self.0.iter().filter(|(_, naming)| cards.contains(&naming.card.fingerprint));
        of_cards.map(|(key, _)| key.clone()).collect()
    }

    /// The incidents that the outcomes of these cards name, as far as the list has them.
    pub(super) fn incidents_of<'v>(
        &self,
        cards: &HashSet<Fingerprint>,
        view: &'v View,
    ) -> Vec<&'v IncidentRecord> {
        let of_cards = self.0.values().filter(|naming| cards.contains(&naming.card.fingerprint));
        let named: HashSet<&IncidentId> = of_cards.flat_map(|naming| &naming.card.incidents).collect();
        view.incidents().into_iter().filter(|incident| named.contains(&incident.id)).collect()
    }

    /// The outcomes whose card no incident lists any more and that were written `grace_ms` ago.
    pub(super) fn late(&self, keeping: &Keeping<'_>, grace_ms: i64, now: Timestamp) -> Vec<Key> {
        let is_late = |naming: &Naming| {
            naming.is_past(grace_ms, now) && keeping.fate(naming, |_, _, _| false) == Fate::Unlisted
        };
        self.0.iter().filter(|(_, naming)| is_late(naming)).map(|(key, _)| key.clone()).collect()
    }
}

/// What becomes of an outcome when some records go.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Fate {
    /// A record of its card stays, or a legal hold keeps it.
    Stays,
    /// All records of its card go: the last of them, and its incident.
    Goes {
        /// By incident and fingerprint the last.
        incident: IncidentId,
        /// The name that the record is under.
        record: Fingerprint,
    },
    /// There is no record of its card.
    Unlisted,
}

/// What keeps outcomes: the list, and which fingerprints are one card's.
#[derive(Debug)]
pub(super) struct Keeping<'v> {
    /// All fingerprints of the cards in question, by the one that an outcome names.
    pub(super) links: HashMap<Fingerprint, HashSet<Fingerprint>>,
    /// The list.
    pub(super) view: &'v View,
}

impl Keeping<'_> {
    /// What becomes of an outcome when the records go that `lets_go` says, by incident, fingerprint and events.
    pub(super) fn fate(
        &self,
        outcome: &Naming,
        lets_go: impl Fn(&IncidentRecord, &Fingerprint, &[i32]) -> bool,
    ) -> Fate {
        let card = &outcome.card;
        let mut last: Option<(&IncidentId, Fingerprint)> = None;
        let own = HashSet::from([card.fingerprint]);
        for name in self.links.get(&card.fingerprint).unwrap_or(&own) {
            for (incident, events) in self.view.records_of(name) {
                // Cards without their incident: a list that is still being read, or that somebody else wrote.
                match incident.filter(|incident| lets_go(incident, name, &events)) {
                    Some(incident) => last = last.max(Some((&incident.id, *name))),
                    None => return Fate::Stays,
                }
            }
        }
        let held = self.view.incidents().into_iter().filter(|incident| incident.hold().is_some());
        if held.into_iter().any(|incident| card.incidents.contains(&incident.id)) {
            return Fate::Stays;
        }
        match last {
            Some((incident, record)) => Fate::Goes { incident: incident.clone(), record },
            None => Fate::Unlisted,
        }
    }
}

#[cfg(test)]
mod tests;
