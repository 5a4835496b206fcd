//! `cardwatch incident report`: what the breached company's manager reads.

use std::sync::Arc;

use super::{Desk, no_such};
use crate::app::audit;
use crate::domain::incident::IncidentId;
use crate::lines::start::Stopped;
use crate::report::incident::IncidentReport;

/// `cardwatch incident report ID`.
pub(super) fn report(desk: &Desk<'_>, id: &IncidentId) -> Result<(), Stopped> {
    let books = desk.books();
    // What waits is counted first: what is judged meanwhile is told twice rather than not at all.
    let coverage = books.coverage(&audit::trail(desk.settings, Arc::clone(&desk.clock))?)?;
    let ledger = books.ledger()?;
    let (Some(record), Some(book)) = (ledger.record(id), ledger.book(id)) else {
        return Err(no_such(id, ledger.incidents().map(|incident| &incident.id)));
    };
    let report = IncidentReport::new(record, &book, &coverage);
    let text = if desk.output.is_json() { format!("{}\n", report.json()) } else { report.markdown() };
    desk.output.write(|out, _| out.write_all(text.as_bytes()));
    Ok(())
}
