//! The loop that every line with exactly-once output shares.
//!
//! It knows partitions, offsets and transactions, and nothing of cards. A [`Line`] turns one record into
//! outgoing records and *proposes* a change to its own memory; the loop commits outputs, offsets and
//! nothing else in one transaction, and then tells the line to merge what it proposed, or to drop it.
//!
//! ```text
//!   serve rebalances ─▶ let ready partitions flow ─▶ take a batch ─▶ process ─▶ commit when due
//!          ▲                                                                        │
//!          └──────────────── merge (committed) or discard + rewind (aborted) ◀──────┘
//! ```

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::sync::mpsc::Receiver;
use std::time::{Duration, Instant};

mod failures;
mod ownership;
mod reasons;

use reasons::{producer_stopped, record_error};

use super::aborts::Aborts;
use super::standings::Standings;
use super::start::{Start, Starts, Stopped};
use crate::clock::Clock;
use crate::domain::time::Timestamp;
use crate::fault;
use crate::kafka::consumer::{Change, GroupConsumer};
use crate::kafka::native::Message;
use crate::kafka::producer::{Outcome, Progress, SendError, TransactionalProducer};
use crate::stop::Stop;

/// How long a worker with nothing to do waits for the next record before it looks at everything else.
const IDLE_WAIT: Duration = Duration::from_millis(50);
/// The same where the line expects something that does not come by its input.
const SHORT_WAIT: Duration = Duration::from_millis(5);
/// Records put into one transaction at most.
const OUTPUTS_MAX: usize = 10_000;
/// While more input is waiting, outputs are committed at this pace: each commit costs some 3 ms.
const BUSY_LINGER: Duration = Duration::from_millis(100);

/// How often offsets are committed.
#[derive(Debug, Clone, Copy)]
pub struct Pace {
    /// How long an output waits for others to share its transaction, when no more input is waiting.
    pub linger: Duration,
    /// Offsets without outputs are committed when this much time has passed …
    pub offsets_interval: Duration,
    /// … or this many records were read; with outputs too, while more input is waiting.
    pub offsets_records: u64,
}

/// Why a record was not worked off.
#[derive(Debug)]
pub enum LineError {
    /// The transaction must be aborted and the record read again.
    Abort(String),
    /// The record waits for something that is on its way: what came before it is committed, and it is read again.
    Later(String),
    /// The line stops for good.
    Stop(Stopped),
}

impl From<SendError> for LineError {
    fn from(error: SendError) -> LineError {
        LineError::Abort(error.to_string())
    }
}

impl From<Stopped> for LineError {
    fn from(stopped: Stopped) -> LineError {
        LineError::Stop(stopped)
    }
}

/// What is particular to one line.
pub trait Line {
    /// `sight`, `score` or `books`.
    const NAME: &'static str;

    /// A partition was taken up and is held back until [`Line::ready`]: begin what it waits for.
    fn hold(&mut self, start: &Start) -> Result<(), Stopped>;

    /// Whether a held partition may flow.
    fn ready(&mut self, partition: i32) -> Result<bool, Stopped>;

    /// A partition is given up: forget all of it, for it may change elsewhere.
    fn release(&mut self, partition: i32);

    /// A batch begins: what it is judged under is fixed now.
    fn begin_batch(&mut self);

