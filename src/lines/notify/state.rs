//! What a worker of `notify` keeps between records.

use std::collections::{BTreeSet, HashMap, HashSet, VecDeque};
use std::sync::Arc;
use std::sync::mpsc::Receiver;

use super::courier::Settled;
use super::endpoint::Endpoint;
use super::expiry::Expiry;
use super::heartbeat::Heartbeats;
use super::restore::{Begins, Restored};
use super::sheets::{Found, Sheet, Tenure};
use crate::domain::delivery::{DeliveryId, EndpointName};
use crate::domain::time::Timestamp;
use crate::fault;
use crate::lines::mark::Mark;
use crate::lines::start::Stopped;
use crate::notice::ledger::{Handed, Intake, Ledger};
use crate::notice::standing::Standing;

/// How much is kept at hand.
#[derive(Debug, Clone, Copy)]
pub struct Bounds {
    /// Deliveries made out for each endpoint and partition.
    pub room: usize,
    /// Bytes of alerts kept in memory.
    pub shelf_bytes: usize,
    /// Deliveries under way for each courier.
    pub window: usize,
    /// How long alerts stay on their topic, in milliseconds; `None` for ever, or where nobody tells.
    pub retention_ms: Option<i64>,
}

impl Default for Bounds {
    fn default() -> Bounds {
        Bounds { room: 1_000, shelf_bytes: 16 * 1024 * 1024, window: 32, retention_ms: None }
    }
}

/// A partition that is being taken up.
#[derive(Debug)]
pub(super) struct Opening {
    pub(super) restoring: Receiver<Result<Restored, Stopped>>,
    pub(super) next: i64,
    pub(super) mark: Mark,
}

/// A partition that is held.
#[derive(Debug)]
pub(super) struct Held {
    pub(super) ledger: Ledger,
    pub(super) epoch: u64,
    /// The next offset of the commands.
    pub(super) control: i64,
    pub(super) mark: Mark,
    /// Endpoints of which a range is being read.
    pub(super) openings: HashSet<EndpointName>,
    /// The first offset of alerts that do not expire soon.
    pub(super) stays_from: i64,
    /// What is to be written of endpoints since the partition was taken up: where new ones begin, and where it stood.
    pub(super) unwritten: Option<(Begins, i64)>,
}

impl Held {
    /// An attempt failed, and the endpoint has taken something since, at `taken_at`: when that was told to the ledger
    /// this failure was not in it yet.
    pub(super) fn hasten_if_back(
        &mut self,
        endpoint: &EndpointName,
        failed: &Settled,
        taken_at: Option<Timestamp>,
    ) {
        if let Some(taken_at) = taken_at.filter(|taken_at| *taken_at >= failed.at)
            && !fault::broken("late-failure-waits")
        {
            self.ledger.hasten_one(endpoint, &failed.id, taken_at);
        }
    }
}

/// Alerts at hand, the newest ones up to a number of bytes.
#[derive(Debug, Default)]
pub(super) struct Shelf {
    sheets: HashMap<(i32, i64), Arc<Sheet>>,
    order: VecDeque<(i32, i64)>,
    bytes: usize,
    pub(super) bytes_max: usize,
}

impl Shelf {
    pub(super) fn put(&mut self, partition: i32, sheet: Arc<Sheet>) {
        let place = (partition, sheet.offset);
        if self.sheets.contains_key(&place) {
            return;
        }
        self.bytes += sheet.bytes();
        self.sheets.insert(place, sheet);
        self.order.push_back(place);
        while self.bytes > self.bytes_max && self.order.len() > 1 {
            let Some(oldest) = self.order.pop_front() else { break };
            if let Some(sheet) = self.sheets.remove(&oldest) {
                self.bytes -= sheet.bytes();
            }
        }
    }

    pub(super) fn get(&self, partition: i32, offset: i64) -> Option<Arc<Sheet>> {
        self.sheets.get(&(partition, offset)).cloned()
    }

    /// How many there are, and their bytes.
    #[cfg(test)]
    pub(super) fn size(&self) -> (usize, usize) {
        (self.order.len(), self.bytes)
    }
}

/// A delivery that was handed out and whose alerts are being read back.
#[derive(Debug)]
pub(super) struct Parked {
    pub(super) tenure: Tenure,
    pub(super) endpoint: EndpointName,
    pub(super) handed: Handed,
    pub(super) sheets: HashMap<i64, Arc<Sheet>>,
}

