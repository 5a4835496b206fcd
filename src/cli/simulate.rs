//! `cardwatch simulate`: a world's transactions, lists and truth, in files or on the input topic.

use std::fs::{self, File};
use std::io::{self, BufWriter, Write};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use super::args::{Args, Ends, SimulateArgs};
use super::output::Output;
use super::settings;
use crate::app::settings::cluster;
use crate::clock::{Clock, SystemClock};
use crate::domain::incident::Details;
use crate::domain::time::Timestamp;
use crate::kafka::feed::Feed;
use crate::kafka::probe::Probe;
use crate::kafka::producer::Outgoing;
use crate::lines::start::Stopped;
use crate::report::plain::grouped;
use crate::report::{Cell, Progress, Table};
use crate::simulation::{INCIDENT, World, WorldSpec, breach};
use crate::stop::exit;

const TRANSACTIONS: &str = "transactions.jsonl.zst";
const FIRST_NOTICE: &str = "first-notice.csv";
const ADDED: &str = "added.csv";
const WITHDRAWN: &str = "withdrawn.csv";
const TRUTH: &str = "truth.jsonl";
const INCIDENT_TEXT: &str = "incident.txt";

/// Beyond zstd's level 3 these lines hardly shrink any more.
const ZSTD_LEVEL: i32 = 3;
/// How long the last records may take to reach the cluster.
const LAST_RECORDS: Duration = Duration::from_secs(60);

pub(super) fn run(args: &Args, simulate: &SimulateArgs, output: &Output) -> Result<(), Stopped> {
    let spec = spec(simulate, SystemClock.now());
    let world = World::new(spec).map_err(|error| Stopped::new(exit::USAGE, error.to_string()))?;
    if let Some(directory) = &simulate.out {
        let files = write_files(&world, directory, !output.is_json()).map_err(|error| {
            Stopped::new(exit::UNAVAILABLE, format!("{} cannot be written: {error}", directory.display()))
        })?;
        output.tables(&[files]);
        output.say(&format!(
            "\n{} has the commands that go on from here.",
            directory.join(INCIDENT_TEXT).display()
        ));
    }
    if simulate.kafka {
        write_topic(args, &world, output)?;
    }
    Ok(())
}

fn spec(simulate: &SimulateArgs, now: Timestamp) -> WorldSpec {
    let spec = WorldSpec::sized(simulate.seed, simulate.cards, simulate.days);
    match simulate.ends {
        None => spec,
        Some(Ends::Now) => spec.ending(now),
        Some(Ends::At(end)) => spec.ending(end),
    }
}

/// The options that make a world again: the same one, whenever they are given.
fn options(spec: &WorldSpec) -> String {
    let usual = WorldSpec::sized(spec.seed, spec.cards, spec.days);
    let ends = if *spec == usual { String::new() } else { format!(" --ends {}", spec.end()) };
    format!("--seed {} --cards {} --days {}{ends}", spec.seed, spec.cards, spec.days)
}

// --- files ---------------------------------------------------------------------------------------

fn write_files(world: &World, directory: &Path, progress: bool) -> io::Result<Table> {
    fs::create_dir_all(directory)?;
    let mut table = Table::new("files", [("file", "File"), ("lines", "Lines"), ("holds", "Holds")]);
    let mut file = |name: &str, text: &str, holds: &str| {
        let lines = text.lines().count() as u64;
        table.row([name.into(), lines.into(), holds.into()]);
        fs::write(directory.join(name), text)
    };
    let (notice, change) = (world.first_notice(), world.revision());
    file(FIRST_NOTICE, &breach::csv(notice.cards()), "the first list of exposed cards")?;
    file(ADDED, &breach::csv(change.added()), "cards that the revision adds")?;
    file(WITHDRAWN, &breach::csv(change.withdrawn()), "cards that it withdraws")?;
    file(TRUTH, &truth(world)?, "the thieves' transactions")?;
    file(INCIDENT_TEXT, &instructions(world), "what to do with all this")?;
    let transactions = write_transactions(world, &directory.join(TRANSACTIONS), progress)?;
    table.row([TRANSACTIONS.into(), transactions.into(), "the transactions, in time order".into()]);
    Ok(table)
}

fn write_transactions(world: &World, path: &Path, progress: bool) -> io::Result<u64> {
    let progress = Progress::new(progress, "transactions", None);
    let mut out = zstd::stream::write::Encoder::new(BufWriter::new(File::create(path)?), ZSTD_LEVEL)?;
    let mut count = 0;
    for event in world.events() {
        out.write_all(&event.json)?;
        out.write_all(b"\n")?;
        count += 1;
        progress.advance(1);
    }
    out.finish()?.flush()?;
    progress.finish();
    Ok(count)
}

/// One JSON object a line: the transaction's id and how the thief went about it.
fn truth(world: &World) -> io::Result<String> {
    let mut text = String::new();
    for misuse in world.truth() {
        let line = serde_json::json!({ "id": misuse.id, "scheme": misuse.scheme.as_str() });
        text.push_str(&serde_json::to_string(&line)?);
        text.push('\n');
    }
    Ok(text)
}

