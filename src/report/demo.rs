//! What a demonstration came to, beside the simulator's truth.

use std::collections::{HashMap, HashSet};
use std::io::{self, Write};

use serde::{Deserialize, Serialize};

use crate::books::Book;
use crate::domain::alert::Alert;
use crate::domain::card::Fingerprint;
use crate::domain::sighting::Sighting;

use super::books::money_table;
use super::evaluation::Confusion;
use super::plain::{counted, grouped};
use super::table::{Cell, Format, Look, Table};

/// The summary that `cardwatch demo --format json` prints on its last line: these keys and no others.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct DemoSummary {
    /// Transactions put on the stream.
    pub transactions: u64,
    /// Cards on the list at the end.
    pub exposed_cards: u64,
    /// Distinct sightings.
    pub sightings: u64,
    /// Distinct alerts: `true_alerts` and `false_alerts` together.
    pub alerts: u64,
    /// Alerts raised on a thief's transaction.
    pub true_alerts: u64,
    /// Alerts raised on a genuine transaction.
    pub false_alerts: u64,
    /// Thieves' *transactions* (not cards) that were sighted, so on a card that was on the list at that time,
    /// and that no alert covers.
    pub missed: u64,
    /// Sightings and alerts that arrived a second time. With exactly-once processing there are none.
    pub duplicates: u64,
}

/// Collects what a demonstration's readers see. Memory: the ids of sightings and alerts.
#[derive(Debug, Clone, Default)]
pub struct DemoTally {
    sightings: HashMap<String, bool>,
    alerts: HashSet<(String, u32)>,
    alert_ids: HashMap<String, bool>,
    covered: HashSet<String>,
    cards: HashMap<Fingerprint, CardTally>,
    duplicates: u64,
}

#[derive(Debug, Clone, Copy, Default)]
struct CardTally {
    misused: bool,
    caught: bool,
}

impl DemoTally {
    /// Notes a sighting; `is_misuse` is the truth about its transaction.
    pub fn sighting(&mut self, sighting: &Sighting, is_misuse: bool) {
        if self.sightings.insert(sighting.id.clone(), is_misuse).is_some() {
            self.duplicates += 1;
        }
        self.cards.entry(sighting.card.fingerprint).or_default().misused |= is_misuse;
    }

    /// Notes an alert; `is_misuse` is the truth about its transaction. A later revision of an alert is not
    /// counted again; the same revision a second time is a duplicate.
    pub fn alert(&mut self, alert: &Alert, is_misuse: bool) {
        if !self.alerts.insert((alert.id.clone(), alert.revision)) {
            self.duplicates += 1;
        }
        self.alert_ids.insert(alert.id.clone(), is_misuse);
        self.covered.extend(alert.covers.iter().cloned());
        self.cards.entry(alert.card.fingerprint).or_default().caught |= is_misuse;
    }

    /// Sightings and alerts so far.
    pub fn counts(&self) -> (u64, u64) {
        (self.sightings.len() as u64, self.alert_ids.len() as u64)
    }

    /// What it came to, for so many transactions on the stream and cards on the list at the end, and so many
    /// thieves' transactions in the whole world.
    pub fn report(&self, transactions: u64, exposed_cards: u64, misuse_in_world: u64) -> DemoReport {
        let alerts = self.alert_ids.len() as u64;
        let true_alerts = self.alert_ids.values().filter(|is_misuse| **is_misuse).count() as u64;
        let misuse = self.sightings.iter().filter(|(_, is_misuse)| **is_misuse);
        let misuse: Vec<bool> = misuse.map(|(id, _)| self.covered.contains(id)).collect();
        let missed = misuse.iter().filter(|covered| !**covered).count() as u64;
        let misused = self.cards.values().filter(|card| card.misused);
        DemoReport {
            summary: DemoSummary {
                transactions,
                exposed_cards,
                sightings: self.sightings.len() as u64,
                alerts,
                true_alerts,
                false_alerts: alerts - true_alerts,
                missed,
                duplicates: self.duplicates,
            },
            misuse_sighted: misuse.len() as u64,
            misuse_unlisted: misuse_in_world.saturating_sub(misuse.len() as u64),
            cards_misused: misused.clone().count() as u64,
            cards_caught: misused.filter(|card| card.caught).count() as u64,
        }
    }
}

