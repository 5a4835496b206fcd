//! What the alerts topic holds, small enough for memory: a line for each alert and where its revisions stand.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::hash::{BuildHasher, RandomState};
use std::sync::Arc;

use crate::domain::alert::{Alert, Severity, State};
use crate::domain::desk::{AlertKey, Order, Page, Place, Query, Summary};
use crate::domain::incident::IncidentId;
use crate::domain::outcome::Subject;
use crate::domain::time::Timestamp;
use crate::metrics::{AGES, age_band};

/// The revisions of one alert whose places are kept, the newest ones.
const REVISIONS_MAX: usize = 64;

/// One alert.
#[derive(Debug, Clone)]
struct Entry {
    summary: Summary,
    partition: i32,
    /// Where its newest revision stands.
    offset: i64,
    /// Where the revisions before it stand, the oldest first.
    earlier: Vec<i64>,
    /// A hash of the transaction's id: it is compared with the record itself where it matters.
    transaction: Option<u64>,
    /// Further sightings it speaks for, beside the one it is derived from.
    covers: Vec<AlertKey>,
}

/// Where revisions of an alert stand.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Places {
    /// The partition.
    pub partition: i32,
    /// The newest revision.
    pub newest: i64,
    /// The earlier ones, the oldest first.
    pub earlier: Vec<i64>,
}

/// How many alerts wait, and since when the oldest does.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Waiting {
    /// Open alerts by severity.
    pub open: BTreeMap<Severity, u64>,
    /// Open alerts by age.
    pub ages: [u64; AGES.len()],
    /// Open alerts by rule; one with several counts under each.
    pub rules: BTreeMap<Arc<str>, u64>,
    /// When the oldest open one was raised.
    pub oldest: Option<Timestamp>,
}

/// All alerts, each by its newest revision.
#[derive(Debug)]
pub struct Index {
    entries: HashMap<AlertKey, Entry>,
    /// Every list of incidents and of rules that occurs, each kept once.
    incidents: BTreeSet<Arc<[IncidentId]>>,
    rules: BTreeSet<Arc<[Arc<str>]>>,
    hasher: RandomState,
    max: usize,
    evicted: u64,
}

impl Index {
    /// Knows nothing yet, and will hold at most `max` alerts.
    pub fn new(max: usize) -> Index {
        Index {
            entries: HashMap::new(),
            incidents: BTreeSet::new(),
            rules: BTreeSet::new(),
            hasher: RandomState::new(),
            max,
            evicted: 0,
        }
    }

    /// Takes a revision in. One that is not newer than what is known changes nothing.
    pub fn apply(&mut self, alert: &Alert, partition: i32, offset: i64) {
        let Some(mut summary) = Summary::of(alert) else { return };
        summary.incidents = shared(&mut self.incidents, summary.incidents);
        summary.rules = shared(&mut self.rules, summary.rules);
        let transaction = alert.transaction.id.as_ref().map(|id| self.hasher.hash_one(id));
        let key = summary.id;
        let own = |covered: &AlertKey| *covered != key;
        let covers = alert.covers.iter().filter_map(|id| AlertKey::of_sighting(id)).filter(own).collect();
        let mut entry = Entry { summary, partition, offset, earlier: Vec::new(), transaction, covers };
        if let Some(known) = self.entries.get_mut(&key) {
            if known.summary.revision >= entry.summary.revision {
                return;
            }
            entry.earlier = std::mem::take(&mut known.earlier);
            entry.earlier.push(known.offset);
            let surplus = entry.earlier.len().saturating_sub(REVISIONS_MAX);
            entry.earlier.drain(..surplus);
        }
        self.entries.insert(key, entry);
        if self.entries.len() > self.max {
            self.evict();
        }
    }

    /// Makes room: the oldest go, a sixteenth at once.
    fn evict(&mut self) {
        let mut ages: Vec<(Timestamp, AlertKey)> =
            self.entries.values().map(|entry| (entry.summary.raised_at, entry.summary.id)).collect();
        ages.sort_unstable();
        for (_, key) in ages.iter().take((self.max / 16).max(1)) {
            self.entries.remove(key);
            self.evicted += 1;
        }
    }

