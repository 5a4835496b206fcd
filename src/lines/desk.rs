//! The desk: what a person sees of the alerts, and what [`decisions`](super::decisions) need of them.
//!
//! A thread follows the alerts topic and keeps a line per alert in memory; the alerts themselves stay on the topic
//! and are fetched by their place when somebody asks. Like the exposure list it can be *confirmed*: read up to the
//! high watermarks that the topic had at a moment. Whoever must not miss a revision waits for that.

mod follow;
mod index;
mod ledger;
mod service;
mod work;

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};
use std::time::{Duration, Instant};

use super::start::Stopped;
use crate::clock::Clock;
use crate::codec::wire;
use crate::domain::alert::Alert;
use crate::domain::desk::{AlertKey, Order, Page, Place, Query, Summary};
use crate::domain::outcome::{Outcome, Subject};
use crate::health::Condition;
use crate::kafka::client::Cluster;
use crate::kafka::fetch::{Fetched, Fetcher};
use crate::kafka::native::Message;
use crate::kafka::probe::Probe;
use crate::metrics::{DeskMetrics, DeskNumbers};
use crate::stop::{Stop, exit};

pub use follow::{Begin, Followed, marks};
pub use index::{Index, Places, Waiting};
pub use ledger::Ledger;
pub use service::OpenDesk;
pub use work::{Decided, OutcomeError, Writer};

/// How often the high watermarks are asked for while nobody waits.
const CONFIRM_EVERY: Duration = Duration::from_millis(500);
/// How often what has expired is forgotten and what waits is counted.
const COUNT_EVERY: Duration = Duration::from_secs(2);
/// How long one alert may take to be fetched.
const FETCH_WITHIN: Duration = Duration::from_secs(5);
/// Alerts with one transaction id that are looked at.
const CANDIDATES_MAX: usize = 50;

/// An alert as it stands on its topic.
#[derive(Debug, Clone, PartialEq)]
pub struct Stored {
    /// The alert.
    pub alert: Alert,
    /// The partition of the card.
    pub partition: i32,
    /// The headers of its record.
    pub headers: Vec<(String, Vec<u8>)>,
}

/// What an outcome is about, resolved.
#[derive(Debug, Clone, PartialEq)]
pub enum Resolved {
    /// No alert that is known.
    Nothing,
    /// One alert, by its newest revision.
    One(Box<Stored>),
    /// Several alerts have this transaction id.
    Several(Vec<Summary>),
}

/// An alert could not be fetched just now; it is there.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{topic}/{partition} offset {offset} could not be fetched: {cause}")]
pub struct FetchError {
    topic: String,
    partition: i32,
    offset: i64,
    cause: String,
}

/// The alerts, for all threads of the process.
#[derive(Debug)]
pub struct Desk {
    topic: String,
    index: RwLock<Index>,
    ledger: RwLock<Ledger>,
    confirmed: Mutex<Option<Instant>>,
    wanted: AtomicBool,
    fetcher: Fetcher,
    clock: Arc<dyn Clock>,
}

impl Desk {
    /// An empty desk, for at most `max` alerts of `topic`.
    ///
    /// # Errors
    /// When the client refuses its configuration.
    pub fn new(
        cluster: &Cluster,
        group: &str,
        topic: &str,
        max: usize,
        clock: Arc<dyn Clock>,
    ) -> Result<Desk, Stopped> {
        let fetcher = Fetcher::new(cluster, group, topic).map_err(|error| {
            Stopped::new(exit::CONFIG, format!("the Kafka client refuses its settings: {error}"))
        })?;
        Ok(Desk {
            topic: topic.to_owned(),
            index: RwLock::new(Index::new(max)),
            ledger: RwLock::new(Ledger::new(max)),
            confirmed: Mutex::new(None),
            wanted: AtomicBool::new(false),
            fetcher,
            clock,
        })
    }

