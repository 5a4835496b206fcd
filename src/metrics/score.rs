//! What `score` measures.

use prometheus::{Histogram, IntCounter, IntGauge};

use super::{Counters, LONG_SECONDS, LineMetrics, Metrics, SHORT_SECONDS};
use crate::domain::alert::{AlertKind, Severity};

/// What `score` measures. Counters move when a transaction is committed, so that an abort counts nothing
/// twice. Cheap to clone: all clones are one.
#[derive(Debug, Clone)]
pub struct ScoreMetrics {
    /// Sightings judged.
    pub judgements_total: IntCounter,
    /// Sightings of a transaction that was seen before.
    pub duplicates_total: IntCounter,
    /// Sightings that could not be read. Any is a fault of cardwatch itself.
    pub unreadable_sightings_total: IntCounter,
    /// Rules that held in alerts, by rule.
    pub reasons_total: Counters,
    /// Signals that were unknown, by signal.
    pub unknown_signals_total: Counters,
    /// From the transaction's timestamp in the input to the alert, for live alerts.
    pub alert_latency_seconds: Histogram,
    /// Histories in memory.
    pub histories: IntGauge,
    /// Partitions whose histories are being restored.
    pub restoring_partitions: IntGauge,
    /// Records still to be read by the restores that are under way.
    pub restore_remaining_records: IntGauge,
    /// Records read by restores.
    pub restored_records_total: IntCounter,
    /// How long restores of a partition take.
    pub restore_seconds: Histogram,
    /// Rules read anew on SIGHUP: `taken` or `refused`.
    pub rule_reloads_total: Counters,
    /// Transactions and partitions.
    pub line: LineMetrics,
    alerts_by_severity: Counters,
    alerts_by_kind: Counters,
}

impl ScoreMetrics {
    /// Registers the families. `rules` are the rules' names, `signals` those of the signals.
    ///
    /// # Errors
    /// When they are registered already.
    pub fn new<'v>(
        metrics: &Metrics,
        rules: impl IntoIterator<Item = &'v str>,
        signals: impl IntoIterator<Item = &'v str>,
    ) -> Result<ScoreMetrics, prometheus::Error> {
        let area = metrics.area("score");
        Ok(ScoreMetrics {
            judgements_total: area.counter("judgements_total", "Sightings judged.")?,
            duplicates_total: area
                .counter("duplicates_total", "Sightings of a transaction that was seen before.")?,
            unreadable_sightings_total: area.counter(
                "unreadable_sightings_total",
                "Sightings that could not be read: a fault of cardwatch.",
            )?,
            reasons_total: area.counters(
                "reasons_total",
                "Rules that held in alerts, by rule.",
                "rule",
                rules,
            )?,
            unknown_signals_total: area.counters(
                "unknown_signals_total",
                "Signals that were unknown in a judgement, by signal.",
                "signal",
                signals,
            )?,
            alert_latency_seconds: area.histogram(
                "alert_latency_seconds",
                "From the transaction's timestamp in the input to the alert, live alerts only.",
                &SHORT_SECONDS,
            )?,
            histories: area.gauge("histories", "Card histories in memory.")?,
            restoring_partitions: area
                .gauge("restoring_partitions", "Partitions whose histories are being restored.")?,
            restore_remaining_records: area
                .gauge("restore_remaining_records", "Records still to be read by restores under way.")?,
            restored_records_total: area.counter("restored_records_total", "Records read by restores.")?,
            restore_seconds: area.histogram(
                "restore_duration_seconds",
                "Time to restore the histories of a partition.",
                &LONG_SECONDS,
            )?,
            rule_reloads_total: area.counters(
                "rule_reloads_total",
                "Rules read anew on SIGHUP, by result.",
                "result",
                ["taken", "refused"],
            )?,
            line: LineMetrics::new(&area)?,
            alerts_by_severity: area.counters(
                "alerts_total",
                "Alerts raised, by severity.",
                "severity",
                [Severity::Low, Severity::Medium, Severity::High].map(severity_word),
            )?,
            alerts_by_kind: area.counters(
                "alert_kinds_total",
                "Alerts raised, by how they came about.",
                "kind",
                [AlertKind::Live, AlertKind::Late, AlertKind::LookBack, AlertKind::Test].map(kind_word),
            )?,
        })
    }

    /// Counts an alert.
    pub fn count_alert(&self, severity: Severity, kind: AlertKind) {
        self.alerts_by_severity.add(severity_word(severity), 1);
        self.alerts_by_kind.add(kind_word(kind), 1);
    }

    /// How many alerts of this severity were counted.
    pub fn alerts(&self, severity: Severity) -> u64 {
        self.alerts_by_severity.get(severity_word(severity))
    }
}

fn severity_word(severity: Severity) -> &'static str {
    match severity {
        Severity::Low => "low",
        Severity::Medium => "medium",
        Severity::High => "high",
    }
}

fn kind_word(kind: AlertKind) -> &'static str {
    match kind {
        AlertKind::Live => "live",
        AlertKind::Late => "late",
        AlertKind::LookBack => "look_back",
        AlertKind::Test => "test",
    }
}
