//! Keeps the exposed set current, and knows how current it is.
//!
//! Every process that runs `sight` reads the whole exposure list by itself, without a group. Two facts are
//! told to the workers: the *frontier*, which every sighting names, and when the list was last *confirmed*:
//! read up to the high watermark that the topic had at that moment. A worker that takes a partition up waits
//! for a confirmation younger than its own start, so that along a partition the frontier never falls.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use super::start::Stopped;
use crate::clock::Clock;
use crate::exposure::set::{Applied, ExposureSet, SetWriter, View};
use crate::health::Condition;
use crate::kafka::client::Cluster;
use crate::kafka::probe::Probe;
use crate::kafka::reader::{Read, Reader};
use crate::metrics::RefreshMetrics;
use crate::stop::{Stop, exit};

/// How often the high watermark is asked for while nobody waits.
const CONFIRM_EVERY: Duration = Duration::from_millis(500);

/// How often cards without a marker are published.
const PUBLISH_CARDS_EVERY: Duration = Duration::from_secs(1);

/// What the workers see of the exposure list.
#[derive(Debug)]
pub struct Exposed {
    /// The set.
    pub set: Arc<ExposureSet>,
    confirmed: Mutex<Option<Instant>>,
    wanted: AtomicBool,
}

impl Exposed {
    /// Nothing is known yet.
    pub fn new(set: Arc<ExposureSet>) -> Exposed {
        Exposed { set, confirmed: Mutex::new(None), wanted: AtomicBool::new(false) }
    }

    /// Whether the list was read up to a high watermark asked for at `since` or later.
    pub fn is_confirmed_since(&self, since: Instant) -> bool {
        let confirmed = *self.confirmed.lock().unwrap_or_else(PoisonError::into_inner);
        let is = confirmed.is_some_and(|confirmed| confirmed >= since);
        if !is {
            self.wanted.store(true, Ordering::Relaxed);
        }
        is
    }

    pub(super) fn confirm(&self, at: Instant) {
        *self.confirmed.lock().unwrap_or_else(PoisonError::into_inner) = Some(at);
    }
}

/// Says what is wrong with the keys at hand beside the list, if anything.
pub type KeyCheck<'a> = dyn Fn(&View) -> Result<(), String> + 'a;

/// What was applied and is not published yet.
#[derive(Debug, Default)]
struct Unseen {
    marker: bool,
    first_card: Option<Instant>,
}

impl Unseen {
    fn note(&mut self, applied: &Applied, now: Instant) {
        match applied {
            Applied::Incident(_) => self.marker = true,
            Applied::Card => {
                self.first_card.get_or_insert(now);
            }
        }
    }

    fn is_due(&self, now: Instant) -> bool {
        self.marker || self.first_card.is_some_and(|first| now - first >= PUBLISH_CARDS_EVERY)
    }
}

/// Reads the exposure list for the whole process.
pub struct Refresh {
    /// The cluster.
    pub cluster: Cluster,
    /// Asks for watermarks.
    pub probe: Probe,
    /// The name the reader gives; the group is not joined.
    pub group: String,
    /// The topic of the list.
    pub topic: String,
    /// Not confirmed for this long: not ready, and an alarm.
    pub alarm_after: Duration,
    /// What the workers see.
    pub exposed: Arc<Exposed>,
    /// Readiness: the list is read to its end.
    pub ready: Condition,
    /// Readiness: the keys at hand fit the list.
    pub keys_ready: Condition,
    /// Metrics.
    pub metrics: RefreshMetrics,
    /// Tells the time.
    pub clock: Arc<dyn Clock>,
    /// Ends it.
    pub stop: Stop,
}

impl std::fmt::Debug for Refresh {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Refresh({})", self.topic)
    }
}

