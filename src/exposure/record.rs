//! The records of the exposure list (`cardwatch.exposures`): their keys and their JSON values.
//!
//! Unknown fields are tolerated when reading: during a rolling upgrade an older `sight` meets records of a
//! newer import, and refusing them would take cards off the watch. A change of *meaning* takes a new schema
//! name, and that is refused. Rewriting a record drops what the writer does not know, so imports are upgraded
//! before anything is imported with a new feature.

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};

use crate::domain::card::{Fingerprint, KeyId};
use crate::domain::expiry::ExpiryDate;
use crate::domain::incident::{Details, IncidentId, References};
use crate::domain::time::Timestamp;
use crate::exposure::fingerprint::CheckValue;
use crate::exposure::retention::{Gone, Hold, Removal};

/// The name and version of an incident record's JSON form.
pub const INCIDENT_SCHEMA: &str = "cardwatch.incident/1";
/// The highest revision number: card events are signed 32-bit integers.
pub const REVISION_NUMBER_MAX: u32 = i32::MAX as u32;

/// Why a record of the exposure list cannot be read. Names a card by its fingerprint only, and repeats
/// nothing else of the record: a malformed key or value may hold anything.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RecordError {
    /// The key is neither form.
    #[error("the record's key is neither card/KEYID/FINGERPRINT/INCIDENT nor incident/ID")]
    Key,
    /// The value is not JSON of the expected form.
    #[error("{key}: the value is {what} (line {line}, column {column})")]
    Value {
        /// The record.
        key: ListKey,
        /// Broken JSON, or JSON of another form.
        what: &'static str,
        /// Where, counted from 1.
        line: usize,
        /// Where, counted from 1.
        column: usize,
    },
    /// The value names another schema.
    #[error("{key}: the value is not {INCIDENT_SCHEMA}: it was written by another version of cardwatch")]
    Schema {
        /// The record.
        key: ListKey,
    },
    /// The value contradicts itself or its key.
    #[error("{key}: {what}")]
    Contradiction {
        /// The record.
        key: ListKey,
        /// What is wrong.
        what: &'static str,
    },
}

/// The key of a record.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum ListKey {
    /// A card in an incident: `card/KEYID/FINGERPRINT/INCIDENT`.
    Card {
        /// The key that the fingerprint was made with.
        key: KeyId,
        /// The card.
        fingerprint: Fingerprint,
        /// The incident.
        incident: IncidentId,
    },
    /// An incident: `incident/ID`.
    Incident(IncidentId),
}

impl ListKey {
    /// Reads a key.
    ///
    /// # Errors
    /// [`RecordError::Key`] when it has neither form.
    pub fn parse(bytes: &[u8]) -> Result<ListKey, RecordError> {
        let text = std::str::from_utf8(bytes).map_err(|_| RecordError::Key)?;
        let mut parts = text.split('/');
        let key = match (parts.next(), parts.next(), parts.next(), parts.next()) {
            (Some("card"), Some(key), Some(fingerprint), Some(incident)) => ListKey::Card {
                key: key.parse().map_err(|_| RecordError::Key)?,
                fingerprint: parse_lowercase(fingerprint)?,
                incident: incident.parse().map_err(|_| RecordError::Key)?,
            },
            (Some("incident"), Some(id), None, None) => {
                ListKey::Incident(id.parse().map_err(|_| RecordError::Key)?)
            }
            _ => return Err(RecordError::Key),
        };
        if parts.next().is_some() { Err(RecordError::Key) } else { Ok(key) }
    }
}

/// One card must have one key: compaction would keep a second spelling beside the first.
fn parse_lowercase(text: &str) -> Result<Fingerprint, RecordError> {
    if text.bytes().any(|b| b.is_ascii_uppercase()) {
        return Err(RecordError::Key);
    }
    text.parse().map_err(|_| RecordError::Key)
}

impl fmt::Display for ListKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ListKey::Card { key, fingerprint, incident } => write!(f, "card/{key}/{fingerprint}/{incident}"),
            ListKey::Incident(id) => write!(f, "incident/{id}"),
        }
    }
}

/// A card in an incident.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct CardRecord {
    /// What revisions did to the card, in their order: `n` added it, `-n` withdrew it.
    pub events: Vec<i32>,
    /// The expiry date of the exposed card.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expiry: Option<ExpiryDate>,
    /// The user's own class of exposure.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tier: Option<String>,
    /// What leads to the card's owner.
    #[serde(default, skip_serializing_if = "References::is_empty")]
    pub references: References,
}

impl CardRecord {
    /// Reads a value; `key` is named in errors.
    ///
    /// # Errors
    /// [`RecordError`] when it is no card record.
    pub fn from_json(key: &ListKey, value: &[u8]) -> Result<CardRecord, RecordError> {
        let record: CardRecord = read(key, value)?;
        let numbers = record.events.iter().map(|event| event.unsigned_abs());
        if record.events.iter().any(|event| matches!(*event, 0 | i32::MIN))
            || !numbers.is_sorted_by(|a, b| a < b)
        {
            return Err(contradiction(key, "the card's events are not in the order of revisions"));
        }
        Ok(record)
    }

    /// The value's bytes.
    pub fn to_json(&self) -> Vec<u8> {
        write(self)
    }
}

/// Whether an incident is watched.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum IncidentState {
    /// Its cards are watched.
    Open,
    /// None of its cards is.
    Closed,
}

impl IncidentState {
    /// The word in JSON and for people.
    pub fn as_str(self) -> &'static str {
        match self {
            IncidentState::Open => "open",
            IncidentState::Closed => "closed",
        }
    }
}

