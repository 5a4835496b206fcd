//! What an import did, and what a revision changed.

use std::collections::BTreeMap;

use crate::domain::incident::Details;

use super::plain::grouped;
use super::table::{Cell, Table};

/// How many line numbers are kept for each reason.
pub const LINES_SHOWN: usize = 20;

/// An incident before or after a revision.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RevisionSide {
    /// The revision in force; `None` before the first.
    pub revision: Option<u32>,
    /// What the incident says of itself; `None` before the first revision.
    pub details: Option<Details>,
    /// Cards on the list.
    pub cards: u64,
}

type Read = fn(&Details) -> String;

/// What an incident says of itself, in the order in which it is shown.
const ROWS: [(&str, Read); 8] = [
    ("Name", |details| details.name.clone()),
    ("Breached party", |details| details.party.clone()),
    ("Time zone", |details| details.time_zone.clone()),
    ("Exposed from", |details| details.exposure.from.to_string()),
    ("Exposed until", |details| details.exposure.until.to_string()),
    ("Watched from", |details| details.watch.from.unwrap_or(details.exposure.from).to_string()),
    ("Watched until", |details| details.watch.until.map_or("closed".to_owned(), |date| date.to_string())),
    ("Exposed data", |details| {
        details.elements.iter().map(|element| element.as_str()).collect::<Vec<_>>().join(", ")
    }),
];

/// What an incident says of itself, line by line.
pub fn details_rows(details: &Details) -> [(&'static str, String); ROWS.len()] {
    ROWS.map(|(name, read)| (name, read(details)))
}

/// The table of a revision as a company publishes it: what was said before, what is said now.
pub fn revision_table(before: &RevisionSide, after: &RevisionSide, added: u64, withdrawn: u64) -> Table {
    let mut table = Table::new(
        "revision",
        [("field", ""), ("before", "Before"), ("after", "After"), ("change", "Change")],
    );
    let number = |side: &RevisionSide| side.revision.map(u64::from).into();
    table.row(["Revision".into(), number(before), number(after)]);
    let change = match (added, withdrawn) {
        (0, 0) => Cell::Empty,
        (added, withdrawn) => format!("{} added, {} withdrawn", grouped(added), grouped(withdrawn)).into(),
    };
    table.row(["Cards".into(), before.cards.into(), after.cards.into(), change]);
    for (name, read) in ROWS {
        let (was, is) = (before.details.as_ref().map(read), after.details.as_ref().map(read));
        let change = match (before.details.as_ref(), after.details.as_ref()) {
            (Some(before), Some(after)) if was != is => describe(name, before, after),
            _ => Cell::Empty,
        };
        table.row([name.into(), was.into(), is.into(), change]);
    }
    table
}

/// What changed in a field that differs.
fn describe(name: &str, before: &Details, after: &Details) -> Cell {
    let days = |was: jiff::civil::Date, is: jiff::civil::Date| {
        let days = (is - was).get_days();
        let word = if days < 0 { "earlier" } else { "later" };
        let days = u64::from(days.unsigned_abs());
        let unit = if days == 1 { "day" } else { "days" };
        Cell::from(format!("{} {unit} {word}", grouped(days)))
    };
    match (name, before.watch.until, after.watch.until) {
        ("Exposed from", ..) => days(before.exposure.from, after.exposure.from),
        ("Exposed until", ..) => days(before.exposure.until, after.exposure.until),
        ("Watched until", Some(was), Some(is)) => days(was, is),
        ("Exposed data", ..) => {
            let added = after.elements.iter().filter(|element| !before.elements.contains(element));
            let gone = before.elements.iter().filter(|element| !after.elements.contains(element));
            let words = added.map(|element| format!("{} added", element.as_str()));
            let words = words.chain(gone.map(|element| format!("{} withdrawn", element.as_str())));
            words.collect::<Vec<_>>().join(", ").into()
        }
        _ => "changed".into(),
    }
}

/// Entries of a list that could not be used: why and where, never what they said.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Rejections {
    by_reason: BTreeMap<String, Rejected>,
}

#[derive(Debug, Clone, PartialEq, Eq, Default)]
struct Rejected {
    count: u64,
    first_lines: Vec<u64>,
}

