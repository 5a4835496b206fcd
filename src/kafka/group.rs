//! A consumer group seen from outside: what it has committed, who is in it, and setting its offsets while
//! nobody is.

use std::sync::Arc;

use rdkafka::consumer::{BaseConsumer, CommitMode, Consumer};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};

use super::client::{ASK_TIMEOUT, Cluster, Context};
use super::consumer::Committed;
use super::producer::{Progress, to_list};

/// A consumer group.
pub struct Group {
    consumer: Arc<BaseConsumer<Context>>,
    name: String,
}

impl std::fmt::Debug for Group {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Group({})", self.name)
    }
}

/// Offsets were not set.
#[derive(Debug, thiserror::Error)]
pub enum GroupError {
    /// The group has members, and only they may commit.
    #[error("group {0} is active: its members are reading")]
    Active(String),
    /// The cluster refused or did not answer.
    #[error("{0}")]
    Kafka(#[from] KafkaError),
}

impl Group {
    /// The group `name`; it is not joined.
    ///
    /// # Errors
    /// When the client refuses its configuration.
    pub fn new(cluster: &Cluster, name: &str) -> Result<Group, KafkaError> {
        let consumer = cluster.open(&cluster.group_consumer(name), Context::default())?;
        Ok(Group { consumer, name: name.to_owned() })
    }

    /// Its name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// What it has committed of a topic's first `partitions` partitions.
    ///
    /// # Errors
    /// When the cluster does not answer, or an open transaction holds an answer back.
    pub fn committed(
        &self,
        topic: &str,
        partitions: i32,
    ) -> Result<Vec<(i32, Option<Committed>)>, KafkaError> {
        let partitions: Vec<i32> = (0..partitions).collect();
        committed(&self.consumer, topic, &partitions)
    }

    /// Who is in it: client ids with their hosts.
    ///
    /// # Errors
    /// When the cluster does not answer.
    pub fn members(&self) -> Result<Vec<String>, KafkaError> {
        let list = self.consumer.fetch_group_list(Some(&self.name), ASK_TIMEOUT)?;
        let groups = list.groups().iter().filter(|group| group.name() == self.name);
        let members = groups.flat_map(|group| group.members());
        Ok(members.map(|member| format!("{}{}", member.client_id(), member.client_host())).collect())
    }

    /// Sets its offsets, all or none. The broker itself refuses where anybody is in the group, so nobody can
    /// join between a look and this.
    ///
    /// # Errors
    /// [`GroupError::Active`] where the group has members.
    pub fn set(&self, topic: &str, progress: &[Progress]) -> Result<(), GroupError> {
        match self.consumer.commit(&to_list(topic, progress)?, CommitMode::Sync) {
            Ok(()) => Ok(()),
            Err(error) => match error.rdkafka_error_code() {
                Some(
                    RDKafkaErrorCode::UnknownMemberId
                    | RDKafkaErrorCode::IllegalGeneration
                    | RDKafkaErrorCode::RebalanceInProgress,
                ) => Err(GroupError::Active(self.name.clone())),
                _ => Err(error.into()),
            },
        }
    }
}

/// The committed offset of each partition, with its metadata; `None` where nothing was ever committed.
///
/// # Errors
/// When an open transaction holds the answer back, or the coordinator does not give one.
pub(super) fn committed<C: rdkafka::consumer::ConsumerContext>(
    consumer: &BaseConsumer<C>,
    topic: &str,
    partitions: &[i32],
) -> Result<Vec<(i32, Option<Committed>)>, KafkaError> {
    let mut list = TopicPartitionList::new();
    for &partition in partitions {
        list.add_partition(topic, partition);
    }
    let found = consumer.committed_offsets(list, ASK_TIMEOUT)?;
    let mut committed = Vec::with_capacity(partitions.len());
    for element in found.elements() {
        element.error()?;
        let offset = match element.offset() {
            Offset::Offset(offset) => Some(Committed { offset, metadata: element.metadata().to_owned() }),
            _ => None,
        };
        committed.push((element.partition(), offset));
    }
    Ok(committed)
}
