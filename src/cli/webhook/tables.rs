//! Endpoints and deliveries as tables.

use crate::domain::delivery::EndpointName;
use crate::domain::time::Timestamp;
use crate::lines::notify::office::{Entry, Standing};
use crate::notice::record::Stage;
use crate::report::table::{Cell, Table};

/// An endpoint, where it is (nothing where it is not configured any more), and how things stand with it.
pub(super) type EndpointRow = (EndpointName, Option<String>, Standing);

pub(super) fn endpoints_table(rows: &[EndpointRow], now: Timestamp) -> Table {
    let columns = [
        ("endpoint", "Endpoint"),
        ("target", "Where"),
        ("state", "State"),
        ("owed", "Owed"),
        ("failed", "Failed"),
        ("oldest", "Oldest owed"),
    ];
    let mut table = Table::new("endpoints", columns);
    for (name, target, standing) in rows {
        table.row([
            name.as_str().into(),
            target.as_deref().unwrap_or("not configured").into(),
            state(standing).as_str().into(),
            Cell::Count(standing.made_out + standing.in_ranges),
            Cell::Count(standing.failed),
            standing.oldest.map_or(Cell::Empty, |oldest| age(oldest, now).as_str().into()),
        ]);
    }
    table
}

pub(super) fn deliveries_table(entries: &[&Entry]) -> Table {
    let columns = [
        ("endpoint", "Endpoint"),
        ("webhook_id", "webhook-id"),
        ("alerts", "Alerts"),
        ("attempts", "Attempts"),
        ("due", "Due"),
        ("since", "Owed since"),
        ("last", "Last failure"),
    ];
    let mut table = Table::new("deliveries", columns);
    for entry in entries {
        let owed = &entry.owed;
        let due = match owed.stage {
            Stage::Failed => Cell::Empty,
            Stage::Waiting | Stage::Gathering => owed.due.to_string().into(),
        };
        table.row([
            entry.endpoint.as_str().into(),
            entry.id.as_str().into(),
            Cell::Count(owed.members.len() as u64),
            Cell::Count(u64::from(owed.attempts)),
            due,
            owed.since.to_string().into(),
            owed.last.as_deref().map_or(Cell::Empty, Cell::from),
        ]);
    }
    table
}

fn state(standing: &Standing) -> String {
    match (&standing.state.disabled, standing.state.failing_since) {
        (Some(disabled), _) => format!("disabled since {}: {}", disabled.at, disabled.why.words()),
        (None, Some(since)) => format!("failing since {since}"),
        (None, None) if standing.known => "healthy".to_owned(),
        (None, None) => "not told anything yet".to_owned(),
    }
}

/// How long ago, in the largest unit that says something.
fn age(at: Timestamp, now: Timestamp) -> String {
    let seconds = (now.millis() - at.millis()).max(0) / 1_000;
    match seconds {
        0..120 => format!("{seconds} s"),
        120..7_200 => format!("{} min", seconds / 60),
        7_200..172_800 => format!("{} h", seconds / 3_600),
        _ => format!("{} d", seconds / 86_400),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_age_is_told_in_the_largest_unit_that_says_something() {
        for (seconds, text) in [(0, "0 s"), (119, "119 s"), (120, "2 min"), (7_200, "2 h"), (200_000, "2 d")]
        {
            assert_eq!(age(Timestamp(0), Timestamp(seconds * 1_000)), text);
        }
        assert_eq!(age(Timestamp(5_000), Timestamp(0)), "0 s");
    }
}
