//! Metrics: declared here as plain structs of handles, one per line, resolved once and moved by whoever
//! measures. No label is made of data: lines, reasons, fields, rules, topics and partitions are all known
//! before the first record is read. The books of incidents ([`IncidentMetrics`]) are the one exception.

use prometheus::{
    Gauge, GaugeVec, Histogram, HistogramOpts, IntCounter, IntCounterVec, IntGauge, IntGaugeVec, Opts,
    Registry,
};

use crate::domain::time::Timestamp;

mod desk;
mod http;
mod incidents;
mod loops;
#[cfg(test)]
mod reference;
mod webhooks;

pub use desk::{AGES, BooksMetrics, DeskMetrics, DeskNumbers, age_band};
pub use http::HttpMetrics;
pub use incidents::{INCIDENTS_SHOWN, IncidentMetrics, IncidentNumbers};
pub use loops::{LoopFamilies, LoopMetrics};
pub use webhooks::{EndpointMetrics, WebhookMetrics};

/// Upper bounds of alert times, in seconds, from the input record's timestamp to the judgement.
const ALERT_SECONDS: [f64; 12] = [0.005, 0.01, 0.02, 0.03, 0.05, 0.12, 0.25, 0.5, 1.0, 5.0, 30.0, 300.0];

/// What shares the series of everything that has none of its own. No incident's id and no rule's name: it has a dot.
const REST: &str = "the.rest";

/// A metric was declared twice or wrongly: a fault of the program.
pub type MetricsError = prometheus::Error;

fn counter(registry: &Registry, name: &str, help: &str) -> Result<IntCounter, MetricsError> {
    let counter = IntCounter::new(name, help)?;
    registry.register(Box::new(counter.clone()))?;
    Ok(counter)
}

fn counters(
    registry: &Registry,
    name: &str,
    help: &str,
    labels: &[&str],
) -> Result<IntCounterVec, MetricsError> {
    let counters = IntCounterVec::new(Opts::new(name, help), labels)?;
    registry.register(Box::new(counters.clone()))?;
    Ok(counters)
}

fn gauge(registry: &Registry, name: &str, help: &str) -> Result<IntGauge, MetricsError> {
    let gauge = IntGauge::new(name, help)?;
    registry.register(Box::new(gauge.clone()))?;
    Ok(gauge)
}

fn gauges(registry: &Registry, name: &str, help: &str, labels: &[&str]) -> Result<IntGaugeVec, MetricsError> {
    let gauges = IntGaugeVec::new(Opts::new(name, help), labels)?;
    registry.register(Box::new(gauges.clone()))?;
    Ok(gauges)
}

fn seconds(registry: &Registry, name: &str, help: &str, labels: &[&str]) -> Result<GaugeVec, MetricsError> {
    let gauges = GaugeVec::new(Opts::new(name, help), labels)?;
    registry.register(Box::new(gauges.clone()))?;
    Ok(gauges)
}

/// Seconds since the epoch.
fn epoch_seconds(at: Timestamp) -> f64 {
    at.millis() as f64 / 1000.0
}

/// What `sight` measures beside its loop.
#[derive(Debug, Clone)]
pub struct SightMetrics {
    /// Sightings written.
    pub sightings: IntCounter,
    /// Records with a null value.
    pub tombstones: IntCounter,
    unreadable: IntCounterVec,
    withheld: IntCounterVec,
}

impl SightMetrics {
    /// Declares them.
    ///
    /// # Errors
    /// When one of them is declared already.
    pub fn new(registry: &Registry) -> Result<SightMetrics, MetricsError> {
        Ok(SightMetrics {
            sightings: counter(
                registry,
                "cardwatch_sightings_total",
                "Transactions on exposed cards, written as sightings.",
            )?,
            tombstones: counter(registry, "cardwatch_tombstones_total", "Input records with a null value.")?,
            unreadable: counters(
                registry,
                "cardwatch_unreadable_fields_total",
                "Mapped fields of sightings that were there and did not read.",
                &["field"],
            )?,
            withheld: counters(
                registry,
                "cardwatch_withheld_fields_total",
                "Mapped fields of sightings withheld because they contained the card number.",
                &["field"],
            )?,
        })
    }

