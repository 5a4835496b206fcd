//! What `books` and the desk measure.

use prometheus::{Gauge, IntCounterVec, IntGauge, IntGaugeVec, Registry};

use super::{MetricsError, counters, gauge, gauges};

/// What `books` measures beside its loop.
#[derive(Debug, Clone)]
pub struct BooksMetrics {
    outcomes: IntCounterVec,
}

impl BooksMetrics {
    /// Every effect that an outcome can have.
    const EFFECTS: [&'static str; 5] = ["closed", "reopened", "unchanged", "unmatched", "ambiguous"];

    /// Declares them. Series of `verdicts` start at 0.
    ///
    /// # Errors
    /// When one of them is declared already.
    pub fn new(registry: &Registry, verdicts: &[&str]) -> Result<BooksMetrics, MetricsError> {
        let outcomes = counters(
            registry,
            "cardwatch_outcomes_total",
            "Outcomes worked off, by verdict and by what they did to their alert.",
            &["verdict", "effect"],
        )?;
        for verdict in verdicts {
            for effect in BooksMetrics::EFFECTS {
                outcomes.with_label_values(&[verdict, effect]);
            }
        }
        Ok(BooksMetrics { outcomes })
    }

    /// An outcome was worked off.
    pub fn outcome(&self, verdict: &str, effect: &str) {
        self.outcomes.with_label_values(&[verdict, effect]).inc();
    }
}

/// What the desk measures. Every process that keeps one shows the same: take the maximum, not the sum.
#[derive(Debug, Clone)]
pub struct DeskMetrics {
    open: IntGaugeVec,
    oldest: Gauge,
    known: IntGauge,
    evicted: IntGauge,
    severities: Vec<&'static str>,
}

impl DeskMetrics {
    /// Declares them. Series of `severities` start at 0.
    ///
    /// # Errors
    /// When one of them is declared already.
    pub fn new(registry: &Registry, severities: &[&'static str]) -> Result<DeskMetrics, MetricsError> {
        let oldest = Gauge::new(
            "cardwatch_oldest_open_alert_age_seconds",
            "Age of the oldest open alert; 0 where none is open.",
        )?;
        registry.register(Box::new(oldest.clone()))?;
        let metrics = DeskMetrics {
            open: gauges(
                registry,
                "cardwatch_open_alerts",
                "Alerts that wait for a decision, by severity; the same in every process that runs books.",
                &["severity"],
            )?,
            oldest,
            known: gauge(registry, "cardwatch_desk_alerts", "Alerts known to the desk.")?,
            evicted: gauge(
                registry,
                "cardwatch_desk_left_out_alerts",
                "Alerts that are still on their topic and that the desk left out, beyond books.alerts_max.",
            )?,
            severities: severities.to_vec(),
        };
        metrics.show(std::iter::empty(), 0.0, 0, 0);
        Ok(metrics)
    }

    /// The desk as it is now: open alerts by severity, the age of the oldest of them in seconds.
    pub fn show<'a>(
        &self,
        open: impl Iterator<Item = (&'a str, u64)>,
        oldest_seconds: f64,
        known: usize,
        evicted: u64,
    ) {
        let whole = |number: u64| i64::try_from(number).unwrap_or(i64::MAX);
        let open: Vec<(&str, u64)> = open.collect();
        for severity in &self.severities {
            let count = open.iter().find(|(word, _)| word == severity).map_or(0, |(_, count)| *count);
            self.open.with_label_values(&[severity]).set(whole(count));
        }
        self.oldest.set(oldest_seconds);
        self.known.set(whole(known as u64));
        self.evicted.set(whole(evicted));
    }
}