/// Everything a worker remembers.
#[derive(Debug, Default)]
pub struct NotifyState {
    pub(super) held: HashMap<i32, Held>,
    pub(super) opening: HashMap<i32, Opening>,
    pub(super) epoch: u64,
    pub(super) standings: HashMap<EndpointName, Standing>,
    pub(super) disabled: HashSet<EndpointName>,
    /// Deliveries with the couriers, by endpoint.
    pub(super) under_way: HashMap<EndpointName, HashSet<(Tenure, DeliveryId)>>,
    pub(super) parked: Vec<Parked>,
    /// Alerts that parked deliveries wait for and that are not asked for yet.
    pub(super) missing: HashMap<Tenure, BTreeSet<i64>>,
    /// For whom alerts are being read: one question at a time, so that the next one asks for more.
    pub(super) asking: HashSet<Tenure>,
    pub(super) shelf: Shelf,
    /// What couriers said and no transaction has taken in.
    pub(super) queue: Vec<Settled>,
    /// What the open transaction takes in.
    pub(super) applied: Vec<Settled>,
    /// Ranges that were read.
    pub(super) ranges: Vec<(Tenure, Found)>,
    /// The partitions of the transaction that is about to end.
    pub(super) closing: Vec<i32>,
    pub(super) records: u64,
    pub(super) now: Timestamp,
    pub(super) newest: Timestamp,
    pub(super) shown_at: Timestamp,
    /// When what couriers said was last written down.
    pub(super) books_at: Timestamp,
    pub(super) turns: u64,
    pub(super) heartbeats: Heartbeats,
    pub(super) expiry: Expiry,
}

impl NotifyState {
    /// Nothing yet; so many bytes of alerts are kept at hand.
    pub fn new(bounds: &Bounds) -> NotifyState {
        let shelf = Shelf { bytes_max: bounds.shelf_bytes, ..Shelf::default() };
        NotifyState { shelf, ..NotifyState::default() }
    }

    /// How much is made out for an endpoint in each partition, and how.
    pub(super) fn intake(&self, endpoint: &Endpoint, bounds: &Bounds) -> Intake {
        Intake { room: bounds.room, closed: self.disabled.contains(&endpoint.name), batch: endpoint.batch }
    }

    pub(super) fn standing(&mut self, endpoint: &Endpoint) -> &mut Standing {
        let longest = i64::try_from(endpoint.probe_every.as_millis()).unwrap_or(i64::MAX);
        self.standings.entry(endpoint.name.clone()).or_insert_with(|| Standing::new(longest))
    }

    pub(super) fn is_current(&self, tenure: Tenure) -> bool {
        self.held.get(&tenure.0).is_some_and(|held| held.epoch == tenure.1)
    }

    pub(super) fn release(&mut self, partition: i32) {
        self.held.remove(&partition);
        self.parked.retain(|parked| parked.tenure.0 != partition);
        self.missing.retain(|tenure, _| tenure.0 != partition);
        self.asking.retain(|tenure| tenure.0 != partition);
        self.ranges.retain(|(tenure, _)| tenure.0 != partition);
        self.queue.retain(|settled| settled.tenure.0 != partition);
        self.applied.retain(|settled| settled.tenure.0 != partition);
        for under_way in self.under_way.values_mut() {
            under_way.retain(|(tenure, _)| tenure.0 != partition);
        }
    }

    pub(super) fn merge(&mut self) {
        for partition in std::mem::take(&mut self.closing) {
            if let Some(held) = self.held.get_mut(&partition) {
                held.ledger.merge();
                held.unwritten = None;
            }
        }
        self.applied.clear();
    }

    pub(super) fn discard(&mut self) {
        self.closing.clear();
        self.held.values_mut().for_each(|held| {
            held.ledger.discard();
            held.openings.clear();
        });
        self.ranges.clear();
        // What couriers said is as true as before.
        let applied = std::mem::take(&mut self.applied);
        self.queue.splice(0..0, applied);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lines::notify::courier::End;

    fn settled(partition: i32, id: &str, end: End) -> Settled {
        let (at, raised_at) = (Timestamp(2), Some(Timestamp(1)));
        let (endpoint, id) = ("desk".parse().unwrap(), DeliveryId::written(id));
        Settled { tenure: (partition, 1), endpoint, id, early: false, at, raised_at, end }
    }

    #[test]
    fn what_an_aborted_transaction_took_in_is_taken_in_again_and_before_what_came_since() {
        let mut state = NotifyState::new(&Bounds::default());
        state.applied = vec![settled(0, "a-1", End::Expired), settled(1, "b-1", End::Taken)];
        state.queue = vec![settled(0, "c-1", End::Taken)];
        state.discard();
        assert!(state.applied.is_empty());
        let ids: Vec<&str> = state.queue.iter().map(|settled| settled.id.as_str()).collect();
        assert_eq!(ids, ["a-1", "b-1", "c-1"]);
        state.release(0);
        assert_eq!(state.queue, [settled(1, "b-1", End::Taken)]);
    }

    #[test]
    fn alerts_at_hand_are_bounded_by_their_bytes_and_the_oldest_go() {
        let alert = crate::notice::samples::test_alert(Timestamp(1), 7);
        let sheet = |offset| Arc::new(Sheet { offset, alert: alert.clone(), json: vec![b'x'; 4_000] });
        let mut shelf = Shelf { bytes_max: 5 * sheet(0).bytes() / 2, ..Shelf::default() };
        assert!(shelf.bytes_max > 20_000);
        (0..5).for_each(|offset| shelf.put(0, sheet(offset)));
        assert_eq!(shelf.size(), (2, 2 * sheet(0).bytes()));
        let kept: Vec<i64> = (0..5).filter(|offset| shelf.get(0, *offset).is_some()).collect();
        assert_eq!(kept, [3, 4]);
    }
}