/// The summary with what its text says besides.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DemoReport {
    /// The summary.
    pub summary: DemoSummary,
    /// Thieves' transactions that were sighted.
    pub misuse_sighted: u64,
    /// Thieves' transactions on cards that were not on the list at the time: nobody could have seen them.
    pub misuse_unlisted: u64,
    /// Cards with a sighted misuse.
    pub cards_misused: u64,
    /// Of those: cards with an alert on a misuse.
    pub cards_caught: u64,
}

impl DemoReport {
    /// The alerts beside an alert on every hit, counted in transactions.
    pub fn table(&self) -> Table {
        let summary = &self.summary;
        let mut table = Table::new(
            "demo",
            [
                ("alerting", "Alerting on"),
                ("alerts", "Alerts"),
                ("true_alerts", "True"),
                ("false_alerts", "False"),
                ("missed", "Missed"),
                ("precision", "Precision"),
                ("recall", "Recall"),
                ("false_per_catch", "False per catch"),
            ],
        );
        let caught = self.misuse_sighted.saturating_sub(summary.missed);
        let every_hit = summary.sightings.saturating_sub(self.misuse_sighted);
        for (name, caught, true_alerts, false_alarms, missed) in [
            ("cardwatch's rules", caught, summary.true_alerts, summary.false_alerts, summary.missed),
            ("every hit", self.misuse_sighted, self.misuse_sighted, every_hit, 0),
        ] {
            let alerts = Confusion { caught: true_alerts, false_alarms, missed, quiet: 0 };
            let found = Confusion { caught, false_alarms, missed, quiet: 0 };
            table.row([
                name.into(),
                (true_alerts + false_alarms).into(),
                true_alerts.into(),
                false_alarms.into(),
                missed.into(),
                Cell::Share(alerts.precision()),
                Cell::Share(found.recall()),
                Cell::Number(alerts.false_per_catch()),
            ]);
        }
        table
    }

    /// Writes the comparison with the truth; in JSON the [`DemoSummary`] as one object on one line.
    ///
    /// # Errors
    /// What `out` says.
    pub fn write(&self, out: &mut dyn Write, look: Look) -> io::Result<()> {
        let summary = &self.summary;
        if look.format == Format::Json {
            return writeln!(out, "{}", serde_json::to_string(summary)?);
        }
        writeln!(
            out,
            "{} transactions, {} sightings of {} exposed cards, {} duplicates.\n",
            grouped(summary.transactions),
            grouped(summary.sightings),
            grouped(summary.exposed_cards),
            grouped(summary.duplicates),
        )?;
        self.table().write(out, look)?;
        writeln!(
            out,
            "\nCounted in transactions: an alert is true when a thief made its transaction; missed are thieves'\n\
             transactions on listed cards that no alert covers. Of {} listed cards that thieves used, {} were\n\
             alerted on. {} more misuses were on cards that were not on the list at the time.",
            grouped(self.cards_misused),
            grouped(self.cards_caught),
            grouped(self.misuse_unlisted),
        )
    }
}

/// Writes what the incident's book came to, in short.
///
/// # Errors
/// What `out` says.
pub fn write_book(book: &Book, out: &mut dyn Write, look: Look) -> io::Result<()> {
    let (listed, total) = (&book.listed, book.total());
    writeln!(
        out,
        "\nThe incident's books, as `cardwatch incident show` keeps them in a real deployment: of {} on the list\n\
         {} seen and {} never; {} withdrawn. {} raised on {}, and nobody has decided on {} yet.\n",
        counted(listed.cards, "card", "cards"),
        grouped(listed.seen),
        grouped(listed.never_seen()),
        counted(book.withdrawn.cards, "was", "were"),
        counted(total.alerts, "alert was", "alerts were"),
        counted(total.suspected, "card", "cards"),
        grouped(total.undecided()),
    )?;
    money_table(book).write(out, look)
}