impl Refresh {
    /// Reads into `writer`'s set until somebody asks to stop. `keys` looks at the list once it is loaded, and
    /// after every change: it says what is wrong with the keys at hand, if anything.
    ///
    /// # Errors
    /// [`Stopped`] when the list cannot be read or the keys do not fit it at the start.
    pub fn run(&self, mut writer: SetWriter, keys: &KeyCheck<'_>) -> Result<(), Stopped> {
        let start = self.probe.watermarks(&self.topic, 0)?.low;
        let mut reader = Reader::new(&self.cluster, &self.group, &self.topic, &[(0, start)])
            .map_err(|error| self.unreadable(&error))?;
        let mut reached = start;
        let mut loaded = false;
        let mut alarmed = false;
        let mut unseen = Unseen::default();
        let mut last_asked: Option<Instant> = None;
        let mut last_confirmed = self.clock.instant();
        while !self.stop.is_asked() {
            reached = self.apply(&mut reader, &mut writer, reached, &mut unseen)?;
            if loaded {
                self.show_changes(&mut writer, &mut unseen, keys);
            }
            if self.is_time_to_ask(last_asked) {
                let asked = self.clock.instant();
                last_asked = Some(asked);
                match self.probe.watermarks(&self.topic, 0) {
                    Ok(marks) if reached >= marks.high => {
                        if !loaded {
                            // Nobody looked so far; from here on a view is published for every change.
                            let view = writer.publish();
                            keys(&view).map_err(|message| Stopped::new(exit::CONFIG, message))?;
                            self.keys_ready.ready();
                            self.show(&view);
                            loaded = true;
                        }
                        last_confirmed = asked;
                        self.exposed.confirm(asked);
                        self.ready.ready();
                        alarmed = false;
                        self.metrics.confirmed(self.clock.now());
                    }
                    Ok(_) => {}
                    Err(error) => tracing::warn!(%error, "the end of the exposure list is not known"),
                }
            }
            if loaded && !alarmed {
                alarmed = self.alarm(last_confirmed);
            }
        }
        Ok(())
    }

    fn apply(
        &self,
        reader: &mut Reader,
        writer: &mut SetWriter,
        reached: i64,
        unseen: &mut Unseen,
    ) -> Result<i64, Stopped> {
        let mut reached = reached;
        for read in reader.read(Duration::from_millis(20)) {
            match read {
                Read::Record(message) => {
                    let offset = message.offset();
                    let key = message.key().unwrap_or_default();
                    let applied = writer.apply(offset, key, message.value()).map_err(|error| {
                        Stopped::new(
                            exit::DATA,
                            format!(
                                "the exposure list {} does not read at offset {offset}: {error}; \
                                 something else wrote to it, or a newer version did",
                                self.topic
                            ),
                        )
                    })?;
                    unseen.note(&applied, self.clock.instant());
                    reached = offset + 1;
                }
                Read::End { offset, .. } => reached = reached.max(offset),
                Read::Failed { code, .. } => return Err(self.unreadable(&code)),
            }
        }
        Ok(reached)
    }

    fn is_time_to_ask(&self, last: Option<Instant>) -> bool {
        let due = last.is_none_or(|last| self.clock.instant() - last >= CONFIRM_EVERY);
        self.exposed.wanted.swap(false, Ordering::Relaxed) || due
    }

    /// Publishes what was applied: a marker at once, cards (which no view shows before their marker) now
    /// and then, so that the tables are folded while a long list comes in.
    fn show_changes(&self, writer: &mut SetWriter, unseen: &mut Unseen, keys: &KeyCheck<'_>) {
        if !unseen.is_due(self.clock.instant()) {
            return;
        }
        *unseen = Unseen::default();
        let before = self.exposed.set.view().frontier();
        let view = writer.publish();
        self.show(&view);
        if view.frontier() != before {
            tracing::info!(frontier = view.frontier(), cards = view.stats().cards, "exposure list changed");
        }
        match keys(&view) {
            Ok(()) => self.keys_ready.ready(),
            Err(message) => {
                tracing::error!(reason = message, "cards on the list cannot be recognised");
                self.keys_ready.not_ready(message);
            }
        }
    }

    fn show(&self, view: &View) {
        self.metrics.set(view.stats().cards, view.stats().by_incident.len(), view.frontier());
    }

    fn alarm(&self, last_confirmed: Instant) -> bool {
        let age = self.clock.instant() - last_confirmed;
        let alarmed = age > self.alarm_after;
        if alarmed {
            tracing::error!(
                seconds = age.as_secs(),
                "the exposure list could not be confirmed, judging goes on under the last one"
            );
            self.ready.not_ready(format!("the exposure list could not be confirmed for {} s", age.as_secs()));
        }
        alarmed
    }

    fn unreadable(&self, error: &dyn std::fmt::Display) -> Stopped {
        Stopped::new(exit::UNAVAILABLE, format!("the exposure list {} cannot be read: {error}", self.topic))
    }
}
