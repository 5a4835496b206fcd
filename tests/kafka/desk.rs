//! Alerts worked from the command line and over HTTP: listed, shown, followed, decided; and what a decision makes of
//! them.

use std::collections::BTreeSet;
use std::time::Duration;

use serde_json::{Value, json};

use crate::deployment::{DRAIN, Deployment, WITHIN, fails, lines, ok, transaction};
use crate::support::load::card_number;
use crate::support::program::{Ended, Signal};
use crate::support::tool::tool;
use crate::support::{Outgoing, Program, wait};

/// A rule that raises an alert for every sighting.
const RULES: &str = "[[rule]]\nname = \"every\"\nwhen = \"true\"\nscore = 100\ntext = \"a sighting\"\n";
/// A token for each role that matters here.
const TOKENS: [(&str, &str, &str); 2] = [
    ("eyes", "read", "read-0123456789abcdef0123456789abcdef"),
    ("anna", "decide", "desk-0123456789abcdef0123456789abcdef"),
];

/// A service with an alert for each of `transactions`, which are on cards of their own.
fn desk(
    area: &str,
    transactions: impl IntoIterator<Item = String>,
    cards: usize,
) -> Option<(Deployment, Program)> {
    let deployment = Deployment::new(area)?;
    let list = deployment.file("list", lines(0..cards));
    ok(deployment.open("shop", &["--list", &list]));
    let rules = deployment.file("rules.toml", RULES);
    let transactions: Vec<String> = transactions.into_iter().collect();
    let count = transactions.len();
    deployment.send(transactions);
    let mut more = format!("[alerts]\nrules = \"{rules}\"\n");
    for (name, role, token) in TOKENS {
        more += &deployment.token(name, role, token);
    }
    let program = deployment.run_with(&more);
    deployment.await_records("alerts", count);
    Some((deployment, program))
}

fn alerts(deployment: &Deployment) -> Vec<Value> {
    deployment.committed("alerts").iter().map(|record| record.json()).collect()
}

/// Waits until the alert has this revision; the revision.
#[track_caller]
fn await_revision(deployment: &Deployment, id: &str, revision: u64) -> Value {
    wait::until("a revision", WITHIN, || {
        alerts(deployment).into_iter().find(|alert| alert["id"] == id && alert["revision"] == revision)
    })
}

#[test]
fn many_decisions_at_once_close_each_alert_once() {
    const MANY: usize = 300;
    let transactions = (0..MANY).map(|n| transaction(n, &card_number(n)));
    let Some((deployment, mut program)) = desk("many", transactions, MANY) else { return };
    let outcomes = deployment.topic("outcomes");
    let decisions: Vec<Outgoing> = alerts(&deployment)
        .iter()
        .map(|alert| {
            let id = alert["id"].as_str().unwrap();
            Outgoing::to(&outcomes).key(id).value(json!({"alert": id, "verdict": "fraud"}).to_string())
        })
        .collect();
    let began = wait::now();
    deployment.kafka.produce(&decisions);
    await_outcomes(&deployment, MANY as i64);
    let rate = MANY as f64 / (wait::now() - began).as_secs_f64();
    println!("{MANY} outcomes on as many alerts, {rate:.0}/s");
    let alerts = alerts(&deployment);
    let revised: Vec<&str> = alerts
        .iter()
        .filter(|alert| alert["revision"] == 2)
        .map(|alert| alert["id"].as_str().unwrap())
        .collect();
    let closed: BTreeSet<&str> = revised.iter().copied().collect();
    assert_eq!((revised.len(), closed.len()), (MANY, MANY));
    assert_eq!(program.terminate(DRAIN), Ended::Code(0), "{}", program.transcript());
}

/// Waits until `books` has committed so many outcomes.
#[track_caller]
fn await_outcomes(deployment: &Deployment, count: i64) {
    wait::until("outcomes worked off", WITHIN, || {
        let offsets = deployment.kafka.offsets(&deployment.group("books"), &deployment.topic("outcomes"));
        offsets.values().all(|offset| *offset == count).then_some(())
    });
}

