//! The books of an incident, told by commands, on a real broker.

use std::time::Duration;

use serde_json::{Value, json};

use crate::deployment::{Deployment, column, fails, leaks, lines, ok};
use crate::support::load::card_number;
use crate::support::program::Ended;
use crate::support::{Isolation, Message, Outgoing, Program, wait};

const WITHIN: Duration = Duration::from_secs(60);

/// Alerts on every use over 10.00 and every decline.
const RULES: &str = r#"
[[rule]]
name = "dear"
when = "amount > 1000 && role != 'check'"
score = 50
text = "{amount}"
"#;

/// One transaction: its number, card, kind, outcome and amount.
fn transaction(number: usize, card: usize, kind: &str, outcome: &str, amount: &str) -> String {
    json!({
        "id": format!("t{number}"), "at": format!("2026-03-01T00:{number:02}:00Z"), "card": card_number(card),
        "kind": kind, "outcome": outcome, "amount": amount, "currency": "EUR", "merchant": {"id": format!("M{number}")},
    })
    .to_string()
}

/// What the stream has: purchases, a check, a refund, a duplicate, a clearing.
fn purchases(input: &str) -> Vec<Outgoing> {
    let sent = [
        (0, 0, "authorization", "approved", "5.00"),
        (1, 0, "authorization", "approved", "20.00"),
        (2, 1, "authorization", "declined", "30.00"),
        (3, 1, "account_check", "approved", "0.00"),
        (4, 2, "authorization", "approved", "40.00"),
        (5, 2, "refund", "approved", "40.00"),
        // The same once more: a duplicate.
        (4, 2, "authorization", "approved", "40.00"),
        (6, 9, "authorization", "approved", "99.00"),
    ];
    sent.iter()
        .map(|(n, card, kind, outcome, amount)| {
            Outgoing::to(input).partition(0).value(transaction(*n, *card, kind, outcome, amount))
        })
        // A clearing of the first purchase, by its merchant and amount.
        .chain([Outgoing::to(input).partition(0).value(
            transaction(0, 0, "clearing", "approved", "5.00").replace("t0", "c0").replace("T00:00", "T09:00"),
        )])
        .collect()
}

/// What the desk writes when somebody has decided on an alert.
fn outcome(topic: &str, alert: &Message, verdict: &str) -> Outgoing {
    let alert = alert.json();
    let transaction = &alert["transaction"];
    let about = json!({
        "fingerprint": alert["card"]["fingerprint"], "key": alert["card"]["key"], "incidents": ["shop"],
        "raised_at": alert["raised_at"], "severity": alert["severity"], "score": alert["score"], "rules": ["dear"],
        "transaction": transaction["id"], "transaction_at": transaction["at"],
        "transaction_outcome": transaction["outcome"],
        "amount": transaction["amount"], "currency": transaction["currency"],
    });
    let record =
        json!({"schema": "cardwatch.outcome/1", "alert": alert["id"], "verdict": verdict, "about": about});
    Outgoing::to(topic).key(alert["id"].as_str().unwrap()).value(record.to_string())
}

