//! `cardwatch topics`: what must exist, what does.

use std::time::Duration;

use super::args::{Args, TopicsArgs};
use super::output::Output;
use super::settings;
use crate::app::settings::{cluster, names};
use crate::app::topics::{faults, remarks, stopped, wanted};
use crate::backoff::Backoff;
use crate::config::Settings;
use crate::kafka::probe::Probe;
use crate::kafka::topics::{Checked, Role, Stay, Topics, stay};
use crate::lines::start::Stopped;
use crate::report::table::{Cell, Table};
use crate::stop::{Stop, exit};

/// How long a topic that was made may take to be told of.
const METADATA_TIMEOUT: Duration = Duration::from_secs(10);

pub(super) fn run(args: &Args, topics_args: &TopicsArgs, output: &Output) -> Result<(), Stopped> {
    let settings = settings(args)?;
    let cluster = cluster(&settings);
    let probe = Probe::new(&cluster).map_err(|error| Stopped::new(exit::CONFIG, error.to_string()))?;
    let topics = Topics::new(&cluster, probe.clone()).map_err(|error| stopped(&error))?;
    if topics_args.create {
        create(&settings, topics_args, &topics, &probe, output)?;
    }
    let names = names(&settings);
    let partitions = probe.partitions(&names.sightings)?.unwrap_or(settings.topics.partitions);
    let checked = topics.check(&wanted(&names, Some(partitions))).map_err(|error| stopped(&error))?;
    let written_every = settings.retention.sweep_every;
    output.tables(&[table(&checked, written_every)]);
    tell_stay(&checked, written_every, output);
    let faults = faults(&checked);
    if faults.is_empty() {
        return Ok(());
    }
    let missing = checked.iter().any(|checked| checked.found.is_none() && checked.wanted.role != Role::Input);
    let input = checked.iter().any(|checked| checked.found.is_none() && checked.wanted.role == Role::Input);
    let advice = match (missing, input) {
        (true, _) => "make those that are missing with `cardwatch topics --create`",
        (false, true) => {
            "the input is yours: name it under input.topic, or make one to try things out with --create \
             --input-partitions N"
        }
        (false, false) => "the settings of a topic are changed with kafka-configs, its partitions not at all",
    };
    Err(Stopped::new(exit::CONFIG, format!("{}; {advice}", faults.join("; "))))
}

fn create(
    settings: &Settings,
    args: &TopicsArgs,
    topics: &Topics,
    probe: &Probe,
    output: &Output,
) -> Result<(), Stopped> {
    let names = names(settings);
    // Histories and alerts follow the sightings that are there already: the number is fixed for life.
    let partitions = probe.partitions(&names.sightings)?.unwrap_or(settings.topics.partitions);
    for checked in topics.check(&wanted(&names, Some(partitions))).map_err(|error| stopped(&error))? {
        let count = match (checked.wanted.role, checked.wanted.partitions) {
            (Role::Input, _) => args.input_partitions,
            (_, Some(count)) => Some(count),
            (Role::DeadLetters, None) => Some(1),
            (_, None) => Some(partitions),
        };
        // The input is the user's own, unless somebody tries things out.
        let Some(count) = count.filter(|_| checked.found.is_none()) else { continue };
        topics
            .create(&checked.wanted, count, settings.topics.replication_factor)
            .map_err(|error| Stopped::new(exit::UNAVAILABLE, error.to_string()))?;
        await_topic(probe, &checked.wanted.name)?;
        output.say(&format!("made {}", checked.wanted.name));
    }
    Ok(())
}

/// Waits until the cluster tells of a topic that it has made: brokers learn of it one after the other.
fn await_topic(probe: &Probe, topic: &str) -> Result<(), Stopped> {
    let mut backoff = Backoff::new(Duration::from_millis(10), Duration::from_millis(200));
    let mut waited = Duration::ZERO;
    while probe.partitions(topic)?.is_none() {
        if waited > METADATA_TIMEOUT {
            let message =
                format!("topic {topic} was made, but the cluster does not tell of it; run this again");
            return Err(Stopped::new(exit::UNAVAILABLE, message));
        }
        let wait = backoff.next_wait();
        waited += wait;
        Stop::new().wait(wait);
    }
    Ok(())
}

/// How long a card stays on disk where it was deleted.
fn tell_stay(checked: &[Checked], written_every: Duration, output: &Output) {
    let of = |role: &[Role]| {
        let stays = checked.iter().filter(|checked| role.contains(&checked.wanted.role));
        stays
            .filter_map(|checked| stay::of(checked.wanted.role, checked.found.as_ref()?, written_every))
            .max()
    };
    remarks(checked).iter().for_each(|remark| output.remark(remark));
    if let Some(stay) = of(&[Role::Exposures, Role::CardHistory, Role::Outcomes]) {
        output.say(&format!(
            "A deleted card stays on the disks of the exposed list, the histories and the outcomes {}, as far as the \
             brokers' log cleaner keeps up. Sightings, alerts and dead letters of it go by age.",
            words(stay)
        ));
    }
}

/// A stay in words.
fn words(stay: Stay) -> String {
    match stay {
        Stay::Endless => "without end".to_owned(),
        Stay::Within(stay) => {
            let minutes = stay.as_secs().div_ceil(60);
            let (days, hours, minutes) = (minutes / 1440, minutes / 60 % 24, minutes % 60);
            match (days, hours) {
                (0, 0) => format!("{minutes} min at most"),
                (0, _) => format!("{hours} h {minutes} min at most"),
                _ => format!("{days} d {hours} h at most", hours = hours + u64::from(minutes > 0)),
            }
        }
    }
}

fn table(checked: &[Checked], written_every: Duration) -> Table {
    let mut table = Table::new(
        "topics",
        [
            ("topic", "Topic"),
            ("role", "For"),
            ("partitions", "Partitions"),
            ("cleanup", "Cleanup"),
            ("stays", "On disk after deletion"),
            ("state", "State"),
        ],
    );
    for checked in checked {
        let found = checked.found.as_ref();
        let settings = found.and_then(|found| found.settings.as_ref());
        let state = match checked.faults.as_slice() {
            [] => "as it must be".to_owned(),
            faults => faults.join("; "),
        };
        table.row([
            Cell::from(checked.wanted.name.as_str()),
            Cell::from(role(checked.wanted.role)),
            found.map_or(Cell::Empty, |found| Cell::Count(u64::try_from(found.partitions).unwrap_or(0))),
            settings
                .and_then(|settings| settings.get("cleanup.policy"))
                .map_or(Cell::Empty, |policy| Cell::from(policy.as_str())),
            found.and_then(|found| stay::of(checked.wanted.role, found, written_every)).map(words).into(),
            Cell::from(state),
        ]);
    }
    table
}

fn role(role: Role) -> &'static str {
    match role {
        Role::Input => "transactions",
        Role::Exposures => "the exposed list",
        Role::Sightings => "sightings",
        Role::CardHistory => "histories",
        Role::Alerts => "alerts",
        Role::Audit => "who did what",
        Role::Outcomes => "outcomes",
        Role::Deliveries => "what is owed to endpoints",
        Role::Control => "that groups have begun",
        Role::DeadLetters => "dead letters",
    }
}
