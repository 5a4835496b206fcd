//! `cardwatch audit list | follow`.

use std::io::Write;
use std::sync::Arc;

use super::args::{Args, AuditCommand, AuditFilter};
use super::output::Output;
use super::settings;
use super::signals::Signals;
use crate::app::audit::trail;
use crate::clock::SystemClock;
use crate::domain::audit::{AuditRecord, Via};
use crate::files::audit::AuditFile;
use crate::lines::audit::Entry;
use crate::lines::start::Stopped;
use crate::report::table::{Cell, Table};
use crate::stop::exit;

pub(super) fn run(args: &Args, command: &AuditCommand, output: &Output) -> Result<(), Stopped> {
    match command {
        AuditCommand::List { filter, last, file: None } => {
            let trail = trail(&settings(args)?, Arc::new(SystemClock))?;
            let mut found = Found::new(filter, *last);
            trail.read(filter.since, |entry| found.entry(entry))?;
            found.show(output);
            Ok(())
        }
        AuditCommand::List { filter, last, file: Some(path) } => {
            let mut found = Found::new(filter, *last);
            let spoilt = AuditFile::new(path)
                .read(|record| found.record(record))
                .map_err(|error| Stopped::new(exit::DATA, error.to_string()))?;
            found.spoilt.extend(spoilt.iter().map(|line| format!("line {line}")));
            found.show(output);
            Ok(())
        }
        AuditCommand::Follow { filter } => {
            let trail = trail(&settings(args)?, Arc::new(SystemClock))?;
            let mut signals = Signals::listen()?;
            let closed = std::cell::Cell::new(false);
            let going = || !closed.get() && signals.next().is_none();
            trail.follow(filter.since, going, |entry| {
                if let Entry::Record(record) = entry
                    && matches(filter, &record)
                {
                    // A closed pipe is the reader's choice, and the end.
                    let shown = if output.is_json() { json(&record) } else { sentence(&record) };
                    closed.set(writeln!(std::io::stdout().lock(), "{shown}").is_err());
                }
            })
        }
    }
}

/// Records that pass the filter.
struct Found<'a> {
    filter: &'a AuditFilter,
    last: Option<usize>,
    records: Vec<AuditRecord>,
    spoilt: Vec<String>,
}

