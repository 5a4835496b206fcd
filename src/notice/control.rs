//! What stands on `cardwatch.control` about webhooks: the state of endpoints, and what somebody asked for.
//!
//! - `endpoint/NAME`: whether it is disabled, and since when it fails;
//! - `command/ID`: one act that every owner of a partition carries out for its partitions, once;
//! - `heartbeat/NAME`: the last heartbeat that an endpoint took;
//! - `instance/NAME`: which endpoints a running process tells, so that two that differ do not run together.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::domain::delivery::{DeliveryId, EndpointName};
use crate::domain::time::Timestamp;

use super::record::Member;

const ENDPOINT: &str = "endpoint/";
const COMMAND: &str = "command/";
const HEARTBEAT: &str = "heartbeat/";
const INSTANCE: &str = "instance/";

/// The state of an endpoint that all processes share.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct EndpointState {
    /// Why it is told nothing, and since when.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub disabled: Option<Disabled>,
    /// Since when every attempt has failed, as far as that was worth writing down.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failing_since: Option<Timestamp>,
    /// The generation of its newest secret, as it was last rotated.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub generation: Option<String>,
}

/// An endpoint is told nothing.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Disabled {
    /// Since when.
    pub at: Timestamp,
    /// Why.
    pub why: Why,
    /// Who said so, where a person did.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub by: Option<String>,
}

/// Why an endpoint is disabled.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Why {
    /// It failed for days.
    Failing,
    /// It answered 410.
    Gone,
    /// Somebody asked.
    Asked,
}

impl Why {
    /// The reason in words.
    pub fn words(self) -> &'static str {
        match self {
            Why::Failing => "it failed for too long",
            Why::Gone => "it answered 410 Gone",
            Why::Asked => "somebody asked for it",
        }
    }
}

/// What somebody asks for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Command {
    /// To whom it is to be told again.
    pub endpoint: EndpointName,
    /// What.
    pub replay: Replay,
    /// Who asked.
    pub by: String,
    /// When.
    pub at: Timestamp,
}

/// What is to be told again.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Replay {
    /// These alerts, by their partition.
    Alerts(Vec<(i32, Member)>),
    /// These deliveries that failed, by their partition, with the members they had.
    Failed(Vec<(i32, DeliveryId, Vec<Member>)>),
    /// Everything in these ranges of offsets, by partition.
    Ranges(Vec<(i32, i64, i64)>),
}

/// The last heartbeat that an endpoint took: what the next one counts from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Beat {
    /// When it was sent.
    pub at: Timestamp,
    /// What was counted by then.
    pub counts: Counts,
}

/// What was ever worked off.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Counts {
    /// Transactions.
    pub transactions: u64,
    /// Sightings among them.
    pub sightings: u64,
    /// Alerts raised.
    pub alerts: u64,
}

impl Counts {
    /// What has come since `earlier`; 0 where counting began anew meanwhile.
    #[must_use]
    pub fn since(self, earlier: Counts) -> Counts {
        Counts {
            transactions: self.transactions.saturating_sub(earlier.transactions),
            sightings: self.sightings.saturating_sub(earlier.sightings),
            alerts: self.alerts.saturating_sub(earlier.alerts),
        }
    }
}

/// A running process and what it tells.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Instance {
    /// Its endpoints.
    pub endpoints: Vec<EndpointName>,
    /// When it last said that it is there.
    pub alive: Timestamp,
    /// Alerts that it owes to each of them, at most.
    #[serde(default)]
    pub owed: BTreeMap<EndpointName, u64>,
}

/// The key of an endpoint's state.
pub fn endpoint_key(name: &EndpointName) -> String {
    format!("{ENDPOINT}{name}")
}

/// The key of a command.
pub fn command_key(id: &str) -> String {
    format!("{COMMAND}{id}")
}

/// The key of the last heartbeat to an endpoint.
pub fn heartbeat_key(name: &EndpointName) -> String {
    format!("{HEARTBEAT}{name}")
}

