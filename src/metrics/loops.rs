//! What the loop of every line measures.

use std::time::Duration;

use prometheus::{
    Gauge, GaugeVec, Histogram, HistogramOpts, HistogramVec, IntCounter, IntCounterVec, IntGauge,
    IntGaugeVec, Registry,
};

use super::{MetricsError, counters, epoch_seconds, gauges, seconds};
use crate::domain::time::Timestamp;

/// Upper bounds of commit times, in seconds: a commit on one machine takes 3 ms, one that takes longer than
/// the request time-out of 9 s makes its producer suspect.
const COMMIT_SECONDS: [f64; 12] = [0.002, 0.004, 0.008, 0.015, 0.03, 0.06, 0.12, 0.25, 0.5, 1.0, 3.0, 9.0];

/// What every line's loop measures, for all lines; [`LoopFamilies::of`] resolves one line's handles.
#[derive(Debug, Clone)]
pub struct LoopFamilies {
    records: IntCounterVec,
    commits: IntCounterVec,
    commit_seconds: HistogramVec,
    aborts: IntCounterVec,
    dead_letters: IntCounterVec,
    owned: IntGaugeVec,
    held: IntGaugeVec,
    last_event: GaugeVec,
    lag_records: IntGaugeVec,
    lag_seconds: GaugeVec,
    unstable_records: IntGaugeVec,
}

impl LoopFamilies {
    /// Declares them.
    ///
    /// # Errors
    /// When one of them is declared already.
    pub fn new(registry: &Registry) -> Result<LoopFamilies, MetricsError> {
        let place = ["line", "topic", "partition"];
        let commit_seconds = HistogramVec::new(
            HistogramOpts::new("cardwatch_commit_seconds", "Time that a transaction took to commit.")
                .buckets(COMMIT_SECONDS.to_vec()),
            &["line"],
        )?;
        registry.register(Box::new(commit_seconds.clone()))?;
        Ok(LoopFamilies {
            records: counters(
                registry,
                "cardwatch_records_total",
                "Records read and worked off.",
                &["line"],
            )?,
            commits: counters(registry, "cardwatch_commits_total", "Transactions committed.", &["line"])?,
            commit_seconds,
            aborts: counters(
                registry,
                "cardwatch_aborts_total",
                "Transactions aborted and read again.",
                &["line"],
            )?,
            dead_letters: counters(
                registry,
                "cardwatch_dead_letters_total",
                "Records that could not be read, by reason.",
                &["line", "reason"],
            )?,
            owned: gauges(registry, "cardwatch_partitions_owned", "Partitions owned.", &["line"])?,
            held: gauges(
                registry,
                "cardwatch_partitions_held",
                "Partitions owned that wait for their state and do not flow yet.",
                &["line"],
            )?,
            last_event: seconds(
                registry,
                "cardwatch_last_event_timestamp_seconds",
                "Timestamp of the newest record worked off.",
                &["line"],
            )?,
            lag_records: gauges(
                registry,
                "cardwatch_lag_records",
                "Records between the committed offset and the high watermark; the mark that ends a transaction counts as one.",
                &place,
            )?,
            lag_seconds: seconds(
                registry,
                "cardwatch_lag_seconds",
                "Age of the last record worked off while more is waiting, otherwise 0.",
                &place,
            )?,
            unstable_records: gauges(
                registry,
                "cardwatch_unstable_records",
                "Records between the last stable offset and the high watermark: behind an open transaction.",
                &place,
            )?,
        })
    }

    /// The handles of one line. `dead_reasons` are the words of its dead letters, which start at 0.
    pub fn of(&self, line: &'static str, dead_reasons: &[&'static str]) -> LoopMetrics {
        for reason in dead_reasons {
            self.dead_letters.with_label_values(&[line, reason]);
        }
        LoopMetrics {
            line,
            records: self.records.with_label_values(&[line]),
            commits: self.commits.with_label_values(&[line]),
            commit_seconds: self.commit_seconds.with_label_values(&[line]),
            aborts: self.aborts.with_label_values(&[line]),
            owned: self.owned.with_label_values(&[line]),
            held: self.held.with_label_values(&[line]),
            last_event: self.last_event.with_label_values(&[line]),
            families: self.clone(),
        }
    }
}

/// What one line's loop measures.
#[derive(Debug, Clone)]
pub struct LoopMetrics {
    line: &'static str,
    records: IntCounter,
    commits: IntCounter,
    commit_seconds: Histogram,
    aborts: IntCounter,
    owned: IntGauge,
    held: IntGauge,
    last_event: Gauge,
    families: LoopFamilies,
}

impl LoopMetrics {
    /// A transaction was committed in `took`.
    pub fn committed(&self, took: Duration) {
        self.commits.inc();
        self.commit_seconds.observe(took.as_secs_f64());
    }

    /// A transaction was aborted.
    pub fn aborted(&self) {
        self.aborts.inc();
    }

    /// `count` records were worked off, the newest of which has the timestamp `newest`.
    pub fn worked_off(&self, count: u64, newest: Timestamp) {
        self.records.inc_by(count);
        self.last_event.set(epoch_seconds(newest));
    }

    /// A dead letter was written.
    pub fn dead_letter(&self, reason: &'static str) {
        self.families.dead_letters.with_label_values(&[self.line, reason]).inc();
    }

    /// A worker owned `before` partitions and held `held_before` back; now other numbers.
    pub fn owns(&self, before: usize, now: usize, held_before: usize, held_now: usize) {
        self.owned.add(now as i64 - before as i64);
        self.held.add(held_now as i64 - held_before as i64);
    }

    /// Where a partition stands.
    pub fn lag(&self, topic: &str, partition: i32, records: i64, seconds: f64, unstable: i64) {
        let partition = partition.to_string();
        let labels = [self.line, topic, &partition];
        self.families.lag_records.with_label_values(&labels).set(records);
        self.families.lag_seconds.with_label_values(&labels).set(seconds);
        self.families.unstable_records.with_label_values(&labels).set(unstable);
    }

    /// A partition is somebody else's now: a series left behind would show a lag that nobody has.
    pub fn forget(&self, topic: &str, partition: i32) {
        let partition = partition.to_string();
        let labels = [self.line, topic, &partition];
        let _ = self.families.lag_records.remove_label_values(&labels);
        let _ = self.families.lag_seconds.remove_label_values(&labels);
        let _ = self.families.unstable_records.remove_label_values(&labels);
    }
}
