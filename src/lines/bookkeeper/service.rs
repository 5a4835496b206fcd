//! The books as the HTTP side needs them.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError, RwLock};

use serde_json::Value;

use crate::books::{Book, Ledger};
use crate::domain::incident::IncidentId;
use crate::exposure::record::{IncidentRecord, IncidentState};
use crate::http::incidents::{BooksFault, IncidentBooks};
use crate::lines::audit::Trail;
use crate::lines::books::{BookReader, BookTopics};
use crate::lines::import::ListTopic;
use crate::report::books::{counts_table, money_table};
use crate::report::incident::IncidentReport;
use crate::report::incidents::{about_table, incidents_table, revisions_table, watched};
use crate::report::table::Table;

/// Every incident with its book.
type Incidents = BTreeMap<IncidentId, (IncidentRecord, Book)>;

/// The books as they were made up last, for all threads of the process.
#[derive(Debug, Default)]
pub struct MadeUp(RwLock<Option<Arc<Incidents>>>);

impl MadeUp {
    /// Keeps what was made up of `ledger`.
    pub(super) fn keep(&self, ledger: &Ledger, mut books: BTreeMap<IncidentId, Book>) {
        let incidents = ledger
            .incidents()
            .filter_map(|record| Some((record.id.clone(), (record.clone(), books.remove(&record.id)?))));
        let incidents = Arc::new(incidents.collect());
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = Some(incidents);
    }

    fn get(&self) -> Option<Arc<Incidents>> {
        self.0.read().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// The books, with what is needed to report on an incident.
#[derive(Debug)]
pub struct OpenBooks {
    /// The books as they were made up last.
    pub made_up: Arc<MadeUp>,
    /// The list.
    pub list: ListTopic,
    /// Where the watch stands.
    pub topics: BookTopics,
    /// What was given up.
    pub trail: Trail,
    /// Held while a report is made. Each reads the audit topic, so they are made one after the other.
    pub turn: Mutex<()>,
}

impl IncidentBooks for OpenBooks {
    fn is_loaded(&self) -> bool {
        self.made_up.get().is_some()
    }

    fn list(&self, open: Option<bool>) -> Value {
        let incidents = self.made_up.get().unwrap_or_default();
        let state = open.map(|open| if open { IncidentState::Open } else { IncidentState::Closed });
        let asked = incidents.values().filter(|(record, _)| state.is_none_or(|state| record.state == state));
        Table::object(&[incidents_table(asked.map(|(record, book)| (record, book)))])
    }

    fn show(&self, id: &IncidentId) -> Result<Value, BooksFault> {
        let incidents = self.made_up.get().unwrap_or_default();
        let (record, book) = incidents.get(id).ok_or(BooksFault::NoSuchIncident)?;
        Ok(Table::object(&[
            about_table(record, watched(record, book)),
            counts_table(book),
            money_table(book),
            revisions_table(record),
        ]))
    }

    fn report(&self, id: &IncidentId) -> Result<Value, BooksFault> {
        let find = || self.made_up.get().filter(|incidents| incidents.contains_key(id));
        find().ok_or(BooksFault::NoSuchIncident)?;
        let _turn = self.turn.lock().unwrap_or_else(PoisonError::into_inner);
        let reader = BookReader { list: &self.list, topics: self.topics.clone() };
        let coverage =
            reader.coverage(&self.trail).map_err(|stopped| BooksFault::Unavailable(stopped.message))?;
        // Whatever was made up meanwhile.
        let incidents = find().ok_or(BooksFault::NoSuchIncident)?;
        let (record, book) = incidents.get(id).ok_or(BooksFault::NoSuchIncident)?;
        Ok(IncidentReport::new(record, book, &coverage).json())
    }
}