#[test]
fn the_books_stay_right_when_sightings_and_alerts_have_expired() {
    let Some(deployment) = Deployment::new("books") else { return };
    let kafka = &deployment.kafka;
    let list = deployment.file("list", lines(0..6));
    ok(deployment.open("shop", &["--list", &list]));
    let rules = deployment.file("rules.toml", RULES);
    let config = format!("{}[alerts]\nthreshold = 50\nrules = \"{rules}\"\n", deployment.config());
    let input = deployment.topic("transactions");
    kafka.produce(&purchases(&input));
    let mut program = Program::with(&["run"]).config(&config).start();
    let judged = || {
        let histories = kafka.read(&deployment.topic("card-history"), Isolation::Committed);
        let sightings = kafka.read(&deployment.topic("sightings"), Isolation::Committed);
        let checkpoints = histories.iter().filter(|record| record.key_text().starts_with("checkpoint"));
        let ends: Vec<i64> = (0..2)
            .filter_map(|partition| {
                let last = checkpoints.clone().rfind(|record| record.partition == partition)?;
                last.json()["next_offset"].as_i64()
            })
            .collect();
        let done = sightings.iter().all(|one| {
            checkpoints.clone().any(|record| {
                record.partition == one.partition && record.json()["next_offset"].as_i64() > Some(one.offset)
            })
        });
        (sightings.len() == 8 && done && !ends.is_empty()).then_some(())
    };
    wait::until("judgements", WITHIN, judged);
    let alerts = kafka.read(&deployment.topic("alerts"), Isolation::Committed);
    assert_eq!(alerts.len(), 4, "{alerts:?}");
    metrics_agree(&deployment, &mut program);
    assert_eq!(program.terminate(Duration::from_secs(5)), Ended::Code(0), "{}", program.transcript());

    let outcomes = deployment.topic("outcomes");
    if kafka.partitions(&outcomes) == 0 {
        kafka.create(&outcomes, 1, &[("cleanup.policy", "compact")]);
    }
    let of = |id: &str| alerts.iter().find(|alert| alert.json()["transaction"]["id"] == id).unwrap();
    kafka.produce(&[
        outcome(&outcomes, of("t1"), "fraud"),
        outcome(&outcomes, of("t2"), "fraud"),
        outcome(&outcomes, of("t4"), "fraud"),
        // Somebody thought better of it; and somebody else's record does not read.
        outcome(&outcomes, of("t4"), "genuine"),
        Outgoing::to(&outcomes).key("case-7").value("{}"),
    ]);

    let books = told(&deployment, "shop");
    let expected = json!({
        "cards": 6, "seen": 3, "never_seen": 3, "suspected": 3, "confirmed": 2, "alerts": 4,
        "alerts_confirmed": 2, "alerts_genuine": 1, "alerts_unknown": 0, "alerts_undecided": 1,
        "transactions": 7, "approved": 3, "declined": 1, "checks": 1, "returns": 1,
    });
    for (name, count) in expected.as_object().unwrap() {
        assert_eq!(&books["counts"][name], count, "{name} in {books}");
    }
    assert_eq!(
        books["money"],
        json!([{
            "currency": "EUR", "approved": "6500", "declined": "3000", "suspected_approved": "6000",
            "suspected_declined": "3000", "confirmed_approved": "2000", "confirmed_declined": "3000",
        }])
    );

    over_http(&deployment, &config);

    // Years later: nothing is left of sightings and alerts.
    for (name, partitions) in [("sightings", 2), ("alerts", 2)] {
        for partition in 0..partitions {
            let topic = deployment.topic(name);
            kafka.expire(&topic, partition, kafka.watermarks(&topic, partition).high);
        }
    }
    assert!(kafka.read(&deployment.topic("alerts"), Isolation::Committed).is_empty());
    assert_eq!(told(&deployment, "shop"), books);
    let text = deployment.ok(&["incident", "show", "shop"]).stdout().join("\n");
    assert!(text.contains("Cards never seen") && text.contains("65.00") && text.contains("30.00"), "{text}");

    // A card that is taken off keeps what it did; a closed incident keeps its books.
    let gone = deployment.file("gone", lines(0..1));
    deployment.ok(&["incident", "revise", "shop", "--withdraw", &gone]);
    let rows = deployment.json(&["incident", "show", "shop"])["books"].clone();
    let of_standing = |standing: &str| column(&rows, "count", standing);
    assert_eq!((&of_standing("listed")["cards"], &of_standing("withdrawn")["cards"]), (&json!(5), &json!(1)));
    assert_eq!((&of_standing("listed")["seen"], &of_standing("withdrawn")["seen"]), (&json!(2), &json!(1)));
    assert_eq!(of_standing("withdrawn")["confirmed"], 1);
    deployment.ok(&["incident", "close", "shop"]);
    let listed = deployment.json(&["incident", "list"]);
    let row = &listed["incidents"][0];
    assert_eq!((&row["cards"], &row["seen"], &row["confirmed"]), (&json!(0), &json!(3), &json!(2)));
    report(&deployment);
}

