//! What `sight` measures.

use prometheus::{IntCounter, IntGauge};

use super::{Counters, LineMetrics, Metrics};

/// What `sight` measures. Counters move when a transaction is committed, so that an abort counts nothing
/// twice. Cheap to clone: all clones are one.
#[derive(Debug, Clone)]
pub struct SightMetrics {
    /// Records judged, those without a value included.
    pub events_total: IntCounter,
    /// Sightings written.
    pub sightings_total: IntCounter,
    /// Records without a value, skipped.
    pub tombstones_total: IntCounter,
    /// Dead letters written, by reason.
    pub dead_letters_total: Counters,
    /// Fields of sightings that were there and could not be read, by the mapping's key.
    pub unreadable_fields_total: Counters,
    /// Fields of sightings withheld because they held the card number.
    pub withheld_fields_total: IntCounter,
    /// Exposed card numbers whose check digit is wrong.
    pub luhn_failures_total: IntCounter,
    /// The frontier of the exposed list that the last batch was judged under.
    pub frontier: IntGauge,
    /// Transactions and partitions.
    pub line: LineMetrics,
}

impl SightMetrics {
    /// Registers the families. `reasons` are those of dead letters, `fields` the keys of the mapping.
    ///
    /// # Errors
    /// When they are registered already.
    pub fn new<'v>(
        metrics: &Metrics,
        reasons: impl IntoIterator<Item = &'v str>,
        fields: impl IntoIterator<Item = &'v str>,
    ) -> Result<SightMetrics, prometheus::Error> {
        let area = metrics.area("sight");
        Ok(SightMetrics {
            events_total: area.counter("events_total", "Records judged, those without a value included.")?,
            sightings_total: area.counter("sightings_total", "Sightings written.")?,
            tombstones_total: area.counter("tombstones_total", "Records without a value, skipped.")?,
            dead_letters_total: area.counters(
                "dead_letters_total",
                "Records whose card field could not be read, by reason.",
                "reason",
                reasons,
            )?,
            unreadable_fields_total: area.counters(
                "unreadable_fields_total",
                "Fields of sightings that were there and could not be read, by key of the mapping.",
                "field",
                fields,
            )?,
            withheld_fields_total: area.counter(
                "withheld_fields_total",
                "Fields of sightings withheld because they held the card number.",
            )?,
            luhn_failures_total: area
                .counter("luhn_failures_total", "Exposed card numbers whose check digit is wrong.")?,
            frontier: area
                .gauge("frontier", "Offset of the exposed list the last batch was judged under.")?,
            line: LineMetrics::new(&area)?,
        })
    }
}
