//! Heartbeats to endpoints: signs of life whose counts are exact.

use serde_json::Value;

use crate::deployment::{DRAIN, WITHIN, ok, transaction};
use crate::hooks::{House, SCHEDULE};
use crate::support::load::card_number;
use crate::support::program::Ended;
use crate::support::receiver::{Behaviour, Received, Receiver};
use crate::support::{Program, schema, wait};

/// What they count.
const COUNTED: [&str; 3] = ["transactions", "sightings", "alerts"];

/// The heartbeats that came, in order.
fn beats(receiver: &Receiver) -> Vec<(Received, Value)> {
    let bodies = receiver.received().into_iter().map(|request| {
        let body: Value = serde_json::from_slice(&request.body).unwrap();
        (request, body)
    });
    bodies.filter(|(_, body)| body["schema"] == "cardwatch.heartbeat/1").collect()
}

/// What they say together.
fn sums(receiver: &Receiver) -> [u64; 3] {
    let beats = beats(receiver);
    COUNTED.map(|name| beats.iter().map(|(_, body)| body[name].as_u64().unwrap()).sum())
}

/// Waits until they add up to `wanted` and it is written down that they were told.
fn await_sums(house: &House, receiver: &Receiver, wanted: [u64; 3]) {
    wait::until("heartbeats that add up", WITHIN, || (sums(receiver) == wanted).then_some(()));
    wait::until("the last one written down", WITHIN, || {
        let records = house.deployment.committed("control");
        let last = records.iter().rfind(|record| record.key_text() == "heartbeat/pulse")?.json();
        (COUNTED.map(|name| last["counts"][name].as_u64()) == wanted.map(Some)).then_some(())
    });
    assert_eq!(sums(receiver), wanted);
}

#[test]
fn heartbeats_count_every_transaction_once_through_a_restart() {
    let Some(mut house) = House::new("hooks-heartbeat") else { return };
    let receiver = house.receiver(Behaviour::status(204));
    let more = house.config(&[("pulse", &receiver, "heartbeat = \"1s\"")]);
    let mut program = house.run(&more);
    wait::until("the first heartbeat", WITHIN, || (!beats(&receiver).is_empty()).then_some(()));
    assert_eq!(beats(&receiver)[0].1["newest_transaction"], Value::Null);
    house.alerts(20);
    // Nobody exposed these.
    house.deployment.send((0..7).map(|n| transaction(9_000 + n, &card_number(9_000 + n))));
    await_sums(&house, &receiver, [27, 20, 20]);
    assert_eq!(program.terminate(DRAIN), Ended::Code(0), "{}", program.transcript());
    let mut program = house.run(&more);
    house.alerts(5);
    await_sums(&house, &receiver, [32, 25, 25]);
    assert_eq!(program.terminate(DRAIN), Ended::Code(0), "{}", program.transcript());
    let beats = beats(&receiver);
    house.verify(&receiver.received());
    let mut newest = String::new();
    for (request, body) in &beats {
        schema::check_value("heartbeat", body);
        assert!(request.header("webhook-id").unwrap().starts_with("hb_pulse_"));
        assert_eq!(body["endpoint"], "pulse");
        let at = body["newest_transaction"].as_str().unwrap_or_default().to_owned();
        assert!(at >= newest, "{at} after {newest}");
        newest = at;
    }
    assert!(!newest.is_empty());
    // Alerts are not heartbeats: each was told once.
    assert_eq!(receiver.received().len() - beats.len(), 25);
}

#[test]
fn a_heartbeat_says_what_is_owed_and_a_disabled_endpoint_gets_none() {
    let Some(mut house) = House::new("hooks-heartbeat-owed") else { return };
    let receiver = house.receiver(Behaviour::Unless("cardwatch.heartbeat/1", 500));
    let other = house.receiver(Behaviour::status(204));
    let own = "heartbeat = \"1s\"";
    let more = house.config(&[("other", &other, own), ("pulse", &receiver, own)]).replace(SCHEDULE, "");
    let mut program = house.run(&more);
    house.alerts(12);
    wait::until("a heartbeat that says so", WITHIN, || {
        beats(&receiver).iter().any(|(_, body)| body["owed"] == 12).then_some(())
    });
    ok(Program::with(&["webhook", "disable", "pulse", "--as", "Ops"])
        .config(&(house.deployment.config() + &more)));
    wait::until("it to be known", WITHIN, || {
        let list = house.command(&more, &["webhook", "list"]);
        (list[1]["disabled"]["why"] == "asked").then_some(())
    });
    let metric = "cardwatch_webhook_disabled{endpoint=\"pulse\"} 1";
    program.await_http(&house.deployment.url("metrics"), WITHIN, |_, body| body.contains(metric));
    let (before, elsewhere) = (beats(&receiver).len(), beats(&other).len());
    wait::until("others'", WITHIN, || (beats(&other).len() > elsewhere + 3).then_some(()));
    assert!(beats(&receiver).len() <= before + 1, "a disabled endpoint gets heartbeats");
    assert_eq!(program.terminate(DRAIN), Ended::Code(0), "{}", program.transcript());
}
