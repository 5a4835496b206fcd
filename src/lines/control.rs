//! The control topic: what the lines tell each other and whoever starts next. Compacted, one partition, no card on it.
//!
//! What a key begins with says what its record is; readers pass over those that they do not know.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use rdkafka::error::{KafkaError, RDKafkaErrorCode};

use super::read::Source;
use super::start::{CLUSTER, Stopped};
use crate::clock::Clock;
use crate::kafka::client::Cluster;
use crate::kafka::feed::Feed;
use crate::kafka::probe::Probe;
use crate::kafka::producer::{Outgoing, SendError};
use crate::stop::exit;

/// The control topic.
#[derive(Clone)]
pub struct Control {
    /// The cluster.
    pub cluster: Cluster,
    /// Asks for watermarks.
    pub probe: Probe,
    /// The topic.
    pub topic: String,
    /// A name for the reading client; the group is never joined.
    pub group: String,
    /// Tells whether anything moves.
    pub clock: Arc<dyn Clock>,
    writer: Arc<Mutex<Option<Feed>>>,
}

impl std::fmt::Debug for Control {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Control({})", self.topic)
    }
}

impl Control {
    /// The topic `topic`; nothing happens before it is read or written.
    pub fn new(
        cluster: Cluster,
        probe: Probe,
        topic: String,
        group: String,
        clock: Arc<dyn Clock>,
    ) -> Control {
        Control { cluster, probe, topic, group, clock, writer: Arc::default() }
    }

    /// Hands key and value of every record to `visit`, in order, up to the end of this moment.
    ///
    /// # Errors
    /// When the topic does not exist or cannot be read, or `visit` refuses a record.
    pub fn read(
        &self,
        mut visit: impl FnMut(&str, Option<&[u8]>) -> Result<(), Stopped>,
    ) -> Result<(), Stopped> {
        self.check_there()?;
        let marks = self.probe.watermarks(&self.topic, 0)?;
        let (cluster, group, topic) = (&self.cluster, self.group.as_str(), self.topic.as_str());
        let source =
            Source { cluster, group, topic, partition: 0, what: "the control topic", clock: &*self.clock };
        source.read(marks.low, marks.high, |message| {
            // What has no key in words is nobody's that is known here.
            match message.key().and_then(|key| std::str::from_utf8(key).ok()) {
                Some(key) => visit(key, message.value()),
                None => Ok(()),
            }
        })
    }

    /// Writes records and waits until they are there.
    ///
    /// # Errors
    /// When that takes longer than `within`, the topic does not exist, or this user may not write to it.
    pub fn put(&self, records: &[(String, Vec<u8>)], within: Duration) -> Result<(), Stopped> {
        self.write(records.iter().map(|(key, value)| (key.as_str(), Some(value.as_slice()))), within)
    }

    /// Takes records away, and waits until that is written.
    ///
    /// # Errors
    /// As [`Control::put`].
    pub fn remove(&self, keys: &[String], within: Duration) -> Result<(), Stopped> {
        self.write(keys.iter().map(|key| (key.as_str(), None)), within)
    }

    fn write<'a>(
        &self,
        records: impl Iterator<Item = (&'a str, Option<&'a [u8]>)>,
        within: Duration,
    ) -> Result<(), Stopped> {
        // A client that knows no such topic would wait for it.
        self.check_there()?;
        let mut writer = self.writer.lock().unwrap_or_else(PoisonError::into_inner);
        let mut feed = match writer.take() {
            Some(feed) => feed,
            None => {
                Feed::new(&self.cluster, Arc::clone(&self.clock)).map_err(|error| self.refused(&error))?
            }
        };
        for (key, value) in records {
            let key = Some(key.as_bytes());
            let record = Outgoing { topic: &self.topic, partition: Some(0), key, value, headers: &[] };
            feed.send(record).map_err(|error| match error {
                SendError::Refused { cause, .. } => self.refused(&cause),
                error @ SendError::TooLarge { .. } => Stopped::new(exit::INTERNAL, error.to_string()),
            })?;
        }
        // A client that failed is not kept: what waits in it must not arrive behind the refusal.
        feed.finish(within).map_err(|error| self.refused(&error))?;
        *writer = Some(feed);
        Ok(())
    }

    fn check_there(&self) -> Result<(), Stopped> {
        match self.probe.partitions(&self.topic)? {
            Some(_) => Ok(()),
            None => Err(Stopped::new(
                exit::CONFIG,
                format!(
                    "topic {0} does not exist, or this user may not see it: what the lines must remember is written \
                     there. Make it with `cardwatch topics --create`, or allow Describe, Read and Write on {0}",
                    self.topic
                ),
            )),
        }
    }

    fn refused(&self, error: &KafkaError) -> Stopped {
        let topic = &self.topic;
        match error.rdkafka_error_code() {
            Some(
                RDKafkaErrorCode::TopicAuthorizationFailed | RDKafkaErrorCode::ClusterAuthorizationFailed,
            ) => Stopped::new(
                exit::CONFIG,
                format!(
                    "this user may not write to {topic}, where the lines keep what they must remember ({error}); \
                         allow Describe, Read and Write on topic {topic}"
                ),
            ),
            _ => Stopped::new(exit::UNAVAILABLE, format!("{topic} cannot be written: {error}; {CLUSTER}")),
        }
    }
}