    /// Forgets what has expired: the first offset that is still there, by partition.
    pub fn expire(&mut self, low: &BTreeMap<i32, i64>) {
        let first = |partition: i32| low.get(&partition).copied().unwrap_or(0);
        self.entries.retain(|_, entry| entry.offset >= first(entry.partition));
        for entry in self.entries.values_mut() {
            entry.earlier.retain(|offset| *offset >= first(entry.partition));
        }
        let (incidents, rules) = (&mut self.incidents, &mut self.rules);
        incidents.retain(|shared| Arc::strong_count(shared) > 1);
        rules.retain(|shared| Arc::strong_count(shared) > 1);
    }

    /// How many alerts are known.
    pub fn count(&self) -> usize {
        self.entries.len()
    }

    /// Alerts that were left out because there are too many, since the start.
    pub fn evicted(&self) -> u64 {
        self.evicted
    }

    /// An alert in one line.
    pub fn summary(&self, key: AlertKey) -> Option<Summary> {
        self.entries.get(&key).map(|entry| entry.summary.clone())
    }

    /// Where an alert stands.
    pub fn places(&self, key: AlertKey) -> Option<Places> {
        let entry = self.entries.get(&key)?;
        Some(Places { partition: entry.partition, newest: entry.offset, earlier: entry.earlier.clone() })
    }

    /// The alerts that may be meant, sorted. Of a transaction's id only a hash is compared.
    pub fn candidates(&self, subject: &Subject) -> Vec<AlertKey> {
        let known = |key: Option<AlertKey>| key.filter(|key| self.entries.contains_key(key));
        let mut found: Vec<AlertKey> = match subject {
            Subject::Alert(id) => known(AlertKey::of_alert(id)).into_iter().collect(),
            Subject::Sighting(id) => {
                let Some(sighting) = AlertKey::of_sighting(id) else { return Vec::new() };
                match known(Some(sighting)) {
                    Some(own) => vec![own],
                    None => self.those(|entry| entry.covers.contains(&sighting)),
                }
            }
            Subject::Transaction(id) => {
                let hash = Some(self.hasher.hash_one(id));
                self.those(|entry| entry.transaction == hash)
            }
        };
        found.sort_unstable();
        found
    }

    fn those(&self, wanted: impl Fn(&Entry) -> bool) -> Vec<AlertKey> {
        self.entries.values().filter(|entry| wanted(entry)).map(|entry| entry.summary.id).collect()
    }

    /// The alerts asked for, behind the place `after`, at most `limit` of them.
    pub fn list(&self, query: &Query, order: Order, after: Option<&Place>, limit: usize) -> Page<Summary> {
        let asked = self.entries.values().map(|entry| &entry.summary).filter(|summary| query.fits(summary));
        let placed = asked.map(|summary| (order.place(summary), summary));
        let mut found: Vec<(Place, &Summary)> =
            placed.filter(|(place, _)| after.is_none_or(|after| place > after)).collect();
        let more = found.len() > limit;
        if more && limit > 0 {
            found.select_nth_unstable_by(limit - 1, |one, other| one.0.cmp(&other.0));
        }
        found.truncate(limit);
        found.sort_unstable_by(|one, other| one.0.cmp(&other.0));
        let next = found.last().filter(|_| more).map(|(place, _)| place.cursor(order));
        Page { items: found.into_iter().map(|(_, summary)| summary.clone()).collect(), next }
    }

    /// How many wait, and how long they have done so at `now`.
    pub fn waiting(&self, now: Timestamp) -> Waiting {
        let mut waiting = Waiting::default();
        for entry in self.entries.values().filter(|entry| entry.summary.state == State::Open) {
            *waiting.open.entry(entry.summary.severity).or_default() += 1;
            let raised = entry.summary.raised_at;
            waiting.ages[age_band((now.millis() - raised.millis()) / 1_000)] += 1;
            for rule in entry.summary.rules.iter() {
                *waiting.rules.entry(Arc::clone(rule)).or_default() += 1;
            }
            waiting.oldest = Some(waiting.oldest.map_or(raised, |oldest| oldest.min(raised)));
        }
        waiting
    }
}

fn shared<T: Ord + Clone>(known: &mut BTreeSet<Arc<[T]>>, list: Arc<[T]>) -> Arc<[T]> {
    if let Some(kept) = known.get(&list) {
        return Arc::clone(kept);
    }
    known.insert(Arc::clone(&list));
    list
}

#[cfg(test)]
mod tests;