impl Rejections {
    /// Notes that the entry on `line` (from 1) was rejected. `reason` is one of a few fixed sentences.
    pub fn note(&mut self, reason: &str, line: u64) {
        if !self.by_reason.contains_key(reason) {
            self.by_reason.insert(reason.to_owned(), Rejected::default());
        }
        if let Some(rejected) = self.by_reason.get_mut(reason) {
            rejected.count += 1;
            if rejected.first_lines.len() < LINES_SHOWN {
                rejected.first_lines.push(line);
            }
        }
    }

    /// Adds those of one of several lists, whose lines are told apart by its `name`.
    pub fn add(&mut self, of_list: &Rejections, name: Option<&str>) {
        for (reason, rejected) in &of_list.by_reason {
            let reason = name.map_or_else(|| reason.clone(), |name| format!("{name}: {reason}"));
            let all = self.by_reason.entry(reason).or_default();
            all.count += rejected.count;
            let room = LINES_SHOWN - all.first_lines.len().min(LINES_SHOWN);
            all.first_lines.extend(rejected.first_lines.iter().take(room));
        }
    }

    /// How many entries were rejected.
    pub fn total(&self) -> u64 {
        self.by_reason.values().map(|rejected| rejected.count).sum()
    }

    /// The reason of most of them.
    pub fn commonest(&self) -> Option<&str> {
        let most = self.by_reason.iter().max_by_key(|(_, rejected)| rejected.count);
        most.map(|(reason, _)| reason.as_str())
    }
}

/// What an import did with the entries of a list, in the words of the list's own counts.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ImportResult {
    /// Entries that were read, the rejected included.
    pub read: u64,
    /// Entries whose card was put on the list.
    pub added: u64,
    /// Entries whose card was on the list before.
    pub already_there: u64,
    /// Of those: entries that brought a new expiry date, tier or reference.
    pub updated: u64,
    /// Cards taken off the list.
    pub withdrawn: u64,
    /// Entries to be withdrawn whose card was not on the list.
    pub not_there: u64,
    /// Entries whose card the same list had named before.
    pub repeated: u64,
    /// Card numbers taken although their check digit is wrong.
    pub wrong_check_digit: u64,
    /// Entries taken without their expiry date, which could not be read.
    pub unreadable_expiry: u64,
    /// Entries taken without a tier or reference, which was too long or not UTF-8.
    pub unreadable_description: u64,
    /// Entries taken without a tier or reference, which contained their card number.
    pub withheld: u64,
    /// Entries that could not be used.
    pub rejections: Rejections,
}

/// The tables of an import: what was done, and (if any were) what was rejected.
pub fn import_tables(result: &ImportResult) -> Vec<Table> {
    let mut counts = Table::new("import", [("entries", "Entries"), ("count", "Count")]);
    let always = [
        ("read", result.read),
        ("added", result.added),
        ("already there", result.already_there),
        ("withdrawn", result.withdrawn),
        ("rejected", result.rejections.total()),
    ];
    let sometimes = [
        ("updated", result.updated),
        ("not there to withdraw", result.not_there),
        ("repeated in the list", result.repeated),
    ];
    let sometimes = sometimes.into_iter().chain(oddities(result)).filter(|(_, count)| *count > 0);
    for (name, count) in always.into_iter().chain(sometimes) {
        counts.row([name.into(), count.into()]);
    }
    vec![counts, rejected_table(result)]
}

/// The tables of a list that was fingerprinted.
pub fn fingerprint_tables(result: &ImportResult) -> Vec<Table> {
    let mut counts = Table::new("fingerprint", [("entries", "Entries"), ("count", "Count")]);
    let rejected = result.rejections.total();
    let always =
        [("read", result.read), ("written", result.read - rejected), ("rejected", rejected)].into_iter();
    for (name, count) in always.chain(oddities(result).into_iter().filter(|(_, count)| *count > 0)) {
        counts.row([name.into(), count.into()]);
    }
    vec![counts, rejected_table(result)]
}

