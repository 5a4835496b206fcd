//! Where reading starts, and what is said about records that nobody reads.

use std::sync::Arc;
use std::time::Duration;

use cardwatch::clock::{Clock, SystemClock};
use cardwatch::config::Settings;
use cardwatch::domain::time::Timestamp;
use cardwatch::lines::audit::{GivenUp, lost_ranges};
use serde_json::Value;

use crate::deployment::{Deployment, fails, lines, ok, said};
use crate::support::load::card_number;
use crate::support::program::{Ended, Signal};
use crate::support::{Isolation, Message, Outgoing, Program, wait};

/// Where Kafka forgets how far a group had read.
mod forgotten;

const WITHIN: Duration = Duration::from_secs(60);
const DRAIN: Duration = Duration::from_secs(5);

/// Uses of card 0 in one partition, so that every record below the committed offset is one sighting.
fn uses(
    deployment: &Deployment,
    partition: i32,
    numbers: impl IntoIterator<Item = usize>,
    at_ms: Option<i64>,
) {
    let topic = deployment.topic("transactions");
    let record = |number: usize| {
        let json = format!(
            r#"{{"id":"t{number}","card":"{}","amount":"12.50","currency":"EUR","channel":"ecom"}}"#,
            card_number(0)
        );
        let outgoing = Outgoing::to(&topic).partition(partition).value(json);
        at_ms.map_or(outgoing.clone(), |at| outgoing.timestamp(at))
    };
    deployment.kafka.produce(&numbers.into_iter().map(record).collect::<Vec<_>>());
}

/// A full hour so many hours ago: the broker lets nothing older than a week stand.
fn hours_ago(hours: i64) -> Timestamp {
    Timestamp((SystemClock.now().millis() / 3_600_000 - hours) * 3_600_000)
}

/// The transactions that were recognised, by id, in order.
fn seen(deployment: &Deployment) -> Vec<String> {
    let records = deployment.kafka.read(&deployment.topic("sightings"), Isolation::Committed);
    let id = |record: Value| record["transaction"]["id"].as_str().unwrap().to_owned();
    let mut ids: Vec<String> = records.iter().map(|message| id(message.json())).collect();
    ids.sort_by_key(|id| id[1..].parse::<u32>().unwrap());
    ids
}

fn ids(numbers: impl IntoIterator<Item = usize>) -> Vec<String> {
    numbers.into_iter().map(|number| format!("t{number}")).collect()
}

/// A deployment whose list has card 0, and its configuration with this start.
fn starting(area: &str, start: &str) -> Option<(Deployment, String)> {
    let deployment = Deployment::new(area)?;
    let list = deployment.file("list", lines(0..1));
    ok(deployment.open("shop", &["--list", &list]));
    let config = deployment.config().replace("start = \"earliest\"\n", start);
    Some((deployment, config))
}

fn await_seen(deployment: &Deployment, program: &mut Program, want: &[String]) {
    wait::until("the sightings", WITHIN, || {
        (program.poll_end().is_some() || seen(deployment).len() >= want.len()).then_some(())
    });
    assert_eq!(seen(deployment), want, "{}", program.transcript());
}

fn run(deployment: &Deployment, config: &str) -> Program {
    let mut program = Program::with(&["run"]).config(config).start();
    program.await_http(&deployment.url("health/ready"), WITHIN, |status, _| status == 200);
    program
}

fn given_up(deployment: &Deployment) -> Vec<GivenUp> {
    let config = deployment.config();
    let settings =
        Settings::read(Some((std::path::Path::new("c.toml"), &config)), std::iter::empty()).unwrap();
    let trail = cardwatch::app::audit::trail(&settings, Arc::new(SystemClock)).unwrap();
    lost_ranges(&trail).unwrap()
}