fn instructions(world: &World) -> String {
    let (notice, change, spec) = (world.first_notice(), world.revision(), world.spec());
    let columns = "--column pan --expiry-column expiry --reference account=account";
    format!(
        "A simulated breach (seed {}): {} cards for {} days. No card, person or merchant in it is real.\n\n\
         {TRANSACTIONS} is in the shape that the default mapping reads.\n\
         Thieves begin on {}; {TRUTH} names their transactions.\n\n\
         In this directory. The first notice, on {} ({} cards):\n\n\
         cardwatch incident open {INCIDENT} \\\n  --name \"{}\" --party \"{}\" --time-zone {} \\\n  {} \\\n  \
         --list {FIRST_NOTICE} {columns}\n\n\
         Its revision, on {} ({} cards added, {} withdrawn):\n\n\
         cardwatch incident revise {INCIDENT} \\\n  --add {ADDED} --withdraw {WITHDRAWN} {columns} \\\n  {}\n\n\
         The transactions, onto the input topic of the configuration:\n\n\
         cardwatch simulate {} --kafka\n",
        spec.seed,
        grouped(u64::from(spec.cards)),
        spec.days,
        spec.misuse_from(),
        notice.at,
        grouped(notice.len() as u64),
        notice.details.name,
        notice.details.party,
        notice.details.time_zone,
        flags(&notice.details),
        change.at,
        grouped(change.added().len() as u64),
        grouped(change.withdrawn().len() as u64),
        flags(&change.details),
        options(spec),
    )
}

/// Period and elements as `cardwatch incident` takes them.
fn flags(details: &Details) -> String {
    let elements: Vec<&str> = details.elements.iter().map(|element| element.as_str()).collect();
    let watch = match details.watch.until {
        Some(until) => format!("--watch-until {until}"),
        None => "--until-closed".to_owned(),
    };
    let exposure = details.exposure;
    format!(
        "--exposed-from {} --exposed-until {} {watch} --elements {}",
        exposure.from,
        exposure.until,
        elements.join(",")
    )
}

// --- Kafka ---------------------------------------------------------------------------------------

/// Writes the transactions as fast as the cluster takes them, keyed by card, so that one card's are in order.
fn write_topic(args: &Args, world: &World, output: &Output) -> Result<(), Stopped> {
    let settings = settings(args)?;
    let topic = settings.input.topic.as_str();
    let failed = |error: &dyn std::fmt::Display| {
        let servers = &settings.kafka.bootstrap_servers;
        Stopped::new(
            exit::UNAVAILABLE,
            format!("the transactions could not be written to {topic} on {servers}: {error}"),
        )
    };
    let probe = Probe::new(&cluster(&settings)).map_err(|error| failed(&error))?;
    if probe.partitions(topic)?.is_none() {
        return Err(Stopped::new(
            exit::CONFIG,
            format!("topic {topic} does not exist; make it first: the input is yours, cardwatch makes none"),
        ));
    }
    let mut feed = Feed::new(&cluster(&settings), Arc::new(SystemClock)).map_err(|error| failed(&error))?;
    let progress = Progress::new(!output.is_json(), "transactions", None);
    for event in world.events() {
        let key = event.card.to_string();
        let record = Outgoing {
            topic,
            partition: None,
            key: Some(key.as_bytes()),
            value: Some(&event.json),
            headers: &[],
        };
        feed.send(record).map_err(|error| failed(&error))?;
        progress.advance(1);
    }
    feed.finish(LAST_RECORDS).map_err(|error| failed(&error))?;
    let count = progress.done();
    progress.finish();
    let mut table = Table::new("written", [("topic", "Topic"), ("transactions", "Transactions")]);
    table.row([topic.into(), Cell::Count(count)]);
    output.tables(&[table]);
    output.say(&format!("\nThe lists to import: cardwatch simulate {} --out world", options(world.spec())));
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::args::{self, Command};

    /// The words of a command as a shell would hand them over; quotes hold words together.
    fn words(command: &str) -> Vec<String> {
        let mut words = Vec::new();
        for (place, part) in command.split('"').enumerate() {
            if place % 2 == 1 {
                words.push(part.to_owned());
            } else {
                words.extend(part.split_whitespace().map(str::to_owned));
            }
        }
        words
    }

    #[test]
    fn every_command_of_the_instructions_is_one_that_cardwatch_knows() {
        let end = Timestamp(1_800_000_000_000);
        let usual = |days| WorldSpec::sized(3, 200, days);
        for spec in [usual(2), usual(90), usual(90).ending(end)] {
            let world = World::new(spec).unwrap();
            let text = instructions(&world).replace("\\\n", " ");
            let commands: Vec<&str> = text.lines().filter(|line| line.starts_with("cardwatch ")).collect();
            assert_eq!(commands.len(), 3, "{text}");
            for command in commands {
                let parsed = args::parse(words(command), String::new());
                assert!(parsed.is_ok(), "{command}: {:?}", parsed.err());
            }
        }
    }

    #[test]
    fn what_is_printed_makes_the_same_world_again_whenever_it_ended() {
        let (now, later) = (Timestamp(1_800_000_000_123), Timestamp(1_900_000_000_000));
        for given in ["", " --ends now", " --ends 2026-04-01T00:00:00Z"] {
            let simulate = |options: &str| match args::parse(
                words(&format!("cardwatch simulate {options} --kafka")),
                String::new(),
            ) {
                Ok(Args { command: Command::Simulate(simulate), .. }) => simulate,
                other => panic!("{other:?}"),
            };
            let made = spec(&simulate(&format!("--seed 3 --cards 200 --days 20{given}")), now);
            let again = spec(&simulate(&options(&made)), later);
            assert_eq!(made, again, "{given}");
            assert_eq!(made.end() == now, given.ends_with("now"));
        }
    }
}
