//! Kafka forgets how far a group had read; cardwatch does not. Deleting a group leaves the same behind as
//! `offsets.retention.minutes` does: nothing.

use super::*;

fn accepting(deployment: &Deployment) -> Program {
    let mut program = deployment.command(&["run", "--accept-gap", "Anna, ticket 7"]).start();
    program.await_line("partition flows line=\"sight\"", WITHIN);
    program
}

fn stop(mut program: Program) {
    assert_eq!(program.terminate(DRAIN), Ended::Code(0), "{}", program.transcript());
}

/// Stops a process that has read up to `next`, and Kafka forgets `sight`. That it is noted how far was read is seen to: a
/// stop does not wait long for it, and a start notes where it takes up.
fn stop_and_forget(deployment: &Deployment, config: &str, program: Program, next: i64) {
    let group = deployment.group("sight");
    let key = format!("begun/{group}/{}/0", deployment.topic("transactions"));
    stop(program);
    wait::until("how far was read is noted", WITHIN, || {
        let notes = deployment.committed("control");
        let note = notes.iter().rfind(|record| record.key_text() == key).map(Message::json);
        let is_noted = note.is_some_and(|note| note["next"] == next);
        if !is_noted {
            stop(run(deployment, config));
        }
        is_noted.then_some(())
    });
    deployment.kafka.forget_group(&group);
}

/// Uses 0 to 9 from five hours ago are read, everything is stopped, and Kafka forgets `sight`. With when that was.
fn forgotten(area: &str, start: &str) -> Option<(Deployment, String, Timestamp)> {
    let (deployment, config) = starting(area, start)?;
    let mut program = run(&deployment, &config);
    let at = hours_ago(5);
    uses(&deployment, 0, 0..10, Some(at.millis()));
    await_seen(&deployment, &mut program, &ids(0..10));
    stop_and_forget(&deployment, &config, program, 10);
    Some((deployment, config, at))
}

#[test]
fn a_forgotten_group_stops_with_its_range_and_goes_on_where_it_was_when_somebody_answers() {
    let Some((deployment, config, before)) = forgotten("forgotten", "start = \"earliest\"\n") else { return };
    let after = before.plus_millis(2 * 3_600_000);
    uses(&deployment, 0, 10..30, Some(after.millis()));
    let (noted, first) = (format!("offset 10 after a record from {before}"), format!("is from {after}"));
    let range = ["20 records have come since: offsets 10 to 29", &noted, &first, "--accept-gap", "skip-to"];
    fails(deployment.command(&["run"]), 65, &range);
    assert!(given_up(&deployment).is_empty());
    assert_eq!(seen(&deployment), ids(0..10));

    let mut program = accepting(&deployment);
    await_seen(&deployment, &mut program, &ids(0..30));
    stop_and_forget(&deployment, &config, program, 30);
    let found = given_up(&deployment);
    assert_eq!(found.len(), 1, "of the partition that was never read from nothing is lost: {found:?}");
    let GivenUp { range, act, by, reason, .. } = &found[0];
    assert_eq!((range.first, range.last, range.partition, act.as_str()), (10, 9, 0, "accept_gap"));
    assert_eq!((range.from, range.until), (Some(before), Some(after)));
    assert_eq!(by.claimed.as_deref(), Some("Anna, ticket 7"));
    assert!(reason.as_ref().unwrap().contains("20 records have come since"));

    // Accepted once is accepted, also where nothing came that could be committed.
    fails(deployment.command(&["run"]), 65, &["offset 30", "nothing has come since"]);
    stop(accepting(&deployment));
    uses(&deployment, 0, 30..35, None);
    uses(&deployment, 1, 35..40, None);
    let mut program = run(&deployment, &deployment.config());
    await_seen(&deployment, &mut program, &ids(0..40));
    stop(program);
}

#[test]
fn what_expired_since_is_named_and_the_start_does_not_move_to_another_end() {
    let Some((deployment, config, _)) = forgotten("forgotten-latest", "start = \"latest\"\n") else { return };
    uses(&deployment, 0, 10..30, None);
    deployment.kafka.expire(&deployment.topic("transactions"), 0, 25);
    let refused = || Program::with(&["run"]).config(&config);
    fails(refused(), 65, &["offsets 10 to 29", "15 up to offset 24 have expired", "To go on at offset 25"]);
    // Nothing was pinned at the new end meanwhile.
    fails(refused(), 65, &["offsets 10 to 29"]);
    let mut program = accepting(&deployment);
    await_seen(&deployment, &mut program, &ids((0..10).chain(25..30)));
    stop(program);
    assert_eq!((given_up(&deployment)[0].range.first, given_up(&deployment)[0].range.last), (10, 24));
}