#[test]
fn a_decision_closes_its_alert_and_a_later_one_replaces_it() {
    let transactions = (0..3).map(|n| transaction(n, &card_number(n)));
    let Some((deployment, mut program)) = desk("decide", transactions, 3) else { return };
    let listed = deployment.json(&["alerts", "list"]);
    let raised: Vec<&str> =
        listed.as_array().unwrap().iter().map(|alert| alert["raised_at"].as_str().unwrap()).collect();
    assert!(raised.len() == 3 && raised.is_sorted_by(|one, other| one >= other), "{listed}");
    let before = deployment.committed("alerts");
    let id = before[0].json()["id"].as_str().unwrap().to_owned();

    ok(deployment.command(&["outcome", &id, "fraud", "--note", "she did not do it", "--as", "Anna"]));
    let closed = await_revision(&deployment, &id, 2);
    assert_eq!((&closed["state"], &closed["outcome"]["verdict"]), (&json!("closed"), &json!("fraud")));
    assert_eq!(closed["outcome"]["by"]["claimed"], "Anna");
    let after = deployment.committed("alerts");
    let revision = after.iter().find(|record| record.json()["revision"] == 2).unwrap();
    assert_eq!((revision.partition, &revision.key), (before[0].partition, &before[0].key));
    assert_eq!(revision.header("ce_id"), Some(format!("{id}.2").as_str()));
    assert_eq!(revision.header("ce_source"), Some("/cardwatch/books"));
    // Nothing else has changed.
    let mut same = closed.clone();
    same.as_object_mut().unwrap().remove("outcome");
    same["revision"] = json!(1);
    same["state"] = json!("open");
    assert_eq!(same, before[0].json());

    // The same again; from elsewhere by the transaction; garbage, a card number, and a tombstone.
    ok(deployment.command(&["outcome", &id, "fraud"]));
    let number = before[0].json()["transaction"]["id"].as_str().unwrap().to_owned();
    let outcomes = deployment.topic("outcomes");
    let pan = card_number(0);
    deployment.kafka.produce(&[
        Outgoing::to(&outcomes)
            .key("k1")
            .value(json!({"transaction": number, "verdict": "fraud"}).to_string()),
        Outgoing::to(&outcomes).key("k2").value("garbage"),
        Outgoing::to(&outcomes)
            .key("k3")
            .value(json!({"alert": id, "verdict": "genuine", "note": format!("card {pan}")}).to_string()),
        Outgoing::to(&outcomes).key("k2"),
        Outgoing::to(&outcomes)
            .key("k4")
            .value(json!({"alert": format!("alr_{}", "a".repeat(26)), "verdict": "fraud"}).to_string()),
    ]);
    await_outcomes(&deployment, 7);
    assert_eq!(deployment.await_records("dead-letters", 2).len(), 2);
    assert_eq!(alerts(&deployment).len(), 4, "none of them makes a revision");

    // Reopened, and across a restart the count goes on.
    ok(deployment.command(&["outcome", "--transaction", &number, "unknown"]));
    assert_eq!(await_revision(&deployment, &id, 3)["state"], "open");
    assert_eq!(program.terminate(DRAIN), Ended::Code(0), "{}", program.transcript());
    ok(deployment.command(&["outcome", &id, "genuine"]));
    let mut program = deployment.run();
    assert_eq!(await_revision(&deployment, &id, 4)["outcome"]["verdict"], "genuine");
    let numbers: BTreeSet<(String, u64)> = alerts(&deployment)
        .iter()
        .map(|alert| (alert["id"].as_str().unwrap().to_owned(), alert["revision"].as_u64().unwrap()))
        .collect();
    assert_eq!(numbers.len(), alerts(&deployment).len(), "a revision twice");

    let shown = deployment.json(&["alerts", "show", &id]);
    assert_eq!((&shown["alert"]["revision"], &shown["other_alerts"]), (&json!(4), &json!([])));
    let closed =
        deployment.json(&["alerts", "list", "--state", "closed", "--incident", "shop", "--rule", "every"]);
    assert_eq!(closed.as_array().unwrap().len(), 1);
    assert_eq!(closed[0]["verdict"], "genuine");
    let metrics = program.await_http(&deployment.url("metrics"), WITHIN, |_, text| {
        text.contains("cardwatch_open_alerts{severity=\"high\"} 2\n")
    });
    assert!(
        metrics.contains("cardwatch_outcomes_total{effect=\"closed\",verdict=\"genuine\"} 1"),
        "{metrics}"
    );
    assert_eq!(program.terminate(DRAIN), Ended::Code(0));
}

