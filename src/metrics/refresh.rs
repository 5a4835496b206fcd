//! What `refresh` measures.

use prometheus::{Gauge, IntCounter, IntGauge};

use super::Metrics;

/// What `refresh` measures. Cheap to clone: all clones are one.
#[derive(Debug, Clone)]
pub struct RefreshMetrics {
    /// Fingerprints in the set, visible or not.
    pub set_cards: IntGauge,
    /// Keys that the list is made with.
    pub keys: IntGauge,
    /// Incidents that are open.
    pub open_incidents: IntGauge,
    /// Cards on the list under a key that this process lacks.
    pub cards_under_missing_keys: IntGauge,
    /// The frontier: the offset of the last marker applied.
    pub frontier: IntGauge,
    /// When the end of the list was last confirmed, in seconds since 1970.
    pub confirmed_timestamp_seconds: Gauge,
    /// Records of the list applied.
    pub records_total: IntCounter,
    /// Records of the list that could not be read.
    pub unreadable_records_total: IntCounter,
}

impl RefreshMetrics {
    /// Registers the families.
    ///
    /// # Errors
    /// When they are registered already.
    pub fn new(metrics: &Metrics) -> Result<RefreshMetrics, prometheus::Error> {
        let area = metrics.area("refresh");
        Ok(RefreshMetrics {
            set_cards: area.gauge("set_cards", "Fingerprints in the exposed set, visible or not.")?,
            keys: area.gauge("keys", "Keys that the exposed list is made with.")?,
            open_incidents: area.gauge("open_incidents", "Incidents that are open.")?,
            cards_under_missing_keys: area.gauge(
                "cards_under_missing_keys",
                "Cards on the exposed list under a key that this process lacks.",
            )?,
            frontier: area.gauge("frontier", "Offset of the last marker of the exposed list applied.")?,
            confirmed_timestamp_seconds: area.seconds(
                "confirmed_timestamp_seconds",
                "When the end of the exposed list was last confirmed, since 1970.",
            )?,
            records_total: area.counter("records_total", "Records of the exposed list applied.")?,
            unreadable_records_total: area
                .counter("unreadable_records_total", "Records of the exposed list that could not be read.")?,
        })
    }
}