#[test]
fn skip_to_leads_on_too_and_may_say_the_very_place() {
    let Some((deployment, config, _)) = forgotten("forgotten-skip", "start = \"earliest\"\n") else { return };
    let topic = deployment.topic("transactions");
    let skip = |to: &str| {
        let arguments = [
            "skip-to",
            "--topic",
            &topic,
            "--partition",
            "0",
            "--offset",
            to,
            "--reason",
            "r",
            "--as",
            "Anna",
        ];
        deployment.command(&arguments)
    };
    uses(&deployment, 0, 10..20, None);
    fails(deployment.command(&["run"]), 65, &["offsets 10 to 19"]);
    fails(skip("9"), 65, &["from offset 10 on", "twice"]);
    let told = ok(skip("10")).transcript();
    assert!(told.contains("0 records"), "{told}");
    let mut program = run(&deployment, &config);
    await_seen(&deployment, &mut program, &ids(0..20));
    stop_and_forget(&deployment, &config, program, 20);
    uses(&deployment, 0, 20..30, None);
    ok(skip("25"));
    let mut program = run(&deployment, &config);
    await_seen(&deployment, &mut program, &ids((0..20).chain(25..30)));
    stop(program);
    let ranges: Vec<_> = given_up(&deployment).iter().map(|one| (one.range.first, one.range.last)).collect();
    assert_eq!(ranges, [(10, 9), (20, 24)]);
}

#[test]
fn a_topic_that_was_made_again_while_nobody_ran_is_not_taken_for_the_old_one() {
    let Some((deployment, config)) = starting("made-again", "start = \"earliest\"\n") else { return };
    let topic = deployment.topic("transactions");
    let mut program = run(&deployment, &config);
    uses(&deployment, 0, 0..5, None);
    await_seen(&deployment, &mut program, &ids(0..5));
    stop(program);
    deployment.kafka.delete(&topic);
    deployment.kafka.create(&topic, 2, &[]);
    uses(&deployment, 0, 5..20, None);
    fails(deployment.command(&["run"]), 78, &["deleted and made again", "--accept-gap"]);
    assert_eq!(seen(&deployment), ids(0..5));
    let mut program = accepting(&deployment);
    await_seen(&deployment, &mut program, &ids(0..20));
    stop(program);
    let mut program = run(&deployment, &config);
    uses(&deployment, 1, 20..25, None);
    await_seen(&deployment, &mut program, &ids(0..25));
    stop(program);
}

#[test]
fn what_an_older_version_had_begun_is_remembered_from_the_first_start_on() {
    let Some((deployment, config)) = starting("upgrade", "start = \"earliest\"\n") else { return };
    let control = deployment.topic("control");
    let mut program = run(&deployment, &config);
    uses(&deployment, 0, 0..5, None);
    await_seen(&deployment, &mut program, &ids(0..5));
    stop(program);
    deployment.kafka.delete(&control);
    fails(deployment.command(&["run"]), 78, &[&control, "does not exist", "topics --create"]);
    ok(deployment.command(&["topics", "--create"]));
    let settings = deployment.kafka.settings(&control);
    assert_eq!((deployment.kafka.partitions(&control), settings["cleanup.policy"].as_str()), (1, "compact"));
    let mut program = run(&deployment, &config);
    program.await_line("partition flows line=\"sight\"", WITHIN);
    stop(program);
    deployment.kafka.forget_group(&deployment.group("sight"));
    fails(deployment.command(&["run"]), 65, &["at offset 5", "--accept-gap"]);
}

#[test]
fn score_and_books_go_on_exactly_where_they_were() {
    let Some((deployment, config)) = starting("forgotten-inside", "start = \"earliest\"\n") else { return };
    let mut program = run(&deployment, &config);
    uses(&deployment, 0, 0..10, None);
    await_seen(&deployment, &mut program, &ids(0..10));
    let outcomes = deployment.topic("outcomes");
    let decide = |key: &str| {
        let value = format!(r#"{{"alert":"alr_{}","verdict":"fraud"}}"#, "a".repeat(26));
        deployment.kafka.produce(&[Outgoing::to(&outcomes).key(key).value(value)]);
    };
    decide("one");
    deployment.await_offset("books", "outcomes", 1);
    await_judged(&deployment, &mut program, 10);
    stop(program);
    for line in ["score", "books"] {
        deployment.kafka.forget_group(&deployment.group(line));
    }
    uses(&deployment, 0, 10..15, None);
    decide("two");
    let mut program = run(&deployment, &config);
    await_judged(&deployment, &mut program, 15);
    deployment.await_offset("books", "outcomes", 2);
    for topic in ["sightings", "outcomes"] {
        let word = format!("topic=\"{}\"", deployment.topic(topic));
        let told = |line: &String| {
            line.contains("it goes on where it is known to have been") && line.contains(&word)
        };
        assert!(program.stderr().iter().any(told), "{topic}: {}", program.transcript());
    }
    stop(program);
    // Each of the histories has all of the card's uses, and none twice.
    stop(run(&deployment, &config));
}

/// Waits until `score` has judged every one of so many sightings, each once.
fn await_judged(deployment: &Deployment, program: &mut Program, count: usize) {
    await_seen(deployment, program, &ids(0..count));
    let sightings = deployment.topic("sightings");
    let last = deployment.kafka.read(&sightings, Isolation::Committed).last().unwrap().clone();
    wait::until("the judgements", WITHIN, || {
        let committed = deployment.kafka.committed(&deployment.group("score"), &sightings);
        let next = committed[usize::try_from(last.partition).unwrap()].offset;
        next.is_some_and(|next| next > last.offset).then_some(())
    });
    let histories = deployment.kafka.read(&deployment.topic("card-history"), Isolation::Committed);
    let key = last.key_text();
    let newest = histories.iter().rev().find(|message| message.key_text() == key).unwrap();
    let history = cardwatch::scoring::history::History::decode(newest.value.as_deref().unwrap()).unwrap();
    assert_eq!(history.judgements(), count as u64);
}
