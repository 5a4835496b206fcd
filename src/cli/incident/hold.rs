//! `cardwatch incident hold`: suspends the removal of records, or lets it go on.

use super::marker::change;
use super::{Change, Desk};
use crate::cli::args::HoldArgs;
use crate::domain::audit::Act;
use crate::lines::start::Stopped;

/// `cardwatch incident hold ID`.
pub(super) fn hold(desk: &Desk<'_>, args: &HoldArgs) -> Result<(), Stopped> {
    let (id, mark) = (&args.incident, desk.mark(&args.change));
    let why = args.why.as_deref().unwrap_or_default();
    // Both are one act in the audit log: what was said tells them apart.
    let told = if args.release { "released" } else { why };
    let table = change(desk, id, &args.change, (Act::Hold, Some(told)), |incident| match args.release {
        true => incident.release_hold(mark.clone()),
        false => incident.set_hold(mark.clone(), why),
    })?;
    let (what, done) = match args.release {
        true => ("released", format!("Incident {id} is under no legal hold any more.")),
        false => ("held", format!("Incident {id} is under a legal hold: nothing of it is removed.")),
    };
    let report = Change { incident: id, what, revision: None, mark: &mark, dry_run: args.change.dry_run };
    desk.report(&report, vec![table], &done);
    Ok(())
}
