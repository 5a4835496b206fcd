//! Looking at incidents.

use std::collections::BTreeMap;

use super::{Desk, existing, state};
use crate::books::Book;
use crate::domain::card::KeyId;
use crate::domain::incident::IncidentId;
use crate::exposure::record::{IncidentRecord, IncidentState, Mark, Revision, RevisionState};
use crate::exposure::retention::Removal;
use crate::lines::import::{Known, Until};
use crate::lines::start::Stopped;
use crate::report::books::{counts_table, money_table};
use crate::report::revision::details_rows;
use crate::report::table::{Cell, Table};

/// `cardwatch incident show ID`.
pub(super) fn show(desk: &Desk<'_>, id: &IncidentId) -> Result<(), Stopped> {
    let known = desk.list.look(id, Until::End)?;
    let incident = existing(&known, id)?;
    let book = desk.books().ledger()?.book(id).unwrap_or_default();
    let (about, keys, log) = (about(incident, &known), keys(incident, &known), log(incident));
    desk.output.tables(&[about, counts_table(&book), money_table(&book), keys, log]);
    Ok(())
}

/// `cardwatch incident list`.
pub(super) fn list(desk: &Desk<'_>, only_open: bool) -> Result<(), Stopped> {
    let ledger = desk.books().ledger()?;
    let books = ledger.books();
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
    for incident in ledger.incidents() {
        if only_open && incident.state == IncidentState::Closed {
            continue;
        }
        let details = incident.details();
        let total = books.get(&incident.id).map(Book::total).unwrap_or_default();
        let watched = match incident.state {
            IncidentState::Open => books.get(&incident.id).map_or(0, |book| book.listed.cards),
            IncidentState::Closed => 0,
        };
        table.row([
            incident.id.as_str().into(),
            state(incident).into(),
            details.map(|details| details.name.as_str()).into(),
            details.map(|details| details.party.as_str()).into(),
            incident.in_force().map(|revision| u64::from(revision.number)).into(),
            watched.into(),
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
    if table.is_empty() {
        desk.output.say("There is no incident.");
    }
    if !table.is_empty() || desk.output.is_json() {
        desk.output.tables(&[table]);
    }
    Ok(())
}

fn about(incident: &IncidentRecord, known: &Known) -> Table {
    let mut table = Table::new("incident", [("field", "Incident"), ("value", "")]);
    table.row(["Id".into(), incident.id.as_str().into()]);
    table.row(["State".into(), state(incident).into()]);
    if let Some(closed) = &incident.closed {
        table.row(["Closed".into(), said(closed).into()]);
    }
    table.row(["Cards watched".into(), known.shown().into()]);
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

fn keys(incident: &IncidentRecord, known: &Known) -> Table {
    let mut cards: BTreeMap<&KeyId, u64> = incident.checks.keys().map(|key| (key, 0)).collect();
    for card in known.cards.values() {
        if incident.shows(&card.record.events) {
            *cards.entry(&card.key).or_default() += 1;
        }
    }
    let mut table = Table::new("keys", [("key", "Key"), ("cards", "Cards"), ("check", "Check value")]);
    for (key, cards) in cards {
        // As `cardwatch key list` shows it.
        let check = incident.checks.get(key);
        let check = check.map(|check| check.to_string().chars().take(16).collect::<String>());
        table.row([key.as_str().into(), cards.into(), check.into()]);
    }
    table
}

fn log(incident: &IncidentRecord) -> Table {
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
