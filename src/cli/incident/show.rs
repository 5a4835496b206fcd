//! Looking at incidents.

use std::collections::BTreeMap;

use super::{Desk, existing};
use crate::domain::card::KeyId;
use crate::domain::incident::IncidentId;
use crate::exposure::record::{IncidentRecord, IncidentState};
use crate::lines::import::{Known, Until};
use crate::lines::start::Stopped;
use crate::report::books::{counts_table, money_table};
use crate::report::incidents::{about_table, incidents_table, revisions_table};
use crate::report::table::Table;

/// `cardwatch incident show ID`.
pub(super) fn show(desk: &Desk<'_>, id: &IncidentId) -> Result<(), Stopped> {
    let known = desk.list.look(id, Until::End)?;
    let incident = existing(&known, id)?;
    let book = desk.books().ledger()?.book(id).unwrap_or_default();
    let (about, log) = (about_table(incident, known.shown()), revisions_table(incident));
    desk.output.tables(&[about, counts_table(&book), money_table(&book), keys(incident, &known), log]);
    Ok(())
}

/// `cardwatch incident list`.
pub(super) fn list(desk: &Desk<'_>, only_open: bool) -> Result<(), Stopped> {
    let ledger = desk.books().ledger()?;
    let books = ledger.books();
    let asked = ledger.incidents().filter(|incident| !only_open || incident.state == IncidentState::Open);
    let table = incidents_table(asked.filter_map(|incident| Some((incident, books.get(&incident.id)?))));
    if table.is_empty() {
        desk.output.say("There is no incident.");
    }
    if !table.is_empty() || desk.output.is_json() {
        desk.output.tables(&[table]);
    }
    Ok(())
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
