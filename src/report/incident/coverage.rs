//! What part of the time and of the transactions the report is about, and what part nobody has looked at.

use std::fmt::Write;

use serde_json::{Value, json};

use super::{IncidentReport, counted};
use crate::domain::time::Timestamp;
use crate::exposure::record::{Revision, RevisionState};
use crate::report::coverage::Lost;
use crate::report::plain::{escaped, grouped, percent};

const DAY_MS: u64 = 86_400_000;

/// A time that nobody has looked back over.
struct Unexamined {
    from: Timestamp,
    until: Timestamp,
}

impl Unexamined {
    /// Days, those begun included.
    fn days(&self) -> u64 {
        let span = self.until.millis().saturating_sub(self.from.millis()).max(0);
        span.unsigned_abs().div_ceil(DAY_MS)
    }
}

impl IncidentReport<'_> {
    pub(super) fn coverage(&self, text: &mut String) -> std::fmt::Result {
        writeln!(text, "## What was watched, and what was not\n")?;
        self.since(text)?;
        self.not_looked_back(text)?;
        self.lost(text)?;
        self.lateness(text)
    }

    fn since(&self, text: &mut String) -> std::fmt::Result {
        let topic = escaped(&self.coverage.topic);
        let read = self.coverage.watched.iter().filter(|watched| watched.is_read).count();
        match (read, self.coverage.since()) {
            (0, _) => writeln!(text, "- No transaction of `{topic}` has been read yet.")?,
            (_, Some(since)) => {
                writeln!(text, "- Transactions of `{topic}` have been read since {}.", self.local(since))?;
            }
            (_, None) => {
                writeln!(
                    text,
                    "- Transactions of `{topic}` are read; since when was not noted at the time."
                )?;
            }
        }
        let missing = self.coverage.watched.len() - read;
        if read > 0 && missing > 0 {
            let partitions = counted(missing as u64, "partition", "partitions");
            writeln!(text, "- Of {partitions} of the topic nothing has been read yet.")?;
        }
        if let Some(closed) = &self.record.closed {
            let (at, by) = (self.local(closed.at), escaped(&closed.by));
            writeln!(text, "- The watch ended on {at}, closed by {by}.")?;
        }
        Ok(())
    }

    fn not_looked_back(&self, text: &mut String) -> std::fmt::Result {
        let mut imports = self.imports();
        let Some((first, unexamined)) = imports.next() else {
            return writeln!(text, "- No list is in force, so no transaction is examined.");
        };
        writeln!(
            text,
            "- The exposure began on {}; the list was imported on {}. **The {} between have not been examined: \
             cardwatch has not looked back over them.**",
            self.local(unexamined.from),
            self.local(imported(first)),
            counted(unexamined.days(), "day", "days"),
        )?;
        let earliest = self.book.total().first.filter(|earliest| *earliest < unexamined.until);
        if let Some(earliest) = earliest {
            writeln!(
                text,
                "- Only transactions that were still waiting to be read then, or came late, are from before; the earliest \
                 that was seen is from {}.",
                self.local(earliest)
            )?;
        }
        for (revision, unexamined) in imports.filter(|(revision, _)| revision.counts.added > 0) {
            writeln!(
                text,
                "- {} added by revision {} on {}: for them the {} before that have not been examined either.",
                counted(revision.counts.added, "card was", "cards were"),
                revision.number,
                self.local(imported(revision)),
                counted(unexamined.days(), "day", "days"),
            )?;
        }
        let outside = self.book.total().outside;
        if outside > 0 {
            let seen = counted(outside, "transaction was", "transactions were");
            writeln!(
                text,
                "- {seen} seen before the exposure or outside the watch period: not counted above."
            )?;
        }
        Ok(())
    }

    fn lost(&self, text: &mut String) -> std::fmt::Result {
        for Lost { range, at, by, skipped } in &self.coverage.lost {
            let what = if *skipped { "Skipped on purpose" } else { "Lost before they were read" };
            let records = match range.records().unsigned_abs() {
                0 => "records in unknown number".to_owned(),
                records => counted(records, "record", "records"),
            };
            let times = match (range.from, range.until) {
                (Some(from), Some(until)) => {
                    format!(", written from {} to {}", self.local(from), self.local(until))
                }
                (None, Some(until)) => format!(", written before {}", self.local(until)),
                (Some(from), None) => format!(", written from {} on", self.local(from)),
                (None, None) => String::new(),
            };
            writeln!(
                text,
                "- {what}: {records} of partition {} (from offset {}{times}); {} answers for going on without them since \
                 {}.",
                range.partition,
                range.first,
                escaped(by),
                self.local(*at),
            )?;
        }
        if self.coverage.lost.is_empty() {
            writeln!(text, "- No transaction is known to have been lost before it was read.")?;
        }
        Ok(())
    }

    fn lateness(&self, text: &mut String) -> std::fmt::Result {
        match (self.coverage.unread(), self.coverage.oldest_unread()) {
            (0, _) => writeln!(text, "- Every transaction there was at that moment had been read.")?,
            (unread, oldest) => {
                let oldest = oldest.map(|oldest| format!(", the oldest from {}", self.local(oldest)));
                let waiting = counted(unread, "transaction waited", "transactions waited");
                writeln!(text, "- {waiting} to be read{}.", oldest.unwrap_or_default())?;
            }
        }
        if self.coverage.unjudged > 0 {
            let unjudged = counted(self.coverage.unjudged, "transaction", "transactions");
            writeln!(text, "- {unjudged} on exposed cards had been read and not judged: not counted above.")?;
        }
        let all = self.book.total();
        writeln!(
            text,
            "- {} of {} seen on exposed cards came too late for an alert to help ({}).",
            grouped(all.late),
            counted(all.sightings, "transaction", "transactions"),
            percent((all.sightings > 0).then(|| all.late as f64 / all.sightings as f64)),
        )
    }

    /// The revisions in force that brought cards, each with the time before it.
    fn imports(&self) -> impl Iterator<Item = (&Revision, Unexamined)> {
        let from = self.record.details().and_then(|details| details.exposure_span().ok());
        let began = self.coverage.since();
        let done = self.record.revisions.iter().filter(|revision| revision.state == RevisionState::Done);
        done.filter_map(move |revision| {
            let until = imported(revision).max(began.unwrap_or_default());
            Some((revision, Unexamined { from: from?.0, until }))
        })
    }

    pub(super) fn coverage_json(&self) -> Value {
        let all = self.book.total();
        let unexamined: Vec<Value> = self
            .imports()
            .map(|(revision, unexamined)| {
                json!({
                    "revision": revision.number,
                    "cards_added": revision.counts.added,
                    "from": unexamined.from,
                    "until": unexamined.until,
                    "days": unexamined.days(),
                })
            })
            .collect();
        let lost: Vec<Value> = self
            .coverage
            .lost
            .iter()
            .map(|lost| json!({"range": lost.range, "at": lost.at, "by": lost.by, "skipped": lost.skipped}))
            .collect();
        json!({
            "topic": self.coverage.topic,
            "since": self.coverage.since(),
            "closed": self.record.closed.as_ref().map(|mark| mark.at),
            "partitions": self.coverage.watched.len(),
            "partitions_read": self.coverage.watched.iter().filter(|watched| watched.is_read).count(),
            "not_looked_back": unexamined,
            "earliest_seen": all.first,
            "latest_seen": all.last,
            "outside_watch": all.outside,
            "lost": lost,
            "unread": self.coverage.unread(),
            "oldest_unread": self.coverage.oldest_unread(),
            "unjudged": self.coverage.unjudged,
            "late": all.late,
            "transactions": all.sightings,
        })
    }
}

fn imported(revision: &Revision) -> Timestamp {
    revision.done_at.unwrap_or(revision.claimed.at)
}
