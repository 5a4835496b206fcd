//! Reads dead letters back: what their headers say, and the record in them, if one was kept.

use super::{HEADER_PREFIX, OriginalHeader};
use crate::codec::dead::DeadReason;
use crate::domain::time::Timestamp;

/// What a letter tells of its record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Letter {
    /// Why the record could not be read.
    pub reason: DeadReason,
    /// Which field it was.
    pub field: String,
    /// The record's topic.
    pub topic: String,
    /// Its partition.
    pub partition: i32,
    /// Its offset.
    pub offset: i64,
    /// Its timestamp.
    pub timestamp: Timestamp,
    /// The length of its value, in bytes; `None` without one.
    pub value_bytes: Option<u64>,
    /// The length of its key, in bytes; `None` without one.
    pub key_bytes: Option<u64>,
    /// How many headers it had.
    pub header_count: u64,
    /// What was kept of it: a word of the module above.
    pub payload: String,
    /// The keyed digest of its value.
    pub digest: Option<String>,
    /// The public key it is sealed to.
    pub sealed_to: Option<String>,
}

impl Letter {
    /// Reads the headers of a letter; `None` when it is none of this version.
    pub fn read(headers: &[OriginalHeader<'_>]) -> Option<Letter> {
        let text = |name: &str| {
            let ours = |header: &&OriginalHeader<'_>| header.0.strip_prefix(HEADER_PREFIX) == Some(name);
            std::str::from_utf8(headers.iter().find(ours)?.1?).ok()
        };
        let whole = |name: &str| text(name).map(str::parse).transpose();
        Some(Letter {
            reason: DeadReason::from_word(text("reason")?)?,
            field: text("field")?.to_owned(),
            topic: text("topic")?.to_owned(),
            partition: text("partition")?.parse().ok()?,
            offset: text("offset")?.parse().ok()?,
            timestamp: Timestamp::parse_rfc3339(text("timestamp")?).ok()?,
            value_bytes: whole("value-bytes").ok()?,
            key_bytes: whole("key-bytes").ok()?,
            header_count: text("header-count")?.parse().ok()?,
            payload: text("payload")?.to_owned(),
            digest: text("value-digest").map(str::to_owned),
            sealed_to: text("sealed-to").map(str::to_owned),
        })
    }

    /// Whether the record is encrypted in the letter's value.
    pub fn is_sealed(&self) -> bool {
        self.sealed_to.is_some()
    }

    /// Whether at least key and headers of the record stand in the letter as they were.
    pub fn is_open(&self) -> bool {
        matches!(self.payload.as_str(), "original" | "value-too-large")
    }
}

/// A letter's headers without those that cardwatch added.
pub fn originals<'h, 'a>(
    letter: &Letter,
    headers: &'h [OriginalHeader<'a>],
) -> impl Iterator<Item = &'h OriginalHeader<'a>> {
    // A letter with a body of its own describes that body.
    let whole = letter.payload == "original";
    headers.iter().filter(move |(name, _)| {
        let describes = *name == super::CONTENT_TYPE || name.starts_with("ce_");
        !name.starts_with(HEADER_PREFIX) && (whole || !describes)
    })
}
