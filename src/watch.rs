//! The core of `sight`: a transaction and the set make a sighting.

use crate::codec::card::CardField;
use crate::codec::cloudevents::{self, TRACEPARENT};
use crate::codec::dead::{DeadReason, FIELD_CARD_KEY, Unreadable};
use crate::codec::mapping::Mapping;
use crate::domain::card::{Fingerprint, KeyId};
use crate::domain::expiry::ExpiryDate;
use crate::domain::position::Record;
use crate::domain::sighting::{OtherFingerprint, SIGHTING_SCHEMA, SeenBy, SeenCard, Sighting};
use crate::domain::time::Timestamp;
use crate::domain::vocabulary::Expiry;
use crate::exposure::fingerprint::{Fingerprinter, Namespace};
use crate::exposure::set::{Hit, View};

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
    namespace: Namespace,
    version: String,
}

/// A card's fingerprints, each with the index of its key; the one to be known by comes first.
type Prints = Vec<(usize, Fingerprint)>;

impl Watch {
    /// A watch that reads records by `mapping` and makes fingerprints under every key of `fingerprinter`.
    /// `version` is the program's.
    pub fn new(mapping: Mapping, fingerprinter: Fingerprinter, version: &str) -> Watch {
        Watch { mapping, fingerprinter, namespace: Namespace::default(), version: version.to_owned() }
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
        let card = match self.mapping.scan(value) {
            Ok(card) => card,
            Err(unreadable) => return Seen::Unreadable(unreadable),
        };
        match self.hits(view, &card) {
            Ok(None) => Seen::Miss,
            Ok(Some((prints, hits))) => {
                let traceparent = headers()
                    .into_iter()
                    .find(|(name, _)| *name == TRACEPARENT)
                    .and_then(|(_, header)| cloudevents::traceparent(header?, &card).map(str::to_owned));
                let sighting = self.sighting(view, record, value, now, &card, &prints, hits);
                Seen::Sighting(Box::new(Found { sighting, traceparent }))
            }
            Err(unreadable) => Seen::Unreadable(unreadable),
        }
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
        for index in 0..self.fingerprinter.key_count() {
            hits.extend(view.lookup(index, &self.print(index, card)?));
        }
        if hits.is_empty() {
            return Ok(None);
        }
        let prints: Result<Prints, Unreadable> =
            (0..self.fingerprinter.key_count()).map(|index| Ok((index, self.print(index, card)?))).collect();
        Ok(Some((prints?, hits)))
    }

    #[inline]
    fn print(&self, key_index: usize, card: &CardField<'_>) -> Result<Fingerprint, Unreadable> {
        match card {
            CardField::Number(number) => Ok(self.fingerprinter.of_number(key_index, number)),
            CardField::Token(token) => {
                let print = self.fingerprinter.of_token(key_index, &self.namespace, token.bytes());
                print.map_err(|_| Unreadable { reason: DeadReason::CardTooLong, field: "card" })
            }
            CardField::Fingerprint { fingerprint, .. } => Ok(*fingerprint),
        }
    }

    fn key_index(&self, name: &str) -> Result<usize, Unreadable> {
        (0..self.fingerprinter.key_count())
            .find(|&index| self.fingerprinter.key_id(index).as_str() == name)
            .ok_or(Unreadable { reason: DeadReason::KeyUnknown, field: FIELD_CARD_KEY })
    }

    #[allow(clippy::too_many_arguments, reason = "everything that is known of one hit")]
    fn sighting(
        &self,
        view: &View,
        record: &Record<'_>,
        value: &[u8],
        now: Timestamp,
        card: &CardField<'_>,
        prints: &Prints,
        hits: Vec<Hit>,
    ) -> Sighting {
        let decoded = self.mapping.decode(value, card);
        let hit = merged(hits);
        let mut transaction = decoded.transaction;
        transaction.expiry = compare(decoded.card_expiry, hit.expiry);
        let mut references = decoded.references;
        references.merge(&hit.references);
        let source = record.position();
        let key_of = |index: usize| -> KeyId { self.fingerprinter.key_id(index).clone() };
        let (primary, fingerprint) = prints[0];
        let others = prints[1..].iter();
        Sighting {
            schema: SIGHTING_SCHEMA.to_owned(),
            id: source.derived_id("sgt"),
            seen_at: now,
            card: SeenCard {
                fingerprint,
                key: key_of(primary),
                kind: card.kind(),
                references,
                others: others
                    .map(|&(index, fingerprint)| OtherFingerprint { fingerprint, key: key_of(index) })
                    .collect(),
            },
            incidents: hit.incidents,
            transaction,
            unreadable: decoded.unreadable,
            withheld: decoded.withheld,
            source,
            judged_by: SeenBy { exposures: view.frontier(), version: self.version.clone() },
        }
    }
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
