//! Changes that touch no card record: undoing a revision, closing an incident.

use super::{Change, Desk, existing, settle, side, stopped, told};
use crate::cli::args::ChangeArgs;
use crate::domain::audit::Act;
use crate::domain::incident::IncidentId;
use crate::exposure::record::{IncidentRecord, Mark};
use crate::exposure::revision::RevisionError;
use crate::lines::audit::Deed;
use crate::lines::import::Known;
use crate::lines::start::Stopped;
use crate::report::revision::{RevisionSide, revision_table};
use crate::report::table::Table;
use crate::stop::exit;

/// `cardwatch incident revise ID --undo N`.
pub(super) fn undo(desk: &Desk<'_>, id: &IncidentId, number: u32, args: &ChangeArgs) -> Result<(), Stopped> {
    let mark = desk.mark(args);
    let table = change(desk, id, args, (Act::Undo, None), |incident| incident.undo(number, mark.clone()))?;
    let report =
        Change { incident: id, what: "undone", revision: Some(number), mark: &mark, dry_run: args.dry_run };
    desk.report(&report, vec![table], &format!("Revision {number} of incident {id} is undone, for good."));
    Ok(())
}

/// `cardwatch incident close ID`.
pub(super) fn close(desk: &Desk<'_>, id: &IncidentId, args: &ChangeArgs) -> Result<(), Stopped> {
    let mark: Mark = desk.mark(args);
    let table = change(desk, id, args, (Act::Close, None), |incident| incident.close(mark.clone()))?;
    let report = Change { incident: id, what: "closed", revision: None, mark: &mark, dry_run: args.dry_run };
    desk.report(&report, vec![table], &format!("Incident {id} is closed: none of its cards is recognised."));
    Ok(())
}

/// Changes the incident's record alone. `kind` is what the audit log calls it, and why it is done where that is told.
pub(super) fn change(
    desk: &Desk<'_>,
    id: &IncidentId,
    args: &ChangeArgs,
    (kind, why): (Act, Option<&str>),
    act: impl Fn(&mut IncidentRecord) -> Result<(), RevisionError>,
) -> Result<Table, Stopped> {
    let changed = |known: &Known| -> Result<IncidentRecord, Stopped> {
        let mut incident = existing(known, id)?.clone();
        act(&mut incident).map_err(|error| Stopped::new(exit::DATA, error.to_string()))?;
        Ok(incident)
    };
    let known = desk.known(id, args.dry_run, |known| changed(known).map(|_| ()))?;
    if args.dry_run {
        return Ok(compare(&known, &changed(&known)?));
    }
    let (mut writer, known) = desk.list.take_over(id).map_err(|error| stopped(&error))?;
    let after = changed(&known)?;
    let (was, is, ..) = sides(&known, &after);
    let deed = Deed::new(kind, format!("incident/{id}")).because(why).before(told(&was)).after(told(&is));
    let begun = desk.audit.claiming(args.by.as_deref()).in_transaction(deed)?;
    writer.attest(&begun);
    let put = writer.put(&after);
    settle(begun, put).map_err(|error| stopped(&error))?;
    Ok(compare(&known, &after))
}

fn compare(known: &Known, after: &IncidentRecord) -> Table {
    let (was, is, added, withdrawn) = sides(known, after);
    revision_table(&was, &is, added, withdrawn)
}

/// The incident before and after; how many cards were added and withdrawn.
fn sides(known: &Known, after: &IncidentRecord) -> (RevisionSide, RevisionSide, u64, u64) {
    let before = known.incident.as_ref();
    let was = |events: &[i32]| before.is_some_and(|before| before.shows(events));
    let (mut cards, mut added, mut withdrawn) = (0, 0, 0);
    for card in known.cards.values() {
        let events = &card.record.events;
        cards += u64::from(after.shows(events));
        added += u64::from(after.shows(events) && !was(events));
        withdrawn += u64::from(!after.shows(events) && was(events));
    }
    (side(before, known.shown()), side(Some(after), cards), added, withdrawn)
}
