//! Remembers that groups have begun, where Kafka forgets it.
//!
//! A record per group and partition on the control topic ([`Begun`]): written when a partition is first taken up,
//! before anything of it is read, and that must succeed; noted anew by [`Minder`] when the first offset is committed,
//! seldom while reading goes on, and when the partition is given up. That is a courtesy: where it fails the place that
//! is remembered is an older one.
//!
//! Of several processes each writes for the partitions it has. One that is late may put an older place over a newer
//! one: a range that was lost is then told too long, never too short.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::control::Control;
use super::standings::{Place, Standings};
use super::start::Stopped;
use crate::clock::Clock;
use crate::domain::begun::{BEGUN_SCHEMA, Begun, BegunKey};
use crate::domain::time::Timestamp;
use crate::stop::{Stop, exit};

/// How often places are noted while reading goes on.
const EVERY: Duration = Duration::from_secs(600);
/// How often the minder looks for what is to be noted at once.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// How long it leaves a cluster alone that did not take its notes.
const PAUSE: Duration = Duration::from_secs(60);
/// How long notes may take.
const WITHIN: Duration = Duration::from_secs(10);
/// How long the last notes may take, and the wait for workers to give up what they have: with both the process ends
/// within its time.
const LAST_WITHIN: Duration = Duration::from_secs(1);
const WORKERS_WITHIN: Duration = Duration::from_secs(2);
/// Until when their last commits should be there, if they take longer to leave their groups.
const COMMITS_WITHIN: Duration = Duration::from_millis(500);

/// What is remembered, for all lines of a process.
#[derive(Clone)]
pub struct Beginnings {
    control: Control,
    version: String,
    known: Arc<Mutex<HashMap<BegunKey, Begun>>>,
}

impl std::fmt::Debug for Beginnings {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Beginnings({})", self.control.topic)
    }
}

impl Beginnings {
    /// Remembers on `control`, as this version of the program.
    pub fn new(control: Control, version: &str) -> Beginnings {
        Beginnings { control, version: version.to_owned(), known: Arc::default() }
    }

    fn known(&self) -> MutexGuard<'_, HashMap<BegunKey, Begun>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What is remembered of a group and a topic, by partition, as the control topic has it now.
    ///
    /// # Errors
    /// When the topic does not exist or cannot be read, or a newer version wrote to it.
    pub fn recall(&self, group: &str, topic: &str) -> Result<BTreeMap<i32, Begun>, Stopped> {
        let mut found: HashMap<BegunKey, Begun> = HashMap::new();
        self.control.read(|key, value| {
            let Ok(key) = key.parse::<BegunKey>() else { return Ok(()) };
            if key.group != group || key.topic != topic {
                return Ok(());
            }
            match value.map(Begun::from_json).transpose() {
                Ok(Some(begun)) => drop(found.insert(key, begun)),
                Ok(None) => drop(found.remove(&key)),
                Err(error) => {
                    let message = format!("{}: the record {key} is {error}", self.control.topic);
                    return Err(Stopped::new(exit::DATA, message));
                }
            }
            Ok(())
        })?;
        let by_partition = found.iter().map(|(key, begun)| (key.partition, begun.clone())).collect();
        self.known().extend(found);
        Ok(by_partition)
    }

    /// What this process knows of a group and a topic already, without asking.
    pub fn recalled(&self, group: &str, topic: &str) -> BTreeMap<i32, Begun> {
        let known = self.known();
        let own = known.iter().filter(|(key, _)| key.group == group && key.topic == topic);
        own.map(|(key, begun)| (key.partition, begun.clone())).collect()
    }

    /// A record of a partition that is taken up now.
    pub fn record(&self, topic_id: Option<&str>, first: i64, since: Timestamp, now: Timestamp) -> Begun {
        Begun {
            schema: BEGUN_SCHEMA.to_owned(),
            topic_id: topic_id.map(str::to_owned),
            first,
            since,
            next: None,
            newest: None,
            at: now,
            after_gap: false,
            version: self.version.clone(),
        }
    }

    /// Writes records down and waits until they are there.
    ///
    /// # Errors
    /// When they are not.
    pub fn note(&self, records: Vec<(BegunKey, Begun)>) -> Result<(), Stopped> {
        self.write(records, WITHIN)
    }

