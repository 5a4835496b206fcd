//! The topics that must exist: what they must be like, what they are like, and how to make them so.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use rdkafka::admin::{AdminClient, AdminOptions, NewTopic, ResourceSpecifier, TopicReplication};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};

use super::client::{ASK_TIMEOUT, Cluster, Context};
use super::probe::{AskError, Probe};
pub use super::stay::{self, Stay};

const HOUR_MS: i64 = 3600 * 1000;
const DAY_MS: i64 = 24 * HOUR_MS;
/// Alerts wait at least this long for their receivers, in milliseconds: 14 days.
pub const ALERTS_RETENTION_MS_MIN: i64 = 14 * DAY_MS;

/// PCI DSS 10.5.1 keeps an audit trail for twelve months at least.
pub const AUDIT_RETENTION_MS_MIN: i64 = 366 * DAY_MS;
/// How long audit records are kept: twelve months, and a month to notice that somebody needs the oldest.
const AUDIT_RETENTION_MS: i64 = 400 * DAY_MS;

/// What a topic is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// The user's own transactions: must exist, is never made here.
    Input,
    /// The exposed list: compacted, one partition.
    Exposures,
    /// Sightings: deleted by age, as many partitions as histories and alerts.
    Sightings,
    /// Histories: compacted.
    CardHistory,
    /// Alerts: kept at least 14 days.
    Alerts,
    /// Audit records: one partition, kept at least twelve months.
    Audit,
    /// What people decided: compacted, one partition.
    Outcomes,
    /// What is owed to endpoints: compacted, as many partitions as alerts.
    Deliveries,
    /// What the lines tell each other: compacted, one partition.
    Control,
    /// Records that could not be read.
    DeadLetters,
}

/// A topic as it must be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wanted {
    /// What it is for.
    pub role: Role,
    /// Its name.
    pub name: String,
    /// Its number of partitions; `None` leaves it to whoever made it.
    pub partitions: Option<i32>,
}

impl Wanted {
    /// The topic settings made by `topics --create`.
    pub fn settings(&self) -> BTreeMap<&'static str, String> {
        let mut settings = BTreeMap::new();
        match self.role {
            Role::Input => {}
            Role::Exposures | Role::CardHistory | Role::Outcomes | Role::Control => {
                settings.insert("cleanup.policy", "compact".to_owned());
                settings.insert("max.compaction.lag.ms", (DAY_MS).to_string());
                settings.insert("segment.ms", (DAY_MS).to_string());
                settings.insert("delete.retention.ms", (DAY_MS).to_string());
                settings.insert("min.cleanable.dirty.ratio", "0.1".to_owned());
            }
            Role::Deliveries => {
                settings.insert("cleanup.policy", "compact".to_owned());
                // Most of it is done with within seconds, and all that is there is read when a partition is taken up:
                // short segments are cleaned often.
                settings.insert("segment.ms", (HOUR_MS).to_string());
                settings.insert("segment.bytes", (64 * 1024 * 1024).to_string());
                settings.insert("max.compaction.lag.ms", (HOUR_MS).to_string());
                settings.insert("delete.retention.ms", (DAY_MS).to_string());
                settings.insert("min.cleanable.dirty.ratio", "0.1".to_owned());
            }
            Role::Sightings => {
                settings.insert("cleanup.policy", "delete".to_owned());
                settings.insert("retention.ms", (30 * DAY_MS).to_string());
            }
            Role::Alerts => {
                settings.insert("cleanup.policy", "delete".to_owned());
                settings.insert("retention.ms", (30 * DAY_MS).to_string());
            }
            Role::Audit => {
                settings.insert("cleanup.policy", "delete".to_owned());
                settings.insert("retention.ms", AUDIT_RETENTION_MS.to_string());
                // Age alone decides: the broker's default may bound the size.
                settings.insert("retention.bytes", "-1".to_owned());
            }
            Role::DeadLetters => {
                settings.insert("cleanup.policy", "delete".to_owned());
                settings.insert("retention.ms", (7 * DAY_MS).to_string());
            }
        }
        settings
    }

    /// What is wrong with `found`, in words; empty when nothing is.
    pub fn faults(&self, found: &Found) -> Vec<String> {
        let mut faults = Vec::new();
        if let Some(wanted) = self.partitions
            && wanted != found.partitions
        {
            faults.push(format!("has {} partitions, needs {wanted}", found.partitions));
        }
        let Some(settings) = &found.settings else { return faults };
        let policy = settings.get("cleanup.policy").map_or("", String::as_str);
        match self.role {
            Role::Exposures | Role::CardHistory | Role::Outcomes | Role::Control | Role::Deliveries
                if policy != "compact" =>
            {
                faults.push(format!("cleanup.policy is {policy}, needs compact: old records would be lost"));
            }
            Role::Sightings | Role::Alerts | Role::Audit | Role::DeadLetters
                if policy.contains("compact") =>
            {
                faults.push(format!("cleanup.policy is {policy}, needs delete: records share keys"));
            }
            _ => {}
        }
        let retention = settings.get("retention.ms").and_then(|text| text.parse::<i64>().ok());
        let least = match self.role {
            Role::Alerts => Some((ALERTS_RETENTION_MS_MIN, "14 days")),
            Role::Audit => Some((AUDIT_RETENTION_MS_MIN, "12 months, PCI DSS 10.5.1")),
            _ => None,
        };
        if let (Some((least, words)), Some(retention)) = (least, retention)
            && (0..least).contains(&retention)
        {
            faults.push(format!("retention.ms is {retention}, needs at least {least} ({words})"));
        }
        faults
    }

    /// What is allowed and keeps cards on disk without end, in words, with the command that ends it.
    pub fn remark(&self, found: &Found) -> Option<String> {
        if stay::of(self.role, found, Duration::ZERO)? != Stay::Endless {
            return None;
        }
        let settings = match self.role {
            Role::Exposures | Role::CardHistory | Role::Outcomes => {
                format!("max.compaction.lag.ms={DAY_MS},segment.ms={DAY_MS},delete.retention.ms={DAY_MS}")
            }
            _ => self.settings().get("retention.ms").map(|ms| format!("retention.ms={ms}"))?,
        };
        Some(format!(
            "topic {0} keeps what is deleted on disk without end; give it an end with `kafka-configs --alter \
             --entity-type topics --entity-name {0} --add-config {settings}`",
            self.name
        ))
    }
}