    fn index(&self) -> RwLockReadGuard<'_, Index> {
        self.index.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn index_mut(&self) -> RwLockWriteGuard<'_, Index> {
        self.index.write().unwrap_or_else(PoisonError::into_inner)
    }

    fn ledger(&self) -> RwLockReadGuard<'_, Ledger> {
        self.ledger.read().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether the alerts were read up to high watermarks asked for at `since` or later.
    pub fn is_confirmed_since(&self, since: Instant) -> bool {
        let confirmed = *self.confirmed.lock().unwrap_or_else(PoisonError::into_inner);
        let is = confirmed.is_some_and(|confirmed| confirmed >= since);
        if !is {
            self.wanted.store(true, Ordering::Relaxed);
        }
        is
    }

    /// Whether the alerts were ever read to their end.
    pub fn is_loaded(&self) -> bool {
        self.confirmed.lock().unwrap_or_else(PoisonError::into_inner).is_some()
    }

    /// Takes an alert's record in. What is no alert is passed over: somebody else wrote it, or a newer version.
    pub fn apply(&self, message: &Message<'_>) {
        match wire::decode_alert(message.value().unwrap_or_default()) {
            Ok(alert) => self.index_mut().apply(&alert, message.partition(), message.offset()),
            Err(error) => {
                let (topic, partition, offset) = (&self.topic, message.partition(), message.offset());
                tracing::warn!(topic, partition, offset, %error, "a record that is no alert is passed over");
            }
        }
    }

    /// An alert in one line.
    pub fn summary(&self, key: AlertKey) -> Option<Summary> {
        self.index().summary(key)
    }

    /// The alerts asked for, behind the place `after`, at most `limit` of them.
    pub fn list(&self, query: &Query, order: Order, after: Option<&Place>, limit: usize) -> Page<Summary> {
        self.index().list(query, order, after, limit)
    }

    /// The outcomes that came in last, behind the offset `after`.
    pub fn outcomes(&self, alert: Option<&Subject>, after: Option<i64>, limit: usize) -> Page<Outcome> {
        self.ledger().list(alert, after, limit)
    }

    /// An alert by its newest revision; `None` where there is none or it has expired.
    ///
    /// # Errors
    /// When it could not be fetched just now.
    pub fn alert(&self, key: AlertKey) -> Result<Option<Stored>, FetchError> {
        let Some(places) = self.index().places(key) else { return Ok(None) };
        self.fetch(places.partition, places.newest)
    }

    /// Every revision of an alert that is still there, the oldest first.
    ///
    /// # Errors
    /// When one could not be fetched just now.
    pub fn revisions(&self, key: AlertKey) -> Result<Vec<Alert>, FetchError> {
        let Some(places) = self.index().places(key) else { return Ok(Vec::new()) };
        let offsets = places.earlier.iter().copied().chain([places.newest]);
        let mut revisions = Vec::new();
        for offset in offsets {
            revisions.extend(self.fetch(places.partition, offset)?.map(|stored| stored.alert));
        }
        Ok(revisions)
    }

    /// The alert that `subject` means.
    ///
    /// # Errors
    /// When one that may be meant could not be fetched just now.
    pub fn resolve(&self, subject: &Subject) -> Result<Resolved, FetchError> {
        let candidates = self.index().candidates(subject);
        let mut meant = Vec::new();
        for key in candidates.into_iter().take(CANDIDATES_MAX) {
            let Some(stored) = self.alert(key)? else { continue };
            let same = match subject {
                Subject::Transaction(id) => stored.alert.transaction.id.as_ref() == Some(id),
                Subject::Alert(_) | Subject::Sighting(_) => true,
            };
            if same {
                meant.push(stored);
            }
        }
        Ok(match (meant.pop(), meant.is_empty()) {
            (None, _) => Resolved::Nothing,
            (Some(one), true) => Resolved::One(Box::new(one)),
            (Some(last), false) => {
                let all = meant.iter().chain([&last]);
                Resolved::Several(all.filter_map(|stored| Summary::of(&stored.alert)).collect())
            }
        })
    }

    fn fetch(&self, partition: i32, offset: i64) -> Result<Option<Stored>, FetchError> {
        let found = self.fetcher.get(partition, offset, FETCH_WITHIN, self.clock.as_ref());
        let failed = |cause: String| FetchError { topic: self.topic.clone(), partition, offset, cause };
        let Some(Fetched { value, headers }) = found.map_err(|error| failed(error.to_string()))? else {
            return Ok(None);
        };
        let alert = wire::decode_alert(&value).map_err(|error| failed(error.to_string()))?;
        Ok(Some(Stored { alert, partition, headers }))
    }

    fn confirm(&self, at: Instant) {
        *self.confirmed.lock().unwrap_or_else(PoisonError::into_inner) = Some(at);
    }
}

