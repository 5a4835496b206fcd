//! How good alerts are, beside alerting on every hit.

use std::collections::HashMap;
use std::io::{self, Write};

use serde::Serialize;

use super::table::{Cell, Format, Look, Table};

/// Judgements against the truth.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Confusion {
    /// Alerted and misuse.
    pub caught: u64,
    /// Alerted and genuine.
    pub false_alarms: u64,
    /// Not alerted and misuse.
    pub missed: u64,
    /// Not alerted and genuine.
    pub quiet: u64,
}

impl Confusion {
    /// The share of alerts that were misuse; `None` without alerts.
    pub fn precision(self) -> Option<f64> {
        ratio(self.caught, self.caught + self.false_alarms)
    }

    /// The share of misuse that was alerted; `None` without misuse.
    pub fn recall(self) -> Option<f64> {
        ratio(self.caught, self.caught + self.missed)
    }

    /// False alarms for each catch; `None` without a catch.
    pub fn false_per_catch(self) -> Option<f64> {
        ratio(self.false_alarms, self.caught)
    }

    /// The same judgements had every hit raised an alert.
    pub fn every_hit(self) -> Confusion {
        Confusion {
            caught: self.caught + self.missed,
            false_alarms: self.false_alarms + self.quiet,
            missed: 0,
            quiet: 0,
        }
    }

    fn count(&mut self, is_misuse: bool, alerted: bool) {
        match (alerted, is_misuse) {
            (true, true) => self.caught += 1,
            (true, false) => self.false_alarms += 1,
            (false, true) => self.missed += 1,
            (false, false) => self.quiet += 1,
        }
    }
}

fn ratio(part: u64, whole: u64) -> Option<f64> {
    (whole > 0).then(|| part as f64 / whole as f64)
}

/// Collects judgements with their truth, one sighting at a time. Memory: one entry for each card seen.
#[derive(Debug, Clone, Default)]
pub struct Evaluation {
    transactions: Confusion,
    cards: HashMap<[u8; 32], CardSeen>,
}

/// What was seen of one card.
#[derive(Debug, Clone, Copy, Default)]
struct CardSeen {
    misused: bool,
    alerted: bool,
    caught: bool,
}

impl Evaluation {
    /// Notes one judged transaction of the card with this fingerprint.
    pub fn observe(&mut self, card: &[u8; 32], is_misuse: bool, alerted: bool) {
        self.transactions.count(is_misuse, alerted);
        let seen = self.cards.entry(*card).or_default();
        seen.misused |= is_misuse;
        seen.alerted |= alerted;
        seen.caught |= is_misuse && alerted;
    }

    /// What it comes to.
    ///
    /// A card is *caught* when at least one of its misuses raised an alert, *missed* when it was misused and none
    /// did, a *false alarm* when it raised alerts and was never misused. The ratio of the last to the first is
    /// the trade's account false-positive ratio.
    pub fn report(&self) -> EvaluationReport {
        let mut cards = Confusion::default();
        for seen in self.cards.values() {
            cards.count(seen.misused, if seen.misused { seen.caught } else { seen.alerted });
        }
        EvaluationReport { transactions: self.transactions, cards }
    }
}

/// What an evaluation comes to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EvaluationReport {
    /// Counted by transaction.
    pub transactions: Confusion,
    /// Counted by card.
    pub cards: Confusion,
}

/// The JSON form of a [`Confusion`].
#[derive(Serialize)]
struct Scores {
    alerts: u64,
    caught: u64,
    false_alarms: u64,
    missed: u64,
    precision: Option<f64>,
    recall: Option<f64>,
    false_per_catch: Option<f64>,
}

impl From<Confusion> for Scores {
    fn from(counts: Confusion) -> Scores {
        Scores {
            alerts: counts.caught + counts.false_alarms,
            caught: counts.caught,
            false_alarms: counts.false_alarms,
            missed: counts.missed,
            precision: counts.precision(),
            recall: counts.recall(),
            false_per_catch: counts.false_per_catch(),
        }
    }
}

#[derive(Serialize)]
struct Counted {
    seen: u64,
    misused: u64,
    rules: Scores,
    every_hit: Scores,
}

impl From<Confusion> for Counted {
    fn from(counts: Confusion) -> Counted {
        let baseline = counts.every_hit();
        Counted {
            seen: baseline.caught + baseline.false_alarms,
            misused: baseline.caught,
            rules: counts.into(),
            every_hit: baseline.into(),
        }
    }
}

#[derive(Serialize)]
struct Json {
    transactions: Counted,
    cards: Counted,
}