#[test]
fn a_group_that_has_read_nothing_must_be_told_where_to_start() {
    let Some((deployment, config)) = starting("unsaid", "") else { return };
    uses(&deployment, 0, 0..5, None);
    let refused = Program::with(&["run"]).config(&config);
    fails(refused, 78, &["has read nothing", "start = \"earliest\""]);
    assert!(seen(&deployment).is_empty());
    // Told once, it goes on by itself, with partitions that are added too.
    let mut program = run(&deployment, &deployment.config());
    await_seen(&deployment, &mut program, &ids(0..5));
    assert_eq!(program.terminate(DRAIN), Ended::Code(0));
    deployment.kafka.grow(&deployment.topic("transactions"), 3);
    uses(&deployment, 2, 5..10, None);
    let mut program = run(&deployment, &config);
    await_seen(&deployment, &mut program, &ids(0..10));
    assert_eq!(program.terminate(DRAIN), Ended::Code(0));
}

#[test]
fn latest_is_where_the_first_start_was_whatever_happens_to_that_process() {
    let Some((deployment, config)) = starting("latest", "start = \"latest\"\n") else { return };
    uses(&deployment, 0, 0..10, None);
    let mut first = run(&deployment, &config);
    // Ended before it had anything to commit: what comes while nobody runs is read by the next.
    first.kill();
    uses(&deployment, 0, 10..20, None);
    uses(&deployment, 1, 20..25, None);
    let mut program = run(&deployment, &config);
    await_seen(&deployment, &mut program, &ids(10..25));
    // A partition added later is new as a whole, although the start is latest.
    deployment.kafka.grow(&deployment.topic("transactions"), 3);
    uses(&deployment, 2, 25..30, None);
    await_seen(&deployment, &mut program, &ids(10..30));
    assert_eq!(program.terminate(DRAIN), Ended::Code(0));
}

#[test]
fn a_time_is_a_place_to_start() {
    let at = hours_ago(5);
    let Some((deployment, config)) = starting("time", &format!("start = \"{at}\"\n")) else { return };
    uses(&deployment, 0, 0..10, Some(at.millis() - 1));
    uses(&deployment, 0, 10..20, Some(at.millis()));
    uses(&deployment, 1, 20..25, Some(at.millis() + 3_600_000));
    let mut program = run(&deployment, &config);
    await_seen(&deployment, &mut program, &ids(10..25));
    assert_eq!(program.terminate(DRAIN), Ended::Code(0));
}

#[test]
fn an_accepted_gap_is_written_down_before_anything_behind_it_is_read() {
    let Some((deployment, config)) = starting("gap", "start = \"earliest\"\n") else { return };
    uses(&deployment, 0, 0..10, None);
    let mut program = run(&deployment, &config);
    await_seen(&deployment, &mut program, &ids(0..10));
    wait::until("the offset", WITHIN, || {
        let committed =
            deployment.kafka.committed(&deployment.group("sight"), &deployment.topic("transactions"));
        (committed[0].offset == Some(10)).then_some(())
    });
    assert_eq!(program.terminate(DRAIN), Ended::Code(0));
    let at = hours_ago(3);
    uses(&deployment, 0, 10..30, Some(at.millis()));
    deployment.kafka.expire(&deployment.topic("transactions"), 0, 25);
    let accepting = || deployment.command(&["run", "--accept-gap", "Anna, ticket 7"]);
    let before = format!("all from before {at}");
    let words = ["15 records of", "offsets 10 to 24", &before, "--accept-gap"];
    fails(deployment.command(&["run"]), 65, &words);
    assert!(given_up(&deployment).is_empty());
    // Nobody can answer for it where that cannot be written down.
    let nowhere = deployment.file("file", "") + "/audit.jsonl";
    fails(accepting().env("CARDWATCH_AUDIT__FILE", &nowhere), 78, &[&nowhere]);
    assert_eq!(seen(&deployment), ids(0..10));

    let mut program = accepting().start();
    await_seen(&deployment, &mut program, &ids((0..10).chain(25..30)));
    assert_eq!(program.terminate(DRAIN), Ended::Code(0));
    let found = given_up(&deployment);
    assert_eq!(found.len(), 1, "{found:?}");
    let GivenUp { range, act, by, reason, .. } = &found[0];
    assert_eq!((range.first, range.last, range.partition, act.as_str()), (10, 24, 0, "accept_gap"));
    assert_eq!(range.group, deployment.group("sight"));
    assert_eq!(range.until, Some(at));
    assert_eq!(by.claimed.as_deref(), Some("Anna, ticket 7"));
    assert!(reason.as_ref().unwrap().contains("15 records"));
}