/// The thread that keeps a desk current.
pub struct Keeper {
    /// The cluster.
    pub cluster: Cluster,
    /// Asks for watermarks.
    pub probe: Probe,
    /// The name the readers give; the group is not joined.
    pub group: String,
    /// The topic of outcomes.
    pub outcomes: String,
    /// The desk.
    pub desk: Arc<Desk>,
    /// Readiness: the alerts are read to their end.
    pub ready: Condition,
    /// Metrics.
    pub metrics: DeskMetrics,
    /// Tells the time.
    pub clock: Arc<dyn Clock>,
    /// Ends it.
    pub stop: Stop,
}

impl std::fmt::Debug for Keeper {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Keeper({:?})", self.desk)
    }
}

impl Keeper {
    /// Follows alerts and outcomes until somebody asks to stop.
    ///
    /// # Errors
    /// [`Stopped`] when a topic cannot be read.
    pub fn run(&self) -> Result<(), Stopped> {
        let begin =
            |topic: &str| Followed::begin(&self.cluster, &self.probe, &self.group, topic, Begin::Start);
        let (mut alerts, mut outcomes) = (begin(&self.desk.topic)?, begin(&self.outcomes)?);
        let mut last_asked: Option<Instant> = None;
        let mut last_counted: Option<Instant> = None;
        while !self.stop.is_asked() {
            alerts.turn(Duration::from_millis(20), |message| self.desk.apply(message))?;
            outcomes.turn(Duration::ZERO, |message| self.note(message))?;
            let now = self.clock.instant();
            let due = last_asked.is_none_or(|last| now - last >= CONFIRM_EVERY);
            if !(self.desk.wanted.swap(false, Ordering::Relaxed) || due) {
                continue;
            }
            last_asked = Some(now);
            match marks(&self.probe, &self.desk.topic) {
                Ok(marks) if alerts.is_past(&marks) => {
                    if !self.desk.is_loaded() {
                        self.ready.ready();
                        tracing::info!(alerts = self.desk.index().count(), "alerts read to their end");
                    }
                    self.desk.confirm(now);
                    if last_counted.is_none_or(|last| now - last >= COUNT_EVERY) {
                        last_counted = Some(now);
                        self.count(&marks.iter().map(|(partition, marks)| (*partition, marks.low)).collect());
                    }
                }
                Ok(_) => {}
                Err(error) => tracing::warn!(%error, "the end of the alerts is not known"),
            }
        }
        Ok(())
    }

    fn note(&self, message: &Message<'_>) {
        let mut ledger = self.desk.ledger.write().unwrap_or_else(PoisonError::into_inner);
        ledger.apply(
            message.offset(),
            message.key().unwrap_or_default(),
            message.value(),
            message.timestamp(),
        );
    }

    fn count(&self, low: &BTreeMap<i32, i64>) {
        let now = self.clock.now();
        let (waiting, known, left_out) = {
            let mut index = self.desk.index_mut();
            index.expire(low);
            (index.waiting(now), index.count(), index.evicted())
        };
        let age_ms = waiting.oldest.map_or(0, |oldest| now.millis() - oldest.millis());
        self.metrics.show(&DeskNumbers {
            severities: waiting.open.iter().map(|(severity, count)| (severity.as_str(), *count)).collect(),
            ages: waiting.ages,
            rules: waiting.rules.iter().map(|(rule, count)| (&**rule, *count)).collect(),
            oldest_seconds: age_ms.max(0) as f64 / 1000.0,
            known,
            left_out,
        });
    }
}