#[cfg(test)]
mod tests {
    use super::super::live::samples::{alert, sighting};
    use super::*;

    fn tally() -> DemoTally {
        let mut tally = DemoTally::default();
        // Card 1 has three misuses, one alerted, one covered by that alert; card 2 one false alarm; card 3 a missed misuse.
        for (id, card, is_misuse) in [
            ("s1", 1, true),
            ("s2", 1, true),
            ("s3", 1, true),
            ("s4", 2, false),
            ("s5", 3, true),
            ("s6", 2, false),
        ] {
            tally.sighting(&sighting(id, card), is_misuse);
        }
        tally.alert(&Alert { covers: vec!["s1".to_owned(), "s2".to_owned()], ..alert("a1", 1) }, true);
        tally.alert(&Alert { covers: vec!["s4".to_owned()], ..alert("a2", 2) }, false);
        tally
    }

    #[test]
    fn alerts_are_compared_with_the_truth() {
        let report = tally().report(1_000, 3, 6);
        let want = DemoSummary {
            transactions: 1_000,
            exposed_cards: 3,
            sightings: 6,
            alerts: 2,
            true_alerts: 1,
            false_alerts: 1,
            missed: 2,
            duplicates: 0,
        };
        assert_eq!(report.summary, want);
        assert_eq!((report.cards_misused, report.cards_caught, report.misuse_unlisted), (2, 1, 2));
        let rows = report.table().json();
        assert_eq!((&rows[0]["precision"], &rows[0]["recall"]), (&0.5.into(), &0.5.into()));
        assert_eq!((&rows[1]["alerts"], &rows[1]["true_alerts"]), (&6.into(), &4.into()));
    }

    #[test]
    fn the_book_is_told_in_short() {
        let mut out = Vec::new();
        write_book(&super::super::books::samples::undecided(), &mut out, Look::default()).unwrap();
        let text = String::from_utf8(out).unwrap();
        for part in [
            "of 29,773 cards on the list",
            "4,100 seen and 25,673 never",
            "4 alerts were raised on 3 cards",
            "JPY",
        ] {
            assert!(text.contains(part), "{part}\n{text}");
        }
    }

    #[test]
    fn what_arrives_twice_is_a_duplicate_and_counted_once() {
        let mut tally = tally();
        tally.sighting(&sighting("s4", 2), false);
        tally.alert(&alert("a2", 2), false);
        tally.alert(&Alert { revision: 2, ..alert("a2", 2) }, false);
        let summary = tally.report(0, 0, 0).summary;
        assert_eq!((summary.duplicates, summary.sightings, summary.alerts), (2, 6, 2));
    }

    #[test]
    fn the_json_has_exactly_the_promised_keys() {
        let mut out = Vec::new();
        tally().report(9, 3, 4).write(&mut out, Look { format: Format::Json, terminal: true }).unwrap();
        let json: serde_json::Value = serde_json::from_slice(&out).unwrap();
        let keys: Vec<&str> = json.as_object().unwrap().keys().map(String::as_str).collect();
        assert_eq!(
            keys.join(" "),
            "alerts duplicates exposed_cards false_alerts missed sightings transactions true_alerts"
        );
    }

    #[test]
    fn the_text_has_the_baseline_beside_it() {
        let mut out = Vec::new();
        tally().report(9, 3, 4).write(&mut out, Look::default()).unwrap();
        let text = String::from_utf8(out).unwrap();
        assert!(text.contains("every hit") && text.contains("Counted in transactions"), "{text}");
        assert!(text.contains("Of 2 listed cards that thieves used, 1 were"), "{text}");
    }
}
