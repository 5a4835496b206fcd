//! `cardwatch sweep`: removes what is due, as the service does by itself.

use std::sync::Arc;

use super::args::{Args, SweepArgs};
use super::incident::mark;
use super::output::Output;
use super::settings;
use crate::app::audit::audit;
use crate::app::settings::sweeper;
use crate::clock::{Clock, SystemClock};
use crate::domain::audit::Via;
use crate::lines::start::Stopped;
use crate::lines::sweep::{Round, Swept};
use crate::report::table::{Cell, Table};

pub(super) fn run(args: &Args, sweep: &SweepArgs, output: &Output) -> Result<(), Stopped> {
    let settings = settings(args)?;
    let audit = audit(&settings, Via::Cli, Arc::new(SystemClock)).claiming(sweep.change.by.as_deref());
    let mark = mark(&audit, &sweep.change, SystemClock.now());
    let sweeper = sweeper(&settings, audit)?;
    let dry = sweep.change.dry_run;
    let round = sweeper.round(&mark, dry).map_err(|error| Stopped::new(error.code(), error.to_string()))?;
    let nothing = round.swept.is_empty() && round.late == 0 && round.histories.unwrap_or(0) == 0;
    if nothing {
        output.say("Nothing is due to be removed.");
    }
    if !nothing || output.is_json() {
        output.tables(&[table(&round.swept), besides(&round)]);
    }
    if dry && !nothing {
        output.say("Dry run: nothing was written.");
    }
    let swept = &round.swept;
    if swept.iter().any(|swept| swept.waiting > 0) {
        output
            .remark("records wait until `score` has forgotten the histories of their cards; is it running?");
    }
    if swept.iter().any(|swept| swept.busy) {
        output.remark("an import is at work; its incident was left alone, sweep again when it is through");
    }
    Ok(())
}

/// What no incident's row counts.
fn besides(round: &Round) -> Table {
    let columns = [
        ("late_outcomes", "Outcomes of cards on no list"),
        ("histories", "Histories that `score` will forget"),
    ];
    let mut table = Table::new("besides", columns);
    table.row([round.late.into(), round.histories.into()]);
    table
}

/// What was removed, by incident.
pub(super) fn table(swept: &[Swept]) -> Table {
    let mut table = Table::new(
        "swept",
        [
            ("incident", "Incident"),
            ("closed", "Closed now"),
            ("removed", "Records removed"),
            ("outcomes", "Outcomes removed"),
            ("waiting", "Waiting"),
        ],
    );
    for swept in swept {
        table.row([
            swept.incident.as_str().into(),
            Cell::from(if swept.closed { "yes" } else { "no" }),
            swept.removed.into(),
            swept.outcomes.into(),
            swept.waiting.into(),
        ]);
    }
    table
}
