//! Heartbeats: by them a receiver tells silence from death.
//!
//! Of all processes the one that owns partition 0 sends them, so each endpoint gets one. A heartbeat that fails is not
//! tried again; the next one counts from the last that was taken, which stands on the board.

use std::collections::HashMap;
use std::time::Duration;

use super::Notify;
use super::census::Counted;
use super::courier::{End, Job, News, Settled};
use super::endpoint::Endpoint;
use crate::domain::delivery::{DeliveryId, EndpointName};
use crate::domain::time::Timestamp;
use crate::notice::body::Heartbeat;
use crate::notice::control::{Beat, Counts};

/// How long it is waited after a question that got no answer, in milliseconds.
const ASK_AGAIN_MS: i64 = 1_000;

/// What a worker remembers of heartbeats.
#[derive(Debug, Default)]
pub(super) struct Heartbeats {
    /// Whether counts are being asked for.
    asked: bool,
    /// When they may be asked for again.
    ask_at: Timestamp,
    /// When an endpoint was last sent one, whatever came of it.
    tried: HashMap<EndpointName, Timestamp>,
    /// Those with the couriers, with what they count up to.
    under_way: HashMap<EndpointName, (DeliveryId, Beat)>,
}

impl Heartbeats {
    /// Whether an endpoint that took its last one at `taken` is due.
    fn is_due(&self, name: &EndpointName, every: Duration, taken: Option<Timestamp>, now: Timestamp) -> bool {
        let every = i64::try_from(every.as_millis()).unwrap_or(i64::MAX);
        let last = self.tried.get(name).copied().max(taken);
        let is_time = last.is_none_or(|last| now.millis().saturating_sub(last.millis()) >= every);
        is_time && !self.under_way.contains_key(name)
    }
}

impl Notify {
    /// Sends the heartbeats that are due.
    pub(super) fn beat_hearts(&mut self) {
        let leads = self.state.held.get(&0).map(|held| held.epoch);
        let Some(epoch) = leads else {
            self.state.heartbeats.under_way.clear();
            return;
        };
        let now = self.state.now;
        let counted = self.census.found();
        if let Some(counted) = &counted {
            self.state.heartbeats.asked = false;
            if counted.is_none() {
                self.state.heartbeats.ask_at = now.plus_millis(ASK_AGAIN_MS);
            }
        }
        let due = self.hearts_due();
        match counted.flatten() {
            Some(counted) => due.iter().for_each(|endpoint| self.beat_heart(endpoint, epoch, counted)),
            None if !due.is_empty()
                && !self.state.heartbeats.asked
                && now >= self.state.heartbeats.ask_at =>
            {
                self.state.heartbeats.asked = true;
                self.census.ask();
            }
            None => {}
        }
    }

    fn hearts_due(&self) -> Vec<std::sync::Arc<Endpoint>> {
        if self.endpoints.0.iter().all(|endpoint| endpoint.heartbeat.is_none()) {
            return Vec::new();
        }
        let seen = self.shared.seen();
        let is_due = |endpoint: &&std::sync::Arc<Endpoint>| {
            let taken = seen.board.heartbeats.get(&endpoint.name).map(|beat| beat.at);
            let due = |every| self.state.heartbeats.is_due(&endpoint.name, every, taken, self.state.now);
            endpoint.heartbeat.is_some_and(due) && !self.state.disabled.contains(&endpoint.name)
        };
        self.endpoints.0.iter().filter(is_due).cloned().collect()
    }

    fn beat_heart(&mut self, endpoint: &Endpoint, epoch: u64, counted: Counted) {
        let (name, now) = (&endpoint.name, self.state.now);
        let owed = self.shared.owed(name, now);
        let last = self.shared.seen().board.heartbeats.get(name).copied();
        let heartbeat = heartbeat(endpoint, now, counted, last, owed);
        let id = DeliveryId::written(&format!("hb_{name}_{}", now.millis()));
        let job = Job {
            tenure: (0, epoch),
            id: id.clone(),
            attempt: 1,
            early: false,
            news: News::Heartbeat(Box::new(heartbeat)),
            answer: self.settled.0.clone(),
        };
        self.state.heartbeats.tried.insert(name.clone(), now);
        // With a queue that is full the endpoint has more than enough to answer; the next one will do.
        if self.couriers.send(name, job) {
            let beat = Beat { at: now, counts: counted.counts };
            self.state.heartbeats.under_way.insert(name.clone(), (id, beat));
        }
    }

    /// Takes what came of a heartbeat.
    pub(super) fn heartbeat_settled(&mut self, settled: &Settled) {
        let under_way = &mut self.state.heartbeats.under_way;
        if under_way.get(&settled.endpoint).is_none_or(|(id, _)| *id != settled.id) {
            return;
        }
        let Some((_, beat)) = under_way.remove(&settled.endpoint) else { return };
        if settled.end == End::Taken {
            self.shared.beaten(&settled.endpoint, beat);
        }
    }
}

/// What an endpoint is told; the first heartbeat counts from itself.
fn heartbeat(
    endpoint: &Endpoint,
    at: Timestamp,
    counted: Counted,
    last: Option<Beat>,
    owed: u64,
) -> Heartbeat {
    let Counts { transactions, sightings, alerts } =
        last.map_or(Counts::default(), |last| counted.counts.since(last.counts));
    let endpoint = endpoint.name.clone();
    Heartbeat { endpoint, at, newest_transaction: counted.newest, transactions, sightings, alerts, owed }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_heartbeat_is_due_an_interval_after_the_last_that_was_taken_or_tried() {
        let (name, every) = ("desk".parse().unwrap(), Duration::from_secs(10));
        let mut heartbeats = Heartbeats::default();
        let is_due = |heartbeats: &Heartbeats, taken: Option<i64>, now| {
            heartbeats.is_due(&name, every, taken.map(Timestamp), Timestamp(now))
        };
        assert!(is_due(&heartbeats, None, 0));
        assert!(!is_due(&heartbeats, Some(5_000), 14_999));
        assert!(is_due(&heartbeats, Some(5_000), 15_000));
        heartbeats.tried.insert(name.clone(), Timestamp(9_000));
        assert!(!is_due(&heartbeats, Some(5_000), 15_000));
        assert!(is_due(&heartbeats, Some(5_000), 19_000));
        heartbeats.under_way.insert(name.clone(), (DeliveryId::written("hb"), Beat::default()));
        assert!(!is_due(&heartbeats, None, 99_000));
    }

    #[test]
    fn counts_are_since_the_last_one_that_was_taken_and_never_below_nothing() {
        let count = |transactions, sightings, alerts| Counts { transactions, sightings, alerts };
        assert_eq!(count(9, 5, 3).since(count(4, 5, 1)), count(5, 0, 2));
        assert_eq!(count(1, 0, 0).since(count(4, 5, 1)), count(0, 0, 0));
    }
}
