//! What `books` and the desk measure.

use prometheus::{Gauge, IntCounterVec, IntGauge, IntGaugeVec, Registry};

use super::{MetricsError, REST, counters, gauge, gauges};

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

/// Ages of open alerts: the word for each, and the age in seconds that it ends before.
pub const AGES: [(&str, i64); 5] = [
    ("under_1h", 3_600),
    ("under_4h", 4 * 3_600),
    ("under_1d", 86_400),
    ("under_7d", 7 * 86_400),
    ("over_7d", i64::MAX),
];

/// Which of [`AGES`] an age in seconds belongs to.
pub fn age_band(seconds: i64) -> usize {
    AGES.iter().position(|(_, end)| seconds < *end).unwrap_or(AGES.len() - 1)
}

/// The desk as it is at one moment.
#[derive(Debug, Clone, Default)]
pub struct DeskNumbers<'a> {
    /// Open alerts by severity.
    pub severities: Vec<(&'a str, u64)>,
    /// Open alerts by age, as [`AGES`] has them.
    pub ages: [u64; AGES.len()],
    /// Open alerts by rule: an alert counts under each of its reasons.
    pub rules: Vec<(&'a str, u64)>,
    /// Age of the oldest open alert in seconds.
    pub oldest_seconds: f64,
    /// Alerts known.
    pub known: usize,
    /// Alerts left out.
    pub left_out: u64,
}

/// What the desk measures. Every process that keeps one shows the same: take the maximum, not the sum.
#[derive(Debug, Clone)]
pub struct DeskMetrics {
    open: IntGaugeVec,
    ages: IntGaugeVec,
    by_rule: IntGaugeVec,
    oldest: Gauge,
    known: IntGauge,
    evicted: IntGauge,
    severities: Vec<&'static str>,
    rules: Vec<String>,
}

impl DeskMetrics {
    /// Declares them. Series of `severities` and of `rules` start at 0; alerts by rules that are not among these, because
    /// they were raised under others, share one series.
    ///
    /// # Errors
    /// When one of them is declared already.
    pub fn new(
        registry: &Registry,
        severities: &[&'static str],
        rules: &[&str],
    ) -> Result<DeskMetrics, MetricsError> {
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
            ages: gauges(
                registry,
                "cardwatch_open_alerts_by_age",
                "Alerts that wait for a decision, by how long they have waited.",
                &["age"],
            )?,
            by_rule: gauges(
                registry,
                "cardwatch_open_alerts_by_rule",
                "Alerts that wait for a decision, under each rule among their reasons.",
                &["rule"],
            )?,
            oldest,
            known: gauge(registry, "cardwatch_desk_alerts", "Alerts known to the desk.")?,
            evicted: gauge(
                registry,
                "cardwatch_desk_left_out_alerts",
                "Alerts that are still on their topic and that the desk left out, beyond books.alerts_max.",
            )?,
            severities: severities.to_vec(),
            rules: rules.iter().map(|rule| (*rule).to_owned()).collect(),
        };
        metrics.show(&DeskNumbers::default());
        Ok(metrics)
    }

    /// The desk as it is now.
    pub fn show(&self, desk: &DeskNumbers<'_>) {
        for severity in &self.severities {
            let found = desk.severities.iter().find(|(word, _)| word == severity);
            self.open.with_label_values(&[*severity]).set(whole(found.map_or(0, |(_, count)| *count)));
        }
        for ((age, _), count) in AGES.iter().zip(desk.ages) {
            self.ages.with_label_values(&[*age]).set(whole(count));
        }
        let is_known = |rule: &str| self.rules.iter().any(|known| known == rule);
        for rule in &self.rules {
            let found = desk.rules.iter().find(|(name, _)| name == rule);
            self.by_rule.with_label_values(&[rule.as_str()]).set(whole(found.map_or(0, |(_, count)| *count)));
        }
        let others = desk.rules.iter().filter(|(rule, _)| !is_known(rule)).map(|(_, count)| count).sum();
        self.by_rule.with_label_values(&[REST]).set(whole(others));
        self.oldest.set(desk.oldest_seconds);
        self.known.set(whole(desk.known as u64));
        self.evicted.set(whole(desk.left_out));
    }
}

fn whole(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use prometheus::TextEncoder;

    #[test]
    fn open_alerts_are_shown_by_age_and_under_rules_that_were_known_at_the_start() {
        let registry = Registry::new();
        let metrics = DeskMetrics::new(&registry, &["low", "high"], &["fast", "dear"]).unwrap();
        for (seconds, band) in [(-5, 0), (0, 0), (3_599, 0), (3_600, 1), (86_400, 3), (i64::MAX, 4)] {
            assert_eq!(age_band(seconds), band, "{seconds}");
        }
        let rules = vec![("fast", 2), ("gone", 1), ("gone-too", 4)];
        let ages = [3, 0, 0, 0, 1];
        metrics.show(&DeskNumbers { severities: vec![("high", 4)], ages, rules, ..DeskNumbers::default() });
        let text = TextEncoder::new().encode_to_string(&registry.gather()).unwrap();
        for line in [
            r#"cardwatch_open_alerts{severity="low"} 0"#,
            r#"cardwatch_open_alerts{severity="high"} 4"#,
            r#"cardwatch_open_alerts_by_age{age="under_1h"} 3"#,
            r#"cardwatch_open_alerts_by_age{age="over_7d"} 1"#,
            r#"cardwatch_open_alerts_by_rule{rule="fast"} 2"#,
            r#"cardwatch_open_alerts_by_rule{rule="dear"} 0"#,
            r#"cardwatch_open_alerts_by_rule{rule="the.rest"} 5"#,
        ] {
            assert!(text.contains(line), "{line}\n{text}");
        }
        assert!(!text.contains("gone"), "{text}");
    }
}