/// A topic as it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Found {
    /// Its number of partitions.
    pub partitions: i32,
    /// Its settings; `None` where the cluster does not tell.
    pub settings: Option<BTreeMap<String, String>>,
}

/// A wanted topic beside what was found of it.
#[derive(Debug, Clone)]
pub struct Checked {
    /// As it must be.
    pub wanted: Wanted,
    /// As it is; `None` when it does not exist.
    pub found: Option<Found>,
    /// What is wrong, in words; empty when nothing is.
    pub faults: Vec<String>,
}

/// Looks at the topics and makes those that are missing.
pub struct Topics {
    admin: Arc<AdminClient<Context>>,
    probe: Probe,
    runtime: tokio::runtime::Runtime,
}

impl std::fmt::Debug for Topics {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Topics")
    }
}

/// Looking at or making topics failed.
#[derive(Debug, thiserror::Error)]
pub enum TopicsError {
    /// The cluster was not reached or refused.
    #[error("{0}")]
    Kafka(#[from] KafkaError),
    /// A question was not answered.
    #[error("{0}")]
    Ask(#[from] AskError),
    /// The program itself could not start its helper.
    #[error("{0}")]
    Runtime(#[from] std::io::Error),
    /// A topic could not be made.
    #[error("topic {topic} could not be created: {code}")]
    Create {
        /// The topic.
        topic: String,
        /// What the broker said.
        code: RDKafkaErrorCode,
    },
}

impl Topics {
    /// Connects.
    ///
    /// # Errors
    /// When a client refuses its configuration.
    pub fn new(cluster: &Cluster, probe: Probe) -> Result<Topics, TopicsError> {
        let admin = cluster.open(&cluster.uncommitted(), Context::default())?;
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build()?;
        Ok(Topics { admin, probe, runtime })
    }

    /// Compares every wanted topic with what is there.
    ///
    /// # Errors
    /// When the cluster does not answer.
    pub fn check(&self, wanted: &[Wanted]) -> Result<Vec<Checked>, TopicsError> {
        let mut checked = Vec::with_capacity(wanted.len());
        for wanted in wanted {
            let found = self
                .probe
                .partitions(&wanted.name)?
                .map(|partitions| Found { partitions, settings: self.settings(&wanted.name) });
            let faults = match &found {
                Some(found) => wanted.faults(found),
                None => vec!["does not exist".to_owned()],
            };
            checked.push(Checked { wanted: wanted.clone(), found, faults });
        }
        Ok(checked)
    }

    fn settings(&self, topic: &str) -> Option<BTreeMap<String, String>> {
        let options = AdminOptions::new().request_timeout(Some(ASK_TIMEOUT));
        let described =
            self.runtime.block_on(self.admin.describe_configs([&ResourceSpecifier::Topic(topic)], &options));
        let resource = described.ok()?.into_iter().next()?.ok()?;
        let entries = resource.entries.into_iter();
        Some(entries.filter_map(|entry| Some((entry.name, entry.value?))).collect())
    }

    /// Makes a topic with its settings.
    ///
    /// # Errors
    /// When the broker refuses.
    pub fn create(&self, wanted: &Wanted, partitions: i32, replication: i32) -> Result<(), TopicsError> {
        let settings = wanted.settings();
        let mut topic = NewTopic::new(&wanted.name, partitions, TopicReplication::Fixed(replication));
        for (key, value) in &settings {
            topic = topic.set(key, value);
        }
        let options = AdminOptions::new()
            .request_timeout(Some(ASK_TIMEOUT))
            .operation_timeout(Some(Duration::from_secs(10)));
        let results = self.runtime.block_on(self.admin.create_topics([&topic], &options))?;
        match results.into_iter().next() {
            Some(Err((topic, code))) if code != RDKafkaErrorCode::TopicAlreadyExists => {
                Err(TopicsError::Create { topic, code })
            }
            _ => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(partitions: i32, settings: &[(&str, &str)]) -> Found {
        let settings = settings.iter().map(|&(key, value)| (key.to_owned(), value.to_owned())).collect();
        Found { partitions, settings: Some(settings) }
    }

    fn faults(role: Role, partitions: Option<i32>, found: &Found) -> String {
        Wanted { role, name: "t".to_owned(), partitions }.faults(found).join("; ")
    }

    #[test]
    fn a_topic_that_would_lose_something_is_refused() {
        let compact = [("cleanup.policy", "compact")];
        let delete = [("cleanup.policy", "delete"), ("retention.ms", "1209600000")];
        let short = [("cleanup.policy", "delete"), ("retention.ms", "1209599999")];
        let forever = [("cleanup.policy", "delete"), ("retention.ms", "-1")];
        for (role, partitions, topic, want) in [
            (Role::Exposures, Some(1), found(1, &compact), ""),
            (Role::Exposures, Some(1), found(2, &compact), "has 2 partitions, needs 1"),
            (
                Role::CardHistory,
                Some(8),
                found(8, &delete),
                "cleanup.policy is delete, needs compact: old records would be lost",
            ),
            (Role::Alerts, Some(8), found(8, &delete), ""),
            (Role::Outcomes, Some(1), found(2, &compact), "has 2 partitions, needs 1"),
            (
                Role::Control,
                Some(1),
                found(1, &delete),
                "cleanup.policy is delete, needs compact: old records would be lost",
            ),
            (Role::Alerts, Some(8), found(8, &forever), ""),
            (
                Role::Deliveries,
                Some(8),
                found(8, &delete),
                "cleanup.policy is delete, needs compact: old records would be lost",
            ),
            (
                Role::Alerts,
                Some(8),
                found(8, &short),
                "retention.ms is 1209599999, needs at least 1209600000 (14 days)",
            ),
            (
                Role::Sightings,
                None,
                found(3, &compact),
                "cleanup.policy is compact, needs delete: records share keys",
            ),
            (Role::Input, None, found(3, &compact), ""),
            (Role::Audit, Some(1), found(1, &forever), ""),
            (
                Role::Audit,
                Some(1),
                found(1, &delete),
                "retention.ms is 1209600000, needs at least 31622400000 (12 months, PCI DSS 10.5.1)",
            ),
        ] {
            assert_eq!(faults(role, partitions, &topic), want);
        }
    }
}
