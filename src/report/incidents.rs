//! Incidents as tables: all of them in a line each, and one of them.

use super::revision::details_rows;
use super::table::{Cell, Table};
use crate::books::Book;
use crate::exposure::record::{IncidentRecord, IncidentState, Mark, Revision, RevisionState};
use crate::exposure::retention::Removal;

/// Each incident in a line, with the sums of its book.
pub fn incidents_table<'a>(incidents: impl IntoIterator<Item = (&'a IncidentRecord, &'a Book)>) -> Table {
    let mut table = Table::new(
        "incidents",
        [
            ("incident", "Incident"),
            ("state", "State"),
            ("name", "Name"),
            ("party", "Breached party"),
            ("revision", "Revision"),
            ("cards", "Cards"),
            ("seen", "Seen"),
            ("suspected", "Suspected"),
            ("confirmed", "Confirmed"),
            ("alerts", "Alerts"),
            ("undecided", "Not decided"),
            ("watched_until", "Watched until"),
        ],
    );
    for (incident, book) in incidents {
        let details = incident.details();
        let total = book.total();
        table.row([
            incident.id.as_str().into(),
            incident.state.as_str().into(),
            details.map(|details| details.name.as_str()).into(),
            details.map(|details| details.party.as_str()).into(),
            incident.in_force().map(|revision| u64::from(revision.number)).into(),
            watched(incident, book).into(),
            total.seen.into(),
            total.suspected.into(),
            total.confirmed.into(),
            total.alerts.into(),
            total.undecided().into(),
            details
                .map(|details| details.watch.until.map_or("closed".to_owned(), |until| until.to_string()))
                .into(),
        ]);
    }
    table
}

/// How many cards of an incident are watched.
pub fn watched(incident: &IncidentRecord, book: &Book) -> u64 {
    match incident.state {
        IncidentState::Open => book.listed.cards,
        IncidentState::Closed => 0,
    }
}

/// What is said of an incident, `watched` cards of it being watched.
pub fn about_table(incident: &IncidentRecord, watched: u64) -> Table {
    let mut table = Table::new("incident", [("field", "Incident"), ("value", "")]);
    table.row(["Id".into(), incident.id.as_str().into()]);
    table.row(["State".into(), incident.state.as_str().into()]);
    if let Some(closed) = &incident.closed {
        table.row(["Closed".into(), said(closed).into()]);
    }
    table.row(["Cards watched".into(), watched.into()]);
    for hold in &incident.holds {
        table.row(["Legal hold".into(), format!("{}, because: {}", said(&hold.set), hold.why).into()]);
        if let Some(released) = &hold.released {
            table.row(["Legal hold released".into(), said(released).into()]);
        }
    }
    for removal in &incident.removals {
        let Removal { mark, why, cards } = removal;
        let text = format!("{cards} ({}), {}", why.as_str(), said(mark));
        table.row(["Records removed".into(), text.into()]);
    }
    match incident.details() {
        Some(details) => {
            for (name, value) in details_rows(details) {
                table.row([name.into(), value.into()]);
            }
        }
        None => table.row(["Name".into(), "no revision is in force".into()]),
    }
    table
}

/// Every revision of an incident.
pub fn revisions_table(incident: &IncidentRecord) -> Table {
    let mut table = Table::new(
        "revisions",
        [
            ("revision", "Revision"),
            ("state", "State"),
            ("at", "At"),
            ("by", "By"),
            ("read", "Read"),
            ("added", "Added"),
            ("already_there", "Already there"),
            ("withdrawn", "Withdrawn"),
            ("rejected", "Rejected"),
            ("cards", "Cards after"),
            ("undone", "Undone"),
            ("gone", "Records gone"),
        ],
    );
    for revision in &incident.revisions {
        let done = matches!(revision.state, RevisionState::Done | RevisionState::Undone);
        let count = |count: u64| if done { Cell::from(count) } else { Cell::Empty };
        let counts = &revision.counts;
        table.row([
            u64::from(revision.number).into(),
            word(revision).into(),
            revision.done_at.unwrap_or(revision.claimed.at).to_string().into(),
            revision.claimed.by.as_str().into(),
            count(counts.read),
            count(counts.added),
            count(counts.already_there),
            count(counts.withdrawn),
            count(counts.rejected),
            revision.cards.map(|cards| cards.after).into(),
            revision.undone.as_ref().map(said).into(),
            revision.gone.map(|gone| gone.cards).into(),
        ]);
    }
    table
}

fn word(revision: &Revision) -> &'static str {
    match revision.state {
        RevisionState::Claimed => "claimed",
        RevisionState::Done => "done",
        RevisionState::Undone => "undone",
        RevisionState::Dead => "dead",
    }
}

fn said(mark: &Mark) -> String {
    format!("{} by {}", mark.at, mark.by)
}
