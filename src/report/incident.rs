//! The report on an incident, for the manager of the company whose customers' cards were exposed.
//!
//! It tells what was seen and what was not looked at. An alert is never called more than a suspicion: what a person
//! has confirmed stands apart, and nothing else is called fraud.

mod coverage;

use std::fmt::Write;

use jiff::tz::TimeZone;
use serde_json::{Value, json};

use super::books::{counts_table, money_table, weeks_table};
use super::coverage::Coverage;
use super::plain::{counted, escaped};
use super::revision::{RevisionSide, details_rows, revision_table};
use super::table::Table;
use crate::books::Book;
use crate::domain::time::Timestamp;
use crate::exposure::record::{IncidentRecord, Revision, RevisionState};

/// The name and version of the JSON form.
pub const REPORT_SCHEMA: &str = "cardwatch.incident-report/1";

/// What is reported.
#[derive(Debug)]
pub struct IncidentReport<'a> {
    record: &'a IncidentRecord,
    book: &'a Book,
    coverage: &'a Coverage,
    zone: TimeZone,
    zone_name: String,
}

impl<'a> IncidentReport<'a> {
    /// A report. Times are told in the incident's zone.
    pub fn new(record: &'a IncidentRecord, book: &'a Book, coverage: &'a Coverage) -> IncidentReport<'a> {
        let name = record.details().map_or("UTC", |details| details.time_zone.as_str());
        let (zone, zone_name) = match TimeZone::get(name) {
            Ok(zone) => (zone, name.to_owned()),
            Err(_) => (TimeZone::UTC, "UTC".to_owned()),
        };
        IncidentReport { record, book, coverage, zone, zone_name }
    }

    /// The report in Markdown.
    pub fn markdown(&self) -> String {
        let mut text = String::new();
        // Writing into memory cannot fail.
        let _ = self.write(&mut text);
        text
    }

    fn write(&self, text: &mut String) -> std::fmt::Result {
        let name = self.record.details().map_or("no revision in force", |details| details.name.as_str());
        writeln!(text, "# Incident {}: {}\n", escaped(self.record.id.as_str()), escaped(name))?;
        writeln!(
            text,
            "The watch of exposed cards, as of {} ({}). All times are in this zone.\n",
            self.local(self.coverage.as_of),
            escaped(&self.zone_name)
        )?;
        if let Some(details) = self.record.details() {
            let mut table = Table::new("incident", [("field", "Incident"), ("value", "")]);
            table.row(["State".into(), self.record.state.as_str().into()]);
            for (name, value) in details_rows(details) {
                table.row([name.into(), value.into()]);
            }
            writeln!(text, "{}", table.markdown())?;
        }
        self.summary(text)?;
        writeln!(text, "## Cards and alerts\n\n{}", counts_table(self.book).markdown())?;
        writeln!(text, "{CARDS_EXPLAINED}\n")?;
        self.money(text)?;
        let weeks = weeks_table(self.book);
        if !weeks.is_empty() {
            writeln!(text, "## Week by week\n\n{}", weeks.markdown())?;
            writeln!(text, "Each card counts once in each column, in the week of its first such use.\n")?;
        }
        self.revisions(text)?;
        self.coverage(text)
    }

    fn summary(&self, text: &mut String) -> std::fmt::Result {
        let (listed, all) = (&self.book.listed, self.book.total());
        writeln!(text, "## In short\n")?;
        writeln!(
            text,
            "- {} on the list. {} been used since they have been watched, {} not.",
            counted(listed.cards, "card is", "cards are"),
            counted(listed.seen, "of them has", "of them have"),
            counted(listed.never_seen(), "has", "have"),
        )?;
        if all.alerts == 0 {
            writeln!(text, "- No alert was raised.\n")?;
            return Ok(());
        }
        writeln!(
            text,
            "- {} raised on {}. An alert is a suspicion: it says that a use does not look like the cardholder's, and \
             proves nothing.",
            counted(all.alerts, "alert was", "alerts were"),
            counted(all.suspected, "card", "cards"),
        )?;
        let verdicts = all.verdicts;
        if verdicts == Default::default() {
            return writeln!(text, "- No alert has been decided by a person yet.\n");
        }
        writeln!(
            text,
            "- Confirmed by a person: fraud on {} ({}). {} found to be the cardholder's own use; {} looked at and could \
             not be decided; {} for a decision.\n",
            counted(all.confirmed, "card", "cards"),
            counted(verdicts.fraud, "transaction", "transactions"),
            counted(verdicts.genuine, "alert was", "alerts were"),
            counted(verdicts.unknown, "was", "were"),
            counted(all.undecided(), "waits", "wait"),
        )
    }

    fn money(&self, text: &mut String) -> std::fmt::Result {
        let table = money_table(self.book);
        writeln!(text, "## Money\n")?;
        if table.is_empty() {
            return writeln!(text, "No transaction with an amount was seen.\n");
        }
        writeln!(text, "{}\n{MONEY_EXPLAINED}\n", table.markdown())
    }

    fn revisions(&self, text: &mut String) -> std::fmt::Result {
        writeln!(text, "## What was said of the incident, and when\n")?;
        for revision in self.told() {
            let at = self.local(revision.done_at.unwrap_or(revision.claimed.at));
            writeln!(text, "### Revision {}, {at}, by {}\n", revision.number, escaped(&revision.claimed.by))?;
            if let Some(undone) = &revision.undone {
                let at = self.local(undone.at);
                writeln!(text, "Undone on {at} by {}: it no longer counts.\n", escaped(&undone.by))?;
            }
            writeln!(text, "{}", self.change(revision).markdown())?;
        }
        Ok(())
    }

    /// The revisions that were in force at some time.
    fn told(&self) -> impl Iterator<Item = &Revision> {
        let told = |state| matches!(state, RevisionState::Done | RevisionState::Undone);
        self.record.revisions.iter().filter(move |revision| told(revision.state))
    }

    /// The before/after table of a revision.
    fn change(&self, revision: &Revision) -> Table {
        let before = revision.follows.and_then(|number| self.record.revision(number));
        let cards = revision.cards;
        let side = |of: Option<&Revision>, cards: u64| RevisionSide {
            revision: of.map(|revision| revision.number),
            details: of.map(|revision| revision.details.clone()),
            cards,
        };
        revision_table(
            &side(before, cards.map_or(0, |cards| cards.before)),
            &side(Some(revision), cards.map_or(0, |cards| cards.after)),
            revision.counts.added,
            revision.counts.withdrawn,
        )
    }

    /// The report for programs.
    pub fn json(&self) -> Value {
        let details = self.record.details().map(details_rows);
        let details = details.into_iter().flatten();
        let details: serde_json::Map<String, Value> =
            details.map(|(name, value)| (name.to_lowercase().replace(' ', "_"), value.into())).collect();
        let revisions: Vec<Value> = self
            .told()
            .map(|revision| {
                json!({
                    "revision": revision.number,
                    "at": revision.done_at.unwrap_or(revision.claimed.at),
                    "by": revision.claimed.by,
                    "undone": revision.undone.as_ref().map(|mark| json!({"at": mark.at, "by": mark.by})),
                    "changes": self.change(revision).json(),
                })
            })
            .collect();
        json!({
            "schema": REPORT_SCHEMA,
            "incident": self.record.id,
            "as_of": self.coverage.as_of,
            "time_zone": self.zone_name,
            "state": self.record.state.as_str(),
            "details": details,
            "counts": counts_table(self.book).json(),
            "money": money_table(self.book).json(),
            "weeks": weeks_table(self.book).json(),
            "revisions": revisions,
            "coverage": self.coverage_json(),
        })
    }

    /// A moment in the incident's zone, to the second.
    fn local(&self, at: Timestamp) -> String {
        match jiff::Timestamp::from_millisecond(at.millis()) {
            Ok(at) => at.to_zoned(self.zone.clone()).strftime("%Y-%m-%d %H:%M:%S %:z").to_string(),
            Err(_) => at.to_string(),
        }
    }
}

const CARDS_EXPLAINED: &str = "\
*Seen*: used within the watch, by whomever. *Suspected*: an alert was raised on a use of the card. *Confirmed*: a person
decided that it was fraud. *Withdrawn*: taken off the list again by a revision, with what was seen until then. *Others*: seen
for this incident under another key, or under a revision that was undone. *Deleted*: the card's records were removed; its
counts and sums are kept without it, and a card that is listed again counts anew.";

const MONEY_EXPLAINED: &str = "\
Each currency stands for itself; nothing is converted. A purchase that was authorized and cleared counts once; refunds,
reversals, account checks and repeated records move no money. *Suspected* is the part of *Approved* and *Declined* that alerts
were raised on. *Confirmed* is what a person decided to be fraud.";

#[cfg(test)]
mod tests;
