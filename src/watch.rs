//! The core of `sight`: a transaction and the set make a sighting.

use crate::codec::card::{CardField, Cards};
use crate::codec::cloudevents::{self, TRACEPARENT};
use crate::codec::dead::{DeadReason, FIELD_CARD, FIELD_CARD_KEY, Unreadable};
use crate::codec::mapping::Mapping;
use crate::codec::transaction::Decoded;
use crate::domain::card::{CardKind, Fingerprint};
use crate::domain::expiry::ExpiryDate;
use crate::domain::position::Record;
use crate::domain::sighting::{OtherFingerprint, SIGHTING_SCHEMA, SeenBy, SeenCard, Sighting};
use crate::domain::time::Timestamp;
use crate::domain::vocabulary::Expiry;
use crate::exposure::fingerprint::{Fingerprinter, Namespace};
use crate::exposure::set::{Hit, View};
use crate::fault;

/// What a record turned out to be.
#[derive(Debug)]
pub enum Seen {
    /// A transaction on a card that is on no list: 99.9 % of all.
    Miss,
    /// A null value.
    Tombstone,
    /// A transaction on an exposed card.
    Sighting(Box<Found>),
    /// A record whose card field does not read.
    Unreadable(Unreadable),
}

/// A sighting and what its record passes on.
#[derive(Debug)]
pub struct Found {
    /// The sighting.
    pub sighting: Sighting,
    /// The record's `traceparent`, if it is well-formed and does not repeat the card number.
    pub traceparent: Option<String>,
}

/// Recognises exposed cards. One per worker; holds no state but the keyed hash's.
#[derive(Debug, Clone)]
pub struct Watch {
    mapping: Mapping,
    fingerprinter: Fingerprinter,
    /// How many keys a card is looked up under.
    keys: usize,
    version: String,
}

/// A card's fingerprints, each with the index of its key; the one to be known by comes first.
type Prints = Vec<(usize, Fingerprint)>;

/// What is known of a record's card, exposed or not.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Recognised {
    /// The fingerprint it would be known by.
    pub fingerprint: Fingerprint,
    /// Whether it is on the list.
    pub exposed: bool,
}

/// A card field that is on the list.
struct Match {
    kind: CardKind,
    prints: Prints,
    hits: Vec<Hit>,
}

impl Watch {
    /// A watch that reads records by `mapping` and makes fingerprints under every key of `fingerprinter`.
    /// `version` is the program's.
    pub fn new(mapping: Mapping, fingerprinter: Fingerprinter, version: &str) -> Watch {
        // Asked once: this is the path of every record.
        let keys = match fault::broken("second-key-not-looked-up") {
            true => 1,
            false => fingerprinter.key_count(),
        };
        Watch { mapping, fingerprinter, keys, version: version.to_owned() }
    }

