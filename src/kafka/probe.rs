//! Questions to the cluster: what exists, how far it reaches, which offset belongs to a time.
//!
//! The probe reads *uncommitted* watermarks: a `read_committed` client is told the last stable offset
//! instead, behind which an open transaction may hide what a restore must wait for.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::metadata::Metadata;
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};

use super::client::{ASK_TIMEOUT, Cluster, Context};
use super::native;
use crate::clock::{Clock, SystemClock};
use crate::domain::time::Timestamp;

/// The offsets a partition holds: from `low` up to, not including, `high`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Watermarks {
    /// The first offset that is still there.
    pub low: i64,
    /// The offset that the next record will have.
    pub high: i64,
}

/// Where nobody has answered yet, after how long it is looked whether brokers let this process in at all.
const FIRST_WAITS: [Duration; 2] = [Duration::from_millis(500), Duration::from_secs(1)];
/// Events looked at between two waits: a client that is refused has a few in a second, and with the property `debug`
/// many lines for each.
const EVENTS_MAX: usize = 5_000;

/// A question failed.
#[derive(Debug, Clone, thiserror::Error)]
#[error("{}", self.words())]
pub struct AskError {
    /// Who was asked.
    pub servers: Arc<str>,
    /// What was asked.
    pub what: String,
    /// What the client said.
    pub cause: Box<KafkaError>,
    /// Why the brokers let nobody in, and what to do about it, where they do not.
    pub refusal: Option<String>,
}

impl AskError {
    fn words(&self) -> String {
        let AskError { servers, what, cause, refusal } = self;
        match refusal {
            Some(reason) => format!("{servers} refuse this process ({reason})"),
            None => format!("{servers} did not answer ({what}: {cause})"),
        }
    }
}

/// Asks the cluster; shared by all threads of the process.
#[derive(Clone)]
pub struct Probe {
    servers: Arc<str>,
    security: Arc<str>,
    uncommitted: Arc<BaseConsumer<Context>>,
    committed: Arc<BaseConsumer<Context>>,
    asks_ids: bool,
    /// Somebody has answered before.
    reached: Arc<AtomicBool>,
    metadata_within: Duration,
}

impl std::fmt::Debug for Probe {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Probe")
    }
}

impl Probe {
    /// Two clients: one that sees everything, one that sees what is stable.
    ///
    /// # Errors
    /// When the client refuses its configuration.
    pub fn new(cluster: &Cluster) -> Result<Probe, KafkaError> {
        let uncommitted = cluster.open(&cluster.uncommitted(), Context::default())?;
        let mut stable = cluster.uncommitted();
        stable.set("isolation.level", "read_committed");
        let committed = cluster.open(&stable, Context::default())?;
        Ok(Probe {
            servers: cluster.bootstrap_servers.as_str().into(),
            security: cluster.security().into(),
            uncommitted,
            committed,
            asks_ids: true,
            reached: Arc::default(),
            metadata_within: ASK_TIMEOUT,
        })
    }

    /// A probe that never asks for topic ids: for a cluster without a controller, where the question would
    /// wait until its time-out.
    #[must_use]
    pub fn without_ids(mut self) -> Probe {
        self.asks_ids = false;
        self
    }

    /// A probe that waits no longer than this to learn which topics there are.
    #[must_use]
    pub fn waiting(mut self, within: Duration) -> Probe {
        self.metadata_within = within;
        self
    }

    /// The number of partitions of `topic`; `None` when there is no such topic.
    ///
    /// # Errors
    /// When the cluster does not answer.
    pub fn partitions(&self, topic: &str) -> Result<Option<i32>, AskError> {
        let metadata = self.reach(topic)?;
        let found = metadata.topics().iter().find(|found| found.name() == topic);
        let error = found.and_then(|found| found.error()).map(RDKafkaErrorCode::from);
        if let Some(hidden @ RDKafkaErrorCode::TopicAuthorizationFailed) = error {
            // Told from a topic that does not exist: nobody needs to make it.
            let refusal =
                Some(format!("Describe on topic {topic} is missing; docs/kafka.md lists the rights"));
            let what = format!("metadata of topic {topic}");
            return Err(AskError { refusal, ..self.failed(what, KafkaError::MetadataFetch(hidden)) });
        }
        Ok(found
            .filter(|found| found.error().is_none() && !found.partitions().is_empty())
            .and_then(|found| i32::try_from(found.partitions().len()).ok()))
    }

