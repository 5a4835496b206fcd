//! The running service as its operator sees it: signals, metrics, readiness, and what it writes.

use std::sync::atomic::{AtomicBool, Ordering};

use serde_json::Value;

use crate::deployment::{DRAIN, Deployment, WITHIN, lines, ok, transaction};
use crate::support::check::Input;
use crate::support::load::{Load, card_number};
use crate::support::program::{Ended, Signal};
use crate::support::tool::tool;
use crate::support::{BrokerOptions, Program, own_broker};

/// A rule that raises an alert for every sighting.
fn rule(name: &str) -> String {
    format!("[[rule]]\nname = \"{name}\"\nwhen = \"true\"\nscore = 100\ntext = \"a sighting\"\n")
}

fn rules_of(alert: &Value) -> Vec<&str> {
    alert["reasons"].as_array().unwrap().iter().map(|reason| reason["rule"].as_str().unwrap()).collect()
}

#[test]
fn a_hangup_brings_new_rules_and_a_wrong_file_leaves_the_old_in_force() {
    let Some(deployment) = Deployment::new("reload") else { return };
    let list = deployment.file("list", lines(0..1));
    ok(deployment.open("shop", &["--list", &list]));
    let rules = deployment.file("rules.toml", rule("first"));
    let mut program = deployment.run_with(&format!("[alerts]\nrules = \"{rules}\"\n"));
    let mut sent = 0;
    let mut judged_by = |rule: &str| {
        deployment.send([transaction(sent, &card_number(0))]);
        sent += 1;
        let alerts = deployment.await_records("alerts", sent);
        let id = format!("t{}", sent - 1);
        let newest =
            alerts.iter().map(|alert| alert.json()).find(|alert| alert["transaction"]["id"] == id.as_str());
        assert_eq!(rules_of(&newest.unwrap()), [rule]);
    };
    judged_by("first");

    deployment.file("rules.toml", rule("second"));
    program.signal(Signal::HUP);
    program.await_line("rules reloaded", WITHIN);
    judged_by("second");

    deployment.file("rules.toml", rule("third").replace("true", "no_such_signal > 3"));
    program.signal(Signal::HUP);
    let told = program.await_line("the old rules stay in force", WITHIN);
    assert!(told.contains("no_such_signal") && told.contains("rules.toml:3"), "{told}");
    judged_by("second");
    assert_eq!(program.terminate(DRAIN), Ended::Code(0));
}

#[test]
fn metrics_are_as_promtool_wants_them() {
    let Some(promtool) = tool("promtool", "the form of /metrics") else { return };
    let Some(deployment) = Deployment::new("promtool") else { return };
    let list = deployment.file("list", lines(0..10));
    ok(deployment.open("shop", &["--list", &list]));
    let rules = deployment.file("rules.toml", rule("every"));
    deployment.send((0..20).map(|n| transaction(n, &card_number(n))));
    deployment.send(["{".to_owned()]);
    let mut program =
        deployment.run_with(&format!("[alerts]\nrules = \"{rules}\"\n[dead_letters]\nstop_at = 1.0\n"));
    deployment.await_records("alerts", 10);
    deployment.await_records("dead-letters", 1);
    let has = |text: &str, sample: &str| text.lines().any(|line| line == sample);
    let metrics = program.await_http(&deployment.url("metrics"), WITHIN, |_, text| {
        has(text, "cardwatch_sightings_total 10") && text.contains("cardwatch_lag_records")
    });
    let promtool = promtool.display().to_string();
    let (ended, checked) = Program::other(&promtool, &["check", "metrics"]).input(metrics).run(WITHIN);
    assert_eq!(ended, Ended::Code(0), "{}", checked.transcript());
    assert!(checked.stderr().is_empty() && checked.stdout().is_empty(), "{}", checked.transcript());
    // And it would tell: the check itself is no formality.
    let wrong = "# TYPE cardwatch_things counter\ncardwatch_things 1\n";
    let (ended, _) = Program::other(&promtool, &["check", "metrics"]).input(wrong).run(WITHIN);
    assert_ne!(ended, Ended::Code(0));
    assert_eq!(program.terminate(DRAIN), Ended::Code(0));
}

#[test]
fn a_drain_under_load_loses_and_doubles_nothing() {
    const LOAD: Load =
        Load { seed: 3, rate: 2_000, seconds: 600, cards: 100, exposed_percent: 50, partitions: 2 };
    let Some(deployment) = Deployment::new("drain") else { return };
    let list = deployment.file("list", lines(LOAD.exposed()));
    ok(deployment.open("shop", &["--list", &list]));
    let topic = deployment.topic("transactions");
    let mut program = deployment.run();
    // Records come until it is gone, so that some are left.
    let ended = AtomicBool::new(false);
    let offered = std::thread::scope(|scope| {
        let load = scope.spawn(|| {
            LOAD.offer_while(&deployment.kafka.producer(), &topic, || !ended.load(Ordering::Relaxed))
        });
        deployment.await_records("sightings", 1_000);
        let drained = program.terminate(DRAIN);
        ended.store(true, Ordering::Relaxed);
        assert_eq!(drained, Ended::Code(0), "{}", program.transcript());
        load.join().unwrap()
    });
    // What was seen is committed: the offsets stand where the sightings end.
    let seen = deployment.committed("sightings").len();
    let exposed = offered.inputs.iter().filter(|input| LOAD.is_exposed(input.card));
    let committed = deployment.kafka.offsets(&deployment.group("sight"), &topic);
    let is_below = |input: &&Input| input.offset < committed[&(topic.clone(), input.partition)];
    let below = exposed.clone().filter(is_below).count();
    assert!(seen == below && seen < exposed.clone().count(), "{seen} sightings, {below} below the offsets");
    let mut program = deployment.run();
    deployment.await_records("sightings", exposed.clone().count());
    assert_eq!(program.terminate(DRAIN), Ended::Code(0), "{}", program.transcript());
    assert_eq!(deployment.committed("sightings").len(), exposed.count());
}

#[test]
fn a_list_that_cannot_be_confirmed_is_told_and_judging_goes_on() {
    let Some(broker) = own_broker("unconfirmed", BrokerOptions::default()) else { return };
    let deployment = Deployment::on(broker.kafka("unconfirmed"));
    let list = deployment.file("list", lines(0..5));
    ok(deployment.open("shop", &["--list", &list]));
    let mut program = deployment.run_with("[refresh]\nalarm_after = \"5s\"\n");
    let ready = deployment.url("health/ready");
    broker.freeze();
    let told = program
        .await_http(&ready, WITHIN, |status, text| status == 503 && text.contains("could not be confirmed"));
    assert!(told.contains("exposures"), "{told}");
    broker.thaw();
    program.await_http(&ready, WITHIN, |status, _| status == 200);
    deployment.send((0..5).map(|n| transaction(n, &card_number(n))));
    deployment.await_records("sightings", 5);
    assert_eq!(program.terminate(DRAIN), Ended::Code(0), "{}", program.transcript());
}