/// Where a revision stands. Claimed becomes done or dead, done becomes undone; nothing goes back.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum RevisionState {
    /// An import holds the number and may be writing cards.
    Claimed,
    /// In force.
    Done,
    /// Was in force and was taken back, for good.
    Undone,
    /// Its import ended before it was done.
    Dead,
}

/// When, by whom and where something was decided.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Mark {
    /// When.
    pub at: Timestamp,
    /// Who, as they or their system named themselves.
    pub by: String,
    /// The machine.
    pub host: String,
}

/// What an import did with the entries of a list.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Counts {
    /// Entries that were read, the rejected included.
    pub read: u64,
    /// Entries whose card was put on the list.
    pub added: u64,
    /// Entries whose card was on the list before.
    pub already_there: u64,
    /// Of `already_there`: those that brought a new expiry date, tier or reference, or moved to the primary key.
    pub updated: u64,
    /// Cards taken off the list, by an entry or because a replacing list lacks them.
    pub withdrawn: u64,
    /// Entries to be withdrawn whose card was not on the list.
    pub not_there: u64,
    /// Entries whose card the same list had named before.
    pub repeated: u64,
    /// Entries that could not be read.
    pub rejected: u64,
}

/// How many cards an incident had on the list before a revision and after it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct CardTotals {
    /// Before.
    pub before: u64,
    /// After.
    pub after: u64,
}

/// One atomic change of an incident.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Revision {
    /// Counted from 1, never used twice.
    pub number: u32,
    /// Where it stands.
    pub state: RevisionState,
    /// Its claim.
    #[serde(flatten)]
    pub claimed: Mark,
    /// When it was done.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub done_at: Option<Timestamp>,
    /// When and by whom it was taken back.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub undone: Option<Mark>,
    /// The revision that was in force when this one was claimed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub follows: Option<u32>,
    /// What the incident says of itself while this revision is the last in force.
    pub details: Details,
    /// What happened to the list's entries; zero until done.
    #[serde(default)]
    pub counts: Counts,
    /// The incident's cards before and after; absent until done.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cards: Option<CardTotals>,
    /// That records of cards which it withdrew are gone, so that it cannot be undone any more.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub gone: Option<Gone>,
}

/// An incident and its complete revision log.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct IncidentRecord {
    /// Always [`INCIDENT_SCHEMA`].
    pub schema: String,
    /// The incident.
    pub id: IncidentId,
    /// Whether it is watched.
    pub state: IncidentState,
    /// When and by whom it was closed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub closed: Option<Mark>,
    /// The check value of each key that cards of the incident were written under.
    #[serde(default)]
    pub checks: BTreeMap<KeyId, CheckValue>,
    /// The log, in the order of numbers.
    pub revisions: Vec<Revision>,
    /// Legal holds in the order in which they were set; the last may be in force.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub holds: Vec<Hold>,
    /// When records of cards were removed, and how many.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub removals: Vec<Removal>,
}

/// All that is looked at before the rest is read: another version may differ in everything else.
#[derive(Deserialize)]
struct SchemaOnly<'a> {
    #[serde(borrow)]
    schema: std::borrow::Cow<'a, str>,
}

impl IncidentRecord {
    /// Reads a value; `id` is the key's.
    ///
    /// # Errors
    /// [`RecordError`] when it is no incident record, of another schema, or contradicts itself.
    pub fn from_json(id: &IncidentId, value: &[u8]) -> Result<IncidentRecord, RecordError> {
        let key = ListKey::Incident(id.clone());
        if read::<SchemaOnly<'_>>(&key, value)?.schema != INCIDENT_SCHEMA {
            return Err(RecordError::Schema { key });
        }
        let record: IncidentRecord = read(&key, value)?;
        if record.id != *id {
            return Err(contradiction(&key, "the value names another incident than the key"));
        }
        let numbers = record.revisions.iter().map(|revision| revision.number);
        if !std::iter::once(0).chain(numbers).is_sorted_by(|a, b| a < b)
            || record.revisions.last().is_some_and(|last| last.number > REVISION_NUMBER_MAX)
        {
            return Err(contradiction(&key, "the revisions are not in the order of their numbers"));
        }
        let claimed = |revision: &Revision| revision.state == RevisionState::Claimed;
        if record.revisions.iter().rev().skip(1).any(claimed) {
            return Err(contradiction(&key, "a revision other than the last is claimed"));
        }
        Ok(record)
    }

    /// The value's bytes.
    pub fn to_json(&self) -> Vec<u8> {
        write(self)
    }
}

fn contradiction(key: &ListKey, what: &'static str) -> RecordError {
    RecordError::Contradiction { key: key.clone(), what }
}

fn read<'a, T: Deserialize<'a>>(key: &ListKey, value: &'a [u8]) -> Result<T, RecordError> {
    // The reader's own message repeats the value it stumbled over, so only the place is kept.
    serde_json::from_slice(value).map_err(|error| RecordError::Value {
        key: key.clone(),
        what: match error.classify() {
            serde_json::error::Category::Eof => "JSON that ends too early",
            serde_json::error::Category::Data => "JSON of another form than this record's",
            _ => "not JSON",
        },
        line: error.line(),
        column: error.column(),
    })
}

#[allow(clippy::expect_used, reason = "plain structs with string keys cannot fail to serialise into memory")]
fn write<T: Serialize>(record: &T) -> Vec<u8> {
    serde_json::to_vec(record).expect("a record serialises into memory")
}

#[cfg(test)]
mod tests;
