//! `cardwatch outcome`: writes down what somebody decided.

use std::sync::Arc;

use super::alerts::{Shelf, subject, unavailable};
use super::args::{Args, OutcomeArgs};
use super::output::Output;
use super::settings;
use crate::app::audit::audit;
use crate::domain::audit;
use crate::domain::outcome::{By, Decision, Note, Subject, TRANSACTION_BYTES_MAX, Via};
use crate::lines::desk::{OutcomeError, Writer};
use crate::lines::start::Stopped;
use crate::report::alert::alerts_table;
use crate::stop::exit;

pub(super) fn run(args: &Args, outcome: &OutcomeArgs, output: &Output) -> Result<(), Stopped> {
    let settings = settings(args)?;
    let note = outcome.note.as_deref().map(str::parse::<Note>).transpose();
    let note = note.map_err(|error| Stopped::new(exit::USAGE, format!("--note: {error}")))?;
    let shelf = Shelf::new(&settings)?;
    let audit =
        audit(&settings, audit::Via::Cli, Arc::clone(&shelf.clock)).claiming(outcome.claimed.as_deref());
    let name = audit.by().login();
    let by = By { name: Some(name), claimed: outcome.claimed.clone(), via: Via::Command };
    if !by.is_fit() {
        return Err(Stopped::new(exit::USAGE, "--as: longer than 200 characters, or it holds a card number"));
    }
    let subject = match (&outcome.alert, &outcome.transaction) {
        (Some(id), _) => subject(id)?,
        (None, Some(id)) if (1..=TRANSACTION_BYTES_MAX).contains(&id.len()) => {
            Subject::Transaction(id.clone())
        }
        _ => return Err(Stopped::new(exit::USAGE, "--transaction: an id has 1 to 256 bytes")),
    };
    let decision = Decision { verdict: outcome.verdict.into(), note, by, at: shelf.clock.now() };
    let desk = shelf.read()?;
    let writer = Writer::new(&shelf.cluster, &settings.topics.outcomes, Arc::clone(&shelf.clock))?;
    let decided = match desk.decide(&writer, &audit, subject, decision) {
        Ok(decided) => decided,
        Err(OutcomeError::Ambiguous(alerts)) => {
            output.tables_aside(&[alerts_table("candidates", &alerts)]);
            let count = alerts.len();
            let message =
                format!("{count} alerts have this transaction id: give the outcome to one of them by its id");
            return Err(Stopped::new(exit::DATA, message));
        }
        Err(OutcomeError::NoSuchAlert) => {
            let what = match (&outcome.alert, &outcome.transaction) {
                (None, Some(id)) => format!("no alert on a transaction {id}"),
                (id, _) => format!("no alert {}", id.as_deref().unwrap_or_default()),
            };
            let message = format!("there is {what} here: it may have expired, or never was");
            return Err(Stopped::new(exit::DATA, message));
        }
        Err(error) => return Err(unavailable(&error)),
    };
    if output.is_json() {
        output.write(|out, _| writeln!(out, "{}", serde_json::json!(decided.outcome)));
        return Ok(());
    }
    let (id, verdict) = (decided.outcome.subject.id(), decided.outcome.decision.verdict.as_str());
    match decided.alert {
        Some(_) => {
            output.say(&format!("{id} is {verdict}; `cardwatch run` makes a revision of the alert of it."))
        }
        None => output.say(&format!("{id} is {verdict}; this sighting raised no alert.")),
    }
    Ok(())
}
