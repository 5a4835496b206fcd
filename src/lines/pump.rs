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
use std::sync::mpsc::{Receiver, TryRecvError};
use std::time::{Duration, Instant};

use super::aborts::Aborts;
use super::lookout::Standings;
use super::start::{Start, Starts, Stopped};
use crate::clock::Clock;
use crate::domain::time::Timestamp;
use crate::fault;
use crate::kafka::consumer::{Change, GroupConsumer};
use crate::kafka::native::Message;
use crate::kafka::producer::{Outcome, Progress, SendError, TransactionalProducer};
use crate::stop::{Stop, exit};

/// How long a worker with nothing to do waits for the next record before it looks at everything else.
const IDLE_WAIT: Duration = Duration::from_millis(50);
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
    /// `sight` or `score`.
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

    /// A turn of the loop has passed: a sign of life.
    fn beat(&mut self, owned: usize, held: usize);
}

struct Owned {
    /// Where the open transaction began: everything below is committed.
    base: i64,
    /// The next offset to work off.
    next: i64,
    flowing: bool,
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
    finding: Option<Receiver<Result<Vec<Start>, Stopped>>>,
    changes: VecDeque<Change>,
    aborts: Aborts,
    first_output: Option<Instant>,
    last_commit: Instant,
    records: u64,
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
        }
    }

    /// Runs until somebody asks to stop, then commits what is open and leaves the group.
    ///
    /// # Errors
    /// [`Stopped`] says why the line cannot go on.
    pub fn run(&mut self) -> Result<(), Stopped> {
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
        self.consumer.take(self.wait());
        self.process_batch()?;
        self.commit_if_due()?;
        let held = self.owned.values().filter(|owned| !owned.flowing).count();
        self.line.beat(self.owned.len(), held);
        Ok(())
    }

    /// How long the next take may wait: not beyond the moment a commit is due.
    fn wait(&self) -> Duration {
        match self.first_output {
            Some(first) => self.pace.linger.saturating_sub(self.clock.instant() - first),
            None if self.owned.values().any(|owned| !owned.flowing) => Duration::from_millis(5),
            None => IDLE_WAIT,
        }
    }

    // --- ownership -------------------------------------------------------------------------------

    fn serve_changes(&mut self) -> Result<(), Stopped> {
        match self.consumer.serve() {
            Ok(Some(change)) => self.changes.push_back(change),
            Ok(None) => {}
            Err(error) => return Err(self.consumer_stopped(&error)),
        }
        self.finish_finding()?;
        // A change waits until the one before it is answered.
        while self.finding.is_none()
            && let Some(change) = self.changes.pop_front()
        {
            match change {
                Change::Assigned(partitions) => {
                    tracing::info!(line = L::NAME, ?partitions, "partitions assigned");
                    self.finding = Some(self.starts.find(partitions));
                }
                Change::Revoked { partitions, lost } => self.give_up(&partitions, lost)?,
            }
        }
        Ok(())
    }

    fn finish_finding(&mut self) -> Result<(), Stopped> {
        let Some(finding) = &self.finding else { return Ok(()) };
        let starts = match finding.try_recv() {
            Ok(starts) => starts?,
            Err(TryRecvError::Empty) => return Ok(()),
            Err(TryRecvError::Disconnected) => {
                return Err(Stopped::new(
                    exit::INTERNAL,
                    "the search for start offsets ended without an answer",
                ));
            }
        };
        self.finding = None;
        let offsets: Vec<(i32, i64)> = starts.iter().map(|start| (start.partition, start.offset)).collect();
        // Held back first, assigned second, and let flow when ready: never paused.
        if let Err(error) = self.consumer.assign(&offsets) {
            tracing::warn!(line = L::NAME, %error, "the assignment was gone before it was taken");
            return Ok(());
        }
        for start in starts {
            self.line.hold(&start)?;
            let owned = Owned { base: start.offset, next: start.offset, flowing: false };
            self.standings.set(start.partition, start.offset, None);
            self.owned.insert(start.partition, owned);
        }
        Ok(())
    }

    fn let_flow(&mut self) -> Result<(), Stopped> {
        for (&partition, owned) in &mut self.owned {
            if !owned.flowing && self.line.ready(partition)? {
                self.consumer.flow(partition);
                owned.flowing = true;
                tracing::info!(line = L::NAME, partition, offset = owned.next, "partition flows");
            }
        }
        Ok(())
    }

    fn give_up(&mut self, partitions: &[i32], lost: bool) -> Result<(), Stopped> {
        tracing::info!(line = L::NAME, ?partitions, lost, "partitions revoked");
        fault::point(L::NAME, "in-revoke");
        if lost || self.consumer.is_lost() {
            self.drop_transaction("the partitions belong to another member already")?;
        } else {
            self.commit_now()?;
        }
        if let Err(error) = self.consumer.unassign(partitions) {
            tracing::warn!(line = L::NAME, %error, "partitions could not be given back");
        }
        for partition in partitions {
            self.forget(*partition);
        }
        Ok(())
    }

    fn forget(&mut self, partition: i32) {
        self.owned.remove(&partition);
        self.standings.remove(partition);
        self.line.release(partition);
    }

    // --- work ------------------------------------------------------------------------------------

    fn process_batch(&mut self) -> Result<(), Stopped> {
        if self.consumer.batch_len() == 0 {
            return Ok(());
        }
        self.line.begin_batch();
        let limit = self.aborts.limit();
        let mut failed = None;
        for message in self.consumer.batch() {
            if let Some(code) = message.error() {
                if let Some(stopped) = record_error(&self.starts.topic, &message, code) {
                    failed = Some(LineError::Stop(stopped));
                    break;
                }
                continue;
            }
            let Some(owned) = self.owned.get_mut(&message.partition()) else { continue };
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
        if self.producer.is_open() && self.first_output.is_none() {
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
        let moved = self.owned.iter().filter(|(_, owned)| owned.next > owned.base);
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
            Err(LineError::Abort(reason)) => return self.abort(&reason),
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
            self.standings.set(progress.partition, progress.next, Some(newest));
            if let Some(owned) = self.owned.get_mut(&progress.partition) {
                owned.base = progress.next;
            }
        }
        self.aborts.forget();
        self.reset(now);
        if let Err(error) = self.producer.refresh() {
            tracing::warn!(line = L::NAME, %error, "the producer could not be renewed yet");
        }
    }

    fn reset(&mut self, now: Instant) {
        self.first_output = None;
        self.records = 0;
        self.last_commit = now;
    }

    // --- failures --------------------------------------------------------------------------------

    fn abort(&mut self, reason: &str) -> Result<(), Stopped> {
        match self.producer.abort(reason) {
            Outcome::Aborted { reason, .. } => self.aborted(&reason, true),
            outcome => Err(producer_stopped(outcome)),
        }
    }

    /// Throws the open transaction away without reading again: the partitions are going.
    fn drop_transaction(&mut self, reason: &str) -> Result<(), Stopped> {
        self.line.discard();
        self.reset(self.clock.instant());
        self.consumer.clear();
        for owned in self.owned.values_mut() {
            owned.next = owned.base;
        }
        match self.producer.abort(reason) {
            Outcome::Aborted { .. } => self.rewind(),
            outcome => Err(producer_stopped(outcome)),
        }
    }

    fn aborted(&mut self, reason: &str, by_record: bool) -> Result<(), Stopped> {
        tracing::warn!(line = L::NAME, reason, "transaction aborted, reading again");
        self.line.discard();
        let starts = self.owned.iter().map(|(&partition, owned)| (partition, owned.base)).collect();
        // Only what a record caused is a reason to look for that record.
        let verdict = if by_record { self.aborts.count(starts, self.records + 1, reason) } else { Ok(()) };
        self.reset(self.clock.instant());
        if let Err(cause) = verdict {
            return Err(Stopped::new(exit::DATA, format!("{} of topic {}", cause, self.starts.topic)));
        }
        if !by_record {
            // The group or the cluster is in motion: give it a moment instead of spinning.
            self.stop.wait(Duration::from_millis(50));
        }
        self.rewind()
    }

    /// Goes back to where the next transaction begins; records fetched ahead are read again.
    fn rewind(&mut self) -> Result<(), Stopped> {
        self.consumer.clear();
        for owned in self.owned.values_mut() {
            owned.next = owned.base;
        }
        let starts: Vec<(i32, i64)> =
            self.owned.iter().map(|(&partition, owned)| (partition, owned.base)).collect();
        if starts.is_empty() || self.consumer.is_lost() {
            return Ok(());
        }
        match self.consumer.rewind(&starts) {
            Ok(()) => Ok(()),
            // The group is in motion: whoever owns the partition next starts at the committed offset.
            // Until then nothing may flow, or records would be passed over.
            Err(error) => {
                tracing::warn!(line = L::NAME, %error, "could not go back, taking the partitions up anew");
                self.retake()
            }
        }
    }

    /// Takes every owned partition up anew, as if just assigned.
    fn retake(&mut self) -> Result<(), Stopped> {
        let partitions: Vec<i32> = self.owned.keys().copied().collect();
        if let Err(error) = self.consumer.unassign(&partitions) {
            tracing::warn!(line = L::NAME, %error, "partitions were gone already");
        }
        for partition in &partitions {
            self.forget(*partition);
        }
        self.changes.push_front(Change::Assigned(partitions));
        Ok(())
    }

    /// Nobody knows whether the transaction was committed. The producer was made anew, so it is
    /// settled; the committed offsets say which way.
    fn resolve(&mut self, progress: &[Progress], reason: &str, started: Instant) -> Result<(), Stopped> {
        tracing::warn!(line = L::NAME, reason, "the outcome of a transaction is unknown, asking");
        let partitions: Vec<i32> = progress.iter().map(|progress| progress.partition).collect();
        let found = match self.starts.lookup.committed(&partitions) {
            Ok(found) => found,
            Err(error) => {
                tracing::warn!(line = L::NAME, %error, "no answer, taking the partitions up anew");
                self.line.discard();
                self.reset(self.clock.instant());
                return self.retake();
            }
        };
        let at = |partition: i32| {
            let entry = found.iter().find(|(found, _)| *found == partition);
            entry.and_then(|(_, committed)| committed.as_ref()).map(|committed| committed.offset)
        };
        if progress.iter().all(|progress| at(progress.partition) == Some(progress.next)) {
            self.committed(progress, started);
            // The producer's view of the input did not move: the batch goes on where it was.
            return Ok(());
        }
        let unmoved = progress.iter().all(|progress| {
            let base = self.owned.get(&progress.partition).map(|owned| owned.base);
            at(progress.partition).is_none() || at(progress.partition) == base
        });
        if unmoved {
            return self.aborted(reason, false);
        }
        tracing::warn!(line = L::NAME, "committed offsets are neither start nor end of the transaction");
        self.line.discard();
        self.reset(self.clock.instant());
        self.retake()
    }

    fn consumer_stopped(&self, error: &rdkafka::error::KafkaError) -> Stopped {
        use rdkafka::error::RDKafkaErrorCode as Code;
        let topic = &self.starts.topic;
        match error.rdkafka_error_code() {
            Some(Code::UnknownTopicOrPartition | Code::UnknownTopic | Code::UnknownPartition) => {
                Stopped::new(
                    exit::CONFIG,
                    format!("topic {topic} is gone: it was deleted, or this user may not see it"),
                )
            }
            Some(Code::TopicAuthorizationFailed | Code::GroupAuthorizationFailed) => Stopped::new(
                exit::CONFIG,
                format!("reading {topic} as group {} is not allowed: {error}", self.starts.group),
            ),
            _ => Stopped::new(exit::UNAVAILABLE, format!("reading {topic} failed: {error}")),
        }
    }
}

