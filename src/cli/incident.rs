//! `cardwatch incident open | revise | close | hold | show | report | list`.

mod details;
mod entries;
mod hold;
mod import;
mod marker;
mod report;
mod show;
mod tally;

use std::sync::Arc;

use super::args::{Args, ChangeArgs, IncidentCommand};
use super::output::Output;
use super::{guard, settings};
use crate::app::audit;
use crate::app::settings::{book_topics, list_topic};
use crate::clock::Clock;
use crate::config::Settings;
use crate::domain::audit::Via;
use crate::domain::incident::IncidentId;
use crate::domain::time::Timestamp;
use crate::exposure::record::{IncidentRecord, Mark};
use crate::lines::audit::Audit;
use crate::lines::books::BookReader;
use crate::lines::import::{ImportError, Known, ListTopic, Until, settle};
use crate::lines::start::Stopped;
use crate::report::revision::RevisionSide;
use crate::report::table::{Cell, Table};
use crate::stop::exit;

pub(super) fn run(args: &Args, command: &IncidentCommand, output: &Output) -> Result<(), Stopped> {
    let settings = settings(args)?;
    guard(args, &settings)?;
    let desk = Desk::new(&settings, *output)?;
    match command {
        IncidentCommand::Open(open) => import::open(&desk, open),
        IncidentCommand::Revise(revise) => match revise.undo {
            Some(number) => marker::undo(&desk, &revise.incident, number, &revise.change),
            None => import::revise(&desk, revise),
        },
        IncidentCommand::Close(close) => marker::close(&desk, &close.incident, &close.change),
        IncidentCommand::Hold(args) => hold::hold(&desk, args),
        IncidentCommand::Show(show) => show::show(&desk, &show.incident),
        IncidentCommand::Report(show) => report::report(&desk, &show.incident),
        IncidentCommand::List(list) => show::list(&desk, list.open),
    }
}

/// What every one of these commands works with.
#[derive(Debug)]
struct Desk<'a> {
    settings: &'a Settings,
    list: ListTopic,
    clock: Arc<dyn Clock>,
    audit: Audit,
    output: Output,
}

impl<'a> Desk<'a> {
    fn new(settings: &'a Settings, output: Output) -> Result<Desk<'a>, Stopped> {
        let list = list_topic(settings)?;
        let clock = Arc::clone(&list.clock);
        let audit = audit::audit(settings, Via::Cli, Arc::clone(&clock));
        Ok(Desk { settings, list, clock, audit, output })
    }

    /// Reads the books of the incidents on the list.
    fn books(&self) -> BookReader<'_> {
        BookReader { list: &self.list, topics: book_topics(self.settings) }
    }

    /// When, by whom and where a change is made.
    fn mark(&self, change: &ChangeArgs) -> Mark {
        mark(&self.audit, change, self.clock.now())
    }

    /// What the list says of an incident, where `fits` has nothing against it. An open transaction may hide the
    /// newest of it at first: a refusal is looked at twice, and what is to be shown (`whole`) waits for it.
    fn known(
        &self,
        id: &IncidentId,
        whole: bool,
        fits: impl Fn(&Known) -> Result<(), Stopped>,
    ) -> Result<Known, Stopped> {
        if !whole {
            let known = self.list.look(id, Until::Stable)?;
            if fits(&known).is_ok() {
                return Ok(known);
            }
        }
        let known = self.list.look(id, Until::End)?;
        fits(&known).map(|()| known)
    }

    /// Says what was changed, or would be.
    fn report(&self, change: &Change<'_>, tables: Vec<Table>, done: &str) {
        let mut all = vec![change.table()];
        all.extend(tables);
        self.output.tables(&all);
        self.output.say("");
        match change.dry_run {
            true => self.output.say("Dry run: nothing was written."),
            false => self.output.say(done),
        }
    }
}

/// When, by whom and where a change is made.
pub(super) fn mark(audit: &Audit, change: &ChangeArgs, at: Timestamp) -> Mark {
    let acting = audit.by();
    let by = change.by.clone().unwrap_or_else(|| acting.login());
    Mark { at, by, host: acting.host.clone() }
}

/// What happened to an incident.
#[derive(Debug)]
struct Change<'a> {
    incident: &'a IncidentId,
    what: &'static str,
    revision: Option<u32>,
    mark: &'a Mark,
    dry_run: bool,
}

impl Change<'_> {
    fn table(&self) -> Table {
        let mut table = Table::new(
            "change",
            [
                ("incident", "Incident"),
                ("change", "Change"),
                ("revision", "Revision"),
                ("by", "By"),
                ("at", "At"),
                ("written", "Written"),
            ],
        );
        table.row([
            self.incident.as_str().into(),
            self.what.into(),
            self.revision.map(u64::from).into(),
            self.mark.by.as_str().into(),
            self.mark.at.to_string().into(),
            Cell::from(if self.dry_run { "no: dry run" } else { "yes" }),
        ]);
        table
    }
}

/// An incident before or after a change, for its audit record.
fn told(side: &RevisionSide) -> serde_json::Value {
    serde_json::json!({ "revision": side.revision, "cards": side.cards, "details": side.details })
}

/// An incident as the before/after table shows it.
fn side(incident: Option<&IncidentRecord>, cards: u64) -> RevisionSide {
    RevisionSide {
        revision: incident.and_then(IncidentRecord::in_force).map(|revision| revision.number),
        details: incident.and_then(IncidentRecord::details).cloned(),
        cards,
    }
}

/// The incident, if it has ever been in force.
fn existing<'k>(known: &'k Known, id: &IncidentId) -> Result<&'k IncidentRecord, Stopped> {
    known.incident.as_ref().ok_or_else(|| no_such(id, known.others.iter()))
}

/// There is no such incident, and these are.
fn no_such<'i>(id: &IncidentId, there: impl Iterator<Item = &'i IncidentId>) -> Stopped {
    let there: Vec<&str> = there.map(IncidentId::as_str).collect();
    let there = match there.as_slice() {
        [] => "there is none yet: open it with `cardwatch incident open`".to_owned(),
        there => format!("there are: {}", there.join(", ")),
    };
    Stopped::new(exit::DATA, format!("there is no incident {id}; {there}"))
}

/// A change of the list that failed, as an end of the command.
fn stopped(error: &ImportError) -> Stopped {
    Stopped::new(error.code(), error.to_string())
}