/// The metrics tell the same, as far as nobody has decided anything.
fn metrics_agree(deployment: &Deployment, program: &mut Program) {
    // All of them in one look, which may fall between two that are set one after the other.
    let wanted = [
        r#"cardwatch_incident_cards{are="suspected",incident="shop"} 3"#,
        r#"cardwatch_incident_cards{are="never_seen",incident="shop"} 3"#,
        r#"cardwatch_incident_alerts{decided="undecided",incident="shop"} 4"#,
        r#"cardwatch_incident_money_minor_units{currency="EUR",incident="shop",is="approved"} 6500"#,
    ];
    program.await_http(&deployment.url("metrics"), WITHIN, |_, text| {
        wanted.iter().all(|line| text.contains(line))
    });
}

/// The counts over all standings, and the money.
fn told(deployment: &Deployment, incident: &str) -> Value {
    let shown = deployment.json(&["incident", "show", incident]);
    json!({"counts": column(&shown["books"], "count", "total"), "money": shown["money"]})
}

/// The running service answers what the commands print.
fn over_http(deployment: &Deployment, config: &str) {
    const TOKEN: &str = "read-0123456789abcdef0123456789abcdef";
    let config = format!("{config}{}", deployment.token("eyes", "read", TOKEN));
    let mut program = Program::with(&["run"]).config(&config).start();
    program.await_http(&deployment.url("health/ready"), WITHIN, |status, _| status == 200);
    let ask = |path: &str| deployment.ask(TOKEN, path, None);
    let (_, listed) =
        wait::until("the books", WITHIN, || Some(ask("v1/incidents")).filter(|asked| asked.0 == 200));
    assert_eq!(listed, deployment.json(&["incident", "list"]));
    assert_eq!(ask("v1/incidents?state=closed"), (200, json!({"incidents": []})));
    assert_eq!(ask("v1/incidents?state=open").1, listed);
    let mut shown = deployment.json(&["incident", "show", "shop"]);
    shown.as_object_mut().unwrap().remove("keys").unwrap();
    assert_eq!(ask("v1/incidents/shop"), (200, shown));
    let timeless = |mut report: Value| {
        let as_of = report["as_of"].take();
        assert!(as_of.is_string(), "{report}");
        report
    };
    let (status, report) = ask("v1/incidents/shop/report");
    assert_eq!(status, 200, "{report}");
    assert_eq!(timeless(report), timeless(deployment.json(&["incident", "report", "shop"])));
    for path in ["v1/incidents/mall", "v1/incidents/mall/report"] {
        let (status, problem) = ask(path);
        assert_eq!((status, &problem["code"]), (404, &json!("no_such_incident")), "{path}");
    }
    // A revision shows soon.
    let more = deployment.file("more", lines(6..7));
    deployment.ok(&["incident", "revise", "shop", "--add", &more]);
    wait::until("the revision", WITHIN, || {
        (ask("v1/incidents").1["incidents"][0]["cards"] == 7).then_some(())
    });
    deployment.ok(&["incident", "revise", "shop", "--undo", "2"]);
    assert_eq!(program.terminate(Duration::from_secs(5)), Ended::Code(0), "{}", program.transcript());
}

fn report(deployment: &Deployment) {
    let report = deployment.ok(&["incident", "report", "shop", "--format", "md"]);
    let text = report.stdout().join("\n");
    for part in [
        "# Incident shop: Shop",
        "5 cards are on the list. 2 of them have been used",
        "Confirmed by a person: fraud on 2 cards (2 transactions)",
        "| EUR | 65.00 | 30.00 | 60.00 | 30.00 | 20.00 | 30.00 |",
        "cardwatch has not looked back over them",
        "The watch ended on",
        "Every transaction there was at that moment had been read",
        "have been read since 20",
        "### Revision 2",
    ] {
        assert!(text.contains(part), "{part}\n{text}");
    }
    assert_eq!(leaks(text.as_bytes(), &(0..10).collect::<Vec<_>>()), None);
    let told = deployment.json(&["incident", "report", "shop"]);
    assert_eq!((&told["incident"], &told["state"]), (&json!("shop"), &json!("closed")));
    assert_eq!((&told["coverage"]["unread"], &told["coverage"]["unjudged"]), (&json!(0), &json!(0)));
    assert_eq!(told["coverage"]["earliest_seen"], "2026-03-01T00:00:00.000Z");
    fails(deployment.command(&["incident", "report", "mall"]), 65, &["no incident mall", "shop"]);
    fails(deployment.command(&["incident", "show", "mall"]), 65, &["no incident mall", "shop"]);
}
