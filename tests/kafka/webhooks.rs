//! Alerts told to endpoints: signed, at least once, through restarts, kills and outages of the receiver.

use std::collections::BTreeSet;
use std::time::Duration;

use serde_json::Value;

use crate::deployment::{DRAIN, WITHIN, fails, ok};
use crate::hooks::{House, SCHEDULE, told};
use crate::support::program::Ended;
use crate::support::receiver::{Behaviour, Received, Receiver};
use crate::support::{Program, wait};

fn await_told(receiver: &Receiver, wanted: &BTreeSet<String>) {
    wait::until("every alert at the receiver", WITHIN, || {
        let told = told(receiver);
        wanted.iter().all(|id| told.contains_key(id)).then_some(())
    });
}

#[test]
fn alerts_arrive_signed_once_each_and_a_restart_tells_none_again() {
    let Some(mut house) = House::new("hooks-signed") else { return };
    let receiver = house.receiver(Behaviour::status(204));
    let more = house.config(&[("issuer", &receiver, "")]);
    let mut program = house.run(&more);
    let ids = house.alerts(20);
    await_told(&receiver, &ids);
    house.await_owed(&more, "issuer", 0);
    assert_eq!(program.terminate(DRAIN), Ended::Code(0), "{}", program.transcript());
    let mut program = house.run(&more);
    let more_ids = house.alerts(1);
    await_told(&receiver, &more_ids);
    assert_eq!(program.terminate(DRAIN), Ended::Code(0), "{}", program.transcript());
    let received = receiver.received();
    house.verify(&received);
    assert_eq!(told(&receiver), more_ids.iter().map(|id| (id.clone(), 1)).collect());
    for request in &received {
        assert_eq!(request.header("content-type"), Some("application/json"));
        assert_eq!(request.header("cardwatch-attempt"), Some("1"));
        let alert: Value = serde_json::from_slice(&request.body).unwrap();
        let id = format!("{}-{}", alert["id"].as_str().unwrap(), alert["revision"]);
        assert_eq!(request.header("webhook-id"), Some(id.as_str()));
        assert_eq!(alert["raised_at"].as_str(), request.header("cardwatch-raised-at"));
    }
}

#[test]
fn what_is_owed_survives_a_kill_and_goes_out_under_the_same_ids() {
    let Some(mut house) = House::new("hooks-killed") else { return };
    let (down, well) = (house.receiver(Behaviour::status(500)), house.receiver(Behaviour::status(200)));
    let more = house.config(&[("down", &down, ""), ("well", &well, "")]);
    let mut program = house.run(&more);
    let ids = house.alerts(30);
    await_told(&well, &ids);
    wait::until("an attempt that fails", WITHIN, || (!down.received().is_empty()).then_some(()));
    house.await_owed(&more, "down", 30);
    program.kill();
    let before = down.received().len();
    down.behave(Behaviour::status(200));
    let mut program = house.run(&more);
    wait::until("every alert at the receiver", WITHIN, || {
        let after: BTreeSet<String> = down.received()[before..]
            .iter()
            .map(|request| request.header("webhook-id").unwrap().to_owned())
            .collect();
        (after == ids.iter().map(|id| format!("{id}-1")).collect()).then_some(())
    });
    house.await_owed(&more, "down", 0);
    assert_eq!(program.terminate(DRAIN), Ended::Code(0), "{}", program.transcript());
    house.verify(&down.received());
}

