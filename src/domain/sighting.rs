//! A sighting: a transaction on an exposed card. Written by `sight`, judged by `score`.

use serde::{Deserialize, Serialize};

use super::card::{CardKind, Fingerprint, KeyId};
use super::incident::{ExposedIn, References};
use super::position::Position;
use super::time::Timestamp;
use super::transaction::Transaction;

/// The name and version of the JSON form.
pub const SIGHTING_SCHEMA: &str = "cardwatch.sighting/1";

/// A transaction on an exposed card, as `cardwatch.sightings` holds it (JSON).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sighting {
    /// Always [`SIGHTING_SCHEMA`].
    pub schema: String,
    /// `sgt_…`, derived from [`Sighting::source`].
    pub id: String,
    /// When `sight` recognised the card, by its own clock.
    pub seen_at: Timestamp,
    /// The card.
    pub card: SeenCard,
    /// The incidents that expose the card, at least one, sorted by id.
    pub incidents: Vec<ExposedIn>,
    /// What happened.
    pub transaction: Transaction,
    /// Mapped fields that were there and could not be read; they are null in `transaction`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub unreadable: Vec<String>,
    /// Mapped fields withheld because they contained the card number; null in `transaction`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub withheld: Vec<String>,
    /// The transaction's place in the input.
    pub source: Position,
    /// What recognised the card.
    pub judged_by: SeenBy,
}

/// The card of a sighting, and of an alert.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SeenCard {
    /// The fingerprint under the primary key: the Kafka key of the record.
    pub fingerprint: Fingerprint,
    /// The primary key's id.
    pub key: KeyId,
    /// Which card field matched: by what it holds. Of several the first.
    pub kind: CardKind,
    /// References from the transaction and the list.
    #[serde(default)]
    pub references: References,
    /// Fingerprints of the same card under the other active keys, and those of further card fields that matched.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub others: Vec<OtherFingerprint>,
}

/// The same card under another key, or by another field.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OtherFingerprint {
    /// The fingerprint.
    pub fingerprint: Fingerprint,
    /// The key it was made with.
    pub key: KeyId,
    /// Which card field it is of.
    pub kind: CardKind,
}

/// What recognised a card.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SeenBy {
    /// The frontier: offset of the last applied marker of the exposure list.
    pub exposures: i64,
    /// The version of the program.
    pub version: String,
}
