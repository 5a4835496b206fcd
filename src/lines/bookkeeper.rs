//! Keeps the books up to date in a running process, for its metrics and for `/v1/incidents`.
//!
//! It follows the list, the histories and the outcomes by itself, without a group, and makes the books up again when
//! something has changed. Nobody waits for it, and a record that it cannot read stops nothing: whoever needs that
//! record stops by itself.

mod service;

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::books::{history_record, list_record, outcome_record};
use super::start::Stopped;
use crate::books::{Book, Ledger, Tally};
use crate::clock::Clock;
use crate::domain::time::Timestamp;
use crate::exposure::record::{IncidentRecord, IncidentState, Revision};
use crate::kafka::client::Cluster;
use crate::kafka::native::Message;
use crate::kafka::probe::Probe;
use crate::kafka::reader::{Read, Reader};
use crate::metrics::{IncidentMetrics, IncidentNumbers};
use crate::stop::{Stop, exit};

pub use service::{MadeUp, OpenBooks};

/// How often the books are made up at most.
const MAKE_UP_EVERY: Duration = Duration::from_secs(5);
/// How long a topic that is not there is left alone.
const LOOK_AGAIN: Duration = Duration::from_secs(60);
/// How long to rest where nothing came.
const WAIT: Duration = Duration::from_millis(200);
/// How long to wait for records of one topic.
const GLANCE: Duration = Duration::from_millis(5);

/// Follows the topics.
pub struct Bookkeeper {
    /// The cluster.
    pub cluster: Cluster,
    /// Asks for watermarks.
    pub probe: Probe,
    /// The name the readers give; the group is not joined.
    pub group: String,
    /// The topics of the list, the histories and the outcomes.
    pub topics: [String; 3],
    /// Where what was made up is kept for others.
    pub made_up: Arc<MadeUp>,
    /// Metrics.
    pub metrics: IncidentMetrics,
    /// Tells the time.
    pub clock: Arc<dyn Clock>,
    /// Ends it.
    pub stop: Stop,
}

impl std::fmt::Debug for Bookkeeper {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Bookkeeper({})", self.topics.join(", "))
    }
}

/// A topic that is followed.
struct Followed {
    topic: String,
    reader: Option<Reader>,
    looked: Option<Instant>,
    /// By partition: whether its end was seen.
    ended: Vec<bool>,
}

impl Followed {
    fn new(topic: &str) -> Followed {
        Followed { topic: topic.to_owned(), reader: None, looked: None, ended: Vec::new() }
    }

    /// Whether everything that was there when reading began was read, or nothing is there at all.
    fn is_read(&self) -> bool {
        self.looked.is_some() && self.ended.iter().all(|ended| *ended)
    }
}

impl Bookkeeper {
    /// Follows until somebody asks to stop.
    ///
    /// # Errors
    /// When a client refuses its configuration.
    pub fn run(&self) -> Result<(), Stopped> {
        let mut followed = self.topics.each_ref().map(|topic| Followed::new(topic));
        let mut ledger = Ledger::default();
        let mut changed = true;
        let mut made_up: Option<Instant> = None;
        while !self.stop.is_asked() {
            let mut any = false;
            for (kind, topic) in followed.iter_mut().enumerate() {
                self.open(topic)?;
                let name = topic.topic.clone();
                any |= self.take(topic, |message| record(&mut ledger, kind, &name, message));
            }
            changed |= any;
            let now = self.clock.instant();
            let due = made_up.is_none_or(|last| now - last >= MAKE_UP_EVERY);
            if changed && due && followed.iter().all(Followed::is_read) {
                self.make_up(&ledger);
                (changed, made_up) = (false, Some(now));
            }
            if !any {
                self.stop.wait(WAIT);
            }
        }
        Ok(())
    }

    fn open(&self, followed: &mut Followed) -> Result<(), Stopped> {
        let now = self.clock.instant();
        let waits = followed.looked.is_some_and(|looked| now - looked < LOOK_AGAIN);
        if followed.reader.is_some() || waits {
            return Ok(());
        }
        let topic = &followed.topic;
        let starts = || -> Result<Vec<(i32, i64)>, Stopped> {
            let partitions = self.probe.partitions(topic)?.unwrap_or(0);
            let start = |partition| Ok((partition, self.probe.watermarks(topic, partition)?.low));
            (0..partitions).map(start).collect()
        };
        match starts() {
            Ok(starts) if starts.is_empty() => {}
            Ok(starts) => {
                let reader = Reader::new(&self.cluster, &self.group, topic, &starts)
                    .map_err(|error| Stopped::new(exit::UNAVAILABLE, format!("{topic}: {error}")))?;
                followed.ended = vec![false; starts.len()];
                followed.reader = Some(reader);
            }
            Err(error) => {
                tracing::warn!(topic, reason = error.message, "the books cannot be read now");
                return Ok(());
            }
        }
        followed.looked = Some(now);
        Ok(())
    }