    /// Looks at one record under one view of the list. `headers` gives the record's headers, and is asked
    /// only on a hit. Whether a card counts is the view's word alone: a clock that is wrong must not
    /// remove a sighting.
    #[inline]
    pub fn look<'a>(
        &self,
        view: &View,
        record: &Record<'a>,
        now: Timestamp,
        headers: impl FnOnce() -> Vec<(&'a str, Option<&'a [u8]>)>,
    ) -> Seen {
        let Some(value) = record.value else { return Seen::Tombstone };
        if !self.mapping.has_one_card() {
            return self.look_at_all(view, record, value, now, headers);
        }
        let card = match self.mapping.scan(value) {
            Ok(card) => card,
            Err(unreadable) => return Seen::Unreadable(unreadable),
        };
        match self.hits(view, &card) {
            Ok(None) => Seen::Miss,
            Ok(Some((prints, hits))) => {
                let matches = vec![Match { kind: card.kind(), prints, hits }];
                self.found(view, record, value, now, (&[&card], matches, &[]), headers())
            }
            Err(unreadable) => Seen::Unreadable(unreadable),
        }
    }

    /// As [`Watch::look`] where the card may be in several fields: any that matches makes the one sighting. A
    /// field that does not read makes a dead letter only where no other matches, because then nobody knows.
    fn look_at_all<'a>(
        &self,
        view: &View,
        record: &Record<'a>,
        value: &'a [u8],
        now: Timestamp,
        headers: impl FnOnce() -> Vec<(&'a str, Option<&'a [u8]>)>,
    ) -> Seen {
        let cards = match self.mapping.scan_all(value) {
            Ok(cards) => cards,
            Err(unreadable) => return Seen::Unreadable(unreadable),
        };
        let (matches, unreadable) = self.matches(view, &cards);
        match (matches.is_empty(), unreadable.first()) {
            (true, None) => Seen::Miss,
            (true, Some(unreadable)) => Seen::Unreadable(*unreadable),
            (false, _) => {
                let cards: Vec<&CardField<'_>> = cards.iter().collect();
                self.found(view, record, value, now, (&cards, matches, &unreadable), headers())
            }
        }
    }

    /// The card fields that are on the list, and those that do not read.
    fn matches(&self, view: &View, cards: &Cards<'_>) -> (Vec<Match>, Vec<Unreadable>) {
        let mut unreadable: Vec<Unreadable> = cards.unreadable().collect();
        let mut matches = Vec::new();
        for card in cards.iter() {
            match self.hits(view, card) {
                Ok(None) => {}
                Ok(Some((prints, hits))) => matches.push(Match { kind: card.kind(), prints, hits }),
                Err(why) => unreadable.push(why),
            }
        }
        (matches, unreadable)
    }

    #[cold]
    fn found<'a>(
        &self,
        view: &View,
        record: &Record<'a>,
        value: &[u8],
        now: Timestamp,
        (cards, matches, unreadable): (&[&CardField<'_>], Vec<Match>, &[Unreadable]),
        headers: Vec<(&'a str, Option<&'a [u8]>)>,
    ) -> Seen {
        let traceparent = headers
            .into_iter()
            .find(|(name, _)| *name == TRACEPARENT)
            .and_then(|(_, header)| cloudevents::traceparent(header?, cards).map(str::to_owned));
        let decoded = self.mapping.decode_beside(value, cards);
        let mut sighting = self.sighting(view, record, now, decoded, matches);
        sighting.unreadable.extend(unreadable.iter().map(|one| one.field.to_owned()));
        Seen::Sighting(Box::new(Found { sighting, traceparent }))
    }

    /// The card of a record, whether it is exposed or not: by the first of its fields that is on the list, or the
    /// first that reads.
    ///
    /// # Errors
    /// Why no card field reads.
    pub fn recognise(&self, view: &View, value: &[u8]) -> Result<Recognised, Unreadable> {
        let cards = self.mapping.scan_all(value)?;
        let (matches, unreadable) = self.matches(view, &cards);
        if let Some(first) = matches.first() {
            return Ok(Recognised { fingerprint: first.prints[0].1, exposed: true });
        }
        let why = unreadable.first().copied();
        let why = why.unwrap_or(Unreadable { reason: DeadReason::CardMissing, field: FIELD_CARD });
        let first = cards.iter().next().ok_or(why)?;
        Ok(Recognised { fingerprint: fingerprint_of(&self.fingerprinter, 0, first)?, exposed: false })
    }

    /// When a transaction happened, as far as its record tells. Decodes the whole record: not for the
    /// stream's usual path.
    pub fn time_of(&self, record: &Record<'_>) -> Option<Timestamp> {
        let value = record.value?;
        let card = self.mapping.scan(value).ok()?;
        self.mapping.decode(value, &card).transaction.at
    }

    /// The hits of a card under every key that may have put it on a list; `None` on a miss, without
    /// taking memory.
    #[inline]
    fn hits(&self, view: &View, card: &CardField<'_>) -> Result<Option<(Prints, Vec<Hit>)>, Unreadable> {
        if let CardField::Fingerprint { fingerprint, key } = card {
            let index = match key {
                None => 0,
                Some(name) => self.key_index(name.as_str())?,
            };
            let hit = view.lookup(index, fingerprint);
            return Ok(hit.map(|hit| (vec![(index, *fingerprint)], vec![hit])));
        }
        let mut hits = Vec::new();
        for index in 0..self.keys {
            hits.extend(view.lookup(index, &fingerprint_of(&self.fingerprinter, index, card)?));
        }
        if hits.is_empty() {
            return Ok(None);
        }
        let prints: Result<Prints, Unreadable> = (0..self.fingerprinter.key_count())
            .map(|index| Ok((index, fingerprint_of(&self.fingerprinter, index, card)?)))
            .collect();
        let mut prints = prints?;
        if fault::broken("keyed-by-another-key") {
            prints.reverse();
        }
        Ok(Some((prints, hits)))
    }

    fn key_index(&self, name: &str) -> Result<usize, Unreadable> {
        (0..self.fingerprinter.key_count())
            .find(|&index| self.fingerprinter.key_id(index).as_str() == name)
            .ok_or(Unreadable { reason: DeadReason::KeyUnknown, field: FIELD_CARD_KEY })
    }

    fn sighting(
        &self,
        view: &View,
        record: &Record<'_>,
        now: Timestamp,
        decoded: Decoded,
        matches: Vec<Match>,
    ) -> Sighting {
        let prints: Vec<OtherFingerprint> = matches.iter().flat_map(|one| self.named(one)).collect();
        let hit = merged(matches.into_iter().flat_map(|one| one.hits).collect());
        let mut transaction = decoded.transaction;
        transaction.expiry = compare(decoded.card_expiry, hit.expiry);
        let mut references = decoded.references;
        references.merge(&hit.references);
        let source = record.position();
        let first = prints[0].clone();
        let mut others: Vec<OtherFingerprint> = Vec::new();
        for print in prints {
            // The number and the funding number of a plain card are the same.
            let is_known =
                |known: &OtherFingerprint| known.fingerprint == print.fingerprint && known.key == print.key;
            if !is_known(&first) && !others.iter().any(is_known) {
                others.push(print);
            }
        }
        Sighting {
            schema: SIGHTING_SCHEMA.to_owned(),
            id: source.derived_id("sgt"),
            seen_at: now,
            card: SeenCard {
                fingerprint: first.fingerprint,
                key: first.key,
                kind: first.kind,
                references,
                others,
            },
            incidents: hit.incidents,
            transaction,
            unreadable: decoded.unreadable,
            withheld: decoded.withheld,
            source,
            judged_by: SeenBy { exposures: view.frontier(), version: self.version.clone() },
        }
    }

    fn named(&self, one: &Match) -> impl Iterator<Item = OtherFingerprint> {
        one.prints.iter().map(|&(index, fingerprint)| OtherFingerprint {
            fingerprint,
            key: self.fingerprinter.key_id(index).clone(),
            kind: one.kind,
        })
    }
}

