//! What `notify` measures. The label of an endpoint comes from the configuration alone.

use prometheus::{
    Gauge, GaugeVec, Histogram, HistogramOpts, HistogramVec, IntCounter, IntCounterVec, IntGauge,
    IntGaugeVec, Opts, Registry,
};

use super::{MetricsError, counters, gauges};

/// Metrics of all endpoints.
#[derive(Debug, Clone)]
pub struct WebhookMetrics {
    attempts: IntCounterVec,
    delivered: IntCounterVec,
    failed: IntCounterVec,
    expired: IntCounterVec,
    owed: IntGaugeVec,
    oldest: GaugeVec,
    disabled: IntGaugeVec,
    expiring: IntGaugeVec,
    latency: HistogramVec,
}

/// Metrics of one endpoint, looked up once.
#[derive(Debug, Clone)]
pub struct EndpointMetrics {
    attempts: IntCounterVec,
    endpoint: String,
    delivered: IntCounter,
    failed: IntCounter,
    expired: IntCounter,
    owed: IntGauge,
    oldest: Gauge,
    disabled: IntGauge,
    expiring: IntGauge,
    latency: Histogram,
}

impl WebhookMetrics {
    /// Declares them. `classes` are those of failures; the series of every endpoint start at 0.
    ///
    /// # Errors
    /// When one of them is declared already.
    pub fn new(
        registry: &Registry,
        endpoints: &[&str],
        classes: &[&str],
    ) -> Result<WebhookMetrics, MetricsError> {
        let attempts = counters(
            registry,
            "cardwatch_webhook_attempts_total",
            "Requests to an endpoint, by what came of them: success, or the class of the failure.",
            &["endpoint", "result"],
        )?;
        let delivered = counters(
            registry,
            "cardwatch_webhook_deliveries_total",
            "Deliveries that an endpoint took.",
            &["endpoint"],
        )?;
        let failed = counters(
            registry,
            "cardwatch_webhook_failed_deliveries_total",
            "Deliveries that were tried as often as the schedule says; only a replay tries them again.",
            &["endpoint"],
        )?;
        let expired = counters(
            registry,
            "cardwatch_webhook_expired_alerts_total",
            "Alerts that were owed and expired on their topic before they were delivered.",
            &["endpoint"],
        )?;
        let owed = gauges(
            registry,
            "cardwatch_webhook_owed_alerts",
            "Alerts owed to an endpoint for the partitions of this process, at most: sum over processes.",
            &["endpoint"],
        )?;
        let oldest = GaugeVec::new(
            Opts::new(
                "cardwatch_webhook_oldest_owed_age_seconds",
                "How long the oldest alert that is owed to an endpoint is owed; 0 where none is.",
            ),
            &["endpoint"],
        )?;
        registry.register(Box::new(oldest.clone()))?;
        let disabled = gauges(
            registry,
            "cardwatch_webhook_disabled",
            "1 where an endpoint is disabled and told nothing.",
            &["endpoint"],
        )?;
        let expiring = gauges(
            registry,
            "cardwatch_webhook_expiring",
            "1 where alerts that are owed to an endpoint expire on their topic within a day.",
            &["endpoint"],
        )?;
        let latency = HistogramVec::new(
            HistogramOpts::new(
                "cardwatch_webhook_delivery_seconds",
                "From the raising of an alert to the answer of the endpoint that took it.",
            )
            .buckets(vec![0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0, 3600.0]),
            &["endpoint"],
        )?;
        registry.register(Box::new(latency.clone()))?;
        for endpoint in endpoints {
            for result in std::iter::once(&"success").chain(classes) {
                attempts.with_label_values(&[endpoint, result]);
            }
            for family in [&delivered, &failed, &expired] {
                family.with_label_values(&[endpoint]);
            }
            owed.with_label_values(&[endpoint]);
            disabled.with_label_values(&[endpoint]);
            expiring.with_label_values(&[endpoint]);
        }
        Ok(WebhookMetrics { attempts, delivered, failed, expired, owed, oldest, disabled, expiring, latency })
    }

    /// Those of one endpoint.
    pub fn of(&self, endpoint: &str) -> EndpointMetrics {
        let label = &[endpoint];
        EndpointMetrics {
            attempts: self.attempts.clone(),
            endpoint: endpoint.to_owned(),
            delivered: self.delivered.with_label_values(label),
            failed: self.failed.with_label_values(label),
            expired: self.expired.with_label_values(label),
            owed: self.owed.with_label_values(label),
            oldest: self.oldest.with_label_values(label),
            disabled: self.disabled.with_label_values(label),
            expiring: self.expiring.with_label_values(label),
            latency: self.latency.with_label_values(label),
        }
    }
}

impl EndpointMetrics {
    /// A request was made; `class` is that of its failure.
    pub fn attempt(&self, class: Option<&str>) {
        let result = class.unwrap_or("success");
        self.attempts.with_label_values(&[self.endpoint.as_str(), result]).inc();
    }

    /// A delivery was taken, so many seconds after the alert was raised.
    pub fn delivered(&self, seconds: f64) {
        self.delivered.inc();
        self.latency.observe(seconds);
    }

    /// A delivery has failed for good.
    pub fn failed(&self) {
        self.failed.inc();
    }

    /// Alerts that are owed are not there any more.
    pub fn expired(&self, count: u64) {
        self.expired.inc_by(count);
    }

    /// Whether alerts that are owed expire soon.
    pub fn expires(&self, soon: bool) {
        self.expiring.set(i64::from(soon));
    }

    /// What is owed, for how long the oldest, and whether the endpoint is disabled.
    pub fn stand(&self, owed: u64, oldest_seconds: f64, disabled: bool) {
        let owed = i64::try_from(owed).unwrap_or(i64::MAX);
        self.owed.set(owed);
        self.disabled.set(i64::from(disabled));
        self.oldest.set(oldest_seconds);
    }
}
