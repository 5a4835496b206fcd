//! librdkafka's mock cluster, in this process and without a disk.
//!
//! It speaks enough of the protocol for the lines to run, and less than would be needed to show what they
//! promise (librdkafka 2.12, rdkafka_mock.c): a partition keeps its newest 5 MiB, nothing is compacted, offsets
//! sent to a transaction are dropped, records of an open transaction can be read at once, topics have no
//! settings.

use rdkafka::error::KafkaError;
use rdkafka::mocking::MockCluster;
use rdkafka::producer::DefaultProducerContext;

/// A mock cluster of one broker. It lives as long as this value.
pub struct Mock {
    cluster: MockCluster<'static, DefaultProducerContext>,
}

impl std::fmt::Debug for Mock {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Mock({})", self.cluster.bootstrap_servers())
    }
}

impl Mock {
    /// Starts the cluster on a free port of the loopback interface.
    ///
    /// # Errors
    /// When it cannot be started.
    pub fn start() -> Result<Mock, KafkaError> {
        MockCluster::new(1).map(|cluster| Mock { cluster })
    }

    /// Where it listens.
    pub fn bootstrap_servers(&self) -> String {
        self.cluster.bootstrap_servers()
    }

    /// Makes a topic.
    ///
    /// # Errors
    /// When there is one of the name.
    pub fn create(&self, topic: &str, partitions: i32) -> Result<(), KafkaError> {
        self.cluster.create_topic(topic, partitions, 1)
    }
}