    /// A mapped field did not read. `field` is a name of the mapping.
    pub fn unreadable(&self, field: &str) {
        self.unreadable.with_label_values(&[field]).inc();
    }

    /// A mapped field was withheld. `field` is a name of the mapping.
    pub fn withheld(&self, field: &str) {
        self.withheld.with_label_values(&[field]).inc();
    }
}

/// What `score` measures beside its loop.
#[derive(Debug, Clone)]
pub struct ScoreMetrics {
    /// Sightings judged.
    pub judgements: IntCounter,
    /// Sightings that repeat an earlier one.
    pub duplicates: IntCounter,
    /// Histories in memory.
    pub histories: IntGauge,
    /// Histories read while restoring.
    pub restored: IntCounter,
    /// Histories forgotten.
    pub forgotten: IntCounter,
    alerts: IntCounterVec,
    rules: IntCounterVec,
    unknown: IntCounterVec,
    alert_seconds: Histogram,
}

impl ScoreMetrics {
    /// Declares them. Series of `severities`, `rules` and `signals` start at 0.
    ///
    /// # Errors
    /// When one of them is declared already.
    pub fn new(
        registry: &Registry,
        severities: &[&str],
        rules: &[&str],
        signals: &[&str],
    ) -> Result<ScoreMetrics, MetricsError> {
        let alert_seconds = Histogram::with_opts(
            HistogramOpts::new(
                "cardwatch_alert_seconds",
                "Time from the input record's timestamp to the alert's judgement.",
            )
            .buckets(ALERT_SECONDS.to_vec()),
        )?;
        registry.register(Box::new(alert_seconds.clone()))?;
        let metrics = ScoreMetrics {
            judgements: counter(registry, "cardwatch_judgements_total", "Sightings judged.")?,
            duplicates: counter(
                registry,
                "cardwatch_duplicates_total",
                "Sightings that repeat an earlier transaction of the card.",
            )?,
            histories: gauge(registry, "cardwatch_histories", "Card histories in memory.")?,
            restored: counter(
                registry,
                "cardwatch_restored_histories_total",
                "Card histories read from Kafka on taking partitions up.",
            )?,
            forgotten: counter(
                registry,
                "cardwatch_forgotten_histories_total",
                "Card histories forgotten: idle for long, or of cards that the list does not keep.",
            )?,
            alerts: counters(
                registry,
                "cardwatch_alerts_total",
                "Alerts raised, by severity.",
                &["severity"],
            )?,
            rules: counters(
                registry,
                "cardwatch_alert_reasons_total",
                "Reasons of alerts raised, by rule.",
                &["rule"],
            )?,
            unknown: counters(
                registry,
                "cardwatch_unknown_signals_total",
                "Signals that were unknown and so kept a rule from holding.",
                &["signal"],
            )?,
            alert_seconds,
        };
        severities.iter().for_each(|word| drop(metrics.alerts.with_label_values(&[word])));
        rules.iter().for_each(|word| drop(metrics.rules.with_label_values(&[word])));
        signals.iter().for_each(|word| drop(metrics.unknown.with_label_values(&[word])));
        Ok(metrics)
    }

    /// An alert was committed: its severity, its reasons' rules, and how long it took, in milliseconds.
    pub fn alert<'a>(&self, severity: &str, rules: impl Iterator<Item = &'a str>, took_ms: i64) {
        self.alerts.with_label_values(&[severity]).inc();
        rules.for_each(|rule| self.rules.with_label_values(&[rule]).inc());
        self.alert_seconds.observe(took_ms as f64 / 1000.0);
    }

    /// A signal was unknown.
    pub fn unknown(&self, signal: &str) {
        self.unknown.with_label_values(&[signal]).inc();
    }
}