/// What was odd about entries that were taken all the same.
fn oddities(result: &ImportResult) -> [(&'static str, u64); 4] {
    [
        ("wrong check digit, taken", result.wrong_check_digit),
        ("unreadable expiry date, left out", result.unreadable_expiry),
        ("tier or reference too long or not UTF-8, left out", result.unreadable_description),
        ("tier or reference with the card number in it, withheld", result.withheld),
    ]
}

fn rejected_table(result: &ImportResult) -> Table {
    let mut rejected =
        Table::new("rejected", [("reason", "Rejected"), ("count", "Count"), ("lines", "Lines")]);
    for (reason, entries) in &result.rejections.by_reason {
        let mut lines = entries.first_lines.iter().map(u64::to_string).collect::<Vec<_>>().join(", ");
        if entries.count > entries.first_lines.len() as u64 {
            lines.push_str(", …");
        }
        rejected.row([reason.as_str().into(), entries.count.into(), lines.into()]);
    }
    rejected
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::incident::{Element, Period, WatchPeriod};

    fn details(from: &str, until: &str, watch_until: Option<&str>, elements: &[Element]) -> Details {
        Details {
            name: "Shop".to_owned(),
            party: "Shop KK".to_owned(),
            time_zone: "Asia/Tokyo".to_owned(),
            exposure: Period { from: from.parse().unwrap(), until: until.parse().unwrap() },
            watch: WatchPeriod { from: None, until: watch_until.map(|date| date.parse().unwrap()) },
            elements: elements.to_vec(),
        }
    }

    fn cells(table: &Table, field: &str) -> serde_json::Value {
        let rows = table.json();
        let row = rows.as_array().unwrap().iter().find(|row| row["field"] == field).unwrap();
        serde_json::json!([row["before"], row["after"], row["change"]])
    }

    #[test]
    fn the_founding_incidents_revision_reads_as_it_was_published() {
        use Element::{Expiry, Name, Pan, SecurityCode};
        let first = details("2017-01-10", "2018-04-24", None, &[Pan, Name, Expiry, SecurityCode]);
        let last = details("2015-01-07", "2017-10-16", Some("2019-06-04"), &[Pan, Name, Expiry]);
        let before = RevisionSide { revision: Some(1), details: Some(first), cards: 23_000 };
        let after = RevisionSide { revision: Some(2), details: Some(last), cards: 29_773 };
        let table = revision_table(&before, &after, 11_909, 5_136);
        use serde_json::json;
        for (field, want) in [
            ("Revision", json!([1, 2, null])),
            ("Cards", json!([23_000, 29_773, "11,909 added, 5,136 withdrawn"])),
            ("Name", json!(["Shop", "Shop", null])),
            ("Exposed from", json!(["2017-01-10", "2015-01-07", "734 days earlier"])),
            ("Exposed until", json!(["2018-04-24", "2017-10-16", "190 days earlier"])),
            ("Watched from", json!(["2017-01-10", "2015-01-07", "changed"])),
            ("Watched until", json!(["closed", "2019-06-04", "changed"])),
            (
                "Exposed data",
                json!(["pan, name, expiry, security_code", "pan, name, expiry", "security_code withdrawn"]),
            ),
        ] {
            assert_eq!(cells(&table, field), want, "{field}");
        }
    }

    #[test]
    fn a_first_revision_has_nothing_before_it() {
        let details = details("2017-01-10", "2018-04-24", None, &[Element::Pan]);
        let before = RevisionSide { revision: None, details: None, cards: 0 };
        let after = RevisionSide { revision: Some(1), details: Some(details), cards: 5 };
        let table = revision_table(&before, &after, 5, 0);
        assert_eq!(cells(&table, "Exposed from"), serde_json::json!([null, "2017-01-10", null]));
        assert_eq!(cells(&table, "Cards"), serde_json::json!([0, 5, "5 added, 0 withdrawn"]));
    }

    #[test]
    fn rejected_entries_are_named_by_line_the_first_twenty_of_each_reason() {
        let mut result = ImportResult { read: 100, added: 70, ..ImportResult::default() };
        for line in 1..=25 {
            result.rejections.note("not made of digits", line * 2);
        }
        result.rejections.note("empty", 99);
        let tables = import_tables(&result);
        let rejected = tables[1].json();
        assert_eq!(rejected[0], serde_json::json!({"reason": "empty", "count": 1, "lines": "99"}));
        assert_eq!(rejected[1]["count"], 25);
        let lines = rejected[1]["lines"].as_str().unwrap();
        assert!(lines.starts_with("2, 4, ") && lines.ends_with(", 38, 40, …"), "{lines}");
        let counts = tables[0].json();
        assert!(
            counts.as_array().unwrap().contains(&serde_json::json!({"entries": "rejected", "count": 26}))
        );
        assert!(!counts.to_string().contains("check digit"), "{counts}");
    }
}
