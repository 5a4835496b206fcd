//! The books of incidents as metrics.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, PoisonError};

use prometheus::{Gauge, IntGaugeVec, Registry};

use super::{MetricsError, epoch_seconds, gauges};
use crate::domain::time::Timestamp;

/// How many incidents have series of their own; the rest are summed.
pub const INCIDENTS_SHOWN: usize = 100;
/// What the rest is called. No incident's id: it has a dot.
const REST: &str = "the.rest";

/// The numbers of one incident.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct IncidentNumbers {
    /// Its id.
    pub incident: String,
    /// Cards by what is known of them.
    pub cards: Vec<(&'static str, u64)>,
    /// Alerts by what was decided.
    pub alerts: Vec<(&'static str, u64)>,
    /// Minor units by ISO 4217 code and by what became of them.
    pub money: Vec<(&'static str, &'static str, u64)>,
}

/// What the books say, for dashboards.
#[derive(Debug, Clone)]
pub struct IncidentMetrics {
    cards: IntGaugeVec,
    alerts: IntGaugeVec,
    money: IntGaugeVec,
    as_of: Gauge,
    shown: Arc<Mutex<[Shown; 3]>>,
}

/// The labels of the series of one family.
type Shown = BTreeSet<Vec<String>>;

impl IncidentMetrics {
    /// Declares them.
    ///
    /// # Errors
    /// When one of them is declared already.
    pub fn new(registry: &Registry) -> Result<IncidentMetrics, MetricsError> {
        let as_of = Gauge::new(
            "cardwatch_books_timestamp_seconds",
            "When the books of incidents were last made up; 0 before they are read to their ends.",
        )?;
        registry.register(Box::new(as_of.clone()))?;
        Ok(IncidentMetrics {
            cards: gauges(
                registry,
                "cardwatch_incident_cards",
                "Cards of an incident. The same in every process that keeps books: take the maximum, not the sum.",
                &["incident", "are"],
            )?,
            alerts: gauges(
                registry,
                "cardwatch_incident_alerts",
                "Alerts on the cards of an incident, by what a person decided.",
                &["incident", "decided"],
            )?,
            money: gauges(
                registry,
                "cardwatch_incident_money_minor_units",
                "Money of transactions on the cards of an incident, in the currency's minor units.",
                &["incident", "currency", "is"],
            )?,
            as_of,
            shown: Arc::default(),
        })
    }

    /// Shows the books of `incidents`, the most important first, and nothing of incidents that are gone.
    pub fn set(&self, incidents: &[IncidentNumbers], as_of: Timestamp) {
        let mut cards: BTreeMap<[&str; 2], u64> = BTreeMap::new();
        let mut alerts: BTreeMap<[&str; 2], u64> = BTreeMap::new();
        let mut money: BTreeMap<[&str; 3], u64> = BTreeMap::new();
        for (place, numbers) in incidents.iter().enumerate() {
            let incident = if place < INCIDENTS_SHOWN { numbers.incident.as_str() } else { REST };
            for &(are, count) in &numbers.cards {
                add(&mut cards, [incident, are], count);
            }
            for &(decided, count) in &numbers.alerts {
                add(&mut alerts, [incident, decided], count);
            }
            for &(currency, is, minor) in &numbers.money {
                add(&mut money, [incident, currency, is], minor);
            }
        }
        let mut shown = self.shown.lock().unwrap_or_else(PoisonError::into_inner);
        let [of_cards, of_alerts, of_money] = &mut *shown;
        show(&self.cards, &cards, of_cards);
        show(&self.alerts, &alerts, of_alerts);
        show(&self.money, &money, of_money);
        self.as_of.set(epoch_seconds(as_of));
    }
}

fn add<K: Ord>(sums: &mut BTreeMap<K, u64>, key: K, more: u64) {
    let sum = sums.entry(key).or_default();
    *sum = sum.saturating_add(more);
}

/// Sets the series of `sums`, and only then takes away those that were shown before and are gone: whoever reads
/// meanwhile misses none.
fn show<const N: usize>(gauges: &IntGaugeVec, sums: &BTreeMap<[&str; N], u64>, shown: &mut Shown) {
    let now: Shown = sums.keys().map(|labels| labels.map(str::to_owned).to_vec()).collect();
    for (labels, sum) in sums {
        gauges.with_label_values(labels).set(i64::try_from(*sum).unwrap_or(i64::MAX));
    }
    for gone in shown.difference(&now) {
        let _ = gauges.remove_label_values(gone);
    }
    *shown = now;
}

#[cfg(test)]
mod tests {
    use super::*;
    use prometheus::TextEncoder;

    #[test]
    fn incidents_have_series_up_to_a_number_and_those_that_are_gone_none() {
        let registry = Registry::new();
        let metrics = IncidentMetrics::new(&registry).unwrap();
        let numbers = |n: usize| IncidentNumbers {
            incident: format!("i{n}"),
            cards: vec![("listed", 10), ("seen", 2)],
            alerts: vec![("fraud", 1)],
            money: vec![("JPY", "approved", 12_980)],
        };
        let many: Vec<IncidentNumbers> = (0..INCIDENTS_SHOWN + 3).map(numbers).collect();
        let shown = |incidents: &[IncidentNumbers]| {
            metrics.set(incidents, Timestamp(1_500));
            TextEncoder::new().encode_to_string(&registry.gather()).unwrap()
        };
        let text = shown(&many);
        for line in [
            r#"cardwatch_incident_cards{are="listed",incident="i99"} 10"#,
            r#"cardwatch_incident_cards{are="listed",incident="the.rest"} 30"#,
            r#"cardwatch_incident_alerts{decided="fraud",incident="the.rest"} 3"#,
            r#"cardwatch_incident_money_minor_units{currency="JPY",incident="i0",is="approved"} 12980"#,
            "cardwatch_books_timestamp_seconds 1.5",
        ] {
            assert!(text.contains(line), "{line}\n{text}");
        }
        assert!(!text.contains("i100"), "{text}");
        let text = shown(&many[1..2]);
        assert!(text.contains("i1\"") && !text.contains("i0\"") && !text.contains("the.rest"), "{text}");
    }
}
