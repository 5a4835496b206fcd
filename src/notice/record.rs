//! What stands on `cardwatch.deliveries`: the ledger of one partition of alerts, as records by key.
//!
//! - `taken/PARTITION` says how far the alerts and the commands were taken in;
//! - `endpoint/NAME` has what is owed to an endpoint as ranges of alert offsets, and since when it is told;
//! - `owed/NAME/ID` is one delivery that was made out. What was delivered has a tombstone: an alert below the offset
//!   in `taken`, in no range and without a record, is done.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::domain::delivery::{DeliveryId, EndpointName};
use crate::domain::time::Timestamp;

const TAKEN: &str = "taken";
const ENDPOINT: &str = "endpoint";
const OWED: &str = "owed";

/// The key of a record.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Key {
    /// How far a partition is taken in.
    Taken(i32),
    /// What is owed to an endpoint in ranges.
    Endpoint(EndpointName),
    /// One delivery.
    Owed(EndpointName, DeliveryId),
}

impl Key {
    /// The key that `text` is, if it is one.
    pub fn parse(text: &str) -> Option<Key> {
        let (kind, rest) = text.split_once('/')?;
        match kind {
            TAKEN => rest.parse().ok().map(Key::Taken),
            ENDPOINT => rest.parse().ok().map(Key::Endpoint),
            OWED => {
                let (name, id) = rest.split_once('/').filter(|(_, id)| !id.is_empty())?;
                Some(Key::Owed(name.parse().ok()?, DeliveryId::written(id)))
            }
            _ => None,
        }
    }
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Key::Taken(partition) => write!(f, "{TAKEN}/{partition}"),
            Key::Endpoint(name) => write!(f, "{ENDPOINT}/{name}"),
            Key::Owed(name, id) => write!(f, "{OWED}/{name}/{id}"),
        }
    }
}

/// How far a partition was taken in; written in every transaction that moves its offset.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Taken {
    /// The next offset of the alerts.
    pub next: i64,
    /// The next offset of the commands.
    pub control: i64,
    /// How many partitions alerts and deliveries have; fixed for life.
    pub partitions: i32,
    /// The id of the topic that these are offsets of, where it is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub topic_id: Option<String>,
}

/// A range of alert offsets of which each alert that an endpoint wants is owed to it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Range {
    /// The first offset.
    pub from: i64,
    /// The offset behind the last one.
    pub to: i64,
    /// How many alerts in it are owed, at most.
    pub count: u64,
    /// Whether somebody asked for it, and it is not what came in while there was no room.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub asked: bool,
    /// Since when the oldest of it is owed, where that is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub since: Option<Timestamp>,
}

impl Range {
    /// A range that somebody asked for: all of it is owed, for all that is known.
    pub fn asked(from: i64, to: i64) -> Range {
        let range = Range { from, to, count: 0, asked: true, since: None };
        Range { count: range.span(), ..range }
    }

    /// How many offsets lie in it.
    pub fn span(&self) -> u64 {
        u64::try_from(self.to - self.from).unwrap_or(0)
    }
}

/// Since when an endpoint is told, and what is owed to it in ranges.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Account {
    /// Alerts from this offset on are told by themselves.
    pub begun: i64,
    /// What is owed without being made out.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub ranges: Vec<Range>,
    /// Where the alerts stood when the endpoint was found to be gone from the configuration.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub left: Option<i64>,
}

impl Account {
    /// How many alerts are owed in ranges, at most.
    pub fn in_ranges(&self) -> u64 {
        self.ranges.iter().map(|range| range.count).sum()
    }

    /// Since when the oldest in a range is owed, where that is known.
    pub fn oldest(&self) -> Option<Timestamp> {
        self.ranges.iter().filter_map(|range| range.since).min()
    }
}

/// One revision of an alert and where it stands.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Member {
    /// Its offset in the alerts, on the ledger's own partition.
    pub offset: i64,
    /// The id that it has when it is delivered by itself.
    pub id: DeliveryId,
}

/// Where a delivery stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Stage {
    /// To be tried when it is due.
    Waiting,
    /// To be put into a batch, at the latest when it is due.
    Gathering,
    /// Tried as often as the schedule says; only a replay tries it again.
    Failed,
}

/// One delivery that is owed. What it consists of is written before the first attempt and never changes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Owed {
    /// Where it stands.
    pub stage: Stage,
    /// The alerts in it, by offset.
    pub members: Vec<Member>,
    /// Attempts that were made.
    pub attempts: u32,
    /// When it is due.
    pub due: Timestamp,
    /// Since when it is owed.
    pub since: Timestamp,
    /// The class of the last failure.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last: Option<String>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_reads_as_it_was_written_and_nothing_else_is_one() {
        let name: EndpointName = "issuer".parse().unwrap();
        let keys =
            [Key::Taken(3), Key::Endpoint(name.clone()), Key::Owed(name, DeliveryId::written("alr_0123-2"))];
        for key in keys {
            assert_eq!(Key::parse(&key.to_string()), Some(key));
        }
        for other in ["", "taken", "taken/x", "endpoint/A B", "owed/issuer", "owed/issuer/", "owed//x", "x/1"]
        {
            assert_eq!(Key::parse(other), None, "{other}");
        }
    }

    #[test]
    fn what_need_not_be_said_is_left_out_of_a_record() {
        let account = Account { begun: 7, ranges: Vec::new(), left: None };
        assert_eq!(serde_json::to_string(&account).unwrap(), r#"{"begun":7}"#);
        let range = Range { from: 1, to: 3, count: 2, asked: false, since: None };
        assert_eq!(serde_json::to_string(&range).unwrap(), r#"{"from":1,"to":3,"count":2}"#);
        let range = Range { since: Some(Timestamp(0)), ..range };
        let json = r#"{"from":1,"to":3,"count":2,"since":"1970-01-01T00:00:00.000Z"}"#;
        assert_eq!(serde_json::to_string(&range).unwrap(), json);
        assert_eq!(serde_json::from_str::<Range>(json).unwrap(), range);
    }
}
