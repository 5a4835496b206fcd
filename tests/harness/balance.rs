use serde_json::{Value, json};

use crate::support::Message;
use crate::support::balance::{Endpoint, Form, Log, Rule, Run, Said, Sums, Violation, judge};

/// Alerts on one partition, at the offsets from 0.
const ALERTS: i64 = 10;

fn all(_: &Value) -> bool {
    true
}

fn even(alert: &Value) -> bool {
    alert["score"].as_u64().is_some_and(|score| score % 2 == 0)
}

const PLAIN: Endpoint = Endpoint { name: "plain", healthy: true, batches: false, wants: even };
const BATCHES: Endpoint = Endpoint { name: "batches", healthy: true, batches: true, wants: all };
const BROKEN: Endpoint = Endpoint { name: "broken", healthy: false, batches: false, wants: all };

fn id(number: i64) -> String {
    format!("alr_{number}-1")
}

fn alert(number: i64) -> Value {
    json!({"id": format!("alr_{number}"), "revision": 1, "score": number})
}

fn member(number: i64) -> Value {
    json!({"offset": number, "id": id(number)})
}

fn owed(stage: &str, numbers: &[i64]) -> Value {
    let members: Vec<Value> = numbers.iter().copied().map(member).collect();
    json!({"stage": stage, "members": members, "attempts": 1, "due": 7, "since": 5})
}

/// A record of the ledger, or the tombstone of one.
fn put(run: &mut Run, key: &str, value: Option<Value>) {
    let value = value.map(|value| value.to_string());
    run.ledger.record(key, 0, value.as_deref().map(str::as_bytes)).unwrap();
}

fn tell(run: &mut Run, endpoint: &str, id: &str, body: &Value, status: Option<u16>) {
    run.logs.get_mut(endpoint).unwrap().take(id, body.to_string().as_bytes(), status);
}

/// A batch of these alerts, and a request of it that is taken.
fn batch(run: &mut Run, id: &str, numbers: &[i64]) {
    let body: Vec<Value> = numbers.iter().copied().map(alert).collect();
    tell(run, "batches", id, &json!({"alerts": body}), Some(200));
}

/// What a faultless program does: `plain` and `batches` have everything, one of them one alert twice; of `broken` three
/// alerts are delivered, one has failed, two wait and four are in a range.
fn sound() -> Run {
    let mut run = Run { endpoints: vec![PLAIN, BATCHES, BROKEN], ..Run::default() };
    for (name, form) in [("plain", Form::Alert), ("batches", Form::Alerts), ("broken", Form::Alert)] {
        run.logs.insert(name.to_owned(), Log::of(form));
        put(&mut run, &format!("endpoint/{name}"), Some(json!({"begun": 0})));
    }
    for offset in 0..ALERTS {
        let (value, endpoints) = (Some(alert(offset).to_string().into_bytes()), run.endpoints.clone());
        let message = Message {
            topic: "alerts".to_owned(),
            partition: 0,
            offset,
            timestamp: 0,
            key: None,
            value,
            headers: Vec::new(),
        };
        assert_eq!(run.alerts.take(&message, &endpoints), id(offset));
    }
    for number in (0..ALERTS).step_by(2) {
        let key = format!("owed/plain/{}", id(number));
        put(&mut run, &key, Some(owed("waiting", &[number])));
        tell(&mut run, "plain", &id(number), &alert(number), Some(204));
        put(&mut run, &key, None);
    }
    tell(&mut run, "plain", &id(4), &alert(4), Some(204));
    for (name, numbers) in [("bat_a", [0, 1, 2, 3, 4]), ("bat_b", [5, 6, 7, 8, 9])] {
        put(&mut run, &format!("owed/batches/{name}"), Some(owed("waiting", &numbers)));
        tell(&mut run, "batches", name, &json!({"alerts": numbers.map(alert)}), Some(500));
        batch(&mut run, name, &numbers);
        put(&mut run, &format!("owed/batches/{name}"), None);
    }
    for number in 0..6 {
        put(&mut run, &format!("owed/broken/{}", id(number)), Some(owed("waiting", &[number])));
        tell(&mut run, "broken", &id(number), &alert(number), Some(if number < 3 { 200 } else { 500 }));
        if number < 3 {
            put(&mut run, &format!("owed/broken/{}", id(number)), None);
        }
    }
    put(&mut run, &format!("owed/broken/{}", id(3)), Some(owed("failed", &[3])));
    put(
        &mut run,
        "endpoint/broken",
        Some(json!({"begun": 0, "ranges": [{"from": 6, "to": 10, "count": 4}]})),
    );
    put(&mut run, "taken/0", Some(json!({"next": 10, "control": 0, "partitions": 1})));
    run.said.insert("broken".to_owned(), Said { owed: 6, failed: 1, before: (8, 8) });
    run.said.insert("plain".to_owned(), Said::default());
    run
}

