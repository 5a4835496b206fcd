//! Prometheus metrics: the registry of the process, and the families that the lines fill.
//!
//! Words, so that lines can hold them. Names follow the Prometheus naming guide: `cardwatch_`, the area,
//! base units, `_total` on counters. Label values come from the program, its configuration and its rules,
//! never from data; every series with such a closed label starts at 0.

mod line;
mod refresh;
mod score;
mod sight;

use std::collections::BTreeSet;
use std::sync::{Arc, PoisonError, RwLock};

use prometheus::{
    Gauge, Histogram, HistogramOpts, IntCounter, IntCounterVec, IntGauge, IntGaugeVec, Opts, Registry,
};

pub use line::{LineMetrics, PartitionMetrics};
pub use refresh::RefreshMetrics;
pub use score::ScoreMetrics;
pub use sight::SightMetrics;

/// What every name begins with.
const NAMESPACE: &str = "cardwatch";
/// The label value for what no closed list foresaw. Seeing it is a fault of the program.
const OTHER: &str = "other";

/// Buckets for what takes milliseconds when well and seconds when not (commits, latencies), in seconds.
/// A commit is 2 to 3 ms at the median; the transaction time-out is 10 s.
const SHORT_SECONDS: [f64; 13] =
    [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0];
/// Buckets for restores, in seconds: a small partition is immediate, 180 s without progress fails.
const LONG_SECONDS: [f64; 9] = [0.1, 0.5, 1.0, 5.0, 10.0, 30.0, 60.0, 180.0, 600.0];

/// The metrics of the process. Cheap to clone: all clones are one.
#[derive(Debug, Clone, Default)]
pub struct Metrics {
    registry: Registry,
}

impl Metrics {
    /// No metric yet.
    pub fn new() -> Metrics {
        Metrics::default()
    }

    /// Where they are gathered.
    pub fn registry(&self) -> &Registry {
        &self.registry
    }

    /// The area whose names begin with `cardwatch_AREA_`.
    pub fn area(&self, area: &'static str) -> Area {
        Area { registry: self.registry.clone(), area }
    }

    /// Says what runs: a gauge that is always 1, with the versions as labels.
    ///
    /// # Errors
    /// When it was said before.
    pub fn build_info(&self, version: &str, librdkafka: &str) -> Result<(), prometheus::Error> {
        let opts =
            Opts::new("build_info", "What runs: always 1, the versions are labels.").namespace(NAMESPACE);
        let info = IntGaugeVec::new(opts, &["version", "librdkafka"])?;
        info.get_metric_with_label_values(&[version, librdkafka])?.set(1);
        self.registry.register(Box::new(info))
    }
}

/// An area of metrics: its name is part of theirs.
#[derive(Debug, Clone)]
pub struct Area {
    registry: Registry,
    area: &'static str,
}

impl Area {
    fn opts(&self, name: &str, help: &str) -> Opts {
        Opts::new(name, help).namespace(NAMESPACE).subsystem(self.area)
    }

    fn register<M>(&self, metric: M) -> Result<M, prometheus::Error>
    where
        M: prometheus::core::Collector + Clone + 'static,
    {
        self.registry.register(Box::new(metric.clone()))?;
        Ok(metric)
    }

    /// A counter; `name` ends with `_total`.
    ///
    /// # Errors
    /// When the name is taken or not a metric's name.
    pub fn counter(&self, name: &str, help: &str) -> Result<IntCounter, prometheus::Error> {
        self.register(IntCounter::with_opts(self.opts(name, help))?)
    }

    /// A counter for each of `values` of one label, all starting at 0.
    ///
    /// # Errors
    /// As [`Area::counter`].
    pub fn counters<'v>(
        &self,
        name: &str,
        help: &str,
        label: &str,
        values: impl IntoIterator<Item = &'v str>,
    ) -> Result<Counters, prometheus::Error> {
        let counters = Counters {
            family: self.register(IntCounterVec::new(self.opts(name, help), &[label])?)?,
            known: Arc::default(),
        };
        counters.start(values);
        Ok(counters)
    }

    /// A gauge of whole numbers.
    ///
    /// # Errors
    /// As [`Area::counter`].
    pub fn gauge(&self, name: &str, help: &str) -> Result<IntGauge, prometheus::Error> {
        self.register(IntGauge::with_opts(self.opts(name, help))?)
    }

    /// A gauge of fractions: times and durations in seconds.
    ///
    /// # Errors
    /// As [`Area::counter`].
    pub fn seconds(&self, name: &str, help: &str) -> Result<Gauge, prometheus::Error> {
        self.register(Gauge::with_opts(self.opts(name, help))?)
    }

    /// A histogram; `buckets` are upper bounds.
    ///
    /// # Errors
    /// As [`Area::counter`].
    pub fn histogram(&self, name: &str, help: &str, buckets: &[f64]) -> Result<Histogram, prometheus::Error> {
        let opts = HistogramOpts::from(self.opts(name, help)).buckets(buckets.to_vec());
        self.register(Histogram::with_opts(opts)?)
    }
}

/// Counters told apart by one label whose values are a closed list.
#[derive(Debug, Clone)]
pub struct Counters {
    family: IntCounterVec,
    known: Arc<RwLock<BTreeSet<String>>>,
}

impl Counters {
    /// Adds `values` to the list, each starting at 0. Those already on it go on counting.
    pub fn start<'v>(&self, values: impl IntoIterator<Item = &'v str>) {
        let mut known = self.known.write().unwrap_or_else(PoisonError::into_inner);
        for value in values {
            self.family.with_label_values(&[value]);
            known.insert(value.to_owned());
        }
    }

    /// Adds `count` to the counter of `value`. What is not on the list counts as `other`: a label never
    /// takes its value from data.
    pub fn add(&self, value: &str, count: u64) {
        let known = self.known.read().unwrap_or_else(PoisonError::into_inner).contains(value);
        self.family.with_label_values(&[if known { value } else { OTHER }]).inc_by(count);
    }

    /// What the counter of `value` says now.
    pub fn get(&self, value: &str) -> u64 {
        let known = self.known.read().unwrap_or_else(PoisonError::into_inner).contains(value);
        if known { self.family.with_label_values(&[value]).get() } else { 0 }
    }
}

#[cfg(test)]
mod tests;
