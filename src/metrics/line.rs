//! What every line measures: its transactions, and where it is in each partition.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use prometheus::{Gauge, GaugeVec, Histogram, IntCounter, IntGauge, IntGaugeVec};

use super::{Area, SHORT_SECONDS};

/// What every line measures. Cheap to clone: all clones are one.
#[derive(Debug, Clone)]
pub struct LineMetrics {
    /// How long commits take; their count is the number of commits.
    pub commit_seconds: Histogram,
    /// Transactions given up and begun again.
    pub aborts_total: IntCounter,
    partitions: Arc<Partitions>,
}

#[derive(Debug)]
struct Partitions {
    lag_records: IntGaugeVec,
    lag_seconds: GaugeVec,
    stable_distance_records: IntGaugeVec,
    last_event_timestamp_seconds: GaugeVec,
    /// Which handle speaks for a partition: the one handed out last.
    owners: Mutex<HashMap<(String, i32), u64>>,
}

/// Where a line is in one partition. The series last as long as this does: drop it when the partition is
/// revoked, or dashboards go on showing a lag that is no longer ours.
#[derive(Debug)]
pub struct PartitionMetrics {
    /// Records between our position and the high watermark.
    pub lag_records: IntGauge,
    /// How old the last record was when it was judged; 0 once everything there is has been judged.
    pub lag_seconds: Gauge,
    /// Records between the last stable offset and the high watermark: held back by open transactions.
    pub stable_distance_records: IntGauge,
    /// The timestamp of the last record judged, in seconds since 1970.
    pub last_event_timestamp_seconds: Gauge,
    partitions: Arc<Partitions>,
    topic: String,
    partition: i32,
    owner: u64,
}

const LABELS: [&str; 2] = ["topic", "partition"];

impl LineMetrics {
    /// Registers the families in the line's area.
    ///
    /// # Errors
    /// When the area has them already.
    pub fn new(area: &Area) -> Result<LineMetrics, prometheus::Error> {
        let lag_records = area.opts("lag_records", "Records between our position and the high watermark.");
        let lag_seconds = area.opts(
            "lag_seconds",
            "Age of the last record when it was judged; 0 once everything there is has been judged.",
        );
        let stable_distance = area.opts(
            "stable_offset_distance_records",
            "Records between the last stable offset and the high watermark, held back by open transactions.",
        );
        let last_event =
            area.opts("last_event_timestamp_seconds", "Timestamp of the last record judged, since 1970.");
        Ok(LineMetrics {
            commit_seconds: area.histogram(
                "commit_duration_seconds",
                "Time from the decision to commit to the broker's answer.",
                &SHORT_SECONDS,
            )?,
            aborts_total: area.counter("aborts_total", "Transactions given up and begun again.")?,
            partitions: Arc::new(Partitions {
                lag_records: area.register(IntGaugeVec::new(lag_records, &LABELS)?)?,
                lag_seconds: area.register(GaugeVec::new(lag_seconds, &LABELS)?)?,
                stable_distance_records: area.register(IntGaugeVec::new(stable_distance, &LABELS)?)?,
                last_event_timestamp_seconds: area.register(GaugeVec::new(last_event, &LABELS)?)?,
                owners: Mutex::default(),
            }),
        })
    }

    /// The series of one partition, starting at 0. `topic` is a topic of the configuration.
    pub fn partition(&self, topic: &str, partition: i32) -> PartitionMetrics {
        let owner = {
            let mut owners = self.partitions.owners();
            let owner = owners.entry((topic.to_owned(), partition)).or_default();
            *owner += 1;
            *owner
        };
        let number = partition.to_string();
        let labels = [topic, number.as_str()];
        PartitionMetrics {
            lag_records: self.partitions.lag_records.with_label_values(&labels),
            lag_seconds: self.partitions.lag_seconds.with_label_values(&labels),
            stable_distance_records: self.partitions.stable_distance_records.with_label_values(&labels),
            last_event_timestamp_seconds: self
                .partitions
                .last_event_timestamp_seconds
                .with_label_values(&labels),
            partitions: Arc::clone(&self.partitions),
            topic: topic.to_owned(),
            partition,
            owner,
        }
    }
}

impl Partitions {
    fn owners(&self) -> MutexGuard<'_, HashMap<(String, i32), u64>> {
        self.owners.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for PartitionMetrics {
    /// Takes the series away, unless another worker of this process has the partition by now.
    fn drop(&mut self) {
        let owners = self.partitions.owners();
        if owners.get(&(self.topic.clone(), self.partition)) != Some(&self.owner) {
            return;
        }
        let number = self.partition.to_string();
        let labels = [self.topic.as_str(), number.as_str()];
        // A series that is not there is no failure: nothing would be left to take away.
        let _ = self.partitions.lag_records.remove_label_values(&labels);
        let _ = self.partitions.lag_seconds.remove_label_values(&labels);
        let _ = self.partitions.stable_distance_records.remove_label_values(&labels);
        let _ = self.partitions.last_event_timestamp_seconds.remove_label_values(&labels);
    }
}