    /// Works one record off into `out`.
    fn process(&mut self, message: &Message<'_>, out: &mut TransactionalProducer) -> Result<(), LineError>;

    /// What is written beside the offset of `partition`.
    fn metadata(&self, partition: i32) -> String;

    /// Nothing is open: a moment to propose a change of memory that no record made. The partitions that it
    /// belongs to are committed where they stand, in a transaction of its own.
    fn tend(&mut self) -> Vec<i32> {
        Vec::new()
    }

    /// Whether the records of the open batch change what the line remembers, so that they wait no longer for their
    /// commit than an output would, although nothing is written yet.
    fn proposes(&self) -> bool {
        false
    }

    /// Whether something is on its way to the line that does not come by its input.
    fn expects(&self) -> bool {
        false
    }

    /// Last additions to a transaction that is about to commit `progress`. Returns whether records
    /// without outputs of their own must open a transaction.
    fn close_batch(
        &mut self,
        progress: &[Progress],
        out: &mut TransactionalProducer,
    ) -> Result<(), LineError>;

    /// The transaction is visible: what was proposed holds. Returns the timestamp of the newest record.
    fn merge(&mut self, took: Duration) -> Timestamp;

    /// The transaction is gone: so is what was proposed.
    fn discard(&mut self);

    /// A turn of the loop has passed: a sign of life. Of the `owned` partitions `held` wait for their start
    /// offset or their state.
    fn beat(&mut self, owned: usize, held: usize);
}

struct Owned {
    /// Where the open transaction began: everything below is committed.
    base: i64,
    /// The next offset to work off.
    next: i64,
    flowing: bool,
}

/// A search for where partitions are taken up.
struct Finding {
    /// How many.
    partitions: usize,
    answer: Receiver<Result<Vec<Start>, Stopped>>,
}

/// What a worker is made of, beside its line.
#[derive(Debug)]
pub struct Parts {
    /// Reads the input.
    pub consumer: GroupConsumer,
    /// Writes the outputs.
    pub producer: TransactionalProducer,
    /// Finds where partitions are taken up.
    pub starts: Starts,
    /// Where the line stands, for the lookout.
    pub standings: Standings,
    /// How often offsets are committed.
    pub pace: Pace,
    /// Tells the time.
    pub clock: Arc<dyn Clock>,
    /// Ends it.
    pub stop: Stop,
}

/// One worker: a consumer, a producer and a line on one thread.
pub struct Pump<L: Line> {
    line: L,
    consumer: GroupConsumer,
    producer: TransactionalProducer,
    starts: Starts,
    standings: Standings,
    pace: Pace,
    clock: Arc<dyn Clock>,
    stop: Stop,
    owned: BTreeMap<i32, Owned>,
    finding: Option<Finding>,
    changes: VecDeque<Change>,
    aborts: Aborts,
    first_output: Option<Instant>,
    last_commit: Instant,
    records: u64,
    /// The partitions whose memory the open transaction changes without a record.
    tended: Vec<i32>,
}

impl<L: Line> std::fmt::Debug for Pump<L> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Pump({})", L::NAME)
    }
}

impl<L: Line> Pump<L> {
    /// Joins the parts; nothing happens before [`Pump::run`].
    pub fn new(line: L, parts: Parts) -> Pump<L> {
        let Parts { consumer, producer, starts, standings, pace, clock, stop } = parts;
        Pump {
            line,
            consumer,
            producer,
            starts,
            standings,
            pace,
            last_commit: clock.instant(),
            clock,
            stop,
            owned: BTreeMap::new(),
            finding: None,
            changes: VecDeque::new(),
            aborts: Aborts::default(),
            first_output: None,
            records: 0,
            tended: Vec::new(),
        }
    }

    /// Runs until somebody asks to stop, then commits what is open and leaves the group.
    ///
    /// # Errors
    /// [`Stopped`] says why the line cannot go on.
    pub fn run(&mut self) -> Result<(), Stopped> {
        let ended = self.work();
        if let Err(stopped) = &ended {
            // Before anything is taken down: leaving a group takes its time, and everybody else is to stop now.
            self.stop.fail(stopped.code, stopped.message.clone());
        }
        // Where it stands is final, however it ended.
        self.owned.keys().for_each(|partition| self.standings.remove(*partition));
        ended
    }

    fn work(&mut self) -> Result<(), Stopped> {
        while !self.stop.is_asked() {
            self.turn()?;
        }
        self.commit_now()?;
        self.consumer.leave();
        let deadline = self.clock.instant() + Duration::from_secs(3);
        while !self.owned.is_empty() && self.clock.instant() < deadline {
            self.serve_changes()?;
            self.stop.wait_more(Duration::from_millis(5));
        }
        Ok(())
    }

    fn turn(&mut self) -> Result<(), Stopped> {
        self.serve_changes()?;
        self.let_flow()?;
        self.tend()?;
        self.consumer.take(self.wait());
        self.process_batch()?;
        self.commit_if_due()?;
        let held = self.owned.values().filter(|owned| !owned.flowing).count();
        let finding = self.finding.as_ref().map_or(0, |finding| finding.partitions);
        self.line.beat(self.owned.len() + finding, held + finding);
        Ok(())
    }

    /// Between two transactions: what the line does to its memory by itself.
    fn tend(&mut self) -> Result<(), Stopped> {
        if self.records > 0 || self.producer.is_open() || self.consumer.is_lost() {
            return Ok(());
        }
        // Also a worker that has nothing to commit for days: brokers forget an id that is not used.
        self.renew();
        self.tended = self.line.tend();
        if self.tended.is_empty() {
            return Ok(());
        }
        let committed = self.commit_now();
        self.tended.clear();
        committed
    }

    /// How long the next take may wait: not beyond the moment a commit is due.
    fn wait(&self) -> Duration {
        match self.first_output {
            Some(first) => self.pace.linger.saturating_sub(self.clock.instant() - first),
            None if self.owned.values().any(|owned| !owned.flowing) || self.line.expects() => SHORT_WAIT,
            None => IDLE_WAIT,
        }
    }