    fn write(&self, records: Vec<(BegunKey, Begun)>, within: Duration) -> Result<(), Stopped> {
        if records.is_empty() {
            return Ok(());
        }
        let written: Vec<_> = records.iter().map(|(key, begun)| (key.to_string(), begun.to_json())).collect();
        self.control.put(&written, within)?;
        self.known().extend(records);
        Ok(())
    }

    /// The record of a place, where it says something else than what is known. A place counts that Kafka has.
    fn revised(&self, key: &BegunKey, place: &Place, now: Timestamp) -> Option<Begun> {
        let before = self.known().get(key).cloned()?;
        if !place.committed || before.next == Some(place.next) {
            return None;
        }
        let newest = Some(place.newest).filter(|newest| *newest > Timestamp::default()).or(before.newest);
        let version = self.version.clone();
        Some(Begun { next: Some(place.next), newest, at: now, after_gap: false, version, ..before })
    }
}

/// A line whose places are noted.
#[derive(Debug, Clone)]
pub struct Minded {
    /// The group.
    pub group: String,
    /// The topic it reads.
    pub topic: String,
    /// Where its partitions stand.
    pub standings: Standings,
}

/// Notes places on a thread of its own.
#[derive(Debug)]
pub struct Minder {
    /// Where they are noted.
    pub beginnings: Beginnings,
    /// The lines.
    pub lines: Vec<Minded>,
    /// Tells the time.
    pub clock: Arc<dyn Clock>,
    /// Ends it.
    pub stop: Stop,
}

impl Minder {
    /// Notes places until somebody asks to stop, and then where the workers left off.
    pub fn run(&self) {
        let mut last_round = self.clock.instant();
        let mut quiet_until: Option<Instant> = None;
        let mut owed: HashMap<BegunKey, Place> = HashMap::new();
        while !self.stop.wait(LOOK_EVERY) {
            let now = self.clock.instant();
            let round = now - last_round >= EVERY;
            self.collect(round, &mut owed);
            if round {
                last_round = now;
            }
            if quiet_until.is_some_and(|until| now < until) {
                continue;
            }
            quiet_until = (!self.settle(&mut owed, WITHIN)).then(|| now + PAUSE);
        }
        let began = self.clock.instant();
        let at_work = || self.lines.iter().any(|line| !line.standings.all().is_empty());
        // What was committed is known long before a group in motion lets its members go.
        for within in [COMMITS_WITHIN, WORKERS_WITHIN] {
            while at_work() && self.clock.instant() - began < within {
                self.stop.wait_more(Duration::from_millis(5));
            }
            self.collect(true, &mut owed);
            self.settle(&mut owed, LAST_WITHIN);
            if !at_work() {
                return;
            }
        }
    }

    /// What is to be noted: in a round everything, otherwise what was given up and what has its first commit.
    fn collect(&self, round: bool, owed: &mut HashMap<BegunKey, Place>) {
        for line in &self.lines {
            let key =
                |partition: i32| BegunKey { group: line.group.clone(), topic: line.topic.clone(), partition };
            let owned = line.standings.all().into_iter();
            let new =
                |key: &BegunKey| self.beginnings.known().get(key).is_some_and(|before| before.next.is_none());
            let due = owned.map(|(partition, place)| (key(partition), place));
            owed.extend(due.filter(|(key, place)| round || (place.committed && new(key))));
            let left = line.standings.take_left().into_iter();
            owed.extend(left.map(|(partition, place)| (key(partition), place)));
        }
    }

    /// Writes what is owed; whether it was written.
    fn settle(&self, owed: &mut HashMap<BegunKey, Place>, within: Duration) -> bool {
        let now = self.clock.now();
        let revised = |(key, place): (&BegunKey, &Place)| {
            Some((key.clone(), self.beginnings.revised(key, place, now)?))
        };
        match self.beginnings.write(owed.iter().filter_map(revised).collect(), within) {
            Ok(()) => {
                owed.clear();
                true
            }
            Err(stopped) => {
                tracing::warn!(
                    reason = stopped.message,
                    "where groups stand could not be noted; should Kafka forget it, more counts as lost than is"
                );
                false
            }
        }
    }
}
