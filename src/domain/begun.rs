//! That a consumer group has begun to read a partition: what cardwatch remembers of it where Kafka forgets.
//!
//! Brokers drop what a group has committed when the group is idle for longer than `offsets.retention.minutes`, when
//! somebody deletes it, and when its topic is deleted. To the next start such a group looks like one that never was.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::time::Timestamp;

/// The name and version of the JSON form.
pub const BEGUN_SCHEMA: &str = "cardwatch.begun/1";

/// What the keys begin with.
const PREFIX: &str = "begun/";

/// The key of a record: `begun/GROUP/TOPIC/PARTITION`.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct BegunKey {
    /// The consumer group.
    pub group: String,
    /// The topic it reads.
    pub topic: String,
    /// The partition.
    pub partition: i32,
}

impl fmt::Display for BegunKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{PREFIX}{}/{}/{}", self.group, self.topic, self.partition)
    }
}

/// A text is no key of such a record.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not {PREFIX}GROUP/TOPIC/PARTITION")]
pub struct NotBegun;

impl FromStr for BegunKey {
    type Err = NotBegun;

    fn from_str(text: &str) -> Result<BegunKey, NotBegun> {
        // From behind: the name of a group may hold any character, that of a topic no slash.
        let rest = text.strip_prefix(PREFIX).ok_or(NotBegun)?;
        let (rest, partition) = rest.rsplit_once('/').ok_or(NotBegun)?;
        let (group, topic) = rest.rsplit_once('/').ok_or(NotBegun)?;
        let partition = partition.parse().map_err(|_| NotBegun)?;
        Ok(BegunKey { group: group.to_owned(), topic: topic.to_owned(), partition })
    }
}

/// A group's place in a partition, as it was noted last (JSON, `cardwatch.begun/1`).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Begun {
    /// Always [`BEGUN_SCHEMA`].
    pub schema: String,
    /// The id of the topic, where the cluster tells one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub topic_id: Option<String>,
    /// The offset where reading began.
    pub first: i64,
    /// When it began.
    pub since: Timestamp,
    /// The next offset to read, as it was committed; absent while nothing is known to be.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next: Option<i64>,
    /// The time of the newest record below it, where that is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub newest: Option<Timestamp>,
    /// When this was noted. Records may have been read since.
    pub at: Timestamp,
    /// Whether reading began anew at `first`, behind a gap that somebody accepted.
    #[serde(default)]
    pub after_gap: bool,
    /// The version of the program.
    pub version: String,
}

/// Why bytes are no such record.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BegunError {
    /// Not JSON of this form.
    #[error("not a record of a beginning (line {line}, column {column})")]
    NotARecord {
        /// Where, counted from 1.
        line: usize,
        /// Where, counted from 1.
        column: usize,
    },
    /// Another version's.
    #[error("of another schema than {BEGUN_SCHEMA}: a newer cardwatch wrote it")]
    OtherSchema,
}

impl Begun {
    /// The offset to go on with, as far as is known.
    pub fn stands_at(&self) -> i64 {
        self.next.unwrap_or(self.first)
    }

    /// The record as JSON.
    pub fn to_json(&self) -> Vec<u8> {
        // Strings and numbers alone: nothing that could not be written.
        serde_json::to_vec(self).unwrap_or_default()
    }

    /// Reads a record.
    ///
    /// # Errors
    /// When it is not one, or of another schema.
    pub fn from_json(bytes: &[u8]) -> Result<Begun, BegunError> {
        let begun: Begun = serde_json::from_slice(bytes)
            .map_err(|error| BegunError::NotARecord { line: error.line(), column: error.column() })?;
        if begun.schema == BEGUN_SCHEMA { Ok(begun) } else { Err(BegunError::OtherSchema) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn begun() -> Begun {
        Begun {
            schema: BEGUN_SCHEMA.to_owned(),
            topic_id: Some("4fXaQHyCQnOVP5ZpQJBqGw".to_owned()),
            first: 3,
            since: Timestamp(1_000),
            next: Some(9),
            newest: Some(Timestamp(2_000)),
            at: Timestamp(3_000),
            after_gap: true,
            version: "0.1.0".to_owned(),
        }
    }

    #[test]
    fn a_record_survives_its_text_and_another_schema_is_refused() {
        let least = Begun { topic_id: None, next: None, newest: None, after_gap: false, ..begun() };
        for record in [begun(), least.clone()] {
            assert_eq!(Begun::from_json(&record.to_json()), Ok(record));
        }
        assert_eq!((begun().stands_at(), least.stands_at()), (9, 3));
        let other = String::from_utf8(begun().to_json()).unwrap().replace("begun/1", "begun/2");
        assert_eq!(Begun::from_json(other.as_bytes()), Err(BegunError::OtherSchema));
        assert!(matches!(Begun::from_json(b"{}"), Err(BegunError::NotARecord { .. })));
    }

    proptest! {
        #[test]
        fn a_key_survives_its_text(group in ".{1,40}", topic in "[a-zA-Z0-9._-]{1,40}", partition in 0i32..) {
            let key = BegunKey { group, topic, partition };
            prop_assert_eq!(key.to_string().parse(), Ok(key));
        }
    }

    #[test]
    fn what_is_no_such_key_is_refused() {
        for text in ["", "begun/", "begun/g", "begun/g/t", "begun/g/t/x", "endpoint/g/t/1"] {
            assert_eq!(text.parse::<BegunKey>(), Err(NotBegun), "{text}");
        }
    }
}
