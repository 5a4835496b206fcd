//! `cardwatch skip-to`.

use std::sync::Arc;

use super::args::{Args, SkipArgs};
use super::output::Output;
use super::settings;
use crate::app::audit::audit;
use crate::app::settings::{beginnings, cluster};
use crate::clock::SystemClock;
use crate::domain::audit::Via;
use crate::kafka::group::Group;
use crate::kafka::probe::Probe;
use crate::lines::skip::{Skip, Target};
use crate::lines::start::Stopped;
use crate::report::table::{Cell, Table};
use crate::stop::exit;

pub(super) fn run(args: &Args, skip: &SkipArgs, output: &Output) -> Result<(), Stopped> {
    let settings = settings(args)?;
    if skip.topic != settings.input.topic {
        let message = format!(
            "{} is not the input ({}): what cardwatch wrote itself is read whole, or a sighting would have no judgement",
            skip.topic, settings.input.topic
        );
        return Err(Stopped::new(exit::USAGE, message));
    }
    let target = match (skip.offset, skip.time) {
        (Some(offset), _) => Target::Offset(offset),
        (None, Some(time)) => Target::Time(time),
        (None, None) => return Err(Stopped::new(exit::USAGE, "write --offset N or --time TIME")),
    };
    let cluster = cluster(&settings);
    let refused = |error: &dyn std::fmt::Display| Stopped::new(exit::CONFIG, error.to_string());
    let probe = Probe::new(&cluster).map_err(|error| refused(&error))?;
    let name = format!("{}-sight", settings.instance.group_prefix);
    let group = Group::new(&cluster, &name).map_err(|error| refused(&error))?;
    let beginnings = beginnings(&settings, &probe, &name);
    let audit = audit(&settings, Via::Cli, Arc::new(SystemClock)).claiming(skip.by.as_deref());
    let skipped = Skip {
        group: &group,
        probe: &probe,
        beginnings: &beginnings,
        topic: &skip.topic,
        partition: skip.partition,
        target,
        reason: &skip.reason,
    }
    .run(&audit)?;
    let columns = [
        ("topic", "Topic"),
        ("partition", "Partition"),
        ("first", "First skipped"),
        ("last", "Last skipped"),
        ("from", "From"),
        ("until", "Until"),
        ("next", "Next"),
    ];
    let mut table = Table::new("skipped", columns);
    let time =
        |at: Option<crate::domain::time::Timestamp>| at.map_or(Cell::Empty, |at| at.to_string().into());
    let lost = &skipped.lost;
    table.row([
        lost.topic.as_str().into(),
        lost.partition.to_string().into(),
        lost.first.to_string().into(),
        lost.last.to_string().into(),
        time(lost.from),
        time(lost.until),
        skipped.next.to_string().into(),
    ]);
    output.tables(&[table]);
    output.say(&format!("{} records will be read by nobody; `cardwatch audit list` has it.", lost.records()));
    Ok(())
}
