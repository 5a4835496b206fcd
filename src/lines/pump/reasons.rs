//! Why a line stops: what the client's errors mean to a person.

use rdkafka::error::{KafkaError, RDKafkaErrorCode as Code};

use crate::kafka::native::Message;
use crate::kafka::producer::Outcome;
use crate::lines::start::{Starts, Stopped};
use crate::stop::exit;

/// Why a line stops that cannot read any more.
pub(super) fn consumer_stopped(topic: &str, group: &str, error: &KafkaError) -> Stopped {
    match error.rdkafka_error_code() {
        Some(Code::UnknownTopicOrPartition | Code::UnknownTopic | Code::UnknownPartition) => Stopped::new(
            exit::CONFIG,
            format!("topic {topic} is gone: it was deleted, or this user may not see it"),
        ),
        Some(Code::TopicAuthorizationFailed | Code::GroupAuthorizationFailed) => {
            Stopped::new(exit::CONFIG, format!("reading {topic} as group {} is not allowed: {error}", group))
        }
        _ => Stopped::new(exit::UNAVAILABLE, format!("reading {topic} failed: {error}")),
    }
}

/// Why a line stops that cannot write any more.
pub(super) fn producer_stopped(outcome: Outcome) -> Stopped {
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
pub(super) fn record_error(
    starts: &Starts,
    next: i64,
    message: &Message<'_>,
    code: rdkafka::error::RDKafkaErrorCode,
) -> Option<Stopped> {
    let topic = &starts.topic;
    let place = format!("{topic}/{} near offset {}", message.partition(), message.offset());
    match code {
        Code::PartitionEOF => None,
        Code::AutoOffsetReset | Code::OffsetOutOfRange => Some(starts.lost(message.partition(), next)),
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