/// The fingerprint of a card field under the key of an index. A funding number is a card number: a list of numbers
/// finds both. One made upstream is taken as it is.
///
/// # Errors
/// When a token is longer than any is; not for one that came from a record.
#[inline]
pub fn fingerprint_of(
    fingerprinter: &Fingerprinter,
    key_index: usize,
    card: &CardField<'_>,
) -> Result<Fingerprint, Unreadable> {
    let (namespace, token) = match card {
        CardField::Number(number) | CardField::FundingNumber(number) => {
            return Ok(fingerprinter.of_number(key_index, number));
        }
        CardField::Fingerprint { fingerprint, .. } => return Ok(*fingerprint),
        CardField::Token(token) => (Namespace::TOKEN, token),
        CardField::AccountReference(reference) => (Namespace::ACCOUNT_REFERENCE, reference),
    };
    let print = fingerprinter.of_token(key_index, &namespace, token.bytes());
    print.map_err(|_| Unreadable { reason: DeadReason::CardTooLong, field: FIELD_CARD })
}

/// One hit out of those under several keys: incidents joined by id, the first known expiry.
fn merged(hits: Vec<Hit>) -> Hit {
    let mut hits = hits.into_iter();
    let Some(mut merged) = hits.next() else {
        return Hit { incidents: Vec::new(), expiry: None, references: Default::default() };
    };
    for hit in hits {
        for incident in hit.incidents {
            if !merged.incidents.iter().any(|known| known.id == incident.id) {
                merged.incidents.push(incident);
            }
        }
        merged.expiry = merged.expiry.or(hit.expiry);
        merged.references.merge(&hit.references);
    }
    merged.incidents.sort_by(|a, b| a.id.cmp(&b.id));
    merged
}

fn compare(used: Option<ExpiryDate>, listed: Option<ExpiryDate>) -> Expiry {
    match (used, listed) {
        (Some(used), Some(listed)) if used == listed => Expiry::Same,
        (Some(_), Some(_)) => Expiry::Different,
        _ => Expiry::Unknown,
    }
}

#[cfg(test)]
mod tests;
