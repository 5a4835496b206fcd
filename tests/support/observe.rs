//! A run as the checker wants it, read from the broker.

use super::check::{Input, Listing, Run};
use super::kafka::Kafka;
use super::records::Isolation;
use super::schema;

/// The names one deployment uses.
#[derive(Debug, Clone)]
pub struct Names {
    pub input: String,
    pub sightings: String,
    pub history: String,
    pub alerts: String,
    /// The consumer group of `sight`.
    pub sight: String,
    /// The consumer group of `score`.
    pub score: String,
}

/// Reads everything, once every process of the deployment has ended: topics read committed and to their
/// high watermarks, groups when no commit is pending.
#[track_caller]
pub fn observe(kafka: &Kafka, names: &Names, inputs: Vec<Input>, listing: Listing) -> Run {
    let run = Run {
        inputs,
        listing,
        sight: kafka.offsets(&names.sight, &names.input),
        sightings: kafka.read(&names.sightings, Isolation::Committed),
        score: kafka.offsets(&names.score, &names.sightings),
        history: kafka.read(&names.history, Isolation::Committed),
        alerts: kafka.read(&names.alerts, Isolation::Committed),
    };
    run.sightings.iter().for_each(|record| schema::check("sightings", record));
    run.alerts.iter().for_each(|record| schema::check("alerts", record));
    run
}
