//! A broker seen from outside: topics and their settings, offsets, groups, files on disk.
//!
//! Every method waits for its effect and panics with the broker's answer when it does not come: a test says
//! what it wants and reads on.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use rdkafka::admin::{
    AdminClient, AdminOptions, AlterConfig, ConfigSource, NewPartitions, NewTopic, ResourceSpecifier,
    TopicReplication,
};
use rdkafka::client::DefaultClientContext;
use rdkafka::config::ClientConfig;
use rdkafka::consumer::{BaseConsumer, CommitMode, Consumer};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::{Offset, TopicPartitionList};

use super::wait;

use super::check::Offsets;
use super::records::Isolation;

/// How long one request to the broker may take on a busy machine.
pub const ANSWER: Duration = Duration::from_secs(30);

/// A broker as one test sees it.
#[derive(Clone)]
pub struct Kafka {
    bootstrap: String,
    data: PathBuf,
    prefix: String,
    replicas: i32,
    admin: Arc<AdminClient<DefaultClientContext>>,
}

/// Three offsets of a partition.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Watermarks {
    /// The first offset that is still there.
    pub low: i64,
    /// The end for a `read_committed` reader: the first offset of the earliest open transaction.
    pub stable: i64,
    /// The end.
    pub high: i64,
}

/// What a group has committed for one partition.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Committed {
    /// The partition.
    pub partition: i32,
    /// The next offset to read; `None` where nothing is committed.
    pub offset: Option<i64>,
    /// The text committed with it.
    pub metadata: String,
}

/// The settings that every client of the harness starts from.
pub fn client(bootstrap: &str) -> ClientConfig {
    let mut config = ClientConfig::new();
    config.set("bootstrap.servers", bootstrap).set("reconnect.backoff.max.ms", "500");
    // Without it librdkafka writes every refused connection of a killed broker to stderr.
    config.set("log_level", "0").set("allow.auto.create.topics", "false");
    config
}

impl Kafka {
    pub(super) fn new(bootstrap: &str, data: &Path, area: &str, replicas: i32) -> Kafka {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        Kafka {
            bootstrap: bootstrap.to_owned(),
            data: data.to_owned(),
            prefix: format!("{area}-{number}."),
            replicas,
            admin: Arc::new(client(bootstrap).create().expect("an admin client")),
        }
    }

    /// `bootstrap.servers`.
    pub fn bootstrap(&self) -> &str {
        &self.bootstrap
    }

    /// What the names of this test's topics, groups and transactional ids start with.
    pub fn prefix(&self) -> &str {
        &self.prefix
    }

    /// A name of this test alone.
    pub fn name(&self, name: &str) -> String {
        format!("{}{name}", self.prefix)
    }

    /// Creates a topic and waits until its partitions have leaders.
    pub fn create(&self, topic: &str, partitions: i32, settings: &[(&str, &str)]) {
        let mut new = NewTopic::new(topic, partitions, TopicReplication::Fixed(self.replicas));
        for (name, value) in settings {
            new = new.set(name, value);
        }
        let results = block_on(self.admin.create_topics([&new], &options())).expect("an answer");
        results.into_iter().for_each(|result| {
            result.unwrap_or_else(|error| panic!("creating a topic: {error:?}"));
        });
        wait::until("the topic has leaders", ANSWER, || {
            (0..partitions).all(|partition| self.try_watermarks(topic, partition).is_ok()).then_some(())
        });
    }

    /// Deletes a topic and waits until it is gone from the metadata.
    pub fn delete(&self, topic: &str) {
        let results = block_on(self.admin.delete_topics(&[topic], &options())).expect("an answer");
        results.into_iter().for_each(|result| {
            result.unwrap_or_else(|error| panic!("deleting a topic: {error:?}"));
        });
        wait::until("the topic is gone", ANSWER, || (!self.topics().contains_key(topic)).then_some(()));
    }