#[test]
fn what_cannot_be_decided_is_refused_with_its_reason() {
    let twice = (0..2).map(|n| transaction(7, &card_number(n)));
    let Some((deployment, mut program)) = desk("refused", twice, 2) else { return };
    let unknown = format!("alr_{}", "a".repeat(26));
    let pan = card_number(1);
    fails(deployment.command(&["outcome", &unknown, "fraud"]), 65, &["there is no alert", &unknown]);
    fails(deployment.command(&["outcome", "A-1207", "fraud"]), 64, &["alerts list"]);
    fails(
        deployment.command(&["outcome", "--transaction", "t9", "fraud"]),
        65,
        &["no alert on a transaction t9"],
    );
    let several = deployment.command(&["outcome", "--transaction", "t7", "fraud"]);
    let told = fails(several, 65, &["2 alerts have this transaction id"]);
    assert_eq!(
        told.stderr().iter().filter(|line| line.starts_with("alr_")).count(),
        2,
        "{}",
        told.transcript()
    );
    let id = alerts(&deployment)[0]["id"].as_str().unwrap().to_owned();
    let told = fails(deployment.command(&["outcome", &id, "fraud", "--note", &pan]), 64, &["card number"]);
    assert!(!told.transcript().contains(&pan));
    fails(deployment.command(&["alerts", "show", &unknown]), 65, &["no alert"]);
    assert!(deployment.committed("outcomes").is_empty());
    assert_eq!(program.terminate(DRAIN), Ended::Code(0));
}

#[test]
fn alerts_are_followed_as_they_come() {
    let Some((deployment, mut program)) = desk("follow", [transaction(0, &card_number(0))], 2) else {
        return;
    };
    let id = alerts(&deployment)[0]["id"].as_str().unwrap().to_owned();
    let mut follower = deployment
        .command(&["--format", "json", "alerts", "follow", "--since", "1h", "--state", "closed"])
        .start();
    ok(deployment.command(&["outcome", &id, "genuine"]));
    let line = follower.await_line(&id, WITHIN);
    let alert: Value = serde_json::from_str(&line).unwrap();
    assert_eq!((&alert["revision"], &alert["outcome"]["verdict"]), (&json!(2), &json!("genuine")));
    follower.signal(Signal::INT);
    assert_eq!(follower.await_end(WITHIN), Ended::Code(0));
    assert_eq!(follower.stdout().len(), 1, "{}", follower.transcript());
    assert_eq!(program.terminate(DRAIN), Ended::Code(0));
}

/// Status and body of a request.
fn ask(deployment: &Deployment, token: usize, path: &str, body: Option<Value>) -> (u16, Value) {
    deployment.ask(TOKENS[token].2, path, body)
}