impl EvaluationReport {
    /// The four rows: by transaction and by card, the rules and the alert on every hit.
    pub fn table(&self) -> Table {
        let mut table = Table::new(
            "evaluation",
            [
                ("counted", "Counted by"),
                ("alerting", "Alerting on"),
                ("alerts", "Alerts"),
                ("caught", "Caught"),
                ("false_alarms", "False"),
                ("missed", "Missed"),
                ("precision", "Precision"),
                ("recall", "Recall"),
                ("false_per_catch", "False per catch"),
            ],
        );
        for (unit, counts) in [("transaction", self.transactions), ("card", self.cards)] {
            for (alerting, counts) in [("rules", counts), ("every hit", counts.every_hit())] {
                table.row([
                    unit.into(),
                    alerting.into(),
                    (counts.caught + counts.false_alarms).into(),
                    counts.caught.into(),
                    counts.false_alarms.into(),
                    counts.missed.into(),
                    Cell::Share(counts.precision()),
                    Cell::Share(counts.recall()),
                    Cell::Number(counts.false_per_catch()),
                ]);
            }
        }
        table
    }

    /// Writes the table, or in JSON one object: `transactions` and `cards`, each with `rules` and `every_hit`.
    ///
    /// # Errors
    /// What `out` says.
    pub fn write(&self, out: &mut dyn Write, look: Look) -> io::Result<()> {
        match look.format {
            Format::Text => self.table().write(out, look),
            Format::Json => {
                let json = Json { transactions: self.transactions.into(), cards: self.cards.into() };
                writeln!(out, "{}", serde_json::to_string(&json)?)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn card(number: u8) -> [u8; 32] {
        [number; 32]
    }

    #[test]
    fn precision_recall_and_false_alarms_are_what_the_trade_means_by_them() {
        let mut evaluation = Evaluation::default();
        // Card 1: misused twice, alerted once, and once falsely. Card 2: a false alarm only.
        // Card 3: misused and alerted only on a genuine use. Card 4: quiet.
        for (number, is_misuse, alerted) in [
            (1, true, true),
            (1, true, false),
            (1, false, true),
            (1, false, false),
            (2, false, true),
            (2, false, true),
            (2, false, true),
            (3, true, false),
            (3, false, true),
            (4, false, false),
        ] {
            evaluation.observe(&card(number), is_misuse, alerted);
        }
        let report = evaluation.report();
        assert_eq!(report.transactions, Confusion { caught: 1, false_alarms: 5, missed: 2, quiet: 2 });
        assert_eq!(report.cards, Confusion { caught: 1, false_alarms: 1, missed: 1, quiet: 1 });
        assert_eq!(report.transactions.precision(), Some(1.0 / 6.0));
        assert_eq!(report.transactions.recall(), Some(1.0 / 3.0));
        assert_eq!(report.transactions.false_per_catch(), Some(5.0));
        let baseline = report.transactions.every_hit();
        assert_eq!((baseline.precision(), baseline.recall()), (Some(0.3), Some(1.0)));
    }

    #[test]
    fn nothing_seen_is_nothing_claimed() {
        let none = Evaluation::default().report().transactions;
        assert_eq!((none.precision(), none.recall(), none.false_per_catch()), (None, None, None));
    }

    #[test]
    fn both_forms_carry_the_baseline() {
        let mut evaluation = Evaluation::default();
        for number in 0..100 {
            evaluation.observe(&card(number), number == 0, number < 2);
        }
        let report = evaluation.report();
        let (mut json, mut text) = (Vec::new(), Vec::new());
        report.write(&mut json, Look { format: Format::Json, terminal: false }).unwrap();
        report.write(&mut text, Look::default()).unwrap();
        let json: serde_json::Value = serde_json::from_slice(&json).unwrap();
        assert_eq!(json["cards"]["rules"]["precision"], 0.5);
        assert_eq!(json["cards"]["every_hit"]["precision"], 0.01);
        assert_eq!(json["transactions"]["seen"], 100);
        let text = String::from_utf8(text).unwrap();
        let baseline = text.lines().find(|line| line.contains("every hit")).unwrap();
        assert!(baseline.contains("1.00 %") && baseline.contains("99.0"), "{text}");
    }

    proptest! {
        #[test]
        fn cards_and_transactions_agree_with_a_naive_count(
            seen in proptest::collection::vec((0u8..6, any::<bool>(), any::<bool>()), 0..60),
        ) {
            let mut evaluation = Evaluation::default();
            for &(number, is_misuse, alerted) in &seen {
                evaluation.observe(&card(number), is_misuse, alerted);
            }
            let report = evaluation.report();
            let count = |wanted: (bool, bool)| seen.iter().filter(|(_, m, a)| (*m, *a) == wanted).count() as u64;
            prop_assert_eq!(report.transactions.caught, count((true, true)));
            prop_assert_eq!(report.transactions.missed, count((true, false)));
            prop_assert_eq!(report.transactions.false_alarms, count((false, true)));
            let uses = |number: u8| seen.iter().filter(move |(card, ..)| *card == number);
            let misused = |number: u8| uses(number).any(|(_, m, _)| *m);
            let cards = |test: &dyn Fn(u8) -> bool| (0u8..6).filter(|number| test(*number)).count() as u64;
            prop_assert_eq!(report.cards.caught, cards(&|n| uses(n).any(|(_, m, a)| *m && *a)));
            prop_assert_eq!(report.cards.false_alarms, cards(&|n| !misused(n) && uses(n).any(|(_, _, a)| *a)));
            prop_assert_eq!(report.cards.caught + report.cards.missed, cards(&misused));
        }
    }
}