fn producer_stopped(outcome: Outcome) -> Stopped {
    match outcome {
        Outcome::Fenced(reason) => Stopped::new(
            exit::CONFIG,
            format!(
                "another process runs with the same instance id and took over ({reason}); \
                 give each process its own instance.id"
            ),
        ),
        Outcome::Failed(reason) | Outcome::Unknown(reason) | Outcome::Aborted { reason, .. } => {
            Stopped::new(exit::UNAVAILABLE, format!("the transactional producer cannot go on: {reason}"))
        }
        Outcome::Committed => Stopped::new(exit::INTERNAL, "a committed transaction was taken for a failure"),
    }
}

/// What an error in place of a record means; `None` where the client goes on by itself.
fn record_error(
    topic: &str,
    message: &Message<'_>,
    code: rdkafka::error::RDKafkaErrorCode,
) -> Option<Stopped> {
    use rdkafka::error::RDKafkaErrorCode as Code;
    let place = format!("{topic}/{} near offset {}", message.partition(), message.offset());
    match code {
        Code::PartitionEOF => None,
        Code::AutoOffsetReset | Code::OffsetOutOfRange => Some(Stopped::new(
            exit::DATA,
            format!(
                "{place}: records are gone before they were read (offset out of range); start again to learn the lost range"
            ),
        )),
        Code::UnknownTopicOrPartition | Code::UnknownTopic | Code::UnknownPartition => Some(Stopped::new(
            exit::CONFIG,
            format!("topic {topic} is gone: it was deleted, or this user may not see it"),
        )),
        Code::BadCompression | Code::BadMessage | Code::MessageSizeTooLarge => Some(Stopped::new(
            exit::DATA,
            format!("{place}: the client cannot read a batch ({code}); skip it or let it expire"),
        )),
        _ => {
            tracing::warn!(place, %code, "an error in place of a record");
            None
        }
    }
}