#[test]
fn alerts_are_worked_over_http() {
    let transactions = (0..5).map(|n| transaction(n.min(3), &card_number(n)));
    let Some((deployment, mut program)) = desk("http", transactions, 5) else { return };
    let (reader, decider) = (0, 1);
    wait::until("the alerts", WITHIN, || {
        let (_, all) = ask(&deployment, reader, "v1/alerts?limit=500", None);
        (all["items"].as_array()?.len() == 5).then_some(())
    });
    let (status, page) = ask(&deployment, reader, "v1/alerts?limit=3", None);
    assert_eq!((status, page["items"].as_array().unwrap().len()), (200, 3), "{page}");
    let next = page["next"].as_str().unwrap();
    let (_, rest) = ask(&deployment, reader, &format!("v1/alerts?limit=3&cursor={next}"), None);
    assert_eq!((rest["items"].as_array().unwrap().len(), &rest["next"]), (2, &Value::Null));
    let id = page["items"][0]["id"].as_str().unwrap();
    let (status, alert) = ask(&deployment, reader, &format!("v1/alerts/{id}"), None);
    assert_eq!((status, &alert["schema"]), (200, &json!("cardwatch.alert/1")));

    let decide = |token, body: Value| ask(&deployment, token, "v1/outcomes", Some(body));
    assert_eq!(decide(reader, json!({"alert": id, "verdict": "fraud"})).0, 403);
    let (status, outcome) = decide(decider, json!({"alert": id, "verdict": "fraud", "note": "called her"}));
    assert_eq!((status, &outcome["by"]["name"], &outcome["by"]["via"]), (200, &json!("anna"), &json!("api")));
    assert_eq!(outcome["about"]["incidents"], json!(["shop"]));
    await_revision(&deployment, id, 2);
    assert_eq!(decide(decider, json!({"alert": id, "verdict": "fraud"})).0, 200);
    await_outcomes(&deployment, 2);
    let revisions = wait::until("revisions", WITHIN, || {
        let (_, found) = ask(&deployment, reader, &format!("v1/alerts/{id}/revisions"), None);
        (found["items"].as_array()?.len() == 2).then_some(found)
    });
    assert_eq!(
        (&revisions["items"][0]["state"], &revisions["items"][1]["state"]),
        (&json!("open"), &json!("closed"))
    );
    let (_, outcomes) = ask(&deployment, reader, &format!("v1/outcomes?subject={id}"), None);
    assert_eq!(outcomes["items"].as_array().unwrap().len(), 1, "of each alert the last: {outcomes}");

    let nobody = format!("alr_{}", "a".repeat(26));
    let pan = card_number(0);
    for (body, status, code) in [
        (json!({"transaction": "t3", "verdict": "fraud"}), 409, "ambiguous"),
        (json!({"transaction": "t9", "verdict": "fraud"}), 404, "no_such_alert"),
        (json!({"alert": nobody, "verdict": "fraud"}), 404, "no_such_alert"),
        (json!({"alert": id, "verdict": "maybe"}), 400, "malformed"),
        (json!({"alert": id, "verdict": "fraud", "colour": "red"}), 400, "malformed"),
        (json!({"alert": id, "transaction": "t", "verdict": "fraud"}), 400, "malformed"),
        (json!({"alert": id, "verdict": "fraud", "note": pan}), 400, "malformed"),
    ] {
        let (found, problem) = decide(decider, body.clone());
        assert_eq!((found, &problem["code"]), (status, &json!(code)), "{body}: {problem}");
        assert!(!problem.to_string().contains(&pan));
        let candidates = problem["candidates"].as_array().map(Vec::len);
        assert_eq!(candidates, (status == 409).then_some(2), "{problem}");
    }
    for path in ["v1/alerts?colour=red", "v1/alerts?limit=0", "v1/alerts?cursor=x", "v1/alerts?since=today"] {
        assert_eq!(ask(&deployment, reader, path, None).0, 400, "{path}");
    }
    assert_eq!(ask(&deployment, reader, "v1/alerts/x", None).0, 404);
    assert_eq!(deployment.committed("outcomes").len(), 2);
    assert_eq!(program.terminate(DRAIN), Ended::Code(0), "{}", program.transcript());
}

#[test]
fn the_service_does_what_its_description_says() {
    let Some(schemathesis) = tool("schemathesis", "the HTTP side against its description") else { return };
    let transactions = (0..6).map(|n| transaction(n, &card_number(n)));
    let Some((deployment, mut program)) = desk("schemathesis", transactions, 6) else { return };
    wait::until("the books", WITHIN, || {
        (ask(&deployment, 1, "v1/incidents/shop", None).0 == 200).then_some(())
    });
    let binary = schemathesis.display().to_string();
    let header = format!("Authorization: Bearer {}", TOKENS[1].2);
    let url = deployment.url("v1/openapi.json");
    // No schema can say which texts are cursors, so what fits the description may still be refused.
    let arguments = [
        "run",
        &url,
        "--header",
        &header,
        // Those of webhooks have a test of their own.
        "--exclude-path-regex",
        "^/v1/(webhooks|deliveries)",
        "--max-examples",
        "40",
        "--seed",
        "1",
        "--no-color",
        "--exclude-checks",
        "positive_data_acceptance",
    ];
    let (ended, tried) = Program::other(&binary, &arguments).run(Duration::from_secs(300));
    assert_eq!(ended, Ended::Code(0), "{}", tried.transcript());
    assert_eq!(program.terminate(DRAIN), Ended::Code(0), "{}", program.transcript());
}