#[track_caller]
fn assert_found(run: &Run, rules: &[Rule]) {
    let (_, found) = judge(run);
    let mut broken: Vec<Rule> = found.iter().map(|violation| violation.rule).collect();
    broken.dedup();
    assert_eq!(broken, rules, "{found:?}");
}

#[test]
fn a_sound_run_balances() {
    let (sums, found) = judge(&sound());
    assert_eq!(found, [] as [Violation; 0]);
    let sum = |endpoint: &str, again, wanted, delivered, owed, failed| Sums {
        endpoint: endpoint.to_owned(),
        again,
        wanted,
        delivered,
        owed,
        failed,
    };
    let expected =
        [sum("plain", 1, 5, 5, 0, 0), sum("batches", 0, 10, 10, 0, 0), sum("broken", 0, 10, 3, 6, 1)];
    assert_eq!(sums, expected);
}

#[test]
fn an_alert_that_is_nowhere_is_lost_and_from_a_healthy_endpoint_missing() {
    let mut run = sound();
    put(&mut run, &format!("owed/broken/{}", id(5)), None);
    run.said.remove("broken");
    assert_found(&run, &[Rule::Lost, Rule::Unbalanced]);
    let mut run = sound();
    run.logs.insert("plain".to_owned(), Log::of(Form::Alert));
    assert_found(&run, &[Rule::Missing, Rule::Lost, Rule::Unbalanced]);
}

#[test]
fn what_a_healthy_endpoint_is_only_owed_is_missing() {
    let mut run = sound();
    run.endpoints[2].healthy = true;
    assert_found(&run, &[Rule::Missing]);
}

#[test]
fn an_alert_that_nobody_asked_for_is_unwanted() {
    let mut run = sound();
    put(&mut run, &format!("owed/plain/{}", id(3)), Some(owed("waiting", &[3])));
    put(&mut run, &format!("owed/plain/{}", id(3)), None);
    tell(&mut run, "plain", &id(3), &alert(3), Some(500));
    assert_found(&run, &[Rule::Unwanted]);
    // One that is on no topic, because its transaction was aborted.
    let mut run = sound();
    put(&mut run, &format!("owed/broken/{}", id(77)), Some(owed("waiting", &[77])));
    put(&mut run, &format!("owed/broken/{}", id(77)), None);
    tell(&mut run, "broken", &id(77), &alert(77), None);
    assert_found(&run, &[Rule::Unwanted]);
}

#[test]
fn an_id_is_one_delivery_for_ever() {
    let mut run = sound();
    let mut other = alert(4);
    other["score"] = json!(5);
    tell(&mut run, "plain", &id(4), &other, Some(200));
    assert_found(&run, &[Rule::OtherBody]);
    let mut run = sound();
    tell(&mut run, "plain", &id(4), &alert(6), Some(200));
    assert_found(&run, &[Rule::OtherMembers, Rule::OtherBody]);
    let mut run = sound();
    batch(&mut run, "bat_a", &[0, 1, 2, 3]);
    assert_found(&run, &[Rule::OtherMembers, Rule::OtherBody]);
    // The ledger alone says otherwise.
    let mut run = sound();
    put(&mut run, "owed/batches/bat_a", Some(owed("waiting", &[0, 1])));
    put(&mut run, "owed/batches/bat_a", None);
    assert_found(&run, &[Rule::OtherMembers]);
}

