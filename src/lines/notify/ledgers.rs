//! The ledgers of all partitions as somebody sees them who does not keep them, and how they are told.

use std::collections::BTreeMap;
use std::time::Instant;

use serde_json::{Value, json};

use crate::domain::delivery::{DeliveryId, EndpointName};
use crate::domain::time::Timestamp;
use crate::notice::control::{Board, EndpointState};
use crate::notice::record::{Account, Key, Owed, Stage, Taken};

/// A delivery that is owed, or failed for good.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// To whom.
    pub endpoint: EndpointName,
    /// Its id.
    pub id: DeliveryId,
    /// The partition of its alerts.
    pub partition: i32,
    /// What stands in the ledger.
    pub owed: Owed,
}

/// How things stand with one endpoint.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Standing {
    /// Alerts owed in deliveries that are made out.
    pub made_out: u64,
    /// Alerts owed in ranges, at most.
    pub in_ranges: u64,
    /// Deliveries that failed for good.
    pub failed: u64,
    /// Since when the oldest is owed, made out or in a range.
    pub oldest: Option<Timestamp>,
    /// What all processes share.
    pub state: EndpointState,
    /// Whether any process ever told it anything.
    pub known: bool,
}

/// Everything that is written about endpoints.
#[derive(Debug, Default)]
pub struct Ledgers {
    /// What all processes share.
    pub board: Board,
    /// Deliveries, by endpoint, id and partition.
    entries: BTreeMap<(EndpointName, DeliveryId, i32), Entry>,
    /// Accounts, by endpoint and partition.
    accounts: BTreeMap<EndpointName, BTreeMap<i32, Account>>,
    /// How far each partition's alerts are taken in.
    taken: BTreeMap<i32, i64>,
    /// The next offset of each partition of the ledger.
    pub(super) next: BTreeMap<i32, i64>,
    /// When they were read last.
    pub(super) read_at: Option<Instant>,
}

impl Ledgers {
    /// Takes a record in.
    pub(super) fn apply(
        &mut self,
        partition: i32,
        key: Key,
        value: Option<&[u8]>,
    ) -> Result<(), serde_json::Error> {
        match (key, value) {
            (Key::Owed(endpoint, id), Some(value)) => {
                let owed = serde_json::from_slice(value)?;
                let place = (endpoint.clone(), id.clone(), partition);
                self.entries.insert(place, Entry { endpoint, id, partition, owed });
            }
            (Key::Owed(endpoint, id), None) => drop(self.entries.remove(&(endpoint, id, partition))),
            (Key::Endpoint(name), Some(value)) => {
                let account = serde_json::from_slice(value)?;
                self.accounts.entry(name).or_default().insert(partition, account);
            }
            (Key::Endpoint(name), None) => {
                if let Some(accounts) = self.accounts.get_mut(&name) {
                    accounts.remove(&partition);
                }
            }
            (Key::Taken(of), Some(value)) => {
                let taken: Taken = serde_json::from_slice(value)?;
                self.taken.insert(of, taken.next);
            }
            (Key::Taken(of), None) => drop(self.taken.remove(&of)),
        }
        Ok(())
    }

    /// Forgets what stood on a partition.
    pub(super) fn forget(&mut self, partition: i32) {
        self.entries.retain(|(_, _, of), _| *of != partition);
        self.accounts.values_mut().for_each(|accounts| drop(accounts.remove(&partition)));
        self.taken.remove(&partition);
    }

    /// Since when an endpoint is told and what is owed to it in ranges, by partition.
    pub(super) fn accounts(&self, endpoint: &EndpointName) -> Option<&BTreeMap<i32, Account>> {
        self.accounts.get(endpoint)
    }

    /// The offset up to which the alerts of each partition are taken in.
    pub(super) fn taken(&self) -> &BTreeMap<i32, i64> {
        &self.taken
    }

    /// How things stand with each endpoint that is known.
    pub fn standings(&self) -> BTreeMap<EndpointName, Standing> {
        let mut standings: BTreeMap<EndpointName, Standing> = BTreeMap::new();
        for (name, state) in &self.board.endpoints {
            standings.entry(name.clone()).or_default().state = state.clone();
        }
        for (name, accounts) in &self.accounts {
            let standing = standings.entry(name.clone()).or_default();
            standing.known = true;
            standing.in_ranges = accounts.values().map(Account::in_ranges).sum();
            standing.oldest = accounts.values().filter_map(Account::oldest).min();
        }
        for entry in self.entries.values() {
            let standing = standings.entry(entry.endpoint.clone()).or_default();
            match entry.owed.stage {
                Stage::Failed => standing.failed += 1,
                Stage::Waiting | Stage::Gathering => {
                    standing.made_out += entry.owed.members.len() as u64;
                    let since = entry.owed.since;
                    standing.oldest = Some(standing.oldest.map_or(since, |oldest| oldest.min(since)));
                }
            }
        }
        standings
    }