#[test]
fn an_endpoint_that_is_gone_is_disabled_until_somebody_enables_it() {
    let Some(mut house) = House::new("hooks-gone") else { return };
    let receiver = house.receiver(Behaviour::status(410));
    let more = house.config(&[("issuer", &receiver, "")]);
    let mut program = house.run(&more);
    house.alerts(1);
    wait::until("the endpoint disabled", WITHIN, || {
        let list = house.command(&more, &["webhook", "list"]);
        (list[0]["disabled"]["why"] == "gone").then_some(())
    });
    receiver.behave(Behaviour::status(200));
    let ids = house.alerts(5);
    house.await_owed(&more, "issuer", 6);
    let asked = receiver.received().len();
    ok(Program::with(&["webhook", "enable", "issuer", "--as", "Ops"])
        .config(&(house.deployment.config() + &more)));
    await_told(&receiver, &ids);
    house.await_owed(&more, "issuer", 0);
    assert!(receiver.received().len() >= asked + 6);
    assert_eq!(program.terminate(DRAIN), Ended::Code(0), "{}", program.transcript());
    let audit = house.deployment.committed("audit");
    let acts: Vec<Value> = audit.iter().map(|record| record.json()).collect();
    assert!(
        acts.iter().any(|act| act["act"] == "endpoint_change" && act["subject"] == "endpoint/issuer"),
        "{acts:?}"
    );
}

#[test]
fn what_failed_for_good_is_listed_and_told_again_on_request() {
    let Some(mut house) = House::new("hooks-failed") else { return };
    let receiver = house.receiver(Behaviour::status(200));
    let own = "schedule = [\"0s\", \"100ms\"]\n";
    let more = house.config(&[("issuer", &receiver, "")]).replace(SCHEDULE, own);
    let (mut program, clock) = house.run_by_a_clock(&more);
    let first = house.alerts(1);
    await_told(&receiver, &first);
    // A delivery fails while others are taken, by an endpoint that is up: its schedule is over a day later.
    receiver.behave(Behaviour::Unless("\"t2\"", 400));
    let refused: Vec<String> = house.alerts(1).difference(&first).cloned().collect();
    wait::until("both attempts", WITHIN, || (receiver.received().len() >= 3).then_some(()));
    clock.forward(Duration::from_secs(120));
    let all = house.alerts(1);
    await_told(&receiver, &all);
    clock.forward(Duration::from_secs(86_400));
    let failed = || house.command(&more, &["webhook", "failed", "issuer"]);
    let failed = wait::until("what failed for good", WITHIN, || {
        let failed = failed();
        (!failed.as_array().unwrap().is_empty()).then_some(failed)
    });
    let ids: Vec<&str> =
        failed.as_array().unwrap().iter().map(|row| row["webhook_id"].as_str().unwrap()).collect();
    assert_eq!(ids, [format!("{}-1", refused[0])], "{failed}");
    house.await_owed(&more, "issuer", 0);
    receiver.behave(Behaviour::status(200));
    let before = receiver.received().len();
    ok(Program::with(&["webhook", "replay", "issuer", "--failed"])
        .config(&(house.deployment.config() + &more)));
    let again =
        wait::until("what had failed, once more", WITHIN, || receiver.received().get(before).cloned());
    assert_eq!(again.header("webhook-id"), Some(ids[0]));
    assert_eq!(house.command(&more, &["webhook", "failed", "issuer"]), serde_json::json!([]));
    let before = receiver.received().len();
    let id = all.iter().next().unwrap();
    ok(Program::with(&["webhook", "replay", "issuer", "--id", id])
        .config(&(house.deployment.config() + &more)));
    wait::until("the alert once more", WITHIN, || {
        let again = receiver.received();
        again[before..].iter().any(|r| r.header("webhook-id") == Some(&format!("{id}-1"))).then_some(())
    });
    assert_eq!(program.terminate(DRAIN), Ended::Code(0), "{}", program.transcript());
    fails(
        Program::with(&["webhook", "replay", "isuer", "--failed"])
            .config(&(house.deployment.config() + &more)),
        64,
        &["there is no endpoint isuer", "issuer"],
    );
}