#[test]
fn an_alert_in_two_batches_is_caught_whether_it_was_told_or_not() {
    let mut run = sound();
    put(&mut run, "owed/batches/bat_c", Some(owed("waiting", &[4, 5])));
    put(&mut run, "owed/batches/bat_c", None);
    batch(&mut run, "bat_c", &[4, 5]);
    assert_found(&run, &[Rule::BatchFormedAnew]);
    let mut run = sound();
    put(&mut run, "owed/batches/bat_c", Some(owed("waiting", &[4, 5])));
    assert_found(&run, &[Rule::BatchFormedAnew, Rule::OwedThoughTaken, Rule::Unbalanced]);
}

#[test]
fn a_request_that_the_ledger_never_knew_is_caught() {
    let mut run = sound();
    tell(&mut run, "broken", &id(8), &alert(8), Some(500));
    assert_found(&run, &[Rule::Unwritten]);
}

#[test]
fn what_was_delivered_is_owed_no_more() {
    let mut run = sound();
    put(&mut run, &format!("owed/plain/{}", id(2)), Some(owed("waiting", &[2])));
    run.said.remove("plain");
    assert_found(&run, &[Rule::OwedThoughTaken, Rule::Unbalanced]);
    let mut run = sound();
    put(&mut run, &format!("owed/plain/{}", id(2)), Some(owed("failed", &[2])));
    run.said.remove("plain");
    assert_found(&run, &[Rule::OwedThoughTaken, Rule::Unbalanced]);
}

#[test]
fn sums_that_differ_are_caught_wherever_they_are_taken() {
    for said in [
        Said { owed: 5, failed: 1, before: (6, 6) },
        Said { owed: 6, failed: 0, before: (6, 6) },
        Said { owed: 6, failed: 1, before: (6, 7) },
    ] {
        let mut run = sound();
        run.said.insert("broken".to_owned(), said);
        assert_found(&run, &[Rule::Unbalanced]);
    }
    let mut run = sound();
    let range = json!({"from": 6, "to": 10, "count": 3});
    put(&mut run, "endpoint/broken", Some(json!({"begun": 0, "ranges": [range]})));
    assert_found(&run, &[Rule::Unbalanced]);
    let mut run = sound();
    put(&mut run, &format!("owed/broken/{}", id(7)), Some(owed("waiting", &[7])));
    assert_found(&run, &[Rule::Unbalanced]);
}

#[test]
fn what_does_not_read_is_said() {
    let mut run = sound();
    tell(&mut run, "broken", &id(4), &json!("no alert"), Some(500));
    assert_found(&run, &[Rule::Unreadable]);
    let mut run = sound();
    for key in ["owed/plain", "nothing", "other/plain"] {
        assert!(run.ledger.record(key, 0, Some(b"{}")).is_err(), "{key}");
    }
    let broken = Message {
        topic: "deliveries".to_owned(),
        partition: 0,
        offset: 0,
        timestamp: 0,
        key: Some(b"endpoint/plain".to_vec()),
        value: Some(b"x".to_vec()),
        headers: Vec::new(),
    };
    run.ledger.take(&broken);
    assert_found(&run, &[Rule::Unreadable]);
}

#[test]
fn every_form_of_body_says_which_alerts_it_is_about() {
    let notified =
        json!({"labels": {"alert_id": "alr_1"}, "annotations": {"revision": "1"}, "status": "firing"});
    let bodies = [
        (Form::Alert, alert(1)),
        (Form::Alerts, json!({"alerts": [alert(1)]})),
        (Form::Event, json!({"data": alert(1), "id": "event"})),
        (Form::Events, json!([{"data": alert(1)}])),
        (Form::Notification, json!({"alerts": [notified]})),
    ];
    for (form, body) in bodies {
        let mut log = Log::of(form);
        log.take("bat_x", body.to_string().as_bytes(), None);
        let (_, told) = log.told().next().unwrap();
        assert_eq!(told.members("bat_x").collect::<Vec<_>>(), [id(1)], "{form:?}");
        assert_eq!((told.requests, told.taken, log.delivered), (1, 0, 0));
        log.take("bat_x", body.to_string().as_bytes(), Some(200));
        log.take("bat_x", body.to_string().as_bytes(), Some(200));
        assert_eq!(log.delivered, 1, "an alert counts once");
        assert_eq!(log.answers.into_iter().collect::<Vec<_>>(), [(0, 1), (200, 2)]);
    }
}