    /// Deliveries that wait for their next attempt, the next first.
    pub fn pending<'a>(&'a self, endpoint: Option<&'a EndpointName>) -> Vec<&'a Entry> {
        let mut pending: Vec<&'a Entry> = self.of(endpoint, |stage| stage != Stage::Failed).collect();
        pending.sort_by_key(|entry| (entry.owed.due, entry.id.clone()));
        pending
    }

    /// Deliveries that failed for good, the oldest first.
    pub fn failed<'a>(&'a self, endpoint: Option<&'a EndpointName>) -> Vec<&'a Entry> {
        let mut failed: Vec<&'a Entry> = self.of(endpoint, |stage| stage == Stage::Failed).collect();
        failed.sort_by_key(|entry| (entry.owed.since, entry.id.clone()));
        failed
    }

    fn of<'a>(
        &'a self,
        endpoint: Option<&'a EndpointName>,
        stage: impl Fn(Stage) -> bool + 'a,
    ) -> impl Iterator<Item = &'a Entry> {
        let wanted = move |entry: &&Entry| endpoint.is_none_or(|name| entry.endpoint == *name);
        self.entries.values().filter(wanted).filter(move |entry| stage(entry.owed.stage))
    }
}

impl Entry {
    /// The delivery as the command line and `/v1/webhooks` tell it.
    pub fn json(&self) -> Value {
        let members = self.owed.members.iter();
        let members: Vec<Value> = members
            .map(|member| json!({"id": member.id, "partition": self.partition, "offset": member.offset}))
            .collect();
        json!({
            "endpoint": self.endpoint, "webhook_id": self.id, "stage": self.owed.stage, "alerts": members,
            "attempts": self.owed.attempts, "due": self.owed.due, "since": self.owed.since,
            "last_failure": self.owed.last,
        })
    }
}

impl Standing {
    /// How things stand, as the command line and `/v1/webhooks` tell it.
    pub fn json(&self, endpoint: &EndpointName, configured: bool) -> Value {
        json!({
            "endpoint": endpoint, "configured": configured,
            "owed": self.made_out + self.in_ranges, "made_out": self.made_out,
            "in_ranges": self.in_ranges, "failed": self.failed, "oldest": self.oldest,
            "disabled": self.state.disabled, "failing_since": self.state.failing_since,
            "generation": self.state.generation,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_oldest_that_is_owed_may_be_made_out_or_in_a_range_of_any_partition() {
        let mut ledgers = Ledgers::default();
        let desk: EndpointName = "desk".parse().unwrap();
        let account = |since: &str| {
            let range =
                |at: &str| format!(r#"{{"from":1,"to":4,"count":2,"since":"1970-01-01T00:00:{at}Z"}}"#);
            format!(r#"{{"begun":0,"ranges":[{},{{"from":7,"to":9,"count":1}}]}}"#, range(since))
        };
        let mut oldest = |partition, key: Key, value: Option<&str>| {
            ledgers.apply(partition, key, value.map(str::as_bytes)).unwrap();
            let standing = &ledgers.standings()[&desk];
            (standing.made_out + standing.in_ranges, standing.oldest.map(Timestamp::millis))
        };
        let endpoint = || Key::Endpoint("desk".parse().unwrap());
        let one = || Key::Owed("desk".parse().unwrap(), DeliveryId::written("alr_1-1"));
        let owed = r#"{"stage":"waiting","members":[{"offset":1,"id":"alr_1-1"}],"attempts":0,"due":"1970-01-01T00:00:05Z","since":"1970-01-01T00:00:05Z"}"#;
        assert_eq!(oldest(0, endpoint(), Some(&account("20"))), (3, Some(20_000)));
        assert_eq!(oldest(1, endpoint(), Some(&account("10"))), (6, Some(10_000)));
        assert_eq!(oldest(2, one(), Some(owed)), (7, Some(5_000)));
        assert_eq!(oldest(2, one(), None), (6, Some(10_000)));
        assert_eq!(oldest(1, endpoint(), None), (3, Some(20_000)));
        assert_eq!(oldest(0, endpoint(), Some(r#"{"begun":0}"#)), (0, None));
    }
}