    /// Metadata of one topic. Where brokers refuse this process that is told soon: nobody would answer later.
    pub(super) fn reach(&self, topic: &str) -> Result<Metadata, AskError> {
        let what = || format!("metadata of topic {topic}");
        let notes = &self.uncommitted.context().notes;
        let deadline = SystemClock.instant() + self.metadata_within;
        // Once somebody has answered, what was refused may be long ago, for events lie in the queue until they are asked
        // for: then silence is only silence, and all the time there is goes to one question.
        let mut looks = if self.reached.load(Ordering::Relaxed) { [].iter() } else { FIRST_WAITS.iter() };
        loop {
            let left = deadline.saturating_duration_since(SystemClock.instant());
            let look = looks.next().filter(|look| **look < left);
            let cause = match self.uncommitted.fetch_metadata(Some(topic), *look.unwrap_or(&left)) {
                Ok(metadata) => {
                    self.reached.store(true, Ordering::Relaxed);
                    return Ok(metadata);
                }
                Err(cause) => cause,
            };
            // Nothing but events comes here, for nothing is assigned. A line of the log ends a poll as if there were no
            // more, so it is not looked until it is empty but often enough.
            (0..EVENTS_MAX).for_each(|_| drop(self.uncommitted.poll(Duration::ZERO)));
            // The first look is no proof: a broker that starts may not know its users yet.
            let certain = look != Some(&FIRST_WAITS[0]) && !self.reached.load(Ordering::Relaxed);
            if let Some(reason) = notes.refusal().filter(|_| certain) {
                let refusal = Some(format!("{}: {reason}", self.security));
                return Err(AskError { refusal, ..self.failed(what(), cause) });
            }
            if look.is_none() && notes.closed_at_once() {
                let closed = "connections are accepted and closed at once, as by a listener with another security.protocol";
                return Err(self.failed(format!("{}; {closed}", what()), cause));
            }
            if look.is_none() {
                return Err(self.failed(what(), cause));
            }
        }
    }

    /// What the cluster says of topics or groups; empty where it does not answer.
    pub(super) fn describe(&self, kind: native::Kind, names: &[&str]) -> Vec<native::Described> {
        match names {
            [] => Vec::new(),
            _ => native::describe(self.uncommitted.client(), kind, names, ASK_TIMEOUT).unwrap_or_default(),
        }
    }

    /// The id of the cluster, as a check that it answers at all.
    pub fn cluster_id(&self) -> Option<String> {
        self.uncommitted.client().fetch_cluster_id(ASK_TIMEOUT)
    }

    /// What a partition holds, open transactions included.
    ///
    /// # Errors
    /// When the cluster does not answer.
    pub fn watermarks(&self, topic: &str, partition: i32) -> Result<Watermarks, AskError> {
        self.ask_watermarks(&self.uncommitted, topic, partition)
    }

    /// The same up to the last stable offset: behind it a transaction is open.
    ///
    /// # Errors
    /// When the cluster does not answer.
    pub fn stable_watermarks(&self, topic: &str, partition: i32) -> Result<Watermarks, AskError> {
        self.ask_watermarks(&self.committed, topic, partition)
    }

    fn failed(&self, what: String, cause: KafkaError) -> AskError {
        AskError { servers: Arc::clone(&self.servers), what, cause: Box::new(cause), refusal: None }
    }

    fn ask_watermarks(
        &self,
        client: &BaseConsumer<Context>,
        topic: &str,
        partition: i32,
    ) -> Result<Watermarks, AskError> {
        let (low, high) = client
            .fetch_watermarks(topic, partition, ASK_TIMEOUT)
            .map_err(|cause| self.failed(format!("watermarks of {topic}/{partition}"), cause))?;
        Ok(Watermarks { low, high })
    }

    /// The offset of the first record at or after `at`; the end where there is none.
    ///
    /// # Errors
    /// When the cluster does not answer.
    pub fn offset_at(&self, topic: &str, partition: i32, at: Timestamp) -> Result<i64, AskError> {
        let fail = |cause| self.failed(format!("offset of a time in {topic}/{partition}"), cause);
        let mut times = TopicPartitionList::new();
        times.add_partition_offset(topic, partition, Offset::Offset(at.millis())).map_err(fail)?;
        let found = self.uncommitted.offsets_for_times(times, ASK_TIMEOUT).map_err(fail)?;
        match found.find_partition(topic, partition).map(|found| found.offset()) {
            Some(Offset::Offset(offset)) => Ok(offset),
            _ => Ok(self.watermarks(topic, partition)?.high),
        }
    }

    /// The time of the record at `offset`, as far as record times do not fall: the cluster is asked which offset
    /// belongs to a time, and answers for any time.
    ///
    /// # Errors
    /// When the cluster does not answer.
    pub fn time_at(&self, topic: &str, partition: i32, offset: i64) -> Result<Timestamp, AskError> {
        // Up to the year 2109; some forty short questions.
        let (mut before, mut after) = (0, 1i64 << 42);
        while after - before > 1 {
            let middle = before + (after - before) / 2;
            if self.offset_at(topic, partition, Timestamp(middle))? <= offset {
                before = middle;
            } else {
                after = middle;
            }
        }
        Ok(Timestamp(before))
    }

    /// The id of `topic`, where the broker keeps one.
    pub fn topic_id(&self, topic: &str) -> Option<String> {
        if !self.asks_ids {
            return None;
        }
        self.describe(native::Kind::Topics, &[topic]).pop()?.id
    }
}