#[test]
fn while_a_key_is_replaced_both_sign_and_a_test_alert_goes_out_at_once() {
    let Some(mut house) = House::new("hooks-rotated") else { return };
    let receiver = house.receiver(Behaviour::status(200));
    let more = house.config(&[("issuer", &receiver, "")]);
    let mut program = house.run(&more);
    let rotated = ok(Program::with(&["webhook", "rotate", "issuer", "--keep", "1h"])
        .config(&(house.deployment.config() + &more)));
    assert!(!rotated.transcript().contains("whsec_"), "a key was shown");
    let file = std::fs::read_to_string(house.deployment.path("hooks.secret")).unwrap();
    assert_eq!(
        file.lines().filter(|line| line.starts_with("whsec_")).count(),
        2,
        "not the old key beside a new one"
    );
    // Nobody tells the process: the command has written down that there is a newer key.
    let signatures = |request: &Received| request.header("webhook-signature").unwrap().split(' ').count();
    wait::until("both keys sign", WITHIN, || {
        // The last of those that were told: nothing is under way when the test alert goes out.
        await_told(&receiver, &house.alerts(1));
        receiver.received().last().is_some_and(|request| signatures(request) == 2).then_some(())
    });
    house.verify(&receiver.received());
    let before = receiver.received().len();
    let tested = house.command(&more, &["webhook", "test", "issuer"]);
    assert_eq!(tested["status"], 200);
    let received = receiver.received();
    let alert: Value = serde_json::from_slice(&received[before].body).unwrap();
    assert_eq!(alert["kind"], "test");
    house.verify(&received[before..]);
    assert_eq!(program.terminate(DRAIN), Ended::Code(0), "{}", program.transcript());
}

/// Whether an alert that was being told when the process was killed is told after the next start. The first process
/// has these faults.
fn is_told_after_a_kill(area: &str, faults: &str) -> Option<bool> {
    let mut house = House::new(area)?;
    let receiver = house.receiver(Behaviour::Hang);
    let more = house.config(&[("issuer", &receiver, "")]);
    let config = house.deployment.config() + &more;
    let mut broken = Program::with(&["run"]).config(&config).env("CARDWATCH_FAULTS", faults).start();
    broken.await_http(&house.deployment.url("health/ready"), WITHIN, |status, _| status == 200);
    let ids = house.alerts(1);
    wait::until("a request under way", WITHIN, || (!receiver.received().is_empty()).then_some(()));
    let alerts = house.deployment.topic("alerts");
    wait::until("the alert committed", WITHIN, || {
        let committed = house.deployment.kafka.committed(&house.deployment.group("notify"), &alerts);
        committed.iter().any(|place| place.offset.is_some_and(|offset| offset > 0)).then_some(())
    });
    broken.kill();
    let before = receiver.received().len();
    receiver.behave(Behaviour::status(200));
    let mut program = Program::with(&["run"]).config(&config).start();
    let wanted: BTreeSet<String> = ids.iter().map(|id| format!("{id}-1")).collect();
    let told = || -> BTreeSet<String> {
        let after = receiver.received().into_iter().skip(before);
        after.filter_map(|request| request.header("webhook-id").map(str::to_owned)).collect()
    };
    // Both partitions are taken up before, so that nothing which is still to be restored is overtaken.
    wait::until("what is owed is known, or refused", WITHIN, || {
        (program.poll_end().is_some() || program.told("partition flows line=\"notify\"") == 2).then_some(())
    });
    house.send(1);
    wait::until("what comes after it is told, or nobody is there to tell it", WITHIN, || {
        (program.poll_end().is_some() || !told().is_subset(&wanted)).then_some(())
    });
    // A sound build tells it as well, sooner or later; one that forgot it never does.
    let told = match faults {
        "" => wait::poll(WITHIN, || wanted.is_subset(&told()).then_some(())).is_some(),
        _ => wanted.is_subset(&told()),
    };
    program.kill();
    Some(told)
}

#[test]
fn a_request_before_its_ledger_and_offsets_before_theirs_are_caught() {
    let Some(sound) = is_told_after_a_kill("hooks-sound", "") else { return };
    assert!(sound, "the sound build lost what it owed");
    for (area, variant) in [("hooks-early", "request-before-ledger"), ("hooks-late", "offsets-before-ledger")]
    {
        let told = is_told_after_a_kill(area, &format!("break:{variant}"));
        assert_eq!(told, Some(false), "{variant} is not caught");
    }
}