    /// Raises a topic's partition count to `partitions`.
    pub fn grow(&self, topic: &str, partitions: i32) {
        let new = NewPartitions::new(topic, usize::try_from(partitions).expect("a count"));
        let results = block_on(self.admin.create_partitions([&new], &options())).expect("an answer");
        results.into_iter().for_each(|result| {
            result.unwrap_or_else(|error| panic!("adding partitions: {error:?}"));
        });
        wait::until("the partitions are there", ANSWER, || {
            (self.topics().get(topic) == Some(&partitions)).then_some(())
        });
    }

    /// Every topic that is not Kafka's own, with its partition count.
    pub fn topics(&self) -> BTreeMap<String, i32> {
        // A client of its own: one that already knows a topic answers from its memory.
        let consumer: BaseConsumer = client(&self.bootstrap).create().expect("a client");
        let metadata = consumer.fetch_metadata(None, ANSWER).expect("metadata");
        let counted = metadata.topics().iter().map(|topic| {
            (topic.name().to_owned(), i32::try_from(topic.partitions().len()).expect("a count"))
        });
        counted.filter(|(name, _)| !name.starts_with("__")).collect()
    }

    /// A topic's partition count; zero where there is no such topic.
    pub fn partitions(&self, topic: &str) -> i32 {
        self.topics().get(topic).copied().unwrap_or(0)
    }

    /// A topic's settings, the broker's defaults among them.
    pub fn settings(&self, topic: &str) -> BTreeMap<String, String> {
        self.entries(topic).into_iter().map(|(name, value, _)| (name, value)).collect()
    }

    /// Changes settings of a topic and leaves its others as they are.
    pub fn set(&self, topic: &str, changes: &[(&str, &str)]) {
        // librdkafka speaks the request that replaces all settings, so those made before go along.
        let entries = self.entries(topic);
        let mut all: BTreeMap<&str, &str> = entries
            .iter()
            .filter(|(_, _, own)| *own)
            .map(|(name, value, _)| (name.as_str(), value.as_str()))
            .collect();
        all.extend(changes.iter().copied());
        let mut alter = AlterConfig::new(ResourceSpecifier::Topic(topic));
        for (name, value) in all {
            alter = alter.set(name, value);
        }
        let results = block_on(self.admin.alter_configs([&alter], &options())).expect("an answer");
        results.into_iter().for_each(|result| {
            result.unwrap_or_else(|error| panic!("changing settings: {error:?}"));
        });
        wait::until("the settings are changed", ANSWER, || {
            let now = self.settings(topic);
            changes.iter().all(|(name, value)| now.get(*name).is_some_and(|is| is == value)).then_some(())
        });
    }

    /// Deletes the records of a partition below `before`, as retention would.
    pub fn expire(&self, topic: &str, partition: i32, before: i64) {
        let mut offsets = TopicPartitionList::new();
        offsets.add_partition_offset(topic, partition, Offset::Offset(before)).expect("an offset");
        let answer = block_on(self.admin.delete_records(&offsets, &options())).expect("an answer");
        for element in answer.elements() {
            element.error().expect("records deleted");
        }
        wait::until("the records are gone", ANSWER, || {
            (self.watermarks(topic, partition).low == before).then_some(())
        });
    }

    /// A partition's offsets as they are now.
    #[track_caller]
    pub fn watermarks(&self, topic: &str, partition: i32) -> Watermarks {
        wait::until("watermarks", ANSWER, || self.try_watermarks(topic, partition).ok())
    }

    fn try_watermarks(&self, topic: &str, partition: i32) -> Result<Watermarks, KafkaError> {
        let ask = |isolation: Isolation| {
            let mut config = client(&self.bootstrap);
            let consumer: BaseConsumer = config.set("isolation.level", isolation.name()).create()?;
            consumer.fetch_watermarks(topic, partition, Duration::from_secs(5))
        };
        // A read_committed client is told the last stable offset where others are told the end. Asked
        // first, so that `stable <= high` whatever is being written meanwhile.
        let (_, stable) = ask(Isolation::Committed)?;
        let (low, high) = ask(Isolation::Uncommitted)?;
        Ok(Watermarks { low, stable, high })
    }

