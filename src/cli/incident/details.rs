//! What an incident says of itself, from the command line.

use std::collections::BTreeSet;

use crate::cli::args::DetailArgs;
use crate::domain::incident::{Details, Period, WatchPeriod};
use crate::lines::start::Stopped;
use crate::stop::exit;

/// The details of a new incident. The command line requires all of them.
pub(super) fn opened(args: &DetailArgs) -> Result<Details, Stopped> {
    let details = || {
        Some(Details {
            name: args.name.clone()?,
            party: args.party.clone()?,
            time_zone: args.time_zone.clone()?,
            exposure: Period { from: args.exposed_from?, until: args.exposed_until? },
            watch: WatchPeriod { from: args.watch_from, until: args.watch_until },
            elements: Vec::new(),
        })
    };
    let details = details().filter(|_| args.elements.is_some());
    let details =
        details.ok_or_else(|| Stopped::new(exit::USAGE, "an incident is opened with all its details"))?;
    Ok(revised(&details, args))
}

/// What an incident says of itself once it says what is given.
pub(super) fn revised(details: &Details, args: &DetailArgs) -> Details {
    let mut details = details.clone();
    let set = |text: &mut String, new: &Option<String>| {
        if let Some(new) = new {
            text.clone_from(new);
        }
    };
    set(&mut details.name, &args.name);
    set(&mut details.party, &args.party);
    set(&mut details.time_zone, &args.time_zone);
    details.exposure.from = args.exposed_from.unwrap_or(details.exposure.from);
    details.exposure.until = args.exposed_until.unwrap_or(details.exposure.until);
    details.watch.from = args.watch_from.or(details.watch.from);
    details.watch.until = if args.until_closed { None } else { args.watch_until.or(details.watch.until) };
    if let Some(elements) = &args.elements {
        let elements: BTreeSet<_> = elements.iter().copied().collect();
        details.elements = elements.into_iter().collect();
    }
    details
}