/// The key of a process.
pub fn instance_key(name: &str) -> String {
    format!("{INSTANCE}{name}")
}

/// Everything that is known from the topic.
#[derive(Debug, Clone, Default)]
pub struct Board {
    /// The state of each endpoint that has one.
    pub endpoints: BTreeMap<EndpointName, EndpointState>,
    /// Commands by offset.
    pub commands: BTreeMap<i64, (String, Command)>,
    /// The last heartbeat of each endpoint that took one.
    pub heartbeats: BTreeMap<EndpointName, Beat>,
    /// Processes by name.
    pub instances: BTreeMap<String, Instance>,
}

impl Board {
    /// Takes a record in. What is not about webhooks is passed over.
    ///
    /// # Errors
    /// When a record about webhooks does not read.
    pub fn apply(&mut self, offset: i64, key: &str, value: Option<&[u8]>) -> Result<(), serde_json::Error> {
        if let Some(name) = key.strip_prefix(ENDPOINT) {
            keep(&mut self.endpoints, name.parse().ok(), value)?;
        } else if let Some(name) = key.strip_prefix(HEARTBEAT) {
            keep(&mut self.heartbeats, name.parse().ok(), value)?;
        } else if let Some(id) = key.strip_prefix(COMMAND) {
            self.commands.retain(|_, (known, _)| known != id);
            if let Some(value) = value {
                self.commands.insert(offset, (id.to_owned(), serde_json::from_slice(value)?));
            }
        } else if let Some(name) = key.strip_prefix(INSTANCE) {
            keep(&mut self.instances, Some(name.to_owned()), value)?;
        }
        Ok(())
    }

    /// What all processes share of an endpoint.
    pub fn state(&self, endpoint: &EndpointName) -> EndpointState {
        self.endpoints.get(endpoint).cloned().unwrap_or_default()
    }

    /// Since when an endpoint fails, as far as that was noted.
    pub fn failing_since(&self, endpoint: &EndpointName) -> Option<Timestamp> {
        self.endpoints.get(endpoint).and_then(|state| state.failing_since)
    }

    /// Whether an endpoint is told nothing.
    pub fn is_disabled(&self, endpoint: &EndpointName) -> bool {
        self.endpoints.get(endpoint).is_some_and(|state| state.disabled.is_some())
    }

    /// The keys of what nobody needs any more at `now`: commands that are older than `commands_ms`, and processes that
    /// have not been there for `instances_ms`.
    pub fn stale(&self, now: Timestamp, commands_ms: i64, instances_ms: i64) -> Vec<String> {
        let commands =
            self.commands.values().filter(|(_, command)| command.at.plus_millis(commands_ms) <= now);
        let instances =
            self.instances.iter().filter(|(_, instance)| instance.alive.plus_millis(instances_ms) <= now);
        let commands = commands.map(|(id, _)| command_key(id));
        commands.chain(instances.map(|(name, _)| instance_key(name))).collect()
    }

    /// A process that is alive at `now` and tells other endpoints than `own`, beside the one named `name`.
    pub fn contradicts<'a>(
        &'a self,
        name: &str,
        own: &[EndpointName],
        now: Timestamp,
        within_ms: i64,
    ) -> Option<(&'a str, &'a Instance)> {
        let alive = |instance: &Instance| instance.alive.plus_millis(within_ms) > now;
        let others = self.instances.iter().filter(|(other, instance)| *other != name && alive(instance));
        let mut differing = others.filter(|(_, instance)| {
            let theirs: std::collections::BTreeSet<_> = instance.endpoints.iter().collect();
            theirs != own.iter().collect()
        });
        differing.next().map(|(name, instance)| (name.as_str(), instance))
    }
}

