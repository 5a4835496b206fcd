//! What brokers let this user do (access control lists), asked for at the start.
//!
//! A broker tells with a topic or a group which operations are allowed on it (KIP-430). So everything that is missing
//! is told at once and before anything is read; the operations themselves would fail one after the other, and some of
//! them only when the first alert is written.

use std::fmt;

use rdkafka::error::RDKafkaErrorCode;

use super::native::{Described, Kind};
use super::probe::{AskError, Probe};

/// What is done.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Operation {
    /// Reading records, or reading as a member of a group.
    Read,
    /// Writing records.
    Write,
    /// Seeing a topic's settings.
    DescribeConfigs,
}

impl Operation {
    /// Its word in Kafka's commands.
    pub fn as_str(self) -> &'static str {
        match self {
            Operation::Read => "Read",
            Operation::Write => "Write",
            Operation::DescribeConfigs => "DescribeConfigs",
        }
    }

    /// Its number in the protocol.
    fn number(self) -> i32 {
        match self {
            Operation::Read => 3,
            Operation::Write => 4,
            Operation::DescribeConfigs => 10,
        }
    }
}

/// What it is done to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Resource {
    /// A topic.
    Topic,
    /// A consumer group.
    Group,
}

/// One right: an operation on a topic or a group.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Right {
    /// What it is about.
    pub resource: Resource,
    /// The name of it.
    pub name: String,
    /// What is to be done.
    pub operation: Operation,
}

impl fmt::Display for Right {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let resource = match self.resource {
            Resource::Topic => "topic",
            Resource::Group => "group",
        };
        write!(f, "{} on {resource} {}", self.operation.as_str(), self.name)
    }
}

impl Probe {
    /// Those of `rights` that this user has not. Where a broker does not tell, or there is no such topic, none is
    /// missing as far as is known.
    ///
    /// # Errors
    /// When the cluster is not reached.
    pub fn missing(&self, rights: &[Right]) -> Result<Vec<Right>, AskError> {
        let names = |resource| {
            let of = rights.iter().filter(|right| right.resource == resource);
            let mut names: Vec<&str> = of.map(|right| right.name.as_str()).collect();
            names.dedup();
            names
        };
        let topics = names(Resource::Topic);
        // Brokers that let nobody in are told apart from those that do not answer.
        if let Some(topic) = topics.first() {
            self.reach(topic)?;
        }
        let topics = self.describe(Kind::Topics, &topics);
        let groups = self.describe(Kind::Groups, &names(Resource::Group));
        let is_missing = |right: &&Right| {
            let described = match right.resource {
                Resource::Topic => &topics,
                Resource::Group => &groups,
            };
            described.iter().any(|one| one.name == right.name && denies(one, right.operation))
        };
        Ok(rights.iter().filter(is_missing).cloned().collect())
    }
}

/// Whether an operation is not allowed, as far as the broker tells. It keeps a topic or group secret from who has no
/// right on it at all.
fn denies(described: &Described, operation: Operation) -> bool {
    match (&described.error, &described.allowed) {
        // Whoever may read or write may see; of the settings nothing is known then.
        (
            Some(RDKafkaErrorCode::TopicAuthorizationFailed | RDKafkaErrorCode::GroupAuthorizationFailed),
            _,
        ) => operation != Operation::DescribeConfigs,
        (None, Some(allowed)) => !allowed.contains(&operation.number()),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_told_is_not_missing() {
        let described = |error, allowed: Option<&[i32]>| Described {
            name: "t".to_owned(),
            id: None,
            error,
            allowed: allowed.map(<[i32]>::to_vec),
        };
        for (error, allowed, missing) in [
            (None, Some(&[3, 8, 10][..]), false),
            (None, Some(&[4, 8]), true),
            (None, Some(&[]), true),
            (None, None, false),
            (Some(RDKafkaErrorCode::TopicAuthorizationFailed), None, true),
            (Some(RDKafkaErrorCode::GroupAuthorizationFailed), None, true),
            (Some(RDKafkaErrorCode::UnknownTopicOrPartition), None, false),
        ] {
            assert_eq!(denies(&described(error, allowed), Operation::Read), missing, "{error:?} {allowed:?}");
        }
    }
}