    /// What `group` has committed for each partition of `topic`, read when no commit is pending.
    pub fn committed(&self, group: &str, topic: &str) -> Vec<Committed> {
        let mut asked = TopicPartitionList::new();
        asked.add_partition_range(topic, 0, self.partitions(topic) - 1);
        let consumer = self.member(group);
        // Held back while a transaction that commits offsets is open.
        let answer = wait::until("committed offsets", ANSWER * 5, || {
            consumer.committed_offsets(asked.clone(), Duration::from_secs(5)).ok()
        });
        let committed = answer.elements().into_iter().map(|element| Committed {
            partition: element.partition(),
            offset: match element.offset() {
                Offset::Offset(offset) => Some(offset),
                _ => None,
            },
            metadata: element.metadata().to_owned(),
        });
        committed.collect()
    }

    /// As [`Kafka::committed`], as the checker wants it: 0 where nothing is committed.
    pub fn offsets(&self, group: &str, topic: &str) -> Offsets {
        let committed = self.committed(group, topic).into_iter();
        committed.map(|one| ((topic.to_owned(), one.partition), one.offset.unwrap_or(0))).collect()
    }

    /// Commits an offset for a group without members, to plant a starting point.
    pub fn commit(&self, group: &str, topic: &str, partition: i32, offset: i64, metadata: &str) {
        let mut offsets = TopicPartitionList::new();
        let mut element = offsets.add_partition(topic, partition);
        element.set_offset(Offset::Offset(offset)).expect("an offset");
        element.set_metadata(metadata);
        self.member(group).commit(&offsets, CommitMode::Sync).expect("committed");
    }

    /// Forgets a group without members.
    pub fn forget_group(&self, group: &str) {
        wait::until("the group is deleted", ANSWER, || {
            let mut results = block_on(self.admin.delete_groups(&[group], &options())).ok()?;
            match results.pop()? {
                Ok(_) | Err((_, RDKafkaErrorCode::GroupIdNotFound)) => Some(()),
                Err(_) => None,
            }
        });
    }

    /// A consumer with the group's name that never joins it.
    fn member(&self, group: &str) -> BaseConsumer {
        let mut config = client(&self.bootstrap);
        config.set("group.id", group).set("enable.auto.commit", "false").create().expect("a consumer")
    }

    /// The segment files of a partition, oldest first: what stands on the broker's disk.
    pub fn segments(&self, topic: &str, partition: i32) -> Vec<PathBuf> {
        let directory = self.data.join(format!("{topic}-{partition}"));
        let entries = std::fs::read_dir(directory).into_iter().flatten().flatten();
        let logs = entries.map(|entry| entry.path()).filter(|path| path.extension() == Some("log".as_ref()));
        let mut logs: Vec<PathBuf> = logs.collect();
        logs.sort();
        logs
    }

    fn entries(&self, topic: &str) -> Vec<(String, String, bool)> {
        let specifier = ResourceSpecifier::Topic(topic);
        let mut answer = block_on(self.admin.describe_configs([&specifier], &options())).expect("an answer");
        let resource = answer.pop().expect("one resource").expect("settings of the topic");
        let known = resource.entries.into_iter().filter_map(|entry| {
            let own = matches!(entry.source, ConfigSource::DynamicTopic);
            entry.value.map(|value| (entry.name, value, own))
        });
        known.collect()
    }
}

impl std::fmt::Debug for Kafka {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Kafka({}, {})", self.bootstrap, self.prefix)
    }
}

fn options() -> AdminOptions {
    AdminOptions::new().request_timeout(Some(ANSWER)).operation_timeout(Some(ANSWER))
}

fn block_on<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().build().expect("a runtime").block_on(future)
}