impl<'a> Found<'a> {
    fn new(filter: &'a AuditFilter, last: Option<usize>) -> Found<'a> {
        Found { filter, last, records: Vec::new(), spoilt: Vec::new() }
    }

    fn entry(&mut self, entry: Entry) {
        match entry {
            Entry::Record(record) => self.record(*record),
            Entry::Other(offset) => self.spoilt.push(format!("offset {offset}")),
        }
    }

    fn record(&mut self, record: AuditRecord) {
        if matches(self.filter, &record) {
            self.records.push(record);
        }
    }

    fn show(mut self, output: &Output) {
        if let Some(last) = self.last {
            self.records.drain(..self.records.len().saturating_sub(last));
        }
        if !self.spoilt.is_empty() {
            output.remark(&format!("no audit record: {}", self.spoilt.join(", ")));
        }
        if output.is_json() {
            output
                .write(|out, _| self.records.iter().try_for_each(|record| writeln!(out, "{}", json(record))));
        } else {
            output.tables(&[table(&self.records)]);
        }
    }
}

fn matches(filter: &AuditFilter, record: &AuditRecord) -> bool {
    let by = &record.by;
    let who = |name: &String| {
        by.user == *name || by.claimed.as_ref() == Some(name) || by.token.as_ref() == Some(name)
    };
    let subject =
        |start: &String| record.subject == *start || record.subject.starts_with(&format!("{start}/"));
    (filter.acts.is_empty() || filter.acts.iter().any(|act| act.as_str() == record.act))
        && filter.by.as_ref().is_none_or(who)
        && filter.subject.as_ref().is_none_or(subject)
        && filter.outcome.is_none_or(|outcome| outcome == record.outcome)
        && filter.since.is_none_or(|since| record.at >= since)
        && filter.until.is_none_or(|until| record.at < until)
}

fn json(record: &AuditRecord) -> String {
    String::from_utf8_lossy(&record.to_json()).into_owned()
}

/// Who, as far as it is known: the user and the host, or the token; what they said of themselves in quotes.
fn who(record: &AuditRecord) -> String {
    let by = &record.by;
    let known = match (by.via, &by.token) {
        (Via::Http, Some(token)) => format!("token {token}"),
        _ => by.login(),
    };
    by.claimed.as_ref().map_or(known.clone(), |claimed| format!("{known} ({claimed:?})"))
}

fn sentence(record: &AuditRecord) -> String {
    let why = record.error.as_ref().or(record.reason.as_ref());
    let why = why.map_or_else(String::new, |why| format!(": {why}"));
    let outcome = record.outcome.as_str();
    format!("{} {} {} {outcome} by {}{why}", record.at, record.act, record.subject, who(record))
}

fn table(records: &[AuditRecord]) -> Table {
    let columns = [
        ("at", "At"),
        ("act", "Act"),
        ("subject", "Subject"),
        ("outcome", "Outcome"),
        ("by", "By"),
        ("why", "Why"),
        ("id", "Id"),
    ];
    let mut table = Table::new("audit", columns);
    for record in records {
        let why = record.error.as_ref().or(record.reason.as_ref());
        table.row([
            record.at.to_string().into(),
            record.act.as_str().into(),
            record.subject.as_str().into(),
            record.outcome.as_str().into(),
            who(record).into(),
            why.map_or(Cell::Empty, |why| why.as_str().into()),
            record.id.as_str().into(),
        ]);
    }
    table
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::args::{self, Command};
    use crate::domain::audit::{AUDIT_SCHEMA, By, Ending};
    use crate::domain::time::Timestamp;

    fn filter(line: &str) -> AuditFilter {
        let words = ["cardwatch", "audit", "follow"].into_iter().chain(line.split_whitespace());
        match args::parse(words, String::new()).unwrap().command {
            Command::Audit(AuditCommand::Follow { filter }) => filter,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn each_filter_lets_through_what_it_names() {
        let record = AuditRecord {
            schema: AUDIT_SCHEMA.to_owned(),
            id: "aud_1".to_owned(),
            at: Timestamp::parse_rfc3339("2026-04-01T12:00:00Z").unwrap(),
            act: "skip".to_owned(),
            subject: "topic/transactions/3".to_owned(),
            before: None,
            after: None,
            reason: None,
            by: By {
                user: "ops".to_owned(),
                host: "h1".to_owned(),
                claimed: Some("Anna".to_owned()),
                via: Via::Http,
                token: Some("desk".to_owned()),
            },
            outcome: Ending::Done,
            error: None,
            version: "0.1.0".to_owned(),
        };
        for (line, through) in [
            ("", true),
            ("--act skip", true),
            ("--act close --act skip", true),
            ("--act close", false),
            ("--by ops", true),
            ("--by Anna", true),
            ("--by desk", true),
            ("--by h1", false),
            ("--subject topic", true),
            ("--subject topic/transactions", true),
            ("--subject topic/transactions/3", true),
            ("--subject topic/trans", false),
            ("--outcome done", true),
            ("--outcome intent", false),
            ("--since 2026-04-01T12:00:00Z --until 2026-04-01T12:00:01Z", true),
            ("--since 2026-04-01T12:00:01Z", false),
            ("--until 2026-04-01T12:00:00Z", false),
        ] {
            assert_eq!(matches(&filter(line), &record), through, "{line}");
        }
        assert_eq!(
            sentence(&record),
            "2026-04-01T12:00:00.000Z skip topic/transactions/3 done by token desk (\"Anna\")"
        );
    }
}