/// The newest value of a key, or nothing after its tombstone. A key that is no name is passed over.
fn keep<K: Ord, V: serde::de::DeserializeOwned>(
    kept: &mut BTreeMap<K, V>,
    key: Option<K>,
    value: Option<&[u8]>,
) -> Result<(), serde_json::Error> {
    match (key, value) {
        (Some(key), Some(value)) => drop(kept.insert(key, serde_json::from_slice(value)?)),
        (Some(key), None) => drop(kept.remove(&key)),
        (None, _) => {}
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(text: &str) -> EndpointName {
        text.parse().unwrap()
    }

    fn put(board: &mut Board, offset: i64, key: &str, value: &impl Serialize) {
        board.apply(offset, key, Some(&serde_json::to_vec(value).unwrap())).unwrap();
    }

    #[test]
    fn the_newest_record_of_a_key_holds_until_its_tombstone() {
        let mut board = Board::default();
        let disabled = Disabled { at: Timestamp(1), why: Why::Gone, by: None };
        let state = EndpointState { disabled: Some(disabled), ..EndpointState::default() };
        put(&mut board, 0, &endpoint_key(&name("a")), &state);
        assert!(board.is_disabled(&name("a")));
        assert!(!board.is_disabled(&name("b")));
        put(&mut board, 1, &endpoint_key(&name("a")), &EndpointState::default());
        assert!(!board.is_disabled(&name("a")));
        board.apply(2, &endpoint_key(&name("a")), None).unwrap();
        assert!(board.endpoints.is_empty());
    }

    #[test]
    fn a_command_is_known_by_its_offset_until_it_is_taken_away() {
        let command = Command {
            endpoint: name("a"),
            replay: Replay::Ranges(vec![(0, 1, 9)]),
            by: "ops".to_owned(),
            at: Timestamp(5),
        };
        let mut board = Board::default();
        put(&mut board, 4, &command_key("x"), &command);
        put(&mut board, 7, &command_key("y"), &command);
        assert_eq!(board.commands.keys().copied().collect::<Vec<_>>(), [4, 7]);
        board.apply(8, &command_key("x"), None).unwrap();
        assert_eq!(board.commands.keys().copied().collect::<Vec<_>>(), [7]);
        assert!(board.apply(9, &command_key("z"), Some(b"{}")).is_err());
        board.apply(10, "begun/group/topic", Some(b"not even JSON")).unwrap();
    }

    #[test]
    fn old_commands_and_processes_that_are_gone_are_stale() {
        let mut board = Board::default();
        let replay = Replay::Ranges(vec![(0, 1, 9)]);
        for (offset, id, at) in [(1, "old", 1_000), (2, "new", 1_001)] {
            let command = Command {
                endpoint: name("a"),
                replay: replay.clone(),
                by: "ops".to_owned(),
                at: Timestamp(at),
            };
            put(&mut board, offset, &command_key(id), &command);
        }
        for (offset, of, alive) in [(3, "gone", 5_000), (4, "here", 5_001)] {
            let instance =
                Instance { endpoints: vec![name("a")], alive: Timestamp(alive), owed: BTreeMap::new() };
            put(&mut board, offset, &instance_key(of), &instance);
        }
        let stale = board.stale(Timestamp(6_000), 5_000, 1_000);
        assert_eq!(stale, [command_key("old"), instance_key("gone")]);
        for key in stale {
            board.apply(9, &key, None).unwrap();
        }
        assert_eq!(board.stale(Timestamp(6_000), 5_000, 1_000), Vec::<String>::new());
    }

    #[test]
    fn processes_that_tell_different_endpoints_contradict_each_other_while_they_live() {
        let mut board = Board::default();
        let endpoints = vec![name("b"), name("a")];
        let instance = Instance { endpoints, alive: Timestamp(1_000), owed: BTreeMap::new() };
        put(&mut board, 0, &instance_key("one"), &instance);
        let own = [name("a"), name("b")];
        assert_eq!(board.contradicts("two", &own, Timestamp(1_001), 30_000), None);
        let fewer = [name("a")];
        assert!(board.contradicts("two", &fewer, Timestamp(30_999), 30_000).is_some());
        assert_eq!(board.contradicts("two", &fewer, Timestamp(31_000), 30_000), None);
        assert_eq!(board.contradicts("one", &fewer, Timestamp(1_001), 30_000), None);
    }
}