    /// Takes what is there; whether anything was.
    fn take(
        &self,
        followed: &mut Followed,
        mut each: impl FnMut(&Message<'_>) -> Result<(), String>,
    ) -> bool {
        let Some(reader) = &mut followed.reader else { return false };
        let (mut any, mut failed) = (false, false);
        for read in reader.read(GLANCE) {
            match read {
                Read::Record(message) => {
                    any = true;
                    if let Err(reason) = each(&message) {
                        tracing::warn!(
                            topic = followed.topic,
                            partition = message.partition(),
                            offset = message.offset(),
                            reason,
                            "a record is left out of the books"
                        );
                    }
                }
                Read::End { partition, .. } => {
                    let place = usize::try_from(partition).ok();
                    if let Some(ended) = place.and_then(|place| followed.ended.get_mut(place)) {
                        *ended = true;
                    }
                }
                Read::Failed { partition, code } => {
                    tracing::warn!(topic = followed.topic, partition, %code, "the books cannot be read on, beginning again");
                    failed = true;
                }
            }
        }
        if failed {
            // Offsets that expired under a slow reader, or a topic made again.
            followed.reader = None;
            followed.looked = Some(self.clock.instant());
        }
        any
    }

    fn make_up(&self, ledger: &Ledger) {
        let books = ledger.books();
        let open = |record: &&IncidentRecord| record.state == IncidentState::Open;
        let closed = |record: &&IncidentRecord| record.state == IncidentState::Closed;
        let ordered = ledger.incidents().filter(open).chain(ledger.incidents().filter(closed));
        let numbers: Vec<IncidentNumbers> =
            ordered.filter_map(|record| Some(numbers(record, books.get(&record.id)?))).collect();
        self.metrics.set(&numbers, self.clock.now());
        self.made_up.keep(ledger, books);
    }
}

/// Enters a record of the list, the histories or the outcomes.
fn record(ledger: &mut Ledger, kind: usize, topic: &str, message: &Message<'_>) -> Result<(), String> {
    match kind {
        0 => list_record(ledger, message.key().unwrap_or_default(), message.value())
            .map_err(|error| error.to_string()),
        1 => history_record(ledger, topic, message).map_err(|stopped| stopped.message),
        _ => {
            outcome_record(ledger, message);
            Ok(())
        }
    }
}

/// When the list of an incident was last changed.
fn revised(record: &IncidentRecord) -> Option<Timestamp> {
    let of = |revision: &Revision| revision.undone.as_ref().map(|mark| mark.at).max(revision.done_at);
    record.revisions.iter().map(of).max().flatten().max(record.closed.as_ref().map(|mark| mark.at))
}

/// The numbers of an incident in which nothing has happened, with every word that a label can have.
#[cfg(test)]
#[allow(clippy::expect_used, reason = "in a test a panic is the report")]
pub(crate) fn no_numbers() -> IncidentNumbers {
    let id = "shop".parse().expect("an id");
    let mut book = Book::default();
    book.listed.money.insert("EUR".parse().expect("a currency"), Default::default());
    numbers(&IncidentRecord::new(id), &book)
}

fn numbers(record: &IncidentRecord, book: &Book) -> IncidentNumbers {
    let seconds =
        |at: Option<Timestamp>| at.and_then(|at| u64::try_from(at.millis() / 1_000).ok()).unwrap_or(0);
    let all: Tally = book.total();
    let mut money = Vec::new();
    for (currency, sums) in &all.money {
        for (is, sum) in [
            ("approved", sums.flow.approved),
            ("declined", sums.flow.declined),
            ("suspected_approved", sums.flow.alerted_approved),
            ("suspected_declined", sums.flow.alerted_declined),
            ("confirmed_approved", sums.confirmed_approved),
            ("confirmed_declined", sums.confirmed_declined),
        ] {
            money.push((currency.code(), is, sum.sum));
        }
    }
    IncidentNumbers {
        incident: record.id.as_str().to_owned(),
        cards: vec![
            ("listed", book.listed.cards),
            ("withdrawn", book.withdrawn.cards),
            ("departed", book.departed.cards),
            ("seen", all.seen),
            ("never_seen", all.never_seen()),
            ("suspected", all.suspected),
            ("confirmed", all.confirmed),
        ],
        alerts: vec![
            ("fraud", all.verdicts.fraud),
            ("genuine", all.verdicts.genuine),
            ("unknown", all.verdicts.unknown),
            ("undecided", all.undecided()),
        ],
        money,
        currencies: all.money.keys().map(|currency| (currency.code(), currency.minor_units())).collect(),
        uses: vec![
            ("approved", all.purchases),
            ("declined", all.declined),
            ("check", all.checks),
            ("return", all.returns),
        ],
        revision: record.in_force().map_or(0, |revision| u64::from(revision.number)),
        revised: seconds(revised(record)),
        last_seen: seconds(all.last),
        open: record.state == IncidentState::Open,
    }
}