/// What `refresh` measures.
#[derive(Debug, Clone)]
pub struct RefreshMetrics {
    cards: IntGauge,
    incidents: IntGauge,
    frontier: IntGauge,
    confirmed: Gauge,
}

impl RefreshMetrics {
    /// Declares them.
    ///
    /// # Errors
    /// When one of them is declared already.
    pub fn new(registry: &Registry) -> Result<RefreshMetrics, MetricsError> {
        let confirmed = Gauge::new(
            "cardwatch_exposures_confirmed_timestamp_seconds",
            "When the exposure list was last known to be read to its end.",
        )?;
        registry.register(Box::new(confirmed.clone()))?;
        Ok(RefreshMetrics {
            cards: gauge(registry, "cardwatch_exposed_cards", "Cards that are recognised.")?,
            incidents: gauge(registry, "cardwatch_open_incidents", "Incidents whose cards are watched.")?,
            frontier: gauge(
                registry,
                "cardwatch_exposures_frontier_offset",
                "Offset of the last applied marker of the exposure list.",
            )?,
            confirmed,
        })
    }

    /// The set as it is now.
    pub fn set(&self, cards: u64, incidents: usize, frontier: i64) {
        self.cards.set(i64::try_from(cards).unwrap_or(i64::MAX));
        self.incidents.set(i64::try_from(incidents).unwrap_or(i64::MAX));
        self.frontier.set(frontier);
    }

    /// The list was read to its end at `at`.
    pub fn confirmed(&self, at: Timestamp) {
        self.confirmed.set(epoch_seconds(at));
    }
}

/// Declares the information about the build: version and client library.
///
/// # Errors
/// When it is declared already.
pub fn build_info(registry: &Registry, version: &str, librdkafka: &str) -> Result<(), MetricsError> {
    let info =
        gauges(registry, "cardwatch_build_info", "What runs here; always 1.", &["version", "librdkafka"])?;
    info.with_label_values(&[version, librdkafka]).set(1);
    Ok(())
}

/// Declares when the keys were made that cards are looked up with: id, whether lists are written under it, and when.
///
/// # Errors
/// When it is declared already.
pub fn keys<'a>(
    registry: &Registry,
    keys: impl Iterator<Item = (&'a str, bool, Timestamp)>,
) -> Result<(), MetricsError> {
    let created = seconds(
        registry,
        "cardwatch_key_created_timestamp_seconds",
        "When an active key was made. Its cryptoperiod begins then.",
        &["key", "use"],
    )?;
    for (key, is_primary, at) in keys {
        let role = if is_primary { "primary" } else { "active" };
        created.with_label_values(&[key, role]).set(epoch_seconds(at));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use prometheus::{Encoder, TextEncoder};

    #[test]
    fn every_known_series_is_there_before_anything_happens() {
        let registry = Registry::new();
        let families = LoopFamilies::new(&registry).unwrap();
        let sight = families.of("sight", &["not_json"]);
        ScoreMetrics::new(&registry, &["high"], &["velocity"], &["new_country"]).unwrap();
        RefreshMetrics::new(&registry).unwrap();
        build_info(&registry, "0.1.0", "2.12.1").unwrap();
        sight.lag("transactions", 3, 17, 2.5, 0);
        let show = || {
            let mut text = Vec::new();
            TextEncoder::new().encode(&registry.gather(), &mut text).unwrap();
            String::from_utf8(text).unwrap()
        };
        let text = show();
        for line in [
            "cardwatch_dead_letters_total{line=\"sight\",reason=\"not_json\"} 0",
            "cardwatch_alerts_total{severity=\"high\"} 0",
            "cardwatch_alert_reasons_total{rule=\"velocity\"} 0",
            "cardwatch_unknown_signals_total{signal=\"new_country\"} 0",
            "cardwatch_lag_records{line=\"sight\",partition=\"3\",topic=\"transactions\"} 17",
        ] {
            assert!(text.contains(line), "{line}\n{text}");
        }
        sight.forget("transactions", 3);
        assert!(!show().contains("cardwatch_lag_records{"));
    }
}
