//! What goes into a transaction, and how it ends.

use rdkafka::error::KafkaError;

/// A record to be written.
#[derive(Debug, Clone, Copy)]
pub struct Outgoing<'a> {
    /// The topic.
    pub topic: &'a str,
    /// The partition; `None` places by key.
    pub partition: Option<i32>,
    /// The key.
    pub key: Option<&'a [u8]>,
    /// The value; `None` is a tombstone.
    pub value: Option<&'a [u8]>,
    /// The headers.
    pub headers: &'a [(String, Option<Vec<u8>>)],
}

/// How far a partition of the input was worked off.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Progress {
    /// The partition.
    pub partition: i32,
    /// The next offset to read.
    pub next: i64,
    /// What is written beside the offset.
    pub metadata: String,
}

/// How a transaction ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// Everything in it is visible, offsets included.
    Committed,
    /// Nothing of it ever will be: rewind and go on.
    Aborted {
        /// Why, in words.
        reason: String,
        /// A record of it was refused; otherwise the group or the cluster was in motion.
        by_record: bool,
    },
    /// It may or may not be visible. The producer was made anew, which settled it: ask
    /// for the committed offsets to learn which way.
    Unknown(String),
    /// Another process with the same instance id took over: stop.
    Fenced(String),
    /// The producer cannot go on.
    Failed(String),
}

/// A record was not taken.
#[derive(Debug, Clone, thiserror::Error)]
pub enum SendError {
    /// Larger than the client or the topic allows.
    #[error("a record for topic {topic} is larger than allowed")]
    TooLarge {
        /// The topic.
        topic: String,
    },
    /// Anything else: the transaction must be aborted.
    #[error("a record for topic {topic} was refused: {cause}")]
    Refused {
        /// The topic.
        topic: String,
        /// What the client said.
        cause: KafkaError,
    },
}
