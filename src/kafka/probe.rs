//! Questions to the cluster: what exists, how far it reaches, which offset belongs to a time.
//!
//! The probe reads *uncommitted* watermarks: a `read_committed` client is told the last stable offset
//! instead, behind which an open transaction may hide what a restore must wait for.

use std::sync::Arc;
use std::time::Duration;

use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::KafkaError;
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};

use super::client::{ASK_TIMEOUT, Cluster, Context};
use super::native;
use crate::domain::time::Timestamp;

/// The offsets a partition holds: from `low` up to, not including, `high`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Watermarks {
    /// The first offset that is still there.
    pub low: i64,
    /// The offset that the next record will have.
    pub high: i64,
}

/// A question failed.
#[derive(Debug, Clone, thiserror::Error)]
#[error("{servers} did not answer ({what}: {cause})")]
pub struct AskError {
    /// Who was asked.
    pub servers: Arc<str>,
    /// What was asked.
    pub what: String,
    /// What the client said.
    pub cause: KafkaError,
}

/// Asks the cluster; shared by all threads of the process.
#[derive(Clone)]
pub struct Probe {
    servers: Arc<str>,
    uncommitted: Arc<BaseConsumer<Context>>,
    committed: Arc<BaseConsumer<Context>>,
    asks_ids: bool,
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
        let uncommitted = cluster.uncommitted().create_with_context(Context::default())?;
        let mut stable = cluster.uncommitted();
        stable.set("isolation.level", "read_committed");
        let committed = stable.create_with_context(Context::default())?;
        Ok(Probe {
            servers: cluster.bootstrap_servers.as_str().into(),
            uncommitted: Arc::new(uncommitted),
            committed: Arc::new(committed),
            asks_ids: true,
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
        let metadata = self
            .uncommitted
            .fetch_metadata(Some(topic), self.metadata_within)
            .map_err(|cause| self.failed(format!("metadata of topic {topic}"), cause))?;
        let found = metadata.topics().iter().find(|found| found.name() == topic);
        Ok(found
            .filter(|found| found.error().is_none() && !found.partitions().is_empty())
            .and_then(|found| i32::try_from(found.partitions().len()).ok()))
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
        AskError { servers: Arc::clone(&self.servers), what, cause }
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
        native::topic_id(self.uncommitted.client(), topic, ASK_TIMEOUT)
    }
}
