//! The books of incidents as metrics.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, PoisonError};

use prometheus::{Gauge, IntGaugeVec, Registry};

use super::{MetricsError, REST, epoch_seconds, gauges};
use crate::domain::time::Timestamp;

/// How many incidents have series of their own; the rest are summed.
pub const INCIDENTS_SHOWN: usize = 100;
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
    /// How many minor units make a unit of each currency in `money`.
    pub currencies: Vec<(&'static str, u64)>,
    /// Transactions of its cards by what they were.
    pub uses: Vec<(&'static str, u64)>,
    /// The number of the last revision in force.
    pub revision: u64,
    /// When the list of its cards was last changed, in seconds since the epoch.
    pub revised: u64,
    /// When one of its cards was last seen, in seconds since the epoch; 0 where none was.
    pub last_seen: u64,
    /// Whether its cards are watched.
    pub open: bool,
}

/// What the books say, for dashboards.
#[derive(Debug, Clone)]
pub struct IncidentMetrics {
    cards: Family,
    alerts: Family,
    money: Family,
    uses: Family,
    revision: Family,
    revised: Family,
    last_seen: Family,
    open: Family,
    currencies: IntGaugeVec,
    as_of: Gauge,
}

/// The series of one name. Those that share the rest's series are added up, or the highest of them counts.
#[derive(Debug, Clone)]
struct Family {
    gauges: IntGaugeVec,
    join: fn(u64, u64) -> u64,
    shown: Arc<Mutex<BTreeSet<Vec<String>>>>,
}

impl Family {
    fn added(gauges: IntGaugeVec) -> Family {
        Family { gauges, join: u64::saturating_add, shown: Arc::default() }
    }

    fn highest(gauges: IntGaugeVec) -> Family {
        Family { gauges, join: u64::max, shown: Arc::default() }
    }

    /// Sets the series, and only then takes away those that were shown before and are gone: whoever reads
    /// meanwhile misses none.
    fn show<'a>(&self, values: impl Iterator<Item = (Vec<&'a str>, u64)>) {
        let mut joined: BTreeMap<Vec<&str>, u64> = BTreeMap::new();
        for (labels, value) in values {
            joined.entry(labels).and_modify(|own| *own = (self.join)(*own, value)).or_insert(value);
        }
        for (labels, value) in &joined {
            self.gauges.with_label_values(labels).set(i64::try_from(*value).unwrap_or(i64::MAX));
        }
        let now = joined.keys().map(|labels| labels.iter().map(|label| (*label).to_owned()).collect());
        let now: BTreeSet<Vec<String>> = now.collect();
        let mut shown = self.shown.lock().unwrap_or_else(PoisonError::into_inner);
        for gone in shown.difference(&now) {
            let _ = self.gauges.remove_label_values(gone);
        }
        *shown = now;
    }
}

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
        let family = |name, help, labels: &[&str]| gauges(registry, name, help, labels);
        Ok(IncidentMetrics {
            cards: Family::added(family(
                "cardwatch_incident_cards",
                "Cards of an incident. The same in every process that keeps books: take the maximum, not the sum.",
                &["incident", "are"],
            )?),
            alerts: Family::added(family(
                "cardwatch_incident_alerts",
                "Alerts on the cards of an incident, by what a person decided.",
                &["incident", "decided"],
            )?),
            money: Family::added(family(
                "cardwatch_incident_money_minor_units",
                "Money of transactions on the cards of an incident, in the currency's minor units.",
                &["incident", "currency", "is"],
            )?),
            uses: Family::added(family(
                "cardwatch_incident_uses",
                "Transactions on the cards of an incident within its watch, duplicates left out, by what they were.",
                &["incident", "was"],
            )?),
            revision: Family::highest(family(
                "cardwatch_incident_revision",
                "Number of the last revision of an incident that is in force.",
                &["incident"],
            )?),
            revised: Family::highest(family(
                "cardwatch_incident_revised_timestamp_seconds",
                "When the list of an incident was last changed: by a revision, its undoing or the closing.",
                &["incident"],
            )?),
            last_seen: Family::highest(family(
                "cardwatch_incident_last_seen_timestamp_seconds",
                "Time of the newest transaction on a card of an incident within its watch; 0 where there was none.",
                &["incident"],
            )?),
            open: Family::added(family(
                "cardwatch_incident_open",
                "1 for an incident whose cards are watched, 0 for one that is closed.",
                &["incident"],
            )?),
            currencies: gauges(
                registry,
                "cardwatch_currency_minor_units",
                "How many minor units make a unit of a currency that the books have: 100 for EUR, 1 for JPY.",
                &["currency"],
            )?,
            as_of,
        })
    }

    /// Shows the books of `incidents`, the most important first, and nothing of incidents that are gone.
    pub fn set(&self, incidents: &[IncidentNumbers], as_of: Timestamp) {
        let named: Vec<(&str, &IncidentNumbers)> = incidents
            .iter()
            .enumerate()
            .map(|(place, numbers)| {
                (if place < INCIDENTS_SHOWN { numbers.incident.as_str() } else { REST }, numbers)
            })
            .collect();
        let split = |family: &Family, of: fn(&IncidentNumbers) -> &[(&'static str, u64)]| {
            family.show(named.iter().flat_map(|(incident, numbers)| {
                of(numbers).iter().map(|(word, count)| (vec![*incident, *word], *count))
            }));
        };
        split(&self.cards, |numbers| &numbers.cards);
        split(&self.alerts, |numbers| &numbers.alerts);
        split(&self.uses, |numbers| &numbers.uses);
        let money = named.iter().flat_map(|(incident, numbers)| {
            numbers.money.iter().map(|(currency, is, minor)| (vec![*incident, *currency, *is], *minor))
        });
        self.money.show(money);
        let whole = |family: &Family, of: fn(&IncidentNumbers) -> u64| {
            family.show(named.iter().map(|(incident, numbers)| (vec![*incident], of(numbers))));
        };
        whole(&self.revision, |numbers| numbers.revision);
        whole(&self.revised, |numbers| numbers.revised);
        whole(&self.last_seen, |numbers| numbers.last_seen);
        whole(&self.open, |numbers| u64::from(numbers.open));
        for (currency, units) in incidents.iter().flat_map(|numbers| &numbers.currencies) {
            self.currencies.with_label_values(&[*currency]).set(i64::try_from(*units).unwrap_or(i64::MAX));
        }
        self.as_of.set(epoch_seconds(as_of));
    }
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
            currencies: vec![("JPY", 1)],
            uses: vec![("approved", 2)],
            revision: n as u64 + 1,
            revised: 1_000 + n as u64,
            last_seen: 0,
            open: true,
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
            r#"cardwatch_incident_revision{incident="i0"} 1"#,
            r#"cardwatch_incident_revised_timestamp_seconds{incident="the.rest"} 1102"#,
            r#"cardwatch_incident_open{incident="the.rest"} 3"#,
            r#"cardwatch_incident_uses{incident="i0",was="approved"} 2"#,
            r#"cardwatch_incident_last_seen_timestamp_seconds{incident="i0"} 0"#,
            r#"cardwatch_currency_minor_units{currency="JPY"} 1"#,
            "cardwatch_books_timestamp_seconds 1.5",
        ] {
            assert!(text.contains(line), "{line}\n{text}");
        }
        assert!(!text.contains("i100"), "{text}");
        let text = shown(&many[1..2]);
        assert!(text.contains("i1\"") && !text.contains("i0\"") && !text.contains("the.rest"), "{text}");
    }
}