#[test]
fn records_that_expire_under_a_reader_stop_it_with_what_is_lost() {
    let Some((deployment, config)) = starting("expire", "start = \"earliest\"\n") else { return };
    uses(&deployment, 0, 0..10, None);
    let mut program = run(&deployment, &config);
    await_seen(&deployment, &mut program, &ids(0..10));
    assert!(program.signal(Signal::STOP));
    uses(&deployment, 0, 10..30, None);
    deployment.kafka.expire(&deployment.topic("transactions"), 0, 25);
    assert!(program.signal(Signal::CONT));
    let ended = program.await_end(WITHIN);
    // A fetch that was under way when it was stopped may have brought the records all the same.
    if seen(&deployment).len() == 10 {
        said(&program, ended, 65, &["15 records of", "offsets 10 to 24", "--accept-gap"]);
    }
}

#[test]
fn a_range_is_skipped_exactly_when_nobody_reads_and_by_somebody_who_says_why() {
    let Some((deployment, config)) = starting("skip", "start = \"earliest\"\n") else { return };
    let topic = deployment.topic("transactions");
    let skip = |partition: &str, to: &[&str]| {
        let arguments =
            ["skip-to", "--topic", &topic, "--partition", partition, "--reason", "ticket 7", "--as", "Anna"];
        deployment.command(&arguments.into_iter().chain(to.iter().copied()).collect::<Vec<_>>())
    };
    let [first, second, third] = [5, 4, 3].map(hours_ago);
    uses(&deployment, 0, 0..10, Some(first.millis()));
    let mut program = run(&deployment, &config);
    await_seen(&deployment, &mut program, &ids(0..10));
    fails(skip("0", &["--offset", "10"]), 69, &["is active", "stop every"]);
    assert_eq!(program.terminate(DRAIN), Ended::Code(0));
    uses(&deployment, 0, 10..20, Some(second.millis()));
    uses(&deployment, 0, 20..30, Some(third.millis()));

    fails(skip("0", &["--offset", "9"]), 65, &["from offset 10 on", "twice"]);
    fails(skip("0", &["--offset", "10"]), 65, &["from offset 10 on already", "nothing to skip"]);
    fails(skip("0", &["--offset", "31"]), 65, &["ends at offset 30"]);
    fails(skip("7", &["--offset", "1"]), 65, &["no partition 7"]);
    let other = ["skip-to", "--topic", "other", "--partition", "0", "--offset", "1", "--reason", "x"];
    fails(deployment.command(&other), 64, &["is not the input"]);
    assert!(given_up(&deployment).is_empty());

    let told = ok(skip("0", &["--time", &third.to_string()])).transcript();
    assert!(told.contains("10 records"), "{told}");
    let committed = &deployment.kafka.committed(&deployment.group("sight"), &topic)[0];
    assert_eq!(committed.offset, Some(20));
    assert!(committed.metadata.contains("gap=10-19 by Anna"), "{}", committed.metadata);
    assert!(
        committed.metadata.contains("frontier="),
        "what it was judged under is kept: {}",
        committed.metadata
    );
    let found = given_up(&deployment);
    assert_eq!(found.len(), 1, "{found:?}");
    let GivenUp { range, act, by, reason, .. } = &found[0];
    assert_eq!((range.first, range.last, act.as_str()), (10, 19, "skip"));
    assert_eq!((range.from, range.until), (Some(second), Some(third)));
    assert_eq!((by.claimed.as_deref(), reason.as_deref()), (Some("Anna"), Some("ticket 7")));

    let mut program = run(&deployment, &config);
    await_seen(&deployment, &mut program, &ids((0..10).chain(20..30)));
    assert_eq!(program.terminate(DRAIN), Ended::Code(0));
    // To the very end, where no record tells a time.
    uses(&deployment, 0, 30..35, None);
    ok(skip("0", &["--offset", "35"]));
    let mut program = run(&deployment, &config);
    uses(&deployment, 0, 35..37, None);
    await_seen(&deployment, &mut program, &ids((0..10).chain(20..30).chain(35..37)));
    assert_eq!(program.terminate(DRAIN), Ended::Code(0));
    assert_eq!(given_up(&deployment)[1].range.until, None);
}