    fn process_batch(&mut self) -> Result<(), Stopped> {
        if self.consumer.batch_len() == 0 {
            return Ok(());
        }
        self.line.begin_batch();
        let limit = self.aborts.limit();
        let mut failed = None;
        // Records come in runs of one partition.
        let mut current: Option<(i32, &mut Owned)> = None;
        for message in self.consumer.batch() {
            if let Some(code) = message.error() {
                current = None;
                let next = self.owned.get(&message.partition()).map_or(message.offset(), |owned| owned.next);
                if let Some(stopped) = record_error(&self.starts, next, &message, code) {
                    failed = Some(LineError::Stop(stopped));
                    break;
                }
                continue;
            }
            let partition = message.partition();
            if current.as_ref().is_none_or(|(known, _)| *known != partition) {
                current = self.owned.get_mut(&partition).map(|owned| (partition, owned));
            }
            let Some((_, owned)) = &mut current else { continue };
            if !owned.flowing || message.offset() < owned.next {
                continue;
            }
            if let Err(error) = self.line.process(&message, &mut self.producer) {
                failed = Some(error);
                break;
            }
            owned.next = message.offset() + 1;
            self.records += 1;
            if limit.is_some_and(|limit| self.records >= limit) {
                break;
            }
        }
        let changes = self.producer.is_open() || (self.records > 0 && self.line.proposes());
        if changes && self.first_output.is_none() {
            self.first_output = Some(self.clock.instant());
        }
        if let Some(limit) = limit
            && failed.is_none()
            && self.records >= limit
        {
            // Committing a part of the batch: the rest is read again.
            self.commit_now()?;
            return self.rewind();
        }
        match failed {
            None => Ok(()),
            Some(LineError::Stop(stopped)) => {
                self.drop_transaction("the line stops")?;
                Err(stopped)
            }
            Some(LineError::Abort(reason)) => self.abort(&reason),
            Some(LineError::Later(reason)) => self.put_off(&reason),
        }
    }

    fn commit_if_due(&mut self) -> Result<(), Stopped> {
        let now = self.clock.instant();
        let due = match self.first_output {
            Some(first) if self.consumer.is_behind() => {
                now - first >= BUSY_LINGER
                    || self.producer.pending() >= OUTPUTS_MAX
                    || self.records >= self.pace.offsets_records
            }
            Some(first) => now - first >= self.pace.linger,
            None => {
                self.records >= self.pace.offsets_records
                    || (self.records > 0 && now - self.last_commit >= self.pace.offsets_interval)
            }
        };
        if due { self.commit_now() } else { Ok(()) }
    }

    fn progress(&self) -> Vec<Progress> {
        let moved = self
            .owned
            .iter()
            .filter(|(partition, owned)| owned.next > owned.base || self.tended.contains(partition));
        moved
            .map(|(&partition, owned)| Progress {
                partition,
                next: owned.next,
                metadata: self.line.metadata(partition),
            })
            .collect()
    }

    fn commit_now(&mut self) -> Result<(), Stopped> {
        let progress = self.progress();
        if progress.is_empty() && !self.producer.is_open() {
            return Ok(());
        }
        let started = self.clock.instant();
        match self.line.close_batch(&progress, &mut self.producer) {
            Ok(()) => {}
            Err(LineError::Stop(stopped)) => return Err(stopped),
            Err(LineError::Abort(reason) | LineError::Later(reason)) => return self.abort(&reason),
        }
        if fault::broken("merge-before-commit") {
            self.line.merge(Duration::ZERO);
        }
        match self.producer.commit(&self.consumer, &progress) {
            Outcome::Committed => {
                self.committed(&progress, started);
                Ok(())
            }
            Outcome::Aborted { reason, by_record } => self.aborted(&reason, by_record),
            Outcome::Unknown(reason) => self.resolve(&progress, &reason, started),
            outcome => Err(producer_stopped(outcome)),
        }
    }

    fn committed(&mut self, progress: &[Progress], started: Instant) {
        let now = self.clock.instant();
        let newest = self.line.merge(now - started);
        for progress in progress {
            let newest = Some(newest).filter(|_| self.tended.is_empty());
            self.standings.committed(progress.partition, progress.next, newest);
            if let Some(owned) = self.owned.get_mut(&progress.partition) {
                owned.base = progress.next;
            }
        }
        self.aborts.forget();
        self.reset(now);
        self.renew();
    }

    fn renew(&mut self) {
        if let Err(error) = self.producer.refresh() {
            tracing::warn!(line = L::NAME, %error, "the producer could not be renewed yet");
        }
    }

    fn reset(&mut self, now: Instant) {
        self.first_output = None;
        self.records = 0;
        self.last_commit = now;
    }
}
