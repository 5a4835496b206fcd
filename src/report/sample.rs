//! How a sample of the user's records reads, as tables.

use super::table::{Cell, Table};
use crate::codec::sample::Sample;

/// The most shapes and failures of one field that are shown.
const SHOWN_MAX: usize = 5;

/// What is known of the cards of a sample.
#[derive(Debug, Clone, Copy, Default)]
pub struct SampledCards {
    /// Different cards.
    pub distinct: u64,
    /// Of those: on the list.
    pub listed: u64,
}

/// The tables of a sample: what it is, each field, shapes, failures, warnings. `cards` is `None` where keys or list
/// were not at hand.
pub fn sample_tables(sample: &Sample, cards: Option<SampledCards>, warnings: &[String]) -> Vec<Table> {
    let mut about = Table::new("sample", [("what", "Sample"), ("value", "")]);
    about.row(["records".into(), sample.records.into()]);
    about.row(["without a value".into(), sample.tombstones.into()]);
    about.row(["card field unreadable".into(), sample.dead.values().sum::<u64>().into()]);
    if let Some(cards) = cards {
        about.row(["different cards".into(), cards.distinct.into()]);
        about.row(["of those on the list".into(), cards.listed.into()]);
    }
    let titles = [("field", "Field"), ("found", "Found"), ("parsed", "Parsed"), ("unknown", "Unknown")];
    let mut fields = Table::new("fields", titles);
    let mut shapes = Table::new("shapes", [("field", "Field"), ("shape", "Shape"), ("records", "Records")]);
    let mut failures =
        Table::new("failures", [("field", "Field"), ("cause", "Does not read"), ("records", "Records")]);
    for ((field, cause), records) in &sample.dead {
        if !sample.fields.iter().any(|(name, row)| name == field && row.failures.contains_key(cause)) {
            failures.row([(*field).into(), (*cause).into(), (*records).into()]);
        }
    }
    for (name, row) in &sample.fields {
        let unknown = sample.records - row.parsed.min(sample.records);
        fields.row([name.as_str().into(), row.found.into(), row.parsed.into(), unknown.into()]);
        for (shape, records) in
            commonest(row.shapes.iter().map(|(shape, records)| (shape.as_str(), *records)))
        {
            shapes.row([name.as_str().into(), shape.into(), records.into()]);
        }
        for (cause, records) in commonest(row.failures.iter().map(|(cause, records)| (*cause, *records))) {
            failures.row([name.as_str().into(), cause.into(), records.into()]);
        }
    }
    let mut told = Table::new("warnings", [("text", "Look at")]);
    warnings.iter().for_each(|text| told.row([Cell::from(text.as_str())]));
    vec![about, fields, shapes, failures, told]
}

fn commonest<'a>(counted: impl Iterator<Item = (&'a str, u64)>) -> Vec<(&'a str, u64)> {
    let mut counted: Vec<_> = counted.collect();
    counted.sort_by(|a, b| b.1.cmp(&a.1).then(a.0.cmp(b.0)));
    let left_out: u64 = counted.iter().skip(SHOWN_MAX).map(|(_, records)| records).sum();
    counted.truncate(SHOWN_MAX);
    if left_out > 0 {
        counted.push(("(others)", left_out));
    }
    counted
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_commonest_come_first_and_the_rest_is_counted() {
        let names: Vec<String> = (0..8).map(|n| n.to_string()).collect();
        let shown = commonest(names.iter().zip(1..).map(|(name, records)| (name.as_str(), records)));
        assert_eq!(shown[0], ("7", 8));
        assert_eq!(shown[SHOWN_MAX], ("(others)", 6));
    }
}
